/* SPDX-License-Identifier: MIT */
#include "verify/loss.h"

#include <inttypes.h>
#include <stdio.h>

struct check {
    struct fc_db *db;
    void (*differ)(void *ctx, const char *text);
    void *ctx;
    bool sound; /* no row has numbers that cannot be */
};

static int each(struct check *c, const char *text, void (*found)(struct check *c, sqlite3_stmt *row),
                struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(c->db->sql, text, -1, &stmt, NULL) == SQLITE_OK)
        while ((step = sqlite3_step(stmt)) == SQLITE_ROW)
            found(c, stmt);
    int rc = step == SQLITE_DONE ? 0 : fc_db_error(c->db->sql, c->db->path, err, "cannot read table loss");
    sqlite3_finalize(stmt);
    return rc;
}

static int64_t number(sqlite3_stmt *row, int column)
{
    return sqlite3_column_int64(row, column);
}

static void wrong_row(struct check *c, sqlite3_stmt *row)
{
    char text[200];
    bool times = number(row, 1);

    if (times)
        snprintf(text, sizeof text, "loss %" PRId64 ": its numbers cannot be", number(row, 0));
    else
        snprintf(text, sizeof text,
                 "loss %" PRId64 ": %" PRId64 " packets received are not %" PRId64 " recorded and %" PRId64 " dropped",
                 number(row, 0), number(row, 2), number(row, 3), number(row, 4));
    c->sound &= !times;
    c->differ(c->ctx, text);
}

static void wrong_capture(struct check *c, sqlite3_stmt *row)
{
    char text[240];

    snprintf(text, sizeof text,
             "loss: %" PRId64 " packets were recorded by the capture that began at %" PRId64 " ns, captures %" PRId64
             " to %" PRId64 " have %" PRId64,
             number(row, 3), number(row, 0), number(row, 1), number(row, 2), number(row, 4));
    c->differ(c->ctx, text);
}

static void note_table(struct check *c, sqlite3_stmt *row)
{
    (void)row;
    c->sound = true;
}

#define MOST "1152921504606846976" /* 2^60: sums of rows below do not overflow */

int fc_verify_loss(struct fc_db *db, void (*differ)(void *ctx, const char *text), void *ctx, struct fc_error *err)
{
    static const char rows[] =
        "SELECT id, end_ns < start_ns OR min(received, recorded, dropped_kernel, dropped_queue, dropped_disk,"
        " dropped_iface) < 0 OR max(received, recorded, dropped_kernel, dropped_queue, dropped_disk, dropped_iface) "
        "> " MOST " AS broken, received, recorded, dropped_kernel + dropped_queue + dropped_disk AS dropped FROM loss"
        " WHERE broken OR received <> recorded + dropped ORDER BY id LIMIT 100";
    /* limits (retain.h) drop rows of captures: what these have had cannot be told any more */
    static const char captures[] =
        "SELECT *, (SELECT ifnull(sum(records), 0) FROM files WHERE id BETWEEN first AND last) AS held FROM"
        " (SELECT capture_ns, min(first_file) AS first, max(last_file) AS last, sum(recorded) AS recorded FROM loss"
        " GROUP BY capture_ns) WHERE recorded > held AND (first > last OR last - first + 1 ="
        " (SELECT count(*) FROM files WHERE id BETWEEN first AND last)) ORDER BY capture_ns LIMIT 100";
    struct check c = {db, differ, ctx, false};
    int rc = each(&c, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'loss'", note_table, err);

    if (rc || !c.sound)
        return rc;
    rc = each(&c, rows, wrong_row, err);
    return rc || !c.sound ? rc : each(&c, captures, wrong_capture, err);
}
