/* SPDX-License-Identifier: MIT */
/*
 * The folders that are watched, walked to the bottom without following symbolic links to folders; and which of the
 * files in them belong to the index.
 *
 * Threads: any.
 */
#ifndef FC_LIVE_TREE_H
#define FC_LIVE_TREE_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * The index, which may lie in a folder that is watched. What belongs to it must not be opened (store/writer.h,
 * fc_writer_owns()), and changes with each run. Immutable.
 */
struct fc_own {
    char *place;       /* of the index */
    const char *name;  /* the last part of it */
    uint64_t dev, ino; /* of its folder */
};

/* FC_E_IO: there is no such folder. FC_E_NOMEM. */
int fc_own_init(struct fc_own *own, const char *index, struct fc_error *err);
void fc_own_fini(struct fc_own *own);
bool fc_own_folder(const struct fc_own *own, const struct stat *folder);
/* Of a file in that folder. */
bool fc_own_name(const struct fc_own *own, const char *name);

/* What a walk meets. Each returns 0, or what ends the walk. */
struct fc_tree_visitor {
    const struct fc_own *own;
    /* in front of what is in it. 1: that is left out */
    int (*folder)(void *ctx, const char *path, const struct stat *st);
    /* a regular file, or a symbolic link to one, of which st is; none of the index */
    int (*file)(void *ctx, const char *path, const struct stat *st);
    /* a folder cannot be read; errno */
    int (*unreadable)(void *ctx, const char *path);
    void *ctx;
};

/* Walks a folder; one that is not there has nothing in it. FC_E_NOMEM, or what a visit has returned. */
int fc_tree_walk(const char *folder, const struct fc_tree_visitor *visitor);

/* "folder/name", a new string, or NULL. */
char *fc_tree_join(const char *folder, const char *name);

/*
 * Files that may have been made of this one, which is no more under its name: compressed ones under its name with a
 * suffix. Calls `found` for each that is there.
 */
int fc_tree_archives(const char *path, int (*found)(void *ctx, const char *path), void *ctx);

/*
 * A compressed file beside the one that it is made of, by its name: until that is done it holds the beginning of
 * something that is known.
 */
bool fc_tree_is_archive_of_another(const char *path);

#endif
