/* SPDX-License-Identifier: MIT */
/*
 * An index that many sessions are added to, built anew: every INSERT looks for its places in three indexes, and takes as long as
 * copying some tens of rows in the order in which they lie.
 *
 * What has been changed so far (captures, sessions that go on) is in a transaction on the index that is never committed: what it
 * shows is copied to a building site beside it, the new sessions are added there, and the site is renamed over the index. Whatever
 * fails before the first new session is written leaves that transaction as it was, and they are INSERTed.
 */
#include "base/error.h"
#include "store/db.h"
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

/* Tables, indexes and views of both are the same: else somebody has added their own. */
static bool same_schema(sqlite3 *a, sqlite3 *b)
{
    static const char query[] = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'"
                                " ORDER BY type, name";
    sqlite3_stmt *x = NULL, *y = NULL;
    bool same = sqlite3_prepare_v2(a, query, -1, &x, NULL) == SQLITE_OK &&
                sqlite3_prepare_v2(b, query, -1, &y, NULL) == SQLITE_OK;
    int rc = SQLITE_ROW;

    while (same && rc == SQLITE_ROW) {
        rc = sqlite3_step(x);
        same = sqlite3_step(y) == rc && (rc == SQLITE_ROW || rc == SQLITE_DONE);
        for (int i = 0; same && rc == SQLITE_ROW && i < 3; i++) {
            const unsigned char *t = sqlite3_column_text(x, i), *u = sqlite3_column_text(y, i);
            same = t && u ? strcmp((const char *)t, (const char *)u) == 0 : t == u;
        }
    }
    sqlite3_finalize(x);
    sqlite3_finalize(y);
    return same;
}

static bool is_journal_usual(sqlite3 *sql)
{
    sqlite3_stmt *stmt = NULL;
    bool usual = sqlite3_prepare_v2(sql, "PRAGMA journal_mode", -1, &stmt, NULL) == SQLITE_OK &&
                 sqlite3_step(stmt) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "delete") == 0;

    sqlite3_finalize(stmt);
    return usual;
}

/* All rows of a table, from the index to the site. An SQLite code. */
static int copy_table(struct fc_writer *w, const char *name)
{
    char select[96], insert[160];
    sqlite3_stmt *from = NULL, *to = NULL;
    int rc, step, columns;

    snprintf(select, sizeof select, "SELECT * FROM %s", name);
    if ((rc = sqlite3_prepare_v2(w->old, select, -1, &from, NULL)) != SQLITE_OK)
        return rc;
    columns = sqlite3_column_count(from);
    int len = snprintf(insert, sizeof insert, "INSERT INTO %s VALUES (?", name);
    for (int i = 1; i < columns && len < (int)sizeof insert - 4; i++)
        len += snprintf(insert + len, sizeof insert - (size_t)len, ",?");
    snprintf(insert + len, sizeof insert - (size_t)len, ")");
    rc = sqlite3_prepare_v2(w->sql, insert, -1, &to, NULL);
    while (rc == SQLITE_OK && (step = sqlite3_step(from)) != SQLITE_DONE) {
        for (int i = 0; i < columns && step == SQLITE_ROW; i++)
            sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
        rc = step != SQLITE_ROW ? step : sqlite3_step(to) == SQLITE_DONE ? sqlite3_reset(to) : SQLITE_ERROR;
    }
    sqlite3_finalize(from);
    sqlite3_finalize(to);
    return rc;
}

/* The tables that are written in bulk come later. */
static bool copy_small_tables(struct fc_writer *w)
{
    static const char *const names[] = {"meta",   "protocols",   "files",        "interfaces",
                                        "damage", "seek_points", "session_span", "open_fragment"};
    int64_t tables = fc_writer_number(w->sql, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                                              " AND name NOT LIKE 'sqlite!_%' ESCAPE '!'");

    if (tables != (int64_t)(sizeof names / sizeof names[0]) + 4)
        return false; /* of one that this does not know */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (copy_table(w, names[i]) != SQLITE_OK)
            return false;
    return true;
}

/* Walks the rows of a query on the index; `row` takes each. 0, FC_E_INTERRUPTED, or another negative code. */
static int walk(struct fc_writer *w, const char *query,
                int (*row)(struct fc_writer *w, sqlite3_stmt *stmt, struct fc_error *err), struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    uint64_t rows = 0;
    int rc = 0, step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(w->old, query, -1, &stmt, NULL) == SQLITE_OK)
        while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
            rc = row(w, stmt, err);
            if (rc == 0 && (++rows & LOOK_ROWS) == 0 && w->stop && __atomic_load_n(w->stop, __ATOMIC_RELAXED))
                rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(w->old, w->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
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
    fc_run_init(&r.run);
    r.run.first_dir = (uint8_t)client;
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
    if (!same_schema(w->old, w->sql) || !copy_small_tables(w))
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

    if (fc_writer_next_id(w, &next_id, &why) || !pays(w, next_id, &st) || !is_journal_usual(w->sql))
        return 0;
    fc_writer_forget_statements(w);
    w->old = w->sql;
    w->sql = NULL;
    rc = copy_all(w, &st, fields, next_id, &why);
    if (rc == 0)
        return 1;
    fc_bulk_free(w->bulk);
    w->bulk = NULL;
    fc_writer_close_sql(w);
    fc_writer_leave_site(w);
    w->sql = w->old;
    w->old = NULL;
    if (rc != FC_E_NOMEM && rc != FC_E_INTERRUPTED)
        return 0;
    *err = why;
    return rc;
}

int fc_writer_old_is_as_it_was(struct fc_writer *w, struct fc_error *err)
{
    /* a journal beside the name would be taken for the new file's; locked again, nobody writes before the new one is there */
    if (sqlite3_exec(w->old, "ROLLBACK; BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return fc_db_error(w->old, w->path, err, "cannot write the index");
    if (fc_writer_number(w->old, "PRAGMA data_version") != w->old_version)
        return fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "was changed by another program meanwhile");
    return 0;
}
