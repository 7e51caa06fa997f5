/* SPDX-License-Identifier: MIT */
#include "flow/table.h"
#include "base/hash.h"
#include "base/tsan.h"
#include "flow/key.h"
#include "flow/packed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <urcu.h>

enum {
    BYTES_PER_FLOW = 128,      /* a flow with a short run */
    BUCKETS_MIN = 1 << 14,     /* FC_TABLE_SHARDS of them are one shard each */
    BUCKETS_MAX = 1 << 26,
    LATE_MAX = 1 << 20,        /* late flows that are remembered one by one */
    FORCED_SHARE = 2,          /* buckets a word of the filter */
    SAMPLE = 2048,             /* flows looked at for their age */
    BATCH = 32,                /* flows whose runs are fetched together */
    AHEAD = 8                  /* buckets whose flows are fetched ahead by a sweep */
};

#define DEFAULT_BYTES ((uint64_t)64 << 20)
#define FC_FLOW_CLOSED ((struct fc_packed *)1)

/*
 * One cache line with a narrow key: all that a walk along the chain looks at, and all that a sweep does. `next` is written by
 * the shard's sweeper once the flow is linked; tag and key are immutable after it was added.
 */
struct fc_flow {
    _Atomic(struct fc_flow *) next;
    _Atomic(struct fc_packed *) head; /* shared: runs not yet taken by a sweeper, or FC_FLOW_CLOSED */
    /* owner: the shard's sweeper */
    struct fc_packed *owned; /* runs taken; once it is unlinked this links those that wait for a grace period */
    int64_t check_ns; /* no use in joining before the watermark passes this */
    uint32_t owned_max_seq;
    uint32_t tag; /* low half of the hash; bit 0: the key is wide */
    _Atomic uint32_t last; /* shared: about when its latest packet came, in coarse() seconds; a hint */
    bool joined;           /* owner: check_ns comes from joining all of `owned` */
    _Alignas(8) uint8_t key[]; /* struct fc_narrow_key or struct fc_flow_key */
};
_Static_assert(sizeof(struct fc_flow) + sizeof(struct fc_narrow_key) == 64, "a narrow flow is a cache line");
_Static_assert(offsetof(struct fc_flow, owned) == offsetof(struct fc_free, next), "a dead flow is linked as a free object");

/* Flows of one size that wait for a grace period. */
struct grave {
    struct fc_free *first, *last;
};

struct shard {
    /* shared: atomic, on a line of its own */
    _Alignas(64) atomic_bool sweeping;
    atomic_bool reclaiming; /* `batch` waits for its grace period */
    /* owner: the sweeper, and while `reclaiming` its RCU callback */
    struct rcu_head rcu;
    struct fc_table *table;
    struct grave batch[2];
    struct grave dead[2]; /* unlinked, not yet handed to RCU; [1]: with a wide key */
};

struct fc_table {
    /* immutable after init */
    const struct fc_rules *rules;
    uint64_t seed;
    unsigned shift; /* hash >> shift is the bucket: a shard is a stretch of buckets */
    size_t bucket_count;
    _Atomic(struct fc_flow *) *buckets;
    struct fc_heap heap;
    /* shared: atomic; a Bloom filter of the flows that were evicted by force, one word a bucket at the most */
    atomic_uint_fast64_t *forced;
    /* shared: atomic */
    _Alignas(64) atomic_int_fast64_t evicted_ns; /* highest watermark any eviction has used */
    _Alignas(64) atomic_int_fast64_t bytes;
    atomic_int_fast64_t flows;
    /* shared: under late_lock */
    _Alignas(64) pthread_mutex_t late_lock;
    uint64_t *late;
    size_t late_count, late_room;
    bool late_all;
    /* shared: under reclaim_lock */
    pthread_mutex_t reclaim_lock;
    pthread_cond_t reclaimed;
    unsigned reclaiming; /* shards whose batch waits for its grace period */
    struct shard shards[FC_TABLE_SHARDS];
};

struct fc_table *fc_table_new_sized(const struct fc_rules *rules, uint64_t bytes)
{
    struct fc_table *t = aligned_alloc(64, (sizeof *t + 63) & ~(size_t)63);
    unsigned bits = 14;

    if (!t)
        return NULL;
    memset(t, 0, sizeof *t);
    while ((1ull << bits) < BUCKETS_MAX && (1ull << bits) < bytes / BYTES_PER_FLOW)
        bits++;
    t->rules = rules;
    t->seed = fc_hash_secret();
    t->shift = 64 - bits;
    t->bucket_count = (size_t)1 << bits;
    t->buckets = calloc(t->bucket_count, sizeof *t->buckets); /* all zero is NULL; pages are made when touched */
    t->forced = calloc(t->bucket_count / FORCED_SHARE, sizeof *t->forced);
    fc_heap_init(&t->heap);
    atomic_init(&t->evicted_ns, INT64_MIN);
    pthread_mutex_init(&t->late_lock, NULL);
    pthread_mutex_init(&t->reclaim_lock, NULL);
    pthread_cond_init(&t->reclaimed, NULL);
    for (int i = 0; i < FC_TABLE_SHARDS; i++)
        t->shards[i].table = t;
    if (!t->buckets || !t->forced) {
        fc_table_free(t);
        return NULL;
    }
    return t;
}

struct fc_table *fc_table_new(const struct fc_rules *rules)
{
    return fc_table_new_sized(rules, DEFAULT_BYTES);
}

static size_t flow_bytes(bool wide)
{
    return sizeof(struct fc_flow) + (wide ? sizeof(struct fc_flow_key) : sizeof(struct fc_narrow_key));
}

static size_t flow_size(const struct fc_flow *flow)
{
    return flow_bytes(flow->tag & 1);
}

/* After a grace period: nobody stands on these flows any more. The thread has no pool of its own. */
static void free_flows(struct rcu_head *head)
{
    struct shard *shard = caa_container_of(head, struct shard, rcu);
    struct fc_table *t;

    FC_TSAN_ACQUIRE(&free_flows);
    t = shard->table;
    for (int wide = 0; wide < 2; wide++)
        if (shard->batch[wide].first)
            fc_heap_return(&t->heap, flow_bytes(wide), shard->batch[wide].first, shard->batch[wide].last);
    atomic_store_explicit(&shard->reclaiming, false, memory_order_release); /* pairs with reclaim() */
    pthread_mutex_lock(&t->reclaim_lock);
    if (--t->reclaiming == 0)
        pthread_cond_signal(&t->reclaimed); /* under the lock: the table may be gone behind it */
    pthread_mutex_unlock(&t->reclaim_lock);
}

/* Puts an unlinked flow aside; readers may still be on it, so what they look at stays. */
static void bury(struct shard *shard, struct fc_flow *flow)
{
    struct fc_free *object = (struct fc_free *)flow;
    struct grave *grave = &shard->dead[flow->tag & 1];

    object->next = grave->first;
    grave->first = object;
    if (!grave->last)
        grave->last = object;
}

/* Hands unlinked flows to RCU; while an earlier batch of the shard waits, they stay until the next sweep. */
static void reclaim(struct fc_table *t, struct shard *shard)
{
    if (!shard->dead[0].first && !shard->dead[1].first)
        return;
    if (atomic_load_explicit(&shard->reclaiming, memory_order_acquire)) /* pairs with free_flows() */
        return;
    memcpy(shard->batch, shard->dead, sizeof shard->batch);
    memset(shard->dead, 0, sizeof shard->dead);
    atomic_store_explicit(&shard->reclaiming, true, memory_order_relaxed);
    pthread_mutex_lock(&t->reclaim_lock);
    t->reclaiming++;
    pthread_mutex_unlock(&t->reclaim_lock);
    FC_TSAN_RELEASE(&free_flows); /* the batch; pairs with free_flows() */
    call_rcu(&shard->rcu, free_flows);
}

/* Waits for all that RCU was given. Not rcu_barrier(), whose end tools that watch for races cannot follow. */
static void wait_reclaimed(struct fc_table *t)
{
    pthread_mutex_lock(&t->reclaim_lock);
    while (t->reclaiming)
        pthread_cond_wait(&t->reclaimed, &t->reclaim_lock);
    pthread_mutex_unlock(&t->reclaim_lock);
}

/* Gives nodes back; returns their bytes. Small ones need no pool when the whole heap goes. */
static int64_t free_nodes(struct fc_pool *pool, struct fc_packed *node)
{
    int64_t bytes = 0;

    while (node) {
        struct fc_packed *next = node->next;
        bytes += node->size;
        if (pool)
            fc_pool_give(pool, node, node->size);
        else if (node->size > FC_POOL_MAX)
            free(node);
        node = next;
    }
    return bytes;
}

void fc_table_free(struct fc_table *t)
{
    if (!t)
        return;
    wait_reclaimed(t);
    for (size_t i = 0; t->buckets && i < t->bucket_count; i++) {
        struct fc_flow *flow = atomic_load_explicit(&t->buckets[i], memory_order_relaxed);
        for (; flow; flow = atomic_load_explicit(&flow->next, memory_order_relaxed)) {
            struct fc_packed *head = atomic_load_explicit(&flow->head, memory_order_relaxed);
            free_nodes(NULL, head == FC_FLOW_CLOSED ? NULL : head);
            free_nodes(NULL, flow->owned);
        }
    }
    fc_heap_fini(&t->heap);
    pthread_mutex_destroy(&t->late_lock);
    pthread_mutex_destroy(&t->reclaim_lock);
    pthread_cond_destroy(&t->reclaimed);
    free(t->buckets);
    free(t->forced);
    free(t->late);
    free(t);
}

void fc_table_pool(struct fc_table *t, struct fc_pool *pool)
{
    fc_pool_init(pool, &t->heap);
}

uint64_t fc_table_hash(const struct fc_table *t, const struct fc_flow_key *key)
{
    return fc_hash48(key, t->seed);
}

void fc_table_prefetch(const struct fc_table *t, uint64_t hash)
{
    __builtin_prefetch(&t->buckets[hash >> t->shift], 1);
}

void fc_table_prefetch_flow(const struct fc_table *t, uint64_t hash)
{
    /* looked at no further than to fetch it: it may be gone by then */
    __builtin_prefetch(atomic_load_explicit(&t->buckets[hash >> t->shift], memory_order_relaxed), 1);
}

static void note_late(struct fc_table *t, uint64_t hash)
{
    pthread_mutex_lock(&t->late_lock);
    if (!t->late_all && t->late_count == t->late_room) {
        size_t room = t->late_room ? t->late_room * 2 : 256;
        uint64_t *bigger = room <= LATE_MAX ? realloc(t->late, room * sizeof *bigger) : NULL;
        if (bigger) {
            t->late = bigger;
            t->late_room = room;
        } else {
            t->late_all = true; /* also without memory: costs time, not truth */
        }
    }
    if (!t->late_all)
        t->late[t->late_count++] = hash;
    pthread_mutex_unlock(&t->late_lock);
}

/* A key as the table keeps it. */
struct stored_key {
    struct fc_narrow_key narrow;
    const void *bytes;
    size_t size;
    uint32_t tag;
};

static void store_key(const struct fc_flow_key *key, uint64_t hash, struct stored_key *k)
{
    k->tag = (uint32_t)hash | 1;
    k->bytes = key;
    k->size = sizeof *key;
    if (!fc_key_narrow(key, &k->narrow))
        return;
    k->tag &= ~1u;
    k->bytes = &k->narrow;
    k->size = sizeof k->narrow;
}

static void load_key(const struct fc_flow *flow, struct fc_flow_key *key)
{
    if (flow->tag & 1)
        memcpy(key, flow->key, sizeof *key);
    else
        fc_key_widen((const struct fc_narrow_key *)flow->key, key);
}

static uint32_t proto_of(const struct fc_flow *flow)
{
    return flow->tag & 1 ? ((const struct fc_flow_key *)flow->key)->proto : ((const struct fc_narrow_key *)flow->key)->proto;
}

/* Where a hash is in the filter, and its bits there. */
static atomic_uint_fast64_t *forced_word(const struct fc_table *t, uint64_t hash, uint64_t *bits)
{
    *bits = 1ull << (hash & 63) | 1ull << (hash >> 6 & 63) | 1ull << (hash >> 12 & 63);
    return &t->forced[(hash >> t->shift) / FORCED_SHARE];
}

/* A flow that comes again after it was evicted by force: its pieces must be joined. Guarantee E. */
static bool was_forced(const struct fc_table *t, uint64_t hash)
{
    uint64_t bits;
    atomic_uint_fast64_t *word = forced_word(t, hash, &bits);

    return (atomic_load_explicit(word, memory_order_relaxed) & bits) == bits;
}

/* Seconds, about, in 32 bits; 0: no time. */
static uint32_t coarse(int64_t ns)
{
    int64_t s = ns >> 30;

    return ns == FC_TIME_NONE || s < 0 ? 0 : s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

static struct fc_flow *new_flow(struct fc_pool *pool, const struct stored_key *k)
{
    struct fc_flow *flow = fc_pool_take(pool, sizeof *flow + k->size);

    if (!flow)
        return NULL;
    atomic_init(&flow->head, NULL);
    flow->owned = NULL;
    flow->check_ns = INT64_MIN;
    flow->owned_max_seq = 0;
    flow->tag = k->tag;
    atomic_init(&flow->last, 0);
    flow->joined = false;
    memcpy(flow->key, k->bytes, k->size);
    return flow;
}

static bool same_key(const struct fc_flow *flow, const struct stored_key *k)
{
    return k->tag & 1 ? memcmp(flow->key, k->bytes, sizeof(struct fc_flow_key)) == 0
                      : memcmp(flow->key, &k->narrow, sizeof k->narrow) == 0;
}

/* The open flow of key on the chain from `flow` on; NULL when there is none. */
static struct fc_flow *walk(struct fc_flow *flow, const struct stored_key *k)
{
    while (flow) {
        if (flow->tag == k->tag && same_key(flow, k) &&
            atomic_load_explicit(&flow->head, memory_order_acquire) != FC_FLOW_CLOSED) /* guarantee E */
            return flow;
        flow = atomic_load_explicit(&flow->next, memory_order_acquire); /* guarantee A */
    }
    return NULL;
}

/* The flow of key, made with an empty list when there is none. NULL without memory. Inside rcu_read_lock(). */
static struct fc_flow *find_or_add(struct fc_table *t, struct fc_pool *pool, const struct stored_key *k, uint64_t hash)
{
    _Atomic(struct fc_flow *) *bucket = &t->buckets[hash >> t->shift];
    struct fc_flow *first = atomic_load_explicit(bucket, memory_order_acquire); /* guarantee A */
    struct fc_flow *flow = walk(first, k), *fresh;

    if (flow)
        return flow;
    fresh = new_flow(pool, k);
    if (!fresh)
        return NULL;
    for (;;) {
        atomic_store_explicit(&fresh->next, first, memory_order_relaxed);
        if (atomic_compare_exchange_strong_explicit(bucket, &first, fresh, memory_order_release, memory_order_acquire))
            break;
        /* others have added or unlinked flows meanwhile: is ours among them? (no ABA: what was unlinked is not freed, and so not
         * added again, while we are inside) */
        flow = walk(first, k);
        if (flow) {
            fc_pool_give(pool, fresh, flow_size(fresh));
            return flow;
        }
    }
    atomic_fetch_add_explicit(&t->flows, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->bytes, (int64_t)flow_size(fresh), memory_order_relaxed);
    if (was_forced(t, hash))
        note_late(t, hash);
    return fresh;
}

/* False when the flow is closed. Pairs with take_list() (guarantee B) and close_flow() (C, D). */
static bool push(struct fc_flow *flow, struct fc_packed *node)
{
    struct fc_packed *head = atomic_load_explicit(&flow->head, memory_order_relaxed);

    do {
        if (head == FC_FLOW_CLOSED)
            return false;
        node->next = head;
    } while (
        !atomic_compare_exchange_weak_explicit(&flow->head, &head, node, memory_order_seq_cst, memory_order_relaxed));
    return true;
}

int fc_table_publish(struct fc_table *t, struct fc_pool *pool, const struct fc_flow_key *key, uint64_t hash,
                     const struct fc_node *node)
{
    uint8_t head[FC_PACKED_HEAD_MAX];
    struct stored_key k;
    size_t size, head_len = fc_packed_head(node, head, &size);
    struct fc_packed *packed = fc_pool_take(pool, size);
    bool pushed;

    if (!packed)
        return FC_E_NOMEM;
    fc_packed_write(packed, node, head, head_len, size);
    store_key(key, hash, &k);
    do {
        rcu_read_lock();
        struct fc_flow *flow = find_or_add(t, pool, &k, hash);
        if (!flow) {
            rcu_read_unlock();
            fc_pool_give(pool, packed, size);
            return FC_E_NOMEM;
        }
        if (coarse(node->run.max_ns) > atomic_load_explicit(&flow->last, memory_order_relaxed))
            atomic_store_explicit(&flow->last, coarse(node->run.max_ns), memory_order_relaxed);
        pushed = push(flow, packed); /* false: closed under our hands; it is passed over the next time */
        FC_TSAN_RELEASE(&free_flows);
        rcu_read_unlock();
    } while (!pushed);
    atomic_fetch_add_explicit(&t->bytes, (int64_t)size, memory_order_relaxed);
    /*
     * Guarantee D. A record without a time may belong to any session, and a fragment of no chunk (seq 0) may lie in front
     * of what was evicted although it is later: every eviction makes them late.
     */
    int64_t evicted = atomic_load_explicit(&t->evicted_ns, memory_order_seq_cst);
    if (evicted != INT64_MIN && (node->seq == 0 || node->run.min_ns < evicted) && !node->db_id)
        note_late(t, hash);
    return 0;
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
static void take_list(const struct fc_rules *rules, struct fc_flow *flow)
{
    struct fc_packed *node = atomic_load_explicit(&flow->head, memory_order_relaxed);

    if (!node)
        return;
    node = atomic_exchange_explicit(&flow->head, NULL, memory_order_acquire);
    int64_t gap = fc_rules_min_gap_ns(rules, proto_of(flow)), soonest = INT64_MIN;
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
    struct shard *shard;
    enum fc_sweep_mode mode;
    int64_t watermark_ns;
    uint64_t seq;
    int64_t clock_ns;
    struct fc_join *join;
    const struct fc_replay *replay;
    const struct fc_sink *sink;
    unsigned count; /* in batch */
    struct {
        _Atomic(struct fc_flow *) *bucket;
        struct fc_flow *flow;
    } batch[BATCH];
};

/* Unpacks the runs of a flow and joins them. */
static int join_flow(const struct sweep *s, const struct fc_flow_key *key, const struct fc_flow *flow)
{
    size_t n = 0;

    for (const struct fc_packed *packed = flow->owned; packed; packed = packed->next)
        n++;
    struct fc_node *nodes = fc_join_views(s->join, n);
    if (!nodes)
        return FC_E_NOMEM;
    n = 0;
    for (const struct fc_packed *packed = flow->owned; packed; packed = packed->next, n++) {
        fc_packed_read(packed, &nodes[n]);
        if (n)
            nodes[n - 1].next = &nodes[n];
    }
    return fc_join_run(s->join, s->table->rules, key, nodes, s->replay);
}

/* Whether the flow's runs should be joined now. */
static bool is_due(const struct sweep *s, struct fc_flow *flow)
{
    if (s->mode == FC_SWEEP_FORCE && atomic_load_explicit(&flow->last, memory_order_relaxed) > coarse(s->watermark_ns))
        return false;
    take_list(s->table->rules, flow);
    if (!flow->owned)
        return false; /* just added, its run is on the way */
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

/* Joins a due flow; when it has ended, emits its sessions and takes it out. 0, FC_E_NOMEM, or what emit returned. */
static int sweep_flow(const struct sweep *s, _Atomic(struct fc_flow *) *bucket, struct fc_flow *flow)
{
    const struct fc_rules *rules = s->table->rules;
    struct fc_flow_key key;
    int64_t end = FC_NEVER;
    int rc;

    load_key(flow, &key);
    if ((rc = join_flow(s, &key, flow)))
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
    bool open = s->mode == FC_SWEEP_FORCE || (s->mode == FC_SWEEP_FINISH && (end == FC_NEVER || end >= s->clock_ns));
    rc = emit_flow(&key, s->join, open, s->sink);
    int64_t bytes = (int64_t)flow_size(flow) + free_nodes(s->pool, flow->owned);
    atomic_fetch_sub_explicit(&s->table->flows, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->table->bytes, bytes, memory_order_relaxed);
    unlink_flow(bucket, flow);
    bury(s->shard, flow);
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

static int sweep_bucket(struct sweep *s, _Atomic(struct fc_flow *) *bucket)
{
    struct fc_flow *flow = atomic_load_explicit(bucket, memory_order_acquire), *next; /* guarantee A */
    int rc = 0;

    for (; flow && rc == 0; flow = next) {
        next = atomic_load_explicit(&flow->next, memory_order_acquire);
        if (!is_due(s, flow))
            continue;
        __builtin_prefetch(flow->owned);
        __builtin_prefetch((const uint8_t *)flow->owned + 64);
        s->batch[s->count].bucket = bucket;
        s->batch[s->count++].flow = flow;
        if (s->count == BATCH)
            rc = sweep_batch(s);
    }
    return rc;
}

/* Fetches what the sweep of the buckets to come will look at: first flows, then the runs they have got. */
static void fetch_ahead(const struct fc_table *t, size_t bucket, size_t end)
{
    const struct fc_flow *flow;

    if (bucket + 2 * AHEAD < end)
        __builtin_prefetch(atomic_load_explicit(&t->buckets[bucket + 2 * AHEAD], memory_order_relaxed), 1);
    if (bucket + AHEAD < end && (flow = atomic_load_explicit(&t->buckets[bucket + AHEAD], memory_order_acquire)))
        __builtin_prefetch(atomic_load_explicit(&flow->head, memory_order_relaxed), 1); /* guarantee A */
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
    int rc = 0;

    /* acquire: pairs with the release below, so that one sweeper's owner fields are the next one's */
    if (atomic_exchange_explicit(&s.shard->sweeping, true, memory_order_acquire))
        return 1;
    int_fast64_t before = atomic_load_explicit(&t->evicted_ns, memory_order_relaxed);
    while (mode != FC_SWEEP_FORCE && before < watermark_ns &&
           !atomic_compare_exchange_weak_explicit(&t->evicted_ns, &before, watermark_ns, memory_order_seq_cst,
                                                  memory_order_relaxed))
        ;
    for (size_t i = shard * each; i < (shard + 1) * each && rc == 0; i++) {
        fetch_ahead(t, i, (shard + 1) * each);
        if (atomic_load_explicit(&t->buckets[i], memory_order_relaxed))
            rc = sweep_bucket(&s, &t->buckets[i]);
    }
    rc = rc ? rc : sweep_batch(&s);
    reclaim(t, s.shard);
    atomic_store_explicit(&s.shard->sweeping, false, memory_order_release);
    return rc;
}

uint64_t fc_table_bytes(const struct fc_table *t)
{
    int64_t n = atomic_load_explicit(&t->bytes, memory_order_relaxed);
    return n > 0 ? (uint64_t)n : 0;
}

uint64_t fc_table_flows(const struct fc_table *t)
{
    int64_t n = atomic_load_explicit(&t->flows, memory_order_relaxed);
    return n > 0 ? (uint64_t)n : 0;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int64_t fc_table_median_ns(const struct fc_table *t)
{
    uint32_t last[SAMPLE];
    size_t n = 0, step = fc_table_flows(t) / SAMPLE + 1;

    rcu_read_lock();
    for (size_t i = 0; i < t->bucket_count && n < SAMPLE; i += step) {
        const struct fc_flow *flow = atomic_load_explicit(&t->buckets[i], memory_order_acquire); /* guarantee A */
        if (flow)
            last[n++] = atomic_load_explicit(&flow->last, memory_order_relaxed);
    }
    FC_TSAN_RELEASE(&free_flows);
    rcu_read_unlock();
    if (!n)
        return INT64_MAX;
    qsort(last, n, sizeof *last, compare_u32);
    return (int64_t)last[n / 2] << 30;
}

static int compare_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

const uint64_t *fc_table_late(struct fc_table *t, size_t *count, bool *all)
{
    size_t n = 0;

    if (t->late_count)
        qsort(t->late, t->late_count, sizeof *t->late, compare_hash);
    for (size_t i = 0; i < t->late_count; i++)
        if (i == 0 || t->late[i] != t->late[i - 1])
            t->late[n++] = t->late[i];
    t->late_count = n;
    *count = n;
    *all = t->late_all;
    return t->late;
}
