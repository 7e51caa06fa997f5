/* SPDX-License-Identifier: MIT */
/* The stages of a fresh index, and the statistics for SQLite's planner. */
#include "base/error.h"
#include "store/db.h"
#include "store/schema.h"
#include "store/writer_internal.h"

#include <stdio.h>

enum {
    CACHE_BYTES = 32 << 20, /* of pages of an existing index, from the start */
    ADDING_SHARES = 4,      /* of the memory for writing, for such pages when sessions are added */
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

int fc_writer_new_bulk(struct fc_writer *w, int64_t next_id, const struct fc_bulk_roots *roots, struct fc_error *err)
{
    w->next_id = next_id;
    return fc_bulk_new(w->lock_fd, w->site, w->alone, roots, &w->bulk, err);
}

/* From SQL to bulk. */
static int begin_fresh_bulk(struct fc_writer *w, struct fc_error *err)
{
    struct fc_bulk_roots roots;
    int rc = fc_writer_exec(w, fc_schema_indexes, err);

    w->indexed = rc == 0;
    if (rc == 0 && (rc = fc_bulk_roots_read(w->conn.db, w->site, &roots, err)) == 0 &&
        (rc = fc_conn_commit(&w->conn, err)) == 0) {
        fc_writer_close_sql(w);
        rc = fc_writer_new_bulk(w, 1, &roots, err);
    }
    return fc_conn_break(&w->conn, rc, err);
}

int fc_writer_to_bulk(struct fc_writer *w, const struct fc_session_record *r, struct fc_error *err)
{
    bool first = !w->began && !r->db_id;
    int rc;

    if (w->conn.broken.code || w->bulk_done || r->db_id)
        return fc_writer_sql(w, err);
    w->began = true;
    if (w->bulk || w->insert_only || (w->fresh && !first))
        return w->bulk != NULL;
    if (!w->fresh)
        return fc_writer_begin_adding_bulk(w, err);
    rc = begin_fresh_bulk(w, err);
    return rc ? rc : 1;
}

int fc_writer_sql(struct fc_writer *w, struct fc_error *err)
{
    struct fc_error why;

    if (w->bulk && !w->conn.broken.code) {
        fc_conn_break(&w->conn, fc_bulk_finish(w->bulk, &why), &why);
        fc_bulk_free(w->bulk);
        w->bulk = NULL;
        w->bulk_done = true;
        if (!w->conn.broken.code)
            (void)(w->fresh ? fc_writer_open_site(w, &w->conn, NULL) : fc_writer_add_bulk(w, NULL));
    }
    return fc_conn_status(&w->conn, err);
}

/*
 * sqlite_stat1, as ANALYZE fills it: rows of an index, then how many have the same first value, the same first two...
 * Not counted, but of the order that is usual, for what SQL by hand needs: to be told that an epoch has many rows, so
 * that an index is used although nothing is said about the epoch. flowcarve's own SQL does not go by it.
 */
static int write_stats(struct fc_writer *w, struct fc_error *err)
{
    static const struct {
        const char *table;
        unsigned index;
        const char *same; /* rows of one address, of one port, of one port and block */
    } stats[] = {{"session", FC_INDEX_CLIENT, "2"},
                 {"session", FC_INDEX_SERVER, "2"},
                 {"session_fields", FC_INDEX_COMMUNITY, "1"},
                 {"session_port", FC_INDEX_PORT, "4 1"}};
    char sql[200];
    int64_t rows = 0;
    int rc = fc_writer_exec(w, "ANALYZE sqlite_schema", err); /* makes the table */

    if (rc || (rc = fc_conn_number(&w->conn, "SELECT max(id) FROM session", &rows, err)) <= 0 || rows <= 0)
        return rc < 0 ? rc : 0;
    rc = fc_writer_exec(w, "DELETE FROM sqlite_stat1 WHERE tbl IN ('session', 'session_port', 'session_fields')", err);
    for (unsigned i = 0; i < sizeof stats / sizeof stats[0] && rc == 0; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO sqlite_stat1 VALUES ('%s', '%s', '%lld %lld %s')", stats[i].table,
                 fc_session_indexes[stats[i].index], (long long)rows,
                 (long long)(rows < FC_EPOCH_SESSIONS ? rows : FC_EPOCH_SESSIONS), stats[i].same);
        rc = fc_writer_exec(w, sql, err);
    }
    return rc;
}

static int write_run(struct fc_writer *w, struct fc_error *err)
{
    struct fc_stmt stmt = {0};
    int rc;

    fc_stmt_prepare(&stmt, &w->conn,
                    "INSERT INTO run VALUES (NULL, ?1 + 1, (SELECT coalesce(max(id), 0) FROM files), ?2 + 1,"
                    " (" FC_SELECT_LAST_SESSION "), ?3)");
    fc_stmt_int(&stmt, 1, w->last_file);
    fc_stmt_int(&stmt, 2, w->last_session);
    fc_stmt_blob(&stmt, 3, w->changed.data, w->changed.len);
    rc = fc_stmt_run(&stmt, err);
    fc_stmt_fini(&stmt);
    return rc;
}

int fc_writer_settle(struct fc_writer *w, struct fc_error *err)
{
    int rc;

    if ((rc = fc_writer_sql(w, err)) || (rc = fc_writer_end_open(w, err)))
        return rc;
    if (w->fresh && !w->indexed) /* it finds the spans by itself */
        rc = fc_writer_exec(w, fc_schema_indexes, err);
    else
        rc = fc_spans_write(&w->spans, &w->conn, err);
    w->indexed = true;
    if (rc == 0)
        rc = write_run(w, err);
    return rc ? rc : write_stats(w, err);
}

void fc_writer_set_memory(struct fc_writer *w, size_t bytes)
{
    char pragma[64];

    /* pages that are changed and do not fit are written twice */
    snprintf(pragma, sizeof pragma, "PRAGMA cache_size = -%zu", ADDING_SHARES * (bytes / 1024));
    if (!w->fresh && ADDING_SHARES * bytes > CACHE_BYTES)
        (void)fc_writer_exec(w, pragma, NULL); /* what breaks the writer is told by the next call */
}

void fc_writer_set_unsynced(struct fc_writer *w)
{
    w->unsynced = true;
}

void fc_writer_set_alone(struct fc_writer *w)
{
    w->alone = true;
}

void fc_writer_expect(struct fc_writer *w, uint64_t sessions)
{
    w->expected = sessions;
}
