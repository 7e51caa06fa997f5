/* SPDX-License-Identifier: MIT */
/*
 * Notes of one partition in the order of all packets: several lanes, each in order, merged.
 *
 *   lane   the notes of one part of a unit; what comes of several captures in it comes in order
 *   next   the lane whose note comes first
 *   stow   notes of many lanes, merged, that lie in a file; a lane of their own brings them back, some at a time
 *
 * Where captures follow one another there is one lane at a time to look at, and it is followed as far as the next one's
 * first note.
 *
 * Threads: one, the partition's owner. Memory: 100 bytes a lane.
 */
#ifndef FC_FLOW_LANE_H
#define FC_FLOW_LANE_H

#include "flow/clock.h"
#include "flow/note.h"

struct fc_stow; /* notes that were put away, in order: see fc_table_stow() */

struct fc_lane {
    struct fc_place head; /* of the note at hand */
    struct fc_unit *unit;
    struct fc_block *block;
    uint32_t at; /* note in the block */
    const struct fc_stretch *stretch;
    size_t odd; /* in the stretch */
    uint32_t part;
    struct fc_stow *stow; /* where more of its notes come from when the unit has no more; NULL: nothing does */
};

struct fc_lanes {
    struct fc_lane *heap; /* the one that comes first on top */
    size_t count, room;
};

/* Adds the notes of a stow, the first of which are in the unit; both change hands, also on failure. FC_E_NOMEM. */
int fc_lanes_add_stow(struct fc_lanes *lanes, struct fc_stow *stow, struct fc_unit *unit, unsigned part,
                      struct fc_shelf *shelf);
/* Adds a part of a unit; one without notes is passed over at once. FC_E_NOMEM. */
int fc_lanes_add(struct fc_lanes *lanes, struct fc_unit *unit, unsigned part, struct fc_shelf *shelf);
/* Frees what is left. */
void fc_lanes_fini(struct fc_lanes *lanes, struct fc_shelf *shelf);

/* The place where the lane on top has to stop: before `limit`, and before the note of any other lane. */
static inline struct fc_place fc_lanes_stop(const struct fc_lanes *lanes, const struct fc_place *limit)
{
    struct fc_place stop = *limit;

    for (size_t i = 1; i < 3 && i < lanes->count; i++)
        if (fc_place_before(&lanes->heap[i].head, &stop))
            stop = lanes->heap[i].head;
    return stop;
}

static inline const struct fc_note *fc_lane_note(const struct fc_lane *lane)
{
    return &lane->block->notes[lane->at];
}

/* One of the notes behind the one at hand, to be fetched; NULL: it is too far, or there is none. */
static inline const struct fc_note *fc_lane_ahead(const struct fc_lane *lane, uint32_t by)
{
    const struct fc_block *b = lane->block;
    uint32_t i = lane->at + by;

    if (i < b->count)
        return &b->notes[i];
    i -= b->count;
    b = b->next;
    return b && i < b->count ? &b->notes[i] : NULL;
}

/* Where the place of the note at hand is not plain: its stretch is over, its time odd, or it is placed. */
void fc_lane_find_place(struct fc_lane *lane, const struct fc_note *note);

static inline void fc_lane_set_place(struct fc_lane *lane)
{
    const struct fc_note *n = fc_lane_note(lane);
    const struct fc_stretch *st = lane->stretch;

    if (__builtin_expect(n->off >= st->end || st->odd_count || fc_note_bits(n) & FC_NOTE_PLACED, 0)) {
        fc_lane_find_place(lane, n);
        return;
    }
    lane->head.ns = fc_time_add(n->ts_ns, st->shift_ns);
    lane->head.file = st->file;
    lane->head.off = st->base_off + (n->off - st->start);
    lane->head.sub = 0;
}

/* Begins anew with the notes that its unit has now. */
void fc_lane_rewind(struct fc_lane *lane);

/*
 * To the next note of the lane. False: there is none, and fc_lanes_drop() must follow. Blocks passed over are given
 * back.
 */
static inline bool fc_lane_step(struct fc_lane *lane, struct fc_shelf *shelf)
{
    if (++lane->at == lane->block->count) {
        struct fc_block *next = lane->block->next;
        if (!next)
            return false;
        lane->unit->parts[lane->part].first = next;
        fc_shelf_give(shelf, lane->block);
        lane->block = next;
        lane->at = 0;
    }
    fc_lane_set_place(lane);
    return true;
}

/* The lane on top has moved on; or it is at its end and goes. */
void fc_lanes_sift(struct fc_lanes *lanes);
void fc_lanes_drop(struct fc_lanes *lanes, struct fc_shelf *shelf);

#endif
