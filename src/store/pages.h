/* SPDX-License-Identifier: MIT */
/*
 * Appends pages to a SQLite database that nobody has open, and brings its header up to date.
 *
 * Page numbers are handed out in extents, so that several b-trees can be built at once and each still writes long
 * stretches. What a builder did not use is given back, taken again before the file grows, and in the end cut off or
 * put on the database's list of free pages. The page at the lock byte (1 GiB) is never handed out.
 *
 * Header of the database, in page 1, as far as it is read (r) or written (w) here:
 *   16  2  r  page size: must be FC_PAGE_SIZE
 *   20  1  r  bytes kept free at the end of each page
 *   24  4  w  file change counter
 *   28  4  rw pages in the file
 *   32  4  rw first trunk page of the list of free pages: must be 0
 *   36  4  w  number of free pages
 *   44  4  r  schema format: must be 4
 *   52  4  r  largest root page of an auto-vacuum database: must be 0
 *   92  4  w  change counter for which the number of pages is valid
 * Trunk page: 0 4 next trunk, 4 4 number n of leaves, 8 4n page numbers.
 *
 * Threads: fc_pages_take, _give, _write and _pass any; the rest one. Unless told not to, a thread of its own
 * writes what is passed (store/behind.h).
 * Source: sqlite.org/fileformat2.html, sections 1.3 and 1.5.
 */
#ifndef FC_STORE_PAGES_H
#define FC_STORE_PAGES_H

#include "store/behind.h"

enum { FC_PAGE_SIZE = 4096, FC_EXTENT_PAGES = 64, FC_EXTENTS_MAX = 64 };

struct fc_extent {
    uint32_t first, count;
};

struct fc_pages {
    /* immutable after open */
    int fd;
    const char *name; /* for messages */
    uint32_t usable;  /* bytes of a page that SQLite uses */
    uint32_t lock_page;
    struct fc_behind behind;
    /* guarded by lock */
    pthread_mutex_t lock;
    uint32_t count; /* pages of the file so far */
    struct fc_extent spare[FC_EXTENTS_MAX];
    unsigned spare_count;
};

/* fd: open for reading and writing, stays the caller's; name by pointer; alone: no thread but the callers'. FC_E_DB:
 * not a database
 * as above. FC_E_IO. */
int fc_pages_open(struct fc_pages *pages, int fd, const char *name, bool alone, struct fc_error *err);

/* 1 to `want` pages (at most FC_EXTENT_PAGES) in a row. FC_E_DB: SQLite allows no more pages. */
int fc_pages_take(struct fc_pages *pages, uint32_t want, struct fc_extent *extent, struct fc_error *err);
/* Gives pages back; at most FC_EXTENTS_MAX times. */
void fc_pages_give(struct fc_pages *pages, uint32_t first, uint32_t count);

/* Writes `count` pages from number `first` on. FC_E_IO. */
int fc_pages_write(struct fc_pages *pages, uint32_t first, const uint8_t *data, uint32_t count, struct fc_error *err);

/* The same for FC_EXTENT_PAGES pages of memory at the most, which are written later; *data is other memory then.
 * FC_E_NOMEM, FC_E_IO:
 * also of what was passed before. */
int fc_pages_pass(struct fc_pages *pages, uint32_t first, uint8_t **data, uint32_t count, struct fc_error *err);

/* Spare pages and header. Nothing may be taken or written afterwards. FC_E_IO. */
int fc_pages_finish(struct fc_pages *pages, struct fc_error *err);
void fc_pages_close(struct fc_pages *pages);

#endif
