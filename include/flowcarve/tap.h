/* SPDX-License-Identifier: MIT */
/*
 * Packets of interfaces into a recorder (recorder.h), as they come.
 *
 * Each interface has one thread or several, among which the kernel divides its packets by their flow (PACKET_FANOUT),
 * each with a buffer of the kernel's that it empties. Every packet comes once and as it was on the wire: that several
 * threads listen changes nothing of it, nor do fragments come otherwise. An interface that goes down is waited for; one
 * that goes away is opened again when there is one of its name.
 *
 * Takes the right to capture (CAP_NET_RAW), also to open an interface again. Threads: fc_tap_open(), fc_tap_start() and
 * fc_tap_close() belong to one thread; *stop may be set from any thread or signal handler. Memory: `buffer` a thread,
 * of the kernel's.
 */
#ifndef FLOWCARVE_TAP_H
#define FLOWCARVE_TAP_H

#include <flowcarve/error.h>
#include <flowcarve/recorder.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FC_TAP_THREADS_MAX = 64, FC_TAP_BUFFER_MIN = 1 << 20, FC_TAP_BUFFER_MAX = 2046 << 20 };

struct fc_tap;

/* All of it 0: the default. */
struct fc_tap_options {
    const char *filter; /* as in pcap-filter(7); NULL: all packets */
    uint32_t snaplen;   /* bytes of a packet; 0: 262144, which is the most */
    uint32_t buffer;    /* bytes of the kernel's for each thread, FC_TAP_BUFFER_MIN to _MAX; 0: 32 MiB */
    unsigned threads;   /* an interface, at most FC_TAP_THREADS_MAX; 0: 1 */
    bool promiscuous;   /* also what is meant for others; "any" never does */
    const int *stop;    /* all threads end when it is not 0, within 0.2 s; may be NULL */
    int *ended;         /* is set to 1 when the last one has, as the `stop` of fc_recorder_run(); may be NULL */
    /*
     * Told of an interface that has gone down or away (FC_E_IO), and that is back (FC_OK). Called by the threads of the
     * tap, by one at a time. May be NULL.
     */
    void (*word)(void *ctx, const struct fc_error *what);
    void *ctx;
};

/*
 * Opens the interfaces, also "any" and those of loopback: from here on the kernel keeps their packets, as far as its
 * buffers go. Options are copied, strings too. FC_E_USAGE: options out of their range, the same interface twice.
 * FC_E_IO: an interface cannot be opened (err says why), or libpcap is not there. FC_E_FILTER: err says what is wrong
 * with the filter. FC_E_NOMEM. On success *out must go to fc_tap_close().
 */
int fc_tap_open(const char *const *interfaces, size_t count, const struct fc_tap_options *options, struct fc_tap **out,
                struct fc_error *err);

/*
 * Starts to give packets to the recorder, which must stay until fc_tap_close() has come back. Once. FC_E_NOMEM;
 * FC_E_LIMIT: no thread can be had.
 *
 * What was received until *stop is set is given before the threads end: what the kernel has counted is then what the
 * recorder has got and what the kernel has dropped, to the packet.
 */
int fc_tap_start(struct fc_tap *tap, struct fc_recorder *recorder, struct fc_error *err);

/* Ends the threads, and closes. NULL is allowed. */
void fc_tap_close(struct fc_tap *tap);

#ifdef __cplusplus
}
#endif
#endif
