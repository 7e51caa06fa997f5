/* SPDX-License-Identifier: MIT */
/* Options of `flowcarve query`; the command itself is in cmd_query.c. */
#include "cli/cli.h"
#include "cli/cmd_query.h"
#include "cli/columns.h"
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
    COLUMNS,
    SORT,
    LIMIT,
    COUNT,
    COMMUNITY_ID,
    FILES,
    TZ,
    FILTER_FILE,
    FROM,
    SLACK,
    MAX_ROWS,
    DEADLINE,
    EXPLAIN,
    QUIET,
    VERBOSE
};

static const struct fc_option options[] = {
    [DB] = FC_OPTION_DB,
    [CLUSTER] = FC_OPTION_CLUSTER,
    [READ] = FC_OPTION_READ,
    [NO_KEEP] = FC_OPTION_NO_KEEP,
    [FORMAT] =
        {"format", 'f', "NAME",
         "table, json (an object a line), csv, tsv or zeek, a conn.log (default: table on a terminal, else tsv)"},
    [COLUMNS] =
        {"columns", 'C', "LIST",
         "these columns, in this order: those of the output, and ts (seconds since 1970), packets, bytes, files (the "
         "captures that hold the session)"},
    [SORT] = {"sort", 's', "KEY[:desc]", "sort by a column of the output, or by 'packets' or 'bytes'"},
    [LIMIT] = {"limit", 'n', "N", "at most N sessions"},
    [COUNT] = {"count", 'c', NULL, "print the number of sessions only"},
    [COMMUNITY_ID] = {"community-id", 0, NULL, "print Community IDs, computed where the index does not hold them"},
    [FILES] = {"files", 0, NULL, "print which captures hold a session, and how many packets (json only)"},
    [TZ] = FC_OPTION_TZ,
    [FILTER_FILE] = FC_OPTION_FILTER_FILE,
    [FROM] = FC_OPTION_FROM,
    [SLACK] = FC_OPTION_SLACK,
    [MAX_ROWS] = FC_OPTION_MAX_ROWS,
    [DEADLINE] = FC_OPTION_DEADLINE,
    [EXPLAIN] = {"explain", 0, NULL,
                 "list no sessions, but tell how the filter is read and answered, and its equals in tcpdump and "
                 "Wireshark"},
    [QUIET] = {"quiet", 'q', NULL, "print nothing: the exit status tells whether there is a session"},
    [VERBOSE] = {"verbose", 'v', NULL, "also tell how many sessions there were"},
    {0},
};

#define ALWAYS                                                                                                         \
    "id start end start_ns end_ns duration proto client_addr client_port server_addr server_port client_packets "      \
    "server_packets client_bytes server_bytes state"
#define WORD(column, ...) " " #column
#define PAIR(column, ...) " client_" #column " server_" #column

static const struct fc_values values[] = {
    {"format", "table json csv tsv zeek"},
    {"columns", ALWAYS FC_FIELD_COLUMNS(WORD, PAIR, PAIR) " ts packets bytes files"},
    {"sort", ALWAYS " packets bytes" FC_FIELD_COLUMNS(WORD, PAIR, PAIR)},
    {0},
};

static int set(void *ctx, int option, const char *value)
{
    struct fc_query_args *a = ctx;

    switch (option) {
    case DB:
        a->db = value;
        return 0;
    case CLUSTER:
        a->cluster->path = value;
        return 0;
    case MAX_ROWS:
        return fc_cluster_option_rows(a->cluster, "query", value);
    case DEADLINE:
        return fc_cluster_option_deadline(a->cluster, "query", value);
    case FORMAT:
        a->format = value;
        return 0;
    case COLUMNS:
        a->columns = value;
        return 0;
    case SORT:
        a->sort = value;
        return 0;
    case LIMIT:
        if (!fc_number_option(value, 0, INT64_MAX, &a->limit)) {
            fc_complain("query: --limit takes a number, not '%s'", value);
            return -1;
        }
        return 0;
    case COMMUNITY_ID:
        a->community_id = true;
        return 0;
    case READ:
        return fc_reading_add(&a->reading, value);
    case NO_KEEP:
        a->reading.no_keep = true;
        return 0;
    case FILES:
        a->files = true;
        return 0;
    case FROM:
        a->log->path = value;
        return 0;
    case SLACK:
        return fc_log_option_slack(a->log, "query", value);
    case TZ:
        return fc_zone_set(&a->zone, value, "query") ? 0 : -1;
    case FILTER_FILE:
        a->filter_file = value;
        return 0;
    case EXPLAIN:
        a->explain = true;
        return 0;
    case QUIET:
        a->quiet = true;
        return 0;
    case VERBOSE:
        a->verbose = true;
        return 0;
    default:
        a->count = true;
        return 0;
    }
}

static int run(int argc, char **argv)
{
    struct fc_log_option from = {0};
    struct fc_cluster_option cluster = {0};
    struct fc_query_args a = {.limit = -1, .log = &from, .cluster = &cluster};
    int first, rc = fc_options_parse(&fc_command_query, argc, argv, set, &a, &first);

    if (rc >= 0)
        return rc;
    const char *other = a.db ? "--db" : a.reading.count ? "--read" : from.path ? "--from" : a.files ? "--files" : NULL;
    if (!fc_cluster_option_fits(&cluster, "query", other) || !fc_log_option_alone(a.log, "query", a.filter_file, false))
        return fc_reading_end(&a.reading, FC_EXIT_ERROR);
    char *filter = fc_filter_words("query", a.filter_file, argc - first, argv + first);
    if (!filter)
        return fc_reading_end(&a.reading, FC_EXIT_ERROR);
    struct fc_columns columns = {0};
    a.filter = filter;
    a.tty = isatty(STDOUT_FILENO);
    a.color = a.tty && !getenv("NO_COLOR");
    rc = FC_EXIT_ERROR;
    if ((!a.columns || fc_columns_read(&columns, a.columns)) &&
        (cluster.path || (a.db = fc_reading_db(&a.reading, "query", a.db, filter, &a.zone,
                                               columns.fields & ~(uint32_t)FC_FIELD_SENSOR, a.quiet))))
        rc = fc_cmd_query_run(&a);
    free(filter);
    fc_log_option_close(&from);
    return fc_reading_end(&a.reading, rc);
}

const struct fc_command fc_command_query = {
    .name = "query",
    .usage = "[OPTION...] [FILTER]",
    .summary = "list the sessions that a filter matches",
    .details =
        "FILTER is written as for tcpdump, and is about sessions: src is the client, dst the server.\n"
        "  host ADDR, net CIDR, port N, portrange N-M, ether host MAC, each also with src or dst (client, server) in "
        "front\n"
        "  ADDR:PORT, [ADDR]:PORT, an end as tables print it; lists as in port 80,443\n"
        "  tcp udp icmp icmp6 sctp arp ip ip6, proto NAME|N, vlan [ID], mpls [LABEL], tunnel [NAME[:ID]]\n"
        "  packets, bytes, duration, payload, ttl, each over N, under N, at least N, at most N, as in bytes over 10M\n"
        "  state new|established|closed|reset|rejected|midstream, reset by client|server, flags syn,ack\n"
        "  after TIME, before TIME, at TIME, between TIME and TIME, on DATE, during TIME\n"
        "  id N, community-id 1:..., file NAME, sensor NAME\n"
        "  and or not ( ), also && || !\n"
        "'flowcarve help filter' has all of it, with examples.\n",
    .options = options,
    .values = values,
    .run = run,
};
