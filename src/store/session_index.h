/* SPDX-License-Identifier: MIT */
/*
 * The indexes of the session table (schema/indexes.sql), built from their entries without reading the table.
 *
 * All begin with the epoch of an ID, which rises with the IDs: so they grow at their right edge, and are built an epoch
 * at a time. Behind it, two have the address of one end. Their entries are sorted as SQLite does: NULL, then integers,
 * then blobs by their bytes and a shorter one before a longer one that starts with it; equal values by rowid. The third
 * is the table session_port, whose rows are stored as an index's entries are: port, then the block's number in the
 * epoch in place of the rowid. The fourth has the Community IDs of session_fields, where these are stored.
 *
 *   narrow entry  1 word:  0 for NULL, else value + 1 (IPv4 address), and 18 bits (rowid - 1) of the epoch
 *                          port, and 12 bits of the block
 *   wide entry    3 words: 16 bytes of address, big endian, zeros behind 6 bytes; bits 56-63 length, below the rowid's
 *   community     3 words: bits of the digest in the order of their text: 26 ranks of 6 bits and one of 4; 32 bits, of
 *                          them the rowid's
 *
 * Threads: one may add entries while another one builds those of the epoch before. Memory: the entries of two epochs,
 * up to 20 MB for IPv4, 60 MB for IPv6 with Community IDs.
 */
#ifndef FC_STORE_SESSION_INDEX_H
#define FC_STORE_SESSION_INDEX_H

#include "store/btree.h"
#include "store/record.h"
#include "store/sorter.h"

/* The largest first: they are built in this order, two at a time. */
enum { FC_INDEX_COMMUNITY, FC_INDEX_PORT, FC_INDEX_CLIENT, FC_INDEX_SERVER, FC_SESSION_INDEXES };
enum {
    FC_EPOCH_BITS = 18,
    FC_EPOCH_SESSIONS = 1 << FC_EPOCH_BITS,
    FC_PORT_BLOCK_BITS = 6,
    FC_PORT_BLOCK_SESSIONS = 1 << FC_PORT_BLOCK_BITS,
    FC_PORT_BLOCKS = FC_EPOCH_SESSIONS / FC_PORT_BLOCK_SESSIONS /* of an epoch */
};

/* Epoch of an ID, and block in that epoch. */
static inline int64_t fc_epoch_of(int64_t id)
{
    return (id - 1) >> FC_EPOCH_BITS;
}
static inline int64_t fc_port_block_of(int64_t id)
{
    return (id - 1) >> FC_PORT_BLOCK_BITS & (FC_PORT_BLOCKS - 1);
}

/* By FC_INDEX_*. */
extern const char *const fc_session_indexes[FC_SESSION_INDEXES];

struct fc_index_entries {
    struct fc_sorter narrow, wide;
};

struct fc_session_index {
    unsigned which;
    struct fc_btree *tree;
    struct fc_index_entries taken, ready;
    int64_t block;                      /* ports: the latest */
    uint64_t block_has[(1 << 16) / 64]; /* ports: a bit each that is noted for it */
};

/* root: number of its empty root page. FC_E_NOMEM. */
int fc_session_index_init(struct fc_session_index *index, unsigned which, struct fc_pages *pages, uint32_t root,
                          struct fc_error *err);
void fc_session_index_fini(struct fc_session_index *index);

/* Whether an entry can hold this text: it is a Community ID as flowcarve writes them. */
bool fc_session_index_is_community(const char *text);

/* Takes the entry of a session, for FC_INDEX_COMMUNITY by its ID; rowids ascend and are of one epoch. FC_E_NOMEM. */
int fc_session_index_add_community(struct fc_session_index *index, int64_t rowid, const char *id, struct fc_error *err);
int fc_session_index_add(struct fc_session_index *index, int64_t rowid, const struct fc_session_record *record,
                         struct fc_error *err);

/* What was taken is to be built next; what was to be so far has been. */
void fc_session_index_turn(struct fc_session_index *index);
/* Appends these entries to the b-tree. FC_E_NOMEM, FC_E_IO, FC_E_DB. */
int fc_session_index_build(struct fc_session_index *index, int64_t epoch, struct fc_error *err);
/* Ends the b-tree. FC_E_IO, FC_E_DB. */
int fc_session_index_finish(struct fc_session_index *index, struct fc_error *err);

#endif
