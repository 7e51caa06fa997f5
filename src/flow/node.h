/* SPDX-License-Identifier: MIT */
/*
 * A run with its place and the positions of its packets. fc_node_new() makes one that owns its memory, one malloc() block;
 * what the flow table holds (flow/packed.h) is unpacked into one that points there.
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
    uint32_t seq;           /* of the chunk it comes from, in the order of commits; 0: of none */
    bool plain;             /* a run whose positions are one segment, from first_off to last_off; false: may be */
    struct fc_extra *extra; /* NULL: none */
    uint8_t *pos;           /* segments (flow/positions.h) */
    size_t pos_len;
};

/* Extra is zeroed, positions are left to the caller to fill. NULL without memory. free() frees. */
struct fc_node *fc_node_new(bool has_extra, size_t pos_len);

#endif
