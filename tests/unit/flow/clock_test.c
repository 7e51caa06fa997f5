/* SPDX-License-Identifier: MIT */
/* Counted time, rule by rule: docs/sessions.md, section 1. And that it does not matter where chunks are cut. */
#include <criterion/criterion.h>

#include "flow/clock.h"
#include "index/chunk.h"
#include "rng.h"

#include <string.h>

#define S 1000000000LL
enum { NONE_MAX = 400 };

/* Counts records as one capture. */
static struct fc_clock count(const int64_t *ts, size_t n, int64_t *counted)
{
    struct fc_clock clock;

    fc_clock_init(&clock);
    for (size_t i = 0; i < n; i++) {
        size_t ahead = n - i - 1 < FC_CLOCK_AHEAD ? n - i - 1 : FC_CLOCK_AHEAD;
        counted[i] = fc_clock_count(&clock, ts[i], ts + i + 1, ahead);
    }
    return clock;
}

/* n records a second apart from `from` on, appended. */
static size_t run_on(int64_t *ts, size_t at, int64_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ts[at + i] = from + (int64_t)i * S;
    return at + n;
}

Test(clock, times_that_rise_count_as_they_are)
{
    int64_t ts[40], c[40];
    size_t n = run_on(ts, 0, 100 * S, 40);

    struct fc_clock clock = count(ts, n, c);
    cr_assert_eq(memcmp(ts, c, sizeof ts), 0);
    cr_assert(clock.shift_ns == 0 && clock.behind == 0);
}

Test(clock, a_record_without_a_time_counts_as_the_one_in_front)
{
    static const int64_t ts[] = {FC_TIME_NONE, 5, FC_TIME_NONE, 7};
    int64_t c[4];

    count(ts, 4, c);
    cr_assert(c[0] == FC_TIME_NONE && c[1] == 5 && c[2] == 5 && c[3] == 7);
}

Test(clock, a_leap_of_one_record_is_a_glitch_and_counts_as_the_one_in_front)
{
    int64_t ts[40], c[40];
    size_t n = run_on(ts, 0, 100 * S, 20);

    ts[n++] = 1000000 * S;
    n = run_on(ts, n, 120 * S, 19);
    count(ts, n, c);
    cr_assert_eq(c[20], 119 * S);
    cr_assert_eq(c[21], 120 * S);
}

Test(clock, a_leap_that_most_records_follow_is_none)
{
    int64_t ts[40], c[40];
    size_t n = run_on(ts, 0, 100 * S, 20);

    n = run_on(ts, n, 1000000 * S, 20);
    count(ts, n, c);
    cr_assert_eq(c[20], 1000000 * S);
}

Test(clock, half_of_the_votes_make_no_glitch_and_one_more_does)
{
    int64_t ts[18], c[18];

    for (unsigned less = 8; less <= 9; less++) {
        ts[0] = 100 * S;
        ts[1] = 200 * S;
        for (unsigned i = 0; i < 16; i++)
            ts[2 + i] = i < less ? 150 * S : 201 * S;
        count(ts, 18, c);
        cr_assert_eq(c[1], less == 8 ? 200 * S : 100 * S);
    }
}

Test(clock, records_without_a_time_do_not_vote)
{
    int64_t ts[] = {100, 200, FC_TIME_NONE, FC_TIME_NONE, FC_TIME_NONE, 150}, c[6];

    count(ts, 6, c);
    cr_assert_eq(c[1], 100);
}

Test(clock, the_seventeenth_record_behind_does_not_vote)
{
    int64_t ts[19], c[19];

    ts[0] = 200;
    for (unsigned i = 1; i < 19; i++)
        ts[i] = FC_TIME_NONE;
    ts[17] = 150;
    count(ts, 19, c);
    cr_assert_eq(c[0], 200);
    ts[16] = 150;
    count(ts, 19, c);
    cr_assert_eq(c[0], 150);
}

Test(clock, a_glitch_of_the_first_record_counts_as_the_least_of_those_behind)
{
    static const int64_t ts[] = {1000000, 107, 105, 110};
    int64_t c[4];

    count(ts, 4, c);
    cr_assert(c[0] == 105 && c[1] == 107 && c[2] == 107 && c[3] == 110);
}

Test(clock, a_record_that_is_behind_counts_as_the_latest)
{
    static const int64_t ts[] = {100, 90, 101};
    int64_t c[3];

    count(ts, 3, c);
    cr_assert(c[1] == 100 && c[2] == 101);
}

Test(clock, the_last_record_of_a_capture_has_nobody_against_it)
{
    static const int64_t ts[] = {100, 1000000000};
    int64_t c[2];

    count(ts, 2, c);
    cr_assert_eq(c[1], 1000000000);
}

Test(clock, a_clock_that_was_set_back_goes_on_by_differences)
{
    int64_t ts[60], c[60];
    size_t n = run_on(ts, 0, 1000 * S, 20);

    n = run_on(ts, n, 100 * S, 40);
    struct fc_clock clock = count(ts, n, c);
    /* those eight in front of it that are outvoted count as the one before, too */
    for (size_t i = 11; i < 36; i++)
        cr_assert_eq(c[i], 1011 * S);
    cr_assert_eq(c[36], 1012 * S);
    cr_assert_eq(c[59], 1035 * S);
    cr_assert_eq(clock.shift_ns, (1011 - 115) * S);
}

/* A record at 1000 s that nobody votes against: the next 16 have no time. Then n records at `ts`. */
static size_t ahead_of(int64_t *list, int64_t ts, size_t n)
{
    list[0] = 1000 * S;
    for (size_t i = 1; i <= FC_CLOCK_AHEAD; i++)
        list[i] = FC_TIME_NONE;
    for (size_t i = 0; i < n; i++)
        list[1 + FC_CLOCK_AHEAD + i] = ts;
    return 1 + FC_CLOCK_AHEAD + n;
}

Test(clock, the_sixteenth_record_behind_in_a_row_shifts_and_the_fifteenth_does_not)
{
    int64_t ts[60], c[60];

    for (unsigned n = 15; n <= 16; n++) {
        struct fc_clock clock = count(ts, ahead_of(ts, 100 * S, n), c);
        cr_assert_eq(c[0], 1000 * S);
        cr_assert_eq(clock.shift_ns, n == 16 ? 900 * S : 0);
        cr_assert_eq(clock.behind, n == 16 ? 0 : 15);
    }
}

Test(clock, one_that_is_not_behind_ends_the_row)
{
    int64_t ts[60], c[60];
    size_t n = ahead_of(ts, 100 * S, 10);

    ts[n++] = 1000 * S; /* as the latest */
    for (unsigned i = 0; i < 15; i++)
        ts[n++] = 100 * S;
    struct fc_clock clock = count(ts, n, c);
    cr_assert(clock.shift_ns == 0 && clock.behind == 15);
}

Test(clock, a_second_behind_is_a_batch_of_another_queue_and_a_nanosecond_more_is_not)
{
    int64_t ts[60], c[60];

    for (int64_t more = 0; more < 2; more++) {
        struct fc_clock clock = count(ts, ahead_of(ts, 999 * S - more, 40), c);
        cr_assert_eq(clock.shift_ns, more ? S + 1 : 0);
    }
}

Test(clock, times_at_both_ends_of_the_range_saturate)
{
    int64_t ts[NONE_MAX], c[NONE_MAX];

    for (size_t i = 0; i < NONE_MAX; i++)
        ts[i] = i / 40 % 2 ? INT64_MIN + 1 + (int64_t)i : INT64_MAX - NONE_MAX + (int64_t)i;
    count(ts, NONE_MAX, c);
    for (size_t i = 1; i < NONE_MAX; i++)
        cr_assert_geq(c[i], c[i - 1]);
}

static int64_t draw_time(struct rng *r, int64_t *now)
{
    static const int64_t steps[] = {0, 0, 1, 5, S / 2, S, 3 * S, -1, -S, -3 * S, -100 * S, 1000 * S};

    if (rng_chance(r, 5))
        return FC_TIME_NONE;
    if (rng_chance(r, 5))
        return *now + steps[rng_below(r, 12)] * 100;
    *now += steps[rng_below(r, rng_chance(r, 80) ? 7 : 12)];
    return *now;
}

/* What a stretch tells of the records of a chunk. */
static int64_t told(const struct fc_stretch *st, int64_t ts, uint64_t off)
{
    for (size_t i = 0; i < st->odd_count; i++)
        if (st->odd[i].off == st->start + (off - st->base_off))
            return st->odd[i].ns;
    return fc_time_add(ts, st->shift_ns);
}

Test(clock, where_chunks_are_cut_does_not_matter)
{
    struct rng rng = {test_seed("clock, chunks")};
    int64_t ts[NONE_MAX], c[NONE_MAX];
    struct fc_stock stock;
    struct fc_shelf shelf;

    fc_stock_init(&stock);
    fc_shelf_init(&shelf, &stock);
    for (unsigned round = 0; round < 2000; round++) {
        struct fc_scan_file file = {.next_off = 0};
        size_t n = rng_between(&rng, 1, NONE_MAX);
        unsigned cut = (unsigned)rng_between(&rng, 1, 60);
        int64_t now = 1700000000 * S;
        for (size_t i = 0; i < n; i++)
            ts[i] = draw_time(&rng, &now);
        count(ts, n, c);
        fc_clock_init(&file.clock);
        for (size_t from = 0, end; from < n; from = end) {
            struct fc_chunk *chunk = fc_chunk_new(&file);
            for (end = from + 1; end < n && !rng_chance(&rng, cut);)
                end++;
            chunk->unit = fc_unit_new(&stock);
            cr_assert_eq(fc_unit_begin(chunk->unit, 1, 1000 + from), 0);
            chunk->stretch = 0;
            fc_chunk_begin(chunk);
            for (size_t i = from; i < end; i++)
                cr_assert_eq(fc_chunk_time(chunk, ts[i], 1000 + i), 0);
            size_t ahead = n - end < FC_CLOCK_AHEAD ? n - end : FC_CLOCK_AHEAD;
            cr_assert_eq(fc_chunk_count_times(chunk, ts + end, ahead), 0);
            for (size_t i = from; i < end; i++)
                cr_assert_eq(told(&chunk->unit->stretches[0], ts[i], 1000 + i), c[i], "round %u, record %zu", round, i);
            fc_unit_free(chunk->unit, &shelf);
            fc_chunk_free(chunk);
        }
    }
    fc_shelf_fini(&shelf);
    fc_stock_fini(&stock);
}
