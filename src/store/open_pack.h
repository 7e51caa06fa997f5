/* SPDX-License-Identifier: MIT */
/*
 * What a later capture needs to know of the sessions that were open, many in one row of `open_session`. A row's id is
 * that of its first session; its state:
 *
 *   byte 0    3, the version
 *   sessions  up to the end, each:
 *     varint  zigzag: ID minus that of the session before it, of the first minus the row's id
 *     byte    bit 0 direction of the first packet; bit 1 it was a SYN-ACK; bit 2 the first time follows, bit 3 the
 *             last; bit 4 TCP follows
 *     varint  when bit 2: zigzag: counted time of the first packet minus the earliest time
 *     varint  when bit 3: zigzag: counted time of the latest packet minus the latest time
 *     TCP     byte: bits 0-1 base known, by direction
 *             2 bytes: flags seen, by direction
 *             4 bytes, little endian, for each known base
 *
 * The rest is in the session's row: times, packets and bytes. varint as in schema/flowcarve.sql.
 *
 * Threads: one an object. Memory: none.
 */
#ifndef FC_STORE_OPEN_PACK_H
#define FC_STORE_OPEN_PACK_H

#include "flow/session.h"

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
bool fc_open_pack_add(struct fc_open_pack *pack, int64_t id, const struct fc_session_sum *session);

/* A row being read: data up to end; id: that of the row. */
struct fc_open_reader {
    const uint8_t *data, *end;
    int64_t id;
};
/* FC_E_DAMAGED: not of this format. The blob must outlive the reading. */
int fc_open_reader_init(struct fc_open_reader *reader, int64_t row_id, const void *blob, size_t len);

/*
 * 1: *id and *run filled, but for what is in the session's row, first_ns and last_ns hold the distances to these times;
 * 0: end; FC_E_DAMAGED.
 */
int fc_open_reader_next(struct fc_open_reader *reader, int64_t *id, struct fc_session_sum *session);

#endif
