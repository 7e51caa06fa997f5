/* SPDX-License-Identifier: MIT */
/* `--filter`: libpcap's filters on records. */
#include "base/bytes.h"
#include "base/error.h"
#include "index/libpcap.h"
#include "index/settings.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINK_NULL = 0, LINK_ETHERNET = 1, LINK_ENC = 109 };

struct fc_bpf {
    uint32_t link_type;
    bool big_endian; /* order of what a capturing host writes in its own: families of NULL and ENC */
    bool fits;       /* there is a program; else libpcap's words why not */
    struct bpf_program program;
    char why[PCAP_ERRBUF_SIZE];
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
        if (door->programs[i].fits)
            door->libpcap->freecode(&door->programs[i].program);
    free(door->programs);
    door->programs = NULL;
    door->count = 0;
}

static void put32(uint8_t *p, uint32_t value, bool big_endian)
{
    for (int i = 0; i < 4; i++)
        p[big_endian ? 3 - i : i] = (uint8_t)(value >> 8 * i);
}

/*
 * A savefile without records. Only for savefiles does libpcap make filters that know the families of all systems and
 * both byte orders, and refuse words that the kernel would have to answer. pcap_open_dead() stands for a live capture.
 */
static pcap_t *open_savefile(const struct fc_libpcap *libpcap, const struct fc_bpf *bpf, char *why)
{
    uint8_t header[24] = {0};
    FILE *stream;
    pcap_t *p;

    put32(header, 0xa1b2c3d4, bpf->big_endian);
    header[bpf->big_endian ? 5 : 4] = 2; /* version 2.4 */
    header[bpf->big_endian ? 7 : 6] = 4;
    put32(header + 16, 262144, bpf->big_endian); /* snaplen */
    put32(header + 20, bpf->link_type, bpf->big_endian);
    if (!(stream = fmemopen(header, sizeof header, "rb"))) {
        errno = ENOMEM;
        return NULL;
    }
    if (!(p = libpcap->fopen_offline(stream, why)))
        fclose(stream);
    return p;
}

/* Fills bpf->fits, and program or why. */
static int compile(const struct fc_libpcap *libpcap, const char *filter, struct fc_bpf *bpf, struct fc_error *err)
{
    pcap_t *p;

    pthread_mutex_lock(&compiler);
    errno = 0;
    p = open_savefile(libpcap, bpf, bpf->why);
    bpf->fits = p && libpcap->compile(p, &bpf->program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
    bool nomem = !bpf->fits && errno == ENOMEM;
    if (p && !bpf->fits)
        snprintf(bpf->why, sizeof bpf->why, "%s", libpcap->geterr(p));
    if (p)
        libpcap->close(p);
    pthread_mutex_unlock(&compiler);
    return nomem ? fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

int fc_door_check(const struct fc_settings *settings, struct fc_error *err)
{
    /* Ethernet; what else has words of its own: ARCNET, cooked, 802.11 without and with radiotap, pf, ATM, SS7 */
    static const uint32_t link_types[] = {LINK_ETHERNET, 7, 113, 105, 127, 117, 123, 140};
    char first[PCAP_ERRBUF_SIZE] = "";
    const struct fc_libpcap *libpcap;
    int rc;

    if (!settings->filter[0])
        return 0;
    if (!(libpcap = fc_libpcap(err)))
        return FC_E_IO;
    for (size_t i = 0; i < sizeof link_types / sizeof link_types[0]; i++) {
        struct fc_bpf bpf = {.link_type = link_types[i]};
        if ((rc = compile(libpcap, settings->filter, &bpf, err)))
            return rc;
        if (bpf.fits) {
            libpcap->freecode(&bpf.program);
            return 0;
        }
        if (!i)
            memcpy(first, bpf.why, sizeof first);
    }
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "filter '%s': %s", settings->filter, first);
}

/* The filter for records of that kind, compiled when it is first asked for. 0 and *out, FC_E_NOMEM, FC_E_IO. */
static int find(struct fc_door *door, uint32_t link_type, bool big_endian, const struct fc_bpf **out,
                struct fc_error *err)
{
    struct fc_bpf *bpf = door->programs;
    size_t i = 0;
    int rc;

    if (!door->libpcap && !(door->libpcap = fc_libpcap(err)))
        return FC_E_IO;
    while (i < door->count && (bpf[i].link_type != link_type || bpf[i].big_endian != big_endian))
        i++;
    if (i == door->count) {
        bpf = realloc(bpf, (i + 1) * sizeof *bpf);
        if (!bpf)
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        door->programs = bpf;
        bpf[i] = (struct fc_bpf){.link_type = link_type, .big_endian = big_endian};
        if ((rc = compile(door->libpcap, door->settings->filter, &bpf[i], err)))
            return rc;
        door->count++;
    }
    *out = &bpf[i];
    return 0;
}

/*
 * The order of the record's family. A family is a small number, so the record tells; the file may be of the other
 * order, where captures were merged.
 */
static bool family_is_big_endian(const struct fc_record *rec)
{
    return (rec->link_type == LINK_NULL || rec->link_type == LINK_ENC) && rec->caplen >= 4 &&
           fc_load32(rec->data, true) <= 0xffff;
}

int fc_door_match(struct fc_door *door, const struct fc_record *rec, struct fc_error *err)
{
    struct pcap_pkthdr h = {.caplen = rec->caplen, .len = rec->origlen};
    const struct fc_bpf *bpf;
    int rc;

    if (!door->settings->filter[0])
        return 1;
    if ((rc = find(door, rec->link_type, family_is_big_endian(rec), &bpf, err)))
        return rc;
    return bpf->fits && door->libpcap->offline_filter(&bpf->program, &h, rec->data) != 0;
}

int fc_door_fits(struct fc_door *door, uint32_t link_type, struct fc_error *err)
{
    const struct fc_bpf *bpf;
    int rc;

    if (!door->settings->filter[0])
        return 1;
    if ((rc = find(door, link_type, false, &bpf, err)))
        return rc;
    if (!bpf->fits)
        fc_error_set(err, FC_OK, NULL, FC_NO_OFFSET, "%s", bpf->why);
    return bpf->fits;
}
