/* SPDX-License-Identifier: MIT */
/*
 * Bounded hand-over between two sides, of which one is a thread of its own: a ring of slots that one side fills and the
 * other empties, in that order. What a slot holds is the user's: the n-th of all is item n % slots of his, and belongs
 * to the side whose turn it is.
 *
 * Where there is no thread to be had, or one processor alone, fc_handover_start() says so, and who would have handed
 * over does the work himself.
 *
 * Threads: one fills, one empties; either may be the one started here. _start, _stop and _fini are the other one's.
 * What one side has written the other sees, by the lock.
 */
#ifndef FC_BASE_HANDOVER_H
#define FC_BASE_HANDOVER_H

#include <flowcarve/error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fc_handover {
    unsigned slots;
    bool running;
    pthread_t thread;
    pthread_mutex_t lock;
    /* guarded by lock; who fills reads `filled` without, as nobody else changes it */
    pthread_cond_t changed;
    uint64_t filled, emptied; /* slots, so far */
    bool stopped;
    struct fc_error why; /* of the first failure */
};

void fc_handover_init(struct fc_handover *handover, unsigned slots);
/* Starts the thread, unless it runs. False: there is none. */
bool fc_handover_start(struct fc_handover *handover, void *(*run)(void *), void *ctx);
/* Has the thread end: one that empties does so with what is full. Codes as _settle. It may be started again. */
int fc_handover_stop(struct fc_handover *handover, struct fc_error *err);
/* Also without _stop. */
void fc_handover_fini(struct fc_handover *handover);

/* Waits for a slot to fill, and gives its number; FC_E_INTERRUPTED: stopped; else as _settle. Then: it is full. */
int fc_handover_room(struct fc_handover *handover, struct fc_error *err);
void fc_handover_fill(struct fc_handover *handover);
/* Waits until the first `count` slots that were filled are empty. 0, or the code of a failure; err may be NULL. */
int fc_handover_settle(struct fc_handover *handover, uint64_t count, struct fc_error *err);

/* Waits for a full slot, and gives its number; -1: stopped, and none is. Then: it is empty; why: NULL, or a failure. */
int fc_handover_next(struct fc_handover *handover);
void fc_handover_empty(struct fc_handover *handover, const struct fc_error *why);

#endif
