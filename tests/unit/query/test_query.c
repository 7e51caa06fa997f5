/* SPDX-License-Identifier: MIT */
/* Reading sessions out: order, limits, and indexes that someone has damaged. */
#include "query_test.h"

static void open_query(struct test_index *index, const char *sort, int64_t limit, struct fc_query **query)
{
    struct fc_query_options options = {.sort = sort, .limit = limit};
    struct fc_error err = {0};

    cr_assert_eq(fc_query_open(index->db, NULL, &options, query, &err), 0, "%s", err.cause);
}

Test(query, gives_every_member_of_a_session)
{
    struct test_index *index = test_index_sql(
        "mac,vlan,mpls,tunnel,ttl,dscp,tcp-flags,isn,payload,community-id",
        "INSERT INTO session VALUES(7, 1714557600000000000, 2500000000, 6, 4, 167772161, 1234, 3232235777, 443,"
        "    10, 11, 1200, 1300, 2, 0, 0, x'00');"
        "INSERT INTO session_fields VALUES(7, '10,20', '16', 'vxlan:42/gre', x'001122334455', x'66778899aabb', 64, 63, "
        "0, 46, 27, 19,"
        "    4294967295, 1, 100, 0, '1:LQU9qZlK+B5F3KDmev6m5PMibrg=');");
    struct fc_query *query;
    struct fc_session s;

    open_query(index, NULL, -1, &query);
    cr_assert_eq(fc_query_fields(query), ALL_FIELDS);
    cr_assert_eq(fc_query_next(query, &s, NULL), 1);
    cr_assert(s.id == 7 && s.has_time && s.start_ns == NOW && s.end_ns == NOW + 2500000000 && s.proto == 6);
    cr_assert(s.kind == FC_ADDR_IPV4 && !memcmp(s.client_addr, (uint8_t[4]){10, 0, 0, 1}, 4));
    cr_assert(!memcmp(s.server_addr, (uint8_t[4]){192, 168, 1, 1}, 4) && s.client_port == 1234 && s.server_port == 443);
    cr_assert(s.client_packets == 10 && s.server_packets == 11 && s.client_bytes == 1200 && s.server_bytes == 1300);
    cr_assert(s.state == 2 && !strcmp(s.vlan, "10,20") && !strcmp(s.mpls, "16") && !strcmp(s.tunnel, "vxlan:42/gre"));
    cr_assert(s.client_mac[5] == 0x55 && s.server_mac[0] == 0x66);
    cr_assert(s.client_ttl == 64 && s.server_ttl == 63 && s.client_dscp == 0 && s.server_dscp == 46);
    cr_assert(s.client_tcp_flags == 27 && s.server_tcp_flags == 19 && s.client_isn == 4294967295 && s.server_isn == 1);
    cr_assert(s.client_payload == 100 && s.server_payload == 0);
    cr_assert_str_eq(s.community_id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    cr_assert_eq(fc_query_next(query, &s, NULL), 0);
    cr_assert_eq(fc_query_next(query, &s, NULL), 0);
    fc_query_close(query);
    test_index_free(index);
}

/* What a SELECT of one text gives. */
static void check_text(struct test_index *index, const char *select, const char *want)
{
    sqlite3_stmt *stmt;

    cr_assert_eq(sqlite3_prepare_v2(fc_db_sqlite(index->db), select, -1, &stmt, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    cr_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), want);
    sqlite3_finalize(stmt);
}

/* include/flowcarve/fields.h against schema/flowcarve.sql: rows are written and read by the order of columns. */
Test(query, the_schema_has_the_columns_of_the_list)
{
#define TEXT(column, ...) " " #column ":TEXT"
#define ADDRESS(column, ...) " client_" #column ":BLOB server_" #column ":BLOB"
#define NUMBER(column, ...) " client_" #column ":INTEGER server_" #column ":INTEGER"
#define ONE(column, ...) " " #column
#define TWO(column, ...) " client_" #column " server_" #column
    struct test_index *index = test_index_sql("", "");

    check_text(index, "SELECT group_concat(name || ':' || type, ' ') FROM pragma_table_info('session_fields')",
               "id:INTEGER" FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER));
    check_text(index,
               "SELECT 'state' || substr(all_of_them, instr(all_of_them, ' vlan')) FROM"
               " (SELECT group_concat(name, ' ') AS all_of_them FROM pragma_table_info('sessions'))",
               "state" FC_FIELD_COLUMNS(ONE, TWO, TWO));
    test_index_free(index);
}

Test(query, without_fields_says_that_there_are_none)
{
    struct test_index *index = test_index_sql(
        "",
        "INSERT INTO session VALUES(1, NULL, NULL, 327680, 0, NULL, NULL, NULL, NULL, 1, 0, 60, 0, 0, 0, 0, x'00');");
    struct fc_query *query;
    struct fc_session s;

    open_query(index, NULL, -1, &query);
    cr_assert_eq(fc_query_fields(query), 0);
    cr_assert_eq(fc_query_next(query, &s, NULL), 1);
    cr_assert(!s.has_time && s.kind == FC_ADDR_NONE && s.client_port == -1 && s.server_port == -1);
    cr_assert(!s.vlan && !s.client_mac && s.client_ttl == -1 && s.server_payload == -1);
    fc_query_close(query);
    fc_query_close(NULL);
    test_index_free(index);
}

static int64_t sort_value(const char *key, const struct fc_session *s)
{
    if (strcmp(key, "bytes") == 0)
        return (int64_t)(s->client_bytes + s->server_bytes);
    if (strcmp(key, "packets") == 0)
        return (int64_t)(s->client_packets + s->server_packets);
    if (strcmp(key, "duration") == 0)
        return s->has_time ? s->end_ns - s->start_ns : -1;
    if (strcmp(key, "client_port") == 0)
        return s->client_port;
    return s->id;
}

Test(query, sorts_by_keys_of_the_output_and_breaks_ties_by_id)
{
    static const char *const keys[] = {"bytes", "packets", "duration", "client_port", "id"};
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 500, 0);

    for (unsigned i = 0; i < 3 * sizeof keys / sizeof keys[0]; i++) {
        const char *key = keys[i / 3];
        static const char *const orders[] = {"", ":asc", ":desc"};
        char sort[40];
        struct fc_query *query;
        struct fc_session s;
        int64_t last = 0, last_id = 0;
        unsigned count = 0;

        sprintf(sort, "%s%s", key, orders[i % 3]);
        open_query(index, sort, -1, &query);
        while (fc_query_next(query, &s, NULL) > 0) {
            int64_t value = sort_value(key, &s);
            if (count++)
                cr_assert(i % 3 == 2 ? value < last || (value == last && s.id > last_id)
                                     : value > last || (value == last && s.id > last_id),
                          "%s: %lld after %lld", sort, (long long)s.id, (long long)last_id);
            last = value;
            last_id = s.id;
        }
        cr_assert_eq(count, 500);
        fc_query_close(query);
    }
    test_index_free(index);
}

/* What SQLite compares; false: NULL, which comes before all others. */
static bool sorted_value(const char *key, const struct fc_session *s, int64_t *value)
{
    bool is = true;

    if (strcmp(key, "start") == 0 || strcmp(key, "end") == 0 || strcmp(key, "duration") == 0) {
        is = s->has_time;
        *value = *key == 's' ? s->start_ns : *key == 'e' ? s->end_ns : s->end_ns - s->start_ns;
    } else if (strcmp(key, "server_port") == 0) {
        is = (*value = s->server_port) >= 0;
    } else if (strcmp(key, "client_port") == 0) {
        is = (*value = s->client_port) >= 0;
    } else if (strcmp(key, "proto") == 0) {
        *value = s->proto;
    } else if (strcmp(key, "state") == 0) {
        *value = (int64_t)s->state;
    } else if (strcmp(key, "client_ttl") == 0) {
        is = (*value = s->client_ttl) >= 0;
    } else if (strcmp(key, "server_packets") == 0) {
        *value = (int64_t)s->server_packets;
    } else {
        *value = sort_value(key, s);
    }
    return is;
}

struct sorted_row {
    bool is;
    int64_t value, id;
};

static int compare_ascending(const void *a, const void *b)
{
    const struct sorted_row *x = a, *y = b;

    if (x->is != y->is)
        return x->is ? 1 : -1;
    if (x->is && x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_descending(const void *a, const void *b)
{
    const struct sorted_row *x = a, *y = b;

    if (x->is != y->is || (x->is && x->value != y->value))
        return -compare_ascending(a, b);
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Of the naive twin, sorted by qsort(). */
static void check_sorted(struct test_index *index, const struct fc_filter *filter, const char *key, unsigned order,
                         int64_t limit, const char *text)
{
    static const char *const orders[] = {"", ":asc", ":desc"};
    struct sorted_row *rows = calloc(index->count, sizeof *rows);
    struct fc_query *query;
    struct fc_session s;
    struct fc_error err = {0};
    char sort[40];
    size_t n = 0;

    for (unsigned i = 0; i < index->count; i++)
        if (test_matches(filter->root, &index->rows[i].s)) {
            rows[n].is = sorted_value(key, &index->rows[i].s, &rows[n].value);
            rows[n++].id = index->rows[i].s.id;
        }
    qsort(rows, n, sizeof *rows, order == 2 ? compare_descending : compare_ascending);
    snprintf(sort, sizeof sort, "%s%s", key, orders[order]);
    struct fc_query_options options = {.sort = sort, .limit = limit};
    cr_assert_eq(fc_query_open(index->db, filter, &options, &query, &err), 0, "%s: %s", text, err.cause);
    n = limit > 0 && (size_t)limit < n ? (size_t)limit : n;
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(fc_query_next(query, &s, &err), 1, "%s, by %s: %zu of %zu", text, sort, i, n);
        cr_assert_eq(s.id, rows[i].id, "%s, by %s: row %zu is %lld", text, sort, i, (long long)s.id);
    }
    cr_assert_eq(fc_query_next(query, &s, &err), 0, "%s, by %s: more than %zu", text, sort, n);
    fc_query_close(query);
    free(rows);
}

/* Some of the filters are changed by a byte or two: most still parse, and mean what the twin makes of their tree. */
Test(query, random_filters_sorted_by_any_key)
{
    static const char *const keys[] = {"bytes",       "packets", "duration", "client_port", "id",  "start",
                                       "server_port", "proto",   "state",    "client_ttl",  "end", "server_packets"};
    static const char alphabet[] = "0123456789 abcdehinoprstu.:/-()!,";
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 300, ALL_FIELDS);
    unsigned parsed = 0, rounds = test_rounds(400);

    for (unsigned i = 0; i < rounds; i++) {
        struct fc_filter *filter;
        char text[2000];

        test_filter(&state, false, text, sizeof text);
        for (unsigned k = i % 4 ? 0 : 1 + test_below(&state, 2); k; k--) {
            char *p = &text[test_below(&state, (unsigned)strlen(text))];
            *p = alphabet[test_below(&state, *p >= '0' && *p <= '9' ? 10 : sizeof alphabet - 1)];
        }
        if (fc_filter_parse(text, NOW, &filter, NULL) != 0)
            continue;
        parsed++;
        check_sorted(index, filter, keys[test_below(&state, sizeof keys / sizeof keys[0])], test_below(&state, 3),
                     test_below(&state, 3) ? -1 : 1 + (int64_t)test_below(&state, 40), text);
        fc_filter_free(filter);
    }
    fprintf(stderr, "%u of %u filters parsed\n", parsed, rounds);
    cr_assert_gt(parsed, rounds * 7 / 10);
    test_index_free(index);
}

Test(query, every_key_of_the_output_can_be_sorted_by)
{
    static const char *const keys[] = {"id",
                                       "start",
                                       "end",
                                       "start_ns",
                                       "end_ns",
                                       "duration",
                                       "proto",
                                       "client_addr",
                                       "client_port",
                                       "server_addr",
                                       "server_port",
                                       "client_packets",
                                       "server_packets",
                                       "client_bytes",
                                       "server_bytes",
                                       "state",
                                       "packets",
                                       "bytes",
                                       "vlan",
                                       "mpls",
                                       "tunnel",
                                       "client_mac",
                                       "server_mac",
                                       "client_ttl",
                                       "server_ttl",
                                       "client_dscp",
                                       "server_dscp",
                                       "client_tcp_flags",
                                       "server_tcp_flags",
                                       "client_isn",
                                       "server_isn",
                                       "client_payload",
                                       "server_payload"};
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 20, ALL_FIELDS);
    struct fc_query *query;
    struct fc_session s;

    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        open_query(index, keys[i], -1, &query);
        cr_assert_eq(fc_query_next(query, &s, NULL), 1);
        fc_query_close(query);
    }
    test_index_free(index);
}

Test(query, unknown_keys_are_refused_with_a_list)
{
    static const char *const wrong[] = {"size", "", "id:down", "id:", "vlan", "bytes desc", "id;drop table session"};
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 5, FC_FIELD_TTL);

    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fc_query_options options = {.sort = wrong[i], .limit = -1};
        struct fc_query *query;
        struct fc_error err;

        cr_assert_eq(fc_query_open(index->db, NULL, &options, &query, &err), FC_E_USAGE, "%s", wrong[i]);
        cr_assert_null(query);
        cr_assert(strstr(err.cause, "server_bytes") && strstr(err.cause, "client_ttl"), "%s", err.cause);
    }
    test_index_free(index);
}

Test(query, limits)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 50, 0);
    static const int64_t limits[] = {0, 1, 49, 50, 51, -1};

    for (unsigned i = 0; i < 6; i++) {
        struct fc_query *query;
        struct fc_session s;
        int64_t n = 0;

        open_query(index, "bytes:desc", limits[i], &query);
        while (fc_query_next(query, &s, NULL) > 0)
            n++;
        cr_assert_eq(n, limits[i] <= 0 || limits[i] > 50 ? 50 : limits[i]);
        fc_query_close(query);
    }
    cr_assert_eq(fc_query_count(index->db, NULL, NULL), 50);
    test_index_free(index);
}

Test(query, options_of_zeros_are_those_of_none)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 50, 0);
    struct fc_query_options zeros = {0};
    const struct fc_query_options *options[] = {NULL, &zeros};

    for (unsigned i = 0; i < 2; i++) {
        struct fc_query *query;
        struct fc_session s;
        int64_t n = 0;

        cr_assert_eq(fc_query_open(index->db, NULL, options[i], &query, NULL), 0);
        while (fc_query_next(query, &s, NULL) > 0)
            cr_assert_eq(s.id, ++n);
        cr_assert_eq(n, 50);
        fc_query_close(query);
    }
    test_index_free(index);
}

/* SQL of an index without the types and NOT NULL of the schema, as an attacker's file would be, with anything in it. */
/* Tables that take any value, with one session that has a time, so that the table of spans can be made. */
static const char damaged_tables[] =
    "DROP VIEW sessions; DROP TABLE session; DROP TABLE session_fields;"
    "CREATE TABLE session(id INTEGER PRIMARY KEY, start_ns, duration_ns, proto, kind, client_addr, client_port,"
    "server_addr, server_port, client_packets, server_packets, client_bytes, server_bytes, state, flags, domain,"
    "positions);"
    "CREATE TABLE session_fields(id INTEGER PRIMARY KEY, vlan, mpls, tunnel, client_mac, server_mac, client_ttl, "
    "server_ttl,"
    "client_dscp, server_dscp, client_tcp_flags, server_tcp_flags, client_isn, server_isn, client_payload,"
    "server_payload, community_id);"
    "INSERT INTO session(id, start_ns, duration_ns, client_packets, server_packets, client_bytes, server_bytes)"
    " VALUES(1000, 0, 9223372036854775806, 1, 1, 1, 1);"
    /* values that cannot be added up: the numbers of these are not asked for */;

static char *damaged_rows(uint64_t *state)
{
    static const char *const values[] = {"NULL",
                                         "-1",
                                         "99999999999999",
                                         "1.5",
                                         "'text'",
                                         "x''",
                                         "x'0102'",
                                         "zeroblob(16)",
                                         "zeroblob(6)",
                                         "zeroblob(100)",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "''"};
    char *sql = NULL;
    size_t size;
    FILE *out = open_memstream(&sql, &size);

    for (unsigned id = 1; id <= 40; id++) {
        fprintf(out, "INSERT INTO session VALUES(%u", id);
        for (unsigned i = 0; i < 16; i++)
            fprintf(out, ",%s",
                    i == 3 && test_below(state, 2) ? (test_below(state, 2) ? "4" : "6")
                                                   : values[test_below(state, 13)]);
        fprintf(out, ");INSERT INTO session_fields VALUES(%u", id);
        for (unsigned i = 0; i < 16; i++)
            fprintf(out, ",%s", values[test_below(state, 13)]);
        fputs(");", out);
    }
    fclose(out);
    return sql;
}

static void check_damaged_row(const struct fc_session *s)
{
    cr_assert(s->client_port >= -1 && s->client_port <= 65535 && s->server_port >= -1 && s->server_port <= 65535);
    cr_assert(s->state >= -1 && s->state <= 4 && (s->kind == 0 || s->kind == 1 || s->kind == 4 || s->kind == 6));
    cr_assert(s->client_bytes <= INT64_MAX && s->client_ttl >= -1 && s->client_ttl <= 255);
    cr_assert(!s->has_time || s->end_ns >= s->start_ns);
    /* to be looked at by the address sanitizer */
    cr_assert(!s->client_mac || s->client_mac[5] + 1);
    cr_assert(!s->vlan || strlen(s->vlan) < 100);
}

/* Whatever stands in the columns, reading it is safe and what makes no sense is nothing. */
Test(query, a_damaged_index_gives_nulls)
{
    uint64_t state = test_seed();

    for (unsigned round = 0; round < 20; round++) {
        char *rows = damaged_rows(&state);
        struct test_index *index =
            test_index_sql("mac,vlan,mpls,tunnel,ttl,dscp,tcp-flags,isn,payload", damaged_tables);
        struct fc_query *query;
        struct fc_session s;
        unsigned count = 0;
        sqlite3 *sql;

        cr_assert_eq(sqlite3_open(index->path, &sql), SQLITE_OK);
        cr_assert_eq(sqlite3_exec(sql, rows, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(sql));
        sqlite3_close(sql);
        open_query(index, NULL, -1, &query);
        for (; fc_query_next(query, &s, NULL) > 0; count++)
            check_damaged_row(&s);
        cr_assert_eq(count, 41);
        fc_query_close(query);
        for (unsigned i = 0; i < 100; i++) {
            char text[2000];
            struct fc_filter *filter;

            test_filter(&state, false, text, sizeof text);
            cr_assert_eq(fc_filter_parse(text, NOW, &filter, NULL), 0);
            cr_assert_geq(fc_query_count(index->db, filter, NULL), 0);
            fc_filter_free(filter);
        }
        test_index_free(index);
        free(rows);
    }
}

Test(query, a_missing_table_is_an_error)
{
    struct test_index *index = test_index_sql("vlan", "");
    struct fc_query *query;
    struct fc_filter *filter;
    struct fc_error err;
    sqlite3 *sql;

    cr_assert_eq(sqlite3_open(index->path, &sql), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(sql, "DROP VIEW sessions; DROP TABLE session_fields", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sql);

    cr_assert_eq(fc_query_open(index->db, NULL, NULL, &query, &err), FC_E_DB);
    cr_assert(strstr(err.cause, "session_fields"));
    cr_assert_eq(fc_filter_parse("vlan", NOW, &filter, NULL), 0);
    cr_assert_eq(fc_query_count(index->db, filter, &err), FC_E_DB);
    fc_filter_free(filter);
    test_index_free(index);
}

/* Everything that a query gives while the index changes between its rows. */
static void read_while_changing(struct test_index *index, const char *filter_text, const char *sort, int64_t changed_at,
                                const char *change, const char *want)
{
    struct fc_query_options options = {.sort = sort};
    struct fc_filter *filter;
    struct fc_query *query;
    struct fc_session s;
    struct fc_error err;
    char got[200] = "";
    int64_t count = 0, last = 0;
    sqlite3 *sql;
    int rc;

    cr_assert_eq(fc_filter_parse(filter_text, NOW, &filter, NULL), 0);
    cr_assert_eq(fc_query_open(index->db, filter, &options, &query, &err), 0, "%s", err.cause);
    cr_assert_eq(sqlite3_open(index->path, &sql), SQLITE_OK);
    for (; (rc = fc_query_next(query, &s, &err)) == 1; count++, last = s.id)
        if (count == changed_at) /* at once: no statement is open */
            cr_assert_eq(sqlite3_exec(sql, change, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(sql));
    cr_assert_eq(rc, 0, "%s", err.cause);
    snprintf(got, sizeof got, "%lld, last %lld", (long long)count, (long long)last);
    cr_expect_str_eq(got, want, "%s, %s: %s", filter_text, change, got);
    sqlite3_close(sql);
    fc_query_close(query);
    fc_filter_free(filter);
}

#define SESSIONS(first, last)                                                                                          \
    "WITH RECURSIVE n(i) AS (SELECT " first " UNION ALL SELECT i + 1 FROM n WHERE i < " last ")"                       \
    "INSERT INTO session SELECT i, i, 0, 6, 4, 1 + i % 2, 5, 2, 80, 1, 1, 100 + i, 100, i % 10 = 0, 0, 0, x'' FROM n;"

Test(query, an_index_may_change_between_rows)
{
    static const char more[] = SESSIONS("5001", "9000"), fewer[] = "DELETE FROM session WHERE id > 3000",
                      other[] = "UPDATE session SET state = 3";
    static const struct {
        const char *filter, *sort, *change, *want;
    } cases[] = {
        {"", NULL, more, "9000, last 9000"},           {"", NULL, fewer, "3000, last 3000"},
        {"", "id:desc", more, "5000, last 1"},         {"", "bytes:desc", more, "5000, last 1"},
        {"", "bytes", fewer, "3000, last 3000"},       {"id 1-4000", NULL, fewer, "3000, last 3000"},
        {"state new", NULL, fewer, "2700, last 2999"}, {"id 1-4000 and state new", "bytes", other, "512, last 568"},
        {"id 1-40000", NULL, more, "9000, last 9000"},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct test_index *index = test_index_sql("", SESSIONS("1", "5000"));
        read_while_changing(index, cases[i].filter, cases[i].sort, 100, cases[i].change, cases[i].want);
        test_index_free(index);
    }
}

/* 50,000 sessions, a second apart; some are long, some without a time, and those of some spans are older. */
#define DAYS                                                                                                           \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"                                  \
    "INSERT INTO session SELECT i, i * 1000000000, 5, 6, 4, 1 + i % 7, 5, 2, 80 + i % 3, 1, 1, i % 900, 0, 0, 0, 0, "  \
    "x'' FROM n;"                                                                                                      \
    "UPDATE session SET duration_ns = 9000000000000 WHERE id % 5000 = 77;"                                             \
    "UPDATE session SET start_ns = NULL, duration_ns = NULL WHERE id % 4999 = 5;"                                      \
    "UPDATE session SET start_ns = start_ns - 15000000000000 WHERE id BETWEEN 30000 AND 34000;"

/* Asks page by page, each going on where the one before has ended; the IDs are those of a plain SELECT. */
static void read_in_pages(struct test_index *index, const char *filter_text, const char *where, const char *sort,
                          int64_t offset, int64_t limit)
{
    struct fc_query_options options = {.sort = sort, .limit = limit, .offset = offset, .rest = true};
    struct fc_filter *filter;
    struct fc_session s;
    struct fc_error err = {0};
    sqlite3_stmt *stmt;
    char select[400], *after = NULL;
    size_t count = 0;

    snprintf(select, sizeof select, "SELECT id FROM session s WHERE %s ORDER BY %s LIMIT -1 OFFSET %lld", where,
             strcmp(sort, "id:desc") == 0 ? "id DESC"
             : strcmp(sort, "id") == 0    ? "id"
                                          : "client_bytes + server_bytes, id",
             (long long)offset);
    cr_assert_eq(fc_filter_parse(filter_text, NOW, &filter, NULL), 0);
    cr_assert_eq(sqlite3_prepare_v2(fc_db_sqlite(index->db), select, -1, &stmt, NULL), SQLITE_OK);
    do {
        struct fc_query *query;
        int rc;

        options.after = after;
        cr_assert_eq(fc_query_open(index->db, filter, &options, &query, &err), 0, "%s", err.cause);
        for (int64_t i = 0; (rc = fc_query_next(query, &s, &err)) == 1; i++, count++) {
            cr_assert_lt(i, limit);
            cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s by %s: %zu", filter_text, sort, count);
            cr_assert_eq(sqlite3_column_int64(stmt, 0), s.id, "%s by %s: %zu", filter_text, sort, count);
        }
        cr_assert_eq(rc, 0, "%s", err.cause);
        free(after);
        after = fc_query_rest(query) ? strdup(fc_query_rest(query)) : NULL;
        options.offset = 0;
        fc_query_close(query);
    } while (after);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s by %s: %zu", filter_text, sort, count);
    sqlite3_finalize(stmt);
    fc_filter_free(filter);
}

Test(query, a_window_of_time_is_read_in_pages)
{
    static const struct {
        const char *filter, *where;
    } cases[] = {
        {"after @20000 and before @20100", "start_ns + duration_ns >= 20000000000000 AND start_ns < 20100000000000"},
        {"tcp and after @15000 and before @17000 and port 81", "start_ns + duration_ns >= 15000000000000 AND "
                                                               "start_ns < 17000000000000 AND server_port = 81"},
        {"after @3000", "start_ns + duration_ns >= 3000000000000"},
        {"before @16500", "start_ns < 16500000000000"},
        {"after @90000", "0"},
        {"after @16000 and (before @16100 or port 82)",
         "start_ns + duration_ns >= 16000000000000 AND (start_ns < 16100000000000 OR server_port = 82)"},
    };
    struct test_index *index = test_index_sql("", DAYS);

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_in_pages(index, cases[i].filter, cases[i].where, "id", 0, 4000);
        read_in_pages(index, cases[i].filter, cases[i].where, "id:desc", 0, 3777);
        read_in_pages(index, cases[i].filter, cases[i].where, "id", 650, 3000);
        read_in_pages(index, cases[i].filter, cases[i].where, "id:desc", 1, 5000);
        read_in_pages(index, cases[i].filter, cases[i].where, "bytes", 5, 9000);
    }
    test_index_free(index);
}
