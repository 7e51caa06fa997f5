/* SPDX-License-Identifier: MIT */
/*
 * The reading half of an index run: chunks of captures through reader threads into the flow table, and from it to the
 * spools.
 *
 *   claim    a worker takes the next chunk (file by file in plan order); it may run ahead of the slowest by the number of
 *            slots. Unless all before it is committed, it guesses where the first record of its chunk starts.
 *   scan     reads, decodes and groups the chunk's records, privately, without a lock.
 *   commit   in the order of chunks, under the lock, short: a chunk is right when it started where the one before it ended
 *            (and, in pcapng, in the same section with the same interfaces); else it is scanned again from there.
 *            Fragments are settled here, since they need the order.
 *   publish  a committed chunk's runs go to the shared table, lock-free, by any worker, in any order.
 *   sweep    now and then (index/sweeping.h): flows that have ended leave the table for the sweeping worker's spool.
 */
#ifndef FC_INDEX_PIPELINE_H
#define FC_INDEX_PIPELINE_H

#include "flow/chunk.h"
#include "flow/positions.h"
#include "index/feed.h"
#include "index/plan.h"
#include "index/settings.h"
#include "store/spool.h"

/* What is known of a capture; grows with its commits. */
struct fc_scan_file {
    struct fc_plan_file *plan;
    struct fc_feed *feed; /* of a compressed file; its chunk_count and size are known when it has ended */
    uint64_t fed;         /* of its bytes as stored: counted as done */
    uint64_t chunk_bytes;
    uint64_t fingerprint;
    uint64_t next_off;         /* committed so far */
    struct fc_section section; /* that holds at next_off */
    struct fc_interface *ifaces;
    size_t iface_count, iface_room;
    uint64_t records, ignored, malformed, backward;
    int64_t first_ns, last_ns; /* earliest, latest */
    int64_t tail_ns;           /* of the last record that has a time */
    uint32_t chunk_count, chunks_done;
    uint64_t header_bytes, record_bytes, other_bytes;
    struct fc_damage_list damage;
    struct fc_open_damage open; /* next_off lies inside of it */
    bool ended;                 /* it cannot be read any more: later chunks hold nothing */
};

/* Adds interfaces to those of the file. FC_E_NOMEM. */
int fc_scan_file_met(struct fc_scan_file *file, const struct fc_interface *met, size_t count);

struct fc_pipeline {
    /* immutable while workers run */
    const struct fc_settings *settings;
    struct fc_plan *plan;
    struct fc_table *table;
    uint64_t chunk_bytes; /* as the user has it; 0: by the capture's size */
    uint64_t memory_bytes;
    uint32_t sweep_runs;
    uint32_t many_late; /* late flows whose pieces are not held together in memory; 0: default. For tests */
    unsigned jobs;
    struct fc_spool **spools; /* one a worker */
    struct fc_progress *progress;
    const int *stop;
    struct fc_scan_file *files;
    struct fc_feeder *feeder;       /* NULL: no file is compressed */
    struct fc_fragments *fragments; /* under the lock, while chunks are committed */
    struct fc_held *held;           /* before and after the workers */
    /* results */
    uint64_t rescanned, peak_flows, runs; /* runs: published */
    int64_t clock_ns;                     /* latest time of any record */
};

/*
 * Reads all captures of the plan. The caller has filled the first group of members (files: one a planned file, zeroed
 * but for plan; spools: jobs of them), and frees them. FC_E_NOMEM, FC_E_IO, FC_E_INTERRUPTED.
 */
int fc_pipeline_run(struct fc_pipeline *pipeline, struct fc_error *err);

/* Re-reads single packets for fc_join_run(); one a thread. Its context is a struct fc_replayer. */
struct fc_replayer {
    struct fc_pipeline *pipeline;
    void *lock; /* pthread_mutex_t that guards files while workers run, or NULL */
    struct fc_reader reader;
    /* opened by the replayer itself: the pipeline closes its own when it has read them */
    struct fc_replay_file {
        struct fc_file file;
        uint32_t id; /* 0: none */
        uint64_t used;
        struct fc_feed *feed; /* where a compressed file's seek points come from */
        struct fc_buffer state;
    } files[4], *file; /* the one in use */
    uint64_t uses;
    struct fc_section section;
};
int fc_replayer_read(void *ctx, uint32_t file, uint64_t off, struct fc_packet *packet, int64_t *ts_ns,
                     uint32_t *origlen);
void fc_replayer_fini(struct fc_replayer *replayer);

/* Turns an ended session into a record in a spool. Its context is a struct fc_emitter; one a thread. */
struct fc_emitter {
    struct fc_spool *spool;
    struct fc_positions positions;
    struct fc_buffer plain, blob;
    struct fc_error err;
};
int fc_emitter_emit(void *ctx, const struct fc_ended *ended);
void fc_emitter_fini(struct fc_emitter *emitter);

#endif
