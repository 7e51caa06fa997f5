/* SPDX-License-Identifier: MIT */
#include "store/session_index.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/btree.h"
#include "store/sqlite_record.h"

enum {
    ROWID_BITS = 31,
    LENGTH_SHIFT = 56,
    /* shares of the memory: two addresses of 3 + 2, the ports of both ends, and two sorts at once of the largest */
    PORT_PARTS = 4,
    NARROW_PARTS = 2,
    WIDE_PARTS = 3,
    PARTS = 2 * (NARROW_PARTS + WIDE_PARTS) + PORT_PARTS + PORT_PARTS + WIDE_PARTS,
    COMMUNITY_PARTS = 2 * WIDE_PARTS, /* itself and its sort, which may be at once with that of the ports */
    ID_PREFIX = 2,                    /* "1:" */
    ID_DIGITS = 27,                   /* of base64, and a "=" behind them */
    PACKED_BYTES = 20,
};

const struct fc_session_index_name fc_session_indexes[FC_SESSION_INDEXES] = {
    [FC_INDEX_COMMUNITY] = {"session_community", "session_fields", "community_id", " WHERE community_id IS NOT NULL"},
    [FC_INDEX_PORT] = {"session_port", "session_port", "port", ""},
    [FC_INDEX_CLIENT] = {"session_client", "session", "client_addr", ""},
    [FC_INDEX_SERVER] = {"session_server", "session", "server_addr", ""},
};

void fc_session_index_init(struct fc_session_index *index, unsigned which, uint32_t root, size_t budget, bool community,
                           const char *folder)
{
    size_t narrow = which == FC_INDEX_PORT ? PORT_PARTS : NARROW_PARTS;
    size_t part = budget / (PARTS + (community ? COMMUNITY_PARTS : 0));

    *index = (struct fc_session_index){.name = &fc_session_indexes[which], .which = which, .root = root};
    fc_sorter_init(&index->narrow, 1, ROWID_BITS, part * narrow, folder);
    fc_sorter_init(&index->wide, 3, which == FC_INDEX_COMMUNITY ? ROWID_BITS : LENGTH_SHIFT, part * WIDE_PARTS, folder);
}

void fc_session_index_fini(struct fc_session_index *index)
{
    fc_sorter_fini(&index->narrow);
    fc_sorter_fini(&index->wide);
}

/* Ports of sessions that lie together repeat; each is noted once for a block. */
static int add_ports(struct fc_session_index *index, int64_t rowid, const struct fc_flow_key *key, struct fc_error *err)
{
    int64_t block = (rowid - 1) >> FC_PORT_BLOCK_BITS;
    int rc = 0;

    if (!fc_proto_has_ports(key->proto))
        return 0;
    if (block != index->block) {
        memset(index->block_has, 0, sizeof index->block_has);
        index->block = block;
    }
    for (int i = 0; i < 2 && rc == 0; i++) {
        uint64_t *has = &index->block_has[key->port[i] / 64], bit = UINT64_C(1) << key->port[i] % 64;
        uint64_t entry = (key->port[i] + UINT64_C(1)) << ROWID_BITS | (uint64_t)block;

        if (!(*has & bit))
            rc = fc_sorter_add(&index->narrow, &entry, err);
        *has |= bit;
    }
    return rc;
}

/*
 * A Community ID's digits as bits that sort as their text does: the place of each in the order of the characters, 6
 * bits, and 4 of the last one, which is one of 0, 4, 8, A, E, I...
 */
static void pack_id(const char *id, uint8_t packed[PACKED_BYTES])
{
    uint32_t bits = 0;
    unsigned have = 0;

    for (unsigned i = 0; i < ID_DIGITS; i++) {
        char c = id[ID_PREFIX + i];
        unsigned rank = c >= 'a'   ? (unsigned)(c - 'a') + 38
                        : c >= 'A' ? (unsigned)(c - 'A') + 12
                        : c >= '0' ? (unsigned)(c - '0') + 2
                                   : c == '/';
        unsigned width = i < ID_DIGITS - 1 ? 6 : 4;
        bits = bits << width | rank >> (6 - width);
        for (have += width; have >= 8; have -= 8)
            *packed++ = (uint8_t)(bits >> (have - 8));
    }
}

static void unpack_id(const uint8_t packed[PACKED_BYTES], char id[FC_COMMUNITY_ID_SIZE])
{
    static const char digits[] = "+/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t bits = 0;
    unsigned have = 0;

    memcpy(id, "1:", ID_PREFIX);
    for (unsigned i = 0; i < ID_DIGITS - 1; i++, have -= 6) {
        if (have < 6) {
            bits = bits << 8 | *packed++;
            have += 8;
        }
        id[ID_PREFIX + i] = digits[bits >> (have - 6) & 63];
    }
    unsigned last = packed[-1] & 15;
    id[ID_PREFIX + ID_DIGITS - 1] = digits[4 * last + (last < 3 ? 2 : 0)];
    memcpy(id + ID_PREFIX + ID_DIGITS, "=", 2);
}

bool fc_session_index_is_community(const char *text)
{
    uint8_t packed[PACKED_BYTES];
    char id[FC_COMMUNITY_ID_SIZE];

    if (strlen(text) != FC_COMMUNITY_ID_SIZE - 1)
        return false;
    pack_id(text, packed);
    unpack_id(packed, id);
    return strcmp(text, id) == 0;
}

int fc_session_index_add_community(struct fc_session_index *index, int64_t rowid, const char *id, struct fc_error *err)
{
    uint8_t packed[PACKED_BYTES];
    uint64_t entry[FC_SORTER_WORDS_MAX];

    pack_id(id, packed);
    for (int i = 0; i < 2; i++) {
        memcpy(&entry[i], packed + 8 * i, 8);
        entry[i] = __builtin_bswap64(entry[i]);
    }
    entry[2] = (uint64_t)fc_load32(packed + 16, true) << 32 | (uint64_t)rowid;
    return fc_sorter_add(&index->wide, entry, err);
}

int fc_session_index_add(struct fc_session_index *index, int64_t rowid, const struct fc_session_record *r,
                         struct fc_error *err)
{
    int endpoint = fc_session_client(&r->session) ^ (index->which == FC_INDEX_SERVER);
    const uint8_t *addr = r->key.addr[endpoint];
    uint64_t entry[FC_SORTER_WORDS_MAX] = {0};
    unsigned len = 0;

    if (index->which == FC_INDEX_PORT)
        return add_ports(index, rowid, &r->key, err);
    if (r->key.addr_kind == FC_ADDR_IPV4) {
        entry[0] = fc_load32(addr, true) + UINT64_C(1);
    } else if (r->key.addr_kind != FC_ADDR_NONE) {
        len = r->key.addr_kind == FC_ADDR_IPV6 ? 16 : 6;
        memcpy(entry, addr, len);
        entry[0] = __builtin_bswap64(entry[0]);
        entry[1] = __builtin_bswap64(entry[1]);
        entry[2] = (uint64_t)len << LENGTH_SHIFT | (uint64_t)rowid;
        return fc_sorter_add(&index->wide, entry, err);
    }
    entry[0] = entry[0] << ROWID_BITS | (uint64_t)rowid;
    return fc_sorter_add(&index->narrow, entry, err);
}

/* Record of an index entry: header of three bytes, value, rowid. The value's serial type and content are there. */
static size_t end_record(uint8_t *record, uint8_t *p, int64_t rowid)
{
    unsigned bytes;

    record[0] = 3;
    record[2] = (uint8_t)fc_sqlite_int_type(rowid, &bytes);
    return (size_t)(fc_sqlite_int(p, rowid, bytes) - record);
}

static int build_narrow(struct fc_session_index *index, struct fc_btree *tree, struct fc_error *err)
{
    uint8_t record[3 + 8 + 8];
    const uint64_t *entry;
    uint64_t last = UINT64_MAX;
    int rc = fc_sorter_sort(&index->narrow, err);

    if (rc)
        return rc;
    while ((rc = fc_sorter_next(&index->narrow, &entry, err)) == 1) {
        int64_t rowid = (int64_t)(*entry & FC_INDEX_ROWID_MAX);
        uint64_t value = *entry >> ROWID_BITS;
        unsigned bytes = 0;
        record[1] = value ? (uint8_t)fc_sqlite_int_type((int64_t)value - 1, &bytes) : 0;
        uint8_t *p = fc_sqlite_int(record + 3, (int64_t)value - 1, bytes);
        if ((rc = fc_btree_add(tree, 0, record, end_record(record, p, rowid), err)))
            return rc;
        index->distinct += value != last;
        last = value;
    }
    index->rows += index->narrow.total;
    return rc;
}

static int build_wide(struct fc_session_index *index, struct fc_btree *tree, struct fc_error *err)
{
    uint8_t record[3 + 16 + 8];
    uint64_t last[FC_SORTER_WORDS_MAX] = {0}; /* no entry has length 0 */
    const uint64_t *entry;
    int rc = fc_sorter_sort(&index->wide, err);

    if (rc)
        return rc;
    while ((rc = fc_sorter_next(&index->wide, &entry, err)) == 1) {
        uint64_t big[2] = {__builtin_bswap64(entry[0]), __builtin_bswap64(entry[1])};
        uint64_t len = entry[2] >> LENGTH_SHIFT;
        record[1] = (uint8_t)(12 + 2 * len);
        memcpy(record + 3, big, sizeof big);
        size_t size = end_record(record, record + 3 + len, (int64_t)(entry[2] & ((UINT64_C(1) << LENGTH_SHIFT) - 1)));
        if ((rc = fc_btree_add(tree, 0, record, size, err)))
            return rc;
        index->distinct += entry[0] != last[0] || entry[1] != last[1] || len != last[2];
        last[0] = entry[0];
        last[1] = entry[1];
        last[2] = len;
    }
    index->rows += index->wide.total;
    return rc;
}

static int build_community(struct fc_session_index *index, struct fc_btree *tree, struct fc_error *err)
{
    enum { TEXT_BYTES = FC_COMMUNITY_ID_SIZE - 1 };
    uint8_t record[3 + FC_COMMUNITY_ID_SIZE + 8], packed[PACKED_BYTES], last[PACKED_BYTES];
    const uint64_t *entry;
    int rc = fc_sorter_sort(&index->wide, err);

    if (rc)
        return rc;
    while ((rc = fc_sorter_next(&index->wide, &entry, err)) == 1) {
        uint64_t big[3] = {__builtin_bswap64(entry[0]), __builtin_bswap64(entry[1]), __builtin_bswap64(entry[2])};
        memcpy(packed, big, sizeof packed);
        unpack_id(packed, (char *)record + 3);
        record[1] = (uint8_t)(13 + 2 * TEXT_BYTES);
        size_t size = end_record(record, record + 3 + TEXT_BYTES, (int64_t)(entry[2] & FC_INDEX_ROWID_MAX));
        if ((rc = fc_btree_add(tree, 0, record, size, err)))
            return rc;
        index->distinct += index->distinct == 0 || memcmp(packed, last, sizeof last) != 0;
        memcpy(last, packed, sizeof last);
    }
    index->rows += index->wide.total;
    return rc;
}

int fc_session_index_build(struct fc_session_index *index, struct fc_pages *pages, struct fc_error *err)
{
    struct fc_btree *tree = fc_btree_new(pages, FC_BTREE_INDEX, index->root);
    int rc;

    if (!tree)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    index->rows = index->distinct = 0;
    if (index->which == FC_INDEX_COMMUNITY) {
        rc = build_community(index, tree, err);
    } else {
        rc = build_narrow(index, tree, err);
        if (rc == 0)
            rc = build_wide(index, tree, err);
    }
    if (rc == 0)
        rc = fc_btree_finish(tree, err);
    fc_btree_free(tree);
    fc_session_index_fini(index);
    return rc;
}
