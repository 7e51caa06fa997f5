/* SPDX-License-Identifier: MIT */
/*
 * What readers may still stand on is freed, or used again, a grace period after it was handed over here. That is what
 * call_rcu() does, but liburcu ends the process where it cannot start its thread; here, who hands over waits himself.
 *
 * Threads: _later and _wait by any, outside of read-side sections; the others by one alone. `done` is called by the
 * thread that is started at the first _later, in the order of handing over; or before _later returns.
 * Memory: what is handed over has the link inside, and is not touched once `done` was called.
 */
#ifndef FC_FLOW_RECLAIM_H
#define FC_FLOW_RECLAIM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fc_gone {
    struct fc_gone *next;
    void (*done)(struct fc_gone *gone);
};

struct fc_reclaim {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    struct fc_gone *first, **last; /* that wait */
    uint64_t handed, done;         /* to the thread, and by it */
    bool tried, started, stop;
    pthread_t thread;
};

void fc_reclaim_init(struct fc_reclaim *reclaim);
void fc_reclaim_later(struct fc_reclaim *reclaim, struct fc_gone *gone, void (*done)(struct fc_gone *gone));
/* Until `done` was called for all that was handed over before. */
void fc_reclaim_wait(struct fc_reclaim *reclaim);
/* Waits likewise, and ends the thread. */
void fc_reclaim_fini(struct fc_reclaim *reclaim);

#endif
