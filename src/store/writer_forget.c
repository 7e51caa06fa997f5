/* SPDX-License-Identifier: MIT */
/*
 * Forgetting a capture: its positions leave the index, in transactions of some thousand sessions each. What is counted
 * stays, in the session's row and the file's, and how many of these packets are forgotten is kept by both. A session
 * that has no position left goes as a whole, unless it is to stay as what it was. Each transaction leaves an index of
 * which all is true; the next call goes on where one was interrupted.
 */
#include "base/error.h"
#include "base/vector.h"
#include "flow/positions.h"
#include "store/piece.h"
#include "store/writer_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2000 /* sessions, or rows of positions, of one transaction */ };

struct forget {
    struct fc_writer *w;
    uint32_t file;
    bool keep;
    bool together;              /* it is not the time to end a transaction */
    uint64_t left;              /* packets of the file that are still to be forgotten */
    uint64_t packets, sessions; /* of the transaction at hand */
    struct fc_forgotten *sum;
    struct fc_error *err;
};

/* A session that is changed: those of its packets that are forgotten, and what is left of its row's positions. */
struct change {
    int64_t id;
    uint64_t packets;
    uint8_t *blob; /* from malloc(); NULL: as it is */
    size_t len;
    bool last; /* nothing is left of it anywhere */
};

static int run(struct forget *f, enum fc_writer_stmt_id id, const char *sql, int64_t a, int64_t b)
{
    struct fc_stmt *stmt = fc_writer_stmt(f->w, id, sql);

    fc_stmt_int(stmt, 1, a);
    fc_stmt_int(stmt, 2, b);
    return fc_stmt_run(stmt, f->err);
}

static int count_left(struct forget *f)
{
    char text[96];
    int64_t left = 0;
    int rc;

    snprintf(text, sizeof text, "SELECT records - ignored - forgotten FROM files WHERE id = %u", f->file);
    rc = fc_conn_number(&f->w->conn, text, &left, f->err);
    f->left = left > 0 ? (uint64_t)left : 0;
    return rc < 0 ? rc : 0;
}

/* Ends the transaction, if anything was changed in it, with the file's count; and begins another one. */
static int next_transaction(struct forget *f)
{
    struct fc_conn *conn = &f->w->conn;
    int rc;

    if (!f->packets || f->together)
        return 0;
    if ((rc = fc_writer_flush_dropped(f->w, f->err)) ||
        (rc = run(f, FC_STMT_FORGET_FILE, "UPDATE files SET forgotten = forgotten + ?2 WHERE id = ?1", f->file,
                  (int64_t)f->packets)) ||
        (rc = fc_conn_commit(conn, f->err)))
        return rc;
    f->sum->packets += f->packets;
    f->sum->sessions += f->sessions;
    f->packets = f->sessions = 0;
    (void)fc_conn_try(conn, "PRAGMA wal_checkpoint(PASSIVE)");
    if ((rc = fc_conn_begin(conn, "BEGIN IMMEDIATE", f->err)) || (rc = fc_writer_read_ends(f->w, f->err)))
        return rc;
    return count_left(f); /* somebody else may have come between */
}

static int drop_session(struct forget *f, int64_t id)
{
    f->sessions++;
    return fc_writer_drop_session(f->w, id, f->err);
}

/* Writes a change; of a session of which nothing is left it goes. */
static int apply(struct forget *f, const struct change *c)
{
    struct fc_writer *w = f->w;
    struct fc_stmt *stmt;
    int rc;

    f->packets += c->packets;
    f->left -= c->packets < f->left ? c->packets : f->left;
    if (c->last && (!f->keep || c->id < 0))
        return drop_session(f, c->id);
    if (c->blob) {
        stmt = fc_writer_stmt(w, FC_STMT_FORGET_INLINE, "UPDATE session SET positions = ?2 WHERE id = ?1");
        fc_stmt_int(stmt, 1, c->id);
        fc_stmt_blob(stmt, 2, c->blob, c->len);
        if ((rc = fc_stmt_run(stmt, f->err)))
            return rc;
    }
    stmt = fc_writer_stmt(w, FC_STMT_FORGET_LEFT,
                          "SELECT length(positions), EXISTS (SELECT 1 FROM session_positions WHERE session = ?1)"
                          " FROM session WHERE id = ?1");
    fc_stmt_int(stmt, 1, c->id);
    if ((rc = fc_stmt_step(stmt, f->err)) < 0)
        return rc;
    bool inside = rc == 1 && sqlite3_column_int64(stmt->raw, 0) > 0;
    bool beside = rc == 1 && sqlite3_column_int64(stmt->raw, 1) != 0;
    fc_stmt_reset(stmt);
    if (rc == 0)
        return fc_writer_damaged(w, c->id, f->err);
    if (!inside && !beside && (!f->keep || c->id < 0))
        return drop_session(f, c->id);
    if (!beside &&
        (rc = run(f, FC_STMT_FORGET_MORE, "UPDATE session SET flags = flags & ~?2 WHERE id = ?1 AND flags & ?2", c->id,
                  FC_ROW_MORE)))
        return rc;
    return run(f, FC_STMT_FORGET_ADD,
               "INSERT INTO session_forgotten VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET packets = packets + ?2",
               c->id, (int64_t)c->packets);
}

/* Between two batches: whether there is time for another one. */
static int next_batch(struct forget *f)
{
    bool done = f->packets != 0;
    int rc = next_transaction(f);

    return rc == 0 && done && !f->together && fc_writer_is_late(f->w)
               ? fc_error_set(f->err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted")
               : rc;
}

/* A session has as many rows as runs have added to it, and is changed once. Without blobs. */
static int compare_changes(const void *a, const void *b)
{
    const struct change *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static void join(struct change *changes, size_t *count)
{
    size_t kept = 0;

    qsort(changes, *count, sizeof *changes, compare_changes);
    for (size_t i = 0; i < *count; i++) {
        if (kept && changes[kept - 1].id == changes[i].id)
            changes[kept - 1].packets += changes[i].packets;
        else
            changes[kept++] = changes[i];
    }
    *count = kept;
}

static int apply_all(struct forget *f, struct change *changes, size_t *count)
{
    int rc = 0;

    for (size_t i = 0; i < *count; i++) {
        if (rc == 0)
            rc = apply(f, &changes[i]);
        free(changes[i].blob);
    }
    *count = 0;
    return rc;
}

/* Packets of segments; or FC_E_DAMAGED. Segments of the file go, the others are moved up: *len what is left. */
static int take_out(struct forget *f, uint8_t *plain, size_t *len, uint64_t *packets)
{
    const uint8_t *p = plain, *end = plain + *len, *start;
    uint8_t *to = plain;
    struct fc_segment s;

    *packets = 0;
    while (p < end) {
        uint64_t off;
        start = p;
        if (!(p = fc_segment_head(p, end, &s)))
            return FC_E_DAMAGED;
        off = s.first_off;
        for (uint64_t i = 1; i < s.count; i++)
            if (!(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
        if (s.file == f->file) {
            *packets += s.count;
        } else {
            memmove(to, start, (size_t)(p - start));
            to += p - start;
        }
    }
    *len = (size_t)(to - plain);
    return 0;
}

/* Fills a change from a blob; packets 0: there is nothing of the file in it. */
static int make_change(struct forget *f, const void *blob, size_t len, struct change *c)
{
    struct fc_writer *w = f->w;
    const uint8_t *plain;
    size_t plain_len;
    int rc = fc_blob_decode(blob, len, &w->plain, &plain, &plain_len);

    if (rc == 0 && plain != w->plain.data && (rc = fc_buffer_reserve(&w->plain, plain_len + 1)) == 0)
        memcpy(w->plain.data, plain, plain_len);
    if (rc || (rc = take_out(f, w->plain.data, &plain_len, &c->packets)) || !c->packets)
        return rc;
    w->blob.len = 0;
    if (plain_len && (rc = fc_blob_encode(w->plain.data, plain_len, &w->blob)))
        return rc;
    if (!(c->blob = malloc(w->blob.len + 1)))
        return FC_E_NOMEM;
    if (w->blob.len)
        memcpy(c->blob, w->blob.data, w->blob.len);
    c->len = w->blob.len;
    return 0;
}

static int explain(struct forget *f, int rc, int64_t id)
{
    return rc == FC_E_DAMAGED ? fc_writer_damaged(f->w, id, f->err)
           : rc == FC_E_NOMEM ? fc_writer_no_memory(f->w, f->err)
                              : rc;
}

/* Rows of session_positions of the file: of all sessions, or of the provisional ones. */
static int forget_beside(struct forget *f, bool provisional)
{
    static const char all[] = "DELETE FROM session_positions WHERE id IN (SELECT id FROM session_positions WHERE"
                              " file = ?1 LIMIT ?2) RETURNING session, positions",
                      some[] = "DELETE FROM session_positions WHERE id IN (SELECT id FROM session_positions WHERE"
                               " session < 0 AND +file = ?1 LIMIT ?2) RETURNING session, positions";
    struct change *changes = calloc(BATCH, sizeof *changes);
    int rc = changes ? 1 : fc_writer_no_memory(f->w, f->err);

    while (rc == 1) {
        struct fc_stmt *stmt = fc_writer_stmt(f->w, provisional ? FC_STMT_FORGET_WAITING : FC_STMT_FORGET_PIECES,
                                              provisional ? some : all);
        size_t count = 0;
        int64_t id = 0;
        if ((rc = next_batch(f)))
            break;
        fc_stmt_int(stmt, 1, f->file);
        fc_stmt_int(stmt, 2, BATCH);
        while ((rc = fc_stmt_step(stmt, f->err)) == 1) {
            struct change c = {.id = id = sqlite3_column_int64(stmt->raw, 0)};
            if ((rc =
                     make_change(f, sqlite3_column_blob(stmt->raw, 1), (size_t)sqlite3_column_bytes(stmt->raw, 1), &c)))
                break;
            free(c.blob); /* it goes as a whole */
            if (!c.packets || c.len) {
                rc = FC_E_DAMAGED; /* and so would positions in other files */
                break;
            }
            c.blob = NULL;
            changes[count++] = c;
        }
        fc_stmt_reset(stmt);
        if (rc == 0 && count == 0)
            break;
        join(changes, &count);
        rc = rc ? explain(f, rc, id) : apply_all(f, changes, &count);
        rc = rc ? rc : 1;
    }
    free(changes);
    return rc;
}

/* Positions in the rows of sessions low to high. */
static int forget_inside(struct forget *f, int64_t low, int64_t high)
{
    struct change *changes = calloc(BATCH, sizeof *changes);
    int rc = changes ? 1 : fc_writer_no_memory(f->w, f->err);

    while (rc == 1) {
        struct fc_stmt *stmt = fc_writer_stmt(f->w, FC_STMT_FORGET_ROWS,
                                              "SELECT id, positions, flags FROM session WHERE id BETWEEN ?1 AND ?2 AND"
                                              " length(positions) > 0 ORDER BY id");
        size_t count = 0;
        if ((rc = next_batch(f)))
            break;
        fc_stmt_int(stmt, 1, low);
        fc_stmt_int(stmt, 2, high);
        while (count < BATCH && (rc = fc_stmt_step(stmt, f->err)) == 1) {
            struct change c = {.id = low = sqlite3_column_int64(stmt->raw, 0)};
            if ((rc =
                     make_change(f, sqlite3_column_blob(stmt->raw, 1), (size_t)sqlite3_column_bytes(stmt->raw, 1), &c)))
                break;
            c.last = !c.len && !(sqlite3_column_int64(stmt->raw, 2) & FC_ROW_MORE);
            if (c.packets)
                changes[count++] = c;
            low++;
        }
        fc_stmt_reset(stmt);
        if (rc < 0)
            rc = explain(f, rc, low);
        bool more = count == BATCH;
        if (rc == 0)
            rc = apply_all(f, changes, &count);
        for (size_t i = 0; i < count; i++)
            free(changes[i].blob);
        rc = rc ? rc : more;
    }
    free(changes);
    return rc;
}

/*
 * Where sessions are that have positions of the file in their rows. Nearly all were made by its run, and are of its
 * time; those of fragments that have waited, and of a capture that was read on, by a later one. Records without a time
 * are of sessions of any time.
 */
enum reach { OF_ITS_RUN, OF_ITS_TIME, ALL_SINCE, REACHES };

static int forget_rows(struct forget *f, enum reach reach)
{
#define FIRST "coalesce((SELECT min(first_session) FROM run WHERE ?1 BETWEEN first_file AND last_file), 1)"
    static const char *const select[REACHES] = {
        [OF_ITS_RUN] = "SELECT s.first_id, s.first_id + 4095 FROM session_span s, run r, files f WHERE f.id = ?1"
                       " AND f.id BETWEEN r.first_file AND r.last_file AND s.first_id <= r.last_session"
                       " AND s.first_id + 4095 >= r.first_session AND s.first_id > 0"
                       " AND s.start_ns <= f.last_ns AND s.end_ns >= f.first_ns",
        [OF_ITS_TIME] = "SELECT s.first_id, s.first_id + 4095 FROM session_span s, files f WHERE f.id = ?1"
                        " AND (s.first_id < 0 OR s.first_id + 4095 >= " FIRST
                        " AND s.start_ns <= f.last_ns AND s.end_ns >= f.first_ns)",
        [ALL_SINCE] = "SELECT " FIRST ", 0x7fffffffffffffff",
    };
#undef FIRST
    struct fc_stmt stmt = {0};
    int64_t *ranges = NULL;
    size_t count = 0, room = 0;
    int rc;

    fc_stmt_prepare(&stmt, &f->w->conn, select[reach]);
    fc_stmt_int(&stmt, 1, f->file);
    while ((rc = fc_stmt_step(&stmt, f->err)) == 1) {
        if (fc_vector_reserve(&ranges, &room, count + 2, sizeof *ranges)) {
            rc = fc_writer_no_memory(f->w, f->err);
            break;
        }
        ranges[count++] = sqlite3_column_int64(stmt.raw, 0);
        ranges[count++] = sqlite3_column_int64(stmt.raw, 1);
    }
    fc_stmt_fini(&stmt);
    for (size_t i = 0; i < count && rc == 0; i += 2)
        rc = forget_inside(f, ranges[i], ranges[i + 1]);
    free(ranges);
    return rc;
}

/* Fragments that wait, of other files, are the ones to be remembered. */
struct waiters {
    struct fc_waiting *list;
    struct fc_first *first;
    size_t count, room, firsts, first_room;
};

static int keep_first(void *ctx, const struct fc_first *first)
{
    struct waiters *w = ctx;

    if (fc_vector_reserve(&w->first, &w->first_room, w->firsts + 1, sizeof *w->first))
        return FC_E_NOMEM;
    w->first[w->firsts++] = *first;
    return 0;
}

static int keep_waiting(void *ctx, const struct fc_waiting *waiting)
{
    struct waiters *w = ctx;

    if (fc_vector_reserve(&w->list, &w->room, w->count + 1, sizeof *w->list)) {
        free(waiting->extra);
        return FC_E_NOMEM;
    }
    w->list[w->count++] = *waiting;
    return 0;
}

static int forget_notes(struct forget *f)
{
    struct waiters all = {0};
    struct fc_fragment_reader reader = {keep_first, keep_waiting, &all};
    bool any = false;
    int rc = fc_writer_fragments(f->w, true, &reader, f->err);

    for (size_t i = 0; i < all.count; i++)
        any |= all.list[i].file == f->file;
    if (rc == 0 && any)
        rc = fc_writer_exec(f->w, "DELETE FROM open_fragment", f->err);
    for (size_t i = 0; i < all.firsts && rc == 0 && any; i++)
        rc = fc_writer_add_first(f->w, &all.first[i], f->err);
    for (size_t i = 0; i < all.count; i++) {
        if (rc == 0 && any && all.list[i].file != f->file)
            rc = fc_writer_add_waiting(f->w, &all.list[i], f->err);
        free(all.list[i].extra);
    }
    free(all.list);
    free(all.first);
    return rc;
}

/*
 * Fragments that wait, and the provisional sessions that they are, which do not stay without packets. In one
 * transaction: a run makes these sessions anew of those that wait.
 */
static int forget_waiting(struct forget *f)
{
    int rc = forget_notes(f);

    f->together = true;
    if (rc == 0 && (rc = forget_beside(f, true)) == 0)
        rc = forget_inside(f, INT64_MIN, -1);
    f->together = false;
    return rc ? rc : next_transaction(f);
}

int fc_writer_forget_file(struct fc_writer *w, uint32_t file, bool keep, struct fc_forgotten *sum, struct fc_error *err)
{
    struct forget f = {.w = w, .file = file, .keep = keep, .sum = sum, .err = err};
    int rc = count_left(&f);

    if (rc || !f.left)
        return rc;
    if ((rc = forget_waiting(&f)) == 0)
        rc = forget_beside(&f, false);
    for (int reach = 0; reach < REACHES && rc == 0 && f.left; reach++)
        rc = forget_rows(&f, (enum reach)reach);
    if (rc == 0 && f.left)
        rc = fc_conn_break(&w->conn,
                           fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET,
                                        "the packets of file %u are not all in its sessions", file),
                           err);
    /* with the last of its packets, so that no run that is interrupted leaves it to nobody */
    if (rc == 0 && (rc = fc_writer_sweep_spans(w, err)) == 0 && (rc = fc_writer_drop_places(w, file, err)) == 0 &&
        (rc = fc_writer_mark_forgotten(w, file, FC_FORGOTTEN_KEPT, err)) == 0)
        rc = next_transaction(&f);
    sum->files += rc == 0;
    return rc;
}
