/* SPDX-License-Identifier: MIT */
/* A capture read from one end to the other, and random captures of every format. */
#ifndef FC_TEST_CAPTURE_H
#define FC_TEST_CAPTURE_H

#include "capture/reader.h"
#include "maker.h"
#include "rng.h"

/* What a walk gave; data is copied. */
struct walked {
    struct fc_record *records;
    uint8_t **data;
    size_t count;
    int rc; /* of the last call: 0, or a negative code */
    struct fc_error why;
    uint64_t damage_off;
    uint64_t end; /* pos of the reader behind it */
    struct fc_interface *ifaces;
    size_t iface_count;
};

/* Opens the first `len` bytes of m; the caller closes with close_made(). */
int open_made(const struct maker *m, size_t len, struct fc_file *file, struct fc_error *err);
void close_made(struct fc_file *file);

/* Walks records from `start` to `limit` with a buffer of this size. */
struct walked walk_part(const struct fc_file *file, size_t buffer, uint64_t start, uint64_t limit,
                        const struct fc_section *section, struct fc_section *end_section);
/* All of it. */
struct walked walk(const struct maker *m, size_t len);
void walked_free(struct walked *w);

/* Fails the test where the records [from, from + b->count) of a are not those of b. */
void expect_same(const struct walked *a, size_t from, const struct walked *b);

/*
 * A random capture without damage. kind 0-5: pcap, each magic in each byte order; from 6: pcapng, several sections,
 * byte orders, interfaces and blocks without packets.
 */
enum { KINDS = 8 };
void random_capture(struct maker *m, struct rng *r, unsigned kind, unsigned records, uint32_t caplen_max);

#endif
