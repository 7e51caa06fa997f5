/* SPDX-License-Identifier: MIT */
/* Options by which captures are indexed, as the commands share them that do. Threads: the main one. */
#ifndef FC_CLI_INDEX_OPTIONS_H
#define FC_CLI_INDEX_OPTIONS_H

#include "cli/cli.h"

#include <flowcarve/fields.h>
#include <flowcarve/index.h>

#define FC_INDEX_FIELD_NAME(FIELD, bit, name, want) name ", "

/* Their entries in a command's table, whose arguments have `struct fc_index_words words`. */
#define FC_INDEX_OPTION_TABLE(type)                                                                                    \
    {"jobs", 'j', "N", "threads (default: one a processor)", FC_TAKE(type, words.o.jobs, fc_take_jobs)},               \
        {"fields", 0, "LIST", "also index: " FC_FIELDS(FC_INDEX_FIELD_NAME) "or all",                                  \
         FC_TAKE(type, words.fields, fc_take_list)},                                                                   \
        {"filter", 0, "BPF", "leave out records that this filter (see pcap-filter(7)) does not match",                 \
         FC_TAKE(type, words.o.filter, fc_take_index_filter)},                                                         \
        {"exclude-net", 0, "CIDR,...",                                                                                 \
         "leave out records with an address in one of these ranges: those of its session, so "                         \
         "of a tunnel the inner ones (--outer: the outer ones)",                                                       \
         FC_TAKE(type, words.exclude_net, fc_take_list)},                                                              \
        {"profile", 0, "NAME", "session rules of: flowcarve, wireshark, zeek, suricata, arkime, yaf",                  \
         FC_WORD(type, words.o.profile)},                                                                              \
        {"timeout", 0, "P=S,...",                                                                                      \
         "change timeouts, seconds or 'never': tcp-new, tcp, tcp-closed, udp-new, udp, icmp, "                         \
         "sctp, other, active",                                                                                        \
         FC_TAKE(type, words.timeouts, fc_take_list)},                                                                 \
        {"key", 0, "LIST", "make these ids part of a session's key: vlan,tunnel",                                      \
         FC_TAKE(type, words.key, fc_take_list)},                                                                      \
        {"outer", 0, NULL, "make sessions of the outermost IP addresses, not of the innermost",                        \
         FC_FLAG(type, words.outer)},                                                                                  \
        {"chunk-size", 0, "BYTES", "how much of a file a thread reads at a time (64k to 1G, default up to 16M)",       \
         FC_TAKE(type, words.o.chunk_bytes, fc_take_chunk)},                                                           \
    {                                                                                                                  \
        "memory", 0, "BYTES", "memory to aim at (from 16M, default 512M)",                                             \
            FC_TAKE(type, words.o.memory_bytes, fc_take_memory)                                                        \
    }

extern const struct fc_values fc_index_values[];

/* What the options have said; all zeros in the beginning. */
struct fc_index_words {
    struct fc_index_options o;
    char *fields, *exclude_net, *timeouts, *key; /* lists, which may come in several options */
    bool outer;
};

/* Take what these options say. */
int fc_take_jobs(const char *command, void *jobs, const char *value);
int fc_take_index_filter(const char *command, void *filter, const char *value);
int fc_take_chunk(const char *command, void *bytes, const char *value);
int fc_take_memory(const char *command, void *bytes, const char *value);
/* Of a list that is given once more: adds to the string, which is to be freed, with a comma. */
int fc_take_list(const char *command, void *list, const char *value);
/* All are taken: `o` has what they say. -1 without memory, which is said. */
int fc_index_words_end(struct fc_index_words *words);
void fc_index_words_fini(struct fc_index_words *words);

#endif
