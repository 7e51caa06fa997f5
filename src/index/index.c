/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "index/finish.h"
#include "index/held.h"
#include "index/sweeping.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <urcu.h>

enum {
    JOBS_MAX = 256,
    FEED_CHUNK_BYTES = 16 << 20,
    SPOOL_BYTES_MAX = 4 << 20,
    LONG_RECORD_BYTES = 256,
    WRITE_BYTES_MIN = 8 << 20,
    WRITE_BYTES_LESS = 16 << 20, /* what writing takes besides */
    PRIORS_BATCH = 16,
    PRIORS_LOOK = 0xfff /* priors between looks at the memory that they take */
};

#define MIB ((uint64_t)1 << 20)

struct run {
    struct fc_writer *writer;
    struct fc_settings settings;
    struct fc_plan plan;
    struct fc_pipeline pipeline;
    struct fc_held held;
    struct fc_pool pool; /* for what is settled under the pipeline's lock, and before it starts */
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
        stored[i] = fc_writer_meta(run->writer, names[i]);
        if (!stored[i])
            rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        else
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

/*
 * Larger chunks have fewer, longer runs. But all threads shall have some until the end, and what is known of a chunk's packets shall
 * not take more memory than it saves time: so only those of a large capture of long records are larger, and with little memory all
 * are smaller: it takes up to three times a chunk's size. file: NULL: any.
 */
static uint64_t chunk_of(const struct fc_pipeline *p, const struct fc_plan_file *file)
{
    if (p->chunk_bytes)
        return p->chunk_bytes;
    if (p->memory_bytes < 512 * MIB)
        return p->memory_bytes < 32 * MIB ? MIB : p->memory_bytes / 32;
    return file && file->record_bytes >= LONG_RECORD_BYTES ? 32 * MIB : 16 * MIB;
}

/* What is to be known of the files before they are read, and the feeder for those that are compressed. */
static int init_files(struct run *run, struct fc_error *err)
{
    struct fc_pipeline *p = &run->pipeline;
    /* of a compressed file whole chunks are held in memory */
    uint64_t feed_bytes = chunk_of(p, NULL) < FEED_CHUNK_BYTES ? chunk_of(p, NULL) : FEED_CHUNK_BYTES;
    int rc = fc_feeder_new(&run->plan, fc_writer_folder(run->writer), p->memory_bytes / 4, feed_bytes, &p->feeder, err);

    for (size_t i = 0; i < run->plan.count; i++) {
        struct fc_scan_file *f = &p->files[i];
        f->plan = &run->plan.files[i];
        f->feed = fc_feed_of(f->plan);
        f->chunk_bytes = f->feed ? feed_bytes : chunk_of(p, f->plan);
        f->fingerprint = f->plan->fingerprint;
        f->next_off = f->plan->file.data_off;
        f->section.number = f->plan->file.format == FC_FORMAT_PCAPNG ? UINT32_MAX : 0;
        f->open.off = FC_NO_OFFSET;
        f->header_bytes = f->plan->file.data_off;
        f->first_ns = f->last_ns = f->tail_ns = FC_TIME_NONE;
        if (rc == 0 && f->header_bytes && fc_scan_file_met(f, &f->plan->file.pcap.iface, 1))
            rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    return rc;
}

/* A fragment whose session is known now, as a run of one packet. */
static int settled(void *ctx, const struct fc_flow_key *flow, struct fc_node *node)
{
    struct run *run = ctx;
    struct fc_table *table = run->pipeline.table;
    int rc = fc_table_publish(table, &run->pool, flow, fc_table_hash(table, flow), node);

    free(node);
    return rc;
}

/* Half of the memory is for flows; few, of small captures and of an index that has few open, need no large table. */
static int table_bytes(const struct run *run, uint64_t *bytes, struct fc_error *err)
{
    uint64_t most = run->pipeline.memory_bytes / 2, priors = 0;
    int rc = run->fresh ? 0 : fc_writer_prior_count(run->writer, run->plan.older, &priors, err);

    *bytes = priors < most / FC_TABLE_FLOW_BYTES ? run->plan.likely_bytes + priors * FC_TABLE_FLOW_BYTES : most;
    if (*bytes > most)
        *bytes = most;
    return rc;
}

static int init_pipeline(struct run *run, const struct fc_index_options *o, struct fc_progress *progress,
                         const int *stop, struct fc_error *err)
{
    struct fc_pipeline *p = &run->pipeline;
    uint64_t flow_bytes;
    int rc;

    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    p->settings = &run->settings;
    p->held = &run->held;
    p->plan = &run->plan;
    p->chunk_bytes = o->chunk_bytes;
    p->memory_bytes = o->memory_bytes ? o->memory_bytes : 512 * MIB;
    if (p->memory_bytes < 16 * MIB)
        p->memory_bytes = 16 * MIB;
    p->sweep_runs = o->sweep_runs;
    p->jobs = o->jobs ? o->jobs : cpus > 0 ? (unsigned)cpus : 1;
    if (p->jobs > JOBS_MAX)
        p->jobs = JOBS_MAX;
    p->progress = progress;
    p->stop = stop;
    p->clock_ns = FC_TIME_NONE;
    if ((rc = table_bytes(run, &flow_bytes, err)))
        return rc;
    p->table = fc_table_new_sized(&run->settings.rules, flow_bytes);
    if (p->table)
        fc_table_pool(p->table, &run->pool);
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
    if (!(p->fragments = fc_fragments_new(settled, run)))
        goto nomem;
    return 0;
nomem:
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static void fini_pipeline(struct run *run)
{
    struct fc_pipeline *p = &run->pipeline;

    fc_feeder_free(p->feeder);
    fc_held_fini(&run->held);
    fc_fragments_free(p->fragments);
    fc_pool_fini(&run->pool);
    fc_table_free(p->table);
    for (unsigned i = 0; p->spools && i <= p->jobs; i++)
        fc_spool_free(p->spools[i]);
    free(p->spools);
    for (size_t i = 0; p->files && i < run->plan.count; i++) {
        fc_section_free(&p->files[i].section);
        free(p->files[i].ifaces);
        free(p->files[i].damage.items);
    }
    free(p->files);
}

/* Sessions of the index on their way to the table, some at a time, so that what they need there is fetched before. */
struct priors {
    struct run *run;
    struct fc_error *err;
    uint64_t all;
    unsigned count;
    struct {
        struct fc_flow_key key;
        uint64_t hash;
        struct fc_node node;
    } item[PRIORS_BATCH];
};

static int publish_priors(struct priors *p)
{
    struct fc_pipeline *pipeline = &p->run->pipeline;
    struct fc_table *table = pipeline->table;
    int rc = 0;

    for (unsigned i = 0; i < p->count; i++)
        fc_table_prefetch_flow(table, p->item[i].hash);
    for (unsigned i = 0; i < p->count && rc == 0; i++)
        rc = fc_table_publish(table, &p->run->pool, &p->item[i].key, p->item[i].hash, &p->item[i].node);
    p->count = 0;
    if (rc == 0 && (p->all & PRIORS_LOOK) == 0)
        rc = fc_sweeping_evict(pipeline, &p->run->pool, p->err);
    return rc;
}

/* A session of the index that the new captures may continue. */
static int prior(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *state)
{
    static const struct fc_extra none;
    struct priors *p = ctx;

    if (fc_held_find(&p->run->held, id))
        return 0; /* it comes in parts */
    p->item[p->count].key = *key;
    p->item[p->count].hash = fc_table_hash(p->run->pipeline.table, key);
    p->item[p->count].node = (struct fc_node){
        .run = *state,
        .db_id = id,
        .prior_packets = state->packets[0] + state->packets[1],
        .extra = p->run->settings.fields ? (struct fc_extra *)(uintptr_t)&none : NULL,
    };
    fc_table_prefetch(p->run->pipeline.table, p->item[p->count].hash);
    p->all++;
    return ++p->count == PRIORS_BATCH ? publish_priors(p) : 0;
}

static int restore_fragment(void *ctx, const struct fc_fragment *first)
{
    return fc_fragments_restore(((struct run *)ctx)->pipeline.fragments, first);
}

static int load_priors(struct run *run, struct fc_error *err)
{
    struct priors priors = {.run = run, .err = err};
    int64_t from_ns = INT64_MIN, last_ns;
    uint32_t id;
    int rc;

    for (size_t i = 0; i < run->plan.count && from_ns == INT64_MIN; i++)
        from_ns = run->plan.files[i].first_ns; /* FC_TIME_NONE is INT64_MIN */
    int64_t longest = 0;
    for (int i = 0; i < FC_TIMEOUT_ACTIVE; i++)
        longest = run->settings.rules.timeout_ns[i] > longest ? run->settings.rules.timeout_ns[i] : longest;
    if (__builtin_sub_overflow(from_ns, longest, &from_ns))
        from_ns = INT64_MIN;
    rc = fc_held_load(&run->held, run->writer, run->pipeline.fragments, run->settings.fields != 0, err);
    if (rc == 0 && (rc = fc_writer_priors(run->writer, run->plan.older, from_ns, prior, &priors, err)) == 0)
        rc = publish_priors(&priors);
    fc_pool_release(&run->pool); /* what was evicted is the workers' */
    if (rc == 0)
        rc = fc_writer_fragments(run->writer, restore_fragment, run, err);
    if (rc == 0 && (rc = fc_writer_last(run->writer, &id, &last_ns, err)) == 0)
        run->pipeline.clock_ns = last_ns;
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
    if (r->header_bytes + r->record_bytes + r->other_bytes + r->skipped_bytes == r->bytes)
        return 0;
    return fc_error_set(err, FC_E_MISMATCH, NULL, FC_NO_OFFSET,
                        "internal fault: of %llu bytes %llu are headers, %llu records, %llu other blocks, %llu lost; "
                        "nothing was written",
                        (unsigned long long)r->bytes, (unsigned long long)r->header_bytes,
                        (unsigned long long)r->record_bytes, (unsigned long long)r->other_bytes,
                        (unsigned long long)r->skipped_bytes);
}

/* Memory for writing: an eighth of all, but less than the flows have taken; so the peak is that of reading, which does not grow. */
static size_t write_bytes(const struct fc_pipeline *p)
{
    uint64_t flows = fc_table_slab_bytes(p->table) + fc_table_fixed_bytes(p->table), bytes = WRITE_BYTES_MIN;

    if (flows > WRITE_BYTES_LESS + bytes)
        bytes = flows - WRITE_BYTES_LESS;
    return (size_t)(bytes < p->memory_bytes / 8 ? bytes : p->memory_bytes / 8);
}

static int read_and_write(struct run *run, const struct fc_index_options *o, struct fc_progress *progress,
                          const int *stop, struct fc_index_result *result, struct fc_error *err)
{
    struct fc_pipeline *p = &run->pipeline;
    int64_t start = now_ns(), written;
    int rc = init_pipeline(run, o, progress, stop, err);

    if (rc || (rc = init_files(run, err)))
        return rc;
    if (!run->fresh) {
        rcu_register_thread();
        rc = load_priors(run, err);
        rcu_unregister_thread();
        if (rc)
            return rc;
    }
    phase(progress, 1);
    if ((rc = fc_pipeline_run(p, err)))
        return rc;
    phase(progress, 2);
    fc_writer_set_memory(run->writer, write_bytes(p));
    /* what comes now takes up its memory */
    fc_pool_fini(&run->pool);
    fc_table_shrink(p->table);
    if ((rc = fc_rejoin(p, result, err)))
        return rc;
    fc_table_free(p->table);
    p->table = NULL;
    result->read_ns = now_ns() - start;
    result->rescanned_chunks = p->rescanned;
    result->peak_flows = p->peak_flows;
    result->runs = p->runs;
    phase(progress, 3);
    if (p->jobs == 1)
        fc_writer_set_alone(run->writer);
    start = now_ns();
    if ((rc = fc_write_index(p, run->writer, result, err)) || (rc = check_balance(result, err)))
        return rc;
    rc = fc_writer_commit(run->writer, &result->sync_ns, err);
    written = now_ns() - start;
    result->write_ns = written - result->sync_ns;
    phase(progress, 4);
    return rc;
}

static int plan_and_run(struct run *run, const char *db_path, const char *const *paths, size_t path_count,
                        const struct fc_index_options *o, struct fc_progress *progress, const int *stop,
                        struct fc_index_result *result, struct fc_error *err)
{
    struct fc_save save = {o->spool, db_path, stop};
    int rc = run->fresh ? fc_settings_init(&run->settings, o, err) : settings_of_index(run, o, err);

    if (rc || (run->fresh && ((rc = fc_door_check(&run->settings, err)) || (rc = settings_to_index(run, err)))))
        return rc;
    if ((rc = fc_plan_make(&run->plan, paths, path_count, &save, run->writer, result, err)))
        return rc;
    if (!run->plan.count) {
        if (result->files_known) /* nothing new, but names perhaps */
            return result->files_moved ? fc_writer_commit(run->writer, NULL, err) : 0;
        return fc_error_set(err, FC_E_FORMAT, NULL, FC_NO_OFFSET, "no capture to index");
    }
    if (progress) {
        __atomic_store_n(&progress->bytes_total, run->plan.bytes, __ATOMIC_RELAXED);
        __atomic_store_n(&progress->files_total, run->plan.count, __ATOMIC_RELAXED);
    }
    return read_and_write(run, o, progress, stop, result, err);
}

FC_EXPORT int fc_index_run(const char *db_path, const char *const *paths, size_t path_count,
                           const struct fc_index_options *options, struct fc_progress *progress, const int *stop,
                           struct fc_index_result *result, struct fc_error *err)
{
    struct fc_index_options o = options ? *options : (struct fc_index_options){0};
    struct fc_error local;
    struct run run = {0};
    int rc;

    err = err ? err : &local;
    err->code = FC_OK;
    memset(result, 0, sizeof *result);
    if (o.chunk_bytes && (o.chunk_bytes < 65536 || o.chunk_bytes > FC_CHUNK_MAX))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "chunk size must be 65536 to %llu bytes",
                            (unsigned long long)FC_CHUNK_MAX);
    rc = fc_writer_open(db_path, &run.writer, &run.fresh, err);
    if (rc == 0)
        rc = plan_and_run(&run, db_path, paths, path_count, &o, progress, stop, result, err);
    fini_pipeline(&run);
    fc_plan_fini(&run.plan);
    fc_settings_fini(&run.settings);
    fc_writer_close(run.writer);
    if (rc && err->code != rc) /* memory that ran out where there is no more to say of it */
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
    return rc;
}

FC_EXPORT void fc_index_result_fini(struct fc_index_result *result)
{
    free(result->notices);
    result->notices = NULL;
    result->notice_count = 0;
}
