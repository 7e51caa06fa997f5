/* SPDX-License-Identifier: MIT */
/* Table `moved`: made when there is something to tell. */
#include "store/schema.h"
#include "store/writer_internal.h"

int fc_writer_find_moved(struct fc_writer *w, struct fc_error *err)
{
    int64_t tables = 0;
    int rc = fc_conn_number(&w->conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'moved'",
                            &tables, err);

    w->has_moved = tables != 0;
    return rc < 0 ? rc : 0;
}

int fc_writer_note_moved(struct fc_writer *w, int64_t id, const int64_t *start_ns, bool turned, struct fc_error *err)
{
    struct fc_stmt *stmt;
    int rc;

    if (!w->has_moved && (rc = fc_writer_exec(w, fc_schema_moved, err)))
        return rc;
    w->has_moved = true;
    /* where a session stood before the run is what counts */
    stmt = fc_writer_stmt(w, FC_STMT_MOVED, "INSERT OR IGNORE INTO moved VALUES (?, ?, ?, ?)");
    fc_stmt_int(stmt, 1, id);
    fc_stmt_int(stmt, 2, w->run + 1);
    if (start_ns)
        fc_stmt_int(stmt, 3, *start_ns);
    else
        fc_stmt_null(stmt, 3);
    fc_stmt_int(stmt, 4, turned);
    return fc_stmt_run(stmt, err);
}

int fc_writer_drop_moved(struct fc_writer *w, int64_t id, struct fc_error *err)
{
    struct fc_stmt *stmt;

    if (!w->has_moved)
        return 0;
    stmt = fc_writer_stmt(w, FC_STMT_DROP_MOVED, "DELETE FROM moved WHERE session = ?");
    fc_stmt_int(stmt, 1, id);
    return fc_stmt_run(stmt, err);
}
