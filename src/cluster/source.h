/* SPDX-License-Identifier: MIT */
/*
 * What questions about a condition read in place of table `session`, whose rows are replaced by later revisions:
 *
 *   narrow  the latest revision of those keys alone of which some revision matches, or which table `host` names
 *   plain   rows as they lie, of days on which none is replaced; merged ones (FINAL) of all others; of sums alone
 *   merged  all rows, merged as they are read: right whatever there is, and slow
 *
 * Threads: as for an inquiry.
 */
#ifndef FC_CLUSTER_SOURCE_H
#define FC_CLUSTER_SOURCE_H

#include "cluster/inquiry.h"

/* Above so many sessions a condition is not narrow; of sums, that rows as they lie give faster. */
enum { FC_SOURCE_NARROW_MAX = 500000, FC_SOURCE_NARROW_SUMS_MAX = 50000 };

/* Exception of the engine: they are more. */
enum { FC_SOURCE_SET_TOO_LARGE = 191 };

/*
 * Writes the source that is narrow. places: condition on what all revisions under a key have in common; keys: on keys
 * that table `host` names; NULL: the sessions are those of which a revision matches `filter`. NULL: no memory.
 */
char *fc_source_narrow(const char *places, const char *keys, const char *filter);

/* Chooses one where none is chosen, or that which is has turned out not to be narrow. Codes as fc_inquiry_ask(). */
int fc_source_choose(struct fc_inquiry *inquiry, struct fc_where *where, struct fc_error *err);

/* The statement with the source put in; to be freed. NULL: no memory. */
char *fc_source_put_in(const char *sql, const struct fc_where *where);

/*
 * Behind sums: 0 when they hold, 1 when rows have come meanwhile that may have replaced others: then they are to be
 * asked for again, from the beginning; the last day is merged then, and the time after that all are. Codes as
 * fc_inquiry_ask().
 */
int fc_source_check(struct fc_inquiry *inquiry, struct fc_where *where, struct fc_error *err);

#endif
