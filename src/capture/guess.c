/* SPDX-License-Identifier: MIT */
/* A likely record boundary in the middle of a file: never trusted, only compared with what the part before finds. */
#include "capture/pcap.h"
#include "capture/pcapng.h"
#include "capture/window.h"

enum {
    CHAIN = 6,         /* headers in a row that must look right, */
    SPAN = 64 << 10,   /* and bytes that they reach over: a capture inside of a packet of IP ends before */
    WINDOW = 64 << 10, /* bytes read at a time; also what a chain's next header is fetched with */
    MOST = 1 << 20,    /* bytes of a record: a compressed capture must be held up to where a guess looks */
};

/* Result of looking at one header: offset of the next one, 0: not plausible. */
static uint64_t pcap_step(struct fc_reader *r, uint64_t off)
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
    if (h.caplen == 0 && (h.sec < pcap->since || h.sec > pcap->until || !(h.sec | h.frac | h.origlen)))
        return 0;
    /* other times are not looked at: clocks jump */
    if (h.caplen > pcap->max_caplen || h.caplen > (h.origlen | pcap->any_origlen) || h.frac >= pcap->odd_frac ||
        h.origlen > FC_PCAP_ORIGLEN_MAX || h.caplen > MOST)
        return 0;
    return r->size - off - head < h.caplen ? 0 : off + head + h.caplen;
}

static uint64_t pcapng_step(struct fc_reader *r, uint64_t off, bool big)
{
    uint64_t left = r->size - off;
    const uint8_t *p;

    if (left < 12 || !(p = fc_reader_bytes(r, off, 12, WINDOW)))
        return 0;
    uint32_t type = fc_load32(p, big), size = fc_load32(p + 4, big);
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

static bool chain(struct fc_reader *r, uint64_t off, const struct fc_section *section)
{
    uint64_t start = off;

    for (int i = 0; i < CHAIN || off - start < SPAN; i++) {
        off = section ? pcapng_step(r, off, section->big_endian) : pcap_step(r, off);
        if (!off)
            return false;
        if (off == r->size)
            return true;
    }
    return true;
}

uint64_t fc_reader_guess(struct fc_reader *reader, const struct fc_file *file, uint64_t from, uint64_t until,
                         const struct fc_section *section)
{
    const struct fc_section *ng = file->format == FC_FORMAT_PCAPNG ? section : NULL;
    uint64_t step = ng ? 4 : 1;

    if (fc_reader_start(reader, file, from, UINT64_MAX, ng ? NULL : section))
        return UINT64_MAX;
    if (ng)
        from = (from + 3) & ~3ull;
    if (until > from && until - from > MOST) /* behind that much there is damage, or no guessing at all */
        until = from + MOST;
    for (uint64_t off = from; off < until && off < reader->size;) {
        if ((ng ? pcapng_step(reader, off, ng->big_endian) : pcap_step(reader, off)) && chain(reader, off, ng))
            return off;
        if (fc_reader_learnt(reader))
            continue;
        if (reader->failed)
            return UINT64_MAX;
        off += step;
    }
    return UINT64_MAX;
}
