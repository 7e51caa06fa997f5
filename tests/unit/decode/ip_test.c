/* SPDX-License-Identifier: MIT */
/* IPv4, IPv6 and its extension headers, fragments. */
#include <criterion/criterion.h>

#include "decode/walk.h"
#include "packets.h"

static struct bytes ip6(unsigned next, const char *hex)
{
    struct bytes b = {.n = 0}, rest = {.n = 0};
    put_hex(&rest, hex);
    put_eth(&b, 1, 2, 0x86dd);
    put_ip6(&b, 1, 2, next, rest.n);
    put_hex(&b, hex);
    return b;
}

/* Identification of the datagram that a packet is the last fragment of. */
static uint32_t datagram_id(const struct fc_packet *p)
{
    const struct fc_flow_key *name = &p->datagram[p->datagram_count - 1];
    return (uint32_t)name->port[0] << 16 | name->port[1];
}

Test(ipv4, options_are_skipped)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 1, 2, 0x0800);
    put_ip4(&b, 1, 2, 17, 12);
    b.at[14] = 0x46;
    put_hex(&b, "94040000");
    put_udp(&b, 53, 1024, 0);
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 10.0.0.1:53 10.0.0.2:1024", 0);
    cr_assert_eq(layer_off(&p, FC_LAYER_UDP), 38);
}

Test(ipv4, a_header_length_below_five_is_malformed)
{
    struct bytes b = udp4(1, 53, 2, 1024);
    b.at[14] = 0x44;
    cr_assert_eq(decode(LT_ETH, &b).malformed, 1);
}

Test(ipv4, another_version_than_announced_is_read_as_what_it_is)
{
    struct bytes v6 = with_ip6("02000000000b 02000000000a 0800"), v4 = with_ip4("02000000000b 02000000000a 86dd");
    EXPECT_KEY(decode(LT_ETH, &v6), "udp 2001:db8::1:53 2001:db8::2:1024", 1);
    EXPECT_KEY(decode(LT_ETH, &v4), "udp 10.0.0.1:53 10.0.0.2:1024", 1);
    v6.n -= 9; /* less than a header of IPv6 */
    cr_assert_eq(decode(LT_ETH, &v6).malformed, 1);
    v4.at[14] = 0x55;
    cr_assert_eq(decode(LT_ETH, &v4).malformed, 1);
}

Test(ipv4, less_than_twenty_bytes_are_malformed)
{
    struct bytes b = udp4(1, 53, 2, 1024);
    b.n = 14 + 19;
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_eq(p.malformed, 1);
    cr_assert_eq(p.key.addr_kind, FC_ADDR_NONE);
    cr_assert_not(p.got & (FC_WANT_TTL | FC_WANT_DSCP | FC_WANT_PAYLOAD));
    cr_assert(p.got & FC_WANT_MAC);
}

Test(ipv4, a_header_cut_in_its_options_keeps_addresses_and_protocol)
{
    struct bytes b = udp4(1, 53, 2, 1024);
    b.at[14] = 0x4f;
    EXPECT_KEY(decode(LT_ETH, &b), "udp 10.0.0.1:0 10.0.0.2:0", 0);
}

Test(ipv4, total_length_zero_means_all_that_was_captured)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    b.at[16] = b.at[17] = 0;
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "tcp 10.0.0.1:1000 10.0.0.2:80", 0);
    cr_assert_eq(p.payload_bytes, 10);
    cr_assert_eq(p.tcp_flags, FC_TCP_PSH | FC_TCP_ACK);
}

Test(ipv4, a_total_length_beyond_the_capture_counts_for_the_payload_as_far_as_the_frame_goes)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    b.at[16] = 0x05;
    b.at[17] = 0xdc;
    static const uint32_t masks[] = {FC_WANT_ALL, FC_WANT_KEY | FC_WANT_PAYLOAD, FC_WANT_ALL | FC_KEY_VLAN};
    for (unsigned i = 0; i < 3; i++) {
        struct fc_packet p = decode_mask(LT_ETH, &b, masks[i]); /* the frame is as long as was captured */
        EXPECT_KEY(p, "tcp 10.0.0.1:1000 10.0.0.2:80", 0);
        cr_assert_eq(p.payload_bytes, b.n - 54);
        fc_decode(LT_ETH, b.at, b.n, 1514, masks[i], &p);
        cr_assert_eq(p.payload_bytes, 1500 - 40);
        fc_decode_walk(LT_ETH, b.at, b.n, 1513, masks[i], &p);
        cr_assert_eq(p.payload_bytes, 1499 - 40);
    }
}

Test(ipv4, link_padding_is_no_part_of_the_datagram)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 1, 2, 0x0800);
    put_ip4(&b, 1, 2, 17, 2); /* two bytes of UDP, the rest is padding */
    put_udp(&b, 53, 1024, 18);
    EXPECT_KEY(decode(LT_ETH, &b), "udp 10.0.0.1:0 10.0.0.2:0", 0);
}

Test(ipv4, ttl_and_dscp_are_read)
{
    struct bytes b = udp4(1, 53, 2, 1024);
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_eq(p.ttl, 0x40);
    cr_assert_eq(p.dscp, 46);
}

Test(ipv4, the_first_fragment_has_ports)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 1, 2, 0x0800);
    put_ip4_frag(&b, 1, 2, 17, 0xbeef, 0x2000);
    put_udp(&b, 53, 1024, 0);
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 10.0.0.1:53 10.0.0.2:1024", 0);
    cr_assert_eq(p.frag, FC_FRAG_FIRST);
    cr_assert_eq(datagram_id(&p), 0xbeef);
}

Test(ipv4, a_later_fragment_has_no_ports)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 2, 1, 0x0800);
    put_ip4_frag(&b, 2, 1, 17, 0xbeef, 0x2001);
    put_udp(&b, 53, 1024, 0);
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 10.0.0.1:0 10.0.0.2:0", 1);
    cr_assert_eq(p.frag, FC_FRAG_LATER);
    cr_assert_eq(datagram_id(&p), 0xbeef);
    cr_assert_eq(layer_off(&p, FC_LAYER_PAYLOAD), 34);
}

Test(ipv4, dont_fragment_is_no_fragment)
{
    struct bytes b = udp4(1, 53, 2, 1024);
    cr_assert_eq(decode(LT_ETH, &b).frag, FC_FRAG_NONE);
}

Test(ipv4, ah_is_looked_through)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 1, 2, 0x0800);
    put_ip4(&b, 1, 2, 51, 32);
    put_hex(&b, "11040000 00000001 00000001 00000000 00000000 00000000");
    put_udp(&b, 53, 1024, 0);
    EXPECT_KEY(decode(LT_ETH, &b), "udp 10.0.0.1:53 10.0.0.2:1024", 0);
}

Test(ipv4, esp_and_tunnels_are_sessions_of_their_protocol)
{
    struct bytes b = udp4(1, 53, 2, 1024);
    b.at[23] = 50;
    EXPECT_KEY(decode(LT_ETH, &b), "esp 10.0.0.1:0 10.0.0.2:0", 0);
    b.at[23] = 47;
    EXPECT_KEY(decode(LT_ETH, &b), "gre 10.0.0.1:0 10.0.0.2:0", 0);
    b.at[23] = 0; /* hop-by-hop options are IPv6's */
    EXPECT_KEY(decode(LT_ETH, &b), "hopopt 10.0.0.1:0 10.0.0.2:0", 0);
}

Test(ipv6, less_than_forty_bytes_are_malformed)
{
    struct bytes b = ip6(17, "0035 0400 0008 0000");
    b.n = 14 + 39;
    cr_assert_eq(decode(LT_ETH, &b).malformed, 1);
}

Test(ipv6, hop_limit_and_dscp_are_read)
{
    struct bytes b = ip6(17, "0035 0400 0008 0000");
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_eq(p.ttl, 63);
    cr_assert_eq(p.dscp, 46);
}

Test(ipv6, the_chain_of_extension_headers_is_followed)
{
    struct bytes b = ip6(0, "2b00010400000000 3c00000000000000 3300010400000000 11040000 00000001 00000001 00000000 "
                            "00000000 00000000 0035 0400 0008 0000");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 2001:db8::1:53 2001:db8::2:1024", 0);
    cr_assert_eq(p.frag, FC_FRAG_NONE);
}

Test(ipv6, an_extension_header_behind_ah_is_followed)
{
    struct bytes b = ip6(51, "3c040000 00000001 00000001 00000000 00000000 00000000 1100010400000000 "
                             "0035 0400 0008 0000");
    EXPECT_KEY(decode(LT_ETH, &b), "udp 2001:db8::1:53 2001:db8::2:1024", 0);
}

Test(ipv6, a_cut_extension_header_leaves_its_next_header_as_protocol)
{
    struct bytes b = ip6(0, "3c0401 04000000");
    EXPECT_KEY(decode(LT_ETH, &b), "ipv6-opts 2001:db8::1:0 2001:db8::2:0", 0);
    b = ip6(0, "3c");
    EXPECT_KEY(decode(LT_ETH, &b), "hopopt 2001:db8::1:0 2001:db8::2:0", 0);
    b = ip6(44, "11000000 000000");
    EXPECT_KEY(decode(LT_ETH, &b), "ipv6-frag 2001:db8::1:0 2001:db8::2:0", 0);
    b = ip6(51, "11000000 00000000 000000");
    EXPECT_KEY(decode(LT_ETH, &b), "ah 2001:db8::1:0 2001:db8::2:0", 0);
}

Test(ipv6, mobility_hip_and_shim6_are_protocols)
{
    static const unsigned next[] = {135, 139, 140};
    for (unsigned i = 0; i < 3; i++) {
        struct bytes b = ip6(next[i], "3b00000000000000");
        cr_assert_eq(decode(LT_ETH, &b).key.proto, next[i]);
    }
}

Test(ipv6, an_atomic_fragment_is_a_whole_datagram)
{
    struct bytes b = ip6(44, "11000000 deadbeef 0035 0400 0008 0000");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 2001:db8::1:53 2001:db8::2:1024", 0);
    cr_assert_eq(p.frag, FC_FRAG_NONE);
}

Test(ipv6, the_first_fragment_has_ports)
{
    struct bytes b = ip6(44, "11000001 deadbeef 0035 0400 0008 0000");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 2001:db8::1:53 2001:db8::2:1024", 0);
    cr_assert_eq(p.frag, FC_FRAG_FIRST);
    cr_assert_eq(datagram_id(&p), 0xdeadbeef);
}

Test(ipv6, a_later_fragment_has_no_ports)
{
    struct bytes b = ip6(44, "11000008 deadbeef 0035 0400 0008 0000");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 2001:db8::1:0 2001:db8::2:0", 0);
    cr_assert_eq(p.frag, FC_FRAG_LATER);
    cr_assert_eq(datagram_id(&p), 0xdeadbeef);
}

Test(ipv6, payload_length_zero_means_all_that_was_captured)
{
    struct bytes b = ip6(17, "0035 0400 0008 0000 6162");
    b.at[18] = b.at[19] = 0;
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 2001:db8::1:53 2001:db8::2:1024", 0);
    cr_assert_eq(p.payload_bytes, 2);
}

Test(ipv6, extension_headers_without_end_stop_at_the_depth_limit)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 1, 2, 0x86dd);
    put_ip6(&b, 1, 2, 60, 800);
    for (unsigned i = 0; i < 100; i++)
        put_hex(&b, "3c00010400000000");
    EXPECT_KEY(decode(LT_ETH, &b), "ipv6-opts 2001:db8::1:0 2001:db8::2:0", 0);
}
