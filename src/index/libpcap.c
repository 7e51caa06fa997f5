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
    {"pcap_open_offline", offsetof(struct fc_libpcap, open_offline)},
    {"pcap_fopen_offline", offsetof(struct fc_libpcap, fopen_offline)},
    {"pcap_next_ex", offsetof(struct fc_libpcap, next_ex)},
    {"pcap_compile", offsetof(struct fc_libpcap, compile)},
    {"pcap_freecode", offsetof(struct fc_libpcap, freecode)},
    {"pcap_offline_filter", offsetof(struct fc_libpcap, offline_filter)},
    {"pcap_geterr", offsetof(struct fc_libpcap, geterr)},
    {"pcap_close", offsetof(struct fc_libpcap, close)},
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
