/* SPDX-License-Identifier: MIT */
/* Rows in the format RowBinary, in memory. Threads: one. Where memory ran out nothing more is added: look at `failed` at the end. */
#ifndef FC_CLUSTER_ROWS_H
#define FC_CLUSTER_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fc_rows {
    uint8_t *data;
    size_t len, room;
    bool failed;
};

void fc_rows_clear(struct fc_rows *rows);
void fc_rows_fini(struct fc_rows *rows);

/* A number of 1, 2, 4 or 8 bytes; so many bytes as they are, of FixedString; String. */
void fc_rows_number(struct fc_rows *rows, uint64_t value, unsigned bytes);
void fc_rows_bytes(struct fc_rows *rows, const void *bytes, size_t len);
void fc_rows_text(struct fc_rows *rows, const void *text, size_t len);

#endif
