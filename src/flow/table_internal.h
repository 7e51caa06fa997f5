/* SPDX-License-Identifier: MIT */
/*
 * Inside of the flow table: what table.c (flows and runs), sweep.c (their end), fold.c (runs in less memory) and reclaim.c (memory
 * freed) share.
 */
#ifndef FC_FLOW_TABLE_INTERNAL_H
#define FC_FLOW_TABLE_INTERNAL_H

#include "base/tsan.h"
#include "flow/key.h"
#include "flow/packed.h"
#include "flow/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <urcu.h>

enum { FORCED_SHARE = 2 /* buckets a word of the filter */ };

#define FC_FLOW_CLOSED ((struct fc_packed *)1)

/*
 * One cache line with a narrow key: all that a walk along the chain looks at, and all that a sweep does. `next` is written by
 * the shard's sweeper once the flow is linked; tag and key are immutable after it was added.
 */
struct fc_flow {
    _Atomic(struct fc_flow *) next;
    _Atomic(struct fc_packed *) head; /* shared: runs not yet taken by a sweeper, or FC_FLOW_CLOSED */
    /* owner: the shard's sweeper */
    struct fc_packed *owned; /* runs taken; once it is unlinked this links those that wait for a grace period */
    int64_t check_ns;        /* no use in joining before the watermark passes this */
    uint32_t owned_max_seq;
    uint32_t tag;              /* low half of the hash; bit 0: the key is wide */
    _Atomic uint32_t last;     /* shared: about when its latest packet came, in coarse() seconds; a hint */
    bool joined;               /* owner: check_ns comes from joining all of `owned` */
    _Alignas(8) uint8_t key[]; /* struct fc_narrow_key or struct fc_flow_key */
};
_Static_assert(sizeof(struct fc_flow) + sizeof(struct fc_narrow_key) == 64, "a narrow flow is a cache line");
_Static_assert(offsetof(struct fc_flow, owned) == offsetof(struct fc_free, next) &&
                   offsetof(struct fc_flow, check_ns) == offsetof(struct fc_free, ahead),
               "a dead flow is linked as a free object");

enum { FC_GRAVE_AHEAD = 8 };

/* Flows of one size that wait for a grace period. */
struct fc_grave {
    struct fc_free *first, *last;
    struct fc_free *recent[FC_GRAVE_AHEAD]; /* the last ones, round and round */
    unsigned count;
};

struct fc_shard {
    /* shared: atomic, on a line of its own */
    _Alignas(64) atomic_bool sweeping;
    atomic_bool reclaiming; /* `batch` waits for its grace period */
    /* owner: the sweeper, and while `reclaiming` its RCU callback */
    struct rcu_head rcu;
    struct fc_table *table;
    struct fc_grave batch[2];
    struct fc_grave dead[2]; /* unlinked, not yet handed to RCU; [1]: with a wide key */
};

struct fc_table {
    /* immutable after init */
    const struct fc_rules *rules;
    struct fc_gaps gaps;
    uint64_t seed;
    unsigned shift; /* hash >> shift is the bucket: a shard is a stretch of buckets */
    size_t bucket_count;
    _Atomic(struct fc_flow *) *buckets;
    struct fc_heap heap; /* its pools' tallies: bytes and flows */
    bool priors;         /* set before threads sweep: sessions of the index are among the flows */
    /* shared: atomic; a Bloom filter of the flows that were evicted by force, one word a bucket at the most */
    atomic_uint_fast64_t *forced;
    atomic_bool any_forced; /* the filter is not empty */
    /* shared: atomic */
    _Alignas(64) atomic_int_fast64_t evicted_ns; /* highest watermark any eviction has used */
    /* shared: under late_lock */
    _Alignas(64) pthread_mutex_t late_lock;
    uint64_t *late;
    size_t late_count, late_room;
    bool late_all;
    /* shared: under reclaim_lock */
    pthread_mutex_t reclaim_lock;
    pthread_cond_t reclaimed;
    unsigned reclaiming; /* shards whose batch waits for its grace period */
    struct fc_shard shards[FC_TABLE_SHARDS];
};

static inline size_t flow_bytes(bool wide)
{
    return sizeof(struct fc_flow) + (wide ? sizeof(struct fc_flow_key) : sizeof(struct fc_narrow_key));
}

static inline size_t flow_size(const struct fc_flow *flow)
{
    return flow_bytes(flow->tag & 1);
}

/* Where a hash is in the filter, and its bits there. */
static inline atomic_uint_fast64_t *forced_word(const struct fc_table *t, uint64_t hash, uint64_t *bits)
{
    *bits = 1ull << (hash & 63) | 1ull << (hash >> 6 & 63) | 1ull << (hash >> 12 & 63);
    return &t->forced[(hash >> t->shift) / FORCED_SHARE];
}

/* Seconds, about, in 32 bits; 0: no time. */
static inline uint32_t coarse(int64_t ns)
{
    int64_t s = ns >> 30;

    return ns == FC_TIME_NONE || s < 0 ? 0 : s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

/* At the end of each stretch that looks at flows, inside rcu_read_lock(): what ThreadSanitizer cannot see of RCU. */
#define FC_TABLE_LEAVE() FC_TSAN_RELEASE(&fc_table_grace)
extern char fc_table_grace; /* its address only */

/* Whether a flow was noted late, behind fc_table_sort_late(). */
bool fc_table_is_late(const struct fc_table *table, uint64_t hash);

/* Puts an unlinked flow aside; readers may still be on it, so what they look at stays. Shard's sweeper. */
void fc_table_bury(struct fc_shard *shard, struct fc_flow *flow);
/* Hands unlinked flows to RCU; while an earlier batch of the shard waits, they stay until the next sweep. The same. */
void fc_table_reclaim(struct fc_table *table, struct fc_shard *shard);
/* Waits for all that RCU was given. */
void fc_table_wait_reclaimed(struct fc_table *table);

/* Folds the runs of a flow that one run can stand for; seq as fc_table_sweep(). Shard's sweeper. FC_E_NOMEM. */
int fc_table_fold(struct fc_pool *pool, struct fc_join *join, struct fc_flow *flow, int64_t min_gap_ns, uint64_t seq);

/* Gives nodes back; returns their bytes. Without a pool, for when the whole heap goes, only those that it does not hold. */
int64_t fc_table_free_nodes(struct fc_pool *pool, struct fc_packed *node);

#endif
