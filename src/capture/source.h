/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a compressed capture come from, for the reader: whoever can give the bytes at an offset of the
 * stream. Plain files have none, and are read with pread().
 *
 * fc_source_open() gives one that decodes on demand, from the nearest seek point that it is told of, and keeps the last
 * 3 MiB: more than a reader goes back by when it looks around behind damage. Near offsets, and rising ones, are cheap.
 * Threads: one.
 */
#ifndef FC_CAPTURE_SOURCE_H
#define FC_CAPTURE_SOURCE_H

#include "capture/stream.h"

/* Size of a stream whose end nobody has seen yet: no offset lies behind it. */
#define FC_SIZE_UNKNOWN ((uint64_t)INT64_MAX)

struct fc_source {
    /* Bytes at off: n of them, less only at the end of the stream; or a negative code with err filled. */
    int64_t (*read)(struct fc_source *source, void *buf, size_t n, uint64_t off, struct fc_error *err);
    /* Bytes of the whole stream; FC_SIZE_UNKNOWN before a read has met the end. */
    uint64_t (*size)(struct fc_source *source);
    void (*close)(struct fc_source *source);
    uint64_t bytes_read, bytes_decoded; /* so far, from the file and out of it */
    const struct fc_error *why;         /* what ended the stream early; NULL: nothing, or the end is not known */
    const int *stop;                    /* may be NULL; once it is not 0, nothing more is decoded: FC_E_INTERRUPTED */
    bool broken;                        /* that was damage, not the end of the file: nothing can follow */
};

/* Bytes that a source keeps: what is nearer behind costs no decoding. */
enum { FC_SOURCE_KEEPS = 3 << 20 };

/* path stays the caller's, and must live as long; size: as in fc_stream_init(). FC_E_NOMEM. */
int fc_source_open(struct fc_bytes from, const char *path, uint64_t size, enum fc_compression compression,
                   struct fc_source **out);

/*
 * Tells a source of fc_source_open() where seek points come from: find(ctx, off) gives the last one at or before `off`
 * (1), or that there is none (0), or a negative code with err filled; what it points to is valid until the next call.
 * next: the point behind that one, or, where there is none, the start; or all 0: none either. Its state is not of use.
 */
typedef int fc_seek_find(void *ctx, uint64_t off, struct fc_seek_point *point, struct fc_seek_point *next,
                         struct fc_error *err);
void fc_source_set_points(struct fc_source *source, fc_seek_find *find, void *ctx);

#endif
