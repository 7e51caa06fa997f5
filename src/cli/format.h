/* SPDX-License-Identifier: MIT */
/*
 * Sessions as text: JSON lines, CSV, TSV, a table for people and Zeek's conn.log. The first three have one column a
 * key, in the fixed order of the command line's contract, with the values that the view `sessions` of the index has.
 *
 * Threads: a struct fc_rows belongs to one. Memory: it has no heap of its own, apart from the table's first rows.
 * Limits: what cannot be written is remembered, not reported; fc_out_flush() tells.
 */
#ifndef FC_CLI_FORMAT_H
#define FC_CLI_FORMAT_H

#include <flowcarve/query.h>
#include <flowcarve/state.h>
#include <flowcarve/value.h>

enum fc_row_format { FC_ROWS_TABLE, FC_ROWS_JSON, FC_ROWS_CSV, FC_ROWS_TSV, FC_ROWS_ZEEK };

/* The format of that name, -1 when there is none. */
int fc_row_format_by_name(const char *name);

/* Bytes on their way to a file descriptor. */
struct fc_out {
    int fd;
    int failed; /* errno of the first write that failed, 0 when none did */
    size_t len;
    char buf[65536];
};

void fc_out_bytes(struct fc_out *out, const char *bytes, size_t len);
void fc_out_text(struct fc_out *out, const char *text);
/* `size` bytes (at most 512) at out->buf + out->len, to be filled in place; the caller moves out->len. */
char *fc_out_room(struct fc_out *out, size_t size);
/* Text of unknown content in a format for programs; in quotes where that has them. */
void fc_out_escaped(struct fc_out *out, enum fc_row_format format, const char *text);
/* Writes what is left. 0, or the errno of the first failure (EPIPE: the reader has gone). */
int fc_out_flush(struct fc_out *out);

/* In a mask of fields: the sensor that has the session, where many are asked. */
enum { FC_FIELD_SENSOR = 1 << 30 };

struct fc_row_table; /* rows kept back to measure columns */

struct fc_rows {
    struct fc_out *out;
    enum fc_row_format format;
    uint32_t fields;        /* FC_FIELD_* columns to write */
    const char *zone;       /* name of the C library's zone, in which times are written then; NULL: UTC */
    bool color;             /* table: with escape sequences */
    uint32_t asked;         /* table: FC_FIELD_* columns to show whatever else goes */
    uint32_t columns_asked; /* table: the same, FC_COLUMN_* */
    const char *sort;       /* table: what is sorted by ("KEY[:desc]"), the same; NULL: nothing */
    unsigned width;         /* table: columns of the terminal, 0 when unknown */
    unsigned column;
    /* JSON: the captures of the session that comes next, written as "files" where has_files says so */
    bool has_files;
    const struct fc_session_file *files;
    size_t file_count;
    struct fc_row_table *table;
};

/* The header line of CSV and TSV, those of a conn.log. */
void fc_rows_start(struct fc_rows *rows);
/* One session. FC_E_NOMEM (table only), or 0. */
int fc_rows_write(struct fc_rows *rows, const struct fc_session *row);
/* Writes what the table has kept back and frees it; does not flush. Also behind a failure. */
void fc_rows_finish(struct fc_rows *rows);

/* format_zeek.c: a conn.log. */
void fc_zeek_start(struct fc_rows *rows);
void fc_zeek_write(struct fc_rows *rows, const struct fc_session *row);
void fc_zeek_finish(struct fc_rows *rows);

/* format_table.c: the table's part of the above. */
int fc_row_table_write(struct fc_rows *rows, const struct fc_session *row);
void fc_row_table_finish(struct fc_rows *rows);

#endif
