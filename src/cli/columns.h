/* SPDX-License-Identifier: MIT */
/*
 * `query --columns`: some columns of sessions, in an order of one's own, in any format. Without the option format.c
 * writes all of them, and for people format_table.c those that fit.
 *
 * Threads: one. Memory: a grid's.
 */
#ifndef FC_CLI_COLUMNS_H
#define FC_CLI_COLUMNS_H

#include "cli/grid.h"

/* All there are: those of the output without --columns, the first so many, in its order, and others behind. */
struct fc_column {
    struct fc_grid_column title;
    uint32_t field; /* FC_FIELD_*, 0: always there */
};
extern const struct fc_column fc_columns_all[];
extern const unsigned fc_columns_output;

struct fc_columns {
    unsigned count;
    uint8_t column[FC_GRID_COLUMNS];
    uint32_t fields; /* FC_FIELD_* that they are of */
    struct fc_grid_column titles[FC_GRID_COLUMNS];
    bool files; /* one of them has the captures */
    bool local; /* times in the C library's zone, else in UTC */
    char start_title[80], end_title[80];
};

/* Reads "id,start,..."; '-' is as good as '_'. False: one of them is none, which is said. */
bool fc_columns_read(struct fc_columns *columns, const char *list);

/* FC_FIELD_* of the column of this name, 0 where there is none or it is always there; of the sensor 0. */
uint32_t fc_columns_field(const char *name, size_t len);

/* False: an index that has only `fields` lacks one of them, which is said. */
bool fc_columns_check(const struct fc_columns *columns, uint32_t fields);

/* The titles of times say the zone, which is the C library's or UTC. `columns` must stay where it is. */
void fc_columns_zone(struct fc_columns *columns, const char *zone, bool local);

/*
 * Writes a session to a grid that has these titles; `files` are the captures that hold it, where `columns` has them.
 * FC_E_NOMEM, or 0.
 */
int fc_columns_write(const struct fc_columns *columns, struct fc_grid *grid, const struct fc_session *row,
                     const struct fc_session_file *files, size_t file_count);

#endif
