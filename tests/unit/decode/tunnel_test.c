/* SPDX-License-Identifier: MIT */
/* Each encapsulation, built byte by byte from its specification: innermost key, outermost key, stack, at every cut. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"

#define MACS "02000000000b 02000000000a "
#define WLAN_ADDRESSES " 84802d2b4590 020000000001 020000000003 "
#define SNAP " aaaa03 000000 0800"
#define INNER4 "udp 192.168.0.1:1024 192.168.0.2:53"
#define INNER6 "udp 2001:db8:1::1:1024 2001:db8:1::2:53"

/* Hex in front of what there is. */
static struct bytes pre(const char *hex, struct bytes b)
{
    struct bytes out = {.n = 0};

    put_hex(&out, hex);
    memcpy(out.at + out.n, b.at, b.n);
    out.n += b.n;
    return out;
}

static struct bytes inner4(void)
{
    struct bytes b = {.n = 0};
    put_hex(&b, "4500 0020 0001 0000 40 11 0000 c0a80001 c0a80002 0400 0035 000c 0000 61626364");
    return b;
}

static struct bytes inner6(void)
{
    struct bytes b = {.n = 0};
    put_hex(&b, "60000000 000c 11 40 20010db8000100000000000000000001 20010db8000100000000000000000002 0400 0035 000c "
                "0000 61626364");
    return b;
}

static struct bytes frame4(void)
{
    return pre(MACS "0800", inner4());
}

static struct bytes frame6(void)
{
    return pre(MACS "86dd", inner6());
}

/* From 10.0.0.1 to 10.0.0.2. */
static struct bytes ip4(unsigned proto, struct bytes b)
{
    struct bytes out = {.n = 0};

    put_ip4(&out, 1, 2, proto, b.n);
    memcpy(out.at + out.n, b.at, b.n);
    out.n += b.n;
    return out;
}

static struct bytes ip6(unsigned next, struct bytes b)
{
    struct bytes out = {.n = 0};

    put_ip6(&out, 1, 2, next, b.n);
    memcpy(out.at + out.n, b.at, b.n);
    out.n += b.n;
    return out;
}

static struct bytes udp(unsigned sport, unsigned dport, struct bytes b)
{
    struct bytes out = {.n = 0};

    put_udp(&out, sport, dport, b.n);
    memcpy(out.at + 8, b.at, b.n);
    return ip4(17, out);
}

static struct bytes eth4(struct bytes b)
{
    return pre("020000000002 020000000001 0800", b);
}

static struct bytes eth6(struct bytes b)
{
    return pre("020000000002 020000000001 86dd", b);
}

struct tunnel_case {
    struct bytes bytes;
    const char *key, *stack, *outer;
};

enum { CASES_MAX = 128 };

static void add(struct tunnel_case *cases, unsigned *count, struct bytes b, const char *key, const char *stack,
                const char *outer)
{
    cr_assert_lt(*count, CASES_MAX);
    cases[(*count)++] = (struct tunnel_case){b, key, stack, outer};
}

/* A case of UDP from port 40000; `hex` is what stands in front of the inner packet. */
static void add_udp(struct tunnel_case *cases, unsigned *count, unsigned port, const char *hex, struct bytes inner,
                    const char *key, const char *stack)
{
    static char outer[CASES_MAX][64];

    snprintf(outer[*count], sizeof(outer[0]), "udp 10.0.0.1:40000 10.0.0.2:%u", port);
    add(cases, count, eth4(udp(40000, port, pre(hex, inner))), key, stack, outer[*count]);
}

static void ip_cases(struct tunnel_case *c, unsigned *n)
{
    const char *gre = "gre 10.0.0.1:0 10.0.0.2:0";

    add(c, n, eth4(ip4(4, inner4())), INNER4, "ipip", "ipip 10.0.0.1:0 10.0.0.2:0");
    add(c, n, eth4(ip4(41, inner6())), INNER6, "6in4", "ipv6 10.0.0.1:0 10.0.0.2:0");
    add(c, n, eth6(ip6(4, inner4())), INNER4, "4in6", "ipip 2001:db8::1:0 2001:db8::2:0");
    add(c, n, eth6(ip6(41, inner6())), INNER6, "6in6", "ipv6 2001:db8::1:0 2001:db8::2:0");
    /* RFC 2473: the tunnel encapsulation limit in a destination option in front of it */
    add(c, n, eth6(ip6(60, pre("2900 0401 0401 0000", inner6()))), INNER6, "6in6", "ipv6 2001:db8::1:0 2001:db8::2:0");
    /* AH, then an IP packet: tunnel mode */
    add(c, n, eth4(ip4(51, pre("0404 0000 00000001 00000001 000000000000000000000000", inner4()))), INNER4, "ipip",
        "ipip 10.0.0.1:0 10.0.0.2:0");
    add(c, n, eth4(ip4(47, pre("0000 0800", inner4()))), INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("0000 86dd", inner6()))), INNER6, "gre", gre);
    add(c, n, eth4(ip4(47, pre("2000 0800 00000007", inner4()))), INNER4, "gre:7", gre);
    add(c, n, eth4(ip4(47, pre("b000 0800 abcd 0000 ffffffff 00000001", inner4()))), INNER4, "gre:4294967295", gre);
    /* RFC 1701: offset, two source routes and the empty one */
    add(c, n, eth4(ip4(47, pre("4000 0800 0000 0000 0800 00 04 0a000003 0800 00 04 0a000004 0000 00 00", inner4()))),
        INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("0000 6558", frame4()))), INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("2000 6558 00000007", frame4()))), INNER4, "gre:7", gre);
    add(c, n, eth4(ip4(47, pre("2000 6558 00138901", frame4()))), INNER4, "nvgre:5001", gre);
    add(c, n, eth4(ip4(47, pre("0000 8847 000641ff", inner4()))), INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("0000 883e 00000000", inner4()))), INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("0000 8909 0800 0101 0001 0005", inner4()))), INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("0000 8200 0801 2c00" WLAN_ADDRESSES "3076" SNAP, inner4()))), INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("0000 8370 8802 2c00" WLAN_ADDRESSES "3076 0000" SNAP, inner4()))), INNER4, "gre", gre);
    add(c, n, eth4(ip4(47, pre("3000 8881 00000007 00000001 7e ff03 0021", inner4()))), INNER4, "gre:7", gre);
    add(c, n, eth4(ip4(47, pre("2000 88d2 00000007 0102 4000 8301 00 7e7e 57", inner6()))), INNER6, "gre:7", gre);
    add(c, n, eth4(ip4(47, pre("3001 880b 0022 0009 00000001 0021", inner4()))), INNER4, "pptp:9", gre);
    add(c, n, eth4(ip4(47, pre("3081 880b 0024 0009 00000001 00000001 ff03 0057", inner6()))), INNER6, "pptp:9", gre);
    add(c, n, eth4(ip4(47, pre("2001 6400 002e 0900", frame4()))), INNER4, "eoip:9", gre);
    add(c, n, eth4(ip4(47, pre("0000 88be", frame4()))), INNER4, "erspan1", gre);
    add(c, n, eth4(ip4(47, pre("1000 88be 00000001 1064 0005 00000000", frame4()))), INNER4, "erspan2:5", gre);
    add(c, n, eth4(ip4(47, pre("1000 22eb 00000001 2064 0005 00000000 0000 0000", frame6()))), INNER6, "erspan3:5",
        gre);
    add(c, n, eth4(ip4(47, pre("1000 22eb 00000001 2064 0005 00000000 0000 0001 0000000000000000", frame4()))), INNER4,
        "erspan3:5", gre);
    add(c, n, eth4(ip4(47, pre("1000 22eb 00000001 2064 0005 00000000 0000 0800", inner4()))), INNER4, "erspan3:5",
        gre);
    add(c, n, eth4(ip4(97, pre("3000", frame4()))), INNER4, "etherip", "etherip 10.0.0.1:0 10.0.0.2:0");
    add(c, n, eth6(ip6(143, frame4())), INNER4, "etherip", "eth-in-ip 2001:db8::1:0 2001:db8::2:0");
    add(c, n, eth4(ip4(137, pre("000641ff", inner4()))), INNER4, "mpls", "mpls-in-ip 10.0.0.1:0 10.0.0.2:0");
    add(c, n, eth6(ip6(145, pre("0002 0202 00007bff", inner6()))), INNER6, "nsh:123",
        "nsh-in-ip 2001:db8::1:0 2001:db8::2:0");
    add(c, n, eth4(ip4(103, pre("2100 dead 00000000", inner4()))), INNER4, "pim", "pim 10.0.0.1:0 10.0.0.2:0");
}

static void l2tp_cases(struct tunnel_case *c, unsigned *n)
{
    const char *l2tp = "l2tp 10.0.0.1:0 10.0.0.2:0";

    add_udp(c, n, 1701, "0002 0005 0011 ff03 0021", inner4(), INNER4, "l2tp:5.17");
    add_udp(c, n, 1701, "0002 0005 0011 0057", inner6(), INNER6, "l2tp:5.17");
    add_udp(c, n, 1701, "4802 0030 0005 0011 0001 0002 ff03 0021", inner4(), INNER4, "l2tp:5.17");
    add_udp(c, n, 1701, "0202 0005 0011 0003 ffffff 21", inner4(), INNER4, "l2tp:5.17");
    add_udp(c, n, 1701, "0003 0000 00000011", frame4(), INNER4, "l2tpv3:17");
    add_udp(c, n, 1701, "0003 0000 00000011 40000001", frame4(), INNER4, "l2tpv3:17");
    add_udp(c, n, 1701, "0003 0000 00000011 aabbccdd eeff0011 40000001", frame6(), INNER6, "l2tpv3:17");
    add(c, n, eth4(ip4(115, pre("00000011", frame4()))), INNER4, "l2tpv3:17", l2tp);
    add(c, n, eth4(ip4(115, pre("00000011 aabbccdd", frame4()))), INNER4, "l2tpv3:17", l2tp);
    add(c, n, eth4(ip4(115, pre("00000011 aabbccdd eeff0011 ff03 0021", inner4()))), INNER4, "l2tpv3:17", l2tp);
    add(c, n, eth4(ip4(115, pre("00000011 0f00 0800", inner4()))), INNER4, "l2tpv3:17", l2tp);
    add(c, n, eth4(ip4(115, pre("00000011 00000000", inner6()))), INNER6, "l2tpv3:17", l2tp);
}

static void udp_cases(struct tunnel_case *c, unsigned *n)
{
    struct bytes none = {.n = 0};

    add_udp(c, n, 4789, "08000000 00002a00", frame4(), INNER4, "vxlan:42");
    add_udp(c, n, 8472, "08000000 00002a00", frame6(), INNER6, "vxlan:42");
    add_udp(c, n, 4789, "88480064 00002a00", frame4(), INNER4, "vxlan:42"); /* group policy */
    add_udp(c, n, 4789, "ff123456 00002a78", frame4(), INNER4, "vxlan:42"); /* bits a receiver is to ignore */
    add_udp(c, n, 4790, "0c000001 00002a00", inner4(), INNER4, "vxlan-gpe:42");
    add_udp(c, n, 4790, "0d000002 00002a00", inner6(), INNER6, "vxlan-gpe:42");
    add_udp(c, n, 4790, "0c000003 00002a00", frame4(), INNER4, "vxlan-gpe:42");
    add_udp(c, n, 4790, "0c000004 00002a00 0002 0203 00007bff", frame4(), INNER4, "vxlan-gpe:42/nsh:123");
    add_udp(c, n, 4790, "0c000005 00002a00 000641ff", inner4(), INNER4, "vxlan-gpe:42");
    add_udp(c, n, 4790, "08000001 00002a00", inner4(), INNER4, "vxlan-gpe:42"); /* flag P left out */
    add_udp(c, n, 6081, "0000 6558 00002a00", frame4(), INNER4, "geneve:42");
    add_udp(c, n, 6081, "0000 0800 00002a00", inner4(), INNER4, "geneve:42");
    add_udp(c, n, 6081, "0540 86dd 00002a00 0102 80 01 00000000 0102 80 02 0000000000000000", inner6(), INNER6,
            "geneve:42");
    add_udp(c, n, 2152, "30ff 0020 0000cafe", inner4(), INNER4, "gtpu:51966");
    add_udp(c, n, 2152, "32ff 0024 0000cafe 0001 00 00", inner4(), INNER4, "gtpu:51966");
    add_udp(c, n, 2152, "34ff 002c 0000cafe 0000 00 85 01 10 09 c0 01 0000 00", inner4(), INNER4, "gtpu:51966");
    add_udp(c, n, 2152, "36ff 0040 0000cafe 0000 00 c0 02 000000000000 00", inner6(), INNER6, "gtpu:51966");
    add_udp(c, n, 2152, "30ff 002e 0000cafe", frame4(), INNER4, "gtpu:51966");
    struct bytes longer = inner4(); /* cut before it came into the tunnel */
    longer.at[2] = 5;
    add_udp(c, n, 2152, "30ff 0020 0000cafe", longer, INNER4, "gtpu:51966");
    add_udp(c, n, 3544, "",
            pre("60000000 000c 11 40 20010000000100000000000000000001 20010db8000100000000000000000002"
                "0400 0035 000c 0000 61626364",
                none),
            "udp 2001:0:1::1:1024 2001:db8:1::2:53", "teredo");
    add_udp(c, n, 3544, "0001 0400 01020304 0000000000000000 00 0000 1111 f5fffffe",
            pre("60000000 0000 3b ff fe800000000000000000000000000001 20010000000100000000000000000001", none),
            "ipv6-nonxt 2001:0:1::1:0 fe80::1:0", "teredo");
    add_udp(c, n, 5247, "00 10 0000 0000 0000", frame4(), INNER4, "capwap");
    add_udp(c, n, 5247, "00 20 4010 0000 0000 06 020000000001 00", frame4(), INNER4, "capwap");
    /* 802.11 to the distribution system, and the same with its fields turned round, as some access points write it */
    add_udp(c, n, 5247, "00 20 0320 0000 0000 01 04 d0 25 0000 0000 0801 2c00" WLAN_ADDRESSES "3076" SNAP, inner4(),
            INNER4, "capwap");
    add_udp(c, n, 5247, "00 20 0320 0000 0000 04 d0 25 0000 000000 0801 2c00" WLAN_ADDRESSES "3076" SNAP, inner4(),
            INNER4, "capwap");
    add_udp(c, n, 5247, "00 10 0300 0000 0000 0801 2c00" WLAN_ADDRESSES "3076" SNAP, inner4(), INNER4, "capwap");
    add_udp(c, n, 5247, "00 10 0300 0000 0000 0108 2c00" WLAN_ADDRESSES "7630" SNAP, inner4(), INNER4, "capwap");
    add_udp(c, n, 5247, "00 10 0300 0000 0000 0188 2c00" WLAN_ADDRESSES "7630 0000" SNAP, inner4(), INNER4, "capwap");
    add_udp(c, n, 37008, "01 00 0012 01 0801 2c00" WLAN_ADDRESSES "3076" SNAP, inner4(), INNER4, "tzsp");
    add_udp(c, n, 37008, "01 00 0001 01", frame4(), INNER4, "tzsp");
    add_udp(c, n, 37008, "01 01 0001 00 0a01ff 0d0400000001 00 01", frame6(), INNER6, "tzsp");
    add_udp(c, n, 37008, "01 00 0007 01", inner4(), INNER4, "tzsp");
    add_udp(c, n, 4341, "80000001 00000001", inner4(), INNER4, "lisp");
    add_udp(c, n, 6635, "000640ff 000641ff", inner4(), INNER4, "mpls");
    add_udp(c, n, 6635, "000641ff 00000000", frame4(), INNER4, "mpls/pw");
    add_udp(c, n, 4754, "2000 0800 00000007", inner4(), INNER4, "gre:7");
    add_udp(c, n, 5072,
            "42 52 11 29 00000000 00000000000000000000000000000000 0000000000000000000000000000000000000000", inner6(),
            INNER6, "ayiya");
}

static void link_cases(struct tunnel_case *c, unsigned *n)
{
    /* no IP around it: the outermost IP layer is the only one */
    add(c, n, pre("020000000002 020000000001 8864 1100 0007 0022 0021", inner4()), INNER4, "pppoe:7", INNER4);
    add(c, n, pre("020000000002 020000000001 8864 1100 0007 0028 003d c0000001 0021", inner4()), INNER4, "pppoe:7",
        INNER4);
    add(c, n, pre("020000000002 020000000001 8864 1100 0007 0027 003d cc000001 57", inner6()), INNER6, "pppoe:7",
        INNER6);
    add(c, n, pre("020000000002 020000000001 8864 1100 0007 0025 003d c123 21", inner4()), INNER4, "pppoe:7", INNER4);
    add(c, n, pre("020000000002 020000000001 88e7 00001389", frame4()), INNER4, "pbb:5001", INNER4);
    add(c, n, pre("020000000002 020000000001 88a8 0064 88e7 00001389", frame6()), INNER6, "pbb:5001", INNER6);
    add(c, n, pre("020000000002 020000000001 8926 00010002 0800", inner4()), INNER4, "vntag", INNER4);
    add(c, n, pre("020000000002 020000000001 892f 0034 0001 0800", inner4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 8909 0101 0001 0005 0800", inner4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 8903 0140", frame4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 22f3 003f 0001 0002", frame4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 22f3 007f 0001 0002 01020304", frame4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 893f 0001 0002 0000 0800", inner4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 f1c1 0000 0007 86dd", inner6()), INNER6, NULL, INNER6);
    add(c, n, pre("020000000002 020000000001 88e5 00 00 00000001 0800", inner4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 88e5 20 00 00000001 0200000000010001 86dd", inner6()), INNER6, NULL,
        INNER6);
    add(c, n, pre("020000000002 020000000001 4305 400f3201 020000000003", frame4()), INNER4, NULL, INNER4);
    add(c, n, pre("020000000002 020000000001 4305 010f3200 00000001 020000000003", frame6()), INNER6, NULL, INNER6);
    add(c, n, pre("020000000002 020000000001 4305 420f3201 020000000003 020000000004 0100", frame4()), INNER4, NULL,
        INNER4);
    add(c, n, pre("020000000002 020000000001 894f 0002 0201 00007bff", inner4()), INNER4, "nsh:123", INNER4);
    add(c, n, pre("020000000002 020000000001 8847 000641ff 00000001", frame4()), INNER4, "pw", INNER4);
    add(c, n, pre("020000000002 020000000001 8847 000641ff", frame4()), INNER4, "pw", INNER4);
    /* link addresses that begin like a version of IP */
    add(c, n, pre("020000000002 020000000001 8847 000641ff 450000000002 020000000001 0800", inner4()), INNER4, "pw",
        INNER4);
    add(c, n, pre("020000000002 020000000001 8847 000641ff 600000000002 020000000001 8100 0005 0800", inner4()), INNER4,
        "pw", INNER4);
    add(c, n, pre("020000000002 020000000001 8864 1100 0007 0032 0031 0001", frame4()), INNER4, "pppoe:7", INNER4);
}

static unsigned all_cases(struct tunnel_case *cases)
{
    unsigned count = 0;

    ip_cases(cases, &count);
    l2tp_cases(cases, &count);
    udp_cases(cases, &count);
    link_cases(cases, &count);
    return count;
}

static const char *stack_of(const struct fc_packet *p)
{
    static char text[FC_TUNNEL_TEXT];

    if (!(p->got & FC_WANT_TUNNEL))
        return NULL;
    fc_tunnel_text(p->tunnel, p->tunnel_count, text, sizeof(text));
    return text;
}

static void expect_stack(const struct fc_packet *p, const char *want, unsigned i)
{
    const char *stack = stack_of(p);

    if (want)
        cr_assert_str_eq(stack ? stack : "none", want, "case %u", i);
    else
        cr_assert_null(stack, "case %u", i);
}

Test(tunnel, the_key_is_that_of_the_innermost_ip_layer)
{
    static struct tunnel_case cases[CASES_MAX];
    unsigned count = all_cases(cases);
    for (unsigned i = 0; i < count; i++) {
        struct fc_packet p = decode(LT_ETH, &cases[i].bytes);
        cr_assert_str_eq(key_text(&p.key), cases[i].key, "case %u (%s): %s", i, cases[i].stack, key_text(&p.key));
        cr_assert_eq(p.key.domain, 0);
        expect_stack(&p, cases[i].stack, i);
        cr_assert_eq(p.payload_bytes, i == 0 ? 4 : p.payload_bytes);
    }
}

Test(tunnel, with_outer_the_key_is_that_of_the_outermost_one)
{
    static struct tunnel_case cases[CASES_MAX];
    unsigned count = all_cases(cases);
    for (unsigned i = 0; i < count; i++) {
        struct fc_packet p = decode_mask(LT_ETH, &cases[i].bytes, FC_WANT_ALL | FC_KEY_OUTER);
        cr_assert_str_eq(key_text(&p.key), cases[i].outer, "case %u (%s): %s", i, cases[i].stack, key_text(&p.key));
        expect_stack(&p, cases[i].stack, i);
        if (strcmp(cases[i].outer, cases[i].key) != 0)
            cr_assert_eq(p.ttl, cases[i].bytes.at[12] == 8 ? 0x40 : 63, "case %u", i);
    }
}

/* Every length, each in a buffer of just that size, so that a sanitizer sees what is read behind it. */
Test(tunnel, a_packet_cut_anywhere_keeps_the_innermost_layer_that_is_whole)
{
    static struct tunnel_case cases[CASES_MAX];
    unsigned count = all_cases(cases);
    for (unsigned i = 0; i < count; i++) {
        const struct tunnel_case *c = &cases[i];
        bool over_ip = strcmp(c->outer, c->key) != 0;
        struct fc_packet whole = decode(LT_ETH, &c->bytes), p;
        struct fc_packet outer = decode_mask(LT_ETH, &c->bytes, FC_WANT_ALL | FC_KEY_OUTER);
        for (uint32_t caplen = 0; caplen < c->bytes.n; caplen++) {
            uint8_t *cut = malloc(caplen + 1);
            memcpy(cut, c->bytes.at, caplen);
            uint8_t *exact = caplen ? realloc(cut, caplen) : cut;
            fc_decode(LT_ETH, exact, caplen, c->bytes.n, FC_WANT_ALL, &p);
            free(exact);
            if (!over_ip)
                continue;
            cr_assert(p.malformed == (caplen < (whole.key.addr_kind && c->bytes.at[12] == 8 ? 34u : 54u)),
                      "case %u cut at %u", i, caplen);
            if (p.malformed)
                continue;
            bool inner = memcmp(p.key.addr, whole.key.addr, sizeof(p.key.addr)) == 0;
            bool around = memcmp(p.key.addr, outer.key.addr, sizeof(p.key.addr)) == 0;
            cr_assert(inner || around, "case %u cut at %u: %s", i, caplen, key_text(&p.key));
            if (p.key.port[0] | p.key.port[1])
                cr_assert_arr_eq(&p.key, inner ? &whole.key : &outer.key, sizeof(p.key), "case %u at %u", i, caplen);
        }
    }
}

Test(tunnel, the_mask_does_not_change_the_key)
{
    static struct tunnel_case cases[CASES_MAX];
    unsigned count = all_cases(cases);
    for (unsigned i = 0; i < count; i++) {
        struct fc_packet p = decode(LT_ETH, &cases[i].bytes);
        struct fc_packet q = decode_mask(LT_ETH, &cases[i].bytes, FC_WANT_KEY);
        cr_assert_arr_eq(&p.key, &q.key, sizeof(p.key));
        cr_assert_eq(q.got, (uint32_t)FC_WANT_KEY);
    }
}

/* What a tunnel carries beside IP, and what is broken in it, is its payload. */
Test(tunnel, what_is_no_whole_ip_packet_inside_leaves_the_session_around_it)
{
    struct bytes none = {.n = 0};
    static const struct {
        unsigned port;
        const char *hex, *stack;
    } cases[] = {
        {4789, "08000000 00002a00" MACS "0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002",
         "vxlan:42"},
        {4789, "08000000 00002a00" MACS "88cc 0207 04 020000000001", "vxlan:42"},
        {4789, "08000000 00002a00" MACS "0800 4100 0020 0001 0000 40 11 0000 c0a80001 c0a80002", "vxlan:42"},
        {4789, "08000000 00002a00" MACS "0026 424203 0000 00 00 00 0000 0000", "vxlan:42"},
        {4789, "08000000 00002a00" MACS "8100 00", "vxlan:42"},
        {4789, "08000000 00002a00", NULL},
        {1701, "0002 0005 0011 ff03 c021 0101 0008 0506 0001", "l2tp:5.17"},
        {1701, "c802 000c 0005 0000 0001 0001", NULL},
        {2152, "3001 0004 00000000 00000000", NULL},
        {2152, "30ff 0020 0000cafe 4100", NULL},
        {3544, "0001 0000 0000000000000000 00", NULL},
        {5247, "00 10 0008 0000 0000 00000000", NULL},
        {5247, "01 000000 16 feff", NULL},
        {5247, "00 10 0080 0001 0008 61626364", "capwap"},
        /* 802.11: a beacon, protected data, data turned round of which only a later piece is there */
        {5247, "00 10 0300 0000 0000 8000 0000" WLAN_ADDRESSES "3076 00", "capwap"},
        {5247, "00 10 0300 0000 0000 0841 2c00" WLAN_ADDRESSES "3076" SNAP, "capwap"},
        {5247, "00 10 0300 0000 0000 0108 2c00" WLAN_ADDRESSES "7631" SNAP, "capwap"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes b = eth4(udp(40000, cases[i].port, pre(cases[i].hex, none)));
        struct fc_packet p = decode(LT_ETH, &b);
        char want[64];
        snprintf(want, sizeof(want), "udp 10.0.0.1:40000 10.0.0.2:%u", cases[i].port);
        cr_assert_str_eq(key_text(&p.key), want, "case %u: %s", i, key_text(&p.key));
        if (strcmp(cases[i].hex, "08000000 00002a00") != 0)
            expect_stack(&p, cases[i].stack, i);
        cr_assert_eq(p.payload_bytes, b.n - 42);
    }
}

Test(tunnel, ordinary_udp_on_a_tunnels_port_stays_what_it_is)
{
    static const unsigned ports[] = {1701, 2152, 3544, 4341, 4754, 4789, 4790, 5072, 5247, 6081, 6635, 8472, 37008};
    static const char *const payloads[] = {
        "0800 8180 0001 0001 0000 0000 0361626303636f6d00 0001 0001 c00c 0001 0001 00000e10 0004 5db8d822",
        "0001 0100 0001 0000 0000 0000 0361626303636f6d00 0001 0001", /* DNS */
        "45000020 6e6f7420 61207061 636b6574 00000000 00000000 00000000",
        "23 02 0000 00000000 00000000 00000000 00000000 00000000",        /* NTP */
        "16 fefd 0000 000000000000 0040 01000034 00000000 00000034 fefd", /* DTLS */
        "c0 00000001 08 0001020304050607 00 00 44d0",                     /* QUIC */
        "474554202f20485454502f312e310d0a0d0a",
        "00",
        "",
    };
    uint64_t seed = 5;
    struct bytes none = {.n = 0};
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        for (unsigned k = 0; k < 20000 + sizeof(payloads) / sizeof(payloads[0]); k++) {
            struct bytes b = none;
            if (k >= 20000)
                put_hex(&b, payloads[k - 20000]);
            for (unsigned n = k < 20000 ? k % 150 : 0; n > 0; n--) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                b.at[b.n++] = (uint8_t)(seed >> 56);
            }
            b = k & 1 ? eth4(udp(ports[i], 53, b)) : eth4(udp(53, ports[i], b));
            struct fc_packet p = decode(LT_ETH, &b);
            cr_assert(p.key.proto == 17 && p.key.port[0] + p.key.port[1] == 53 + ports[i], "port %u payload %u: %s",
                      ports[i], k, key_text(&p.key));
            cr_assert(k < 20000 || !(p.got & FC_WANT_TUNNEL), "port %u payload %u", ports[i], k - 20000);
        }
}

static struct bytes nested(unsigned depth)
{
    struct bytes b = inner4();
    for (unsigned i = 0; i < depth; i++)
        b = pre("08000000 00002a00" MACS "0800", b), b = udp(40000 + i, 4789, b);
    return eth4(b);
}

Test(tunnel, nesting_is_followed_to_its_limit_and_not_beyond)
{
    struct bytes b = nested(FC_TUNNEL_MAX), deeper = nested(FC_TUNNEL_MAX + 1);
    struct fc_packet p = decode(LT_ETH, &b), q = decode(LT_ETH, &deeper);
    cr_assert_str_eq(key_text(&p.key), INNER4);
    cr_assert_eq(p.tunnel_count, FC_TUNNEL_MAX);
    cr_assert_str_eq(key_text(&q.key), "udp 10.0.0.1:40000 10.0.0.2:4789"); /* the innermost one is not entered */
    cr_assert_eq(q.tunnel_count, FC_TUNNEL_MAX);
    q = decode_mask(LT_ETH, &deeper, FC_WANT_ALL | FC_KEY_OUTER);
    cr_assert_str_eq(key_text(&q.key), "udp 10.0.0.1:40008 10.0.0.2:4789");
}

Test(tunnel, different_kinds_nest)
{
    struct bytes b = eth4(udp(40000, 4789, pre("08000000 00002a00" MACS "0800", ip4(47, pre("0000 0800", inner4())))));
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_str_eq(key_text(&p.key), INNER4);
    cr_assert_str_eq(stack_of(&p), "vxlan:42/gre");
}

Test(esp, is_opaque_and_known_by_its_spi)
{
    struct bytes none = {.n = 0}, b = eth4(ip4(50, pre("0000beef 00000001 4500", none)));
    struct bytes other = eth4(ip4(50, pre("0000bee0 00000001 4500", none)));
    struct fc_packet p = decode(LT_ETH, &b), q = decode(LT_ETH, &other);
    cr_assert_str_eq(key_text(&p.key), "esp 10.0.0.1:0 10.0.0.2:0");
    cr_assert_str_eq(stack_of(&p), "esp:48879");
    cr_assert_neq(memcmp(&p.key, &q.key, sizeof(p.key)), 0);
    cr_assert_eq(p.key.domain >> 31, 0xbeef);
    /* behind AH, and in a tunnel */
    b = eth4(ip4(51, pre("3204 0000 00000001 00000001 000000000000000000000000 0000beef 00000001", none)));
    cr_assert_eq(decode(LT_ETH, &b).key.domain, p.key.domain);
    b = eth4(ip4(4, ip4(50, pre("0000beef 00000001 4500", none))));
    cr_assert_eq(decode(LT_ETH, &b).key.domain, p.key.domain);
    b = eth4(ip4(50, pre("0000be", none)));
    cr_assert_eq(decode(LT_ETH, &b).key.domain, 0);
}

static uint64_t domain(struct bytes b, uint32_t key)
{
    return decode_mask(LT_ETH, &b, FC_WANT_KEY | key).key.domain;
}

Test(domain, equal_exactly_for_equal_stacks)
{
    struct bytes v42 = eth4(udp(40000, 4789, pre("08000000 00002a00", frame4())));
    struct bytes v43 = eth4(udp(40000, 4789, pre("08000000 00002b00", frame4())));
    struct bytes g42 = eth4(udp(40000, 6081, pre("0000 6558 00002a00", frame4())));
    struct bytes two = eth4(ip4(47, pre("0000 0800", udp(1, 4789, pre("08000000 00002a00", frame4())))));
    struct bytes owt = eth4(udp(1, 4789, pre("08000000 00002a00" MACS "0800", ip4(47, pre("0000 0800", inner4())))));
    struct bytes key = eth4(ip4(47, pre("2000 0800 00000000", inner4())));
    struct bytes keyless = eth4(ip4(47, pre("0000 0800", inner4())));
    const struct bytes all[] = {v42, v43, g42, two, owt, key, keyless};
    for (unsigned i = 0; i < 7; i++) {
        cr_assert_eq(domain(all[i], 0), 0);
        cr_assert_neq(domain(all[i], FC_KEY_TUNNEL), 0);
        cr_assert_eq(domain(all[i], FC_KEY_TUNNEL) >> 63, i == 3 || i == 4, "%u", i);
        for (unsigned k = 0; k < i; k++)
            cr_assert_neq(domain(all[i], FC_KEY_TUNNEL), domain(all[k], FC_KEY_TUNNEL));
    }
    /* outer addresses and ports are no part of it */
    struct bytes back = eth4(udp(1234, 4789, pre("08000000 00002a00", frame4())));
    cr_assert_eq(domain(back, FC_KEY_TUNNEL), domain(v42, FC_KEY_TUNNEL));
    cr_assert_eq(domain(v42, FC_KEY_TUNNEL), UINT64_C(42) << 31 | (uint64_t)FC_TUNNEL_VXLAN << 26);
    /* VLAN tags in front and inside */
    struct bytes tagged = pre("020000000002 020000000001 8100 0064 0800",
                              udp(40000, 4789, pre("08000000 00002a00" MACS "8100 00c8 0800", inner4())));
    cr_assert_eq(domain(tagged, FC_KEY_TUNNEL), domain(v42, FC_KEY_TUNNEL));
    cr_assert_eq(domain(tagged, FC_KEY_TUNNEL | FC_KEY_VLAN),
                 (UINT64_C(42) << 31 | (uint64_t)FC_TUNNEL_VXLAN << 26 | 201 << 13 | 101));
}

Test(domain, a_stack_too_deep_to_write_out_has_a_fixed_hash)
{
    /* kept in indexes: must never change */
    struct bytes b = nested(2);
    cr_assert_eq(domain(b, FC_KEY_TUNNEL), UINT64_C(0xfa0192724cd6c883), "%llx",
                 (unsigned long long)domain(b, FC_KEY_TUNNEL));
}

/* The outer datagram is cut in two: the first piece has the inner packet's headers. */
Test(fragments, of_a_tunnels_datagram_name_the_outer_datagram)
{
    struct bytes b = {.n = 0}, later = {.n = 0}, inner = inner4();
    put_eth(&b, 1, 2, 0x0800);
    put_ip4_frag(&b, 1, 2, 47, 0x77, 0x2000);
    put_hex(&b, "0000 0800");
    memcpy(b.at + b.n, inner.at, inner.n);
    b.n += inner.n;
    put_eth(&later, 1, 2, 0x0800);
    put_ip4_frag(&later, 1, 2, 47, 0x77, 5);
    put_zeros(&later, 8);
    struct fc_packet p = decode(LT_ETH, &b), q = decode(LT_ETH, &later);
    cr_assert_str_eq(key_text(&p.key), INNER4);
    cr_assert(p.frag == FC_FRAG_FIRST && q.frag == FC_FRAG_LATER);
    cr_assert(p.datagram_count == 1 && q.datagram_count == 1);
    cr_assert_arr_eq(&p.datagram[0], &q.datagram[0], sizeof(p.datagram[0]));
    cr_assert_eq(p.datagram[0].port[1], 0x77);
    struct fc_packet o = decode_mask(LT_ETH, &b, FC_WANT_ALL | FC_KEY_OUTER);
    cr_assert_str_eq(key_text(&o.key), "gre 10.0.0.1:0 10.0.0.2:0");
    cr_assert(o.frag == FC_FRAG_FIRST && o.datagram_count == 1);
}

Test(fragments, hold_no_more_payload_than_their_piece)
{
    struct bytes whole = eth4(udp(40000, 4789, pre("08000000 00002a00", frame4()))), piece = whole;
    cr_assert_eq(decode(LT_ETH, &whole).payload_bytes, 4);
    piece.at[17] -= 3; /* the total length of this datagram's first piece, */
    piece.at[20] |= 0x20;
    struct fc_packet p = decode(LT_ETH, &piece);
    EXPECT_KEY(p, INNER4, 0);
    cr_assert_eq(p.payload_bytes, 1); /* whose frame is padded */
}

Test(fragments, may_nest)
{
    struct bytes b = {.n = 0};
    put_eth(&b, 1, 2, 0x0800);
    put_ip4_frag(&b, 1, 2, 4, 0x77, 0x2000);
    put_ip4_frag(&b, 3, 4, 17, 0x88, 3);
    put_zeros(&b, 16);
    struct fc_packet p = decode(LT_ETH, &b);
    cr_assert_str_eq(key_text(&p.key), "udp 10.0.0.3:0 10.0.0.4:0");
    cr_assert_eq(p.frag, FC_FRAG_LATER);
    cr_assert_eq(p.datagram_count, 2);
    cr_assert(p.datagram[0].port[1] == 0x77 && p.datagram[0].proto == 4 && p.datagram[0].addr[0][3] == 1);
    cr_assert(p.datagram[1].port[1] == 0x88 && p.datagram[1].proto == 17 && p.datagram[1].addr[0][3] == 3);
    p = decode_mask(LT_ETH, &b, FC_WANT_ALL | FC_KEY_OUTER);
    cr_assert(p.frag == FC_FRAG_FIRST && p.datagram_count == 1 && p.key.proto == 4);
}

Test(fragments, datagrams_of_ipv6_are_named_without_the_protocol)
{
    struct bytes a = {.n = 0}, b = {.n = 0}, v4 = {.n = 0}, w4 = {.n = 0};
    put_eth(&a, 1, 2, 0x86dd);
    put_ip6(&a, 1, 2, 44, 16);
    put_hex(&a, "3c00 0001 00000005 1100 0104 00000000");
    put_eth(&b, 1, 2, 0x86dd);
    put_ip6(&b, 1, 2, 44, 16);
    put_hex(&b, "1100 0011 00000005 0000000000000000");
    struct fc_packet p = decode(LT_ETH, &a), q = decode(LT_ETH, &b);
    cr_assert_arr_eq(&p.datagram[0], &q.datagram[0], sizeof(p.datagram[0]));
    put_eth(&v4, 1, 2, 0x0800);
    put_ip4_frag(&v4, 1, 2, 17, 5, 0x2000);
    put_eth(&w4, 1, 2, 0x0800);
    put_ip4_frag(&w4, 1, 2, 6, 5, 0x2000);
    p = decode(LT_ETH, &v4), q = decode(LT_ETH, &w4);
    cr_assert_neq(memcmp(&p.datagram[0], &q.datagram[0], sizeof(p.datagram[0])), 0);
}

Test(fragments, vlans_that_are_part_of_the_key_keep_datagrams_apart)
{
    struct bytes a = {.n = 0}, b = {.n = 0};
    put_eth(&a, 1, 2, 0x8100);
    put_hex(&a, "0005 0800");
    put_ip4_frag(&a, 1, 2, 17, 5, 0x2000);
    put_eth(&b, 1, 2, 0x8100);
    put_hex(&b, "0006 0800");
    put_ip4_frag(&b, 1, 2, 17, 5, 1);
    for (uint32_t key = 0; key <= FC_KEY_VLAN; key += FC_KEY_VLAN) {
        struct fc_packet p = decode_mask(LT_ETH, &a, FC_WANT_KEY | key), q = decode_mask(LT_ETH, &b, FC_WANT_KEY | key);
        cr_assert_eq(memcmp(&p.datagram[0], &q.datagram[0], sizeof(p.datagram[0])) != 0, key != 0);
    }
}

Test(names, every_kind_has_one_and_an_id_where_it_says_so)
{
    const char *id, *name;
    unsigned kind = 1;
    for (; (name = fc_tunnel_name(kind, &id)); kind++) {
        char text[FC_TUNNEL_TEXT], want[64];
        struct fc_tunnel t = {.kind = kind, .id = 0x10002};
        fc_tunnel_text(&t, 1, text, sizeof(text));
        snprintf(want, sizeof(want), "%s%s", name, !id ? "" : kind == FC_TUNNEL_L2TP ? ":1.2" : ":65538");
        cr_assert_str_eq(text, want);
    }
    cr_assert_eq(kind, FC_TUNNEL_KINDS);
    struct fc_tunnel deep[FC_TUNNEL_MAX];
    char text[FC_TUNNEL_TEXT];
    for (unsigned i = 0; i < FC_TUNNEL_MAX; i++)
        deep[i] = (struct fc_tunnel){.kind = FC_TUNNEL_VXLAN_GPE, .id = UINT32_MAX};
    size_t len = fc_tunnel_text(deep, FC_TUNNEL_MAX, text, sizeof(text));
    cr_assert_lt(len, sizeof(text));
    for (size_t size = 0; size <= len + 1; size++) {
        char part[FC_TUNNEL_TEXT];
        memset(part, '#', sizeof(part));
        cr_assert_eq(fc_tunnel_text(deep, FC_TUNNEL_MAX, part, size), len);
        cr_assert(size == 0 || (strncmp(part, text, size - 1) == 0 && part[size - 1] == '\0'));
        cr_assert_eq(part[size], '#');
    }
}
