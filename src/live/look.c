/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/hash.h"
#include "live/iface.h"

#include <flowcarve/look.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET_MS = 2 * FC_IFACE_WAIT_MS };

struct flow {
    struct fc_flow_key key;
    int64_t number; /* 0: none yet */
    int client;     /* endpoint of the key */
};

struct fc_look {
    struct fc_iface iface;
    char *name;
    const int *stop;
    uint32_t fields;
    uint64_t seed;
    int64_t flows;
    uint64_t given;
    struct flow *flow;
    struct fc_session_packet now;
};

static int set_filter(const struct fc_look *look, const char *filter, struct fc_error *err)
{
    struct bpf_program program;
    int rc;

    if (!filter || !*filter)
        return 0;
    if ((rc = fc_iface_compile(&look->iface, filter, &program, err)))
        return rc;
    rc = fc_iface_set_filter(&look->iface, look->name, &program, err);
    look->iface.lib->freecode(&program);
    return rc;
}

FC_EXPORT int fc_look_open(const char *iface, const struct fc_look_options *options, struct fc_look **out,
                           struct fc_error *err)
{
    static const struct fc_look_options none = {0};
    const struct fc_look_options *o = options ? options : &none;
    const struct fc_iface_options how = {o->snaplen, o->buffer, o->promiscuous};
    struct fc_look *look = calloc(1, sizeof *look);
    int rc = 0;

    *out = NULL;
    if (!look || !(look->name = strdup(iface)) || !(look->flow = calloc(FC_LOOK_FLOWS, sizeof *look->flow)))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (rc == 0) {
        look->stop = o->stop;
        look->fields = o->fields;
        look->seed = fc_hash_secret();
        rc = fc_iface_open(&look->iface, iface, &how, err);
    }
    rc = rc ? rc : set_filter(look, o->filter, err);
    if (rc)
        fc_look_close(look);
    else
        *out = look;
    return rc;
}

/* The flow of a packet, which may be a new one. */
static const struct flow *find_flow(struct fc_look *look, const struct fc_packet *packet, size_t *place)
{
    *place = fc_hash48(&packet->key, look->seed) % FC_LOOK_FLOWS;
    struct flow *f = &look->flow[*place];
    bool answer =
        packet->got & FC_WANT_TCP && (packet->tcp_flags & (FC_TCP_SYN | FC_TCP_ACK)) == (FC_TCP_SYN | FC_TCP_ACK);

    if (f->number && memcmp(&f->key, &packet->key, sizeof f->key) == 0)
        return f;
    f->key = packet->key;
    f->number = ++look->flows;
    f->client = answer ? !packet->dir : packet->dir;
    return f;
}

static void take(struct fc_look *look, const struct pcap_pkthdr *h, const u_char *data)
{
    struct fc_session_packet *now = &look->now;

    *now = (struct fc_session_packet){.path = look->name, .number = ++look->given};
    now->record = (struct fc_record){.ts_ns = fc_iface_time_ns(&look->iface, h),
                                     .data = data,
                                     .caplen = h->caplen,
                                     .origlen = h->len,
                                     .link_type = look->iface.link_type};
    fc_decode(look->iface.link_type, data, h->caplen, h->len, look->fields | FC_WANT_KEY | FC_WANT_TCP, &now->packet);
    const struct flow *f = find_flow(look, &now->packet, &now->nth);
    now->session = f->number;
    now->from = now->packet.dir == f->client ? FC_FROM_CLIENT : FC_FROM_SERVER;
}

FC_EXPORT int fc_look_next(struct fc_look *look, const struct fc_session_packet **packet, struct fc_error *err)
{
    struct pcap_pkthdr *header;
    const u_char *data;
    int rc;

    *packet = &look->now;
    if (look->stop && __atomic_load_n(look->stop, __ATOMIC_RELAXED))
        return 0;
    rc = look->iface.lib->next_ex(look->iface.pcap, &header, &data);
    if (rc == 0) { /* wait */
        struct pollfd wait = {.fd = look->iface.fd, .events = POLLIN};
        if (poll(&wait, 1, QUIET_MS) < 0 && errno != EINTR)
            return fc_error_errno(err, FC_E_IO, look->name, FC_NO_OFFSET, "cannot wait for packets");
        rc = look->iface.lib->next_ex(look->iface.pcap, &header, &data);
    }
    if (rc == 0)
        return look->stop && __atomic_load_n(look->stop, __ATOMIC_RELAXED) ? 0 : FC_LOOK_QUIET;
    if (rc != 1)
        return fc_error_set(err, FC_E_IO, look->name, FC_NO_OFFSET, "cannot read packets: %s",
                            look->iface.lib->geterr(look->iface.pcap));
    take(look, header, data);
    return 1;
}

FC_EXPORT void fc_look_result(struct fc_look *look, struct fc_look_result *result)
{
    struct pcap_stat stat = {0};

    *result = (struct fc_look_result){.given = look->given};
    if (look->iface.lib->stats(look->iface.pcap, &stat) == 0) {
        result->received = stat.ps_recv;
        result->dropped = stat.ps_drop;
        result->dropped_iface = stat.ps_ifdrop;
    }
}

FC_EXPORT void fc_look_close(struct fc_look *look)
{
    if (!look)
        return;
    fc_iface_close(&look->iface);
    free(look->flow);
    free(look->name);
    free(look);
}
