/* SPDX-License-Identifier: MIT */
/*
 * The flow table against one over cds_lfht (lfht_table.h): runs of many short flows, published by one thread and by two, then all
 * swept to sessions. Every fourth flow has two runs. As the pipeline does it, a thread publishes stretches of runs and, where
 * the table offers it, fetches ahead.
 */
#include "base/varint.h"
#include "lfht_table.h"
#include "micro.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <urcu.h>

enum { STRETCH = 4096, AHEAD = 12, THREADS = 2, ROUNDS = 3, RUN_PACKETS = 3, FLOW_BYTES = 128 };

struct item {
    struct fc_flow_key key;
    uint64_t hash;
};

struct bench {
    const struct variant *variant;
    void *table;
    struct fc_rules rules;
    struct item *items;
    int64_t flows, runs;
    unsigned threads;
    pthread_barrier_t barrier;
    atomic_int_fast64_t next;
    atomic_uint next_shard;
    atomic_int_fast64_t sessions, packets;
    atomic_int failed;
    /* results, one a thread */
    struct span {
        double start, end;
    } published[THREADS], swept[THREADS];
};

/* ---- the two tables */

static struct variant {
    const char *name;
    void *(*new)(struct bench *b);
    void (*free)(struct bench *b);
    void (*pool)(struct bench *b, struct fc_pool *pool);
    uint64_t (*hash)(struct bench *b, const struct fc_flow_key *key);
    int (*publish)(struct bench *b, struct fc_pool *pool, const struct item *item, int64_t left,
                   const struct fc_node *node);
    int (*sweep)(struct bench *b, struct fc_pool *pool, unsigned shard, struct fc_join *join,
                 const struct fc_sink *sink);
} const variants[];

static void *own_new(struct bench *b)
{
    return fc_table_new_sized(&b->rules, (uint64_t)b->flows * FLOW_BYTES);
}

static void own_free(struct bench *b)
{
    fc_table_free(b->table);
}

static void own_pool(struct bench *b, struct fc_pool *pool)
{
    fc_table_pool(b->table, pool);
}

static uint64_t own_hash(struct bench *b, const struct fc_flow_key *key)
{
    return fc_table_hash(b->table, key);
}

static int own_publish(struct bench *b, struct fc_pool *pool, const struct item *item, int64_t left,
                       const struct fc_node *node)
{
    if (left > 2 * AHEAD)
        fc_table_prefetch(b->table, item[2 * AHEAD].hash);
    if (left > AHEAD)
        fc_table_prefetch_flow(b->table, item[AHEAD].hash);
    return fc_table_publish(b->table, pool, &item->key, item->hash, node);
}

static int own_sweep(struct bench *b, struct fc_pool *pool, unsigned shard, struct fc_join *join,
                     const struct fc_sink *sink)
{
    return fc_table_sweep(b->table, pool, shard, FC_SWEEP_FINISH, INT64_MAX, UINT64_MAX, INT64_MAX, join, NULL, sink);
}

static void *lfht_new(struct bench *b)
{
    (void)b;
    return lfht_table_new(&b->rules, 64);
}

static void *lfht_new_sized(struct bench *b)
{
    uint64_t buckets = 64;

    while (buckets < (uint64_t)b->flows / FC_TABLE_SHARDS)
        buckets *= 2;
    return lfht_table_new(&b->rules, buckets);
}

static void lfht_free(struct bench *b)
{
    lfht_table_free(b->table);
}

static void lfht_pool(struct bench *b, struct fc_pool *pool)
{
    lfht_table_pool(b->table, pool);
}

static uint64_t lfht_hash(struct bench *b, const struct fc_flow_key *key)
{
    return lfht_table_hash(b->table, key);
}

static int lfht_publish(struct bench *b, struct fc_pool *pool, const struct item *item, int64_t left,
                        const struct fc_node *node)
{
    (void)left;
    return lfht_table_publish(b->table, pool, &item->key, item->hash, node);
}

static int lfht_sweep(struct bench *b, struct fc_pool *pool, unsigned shard, struct fc_join *join,
                      const struct fc_sink *sink)
{
    return lfht_table_sweep(b->table, pool, shard, FC_SWEEP_FINISH, INT64_MAX, join, sink);
}

static const struct variant variants[] = {
    {"own table", own_new, own_free, own_pool, own_hash, own_publish, own_sweep},
    {"cds_lfht, of the right size from the start", lfht_new_sized, lfht_free, lfht_pool, lfht_hash, lfht_publish,
     lfht_sweep},
    {"cds_lfht, growing", lfht_new, lfht_free, lfht_pool, lfht_hash, lfht_publish, lfht_sweep},
};

/* ---- the work */

static void make_key(struct fc_flow_key *key, uint64_t flow)
{
    uint64_t state = flow * 2654435761u + 88172645463325252u, x = micro_random(&state);

    memset(key, 0, sizeof *key);
    key->addr[0][0] = 10;
    memcpy(key->addr[0] + 1, &flow, 3); /* no two flows alike */
    key->addr[1][0] = 198;
    memcpy(key->addr[1] + 1, &x, 3);
    key->port[0] = (uint16_t)(32768 + flow / 0x1000000);
    key->port[1] = 443;
    key->addr_kind = FC_ADDR_IPV4;
    key->proto = 6;
}

/* Every flow once, then every fourth again, each time in an order of no pattern. */
static void make_items(struct bench *b)
{
    uint64_t state = 88172645463325252u;

    for (int64_t i = 0; i < b->runs; i++) {
        uint64_t flow = i < b->flows ? (uint64_t)i : (uint64_t)(i - b->flows) * 4;
        make_key(&b->items[i].key, flow);
    }
    for (int64_t part = 0; part < 2; part++) {
        int64_t first = part ? b->flows : 0, count = part ? b->runs - b->flows : b->flows;
        for (int64_t i = count - 1; i > 0; i--) {
            int64_t j = (int64_t)(micro_random(&state) % (uint64_t)(i + 1));
            struct item other = b->items[first + i];
            b->items[first + i] = b->items[first + j];
            b->items[first + j] = other;
        }
    }
}

static void set_node(struct fc_node *node, int64_t i, uint8_t *pos)
{
    int64_t ts_ns = INT64_C(1700000000000000000) + i * 100;

    node->first_off = 24 + (uint64_t)i * 200;
    node->last_off = node->first_off + 1000;
    node->run.first_ns = node->run.min_ns = ts_ns;
    node->run.max_ns = ts_ns + 5000000;
    node->seq = 1;
    uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(pos, 1), RUN_PACKETS), node->first_off);
    p = fc_varint_put(fc_varint_put(p, 400), 600);
    node->pos_len = (size_t)(p - pos);
}

static int publish_all(struct bench *b, struct fc_pool *pool)
{
    uint8_t pos[6 * FC_VARINT_MAX];
    struct fc_node node = {.first_file = 1, .last_file = 1, .pos = pos};
    int64_t from;
    int rc = 0;

    fc_run_init(&node.run);
    node.run.packets[0] = RUN_PACKETS - 1;
    node.run.packets[1] = 1;
    node.run.bytes[0] = node.run.bytes[1] = 200;
    node.run.first_dir = 0;
    node.run.tcp_flags[0] = node.run.tcp_flags[1] = FC_TCP_ACK;
    while ((from = atomic_fetch_add(&b->next, STRETCH)) < b->runs) {
        int64_t end = from + STRETCH < b->runs ? from + STRETCH : b->runs;
        for (int64_t i = from; i < end && rc == 0; i++) {
            set_node(&node, i, pos);
            rc = b->variant->publish(b, pool, &b->items[i], end - i, &node);
        }
    }
    return rc;
}

struct counts {
    int64_t sessions, packets;
};

static int count(void *ctx, const struct fc_ended *ended)
{
    struct counts *c = ctx;

    c->sessions++;
    c->packets += (int64_t)(ended->session->run.packets[0] + ended->session->run.packets[1]);
    return 0;
}

static int sweep_all(struct bench *b, struct fc_pool *pool)
{
    struct counts counts = {0};
    struct fc_sink sink = {count, &counts};
    struct fc_join join = {0};
    unsigned shard;
    int rc = 0;

    while (rc == 0 && (shard = atomic_fetch_add(&b->next_shard, 1)) < FC_TABLE_SHARDS)
        rc = b->variant->sweep(b, pool, shard, &join, &sink);
    fc_join_fini(&join);
    atomic_fetch_add(&b->sessions, counts.sessions);
    atomic_fetch_add(&b->packets, counts.packets);
    return rc;
}

struct worker {
    struct bench *bench;
    unsigned number;
    pthread_t thread;
};

static void wait_for_all(struct bench *b)
{
    rcu_thread_offline();
    pthread_barrier_wait(&b->barrier);
    rcu_thread_online();
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct bench *b = w->bench;
    struct fc_pool pool;
    int rc;

    rcu_register_thread();
    b->variant->pool(b, &pool);
    wait_for_all(b);
    b->published[w->number].start = micro_now();
    rc = publish_all(b, &pool);
    b->published[w->number].end = micro_now();
    wait_for_all(b);
    b->swept[w->number].start = micro_now();
    rc |= sweep_all(b, &pool);
    b->swept[w->number].end = micro_now();
    if (rc)
        atomic_store(&b->failed, 1);
    fc_pool_fini(&pool);
    rcu_unregister_thread();
    return NULL;
}

/* From the first thread's start to the last one's end. */
static double seconds(const struct span *spans, unsigned n)
{
    double start = spans[0].start, end = spans[0].end;

    for (unsigned i = 1; i < n; i++) {
        start = spans[i].start < start ? spans[i].start : start;
        end = spans[i].end > end ? spans[i].end : end;
    }
    return end - start;
}

static int run_once(struct bench *b)
{
    struct worker workers[THREADS];

    b->table = b->variant->new (b);
    if (!b->table)
        return micro_fail("table", "out of memory");
    for (int64_t i = 0; i < b->runs; i++)
        b->items[i].hash = b->variant->hash(b, &b->items[i].key);
    atomic_store(&b->next, 0);
    atomic_store(&b->next_shard, 0);
    atomic_store(&b->sessions, 0);
    atomic_store(&b->packets, 0);
    pthread_barrier_init(&b->barrier, NULL, b->threads);
    for (unsigned i = 0; i < b->threads; i++) {
        workers[i] = (struct worker){.bench = b, .number = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            abort();
    }
    for (unsigned i = 0; i < b->threads; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&b->barrier);
    b->variant->free(b);
    if (atomic_load(&b->failed) || atomic_load(&b->sessions) != b->flows ||
        atomic_load(&b->packets) != b->runs * RUN_PACKETS)
        return micro_fail("table", "sessions are not those that went in");
    return 0;
}

int micro_table(int argc, char **argv)
{
    struct bench b = {.flows = micro_count(argc, argv, 1000000)};
    int rc = 0;

    if (b.flows < 0 || fc_rules_profile(&b.rules, "flowcarve"))
        return 2;
    b.runs = b.flows + (b.flows + 3) / 4;
    b.items = malloc((size_t)b.runs * sizeof *b.items);
    if (!b.items)
        return micro_fail("table", "out of memory");
    make_items(&b);
    rcu_register_thread();
    for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
        for (b.threads = 1; b.threads <= THREADS && rc == 0; b.threads++) {
            double publish[ROUNDS], sweep[ROUNDS];
            char what[128], note[64];
            b.variant = &variants[v];
            for (int i = 0; i < ROUNDS && rc == 0; i++) {
                rc = run_once(&b);
                publish[i] = seconds(b.published, b.threads) / (double)b.runs * 1e9;
                sweep[i] = seconds(b.swept, b.threads) / (double)b.flows * 1e9;
            }
            if (rc)
                break;
            snprintf(note, sizeof note, "%lld flows; all come out", (long long)b.flows);
            snprintf(what, sizeof what, "publish, %u thread%s: %s", b.threads, b.threads > 1 ? "s" : "",
                     b.variant->name);
            micro_row("table", what, micro_median(publish, ROUNDS), "ns a run", note);
            snprintf(what, sizeof what, "sweep, %u thread%s: %s", b.threads, b.threads > 1 ? "s" : "", b.variant->name);
            micro_row("table", what, micro_median(sweep, ROUNDS), "ns a flow", note);
        }
    }
    rcu_unregister_thread();
    free(b.items);
    return rc;
}
