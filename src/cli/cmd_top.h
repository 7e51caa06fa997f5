/* SPDX-License-Identifier: MIT */
/* `flowcarve top` and `flowcarve stats`, behind their options. */
#ifndef FC_CLI_CMD_TOP_H
#define FC_CLI_CMD_TOP_H

#include "cli/cluster_option.h"
#include "cli/reading.h"
#include "cli/zone.h"

#include <flowcarve/top.h>

struct fc_top_args {
    const char *command;              /* its name, for messages */
    const char *db;                   /* path of the index */
    struct fc_cluster_option cluster; /* what is asked in its place */
    struct fc_reading reading;
    const char *filter;      /* NULL or "": every session */
    const char *filter_file; /* where the filter came from; NULL: words alone */
    struct fc_zone zone;     /* of times */
    const char *by;          /* NULL: totals */
    bool by_given, by_time;  /* by: is from the command line; and time besides */
    const char *columns;     /* NULL: the usual ones */
    const char *sort;        /* NULL: by bytes, time by time */
    const char *format;      /* NULL: table on a terminal, else tsv */
    int64_t limit;           /* -1: a screen on a terminal, else all */
    int64_t bucket_ns;       /* 0: by the span */
    bool quiet;              /* print nothing */
    bool verbose;            /* how many groups there are, on standard error */
    bool tty;                /* standard output is a terminal */
    bool color;              /* the table may use escape sequences */
};

/* Writes to standard output; errors go to standard error. Exit status: 0 found, 1 nothing matched, 2 error. */
int fc_cmd_top_run(struct fc_top_args *args);

#endif
