/* SPDX-License-Identifier: MIT */
/* fc_top_open() within other bounds than its own, for tests of what becomes of more groups than fit. */
#ifndef FC_QUERY_TOP_H
#define FC_QUERY_TOP_H

#include <flowcarve/top.h>

/* groups_max: groups at a time; values_max: words of distinct values, of peers and of ports. */
int fc_top_open_within(struct fc_db *db, const struct fc_filter *filter, const struct fc_top_options *options,
                       size_t groups_max, size_t values_max, struct fc_top **out, struct fc_error *err);

#endif
