/* SPDX-License-Identifier: MIT */
/*
 * What a later capture needs to know of the sessions that were open, many in one row of `open_session`. A row's id is
 * that of its first session; its state:
 *
 *   byte 0    2, the version
 *   sessions  up to the end, each:
 *     varint  zigzag: ID minus that of the session before it, of the first minus the row's id
 *     byte    bits 0-1 direction of the first packet (2: none); bit 2 it was a SYN-ACK; bits 3-4 direction of the
 *             opening SYN (2: none); bit 5 a time follows; bit 6 TCP follows
 *     varint  when bit 5: zigzag: time of the first packet minus the earliest time
 *     TCP     byte: bits 0-1 base known, by direction; bits 2-3 base from a SYN-ACK; bit 4 the opening SYN's sequence
 *             number is another one than the base of its direction
 *             2 bytes: flags seen, by direction
 *             4 bytes, little endian, for each known base; the same for the SYN's number when bit 4
 *
 * The rest is in the session's row: times, packets and bytes. varint as in schema/flowcarve.sql.
 *
 * Threads: one an object. Memory: none.
 */
#ifndef FC_STORE_OPEN_PACK_H
#define FC_STORE_OPEN_PACK_H

#include "flow/run.h"

#include <stddef.h>

/* As much as lets one row fill one page of SQLite. */
enum { FC_OPEN_PACK_SIZE = 4050, FC_OPEN_ENTRY_MAX = 40 };

/* A row being filled; {0} is an empty one. */
struct fc_open_pack {
    int64_t first_id, last_id;
    size_t len; /* 0: empty */
    uint8_t data[FC_OPEN_PACK_SIZE];
};

/* Adds a session; false when the row is full. */
bool fc_open_pack_add(struct fc_open_pack *pack, int64_t id, const struct fc_run *run);

/* A row being read: data up to end; id: that of the row. */
struct fc_open_reader {
    const uint8_t *data, *end;
    int64_t id;
};
/* FC_E_DAMAGED: not of this format. The blob must outlive the reading. */
int fc_open_reader_init(struct fc_open_reader *reader, int64_t row_id, const void *blob, size_t len);

/*
 * 1: *id and *run filled, but for what is in the session's row, and first_ns holds the distance to the earliest time;
 * 0: end; FC_E_DAMAGED.
 */
int fc_open_reader_next(struct fc_open_reader *reader, int64_t *id, struct fc_run *run);

#endif
