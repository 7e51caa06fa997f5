/* SPDX-License-Identifier: MIT */
/* Transport headers, ICMP pairing, payload. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "packets.h"

static struct bytes ip4(unsigned src, unsigned dst, unsigned proto, const char *hex)
{
    struct bytes b = {.n = 0}, rest = {.n = 0};
    put_hex(&rest, hex);
    put_eth(&b, src, dst, 0x0800);
    put_ip4(&b, src, dst, proto, rest.n);
    put_hex(&b, hex);
    return b;
}

static struct fc_packet icmp(unsigned proto, unsigned src, unsigned dst, unsigned type, unsigned code)
{
    char hex[32];
    snprintf(hex, sizeof(hex), "%02x%02x000000000000", type, code);
    struct bytes b = ip4(src, dst, proto, hex);
    return decode(LT_ETH, &b);
}

Test(transport, every_protocol_with_ports_has_them_in_the_key)
{
    static const unsigned protos[] = {6, 17, 33, 132, 136};
    for (unsigned i = 0; i < 5; i++) {
        struct bytes b = ip4(1, 2, protos[i], "03e8 0050");
        struct fc_packet p = decode(LT_ETH, &b);
        cr_assert_eq(p.key.port[0], 1000);
        cr_assert_eq(p.key.port[1], 80);
        cr_assert_eq(p.key.proto, protos[i]);
        cr_assert(fc_proto_has_ports(protos[i]));
    }
}

Test(transport, less_than_four_bytes_are_no_ports)
{
    static const unsigned protos[] = {6, 17, 33, 132, 136};
    for (unsigned i = 0; i < 5; i++) {
        struct bytes b = ip4(1, 2, protos[i], "03e8 00");
        struct fc_packet p = decode(LT_ETH, &b);
        cr_assert_eq(p.key.port[0], 0);
        cr_assert_eq(p.key.port[1], 0);
    }
}

Test(transport, tcp_fields_are_as_on_the_wire)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert(p.got & FC_WANT_TCP);
    cr_assert_eq(p.tcp_flags, FC_TCP_PSH | FC_TCP_ACK);
    cr_assert_eq(p.tcp_seq, 0x01020304);
    cr_assert_eq(p.tcp_ack, 0x05060708);
}

Test(transport, tcp_fields_need_fourteen_bytes)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    b.n = 34 + 13;
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "tcp 10.0.0.1:1000 10.0.0.2:80", 0);
    cr_assert_not(p.got & FC_WANT_TCP);
    cr_assert_eq(p.tcp_flags, 0xa5);
    b.n = 34 + 14;
    cr_assert(decode(LT_ETH, &b).got & FC_WANT_TCP);
}

Test(transport, udp_has_no_tcp_fields)
{
    struct bytes b = udp4(1, 1000, 2, 80);
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_not(p.got & FC_WANT_TCP);
    cr_assert_eq(p.tcp_seq, 0xa5a5a5a5);
}

Test(transport, layers_are_listed_with_their_offsets)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    struct fc_packet p = decode(LT_ETH, &b);
    static const struct fc_layer want[] = {
        {0, FC_LAYER_LINK, 0}, {14, FC_LAYER_IPV4, 0}, {34, FC_LAYER_TCP, 0}, {54, FC_LAYER_PAYLOAD, 0}};
    cr_assert_eq(p.layer_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(p.layer[i].off, want[i].off);
        cr_assert_eq(p.layer[i].type, want[i].type);
        cr_assert_eq(p.layer[i].depth, want[i].depth);
    }
}

Test(transport, payload_length_leaves_out_headers_and_padding)
{
    struct bytes b = tcp4(1, 1000, 2, 80), u = udp4(1, 1000, 2, 80);
    put_zeros(&b, 6);
    cr_assert_eq(decode(LT_ETH, &b).payload_bytes, 10);
    cr_assert_eq(decode(LT_ETH, &u).payload_bytes, 10);
}

Test(transport, payload_is_pointed_to_as_far_as_it_was_captured)
{
    static const uint32_t masks[] = {FC_WANT_ALL, FC_WANT_KEY | FC_WANT_PAYLOAD};
    struct bytes b = tcp4(1, 1000, 2, 80);
    uint32_t captured;
    put_zeros(&b, 6); /* of the link */
    for (unsigned i = 0; i < 2; i++) {
        struct fc_packet p = decode_mask(LT_ETH, &b, masks[i]);
        cr_assert_eq(fc_packet_payload(&p, b.at, b.n, &captured), b.at + 54);
        cr_assert_eq(captured, 10);
        fc_decode(LT_ETH, b.at, 57, b.n, masks[i], &p);
        cr_assert_eq(fc_packet_payload(&p, b.at, 57, &captured), b.at + 54);
        cr_assert_eq(captured, 3);
        fc_decode(LT_ETH, b.at, 54, b.n, masks[i], &p);
        cr_assert_null(fc_packet_payload(&p, b.at, 54, &captured));
        cr_assert_eq(captured, 0);
    }
}

Test(transport, payload_length_is_the_wires_not_the_captures)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    struct fc_packet p;
    fc_decode(LT_ETH, b.at, 54, b.n, FC_WANT_ALL, &p);
    cr_assert_eq(p.payload_bytes, 10);
    cr_assert_eq(layer_off(&p, FC_LAYER_PAYLOAD), -1);
}

Test(transport, payload_of_later_fragments_is_all_behind_the_ip_header)
{
    struct bytes b = udp4(1, 1000, 2, 80);
    b.at[21] = 1;
    cr_assert_eq(decode(LT_ETH, &b).payload_bytes, 18);
}

Test(transport, a_broken_tcp_header_length_leaves_payload_out)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    b.at[34 + 12] = 0x40;
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "tcp 10.0.0.1:1000 10.0.0.2:80", 0);
    cr_assert(p.got & FC_WANT_TCP);
    cr_assert_not(p.got & FC_WANT_PAYLOAD);
}

Test(icmp, request_and_reply_are_one_session)
{
    static const unsigned pairs[][3] = {{1, 8, 0},      {1, 13, 14},    {1, 15, 16},    {1, 10, 9},
                                        {1, 17, 18},    {58, 128, 129}, {58, 130, 131}, {58, 133, 134},
                                        {58, 135, 136}, {58, 139, 140}, {58, 144, 145}};
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct fc_packet p = icmp(pairs[i][0], 1, 2, pairs[i][1], 0), q = icmp(pairs[i][0], 2, 1, pairs[i][2], 0);
        cr_assert_arr_eq(&p.key, &q.key, sizeof(p.key));
        cr_assert_eq(p.key.port[0], pairs[i][1]);
        cr_assert_eq(p.key.port[1], pairs[i][2]);
        cr_assert_eq(p.dir, 0);
        cr_assert_eq(q.dir, 1);
    }
}

Test(icmp, a_message_without_counterpart_is_one_way_from_its_sender)
{
    EXPECT_KEY(icmp(1, 1, 2, 3, 1), "icmp 10.0.0.1:3 10.0.0.2:1 one-way", 0);
    EXPECT_KEY(icmp(1, 2, 1, 3, 1), "icmp 10.0.0.2:3 10.0.0.1:1 one-way", 0);
    EXPECT_KEY(icmp(58, 2, 1, 1, 4), "icmp6 10.0.0.2:1 10.0.0.1:4 one-way", 0);
}

Test(icmp, tables_of_the_two_versions_are_not_mixed)
{
    EXPECT_KEY(icmp(1, 1, 2, 128, 0), "icmp 10.0.0.1:128 10.0.0.2:0 one-way", 0);
    EXPECT_KEY(icmp(58, 1, 2, 8, 0), "icmp6 10.0.0.1:8 10.0.0.2:0 one-way", 0);
}

Test(icmp, less_than_two_bytes_have_no_type)
{
    struct bytes b = ip4(2, 1, 1, "08");
    EXPECT_KEY(decode(LT_ETH, &b), "icmp 10.0.0.1:0 10.0.0.2:0", 1);
}

Test(icmp, a_later_fragment_has_no_type)
{
    struct bytes b = ip4(2, 1, 1, "0301000000000000");
    b.at[21] = 1;
    EXPECT_KEY(decode(LT_ETH, &b), "icmp 10.0.0.1:0 10.0.0.2:0", 1);
}
