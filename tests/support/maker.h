/* SPDX-License-Identifier: MIT */
/* Captures made by hand, field by field, right or wrong, in memory. Running out of memory ends the test. */
#ifndef FC_TEST_MAKER_H
#define FC_TEST_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maker {
    uint8_t *at;
    size_t len, room;
    bool big; /* byte order of what is written next */
};

void make_fini(struct maker *m);
void make_bytes(struct maker *m, const void *p, size_t n);
void make_fill(struct maker *m, uint8_t value, size_t n);
void make16(struct maker *m, unsigned v);
void make32(struct maker *m, uint32_t v);
void make64(struct maker *m, uint64_t v);
/* Overwrites what is there. */
void make_patch32(struct maker *m, size_t off, uint32_t v);

enum { MAKE_US = (int)0xa1b2c3d4, MAKE_NS = (int)0xa1b23c4d, MAKE_MODIFIED = (int)0xa1b2cd34 };

void make_pcap(struct maker *m, uint32_t magic, unsigned minor, uint32_t snaplen, uint32_t link);
/* Returns its offset. head: 16 or 24 bytes. data NULL: caplen bytes of a pattern. */
size_t make_record(struct maker *m, unsigned head, uint32_t sec, uint32_t frac, uint32_t caplen, uint32_t origlen,
                   const void *data);

/* pcapng blocks; each returns its offset. A block of any type, padded, its length in both places. */
size_t make_block(struct maker *m, uint32_t type, const void *body, size_t n);
size_t make_shb(struct maker *m);
/* resol -1: no option. offset 0: no option. */
size_t make_idb(struct maker *m, unsigned link, uint32_t snaplen, int resol, int64_t offset);
size_t make_epb(struct maker *m, uint32_t iface, uint64_t ticks, uint32_t caplen, uint32_t origlen, const void *data);
size_t make_pb(struct maker *m, unsigned iface, uint64_t ticks, uint32_t caplen, uint32_t origlen, const void *data);
size_t make_spb(struct maker *m, uint32_t origlen, uint32_t caplen, const void *data);

/*
 * Puts the first `len` bytes into an unnamed file. Returns its path, a new string; the file lives until make_close().
 */
char *make_file(const struct maker *m, size_t len);
void make_close(char *path);

#endif
