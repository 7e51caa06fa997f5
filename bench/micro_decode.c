/* SPDX-License-Identifier: MIT */
/*
 * fc_decode() of packets that lie in the second-level cache, by link type and mask: 4096 frames with addresses and
 * ports at random, again and again. Every decoded key is checked once, outside the clock.
 */
#include "micro.h"

#include <flowcarve/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 4096, ROOM = 128 };

struct frames {
    uint8_t bytes[FRAMES][ROOM];
    uint32_t len, ports[FRAMES]; /* ports: their sum */
};

static uint8_t *put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put_random(uint8_t *p, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(micro_random(state) >> 56);
    return p + n;
}

static uint8_t *put_ethernet(uint8_t *p, uint64_t *state)
{
    p = put_random(p, 12, state);
    p[-12] &= 0xfe; /* no group address */
    return p;
}

static uint8_t *put_ip(uint8_t *p, unsigned version, uint8_t proto, unsigned behind, uint64_t *state)
{
    memset(p, 0, 40);
    if (version == 4) {
        p[0] = 0x45;
        put16(p + 2, 20 + behind);
        p[8] = 64;
        p[9] = proto;
        put_random(p + 12, 8, state);
        return p + 20;
    }
    p[0] = 0x60;
    put16(p + 4, behind);
    p[6] = proto;
    p[7] = 64;
    put_random(p + 8, 32, state);
    return p + 40;
}

static uint8_t *put_transport(uint8_t *p, uint8_t proto, uint32_t *ports, uint64_t *state)
{
    unsigned from = 1024 + (unsigned)(micro_random(state) >> 49), to = 1 + (unsigned)(micro_random(state) >> 54);
    unsigned size = proto == 6 ? 20 : 8;

    memset(p, 0, size);
    put16(p, from);
    put16(p + 2, to);
    *ports = from + to;
    if (proto == 6) {
        put_random(p + 4, 8, state);
        p[12] = 5 << 4;
        p[13] = FC_TCP_ACK;
    } else {
        put16(p + 4, size);
    }
    return p + size;
}

/* ---- kinds of frames: what stands in front of IP */

static uint8_t *front_ethernet4(uint8_t *p, uint64_t *state)
{
    return put16(put_ethernet(p, state), 0x0800);
}

static uint8_t *front_ethernet6(uint8_t *p, uint64_t *state)
{
    return put16(put_ethernet(p, state), 0x86dd);
}

static uint8_t *front_vlan(uint8_t *p, uint64_t *state)
{
    return put16(put16(put16(put_ethernet(p, state), 0x8100), 7), 0x0800);
}

static uint8_t *front_qinq_mpls(uint8_t *p, uint64_t *state)
{
    static const uint8_t label[4] = {0, 1, 1, 64}; /* bottom of stack */

    p = put16(put16(put_ethernet(p, state), 0x88a8), 5);
    p = put16(put16(put16(p, 0x8100), 7), 0x8847);
    memcpy(p, label, 4);
    return p + 4;
}

static uint8_t *front_none(uint8_t *p, uint64_t *state)
{
    (void)state;
    return p;
}

static uint8_t *front_sll(uint8_t *p, uint64_t *state)
{
    memset(p, 0, 16);
    p[3] = 1;
    p[5] = 6;
    put_random(p + 6, 6, state);
    return put16(p + 14, 0x0800);
}

static uint8_t *front_sll2(uint8_t *p, uint64_t *state)
{
    memset(p, 0, 20);
    put16(p, 0x0800);
    p[7] = 1;
    p[9] = 1;
    p[11] = 6;
    put_random(p + 12, 6, state);
    return p + 20;
}

static uint8_t *front_null(uint8_t *p, uint64_t *state)
{
    static const uint8_t inet[4] = {2, 0, 0, 0};

    (void)state;
    memcpy(p, inet, 4);
    return p + 4;
}

static const struct kind {
    const char *name;
    uint32_t link_type;
    uint8_t version, proto;
    uint8_t *(*front)(uint8_t *p, uint64_t *state);
} kinds[] = {
    {"Ethernet, IPv4, TCP", 1, 4, 6, front_ethernet4},
    {"Ethernet, IPv4, UDP", 1, 4, 17, front_ethernet4},
    {"Ethernet, IPv6, TCP", 1, 6, 6, front_ethernet6},
    {"Ethernet, VLAN, IPv4, TCP", 1, 4, 6, front_vlan},
    {"Ethernet, two VLANs, MPLS, IPv4, TCP", 1, 4, 6, front_qinq_mpls},
    {"raw IPv4, TCP", 101, 4, 6, front_none},
    {"Linux cooked, IPv4, TCP", 113, 4, 6, front_sll},
    {"Linux cooked v2, IPv4, TCP", 276, 4, 6, front_sll2},
    {"loopback, IPv4, TCP", 0, 4, 6, front_null},
};
static const struct mask {
    const char *name;
    uint32_t bits;
    int every; /* for every kind, not only the first */
} masks[] = {
    {"key", FC_WANT_KEY, 0},
    {"key and TCP (what `index` wants)", FC_WANT_SESSION, 1},
    {"key with VLAN, and TCP", FC_WANT_SESSION | FC_KEY_VLAN, 0},
    {"key, TCP, TTL, DSCP, payload", FC_WANT_SESSION | FC_WANT_TTL | FC_WANT_DSCP | FC_WANT_PAYLOAD, 0},
    {"all fields", FC_WANT_ALL, 1},
};

static void make_frames(struct frames *f, const struct kind *k)
{
    uint64_t state = 88172645463325252u;

    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t *p = k->front(f->bytes[i], &state);
        p = put_ip(p, k->version, k->proto, k->proto == 6 ? 20 : 8, &state);
        p = put_transport(p, k->proto, &f->ports[i], &state);
        f->len = (uint32_t)(p - f->bytes[i]);
    }
}

static int check(const struct frames *f, const struct kind *k, uint32_t mask)
{
    struct fc_packet p;

    for (unsigned i = 0; i < FRAMES; i++) {
        fc_decode(k->link_type, f->bytes[i], f->len, f->len, mask, &p);
        if (p.malformed || p.key.proto != k->proto || p.key.addr_kind != k->version ||
            (uint32_t)p.key.port[0] + p.key.port[1] != f->ports[i])
            return 0;
    }
    return 1;
}

static double measure(const struct frames *f, const struct kind *k, uint32_t mask, int64_t n)
{
    double each[MICRO_ROUNDS];
    int64_t rounds = (n + FRAMES - 1) / FRAMES;
    struct fc_packet p;

    for (int r = 0; r < MICRO_ROUNDS; r++) {
        double start = micro_now();
        for (int64_t i = 0; i < rounds; i++)
            for (unsigned j = 0; j < FRAMES; j++)
                fc_decode(k->link_type, f->bytes[j], f->len, f->len, mask, &p);
        each[r] = (micro_now() - start) / (double)(rounds * FRAMES) * 1e9;
    }
    return micro_median(each, MICRO_ROUNDS);
}

int micro_decode(int argc, char **argv)
{
    int64_t n = micro_count(argc, argv, 1000000);
    struct frames *f = malloc(sizeof *f);
    int rc = 0;

    if (n < 0 || !f) {
        free(f);
        return 2;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && rc == 0; i++) {
        make_frames(f, &kinds[i]);
        for (size_t j = 0; j < sizeof masks / sizeof masks[0] && rc == 0; j++) {
            char what[128];
            if (i && !masks[j].every)
                continue;
            snprintf(what, sizeof what, "%s: %s", kinds[i].name, masks[j].name);
            if (check(f, &kinds[i], masks[j].bits))
                micro_row("decode", what, measure(f, &kinds[i], masks[j].bits, n), "ns a packet", "keys checked");
            else
                rc = micro_fail("decode", what);
        }
    }
    free(f);
    return rc;
}
