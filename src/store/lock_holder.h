/* SPDX-License-Identifier: MIT */
/* Which process holds a lock on a file, for messages. Threads: any. */
#ifndef FC_STORE_LOCK_HOLDER_H
#define FC_STORE_LOCK_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * True when some process has a lock on the file by which it writes, as /proc/locks tells; nothing is locked for that,
 * so that who is just about to lock is not disturbed. *pid is 0 where it cannot be told (another container).
 */
bool fc_lock_holder(const char *path, pid_t *pid);

/* "process 4711, since 2024-05-31T10:00:00Z", "another process": who has the file. Returns buf. */
const char *fc_lock_holder_text(const char *path, char *buf, size_t size);

#endif
