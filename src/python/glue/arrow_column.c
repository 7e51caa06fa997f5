/* SPDX-License-Identifier: MIT */
#include "arrow_column.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = FC_TEXT_MAX };

/* In the order of the format: validity, then values, or offsets and text. */
struct buffers {
    void *each[3];
};

const char *fcpy_arrow_format(int cell)
{
    switch (cell) {
    case FC_CELL_ID:
    case FC_CELL_NUMBER:
        return "l";
    case FC_CELL_TIME:
        return "tsn:UTC";
    case FC_CELL_COUNT:
        return "L";
    case FC_CELL_PORT:
        return "i";
    case FC_CELL_KIND:
    case FCPY_CELL_BYTE:
        return "C";
    case FCPY_CELL_U32:
        return "I";
    case FCPY_CELL_SMALL:
        return "s";
    case FCPY_CELL_BYTES:
        return "z";
    default:
        return "u";
    }
}

bool fcpy_arrow_nullable(int cell)
{
    switch (cell) {
    case FC_CELL_ID:
    case FC_CELL_COUNT:
    case FC_CELL_PROTO:
    case FC_CELL_KIND:
    case FCPY_CELL_BYTE:
    case FCPY_CELL_U32:
    case FCPY_CELL_FROM:
    case FCPY_CELL_BYTES:
        return false;
    default:
        return true;
    }
}

static void release_array(struct ArrowArray *array)
{
    struct buffers *own = array->private_data;

    for (int i = 0; own && i < 3; i++)
        free(own->each[i]);
    free(own);
    array->release = NULL;
}

/* Whether a number is there; those of other cells are. */
static bool has_number(int cell, const uint8_t *value)
{
    int64_t wide;
    int32_t port;
    int16_t small;

    switch (cell) {
    case FC_CELL_TIME:
        memcpy(&wide, value, sizeof wide);
        return wide != INT64_MIN;
    case FC_CELL_NUMBER:
        memcpy(&wide, value, sizeof wide);
        return wide >= 0;
    case FC_CELL_PORT:
        memcpy(&port, value, sizeof port);
        return port >= 0;
    case FCPY_CELL_SMALL:
        memcpy(&small, value, sizeof small);
        return small >= 0;
    default:
        return true;
    }
}

static void set_null(uint8_t *validity, size_t row, struct ArrowArray *out)
{
    validity[row / 8] &= (uint8_t) ~(1u << row % 8);
    out->null_count++;
}

static bool make_numbers(const struct fcpy_cell *cell, const uint8_t *base, size_t rows, struct buffers *own,
                         struct ArrowArray *out)
{
    uint8_t *values = own->each[1] = malloc(rows * cell->size + 1);

    if (!values)
        return false;
    for (size_t i = 0; i < rows; i++) {
        const uint8_t *value = base + cell->off + i * cell->stride;
        memcpy(values + i * cell->size, value, cell->size);
        if (own->each[0] && !has_number(cell->cell, value))
            set_null(own->each[0], i, out);
    }
    return true;
}

/* The text of a value, at most `most` bytes; its end. Nothing written: there is none. */
static char *write_text(const struct fcpy_cell *cell, const uint8_t *value, uint8_t kind, char *to)
{
    static const uint8_t no_mac[6];
    static const char *const ends[] = {"client", "server", "unknown"};
    const char *name = NULL;
    uint32_t proto;
    size_t len;

    switch (cell->cell) {
    case FC_CELL_ADDR:
        return fc_text_addr(to, kind, kind == FC_ADDR_IPV4 ? value + 12 : value);
    case FC_CELL_MAC:
        return memcmp(value, no_mac, 6) ? fc_text_addr(to, FC_ADDR_MAC, value) : to;
    case FC_CELL_PROTO:
        memcpy(&proto, value, sizeof proto);
        return fc_text_proto(to, proto);
    case FC_CELL_STATE:
        name = fc_state_name((int8_t)*value);
        break;
    case FCPY_CELL_FROM:
        name = ends[*value < 2 ? *value : 2];
        break;
    default: /* bytes of a text; of others all */
        len = cell->cell == FC_CELL_TEXT ? strnlen((const char *)value, cell->size) : cell->size;
        memcpy(to, value, len);
        return to + len;
    }
    len = name ? strlen(name) : 0;
    if (len)
        memcpy(to, name, len);
    return to + len;
}

/* All of our texts are ASCII; what somebody else has put in their place need not even be UTF-8. */
static void mend_text(char *text, char *end)
{
    for (; text < end; text++)
        if (*text & 0x80)
            *text = '?';
}

static bool make_texts(const struct fcpy_cell *cell, const uint8_t *base, const uint8_t *kind, size_t rows,
                       struct buffers *own, struct ArrowArray *out)
{
    bool bounded = cell->cell == FC_CELL_TEXT || cell->cell == FCPY_CELL_BYTES;
    int32_t *offsets = own->each[1] = malloc((rows + 1) * sizeof *offsets);
    char *text = own->each[2] = malloc(rows * (bounded ? cell->size : LONGEST) + 1), *p = text;

    if (!offsets || !text)
        return false;
    for (size_t i = 0; i < rows; i++) {
        offsets[i] = (int32_t)(p - text);
        p = write_text(cell, base + cell->off + i * cell->stride, kind[i], p);
        if (own->each[0] && p == text + offsets[i])
            set_null(own->each[0], i, out);
        if (cell->cell == FC_CELL_TEXT)
            mend_text(text + offsets[i], p);
    }
    offsets[rows] = (int32_t)(p - text);
    return true;
}

bool fcpy_arrow_column(const struct fcpy_cell *cell, const uint8_t *base, const uint8_t *kind, size_t rows,
                       struct ArrowArray *out)
{
    struct buffers *own = calloc(1, sizeof *own);
    char first = *fcpy_arrow_format(cell->cell);
    bool text = first == 'u' || first == 'z', ok = own;

    *out = (struct ArrowArray){.length = (int64_t)rows,
                               .n_buffers = text ? 3 : 2,
                               .buffers = own ? (const void **)own->each : NULL,
                               .release = release_array,
                               .private_data = own};
    if (ok && fcpy_arrow_nullable(cell->cell) && (ok = (own->each[0] = malloc(rows / 8 + 1))))
        memset(own->each[0], 0xff, rows / 8 + 1);
    ok = ok && (text ? make_texts(cell, base, kind, rows, own, out) : make_numbers(cell, base, rows, own, out));
    if (!ok)
        release_array(out);
    return ok;
}
