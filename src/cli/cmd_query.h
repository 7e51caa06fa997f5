/* SPDX-License-Identifier: MIT */
/* `flowcarve query`, behind its options. */
#ifndef FC_CLI_CMD_QUERY_H
#define FC_CLI_CMD_QUERY_H

#include "cli/cluster_option.h"
#include "cli/format.h"
#include "cli/log_option.h"
#include "cli/reading.h"
#include "cli/zone.h"

#include <flowcarve/query.h>
#include <stdbool.h>
#include <stdint.h>

struct fc_query_args {
    const char *db;                   /* path of the index */
    struct fc_cluster_option cluster; /* what is asked in its place, where it has a path */
    struct fc_reading reading;
    const char *filter; /* the words of the filter with a space between them; NULL or "": every session */
    struct fc_log_option log;
    const char *filter_file; /* where the filter came from; NULL: words alone */
    const char *format;      /* NULL: table on a terminal, else tsv */
    const char *columns;     /* NULL: all, in a table those that fit */
    const char *sort;        /* NULL: by id */
    int64_t limit;           /* -1: all */
    bool explain;            /* print how the filter is answered instead */
    bool count;              /* print the number of sessions only */
    bool community_id;       /* print the Community ID also where the index does not hold it */
    bool files;              /* and which captures hold it; JSON alone */
    bool quiet;              /* print nothing */
    bool verbose;            /* how many sessions there were, on standard error */
    struct fc_zone zone;     /* of times */
    bool tty;                /* standard output is a terminal */
    bool color;              /* the table may use escape sequences */
};

/* Writes to standard output; errors go to standard error. Exit status: 0 found, 1 nothing matched, 2 error. */
int fc_cmd_query_run(struct fc_query_args *args);

/* What commands about sessions have in common. */

/*
 * Parses a filter and opens an index; false: one of them is no good, which is said. Both are to be freed in any case.
 */
bool fc_query_begin(const char *text, const struct fc_zone *zone, const char *path, struct fc_filter **filter,
                    struct fc_db **db);

/* Parses a filter; false: it is no good, which is said. To be freed in any case. */
bool fc_query_parse(const char *text, const struct fc_zone *zone, struct fc_filter **filter);

/* Columns of the terminal that standard output is; 0: it is none. */
unsigned fc_terminal_width(void);

/* What to return when output has ended: a reader that has enough (EPIPE) is none of our troubles. */
int fc_rows_end(struct fc_out *out, int64_t rows);

/* Prints where and why a filter is wrong, with a line under it that points to the place. */
void fc_print_filter_error(const char *filter, const struct fc_filter_error *where);

#endif
