/* SPDX-License-Identifier: MIT */
#include "live/looker.h"
#include "base/error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
#define POLL_NS (5 * SECOND_NS) /* where nothing was said of it */

/* While events come one after the other they are taken in some at a time. */
enum { GATHER_MS = 2 };

/* What other machines change there is not told. */
static bool is_remote(const char *folder)
{
    static const uint32_t types[] = {0x6969 /* NFS */,      0xff534d42 /* CIFS */,
                                     0xfe534d42 /* SMB2 */, 0x517b /* SMB */,
                                     0x65735546 /* FUSE */, 0x00c36400 /* Ceph */,
                                     0x5346414f /* AFS */,  0x01021997 /* 9p */,
                                     0x73757245 /* Coda */, 0x0bd00bd0 /* Lustre */};
    struct statfs fs;

    if (statfs(folder, &fs) != 0)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if ((uint32_t)fs.f_type == types[i])
            return true;
    return false;
}

static void tell(struct fc_looker *l, const char *path, const char *what)
{
    struct fc_error why;

    fc_error_set(&why, FC_OK, path, FC_NO_OFFSET, "%s", what);
    fc_changes_tell(l->changes, &why);
}

static int copy_folders(struct fc_looker *l, const char *const *folders, size_t count, struct fc_error *err)
{
    l->folders = calloc(count + 1, sizeof *l->folders);
    l->roots = calloc(count + 1, sizeof *l->roots);
    if (!l->folders || !l->roots)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (; l->count < count; l->count++) {
        size_t len = strlen(folders[l->count]);
        struct stat st;
        if (stat(folders[l->count], &st) != 0)
            return fc_error_errno(err, FC_E_IO, folders[l->count], FC_NO_OFFSET, "cannot be watched");
        if (!S_ISDIR(st.st_mode))
            return fc_error_set(err, FC_E_USAGE, folders[l->count], FC_NO_OFFSET, "is no folder: watch takes folders");
        while (len > 1 && folders[l->count][len - 1] == '/')
            len--;
        if (!(l->folders[l->count] = strndup(folders[l->count], len)))
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        l->roots[l->count] = (struct fc_looker_root){st.st_dev, st.st_ino, true};
    }
    return 0;
}

/* Whatever it was that inotify could not do. */
static int walk_from_now_on(struct fc_looker *l, const struct fc_error *why)
{
    struct fc_error what = *why;
    char said[sizeof what.cause];

    memcpy(said, what.cause, sizeof said);
    fc_error_set(&what, FC_OK, why->file[0] ? why->file : NULL, FC_NO_OFFSET,
                 "%.300s: all folders are looked through every %d s instead (--poll)", said,
                 (int)(POLL_NS / SECOND_NS));
    fc_changes_tell(l->changes, &what);
    fc_notify_close(&l->notify);
    l->poll_ns = POLL_NS;
    return fc_poll_walk(&l->poll, (const char *const *)l->folders, l->count);
}

/* All folders, as nothing is known of what has happened in them. hold: see fc_notify_add(). */
static int look_everywhere(struct fc_looker *l, bool hold, struct fc_error *err)
{
    int rc = 0;

    fc_notify_begin_round(&l->notify);
    for (size_t i = 0; i < l->count && rc == 0; i++)
        rc = fc_notify_add(&l->notify, l->folders[i], hold, err);
    if (rc == 0)
        fc_notify_end_round(&l->notify);
    return rc;
}

static int look_first(struct fc_looker *l, struct fc_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < l->count && !l->poll_ns; i++)
        if (is_remote(l->folders[i])) {
            l->poll_ns = POLL_NS;
            tell(l, l->folders[i],
                 "is on a file system that tells nothing of what others write there: all folders are "
                 "looked through every 5 s (--poll)");
        }
    if (l->poll_ns)
        return fc_poll_walk(&l->poll, (const char *const *)l->folders, l->count);
    rc = fc_notify_open(&l->notify, &l->own, l->changes, err);
    if (rc == 0)
        rc = look_everywhere(l, false, err);
    return rc == FC_E_LIMIT || rc == FC_E_IO ? walk_from_now_on(l, err) : rc;
}

int fc_looker_open(struct fc_looker *l, const char *index, const char *const *folders, size_t count, int64_t poll_ns,
                   struct fc_changes *changes, struct fc_error *err)
{
    struct fc_error why = {0};
    int rc;

    memset(l, 0, sizeof *l);
    l->changes = changes;
    l->poll_ns = poll_ns;
    l->notify.fd = -1;
    l->poll = (struct fc_poll){.own = &l->own, .changes = changes};
    if ((l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return fc_error_errno(err, FC_E_IO, NULL, FC_NO_OFFSET, "no eventfd can be had");
    if ((rc = fc_own_init(&l->own, index, err)) || (rc = copy_folders(l, folders, count, err)))
        return rc;
    rc = look_first(l, &why);
    if (rc == FC_E_NOMEM)
        return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    if (rc && err)
        *err = why;
    return rc;
}

/* A folder that was named may go, be renamed, be mounted over, and come again; of all that its name tells. */
static int check_roots(struct fc_looker *l, struct fc_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < l->count && rc == 0; i++) {
        struct fc_looker_root *root = &l->roots[i];
        struct stat st;
        bool there = stat(l->folders[i], &st) == 0 && S_ISDIR(st.st_mode);
        bool same = there && root->there && st.st_dev == root->dev && st.st_ino == root->ino;
        if (same && (l->poll_ns || fc_notify_has(&l->notify, l->folders[i])))
            continue;
        if (root->there && !there)
            tell(l, l->folders[i], "is not there any more; it is watched again when it comes back");
        else if (there && !root->there)
            tell(l, l->folders[i], "is there again");
        if (!l->poll_ns && root->there)
            fc_notify_drop(&l->notify, l->folders[i]);
        *root = (struct fc_looker_root){there ? st.st_dev : 0, there ? st.st_ino : 0, there};
        if (!l->poll_ns && there)
            rc = fc_notify_add(&l->notify, l->folders[i], true, err);
    }
    return rc;
}

static int look(struct fc_looker *l, struct fc_error *err)
{
    bool again = __atomic_exchange_n(&l->again, false, __ATOMIC_RELAXED);
    int rc = 0;

    if (l->poll_ns && again) {
        fc_poll_fini(&l->poll); /* nothing is known: all is new */
        (void)fc_poll_walk(&l->poll, (const char *const *)l->folders, l->count);
    } else if (!l->poll_ns) {
        rc = fc_notify_read(&l->notify, err);
        if (rc == 0 && (l->notify.overflown || again))
            rc = look_everywhere(l, false, err);
        if (rc == FC_E_NOMEM) /* what was missed by that is looked for */
            l->notify.overflown = true;
    }
    return rc == FC_E_LIMIT || rc == FC_E_IO ? walk_from_now_on(l, err) : 0;
}

static void *run(void *arg)
{
    struct fc_looker *l = arg;
    int64_t check_ns = fc_live_now(), walk_ns = check_ns + l->poll_ns;
    struct fc_error err;

    for (;;) {
        struct pollfd fds[2] = {{l->wake, POLLIN, 0}, {l->notify.fd, POLLIN, 0}};
        int64_t now = fc_live_now(),
                until = l->poll_ns && walk_ns < check_ns + SECOND_NS ? walk_ns : check_ns + SECOND_NS;
        int wait_ms = until > now ? (int)((until - now) / 1000000) + 1 : 0;
        (void)poll(fds, 2, wait_ms);
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents && poll(fds, 1, GATHER_MS) > 0)
            return NULL;
        (void)look(l, &err);
        now = fc_live_now();
        if (now >= check_ns + SECOND_NS) {
            check_ns = now;
            if (check_roots(l, &err) == FC_E_LIMIT)
                (void)walk_from_now_on(l, &err);
        }
        if (l->poll_ns && now >= walk_ns) {
            (void)fc_poll_walk(&l->poll, (const char *const *)l->folders, l->count);
            walk_ns = fc_live_now() + l->poll_ns;
        }
    }
}

int fc_looker_start(struct fc_looker *l, struct fc_error *err)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&l->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = rc;
    if (rc)
        return fc_error_errno(err, FC_E_LIMIT, NULL, FC_NO_OFFSET, "no thread can be started");
    l->started = true;
    return 0;
}

void fc_looker_again(struct fc_looker *l)
{
    __atomic_store_n(&l->again, true, __ATOMIC_RELAXED);
}

void fc_looker_close(struct fc_looker *l)
{
    const uint64_t one = 1;

    if (l->started && write(l->wake, &one, sizeof one) == sizeof one)
        pthread_join(l->thread, NULL);
    fc_notify_close(&l->notify);
    fc_poll_fini(&l->poll);
    for (size_t i = 0; i < l->count; i++)
        free(l->folders[i]);
    free(l->folders);
    free(l->roots);
    if (l->wake >= 0)
        close(l->wake);
    fc_own_fini(&l->own);
    memset(l, 0, sizeof *l);
    l->wake = l->notify.fd = -1;
}
