/* SPDX-License-Identifier: MIT */
#include "store/pages.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/io.h"

#include <assert.h>
#include <unistd.h>

enum {
    HEADER = 100,
    LOCK_BYTE = 0x40000000,
    PAGES_MAX = 1073741823,           /* SQLITE_MAX_PAGE_COUNT as SQLite is built everywhere */
    LEAVES_MAX = FC_PAGE_SIZE / 4 - 8 /* of a trunk page: versions before 3.6.0 cannot read the last six */
};

static void put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

int fc_pages_open(struct fc_pages *pages, int fd, const char *name, bool alone, struct fc_error *err)
{
    uint8_t h[HEADER];
    int rc = fc_io_read(fd, h, sizeof h, 0, name, err);

    if (rc)
        return rc;
    if (memcmp(h, "SQLite format 3", 16) != 0 || fc_load16(h + 16, true) != FC_PAGE_SIZE || h[20] > 32 ||
        fc_load32(h + 32, true) != 0 || fc_load32(h + 44, true) != 4 || fc_load32(h + 52, true) != 0)
        return fc_error_set(err, FC_E_DB, name, FC_NO_OFFSET, "not an empty database of the expected format");
    *pages = (struct fc_pages){.fd = fd,
                               .name = name,
                               .usable = FC_PAGE_SIZE - h[20],
                               .lock_page = LOCK_BYTE / FC_PAGE_SIZE + 1,
                               .count = fc_load32(h + 28, true)};
    pthread_mutex_init(&pages->lock, NULL);
    fc_behind_init(&pages->behind, fd, name, (size_t)FC_EXTENT_PAGES * FC_PAGE_SIZE, alone);
    return 0;
}

void fc_pages_close(struct fc_pages *pages)
{
    fc_behind_fini(&pages->behind);
    pthread_mutex_destroy(&pages->lock);
}

/* From the spare extent that lies first. */
static void take_spare(struct fc_pages *pages, uint32_t want, struct fc_extent *extent)
{
    unsigned least = 0;

    for (unsigned i = 1; i < pages->spare_count; i++)
        if (pages->spare[i].first < pages->spare[least].first)
            least = i;
    struct fc_extent *spare = &pages->spare[least];
    *extent = (struct fc_extent){spare->first, want < spare->count ? want : spare->count};
    spare->first += extent->count;
    spare->count -= extent->count;
    if (!spare->count)
        *spare = pages->spare[--pages->spare_count];
}

int fc_pages_take(struct fc_pages *pages, uint32_t want, struct fc_extent *extent, struct fc_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&pages->lock);
    if (pages->spare_count) {
        take_spare(pages, want, extent);
    } else if (pages->count > PAGES_MAX - want - 1) {
        rc = fc_error_set(err, FC_E_DB, pages->name, FC_NO_OFFSET, "the index grows beyond what SQLite can hold");
    } else {
        uint32_t first = pages->count + 1;
        first += first == pages->lock_page;
        if (first < pages->lock_page && pages->lock_page - first < want)
            want = pages->lock_page - first;
        *extent = (struct fc_extent){first, want};
        pages->count = first + want - 1;
    }
    pthread_mutex_unlock(&pages->lock);
    return rc;
}

void fc_pages_give(struct fc_pages *pages, uint32_t first, uint32_t count)
{
    if (!count)
        return;
    pthread_mutex_lock(&pages->lock);
    assert(pages->spare_count < FC_EXTENTS_MAX);
    pages->spare[pages->spare_count++] = (struct fc_extent){first, count};
    pthread_mutex_unlock(&pages->lock);
}

static uint64_t offset_of(uint32_t page)
{
    return (uint64_t)(page - 1) * FC_PAGE_SIZE;
}

int fc_pages_write(struct fc_pages *pages, uint32_t first, const uint8_t *data, uint32_t count, struct fc_error *err)
{
    size_t bytes = (size_t)count * FC_PAGE_SIZE;

    fc_behind_settle(&pages->behind, offset_of(first), bytes);
    return fc_io_write(pages->fd, data, bytes, offset_of(first), pages->name, err);
}

int fc_pages_pass(struct fc_pages *pages, uint32_t first, uint8_t **data, uint32_t count, struct fc_error *err)
{
    return fc_behind_pass(&pages->behind, offset_of(first), data, (size_t)count * FC_PAGE_SIZE, err);
}

/* Cuts spare pages off the end of the file. */
static void cut(struct fc_pages *pages)
{
    for (unsigned i = 0; i < pages->spare_count;) {
        struct fc_extent *spare = &pages->spare[i];
        uint32_t end = spare->first + spare->count;
        /* the lock page is not counted when it would be the last */
        if (pages->count == pages->lock_page && end == pages->lock_page)
            pages->count--;
        if (end != pages->count + 1) {
            i++;
            continue;
        }
        pages->count = spare->first - 1;
        *spare = pages->spare[--pages->spare_count];
        i = 0; /* another one may be the last now */
    }
    if (pages->count == pages->lock_page)
        pages->count--;
}

/* Writes the remaining spare pages as a chain of trunk pages. */
static int write_free_list(struct fc_pages *pages, uint32_t *first, uint32_t *count, struct fc_error *err)
{
    uint8_t trunk[FC_PAGE_SIZE];
    uint32_t number = 0, leaves = 0;
    int rc = 0;

    *first = *count = 0;
    for (unsigned i = 0; i < pages->spare_count && rc == 0; i++) {
        for (uint32_t k = 0; k < pages->spare[i].count && rc == 0; k++, ++*count) {
            uint32_t page = pages->spare[i].first + k;
            if (number && leaves < LEAVES_MAX) {
                put32(trunk + 8 + 4 * leaves++, page);
                continue;
            }
            if (number) {
                put32(trunk, *first);
                put32(trunk + 4, leaves);
                rc = fc_pages_write(pages, number, trunk, 1, err);
                *first = number;
            }
            memset(trunk, 0, sizeof trunk);
            number = page;
            leaves = 0;
        }
    }
    if (rc == 0 && number) {
        put32(trunk, *first);
        put32(trunk + 4, leaves);
        rc = fc_pages_write(pages, number, trunk, 1, err);
        *first = number;
    }
    return rc;
}

int fc_pages_finish(struct fc_pages *pages, struct fc_error *err)
{
    uint8_t h[HEADER];
    uint32_t first, count;
    int rc;

    if ((rc = fc_behind_stop(&pages->behind, err)))
        return rc;
    cut(pages);
    if ((rc = write_free_list(pages, &first, &count, err)) ||
        (rc = fc_io_read(pages->fd, h, sizeof h, 0, pages->name, err)))
        return rc;
    uint32_t counter = fc_load32(h + 24, true) + 1;
    put32(h + 24, counter);
    put32(h + 28, pages->count);
    put32(h + 32, first);
    put32(h + 36, count);
    put32(h + 92, counter);
    if ((rc = fc_io_write(pages->fd, h, sizeof h, 0, pages->name, err)))
        return rc;
    /* pages that were handed out, but never written, lie at the end at most as a hole */
    if (ftruncate(pages->fd, (off_t)pages->count * FC_PAGE_SIZE) != 0)
        return fc_error_errno(err, FC_E_IO, pages->name, FC_NO_OFFSET, "cannot truncate");
    return 0;
}
