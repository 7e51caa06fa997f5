/* SPDX-License-Identifier: MIT */
/*
 * The decoder lists where layers are and what they are; here their bytes are read. A header is told as far as it was
 * captured, by the one rule of `part()`: bytes that are not there are not read.
 */
#include "base/export.h"

#include <flowcarve/decode.h>
#include <flowcarve/layers.h>
#include <flowcarve/value.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIELDS_MAX = 64 }; /* a TCP header has the most: 11, and 40 bytes of options */

struct telling {
    const uint8_t *p; /* the header, */
    uint32_t off;     /* where it is in the packet, */
    uint32_t left;    /* and how much was captured from there on */
    uint32_t next;    /* protocol of the header that comes, as the one in front of it says */
    size_t fields;
    struct fc_layer_field field[FIELDS_MAX];
};

static uint32_t number_at(const uint8_t *p, unsigned size)
{
    uint32_t n = 0;

    while (size--)
        n = n << 8 | *p++;
    return n;
}

/* A field of `len` bytes that are `at` bytes behind the header's start. */
__attribute__((format(printf, 5, 6))) static void field(struct telling *t, uint32_t at, uint32_t len, const char *name,
                                                        const char *fmt, ...)
{
    struct fc_layer_field *f = &t->field[t->fields];
    va_list ap;

    if (t->fields == FIELDS_MAX)
        return;
    t->fields++;
    f->name = name;
    f->off = t->off + at;
    f->len = len;
    va_start(ap, fmt);
    vsnprintf(f->value, sizeof f->value, fmt, ap);
    va_end(ap);
}

static void plain(struct telling *t, uint32_t at, uint32_t len, const char *name)
{
    field(t, at, len, name, "%s", "");
}

/* Are there `size` bytes `at` bytes behind the header's start? Else that is told, once. */
static bool part(struct telling *t, uint32_t at, uint32_t size)
{
    if (at <= t->left && t->left - at >= size)
        return true;
    plain(t, t->left, 0, "cut");
    return false;
}

/* A number of `size` bytes, all of it. */
static void number(struct telling *t, uint32_t at, uint32_t size, const char *name)
{
    field(t, at, size, name, "%" PRIu32, number_at(t->p + at, size));
}

static void hex(struct telling *t, uint32_t at, uint32_t size, const char *name)
{
    field(t, at, size, name, "0x%0*" PRIx32, (int)size * 2, number_at(t->p + at, size));
}

static void address(struct telling *t, const char *name, int kind, uint32_t at)
{
    char text[FC_TEXT_MAX];

    *fc_text_addr(text, kind, t->p + at) = '\0';
    field(t, at, kind == FC_ADDR_IPV6 ? 16 : kind == FC_ADDR_MAC ? 6 : 4, name, "%s", text);
}

static void protocol(struct telling *t, uint32_t at, uint32_t len, const char *name, uint32_t proto)
{
    char text[FC_TEXT_MAX];

    *fc_text_proto(text, proto) = '\0';
    field(t, at, len, name, "%s", text);
}

static void ethernet(struct telling *t)
{
    if (!part(t, 0, 14))
        return;
    address(t, "dst", FC_ADDR_MAC, 0);
    address(t, "src", FC_ADDR_MAC, 6);
    if (number_at(t->p + 12, 2) < 0x600)
        number(t, 12, 2, "length");
    else
        hex(t, 12, 2, "type");
}

static void vlan(struct telling *t)
{
    if (!part(t, 0, 4))
        return;
    uint32_t tag = number_at(t->p, 2);
    field(t, 0, 2, "id", "%u", tag & 0xfff);
    field(t, 0, 1, "priority", "%u", tag >> 13);
    field(t, 0, 1, "dei", "%u", tag >> 12 & 1);
    hex(t, 2, 2, "type");
}

static void mpls(struct telling *t)
{
    if (!part(t, 0, 4))
        return;
    uint32_t entry = number_at(t->p, 4);
    field(t, 0, 3, "label", "%u", entry >> 12);
    field(t, 2, 1, "class", "%u", entry >> 9 & 7);
    field(t, 2, 1, "bottom", "%u", entry >> 8 & 1);
    field(t, 3, 1, "ttl", "%u", entry & 255);
}

static void pppoe(struct telling *t)
{
    if (!part(t, 0, 6))
        return;
    hex(t, 1, 1, "code");
    number(t, 2, 2, "session");
    number(t, 4, 2, "length");
}

/* Address and control may be left out, and the protocol's first byte. */
static void ppp(struct telling *t)
{
    uint32_t at = t->left >= 2 && number_at(t->p, 2) == 0xff03 ? 2 : 0;

    if (!part(t, at, 1))
        return;
    uint32_t size = t->p[at] & 1 ? 1 : 2;
    if (part(t, at, size))
        field(t, at, size, "protocol", "0x%04x", number_at(t->p + at, size));
}

static void llc(struct telling *t)
{
    if (!part(t, 0, 3))
        return;
    hex(t, 0, 1, "dsap");
    hex(t, 1, 1, "ssap");
    hex(t, 2, 1, "control");
}

static void arp(struct telling *t)
{
    if (!part(t, 0, 8))
        return;
    uint32_t hardware = t->p[4], length = t->p[5];
    number(t, 6, 2, "operation");
    if (hardware != 6 || length != 4 || number_at(t->p + 2, 2) != 0x800 || !part(t, 8, 20))
        return;
    address(t, "sender", FC_ADDR_MAC, 8);
    address(t, "sender", FC_ADDR_IPV4, 14);
    address(t, "target", FC_ADDR_MAC, 18);
    address(t, "target", FC_ADDR_IPV4, 24);
}

static void ipv4(struct telling *t)
{
    if (!part(t, 0, 20))
        return;
    uint32_t size = (t->p[0] & 15) * 4u, piece = number_at(t->p + 6, 2);
    t->next = t->p[9];
    address(t, "src", FC_ADDR_IPV4, 12);
    address(t, "dst", FC_ADDR_IPV4, 16);
    protocol(t, 9, 1, "proto", t->p[9]);
    number(t, 8, 1, "ttl");
    number(t, 2, 2, "length");
    number(t, 4, 2, "id");
    field(t, 6, 1, "flags", "%s",
          (piece & 0x6000) == 0x6000 ? "DF MF"
          : piece & 0x4000           ? "DF"
          : piece & 0x2000           ? "MF"
                                     : "none");
    field(t, 6, 2, "offset", "%u", (piece & 0x1fff) * 8);
    field(t, 1, 1, "dscp", "%u", t->p[1] >> 2);
    field(t, 1, 1, "ecn", "%u", t->p[1] & 3);
    hex(t, 10, 2, "checksum");
    if (size > 20)
        field(t, 20, size - 20 < t->left - 20 ? size - 20 : t->left - 20, "options", "%u bytes", size - 20);
}

static void ipv6(struct telling *t)
{
    if (!part(t, 0, 40))
        return;
    uint32_t head = number_at(t->p, 4);
    t->next = t->p[6];
    address(t, "src", FC_ADDR_IPV6, 8);
    address(t, "dst", FC_ADDR_IPV6, 24);
    protocol(t, 6, 1, "next", t->p[6]);
    number(t, 7, 1, "hop-limit");
    number(t, 4, 2, "length");
    field(t, 0, 2, "dscp", "%u", head >> 22 & 63);
    field(t, 1, 1, "ecn", "%u", head >> 20 & 3);
    field(t, 1, 3, "flow", "0x%05x", head & 0xfffff);
}

static void ipv6_extension(struct telling *t)
{
    enum { FRAGMENT = 44 };
    uint32_t kind = t->next;

    if (!part(t, 0, 8))
        return;
    protocol(t, 0, 0, "kind", kind);
    protocol(t, 0, 1, "next", t->p[0]);
    t->next = t->p[0];
    if (kind != FRAGMENT)
        return;
    field(t, 2, 2, "offset", "%u", number_at(t->p + 2, 2) & 0xfff8);
    field(t, 3, 1, "more", "%u", t->p[3] & 1);
    number(t, 4, 4, "id");
}

static void tcp_option(struct telling *t, uint32_t at, uint32_t size)
{
    const uint8_t *p = t->p + at;

    if (p[0] == 2 && size == 4)
        field(t, at, size, "mss", "%u", number_at(p + 2, 2));
    else if (p[0] == 3 && size == 3)
        field(t, at, size, "window-scale", "%u", p[2]);
    else if (p[0] == 4 && size == 2)
        plain(t, at, size, "sack-permitted");
    else if (p[0] == 5)
        for (uint32_t i = 2; i + 8 <= size; i += 8)
            field(t, at + i, 8, "sack", "%" PRIu32 "-%" PRIu32, number_at(p + i, 4), number_at(p + i + 4, 4));
    else if (p[0] == 8 && size == 10)
        field(t, at, size, "timestamps", "%" PRIu32 " %" PRIu32, number_at(p + 2, 4), number_at(p + 6, 4));
    else
        field(t, at, size, "option", "%u of %u bytes", p[0], size);
}

static void tcp_options(struct telling *t, uint32_t end)
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
            field(t, at, 2, "option", "%u is broken", kind);
            return;
        }
        if (!part(t, at, size))
            return;
        tcp_option(t, at, size);
        at += size;
    }
}

static void tcp(struct telling *t)
{
    static const char letters[] = "FSRPAUEC";
    char flags[9];
    unsigned n = 0;

    if (!part(t, 0, 4))
        return;
    number(t, 0, 2, "src");
    number(t, 2, 2, "dst");
    if (!part(t, 4, 16))
        return;
    for (unsigned i = 0; i < 8; i++)
        if (t->p[13] & 1u << i)
            flags[n++] = letters[i];
    flags[n] = '\0';
    number(t, 4, 4, "seq");
    number(t, 8, 4, "ack");
    field(t, 13, 1, "flags", "%s", n ? flags : "none");
    number(t, 14, 2, "window");
    hex(t, 16, 2, "checksum");
    number(t, 18, 2, "urgent");
    tcp_options(t, (t->p[12] >> 4) * 4u);
}

static void udp(struct telling *t)
{
    if (!part(t, 0, 8))
        return;
    number(t, 0, 2, "src");
    number(t, 2, 2, "dst");
    number(t, 4, 2, "length");
    hex(t, 6, 2, "checksum");
}

static void sctp(struct telling *t)
{
    if (!part(t, 0, 12))
        return;
    number(t, 0, 2, "src");
    number(t, 2, 2, "dst");
    hex(t, 4, 4, "tag");
    hex(t, 8, 4, "checksum");
}

static void icmp(struct telling *t, bool v6)
{
    if (!part(t, 0, 4))
        return;
    bool echo = v6 ? t->p[0] == 128 || t->p[0] == 129 : t->p[0] == 8 || t->p[0] == 0;
    number(t, 0, 1, "type");
    number(t, 1, 1, "code");
    hex(t, 2, 2, "checksum");
    if (!echo || !part(t, 4, 4))
        return;
    number(t, 4, 2, "id");
    number(t, 6, 2, "sequence");
}

/* One that is not gone into, and AH, behind which it goes on. */
static void other(struct telling *t)
{
    enum { AH = 51 };

    protocol(t, 0, 0, "proto", t->next);
    if (t->next == AH && part(t, 0, 12)) {
        protocol(t, 0, 1, "next", t->p[0]);
        hex(t, 4, 4, "spi");
        number(t, 8, 4, "sequence");
        t->next = t->p[0];
    }
}

/*
 * The encapsulation that a header begins: what follows is deeper by one. In UDP the header itself is. Some tags and
 * bridges begin none.
 */
static void tunnel(struct telling *t, const struct fc_packet *packet, unsigned i)
{
    const struct fc_layer *self = &packet->layer[i];
    bool in_udp = i && self[-1].type == FC_LAYER_UDP, last = i + 1 == packet->layer_count;
    unsigned depth = last ? (packet->got & FC_WANT_TUNNEL ? packet->tunnel_count : 0) : self[1].depth;
    unsigned which = self->depth - in_udp;
    const char *id = NULL, *name = which < depth ? fc_tunnel_name(packet->tunnel[which].kind, &id) : NULL;

    plain(t, 0, 0, name ? name : "other");
    if (name && id)
        field(t, 0, 0, id, "%" PRIu32, packet->tunnel[which].id);
}

static void payload(struct telling *t, const struct fc_record *record, const struct fc_packet *packet, uint32_t off)
{
    bool known = packet->got & FC_WANT_PAYLOAD && packet->payload_off == off;
    uint32_t bytes = known ? packet->payload_bytes : record->origlen > off ? record->origlen - off : t->left;

    field(t, 0, t->left < bytes ? t->left : bytes, "bytes", "%" PRIu32, bytes);
    if (t->left < bytes)
        field(t, 0, t->left, "captured", "%" PRIu32, t->left);
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

static void link_header(struct telling *t, uint32_t link_type)
{
    const char *name = fc_link_type_name(link_type);

    if (link_type == ETHERNET)
        ethernet(t);
    else if (name)
        plain(t, 0, 0, name);
    else
        field(t, 0, 0, "link type", "%" PRIu32, link_type);
}

static void tell_fields(struct telling *t, const struct fc_record *record, const struct fc_packet *packet, unsigned i)
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

FC_EXPORT int fc_layers_tell(const struct fc_record *record, fc_layer_take *take, void *ctx, bool *malformed)
{
    struct telling t = {.next = 0};
    struct fc_packet packet;
    int rc = 0;

    fc_decode(record->link_type, record->data, record->caplen, record->origlen,
              FC_WANT_KEY | FC_WANT_PAYLOAD | FC_WANT_TUNNEL, &packet);
    for (unsigned i = 0; i < packet.layer_count && rc == 0; i++) {
        const struct fc_layer *layer = &packet.layer[i];
        uint32_t end = i + 1 < packet.layer_count ? packet.layer[i + 1].off : record->caplen;
        bool link = layer->type == FC_LAYER_LINK && record->link_type == ETHERNET;

        t.p = record->data + layer->off;
        t.off = layer->off;
        t.left = record->caplen - layer->off;
        t.fields = 0;
        tell_fields(&t, record, &packet, i);
        struct fc_layer_told told = {.name = names[link ? FC_LAYER_ETHERNET : layer->type],
                                     .off = layer->off,
                                     .len = end - layer->off,
                                     .depth = layer->depth,
                                     .field = t.field,
                                     .fields = t.fields};
        rc = take(ctx, &told);
    }
    if (malformed)
        *malformed = packet.malformed;
    return rc;
}
