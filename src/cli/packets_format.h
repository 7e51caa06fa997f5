/* SPDX-License-Identifier: MIT */
/*
 * Packets as lines: which columns there are, what has to be decoded for them, and their texts.
 * Threads: one. Memory: a grid's, and base64 of a record.
 */
#ifndef FC_CLI_PACKETS_FORMAT_H
#define FC_CLI_PACKETS_FORMAT_H

#include "cli/grid.h"
#include "cli/packets_track.h"
#include "cli/zone.h"

/* What a line is made of. */
struct fc_packet_line {
    const struct fc_session_packet *packet;
    struct fc_relative relative;
    bool has_delta;
    int64_t delta_ns;
};

struct fc_packet_columns_options {
    const char *list; /* words; NULL: those of the format */
    enum fc_row_format format;
    bool hex;  /* the bytes, too: under a row of a table, as "data" of JSON */
    bool tree; /* its layers under a row of a table */
    const struct fc_zone *zone;
};

struct fc_packet_columns {
    uint32_t fields; /* FC_WANT_* that are to be decoded */
    bool number;     /* records are to be counted */
    /* the rest is its own */
    bool hex, tree;
    enum fc_row_format format;
    const struct fc_zone *zone;
    bool chosen;
    char day[16]; /* that of the times that have none; "": all have one */
    unsigned count;
    uint8_t column[FC_GRID_COLUMNS];
    struct fc_grid_column titles[FC_GRID_COLUMNS];
    char time_title[96];
    char *base64;
    size_t base64_room;
};

/* False: one of the words is none, or comes twice, which is said. To be freed in any case. */
bool fc_packet_columns_init(struct fc_packet_columns *columns, const struct fc_packet_columns_options *options);

/*
 * There is one session alone: tables do not tell its ends with each packet, unless columns were chosen. In front of all
 * rows.
 */
void fc_packet_columns_one_session(struct fc_packet_columns *columns);

/* Writes a line to a grid that has these titles. FC_E_NOMEM, or 0. */
int fc_packet_columns_write(struct fc_packet_columns *columns, struct fc_grid *grid, const struct fc_packet_line *line);

void fc_packet_columns_fini(struct fc_packet_columns *columns);

#endif
