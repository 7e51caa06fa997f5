/* SPDX-License-Identifier: MIT */
/*
 * Walks the records of a part of a file. Several readers may walk one file at the same time.
 *
 * A reader is given a start that must be a record boundary, and the pcapng state that holds there (byte order and
 * interfaces of the section). It stops at the first record that starts at or behind its limit, so that the parts
 * [a, b) and [b, c) together give every record once. fc_reader_guess() finds a likely boundary for a part that starts
 * in the middle of a file; whoever uses it must compare it with where the part before really ends.
 *
 * Threads: a reader belongs to one thread. Memory: record data is valid until the next call.
 */
#ifndef FC_CAPTURE_READER_H
#define FC_CAPTURE_READER_H

#include "capture/pcap.h"

/*
 * What must be known to read on at some offset. In pcap a section is what lies behind a file header: the second and
 * later ones are those of captures that were written one behind the other into one file.
 */
struct fc_section {
    uint64_t off;    /* of the section header block, or of the pcap file header */
    uint32_t number; /* from 0; UINT32_MAX: pcapng before the first section header */
    bool big_endian;
    bool closed;    /* pcapng of an unknown version: nothing is read before the next section header */
    uint32_t count; /* interfaces so far */
    uint32_t room;
    struct fc_interface *ifaces;
    struct fc_pcap pcap; /* pcap: the file header, and habits; without a format it is to be read at `off` */
};

/* Copies; FC_E_NOMEM leaves dst empty. */
int fc_section_copy(struct fc_section *dst, const struct fc_section *src);
void fc_section_free(struct fc_section *section);
/* Same section and same interfaces. */
bool fc_section_equal(const struct fc_section *a, const struct fc_section *b);

/* Byte ranges that were passed over. `count` goes on behind FC_DAMAGE_MAX, items are kept no more. */
enum { FC_DAMAGE_MAX = 1 << 16 };
struct fc_damage_list {
    struct fc_damage *items;
    size_t count, room;
    uint64_t bytes;
};
/* FC_E_NOMEM. */
int fc_damage_add(struct fc_damage_list *list, uint64_t off, uint64_t length, const char *cause);
static inline size_t fc_damage_kept(const struct fc_damage_list *list)
{
    return list->count < FC_DAMAGE_MAX ? list->count : FC_DAMAGE_MAX;
}

/* Damage whose end was not found as far as was searched. */
struct fc_open_damage {
    uint64_t off; /* FC_NO_OFFSET: there is none */
    bool cut;     /* what is there looks whole but for the end of the file */
    bool ends;    /* what was missing is what the file has not yet */
    char cause[sizeof(((struct fc_damage *)0)->cause)];
};

struct fc_reader {
    const struct fc_file *file;
    uint64_t size; /* bytes; of a compressed file FC_SIZE_UNKNOWN until its end was met */
    uint8_t *buf;
    size_t buf_size;
    uint64_t buf_off; /* file offset of buf[0] */
    size_t buf_len;   /* bytes in buf */
    uint64_t pos;     /* file offset of the next record */
    uint64_t limit;   /* stop at records that start here or later */
    const int *stop; /* set behind fc_reader_init(), may be NULL; once *stop is not 0 reading fails: FC_E_INTERRUPTED */
    size_t met_most; /* likewise: interfaces of a section, and in `met`; more: FC_E_LIMIT. 0: any number */
    int failed;      /* 0, or the code that every later call repeats */
    struct fc_error why;
    uint64_t damage_off;          /* FC_E_DAMAGED: first byte that could not be understood */
    uint64_t damage_next;         /* FC_E_DAMAGED: where to go on when that is plain, else 0 */
    uint64_t searched;            /* FC_E_DAMAGED: nothing is to be found before */
    uint64_t checked;             /* pcap: the header here is not odd; UINT64_MAX: not known of any */
    struct fc_pcap_record behind; /* pcap: that header, when the record before it was walked */
    bool damage_cut;              /* FC_E_DAMAGED: what is there looks whole but for the end of the file */
    bool damage_ends;             /* FC_E_DAMAGED: the file ends before what should be there */
    bool single;                  /* one record at a known offset is read: it is not looked at twice */
    /* the current section, and every interface met by this reader in file order */
    struct fc_section section;
    struct fc_interface *met;
    size_t met_count, met_room;
    /* what was read that is no record, since fc_reader_start() */
    uint64_t header_bytes; /* file headers met in a pcap; section headers and interface descriptions */
    uint64_t other_bytes;  /* blocks of pcapng that hold no packet */
    struct fc_damage_list lost;
    uint64_t tail_off;        /* of what goes up to the end of the file and is no record; FC_NO_OFFSET: nothing does */
    uint64_t pending_bytes;   /* of these: the beginning of a record, as far as the file has it; not in `lost` */
    struct fc_resync *resync; /* made when first needed */
};

enum { FC_READER_BUFFER = 128 << 10 };

/* Allocates the buffer. FC_E_NOMEM. */
int fc_reader_init(struct fc_reader *reader, size_t buf_size);
void fc_reader_fini(struct fc_reader *reader);

/*
 * Starts at the record boundary `start` (0 or data_off: the first record). `section` is copied; NULL: none yet, as at
 * the start of a file. FC_E_NOMEM, FC_E_IO.
 */
int fc_reader_start(struct fc_reader *reader, const struct fc_file *file, uint64_t start, uint64_t limit,
                    const struct fc_section *section);

/* The pcap record at pos, whose bytes are at p. */
static inline void fc_reader_fill(struct fc_reader *reader, const struct fc_pcap_record *h, const uint8_t *p,
                                  uint64_t next, struct fc_record *rec)
{
    const struct fc_pcap *pcap = &reader->section.pcap;

    rec->off = reader->pos;
    rec->next_off = next;
    /* a fraction of a second or more is carried over */
    rec->ts_ns = (int64_t)h->sec * 1000000000 + (int64_t)h->frac * (pcap->iface.tsresol == 9 ? 1 : 1000);
    rec->data = p + pcap->record_header;
    rec->caplen = h->caplen;
    rec->origlen = h->origlen;
    rec->link_type = pcap->iface.link_type;
    rec->section = reader->section.number;
    rec->iface = 0;
    reader->pos = next;
}

/*
 * The plain case of fc_reader_next(), for nearly all records of a pcap: this header was read and found good together
 * with the record before, the record and the header behind it are in the buffer, and that one is good too. False:
 * another case.
 */
static inline bool fc_reader_plain(struct fc_reader *reader, struct fc_record *rec)
{
    const struct fc_pcap *pcap = &reader->section.pcap;
    struct fc_pcap_record h = reader->behind;
    uint64_t at = reader->pos - reader->buf_off, whole = (uint64_t)pcap->record_header + h.caplen;

    if (reader->pos != reader->checked || reader->pos >= reader->limit || at > reader->buf_len ||
        reader->buf_len - at < whole + 16)
        return false;
    const uint8_t *p = reader->buf + at;
    reader->behind = fc_pcap_record(pcap, p + whole);
    if (fc_pcap_odd(pcap, &reader->behind)) {
        reader->checked = UINT64_MAX;
        return false;
    }
    fc_reader_fill(reader, &h, p, reader->pos + whole, rec);
    reader->checked = rec->next_off;
    return true;
}

/* 1: *rec filled; 0: limit or clean end, pos is the offset of the next record; or a negative code (see why). */
int fc_reader_next_any(struct fc_reader *reader, struct fc_record *rec);
static inline int fc_reader_next(struct fc_reader *reader, struct fc_record *rec)
{
    return fc_reader_plain(reader, rec) ? 1 : fc_reader_next_any(reader, rec);
}

/*
 * Behind FC_E_DAMAGED: passes over the damage up to the next boundary that can be believed, notes it in `lost` and sets
 * pos behind it. What it finds depends on the file, the offset and the section only. 1: go on; 0: nothing was found,
 * all up to the end of the file is lost, or pending; FC_E_DAMAGED: nothing was found before `until`, which lies inside
 * of the file: pos is there, and nothing was noted; FC_E_NOMEM, FC_E_IO.
 */
int fc_reader_resync(struct fc_reader *reader, uint64_t until);

/*
 * Damage goes up to the end of the file, and the walk met it because something is missing there (`ends`): is that all
 * of a record that has been written yet? No, where a compressed stream has ended by damage of its own.
 */
bool fc_file_unfinished(const struct fc_file *file, bool ends);

/* Where a walk has ended with FC_E_DAMAGED: what another one needs to go on at pos, and its beginning of that. */
void fc_reader_suspend(const struct fc_reader *reader, struct fc_open_damage *damage);
void fc_reader_resume(struct fc_reader *reader, const struct fc_open_damage *damage);

/* fc_reader_next() that passes over damage; FC_E_DAMAGED as fc_reader_resync(). */
static inline int fc_reader_walk(struct fc_reader *reader, struct fc_record *rec, uint64_t until)
{
    int rc;

    while ((rc = fc_reader_next(reader, rec)) == FC_E_DAMAGED && (rc = fc_reader_resync(reader, until)) == 1)
        ;
    return rc;
}

/*
 * Reads the one record at `off`; needs fc_reader_start() on the file before, with the section that holds at
 * `off`. Positions may come in any order; near ones are served from the buffer, `ahead` bytes at a time.
 */
int fc_reader_at(struct fc_reader *reader, uint64_t off, size_t ahead, struct fc_record *rec);

/*
 * First likely record boundary at or behind `from` and before `until`, but not much behind `from`: a chain of plausible
 * headers, longer than a packet of IP. Returns it, or UINT64_MAX when nothing looks like one. Never fails: what cannot
 * be read is not likely.
 */
uint64_t fc_reader_guess(struct fc_reader *reader, const struct fc_file *file, uint64_t from, uint64_t until,
                         const struct fc_section *section);

#endif
