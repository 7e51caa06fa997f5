/* SPDX-License-Identifier: MIT */
/*
 * Flows that left the table although something later belonged to them: their pieces are taken out of the spools and joined once more.
 * rejoin.c decides, and does it in one thread where there is little to look through; rejoin_many.c does it with all.
 *
 * Threads: fc_rejoin_want() and fc_rejoin_take() one a struct fc_rejoin; the lists may be shared.
 */
#ifndef FC_INDEX_REJOIN_H
#define FC_INDEX_REJOIN_H

#include "index/held.h"

/* A piece of a flow: a session taken out of a spool, as a node again. */
struct fc_late_piece {
    struct fc_flow_key key;
    uint64_t hash;
    struct fc_node *node;
};

struct fc_rejoin {
    const struct fc_table *table;
    const uint64_t *late; /* ascending */
    size_t late_count;
    bool all;              /* all flows are late */
    const uint64_t *added; /* flows that get an addition, ascending */
    size_t added_count;
    uint64_t *filter; /* a bit a hash of both lists, by its lowest bits: most flows are in neither */
    uint64_t filter_mask;
    struct fc_held *held;
    struct fc_error *err;
    uint64_t parts, part; /* only flows whose hash falls into this part */
    struct fc_late_piece *pieces;
    size_t count, room;
    struct fc_buffer scratch;
};

/* For fc_spool_extract(), ctx: the struct fc_rejoin. Whether the flow is one of those; takes a piece of it. */
bool fc_rejoin_want(void *ctx, const struct fc_flow_key *key);
int fc_rejoin_take(void *ctx, const struct fc_session_record *record);

/* Joins the pieces at hand, flow by flow, and emits the sessions. A failure is told in emitter->err. */
int fc_rejoin_join(struct fc_pipeline *pipeline, struct fc_rejoin *rejoin, struct fc_emitter *emitter,
                   struct fc_join *join, const struct fc_replay *replay);
void fc_rejoin_drop(struct fc_rejoin *rejoin);

/* All of it with up to --jobs threads; without additions. */
int fc_rejoin_many(struct fc_pipeline *pipeline, const struct fc_rejoin *rejoin, struct fc_error *err);

#endif
