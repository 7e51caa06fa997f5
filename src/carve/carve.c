/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "capture/file.h"
#include "carve/output.h"
#include "carve/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct carve {
    struct fc_carve_plan plan;
    struct fc_carve_file **waiting; /* by the time they start; the first `opened` of them are or were open */
    size_t file_count, opened;
    struct fc_carve_source *sources; /* one each */
    size_t *heap;                    /* sources with a record, the earliest on top */
    size_t live;
    uint64_t bytes_read, bytes_decoded;
    struct fc_output out;
    const int *stop;
};

static bool before(const struct carve *c, size_t a, size_t b)
{
    const struct fc_carve_source *x = &c->sources[c->heap[a]], *y = &c->sources[c->heap[b]];

    if (x->order_ns != y->order_ns)
        return x->order_ns < y->order_ns;
    return x->f->stored->id < y->f->stored->id;
}

static void sift(struct carve *c, size_t i)
{
    for (;;) {
        size_t least = i, l = 2 * i + 1, r = l + 1;
        if (l < c->live && before(c, l, least))
            least = l;
        if (r < c->live && before(c, r, least))
            least = r;
        if (least == i)
            return;
        size_t t = c->heap[i];
        c->heap[i] = c->heap[least];
        c->heap[least] = t;
        i = least;
    }
}

/* Moves the last place of the heap up to where it belongs. */
static void rise(struct carve *c)
{
    size_t i = c->live - 1;

    while (i && before(c, i, (i - 1) / 2)) {
        size_t t = c->heap[i];
        c->heap[i] = c->heap[(i - 1) / 2];
        c->heap[(i - 1) / 2] = t;
        i = (i - 1) / 2;
    }
}

static int compare_start(const void *a, const void *b)
{
    const struct fc_carve_file *x = *(struct fc_carve_file *const *)a, *y = *(struct fc_carve_file *const *)b;

    if (x->stored->first_ns != y->stored->first_ns)
        return x->stored->first_ns < y->stored->first_ns ? -1 : 1;
    return x->stored->id < y->stored->id ? -1 : x->stored->id > y->stored->id;
}

/* The captures that take part, by the time they start. */
static int list_files(struct carve *c, struct fc_error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < c->plan.stored.count; i++)
        n += c->plan.files[i].count != 0;
    c->waiting = calloc(n + 1, sizeof *c->waiting);
    c->sources = calloc(n + 1, sizeof *c->sources);
    c->heap = calloc(n + 1, sizeof *c->heap);
    if (!c->waiting || !c->sources || !c->heap)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < c->plan.stored.count; i++)
        if (c->plan.files[i].count)
            c->waiting[c->file_count++] = &c->plan.files[i];
    if (c->file_count)
        qsort(c->waiting, c->file_count, sizeof *c->waiting, compare_start);
    return 0;
}

/* Opens the captures whose turn has come: those that start no later than the earliest record at hand. */
static int open_due(struct carve *c, struct fc_error *err)
{
    while (c->opened < c->file_count) {
        struct fc_carve_file *f = c->waiting[c->opened];
        struct fc_carve_source *s = &c->sources[c->opened];
        int rc;
        if (c->live && f->stored->first_ns > c->sources[c->heap[0]].order_ns)
            break;
        if ((rc = fc_carve_source_init(s, &c->plan, f, err)))
            return rc;
        c->heap[c->live++] = c->opened++;
        if ((rc = fc_carve_source_next(s, err)) < 0)
            return rc;
        if (rc == 0) /* partial: nothing of it is left */
            c->live--;
        else
            rise(c);
    }
    return 0;
}

static void close_source(struct carve *c, size_t i)
{
    c->bytes_read += c->sources[i].bytes_read;
    c->bytes_decoded += c->sources[i].bytes_decoded;
    c->sources[i].bytes_read = c->sources[i].bytes_decoded = 0;
    fc_carve_source_fini(&c->sources[i]);
}

/* What a pcap file could not say, or how it would be said. */
struct traits {
    uint32_t link_type, snaplen;
    bool several, nanoseconds;
};

static void see(struct traits *t, const struct fc_interface *iface, bool *first)
{
    /* 2^-6 is 15625 microseconds, the smallest power of two that is a whole number of them */
    bool fine = iface->tsresol & 128 ? (iface->tsresol & 127) > 6 : iface->tsresol > 6;

    t->several |= !*first && t->link_type != iface->link_type;
    t->link_type = iface->link_type;
    t->snaplen = !iface->snaplen || iface->snaplen > t->snaplen ? iface->snaplen : t->snaplen;
    t->nanoseconds |= fine;
    *first = false;
}

/* A capture with interfaces of several kinds: which of them the chosen records use. */
static int see_records(struct traits *t, struct carve *c, struct fc_carve_file *f, bool *first, struct fc_error *err)
{
    struct fc_carve_source s;
    int rc = fc_carve_source_init(&s, &c->plan, f, err);

    if (rc)
        return rc;
    while ((rc = fc_carve_source_next(&s, err)) == 1)
        see(t, &s.section.ifaces[s.rec.iface], first);
    fc_carve_source_fini(&s);
    return rc;
}

static int find_traits(struct carve *c, struct traits *t, struct fc_error *err)
{
    bool first = true;
    int rc = 0;

    memset(t, 0, sizeof *t);
    for (size_t i = 0; i < c->plan.stored.count && rc == 0; i++) {
        struct fc_carve_file *f = &c->plan.files[i];
        bool mixed = false;
        for (size_t k = 1; k < f->stored->iface_count; k++)
            mixed |= f->stored->ifaces[k].link_type != f->stored->ifaces[0].link_type;
        if (!f->count)
            continue;
        if (mixed && f->file.format == FC_FORMAT_PCAPNG) {
            rc = see_records(t, c, f, &first, err);
            continue;
        }
        for (size_t k = 0; k < f->stored->iface_count; k++)
            see(t, &f->stored->ifaces[k], &first);
    }
    /* libpcap cuts what is longer, so that no limit means the largest there is */
    if (!t->snaplen || t->snaplen > fc_max_caplen(t->link_type))
        t->snaplen = fc_max_caplen(t->link_type);
    return rc;
}

static int start_output(struct carve *c, const struct fc_carve_options *options, int fd, struct fc_error *err)
{
    struct traits t;
    int rc = find_traits(c, &t, err);
    /* pcap counts seconds from 1970 in 32 bits */
    bool odd_times =
        c->plan.low_ns != FC_TIME_NONE && (c->plan.low_ns < 0 || c->plan.high_ns / 1000000000 > (int64_t)UINT32_MAX);
    bool pcapng = options->format == FC_CARVE_PCAPNG || (options->format == FC_CARVE_AUTO && (t.several || odd_times));

    if (rc)
        return rc;
    if (!pcapng && (t.several || odd_times))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "a pcap file cannot hold %s; use pcapng",
                            t.several ? "several link types" : "these times");
    rc = fc_output_init(&c->out, fd, pcapng, t.nanoseconds, t.link_type, t.snaplen, c->plan.low_ns, c->stop);
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

static int output_error(int rc, struct fc_error *err)
{
    return rc == FC_E_IO ? fc_error_errno(err, rc, NULL, FC_NO_OFFSET, "cannot write the output")
                         : fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
}

static int merge(struct carve *c, struct fc_carve_result *result, struct fc_error *err)
{
    int rc;

    while ((rc = open_due(c, err)) == 0 && c->live) {
        struct fc_carve_source *s = &c->sources[c->heap[0]];
        if ((rc = fc_output_record(&c->out, &s->rec)))
            return output_error(rc, err);
        result->packets++;
        if ((result->packets & 0xfff) == 0 && c->stop && __atomic_load_n(c->stop, __ATOMIC_RELAXED))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        if ((rc = fc_carve_source_next(s, err)) < 0)
            return rc;
        if (rc == 0) {
            close_source(c, c->heap[0]);
            c->heap[0] = c->heap[--c->live];
        }
        sift(c, 0);
    }
    if (rc)
        return rc;
    rc = fc_output_flush(&c->out);
    return rc ? output_error(rc, err) : 0;
}

/* All is read: no session may have fragments of a tunnel that it is not in. What `partial` left out might have shown it. */
static int check_sessions(const struct fc_carve_plan *plan, const char *path, struct fc_error *err)
{
    for (size_t i = 0; i < plan->session_count && !plan->partial; i++)
        if (!fc_shown_fits(plan->sessions[i].shown))
            return fc_error_set(err, FC_E_CHANGED, path, FC_NO_OFFSET,
                                "a session has fragments of a tunnel that it is not in: a capture has changed");
    return 0;
}

FC_EXPORT int fc_carve(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options, int fd,
                       const int *stop, struct fc_carve_result *result, struct fc_error *err)
{
    struct fc_carve_options o = options ? *options : (struct fc_carve_options){0};
    struct carve c = {.stop = stop};
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    memset(result, 0, sizeof *result);
    rc = fc_carve_plan_make(&c.plan, db, filter, &o, stop, result, err);
    if (rc == 0 && result->sessions) {
        rc = start_output(&c, &o, fd, err);
        if (rc == 0)
            rc = list_files(&c, err);
        if (rc == 0)
            rc = merge(&c, result, err);
        if (rc == 0)
            rc = check_sessions(&c.plan, db->path, err);
    }
    if (rc == 0 && c.plan.changed && fc_carve_note(result, &c.plan.changed_why, c.plan.changed))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < c.opened; i++)
        close_source(&c, i);
    result->bytes_read = c.bytes_read;
    result->bytes_decoded = c.bytes_decoded;
    result->bytes_written = c.out.written;
    fc_output_fini(&c.out);
    free(c.waiting);
    free(c.sources);
    free(c.heap);
    fc_carve_plan_fini(&c.plan);
    return rc;
}

FC_EXPORT void fc_carve_result_fini(struct fc_carve_result *result)
{
    free(result->missing);
    result->missing = NULL;
    result->missing_count = 0;
}
