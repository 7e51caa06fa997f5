/* SPDX-License-Identifier: MIT */
#include "base/ticker.h"

#include <signal.h>
#include <string.h>
#include <time.h>

enum { TICK_NS = 200000000 };

static uint64_t load(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static void tell(const struct fc_ticker *t)
{
    const struct fc_progress *p = t->progress;
    const struct fc_progress now = {
        .bytes_total = load(&p->bytes_total),
        .bytes_done = load(&p->bytes_done),
        .files_total = load(&p->files_total),
        .files_done = load(&p->files_done),
        .records_total = load(&p->records_total),
        .records = load(&p->records),
        .sessions_total = load(&p->sessions_total),
        .sessions = load(&p->sessions),
        .sessions_written = load(&p->sessions_written),
        .phase = __atomic_load_n(&p->phase, __ATOMIC_RELAXED),
    };

    t->call(t->ctx, &now);
}

static void *tick(void *arg)
{
    struct fc_ticker *t = arg;
    struct timespec until;

    pthread_mutex_lock(&t->lock);
    while (!t->ended) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&t->done, &t->lock, &until);
        if (!t->ended)
            tell(t);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

void fc_ticker_start(struct fc_ticker *t, const struct fc_progress *progress, fc_progress_call *call, void *ctx)
{
    sigset_t all, before;

    memset(t, 0, sizeof *t);
    t->progress = progress;
    t->call = call;
    t->ctx = ctx;
    if (!call)
        return;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->done, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    t->started = pthread_create(&t->thread, NULL, tick, t) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void fc_ticker_stop(struct fc_ticker *t)
{
    if (!t->call)
        return;
    if (t->started) {
        pthread_mutex_lock(&t->lock);
        t->ended = true;
        pthread_cond_signal(&t->done);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
    }
    tell(t);
    pthread_cond_destroy(&t->done);
    pthread_mutex_destroy(&t->lock);
}
