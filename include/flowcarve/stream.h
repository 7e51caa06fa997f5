/* SPDX-License-Identifier: MIT */
/*
 * The payload of chosen sessions, as the two ends have sent it: TCP in the order of its sequence numbers, of all other
 * protocols datagram by datagram. What is missing is told with its size and place, never closed up.
 *
 * Rules:
 * 1. Packets are taken in order of time. Of bytes that came more than once, those count that came first.
 * 2. A direction of TCP starts behind its SYN, or, picked up in the middle, with the first segment that was captured.
 *    SYN and FIN take a sequence number each.
 * 3. Bytes behind a gap wait until it is filled; until the other end has acknowledged bytes behind it; until 64 MiB or
 *    65,536 segments of the direction wait; or until the end. Then the gap is told, and what comes late for it is left
 *    out.
 * 4. A segment that starts up to 2^30 bytes before what is expected is an old one (a keep-alive, say), any other is
 *    ahead.
 * 5. Payload that a snaplen has cut is a gap at once. Of UDP the shorter one of its length and that of IP counts.
 * 6. A datagram in fragments is taken when the last one has come. One that stays incomplete is cut at its first hole,
 *    at the end or when 64 others of the session have begun.
 *
 * Does not verify checksums, does not look into payload. Threads: one at a time per db handle. Memory: as of packets.h;
 * some 400 bytes a session; what waits (rule 3), and 128 KiB a datagram in fragments.
 */
#ifndef FLOWCARVE_STREAM_H
#define FLOWCARVE_STREAM_H

#include <flowcarve/packets.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fc_piece_kind {
    FC_PIECE_DATA = 0,
    FC_PIECE_MISSING,  /* in no capture */
    FC_PIECE_CUT,      /* not captured of a packet that was: the snaplen */
    FC_PIECE_FRAGMENTS /* in fragments of which the datagram's other ones are missing */
};

/* Valid until the next call on the handle. */
struct fc_piece {
    enum fc_piece_kind kind;
    enum fc_from from;
    int64_t session;     /* its ID */
    uint64_t at;         /* bytes of this direction in front of it, with those that are missing */
    uint64_t len;        /* bytes; 0: an empty datagram, or a gap of which nobody knows how long it is */
    const uint8_t *data; /* FC_PIECE_DATA: len bytes; else NULL */
    /* of the packet that has it, or that stands behind the gap: a datagram's last fragment */
    int64_t ts_ns; /* FC_TIME_NONE: it has none */
    uint32_t file; /* ID of the capture in the index */
    uint64_t off;  /* bytes: of the record in it */
};

/* All of it 0: the default. */
struct fc_follow_options {
    bool partial;      /* as in struct fc_packets_options: what is left out is missing, and told as that */
    const char *avoid; /* the same */
    const int *stop;   /* the same */
};

struct fc_follow;

/*
 * Looks up the packets of the sessions that `filter` (NULL: all) selects. options: NULL: all of it 0. The filter is not
 * needed behind; db is. On success *out must go to fc_follow_close(). Codes as fc_packets_open().
 */
int fc_follow_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_follow_options *options,
                   struct fc_follow **out, struct fc_error *err);

/*
 * Next piece: 1 and *piece points to it, 0 at the end, or a code as fc_packets_next(), which every later call repeats.
 * Pieces come in the order in which they were complete; those of several sessions are mixed.
 */
int fc_follow_next(struct fc_follow *follow, const struct fc_piece **piece, struct fc_error *err);

/* What was found and read so far. */
void fc_follow_result(const struct fc_follow *follow, struct fc_packets_result *result);

/* Closes; NULL is allowed. */
void fc_follow_close(struct fc_follow *follow);

#ifdef __cplusplus
}
#endif
#endif
