/* SPDX-License-Identifier: MIT */
/*
 * The decoder lists where layers are and what they are; here their bytes are shown. A header is shown as far as it was
 * captured, by the one rule of `part()`: bytes that are not there are not read.
 */
#include "cli/packets_tree.h"
#include "cli/format.h"

#include <flowcarve/decode.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT = 24 };

struct tree {
    FILE *out;
    unsigned width, column;
    const uint8_t *p; /* the header, */
    uint32_t left;    /* and how much was captured from there on */
    bool first;       /* no field of the line yet */
    uint32_t next;    /* protocol of the header that comes, as the one in front of it says */
};

static uint32_t number_at(const uint8_t *p, unsigned size)
{
    uint32_t n = 0;

    while (size--)
        n = n << 8 | *p++;
    return n;
}

/* "name value", behind a comma, on a new line where it would not fit. */
__attribute__((format(printf, 2, 3))) static void field(struct tree *t, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!t->first) {
        fputc(',', t->out);
        t->column++;
        if (t->width && t->column + 2 + (unsigned)len > t->width) {
            fprintf(t->out, "\n%*s", INDENT, "");
            t->column = INDENT;
        } else {
            fputc(' ', t->out);
            t->column++;
        }
    }
    fputs(text, t->out);
    t->column += (unsigned)len;
    t->first = false;
}

/* Are there `size` bytes `at` bytes behind the header's start? Else that is told, once. */
static bool part(struct tree *t, uint32_t at, uint32_t size)
{
    if (at <= t->left && t->left - at >= size)
        return true;
    field(t, "cut");
    return false;
}

static void address(struct tree *t, const char *name, int kind, uint32_t at)
{
    char text[FC_TEXT_MAX];

    *fc_text_addr(text, kind, t->p + at) = '\0';
    field(t, "%s %s", name, text);
}

static void protocol(struct tree *t, const char *name, uint32_t proto)
{
    char text[FC_TEXT_MAX];

    *fc_text_proto(text, proto) = '\0';
    field(t, "%s %s", name, text);
}

static void ethernet(struct tree *t)
{
    if (!part(t, 0, 14))
        return;
    address(t, "dst", FC_ADDR_MAC, 0);
    address(t, "src", FC_ADDR_MAC, 6);
    uint32_t type = number_at(t->p + 12, 2);
    if (type < 0x600)
        field(t, "length %u", type);
    else
        field(t, "type 0x%04x", type);
}

static void vlan(struct tree *t)
{
    if (!part(t, 0, 4))
        return;
    uint32_t tag = number_at(t->p, 2);
    field(t, "id %u", tag & 0xfff);
    field(t, "priority %u", tag >> 13);
    field(t, "dei %u", tag >> 12 & 1);
    field(t, "type 0x%04x", number_at(t->p + 2, 2));
}

static void mpls(struct tree *t)
{
    if (!part(t, 0, 4))
        return;
    uint32_t entry = number_at(t->p, 4);
    field(t, "label %u", entry >> 12);
    field(t, "class %u", entry >> 9 & 7);
    field(t, "bottom %u", entry >> 8 & 1);
    field(t, "ttl %u", entry & 255);
}

static void pppoe(struct tree *t)
{
    if (!part(t, 0, 6))
        return;
    field(t, "code 0x%02x", t->p[1]);
    field(t, "session %u", number_at(t->p + 2, 2));
    field(t, "length %u", number_at(t->p + 4, 2));
}

/* Address and control may be left out, and the protocol's first byte. */
static void ppp(struct tree *t)
{
    uint32_t at = t->left >= 2 && number_at(t->p, 2) == 0xff03 ? 2 : 0;

    if (!part(t, at, 1))
        return;
    uint32_t size = t->p[at] & 1 ? 1 : 2;
    if (part(t, at, size))
        field(t, "protocol 0x%04x", number_at(t->p + at, size));
}

static void llc(struct tree *t)
{
    if (!part(t, 0, 3))
        return;
    field(t, "dsap 0x%02x", t->p[0]);
    field(t, "ssap 0x%02x", t->p[1]);
    field(t, "control 0x%02x", t->p[2]);
}

static void arp(struct tree *t)
{
    if (!part(t, 0, 8))
        return;
    uint32_t hardware = t->p[4], length = t->p[5];
    field(t, "operation %u", number_at(t->p + 6, 2));
    if (hardware != 6 || length != 4 || number_at(t->p + 2, 2) != 0x800 || !part(t, 8, 20))
        return;
    address(t, "sender", FC_ADDR_MAC, 8);
    address(t, "sender", FC_ADDR_IPV4, 14);
    address(t, "target", FC_ADDR_MAC, 18);
    address(t, "target", FC_ADDR_IPV4, 24);
}

static void ipv4(struct tree *t)
{
    if (!part(t, 0, 20))
        return;
    uint32_t size = (t->p[0] & 15) * 4u, piece = number_at(t->p + 6, 2);
    t->next = t->p[9];
    address(t, "src", FC_ADDR_IPV4, 12);
    address(t, "dst", FC_ADDR_IPV4, 16);
    protocol(t, "proto", t->p[9]);
    field(t, "ttl %u", t->p[8]);
    field(t, "length %u", number_at(t->p + 2, 2));
    field(t, "id %u", number_at(t->p + 4, 2));
    field(t, "flags %s", (piece & 0x6000) == 0x6000 ? "DF MF" : piece & 0x4000 ? "DF" : piece & 0x2000 ? "MF" : "none");
    field(t, "offset %u", (piece & 0x1fff) * 8);
    field(t, "dscp %u", t->p[1] >> 2);
    field(t, "ecn %u", t->p[1] & 3);
    field(t, "checksum 0x%04x", number_at(t->p + 10, 2));
    if (size > 20)
        field(t, "options %u bytes", size - 20);
}

static void ipv6(struct tree *t)
{
    if (!part(t, 0, 40))
        return;
    uint32_t head = number_at(t->p, 4);
    t->next = t->p[6];
    address(t, "src", FC_ADDR_IPV6, 8);
    address(t, "dst", FC_ADDR_IPV6, 24);
    protocol(t, "next", t->p[6]);
    field(t, "hop-limit %u", t->p[7]);
    field(t, "length %u", number_at(t->p + 4, 2));
    field(t, "dscp %u", head >> 22 & 63);
    field(t, "ecn %u", head >> 20 & 3);
    field(t, "flow 0x%05x", head & 0xfffff);
}

static void ipv6_extension(struct tree *t)
{
    enum { FRAGMENT = 44 };
    uint32_t kind = t->next;

    if (!part(t, 0, 8))
        return;
    protocol(t, "kind", kind);
    protocol(t, "next", t->p[0]);
    t->next = t->p[0];
    if (kind != FRAGMENT)
        return;
    field(t, "offset %u", number_at(t->p + 2, 2) & 0xfff8);
    field(t, "more %u", t->p[3] & 1);
    field(t, "id %" PRIu32, number_at(t->p + 4, 4));
}

/* SACK's ranges. */
static void sack(struct tree *t, const uint8_t *p, uint32_t size)
{
    for (uint32_t at = 2; at + 8 <= size; at += 8)
        field(t, "sack %" PRIu32 "-%" PRIu32, number_at(p + at, 4), number_at(p + at + 4, 4));
}

static void tcp_option(struct tree *t, const uint8_t *p, uint32_t size)
{
    if (p[0] == 2 && size == 4)
        field(t, "mss %u", number_at(p + 2, 2));
    else if (p[0] == 3 && size == 3)
        field(t, "window-scale %u", p[2]);
    else if (p[0] == 4 && size == 2)
        field(t, "sack-permitted");
    else if (p[0] == 5)
        sack(t, p, size);
    else if (p[0] == 8 && size == 10)
        field(t, "timestamps %" PRIu32 " %" PRIu32, number_at(p + 2, 4), number_at(p + 6, 4));
    else
        field(t, "option %u of %u bytes", p[0], size);
}

static void tcp_options(struct tree *t, uint32_t end)
{
    for (uint32_t at = 20; at < end && part(t, at, 1);) {
        uint8_t kind = t->p[at];
        if (kind == 0)
            return;
        if (kind == 1) { /* a filler */
            at++;
            continue;
        }
        if (!part(t, at, 2))
            return;
        uint32_t size = t->p[at + 1];
        if (size < 2 || size > end - at) {
            field(t, "option %u is broken", kind);
            return;
        }
        if (!part(t, at, size))
            return;
        tcp_option(t, t->p + at, size);
        at += size;
    }
}

static void tcp(struct tree *t)
{
    static const char letters[] = "FSRPAUEC";
    char flags[9];
    unsigned n = 0;

    if (!part(t, 0, 4))
        return;
    field(t, "src %u", number_at(t->p, 2));
    field(t, "dst %u", number_at(t->p + 2, 2));
    if (!part(t, 4, 16))
        return;
    for (unsigned i = 0; i < 8; i++)
        if (t->p[13] & 1u << i)
            flags[n++] = letters[i];
    flags[n] = '\0';
    field(t, "seq %" PRIu32, number_at(t->p + 4, 4));
    field(t, "ack %" PRIu32, number_at(t->p + 8, 4));
    field(t, "flags %s", n ? flags : "none");
    field(t, "window %u", number_at(t->p + 14, 2));
    field(t, "checksum 0x%04x", number_at(t->p + 16, 2));
    field(t, "urgent %u", number_at(t->p + 18, 2));
    tcp_options(t, (t->p[12] >> 4) * 4u);
}

static void udp(struct tree *t)
{
    if (!part(t, 0, 8))
        return;
    field(t, "src %u", number_at(t->p, 2));
    field(t, "dst %u", number_at(t->p + 2, 2));
    field(t, "length %u", number_at(t->p + 4, 2));
    field(t, "checksum 0x%04x", number_at(t->p + 6, 2));
}

static void sctp(struct tree *t)
{
    if (!part(t, 0, 12))
        return;
    field(t, "src %u", number_at(t->p, 2));
    field(t, "dst %u", number_at(t->p + 2, 2));
    field(t, "tag 0x%08" PRIx32, number_at(t->p + 4, 4));
    field(t, "checksum 0x%08" PRIx32, number_at(t->p + 8, 4));
}

static void icmp(struct tree *t, bool v6)
{
    if (!part(t, 0, 4))
        return;
    bool echo = v6 ? t->p[0] == 128 || t->p[0] == 129 : t->p[0] == 8 || t->p[0] == 0;
    field(t, "type %u", t->p[0]);
    field(t, "code %u", t->p[1]);
    field(t, "checksum 0x%04x", number_at(t->p + 2, 2));
    if (!echo || !part(t, 4, 4))
        return;
    field(t, "id %u", number_at(t->p + 4, 2));
    field(t, "sequence %u", number_at(t->p + 6, 2));
}

/* One that is not gone into, and AH, behind which it goes on. */
static void other(struct tree *t)
{
    enum { AH = 51 };

    protocol(t, "proto", t->next);
    if (t->next == AH && part(t, 0, 12)) {
        protocol(t, "next", t->p[0]);
        field(t, "spi 0x%08" PRIx32, number_at(t->p + 4, 4));
        field(t, "sequence %" PRIu32, number_at(t->p + 8, 4));
        t->next = t->p[0];
    }
}

/*
 * The encapsulation that a header begins: what follows is deeper by one. In UDP the header itself is. Some tags and
 * bridges begin none.
 */
static void tunnel(struct tree *t, const struct fc_packet *packet, unsigned i)
{
    const struct fc_layer *self = &packet->layer[i];
    bool in_udp = i && self[-1].type == FC_LAYER_UDP, last = i + 1 == packet->layer_count;
    unsigned depth = last ? (packet->got & FC_WANT_TUNNEL ? packet->tunnel_count : 0) : self[1].depth;
    unsigned which = self->depth - in_udp;
    const char *id = NULL, *name = which < depth ? fc_tunnel_name(packet->tunnel[which].kind, &id) : NULL;

    field(t, "%s", name ? name : "other");
    if (name && id)
        field(t, "%s %" PRIu32, id, packet->tunnel[which].id);
}

static void payload(struct tree *t, const struct fc_record *record, const struct fc_packet *packet, uint32_t off)
{
    bool known = packet->got & FC_WANT_PAYLOAD && packet->payload_off == off;
    uint32_t bytes = known ? packet->payload_bytes : record->origlen > off ? record->origlen - off : t->left;

    field(t, "%" PRIu32 " byte%s", bytes, bytes == 1 ? "" : "s");
    if (t->left < bytes)
        field(t, "%" PRIu32 " captured", t->left);
}

static const char *const names[] = {
    [FC_LAYER_LINK] = "link",         [FC_LAYER_VLAN] = "vlan",         [FC_LAYER_MPLS] = "mpls",
    [FC_LAYER_PPPOE] = "pppoe",       [FC_LAYER_PPP] = "ppp",           [FC_LAYER_LLC] = "llc",
    [FC_LAYER_ARP] = "arp",           [FC_LAYER_IPV4] = "ipv4",         [FC_LAYER_IPV6] = "ipv6",
    [FC_LAYER_IPV6_EXT] = "ipv6-ext", [FC_LAYER_TCP] = "tcp",           [FC_LAYER_UDP] = "udp",
    [FC_LAYER_SCTP] = "sctp",         [FC_LAYER_ICMP] = "icmp",         [FC_LAYER_ICMPV6] = "icmpv6",
    [FC_LAYER_OTHER] = "other",       [FC_LAYER_ETHERNET] = "ethernet", [FC_LAYER_TUNNEL] = "tunnel",
    [FC_LAYER_PAYLOAD] = "payload"};

enum { ETHERNET = 1 };

static void link_header(struct tree *t, uint32_t link_type)
{
    const char *name = fc_link_type_name(link_type);

    if (link_type == ETHERNET)
        ethernet(t);
    else if (name)
        field(t, "%s", name);
    else
        field(t, "link type %" PRIu32, link_type);
}

static void fields(struct tree *t, const struct fc_record *record, const struct fc_packet *packet, unsigned i)
{
    switch (packet->layer[i].type) {
    case FC_LAYER_LINK:
        link_header(t, record->link_type);
        break;
    case FC_LAYER_ETHERNET:
        ethernet(t);
        break;
    case FC_LAYER_VLAN:
        vlan(t);
        break;
    case FC_LAYER_MPLS:
        mpls(t);
        break;
    case FC_LAYER_PPPOE:
        pppoe(t);
        break;
    case FC_LAYER_PPP:
        ppp(t);
        break;
    case FC_LAYER_LLC:
        llc(t);
        break;
    case FC_LAYER_ARP:
        arp(t);
        break;
    case FC_LAYER_IPV4:
        ipv4(t);
        break;
    case FC_LAYER_IPV6:
        ipv6(t);
        break;
    case FC_LAYER_IPV6_EXT:
        ipv6_extension(t);
        break;
    case FC_LAYER_TCP:
        tcp(t);
        break;
    case FC_LAYER_UDP:
        udp(t);
        break;
    case FC_LAYER_SCTP:
        sctp(t);
        break;
    case FC_LAYER_ICMP:
    case FC_LAYER_ICMPV6:
        icmp(t, packet->layer[i].type == FC_LAYER_ICMPV6);
        break;
    case FC_LAYER_TUNNEL:
        tunnel(t, packet, i);
        break;
    case FC_LAYER_OTHER:
        other(t);
        break;
    case FC_LAYER_PAYLOAD:
        payload(t, record, packet, packet->layer[i].off);
        break;
    default:
        break;
    }
}

/* "  ipv4      14+20      src ..." */
static void layer(struct tree *t, const struct fc_record *record, const struct fc_packet *packet, unsigned i)
{
    uint32_t off = packet->layer[i].off, end = i + 1 < packet->layer_count ? packet->layer[i + 1].off : record->caplen;
    enum fc_layer_type type = packet->layer[i].type;
    char place[32];

    if (type == FC_LAYER_LINK && record->link_type == ETHERNET)
        type = FC_LAYER_ETHERNET;

    t->p = record->data + off;
    t->left = record->caplen - off;
    t->first = true;
    t->column = INDENT;
    snprintf(place, sizeof place, "%" PRIu32 "+%" PRIu32, off, end - off);
    fprintf(t->out, "  %-9s %-11s ", names[type], place);
    fields(t, record, packet, i);
    fputc('\n', t->out);
}

char *fc_packet_tree(const struct fc_record *record, unsigned width)
{
    char *text = NULL;
    size_t size;
    struct fc_packet packet;
    struct tree t = {.out = open_memstream(&text, &size), .width = width};

    if (!t.out)
        return NULL;
    fc_decode(record->link_type, record->data, record->caplen, record->origlen,
              FC_WANT_KEY | FC_WANT_PAYLOAD | FC_WANT_TUNNEL, &packet);
    for (unsigned i = 0; i < packet.layer_count; i++)
        layer(&t, record, &packet, i);
    if (packet.malformed)
        fprintf(t.out, "  malformed\n");
    bool failed = ferror(t.out);
    if (fclose(t.out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
