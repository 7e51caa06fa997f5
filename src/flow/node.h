/* SPDX-License-Identifier: MIT */
/*
 * A run with the positions of its packets: what a reader hands to the flow table. Immutable once published; the list
 * pointer belongs to the table. One malloc() block, freed with free().
 */
#ifndef FC_FLOW_NODE_H
#define FC_FLOW_NODE_H

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
    uint64_t seq;           /* of the chunk it comes from, in the order of commits; 0: of none */
    bool has_extra;
    size_t pos_len;
    /* struct fc_extra when has_extra, then pos_len bytes of segments (flow/positions.h) */
    _Alignas(8) uint8_t data[];
};

/* Extra and positions are left to the caller to fill. NULL without memory. */
struct fc_node *fc_node_new(bool has_extra, size_t pos_len);

static inline struct fc_extra *fc_node_extra(const struct fc_node *node)
{
    return node->has_extra ? (struct fc_extra *)node->data : NULL;
}

static inline uint8_t *fc_node_positions(const struct fc_node *node)
{
    return (uint8_t *)node->data + (node->has_extra ? sizeof(struct fc_extra) : 0);
}

/* Bytes of memory, for accounting. */
static inline size_t fc_node_size(const struct fc_node *node)
{
    return sizeof *node + (node->has_extra ? sizeof(struct fc_extra) : 0) + node->pos_len + 16;
}

#endif
