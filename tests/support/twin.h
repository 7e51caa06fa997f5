/* SPDX-License-Identifier: MIT */
/*
 * The naive twin of the session rules: packet by packet, one flow after the other, no runs, no chunks, no threads. It
 * is written from the rules (docs of flow/join.h, flow/fragment.h and flow/rules.h, and what Wireshark counts as a
 * stream), not from the code, and shares none of it but the table of timeouts.
 */
#ifndef FC_TEST_TWIN_H
#define FC_TEST_TWIN_H

#include "flow/run.h"
#include "traffic.h"

struct twin_session {
    struct fc_flow_key key;
    struct fc_run run; /* all of it, as one who goes packet by packet would have it */
    struct fc_extra extra;
    int client;
    int state;
    bool open;
    const struct traffic_packet **packets; /* in the flow's order */
    size_t count;
};
struct twin {
    struct twin_session *sessions; /* in no order */
    size_t count;
};

void twin_make(struct twin *twin, const struct traffic *t, const struct fc_rules *rules);
void twin_free(struct twin *twin);

/* The session that has the packet at a position, or NULL. */
const struct twin_session *twin_find(const struct twin *twin, uint32_t file, uint64_t off);

#endif
