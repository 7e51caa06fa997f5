/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/ticker.h"
#include "capture/file.h"
#include "carve/format.h"
#include "carve/source.h"
#include "carve/tail.h"
#include "flow/key.h"

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
    struct fc_progress progress;
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

static int start_output(struct carve *c, const struct fc_carve_options *options, int fd, struct fc_error *err)
{
    struct fc_output_form form;
    int rc = fc_carve_choose(&c->plan, options->format, &form, err);

    if (rc)
        return rc;
    c->plan.heads = form.pcapng;
    rc = fc_output_init(&c->out, fd, &form, c->stop);
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

static int write_record(struct carve *c, struct fc_carve_source *s)
{
    int rc = 0;

    for (int big = 0; big < 2 && rc == 0; big++)
        if (s->heads[big].len) {
            rc = fc_output_blocks(&c->out, big, s->heads[big].data, s->heads[big].len);
            s->heads[big].len = 0;
        }
    return rc ? rc : fc_output_record(&c->out, s->iface, &s->rec, s->block);
}

static int merge(struct carve *c, struct fc_carve_result *result, struct fc_error *err)
{
    int rc;

    while ((rc = open_due(c, err)) == 0 && c->live) {
        struct fc_carve_source *s = &c->sources[c->heap[0]];
        if ((rc = write_record(c, s)))
            return fc_output_error(rc, err);
        result->packets++;
        if ((result->packets & 0xff) == 0) {
            FC_PROGRESS_SET(&c->progress, records, result->packets);
            FC_PROGRESS_SET(&c->progress, bytes_done, c->out.written);
        }
        if ((result->packets & 0xfff) == 0 && c->stop && __atomic_load_n(c->stop, __ATOMIC_RELAXED))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        if ((rc = fc_carve_source_next(s, err)) < 0)
            return rc;
        if (rc == 0) {
            if (c->out.form.pcapng && (rc = fc_carve_write_tails(&c->out, s->f, err)))
                return rc;
            close_source(c, c->heap[0]);
            c->heap[0] = c->heap[--c->live];
        }
        sift(c, 0);
    }
    if (rc)
        return rc;
    rc = fc_output_end(&c->out);
    return rc ? fc_output_error(rc, err) : 0;
}

/*
 * All is read: no session may have fragments of a tunnel that it is not in. What `partial` left out might have shown
 * it.
 */
static int check_sessions(const struct fc_carve_plan *plan, const char *path, struct fc_error *err)
{
    for (size_t i = 0; i < plan->session_count && !plan->partial; i++)
        if (!fc_shown_fits(plan->sessions[i].shown))
            return fc_error_set(err, FC_E_CHANGED, path, FC_NO_OFFSET,
                                "a session has fragments of a tunnel that it is not in: a capture has changed");
    return 0;
}

static void begin_progress(struct carve *c, const struct fc_carve_result *result)
{
    uint64_t packets = 0;

    for (size_t i = 0; i < c->plan.stored.count; i++)
        packets += c->plan.files[i].count;
    FC_PROGRESS_SET(&c->progress, records_total, packets);
    FC_PROGRESS_SET(&c->progress, sessions, result->sessions);
    FC_PROGRESS_SET(&c->progress, phase, FC_PHASE_READING);
}

FC_EXPORT int fc_carve(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options, int fd,
                       const int *stop, struct fc_carve_result *result, struct fc_error *err)
{
    struct fc_carve_options o = options ? *options : (struct fc_carve_options){0};
    struct carve c = {.stop = stop};
    struct fc_ticker ticker;
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    memset(result, 0, sizeof *result);
    fc_ticker_start(&ticker, &c.progress, o.progress, o.progress_ctx);
    rc = fc_carve_plan_make(&c.plan, db, filter, &o, stop, result, err);
    if (rc == 0 && result->sessions) {
        begin_progress(&c, result);
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
    FC_PROGRESS_SET(&c.progress, records, result->packets);
    FC_PROGRESS_SET(&c.progress, bytes_done, c.out.written);
    if (rc == 0)
        FC_PROGRESS_SET(&c.progress, phase, FC_PHASE_DONE);
    fc_ticker_stop(&ticker);
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
