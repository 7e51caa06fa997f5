/* SPDX-License-Identifier: MIT */
#include "store/stmt.h"
#include "base/error.h"
#include "store/db.h"
#include "store/schema.h"

int fc_conn_break(struct fc_conn *c, int code, const struct fc_error *err)
{
    if (code && !c->broken.code && err && err->code == code)
        c->broken = *err;
    else if (code && !c->broken.code)
        fc_error_set(&c->broken, code, c->name, FC_NO_OFFSET, "%s", fc_strerror(code));
    return code;
}

int fc_conn_status(const struct fc_conn *c, struct fc_error *err)
{
    if (c->broken.code && err)
        *err = c->broken;
    return c->broken.code;
}

/* What SQLite says has broken it. */
static void fail(struct fc_conn *c, const char *what)
{
    struct fc_error err;

    fc_conn_break(c, fc_db_error(c->db, c->name, &err, what), &err);
}

int fc_conn_open(struct fc_conn *c, const char *path, int flags, struct fc_error *err)
{
    if (!c->broken.code && fc_db_sqlite_open(path, &c->db, flags | SQLITE_OPEN_NOMUTEX) != SQLITE_OK)
        fail(c, flags & SQLITE_OPEN_CREATE ? "cannot create the index" : "cannot open the index");
    else if (c->db)
        fc_db_harden(c->db);
    return fc_conn_status(c, err);
}

void fc_conn_close(struct fc_conn *c)
{
    sqlite3_close(c->db);
    c->db = NULL;
}

static int exec(struct fc_conn *c, const char *text, struct fc_error *err)
{
    if (!c->broken.code && sqlite3_exec(c->db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail(c, "cannot write the index");
    return fc_conn_status(c, err);
}

/* Sound, and in its transaction. */
static bool is_ready(struct fc_conn *c)
{
    if (!c->broken.code && sqlite3_get_autocommit(c->db))
        fc_error_set(&c->broken, FC_E_DB, c->name, FC_NO_OFFSET,
                     "cannot write the index: its transaction has ended before its time");
    return !c->broken.code;
}

bool fc_conn_try(struct fc_conn *c, const char *text)
{
    return !c->broken.code && c->db && sqlite3_get_autocommit(c->db) &&
           sqlite3_exec(c->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

static int is_stopped(void *ctx)
{
    return __atomic_load_n((const int *)ctx, __ATOMIC_RELAXED) != 0;
}

void fc_conn_stop(struct fc_conn *c, const int *stop)
{
    enum { STEPS = 10000 };

    if (c->db)
        sqlite3_progress_handler(c->db, stop ? STEPS : 0, stop ? is_stopped : NULL, (void *)(uintptr_t)stop);
}

int fc_conn_begin(struct fc_conn *c, const char *text, struct fc_error *err)
{
    return exec(c, text, err);
}

int fc_conn_exec(struct fc_conn *c, const char *text, struct fc_error *err)
{
    return is_ready(c) ? exec(c, text, err) : fc_conn_status(c, err);
}

int fc_conn_begin_index(struct fc_conn *conn, bool sync, struct fc_error *err)
{
    enum { BUSY_MS = 2000 };
    int64_t id = 0, version = 0;
    int rc = fc_conn_open(conn, conn->name, SQLITE_OPEN_READWRITE, err);

    if (rc)
        return rc;
    sqlite3_busy_timeout(conn->db, BUSY_MS);
    rc = fc_conn_begin(
        conn,
        sync
            ? "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE"
            : "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE",
        err);
    if (rc && (sqlite3_errcode(conn->db) & 0xff) == SQLITE_BUSY)
        return fc_error_set(err, FC_E_BUSY, conn->name, FC_NO_OFFSET, "is being written by another process");
    if (rc || (rc = fc_conn_number(conn, "PRAGMA application_id", &id, err)) < 0 ||
        (rc = fc_conn_number(conn, "PRAGMA user_version", &version, err)) < 0)
        return rc;
    return id == FC_APPLICATION_ID && version == FC_SCHEMA_VERSION
               ? 0
               : fc_error_set(err, FC_E_SCHEMA, conn->name, FC_NO_OFFSET, "not an index of this flowcarve's version");
}

int fc_conn_commit(struct fc_conn *c, struct fc_error *err)
{
    return fc_conn_exec(c, "COMMIT", err);
}

int fc_conn_number(struct fc_conn *c, const char *query, int64_t *number, struct fc_error *err)
{
    struct fc_stmt stmt = {0};

    fc_stmt_prepare(&stmt, c, query);
    int rc = fc_stmt_step(&stmt, err);
    if (rc == 1 && sqlite3_column_type(stmt.raw, 0) == SQLITE_NULL)
        rc = 0;
    if (rc == 1)
        *number = sqlite3_column_int64(stmt.raw, 0);
    fc_stmt_fini(&stmt);
    return c->broken.code ? fc_conn_status(c, err) : rc;
}

void fc_stmt_prepare(struct fc_stmt *s, struct fc_conn *c, const char *text)
{
    s->conn = c;
    if (s->raw)
        fc_stmt_reset(s);
    else if (!c->broken.code &&
             sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &s->raw, NULL) != SQLITE_OK)
        fail(c, "cannot use the index");
}

/* What a call other than a step has returned; without a statement the connection is broken already. */
static void note(struct fc_stmt *s, int rc)
{
    if (rc != SQLITE_OK && !s->conn->broken.code)
        fail(s->conn, "cannot use the index");
}

/* Both tell of memory that a column's text did not get. */
void fc_stmt_reset(struct fc_stmt *s)
{
    note(s, sqlite3_reset(s->raw));
}

void fc_stmt_fini(struct fc_stmt *s)
{
    note(s, sqlite3_finalize(s->raw));
    s->raw = NULL;
}

void fc_stmt_null(struct fc_stmt *s, int index)
{
    note(s, sqlite3_bind_null(s->raw, index));
}

void fc_stmt_int(struct fc_stmt *s, int index, int64_t v)
{
    note(s, sqlite3_bind_int64(s->raw, index, v));
}

void fc_stmt_text(struct fc_stmt *s, int index, const char *text)
{
    note(s, sqlite3_bind_text(s->raw, index, text, -1, SQLITE_STATIC));
}

void fc_stmt_blob(struct fc_stmt *s, int index, const void *data, size_t len)
{
    note(s, sqlite3_bind_blob64(s->raw, index, len ? data : "", len, SQLITE_STATIC));
}

int fc_stmt_step(struct fc_stmt *s, struct fc_error *err)
{
    int rc;

    if (!is_ready(s->conn))
        return fc_conn_status(s->conn, err);
    if ((rc = sqlite3_step(s->raw)) == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        fail(s->conn, sqlite3_stmt_readonly(s->raw) ? "cannot read the index" : "cannot write the index");
    fc_stmt_reset(s);
    return fc_conn_status(s->conn, err);
}

int fc_stmt_run(struct fc_stmt *s, struct fc_error *err)
{
    int rc = fc_stmt_step(s, err);

    if (rc == 1)
        fc_stmt_reset(s);
    return rc < 0 ? rc : 0;
}
