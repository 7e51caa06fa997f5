/* SPDX-License-Identifier: MIT */
/*
 * A capture in an archive, by its URL, read by ranges. It stays the one that it was when it was opened: of another
 * version nothing is read (FC_E_CHANGED). Small reads are answered from what was fetched before; rising ones that join
 * are fetched ahead, up to 4 MiB at a time.
 *
 * Threads: one. Memory: its first 32 KiB, and what was read last.
 */
#ifndef FC_CAPTURE_REMOTE_H
#define FC_CAPTURE_REMOTE_H

#include "capture/fetch.h"

struct fc_remote;

/* Fetches its beginning. stop, or NULL, must outlive it. Codes as fc_fetch(). fc_remote_close() frees; NULL: nothing.
 */
int fc_remote_open(const char *url, const int *stop, struct fc_remote **out, struct fc_error *err);
void fc_remote_close(struct fc_remote *remote);

uint64_t fc_remote_size(const struct fc_remote *remote);
/* Its version as a number, of the ETag or else of Last-Modified; 0: the server tells nothing of it. */
uint64_t fc_remote_version(const struct fc_remote *remote);
/* The time in Last-Modified, ns since 1970; 0: there is none. */
int64_t fc_remote_modified_ns(const struct fc_remote *remote);
/* Bytes that were fetched so far. */
uint64_t fc_remote_fetched(const struct fc_remote *remote);

/* Bytes read, less than n only at its end, or a code as fc_fetch(). */
int64_t fc_remote_read(struct fc_remote *remote, void *buf, size_t n, uint64_t off, struct fc_error *err);
/* From `off` to `end` will be read, in this order: it is fetched as few pieces. Holds until it is told anew. */
void fc_remote_expect(struct fc_remote *remote, uint64_t off, uint64_t end);
/* Why the last read has failed. */
const struct fc_error *fc_remote_why(const struct fc_remote *remote);

/* It is not read for now: gives memory back. */
void fc_remote_rest(struct fc_remote *remote);

#endif
