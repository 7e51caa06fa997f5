/* SPDX-License-Identifier: MIT */
#include "query/file.h"
#include "base/vector.h"
#include "flow/positions.h"
#include "store/blob.h"
#include "store/path.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* The captures of a name, found once a statement. */
struct named {
    int64_t *id; /* ascending */
    size_t count, room;
    struct fc_buffer scratch;
};

static void free_named(void *context)
{
    struct named *named = context;

    fc_buffer_fini(&named->scratch);
    free(named->id);
    free(named);
}

/* As many parts of the path, from its end, as the name has. */
static const char *tail_of(const char *path, const char *name)
{
    size_t slashes = 0;
    const char *p = path + strlen(path);

    for (; *name; name++)
        slashes += *name == '/';
    for (; p > path; p--)
        if (p[-1] == '/' && slashes-- == 0)
            break;
    return p;
}

/* resolved: what the name is in the file system, or NULL. */
static bool has_name(const char *path, const char *name, const char *resolved)
{
    const char *tail = *name == '/' ? path : tail_of(path, name);

    return strcmp(tail, name) == 0 || fnmatch(name, tail, FNM_PATHNAME) == 0 ||
           (resolved && strcmp(path, resolved) == 0);
}

static int add(struct named *named, int64_t id)
{
    if (fc_vector_reserve(&named->id, &named->room, named->count + 1, sizeof *named->id))
        return SQLITE_NOMEM;
    named->id[named->count++] = id;
    return SQLITE_OK;
}

static int find(struct fc_db *db, const char *name, struct named *named)
{
    char *resolved = strchr(name, '/') ? realpath(name, NULL) : NULL;
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(fc_db_sqlite(db), "SELECT id, path, relative FROM files ORDER BY id", -1, &stmt, NULL);

    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *bytes = sqlite3_column_blob(stmt, 1); /* NULL where there are none */
        char *stored = strndup(bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, 1));
        char *path = stored ? fc_path_locate(db->folder, stored, sqlite3_column_int(stmt, 2) != 0) : NULL;

        rc = !path                            ? SQLITE_NOMEM
             : has_name(path, name, resolved) ? add(named, sqlite3_column_int64(stmt, 0))
                                              : SQLITE_OK;
        free(stored);
        free(path);
    }
    sqlite3_finalize(stmt);
    free(resolved);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static bool is_one(const struct named *named, int64_t id)
{
    size_t low = 0, high = named->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (named->id[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < named->count && named->id[low] == id;
}

/* 1 or 0, or an error of blobs. */
static int has_positions(struct named *named, const void *blob, size_t len)
{
    const uint8_t *plain, *p, *end;
    struct fc_segment segment;
    size_t plain_len;
    int rc = len ? fc_blob_decode(blob, len, &named->scratch, &plain, &plain_len) : 0;

    if (rc || !len)
        return rc;
    for (p = plain, end = plain + plain_len; p < end;) {
        if (!(p = fc_segment_head(p, end, &segment)))
            return FC_E_DAMAGED;
        if (is_one(named, segment.file))
            return 1;
        for (uint64_t i = 1, off = 0; i < segment.count; i++)
            if (!(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
    }
    return 0;
}

static void in_file(sqlite3_context *context, int count, sqlite3_value **arg)
{
    struct named *named = sqlite3_get_auxdata(context, 1), *fresh = NULL;
    const char *name = (const char *)sqlite3_value_text(arg[1]);
    int rc = SQLITE_OK;

    (void)count;
    if (!named) {
        if (!name || !(named = fresh = calloc(1, sizeof *named))) {
            sqlite3_result_error_nomem(context);
            return;
        }
        rc = find(sqlite3_user_data(context), name, named);
    }
    if (rc != SQLITE_OK)
        sqlite3_result_error_code(context, rc);
    else if (sqlite3_value_type(arg[0]) == SQLITE_INTEGER)
        sqlite3_result_int(context, is_one(named, sqlite3_value_int64(arg[0])));
    else {
        int has = has_positions(named, sqlite3_value_blob(arg[0]), (size_t)sqlite3_value_bytes(arg[0]));
        if (has < 0)
            sqlite3_result_error_code(context, has == FC_E_NOMEM ? SQLITE_NOMEM : SQLITE_CORRUPT);
        else
            sqlite3_result_int(context, has);
    }
    if (fresh) /* behind the last use, as SQLite may free it at once */
        sqlite3_set_auxdata(context, 1, fresh, free_named);
}

int fc_file_register(struct fc_db *db)
{
    return sqlite3_create_function(fc_db_sqlite(db), "fc_in_file", 2,
                                   SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, db, in_file, NULL, NULL);
}

int fc_file_is_known(struct fc_db *db, const char *name, struct fc_error *err)
{
    struct named *named = calloc(1, sizeof *named);
    int rc = named ? find(db, name, named) : SQLITE_NOMEM;
    bool known = named && named->count > 0;

    if (named)
        free_named(named);
    return rc == SQLITE_OK ? known : fc_db_error(fc_db_sqlite(db), db->path, err, "cannot read the index");
}
