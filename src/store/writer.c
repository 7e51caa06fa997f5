/* SPDX-License-Identifier: MIT */
#include "store/writer.h"
#include "base/error.h"
#include "store/db.h"
#include "store/path.h"
#include "store/schema.h"
#include "store/writer_internal.h"

#include <flowcarve/decode.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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

/* Is there nothing under this name, or an empty file? Then the index is made. */
static bool vacant(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 || (S_ISREG(st.st_mode) && st.st_size == 0);
}

/*
 * A site that a killed run has left is empty or a database; anything else is somebody's file, also what cannot be read.
 */
static bool is_site(int fd)
{
    char head[16];
    struct stat st;

    return (fstat(fd, &st) == 0 && st.st_size == 0) ||
           (pread(fd, head, sizeof head, 0) == sizeof head && memcmp(head, "SQLite format 3", sizeof head) == 0);
}

/*
 * The building site beside the name: "<place>.new". The lock keeps a second run out; one left by a killed run is not
 * locked any more and is begun anew. A run that ends between our opening and our locking has renamed or removed what we
 * lock: that is an index by now, or nothing, and no site.
 */
int fc_writer_make_site(struct fc_writer *w, struct fc_error *err)
{
    struct stat named, locked;
    int fd;

    if (asprintf(&w->site, "%s.new", w->place) < 0) {
        w->site = NULL;
        return fc_error_set(err, FC_E_NOMEM, w->path, FC_NO_OFFSET, "out of memory");
    }
    for (;; close(fd)) {
        fd = open(w->site, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0)
            return fc_error_errno(err, FC_E_IO, w->site, FC_NO_OFFSET, "cannot create");
        bool busy = flock(fd, LOCK_EX | LOCK_NB) != 0;
        if (busy || !is_site(fd)) {
            close(fd);
            return fc_error_set(err, FC_E_DB, w->site, FC_NO_OFFSET,
                                busy ? "another flowcarve is making this index"
                                     : "is in the way: no index is made there");
        }
        if (fstat(fd, &locked) == 0 && lstat(w->site, &named) == 0 && locked.st_dev == named.st_dev &&
            locked.st_ino == named.st_ino)
            break;
    }
    w->lock_fd = fd;
    return ftruncate(fd, 0) == 0 ? 0 : fc_error_errno(err, FC_E_IO, w->site, FC_NO_OFFSET, "cannot truncate");
}

void fc_writer_leave_site(struct fc_writer *w)
{
    if (w->lock_fd >= 0 && !w->committed)
        unlink(w->site);
    if (w->lock_fd >= 0)
        close(w->lock_fd);
    w->lock_fd = -1;
    free(w->site);
    w->site = NULL;
}

static int fill_protocols(struct fc_writer *w, struct fc_error *err)
{
    struct fc_stmt stmt = {0};
    const char *name;
    int64_t proto;
    int rc = 0;

    fc_stmt_prepare(&stmt, &w->conn, "INSERT INTO protocols VALUES (?, ?)");
    for (unsigned i = 0; rc == 0 && (proto = fc_proto_at(i, &name)) >= 0; i++) {
        fc_stmt_int(&stmt, 1, proto);
        fc_stmt_text(&stmt, 2, name);
        rc = fc_stmt_run(&stmt, err);
    }
    fc_stmt_fini(&stmt);
    return rc;
}

static int open_fresh(struct fc_writer *w, struct fc_error *err)
{
    int rc;

    if ((rc = fc_writer_open_site(w, err)) || (rc = fc_writer_exec(w, fc_schema_flowcarve, err)))
        return rc;
    return fill_protocols(w, err);
}

/* What a killed run has left beside an index. */
static void clear_site(struct fc_writer *w)
{
    char *site;

    if (asprintf(&site, "%s.new", w->place) < 0)
        return;
    if (access(site, F_OK) == 0)
        (void)fc_writer_make_site(w, NULL);
    fc_writer_leave_site(w);
    free(site);
}

static int open_existing(struct fc_writer *w, struct fc_error *err)
{
    struct fc_db *db = NULL;
    int rc = fc_db_open(w->path, &db, err); /* is it one of ours? */

    fc_db_close(db);
    if (rc)
        return rc;
    for (int moved = 1; moved; fc_writer_close_sql(w)) {
        if ((rc = fc_conn_open(&w->conn, w->path, SQLITE_OPEN_READWRITE, err)))
            return rc;
        sqlite3_busy_timeout(w->conn.db, 2000);
        if ((rc = fc_conn_begin(&w->conn, "PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; BEGIN IMMEDIATE",
                                err)))
            return rc;
        /* who held the lock until now may have put another file in its place */
        if (sqlite3_file_control(w->conn.db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || !moved)
            break;
    }
    clear_site(w);
    rc = fc_conn_number(&w->conn, "PRAGMA data_version", &w->old_version, err);
    return rc < 0 ? rc : 0;
}

/* A name that another run gives to its index just now is not taken from it. */
static int open_vacant(struct fc_writer *w, struct fc_error *err)
{
    int rc = fc_writer_make_site(w, err);

    if (rc == 0 && !vacant(w->place)) {
        fc_writer_leave_site(w);
        w->fresh = false;
    }
    return rc;
}

static void note_own(struct fc_writer *w)
{
    static const char *const ends[FC_WRITER_OWN] = {"", ".new", "-journal", "-wal", "-shm"};
    struct stat st;
    char *name;

    for (int i = 0; i < FC_WRITER_OWN; i++) {
        if (asprintf(&name, "%s%s", w->place, ends[i]) < 0)
            return;
        if (stat(name, &st) == 0) {
            w->own[w->own_count].dev = st.st_dev;
            w->own[w->own_count++].ino = st.st_ino;
        }
        free(name);
    }
}

bool fc_writer_owns(const struct fc_writer *w, uint64_t dev, uint64_t ino)
{
    for (unsigned i = 0; i < w->own_count; i++)
        if (w->own[i].dev == dev && w->own[i].ino == ino)
            return true;
    return false;
}

int fc_writer_open(const char *path, struct fc_writer **out, bool *fresh, struct fc_error *err)
{
    struct fc_writer *w = calloc(1, sizeof *w);
    int rc = 0;

    *out = NULL;
    if (!w)
        return fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
    w->lock_fd = -1;
    w->conn.name = w->path = strdup(path);
    w->place = fc_db_place(path);
    w->folder = w->place ? fc_path_folder(w->place) : NULL;
    if (!w->path || !w->place || (!w->folder && errno == ENOMEM)) {
        rc = fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
    } else if (!w->folder) {
        rc = fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot find the index's folder");
    } else {
        w->fresh = vacant(w->place);
        if (w->fresh)
            rc = open_vacant(w, err);
        w->indexed = !w->fresh;
        if (rc == 0)
            rc = w->fresh ? open_fresh(w, err) : open_existing(w, err);
        note_own(w);
    }
    if (rc) {
        fc_writer_close(w);
        return rc;
    }
    *fresh = w->fresh;
    *out = w;
    return 0;
}

int fc_writer_status(const struct fc_writer *w, struct fc_error *err)
{
    return fc_conn_status(&w->conn, err);
}

void fc_writer_close(struct fc_writer *w)
{
    if (!w)
        return;
    fc_writer_close_sql(w); /* an open transaction is rolled back */
    fc_bulk_free(w->bulk);
    fc_conn_close(&w->old);
    fc_writer_leave_site(w);
    fc_buffer_fini(&w->plain);
    fc_buffer_fini(&w->blob);
    fc_positions_fini(&w->positions);
    fc_spans_fini(&w->spans);
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

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

    if (fd < 0)
        return -1;
    rc = fsync(fd);
    close(fd);
    return rc;
}

static int commit_site(struct fc_writer *w, int64_t *sync_ns, struct fc_error *err)
{
    int64_t start;
    int rc;

    if ((rc = fc_conn_commit(&w->conn, err)))
        return rc;
    fc_writer_close_sql(w);
    start = now_ns();
    if (fsync(w->lock_fd) != 0)
        return fc_error_errno(err, FC_E_IO, w->site, FC_NO_OFFSET, "cannot write to disk");
    if (w->old.db && (rc = fc_writer_old_is_as_it_was(w, err)))
        return rc;
    if (rename(w->site, w->place) != 0)
        return fc_error_errno(err, FC_E_IO, w->path, FC_NO_OFFSET, "cannot rename the new index into place");
    w->committed = true;
    if (sync_folder(w->folder) != 0)
        return fc_error_errno(err, FC_E_IO, w->folder, FC_NO_OFFSET, "cannot write the folder to disk");
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
    if (rc || w->fresh || w->old.db)
        return rc ? rc : fc_conn_break(&w->conn, commit_site(w, sync_ns, err), err);
    start = now_ns();
    rc = fc_conn_commit(&w->conn, err);
    if (sync_ns)
        *sync_ns = now_ns() - start;
    w->committed = rc == 0;
    return rc;
}
