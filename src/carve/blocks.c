/* SPDX-License-Identifier: MIT */
#include "carve/blocks.h"
#include "base/error.h"
#include "base/vector.h"
#include "capture/pcapng.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 16 << 20 };

struct fc_block_kept {
    const struct fc_stored_file *file;
    const uint32_t *types; /* NULL: bytes */
    uint64_t off;
    size_t asked; /* bytes at the most */
    int64_t result;
    uint32_t size;
    uint8_t *data;
    size_t len;
};

static bool fits(const struct fc_block_kept *kept, const struct fc_block_kept *asked)
{
    return kept->file == asked->file && kept->off == asked->off && kept->types == asked->types &&
           kept->asked == asked->asked;
}

static const struct fc_block_kept *find(struct fc_blocks *b, const struct fc_block_kept *asked)
{
    for (size_t i = 0; i < b->count; i++) {
        size_t at = b->next + i < b->count ? b->next + i : b->next + i - b->count;
        if (fits(&b->items[at], asked)) {
            b->next = at + 1 < b->count ? at + 1 : 0;
            return &b->items[at];
        }
    }
    return NULL;
}

/* Keeps a copy, where there is room and memory. */
static void keep(struct fc_blocks *b, struct fc_block_kept kept, const void *data, size_t len)
{
    if (b->bytes + len > KEPT_MAX || fc_vector_reserve(&b->items, &b->room, b->count + 1, sizeof *b->items))
        return;
    kept.data = malloc(len + 1);
    if (!kept.data)
        return;
    if (len)
        memcpy(kept.data, data, len);
    kept.len = len;
    b->bytes += len;
    b->items[b->count++] = kept;
}

int fc_blocks_load(struct fc_blocks *b, struct fc_place_file *f, uint64_t off, bool big, uint32_t max,
                   const uint32_t *types, uint8_t **block, uint32_t *size, struct fc_error *err)
{
    struct fc_block_kept asked = {.file = f->stored, .types = types, .off = off, .asked = max};
    const struct fc_block_kept *kept;
    struct fc_file file;
    int rc;

    if (!b)
        return fc_pcapng_load(&f->file, off, big, max, types, block, size, err);
    if ((kept = find(b, &asked))) {
        *size = kept->size;
        if (kept->result != 1)
            return (int)kept->result;
        if (!(*block = malloc(kept->len + 1)))
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        memcpy(*block, kept->data, kept->len);
        return 1;
    }
    if ((rc = fc_stored_file_enter(f->stored, &file, err)))
        return rc;
    rc = fc_pcapng_load(&file, off, big, max, types, block, size, err);
    fc_file_close(&file);
    asked.result = rc;
    asked.size = *size;
    if (rc >= 0)
        keep(b, asked, rc ? *block : NULL, rc ? *size : 0);
    return rc;
}

int64_t fc_blocks_read(struct fc_blocks *b, struct fc_place_file *f, void *buf, size_t n, uint64_t off,
                       struct fc_error *err)
{
    struct fc_block_kept asked = {.file = f->stored, .off = off, .asked = n};
    const struct fc_block_kept *kept;
    struct fc_file file;
    int rc;

    if (!b)
        return fc_file_read(&f->file, buf, n, off, err);
    if ((kept = find(b, &asked))) {
        memcpy(buf, kept->data, kept->len);
        return kept->result;
    }
    if ((rc = fc_stored_file_enter(f->stored, &file, err)))
        return rc;
    asked.result = fc_file_read(&file, buf, n, off, err);
    fc_file_close(&file);
    if (asked.result >= 0)
        keep(b, asked, buf, (size_t)asked.result);
    return asked.result;
}

void fc_blocks_fini(struct fc_blocks *b)
{
    for (size_t i = 0; i < b->count; i++)
        free(b->items[i].data);
    free(b->items);
    memset(b, 0, sizeof *b);
}
