/* SPDX-License-Identifier: MIT */
/* An interface that libpcap listens on. Threads: one at a time. Memory: the kernel's buffer. */
#ifndef FC_LIVE_IFACE_H
#define FC_LIVE_IFACE_H

#include "index/libpcap.h"

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stdint.h>

/* The kernel hands packets over when a block of its buffer is full, or when so much time has passed twice. */
enum { FC_IFACE_WAIT_MS = 50 };

struct fc_iface {
    const struct fc_libpcap *lib;
    pcap_t *pcap;
    int fd; /* the socket, to be waited for */
    uint32_t link_type;
    bool nanoseconds;
};

struct fc_iface_options {
    uint32_t snaplen; /* bytes; 0: 262144 */
    uint32_t buffer;  /* bytes of the kernel's; 0: 8 MiB */
    bool promiscuous;
};

/*
 * Opens it; calls on it do not wait. FC_E_IO: err says why. fc_iface_close() is to be called in any case, if *iface was
 * all zeros before.
 */
int fc_iface_open(struct fc_iface *iface, const char *name, const struct fc_iface_options *options,
                  struct fc_error *err);

/* A filter as in pcap-filter(7), "" for none, for libpcap's freecode(). FC_E_FILTER: err says what is wrong with it. */
int fc_iface_compile(const struct fc_iface *iface, const char *filter, struct bpf_program *program,
                     struct fc_error *err);

/* Only what passes the program is given from here on; it is copied. FC_E_IO. */
int fc_iface_set_filter(const struct fc_iface *iface, const char *name, struct bpf_program *program,
                        struct fc_error *err);

int64_t fc_iface_time_ns(const struct fc_iface *iface, const struct pcap_pkthdr *header);

void fc_iface_close(struct fc_iface *iface);

#endif
