/* SPDX-License-Identifier: MIT */
/* Filters must start from an index where that fetches few rows, and must not where it fetches many. */
#include "query_test.h"

/* The steps of SQLite's plan, joined by " | "; free() it. */
static char *explain(struct test_index *index, const char *text)
{
    struct fc_filter_error where;
    struct fc_filter *filter;
    struct fc_error err;
    sqlite3_stmt *stmt;
    char *plan = NULL;
    size_t size;
    FILE *out = open_memstream(&plan, &size);

    cr_assert_eq(fc_filter_parse(text, NOW, &filter, &where), 0, "%s: %s", text, where.cause);
    cr_assert_eq(fc_filter_prepare(filter, index->db, "EXPLAIN QUERY PLAN SELECT s.id, s.positions", "", FC_ORDER_ID,
                                   &stmt, &err),
                 0, "%s", err.cause);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        fprintf(out, " | %s", (const char *)sqlite3_column_text(stmt, 3));
    sqlite3_finalize(stmt);
    fc_filter_free(filter);
    fclose(out);
    return plan;
}

/* 50,000 sessions: 10.0.0.1 serves all, each 192.168.x.y has few, port 443 is everywhere, the others are rare. */
static struct test_index *new_index(void)
{
    return test_index_sql(
        "vlan,ttl,payload",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
        "INSERT INTO session SELECT i, i * 1000000000, 5, 6, 4, 3232235520 + i % 20000, 1024 + i % 60000, 167772161,"
        "    CASE i % 100 WHEN 0 THEN i % 10000 ELSE 443 END, 1, 1, 100, 100, 2, 0, 0, zeroblob(30) FROM n;"
        "UPDATE session SET duration_ns = 9000000000000 WHERE id % 30000 = 77;"
        "INSERT INTO session_fields(id, vlan) SELECT id, CASE id % 100 WHEN 0 THEN '10' END FROM session;");
}

static void expect_plan(struct test_index *index, const char *text, const char *const *steps)
{
    char *plan = explain(index, text);

    for (unsigned i = 0; steps[i]; i++)
        cr_expect(steps[i][0] == '!' ? !strstr(plan, steps[i] + 1) : strstr(plan, steps[i]) != NULL, "%s: no %s in%s",
                  text, steps[i], plan);
    /* rows come in the order of the table either way */
    cr_expect(!strstr(plan, "ORDER BY"), "%s:%s", text, plan);
    free(plan);
}

#define STEPS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BY_ID "SEARCH s USING INTEGER PRIMARY KEY (rowid=?)"
#define CLIENT "SEARCH s USING COVERING INDEX session_client (<expr>=? AND client_addr=?)"
#define SERVER "SEARCH s USING COVERING INDEX session_server (<expr>=? AND server_addr=?)"
#define PORT "SEARCH p USING PRIMARY KEY (epoch=? AND port=?)"
#define BLOCK "SEARCH s USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"

Test(plan, narrow_conditions_start_from_their_index)
{
    struct test_index *index = new_index();

    expect_plan(index, "host 192.168.0.7", STEPS("!SCAN s", BY_ID, CLIENT, SERVER));
    expect_plan(index, "src host 192.168.0.7", STEPS("!SCAN s", BY_ID, CLIENT, "!" SERVER));
    expect_plan(index, "host 192.168.0.7 or 192.168.0.8 or 10.9.9.9", STEPS("!SCAN s", BY_ID, CLIENT, SERVER));
    expect_plan(index, "port 9000", STEPS("!SCAN s", BY_ID, PORT, BLOCK));
    expect_plan(index, "tcp dst port 9000", STEPS("!SCAN s", BY_ID, PORT, BLOCK));
    expect_plan(index, "portrange 9000-9100",
                STEPS("!SCAN s", "SEARCH p USING PRIMARY KEY (epoch=? AND port>? AND port<?)", BLOCK));
    expect_plan(index, "net 192.168.0",
                STEPS("!SCAN s", "session_client (<expr>=? AND client_addr>? AND client_addr<?)"));
    expect_plan(index, "net 2001:db8::/32",
                STEPS("!SCAN s", "session_server (<expr>=? AND server_addr>? AND server_addr<?)"));
    expect_plan(index, "id 5", STEPS("!SCAN s", BY_ID));
    expect_plan(index, "id 5-50", STEPS("!SCAN s", "PRIMARY KEY (rowid>? AND rowid<?)"));
    expect_plan(index, "before @100", STEPS("!SCAN s", "SCAN p", "PRIMARY KEY (rowid>? AND rowid<?)"));
    expect_plan(index, "tcp and after @20000 and port 443 and before @20100", STEPS("!SCAN s", "SCAN p"));
    expect_plan(index, "after @49900 or host 192.168.0.7", STEPS("!SCAN s", "SCAN p", CLIENT));
    expect_plan(index, "vlan 10 and host 192.168.0.7", STEPS("!SCAN s", CLIENT));
    expect_plan(index, "bytes over 10k and host 192.168.0.7", STEPS("!SCAN s", BY_ID, CLIENT, SERVER));
    expect_plan(index, "client packets >= 1 and not duration over 5m and ttl 64 and payload over 5 and src 192.168.0.7",
                STEPS("!SCAN s", BY_ID, CLIENT));
    expect_plan(index, "host 192.168.0.7,192.168.0.8 and (bytes under 5 or packets = 3)",
                STEPS("!SCAN s", BY_ID, CLIENT, SERVER));
    expect_plan(index, "state rejected and reset by server and 192.168.0.7", STEPS("!SCAN s", BY_ID, CLIENT, SERVER));
    expect_plan(index, "192.168.0.7:1031 and packets over 1", STEPS("!SCAN s", BY_ID, CLIENT));
    test_index_free(index);
}

Test(plan, community_ids_start_from_their_index_where_there_is_one)
{
    static const char filter[] = "community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
    struct test_index *index = new_index();

    expect_plan(index, filter, STEPS("SCAN s"));
    test_index_free(index);
    index =
        test_index_sql("community-id", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                                       "INSERT INTO session_fields(id, community_id) SELECT i, '1:' || i FROM n");
    expect_plan(
        index, filter,
        STEPS("!SCAN s", BY_ID, "SEARCH x USING COVERING INDEX session_community (<expr>=? AND community_id=?)"));
    test_index_free(index);
}

/* What sqlite_stat1 says is read by SQLite alone: the file may come from anywhere. */
Test(plan, statistics_change_nothing)
{
    static const char *const stats[] = {"50000 50000 2", "1 1 1", "10 1000000 1000000 unordered",
                                        "9 9 9 sz=1",    "none",  ""};
    struct test_index *index = new_index();
    struct fc_error err;
    sqlite3 *sql;

    for (unsigned i = 0; i < sizeof stats / sizeof stats[0]; i++) {
        fc_db_close(index->db);
        cr_assert_eq(sqlite3_open(index->path, &sql), SQLITE_OK);
        char *text = sqlite3_mprintf("ANALYZE sqlite_schema; DELETE FROM sqlite_stat1; INSERT INTO sqlite_stat1 VALUES"
                                     " ('session', 'session_client', %Q), ('session', 'session_server', %Q),"
                                     " ('session_port', 'session_port', %Q), ('session', NULL, %Q),"
                                     " ('session_span', NULL, '1000000000')",
                                     stats[i], stats[i], stats[i], stats[i]);
        cr_assert_eq(sqlite3_exec(sql, text, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_free(text);
        sqlite3_close(sql);
        cr_assert_eq(fc_db_open(index->path, &index->db, &err), 0, "%s", err.cause);
        expect_plan(index, "host 192.168.0.7 or 10.9.9.9", STEPS("!SCAN s", BY_ID, CLIENT, SERVER));
        expect_plan(index, "net 192.168.0", STEPS("!SCAN s", "(<expr>=? AND client_addr>? AND client_addr<?)"));
        expect_plan(index, "port 9000", STEPS("!SCAN s", BY_ID, PORT, BLOCK));
        expect_plan(index, "before @100", STEPS("!SCAN s", "SCAN p", BLOCK));
    }
    test_index_free(index);
}

static void expect_text(struct test_index *index, const char *text, const char *part)
{
    struct fc_filter *filter;
    struct fc_filter_sql sql;

    cr_assert_eq(fc_filter_parse(text, NOW, &filter, NULL), 0);
    cr_assert_eq(fc_filter_compile(filter, index->db, FC_FILTER_LISTED, &sql, NULL), 0);
    cr_expect(strstr(sql.where, part), "%s: no %s in %s", text, part, sql.where);
    fc_filter_sql_fini(&sql);
    fc_filter_free(filter);
}

/* Sessions far apart, and some of IDs below 0: a list asks each of their epochs, and a window of time its own. */
Test(plan, every_epoch_is_asked)
{
    struct test_index *index = test_index_sql(
        "",
        "WITH RECURSIVE n(i) AS (SELECT -3 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        "INSERT INTO session SELECT CASE WHEN i < 1 THEN i - 1 ELSE i + i / 4000 * 1000000 END, i * 1000000000, 5, 6, "
        "4,"
        "    3232235520 + (i + 8) % 1000, 1024 + (i + 8) % 9000, 167772161, 443, 1, 1, 100, 100, 2, 0, 0, zeroblob(3)"
        "    FROM n;");
    static const struct {
        const char *filter;
        int64_t count;
    } cases[] = {{"host 192.168.0.9", 20},
                 {"src net 192.168.0.8/30", 81},
                 {"src host 192.168.0.6 or src host 192.168.0.7", 42},
                 {"src port 1032", 3},
                 {"src portrange 1028-1031", 11},
                 {"host 192.168.0.9 and after @9000 and before @9500", 1},
                 {"host 192.168.0.9 and (after @9000 and before @9500 or before @5)", 2},
                 {"src port 1032 and before @500", 1}};

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fc_filter *filter;
        cr_assert_eq(fc_filter_parse(cases[i].filter, NOW, &filter, NULL), 0);
        cr_expect_eq(fc_query_count(index->db, filter, NULL), cases[i].count, "%s: %lld", cases[i].filter,
                     (long long)fc_query_count(index->db, filter, NULL));
        fc_filter_free(filter);
    }
    expect_text(index, "host 192.168.0.9", "IN (-1,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19)");
    expect_text(index, "host 192.168.0.9 and after @9000 and before @9500", "IN (7)");
    test_index_free(index);
}

Test(plan, wide_conditions_read_the_table)
{
    struct test_index *index = new_index();

    expect_plan(index, "host 10.0.0.1", STEPS("SCAN s", "!SEARCH"));
    expect_plan(index, "port 443", STEPS("SCAN s", "!SEARCH"));
    expect_plan(index, "net 0.0.0.0/0", STEPS("SCAN s", "!SEARCH"));
    expect_plan(index, "not host 192.168.0.7", STEPS("SCAN s", "!SEARCH"));
    expect_plan(index, "host 192.168.0.7 or tcp", STEPS("SCAN s", "!SEARCH"));
    expect_plan(index, "", STEPS("SCAN s"));
    test_index_free(index);
}

Test(plan, the_narrowest_of_several_leads)
{
    struct test_index *index = new_index();

    expect_plan(index, "host 10.0.0.1 and port 9000", STEPS("!SCAN s", PORT, BLOCK, "!" SERVER));
    expect_plan(index, "host 192.168.0.7 and port 443", STEPS("!SCAN s", CLIENT, "!" PORT));
    expect_plan(index, "tcp and state closed and not port 80 and host 192.168.0.7", STEPS("!SCAN s", CLIENT));
    expect_plan(index, "(host 192.168.0.7 and port 443) or (dst port 9000 and dst host 10.0.0.1)",
                STEPS("!SCAN s", CLIENT, PORT, BLOCK));
    test_index_free(index);
}

/* Sessions of the window, counted without any plan. */
static int64_t count_plainly(struct test_index *index, int64_t after, int64_t before)
{
    sqlite3_stmt *stmt;
    int64_t count;

    sqlite3_prepare_v2(fc_db_sqlite(index->db),
                       "SELECT count(*) FROM session WHERE start_ns + duration_ns >= ? AND start_ns < ?", -1, &stmt,
                       NULL);
    sqlite3_bind_int64(stmt, 1, after * 1000000000);
    sqlite3_bind_int64(stmt, 2, before * 1000000000);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    count = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return count;
}

Test(plan, windows_of_time_lose_no_session)
{
    struct test_index *index = new_index();
    uint64_t state = test_seed();

    for (unsigned i = 0; i < test_rounds(50); i++) {
        int64_t after = test_below(&state, 52000), before = after + (int64_t)test_below(&state, 100 << i % 10);
        char text[100];
        struct fc_filter *filter;

        snprintf(text, sizeof text, "after @%lld and before @%lld", (long long)after, (long long)before);
        cr_assert_eq(fc_filter_parse(text, NOW, &filter, NULL), 0);
        cr_assert_eq(fc_query_count(index->db, filter, NULL), count_plainly(index, after, before), "%s", text);
        fc_filter_free(filter);
    }
    test_index_free(index);
}

Test(plan, thousands_of_networks_are_planned_in_time)
{
    struct test_index *index = new_index();
    char *text = NULL, *plan;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    fputs("net 172.16.0.0/24", out);
    for (unsigned i = 1; i < 10000; i++)
        fprintf(out, " or 172.%u.%u.0/24", 16 + i / 256, i % 256);
    fclose(out);
    plan = explain(index, text);
    cr_expect(!strstr(plan, "SCAN s"));
    free(plan);
    free(text);
    test_index_free(index);
}
