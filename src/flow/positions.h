/* SPDX-License-Identifier: MIT */
/*
 * Positions of packets as a sequence of segments, the plain encoding of the positions blob (schema/flowcarve.sql):
 * varint file id, varint n >= 1, varint first offset, n-1 varints of distances.
 *
 * Threads: any, on lists of their own.
 */
#ifndef FC_FLOW_POSITIONS_H
#define FC_FLOW_POSITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One segment, as read from bytes that may be hostile. */
struct fc_segment {
    uint32_t file;
    uint64_t count; /* >= 1 */
    uint64_t first_off;
    const uint8_t *deltas; /* count - 1 varints */
    const uint8_t *end;    /* of the bytes the segment was read from; behind the segment once it was walked */
};

/*
 * Reads the head of the segment at p. Returns the byte behind the head (where the deltas start), or NULL when it is not
 * one. The deltas are checked by fc_segment_next() only.
 */
const uint8_t *fc_segment_head(const uint8_t *p, const uint8_t *end, struct fc_segment *segment);

/* Walks offsets: `off` goes from one to the next; returns the byte behind the delta, or NULL when it is cut or wraps.
 */
const uint8_t *fc_segment_next(const uint8_t *p, const uint8_t *end, uint64_t *off);

/* A session's positions being collected, one list a file, files ascending. */
struct fc_position_file {
    uint32_t file;
    uint64_t count, first_off, last_off;
    uint8_t *deltas;
    size_t len, room;
};
struct fc_positions {
    struct fc_position_file *files;
    size_t count, room;
};

/*
 * Adds all segments of [p, p + len). Within a file they may come in any order and interleave; in order is fast.
 * FC_E_NOMEM, or FC_E_DAMAGED when the bytes are no segments.
 */
int fc_positions_add(struct fc_positions *positions, const uint8_t *p, size_t len);

/* Bytes that fc_positions_write() needs at the most. */
size_t fc_positions_size(const struct fc_positions *positions);
/* Writes the segments; returns their size in bytes. */
size_t fc_positions_write(const struct fc_positions *positions, uint8_t *out);

/*
 * Positions as the flow table collects them, in the order of a session's packets: of a packet in the same file as the
 * one before it and behind that, the distance; of any other, byte 0, varint file, varint offset. This makes segments of
 * them, files ascending.
 *   file, first_off   of the first packet, which is not among them; file 0: there is none
 *   plain             they are distances alone
 * *out, of *room bytes from malloc(), grows as needed; *len is set. FC_E_NOMEM; FC_E_DAMAGED: they are something else.
 */
int fc_positions_canonical(uint32_t file, uint64_t first_off, const uint8_t *pos, size_t pos_len, bool plain,
                           uint8_t **out, size_t *room, size_t *len);

/* Forgets the contents, keeps the memory. */
void fc_positions_clear(struct fc_positions *positions);
void fc_positions_fini(struct fc_positions *positions);

#endif
