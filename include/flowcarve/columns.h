/* SPDX-License-Identifier: MIT */
/*
 * The sessions of a query as columns of values of one size each, some thousand rows a call: for programs that compute
 * with them, or hand them on as arrays. Where all sessions are asked for it is several times as fast as
 * fc_query_next().
 *
 * A value stands alone: nothing points elsewhere, nothing is to be freed. Texts are cut to their column's size.
 *
 * Threads: one at a time per handle of the index. Memory: what the caller gives, and that of a query.
 */
#ifndef FLOWCARVE_COLUMNS_H
#define FLOWCARVE_COLUMNS_H

#include <flowcarve/query.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a value is, in the order of bytes of the machine. */
enum fc_cell {
    FC_CELL_ID,     /* int64_t */
    FC_CELL_TIME,   /* int64_t: ns since 1970; INT64_MIN: none */
    FC_CELL_COUNT,  /* uint64_t */
    FC_CELL_NUMBER, /* int64_t from 0 on; -1: none */
    FC_CELL_PORT,   /* int32_t; -1: none */
    FC_CELL_PROTO,  /* uint32_t, FC_PROTO_* space */
    FC_CELL_KIND,   /* uint8_t, enum fc_addr_kind: what the addresses of the row are */
    FC_CELL_STATE,  /* int8_t, enum fc_state; -1: unknown */
    FC_CELL_ADDR,   /* 16 bytes: IPv6; IPv4 as ::ffff:0:0/96; a link address is the first 6 bytes; none: all 0 */
    FC_CELL_MAC,    /* 6 bytes; none: all 0 */
    FC_CELL_TEXT    /* as many bytes as the column's size, filled up with NUL; none: all NUL */
};

struct fc_column_info {
    const char
        *name; /* as the keys of the program's output have it, with duration_ns and kind besides; static string */
    enum fc_cell cell;
    uint32_t size;  /* bytes of a value */
    uint32_t field; /* FC_FIELD_* that an index must hold for it; 0: each has it */
};

/* The column of a number, from 0 on; NULL past the last. Any thread. */
const struct fc_column_info *fc_column_info(unsigned column);
/* Its number; -1: no column has this name. Any thread. */
int fc_column_find(const char *name);

/* Where the values of a column go. */
struct fc_column {
    unsigned column; /* its number */
    size_t stride;   /* bytes from one value to the next: the size of one, or that of a row */
    void *to;        /* the first value; need not be aligned */
};

struct fc_columns;

/*
 * Starts a query as fc_query_open() does, with the same options and codes. On success *out must go to
 * fc_columns_close().
 */
int fc_columns_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_options *options,
                    struct fc_columns **out, struct fc_error *err);

/*
 * The next rows: writes up to `room` values to each of the `count` columns. How many, 0 at the end, or a code as
 * fc_query_next(); then what was written means nothing. Less than `room` is no sign of the end. Calls may ask for other
 * columns than the one before. Between calls nothing of the index is held, as by fc_query_next(). FC_E_USAGE: there is
 * no such column.
 */
int64_t fc_columns_next(struct fc_columns *columns, const struct fc_column *to, size_t count, size_t room,
                        struct fc_error *err);

/* FC_FIELD_* bits of the columns that can have values. */
uint32_t fc_columns_fields(const struct fc_columns *columns);
void fc_columns_close(struct fc_columns *columns);

#ifdef __cplusplus
}
#endif
#endif
