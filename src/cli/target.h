/* SPDX-License-Identifier: MIT */
/*
 * The file that a carve writes. A regular one is written under a temporary name beside it and renamed when complete;
 * standard output ("-"), FIFOs and devices are written directly. Threads: one.
 */
#ifndef FC_CLI_TARGET_H
#define FC_CLI_TARGET_H

#include <flowcarve/error.h>

struct fc_target {
    int fd;
    const char *path;
    char *place;     /* where it will be: what `path` points to; NULL: written directly */
    char *temporary; /* its name until then */
};

/* FC_E_IO, FC_E_NOMEM: then the target needs no closing (abandon is allowed). */
int fc_target_open(struct fc_target *target, const char *path, struct fc_error *err);
/* Puts the file in its place and closes. */
int fc_target_finish(struct fc_target *target, struct fc_error *err);
/* Closes and leaves no trace. */
void fc_target_abandon(struct fc_target *target);

#endif
