/* SPDX-License-Identifier: MIT */
/*
 * Who indexes folders as they grow has the index to itself for as long as that goes on, not only while it writes: by a
 * lock on an empty file beside the index, "<index>.watch". What takes turns with it, as it reads or forgets, does not
 * ask.
 *
 * Threads: any, on locks of their own.
 */
#ifndef FC_STORE_WATCH_LOCK_H
#define FC_STORE_WATCH_LOCK_H

#include <flowcarve/error.h>

struct fc_watch_lock {
    int fd; /* -1: not held */
    char *path;
};

/* FC_E_BUSY: another process has it, which is told; FC_E_IO, FC_E_NOMEM. Then there is nothing to release. */
int fc_watch_lock_take(const char *index, struct fc_watch_lock *lock, struct fc_error *err);
/* Removes the file. */
void fc_watch_lock_release(struct fc_watch_lock *lock);

/* Is it free? FC_E_BUSY, and who has it; FC_E_NOMEM. */
int fc_watch_lock_check(const char *index, struct fc_error *err);

#endif
