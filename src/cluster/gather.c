/* SPDX-License-Identifier: MIT */
/* Packets of many sensors into one capture. */
#include "base/error.h"
#include "base/export.h"
#include "base/ticker.h"
#include "cluster/config.h"
#include "cluster/incoming.h"

#include <flowcarve/cluster_carve.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_SHOWN = 200, LIST_MOST = (8 << 20) - 1024 };

/* A part on its way. */
struct source {
    const struct fc_cluster_part *part;
    char *name; /* "sensor nyc1" */
    char *body;
    size_t body_len;
    uint64_t asked; /* sessions */
    struct fc_incoming in;
    bool begun, open; /* it was asked; `in` is of use */
};

struct gathering {
    const struct fc_cluster *cluster;
    struct source *items;
    size_t count;
    const struct fc_cluster_carve_options *options;
    const struct fc_carve_options *carve;
    struct fc_cluster_carve_result *result;
    const int *stop;
    struct fc_streams *streams;
    struct fc_carve_ifaces ifaces;
    size_t *heap, live; /* numbers of those that have a record, the first one on top */
    struct fc_output out;
    const struct fc_carve_iface *last; /* pcap: of the record before */
    struct fc_progress progress;
    uint64_t told_records, told_bytes;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

/* ---- what is missing */

/* "1-5,9", as far as `most` characters reach, and then "..."; NULL: no memory. */
static char *ids_text(const struct fc_id_range *range, size_t count, size_t most, size_t *len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);

    for (size_t i = 0; f && i < count; i++) {
        if ((size_t)ftell(f) > most) {
            fputs(",...", f);
            break;
        }
        fprintf(f, "%s%" PRId64, i ? "," : "", range[i].first);
        if (range[i].last != range[i].first)
            fprintf(f, "-%" PRId64, range[i].last);
    }
    if (!f || fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int note(struct gathering *g, size_t number, struct fc_cluster_missing m, struct fc_error *err)
{
    struct fc_cluster_carve_result *r = g->result;
    struct fc_cluster_missing *bigger = realloc(r->missing, (r->missing_count + 1) * sizeof *bigger);

    if (bigger)
        r->missing = bigger;
    if (!bigger || !m.ids) {
        free(m.ids);
        return no_memory(err);
    }
    m.part = number;
    r->missing[r->missing_count++] = m;
    return 0;
}

/* A whole part, or what has not come of it. Returns the code of `why`, or 0 where the rest goes on without it. */
static int fail(struct gathering *g, size_t number, const struct fc_error *why, struct fc_error *err)
{
    const struct source *s = &g->items[number];
    size_t len;

    if (why->code == FC_E_INTERRUPTED || why->code == FC_E_NOMEM) {
        *err = *why;
        return why->code;
    }
    struct fc_cluster_missing m = {
        .sessions = s->asked, .why = *why, .ids = ids_text(s->part->ranges, s->part->range_count, IDS_SHOWN, &len)};
    int rc = note(g, number, m, err);
    if (rc || g->carve->partial)
        return rc;
    *err = *why;
    return why->code;
}

static void let_go(struct gathering *g, size_t number)
{
    struct source *s = &g->items[number];

    if (s->open) {
        g->result->bytes_received += fc_streams_bytes(g->streams, number);
        fc_incoming_fini(&s->in);
        fc_streams_end(g->streams, number);
    }
    s->open = false;
}

/* ---- asking */

static const struct fc_sensor *find_sensor(const struct fc_cluster *c, const char *name)
{
    for (size_t i = 0; i < c->sensors; i++)
        if (strcmp(c->sensor[i].name, name) == 0)
            return &c->sensor[i];
    return NULL;
}

static int make_body(struct gathering *g, struct source *s, struct fc_error *err)
{
    const struct fc_carve_options *o = g->carve;
    size_t len;
    char *ids = ids_text(s->part->ranges, s->part->range_count, LIST_MOST, &len);
    FILE *f = ids ? open_memstream(&s->body, &s->body_len) : NULL;

    if (f) {
        fprintf(f, "{\"ids\":\"%s\",\"uuid\":\"", ids);
        for (int i = 0; i < 16; i++)
            fprintf(f, "%02x", s->part->generation[i]);
        fprintf(f, "\",\"format\":\"pcapng\",\"partial\":%s", o->partial ? "true" : "false");
        if (o->one_direction)
            fprintf(f, ",\"direction\":\"%s\"", o->from == FC_FROM_SERVER ? "server" : "client");
        if (o->first_packets)
            fprintf(f, ",\"first_packets\":%" PRIu64, o->first_packets);
        if (o->first_bytes)
            fprintf(f, ",\"first_bytes\":%" PRIu64, o->first_bytes);
        fprintf(f, "%s}", o->comments ? ",\"comments\":true" : "");
    }
    bool failed = !f || fclose(f) != 0;
    free(ids);
    if (failed)
        return no_memory(err);
    return len > LIST_MOST
               ? fc_error_set(err, FC_E_LIMIT, s->name, FC_NO_OFFSET,
                              "these are more sessions than it can be asked for at once; a filter for less helps")
               : 0;
}

static int begin_one(struct gathering *g, size_t number, struct fc_error *err)
{
    struct source *s = &g->items[number];
    const struct fc_sensor *sensor = find_sensor(g->cluster, s->part->sensor);
    int rc;

    for (size_t i = 0; i < s->part->range_count; i++)
        s->asked += (uint64_t)s->part->ranges[i].last - (uint64_t)s->part->ranges[i].first + 1;
    if (asprintf(&s->name, "sensor %s", s->part->sensor) < 0) {
        s->name = NULL;
        return no_memory(err);
    }
    if (!sensor)
        return fc_error_set(err, FC_E_USAGE, s->name, FC_NO_OFFSET, "%s does not name it", g->cluster->path);
    if ((rc = make_body(g, s, err)))
        return rc;
    return fc_streams_begin(g->streams, number, &sensor->peer, s->name, "/v1/carve", s->body, s->body_len, err);
}

/* ---- one of them ends */

static bool read_number(const struct gathering *g, size_t number, const char *name, uint64_t *value)
{
    char text[32], *end;

    if (!fc_streams_trailer(g->streams, number, name, text, sizeof text) || *text < '0' || *text > '9')
        return false;
    *value = strtoull(text, &end, 10);
    return !*end;
}

/* What `partial` has left out at the sensor. */
static int note_left_out(struct gathering *g, size_t number, uint64_t missing, uint64_t unknown, struct fc_error *err)
{
    char ids[4200] = "";
    struct fc_error why;
    int rc = 0;

    if (missing) {
        fc_error_set(&why, FC_E_MISSING, g->items[number].name, FC_NO_OFFSET, "captures are missing or have changed");
        rc = note(g, number, (struct fc_cluster_missing){.packets = missing, .why = why, .ids = strdup("")}, err);
    }
    if (rc == 0 && unknown) {
        fc_streams_trailer(g->streams, number, "flowcarve-unknown", ids, sizeof ids);
        if (strlen(ids) > IDS_SHOWN)
            strcpy(ids + IDS_SHOWN, "...");
        fc_error_set(&why, FC_E_MISSING, g->items[number].name, FC_NO_OFFSET, "its index does not have them");
        rc = note(g, number, (struct fc_cluster_missing){.sessions = unknown, .why = why, .ids = strdup(ids)}, err);
    }
    return rc;
}

/* All has come, by the length; and by what is told behind it? */
static int check_end(struct gathering *g, size_t number, struct fc_error *why)
{
    const struct source *s = &g->items[number];
    uint64_t packets, sessions, missing, forgotten;

    if (!read_number(g, number, "flowcarve-packets", &packets) ||
        !read_number(g, number, "flowcarve-sessions", &sessions) ||
        !read_number(g, number, "flowcarve-missing", &missing) ||
        !read_number(g, number, "flowcarve-forgotten", &forgotten))
        return fc_error_set(why, FC_E_IO, s->name, FC_NO_OFFSET, "it has ended without telling what it has sent");
    if (packets != s->in.records)
        return fc_error_set(why, FC_E_IO, s->name, FC_NO_OFFSET,
                            "it tells of %" PRIu64 " packets, and has sent %" PRIu64, packets, s->in.records);
    if (sessions > s->asked || (!g->carve->partial && (sessions != s->asked || missing)))
        return fc_error_set(why, FC_E_MISSING, s->name, FC_NO_OFFSET,
                            "it tells of %" PRIu64 " of %" PRIu64 " sessions, and of %" PRIu64 " packets missing",
                            sessions, s->asked, missing);
    g->result->sensors += packets != 0;
    g->result->sessions += sessions;
    g->result->packets_forgotten += forgotten;
    return missing || sessions != s->asked ? note_left_out(g, number, missing, s->asked - sessions, why) : 0;
}

static int end_one(struct gathering *g, size_t number, struct fc_error *err)
{
    struct fc_error why;
    int rc = check_end(g, number, &why);

    if (rc)
        rc = fail(g, number, &why, err);
    let_go(g, number);
    return rc;
}

/* ---- the one whose turn it is */

static bool is_before(const struct gathering *g, size_t a, size_t b)
{
    int64_t x = g->items[a].in.order_ns, y = g->items[b].in.order_ns;

    return x != y ? x < y : a < b;
}

static void sink(struct gathering *g, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < g->live; at = child) {
        if (child + 1 < g->live && is_before(g, g->heap[child + 1], g->heap[child]))
            child++;
        if (!is_before(g, g->heap[child], g->heap[at]))
            return;
        size_t other = g->heap[at];
        g->heap[at] = g->heap[child];
        g->heap[child] = other;
    }
}

/* ---- writing */

/* A pcap says what holds for all of its packets in front of them. */
static int check_pcap(struct gathering *g, const struct fc_incoming *in, struct fc_error *err)
{
    const struct fc_carve_iface *iface = fc_incoming_iface(in);
    int64_t s = in->rec.ts_ns == FC_TIME_NONE ? 0 : in->rec.ts_ns / 1000000000;
    const char *what = NULL;

    if ((g->out.form.link_type & 0xffff) != iface->link_type)
        what = "several link types";
    else if (fc_output_has_order(iface->link_type) && iface->big_endian != g->out.form.big_endian)
        what = "headers in the byte orders of several hosts";
    else if (in->rec.ts_ns != FC_TIME_NONE && (in->rec.ts_ns < 0 || s > (int64_t)UINT32_MAX))
        what = "these times";
    return what ? fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "a pcap file cannot hold %s; use pcapng", what) : 0;
}

/* Times of all sensors fit into ns, whatever comes later. */
static int begin_output(struct gathering *g, int fd, struct fc_error *err)
{
    const struct fc_carve_iface *first = fc_incoming_iface(&g->items[g->heap[0]].in);
    struct fc_output_form form = {
        .pcapng = g->carve->format != FC_CARVE_PCAP, .compression = g->carve->compression, .ifaces = &g->ifaces};

    if (!form.pcapng) {
        form.nanoseconds = true;
        form.big_endian = first->big_endian;
        form.link_type = first->link_type;
        form.snaplen = fc_max_caplen(first->link_type);
    }
    int rc = fc_output_init(&g->out, fd, &form, g->stop);
    return rc ? fc_output_error(rc, err) : 0;
}

static int write_one(struct gathering *g, struct fc_incoming *in, struct fc_error *err)
{
    int rc;

    if (!g->out.form.pcapng && (rc = check_pcap(g, in, err)))
        return rc;
    if ((rc = fc_incoming_write_blocks(in, &g->out)) || (rc = fc_incoming_write(in, &g->out)))
        return fc_output_error(rc, err);
    g->result->packets++;
    return 0;
}

static void tell(struct gathering *g)
{
    FC_PROGRESS_ADD(&g->progress, records, g->result->packets - g->told_records);
    FC_PROGRESS_ADD(&g->progress, bytes_done, g->out.written - g->told_bytes);
    g->told_records = g->result->packets;
    g->told_bytes = g->out.written;
}

static int merge(struct gathering *g, struct fc_error *err)
{
    int rc = 0;

    for (size_t i = g->live; i--;)
        sink(g, i);
    while (rc == 0 && g->live) {
        size_t number = g->heap[0];
        struct fc_incoming *in = &g->items[number].in;
        struct fc_error why;
        if ((rc = write_one(g, in, err)))
            break;
        if ((g->result->packets & 0xff) == 0)
            tell(g);
        int more = fc_incoming_next(in, &why);
        if (more == 0 && (rc = fc_incoming_write_blocks(in, &g->out)))
            rc = fc_output_error(rc, err);
        else if (more == 0)
            rc = end_one(g, number, err);
        if (more < 0) {
            rc = fail(g, number, &why, err);
            let_go(g, number);
        }
        if (more <= 0)
            g->heap[0] = g->heap[--g->live];
        sink(g, 0);
    }
    if (rc == 0 && (rc = fc_output_end(&g->out)))
        rc = fc_output_error(rc, err);
    tell(g);
    return rc;
}

/* ---- all of it */

/* Opens a stream that was begun, up to its first packet. Codes as fail(). */
static int open_one(struct gathering *g, size_t number, struct fc_error *err)
{
    struct source *s = &g->items[number];
    struct fc_error why;
    int found = fc_incoming_open(&s->in, g->streams, number, s->name, s->name, &g->ifaces, g->stop, &why);

    s->open = true;
    if (found == 0)
        found = fc_incoming_next(&s->in, &why);
    if (found > 0) {
        g->heap[g->live++] = number;
        return 0;
    }
    if (found == 0)
        return end_one(g, number, err);
    int rc = fail(g, number, &why, err);
    let_go(g, number);
    return rc;
}

/*
 * Asks all, and waits until each has given its first packet, has ended or has failed, so that all are named that cannot
 * be had. The first failure counts, unless the rest goes on without.
 */
static int begin_all(struct gathering *g, struct fc_error *err)
{
    int first = 0;

    for (int opening = 0; opening < 2; opening++)
        for (size_t i = 0; i < g->count; i++) {
            struct fc_error why = {0}, said = {0};
            int rc = 0;
            if (!opening && (rc = begin_one(g, i, &why)) == 0)
                g->items[i].begun = true;
            else if (!opening)
                rc = fail(g, i, &why, &said);
            else if (g->items[i].begun)
                rc = open_one(g, i, &said);
            bool ends = rc == FC_E_INTERRUPTED || rc == FC_E_NOMEM;
            if (rc && (ends || !first)) {
                *err = said;
                first = rc;
            }
            if (ends)
                return rc;
        }
    return first;
}

static int gather(struct gathering *g, int fd, struct fc_error *err)
{
    const struct fc_streams_options options = {.silence_ms = g->options->silence_ms, .stop = g->stop};
    int rc;

    if (g->carve->comments && g->carve->format == FC_CARVE_PCAP)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "a pcap file cannot hold comments; use pcapng");
    if ((rc = fc_streams_open(g->count, &options, &g->streams, err)) || (rc = begin_all(g, err)))
        return rc;
    FC_PROGRESS_SET(&g->progress, phase, FC_PHASE_READING);
    if (g->live && (rc = begin_output(g, fd, err)) == 0)
        rc = merge(g, err);
    if (rc == 0)
        FC_PROGRESS_SET(&g->progress, phase, FC_PHASE_DONE);
    return rc;
}

static void end_all(struct gathering *g)
{
    for (size_t i = 0; i < g->count; i++) {
        let_go(g, i);
        free(g->items[i].name);
        free(g->items[i].body);
    }
    fc_streams_close(g->streams);
    g->result->bytes_written = g->out.written;
    fc_output_fini(&g->out);
    fc_carve_ifaces_fini(&g->ifaces);
    free(g->items);
    free(g->heap);
}

FC_EXPORT int fc_cluster_carve(const struct fc_cluster *cluster, const struct fc_cluster_part *parts, size_t count,
                               const struct fc_cluster_carve_options *options, int fd, const int *stop,
                               struct fc_cluster_carve_result *result, struct fc_error *err)
{
    static const struct fc_cluster_carve_options none;
    struct fc_error local;
    struct gathering g = {.cluster = cluster, .options = options ? options : &none, .result = result, .stop = stop};
    struct fc_ticker ticker;
    int rc;

    err = err ? err : &local;
    memset(result, 0, sizeof *result);
    g.carve = &g.options->carve;
    g.items = calloc(count + 1, sizeof *g.items);
    g.heap = calloc(count + 1, sizeof *g.heap);
    if (!g.items || !g.heap) {
        end_all(&g);
        return no_memory(err);
    }
    for (g.count = 0; g.count < count; g.count++)
        g.items[g.count].part = &parts[g.count];
    fc_ticker_start(&ticker, &g.progress, g.carve->progress, g.carve->progress_ctx);
    rc = gather(&g, fd, err);
    fc_ticker_stop(&ticker);
    end_all(&g);
    return rc;
}

FC_EXPORT void fc_cluster_carve_result_fini(struct fc_cluster_carve_result *result)
{
    for (size_t i = 0; i < result->missing_count; i++)
        free(result->missing[i].ids);
    free(result->missing);
    result->missing = NULL;
    result->missing_count = 0;
}
