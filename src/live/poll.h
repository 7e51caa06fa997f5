/* SPDX-License-Identifier: MIT */
/*
 * Changes in folders of which the kernel tells nothing (network file systems): found by walking them again and again,
 * and comparing sizes and times.
 *
 * Threads: one at a time. Memory: some 150 bytes a file.
 */
#ifndef FC_LIVE_POLL_H
#define FC_LIVE_POLL_H

#include "live/changes.h"
#include "live/tree.h"

struct fc_poll_file {
    char *path;
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
    bool young; /* so that a change might have left its times as they are */
};

struct fc_poll {
    const struct fc_own *own;
    struct fc_changes *changes;
    struct fc_poll_file *files; /* of the last walk, ascending by path */
    size_t count;
};

/* Walks them, and notes what is new, or other than the last time. FC_E_NOMEM. */
int fc_poll_walk(struct fc_poll *poll, const char *const *folders, size_t count);
void fc_poll_fini(struct fc_poll *poll);

#endif
