/* SPDX-License-Identifier: MIT */
/*
 * Cells of the table for people: what stands in a column of a session's row. The table itself is in format_table.c.
 * Threads: any. Memory: the caller's buffers.
 */
#ifndef FC_CLI_TABLE_CELL_H
#define FC_CLI_TABLE_CELL_H

#include <flowcarve/query.h>

/* The columns, in their order. Those behind STATE are shown when they are asked for. */
enum fc_cell {
    FC_CELL_SENSOR,
    FC_CELL_ID,
    FC_CELL_START,
    FC_CELL_END,
    FC_CELL_DURATION,
    FC_CELL_PROTO,
    FC_CELL_CLIENT,
    FC_CELL_SERVER,
    FC_CELL_PACKETS,
    FC_CELL_BYTES,
#define FC_CELL_OF(column, FIELD, ...) , FC_CELL_##FIELD
    FC_CELL_STATE FC_FIELD_COLUMNS(FC_CELL_OF, FC_CELL_OF, FC_CELL_OF),
    FC_CELLS
#undef FC_CELL_OF
};

enum { FC_CELL_MAX = 256 };

/* How a table shows its cells. */
struct fc_cell_style {
    uint32_t shown;   /* 1 << enum fc_cell */
    bool fraction;    /* times with microseconds */
    int year;         /* that of all times, which stands in the title; -1: each time has its own */
    const char *zone; /* of times, by the C library; NULL: UTC */
    bool stacked;     /* a session takes two lines: the client's and the server's */
    uint32_t summed;  /* 1 << PACKETS or BYTES: both directions as one number */
};

enum fc_cell_side { FC_CELL_BOTH, FC_CELL_OF_CLIENT, FC_CELL_OF_SERVER };

/* The title of a column; `buf` and the result have FC_CELL_MAX bytes. */
void fc_cell_title(char *buf, enum fc_cell cell, const struct fc_cell_style *style);

/* The text of a cell. side: which of the two lines when the style is stacked, FC_CELL_BOTH when it is not. */
void fc_cell_text(char *buf, enum fc_cell cell, const struct fc_session *row, const struct fc_cell_style *style,
                  enum fc_cell_side side);

/* Numbers and durations stand at the right of their column. */
bool fc_cell_right(enum fc_cell cell);

/* The column that has what --sort KEY[:desc] sorts by; FC_CELLS: none. */
enum fc_cell fc_cell_sorted(const char *sort);

/* The columns, 1 << enum fc_cell, that have fields: FC_FIELD_* bits. */
uint32_t fc_cell_fields(uint32_t fields);

/*
 * Texts of single values, of FC_CELL_MAX bytes at the most: "2024-05-31 10:00:00", with so many digits of the second's
 * parts, local: in the zone of the C library, else in UTC; "1m12s", rounded in its own unit, so that what is less than
 * a unit never is a whole one of the next; "12.3k".
 */
void fc_cell_time(char *buf, int64_t ns, unsigned digits, bool local);
void fc_cell_duration(char *buf, uint64_t ns);
void fc_cell_number(char *buf, uint64_t number);
/* The year of a time, ns since 1970, in the zone of the style. */
int fc_cell_year(int64_t ns, const struct fc_cell_style *style);

#endif
