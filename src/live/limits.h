/* SPDX-License-Identifier: MIT */
/*
 * When limits of what is kept (flowcarve/retain.h) are looked at by who adds to an index: behind what was added, and
 * every 10 s. What cannot be done at the moment is done some time: nothing of it keeps the index from growing.
 *
 * Threads: that of the owner.
 */
#ifndef FC_LIVE_LIMITS_H
#define FC_LIVE_LIMITS_H

#include <flowcarve/retain.h>

struct fc_limits {
    struct fc_retain *retain; /* NULL: there are none */
    int64_t looked_ns;        /* by fc_live_now(): the last look, */
    int64_t next_ns;          /* and the next one */
    struct fc_error failure;  /* the last step's */
    /* the owner's, which he fills before; all may be NULL */
    void (*deleted)(void *ctx, const struct fc_retain_deleted *deleted);
    void (*retained)(void *ctx, const struct fc_retain_result *result);
    void (*word)(void *ctx, const struct fc_error *what);
    void *ctx;
};

/* what: NULL: no limits. Codes as fc_retain_open(). fc_limits_close() in any case. */
int fc_limits_open(struct fc_limits *limits, const char *db_path, const char *const *folders, size_t count,
                   const struct fc_retain_limits *what, struct fc_error *err);
void fc_limits_close(struct fc_limits *limits);

/* Something was added. */
void fc_limits_soon(struct fc_limits *limits);

/* Is it time for a step? */
bool fc_limits_due(const struct fc_limits *limits);
/* Takes one then; settled: as for fc_retain_step(). */
void fc_limits_keep(struct fc_limits *limits, bool settled);

#endif
