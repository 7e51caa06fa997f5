/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "store/db.h"
#include "store/schema.h"
#include "store/stmt.h"

#include <flowcarve/loss.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECOND INT64_C(1000000000)
#define HOUR_NS (3600 * SECOND)
#define QUIET_NS (60 * SECOND) /* so long a row without drops may be older in the index than it is */

enum { ROWS_MAX = 4096 };

#define NONE SIZE_MAX

/* A row that is not in the index yet, or not as it is by now. */
struct row {
    size_t interface;
    int64_t id;  /* in the index; 0: it is not there */
    int64_t put; /* the same, once what is being written is committed */
    int64_t start_ns, end_ns;
    struct fc_loss_counts counts;
    bool dropped, unwritten;
};

struct interface {
    char *name;
    struct fc_loss_counts totals;
    int64_t until_ns; /* to where it was told of */
    size_t last;      /* its latest row, or NONE */
};

struct fc_loss_log {
    char *path;
    int64_t capture_ns;
    int64_t first_file;
    int64_t written_ns; /* when anything was last, by the times that are told */
    bool written;       /* the index has the table by us */
    struct interface *interfaces;
    size_t interface_count;
    struct row *rows;
    size_t count, room;
};

static int no_memory(const char *path, struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
}

static bool has_index(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_size;
}

static int read_last_file(struct fc_db *db, int64_t *last, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0;

    if (sqlite3_prepare_v2(db->sql, "SELECT max(id) FROM files", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        *last = sqlite3_column_int64(stmt, 0);
    else
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

FC_EXPORT int fc_loss_open(const char *db_path, int64_t capture_ns, struct fc_loss_log **out, struct fc_error *err)
{
    struct fc_loss_log *log = calloc(1, sizeof *log);
    struct fc_db *db = NULL;
    int64_t last = 0;
    int rc = 0;

    *out = NULL;
    if (!log || !(log->path = strdup(db_path))) {
        free(log);
        return no_memory(db_path, err);
    }
    log->capture_ns = capture_ns;
    if (has_index(db_path) && (rc = fc_db_open(db_path, &db, err)) == 0)
        rc = read_last_file(db, &last, err);
    fc_db_close(db);
    log->first_file = last + 1;
    if (rc)
        fc_loss_close(log);
    else
        *out = log;
    return rc;
}

FC_EXPORT void fc_loss_close(struct fc_loss_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->interface_count; i++)
        free(log->interfaces[i].name);
    free(log->interfaces);
    free(log->rows);
    free(log->path);
    free(log);
}

/* ---- what is told becomes rows */

static struct interface *find_interface(struct fc_loss_log *log, const char *name)
{
    struct interface *bigger;
    size_t i = 0;

    while (i < log->interface_count && strcmp(log->interfaces[i].name, name) != 0)
        i++;
    if (i < log->interface_count)
        return &log->interfaces[i];
    if (!(bigger = realloc(log->interfaces, (i + 1) * sizeof *bigger)))
        return NULL;
    log->interfaces = bigger;
    bigger[i] = (struct interface){.name = strdup(name), .until_ns = INT64_MIN, .last = NONE};
    if (!bigger[i].name)
        return NULL;
    log->interface_count++;
    return &bigger[i];
}

static uint64_t more(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static struct fc_loss_counts since(const struct fc_loss_counts *now, const struct fc_loss_counts *before)
{
    return (struct fc_loss_counts){
        .received = more(now->received, before->received),
        .recorded = more(now->recorded, before->recorded),
        .dropped_kernel = more(now->dropped_kernel, before->dropped_kernel),
        .dropped_queue = more(now->dropped_queue, before->dropped_queue),
        .dropped_disk = more(now->dropped_disk, before->dropped_disk),
        .dropped_iface = more(now->dropped_iface, before->dropped_iface),
    };
}

static void add_counts(struct fc_loss_counts *to, const struct fc_loss_counts *c)
{
    to->received += c->received;
    to->recorded += c->recorded;
    to->dropped_kernel += c->dropped_kernel;
    to->dropped_queue += c->dropped_queue;
    to->dropped_disk += c->dropped_disk;
    to->dropped_iface += c->dropped_iface;
}

/* A row goes on while nothing is dropped, for an hour of the clock, and while that does not jump. */
static bool goes_on(const struct row *r, int64_t from_ns, int64_t now_ns, bool dropped)
{
    return !r->dropped && !dropped && r->end_ns == from_ns && r->start_ns / HOUR_NS == (now_ns - 1) / HOUR_NS;
}

static struct row *new_row(struct fc_loss_log *log)
{
    return fc_vector_reserve(&log->rows, &log->room, log->count + 1, sizeof *log->rows) ? NULL : &log->rows[log->count];
}

FC_EXPORT int fc_loss_add(struct fc_loss_log *log, const char *name, int64_t now_ns,
                          const struct fc_loss_counts *totals, struct fc_error *err)
{
    struct interface *f = find_interface(log, name);

    if (!f)
        return no_memory(log->path, err);
    struct fc_loss_counts c = since(totals, &f->totals);
    int64_t from_ns = f->until_ns == INT64_MIN || f->until_ns > now_ns ? now_ns : f->until_ns;
    bool dropped = c.dropped_kernel || c.dropped_queue || c.dropped_disk || c.dropped_iface;
    if (f->until_ns == INT64_MIN && !dropped && !c.received) { /* it begins here */
        f->until_ns = now_ns;
        return 0;
    }
    struct row *r = f->last != NONE ? &log->rows[f->last] : NULL;
    if (!r || (!goes_on(r, from_ns, now_ns, dropped) && log->count < ROWS_MAX)) {
        if (!(r = new_row(log)))
            return no_memory(log->path, err);
        *r = (struct row){.interface = (size_t)(f - log->interfaces), .start_ns = from_ns, .dropped = dropped};
        f->last = log->count++;
    }
    add_counts(&r->counts, &c);
    r->end_ns = now_ns > r->start_ns ? now_ns : r->start_ns;
    r->dropped |= dropped;
    r->unwritten = true;
    f->totals = *totals;
    f->until_ns = now_ns;
    return 0;
}

/* ---- rows into the index */

static bool is_due(const struct fc_loss_log *log, bool all)
{
    int64_t latest_ns = INT64_MIN;
    bool any = false, dropped = false;

    for (size_t i = 0; i < log->count; i++) {
        any |= log->rows[i].unwritten;
        dropped |= log->rows[i].unwritten && log->rows[i].dropped;
        latest_ns = log->rows[i].end_ns > latest_ns ? log->rows[i].end_ns : latest_ns;
    }
    return any && (all || dropped || log->count > log->interface_count || latest_ns < log->written_ns ||
                   latest_ns - log->written_ns >= QUIET_NS);
}

static void bind(struct fc_stmt *s, const struct fc_loss_log *log, const struct row *r, int64_t last_file)
{
    const struct fc_loss_counts *c = &r->counts;
    const int64_t numbers[] = {r->start_ns,
                               r->end_ns,
                               (int64_t)c->received,
                               (int64_t)c->recorded,
                               (int64_t)c->dropped_kernel,
                               (int64_t)c->dropped_queue,
                               (int64_t)c->dropped_disk,
                               (int64_t)c->dropped_iface,
                               log->first_file,
                               last_file > log->first_file ? last_file : log->first_file};

    fc_stmt_int(s, 1, log->capture_ns);
    fc_stmt_text(s, 2, log->interfaces[r->interface].name);
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        fc_stmt_int(s, 3 + i, numbers[i]);
}

/*
 * A row that is in the index is replaced, unless it is not there any more (it was forgotten, or the index is another
 * one by now): then what goes on is a new one.
 */
static int put_row(struct fc_loss_log *log, struct fc_conn *conn, struct fc_stmt *insert, struct fc_stmt *update,
                   struct row *r, int64_t last_file, struct fc_error *err)
{
    int rc;

    if (r->id) {
        fc_stmt_prepare(update, conn,
                        "UPDATE loss SET start_ns = ?3, end_ns = ?4, received = ?5, recorded = ?6, dropped_kernel = ?7,"
                        " dropped_queue = ?8, dropped_disk = ?9, dropped_iface = ?10, first_file = ?11, last_file = ?12"
                        " WHERE id = ?13 AND capture_ns = ?1 AND interface = ?2");
        bind(update, log, r, last_file);
        fc_stmt_int(update, 13, r->id);
        r->put = r->id;
        if ((rc = fc_stmt_run(update, err)) || sqlite3_changes(conn->db))
            return rc;
    }
    fc_stmt_prepare(insert, conn, "INSERT INTO loss VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind(insert, log, r, last_file);
    if ((rc = fc_stmt_run(insert, err)) == 0)
        r->put = sqlite3_last_insert_rowid(conn->db);
    return rc;
}

static int put_rows(struct fc_loss_log *log, struct fc_conn *conn, struct fc_error *err)
{
    struct fc_stmt insert = {0}, update = {0};
    int64_t last_file = 0;
    int rc = fc_conn_number(conn, "SELECT max(id) FROM files", &last_file, err);

    if (last_file + 1 < log->first_file)
        log->first_file = 1;
    for (size_t i = 0; rc >= 0 && i < log->count; i++)
        if (log->rows[i].unwritten)
            rc = put_row(log, conn, &insert, &update, &log->rows[i], last_file, err);
    fc_stmt_fini(&insert);
    fc_stmt_fini(&update);
    return rc < 0 ? rc : 0;
}

/* Only the latest row of each interface may still change. */
static void leave_out_written(struct fc_loss_log *log)
{
    size_t kept = 0;

    for (size_t i = 0; i < log->count; i++) {
        struct interface *f = &log->interfaces[log->rows[i].interface];
        if (log->rows[i].unwritten)
            log->rows[i].id = log->rows[i].put;
        log->rows[i].unwritten = false;
        log->written_ns = log->rows[i].end_ns > log->written_ns ? log->rows[i].end_ns : log->written_ns;
        if (f->last != i)
            continue;
        f->last = kept;
        log->rows[kept++] = log->rows[i];
    }
    log->count = kept;
}

/*
 * The index is another one by now, with other captures. What is noted of rows in the one before is not to be in this
 * one: where they go on is not known.
 */
static void begin_anew(struct fc_loss_log *log)
{
    size_t kept = 0;

    for (size_t i = 0; i < log->count; i++) {
        struct interface *f = &log->interfaces[log->rows[i].interface];
        bool keep = !log->rows[i].id;
        if (f->last == i)
            f->last = keep ? kept : NONE;
        if (keep)
            log->rows[kept++] = log->rows[i];
    }
    log->count = kept;
    log->first_file = 1;
}

/* A transaction on an index of ours. */
static int begin(struct fc_conn *conn, bool *has_table, struct fc_error *err)
{
    int64_t tables = 0;
    int rc = fc_conn_begin_index(conn, false, err);

    if (rc == 0)
        rc = fc_conn_number(conn, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'loss'", &tables,
                            err);
    *has_table = tables;
    return rc < 0 ? rc : 0;
}

FC_EXPORT int fc_loss_write(struct fc_loss_log *log, bool all, struct fc_error *err)
{
    struct fc_conn conn = {.name = log->path};
    bool has_table = false;
    int rc;

    if (!is_due(log, all) || !has_index(log->path))
        return 0;
    rc = begin(&conn, &has_table, err);
    if (rc == 0 && !has_table) {
        if (log->written)
            begin_anew(log);
        log->written = false;
        rc = fc_conn_exec(&conn, fc_schema_loss, err);
    }
    if (rc == 0 && (rc = put_rows(log, &conn, err)) == 0)
        rc = fc_conn_commit(&conn, err);
    fc_conn_close(&conn);
    if (rc)
        return rc;
    leave_out_written(log);
    log->written = true;
    return 0;
}

FC_EXPORT int fc_loss_forget(const char *db_path, int64_t before_ns, uint64_t *rows, struct fc_error *err)
{
    struct fc_conn conn = {.name = db_path};
    struct fc_stmt stmt = {0};
    bool has_table = false;
    int rc;

    if (rows)
        *rows = 0;
    if (!has_index(db_path))
        return fc_error_set(err, FC_E_MISSING, db_path, FC_NO_OFFSET, "no such index");
    if ((rc = begin(&conn, &has_table, err)) == 0 && has_table) {
        /* they are in the order of their times, but for a clock that was set back: what is kept is never looked at */
        fc_stmt_prepare(
            &stmt, &conn,
            "DELETE FROM loss WHERE id < ifnull((SELECT id FROM loss WHERE end_ns >= ?1 ORDER BY id LIMIT 1),"
            " 9223372036854775807)");
        fc_stmt_int(&stmt, 1, before_ns);
        if ((rc = fc_stmt_run(&stmt, err)) == 0 && rows)
            *rows = (uint64_t)sqlite3_changes(conn.db);
        fc_stmt_fini(&stmt);
        rc = rc ? rc : fc_conn_commit(&conn, err);
    }
    fc_conn_close(&conn);
    return rc;
}

/* ---- reading */

/* 1, 0, or a code. */
static int has_loss(struct fc_db *db, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int step = sqlite3_prepare_v2(db->sql, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'loss'", -1,
                                  &stmt, NULL) == SQLITE_OK
                   ? sqlite3_step(stmt)
                   : SQLITE_ERROR;
    int rc = step == SQLITE_ROW    ? 1
             : step == SQLITE_DONE ? 0
                                   : fc_db_error(db->sql, db->path, err, "cannot read the index");

    sqlite3_finalize(stmt);
    return rc;
}

static struct fc_loss_row read_row(sqlite3_stmt *stmt)
{
    const char *name = (const char *)sqlite3_column_text(stmt, 1);
    uint64_t n[10];

    for (int i = 0; i < 10; i++)
        n[i] = (uint64_t)sqlite3_column_int64(stmt, 2 + i);
    return (struct fc_loss_row){
        .capture_ns = sqlite3_column_int64(stmt, 0),
        .interface = name ? name : "",
        .start_ns = (int64_t)n[0],
        .end_ns = (int64_t)n[1],
        .counts = {.received = n[2],
                   .recorded = n[3],
                   .dropped_kernel = n[4],
                   .dropped_queue = n[5],
                   .dropped_disk = n[6],
                   .dropped_iface = n[7]},
        .first_file = (uint32_t)n[8],
        .last_file = (uint32_t)n[9],
    };
}

FC_EXPORT int fc_loss_read(struct fc_db *db, int64_t from_ns, int64_t to_ns,
                           int (*call)(void *ctx, const struct fc_loss_row *row), void *ctx, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int step = SQLITE_DONE, rc = has_loss(db, err);

    if (rc != 1)
        return rc;
    rc = 0;
    if (sqlite3_prepare_v2(db->sql,
                           "SELECT capture_ns, interface, start_ns, end_ns, received, recorded, dropped_kernel,"
                           " dropped_queue, dropped_disk, dropped_iface, first_file, last_file FROM loss"
                           " WHERE end_ns >= ?1 AND start_ns < ?2 ORDER BY id",
                           -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_bind_int64(stmt, 1, from_ns) != SQLITE_OK || sqlite3_bind_int64(stmt, 2, to_ns) != SQLITE_OK)
        step = SQLITE_ERROR;
    while (rc == 0 && step != SQLITE_ERROR && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const struct fc_loss_row row = read_row(stmt);
        rc = call(ctx, &row);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(db->sql, db->path, err, "cannot read table loss");
    sqlite3_finalize(stmt);
    return rc;
}
