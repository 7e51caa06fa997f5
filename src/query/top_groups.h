/* SPDX-License-Identifier: MIT */
/*
 * Groups of sessions being added up, and the distinct values that belong to them.
 *
 * Memory is bounded by `groups_max` and `values_max`. When one of them is not enough, only a part goes on: that of the
 * groups whose hash begins with some bits, or of the values whose hash does; what has come of the others is dropped.
 * The owner reads all sessions once more for each part that is left (fc_groups_next_part()). Distinct values of parts
 * add up, since no value is in two.
 *
 * Threads: one.
 */
#ifndef FC_QUERY_TOP_GROUPS_H
#define FC_QUERY_TOP_GROUPS_H

#include "base/hash.h"
#include "query/sample.h"
#include "store/sorter.h"

#include <flowcarve/top.h>

/* What tells groups apart: `word`, and where there is one the text that word[5] is the hash of. */
struct fc_group_key {
    uint64_t word[6];
    const char *text;
};

/* A line of the cache: of most sessions it is all that is touched of their group, besides a slot. */
struct fc_group {
    uint64_t sessions, packets, sent_bytes, received_bytes;
    int64_t first_ns, last_ns; /* first > last: no session has a time */
    uint64_t peers, ports;     /* distinct ones, of the parts that are done */
};

/* Times between starts, by Welford's method. */
struct fc_gaps {
    bool any;
    int64_t last_ns;
    uint64_t count;
    double mean, squares;
};

/* A part of all hashes: those that begin with these bits. */
struct fc_part {
    unsigned bits;
    uint64_t number;
};

/* Distinct values of groups: IPv4 addresses and ports in one word, others in three. */
struct fc_values {
    struct fc_sorter narrow, wide;
};

struct fc_groups {
    uint32_t figures; /* FC_TOP_PEERS... */
    size_t groups_max, values_max;
    uint64_t seed;
    struct fc_group *group;
    struct fc_group_key *key; /* of each group; so gaps, where they are wanted */
    struct fc_gaps *gaps;
    size_t count, room;
    struct fc_group_slot {
        uint64_t id; /* see fc_groups_id() */
        uint32_t at; /* 1 + place of a group; 0: free */
    } * slot;
    size_t slots;
    struct fc_part groups_part, values_part;
    bool summed; /* the sums of these groups are complete: only values are wanted */
    struct fc_values peers, ports;
};

void fc_groups_init(struct fc_groups *groups, uint32_t figures, size_t groups_max, size_t values_max);
void fc_groups_fini(struct fc_groups *groups);

/*
 * A group is somewhere in memory, and to wait for it is what adding up costs. So who looks for many hashes them all,
 * then has the first step made for all of them, then the second, and then looks.
 */
static inline uint64_t fc_groups_hash(const struct fc_groups *g, const struct fc_group_key *key)
{
    return fc_hash48(key->word, g->seed);
}

/* Whether groups of this hash are of the part at hand. */
static inline bool fc_groups_wants(const struct fc_groups *g, uint64_t hash)
{
    return g->groups_part.bits == 0 || hash >> (64 - g->groups_part.bits) == g->groups_part.number;
}

static inline void fc_groups_fetch_slot(const struct fc_groups *g, uint64_t hash)
{
    if (g->slots)
        __builtin_prefetch(&g->slot[hash & (g->slots - 1)]);
}

/* What a slot tells of a key: all of it where it is short, an IPv4 address say; else bit 63 and its hash. */
static inline uint64_t fc_groups_id(const struct fc_group_key *key, uint64_t hash)
{
    const uint64_t *w = key->word;
    bool all = !(w[2] | w[3] | w[4] | w[5]) && !key->text && w[0] >> 20 == 0 && w[1] >> 43 == 0;

    return all ? w[0] << 43 | w[1] : hash | UINT64_C(1) << 63;
}

static inline void fc_groups_fetch_group(const struct fc_groups *g, uint64_t hash)
{
    const struct fc_group_slot *slot = g->slots ? &g->slot[hash & (g->slots - 1)] : NULL;

    if (slot && slot->at)
        __builtin_prefetch(&g->group[slot->at - 1], 1);
}

/*
 * The group of a key, made when there is none; *at: its place, SIZE_MAX: it is not of this part. Places of
 * others may be other ones behind. FC_E_NOMEM.
 */
int fc_groups_find(struct fc_groups *groups, const struct fc_group_key *key, uint64_t hash, size_t *at);

/* Adds a distinct value, an address of `kind` or another number, to a group. FC_E_NOMEM. */
int fc_groups_value(struct fc_groups *groups, struct fc_values *values, size_t at, int kind,
                    const struct fc_sample_addr *value);

/* A session that starts at a time, for the gaps of a group; false: one that came before had started later. */
bool fc_groups_start(struct fc_groups *groups, size_t at, int64_t start_ns);

/* What they make of a row. */
void fc_groups_gaps(const struct fc_groups *groups, size_t at, struct fc_top_row *row);

/* Forgets all of the part, which is to be read once more. */
void fc_groups_restart(struct fc_groups *groups);

/* A part is read: counts its distinct values. *done: these groups are complete; else their next values are to be read.
 * FC_E_NOMEM. */
int fc_groups_end_part(struct fc_groups *groups, bool *done);

/* Goes on to the next groups, without any of these. False: there are no more. */
bool fc_groups_next_part(struct fc_groups *groups);

#endif
