/* SPDX-License-Identifier: MIT */
/*
 * The flow table: packets of many short flows, all at the same time, go to notes of units and are handed over, then all
 * partitions are advanced, then finished, by one thread and by two. Each thread reads a capture of its own.
 */
#include "flow/partition.h"
#include "micro.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 2, ROUNDS = 3, ROUNDS_A_FLOW = 4, UNIT_NOTES = 65536, RECORD = 200 };
#define START_NS INT64_C(1700000000000000000)

struct bench {
    struct fc_table *table;
    struct fc_rules rules;
    struct fc_flow_key *keys;
    int64_t flows;
    unsigned threads;
    pthread_barrier_t barrier;
    atomic_uint partition, finished;
    atomic_int_fast64_t sessions, packets;
    atomic_int failed;
    /* results, one a thread */
    struct span {
        double start, end;
    } noted[THREADS], advanced[THREADS], ended[THREADS];
};
struct worker {
    struct bench *bench;
    unsigned number;
    pthread_t thread;
    struct fc_advancer a;
    int64_t sessions, packets;
};

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

/* Keys in an order of no pattern. */
static void make_keys(struct bench *b)
{
    uint64_t state = 88172645463325252u;

    for (int64_t i = 0; i < b->flows; i++)
        make_key(&b->keys[i], (uint64_t)i);
    for (int64_t i = b->flows - 1; i > 0; i--) {
        int64_t j = (int64_t)(micro_random(&state) % (uint64_t)(i + 1));
        struct fc_flow_key other = b->keys[i];
        b->keys[i] = b->keys[j];
        b->keys[j] = other;
    }
}

/* The packets whose numbers are the thread's, in units. */
static int note_all(struct worker *w)
{
    struct bench *b = w->bench;
    struct fc_packet p = {.got = FC_WANT_SESSION, .tcp_flags = FC_TCP_ACK, .tcp_seq = 1, .tcp_ack = 1};
    struct fc_unit *unit = NULL;
    uint64_t seed = fc_table_seed(b->table), off = 24;
    int64_t n = b->flows * ROUNDS_A_FLOW, in_unit = 0;
    int rc = 0;

    for (int64_t i = w->number; i < n && rc == 0; i += b->threads, off += RECORD) {
        if (!unit && (!(unit = fc_unit_new(fc_table_stock(b->table))) || fc_unit_begin(unit, w->number + 1, off)))
            return FC_E_NOMEM;
        p.key = b->keys[i % b->flows];
        p.dir = (uint8_t)(i / b->flows & 1);
        rc = fc_unit_add(unit, &w->a.shelf, &p, off, START_NS + i * 100, 100, seed, false);
        if (++in_unit == UNIT_NOTES) {
            fc_table_hand_over(b->table, unit, &w->a.shelf);
            unit = NULL;
            in_unit = 0;
        }
    }
    if (unit)
        fc_table_hand_over(b->table, unit, &w->a.shelf);
    return rc;
}

static int advance_all(struct worker *w)
{
    struct bench *b = w->bench;
    struct fc_place end = {START_NS + b->flows * ROUNDS_A_FLOW * 100, 0, 0, 0};
    unsigned i;
    int rc = 0;

    while (rc == 0 && (i = atomic_fetch_add(&b->partition, 1)) < FC_PARTITIONS)
        rc = fc_table_advance(b->table, i, &end, &w->a);
    return rc;
}

static int finish_all(struct worker *w)
{
    struct bench *b = w->bench;
    unsigned i;
    int rc = 0;

    while (rc == 0 && (i = atomic_fetch_add(&b->finished, 1)) < FC_PARTITIONS)
        rc = fc_table_finish(b->table, i, true, &w->a);
    return rc;
}

static int count(void *ctx, const struct fc_ended *ended)
{
    struct worker *w = ctx;

    w->sessions++;
    w->packets += (int64_t)(ended->session.packets[0] + ended->session.packets[1]);
    return 0;
}

static int timed(struct worker *w, int (*step)(struct worker *), struct span *span)
{
    pthread_barrier_wait(&w->bench->barrier);
    span[w->number].start = micro_now();
    int rc = step(w);
    span[w->number].end = micro_now();
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct bench *b = w->bench;

    rcu_register_thread();
    int rc = timed(w, note_all, b->noted);
    rc |= timed(w, advance_all, b->advanced);
    rc |= timed(w, finish_all, b->ended);
    if (rc)
        atomic_store(&b->failed, 1);
    atomic_fetch_add(&b->sessions, w->sessions);
    atomic_fetch_add(&b->packets, w->packets);
    fc_shelf_fini(&w->a.shelf);
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

    if (!(b->table = fc_table_new(&b->rules, false, "/tmp")))
        return micro_fail("table", "out of memory");
    atomic_store(&b->partition, 0);
    atomic_store(&b->finished, 0);
    atomic_store(&b->sessions, 0);
    atomic_store(&b->packets, 0);
    pthread_barrier_init(&b->barrier, NULL, b->threads);
    for (unsigned i = 0; i < b->threads; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){.bench = b, .number = i, .a = {.sink = {count, w}}};
        fc_shelf_init(&w->a.shelf, fc_table_stock(b->table));
        if (pthread_create(&w->thread, NULL, work, w))
            abort();
    }
    for (unsigned i = 0; i < b->threads; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&b->barrier);
    fc_table_free(b->table);
    if (atomic_load(&b->failed) || atomic_load(&b->sessions) != b->flows ||
        atomic_load(&b->packets) != b->flows * ROUNDS_A_FLOW)
        return micro_fail("table", "sessions are not those that went in");
    return 0;
}

static void row(const struct bench *b, const char *step, double *each, const char *unit)
{
    char what[64], note[64];

    snprintf(what, sizeof what, "%s, %u thread%s", step, b->threads, b->threads > 1 ? "s" : "");
    snprintf(note, sizeof note, "%lld flows of %d packets; all come out", (long long)b->flows, ROUNDS_A_FLOW);
    micro_row("table", what, micro_median(each, ROUNDS), unit, note);
}

int micro_table(int argc, char **argv)
{
    struct bench b = {.flows = micro_count(argc, argv, 1000000)};
    int rc = 0;

    if (b.flows < 0 || fc_rules_profile(&b.rules, "flowcarve"))
        return 2;
    if (!(b.keys = malloc((size_t)b.flows * sizeof *b.keys)))
        return micro_fail("table", "out of memory");
    make_keys(&b);
    rcu_register_thread();
    for (b.threads = 1; b.threads <= THREADS && rc == 0; b.threads++) {
        double note[ROUNDS], advance[ROUNDS], finish[ROUNDS], packets = (double)b.flows * ROUNDS_A_FLOW;
        for (int i = 0; i < ROUNDS && rc == 0; i++) {
            rc = run_once(&b);
            note[i] = seconds(b.noted, b.threads) / packets * 1e9;
            advance[i] = seconds(b.advanced, b.threads) / packets * 1e9;
            finish[i] = seconds(b.ended, b.threads) / (double)b.flows * 1e9;
        }
        if (rc)
            break;
        row(&b, "note", note, "ns a packet");
        row(&b, "advance", advance, "ns a packet");
        row(&b, "finish", finish, "ns a session");
    }
    rcu_unregister_thread();
    free(b.keys);
    return rc;
}
