/* SPDX-License-Identifier: MIT */
/* A chunk of a capture on its way from being claimed to being handed over, and what was found in it. */
#ifndef FC_INDEX_CHUNK_H
#define FC_INDEX_CHUNK_H

#include "index/pipeline.h"

enum fc_chunk_state { FC_CHUNK_CLAIMED, FC_CHUNK_SCANNED, FC_CHUNK_COMMITTED };

struct fc_chunk {
    /* under the pipeline's lock */
    struct fc_chunk *next; /* of the same file */
    enum fc_chunk_state state;
    bool counted;                  /* its times are, and it waits for the others of its unit */
    struct fc_chunk *next_counted; /* of its unit */
    struct fc_place frontier;      /* of its file, behind it */
    /* owner: the worker that has claimed it, then the one that has the file */
    struct fc_scan_file *file;
    uint64_t from, until;       /* offsets; until: of the first record that is the next chunk's */
    bool first;                 /* of its file */
    bool dead;                  /* holds no records: a record or damage covers it, or the file has ended before */
    uint64_t start;             /* first record; UINT64_MAX: not known */
    struct fc_section section;  /* that holds at start */
    struct fc_open_damage open; /* that start lies inside of, */
    struct fc_unit *unit;       /* its notes; perhaps with other chunks of small captures */
    size_t stretch;             /* which in the unit; SIZE_MAX: none was begun */
    /* results of scanning */
    uint64_t end; /* where the next chunk starts */
    struct fc_section end_section;
    struct fc_interface *met; /* interfaces described in this chunk */
    size_t met_count;
    uint64_t records, ignored, malformed, backward;
    uint64_t header_bytes, record_bytes, other_bytes;
    int64_t low_ns, high_ns;  /* earliest and latest */
    int64_t head_ns, tail_ns; /* first and last in file order */
    struct fc_record_time {
        int64_t ts_ns;
        uint64_t off;
    } * times; /* of all records, in file order */
    size_t times_room;
    bool rising; /* all have a time, and none is before that in front of it */
    struct fc_damage_list lost;
    uint64_t tail_off, pending_bytes; /* as of the reader */
    struct fc_open_damage end_open;   /* and `end` does */
};

/* NULL without memory. */
struct fc_chunk *fc_chunk_new(struct fc_scan_file *file);
/* The unit stays. NULL is allowed. */
void fc_chunk_free(struct fc_chunk *chunk);

/* Forgets results, before a scan. */
void fc_chunk_begin(struct fc_chunk *chunk);

/* Counts a record's time. FC_E_NOMEM. */
static inline int fc_chunk_time(struct fc_chunk *c, int64_t ts_ns, uint64_t off)
{
    if (c->records == c->times_room &&
        fc_vector_reserve(&c->times, &c->times_room, (size_t)c->records + 1, sizeof *c->times))
        return FC_E_NOMEM;
    c->times[c->records++] = (struct fc_record_time){ts_ns, off};
    if (__builtin_expect(ts_ns == FC_TIME_NONE, 0)) {
        c->rising = false;
        return 0;
    }
    if (__builtin_expect(c->head_ns == FC_TIME_NONE, 0)) {
        c->head_ns = c->low_ns = c->high_ns = ts_ns;
    } else if (__builtin_expect(ts_ns < c->tail_ns, 0)) {
        c->backward++;
        c->rising = false;
        c->low_ns = ts_ns < c->low_ns ? ts_ns : c->low_ns;
    } else {
        c->high_ns = ts_ns > c->high_ns ? ts_ns : c->high_ns;
    }
    c->tail_ns = ts_ns;
    return 0;
}

/* Takes over from the reader, after a scan, where it stopped. FC_E_NOMEM. */
int fc_chunk_end(struct fc_chunk *chunk, struct fc_reader *reader, struct fc_error *err);

/* Adds a committed chunk's results to its file. FC_E_NOMEM. */
int fc_chunk_merge(struct fc_chunk *chunk, struct fc_scan_file *file);

/*
 * Counts the times of a committed chunk's records by the clock of its file, and tells its stretch what is odd about
 * them. ahead: times of the records behind it, FC_CLOCK_AHEAD unless the file ends before. FC_E_NOMEM.
 */
int fc_chunk_count_times(struct fc_chunk *chunk, const int64_t *ahead, size_t count);

/* The file has ended and all its chunks are merged: closes its damage, and of a compressed one takes over the size and
 * the damage to the compressed data. FC_E_NOMEM. */
int fc_scan_file_end(struct fc_scan_file *file);

#endif
