/* SPDX-License-Identifier: MIT */
#include "live/notify.h"
#include "base/error.h"
#include "base/vector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* chmod may make a file readable that was not */
#define EVENTS                                                                                                         \
    (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_ONLYDIR)

int fc_notify_open(struct fc_notify *n, const struct fc_own *own, struct fc_changes *changes, struct fc_error *err)
{
    memset(n, 0, sizeof *n);
    n->own = own;
    n->changes = changes;
    n->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (n->fd >= 0)
        return 0;
    return fc_error_errno(err, errno == EMFILE || errno == ENFILE ? FC_E_LIMIT : FC_E_IO, NULL, FC_NO_OFFSET,
                          "inotify cannot be had");
}

void fc_notify_close(struct fc_notify *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->folders[i].path);
    free(n->folders);
    n->folders = NULL;
    n->count = n->room = 0;
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

/* The first folder whose wd is not below. */
static size_t lower_bound(const struct fc_notify *n, int wd)
{
    size_t low = 0, high = n->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (n->folders[middle].wd < wd)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct fc_notify_folder *find(struct fc_notify *n, int wd)
{
    size_t i = lower_bound(n, wd);

    return i < n->count && n->folders[i].wd == wd ? &n->folders[i] : NULL;
}

static void forget(struct fc_notify *n, size_t i)
{
    free(n->folders[i].path);
    memmove(&n->folders[i], &n->folders[i + 1], (--n->count - i) * sizeof *n->folders);
}

/* A folder that is watched already keeps its number, and may have got another name. */
static int remember(struct fc_notify *n, int wd, const char *path, bool own)
{
    struct fc_notify_folder folder = {wd, n->round, own, strdup(path)}, *known = find(n, wd);
    size_t i = lower_bound(n, wd);

    if (!folder.path)
        return FC_E_NOMEM;
    if (known) {
        free(known->path);
        *known = folder;
        return 0;
    }
    if (fc_vector_reserve(&n->folders, &n->room, n->count + 1, sizeof folder)) {
        free(folder.path);
        return FC_E_NOMEM;
    }
    memmove(&n->folders[i + 1], &n->folders[i], (n->count++ - i) * sizeof folder);
    n->folders[i] = folder;
    return 0;
}

struct adding {
    struct fc_notify *n;
    unsigned how;
    struct fc_error *err;
};

static void tell(struct fc_notify *n, const char *path, const char *what)
{
    struct fc_error why;

    fc_error_errno(&why, FC_E_IO, path, FC_NO_OFFSET, what);
    fc_changes_tell(n->changes, &why);
}

/* Watched first and read then, so that nothing comes in between. */
static int add_folder(void *ctx, const char *path, const struct stat *st)
{
    struct adding *a = ctx;
    struct fc_notify *n = a->n;
    int wd = inotify_add_watch(n->fd, path, EVENTS);

    if (wd >= 0)
        return remember(n, wd, path, fc_own_folder(n->own, st));
    if (errno == ENOENT || errno == ENOTDIR)
        return 1; /* gone meanwhile */
    if (errno == EACCES) {
        tell(n, path, "cannot be watched");
        return 1;
    }
    fc_error_errno(a->err, FC_E_LIMIT, path, FC_NO_OFFSET,
                   errno == ENOSPC ? "cannot be watched, fs.inotify.max_user_watches is reached" : "cannot be watched");
    fc_notify_close(n);
    return FC_E_LIMIT;
}

static int add_file(void *ctx, const char *path, const struct stat *st)
{
    struct adding *a = ctx;

    (void)st;
    return fc_changes_note(a->n->changes, path, a->how);
}

static int unreadable(void *ctx, const char *path)
{
    tell(((struct adding *)ctx)->n, path, "cannot read the folder");
    return 0;
}

static int walk(struct fc_notify *n, const char *folder, unsigned how, struct fc_error *err)
{
    struct adding adding = {n, how, err};
    const struct fc_tree_visitor visitor = {n->own, add_folder, add_file, unreadable, &adding};
    int rc = fc_tree_walk(folder, &visitor);

    if (rc == FC_E_NOMEM)
        fc_error_set(err, rc, folder, FC_NO_OFFSET, "out of memory");
    return rc;
}

int fc_notify_add(struct fc_notify *n, const char *folder, bool hold, struct fc_error *err)
{
    /* whether they are still written is not known; who writes is heard of later */
    return walk(n, folder, hold ? FC_CHANGE_HOLD | FC_CHANGE_OPEN : FC_CHANGE_OPEN, err);
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (!path[len] || path[len] == '/' || folder[len - 1] == '/');
}

void fc_notify_drop(struct fc_notify *n, const char *folder)
{
    for (size_t i = n->count; i--;)
        if (is_below(n->folders[i].path, folder)) {
            inotify_rm_watch(n->fd, n->folders[i].wd);
            forget(n, i);
        }
}

bool fc_notify_has(const struct fc_notify *n, const char *folder)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->folders[i].path, folder) == 0)
            return true;
    return false;
}

void fc_notify_begin_round(struct fc_notify *n)
{
    n->overflown = false;
    n->round++;
}

void fc_notify_end_round(struct fc_notify *n)
{
    for (size_t i = n->count; i--;)
        if (n->folders[i].round != n->round) {
            inotify_rm_watch(n->fd, n->folders[i].wd);
            forget(n, i);
        }
}

static int note_archive(void *ctx, const char *path)
{
    return fc_changes_note(ctx, path, 0);
}

static int take_folder(struct fc_notify *n, const char *path, uint32_t mask, struct fc_error *err)
{
    if (mask & IN_MOVED_FROM)
        fc_notify_drop(n, path);
    else if ((mask & (IN_CREATE | IN_MOVED_TO)) || ((mask & IN_ATTRIB) && !fc_notify_has(n, path)))
        return fc_notify_add(n, path, true, err);
    return 0;
}

static int take_file(struct fc_notify *n, const char *path, uint32_t mask)
{
    if (mask & (IN_DELETE | IN_MOVED_FROM))
        return fc_tree_archives(path, note_archive, n->changes);
    return fc_changes_note(n->changes, path,
                           FC_CHANGE_HOLD | (mask & (IN_CLOSE_WRITE | IN_MOVED_TO) ? FC_CHANGE_CLOSED : 0) |
                               (mask & (IN_CREATE | IN_MODIFY) ? FC_CHANGE_OPEN : 0) |
                               (mask & (IN_CREATE | IN_MOVED_TO) ? FC_CHANGE_REPLACES : 0));
}

static int take(struct fc_notify *n, const struct inotify_event *e, struct fc_error *err)
{
    struct fc_notify_folder *folder = find(n, e->wd);
    int rc;

    if (e->mask & IN_Q_OVERFLOW)
        n->overflown = true;
    if (folder && (e->mask & IN_IGNORED))
        forget(n, (size_t)(folder - n->folders));
    if (!folder || (e->mask & IN_IGNORED) || !e->len || (folder->own && fc_own_name(n->own, e->name)))
        return 0;
    char *path = fc_tree_join(folder->path, e->name);
    rc = !path ? FC_E_NOMEM : e->mask & IN_ISDIR ? take_folder(n, path, e->mask, err) : take_file(n, path, e->mask);
    free(path);
    if (rc == FC_E_NOMEM)
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    return rc;
}

int fc_notify_read(struct fc_notify *n, struct fc_error *err)
{
    char buf[64 << 10] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t len;
    int rc = 0;

    while (rc == 0 && n->fd >= 0 && (len = read(n->fd, buf, sizeof buf)) > 0)
        for (const char *p = buf; rc == 0 && p < buf + len;) {
            const struct inotify_event *e = (const void *)p;
            p += sizeof *e + e->len;
            rc = take(n, e, err);
        }
    return rc;
}
