/* SPDX-License-Identifier: MIT */
#include "base/handover.h"

#include <string.h>
#include <unistd.h>

void fc_handover_init(struct fc_handover *h, unsigned slots)
{
    memset(h, 0, sizeof *h);
    h->slots = slots;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
}

bool fc_handover_start(struct fc_handover *h, void *(*run)(void *), void *ctx)
{
    if (!h->running && sysconf(_SC_NPROCESSORS_ONLN) > 1)
        h->running = pthread_create(&h->thread, NULL, run, ctx) == 0;
    return h->running;
}

int fc_handover_stop(struct fc_handover *h, struct fc_error *err)
{
    if (h->running) {
        pthread_mutex_lock(&h->lock);
        h->stopped = true;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->thread, NULL);
        h->running = h->stopped = false;
    }
    return fc_handover_settle(h, 0, err);
}

void fc_handover_fini(struct fc_handover *h)
{
    fc_handover_stop(h, NULL);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
}

int fc_handover_settle(struct fc_handover *h, uint64_t count, struct fc_error *err)
{
    pthread_mutex_lock(&h->lock);
    while (h->emptied < count && !h->stopped)
        pthread_cond_wait(&h->changed, &h->lock);
    int rc = h->why.code ? h->why.code : h->stopped ? FC_E_INTERRUPTED : 0;
    if (h->why.code && err)
        *err = h->why;
    pthread_mutex_unlock(&h->lock);
    return rc;
}

int fc_handover_room(struct fc_handover *h, struct fc_error *err)
{
    int rc = fc_handover_settle(h, h->filled < h->slots ? 0 : h->filled - h->slots + 1, err);

    return rc ? rc : (int)(h->filled % h->slots);
}

/* Passes a slot on: counts it. */
static void pass(struct fc_handover *h, uint64_t *count, const struct fc_error *why)
{
    pthread_mutex_lock(&h->lock);
    ++*count;
    if (why && !h->why.code)
        h->why = *why;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

void fc_handover_fill(struct fc_handover *h)
{
    pass(h, &h->filled, NULL);
}

int fc_handover_next(struct fc_handover *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->emptied == h->filled && !h->stopped)
        pthread_cond_wait(&h->changed, &h->lock);
    int slot = h->emptied == h->filled ? -1 : (int)(h->emptied % h->slots);
    pthread_mutex_unlock(&h->lock);
    return slot;
}

void fc_handover_empty(struct fc_handover *h, const struct fc_error *why)
{
    pass(h, &h->emptied, why);
}
