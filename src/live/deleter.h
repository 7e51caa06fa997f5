/* SPDX-License-Identifier: MIT */
/*
 * Deletes a capture when it is the one that was indexed and nobody writes it. Threads: one.
 */
#ifndef FC_LIVE_DELETER_H
#define FC_LIVE_DELETER_H

#include "store/files.h"

/* One is written as long as it has changed within that time, whoever may tell. */
#define FC_DELETER_QUIET_NS INT64_C(10000000000)

/* Deletions are on the disk when fc_deleter_sync() returns. */
struct fc_deleter {
    bool own;     /* nobody else writes here: what has changed lately is whole as well */
    char *folder; /* of the last one; NULL: all is on the disk */
    int fd;
};

enum fc_deletion {
    FC_DELETION_DONE,
    FC_DELETION_ABSENT, /* nothing is there */
    FC_DELETION_BUSY,   /* somebody writes it */
    FC_DELETION_OTHER,  /* another file, or another content, is there */
    FC_DELETION_FAILED  /* the system says why */
};

/*
 * newest: it is the last of its folder, which is taken for being written where the system does not tell. *why is filled
 * for OTHER and FAILED.
 */
enum fc_deletion fc_deleter_delete(struct fc_deleter *deleter, struct fc_stored_file *capture, bool newest,
                                   int64_t now_ns, struct fc_error *why);
void fc_deleter_sync(struct fc_deleter *deleter);

#endif
