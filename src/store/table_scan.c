/* SPDX-License-Identifier: MIT */
#include "store/table_scan.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 20,
    PAGE_MIN = 4096, /* of smaller ones a row's first columns may be in pages of their own */
    AHEAD = 65536,   /* and 8 bytes that are never looked at in earnest: numbers are loaded whole */
    HEADER = 100,
    INTERIOR = 5,
    LEAF = 13
};

struct scan {
    struct fc_db *db;
    int64_t pages, in_file, seen; /* of the database; of the file; read so far */
    uint32_t page_size, usable;
    unsigned columns;
    struct fc_scan_range range;
    fc_scan_row *row;
    void *ctx;
    struct fc_error *err;
    bool any;
    int64_t last; /* rowid */
    /* pages one behind the other are read some at a time */
    int64_t first, held;
    uint8_t *ahead;
    uint8_t *newer; /* a page out of the -wal */
    uint8_t *level[DEPTH_MAX];
};

static uint32_t be16(const uint8_t *p)
{
    return fc_load16(p, true);
}

static uint32_t be32(const uint8_t *p)
{
    return fc_load32(p, true);
}

static int fail_damaged(const struct scan *s, int64_t page)
{
    return fc_error_set(s->err, FC_E_DB, s->db->path, (uint64_t)(page - 1) * s->page_size,
                        "the index is damaged: page %lld is no page of a table", (long long)page);
}

static int read_file(struct fc_db *db, sqlite3_file *file, void *to, size_t size, int64_t off, struct fc_error *err)
{
    int rc = file->pMethods->xRead(file, to, (int)size, off);

    if (rc == SQLITE_OK)
        return 0;
    return fc_error_set(err, rc == SQLITE_IOERR_SHORT_READ ? FC_E_DB : FC_E_IO, db->path, (uint64_t)off,
                        "cannot read the index: %s", sqlite3_errstr(rc));
}

/* What the header of the file says; the size of pages does not change. */
static int read_header(struct fc_db *db, uint8_t header[HEADER], struct fc_error *err)
{
    return read_file(db, db->snapshot.file, header, HEADER, 0, err);
}

static uint32_t page_size_of(const uint8_t header[HEADER])
{
    uint32_t size = be16(header + 16);

    return size == 1 ? 65536 : size;
}

int fc_table_scan_root(struct fc_db *db, const char *table, int64_t *root, struct fc_error *err)
{
    sqlite3 *sql = fc_db_sqlite(db);
    sqlite3_stmt *stmt = NULL;
    uint8_t header[HEADER];
    int rc = 0;

    *root = 0;
    if (!db->snapshot.known)
        return 0;
    if (sqlite3_prepare_v2(sql, "SELECT rootpage FROM main.sqlite_schema WHERE type = 'table' AND name = ?", -1, &stmt,
                           NULL) != SQLITE_OK ||
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
        rc = fc_db_error(sql, db->path, err, "cannot read the index");
    else if ((rc = read_header(db, header, err)) == 0 && page_size_of(header) >= PAGE_MIN)
        *root = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc;
}

static int read_newer(struct scan *s, const struct fc_page_place *place, const uint8_t **bytes)
{
    if (!s->newer && !(s->newer = malloc(s->page_size + 8)))
        return fc_error_set(s->err, FC_E_NOMEM, s->db->path, FC_NO_OFFSET, "out of memory");
    *bytes = s->newer;
    return read_file(s->db, place->file, s->newer, s->page_size, place->off, s->err);
}

/* A page, valid until the next one is read. */
static int read_page(struct scan *s, int64_t page, const uint8_t **bytes)
{
    int64_t at = page - s->first, most = AHEAD / s->page_size;
    struct fc_page_place place;
    int rc;

    if (page < 1 || page > s->pages || ++s->seen > s->pages)
        return fail_damaged(s, page < 1 ? 1 : page);
    if (fc_db_is_stopped(s->db))
        return fc_error_set(s->err, FC_E_INTERRUPTED, s->db->path, FC_NO_OFFSET, "interrupted");
    if (!fc_snapshot_find(s->db, s->page_size, (uint32_t)page, &place))
        return fc_error_set(s->err, FC_E_DB, s->db->path, FC_NO_OFFSET, "the index of its -wal is damaged");
    if (place.wal)
        return read_newer(s, &place, bytes);
    if (at < 0 || at >= s->held) {
        int64_t want = at == s->held ? most : 1;

        if (want > s->pages - page + 1)
            want = s->pages - page + 1;
        if (want > s->in_file - page + 1) /* those behind are in the -wal */
            want = s->in_file - page + 1;
        if (want < 1)
            return fail_damaged(s, page);
        s->held = 0;
        if ((rc = read_file(s->db, place.file, s->ahead, (size_t)want * s->page_size, place.off, s->err)))
            return rc;
        s->first = page;
        s->held = want;
        at = 0;
    }
    *bytes = s->ahead + at * s->page_size;
    return 0;
}

/* A number of 1 to 9 bytes, big-endian; NULL: it is cut. */
static inline const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    uint64_t r = 0;

    if (p < end && *p < 0x80) {
        *v = *p;
        return p + 1;
    }
    for (int i = 0; i < 9 && p < end; i++) {
        uint8_t b = *p++;
        if (i == 8) {
            *v = r << 8 | b;
            return p;
        }
        r = r << 7 | (b & 0x7f);
        if (b < 0x80) {
            *v = r;
            return p;
        }
    }
    return NULL;
}

/* The content of a column; false: it is not here. Up to 8 bytes behind `end` may be looked at. */
static inline bool read_value(uint64_t type, const uint8_t **at, const uint8_t *end, struct fc_scan_value *v)
{
    static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    const uint8_t *p = *at;
    uint64_t len = type < 12 ? sizes[type] : (type - 12) / 2;

    if (len > (uint64_t)(end - p))
        return false;
    *at = p + len;
    if (type - 1 < 6) {
        v->type = FC_SCAN_INTEGER;
        v->number = (int64_t)fc_load64(p, true) >> (64 - 8 * len);
    } else if (type == 8 || type == 9) {
        v->type = FC_SCAN_INTEGER;
        v->number = (int64_t)type - 8;
    } else if (type == 0) {
        v->type = FC_SCAN_NULL;
    } else if (type >= 12 && !(type & 1)) {
        v->type = FC_SCAN_BLOB;
        v->bytes = p;
        v->len = (uint32_t)len;
    } else {
        v->type = FC_SCAN_OTHER;
    }
    return true;
}

/* What of a row of `size` bytes is in its leaf. */
static uint64_t local_size(const struct scan *s, uint64_t size)
{
    uint64_t most = s->usable - 35, least = (s->usable - 12) * 32 / 255 - 23;

    if (size <= most)
        return size;
    uint64_t part = least + (size - least) % (s->usable - 4);
    return part <= most ? part : least;
}

/* The row of a cell. 0, a code of `row`, or 1: there is no row. */
static int read_cell(struct scan *s, const uint8_t *p, const uint8_t *end)
{
    struct fc_scan_value values[FC_SCAN_COLUMNS];
    uint64_t size, id, head, type;

    if (!(p = read_varint(p, end, &size)) || !(p = read_varint(p, end, &id)))
        return 1;
    size = local_size(s, size);
    if (size > (uint64_t)(end - p) || (s->any && (int64_t)id <= s->last))
        return 1;
    s->any = true;
    s->last = (int64_t)id;
    if (s->last < s->range.first || s->last > s->range.last)
        return 0;
    end = p + size;
    const uint8_t *types = read_varint(p, end, &head);
    if (!types || head > size)
        return 1;
    const uint8_t *content = p + head, *types_end = content;
    for (unsigned i = 0; i < s->columns; i++)
        if (!(types = read_varint(types, types_end, &type)) || !read_value(type, &content, end, &values[i]))
            return 1;
    return s->row(s->ctx, (int64_t)id, values);
}

static int read_leaf(struct scan *s, int64_t number, const uint8_t *page)
{
    unsigned cells = be16(page + 3);

    if (8 + 2 * cells > s->usable)
        return fail_damaged(s, number);
    for (unsigned i = 0; i < cells; i++) {
        unsigned off = be16(page + 8 + 2 * i);
        int rc = off < s->usable ? read_cell(s, page + off, page + s->usable) : 1;

        if (rc)
            return rc == 1 ? fail_damaged(s, number) : rc;
    }
    return 0;
}

static int read_tree(struct scan *s, int64_t number, unsigned depth)
{
    const uint8_t *page = NULL;
    uint8_t *own;
    uint64_t last = 0; /* of a child */
    int rc = read_page(s, number, &page);

    if (rc)
        return rc;
    if (page[0] == LEAF)
        return read_leaf(s, number, page);
    unsigned cells = be16(page + 3);
    if (page[0] != INTERIOR || depth == DEPTH_MAX || 12 + 2 * cells > s->usable)
        return fail_damaged(s, number);
    if (!s->level[depth] && !(s->level[depth] = malloc(s->page_size)))
        return fc_error_set(s->err, FC_E_NOMEM, s->db->path, FC_NO_OFFSET, "out of memory");
    own = s->level[depth];
    memcpy(own, page, s->page_size);
    for (unsigned i = 0; i <= cells; i++) {
        unsigned off = i < cells ? be16(own + 12 + 2 * i) : 8; /* the last child is named in front */

        if (off + 4 > s->usable || (i < cells && !read_varint(own + off + 4, own + s->usable, &last)))
            return fail_damaged(s, number);
        if (i < cells && (int64_t)last < s->range.first)
            continue;
        if ((rc = read_tree(s, be32(own + off), depth + 1)))
            return rc;
        if (i < cells && (int64_t)last >= s->range.last)
            break;
    }
    return 0;
}

int fc_table_scan(struct fc_db *db, int64_t root, unsigned columns, struct fc_scan_range range, fc_scan_row *row,
                  void *ctx, struct fc_error *err)
{
    struct scan s = {.db = db, .columns = columns, .range = range, .row = row, .ctx = ctx, .err = err};
    uint8_t header[HEADER];
    int rc = read_header(db, header, err);

    if (rc)
        return rc;
    s.page_size = page_size_of(header);
    s.usable = s.page_size - header[20];
    s.pages = fc_snapshot_pages(db, s.page_size);
    s.in_file = db->snapshot.in_file / s.page_size;
    if (!(s.ahead = malloc(AHEAD + 8)))
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    rc = read_tree(&s, root, 0);
    free(s.ahead);
    free(s.newer);
    for (int i = 0; i < DEPTH_MAX; i++)
        free(s.level[i]);
    return rc;
}
