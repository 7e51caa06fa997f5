/* SPDX-License-Identifier: MIT */
/*
 * Which flow each IP fragment belongs to: docs/sessions.md, section 3. Fragments are settled in the order of all
 * packets, before the partitions come to that stretch of it: readers hand over a note of each fragment here, and this
 * hands on a note, with its place, to the partition that has the flow.
 *
 * Those that wait in the end are provisional: the index keeps them, and the next run brings them back.
 *
 * Threads: one at a time. Memory: FC_FRAGMENT_MAX names and as many fragments that wait, 40 MB each at the most.
 */
#ifndef FC_FLOW_FRAGMENT_H
#define FC_FLOW_FRAGMENT_H

#include "flow/table.h"

#define FC_FRAGMENT_WINDOW_NS (60 * 1000000000LL)
enum { FC_FRAGMENT_MAX = 1 << 18, FC_FRAGMENT_HOPS = FC_DATAGRAM_MAX };

/* What a name leads to: a flow, or as an alias another name. */
struct fc_first {
    struct fc_flow_key name;
    struct fc_flow_key leads_to;
    int64_t ns; /* counted */
    uint8_t dir;
    uint8_t alias;
};

/* A later fragment. */
struct fc_waiting {
    struct fc_flow_key name; /* under which it waits */
    struct fc_flow_key key;  /* its own, without ports */
    int64_t ns;              /* counted, */
    int64_t ts_ns;           /* and as captured */
    uint64_t off;
    uint32_t file;
    uint32_t origlen;
    uint8_t dir;
    uint8_t old;            /* the index holds it, provisionally */
    uint8_t gone;           /* it waits no more */
    struct fc_extra *extra; /* from malloc(); NULL: none */
};

struct fc_fragments;

/* table: whose units' fragments these are. NULL without memory. */
struct fc_fragments *fc_fragments_new(struct fc_table *table);
void fc_fragments_free(struct fc_fragments *fragments);

/* Settles all up to `limit` and hands the notes over. FC_E_NOMEM. */
int fc_fragments_advance(struct fc_fragments *fragments, const struct fc_place *limit, struct fc_shelf *shelf);
/*
 * All is handed over, clock_ns is the counted time of the latest record: settles the rest, and gives up what has waited
 * too long.
 */
int fc_fragments_finish(struct fc_fragments *fragments, int64_t clock_ns, struct fc_shelf *shelf);

/*
 * After the finish. Names that a later capture may ask for, oldest first; those that wait, in order. Valid until free.
 */
const struct fc_first *fc_fragments_first(const struct fc_fragments *fragments, size_t i);
size_t fc_fragments_first_count(const struct fc_fragments *fragments);
/* NULL: that one waits no more. */
const struct fc_waiting *fc_fragments_waiting(const struct fc_fragments *fragments, size_t i);
size_t fc_fragments_waiting_count(const struct fc_fragments *fragments);

/*
 * Brings such ones back, before the first advance, in the same order; they take their places among the new ones.
 * `extra` changes hands, also on failure. FC_E_NOMEM.
 */
int fc_fragments_restore_first(struct fc_fragments *fragments, const struct fc_first *first);
int fc_fragments_restore_waiting(struct fc_fragments *fragments, const struct fc_waiting *waiting);

#endif
