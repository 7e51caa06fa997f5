/* SPDX-License-Identifier: MIT */
#include "flow/note.h"

#include <stdlib.h>

enum { SLAB_BLOCKS = 64, SHELF_FULL = 512, SHELF_HALF = SHELF_FULL / 2 };

/* ---- blocks */

void fc_stock_init(struct fc_stock *s)
{
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
}

void fc_stock_fini(struct fc_stock *s)
{
    for (size_t i = 0; i < s->slab_count; i++)
        free(s->slabs[i]);
    free(s->slabs);
    pthread_mutex_destroy(&s->lock);
    memset(s, 0, sizeof *s);
}

void fc_shelf_init(struct fc_shelf *shelf, struct fc_stock *stock)
{
    *shelf = (struct fc_shelf){.stock = stock};
}

/* Under the stock's lock. */
static int new_slab(struct fc_stock *s)
{
    struct fc_block *slab;

    if (fc_vector_reserve(&s->slabs, &s->slab_room, s->slab_count + 1, sizeof *s->slabs) ||
        !(slab = malloc(SLAB_BLOCKS * sizeof *slab)))
        return FC_E_NOMEM;
    s->slabs[s->slab_count++] = slab;
    for (unsigned i = 0; i < SLAB_BLOCKS; i++) {
        slab[i].next = s->spare;
        s->spare = &slab[i];
    }
    return 0;
}

static int refill(struct fc_shelf *shelf)
{
    struct fc_stock *s = shelf->stock;
    unsigned n = 0;

    pthread_mutex_lock(&s->lock);
    while (n < SHELF_HALF && (s->spare || (n == 0 && new_slab(s) == 0))) { /* no more than a small capture needs */
        struct fc_block *b = s->spare;
        s->spare = b->next;
        b->next = shelf->blocks;
        shelf->blocks = b;
        n++;
    }
    pthread_mutex_unlock(&s->lock);
    shelf->count += n;
    atomic_fetch_add_explicit(&s->bytes, n * sizeof(struct fc_block), memory_order_relaxed);
    return n ? 0 : FC_E_NOMEM;
}

/* Leaves so many. */
static void put_back(struct fc_shelf *shelf, unsigned leave)
{
    struct fc_stock *s = shelf->stock;
    struct fc_block *first = shelf->blocks, *last = first;
    unsigned n = shelf->count - leave;

    if (!n)
        return;
    for (unsigned i = 1; i < n; i++)
        last = last->next;
    shelf->blocks = last->next;
    shelf->count = leave;
    pthread_mutex_lock(&s->lock);
    last->next = s->spare;
    s->spare = first;
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_sub_explicit(&s->bytes, n * sizeof(struct fc_block), memory_order_relaxed);
}

void fc_shelf_fini(struct fc_shelf *shelf)
{
    if (shelf->stock)
        put_back(shelf, 0);
}

struct fc_block *fc_shelf_take(struct fc_shelf *shelf)
{
    struct fc_block *b;

    if (!shelf->count && refill(shelf))
        return NULL;
    b = shelf->blocks;
    shelf->blocks = b->next;
    shelf->count--;
    b->next = NULL;
    b->count = 0;
    return b;
}

void fc_shelf_give(struct fc_shelf *shelf, struct fc_block *block)
{
    block->next = shelf->blocks;
    shelf->blocks = block;
    if (++shelf->count == SHELF_FULL)
        put_back(shelf, SHELF_HALF);
}

/* ---- units */

struct fc_unit *fc_unit_new(struct fc_stock *stock)
{
    struct fc_unit *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    u->stock = stock;
    atomic_init(&u->left, FC_PARTS);
    atomic_fetch_add_explicit(&stock->bytes, sizeof *u, memory_order_relaxed);
    return u;
}

static void give_blocks(struct fc_part *part, struct fc_shelf *shelf)
{
    while (part->first) {
        struct fc_block *b = part->first;
        part->first = b->next;
        fc_shelf_give(shelf, b);
    }
    part->last = NULL;
}

void fc_unit_clear(struct fc_unit *u, struct fc_shelf *shelf)
{
    for (unsigned i = 0; i < FC_PARTS; i++)
        give_blocks(&u->parts[i], shelf);
    for (size_t i = 0; i < u->stretch_count; i++)
        free(u->stretches[i].odd);
    u->stretch_count = 0;
    u->side_words = 0;
}

void fc_unit_free(struct fc_unit *u, struct fc_shelf *shelf)
{
    if (!u)
        return;
    fc_unit_clear(u, shelf);
    atomic_fetch_sub_explicit(&u->stock->bytes, sizeof *u + u->side_room * sizeof *u->side, memory_order_relaxed);
    free(u->stretches);
    free(u->side);
    free(u);
}

void fc_unit_pass(struct fc_unit *u, struct fc_shelf *shelf)
{
    /* acq_rel: whoever frees it is behind all that others have read of it */
    if (atomic_fetch_sub_explicit(&u->left, 1, memory_order_acq_rel) == 1)
        fc_unit_free(u, shelf);
}

/* The blocks would go with the unit; but it may stay for long. */
void fc_unit_drop(struct fc_unit *u, unsigned i, struct fc_shelf *shelf)
{
    give_blocks(&u->parts[i], shelf);
    fc_unit_pass(u, shelf);
}

int fc_unit_begin(struct fc_unit *u, uint32_t file, uint64_t base_off)
{
    uint32_t start = 0;

    if (fc_vector_reserve(&u->stretches, &u->stretch_room, u->stretch_count + 1, sizeof *u->stretches))
        return FC_E_NOMEM;
    if (u->stretch_count)
        start = u->stretches[u->stretch_count - 1].end;
    u->stretches[u->stretch_count++] =
        (struct fc_stretch){.file = file, .start = start, .end = start, .base_off = base_off};
    return 0;
}

/* ---- sides: word 0: bits 0-3 what there is, 8-15 names, 16-31 bytes of extra */

enum { HAS_KEY = 1, HAS_PLACED = 2, HAS_PRIOR = 4 };
#define WORDS(bytes) (((bytes) + 7) / 8)

static size_t side_words(const struct fc_side *side)
{
    return 1 + (side->key ? WORDS(sizeof *side->key) : 0) + (side->placed ? WORDS(sizeof *side->placed) : 0) +
           (side->prior ? WORDS(sizeof *side->prior) : 0) + side->name_count * WORDS(sizeof *side->names) +
           WORDS(side->extra_size);
}

static uint64_t *put(uint64_t *at, const void *what, size_t bytes)
{
    if (bytes)
        memcpy(at, what, bytes);
    return at + WORDS(bytes);
}

static int write_side(struct fc_unit *u, const struct fc_side *side, uint32_t *where)
{
    size_t want = u->side_words + side_words(side), room = u->side_room;

    if (want >= UINT32_MAX || fc_vector_reserve(&u->side, &u->side_room, want, sizeof *u->side))
        return FC_E_NOMEM;
    if (u->side_room != room)
        atomic_fetch_add_explicit(&u->stock->bytes, (u->side_room - room) * sizeof *u->side, memory_order_relaxed);
    uint64_t *at = u->side + u->side_words;
    *where = (uint32_t)u->side_words + 1;
    *at++ = (side->key ? HAS_KEY : 0) | (side->placed ? HAS_PLACED : 0) | (side->prior ? HAS_PRIOR : 0) |
            (uint64_t)side->name_count << 8 | (uint64_t)side->extra_size << 16;
    at = put(at, side->key, side->key ? sizeof *side->key : 0);
    at = put(at, side->placed, side->placed ? sizeof *side->placed : 0);
    at = put(at, side->prior, side->prior ? sizeof *side->prior : 0);
    at = put(at, side->names, side->name_count * sizeof *side->names);
    put(at, side->extra, side->extra_size);
    u->side_words = want;
    return 0;
}

void fc_side_read(const struct fc_unit *u, const struct fc_note *note, struct fc_side *side)
{
    memset(side, 0, sizeof *side);
    if (!note->side)
        return;
    const uint64_t *at = u->side + note->side - 1, head = *at++;
    if (head & HAS_KEY) {
        side->key = (const struct fc_flow_key *)at;
        at += WORDS(sizeof *side->key);
    }
    if (head & HAS_PLACED) {
        side->placed = (const struct fc_placed *)at;
        at += WORDS(sizeof *side->placed);
    }
    if (head & HAS_PRIOR) {
        side->prior = (const struct fc_prior *)at;
        at += WORDS(sizeof *side->prior);
    }
    side->name_count = head >> 8 & 0xff;
    side->names = side->name_count ? (const struct fc_flow_key *)at : NULL;
    at += side->name_count * WORDS(sizeof *side->names);
    side->extra_size = head >> 16 & 0xffff;
    side->extra = side->extra_size ? (const struct fc_extra *)at : NULL;
}

/* ---- packets */

int fc_unit_put(struct fc_unit *u, struct fc_shelf *shelf, struct fc_note *note, const struct fc_flow_key *key,
                uint8_t bits, uint8_t flags, struct fc_side *side, uint64_t seed)
{
    uint64_t hash;
    bool is_short = fc_key_shorten(key, seed, &note->key, &hash);
    struct fc_note *slot;

    side->key = is_short ? NULL : key;
    note->hash = (uint32_t)hash;
    note->key.rest |= (uint64_t)flags << 48 | (uint64_t)bits << 56;
    note->side = 0;
    if ((!is_short || side->placed || side->prior || side->extra_size) && write_side(u, side, &note->side))
        return FC_E_NOMEM;
    if (!(slot = fc_part_slot(&u->parts[hash >> (64 - FC_PARTITION_BITS)], shelf)))
        return FC_E_NOMEM;
    *slot = *note;
    return 0;
}

int fc_unit_append(struct fc_unit *u, struct fc_shelf *shelf, unsigned part, const struct fc_note *note, uint8_t bits,
                   const struct fc_side *side)
{
    struct fc_note *slot = fc_part_slot(&u->parts[part], shelf);

    if (!slot)
        return FC_E_NOMEM;
    *slot = *note;
    slot->off = 0; /* placed: of no stretch */
    slot->key.rest |= (uint64_t)bits << 56;
    return write_side(u, side, &slot->side);
}

/* The note of a fragment for those who settle fragments; a first one has another for its flow. */
static int put_fragment(struct fc_unit *u, struct fc_shelf *shelf, struct fc_note *note, const struct fc_packet *p,
                        uint8_t bits, uint8_t flags, const struct fc_side *extra, uint64_t seed)
{
    struct fc_side side = {.key = &p->key,
                           .names = p->datagram,
                           .name_count = p->datagram_count,
                           .extra = extra->extra,
                           .extra_size = extra->extra_size};
    struct fc_note *slot = fc_part_slot(&u->parts[FC_FRAGMENT_PART], shelf);
    uint64_t hash;

    if (!slot)
        return FC_E_NOMEM;
    fc_key_shorten(&p->key, seed, &note->key, &hash);
    note->hash = (uint32_t)hash;
    note->key.rest |= (uint64_t)flags << 48 | (uint64_t)bits << 56;
    *slot = *note;
    return write_side(u, &side, &slot->side);
}

int fc_unit_add(struct fc_unit *u, struct fc_shelf *shelf, const struct fc_packet *p, uint64_t off, int64_t ts_ns,
                uint32_t origlen, uint64_t seed, bool extra)
{
    struct fc_stretch *st = &u->stretches[u->stretch_count - 1];
    bool tcp = p->got & FC_WANT_TCP;
    uint8_t bits = (uint8_t)((p->dir & 1) | (tcp ? FC_NOTE_TCP : 0)), flags = tcp ? p->tcp_flags : 0;
    struct fc_note note;
    struct fc_extra x;
    struct fc_side side = {0};

    note.off = st->start + (uint32_t)(off - st->base_off);
    st->end = note.off + 1;
    note.ts_ns = ts_ns;
    note.origlen = origlen;
    note.seq = tcp ? p->tcp_seq : 0;
    note.ack = tcp ? p->tcp_ack : 0;
    if (__builtin_expect(!extra && p->frag == FC_FRAG_NONE, 1)) {
        uint64_t hash;
        if (__builtin_expect(fc_key_shorten(&p->key, seed, &note.key, &hash), 1)) {
            note.hash = (uint32_t)hash;
            note.key.rest |= (uint64_t)flags << 48 | (uint64_t)bits << 56;
            note.side = 0;
            struct fc_note *slot = fc_part_slot(&u->parts[hash >> (64 - FC_PARTITION_BITS)], shelf);
            if (!slot)
                return FC_E_NOMEM;
            *slot = note;
            return 0;
        }
    }
    if (extra) {
        memset(&x, 0, sizeof x);
        fc_extra_add(&x, p, p->dir);
        side.extra = &x;
        side.extra_size = (uint32_t)fc_extra_size(&x);
    }
    if (p->frag != FC_FRAG_NONE) {
        bits |= FC_NOTE_FRAG | (p->frag == FC_FRAG_LATER ? FC_NOTE_LATER : 0);
        int rc = put_fragment(u, shelf, &note, p, bits, flags, &side, seed);
        if (rc || p->frag == FC_FRAG_LATER)
            return rc;
    }
    return fc_unit_put(u, shelf, &note, &p->key, bits, flags, &side, seed);
}
