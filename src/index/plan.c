/* SPDX-License-Identifier: MIT */
#include "index/plan.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/vector.h"
#include "capture/print.h"
#include "flow/clock.h"
#include "index/copies.h"
#include "index/inputs.h"
#include "index/known.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PEEK_BUFFER = 16 << 10, PEEK_FAR = 1 << 20, BEGIN_BYTES = 4096 };

void fc_notice_add(struct fc_index_result *result, int kind, const struct fc_error *what)
{
    struct fc_notice notice = {.kind = kind, .what = *what}, *bigger = NULL;

    result->files_skipped += kind == FC_NOTICE_SKIPPED;
    result->files_copied += kind == FC_NOTICE_COPY;
    if (result->notice) {
        result->notice(result->notice_ctx, &notice);
        return;
    }
    if (result->notice_count < FC_NOTICES_KEPT)
        bigger = realloc(result->notices, (result->notice_count + 1) * sizeof *bigger);
    if (!bigger) {
        result->notices_left_out++;
        return;
    }
    result->notices = bigger;
    bigger[result->notice_count++] = notice;
}

static void fini_file(struct fc_plan_file *f)
{
    fc_file_close(&f->file);
    if (f->head)
        fc_section_free(f->head);
    free(f->head);
    f->head = NULL;
    if (f->state)
        fc_file_state_fini(f->state);
    free(f->state);
    f->state = NULL;
}

void fc_plan_fini(struct fc_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        fini_file(&plan->files[i]);
    free(plan->files);
    free(plan->gone);
    memset(plan, 0, sizeof *plan);
}

/* Bytes that are to be read of it, as stored. */
static uint64_t share(const struct fc_plan_file *f)
{
    return f->file.stored_size - (f->state && f->file.compression == FC_COMPRESSION_NONE ? f->state->end_off : 0);
}

/* Keeps the reader's section, behind the first record. FC_E_NOMEM. */
static int keep_head(const struct fc_reader *reader, struct fc_plan_file *f)
{
    if (f->file.format != FC_FORMAT_PCAPNG || (!f->file.source && f->file.size < PEEK_BUFFER))
        return 0;
    if (!(f->head = calloc(1, sizeof *f->head)) || fc_section_copy(f->head, &reader->section))
        return FC_E_NOMEM;
    return 0;
}

/*
 * The first record's time; the least that its clock can count; and, by the way, its section. FC_E_NOMEM: not to be
 * taken for a capture without times, the order of files depends on it; so FC_E_IO, with the reader's `why`.
 */
static int first_record(struct fc_reader *reader, struct fc_plan_file *f)
{
    int64_t times[1 + FC_CLOCK_AHEAD];
    const struct fc_file_state *state = f->state && f->state->end_off ? f->state : NULL;
    struct fc_clock clock;
    struct fc_record rec;
    size_t n = 0;
    int rc;

    reader->file = NULL; /* another file, though at the same address: what is buffered is not of it */
    rc = fc_reader_start(reader, &f->file, state ? state->end_off : 0, UINT64_MAX, state ? &state->section : NULL);
    rc = rc == 0 ? 1 : rc == FC_E_NOMEM ? rc : FC_E_IO;
    if (state && f->file.format != FC_FORMAT_PCAPNG)
        f->state->section.pcap = reader->section.pcap;
    f->first_ns = f->bound_ns = state ? state->clock.counted_ns : FC_TIME_NONE;
    if (state && f->file.source)
        return 0; /* far behind its start: what was counted last must do */
    if (state)
        f->first_ns = FC_TIME_NONE;
    /* not far behind damage */
    while (n < sizeof times / sizeof times[0] && rc == 1 && (rc = fc_reader_walk(reader, &rec, PEEK_FAR)) == 1) {
        times[n++] = rec.ts_ns;
        if (f->first_ns == FC_TIME_NONE)
            f->first_ns = rec.ts_ns;
        if (n == 1 && !state && keep_head(reader, f))
            rc = FC_E_NOMEM;
    }
    fc_clock_init(&clock);
    if (state)
        clock = state->clock;
    if (n && rc >= 0) /* as much as its first record asks for was there */
        f->bound_ns = fc_clock_count(&clock, times[0], times + 1, n - 1);
    if (state && f->first_ns == FC_TIME_NONE)
        f->first_ns = f->bound_ns;
    f->has_records = n > 0;
    f->empty = n == 0 && rc == 0;
    return rc == FC_E_NOMEM || rc == FC_E_IO ? rc : 0;
}

/* What must be known of a capture before any is read. FC_E_NOMEM; FC_E_IO and *why: it cannot be read. */
static int peek(struct fc_reader *reader, struct fc_plan_file *f, struct fc_error *why)
{
    uint8_t begin[BEGIN_BYTES];
    int rc = first_record(reader, f);
    int64_t n = 0;

    *why = reader->why;
    if (rc == 0 && (n = fc_file_read(&f->file, begin, sizeof begin, 0, why)) >= 0)
        f->begin = fc_hash_bytes(begin, (size_t)n, (uint64_t)f->first_ns);
    return n < 0 ? (int)n : rc;
}

/* And of one that is to be indexed, or read on. */
static int look_closer(struct fc_reader *reader, struct fc_plan_file *f, struct fc_error *why)
{
    struct fc_prints prints;
    int rc = 0;

    if (f->state) {
        if (f->head)
            fc_section_free(f->head);
        free(f->head);
        f->head = NULL;
        rc = first_record(reader, f);
        *why = reader->why;
    }
    if (rc == 0 && f->file.source && (rc = fc_file_prints(&f->file, f->file.stored_size, &prints, why)) == 0)
        f->stored_fingerprint = prints.stored;
    return rc;
}

/* Reading a capture once shall not push out of the page cache what others use (Linux 6.3 on; else it does nothing). */
static void read_once(const struct fc_file *file)
{
    posix_fadvise(file->fd, 0, 0, POSIX_FADV_NOREUSE);
}

/* Keeps descriptors open for the files that fit into half of the process's limit. */
static bool keep_open(size_t count)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && count + 32 < limit.rlim_cur / 2;
}

/* It alone: others of its folder are not to wait for it. */
static int refuse(struct fc_index_result *result, const struct fc_error *why)
{
    result->files_refused++;
    fc_notice_add(result, FC_NOTICE_REFUSED, why);
    return 0;
}

static int add_file(struct fc_plan *plan, const struct fc_input *input, size_t order, struct fc_reader *reader,
                    struct fc_writer *writer, struct fc_index_result *result, struct fc_error *err)
{
    struct fc_plan_file f = {.id = 0};
    struct fc_error why;
    int rc, failed;

    if (fc_writer_owns(writer, input->dev, input->ino)) {
        /* in a folder it is to be expected: the index may lie beside its captures */
        if (input->named) {
            result->files_refused++;
            fc_error_set(&why, FC_E_USAGE, input->path, FC_NO_OFFSET, "is the index itself");
            fc_notice_add(result, FC_NOTICE_REFUSED, &why);
        }
        return 0;
    }
    if (plan->adding && (rc = fc_known_by_times(plan, writer, input, result, &why))) {
        if (rc == FC_E_IO && fc_writer_status(writer, NULL) == 0)
            return refuse(result, &why);
        if (rc < 0)
            *err = why;
        return rc < 0 ? rc : 0;
    }
    rc = fc_file_open_held(input->held, input->path, input->bytes ? input->bytes : UINT64_MAX, &f.file, &why);
    if (rc == FC_E_FORMAT && plan->adding && (failed = fc_known_replaced(plan, writer, input->path, err)))
        return failed;
    if (rc == FC_E_NOMEM || rc == FC_E_LIMIT) {
        *err = why;
        return rc;
    }
    if (rc) {
        /* a folder may hold anything; what the user named must be a capture, and what cannot be read may be one */
        bool refused = input->named || rc == FC_E_IO;
        result->files_refused += refused;
        fc_notice_add(result, refused ? FC_NOTICE_REFUSED : FC_NOTICE_SKIPPED, &why);
        return 0;
    }
    f.file.tail = input->tail;
    f.file.tail_base = input->tail_base;
    read_once(&f.file);
    rc = peek(reader, &f, &why);
    if (rc == 0 && plan->adding)
        rc = fc_known_by_content(plan, writer, &f, result, &why);
    if (rc == 0)
        rc = look_closer(reader, &f, &why);
    if ((rc == FC_E_CHANGED || rc == FC_E_IO) && fc_writer_status(writer, NULL) == 0) {
        fini_file(&f);
        return refuse(result, &why);
    }
    if (rc) {
        fini_file(&f);
        if (rc < 0)
            *err = why;
        return rc < 0 ? rc : 0;
    }
    f.named = input->named;
    f.order = order;
    if (f.file.source || !keep_open(plan->count))
        fc_file_rest(&f.file);
    if (fc_vector_reserve(&plan->files, &plan->room, plan->count + 1, sizeof *plan->files)) {
        fini_file(&f);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    plan->files[plan->count++] = f;
    plan->bytes += share(&f);
    return 0;
}

static int compare_inode(const void *a, const void *b)
{
    const struct fc_plan_file *x = a, *y = b;

    if (x->file.dev != y->file.dev)
        return x->file.dev < y->file.dev ? -1 : 1;
    if (x->file.ino != y->file.ino)
        return x->file.ino < y->file.ino ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int compare_start(const void *a, const void *b)
{
    const struct fc_plan_file *x = a, *y = b;

    if (x->first_ns != y->first_ns)
        return x->first_ns < y->first_ns ? -1 : 1;
    return strcmp(x->file.path, y->file.path);
}

/* The same file under two names counts once. */
static void drop_twins(struct fc_plan *plan, struct fc_index_result *result)
{
    size_t n = 0;

    if (plan->count)
        qsort(plan->files, plan->count, sizeof *plan->files, compare_inode);
    for (size_t i = 0; i < plan->count; i++) {
        struct fc_plan_file *f = &plan->files[i];
        if (n && plan->files[n - 1].file.dev == f->file.dev && plan->files[n - 1].file.ino == f->file.ino) {
            struct fc_error why;
            fc_error_set(&why, FC_E_USAGE, f->file.path, FC_NO_OFFSET, "is the same file as %.400s",
                         plan->files[n - 1].file.path);
            if (strcmp(f->file.path, plan->files[n - 1].file.path) != 0)
                fc_notice_add(result, FC_NOTICE_SKIPPED, &why);
            plan->bytes -= share(f);
            fini_file(f);
            continue;
        }
        if (n != i) {
            plan->files[n] = *f;
            f->file.fd = -1;
            f->file.path = NULL;
            f->head = NULL;
            f->state = NULL;
        }
        n++;
    }
    plan->count = n;
}

static int compare_id(const void *a, const void *b)
{
    const struct fc_plan_file *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return strcmp(x->file.path, y->file.path);
}

/* Two that have become of one capture: the second is a copy that has grown, too. */
static void drop_same(struct fc_plan *plan, struct fc_index_result *result)
{
    size_t n = 0;

    if (plan->count)
        qsort(plan->files, plan->count, sizeof *plan->files, compare_id);
    for (size_t i = 0; i < plan->count; i++) {
        struct fc_plan_file f = plan->files[i];
        if (n && f.id && plan->files[n - 1].id == f.id) {
            struct fc_error why;
            fc_error_set(&why, FC_E_USAGE, f.file.path, FC_NO_OFFSET, "is a copy of %.400s",
                         plan->files[n - 1].file.path);
            fc_notice_add(result, FC_NOTICE_SKIPPED, &why);
            plan->bytes -= share(&f);
            fini_file(&f);
            continue;
        }
        plan->files[n++] = f;
    }
    plan->count = n;
}

static int compare_order(const void *a, const void *b)
{
    const struct fc_plan_file *x = a, *y = b;

    return x->order < y->order ? -1 : x->order > y->order;
}

/* Of captures with the same content the first one stays. */
static int drop_copies(struct fc_plan *plan, const struct fc_plan_options *o, struct fc_index_result *result,
                       struct fc_error *err)
{
    size_t n = 0;
    int rc = plan->keep_copies ? 0 : fc_copies_find(plan, o->jobs, o->save.stop, err);

    if (rc == 0 && plan->count)
        qsort(plan->files, plan->count, sizeof *plan->files, compare_order);
    for (size_t i = 0; i < plan->count && rc == 0; i++) {
        struct fc_plan_file f = plan->files[i];
        if (f.copy_of) {
            struct fc_error why;
            fc_error_set(&why, FC_OK, f.file.path, FC_NO_OFFSET, "is a copy of %.400s, which is indexed", f.copy_of);
            fc_notice_add(result, FC_NOTICE_COPY, &why);
            plan->bytes -= share(&f);
            fini_file(&f);
            continue;
        }
        plan->files[n++] = f;
    }
    plan->count = rc == 0 ? n : plan->count;
    return rc;
}

static void number(struct fc_plan *plan)
{
    uint32_t id = plan->first_id;

    for (size_t i = 0; i < plan->count; i++)
        if (!plan->files[i].state)
            plan->files[i].id = id++;
}

static int number_files(struct fc_plan *plan, struct fc_writer *writer, struct fc_error *err)
{
    int64_t last_ns;
    uint32_t id;
    int rc = fc_writer_last(writer, &id, &last_ns, err);

    if (rc)
        return rc;
    if (plan->count)
        qsort(plan->files, plan->count, sizeof *plan->files, compare_start);
    plan->first_id = id + 1;
    number(plan);
    for (size_t i = 0; i < plan->count; i++) {
        struct fc_plan_file *f = &plan->files[i];
        plan->older |= last_ns != FC_TIME_NONE && f->bound_ns < last_ns && !f->empty;
        if (f->state) /* captures that grow side by side do so each time */
            continue;
        f->early = last_ns != FC_TIME_NONE && f->first_ns != FC_TIME_NONE && f->first_ns < last_ns;
    }
    return 0;
}

int fc_plan_make(struct fc_plan *plan, const char *const *paths, size_t count, const struct fc_plan_options *options,
                 struct fc_writer *writer, struct fc_index_result *result, struct fc_error *err)
{
    const struct fc_save *save = &options->save;
    struct fc_inputs inputs = {0};
    struct fc_reader reader;
    int64_t last_ns;
    uint32_t last;
    int rc;

    memset(plan, 0, sizeof *plan);
    plan->keep_copies = options->keep_copies;
    plan->stop = save->stop;
    if (fc_reader_init(&reader, PEEK_BUFFER))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    rc = fc_writer_last(writer, &last, &last_ns, err);
    plan->adding = rc == 0 && last != 0;
    if (rc == 0)
        rc = fc_inputs_collect(&inputs, paths, count, save, result, err);
    if (rc == 0)
        rc = fc_inputs_offer(&inputs, options->offered, options->offered_count, result, err);
    for (size_t i = 0; i < inputs.count && rc == 0; i++)
        rc = save->stop && __atomic_load_n(save->stop, __ATOMIC_RELAXED)
                 ? fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted")
                 : add_file(plan, &inputs.items[i], i, &reader, writer, result, err);
    fc_inputs_fini(&inputs);
    fc_reader_fini(&reader);
    if (rc == 0) {
        drop_twins(plan, result);
        drop_same(plan, result);
        rc = drop_copies(plan, options, result, err);
    }
    if (rc == 0) {
        result->files_gone = plan->gone_count;
        rc = number_files(plan, writer, err);
    }
    if (rc)
        fc_plan_fini(plan);
    return rc;
}

void fc_plan_drop(struct fc_plan *plan, size_t i)
{
    plan->bytes -= share(&plan->files[i]);
    fini_file(&plan->files[i]);
    memmove(&plan->files[i], &plan->files[i + 1], (plan->count - i - 1) * sizeof *plan->files);
    plan->count--;
    number(plan);
}

int fc_plan_reopen(struct fc_plan_file *f, struct fc_error *err)
{
    struct fc_file again;
    int rc;

    if (f->file.fd >= 0 || f->file.compression != FC_COMPRESSION_NONE)
        return 0;
    if ((rc = fc_file_open_held(f->file.held, f->file.path, f->file.stored_size, &again, err)))
        return rc;
    if (again.dev != f->file.dev || again.ino != f->file.ino || again.size < f->file.size ||
        again.compression != f->file.compression || again.format != f->file.format) {
        fc_file_close(&again);
        return fc_error_set(err, FC_E_CHANGED, f->file.path, FC_NO_OFFSET, "was replaced while it was being indexed");
    }
    read_once(&again);
    f->file.fd = again.fd;
    free(again.path);
    return 0;
}
