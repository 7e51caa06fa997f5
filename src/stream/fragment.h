/* SPDX-License-Identifier: MIT */
/*
 * Datagrams of IP put together from their fragments. What comes out is a datagram as it would have been sent whole, for
 * fc_decode() with link type RAW: so it does not matter what was in it, be it a tunnel, or a fragment once more.
 *
 * Threads: one. Memory: twice the datagram's length for each of FC_DATAGRAMS. Source: RFC 791, 8200.
 */
#ifndef FC_STREAM_FRAGMENT_H
#define FC_STREAM_FRAGMENT_H

#include <flowcarve/decode.h>
#include <flowcarve/stream.h>

enum { FC_DATAGRAMS = 64, FC_FRAGMENT_HEADERS = 512, FC_DATAGRAM_BYTES = 65535 };

/* A fragment in a packet: where it is, and what part of its datagram. */
struct fc_fragment {
    const uint8_t *header; /* of IP, with the extension headers in front of the fragment header */
    uint32_t header_len;
    uint32_t next_at; /* IPv6: where in it the number of the next header stands, */
    uint8_t next;     /* and what it is in the whole datagram */
    const uint8_t *data;
    uint32_t captured, len; /* len: on the wire */
    uint32_t at;            /* of the first byte in the datagram */
    bool more;              /* it is not the last one */
};

/*
 * Finds the outermost fragment in a packet that is one. False: it is not to be found, the packet is cut in front of it,
 * or has too many layers.
 */
bool fc_fragment_find(const struct fc_packet *packet, const uint8_t *data, uint32_t caplen, uint32_t wire_len,
                      struct fc_fragment *fragment);

struct fc_datagram {
    struct fc_flow_key name;
    struct fc_piece where; /* of the last fragment; the sender that is known of any */
    uint64_t bytes;        /* on the wire, of all fragments taken */
    bool done;             /* it was given; kept to know copies of its fragments */
    bool has_first;        /* header is there */
    uint32_t len;          /* of its data; UINT32_MAX: not known yet */
    uint32_t end;          /* behind the last byte that is known of */
    uint32_t seen;         /* bytes that were in a fragment, captured or not */
    uint32_t header_len, next_at, room;
    uint8_t next;
    uint8_t header[FC_FRAGMENT_HEADERS];
    uint8_t *state; /* of each byte: enum fc_byte */
    uint8_t *data;
};

struct fc_datagrams {
    struct fc_datagram *list[FC_DATAGRAMS]; /* in the order in which they began */
    unsigned count;
};

/*
 * Takes a fragment. *datagram: the one that it makes complete, else NULL. *gone: one that had to go and is incomplete,
 * the caller's to free, else NULL. FC_E_NOMEM.
 */
int fc_datagrams_take(struct fc_datagrams *datagrams, const struct fc_flow_key *name,
                      const struct fc_fragment *fragment, const struct fc_piece *where, struct fc_datagram **datagram,
                      struct fc_datagram **gone);

/* Has it all bytes, captured or not, up to the end that the last fragment names? */
bool fc_datagram_complete(const struct fc_datagram *datagram);

/*
 * The datagram as one packet: *packet, a new block of *captured bytes, all up to its first hole; *len: on the wire.
 * It has its first fragment. FC_E_NOMEM.
 */
int fc_datagram_join(const struct fc_datagram *datagram, uint8_t **packet, uint32_t *captured, uint32_t *len);

void fc_datagram_free(struct fc_datagram *datagram);
void fc_datagrams_fini(struct fc_datagrams *datagrams);

#endif
