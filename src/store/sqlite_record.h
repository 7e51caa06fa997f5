/* SPDX-License-Identifier: MIT */
/*
 * Rows in SQLite's record format, byte for byte as SQLite's own INSERT writes them.
 *
 *   varint  1-9 bytes, big endian: 7 bits a byte, bit 7 set on all but the last; a ninth byte has 8 bits
 *   record  varint: bytes of the header, itself included
 *           a varint a column: its serial type
 *           the columns' contents, one behind the other
 *   types   0 NULL; 1, 2, 3, 4, 5, 6: integer of 1, 2, 3, 4, 6, 8 bytes, big endian, two's complement;
 *           8, 9: the integers 0 and 1, no content; 12 + 2n: blob of n bytes; 13 + 2n: text of n bytes
 *
 * Threads: one an fc_row. Limits: FC_ROW_COLUMNS columns.
 * Source: sqlite.org/fileformat2.html, sections 1.6 and 2.1; schema format 4 (types 8 and 9).
 */
#ifndef FC_STORE_SQLITE_RECORD_H
#define FC_STORE_SQLITE_RECORD_H

#include "store/blob.h"

#include <string.h>

enum { FC_SQLITE_VARINT_MAX = 9, FC_ROW_COLUMNS = 20 };

/* Writes v at p, which has room for 9 bytes; returns the byte behind it. */
static inline uint8_t *fc_sqlite_varint(uint8_t *p, uint64_t v)
{
    uint8_t tmp[FC_SQLITE_VARINT_MAX];
    unsigned n = 0;

    if (v < 0x80) {
        *p = (uint8_t)v;
        return p + 1;
    }
    if (v < 0x4000) {
        p[0] = (uint8_t)(v >> 7 | 0x80);
        p[1] = (uint8_t)(v & 0x7f);
        return p + 2;
    }
    if (v >> 56) {
        p[8] = (uint8_t)v;
        v >>= 8;
        for (int i = 7; i >= 0; i--, v >>= 7)
            p[i] = (uint8_t)(v | 0x80);
        return p + 9;
    }
    for (; v; v >>= 7)
        tmp[n++] = (uint8_t)(v | 0x80);
    tmp[0] &= 0x7f;
    while (n)
        *p++ = tmp[--n];
    return p;
}

/* Serial type of an integer, and the bytes of its content. */
static inline unsigned fc_sqlite_int_type(int64_t v, unsigned *bytes)
{
    uint64_t u = v < 0 ? ~(uint64_t)v : (uint64_t)v;

    if (u < 0x80) {
        *bytes = (v & ~1) != 0;
        return v == 0 || v == 1 ? 8 + (unsigned)v : 1;
    }
    if (u < 0x800000) {
        *bytes = u < 0x8000 ? 2 : 3;
        return *bytes;
    }
    if (u < 0x80000000) {
        *bytes = 4;
        return 4;
    }
    *bytes = u < 0x800000000000 ? 6 : 8;
    return *bytes == 6 ? 5 : 6;
}

/* Writes the content of an integer at p, which has room for 8 bytes; returns the byte behind it. */
static inline uint8_t *fc_sqlite_int(uint8_t *p, int64_t v, unsigned bytes)
{
    uint64_t big = __builtin_bswap64(bytes ? (uint64_t)v << (64 - 8 * bytes) : 0);

    memcpy(p, &big, 8);
    return p + bytes;
}

/* Where the next column goes. Who adds many of them does it on a copy, which stays in registers. */
struct fc_row_at {
    uint8_t *type, *content;
};

/* A record under construction: begin, the columns in order, end. {0} is a fresh one; memory is kept between rows. */
struct fc_row {
    struct fc_row_at at;
    struct fc_buffer mem; /* room for the header, then the contents */
    uint8_t types[FC_ROW_COLUMNS * FC_SQLITE_VARINT_MAX];
};

enum { FC_ROW_HEAD = FC_ROW_COLUMNS * FC_SQLITE_VARINT_MAX + 2 };

/* Begins a record with at most `bytes` of blobs and text. FC_E_NOMEM. */
static inline int fc_row_begin(struct fc_row *row, size_t bytes)
{
    int rc = fc_buffer_reserve(&row->mem, FC_ROW_HEAD + 8 * FC_ROW_COLUMNS + bytes);

    row->at.type = row->types;
    row->at.content = rc ? NULL : row->mem.data + FC_ROW_HEAD;
    return rc;
}

static inline void fc_row_null(struct fc_row_at *at)
{
    *at->type++ = 0;
}

static inline void fc_row_int(struct fc_row_at *at, int64_t v)
{
    unsigned bytes, type = fc_sqlite_int_type(v, &bytes);

    *at->type++ = (uint8_t)type;
    at->content = fc_sqlite_int(at->content, v, bytes);
}

/* text: 1 for text, 0 for a blob. */
static inline void fc_row_bytes(struct fc_row_at *at, const void *data, size_t len, unsigned text)
{
    at->type = fc_sqlite_varint(at->type, 12 + text + 2 * len);
    if (len)
        memcpy(at->content, data, len);
    at->content += len;
}

/* Puts the header in front. *record is valid until the row is used again. */
static inline void fc_row_end(struct fc_row *row, const uint8_t **record, size_t *len)
{
    unsigned types = (unsigned)(row->at.type - row->types), head = types + 1 + (types + 1 >= 0x80);
    uint8_t *p = row->mem.data + FC_ROW_HEAD - head;

    *record = p;
    *len = (size_t)(row->at.content - p);
    p = fc_sqlite_varint(p, head);
    memcpy(p, row->types, types);
}

static inline void fc_row_fini(struct fc_row *row)
{
    fc_buffer_fini(&row->mem);
}

#endif
