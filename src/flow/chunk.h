/* SPDX-License-Identifier: MIT */
/*
 * What one reader makes of one chunk of a capture: runs by flow, fragment events, counts. Private to its thread until
 * the chunk's start is verified; then fc_chunk_publish() hands everything to the shared flow table.
 *
 * A small table of its own keeps the per-packet work in the cache; the shared table is touched once a run.
 * Positions are kept as (run, offset) pairs in the order of arrival and sorted by run when published.
 *
 * Threads: one at a time. Limits: a chunk is at most FC_CHUNK_MAX bytes long.
 */
#ifndef FC_FLOW_CHUNK_H
#define FC_FLOW_CHUNK_H

#include "base/hash.h"
#include "flow/fragment.h"
#include "flow/table.h"

#define FC_CHUNK_MAX ((uint64_t)1 << 30)

struct fc_chunk_flow {
    struct fc_flow_key key;
    uint64_t hash;
    uint32_t run; /* its latest */
};

enum { FC_CHUNK_BATCH = 16 };

struct fc_chunk {
    /* immutable after init */
    uint64_t seed; /* of the table's hashes */
    struct fc_gaps gaps;
    bool want_extra;
    /* set by fc_chunk_begin() */
    uint32_t file;
    uint64_t base_off;
    /* owner: reader */
    struct fc_chunk_flow *flows;
    uint32_t flow_count, flow_room;
    uint32_t *slots; /* flow + 1 by hash; slot_mask + 1 of them */
    uint32_t slot_mask;
    struct fc_run *runs;
    uint32_t *run_flow;
    struct fc_extra *extras; /* by run, when want_extra */
    uint32_t run_count, run_room;
    struct fc_chunk_pos {
        uint32_t run, off; /* off: from base_off */
    } * pos;
    size_t pos_count, pos_room;
    /* packets are looked up some at a time, so that what they need is fetched before it is needed */
    unsigned queued;
    struct fc_chunk_packet {
        struct fc_packet packet;
        uint64_t hash, off;
        int64_t ts_ns;
        uint32_t origlen, flow;
    } queue[FC_CHUNK_BATCH];
    struct fc_fragment *events; /* in file order */
    size_t event_count, event_room;
    uint32_t *anchors; /* event + 1 by datagram: the chunk's first fragments */
    uint32_t anchor_mask;
    uint32_t first_count; /* first fragments so far */
    int64_t *first_ns;    /* their times */
    uint32_t first_room;
    /* scratch of publishing */
    uint32_t *sorted;
    uint32_t *starts;
    uint8_t *bytes;
    size_t sorted_room, starts_room, bytes_room;
    uint64_t touched; /* bytes of all lists that chunks before this one have used */
};

/* FC_E_NOMEM. */
int fc_chunk_init(struct fc_chunk *chunk, const struct fc_table *table, const struct fc_rules *rules, bool want_extra);
void fc_chunk_fini(struct fc_chunk *chunk);

/* Forgets everything and starts anew at base_off of a file. */
void fc_chunk_begin(struct fc_chunk *chunk, uint32_t file, uint64_t base_off);

/* Bytes that its lists take: what was used of them at the most. Between chunks. */
uint64_t fc_chunk_bytes(const struct fc_chunk *chunk);

/* Where to decode the next record to, so that fc_chunk_add() need not copy it. */
static inline struct fc_packet *fc_chunk_packet(struct fc_chunk *chunk)
{
    return &chunk->queue[chunk->queued].packet;
}

/* Ends adding: what was added is in runs and events now. FC_E_NOMEM. */
int fc_chunk_end(struct fc_chunk *chunk);

/* Adds a decoded record. FC_E_NOMEM. */
static inline int fc_chunk_add(struct fc_chunk *chunk, const struct fc_record *rec, const struct fc_packet *packet)
{
    struct fc_chunk_packet *q = &chunk->queue[chunk->queued];

    if (packet != &q->packet)
        q->packet = *packet;
    q->off = rec->off;
    q->ts_ns = rec->ts_ns;
    q->origlen = rec->origlen;
    q->hash = fc_hash48(&q->packet.key, chunk->seed);
    __builtin_prefetch(&chunk->slots[(uint32_t)q->hash & chunk->slot_mask]);
    return ++chunk->queued == FC_CHUNK_BATCH ? fc_chunk_end(chunk) : 0;
}

/*
 * Copies all runs to the table; seq: place of the chunk in the order of commits, from 1. The events stay (their nodes change
 * hands when the caller passes them on). FC_E_NOMEM.
 */
int fc_chunk_publish(struct fc_chunk *chunk, struct fc_table *table, struct fc_pool *pool, uint32_t seq);

#endif
