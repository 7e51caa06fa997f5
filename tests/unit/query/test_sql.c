/* SPDX-License-Identifier: MIT */
/* What SQLite answers against what the naive twin says. */
#include "query_test.h"

/* Ids that the index gives for the filter must be those of the rows that the twin takes; else the first wrong id. */
static int64_t first_difference(const struct test_index *index, const struct fc_filter *filter, const char *text)
{
    struct fc_query *query;
    struct fc_session row;
    struct fc_error err = {0};
    int64_t wrong = 0, found = 0;
    int rc;

    cr_assert_eq(fc_query_open(index->db, filter, NULL, &query, &err), 0, "%s: %s", text, err.cause);
    rc = fc_query_next(query, &row, &err);
    for (unsigned i = 0; i < index->count && !wrong; i++) {
        bool want = !filter->root || test_matches(filter->root, &index->rows[i].s);
        bool have = rc > 0 && row.id == index->rows[i].s.id;

        found += have;
        if (want != have)
            wrong = index->rows[i].s.id;
        else if (have)
            rc = fc_query_next(query, &row, &err);
    }
    cr_assert_geq(rc, 0, "%s: %s", text, err.cause);
    fc_query_close(query);
    if (!wrong)
        cr_assert_eq(fc_query_count(index->db, filter, NULL), found, "count: %s", text);
    return wrong;
}

static unsigned compare_random(unsigned rounds, uint32_t fields, unsigned sessions)
{
    uint64_t state = test_seed() + fields;
    struct test_index *index = test_index_new(&state, sessions, fields);
    unsigned differences = 0;

    for (unsigned i = 0; i < rounds; i++) {
        char text[2000];
        struct fc_filter_error where;
        struct fc_filter *filter;

        test_filter(&state, fields != ALL_FIELDS, text, sizeof text);
        cr_assert_eq(fc_filter_parse(text, NOW, &filter, &where), 0, "%s\n%s at %zu", text, where.cause, where.off);
        int64_t wrong = first_difference(index, filter, text);
        differences += wrong != 0;
        if (wrong && !test_planted) {
            struct fc_filter_sql sql;
            fc_filter_compile(filter, index->db, FC_FILTER_LISTED, &sql, NULL);
            cr_assert_fail("session %lld: %s\n%s", (long long)wrong, text, sql.where);
        }
        fc_filter_free(filter);
    }
    test_index_free(index);
    return differences;
}

static void check_text(struct test_index *index, const char *text)
{
    struct fc_filter_error where;
    struct fc_filter *filter;
    int rc = fc_filter_parse(text, NOW, &filter, &where);

    cr_assert_eq(rc, 0, "%.200s\n%s at %zu", text, where.cause, where.off);
    cr_assert_eq(first_difference(index, filter, "..."), 0, "%.200s", text);
    fc_filter_free(filter);
}

Test(sql, gives_what_the_naive_twin_gives)
{
    compare_random(test_rounds(600), ALL_FIELDS, 400);
}

Test(sql, gives_the_same_without_optional_fields)
{
    compare_random(test_rounds(400), 0, 400);
}

Test(sql, gives_the_same_where_indexes_are_worth_it)
{
    compare_random(test_rounds(100), ALL_FIELDS, 8000);
}

/* By the index of the IDs, and without one. */
Test(sql, finds_each_session_by_its_community_id)
{
    uint64_t state = test_seed();

    for (unsigned round = 0; round < 2; round++) {
        struct test_index *index = test_index_new(&state, 3000, round ? FC_FIELD_COMMUNITY_ID : 0);
        unsigned asked = 0;

        for (unsigned i = 0; i < index->count; i += 61) {
            const char *id = index->rows[i].s.community_id, *other = index->rows[(i * 7 + 1) % 3000].s.community_id;
            char text[300];
            if (!id || !other)
                continue;
            snprintf(text, sizeof text, "community-id %s", id);
            check_text(index, text);
            snprintf(text, sizeof text, "not community-id %s and tcp", id);
            check_text(index, text);
            snprintf(text, sizeof text, "community-id (%s or %.29s) or %s and not port 80", id, other, other);
            check_text(index, text);
            asked++;
        }
        cr_assert_gt(asked, 10);
        test_index_free(index);
    }
}

Test(sql, the_twin_notices_a_planted_bug)
{
    test_planted = true;
    cr_assert_gt(compare_random(300, ALL_FIELDS, 400), 10);
}

Test(sql, every_pair_of_conditions_goes_together)
{
    static const char *const parts[] = {
        "src host 10.0.0.1",
        "dst host 10.0.0.1",
        "host 10.0.0.1",
        "src and dst host 10.0.0.1",
        "src port 80",
        "dst port 80",
        "port 80",
        "src and dst port 80",
        "udp port 53",
        "portrange 20-80",
        "src portrange 20-80",
        "src net 10",
        "net 10",
        "host (10.0.0.1 or 10.1.0.2)",
        "net (10.0.0.0/30 or fe80::/127)",
        "ip6 host fe80::",
        "arp host 10.0.0.1",
        "ether host 20:01:0d:b8:00:01",
        "ether src 20:01:0d:b8:00:01",
        "vlan 10",
        "vlan",
        "id 5-300",
        "id 7 or 9",
        "state new",
        "community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        "bytes over 10k",
        "client packets under 300",
        "duration at most 10m",
        "payload over 100k",
        "server ttl 64",
        "flags syn,fin",
        "client flags ack",
        "reset by client",
        "state rejected",
        "before 1h ago",
        "after 1h ago",
        "after 90 min ago and before 1h ago",
        "tcp",
        "ip",
    };
    static const char *const joins[] = {"%s and (%s)", "%s or (%s)", "%s and not (%s)", "not (%s) and not (%s)"};
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 700, ALL_FIELDS);
    const bool all = test_rounds(1) > 1;

    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        /* all joins of every pair, both ways, by FLOWCARVE_TEST_LONG; else one of them in turn */
        for (unsigned k = all ? 0 : i; k < sizeof parts / sizeof parts[0]; k++) {
            for (unsigned j = all ? 0 : (i + k) % 4; j < 4; j += all ? 1 : 4) {
                char text[200];
                snprintf(text, sizeof text, joins[j], parts[i], parts[k]);
                check_text(index, text);
            }
        }
    }
    test_index_free(index);
}

/* `count` times one of the formats in turn, with a number that differs. */
static char *repeat(const char *first, const char *a, const char *b, unsigned count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    fputs(first, out);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, i % 2 ? b : a, i >> 8 & 255, i & 255); /* NOLINT: formats of this file */
    }
    fclose(out);
    return text;
}

Test(sql, takes_ten_thousand_hosts)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 2000, 0);
    char *text = repeat("host 10.0.0.1", " or host 10.0.%u.%u", " or 10.0.%u.%u", 10000);

    check_text(index, text);
    free(text);
    text = repeat("not host 10.0.0.1", " and not host 10.0.%u.%u", " and not src host 10.1.%u.%u", 10000);
    check_text(index, text);
    free(text);
    text = repeat("src and dst net 10.0.0", " or portrange %u-%u", " or src and dst net 10.%u.%u",
                  test_rounds(1) > 1 ? 2000 : 500);
    check_text(index, text);
    free(text);
    test_index_free(index);
}

Test(sql, takes_alternations_up_to_the_limit)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 500, 0);
    char *text = repeat("tcp", " and not src host 10.0.%u.%u", " or dst portrange %u-%u", 990);

    check_text(index, text);
    free(text);
    test_index_free(index);
}

Test(sql, takes_the_deepest_nesting_on_every_side)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 500, 0);
    char text[20000], *p = text;
    unsigned depth = FC_FILTER_NEST_MAX;

    for (unsigned i = 0; i < depth; i++)
        p += sprintf(p, "%s%s(", i % 2 ? "port 80 or " : "not arp and ", "");
    p += sprintf(p, "tcp");
    for (unsigned i = 0; i < depth; i++)
        p += sprintf(p, "%s)", i % 3 ? " and dst net 10" : " or udp");
    check_text(index, text);

    for (p = text, depth = 0; depth < FC_FILTER_NEST_MAX; depth++)
        p += sprintf(p, depth % 2 ? "not " : "(udp or ");
    p += sprintf(p, "icmp");
    for (depth = 0; depth < FC_FILTER_NEST_MAX / 2; depth++)
        p += sprintf(p, ")");
    check_text(index, text);
    test_index_free(index);
}

Test(sql, takes_thousands_of_networks_and_their_negation)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 2000, 0);
    char *text = repeat("net 10.0.0.0/30", " or net 172.%u.%u", " or 10.%u.%u", 5000);
    char *not = malloc(strlen(text) + 200);

    check_text(index, text);
    sprintf(not, "not (%s or net 2001:db8:1::/126)", text);
    check_text(index, not );
    sprintf(not, "(%s or net 2001:db8:1::/126) and tcp and not src port 80", text);
    check_text(index, not );
    free(text);
    free(not );
    text = repeat("src net 10.0.0.0/30", " or ip6 net 2001:db8:%x:%x::/64", " or arp net 10.%u.%u", 300);
    check_text(index, text);
    free(text);
    test_index_free(index);
}

/* A random tree of both operators, as bushy as parentheses allow. */
static void bushy(FILE *out, uint64_t *state, unsigned depth, bool and)
{
    if (depth == 0) {
        fprintf(out, "%s port %u", test_below(state, 2) ? "src" : "dst", test_below(state, 90));
        return;
    }
    fputs(test_below(state, 4) ? "(" : "not (", out);
    bushy(out, state, depth - 1, !and);
    fputs(and? ") and (" : ") or (", out);
    bushy(out, state, depth - 1 - test_below(state, depth), !and);
    fputs(")", out);
}

Test(sql, takes_bushy_trees)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 300, 0);

    for (unsigned i = 0; i < 30; i++) {
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        fputs("(", out);
        bushy(out, &state, 14, true);
        fputs(")", out);
        fclose(out);
        check_text(index, text);
        free(text);
    }
    test_index_free(index);
}

Test(sql, more_values_than_sqlite_takes_is_an_error_of_ours)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 10, 0);
    char *text = repeat("host 10.0.0.1", " or %u.0.0.%u", " or 10.0.%u.%u", 1200);
    struct fc_error err;
    struct fc_filter *filter;
    struct fc_filter_sql sql;

    sqlite3_limit(fc_db_sqlite(index->db), SQLITE_LIMIT_VARIABLE_NUMBER, 1000);
    cr_assert_eq(fc_filter_parse(text, NOW, &filter, NULL), 0);
    cr_assert_eq(fc_filter_compile(filter, index->db, FC_FILTER_LISTED, &sql, &err), FC_E_LIMIT);
    cr_assert(strstr(err.cause, "1000"));
    cr_assert_null(sql.where);
    fc_filter_free(filter);
    free(text);
    test_index_free(index);
}

Test(sql, fields_that_the_index_lacks_are_named)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 10, FC_FIELD_DSCP);
    static const char *const lacks[][2] = {
        {"tcp or not vlan 5", "VLAN ids; index with --fields vlan"},
        {"mpls", "MPLS labels; index with --fields mpls"},
        {"tunnel gre", "encapsulations; index with --fields tunnel"},
        {"tcp and ether src 02:00:00:00:00:01", "link addresses of IP sessions; index with --fields mac"},
        {"not ttl 5", "TTLs; index with --fields ttl"},
        {"udp or client ttl over 5", "TTLs; index with --fields ttl"},
        {"flags syn", "TCP flags; index with --fields tcp-flags"},
        {"payload over 5", "bytes of payload; index with --fields payload"},
    };

    for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++) {
        struct fc_filter *filter;
        struct fc_error err;
        char cause[100];

        snprintf(cause, sizeof cause, "this index holds no %s", lacks[i][1]);
        cr_assert_eq(fc_filter_parse(lacks[i][0], NOW, &filter, NULL), 0);
        cr_expect_eq(fc_query_count(index->db, filter, &err), FC_E_FILTER, "%s", lacks[i][0]);
        cr_expect_str_eq(err.cause, cause);
        fc_filter_free(filter);
    }
    test_index_free(index);
}
