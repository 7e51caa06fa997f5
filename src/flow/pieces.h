/* SPDX-License-Identifier: MIT */
/*
 * Directions of later fragments in a flow whose packets are read again. A later fragment shows addresses only, and those
 * around a tunnel are not the flow's: it goes the way of its first fragment, which may come behind it.
 *
 * Threads: one at a time. Memory: grows with the fragments of one flow; nodes belong to the caller.
 */
#ifndef FC_FLOW_PIECES_H
#define FC_FLOW_PIECES_H

#include "flow/node.h"

struct fc_piece {
    struct fc_flow_key datagram;
    uint64_t off;
    uint32_t file;
    struct fc_node *node; /* of this packet alone */
};

struct fc_pieces {
    struct fc_piece *firsts, *laters;
    size_t first_count, first_room, later_count, later_room;
};

static inline void fc_pieces_clear(struct fc_pieces *pieces)
{
    pieces->first_count = pieces->later_count = 0;
}

void fc_pieces_fini(struct fc_pieces *pieces);

/* Notes a fragment that stands in `node`. sure: the direction that it has there is known. FC_E_NOMEM. */
int fc_pieces_add(struct fc_pieces *pieces, const struct fc_packet *packet, struct fc_node *node, bool sure);

/* All fragments are noted: turns the nodes of later ones to the direction of their first. */
void fc_pieces_settle(struct fc_pieces *pieces);

#endif
