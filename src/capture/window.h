/* SPDX-License-Identifier: MIT */
/* The reader's window on its file, shared by the formats. */
#ifndef FC_CAPTURE_WINDOW_H
#define FC_CAPTURE_WINDOW_H

#include "capture/reader.h"

/*
 * Where a compressed file ends is known when a read has met the end. What a reader finds must not depend on whether it
 * knows: who asks where the end is, asks fc_reader_ends(). A reader that has just learnt it by a short read fails with
 * FC_READER_LEARNT; what was tried is to be tried again, with the size known now (fc_reader_learnt()).
 */
enum { FC_READER_LEARNT = -1000 };

/* After FC_READER_LEARNT: clears it. */
static inline bool fc_reader_learnt(struct fc_reader *reader)
{
    if (reader->failed != FC_READER_LEARNT)
        return false;
    reader->failed = 0;
    return true;
}

/* Does the file end at `off` or before? True also when it cannot be read there, with the reader marked failed. */
bool fc_reader_ends(struct fc_reader *reader, uint64_t off);

/* fc_file_read() that learns from it where the file ends; fails as fc_reader_bytes(). */
int64_t fc_reader_pread(struct fc_reader *reader, void *buf, size_t n, uint64_t off);

/* Slow path of fc_reader_bytes(). */
const uint8_t *fc_reader_refill(struct fc_reader *reader, uint64_t off, size_t need, size_t want);

/*
 * `need` bytes at `off`, which must lie inside the file; reads up to `want` bytes when they are not in the buffer. NULL
 * on failure, with the reader marked failed. Valid until the next call.
 */
static inline const uint8_t *fc_reader_bytes(struct fc_reader *reader, uint64_t off, size_t need, size_t want)
{
    if (off >= reader->buf_off && off + need <= reader->buf_off + reader->buf_len)
        return reader->buf + (off - reader->buf_off);
    return fc_reader_refill(reader, off, need, want);
}

/* Adds an interface to the section and to those met. 0, or the reader is marked failed: FC_E_NOMEM. */
int fc_reader_met(struct fc_reader *reader, const struct fc_interface *iface);

/* Marks the reader failed with code; returns it. */
int fc_reader_fail(struct fc_reader *reader, int code);

/* Marks the reader failed by damage at `off`; returns FC_E_DAMAGED. */
int fc_reader_damage(struct fc_reader *reader, uint64_t off, const char *cause);
/* The same, where the file ends before what should be there. */
int fc_reader_short(struct fc_reader *reader, uint64_t off, const char *cause);

#endif
