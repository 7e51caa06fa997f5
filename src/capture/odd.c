/* SPDX-License-Identifier: MIT */
/* Is an odd record header one all the same? What those behind it tell. */
#include "capture/pcap.h"
#include "capture/resync.h"
#include "capture/window.h"

enum {
    ODD_STEPS = 10,    /* records behind an odd one that can speak for it, */
    ODD_END = 256,     /* or that lead from it to the end of the file */
    ODD_FAR = 1 << 20, /* bytes; steps go no further */
    SOUND_ROW = 2,     /* sound records in a row that speak for those before, */
    SOUND_ANY = 3,     /* or among others that are odd in the same way, */
    ODD_RUN = 8,       /* and records in a row that are odd by nothing but their time and the snaplen */
};

/* Bytes at `off`, from the reader's buffer or into `own`; NULL: not inside of the file, or it cannot be read. */
static const uint8_t *peek(struct fc_reader *reader, uint64_t off, size_t n, uint8_t *own)
{
    if (off > reader->size || reader->size - off < n)
        return NULL;
    if (off >= reader->buf_off && off + n <= reader->buf_off + reader->buf_len)
        return reader->buf + (off - reader->buf_off);
    return fc_reader_pread(reader, own, n, off) == (int64_t)n ? own : NULL;
}

/* The file header at `off`, its own fields only. */
static bool header_fields(struct fc_reader *reader, uint64_t off, struct fc_pcap *pcap)
{
    uint8_t own[FC_PCAP_HEADER];
    const uint8_t *p = peek(reader, off, sizeof own, own);

    return p && fc_pcap_usual(p, off, pcap);
}

/* Is there a file header at `off`? At the end of a record a header needs less proof than in the middle of nowhere. */
static bool is_header(struct fc_reader *reader, uint64_t off)
{
    struct fc_pcap pcap, behind;
    uint8_t own[FC_PCAP_HEADER];
    const uint8_t *p;

    if (!header_fields(reader, off, &pcap))
        return false;
    off += FC_PCAP_HEADER;
    if (fc_reader_ends(reader, off + pcap.record_header - 1) || header_fields(reader, off, &behind))
        return true; /* no record behind it, or a cut one */
    int rc = fc_pcap_read(reader->file, off - FC_PCAP_HEADER, &pcap, &reader->why);
    if (rc == FC_E_IO)
        reader->failed = rc;
    if (rc || !(p = peek(reader, off, 16, own)))
        return false;
    struct fc_pcap_record h = fc_pcap_record(&pcap, p);
    return fc_pcap_sound(&pcap, &h) || (pcap.often_empty && !h.caplen);
}

/* Ways in which a header can be odd. A writer has one of them; damage easily more. */
enum { ODD_CAPLEN = 1, ODD_FRAC = 2, ODD_ORIGLEN = 4, ODD_TIME = 8 };

static unsigned oddities(const struct fc_pcap *pcap, const struct fc_pcap_record *h)
{
    return (h->sec - pcap->odd_before > pcap->odd_span ? ODD_TIME : 0) |
           (h->caplen - 1 >= pcap->odd_caplen || h->caplen > (h->origlen | pcap->any_origlen) ? ODD_CAPLEN : 0) |
           (h->frac >= pcap->odd_frac ? ODD_FRAC : 0) | (h->origlen > FC_PCAP_ORIGLEN_MAX ? ODD_ORIGLEN : 0);
}

static bool one_way(unsigned ways)
{
    return !(ways & (ways - 1));
}

/* What the headers of a chain tell that begins with an odd one. */
struct evidence {
    unsigned count;  /* headers */
    unsigned sounds; /* in a row, near each other */
    unsigned run;    /* in a row, sound or odd by nothing but their time and the snaplen */
    unsigned all;    /* sound ones, */
    unsigned ways;   /* and the ways in which the others are odd */
    uint32_t sec;    /* of the last one */
};

/* Takes one header more. True: the chain is to be believed. */
static bool weigh(struct evidence *seen, const struct fc_pcap *pcap, const struct fc_pcap_record *h, bool empty)
{
    bool follows = !seen->count++ || fc_pcap_near(seen->sec, h->sec), is_sound = empty || fc_pcap_sound(pcap, h);
    struct fc_pcap any_snaplen = *pcap;

    any_snaplen.odd_caplen = pcap->max_caplen; /* many writers put a constant there */
    seen->sounds = !is_sound ? 0 : follows ? seen->sounds + 1 : 1;
    seen->run = empty || !fc_pcap_odd_shape(&any_snaplen, h) ? seen->run + 1 : 0;
    seen->all += is_sound;
    seen->ways |= empty ? 0 : oddities(pcap, h);
    seen->sec = h->sec;
    return seen->sounds >= SOUND_ROW || seen->run >= ODD_RUN ||
           (seen->all >= SOUND_ANY && one_way(seen->ways & ~ODD_TIME));
}

enum fc_odd fc_resync_odd(struct fc_reader *reader, uint64_t off)
{
    const struct fc_pcap *pcap = &reader->section.pcap;
    struct evidence seen = {.sounds = 0};
    uint64_t start = off;
    bool weighed = true; /* not so odd that only the end of the file can speak for it, nor too far from the first one */
    uint8_t own[FC_PCAP_HEADER];

    if (!reader->single && is_header(reader, off))
        return FC_ODD_HEADER;
    for (int i = 0; i < ODD_END; i++) {
        const uint8_t *p = peek(reader, off, 16, own);
        weighed = weighed && i < ODD_STEPS;
        if (!p) /* cut by the end of the file */
            return reader->failed || !i || !weighed ? FC_ODD_DAMAGE : FC_ODD_KEEP;
        struct fc_pcap_record h = fc_pcap_record(pcap, p);
        if (h.caplen > pcap->max_caplen || !(h.sec | h.frac | h.caplen | h.origlen))
            return i && weighed && is_header(reader, off) ? FC_ODD_KEEP : FC_ODD_DAMAGE;
        bool empty = pcap->often_empty && !h.caplen && h.frac < pcap->odd_frac;
        if (empty && !i)
            return FC_ODD_KEEP; /* not odd for this writer */
        if (!i)
            weighed = one_way(oddities(pcap, &h));
        if (weigh(&seen, pcap, &h, empty) && weighed)
            return FC_ODD_KEEP;
        if (!weighed && seen.all) /* read at a wrong place, from where it leads to the right ones */
            return FC_ODD_DAMAGE;
        off += pcap->record_header + (uint64_t)h.caplen;
        bool far = off - start > ODD_FAR;
        if (far || fc_reader_ends(reader, off))
            return (!far && off == reader->size) || (i && weighed && seen.sounds) ? FC_ODD_KEEP : FC_ODD_DAMAGE;
    }
    return FC_ODD_DAMAGE;
}
