/* SPDX-License-Identifier: MIT */
/*
 * Publishers and sweepers on one flow table with few flows: every run comes out once, whatever the sweepers do.
 *
 * What a publisher wrote before it published a run must be visible to whoever is given the run. With FC_PLANT_RACE it
 * is written behind the publication instead: ThreadSanitizer must then complain, or the suite proves nothing.
 */
#include "base/varint.h"
#include "flow/table.h"
#include "rng.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <urcu.h>

enum { PUBLISHERS = 3, SWEEPERS = 2, FLOWS = 5, RUNS = 6000 };
#define MS 1000000LL

struct shared {
    struct fc_table *table;
    struct fc_rules rules;
    uint64_t seed;
    atomic_int publishing, failed;
    atomic_int_fast64_t clock_ns;         /* of the publishers */
    uint64_t stamp[PUBLISHERS * RUNS];    /* plain: the hand-over orders it */
    atomic_uchar seen[PUBLISHERS * RUNS]; /* how often a run came out */
    atomic_uint_fast64_t sessions, published_packets, emitted_packets;
};
struct worker {
    struct shared *s;
    unsigned number;
    pthread_t thread;
};

static void check(struct shared *s, bool ok, const char *what)
{
    if (!ok && !atomic_exchange(&s->failed, 1))
        fprintf(stderr, "table_race: %s\n", what);
}

static struct fc_flow_key key_of(unsigned flow)
{
    struct fc_flow_key key;

    memset(&key, 0, sizeof key);
    key.addr[0][3] = 1;
    key.addr[1][3] = 2;
    key.addr_kind = FC_ADDR_IPV4;
    key.port[0] = (uint16_t)flow;
    key.proto = 17;
    return key;
}

static void publish_one(struct shared *s, struct fc_pool *pool, struct rng *rng, uint64_t id, int64_t ts_ns)
{
    struct fc_flow_key key = key_of((unsigned)rng_below(rng, FLOWS));
    uint8_t pos[3 * FC_VARINT_MAX];
    uint8_t *end = fc_varint_put(fc_varint_put(fc_varint_put(pos, 1), 1), id);
    struct fc_node *node = fc_node_new(false, (size_t)(end - pos));
    unsigned dir = (unsigned)rng_below(rng, 2);

    if (!node)
        abort();
    memcpy(node->pos, pos, node->pos_len);
    node->first_file = 1;
    node->first_off = id;
    node->run.first_ns = node->run.min_ns = node->run.max_ns = ts_ns;
    node->run.first_dir = (uint8_t)dir;
    node->run.packets[dir] = 1 + rng_below(rng, 3);
    atomic_fetch_add(&s->published_packets, node->run.packets[dir]);
#ifndef FC_PLANT_RACE
    s->stamp[id] = ~id;
#endif
    check(s, fc_table_publish(s->table, pool, &key, fc_table_hash(s->table, &key), node) == 0, "publishing failed");
    free(node);
#ifdef FC_PLANT_RACE
    s->stamp[id] = ~id;
#endif
}

static void *publisher(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->s;
    struct rng rng = {s->seed + w->number};
    struct fc_pool pool;

    rcu_register_thread();
    fc_table_pool(s->table, &pool);
    for (uint64_t i = 0; i < RUNS; i++) {
        int64_t now = atomic_fetch_add_explicit(&s->clock_ns, (int64_t)rng_below(&rng, 20 * MS), memory_order_relaxed);
        publish_one(s, &pool, &rng, w->number * RUNS + i, now - (int64_t)rng_below(&rng, 3 * MS));
    }
    fc_pool_fini(&pool);
    atomic_fetch_sub(&s->publishing, 1);
    rcu_unregister_thread();
    return NULL;
}

static int emit(void *ctx, const struct fc_ended *ended)
{
    struct shared *s = ctx;
    uint64_t packets = 0;

    for (size_t i = 0; i < ended->session->count; i++) {
        const struct fc_node *node = ended->nodes[i];
        uint64_t id = node->first_off;
        check(s, s->stamp[id] == ~id || s->stamp[id] == 0, "a stamp is wrong");
        check(s, atomic_fetch_add(&s->seen[id], 1) == 0, "a run came out twice");
        packets += node->run.packets[0] + node->run.packets[1];
    }
    check(s, packets == ended->session->run.packets[0] + ended->session->run.packets[1], "a session's sum is wrong");
    atomic_fetch_add(&s->emitted_packets, packets);
    atomic_fetch_add(&s->sessions, 1);
    return 0;
}

static void sweep_all(struct shared *s, struct fc_pool *pool, struct fc_join *join, enum fc_sweep_mode mode,
                      int64_t watermark_ns)
{
    struct fc_sink sink = {emit, s};

    for (unsigned i = 0; i < FC_TABLE_SHARDS; i++)
        check(s, fc_table_sweep(s->table, pool, i, mode, watermark_ns, UINT64_MAX, 0, join, NULL, &sink) >= 0,
              "a sweep failed");
}

static void *sweeper(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->s;
    struct rng rng = {s->seed ^ (0x5eed + w->number)};
    struct fc_join join = {0};
    struct fc_pool pool;

    rcu_register_thread();
    fc_table_pool(s->table, &pool);
    while (atomic_load(&s->publishing)) {
        int64_t now = atomic_load_explicit(&s->clock_ns, memory_order_relaxed);
        bool force = rng_chance(&rng, 20), fold = rng_chance(&rng, 30);
        sweep_all(s, &pool, &join,
                  fold    ? FC_SWEEP_FOLD
                  : force ? FC_SWEEP_FORCE
                          : FC_SWEEP_EXPIRED,
                  force ? INT64_MAX : now - (int64_t)rng_below(&rng, 40 * MS));
    }
    fc_join_fini(&join);
    fc_pool_fini(&pool);
    rcu_unregister_thread();
    return NULL;
}

static void run_threads(struct shared *s)
{
    struct worker workers[PUBLISHERS + SWEEPERS];

    for (unsigned i = 0; i < PUBLISHERS + SWEEPERS; i++) {
        workers[i] = (struct worker){.s = s, .number = i};
        if (pthread_create(&workers[i].thread, NULL, i < PUBLISHERS ? publisher : sweeper, &workers[i]))
            abort();
    }
    for (unsigned i = 0; i < PUBLISHERS + SWEEPERS; i++)
        pthread_join(workers[i].thread, NULL);
}

static int one_round(uint64_t seed)
{
    struct shared *s = calloc(1, sizeof *s);
    struct fc_join join = {0};
    struct fc_pool pool;

    if (!s)
        abort();
    s->seed = seed;
    atomic_init(&s->publishing, PUBLISHERS);
    atomic_init(&s->clock_ns, 1000 * MS);
    fc_rules_profile(&s->rules, "flowcarve");
    if (fc_rules_timeout(&s->rules, "udp=0.02", NULL) || !(s->table = fc_table_new(&s->rules)))
        abort();
    run_threads(s);
    fc_table_pool(s->table, &pool);
    sweep_all(s, &pool, &join, FC_SWEEP_FINISH, INT64_MAX);
    for (unsigned i = 0; i < PUBLISHERS * RUNS; i++)
        check(s, atomic_load(&s->seen[i]) == 1, "a run did not come out once");
    check(s, s->emitted_packets == s->published_packets, "packets were lost");
    check(s, fc_table_flows(s->table) == 0, "flows are left");
    check(s, fc_table_bytes(s->table) == 0, "bytes are left");
    int failed = s->failed;
    fprintf(stderr, "table_race: %u runs, %llu sessions\n", PUBLISHERS * RUNS, (unsigned long long)s->sessions);
    fc_join_fini(&join);
    fc_pool_fini(&pool);
    fc_table_free(s->table);
    free(s);
    return failed;
}

int main(void)
{
    uint64_t seed = test_seed("table_race"), n = test_rounds(4);
    int failed = 0;

    rcu_register_thread();
    for (uint64_t i = 0; i < n && !failed; i++)
        failed = one_round(seed + i);
    rcu_unregister_thread();
    return failed;
}
