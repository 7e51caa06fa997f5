/* SPDX-License-Identifier: MIT */
#include "machine.h"
#include "index/finish.h"
#include "index/held.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <urcu.h>

enum { THREADS_MAX = 8 };

/* Something to publish: a chunk, or a fragment that was settled. */
struct op {
    struct fc_chunk *chunk;
    struct fc_flow_key key;
    struct fc_node *node;
    int64_t low_ns; /* earliest time in it; INT64_MAX */
    atomic_bool done;
};

struct machine {
    struct fc_held held;
    const struct traffic *traffic;
    const struct machine_options *options;
    struct fc_settings settings;
    struct fc_plan plan;
    struct fc_pipeline p;
    struct op *ops;
    size_t op_count, op_room;
    size_t *order;
    atomic_size_t next;
    atomic_uint shard;
    atomic_int failed;
};
struct worker {
    struct machine *m;
    struct rng rng;
    struct fc_pool pool;
    struct fc_join join;
    struct fc_replayer replayer;
    struct fc_emitter emitter;
    pthread_t thread;
};

static struct op *add_op(struct machine *m)
{
    if (m->op_count == m->op_room) {
        m->op_room = m->op_room ? m->op_room * 2 : 64;
        m->ops = realloc(m->ops, m->op_room * sizeof *m->ops);
        if (!m->ops)
            abort();
    }
    struct op *op = &m->ops[m->op_count++];
    memset(op, 0, sizeof *op);
    op->low_ns = INT64_MAX;
    return op;
}

static int settled(void *ctx, const struct fc_flow_key *flow, struct fc_node *node)
{
    struct op *op = add_op(ctx);

    op->key = *flow;
    op->node = node;
    op->low_ns = node->run.min_ns == FC_TIME_NONE ? INT64_MAX : node->run.min_ns;
    return 0;
}

/* The packets [first, first + count) of a file as a chunk. */
static int read_chunk(struct machine *m, uint32_t file, size_t first, size_t count)
{
    struct fc_chunk *c = malloc(sizeof *c);
    struct op *op = add_op(m);
    const struct traffic_packet *p = m->traffic->packets + first;
    int rc;

    if (!c || fc_chunk_init(c, m->p.table, m->options->rules, m->options->extra))
        abort();
    op->chunk = c;
    fc_chunk_begin(c, file, p->rec.off);
    for (size_t i = 0; i < count; i++) {
        if (p[i].rec.ts_ns != FC_TIME_NONE && p[i].rec.ts_ns < op->low_ns)
            op->low_ns = p[i].rec.ts_ns;
        if ((rc = fc_chunk_add(c, &p[i].rec, &p[i].packet)))
            return rc;
    }
    if ((rc = fc_chunk_end(c)))
        return rc;
    for (size_t i = 0; i < c->event_count; i++) {
        struct fc_fragment event = c->events[i];
        c->events[i].node = NULL;
        if ((rc = fc_fragments_event(m->p.fragments, &event)))
            return rc;
    }
    return 0;
}

static int read_files(struct machine *m, struct rng *rng)
{
    const struct traffic *t = m->traffic;
    int rc = 0;

    for (unsigned i = 0; i < t->file_count && rc == 0; i++) {
        const struct traffic_file *f = &t->files[i];
        rc = fc_fragments_begin_file(m->p.fragments, m->plan.files[i].first_ns,
                                     i + 1 == t->file_count ? INT64_MAX : m->plan.files[i + 1].first_ns);
        for (size_t done = 0; done < f->count && rc == 0;) {
            size_t n = 1;
            while (done + n < f->count && !rng_chance(rng, m->options->cut))
                n++;
            rc = read_chunk(m, i + 1, f->first + done, n);
            done += n;
        }
        if (rc == 0)
            rc = fc_fragments_end_of_file(m->p.fragments, i + 1 == t->file_count, fc_fragment_from_ns(t->clock_ns));
    }
    return rc;
}

/* No chunk still to be published starts before it. */
static int64_t contract(const struct machine *m)
{
    int64_t low = m->traffic->clock_ns;

    for (size_t i = 0; i < m->op_count; i++)
        if (!atomic_load(&m->ops[i].done) && m->ops[i].low_ns < low)
            low = m->ops[i].low_ns;
    return low;
}

/* Operations before this one are done; their number, from 1, is the `seq` of their runs. */
static uint64_t done_until(const struct machine *m)
{
    size_t i = 0;

    while (i < m->op_count && atomic_load(&m->ops[i].done))
        i++;
    return i + 1;
}

static int sweep(struct worker *w, unsigned shard, enum fc_sweep_mode mode, int64_t watermark, uint64_t seq)
{
    struct machine *m = w->m;
    struct fc_replay replay = {fc_replayer_read, &w->replayer};
    struct fc_sink sink = {fc_emitter_emit, &w->emitter};
    int rc = fc_table_sweep(m->p.table, &w->pool, shard, mode, watermark, seq, m->p.clock_ns, &w->join, &replay, &sink);

    return rc < 0 ? rc : 0;
}

static int sweep_some(struct worker *w)
{
    struct machine *m = w->m;
    const struct machine_options *o = m->options;
    enum fc_sweep_mode mode = rng_chance(&w->rng, 30)               ? FC_SWEEP_FOLD
                              : o->force && rng_chance(&w->rng, 50) ? FC_SWEEP_FORCE
                                                                    : FC_SWEEP_EXPIRED;
    uint64_t seq = done_until(m);
    int64_t watermark = contract(m);
    int rc = 0;

    if (o->any_watermark && m->traffic->count) {
        const struct traffic_packet *p = &m->traffic->packets[rng_below(&w->rng, m->traffic->count)];
        int64_t later = p->rec.ts_ns + (int64_t)rng_below(&w->rng, 400000000000);
        watermark = p->rec.ts_ns == FC_TIME_NONE || later > m->p.clock_ns ? m->p.clock_ns : later;
    }
    if (watermark == FC_TIME_NONE)
        return 0;
    unsigned from = (unsigned)rng_below(&w->rng, FC_TABLE_SHARDS);
    for (unsigned i = 0; i < FC_TABLE_SHARDS && rc == 0; i++)
        rc = sweep(w, (from + i) % FC_TABLE_SHARDS, mode, watermark, seq);
    return rc;
}

static int publish(struct worker *w, struct op *op)
{
    struct machine *m = w->m;
    int rc;

    if (op->chunk) {
        rc = fc_chunk_publish(op->chunk, m->p.table, &w->pool, (uint32_t)(op - m->ops) + 1);
    } else {
        rc = fc_table_publish(m->p.table, &w->pool, &op->key, fc_table_hash(m->p.table, &op->key), op->node);
    }
    atomic_store(&op->done, true);
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct machine *m = w->m;
    size_t i;
    int rc = 0;

    rcu_register_thread();
    while (rc == 0 && (i = atomic_fetch_add(&m->next, 1)) < m->op_count) {
        rc = publish(w, &m->ops[m->order[i]]);
        if (rc == 0 && rng_chance(&w->rng, m->options->sweep))
            rc = sweep_some(w);
    }
    if (rc)
        atomic_store(&m->failed, rc);
    rcu_unregister_thread();
    return NULL;
}

static void *finish(void *arg)
{
    struct worker *w = arg;
    struct machine *m = w->m;
    unsigned shard;

    rcu_register_thread();
    while ((shard = atomic_fetch_add(&m->shard, 1)) < FC_TABLE_SHARDS) {
        int rc = sweep(w, shard, FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX);
        if (rc)
            atomic_store(&m->failed, rc);
    }
    rcu_unregister_thread();
    return NULL;
}

static void run_all(struct worker *w, unsigned n, void *(*step)(void *))
{
    for (unsigned i = 1; i < n; i++)
        if (pthread_create(&w[i].thread, NULL, step, &w[i]))
            abort();
    step(&w[0]);
    for (unsigned i = 1; i < n; i++)
        pthread_join(w[i].thread, NULL);
}

static void init(struct machine *m, const struct traffic *t, const struct machine_options *o)
{
    struct fc_pipeline *p = &m->p;

    memset(m, 0, sizeof *m);
    m->traffic = t;
    m->options = o;
    m->settings.rules = *o->rules;
    m->settings.mask = o->mask;
    m->settings.fields = o->extra ? FC_WANT_EXTRA : 0;
    m->plan.files = calloc(t->file_count, sizeof *m->plan.files);
    m->plan.count = t->file_count;
    p->settings = &m->settings;
    p->plan = &m->plan;
    p->table = fc_table_new(&m->settings.rules);
    p->held = &m->held; /* no run before this one */
    p->fragments = fc_fragments_new(settled, m);
    p->memory_bytes = 16 << 20;
    p->jobs = o->threads;
    p->many_late = o->threads % 2 ? 0 : 1; /* either way of joining again */
    p->clock_ns = t->clock_ns;
    p->spools = calloc(o->threads + 1, sizeof *p->spools);
    p->files = calloc(t->file_count, sizeof *p->files);
    if (!m->plan.files || !p->table || !p->fragments || !p->spools || !p->files)
        abort();
    for (unsigned i = 0; i <= o->threads; i++)
        p->spools[i] = fc_spool_new("/tmp", o->spool_budget);
    for (unsigned i = 0; i < t->file_count; i++) {
        m->plan.files[i].id = i + 1;
        m->plan.files[i].first_ns = t->files[i].first_ns;
        if (fc_file_open(t->files[i].path, &m->plan.files[i].file, NULL))
            abort();
        p->files[i].plan = &m->plan.files[i];
        p->files[i].ifaces = t->files[i].ifaces;
        p->files[i].iface_count = t->files[i].iface_count;
    }
}

static void fini(struct machine *m)
{
    for (size_t i = 0; i < m->op_count; i++) {
        if (m->ops[i].chunk)
            fc_chunk_fini(m->ops[i].chunk);
        free(m->ops[i].chunk);
        free(m->ops[i].node);
    }
    free(m->ops);
    free(m->order);
    fc_held_fini(&m->held);
    fc_fragments_free(m->p.fragments);
    fc_table_free(m->p.table);
    for (unsigned i = 0; i <= m->p.jobs; i++)
        fc_spool_free(m->p.spools[i]);
    free(m->p.spools);
    free(m->p.files);
    fc_plan_fini(&m->plan);
}

static void set_order(struct machine *m, struct rng *rng)
{
    m->order = malloc((m->op_count + 1) * sizeof *m->order);
    if (!m->order)
        abort();
    for (size_t i = 0; i < m->op_count; i++)
        m->order[i] = i;
    if (!m->options->in_order)
        RNG_SHUFFLE(rng, m->order, m->op_count);
}

static int add_session(struct machine_result *result, const struct fc_session_record *record)
{
    struct fc_buffer scratch = {0};
    const uint8_t *p;
    size_t len;
    int rc = fc_blob_decode(record->blob, record->blob_len, &scratch, &p, &len);

    result->sessions = realloc(result->sessions, (result->count + 1) * sizeof *result->sessions);
    if (!result->sessions)
        abort();
    struct machine_session *s = &result->sessions[result->count++];
    *s = (struct machine_session){.record = *record};
    s->record.blob = NULL;
    struct fc_segment segment;
    const uint8_t *end = rc ? NULL : p + len;
    for (p = rc ? NULL : p; p < end && (p = fc_segment_head(p, end, &segment));) {
        uint64_t off = segment.first_off;
        s->files = realloc(s->files, (s->count + segment.count) * sizeof *s->files);
        s->offs = realloc(s->offs, (s->count + segment.count) * sizeof *s->offs);
        if (!s->files || !s->offs)
            abort();
        for (uint64_t i = 0; i < segment.count; i++) {
            if (i && !(p = fc_segment_next(p, end, &off)))
                abort();
            s->files[s->count] = segment.file;
            s->offs[s->count++] = off;
        }
    }
    fc_buffer_fini(&scratch);
    return p ? rc : FC_E_DAMAGED;
}

static int collect(struct machine *m, struct machine_result *result)
{
    struct fc_session_record *record;
    struct fc_index_result counts = {0};
    struct fc_merge *merge;
    int rc = fc_rejoin(&m->p, &counts, &(struct fc_error){0});

    result->late_flows = counts.late_flows;
    if (rc || (rc = fc_merge_open(m->p.spools, m->p.jobs + 1, &merge, NULL)))
        return rc;
    while ((rc = fc_merge_next(merge, &record, NULL)) == 1) {
        record->open = record->open && fc_session_open(&m->p, &record->key, &record->run);
        if ((rc = add_session(result, record)))
            break;
    }
    fc_merge_close(merge);
    return rc;
}

int machine_run(const struct traffic *t, struct rng *rng, const struct machine_options *o,
                struct machine_result *result)
{
    struct worker workers[THREADS_MAX] = {0};
    struct machine m;
    int rc;

    memset(result, 0, sizeof *result);
    init(&m, t, o);
    for (unsigned i = 0; i < o->threads; i++) {
        workers[i].m = &m;
        workers[i].rng.state = rng_next(rng);
        workers[i].replayer.pipeline = &m.p;
        workers[i].emitter.spool = m.p.spools[i];
        fc_table_pool(m.p.table, &workers[i].pool);
    }
    rc = read_files(&m, rng);
    set_order(&m, rng);
    if (rc == 0) {
        run_all(workers, o->threads, work);
        run_all(workers, o->threads, finish);
        rc = m.failed;
    }
    if (rc == 0)
        rc = collect(&m, result);
    for (unsigned i = 0; i < o->threads; i++) {
        fc_join_fini(&workers[i].join);
        fc_replayer_fini(&workers[i].replayer);
        fc_emitter_fini(&workers[i].emitter);
        fc_pool_fini(&workers[i].pool);
    }
    fini(&m);
    return rc;
}

void machine_free(struct machine_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        free(result->sessions[i].files);
        free(result->sessions[i].offs);
    }
    free(result->sessions);
}
