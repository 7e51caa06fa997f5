/* SPDX-License-Identifier: MIT */
/*
 * A run with its place and the positions of its packets. fc_node_new() makes one that owns its memory, one malloc() block;
 * what the flow table holds (flow/packed.h) is unpacked into one that points there.
 */
#ifndef FC_FLOW_NODE_H
#define FC_FLOW_NODE_H

#include "base/varint.h"
#include "flow/run.h"

struct fc_node {
    struct fc_node *next;
    struct fc_run run;
    int64_t db_id;          /* > 0: not a run but a session that the index already holds */
    uint64_t prior_packets; /* of the run: those that the index already holds */
    uint64_t first_off;     /* of the first position, for the order within a file */
    uint64_t last_off;      /* of the last position */
    uint32_t first_file;    /* 0 for a session of the index: before everything */
    uint32_t last_file;
    uint32_t seq;           /* of the chunk it comes from, in the order of commits; 0: of none */
    struct fc_extra *extra; /* NULL: none */
    uint8_t *pos;           /* segments (flow/positions.h) */
    size_t pos_len;
    const uint8_t
        *deltas; /* a run whose positions are one segment, from first_off to last_off: behind its head; NULL: may be */
};

/* Appends such a run's positions to those of `before`, of the same file, that end at p; NULL: to a head. Returns the new end. */
static inline uint8_t *fc_node_append(uint8_t *p, const struct fc_node *before, const struct fc_node *node)
{
    size_t len = (size_t)(node->pos + node->pos_len - node->deltas);

    if (before)
        p = fc_varint_put(p, node->first_off - before->last_off);
    memcpy(p, node->deltas, len);
    return p + len;
}

/* Extra is zeroed, positions are left to the caller to fill. NULL without memory. free() frees. */
struct fc_node *fc_node_new(bool has_extra, size_t pos_len);

#endif
