/* SPDX-License-Identifier: MIT */
/* The pcap file header, and the habits of the records behind it. */
#include "capture/pcap.h"
#include "base/error.h"

#include <string.h>

enum {
    MAGIC_US = 0xa1b2c3d4,
    MAGIC_NS = 0xa1b23c4d,
    MAGIC_MODIFIED = 0xa1b2cd34,
    MAJOR_DGUX = 543, /* DG/UX, with minor 0 */
    MINOR_MAX = 4,    /* of a file header: no writer known has another version, */
    ACCURACY_MAX = 9, /* or says more than 0 of the accuracy of its times */
    LEARN_BYTES = 16 << 10,
    LEARN_RECORDS = 64,
    VARIANT_RECORDS = 8,
    DAY = 86400,
};

bool fc_pcap_magic(const uint8_t *p, bool big)
{
    uint32_t magic = fc_load32(p, big);

    return magic == MAGIC_US || magic == MAGIC_NS || magic == MAGIC_MODIFIED;
}

/*
 * AIX writes version 2.2, nanoseconds and, in place of a link type, the type of the interface (RFC 1573). These numbers
 * tell its files from those of others, as they do for Wireshark. *link becomes the link type; false: it is none of
 * them.
 */
static bool aix_link_type(uint32_t *link)
{
    static const uint8_t types[][2] = {{6, 1}, {9, 6}, {15, 10}, {24, 0}}; /* Ethernet, Token Ring, FDDI, loopback */

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (*link == types[i][0]) {
            *link = types[i][1];
            return true;
        }
    return false;
}

int fc_pcap_parse(const uint8_t *h, uint64_t off, struct fc_pcap *pcap, struct fc_error *err)
{
    bool big = fc_pcap_magic(h, true);
    uint32_t magic = fc_load32(h, big);
    uint16_t major = fc_load16(h + 4, big), minor = fc_load16(h + 6, big);
    uint32_t link = fc_load32(h + 20, big), snaplen = fc_load32(h + 16, big), fcs = link & FC_PCAP_FCS_MASK;

    if (!fc_pcap_magic(h, big))
        return fc_error_set(err, FC_E_FORMAT, NULL, off, "not a capture: no pcap magic number");
    if (major != 2 && (major != MAJOR_DGUX || minor != 0))
        return fc_error_set(err, FC_E_FORMAT, NULL, off + 4, "not a capture: pcap version %u.%u, known is 2", major,
                            minor);
    /* bits 16-25 are reserved; 26-31 tell of a frame check sequence (draft-ietf-opsawg-pcap, section 4) */
    if (link & 0x03ff0000)
        return fc_error_set(err, FC_E_FORMAT, NULL, off + 20, "not a capture: reserved bits set in link type 0x%08x",
                            link);
    bool aix = magic == MAGIC_US && major == 2 && minor == 2 && aix_link_type(&link);
    bool nanoseconds = magic == MAGIC_NS || aix;
    *pcap = (struct fc_pcap){
        .format = nanoseconds               ? FC_FORMAT_PCAP_NS
                  : magic == MAGIC_MODIFIED ? FC_FORMAT_PCAP_MODIFIED
                                            : FC_FORMAT_PCAP,
        .swapped_lengths = minor < 3,
        .maybe_swapped = minor == 3,
        .record_header = magic == MAGIC_MODIFIED ? 24 : 16,
        .max_caplen = fc_max_caplen(link & 0xffff),
        .odd_frac = nanoseconds ? 1000000000 : 1000000,
        .odd_before = FC_PCAP_ERA_BEGIN,
        .odd_span = FC_PCAP_ERA_END - FC_PCAP_ERA_BEGIN,
        .since = 1,
        .fcs = fcs,
        .iface = {.section_off = off,
                  .off = off,
                  .link_type = link & 0xffff,
                  .snaplen = snaplen,
                  .tsresol = nanoseconds ? 9 : 6,
                  .big_endian = big},
    };
    pcap->odd_caplen = snaplen && snaplen < pcap->max_caplen ? snaplen : pcap->max_caplen;
    return 0;
}

bool fc_pcap_usual(const uint8_t *h, uint64_t off, struct fc_pcap *pcap)
{
    return (fc_pcap_magic(h, false) || fc_pcap_magic(h, true)) && fc_pcap_parse(h, off, pcap, NULL) == 0 &&
           fc_load16(h + 6, pcap->iface.big_endian) <= MINOR_MAX &&
           fc_load32(h + 12, pcap->iface.big_endian) <= ACCURACY_MAX;
}

/*
 * How many of the first records are sound when their headers have `head` bytes; 0: one of them is not. What the end
 * cuts is not counted.
 */
static unsigned sound_records(const struct fc_pcap *pcap, uint32_t head, const uint8_t *p, size_t n)
{
    unsigned records = 0;
    uint32_t sec = 0;

    for (size_t off = 0; records < VARIANT_RECORDS && n - off >= head; records++) {
        struct fc_pcap_record r = fc_pcap_record(pcap, p + off);
        if (fc_pcap_odd_shape(pcap, &r) || (records && !fc_pcap_near(sec, r.sec)))
            return 0;
        sec = r.sec;
        if (r.caplen > n - off - head)
            break;
        off += head + r.caplen;
    }
    return records;
}

/*
 * Nokia's IPSO and Red Hat 6.1 wrote longer record headers behind the usual magic number, SuSE 6.3 behind that of the
 * modified format (libpcap.c of Wireshark's wiretap has them). Only the records tell.
 */
static void find_variant(struct fc_pcap *pcap, const uint8_t *p, size_t n)
{
    static const uint8_t plain[] = {20, 24}, modified[] = {28, 28};
    const uint8_t *heads = pcap->format == FC_FORMAT_PCAP_MODIFIED ? modified : plain;

    if (pcap->format == FC_FORMAT_PCAP_NS || n < pcap->record_header || sound_records(pcap, pcap->record_header, p, n))
        return;
    for (int i = 0; i < 2; i++)
        if (sound_records(pcap, heads[i], p, n) >= 2) {
            pcap->record_header = heads[i];
            return;
        }
}

void fc_pcap_learn(struct fc_pcap *pcap, const uint8_t *p, size_t n, bool more)
{
    uint32_t records = 0, odds = 0, empty = 0, frac = 0, over_orig = 0, over_snap = 0, sec = 0;
    uint32_t low = UINT32_MAX, high = 0, head;
    size_t off = 0;

    find_variant(pcap, p, n);
    head = pcap->record_header;

    while (records < LEARN_RECORDS && n - off >= head) {
        struct fc_pcap_record r = fc_pcap_record(pcap, p + off);
        /* nothing was written here, or another capture begins */
        if (!(r.sec | r.frac | r.caplen | r.origlen) || fc_pcap_magic(p + off, false) || fc_pcap_magic(p + off, true))
            break;
        if (r.caplen > pcap->max_caplen || (!more && r.caplen > n - off - head))
            break;
        /* odd, as most before are not, where the time jumps, too: read from a wrong place, behind damage */
        bool odd = r.caplen > r.origlen || r.frac >= pcap->odd_frac || r.origlen > FC_PCAP_ORIGLEN_MAX;
        if (odd && odds * 2 < records && !fc_pcap_near(r.sec, sec))
            break;
        odds += odd;
        sec = r.sec;
        records++;
        empty += r.caplen == 0;
        frac += r.frac >= pcap->odd_frac;
        over_orig += r.caplen > r.origlen;
        over_snap += r.caplen > pcap->odd_caplen;
        low = r.sec < low ? r.sec : low;
        high = r.sec > high ? r.sec : high;
        if (r.caplen > n - off - head)
            break;
        off += head + r.caplen;
    }
    if (!records)
        return;
    /* what at least half of them do is how the writer works, not damage */
    pcap->often_empty = empty * 2 >= records;
    if (frac * 2 >= records)
        pcap->odd_frac = UINT32_MAX;
    if (over_orig * 2 >= records)
        pcap->any_origlen = UINT32_MAX;
    if (over_snap * 2 >= records)
        pcap->odd_caplen = pcap->max_caplen;
    pcap->since = low < DAY ? 0 : low - DAY;
    pcap->until = high > UINT32_MAX - FC_PCAP_NEAR ? UINT32_MAX : high + FC_PCAP_NEAR;
    pcap->odd_before = pcap->since < FC_PCAP_ERA_BEGIN ? pcap->since : FC_PCAP_ERA_BEGIN;
    pcap->odd_span = (pcap->until > FC_PCAP_ERA_END ? pcap->until : FC_PCAP_ERA_END) - pcap->odd_before;
}

int fc_pcap_read(const struct fc_file *file, uint64_t off, struct fc_pcap *pcap, struct fc_error *err)
{
    uint8_t buf[LEARN_BYTES + 1];
    int64_t n = fc_file_read(file, buf, sizeof buf, off, err);
    int rc;

    if (n < 0)
        return (int)n;
    if ((uint64_t)n > file->size - off) /* grown since it was opened */
        n = (int64_t)(file->size - off);
    bool more = n > LEARN_BYTES;
    n -= more;
    if (n < FC_PCAP_HEADER)
        return fc_error_set(err, FC_E_FORMAT, file->path, off, "file ends inside the file header");
    if ((rc = fc_pcap_parse(buf, off, pcap, err))) {
        if (err)
            fc_error_set(err, rc, file->path, err->off, "%s", strdupa(err->cause));
        return rc;
    }
    fc_pcap_learn(pcap, buf + FC_PCAP_HEADER, (size_t)n - FC_PCAP_HEADER, more);
    return 0;
}
