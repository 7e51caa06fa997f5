/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "capture/url.h"
#include "store/db.h"
#include "store/files.h"
#include "store/writer.h"

#include <errno.h>
#include <flowcarve/index.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A name as it can be compared, also of a file that is not there; a new string, or NULL. */
static char *plain_name(const char *path)
{
    char *real = fc_is_url(path) ? strdup(path) : realpath(path, NULL), *folder, *name = NULL;
    const char *slash = strrchr(path, '/');

    if (real || !(folder = fc_path_folder(path)))
        return real ? real : strdup(path);
    if (asprintf(&name, "%s/%s", strcmp(folder, "/") ? folder : "", slash ? slash + 1 : path) < 0)
        name = NULL;
    free(folder);
    return name;
}

/* Not there, though its folder is. */
static bool is_deleted(const char *path)
{
    struct stat st;
    char *folder;
    bool deleted;

    if (fc_is_url(path) || lstat(path, &st) == 0 || errno != ENOENT || fc_file_stat(path, &st) == 0 ||
        !(folder = fc_path_folder(path)))
        return false;
    deleted = stat(folder, &st) == 0;
    free(folder);
    return deleted;
}

/* Marks the captures of a name: that which has it, or, where none has, those that are gone. FC_E_USAGE: none. */
static int choose_name(const struct fc_stored_files *all, const char *name, bool *chosen, struct fc_error *err)
{
    char *plain = plain_name(name);
    bool found = false;
    int rc = plain ? 0 : FC_E_NOMEM;

    for (int gone = 0; gone < 2 && !found && rc == 0; gone++)
        for (size_t i = 0; i < all->count && rc == 0; i++) {
            char *stored = all->items[i].gone == gone ? plain_name(all->items[i].path) : NULL;
            if (all->items[i].gone == gone && !stored)
                rc = FC_E_NOMEM;
            if (stored && strcmp(stored, plain) == 0)
                chosen[i] = found = true;
            free(stored);
        }
    free(plain);
    if (rc)
        return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    return found ? 0 : fc_error_set(err, FC_E_USAGE, name, FC_NO_OFFSET, "is not in the index");
}

static int choose(const struct fc_stored_files *all, const struct fc_forget_options *o, bool *chosen,
                  struct fc_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < o->file_count && rc == 0; i++)
        rc = choose_name(all, o->files[i], chosen, err);
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        const struct fc_stored_file *f = &all->items[i];
        if (o->has_before && f->last_ns != FC_TIME_NONE && f->last_ns < o->before_ns)
            chosen[i] = true;
        if (o->gone && (f->gone || is_deleted(f->path)))
            chosen[i] = true;
    }
    return rc;
}

static uint64_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int forget_chosen(const char *db_path, const struct fc_stored_files *all, const bool *chosen,
                         const struct fc_forget_options *o, const int *stop, struct fc_forget_result *result,
                         struct fc_error *err)
{
    struct fc_forgotten sum = {0};
    struct fc_writer *writer;
    bool fresh;
    int rc = fc_writer_open(db_path, &writer, &fresh, err);

    if (rc)
        return rc;
    fc_writer_set_stop(writer, stop);
    rc = fresh ? fc_error_set(err, FC_E_MISSING, db_path, FC_NO_OFFSET, "was removed meanwhile")
               : fc_writer_begin(writer, err);
    rc = rc > 0 ? 0 : rc; /* captures that another run has added are not among the chosen ones */
    for (size_t i = 0; i < all->count && rc == 0; i++)
        if (chosen[i])
            rc = fc_writer_forget_file(writer, all->items[i].id, o->keep_sessions, &sum, err);
    if (rc == 0)
        rc = fc_writer_commit(writer, NULL, err);
    result->wal_left = fc_writer_wal_left(writer);
    fc_writer_close(writer);
    result->files = sum.files;
    result->packets = sum.packets;
    result->sessions = sum.sessions;
    return rc;
}

FC_EXPORT int fc_forget(const char *db_path, const struct fc_forget_options *o, const int *stop,
                        struct fc_forget_result *result, struct fc_error *err)
{
    struct fc_stored_files all = {0};
    struct fc_error local;
    struct fc_db *db;
    bool *chosen = NULL, any = false;
    int rc;

    err = err ? err : &local;
    memset(result, 0, sizeof *result);
    if (!o->has_before && !o->gone && !o->file_count)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "nothing to forget: a time, gone captures, or names");
    if ((rc = fc_db_open(db_path, &db, err)))
        return rc;
    rc = fc_stored_files_load(db, &all, err);
    if (rc == 0 && !(chosen = calloc(all.count + 1, sizeof *chosen)))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (rc == 0)
        rc = choose(&all, o, chosen, err);
    fc_db_close(db); /* before it is written: closing gives up the locks of all that this process has of the file */
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        const struct fc_stored_file *f = &all.items[i];
        chosen[i] = chosen[i] && f->forgotten < f->records - f->ignored;
        any |= chosen[i];
    }
    result->size_before = size_of(db_path);
    if (rc == 0 && any)
        rc = forget_chosen(db_path, &all, chosen, o, stop, result, err);
    result->size_after = size_of(db_path);
    free(chosen);
    fc_stored_files_fini(&all);
    return rc;
}
