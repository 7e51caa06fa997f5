/* SPDX-License-Identifier: MIT */
/*
 * Packets of an interface as they arrive, with what a record does not say: flow, sender, number. Nothing is written
 * and nothing is indexed.
 *
 * Flows are told apart by their keys (decode.h), and numbered as they are met. The sender of a flow's first packet is
 * its client, unless that is a SYN-ACK. Of FC_LOOK_FLOWS flows what was noted is kept; where two of them meet in one
 * place the older one is forgotten, and is a new flow when it goes on. Fragments behind a first one are a flow of their
 * addresses.
 *
 * Takes the right to capture (CAP_NET_RAW). Threads: a handle belongs to one at a time. Memory: the kernel's buffer,
 * and 5 MiB.
 */
#ifndef FLOWCARVE_LOOK_H
#define FLOWCARVE_LOOK_H

#include <flowcarve/packets.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FC_LOOK_FLOWS = 1 << 16 };

/* All of it 0: the default. */
struct fc_look_options {
    const char *filter; /* as in pcap-filter(7); NULL: all packets */
    uint32_t snaplen;   /* bytes; 0: 262144 */
    uint32_t buffer;    /* bytes of the kernel's; 0: 8 MiB */
    bool promiscuous;
    uint32_t fields; /* FC_WANT_*: what is decoded, beside the key */
    const int *stop; /* as in fc_index_run(); may be NULL */
};

struct fc_look_result {
    uint64_t received;      /* packets that have passed the filter, as the kernel counts them */
    uint64_t dropped;       /* of these: by the kernel, as its buffer was full */
    uint64_t dropped_iface; /* by the interface or its driver; 0 where these do not count */
    uint64_t given;
};

struct fc_look;

/*
 * Opens an interface, also "any" and those of loopback. On success *out must go to fc_look_close(). FC_E_IO: it cannot
 * be opened (err says why), or libpcap is not there. FC_E_FILTER: err says what is wrong with the filter. FC_E_NOMEM.
 */
int fc_look_open(const char *iface, const struct fc_look_options *options, struct fc_look **out, struct fc_error *err);

enum { FC_LOOK_QUIET = 2 }; /* nothing has come for a moment (0.1 s) */

/*
 * Next packet: 1 and *packet points to it, FC_LOOK_QUIET, 0 once *stop is not 0, or FC_E_IO: the interface has gone.
 * Of a packet `file` and `off` are 0, `path` is the interface, `session` the flow's number from 1 on, and `nth`, below
 * FC_LOOK_FLOWS, its place, which another flow may have had before. Valid until the next call on the handle.
 */
int fc_look_next(struct fc_look *look, const struct fc_session_packet **packet, struct fc_error *err);

/* What was counted so far. */
void fc_look_result(struct fc_look *look, struct fc_look_result *result);

/* Closes; NULL is allowed. */
void fc_look_close(struct fc_look *look);

#ifdef __cplusplus
}
#endif
#endif
