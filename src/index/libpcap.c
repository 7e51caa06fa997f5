/* SPDX-License-Identifier: MIT */
#include "index/libpcap.h"
#include "base/error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static struct fc_libpcap functions;
static bool loaded;
static char why[200];

static const struct {
    const char *name;
    size_t place;
} symbols[] = {
    {"pcap_open_dead", offsetof(struct fc_libpcap, open_dead)},
    {"pcap_fopen_offline", offsetof(struct fc_libpcap, fopen_offline)},
    {"pcap_next_ex", offsetof(struct fc_libpcap, next_ex)},
    {"pcap_compile", offsetof(struct fc_libpcap, compile)},
    {"pcap_freecode", offsetof(struct fc_libpcap, freecode)},
    {"pcap_offline_filter", offsetof(struct fc_libpcap, offline_filter)},
    {"pcap_geterr", offsetof(struct fc_libpcap, geterr)},
    {"pcap_close", offsetof(struct fc_libpcap, close)},
    {"pcap_create", offsetof(struct fc_libpcap, create)},
    {"pcap_set_snaplen", offsetof(struct fc_libpcap, set_snaplen)},
    {"pcap_set_promisc", offsetof(struct fc_libpcap, set_promisc)},
    {"pcap_set_timeout", offsetof(struct fc_libpcap, set_timeout)},
    {"pcap_set_buffer_size", offsetof(struct fc_libpcap, set_buffer_size)},
    {"pcap_set_tstamp_precision", offsetof(struct fc_libpcap, set_tstamp_precision)},
    {"pcap_activate", offsetof(struct fc_libpcap, activate)},
    {"pcap_setnonblock", offsetof(struct fc_libpcap, setnonblock)},
    {"pcap_get_selectable_fd", offsetof(struct fc_libpcap, get_selectable_fd)},
    {"pcap_datalink", offsetof(struct fc_libpcap, datalink)},
    {"pcap_setfilter", offsetof(struct fc_libpcap, setfilter)},
    {"pcap_dispatch", offsetof(struct fc_libpcap, dispatch)},
    {"pcap_stats", offsetof(struct fc_libpcap, stats)},
    {"pcap_statustostr", offsetof(struct fc_libpcap, statustostr)},
};

static void load(void)
{
    void *library = dlopen(FC_LIBPCAP, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library;

    for (size_t i = 0; symbol && i < sizeof symbols / sizeof symbols[0]; i++) {
        symbol = dlsym(library, symbols[i].name);
        memcpy((char *)&functions + symbols[i].place, &symbol, sizeof symbol);
    }
    loaded = symbol != NULL;
    if (!loaded) {
        const char *cause = dlerror();
        snprintf(why, sizeof why, "%s", cause ? cause : "a function is missing");
    }
}

const struct fc_libpcap *fc_libpcap(struct fc_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    if (loaded)
        return &functions;
    fc_error_set(err, FC_E_IO, NULL, FC_NO_OFFSET, "libpcap cannot be loaded: %s", why);
    return NULL;
}
