/* SPDX-License-Identifier: MIT */
#include "flow/clock.h"

/* Whether most of the records ahead are earlier than u; *least: the least of those that are. */
static bool is_glitch(const struct fc_clock *c, int64_t u, const int64_t *ahead, size_t count, int64_t *least)
{
    size_t votes = 0, less = 0;

    *least = u;
    for (size_t i = 0; i < count; i++) {
        if (ahead[i] == FC_TIME_NONE)
            continue;
        int64_t v = fc_time_add(ahead[i], c->shift_ns);
        votes++;
        less += v < u;
        *least = v < *least ? v : *least;
    }
    return 2 * less > votes;
}

int64_t fc_clock_count(struct fc_clock *c, int64_t ts_ns, const int64_t *ahead, size_t count)
{
    int64_t u, least;

    if (ts_ns == FC_TIME_NONE)
        return c->counted_ns;
    u = fc_time_add(ts_ns, c->shift_ns);
    if (c->counted_ns == FC_TIME_NONE || u > c->counted_ns) {
        if (!is_glitch(c, u, ahead, count, &least)) {
            c->counted_ns = u;
            c->behind = 0;
        } else if (c->counted_ns == FC_TIME_NONE) {
            c->counted_ns = least;
        }
    } else if (u == c->counted_ns) {
        c->behind = 0;
    } else {
        int64_t back;
        if (__builtin_sub_overflow(c->counted_ns, u, &back))
            back = INT64_MAX;
        c->behind += c->behind < FC_CLOCK_BEHIND;
        if (c->behind == FC_CLOCK_BEHIND && back > FC_CLOCK_BACK_NS) {
            c->shift_ns = fc_time_add(c->shift_ns, back);
            c->behind = 0;
        }
    }
    return c->counted_ns;
}
