/* SPDX-License-Identifier: MIT */
/* Options of `flowcarve top` and `flowcarve stats`; what they do is in cmd_top.c. */
#include "cli/cli.h"
#include "cli/cmd_top.h"
#include "cli/filter_words.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int take_limit(const char *command, void *limit, const char *value)
{
    if (fc_number_option(value, 1, INT64_MAX, limit))
        return 0;
    fc_complain("%s: --limit takes a number from 1 on, not '%s'", command, value);
    return -1;
}

static int take_bucket(const char *command, void *bucket_ns, const char *value)
{
    if (fc_duration_option(value, bucket_ns))
        return 0;
    fc_complain("%s: --bucket takes a time as in 500ms, 10s, 1m, 1h or 1d, not '%s'", command, value);
    return -1;
}

/* Twice: by something, and by time. */
static int take_by(const char *command, void *args, const char *value)
{
    struct fc_top_args *a = args;
    bool time = strcmp(value, "time") == 0, had_time = a->by_given && strcmp(a->by, "time") == 0;

    if (a->by_given && !time && !had_time) {
        fc_complain("%s: --by %s and --by %s: one of two is time", command, a->by, value);
        return -1;
    }
    a->by_time |= a->by_given && time != had_time;
    if (!a->by_given || !time)
        a->by = value;
    a->by_given = true;
    return 0;
}

/* Those of both commands. */
#define SHARED_OPTIONS                                                                                                 \
    FC_OPTION_DB(struct fc_top_args), FC_OPTION_CLUSTER(struct fc_top_args), FC_OPTION_READ(struct fc_top_args),       \
        FC_OPTION_NO_KEEP(struct fc_top_args),                                                                         \
        {"format", 'f', "NAME", "table, json (an object a line), csv or tsv (default: table on a terminal, else tsv)", \
         FC_WORD(struct fc_top_args, format)},                                                                         \
        FC_OPTION_TZ(struct fc_top_args), FC_OPTION_FILTER_FILE(struct fc_top_args),                                   \
        FC_OPTION_MAX_ROWS(struct fc_top_args), FC_OPTION_DEADLINE(struct fc_top_args),                                \
        {"quiet", 'q', NULL, "print nothing: the exit status tells whether there is a session",                        \
         FC_FLAG(struct fc_top_args, quiet)},                                                                          \
    {                                                                                                                  \
        "verbose", 'v', NULL, "also tell how many rows there are without a limit",                                     \
            FC_FLAG(struct fc_top_args, verbose)                                                                       \
    }

static const struct fc_option top_options[] = {
    SHARED_OPTIONS,
    {"by", 'b', "WHAT",
     "client, server, host, pair, port, protocol, state, file, vlan, tunnel, time, and with --cluster sensor "
     "(default: host); given twice: by time, too",
     FC_TAKE_ALL(take_by)},
    {"columns", 'C', "LIST",
     "sessions, peers (hosts), ports, packets, bytes, first, last...; interval: mean and standard deviation of "
     "the times between starts",
     FC_WORD(struct fc_top_args, columns)},
    {"sort", 's', "KEY[:desc]", "sort by a column, or by what is grouped by (default: bytes, time by time)",
     FC_WORD(struct fc_top_args, sort)},
    {"limit", 'n', "N", "at most N rows (default: 20 on a terminal, else all)",
     FC_TAKE(struct fc_top_args, limit, take_limit)},
    {"bucket", 0, "TIME",
     "with --by time: length of buckets, as in 500ms, 10s, 1m, 1h, 1d (default: at most 60 buckets)",
     FC_TAKE(struct fc_top_args, bucket_ns, take_bucket)},
    {0},
};

static const struct fc_values top_values[] = {
    {"format", "table json csv tsv"},
    {"by", "client server host pair port protocol state file vlan tunnel time sensor"},
    {"columns", "sessions peers hosts ports packets bytes sent_bytes received_bytes client_bytes server_bytes first "
                "last interval"},
    {"sort", "sessions peers hosts ports packets bytes sent_bytes received_bytes client_bytes server_bytes first last "
             "interval"},
    {0},
};

static const struct fc_option stats_options[] = {
    SHARED_OPTIONS,
    {0},
};

static const struct fc_values stats_values[] = {
    {"format", "table json csv tsv"},
    {0},
};

static int run(const struct fc_command *command, struct fc_top_args *a, int argc, char **argv)
{
    int first, rc;

    a->command = command->name;
    if ((rc = fc_options_parse(command, argc, argv, a, &first)) >= 0)
        return rc;
    if (!fc_cluster_option_fits(&a->cluster, command->name, a->db ? "--db" : a->reading.count ? "--read" : NULL))
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
    if (a->cluster.path ||
        (a->db = fc_reading_db(&a->reading, command->name, a->db, filter, &a->zone, fields, a->quiet)))
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
