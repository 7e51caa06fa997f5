/* SPDX-License-Identifier: MIT */
/*
 * A node (flow/node.h) in few bytes: as the flow table keeps it, and, without the header, as the spool does.
 *
 * Most runs are short, so that a plain struct would be mostly zeros. Bytes: 16 bits of flags that say what follows, then times
 * relative to the first, counts as varints, bases and the SYN's sequence number where they are known, places where they cannot
 * be told from the positions. Native layout: it does not outlive the process.
 *
 * Threads: any, on nodes of their own. Immutable once published; `next` belongs to the table.
 */
#ifndef FC_FLOW_PACKED_H
#define FC_FLOW_PACKED_H

#include "flow/node.h"

struct fc_packed {
    struct fc_packed *next;
    int64_t max_ns;     /* of the run */
    uint32_t seq;       /* of the node */
    uint32_t size : 31; /* bytes of all this */
    uint32_t has_extra : 1;
    uint8_t data[]; /* struct fc_extra when there is one, the run, the positions */
};

enum { FC_PACKED_RUN_MAX = 176 }; /* bytes of a run at the most */

/* Writes a run; returns the byte behind. p has FC_PACKED_RUN_MAX bytes of room. mark: a bit of the caller's. */
uint8_t *fc_run_pack(uint8_t *p, const struct fc_run *run, bool mark);

/* Reads what fc_run_pack() has written; returns the byte behind. */
const uint8_t *fc_run_unpack(const uint8_t *p, struct fc_run *run, bool *mark);

enum { FC_PACKED_HEAD_MAX = FC_PACKED_RUN_MAX + 60 };

/*
 * Packs a node in two steps, since memory comes from elsewhere: fc_packed_head() writes its run and place to head, whose length it
 * returns, and the size of the whole to *size; fc_packed_write() puts all together.
 */
size_t fc_packed_head(const struct fc_node *node, uint8_t head[FC_PACKED_HEAD_MAX], size_t *size);
void fc_packed_write(struct fc_packed *packed, const struct fc_node *node, const uint8_t *head, size_t head_len,
                     size_t size);

/* Fills node from packed; its extra and positions stay where they are. */
void fc_packed_read(const struct fc_packed *packed, struct fc_node *node);

#endif
