/* SPDX-License-Identifier: MIT */
/* Captures, their interfaces and their damage. Which of them are known: writer_known.c. */
#include "base/error.h"
#include "store/path.h"
#include "store/resume.h"
#include "store/writer_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int remember(struct fc_writer *w, const char *path, char **name, bool *relative, struct fc_error *err)
{
    *name = fc_path_remember(w->folder, path, relative);
    return *name ? 0 : fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot resolve the path");
}

int fc_writer_last(struct fc_writer *w, uint32_t *file_id, int64_t *last_ns, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_LAST_FILE,
                                          "SELECT coalesce(max(id), 0), (SELECT CAST(value AS INTEGER) FROM meta"
                                          " WHERE name = 'clock_ns') FROM files");
    int rc = fc_stmt_step(stmt, err);

    *file_id = 0;
    *last_ns = FC_TIME_NONE;
    if (rc < 0)
        return rc;
    *file_id = (uint32_t)sqlite3_column_int64(stmt->raw, 0);
    if (sqlite3_column_type(stmt->raw, 1) != SQLITE_NULL)
        *last_ns = sqlite3_column_int64(stmt->raw, 1);
    fc_stmt_reset(stmt);
    return 0;
}

int fc_writer_set_clock(struct fc_writer *w, int64_t clock_ns, struct fc_error *err)
{
    char text[24];

    w->clock_ns = clock_ns;
    w->clock_set = true;
    if (clock_ns == FC_TIME_NONE)
        return 0;
    snprintf(text, sizeof text, "%lld", (long long)clock_ns);
    return fc_writer_set_meta(w, "clock_ns", text, err);
}

static int compare_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* "1,113": link types of the interfaces, ascending, each once. False without memory. */
static bool link_types(const struct fc_file_row *row, char *out, size_t size)
{
    uint32_t *types = malloc((row->iface_count + 1) * sizeof *types);
    size_t len = 0;

    out[0] = '\0';
    if (!types)
        return false;
    for (size_t i = 0; i < row->iface_count; i++)
        types[i] = row->ifaces[i].link_type;
    qsort(types, row->iface_count, sizeof *types, compare_number);
    for (size_t i = 0; i < row->iface_count && len + 12 < size; i++)
        if (i == 0 || types[i] != types[i - 1])
            len += (size_t)snprintf(out + len, size - len, "%s%u", len ? "," : "", types[i]);
    free(types);
    return true;
}

static const char *byte_order(const struct fc_file_row *row)
{
    bool big = false, little = false;

    for (size_t i = 0; i < row->iface_count; i++) {
        big |= row->ifaces[i].big_endian;
        little |= !row->ifaces[i].big_endian;
    }
    return big ? (little ? "mixed" : "big") : "little";
}

static int add_interfaces(struct fc_writer *w, const struct fc_file_row *row, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_IFACE, "INSERT INTO interfaces VALUES (?,?,?,?,?,?,?,?,?,?)");
    int rc = 0;

    for (size_t i = 0; i < row->iface_count && rc == 0; i++) {
        const struct fc_interface *f = &row->ifaces[i];
        fc_stmt_int(stmt, 1, row->id);
        fc_stmt_int(stmt, 2, f->section);
        fc_stmt_int(stmt, 3, (int64_t)f->section_off);
        fc_stmt_int(stmt, 4, f->number);
        fc_stmt_int(stmt, 5, (int64_t)f->off);
        fc_stmt_int(stmt, 6, f->big_endian);
        fc_stmt_int(stmt, 7, f->link_type);
        fc_stmt_int(stmt, 8, f->snaplen);
        fc_stmt_int(stmt, 9, f->tsresol);
        fc_stmt_int(stmt, 10, f->tsoffset);
        rc = fc_stmt_run(stmt, err);
    }
    return rc;
}

/* before: ranges that the index lists already, or has left out */
static int add_damage(struct fc_writer *w, const struct fc_file_row *row, uint64_t before, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_DAMAGE, "INSERT OR REPLACE INTO damage VALUES (?,?,?,?)");
    int rc = 0;

    for (size_t i = 0; i < fc_damage_kept(row->damage) && before + i < FC_DAMAGE_MAX && rc == 0; i++) {
        fc_stmt_int(stmt, 1, row->id);
        const struct fc_damage *d = &row->damage->items[i];
        fc_stmt_int(stmt, 2, (int64_t)d->off);
        fc_stmt_int(stmt, 3, (int64_t)d->length);
        fc_stmt_text(stmt, 4, d->cause);
        rc = fc_stmt_run(stmt, err);
    }
    return rc;
}

static void bind_time(struct fc_stmt *stmt, int index, int64_t ns)
{
    if (ns == FC_TIME_NONE)
        fc_stmt_null(stmt, index);
    else
        fc_stmt_int(stmt, index, ns);
}

/* What was noted of the file behind the place where reading has gone on. */
static int forget_behind(struct fc_writer *w, const struct fc_file_row *row, struct fc_error *err)
{
    const struct fc_file_state *state = row->state;
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FORGET_IFACES, "DELETE FROM interfaces WHERE file = ?");
    int rc;

    fc_stmt_int(stmt, 1, row->id);
    if ((rc = fc_stmt_run(stmt, err)))
        return rc;
    stmt = fc_writer_stmt(w, FC_STMT_FORGET_DAMAGE,
                          "DELETE FROM damage WHERE file = ?1 AND off >= ?2 AND (length > 0 OR off >= ?3)");
    fc_stmt_int(stmt, 1, row->id);
    fc_stmt_int(stmt, 2, (int64_t)state->end_off);
    fc_stmt_int(stmt, 3, state->end_off ? (int64_t)state->stream_size : 0);
    if ((rc = fc_stmt_run(stmt, err)))
        return rc;
    stmt = fc_writer_stmt(w, FC_STMT_FORGET_POINTS, "DELETE FROM seek_points WHERE file = ? AND off > ?");
    fc_stmt_int(stmt, 1, row->id);
    fc_stmt_int(stmt, 2, (int64_t)state->point.off);
    return fc_stmt_run(stmt, err);
}

int fc_writer_add_file(struct fc_writer *w, const struct fc_file_row *row, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FILE,
                                          "INSERT OR REPLACE INTO files VALUES"
                                          " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?)");
    static const struct fc_file_state none;
    const struct fc_file_state *state = row->state ? row->state : &none;
    uint8_t resume[FC_RESUME_BYTES];
    char types[1024], *name;
    bool relative = false;
    int rc = remember(w, row->path, &name, &relative, err);

    if (rc)
        return rc;
    if (!link_types(row, types, sizeof types)) {
        free(name);
        return fc_writer_no_memory(w, err);
    }
    fc_stmt_int(stmt, 1, row->id);
    fc_bind_path(stmt, 2, name);
    fc_stmt_int(stmt, 3, relative);
    fc_stmt_int(stmt, 4, (int64_t)row->size);
    fc_stmt_int(stmt, 5, (int64_t)row->stream_size);
    fc_stmt_text(stmt, 6, fc_compression_name(row->compression));
    fc_stmt_int(stmt, 7, row->mtime_ns);
    bind_time(stmt, 8, row->ctime_ns);
    fc_stmt_int(stmt, 9, (int64_t)row->dev);
    fc_stmt_int(stmt, 10, (int64_t)row->ino);
    fc_stmt_int(stmt, 11, (int64_t)row->fingerprint);
    fc_stmt_int(stmt, 12, (int64_t)row->stored_fingerprint);
    fc_stmt_int(stmt, 13, (int64_t)row->begin);
    fc_stmt_text(stmt, 14, fc_format_name(row->format));
    fc_stmt_text(stmt, 15, byte_order(row));
    fc_stmt_text(stmt, 16, types);
    fc_stmt_int(stmt, 17, (int64_t)row->records);
    fc_stmt_int(stmt, 18, (int64_t)row->ignored);
    fc_stmt_int(stmt, 19, (int64_t)row->malformed);
    bind_time(stmt, 20, row->first_ns);
    bind_time(stmt, 21, row->last_ns);
    fc_stmt_int(stmt, 22, (int64_t)row->backward);
    fc_stmt_int(stmt, 23, (int64_t)row->end_off);
    fc_stmt_int(stmt, 24, (int64_t)row->header_bytes);
    fc_stmt_int(stmt, 25, (int64_t)row->record_bytes);
    fc_stmt_int(stmt, 26, (int64_t)row->other_bytes);
    fc_stmt_int(stmt, 27, (int64_t)(state->lost_bytes + row->damage->bytes));
    fc_stmt_int(stmt, 28, (int64_t)(state->damaged + row->damage->count));
    fc_stmt_int(stmt, 29, (int64_t)row->pending_bytes);
    fc_stmt_int(stmt, 30, 0);
    fc_stmt_blob(stmt, 31, resume, fc_resume_put(row, resume));
    rc = fc_stmt_run(stmt, err);
    free(name);
    if (rc == 0 && row->state)
        rc = forget_behind(w, row, err);
    if (rc == 0)
        rc = add_interfaces(w, row, err);
    return rc ? rc : add_damage(w, row, state->damaged, err);
}

int fc_writer_add_point(struct fc_writer *w, uint32_t file_id, const struct fc_seek_point *point, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_POINT, "INSERT INTO seek_points VALUES (?,?,?,?)");

    fc_stmt_int(stmt, 1, file_id);
    fc_stmt_int(stmt, 2, (int64_t)point->off);
    fc_stmt_int(stmt, 3, (int64_t)point->stored_off);
    fc_stmt_blob(stmt, 4, point->state, point->state_len);
    return fc_stmt_run(stmt, err);
}
