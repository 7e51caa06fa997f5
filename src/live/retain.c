/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "live/changes.h"
#include "live/deleter.h"
#include "live/retained.h"
#include "store/writer.h"

#include <flowcarve/retain.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SECOND INT64_C(1000000000)
#define BUDGET_NS (SECOND / 4) /* twice as much for each step in a row that has not done all, up to 2 s */
#define GONE_NS (10 * SECOND)
#define OWN_BUSY_NS SECOND      /* until one is tried again that is held open, of one's own, */
#define BUSY_NS (10 * SECOND)   /* until one that is being written is tried again, */
#define FAILED_NS (60 * SECOND) /* and one that could not be deleted */
#define TIDY_NS (60 * SECOND)

enum { WAL_MUCH = 4 << 20 }; /* as long as it may be before anything is deleted for that */
enum { BEHIND = 3 };
enum { SPANS = 4, RUNS = 10000, ROWS = 1000 /* of one step */ };

struct fc_retain {
    char *db_path;
    struct fc_retain_options o;
    struct fc_retained_set set;
    struct room {
        uint64_t before, freed;
    } * rooms; /* of the disk of each folder: free before this step, and what was deleted by it */
    struct fc_deleter deleter;
    uint64_t dev, ino; /* of the index */
    int64_t tidy_ns;   /* nothing is tidied up before that */
    int64_t next_span, next_run;
    uint64_t taken; /* by captures, when that was summed up last */
    int64_t wal_ns; /* the -wal is not looked at before that */
    int behind;     /* steps in a row that have not done all, up to BEHIND */
    bool short_of;  /* limits cannot be kept, which was told */
};

/* One step. */
struct step {
    struct fc_retain *r;
    struct fc_db *db;
    int64_t now_ns;                      /* the wall clock */
    int64_t begin_ns, mono_ns, until_ns; /* before all captures were looked at; after that; and what time there is */
    bool settled;
    struct fc_retain_result *result;
    struct fc_error *err;
};

/* ---- limits */

static uint64_t part_of(double part, uint64_t whole)
{
    return (uint64_t)(part * (double)whole);
}

static uint64_t needs(const struct fc_retain_limits *l, const struct statvfs *disk)
{
    uint64_t part = part_of(l->min_free_part, (uint64_t)disk->f_blocks * disk->f_frsize);

    return part > l->min_free_bytes ? part : l->min_free_bytes;
}

static int check_disk(const struct fc_retain_limits *l, const char *folder, struct fc_error *err)
{
    struct statvfs disk;

    if (!l->min_free_bytes && l->min_free_part <= 0)
        return 0;
    if (statvfs(folder, &disk) != 0)
        return fc_error_errno(err, FC_E_IO, folder, FC_NO_OFFSET, "cannot tell how much of the disk is free");
    uint64_t whole = (uint64_t)disk.f_blocks * disk.f_frsize, need = needs(l, &disk);
    if (need < whole && l->file_bytes < whole - need)
        return 0;
    return fc_error_set(err, FC_E_USAGE, folder, FC_NO_OFFSET,
                        "%llu bytes of the disk are to be free, which has %llu: there is no room for a capture",
                        (unsigned long long)need, (unsigned long long)whole);
}

static int check(const struct fc_retain_limits *l, const struct fc_retained_set *set, struct fc_error *err)
{
    int rc = 0;

    if (l->keep_ns < 0 || l->keep_sessions_ns < 0 || l->min_free_part < 0 || l->min_free_part >= 1)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "a limit of what is kept is out of its range");
    if (!l->keep_bytes && !l->keep_ns && !l->min_free_bytes && l->min_free_part <= 0)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "no limit of what is kept");
    if (l->keep_bytes && l->keep_bytes < l->file_bytes)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "%llu bytes are to be kept, and a single capture takes up to %llu",
                            (unsigned long long)l->keep_bytes, (unsigned long long)l->file_bytes);
    if (l->keep_ns && l->keep_ns < l->file_ns)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "packets are to be kept for %g s, and a single capture takes up to %g s",
                            (double)l->keep_ns / 1e9, (double)l->file_ns / 1e9);
    for (size_t i = 0; i < set->folder_count && rc == 0; i++)
        rc = check_disk(l, set->folders[i], err);
    return rc;
}

static uint64_t size_beside(const struct fc_retain *r, const char *suffix)
{
    char *place = fc_db_place(r->db_path), *name = NULL;
    struct stat st;
    uint64_t size = 0;

    if (place && asprintf(&name, "%s%s", place, suffix) >= 0) {
        size = stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
        free(name);
    }
    free(place);
    return size;
}

/* Deleting captures makes room in the index, but not the index smaller: all would go, and in vain. */
static int check_index_size(const struct fc_retain *r, struct fc_error *err)
{
    uint64_t most = r->o.limits.keep_bytes, size = size_beside(r, "");

    return !most || size < most ? 0
                                : fc_error_set(err, FC_E_USAGE, r->db_path, FC_NO_OFFSET,
                                               "takes %llu bytes by itself, and with all captures %llu are to be kept",
                                               (unsigned long long)size, (unsigned long long)most);
}

FC_EXPORT int fc_retain_open(const char *db_path, const char *const *folders, size_t count,
                             const struct fc_retain_options *options, struct fc_retain **out, struct fc_error *err)
{
    struct fc_retain *r = calloc(1, sizeof *r);
    int rc = 0;

    *out = NULL;
    if (!r || !(r->db_path = strdup(db_path)) || !(r->rooms = calloc(count + 1, sizeof *r->rooms))) {
        fc_retain_close(r);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    r->o = *options;
    r->deleter.own = r->o.limits.own;
    if (!r->o.limits.gone_ns)
        r->o.limits.gone_ns = GONE_NS;
    if (!count)
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "no folder to delete captures in");
    if (rc == 0 && (rc = fc_retained_init(&r->set, folders, count, err)) == 0 &&
        (rc = check(&r->o.limits, &r->set, err)) == 0)
        rc = check_index_size(r, err);
    if (rc) {
        fc_retain_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

FC_EXPORT void fc_retain_close(struct fc_retain *r)
{
    if (!r)
        return;
    fc_deleter_sync(&r->deleter);
    fc_retained_fini(&r->set);
    free(r->rooms);
    free(r->db_path);
    free(r);
}

static void word(const struct fc_retain *r, const struct fc_error *what)
{
    if (r->o.word)
        r->o.word(r->o.ctx, what);
}

/*
 * A -wal grows with what is written while others read, and its room is used again, but not given back. So that no
 * captures are deleted to make room for that, it is emptied first.
 */
static void empty_wal(struct fc_retain *r, int64_t now_ns)
{
    uint64_t wal = size_beside(r, "-wal");
    struct fc_writer *w;
    bool fresh;

    if (!r->o.limits.keep_bytes || wal < WAL_MUCH || now_ns < r->wal_ns ||
        r->taken + size_beside(r, "") + wal <= r->o.limits.keep_bytes)
        return;
    if (fc_writer_open(r->db_path, &w, &fresh, NULL) == 0) {
        fc_writer_set_staying(w);
        fc_writer_empty_wal(w);
        fc_writer_close(w);
    }
    r->wal_ns = fc_live_now() + SECOND;
}

/* ---- deleting */

static void sum_up(struct step *s)
{
    const struct fc_retained_set *set = &s->r->set;
    struct fc_retain_result *result = s->result;
    struct statvfs disk;

    result->captures = result->capture_bytes = 0;
    result->oldest_ns = INT64_MIN;
    for (size_t i = 0; i < set->count; i++) {
        const struct fc_retained *item = &set->items[i];
        if (item->state != FC_RETAINED_HERE && item->state != FC_RETAINED_WRITTEN)
            continue;
        result->captures++;
        result->capture_bytes += item->bytes;
        if (result->oldest_ns == INT64_MIN || item->last_ns < result->oldest_ns)
            result->oldest_ns = item->last_ns;
    }
    s->r->taken = result->capture_bytes;
    result->index_bytes = size_beside(s->r, "") + size_beside(s->r, "-wal");
    if (statvfs(set->folders[0], &disk) == 0) {
        result->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
        result->min_free_bytes = needs(&s->r->o.limits, &disk);
    }
}

/* What its disk lacks, in bytes, and which device that is; 0: nothing. */
static uint64_t lacks(const struct fc_retain *r, size_t folder, uint64_t *dev)
{
    struct statvfs disk;
    struct stat st;

    if (stat(r->set.folders[folder], &st) != 0 || statvfs(r->set.folders[folder], &disk) != 0)
        return 0;
    *dev = st.st_dev;
    struct room *room = &r->rooms[folder];
    uint64_t need = needs(&r->o.limits, &disk), has = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (!room->freed)
        room->before = has;
    if (has < room->before + room->freed) /* what was deleted a moment ago is not always free yet */
        has = room->before + room->freed;
    return has < need ? need - has : 0;
}

/* The next one that has to go, and why; NULL: none. *held: one would have to, but none may. */
static struct fc_retained *next(struct step *s, enum fc_retain_why *why, bool *held)
{
    const struct fc_retain_limits *l = &s->r->o.limits;
    const struct fc_retained_set *set = &s->r->set;
    struct fc_retained *oldest = fc_retained_oldest(set, s->mono_ns, 0);
    uint64_t dev = 0;

    *why = FC_RETAIN_AGE;
    if (l->keep_ns && oldest && oldest->last_ns < s->now_ns - l->keep_ns)
        return oldest;
    *why = FC_RETAIN_BYTES;
    if (l->keep_bytes && s->result->capture_bytes + s->result->index_bytes > l->keep_bytes) {
        if (oldest)
            return oldest;
        *held = true;
    }
    *why = FC_RETAIN_FREE;
    for (size_t i = 0; i < set->folder_count; i++)
        if (lacks(s->r, i, &dev)) {
            if ((oldest = fc_retained_oldest(set, s->mono_ns, dev)))
                return oldest;
            *held = true;
        }
    return NULL;
}

static void note_freed(struct fc_retain *r, const struct fc_retained *item)
{
    struct stat st;

    for (size_t i = 0; i < r->set.folder_count; i++)
        if (stat(r->set.folders[i], &st) == 0 && st.st_dev == item->dev)
            r->rooms[i].freed += item->bytes;
}

static void note_deleted(struct step *s, struct fc_retained *item, const struct fc_stored_file *f,
                         enum fc_retain_why why)
{
    const struct fc_retain_deleted deleted = {.path = f->path,
                                              .bytes = item->bytes,
                                              .has_time = f->last_ns != FC_TIME_NONE,
                                              .last_ns = f->last_ns,
                                              .why = why};

    s->result->deleted++;
    s->result->deleted_bytes += item->bytes;
    s->result->capture_bytes -= item->bytes;
    note_freed(s->r, item);
    item->state = FC_RETAINED_DELETED;
    item->bytes = 0;
    if (s->r->o.deleted)
        s->r->o.deleted(s->r->o.ctx, &deleted);
}

/* Its row is read anew: what was noted may be some seconds old. */
static int delete_one(struct step *s, struct fc_retained *item, enum fc_retain_why why)
{
    struct fc_stored_files row;
    struct fc_error what = {0};
    int rc = fc_stored_files_some(s->db, item->id - 1, 1, &row, s->err);

    if (rc)
        return rc;
    item->since_ns = s->mono_ns + (s->r->o.limits.own ? OWN_BUSY_NS : BUSY_NS);
    if (row.count == 1 && row.items[0].id == item->id && !row.items[0].gone) {
        bool newest = fc_retained_is_newest(&s->r->set, item);
        switch (fc_deleter_delete(&s->r->deleter, &row.items[0], newest, s->now_ns, &what)) {
        case FC_DELETION_DONE:
            note_deleted(s, item, &row.items[0], why);
            break;
        case FC_DELETION_OTHER:
            s->result->capture_bytes -= item->bytes;
            item->state = FC_RETAINED_OTHER;
            item->bytes = 0;
            break;
        case FC_DELETION_FAILED:
            item->since_ns = s->mono_ns + FAILED_NS;
            break;
        default:
            break;
        }
    }
    if (what.code && what.code != FC_E_MISSING && !item->told) {
        item->told = true;
        word(s->r, &what);
    }
    fc_stored_files_fini(&row);
    return 0;
}

/* The disk has lost a deletion, and the index had it: once more. */
static int delete_lost(struct step *s)
{
    struct fc_stored_files row;
    struct fc_error what;
    int rc = 0;

    for (size_t i = 0; i < s->r->set.count && rc == 0; i++) {
        struct fc_retained *item = &s->r->set.items[i];
        if (item->state != FC_RETAINED_LOST || (rc = fc_stored_files_some(s->db, item->id - 1, 1, &row, s->err)))
            continue;
        if (row.count == 1 && row.items[0].id == item->id)
            (void)fc_deleter_delete(&s->r->deleter, &row.items[0], false, s->now_ns, &what);
        item->state = FC_RETAINED_DONE;
        fc_stored_files_fini(&row);
    }
    return rc;
}

static void tell_held(struct step *s, bool held)
{
    struct fc_error what;

    if (held && !s->r->short_of) {
        fc_error_set(&what, FC_E_LIMIT, s->r->db_path, FC_NO_OFFSET,
                     "there is more than is to be kept, or less free, and no capture that may be deleted: captures "
                     "take %llu bytes, the index %llu",
                     (unsigned long long)s->result->capture_bytes, (unsigned long long)s->result->index_bytes);
        word(s->r, &what);
    }
    s->r->short_of = held;
}

static int delete_all(struct step *s)
{
    struct fc_retained *item;
    enum fc_retain_why why;
    bool held = false;
    int rc = delete_lost(s);

    memset(s->r->rooms, 0, s->r->set.folder_count * sizeof *s->r->rooms);
    sum_up(s);
    while (rc == 0 && (item = next(s, &why, &held))) {
        rc = delete_one(s, item, why);
        if (fc_live_now() >= s->until_ns - (s->until_ns - s->mono_ns) / 2) {
            s->result->more = true; /* the other half is for forgetting */
            break;
        }
    }
    fc_deleter_sync(&s->r->deleter);
    sum_up(s);
    tell_held(s, held);
    return rc;
}

/* ---- forgetting */

/* Do sessions stay when a capture's packets go? */
static bool keeps_sessions(const struct step *s, const struct fc_retained *item)
{
    int64_t keep_ns = s->r->o.limits.keep_sessions_ns, end_ns;

    return keep_ns && (__builtin_add_overflow(item->last_ns, keep_ns, &end_ns) || end_ns > s->now_ns);
}

static bool is_due(const struct step *s, const struct fc_retained *item)
{
    switch (item->state) {
    case FC_RETAINED_DELETED:
        return true;
    case FC_RETAINED_ABSENT:
        return s->settled && s->begin_ns - item->since_ns >= s->r->o.limits.gone_ns;
    case FC_RETAINED_DONE:
        /* the last row of all stays */
        return !keeps_sessions(s, item) && item->id < s->r->set.last;
    default:
        return false;
    }
}

/* 1: done; 0: there is no time left; negative. */
static int forget_one(struct step *s, struct fc_writer *w, struct fc_retained *item)
{
    struct fc_forgotten sum = {0};
    bool done = item->state == FC_RETAINED_DONE;
    enum fc_forgotten_how how = item->state == FC_RETAINED_DELETED ? FC_FORGOTTEN_DELETED : FC_FORGOTTEN_ABSENT;
    int rc = done ? 0 : fc_writer_forget_file(w, item->id, keeps_sessions(s, item), &sum, s->err);

    s->result->forgotten_packets += sum.packets;
    s->result->sessions += sum.sessions;
    if (rc == FC_E_INTERRUPTED)
        return 0;
    item->before = item->state;
    item->touched = true;
    if (rc == 0 && !done && (rc = fc_writer_mark_forgotten(w, item->id, how, s->err)) == 0) {
        s->result->forgotten++;
        item->state = FC_RETAINED_DONE;
    }
    if (rc == 0 && !keeps_sessions(s, item)) {
        if ((rc = fc_writer_drop_file(w, item->id, s->err)) == 1)
            item->dropped = true;
    }
    return rc < 0 ? rc : 1;
}

static int forget_due(struct step *s, struct fc_writer *w)
{
    unsigned rows = 0;
    int rc = 1;

    for (size_t i = 0; i < s->r->set.count && rc == 1; i++) {
        if (!is_due(s, &s->r->set.items[i]))
            continue;
        if (rows++ && (rows > ROWS || fc_live_now() >= s->until_ns))
            rc = 0;
        else
            rc = forget_one(s, w, &s->r->set.items[i]);
    }
    s->result->more |= rc == 0;
    return rc < 0 ? rc : 0;
}

static int tidy(struct step *s, struct fc_writer *w)
{
    struct fc_retain *r = s->r;
    int64_t keep_ns = r->o.limits.keep_sessions_ns, before_ns;
    int rc = 0;

    if (keep_ns && keep_ns != INT64_MAX && !__builtin_sub_overflow(s->now_ns, keep_ns, &before_ns))
        rc = fc_writer_drop_kept(w, before_ns, SPANS, &r->next_span, &s->result->sessions, s->err);
    if (rc == 0)
        rc = fc_writer_drop_runs(w, RUNS, &r->next_run, s->err);
    if (rc == 0)
        r->tidy_ns = r->next_span || r->next_run ? 0 : s->mono_ns + TIDY_NS;
    return rc;
}

static int forget_all(struct step *s)
{
    struct fc_writer *w;
    bool fresh, due = false, tidies = s->mono_ns >= s->r->tidy_ns;
    int rc;

    for (size_t i = 0; i < s->r->set.count && !due; i++)
        due = is_due(s, &s->r->set.items[i]);
    if (!due && !tidies)
        return 0;
    if ((rc = fc_writer_open(s->r->db_path, &w, &fresh, s->err)))
        return rc;
    fc_writer_set_staying(w);
    fc_writer_set_late(w, s->until_ns);
    rc = fresh ? fc_error_set(s->err, FC_E_MISSING, s->r->db_path, FC_NO_OFFSET, "was removed meanwhile")
               : fc_writer_begin(w, s->err);
    rc = rc > 0 ? 0 : rc; /* what another run has added is none of these */
    if (rc == 0)
        rc = forget_due(s, w);
    if (rc == 0 && tidies)
        rc = tidy(s, w);
    if (rc == 0 && fc_writer_has_changed(w))
        rc = fc_writer_commit(w, NULL, s->err);
    fc_writer_close(w);
    fc_retained_settle(&s->r->set, rc == 0);
    return rc;
}

/* ---- steps */

/* Another index in its place has other captures under these IDs. */
static void check_index(struct fc_retain *r)
{
    struct stat st;

    if (stat(r->db_path, &st) != 0)
        memset(&st, 0, sizeof st);
    if (st.st_dev != r->dev || st.st_ino != r->ino)
        fc_retained_clear(&r->set);
    r->dev = st.st_dev;
    r->ino = st.st_ino;
}

FC_EXPORT int fc_retain_step(struct fc_retain *r, int64_t now_ns, bool settled, int64_t budget_ns,
                             struct fc_retain_result *result, struct fc_error *err)
{
    struct fc_error local;
    struct step s = {.r = r, .now_ns = now_ns, .begin_ns = fc_live_now(), .settled = settled, .result = result};
    int rc;

    s.err = err ? err : &local;
    memset(result, 0, sizeof *result);
    result->oldest_ns = INT64_MIN;
    check_index(r);
    if (!r->ino)
        return 0;
    empty_wal(r, s.begin_ns);
    if ((rc = fc_db_open(r->db_path, &s.db, s.err)))
        return rc;
    if ((rc = fc_retained_look(&r->set, s.db, s.err)) == 0) {
        s.mono_ns = fc_live_now();
        s.until_ns = s.mono_ns + (budget_ns ? budget_ns : BUDGET_NS << r->behind);
        rc = delete_all(&s);
    }
    fc_db_close(s.db); /* before it is written: closing gives up the locks of all that this process has of the file */
    rc = rc ? rc : forget_all(&s);
    r->behind = rc || !result->more ? 0 : r->behind < BEHIND ? r->behind + 1 : BEHIND;
    return rc;
}
