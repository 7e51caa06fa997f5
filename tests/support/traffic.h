/* SPDX-License-Identifier: MIT */
/*
 * Random traffic of few flows in one to four captures, made to hit the session rules: gaps at the timeouts and one
 * nanosecond beside them, reused ports, few sequence numbers, fragments apart from their first one, times that run
 * backwards or are wrong, captures that overlap. The captures are real files, read back and decoded by the library.
 */
#ifndef FC_TEST_TRAFFIC_H
#define FC_TEST_TRAFFIC_H

#include "capture/reader.h"
#include "flow/rules.h"
#include "maker.h"
#include "rng.h"

#include <flowcarve/decode.h>

enum { TRAFFIC_FILES = 4 };

struct traffic_packet {
    struct fc_record rec; /* without data */
    struct fc_packet packet;
    uint32_t file; /* from 1 */
};
struct traffic_file {
    struct maker bytes;
    char *path;
    size_t first, count; /* its packets */
    int64_t first_ns;    /* of the first packet that has a time */
    struct fc_interface *ifaces;
    size_t iface_count;
};
struct traffic {
    struct traffic_packet *packets; /* by file, then offset */
    size_t count;
    struct traffic_file files[TRAFFIC_FILES]; /* by first_ns */
    unsigned file_count;
    int64_t clock_ns; /* latest time; FC_TIME_NONE */
};
struct traffic_options {
    const struct fc_rules *rules; /* whose timeouts the gaps are made for */
    uint32_t mask;                /* for fc_decode() */
    unsigned files, packets, keys;
    unsigned backwards, untimed, fragments; /* per cent of packets */
    unsigned glitches;                      /* per cent of packets: a time by itself, up to years off */
    unsigned aliases;                       /* per cent of fragments: of IP in IP, perhaps of two datagrams at once */
    bool overlap;                           /* captures at the same time */
    bool mirrored;                          /* a flow from an address to itself may be among them */
    unsigned padding;                       /* bytes behind each frame */
};

void traffic_make(struct traffic *t, struct rng *rng, const struct traffic_options *options);
void traffic_free(struct traffic *t);

#endif
