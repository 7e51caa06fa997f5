/* SPDX-License-Identifier: MIT */
/*
 * One direction of a TCP connection: segments in, pieces in the order of sequence numbers out. The rules are those of
 * flowcarve/stream.h. Places are bytes from the start of the direction, and so do not wrap. Threads: one.
 *
 * Invariants: what waits is in order, does not overlap, and lies behind `next` when a call returns.
 */
#ifndef FC_STREAM_TCP_H
#define FC_STREAM_TCP_H

#include "stream/queue.h"

enum { FC_TCP_WAITING_BYTES = 64 << 20, FC_TCP_WAITING_SEGMENTS = 65536 };

/* Bytes that wait for a gap in front of them; data is its own. */
struct fc_tcp_waiting {
    uint64_t at;       /* place */
    uint32_t len;      /* on the wire */
    uint32_t captured; /* the first ones of them */
    struct fc_piece where;
    uint8_t data[];
};

struct fc_tcp_side {
    bool started;
    bool has_fin;
    uint32_t next_seq;               /* sequence number at `next` */
    uint64_t next;                   /* place: all before is told */
    uint64_t fin_at;                 /* place of the FIN */
    uint64_t fins;                   /* passed over: they are places, but no bytes */
    struct fc_tcp_waiting **waiting; /* [first, first + count) */
    size_t first, count, room;
    uint64_t waiting_bytes;
};

struct fc_tcp_segment {
    uint32_t seq;
    uint8_t flags; /* FC_TCP_* */
    const uint8_t *data;
    uint32_t captured, len; /* len: on the wire */
    struct fc_piece where;  /* session, sender, time and place of the packet */
};

/* A segment of this direction. */
void fc_tcp_take(struct fc_tcp_side *side, const struct fc_tcp_segment *segment, struct fc_piece_queue *out);
/* The other end has acknowledged all in front of sequence number `ack`. */
void fc_tcp_acknowledged(struct fc_tcp_side *side, uint32_t ack, struct fc_piece_queue *out);
/* There are no more segments. `where`: of the last packet. */
void fc_tcp_end(struct fc_tcp_side *side, const struct fc_piece *where, struct fc_piece_queue *out);
void fc_tcp_fini(struct fc_tcp_side *side);

#endif
