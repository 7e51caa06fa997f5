/* SPDX-License-Identifier: MIT */
/* Canonical keys, the mask, the shortcut for common packets. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "decode/walk.h"
#include "packets.h"

/* The same packet sent the other way: addresses and ports change places. */
static struct bytes reversed(const struct bytes *b, bool v6)
{
    struct bytes r = *b;
    unsigned size = v6 ? 16 : 4, at = v6 ? 22 : 26, l4 = v6 ? 54 : 34;
    memcpy(r.at, b->at + 6, 6);
    memcpy(r.at + 6, b->at, 6);
    memcpy(r.at + at, b->at + at + size, size);
    memcpy(r.at + at + size, b->at + at, size);
    memcpy(r.at + l4, b->at + l4 + 2, 2);
    memcpy(r.at + l4 + 2, b->at + l4, 2);
    return r;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

Test(key, endpoints_are_sorted_by_address_then_port)
{
    struct bytes b = tcp4(2, 80, 1, 1000), same = tcp4(1, 2000, 1, 80);
    EXPECT_KEY(decode(LT_ETH, &b), "tcp 10.0.0.1:1000 10.0.0.2:80", 1);
    EXPECT_KEY(decode(LT_ETH, &same), "tcp 10.0.0.1:80 10.0.0.1:2000", 1);
}

Test(key, addresses_are_compared_as_bytes)
{
    struct bytes b = tcp4(0x0100, 1, 0x00ff, 1); /* 10.0.1.0 and 10.0.0.255 */
    EXPECT_KEY(decode(LT_ETH, &b), "tcp 10.0.0.255:1 10.0.1.0:1", 1);
}

Test(key, equal_endpoints_have_direction_zero)
{
    struct bytes b = tcp4(1, 80, 1, 80);
    EXPECT_KEY(decode(LT_ETH, &b), "tcp 10.0.0.1:80 10.0.0.1:80", 0);
}

Test(key, both_directions_have_one_key)
{
    uint64_t seed = 42;
    for (int i = 0; i < 20000; i++) {
        bool v6 = i & 1;
        struct bytes b = {.n = 0};
        put_eth(&b, 1, 2, v6 ? 0x86dd : 0x0800);
        if (v6)
            put_ip6(&b, 1, 1, 17, 8);
        else
            put_ip4(&b, 1, 1, 17, 8);
        put_udp(&b, 1, 1, 0);
        for (int flips = (int)(next_random(&seed) % 4); flips >= 0; flips--) /* ends alike but for a few bytes */
            b.at[(v6 ? 22 : 26) + next_random(&seed) % (v6 ? 36 : 12)] = (uint8_t)next_random(&seed);
        struct bytes r = reversed(&b, v6);
        struct fc_packet p = decode(LT_ETH, &b), q = decode(LT_ETH, &r);
        cr_assert_arr_eq(&p.key, &q.key, sizeof(p.key));
        bool equal = !memcmp(p.key.addr[0], p.key.addr[1], 16) && p.key.port[0] == p.key.port[1];
        cr_assert_eq(p.dir + q.dir, equal ? 0 : 1);
        int order = memcmp(p.key.addr[0], p.key.addr[1], 16);
        cr_assert(order < 0 || (order == 0 && p.key.port[0] <= p.key.port[1]));
    }
}

Test(key, unused_bytes_are_zero)
{
    struct bytes b = tcp4(1, 1000, 2, 80);
    struct fc_packet p = decode(LT_ETH, &b);
    struct fc_flow_key want = {.port = {1000, 80}, .addr_kind = FC_ADDR_IPV4, .proto = 6};
    memcpy(want.addr[0], "\x0a\0\0\1", 4);
    memcpy(want.addr[1], "\x0a\0\0\2", 4);
    cr_assert_arr_eq(&p.key, &want, sizeof(want));
}

Test(mask, only_groups_asked_for_are_delivered)
{
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++)
        for (uint32_t mask = 0; mask < 256; mask++) {
            struct fc_packet p = decode_mask(s.link_type, &s.bytes, mask);
            cr_assert_eq(p.got & ~mask, 0);
            cr_assert_eq(p.got & FC_WANT_KEY, mask & FC_WANT_KEY);
        }
}

Test(mask, what_is_not_delivered_is_left_alone)
{
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++) {
        struct fc_packet p = decode_mask(s.link_type, &s.bytes, 0);
        struct fc_packet want;
        memset(&want, 0xa5, sizeof(want));
        want.got = 0;
        want.layer_count = p.layer_count;
        memcpy(want.layer, p.layer, sizeof(want.layer));
        cr_assert_arr_eq(&p, &want, sizeof(want), "sample %u", i);
    }
}

Test(mask, a_group_is_the_same_whatever_else_is_asked_for)
{
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++) {
        struct fc_packet all = decode(s.link_type, &s.bytes);
        for (uint32_t mask = 1; mask < 256; mask += 2) {
            struct fc_packet p = decode_mask(s.link_type, &s.bytes, mask);
            cr_assert_eq(p.got, all.got & mask);
            cr_assert_arr_eq(&p.key, &all.key, sizeof(p.key));
            cr_assert_eq(p.dir, all.dir);
            cr_assert_eq(p.layer_count, all.layer_count);
        }
    }
}

static void same_as_walk(uint32_t link_type, const struct bytes *b, uint32_t caplen, uint32_t mask)
{
    struct fc_packet p, q;
    memset(&p, 0xa5, sizeof(p));
    memset(&q, 0xa5, sizeof(q));
    fc_decode(link_type, b->at, caplen, b->n, mask, &p);
    fc_decode_walk(link_type, b->at, caplen, b->n, mask, &q);
    memset(p.layer + p.layer_count, 0, (FC_LAYERS_MAX - p.layer_count) * sizeof(p.layer[0])); /* of no meaning */
    memset(q.layer + q.layer_count, 0, (FC_LAYERS_MAX - q.layer_count) * sizeof(q.layer[0]));
    for (unsigned i = 0; i < p.layer_count; i++) {
        cr_assert_eq(p.layer[i].off, q.layer[i].off);
        cr_assert_eq(p.layer[i].type, q.layer[i].type);
        cr_assert_eq(p.layer[i].depth, q.layer[i].depth);
    }
    memset(p.layer, 0, sizeof(p.layer));
    memset(q.layer, 0, sizeof(q.layer));
    cr_assert_arr_eq(&p, &q, sizeof(p));
}

Test(shortcut, says_what_the_walk_says)
{
    uint64_t seed = 7;
    for (int i = 0; i < 100000; i++) {
        uint64_t r = next_random(&seed);
        struct bytes b = r & 1 ? tcp4(r >> 8 & 3, r >> 10 & 3, r >> 12 & 3, r >> 14 & 3)
                               : udp4(r >> 8 & 3, r >> 10 & 3, r >> 12 & 3, r >> 14 & 3);
        if (r & 2)
            put_zeros(&b, r >> 16 & 15);
        if (r & 4) /* a byte of the headers is something else */
            b.at[12 + next_random(&seed) % 42] = (uint8_t)next_random(&seed);
        uint32_t caplen = r & 8 ? (uint32_t)(next_random(&seed) % (b.n + 1)) : b.n;
        same_as_walk(LT_ETH, &b, caplen, (r >> 32 & 0xff) | (r & 16 ? FC_KEY_VLAN : 0));
    }
}

static void put_random_link(struct bytes *b, uint32_t link_type, unsigned ethertype, uint64_t r)
{
    static const unsigned arphrd[] = {1, 772, 0xfffe, 512, 803, 824, 770, 6};
    char hex[80];

    if (link_type == LT_SLL)
        snprintf(hex, sizeof hex, "0000 %04x 0006 020000000001 0000 %04x", arphrd[r & 7], ethertype);
    else if (link_type == LT_SLL2)
        snprintf(hex, sizeof hex, "%04x 0000 00000001 %04x 00 06 020000000001 0000", ethertype, arphrd[r & 7]);
    else if (link_type == LT_ETH)
        snprintf(hex, sizeof hex, "020000000001 020000000002 %04x", ethertype);
    else
        snprintf(hex, sizeof hex, "%s",
                 link_type == LT_RAW ? ""
                 : r & 1             ? "02000000"
                 : r & 2             ? "00000002"
                                     : "0000001e");
    put_hex(b, hex);
}

/* Any link header, up to three tags, either IP version, TCP or UDP; some bytes changed, cut anywhere. */
Test(shortcut, says_what_the_walk_says_of_other_links_tags_and_ipv6)
{
    static const uint32_t links[] = {LT_ETH, LT_SLL, LT_SLL2, LT_RAW, LT_NULL, LT_LOOP, LT_ETH, LT_SLL};
    static const unsigned tag_types[] = {0x8100, 0x88a8, 0x9100, 0x8100};
    uint64_t seed = 11, whole = 0;

    for (int i = 0; i < 300000; i++) {
        uint64_t r = next_random(&seed);
        uint32_t link_type = links[r >> 4 & 7];
        bool v6 = r & 1, tcp = r & 2;
        unsigned tags = link_type == LT_RAW || link_type == LT_NULL || link_type == LT_LOOP || !(r & 4)
                            ? 0
                            : 1 + (r >> 7 & 3) % 3,
                 ip_type = v6 ? 0x86dd : 0x0800;
        struct bytes b = {.n = 0};
        put_random_link(&b, link_type, tags ? tag_types[r >> 9 & 3] : ip_type, r >> 12);
        for (unsigned t = 0; t < tags; t++) {
            char hex[16];
            snprintf(hex, sizeof hex, "%04x %04x", (unsigned)(r >> 20 & 0xffff), t + 1 < tags ? 0x8100 : ip_type);
            put_hex(&b, hex);
        }
        unsigned payload = r >> 36 & 15, ip = b.n;
        if (v6)
            put_ip6(&b, r >> 40 & 3, r >> 42 & 3, tcp ? 6 : 17, (tcp ? 20 : 8) + payload);
        else
            put_ip4(&b, r >> 40 & 3, r >> 42 & 3, tcp ? 6 : 17, (tcp ? 20 : 8) + payload);
        if (tcp)
            put_tcp(&b, r >> 44 & 3, r >> 46 & 3, r >> 48 & 0xff);
        else
            put_udp(&b, r >> 44 & 3, r >> 46 & 1 ? 4789 : 53, payload);
        put_zeros(&b, (tcp ? payload : 0) + (r >> 47 & 3)); /* and padding */
        if (r >> 49 & 1)
            b.at[next_random(&seed) % b.n] = (uint8_t)next_random(&seed);
        if (!(r >> 50 & 7)) /* what the shortcut must see: version, length, fragment, next header, ports */
            b.at[ip + next_random(&seed) % 8] ^= (uint8_t)(1 << (next_random(&seed) & 7));
        bool cut = r >> 53 & 1;
        whole += !cut;
        same_as_walk(link_type, &b, cut ? (uint32_t)(next_random(&seed) % (b.n + 1)) : b.n,
                     (r >> 56 & 1 ? r >> 28 & 0xff : FC_WANT_SESSION) | (r >> 57 & 7 ? 0 : FC_KEY_VLAN) |
                         (r >> 60 & 3 ? 0 : FC_KEY_TUNNEL | FC_KEY_OUTER));
    }
    cr_assert_gt(whole, 100000);
}
