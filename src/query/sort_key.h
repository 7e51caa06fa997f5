/* SPDX-License-Identifier: MIT */
/* What sessions can be sorted by: a name, and what SQL it is, of an index or of an engine. Threads: any. */
#ifndef FC_QUERY_SORT_KEY_H
#define FC_QUERY_SORT_KEY_H

#include "query/sorted.h"

struct fc_sort_key {
    const char *name;
    const char *sql[2]; /* the second, which may be NULL, is for what is equal by the first */
    uint32_t field;     /* FC_FIELD_* that there must be, or 0 */
    enum fc_sorted_key sorted;
};

/*
 * The key that `sort`, KEY[:asc|:desc], means among `count` ones, where these fields are there. FC_E_USAGE: none; err
 * names them.
 */
int fc_sort_key_find(const struct fc_sort_key *keys, size_t count, const char *sort, uint32_t fields,
                     const struct fc_sort_key **key, bool *descending, struct fc_error *err);

#endif
