/* SPDX-License-Identifier: MIT */
#include "live/tree.h"
#include "base/error.h"
#include "store/db.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const suffixes[] = {".gz", ".zst", ".lz4", ".xz"};
enum { SUFFIXES = sizeof suffixes / sizeof suffixes[0] };

int fc_own_init(struct fc_own *own, const char *index, struct fc_error *err)
{
    char *folder;
    struct stat st;
    int rc = 0;

    memset(own, 0, sizeof *own);
    own->place = fc_db_place(index);
    folder = own->place ? fc_path_folder(own->place) : NULL;
    if (!own->place || (!folder && errno == ENOMEM))
        rc = fc_error_set(err, FC_E_NOMEM, index, FC_NO_OFFSET, "out of memory");
    else if (!folder || stat(folder, &st) != 0)
        rc = fc_error_errno(err, FC_E_IO, index, FC_NO_OFFSET, "cannot find the index's folder");
    free(folder);
    if (rc) {
        fc_own_fini(own);
        return rc;
    }
    const char *slash = strrchr(own->place, '/');
    own->name = slash ? slash + 1 : own->place;
    own->dev = st.st_dev;
    own->ino = st.st_ino;
    return 0;
}

void fc_own_fini(struct fc_own *own)
{
    free(own->place);
    memset(own, 0, sizeof *own);
}

bool fc_own_folder(const struct fc_own *own, const struct stat *folder)
{
    return folder->st_dev == own->dev && folder->st_ino == own->ino;
}

bool fc_own_name(const struct fc_own *own, const char *name)
{
    /* the building site is a database, too */
    static const char *const ends[] = {"",     "-journal",     "-wal",     "-shm",    ".watch",
                                       ".new", ".new-journal", ".new-wal", ".new-shm"};
    size_t len = strlen(own->name);

    if (strncmp(name, own->name, len) != 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(name + len, ends[i]) == 0)
            return true;
    return false;
}

char *fc_tree_join(const char *folder, const char *name)
{
    const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
    char *path = NULL;

    return asprintf(&path, "%s%s%s", folder, slash, name) < 0 ? NULL : path;
}

static int visit(const char *path, bool own, const char *name, const struct fc_tree_visitor *v)
{
    struct stat st;

    if (own && fc_own_name(v->own, name))
        return 0;
    if (lstat(path, &st) != 0)
        return 0; /* gone meanwhile */
    if (S_ISDIR(st.st_mode))
        return fc_tree_walk(path, v);
    if (S_ISLNK(st.st_mode) && stat(path, &st) != 0)
        return 0;
    return S_ISREG(st.st_mode) ? v->file(v->ctx, path, &st) : 0;
}

int fc_tree_walk(const char *folder, const struct fc_tree_visitor *v)
{
    struct dirent *e;
    struct stat st;
    DIR *dir;
    int rc;

    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode))
        return 0;
    if ((rc = v->folder(v->ctx, folder, &st)))
        return rc == 1 ? 0 : rc;
    if (!(dir = opendir(folder)))
        return errno == ENOENT ? 0 : errno == ENOMEM ? FC_E_NOMEM : v->unreadable(v->ctx, folder);
    while (rc == 0 && (e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *path = fc_tree_join(folder, e->d_name);
        rc = path ? visit(path, fc_own_folder(v->own, &st), e->d_name, v) : FC_E_NOMEM;
        free(path);
    }
    closedir(dir);
    return rc;
}

int fc_tree_archives(const char *path, int (*found)(void *ctx, const char *path), void *ctx)
{
    int rc = 0;

    for (int i = 0; i < SUFFIXES && rc == 0; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s%s", path, suffixes[i]) < 0)
            return FC_E_NOMEM;
        if (access(name, F_OK) == 0)
            rc = found(ctx, name);
        free(name);
    }
    return rc;
}

bool fc_tree_is_archive_of_another(const char *path)
{
    size_t len = strlen(path);

    for (int i = 0; i < SUFFIXES; i++) {
        size_t n = strlen(suffixes[i]);
        if (len <= n || strcmp(path + len - n, suffixes[i]) != 0)
            continue;
        char *name = strndup(path, len - n);
        bool there = name && access(name, F_OK) == 0;
        free(name);
        return there;
    }
    return false;
}
