/* SPDX-License-Identifier: MIT */
#include "cluster/binary_rows.h"
#include "base/varint.h"
#include "base/vector.h"

#include <string.h>

void fc_binary_rows_clear(struct fc_binary_rows *rows)
{
    rows->len = 0;
    rows->failed = false;
}

void fc_binary_rows_fini(struct fc_binary_rows *rows)
{
    free(rows->data);
    memset(rows, 0, sizeof *rows);
}

void fc_binary_put_bytes(struct fc_binary_rows *rows, const void *bytes, size_t len)
{
    if (rows->failed || (rows->failed = fc_vector_reserve(&rows->data, &rows->room, rows->len + len, 1) != 0))
        return;
    if (len)
        memcpy(rows->data + rows->len, bytes, len);
    rows->len += len;
}

void fc_binary_put_number(struct fc_binary_rows *rows, uint64_t value, unsigned bytes)
{
    uint8_t little[8];

    for (unsigned i = 0; i < bytes; i++)
        little[i] = (uint8_t)(value >> 8 * i);
    fc_binary_put_bytes(rows, little, bytes);
}

void fc_binary_put_text(struct fc_binary_rows *rows, const void *text, size_t len)
{
    uint8_t size[FC_VARINT_MAX];

    fc_binary_put_bytes(rows, size, (size_t)(fc_varint_put(size, len) - size));
    fc_binary_put_bytes(rows, text, len);
}
