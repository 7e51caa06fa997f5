/* SPDX-License-Identifier: MIT */
/*
 * The optional fields that an index may hold, and the columns that sessions have of them: the one list from which rows,
 * statements, sort keys and output follow (docs/extending.md). A program that wants all columns of a session can go
 * through it the same way.
 */
#ifndef FLOWCARVE_FIELDS_H
#define FLOWCARVE_FIELDS_H

#include <flowcarve/decode.h>

/*
 * F(FIELD, bit, name, want), in the order in which an index lists them: FC_FIELD_<FIELD> is 1 << bit; the name is that
 * of `index --fields`; want: the FC_WANT_* group of fc_decode() that it comes from, 0: none.
 */
#define FC_FIELDS(F)                                                                                                   \
    F(MAC, 0, "mac", FC_WANT_MAC)                                                                                      \
    F(VLAN, 1, "vlan", FC_WANT_VLAN)                                                                                   \
    F(MPLS, 2, "mpls", FC_WANT_MPLS)                                                                                   \
    F(TUNNEL, 9, "tunnel", FC_WANT_TUNNEL)                                                                             \
    F(TTL, 3, "ttl", FC_WANT_TTL)                                                                                      \
    F(DSCP, 4, "dscp", FC_WANT_DSCP)                                                                                   \
    F(TCP_FLAGS, 5, "tcp-flags", FC_WANT_TCP)                                                                          \
    F(ISN, 6, "isn", FC_WANT_TCP)                                                                                      \
    F(PAYLOAD, 7, "payload", FC_WANT_PAYLOAD)                                                                          \
    F(COMMUNITY_ID, 8, "community-id", 0)

enum {
#define FC_FIELD_BIT(FIELD, bit, name, want) FC_FIELD_##FIELD = 1 << (bit),
    FC_FIELDS(FC_FIELD_BIT)
#undef FC_FIELD_BIT
};

/*
 * In the order of the schema and of the output; title: in tables, by itself or behind "CLIENT-" and "SERVER-".
 *   TEXT(column, FIELD, title, size)           size: bytes that each has, 0: any
 *   ADDRESS(column, FIELD, title)              client_<column> and server_<column>: 6 bytes
 *   NUMBER(column, FIELD, title, most, merge)  the same: numbers from 0 to `most`; merge: what a later packet does to
 *                                              one, FIRST (nothing), OR, SUM
 */
#define FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)                                                                        \
    TEXT(vlan, VLAN, "VLAN", 0)                                                                                        \
    TEXT(mpls, MPLS, "MPLS", 0)                                                                                        \
    TEXT(tunnel, TUNNEL, "TUNNEL", 0)                                                                                  \
    ADDRESS(mac, MAC, "MAC")                                                                                           \
    NUMBER(ttl, TTL, "TTL", UINT8_MAX, FIRST)                                                                          \
    NUMBER(dscp, DSCP, "DSCP", UINT8_MAX, FIRST)                                                                       \
    NUMBER(tcp_flags, TCP_FLAGS, "FLAGS", UINT16_MAX, OR)                                                              \
    NUMBER(isn, ISN, "ISN", UINT32_MAX, FIRST)                                                                         \
    NUMBER(payload, PAYLOAD, "PAYLOAD", INT64_MAX, SUM)                                                                \
    TEXT(community_id, COMMUNITY_ID, "COMMUNITY-ID", FC_COMMUNITY_ID_SIZE - 1)

/*
 * For columns of a kind that are of no concern. Where items of a list are made of columns, each brings the comma in
 * front of it.
 */
#define FC_FIELD_SKIP(...)

#endif
