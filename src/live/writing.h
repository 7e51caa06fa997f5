/* SPDX-License-Identifier: MIT */
/*
 * The thread of a recorder that writes: takes packets in their order out of the batches and puts them into files, one
 * after the other. It writes by large pieces, and all that it has when it is asked to.
 *
 * Threads: one, started and ended here; what is marked so is for any other one.
 */
#ifndef FC_LIVE_WRITING_H
#define FC_LIVE_WRITING_H

#include "capture/tail.h"
#include "live/batches.h"
#include "live/part.h"

/* A file that is written, or that is whole and not yet in the index. */
struct fc_written {
    struct fc_written *next; /* the one that was begun after it */
    struct fc_part part;     /* of the one who commits, but for its descriptor */
    uint64_t base;           /* its first byte in the tail */
    uint64_t size;           /* bytes that are in the file, all whole blocks; guarded by the lock */
    bool complete;           /* nothing more comes; guarded by the lock */
    uint64_t committed;      /* of the one who commits: so much is in the index, */
    uint64_t synced;         /* and so much on the disk for sure */
    bool unsynced;           /* what is behind that is to be written again, as the disk has failed */
    bool bad;                /* nothing can be done with it any more, which was told */
    bool begun;              /* of the same: its name is on the disk */
};

/* Totals by interface; `added` and what was dropped in memory are in the inputs. */
struct fc_interface_counts {
    uint64_t recorded, recorded_bytes, lost; /* lost: taken, and then there was no file to be had */
    uint64_t kernel, iface;                  /* as it was told */
};

struct fc_writing {
    struct fc_batches batches;
    struct fc_tail tail;
    char *folder, *prefix;
    struct fc_rights rights;
    uint64_t rotate_bytes;
    int64_t rotate_ns;
    uint64_t signal_packets; /* who commits is woken when so many more are recorded; 0: never */
    pthread_t thread;
    bool started;
    bool rotate; /* atomic: asked for */

    /* guarded by the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fc_recorder_interface interfaces[FC_INTERFACES_MAX];
    uint32_t interface_count;
    struct fc_interface_counts counts[FC_INTERFACES_MAX]; /* as of what was written last */
    struct fc_written *files, **last;
    uint64_t flush_wanted, flush_done;
    int64_t first_ns; /* by fc_live_now(): when the oldest packet since the last commit came; 0: none has */
    bool due;         /* there are signal_packets */
    bool closing;
    struct fc_error why; /* what the thread cannot do; code FC_OK: nothing */
    bool gave_up;        /* a file could not be written to its end: `why` stays */

    /* the thread's own */
    struct fc_written *now;           /* NULL: there is no file */
    uint64_t written;                 /* up to there the tail is in files */
    uint32_t described;               /* so many interfaces are in the file */
    int64_t started_ns, rotate_at_ns; /* wall clock */
    uint64_t packets;                 /* in the file */
    uint64_t since_signal;
    struct fc_interface_counts mine[FC_INTERFACES_MAX];
    struct fc_interface_counts told[FC_INTERFACES_MAX]; /* by statistics of the files before */
};

/* 0, FC_E_NOMEM. The fields that are options are the caller's to fill. */
int fc_writing_init(struct fc_writing *writing, uint64_t memory_bytes, bool wait);
/* FC_E_LIMIT: no thread can be had. */
int fc_writing_start(struct fc_writing *writing, struct fc_error *err);
/* Writes what there is and ends the file. The inputs must have ended. */
void fc_writing_stop(struct fc_writing *writing);
void fc_writing_fini(struct fc_writing *writing);

/* Any thread, with the lock held: of all inputs. */
void fc_writing_sum(struct fc_writing *writing, uint32_t interface, struct fc_recorder_counts *counts);

#endif
