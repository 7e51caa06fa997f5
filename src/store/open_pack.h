/* SPDX-License-Identifier: MIT */
/*
 * What a later capture needs to know of the sessions that were open, many in one row of `open_session`. Its state:
 *
 *   byte 0    4, the version
 *   entries   up to the end, each:
 *     varint  ID minus that of the entry before it, of the first minus 0
 *     byte    bit 0 direction of the first packet; bit 1 it was a SYN-ACK; bit 2 the first time follows, bit 3 the
 *             last; bit 4 TCP follows, bits 5 and 6 base known, by direction; bit 7 `until` follows
 *             bit 5 without bit 4: the session is not to be continued, whatever older batches have of it
 *     varint  when bit 7: zigzag: `until` minus that of the entry before it, of the first minus 0; else it is the same
 *     varint  when bit 2: zigzag: counted time of the first packet minus the earliest time
 *     varint  when bit 3: zigzag: counted time of the latest packet minus the latest time
 *     TCP     2 bytes: flags seen, by direction
 *             4 bytes, little endian, for each known base
 *
 * The rest is in the session's row: key, times, packets and bytes. varint as in schema/flowcarve.sql.
 *
 * Threads: one an object. Memory: none.
 */
#ifndef FC_STORE_OPEN_PACK_H
#define FC_STORE_OPEN_PACK_H

#include "flow/session.h"

#include <stddef.h>

/*
 * FC_OPEN_PACK_SIZE: as much as lets one row fill one page of SQLite. A batch has at most FC_OPEN_BATCH entries; a
 * row's id is that of the batch, times FC_OPEN_BATCH, plus the number of entries of the batch in front of the row.
 */
enum {
    FC_OPEN_PACK_SIZE = 4050,
    FC_OPEN_ENTRY_MAX = 64,
    FC_OPEN_BATCH_BITS = 18,
    FC_OPEN_BATCH = 1 << FC_OPEN_BATCH_BITS,
    FC_OPEN_TAG_BYTES = 3
};

enum { FC_OPEN_TCP = 0x10, FC_OPEN_ENDED = 0x20 /* without FC_OPEN_TCP */ };

/* The tag is not packed with the rest: it is in open_batch.tags. */
struct fc_open_entry {
    int64_t id;
    int64_t first_ns, last_ns; /* distances from earliest and latest time */
    uint32_t base[2];
    int32_t until; /* grain of time in which it has expired: fc_open_until() */
    uint32_t tag;
    uint8_t tcp_flags[2];
    uint8_t bits;
    uint32_t age; /* for who merges batches */
};
_Static_assert(sizeof(struct fc_open_entry) == 48, "as many as a batch has are in memory when batches are merged");

static inline bool fc_open_ended(const struct fc_open_entry *e)
{
    return (e->bits & (FC_OPEN_TCP | FC_OPEN_ENDED)) == FC_OPEN_ENDED;
}

/* Grains of 137 s are exact enough for what has only to be forgotten some time: most entries have that of the last. */
enum { FC_OPEN_GRAIN_BITS = 37, FC_OPEN_NEVER = 1 << (63 - FC_OPEN_GRAIN_BITS) };
static inline int32_t fc_open_until(int64_t expiry_ns)
{
    return (int32_t)((expiry_ns >> FC_OPEN_GRAIN_BITS) + 1); /* FC_OPEN_NEVER of FC_NEVER */
}
static inline bool fc_open_expired(int32_t until, int64_t clock_ns)
{
    return until <= clock_ns >> FC_OPEN_GRAIN_BITS;
}

/*
 * What tells, before a row is read, that a key is not that of an entry; the same on every machine. Who makes captures
 * can make keys of one tag.
 */
uint32_t fc_open_tag(const struct fc_flow_key *key);

/* Of a session; ended: all but the ID is left out. */
void fc_open_entry_make(struct fc_open_entry *entry, int64_t id, const struct fc_flow_key *key,
                        const struct fc_session_sum *session, int64_t expiry_ns, bool ended);
/* What an entry tells of its session; first_ns and last_ns hold the distances. */
void fc_open_entry_session(const struct fc_open_entry *entry, struct fc_session_sum *session);

/* A row being filled; {0} is an empty one. */
struct fc_open_pack {
    int64_t last_id;
    int32_t last_until;
    uint32_t count;
    size_t len; /* 0: empty */
    uint8_t data[FC_OPEN_PACK_SIZE];
};

/* Adds an entry; false when the row is full. */
bool fc_open_pack_add(struct fc_open_pack *pack, const struct fc_open_entry *entry);

/* A row being read: data up to end; what the next entry counts from. */
struct fc_open_reader {
    const uint8_t *data, *end;
    int64_t id;
    int32_t until;
};
/* FC_E_DAMAGED: not of this format. The blob must outlive the reading. */
int fc_open_reader_init(struct fc_open_reader *reader, const void *blob, size_t len);

/* 1: *entry filled, but for its tag; 0: end; FC_E_DAMAGED. */
int fc_open_reader_next(struct fc_open_reader *reader, struct fc_open_entry *entry);

/* The same without the entry, which takes a third of the time. */
int fc_open_reader_skip(struct fc_open_reader *reader);

#endif
