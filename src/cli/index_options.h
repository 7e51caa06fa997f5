/* SPDX-License-Identifier: MIT */
/* Options by which captures are indexed, as the commands share them that do. Threads: the main one. */
#ifndef FC_CLI_INDEX_OPTIONS_H
#define FC_CLI_INDEX_OPTIONS_H

#include "cli/cli.h"

#include <flowcarve/fields.h>
#include <flowcarve/index.h>

enum fc_index_option_id {
    FC_INDEX_JOBS,
    FC_INDEX_FIELDS,
    FC_INDEX_FILTER,
    FC_INDEX_EXCLUDE,
    FC_INDEX_PROFILE,
    FC_INDEX_TIMEOUT,
    FC_INDEX_KEY,
    FC_INDEX_OUTER,
    FC_INDEX_CHUNK,
    FC_INDEX_MEMORY,
    FC_INDEX_OPTIONS /* how many there are */
};

#define FC_INDEX_FIELD_NAME(FIELD, bit, name, want) name ", "

/* Their entries in a command's table, from place `at` on. */
#define FC_INDEX_OPTION_TABLE(at)                                                                                      \
    [(at) +                                                                                                            \
        FC_INDEX_JOBS] = {"jobs", 'j', "N", "threads (default: one a processor)"},                                     \
        [(at) + FC_INDEX_FIELDS] = {"fields", 0, "LIST", "also index: " FC_FIELDS(FC_INDEX_FIELD_NAME) "or all"},      \
        [(at) + FC_INDEX_FILTER] = {"filter", 0, "BPF",                                                                \
                                    "leave out records that this filter (see pcap-filter(7)) does not match"},         \
        [(at) +                                                                                                        \
            FC_INDEX_EXCLUDE] = {"exclude-net", 0, "CIDR,...",                                                         \
                                 "leave out records with an address in one of these ranges: those of its session, so " \
                                 "of a tunnel the inner ones (--outer: the outer ones)"},                              \
        [(at) + FC_INDEX_PROFILE] = {"profile", 0, "NAME",                                                             \
                                     "session rules of: flowcarve, wireshark, zeek, suricata, arkime, yaf"},           \
        [(at) +                                                                                                        \
            FC_INDEX_TIMEOUT] = {"timeout", 0, "P=S,...",                                                              \
                                 "change timeouts, seconds or 'never': tcp-new, tcp, tcp-closed, udp-new, udp, icmp, " \
                                 "sctp, other, active"},                                                               \
        [(at) + FC_INDEX_KEY] = {"key", 0, "LIST", "make these ids part of a session's key: vlan,tunnel"},             \
        [(at) +                                                                                                        \
            FC_INDEX_OUTER] = {"outer", 0, NULL, "make sessions of the outermost IP addresses, not of the innermost"}, \
        [(at) + FC_INDEX_CHUNK] = {"chunk-size", 0, "BYTES",                                                           \
                                   "how much of a file a thread reads at a time (64k to 1G, default up to 16M)"},      \
        [(at) + FC_INDEX_MEMORY] = {"memory", 0, "BYTES", "memory to aim at (from 16M, default 512M)"}

extern const struct fc_values fc_index_values[];

/* What the options have said; all zeros in the beginning. */
struct fc_index_words {
    struct fc_index_options o;
    char *fields, *exclude_net, *timeouts, *key; /* lists, which may come in several options */
    bool outer;
};

/* Takes one of them. -1 when its value is no good, which is said. */
int fc_index_option(struct fc_index_words *words, const char *command, int option, const char *value);
/* All are taken: `o` has what they say. -1 without memory, which is said. */
int fc_index_words_end(struct fc_index_words *words);
void fc_index_words_fini(struct fc_index_words *words);

#endif
