/* SPDX-License-Identifier: MIT */
/*
 * What a service tells the manager that has started it, in the way of sd_notify(3): a datagram to the socket that
 * NOTIFY_SOCKET names, by path or (with '@') in the abstract name space. Without that variable nothing is told.
 *
 * Threads: any; who calls fc_service_alive() takes turns. Nothing here ever waits: what the socket has no room for is
 * not told.
 */
#ifndef FC_CLI_SERVICE_H
#define FC_CLI_SERVICE_H

#include <stdint.h>

struct fc_service {
    int fd;               /* -1: there is nobody to tell */
    int64_t watchdog_ns;  /* who is silent for so long is ended by the manager; 0: nobody looks */
    int64_t last_sign_ns; /* monotonic, of the last sign of life */
};

/* Before the sandbox: it takes a socket. */
void fc_service_open(struct fc_service *service);
void fc_service_close(struct fc_service *service);

/* "READY=1", "STOPPING=1", "STATUS=..." or several, a line each. */
void fc_service_tell(const struct fc_service *service, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * To be called when the work has come further, as often as that is: a sign of life goes out when half of the time has
 * passed that the manager waits for one. A loop that hangs gives none.
 */
void fc_service_alive(struct fc_service *service);

#endif
