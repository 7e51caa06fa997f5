/* SPDX-License-Identifier: MIT */
#include "flow/lane.h"
#include "base/heap.h"
#include "flow/stow.h"

#include <stdlib.h>

/* By offset; those before `from` are passed. */
static size_t find_odd(const struct fc_stretch *st, size_t from, uint32_t off)
{
    size_t step = 1, high = from;

    /* notes come in order, so what is looked for is near */
    while (high < st->odd_count && st->odd[high].off < off) {
        from = high + 1;
        high += step;
        step *= 2;
    }
    high = high < st->odd_count ? high : st->odd_count;
    while (from < high) {
        size_t middle = from + (high - from) / 2;
        if (st->odd[middle].off < off)
            from = middle + 1;
        else
            high = middle;
    }
    return from;
}

void fc_lane_find_place(struct fc_lane *lane, const struct fc_note *n)
{
    const struct fc_stretch *st = lane->stretch;
    struct fc_side side;

    if (fc_note_bits(n) & FC_NOTE_PLACED) {
        fc_side_read(lane->unit, n, &side);
        lane->head = side.placed->place;
        return;
    }
    while (n->off >= st->end) {
        st = ++lane->stretch;
        lane->odd = 0;
    }
    lane->odd = find_odd(st, lane->odd, n->off);
    lane->head.ns = lane->odd < st->odd_count && st->odd[lane->odd].off == n->off ? st->odd[lane->odd].ns
                                                                                  : fc_time_add(n->ts_ns, st->shift_ns);
    lane->head.file = st->file;
    lane->head.off = st->base_off + (n->off - st->start);
    lane->head.sub = 0;
}

static inline bool is_before(const struct fc_lane *a, const struct fc_lane *b, const struct fc_lanes *lanes)
{
    (void)lanes;
    return fc_place_before(&a->head, &b->head);
}
FC_HEAP(lanes, struct fc_lane, const struct fc_lanes *, is_before)

void fc_lanes_sift(struct fc_lanes *l)
{
    lanes_sink(l->heap, l->count, 0, l);
}

void fc_lane_rewind(struct fc_lane *lane)
{
    lane->block = lane->unit->parts[lane->part].first;
    lane->at = 0;
    lane->stretch = lane->unit->stretches;
    lane->odd = 0;
    fc_lane_set_place(lane);
}

int fc_lanes_add_stow(struct fc_lanes *l, struct fc_stow *stow, struct fc_unit *unit, unsigned part,
                      struct fc_shelf *shelf)
{
    int rc = fc_vector_reserve(&l->heap, &l->room, l->count + 1, sizeof *l->heap);

    if (rc == 0)
        rc = fc_lanes_add(l, unit, part, shelf);
    else
        fc_unit_free(unit, shelf);
    if (rc) {
        fc_stow_free(stow);
        return rc;
    }
    for (size_t i = 0; i < l->count; i++)
        if (l->heap[i].unit == unit)
            l->heap[i].stow = stow;
    return 0;
}

int fc_lanes_add(struct fc_lanes *l, struct fc_unit *unit, unsigned part, struct fc_shelf *shelf)
{
    if (!unit->parts[part].first) {
        fc_unit_pass(unit, shelf);
        return 0;
    }
    if (fc_vector_reserve(&l->heap, &l->room, l->count + 1, sizeof *l->heap))
        return FC_E_NOMEM;
    struct fc_lane *lane = &l->heap[l->count++];
    *lane = (struct fc_lane){.unit = unit, .part = part};
    fc_lane_rewind(lane);
    lanes_rise(l->heap, l->count - 1, l);
    return 0;
}

/* What is left of its notes goes. */
static void end(struct fc_lane *lane, struct fc_shelf *shelf)
{
    fc_unit_drop(lane->unit, lane->part, shelf);
    if (lane->stow)
        fc_stow_free(lane->stow);
}

void fc_lanes_drop(struct fc_lanes *l, struct fc_shelf *shelf)
{
    end(&l->heap[0], shelf);
    l->heap[0] = l->heap[--l->count];
    if (l->count)
        fc_lanes_sift(l);
}

void fc_lanes_fini(struct fc_lanes *l, struct fc_shelf *shelf)
{
    for (size_t i = 0; i < l->count; i++)
        end(&l->heap[i], shelf);
    free(l->heap);
    *l = (struct fc_lanes){0};
}
