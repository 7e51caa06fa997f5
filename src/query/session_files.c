/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "flow/positions.h"
#include "store/files.h"
#include "store/piece.h"

#include <flowcarve/query.h>
#include <string.h>

struct fc_session_files {
    struct fc_db *db;
    sqlite3_stmt *row;
    struct fc_pieces pieces;
    struct fc_stored_files names; /* as of when they were looked at last */
    struct fc_session_file *list;
    size_t count, room;
};

static int compare_files(const void *a, const void *b)
{
    const struct fc_session_file *x = a, *y = b;

    return x->file < y->file ? -1 : x->file > y->file;
}

/* Counts what a blob has; pieces come file by file, but for what was added to a capture that has grown. */
static int add_segments(void *ctx, const uint8_t *p, size_t len)
{
    struct fc_session_files *f = ctx;
    const uint8_t *end = p + len;
    struct fc_segment s;

    while (p < end) {
        if (!(p = fc_segment_head(p, end, &s)))
            return FC_E_DAMAGED;
        uint64_t off = s.first_off;
        for (uint64_t i = 1; i < s.count; i++)
            if (!(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
        if (fc_vector_reserve(&f->list, &f->room, f->count + 1, sizeof *f->list))
            return FC_E_NOMEM;
        f->list[f->count++] = (struct fc_session_file){.file = s.file, .packets = s.count};
    }
    return 0;
}

/* A row a file, ascending. */
static void sum_up(struct fc_session_files *f)
{
    size_t n = 0;

    if (f->count)
        qsort(f->list, f->count, sizeof *f->list, compare_files);
    for (size_t i = 0; i < f->count; i++) {
        if (n && f->list[n - 1].file == f->list[i].file)
            f->list[n - 1].packets += f->list[i].packets;
        else
            f->list[n++] = f->list[i];
    }
    f->count = n;
}

/* True when all have one. */
static bool put_names(struct fc_session_files *f)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct fc_stored_file *stored = fc_stored_files_find(&f->names, f->list[i].file);
        if (!stored)
            return false;
        f->list[i].path = stored->path;
    }
    return true;
}

FC_EXPORT int fc_session_files_open(struct fc_db *db, struct fc_session_files **out, struct fc_error *err)
{
    static const char select[] = "SELECT positions, flags FROM session WHERE id = ?";
    struct fc_session_files *f = calloc(1, sizeof *f);
    int rc;

    *out = NULL;
    if (!f)
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    f->db = db;
    f->pieces.sql = db->sql;
    rc = fc_stored_files_load(db, &f->names, err);
    if (rc == 0 && sqlite3_prepare_v2(db->sql, select, -1, &f->row, NULL) != SQLITE_OK)
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    if (rc)
        fc_session_files_close(f);
    else
        *out = f;
    return rc;
}

FC_EXPORT int fc_session_files(struct fc_session_files *f, int64_t session, const struct fc_session_file **list,
                               size_t *count, struct fc_error *err)
{
    int rc = 0, step;

    f->count = *count = 0;
    sqlite3_bind_int64(f->row, 1, session);
    if ((step = sqlite3_step(f->row)) == SQLITE_ROW)
        rc = fc_pieces_read(&f->pieces, session, sqlite3_column_int64(f->row, 1), sqlite3_column_blob(f->row, 0),
                            (size_t)sqlite3_column_bytes(f->row, 0), add_segments, f);
    if (rc == FC_E_DB || (step != SQLITE_ROW && step != SQLITE_DONE))
        rc = fc_db_error(f->db->sql, f->db->path, err, "cannot read the index");
    else if (rc)
        fc_error_set(err, rc, f->db->path, FC_NO_OFFSET, "positions of session %lld: %s", (long long)session,
                     rc == FC_E_NOMEM ? "out of memory" : "damaged");
    sqlite3_reset(f->row);
    if (rc)
        return rc;
    sum_up(f);
    if (!put_names(f)) { /* captures were added since */
        fc_stored_files_fini(&f->names);
        if ((rc = fc_stored_files_load(f->db, &f->names, err)))
            return rc;
        if (!put_names(f))
            return fc_error_set(err, FC_E_DB, f->db->path, FC_NO_OFFSET,
                                "positions of session %lld are in a file that the index does not have",
                                (long long)session);
    }
    *list = f->list;
    *count = f->count;
    return 0;
}

FC_EXPORT void fc_session_files_close(struct fc_session_files *f)
{
    if (!f)
        return;
    sqlite3_finalize(f->row);
    fc_pieces_fini(&f->pieces);
    fc_stored_files_fini(&f->names);
    free(f->list);
    free(f);
}
