/* SPDX-License-Identifier: MIT */
/* Captures, their interfaces and their damage. */
#include "base/error.h"
#include "store/path.h"
#include "store/writer_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int remember(struct fc_writer *w, const char *path, char **name, bool *relative, struct fc_error *err)
{
    *name = fc_path_remember(w->folder, path, relative);
    return *name ? 0 : fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot resolve the path");
}

int fc_writer_known(struct fc_writer *w, const char *path, struct fc_known_file *known, struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);
    sqlite3_stmt *stmt;
    bool relative = false;
    char *name;

    if (rc)
        return rc;
    stmt = fc_writer_stmt(w, FC_STMT_KNOWN,
                          "SELECT id, size, fingerprint, mtime_ns FROM files"
                          " WHERE path = ? AND relative = ? ORDER BY id DESC LIMIT 1");
    if (!stmt)
        return fc_writer_error(w, err, "cannot read the index");
    if ((rc = remember(w, path, &name, &relative, err)))
        return rc;
    fc_bind_path(stmt, 1, name);
    sqlite3_bind_int(stmt, 2, relative);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        known->id = (uint32_t)sqlite3_column_int64(stmt, 0);
        known->size = (uint64_t)sqlite3_column_int64(stmt, 1);
        known->fingerprint = (uint64_t)sqlite3_column_int64(stmt, 2);
        known->mtime_ns = sqlite3_column_int64(stmt, 3);
        rc = 1;
    } else {
        rc = rc == SQLITE_DONE ? 0 : fc_writer_error(w, err, "cannot read the index");
    }
    sqlite3_reset(stmt);
    free(name);
    return rc;
}

/* Gives a capture of the index its new name. */
static int move(struct fc_writer *w, int64_t id, const char *path, struct fc_error *err)
{
    sqlite3_stmt *stmt = fc_writer_stmt(w, FC_STMT_MOVE, "UPDATE files SET path = ?, relative = ? WHERE id = ?");
    bool relative = false;
    char *name;
    int rc;

    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    if ((rc = remember(w, path, &name, &relative, err)))
        return rc;
    fc_bind_path(stmt, 1, name);
    sqlite3_bind_int(stmt, 2, relative);
    sqlite3_bind_int64(stmt, 3, id);
    rc = sqlite3_step(stmt) == SQLITE_DONE ? 0 : fc_writer_error(w, err, "cannot write the index");
    sqlite3_reset(stmt);
    free(name);
    return rc;
}

int fc_writer_known_elsewhere(struct fc_writer *w, const struct fc_file *file, uint64_t fingerprint, bool *moved,
                              struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);
    bool found = false;
    sqlite3_stmt *stmt;
    int64_t id = 0;

    *moved = false;
    if (rc)
        return rc;
    stmt =
        fc_writer_stmt(w, FC_STMT_ELSEWHERE, "SELECT path, relative, id FROM files WHERE fingerprint = ? AND size = ?");
    if (!stmt)
        return fc_writer_error(w, err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, (int64_t)fingerprint);
    sqlite3_bind_int64(stmt, 2, (int64_t)file->stored_size);
    while (!found && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        char *name = fc_path_from_column(stmt, 0);
        char *path = name ? fc_path_locate(w->folder, name, sqlite3_column_int(stmt, 1) != 0) : NULL;
        struct stat st;
        bool there = path && stat(path, &st) == 0;
        found = there && st.st_dev == file->dev && st.st_ino == file->ino;
        if (path && !there && (errno == ENOENT || errno == ENOTDIR))
            id = sqlite3_column_int64(stmt, 2);
        free(name);
        free(path);
    }
    rc = found || rc == SQLITE_DONE ? found : fc_writer_error(w, err, "cannot read the index");
    sqlite3_reset(stmt);
    if (rc || !id)
        return rc;
    if ((rc = move(w, id, file->path, err)))
        return rc;
    *moved = true;
    return 1;
}

int fc_writer_last(struct fc_writer *w, uint32_t *file_id, int64_t *last_ns, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = fc_writer_sql(w, err);

    *file_id = 0;
    *last_ns = FC_TIME_NONE;
    if (rc)
        return rc;
    if (sqlite3_prepare_v2(w->sql, "SELECT max(id), max(last_ns) FROM files", -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW) {
        rc = fc_writer_error(w, err, "cannot read the index");
    } else {
        *file_id = (uint32_t)sqlite3_column_int64(stmt, 0);
        if (sqlite3_column_type(stmt, 1) != SQLITE_NULL)
            *last_ns = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int compare_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* "1,113": link types of the interfaces, ascending, each once. */
static void link_types(const struct fc_file_row *row, char *out, size_t size)
{
    uint32_t *types = malloc((row->iface_count + 1) * sizeof *types);
    size_t len = 0;

    out[0] = '\0';
    if (!types)
        return;
    for (size_t i = 0; i < row->iface_count; i++)
        types[i] = row->ifaces[i].link_type;
    qsort(types, row->iface_count, sizeof *types, compare_number);
    for (size_t i = 0; i < row->iface_count && len + 12 < size; i++)
        if (i == 0 || types[i] != types[i - 1])
            len += (size_t)snprintf(out + len, size - len, "%s%u", len ? "," : "", types[i]);
    free(types);
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
    sqlite3_stmt *stmt = fc_writer_stmt(w, FC_STMT_IFACE, "INSERT INTO interfaces VALUES (?,?,?,?,?,?,?,?,?,?)");
    int rc = 0;

    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    for (size_t i = 0; i < row->iface_count && rc == 0; i++) {
        const struct fc_interface *f = &row->ifaces[i];
        sqlite3_bind_int64(stmt, 1, row->id);
        sqlite3_bind_int64(stmt, 2, f->section);
        sqlite3_bind_int64(stmt, 3, (int64_t)f->section_off);
        sqlite3_bind_int64(stmt, 4, f->number);
        sqlite3_bind_int64(stmt, 5, (int64_t)f->off);
        sqlite3_bind_int(stmt, 6, f->big_endian);
        sqlite3_bind_int64(stmt, 7, f->link_type);
        sqlite3_bind_int64(stmt, 8, f->snaplen);
        sqlite3_bind_int(stmt, 9, f->tsresol);
        sqlite3_bind_int64(stmt, 10, f->tsoffset);
        rc = fc_writer_step(w, stmt, err);
    }
    return rc;
}

static int add_damage(struct fc_writer *w, const struct fc_file_row *row, struct fc_error *err)
{
    sqlite3_stmt *stmt = fc_writer_stmt(w, FC_STMT_DAMAGE, "INSERT INTO damage VALUES (?,?,?,?)");
    int rc = 0;

    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    for (size_t i = 0; i < fc_damage_kept(row->damage) && rc == 0; i++) {
        sqlite3_bind_int64(stmt, 1, row->id);
        const struct fc_damage *d = &row->damage->items[i];
        sqlite3_bind_int64(stmt, 2, (int64_t)d->off);
        sqlite3_bind_int64(stmt, 3, (int64_t)d->length);
        sqlite3_bind_text(stmt, 4, d->cause, -1, SQLITE_STATIC);
        rc = fc_writer_step(w, stmt, err);
    }
    return rc;
}

static void bind_time(sqlite3_stmt *stmt, int index, int64_t ns)
{
    if (ns == FC_TIME_NONE)
        sqlite3_bind_null(stmt, index);
    else
        sqlite3_bind_int64(stmt, index, ns);
}

int fc_writer_add_file(struct fc_writer *w, const struct fc_file_row *row, struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);
    char types[1024], *name;
    bool relative = false;
    sqlite3_stmt *stmt;

    if (rc)
        return rc;
    stmt = fc_writer_stmt(w, FC_STMT_FILE, "INSERT INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    if (!stmt)
        return fc_writer_error(w, err, "cannot write the index");
    if ((rc = remember(w, row->path, &name, &relative, err)))
        return rc;
    link_types(row, types, sizeof types);
    sqlite3_bind_int64(stmt, 1, row->id);
    fc_bind_path(stmt, 2, name);
    sqlite3_bind_int(stmt, 3, relative);
    sqlite3_bind_int64(stmt, 4, (int64_t)row->size);
    sqlite3_bind_int64(stmt, 5, (int64_t)row->stream_size);
    sqlite3_bind_text(stmt, 6, fc_compression_name(row->compression), -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 7, row->mtime_ns);
    sqlite3_bind_int64(stmt, 8, (int64_t)row->fingerprint);
    sqlite3_bind_text(stmt, 9, fc_format_name(row->format), -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 10, byte_order(row), -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 11, types, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 12, (int64_t)row->records);
    sqlite3_bind_int64(stmt, 13, (int64_t)row->ignored);
    sqlite3_bind_int64(stmt, 14, (int64_t)row->malformed);
    bind_time(stmt, 15, row->first_ns);
    bind_time(stmt, 16, row->last_ns);
    sqlite3_bind_int64(stmt, 17, (int64_t)row->backward);
    sqlite3_bind_int64(stmt, 18, (int64_t)row->end_off);
    sqlite3_bind_int64(stmt, 19, (int64_t)row->header_bytes);
    sqlite3_bind_int64(stmt, 20, (int64_t)row->record_bytes);
    sqlite3_bind_int64(stmt, 21, (int64_t)row->other_bytes);
    sqlite3_bind_int64(stmt, 22, (int64_t)row->damage->bytes);
    sqlite3_bind_int64(stmt, 23, (int64_t)row->damage->count);
    rc = fc_writer_step(w, stmt, err);
    sqlite3_clear_bindings(stmt);
    free(name);
    if (rc == 0)
        rc = add_interfaces(w, row, err);
    return rc ? rc : add_damage(w, row, err);
}

int fc_writer_add_point(struct fc_writer *w, uint32_t file_id, const struct fc_seek_point *point, struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);
    sqlite3_stmt *stmt;

    if (rc)
        return rc;
    if (!(stmt = fc_writer_stmt(w, FC_STMT_POINT, "INSERT INTO seek_points VALUES (?,?,?,?)")))
        return fc_writer_error(w, err, "cannot write the index");
    sqlite3_bind_int64(stmt, 1, file_id);
    sqlite3_bind_int64(stmt, 2, (int64_t)point->off);
    sqlite3_bind_int64(stmt, 3, (int64_t)point->stored_off);
    sqlite3_bind_blob(stmt, 4, point->state_len ? (const void *)point->state : "", (int)point->state_len,
                      SQLITE_STATIC);
    return fc_writer_step(w, stmt, err);
}
