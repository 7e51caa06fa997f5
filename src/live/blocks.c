/* SPDX-License-Identifier: MIT */
#include "live/blocks.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { SECTION = 0x0a0d0d0a, BYTE_ORDER_MAGIC = 0x1a2b3c4d, INTERFACE = 1, STATISTICS = 5, PACKET = 6, SMALLEST = 12 };
enum { OPT_END, SHB_HARDWARE = 2, SHB_OS, SHB_USERAPPL };
enum { IF_NAME = 2, IF_DESCRIPTION = 3, IF_TSRESOL = 9, IF_FILTER = 11 };
enum { ISB_START = 2, ISB_END, ISB_IFRECV, ISB_IFDROP, ISB_FILTERACCEPT, ISB_OSDROP, ISB_USRDELIV };

static uint8_t *put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    return put16(put16(p, v & 0xffff), v >> 16);
}

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t *put_option(uint8_t *p, uint32_t code, const void *data, size_t n)
{
    static const uint8_t zeros[3];

    p = put16(put16(p, code), (uint32_t)n);
    memcpy(p, data, n);
    memcpy(p + n, zeros, -n & 3);
    return p + ((n + 3) & ~(size_t)3);
}

static uint8_t *put_text(uint8_t *p, uint32_t code, const char *text)
{
    size_t n = text ? strlen(text) : 0;

    return n ? put_option(p, code, text, n < FC_BLOCK_OPTION ? n : FC_BLOCK_OPTION) : p;
}

/* Times and counts of statistics: a time has its high half first. */
static uint8_t *put_time(uint8_t *p, uint32_t code, uint64_t ticks)
{
    uint8_t v[8];

    put32(put32(v, (uint32_t)(ticks >> 32)), (uint32_t)ticks);
    return put_option(p, code, v, sizeof v);
}

static uint8_t *put_count(uint8_t *p, uint32_t code, uint64_t count)
{
    uint8_t v[8];

    put32(put32(v, (uint32_t)count), (uint32_t)(count >> 32));
    return put_option(p, code, v, sizeof v);
}

/* Writes type and length around what ends at p. */
static size_t end(uint8_t *out, uint32_t type, uint8_t *p)
{
    uint32_t length = (uint32_t)(p + 4 - out);

    put32(put32(out, type), length);
    put32(p, length);
    return length;
}

static uint64_t ticks_of(int64_t ns, uint8_t tsresol)
{
    return (uint64_t)ns / (tsresol == 6 ? 1000 : 1);
}

size_t fc_block_section(uint8_t *out)
{
    static const uint8_t unknown_length[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    struct utsname system;
    char text[200];
    uint8_t *p = put16(put16(put32(out + 8, BYTE_ORDER_MAGIC), 1), 0);

    memcpy(p, unknown_length, 8);
    p += 8;
    if (uname(&system) == 0) {
        p = put_text(p, SHB_HARDWARE, system.machine);
        snprintf(text, sizeof text, "%.80s %.80s", system.sysname, system.release);
        p = put_text(p, SHB_OS, text);
    }
    snprintf(text, sizeof text, "flowcarve %s", FC_VERSION);
    p = put_text(p, SHB_USERAPPL, text);
    return end(out, SECTION, put32(p, OPT_END));
}

size_t fc_block_interface(uint8_t *out, const struct fc_recorder_interface *iface)
{
    char filter[FC_BLOCK_OPTION];
    uint8_t *p = put32(put16(put16(out + 8, iface->link_type), 0), iface->snaplen);

    p = put_text(p, IF_NAME, iface->name);
    p = put_text(p, IF_DESCRIPTION, iface->description);
    p = put_option(p, IF_TSRESOL, &iface->tsresol, 1);
    if (iface->filter && *iface->filter) {
        filter[0] = 0; /* what follows is a text for libpcap */
        snprintf(filter + 1, sizeof filter - 1, "%s", iface->filter);
        p = put_option(p, IF_FILTER, filter, 1 + strlen(filter + 1));
    }
    return end(out, INTERFACE, put32(p, OPT_END));
}

size_t fc_block_packet(uint8_t *out, const struct fc_recorder_packet *packet, uint8_t tsresol)
{
    static const uint8_t zeros[3];
    uint64_t ticks = ticks_of(packet->time_ns, tsresol);
    uint8_t *p = put32(put32(put32(out + 8, packet->interface), (uint32_t)(ticks >> 32)), (uint32_t)ticks);

    p = put32(put32(p, packet->caplen), packet->origlen);
    memcpy(p, packet->data, packet->caplen);
    p += packet->caplen;
    memcpy(p, zeros, -packet->caplen & 3);
    return end(out, PACKET, p + (-packet->caplen & 3));
}

size_t fc_block_statistics(uint8_t *out, uint32_t interface, uint8_t tsresol, const struct fc_block_statistics *s)
{
    uint64_t now = ticks_of(s->end_ns, tsresol);
    uint8_t *p = put32(put32(put32(out + 8, interface), (uint32_t)(now >> 32)), (uint32_t)now);

    p = put_time(p, ISB_START, ticks_of(s->start_ns, tsresol));
    p = put_time(p, ISB_END, now);
    p = put_count(p, ISB_IFRECV, s->received);
    p = put_count(p, ISB_IFDROP, s->dropped_iface);
    p = put_count(p, ISB_FILTERACCEPT, s->received);
    p = put_count(p, ISB_OSDROP, s->dropped_kernel);
    p = put_count(p, ISB_USRDELIV, s->recorded);
    return end(out, STATISTICS, put32(p, OPT_END));
}

uint32_t fc_block_length(const uint8_t *p)
{
    return get32(p + 4);
}

uint32_t fc_block_packet_interface(const uint8_t *p)
{
    return get32(p + 8);
}

uint32_t fc_block_packet_caplen(const uint8_t *p)
{
    return get32(p + 20);
}

int64_t fc_block_packet_ns(const uint8_t *p, uint8_t tsresol)
{
    return (int64_t)(((uint64_t)get32(p + 12) << 32 | get32(p + 16)) * (tsresol == 6 ? 1000 : 1));
}

size_t fc_block_whole(const uint8_t *p, size_t n, uint64_t *packets)
{
    size_t at = 0;

    while (n - at >= SMALLEST) {
        uint32_t length = fc_block_length(p + at);
        if (length < SMALLEST || length % 4 || length > n - at || get32(p + at + length - 4) != length)
            break;
        *packets += get32(p + at) == PACKET;
        at += length;
    }
    return at;
}
