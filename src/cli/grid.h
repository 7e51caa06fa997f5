/* SPDX-License-Identifier: MIT */
/*
 * Rows of texts in any of the formats: a table for people, JSON (an object a line), CSV, TSV. Who has the rows makes
 * the texts, since people and programs want other ones; the grid escapes them.
 *
 * The table's first rows are kept back to measure the columns. Where the terminal is too narrow, columns go that may
 * go, those with the highest `spare` first; no cell is cut. Where all rows are known by then, columns that may go and
 * have nothing go as well.
 *
 * Threads: one a grid. Memory: the first 500 rows of a table, and 1 MiB of what stands under them.
 */
#ifndef FC_CLI_GRID_H
#define FC_CLI_GRID_H

#include "cli/format.h"

struct fc_grid_column {
    const char *key;   /* name in JSON, CSV and TSV */
    const char *title; /* in the table */
    bool right;        /* table: stands at the right */
    bool quoted;       /* JSON: a string, not a number */
    unsigned spare;    /* table: 0: stays whatever the width */
};

enum { FC_GRID_COLUMNS = 48 };

/* What stands under a row of a table. */
struct fc_grid_under {
    const char *text;    /* lines as they are to be shown; NULL: none */
    const uint8_t *data; /* bytes that are dumped; NULL: none */
    size_t len;
};

struct fc_grid {
    struct fc_out *out;
    enum fc_row_format format;
    bool color;
    unsigned width; /* of the terminal, 0: unknown */
    const struct fc_grid_column *column;
    unsigned columns; /* FC_GRID_COLUMNS at the most */
    /* the grid's own */
    char **kept;                 /* columns texts a row */
    struct fc_grid_under *under; /* of each of these rows */
    size_t under_bytes;
    size_t rows;
    bool measured;
    bool hidden[FC_GRID_COLUMNS];
    unsigned widest[FC_GRID_COLUMNS];
};

/* The header line of CSV and TSV. */
void fc_grid_start(struct fc_grid *grid);

/* A row: a text for each column, NULL for none. FC_E_NOMEM (table only), or 0. */
int fc_grid_row(struct fc_grid *grid, const char *const *texts);

/* The same with something under it, which tables alone have; NULL: nothing. */
int fc_grid_row_under(struct fc_grid *grid, const char *const *texts, const struct fc_grid_under *under);

/* No more rows come for a while: what the table has kept back is measured and written. Does not flush. */
void fc_grid_release(struct fc_grid *grid);

/* Writes what the table has kept back and frees it; does not flush. Also behind a failure. */
void fc_grid_finish(struct fc_grid *grid);

/* Columns that a text takes on a terminal: characters, of which none is taken for a wide one. */
unsigned fc_grid_width(const char *text);

#endif
