/* SPDX-License-Identifier: MIT */
/*
 * Files that a recorder writes: "PREFIX-20261129T141502.123Z.pcapng", and ".PREFIX-...pcapng.part" until such a file is
 * whole.
 *
 * Threads: any, on files of their own.
 */
#ifndef FC_LIVE_PART_H
#define FC_LIVE_PART_H

#include <flowcarve/error.h>
#include <flowcarve/newfile.h>
#include <stdint.h>

struct fc_part {
    char *path, *hidden; /* hidden: NULL when the file has its name */
    int fd;              /* -1: it is closed */
};

/* Makes one, which is named by the wall clock. FC_E_IO, FC_E_NOMEM. */
int fc_part_create(const char *folder, const char *prefix, const struct fc_rights *rights, struct fc_part *part,
                   struct fc_error *err);
/* Gives it its name. It is on the disk then, and so is the name. FC_E_MISSING: it has none any more. FC_E_IO. */
int fc_part_finish(struct fc_part *part, const char *folder, struct fc_error *err);
/* Closes. */
void fc_part_fini(struct fc_part *part);

/*
 * What was left in the folder by a recorder that was killed: files are cut behind their last whole block and get their
 * names; those without a packet are deleted. One that is damaged in the middle is not cut. To be called while nobody
 * records there. Telling: what could not be done; the file stays as it is. FC_E_IO: the folder cannot be read.
 * FC_E_NOMEM.
 */
int fc_part_recover(const char *folder, const char *prefix, void (*tell)(void *ctx, const struct fc_error *what),
                    void *ctx, struct fc_error *err);

/* Calls `found` for each whole file of this prefix, ascending by name. Codes as above, or what it has returned. */
int fc_part_list(const char *folder, const char *prefix, int (*found)(void *ctx, const char *path), void *ctx,
                 struct fc_error *err);

#endif
