/* SPDX-License-Identifier: MIT */
/* 802.11 and the headers in front of it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "packets.h"

#define UDP4 "udp 10.0.0.1:53 10.0.0.2:1024"
#define SNAP "aaaa03 000000 0800"
/* three addresses and sequence control */
#define A123 "020000000001 020000000002 020000000003 1000"
#define OPAQUE "30069 "

Test(wlan, data_frames_name_their_ends_by_direction)
{
    /* frame control, and which address is the sender's and the receiver's */
    static const struct {
        const char *head;
        uint8_t from, to;
    } cases[] = {
        {"0800 0000" A123 SNAP, 2, 1}, /* ad hoc */
        {"0801 0000" A123 SNAP, 2, 3}, /* to the access point */
        {"0802 0000" A123 SNAP, 3, 1}, /* from it */
        {"0803 0000" A123 "020000000004" SNAP, 4, 3},
    };
    for (unsigned i = 0; i < 4; i++) {
        struct bytes b = with_ip4(cases[i].head);
        struct fc_packet p = decode(LT_WLAN, &b);
        EXPECT_KEY(p, UDP4, 1);
        cr_assert_eq(p.mac[0][5], cases[i].from);
        cr_assert_eq(p.mac[1][5], cases[i].to);
    }
}

Test(wlan, qos_and_ht_control_are_skipped)
{
    struct bytes qos = with_ip4("8801 0000" A123 "0000" SNAP), ht = with_ip4("8881 0000" A123 "0000 01020304" SNAP),
                 four = with_ip4("8803 0000" A123 "020000000004 0000" SNAP);
    EXPECT_KEY(decode(LT_WLAN, &qos), UDP4, 1);
    EXPECT_KEY(decode(LT_WLAN, &ht), UDP4, 1);
    EXPECT_KEY(decode(LT_WLAN, &four), UDP4, 1);
}

Test(wlan, an_order_bit_without_qos_is_no_ht_control)
{
    struct bytes b = with_ip4("0881 0000" A123 SNAP);
    EXPECT_KEY(decode(LT_WLAN, &b), UDP4, 1);
}

Test(wlan, mesh_control_may_bring_addresses)
{
    struct bytes none = with_ip4("8803 0000" A123 "020000000004 0001 001f 00000001" SNAP),
                 two = with_ip4("8803 0000" A123 "020000000004 0001 021f 00000001 020000000005 020000000006" SNAP);
    struct fc_packet p = decode(LT_WLAN, &two);
    EXPECT_KEY(decode(LT_WLAN, &none), UDP4, 1);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.mac[0][5], 6);
    cr_assert_eq(p.mac[1][5], 5);
}

Test(wlan, mesh_control_of_the_drafts_has_no_bit)
{
    struct bytes plain = with_ip4("0803 0000" A123 "020000000004 00 1f 00000001" SNAP),
                 qos = with_ip4("8803 0000" A123 "020000000004 0000 02 1f 00000001 020000000005 020000000006" SNAP),
                 none = with_ip4("0803 0000" A123 "020000000004" SNAP);
    EXPECT_KEY(decode(LT_WLAN, &plain), UDP4, 1);
    EXPECT_KEY(decode(LT_WLAN, &qos), UDP4, 1);
    cr_assert_eq(decode(LT_WLAN, &qos).mac[0][5], 6);
    EXPECT_KEY(decode(LT_WLAN, &none), UDP4, 1);
}

Test(wlan, mesh_control_to_a_group_follows_three_addresses)
{
    struct bytes none = with_ip4("8802 0000" A123 "0001 001f 00000001" SNAP),
                 one = with_ip4("8802 0000" A123 "0001 011f 00000001 020000000005" SNAP),
                 no_mesh = with_ip4("8802 0000" A123 "0001" SNAP), to_ds = with_ip4("8801 0000" A123 "0001" SNAP),
                 cut = only("8802 0000" A123 "0001 001f");
    struct fc_packet p = decode(LT_WLAN, &none), q = decode(LT_WLAN, &one);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.mac[0][5], 3);
    cr_assert_eq(p.mac[1][5], 1);
    EXPECT_KEY(q, UDP4, 1);
    cr_assert_eq(q.mac[0][5], 5);
    cr_assert_eq(q.mac[1][5], 1);
    EXPECT_KEY(decode(LT_WLAN, &no_mesh), UDP4, 1);
    EXPECT_KEY(decode(LT_WLAN, &to_ds), UDP4, 1);
    cr_assert_eq(decode(LT_WLAN, &cut).malformed, 1);
}

Test(wlan, the_first_packet_of_an_amsdu_decides)
{
    struct bytes b = with_ip4("8802 0000" A123 "8000 020000000007 020000000008 0024" SNAP), second = with_ip6("");
    put_hex(&b, "020000000007 020000000009 0038 aaaa03 000000 86dd");
    for (unsigned i = 0; i < second.n; i++)
        b.at[b.n++] = second.at[i];
    struct fc_packet p = decode(LT_WLAN, &b);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.mac[0][5], 8);
}

Test(wlan, what_carries_no_readable_packet_goes_by_its_ends)
{
    static const char *const frames[] = {
        "0841 0000" A123 "0102 0020",                                 /* protected */
        "4801 0000" A123,                                             /* null */
        "c801 0000" A123 "0000",                                      /* QoS null */
        "0801 0000 020000000001 020000000002 020000000003 1100 abcd", /* second piece of a split one */
    };
    for (unsigned i = 0; i < 4; i++) {
        struct bytes b = only(frames[i]);
        struct fc_packet p = decode(LT_WLAN, &b);
        EXPECT_KEY(p, OPAQUE "02 03", 0);
        cr_assert_eq(p.malformed, 0);
    }
}

Test(wlan, the_first_piece_of_a_split_frame_has_the_headers)
{
    struct bytes b = with_ip4("0805 0000" A123 SNAP);
    EXPECT_KEY(decode(LT_WLAN, &b), UDP4, 1);
}

Test(wlan, management_and_control_frames_go_by_their_ends)
{
    struct bytes beacon = only("8000 0000 ffffffffffff 020000000002 020000000002 1000 0000"),
                 rts = only("b400 0000 020000000001 020000000002"), ack = only("d400 0000 020000000001");
    EXPECT_KEY(decode(LT_WLAN, &beacon), OPAQUE "02 ff", 0);
    EXPECT_KEY(decode(LT_WLAN, &rts), OPAQUE "01 02", 1);
    EXPECT_KEY(decode(LT_WLAN, &ack), OPAQUE "00 01", 0);
}

Test(wlan, another_version_of_802_11_is_opaque)
{
    struct bytes b = only("0901 0000" A123 SNAP);
    EXPECT_KEY(decode(LT_WLAN, &b), OPAQUE "- -", 0);
}

Test(wlan, radiotap_says_how_long_it_is)
{
    struct bytes b = with_ip4("0000 0900 02000000 10 0801 0000" A123 SNAP);
    struct fc_packet p = decode(LT_RADIOTAP, &b);
    EXPECT_KEY(p, UDP4, 1);
    cr_assert_eq(p.layer[0].type, FC_LAYER_LINK);
    cr_assert_eq(layer_off(&p, FC_LAYER_LLC), 9 + 24);
}

Test(wlan, a_padded_header_is_known_by_radiotaps_flags)
{
    /* flags straight behind the presence words; behind two of them; behind an aligned time */
    static const char *const heads[] = {
        "0000 0900 02000000 20",
        "0000 0d00 02000080 00000000 20",
        "0000 1900 03000080 00000000 00000000 0102030405060708 20",
    };
    for (unsigned i = 0; i < 3; i++) {
        struct bytes b = only(heads[i]), rest = with_ip4("8801 0000" A123 "0000 0000" SNAP);
        for (unsigned k = 0; k < rest.n; k++)
            b.at[b.n++] = rest.at[k];
        if (i == 2) /* 8 + 4 is not aligned to 8: four bytes in front of the time */
            cr_assert_eq(b.at[24], 0x20);
        EXPECT_KEY(decode(LT_RADIOTAP, &b), UDP4, 1);
    }
}

Test(wlan, a_radio_header_longer_than_the_record_or_too_short_is_malformed)
{
    struct bytes longer = only("0000 ff00 00000000 0801"), shorter = only("0000 0400 00000000 0801");
    cr_assert_eq(decode(LT_RADIOTAP, &longer).malformed, 1);
    cr_assert_eq(decode(LT_RADIOTAP, &shorter).malformed, 1);
}

static struct bytes behind_zeros(const char *head, unsigned size)
{
    struct bytes b = only(head), rest = with_ip4("0801 0000" A123 SNAP);
    put_zeros(&b, size - b.n);
    for (unsigned k = 0; k < rest.n; k++)
        b.at[b.n++] = rest.at[k];
    return b;
}

Test(wlan, prism_and_avs_headers_are_told_apart)
{
    struct bytes prism = behind_zeros("44000000 90000000", 144), avs = behind_zeros("80211001 00000040", 64);
    EXPECT_KEY(decode(LT_PRISM, &prism), UDP4, 1);
    EXPECT_KEY(decode(LT_PRISM, &avs), UDP4, 1);
    EXPECT_KEY(decode(LT_AVS, &avs), UDP4, 1);
}

Test(wlan, ppi_and_pktap_go_on_with_the_link_type_they_name)
{
    struct bytes wlan = with_ip4("0000 0800 69000000 0801 0000" A123 SNAP),
                 ppp = with_ip4("0000 0800 09000000 ff03 0021"),
                 ethernet = with_ip4("10000000 01000000 01000000 00000000 020000000002 020000000005 0800");
    EXPECT_KEY(decode(LT_PPI, &wlan), UDP4, 1);
    EXPECT_KEY(decode(LT_PPI, &ppp), UDP4, 1);
    EXPECT_KEY(decode(LT_PKTAP, &ethernet), UDP4, 1);
    cr_assert_eq(decode(LT_PKTAP, &ethernet).mac[0][5], 5);
}

Test(wlan, user2_is_pktap_where_its_header_is_sane)
{
    static const char header[] = "6c000000 01000000 %s 656e3000";
    char text[200];
    struct bytes b[4];
    static const char *const names[] = {"01000000", "00000080", "95000000",
                                        "02010000"}; /* Ethernet, none, itself, PKTAP */
    for (unsigned i = 0; i < 4; i++) {
        struct bytes frame = with_ip4("020000000002 020000000005 0800");
        snprintf(text, sizeof text, header, names[i]);
        b[i].n = 0;
        put_hex(&b[i], text);
        put_zeros(&b[i], 92);
        memcpy(b[i].at + b[i].n, frame.at, frame.n);
        b[i].n += frame.n;
    }
    EXPECT_KEY(decode(LT_USER2, &b[0]), UDP4, 1);
    EXPECT_KEY(decode(LT_USER2, &b[1]), "30095 - -", 0);
    EXPECT_KEY(decode(LT_USER2, &b[2]), "30095 - -", 0);
    EXPECT_KEY(decode(LT_USER2, &b[3]), "30102 - -", 0);
    b[0].at[12] = 0; /* no name */
    EXPECT_KEY(decode(LT_USER2, &b[0]), "30095 - -", 0);
}

Test(wlan, ppi_does_not_nest_and_need_not_know_the_link_type)
{
    struct bytes nested = only("0000 0800 c0000000 0000 0800 69000000"), usb = only("0000 0800 bd000000 00"),
                 odd = only("0000 0800 ffffffff 00");
    EXPECT_KEY(decode(LT_PPI, &nested), "300c0 - -", 0);
    EXPECT_KEY(decode(LT_PPI, &usb), "300bd - -", 0);
    EXPECT_KEY(decode(LT_PPI, &odd), "3ffff - -", 0);
}

Test(wlan, cooked_captures_have_it_too)
{
    struct bytes radiotap = with_ip4("0000 0323 0000 0000000000000000 0000 0000 0800 00000000 0801 0000" A123 SNAP),
                 plain = with_ip4("0000 0000 00000001 0321 00 00 0000000000000000 0801 0000" A123 SNAP),
                 relay = with_ip4("0000 0302 0000 0000000000000000 0000 1841 03cc");
    EXPECT_KEY(decode(LT_SLL, &radiotap), UDP4, 1);
    EXPECT_KEY(decode(LT_SLL2, &plain), UDP4, 1);
    EXPECT_KEY(decode(LT_SLL, &relay), UDP4, 1);
}
