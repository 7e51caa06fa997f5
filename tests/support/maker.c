/* SPDX-License-Identifier: MIT */
#include "maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void reserve(struct maker *m, size_t more)
{
    if (m->len + more <= m->room)
        return;
    m->room = (m->len + more) * 2;
    m->at = realloc(m->at, m->room);
    if (!m->at)
        abort();
}

void make_fini(struct maker *m)
{
    free(m->at);
    memset(m, 0, sizeof *m);
}

void make_bytes(struct maker *m, const void *p, size_t n)
{
    reserve(m, n);
    if (n)
        memcpy(m->at + m->len, p, n);
    m->len += n;
}

void make_fill(struct maker *m, uint8_t value, size_t n)
{
    reserve(m, n);
    if (n)
        memset(m->at + m->len, value, n);
    m->len += n;
}

static void put(struct maker *m, uint64_t v, unsigned bytes)
{
    reserve(m, bytes);
    for (unsigned i = 0; i < bytes; i++)
        m->at[m->len + (m->big ? bytes - 1 - i : i)] = (uint8_t)(v >> (8 * i));
    m->len += bytes;
}

void make16(struct maker *m, unsigned v)
{
    put(m, v, 2);
}

void make32(struct maker *m, uint32_t v)
{
    put(m, v, 4);
}

void make64(struct maker *m, uint64_t v)
{
    put(m, v, 8);
}

void make_patch32(struct maker *m, size_t off, uint32_t v)
{
    size_t len = m->len;

    m->len = off;
    put(m, v, 4);
    m->len = len;
}

void make_pcap(struct maker *m, uint32_t magic, unsigned minor, uint32_t snaplen, uint32_t link)
{
    make32(m, magic);
    make16(m, 2);
    make16(m, minor);
    make32(m, 0);
    make32(m, 0);
    make32(m, snaplen);
    make32(m, link);
}

static void data_or_pattern(struct maker *m, const void *data, size_t n)
{
    if (data)
        make_bytes(m, data, n);
    else
        for (size_t i = 0; i < n; i++)
            make_fill(m, (uint8_t)(0x40 + i % 61), 1);
}

size_t make_record(struct maker *m, unsigned head, uint32_t sec, uint32_t frac, uint32_t caplen, uint32_t origlen,
                   const void *data)
{
    size_t off = m->len;

    make32(m, sec);
    make32(m, frac);
    make32(m, caplen);
    make32(m, origlen);
    make_fill(m, 0xee, head - 16);
    data_or_pattern(m, data, caplen);
    return off;
}

static size_t begin_block(struct maker *m, uint32_t type)
{
    size_t off = m->len;

    make32(m, type);
    make32(m, 0);
    return off;
}

static size_t end_block(struct maker *m, size_t off)
{
    make_fill(m, 0, -(m->len - off) & 3);
    uint32_t size = (uint32_t)(m->len - off + 4);
    make32(m, size);
    make_patch32(m, off + 4, size);
    return off;
}

size_t make_block(struct maker *m, uint32_t type, const void *body, size_t n)
{
    size_t off = begin_block(m, type);

    make_bytes(m, body, n);
    return end_block(m, off);
}

size_t make_shb(struct maker *m)
{
    size_t off = begin_block(m, 0x0a0d0d0a);

    make32(m, 0x1a2b3c4d);
    make16(m, 1);
    make16(m, 0);
    make64(m, UINT64_MAX);
    return end_block(m, off);
}

size_t make_idb(struct maker *m, unsigned link, uint32_t snaplen, int resol, int64_t offset)
{
    size_t off = begin_block(m, 1);

    make16(m, link);
    make16(m, 0);
    make32(m, snaplen);
    if (resol >= 0) {
        uint8_t padded[4] = {(uint8_t)resol, 0, 0, 0};
        make16(m, 9);
        make16(m, 1);
        make_bytes(m, padded, 4);
    }
    if (offset) {
        make16(m, 14);
        make16(m, 8);
        make64(m, (uint64_t)offset);
    }
    if (resol >= 0 || offset)
        make32(m, 0);
    return end_block(m, off);
}

static size_t packet_block(struct maker *m, size_t off, uint64_t ticks, uint32_t caplen, uint32_t origlen,
                           const void *data)
{
    make32(m, (uint32_t)(ticks >> 32));
    make32(m, (uint32_t)ticks);
    make32(m, caplen);
    make32(m, origlen);
    data_or_pattern(m, data, caplen);
    return end_block(m, off);
}

size_t make_epb(struct maker *m, uint32_t iface, uint64_t ticks, uint32_t caplen, uint32_t origlen, const void *data)
{
    size_t off = begin_block(m, 6);

    make32(m, iface);
    return packet_block(m, off, ticks, caplen, origlen, data);
}

size_t make_pb(struct maker *m, unsigned iface, uint64_t ticks, uint32_t caplen, uint32_t origlen, const void *data)
{
    size_t off = begin_block(m, 2);

    make16(m, iface);
    make16(m, 0);
    return packet_block(m, off, ticks, caplen, origlen, data);
}

size_t make_spb(struct maker *m, uint32_t origlen, uint32_t caplen, const void *data)
{
    size_t off = begin_block(m, 3);

    make32(m, origlen);
    data_or_pattern(m, data, caplen);
    return end_block(m, off);
}

char *make_file(const struct maker *m, size_t len)
{
    int fd = memfd_create("capture", MFD_CLOEXEC);
    char path[64];

    if (fd < 0 || write(fd, m->at ? m->at : (const uint8_t *)"", len) != (ssize_t)len)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return strdup(path);
}

void make_close(char *path)
{
    int fd;

    if (path && sscanf(path, "/proc/self/fd/%d", &fd) == 1)
        close(fd);
    free(path);
}
