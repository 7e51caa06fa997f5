/* SPDX-License-Identifier: MIT */
#include "store/session_index.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/sqlite_record.h"

enum {
    LENGTH_SHIFT = 56,
    DIGEST_SHIFT = 32,
    LOW_MASK = FC_EPOCH_SESSIONS - 1,
    BLOCK_BITS = FC_EPOCH_BITS - FC_PORT_BLOCK_BITS,
    HEAD = 4,       /* of an index record, and types of its three columns */
    ID_PREFIX = 2,  /* "1:" */
    ID_DIGITS = 27, /* of base64, and a "=" behind them */
    PACKED_BYTES = 20,
};

const char *const fc_session_indexes[FC_SESSION_INDEXES] = {
    [FC_INDEX_COMMUNITY] = "session_community",
    [FC_INDEX_PORT] = "session_port",
    [FC_INDEX_CLIENT] = "session_client",
    [FC_INDEX_SERVER] = "session_server",
};

int fc_session_index_init(struct fc_session_index *index, unsigned which, struct fc_pages *pages, uint32_t root,
                          struct fc_error *err)
{
    *index = (struct fc_session_index){.which = which, .tree = fc_btree_new(pages, FC_BTREE_INDEX, root), .block = -1};
    for (int i = 0; i < 2; i++) {
        struct fc_index_entries *e = i ? &index->ready : &index->taken;
        fc_sorter_init(&e->narrow, 1, which == FC_INDEX_PORT ? BLOCK_BITS : FC_EPOCH_BITS);
        fc_sorter_init(&e->wide, 3, which == FC_INDEX_COMMUNITY ? DIGEST_SHIFT : LENGTH_SHIFT);
    }
    return index->tree ? 0 : fc_error_set(err, FC_E_NOMEM, pages->name, FC_NO_OFFSET, "out of memory");
}

void fc_session_index_fini(struct fc_session_index *index)
{
    fc_btree_free(index->tree);
    index->tree = NULL;
    fc_sorter_fini(&index->taken.narrow);
    fc_sorter_fini(&index->taken.wide);
    fc_sorter_fini(&index->ready.narrow);
    fc_sorter_fini(&index->ready.wide);
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
        uint64_t entry = (uint64_t)key->port[i] << BLOCK_BITS | (uint64_t)fc_port_block_of(rowid);

        if (!(*has & bit))
            rc = fc_sorter_add(&index->taken.narrow, &entry, err);
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
    entry[2] = (uint64_t)fc_load32(packed + 16, true) << DIGEST_SHIFT | ((uint64_t)(rowid - 1) & LOW_MASK);
    return fc_sorter_add(&index->taken.wide, entry, err);
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
        entry[2] = (uint64_t)len << LENGTH_SHIFT | ((uint64_t)(rowid - 1) & LOW_MASK);
        return fc_sorter_add(&index->taken.wide, entry, err);
    }
    entry[0] = entry[0] << FC_EPOCH_BITS | ((uint64_t)(rowid - 1) & LOW_MASK);
    return fc_sorter_add(&index->taken.narrow, entry, err);
}

/* An epoch's record of an index: three columns, the first of which is there. */
struct record {
    uint8_t bytes[HEAD + 8 + FC_COMMUNITY_ID_SIZE + 8];
    uint8_t *value; /* where the second column goes */
    int64_t first;  /* rowid at which the epoch begins */
};

static void begin_record(struct record *r, int64_t epoch)
{
    unsigned bytes;

    r->bytes[0] = HEAD;
    r->bytes[1] = (uint8_t)fc_sqlite_int_type(epoch, &bytes);
    r->value = fc_sqlite_int(r->bytes + HEAD, epoch, bytes);
    r->first = epoch * FC_EPOCH_SESSIONS + 1;
}

/* Appends the record whose second column ends at p; last: the third one, a rowid or block. */
static int add_record(struct fc_session_index *index, struct record *r, uint8_t *p, int64_t last, struct fc_error *err)
{
    unsigned bytes;

    r->bytes[3] = (uint8_t)fc_sqlite_int_type(last, &bytes);
    p = fc_sqlite_int(p, last, bytes);
    return fc_btree_add(index->tree, 0, r->bytes, (size_t)(p - r->bytes), err);
}

static int add_int(struct fc_session_index *index, struct record *r, int64_t value, int64_t last, struct fc_error *err)
{
    unsigned bytes;

    r->bytes[2] = (uint8_t)fc_sqlite_int_type(value, &bytes);
    return add_record(index, r, fc_sqlite_int(r->value, value, bytes), last, err);
}

static int build_narrow(struct fc_session_index *index, struct record *r, struct fc_error *err)
{
    const struct fc_sorter *s = &index->ready.narrow;
    int rc = 0;

    for (size_t i = 0; i < s->count && rc == 0; i++) {
        uint64_t entry = s->entry[i], value = entry >> s->sorted_bits;
        int64_t rowid = r->first + (int64_t)(entry & LOW_MASK);
        if (index->which == FC_INDEX_PORT) {
            rc = add_int(index, r, (int64_t)value, (int64_t)(entry & (FC_PORT_BLOCKS - 1)), err);
        } else if (value) {
            rc = add_int(index, r, (int64_t)value - 1, rowid, err);
        } else {
            r->bytes[2] = 0;
            rc = add_record(index, r, r->value, rowid, err);
        }
    }
    return rc;
}

static int build_wide(struct fc_session_index *index, struct record *r, struct fc_error *err)
{
    const struct fc_sorter *s = &index->ready.wide;
    int rc = 0;

    for (size_t i = 0; i < s->count && rc == 0; i++) {
        const uint64_t *entry = s->entry + 3 * i;
        uint64_t big[3] = {__builtin_bswap64(entry[0]), __builtin_bswap64(entry[1]), __builtin_bswap64(entry[2])};
        size_t len;
        if (index->which == FC_INDEX_COMMUNITY) {
            uint8_t packed[PACKED_BYTES];
            memcpy(packed, big, sizeof packed);
            unpack_id(packed, (char *)r->value);
            len = FC_COMMUNITY_ID_SIZE - 1;
            r->bytes[2] = (uint8_t)(13 + 2 * len);
        } else {
            len = entry[2] >> LENGTH_SHIFT;
            r->bytes[2] = (uint8_t)(12 + 2 * len);
            memcpy(r->value, big, 16);
        }
        rc = add_record(index, r, r->value + len, r->first + (int64_t)(entry[2] & LOW_MASK), err);
    }
    return rc;
}

void fc_session_index_turn(struct fc_session_index *index)
{
    struct fc_index_entries built = index->ready;

    index->ready = index->taken;
    index->taken = built;
    index->taken.narrow.count = index->taken.wide.count = 0;
}

int fc_session_index_build(struct fc_session_index *index, int64_t epoch, struct fc_error *err)
{
    struct record r;
    int rc;

    if ((rc = fc_sorter_sort(&index->ready.narrow, err)) || (rc = fc_sorter_sort(&index->ready.wide, err)))
        return rc;
    begin_record(&r, epoch);
    rc = build_narrow(index, &r, err);
    return rc ? rc : build_wide(index, &r, err);
}

int fc_session_index_finish(struct fc_session_index *index, struct fc_error *err)
{
    return fc_btree_finish(index->tree, err);
}
