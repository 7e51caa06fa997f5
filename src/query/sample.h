/* SPDX-License-Identifier: MIT */
/*
 * Sessions for sums: what is added up of each, without text and without memory of its own. Where all sessions are asked
 * for, or those of a time, or a filter that match.h knows finds many, they come from the pages of the table
 * (store/table_scan.h), else from a SELECT.
 *
 * Threads: as the handle of the index; rows of large ones are read by a thread that ends before the call does. Memory:
 * a sample is valid during the call that gets it; 300 KB for that thread.
 */
#ifndef FC_QUERY_SAMPLE_H
#define FC_QUERY_SAMPLE_H

#include <flowcarve/query.h>

/* An address: IPv4 and link addresses are a number, IPv6 two, the first 8 bytes first; none: 0. */
struct fc_sample_addr {
    uint64_t word[2];
};

struct fc_sample {
    int64_t id;
    bool has_time;
    int64_t start_ns, end_ns;
    uint32_t proto;
    int kind; /* enum fc_addr_kind */
    struct fc_sample_addr client, server;
    int client_port;
    int server_port; /* -1: none; also of ICMP, whose ports are message types */
    int state;       /* -1: unknown */
    uint64_t client_packets, server_packets, client_bytes, server_bytes;
    const char *text; /* FC_SAMPLES_VLAN, FC_SAMPLES_TUNNEL: NULL where the index has NULL */
    /*
     * FC_SAMPLES_FILE: a sample for each capture that the session has packets in. client_packets: these. What their
     * bytes are is not in the index: all other counts are 0.
     */
    uint32_t file;
};

enum fc_samples { FC_SAMPLES_PLAIN, FC_SAMPLES_VLAN, FC_SAMPLES_TUNNEL, FC_SAMPLES_FILE };

/* A code other than 0 and 1 ends the reading and is given back. */
typedef int fc_sample_take(void *ctx, const struct fc_sample *sample);

/* Whether the plain ones, by IDs, come from the pages of the table. Codes as fc_filter_prepare(). */
int fc_samples_are_pages(struct fc_db *db, const struct fc_filter *filter, bool *pages, struct fc_error *err);

/*
 * Gives all sessions that match, in the order of IDs; by_start: of their starts, those without a time first. Codes as
 * fc_filter_prepare() and fc_table_scan(); FC_E_DAMAGED: positions that are none.
 */
int fc_samples_read(struct fc_db *db, const struct fc_filter *filter, enum fc_samples what, bool by_start,
                    fc_sample_take *take, void *ctx, struct fc_error *err);

#endif
