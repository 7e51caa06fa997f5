/* SPDX-License-Identifier: MIT */
/* Opening the index that is to be written: a building site beside a name that is free, or an index that is there. */
#include "base/error.h"
#include "base/io.h"
#include "store/db.h"
#include "store/lock_holder.h"
#include "store/path.h"
#include "store/schema.h"
#include "store/writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* What a run adds has its numbers behind these, with room for all that it can add. */
#define LAST_SESSION_MAX (INT64_C(1) << 62)
#define LAST_FILE_MAX (INT64_C(1) << 31)

enum { BUSY_MS = 2000, ALONE_MS = 10000, COMMIT_MS = 60000, BACK_MS = 50 };

/* Is there nothing under this name, or an empty file? Then the index is made. */
static bool vacant(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 || (S_ISREG(st.st_mode) && st.st_size == 0);
}

/*
 * A site that a killed run has left is empty, or a database of one name with our application_id, or begins with zeros
 * where the power went before its first page was on the disk; anything else is somebody's file, also what cannot be
 * read.
 */
static bool is_site(int fd)
{
    static const uint8_t id[4] = {FC_APPLICATION_ID >> 24, FC_APPLICATION_ID >> 16 & 0xff,
                                  FC_APPLICATION_ID >> 8 & 0xff, FC_APPLICATION_ID & 0xff};
    enum { ID_OFF = 68, HEAD = 100 };
    static const uint8_t zeros[HEAD];
    uint8_t head[HEAD];
    struct stat st;

    if (fstat(fd, &st) != 0 || st.st_nlink != 1)
        return false;
    if (st.st_size == 0)
        return true;
    return pread(fd, head, sizeof head, 0) == sizeof head &&
           (memcmp(head, zeros, sizeof head) == 0 ||
            (memcmp(head, "SQLite format 3", 16) == 0 && memcmp(head + ID_OFF, id, sizeof id) == 0));
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
        fd = open(w->site, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return fc_error_errno(err, FC_E_IO, w->site, FC_NO_OFFSET, "cannot create");
        bool busy = flock(fd, LOCK_EX | LOCK_NB) != 0;
        if (busy || !is_site(fd)) {
            char who[80];
            close(fd);
            if (!busy)
                return fc_error_set(err, FC_E_DB, w->site, FC_NO_OFFSET, "is in the way: no index is made there");
            return fc_error_set(err, FC_E_BUSY, w->site, FC_NO_OFFSET, "another flowcarve is making this index: %s",
                                fc_lock_holder_text(w->site, who, sizeof who));
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
    if (w->lock_fd >= 0 && !w->site_is_index)
        unlink(w->site);
    if (w->lock_fd >= 0)
        close(w->lock_fd);
    w->lock_fd = -1;
    free(w->site);
    w->site = NULL;
}

int fc_writer_give_rights(struct fc_writer *w, const struct fc_rights *rights, struct fc_error *err)
{
    struct stat st;

    if (!w->fresh)
        return 0;
    if (stat(w->place, &st) != 0)
        return fc_conn_break(&w->conn, fc_rights_give(w->lock_fd, rights, w->path, err), err);
    (void)fchmod(w->lock_fd, fchown(w->lock_fd, (uid_t)-1, st.st_gid) == 0 ? st.st_mode & 07777 : st.st_mode & 0707);
    return 0;
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

    if ((rc = fc_writer_open_site(w, &w->conn, err)) || (rc = fc_writer_exec(w, fc_schema_flowcarve, err)))
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

/*
 * Whether all that an index has of our tables and indexes is as we make them: expressions and triggers of others would
 * run when we write, and where an index of theirs is unique, a row would take the place of another one. Others' own
 * tables, views, and plain indexes of ours may be there.
 */
static int check_schema(struct fc_writer *w, struct fc_error *err)
{
    static const char others[] =
        "SELECT o.type || ' ' || o.name FROM sqlite_schema o WHERE o.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND (o.type IN ('trigger', 'index') AND o.tbl_name IN (SELECT name FROM temp.ours WHERE type = 'table')"
        " OR o.name IN (SELECT name FROM temp.ours))"
        " AND NOT EXISTS (SELECT 1 FROM temp.ours m WHERE m.type = o.type AND m.name = o.name AND m.sql IS o.sql)"
        " AND NOT (o.type = 'index' AND o.name NOT IN (SELECT name FROM temp.ours)"
        " AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(o.name) x WHERE x.cid = -2)"
        " AND NOT EXISTS (SELECT 1 FROM pragma_index_list(o.tbl_name) l WHERE l.name = o.name AND l.[unique])"
        " AND o.sql NOT LIKE '%where%')"
        " UNION ALL SELECT type || ' ' || name || ', which is missing' FROM temp.ours"
        " WHERE name NOT IN ('loss', 'moved') AND name NOT IN (SELECT name FROM sqlite_schema) LIMIT 1";
    struct fc_conn model = {.name = w->path};
    struct fc_stmt from = {0}, to = {0};
    int rc;

    if ((rc = fc_conn_open(&model, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY, err)) == 0 &&
        (rc = fc_conn_begin(&model, "BEGIN", err)) == 0 && (rc = fc_conn_exec(&model, fc_schema_flowcarve, err)) == 0 &&
        (rc = fc_conn_exec(&model, fc_schema_indexes, err)) == 0 &&
        (rc = fc_conn_exec(&model, fc_schema_loss, err)) == 0 &&
        (rc = fc_conn_exec(&model, fc_schema_moved, err)) == 0 &&
        (rc = fc_conn_exec(&w->conn, "CREATE TEMP TABLE ours (type TEXT, name TEXT, sql TEXT)", err)) == 0) {
        fc_stmt_prepare(&from, &model, "SELECT type, name, sql FROM sqlite_schema");
        fc_stmt_prepare(&to, &w->conn, "INSERT INTO temp.ours VALUES (?, ?, ?)");
        while ((rc = fc_stmt_step(&from, err)) == 1 && rc >= 0) {
            for (int i = 0; i < 3; i++)
                fc_stmt_text(&to, i + 1, (const char *)sqlite3_column_text(from.raw, i));
            if ((rc = fc_stmt_run(&to, err)))
                break;
        }
    }
    fc_stmt_fini(&from);
    fc_stmt_fini(&to);
    fc_conn_close(&model);
    if (rc)
        return rc;
    fc_stmt_prepare(&from, &w->conn, others);
    if ((rc = fc_stmt_step(&from, err)) == 1)
        rc = fc_conn_break(&w->conn,
                           fc_error_set(err, FC_E_SCHEMA, w->path, FC_NO_OFFSET,
                                        "is not added to: it has %.200s as flowcarve does not make it",
                                        (const char *)sqlite3_column_text(from.raw, 0)),
                           err);
    fc_stmt_fini(&from);
    return rc ? rc : fc_conn_exec(&w->conn, "DROP TABLE temp.ours", err);
}

static int begin(struct fc_writer *w, struct fc_error *err)
{
    char sql[200];

    snprintf(sql, sizeof sql,
             "PRAGMA synchronous = %s; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -32768;"
             "PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE",
             w->unsynced ? "OFF" : "FULL");
    return fc_conn_begin(&w->conn, sql, err);
}

int fc_writer_read_ends(struct fc_writer *w, struct fc_error *err)
{
    int64_t last = 0;
    int rc;

    if ((rc = fc_conn_number(&w->conn, "SELECT max(id) FROM files", &last, err)) < 0 ||
        (rc = fc_conn_number(&w->conn, FC_SELECT_RUN, &w->run, err)) < 0 ||
        (rc = fc_conn_number(&w->conn, FC_SELECT_LAST_SESSION, &w->last_session, err)) < 0)
        return rc;
    if (w->last_session > LAST_SESSION_MAX || last > LAST_FILE_MAX)
        return fc_conn_break(&w->conn,
                             fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET,
                                          "is damaged: it has %s %lld, behind which there are no numbers",
                                          w->last_session > LAST_SESSION_MAX ? "session" : "capture",
                                          (long long)(w->last_session > LAST_SESSION_MAX ? w->last_session : last)),
                             err);
    w->last_file = last > 0 && last <= UINT32_MAX ? (uint32_t)last : 0;
    return 0;
}

static bool is_wal(struct fc_writer *w)
{
    sqlite3_stmt *stmt = NULL;
    bool is = sqlite3_prepare_v2(w->conn.db, "PRAGMA journal_mode", -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;

    sqlite3_finalize(stmt);
    return is;
}

/*
 * An index in WAL mode is read by a file in memory beside it, which takes 32 KiB of the disk: where that does not fit,
 * nobody could read it any more, nor could it leave that mode.
 */
static bool has_room_for_wal(const struct fc_writer *w)
{
    enum { ROOM = 256 << 10 };
    struct statvfs disk;

    return statvfs(w->folder, &disk) != 0 || disk.f_bavail >= ROOM / disk.f_frsize;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Changing the mode wants the file for itself. Where somebody reads at that moment, SQLite may wait as long as for any
 * lock or fail at once, so it is tried again. (To take the lock before, by PRAGMA locking_mode, would shut others out
 * for good where another run has changed the mode in between.) A journal that cannot be removed behind the change takes
 * it back, with whom reads next: that is done here, and then tried again likewise. False: the last attempt has failed.
 */
static bool change_mode(struct fc_writer *w, bool wal, int most_ms)
{
    int rc = SQLITE_OK;
    const char *text =
        wal ? "PRAGMA journal_mode = WAL" : "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE";

    /* also where something has broken the connection; only who reads is waited for */
    for (int64_t until = now_ms() + most_ms; is_wal(w) != wal; sqlite3_sleep(1 + getpid() % 4)) {
        rc = sqlite3_exec(w->conn.db, text, NULL, NULL, NULL);
        if (!wal && (rc & 0xff) == SQLITE_IOERR)
            (void)sqlite3_exec(w->conn.db, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL);
        else if ((rc & 0xff) != SQLITE_BUSY || is_wal(w) == wal)
            break;
        if (now_ms() >= until)
            break;
    }
    return rc == SQLITE_OK && is_wal(w) == wal;
}

static void note_own(struct fc_writer *w)
{
    static const char *const ends[FC_WRITER_OWN] = {"", ".new", ".watch", "-journal", "-wal", "-shm"};
    struct stat st;
    char *name;

    w->own_count = 0;
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

/* Where the lock could not be had in time: who has it. In WAL mode it is on the file beside the index. */
static int fail_begin(struct fc_writer *w, int rc, struct fc_error *err)
{
    char who[80], *shm = NULL;
    pid_t pid;

    if ((sqlite3_errcode(w->conn.db) & 0xff) != SQLITE_BUSY)
        return rc;
    bool beside = asprintf(&shm, "%s-shm", w->place) >= 0 && fc_lock_holder(shm, &pid);
    fc_lock_holder_text(beside ? shm : w->place, who, sizeof who);
    free(shm);
    return fc_error_set(err, FC_E_BUSY, w->path, FC_NO_OFFSET, "is being written: %s", who);
}

/*
 * Additions are made in WAL mode, where who reads does not see them before they are complete, and waits for nothing.
 * Where that cannot be had (the locks of some network file systems, a disk that is full), with a rollback journal. The
 * mode changes only between transactions, and stands in the file: so not before something is to be added.
 */
int fc_writer_begin(struct fc_writer *w, struct fc_error *err)
{
    int64_t run = w->run;
    int rc;

    if (w->fresh)
        return 0;
    fc_writer_forget_statements(w);
    /* a commit wants the file for itself also when there is nothing to commit */
    sqlite3_busy_timeout(w->conn.db, ALONE_MS);
    if ((rc = sqlite3_total_changes(w->conn.db) == w->changes ? fc_conn_exec(&w->conn, "ROLLBACK", err)
                                                              : fc_conn_commit(&w->conn, err)))
        return rc;
    if (has_room_for_wal(w))
        (void)change_mode(w, true, ALONE_MS);
    /* without it the commit waits for who reads */
    sqlite3_busy_timeout(w->conn.db, is_wal(w) ? BUSY_MS : COMMIT_MS);
    if ((rc = begin(w, err)))
        return fail_begin(w, rc, err);
    if ((rc = fc_writer_read_ends(w, err)))
        return rc;
    note_own(w); /* what SQLite keeps beside is another file now */
    return run != w->run;
}

/*
 * What is in the -wal is put into the file now and then, as far as nobody reads what was there before; where readers
 * have kept that from being all of it for long, one moment is waited for, or the -wal would grow for ever.
 */
static void stay(struct fc_writer *w)
{
    enum { SOME = 4 << 20, MUCH = 64 << 20, MOMENT_MS = 2000 };
    struct stat st = {.st_size = 0};
    char *wal = NULL;

    if (asprintf(&wal, "%s-wal", w->place) < 0)
        return;
    if (stat(wal, &st) == 0 && st.st_size >= SOME) {
        sqlite3_busy_timeout(w->conn.db, st.st_size >= MUCH ? MOMENT_MS : 0);
        (void)sqlite3_exec(w->conn.db,
                           st.st_size >= MUCH ? "PRAGMA wal_checkpoint(TRUNCATE)" : "PRAGMA wal_checkpoint(PASSIVE)",
                           NULL, NULL, NULL);
    }
    free(wal);
}

void fc_writer_empty_wal(struct fc_writer *w)
{
    enum { MOMENT_MS = 100 };

    if (!w->conn.db || w->fresh)
        return;
    (void)sqlite3_exec(w->conn.db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_busy_timeout(w->conn.db, MOMENT_MS);
    (void)sqlite3_exec(w->conn.db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
}

void fc_writer_be_wal(struct fc_writer *w)
{
    (void)change_mode(w, true, 0);
}

void fc_writer_set_staying(struct fc_writer *w)
{
    w->stays = true;
}

void fc_writer_end_adding(struct fc_writer *w)
{
    if (!w->conn.db || !sqlite3_get_autocommit(w->conn.db))
        return;
    sqlite3_busy_timeout(w->conn.db, 0); /* who reads may do so for hours */
    fc_conn_stop(&w->conn, NULL);
    if (w->stays && is_wal(w)) {
        stay(w);
        return;
    }
    w->wal_left = !change_mode(w, false, BACK_MS);
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
        sqlite3_busy_timeout(w->conn.db, BUSY_MS);
        if ((rc = begin(w, err)))
            return fail_begin(w, rc, err);
        /* who held the lock until now may have put another file in its place */
        if (sqlite3_file_control(w->conn.db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || !moved)
            break;
    }
    clear_site(w);
    if ((rc = check_schema(w, err)) || (rc = fc_writer_find_moved(w, err)))
        return rc;
    w->changes = sqlite3_total_changes(w->conn.db);
    return fc_writer_read_ends(w, err);
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
