/* SPDX-License-Identifier: MIT */
/* A chunk on its way from being claimed to being published, and what was found in it. */
#ifndef FC_INDEX_SLOT_H
#define FC_INDEX_SLOT_H

#include "index/pipeline.h"

enum fc_slot_state { FC_SLOT_FREE, FC_SLOT_CLAIMED, FC_SLOT_SCANNED, FC_SLOT_COMMITTED, FC_SLOT_PUBLISHED };

struct fc_slot {
    /* under the pipeline's lock */
    enum fc_slot_state state;
    uint64_t seq;
    /* owner: the worker that has claimed it, then the one that commits it */
    struct fc_scan_file *file;
    uint32_t chunk;
    bool dead;                  /* holds no records: a record or damage covers it, or the file has ended before */
    uint64_t start;             /* first record; UINT64_MAX: not known */
    struct fc_section section;  /* that holds at start */
    struct fc_open_damage open; /* that start lies inside of, */
    struct fc_chunk *runs;      /* lent from claim to publish */
    /* results of scanning */
    uint64_t end; /* where the next chunk starts */
    struct fc_section end_section;
    struct fc_interface *met; /* interfaces described in this chunk */
    size_t met_count;
    uint64_t records, ignored, malformed, backward;
    uint64_t header_bytes, record_bytes, other_bytes;
    int64_t low_ns, high_ns;  /* earliest and latest */
    int64_t head_ns, tail_ns; /* first and last in file order */
    struct fc_damage_list lost;
    struct fc_open_damage end_open; /* and `end` does */
    bool failed;                    /* what is behind `end` cannot be read */
};

/* Private tables of chunks, as many as slots. Under the pipeline's lock once workers run. */
struct fc_lender {
    struct fc_chunk *chunks;
    struct fc_chunk **spare; /* those that no slot has; the one used last on top, while caches have it */
    size_t count, spares;
};

/* FC_E_NOMEM; fini may follow in any case, also twice. */
int fc_lender_init(struct fc_lender *lender, size_t count, const struct fc_table *table, const struct fc_rules *rules,
                   bool want_extra);
void fc_lender_fini(struct fc_lender *lender);
/* There is one for every slot. */
struct fc_chunk *fc_lender_take(struct fc_lender *lender);
void fc_lender_give(struct fc_lender *lender, struct fc_chunk *chunk);
/* Bytes of all; those that are lent count as the largest of the others. */
uint64_t fc_lender_bytes(const struct fc_lender *lender);

void fc_slot_fini(struct fc_slot *slot);

/* Forgets results, before a scan. */
void fc_slot_begin(struct fc_slot *slot);

/* Counts a record's time. */
static inline void fc_slot_time(struct fc_slot *slot, int64_t ts_ns)
{
    if (ts_ns == FC_TIME_NONE)
        return;
    if (slot->head_ns == FC_TIME_NONE) {
        slot->head_ns = slot->low_ns = slot->high_ns = ts_ns;
    } else {
        slot->backward += ts_ns < slot->tail_ns;
        slot->low_ns = ts_ns < slot->low_ns ? ts_ns : slot->low_ns;
        slot->high_ns = ts_ns > slot->high_ns ? ts_ns : slot->high_ns;
    }
    slot->tail_ns = ts_ns;
}

/* All behind slot->end is lost. */
void fc_slot_fail(struct fc_slot *slot, const struct fc_error *why);

/* Takes over from the reader, after a scan, where it stopped and why. FC_E_NOMEM. */
int fc_slot_end(struct fc_slot *slot, struct fc_reader *reader, struct fc_error *err);

/* Adds a committed chunk's results to its file. FC_E_NOMEM. */
int fc_slot_merge(struct fc_slot *slot, struct fc_scan_file *file);

/* The file has ended and all its chunks are merged: closes its damage, and of a compressed one takes over the size and
 * the damage to the compressed data. FC_E_NOMEM. */
int fc_scan_file_end(struct fc_scan_file *file);

#endif
