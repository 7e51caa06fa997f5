/* SPDX-License-Identifier: MIT */
/*
 * The flow table: sessions by flow key, in partitions that the top bits of the key's hash name.
 *
 * Readers hand units of notes over; whoever has time advances a partition: takes its notes in the order of all packets,
 * up to a limit below which nothing is missing any more, and applies the session rules (docs/sessions.md) to each
 * packet at once. A session leaves, to the sink, when a packet begins another one, or when the order has passed its
 * expiry. Nothing is ever taken back.
 *
 * A partition, all of it owned by one thread at a time:
 *   queue     parts of units that were handed over
 *   lanes     these, merged in order (flow/lane.h)
 *   index     open addressing: slots of hash and flow number, beside pointers to blocks of flows
 *   wheel     for each timeout, flows by when they are due to be looked at: each is looked at once a timeout, and in
 *             between only when it has a packet
 *   limbo     flows that left, until no reader can stand on them
 *
 * Guarantees
 *   A. Handing over is wait-free: an exchange and a store for each part. Who takes waits for the store, as without it
 *      neighbours in the queue cannot be told from its end.
 *   B. A partition is advanced by one thread at a time: the exchange on `owned` in own() (acquire) pairs with the store
 *      in disown() (release). Others are refused, none waits, and whoever stalls delays that partition alone.
 *   C. What a reader wrote to a unit happens before its notes are taken: the queue's exchange (release) in
 *      fc_table_hand_over() pairs with the dequeue (acquire) in fc_table_take().
 *   D. Looking a flow up is wait-free in the length of a chain, under rcu_read_lock(), also while the index grows: the
 *      index is published by a store (release) in publish_index(), a flow by that of its slot (release) in new_flow();
 *      both pair with the loads (acquire) in fc_table_find(). Key and hash of a flow do not change; counts are relaxed
 *      atomics and may be of different moments.
 *   E. Flows that left, and indexes that were outgrown, are used again or freed a grace period later: limbo and old
 *      indexes go through flow/reclaim.h, a batch at a time.
 *
 * Memory: when flows take more than they are meant to, partitions are suspended (flow/spill.h): their flows and all
 * that comes for them from then on go to a file, and they are resumed, one after the other, in the end.
 *
 * Threads: as said at each function; those that advance or look up are registered with RCU.
 */
#ifndef FC_FLOW_TABLE_H
#define FC_FLOW_TABLE_H

#include "flow/lane.h"

struct fc_table;

/* A session that leaves the table. Valid during the call. */
struct fc_ended {
    struct fc_flow_key key;
    struct fc_session_sum session;
    int64_t id;             /* > 0: a session that the index holds; the positions are those added */
    uint64_t prior_packets; /* of `packets`: those that the index holds */
    uint64_t first_off;     /* of the first packet */
    uint32_t first_file;
    bool late;          /* which is a fragment that was given up */
    bool last;          /* of its flow: a later capture may continue it */
    const uint8_t *pos; /* see fc_positions_canonical() */
    size_t pos_len;
    bool pos_plain;               /* one file, ascending */
    const struct fc_extra *extra; /* NULL: none */
};
struct fc_sink {
    int (*emit)(void *ctx, const struct fc_ended *ended); /* 0, or a negative code that ends the advance */
    void *ctx;
};

/* What a thread brings along that advances partitions. */
struct fc_advancer {
    struct fc_shelf shelf;
    struct fc_sink sink;
    struct fc_error err; /* of the file for suspended partitions, and of recalling */
};

/* rules must outlive the table. extra: notes have optional fields. folder: of the file for suspended partitions, by
 * pointer.
 * NULL without memory. */
struct fc_table *fc_table_new(const struct fc_rules *rules, bool extra, const char *folder);
/* No other thread may use it any more. NULL is allowed. */
void fc_table_free(struct fc_table *table);

/*
 * Sessions of the index, asked for by their keys: before a flow that the table does not have begins a session, `find`
 * is asked whether one is open. 1: *prior is filled, and is the flow's session when the packet comes; each is given
 * once. 0: none. Negative: ends the advance. It is called by whoever advances a partition, of several ones at a time.
 * Without notes of the kind FC_NOTE_PRIOR, and before any unit is handed over.
 */
struct fc_recaller {
    int (*find)(void *ctx, const struct fc_flow_key *key, struct fc_prior *prior, struct fc_error *err);
    void *ctx;
};
void fc_table_recall_by(struct fc_table *table, const struct fc_recaller *recaller);

/* What hashes are made with: see fc_unit_add(). */
uint64_t fc_table_seed(const struct fc_table *table);
struct fc_stock *fc_table_stock(struct fc_table *table);

/* Makes a unit visible to all; it is not the caller's any more. Any thread. */
void fc_table_hand_over(struct fc_table *table, struct fc_unit *unit, struct fc_shelf *shelf);
/* Takes what was handed over for a part into lanes. Its owner. FC_E_NOMEM. */
int fc_table_take(struct fc_table *table, unsigned part, struct fc_lanes *lanes, struct fc_shelf *shelf);

/*
 * Advances a partition to `limit`: all units with a note before it were handed over. 1: another thread has it.
 * FC_E_NOMEM, FC_E_IO, or what the sink said.
 */
int fc_table_advance(struct fc_table *table, unsigned partition, const struct fc_place *limit,
                     struct fc_advancer *advancer);

/*
 * The notes of a partition that wait for others go to the file, as one lane; they come back in their turn. Codes as
 * above.
 */
int fc_table_stow(struct fc_table *table, unsigned partition, struct fc_advancer *advancer);

/* Flows of this partition go to the file, and so does what comes for it. Codes as above. */
int fc_table_suspend(struct fc_table *table, unsigned partition, struct fc_advancer *advancer);

/*
 * All is handed over: what is left of a partition leaves; of one that is suspended only when `resume` says so. Codes as
 * above.
 */
int fc_table_finish(struct fc_table *table, unsigned partition, bool resume, struct fc_advancer *advancer);

/* Frees what finished partitions take. One thread, when no other uses the table. */
void fc_table_shrink(struct fc_table *table);

/*
 * A look at a flow from outside. False: the table does not have it. Any registered thread, inside of no read-side
 * section.
 */
struct fc_glimpse {
    int64_t last_ns;
    uint64_t packets[2], bytes[2];
};
bool fc_table_find(struct fc_table *table, const struct fc_flow_key *key, struct fc_glimpse *glimpse);

/* Flows and their bytes now, without notes. Any thread. */
uint64_t fc_table_flows(const struct fc_table *table);
uint64_t fc_table_bytes(const struct fc_table *table);
/* Sum of the most flows that each partition has had at a time. When no thread uses the table. */
uint64_t fc_table_peak_flows(const struct fc_table *table);

#endif
