/* SPDX-License-Identifier: MIT */
/* Rows of table `loss` as SQLite has them, of what a process tells once a second. */
#include "store/schema.h"
#include "store/stmt.h"

#include <criterion/criterion.h>
#include <flowcarve/loss.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define S INT64_C(1000000000)
#define T0 (INT64_C(1717142400) * S) /* the start of an hour */

static char path[64];

static void make_index(void)
{
    struct fc_conn c = {.name = path};

    cr_assert_eq(fc_conn_open(&c, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL), 0);
    cr_assert_eq(fc_conn_begin(&c, "BEGIN", NULL), 0);
    cr_assert_eq(fc_conn_exec(&c, fc_schema_flowcarve, NULL), 0);
    cr_assert_eq(fc_conn_commit(&c, NULL), 0);
    fc_conn_close(&c);
}

static void name_index(void)
{
    snprintf(path, sizeof path, "/tmp/flowcarve-loss-%d.db", (int)getpid());
    unlink(path);
}

static int64_t number(const char *query)
{
    struct fc_conn c = {.name = path};
    int64_t n = -1;

    cr_assert_eq(fc_conn_open(&c, path, SQLITE_OPEN_READONLY, NULL), 0);
    cr_assert_eq(fc_conn_begin(&c, "BEGIN", NULL), 0);
    cr_assert_geq(fc_conn_number(&c, query, &n, NULL), 0);
    fc_conn_close(&c);
    return n;
}

static void add(struct fc_loss_log *log, const char *name, int64_t second, uint64_t recorded, uint64_t dropped)
{
    const struct fc_loss_counts c = {.received = recorded + dropped, .recorded = recorded, .dropped_kernel = dropped};

    cr_assert_eq(fc_loss_add(log, name, T0 + second * S, &c, NULL), 0);
}

static struct fc_loss_log *begin(void)
{
    struct fc_loss_log *log;

    cr_assert_eq(fc_loss_open(path, T0, &log, NULL), 0);
    add(log, "eth0", 0, 0, 0);
    return log;
}

Test(loss, seconds_without_drops_are_one_row_and_those_with_are_a_row_each)
{
    struct fc_error err;

    name_index();
    make_index();
    struct fc_loss_log *log = begin();
    for (int64_t s = 1; s <= 100; s++) {
        add(log, "eth0", s, (uint64_t)s * 10, s < 40 ? 0 : s < 43 ? (uint64_t)(s - 39) : 3);
        cr_assert_eq(fc_loss_write(log, false, &err), 0, "%s", err.cause);
    }
    cr_assert_eq(fc_loss_write(log, true, &err), 0);
    fc_loss_close(log);
    cr_assert_eq(number("SELECT count(*) FROM loss"), 5); /* before, three, behind */
    cr_assert_eq(number("SELECT count(*) FROM loss WHERE dropped_kernel = 1 AND end_ns - start_ns = 1000000000"), 3);
    cr_assert_eq(number("SELECT sum(received) FROM loss"), 1003);
    cr_assert_eq(number("SELECT sum(recorded) FROM loss"), 1000);
    cr_assert_eq(number("SELECT count(*) FROM loss WHERE received <> recorded + dropped_kernel"), 0);
    cr_assert_eq(number("SELECT sum(end_ns - start_ns) FROM loss"), 100 * S);
    unlink(path);
}

Test(loss, a_row_without_drops_is_an_hour_at_most_and_is_written_once_a_minute)
{
    name_index();
    make_index();
    struct fc_loss_log *log = begin();
    int64_t writes = 0, before = -1;
    for (int64_t s = 1; s <= 2 * 3600; s++) {
        add(log, "eth0", s, (uint64_t)s, 0);
        cr_assert_eq(fc_loss_write(log, false, NULL), 0);
        if (s <= 600) {
            int64_t told = number("SELECT end_ns FROM loss");
            writes += told != before;
            before = told;
        }
    }
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    fc_loss_close(log);
    cr_assert_leq(writes, 11);
    cr_assert_eq(number("SELECT count(*) FROM loss"), 2);
    cr_assert_eq(number("SELECT sum(recorded) FROM loss"), 7200);
    cr_assert_eq(number("SELECT max(end_ns) FROM loss"), T0 + 7200 * S);
    unlink(path);
}

Test(loss, what_cannot_be_written_waits_for_the_index_in_bounded_memory)
{
    name_index();
    struct fc_loss_log *log = begin();
    for (int64_t s = 1; s <= 10000; s++) {
        add(log, "eth0", s, (uint64_t)s, (uint64_t)s);
        cr_assert_eq(fc_loss_write(log, false, NULL), 0);
    }
    cr_assert_eq(access(path, F_OK), -1);
    make_index();
    cr_assert_eq(fc_loss_write(log, false, NULL), 0);
    cr_assert_eq(number("SELECT count(*) FROM loss"), 4096);
    cr_assert_eq(number("SELECT sum(dropped_kernel) FROM loss"), 10000);
    cr_assert_eq(number("SELECT max(end_ns) FROM loss"), T0 + 10000 * S);
    fc_loss_close(log);
    unlink(path);
}

Test(loss, interfaces_and_a_clock_that_is_set_back)
{
    name_index();
    make_index();
    struct fc_loss_log *log = begin();
    add(log, "eth1", 0, 0, 0);
    for (int64_t s = 1; s <= 20; s++) {
        add(log, "eth0", s <= 10 ? s : s - 3600, (uint64_t)s, 0);
        add(log, "eth1", s <= 10 ? s : s - 3600, (uint64_t)s * 2, 0);
    }
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    fc_loss_close(log);
    cr_assert_eq(number("SELECT count(*) FROM loss"), 4);
    cr_assert_eq(number("SELECT count(*) FROM loss WHERE end_ns < start_ns"), 0);
    cr_assert_eq(number("SELECT sum(recorded) FROM loss WHERE interface = 'eth1'"), 40);
    cr_assert_eq(number("SELECT sum(recorded) FROM loss WHERE interface = 'eth0'"), 20);
    unlink(path);
}

Test(loss, what_is_forgotten_is_gone_and_a_row_that_goes_on_comes_again)
{
    uint64_t rows;

    name_index();
    make_index();
    cr_assert_eq(fc_loss_forget(path, T0, &rows, NULL), 0); /* without the table, too */
    struct fc_loss_log *log = begin();
    for (int64_t s = 1; s <= 10; s++)
        add(log, "eth0", s, (uint64_t)s, (uint64_t)s);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    cr_assert_eq(fc_loss_forget(path, T0 + 4 * S, &rows, NULL), 0);
    cr_assert_eq(rows, 3);
    add(log, "eth0", 11, 11, 10);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    cr_assert_eq(fc_loss_forget(path, T0 + 100 * S, &rows, NULL), 0);
    cr_assert_eq(rows, 8);
    add(log, "eth0", 12, 12, 10);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    fc_loss_close(log);
    cr_assert_eq(number("SELECT count(*) FROM loss"), 1);
    cr_assert_eq(number("SELECT recorded FROM loss"), 2);
    cr_assert_eq(fc_loss_forget("/tmp/flowcarve-no-such.db", T0, &rows, NULL), FC_E_MISSING);
    unlink(path);
}

Test(loss, an_index_that_is_another_one_has_nothing_of_the_one_before)
{
    name_index();
    make_index();
    struct fc_conn c = {.name = path};
    cr_assert_eq(fc_conn_open(&c, path, SQLITE_OPEN_READWRITE, NULL), 0);
    cr_assert_eq(
        sqlite3_exec(c.db,
                     "INSERT INTO files SELECT 500, 'c', 1, 0, 0, 'none', 0, 0, 0, 0, 0, 0, 0, 'pcap', 'little',"
                     " '1', 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, x''",
                     NULL, NULL, NULL),
        SQLITE_OK, "%s", sqlite3_errmsg(c.db));
    fc_conn_close(&c);
    struct fc_loss_log *log = begin();
    add(log, "eth0", 1, 100, 0);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    cr_assert_eq(number("SELECT first_file FROM loss"), 501);
    unlink(path);
    make_index();
    add(log, "eth0", 2, 110, 0);
    add(log, "eth0", 3, 113, 1);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    cr_assert_eq(number("SELECT sum(recorded) FROM loss"), 3);
    cr_assert_eq(number("SELECT max(first_file) FROM loss"), 1);
    fc_loss_close(log);
    unlink(path);
}

static int count_row(void *ctx, const struct fc_loss_row *row)
{
    uint64_t *dropped = ctx;

    cr_assert_str_eq(row->interface, "eth0");
    cr_assert_eq(row->capture_ns, T0);
    *dropped += row->counts.dropped_kernel;
    return 0;
}

Test(loss, is_read_by_time)
{
    uint64_t dropped = 0;
    struct fc_db *db;

    name_index();
    make_index();
    cr_assert_eq(fc_db_open(path, &db, NULL), 0);
    cr_assert_eq(fc_loss_read(db, 0, INT64_MAX, count_row, &dropped, NULL), 0);
    fc_db_close(db);
    struct fc_loss_log *log = begin();
    for (int64_t s = 1; s <= 10; s++)
        add(log, "eth0", s, (uint64_t)s, (uint64_t)s);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    fc_loss_close(log);
    cr_assert_eq(fc_db_open(path, &db, NULL), 0);
    cr_assert_eq(fc_loss_read(db, 0, INT64_MAX, count_row, &dropped, NULL), 0);
    cr_assert_eq(dropped, 10);
    dropped = 0;
    cr_assert_eq(fc_loss_read(db, T0 + 9 * S + 1, INT64_MAX, count_row, &dropped, NULL), 0);
    cr_assert_eq(dropped, 1);
    fc_db_close(db);
    unlink(path);
}

Test(loss, rows_of_a_commit_that_failed_are_not_taken_for_those_of_others)
{
    struct fc_conn reader = {.name = path};
    struct fc_loss_log *other;
    int64_t n = 0;

    name_index();
    make_index();
    struct fc_loss_log *log = begin();
    add(log, "eth0", 1, 10, 1);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    /* two rows, which a reader keeps from being committed */
    cr_assert_eq(fc_conn_open(&reader, path, SQLITE_OPEN_READONLY, NULL), 0);
    cr_assert_eq(fc_conn_begin(&reader, "BEGIN", NULL), 0);
    cr_assert_eq(fc_conn_number(&reader, "SELECT count(*) FROM loss", &n, NULL), 1);
    add(log, "eth0", 2, 20, 11);
    add(log, "eth0", 3, 30, 111);
    cr_assert_neq(fc_loss_write(log, true, NULL), 0);
    fc_conn_close(&reader);
    /* another capture gets the first one's ID, and so this one the second's */
    cr_assert_eq(fc_loss_open(path, T0 + 1, &other, NULL), 0);
    add(other, "eth0", 0, 0, 0);
    add(other, "eth0", 4, 5, 5000);
    cr_assert_eq(fc_loss_write(other, true, NULL), 0);
    cr_assert_eq(fc_loss_write(log, true, NULL), 0);
    fc_loss_close(other);
    fc_loss_close(log);
    cr_assert_eq(number("SELECT count(*) FROM loss"), 4);
    cr_assert_eq(number("SELECT sum(dropped_kernel) FROM loss"), 5111);
    unlink(path);
}
