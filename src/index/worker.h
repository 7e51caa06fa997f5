/* SPDX-License-Identifier: MIT */
/*
 * Inside of the pipeline: what pipeline.c (workers, rounds), claim.c (which chunk is read, and reading it) and commit.c
 * (what becomes of it then) share.
 */
#ifndef FC_INDEX_WORKER_H
#define FC_INDEX_WORKER_H

#include "base/error.h"
#include "index/chunk.h"
#include "index/pipeline.h"

#include <pthread.h>
#include <stdatomic.h>

/* Shared by the workers of one run. Everything behind `lock` is guarded by it. */
struct fc_shared {
    struct fc_pipeline *p;
    uint64_t notes_bytes;    /* of notes, from which on partitions are advanced */
    uint64_t flow_bytes;     /* of flows, from which on partitions are suspended */
    struct fc_place *beyond; /* of file i and those behind it: none of their packets is before */
    atomic_int failed;       /* code of the first failure; workers look at it between records */
    /* shared: under the lock */
    _Alignas(64) pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next_file;           /* the first that is not begun */
    struct fc_scan_file **open; /* begun and not done */
    size_t open_count, open_room;
    unsigned reading;        /* workers that scan */
    struct fc_place tide;    /* nothing before it is missing any more, */
    struct fc_place settled; /* and fragments before it are settled */
    bool settling;
    struct fc_place round; /* partitions are being advanced to it: */
    unsigned cursor;       /* the next of them; FC_PARTITIONS: none */
    unsigned advancing;    /* workers that do so */
    bool stowing;          /* in this round partitions put away what waits for others */
    uint64_t stow_bytes;   /* of notes, from which on that is done */
    bool resume;           /* the last round: suspended partitions are finished too */
    struct fc_error why;
};

struct fc_worker {
    struct fc_shared *s;
    pthread_t thread;
    bool started;
    struct fc_reader reader;
    struct fc_door door;
    struct fc_advancer advancer;
    struct fc_emitter emitter;
};

static inline int fc_no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static inline bool fc_pipeline_interrupted(const struct fc_pipeline *p)
{
    return p->stop && __atomic_load_n(p->stop, __ATOMIC_RELAXED) != 0;
}

/*
 * The run cannot have this file: what it has given so far is everywhere, so the run fails, and the caller begins anew
 * without.
 */
static inline int fc_pipeline_spoiled(struct fc_pipeline *p, const struct fc_scan_file *f, int code)
{
    __atomic_store_n(&p->bad_file, (size_t)(f - p->files), __ATOMIC_RELAXED);
    return code;
}

/* claim.c */
/*
 * The file to read on in: the one that is furthest behind, of those that are open and the next. Where its bytes have
 * not come yet, the one behind it, unless too much waits already. NULL: there is none; with *wait there is one later,
 * and *ended is a stream whose end has just been met. Under the lock.
 */
struct fc_scan_file *fc_claim_choose(struct fc_shared *s, bool *wait, struct fc_scan_file **ended);
/* Claims the next chunk of a file. NULL without memory. Under the lock. */
struct fc_chunk *fc_claim_chunk(struct fc_shared *s, struct fc_scan_file *f, struct fc_unit *unit);
/* Reads a chunk, and small captures behind it. The lock is held before and after, not meanwhile. */
int fc_worker_read(struct fc_worker *w, struct fc_chunk *c, struct fc_error *err);
/*
 * Reads the chunk's records from c->start on. 0; FC_E_NOMEM, FC_E_USAGE, FC_E_IO, FC_E_INTERRUPTED. Damage is a result.
 */
int fc_worker_scan(struct fc_worker *w, struct fc_chunk *c, struct fc_error *err);

/* commit.c */
/*
 * Does for the file what can be done now, unless somebody else is about it. Under the lock, which it leaves meanwhile.
 */
int fc_worker_tend(struct fc_worker *w, struct fc_scan_file *f, struct fc_error *err);

#endif
