/* SPDX-License-Identifier: MIT */
/*
 * Sessions between the flow table and the database: an external merge sort by the order of their IDs.
 *
 * A spool collects records in memory; when they exceed its budget it sorts them and writes them as one segment to an
 * unnamed file in the given folder. fc_merge walks any number of spools in order. fc_spool_extract() takes records of
 * chosen flows out again, so that the pieces of a flow that was evicted too early can be joined.
 *
 * Threads: a spool belongs to one thread at a time. Memory: budget plus one record, and a window a segment when
 * merging.
 */
#ifndef FC_STORE_SPOOL_H
#define FC_STORE_SPOOL_H

#include "store/record.h"

#include <stdbool.h>

struct fc_spool;

/* folder: where the file goes, needed only if the budget is exceeded; kept by pointer. NULL without memory. */
struct fc_spool *fc_spool_new(const char *folder, size_t budget_bytes);
/*
 * One whose records come in the order of the ranks of their keys, then in that of IDs. rank: the same for all spools of
 * a merge.
 */
struct fc_spool *fc_spool_new_ranked(const char *folder, size_t budget_bytes,
                                     uint64_t (*rank)(const void *ctx, const struct fc_flow_key *key), const void *ctx);
void fc_spool_free(struct fc_spool *spool);

/* Adds a copy of the record and its blob. FC_E_NOMEM, FC_E_IO. */
int fc_spool_add(struct fc_spool *spool, const struct fc_session_record *record, struct fc_error *err);

uint64_t fc_spool_count(const struct fc_spool *spool);

/*
 * Walks all records in no order; `take` says 1 to take the record out of the spool, 0 to leave it, or a negative code.
 * The record is valid during the call. `want`, unless it is NULL, passes over records by their keys, which is faster.
 */
int fc_spool_extract(struct fc_spool *spool, bool (*want)(void *ctx, const struct fc_flow_key *key),
                     int (*take)(void *ctx, const struct fc_session_record *record), void *ctx, struct fc_error *err);

/* Sorts what is in memory now, so that fc_merge_open() need not. FC_E_NOMEM. */
int fc_spool_sort(struct fc_spool *spool, struct fc_error *err);

struct fc_merge;
/* count >= 1. No records may be added to the spools while the merge lives. Memory: as the spools themselves; where they
 * have written
 * very many segments, 16 KiB of each. FC_E_NOMEM, FC_E_IO. */
int fc_merge_open(struct fc_spool *const *spools, size_t count, struct fc_merge **out, struct fc_error *err);
/* 1: *record points to the next one, the caller's to change until the next call; 0: end; negative: FC_E_IO. */
int fc_merge_next(struct fc_merge *merge, struct fc_session_record **record, struct fc_error *err);
void fc_merge_close(struct fc_merge *merge);

#endif
