/* SPDX-License-Identifier: MIT */
#include "live/iface.h"
#include "base/error.h"

enum { SNAPLEN = 262144, BUFFER = 8 << 20, LINKTYPE_RAW = 101 };

static int fail(const char *name, const char *what, const char *why, struct fc_error *err)
{
    return fc_error_set(err, FC_E_IO, name, FC_NO_OFFSET, "%s: %s", what, why);
}

/* pcap_activate() and its kin have a number for the kind of failure, and more words in the handle. */
static int fail_status(const struct fc_iface *iface, const char *name, int status, struct fc_error *err)
{
    const char *more = iface->lib->geterr(iface->pcap);

    if (status == PCAP_ERROR_PERM_DENIED)
        return fail(name, "cannot capture", "that takes the right to capture (CAP_NET_RAW), which root has", err);
    return fail(name, "cannot capture", status == PCAP_ERROR || !*more ? more : iface->lib->statustostr(status), err);
}

int fc_iface_open(struct fc_iface *iface, const char *name, const struct fc_iface_options *o, struct fc_error *err)
{
    const struct fc_libpcap *lib = fc_libpcap(err);
    char why[PCAP_ERRBUF_SIZE] = "";

    iface->lib = lib;
    if (!lib)
        return FC_E_IO;
    if (!(iface->pcap = lib->create(name, why)))
        return fail(name, "cannot capture", why, err);
    lib->set_snaplen(iface->pcap, o->snaplen ? (int)o->snaplen : SNAPLEN);
    lib->set_promisc(iface->pcap, o->promiscuous);
    lib->set_timeout(iface->pcap, FC_IFACE_WAIT_MS);
    lib->set_buffer_size(iface->pcap, o->buffer ? (int)o->buffer : BUFFER);
    iface->nanoseconds = lib->set_tstamp_precision(iface->pcap, PCAP_TSTAMP_PRECISION_NANO) == 0;
    int status = lib->activate(iface->pcap); /* above 0: a warning */
    if (status < 0)
        return fail_status(iface, name, status, err);
    if (lib->setnonblock(iface->pcap, 1, why) < 0)
        return fail(name, "cannot capture", why, err);
    if ((iface->fd = lib->get_selectable_fd(iface->pcap)) < 0)
        return fail(name, "cannot capture", "it cannot be waited for", err);
    int type = lib->datalink(iface->pcap);
    iface->link_type = type == DLT_RAW ? LINKTYPE_RAW : (uint32_t)type;
    return 0;
}

int fc_iface_compile(const struct fc_iface *iface, const char *filter, struct bpf_program *program,
                     struct fc_error *err)
{
    if (iface->lib->compile(iface->pcap, program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0)
        return 0;
    return fc_error_set(err, FC_E_FILTER, NULL, FC_NO_OFFSET, "filter: %s", iface->lib->geterr(iface->pcap));
}

int fc_iface_set_filter(const struct fc_iface *iface, const char *name, struct bpf_program *program,
                        struct fc_error *err)
{
    if (iface->lib->setfilter(iface->pcap, program) == 0)
        return 0;
    return fail(name, "cannot set the filter", iface->lib->geterr(iface->pcap), err);
}

int64_t fc_iface_time_ns(const struct fc_iface *iface, const struct pcap_pkthdr *h)
{
    return (int64_t)h->ts.tv_sec * 1000000000 + (int64_t)h->ts.tv_usec * (iface->nanoseconds ? 1 : 1000);
}

void fc_iface_close(struct fc_iface *iface)
{
    if (iface->pcap)
        iface->lib->close(iface->pcap);
    iface->pcap = NULL;
}
