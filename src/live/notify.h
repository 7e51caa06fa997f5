/* SPDX-License-Identifier: MIT */
/*
 * What the kernel tells of changes in folders (inotify(7)): noted as changes. New folders are watched when they come,
 * with what is in them by then; where the kernel has dropped some of what it had to tell, all folders are walked anew.
 *
 * Threads: one at a time.
 */
#ifndef FC_LIVE_NOTIFY_H
#define FC_LIVE_NOTIFY_H

#include "live/changes.h"
#include "live/tree.h"

struct fc_notify_folder {
    int wd;
    uint32_t round; /* the walk that has met it last */
    bool own;       /* the index lies in it */
    char *path;
};

struct fc_notify {
    int fd; /* -1: nothing can be had, see fc_notify_open() */
    const struct fc_own *own;
    struct fc_changes *changes;
    struct fc_notify_folder *folders; /* ascending by wd */
    size_t count, room;
    uint32_t round;
    bool overflown; /* what was missed is still to be looked for, by fc_notify_add() of all folders */
    bool full;      /* there are no more watches to be had: fd is -1 */
};

/* FC_E_LIMIT, FC_E_IO: the kernel has none for us; `notify` can be closed. */
int fc_notify_open(struct fc_notify *notify, const struct fc_own *own, struct fc_changes *changes,
                   struct fc_error *err);
void fc_notify_close(struct fc_notify *notify);

/*
 * Watches a folder and all below it, and notes the files in them. hold: as they may go any moment, they are kept open.
 * FC_E_LIMIT: there are no more watches; all are given up. FC_E_NOMEM.
 */
int fc_notify_add(struct fc_notify *notify, const char *folder, bool hold, struct fc_error *err);
/* Does not watch a folder any more, nor what is below it. */
void fc_notify_drop(struct fc_notify *notify, const char *folder);
/* Is this folder watched? It is not any more when it was deleted. */
bool fc_notify_has(const struct fc_notify *notify, const char *folder);

/* All folders are added anew between these two: those that are not met any more are dropped. */
void fc_notify_begin_round(struct fc_notify *notify);
void fc_notify_end_round(struct fc_notify *notify);

/* Takes in what has come; waits for nothing. Codes as fc_notify_add(). */
int fc_notify_read(struct fc_notify *notify, struct fc_error *err);

#endif
