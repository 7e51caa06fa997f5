/* SPDX-License-Identifier: MIT */
/*
 * Compressed captures on their way to the readers. Threads of the feeder decompress them, each file once and in order,
 * the files in the order of the plan; readers take the bytes from a window that reaches from the first chunk not yet
 * committed to as far as the budget goes. Seek points and damage are collected by the way.
 *
 * Threads: as said below. The window's blocks are written by the file's feeding thread before they are shown, and read
 * until they are released; all else is guarded by the feeder's lock, which is taken inside the pipeline's, never the
 * other way round. Memory: the budget, two chunks, and what a reader waits for: a record, or a chain of headers.
 */
#ifndef FC_INDEX_FEED_H
#define FC_INDEX_FEED_H

#include "index/plan.h"
#include "store/blob.h"

struct fc_feeder;
struct fc_feed; /* one a compressed file; the file's source */

/*
 * Told, without a lock, when a chunk's worth has come, when a file has ended, and with a code and why when all is lost.
 */
typedef void fc_feed_tell(void *ctx, int code, const struct fc_error *why);

/*
 * A feeder for the compressed files of the plan, whose sources it becomes; NULL in *out when there is none. folder: of
 * the temporary file for seek points. FC_E_NOMEM, FC_E_IO.
 */
int fc_feeder_new(struct fc_plan *plan, const char *folder, uint64_t budget_bytes, uint64_t chunk_bytes,
                  struct fc_feeder **out, struct fc_error *err);
void fc_feeder_free(struct fc_feeder *feeder);

/* Starts up to `threads` threads; FC_E_NOMEM when none could be. NULL is allowed in both. */
int fc_feeder_start(struct fc_feeder *feeder, unsigned threads, fc_feed_tell *tell, void *ctx);
/* Ends the threads, whether they are done or not: readers that wait get FC_E_INTERRUPTED. */
void fc_feeder_stop(struct fc_feeder *feeder);

/* The feed of a planned file, NULL: it is not compressed. */
struct fc_feed *fc_feed_of(const struct fc_plan_file *file);

/* 1: the stream has `off` bytes or more; 0: it ends before; -1: not known yet. Any thread; so the following. */
int fc_feed_has(struct fc_feed *feed, uint64_t off);
/* Bytes of the file that have been decompressed. */
uint64_t fc_feed_progress(struct fc_feed *feed);
/* Nobody reads what lies before `off` any more, but for the block of the search behind damage that it is in. */
void fc_feed_release(struct fc_feed *feed, uint64_t off);
/* Nobody reads any of it any more. */
void fc_feed_finish(struct fc_feed *feed);

/* Of a stream that has ended: its size, its seek points by number, the damage in it. */
uint64_t fc_feed_size(struct fc_feed *feed);
/* Its fingerprint, and what of that is known before `off` (fc_print_mark()). */
uint64_t fc_feed_fingerprint(const struct fc_feed *feed);
uint64_t fc_feed_mark(const struct fc_feed *feed, uint64_t off);
/* Why it has ended early though nothing of it is damaged: NULL, or where the file ends. */
const char *fc_feed_cut(const struct fc_feed *feed);
size_t fc_feed_points(const struct fc_feed *feed);
int fc_feed_point(struct fc_feed *feed, size_t i, struct fc_seek_point *point, struct fc_buffer *state,
                  struct fc_error *err);
const struct fc_damage *fc_feed_damage(const struct fc_feed *feed, size_t *count);

#endif
