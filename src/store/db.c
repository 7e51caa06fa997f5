/* SPDX-License-Identifier: MIT */
#include "store/db.h"
#include "base/error.h"
#include "base/export.h"
#include "store/lock_holder.h"
#include "store/schema.h"
#include "store/watch_lock.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 5000 };

sqlite3 *fc_db_sqlite(struct fc_db *db)
{
    return db->sql;
}

/* SQLite calls it damage, too, when a disk does not give a page: its errno, else 0. */
static int failed_read(sqlite3 *sql)
{
    int cause = 0;

    if (sqlite3_file_control(sql, "main", SQLITE_FCNTL_LAST_ERRNO, &cause) != SQLITE_OK)
        return 0;
    return cause == EIO || cause == ENXIO || cause == ERANGE ? cause : 0; /* as os_unix.c has them */
}

int fc_db_error(sqlite3 *sql, const char *path, struct fc_error *err, const char *what)
{
    int rc = sql ? sqlite3_errcode(sql) & 0xff : SQLITE_NOMEM, lost = rc == SQLITE_CORRUPT ? failed_read(sql) : 0;
    bool io = rc == SQLITE_IOERR || rc == SQLITE_FULL || rc == SQLITE_CANTOPEN;
    int code = rc == SQLITE_NOMEM ? FC_E_NOMEM : rc == SQLITE_INTERRUPT ? FC_E_INTERRUPTED : io ? FC_E_IO : FC_E_DB;
    int cause = io && rc != SQLITE_FULL ? sqlite3_system_errno(sql) : 0;

    if (lost)
        return fc_error_set(err, FC_E_IO, path, FC_NO_OFFSET, "%s: disk I/O error: %s", what, strerror(lost));
    if (cause) /* of these SQLite's message does not say why */
        return fc_error_set(err, code, path, FC_NO_OFFSET, "%s: %s: %s", what, sqlite3_errmsg(sql), strerror(cause));
    return fc_error_set(err, code, path, FC_NO_OFFSET, "%s: %s", what, sql ? sqlite3_errmsg(sql) : "out of memory");
}

int fc_db_meta(struct fc_db *db, const char *name, char **value, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int step = SQLITE_ERROR, rc = 0;

    *value = NULL;
    if (sqlite3_prepare_v2(db->sql, "SELECT value FROM meta WHERE name = ?", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC) == SQLITE_OK)
        step = sqlite3_step(stmt);
    if (step == SQLITE_ROW || step == SQLITE_DONE) {
        bool has = step == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
        const char *text = has ? (const char *)sqlite3_column_text(stmt, 0) : "";
        if (!text || !(*value = strdup(text)))
            rc = fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    } else {
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    }
    sqlite3_finalize(stmt);
    return rc;
}

int fc_db_sqlite_open(const char *path, sqlite3 **sql, int flags)
{
    char *plain = NULL;
    int rc;

    *sql = NULL;
    if (asprintf(&plain, "%s%s", *path == '/' ? "" : "./", path) < 0)
        return SQLITE_NOMEM;
    rc = sqlite3_open_v2(plain, sql, flags, NULL);
    free(plain);
    return rc;
}

void fc_db_harden(sqlite3 *sql)
{
    sqlite3_db_config(sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(sql, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(sql, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    sqlite3_limit(sql, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_limit(sql, SQLITE_LIMIT_ATTACHED, 1);
    sqlite3_limit(sql, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100);
    sqlite3_limit(sql, SQLITE_LIMIT_FUNCTION_ARG, 16);
}

char *fc_db_place(const char *path)
{
    struct stat st;
    char *real = NULL;

    errno = 0;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        real = realpath(path, NULL);
    return real || errno == ENOMEM ? real : strdup(path);
}

char *fc_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    char *real = folder ? realpath(folder, NULL) : NULL;

    free(folder);
    return real;
}

/* False when it cannot be read: the connection knows why. */
static bool read_pragma(sqlite3 *sql, const char *pragma, int64_t *value)
{
    sqlite3_stmt *stmt = NULL;
    bool read = sqlite3_prepare_v2(sql, pragma, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW;

    if (read)
        *value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return read;
}

/* readable: the first look at the database was possible. */
static int check_schema(struct fc_db *db, bool readable, struct fc_error *err)
{
    int64_t id = 0, version = 0;

    if (readable)
        readable =
            read_pragma(db->sql, "PRAGMA application_id", &id) && read_pragma(db->sql, "PRAGMA user_version", &version);
    if (!readable && sqlite3_errcode(db->sql) != SQLITE_NOTADB)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    if (id != FC_APPLICATION_ID)
        return fc_error_set(err, FC_E_SCHEMA, db->path, FC_NO_OFFSET, "not a flowcarve index");
    if (version != FC_SCHEMA_VERSION)
        return fc_error_set(err, FC_E_SCHEMA, db->path, FC_NO_OFFSET,
                            "index of schema version %lld, this flowcarve reads version %d; make it anew: flowcarve"
                            " index -d NEW.db CAPTURES",
                            (long long)version, FC_SCHEMA_VERSION);
    return 0;
}

/* Ends the statement that reads sqlite_stat1; others of a schema being read have other columns. */
static int pass_over_statistics(void *sql)
{
    sqlite3_stmt *stmt = sqlite3_next_stmt(sql, NULL);
    const char *name = stmt ? sqlite3_column_name(stmt, 0) : NULL;

    return name && strcmp(name, "tbl") == 0;
}

/*
 * SQLite reads the statistics of its planner behind the schema, and does without where that fails. Those of a file are
 * what somebody has written there, and a wrong number makes it read all sessions to find one: so that is made to fail.
 * The call does nothing but read the schema.
 */
static void read_schema(sqlite3 *sql)
{
    sqlite3_progress_handler(sql, 1, pass_over_statistics, sql);
    sqlite3_table_column_metadata(sql, "main", "session", NULL, NULL, NULL, NULL, NULL, NULL);
    sqlite3_progress_handler(sql, 0, NULL, NULL);
}

/*
 * An addition that was killed may have left a journal with the state before it. A connection for reading only cannot
 * bring that back, and says SQLITE_READONLY; one for writing does when it reads for the first time.
 */
static void roll_back(const char *path)
{
    sqlite3 *sql = NULL;
    int64_t version;

    if (fc_db_sqlite_open(path, &sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX) == SQLITE_OK) {
        sqlite3_busy_timeout(sql, BUSY_MS);
        read_pragma(sql, "PRAGMA user_version", &version);
    }
    sqlite3_close(sql);
}

static bool has_beside(const char *place, const char *end)
{
    char *name = NULL;
    bool there = asprintf(&name, "%s%s", place, end) >= 0 && access(name, F_OK) == 0;

    if (name)
        free(name);
    return there;
}

/*
 * A folder that cannot be written to, and an index that a writer has left in WAL mode, since somebody read it: SQLite
 * wants to make a file for its locks. Without a -wal all that there is is in the file itself, and can be read.
 */
static bool is_left_in_wal(const struct fc_db *db, const char *place)
{
    char *wal = NULL;
    struct stat st;
    bool none;

    if ((sqlite3_errcode(db->sql) & 0xff) != SQLITE_CANTOPEN && (sqlite3_errcode(db->sql) & 0xff) != SQLITE_READONLY)
        return false;
    /* with a journal it is half of an addition that was killed; what there was before is in the journal */
    if (has_beside(place, "-journal") || asprintf(&wal, "%s-wal", place) < 0)
        return false;
    none = stat(wal, &st) != 0 ? errno == ENOENT : st.st_size == 0;
    free(wal);
    return none && access(db->folder, W_OK) != 0;
}

static int open_immutable(struct fc_db *db, const char *place, struct fc_error *err)
{
    char *uri = malloc(3 * strlen(place) + sizeof "file:./?immutable=1"), *to = uri;
    int rc;

    if (!uri)
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    to += sprintf(to, "file:%s", *place == '/' ? "" : "./");
    for (const char *c = place; *c; c++)
        to += strchr("%?#", *c) ? sprintf(to, "%%%02X", (unsigned char)*c) : sprintf(to, "%c", *c);
    strcpy(to, "?immutable=1");
    sqlite3_close(db->sql);
    rc = sqlite3_open_v2(uri, &db->sql, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
    free(uri);
    if (rc != SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot open the index");
    fc_db_harden(db->sql);
    return 0;
}

/* There is no index; perhaps its first run is going on. */
static int fail_missing(const char *path, struct fc_error *err)
{
    char *site, who[80];
    pid_t pid;

    if (asprintf(&site, "%s.new", path) < 0)
        return fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
    bool making = fc_lock_holder(site, &pid);
    if (making)
        fc_lock_holder_text(site, who, sizeof who);
    free(site);
    if (!making && fc_watch_lock_check(path, NULL) == FC_E_BUSY)
        return fc_error_set(err, FC_E_MISSING, path, FC_NO_OFFSET,
                            "there is no index yet: no capture has come to the folders that flowcarve watch looks at");
    return making
               ? fc_error_set(err, FC_E_MISSING, path, FC_NO_OFFSET,
                              "this index is being made and appears when it is complete (%s)", who)
               : fc_error_set(err, FC_E_MISSING, path, FC_NO_OFFSET, "no such index; make one with `flowcarve index`");
}

FC_EXPORT int fc_db_open(const char *path, struct fc_db **out, struct fc_error *err)
{
    struct stat st;
    struct fc_db *db;
    char *place = NULL;
    int rc;

    *out = NULL;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? fail_missing(path, err)
                               : fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot open the index");
    if (!S_ISREG(st.st_mode))
        return fc_error_set(err, FC_E_SCHEMA, path, FC_NO_OFFSET, "not a flowcarve index");
    db = calloc(1, sizeof *db);
    if (!db || !(db->path = strdup(path)) || !(place = fc_db_place(path)) || !(db->folder = fc_path_folder(place))) {
        rc = fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
        goto out;
    }
    rc = fc_db_sqlite_open(path, &db->sql, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX);
    if (rc != SQLITE_OK) {
        rc = fc_db_error(db->sql, path, err, "cannot open the index");
        goto out;
    }
    sqlite3_busy_timeout(db->sql, BUSY_MS);
    fc_db_harden(db->sql);
    int64_t version;
    bool readable = read_pragma(db->sql, "PRAGMA user_version", &version);
    if (!readable && is_left_in_wal(db, place)) {
        if ((rc = open_immutable(db, place, err)))
            goto out;
        readable = read_pragma(db->sql, "PRAGMA user_version", &version);
    }
    if (!readable && (sqlite3_errcode(db->sql) & 0xff) == SQLITE_READONLY) {
        roll_back(path);
        readable = true;
        if (!read_pragma(db->sql, "PRAGMA user_version", &version) &&
            (sqlite3_errcode(db->sql) & 0xff) == SQLITE_READONLY) {
            rc =
                fc_error_set(err, FC_E_DB, path, FC_NO_OFFSET,
                             "cannot be read: a run that was adding to it was killed, and what it had changed is to be "
                             "taken back (by %.200s-journal); whoever may write both, and their folder, does that by "
                             "any command",
                             place);
            goto out;
        }
    }
    if (!readable && (sqlite3_errcode(db->sql) & 0xff) == SQLITE_CANTOPEN && access(db->folder, W_OK) != 0 &&
        has_beside(place, "-wal")) {
        rc = fc_error_set(err, FC_E_DB, path, FC_NO_OFFSET,
                          "cannot be read: it has %.200s-wal beside it, which is read by way of another file there; "
                          "whoever may write the folder makes one file of all by running `flowcarve index`",
                          place);
        goto out;
    }
    rc = check_schema(db, readable, err);
    if (rc == 0) {
        read_schema(db->sql);
        *out = db;
    }
out:
    free(place);
    if (rc)
        fc_db_close(db);
    return rc;
}

static int is_stopped(void *db)
{
    return fc_db_is_stopped(db);
}

FC_EXPORT void fc_db_set_stop(struct fc_db *db, const int *stop)
{
    enum { STEPS = 10000 }; /* of SQLite's machine: less than a millisecond */

    db->stop = stop;
    sqlite3_progress_handler(db->sql, stop ? STEPS : 0, is_stopped, db);
}

FC_EXPORT void fc_db_close(struct fc_db *db)
{
    if (!db)
        return;
    sqlite3_close(db->sql);
    free(db->path);
    free(db->folder);
    free(db);
}
