/* SPDX-License-Identifier: MIT */
#include "live/poll.h"
#include "base/error.h"
#include "base/vector.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Network file systems keep what they know of a file for some seconds. */
#define YOUNG_NS INT64_C(3000000000)

struct walking {
    struct fc_poll *poll;
    struct fc_poll_file *files;
    size_t count, room;
    int64_t now_ns; /* by the clock that files have their times from, more or less */
};

static int64_t time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int enter(void *ctx, const char *path, const struct stat *st)
{
    (void)ctx;
    (void)path;
    (void)st;
    return 0;
}

static int meet(void *ctx, const char *path, const struct stat *st)
{
    struct walking *w = ctx;
    struct fc_poll_file f = {.path = strdup(path),
                             .dev = st->st_dev,
                             .ino = st->st_ino,
                             .size = (uint64_t)st->st_size,
                             .mtime_ns = time_ns(&st->st_mtim),
                             .ctime_ns = time_ns(&st->st_ctim)};

    f.young = f.ctime_ns > w->now_ns - YOUNG_NS;
    if (!f.path || fc_vector_reserve(&w->files, &w->room, w->count + 1, sizeof f)) {
        free(f.path);
        return FC_E_NOMEM;
    }
    w->files[w->count++] = f;
    return 0;
}

static int unreadable(void *ctx, const char *path)
{
    struct fc_error why;

    fc_error_errno(&why, FC_E_IO, path, FC_NO_OFFSET, "cannot read the folder");
    fc_changes_tell(((struct walking *)ctx)->poll->changes, &why);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct fc_poll_file *)a)->path, ((const struct fc_poll_file *)b)->path);
}

static bool is_same(const struct fc_poll_file *a, const struct fc_poll_file *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns && !a->young;
}

static int note_archive(void *ctx, const char *path)
{
    return fc_changes_note(ctx, path, 0);
}

/* Both in the order of paths. */
static int compare(struct fc_poll *p, const struct walking *w)
{
    size_t i = 0, k = 0;
    int rc = 0;

    while (rc == 0 && (i < p->count || k < w->count)) {
        int order = i == p->count ? 1 : k == w->count ? -1 : by_path(&p->files[i], &w->files[k]);
        if (order < 0)
            rc = fc_tree_archives(p->files[i].path, note_archive, p->changes);
        else if (order > 0 || !is_same(&p->files[i], &w->files[k]))
            rc = fc_changes_note(p->changes, w->files[k].path, w->files[k].young ? FC_CHANGE_OPEN : FC_CHANGE_CLOSED);
        i += order <= 0;
        k += order >= 0;
    }
    return rc;
}

int fc_poll_walk(struct fc_poll *p, const char *const *folders, size_t count)
{
    struct walking w = {.poll = p};
    const struct fc_tree_visitor visitor = {p->own, enter, meet, unreadable, &w};
    struct timespec now;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &now);
    w.now_ns = time_ns(&now);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = fc_tree_walk(folders[i], &visitor);
    if (rc == 0 && w.count)
        qsort(w.files, w.count, sizeof *w.files, by_path);
    if (rc == 0)
        rc = compare(p, &w);
    struct fc_poll old = *p;
    if (rc == 0) {
        p->files = w.files;
        p->count = w.count;
    } else {
        old.files = w.files;
        old.count = w.count;
    }
    for (size_t i = 0; i < old.count; i++)
        free(old.files[i].path);
    free(old.files);
    return rc;
}

void fc_poll_fini(struct fc_poll *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->files[i].path);
    free(p->files);
    p->files = NULL;
    p->count = 0;
}
