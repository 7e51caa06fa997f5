/* SPDX-License-Identifier: MIT */
#include "store/stmt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void make(struct fc_conn *c)
{
    struct fc_error err;

    snprintf(path, sizeof path, "/tmp/flowcarve-stmt-%d.db", (int)getpid());
    unlink(path);
    *c = (struct fc_conn){.name = path};
    cr_assert_eq(fc_conn_open(c, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &err), 0);
    cr_assert_eq(fc_conn_begin(c, "CREATE TABLE t (a UNIQUE, b); BEGIN IMMEDIATE", &err), 0, "%s", err.cause);
}

static int insert(struct fc_conn *c, int64_t v, struct fc_error *err)
{
    struct fc_stmt stmt = {0};

    fc_stmt_prepare(&stmt, c, "INSERT INTO t VALUES (?, ?)");
    fc_stmt_int(&stmt, 1, v);
    fc_stmt_text(&stmt, 2, "b");
    int rc = fc_stmt_run(&stmt, err);
    fc_stmt_fini(&stmt);
    return rc;
}

/* Rows as another connection sees them. */
static int64_t rows(void)
{
    struct fc_conn c = {.name = path};
    int64_t n = -1;

    cr_assert_eq(fc_conn_open(&c, path, SQLITE_OPEN_READONLY, NULL), 0);
    cr_assert_eq(fc_conn_begin(&c, "BEGIN", NULL), 0);
    cr_assert_eq(fc_conn_number(&c, "SELECT count(*) FROM t", &n, NULL), 1);
    fc_conn_close(&c);
    return n;
}

Test(stmt, what_goes_well_is_there)
{
    struct fc_error err;
    struct fc_conn c;
    int64_t n = -1;

    make(&c);
    cr_assert_eq(insert(&c, 1, &err), 0);
    cr_assert_eq(fc_conn_number(&c, "SELECT a FROM t WHERE a = 2", &n, &err), 0);
    cr_assert_eq(fc_conn_number(&c, "SELECT NULL FROM t", &n, &err), 0);
    cr_assert_eq(n, -1);
    cr_assert_eq(fc_conn_number(&c, "SELECT a FROM t", &n, &err), 1);
    cr_assert_eq(n, 1);
    cr_assert_eq(fc_conn_commit(&c, &err), 0);
    fc_conn_close(&c);
    cr_assert_eq(rows(), 1);
    unlink(path);
}

Test(stmt, the_first_failure_holds_and_nothing_is_written)
{
    const char *text = "INSERT INTO t VALUES (2, 'b')";
    struct fc_error err, again;
    struct fc_conn c;
    int64_t n;

    make(&c);
    cr_assert_eq(insert(&c, 1, &err), 0);
    cr_assert_eq(fc_conn_number(&c, "SELECT a FROM nowhere", &n, &err), FC_E_DB);
    cr_assert(strstr(err.cause, "nowhere"), "%s", err.cause);
    cr_assert_eq(insert(&c, 2, &again), FC_E_DB);
    cr_assert_str_eq(again.cause, err.cause);
    cr_assert_eq(fc_conn_exec(&c, text, &again), FC_E_DB);
    cr_assert_eq(fc_conn_commit(&c, &again), FC_E_DB);
    cr_assert_str_eq(again.cause, err.cause);
    cr_assert_str_eq(again.file, path);
    fc_conn_close(&c);
    cr_assert_eq(rows(), 0);
    unlink(path);
}

Test(stmt, a_blob_that_cannot_be_bound_is_not_stored_as_null)
{
    struct fc_stmt stmt = {0};
    struct fc_error err;
    struct fc_conn c;

    make(&c);
    sqlite3_limit(c.db, SQLITE_LIMIT_LENGTH, 100);
    fc_stmt_prepare(&stmt, &c, "INSERT INTO t VALUES (?, ?)");
    fc_stmt_int(&stmt, 1, 1);
    fc_stmt_blob(&stmt, 2, path, 101);
    cr_assert_eq(fc_stmt_run(&stmt, &err), FC_E_DB);
    cr_assert(strstr(err.cause, "too big"), "%s", err.cause);
    fc_stmt_fini(&stmt);
    cr_assert_eq(fc_conn_commit(&c, &err), FC_E_DB);
    fc_conn_close(&c);
    cr_assert_eq(rows(), 0);
    unlink(path);
}

/* As SQLite does by itself when the disk is full. */
Test(stmt, nothing_is_written_when_the_transaction_has_gone)
{
    struct fc_error err;
    struct fc_conn c;

    make(&c);
    cr_assert_eq(insert(&c, 1, &err), 0);
    cr_assert_eq(sqlite3_exec(c.db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    cr_assert_eq(insert(&c, 2, &err), FC_E_DB);
    cr_assert(strstr(err.cause, "transaction"), "%s", err.cause);
    cr_assert_eq(fc_conn_commit(&c, &err), FC_E_DB);
    fc_conn_close(&c);
    cr_assert_eq(rows(), 0);
    unlink(path);
}
