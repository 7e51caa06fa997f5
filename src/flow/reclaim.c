/* SPDX-License-Identifier: MIT */
#include "flow/reclaim.h"

#include <signal.h>
#include <string.h>
#include <urcu.h>

void fc_reclaim_init(struct fc_reclaim *r)
{
    memset(r, 0, sizeof *r);
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
}

/* All that waits, at once: what came while a grace period went by shares the next one. */
static void *run(void *arg)
{
    struct fc_reclaim *r = arg;

    pthread_mutex_lock(&r->lock);
    while (r->first || !r->stop) {
        struct fc_gone *gone = r->first, *next;
        uint64_t upto = r->handed;
        if (!gone) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        r->first = NULL;
        r->last = &r->first;
        pthread_mutex_unlock(&r->lock);
        synchronize_rcu();
        for (; gone; gone = next) {
            next = gone->next;
            gone->done(gone);
        }
        pthread_mutex_lock(&r->lock);
        r->done = upto;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

void fc_reclaim_later(struct fc_reclaim *r, struct fc_gone *gone, void (*done)(struct fc_gone *gone))
{
    gone->next = NULL;
    gone->done = done;
    pthread_mutex_lock(&r->lock);
    if (!r->tried) {
        sigset_t all, before;
        r->tried = true;
        sigfillset(&all); /* signals are for those who asked for them */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r->started = pthread_create(&r->thread, NULL, run, r) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    bool taken = r->started;
    if (taken) {
        *r->last = gone;
        r->last = &gone->next;
        r->handed++;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    if (!taken) {
        synchronize_rcu();
        done(gone);
    }
}

void fc_reclaim_wait(struct fc_reclaim *r)
{
    pthread_mutex_lock(&r->lock);
    for (uint64_t upto = r->handed; r->done < upto;)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

void fc_reclaim_fini(struct fc_reclaim *r)
{
    if (r->started) {
        pthread_mutex_lock(&r->lock);
        r->stop = true;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}
