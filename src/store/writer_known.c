/* SPDX-License-Identifier: MIT */
/* Which captures the index has, by what they are found, and what is known of one that has grown. */
#include "base/error.h"
#include "base/vector.h"
#include "capture/print.h"
#include "store/path.h"
#include "store/resume.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

#define SELECT_KNOWN                                                                                                   \
    "SELECT id, path, relative, size, stream_size, compression, mtime_ns, ctime_ns, device, inode, fingerprint,"       \
    " stored_fingerprint, records, gone, forgotten FROM files"

void fc_known_files_fini(struct fc_known_files *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
    memset(list, 0, sizeof *list);
}

static int remember(struct fc_writer *w, const char *path, char **name, bool *relative, struct fc_error *err)
{
    *name = fc_path_remember(w->folder, path, relative);
    return *name ? 0 : fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot resolve the path");
}

static enum fc_compression compression_of(sqlite3_stmt *stmt, int col)
{
    const char *name = (const char *)sqlite3_column_text(stmt, col);

    for (int i = FC_COMPRESSION_NONE; name && i <= FC_COMPRESSION_XZ; i++)
        if (strcmp(name, fc_compression_name((enum fc_compression)i)) == 0)
            return (enum fc_compression)i;
    return FC_COMPRESSION_NONE;
}

static int64_t time_of(sqlite3_stmt *stmt, int col)
{
    return sqlite3_column_type(stmt, col) == SQLITE_NULL ? FC_TIME_NONE : sqlite3_column_int64(stmt, col);
}

/* Appends the rows of a query to the list. 0, or negative. */
static int load(struct fc_writer *w, struct fc_stmt *stmt, struct fc_known_files *out, struct fc_error *err)
{
    sqlite3_stmt *raw;
    int rc;

    while ((rc = fc_stmt_step(stmt, err)) == 1) {
        raw = stmt->raw;
        char *name = fc_path_from_column(raw, 1);
        char *path = name ? fc_path_locate(w->folder, name, sqlite3_column_int(raw, 2) != 0) : NULL;
        free(name);
        if (!path || fc_vector_reserve(&out->items, &out->room, out->count + 1, sizeof *out->items)) {
            free(path);
            fc_stmt_reset(stmt);
            return fc_writer_no_memory(w, err);
        }
        out->items[out->count++] = (struct fc_known_file){
            .id = (uint32_t)sqlite3_column_int64(raw, 0),
            .path = path,
            .size = (uint64_t)sqlite3_column_int64(raw, 3),
            .stream_size = (uint64_t)sqlite3_column_int64(raw, 4),
            .compression = compression_of(raw, 5),
            .mtime_ns = sqlite3_column_int64(raw, 6),
            .ctime_ns = time_of(raw, 7),
            .dev = (uint64_t)sqlite3_column_int64(raw, 8),
            .ino = (uint64_t)sqlite3_column_int64(raw, 9),
            .fingerprint = (uint64_t)sqlite3_column_int64(raw, 10),
            .stored_fingerprint = (uint64_t)sqlite3_column_int64(raw, 11),
            .records = (uint64_t)sqlite3_column_int64(raw, 12),
            .gone = sqlite3_column_int(raw, 13) != 0,
            .forgotten = sqlite3_column_int64(raw, 14) != 0,
        };
    }
    return rc;
}

int fc_writer_by_name(struct fc_writer *w, const char *path, bool gone_too, struct fc_known_files *out,
                      struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(
        w, FC_STMT_BY_NAME, SELECT_KNOWN " WHERE path = ? AND relative = ? AND gone <= ? ORDER BY id DESC LIMIT 16");
    bool relative = false;
    char *name;
    int rc = remember(w, path, &name, &relative, err);

    if (rc)
        return rc;
    fc_bind_path(stmt, 1, name);
    fc_stmt_int(stmt, 2, relative);
    fc_stmt_int(stmt, 3, gone_too);
    rc = load(w, stmt, out, err);
    free(name);
    return rc;
}

static int by_two(struct fc_writer *w, enum fc_writer_stmt_id id, const char *sql, uint64_t a, uint64_t b,
                  struct fc_known_files *out, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, id, sql);

    fc_stmt_int(stmt, 1, (int64_t)a);
    fc_stmt_int(stmt, 2, (int64_t)b);
    return load(w, stmt, out, err);
}

int fc_writer_by_inode(struct fc_writer *w, uint64_t dev, uint64_t ino, struct fc_known_files *out,
                       struct fc_error *err)
{
    return by_two(w, FC_STMT_BY_INODE, SELECT_KNOWN " WHERE device = ? AND inode = ? ORDER BY id DESC LIMIT 16", dev,
                  ino, out, err);
}

int fc_writer_by_stored(struct fc_writer *w, uint64_t stored_fingerprint, uint64_t size, struct fc_known_files *out,
                        struct fc_error *err)
{
    return by_two(w, FC_STMT_BY_STORED, SELECT_KNOWN " WHERE stored_fingerprint = ? AND size = ? ORDER BY gone, id",
                  stored_fingerprint, size, out, err);
}

int fc_writer_by_stream(struct fc_writer *w, uint64_t fingerprint, uint64_t stream_size, struct fc_known_files *out,
                        struct fc_error *err)
{
    return by_two(w, FC_STMT_BY_STREAM, SELECT_KNOWN " WHERE fingerprint = ? AND stream_size = ? ORDER BY gone, id",
                  fingerprint, stream_size, out, err);
}

int fc_writer_by_begin(struct fc_writer *w, uint64_t begin, struct fc_known_files *out, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_BY_BEGIN, SELECT_KNOWN " WHERE begin = ? ORDER BY gone, id");

    fc_stmt_int(stmt, 1, (int64_t)begin);
    return load(w, stmt, out, err);
}

int fc_writer_copy(struct fc_writer *w, uint32_t id, const struct fc_file *file, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_COPY, "INSERT OR REPLACE INTO copies VALUES (?,?,?,?,?,?)");

    if (fc_file_ctime(file) == FC_TIME_NONE)
        return 0;
    fc_stmt_int(stmt, 1, (int64_t)file->dev);
    fc_stmt_int(stmt, 2, (int64_t)file->ino);
    fc_stmt_int(stmt, 3, (int64_t)file->stored_size);
    fc_stmt_int(stmt, 4, file->mtime_ns);
    fc_stmt_int(stmt, 5, file->ctime_ns);
    fc_stmt_int(stmt, 6, id);
    return fc_stmt_run(stmt, err);
}

int fc_writer_copied(struct fc_writer *w, uint64_t dev, uint64_t ino, uint64_t size, int64_t mtime_ns, int64_t ctime_ns,
                     struct fc_known_files *out, struct fc_error *err)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_COPIED,
                       SELECT_KNOWN " WHERE id = (SELECT file FROM copies WHERE device = ? AND inode = ? AND size = ?"
                                    " AND mtime_ns = ? AND ctime_ns = ?)");

    fc_stmt_int(stmt, 1, (int64_t)dev);
    fc_stmt_int(stmt, 2, (int64_t)ino);
    fc_stmt_int(stmt, 3, (int64_t)size);
    fc_stmt_int(stmt, 4, mtime_ns);
    fc_stmt_int(stmt, 5, ctime_ns);
    return load(w, stmt, out, err);
}

int fc_writer_has_name(struct fc_writer *w, const struct fc_known_file *known, const char *path, struct fc_error *err)
{
    bool relative = false;
    char *name;
    int rc = remember(w, path, &name, &relative, err);

    if (rc)
        return rc;
    char *where = fc_path_locate(w->folder, name, relative);
    rc = where ? strcmp(where, known->path) == 0 : fc_writer_no_memory(w, err);
    free(where);
    free(name);
    return rc;
}

int fc_writer_move(struct fc_writer *w, uint32_t id, const char *path, struct fc_error *err)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_MOVE, "UPDATE files SET path = ?, relative = ?, gone = 0 WHERE id = ?");
    bool relative = false;
    char *name;
    int rc = remember(w, path, &name, &relative, err);

    if (rc)
        return rc;
    fc_bind_path(stmt, 1, name);
    fc_stmt_int(stmt, 2, relative);
    fc_stmt_int(stmt, 3, id);
    rc = fc_stmt_run(stmt, err);
    free(name);
    return rc;
}

int fc_writer_place(struct fc_writer *w, uint32_t id, const struct fc_file *file, uint64_t stored_fingerprint,
                    bool restored, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_PLACE,
                                          "UPDATE files SET size = ?2, compression = ?3, mtime_ns = ?4, ctime_ns = ?5,"
                                          " device = ?6, inode = ?7, stored_fingerprint = ?8 WHERE id = ?1");
    int64_t ctime_ns = fc_file_ctime(file);
    int rc;

    fc_stmt_int(stmt, 1, id);
    fc_stmt_int(stmt, 2, (int64_t)file->stored_size);
    fc_stmt_text(stmt, 3, fc_compression_name(file->compression));
    fc_stmt_int(stmt, 4, file->mtime_ns);
    if (ctime_ns == FC_TIME_NONE)
        fc_stmt_null(stmt, 5);
    else
        fc_stmt_int(stmt, 5, ctime_ns);
    fc_stmt_int(stmt, 6, (int64_t)file->dev);
    fc_stmt_int(stmt, 7, (int64_t)file->ino);
    fc_stmt_int(stmt, 8, (int64_t)stored_fingerprint);
    if ((rc = fc_stmt_run(stmt, err)) || !restored || (rc = fc_writer_forget_points(w, id, err)))
        return rc;
    stmt = fc_writer_stmt(w, FC_STMT_TAKE_POINTS, "UPDATE seek_points SET file = ? WHERE file = 0");
    fc_stmt_int(stmt, 1, id);
    return fc_stmt_run(stmt, err);
}

int fc_writer_gone(struct fc_writer *w, uint32_t id, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_GONE, "UPDATE files SET gone = 1 WHERE id = ?");

    fc_stmt_int(stmt, 1, id);
    return fc_stmt_run(stmt, err);
}

int fc_writer_forget_points(struct fc_writer *w, uint32_t id, struct fc_error *err)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_FORGET_POINTS, "DELETE FROM seek_points WHERE file = ? AND off > ?");

    fc_stmt_int(stmt, 1, id);
    fc_stmt_int(stmt, 2, -1);
    return fc_stmt_run(stmt, err);
}

/* ---- where reading goes on */

void fc_file_state_fini(struct fc_file_state *state)
{
    fc_section_free(&state->section);
    free(state->ifaces);
    free(state->point_state);
    memset(state, 0, sizeof *state);
}

static int load_interfaces(struct fc_writer *w, uint32_t id, struct fc_file_state *state, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_STATE_IFACES,
                                          "SELECT section, section_off, number, off, big_endian, link_type, snaplen,"
                                          " tsresol, tsoffset FROM interfaces WHERE file = ? ORDER BY section, number");
    size_t room = 0;
    int rc;

    fc_stmt_int(stmt, 1, id);
    while ((rc = fc_stmt_step(stmt, err)) == 1) {
        sqlite3_stmt *raw = stmt->raw;
        if (fc_vector_reserve(&state->ifaces, &room, state->iface_count + 1, sizeof *state->ifaces)) {
            fc_stmt_reset(stmt);
            return fc_writer_no_memory(w, err);
        }
        state->ifaces[state->iface_count++] = (struct fc_interface){
            .section = (uint32_t)sqlite3_column_int64(raw, 0),
            .section_off = (uint64_t)sqlite3_column_int64(raw, 1),
            .number = (uint32_t)sqlite3_column_int64(raw, 2),
            .off = (uint64_t)sqlite3_column_int64(raw, 3),
            .big_endian = sqlite3_column_int(raw, 4) != 0,
            .link_type = (uint32_t)sqlite3_column_int64(raw, 5),
            .snaplen = (uint32_t)sqlite3_column_int64(raw, 6),
            .tsresol = (uint8_t)sqlite3_column_int(raw, 7),
            .tsoffset = sqlite3_column_int64(raw, 8),
        };
    }
    return rc;
}

/* The last place to start decompression at that no reader looks before. */
static int load_point(struct fc_writer *w, uint32_t id, struct fc_file_state *state, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_STATE_POINT,
                                          "SELECT off, stored_off, state FROM seek_points WHERE file = ? AND off <= ?"
                                          " ORDER BY off DESC LIMIT 1");
    int rc;

    fc_stmt_int(stmt, 1, id);
    fc_stmt_int(stmt, 2, (int64_t)(state->end_off & ~(uint64_t)(FC_PRINT_STEP - 1)));
    if ((rc = fc_stmt_step(stmt, err)) != 1)
        return rc;
    const void *data = sqlite3_column_blob(stmt->raw, 2);
    size_t len = (size_t)sqlite3_column_bytes(stmt->raw, 2);
    if (!(state->point_state = malloc(len + 1))) {
        fc_stmt_reset(stmt);
        return fc_writer_no_memory(w, err);
    }
    if (len)
        memcpy(state->point_state, data, len);
    state->point = (struct fc_seek_point){(uint64_t)sqlite3_column_int64(stmt->raw, 0),
                                          (uint64_t)sqlite3_column_int64(stmt->raw, 1), state->point_state, len};
    fc_stmt_reset(stmt);
    return 0;
}

/* The interfaces of the section that holds, which are the last ones. */
static int take_section(struct fc_writer *w, struct fc_file_state *state, struct fc_error *err)
{
    size_t first = state->iface_count;

    while (first && state->ifaces[first - 1].section == state->section.number)
        first--;
    struct fc_section view = state->section;
    view.count = (uint32_t)(state->iface_count - first);
    view.ifaces = state->ifaces + first;
    return fc_section_copy(&state->section, &view) ? fc_writer_no_memory(w, err) : 0;
}

/* Nothing of it is decided: a new one, but for its number. */
static void forget_all(struct fc_file_state *state)
{
    *state = (struct fc_file_state){.clock = {.counted_ns = FC_TIME_NONE},
                                    .tail_ns = FC_TIME_NONE,
                                    .first_ns = FC_TIME_NONE,
                                    .last_ns = FC_TIME_NONE};
}

int fc_writer_file_state(struct fc_writer *w, uint32_t id, struct fc_file_state *state, struct fc_error *err)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_STATE,
                       "SELECT end_off, stream_size, records, ignored, malformed, backward, first_ns,"
                       " last_ns, header_bytes, record_bytes, other_bytes, lost_bytes, damaged,"
                       " pending_bytes, (SELECT count(*) FROM damage WHERE file = id AND off >= end_off"
                       " AND (length > 0 OR off >= stream_size)), resume, compression, format"
                       " FROM files WHERE id = ?");
    int rc;

    memset(state, 0, sizeof *state);
    fc_stmt_int(stmt, 1, id);
    if ((rc = fc_stmt_step(stmt, err)) != 1)
        return rc ? rc : fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "file %u is gone", id);
    sqlite3_stmt *raw = stmt->raw;
    uint64_t v[15];
    for (int i = 0; i < 15; i++)
        v[i] = (uint64_t)sqlite3_column_int64(raw, i);
    const char *format = (const char *)sqlite3_column_text(raw, 17);
    bool pcapng = format && strcmp(format, fc_format_name(FC_FORMAT_PCAPNG)) == 0;
    bool known = fc_resume_get(sqlite3_column_blob(raw, 15), (size_t)sqlite3_column_bytes(raw, 15), state);
    state->compression = compression_of(raw, 16);
    state->end_off = v[0];
    state->stream_size = v[1];
    state->records = v[2];
    state->ignored = v[3];
    state->malformed = v[4];
    state->backward = v[5];
    state->first_ns = time_of(raw, 6);
    state->last_ns = time_of(raw, 7);
    state->header_bytes = v[8];
    state->record_bytes = v[9];
    state->other_bytes = v[10];
    /* what was lost at the end is read again, and told of anew */
    uint64_t tail = v[1] - v[0] - v[13];
    uint64_t again = tail && !v[14] ? 1 : v[14]; /* it may be behind those that are listed */
    state->lost_bytes = v[11] - tail;
    state->damaged = v[12] - again;
    fc_stmt_reset(stmt);
    if (!state->end_off) {
        forget_all(state);
        return 0;
    }
    if (!known || v[1] < v[0] || v[1] - v[0] < v[13] || v[11] < tail || again > v[12])
        return fc_error_set(err, FC_E_CHANGED, NULL, FC_NO_OFFSET,
                            "has grown, and what the index says of its end is not to be understood; index it into a new"
                            " database");
    if ((rc = load_interfaces(w, id, state, err)) || (pcapng && (rc = take_section(w, state, err))))
        return rc;
    return state->compression == FC_COMPRESSION_NONE ? 0 : load_point(w, id, state, err);
}
