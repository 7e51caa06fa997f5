/* SPDX-License-Identifier: MIT */
#include "store/btree.h"
#include "base/error.h"
#include "store/sqlite_record.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAF_HEAD = 8,
    INTERIOR_HEAD = 12,
    LEVELS = 20, /* of at least two children each: more entries than there are rowids of 2^32 pages */
    PREFIX_MAX = 2 * FC_SQLITE_VARINT_MAX
};

/* A page being filled. */
struct level {
    uint32_t cells, low; /* low: offset of the lowest cell */
    uint32_t last_size;
    uint8_t page[FC_PAGE_SIZE];
};

struct fc_btree {
    struct fc_pages *pages;
    enum fc_btree_kind kind;
    uint32_t root, local_max, local_min;
    int64_t last_rowid;
    unsigned height; /* levels in use */
    struct level *level[LEVELS];
    /* pages [extent.first, extent.first + used) have numbers; they are in mem until the extent is written */
    struct fc_extent extent;
    uint32_t used, want;
    uint8_t *mem;
};

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

static unsigned head_size(unsigned height)
{
    return height ? INTERIOR_HEAD : LEAF_HEAD;
}

static void clear_level(struct fc_btree *t, unsigned height)
{
    t->level[height]->cells = 0;
    t->level[height]->low = t->pages->usable;
}

/* Room for a level more. Pages start out as zeros: nothing of this process' memory gets into the file. */
static int add_level(struct fc_btree *t)
{
    assert(t->height < LEVELS);
    if (!(t->level[t->height] = calloc(1, sizeof **t->level)))
        return FC_E_NOMEM;
    clear_level(t, t->height++);
    return 0;
}

struct fc_btree *fc_btree_new(struct fc_pages *pages, enum fc_btree_kind kind, uint32_t root)
{
    struct fc_btree *t = calloc(1, sizeof *t);
    uint32_t usable = pages->usable;

    if (!t)
        return NULL;
    t->pages = pages;
    t->kind = kind;
    t->root = root;
    t->local_max = kind == FC_BTREE_TABLE ? usable - 35 : (usable - 12) * 64 / 255 - 23;
    t->local_min = (usable - 12) * 32 / 255 - 23;
    t->last_rowid = INT64_MIN;
    t->want = 4;
    t->mem = calloc(FC_EXTENT_PAGES, FC_PAGE_SIZE);
    if (!t->mem || add_level(t)) {
        fc_btree_free(t);
        return NULL;
    }
    return t;
}

void fc_btree_free(struct fc_btree *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < t->height; i++)
        free(t->level[i]);
    free(t->mem);
    free(t);
}

/* The number of a new page. */
static int new_page(struct fc_btree *t, uint32_t *number, struct fc_error *err)
{
    int rc;

    if (t->used == t->extent.count) {
        if (t->used && (rc = fc_pages_pass(t->pages, t->extent.first, &t->mem, t->used, err)))
            return rc;
        if ((rc = fc_pages_take(t->pages, t->want, &t->extent, err)))
            return rc;
        t->used = 0;
        t->want = t->want < FC_EXTENT_PAGES ? t->want * 2 : FC_EXTENT_PAGES;
    }
    *number = t->extent.first + t->used++;
    return 0;
}

/* Gives a new page its content; in the extent at hand, or in the one before it, which was passed on already. */
static int put_page(struct fc_btree *t, uint32_t number, const uint8_t *page, struct fc_error *err)
{
    uint32_t slot = number - t->extent.first;

    if (number < t->extent.first || slot >= t->extent.count)
        return fc_pages_write(t->pages, number, page, 1, err);
    memcpy(t->mem + (size_t)slot * FC_PAGE_SIZE, page, FC_PAGE_SIZE);
    return 0;
}

/* The page of a level as it will be in the file. right: last child of an interior page. */
static const uint8_t *complete(struct fc_btree *t, unsigned height, uint32_t right)
{
    struct level *l = t->level[height];
    bool table = t->kind == FC_BTREE_TABLE;
    uint32_t end = head_size(height) + 2 * l->cells;

    l->page[0] = height ? (table ? 5 : 2) : (table ? 13 : 10);
    put16(l->page + 1, 0);
    put16(l->page + 3, l->cells);
    put16(l->page + 5, l->low);
    l->page[7] = 0;
    if (height)
        put32(l->page + 8, right);
    memset(l->page + end, 0, l->low - end); /* remains of the page before */
    return l->page;
}

/* A place for a cell of `size` bytes, or NULL when the page is full. */
static uint8_t *place(struct level *l, unsigned head, uint32_t size)
{
    uint32_t pointers = head + 2 * l->cells;

    if (l->low < pointers + 2 + size)
        return NULL;
    l->low -= size;
    l->last_size = size;
    l->cells++;
    put16(l->page + pointers, l->low);
    return l->page + l->low;
}

/* Takes the last cell off the page; its content stays where it is until the next one is placed. */
static const uint8_t *pop(struct level *l, uint32_t *size)
{
    const uint8_t *cell = l->page + l->low;

    *size = l->last_size;
    l->low += l->last_size;
    l->cells--;
    return cell;
}

/* Writes the page of a level and begins the next one. */
static int close_page(struct fc_btree *t, unsigned height, uint32_t right, uint32_t *number, struct fc_error *err)
{
    int rc = new_page(t, number, err);

    if (rc == 0)
        rc = put_page(t, *number, complete(t, height, right), err);
    clear_level(t, height);
    return rc;
}

/*
 * Enters a closed page into the interior level above it, with the key that divides it from what follows. When the
 * interior page is full, its last cell is taken back: the child becomes the page's last, the key goes one level up.
 * So a page that is begun always gets a cell, whether or not anything follows.
 */
static int enter(struct fc_btree *t, unsigned height, uint32_t child, const uint8_t *key, uint32_t key_size,
                 struct fc_error *err)
{
    uint8_t up[FC_PAGE_SIZE];
    uint32_t size, number, right;
    uint8_t *cell;
    int rc;

    if (height == t->height && add_level(t))
        return fc_error_set(err, FC_E_NOMEM, t->pages->name, FC_NO_OFFSET, "out of memory");
    if (!(cell = place(t->level[height], INTERIOR_HEAD, 4 + key_size))) {
        const uint8_t *last = pop(t->level[height], &size);
        memcpy(&right, last, 4);
        memcpy(up, last + 4, size - 4);
        if ((rc = close_page(t, height, __builtin_bswap32(right), &number, err)) ||
            (rc = enter(t, height + 1, number, up, size - 4, err)))
            return rc;
        cell = place(t->level[height], INTERIOR_HEAD, 4 + key_size);
    }
    put32(cell, child);
    memcpy(cell + 4, key, key_size);
    return 0;
}

/* Closes the full leaf. Its dividing key: the largest rowid of a table; in an index its last entry, which moves up. */
static int close_leaf(struct fc_btree *t, struct fc_error *err)
{
    uint8_t key[FC_PAGE_SIZE];
    uint32_t size, number;
    int rc;

    if (t->kind == FC_BTREE_TABLE) {
        size = (uint32_t)(fc_sqlite_varint(key, (uint64_t)t->last_rowid) - key);
    } else {
        const uint8_t *last = pop(t->level[0], &size);
        memcpy(key, last, size);
    }
    rc = close_page(t, 0, 0, &number, err);
    return rc ? rc : enter(t, 1, number, key, size, err);
}

/* Writes the end of a payload as a chain of overflow pages. */
static int write_chain(struct fc_btree *t, const uint8_t *p, size_t n, uint32_t *first, struct fc_error *err)
{
    uint8_t page[FC_PAGE_SIZE] = {0};
    size_t each = t->pages->usable - 4;
    uint32_t number, next;
    int rc = new_page(t, first, err);

    for (number = *first; rc == 0 && n; number = next) {
        size_t part = n < each ? n : each;
        next = 0;
        if (part < n && (rc = new_page(t, &next, err)))
            break;
        put32(page, next);
        memcpy(page + 4, p, part);
        memset(page + 4 + part, 0, sizeof page - 4 - part);
        rc = put_page(t, number, page, err);
        p += part;
        n -= part;
    }
    return rc;
}

static size_t local_size(const struct fc_btree *t, size_t len)
{
    size_t n;

    if (len <= t->local_max)
        return len;
    n = t->local_min + (len - t->local_min) % (t->pages->usable - 4);
    return n <= t->local_max ? n : t->local_min;
}

int fc_btree_add(struct fc_btree *t, int64_t rowid, const uint8_t *record, size_t len, struct fc_error *err)
{
    uint8_t prefix[PREFIX_MAX], *p = fc_sqlite_varint(prefix, len), *cell;
    size_t local = local_size(t, len), prefix_size, size;
    uint32_t chain = 0;
    int rc;

    if (t->kind == FC_BTREE_TABLE) {
        assert(rowid > t->last_rowid);
        p = fc_sqlite_varint(p, (uint64_t)rowid);
    }
    prefix_size = (size_t)(p - prefix);
    size = prefix_size + local + (local < len ? 4 : 0);
    if (local < len && (rc = write_chain(t, record + local, len - local, &chain, err)))
        return rc;
    if (!(cell = place(t->level[0], LEAF_HEAD, (uint32_t)size))) {
        if ((rc = close_leaf(t, err)))
            return rc;
        cell = place(t->level[0], LEAF_HEAD, (uint32_t)size);
    }
    t->last_rowid = rowid;
    memcpy(cell, prefix, prefix_size);
    memcpy(cell + prefix_size, record, local);
    if (local < len)
        put32(cell + prefix_size + local, chain);
    return 0;
}

int fc_btree_finish(struct fc_btree *t, struct fc_error *err)
{
    uint32_t child = 0;
    int rc = 0;

    if (t->level[0]->cells == 0)
        return 0; /* empty, as SQLite made it */
    for (unsigned i = 0; i + 1 < t->height && rc == 0; i++)
        rc = close_page(t, i, child, &child, err);
    if (rc == 0)
        rc = fc_pages_write(t->pages, t->root, complete(t, t->height - 1, child), 1, err);
    if (rc == 0 && t->used)
        rc = fc_pages_write(t->pages, t->extent.first, t->mem, t->used, err);
    fc_pages_give(t->pages, t->extent.first + t->used, t->extent.count - t->used);
    t->extent.count = t->used = 0;
    return rc;
}
