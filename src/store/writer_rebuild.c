/* SPDX-License-Identifier: MIT */
/*
 * An index that many sessions are added to, built anew: every INSERT looks for its places in three indexes, and takes
 * as long as copying some tens of rows in the order in which they lie.
 *
 * What has been changed so far (captures, sessions that go on) is in a transaction on the index that is never
 * committed: what it shows is copied to a building site beside it, the new sessions are added there, and the site is
 * renamed over the index. What fails on the site before the first new session is written leaves that transaction as it
 * was, and they are INSERTed; what fails on the index may have ended it, and breaks the writer.
 */
#include "base/error.h"
#include "store/schema.h"
#include "store/writer_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    NEW_FROM = 1000,     /* new sessions: fewer are INSERTed in no time */
    NEW_SHARE = 24,      /* sessions of the index for a new one, up to which copying them takes less time */
    SESSION_BYTES = 250, /* of a session in the end, about, with its fields, and of what sorting the indexes takes */
    LOOK_ROWS = 0xfff    /* rows between looks at whether to stop */
};

/* Whether building anew pays, and gives the same file: a plain one of one name, with room for another one beside it. */
static bool pays(const struct fc_writer *w, int64_t next_id, struct stat *st)
{
    struct statvfs disk;

    if (w->expected < NEW_FROM || w->expected < (uint64_t)next_id / NEW_SHARE ||
        next_id > (int64_t)FC_INDEX_ROWID_MAX || w->expected > (uint64_t)(FC_INDEX_ROWID_MAX - next_id))
        return false;
    return lstat(w->place, st) == 0 && S_ISREG(st->st_mode) && st->st_nlink == 1 && statvfs(w->folder, &disk) == 0 &&
           disk.f_bavail * disk.f_frsize / 5 * 4 > (uint64_t)st->st_size + w->expected * SESSION_BYTES;
}

/* Tables, indexes and views of both are the same: 1; 0: somebody has added their own; or negative. */
static int same_schema(struct fc_writer *w, struct fc_error *err)
{
    static const char query[] = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'"
                                " ORDER BY type, name";
    struct fc_stmt old = {0}, new = {0};
    int rc = 1, x = 1, y = 1;

    fc_stmt_prepare(&old, &w->old, query);
    fc_stmt_prepare(&new, &w->conn, query);
    while (rc == 1 && x == 1) {
        if ((x = fc_stmt_step(&old, err)) < 0 || (y = fc_stmt_step(&new, err)) < 0)
            rc = x < 0 ? x : y;
        else
            rc = x == y;
        for (int i = 0; rc == 1 && x == 1 && i < 3; i++) {
            const unsigned char *t = sqlite3_column_text(old.raw, i), *u = sqlite3_column_text(new.raw, i);
            rc = t && u ? strcmp((const char *)t, (const char *)u) == 0 : t == u;
        }
    }
    fc_stmt_fini(&old);
    fc_stmt_fini(&new);
    return rc;
}

/* 1, 0, or negative. */
static int is_journal_usual(struct fc_writer *w, struct fc_error *err)
{
    struct fc_stmt stmt = {0};

    fc_stmt_prepare(&stmt, &w->conn, "PRAGMA journal_mode");
    int rc = fc_stmt_step(&stmt, err);
    if (rc == 1) {
        const char *mode = (const char *)sqlite3_column_text(stmt.raw, 0);
        rc = mode && strcmp(mode, "delete") == 0;
    }
    fc_stmt_fini(&stmt);
    return rc;
}

/* All rows of a table, from the index to the site. */
static int copy_table(struct fc_writer *w, const char *name, struct fc_error *err)
{
    char select[96], insert[160];
    struct fc_stmt from = {0}, to = {0};
    int rc = 0, columns;

    snprintf(select, sizeof select, "SELECT * FROM %s", name);
    fc_stmt_prepare(&from, &w->old, select);
    columns = sqlite3_column_count(from.raw);
    int len = snprintf(insert, sizeof insert, "INSERT INTO %s VALUES (?", name);
    for (int i = 1; i < columns && len < (int)sizeof insert - 4; i++)
        len += snprintf(insert + len, sizeof insert - (size_t)len, ",?");
    snprintf(insert + len, sizeof insert - (size_t)len, ")");
    fc_stmt_prepare(&to, &w->conn, insert);
    while (rc == 0 && (rc = fc_stmt_step(&from, err)) == 1) {
        for (int i = 0; i < columns; i++)
            fc_stmt_value(&to, i + 1, sqlite3_column_value(from.raw, i));
        rc = fc_stmt_run(&to, err);
    }
    fc_stmt_fini(&from);
    fc_stmt_fini(&to);
    return rc;
}

/* The tables that are written in bulk come later. 1; 0: there is one that this does not know; or negative. */
static int copy_small_tables(struct fc_writer *w, struct fc_error *err)
{
    static const char *const names[] = {"meta",   "protocols",   "files",        "interfaces",
                                        "damage", "seek_points", "session_span", "open_fragment"};
    int64_t tables = 0;
    int rc = fc_conn_number(&w->conn,
                            "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                            " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
                            &tables, err);

    if (rc < 0 || tables != (int64_t)(sizeof names / sizeof names[0]) + 4)
        return rc < 0 ? rc : 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((rc = copy_table(w, names[i], err)))
            return rc;
    return 1;
}

/* Walks the rows of a query on the index; `row` takes each. 0, FC_E_INTERRUPTED, or another negative code. */
static int walk(struct fc_writer *w, const char *query,
                int (*row)(struct fc_writer *w, sqlite3_stmt *stmt, struct fc_error *err), struct fc_error *err)
{
    struct fc_stmt stmt = {0};
    uint64_t rows = 0;
    int rc = 0;

    fc_stmt_prepare(&stmt, &w->old, query);
    while (rc == 0 && (rc = fc_stmt_step(&stmt, err)) == 1) {
        rc = row(w, stmt.raw, err);
        if (rc == 0 && (++rows & LOOK_ROWS) == 0 && w->stop && __atomic_load_n(w->stop, __ATOMIC_RELAXED))
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    }
    fc_stmt_fini(&stmt);
    return rc;
}

/* The key first, then the rest in the order of the table. */
#define SESSIONS                                                                                                       \
    "SELECT id, " FC_KEY_COLUMNS ", start_ns, duration_ns, client_packets, server_packets, client_bytes,"              \
    " server_bytes, state, positions FROM session ORDER BY id"

static int copy_session(struct fc_writer *w, sqlite3_stmt *stmt, struct fc_error *err)
{
    static const uint8_t columns[] = {9, 10, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 7, 8, 16};
    struct fc_session_record r;
    int client, rc = fc_key_from_row(stmt, 1, &r.key, &client);

    if (rc)
        return rc;
    memset(&r.session, 0, sizeof r.session);
    r.session.first_dir = (uint8_t)client;
    return fc_bulk_copy_session(w->bulk, stmt, columns, sizeof columns, &r, err);
}

static int copy_fields(struct fc_writer *w, sqlite3_stmt *stmt, struct fc_error *err)
{
    return fc_bulk_copy_fields(w->bulk, stmt, err);
}

static int copy_open(struct fc_writer *w, sqlite3_stmt *stmt, struct fc_error *err)
{
    return fc_bulk_open(w->bulk, sqlite3_column_int64(stmt, 0), sqlite3_column_blob(stmt, 1),
                        (size_t)sqlite3_column_bytes(stmt, 1), err);
}

/* The site with everything that the index has; 0, or a code. */
static int copy_all(struct fc_writer *w, const struct stat *st, uint32_t fields, int64_t next_id, struct fc_error *err)
{
    int rc;

    if ((rc = fc_writer_make_site(w, err)))
        return rc;
    if (fchown(w->lock_fd, st->st_uid, st->st_gid) != 0 || fchmod(w->lock_fd, st->st_mode & 07777) != 0)
        return fc_error_errno(err, FC_E_IO, w->site, FC_NO_OFFSET, "cannot be made the same user's");
    if ((rc = fc_writer_open_site(w, err)) || (rc = fc_writer_exec(w, fc_schema_flowcarve, err)) ||
        (rc = fc_writer_exec(w, fc_schema_indexes, err)))
        return rc;
    if ((rc = same_schema(w, err)) < 0 || (rc && (rc = copy_small_tables(w, err)) < 0))
        return rc;
    if (rc == 0)
        return fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "has tables or indexes of somebody else");
    if ((rc = fc_writer_begin_bulk(w, fields, next_id, err)) || (rc = walk(w, SESSIONS, copy_session, err)) ||
        (rc = walk(w, "SELECT * FROM session_fields ORDER BY id", copy_fields, err)))
        return rc;
    return walk(w, "SELECT id, state FROM open_session ORDER BY id", copy_open, err);
}

int fc_writer_rebuild(struct fc_writer *w, uint32_t fields, struct fc_error *err)
{
    struct fc_error why;
    struct stat st;
    int64_t next_id;
    int rc;

    if ((rc = fc_writer_next_id(w, &next_id, err)))
        return rc;
    if (!pays(w, next_id, &st) || (rc = is_journal_usual(w, err)) <= 0)
        return rc;
    fc_writer_forget_statements(w);
    w->old = w->conn;
    w->conn = (struct fc_conn){.name = w->path};
    rc = copy_all(w, &st, fields, next_id, &why);
    if (rc == 0 && !w->old.broken.code)
        return 1;
    fc_bulk_free(w->bulk);
    w->bulk = NULL;
    fc_writer_close_sql(w);
    fc_writer_leave_site(w);
    w->conn = w->old;
    w->old = (struct fc_conn){0};
    if (rc == FC_E_NOMEM || rc == FC_E_INTERRUPTED)
        fc_conn_break(&w->conn, rc, &why);
    return fc_conn_status(&w->conn, err);
}

int fc_writer_old_is_as_it_was(struct fc_writer *w, struct fc_error *err)
{
    int64_t version = 0;
    /*
     * a journal beside the name would be taken for the new file's; locked again, nobody writes before the new one is
     * there
     */
    int rc = fc_conn_exec(&w->old, "ROLLBACK; BEGIN IMMEDIATE", err);

    if (rc || (rc = fc_conn_number(&w->old, "PRAGMA data_version", &version, err)) < 0)
        return rc;
    if (version != w->old_version)
        return fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "was changed by another program meanwhile");
    return 0;
}
