/* SPDX-License-Identifier: MIT */
#include "lfht_table.h"
#include "base/hash.h"
#include "flow/packed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <urcu.h>
#include <urcu/rculfhash.h>

#define CLOSED ((struct fc_packed *)1)

/* Two cache lines; a walk looks at both, since the key is on the second. */
struct flow {
    struct cds_lfht_node ht;
    struct rcu_head rcu;
    struct fc_heap *heap;
    _Atomic(struct fc_packed *) head; /* shared: runs not yet taken by a sweeper, or CLOSED */
    struct fc_packed *owned;          /* owner: the shard's sweeper; runs taken */
    int64_t max_ns;                   /* owner: of those */
    struct fc_flow_key key;           /* immutable */
};
_Static_assert(sizeof(struct flow) <= 128, "a flow is two cache lines");

struct lfht_table {
    const struct fc_rules *rules;
    uint64_t seed;
    struct fc_heap heap;
    struct cds_lfht *shards[FC_TABLE_SHARDS];
};

struct lfht_table *lfht_table_new(const struct fc_rules *rules, uint64_t buckets)
{
    struct lfht_table *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->rules = rules;
    t->seed = fc_hash_secret();
    fc_heap_init(&t->heap);
    for (int i = 0; i < FC_TABLE_SHARDS; i++) {
        t->shards[i] = cds_lfht_new(buckets, 1, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
        if (!t->shards[i]) {
            lfht_table_free(t);
            return NULL;
        }
    }
    return t;
}

static void free_nodes(struct fc_pool *pool, struct fc_packed *node)
{
    while (node) {
        struct fc_packed *next = node->next;
        if (pool)
            fc_pool_give(pool, node, node->size);
        else if (node->size > FC_POOL_MAX)
            free(node);
        node = next;
    }
}

/* After a grace period. */
static void free_flow(struct rcu_head *head)
{
    struct flow *flow = caa_container_of(head, struct flow, rcu);

    fc_heap_return(flow->heap, sizeof *flow, (struct fc_free *)flow, (struct fc_free *)flow);
}

void lfht_table_free(struct lfht_table *t)
{
    struct cds_lfht_iter iter;
    struct flow *flow;

    if (!t)
        return;
    for (int i = 0; i < FC_TABLE_SHARDS && t->shards[i]; i++) {
        rcu_read_lock();
        cds_lfht_for_each_entry(t->shards[i], &iter, flow, ht)
        {
            struct fc_packed *head = atomic_load_explicit(&flow->head, memory_order_relaxed);
            free_nodes(NULL, head == CLOSED ? NULL : head);
            free_nodes(NULL, flow->owned);
            cds_lfht_del(t->shards[i], &flow->ht);
        }
        rcu_read_unlock();
        cds_lfht_destroy(t->shards[i], NULL);
    }
    rcu_barrier();
    fc_heap_fini(&t->heap);
    free(t);
}

uint64_t lfht_table_hash(const struct lfht_table *t, const struct fc_flow_key *key)
{
    return fc_hash48(key, t->seed);
}

void lfht_table_pool(struct lfht_table *t, struct fc_pool *pool)
{
    fc_pool_init(pool, &t->heap);
}

static int match(struct cds_lfht_node *node, const void *key)
{
    return memcmp(&caa_container_of(node, struct flow, ht)->key, key, sizeof(struct fc_flow_key)) == 0;
}

/* The flow of key, made with an empty list when there is none. NULL without memory. Inside rcu_read_lock(). */
static struct flow *find_or_add(struct lfht_table *t, struct cds_lfht *shard, struct fc_pool *pool,
                                const struct fc_flow_key *key, uint64_t hash)
{
    struct cds_lfht_iter iter;

    cds_lfht_lookup(shard, (unsigned long)hash, match, key, &iter);
    if (cds_lfht_iter_get_node(&iter))
        return caa_container_of(cds_lfht_iter_get_node(&iter), struct flow, ht);
    struct flow *fresh = fc_pool_take(pool, sizeof *fresh);
    if (!fresh)
        return NULL;
    fresh->key = *key;
    fresh->heap = &t->heap;
    fresh->owned = NULL;
    fresh->max_ns = FC_TIME_NONE;
    atomic_init(&fresh->head, NULL);
    cds_lfht_node_init(&fresh->ht);
    struct cds_lfht_node *there = cds_lfht_add_unique(shard, (unsigned long)hash, match, key, &fresh->ht);
    if (there == &fresh->ht)
        return fresh;
    fc_pool_give(pool, fresh, sizeof *fresh);
    return caa_container_of(there, struct flow, ht);
}

/* False when the flow is closed. */
static bool push(struct flow *flow, struct fc_packed *node)
{
    struct fc_packed *head = atomic_load_explicit(&flow->head, memory_order_relaxed);

    do {
        if (head == CLOSED)
            return false;
        node->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&flow->head, &head, node, memory_order_release,
                                                    memory_order_relaxed)); /* pairs with take_list() */
    return true;
}

int lfht_table_publish(struct lfht_table *t, struct fc_pool *pool, const struct fc_flow_key *key, uint64_t hash,
                       const struct fc_node *node)
{
    struct cds_lfht *shard = t->shards[hash >> 58]; /* the table inside takes the low bits */
    uint8_t head[FC_PACKED_HEAD_MAX];
    size_t size, head_len = fc_packed_head(node, head, &size);
    struct fc_packed *packed = fc_pool_take(pool, size);
    bool pushed;

    if (!packed)
        return FC_E_NOMEM;
    fc_packed_write(packed, node, head, head_len, size);
    do {
        rcu_read_lock();
        struct flow *flow = find_or_add(t, shard, pool, key, hash);
        if (!flow) {
            rcu_read_unlock();
            fc_pool_give(pool, packed, size);
            return FC_E_NOMEM;
        }
        pushed = push(flow, packed); /* false: its sweeper is about to take it out */
        rcu_read_unlock();
    } while (!pushed);
    return 0;
}

static void take_list(struct flow *flow)
{
    struct fc_packed *node = atomic_load_explicit(&flow->head, memory_order_relaxed);

    if (!node)
        return;
    node = atomic_exchange_explicit(&flow->head, NULL, memory_order_acquire); /* pairs with push() */
    while (node) {
        struct fc_packed *next = node->next;
        node->next = flow->owned;
        flow->owned = node;
        if (node->max_ns > flow->max_ns)
            flow->max_ns = node->max_ns;
        node = next;
    }
}

static int join_flow(const struct lfht_table *t, struct fc_join *join, const struct flow *flow)
{
    size_t n = 0;

    for (const struct fc_packed *packed = flow->owned; packed; packed = packed->next)
        n++;
    struct fc_node *nodes = fc_join_views(join, n);
    if (!nodes)
        return FC_E_NOMEM;
    n = 0;
    for (const struct fc_packed *packed = flow->owned; packed; packed = packed->next, n++) {
        fc_packed_read(packed, &nodes[n]);
        if (n)
            nodes[n - 1].next = &nodes[n];
    }
    return fc_join_run(join, t->rules, &flow->key, nodes, NULL);
}

static int emit_flow(const struct flow *flow, const struct fc_join *join, const struct fc_sink *sink)
{
    int rc = 0;

    for (size_t i = 0; i < join->session_count && rc == 0; i++) {
        const struct fc_joined *s = &join->sessions[i];
        struct fc_ended ended = {.key = &flow->key, .session = s, .nodes = join->nodes + s->first};
        rc = sink->emit(sink->ctx, &ended);
    }
    return rc;
}

/* Inside rcu_read_lock(). */
static int sweep_flow(struct lfht_table *t, struct cds_lfht *shard, struct fc_pool *pool, struct flow *flow,
                      enum fc_sweep_mode mode, int64_t watermark_ns, struct fc_join *join, const struct fc_sink *sink)
{
    struct fc_packed *empty = NULL;
    int rc;

    take_list(flow);
    if (!flow->owned)
        return 0; /* just added, its run is on the way */
    if (mode == FC_SWEEP_EXPIRED && flow->max_ns + fc_rules_min_gap_ns(t->rules, flow->key.proto) >= watermark_ns)
        return 0;
    if ((rc = join_flow(t, join, flow)))
        return rc;
    if (mode == FC_SWEEP_EXPIRED &&
        fc_run_expiry_ns(t->rules, flow->key.proto, &join->sessions[join->session_count - 1].run) >= watermark_ns)
        return 0;
    if (!atomic_compare_exchange_strong_explicit(&flow->head, &empty, CLOSED, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return 0; /* a run has come meanwhile; pairs with push() */
    rc = emit_flow(flow, join, sink);
    free_nodes(pool, flow->owned);
    flow->owned = NULL;
    cds_lfht_del(shard, &flow->ht);
    call_rcu(&flow->rcu, free_flow);
    return rc;
}

int lfht_table_sweep(struct lfht_table *t, struct fc_pool *pool, unsigned shard, enum fc_sweep_mode mode,
                     int64_t watermark_ns, struct fc_join *join, const struct fc_sink *sink)
{
    struct cds_lfht_iter iter;
    struct flow *flow;
    int rc = 0;

    rcu_read_lock();
    cds_lfht_for_each_entry(t->shards[shard], &iter, flow, ht)
    {
        rc = sweep_flow(t, t->shards[shard], pool, flow, mode, watermark_ns, join, sink);
        if (rc)
            break;
    }
    rcu_read_unlock();
    return rc;
}
