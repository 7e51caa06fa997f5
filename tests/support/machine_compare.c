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

static bool sum_differs(const struct fc_session_sum *a, const struct twin_session *b, char *buf, size_t size)
{
    for (unsigned d = 0; d < 2; d++)
        if (number("packets", (int64_t)a->packets[d], (int64_t)b->packets[d], buf, size) ||
            number("bytes", (int64_t)a->bytes[d], (int64_t)b->bytes[d], buf, size) ||
            number("flags", a->tcp_flags[d], b->tcp_flags[d], buf, size) ||
            number("base known", a->base_set >> d & 1, b->base_set[d], buf, size) ||
            (b->base_set[d] && number("base", a->base[d], b->base[d], buf, size)))
            return true;
    return number("first", a->first_ns, b->first_ns, buf, size) || number("last", a->last_ns, b->last_ns, buf, size) ||
           number("start", a->min_ns, b->min_ns, buf, size) || number("end", a->max_ns, b->max_ns, buf, size) ||
           number("client", fc_session_client(a), b->client, buf, size) ||
           number("state", (int)fc_session_state(a, b->key.proto), b->state, buf, size);
}

static bool stacks_differ(const struct fc_extra *a, const struct twin_fields *b, char *buf, size_t size)
{
    return number("vlan count", a->vlan_count, b->vlan_count, buf, size) ||
           number("mpls count", a->mpls_count, b->mpls_count, buf, size) ||
           number("tunnel count", a->tunnel_count, b->tunnel_count, buf, size) ||
           number("vlans differ", memcmp(a->vlan, b->vlan, a->vlan_count * sizeof a->vlan[0]) != 0, 0, buf, size) ||
           number("labels differ", memcmp(a->mpls, b->mpls, a->mpls_count * sizeof a->mpls[0]) != 0, 0, buf, size) ||
           number("tunnels differ", memcmp(a->tunnel, b->tunnel, a->tunnel_count * sizeof a->tunnel[0]) != 0, 0, buf,
                  size);
}

static bool extra_differs(const struct fc_extra *a, const struct twin_fields *b, char *buf, size_t size)
{
    if (stacks_differ(a, b, buf, size) || number("has macs", a->has_mac, b->has_mac ? 3 : 0, buf, size) ||
        (b->has_mac && number("macs differ", memcmp(a->mac, b->mac, sizeof a->mac) != 0, 0, buf, size)))
        return true;
    for (unsigned d = 0; d < 2; d++)
        if (number("has ttl", a->has_ttl >> d & 1, b->has_ttl[d], buf, size) ||
            number("has dscp", a->has_dscp >> d & 1, b->has_dscp[d], buf, size) ||
            number("has isn", a->has_isn >> d & 1, b->has_isn[d], buf, size) ||
            number("has flags", a->has_tcp_flags >> d & 1, b->has_flags[d], buf, size) ||
            number("has payload", a->has_payload >> d & 1, b->has_payload[d], buf, size) ||
            number("ttl", a->ttl[d], b->ttl[d], buf, size) || number("dscp", a->dscp[d], b->dscp[d], buf, size) ||
            number("isn", a->isn[d], b->isn[d], buf, size) ||
            number("fields' flags", a->tcp_flags[d], b->tcp_flags[d], buf, size) ||
            number("payload", (int64_t)a->payload[d], (int64_t)b->payload_bytes[d], buf, size))
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
        /* of those that wait, sorted by the writer */
        if (i && !s->provisional &&
            (s->files[i] < s->files[i - 1] || (s->files[i] == s->files[i - 1] && s->offs[i] <= s->offs[i - 1]))) {
            snprintf(buf, size, "positions do not ascend: file %u offset %llu behind file %u offset %llu", s->files[i],
                     (unsigned long long)s->offs[i], s->files[i - 1], (unsigned long long)s->offs[i - 1]);
            return true;
        }
    }
    return number("first packet's file", s->first_file, t->file, buf, size) ||
           number("first packet's offset", (int64_t)s->first_off, (int64_t)t->off, buf, size);
}

static bool session_differs(const struct machine_session *s, const struct twin *twin, bool extra, char *buf,
                            size_t size)
{
    const struct twin_session *t = s->count ? twin_find(twin, s->files[0], s->offs[0]) : NULL;

    if (!t) {
        snprintf(buf, size, "without positions");
        return true;
    }
    if (memcmp(&s->key, &t->key, sizeof s->key) != 0) {
        snprintf(buf, size, "under another key");
        return true;
    }
    return number("provisional", s->provisional, t->provisional, buf, size) || sum_differs(&s->sum, t, buf, size) ||
           positions_differ(s, t, twin, buf, size) ||
           (!t->provisional && number("open", s->open, t->open, buf, size)) ||
           (extra && extra_differs(&s->extra, &t->fields, buf, size));
}

const char *machine_differs(const struct machine_result *result, const struct twin *twin, bool extra, char *buf,
                            size_t size)
{
    for (size_t i = 0; i < result->count; i++) {
        const struct machine_session *s = &result->sessions[i];
        int n = snprintf(buf, size, "session %zu (proto %u, file %u offset %llu): ", i + 1, s->key.proto, s->first_file,
                         (unsigned long long)s->first_off);
        if (session_differs(s, twin, extra, buf + n, size - (size_t)n))
            return buf;
    }
    if (number("number of sessions", (int64_t)result->count, (int64_t)twin->count, buf, size))
        return buf;
    /* all are the twin's: so is their order, unless one is there twice */
    for (size_t i = 0; i < result->count; i++)
        if (number("id", twin_find(twin, result->sessions[i].files[0], result->sessions[i].offs[0])->id,
                   twin->sessions[i].id, buf, size))
            return buf;
    return NULL;
}
