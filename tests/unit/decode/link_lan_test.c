/* SPDX-License-Identifier: MIT */
/* Link types of local networks and switches. */
#include <criterion/criterion.h>

#include "packets.h"

#define UDP4 "udp 10.0.0.1:53 10.0.0.2:1024"
#define UDP6 "udp 2001:db8::1:53 2001:db8::2:1024"
#define MACS "020000000002 020000000005"
#define SNAP "aaaa03 000000"

Test(lan, token_ring_leads_to_llc)
{
    struct bytes b = with_ip4("1040" MACS SNAP "0800");
    struct fc_packet p = decode(LT_TOKEN_RING, &b);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.mac[0][5], 5);
    cr_assert_eq(p.mac[1][5], 2);
}

Test(lan, a_routing_field_of_token_ring_is_skipped)
{
    struct bytes b = with_ip4("1040 020000000002 820000000005 0610 00a1 00b0" SNAP "0800");
    struct fc_packet p = decode(LT_TOKEN_RING, &b);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.mac[0][0], 0x02, "the bit that says so is no part of the address");
}

Test(lan, source_routed_and_direct_frames_are_one_session)
{
    struct bytes there = only("1040 020000000002 820000000005 0210 424203 0000");
    struct bytes back = only("1040 020000000005 020000000002 424203 0000");
    EXPECT_KEY(decode(LT_TOKEN_RING, &there), "24242 02 05", 1);
    EXPECT_KEY(decode(LT_TOKEN_RING, &back), "24242 02 05", 0);
}

Test(lan, a_routing_field_shorter_than_itself_is_malformed)
{
    struct bytes b = with_ip4("1040 020000000002 820000000005 0110" SNAP "0800");
    cr_assert_eq(decode(LT_TOKEN_RING, &b).malformed, 1);
}

Test(lan, token_ring_and_fddi_frames_without_llc_go_by_the_link_type)
{
    struct bytes ring = only("1005" MACS "00140f05"), fddi = only("4f" MACS "0000");
    EXPECT_KEY(decode(LT_TOKEN_RING, &ring), "30006 02 05", 1);
    EXPECT_KEY(decode(LT_FDDI, &fddi), "3000a 02 05", 1);
}

Test(lan, fddi_leads_to_llc_at_any_priority)
{
    static const char *const controls[] = {"50", "57", "d0"};
    for (unsigned i = 0; i < 3; i++) {
        struct bytes b = only(controls[i]), rest = with_ip6(MACS SNAP "86dd");
        for (unsigned k = 0; k < rest.n; k++)
            b.at[b.n++] = rest.at[k];
        EXPECT_KEY(decode(LT_FDDI, &b), UDP6, 1);
    }
}

Test(lan, arcnet_has_a_short_a_long_and_an_exception_header)
{
    struct bytes old = with_ip4("0102 f0"), new = with_ip4("0102 d4 00 0001"), six = with_ip6("0102 c4 00 0001"),
                 exception = with_ip4("0102 d4 ff0000 00 00 0001"), linux_old = with_ip4("0102 0000 f0"),
                 linux_new = with_ip4("0102 0000 d4 00 0001");
    EXPECT_KEY(decode(LT_ARCNET, &old), UDP4, 1);
    EXPECT_KEY(decode(LT_ARCNET, &new), UDP4, 1);
    EXPECT_KEY(decode(LT_ARCNET, &six), UDP6, 1);
    EXPECT_KEY(decode(LT_ARCNET, &exception), UDP4, 1);
    EXPECT_KEY(decode(LT_ARCNET_LINUX, &linux_old), UDP4, 1);
    EXPECT_KEY(decode(LT_ARCNET_LINUX, &linux_new), UDP4, 1);
}

Test(lan, only_the_first_part_of_a_split_arcnet_packet_has_headers)
{
    struct bytes first = with_ip4("0102 d4 03 0001"), second = with_ip4("0102 d4 02 0001");
    EXPECT_KEY(decode(LT_ARCNET, &first), UDP4, 1);
    EXPECT_KEY(decode(LT_ARCNET, &second), "30007 - -", 0);
}

Test(lan, arcnet_carries_arp)
{
    struct bytes b = only("0100 d5 00 0001 0007 0800 01 04 0001 05 0a000005 00 0a000002");
    EXPECT_KEY(decode(LT_ARCNET, &b), "10806 10.0.0.2:0 10.0.0.5:0", 1);
}

Test(lan, long_addresses_stand_in_front_of_an_ethertype)
{
    struct bytes firewire = with_ip4("0200000000000002 0200000000000005 0800");
    struct bytes infiniband = with_ip6("60000000 00000000 0000000000000000 0000000000000000 0000000000000000"
                                       "0000000000000000 86dd 0000");
    EXPECT_KEY(decode(LT_IEEE1394, &firewire), UDP4, 1);
    EXPECT_KEY(decode(LT_IPOIB, &infiniband), UDP6, 1);
}

Test(lan, fibre_channel_has_mac_addresses_behind_their_authority)
{
    struct bytes ip = with_ip4("1000 020000000002 1000 020000000005" SNAP "0800");
    struct bytes other = only("1000 020000000002 1000 020000000005" SNAP "88cc 0207");
    EXPECT_KEY(decode(LT_IP_OVER_FC, &ip), UDP4, 1);
    EXPECT_KEY(decode(LT_IP_OVER_FC, &other), "188cc 02 05", 1);
}

Test(lan, switch_tags_are_skipped)
{
    struct bytes brcm = with_ip4(MACS "20000008 0800"), prepend = with_ip4("20000008" MACS "0800"),
                 dsa = with_ip6(MACS "c010 0539 86dd"), edsa = with_ip4(MACS "dada 0000 4000 0000 0800");
    EXPECT_KEY(decode(LT_BRCM, &brcm), UDP4, 1);
    EXPECT_KEY(decode(LT_BRCM_PREPEND, &prepend), UDP4, 1);
    EXPECT_KEY(decode(LT_DSA, &dsa), UDP6, 1);
    EXPECT_KEY(decode(LT_EDSA, &edsa), UDP4, 1);
    cr_assert_eq(decode(LT_BRCM_PREPEND, &prepend).mac[0][5], 5);
}

Test(lan, a_dsa_tag_has_the_vlan_of_a_tagged_frame_only)
{
    struct bytes untagged = with_ip4(MACS "c010 0539 0800"), tagged = with_ip4(MACS "e010 e539 0800"),
                 edsa = with_ip4(MACS "dada 0000 e010 0064 0800");
    cr_assert_not(decode(LT_DSA, &untagged).got & FC_WANT_VLAN);
    struct fc_packet p = decode(LT_DSA, &tagged), q = decode(LT_EDSA, &edsa);
    cr_assert_eq(p.vlan_count, 1);
    cr_assert_eq(p.vlan[0], 0x539, "the priority is no part of it");
    cr_assert_eq(q.vlan[0], 100);
}

Test(lan, a_tag_without_a_whole_header_is_malformed)
{
    static const uint32_t types[] = {LT_BRCM, LT_BRCM_PREPEND, LT_DSA, LT_EDSA};
    for (unsigned i = 0; i < 4; i++) {
        struct bytes b = only(MACS "20000008");
        cr_assert_eq(decode(types[i], &b).malformed, 1);
    }
}
