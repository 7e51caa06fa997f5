/* SPDX-License-Identifier: MIT */
/*
 * What an index has of captures that are forgotten goes, bit by bit, so that one that is fed and forgotten at one rate
 * does not grow: sessions without packets, what their spans say, rows of captures that are deleted, the journal's.
 */
#include "base/error.h"
#include "store/writer_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SPAN = 4096, JOURNAL_KEPT = 4096 };

static int run(struct fc_writer *w, enum fc_writer_stmt_id id, const char *sql, int64_t a, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, id, sql);

    fc_stmt_int(stmt, 1, a);
    return fc_stmt_run(stmt, err);
}

/* IDs come in their order, so that a span is changed once for many sessions. */
int fc_writer_flush_dropped(struct fc_writer *w, struct fc_error *err)
{
    struct fc_dropped *d = &w->dropped;

    if (!d->packets && !d->bytes)
        return 0;
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FORGET_SPAN,
                                          "UPDATE session_span SET packets = packets - ?2, bytes = bytes - ?3"
                                          " WHERE first_id = ?1");
    fc_stmt_int(stmt, 1, d->span);
    fc_stmt_int(stmt, 2, d->packets);
    fc_stmt_int(stmt, 3, d->bytes);
    d->packets = d->bytes = 0;
    return fc_stmt_run(stmt, err);
}

int fc_writer_drop_session(struct fc_writer *w, int64_t id, struct fc_error *err)
{
    struct fc_dropped *d = &w->dropped;
    int64_t span = ((id - 1) >> 12) * SPAN + 1;
    int rc = span == d->span ? 0 : fc_writer_flush_dropped(w, err);

    d->span = span;
    if (rc == 0)
        rc = run(w, FC_STMT_FORGET_FIELDS, "DELETE FROM session_fields WHERE id = ?1", id, err);
    if (rc == 0)
        rc = run(w, FC_STMT_FORGET_COUNT, "DELETE FROM session_forgotten WHERE id = ?1", id, err);
    if (rc == 0)
        rc = fc_writer_drop_moved(w, id, err);
    if (rc)
        return rc;
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FORGET_SESSION,
                                          "DELETE FROM session WHERE id = ?1 RETURNING client_packets + server_packets,"
                                          " client_bytes + server_bytes");
    fc_stmt_int(stmt, 1, id);
    if ((rc = fc_stmt_step(stmt, err)) == 1) {
        d->packets += sqlite3_column_int64(stmt->raw, 0);
        d->bytes += sqlite3_column_int64(stmt->raw, 1);
        rc = fc_stmt_step(stmt, err);
    }
    return rc;
}

int fc_writer_sweep_spans(struct fc_writer *w, struct fc_error *err)
{
    int rc = fc_writer_flush_dropped(w, err);

    return rc ? rc
              : fc_writer_exec(w,
                               "DELETE FROM session_port WHERE epoch IN (SELECT (first_id - 1) >> 18 FROM session_span"
                               " WHERE packets = 0) AND EXISTS (SELECT 1 FROM session_span"
                               " WHERE first_id = (epoch << 18) + (block >> 6 << 12) + 1 AND packets = 0);"
                               "DELETE FROM session_span WHERE packets = 0",
                               err);
}

int fc_writer_drop_places(struct fc_writer *w, uint32_t file, struct fc_error *err)
{
    static const char *const tables[] = {"interfaces", "seek_points", "damage"};
    char text[96];
    int rc = 0;

    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && rc == 0; i++) {
        snprintf(text, sizeof text, "DELETE FROM %s WHERE file = %u", tables[i], file);
        rc = fc_writer_exec(w, text, err);
    }
    return rc;
}

int fc_writer_mark_forgotten(struct fc_writer *w, uint32_t file, enum fc_forgotten_how how, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_GET_MARK, "SELECT resume FROM files WHERE id = ?");
    struct fc_forgotten_mark mark;
    uint8_t bytes[FC_FORGOTTEN_BYTES];
    struct timespec now;
    int rc;

    fc_stmt_int(stmt, 1, file);
    if ((rc = fc_stmt_step(stmt, err)) < 0)
        return rc;
    if (rc == 0 ||
        !fc_forgotten_mark_get(sqlite3_column_blob(stmt->raw, 0), (size_t)sqlite3_column_bytes(stmt->raw, 0), &mark)) {
        clock_gettime(CLOCK_REALTIME, &now);
        mark = (struct fc_forgotten_mark){.time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
    }
    fc_stmt_reset(stmt);
    if (how)
        mark.how = how;
    stmt = fc_writer_stmt(w, FC_STMT_MARK, "UPDATE files SET resume = ?2 WHERE id = ?1");
    fc_stmt_int(stmt, 1, file);
    fc_forgotten_mark_put(&mark, bytes);
    fc_stmt_blob(stmt, 2, bytes, sizeof bytes);
    return fc_stmt_run(stmt, err);
}

/* The last one tells which IDs there have been. */
int fc_writer_drop_file(struct fc_writer *w, uint32_t file, struct fc_error *err)
{
    int64_t last = 0;
    int rc = fc_conn_number(&w->conn, "SELECT max(id) FROM files", &last, err);

    if (rc < 0)
        return rc;
    if (last == file)
        return 0;
    if ((rc = fc_writer_drop_places(w, file, err)) == 0 &&
        (rc = run(w, FC_STMT_DROP_COPIES, "DELETE FROM copies WHERE file = ?", file, err)) == 0)
        rc = run(w, FC_STMT_DROP_FILE, "DELETE FROM files WHERE id = ?", file, err);
    return rc ? rc : 1;
}

/* Sessions without packets of a span; those of a span that has no others go with it. */
static int drop_span(struct fc_writer *w, int64_t first, uint64_t *sessions, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_KEPT,
                                          "SELECT id FROM session WHERE id BETWEEN ?1 AND ?1 + 4095 AND"
                                          " length(positions) = 0 AND NOT flags & ?2");
    int64_t ids[SPAN];
    size_t count = 0;
    int rc;

    fc_stmt_int(stmt, 1, first);
    fc_stmt_int(stmt, 2, FC_ROW_MORE);
    while ((rc = fc_stmt_step(stmt, err)) == 1 && count < SPAN)
        ids[count++] = sqlite3_column_int64(stmt->raw, 0);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = fc_writer_drop_session(w, ids[i], err);
    *sessions += count;
    return rc == 0 && count ? fc_writer_sweep_spans(w, err) : rc;
}

int fc_writer_drop_kept(struct fc_writer *w, int64_t before_ns, unsigned most, int64_t *from, uint64_t *sessions,
                        struct fc_error *err)
{
    int64_t span = 0;
    int rc = 1;

    while (rc == 1 && most--) {
        struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_OLD_SPAN,
                                              "SELECT first_id FROM session_span WHERE first_id >= ?1 AND first_id > 0"
                                              " AND (end_ns IS NULL OR end_ns < ?2) ORDER BY first_id LIMIT 1");
        fc_stmt_int(stmt, 1, *from);
        fc_stmt_int(stmt, 2, before_ns);
        if ((rc = fc_stmt_step(stmt, err)) < 0)
            return rc;
        span = rc ? sqlite3_column_int64(stmt->raw, 0) : 0;
        fc_stmt_reset(stmt);
        if (rc && (rc = drop_span(w, span, sessions, err)) == 0)
            rc = 1;
        *from = rc == 1 ? span + SPAN : 0;
    }
    return rc < 0 ? rc : 0;
}

int fc_writer_drop_runs(struct fc_writer *w, unsigned most, int64_t *from, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_RUNS_END,
                                          "SELECT max(id) FROM (SELECT id FROM run WHERE id > ?1 AND id <="
                                          " (SELECT max(id) FROM run) - ?2 ORDER BY id LIMIT ?3)");
    int rc;

    fc_stmt_int(stmt, 1, *from);
    fc_stmt_int(stmt, 2, JOURNAL_KEPT);
    fc_stmt_int(stmt, 3, most);
    if ((rc = fc_stmt_step(stmt, err)) < 0)
        return rc;
    int64_t end = rc ? sqlite3_column_int64(stmt->raw, 0) : 0;
    fc_stmt_reset(stmt);
    if (end) {
        stmt = fc_writer_stmt(w, FC_STMT_DROP_RUNS,
                              "DELETE FROM run WHERE id > ?1 AND id <= ?2 AND NOT EXISTS (SELECT 1 FROM files f WHERE"
                              " f.id BETWEEN first_file AND last_file AND f.forgotten < f.records - f.ignored)");
        fc_stmt_int(stmt, 1, *from);
        fc_stmt_int(stmt, 2, end);
        if ((rc = fc_stmt_run(stmt, err)))
            return rc;
    }
    *from = end;
    return 0;
}
