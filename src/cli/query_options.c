/* SPDX-License-Identifier: MIT */
/* Options of `flowcarve query`; the command itself is in cmd_query.c. */
#include "cli/cli.h"
#include "cli/cmd_query.h"
#include "cli/columns.h"
#include "cli/filter_words.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct fc_option options[] = {
    FC_OPTION_DB(struct fc_query_args),
    FC_OPTION_CLUSTER(struct fc_query_args),
    FC_OPTION_READ(struct fc_query_args),
    FC_OPTION_NO_KEEP(struct fc_query_args),
    {"format", 'f', "NAME",
     "table, json (an object a line), csv, tsv or zeek, a conn.log (default: table on a terminal, else tsv)",
     FC_WORD(struct fc_query_args, format)},
    {"columns", 'C', "LIST",
     "these columns, in this order: those of the output, and ts (seconds since 1970), packets, bytes, files (the "
     "captures that hold the session)",
     FC_WORD(struct fc_query_args, columns)},
    {"sort", 's', "KEY[:desc]", "sort by a column of the output, or by 'packets' or 'bytes'",
     FC_WORD(struct fc_query_args, sort)},
    {"limit", 'n', "N", "at most N sessions", FC_TAKE(struct fc_query_args, limit, fc_take_limit)},
    {"count", 'c', NULL, "print the number of sessions only", FC_FLAG(struct fc_query_args, count)},
    {"community-id", 0, NULL, "print Community IDs, computed where the index does not hold them",
     FC_FLAG(struct fc_query_args, community_id)},
    {"files", 0, NULL, "print which captures hold a session, and how many packets (json only)",
     FC_FLAG(struct fc_query_args, files)},
    FC_OPTION_TZ(struct fc_query_args),
    FC_OPTION_FILTER_FILE(struct fc_query_args),
    FC_OPTION_FROM(struct fc_query_args),
    FC_OPTION_SLACK(struct fc_query_args),
    FC_OPTION_MAX_ROWS(struct fc_query_args),
    FC_OPTION_DEADLINE(struct fc_query_args),
    {"explain", 0, NULL,
     "list no sessions, but tell how the filter is read and answered, and its equals in tcpdump and "
     "Wireshark",
     FC_FLAG(struct fc_query_args, explain)},
    {"quiet", 'q', NULL, "print nothing: the exit status tells whether there is a session",
     FC_FLAG(struct fc_query_args, quiet)},
    {"verbose", 'v', NULL, "also tell how many sessions there were", FC_FLAG(struct fc_query_args, verbose)},
    {0},
};

#define ALWAYS                                                                                                         \
    "id start end start_ns end_ns duration proto client_addr client_port server_addr server_port client_packets "      \
    "server_packets client_bytes server_bytes state"
#define WORD(column, ...) " " #column
#define PAIR(column, ...) " client_" #column " server_" #column

static const struct fc_values values[] = {
    {"format", "table json csv tsv zeek"},
    {"columns", ALWAYS FC_FIELD_COLUMNS(WORD, PAIR, PAIR) " ts packets bytes files sensor"},
    {"sort", ALWAYS " packets bytes sensor" FC_FIELD_COLUMNS(WORD, PAIR, PAIR)},
    {0},
};

/* FC_FIELD_* that an index of -r is to hold, besides those of the filter. */
static uint32_t fields_of_output(const struct fc_query_args *a, const struct fc_columns *columns)
{
    uint32_t fields = columns->fields & ~(uint32_t)FC_FIELD_SENSOR;

    if (a->format && strcmp(a->format, "zeek") == 0) /* conn_state and bytes */
        fields |= FC_FIELD_TCP_FLAGS | FC_FIELD_PAYLOAD;
    return a->sort ? fields | fc_columns_field(a->sort, strcspn(a->sort, ":")) : fields;
}

static int run(int argc, char **argv)
{
    struct fc_query_args a = {.limit = -1};
    int first, rc = fc_options_parse(&fc_command_query, argc, argv, &a, &first);

    if (rc >= 0)
        return rc;
    const char *other = a.db ? "--db" : a.reading.count ? "--read" : a.log.path ? "--from" : a.files ? "--files" : NULL;
    if (!fc_cluster_option_fits(&a.cluster, "query", other) ||
        !fc_log_option_alone(&a.log, "query", a.filter_file, false))
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
        (a.cluster.path ||
         (a.db = fc_reading_db(&a.reading, "query", a.db, filter, &a.zone, fields_of_output(&a, &columns), a.quiet))))
        rc = fc_cmd_query_run(&a);
    free(filter);
    fc_log_option_close(&a.log);
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
