/* SPDX-License-Identifier: MIT */
/* The stages of a fresh index, and the statistics for SQLite's planner. */
#include "base/error.h"
#include "store/db.h"
#include "store/schema.h"
#include "store/writer_internal.h"

#include <stdio.h>

enum {
    CACHE_BYTES = 32 << 20, /* of pages of an existing index, from the start */
    ADDING_SHARES = 4,      /* of the memory for sorting, for such pages when sessions are added */
    MEMORY_DEFAULT = 256 << 20,
    MEMORY_MIN = 1 << 20,
    /* Statistics of an index that is added to are exact up to so many rows, and beyond of every doubling. */
    COUNT_ROWS = 1000000
};

int fc_writer_open_site(struct fc_writer *w, struct fc_conn *conn, struct fc_error *err)
{
    int rc = fc_conn_open(conn, w->site, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);

    if (rc == 0)
        sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL); /* ours alone; else it insists on a journal */
    /* nobody sees the file before it is renamed: no journal, and one fsync at the end */
    return rc ? rc
              : fc_conn_begin(conn,
                              "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                              "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;"
                              "BEGIN EXCLUSIVE",
                              err);
}

void fc_writer_forget_statements(struct fc_writer *w)
{
    for (int i = 0; i < FC_WRITER_STMTS; i++)
        if (w->stmts[i].raw)
            fc_stmt_fini(&w->stmts[i]);
}

void fc_writer_close_sql(struct fc_writer *w)
{
    fc_writer_forget_statements(w);
    fc_conn_close(&w->conn);
}

int fc_writer_new_bulk(struct fc_writer *w, uint32_t fields, int64_t next_id, const struct fc_bulk_roots *roots,
                       struct fc_error *err)
{
    size_t memory = w->memory_bytes ? w->memory_bytes : MEMORY_DEFAULT;
    struct fc_bulk_options options = {
        .budget_bytes = memory < MEMORY_MIN ? MEMORY_MIN : memory,
        .community = (fields & FC_STORE_COMMUNITY_ID) != 0,
        .alone = w->alone,
    };

    w->next_id = next_id;
    w->inserted = false;
    return fc_bulk_new(w->lock_fd, w->site, w->folder, &options, roots, &w->bulk, err);
}

/* From SQL to bulk. */
static int begin_fresh_bulk(struct fc_writer *w, uint32_t fields, struct fc_error *err)
{
    struct fc_bulk_roots roots;
    int rc = fc_writer_exec(w, fc_schema_indexes, err);

    w->indexed = rc == 0;
    if (rc == 0 && (rc = fc_bulk_roots_read(w->conn.db, w->site, &roots, err)) == 0 &&
        (rc = fc_conn_commit(&w->conn, err)) == 0) {
        fc_writer_close_sql(w);
        rc = fc_writer_new_bulk(w, fields, 1, &roots, err);
    }
    return fc_conn_break(&w->conn, rc, err);
}

int fc_writer_to_bulk(struct fc_writer *w, const struct fc_session_record *r, uint32_t fields, struct fc_error *err)
{
    bool first = !w->began && !r->db_id;
    int rc;

    if (w->conn.broken.code || w->bulk_done || r->db_id || w->next_id > FC_INDEX_ROWID_MAX)
        return fc_writer_sql(w, err);
    if (!first)
        return w->bulk != NULL;
    w->began = true;
    if (w->insert_only)
        return 0;
    if (!w->fresh)
        return fc_writer_begin_adding_bulk(w, fields, err);
    rc = begin_fresh_bulk(w, fields, err);
    return rc ? rc : 1;
}

int fc_writer_sql(struct fc_writer *w, struct fc_error *err)
{
    struct fc_error why;

    if (w->bulk && !w->conn.broken.code) {
        fc_conn_break(&w->conn, fc_bulk_finish(w->bulk, w->stats, &why), &why);
        fc_bulk_free(w->bulk);
        w->bulk = NULL;
        w->bulk_done = true;
        if (!w->conn.broken.code)
            (void)(w->fresh ? fc_writer_open_site(w, &w->conn, NULL) : fc_writer_add_bulk(w, NULL));
    }
    return fc_conn_status(&w->conn, err);
}

/* The same by reading the indexes. */
static int count_stats(struct fc_writer *w, struct fc_error *err)
{
    char sql[160];
    int rc = 0;

    for (unsigned i = 0; i < FC_SESSION_INDEXES && rc >= 0; i++) {
        const struct fc_session_index_name *name = &fc_session_indexes[i];
        int64_t rows = 0, distinct = 0;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s%s", name->table, name->where);
        if ((rc = fc_conn_number(&w->conn, sql, &rows, err)) < 0)
            break;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT DISTINCT %s FROM %s%s)", name->column, name->table,
                 name->where);
        rc = fc_conn_number(&w->conn, sql, &distinct, err);
        w->stats[i] = (struct fc_index_stat){name, (uint64_t)rows, distinct > 0 ? (uint64_t)distinct : 1};
    }
    return rc < 0 ? rc : 0;
}

static int write_stat(struct fc_writer *w, const struct fc_index_stat *s, struct fc_error *err)
{
    char sql[200];

    if (s->rows == 0)
        return 0;
    snprintf(sql, sizeof sql, "INSERT INTO sqlite_stat1 VALUES ('%s', '%s', '%llu %llu%s')", s->name->table,
             s->name->name, (unsigned long long)s->rows,
             (unsigned long long)((s->rows + s->distinct - 1) / s->distinct),
             s->name == &fc_session_indexes[FC_INDEX_PORT] ? " 1" : "");
    return fc_writer_exec(w, sql, err);
}

/* sqlite_stat1, as ANALYZE fills it: rows of an index, and how many have the same value, on average, rounded up. */
static int write_stats(struct fc_writer *w, struct fc_error *err)
{
    static const char find_rows[] = "SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = 'session'";
    int rc = fc_writer_exec(w, "ANALYZE sqlite_schema", err); /* makes the table */
    int64_t rows = 0, before = 0;

    if (rc || (rc = fc_conn_number(&w->conn, "SELECT max(id) FROM session", &rows, err)) <= 0 || rows <= 0)
        return rc < 0 ? rc : 0;
    if (!w->fresh || !w->bulk_done || w->inserted) {
        if (rows > COUNT_ROWS && (rc = fc_conn_number(&w->conn, find_rows, &before, err)) < 0)
            return rc;
        if (rows > COUNT_ROWS && rows / 2 < before)
            return 0;
        if ((rc = count_stats(w, err)))
            return rc;
    }
    rc = fc_writer_exec(w, "DELETE FROM sqlite_stat1 WHERE tbl IN ('session', 'session_port', 'session_fields')", err);
    for (unsigned i = 0; i < FC_SESSION_INDEXES && rc == 0; i++)
        rc = write_stat(w, &w->stats[i], err);
    return rc;
}

static int write_run(struct fc_writer *w, struct fc_error *err)
{
    struct fc_stmt stmt = {0};
    int rc;

    fc_stmt_prepare(&stmt, &w->conn,
                    "INSERT INTO run VALUES (NULL, ?1 + 1, (SELECT coalesce(max(id), 0) FROM files), ?2 + 1,"
                    " (SELECT max(coalesce(max(id), 0), 0) FROM session), ?3)");
    fc_stmt_int(&stmt, 1, w->last_file);
    fc_stmt_int(&stmt, 2, w->last_session > 0 ? w->last_session : 0);
    fc_stmt_blob(&stmt, 3, w->changed.data, w->changed.len);
    rc = fc_stmt_run(&stmt, err);
    fc_stmt_fini(&stmt);
    return rc;
}

int fc_writer_settle(struct fc_writer *w, struct fc_error *err)
{
    int rc;

    if ((rc = fc_writer_sql(w, err)) || (rc = fc_writer_flush_open(w, err)))
        return rc;
    if (w->fresh && !w->indexed && (rc = fc_writer_exec(w, fc_schema_indexes, err)))
        return rc;
    w->indexed = true;
    if ((rc = write_run(w, err)))
        return rc;
    rc = fc_spans_write(&w->spans, &w->conn, err);
    return rc ? rc : write_stats(w, err);
}

void fc_writer_set_memory(struct fc_writer *w, size_t bytes)
{
    char pragma[64];

    w->memory_bytes = bytes;
    /* pages that are changed and do not fit are written twice */
    snprintf(pragma, sizeof pragma, "PRAGMA cache_size = -%zu", ADDING_SHARES * (bytes / 1024));
    if (!w->fresh && ADDING_SHARES * bytes > CACHE_BYTES)
        (void)fc_writer_exec(w, pragma, NULL); /* what breaks the writer is told by the next call */
}

void fc_writer_set_alone(struct fc_writer *w)
{
    w->alone = true;
}

void fc_writer_expect(struct fc_writer *w, uint64_t sessions)
{
    w->expected = sessions;
}
