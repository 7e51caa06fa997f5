/* SPDX-License-Identifier: MIT */
/* Rows of logs: log.c reads them, log_match.c finds their sessions. Threads: one. */
#ifndef FC_QUERY_LOG_H
#define FC_QUERY_LOG_H

#include <flowcarve/log.h>
#include <flowcarve/query.h>
#include <stdbool.h>

enum { FC_LOG_KEY = 40 };

/* In a key: none of TCP, UDP and ICMP, Zeek does not say which; any that has these ports, as most logs do not say. */
enum { FC_LOG_OTHER = 255, FC_LOG_ANY = 256 };

struct fc_log_entry {
    struct fc_log_row row;
    uint8_t key[FC_LOG_KEY]; /* what a session must have, see fc_log_key(); all 0: the Community ID is asked for */
    uint8_t kind, addr[16];  /* one of the hosts */
    bool has_time;
    int64_t from_ns, to_ns;
    char *name;
    int64_t *ids;
    size_t room;
};

struct fc_log {
    struct fc_log_entry *items;
    size_t count, room;
    struct fc_log_row *rows; /* as they are given */
};

/* Protocol, kind and both ends, the lower one first. proto: FC_PROTO_*, or one of the above. */
void fc_log_key(uint8_t key[FC_LOG_KEY], uint32_t proto, int kind, const uint8_t *a, int a_port, const uint8_t *b,
                int b_port);

#endif
