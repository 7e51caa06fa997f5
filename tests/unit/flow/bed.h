/* SPDX-License-Identifier: MIT */
/*
 * A flow table under test, one thread: packets go in one by one, sessions come out. Records of a capture get rising
 * offsets, from 10 on, 10 apart; one that is behind counts as the latest.
 */
#ifndef FC_TEST_BED_H
#define FC_TEST_BED_H

#include "flow/fragment.h"
#include "flow/partition.h"

#define S 1000000000LL
enum { BED_SESSIONS = 64, BED_POSITIONS = 16 };

struct bed {
    struct fc_rules rules;
    struct fc_table *table;
    struct fc_fragments *fragments;
    struct fc_advancer a;
    struct fc_unit *unit; /* being filled */
    size_t odd_room;
    uint64_t off;
    uint32_t file;
    int64_t counted_ns;
    struct bed_session {
        struct fc_ended e; /* without pos */
        uint32_t file[BED_POSITIONS];
        uint64_t off[BED_POSITIONS];
        size_t positions;
    } s[BED_SESSIONS];
    size_t count;     /* that came out; more than BED_SESSIONS are counted only */
    uint64_t packets; /* of all of these */
    int rc;           /* what the sink says */
    bool again;       /* the sink advances the partition that it is called by */
    int again_rc;
};

/* The rules of a profile, and timeouts beside them ("": none). */
void bed_make(struct bed *b, const char *profile, const char *timeouts);
void bed_free(struct bed *b);
/* Begins another capture. */
void bed_file(struct bed *b, uint32_t file);
/* Returns the record's offset. */
uint64_t bed_add(struct bed *b, const struct fc_packet *p, int64_t ts_ns);
/* A session of the index, in its turn. */
void bed_prior(struct bed *b, const struct fc_flow_key *key, int64_t id, const struct fc_session_sum *sum);
void bed_hand_over(struct bed *b);
/* Hands over, settles and advances all partitions; a code of the first that failed. */
int bed_advance(struct bed *b, int64_t to_ns);
int bed_finish(struct bed *b);
int bed_suspend(struct bed *b);

/* Packets of flow 1, 2, 3... */
struct fc_flow_key bed_key(unsigned flow, uint32_t proto);
struct fc_packet bed_packet(unsigned flow, uint32_t proto, unsigned dir);
struct fc_packet bed_tcp(unsigned dir, unsigned flags, uint32_t seq, uint32_t ack);

#endif
