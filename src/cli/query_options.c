/* SPDX-License-Identifier: MIT */
/* Options of `flowcarve query`; the command itself is in cmd_query.c. */
#include "cli/cli.h"
#include "cli/cmd_query.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DB, FORMAT, SORT, LIMIT, COUNT, COMMUNITY_ID, FILES, QUIET, VERBOSE };

static const struct fc_option options[] = {
    [DB] = FC_OPTION_DB,
    [FORMAT] = {"format", 'f', "NAME",
                "table, json (an object a line), csv or tsv (default: table on a terminal, else tsv)"},
    [SORT] = {"sort", 's', "KEY[:desc]", "sort by a column of the output, or by 'packets' or 'bytes'"},
    [LIMIT] = {"limit", 'n', "N", "at most N sessions"},
    [COUNT] = {"count", 'c', NULL, "print the number of sessions only"},
    [COMMUNITY_ID] = {"community-id", 0, NULL, "print Community IDs, computed where the index does not hold them"},
    [FILES] = {"files", 0, NULL, "print which captures hold a session, and how many packets (json only)"},
    [QUIET] = {"quiet", 'q', NULL, "print nothing: the exit status tells whether there is a session"},
    [VERBOSE] = {"verbose", 'v', NULL, "also tell how many sessions there were"},
    {0},
};

static int set(void *ctx, int option, const char *value)
{
    struct fc_query_args *a = ctx;

    switch (option) {
    case DB:
        a->db = value;
        return 0;
    case FORMAT:
        a->format = value;
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
    case FILES:
        a->files = true;
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
    struct fc_query_args a = {.limit = -1};
    int first, rc = fc_options_parse(&fc_command_query, argc, argv, set, &a, &first);

    if (rc >= 0)
        return rc;
    char *filter = fc_join_words(argc - first, argv + first);
    if (!filter) {
        fc_complain("out of memory");
        return FC_EXIT_ERROR;
    }
    a.db = fc_db_name(a.db);
    a.filter = filter;
    a.tty = isatty(STDOUT_FILENO);
    a.color = a.tty && !getenv("NO_COLOR");
    rc = fc_cmd_query_run(&a);
    free(filter);
    return rc;
}

const struct fc_command fc_command_query = {
    .name = "query",
    .usage = "[OPTION...] [FILTER]",
    .summary = "list the sessions that a filter matches",
    .details =
        "FILTER is written as for tcpdump, and is about sessions: src is the client, dst the server.\n"
        "  host ADDR, net CIDR, port N, portrange N-M, ether host MAC, each also with src or dst in front\n"
        "  ADDR:PORT, [ADDR]:PORT, an end as tables print it\n"
        "  tcp udp icmp icmp6 sctp arp ip ip6, proto NAME|N, vlan [ID], mpls [LABEL]\n"
        "  tunnel [NAME[:ID]], as in vxlan, vxlan:42, gre\n"
        "  id N, state new|established|closed|reset|midstream, community-id 1:...\n"
        "  after TIME, before TIME: 2024-05-01T10:00 (UTC unless a zone is given), @1714557600, 2h ago\n"
        "  and or not ( ), also && || !\n"
        "A session matches after TIME when it has a packet at or after it, before TIME when it has one before it.\n",
    .options = options,
    .run = run,
};
