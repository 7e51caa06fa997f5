/* SPDX-License-Identifier: MIT */
#include "carve/tail.h"
#include "capture/pcapng.h"

#include <stdlib.h>

enum { BLOCK_MAX = 64 << 10, BLOCKS_MAX = 256 };

/* The block of statistics that ends at `end`: 1 and it, to be freed; 0: another one does. */
static int block_before(struct fc_blocks *kept, struct fc_place_file *f, uint64_t begin, uint64_t end, bool big,
                        uint8_t **block, uint32_t *size, struct fc_error *err)
{
    static const uint32_t types[] = {FC_BLOCK_ISB, 0};
    uint8_t last[4];
    uint32_t len;
    int64_t n;

    if (end - begin < sizeof last)
        return 0;
    if ((n = fc_blocks_read(kept, f, last, sizeof last, end - sizeof last, err)) < 0)
        return (int)n;
    len = fc_load32(last, big);
    if (n < 4 || len < 24 || len % 4 || len > BLOCK_MAX || len > end - begin)
        return 0;
    return fc_blocks_load(kept, f, end - len, big, BLOCK_MAX, types, block, size, err);
}

static int write_block(struct fc_output *out, struct fc_carve_iface *const *ifaces, size_t count, bool big,
                       const uint8_t *block, uint32_t size, struct fc_error *err)
{
    uint32_t number = fc_load32(block + 8, big);
    int rc;

    if (number >= count || !ifaces[number]->section)
        return 0;
    rc = fc_output_block(out, ifaces[number], block, size);
    return rc ? fc_output_error(rc, err) : 0;
}

/* Those at the end of the section of interfaces [first, last), in their order. */
static int write_tail(struct fc_output *out, struct fc_blocks *kept, const struct fc_carve_file *described,
                      struct fc_place_file *f, size_t first, size_t last, uint64_t end, struct fc_error *err)
{
    const struct fc_interface *iface = &f->stored->ifaces[first];
    uint8_t *blocks[BLOCKS_MAX];
    uint32_t sizes[BLOCKS_MAX];
    unsigned n = 0;
    int rc = 1;

    while (n < BLOCKS_MAX &&
           (rc = block_before(kept, f, iface->section_off, end, iface->big_endian, &blocks[n], &sizes[n], err)) == 1)
        end -= sizes[n++];
    rc = rc < 0 ? rc : 0;
    while (n--) {
        if (rc == 0)
            rc = write_block(out, described->ifaces + first, last - first, iface->big_endian, blocks[n], sizes[n], err);
        free(blocks[n]);
    }
    return rc;
}

int fc_carve_write_tails(struct fc_output *out, struct fc_blocks *kept, const struct fc_carve_file *described,
                         struct fc_place_file *f, struct fc_error *err)
{
    const struct fc_stored_file *s = f->stored;
    int rc = 0;

    if (!described->heads || f->file.compression)
        return 0;
    for (size_t first = 0, last; first < s->iface_count && rc == 0; first = last) {
        for (last = first + 1; last < s->iface_count && s->ifaces[last].section == s->ifaces[first].section;)
            last++;
        if (described->heads[first])
            rc = write_tail(out, kept, described, f, first, last,
                            last < s->iface_count ? s->ifaces[last].section_off : s->end_off, err);
    }
    return rc;
}
