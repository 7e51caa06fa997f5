/* SPDX-License-Identifier: MIT */
/* The end of flows: their runs joined, their sessions emitted, and they themselves taken out. */
#include "flow/table_internal.h"

#include <string.h>

enum {
    BATCH = 32, /* due flows whose runs are fetched together */
    STEP = 8,   /* flows between one stage of a visit and the next */
    RING = 4 * STEP,
    LINE = 64 / sizeof(struct fc_flow *) /* buckets in a cache line */
};

static void load_key(const struct fc_flow *flow, struct fc_flow_key *key)
{
    if (flow->tag & 1)
        memcpy(key, flow->key, sizeof *key);
    else
        fc_key_widen((const struct fc_narrow_key *)flow->key, key);
}

static uint32_t proto_of(const struct fc_flow *flow)
{
    return flow->tag & 1 ? ((const struct fc_flow_key *)flow->key)->proto
                         : ((const struct fc_narrow_key *)flow->key)->proto;
}

/* Earliest end of a flow whose last packet came at max_ns, whatever its state. */
static int64_t soonest_end(int64_t max_ns, int64_t gap_ns)
{
    int64_t end;

    if (max_ns == FC_TIME_NONE)
        return INT64_MIN; /* joining tells */
    if (gap_ns == FC_NEVER || __builtin_add_overflow(max_ns, gap_ns, &end))
        return FC_NEVER;
    return end;
}

/* Moves what publishers have pushed to the sweeper's list. Pairs with push() (guarantee B). */
static void take_list(const struct fc_gaps *gaps, struct fc_flow *flow)
{
    struct fc_packed *node = atomic_load_explicit(&flow->head, memory_order_relaxed);

    if (!node)
        return;
    node = atomic_exchange_explicit(&flow->head, NULL, memory_order_acquire);
    int64_t gap = fc_gap_ns(gaps, proto_of(flow)), soonest = INT64_MIN;
    while (node) {
        struct fc_packed *next = node->next;
        int64_t end = soonest_end(node->max_ns, gap);
        node->next = flow->owned;
        flow->owned = node;
        soonest = end > soonest ? end : soonest;
        if (node->seq > flow->owned_max_seq)
            flow->owned_max_seq = node->seq;
        node = next;
    }
    /* what joining has found before may not hold any more: the flow may have closed since */
    flow->check_ns = flow->joined || soonest > flow->check_ns ? soonest : flow->check_ns;
    flow->joined = false;
}

/* True when no more runs can be pushed. Pairs with push() (guarantees C, D). */
static bool close_flow(struct fc_flow *flow)
{
    struct fc_packed *empty = NULL;

    return atomic_compare_exchange_strong_explicit(&flow->head, &empty, FC_FLOW_CLOSED, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

static int emit_flow(const struct fc_flow_key *key, const struct fc_join *join, bool open, const struct fc_sink *sink)
{
    int rc = 0;

    for (size_t i = 0; i < join->session_count && rc == 0; i++) {
        const struct fc_joined *s = &join->sessions[i];
        struct fc_ended ended = {
            .key = key,
            .session = s,
            .nodes = join->nodes + s->first,
            .open = open && i + 1 == join->session_count,
        };
        rc = sink->emit(sink->ctx, &ended);
    }
    return rc;
}

struct sweep {
    struct fc_table *table;
    struct fc_pool *pool;
    struct fc_shard *shard;
    enum fc_sweep_mode mode;
    int64_t watermark_ns;
    uint64_t seq;
    int64_t clock_ns;
    struct fc_join *join;
    const struct fc_replay *replay;
    const struct fc_sink *sink;
    unsigned count; /* in batch */
    struct visit {
        _Atomic(struct fc_flow *) *bucket;
        struct fc_flow *flow; /* NULL: none */
    } batch[BATCH], ring[RING], behind;
    unsigned begun; /* visits; the last RING of them are in ring */
};

/* Sessions of the index that a flow continues, its runs, or both. */
enum part { PRIORS = 1, RUNS = 2, ALL = PRIORS | RUNS };

/* Unpacks part of a flow and joins it. */
static int join_flow(const struct sweep *s, const struct fc_flow_key *key, const struct fc_flow *flow, enum part part)
{
    size_t n = 0;

    for (const struct fc_packed *packed = flow->owned; packed; packed = packed->next)
        n++;
    struct fc_node *nodes = fc_join_views(s->join, n);
    if (!nodes)
        return FC_E_NOMEM;
    n = 0;
    for (const struct fc_packed *packed = flow->owned; packed; packed = packed->next) {
        fc_packed_read(packed, &nodes[n]);
        if (part != ALL && (nodes[n].db_id ? PRIORS : RUNS) != part)
            continue;
        if (n)
            nodes[n - 1].next = &nodes[n];
        n++;
    }
    nodes[n ? n - 1 : 0].next = NULL;
    return fc_join_run(s->join, s->table->rules, key, n ? nodes : NULL, s->replay);
}

/*
 * Whether the latest packet alone, about when it came, says that a flow stays. Most do in most sweeps: so their runs are not
 * looked at.
 */
static bool stays(const struct fc_gaps *gaps, enum fc_sweep_mode mode, int64_t watermark_ns, const struct fc_flow *flow)
{
    uint32_t last = atomic_load_explicit(&flow->last, memory_order_relaxed);

    if (mode == FC_SWEEP_EXPIRED)
        return last && soonest_end((int64_t)last << 30, fc_gap_ns(gaps, proto_of(flow))) >= watermark_ns;
    return mode == FC_SWEEP_FORCE && last > coarse(watermark_ns);
}

/* Whether the runs of a flow that does not stay for its latest packet should be joined now. */
static bool is_due(const struct sweep *s, struct fc_flow *flow)
{
    take_list(&s->table->gaps, flow);
    if (!flow->owned)
        return false; /* just added, its run is on the way */
    if (s->mode == FC_SWEEP_FOLD)
        return flow->owned->next != NULL;
    return s->mode != FC_SWEEP_EXPIRED || (flow->check_ns < s->watermark_ns && flow->owned_max_seq < s->seq);
}

/* Takes a closed flow off its chain. Only the shard's sweeper unlinks; publishers add in front. */
static void unlink_flow(_Atomic(struct fc_flow *) *bucket, struct fc_flow *flow)
{
    struct fc_flow *next = atomic_load_explicit(&flow->next, memory_order_relaxed), *first = flow, *prev;

    /* release: `next` was published before; pairs with the load in find_or_add() */
    if (atomic_compare_exchange_strong_explicit(bucket, &first, next, memory_order_release, memory_order_acquire))
        return;
    for (prev = first; atomic_load_explicit(&prev->next, memory_order_acquire) != flow;)
        prev = atomic_load_explicit(&prev->next, memory_order_acquire);
    atomic_store_explicit(&prev->next, next, memory_order_release); /* pairs with walk() */
}

/* Whether a flow has runs that continue a session of the index. */
static bool continues(const struct fc_flow *flow)
{
    bool prior = false, run = false;

    for (const struct fc_packed *packed = flow->owned; packed && !(prior && run); packed = packed->next) {
        struct fc_node node;
        fc_packed_read(packed, &node);
        prior |= node.db_id != 0;
        run |= node.db_id == 0;
    }
    return prior && run;
}

/* Whether a flow that is taken out may get more runs, and not only behind those that it has. At the end it is known: then it is late. */
static bool may_grow(const struct sweep *s, const struct fc_flow_key *key)
{
    return s->mode != FC_SWEEP_FINISH || fc_table_is_late(s->table, fc_table_hash(s->table, key));
}

/*
 * Emits what a flow has so far. Sessions of the index come apart from what continues them: their packets cannot be read again, and
 * joined with only some of the runs they would hide where those lie.
 */
static int emit_apart(const struct sweep *s, const struct fc_flow_key *key, const struct fc_flow *flow)
{
    int rc = join_flow(s, key, flow, PRIORS);

    if (rc || (rc = emit_flow(key, s->join, true, s->sink)) || (rc = join_flow(s, key, flow, RUNS)) ||
        (rc = emit_flow(key, s->join, true, s->sink)))
        return rc;
    if (s->mode != FC_SWEEP_FINISH) /* it is late already */
        fc_table_note_late(s->table, fc_table_hash(s->table, key));
    return 0;
}

/* Joins a due flow; when it has ended, emits its sessions and takes it out. 0, FC_E_NOMEM, or what emit returned. */
static int sweep_flow(const struct sweep *s, _Atomic(struct fc_flow *) *bucket, struct fc_flow *flow)
{
    const struct fc_rules *rules = s->table->rules;
    struct fc_flow_key key;
    int64_t end = FC_NEVER;
    int rc;

    if (s->mode == FC_SWEEP_FOLD)
        return fc_table_fold(s->pool, s->join, flow, fc_gap_ns(&s->table->gaps, proto_of(flow)), s->seq);
    load_key(flow, &key);
    if ((rc = join_flow(s, &key, flow, ALL)))
        return rc;
    end = fc_run_expiry_ns(rules, key.proto, &s->join->sessions[s->join->session_count - 1].run);
    flow->check_ns = end;
    flow->joined = true;
    if (s->mode == FC_SWEEP_EXPIRED && end >= s->watermark_ns)
        return 0;
    if (s->mode == FC_SWEEP_FORCE) {
        uint64_t bits;
        atomic_uint_fast64_t *word = forced_word(s->table, fc_table_hash(s->table, &key), &bits);
        atomic_fetch_or_explicit(word, bits, memory_order_relaxed); /* published by closing; guarantee E */
    }
    if (!close_flow(flow))
        return 0; /* a run has come meanwhile; the next sweep sees it */
    bool apart = s->table->priors && may_grow(s, &key) && continues(flow);
    bool open = s->mode == FC_SWEEP_FORCE || (s->mode == FC_SWEEP_FINISH && (end == FC_NEVER || end >= s->clock_ns));
    rc = apart ? emit_apart(s, &key, flow) : emit_flow(&key, s->join, open, s->sink);
    int64_t bytes = (int64_t)flow_size(flow) + fc_table_free_nodes(s->pool, flow->owned);
    fc_tally_add(&s->pool->tally, -bytes, -1);
    unlink_flow(bucket, flow);
    fc_table_bury(s->shard, flow);
    return rc;
}

/* Due flows are collected, so that their runs can be fetched before they are needed. */
static int sweep_batch(struct sweep *s)
{
    int rc = 0;

    for (unsigned i = 0; i < s->count; i++)
        if (s->batch[i].flow->owned->next)
            __builtin_prefetch(s->batch[i].flow->owned->next);
    for (unsigned i = 0; i < s->count && rc == 0; i++)
        rc = sweep_flow(s, s->batch[i].bucket, s->batch[i].flow);
    s->count = 0;
    return rc;
}

static struct visit *visit_before(struct sweep *s, unsigned steps)
{
    return &s->ring[(s->begun - steps * STEP) % RING];
}

/*
 * Begins a visit, or none, and takes those under way one stage further: each stage fetches what the next one looks at, so that no
 * visit waits for memory. The flow, the latest of its runs, the one before that.
 */
static int visit(struct sweep *s, struct visit fresh)
{
    struct visit *v = visit_before(s, 0);

    *v = fresh;
    __builtin_prefetch(v->flow, 1);
    s->behind.flow = NULL;
    v = visit_before(s, 1);
    if (v->flow) {
        s->behind =
            (struct visit){v->bucket, atomic_load_explicit(&v->flow->next, memory_order_acquire)}; /* guarantee A */
        if (stays(&s->table->gaps, s->mode, s->watermark_ns, v->flow))
            v->flow = NULL;
        else
            __builtin_prefetch(atomic_load_explicit(&v->flow->head, memory_order_relaxed), 1);
    }
    v = visit_before(s, 2);
    if (v->flow) {
        const struct fc_packed *node = atomic_load_explicit(&v->flow->head, memory_order_acquire); /* guarantee B */
        if (node && node != FC_FLOW_CLOSED)
            __builtin_prefetch(node->next, 1);
    }
    v = visit_before(s, 3);
    s->begun++;
    if (!v->flow || !is_due(s, v->flow))
        return 0;
    __builtin_prefetch(v->flow->owned);
    __builtin_prefetch((const uint8_t *)v->flow->owned + 64);
    s->batch[s->count++] = *v;
    v->flow = NULL;
    return s->count == BATCH ? sweep_batch(s) : 0;
}

/* First bucket from `from` on that may have flows, or end. Most have none: they are looked at a cache line at a time. */
static size_t next_used(_Atomic(struct fc_flow *) *buckets, size_t from, size_t end)
{
    uintptr_t any = 0;

    for (; from % LINE == 0 && from + LINE <= end; from += LINE) {
#pragma GCC unroll 8
        for (size_t i = 0; i < LINE; i++)
            any |= (uintptr_t)atomic_load_explicit(&buckets[from + i], memory_order_relaxed);
        if (any)
            break;
    }
    return from;
}

/* Visits the flows of buckets [from, end), each chain in its order. */
static int visit_all(struct sweep *s, size_t from, size_t end)
{
    _Atomic(struct fc_flow *) *buckets = s->table->buckets;
    unsigned idle = 0; /* visits that were none, in a row */
    int rc = 0;

    while (rc == 0 && idle < RING) {
        struct visit next = s->behind;
        for (; !next.flow && (from = next_used(buckets, from, end)) < end; from++)
            next = (struct visit){&buckets[from],
                                  atomic_load_explicit(&buckets[from], memory_order_acquire)}; /* guarantee A */
        idle = next.flow ? 0 : idle + 1;
        rc = visit(s, next);
    }
    return rc ? rc : sweep_batch(s);
}

int fc_table_sweep(struct fc_table *t, struct fc_pool *pool, unsigned shard, enum fc_sweep_mode mode,
                   int64_t watermark_ns, uint64_t seq, int64_t clock_ns, struct fc_join *join,
                   const struct fc_replay *replay, const struct fc_sink *sink)
{
    struct sweep s = {
        .table = t,
        .pool = pool,
        .shard = &t->shards[shard],
        .mode = mode,
        .watermark_ns = watermark_ns,
        .seq = seq,
        .clock_ns = clock_ns,
        .join = join,
        .replay = replay,
        .sink = sink,
    };
    size_t each = t->bucket_count / FC_TABLE_SHARDS;
    int rc;

    /* acquire: pairs with the release below, so that one sweeper's owner fields are the next one's */
    if (atomic_exchange_explicit(&s.shard->sweeping, true, memory_order_acquire))
        return 1;
    int_fast64_t before = atomic_load_explicit(&t->evicted_ns, memory_order_relaxed);
    bool evicts = mode == FC_SWEEP_EXPIRED || mode == FC_SWEEP_FINISH;
    while (evicts && before < watermark_ns &&
           !atomic_compare_exchange_weak_explicit(&t->evicted_ns, &before, watermark_ns, memory_order_seq_cst,
                                                  memory_order_relaxed))
        ;
    if (mode == FC_SWEEP_FORCE && !atomic_load_explicit(&t->any_forced, memory_order_relaxed))
        atomic_store_explicit(&t->any_forced, true, memory_order_relaxed); /* published by closing; guarantee E */
    rc = visit_all(&s, shard * each, (shard + 1) * each);
    fc_table_reclaim(t, s.shard);
    atomic_store_explicit(&s.shard->sweeping, false, memory_order_release);
    return rc;
}
