/* SPDX-License-Identifier: MIT */
#include "store/sorter.h"
#include "base/error.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGIT_BITS = 11,
    DIGITS = (64 + DIGIT_BITS - 1) / DIGIT_BITS, /* of a word */
    BUCKETS = 1 << DIGIT_BITS,
    TURN = 1 << 20 /* entries between looks at whether to stop */
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

void fc_sorter_init(struct fc_sorter *s, unsigned words, unsigned sorted_bits)
{
    *s = (struct fc_sorter){.words = words, .sorted_bits = sorted_bits};
}

void fc_sorter_fini(struct fc_sorter *s)
{
    free(s->entry);
    *s = (struct fc_sorter){0};
}

int fc_sorter_grow(struct fc_sorter *s, struct fc_error *err)
{
    return fc_vector_reserve(&s->entry, &s->room, s->room + 1, s->words * sizeof *s->entry) ? no_memory(err) : 0;
}

static bool is_stopped(const struct fc_sorter *s)
{
    return s->stop && __atomic_load_n(s->stop, __ATOMIC_RELAXED);
}

/* How often each value of each digit of one word occurs, from bit `low` up. */
static void count_digits(const struct fc_sorter *s, unsigned word, unsigned low, uint32_t counts[DIGITS][BUCKETS])
{
    const uint64_t *p = s->entry + word;
    unsigned digits = (64 - low + DIGIT_BITS - 1) / DIGIT_BITS;

    memset(counts, 0, sizeof(uint32_t) * DIGITS * BUCKETS);
    for (size_t i = 0; i < s->count && !is_stopped(s);)
        for (size_t end = s->count - i < TURN ? s->count : i + TURN; i < end; i++, p += s->words)
            for (unsigned d = 0; d < digits; d++)
                counts[d][*p >> (low + d * DIGIT_BITS) & (BUCKETS - 1)]++;
}

/* Inlined where `words` is known, so that copying an entry is no loop. */
static inline void move_entries(const uint64_t *from, uint64_t *to, size_t count, unsigned words, unsigned word,
                                unsigned shift, uint32_t *next)
{
    for (size_t i = 0; i < count; i++, from += words) {
        uint64_t *p = to + (size_t)words * next[from[word] >> shift & (BUCKETS - 1)]++;
        for (unsigned k = 0; k < words; k++)
            p[k] = from[k];
    }
}

/* One pass, from `from` to `to`; next[] becomes the place of each value's next entry. Stable. */
static void distribute(const struct fc_sorter *s, const uint64_t *from, uint64_t *to, unsigned word, unsigned shift,
                       uint32_t *next)
{
    uint32_t sum = 0;

    for (unsigned b = 0; b < BUCKETS; b++) {
        uint32_t n = next[b];
        next[b] = sum;
        sum += n;
    }
    for (size_t i = 0, n; i < s->count && !is_stopped(s); i += n, from += n * s->words) {
        n = s->count - i < TURN ? s->count - i : TURN;
        if (s->words == 1)
            move_entries(from, to, n, 1, 0, shift, next);
        else if (s->words == 2)
            move_entries(from, to, n, 2, word, shift, next);
        else
            move_entries(from, to, n, s->words, word, shift, next);
    }
}

/* True when all entries have the digit of this one. */
static bool same_digit(const struct fc_sorter *s, const uint32_t *counts, uint64_t word, unsigned shift)
{
    return counts[word >> shift & (BUCKETS - 1)] == s->count;
}

int fc_sorter_sort(struct fc_sorter *s, struct fc_error *err)
{
    uint32_t(*counts)[BUCKETS];
    uint64_t *other;

    if (s->count < 2)
        return 0;
    if (s->count > UINT32_MAX)
        return no_memory(err);
    counts = malloc(sizeof *counts * DIGITS);
    other = malloc(s->count * s->words * sizeof *other);
    if (!counts || !other) {
        free(counts);
        free(other);
        return no_memory(err);
    }
    for (unsigned word = s->words; word-- > 0;) {
        unsigned low = word == s->words - 1 ? s->sorted_bits : 0;
        count_digits(s, word, low, counts);
        for (unsigned d = 0, shift = low; shift < 64 && !is_stopped(s); d++, shift += DIGIT_BITS) {
            if (same_digit(s, counts[d], s->entry[word], shift))
                continue;
            distribute(s, s->entry, other, word, shift, counts[d]);
            if (is_stopped(s))
                break; /* not all of them are there */
            uint64_t *t = s->entry;
            s->entry = other;
            other = t;
            s->room = s->count; /* the other one has no more */
        }
    }
    free(counts);
    free(other);
    return is_stopped(s) ? fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted") : 0;
}

int fc_sorter_array(uint64_t **entries, size_t count, unsigned words, unsigned sorted_bits, const int *stop)
{
    struct fc_sorter s = {
        .words = words, .sorted_bits = sorted_bits, .count = count, .room = count, .entry = *entries, .stop = stop};
    int rc = fc_sorter_sort(&s, NULL);

    *entries = s.entry;
    return rc;
}
