/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/ticker.h"
#include "index/finish.h"
#include "index/libpcap.h"
#include "index/run.h"
#include "store/watch_lock.h"
#include "store/writer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <urcu.h>

enum {
    JOBS_MAX = 256,
    FEED_CHUNK_BYTES = 16 << 20,
    SPOOL_BYTES_MAX = 4 << 20,
    WRITE_BYTES_MIN = 8 << 20,
    WRITE_BYTES_LESS = 16 << 20 /* what writing takes besides */
};

#define MIB ((uint64_t)1 << 20)

struct run {
    const char *db_path;
    struct fc_writer *writer;
    struct fc_settings settings;
    struct fc_plan plan;
    struct fc_pipeline pipeline;
    bool fresh;
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void phase(struct fc_progress *progress, uint32_t n)
{
    if (progress)
        __atomic_store_n(&progress->phase, n, __ATOMIC_RELAXED);
}

/* A setting of the index against the one asked for. Takes `stored`. */
static int agree(const char *name, const char *asked, const char *stored, struct fc_error *err)
{
    if (!asked || strcmp(asked, stored) == 0)
        return 0;
    return fc_error_set(
        err, FC_E_USAGE, NULL, FC_NO_OFFSET,
        "the index was made with --%s '%s', and what is added must be too; use another database for '%s'", name, stored,
        asked);
}

/* Settings of an existing index hold; what was asked for must be the same. */
static int settings_of_index(struct run *run, const struct fc_index_options *options, struct fc_error *err)
{
    static const char *const names[] = {"profile", "timeouts", "fields", "filter", "exclude_net", "key"};
    struct fc_index_options o = *options;
    const char **texts[] = {&o.profile, &o.timeouts, &o.fields, &o.filter, &o.exclude_net, &o.key};
    char *stored[6] = {0};
    struct fc_settings asked = {0};
    int rc = fc_settings_init(&asked, options, err); /* puts lists into their stored form */

    const char *normal[] = {asked.profile, asked.timeouts,    asked.field_list,
                            asked.filter,  asked.exclude_net, asked.key};
    static const char *const flags[] = {"profile", "timeout", "fields", "filter", "exclude-net", "key"};
    for (int i = 0; i < 6 && rc == 0; i++) {
        if ((rc = fc_writer_meta(run->writer, names[i], &stored[i], err)) == 0)
            rc = agree(flags[i], *texts[i] ? normal[i] : NULL, stored[i], err);
        *texts[i] = stored[i];
    }
    fc_settings_fini(&asked);
    if (rc == 0)
        rc = fc_settings_init(&run->settings, &o, err);
    for (int i = 0; i < 6; i++)
        free(stored[i]);
    return rc;
}

static int settings_to_index(struct run *run, struct fc_error *err)
{
    const struct fc_settings *s = &run->settings;
    const char *pairs[][2] = {{"profile", s->profile}, {"timeouts", s->timeouts},       {"fields", s->field_list},
                              {"filter", s->filter},   {"exclude_net", s->exclude_net}, {"key", s->key}};
    int rc = 0;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && rc == 0; i++)
        rc = fc_writer_set_meta(run->writer, pairs[i][0], pairs[i][1], err);
    return rc;
}

/* A file that has grown, from where it was read before. */
static int go_on(struct fc_scan_file *f, const struct fc_file_state *state, struct fc_error *err)
{
    f->next_off = f->claim_off = state->end_off;
    f->header_bytes = state->header_bytes;
    f->record_bytes = state->record_bytes;
    f->other_bytes = state->other_bytes;
    f->records = state->records;
    f->ignored = state->ignored;
    f->malformed = state->malformed;
    f->backward = state->backward;
    f->first_ns = state->first_ns;
    f->last_ns = state->last_ns;
    f->tail_ns = state->tail_ns;
    if (fc_section_copy(&f->section, &state->section) || fc_scan_file_met(f, state->ifaces, state->iface_count))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    return 0;
}

/* What is to be known of the files before they are read, and the feeder for those that are compressed. */
static int init_files(struct run *run, struct fc_error *err)
{
    struct fc_pipeline *p = &run->pipeline;
    /* of a compressed file whole chunks are held in memory */
    uint64_t feed_bytes = fc_pipeline_chunk_bytes(p, 1);
    int rc = fc_feeder_new(&run->plan, fc_writer_folder(run->writer), p->memory_bytes / 4, feed_bytes, &p->feeder, err);

    for (size_t i = 0; i < run->plan.count; i++) {
        struct fc_scan_file *f = &p->files[i];
        f->plan = &run->plan.files[i];
        f->feed = fc_feed_of(f->plan);
        if (f->feed)
            f->plan->file.size = FC_SIZE_UNKNOWN;
        f->stored_fingerprint = f->plan->stored_fingerprint;
        f->next_off = f->plan->file.data_off;
        f->section.number = f->plan->file.format == FC_FORMAT_PCAPNG ? UINT32_MAX : 0;
        f->open.off = f->tail_off = FC_NO_OFFSET;
        f->header_bytes = f->plan->file.data_off;
        f->first_ns = f->last_ns = f->tail_ns = FC_TIME_NONE;
        if (rc == 0 && f->plan->state && f->plan->state->end_off)
            rc = go_on(f, f->plan->state, err);
        else if (rc == 0 && f->header_bytes && fc_scan_file_met(f, &f->plan->file.pcap.iface, 1))
            rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    return rc;
}

static unsigned jobs_of(const struct fc_index_options *o)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned jobs = o->jobs ? o->jobs : cpus > 0 ? (unsigned)cpus : 1;

    return jobs < JOBS_MAX ? jobs : JOBS_MAX;
}

static int init_pipeline(struct run *run, const struct fc_index_options *o, struct fc_progress *progress,
                         const int *stop, struct fc_error *err)
{
    struct fc_pipeline *p = &run->pipeline;

    p->settings = &run->settings;
    p->plan = &run->plan;
    p->chunk_bytes = o->chunk_bytes;
    p->memory_bytes = o->memory_bytes ? o->memory_bytes : 512 * MIB;
    if (p->memory_bytes < 16 * MIB)
        p->memory_bytes = 16 * MIB;
    p->jobs = jobs_of(o);
    p->progress = progress;
    p->stop = stop;
    p->clock_ns = FC_TIME_NONE;
    p->table = fc_table_new(&run->settings.rules, run->settings.fields != 0, fc_writer_folder(run->writer));
    p->spools = calloc(p->jobs + 1, sizeof *p->spools);
    p->files = calloc(run->plan.count + 1, sizeof *p->files);
    if (!p->table || !p->spools || !p->files)
        goto nomem;
    /* more would save no time, and what they take would grow with the capture */
    size_t spool_bytes = p->memory_bytes / 2 / (p->jobs + 1);
    if (spool_bytes > SPOOL_BYTES_MAX)
        spool_bytes = SPOOL_BYTES_MAX;
    for (unsigned i = 0; i <= p->jobs; i++)
        if (!(p->spools[i] = fc_spool_new(fc_writer_folder(run->writer), spool_bytes)))
            goto nomem;
    if (!(p->fragments = fc_fragments_new(p->table)))
        goto nomem;
    return 0;
nomem:
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static void fini_pipeline(struct run *run)
{
    struct fc_pipeline *p = &run->pipeline;

    fc_feeder_free(p->feeder);
    fc_fragments_free(p->fragments);
    fc_table_free(p->table);
    fc_recall_close(p->recall);
    for (unsigned i = 0; p->spools && i <= p->jobs; i++)
        fc_spool_free(p->spools[i]);
    free(p->spools);
    for (size_t i = 0; p->files && i < run->plan.count; i++) {
        fc_section_free(&p->files[i].section);
        free(p->files[i].ifaces);
        free(p->files[i].damage.items);
    }
    free(p->files);
    memset(p, 0, sizeof *p);
    p->bad_file = SIZE_MAX;
}

/* Sessions of the index on their way to the table. */
struct priors {
    struct run *run;
    struct fc_unit *unit; /* in the order of their places, when they are not handed over one by one */
    struct fc_shelf shelf;
    struct fc_prior_entry {
        struct fc_flow_key key;
        struct fc_prior prior;
    } * list; /* those that captures may come in front of */
    size_t count, room;
};

/* Hands one on, in its turn. */
static int put_prior(struct priors *p, const struct fc_flow_key *key, const struct fc_prior *prior)
{
    struct fc_table *table = p->run->pipeline.table;
    struct fc_placed placed = {.place = {prior->session.first_ns, (uint64_t)prior->id, 0, 0}};
    struct fc_side side = {.placed = &placed, .prior = prior};
    struct fc_note note = {.ts_ns = FC_TIME_NONE};

    if (!p->unit && (!(p->unit = fc_unit_new(fc_table_stock(table))) || fc_unit_begin(p->unit, 0, 0)))
        return FC_E_NOMEM;
    return fc_unit_put(p->unit, &p->shelf, &note, key, FC_NOTE_PLACED | FC_NOTE_PRIOR, 0, &side, fc_table_seed(table));
}

static void hand_over_priors(struct priors *p)
{
    if (p->unit)
        fc_table_hand_over(p->run->pipeline.table, p->unit, &p->shelf);
    p->unit = NULL;
}

/* A session of the index that the new captures may continue. */
static int prior(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_session_sum *session)
{
    struct priors *p = ctx;

    if (fc_vector_reserve(&p->list, &p->room, p->count + 1, sizeof *p->list))
        return FC_E_NOMEM;
    p->list[p->count++] = (struct fc_prior_entry){*key, {*session, id}};
    return 0;
}

static int compare_priors(const void *a, const void *b)
{
    const struct fc_prior *x = &((const struct fc_prior_entry *)a)->prior,
                          *y = &((const struct fc_prior_entry *)b)->prior;

    if (x->session.first_ns != y->session.first_ns)
        return x->session.first_ns < y->session.first_ns ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int restore_first(void *ctx, const struct fc_first *first)
{
    return fc_fragments_restore_first(((struct run *)ctx)->pipeline.fragments, first);
}

static int restore_waiting(void *ctx, const struct fc_waiting *waiting)
{
    return fc_fragments_restore_waiting(((struct run *)ctx)->pipeline.fragments, waiting);
}

/* All of them, as some capture is older than the clock. */
static int load_sessions(struct run *run, int64_t clock_ns, struct fc_error *err)
{
    const struct fc_rules *rules = &run->settings.rules;
    struct priors p = {.run = run};
    struct fc_prior_options options = {rules, clock_ns, INT64_MIN, INT64_MAX, prior, &p};
    int64_t from_ns = INT64_MIN;
    int rc;

    for (size_t i = 0; i < run->plan.count && from_ns == INT64_MIN; i++)
        from_ns = run->plan.files[i].first_ns; /* FC_TIME_NONE is INT64_MIN */
    for (size_t i = 0; i < run->plan.count; i++)
        if (run->plan.files[i].bound_ns < options.begin_ns && !run->plan.files[i].empty)
            options.begin_ns = run->plan.files[i].bound_ns;
    /* a later fragment has the place of its first one */
    if (__builtin_sub_overflow(options.begin_ns, FC_FRAGMENT_WINDOW_NS, &options.begin_ns))
        options.begin_ns = INT64_MIN;
    if (!__builtin_sub_overflow(from_ns, fc_rules_longest_ns(rules), &from_ns))
        options.from_ns = from_ns;
    fc_shelf_init(&p.shelf, fc_table_stock(run->pipeline.table));
    rc = fc_writer_priors(run->writer, &options, err);
    if (rc == 0 && p.count)
        qsort(p.list, p.count, sizeof *p.list, compare_priors);
    for (size_t i = 0; i < p.count && rc == 0; i++)
        if ((rc = put_prior(&p, &p.list[i].key, &p.list[i].prior)))
            fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    if (rc == 0)
        hand_over_priors(&p);
    fc_unit_free(p.unit, &p.shelf);
    fc_shelf_fini(&p.shelf);
    free(p.list);
    return rc;
}

/* Otherwise the table asks for those that it needs. */
static int prepare_recall(struct run *run, int64_t clock_ns, struct fc_error *err)
{
    struct fc_pipeline *p = &run->pipeline;
    int rc = fc_recall_open(run->writer, clock_ns, &p->recall, err);

    if (p->recall)
        fc_table_recall_by(p->table, &(struct fc_recaller){fc_recall_find, p->recall});
    return rc;
}

static int load_priors(struct run *run, struct fc_error *err)
{
    struct fc_fragment_reader fragments = {restore_first, restore_waiting, run};
    int64_t clock_ns;
    uint32_t id;
    int rc = fc_writer_last(run->writer, &id, &clock_ns, err);

    if (rc == 0)
        rc = run->plan.older ? load_sessions(run, clock_ns, err) : prepare_recall(run, clock_ns, err);
    if (rc == 0)
        rc = fc_writer_fragments(run->writer, run->settings.fields != 0, &fragments, err);
    run->pipeline.clock_ns = clock_ns;
    return rc;
}

/*
 * Every record read is in a session or was ignored, every byte is a header, a record, another block or lost; anything
 * else is a fault of this program, and must not be stored.
 */
static int check_balance(const struct fc_index_result *r, struct fc_error *err)
{
    if (r->packets + r->ignored != r->records)
        return fc_error_set(
            err, FC_E_MISMATCH, NULL, FC_NO_OFFSET,
            "internal fault: %llu records read, %llu packets in sessions, %llu ignored; nothing was written",
            (unsigned long long)r->records, (unsigned long long)r->packets, (unsigned long long)r->ignored);
    if (r->header_bytes + r->record_bytes + r->other_bytes + r->skipped_bytes + r->pending_bytes == r->bytes)
        return 0;
    return fc_error_set(err, FC_E_MISMATCH, NULL, FC_NO_OFFSET,
                        "internal fault: of %llu bytes %llu are headers, %llu records, %llu other blocks, %llu lost, "
                        "%llu pending; nothing was written",
                        (unsigned long long)r->bytes, (unsigned long long)r->header_bytes,
                        (unsigned long long)r->record_bytes, (unsigned long long)r->other_bytes,
                        (unsigned long long)r->skipped_bytes, (unsigned long long)r->pending_bytes);
}

/*
 * Memory for writing: an eighth of all, but less than the flows have taken; so the peak is that of reading, which does
 * not grow.
 */
static size_t write_bytes(const struct fc_pipeline *p, uint64_t flows)
{
    uint64_t bytes = WRITE_BYTES_MIN;

    if (flows > WRITE_BYTES_LESS + bytes)
        bytes = flows - WRITE_BYTES_LESS;
    return (size_t)(bytes < p->memory_bytes / 8 ? bytes : p->memory_bytes / 8);
}

static int read_once(struct run *run, const struct fc_index_options *o, struct fc_progress *progress, const int *stop,
                     struct fc_error *err)
{
    int rc = init_pipeline(run, o, progress, stop, err);

    if (rc || (rc = init_files(run, err)))
        return rc;
    if (!run->fresh && (rc = load_priors(run, err)))
        return rc;
    phase(progress, 1);
    return fc_pipeline_run(&run->pipeline, err);
}

/*
 * Reads all captures. One that cannot be read, or is another one by now, is refused; what it has given until then is
 * everywhere, so all begins anew without it.
 */
static int read_all(struct run *run, const struct fc_index_options *o, struct fc_progress *progress, const int *stop,
                    struct fc_index_result *result, struct fc_error *err)
{
    int rc;

    run->pipeline.bad_file = SIZE_MAX;
    while ((rc = read_once(run, o, progress, stop, err)) && run->pipeline.bad_file != SIZE_MAX) {
        size_t bad = run->pipeline.bad_file;
        result->files_refused++;
        if (!err->file[0])
            fc_error_set(err, rc, run->plan.files[bad].file.path, err->off, "%s", fc_strerror(rc));
        fc_notice_add(result, FC_NOTICE_REFUSED, err);
        fini_pipeline(run);
        fc_plan_drop(&run->plan, bad);
        if (!run->plan.count)
            return fc_error_set(err, FC_E_FORMAT, NULL, FC_NO_OFFSET, "no capture to index");
        if (progress) {
            __atomic_store_n(&progress->bytes_done, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&progress->files_done, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&progress->records, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&progress->sessions, 0, __ATOMIC_RELAXED);
        }
    }
    return rc;
}

static int read_and_write(struct run *run, const struct fc_index_options *o, struct fc_progress *progress,
                          const int *stop, struct fc_index_result *result, struct fc_error *err)
{
    struct fc_pipeline *p = &run->pipeline;
    int64_t start = now_ns(), written;
    int rc = read_all(run, o, progress, stop, result, err);

    if (rc)
        return rc;
    fc_recall_close(p->recall);
    p->recall = NULL;
    phase(progress, 2);
    fc_writer_set_memory(run->writer, write_bytes(p, p->peak_bytes));
    result->read_ns = now_ns() - start;
    result->rescanned_chunks = p->rescanned;
    result->peak_flows = p->peak_flows;
    result->suspended = p->suspended;
    phase(progress, 3);
    if (p->jobs == 1)
        fc_writer_set_alone(run->writer);
    start = now_ns();
    if ((rc = fc_write_index(p, run->writer, result, err)) || (rc = check_balance(result, err)))
        return rc;
    rc = fc_writer_commit(run->writer, &result->sync_ns, err);
    if (rc == 0 && fc_writer_wal_left(run->writer)) {
        struct fc_error why;
        fc_error_set(&why, FC_OK, run->db_path, FC_NO_OFFSET,
                     "has a -wal or -journal file beside it, since it is being read, or the disk is full or fails; copy"
                     " both, until the next run that adds to it has made them one");
        fc_notice_add(result, FC_NOTICE_WAL, &why);
    }
    written = now_ns() - start;
    result->write_ns = written - result->sync_ns;
    phase(progress, 4);
    return rc;
}

/* The same once more, when another run has added to the index between planning and beginning. */
static int plan_again(struct run *run, const char *const *paths, size_t count, const struct fc_plan_options *options,
                      struct fc_index_result *result, struct fc_error *err)
{
    const char *saved = options->save.path;
    struct fc_plan_options done = *options;
    const char **again = malloc((count + 1) * sizeof *again);
    struct stat st;
    int rc;

    if (!again)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < count; i++) /* a stream has been read, and is a file by now */
        again[i] = saved && (strcmp(paths[i], "-") == 0 || (stat(paths[i], &st) == 0 && S_ISFIFO(st.st_mode)))
                       ? saved
                       : paths[i];
    done.save.path = NULL;
    fc_plan_fini(&run->plan);
    memset(result, 0, offsetof(struct fc_index_result, notices)); /* what was told stays told */
    rc = fc_plan_make(&run->plan, again, count, &done, run->writer, result, err);
    free(again);
    return rc;
}

static int plan_and_read(struct run *run, const struct fc_index_input *in, const struct fc_index_options *o,
                         struct fc_progress *progress, const int *stop, struct fc_index_result *result,
                         struct fc_error *err)
{
    const struct fc_plan_options options = {
        {o->spool, &o->rights, run->db_path, stop}, o->keep_copies, jobs_of(o), in->offered, in->offered_count};
    int rc = fc_plan_make(&run->plan, in->paths, in->path_count, &options, run->writer, result, err);

    if (rc)
        return rc;
    if (run->plan.count && (rc = fc_writer_begin(run->writer, err)) &&
        (rc < 0 || (rc = plan_again(run, in->paths, in->path_count, &options, result, err))))
        return rc;
    if (!run->plan.count) {
        if (run->plan.changed && (rc = fc_writer_commit(run->writer, NULL, err)))
            return rc;
        if (result->files_known || result->files_copied || run->plan.changed) /* nothing new, but names perhaps */
            return 0;
        return fc_error_set(err, FC_E_FORMAT, NULL, FC_NO_OFFSET, "no capture to index");
    }
    __atomic_store_n(&progress->bytes_total, run->plan.bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->files_total, run->plan.count, __ATOMIC_RELAXED);
    return read_and_write(run, o, progress, stop, result, err);
}

static int plan_and_run(struct run *run, const struct fc_index_input *in, const struct fc_index_options *o,
                        struct fc_progress *progress, const int *stop, struct fc_index_result *result,
                        struct fc_error *err)
{
    struct fc_ticker ticker;
    int rc = run->fresh ? fc_settings_init(&run->settings, o, err) : settings_of_index(run, o, err);

    if (rc || (run->fresh && ((rc = fc_door_check(&run->settings, err)) || (rc = settings_to_index(run, err)))))
        return rc;
    if (o->ready) {
        bool filter = run->settings.filter && run->settings.filter[0];
        if (filter)
            (void)fc_libpcap(NULL); /* who cannot load it is told when it is needed */
        o->ready(o->ready_ctx, filter);
    }
    fc_ticker_start(&ticker, progress, o->progress, o->progress_ctx); /* a thread: behind ready() */
    rc = plan_and_read(run, in, o, progress, stop, result, err);
    fc_ticker_stop(&ticker);
    return rc;
}

/* Opens the index; with `wait` asks again until no other process writes it. watched: that is no matter, it is us. */
static int open_writer(struct run *run, bool watched, bool wait, const int *stop, struct fc_error *err)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    int rc;

    while (((rc = watched ? 0 : fc_watch_lock_check(run->db_path, err)) ||
            (rc = fc_writer_open(run->db_path, &run->writer, &run->fresh, err))) &&
           rc == FC_E_BUSY && wait) {
        if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))
            return fc_error_set(err, FC_E_INTERRUPTED, run->db_path, FC_NO_OFFSET, "interrupted");
        nanosleep(&pause, NULL); /* a signal ends it early */
    }
    return rc;
}

int fc_index_input(const char *db_path, const struct fc_index_input *in, const struct fc_index_options *options,
                   struct fc_progress *progress, const int *stop, struct fc_index_result *result, struct fc_error *err)
{
    struct fc_index_options o = options ? *options : (struct fc_index_options){0};
    struct fc_progress own = {0};
    struct fc_error local;
    struct run run = {0};
    int rc;

    err = err ? err : &local;
    err->code = FC_OK;
    memset(result, 0, sizeof *result);
    result->notice = o.notice;
    result->notice_ctx = o.notice_ctx;
    if (o.chunk_bytes && (o.chunk_bytes < 65536 || o.chunk_bytes > FC_CHUNK_MAX))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "chunk size must be 65536 to %llu bytes",
                            (unsigned long long)FC_CHUNK_MAX);
    run.db_path = db_path;
    rc = open_writer(&run, in->watched, o.wait, stop, err);
    if (rc == 0) {
        fc_writer_set_stop(run.writer, stop);
        if (o.unsynced)
            fc_writer_set_unsynced(run.writer);
        if (in->watched)
            fc_writer_set_staying(run.writer);
        rc = fc_writer_give_rights(run.writer, &o.rights, err);
    }
    if (rc == 0)
        rc = plan_and_run(&run, in, &o, progress ? progress : &own, stop, result, err);
    fini_pipeline(&run);
    fc_plan_fini(&run.plan);
    fc_settings_fini(&run.settings);
    fc_writer_close(run.writer);
    if (rc && err->code != rc) /* memory that ran out where there is no more to say of it */
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
    return rc;
}

FC_EXPORT int fc_index_run(const char *db_path, const char *const *paths, size_t path_count,
                           const struct fc_index_options *options, struct fc_progress *progress, const int *stop,
                           struct fc_index_result *result, struct fc_error *err)
{
    const struct fc_index_input input = {.paths = paths, .path_count = path_count};

    return fc_index_input(db_path, &input, options, progress, stop, result, err);
}

FC_EXPORT void fc_index_result_fini(struct fc_index_result *result)
{
    free(result->notices);
    result->notices = NULL;
    result->notice_count = 0;
}
