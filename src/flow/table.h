/* SPDX-License-Identifier: MIT */
/*
 * The shared flow table: flow key -> runs of that flow, from all readers.
 *
 * Readers publish runs in any order, lock-free: a walk along a bucket's chain, one compare-and-swap to add a flow that is not
 * there, one to push the run on the flow's list. They decide nothing. A sweeper, one a shard at a time, takes the runs of flows
 * that have been idle past their timeout at a point in capture time (the watermark), joins them to sessions (flow/join.h),
 * emits these, and unlinks the flow; its memory is freed after an RCU grace period, since readers may still stand on it. So
 * memory follows the flows that are active, not the length of the capture.
 *
 * The number of buckets is fixed from the memory that the flows may take, so the table never grows and never pauses; past that
 * memory runs are folded (FC_SWEEP_FOLD) and flows evicted (FC_SWEEP_FORCE), which bounds the chains.
 *
 * Correctness does not hang on the watermark. A run that starts before a watermark that was used to evict (times that run
 * backwards) is noted as late, and so is a flow that comes again after it was evicted by force: the pieces of such flows are
 * joined once more at the end (store/spool.h keeps them). So is a session of the index that leaves with runs that continue it before
 * the end, or when the flow is late: these come apart.
 * Which flows were evicted by force a Bloom filter remembers, so that evicting those that were silent for long costs nothing but for
 * the few that come back.
 *
 * Ordering guarantees
 *   A. A flow's key and hash happen before any look at it: the CAS on the bucket in find_or_add() (release) pairs with the
 *      loads of bucket and `next` there and in visit_all() and visit() (acquire).
 *   B. A node's contents happen before its visit by a sweeper: the CAS on fc_flow.head in push() (release) pairs with the
 *      exchange in take_list() and the load in visit() (acquire).
 *   C. A flow whose head is FC_FLOW_CLOSED gets no more nodes: the closing CAS in close_flow() succeeds only on an empty list. A
 *      publisher that meets one passes over it and adds a new flow.
 *   D. A run that starts before an eviction watermark and was not seen by that eviction is noted late: the store of `evicted_ns` in
 *      fc_table_sweep() (seq_cst) precedes the closing CAS (seq_cst); the publisher loads it (seq_cst) behind its own CAS
 *      (seq_cst).
 *   E. A flow that is added anew after it was evicted by force is noted late: its bits in the filter (relaxed) are set before
 *      the closing CAS (seq_cst), and whoever adds the flow has met the closed one (acquire in walk()) or a chain it was taken
 *      off (release in unlink_flow(), acquire in find_or_add()).
 *
 * Progress: publishing is lock-free; looking a flow up is wait-free in the length of the chain. Sweeping a shard excludes other
 * sweeps of that shard, and nothing else.
 *
 * Threads: publish by any registered with rcu_register_thread(); sweep by any such thread; a sweep of a shard that is being
 * swept is refused.
 */
#ifndef FC_FLOW_TABLE_H
#define FC_FLOW_TABLE_H

#include "flow/join.h"
#include "flow/pool.h"

struct fc_table;

enum { FC_TABLE_SHARDS = 64 };

/* A session that leaves the table. Valid during the call. */
struct fc_ended {
    const struct fc_flow_key *key;
    const struct fc_joined *session;
    struct fc_node *const *nodes; /* session->count of them, in order */
    bool
        open; /* the flow's last session, not timed out at the clock given to the sweep; FC_SWEEP_FORCE: at any clock */
};
struct fc_sink {
    int (*emit)(void *ctx, const struct fc_ended *ended); /* 0, or a negative code that ends the sweep */
    void *ctx;
};

enum fc_sweep_mode {
    FC_SWEEP_EXPIRED, /* flows that no packet at or after the watermark can continue */
    FC_SWEEP_FOLD,    /* none: runs of flows that stay are folded, to take less memory */
    FC_SWEEP_FORCE,   /* flows that were silent since the watermark, about; later runs may continue them */
    FC_SWEEP_FINISH   /* all flows: nothing more comes */
};

enum { FC_TABLE_FLOW_BYTES = 128 /* a flow with a short run takes about as much */ };

/* rules must outlive the table. bytes: memory that flows are meant to take at most. NULL without memory. */
struct fc_table *fc_table_new_sized(const struct fc_rules *rules, uint64_t bytes);
struct fc_table *fc_table_new(const struct fc_rules *rules);
/* All flows are out, and the pools ended: gives their memory back. fc_table_hash(), fc_table_late() and fc_table_free() may follow. */
void fc_table_shrink(struct fc_table *table);
/* Frees everything; no other thread may use it any more. NULL is allowed. */
void fc_table_free(struct fc_table *table);

uint64_t fc_table_hash(const struct fc_table *table, const struct fc_flow_key *key);
/* What that hash is made with: it is fc_hash48(key, seed). */
uint64_t fc_table_seed(const struct fc_table *table);

/* A pool of the table's memory, for one thread that publishes or sweeps. fc_pool_fini() ends its use, before fc_table_free(). */
void fc_table_pool(struct fc_table *table, struct fc_pool *pool);

/* Fetch what publishing under this hash will look at, for callers that know some runs ahead: first its bucket, then its flow. */
void fc_table_prefetch(const struct fc_table *table, uint64_t hash);
void fc_table_prefetch_flow(const struct fc_table *table, uint64_t hash);

/*
 * Publishes a copy of the node. hash: fc_table_hash() of the key. Nodes that carry an ID (sessions of the index) come before other
 * threads use the table. FC_E_NOMEM.
 */
int fc_table_publish(struct fc_table *table, struct fc_pool *pool, const struct fc_flow_key *key, uint64_t hash,
                     const struct fc_node *node);
/* The same for many in a row, between fc_table_enter() and fc_table_leave(): so long no dead flow's memory is used again. */
int fc_table_publish_inside(struct fc_table *table, struct fc_pool *pool, const struct fc_flow_key *key, uint64_t hash,
                            const struct fc_node *node);
void fc_table_enter(void);
void fc_table_leave(void);

/*
 * Sweeps one shard.
 *   watermark_ns  every run that will be published from now on starts at or after it, or is late; FC_SWEEP_FORCE: see there
 *   seq           chunks before this one have been published; FC_SWEEP_EXPIRED leaves flows alone that have runs of later ones,
 *                 since runs in front of those may be missing
 *   clock_ns      latest time of any record, for `open` (FC_SWEEP_FINISH only)
 * 1: somebody else is sweeping this shard. 0, FC_E_NOMEM, or what emit returned.
 */
int fc_table_sweep(struct fc_table *table, struct fc_pool *pool, unsigned shard, enum fc_sweep_mode mode,
                   int64_t watermark_ns, uint64_t seq, int64_t clock_ns, struct fc_join *join,
                   const struct fc_replay *replay, const struct fc_sink *sink);

/* Notes that the pieces of a flow must be joined in the end. Any thread. */
void fc_table_note_late(struct fc_table *table, uint64_t hash);
/* All is published, and no thread uses the table: before the first FC_SWEEP_FINISH, which asks whether flows are late. */
void fc_table_sort_late(struct fc_table *table);

/* About when half of the flows had their latest packet, ns; by a sample. Call as a registered reader. */
int64_t fc_table_median_ns(struct fc_table *table);

/* Bytes held by flows and nodes now; flows now. Approximate while publishers run. */
uint64_t fc_table_bytes(struct fc_table *table);
uint64_t fc_table_flows(struct fc_table *table);
/* Bytes taken from the system for them, those that are free for others of the same size too. Any time. */
uint64_t fc_table_slab_bytes(struct fc_table *table);
/* Bytes besides, whatever flows there are. */
uint64_t fc_table_fixed_bytes(const struct fc_table *table);

/*
 * Hashes of the flows noted late, ascending and unique. *all: there were too many, take every flow as late. Call when
 * no thread uses the table any more. Valid until fc_table_free().
 */
const uint64_t *fc_table_late(struct fc_table *table, size_t *count, bool *all);

#endif
