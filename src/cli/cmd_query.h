/* SPDX-License-Identifier: MIT */
/* `flowcarve query`, behind its options. */
#ifndef FC_CLI_CMD_QUERY_H
#define FC_CLI_CMD_QUERY_H

#include <flowcarve/query.h>
#include <stdbool.h>
#include <stdint.h>

struct fc_query_args {
    const char *db;     /* path of the index */
    const char *filter; /* the words of the filter with a space between them; NULL or "": every session */
    const char *format; /* NULL: table on a terminal, else tsv */
    const char *sort;   /* NULL: by id */
    int64_t limit;      /* -1: all */
    bool count;         /* print the number of sessions only */
    bool community_id;  /* print the Community ID also where the index does not hold it */
    bool files;         /* and which captures hold it; JSON alone */
    bool quiet;         /* print nothing */
    bool verbose;       /* how many sessions there were, on standard error */
    bool tty;           /* standard output is a terminal */
    bool color;         /* the table may use escape sequences */
};

/* Writes to standard output; errors go to standard error. Exit status: 0 found, 1 nothing matched, 2 error. */
int fc_cmd_query_run(const struct fc_query_args *args);

/* Prints where and why a filter is wrong, with a line under it that points to the place. */
void fc_print_filter_error(const char *filter, const struct fc_filter_error *where);

#endif
