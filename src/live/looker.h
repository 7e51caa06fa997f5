/* SPDX-License-Identifier: MIT */
/*
 * A thread that looks what becomes of folders, and notes what has changed: by inotify, or by walking them where that
 * tells nothing. It reads what the kernel tells at once, however long a run takes, and opens files before they can go.
 *
 * Threads: open, start and close by one; what it finds is in `changes`.
 */
#ifndef FC_LIVE_LOOKER_H
#define FC_LIVE_LOOKER_H

#include "live/notify.h"
#include "live/poll.h"

struct fc_looker {
    struct fc_own own;
    struct fc_notify notify;
    struct fc_poll poll;
    struct fc_changes *changes;
    char **folders; /* as given, without slashes at the end */
    struct fc_looker_root {
        uint64_t dev, ino;
        bool there;
    } * roots;
    size_t count;
    int64_t poll_ns; /* how often folders are walked; 0: inotify tells */
    int wake;        /* an eventfd: it is to end */
    bool again;      /* atomic: all is to be noted once more */
    pthread_t thread;
    bool started;
};

/*
 * poll_ns 0: inotify, unless it cannot be had or a folder is on a network: then folders are walked every 5 s, and a
 * word in `changes` says so. All that is in the folders is noted. FC_E_USAGE: one is no folder; FC_E_IO, FC_E_NOMEM.
 * The looker can be closed in any case.
 */
int fc_looker_open(struct fc_looker *looker, const char *index, const char *const *folders, size_t count,
                   int64_t poll_ns, struct fc_changes *changes, struct fc_error *err);
/* FC_E_LIMIT: no thread can be had. */
int fc_looker_start(struct fc_looker *looker, struct fc_error *err);
/* Notes all that is in the folders once more, within a second. Any thread. */
void fc_looker_again(struct fc_looker *looker);
void fc_looker_close(struct fc_looker *looker);

#endif
