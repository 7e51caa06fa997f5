/* SPDX-License-Identifier: MIT */
/*
 * Sums by group: that bounds of memory, and the way sessions are read, change none. What sums are is tested by Python.
 */
#include "query/match.h"
#include "query/top.h"
#include "query_test.h"

enum { UNBOUNDED = 1 << 20 };

struct result {
    struct fc_top_row *rows;
    size_t count;
    uint64_t groups;
    struct fc_top *top; /* has the texts */
};

static struct result ask(struct test_index *index, const char *filter, const struct fc_top_options *options,
                         size_t groups_max, size_t values_max)
{
    struct fc_error err = {0};
    struct fc_filter *parsed;
    struct result r = {0};
    struct fc_top_row row;

    cr_assert_eq(fc_filter_parse(filter, NOW, &parsed, NULL), 0);
    cr_assert_eq(fc_top_open_within(index->db, parsed, options, groups_max, values_max, &r.top, &err), 0, "%s",
                 err.cause);
    fc_filter_free(parsed);
    while (fc_top_next(r.top, &row)) {
        r.rows = realloc(r.rows, (r.count + 1) * sizeof row);
        r.rows[r.count++] = row;
    }
    r.groups = fc_top_groups(r.top);
    return r;
}

static void assert_same(const struct result *a, const struct result *b, const struct fc_top_options *o,
                        const char *what)
{
    cr_assert_eq(a->count, b->count, "%s by %d", what, (int)o->by);
    cr_assert_eq(a->groups, b->groups, "%s by %d", what, (int)o->by);
    for (size_t i = 0; i < a->count; i++) {
        struct fc_top_row x = a->rows[i], y = b->rows[i];

        cr_assert(x.text && y.text ? strcmp(x.text, y.text) == 0 : x.text == y.text, "%s by %d", what, (int)o->by);
        x.text = y.text = NULL;
        cr_assert_eq(memcmp(&x, &y, sizeof x), 0, "%s by %d: row %zu, sessions %d, %d, peers %d, %d", what, (int)o->by,
                     i, (int)x.sessions, (int)y.sessions, (int)x.peers, (int)y.peers);
    }
}

static void drop(struct result *r)
{
    fc_top_close(r->top);
    free(r->rows);
}

static void compare(struct test_index *index, const struct fc_top_options *o, const char *filter, size_t groups_max,
                    size_t values_max, const char *what)
{
    struct result whole = ask(index, NULL, o, UNBOUNDED, UNBOUNDED),
                  other = ask(index, filter, o, groups_max, values_max);

    assert_same(&whole, &other, o, what);
    drop(&whole);
    drop(&other);
}

Test(top, gives_the_same_by_parts_and_by_a_select)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, test_rounds(1) > 1 ? 200 : 80, ALL_FIELDS);

    for (int by = FC_TOP_TOTAL; by <= FC_TOP_TIME; by++) {
        struct fc_top_options o = {.by = (enum fc_top_by)by,
                                   .figures = FC_TOP_PEERS | FC_TOP_PORTS | FC_TOP_INTERVAL,
                                   .limit = test_below(&state, 2) ? 5 : 0,
                                   .bucket_ns = INT64_C(3600) * 1000000000};
        if (by == FC_TOP_FILE) /* the positions of these sessions are made up */
            continue;
        compare(index, &o, "id 1 or not id 1", UNBOUNDED, UNBOUNDED, "a SELECT");
        compare(index, &o, NULL, 7, UNBOUNDED, "groups");
        compare(index, &o, NULL, UNBOUNDED, 12, "values");
        compare(index, &o, NULL, 3, 8, "both");
    }
    test_index_free(index);
}

Test(top, what_is_no_session_ends_no_sum)
{
    struct test_index *index = test_index_sql(
        "",
        "INSERT INTO session VALUES(1, NULL, NULL, 6, 4, 'text', 1, x'00', 2, 1, 'many', 60, 'x', 9, 0, 0, x'00');"
        "INSERT INTO session VALUES(2, 9223372036854775807, 5, 6, 6, x'0102', 1, 1.5, 70000, -1, 3, 60, 1, 4, 0, 0, "
        "x'00');"
        "INSERT INTO session VALUES(9223372036854775807, -9223372036854775807, 1, 17, 4, 1, 1, 4294967295, 53, 1, 3, "
        "60, 1, 4, 0, 0, zeroblob(100000));");
    struct fc_top_options o = {.by = FC_TOP_CLIENT, .figures = FC_TOP_PEERS | FC_TOP_PORTS};
    struct result r = ask(index, NULL, &o, UNBOUNDED, UNBOUNDED);

    compare(index, &o, "id 1 or not id 1", UNBOUNDED, UNBOUNDED, "a SELECT");
    cr_assert_eq(r.count, 2);
    cr_assert(r.rows[0].kind == FC_ADDR_NONE && r.rows[0].sessions == 2 && !r.rows[0].has_time && r.rows[0].peers == 0);
    cr_assert(r.rows[0].packets == 4 && r.rows[0].bytes == 121 && r.rows[0].ports == 1);
    cr_assert(r.rows[1].kind == FC_ADDR_IPV4 && r.rows[1].addr[3] == 1 && r.rows[1].has_time && r.rows[1].peers == 1);
    drop(&r);
    o = (struct fc_top_options){.by = FC_TOP_TIME, .bucket_ns = 10};
    r = ask(index, NULL, &o, UNBOUNDED, UNBOUNDED); /* the first bucket would begin before the least time */
    cr_assert(r.count == 2 && r.rows[0].has_bucket && !r.rows[1].has_bucket);
    drop(&r);
    test_index_free(index);
}

/* Of a time the pages between its first and its last span are read, whatever lies between. */
Test(top, gives_of_a_time_what_a_select_gives)
{
    struct test_index *index = test_index_sql(
        "",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)"
        "INSERT INTO session SELECT i, i * 1000000000, 5, 6, 4, 1 + i % 7, 5, 2, 80, 1, 1, 100, 100 + i % 50, i % 3, "
        "0, 0, x'' FROM n;"
        "UPDATE session SET duration_ns = 5000000000000 WHERE id % 3000 = 77;"
        "UPDATE session SET start_ns = NULL, duration_ns = NULL WHERE id % 4999 = 5;"
        "UPDATE session SET start_ns = start_ns - 15000000000000 WHERE id BETWEEN 30000 AND 34000;");
    static const char *const times[] = {"after @20000 and before @20001",
                                        "after @4096 and before @8192",
                                        "after @4095",
                                        "before @8193",
                                        "before @16000",
                                        "before @1",
                                        "after @59999",
                                        "after @99999"};
    struct fc_top_options o = {.by = FC_TOP_STATE, .figures = FC_TOP_PEERS};

    for (unsigned i = 0; i < sizeof times / sizeof times[0]; i++) {
        char plain[100];
        snprintf(plain, sizeof plain, "%s and (id 1 or not id 1)", times[i]);
        struct result pages = ask(index, times[i], &o, UNBOUNDED, UNBOUNDED),
                      rows = ask(index, plain, &o, UNBOUNDED, UNBOUNDED);
        assert_same(&pages, &rows, &o, times[i]);
        drop(&pages);
        drop(&rows);
    }
    test_index_free(index);
}

struct samples {
    struct fc_sample *sample;
    size_t count;
};

static int keep_sample(void *ctx, const struct fc_sample *sample)
{
    struct samples *s = ctx;

    s->sample[s->count++] = *sample;
    return 0;
}

/* What is asked of pages of the table is what the naive twin says, and so are sums by whichever way they are read. */
Test(top, conditions_without_sql_are_those_of_the_twin)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 300, ALL_FIELDS);
    struct samples all = {.sample = calloc(index->count, sizeof *all.sample)};
    struct fc_error err = {0};
    unsigned known = 0, rounds = test_rounds(1500);

    cr_assert_eq(fc_samples_read(index->db, NULL, FC_SAMPLES_PLAIN, false, keep_sample, &all, &err), 0);
    cr_assert_eq(all.count, index->count);
    for (unsigned i = 0; i < rounds; i++) {
        struct fc_filter *filter;
        struct fc_top_row row = {0};
        struct fc_top *top;
        uint64_t sessions = 0, bytes = 0;
        char text[2000];

        test_filter(&state, false, text, sizeof text);
        cr_assert_eq(fc_filter_parse(text, NOW, &filter, NULL), 0);
        if (filter->root && fc_match_knows(filter->root)) {
            known++;
            for (size_t k = 0; k < all.count; k++) {
                const struct fc_session *s = &index->rows[k].s;
                bool is = test_matches(filter->root, s);
                cr_assert_eq(fc_matches(filter->root, &all.sample[k]), is, "session %lld: %s", (long long)s->id, text);
                sessions += is;
                bytes += is ? s->client_bytes + s->server_bytes : 0;
            }
            cr_assert_eq(fc_top_open(index->db, filter, NULL, &top, &err), 0, "%s: %s", text, err.cause);
            fc_top_next(top, &row);
            cr_assert(row.sessions == sessions && row.bytes == bytes, "%s: %d, not %d", text, (int)row.sessions,
                      (int)sessions);
            fc_top_close(top);
        }
        fc_filter_free(filter);
    }
    fprintf(stderr, "%u of %u filters are known without SQL\n", known, rounds);
    cr_assert_gt(known, rounds / 10);
    free(all.sample);
    test_index_free(index);
}

Test(top, refuses_what_it_cannot_do)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 20, 0);
    struct fc_error err = {0};
    struct fc_top *top;

    cr_assert_eq(fc_top_open(index->db, NULL, &(struct fc_top_options){.sort = "byte"}, &top, &err), FC_E_USAGE);
    cr_assert_eq(fc_top_open(index->db, NULL, &(struct fc_top_options){.sort = "bytes:up"}, &top, &err), FC_E_USAGE);
    cr_assert_eq(fc_top_open(index->db, NULL, &(struct fc_top_options){.by = FC_TOP_VLAN}, &top, &err), FC_E_USAGE);
    cr_assert_eq(fc_top_open(index->db, NULL, &(struct fc_top_options){.by = FC_TOP_TUNNEL}, &top, &err), FC_E_USAGE);
    cr_assert_eq(fc_top_open(index->db, NULL, &(struct fc_top_options){.by = FC_TOP_TIME, .bucket_ns = 1}, &top, &err),
                 FC_E_LIMIT);
    cr_assert_null(top);
    fc_top_close(NULL);
    test_index_free(index);
}
