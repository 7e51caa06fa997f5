/* SPDX-License-Identifier: MIT */
/* Inside of sums by group. */
#ifndef FC_QUERY_TOP_H
#define FC_QUERY_TOP_H

#include <flowcarve/top.h>

/* fc_top_open() within other bounds than its own, for tests of what becomes of more groups than fit. */
/* groups_max: groups at a time; values_max: words of distinct values, of peers and of ports. */
int fc_top_open_within(struct fc_db *db, const struct fc_filter *filter, const struct fc_top_options *options,
                       size_t groups_max, size_t values_max, struct fc_top **out, struct fc_error *err);

/*
 * Groups that somebody else has added up, put in order here: begun, all of them added, and then ended, when *top is
 * as fc_top_open() gives it. `by` and all that belongs to a row is the caller's to get right; texts are copied.
 * FC_E_USAGE: unknown sort key. FC_E_NOMEM.
 */
int fc_top_begin(const struct fc_top_options *options, struct fc_top **out, struct fc_error *err);
int fc_top_add(struct fc_top *top, const struct fc_top_row *row);
/* groups: that there are, of which those behind the limit need not have been added. */
void fc_top_end(struct fc_top *top, uint64_t groups);

enum fc_top_sort {
    FC_TOP_SORT_KEY,
    FC_TOP_SORT_SESSIONS,
    FC_TOP_SORT_PEERS,
    FC_TOP_SORT_PORTS,
    FC_TOP_SORT_PACKETS,
    FC_TOP_SORT_BYTES,
    FC_TOP_SORT_SENT,
    FC_TOP_SORT_RECEIVED,
    FC_TOP_SORT_FIRST,
    FC_TOP_SORT_LAST,
    FC_TOP_SORT_INTERVAL,
    FC_TOP_SORTS
};
enum fc_top_sort fc_top_sorted(const struct fc_top *top, bool *descending);
/* FC_TOP_PEERS... that are asked for, or sorted by. */
uint32_t fc_top_figures(const struct fc_top *top, const struct fc_top_options *options);

/* Chooses the length of buckets for sessions that start between two times. FC_E_LIMIT. */
int fc_top_choose_bucket(struct fc_top *top, int64_t first_ns, int64_t last_ns, int64_t asked_ns, struct fc_error *err);

#endif
