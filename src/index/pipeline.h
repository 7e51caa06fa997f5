/* SPDX-License-Identifier: MIT */
/*
 * The reading half of an index run: chunks of captures through reader threads into the flow table, and from it to the
 * spools. Each worker does what is due, the first of:
 *
 *   commit   the chunks of a capture, in their order: a chunk is right when it started where the one before it ended
 *            (and, in pcapng, in the same section with the same interfaces); else it is scanned again from there. Its
 *            records' times are counted, and its notes are handed over.
 *   tide     the place in the order of all packets below which nothing is missing any more has risen: fragments are
 *            settled up to it.
 *   advance  enough notes have come: partitions of the flow table are advanced to the tide, one a worker at a time.
 *   read     the next chunk of the capture that is furthest behind. Unless all before it is committed, a guess says
 *            where its first record starts. What is decoded goes to notes, privately, without a lock.
 *
 * Threads: fc_pipeline_run() starts and ends its own.
 */
#ifndef FC_INDEX_PIPELINE_H
#define FC_INDEX_PIPELINE_H

#include "flow/fragment.h"
#include "index/feed.h"
#include "index/plan.h"
#include "index/settings.h"
#include "store/recall.h"
#include "store/spool.h"

struct fc_chunk;

#define FC_CHUNK_MAX ((uint64_t)1 << 30) /* bytes */

/* What is known of a capture; grows with its commits. */
struct fc_scan_file {
    struct fc_plan_file *plan;
    struct fc_feed *feed; /* of a compressed file; its size is known when it has ended */
    uint64_t fed;         /* of its bytes as stored: counted as done */
    uint64_t fingerprint, stored_fingerprint;
    uint64_t next_off;         /* committed so far */
    struct fc_section section; /* that holds at next_off */
    struct fc_interface *ifaces;
    size_t iface_count, iface_room;
    uint64_t records, ignored, malformed, backward;
    int64_t first_ns, last_ns; /* earliest, latest */
    int64_t tail_ns;           /* of the last record that has a time */
    uint64_t header_bytes, record_bytes, other_bytes;
    struct fc_damage_list damage;
    struct fc_open_damage open;       /* next_off lies inside of it */
    uint64_t tail_off, pending_bytes; /* as of a reader that has met the end */
    /* its way through the pipeline, under the lock */
    uint64_t claim_off;             /* where the next chunk starts */
    bool begun, claimed, committed; /* the first chunk; all of them */
    bool busy;                      /* a worker commits its chunks */
    bool grown;                     /* since it was opened */
    unsigned in_flight;             /* chunks claimed and not committed */
    struct fc_chunk *chunks, *last; /* that are not handed over, in their order */
    struct fc_chunk *uncommitted;   /* the first that is not */
    uint64_t handed_over;           /* chunks */
    uint64_t held_records;          /* of committed chunks that are not handed over */
    struct fc_clock clock;          /* of the records handed over; owner: who is busy with it */
    struct fc_place frontier;       /* what is still to come of it is not before */
    size_t open_index;              /* in the list of those that are begun and not done */
};

/* Adds interfaces to those of the file. FC_E_NOMEM. */
int fc_scan_file_met(struct fc_scan_file *file, const struct fc_interface *met, size_t count);

struct fc_pipeline {
    /* immutable while workers run */
    const struct fc_settings *settings;
    struct fc_plan *plan;
    struct fc_table *table;
    struct fc_fragments *fragments;
    struct fc_recall *recall; /* NULL: no open session is asked for */
    uint64_t chunk_bytes;     /* as the user has it; 0: by the capture's size */
    uint64_t memory_bytes;
    unsigned jobs;
    struct fc_spool **spools; /* one a worker, and one more */
    struct fc_progress *progress;
    const int *stop;
    struct fc_scan_file *files;
    struct fc_feeder *feeder; /* NULL: no file is compressed */
    /* out */
    uint64_t rescanned; /* chunks whose start was guessed wrong */
    uint64_t peak_flows;
    uint64_t peak_bytes; /* of flows and notes */
    uint64_t suspended;  /* partitions that had to be */
    int64_t clock_ns;    /* counted time of the latest record of all captures; of the index, in front of the run */
    size_t bad_file; /* SIZE_MAX, or the one that could not be read, or changed meanwhile: the run has failed by it */
};

/* Reads everything, and empties the flow table into the spools. FC_E_NOMEM, FC_E_IO, FC_E_CHANGED, FC_E_USAGE (filter),
 * FC_E_INTERRUPTED. */
int fc_pipeline_run(struct fc_pipeline *pipeline, struct fc_error *err);

/*
 * Bytes of a chunk, where so many captures are read at a time: all that is held of them until they have come up must
 * have room.
 */
uint64_t fc_pipeline_chunk_bytes(const struct fc_pipeline *pipeline, size_t open);

/* Turns a session that leaves the table into a record in a spool. Its context is a struct fc_emitter; one a thread. */
struct fc_emitter {
    struct fc_spool *spool;
    struct fc_progress *progress; /* shared: atomic; may be NULL */
    unsigned untold;              /* sessions that are not in it yet */
    uint8_t *plain;
    size_t room;
    struct fc_buffer blob;
    struct fc_error err;
};
int fc_emitter_emit(void *ctx, const struct fc_ended *ended);
void fc_emitter_fini(struct fc_emitter *emitter);

#endif
