/* SPDX-License-Identifier: MIT */
/*
 * A transaction that reads, of which it is known what it sees: so pages can be read past SQLite, also in WAL mode,
 * where newer ones are in the -wal and others are added to it meanwhile.
 *
 * What the transaction sees is what the WAL-index said of the -wal when it began. As long as it lasts nobody writes
 * over these frames, nor puts later ones into the file.
 *
 * Threads: as the handle of the index.
 * Source: sqlite.org/walformat.html, sections 1.2 and 2; sqlite.org/fileformat2.html, section 4.
 */
#ifndef FC_STORE_SNAPSHOT_H
#define FC_STORE_SNAPSHOT_H

#include "store/db.h"

/* Begins a transaction in which something was read. FC_E_DB, FC_E_IO, FC_E_NOMEM, FC_E_INTERRUPTED. */
int fc_snapshot_begin(struct fc_db *db, struct fc_error *err);
void fc_snapshot_end(struct fc_db *db);

/* How many pages of `page_size` bytes there are; 0: it is not known what is seen, and SQLite itself must read. */
uint32_t fc_snapshot_pages(struct fc_db *db, uint32_t page_size);

/* Where a page is. False: the index is damaged. */
struct fc_page_place {
    sqlite3_file *file;
    int64_t off;
    bool wal; /* not in the file itself */
};
bool fc_snapshot_find(const struct fc_db *db, uint32_t page_size, uint32_t page, struct fc_page_place *place);

#endif
