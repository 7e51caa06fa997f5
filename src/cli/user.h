/* SPDX-License-Identifier: MIT */
/*
 * To go on as another user, for commands that are started as root for one thing that only root may do.
 *
 * Threads: the main one, before there are others: what is given up is given up by the calling thread alone.
 */
#ifndef FC_CLI_USER_H
#define FC_CLI_USER_H

#include <flowcarve/error.h>
#include <sys/types.h>

struct fc_user {
    const char *name; /* as it was given; NULL: none was */
    uid_t uid;
    gid_t gid;
};

/* The value of --user, a name. -1 when there is no such user, which is said. */
int fc_take_user(const char *command, void *user, const char *value);

/*
 * Becomes that user, with its groups and for good, and gives up all rights of root but the one to capture
 * (CAP_NET_RAW); no program that is started can get any back. FC_E_USAGE: this process may not.
 */
int fc_user_become(const struct fc_user *user, struct fc_error *err);

/*
 * Files can be made in the folder, and beside `file`, which can be changed if it is there. FC_E_IO: err says which of
 * them not.
 */
int fc_user_may_write(const char *folder, const char *file, struct fc_error *err);

#endif
