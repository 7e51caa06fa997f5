/* SPDX-License-Identifier: MIT */
/*
 * Joins the runs of one flow key to sessions: the one place where sessions are decided.
 *
 * The order of a flow's packets: those of one capture in file order; captures whose times overlap are interleaved by
 * time, where a packet's time counts as no earlier than that of the packet of the same flow before it in the same
 * capture; equal times by file, then offset. Runs are put in this order as wholes. Runs that interleave (captures that
 * overlap, a fragment whose first one came later, pieces of a flow that was evicted by force) are folded where their
 * packets' order cannot matter; where it could, and where a session may have outlived the active timeout, the flow's
 * runs are taken apart into their packets again, which are re-read for it.
 *
 * A flow that was evicted too early comes back in pieces, each a session again, as a node. Such a piece is as good as a run
 * unless it went over a place where another past could have ended it (a SYN, a long gap): then it is fragile, and taken
 * apart when there is another one.
 *
 * Threads: any, on nodes that belong to the caller.
 */
#ifndef FC_FLOW_JOIN_H
#define FC_FLOW_JOIN_H

#include "flow/node.h"
#include "flow/pieces.h"
#include "flow/rules.h"

/* Re-reads the packet at a position. 0 with the packet decoded, or a negative code. */
struct fc_replay {
    int (*read)(void *ctx, uint32_t file, uint64_t off, struct fc_packet *packet, int64_t *ts_ns, uint32_t *origlen);
    void *ctx;
};

/* A session: nodes [first, first + count) of the order, and their fold. */
struct fc_joined {
    struct fc_run run;
    struct fc_extra extra;
    bool has_extra;
    int64_t db_id; /* > 0: continues this session of the index */
    size_t first, count;
};

struct fc_join {
    struct fc_node **nodes; /* in order; those of `exploded` belong to the join, the others to the caller */
    size_t node_count, node_room;
    bool *mixed; /* by node: its packets interleave with those of nodes in front of it */
    size_t mixed_room;
    struct fc_joined *sessions;
    size_t session_count, session_room;
    struct fc_node **exploded;
    size_t exploded_count, exploded_room;
    struct fc_pieces pieces; /* fragments among them */
    void *scratch;
    size_t scratch_room;
    struct fc_node *views; /* fc_join_views() */
    size_t view_room;
    void *fold_parts, *fold_bytes; /* scratch of fc_table_fold() */
    size_t fold_part_room, fold_byte_room;
};

/* `count` nodes to fill, linked in a list, for the next fc_join_run(). NULL without memory. */
struct fc_node *fc_join_views(struct fc_join *join, size_t count);

/*
 * Joins the nodes of the list `nodes` (linked by next). Results stay valid until the next call or fc_join_fini().
 * replay may be NULL: then runs are never taken apart. FC_E_NOMEM.
 */
int fc_join_run(struct fc_join *join, const struct fc_rules *rules, const struct fc_flow_key *key,
                struct fc_node *nodes, const struct fc_replay *replay);
void fc_join_fini(struct fc_join *join);

#endif
