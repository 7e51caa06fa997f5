/* SPDX-License-Identifier: MIT */
#include "store/sorter.h"
#include "base/error.h"
#include "base/io.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DIGIT_BITS = 11,
    DIGITS = (64 + DIGIT_BITS - 1) / DIGIT_BITS, /* of a word */
    BUCKETS = 1 << DIGIT_BITS,
    WINDOW_WORDS = 32 << 10, /* cut down to a multiple of the entries' size */
    COUNT_MIN = 1024
};

struct fc_sorter_run {
    uint64_t off, end; /* of what is still in the file */
    uint64_t *window;
    size_t at, count; /* words */
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

void fc_sorter_init(struct fc_sorter *s, unsigned words, unsigned sorted_bits, size_t budget, const char *folder)
{
    memset(s, 0, sizeof *s);
    s->words = words;
    s->sorted_bits = sorted_bits;
    s->folder = folder;
    s->limit = budget / sizeof(uint64_t) / words;
    s->limit = s->limit < COUNT_MIN ? COUNT_MIN : s->limit > UINT32_MAX ? UINT32_MAX : s->limit;
    s->fd = -1;
}

void fc_sorter_fini(struct fc_sorter *s)
{
    for (size_t i = 0; i < s->run_count; i++)
        free(s->runs[i].window);
    if (s->fd >= 0)
        close(s->fd);
    free(s->runs);
    free(s->heap);
    free(s->entry);
    memset(s, 0, sizeof *s);
    s->fd = -1;
}

/* How often each value of each digit of one word occurs, from bit `low` up. */
static void count_digits(const struct fc_sorter *s, unsigned word, unsigned low, uint32_t counts[DIGITS][BUCKETS])
{
    const uint64_t *p = s->entry + word;
    unsigned digits = (64 - low + DIGIT_BITS - 1) / DIGIT_BITS;

    memset(counts, 0, sizeof(uint32_t) * DIGITS * BUCKETS);
    for (size_t i = 0; i < s->count; i++, p += s->words)
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
    if (s->words == 1)
        move_entries(from, to, s->count, 1, 0, shift, next);
    else if (s->words == 2)
        move_entries(from, to, s->count, 2, word, shift, next);
    else
        move_entries(from, to, s->count, s->words, word, shift, next);
}

/* True when all entries have the digit of this one. */
static bool same_digit(const struct fc_sorter *s, const uint32_t *counts, uint64_t word, unsigned shift)
{
    return counts[word >> shift & (BUCKETS - 1)] == s->count;
}

/* Sorts what is in memory. */
static int sort_memory(struct fc_sorter *s, struct fc_error *err)
{
    uint32_t(*counts)[BUCKETS];
    uint64_t *other;

    if (s->count < 2)
        return 0;
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
        for (unsigned d = 0, shift = low; shift < 64; d++, shift += DIGIT_BITS) {
            if (same_digit(s, counts[d], s->entry[word], shift))
                continue;
            distribute(s, s->entry, other, word, shift, counts[d]);
            uint64_t *t = s->entry;
            s->entry = other;
            other = t;
            s->room = s->count; /* the other one has no more */
        }
    }
    free(counts);
    free(other);
    return 0;
}

int fc_sorter_array(uint64_t **entries, size_t count, unsigned words, unsigned sorted_bits)
{
    struct fc_sorter s;
    int rc;

    if (count > UINT32_MAX)
        return FC_E_NOMEM;
    fc_sorter_init(&s, words, sorted_bits, SIZE_MAX, NULL);
    s.entry = *entries;
    s.count = count;
    rc = sort_memory(&s, NULL);
    *entries = s.entry;
    return rc;
}

/* Writes what is in memory as a sorted run. */
static int spill(struct fc_sorter *s, struct fc_error *err)
{
    size_t bytes = s->count * s->words * sizeof *s->entry;
    int rc = sort_memory(s, err);

    if (rc)
        return rc;
    if (s->fd < 0 && (s->fd = fc_io_temporary(s->folder, err)) < 0) {
        rc = s->fd;
        s->fd = -1;
        return rc;
    }
    if (s->run_count == s->run_room) {
        size_t room = s->run_room ? s->run_room * 2 : 16;
        struct fc_sorter_run *bigger = realloc(s->runs, room * sizeof *bigger);
        if (!bigger)
            return no_memory(err);
        s->runs = bigger;
        s->run_room = room;
    }
    if ((rc = fc_io_write(s->fd, s->entry, bytes, s->file_len, s->folder, err)))
        return rc;
    s->runs[s->run_count++] = (struct fc_sorter_run){.off = s->file_len, .end = s->file_len + bytes};
    s->file_len += bytes;
    s->count = 0;
    return 0;
}

int fc_sorter_grow(struct fc_sorter *s, struct fc_error *err)
{
    size_t room = s->room ? s->room * 2 : COUNT_MIN;
    int rc;

    if (s->count >= s->limit && (rc = spill(s, err)))
        return rc;
    if (s->count < s->room)
        return 0;
    room = room < s->limit ? room : s->limit;
    uint64_t *bigger = realloc(s->entry, room * s->words * sizeof *bigger);
    if (!bigger)
        return no_memory(err);
    s->entry = bigger;
    s->room = room;
    return 0;
}

/* The next window of a run: 1, or 0 at its end. */
static int fill_window(struct fc_sorter *s, struct fc_sorter_run *run, struct fc_error *err)
{
    size_t words = WINDOW_WORDS - WINDOW_WORDS % s->words, left = (run->end - run->off) / sizeof *run->window;
    int rc;

    run->at = 0;
    run->count = words < left ? words : left;
    if (!run->count)
        return 0;
    rc = fc_io_read(s->fd, run->window, run->count * sizeof *run->window, run->off, s->folder, err);
    run->off += run->count * sizeof *run->window;
    return rc ? rc : 1;
}

static bool before(const struct fc_sorter *s, size_t a, size_t b)
{
    const struct fc_sorter_run *x = &s->runs[s->heap[a]], *y = &s->runs[s->heap[b]];

    for (unsigned i = 0; i < s->words; i++)
        if (x->window[x->at + i] != y->window[y->at + i])
            return x->window[x->at + i] < y->window[y->at + i];
    return false;
}

static void sift(struct fc_sorter *s, size_t i)
{
    for (;;) {
        size_t least = i, l = 2 * i + 1, r = l + 1;
        if (l < s->live && before(s, l, least))
            least = l;
        if (r < s->live && before(s, r, least))
            least = r;
        if (least == i)
            return;
        size_t t = s->heap[i];
        s->heap[i] = s->heap[least];
        s->heap[least] = t;
        i = least;
    }
}

int fc_sorter_sort(struct fc_sorter *s, struct fc_error *err)
{
    int rc;

    if (s->fd < 0)
        return sort_memory(s, err);
    if (s->count && (rc = spill(s, err)))
        return rc;
    free(s->entry);
    s->entry = NULL;
    s->room = 0;
    if (!(s->heap = calloc(s->run_count, sizeof *s->heap)))
        return no_memory(err);
    for (size_t i = 0; i < s->run_count; i++) {
        if (!(s->runs[i].window = malloc(WINDOW_WORDS * sizeof(uint64_t))))
            return no_memory(err);
        if ((rc = fill_window(s, &s->runs[i], err)) < 0)
            return rc;
        s->heap[s->live++] = i;
    }
    for (size_t i = s->live; i-- > 0;)
        sift(s, i);
    return 0;
}

static int merge_next(struct fc_sorter *s, const uint64_t **entry, struct fc_error *err)
{
    struct fc_sorter_run *run;

    if (s->next && s->live) {
        run = &s->runs[s->heap[0]];
        run->at += s->words;
        if (run->at == run->count) {
            int rc = fill_window(s, run, err);
            if (rc < 0)
                return rc;
            if (rc == 0)
                s->heap[0] = s->heap[--s->live];
        }
        sift(s, 0);
    }
    s->next = 1;
    if (!s->live)
        return 0;
    run = &s->runs[s->heap[0]];
    *entry = run->window + run->at;
    return 1;
}

int fc_sorter_next(struct fc_sorter *s, const uint64_t **entry, struct fc_error *err)
{
    if (s->fd >= 0)
        return merge_next(s, entry, err);
    if (s->next == s->count)
        return 0;
    *entry = s->entry + s->words * s->next++;
    return 1;
}
