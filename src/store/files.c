/* SPDX-License-Identifier: MIT */
#include "store/files.h"
#include "base/error.h"
#include "base/vector.h"
#include "capture/print.h"
#include "capture/remote.h"
#include "store/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void fc_stored_files_fini(struct fc_stored_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].path);
        fc_remote_close(files->items[i].remote);
        free(files->items[i].ifaces);
        free(files->items[i].seek_state);
    }
    free(files->items);
    memset(files, 0, sizeof *files);
}

struct fc_stored_file *fc_stored_files_find(const struct fc_stored_files *files, uint32_t id)
{
    size_t lo = 0, hi = files->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (files->items[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < files->count && files->items[lo].id == id ? &files->items[lo] : NULL;
}

static void copy_text(char *to, size_t size, sqlite3_stmt *stmt, int col)
{
    const char *text = (const char *)sqlite3_column_text(stmt, col);

    snprintf(to, size, "%s", text ? text : "");
}

static int load_file(struct fc_db *db, sqlite3_stmt *stmt, struct fc_stored_files *files, size_t *room,
                     struct fc_error *err)
{
    struct fc_stored_file f = {0};
    int64_t id = sqlite3_column_int64(stmt, 0);
    char *name = fc_path_from_column(stmt, 1);

    if (!name || id < 1 || id > UINT32_MAX) {
        free(name);
        return fc_error_set(err, FC_E_DB, db->path, FC_NO_OFFSET, "the row of file %lld is damaged", (long long)id);
    }
    f.path = fc_path_locate(db->folder, name, sqlite3_column_int(stmt, 2) != 0);
    free(name);
    if (!f.path || fc_vector_reserve(&files->items, room, files->count + 1, sizeof *files->items)) {
        free(f.path);
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    }
    f.id = (uint32_t)id;
    f.size = (uint64_t)sqlite3_column_int64(stmt, 3);
    f.stored_fingerprint = (uint64_t)sqlite3_column_int64(stmt, 4);
    f.end_off = (uint64_t)sqlite3_column_int64(stmt, 5);
    f.records = (uint64_t)sqlite3_column_int64(stmt, 6);
    f.ignored = (uint64_t)sqlite3_column_int64(stmt, 7);
    f.backward = (uint64_t)sqlite3_column_int64(stmt, 8);
    f.damaged = (uint64_t)sqlite3_column_int64(stmt, 9);
    f.header_bytes = (uint64_t)sqlite3_column_int64(stmt, 11);
    f.record_bytes = (uint64_t)sqlite3_column_int64(stmt, 12);
    f.other_bytes = (uint64_t)sqlite3_column_int64(stmt, 13);
    f.lost_bytes = (uint64_t)sqlite3_column_int64(stmt, 14);
    f.stream_size = (uint64_t)sqlite3_column_int64(stmt, 15);
    f.pending_bytes = (uint64_t)sqlite3_column_int64(stmt, 16);
    f.gone = sqlite3_column_int(stmt, 17) != 0;
    f.forgotten = (uint64_t)sqlite3_column_int64(stmt, 18);
    f.last_ns = sqlite3_column_type(stmt, 19) == SQLITE_NULL ? FC_TIME_NONE : sqlite3_column_int64(stmt, 19);
    f.first_ns = sqlite3_column_type(stmt, 10) == SQLITE_NULL ? FC_TIME_NONE : sqlite3_column_int64(stmt, 10);
    copy_text(f.format, sizeof f.format, stmt, 20);
    copy_text(f.compression, sizeof f.compression, stmt, 21);
    f.mtime_ns = sqlite3_column_int64(stmt, 22);
    f.ctime_ns = sqlite3_column_type(stmt, 23) == SQLITE_NULL ? FC_TIME_NONE : sqlite3_column_int64(stmt, 23);
    f.dev = (uint64_t)sqlite3_column_int64(stmt, 24);
    f.ino = (uint64_t)sqlite3_column_int64(stmt, 25);
    f.marked = fc_forgotten_mark_get(sqlite3_column_blob(stmt, 26), (size_t)sqlite3_column_bytes(stmt, 26), &f.mark);
    f.db = db;
    files->items[files->count++] = f;
    return 0;
}

static int load_interface(sqlite3_stmt *stmt, struct fc_stored_file *f)
{
    if ((f->iface_count & (f->iface_count - 1)) == 0) { /* room is the next power of two */
        size_t room = f->iface_count ? f->iface_count * 2 : 1;
        struct fc_interface *bigger = realloc(f->ifaces, room * sizeof *bigger);
        if (!bigger)
            return FC_E_NOMEM;
        f->ifaces = bigger;
    }
    f->ifaces[f->iface_count++] = (struct fc_interface){
        .section = (uint32_t)sqlite3_column_int64(stmt, 1),
        .section_off = (uint64_t)sqlite3_column_int64(stmt, 2),
        .number = (uint32_t)sqlite3_column_int64(stmt, 3),
        .off = (uint64_t)sqlite3_column_int64(stmt, 4),
        .big_endian = sqlite3_column_int(stmt, 5) != 0,
        .link_type = (uint32_t)sqlite3_column_int64(stmt, 6),
        .snaplen = (uint32_t)sqlite3_column_int64(stmt, 7),
        .tsresol = (uint8_t)sqlite3_column_int(stmt, 8),
        .tsoffset = sqlite3_column_int64(stmt, 9),
    };
    return 0;
}

static int load_interfaces(struct fc_db *db, struct fc_stored_files *files, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step;

    if (sqlite3_prepare_v2(
            db->sql,
            "SELECT file, section, section_off, number, off, big_endian, link_type, snaplen, tsresol, tsoffset"
            " FROM interfaces ORDER BY file, section, number",
            -1, &stmt, NULL) != SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct fc_stored_file *f = fc_stored_files_find(files, (uint32_t)sqlite3_column_int64(stmt, 0));
        if (f && (rc = load_interface(stmt, f)))
            fc_error_set(err, rc, db->path, FC_NO_OFFSET, "out of memory");
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

/* `most` below 0: all */
static int load_rows(struct fc_db *db, int64_t behind, int64_t most, struct fc_stored_files *files,
                     struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    size_t room = 0;
    int rc = 0, step;

    memset(files, 0, sizeof *files);
    if (sqlite3_prepare_v2(db->sql,
                           "SELECT id, path, relative, size, stored_fingerprint, end_off, records, ignored, backward,"
                           " damaged, first_ns, header_bytes, record_bytes, other_bytes, lost_bytes, stream_size,"
                           " pending_bytes, gone, forgotten, last_ns, format, compression, mtime_ns, ctime_ns, device,"
                           " inode, resume FROM files WHERE id > ?1 ORDER BY id LIMIT ?2",
                           -1, &stmt, NULL) != SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, behind);
    sqlite3_bind_int64(stmt, 2, most);
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        rc = load_file(db, stmt, files, &room, err);
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

int fc_stored_files_load(struct fc_db *db, struct fc_stored_files *files, struct fc_error *err)
{
    int rc = load_rows(db, INT64_MIN, -1, files, err);

    if (rc == 0)
        rc = load_interfaces(db, files, err);
    if (rc)
        fc_stored_files_fini(files);
    return rc;
}

int fc_stored_files_some(struct fc_db *db, uint32_t behind, size_t most, struct fc_stored_files *files,
                         struct fc_error *err)
{
    int rc = load_rows(db, behind, (int64_t)most, files, err);

    if (rc)
        fc_stored_files_fini(files);
    return rc;
}

int fc_stored_damage(struct fc_db *db, uint32_t file, int (*range)(void *, uint64_t, uint64_t), void *ctx,
                     struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step = SQLITE_DONE;

    if (sqlite3_prepare_v2(db->sql, "SELECT off, length FROM damage WHERE file = ? ORDER BY off", -1, &stmt, NULL) !=
        SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, file);
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        rc = range(ctx, (uint64_t)sqlite3_column_int64(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1));
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

static int open_remote(struct fc_stored_file *stored, struct fc_file *file, struct fc_error *err)
{
    int rc = stored->remote ? 0 : fc_remote_open(stored->path, stored->stop, &stored->remote, err);

    if (rc)
        return rc;
    stored->grown = fc_remote_size(stored->remote) > stored->size;
    return fc_file_open_remote(stored->remote, stored->path, stored->size, file, err);
}

static int open_local(struct fc_stored_file *stored, struct fc_file *file, struct fc_error *err)
{
    struct stat st;

    if (fc_file_stat(stored->path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? fc_error_set(err, FC_E_MISSING, stored->path, FC_NO_OFFSET, "the capture is missing")
                   : fc_error_errno(err, FC_E_IO, stored->path, FC_NO_OFFSET, "cannot open the capture");
    stored->grown = (uint64_t)st.st_size > stored->size;
    return fc_file_open_first(stored->path, stored->size, file, err);
}

/* Is it the version of an object whose content was compared when its URL was noted? */
static bool is_noted(const struct fc_stored_file *stored, const struct fc_file *file)
{
    return file->remote && stored->dev == FC_REMOTE_DEVICE && stored->ino == file->ino && file->ino &&
           fc_remote_size(file->remote) == stored->size;
}

int fc_stored_file_open(struct fc_stored_file *stored, struct fc_file *file, struct fc_error *err)
{
    struct fc_prints prints;
    int rc;

    if (stored->gone)
        return fc_error_set(err, FC_E_MISSING, stored->path, FC_NO_OFFSET,
                            "the capture is gone: another one has its name by now");
    rc = fc_is_url(stored->path) ? open_remote(stored, file, err) : open_local(stored, file, err);
    if (rc == FC_E_FORMAT)
        return fc_error_set(err, FC_E_CHANGED, stored->path, FC_NO_OFFSET,
                            "the capture has changed since it was indexed");
    if (rc || is_noted(stored, file))
        return rc;
    if (file->stored_size == stored->size)
        rc = fc_file_prints(file, stored->size, &prints, err);
    if (rc == 0 && (file->stored_size != stored->size || prints.stored != stored->stored_fingerprint))
        rc =
            fc_error_set(err, FC_E_CHANGED, stored->path, FC_NO_OFFSET, "the capture has changed since it was indexed");
    if (rc)
        fc_file_close(file);
    return rc;
}

/* The place of the first point behind `off`; without one `next` stays as it is. */
static int find_next(const struct fc_stored_file *stored, uint64_t off, struct fc_seek_point *next,
                     struct fc_error *err)
{
    static const char select[] =
        "SELECT off, stored_off FROM seek_points WHERE file = ? AND off > ? ORDER BY off LIMIT 1";
    struct fc_db *db = stored->db;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->sql, select, -1, &stmt, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(stmt, 1, stored->id);
        sqlite3_bind_int64(stmt, 2, off > INT64_MAX ? INT64_MAX : (int64_t)off);
        if ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            next->off = (uint64_t)sqlite3_column_int64(stmt, 0);
            next->stored_off = (uint64_t)sqlite3_column_int64(stmt, 1);
        }
    }
    bool done = rc == SQLITE_ROW || rc == SQLITE_DONE;
    sqlite3_finalize(stmt);
    return done ? 0 : fc_db_error(db->sql, db->path, err, "cannot read the index");
}

static int find_point(void *ctx, uint64_t off, struct fc_seek_point *point, struct fc_seek_point *next,
                      struct fc_error *err)
{
    struct fc_stored_file *stored = ctx;
    struct fc_db *db = stored->db;
    sqlite3_stmt *stmt = NULL;
    int rc;

    if (stored->remote && (rc = find_next(stored, off, next, err)))
        return rc;
    if (sqlite3_prepare_v2(db->sql,
                           "SELECT off, stored_off, state FROM seek_points WHERE file = ? AND off BETWEEN 0 AND ?"
                           " ORDER BY off DESC LIMIT 1",
                           -1, &stmt, NULL) != SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_bind_int64(stmt, 1, stored->id);
    sqlite3_bind_int64(stmt, 2, off > INT64_MAX ? INT64_MAX : (int64_t)off);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const void *state = sqlite3_column_blob(stmt, 2);
        size_t len = (size_t)sqlite3_column_bytes(stmt, 2);
        uint8_t *copy = realloc(stored->seek_state, len + 1);
        if (copy) {
            stored->seek_state = copy;
            memcpy(copy, len ? state : "", len);
            *point = (struct fc_seek_point){(uint64_t)sqlite3_column_int64(stmt, 0),
                                            (uint64_t)sqlite3_column_int64(stmt, 1), copy, len};
        }
        rc = copy ? 1 : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    } else {
        rc = rc == SQLITE_DONE ? 0 : fc_db_error(db->sql, db->path, err, "cannot read the index");
    }
    sqlite3_finalize(stmt);
    return rc;
}

int fc_stored_file_enter(struct fc_stored_file *stored, struct fc_file *file, struct fc_error *err)
{
    int rc = fc_is_url(stored->path) ? open_remote(stored, file, err)
                                     : fc_file_open_first(stored->path, stored->size, file, err);

    if (rc == 0 && file->source)
        fc_source_set_points(file->source, find_point, stored);
    return rc;
}
