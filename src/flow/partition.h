/* SPDX-License-Identifier: MIT */
/*
 * Inside of the flow table: what table.c (hand-over, and who does what with a partition), apply.c (packets and
 * sessions), index.c (finding flows), wheel.c (their end) and spill.c share.
 */
#ifndef FC_FLOW_PARTITION_H
#define FC_FLOW_PARTITION_H

#include "base/tsan.h"
#include "flow/reclaim.h"
#include "flow/slabs.h"
#include "flow/spill.h"
#include "flow/table.h"

#include <urcu.h>

enum {
    FC_FLOW_BASE = 3,      /* bit d: base[d] is known */
    FC_FLOW_FIRST_DIR = 4, /* of the first packet */
    FC_FLOW_SYNACK = 8,    /* which was a SYN-ACK */
    FC_FLOW_TCP = 16,      /* its timeout depends on flags, */
    FC_FLOW_UDP = 32,      /* or on directions */
    FC_FLOW_ESCAPED = 64,  /* its positions are not one file's in rising order */
    FC_FLOW_LATE = 128     /* its first packet is a fragment that was given up */
};

/* What few flows have. Its address does not change while a flow is in the table. */
struct fc_rare {
    struct fc_flow_key key; /* when it is wide */
    int64_t min_ns, max_ns; /* when `times` */
    int64_t id;
    uint64_t prior_packets;
    uint32_t wraps[2];     /* of packets[] */
    bool times;            /* as captured they are others than first_ns and last_ns */
    bool changed;          /* id: packets were added */
    struct fc_extra extra; /* when the table has optional fields */
};

/*
 * Two cache lines. Owner: whoever has the partition; what fc_table_find() reads is written by relaxed atomic stores.
 * Short sessions have their positions inside.
 */
struct fc_flow {
    struct fc_short_key key; /* bits 48-63 of rest: 0 */
    int64_t last_ns;         /* place of the latest packet */
    uint32_t base[2];
    uint8_t tcp_flags[2];
    uint8_t bits;
    uint8_t timeout;  /* enum fc_timeout: which one holds now */
    uint16_t due;     /* low bits of its entry's number in the wheel */
    uint8_t pos_room; /* 0: inside; else 16 << pos_room bytes at pos */
    uint8_t seen;     /* bit d: packets in direction d */
    uint64_t last_off;
    uint32_t last_file;
    uint32_t pos_len;
    struct fc_rare *rare;
    /* second line */
    uint32_t packets[2];
    uint64_t bytes[2];
    int64_t first_ns; /* place of the first packet */
    uint64_t first_off;
    uint32_t first_file;
    uint32_t tag; /* of its slot; also: next in the list of spare flows */
    union {
        uint8_t inside[16];
        uint8_t *pos;
    };
};
_Static_assert(sizeof(struct fc_flow) == 128, "two cache lines");

enum { FC_FLOWS_A_BLOCK = 64, FC_POS_INSIDE = 16 };

/* Published as a whole. A slot: hash << 32 | flow number + 1; 0: empty; FC_SLOT_GONE: was used. */
struct fc_flow_index {
    struct fc_gone gone; /* once it is outgrown */
    uint32_t mask;
    uint32_t used;           /* slots that are not empty; owner */
    struct fc_flow **blocks; /* behind the slots */
    _Atomic uint64_t slots[];
};
#define FC_SLOT_GONE ((uint64_t)UINT32_MAX)

/* Flows that left. */
struct fc_limbo {
    struct fc_gone gone;
    struct fc_limbo *next;
    bool closed;      /* it was handed over */
    atomic_bool done; /* shared: nobody stands on them any more */
    uint32_t count;
    uint32_t flows[FC_FLOWS_A_BLOCK * 4];
};

enum { FC_WHEEL_SLOTS = 32, FC_WHEEL_PARTS = 16 /* of a timeout */ };
struct fc_wheel {
    int64_t grain_ns; /* 0: nothing ever expires by this timeout */
    int64_t done;     /* entries of smaller numbers are gone */
    struct fc_wheel_slot {
        int64_t number; /* entries are due when time passes the end of grain `number` */
        uint32_t *flows;
        size_t count, room;
    } slots[FC_WHEEL_SLOTS];
};

struct fc_partition {
    /* shared: atomic */
    _Alignas(64) atomic_bool owned;
    struct cds_wfcq_tail tail;
    _Alignas(64) struct cds_wfcq_head head; /* owner, and the first to hand over */
    _Atomic(struct fc_flow_index *) index;
    atomic_uint_fast64_t bytes; /* written by the owner */
    atomic_uint flows;          /* the same */
    /* owner */
    struct fc_table *table;
    struct fc_lanes lanes;
    struct fc_flow **blocks; /* of flows */
    size_t block_count, block_room;
    uint32_t spare; /* flow number + 1; 0: none */
    uint32_t flow_count, peak_flows;
    uint32_t latest;        /* flow of the latest plain note; a hint */
    struct fc_slabs slabs;  /* positions, rare parts */
    struct fc_limbo *limbo; /* being filled, and behind it those that wait */
    struct fc_wheel wheels[FC_TIMEOUT_ACTIVE];
    struct fc_spill flows_log, notes_log; /* of a suspended one */
    bool suspended;
    int64_t reached_ns; /* no packet before it comes any more */
};

struct fc_table {
    /* immutable after init */
    const struct fc_rules *rules;
    uint64_t timeout[FC_TIMEOUT_COUNT]; /* UINT64_MAX: never */
    uint64_t seed;
    bool extra;
    struct fc_recaller recaller; /* find NULL: nobody is asked */
    struct fc_stock stock;
    struct fc_spill_file spill;
    struct fc_reclaim reclaim;                /* its own lock */
    struct fc_partition partitions[FC_PARTS]; /* of the last one the queue alone is used */
};

static inline struct fc_flow *fc_flow_at(const struct fc_partition *p, uint32_t number)
{
    return &p->blocks[number / FC_FLOWS_A_BLOCK][number % FC_FLOWS_A_BLOCK];
}

static inline bool fc_flow_is_wide(const struct fc_flow *f)
{
    return f->key.rest & FC_SHORT_WIDE;
}

/* Has it in the cache in a while. */
static inline void fc_flow_fetch(const struct fc_partition *p, uint32_t number)
{
    const uint8_t *f = (const uint8_t *)fc_flow_at(p, number);

    __builtin_prefetch(f, 1);
    __builtin_prefetch(f + 64, 1);
}

/* index.c. The flow of a note's key, or FC_NO_FLOW. wide: the whole key, where it is not short. */
#define FC_NO_FLOW UINT32_MAX
uint32_t fc_partition_find(const struct fc_partition *p, uint32_t hash, const struct fc_short_key *key,
                           const struct fc_flow_key *wide);
/*
 * A flow of that key that is in no session yet; nobody sees it before fc_partition_show(). FC_NO_FLOW without memory.
 */
uint32_t fc_partition_new_flow(struct fc_partition *p, uint32_t hash, const struct fc_short_key *key,
                               const struct fc_flow_key *wide);
void fc_partition_show(struct fc_partition *p, uint32_t number);
/* Takes a flow, whose positions are given back, off the index. FC_E_NOMEM. */
int fc_partition_remove(struct fc_partition *p, uint32_t number);
/* Hands over what left (flow/reclaim.h). */
void fc_partition_retire(struct fc_partition *p);
/* Frees everything, once no reader stands on it any more; what was handed over is done. */
void fc_partition_clear(struct fc_partition *p);
/* The rare part of a flow, made when there is none. NULL without memory. */
struct fc_rare *fc_flow_rare(struct fc_partition *p, struct fc_flow *f);

/* wheel.c. Enters a flow by its timeout. now_ns: the place that was reached. Codes as fc_table_advance(). */
int fc_wheel_enter(struct fc_partition *p, uint32_t number, struct fc_advancer *a, int64_t now_ns);
/* Takes out what has expired at now_ns: no packet before comes any more. */
int fc_wheel_turn(struct fc_partition *p, struct fc_advancer *a, int64_t now_ns);
void fc_wheel_init(struct fc_partition *p);
void fc_wheel_fini(struct fc_partition *p);

/* apply.c. Emits a flow's session; last: no packet can continue it but one of a later capture. */
int fc_flow_emit(struct fc_partition *p, const struct fc_flow *f, bool last, struct fc_advancer *a);
/* The same, and its positions are given back. */
int fc_flow_finish(struct fc_partition *p, struct fc_flow *f, bool last, struct fc_advancer *a);
/* Gives back what positions take. */
void fc_flow_drop_positions(struct fc_partition *p, struct fc_flow *f);
/* Applies a note, in its turn; side: what it has at its side, NULL: nothing. */
int fc_partition_apply(struct fc_partition *p, const struct fc_note *note, const struct fc_place *place,
                       const struct fc_side *side, struct fc_advancer *a);
/* Applies the notes of the lane on top up to `stop`. 1: the lane is at its end. */
int fc_partition_follow(struct fc_partition *p, const struct fc_place *stop, struct fc_advancer *a);

#endif
