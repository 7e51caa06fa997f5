/* SPDX-License-Identifier: MIT */
/* One of the sockets by which the threads of a tap share an interface. Threads: one at a time. */
#ifndef FC_LIVE_TAP_SOCKET_H
#define FC_LIVE_TAP_SOCKET_H

#include "live/iface.h"

#include <flowcarve/error.h>
#include <stdint.h>

/* By then the kernel has handed over what it had taken before: a block waits twice the time at most. */
enum { FC_TAP_SETTLED_MS = 2 * FC_IFACE_WAIT_MS + 10 };

struct fc_tap_socket {
    struct fc_iface iface;
    uint32_t kernel, driver; /* dropped, as libpcap has told last: counts that go round */
};

/*
 * Lets the kernel divide the packets of one interface among its sockets. What they have got before, each of them all
 * packets, is thrown away; they get nothing more before a filter is set. FC_E_IO.
 */
int fc_tap_socket_join(struct fc_tap_socket *sockets, unsigned count, const char *name, struct fc_error *err);

/* Lets nothing more in. What is there can still be read. */
void fc_tap_socket_shut(struct fc_tap_socket *socket);

/* Gives at most so many packets to call(), without waiting: their number, or -1: the socket has failed. */
int fc_tap_socket_read(struct fc_tap_socket *socket, int most, pcap_handler call, void *ctx);

/* Waits for packets, or for FC_IFACE_WAIT_MS. */
void fc_tap_socket_wait(const struct fc_tap_socket *socket);

/* Adds what was dropped since the last call: as the buffer was full, and by the interface or its driver. */
void fc_tap_socket_count(struct fc_tap_socket *socket, uint64_t *kernel, uint64_t *driver);

enum fc_tap_state { FC_TAP_UP, FC_TAP_DOWN, FC_TAP_GONE };

enum fc_tap_state fc_tap_socket_state(const struct fc_tap_socket *socket, const char *name);

#endif
