/* SPDX-License-Identifier: MIT */
/* Options of `flowcarve top` and `flowcarve stats`; what they do is in cmd_top.c. */
#include "cli/cli.h"
#include "cli/cmd_top.h"
#include "cli/filter_words.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DB,
    CLUSTER,
    READ,
    NO_KEEP,
    FORMAT,
    TZ,
    FILTER_FILE,
    MAX_ROWS,
    DEADLINE,
    QUIET,
    VERBOSE,
    BY,
    COLUMNS,
    SORT,
    LIMIT,
    BUCKET
};

#define FORMAT_OPTION                                                                                                  \
    {                                                                                                                  \
        "format", 'f', "NAME", "table, json (an object a line), csv or tsv (default: table on a terminal, else tsv)"   \
    }
#define QUIET_OPTION                                                                                                   \
    {                                                                                                                  \
        "quiet", 'q', NULL, "print nothing: the exit status tells whether there is a session"                          \
    }
#define VERBOSE_OPTION                                                                                                 \
    {                                                                                                                  \
        "verbose", 'v', NULL, "also tell how many rows there are without a limit"                                      \
    }

static const struct fc_option top_options[] = {
    [DB] = FC_OPTION_DB,
    [CLUSTER] = FC_OPTION_CLUSTER,
    [READ] = FC_OPTION_READ,
    [NO_KEEP] = FC_OPTION_NO_KEEP,
    [FORMAT] = FORMAT_OPTION,
    [TZ] = FC_OPTION_TZ,
    [FILTER_FILE] = FC_OPTION_FILTER_FILE,
    [MAX_ROWS] = FC_OPTION_MAX_ROWS,
    [DEADLINE] = FC_OPTION_DEADLINE,
    [QUIET] = QUIET_OPTION,
    [VERBOSE] = VERBOSE_OPTION,
    [BY] = {"by", 'b', "WHAT",
            "client, server, host, pair, port, protocol, state, file, vlan, tunnel, time, and with --cluster sensor "
            "(default: host)"},
    [COLUMNS] =
        {"columns", 'C', "LIST",
         "sessions, peers (hosts), ports, packets, bytes, first, last...; interval: mean and standard deviation of "
         "the times between starts"},
    [SORT] = {"sort", 's', "KEY[:desc]", "sort by a column, or by what is grouped by (default: bytes, time by time)"},
    [LIMIT] = {"limit", 'n', "N", "at most N rows (default: 20 on a terminal, else all)"},
    [BUCKET] = {"bucket", 0, "TIME",
                "with --by time: length, as in 500ms, 10s, 1m, 1h, 1d (default: at most 60 buckets)"},
    {0},
};

static const struct fc_values top_values[] = {
    {"format", "table json csv tsv"},
    {"by", "client server host pair port protocol state file vlan tunnel time"},
    {"columns", "sessions peers hosts ports packets bytes sent_bytes received_bytes client_bytes server_bytes first "
                "last interval"},
    {"sort", "sessions peers hosts ports packets bytes sent_bytes received_bytes client_bytes server_bytes first last "
             "interval"},
    {0},
};

static const struct fc_option stats_options[] = {
    [DB] = FC_OPTION_DB,
    [CLUSTER] = FC_OPTION_CLUSTER,
    [MAX_ROWS] = FC_OPTION_MAX_ROWS,
    [DEADLINE] = FC_OPTION_DEADLINE,
    [READ] = FC_OPTION_READ,
    [NO_KEEP] = FC_OPTION_NO_KEEP,
    [FORMAT] = FORMAT_OPTION,
    [TZ] = FC_OPTION_TZ,
    [FILTER_FILE] = FC_OPTION_FILTER_FILE,
    [QUIET] = QUIET_OPTION,
    [VERBOSE] = VERBOSE_OPTION,
    {0},
};

static const struct fc_values stats_values[] = {
    {"format", "table json csv tsv"},
    {0},
};

static int set(void *ctx, int option, const char *value)
{
    struct fc_top_args *a = ctx;

    switch (option) {
    case DB:
        a->db = value;
        return 0;
    case CLUSTER:
        a->cluster->path = value;
        return 0;
    case MAX_ROWS:
        return fc_cluster_option_rows(a->cluster, a->command, value);
    case DEADLINE:
        return fc_cluster_option_deadline(a->cluster, a->command, value);
    case READ:
        return fc_reading_add(&a->reading, value);
    case NO_KEEP:
        a->reading.no_keep = true;
        return 0;
    case FORMAT:
        a->format = value;
        return 0;
    case BY:
        a->by = value;
        return 0;
    case COLUMNS:
        a->columns = value;
        return 0;
    case SORT:
        a->sort = value;
        return 0;
    case LIMIT:
        if (fc_number_option(value, 1, INT64_MAX, &a->limit))
            return 0;
        fc_complain("top: --limit takes a number from 1 on, not '%s'", value);
        return -1;
    case BUCKET:
        if (fc_duration_option(value, &a->bucket_ns))
            return 0;
        fc_complain("top: --bucket takes a time as in 500ms, 10s, 1m, 1h or 1d, not '%s'", value);
        return -1;
    case TZ:
        return fc_zone_set(&a->zone, value, "top") ? 0 : -1;
    case FILTER_FILE:
        a->filter_file = value;
        return 0;
    case QUIET:
        a->quiet = true;
        return 0;
    case VERBOSE:
        a->verbose = true;
        return 0;
    default:
        return 0;
    }
}

static int run(const struct fc_command *command, struct fc_top_args *a, int argc, char **argv)
{
    struct fc_cluster_option cluster = {0};
    int first, rc;

    a->cluster = &cluster;
    a->command = command->name;
    if ((rc = fc_options_parse(command, argc, argv, set, a, &first)) >= 0)
        return rc;
    if (!fc_cluster_option_fits(&cluster, command->name, a->db ? "--db" : a->reading.count ? "--read" : NULL))
        return fc_reading_end(&a->reading, FC_EXIT_ERROR);
    char *filter = fc_filter_words(command->name, a->filter_file, argc - first, argv + first);
    if (!filter)
        return fc_reading_end(&a->reading, FC_EXIT_ERROR);
    a->filter = filter;
    a->tty = isatty(STDOUT_FILENO);
    a->color = a->tty && !getenv("NO_COLOR");
    uint32_t fields = !a->by                         ? 0
                      : strcmp(a->by, "vlan") == 0   ? FC_FIELD_VLAN
                      : strcmp(a->by, "tunnel") == 0 ? FC_FIELD_TUNNEL
                                                     : 0;
    rc = FC_EXIT_ERROR;
    if (cluster.path || (a->db = fc_reading_db(&a->reading, command->name, a->db, filter, &a->zone, fields, a->quiet)))
        rc = fc_cmd_top_run(a);
    free(filter);
    return fc_reading_end(&a->reading, rc);
}

static int run_top(int argc, char **argv)
{
    struct fc_top_args a = {.limit = -1, .by = "host"};

    return run(&fc_command_top, &a, argc, argv);
}

static int run_stats(int argc, char **argv)
{
    struct fc_top_args a = {.limit = -1};

    return run(&fc_command_stats, &a, argc, argv);
}

const struct fc_command fc_command_top = {
    .name = "top",
    .usage = "[OPTION...] [FILTER]",
    .summary = "add up sessions by host, port, time...",
    .details =
        "FILTER as for query. No capture is opened.\n"
        "A host has the sessions of which it is an end, a pair is client and server, a port is the server's. Peers "
        "are distinct addresses at the other end, hosts at either end, ports distinct ports of servers. A "
        "session belongs to the time when it starts, whole; and to each file that has packets of it, with these.\n",
    .options = top_options,
    .values = top_values,
    .run = run_top,
};

const struct fc_command fc_command_stats = {
    .name = "stats",
    .usage = "[OPTION...] [FILTER]",
    .summary = "totals of the sessions that a filter matches",
    .details = "FILTER as for query. No capture is opened.\n",
    .options = stats_options,
    .values = stats_values,
    .run = run_stats,
};
