/* SPDX-License-Identifier: MIT */
/* Open sessions: how they are packed, found by their keys, and how their batches are merged. */
#include "btree_support.h"
#include "rng.h"
#include "store/recall.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(open, .fini = bt_clean, .timeout = 600);

#define T0 INT64_C(1700000000000000000)
#define S INT64_C(1000000000)

static struct fc_error err;

static bool same_entry(const struct fc_open_entry *a, const struct fc_open_entry *b)
{
    return a->id == b->id && a->first_ns == b->first_ns && a->last_ns == b->last_ns && a->until == b->until &&
           a->bits == b->bits && memcmp(a->base, b->base, 8) == 0 && memcmp(a->tcp_flags, b->tcp_flags, 2) == 0;
}

/* Session i of a test: some of TCP. */
static void draw(unsigned i, struct fc_session_record *r)
{
    struct rng rng = {i};
    struct fc_session_sum *s = &r->session;

    *r = (struct fc_session_record){.blob = (const uint8_t *)"\1\1\5", .blob_len = 3};
    r->key = (struct fc_flow_key){.addr_kind = FC_ADDR_IPV4, .proto = rng_chance(&rng, 60) ? 6 : 17};
    for (int b = 0; b < 4; b++)
        r->key.addr[0][b] = (uint8_t)(i >> 8 * b);
    memset(r->key.addr[1], 255, 4);
    s->min_ns = s->first_ns = T0 + i * S;
    s->max_ns = s->last_ns = s->min_ns + (int64_t)rng_below(&rng, 9) * S;
    if (rng_chance(&rng, 10))
        s->first_ns -= (int64_t)(rng_next(&rng) >> 1);
    if (rng_chance(&rng, 10))
        s->last_ns += (int64_t)(rng_next(&rng) >> 20);
    s->packets[0] = 1 + rng_below(&rng, 5);
    s->bytes[1] = rng_next(&rng) >> 30;
    s->first_dir = (uint8_t)rng_below(&rng, 2);
    if (r->key.proto == 6) {
        s->first_synack = rng_chance(&rng, 20);
        s->base_set = (uint8_t)rng_below(&rng, 4);
        for (int d = 0; d < 2; d++) {
            s->tcp_flags[d] = (uint8_t)(1 + rng_below(&rng, 255));
            s->base[d] = s->base_set >> d & 1 ? (uint32_t)rng_next(&rng) : 0;
        }
    }
    r->open = 1;
    r->until_ns = T0 + 100 * S + i * S;
}

Test(open, entries_are_read_as_they_were_packed_and_never_beyond_the_end)
{
    struct fc_open_pack pack = {0};
    struct fc_open_entry in[1000], out;
    struct fc_open_reader reader;
    unsigned n = 0;

    for (; n < 1000; n++) {
        struct fc_session_record r;
        draw(n, &r);
        fc_open_entry_make(&in[n], n * n * n + 1, &r.key, &r.session,
                           n % 50 == 7   ? FC_NEVER
                           : n % 50 == 8 ? INT64_MIN
                                         : r.until_ns + (n % 3) * 400 * S,
                           n % 11 == 0);
        if (!fc_open_pack_add(&pack, &in[n]))
            break;
    }
    cr_assert(n > 200 && n < 1000 && pack.count == n && pack.len <= FC_OPEN_PACK_SIZE);
    cr_assert_eq(fc_open_reader_init(&reader, pack.data, pack.len), 0);
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(fc_open_reader_next(&reader, &out), 1);
        cr_assert(same_entry(&in[i], &out), "entry %u", i);
    }
    cr_assert_eq(fc_open_reader_next(&reader, &out), 0);
    cr_assert_eq(fc_open_reader_init(&reader, pack.data, pack.len), 0);
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(i % 3 ? fc_open_reader_skip(&reader) : fc_open_reader_next(&reader, &out), 1);
        cr_assert(i % 3 || same_entry(&in[i], &out), "entry %u behind those skipped", i);
    }
    cr_assert_eq(fc_open_reader_skip(&reader), 0);
    for (size_t cut = 0; cut <= pack.len; cut++) {
        uint8_t *exact = malloc(cut + 1); /* ASan watches its end */
        memcpy(exact, pack.data, cut);
        int rc = fc_open_reader_init(&reader, exact, cut);
        while (rc == 0 && (rc = fc_open_reader_next(&reader, &out)) == 1)
            rc = 0;
        cr_assert(rc == 0 || rc == FC_E_DAMAGED);
        int again = fc_open_reader_init(&reader, exact, cut);
        while (again == 0 && (again = fc_open_reader_skip(&reader)) == 1)
            again = 0;
        cr_assert_eq(again, rc, "cut at %zu", cut);
        free(exact);
    }
}

Test(open, an_entry_expires_not_before_its_time_and_two_grains_later)
{
    struct rng rng = {3};

    for (int i = 0; i < 10000; i++) {
        int64_t at = (int64_t)rng_next(&rng) >> rng_below(&rng, 20);
        cr_assert(!fc_open_expired(fc_open_until(at), at));
        if (at < INT64_MAX - 2 * (INT64_C(1) << FC_OPEN_GRAIN_BITS))
            cr_assert(fc_open_expired(fc_open_until(at), at + 2 * (INT64_C(1) << FC_OPEN_GRAIN_BITS)));
    }
    cr_assert(!fc_open_expired(fc_open_until(FC_NEVER), INT64_MAX));
    cr_assert_eq(fc_open_until(FC_NEVER), FC_OPEN_NEVER);
}

static struct fc_writer *begin(const char *path, bool insert, int64_t clock_ns)
{
    struct fc_writer *w;
    bool fresh;

    cr_assert_eq(fc_writer_open(path, &w, &fresh, &err), 0, "%s", err.cause);
    w->insert_only = insert;
    cr_assert_eq(fc_writer_set_clock(w, clock_ns, &err), 0, "%s", err.cause);
    return w;
}

static void put(struct fc_writer *w, const struct fc_session_record *r)
{
    cr_assert_eq(fc_writer_session(w, r, 0, NULL, &err), 0, "%s", err.cause);
}

static void end(struct fc_writer *w)
{
    cr_assert_eq(fc_writer_commit(w, NULL, &err), 0, "%s", err.cause);
    fc_writer_close(w);
}

/* n sessions, of which every third is closed. */
static const char *make(unsigned n, bool insert)
{
    const char *path = bt_path(0);
    unlink(path);
    struct fc_writer *w = begin(path, insert, T0);
    struct fc_session_record r;

    for (unsigned i = 0; i < n; i++) {
        draw(i, &r);
        r.open = i % 3 != 0;
        put(w, &r);
    }
    end(w);
    return path;
}

/* A later run says of session i, which it has not changed, that it is open or not. */
static void say(struct fc_writer *w, unsigned i, bool open, int64_t until_ns)
{
    struct fc_session_record r;

    draw(i, &r);
    r.db_id = i + 1;
    r.unchanged = 1;
    r.open = open;
    r.until_ns = until_ns;
    put(w, &r);
}

static int ask(struct fc_recall *recall, unsigned i)
{
    struct fc_session_record r;
    struct fc_prior prior;
    int rc = 0;

    draw(i, &r);
    if (recall && (rc = fc_recall_find(recall, &r.key, &prior, &err)) == 1) {
        cr_assert_eq(prior.id, i + 1);
        cr_assert_eq(memcmp(&prior.session, &r.session, sizeof r.session), 0, "session %u", i + 1);
    }
    return rc;
}

static void check_found(const char *path, unsigned n, unsigned asked)
{
    struct fc_writer *w = begin(path, false, T0);
    struct fc_recall *recall;

    cr_assert_eq(fc_recall_open(w, T0, &recall, &err), 0, "%s", err.cause);
    for (unsigned i = asked; i-- > 0;)
        cr_assert_eq(ask(recall, i), i < n && i % 3 != 0, "session %u", i + 1);
    for (unsigned i = 0; i < asked; i++)
        cr_assert_eq(ask(recall, i), 0, "session %u is given twice", i + 1);
    fc_recall_close(recall);
    fc_writer_close(w);
}

Test(open, those_that_are_open_are_found_by_their_keys_once)
{
    for (int insert = 0; insert < 2; insert++)
        check_found(make(3000, insert), 3000, 9000);
}

Test(open, one_tag_of_all_of_them_changes_nothing)
{
    const char *path = make(600, false);
    struct fc_session_record r;

    for (unsigned i = 0; i < 4; i++) {
        draw(i, &r);
        uint32_t tag = fc_open_tag(&r.key);
        sqlite3 *sql = bt_open(path);
        sqlite3_stmt *stmt = NULL;
        uint8_t tags[400 * FC_OPEN_TAG_BYTES];
        for (size_t k = 0; k < sizeof tags; k++)
            tags[k] = (uint8_t)(tag >> 8 * (k % FC_OPEN_TAG_BYTES));
        sqlite3_prepare_v2(sql, "UPDATE open_batch SET tags = ?", -1, &stmt, NULL);
        sqlite3_bind_blob(stmt, 1, tags, sizeof tags, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        sqlite3_finalize(stmt);
        sqlite3_close(sql);
        struct fc_writer *w = begin(path, false, T0);
        struct fc_recall *recall;
        cr_assert_eq(fc_recall_open(w, T0, &recall, &err), 0, "%s", err.cause);
        for (int again = 0; again < 2; again++)
            cr_assert_eq(ask(recall, i), i % 3 != 0 && !again, "session %u", i + 1);
        fc_recall_close(recall);
        fc_writer_close(w);
    }
}

static int64_t number(const char *path, const char *query)
{
    sqlite3 *sql = bt_open(path);
    int64_t n = bt_number(sql, query);

    sqlite3_close(sql);
    return n;
}

/* How many of the first n sessions are found. */
static unsigned alive(const char *path, int64_t clock_ns, unsigned n)
{
    struct fc_writer *w = begin(path, false, clock_ns);
    struct fc_recall *recall;
    unsigned found = 0;

    cr_assert_eq(fc_recall_open(w, clock_ns, &recall, &err), 0, "%s", err.cause);
    for (unsigned i = 0; i < n; i++)
        found += ask(recall, i) == 1;
    fc_recall_close(recall);
    fc_writer_close(w);
    return found;
}

Test(open, what_a_later_run_says_holds_and_the_rest_stays)
{
    const char *path = make(3000, false);
    struct fc_writer *w = begin(path, false, T0);

    say(w, 1, false, FC_NEVER); /* ended */
    say(w, 2, true, FC_NEVER);
    end(w);
    cr_assert_eq(number(path, "SELECT count(*) FROM open_batch"), 2);
    cr_assert_eq(number(path, "SELECT entries FROM open_batch WHERE batch = 1"), 2000);
    cr_assert_eq(number(path, "SELECT entries FROM open_batch WHERE batch = 2"), 2);
    cr_assert_eq(alive(path, T0, 3000), 1999);
    w = begin(path, false, T0);
    say(w, 2, false, FC_NEVER);
    say(w, 4, false, FC_NEVER);
    end(w);
    cr_assert_eq(number(path, "SELECT count(*) FROM open_batch"), 2, "two small ones are merged");
    cr_assert_eq(number(path, "SELECT entries FROM open_batch WHERE batch = 3"), 3);
    cr_assert_eq(alive(path, T0, 3000), 1997);
    w = begin(path, false, T0);
    for (unsigned i = 0; i < 2000; i++)
        say(w, i, i % 2, FC_NEVER);
    end(w);
    cr_assert_eq(number(path, "SELECT count(*) FROM open_batch"), 1, "all are merged, those that ended are gone");
    cr_assert_eq(number(path, "SELECT entries FROM open_batch"), 1667);
    cr_assert_eq(alive(path, T0, 3000), 1667);
}

Test(open, what_has_expired_goes_with_its_batch_but_for_what_never_does)
{
    const char *path = bt_path(0);
    struct fc_writer *w = begin(path, false, T0);
    struct fc_session_record r;
    const int64_t late = T0 + 10000 * S;

    for (unsigned i = 0; i < 1000; i++) {
        draw(i, &r);
        if (i % 100 == 0)
            r.until_ns = FC_NEVER;
        put(w, &r);
    }
    end(w);
    cr_assert_eq(alive(path, T0, 1000), 1000);
    cr_assert_eq(alive(path, late, 1000), 10);
    w = begin(path, false, late);
    say(w, 100, true, late + S);
    end(w);
    cr_assert_eq(number(path, "SELECT count(*) FROM open_batch"), 2);
    cr_assert_eq(number(path, "SELECT entries FROM open_batch WHERE batch = 1"), 10);
    cr_assert_eq(number(path, "SELECT expiry_ns IS NULL FROM open_batch WHERE batch = 1"), 1);
    cr_assert_eq(number(path, "SELECT count(*) FROM open_session"), 2);
    cr_assert_eq(alive(path, late, 1000), 10);
}

Test(open, three_hundred_small_runs_leave_few_batches)
{
    const char *path = make(3, false);
    int64_t rows = 0;

    for (unsigned run = 0; run < 300; run++) {
        struct fc_writer *w = begin(path, false, T0);
        struct fc_session_record r;
        for (unsigned i = 0; i < 1 + run % 7; i++) {
            draw(3 + run * 7 + i, &r);
            r.until_ns = FC_NEVER;
            put(w, &r);
        }
        end(w);
        int64_t now = number(path, "SELECT count(*) FROM open_batch");
        rows = now > rows ? now : rows;
    }
    cr_assert(rows <= 11, "%lld", (long long)rows);
    cr_assert(number(path, "SELECT count(*) FROM open_session") <= 30);
}

struct given {
    unsigned open, closed;
};

static int take(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_session_sum *sum)
{
    struct given *g = ctx;
    struct fc_session_record r;

    draw((unsigned)id - 1, &r);
    cr_assert_eq(memcmp(key, &r.key, sizeof *key), 0);
    if (memcmp(sum, &r.session, sizeof *sum) == 0)
        g->open++;
    else
        g->closed++;
    return 0;
}

Test(open, all_come_back_when_some_capture_is_older)
{
    struct fc_rules rules;
    struct given g = {0};
    const char *path = make(3000, false);
    struct fc_writer *w = begin(path, false, T0);

    fc_rules_profile(&rules, "wireshark");
    for (unsigned i = 0; i < 1000; i++)
        say(w, i, false, FC_NEVER);
    end(w);
    w = begin(path, false, T0);
    struct fc_prior_options options = {&rules, T0, INT64_MIN, INT64_MIN, take, &g};
    cr_assert_eq(fc_writer_priors(w, &options, &err), 0, "%s", err.cause);
    cr_assert_eq(g.open + g.closed, 3000);
    cr_assert(g.open >= 1333 && g.closed > 500);
    fc_writer_close(w);
}

Test(open, damage_is_an_error)
{
    static const char *const changes[] = {
        "UPDATE open_session SET state = x''",
        "UPDATE open_session SET state = x'04'",
        "UPDATE open_session SET state = x'0302ff'",
        "UPDATE open_session SET state = substr(state, 1, 50)",
        "UPDATE open_session SET id = 5",
        "DELETE FROM open_session",
        "UPDATE session SET kind = 9",
        "UPDATE open_batch SET tags = substr(tags, 2)",
        "UPDATE open_batch SET tags = zeroblob(786435)",
        "UPDATE open_batch SET batch = 0",
        "UPDATE open_batch SET batch = 9223372036854775807",
    };

    for (size_t k = 0; k < sizeof changes / sizeof changes[0]; k++) {
        const char *path = make(60, false);
        sqlite3 *sql = bt_open(path);
        bt_exec(sql, changes[k]);
        sqlite3_close(sql);
        struct fc_writer *w = begin(path, false, T0);
        struct fc_recall *recall;
        int rc = fc_recall_open(w, T0, &recall, &err);
        for (unsigned i = 60; i-- > 0 && rc >= 0;)
            rc = ask(recall, i);
        cr_assert_eq(rc, FC_E_DB, "%s", changes[k]);
        fc_recall_close(recall);
        fc_writer_close(w);
    }
}

Test(open, sessions_that_were_forgotten_are_passed_over)
{
    static const char *const changes[] = {"DELETE FROM session", "DELETE FROM session WHERE id > 30"};

    for (size_t k = 0; k < sizeof changes / sizeof changes[0]; k++) {
        const char *path = make(60, false);
        sqlite3 *sql = bt_open(path);
        bt_exec(sql, changes[k]);
        sqlite3_close(sql);
        struct fc_writer *w = begin(path, false, T0);
        struct fc_recall *recall;
        struct fc_rules rules;
        struct given g = {0};
        cr_assert_eq(fc_recall_open(w, T0, &recall, &err), 0);
        for (unsigned i = 30; i < 60; i++)
            cr_expect_eq(ask(recall, i), 0, "%s: session %u", changes[k], i + 1);
        fc_recall_close(recall);
        fc_rules_profile(&rules, "wireshark");
        struct fc_prior_options options = {&rules, T0, INT64_MIN, INT64_MIN, take, &g};
        cr_expect_eq(fc_writer_priors(w, &options, &err), 0, "%s: %s", changes[k], err.cause);
        fc_writer_close(w);
    }
}
