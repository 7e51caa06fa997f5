/* SPDX-License-Identifier: MIT */
/*
 * The indexes of the session table (schema/indexes.sql), built from their entries without reading the table.
 *
 * An index has one column: an address or a port of one end. Its entries, sorted as SQLite does: NULL, then integers,
 * then blobs by their bytes and a shorter one before a longer one that starts with it; equal values by rowid.
 *
 *   narrow entry  1 word:  bits 31-63 0 for NULL, else value + 1 (port or IPv4 address); bits 0-30 rowid
 *   wide entry    3 words: 16 bytes of address, big endian, zeros behind 6 bytes; bits 56-63 length, bits 0-55 rowid
 *
 * Threads: one an index; two indexes may be built at once. Limits: rowids up to FC_INDEX_ROWID_MAX.
 */
#ifndef FC_STORE_SESSION_INDEX_H
#define FC_STORE_SESSION_INDEX_H

#include "store/pages.h"
#include "store/record.h"
#include "store/sorter.h"

enum { FC_SESSION_INDEXES = 4, FC_INDEX_ROWID_MAX = INT32_MAX };

struct fc_session_index_name {
    const char *name, *column;
    bool port;   /* else address */
    bool server; /* else client */
};
extern const struct fc_session_index_name fc_session_indexes[FC_SESSION_INDEXES];

struct fc_session_index {
    const struct fc_session_index_name *name;
    uint32_t root;
    struct fc_sorter narrow, wide;
    uint64_t rows, distinct; /* after the build: entries, and values among them */
};

/* budget_bytes: of all indexes and their sorting. folder by pointer. */
void fc_session_index_init(struct fc_session_index *index, unsigned which, uint32_t root, size_t budget_bytes,
                           const char *folder);
void fc_session_index_fini(struct fc_session_index *index);

/* Takes the entry of a session; rowids ascend. FC_E_NOMEM, FC_E_IO. */
int fc_session_index_add(struct fc_session_index *index, int64_t rowid, const struct fc_session_record *record,
                         struct fc_error *err);

/* Writes the b-tree, and releases the entries. FC_E_NOMEM, FC_E_IO, FC_E_DB. */
int fc_session_index_build(struct fc_session_index *index, struct fc_pages *pages, struct fc_error *err);

#endif
