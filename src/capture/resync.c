/* SPDX-License-Identifier: MIT */
#include "capture/resync.h"
#include "base/error.h"
#include "capture/pcap.h"
#include "capture/pcapng.h"
#include "capture/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = FC_RESYNC_BLOCK, /* offsets looked at together, */
    AHEAD = 1 << 20,         /* and what their chains are followed through */
    PACKET_MAX = 64 << 10,   /* bytes of a packet that may hold a capture */
    CHAIN = 3,               /* headers in a row that make a boundary when their times are those of the file, */
    CHAIN_FAR = 8,           /* and when they are not, */
    CHAIN_BLOCKS = 2,        /* and blocks of pcapng */
    AT_END = 0x80,           /* flag of a chain's length: it ends exactly where the file does */
    LENGTH_MAX = 0x7f,
    HEADER_CHAIN = 64,
};
#define OPEN UINT32_MAX /* a chain that does not break as far as it was followed, or ends where the file does */
#define NONE UINT32_MAX /* no offset */

struct fc_resync {
    uint64_t base; /* of the block; UINT64_MAX: none */
    size_t len;    /* bytes known */
    size_t room;
    bool last;  /* the file ends behind them */
    bool blank; /* nothing but zeros */
    bool big;
    uint8_t *bytes;
    /* what has been asked of the offsets so far: most of them never are */
    uint64_t *known; /* bit i: length[i] and reach[i] are set */
    uint8_t *length; /* of the chain that starts at each offset; 0: no header */
    uint32_t *reach; /* where it breaks, from base; or OPEN */
};

void fc_resync_free(struct fc_resync *resync)
{
    if (!resync)
        return;
    free(resync->bytes);
    free(resync->known);
    free(resync->length);
    free(resync->reach);
    free(resync);
}

void fc_resync_forget(struct fc_resync *resync)
{
    if (resync)
        resync->base = UINT64_MAX;
}

/* Length of the block at p, of n known bytes; 0 when it is none that can be believed. */
static uint32_t block_size(const uint8_t *p, size_t n, bool big)
{
    if (n < 12)
        return 0;
    uint32_t type = fc_load32(p, big), size = fc_load32(p + 4, big);
    if (size < 12 || size & 3 || size > n || fc_load32(p + size - 4, big) != size)
        return 0;
    switch (type) {
    case FC_BLOCK_EPB:
    case FC_BLOCK_PB:
        return size >= 32 && fc_load32(p + 20, big) <= size - 32 ? size : 0;
    case FC_BLOCK_SPB:
        return size >= 16 ? size : 0;
    case FC_BLOCK_IDB:
        return size >= 20 ? size : 0;
    case FC_BLOCK_SHB:
        return size >= 28 && fc_load32(p + 8, big) == FC_BYTE_ORDER_MAGIC && fc_load16(p + 12, big) == 1 ? size : 0;
    case 4:          /* name resolution */
    case 5:          /* interface statistics */
    case 9:          /* systemd journal */
    case 10:         /* decryption secrets */
    case 0xbad:      /* custom */
    case 0x40000bad: /* custom, not to be copied */
        return size >= 16 ? size : 0;
    default:
        return 0;
    }
}

/* The chain at offset i goes on at n, which may lie behind what is known. */
static void link_chain(struct fc_resync *r, size_t i, size_t n, bool follows)
{
    if (n == r->len && r->last) {
        r->length[i] = AT_END | 1;
        r->reach[i] = OPEN;
    } else if (n >= r->len) { /* not known, or cut by the end of the file */
        r->length[i] = 1;
        r->reach[i] = r->last ? (uint32_t)r->len : OPEN;
    } else if (follows && r->length[n]) {
        unsigned more = r->length[n] & LENGTH_MAX;
        r->length[i] = (uint8_t)((r->length[n] & AT_END) | (more < LENGTH_MAX ? more + 1 : more));
        r->reach[i] = r->reach[n];
    } else {
        r->length[i] = 1;
        r->reach[i] = (uint32_t)n;
    }
}

/*
 * The header at offset i: 1 when its chain goes on at *next, a known offset; 0 when all is said of it in length[i] and
 * reach[i].
 */
static int record_step(struct fc_resync *r, const struct fc_pcap *pcap, size_t i, size_t *next)
{
    uint32_t head = pcap->record_header;

    r->length[i] = 0;
    r->reach[i] = (uint32_t)i;
    if (r->len - i < head)
        return 0;
    struct fc_pcap_record h = fc_pcap_record(pcap, r->bytes + i);
    if (!fc_pcap_sound(pcap, &h))
        return 0;
    *next = i + head + h.caplen;
    if (*next + 4 <= r->len && fc_pcap_near(h.sec, fc_load32(r->bytes + *next, pcap->iface.big_endian)))
        return 1;
    link_chain(r, i, *next, false);
    return 0;
}

static int block_step(struct fc_resync *r, size_t i, size_t *next)
{
    uint32_t size = block_size(r->bytes + i, r->len - i, r->big);

    r->length[i] = 0;
    r->reach[i] = (uint32_t)i;
    if (size) {
        *next = i + size;
        if (*next < r->len)
            return 1;
        link_chain(r, i, *next, true);
    } else if (r->len - i >= 28 && fc_load32(r->bytes + i, true) == FC_BLOCK_SHB &&
               (size = block_size(r->bytes + i, r->len - i, !r->big))) {
        r->length[i] = CHAIN_BLOCKS; /* what follows has the other byte order */
        r->reach[i] = (uint32_t)(i + size);
    }
    return 0;
}

static bool is_known(const struct fc_resync *r, size_t i)
{
    return r->known[i / 64] >> (i % 64) & 1;
}

/* Follows the chain at offset i to where more of it is known, and notes what that means for each header on the way. */
static void learn(const struct fc_reader *reader, size_t i)
{
    struct fc_resync *r = reader->resync;
    const struct fc_pcap *pcap = reader->file->format == FC_FORMAT_PCAPNG ? NULL : &reader->section.pcap;
    uint32_t before = NONE; /* the header in front of i; where the one in front of that is, stands in its reach */
    size_t next;

    while (!is_known(r, i)) {
        r->known[i / 64] |= 1ull << (i % 64);
        if (!(pcap ? record_step(r, pcap, i, &next) : block_step(r, i, &next)))
            break;
        r->reach[i] = before;
        before = (uint32_t)i;
        i = next;
    }
    while (before != NONE) {
        uint32_t back = r->reach[before];
        link_chain(r, before, i, true);
        i = before;
        before = back;
    }
}

/* Length of the chain at offset i of the current block, with AT_END; from then on reach[i] is set too. */
static unsigned length_at(const struct fc_reader *reader, size_t i)
{
    struct fc_resync *r = reader->resync;

    if (r->blank)
        return 0;
    if (!is_known(r, i))
        learn(reader, i);
    return r->length[i];
}

/* Makes the block that `off` lies in the current one. 0, FC_E_NOMEM, FC_E_IO. */
static int load(struct fc_reader *reader, uint64_t off)
{
    bool ng = reader->file->format == FC_FORMAT_PCAPNG, big = ng && reader->section.big_endian;
    uint64_t base = off & ~(uint64_t)(BLOCK - 1), left = base < reader->size ? reader->size - base : 0;
    struct fc_resync *r = reader->resync;

    if (r && r->base == base && (!ng || r->big == big))
        return 0;
    size_t want = left < BLOCK + AHEAD ? (size_t)left : BLOCK + AHEAD;
    if (!r && !(r = reader->resync = calloc(1, sizeof *r)))
        goto nomem;
    if (want > r->room) {
        r->room = 0;
        free(r->bytes);
        free(r->known);
        free(r->length);
        free(r->reach);
        r->bytes = malloc(want);
        r->known = malloc((want + 63) / 64 * sizeof *r->known);
        r->length = malloc(want);
        r->reach = malloc(want * sizeof *r->reach);
        if (!r->bytes || !r->known || !r->length || !r->reach)
            goto nomem;
        r->room = want;
    }
    r->base = UINT64_MAX;
    int64_t n = fc_reader_pread(reader, r->bytes, want, base);
    if (n < 0)
        return (int)n;
    r->len = (size_t)n;
    r->last = fc_reader_ends(reader, base + r->len);
    if (reader->failed)
        return reader->failed;
    r->blank = r->len && !r->bytes[0] && memcmp(r->bytes, r->bytes + 1, r->len - 1) == 0;
    r->big = big;
    memset(r->known, 0, (r->len + 63) / 64 * sizeof *r->known);
    r->base = base;
    return 0;
nomem:
    fc_error_set(&reader->why, FC_E_NOMEM, reader->file->path, off, "out of memory");
    return fc_reader_fail(reader, FC_E_NOMEM);
}

/*
 * Where the records behind a pcap file header at p stop to be sound, from p on: 0 when there is no header, or nothing
 * that confirms it; OPEN when that is behind the n bytes. *pcap is what the header says.
 */
static uint32_t header_reach(const uint8_t *p, size_t n, bool last, struct fc_pcap *pcap)
{
    size_t off = FC_PCAP_HEADER, records = 0;
    uint32_t before = 0;

    if (n < FC_PCAP_HEADER || !fc_pcap_usual(p, 0, pcap))
        return 0;
    fc_pcap_learn(pcap, p + off, n - off, !last);
    while (records < HEADER_CHAIN) {
        if (off >= n)
            return off == n || !last ? OPEN : 0;
        if (n - off < pcap->record_header)
            return last ? 0 : OPEN;
        struct fc_pcap_record h = fc_pcap_record(pcap, p + off);
        if (!fc_pcap_sound(pcap, &h) || (records && !fc_pcap_near(before, h.sec)))
            return 0; /* the first bytes of a capture inside of a packet */
        records++;
        before = h.sec;
        off += pcap->record_header + (size_t)h.caplen;
    }
    return (uint32_t)(off < n ? off : n);
}

/* False where offset i is no candidate for sure, which it hardly ever is: searches look at every offset there is. */
static inline bool maybe(const struct fc_reader *reader, size_t i)
{
    const struct fc_resync *r = reader->resync;

    if (r->len - i < 16)
        return true;
    uint32_t word = fc_load32(r->bytes + i, false);
    if (reader->file->format == FC_FORMAT_PCAPNG) {
        uint32_t size = fc_load32(r->bytes + i + 4, r->big);
        return word == FC_BLOCK_SHB || (size >= 12 && !(size & 3) && size <= r->len - i);
    }
    const struct fc_pcap *pcap = &reader->section.pcap;
    return fc_pcap_record(pcap, r->bytes + i).caplen - 1 < pcap->odd_caplen || word >> 16 == 0xa1b2 ||
           (word & 0xffff) == 0xb2a1; /* all magic numbers begin so, or end */
}

/* Can offset i of the current block be believed, as far as it alone tells? *reach: where its chain breaks. */
static bool candidate(const struct fc_reader *reader, size_t i, uint32_t *reach)
{
    const struct fc_resync *r = reader->resync;
    unsigned found = length_at(reader, i), length = found & LENGTH_MAX;
    bool end = (found & AT_END) != 0;
    struct fc_pcap pcap;

    *reach = r->reach[i];
    if (reader->file->format == FC_FORMAT_PCAPNG) {
        if ((reader->section.number == UINT32_MAX || reader->section.closed) && r->len - i >= 4 &&
            fc_load32(r->bytes + i, true) != FC_BLOCK_SHB)
            return false;
        return length >= CHAIN_BLOCKS || (length && end);
    }
    if (length) {
        uint32_t sec = fc_pcap_record(&reader->section.pcap, r->bytes + i).sec;
        if (sec >= reader->section.pcap.since && sec <= reader->section.pcap.until)
            return length >= CHAIN || end;
        return length >= CHAIN_FAR || (end && length > 1);
    }
    uint32_t own = header_reach(r->bytes + i, r->len - i, r->last, &pcap);
    if (!own)
        return false;
    size_t next = i + FC_PCAP_HEADER;
    *reach = own == OPEN ? OPEN : (uint32_t)i + own;
    /* where its records look like those before, their chain is known already */
    if (next < r->len && length_at(reader, next) && r->reach[next] > *reach)
        *reach = r->reach[next];
    return true;
}

/*
 * A capture inside of a packet gives chains too, but they break where the packet ends, inside of a chain that starts
 * before and goes on. So of chains that overlap, the one that goes on is believed; but one longer than a packet of IP
 * is none of these, and breaks at damage.
 */
static size_t contest(const struct fc_reader *reader, size_t i, uint32_t reach)
{
    const struct fc_resync *r = reader->resync;

    for (size_t k = i + 1; reach != OPEN && reach - i <= PACKET_MAX && k < reach && k < r->len; k++) {
        uint32_t further;
        if (maybe(reader, k) && candidate(reader, k, &further) && further > reach) {
            i = k;
            reach = further;
        }
    }
    return i;
}

/*
 * First boundary in [from, until), with `open` of a chain that does not break; UINT64_MAX: none, or the reader has
 * failed.
 */
static uint64_t search(struct fc_reader *reader, uint64_t from, uint64_t until, bool open)
{
    for (uint64_t off = from; off < until;) {
        uint32_t reach;
        if (load(reader, off))
            return UINT64_MAX;
        const struct fc_resync *r = reader->resync;
        size_t end = r->len < BLOCK ? r->len : BLOCK;
        size_t i = (size_t)(off - r->base);
        for (; !r->blank && i < end && r->base + i < until; i++)
            if (maybe(reader, i) && candidate(reader, i, &reach) && (!open || reach == OPEN))
                return r->base + contest(reader, i, reach);
        if (r->len < BLOCK)
            break;
        off = r->base + BLOCK;
    }
    return UINT64_MAX;
}

int fc_reader_resync(struct fc_reader *reader, uint64_t until)
{
    uint64_t off = reader->damage_off, next = reader->damage_next;
    uint64_t from = reader->searched > off ? reader->searched : off + 1;
    bool found = next != 0;

    if (reader->failed != FC_E_DAMAGED)
        return reader->failed;
    reader->failed = 0;
    reader->pos = off;
    if (!found && reader->file->format == FC_FORMAT_EMPTY) {
        fc_reader_ends(reader, FC_PCAP_HEADER); /* yes; but where? */
    } else if (!found) {
        next = search(reader, from, until < reader->size ? until : reader->size, reader->damage_cut);
        found = next != UINT64_MAX;
        if (!found && !reader->failed && !fc_reader_ends(reader, until)) {
            reader->pos = reader->searched = until > from ? until : from;
            return fc_reader_fail(reader, FC_E_DAMAGED);
        }
    }
    if (reader->failed)
        return reader->failed;
    if (!found)
        next = reader->size;
    if (!found)
        reader->tail_off = off;
    if (!found && next > off && fc_file_unfinished(reader->file, reader->damage_ends)) {
        reader->pending_bytes = next - off;
    } else if (fc_damage_add(&reader->lost, off, next - off, reader->why.cause)) {
        fc_error_set(&reader->why, FC_E_NOMEM, reader->file->path, off, "out of memory");
        return fc_reader_fail(reader, FC_E_NOMEM);
    }
    reader->pos = next;
    return found;
}

void fc_reader_suspend(const struct fc_reader *reader, struct fc_open_damage *damage)
{
    damage->off = reader->damage_off;
    damage->cut = reader->damage_cut;
    damage->ends = reader->damage_ends;
    snprintf(damage->cause, sizeof damage->cause, "%.*s", (int)sizeof damage->cause - 1, reader->why.cause);
}

void fc_reader_resume(struct fc_reader *reader, const struct fc_open_damage *damage)
{
    fc_reader_damage(reader, damage->off, damage->cause);
    reader->damage_cut = damage->cut;
    reader->damage_ends = damage->ends;
    reader->searched = reader->pos;
}

/* Steps from offset i of the current block to the first header of the chain at or behind `to`; counts them. */
static size_t follow(const struct fc_reader *reader, size_t i, size_t to, size_t *steps)
{
    const struct fc_resync *r = reader->resync;

    while (i < to && length_at(reader, i)) {
        i += reader->section.pcap.record_header + (size_t)fc_pcap_record(&reader->section.pcap, r->bytes + i).caplen;
        ++*steps;
    }
    return i;
}

uint64_t fc_resync_swallowed(struct fc_reader *reader, uint64_t off, uint64_t next)
{
    const struct fc_resync *r;
    size_t steps = 0;

    if (next > reader->size)
        next = reader->size;
    if (load(reader, off))
        return 0;
    r = reader->resync;
    if (next - r->base > r->len)
        return 0;
    size_t from = (size_t)(off - r->base), to = (size_t)(next - r->base);
    /* a bound on the steps: a packet may be made of nothing but chains */
    for (size_t i = from + 1; i < to && steps < 8 * (to - from); i++) {
        uint32_t reach;
        if (!maybe(reader, i) || !length_at(reader, i) || r->reach[i] <= to || !candidate(reader, i, &reach))
            continue;
        size_t k = follow(reader, i, to, &steps);
        if ((k == r->len && r->last) ||
            (k < r->len && ((length_at(reader, k) & LENGTH_MAX) >= CHAIN || length_at(reader, k) & AT_END))) {
            i = contest(reader, i, reach);
            return i < to ? r->base + i : 0;
        }
    }
    return 0;
}

bool fc_resync_blocks(struct fc_reader *reader, uint64_t off)
{
    if (fc_reader_ends(reader, off))
        return off == reader->size && !reader->failed;
    if (load(reader, off) || off < reader->resync->base || off - reader->resync->base >= reader->resync->len)
        return false;
    unsigned found = length_at(reader, (size_t)(off - reader->resync->base));
    return (found & LENGTH_MAX) >= CHAIN_BLOCKS || found & AT_END;
}
