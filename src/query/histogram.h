/* SPDX-License-Identifier: MIT */
/* Inside of histograms: sums that somebody else has made, put into buckets here. Threads: one. */
#ifndef FC_QUERY_HISTOGRAM_H
#define FC_QUERY_HISTOGRAM_H

#include <flowcarve/histogram.h>

struct fc_histogram_making;

/*
 * Begins one. length_ns: of the buckets at first, which become longer where they do not reach; 1: to be found out.
 * `o` must live as long. On success *out must go to fc_histogram_end(). FC_E_USAGE: buckets. FC_E_NOMEM.
 */
int fc_histogram_begin(const struct fc_histogram_options *o, int64_t length_ns, struct fc_histogram_making **out,
                       struct fc_error *err);

/* Sessions of a group that start at a time. FC_E_NOMEM, without words. */
int fc_histogram_add(struct fc_histogram_making *making, int64_t key, int64_t start_ns,
                     const struct fc_histogram_sum *sum);
/* Sessions that start before options->from_ns, or without a time. */
void fc_histogram_add_earlier(struct fc_histogram_making *making, const struct fc_histogram_sum *sum);
void fc_histogram_add_timeless(struct fc_histogram_making *making, const struct fc_histogram_sum *sum);

/* Gives what has been added, and frees; out: NULL: frees alone. FC_E_NOMEM, without words. */
int fc_histogram_end(struct fc_histogram_making *making, struct fc_histogram *out);

/* The length that reaches from one start to another. */
int64_t fc_histogram_length(const struct fc_histogram_making *making, int64_t first_ns, int64_t last_ns);
void fc_histogram_set_length(struct fc_histogram_making *making, int64_t length_ns);

#endif
