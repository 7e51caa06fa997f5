/* SPDX-License-Identifier: MIT */
/* `--filter`: libpcap's filters on records. */
#include "base/error.h"
#include "index/libpcap.h"
#include "index/settings.h"

#include <pthread.h>
#include <stdlib.h>

struct fc_bpf {
    uint32_t link_type;
    struct bpf_program program;
};

/* pcap_compile() keeps state of its own before libpcap 1.8, and resolves names: one at a time. */
static pthread_mutex_t compiler = PTHREAD_MUTEX_INITIALIZER;

void fc_door_init(struct fc_door *door, const struct fc_settings *settings)
{
    door->settings = settings;
    door->libpcap = NULL;
    door->programs = NULL;
    door->count = 0;
}

void fc_door_fini(struct fc_door *door)
{
    for (size_t i = 0; i < door->count; i++)
        door->libpcap->freecode(&door->programs[i].program);
    free(door->programs);
    door->programs = NULL;
    door->count = 0;
}

/* LINKTYPE_ and DLT_, which pcap_open_dead() wants, agree but for a few old numbers. */
static int dlt_of(uint32_t link_type)
{
    switch (link_type) {
    case 100:
        return DLT_ATM_RFC1483;
    case 101:
        return DLT_RAW;
    case 102:
        return DLT_SLIP_BSDOS;
    case 103:
        return DLT_PPP_BSDOS;
    case 106:
        return DLT_ATM_CLIP;
    default:
        return (int)link_type;
    }
}

static int compile(const struct fc_libpcap *libpcap, const char *filter, uint32_t link_type,
                   struct bpf_program *program, struct fc_error *err)
{
    pcap_t *p;
    int rc = 0;

    pthread_mutex_lock(&compiler);
    p = libpcap->open_dead(dlt_of(link_type), 262144);
    if (!p)
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (libpcap->compile(p, program, filter, 1, PCAP_NETMASK_UNKNOWN) != 0)
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "filter '%s', on records of link type %u: %s", filter,
                          link_type, libpcap->geterr(p));
    if (p)
        libpcap->close(p);
    pthread_mutex_unlock(&compiler);
    return rc;
}

int fc_door_match(struct fc_door *door, const struct fc_record *rec, struct fc_error *err)
{
    struct pcap_pkthdr h = {.caplen = rec->caplen, .len = rec->origlen};
    struct fc_bpf *bpf = door->programs;
    size_t i = 0;

    if (!door->settings->filter[0])
        return 1;
    if (!door->libpcap && !(door->libpcap = fc_libpcap(err)))
        return FC_E_IO;
    while (i < door->count && bpf[i].link_type != rec->link_type)
        i++;
    if (i == door->count) {
        bpf = realloc(bpf, (i + 1) * sizeof *bpf);
        if (!bpf)
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        door->programs = bpf;
        int rc = compile(door->libpcap, door->settings->filter, rec->link_type, &bpf[i].program, err);
        if (rc)
            return rc;
        bpf[i].link_type = rec->link_type;
        door->count++;
    }
    return door->libpcap->offline_filter(&bpf[i].program, &h, rec->data) != 0;
}
