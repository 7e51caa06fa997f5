/* SPDX-License-Identifier: MIT */
#include "flow/positions.h"
#include "base/varint.h"
#include "base/vector.h"

#include <flowcarve/error.h>

#include <stdlib.h>
#include <string.h>

const uint8_t *fc_segment_head(const uint8_t *p, const uint8_t *end, struct fc_segment *segment)
{
    uint64_t file;

    if (!(p = fc_varint_get(p, end, &file)) || file > UINT32_MAX || !(p = fc_varint_get(p, end, &segment->count)) ||
        !segment->count || !(p = fc_varint_get(p, end, &segment->first_off)))
        return NULL;
    segment->file = (uint32_t)file;
    segment->deltas = p;
    segment->end = end;
    return p;
}

const uint8_t *fc_segment_next(const uint8_t *p, const uint8_t *end, uint64_t *off)
{
    uint64_t delta;

    p = fc_varint_get(p, end, &delta);
    if (!p || !delta || __builtin_add_overflow(*off, delta, off))
        return NULL;
    return p;
}

static int reserve(struct fc_position_file *f, size_t more)
{
    return fc_vector_reserve(&f->deltas, &f->room, f->len + more, 1);
}

/* Entry of a file, made in its place when new. */
static struct fc_position_file *file_entry(struct fc_positions *ps, uint32_t file)
{
    size_t i = ps->count, room = ps->room;

    while (i && ps->files[i - 1].file > file)
        i--;
    if (i && ps->files[i - 1].file == file)
        return &ps->files[i - 1];
    if (fc_vector_reserve(&ps->files, &ps->room, ps->count + 1, sizeof *ps->files))
        return NULL;
    memset(ps->files + room, 0, (ps->room - room) * sizeof *ps->files);
    struct fc_position_file spare = ps->files[ps->count]; /* keeps the memory of a cleared entry */
    memmove(&ps->files[i + 1], &ps->files[i], (ps->count - i) * sizeof *ps->files);
    ps->count++;
    spare.file = file;
    spare.count = 0;
    spare.len = 0;
    ps->files[i] = spare;
    return &ps->files[i];
}

static int compare_offsets(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int append_one(struct fc_position_file *f, uint64_t off)
{
    if (!f->count) {
        f->first_off = off;
    } else {
        if (reserve(f, FC_VARINT_MAX))
            return FC_E_NOMEM;
        f->len = (size_t)(fc_varint_put(f->deltas + f->len, off - f->last_off) - f->deltas);
    }
    f->last_off = off;
    f->count++;
    return 0;
}

/* Interleaving lists: read both, sort, write anew. Rare: fragments whose first one came later. */
static int merge(struct fc_position_file *f, const uint64_t *more, size_t count)
{
    uint64_t *all;
    size_t n = 0;
    int rc = 0;

    if (f->count > SIZE_MAX / sizeof *all - count || !(all = malloc((f->count + count) * sizeof *all)))
        return FC_E_NOMEM;
    const uint8_t *p = f->deltas, *end = p ? p + f->len : NULL; /* one offset has no deltas */
    all[n++] = f->first_off;
    for (uint64_t off = f->first_off; n < f->count; all[n++] = off)
        p = fc_segment_next(p, end, &off);
    memcpy(all + n, more, count * sizeof *all);
    n += count;
    qsort(all, n, sizeof *all, compare_offsets);
    f->count = 0;
    f->len = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        if (i == 0 || all[i] != all[i - 1]) /* a record is in a list once */
            rc = append_one(f, all[i]);
    free(all);
    return rc;
}

static const uint8_t *add_interleaved(struct fc_position_file *f, const struct fc_segment *s, int *rc)
{
    const uint8_t *p = s->deltas;
    uint64_t off = s->first_off, *list;

    /* every offset but the first takes a byte or more, so a hostile count cannot ask for more than there is */
    if (s->count - 1 > (uint64_t)(s->end - p) || !(list = malloc(s->count * sizeof *list))) {
        *rc = s->count - 1 > (uint64_t)(s->end - p) ? FC_E_DAMAGED : FC_E_NOMEM;
        return NULL;
    }
    list[0] = off;
    for (uint64_t i = 1; i < s->count && p; i++) {
        p = fc_segment_next(p, s->end, &off);
        list[i] = off;
    }
    *rc = p ? merge(f, list, s->count) : FC_E_DAMAGED;
    free(list);
    return p;
}

static const uint8_t *add_segment(struct fc_positions *ps, const struct fc_segment *s, int *rc)
{
    struct fc_position_file *f = file_entry(ps, s->file);
    const uint8_t *p = s->deltas;
    uint64_t off = s->first_off;

    if (!f) {
        *rc = FC_E_NOMEM;
        return NULL;
    }
    if (f->count && s->first_off <= f->last_off)
        return add_interleaved(f, s, rc);
    for (uint64_t i = 1; i < s->count && p; i++)
        p = fc_segment_next(p, s->end, &off);
    if (!p) {
        *rc = FC_E_DAMAGED;
        return NULL;
    }
    if ((*rc = append_one(f, s->first_off)) || (*rc = reserve(f, (size_t)(p - s->deltas))))
        return NULL;
    if (p > s->deltas)
        memcpy(f->deltas + f->len, s->deltas, (size_t)(p - s->deltas));
    f->len += (size_t)(p - s->deltas);
    f->count += s->count - 1;
    f->last_off = off;
    return p;
}

int fc_positions_add(struct fc_positions *positions, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    struct fc_segment s;
    int rc = 0;

    while (p < end && rc == 0) {
        if (!fc_segment_head(p, end, &s))
            return FC_E_DAMAGED;
        p = add_segment(positions, &s, &rc);
    }
    return rc;
}

size_t fc_positions_size(const struct fc_positions *positions)
{
    size_t n = 0;

    for (size_t i = 0; i < positions->count; i++)
        n += 3 * FC_VARINT_MAX + positions->files[i].len;
    return n;
}

size_t fc_positions_write(const struct fc_positions *positions, uint8_t *out)
{
    uint8_t *p = out;

    for (size_t i = 0; i < positions->count; i++) {
        const struct fc_position_file *f = &positions->files[i];
        p = fc_varint_put(p, f->file);
        p = fc_varint_put(p, f->count);
        p = fc_varint_put(p, f->first_off);
        if (f->len)
            memcpy(p, f->deltas, f->len);
        p += f->len;
    }
    return (size_t)(p - out);
}

void fc_positions_clear(struct fc_positions *positions)
{
    positions->count = 0;
}

void fc_positions_fini(struct fc_positions *positions)
{
    for (size_t i = 0; i < positions->room; i++)
        free(positions->files[i].deltas);
    free(positions->files);
    positions->files = NULL;
    positions->count = positions->room = 0;
}

/* A walk over positions as they were collected. */
struct walk {
    const uint8_t *p, *end;
    uint32_t file;
    uint64_t off;
};

/* 1: at the next one; 0: end; FC_E_DAMAGED. */
static int walk_next(struct walk *w)
{
    uint64_t v;

    if (w->p == w->end)
        return 0;
    if (*w->p) {
        if (!(w->p = fc_varint_get(w->p, w->end, &v)) || __builtin_add_overflow(w->off, v, &w->off))
            return FC_E_DAMAGED;
        return 1;
    }
    if (!(w->p = fc_varint_get(w->p + 1, w->end, &v)) || v == 0 || v > UINT32_MAX)
        return FC_E_DAMAGED;
    w->file = (uint32_t)v;
    w->p = fc_varint_get(w->p, w->end, &w->off);
    return w->p ? 1 : FC_E_DAMAGED;
}

struct position {
    uint32_t file;
    uint64_t off;
};

static int compare_positions(const void *a, const void *b)
{
    const struct position *x = a, *y = b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

static uint8_t *put_segments(uint8_t *p, const struct position *list, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && list[end].file == list[i].file;)
            end++;
        p = fc_varint_put(fc_varint_put(fc_varint_put(p, list[i].file), end - i), list[i].off);
        for (size_t k = i + 1; k < end; k++)
            p = fc_varint_put(p, list[k].off - list[k - 1].off);
    }
    return p;
}

static int reserve_bytes(uint8_t **out, size_t *room, size_t n)
{
    return fc_vector_reserve(out, room, n, 1);
}

int fc_positions_canonical(uint32_t file, uint64_t first_off, const uint8_t *pos, size_t pos_len, bool plain,
                           uint8_t **out, size_t *room, size_t *len)
{
    struct walk w = {pos, pos + pos_len, file, first_off};
    struct position *list = NULL;
    size_t n = 0, list_room = 0;
    bool sorted = true;
    int rc = 1;

    if (plain && file) {
        uint64_t count = 1;
        for (size_t i = 0; i < pos_len; i++)
            count += pos[i] < 0x80;
        if (reserve_bytes(out, room, pos_len + 3 * FC_VARINT_MAX))
            return FC_E_NOMEM;
        uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(*out, file), count), first_off);
        if (pos_len)
            memcpy(p, pos, pos_len);
        *len = (size_t)(p - *out) + pos_len;
        return 0;
    }
    if (!file)
        rc = walk_next(&w);
    for (; rc == 1; rc = walk_next(&w)) {
        if (fc_vector_reserve(&list, &list_room, n + 1, sizeof *list)) {
            rc = FC_E_NOMEM;
            break;
        }
        list[n] = (struct position){w.file, w.off};
        sorted &= !n || compare_positions(&list[n - 1], &list[n]) < 0;
        n++;
    }
    if (rc == 0 && !sorted)
        qsort(list, n, sizeof *list, compare_positions);
    if (rc == 0)
        rc = reserve_bytes(out, room, n * 2 * FC_VARINT_MAX + 3 * FC_VARINT_MAX);
    if (rc == 0)
        *len = (size_t)(put_segments(*out, list, n) - *out);
    free(list);
    return rc;
}
