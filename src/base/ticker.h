/* SPDX-License-Identifier: MIT */
/*
 * Tells a caller how far the work has come: a thread that calls back five times a second. It takes no signals.
 *
 * Threads: start and stop by one; the counts by whoever works.
 */
#ifndef FC_BASE_TICKER_H
#define FC_BASE_TICKER_H

#include <flowcarve/progress.h>
#include <pthread.h>
#include <stdbool.h>

struct fc_ticker {
    const struct fc_progress *progress;
    fc_progress_call *call;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool ended, started;
};

/* call NULL: nothing is done. Where no thread can be started nothing but the end is told. */
void fc_ticker_start(struct fc_ticker *ticker, const struct fc_progress *progress, fc_progress_call *call, void *ctx);
/* The last call is made here. */
void fc_ticker_stop(struct fc_ticker *ticker);

/* One that works, or the only one that may at that time, adds; progress may be NULL. */
#define FC_PROGRESS_ADD(progress, field, n)                                                                            \
    do {                                                                                                               \
        if (progress)                                                                                                  \
            __atomic_store_n(&(progress)->field, (progress)->field + (n), __ATOMIC_RELAXED);                           \
    } while (0)
#define FC_PROGRESS_SET(progress, field, n)                                                                            \
    do {                                                                                                               \
        if (progress)                                                                                                  \
            __atomic_store_n(&(progress)->field, (n), __ATOMIC_RELAXED);                                               \
    } while (0)

#endif
