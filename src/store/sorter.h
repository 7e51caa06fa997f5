/* SPDX-License-Identifier: MIT */
/*
 * Sorts entries of 64-bit words as big numbers (first word first), by radix, within a budget of memory: what exceeds it
 * goes as sorted stretches to an unnamed file and is merged when read.
 *
 * Equal entries may come in any order: they cannot be told apart.
 *
 * Threads: one a sorter. Memory: the budget, as much again while sorting; when merging a window a stretch, 256 kB.
 */
#ifndef FC_STORE_SORTER_H
#define FC_STORE_SORTER_H

#include <flowcarve/error.h>
#include <stddef.h>
#include <stdint.h>

enum { FC_SORTER_WORDS_MAX = 3 };

struct fc_sorter {
    unsigned words, sorted_bits;
    const char *folder;
    size_t count, room, limit; /* entries in memory; limit: more are spilled */
    uint64_t *entry;
    uint64_t total;
    int fd; /* -1: nothing spilled */
    struct fc_sorter_run *runs;
    size_t run_count, run_room;
    uint64_t file_len;
    size_t next;  /* entries in memory: the next to be read; merging: 1 when the top has been read */
    size_t *heap; /* when merging: runs with an entry, least on top */
    size_t live;
};

/*
 * words: of an entry, 1 to FC_SORTER_WORDS_MAX. sorted_bits: entries are added in ascending order of so many low bits
 * of their last word (a rowid, say), which need no sorting then; 0 to 63. folder: for the file, by pointer.
 */
void fc_sorter_init(struct fc_sorter *sorter, unsigned words, unsigned sorted_bits, size_t budget_bytes,
                    const char *folder);
void fc_sorter_fini(struct fc_sorter *sorter);

/* Makes room for one entry more, when count == room. FC_E_NOMEM, FC_E_IO. */
int fc_sorter_grow(struct fc_sorter *sorter, struct fc_error *err);

/* Adds an entry. FC_E_NOMEM, FC_E_IO. */
static inline int fc_sorter_add(struct fc_sorter *s, const uint64_t *entry, struct fc_error *err)
{
    int rc;

    if (s->count == s->room && (rc = fc_sorter_grow(s, err)))
        return rc;
    for (unsigned i = 0; i < s->words; i++)
        s->entry[s->count * s->words + i] = entry[i];
    s->count++;
    s->total++;
    return 0;
}

/* Ends adding; fc_sorter_next() may follow. FC_E_NOMEM, FC_E_IO. */
int fc_sorter_sort(struct fc_sorter *sorter, struct fc_error *err);

/* Sorts `count` entries in memory, as one sorter does (words, sorted_bits: see fc_sorter_init()). *entries is from
 * malloc(), and may
 * be other memory of `count` entries behind. FC_E_NOMEM, also for 2^32 and more: nothing has changed. */
int fc_sorter_array(uint64_t **entries, size_t count, unsigned words, unsigned sorted_bits);

/* 1: *entry points to the next one, valid until the next call; 0: end; FC_E_IO. */
int fc_sorter_next(struct fc_sorter *sorter, const uint64_t **entry, struct fc_error *err);

#endif
