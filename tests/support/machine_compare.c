/* SPDX-License-Identifier: MIT */
#include "machine.h"
#include "twin.h"

#include <string.h>

/* Compares one number; writes what differs. */
static bool number(const char *what, int64_t real, int64_t twin, char *buf, size_t size)
{
    if (real == twin)
        return false;
    snprintf(buf, size, "%s is %lld, should be %lld", what, (long long)real, (long long)twin);
    return true;
}

static bool run_differs(const struct fc_run *a, const struct fc_run *b, bool open, char *buf, size_t size)
{
    for (unsigned d = 0; d < 2; d++)
        if (number("packets", (int64_t)a->packets[d], (int64_t)b->packets[d], buf, size) ||
            number("bytes", (int64_t)a->bytes[d], (int64_t)b->bytes[d], buf, size) ||
            number("flags", a->tcp_flags[d], b->tcp_flags[d], buf, size))
            return true;
    if (number("start", a->min_ns, b->min_ns, buf, size) || number("end", a->max_ns, b->max_ns, buf, size))
        return true;
    if (!open)
        return false;
    /* what a later capture would go on from */
    for (unsigned d = 0; d < 2; d++)
        if ((b->base_set >> d & 1) && number("open: base", a->base[d], b->base[d], buf, size))
            return true;
    return number("open: first time", a->first_ns, b->first_ns, buf, size) ||
           number("open: bases set", a->base_set, b->base_set, buf, size) ||
           number("open: first packet's direction", a->first_dir, b->first_dir, buf, size);
}

static bool extra_differs(const struct fc_extra *a, const struct fc_extra *b, char *buf, size_t size)
{
    if (number("vlan count", a->vlan_count, b->vlan_count, buf, size) ||
        number("vlan", a->vlan[0], b->vlan[0], buf, size) || number("macs", a->has_mac, b->has_mac, buf, size) ||
        number("macs differ", memcmp(a->mac, b->mac, sizeof a->mac) != 0, 0, buf, size) ||
        number("has ttl", a->has_ttl, b->has_ttl, buf, size) || number("has isn", a->has_isn, b->has_isn, buf, size) ||
        number("has dscp", a->has_dscp, b->has_dscp, buf, size) ||
        number("has payload", a->has_payload, b->has_payload, buf, size))
        return true;
    for (unsigned d = 0; d < 2; d++)
        if (number("ttl", a->ttl[d], b->ttl[d], buf, size) || number("dscp", a->dscp[d], b->dscp[d], buf, size) ||
            number("isn", a->isn[d], b->isn[d], buf, size) ||
            number("fields' flags", a->tcp_flags[d], b->tcp_flags[d], buf, size) ||
            number("payload", (int64_t)a->payload_bytes[d], (int64_t)b->payload_bytes[d], buf, size))
            return true;
    return false;
}

static bool positions_differ(const struct machine_session *s, const struct twin_session *t, const struct twin *twin,
                             char *buf, size_t size)
{
    if (number("positions", (int64_t)s->count, (int64_t)t->count, buf, size))
        return true;
    for (size_t i = 0; i < s->count; i++) {
        if (twin_find(twin, s->files[i], s->offs[i]) != t) {
            snprintf(buf, size, "has a packet of another session, at file %u offset %llu", s->files[i],
                     (unsigned long long)s->offs[i]);
            return true;
        }
        if (i && s->files[i] == s->files[i - 1] && s->offs[i] <= s->offs[i - 1]) {
            snprintf(buf, size, "positions do not ascend");
            return true;
        }
    }
    return number("first packet's file", s->record.first_file, t->packets[0]->file, buf, size) ||
           number("first packet's offset", (int64_t)s->record.first_off, (int64_t)t->packets[0]->rec.off, buf, size);
}

static bool session_differs(const struct machine_session *s, const struct twin *twin, bool extra, char *buf,
                            size_t size)
{
    const struct fc_session_record *r = &s->record;
    const struct twin_session *t = s->count ? twin_find(twin, s->files[0], s->offs[0]) : NULL;

    if (!t) {
        snprintf(buf, size, "without positions");
        return true;
    }
    if (memcmp(&r->key, &t->key, sizeof r->key) != 0) {
        snprintf(buf, size, "under another key");
        return true;
    }
    return run_differs(&r->run, &t->run, t->open, buf, size) ||
           number("client", fc_run_client(&r->run), t->client, buf, size) ||
           number("state", (int)fc_run_state(&r->run, r->key.proto), t->state, buf, size) ||
           positions_differ(s, t, twin, buf, size) || number("open", r->open, t->open, buf, size) ||
           (extra && extra_differs(&r->extra, &t->extra, buf, size));
}

const char *machine_differs(const struct machine_result *result, const struct twin *twin, bool extra, char *buf,
                            size_t size)
{
    for (size_t i = 0; i < result->count; i++) {
        const struct machine_session *s = &result->sessions[i];
        int n = snprintf(buf, size, "session %zu (proto %u, file %u offset %llu): ", i + 1, s->record.key.proto,
                         s->record.first_file, (unsigned long long)s->record.first_off);
        if (session_differs(s, twin, extra, buf + n, size - (size_t)n))
            return buf;
        if (i && fc_session_record_compare(&s[-1].record, &s->record) >= 0) {
            snprintf(buf, size, "session %zu does not come behind the one before it", i + 1);
            return buf;
        }
    }
    if (number("number of sessions", (int64_t)result->count, (int64_t)twin->count, buf, size))
        return buf;
    return NULL;
}
