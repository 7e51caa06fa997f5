/* SPDX-License-Identifier: MIT */
/* A fresh index by finished b-trees against its twin by INSERT and CREATE INDEX. */
#include "base/varint.h"
#include "btree_support.h"
#include "rng.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

TestSuite(btree_writer, .fini = bt_clean, .timeout = 600);

struct plan {
    uint64_t seed;
    unsigned sessions;
    int kinds; /* 0: all; else one of FC_ADDR_* */
    uint32_t fields;
    size_t blob_max;
};

static void draw_key(struct rng *rng, const struct plan *plan, struct fc_flow_key *key)
{
    static const int kinds[] = {FC_ADDR_IPV4, FC_ADDR_IPV4, FC_ADDR_IPV6, FC_ADDR_MAC, FC_ADDR_NONE};
    static const uint32_t protos[] = {6, 17, 1, 132, 47, 58};
    uint8_t common = (uint8_t)rng_below(rng, 3);

    memset(key, 0, sizeof *key);
    key->addr_kind = (uint8_t)(plan->kinds ? plan->kinds : kinds[rng_below(rng, 5)]);
    key->proto = key->addr_kind == FC_ADDR_MAC    ? FC_PROTO_ETHERTYPE | 0x88cc
                 : key->addr_kind == FC_ADDR_NONE ? FC_PROTO_MALFORMED
                                                  : protos[rng_below(rng, 6)];
    for (int i = 0; i < 2; i++) {
        size_t len = key->addr_kind == FC_ADDR_IPV4 ? 4 : key->addr_kind == FC_ADDR_IPV6 ? 16 : 6;
        if (key->addr_kind == FC_ADDR_NONE)
            continue;
        /* blobs of 6 and of 16 bytes that start alike; zeros behind; integers of every length */
        memset(key->addr[i], rng_chance(rng, 50) ? 0 : common, len);
        if (rng_chance(rng, 80))
            key->addr[i][len - 1 - rng_below(rng, len < 4 ? len : 4)] = (uint8_t)rng_next(rng);
        if (rng_chance(rng, 30))
            rng_fill(rng, key->addr[i], len);
        key->port[i] = (uint16_t)(rng_next(rng) >> (rng_chance(rng, 50) ? 48 : 60));
    }
    key->one_way = rng_chance(rng, 3);
    key->domain = rng_chance(rng, 5) ? rng_next(rng) : 0;
}

static void draw_sum(struct rng *rng, int64_t *clock_ns, const struct fc_flow_key *key, struct fc_session_sum *sum)
{
    memset(sum, 0, sizeof *sum);
    sum->first_ns = sum->last_ns = sum->min_ns = sum->max_ns = FC_TIME_NONE;
    *clock_ns += (int64_t)(rng_next(rng) >> (rng_chance(rng, 98) ? 44 : 14));
    if (rng_chance(rng, 97)) {
        sum->min_ns = *clock_ns;
        sum->max_ns = sum->min_ns + (int64_t)(rng_next(rng) >> rng_between(rng, 20, 63));
        sum->first_ns = rng_chance(rng, 95) ? sum->min_ns : sum->min_ns + (sum->max_ns - sum->min_ns) / 2;
        sum->last_ns = rng_chance(rng, 95) ? sum->max_ns : sum->max_ns + 60;
    }
    for (int d = 0; d < 2; d++) {
        sum->packets[d] = rng_next(rng) >> rng_between(rng, 40, 63);
        sum->bytes[d] = rng_next(rng) >> rng_between(rng, 16, 63); /* a span of them has room in a column */
    }
    sum->first_dir = (uint8_t)rng_below(rng, 2);
    if (key->proto != 6)
        return;
    sum->first_synack = rng_chance(rng, 20);
    sum->base_set = (uint8_t)rng_below(rng, 4);
    for (int d = 0; d < 2; d++) {
        sum->tcp_flags[d] = (uint8_t)rng_next(rng);
        if (sum->base_set >> d & 1)
            sum->base[d] = (uint32_t)rng_next(rng);
    }
}

static void draw_extra(struct rng *rng, struct fc_extra *x)
{
    memset(x, 0, sizeof *x);
    x->vlan_count = (uint8_t)rng_below(rng, FC_VLAN_MAX + 1);
    x->mpls_count = (uint8_t)rng_below(rng, FC_MPLS_MAX + 1);
    rng_fill(rng, x->vlan, sizeof x->vlan);
    for (int i = 0; i < FC_MPLS_MAX; i++)
        x->mpls[i] = (uint32_t)rng_below(rng, 1 << 20);
    x->tunnel_count = (uint8_t)rng_below(rng, FC_TUNNEL_MAX + 1);
    for (int i = 0; i < FC_TUNNEL_MAX; i++)
        x->tunnel[i] = (struct fc_tunnel){.kind = (uint32_t)rng_between(rng, 1, FC_TUNNEL_KINDS - 1),
                                          .id = (uint32_t)rng_next(rng)};
    rng_fill(rng, x->mac, sizeof x->mac);
    rng_fill(rng, x->ttl, sizeof x->ttl);
    rng_fill(rng, x->isn, sizeof x->isn);
    x->dscp[0] = (uint8_t)rng_below(rng, 64);
    x->payload[0] = rng_next(rng) >> rng_between(rng, 1, 63);
    x->has_mac = (uint8_t)rng_below(rng, 4);
    x->has_ttl = (uint8_t)rng_below(rng, 4);
    x->has_dscp = (uint8_t)rng_below(rng, 4);
    x->has_isn = (uint8_t)rng_below(rng, 4);
    x->has_tcp_flags = (uint8_t)rng_below(rng, 4);
    x->has_payload = (uint8_t)rng_below(rng, 4);
}

/* Sessions [first, last) of a plan into a writer. They are the same whoever asks. */
static void write_sessions(struct fc_writer *w, const struct plan *plan, unsigned first, unsigned last)
{
    uint8_t *blob = malloc(plan->blob_max + 64);
    int64_t clock_ns = INT64_C(1700000000000000000);
    struct fc_error err;

    for (unsigned i = 0; i < last; i++) {
        struct rng rng = {plan->seed * 1000003 + i};
        struct fc_session_record r = {0};
        draw_key(&rng, plan, &r.key);
        draw_sum(&rng, &clock_ns, &r.key, &r.session);
        if (rng_chance(&rng, 1)) { /* a duration that no column can hold */
            r.session.min_ns = -INT64_C(9000000000000000000);
            r.session.max_ns = INT64_C(9000000000000000000);
        }
        r.has_extra = plan->fields && rng_chance(&rng, 80);
        if (r.has_extra)
            draw_extra(&rng, &r.extra);
        r.open = rng_chance(&rng, 50);
        /* positions: two files, the second of many records */
        size_t records = rng_between(&rng, 1, rng_chance(&rng, 95) ? 20 : plan->blob_max);
        uint8_t *p = blob;
        if (i % 3)
            p = fc_varint_put(fc_varint_put(fc_varint_put(p, 1), 1), 24);
        p = fc_varint_put(fc_varint_put(fc_varint_put(p, 2 + i % 300), records), i);
        memset(p, (int)(i % 127) + 1, records - 1);
        r.blob_len = (uint32_t)(p + records - 1 - blob);
        r.blob = blob;
        if (i >= first)
            cr_assert_eq(fc_writer_session(w, &r, plan->fields, NULL, &err), 0, "%s", err.cause);
    }
    free(blob);
}

static struct fc_writer *new_writer(const char *path, bool insert)
{
    struct fc_writer *w;
    struct fc_error err;
    bool fresh;

    cr_assert_eq(fc_writer_open(path, &w, &fresh, &err), 0, "%s", err.cause);
    w->insert_only = insert;
    return w;
}

static void end_writer(struct fc_writer *w)
{
    struct fc_error err;

    cr_assert_eq(fc_writer_commit(w, NULL, &err), 0, "%s", err.cause);
    fc_writer_close(w);
}

static void add_notes(struct fc_writer *w)
{
    struct fc_waiting waiting = {.file = 1, .off = 99, .ts_ns = 5, .ns = 6};
    struct fc_first first = {.ns = 7};
    struct fc_error err;

    cr_assert_eq(fc_writer_add_waiting(w, &waiting, &err), 0, "%s", err.cause);
    cr_assert_eq(fc_writer_add_first(w, &first, &err), 0, "%s", err.cause);
    cr_assert_eq(fc_writer_set_meta(w, "after", "the sessions", &err), 0, "%s", err.cause);
}

static void make(const char *path, const struct plan *plan, bool insert)
{
    struct fc_writer *w = new_writer(path, insert);

    write_sessions(w, plan, 0, plan->sessions);
    add_notes(w);
    end_writer(w);
}

/* Soundness and equality of two databases. */
static void judge(const char *fast, const char *twin, const struct plan *plan)
{
    sqlite3 *a = bt_open(twin), *b = bt_open(fast);
    const char *why = bt_difference(a, b);

    cr_assert_null(why, "seed %llu: %s", (unsigned long long)plan->seed, why);
    why = bt_check(b);
    cr_assert_str_eq(why, "ok", "seed %llu: %s", (unsigned long long)plan->seed, why);
    sqlite3_close(a);
    sqlite3_close(b);
}

static void compare(const struct plan *plan)
{
    const char *fast = bt_path(0), *twin = bt_path(1);

    make(fast, plan, false);
    make(twin, plan, true);
    judge(fast, twin, plan);
}

Test(btree_writer, every_row_and_statistic_is_that_of_the_twin)
{
    static const int kinds[] = {0, 0, 0, FC_ADDR_IPV4, FC_ADDR_IPV6, FC_ADDR_MAC};
    uint64_t seed = test_seed("writer");

    for (uint64_t i = 0; i < test_rounds(40); i++) {
        struct rng rng = {seed + i};
        struct plan plan = {.seed = seed + i,
                            .sessions = (unsigned)rng_below(&rng, rng_chance(&rng, 30) ? 5 : 3000),
                            .kinds = kinds[rng_below(&rng, 6)],
                            .fields = rng_chance(&rng, 40) ? (uint32_t)~FC_FIELD_ISN : 0,
                            .blob_max = rng_chance(&rng, 80) ? 300 : 30000};
        compare(&plan);
    }
}

/* What the twin would say of the tables beside the sessions, which no integrity check looks at. */
static const char *check_beside(sqlite3 *sql)
{
    if (bt_number(sql,
                  "WITH p(epoch, port, block) AS (SELECT id - 1 >> 18, client_port, id - 1 >> 6 & 4095 FROM session"
                  " WHERE client_port IS NOT NULL UNION SELECT id - 1 >> 18, server_port, id - 1 >> 6 & 4095"
                  " FROM session WHERE server_port IS NOT NULL)"
                  "SELECT (SELECT count(*) FROM p) = (SELECT count(*) FROM session_port) AND NOT EXISTS"
                  " (SELECT epoch, port, block FROM session_port EXCEPT SELECT * FROM p)") != 1)
        return "session_port is not that of the sessions";
    if (bt_number(sql, "WITH s(first_id, packets) AS (SELECT (id - 1) / 4096 * 4096 + 1,"
                       " sum(client_packets + server_packets) FROM session GROUP BY 1)"
                       "SELECT (SELECT count(*) FROM s) = (SELECT count(*) FROM session_span) AND NOT EXISTS"
                       " (SELECT first_id, packets FROM session_span EXCEPT SELECT * FROM s)") != 1)
        return "session_span is not that of the sessions";
    return NULL;
}

Test(btree_writer, epochs_give_the_same)
{
    /* from 50,000 sessions of an epoch on, two threads build indexes; the last one has a single session */
    unsigned epochs = test_number("FLOWCARVE_TEST_LONG", 0) ? 2 : 1;
    struct plan plan = {
        .seed = 5, .sessions = epochs * FC_EPOCH_SESSIONS + 1, .blob_max = 20, .fields = FC_FIELD_COMMUNITY_ID};

    if (epochs > 1) {
        compare(&plan);
        return;
    }
    /* its twin takes most of the time, and differs in nothing that the rows of an index have to do with epochs */
    const char *path = bt_path(0);
    make(path, &plan, false);
    sqlite3 *sql = bt_open(path);
    const char *why = bt_check(sql);
    cr_assert_str_eq(why, "ok");
    why = check_beside(sql);
    cr_assert_null(why, "%s", why);
    cr_assert_eq(bt_number(sql, "SELECT count(*) FROM session"), plan.sessions);
    sqlite3_close(sql);
}

Test(btree_writer, a_blob_of_megabytes)
{
    struct plan plan = {.seed = 6, .sessions = 300, .blob_max = 4 << 20};

    compare(&plan);
}

Test(btree_writer, sessions_after_another_call_are_inserted)
{
    struct plan plan = {.seed = 7, .sessions = 900, .blob_max = 200, .fields = (uint32_t)~FC_FIELD_ISN};
    const char *paths[2] = {bt_path(0), bt_path(1)};

    for (int insert = 0; insert < 2; insert++) {
        struct fc_writer *w = new_writer(paths[insert], insert);
        write_sessions(w, &plan, 0, 500);
        struct fc_error err;
        char *value;
        cr_assert_eq(fc_writer_meta(w, "nothing", &value, &err), 0, "%s", err.cause); /* back to SQLite */
        cr_assert_str_eq(value, "");
        free(value);
        cr_assert(insert || w->bulk_done);
        write_sessions(w, &plan, 500, 900);
        end_writer(w);
    }
    judge(paths[0], paths[1], &plan);
}

Test(btree_writer, an_index_that_is_added_to_is_that_of_the_twin)
{
    struct plan plan = {.seed = 8, .sessions = 2500, .blob_max = 200, .fields = (uint32_t)~FC_FIELD_ISN};
    const char *paths[2] = {bt_path(0), bt_path(1)};

    for (int insert = 0; insert < 2; insert++) {
        struct fc_writer *w = new_writer(paths[insert], insert);
        write_sessions(w, &plan, 0, 1500);
        end_writer(w);
        w = new_writer(paths[insert], insert);
        cr_assert(!w->fresh);
        write_sessions(w, &plan, 1500, 2500);
        end_writer(w);
    }
    judge(paths[0], paths[1], &plan);
}

/* Up to the end of the last epoch by INSERT, and all of the next one in bulk, which leaves no page half empty. */
Test(btree_writer, what_is_added_in_bulk_begins_with_an_epoch)
{
    enum { ROOM = 3000, HAD = 3000, ADDED = 10000 };
    struct plan plan = {
        .seed = 10, .sessions = HAD + ADDED, .blob_max = 20, .kinds = FC_ADDR_IPV4, .fields = FC_FIELD_COMMUNITY_ID};
    const char *paths[2] = {bt_path(0), bt_path(1)};
    int64_t pages[2];

    for (int insert = 0; insert < 2; insert++) {
        struct fc_writer *w = new_writer(paths[insert], insert);
        end_writer(w);
        /* the sessions before are forgotten */
        sqlite3 *sql = bt_open(paths[insert]);
        bt_text(sql, "UPDATE run SET last_session = 262144 - 3000 - 3000");
        sqlite3_close(sql);
        w = new_writer(paths[insert], insert);
        write_sessions(w, &plan, 0, HAD);
        end_writer(w);
        w = new_writer(paths[insert], insert);
        fc_writer_expect(w, ADDED);
        write_sessions(w, &plan, HAD, HAD + ROOM);
        cr_assert(!w->bulk);
        write_sessions(w, &plan, HAD + ROOM, HAD + ADDED);
        cr_assert(insert || w->bulk);
        end_writer(w);
        sql = bt_open(paths[insert]);
        cr_assert_str_eq(bt_text(sql, "SELECT min(id) || ' ' || max(id) FROM session"), "256145 269144");
        pages[insert] = bt_number(sql, "PRAGMA page_count");
        sqlite3_close(sql);
    }
    judge(paths[0], paths[1], &plan);
    cr_assert_leq(pages[0], pages[1]);
}

/* Whoever asks by hand says nothing of epochs. */
Test(btree_writer, statistics_let_sqlite_find_an_address_in_all_epochs)
{
    struct plan plan = {.seed = 9, .sessions = 4000, .blob_max = 20, .fields = FC_FIELD_COMMUNITY_ID};
    const char *path = bt_path(0);
    sqlite3 *sql;

    make(path, &plan, false);
    sql = bt_open(path);
    cr_assert_str_eq(bt_text(sql, "SELECT group_concat(tbl || ' ' || idx || ' ' || stat) FROM sqlite_stat1"
                                  " WHERE tbl LIKE 'session%'"),
                     "session session_client 4000 4000 2,session session_server 4000 4000 2,"
                     "session_fields session_community 4000 4000 1,session_port session_port 4000 4000 4 1");
    sqlite3_close(sql);
}
