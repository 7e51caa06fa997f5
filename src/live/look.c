/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/hash.h"
#include "index/libpcap.h"

#include <flowcarve/look.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUIET_MS = 100, SNAPLEN = 262144, BUFFER = 8 << 20, LINKTYPE_RAW = 101 };

struct flow {
    struct fc_flow_key key;
    int64_t number; /* 0: none yet */
    int client;     /* endpoint of the key */
};

struct fc_look {
    const struct fc_libpcap *lib;
    pcap_t *pcap;
    int fd;
    char *iface;
    const int *stop;
    uint32_t fields, link_type;
    bool nanoseconds;
    uint64_t seed;
    int64_t flows;
    uint64_t given;
    struct flow *flow;
    struct fc_session_packet now;
};

static int fail(const struct fc_look *look, int code, const char *what, const char *why, struct fc_error *err)
{
    return fc_error_set(err, code, look->iface, FC_NO_OFFSET, "%s: %s", what, why);
}

/* pcap_activate() and its kin have a number for the kind of failure, and more words in the handle. */
static int fail_status(const struct fc_look *look, int status, struct fc_error *err)
{
    const char *more = look->lib->geterr(look->pcap);

    return fail(look, FC_E_IO, "cannot capture", status == PCAP_ERROR || !*more ? more : look->lib->statustostr(status),
                err);
}

static int activate(struct fc_look *look, const struct fc_look_options *o, struct fc_error *err)
{
    const struct fc_libpcap *lib = look->lib;
    char why[PCAP_ERRBUF_SIZE] = "";

    if (!(look->pcap = lib->create(look->iface, why)))
        return fail(look, FC_E_IO, "cannot capture", why, err);
    lib->set_snaplen(look->pcap, o->snaplen ? (int)o->snaplen : SNAPLEN);
    lib->set_promisc(look->pcap, o->promiscuous);
    lib->set_timeout(look->pcap, QUIET_MS / 2); /* how long a packet may wait for others */
    lib->set_buffer_size(look->pcap, o->buffer ? (int)o->buffer : BUFFER);
    look->nanoseconds = lib->set_tstamp_precision(look->pcap, PCAP_TSTAMP_PRECISION_NANO) == 0;
    int status = lib->activate(look->pcap); /* above 0: a warning */
    if (status < 0)
        return fail_status(look, status, err);
    if (lib->setnonblock(look->pcap, 1, why) < 0)
        return fail(look, FC_E_IO, "cannot capture", why, err);
    if ((look->fd = lib->get_selectable_fd(look->pcap)) < 0)
        return fail(look, FC_E_IO, "cannot capture", "it cannot be waited for", err);
    int type = lib->datalink(look->pcap);
    look->link_type = type == DLT_RAW ? LINKTYPE_RAW : (uint32_t)type;
    return 0;
}

static int set_filter(struct fc_look *look, const char *filter, struct fc_error *err)
{
    const struct fc_libpcap *lib = look->lib;
    struct bpf_program program;

    if (!filter || !*filter)
        return 0;
    if (lib->compile(look->pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) != 0)
        return fc_error_set(err, FC_E_FILTER, NULL, FC_NO_OFFSET, "filter: %s", lib->geterr(look->pcap));
    int rc = lib->setfilter(look->pcap, &program);
    lib->freecode(&program);
    return rc ? fail(look, FC_E_IO, "cannot set the filter", lib->geterr(look->pcap), err) : 0;
}

FC_EXPORT int fc_look_open(const char *iface, const struct fc_look_options *options, struct fc_look **out,
                           struct fc_error *err)
{
    static const struct fc_look_options none = {0};
    const struct fc_look_options *o = options ? options : &none;
    struct fc_look *look = calloc(1, sizeof *look);
    int rc = 0;

    *out = NULL;
    if (!look || !(look->iface = strdup(iface)) || !(look->flow = calloc(FC_LOOK_FLOWS, sizeof *look->flow)))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (!(look->lib = fc_libpcap(err)))
        rc = FC_E_IO;
    if (rc == 0) {
        look->stop = o->stop;
        look->fields = o->fields;
        look->seed = fc_hash_secret();
        rc = activate(look, o, err);
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

    *now = (struct fc_session_packet){.path = look->iface, .number = ++look->given};
    now->record = (struct fc_record){.ts_ns = (int64_t)h->ts.tv_sec * 1000000000 +
                                              (int64_t)h->ts.tv_usec * (look->nanoseconds ? 1 : 1000),
                                     .data = data,
                                     .caplen = h->caplen,
                                     .origlen = h->len,
                                     .link_type = look->link_type};
    fc_decode(look->link_type, data, h->caplen, h->len, look->fields | FC_WANT_KEY | FC_WANT_TCP, &now->packet);
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
    rc = look->lib->next_ex(look->pcap, &header, &data);
    if (rc == 0) { /* wait */
        struct pollfd wait = {.fd = look->fd, .events = POLLIN};
        if (poll(&wait, 1, QUIET_MS) < 0 && errno != EINTR)
            return fc_error_errno(err, FC_E_IO, look->iface, FC_NO_OFFSET, "cannot wait for packets");
        rc = look->lib->next_ex(look->pcap, &header, &data);
    }
    if (rc == 0)
        return look->stop && __atomic_load_n(look->stop, __ATOMIC_RELAXED) ? 0 : FC_LOOK_QUIET;
    if (rc != 1)
        return fail(look, FC_E_IO, "cannot read packets", look->lib->geterr(look->pcap), err);
    take(look, header, data);
    return 1;
}

FC_EXPORT void fc_look_result(struct fc_look *look, struct fc_look_result *result)
{
    struct pcap_stat stat = {0};

    *result = (struct fc_look_result){.given = look->given};
    if (look->lib->stats(look->pcap, &stat) == 0) {
        result->received = stat.ps_recv;
        result->dropped = stat.ps_drop;
        result->dropped_iface = stat.ps_ifdrop;
    }
}

FC_EXPORT void fc_look_close(struct fc_look *look)
{
    if (!look)
        return;
    if (look->pcap)
        look->lib->close(look->pcap);
    free(look->flow);
    free(look->iface);
    free(look);
}
