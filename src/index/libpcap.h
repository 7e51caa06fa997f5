/* SPDX-License-Identifier: MIT */
/*
 * libpcap, loaded when it is first asked for: few commands want it, and short ones would spend much of their time on
 * linking it and what it needs (D-Bus, systemd, libgcrypt).
 *
 * Threads: any.
 */
#ifndef FC_INDEX_LIBPCAP_H
#define FC_INDEX_LIBPCAP_H

#include <flowcarve/error.h>

#include <pcap/pcap.h>

struct fc_libpcap {
    __typeof__(pcap_open_dead) *open_dead;
    __typeof__(pcap_fopen_offline) *fopen_offline;
    __typeof__(pcap_next_ex) *next_ex;
    __typeof__(pcap_compile) *compile;
    __typeof__(pcap_freecode) *freecode;
    __typeof__(pcap_offline_filter) *offline_filter;
    __typeof__(pcap_geterr) *geterr;
    __typeof__(pcap_close) *close;
    /* of interfaces */
    __typeof__(pcap_create) *create;
    __typeof__(pcap_set_snaplen) *set_snaplen;
    __typeof__(pcap_set_promisc) *set_promisc;
    __typeof__(pcap_set_timeout) *set_timeout;
    __typeof__(pcap_set_buffer_size) *set_buffer_size;
    __typeof__(pcap_set_tstamp_precision) *set_tstamp_precision;
    __typeof__(pcap_activate) *activate;
    __typeof__(pcap_setnonblock) *setnonblock;
    __typeof__(pcap_get_selectable_fd) *get_selectable_fd;
    __typeof__(pcap_datalink) *datalink;
    __typeof__(pcap_setfilter) *setfilter;
    __typeof__(pcap_dispatch) *dispatch;
    __typeof__(pcap_stats) *stats;
    __typeof__(pcap_statustostr) *statustostr;
};

/* Its functions, for good; NULL with FC_E_IO: it cannot be loaded. */
const struct fc_libpcap *fc_libpcap(struct fc_error *err);

#endif
