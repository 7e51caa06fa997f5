/* SPDX-License-Identifier: MIT */
#include "base/hash.h"
#include "flow/table_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    BUCKETS_MIN_BITS = 14, /* FC_TABLE_SHARDS of them are one shard each */
    BUCKETS_MAX = 1 << 26,
    LATE_MAX = 1 << 20, /* late flows that are remembered one by one */
    SAMPLE = 2048       /* flows looked at for their age */
};

#define DEFAULT_BYTES ((uint64_t)64 << 20)

/* Zeros, which take memory where they are touched. Looked at here and there: in huge pages, where there are such, that costs less. */
static void *new_words(size_t count)
{
    void *p = mmap(NULL, count * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, count * sizeof(uint64_t), MADV_HUGEPAGE);
    return p;
}

static void free_words(void *p, size_t count)
{
    if (p)
        munmap(p, count * sizeof(uint64_t));
}

struct fc_table *fc_table_new_sized(const struct fc_rules *rules, uint64_t bytes)
{
    struct fc_table *t = aligned_alloc(64, (sizeof *t + 63) & ~(size_t)63);
    unsigned bits = BUCKETS_MIN_BITS;

    if (!t)
        return NULL;
    memset(t, 0, sizeof *t);
    while ((1ull << bits) < BUCKETS_MAX && (1ull << bits) < bytes / FC_TABLE_FLOW_BYTES)
        bits++;
    t->rules = rules;
    fc_gaps_init(&t->gaps, rules);
    t->seed = fc_hash_secret();
    t->shift = 64 - bits;
    t->bucket_count = (size_t)1 << bits;
    t->buckets = new_words(t->bucket_count); /* all zero is NULL */
    t->forced = new_words(t->bucket_count / FORCED_SHARE);
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

void fc_table_shrink(struct fc_table *t)
{
    fc_table_wait_reclaimed(t);
    fc_heap_shrink(&t->heap);
    free_words(t->buckets, t->bucket_count);
    free_words(t->forced, t->bucket_count / FORCED_SHARE);
    t->buckets = NULL;
    t->forced = NULL;
    t->bucket_count = 0;
}

void fc_table_free(struct fc_table *t)
{
    if (!t)
        return;
    fc_table_wait_reclaimed(t);
    /* at the end of a run nothing is left */
    bool left = fc_table_flows(t) != 0;
    for (size_t i = 0; left && i < t->bucket_count; i++) {
        struct fc_flow *flow = atomic_load_explicit(&t->buckets[i], memory_order_relaxed);
        for (; flow; flow = atomic_load_explicit(&flow->next, memory_order_relaxed)) {
            struct fc_packed *head = atomic_load_explicit(&flow->head, memory_order_relaxed);
            fc_table_free_nodes(NULL, head == FC_FLOW_CLOSED ? NULL : head);
            fc_table_free_nodes(NULL, flow->owned);
        }
    }
    fc_heap_fini(&t->heap);
    pthread_mutex_destroy(&t->late_lock);
    pthread_mutex_destroy(&t->reclaim_lock);
    pthread_cond_destroy(&t->reclaimed);
    free_words(t->buckets, t->bucket_count);
    free_words(t->forced, t->bucket_count / FORCED_SHARE);
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

uint64_t fc_table_seed(const struct fc_table *t)
{
    return t->seed;
}

void fc_table_prefetch(const struct fc_table *t, uint64_t hash)
{
    __builtin_prefetch(&t->buckets[hash >> t->shift], 1);
    if (atomic_load_explicit(&t->any_forced, memory_order_relaxed))
        __builtin_prefetch(&t->forced[(hash >> t->shift) / FORCED_SHARE]);
}

void fc_table_prefetch_flow(const struct fc_table *t, uint64_t hash)
{
    /* looked at no further than to fetch it: it may be gone by then */
    __builtin_prefetch(atomic_load_explicit(&t->buckets[hash >> t->shift], memory_order_relaxed), 1);
}

void fc_table_note_late(struct fc_table *t, uint64_t hash)
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

/* A flow that comes again after it was evicted by force: its pieces must be joined. Guarantee E. */
static bool was_forced(const struct fc_table *t, uint64_t hash)
{
    uint64_t bits;
    atomic_uint_fast64_t *word = forced_word(t, hash, &bits);

    return atomic_load_explicit(&t->any_forced, memory_order_relaxed) &&
           (atomic_load_explicit(word, memory_order_relaxed) & bits) == bits;
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
    fc_tally_add(&pool->tally, (int64_t)flow_size(fresh), 1);
    if (was_forced(t, hash))
        fc_table_note_late(t, hash);
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

void fc_table_enter(void)
{
    rcu_read_lock();
}

void fc_table_leave(void)
{
    FC_TABLE_LEAVE();
    rcu_read_unlock();
}

int fc_table_publish_inside(struct fc_table *t, struct fc_pool *pool, const struct fc_flow_key *key, uint64_t hash,
                            const struct fc_node *node)
{
    uint8_t head[FC_PACKED_HEAD_MAX];
    struct stored_key k;
    size_t size, head_len = fc_packed_head(node, head, &size);
    struct fc_packed *packed = fc_pool_take(pool, size);
    struct fc_flow *flow;

    if (!packed)
        return FC_E_NOMEM;
    fc_packed_write(packed, node, head, head_len, size);
    if (node->db_id)
        t->priors = true;
    store_key(key, hash, &k);
    do {
        flow = find_or_add(t, pool, &k, hash);
        if (!flow) {
            fc_pool_give(pool, packed, size);
            return FC_E_NOMEM;
        }
        if (coarse(node->run.max_ns) > atomic_load_explicit(&flow->last, memory_order_relaxed))
            atomic_store_explicit(&flow->last, coarse(node->run.max_ns), memory_order_relaxed);
    } while (!push(flow, packed)); /* closed under our hands; it is passed over the next time */
    fc_tally_add(&pool->tally, (int64_t)size, 0);
    /*
     * Guarantee D. A record without a time may belong to any session, and a fragment of no chunk (seq 0) may lie in front
     * of what was evicted although it is later: every eviction makes them late.
     */
    int64_t evicted = atomic_load_explicit(&t->evicted_ns, memory_order_seq_cst);
    if (evicted != INT64_MIN && (node->seq == 0 || node->run.min_ns < evicted) && !node->db_id)
        fc_table_note_late(t, hash);
    return 0;
}

int fc_table_publish(struct fc_table *t, struct fc_pool *pool, const struct fc_flow_key *key, uint64_t hash,
                     const struct fc_node *node)
{
    fc_table_enter();
    int rc = fc_table_publish_inside(t, pool, key, hash, node);
    fc_table_leave();
    return rc;
}

uint64_t fc_table_bytes(struct fc_table *t)
{
    int64_t bytes, flows;

    fc_heap_tally(&t->heap, &bytes, &flows);
    return bytes > 0 ? (uint64_t)bytes : 0;
}

uint64_t fc_table_slab_bytes(struct fc_table *t)
{
    return atomic_load_explicit(&t->heap.bytes, memory_order_relaxed);
}

uint64_t fc_table_fixed_bytes(const struct fc_table *t)
{
    return t->bucket_count * sizeof *t->buckets;
}

uint64_t fc_table_flows(struct fc_table *t)
{
    int64_t bytes, flows;

    fc_heap_tally(&t->heap, &bytes, &flows);
    return flows > 0 ? (uint64_t)flows : 0;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

int64_t fc_table_median_ns(struct fc_table *t)
{
    uint32_t last[SAMPLE];
    size_t n = 0, step = fc_table_flows(t) / SAMPLE + 1;

    rcu_read_lock();
    for (size_t i = 0; i < t->bucket_count && n < SAMPLE; i += step) {
        const struct fc_flow *flow = atomic_load_explicit(&t->buckets[i], memory_order_acquire); /* guarantee A */
        if (flow)
            last[n++] = atomic_load_explicit(&flow->last, memory_order_relaxed);
    }
    FC_TABLE_LEAVE();
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

void fc_table_sort_late(struct fc_table *t)
{
    size_t n = 0;

    if (t->late_count)
        qsort(t->late, t->late_count, sizeof *t->late, compare_hash);
    for (size_t i = 0; i < t->late_count; i++)
        if (i == 0 || t->late[i] != t->late[i - 1])
            t->late[n++] = t->late[i];
    t->late_count = n;
}

bool fc_table_is_late(const struct fc_table *t, uint64_t hash)
{
    return t->late_all ||
           (t->late_count && bsearch(&hash, t->late, t->late_count, sizeof *t->late, compare_hash) != NULL);
}

const uint64_t *fc_table_late(struct fc_table *t, size_t *count, bool *all)
{
    fc_table_sort_late(t);
    *count = t->late_count;
    *all = t->late_all;
    return t->late;
}
