/* SPDX-License-Identifier: MIT */
#include "cluster/row_binary.h"
#include "base/error.h"
#include "base/vector.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const uint8_t *fc_binary_bytes(struct fc_binary *b, size_t size)
{
    const uint8_t *bytes = b->at;

    if (b->bad || b->cut || (size_t)(b->end - b->at) < size) {
        b->cut |= !b->bad;
        return NULL;
    }
    b->at += size;
    return bytes;
}

/* Numbers are sent with the lowest byte first. */
static uint64_t number(struct fc_binary *b, unsigned size)
{
    const uint8_t *bytes = fc_binary_bytes(b, size);
    uint64_t value = 0;

    for (unsigned i = 0; bytes && i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

uint8_t fc_binary_u8(struct fc_binary *b)
{
    return (uint8_t)number(b, 1);
}

uint16_t fc_binary_u16(struct fc_binary *b)
{
    return (uint16_t)number(b, 2);
}

uint32_t fc_binary_u32(struct fc_binary *b)
{
    return (uint32_t)number(b, 4);
}

uint64_t fc_binary_u64(struct fc_binary *b)
{
    return number(b, 8);
}

int64_t fc_binary_i64(struct fc_binary *b)
{
    return (int64_t)number(b, 8);
}

double fc_binary_double(struct fc_binary *b)
{
    uint64_t bits = number(b, 8);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t fc_binary_below(struct fc_binary *b, uint64_t value, uint64_t most)
{
    b->bad |= value > most;
    return value > most ? 0 : value;
}

bool fc_binary_bool(struct fc_binary *b)
{
    return fc_binary_below(b, number(b, 1), 1);
}

bool fc_binary_has(struct fc_binary *b)
{
    bool is_null = fc_binary_bool(b);

    return !is_null && !b->cut && !b->bad;
}

const char *fc_binary_text(struct fc_binary *b, size_t most, size_t *len)
{
    uint64_t size = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        byte = fc_binary_u8(b);
        size |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80 && shift < 35);
    b->bad |= byte & 0x80 || (!b->cut && size > most);
    const char *text = (const char *)fc_binary_bytes(b, b->bad ? 0 : (size_t)size);
    b->bad |= text && memchr(text, '\0', (size_t)size);
    *len = text && !b->bad ? (size_t)size : 0;
    return text && !b->bad ? text : "";
}

static int no_rows(const struct fc_binary_stream *s, struct fc_error *err)
{
    return fc_error_set(err, FC_E_DAMAGED, s->name, FC_NO_OFFSET,
                        "what the engine answers is not what was asked: row %" PRIu64, s->rows + 1);
}

/* Reads whole rows; *used: the bytes that they are. */
static int read_rows(struct fc_binary_stream *s, const uint8_t *data, size_t len, size_t *used, struct fc_error *err)
{
    const uint8_t *end = data + len;

    for (*used = 0; *used < len;) {
        struct fc_binary row = {data + *used, end, false, false};
        int rc = s->row(s->ctx, &row, err);
        /* what was read before it was cut is good, and what seems to come behind it is not there */
        if (row.cut)
            return end - (data + *used) > FC_BINARY_ROW_MAX ? no_rows(s, err) : 0;
        if (row.bad)
            return no_rows(s, err);
        if (rc < 0)
            return rc;
        if (row.at == data + *used)
            return no_rows(s, err);
        *used = (size_t)(row.at - data);
        s->rows++;
    }
    return 0;
}

int fc_binary_take(void *stream, const uint8_t *data, size_t len, struct fc_error *err)
{
    struct fc_binary_stream *s = stream;
    size_t used = 0;
    int rc;

    /* a row that is cut is put together first; then the others need not be moved */
    if (!s->len && (rc = read_rows(s, data, len, &used, err)))
        return rc;
    data += used;
    len -= used;
    if (!len)
        return 0;
    if (fc_vector_reserve(&s->kept, &s->room, s->len + len, 1))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    memcpy(s->kept + s->len, data, len);
    s->len += len;
    if (s->len == len && used)
        return 0;
    rc = read_rows(s, s->kept, s->len, &used, err);
    memmove(s->kept, s->kept + used, s->len - used);
    s->len -= used;
    return rc;
}

int fc_binary_finish(struct fc_binary_stream *s, struct fc_error *err)
{
    return s->len ? no_rows(s, err) : 0;
}

void fc_binary_free(struct fc_binary_stream *s)
{
    free(s->kept);
    s->kept = NULL;
    s->len = s->room = 0;
}
