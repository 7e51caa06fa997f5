/* SPDX-License-Identifier: MIT */
/*
 * Walks the records of a part of a file. Several readers may walk one file at the same time.
 *
 * A reader is given a start that must be a record boundary, and the pcapng state that holds there (byte order and
 * interfaces of the section). It stops at the first record that starts at or behind its limit, so that the parts
 * [a, b) and [b, c) together give every record once. fc_reader_guess() finds a likely boundary for a part that starts
 * in the middle of a file; whoever uses it must compare it with where the part before really ends.
 *
 * Threads: a reader belongs to one thread. Memory: record data is valid until the next call.
 */
#ifndef FC_CAPTURE_READER_H
#define FC_CAPTURE_READER_H

#include "capture/file.h"

/* pcapng: what must be known to read on at some block. */
struct fc_section {
    uint64_t off;    /* of the section header block */
    uint32_t number; /* from 0; UINT32_MAX before the first section header */
    bool big_endian;
    uint32_t count; /* interfaces so far */
    uint32_t room;
    struct fc_interface *ifaces;
};

/* Copies; FC_E_NOMEM leaves dst empty. */
int fc_section_copy(struct fc_section *dst, const struct fc_section *src);
void fc_section_free(struct fc_section *section);
/* Same section and same interfaces. */
bool fc_section_equal(const struct fc_section *a, const struct fc_section *b);

struct fc_reader {
    const struct fc_file *file;
    uint64_t size; /* bytes; of a compressed file FC_SIZE_UNKNOWN until its end was met */
    uint8_t *buf;
    size_t buf_size;
    uint64_t buf_off; /* file offset of buf[0] */
    size_t buf_len;   /* bytes in buf */
    uint64_t pos;     /* file offset of the next record */
    uint64_t limit;   /* stop at records that start here or later */
    int failed;       /* 0, or the code that every later call repeats */
    struct fc_error why;
    uint64_t damage_off; /* FC_E_DAMAGED: first byte that could not be understood */
    /* pcapng: the current section, and every interface met by this reader in file order */
    struct fc_section section;
    struct fc_interface *met;
    size_t met_count, met_room;
};

enum { FC_READER_BUFFER = 128 << 10 };

/* Allocates the buffer. FC_E_NOMEM. */
int fc_reader_init(struct fc_reader *reader, size_t buf_size);
void fc_reader_fini(struct fc_reader *reader);

/*
 * Starts at the record boundary `start` (0 or data_off: the first record). `section` is copied; NULL: none yet, as at
 * the start of a file. FC_E_NOMEM.
 */
int fc_reader_start(struct fc_reader *reader, const struct fc_file *file, uint64_t start, uint64_t limit,
                    const struct fc_section *section);

/* 1: *rec filled; 0: limit or clean end, pos is the offset of the next record; or a negative code (see why). */
int fc_reader_next(struct fc_reader *reader, struct fc_record *rec);

/*
 * Reads the one record at `off`; needs fc_reader_start() on the file before (for pcapng with the section that holds at
 * `off`). Positions may come in any order; near ones are served from the buffer, `ahead` bytes at a time.
 */
int fc_reader_at(struct fc_reader *reader, uint64_t off, size_t ahead, struct fc_record *rec);

/*
 * First likely record boundary at or behind `from` and before `until`: a chain of plausible headers. `hint_ns` is the
 * time of some record of the file (FC_TIME_NONE: unknown). Returns it, or UINT64_MAX when nothing looks like one.
 * Never fails: what cannot be read is not likely.
 */
uint64_t fc_reader_guess(struct fc_reader *reader, const struct fc_file *file, uint64_t from, uint64_t until,
                         int64_t hint_ns, const struct fc_section *section);

#endif
