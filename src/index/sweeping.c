/* SPDX-License-Identifier: MIT */
#include "index/sweeping.h"
#include "base/error.h"

enum {
    SWEEP_RUNS = 1 << 15,
    FOLD_FROM_BYTES = 200 /* a flow on average: one with hardly more than a run has less */
};

void fc_sweeping_init(struct fc_sweeping *s, struct fc_pipeline *p)
{
    atomic_init(&s->runs, 0);
    atomic_init(&s->cursor, FC_TABLE_SHARDS);
    atomic_init(&s->at_ns, INT64_MIN);
    atomic_init(&s->seq, 0);
    atomic_init(&s->mode, FC_SWEEP_EXPIRED);
    atomic_init(&s->urgent, false);
    s->expired_ns = INT64_MIN;
    p->sweep_runs = p->sweep_runs ? p->sweep_runs : SWEEP_RUNS;
}

void fc_sweeper_init(struct fc_sweeper *w, struct fc_pipeline *p, struct fc_spool *spool, void *lock)
{
    fc_table_pool(p->table, &w->pool);
    w->replayer = (struct fc_replayer){.pipeline = p, .lock = lock};
    w->emitter.spool = spool;
}

void fc_sweeper_fini(struct fc_sweeper *w)
{
    fc_join_fini(&w->join);
    fc_replayer_fini(&w->replayer);
    fc_emitter_fini(&w->emitter);
    fc_pool_fini(&w->pool);
}

/*
 * When memory is short, what has not helped is not tried again at once. Flows are folded when they have runs enough and there is room:
 * a folded run is larger than each that it stands for, and so needs memory of another size than what becomes free. Flows that were
 * evicted by force come back in sizes that are free.
 */
static enum fc_sweep_mode next_mode(const struct fc_sweeping *s, struct fc_pipeline *p, bool due, bool short_of_memory,
                                    uint64_t runs, uint64_t flow_bytes)
{
    int last = atomic_load_explicit(&s->mode, memory_order_relaxed);
    uint64_t flows = fc_table_flows(p->table);

    if (due && !(short_of_memory && last == FC_SWEEP_EXPIRED))
        return FC_SWEEP_EXPIRED;
    bool foldable = fc_table_bytes(p->table) > flows * FOLD_FROM_BYTES && 2 * runs >= flows;
    return foldable && fc_table_slab_bytes(p->table) < flow_bytes / 4 * 3 ? FC_SWEEP_FOLD : FC_SWEEP_FORCE;
}

/* What chunk_bytes and the table itself leave of --memory; some of it in any case, else nothing would go on. */
static uint64_t bytes_for_flows(const struct fc_pipeline *p, uint64_t chunk_bytes)
{
    uint64_t others = chunk_bytes + fc_table_fixed_bytes(p->table);

    return others < p->memory_bytes / 4 * 3 ? p->memory_bytes - others : p->memory_bytes / 4;
}

void fc_sweeping_call(struct fc_sweeping *s, struct fc_pipeline *p, int64_t watermark_ns, uint64_t published,
                      uint64_t chunk_bytes)
{
    uint64_t flows = fc_table_flows(p->table), flow_bytes = bytes_for_flows(p, chunk_bytes);
    bool short_of_memory = fc_table_bytes(p->table) > flow_bytes / 2;
    uint64_t runs = atomic_load_explicit(&s->runs, memory_order_relaxed);

    if (flows > p->peak_flows)
        p->peak_flows = flows;
    if (atomic_load_explicit(&s->cursor, memory_order_relaxed) < FC_TABLE_SHARDS)
        return; /* one is under way */
    /* twice as many new runs as there were flows left by the last one: sweeping costs a constant share of publishing */
    bool due = runs >= p->sweep_runs && runs + runs / 2 >= flows && watermark_ns > s->expired_ns;
    if (!due && !short_of_memory)
        return;
    enum fc_sweep_mode mode = next_mode(s, p, due, short_of_memory, runs, flow_bytes);
    int64_t at = mode == FC_SWEEP_FORCE ? fc_table_median_ns(p->table) : watermark_ns;
    if (mode == FC_SWEEP_EXPIRED)
        s->expired_ns = at;
    atomic_store_explicit(&s->runs, 0, memory_order_relaxed);
    atomic_store_explicit(&s->at_ns, at, memory_order_relaxed);
    atomic_store_explicit(&s->seq, published + 1, memory_order_relaxed);
    atomic_store_explicit(&s->mode, mode, memory_order_relaxed);
    atomic_store_explicit(&s->urgent, short_of_memory, memory_order_relaxed);
    /* release: pairs with the cursor's fetch-add in fc_sweeping_help() */
    atomic_store_explicit(&s->cursor, 0, memory_order_release);
}

static int sweep_shard(struct fc_sweeper *w, unsigned shard, enum fc_sweep_mode mode, int64_t watermark_ns,
                       uint64_t seq)
{
    struct fc_replay replay = {fc_replayer_read, &w->replayer};
    struct fc_sink sink = {fc_emitter_emit, &w->emitter};
    struct fc_pipeline *p = w->replayer.pipeline;

    /* the clock moves under the lock while chunks come in; by the last sweep it stands */
    int64_t clock_ns = mode == FC_SWEEP_FINISH ? p->clock_ns : 0;
    int rc = fc_table_sweep(p->table, &w->pool, shard, mode, watermark_ns, seq, clock_ns, &w->join, &replay, &sink);
    if (rc < 0 && !w->emitter.err.code)
        fc_error_set(&w->emitter.err, rc, NULL, FC_NO_OFFSET, "out of memory");
    return rc;
}

int fc_sweeping_evict(struct fc_pipeline *p, struct fc_pool *pool, struct fc_error *err)
{
    struct fc_join join = {0};
    struct fc_replayer replayer = {.pipeline = p};
    struct fc_emitter emitter = {.spool = p->spools[0]}; /* a worker's: its pieces are found again */
    struct fc_replay replay = {fc_replayer_read, &replayer};
    struct fc_sink sink = {fc_emitter_emit, &emitter};
    int rc = 0;

    if (fc_table_bytes(p->table) <= bytes_for_flows(p, 0) / 2)
        return 0;
    int64_t at = fc_table_median_ns(p->table);
    for (unsigned shard = 0; shard < FC_TABLE_SHARDS && rc == 0; shard++)
        rc = fc_table_sweep(p->table, pool, shard, FC_SWEEP_FORCE, at, 0, 0, &join, &replay, &sink);
    if (rc && emitter.err.code)
        *err = emitter.err;
    fc_join_fini(&join);
    fc_replayer_fini(&replayer);
    fc_emitter_fini(&emitter);
    return rc;
}

int fc_sweeping_help(struct fc_sweeping *s, struct fc_sweeper *w, unsigned most)
{
    int rc = 0;

    for (unsigned i = 0; rc >= 0; i++) {
        if (atomic_load_explicit(&s->cursor, memory_order_relaxed) >= FC_TABLE_SHARDS)
            return 0;
        if (i >= most && !atomic_load_explicit(&s->urgent, memory_order_relaxed))
            return 0;
        /* acquire: pairs with the store in fc_sweeping_call() */
        unsigned shard = (unsigned)atomic_fetch_add_explicit(&s->cursor, 1, memory_order_acquire);
        if (shard >= FC_TABLE_SHARDS)
            return 0;
        rc = sweep_shard(w, shard, (enum fc_sweep_mode)atomic_load_explicit(&s->mode, memory_order_relaxed),
                         atomic_load_explicit(&s->at_ns, memory_order_relaxed),
                         atomic_load_explicit(&s->seq, memory_order_relaxed));
    }
    return rc < 0 ? rc : 0;
}

void fc_sweeping_finish(struct fc_sweeping *s)
{
    atomic_store_explicit(&s->cursor, 0, memory_order_relaxed);
}

int fc_sweeping_finish_next(struct fc_sweeping *s, struct fc_sweeper *w)
{
    unsigned shard = (unsigned)atomic_fetch_add_explicit(&s->cursor, 1, memory_order_relaxed);

    if (shard >= FC_TABLE_SHARDS)
        return 0;
    int rc = sweep_shard(w, shard, FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX);
    return rc < 0 ? rc : 1;
}
