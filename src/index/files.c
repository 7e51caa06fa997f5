/* SPDX-License-Identifier: MIT */
#include "store/files.h"
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "capture/print.h"
#include "capture/remote.h"
#include "store/db.h"
#include "store/writer.h"

#include <errno.h>
#include <flowcarve/files.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_stopped(const int *stop)
{
    return stop && __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static bool is_forgotten(const struct fc_stored_file *f)
{
    return f->forgotten && f->forgotten == f->records - f->ignored;
}

static int64_t time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* Is it the file that was indexed, untouched since? */
static bool is_untouched(const struct fc_stored_file *f)
{
    struct stat st;

    return f->ctime_ns != FC_TIME_NONE && fc_file_stat(f->path, &st) == 0 && (uint64_t)st.st_size == f->size &&
           st.st_dev == f->dev && st.st_ino == f->ino && time_ns(&st.st_mtim) == f->mtime_ns &&
           time_ns(&st.st_ctim) == f->ctime_ns;
}

/* What is found there; *why is filled when it cannot be read. FC_E_NOMEM, FC_E_LIMIT. */
static int look(struct fc_stored_file *f, bool check, enum fc_presence *presence, struct fc_error *why)
{
    struct fc_file file;

    f->grown = false;
    bool archived = !check && fc_is_url(f->path);
    int rc =
        f->gone || is_forgotten(f) || archived || (!check && is_untouched(f)) ? 1 : fc_stored_file_open(f, &file, why);

    if (rc == 0)
        fc_file_close(&file);
    if (rc == FC_E_NOMEM || rc == FC_E_LIMIT || rc == FC_E_INTERRUPTED)
        return rc;
    *presence = is_forgotten(f)      ? FC_FILE_FORGOTTEN
                : f->gone            ? FC_FILE_GONE
                : archived           ? FC_FILE_ARCHIVED
                : rc == FC_E_MISSING ? FC_FILE_MISSING
                : rc == FC_E_CHANGED ? FC_FILE_CHANGED
                : rc < 0             ? FC_FILE_UNREADABLE
                : f->grown           ? FC_FILE_GROWN
                : f->pending_bytes   ? FC_FILE_PENDING
                                     : FC_FILE_PRESENT;
    return 0;
}

struct listing {
    struct fc_stored_files files;
    char **whys;
};

static int list_file(struct listing *l, size_t i, bool check, struct fc_listed_file *out, struct fc_error *err)
{
    struct fc_stored_file *f = &l->files.items[i];
    struct fc_error why;
    int rc = look(f, check, &out->presence, &why);

    if (rc) {
        *err = why;
        return rc;
    }
    if (out->presence == FC_FILE_UNREADABLE && !(l->whys[i] = strdup(why.cause)))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    out->id = f->id;
    out->path = f->path;
    out->why = l->whys[i];
    out->format = f->format;
    out->compression = f->compression;
    out->size = f->size;
    out->stream_size = f->stream_size;
    out->records = f->records;
    out->ignored = f->ignored;
    out->forgotten = f->forgotten;
    out->has_time = f->first_ns != FC_TIME_NONE && f->last_ns != FC_TIME_NONE;
    out->first_ns = f->first_ns;
    out->last_ns = f->last_ns;
    out->damaged = f->damaged;
    out->lost_bytes = f->lost_bytes;
    out->pending_bytes = f->pending_bytes;
    return 0;
}

FC_EXPORT int fc_files_list(struct fc_db *db, bool check, const int *stop, struct fc_file_list *out,
                            struct fc_error *err)
{
    struct listing *l = calloc(1, sizeof *l);
    int rc = l ? fc_stored_files_load(db, &l->files, err)
               : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");

    memset(out, 0, sizeof *out);
    out->owned = l;
    if (rc == 0 && (!(out->items = calloc(l->files.count + 1, sizeof *out->items)) ||
                    !(l->whys = calloc(l->files.count + 1, sizeof *l->whys))))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; rc == 0 && i < l->files.count; i++) {
        l->files.items[i].stop = stop;
        rc = is_stopped(stop) ? fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted")
                              : list_file(l, i, check, &out->items[i], err);
        out->count = i + 1;
    }
    if (rc)
        fc_file_list_fini(out);
    return rc;
}

FC_EXPORT void fc_file_list_fini(struct fc_file_list *list)
{
    struct listing *l = list->owned;

    for (size_t i = 0; l && l->whys && i < l->files.count; i++)
        free(l->whys[i]);
    if (l) {
        free(l->whys);
        fc_stored_files_fini(&l->files);
    }
    free(l);
    free(list->items);
    memset(list, 0, sizeof *list);
}

/* The rows of `damage` of one capture or of all; what they name that there is not is passed over. */
static int take_damage(struct fc_db *db, const struct fc_stored_files *files, sqlite3_stmt *stmt, fc_damage_take *take,
                       void *ctx, struct fc_error *err)
{
    int rc = 0, step = SQLITE_DONE;

    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *cause = (const char *)sqlite3_column_text(stmt, 3);
        const struct fc_stored_file *f = fc_stored_files_find(files, (uint32_t)sqlite3_column_int64(stmt, 0));
        struct fc_listed_damage damage = {.off = (uint64_t)sqlite3_column_int64(stmt, 1),
                                          .length = (uint64_t)sqlite3_column_int64(stmt, 2),
                                          .cause = cause ? cause : ""};
        if (!f)
            continue;
        damage.file = f->id;
        damage.path = f->path;
        rc = take(ctx, &damage);
    }
    return rc == 0 && step != SQLITE_DONE ? fc_db_error(db->sql, db->path, err, "cannot read the index") : rc;
}

FC_EXPORT int fc_damage_list(struct fc_db *db, uint32_t file, fc_damage_take *take, void *ctx, struct fc_error *err)
{
    static const char select[] = "SELECT file, off, length, cause FROM damage WHERE ?1 IN (0, file) ORDER BY file, off";
    struct fc_stored_files files;
    sqlite3_stmt *stmt = NULL;
    int rc = fc_stored_files_load(db, &files, err);

    if (rc)
        return rc;
    if (file && !fc_stored_files_find(&files, file))
        rc = fc_error_set(err, FC_E_USAGE, db->path, FC_NO_OFFSET, "there is no capture %u", (unsigned)file);
    else if (sqlite3_prepare_v2(db->sql, select, -1, &stmt, NULL) != SQLITE_OK ||
             sqlite3_bind_int64(stmt, 1, file) != SQLITE_OK)
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    else
        rc = take_damage(db, &files, stmt, take, ctx, err);
    sqlite3_finalize(stmt);
    fc_stored_files_fini(&files);
    return rc;
}

FC_EXPORT int fc_files_archived(struct fc_db *db, struct fc_error *err)
{
    static const char select[] = "SELECT 1 FROM files WHERE relative = 0 AND (path >= 'http://' AND path < 'http:0'"
                                 " OR path >= 'https://' AND path < 'https:0' OR path >= 's3://' AND path < 's3:0'"
                                 " OR path >= x'73333a2f2f' AND path < x'73333a2f30')" /* s3://, not in UTF-8 */
                                 " LIMIT 1";
    sqlite3_stmt *stmt = NULL;
    int step = sqlite3_prepare_v2(db->sql, select, -1, &stmt, NULL);

    if (step == SQLITE_OK)
        step = sqlite3_step(stmt);
    int rc = step == SQLITE_ROW    ? 1
             : step == SQLITE_DONE ? 0
                                   : fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc == 1 && fc_fetch_prepare(err) ? FC_E_IO : rc;
}

FC_EXPORT const char *fc_presence_name(enum fc_presence presence)
{
    static const char *const names[] = {"present",    "pending", "grown",     "changed", "missing",
                                        "unreadable", "gone",    "forgotten", "archived"};

    return names[presence];
}

/* ---- relocate */

static char *tidy_url(const char *url)
{
    size_t len = strlen(url);

    while (len && url[len - 1] == '/')
        len--;
    return strndup(url, len);
}

/* Without what it has of ".", ".." and slashes too many; a new string. What is not there has no links to follow. */
static char *tidy(const char *path)
{
    if (fc_is_url(path))
        return tidy_url(path);
    char *real = realpath(path, NULL), *cwd = real || *path == '/' ? NULL : getcwd(NULL, 0), *full, *to;

    if (real)
        return real;
    if ((*path != '/' && !cwd) || asprintf(&full, "%s/%s", cwd ? cwd : "", path) < 0)
        full = NULL;
    free(cwd);
    if (!full)
        return NULL;
    to = full;
    for (const char *from = full; *from;) {
        size_t n = strcspn(from, "/");
        if (n == 2 && from[0] == '.' && from[1] == '.') {
            while (to > full && *--to != '/')
                continue;
        } else if (n && !(n == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, n);
            to += n;
        }
        from += n + strspn(from + n, "/");
    }
    *to = '\0';
    return full;
}

/* What is behind `prefix` in a path, "" or "/..."; NULL: it does not lie there. */
static const char *rest_of(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);

    if (n && prefix[n - 1] == '/') /* the root folder */
        n--;
    return strncmp(path, prefix, n) == 0 && (path[n] == '/' || !path[n]) ? path + n : NULL;
}

static int note_problem(struct fc_relocate_result *r, const struct fc_error *why)
{
    struct fc_error *more;

    if (r->problem_count == FC_PROBLEMS_KEPT)
        return 0;
    if (!(more = realloc(r->problems, (r->problem_count + 1) * sizeof *more)))
        return FC_E_NOMEM;
    r->problems = more;
    more[r->problem_count++] = *why;
    return 0;
}

struct move {
    uint32_t id;
    char *path;
    struct fc_file known; /* not open: what it is known by from now on, in an archive */
    uint64_t stored_fingerprint;
};
struct moves {
    struct move *items;
    size_t count, room;
};

/* One that is not under the old name either is missing; of an archive that is not asked. */
static bool is_at(const char *path)
{
    return fc_is_url(path) || access(path, F_OK) == 0;
}

static int note_move(struct moves *moves, const struct fc_stored_file *f, char *path, const struct fc_file *file)
{
    if (fc_vector_reserve(&moves->items, &moves->room, moves->count + 1, sizeof *moves->items))
        return FC_E_NOMEM;
    const struct fc_file known = {.stored_size = file->stored_size,
                                  .compression = file->compression,
                                  .mtime_ns = file->mtime_ns,
                                  .dev = file->dev,
                                  .ino = file->ino};
    moves->items[moves->count++] = (struct move){f->id, path, known, f->stored_fingerprint};
    return 0;
}

/*
 * Looks whether a capture is at its new place, and notes the move. FC_E_NOMEM, FC_E_INTERRUPTED; and FC_E_IO,
 * FC_E_USAGE of an archive: what cannot be asked cannot be asked for the next one, either.
 */
static int try_move(const struct fc_stored_file *f, const char *to, const char *rest, const int *stop,
                    struct moves *moves, struct fc_relocate_result *r, struct fc_error *why)
{
    struct fc_stored_file there = *f;
    char *path = fc_url_join(to, rest, f->path);
    bool archive = path && fc_is_url(path);
    struct fc_file file;

    if (!path)
        return fc_error_set(why, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    there.path = path;
    there.gone = false;
    there.dev = 0; /* its content is compared, whatever its version */
    there.stop = stop;
    int rc = fc_stored_file_open(&there, &file, why);
    if (rc == 0) {
        rc = note_move(moves, f, path, &file);
        fc_file_close(&file);
        path = rc ? path : NULL;
    } else if (rc != FC_E_NOMEM && rc != FC_E_INTERRUPTED && !(archive && rc != FC_E_MISSING && rc != FC_E_CHANGED)) {
        bool left = f->gone || is_forgotten(f) || (rc == FC_E_MISSING && is_at(f->path));
        r->left_out += left;
        r->missing += !left && rc == FC_E_MISSING;
        r->changed += !left && rc != FC_E_MISSING;
        rc = left ? 0 : note_problem(r, why);
    }
    if (rc == FC_E_NOMEM)
        fc_error_set(why, rc, NULL, FC_NO_OFFSET, "out of memory");
    fc_remote_close(there.remote);
    free(path);
    return rc;
}

static int find_moves(const char *db_path, const char *from, const char *to, const int *stop, struct moves *moves,
                      struct fc_relocate_result *r, struct fc_error *err)
{
    struct fc_stored_files all = {0};
    struct fc_error why;
    struct fc_db *db;
    int rc = fc_db_open(db_path, &db, err);

    if (rc)
        return rc;
    rc = fc_stored_files_load(db, &all, err);
    fc_db_close(db); /* before it is written: closing gives up the locks of all that this process has of the file */
    for (size_t i = 0; rc == 0 && i < all.count; i++) {
        const char *rest = rest_of(all.items[i].path, from);
        if (!rest)
            continue;
        r->matched++;
        if (is_stopped(stop))
            rc = fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        else if ((rc = try_move(&all.items[i], to, rest, stop, moves, r, &why)) && err)
            *err = why;
    }
    fc_stored_files_fini(&all);
    return rc;
}

static int write_moves(const char *db_path, const struct moves *moves, const int *stop, struct fc_relocate_result *r,
                       struct fc_error *err)
{
    struct fc_writer *writer;
    bool fresh;
    int rc = fc_writer_open(db_path, &writer, &fresh, err);

    if (rc)
        return rc;
    fc_writer_set_stop(writer, stop);
    if (fresh)
        rc = fc_error_set(err, FC_E_MISSING, db_path, FC_NO_OFFSET, "was removed meanwhile");
    /* what a file is known by otherwise is noted by the next run, as of one that was touched */
    for (size_t i = 0; i < moves->count && rc == 0; i++) {
        const struct move *m = &moves->items[i];
        if ((rc = fc_writer_move(writer, m->id, m->path, err)) == 0 && fc_is_url(m->path))
            rc = fc_writer_place(writer, m->id, &m->known, m->stored_fingerprint, false, err);
    }
    if (rc == 0)
        rc = fc_writer_commit(writer, NULL, err);
    r->wal_left = fc_writer_wal_left(writer);
    r->moved = rc == 0 ? moves->count : 0;
    fc_writer_close(writer);
    return rc;
}

FC_EXPORT int fc_files_relocate(const char *db_path, const char *old_path, const char *new_path, const int *stop,
                                struct fc_relocate_result *result, struct fc_error *err)
{
    char *from = tidy(old_path), *to = fc_is_url(new_path) ? tidy(new_path) : realpath(new_path, NULL);
    struct moves moves = {0};
    int rc = 0;

    memset(result, 0, sizeof *result);
    if (to && fc_is_url(to))
        rc = fc_url_check(to, err) ? FC_E_USAGE : fc_fetch_prepare(err);
    else if (!to)
        rc = fc_error_errno(err, errno == ENOENT || errno == ENOTDIR ? FC_E_MISSING : FC_E_IO, new_path, FC_NO_OFFSET,
                            "nothing was moved there");
    if (rc == 0 && !from)
        rc = fc_error_errno(err, FC_E_IO, old_path, FC_NO_OFFSET, "cannot resolve the path");
    if (rc == 0 && (rc = find_moves(db_path, from, to, stop, &moves, result, err)) == 0 && moves.count)
        rc = write_moves(db_path, &moves, stop, result, err);
    for (size_t i = 0; i < moves.count; i++)
        free(moves.items[i].path);
    free(moves.items);
    free(from);
    free(to);
    return rc;
}

FC_EXPORT void fc_relocate_result_fini(struct fc_relocate_result *result)
{
    free(result->problems);
    result->problems = NULL;
    result->problem_count = 0;
}
