/* SPDX-License-Identifier: MIT */
#include "store/writer.h"
#include "base/error.h"
#include "base/io.h"
#include "store/writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int fc_writer_no_memory(struct fc_writer *w, struct fc_error *err)
{
    return fc_conn_break(&w->conn, fc_error_set(err, FC_E_NOMEM, w->path, FC_NO_OFFSET, "out of memory"), NULL);
}

int fc_writer_damaged(struct fc_writer *w, int64_t id, struct fc_error *err)
{
    int rc = fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "session %lld is damaged", (long long)id);

    return fc_conn_break(&w->conn, rc, err);
}

int fc_writer_damaged_batch(struct fc_writer *w, int64_t batch, struct fc_error *err)
{
    int rc =
        fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "batch %lld of open sessions is damaged", (long long)batch);

    return fc_conn_break(&w->conn, rc, err);
}

int fc_writer_exec(struct fc_writer *w, const char *sql, struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);

    return rc ? rc : fc_conn_exec(&w->conn, sql, err);
}

struct fc_stmt *fc_writer_stmt(struct fc_writer *w, enum fc_writer_stmt_id id, const char *sql)
{
    (void)fc_writer_sql(w, NULL); /* the step tells */
    fc_stmt_prepare(&w->stmts[id], &w->conn, sql);
    return &w->stmts[id];
}

int fc_writer_status(const struct fc_writer *w, struct fc_error *err)
{
    return fc_conn_status(&w->conn, err);
}

void fc_writer_close(struct fc_writer *w)
{
    if (!w)
        return;
    fc_bulk_free(w->bulk);
    if (w->conn.db && !w->fresh && !w->committed) {
        fc_writer_forget_statements(w);
        (void)sqlite3_exec(w->conn.db, "ROLLBACK", NULL, NULL, NULL);
        fc_writer_end_adding(w);
    }
    fc_writer_close_sql(w);
    fc_writer_leave_site(w);
    fc_buffer_fini(&w->plain);
    fc_buffer_fini(&w->blob);
    fc_buffer_fini(&w->scratch[0]);
    fc_buffer_fini(&w->scratch[1]);
    fc_buffer_fini(&w->changed);
    fc_positions_fini(&w->positions);
    fc_spans_fini(&w->spans);
    free(w->open.tags);
    free(w->path);
    free(w->place);
    free(w->folder);
    free(w);
}

const char *fc_writer_folder(const struct fc_writer *w)
{
    return w->folder;
}

int fc_writer_meta(struct fc_writer *w, const char *name, char **value, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_GET_META, "SELECT value FROM meta WHERE name = ?");
    const char *text = "";
    int rc;

    *value = NULL;
    fc_stmt_text(stmt, 1, name);
    if ((rc = fc_stmt_step(stmt, err)) < 0)
        return rc;
    if (rc == 1 && sqlite3_column_type(stmt->raw, 0) != SQLITE_NULL)
        text = (const char *)sqlite3_column_text(stmt->raw, 0);
    *value = text ? strdup(text) : NULL;
    fc_stmt_reset(stmt);
    return *value ? 0 : fc_writer_no_memory(w, err);
}

int fc_writer_set_meta(struct fc_writer *w, const char *name, const char *value, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_META, "INSERT OR REPLACE INTO meta VALUES (?, ?)");

    fc_stmt_text(stmt, 1, name);
    fc_stmt_text(stmt, 2, value);
    return fc_stmt_run(stmt, err);
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/*
 * Where something has appeared under the name meanwhile, it stays. An empty file does not count: it was there, or makes
 * no difference.
 */
static int name_site(struct fc_writer *w, struct fc_error *err)
{
    struct stat st;

    if (renameat2(AT_FDCWD, w->site, AT_FDCWD, w->place, RENAME_NOREPLACE) == 0)
        return 0;
    bool known = errno == EINVAL || errno == ENOSYS || errno == EEXIST; /* or not of this file system */
    if (!known || (stat(w->place, &st) == 0 && !(S_ISREG(st.st_mode) && st.st_size == 0))) {
        if (known)
            return fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET,
                                "somebody else has made an index there meanwhile; index once more to add to it");
        return fc_error_errno(err, FC_E_IO, w->path, FC_NO_OFFSET, "cannot rename the new index into place");
    }
    if (rename(w->site, w->place) != 0)
        return fc_error_errno(err, FC_E_IO, w->path, FC_NO_OFFSET, "cannot rename the new index into place");
    return 0;
}

static int commit_site(struct fc_writer *w, int64_t *sync_ns, struct fc_error *err)
{
    int64_t start;
    int rc;

    if ((rc = fc_conn_commit(&w->conn, err)))
        return rc;
    if (w->stays)
        fc_writer_be_wal(w); /* nobody reads it yet */
    fc_writer_close_sql(w);
    start = now_ns();
    if (!w->unsynced && fc_io_sync(w->lock_fd) != 0)
        return fc_error_errno(err, FC_E_IO, w->site, FC_NO_OFFSET, "cannot write to disk");
    if ((rc = name_site(w, err)))
        return rc;
    if (!w->unsynced && fc_io_sync_folder(w->folder) != 0) {
        /* a name that may be gone tomorrow: back to what was before */
        rc = fc_error_errno(err, FC_E_IO, w->folder, FC_NO_OFFSET, "cannot write the folder to disk");
        unlink(w->place);
        w->site_is_index = true;
        return rc;
    }
    w->site_is_index = true;
    if (sync_ns)
        *sync_ns = now_ns() - start;
    return 0;
}

int fc_writer_commit(struct fc_writer *w, int64_t *sync_ns, struct fc_error *err)
{
    int64_t start;
    int rc = fc_writer_settle(w, err);

    if (sync_ns)
        *sync_ns = 0;
    if (rc)
        return rc;
    if (w->fresh)
        return fc_conn_break(&w->conn, commit_site(w, sync_ns, err), err);
    start = now_ns();
    if ((rc = fc_conn_commit(&w->conn, err)))
        return rc;
    w->committed = true;
    fc_writer_forget_statements(w);
    (void)fc_conn_try(&w->conn, "DETACH side");
    fc_writer_end_adding(w);
    if (sync_ns)
        *sync_ns = now_ns() - start;
    return 0;
}

bool fc_writer_wal_left(const struct fc_writer *w)
{
    return w->wal_left;
}

void fc_writer_set_stop(struct fc_writer *w, const int *stop)
{
    w->stop = stop;
    fc_conn_stop(&w->conn, stop);
}

bool fc_writer_has_changed(const struct fc_writer *w)
{
    return sqlite3_total_changes(w->conn.db) != w->changes;
}

void fc_writer_set_late(struct fc_writer *w, int64_t late_ns)
{
    w->late_ns = late_ns;
}

bool fc_writer_is_late(const struct fc_writer *w)
{
    return w->late_ns && now_ns() >= w->late_ns;
}
