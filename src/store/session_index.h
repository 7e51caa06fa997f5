/* SPDX-License-Identifier: MIT */
/*
 * The indexes of the session table (schema/indexes.sql), built from their entries without reading the table.
 *
 * Two have one column, the address of one end. Their entries, sorted as SQLite does: NULL, then integers, then blobs by
 * their bytes and a shorter one before a longer one that starts with it; equal values by rowid. The third is the table
 * session_port, whose rows are stored as an index's entries are: port, then block in place of the rowid. The fourth has
 * the Community IDs of session_fields, where these are stored.
 *
 *   narrow entry  1 word:  bits 31-63 0 for NULL, else value + 1 (port or IPv4 address); bits 0-30 rowid or block
 *   wide entry    3 words: 16 bytes of address, big endian, zeros behind 6 bytes; bits 56-63 length, bits 0-55 rowid
 *   community     3 words: bits of the digest in the order of their text: 26 ranks of 6 bits and one of 4; 31 bits
 *                 rowid
 *
 * Threads: one an index; two indexes may be built at once. Limits: rowids up to FC_INDEX_ROWID_MAX.
 */
#ifndef FC_STORE_SESSION_INDEX_H
#define FC_STORE_SESSION_INDEX_H

#include "store/pages.h"
#include "store/record.h"
#include "store/sorter.h"

/* The largest first: they are built in this order, two at a time. */
enum { FC_INDEX_COMMUNITY, FC_INDEX_PORT, FC_INDEX_CLIENT, FC_INDEX_SERVER, FC_SESSION_INDEXES };
enum { FC_INDEX_ROWID_MAX = INT32_MAX, FC_PORT_BLOCK_BITS = 6, FC_PORT_BLOCK_SESSIONS = 1 << FC_PORT_BLOCK_BITS };

struct fc_session_index_name {
    const char *name, *table, *column;
    const char *where; /* condition of a row to be in it, or "" */
};
extern const struct fc_session_index_name fc_session_indexes[FC_SESSION_INDEXES];

struct fc_session_index {
    const struct fc_session_index_name *name;
    unsigned which;
    uint32_t root;
    struct fc_sorter narrow, wide;
    int64_t block;                      /* ports: the latest */
    uint64_t block_has[(1 << 16) / 64]; /* ports: a bit each that is noted for it */
    uint64_t rows, distinct;            /* after the build: entries, and values among them */
};

/* budget_bytes: of all indexes and their sorting; community: that one is among them. folder by pointer. */
void fc_session_index_init(struct fc_session_index *index, unsigned which, uint32_t root, size_t budget_bytes,
                           bool community, const char *folder);
void fc_session_index_fini(struct fc_session_index *index);

/* Whether an entry can hold this text: it is a Community ID as flowcarve writes them. */
bool fc_session_index_is_community(const char *text);

/* Takes the entry of a session, for FC_INDEX_COMMUNITY by its ID; rowids ascend. FC_E_NOMEM, FC_E_IO. */
int fc_session_index_add_community(struct fc_session_index *index, int64_t rowid, const char *id, struct fc_error *err);
int fc_session_index_add(struct fc_session_index *index, int64_t rowid, const struct fc_session_record *record,
                         struct fc_error *err);

/* Writes the b-tree, and releases the entries. FC_E_NOMEM, FC_E_IO, FC_E_DB. */
int fc_session_index_build(struct fc_session_index *index, struct fc_pages *pages, struct fc_error *err);

#endif
