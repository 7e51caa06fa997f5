/* SPDX-License-Identifier: MIT */
/*
 * A merge of spools (store/spool.h) on a thread of its own: it reads, unpacks and puts in order what comes next, while
 * the caller writes what came before.
 *
 * Threads: one calls; the merge is the thread's until the close. Memory: a few hundred records and their blobs.
 */
#ifndef FC_STORE_AHEAD_H
#define FC_STORE_AHEAD_H

#include "store/spool.h"

struct fc_ahead;

/* Starts the thread; alone, where there is none to be had, and when there are few records, fc_ahead_next() reads them
 * itself. The
 * merge stays the caller's, to be closed behind this. records: how many there are. NULL without memory. */
struct fc_ahead *fc_ahead_open(struct fc_merge *merge, uint64_t records, bool alone);
/* As fc_merge_next(). */
int fc_ahead_next(struct fc_ahead *ahead, struct fc_session_record **record, struct fc_error *err);
void fc_ahead_close(struct fc_ahead *ahead);

#endif
