/* SPDX-License-Identifier: MIT */
/* Ethernet and what stands between it and IP. */
#include <criterion/criterion.h>

#include "packets.h"

static struct bytes eth(unsigned type, const char *hex)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 2, 1, type);
    put_hex(&b, hex);
    return b;
}

Test(ethernet, less_than_fourteen_bytes_is_malformed)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    b.n = 13;
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_eq(p.key.proto, (uint32_t)FC_PROTO_MALFORMED);
    cr_assert_eq(p.malformed, 1);
    cr_assert_eq(p.layer_count, 0);
}

Test(ethernet, a_zero_length_record_is_malformed)
{
    struct fc_packet p;
    fc_decode(LT_ETH, NULL, 0, 0, FC_WANT_ALL, &p);
    cr_assert_eq(p.key.proto, (uint32_t)FC_PROTO_MALFORMED);
    cr_assert_eq(p.got, (uint32_t)FC_WANT_KEY);
}

Test(ethernet, traffic_without_ip_goes_by_link_addresses_and_ethertype)
{
    struct bytes b = eth(0x88cc, "0207");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "188cc 01 02", 1);
    cr_assert_eq(p.got, (uint32_t)(FC_WANT_KEY | FC_WANT_MAC));
    cr_assert_eq(layer_off(&p, FC_LAYER_PAYLOAD), 14);
}

Test(ethernet, link_addresses_are_sender_then_receiver)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_eq(p.mac[0][5], 1);
    cr_assert_eq(p.mac[1][5], 2);
}

Test(ethernet, an_802_3_length_leads_to_llc_saps)
{
    struct bytes b = eth(38, "424203 0000");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "24242 01 02", 1);
    cr_assert_eq(layer_off(&p, FC_LAYER_LLC), 14);
}

Test(ethernet, llc_command_and_response_are_one_session)
{
    struct bytes command = eth(38, "f0f003"), response = eth(38, "f0f103");
    struct fc_packet p = decode(LT_ETH, &command), q = decode(LT_ETH, &response);
    cr_assert_arr_eq(&p.key, &q.key, sizeof(p.key));
}

Test(ethernet, snap_with_oui_zero_continues_as_ethertype)
{
    struct bytes b = eth(64, "aaaa03 000000 0800");
    put_ip4(&b, 2, 1, 17, 8);
    put_udp(&b, 53, 1024, 0);
    EXPECT_KEY(decode(LT_ETH, &b), "udp 10.0.0.1:1024 10.0.0.2:53", 1);
}

Test(ethernet, snap_with_bridge_tunnel_oui_continues_as_ethertype)
{
    struct bytes b = eth(64, "aaaa03 0000f8 80f3");
    EXPECT_KEY(decode(LT_ETH, &b), "180f3 01 02", 1);
}

Test(ethernet, snap_with_another_oui_is_an_llc_session)
{
    struct bytes b = eth(64, "aaaa03 00000c 2000 02b4");
    EXPECT_KEY(decode(LT_ETH, &b), "2aaaa 01 02", 1);
}

Test(ethernet, llc_06_06_is_ip)
{
    struct bytes b = eth(64, "060603");
    put_ip4(&b, 1, 2, 17, 8);
    put_udp(&b, 53, 1024, 0);
    EXPECT_KEY(decode(LT_ETH, &b), "udp 10.0.0.1:53 10.0.0.2:1024", 0);
}

Test(ethernet, a_cut_llc_or_snap_header_is_malformed)
{
    struct bytes b = eth(64, "4242"), snap = eth(64, "aaaa03 000000 08");
    cr_assert_eq(decode(LT_ETH, &b).malformed, 1);
    cr_assert_eq(decode(LT_ETH, &snap).malformed, 1);
}

Test(ethernet, a_jumbo_frame_may_have_llc_behind_an_ethertype)
{
    struct bytes b = with_ip4("020000000001 020000000002 8870 aaaa03 000000 0800");
    EXPECT_KEY(decode(LT_ETH, &b), "udp 10.0.0.1:53 10.0.0.2:1024", 1);
}

/* An encrypted frame, another version; TRILL of another version; B.A.T.M.A.N. of another version, its own message. */
Test(ethernet, what_a_wrapper_hides_goes_by_its_ethertype)
{
    static const struct {
        const char *hex, *key;
    } cases[] = {
        {"88e5 0c 00 00000001 0800", "188e5 01 02"},   {"88e5 08 00 00000001 0800", "188e5 01 02"},
        {"88e5 80 00 00000001 0800", "188e5 01 02"},   {"22f3 403f 0001 0002", "122f3 01 02"},
        {"4305 400e3201 020000000003", "14305 01 02"}, {"4305 000f3201 00000001 020000000003", "14305 01 02"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes b = only("020000000001 020000000002");
        put_hex(&b, cases[i].hex);
        put_hex(&b, "020000000009 020000000008 0800 4500");
        EXPECT_KEY(decode(LT_ETH, &b), cases[i].key, 1);
    }
}

Test(ethernet, an_inter_switch_link_wraps_a_frame)
{
    struct bytes b = with_ip4("01000c0000 00 020000000003 0050 aaaa03 00000c 00cb 0001 0000"
                              "020000000001 020000000002 0800"),
                 other = only("01000c0000 10 020000000003 0014 aaaa03 00000c 00cb 0001 0000 1040 020000000001"),
                 cdp = only("01000ccccccc 020000000003 0008 aaaa03 00000c 2000"),
                 cut = only("01000c0000 00 020000000003 0050 aaaa03 00000c 00cb 0001 0000 0200000000");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 10.0.0.1:53 10.0.0.2:1024", 1);
    cr_assert_eq(p.vlan_count, 1);
    cr_assert_eq(p.vlan[0], 0x65);
    cr_assert_eq(p.mac[0][5], 2);
    cr_assert_eq(p.mac[1][5], 1);
    EXPECT_KEY(decode(LT_ETH, &other), "2aaaa 10 03", 1);
    EXPECT_KEY(decode(LT_ETH, &cdp), "2aaaa cc 03", 1);
    cr_assert_eq(decode(LT_ETH, &cut).malformed, 1);
}

Test(vlan, every_tag_number_is_gone_through)
{
    static const unsigned tags[] = {0x8100, 0x88a8, 0x9100, 0x9200, 0x9300};
    for (unsigned i = 0; i < 5; i++) {
        struct bytes b = eth(tags[i], "0064 0800");
        put_ip4(&b, 1, 2, 17, 8);
        put_udp(&b, 53, 1024, 0);
        struct fc_packet p = decode(LT_ETH, &b);
        EXPECT_KEY(p, "udp 10.0.0.1:53 10.0.0.2:1024", 0);
        cr_assert_eq(p.vlan_count, 1);
        cr_assert_eq(p.vlan[0], 100);
    }
}

Test(vlan, priority_bits_are_not_part_of_the_id)
{
    struct bytes b = eth(0x8100, "f064 88cc");
    cr_assert_eq(decode(LT_ETH, &b).vlan[0], 100);
}

Test(vlan, double_tags_are_reported_outermost_first)
{
    struct bytes b = eth(0x88a8, "0064 8100 00c8 88cc");
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_eq(p.vlan_count, 2);
    cr_assert_eq(p.vlan[0], 100);
    cr_assert_eq(p.vlan[1], 200);
}

Test(vlan, ids_are_in_the_key_only_when_asked)
{
    struct bytes b = eth(0x88a8, "0064 8100 0000 88cc"), one = eth(0x8100, "0064 88cc");
    cr_assert_eq(decode(LT_ETH, &b).key.domain, 0);
    cr_assert_eq(decode_mask(LT_ETH, &b, FC_WANT_KEY | FC_KEY_VLAN).key.domain, 101u | 1u << 13);
    cr_assert_eq(decode_mask(LT_ETH, &one, FC_WANT_KEY | FC_KEY_VLAN).key.domain, 101u);
}

Test(vlan, an_untagged_packet_has_domain_zero)
{
    struct bytes b = tcp4(1, 1, 2, 2);
    cr_assert_eq(decode_mask(LT_ETH, &b, FC_WANT_KEY | FC_KEY_VLAN).key.domain, 0);
}

Test(vlan, more_tags_than_reported_are_skipped_over)
{
    struct bytes b = eth(0x8100, "0001 8100 0002 8100 0003 8100 0004 8100 0005 8100 0006 88cc");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "188cc 01 02", 1);
    cr_assert_eq(p.vlan_count, FC_VLAN_MAX);
    cr_assert_eq(p.vlan[3], 4);
}

Test(vlan, a_cut_tag_is_malformed)
{
    struct bytes b = eth(0x8100, "0001 08");
    struct fc_packet p = decode_mask(LT_ETH, &b, FC_WANT_ALL | FC_KEY_VLAN);
    cr_assert_eq(p.key.proto, (uint32_t)FC_PROTO_MALFORMED);
    cr_assert_eq(p.key.domain, 0);
}

Test(vlan, a_chain_of_tags_without_end_stops_at_the_depth_limit)
{
    struct bytes b = eth(0x8100, "");
    for (unsigned i = 0; i < 200; i++)
        put_hex(&b, "0001 8100");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "18100 01 02", 1);
    cr_assert_eq(p.layer_count, FC_LAYERS_MAX);
}

Test(mpls, labels_are_reported_top_first_and_ip_follows)
{
    struct bytes b = eth(0x8847, "00064 0ff 000c8 1ff");
    put_ip4(&b, 1, 2, 17, 8);
    put_udp(&b, 53, 1024, 0);
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 10.0.0.1:53 10.0.0.2:1024", 0);
    cr_assert_eq(p.mpls_count, 2);
    cr_assert_eq(p.mpls[0], 100);
    cr_assert_eq(p.mpls[1], 200);
    cr_assert_eq(layer_off(&p, FC_LAYER_IPV4), 22);
}

Test(mpls, ipv6_is_found_by_its_first_nibble)
{
    struct bytes b = eth(0x8848, "00064 1ff");
    put_ip6(&b, 1, 2, 17, 8);
    put_udp(&b, 53, 1024, 0);
    EXPECT_KEY(decode(LT_ETH, &b), "udp 2001:db8::1:53 2001:db8::2:1024", 0);
}

Test(mpls, another_payload_is_a_link_session)
{
    struct bytes b = eth(0x8847, "00064 1ff 00000000 0200");
    EXPECT_KEY(decode(LT_ETH, &b), "18847 01 02", 1);
}

Test(mpls, a_stack_without_bottom_is_malformed)
{
    struct bytes b = eth(0x8847, "00064 0ff 00064 0");
    cr_assert_eq(decode(LT_ETH, &b).malformed, 1);
}

Test(pppoe, a_session_frame_carries_ppp)
{
    struct bytes b = eth(0x8864, "1100 0001 001e 0021");
    put_ip4(&b, 1, 2, 17, 8);
    put_udp(&b, 53, 1024, 0);
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "udp 10.0.0.1:53 10.0.0.2:1024", 0);
    cr_assert_eq(layer_off(&p, FC_LAYER_PPPOE), 14);
    cr_assert_eq(layer_off(&p, FC_LAYER_PPP), 20);
}

Test(pppoe, lcp_goes_by_the_link_addresses)
{
    struct bytes b = eth(0x8864, "1100 0001 0006 c021 0905 0004");
    EXPECT_KEY(decode(LT_ETH, &b), "4c021 01 02", 1);
}

Test(pppoe, discovery_and_frames_with_a_code_are_link_sessions)
{
    struct bytes discovery = eth(0x8863, "1109 0000 0004 01010000"), coded = eth(0x8864, "1109 0001 0002 0021");
    EXPECT_KEY(decode(LT_ETH, &discovery), "18863 01 02", 1);
    EXPECT_KEY(decode(LT_ETH, &coded), "18864 01 02", 1);
}

Test(pppoe, a_cut_header_is_malformed)
{
    struct bytes b = eth(0x8864, "1100 0001 00"), ppp = eth(0x8864, "1100 0001 0001 00");
    cr_assert_eq(decode(LT_ETH, &b).malformed, 1);
    cr_assert_eq(decode(LT_ETH, &ppp).malformed, 1);
}

Test(arp, the_key_has_the_protocol_addresses)
{
    struct bytes b = eth(0x0806, "0001 0800 06 04 0001 020000000002 0a000002 000000000000 0a000001");
    struct fc_packet p = decode(LT_ETH, &b);
    EXPECT_KEY(p, "10806 10.0.0.1:0 10.0.0.2:0", 1);
    cr_assert_eq(layer_off(&p, FC_LAYER_ARP), 14);
}

Test(arp, hardware_addresses_may_have_any_length)
{
    struct bytes b = eth(0x0806, "0018 0800 08 04 0001 0200000000000002 0a000002 0000000000000000 0a000001");
    EXPECT_KEY(decode(LT_ETH, &b), "10806 10.0.0.1:0 10.0.0.2:0", 1);
}

Test(arp, rarp_has_a_protocol_number_of_its_own)
{
    struct bytes b = eth(0x8035, "0001 0800 06 04 0003 020000000002 00000000 000000000000 00000000");
    EXPECT_KEY(decode(LT_ETH, &b), "18035 0.0.0.0:0 0.0.0.0:0", 0);
}

Test(arp, another_protocol_goes_by_link_addresses)
{
    struct bytes b = eth(0x0806, "0001 809b 06 04 0001 020000000002 0a000002 000000000000 0a000001");
    EXPECT_KEY(decode(LT_ETH, &b), "10806 01 02", 1);
}

Test(arp, a_cut_packet_is_malformed)
{
    struct bytes b = eth(0x0806, "0001 0800 06 04 0001 020000000002 0a000002 000000000000 0a0000");
    cr_assert_eq(decode(LT_ETH, &b).malformed, 1);
}
