/* SPDX-License-Identifier: MIT */
/*
 * The connections that write an index, and their statements: nothing of these calls SQLite but through here.
 *
 * Any failure of SQLite, also that of a SELECT, may have rolled the transaction back, and what is written next would
 * commit by itself. So the first failure breaks a connection for good: from then on nothing is passed to SQLite any
 * more, and every call gives that first error. Binding and preparing return nothing, therefore: the step tells.
 *
 * A connection whose transaction has ended, by whatever, before fc_conn_commit() is broken too: each step looks.
 *
 * Threads: one a connection. Memory: texts and blobs that are bound stay the caller's, and must live until the step.
 */
#ifndef FC_STORE_STMT_H
#define FC_STORE_STMT_H

#include <flowcarve/error.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fc_conn {
    sqlite3 *db;            /* NULL: closed */
    const char *name;       /* of the index, for messages; the owner's */
    struct fc_error broken; /* what broke it; code 0: it is sound */
};

/* Notes that `code`, unless it is 0, broke it, and *err when it is of that code. Returns code. */
int fc_conn_break(struct fc_conn *conn, int code, const struct fc_error *err);
/* 0, or the code of what broke it, and *err (may be NULL) filled. */
int fc_conn_status(const struct fc_conn *conn, struct fc_error *err);

/* Opens the file `path`, with SQLITE_OPEN_*; closes (a transaction is rolled back). Either leaves what broke it. */
int fc_conn_open(struct fc_conn *conn, const char *path, int flags, struct fc_error *err);
void fc_conn_close(struct fc_conn *conn);

/* Statements that end in a BEGIN; ends the transaction; statements in a transaction. FC_E_DB, FC_E_IO, FC_E_NOMEM. */
int fc_conn_begin(struct fc_conn *conn, const char *text, struct fc_error *err);
int fc_conn_commit(struct fc_conn *conn, struct fc_error *err);
int fc_conn_exec(struct fc_conn *conn, const char *text, struct fc_error *err);
/*
 * Opens the index conn->name for a short transaction, and begins that; sync: what it commits is to be on the disk then.
 * FC_E_SCHEMA: it is none of this version. FC_E_BUSY: somebody else is writing it.
 */
int fc_conn_begin_index(struct fc_conn *conn, bool sync, struct fc_error *err);
/* Statements outside of a transaction, of which nothing depends: whether they were done. */
bool fc_conn_try(struct fc_conn *conn, const char *text);
/* *stop becoming other than 0 ends whatever statement is running, with FC_E_INTERRUPTED. NULL: nothing does. */
void fc_conn_stop(struct fc_conn *conn, const int *stop);

/* The number that a query gives: 1, 0 when there is none or it is NULL (*number stays), or negative. */
int fc_conn_number(struct fc_conn *conn, const char *query, int64_t *number, struct fc_error *err);

/* {0}: none yet. */
struct fc_stmt {
    struct fc_conn *conn;
    sqlite3_stmt *raw; /* for reading columns, while there is a row */
};

/* Prepares the statement, or resets the one that it is already. */
void fc_stmt_prepare(struct fc_stmt *stmt, struct fc_conn *conn, const char *text);
/* The last two give no code: where what a row told matters by itself, fc_conn_status() does. */
void fc_stmt_reset(struct fc_stmt *stmt);
void fc_stmt_fini(struct fc_stmt *stmt);

/* Bind; index from 1. NULL text: NULL. A blob is one also without bytes. */
void fc_stmt_null(struct fc_stmt *stmt, int index);
void fc_stmt_int(struct fc_stmt *stmt, int index, int64_t v);
void fc_stmt_text(struct fc_stmt *stmt, int index, const char *text);
void fc_stmt_blob(struct fc_stmt *stmt, int index, const void *data, size_t len);

/* 1: a row; 0: done, and reset; negative. */
int fc_stmt_step(struct fc_stmt *stmt, struct fc_error *err);
/* Steps a statement that returns no row. */
int fc_stmt_run(struct fc_stmt *stmt, struct fc_error *err);

#endif
