/* SPDX-License-Identifier: MIT */
#include "store/snapshot.h"
#include "base/error.h"

#include <string.h>

enum {
    REGION = 32768, /* bytes of the WAL-index that are mapped at a time */
    REGION_FRAMES = 4096,
    FIRST_FRAMES = 4062, /* of the first one, behind its header */
    FIRST_AT = 136,
    SLOTS = 8192,
    SLOTS_AT = 4 * REGION_FRAMES,
    BACKFILL_AT = 96,
    WAL_VERSION = 3007000,
    WAL_HEADER = 32,
    FRAME_HEADER = 24,
    MODE_AT = 18, /* in the header of the file: how it is written and read; 1: rollback journal, 2: WAL */
    TRIES = 20
};

/* The head of the WAL-index; it stands there twice. */
struct wal_index {
    uint32_t version, unused, change;
    uint8_t is_init, big_sums;
    uint16_t page_size; /* 1: 65536 */
    uint32_t frames;    /* up to the last commit */
    uint32_t pages;     /* of the database then */
    uint32_t frame_sum[2], salt[2], sum[2];
};
_Static_assert(sizeof(struct wal_index) == sizeof((struct fc_snapshot){0}.index), "one is kept as the other");

static const uint8_t *region(sqlite3_file *file, uint32_t number)
{
    void volatile *mapped = NULL;
    int rc =
        file->pMethods->iVersion < 2 ? SQLITE_ERROR : file->pMethods->xShmMap(file, (int)number, REGION, 0, &mapped);

    return rc == SQLITE_OK || rc == SQLITE_READONLY ? (const uint8_t *)mapped : NULL;
}

/* What others may be writing at this moment. */
static uint32_t load_32(const uint8_t *at)
{
    return __atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED);
}

static void copy_head(struct wal_index *to, const uint8_t *from)
{
    uint32_t words[sizeof *to / 4];

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = load_32(from + 4 * i);
    memcpy(to, words, sizeof *to);
}

/*
 * Reads how much of the -wal is in the file, then the head. When the -wal begins anew the head is written first: so who
 * finds the head that it had before has read of the same -wal. False: there is no such index, or it is being written.
 */
static bool read_index(sqlite3_file *file, struct wal_index *head, uint32_t *backfilled)
{
    const uint8_t *index = region(file, 0);
    struct wal_index twice;

    if (!index)
        return false;
    *backfilled = load_32(index + BACKFILL_AT);
    file->pMethods->xShmBarrier(file);
    copy_head(head, index);
    file->pMethods->xShmBarrier(file);
    copy_head(&twice, index + sizeof twice);
    return memcmp(head, &twice, sizeof twice) == 0 && head->is_init && head->version == WAL_VERSION;
}

static bool file_of(struct fc_db *db, int op, sqlite3_file **file)
{
    return sqlite3_file_control(db->sql, "main", op, file) == SQLITE_OK && *file && (*file)->pMethods;
}

/* The WAL's part of it: 0, or 1: it is to be begun again. */
static int look_at_wal(struct fc_db *db)
{
    struct fc_snapshot *s = &db->snapshot;
    struct wal_index head, before;
    sqlite3_file *wal;
    uint32_t backfilled;

    /* without a -wal (a folder for reading only) asking for its index would make one */
    if (!file_of(db, SQLITE_FCNTL_JOURNAL_POINTER, &wal) || !read_index(s->file, &head, &backfilled))
        return 0;
    memcpy(&before, s->index, sizeof before);
    memcpy(s->index, &head, sizeof head);
    if (memcmp(&head, &before, sizeof head) != 0)
        return 1;
    s->known = true;
    s->wal = head.frames > backfilled ? wal : NULL; /* where all is in the file it may begin anew */
    s->frames = head.frames;
    s->bytes = head.frames ? (int64_t)head.pages * (head.page_size == 1 ? 65536 : head.page_size) : -1;
    return 0;
}

/* 0: the transaction sees what `snapshot` says, which may be that this is not known. 1: it is to be begun again. */
static int look(struct fc_db *db)
{
    struct fc_snapshot *s = &db->snapshot;
    uint8_t mode[2];
    sqlite3_int64 size;

    s->known = false;
    s->wal = NULL;
    s->bytes = -1;
    if (!file_of(db, SQLITE_FCNTL_FILE_POINTER, &s->file) ||
        s->file->pMethods->xRead(s->file, mode, sizeof mode, MODE_AT) != SQLITE_OK)
        return 0;
    if (mode[0] == 2 && mode[1] == 2 && look_at_wal(db))
        return 1;
    s->known |= mode[0] == 1 && mode[1] == 1; /* nobody changes the file as long as the transaction lasts */
    if (s->file->pMethods->xFileSize(s->file, &size) != SQLITE_OK)
        s->known = false;
    else
        s->in_file = size;
    if (s->known && s->bytes < 0)
        s->bytes = s->in_file;
    return 0;
}

int fc_snapshot_begin(struct fc_db *db, struct fc_error *err)
{
    for (int i = 0; i < TRIES; i++) {
        if (sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(db->sql, "SELECT 1 FROM main.sqlite_schema LIMIT 1", NULL, NULL, NULL) != SQLITE_OK) {
            int rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
            fc_snapshot_end(db);
            return rc;
        }
        /* the head was the same before the transaction and is now: so it was at its beginning */
        if (look(db) == 0 || i + 1 == TRIES)
            return 0;
        fc_snapshot_end(db);
    }
    return 0;
}

void fc_snapshot_end(struct fc_db *db)
{
    db->snapshot.known = false;
    if (!sqlite3_get_autocommit(db->sql))
        sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL);
}

uint32_t fc_snapshot_pages(struct fc_db *db, uint32_t page_size)
{
    return db->snapshot.known ? (uint32_t)(db->snapshot.bytes / page_size) : 0;
}

/* The last frame of a region, none behind those that count, that has the page: 0 for none, -1 where there is no end. */
static int64_t find_in(const uint8_t *index, uint32_t number, uint32_t frames, uint32_t page)
{
    const uint8_t *pages = index + (number ? 0 : FIRST_AT), *slots = index + SLOTS_AT;
    uint32_t before = number ? FIRST_FRAMES + (number - 1) * REGION_FRAMES : 0, found = 0;
    uint32_t at = page * 383 & (SLOTS - 1);

    for (int left = SLOTS; left > 0; left--) {
        uint32_t entry = __atomic_load_n((const uint16_t *)(slots + 2 * (size_t)at), __ATOMIC_RELAXED);
        if (!entry)
            return found;
        if (entry <= (number ? REGION_FRAMES : FIRST_FRAMES) && before + entry <= frames &&
            load_32(pages + 4 * (size_t)(entry - 1)) == page)
            found = before + entry;
        at = (at + 1) & (SLOTS - 1);
    }
    return -1;
}

bool fc_snapshot_find(const struct fc_db *db, uint32_t page_size, uint32_t page, struct fc_page_place *place)
{
    const struct fc_snapshot *s = &db->snapshot;

    *place = (struct fc_page_place){s->file, (int64_t)(page - 1) * page_size, false};
    if (!s->wal)
        return true;
    for (int64_t i = (s->frames + REGION_FRAMES - FIRST_FRAMES - 1) / REGION_FRAMES; i >= 0; i--) {
        const uint8_t *index = region(s->file, (uint32_t)i);
        int64_t frame = index ? find_in(index, (uint32_t)i, s->frames, page) : -1;

        if (frame < 0)
            return false;
        if (frame > 0) {
            *place = (struct fc_page_place){
                s->wal, WAL_HEADER + (frame - 1) * (FRAME_HEADER + (int64_t)page_size) + FRAME_HEADER, true};
            return true;
        }
    }
    return true;
}
