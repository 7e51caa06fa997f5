/* SPDX-License-Identifier: MIT */
/*
 * Readers hand units over to one flow table, owners advance its partitions and suspend some, others look flows up
 * meanwhile: every packet comes out once, and what is found is never more than there is.
 *
 * What a reader wrote before it handed a unit over must be visible to whoever is given its packets. With FC_PLANT_RACE
 * it is written behind all of that instead: ThreadSanitizer must then complain, or the suite proves nothing.
 */
#include "flow/partition.h"
#include "flow/positions.h"
#include "rng.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

enum {
    READERS = 3,
    OWNERS = 3,
    LOOKERS = 2,
    THREADS = READERS + OWNERS + LOOKERS,
    FLOWS = 4000,
    UNITS = 40,
    NOTES = 300
};
enum { PACKETS = READERS * UNITS * NOTES };
#define MS 1000000LL

struct shared {
    struct fc_table *table;
    struct fc_rules rules;
    uint64_t seed;
    atomic_int reading, failed;
    atomic_int_fast64_t frontier_ns[READERS]; /* what is still to come of a reader is not before */
    uint64_t stamp[PACKETS];                  /* plain: the hand-over orders it */
    atomic_uchar seen[PACKETS];               /* how often a packet came out */
    atomic_uint_fast64_t sessions, found, suspended;
};
struct worker {
    struct shared *s;
    unsigned number;
    pthread_t thread;
    struct rng rng;
    struct fc_advancer a;
    uint8_t *plain;
    size_t room;
};

static void check(struct shared *s, bool ok, const char *what)
{
    if (!ok && !atomic_exchange(&s->failed, 1))
        fprintf(stderr, "table_race: %s\n", what);
}

/* Those of odd numbers are not short. */
static struct fc_flow_key key_of(unsigned flow)
{
    struct fc_flow_key key;

    memset(&key, 0, sizeof key);
    key.addr[0][3] = 1;
    key.addr[1][3] = 2;
    key.addr_kind = flow & 1 ? FC_ADDR_IPV6 : FC_ADDR_IPV4;
    key.port[0] = (uint16_t)flow;
    key.proto = 17;
    return key;
}

/* ---- readers: each a capture of its own */

static void read_unit(struct worker *w, uint64_t first, int64_t *now)
{
    struct shared *s = w->s;
    struct fc_unit *unit = fc_unit_new(fc_table_stock(s->table));
    struct fc_packet p;

    if (!unit || fc_unit_begin(unit, w->number + 1, first + 1))
        abort();
    memset(&p, 0, sizeof p);
    p.got = FC_WANT_KEY;
    for (uint64_t i = first; i < first + NOTES; i++) {
        p.key = key_of((unsigned)rng_below(&w->rng, FLOWS));
        p.dir = (uint8_t)rng_below(&w->rng, 2);
        check(s, fc_unit_add(unit, &w->a.shelf, &p, i + 1, *now, 60, fc_table_seed(s->table), false) == 0, "no memory");
        *now += (int64_t)rng_below(&w->rng, 4) * MS;
#ifndef FC_PLANT_RACE
        s->stamp[i] = ~i;
#endif
    }
    fc_table_hand_over(s->table, unit, &w->a.shelf);
    /* release: who sees it finds the unit in the queue */
    atomic_store_explicit(&s->frontier_ns[w->number], *now, memory_order_release);
}

static void read_capture(struct worker *w)
{
    int64_t now = 1000 * MS;

    for (uint64_t u = 0; u < UNITS; u++)
        read_unit(w, (w->number * (uint64_t)UNITS + u) * NOTES, &now);
#ifdef FC_PLANT_RACE
    for (uint64_t i = 0; i < UNITS * NOTES; i++)
        w->s->stamp[w->number * UNITS * NOTES + i] = ~(w->number * UNITS * NOTES + i);
#endif
    atomic_store_explicit(&w->s->frontier_ns[w->number], INT64_MAX - 1, memory_order_release);
    atomic_fetch_sub(&w->s->reading, 1);
}

/* ---- owners */

static int emit(void *ctx, const struct fc_ended *e)
{
    struct worker *w = ctx;
    struct shared *s = w->s;
    struct fc_segment segment;
    uint64_t packets = 0;
    size_t len;

    if (fc_positions_canonical(e->first_file, e->first_off, e->pos, e->pos_len, e->pos_plain, &w->plain, &w->room,
                               &len))
        return FC_E_NOMEM;
    for (const uint8_t *p = w->plain, *end = p + len; p && p < end;) {
        p = fc_segment_head(p, end, &segment);
        uint64_t off = p ? segment.first_off : 0;
        for (uint64_t i = 0; p && i < segment.count; i++) {
            if (i && !(p = fc_segment_next(p, end, &off)))
                break;
            uint64_t id = off - 1;
            check(s, id / (UNITS * NOTES) == segment.file - 1, "an offset of another file");
            check(s, s->stamp[id] == ~id || s->stamp[id] == 0, "a stamp is wrong");
            check(s, atomic_fetch_add(&s->seen[id], 1) == 0, "a packet came out twice");
            packets++;
        }
        check(s, p, "positions are broken");
    }
    check(s, packets == e->session.packets[0] + e->session.packets[1], "a session's sum is wrong");
    atomic_fetch_add(&s->sessions, 1);
    return 0;
}

static int64_t tide(struct shared *s)
{
    int64_t low = INT64_MAX - 1;

    for (unsigned i = 0; i < READERS; i++) {
        int64_t at = atomic_load_explicit(&s->frontier_ns[i], memory_order_acquire);
        low = at < low ? at : low;
    }
    return low;
}

static void own(struct worker *w)
{
    struct shared *s = w->s;

    while (atomic_load(&s->reading)) {
        struct fc_place to = {tide(s), 0, 0, 0};
        unsigned from = (unsigned)rng_below(&w->rng, FC_PARTITIONS);
        for (unsigned i = 0; i < FC_PARTITIONS; i++) {
            unsigned partition = (from + i) % FC_PARTITIONS;
            check(s, fc_table_advance(s->table, partition, &to, &w->a) >= 0, "an advance failed");
            if (rng_below(&w->rng, 3000) == 0) {
                int rc = fc_table_suspend(s->table, partition, &w->a);
                check(s, rc >= 0, "a partition could not be suspended");
                atomic_fetch_add(&s->suspended, rc == 0);
            }
        }
    }
}

/* ---- lookers */

static void look(struct worker *w)
{
    struct shared *s = w->s;
    struct fc_glimpse g;
    uint64_t found = 0;

    while (atomic_load(&s->reading)) {
        struct fc_flow_key key = key_of((unsigned)rng_below(&w->rng, FLOWS));
        if (!fc_table_find(s->table, &key, &g))
            continue;
        check(s, g.packets[0] + g.packets[1] <= PACKETS && g.last_ns < INT64_MAX - 1,
              "a flow that cannot be was found");
        found++;
    }
    atomic_fetch_add(&s->found, found);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    rcu_register_thread();
    if (w->number < READERS)
        read_capture(w);
    else if (w->number < READERS + OWNERS)
        own(w);
    else
        look(w);
    fc_shelf_fini(&w->a.shelf);
    rcu_unregister_thread();
    return NULL;
}

static void run_threads(struct shared *s, struct worker *workers)
{
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){.s = s, .number = i, .rng = {s->seed * THREADS + i}, .a = {.sink = {emit, w}}};
        fc_shelf_init(&w->a.shelf, fc_table_stock(s->table));
        if (pthread_create(&w->thread, NULL, work, w))
            abort();
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

static int one_round(uint64_t seed)
{
    struct shared *s = calloc(1, sizeof *s);
    struct worker workers[THREADS];

    if (!s)
        abort();
    s->seed = seed;
    atomic_init(&s->reading, READERS);
    fc_rules_profile(&s->rules, "flowcarve");
    if (fc_rules_timeout(&s->rules, "udp=2", NULL) || !(s->table = fc_table_new(&s->rules, false, "/tmp")))
        abort();
    run_threads(s, workers);
    for (unsigned i = 0; i < FC_PARTITIONS; i++)
        check(s, fc_table_finish(s->table, i, true, &workers[0].a) == 0, "a partition could not be finished");
    for (unsigned i = 0; i < PACKETS; i++)
        check(s, atomic_load(&s->seen[i]) == 1, "a packet did not come out once");
    fc_shelf_fini(&workers[0].a.shelf);
    check(s, fc_stock_bytes(fc_table_stock(s->table)) == 0, "notes are left");
    int failed = s->failed;
    fprintf(stderr, "table_race: %u packets, %llu sessions; %llu found, %llu suspended\n", PACKETS,
            (unsigned long long)s->sessions, (unsigned long long)s->found, (unsigned long long)s->suspended);
    for (unsigned i = 0; i < THREADS; i++)
        free(workers[i].plain);
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
