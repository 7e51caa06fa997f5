/* SPDX-License-Identifier: MIT */
#include "flow/table.h"
#include "base/hash.h"
#include "base/tsan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <urcu.h>

enum {
    BYTES_PER_FLOW = 256,      /* a flow with a short run */
    BUCKETS_MIN = 1 << 14,     /* FC_TABLE_SHARDS of them are one shard each */
    BUCKETS_MAX = 1 << 24,
    LATE_MAX = 1 << 20         /* late flows that are remembered one by one */
};

#define DEFAULT_BYTES ((uint64_t)64 << 20)
#define FC_FLOW_CLOSED ((struct fc_node *)1)

struct fc_flow {
    /* first cache line: what a walk along the chain looks at. `next` is written by the shard's sweeper once it is linked */
    _Atomic(struct fc_flow *) next;
    uint64_t hash;             /* immutable after it was added; so is the key */
    struct fc_flow_key key;
    /* shared: atomic */
    _Atomic(struct fc_node *) head; /* runs not yet taken by a sweeper, or FC_FLOW_CLOSED */
    /* owner: the shard's sweeper */
    union {
        struct fc_node *owned;  /* runs taken */
        struct fc_table *table; /* once it is dead: whom to tell when it is gone */
    };
    uint64_t owned_bytes;
    int64_t owned_max_ns;
    uint64_t owned_max_seq;
    int64_t check_ns;      /* no use in joining before the watermark passes this */
    struct fc_flow *dead;  /* next of the flows that wait for the same grace period */
    struct rcu_head rcu;
};

struct shard {
    /* shared: atomic, on a line of its own */
    _Alignas(64) atomic_bool sweeping;
    atomic_int_fast64_t bytes;
    atomic_int_fast64_t flows;
};

struct fc_table {
    /* immutable after init */
    const struct fc_rules *rules;
    uint64_t seed;
    unsigned shift; /* hash >> shift is the bucket: a shard is a stretch of buckets */
    size_t bucket_count;
    _Atomic(struct fc_flow *) *buckets;
    /* shared: atomic */
    _Alignas(64) atomic_int_fast64_t evicted_ns; /* highest watermark any eviction has used */
    /* shared: under late_lock */
    _Alignas(64) pthread_mutex_t late_lock;
    uint64_t *late;
    size_t late_count, late_room;
    bool late_all;
    /* shared: under reclaim_lock */
    pthread_mutex_t reclaim_lock;
    pthread_cond_t reclaimed;
    uint64_t reclaiming; /* batches of flows that wait for their grace period */
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
    atomic_init(&t->evicted_ns, INT64_MIN);
    pthread_mutex_init(&t->late_lock, NULL);
    pthread_mutex_init(&t->reclaim_lock, NULL);
    pthread_cond_init(&t->reclaimed, NULL);
    if (!t->buckets) {
        fc_table_free(t);
        return NULL;
    }
    return t;
}

struct fc_table *fc_table_new(const struct fc_rules *rules)
{
    return fc_table_new_sized(rules, DEFAULT_BYTES);
}

static void free_nodes(struct fc_node *node)
{
    while (node) {
        struct fc_node *next = node->next;
        free(node);
        node = next;
    }
}

/* After a grace period: nobody stands on these any more. */
static void free_flows(struct rcu_head *head)
{
    struct fc_flow *flow = caa_container_of(head, struct fc_flow, rcu);
    struct fc_table *t;

    FC_TSAN_ACQUIRE(&free_flows);
    t = flow->table;
    while (flow) {
        struct fc_flow *next = flow->dead;
        free(flow);
        flow = next;
    }
    pthread_mutex_lock(&t->reclaim_lock);
    if (--t->reclaiming == 0)
        pthread_cond_signal(&t->reclaimed); /* under the lock: the table may be gone behind it */
    pthread_mutex_unlock(&t->reclaim_lock);
}

static void reclaim(struct fc_table *t, struct fc_flow *dead)
{
    pthread_mutex_lock(&t->reclaim_lock);
    t->reclaiming++;
    pthread_mutex_unlock(&t->reclaim_lock);
    dead->table = t;
    FC_TSAN_RELEASE(&free_flows); /* the list; pairs with free_flows() */
    call_rcu(&dead->rcu, free_flows);
}

/* Waits for all that were unlinked before. Not rcu_barrier(), whose end tools that watch for races cannot follow. */
static void wait_reclaimed(struct fc_table *t)
{
    pthread_mutex_lock(&t->reclaim_lock);
    while (t->reclaiming)
        pthread_cond_wait(&t->reclaimed, &t->reclaim_lock);
    pthread_mutex_unlock(&t->reclaim_lock);
}

void fc_table_free(struct fc_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->buckets && i < t->bucket_count; i++) {
        struct fc_flow *flow = atomic_load_explicit(&t->buckets[i], memory_order_relaxed);
        while (flow) {
            struct fc_flow *next = atomic_load_explicit(&flow->next, memory_order_relaxed);
            struct fc_node *head_node = atomic_load_explicit(&flow->head, memory_order_relaxed);
            free_nodes(head_node == FC_FLOW_CLOSED ? NULL : head_node);
            free_nodes(flow->owned);
            free(flow);
            flow = next;
        }
    }
    wait_reclaimed(t);
    pthread_mutex_destroy(&t->late_lock);
    pthread_mutex_destroy(&t->reclaim_lock);
    pthread_cond_destroy(&t->reclaimed);
    free(t->buckets);
    free(t->late);
    free(t);
}

uint64_t fc_table_hash(const struct fc_table *t, const struct fc_flow_key *key)
{
    return fc_hash48(key, t->seed);
}

void fc_table_prefetch(const struct fc_table *t, uint64_t hash)
{
    __builtin_prefetch(&t->buckets[hash >> t->shift], 1);
}

static struct shard *shard_of(struct fc_table *t, uint64_t hash)
{
    return &t->shards[hash >> 58];
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

static struct fc_flow *new_flow(const struct fc_flow_key *key, uint64_t hash)
{
    struct fc_flow *flow = malloc(sizeof *flow);

    if (!flow)
        return NULL;
    flow->hash = hash;
    flow->key = *key;
    atomic_init(&flow->head, NULL);
    flow->owned = NULL;
    flow->owned_bytes = 0;
    flow->owned_max_ns = FC_TIME_NONE;
    flow->owned_max_seq = 0;
    flow->check_ns = INT64_MIN;
    flow->dead = NULL;
    return flow;
}

/* The open flow of key on the chain from `flow` on; NULL when there is none. */
static struct fc_flow *walk(struct fc_flow *flow, const struct fc_flow_key *key, uint64_t hash)
{
    while (flow) {
        if (flow->hash == hash && memcmp(&flow->key, key, sizeof *key) == 0 &&
            atomic_load_explicit(&flow->head, memory_order_relaxed) != FC_FLOW_CLOSED)
            return flow;
        flow = atomic_load_explicit(&flow->next, memory_order_acquire); /* guarantee A */
    }
    return NULL;
}

/* The flow of key, made with an empty list when there is none. NULL without memory. Inside rcu_read_lock(). */
static struct fc_flow *find_or_add(struct fc_table *t, const struct fc_flow_key *key, uint64_t hash)
{
    _Atomic(struct fc_flow *) *bucket = &t->buckets[hash >> t->shift];
    struct shard *shard = shard_of(t, hash);
    struct fc_flow *first = atomic_load_explicit(bucket, memory_order_acquire); /* guarantee A */
    struct fc_flow *flow = walk(first, key, hash), *fresh;

    if (flow)
        return flow;
    fresh = new_flow(key, hash);
    if (!fresh)
        return NULL;
    for (;;) {
        atomic_store_explicit(&fresh->next, first, memory_order_relaxed);
        if (atomic_compare_exchange_strong_explicit(bucket, &first, fresh, memory_order_release, memory_order_acquire))
            break;
        /* others have added or unlinked flows meanwhile: is ours among them? (no ABA: what was unlinked is not freed, and so not
         * added again, while we are inside) */
        flow = walk(first, key, hash);
        if (flow) {
            free(fresh);
            return flow;
        }
    }
    atomic_fetch_add_explicit(&shard->flows, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->bytes, sizeof *fresh + 16, memory_order_relaxed);
    return fresh;
}

/* False when the flow is closed. Pairs with take_list() (guarantee B) and close_flow() (C, D). */
static bool push(struct fc_flow *flow, struct fc_node *node)
{
    struct fc_node *head = atomic_load_explicit(&flow->head, memory_order_relaxed);

    do {
        if (head == FC_FLOW_CLOSED)
            return false;
        node->next = head;
    } while (
        !atomic_compare_exchange_weak_explicit(&flow->head, &head, node, memory_order_seq_cst, memory_order_relaxed));
    return true;
}

int fc_table_publish(struct fc_table *t, const struct fc_flow_key *key, uint64_t hash, struct fc_node *node)
{
    struct shard *shard = shard_of(t, hash);
    int64_t min_ns = node->run.min_ns; /* the node is not ours any more once it is pushed */
    int64_t size = (int64_t)fc_node_size(node);
    bool prior = node->db_id != 0, loose = node->seq == 0, pushed;

    do {
        rcu_read_lock();
        struct fc_flow *flow = find_or_add(t, key, hash);
        if (!flow) {
            rcu_read_unlock();
            return FC_E_NOMEM;
        }
        pushed = push(flow, node); /* false: closed under our hands; it is passed over the next time */
        FC_TSAN_RELEASE(&free_flows);
        rcu_read_unlock();
    } while (!pushed);
    atomic_fetch_add_explicit(&shard->bytes, size, memory_order_relaxed);
    /*
     * Guarantee D. A record without a time may belong to any session, and a fragment of no chunk (seq 0) may lie in front
     * of what was evicted although it is later: every eviction makes them late.
     */
    int64_t evicted = atomic_load_explicit(&t->evicted_ns, memory_order_seq_cst);
    if (evicted != INT64_MIN && (loose || min_ns < evicted) && !prior)
        note_late(t, hash);
    return 0;
}

/* Moves what publishers have pushed to the sweeper's list. Pairs with push() (guarantee B). */
static void take_list(struct fc_flow *flow)
{
    struct fc_node *node = atomic_load_explicit(&flow->head, memory_order_relaxed);

    if (!node)
        return;
    node = atomic_exchange_explicit(&flow->head, NULL, memory_order_acquire);
    while (node) {
        struct fc_node *next = node->next;
        node->next = flow->owned;
        flow->owned = node;
        flow->owned_bytes += fc_node_size(node);
        if (node->run.max_ns > flow->owned_max_ns)
            flow->owned_max_ns = node->run.max_ns;
        if (node->seq > flow->owned_max_seq)
            flow->owned_max_seq = node->seq;
        flow->check_ns = INT64_MIN;
        node = next;
    }
}

/* True when no more runs can be pushed. Pairs with push() (guarantees C, D). */
static bool close_flow(struct fc_flow *flow)
{
    struct fc_node *empty = NULL;

    return atomic_compare_exchange_strong_explicit(&flow->head, &empty, FC_FLOW_CLOSED, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

static int emit_flow(const struct fc_flow *flow, const struct fc_join *join, bool open, const struct fc_sink *sink)
{
    int rc = 0;

    for (size_t i = 0; i < join->session_count && rc == 0; i++) {
        const struct fc_joined *s = &join->sessions[i];
        struct fc_ended ended = {
            .key = &flow->key,
            .hash = flow->hash,
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
    struct shard *shard;
    enum fc_sweep_mode mode;
    int64_t watermark_ns;
    uint64_t seq;
    int64_t clock_ns;
    struct fc_join *join;
    const struct fc_replay *replay;
    const struct fc_sink *sink;
    struct fc_flow *dead; /* unlinked, not yet handed to RCU */
};

/* 1: the flow was closed and its sessions emitted; 0: it stays; negative: it was closed, and emitting failed. */
static int sweep_flow(const struct sweep *s, struct fc_flow *flow)
{
    const struct fc_rules *rules = s->table->rules;
    int64_t end = FC_NEVER;
    int rc;

    take_list(flow);
    if (!flow->owned)
        return 0; /* just added, its run is on the way */
    if (s->mode == FC_SWEEP_EXPIRED) {
        int64_t gap = fc_rules_min_gap_ns(rules, flow->key.proto), soonest = FC_NEVER;
        if (flow->check_ns == INT64_MIN && (gap == FC_NEVER || flow->owned_max_ns == FC_TIME_NONE ||
                                            __builtin_add_overflow(flow->owned_max_ns, gap, &soonest)))
            soonest = FC_NEVER;
        else if (flow->check_ns != INT64_MIN)
            soonest = flow->check_ns;
        if (soonest >= s->watermark_ns || flow->owned_max_seq >= s->seq)
            return 0;
    }
    if ((rc = fc_join_run(s->join, rules, &flow->key, flow->owned, s->replay)))
        return rc;
    end = fc_run_expiry_ns(rules, flow->key.proto, &s->join->sessions[s->join->session_count - 1].run);
    flow->check_ns = end;
    if (s->mode == FC_SWEEP_EXPIRED && end >= s->watermark_ns)
        return 0;
    if (!close_flow(flow))
        return 0; /* a run has come meanwhile; the next sweep sees it */
    bool open = s->mode == FC_SWEEP_FINISH && (end == FC_NEVER || end >= s->clock_ns);
    rc = emit_flow(flow, s->join, open, s->sink);
    if (s->mode == FC_SWEEP_FORCE)
        note_late(s->table, flow->hash);
    atomic_fetch_sub_explicit(&s->shard->flows, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->shard->bytes, (int64_t)(flow->owned_bytes + sizeof *flow + 16), memory_order_relaxed);
    free_nodes(flow->owned);
    flow->owned = NULL;
    return rc ? rc : 1;
}

/* Takes a closed flow off its chain. Only the shard's sweeper unlinks, so `prev` stays linked; publishers add in front. */
static void unlink_flow(_Atomic(struct fc_flow *) *bucket, struct fc_flow *prev, struct fc_flow *flow)
{
    struct fc_flow *next = atomic_load_explicit(&flow->next, memory_order_relaxed), *first = flow;

    if (!prev) {
        /* release: `next` was published before; pairs with the load in find_or_add() */
        if (atomic_compare_exchange_strong_explicit(bucket, &first, next, memory_order_release, memory_order_acquire))
            return;
        for (prev = first; atomic_load_explicit(&prev->next, memory_order_acquire) != flow;)
            prev = atomic_load_explicit(&prev->next, memory_order_acquire);
    }
    atomic_store_explicit(&prev->next, next, memory_order_release); /* pairs with walk() */
}

static int sweep_bucket(struct sweep *s, _Atomic(struct fc_flow *) *bucket)
{
    struct fc_flow *flow = atomic_load_explicit(bucket, memory_order_acquire), *prev = NULL; /* guarantee A */
    int rc = 0;

    while (flow && rc >= 0) {
        struct fc_flow *next = atomic_load_explicit(&flow->next, memory_order_acquire);
        rc = sweep_flow(s, flow);
        if (rc != 0 && atomic_load_explicit(&flow->head, memory_order_relaxed) == FC_FLOW_CLOSED) {
            unlink_flow(bucket, prev, flow);
            flow->dead = s->dead;
            s->dead = flow;
        } else {
            prev = flow;
        }
        flow = next;
    }
    return rc < 0 ? rc : 0;
}

int fc_table_sweep(struct fc_table *t, unsigned shard, enum fc_sweep_mode mode, int64_t watermark_ns, uint64_t seq,
                   int64_t clock_ns, struct fc_join *join, const struct fc_replay *replay, const struct fc_sink *sink)
{
    struct sweep s = {t, &t->shards[shard], mode, watermark_ns, seq, clock_ns, join, replay, sink, NULL};
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
    for (size_t i = shard * each; i < (shard + 1) * each && rc == 0; i++)
        if (atomic_load_explicit(&t->buckets[i], memory_order_relaxed))
            rc = sweep_bucket(&s, &t->buckets[i]);
    atomic_store_explicit(&s.shard->sweeping, false, memory_order_release);
    if (s.dead)
        reclaim(t, s.dead);
    return rc;
}

uint64_t fc_table_bytes(const struct fc_table *t)
{
    int64_t sum = 0;

    for (int i = 0; i < FC_TABLE_SHARDS; i++)
        sum += atomic_load_explicit(&t->shards[i].bytes, memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
}

uint64_t fc_table_flows(const struct fc_table *t)
{
    int64_t sum = 0;

    for (int i = 0; i < FC_TABLE_SHARDS; i++)
        sum += atomic_load_explicit(&t->shards[i].flows, memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
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
