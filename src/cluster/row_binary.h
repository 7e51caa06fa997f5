/* SPDX-License-Identifier: MIT */
/*
 * Rows as an engine sends them (RowBinary): values one behind the other, whose types the statement has fixed. Nothing
 * tells where a row ends but its values, so what is no row is found where a value is none, or where a row is not
 * whole at the end.
 *
 * Threads: one at a time. Memory: a row that is not whole yet.
 */
#ifndef FC_CLUSTER_ROW_BINARY_H
#define FC_CLUSTER_ROW_BINARY_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Values from `at` on. When one is not there whole, `cut` is set; when it cannot be one, `bad`; then all that follow
 * are 0.
 */
struct fc_binary {
    const uint8_t *at, *end;
    bool cut, bad;
};

uint8_t fc_binary_u8(struct fc_binary *b);
uint16_t fc_binary_u16(struct fc_binary *b);
uint32_t fc_binary_u32(struct fc_binary *b);
uint64_t fc_binary_u64(struct fc_binary *b);
double fc_binary_double(struct fc_binary *b);
int64_t fc_binary_i64(struct fc_binary *b);
/* A number from 0 to `most`, or bad. */
uint64_t fc_binary_below(struct fc_binary *b, uint64_t number, uint64_t most);
/* 0 or 1. */
bool fc_binary_bool(struct fc_binary *b);
/* `size` bytes, in the row; NULL: they are not there. */
const uint8_t *fc_binary_bytes(struct fc_binary *b, size_t size);
/* A String of at most `most` bytes and without a byte 0. */
const char *fc_binary_text(struct fc_binary *b, size_t most, size_t *len);
/* Whether a Nullable has a value, which then follows. */
bool fc_binary_has(struct fc_binary *b);

/*
 * Reads one row, and may be called once more for the same one: where the row turns out to be cut or bad it is to have
 * no effect, and what it returns is of no account. A negative code with *err filled ends the stream.
 */
typedef int fc_binary_row(void *ctx, struct fc_binary *row, struct fc_error *err);

/* Pieces of an answer, cut anywhere, become rows. Zeroed but for the first three. */
struct fc_binary_stream {
    fc_binary_row *row;
    void *ctx;
    const char *name; /* of the engine, for messages */
    uint8_t *kept;    /* of a row that is not whole */
    size_t len, room;
    uint64_t rows;
};

enum { FC_BINARY_ROW_MAX = 1 << 20 }; /* bytes of a row */

/* Takes a piece; is a fc_http_take. FC_E_DAMAGED, FC_E_NOMEM, what `row` returns. */
int fc_binary_take(void *stream, const uint8_t *data, size_t len, struct fc_error *err);
/* All has come: 0, or FC_E_DAMAGED when a row is not whole. */
int fc_binary_finish(struct fc_binary_stream *stream, struct fc_error *err);
void fc_binary_free(struct fc_binary_stream *stream);

#endif
