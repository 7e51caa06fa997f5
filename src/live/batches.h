/* SPDX-License-Identifier: MIT */
/*
 * Packets on their way from inputs to the thread that writes, as blocks of a pcapng in batches of bounded number: one
 * thread an input fills them, one thread takes packets out of all of them in the order of their times.
 *
 * Threads: as said at each function; the lock is inside.
 */
#ifndef FC_LIVE_BATCHES_H
#define FC_LIVE_BATCHES_H

#include <flowcarve/recorder.h>
#include <pthread.h>

enum { FC_INTERFACES_MAX = 256, FC_BATCH_BYTES = 512 << 10 };

struct fc_batch {
    struct fc_batch *next;
    int64_t since_ns; /* by fc_live_now(): when it was handed over */
    size_t used, at;  /* bytes of blocks; those taken already */
    uint8_t data[FC_BATCH_BYTES];
};

/* Of an interface, counted by one input: only its thread writes them. Atomic, relaxed. */
struct fc_input_counts {
    uint64_t added, dropped_queue, dropped_disk;
};

struct fc_recorder_input {
    struct fc_batches *batches;
    struct fc_recorder_input *next; /* does not change */
    struct fc_batch *current;       /* being filled, by the input's thread; NULL: none yet */
    struct fc_input_counts counts[FC_INTERFACES_MAX];
    /* guarded by the lock of `batches` */
    struct fc_batch *first, **last; /* handed over */
    int64_t until_ns;               /* what comes is not older */
    size_t held;                    /* batches that it has filled, or fills: no more than its share */
    /* of the thread that writes */
    struct fc_batch *head, **tail;
    int64_t head_ns;  /* of the next packet */
    int64_t known_ns; /* until_ns, and whether its share is about to be used up, as of the last fc_batches_pull() */
    bool scarce;
};

struct fc_batches {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t came, room;
    struct fc_batch *spare;
    size_t count, most;
    struct fc_recorder_input *inputs;
    size_t input_count;
    /* of the thread that writes, as of the last fc_batches_pull() */
    struct fc_recorder_input *known;
    size_t known_count;
    uint8_t tsresol[FC_INTERFACES_MAX]; /* written before a packet of the interface can come */
    bool wait;                          /* inputs wait for room */
    bool ended;                         /* they do not any more: nothing is written */
    bool news;
    bool slow; /* atomic: what writes is held up by the disk */
};

int fc_batches_init(struct fc_batches *batches, uint64_t bytes, bool wait); /* 0, or FC_E_NOMEM */
void fc_batches_fini(struct fc_batches *batches);

/* Any thread; FC_E_NOMEM. */
int fc_batches_input(struct fc_batches *batches, struct fc_recorder_input **out);

/* ---- the thread that writes, or who stands for it */

/* Waits until something has come, or somebody calls fc_batches_wake(), or ns are over. */
void fc_batches_wait(struct fc_batches *batches, int64_t ns);
/* Any thread. */
void fc_batches_wake(struct fc_batches *batches);
/* Takes over what was handed over. all: also what inputs have not, which must have ended. */
void fc_batches_pull(struct fc_batches *batches, bool all);
/*
 * The next packets: up to `most` bytes of whole blocks in a row, *n; NULL: none, or none whose turn it is for sure.
 * all: nothing is waited for. They are taken with the next call.
 */
const uint8_t *fc_batches_next(struct fc_batches *batches, bool all, size_t most, size_t *n);

/* From here on nobody waits for room. */
void fc_batches_end(struct fc_batches *batches);

#endif
