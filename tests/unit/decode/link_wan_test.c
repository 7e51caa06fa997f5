/* SPDX-License-Identifier: MIT */
/* Link types of lines: Frame Relay, ATM, SLIP, PPP with a direction; and of systems: pf, IPNET, NFLOG. */
#include <criterion/criterion.h>

#include "packets.h"

#define UDP4 "udp 10.0.0.1:53 10.0.0.2:1024"
#define UDP6 "udp 2001:db8::1:53 2001:db8::2:1024"
#define MACS "020000000002 020000000005"

Test(wan, frame_relay_carries_what_its_nlpid_says)
{
    struct bytes v4 = with_ip4("1841 03cc"), v6 = with_ip6("1841 038e"), ppp = with_ip4("1841 03cf 0021"),
                 snap = with_ip6("1841 0300 80 000000 86dd"),
                 bridged = with_ip4("1841 0300 80 0080c2 0007" MACS "0800");
    EXPECT_KEY(decode(LT_FRELAY, &v4), UDP4, 1);
    EXPECT_KEY(decode(LT_FRELAY, &v6), UDP6, 1);
    EXPECT_KEY(decode(LT_FRELAY, &ppp), UDP4, 1);
    EXPECT_KEY(decode(LT_FRELAY, &snap), UDP6, 1);
    EXPECT_KEY(decode(LT_FRELAY, &bridged), UDP4, 1);
    cr_assert_eq(decode(LT_FRELAY, &bridged).mac[0][5], 5);
}

Test(wan, a_frame_relay_address_has_two_to_four_bytes)
{
    struct bytes three = with_ip4("1840 41 0300cc"), four = with_ip4("1840 00 41 03cc"),
                 five = with_ip4("1840 00 00 41");
    struct bytes odd = with_ip4("1941 03cc");
    EXPECT_KEY(decode(LT_FRELAY, &three), UDP4, 1);
    EXPECT_KEY(decode(LT_FRELAY, &four), UDP4, 1);
    cr_assert_eq(decode(LT_FRELAY, &five).malformed, 1);
    cr_assert_eq(decode(LT_FRELAY, &odd).malformed, 1, "the first byte cannot be the last");
}

Test(wan, ciscos_frame_relay_has_an_ethertype)
{
    struct bytes b = with_ip4("1841 0800"), cdp = only("1841 2000 0100");
    EXPECT_KEY(decode(LT_FRELAY, &b), UDP4, 1);
    EXPECT_KEY(decode(LT_FRELAY, &cdp), "12000 - -", 0);
}

Test(wan, frame_relay_signalling_goes_by_the_link_type)
{
    struct bytes q933 = only("0001 0308 0075 95"), lapf = only("0001 7f08 0075");
    EXPECT_KEY(decode(LT_FRELAY, &q933), "3006b - -", 0);
    EXPECT_KEY(decode(LT_FRELAY, &lapf), "3006b - -", 0);
}

Test(wan, a_direction_byte_is_skipped)
{
    struct bytes hdlc = with_ip4("01 0f00 0800"), relay = with_ip4("00 1841 03cc"), pppd = with_ip4("0103 0021");
    EXPECT_KEY(decode(LT_CHDLC_DIR, &hdlc), UDP4, 1);
    EXPECT_KEY(decode(LT_FRELAY_DIR, &relay), UDP4, 1);
    EXPECT_KEY(decode(LT_PPPD, &pppd), UDP4, 1);
}

Test(wan, slip_has_16_bytes_in_front_of_ip)
{
    struct bytes v4 = with_ip4("00 40 0000000000000000000000000000"),
                 v6 = with_ip6("01 40 0000000000000000000000000000");
    EXPECT_KEY(decode(LT_SLIP, &v4), UDP4, 1);
    EXPECT_KEY(decode(LT_SLIP, &v6), UDP6, 1);
}

Test(wan, atm_carries_llc_routed_and_bridged)
{
    struct bytes routed = with_ip4("aaaa03 000000 0800"), bridged = with_ip4("aaaa03 0080c2 0007 0000" MACS "0800"),
                 with_fcs = with_ip6("aaaa03 0080c2 0001 0000" MACS "86dd"), bpdu = only("aaaa03 0080c2 000e 0000");
    EXPECT_KEY(decode(LT_ATM, &routed), UDP4, 1);
    EXPECT_KEY(decode(LT_ATM, &bridged), UDP4, 1);
    EXPECT_KEY(decode(LT_ATM, &with_fcs), UDP6, 1);
    EXPECT_KEY(decode(LT_ATM, &bpdu), "2aaaa - -", 0);
}

Test(wan, llc_of_iso_protocols_may_carry_ppp_and_ip)
{
    struct bytes ppp = with_ip4("fefe03 cf 0021"), v4 = with_ip4("fefe03 cc"), v6 = with_ip6("fefe03 8e"),
                 isis = only("fefe03 83 1b01"), cut = only("fefe03");
    EXPECT_KEY(decode(LT_ATM, &ppp), UDP4, 1);
    EXPECT_KEY(decode(LT_ATM, &v4), UDP4, 1);
    EXPECT_KEY(decode(LT_ATM, &v6), UDP6, 1);
    EXPECT_KEY(decode(LT_ATM, &isis), "2fefe - -", 0);
    EXPECT_KEY(decode(LT_ATM, &cut), "2fefe - -", 0);
}

Test(wan, ppp_may_be_cisco_hdlc)
{
    struct bytes unicast = with_ip4("0f00 0800"), multicast = with_ip6("8f00 86dd"), dir = with_ip4("01 0f00 0800");
    EXPECT_KEY(decode(LT_PPP, &unicast), UDP4, 1);
    EXPECT_KEY(decode(LT_PPP, &multicast), UDP6, 1);
    EXPECT_KEY(decode(LT_PPP_DIR, &dir), UDP4, 1);
}

Test(wan, junipers_header_may_have_extensions_and_no_link_header_behind_it)
{
    struct bytes ether = with_ip4("4d4743 01" MACS "0800"), ext = with_ip6("4d4743 80 0003 010101" MACS "86dd"),
                 pppoe = with_ip4("4d4743 01" MACS "8864 1100 0007 0026 0021"), ppp = with_ip4("4d4743 00 ff03 0021"),
                 relay = with_ip4("4d4743 00 1841 03cc"), hdlc = with_ip4("4d4743 00 0f00 0800"),
                 none = with_ip6("4d4743 82 0003 010101 06000000"), other = only("4d4743 03 03000000 000641ff 4500"),
                 magic = only("4d4744 03 02000000 4500 0020"), cut = only("4d4743 81 0009 010101");
    EXPECT_KEY(decode(LT_JUNIPER_ETHER, &ether), UDP4, 1);
    EXPECT_KEY(decode(LT_JUNIPER_ETHER, &ext), UDP6, 1);
    EXPECT_KEY(decode(LT_JUNIPER_PPPOE, &pppoe), UDP4, 1);
    EXPECT_KEY(decode(LT_JUNIPER_PPP, &ppp), UDP4, 1);
    EXPECT_KEY(decode(LT_JUNIPER_FRELAY, &relay), UDP4, 1);
    EXPECT_KEY(decode(LT_JUNIPER_CHDLC, &hdlc), UDP4, 1);
    EXPECT_KEY(decode(LT_JUNIPER_CHDLC, &none), UDP6, 1);
    EXPECT_KEY(decode(LT_JUNIPER_PPP, &other), "300b3 - -", 0);
    EXPECT_KEY(decode(LT_JUNIPER_ETHER, &magic), "300b2 - -", 0);
    cr_assert_eq(decode(LT_JUNIPER_ETHER, &cut).malformed, 1);
}

#define ERF(type) "0000000000000000 " type " 04 0000 0000 0000"

Test(wan, an_endace_record_says_what_it_holds)
{
    struct bytes frame = with_ip4(ERF("02") "0000" MACS "0800"), hdlc = with_ip6(ERF("01") "0f00 86dd"),
                 v4 = with_ip4(ERF("16")), v6 = with_ip6(ERF("97") "0300000000000000"),
                 two = with_ip4(ERF("90") "8300000000000000 0400000000000000 0000" MACS "0800"),
                 other = only(ERF("15") "45000020"), cut = only(ERF("82") "8300000000000000 04000000000000");
    EXPECT_KEY(decode(LT_ERF, &frame), UDP4, 1);
    EXPECT_KEY(decode(LT_ERF, &hdlc), UDP6, 1);
    EXPECT_KEY(decode(LT_ERF, &v4), UDP4, 1);
    EXPECT_KEY(decode(LT_ERF, &v6), UDP6, 1);
    EXPECT_KEY(decode(LT_ERF, &two), UDP4, 1);
    EXPECT_KEY(decode(LT_ERF, &other), "300c5 - -", 0);
    cr_assert_eq(decode(LT_ERF, &cut).malformed, 1);
}

Test(wan, numbers_of_some_systems_for_atm)
{
    struct bytes llc = with_ip4("aaaa03 000000 0800"), without = with_ip4("");
    EXPECT_KEY(decode(11, &llc), UDP4, 1);
    EXPECT_KEY(decode(19, &llc), UDP4, 1);
    EXPECT_KEY(decode(19, &without), UDP4, 1);
}

Test(wan, classical_ip_over_atm_may_go_without_llc)
{
    struct bytes with = with_ip4("aaaa03 000000 0800"), without = with_ip4("");
    EXPECT_KEY(decode(LT_ATM_CLIP, &with), UDP4, 1);
    EXPECT_KEY(decode(LT_ATM_CLIP, &without), UDP4, 1);
}

Test(wan, sunatm_says_what_a_frame_is)
{
    struct bytes llc = with_ip4("82 00 0064 aaaa03 000000 0800"), lane = with_ip6("01 00 0064 0001" MACS "86dd"),
                 control = only("01 00 0064 ff00 0101"), signalling = only("06 00 0005 0903");
    EXPECT_KEY(decode(LT_SUNATM, &llc), UDP4, 1);
    EXPECT_KEY(decode(LT_SUNATM, &lane), UDP6, 1);
    EXPECT_KEY(decode(LT_SUNATM, &control), "3007b - -", 0);
    EXPECT_KEY(decode(LT_SUNATM, &signalling), "3007b - -", 0);
}

Test(wan, an_mpls_link_starts_with_its_labels)
{
    struct bytes b = with_ip4("0001 00ff 0002 01ff");
    struct fc_packet p = decode(LT_MPLS, &b);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.mpls_count, 2);
    cr_assert_eq(p.mpls[1], 0x20);
}

Test(wan, enc_and_ipnet_name_the_family)
{
    struct bytes little = with_ip4("02000000 00001234 00000000"), big = with_ip6("00000018 00001234 00000000");
    struct bytes solaris = with_ip6("011a 0000 00000034 00000001 00000000 00000000 00000000"),
                 v4 = with_ip4("0102 0000 00000020 00000001 00000000 00000000 00000000");
    EXPECT_KEY(decode(LT_ENC, &little), UDP4, 1);
    EXPECT_KEY(decode(LT_ENC, &big), UDP6, 1);
    EXPECT_KEY(decode(LT_IPNET, &solaris), UDP6, 1);
    EXPECT_KEY(decode(LT_IPNET, &v4), UDP4, 1);
}

Test(wan, pflog_headers_differ_in_length)
{
    static const unsigned lengths[] = {48, 61, 64, 84, 100};
    for (unsigned i = 0; i < 5; i++) {
        struct bytes b = {.n = 0}, ip = with_ip4("");
        put_zeros(&b, (lengths[i] + 3) & ~3u);
        b.at[0] = (uint8_t)lengths[i];
        b.at[1] = 2;
        for (unsigned k = 0; k < ip.n; k++)
            b.at[b.n++] = ip.at[k];
        EXPECT_KEY(decode(LT_PFLOG, &b), UDP4, 1);
        b.at[0] = 20;
        cr_assert_eq(decode(LT_PFLOG, &b).malformed, 1);
    }
}

Test(wan, nflog_is_read_in_either_byte_order)
{
    struct bytes little = with_ip4("0200 0001 0600 0a00 65740000 2000 0900"),
                 big = with_ip6("0a00 0001 0006 000a 65740000 0034 0009");
    EXPECT_KEY(decode(LT_NFLOG, &little), UDP4, 1);
    EXPECT_KEY(decode(LT_NFLOG, &big), UDP6, 1);
}

Test(wan, nflog_of_a_bridge_goes_by_its_ethertype_and_sender)
{
    struct bytes ip = with_ip4("0700 0001 0800 0100 0800 0100 2000 0900");
    struct bytes lldp = only("0700 0001 0800 0100 88cc 0100 1000 0800 0006 0000 020000000005 0000 0600 0900 0207");
    EXPECT_KEY(decode(LT_NFLOG, &ip), UDP4, 1);
    EXPECT_KEY(decode(LT_NFLOG, &lldp), "188cc 00 05", 1);
}

Test(wan, nflog_without_a_packet_goes_by_the_link_type)
{
    struct bytes none = only("0200 0001 0600 0a00 65740000"), endless = only("0200 0001 0000 0000 0000 0000");
    EXPECT_KEY(decode(LT_NFLOG, &none), "300ef - -", 0);
    EXPECT_KEY(decode(LT_NFLOG, &endless), "300ef - -", 0);
}
