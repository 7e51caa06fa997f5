/* SPDX-License-Identifier: MIT */
/*
 * Sessions over time, in buckets of equal length, stacked by protocol or state. Everything comes out of the index; no
 * capture is opened.
 *
 * A session counts as a whole in the bucket in which it starts. Lengths of buckets are 1, 2, 10, 20, 100... ns to
 * seconds, 10 s, 30 s, 1, 2, 10, 30 minutes, 1, 2, 6, 12 hours, 1, 2, 10, 20... days: the least that does with as many
 * buckets as are allowed. They count from 1970.
 *
 * Threads: one at a time per handle of the index. Memory: 24 bytes a bucket and group.
 */
#ifndef FLOWCARVE_HISTOGRAM_H
#define FLOWCARVE_HISTOGRAM_H

#include <flowcarve/query.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fc_histogram_by { FC_HISTOGRAM_ALL, FC_HISTOGRAM_PROTOCOL, FC_HISTOGRAM_STATE };

enum { FC_HISTOGRAM_BUCKETS_MAX = 2000, FC_HISTOGRAM_BUCKETS = 200, FC_HISTOGRAM_GROUPS = 15 };

/* All of it 0: the default. */
struct fc_histogram_options {
    enum fc_histogram_by by;
    unsigned buckets; /* at the most: 2 to FC_HISTOGRAM_BUCKETS_MAX; 0: FC_HISTOGRAM_BUCKETS */
    bool has_from;
    int64_t from_ns; /* sessions that start before this are `earlier` */
    /*
     * Of all sessions, not stacked and with no `from`: take the sums that the index has for each 4096 sessions, which
     * is a thousand times faster, spread over the time from the first of these to the next 4096.
     */
    bool sums;
};

struct fc_histogram_sum {
    uint64_t sessions, packets, bytes; /* bytes on the wire */
};

struct fc_histogram_group {
    int64_t key; /* FC_PROTO_* space; enum fc_state, -1: unknown; -2: all others, which comes last */
    struct fc_histogram_sum total;
    struct fc_histogram_sum *bucket; /* as many as there are buckets */
};

struct fc_histogram {
    int64_t bucket_ns, start_ns; /* length of a bucket; beginning of the first, ns since 1970 */
    size_t count;                /* buckets; 0: no session has a time */
    /* the largest by bytes first, FC_HISTOGRAM_GROUPS and one of the others at the most; with `all` one of key 0 */
    struct fc_histogram_group *group;
    size_t groups;
    struct fc_histogram_sum earlier, timeless; /* sessions without a time */
    bool exact;                                /* false: from the sums */
    /* exact: all of it, `earlier` and `timeless` too; the first and the last time of a session, as a whole */
    struct fc_histogram_sum total;
    bool has_time;
    int64_t first_ns, last_ns;
};

/*
 * Adds up the sessions that match `filter` (NULL: all). options: NULL: all of it 0. On success fc_histogram_fini()
 * frees. FC_E_USAGE: buckets. FC_E_LIMIT, FC_E_FILTER, FC_E_IO, FC_E_DB, FC_E_NOMEM, FC_E_INTERRUPTED: as
 * fc_query_open().
 */
int fc_histogram_make(struct fc_db *db, const struct fc_filter *filter, const struct fc_histogram_options *options,
                      struct fc_histogram *out, struct fc_error *err);
void fc_histogram_fini(struct fc_histogram *histogram);

#ifdef __cplusplus
}
#endif
#endif
