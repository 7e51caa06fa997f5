/* SPDX-License-Identifier: MIT */
/* Rows in the format RowBinary, in memory. Threads: one. Where memory ran out nothing more is added: look at `failed`
 * at the end. */
#ifndef FC_CLUSTER_BINARY_ROWS_H
#define FC_CLUSTER_BINARY_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fc_binary_rows {
    uint8_t *data;
    size_t len, room;
    bool failed;
};

void fc_binary_rows_clear(struct fc_binary_rows *rows);
void fc_binary_rows_fini(struct fc_binary_rows *rows);

/* A number of 1, 2, 4 or 8 bytes; so many bytes as they are, of FixedString; String. */
void fc_binary_put_number(struct fc_binary_rows *rows, uint64_t value, unsigned bytes);
void fc_binary_put_bytes(struct fc_binary_rows *rows, const void *bytes, size_t len);
void fc_binary_put_text(struct fc_binary_rows *rows, const void *text, size_t len);

#endif
