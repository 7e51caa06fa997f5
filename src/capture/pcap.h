/* SPDX-License-Identifier: MIT */
/* Record headers of pcap (draft-ietf-opsawg-pcap), for those who walk them and those who look for them. */
#ifndef FC_CAPTURE_PCAP_H
#define FC_CAPTURE_PCAP_H

#include "base/bytes.h"
#include "capture/file.h"

struct fc_pcap_record {
    uint32_t sec, frac, caplen, origlen;
};

/* Reads the header of at least 16 bytes at p. */
static inline struct fc_pcap_record fc_pcap_record(const struct fc_pcap *pcap, const uint8_t *p)
{
    struct fc_pcap_record r;

    /* one branch for all four, which is always taken or never */
    if (__builtin_expect(pcap->iface.big_endian, 0))
        r = (struct fc_pcap_record){fc_load32(p, true), fc_load32(p + 4, true), fc_load32(p + 8, true),
                                    fc_load32(p + 12, true)};
    else
        r = (struct fc_pcap_record){fc_load32(p, false), fc_load32(p + 4, false), fc_load32(p + 8, false),
                                    fc_load32(p + 12, false)};
    if (pcap->swapped_lengths || (pcap->maybe_swapped && r.caplen > r.origlen)) {
        uint32_t t = r.caplen;
        r.caplen = r.origlen;
        r.origlen = t;
    }
    return r;
}

enum {
    FC_PCAP_ORIGLEN_MAX = 1 << 20, /* bytes; no packet of any link type with times and addresses is larger */
    FC_PCAP_FOUND_MAX = 262144,    /* captured bytes of a record that is found behind damage */
    FC_PCAP_ERA_BEGIN = 631152000, /* 1990: times from here */
    FC_PCAP_NEAR = 400 * 86400,    /* seconds */
    FC_PCAP_FCS_KNOWN = 1 << 26, /* in the link type field: bits 28-31 are the length of the FCS, in units of 16 bits */
    FC_PCAP_FCS_SHIFT = 28
};
#define FC_PCAP_FCS_MASK 0xfc000000u
#define FC_PCAP_ERA_END 4102444800u /* to 2100 are nothing odd, whatever the first records say */

/* Times that may stand in one capture, one behind the other. */
static inline bool fc_pcap_near(uint32_t a, uint32_t b)
{
    return (a > b ? a - b : b - a) <= FC_PCAP_NEAR;
}

/*
 * Outside of the habits but for the time, or damaged. No bytes are odd whatever the habits: so a file header is seen.
 */
static inline bool fc_pcap_odd_shape(const struct fc_pcap *pcap, const struct fc_pcap_record *r)
{
    return (r->caplen - 1 >= pcap->odd_caplen) | (r->caplen > (r->origlen | pcap->any_origlen)) |
           (r->frac >= pcap->odd_frac) | (r->origlen > FC_PCAP_ORIGLEN_MAX);
}

static inline bool fc_pcap_odd(const struct fc_pcap *pcap, const struct fc_pcap_record *r)
{
    return fc_pcap_odd_shape(pcap, r) | (r->sec - pcap->odd_before > pcap->odd_span);
}

/* A header that nothing speaks against. */
static inline bool fc_pcap_sound(const struct fc_pcap *pcap, const struct fc_pcap_record *r)
{
    return !fc_pcap_odd(pcap, r) && r->caplen <= FC_PCAP_FOUND_MAX;
}

/*
 * The file header at `off`, of which FC_PCAP_HEADER bytes are at h, where none is expected: fc_pcap_parse(), and
 * nothing that no writer known has written.
 */
bool fc_pcap_usual(const uint8_t *h, uint64_t off, struct fc_pcap *pcap);

#endif
