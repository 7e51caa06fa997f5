/* SPDX-License-Identifier: MIT */
/* What `flowcarve query` prints: fixed texts, and the view `sessions` as the judge of every value. */
#include "query_test.h"

#include "cli/cmd_query.h"
#include "cli/format.h"
#include <criterion/redirect.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char captured_path[] = "/tmp/fc-query-out-XXXXXX";

/* Runs the command with its standard output in a file; the text goes to *out, to be freed. */
static int run(struct fc_query_args *args, char **out)
{
    int fd, saved = dup(STDOUT_FILENO), status;
    off_t size;

    fflush(stdout);
    strcpy(captured_path + sizeof captured_path - 7, "XXXXXX");
    fd = mkstemp(captured_path);
    unlink(captured_path);
    dup2(fd, STDOUT_FILENO);
    status = fc_cmd_query_run(args);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    size = lseek(fd, 0, SEEK_END);
    *out = calloc(1, (size_t)size + 1);
    cr_assert_eq(pread(fd, *out, (size_t)size, 0), size);
    close(fd);
    return status;
}

static struct test_index *new_small(void)
{
    return test_index_sql(
        "vlan,mac,ttl",
        "INSERT INTO session VALUES(1, 1714557600000000001, 2500000000, 6, 4, 167772161, 1234, 3232235777, 443,"
        "    10, 11, 1200, 1300000, 2, 0, 0, x'00');"
        "INSERT INTO session VALUES(2, 1714557601000000000, 0, 17, 6, x'20010db8000000000000000000000001', 5353,"
        "    x'ff0200000000000000000000000000fb', 5353, 1, 0, 90, 0, 0, 0, 0, x'00');"
        "INSERT INTO session VALUES(3, NULL, NULL, 327680, 0, NULL, NULL, NULL, NULL, 7, 0, 420, 0, 0, 0, 0, x'00');"
        "INSERT INTO session VALUES(4, 1714557602123456789, 100000000000000, 1, 4, 167772161, 8, 167772162, 0, 1, 1, "
        "98, 98,"
        "    3, 0, 0, x'00');"
        "INSERT INTO session_fields(id, vlan, client_mac, client_ttl) VALUES(1, '10,20', x'0011aabbcc55', 64);"
        "INSERT INTO session_fields(id, vlan) VALUES(2, 'a\"b' || char(9, 10, 13, 92, 1));"
        "INSERT INTO session_fields(id, vlan) VALUES(3, cast(x'41ff42' AS TEXT));");
}

static void expect_output(const char *format, const char *filter, int status, const char *expected)
{
    struct test_index *index = new_small();
    struct fc_query_args args = {.db = index->path, .format = format, .filter = filter, .limit = -1};
    char *out;

    cr_expect_eq(run(&args, &out), status);
    cr_expect_str_eq(out, expected, "got:\n%s", out);
    free(out);
    test_index_free(index);
}

#define KEYS(sep)                                                                                                      \
    "id" sep "start" sep "end" sep "start_ns" sep "end_ns" sep "duration" sep "proto" sep "client_addr" sep            \
    "client_port" sep "server_addr" sep "server_port" sep "client_packets" sep "server_packets" sep "client_bytes" sep \
    "server_bytes" sep "state"

Test(format, json)
{
    expect_output(
        "json", NULL, 0,
        "{\"id\":1,\"start\":\"2024-05-01T10:00:00.000000001Z\",\"end\":\"2024-05-01T10:00:02.500000001Z\","
        "\"start_ns\":1714557600000000001,\"end_ns\":1714557602500000001,\"duration\":2.500000000,\"proto\":\"tcp\","
        "\"client_addr\":\"10.0.0.1\",\"client_port\":1234,\"server_addr\":\"192.168.1.1\",\"server_port\":443,"
        "\"client_packets\":10,\"server_packets\":11,\"client_bytes\":1200,\"server_bytes\":1300000,\"state\":"
        "\"closed\","
        "\"vlan\":\"10,20\",\"client_mac\":\"00:11:aa:bb:cc:55\",\"server_mac\":null,\"client_ttl\":64,\"server_ttl\":"
        "null}\n"
        "{\"id\":2,\"start\":\"2024-05-01T10:00:01.000000000Z\",\"end\":\"2024-05-01T10:00:01.000000000Z\","
        "\"start_ns\":1714557601000000000,\"end_ns\":1714557601000000000,\"duration\":0.000000000,\"proto\":\"udp\","
        "\"client_addr\":\"2001:db8::1\",\"client_port\":5353,\"server_addr\":\"ff02::fb\",\"server_port\":5353,"
        "\"client_packets\":1,\"server_packets\":0,\"client_bytes\":90,\"server_bytes\":0,\"state\":\"new\","
        "\"vlan\":\"a\\\"b\\u0009\\u000a\\u000d\\\\\\u0001\",\"client_mac\":null,\"server_mac\":null,\"client_ttl\":"
        "null,"
        "\"server_ttl\":null}\n"
        "{\"id\":3,\"start\":null,\"end\":null,\"start_ns\":null,\"end_ns\":null,\"duration\":null,\"proto\":"
        "\"malformed\","
        "\"client_addr\":null,\"client_port\":null,\"server_addr\":null,\"server_port\":null,\"client_packets\":7,"
        "\"server_packets\":0,\"client_bytes\":420,\"server_bytes\":0,\"state\":\"new\",\"vlan\":\"A\xef\xbf\xbd"
        "B\",\"client_mac\":null,\"server_mac\":null,\"client_ttl\":null,\"server_ttl\":null}\n"
        "{\"id\":4,\"start\":\"2024-05-01T10:00:02.123456789Z\",\"end\":\"2024-05-02T13:46:42.123456789Z\","
        "\"start_ns\":1714557602123456789,\"end_ns\":1714657602123456789,\"duration\":100000.000000000,\"proto\":"
        "\"icmp\","
        "\"client_addr\":\"10.0.0.1\",\"client_port\":8,\"server_addr\":\"10.0.0.2\",\"server_port\":0,"
        "\"client_packets\":1,\"server_packets\":1,\"client_bytes\":98,\"server_bytes\":98,\"state\":\"reset\","
        "\"vlan\":null,\"client_mac\":null,\"server_mac\":null,\"client_ttl\":null,\"server_ttl\":null}\n");
}

Test(format, csv_quotes_as_rfc_4180_and_escapes_what_a_terminal_would_obey)
{
    expect_output(
        "csv", "not id 4", 0,
        KEYS(",") ",vlan,client_mac,server_mac,client_ttl,server_ttl\r\n"
                  "1,2024-05-01T10:00:00.000000001Z,2024-05-01T10:00:02.500000001Z,1714557600000000001,"
                  "1714557602500000001,"
                  "2.500000000,tcp,10.0.0.1,1234,192.168.1.1,443,10,11,1200,1300000,closed,\"10,20\",00:11:"
                  "aa:bb:cc:55,,64,\r\n"
                  "2,2024-05-01T10:00:01.000000000Z,2024-05-01T10:00:01.000000000Z,1714557601000000000,"
                  "1714557601000000000,"
                  "0.000000000,udp,2001:db8::1,5353,ff02::fb,5353,1,0,90,0,new,\"a\"\"b\\t\\n\\r\\\\\\x01\",,,,\r\n"
                  "3,,,,,,malformed,,,,,7,0,420,0,new,A\\xffB,,,,\r\n");
}

Test(format, tsv_escapes_what_would_break_a_line)
{
    expect_output(
        "tsv", "id 2", 0,
        KEYS("\t") "\tvlan\tclient_mac\tserver_mac\tclient_ttl\tserver_ttl\n"
                   "2\t2024-05-01T10:00:01.000000000Z\t2024-05-01T10:00:01.000000000Z\t1714557601000000000\t"
                   "1714557601000000000\t0.000000000\tudp\t2001:db8::1\t5353\tff02::fb\t5353\t1\t0\t90\t0\tnew\t"
                   "a\"b\\t\\n\\r\\\\\\x01\t\t\t\t\n");
}

Test(format, table)
{
    expect_output("table", NULL, 0,
                  "ID  START UTC                   DURATION  PROTO      CLIENT              SERVER           PACKETS   "
                  "    BYTES  STATE\n"
                  " 1  2024-05-01 10:00:00.000000    2.500s  tcp        10.0.0.1:1234       192.168.1.1:443    10/11  "
                  "1200/1.30M  closed\n"
                  " 2  2024-05-01 10:00:01.000000    0.000s  udp        [2001:db8::1]:5353  [ff02::fb]:5353      1/0   "
                  "     90/0  new\n"
                  " 3  -                                  -  malformed  -                   -                    7/0   "
                  "    420/0  new\n"
                  " 4  2024-05-01 10:00:02.123456    27h47m  icmp       10.0.0.1            10.0.0.2             1/1   "
                  "    98/98  reset\n");
}

Test(format, nothing_found_is_status_1_with_the_header_of_machine_formats)
{
    expect_output("json", "id 99", 1, "");
    expect_output("table", "id 99", 1, "");
    expect_output("tsv", "id 99", 1, KEYS("\t") "\tvlan\tclient_mac\tserver_mac\tclient_ttl\tserver_ttl\n");
}

Test(format, a_narrow_terminal_gets_shorter_lines)
{
    static struct fc_out out;
    struct fc_session s = {.id = 12,
                           .has_time = true,
                           .start_ns = NOW,
                           .end_ns = NOW + 5,
                           .proto = 6,
                           .kind = 4,
                           .client_port = 50000,
                           .server_port = 443};
    static const unsigned widths[] = {0, 130, 110, 100, 90, 80, 70, 10};

    for (unsigned i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        struct fc_rows writer = {.out = &out, .format = FC_ROWS_TABLE, .width = widths[i]};
        const char *end;

        out.len = 0;
        cr_assert_eq(fc_rows_write(&writer, &s), 0);
        fc_rows_finish(&writer);
        end = memchr(out.buf, '\n', out.len);
        cr_expect(widths[i] == 0 || widths[i] < 65 || (size_t)(end - out.buf) <= widths[i], "%u: %zu", widths[i],
                  (size_t)(end - out.buf));
    }
}

/* The table's lines for sessions, in columns of a terminal. */
static const char *table_of(const struct fc_session *sessions, size_t count, unsigned width, const char *sort)
{
    static struct fc_out out;
    struct fc_rows writer = {.out = &out, .format = FC_ROWS_TABLE, .width = width, .sort = sort};

    out.len = 0;
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(fc_rows_write(&writer, &sessions[i]), 0);
    fc_rows_finish(&writer);
    out.buf[out.len] = '\0';
    return out.buf;
}

Test(format, what_a_table_is_sorted_by_stays_and_addresses_are_whole)
{
    static const char *const sorts[][2] = {
        {"duration:desc", "DURATION"},   {"end", "END"},         {"state", "STATE"},
        {"server_bytes:desc", " 12/34"}, {"packets", "PACKETS"}, {"client_ttl", "TTL"}};
    struct fc_session s = {.id = 123456, .has_time = true, .proto = 6, .kind = 6, .client_port = 50000};

    s.start_ns = s.end_ns = NOW;
    s.server_port = 443;
    s.client_bytes = 12;
    s.server_bytes = 34;
    memset(s.client_addr, 0xfd, 16);
    memset(s.server_addr, 0xfe, 16);
    for (unsigned width = 20; width < 220; width += 10) {
        for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
            const char *text = table_of(&s, 1, width, sorts[i][0]);

            cr_expect(strstr(text, sorts[i][1]) || (i == 3 && strstr(text, "BYTES") && strstr(text, " 34\n")),
                      "%u %s\n%s", width, sorts[i][0], text);
            cr_expect(strstr(text, "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:50000") &&
                          strstr(text, "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:443"),
                      "%u\n%s", width, text);
            cr_expect(strstr(text, "05-01"), "no date\n%s", text);
        }
    }
}

Test(format, a_table_of_several_years_tells_them)
{
    struct fc_session s[2] = {{.id = 1, .has_time = true, .kind = 4}, {.id = 2, .has_time = true, .kind = 4}};

    s[0].start_ns = s[0].end_ns = s[1].start_ns = s[1].end_ns = NOW;
    const char *text = table_of(s, 2, 50, NULL);
    cr_assert(strstr(text, "START 2024 UTC") && !strstr(text, "2024-"), "%s", text);
    s[1].start_ns = s[1].end_ns = 0;
    text = table_of(s, 2, 50, NULL);
    cr_assert(strstr(text, "2024-05-01") && strstr(text, "1970-01-01"), "%s", text);
}

Test(format, a_duration_is_rounded)
{
    static const struct {
        int64_t ns;
        const char *text;
    } durations[] = {{18988000, " 0.019s"},       {99999499999, " 99.999s"},
                     {99999500000, " 1m40s"},     {5999499999999, " 99m59s"},
                     {5999500000000, " 1h40m"},   {359969499999999, " 99h59m"},
                     {359969500000000, " 4d04h"}, {INT64_C(863998200) * 1000000, " 10d00h"}};

    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        struct fc_session s = {.id = 1, .has_time = true, .end_ns = durations[i].ns, .kind = 4};
        const char *text = table_of(&s, 1, 0, NULL);

        cr_expect(strstr(text, durations[i].text), "%s\n%s", durations[i].text, text);
    }
}

Test(format, the_table_goes_on_behind_the_rows_it_has_measured)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 1200, 0);
    struct fc_query_args args = {.db = index->path, .format = "table", .limit = -1};
    unsigned lines = 0;
    char *out;

    cr_assert_eq(run(&args, &out), 0);
    for (const char *p = out; (p = strchr(p, '\n')); p++)
        lines++;
    cr_assert_eq(lines, 1201);
    free(out);
    test_index_free(index);
}

/* Every value of every row, as JSON, against the view. */
Test(format, json_agrees_with_the_view)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 3000, ALL_FIELDS);
    struct fc_query_args args = {.db = index->path, .format = "json", .limit = -1};
    sqlite3 *sql = fc_db_sqlite(index->db);
    sqlite3_stmt *view, *json;
    char *out, *save = NULL, *line;

    cr_assert_eq(run(&args, &out), 0);
    cr_assert_eq(sqlite3_prepare_v2(sql, "SELECT * FROM sessions ORDER BY id", -1, &view, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(sql, "SELECT json_valid(?1), json_extract(?1, '$.' || ?2)", -1, &json, NULL),
                 SQLITE_OK);
    for (line = strtok_r(out, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        cr_assert_eq(sqlite3_step(view), SQLITE_ROW);
        for (int i = 0; i < sqlite3_column_count(view); i++) {
            const char *name = sqlite3_column_name(view, i), *want = (const char *)sqlite3_column_text(view, i), *got;

            sqlite3_bind_text(json, 1, line, -1, SQLITE_STATIC);
            sqlite3_bind_text(json, 2, name, -1, SQLITE_STATIC);
            cr_assert_eq(sqlite3_step(json), SQLITE_ROW);
            cr_assert_eq(sqlite3_column_int(json, 0), 1, "%s", line);
            got = (const char *)sqlite3_column_text(json, 1);
            if (strcmp(name, "duration") == 0 && got) {
                cr_assert_eq(sqlite3_column_type(view, i), SQLITE_FLOAT);
                cr_assert_eq(sqlite3_column_double(view, i), sqlite3_column_double(json, 1));
                got = want;
            }
            cr_assert((!want && !got) || (want && got && !strcmp(want, got)), "%s: view %s, output %s\n%s", name,
                      want ? want : "NULL", got ? got : "NULL", line);
            sqlite3_reset(json);
        }
    }
    cr_assert_eq(sqlite3_step(view), SQLITE_DONE);
    sqlite3_finalize(view);
    sqlite3_finalize(json);
    free(out);
    test_index_free(index);
}

Test(format, addresses_protocols_and_times_agree_with_the_view)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_sql("", NULL);
    sqlite3 *sql;
    sqlite3_stmt *in, *view;
    char text[FC_TEXT_MAX];

    cr_assert_eq(sqlite3_open(index->path, &sql), SQLITE_OK);
    sqlite3_exec(sql, "PRAGMA journal_mode = off; BEGIN", NULL, NULL, NULL);
    sqlite3_prepare_v2(sql, "INSERT OR REPLACE INTO session VALUES(1,?,0,?,6,?,1,zeroblob(16),2,1,1,1,1,0,0,0,x'')", -1,
                       &in, NULL);
    sqlite3_prepare_v2(sql, "SELECT client_addr, start, proto FROM sessions", -1, &view, NULL);
    for (unsigned i = 0; i < test_rounds(1500); i++) {
        uint8_t addr[16];
        int64_t start = (int64_t)(test_random(&state) >> 1) >> test_below(&state, 60);
        uint32_t proto = test_below(&state, 5) << 16 | test_below(&state, 3) << 8 | test_below(&state, 256);

        for (unsigned k = 0; k < 16; k++)
            addr[k] = test_below(&state, 3) ? 0 : (uint8_t)(test_random(&state) >> 40 >> test_below(&state, 8));
        if (i % 50 == 0)
            memcpy(addr, (uint8_t[16]){[10] = 0xff, [11] = 0xff, [12] = 10}, 16);
        sqlite3_bind_int64(in, 1, start);
        sqlite3_bind_int64(in, 2, fc_proto_name(proto) ? 47000 : proto);
        sqlite3_bind_blob(in, 3, addr, 16, SQLITE_STATIC);
        cr_assert_eq(sqlite3_step(in), SQLITE_DONE);
        sqlite3_reset(in);
        cr_assert_eq(sqlite3_step(view), SQLITE_ROW);
        *fc_text_addr(text, FC_ADDR_IPV6, addr) = '\0';
        cr_assert_str_eq(text, (const char *)sqlite3_column_text(view, 0));
        *fc_text_time(text, start) = '\0';
        cr_assert_str_eq(text, (const char *)sqlite3_column_text(view, 1));
        *fc_text_proto(text, proto) = '\0';
        if (!fc_proto_name(proto))
            cr_assert_str_eq(text, (const char *)sqlite3_column_text(view, 2));
        sqlite3_reset(view);
    }
    sqlite3_finalize(in);
    sqlite3_finalize(view);
    sqlite3_close(sql);
    test_index_free(index);
}

Test(format, numbers_and_times_at_their_limits)
{
    static const struct {
        int64_t ns;
        const char *text;
    } times[] = {{-1, "1969-12-31T23:59:59.999999999Z"},
                 {0, "1970-01-01T00:00:00.000000000Z"},
                 {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
                 {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
                 {INT64_C(951825600000000000), "2000-02-29T12:00:00.000000000Z"}};
    char buf[FC_TEXT_MAX];

    for (unsigned i = 0; i < sizeof times / sizeof times[0]; i++) {
        *fc_text_time(buf, times[i].ns) = '\0';
        cr_expect_str_eq(buf, times[i].text);
    }
    *fc_text_number(buf, UINT64_MAX) = '\0';
    cr_expect_str_eq(buf, "18446744073709551615");
    *fc_text_number(buf, 0) = '\0';
    cr_expect_str_eq(buf, "0");
    *fc_text_duration(buf, INT64_MAX) = '\0';
    cr_expect_str_eq(buf, "9223372036.854775807");
}

Test(format, counts)
{
    struct test_index *index = new_small();
    struct fc_query_args args = {.db = index->path, .limit = -1, .count = true};
    char *out;

    cr_expect_eq(run(&args, &out), 0);
    cr_expect_str_eq(out, "4\n");
    free(out);
    args.filter = "host 1.2.3.4";
    cr_expect_eq(run(&args, &out), 1);
    cr_expect_str_eq(out, "0\n");
    free(out);
    test_index_free(index);
}

Test(format, filter_errors_point_to_the_word, .init = cr_redirect_stderr)
{
    struct fc_query_args args = {.db = "/nonexistent", .filter = "tcp and prot 80", .limit = -1};

    cr_expect_eq(fc_cmd_query_run(&args), 2);
    fflush(stderr);
    cr_assert_stderr_eq_str("flowcarve: filter: unknown word 'prot'; did you mean 'port'?\n"
                            "  tcp and prot 80\n"
                            "          ^~~~\n");
}

Test(format, long_filters_are_shown_around_the_error, .init = cr_redirect_stderr)
{
    char filter[500] = "";
    struct fc_filter_error where = {0};

    for (int i = 0; i < 40; i++)
        strcat(filter, "tcp or ");
    where.off = strlen(filter);
    where.len = 6;
    strcpy(where.cause, "no");
    strcat(filter, "b\xc3\xa4\xc3\xa4\xc3\xa4 or\ttcp or tcp or tcp or tcp or tcp or tcp or tcp");
    fc_print_filter_error(filter, &where);
    fflush(stderr);
    cr_assert_stderr_eq_str(
        "flowcarve: filter: no\n"
        "  ...or tcp or tcp or tcp or tcp or tcp or b\xc3\xa4\xc3\xa4\xc3\xa4 or\\ttcp or tcp or tcp or tcp or...\n"
        "                                           ^~~~\n");
}

Test(format, errors_are_status_2, .init = cr_redirect_stderr)
{
    struct test_index *index = new_small();
    struct fc_query_args args = {.db = "/nonexistent", .limit = -1};
    char *out;

    cr_expect_eq(fc_cmd_query_run(&args), 2);
    args.db = index->path;
    args.format = "xml";
    cr_expect_eq(fc_cmd_query_run(&args), 2);
    args.format = "json";
    args.sort = "size";
    cr_expect_eq(fc_cmd_query_run(&args), 2);
    args.sort = NULL;
    args.filter = "mpls";
    cr_expect_eq(run(&args, &out), 2);
    cr_expect_str_eq(out, "");
    free(out);
    test_index_free(index);
}

Test(format, a_closed_pipe_is_no_error)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 3000, 0);
    struct fc_query_args args = {.db = index->path, .format = "json", .limit = -1};
    int ends[2], saved = dup(STDOUT_FILENO), status;

    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    status = fc_cmd_query_run(&args);
    dup2(saved, STDOUT_FILENO);
    cr_assert_eq(status, 0);
    close(ends[1]);
    test_index_free(index);
}

Test(format, a_full_disk_is_an_error, .init = cr_redirect_stderr)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 3000, 0);
    struct fc_query_args args = {.db = index->path, .format = "csv", .limit = -1};
    int full = open("/dev/full", O_WRONLY), saved = dup(STDOUT_FILENO), status;

    if (full < 0)
        cr_skip_test("no /dev/full");
    fflush(stdout);
    dup2(full, STDOUT_FILENO);
    status = fc_cmd_query_run(&args);
    dup2(saved, STDOUT_FILENO);
    cr_assert_eq(status, 2);
    close(full);
    test_index_free(index);
}
