/* SPDX-License-Identifier: MIT */
/*
 * The real thing for the twin to look at: traffic through fc_chunk_add(), cut into chunks at random; the chunks
 * published by several threads in random order, the shared table swept in between; spools, late flows joined again,
 * merge. Everything but the order of events is the index room's own code.
 */
#ifndef FC_TEST_MACHINE_H
#define FC_TEST_MACHINE_H

#include "store/record.h"
#include "traffic.h"

struct machine_options {
    const struct fc_rules *rules;
    uint32_t mask;
    bool extra;
    unsigned threads;
    unsigned cut;        /* per cent: a chunk ends behind a packet */
    unsigned sweep;      /* per cent: sweeps after a chunk was published */
    bool any_watermark;  /* any time at all; else one that no later chunk starts before, as the table wants it */
    bool force;          /* now and then everything leaves the table */
    bool in_order;       /* chunks are published in file order */
    size_t spool_budget; /* bytes */
};

struct machine_session {
    struct fc_session_record record; /* without blob */
    uint32_t *files;
    uint64_t *offs;
    size_t count;
};
struct machine_result {
    struct machine_session *sessions; /* in the order of their IDs */
    size_t count;
    uint64_t late_flows;
};

/* 0, or the code of whatever failed. */
int machine_run(const struct traffic *t, struct rng *rng, const struct machine_options *options,
                struct machine_result *result);
void machine_free(struct machine_result *result);

/* The first difference between the two in words, in buf; NULL when there is none. `extra`: compare optional fields. */
struct twin;
const char *machine_differs(const struct machine_result *result, const struct twin *twin, bool extra, char *buf,
                            size_t size);

#endif
