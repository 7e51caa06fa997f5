/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "capture/stream.h"
#include "index/run.h"
#include "live/keeping.h"
#include "live/limits.h"
#include "live/looker.h"
#include "live/told.h"
#include "store/watch_lock.h"

#include <flowcarve/live.h>
#include <flowcarve/status.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define COMMIT_NS SECOND

/* A file comes with several events, and is to be indexed once: waited for is a moment of silence. */
#define SILENCE_NS (20 * MS)
#define SILENCE_MOST_NS (200 * MS)
#define LOOK_NS (100 * MS)          /* at `stop`, and whether a callback is due */
#define UNFINISHED_NS (10 * SECOND) /* who has written nothing for so long has ended */
#define GONE_NS (10 * SECOND)

struct fc_watch {
    char *db_path;
    struct fc_watch_options o;
    struct fc_index_options index;
    struct fc_watch_lock lock;
    struct fc_changes changes;
    struct fc_looker looker;
    struct fc_told told;
    struct fc_error start_err; /* of the thread that looks */
    struct fc_keeping keeping;
    int64_t again_ns; /* what was put back is to be looked at again then; INT64_MAX: it waits for news */
    uint64_t missed;
    uint64_t running; /* so many files are being indexed, */
    int64_t since_ns; /* the oldest of which was noticed then; both are read by others */
    struct fc_limits limits;
};

static void on_notice(void *ctx, const struct fc_notice *notice)
{
    struct fc_watch *w = ctx;

    if (w->o.notice && fc_told_new(&w->told, notice))
        w->o.notice(w->o.ctx, notice);
}

/* Threads start when the process has given up what it does not need. */
static void on_ready(void *ctx, bool names)
{
    struct fc_watch *w = ctx;

    if (w->looker.started)
        return;
    if (w->o.ready)
        w->o.ready(w->o.ctx, names);
    (void)fc_looker_start(&w->looker, &w->start_err);
}

/* How long a capture that has no name any more may be on its way to another one. */
static struct fc_retain_limits limits_of(const struct fc_watch *w)
{
    struct fc_retain_limits limits = *w->o.retain;

    if (!limits.gone_ns && w->looker.poll_ns)
        limits.gone_ns = w->looker.poll_ns * 3 > GONE_NS ? w->looker.poll_ns * 3 : GONE_NS;
    return limits;
}

static int open_limits(struct fc_watch *w, const char *const *folders, size_t count, struct fc_error *err)
{
    struct fc_retain_limits limits;

    w->limits =
        (struct fc_limits){.deleted = w->o.deleted, .retained = w->o.retained, .word = w->o.word, .ctx = w->o.ctx};
    if (!w->o.retain)
        return 0;
    limits = limits_of(w);
    w->o.retain = NULL;
    return fc_limits_open(&w->limits, w->db_path, folders, count, &limits, err);
}

FC_EXPORT int fc_watch_open(const char *db_path, const char *const *folders, size_t count,
                            const struct fc_watch_options *options, struct fc_watch **out, struct fc_error *err)
{
    struct fc_watch *w = calloc(1, sizeof *w);
    int rc;

    *out = NULL;
    if (!w)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    w->lock.fd = w->looker.wake = w->looker.notify.fd = -1;
    w->o = options ? *options : (struct fc_watch_options){0};
    if (w->o.index)
        w->index = *w->o.index;
    w->o.index = NULL;
    w->index.wait = false;
    w->index.spool = NULL;
    w->index.notice = on_notice;
    w->index.ready = on_ready;
    w->index.notice_ctx = w->index.ready_ctx = w;
    if (!w->o.commit_ns)
        w->o.commit_ns = COMMIT_NS;
    w->again_ns = INT64_MAX;
    w->db_path = strdup(db_path);
    w->keeping.db_path = w->db_path;
    if (!w->db_path || fc_changes_init(&w->changes))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (!count)
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "no folder to watch");
    else if ((rc = fc_watch_lock_take(db_path, &w->index.rights, &w->lock, err)) == 0 &&
             (rc = fc_looker_open(&w->looker, db_path, folders, count, w->o.poll_ns, &w->changes, err)) == 0)
        rc = open_limits(w, folders, count, err);
    if (rc) {
        fc_watch_close(w);
        return rc;
    }
    *out = w;
    return 0;
}

FC_EXPORT void fc_watch_close(struct fc_watch *w)
{
    if (!w)
        return;
    fc_looker_close(&w->looker);
    fc_limits_close(&w->limits);
    fc_keeping_end(&w->keeping);
    fc_changes_fini(&w->changes);
    fc_watch_lock_release(&w->lock);
    free(w->db_path);
    free(w);
}

FC_EXPORT size_t fc_watch_folders(const struct fc_watch *w)
{
    return w->looker.notify.count;
}

FC_EXPORT int64_t fc_watch_poll_ns(const struct fc_watch *w)
{
    return w->looker.poll_ns;
}

FC_EXPORT void fc_watch_behind(struct fc_watch *w, struct fc_watch_behind *out)
{
    int64_t oldest;
    uint64_t running = __atomic_load_n(&w->running, __ATOMIC_RELAXED);
    int64_t since = __atomic_load_n(&w->since_ns, __ATOMIC_RELAXED);

    out->files = fc_changes_waiting(&w->changes, &oldest) + running;
    if (running && since < oldest)
        oldest = since;
    out->lag_ns = out->files ? fc_live_now() - oldest : 0;
}

FC_EXPORT void fc_watch_tell(struct fc_watch *w, const struct fc_status *status)
{
    fc_watch_lock_tell(&w->lock, status->role, status, sizeof *status);
}

static void word(void *ctx, const struct fc_error *what)
{
    const struct fc_watch *w = ctx;

    if (w->o.word)
        w->o.word(w->o.ctx, what);
}

/* What is wrong with a folder comes with each walk. */
static void pass_words_on(struct fc_watch *w)
{
    struct fc_notice notice = {.kind = FC_NOTICE_REFUSED};

    while (fc_changes_told(&w->changes, &notice.what))
        if (!notice.what.code || fc_told_new(&w->told, &notice))
            word(w, &notice.what);
}

/* ---- what a run is made of */

/* Something that is being compressed beside what it is made of: half of it would be taken for another capture. */
static bool is_unfinished(const struct fc_change *c)
{
    struct timespec now;
    struct stat st;

    if (c->closed || !fc_tree_is_archive_of_another(c->path) || stat(c->path, &st) != 0)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)(now.tv_sec - st.st_ctim.tv_sec) * SECOND < UNFINISHED_NS;
}

/* A descriptor's file has its name no more: deleted, renamed, or another one has it. */
static bool has_lost_name(const struct fc_change *c)
{
    struct stat named, held;

    return c->held >= 0 && (c->replaced || lstat(c->path, &named) != 0 || fstat(c->held, &held) != 0 ||
                            named.st_dev != held.st_dev || named.st_ino != held.st_ino);
}

/* An index has the folder of a capture by its true name, which is not to be had of one that is gone. */
static bool has_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    struct stat st;
    bool has = folder && stat(folder, &st) == 0;

    free(folder);
    return has;
}

static int by_path(const void *a, const void *b)
{
    const struct fc_change *x = a, *y = b;

    return strcmp(x->path, y->path);
}

static void move(struct fc_change_list *to, struct fc_change_list *from, size_t i)
{
    to->items[to->count++] = from->items[i];
    from->items[i] = from->items[--from->count];
}

/*
 * What is to be indexed now. Files whose name others have got come alone and first, so that the index learns of one
 * after the other. What has lost its name otherwise comes behind all that have one: it may be the same file.
 */
struct pick {
    struct fc_change_list named, nameless, later, dropped;
};

static int pick_init(struct pick *p, size_t count)
{
    struct fc_change_list *lists[] = {&p->named, &p->nameless, &p->later, &p->dropped};

    memset(p, 0, sizeof *p);
    for (int i = 0; i < 4; i++)
        if (!(lists[i]->items = malloc((count + 1) * sizeof *lists[i]->items)))
            return FC_E_NOMEM;
    return 0;
}

static void pick(struct fc_watch *w, struct pick *p, struct fc_change_list *all)
{
    bool replaced = false;
    struct stat st;

    for (size_t i = 0; i < all->count; i++)
        replaced |= all->items[i].replaced;
    while (all->count) {
        size_t i = all->count - 1;
        struct fc_change *c = &all->items[i];
        bool lost = has_lost_name(c);
        if (!has_folder(c->path) || (c->held < 0 && lstat(c->path, &st) != 0)) {
            w->missed++;
            move(&p->dropped, all, i);
        } else if (replaced ? !c->replaced : is_unfinished(c)) {
            w->again_ns = replaced ? 0 : w->again_ns < INT64_MAX ? w->again_ns : fc_live_now() + SECOND;
            move(&p->later, all, i);
        } else {
            move(lost ? &p->nameless : &p->named, all, i);
        }
    }
    if (p->named.count)
        qsort(p->named.items, p->named.count, sizeof *p->named.items, by_path);
    if (p->nameless.count)
        qsort(p->nameless.items, p->nameless.count, sizeof *p->nameless.items, by_path);
}

/* ---- runs */

static int offer(const struct pick *p, struct fc_offered **out, int64_t *since_ns)
{
    size_t n = 0;
    struct fc_offered *offered = malloc((p->named.count + p->nameless.count + 1) * sizeof *offered);

    *out = offered;
    if (!offered)
        return FC_E_NOMEM;
    *since_ns = INT64_MAX;
    for (size_t i = 0; i < p->named.count + p->nameless.count; i++) {
        const struct fc_change *c = i < p->named.count ? &p->named.items[i] : &p->nameless.items[i - p->named.count];
        offered[n++] = (struct fc_offered){.path = c->path, .held = c->held};
        *since_ns = c->since_ns < *since_ns ? c->since_ns : *since_ns;
    }
    return 0;
}

static bool has_changed_index(const struct fc_index_result *r)
{
    return r->files || r->files_grown || r->files_moved || r->files_gone;
}

/* Indexes what was picked. FC_E_FORMAT of a run is that there was no capture among it. */
static int index_picked(struct fc_watch *w, const struct pick *p, const int *stop, struct fc_error *err)
{
    struct fc_offered *offered;
    struct fc_index_result result;
    int64_t since_ns, start = fc_live_now();
    int rc = offer(p, &offered, &since_ns);

    if (rc)
        return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    const struct fc_index_input input = {
        .offered = offered, .offered_count = p->named.count + p->nameless.count, .watched = true};
    w->keeping.next_ns = start + w->o.commit_ns;
    __atomic_store_n(&w->since_ns, since_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&w->running, input.offered_count, __ATOMIC_RELAXED);
    rc = fc_index_input(w->db_path, &input, &w->index, NULL, stop, &result, err);
    __atomic_store_n(&w->running, 0, __ATOMIC_RELAXED);
    int64_t now = fc_live_now();
    if (rc == 0 && has_changed_index(&result)) {
        w->keeping.has_index = true;
        fc_limits_soon(&w->limits);
    }
    if (rc == 0 && has_changed_index(&result) && w->o.committed) {
        const struct fc_watch_commit commit = {&result, now - since_ns, now - start, w->missed};
        w->o.committed(w->o.ctx, &commit);
    }
    fc_index_result_fini(&result);
    free(offered);
#if defined __GLIBC__
    if (now - start > SECOND) /* what a large run has taken is not needed for those that come */
        malloc_trim(0);
#endif
    return rc == FC_E_FORMAT ? 0 : rc;
}

static int run_once(struct fc_watch *w, const int *stop, struct fc_error *err)
{
    struct fc_change_list all;
    struct pick p;
    int rc;

    if (fc_keeping_lost(&w->keeping, word, w))
        fc_looker_again(&w->looker);
    w->again_ns = INT64_MAX;
    fc_changes_take(&w->changes, &all);
    rc = pick_init(&p, all.count) ? fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory") : 0;
    if (rc == 0) {
        pick(w, &p, &all);
        if (p.named.count + p.nameless.count || !w->looker.started)
            rc = index_picked(w, &p, stop, err);
    }
    if (rc) {
        (void)fc_changes_back(&w->changes, &p.nameless);
        (void)fc_changes_back(&w->changes, &p.named);
        if (!fc_keeping_for_ever(rc)) {
            fc_keeping_fail(&w->keeping, err, word, w);
            w->again_ns = 0;
        }
    } else if (p.named.count + p.nameless.count) {
        fc_keeping_succeed(&w->keeping, word, w);
    }
    fc_keeping_see(&w->keeping, rc != 0);
    (void)fc_changes_back(&w->changes, &all);
    (void)fc_changes_back(&w->changes, &p.later);
    fc_change_list_fini(&w->changes, &p.named);
    fc_change_list_fini(&w->changes, &p.nameless);
    fc_change_list_fini(&w->changes, &p.dropped);
    return fc_keeping_for_ever(rc) ? rc : 0;
}

/* ---- limits */

/* Has the index all that was heard of? */
static bool is_settled(struct fc_watch *w)
{
    int64_t first, last;

    return w->looker.started && !w->keeping.failed_ns && w->again_ns == INT64_MAX &&
           !fc_changes_news(&w->changes, &first, &last);
}

/* How long there is nothing to do; 0: a run is due. */
static int64_t wait_ns(struct fc_watch *w)
{
    int64_t now = fc_live_now(), first, last, due = INT64_MAX;

    if (fc_changes_news(&w->changes, &first, &last))
        due = last + SILENCE_NS < first + SILENCE_MOST_NS ? last + SILENCE_NS : first + SILENCE_MOST_NS;
    due = w->again_ns < due ? w->again_ns : due;
    due = w->keeping.next_ns > due ? w->keeping.next_ns : due;
    return due <= now ? 0 : due - now < LOOK_NS ? due - now : LOOK_NS;
}

FC_EXPORT int fc_watch_run(struct fc_watch *w, const int *stop, struct fc_error *err)
{
    struct fc_error local;
    int64_t wait;
    int rc = 0;

    err = err ? err : &local;
    w->again_ns = 0; /* also where there is nothing: a run tells whether the options fit, and calls on_ready() */
    while (rc == 0) {
        pass_words_on(w);
        if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        if ((wait = wait_ns(w)) == 0)
            rc = run_once(w, stop, err);
        else if (!w->keeping.has_index || !fc_limits_due(&w->limits))
            fc_changes_wait(&w->changes, wait);
        if (rc == 0 && w->keeping.has_index)
            fc_limits_keep(&w->limits, is_settled(w));
        if (rc == 0 && w->o.idle)
            w->o.idle(w->o.ctx);
        if (rc == 0 && w->start_err.code)
            rc = fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET, "%s", w->start_err.cause);
    }
    return rc;
}
