/* SPDX-License-Identifier: MIT */
/*
 * A new file that appears under its name only when it is whole: synced to the disk and closed without an error.
 *
 * Until then it has no name (O_TMPFILE), so that a killed process leaves nothing; where the file system or /proc does
 * not give that, a temporary one beside its place. What was under its name stays until then.
 *
 * Threads: one per file. Memory: the strings are owned by the structure.
 */
#ifndef FLOWCARVE_NEWFILE_H
#define FLOWCARVE_NEWFILE_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who may read and write what is made. All zeros: its owner alone. What is asked for is not narrowed by the umask. */
struct fc_rights {
    unsigned mode; /* as of chmod(2), 0: 0600 */
    bool has_group;
    unsigned group; /* its number, when has_group */
};

struct fc_new_file {
    int fd;          /* for reading and writing; -1: there is none */
    char *place;     /* where it will be */
    char *temporary; /* its name until then; NULL: it has none */
};

/*
 * Makes the file, empty. FC_E_IO: it cannot be made, or the rights cannot be given. FC_E_NOMEM. Then there is nothing
 * to end, though fc_new_file_abandon() may be called.
 */
int fc_new_file_open(struct fc_new_file *file, const char *place, const struct fc_rights *rights, struct fc_error *err);

/*
 * Puts it under its name; with `replace` in place of what is there, else that is an error. FC_E_IO, FC_E_NOMEM: what
 * was there is there, and the file is to be abandoned.
 */
int fc_new_file_finish(struct fc_new_file *file, bool replace, struct fc_error *err);

/*
 * Finishes files of one folder, whose names nothing has had, with one sync of its file system in place of one for each
 * of them. *there (may be NULL): so many are abandoned, as something has their name by now. FC_E_IO: all that were not
 * finished are abandoned.
 */
int fc_new_files_finish(struct fc_new_file *files, size_t count, size_t *there, struct fc_error *err);

/*
 * Makes a folder, unless it is there. Who may read a file by the rights may search the folder. FC_E_IO.
 */
int fc_new_folder(const char *path, const struct fc_rights *rights, struct fc_error *err);

/* Leaves no trace of a file that is not finished. */
void fc_new_file_abandon(struct fc_new_file *file);

#ifdef __cplusplus
}
#endif
#endif
