/* SPDX-License-Identifier: MIT */
/*
 * What is kept of an index between the runs that add to it: a connection, so that its -wal and -shm stay in place, and
 * who may not write in its folder can read; whether it still is the same file; and when a run that failed is due again.
 *
 * Threads: one.
 */
#ifndef FC_LIVE_KEEPING_H
#define FC_LIVE_KEEPING_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stdint.h>

struct fc_keeping {
    const char *db_path;     /* the owner's */
    bool has_index;          /* there is one, as far as is known, */
    struct fc_db *held;      /* NULL: there is none yet */
    uint64_t dev, ino;       /* which was this file behind the last run; 0: it had gone by then */
    struct fc_error failure; /* the last run's; code FC_OK: it did not fail */
    int64_t failed_ns;       /* how long the last failure was waited for; 0: none */
    int64_t next_ns;         /* by fc_live_now(): no run before that */
};

/* Tells of it; ctx: of the owner. */
typedef void fc_keeping_word(void *ctx, const struct fc_error *what);

/* Behind a run. failed: it has. */
void fc_keeping_see(struct fc_keeping *keeping, bool failed);

/*
 * Somebody has removed the index, or put another one in its place: what was indexed may be new to it. That is told.
 */
bool fc_keeping_lost(struct fc_keeping *keeping, fc_keeping_word *word, void *ctx);

/* A run has failed: the next one has to wait. Told when that begins, and when the cause is another one. */
void fc_keeping_fail(struct fc_keeping *keeping, const struct fc_error *why, fc_keeping_word *word, void *ctx);
void fc_keeping_succeed(struct fc_keeping *keeping, fc_keeping_word *word, void *ctx);

/* Is it of no use to try again? */
bool fc_keeping_for_ever(int rc);

/* Makes one file of the index and what lies beside it, unless somebody reads: then the next who writes does it. */
void fc_keeping_end(struct fc_keeping *keeping);

#endif
