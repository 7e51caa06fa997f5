/* SPDX-License-Identifier: MIT */
/*
 * Counted time: the clock of a capture by which packets are put in order and gaps are measured, which no glitch can
 * spoil. docs/sessions.md, section 1, has the rules.
 *
 * Threads: one a clock.
 */
#ifndef FC_FLOW_CLOCK_H
#define FC_FLOW_CLOCK_H

#include <flowcarve/capture.h>

#include <stdbool.h>
#include <stddef.h>

enum { FC_CLOCK_AHEAD = 16, FC_CLOCK_BEHIND = 16 };
#define FC_CLOCK_BACK_NS 1000000000LL /* a clock that is behind by more was set back */

struct fc_clock {
    int64_t counted_ns; /* of the record counted last; FC_TIME_NONE: none yet */
    int64_t shift_ns;
    uint32_t behind; /* records in a row */
};

static inline void fc_clock_init(struct fc_clock *clock)
{
    *clock = (struct fc_clock){.counted_ns = FC_TIME_NONE};
}

/* a + b, at the ends of what 64 bits hold; FC_TIME_NONE is no time. */
static inline int64_t fc_time_add(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN + 1;
    return sum == INT64_MIN ? sum + 1 : sum;
}

/*
 * Counts a record; ahead: times of the records that follow, FC_CLOCK_AHEAD unless the capture ends before. Returns its
 * counted time.
 */
int64_t fc_clock_count(struct fc_clock *clock, int64_t ts_ns, const int64_t *ahead, size_t count);

/*
 * True when records of rising times, first to last, count as they are, least being the least time of those that follow
 * them.
 */
static inline bool fc_clock_is_plain(const struct fc_clock *clock, int64_t first_ns, int64_t last_ns, int64_t least_ns)
{
    return first_ns > INT64_MIN / 2 && last_ns < INT64_MAX / 2 && clock->shift_ns < INT64_MAX / 4 &&
           clock->shift_ns > INT64_MIN / 4 && clock->counted_ns <= first_ns + clock->shift_ns && last_ns <= least_ns;
}

#endif
