/* SPDX-License-Identifier: MIT */
/* What conditions become for an engine, and what is found in them that narrows. */
#include "cluster/filter_sql.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Of a filter; `hosts`: its condition on addresses, "" where there is none. The caller's to free. */
static char *compile(const char *text, bool hosts, int *rc, struct fc_error *err)
{
    struct fc_arena arena = {0};
    struct fc_filter *filter;
    struct fc_filter_error where;
    char *sql = NULL;
    size_t size;

    cr_assert_eq(fc_filter_parse(text, 0, &filter, &where), 0, "%s: %s", text, where.cause);
    struct fc_plan *plan = fc_plan_build(&arena, filter->root);
    FILE *out = open_memstream(&sql, &size);
    *rc = hosts ? fc_engine_hosts(out, plan) : fc_engine_filter(out, plan, err);
    fclose(out);
    fc_arena_fini(&arena);
    fc_filter_free(filter);
    return sql;
}

#define V4 "unhex('00000000000000000000ffff"

Test(filter_sql, leaves)
{
    static const struct {
        const char *filter, *sql;
    } cases[] = {
        {"host 10.0.0.5", "(kind = 4 AND (client IN (" V4 "0a000005')) OR server IN (" V4 "0a000005'))))"},
        {"src host 2001:db8::1", "(kind = 6 AND (client IN (unhex('20010db8000000000000000000000001'))))"},
        {"src and dst net 10.0.0.0/9", "(kind = 4 AND ((client BETWEEN " V4 "0a000000') AND " V4
                                       "0a7fffff')) AND (server BETWEEN " V4 "0a000000') AND " V4 "0a7fffff'))))"},
        {"dst net 10.0.0.0 mask 255.0.255.0",
         "(kind = 4 AND ((bitAnd(reinterpretAsUInt32(substring(server, 13, 4)), 16711935) = 10)))"},
        {"arp src host 10.0.0.5", "(kind = 4 AND (client IN (" V4 "0a000005'))) AND proto = 67590)"},
        {"tcp dst port 80,443", "(proto IN (6) AND (server_port IN (80, 443)))"},
        {"src portrange 1-9", "(proto IN (6, 17, 132) AND ((client_port BETWEEN 1 AND 9)))"},
        {"ip6", "(kind = 6 AND proto < 256)"},
        {"icmp6", "(proto IN (58) AND kind = 6)"},
        {"vlan", "isNotNull(vlan)"},
        {"vlan 5", "position(concat(unhex('2c'), ifNull(vlan, ''), unhex('2c')), unhex('2c352c')) != 0"},
        {"tunnel vxlan:5",
         "position(concat(unhex('2f'), ifNull(tunnel, ''), unhex('2f')), unhex('2f76786c616e3a352f')) != 0"},
        {"id 3,7", "id IN (3, 7)"},
        {"id 3,7-9", "(id = 3 OR id BETWEEN 7 AND 9)"},
        {"state new,closed", "state IN (0, 2)"},
        {"sensor nyc1", "sensor IN (unhex('6e796331'))"},
        {"client flags syn,ack", "bitAnd(ifNull(client_tcp_flags, 0), 18) = 18"},
        {"state rejected", "bitAnd(flags, 16) != 0"},
        {"bytes over 10", "(client_bytes + server_bytes >= 11)"},
        {"client packets under 0", "0"},
        {"duration at most 1s", "(timed = 1 AND end_ns - start_ns <= 1000000000)"},
        {"server payload = 5", "(isNotNull(server_payload) AND ifNull(server_payload, 0) = 5)"},
        {"src ttl 64", "((isNotNull(client_ttl) AND ifNull(client_ttl, 0) = 64))"},
        {"after @5 and before @9", "(timed = 1 AND end_ns >= 5000000000 AND start_ns < 9000000000)"},
        {"not (vlan or tcp)", "(NOT (isNotNull(vlan) OR (proto IN (6))))"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fc_error err;
        int rc;
        char *sql = compile(cases[i].filter, false, &rc, &err);
        cr_expect_eq(rc, 0);
        cr_expect_str_eq(sql, cases[i].sql, "%s:\n%s\n%s", cases[i].filter, sql, cases[i].sql);
        free(sql);
    }
}

Test(filter_sql, what_cannot_be_asked)
{
    struct fc_error err;
    int rc;
    char *text = NULL;
    size_t size;

    free(compile("tcp or not file a.pcap", false, &rc, &err));
    cr_assert(rc == FC_E_FILTER && strstr(err.cause, "'file'"));
    FILE *out = open_memstream(&text, &size);
    fputs("host 10.0.0.1", out);
    for (int i = 0; i < FC_ENGINE_VALUES_MAX / 2; i++)
        fprintf(out, ",10.1.%d.%d", i >> 8, i & 255);
    fclose(out);
    free(compile(text, false, &rc, &err));
    cr_assert(rc == FC_E_LIMIT && strstr(err.cause, "10002 values"));
    free(text);
}

Test(filter_sql, hosts)
{
    static const struct {
        const char *filter, *sql;
    } cases[] = {
        {"host 10.0.0.5 and tcp", "addr IN (" V4 "0a000005'))"},
        {"net 10.0.0.0/8 and src host 10.0.0.5", "addr IN (" V4 "0a000005'))"},
        {"net 10.0.0.0/8 and tcp", "(addr BETWEEN " V4 "0a000000') AND " V4 "0affffff'))"},
        {"(host 10.0.0.5 and tcp) or host ::1",
         "(addr IN (" V4 "0a000005')) OR addr IN (unhex('00000000000000000000000000000001')))"},
        {"host 10.0.0.5 or tcp", NULL},
        {"not host 10.0.0.5", NULL},
        {"net 10.0.0.0 mask 255.0.255.0", NULL},
        {"ether host 02:00:00:00:00:01", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc;
        char *sql = compile(cases[i].filter, true, &rc, NULL);
        cr_expect_eq(rc != 0, cases[i].sql != NULL, "%s", cases[i].filter);
        cr_expect(!cases[i].sql || strcmp(sql, cases[i].sql) == 0, "%s: %s", cases[i].filter, sql);
        free(sql);
    }
}

/* Both ends of a window; 0: open. */
static void check_window(const char *text, int64_t after_s, int64_t before_s)
{
    struct fc_arena arena = {0};
    struct fc_filter *filter;

    cr_assert_eq(fc_filter_parse(text, 0, &filter, NULL), 0);
    struct fc_engine_window w = fc_engine_window(fc_plan_build(&arena, filter->root));
    cr_expect(w.has_after == (after_s != 0) && (!w.has_after || w.after == after_s * 1000000000), "%s", text);
    cr_expect(w.has_before == (before_s != 0) && (!w.has_before || w.before == before_s * 1000000000), "%s", text);
    fc_arena_fini(&arena);
    fc_filter_free(filter);
}

Test(filter_sql, windows)
{
    check_window("after @5", 5, 0);
    check_window("after @5 and before @9 and after @3", 5, 9);
    check_window("after @5 or after @3", 3, 0);
    check_window("after @5 or before @9", 0, 0);
    check_window("after @5 or tcp", 0, 0);
    check_window("not after @5", 0, 0);
    check_window("(after @5 and before @9) or (after @2 and before @3)", 2, 9);
    check_window("((after @5 and tcp) or after @7) and before @9", 5, 9);
    check_window("tcp and (before @4 or before @6)", 0, 6);
}

static bool can_be(const char *text, const char *sensor)
{
    struct fc_arena arena = {0};
    struct fc_filter *filter;

    cr_assert_eq(fc_filter_parse(text, 0, &filter, NULL), 0);
    bool can = fc_engine_can_be_of(fc_plan_build(&arena, filter->root), sensor);
    fc_arena_fini(&arena);
    fc_filter_free(filter);
    return can;
}

Test(filter_sql, sensors)
{
    cr_assert(can_be("tcp", "a") && can_be("sensor a", "a") && !can_be("sensor a", "b"));
    cr_assert(!can_be("sensor a and tcp", "b") && can_be("sensor a or tcp", "b"));
    cr_assert(can_be("not sensor a", "b") && !can_be("not sensor a", "a"));
    cr_assert(can_be("not (sensor a and tcp)", "a") && !can_be("not (sensor a or tcp)", "a"));
    cr_assert(can_be("sensor a,b,c", "c") && !can_be("sensor a and sensor b", "a"));
}
