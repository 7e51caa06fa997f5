/* SPDX-License-Identifier: MIT */
/*
 * The file that a carve writes. A regular one appears when it is complete (flowcarve/newfile.h); standard output ("-"),
 * FIFOs and devices are written directly. Threads: one.
 */
#ifndef FC_CLI_TARGET_H
#define FC_CLI_TARGET_H

#include <flowcarve/newfile.h>

struct fc_target {
    int fd;
    const char *path;
    struct fc_new_file file; /* what `path` points to; without a place: written directly */
};

/*
 * A file that is there is replaced by one of its rights and group; else these are given. FC_E_IO, FC_E_NOMEM: then the
 * target needs no closing (abandon is allowed).
 */
int fc_target_open(struct fc_target *target, const char *path, const struct fc_rights *rights, struct fc_error *err);
/* Puts the file in its place and closes. */
int fc_target_finish(struct fc_target *target, struct fc_error *err);
/* Closes and leaves no trace. */
void fc_target_abandon(struct fc_target *target);

#endif
