/* SPDX-License-Identifier: MIT */
#include "live/retained.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/vector.h"
#include "capture/url.h"
#include "live/changes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MANY = 1000, SOME = 250, LAST = 16 };

int fc_retained_init(struct fc_retained_set *set, const char *const *folders, size_t count, struct fc_error *err)
{
    memset(set, 0, sizeof *set);
    set->seed = fc_hash_secret();
    if (!(set->folders = calloc(count + 1, sizeof *set->folders)))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (; set->folder_count < count; set->folder_count++)
        if (!(set->folders[set->folder_count] = realpath(folders[set->folder_count], NULL)))
            return fc_error_errno(err, errno == ENOMEM ? FC_E_NOMEM : FC_E_IO, folders[set->folder_count], FC_NO_OFFSET,
                                  "no folder to delete captures in");
    return 0;
}

void fc_retained_fini(struct fc_retained_set *set)
{
    for (size_t i = 0; i < set->folder_count; i++)
        free(set->folders[i]);
    free(set->folders);
    free(set->items);
    memset(set, 0, sizeof *set);
}

void fc_retained_clear(struct fc_retained_set *set)
{
    set->count = 0;
    set->last = set->turn = 0;
}

/* The folder of ours that it lies in, or NULL. */
static const char *folder_of(const struct fc_retained_set *set, const char *path)
{
    for (size_t i = 0; i < set->folder_count && !fc_is_url(path); i++) {
        size_t n = strlen(set->folders[i]);
        if (n == 1 || (strncmp(path, set->folders[i], n) == 0 && path[n] == '/'))
            return set->folders[i];
    }
    return NULL;
}

/*
 * Nothing has its name: has it gone? Its folder, or what is left above it, lies on the capture's device then; another
 * one is that of a mount point whose disk is not there.
 */
static bool has_gone(const struct fc_stored_file *f, const char *folder)
{
    char *above = strdup(f->path), *slash;
    struct stat st = {0};
    bool found = false;

    while (above && !found && (slash = strrchr(above, '/')) && (size_t)(slash - above) >= strlen(folder)) {
        *slash = '\0';
        found = stat(*above ? above : "/", &st) == 0;
        if (!found && errno != ENOENT)
            break;
    }
    free(above);
    return found && S_ISDIR(st.st_mode) && st.st_dev == f->dev;
}

/* A recorder's file has a hidden name as long as it is written. */
static bool has_hidden_name(const struct fc_stored_file *f, struct stat *st)
{
    const char *slash = strrchr(f->path, '/');
    char *hidden;
    bool has;

    if (asprintf(&hidden, "%.*s/.%s.part", (int)(slash - f->path), f->path, slash + 1) < 0)
        return false;
    has = lstat(hidden, st) == 0 && S_ISREG(st->st_mode) && st->st_ino == f->ino;
    free(hidden);
    return has;
}

static bool is_same(const struct fc_stored_file *f, const struct stat *st)
{
    return st->st_dev == f->dev && st->st_ino == f->ino && (uint64_t)st->st_size == f->size &&
           (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == f->mtime_ns;
}

/* Fills state, bytes and device; false: it is no concern of ours. */
static bool look(const struct fc_stored_file *f, const char *folder, struct fc_retained *item)
{
    bool forgotten = f->marked || (f->forgotten && f->forgotten >= f->records - f->ignored);
    struct stat st = {0};
    bool there = lstat(f->path, &st) == 0, nothing = !there && (errno == ENOENT || errno == ENOTDIR);

    if (f->marked && f->mark.how == FC_FORGOTTEN_DELETED) {
        item->state = there && is_same(f, &st) ? FC_RETAINED_LOST : FC_RETAINED_DONE;
    } else if (f->marked && f->mark.how == FC_FORGOTTEN_ABSENT) {
        /* it has come back: it takes room as others do */
        item->state = there && S_ISREG(st.st_mode) && st.st_ino == f->ino ? FC_RETAINED_HERE : FC_RETAINED_DONE;
    } else if (f->gone) {
        item->state = FC_RETAINED_ABSENT;
    } else if (there && !forgotten) {
        item->state = S_ISREG(st.st_mode) && st.st_ino == f->ino ? FC_RETAINED_HERE : FC_RETAINED_OTHER;
    } else if (nothing && !forgotten && has_hidden_name(f, &st)) {
        item->state = FC_RETAINED_WRITTEN;
    } else if (nothing && has_gone(f, folder)) {
        item->state = FC_RETAINED_ABSENT;
    } else {
        return false; /* forgotten by hand, and kept; or the disk does not answer, or is not there */
    }
    bool takes = item->state == FC_RETAINED_HERE || item->state == FC_RETAINED_WRITTEN;
    item->bytes = takes ? (uint64_t)st.st_size : 0;
    item->dev = takes || item->state == FC_RETAINED_LOST ? st.st_dev : f->dev;
    return true;
}

/* Its place, or where it belongs. */
static size_t place_of(const struct fc_retained_set *set, uint32_t id)
{
    size_t lo = 0, hi = set->count;

    if (!hi || set->items[hi - 1].id < id)
        return hi;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (set->items[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void drop(struct fc_retained_set *set, size_t i)
{
    memmove(set->items + i, set->items + i + 1, (--set->count - i) * sizeof *set->items);
}

static int add(struct fc_retained_set *set, size_t i, uint32_t id)
{
    if (fc_vector_reserve(&set->items, &set->room, set->count + 1, sizeof *set->items))
        return FC_E_NOMEM;
    memmove(set->items + i + 1, set->items + i, (set->count++ - i) * sizeof *set->items);
    set->items[i] = (struct fc_retained){.id = id};
    return 0;
}

static int examine(struct fc_retained_set *set, const struct fc_stored_file *f)
{
    const char *folder = folder_of(set, f->path), *slash = strrchr(f->path, '/');
    size_t i = place_of(set, f->id);
    bool known = i < set->count && set->items[i].id == f->id;
    struct fc_retained now = {.id = f->id};

    if (!folder || !slash || !look(f, folder, &now)) {
        if (known)
            drop(set, i);
        return 0;
    }
    if (!known && add(set, i, f->id))
        return FC_E_NOMEM;
    struct fc_retained *item = &set->items[i];
    /* what we have deleted, and not forgotten yet, needs no time to be sure of */
    if (now.state == FC_RETAINED_ABSENT && known && item->state == FC_RETAINED_DELETED)
        now.state = FC_RETAINED_DELETED;
    if (now.state != item->state || !known)
        item->since_ns = now.state == FC_RETAINED_ABSENT ? fc_live_now() : 0;
    item->state = now.state;
    item->bytes = now.bytes;
    item->dev = now.dev;
    item->folder = fc_hash_bytes(f->path, (size_t)(slash - f->path), set->seed);
    item->last_ns = f->last_ns != FC_TIME_NONE ? f->last_ns : f->mtime_ns;
    return 0;
}

static int look_behind(struct fc_retained_set *set, struct fc_db *db, size_t most, uint32_t *behind, size_t *count,
                       struct fc_error *err)
{
    struct fc_stored_files rows;
    int rc = fc_stored_files_some(db, *behind, most, &rows, err);

    if (rc)
        return rc;
    *count = rows.count;
    for (size_t i = 0; i < rows.count && rc == 0; i++)
        rc = examine(set, &rows.items[i]);
    if (rows.count)
        *behind = rows.items[rows.count - 1].id;
    fc_stored_files_fini(&rows);
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

int fc_retained_look(struct fc_retained_set *set, struct fc_db *db, struct fc_error *err)
{
    bool first = set->last == 0;
    size_t count = MANY;
    int rc = 0;

    set->last -= set->last < LAST ? set->last : LAST; /* the last ones may be growing */
    while (rc == 0 && count == MANY)
        rc = look_behind(set, db, MANY, &set->last, &count, err);
    if (rc || first)
        return rc;
    rc = look_behind(set, db, SOME, &set->turn, &count, err);
    if (count < SOME)
        set->turn = 0;
    return rc;
}

struct fc_retained *fc_retained_oldest(const struct fc_retained_set *set, int64_t now_ns, uint64_t dev)
{
    struct fc_retained *oldest = NULL;

    for (size_t i = 0; i < set->count; i++) {
        struct fc_retained *item = &set->items[i];
        if (item->state == FC_RETAINED_HERE && item->since_ns <= now_ns && (!dev || item->dev == dev) &&
            (!oldest || item->last_ns < oldest->last_ns))
            oldest = item;
    }
    return oldest;
}

bool fc_retained_is_newest(const struct fc_retained_set *set, const struct fc_retained *item)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct fc_retained *other = &set->items[i];
        if (other->state == FC_RETAINED_HERE && other->folder == item->folder && other != item &&
            (other->last_ns > item->last_ns || (other->last_ns == item->last_ns && other->id > item->id)))
            return false;
    }
    return true;
}

void fc_retained_settle(struct fc_retained_set *set, bool committed)
{
    size_t kept = 0;

    for (size_t i = 0; i < set->count; i++) {
        struct fc_retained *item = &set->items[i];
        if (item->touched && !committed)
            item->state = item->before;
        if (!item->dropped || !committed)
            set->items[kept++] = *item;
    }
    set->count = kept;
    for (size_t i = 0; i < kept; i++)
        set->items[i].touched = set->items[i].dropped = false;
}
