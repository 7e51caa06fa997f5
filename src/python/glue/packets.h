/* SPDX-License-Identifier: MIT */
/* The fields of a packet as values of one size each. */
#ifndef FLOWCARVE_GLUE_PACKETS_H
#define FLOWCARVE_GLUE_PACKETS_H

#include "glue.h"

/*
 * F(NAME, name, CELL, bytes, want, of); sizes of texts are those of the longest. What a packet does not have is -1,
 * where the cell has that.
 */
#define FCPY_FIELDS(F)                                                                                                 \
    F(TS_NS, "ts_ns", FC_CELL_TIME, 8, 0, ALL)                                                                         \
    F(NUMBER, "number", FC_CELL_COUNT, 8, 0, ALL)                                                                      \
    F(OFFSET, "offset", FC_CELL_COUNT, 8, 0, ALL)                                                                      \
    F(LEN, "len", FCPY_CELL_U32, 4, 0, ALL)                                                                            \
    F(CAPLEN, "caplen", FCPY_CELL_U32, 4, 0, ALL)                                                                      \
    F(LINK_TYPE, "link_type", FCPY_CELL_U32, 4, 0, ALL)                                                                \
    F(SECTION, "section", FCPY_CELL_U32, 4, 0, CAPTURE)                                                                \
    F(INTERFACE, "interface", FCPY_CELL_U32, 4, 0, CAPTURE)                                                            \
    F(DATA, "data", FCPY_CELL_BYTES, 0, 0, ALL)                                                                        \
    F(DATA_AT, "data_at", FCPY_CELL_U32, 4, 0, ALL)                                                                    \
    F(PROTO, "proto", FC_CELL_PROTO, 4, FC_WANT_KEY, ALL)                                                              \
    F(KIND, "kind", FC_CELL_KIND, 1, FC_WANT_KEY, ALL)                                                                 \
    F(SRC, "src", FC_CELL_ADDR, 16, FC_WANT_KEY, ALL)                                                                  \
    F(DST, "dst", FC_CELL_ADDR, 16, FC_WANT_KEY, ALL)                                                                  \
    F(SPORT, "sport", FC_CELL_PORT, 4, FC_WANT_KEY, ALL)                                                               \
    F(DPORT, "dport", FC_CELL_PORT, 4, FC_WANT_KEY, ALL)                                                               \
    F(FRAGMENT, "fragment", FCPY_CELL_BYTE, 1, FC_WANT_KEY, ALL)                                                       \
    F(MALFORMED, "malformed", FCPY_CELL_BYTE, 1, FC_WANT_KEY, ALL)                                                     \
    F(TCP_FLAGS, "tcp_flags", FCPY_CELL_SMALL, 2, FC_WANT_TCP, ALL)                                                    \
    F(TCP_SEQ, "tcp_seq", FC_CELL_NUMBER, 8, FC_WANT_TCP, ALL)                                                         \
    F(TCP_ACK, "tcp_ack", FC_CELL_NUMBER, 8, FC_WANT_TCP, ALL)                                                         \
    F(TTL, "ttl", FCPY_CELL_SMALL, 2, FC_WANT_TTL, ALL)                                                                \
    F(DSCP, "dscp", FCPY_CELL_SMALL, 2, FC_WANT_DSCP, ALL)                                                             \
    F(PAYLOAD_LEN, "payload_len", FC_CELL_NUMBER, 8, FC_WANT_PAYLOAD, ALL)                                             \
    F(PAYLOAD_OFF, "payload_off", FC_CELL_NUMBER, 8, FC_WANT_PAYLOAD, ALL)                                             \
    F(PAYLOAD_CAPLEN, "payload_caplen", FCPY_CELL_U32, 4, FC_WANT_PAYLOAD, ALL)                                        \
    F(PAYLOAD, "payload", FCPY_CELL_BYTES, 0, FC_WANT_PAYLOAD, ALL)                                                    \
    F(SRC_MAC, "src_mac", FC_CELL_MAC, 6, FC_WANT_MAC, ALL)                                                            \
    F(DST_MAC, "dst_mac", FC_CELL_MAC, 6, FC_WANT_MAC, ALL)                                                            \
    F(VLAN, "vlan", FC_CELL_TEXT, 24, FC_WANT_VLAN, ALL)                                                               \
    F(MPLS, "mpls", FC_CELL_TEXT, 64, FC_WANT_MPLS, ALL)                                                               \
    F(TUNNEL, "tunnel", FC_CELL_TEXT, FC_TUNNEL_TEXT, FC_WANT_TUNNEL, ALL)                                             \
    F(SESSION, "session", FC_CELL_ID, 8, 0, SESSION)                                                                   \
    F(FROM, "direction", FCPY_CELL_FROM, 1, 0, SESSION)                                                                \
    F(FILE_ID, "file_id", FCPY_CELL_U32, 4, 0, SESSION)

/* A packet of which cells are written: at `data_at` of an arena are its bytes, when there is one. */
struct fcpy_given {
    const struct fc_session_packet *packet;
    uint32_t data_at;
};

/* Writes the cells of some packets as rows from `first` on behind `base`. */
void fcpy_packet_columns(const struct fcpy_cell *cells, size_t count, const struct fcpy_given *given, size_t rows,
                         uint8_t *base, size_t first);

#endif
