/* SPDX-License-Identifier: MIT */
/*
 * Notes: what the flow table wants to know of each packet, on its way from a reader to the partition that has the
 * packet's flow.
 *
 *   unit      what is handed over at once: a chunk of a capture, or some small captures one behind the other
 *   part      a unit's notes for one partition, in the order of the records, in blocks
 *   stretch   what comes of one capture: where its offsets begin, and how its clock counts
 *   side      what few packets have, in the unit's arena: a key that is not short, optional fields, names of
 *             datagrams...
 *
 * A reader fills a unit that nobody else sees; fc_table_hand_over() makes it visible to all partitions, and it is freed
 * when the last of them has passed over it.
 *
 * Threads: a unit belongs to one until it is handed over, then its parts to their partitions' owners, and the rest is
 * read only. Memory: blocks come from a stock shared by all threads, through a shelf of each thread's own.
 */
#ifndef FC_FLOW_NOTE_H
#define FC_FLOW_NOTE_H

#include "base/vector.h"
#include "flow/clock.h"
#include "flow/extra.h"
#include "flow/key.h"
#include "flow/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <urcu/wfcqueue.h>

enum {
    FC_PARTITION_BITS = 5,
    FC_PARTITIONS = 1 << FC_PARTITION_BITS,
    FC_FRAGMENT_PART = FC_PARTITIONS, /* notes of fragments, for flow/fragment.h */
    FC_PARTS = FC_PARTITIONS + 1
};

enum {
    FC_NOTE_DIR = 1,     /* of the packet */
    FC_NOTE_TCP = 2,     /* flags, seq and ack are there */
    FC_NOTE_FRAG = 4,    /* a fragment */
    FC_NOTE_LATER = 8,   /* not the first one */
    FC_NOTE_PLACED = 16, /* its side says where it comes in the order, and which record it is */
    FC_NOTE_OLD = 32,    /* the index holds this packet already */
    FC_NOTE_PRIOR = 64   /* not a packet but a session of the index; its side has it */
};

struct fc_note {
    uint32_t hash; /* low half: what buckets go by */
    uint32_t off;  /* of the record, in the unit's space of offsets; see struct fc_stretch */
    int64_t ts_ns; /* as captured */
    uint32_t origlen;
    uint32_t seq, ack;
    uint32_t side;           /* 8-byte words into the unit's arena, plus 1; 0: none */
    struct fc_short_key key; /* bits 48-55 of rest: TCP flags; 56-63: FC_NOTE_* */
};
_Static_assert(sizeof(struct fc_note) == 48, "most of what indexing moves through memory");

static inline uint8_t fc_note_flags(const struct fc_note *n)
{
    return (uint8_t)(n->key.rest >> 48);
}

static inline uint8_t fc_note_bits(const struct fc_note *n)
{
    return (uint8_t)(n->key.rest >> 56);
}

/*
 * A place in the order of all packets: counted time, file, offset; sub: behind the packet that is there, in this order.
 */
struct fc_place {
    int64_t ns;
    uint64_t off;
    uint32_t file, sub;
};

static inline bool fc_place_before(const struct fc_place *a, const struct fc_place *b)
{
    if (a->ns != b->ns)
        return a->ns < b->ns;
    if (a->file != b->file)
        return a->file < b->file;
    return a->off != b->off ? a->off < b->off : a->sub < b->sub;
}

#define FC_PLACE_END ((struct fc_place){INT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX})

/* Of a note that is placed. */
struct fc_placed {
    struct fc_place place;
    uint64_t off; /* of the record, in its file */
    uint32_t file;
    uint32_t late; /* 1: a fragment that was given up, see docs/sessions.md */
};

/* A session of the index. */
struct fc_prior {
    struct fc_session_sum session;
    int64_t id;
};

/* What a note has at its side; in the arena: a word of bits and sizes, then those that there are, in this order. */
struct fc_side {
    const struct fc_flow_key *key;
    const struct fc_placed *placed;
    const struct fc_prior *prior;
    const struct fc_flow_key *names; /* of datagrams, as struct fc_packet has them */
    uint32_t name_count;
    uint32_t extra_size; /* bytes of `extra` that are there: fc_extra_size() */
    const struct fc_extra *extra;
};

enum { FC_BLOCK_NOTES = 85 };
struct fc_block {
    struct fc_block *next;
    uint32_t count;
    struct fc_note notes[FC_BLOCK_NOTES];
};

/* Blocks that nobody uses. */
struct fc_stock {
    pthread_mutex_t lock;
    struct fc_block *spare; /* under the lock */
    void **slabs;
    size_t slab_count, slab_room;
    atomic_uint_fast64_t bytes; /* shared: of blocks in use, those on shelves too, and of sides */
};

/* One thread's own. */
struct fc_shelf {
    struct fc_stock *stock;
    struct fc_block *blocks;
    unsigned count;
};

void fc_stock_init(struct fc_stock *stock);
/* All units are free. */
void fc_stock_fini(struct fc_stock *stock);
static inline uint64_t fc_stock_bytes(struct fc_stock *stock)
{
    return atomic_load_explicit(&stock->bytes, memory_order_relaxed);
}
void fc_shelf_init(struct fc_shelf *shelf, struct fc_stock *stock);
/* Gives its blocks back. */
void fc_shelf_fini(struct fc_shelf *shelf);
void fc_shelf_give(struct fc_shelf *shelf, struct fc_block *block);

/* A record whose counted time is not its own plus the stretch's shift. */
struct fc_odd_time {
    uint32_t off; /* as in notes */
    int64_t ns;
};

struct fc_stretch {
    uint32_t file;
    uint32_t start, end;     /* offsets of notes */
    uint64_t base_off;       /* of the file, at `start` */
    int64_t shift_ns;        /* clock, section 1 of docs/sessions.md; what it does not hold for is in `odd` */
    struct fc_odd_time *odd; /* ascending by off */
    size_t odd_count;
};

struct fc_part {
    struct cds_wfcq_node node; /* in the partition's queue */
    struct fc_block *first, *last;
};

struct fc_chunk;
struct fc_unit {
    uint32_t chunks;          /* for who fills it: of captures that are still to be counted, */
    struct fc_chunk *counted; /* and those that are */
    atomic_uint left;         /* shared: parts that somebody has still to pass over */
    struct fc_stock *stock;
    struct fc_stretch *stretches;
    size_t stretch_count, stretch_room;
    uint64_t *side; /* arena */
    size_t side_words, side_room;
    struct fc_part parts[FC_PARTS];
};

/* NULL without memory. */
struct fc_unit *fc_unit_new(struct fc_stock *stock);
/* Frees all of it. */
void fc_unit_free(struct fc_unit *unit, struct fc_shelf *shelf);
/* Forgets the notes, to be filled again. */
void fc_unit_clear(struct fc_unit *unit, struct fc_shelf *shelf);
/* A part was passed over, its blocks are given back. The last one frees the unit. */
void fc_unit_pass(struct fc_unit *unit, struct fc_shelf *shelf);
/* The same, with the blocks that are left of the part. */
void fc_unit_drop(struct fc_unit *unit, unsigned part, struct fc_shelf *shelf);

/*
 * Begins a stretch at base_off of a file; its notes have offsets from it on. FC_E_NOMEM; FC_E_LIMIT: the unit's space
 * is used up.
 */
int fc_unit_begin(struct fc_unit *unit, uint32_t file, uint64_t base_off);

/*
 * Adds a packet of the latest stretch. off: of its record in the file. seed: the table's. extra: optional fields are
 * kept. FC_E_NOMEM.
 */
int fc_unit_add(struct fc_unit *unit, struct fc_shelf *shelf, const struct fc_packet *packet, uint64_t off,
                int64_t ts_ns, uint32_t origlen, uint64_t seed, bool extra);

/*
 * Adds a note whose key is this one; bits: FC_NOTE_*, flags: of TCP. side: its key is filled in where needed.
 * FC_E_NOMEM.
 */
int fc_unit_put(struct fc_unit *unit, struct fc_shelf *shelf, struct fc_note *note, const struct fc_flow_key *key,
                uint8_t bits, uint8_t flags, struct fc_side *side, uint64_t seed);

/* Adds a note to a part as it is, with more bits and this at its side. FC_E_NOMEM. */
int fc_unit_append(struct fc_unit *unit, struct fc_shelf *shelf, unsigned part, const struct fc_note *note,
                   uint8_t bits, const struct fc_side *side);

/* An empty slot at the end of a part, filled by the caller. NULL without memory. */
static inline struct fc_note *fc_part_slot(struct fc_part *part, struct fc_shelf *shelf);

/* Reads what a note has at its side; *side is all zero when there is nothing. */
void fc_side_read(const struct fc_unit *unit, const struct fc_note *note, struct fc_side *side);

struct fc_block *fc_shelf_take(struct fc_shelf *shelf);

static inline struct fc_note *fc_part_slot(struct fc_part *part, struct fc_shelf *shelf)
{
    struct fc_block *b = part->last;

    if (!b || b->count == FC_BLOCK_NOTES) {
        if (!(b = fc_shelf_take(shelf)))
            return NULL;
        if (part->last)
            part->last->next = b;
        else
            part->first = b;
        part->last = b;
    }
    struct fc_note *slot = &b->notes[b->count++];
    /* this part's next note comes when all other parts have had some */
    __builtin_prefetch((uint8_t *)slot + 2 * sizeof *slot, 1);
    return slot;
}

#endif
