/* SPDX-License-Identifier: MIT */
/*
 * The first sessions in the order of a number, where a filter lets so many pass that all pages of the table are read
 * anyway: a heap of as many as are wanted, in place of SQLite's sorter.
 *
 * Threads: as sample.h.
 */
#ifndef FC_QUERY_SORTED_H
#define FC_QUERY_SORTED_H

#include <flowcarve/query.h>

/* What a sample has of the keys that sessions can be sorted by. */
enum fc_sorted_key {
    FC_SORTED_NONE,
    FC_SORTED_START,
    FC_SORTED_END,
    FC_SORTED_DURATION,
    FC_SORTED_PACKETS,
    FC_SORTED_BYTES,
    FC_SORTED_CLIENT_PACKETS,
    FC_SORTED_SERVER_PACKETS,
    FC_SORTED_CLIENT_BYTES,
    FC_SORTED_SERVER_BYTES
};

enum { FC_SORTED_MAX = 20000 }; /* sessions: beyond that it is no heap that is small */

struct fc_sorted {
    int64_t id;
    bool has_value; /* sessions without come first, or last when it is descending */
    int64_t value;
};

/*
 * Gives the first `most` (1 to FC_SORTED_MAX) sessions, equal ones by ID; *rows to be freed by the caller, and *count
 * how many they are. *done false: the pages are not to be read, and SQLite must sort. 0, or a code as
 * fc_samples_read().
 */
int fc_sorted_first(struct fc_db *db, const struct fc_filter *filter, enum fc_sorted_key key, bool descending,
                    size_t most, struct fc_sorted **rows, size_t *count, bool *done, struct fc_error *err);

#endif
