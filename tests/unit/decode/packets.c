/* SPDX-License-Identifier: MIT */
#include "packets.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void put_hex(struct bytes *b, const char *hex)
{
    unsigned digits = 0;

    for (; *hex; hex++) {
        if (isspace((unsigned char)*hex))
            continue;
        char digit[2] = {*hex, 0};
        unsigned value = (unsigned)strtoul(digit, NULL, 16);
        if (digits++ % 2)
            b->at[b->n++] |= (uint8_t)value;
        else
            b->at[b->n] = (uint8_t)(value << 4);
    }
}

void put16(struct bytes *b, unsigned value)
{
    b->at[b->n++] = (uint8_t)(value >> 8);
    b->at[b->n++] = (uint8_t)value;
}

void put32(struct bytes *b, uint32_t value)
{
    put16(b, value >> 16);
    put16(b, value & 0xffff);
}

void put_zeros(struct bytes *b, unsigned count)
{
    memset(b->at + b->n, 0, count);
    b->n += count;
}

void put_eth(struct bytes *b, unsigned src, unsigned dst, unsigned type)
{
    put16(b, 0x0200);
    put32(b, dst);
    put16(b, 0x0200);
    put32(b, src);
    put16(b, type);
}

void put_ip4(struct bytes *b, unsigned src, unsigned dst, unsigned proto, unsigned follows)
{
    put_hex(b, "45 b8");
    put16(b, 20 + follows);
    put_hex(b, "1234 4000 40");
    b->at[b->n++] = (uint8_t)proto;
    put16(b, 0);
    put32(b, 0x0a000000 + src);
    put32(b, 0x0a000000 + dst);
}

void put_ip4_frag(struct bytes *b, unsigned src, unsigned dst, unsigned proto, unsigned id, unsigned fragment)
{
    uint32_t start = b->n;
    put_ip4(b, src, dst, proto, 0);
    struct bytes field = {.n = 0};
    put16(&field, 0);
    put16(&field, id);
    put16(&field, fragment);
    memcpy(b->at + start + 2, field.at, 6);
}

void put_ip6(struct bytes *b, unsigned src, unsigned dst, unsigned next, unsigned follows)
{
    put32(b, 0x6b800000);
    put16(b, follows);
    b->at[b->n++] = (uint8_t)next;
    b->at[b->n++] = 63;
    put_hex(b, "20010db8 00000000 00000000");
    put32(b, src);
    put_hex(b, "20010db8 00000000 00000000");
    put32(b, dst);
}

void put_tcp(struct bytes *b, unsigned sport, unsigned dport, unsigned flags)
{
    put16(b, sport);
    put16(b, dport);
    put_hex(b, "01020304 05060708");
    put16(b, 0x5000 | flags);
    put_hex(b, "ffff 0000 0000");
}

void put_udp(struct bytes *b, unsigned sport, unsigned dport, unsigned payload)
{
    put16(b, sport);
    put16(b, dport);
    put16(b, 8 + payload);
    put16(b, 0);
    put_zeros(b, payload);
}

struct bytes tcp4(unsigned src, unsigned sport, unsigned dst, unsigned dport)
{
    struct bytes b = {.n = 0};
    put_eth(&b, src, dst, 0x0800);
    put_ip4(&b, src, dst, 6, 30);
    put_tcp(&b, sport, dport, FC_TCP_PSH | FC_TCP_ACK);
    put_zeros(&b, 10);
    return b;
}

struct bytes udp4(unsigned src, unsigned sport, unsigned dst, unsigned dport)
{
    struct bytes b = {.n = 0};
    put_eth(&b, src, dst, 0x0800);
    put_ip4(&b, src, dst, 17, 18);
    put_udp(&b, sport, dport, 10);
    return b;
}

struct fc_packet decode_mask(uint32_t link_type, const struct bytes *b, uint32_t mask)
{
    struct fc_packet p;
    memset(&p, 0xa5, sizeof(p));
    fc_decode(link_type, b->at, b->n, b->n, mask, &p);
    return p;
}

struct fc_packet decode(uint32_t link_type, const struct bytes *b)
{
    return decode_mask(link_type, b, FC_WANT_ALL);
}

static void addr_text(const struct fc_flow_key *key, int end, char *text, size_t size)
{
    char addr[INET6_ADDRSTRLEN];

    if (key->addr_kind == FC_ADDR_NONE) {
        snprintf(text, size, "-");
    } else if (key->addr_kind == FC_ADDR_MAC) {
        snprintf(text, size, "%02x", key->addr[end][5]);
    } else {
        inet_ntop(key->addr_kind == FC_ADDR_IPV4 ? AF_INET : AF_INET6, key->addr[end], addr, sizeof(addr));
        snprintf(text, size, "%s:%u", addr, key->port[end]);
    }
}

const char *key_text(const struct fc_flow_key *key)
{
    static char text[256];
    char end[2][64], proto[32];
    const char *name = fc_proto_name(key->proto);

    addr_text(key, 0, end[0], sizeof(end[0]));
    addr_text(key, 1, end[1], sizeof(end[1]));
    snprintf(proto, sizeof(proto), key->proto < 256 ? "%u" : "%x", key->proto);
    snprintf(text, sizeof(text), "%s %s %s%s", name && key->proto < 256 ? name : proto, end[0], end[1],
             key->one_way ? " one-way" : "");
    return text;
}

int layer_off(const struct fc_packet *p, enum fc_layer_type type)
{
    for (unsigned i = 0; i < p->layer_count; i++)
        if (p->layer[i].type == type)
            return (int)p->layer[i].off;
    return -1;
}

struct bytes with_ip4(const char *hex)
{
    struct bytes b = {.n = 0};
    put_hex(&b, hex);
    put_ip4(&b, 2, 1, 17, 8);
    put_udp(&b, 1024, 53, 0);
    return b;
}

struct bytes with_ip6(const char *hex)
{
    struct bytes b = {.n = 0};
    put_hex(&b, hex);
    put_ip6(&b, 2, 1, 17, 8);
    put_udp(&b, 1024, 53, 0);
    return b;
}

struct bytes only(const char *hex)
{
    struct bytes b = {.n = 0};
    put_hex(&b, hex);
    return b;
}
