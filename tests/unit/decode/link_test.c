/* SPDX-License-Identifier: MIT */
/* Link types other than Ethernet. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "packets.h"

#define UDP4 "udp 10.0.0.1:53 10.0.0.2:1024"
#define UDP6 "udp 2001:db8::1:53 2001:db8::2:1024"

Test(link, raw_types_take_either_ip_version)
{
    static const uint32_t types[] = {12, 14, 101};
    struct bytes v4 = with_ip4(""), v6 = with_ip6("");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_KEY(decode(types[i], &v4), UDP4, 1);
        EXPECT_KEY(decode(types[i], &v6), UDP6, 1);
    }
}

Test(link, a_raw_record_has_no_link_layer)
{
    struct bytes b = with_ip4("");
    struct fc_packet p = decode(LT_RAW, &b);
    cr_assert_eq(p.layer[0].type, FC_LAYER_IPV4);
    cr_assert_eq(p.layer[0].off, 0);
}

Test(link, ipv4_and_ipv6_types_take_the_other_version_too)
{
    struct bytes v4 = with_ip4(""), v6 = with_ip6("");
    EXPECT_KEY(decode(LT_IPV4, &v4), UDP4, 1);
    EXPECT_KEY(decode(LT_IPV6, &v6), UDP6, 1);
    EXPECT_KEY(decode(LT_IPV4, &v6), UDP6, 1);
    EXPECT_KEY(decode(LT_IPV6, &v4), UDP4, 1);
}

Test(link, loopback_is_read_in_either_byte_order)
{
    struct bytes little = with_ip4("02000000"), big = with_ip4("00000002");
    EXPECT_KEY(decode(LT_NULL, &little), UDP4, 1);
    EXPECT_KEY(decode(LT_NULL, &big), UDP4, 1);
    EXPECT_KEY(decode(LT_LOOP, &little), UDP4, 1);
    EXPECT_KEY(decode(LT_LOOP, &big), UDP4, 1);
}

Test(link, loopback_knows_every_systems_number_for_ipv6)
{
    static const char *const families[] = {"0a000000", "17000000", "18000000", "1c000000", "1e000000", "0000001e"};
    for (unsigned i = 0; i < 6; i++) {
        struct bytes b = with_ip6(families[i]);
        EXPECT_KEY(decode(LT_NULL, &b), UDP6, 1);
    }
}

Test(link, loopback_may_have_an_ethertype_or_ppp_in_place_of_a_family)
{
    static const char *const v4[] = {"00080000",          "00000800", "47880000 00001140",
                                     "00008847 00001140", "ff030021", "ff0321"};
    for (unsigned i = 0; i < 6; i++) {
        struct bytes b = with_ip4(v4[i]);
        EXPECT_KEY(decode(LT_NULL, &b), UDP4, 1);
    }
    struct bytes v6 = with_ip6("dd860000"),
                 arp = only("00000806 0001 0800 0604 0001 02000000000a 0a000001 000000000000 0a000002");
    EXPECT_KEY(decode(LT_LOOP, &v6), UDP6, 1);
    EXPECT_KEY(decode(LT_NULL, &arp), "10806 10.0.0.1:0 10.0.0.2:0", 0);
}

Test(link, another_loopback_family_is_a_session_of_the_link_type)
{
    struct bytes b = only("07000000 83");
    EXPECT_KEY(decode(LT_LOOP, &b), "3006c - -", 0);
}

Test(link, cooked_headers_lead_to_ip_and_have_the_senders_address)
{
    struct bytes v1 = with_ip4("0000 0001 0006 020000000005 0000 0800");
    struct bytes v2 = with_ip6("86dd 0000 00000001 0001 00 06 020000000005 0000");
    struct fc_packet p = decode(LT_SLL, &v1), q = decode(LT_SLL2, &v2);
    EXPECT_KEY(p, UDP4, 1);
    EXPECT_KEY(q, UDP6, 1);
    cr_assert_eq(p.mac[0][5], 5);
    cr_assert_eq(q.mac[0][5], 5);
    cr_assert_eq(p.mac[1][5], 0);
}

Test(link, a_cooked_session_without_ip_goes_by_the_senders_address)
{
    struct bytes b = only("0000 0001 0006 020000000005 0000 88cc 0207");
    EXPECT_KEY(decode(LT_SLL, &b), "188cc 00 05", 1);
}

Test(link, cooked_protocols_that_are_no_ethertypes)
{
    struct bytes frame = with_ip4("0000 0001 0006 020000000005 0000 0003 020000000001 020000000002 0800"),
                 ppp = with_ip4("0000 0200 0000 000000000000 0000 0007 ff03 0021"),
                 frame2 = with_ip4("0003 0000 00000001 0001 00 06 020000000005 0000 020000000001 020000000002 0800"),
                 ppp2 = with_ip6("0007 0000 00000001 0200 00 00 000000000000 0000 0057");
    struct fc_packet p = decode(LT_SLL, &frame);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.mac[0][5], 2);
    cr_assert_eq(p.mac[1][5], 1);
    EXPECT_KEY(decode(LT_SLL, &ppp), UDP4, 1);
    EXPECT_KEY(decode(LT_SLL2, &frame2), UDP4, 1);
    EXPECT_KEY(decode(LT_SLL2, &ppp2), UDP6, 1);
}

Test(link, a_cooked_ethertype_means_more_than_the_type_of_the_interface)
{
    static const char *const types[] = {"0302", "0321", "0322", "0323"}; /* Frame Relay, 802.11, Prism, radiotap */
    char sll[64], sll2[64];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(sll, sizeof sll, "0004 %s 0006 02000000000b 0000 86dd", types[i]);
        struct bytes v6 = with_ip6(sll);
        EXPECT_KEY(decode(LT_SLL, &v6), UDP6, 1);
        snprintf(sll2, sizeof sll2, "0800 0000 00000003 %s 00 06 02000000000b 0000", types[i]);
        struct bytes v4 = with_ip4(sll2);
        EXPECT_KEY(decode(LT_SLL2, &v4), UDP4, 1);
    }
}

Test(link, a_cooked_address_of_another_length_is_none)
{
    struct bytes b = only("0000 0304 0000 0000000000000000 88cc 0207");
    struct fc_packet p = decode(LT_SLL, &b);
    EXPECT_KEY(p, "188cc - -", 0);
    cr_assert_not(p.got & FC_WANT_MAC);
}

Test(link, a_cooked_tag_is_gone_through)
{
    struct bytes b = with_ip4("0000 0001 0006 020000000005 0000 8100 0064 0800");
    struct fc_packet p = decode(LT_SLL, &b);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.vlan[0], 100);
}

Test(link, cooked_protocol_4_is_llc)
{
    struct bytes b = only("0000 0001 0006 020000000005 0000 0004 424203 0000");
    EXPECT_KEY(decode(LT_SLL, &b), "24242 00 05", 1);
}

Test(link, cooked_netlink_is_a_session_of_the_link_type)
{
    struct bytes b = only("0004 0338 0000 0000000000000000 0000 1400");
    EXPECT_KEY(decode(LT_SLL, &b), "30071 - -", 0);
}

Test(link, a_cut_cooked_header_is_malformed)
{
    struct bytes v1 = with_ip4("0000 0001 0006 020000000005 0000 0800"), v2 = v1;
    v1.n = 15;
    v2.n = 19;
    cr_assert_eq(decode(LT_SLL, &v1).malformed, 1);
    cr_assert_eq(decode(LT_SLL2, &v2).malformed, 1);
}

Test(link, ppp_may_omit_address_and_control_and_compress_the_protocol)
{
    static const char *const heads[] = {"ff03 0021", "0021", "ff03 21", "21"};
    for (unsigned i = 0; i < 4; i++) {
        struct bytes b = with_ip4(heads[i]);
        EXPECT_KEY(decode(LT_PPP, &b), UDP4, 1);
        EXPECT_KEY(decode(LT_HDLC, &b), UDP4, 1);
    }
}

Test(link, ppp_carries_ipv6_and_mpls)
{
    struct bytes v6 = with_ip6("ff03 0057"), mpls = with_ip4("ff03 0281 00064 1ff");
    EXPECT_KEY(decode(LT_PPP, &v6), UDP6, 1);
    EXPECT_KEY(decode(LT_PPP, &mpls), UDP4, 1);
}

Test(link, ppp_without_ip_is_a_session_of_its_protocol)
{
    struct bytes b = only("ff03 c021 0101 0004");
    EXPECT_KEY(decode(LT_PPP, &b), "4c021 - -", 0);
}

Test(link, ppp_with_direction_skips_its_byte)
{
    struct bytes b = with_ip4("01 ff03 0021");
    struct fc_packet p = decode(LT_PPP_DIR, &b);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(layer_off(&p, FC_LAYER_PPP), 1);
}

Test(link, pppoe_without_ethernet_has_no_addresses)
{
    struct bytes b = with_ip4("1100 0001 001e 0021"), lcp = only("1100 0001 0004 c021 0101");
    EXPECT_KEY(decode(LT_PPPOE, &b), UDP4, 1);
    EXPECT_KEY(decode(LT_PPPOE, &lcp), "4c021 - -", 0);
}

Test(link, cisco_hdlc_carries_ethertypes)
{
    struct bytes b = with_ip4("0f00 0800"), multicast = with_ip6("8f00 86dd");
    EXPECT_KEY(decode(LT_CHDLC, &b), UDP4, 1);
    EXPECT_KEY(decode(LT_HDLC, &b), UDP4, 1);
    EXPECT_KEY(decode(LT_CHDLC, &multicast), UDP6, 1);
}

Test(link, slarp_is_not_taken_for_rarp)
{
    struct bytes b = only("8f00 8035 0000 0002 0a000001 00000000 ffff 00000000 00000000");
    EXPECT_KEY(decode(LT_CHDLC, &b), "18035 - -", 0);
}

Test(link, ppp_under_cisco_hdlc_is_ppp)
{
    struct bytes b = with_ip4("ff03 0021");
    EXPECT_KEY(decode(LT_CHDLC, &b), UDP4, 1);
}

Test(link, an_unknown_link_type_is_a_session_of_its_own_even_when_empty)
{
    struct fc_packet p;
    fc_decode(189, NULL, 0, 0, FC_WANT_ALL, &p);
    EXPECT_KEY(p, "300bd - -", 0);
    cr_assert_eq(p.malformed, 0);
    fc_decode(0xffffffff, NULL, 0, 0, FC_WANT_ALL, &p);
    EXPECT_KEY(p, "3ffff - -", 0);
}

Test(link, an_empty_record_of_a_known_link_type_is_malformed)
{
    for (uint32_t type = 0; type < 400; type++) {
        struct fc_packet p;
        fc_decode(type, NULL, 0, 0, FC_WANT_ALL, &p);
        /* 149 is anybody's: without a header of PKTAP it is opaque */
        cr_assert_eq(p.malformed, fc_link_type_known(type) && type != 149, "link type %u", type);
    }
}
