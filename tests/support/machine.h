/* SPDX-License-Identifier: MIT */
/*
 * The real thing for the twin to look at: traffic as notes in units that are cut at random, their times counted by
 * fc_chunk_count_times(), handed over by several threads, the units of a capture in their order and captures in any.
 * Meanwhile the same threads raise the tide, settle fragments, advance partitions and suspend some. Everything but the
 * order of events is the code of the rooms.
 */
#ifndef FC_TEST_MACHINE_H
#define FC_TEST_MACHINE_H

#include "flow/extra.h"
#include "flow/session.h"
#include "traffic.h"

struct machine_options {
    const struct fc_rules *rules;
    bool extra;       /* the packets of the traffic have optional fields */
    unsigned threads; /* 1 to 8 */
    unsigned cut;     /* per cent: a chunk ends behind a packet */
    unsigned share;   /* per cent: a capture that begins behind one of a single chunk comes into its unit, if it can */
    unsigned settle, advance; /* how often, beside 100 for what a unit needs, */
    unsigned suspend;         /* per cent of the advances: a partition is suspended */
};

struct machine_session {
    struct fc_flow_key key;
    struct fc_session_sum sum;
    struct fc_extra extra;
    uint64_t first_off;
    uint32_t first_file;
    bool open, provisional;
    bool late; /* its first packet was given up */
    /* its positions, by file, then offset; provisional: as they came */
    uint32_t *files;
    uint64_t *offs;
    size_t count;
};
struct machine_result {
    struct machine_session *sessions; /* in the order of their IDs; provisional ones behind */
    size_t count, room;
    uint64_t units, suspended;
};

/* 0, or the code of whatever failed. The calling thread must not be registered with RCU. */
int machine_run(const struct traffic *t, struct rng *rng, const struct machine_options *options,
                struct machine_result *result);
void machine_free(struct machine_result *result);

/* The first difference between the two in words, in buf; NULL when there is none. `extra`: compare optional fields. */
struct twin;
const char *machine_differs(const struct machine_result *result, const struct twin *twin, bool extra, char *buf,
                            size_t size);

#endif
