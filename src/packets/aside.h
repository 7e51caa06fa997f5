/* SPDX-License-Identifier: MIT */
/*
 * Records that are read in one order and given in another: put aside as they are, sorted by time, and given back.
 *
 * Threads: one. Memory: 32 bytes a record, and FC_ASIDE_MEMORY; the rest is in an unnamed file of $TMPDIR, else of
 * /var/tmp.
 */
#ifndef FC_PACKETS_ASIDE_H
#define FC_PACKETS_ASIDE_H

#include "store/blob.h"

#include <flowcarve/capture.h>

enum { FC_ASIDE_MEMORY = 64 << 20 };

/* What is put aside of a record; its bytes lie behind. */
struct fc_put_aside {
    struct fc_record rec; /* data: of use in memory only */
    uint64_t place;       /* the caller's */
    uint32_t iface;       /* the caller's */
    uint32_t block_len;   /* bytes kept: of the block, or of the data alone */
    uint32_t data_at;     /* where in them the data is */
    bool is_block;
};

struct fc_aside {
    bool used;
    uint64_t *list; /* three words an entry: time, number, offset behind the entries before */
    size_t count, room, next;
    struct fc_buffer memory; /* what is not in the file: all, or the latest */
    uint64_t written;        /* bytes in the file */
    int fd;
    struct fc_buffer now; /* the bytes of the record given last */
};

/*
 * Puts a record aside. block: of a pcapng, else NULL. order_ns: what it is sorted by, then by how they came.
 * FC_E_NOMEM, FC_E_IO.
 */
int fc_aside_add(struct fc_aside *aside, const struct fc_record *rec, const uint8_t *block, uint64_t place,
                 uint32_t iface, int64_t order_ns, struct fc_error *err);
/* All are there: sorts them. FC_E_NOMEM. */
int fc_aside_sort(struct fc_aside *aside, const int *stop, struct fc_error *err);
/*
 * 1: *out and *bytes (the block, or the data) are the next record, valid until the next call; 0: end; FC_E_IO, _NOMEM.
 */
int fc_aside_next(struct fc_aside *aside, struct fc_put_aside *out, const uint8_t **bytes, struct fc_error *err);
/* Frees; also one that was never used and is all zero. */
void fc_aside_fini(struct fc_aside *aside);

#endif
