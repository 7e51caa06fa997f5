/* SPDX-License-Identifier: MIT */
/*
 * Sorts entries of 64-bit words as big numbers (first word first), by radix, in memory.
 *
 * Equal entries may come in any order: they cannot be told apart.
 *
 * Threads: one a sorter. Memory: the entries, and as much again while sorting.
 */
#ifndef FC_STORE_SORTER_H
#define FC_STORE_SORTER_H

#include <flowcarve/error.h>
#include <stddef.h>
#include <stdint.h>

enum { FC_SORTER_WORDS_MAX = 3 };

struct fc_sorter {
    unsigned words, sorted_bits;
    size_t count, room; /* entries */
    uint64_t *entry;
    const int *stop; /* may be NULL; what is sorted may take seconds */
};

/*
 * words: of an entry, 1 to FC_SORTER_WORDS_MAX. sorted_bits: entries are added in ascending order of so many low bits
 * of their last word (a rowid, say), which need no sorting then; 0 to 63.
 */
void fc_sorter_init(struct fc_sorter *sorter, unsigned words, unsigned sorted_bits);
void fc_sorter_fini(struct fc_sorter *sorter);

/* Makes room for one entry more, when count == room. FC_E_NOMEM. */
int fc_sorter_grow(struct fc_sorter *sorter, struct fc_error *err);

/* Adds an entry. FC_E_NOMEM. */
static inline int fc_sorter_add(struct fc_sorter *s, const uint64_t *entry, struct fc_error *err)
{
    int rc;

    if (s->count == s->room && (rc = fc_sorter_grow(s, err)))
        return rc;
    for (unsigned i = 0; i < s->words; i++)
        s->entry[s->count * s->words + i] = entry[i];
    s->count++;
    return 0;
}

/* Sorts what was added. FC_E_NOMEM, also for 2^32 entries and more: nothing has changed. FC_E_INTERRUPTED: by *stop. */
int fc_sorter_sort(struct fc_sorter *sorter, struct fc_error *err);

/*
 * The same for `count` entries of one's own. *entries is from malloc(), and may be other memory of `count` entries
 * behind. stop: NULL, or once *stop is not 0: FC_E_INTERRUPTED, in some order.
 */
int fc_sorter_array(uint64_t **entries, size_t count, unsigned words, unsigned sorted_bits, const int *stop);

#endif
