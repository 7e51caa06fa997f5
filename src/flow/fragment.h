/* SPDX-License-Identifier: MIT */
/*
 * Which session the later fragments of an IP datagram belong to: that of its first fragment, which alone has the ports.
 *
 * Rule: of the first fragments with the same (source, destination, protocol, identification, VLAN part of the key),
 * within FC_FRAGMENT_WINDOW_NS of the fragment's time: the latest one before it in the same capture; else the next one
 * behind it in the same capture; else the one nearest in time of another capture (then the earlier one, then the lower
 * file). Without one, the fragment forms a session of its own with ports 0.
 *
 * A tunnel's datagram may be fragmented and carry a fragment. Its first fragment then belongs where the datagram inside
 * belongs: it is an alias, and its later fragments are settled as if they were later fragments of the one inside.
 *
 * A reader settles the first case within its chunk by itself (flow/chunk.h). What it cannot settle comes here as
 * events, in file order, chunk by chunk and capture by capture, so that the outcome does not depend on where chunks
 * were cut.
 *
 * One that is without a first fragment at the end of the last capture, and young enough that a capture added later may bring
 * it, is loose: it is kept for that. The next time it comes as one that a session of the index holds already.
 *
 * Threads: one at a time, in order. Limits: of a capture the last FC_FRAGMENT_MAX first fragments are remembered, and
 * as many later ones that wait for theirs; likewise over captures, and of loose ones. Older ones are given up.
 * Of those with one name only the last 1,024 first fragments are looked at, and the last 8,192 that wait.
 *
 * What time has passed by is given up before that, where there is much of it: a first fragment when the 4,096th behind it in its
 * capture, or the 8,192nd and so on, is out of the window, in which times that run backwards for a moment do not matter; and where
 * thousands are left of earlier captures, what the first record of the next one is out of the window of.
 */
#ifndef FC_FLOW_FRAGMENT_H
#define FC_FLOW_FRAGMENT_H

#include "flow/node.h"

#define FC_FRAGMENT_WINDOW_NS (60 * 1000000000LL)
enum { FC_FRAGMENT_MAX = 1 << 18, FC_FRAGMENT_STEP = 1 << 12 };

/* A first fragment, or a later one that its reader could not settle. */
struct fc_fragment {
    struct fc_flow_key datagram; /* what both have in common: see struct fc_packet */
    struct fc_flow_key flow;     /* first: key of its session, or an alias' datagram inside; later: key with ports 0 */
    uint64_t off;
    int64_t ts_ns;
    struct fc_node *node; /* later: its one-packet node; NULL in a first fragment */
    int64_t held;         /* later: session of the index that holds it already; 0: none */
    uint32_t file;
    uint32_t ordinal; /* first: how many there were in its chunk, with it */
    uint8_t dir;      /* of the packet within `flow` */
    uint8_t alias;    /* first */
    uint8_t gone;     /* first: given up */
    uint8_t hops;     /* later: aliases it has been led through, at most FC_FRAGMENT_HOPS */
};

enum { FC_FRAGMENT_HOPS = FC_DATAGRAM_MAX };

struct fc_fragments;

/* A settled fragment's node goes here, with the key of its session; the node changes hands, also on failure. */
typedef int fc_fragment_settled(void *ctx, const struct fc_flow_key *flow, struct fc_node *node);

struct fc_fragments *fc_fragments_new(fc_fragment_settled *settled, void *ctx);
/* Drops what is unsettled. NULL is allowed. */
void fc_fragments_free(struct fc_fragments *fragments);

/*
 * A capture begins, before its first event. first_ns: time of its first record; next_ns: of that of the next capture, INT64_MAX when
 * none follows. FC_TIME_NONE: not known. Negative: as fc_fragments_event().
 */
int fc_fragments_begin_file(struct fc_fragments *fragments, int64_t first_ns, int64_t next_ns);

/* Next event of the capture being read; a node changes hands. Negative: FC_E_NOMEM or what settled returned. */
int fc_fragments_event(struct fc_fragments *fragments, const struct fc_fragment *event);

/*
 * The capture is at its end. last: no other one comes, so everything is settled now, but what is without a first fragment and
 * not before from_ns: that is loose. INT64_MAX: nothing is.
 */
int fc_fragments_end_of_file(struct fc_fragments *fragments, bool last, int64_t from_ns);

/* First fragments that a capture added later may need; ascending by time. For the index's open_fragment. */
const struct fc_fragment *fc_fragments_open(const struct fc_fragments *fragments, size_t *count);
/* Brings such a one back, before the first event. */
int fc_fragments_restore(struct fc_fragments *fragments, const struct fc_fragment *first);

/* Loose fragments, each with its node, after the end of the last capture. A node is free to take. */
struct fc_fragment *fc_fragments_loose(struct fc_fragments *fragments, size_t *count);
/* Brings such a one back, before the first event; held is its session. Its node changes hands, also on failure. */
int fc_fragments_restore_loose(struct fc_fragments *fragments, const struct fc_fragment *later);
/*
 * Those brought back that are loose no more: flow is that of their datagram, or their own when they were given up. They are not
 * settled, since a session of the index has them. A node is free to take.
 */
struct fc_fragment *fc_fragments_returned(struct fc_fragments *fragments, size_t *count);

/* True when two times may belong to one datagram. A record without a time fits any. */
static inline bool fc_fragment_near(int64_t a, int64_t b)
{
    if (a == FC_TIME_NONE || b == FC_TIME_NONE)
        return true;
    uint64_t distance = a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
    return distance <= (uint64_t)FC_FRAGMENT_WINDOW_NS;
}

/* Earliest time of what a capture may need that starts at or after clock_ns. */
static inline int64_t fc_fragment_from_ns(int64_t clock_ns)
{
    return clock_ns < INT64_MIN + FC_FRAGMENT_WINDOW_NS ? INT64_MIN : clock_ns - FC_FRAGMENT_WINDOW_NS;
}

#endif
