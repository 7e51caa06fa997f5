/* SPDX-License-Identifier: MIT */
/*
 * Sensors of a cluster, asked for what they have: packets of chosen sessions, merged by time into one capture, and how
 * they are. Sensors are `flowcarve serve` over HTTPS (docs/http.md), and named by the cluster's file.
 *
 * Threads: one at a time for a cluster. Memory: a sensor takes 1.5 MiB at the most, however much it sends, and more
 * only for a packet that is longer.
 */
#ifndef FLOWCARVE_CLUSTER_CARVE_H
#define FLOWCARVE_CLUSTER_CARVE_H

#include <flowcarve/carve.h>
#include <flowcarve/cluster.h>
#include <flowcarve/query.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- carving */

/* Sessions of one sensor. */
struct fc_cluster_part {
    const char *sensor;
    uint8_t generation[16];           /* of the index that these are IDs of */
    const struct fc_id_range *ranges; /* ascending, none of them touching another */
    size_t range_count;
};

/* All of it 0: the default. */
struct fc_cluster_carve_options {
    struct fc_carve_options carve; /* FC_CARVE_AUTO: pcapng; avoid is not looked at */
    unsigned silence_ms; /* a sensor that sends nothing for so long while it is waited for has failed; 0: 30 s */
};

/* What is not in the capture, or not all of it. */
struct fc_cluster_missing {
    size_t part;       /* number of the part that it is of */
    uint64_t sessions; /* that lack packets, or may; 0: it is known of packets alone */
    uint64_t packets;  /* that these lack; 0: nobody knows how many */
    char *ids;         /* of these sessions, as "1-5,9", 200 characters of it at the most */
    struct fc_error why;
};

struct fc_cluster_carve_result {
    uint64_t sensors;           /* that have given packets, */
    uint64_t sessions, packets; /* and what is written of them */
    uint64_t bytes_received;
    uint64_t bytes_written;     /* before they are compressed */
    uint64_t packets_forgotten; /* of these sessions, that sensors have no more (fc_forget(), retain.h): no error */
    struct fc_cluster_missing *missing;
    size_t missing_count;
};

/*
 * Carves sessions of many sensors to the descriptor `fd`, as fc_carve() does those of one index: packets of one time
 * are in the order of the parts. All sensors are asked at once, in one stream each, and nothing is written before each
 * of them has begun to answer, or has failed. What a sensor sends counts as whole when the trailer behind it says so,
 * and has the numbers that have come. Interfaces of a sensor have a comment "sensor NAME", and are described apart from
 * those of others.
 *
 * A sensor that cannot be asked, refuses, has another index or lacks a capture, breaks off or falls silent ends it,
 * with what is listed in the result, and a code as fc_carve() has it (FC_E_IO where a connection failed, FC_E_CHANGED
 * also where the index is another one, FC_E_USAGE where the sensor does not let in who asks); with
 * options->carve.partial it is left out, or what has not come of it, and 0 is returned. 0 also when there are no parts;
 * nothing is written then, nor when nobody has given anything.
 *
 * FC_E_USAGE also: FC_CARVE_PCAP cannot hold the packets, which is found when they come: what was written then is no
 * whole capture, as behind every other failure. FC_E_LIMIT: more sensors at once than the process may have files open;
 * more sessions of one than it can be asked for (8 MB of ranges). FC_E_PIPE, FC_E_NOMEM, FC_E_INTERRUPTED. *result is
 * filled in any case and must go to fc_cluster_carve_result_fini(). options: NULL: all of it 0. `stop` (may be NULL) is
 * read atomically: other than 0 ends it.
 */
int fc_cluster_carve(const struct fc_cluster *cluster, const struct fc_cluster_part *parts, size_t count,
                     const struct fc_cluster_carve_options *options, int fd, const int *stop,
                     struct fc_cluster_carve_result *result, struct fc_error *err);
void fc_cluster_carve_result_fini(struct fc_cluster_carve_result *result);

/* ---- asking how they are */

struct fc_cluster_sensor_status {
    const char *name; /* as in the file; the cluster's */
    bool reachable;   /* it answers as a sensor does; all else is of those */
    char version[32]; /* of flowcarve */
    char sensor[64];  /* what it calls itself; "": nothing */
    char uuid[33];    /* of its index, 32 hex digits; "": it was never exported */
    uint64_t sessions;
    bool has_time;  /* of some session */
    int64_t end_ns; /* the latest one, ns since 1970 */
    bool has_clock;
    int64_t clock_off_ns; /* its clock minus this machine's, give or take half of the time that the answer took */
    struct fc_error why;  /* where it is not reachable; or its name is another one, code FC_E_MISMATCH */
};

/*
 * Asks all sensors at once, none for longer than 5 s in all. statuses: fc_cluster_sensors() of them, in the order of
 * the file. A sensor that does not answer is no error. FC_E_LIMIT, FC_E_IO (what asks cannot be loaded), FC_E_NOMEM,
 * FC_E_INTERRUPTED.
 */
int fc_cluster_ask_sensors(const struct fc_cluster *cluster, const int *stop, struct fc_cluster_sensor_status *statuses,
                           struct fc_error *err);

#ifdef __cplusplus
}
#endif
#endif
