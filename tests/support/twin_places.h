/* SPDX-License-Identifier: MIT */
/*
 * Inside of the twin: sections 1 to 3 of docs/sessions.md, which put all packets into one order and into their flows.
 */
#ifndef FC_TEST_TWIN_PLACES_H
#define FC_TEST_TWIN_PLACES_H

#include "traffic.h"

#include <string.h>

/* A packet with what the rules make of it. */
struct twin_member {
    const struct traffic_packet *p;
    int64_t counted, place; /* ns or FC_TIME_NONE */
    struct fc_flow_key key;
    unsigned dir;
    const struct fc_flow_key *waits; /* the name under which it waits */
    bool done;
    bool late; /* it was given up */
};
struct twin_list {
    struct twin_member **at;
    size_t n;
};
struct twin_places {
    struct twin_member *members; /* all packets, as in the traffic */
    struct twin_list placed;     /* in the order of their places, each with the key and direction of its session */
    struct twin_list waiting;    /* the fragments that wait at the end, in the order of section 2 */
    int64_t clock_ns;            /* FC_TIME_NONE */
};

void twin_places_make(struct twin_places *places, const struct traffic *t, size_t max_names, size_t max_waiting);
void twin_places_free(struct twin_places *places);

/* True when both times are there and b is more than `most` behind a; most FC_NEVER: never. */
bool twin_past(int64_t a, int64_t b, int64_t most);

static inline void *twin_need(void *p)
{
    if (!p)
        abort();
    return p;
}

static inline bool twin_same(const struct fc_flow_key *a, const struct fc_flow_key *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

struct twin_list twin_list_new(size_t most);
void twin_list_put(struct twin_list *list, struct twin_member *m);

#endif
