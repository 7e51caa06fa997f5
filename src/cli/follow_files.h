/* SPDX-License-Identifier: MIT */
/*
 * `follow --to DIR`: what each end of each session has sent, in a file of its own. Threads: the main one. Memory: as of
 * one session followed, and 128 KiB.
 */
#ifndef FC_CLI_FOLLOW_FILES_H
#define FC_CLI_FOLLOW_FILES_H

#include "cli/progress.h"

#include <flowcarve/newfile.h>
#include <flowcarve/stream.h>

struct fc_follow_files {
    const char *folder;
    int direction; /* enum fc_from, -1: both */
    bool partial, quiet;
    struct fc_rights rights;
    const int *stop;
    struct fc_bar *bar;
};

struct fc_follow_files_result {
    uint64_t sessions, files, bytes; /* files: that were written */
    uint64_t there;                  /* files that were there, and were left as they are */
    uint64_t gaps, gap_bytes;        /* left out of the files */
    uint64_t missing;                /* packets, by `partial` */
};

/*
 * Follows all sessions that the filter selects, one after the other. Files appear when they are whole. 0, or a code
 * with *err; *result is filled in any case.
 */
int fc_follow_to_files(struct fc_db *db, const struct fc_filter *filter, const struct fc_follow_files *o,
                       struct fc_follow_files_result *result, struct fc_error *err);

#endif
