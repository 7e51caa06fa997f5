/* SPDX-License-Identifier: MIT */
/* A likely record boundary in the middle of a file: never trusted, only compared with what the part before finds. */
#include "capture/pcap.h"
#include "capture/pcapng.h"
#include "capture/window.h"

enum {
    CHAIN = 6,         /* headers in a row that must look right */
    WINDOW = 64 << 10, /* bytes read at a time; also what a chain's next header is fetched with */
    DAY = 86400,
    MOST = 1 << 20, /* bytes of a record: a compressed capture must be held up to where a guess looks */
};

/* Result of looking at one header: offset of the next one, 0: not plausible. */
static uint64_t pcap_step(struct fc_reader *r, uint64_t off, int64_t hint_ns)
{
    const struct fc_pcap *pcap = &r->section.pcap;
    uint32_t head = pcap->record_header;

    if (r->size - off < head)
        return 0;
    const uint8_t *p = fc_reader_bytes(r, off, head, WINDOW);
    if (!p)
        return 0;
    struct fc_pcap_record h = fc_pcap_record(pcap, p);
    /* zero lengths are legal but rare, and zeroed payload is full of them */
    if (h.caplen == 0 || h.caplen > pcap->max_caplen || h.caplen > h.origlen || h.origlen > pcap->max_caplen ||
        h.caplen > MOST)
        return 0;
    if (h.frac >= (pcap->iface.tsresol == 9 ? 1000000000u : 1000000u))
        return 0;
    if (hint_ns != FC_TIME_NONE) {
        int64_t sec = h.sec, hint = hint_ns / 1000000000;
        if (sec < hint - DAY || sec > hint + 400 * (int64_t)DAY)
            return 0;
    }
    return r->size - off - head < h.caplen ? 0 : off + head + h.caplen;
}

static uint64_t pcapng_step(struct fc_reader *r, uint64_t off, bool big)
{
    uint64_t left = r->size - off;
    const uint8_t *p;

    if (left < 12 || !(p = fc_reader_bytes(r, off, 12, WINDOW)))
        return 0;
    uint32_t type = fc_load32(p, big), size = fc_load32(p + 4, big);
    if (type == 0 || (type > 12 && type != 0x0bad && type != 0x40000bad && type != FC_BLOCK_SHB && !(type >> 31)))
        return 0;
    if (size < 12 || size & 3 || size > left || size > MOST)
        return 0;
    if (type == FC_BLOCK_EPB) {
        if (size < 32 || left < 28 || !(p = fc_reader_bytes(r, off, 28, WINDOW)))
            return 0;
        if (28 + (uint64_t)fc_load32(p + 20, big) > size - 4)
            return 0;
    }
    p = fc_reader_bytes(r, off + size - 4, 4, WINDOW);
    return p && fc_load32(p, big) == size ? off + size : 0;
}

static bool chain(struct fc_reader *r, uint64_t off, int64_t hint_ns, const struct fc_section *section)
{
    for (int i = 0; i < CHAIN; i++) {
        off = section ? pcapng_step(r, off, section->big_endian) : pcap_step(r, off, hint_ns);
        if (!off)
            return false;
        if (off == r->size)
            return true;
    }
    return true;
}

uint64_t fc_reader_guess(struct fc_reader *reader, const struct fc_file *file, uint64_t from, uint64_t until,
                         int64_t hint_ns, const struct fc_section *section)
{
    const struct fc_section *ng = file->format == FC_FORMAT_PCAPNG ? section : NULL;
    uint64_t step = ng ? 4 : 1;

    if (fc_reader_start(reader, file, from, UINT64_MAX, ng ? NULL : section))
        return UINT64_MAX;
    if (ng)
        from = (from + 3) & ~3ull;
    for (uint64_t off = from; off < until && off < reader->size;) {
        if ((ng ? pcapng_step(reader, off, ng->big_endian) : pcap_step(reader, off, hint_ns)) &&
            chain(reader, off, hint_ns, ng))
            return off;
        if (fc_reader_learnt(reader))
            continue;
        if (reader->failed)
            return UINT64_MAX;
        off += step;
    }
    return UINT64_MAX;
}
