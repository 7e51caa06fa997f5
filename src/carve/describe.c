/* SPDX-License-Identifier: MIT */
#include "carve/describe.h"
#include "base/error.h"
#include "capture/pcapng.h"
#include "capture/section.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD_BLOCKS = 1024,       /* that a section begins with: so many are looked at, */
    HEAD_BLOCK_MAX = 16 << 20 /* and no larger one, which readers would not take either */
};

void fc_carve_files_fini(struct fc_carve_files *files)
{
    for (size_t i = 0; files->items && i < files->count; i++) {
        free(files->items[i].ifaces);
        free(files->items[i].heads);
    }
    free(files->items);
    fc_carve_ifaces_fini(&files->ifaces);
    memset(files, 0, sizeof *files);
}

int fc_carve_describe(void *ctx, struct fc_places *places, struct fc_place_file *f, struct fc_error *err)
{
    struct fc_carve_files *files = ctx;
    const struct fc_stored_file *s = f->stored;
    size_t first, last;
    uint64_t end;
    int rc = 0;

    if (!files->items) {
        files->items = calloc(places->stored.count, sizeof *files->items);
        files->count = files->items ? places->stored.count : 0;
    }
    struct fc_carve_iface **ifaces = calloc(s->iface_count + 1, sizeof *ifaces);
    if (!files->items || !ifaces) {
        free(ifaces);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    fc_carve_file_of(files, places, f)->ifaces = ifaces;
    for (size_t i = 0; i < f->count && rc == 0; i = fc_places_behind(f, i, end)) {
        if (!fc_section_range(s->ifaces, s->iface_count, f->pos[i].off, &first, &last, &end))
            return fc_error_set(err, FC_E_CHANGED, s->path, f->pos[i].off, "no interface holds here");
        if (ifaces[first]) /* a damaged index says so: the section was seen */
            continue;
        if (f->file.format == FC_FORMAT_PCAPNG)
            rc = fc_carve_ifaces_section(&files->ifaces, files->blocks, f, &s->ifaces[first], err);
        for (size_t k = first; k < last && rc == 0; k++)
            rc = fc_carve_ifaces_add(&files->ifaces, files->blocks, f, &s->ifaces[k], &ifaces[k], err);
    }
    return rc;
}

/* Keeps the blocks of names and secrets that the section begins with, before its first packet. */
static int read_head(struct fc_blocks *blocks, struct fc_place_file *f, const struct fc_interface *first,
                     struct fc_buffer *head, struct fc_error *err)
{
    static const uint32_t types[] = {FC_BLOCK_NRB, FC_BLOCK_DSB, FC_BLOCK_IDB, FC_BLOCK_SHB, 0};
    uint64_t off = first->section_off;

    for (int i = 0; i < HEAD_BLOCKS; i++) {
        uint8_t *block;
        uint32_t size;
        int rc = fc_blocks_load(blocks, f, off, first->big_endian, HEAD_BLOCK_MAX, types, &block, &size, err);
        if (rc != 1)
            return rc;
        uint32_t type = fc_load32(block, first->big_endian);
        bool kept = type == FC_BLOCK_NRB || type == FC_BLOCK_DSB;
        if (kept && (rc = fc_buffer_reserve(head, head->len + size)) == 0) {
            memcpy(head->data + head->len, block, size);
            head->len += size;
        }
        free(block);
        if (kept && rc)
            return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
        off += size;
    }
    return 0;
}

int fc_carve_head(struct fc_blocks *blocks, struct fc_carve_file *described, const struct fc_record_source *source,
                  struct fc_buffer heads[2], struct fc_error *err)
{
    const struct fc_stored_file *stored = source->f->stored;
    size_t first = source->iface - source->rec.iface;

    if (!described->heads && !(described->heads = calloc(stored->iface_count, sizeof *described->heads)))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (described->heads[first])
        return 0;
    described->heads[first] = true;
    return read_head(blocks, source->f, &stored->ifaces[first], &heads[stored->ifaces[first].big_endian], err);
}
