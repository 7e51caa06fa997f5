/* SPDX-License-Identifier: MIT */
/*
 * Rows of sums by group: put in order, and no more of them kept than a few times the limit. Whoever adds up, of an
 * index (top.c) or of many, hands each group over once.
 *
 * Threads: one.
 */
#ifndef FC_QUERY_TOP_ROWS_H
#define FC_QUERY_TOP_ROWS_H

#include "query/top.h"
#include "query/top_groups.h"
#include "store/db.h"

#include <string.h>

/* A row, and what it is put in order by. */
struct fc_top_kept {
    struct fc_group_key key;
    struct fc_top_row row;
};

struct fc_top {
    struct fc_db *db;
    enum fc_top_by by;
    enum fc_top_sort sort;
    bool by_time, descending;
    size_t limit; /* SIZE_MAX: none */
    int64_t bucket_ns;
    uint64_t groups_seen;
    struct fc_top_kept *rows;
    size_t count, room, next;
    size_t best;   /* rows[limit - 1] when so many have been sorted: what is not better than it is not kept */
    int64_t empty; /* bucket that comes next in the order of time; see fc_top_next() */
    size_t given;
};

static inline int64_t fc_top_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Numbers below 0 come first in the order of keys, which is that of unsigned words. */
static inline uint64_t fc_top_ordered(int64_t number)
{
    return (uint64_t)number ^ UINT64_C(1) << 63;
}

static inline void fc_top_set_addr(uint64_t *word, const struct fc_sample_addr *addr)
{
    word[0] = addr->word[0];
    word[1] = addr->word[1];
}

/* Groups that are called by a text, which the words do not have. */
static inline bool fc_top_by_text(enum fc_top_by by)
{
    return by == FC_TOP_VLAN || by == FC_TOP_TUNNEL || by == FC_TOP_SENSOR;
}

/* With buckets of time besides: where their number is among the words; the upper half of word 0 is 1 without a time. */
static inline unsigned fc_top_bucket_word(const struct fc_top *t)
{
    return fc_top_by_text(t->by) ? 1 : 5;
}

/* The key of the group that a session is in. */
static inline void fc_top_key(const struct fc_top *t, const struct fc_sample *s, struct fc_group_key *key)
{
    *key = (struct fc_group_key){.text = s->text};
    switch (t->by) {
    case FC_TOP_CLIENT:
    case FC_TOP_HOST:
    case FC_TOP_PAIR:
        key->word[0] = (uint64_t)s->kind;
        fc_top_set_addr(key->word + 1, &s->client);
        if (t->by == FC_TOP_PAIR)
            fc_top_set_addr(key->word + 3, &s->server);
        break;
    case FC_TOP_SERVER:
        key->word[0] = (uint64_t)s->kind;
        fc_top_set_addr(key->word + 1, &s->server);
        break;
    case FC_TOP_PORT:
        key->word[0] = (uint64_t)(s->server_port + 1);
        key->word[1] = s->proto;
        break;
    case FC_TOP_PROTOCOL:
        key->word[0] = s->proto;
        break;
    case FC_TOP_STATE:
        key->word[0] = (uint64_t)(s->state + 1);
        break;
    case FC_TOP_FILE:
        key->word[0] = s->file;
        break;
    case FC_TOP_VLAN:
    case FC_TOP_TUNNEL:
    case FC_TOP_SENSOR:
        key->word[5] = s->text ? fc_hash_bytes(s->text, strlen(s->text), 0) : 0;
        break;
    case FC_TOP_TIME:
        key->word[0] = !s->has_time;
        key->word[1] = s->has_time ? fc_top_ordered(fc_top_floor(s->start_ns, t->bucket_ns)) : 0;
        break;
    default:
        break;
    }
    if (t->by_time) {
        key->word[0] |= (uint64_t)!s->has_time << 32;
        key->word[fc_top_bucket_word(t)] = s->has_time ? fc_top_ordered(fc_top_floor(s->start_ns, t->bucket_ns)) : 0;
    }
}

/* Keeps a row, whose text is copied, unless it is behind the limit. FC_E_NOMEM. */
int fc_top_keep(struct fc_top *top, const struct fc_top_kept *row);
/* Sorts what there is, and lets go of what is behind the limit. */
void fc_top_prune(struct fc_top *top);

#endif
