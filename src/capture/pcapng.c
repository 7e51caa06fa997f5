/* SPDX-License-Identifier: MIT */
#include "capture/pcapng.h"
#include "base/bytes.h"
#include "base/error.h"
#include "capture/resync.h"
#include "capture/window.h"

#include <stdlib.h>
#include <string.h>

enum {
    CAPLEN_MAX = 128 << 20, /* of any link type: which one it is, is known behind the block's head only */
    /* Blocks that are no packets are read up to this size; the rest of a larger one is skipped over. */
    BLOCK_READ_MAX = 1 << 20
};

struct block {
    uint64_t off;
    uint64_t size; /* bytes, rounded up to 4 */
    uint32_t type;
    const uint8_t *p; /* the whole block, or its first 12 bytes when it is no packet and large */
    bool big;
};

static int section_header(struct fc_reader *reader, const struct block *b)
{
    uint16_t major, minor;

    if (b->size < 28)
        return fc_reader_damage(reader, b->off, "section header block is too short");
    major = fc_load16(b->p + 12, b->big);
    minor = fc_load16(b->p + 14, b->big);
    reader->section.number++; /* UINT32_MAX + 1 is 0 */
    reader->section.off = b->off;
    reader->section.big_endian = b->big;
    reader->section.count = 0;
    reader->section.closed = major != 1 || (minor != 0 && minor != 2);
    if (reader->section.closed)
        return fc_reader_damage(reader, b->off, "pcapng version is not 1.0 or 1.2");
    return 0;
}

/*
 * Byte order of the section header block at p, of which `left` bytes follow in the file: 1 big, 0 little, -1 neither.
 */
static int section_order(struct fc_reader *reader, const uint8_t *p, uint64_t left, size_t ahead)
{
    uint8_t head[16];

    for (int big = 0; big < 2; big++)
        if (fc_load32(p + 8, big) == FC_BYTE_ORDER_MAGIC)
            return big;
    /* it is damaged itself: the lengths at both ends and the version tell as well */
    if (left < 28 || !(p = fc_reader_bytes(reader, reader->pos, sizeof head, ahead)))
        return -1;
    memcpy(head, p, sizeof head);
    for (int big = 0; big < 2; big++) {
        uint32_t size = fc_load32(head + 4, big);
        if (size < 28 || size & 3 || size > left || size > BLOCK_READ_MAX || fc_load16(head + 12, big) != 1)
            continue;
        if (!(p = fc_reader_bytes(reader, reader->pos, size, ahead)))
            return -1;
        if (fc_load32(p + size - 4, big) == size)
            return big;
    }
    return -1;
}

static void interface_options(struct fc_interface *iface, const struct block *b)
{
    const uint8_t *p = b->p + 16, *end = b->p + b->size - 4;
    struct fc_pcapng_option o;

    while (fc_pcapng_option(&p, end, b->big, &o)) {
        if (o.code == FC_OPTION_TSRESOL && o.len >= 1)
            iface->tsresol = o.value[0];
        else if (o.code == FC_OPTION_TSOFFSET && o.len >= 8)
            iface->tsoffset = (int64_t)fc_load64(o.value, b->big);
    }
}

static int interface_description(struct fc_reader *reader, const struct block *b)
{
    struct fc_section *s = &reader->section;

    if (b->size < 20)
        return fc_reader_damage(reader, b->off, "interface description block is too short");
    struct fc_interface iface = {
        .section_off = s->off,
        .off = b->off,
        .section = s->number,
        .number = s->count,
        .link_type = fc_load16(b->p + 8, b->big),
        .snaplen = fc_load32(b->p + 12, b->big),
        .tsresol = 6,
        .big_endian = b->big,
    };
    interface_options(&iface, b);
    return fc_reader_met(reader, &iface);
}

/* Enhanced and obsolete packet blocks differ in the interface field only. */
static int packet_block(struct fc_reader *reader, const struct block *b, struct fc_record *rec)
{
    uint32_t number, high, low;

    if (b->size < 32)
        return fc_reader_damage(reader, b->off, "packet block is too short");
    number = b->type == FC_BLOCK_EPB ? fc_load32(b->p + 8, b->big) : fc_load16(b->p + 8, b->big);
    high = fc_load32(b->p + 12, b->big);
    low = fc_load32(b->p + 16, b->big);
    rec->caplen = fc_load32(b->p + 20, b->big);
    rec->origlen = fc_load32(b->p + 24, b->big);
    if (number >= reader->section.count)
        return fc_reader_damage(reader, b->off, "packet block names an interface that was not described");
    if (28 + (((uint64_t)rec->caplen + 3) & ~3ull) > b->size - 4)
        return fc_reader_damage(reader, b->off, "packet does not fit into its block");
    const struct fc_interface *iface = &reader->section.ifaces[number];
    rec->ts_ns = fc_interface_time(iface, (uint64_t)high << 32 | low);
    rec->data = b->p + 28;
    rec->link_type = iface->link_type;
    rec->iface = number;
    return 1;
}

static int simple_block(struct fc_reader *reader, const struct block *b, struct fc_record *rec)
{
    if (b->size < 16)
        return fc_reader_damage(reader, b->off, "simple packet block is too short");
    if (!reader->section.count)
        return fc_reader_damage(reader, b->off, "simple packet block without an interface");
    const struct fc_interface *iface = &reader->section.ifaces[0];
    uint64_t room = b->size - 16;
    rec->origlen = fc_load32(b->p + 8, b->big);
    rec->caplen = rec->origlen < room ? rec->origlen : (uint32_t)room;
    if (iface->snaplen && rec->caplen > iface->snaplen)
        rec->caplen = iface->snaplen;
    rec->ts_ns = FC_TIME_NONE;
    rec->data = b->p + 12;
    rec->link_type = iface->link_type;
    rec->iface = 0;
    return 1;
}

static bool is_packet(uint32_t type)
{
    return type == FC_BLOCK_EPB || type == FC_BLOCK_PB || type == FC_BLOCK_SPB;
}

/* A block that reaches behind the end of the file. Is it the last one, cut, or is its length wrong? */
static int cut_block(struct fc_reader *reader, const struct block *b, uint32_t raw, uint64_t left, size_t ahead)
{
    enum { OPTIONS_MAX = 64 << 10 };
    const uint8_t *p;
    bool cut = b->type == FC_BLOCK_SPB && raw <= 262144 + 16;

    if ((b->type == FC_BLOCK_EPB || b->type == FC_BLOCK_PB) && left >= 28) {
        if (!(p = fc_reader_bytes(reader, b->off, 28, ahead)))
            return reader->failed;
        uint64_t least = 32 + (uint64_t)fc_load32(p + 20, b->big);
        cut = least <= raw && raw <= least + OPTIONS_MAX;
    }
    fc_reader_short(reader, b->off, "file ends inside a block");
    reader->damage_cut = cut;
    return FC_E_DAMAGED;
}

/* Reads the block at pos as far as it is of use and checks its frame. 0, or a negative code. */
static int read_block(struct fc_reader *reader, size_t ahead, struct block *b)
{
    uint64_t left = reader->size - reader->pos;
    const uint8_t *p;
    uint32_t raw;

    b->off = reader->pos;
    if (left < 12)
        return fc_reader_short(reader, b->off, "file ends inside a block header");
    if (!(p = fc_reader_bytes(reader, b->off, 12, ahead)))
        return reader->failed;
    b->big = reader->section.big_endian;
    if (fc_load32(p, true) == FC_BLOCK_SHB) {
        int order = section_order(reader, p, left, ahead);
        if (order < 0)
            return reader->failed ? reader->failed
                                  : fc_reader_damage(reader, b->off, "section header block without a byte-order magic");
        b->big = order;
        if (!(p = fc_reader_bytes(reader, b->off, 12, ahead)))
            return reader->failed;
    } else if (reader->section.number == UINT32_MAX || reader->section.closed) {
        return fc_reader_damage(reader, b->off, "block before the first section header");
    }
    b->type = fc_load32(p, b->big);
    raw = fc_load32(p + 4, b->big);
    if (raw < 12)
        return fc_reader_damage(reader, b->off, "block length is below 12");
    /* Old writers left the length unpadded although the block is padded; as Wireshark, read it rounded up. */
    b->size = ((uint64_t)raw + 3) & ~3ull;
    if (b->size > (uint64_t)CAPLEN_MAX + (1 << 20))
        return fc_reader_damage(reader, b->off, "block is larger than any packet can be");
    bool whole = b->size <= BLOCK_READ_MAX || is_packet(b->type);
    if (!whole && (b->type == FC_BLOCK_SHB || b->type == FC_BLOCK_IDB))
        return fc_reader_damage(reader, b->off, "block is absurdly large");
    if (b->size > left)
        return cut_block(reader, b, raw, left, ahead);
    if (!(p = fc_reader_bytes(reader, whole ? b->off : b->off + b->size - 4, whole ? (size_t)b->size : 4, ahead)))
        return reader->failed;
    if (fc_load32(whole ? p + b->size - 4 : p, b->big) != raw) {
        /* the first length may be right: then what it leads to is */
        if (!reader->single && !fc_resync_blocks(reader, b->off + b->size))
            return reader->failed ? reader->failed
                                  : fc_reader_damage(reader, b->off, "block lengths at both ends differ");
    }
    b->p = p;
    return 0;
}

int fc_pcapng_next(struct fc_reader *reader, size_t ahead, struct fc_record *rec)
{
    while (reader->pos < reader->limit) {
        struct block b = {0};
        int rc = read_block(reader, ahead, &b);
        if (rc)
            return rc;
        switch (b.type) {
        case FC_BLOCK_SHB:
            rc = section_header(reader, &b);
            break;
        case FC_BLOCK_IDB:
            rc = interface_description(reader, &b);
            break;
        case FC_BLOCK_EPB:
        case FC_BLOCK_PB:
            rc = packet_block(reader, &b, rec);
            break;
        case FC_BLOCK_SPB:
            rc = simple_block(reader, &b, rec);
            break;
        default: /* no packet: skipped by its length, as the format wants it */
            break;
        }
        if (rc < 0) {
            reader->damage_next = b.type == FC_BLOCK_SHB ? 0 : b.off + b.size; /* the block's frame is whole */
            return rc;
        }
        reader->pos = b.off + b.size;
        if (rc == 0) {
            *(b.type == FC_BLOCK_SHB || b.type == FC_BLOCK_IDB ? &reader->header_bytes : &reader->other_bytes) +=
                b.size;
        } else {
            rec->off = b.off;
            rec->next_off = reader->pos;
            rec->section = reader->section.number;
            return 1;
        }
    }
    return 0;
}

static bool is_one_of(uint32_t type, const uint32_t *types)
{
    while (*types && *types != type)
        types++;
    return *types != 0;
}

int fc_pcapng_load(const struct fc_file *file, uint64_t off, bool big, uint32_t max, const uint32_t *types,
                   uint8_t **block, uint32_t *size, struct fc_error *err)
{
    enum { FIRST = 512 }; /* most blocks that hold no packet are no larger */
    uint8_t *buf = malloc(FIRST), *bigger;
    uint32_t raw;
    int64_t n;

    *size = 0;
    if (!buf)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    n = fc_file_read(file, buf, FIRST, off, err);
    if (n < 12 || (raw = fc_load32(buf + 4, big)) < 12 || raw > max)
        goto none;
    *size = (raw + 3) & ~3u;
    if (!is_one_of(fc_load32(buf, big), types))
        goto none;
    if (*size > FIRST) {
        if (!(bigger = realloc(buf, *size))) {
            free(buf);
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        }
        buf = bigger;
        n = fc_file_read(file, buf, *size, off, err);
    }
    if (n >= *size && fc_load32(buf + *size - 4, big) == raw) {
        *block = buf;
        return 1;
    }
none:
    free(buf);
    return n < 0 ? (int)n : 0;
}
