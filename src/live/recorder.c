/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/io.h"
#include "base/vector.h"
#include "index/run.h"
#include "live/changes.h"
#include "live/recording.h"
#include "live/tree.h"

#include <flowcarve/status.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS (100 * MS) /* at `stop`, and whether a callback is due */
#define ROTATE_BYTES ((uint64_t)1 << 30)
#define MEMORY_BYTES ((uint64_t)64 << 20)
enum { LEAST_FILE = 1 << 20, LEAST_MEMORY = 4 << 20 };

static void on_notice(void *ctx, const struct fc_notice *notice)
{
    struct fc_recorder *r = ctx;

    if (r->o.notice && notice->kind != FC_NOTICE_GROWN && notice->kind != FC_NOTICE_WAL &&
        fc_told_new(&r->told, notice))
        r->o.notice(r->o.ctx, notice);
}

static void on_ready(void *ctx, bool names)
{
    struct fc_recorder *r = ctx;

    if (!r->readied && r->o.ready)
        r->o.ready(r->o.ctx, names);
    r->readied = true;
}

int fc_recorder_add_name(void *ctx, const char *path)
{
    struct named *n = &((struct fc_recorder *)ctx)->left;
    char *copy = strdup(path);

    if (!copy || fc_vector_reserve(&n->paths, &n->room, n->count + 1, sizeof *n->paths)) {
        free(copy);
        return FC_E_NOMEM;
    }
    n->paths[n->count++] = copy;
    return 0;
}

/* The first of them. */
void fc_recorder_drop_names(struct named *n, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(n->paths[i]);
    memmove(n->paths, n->paths + count, (n->count - count) * sizeof *n->paths);
    n->count -= count;
}

void fc_recorder_word(void *ctx, const struct fc_error *what)
{
    const struct fc_recorder *r = ctx;

    if (r->o.word)
        r->o.word(r->o.ctx, what);
}

/* ---- opening */

static int check_options(const struct fc_recorder_options *o, struct fc_error *err)
{
    if (o->rotate_bytes && o->rotate_bytes < LEAST_FILE)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "files are of 1 MiB at least");
    if (o->memory_bytes && o->memory_bytes < LEAST_MEMORY)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "at least 4 MiB of memory are needed");
    if (o->rotate_ns < 0 || o->commit_ns < 0)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "a time is negative");
    if (o->prefix && (!*o->prefix || strchr(o->prefix, '/') || *o->prefix == '.'))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "'%s' cannot be how names of files begin", o->prefix);
    return 0;
}

static int lock_folder(struct fc_recorder *r, struct fc_error *err)
{
    const char *folder = r->writing.folder;

    if ((r->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return fc_error_errno(err, errno == ENOENT || errno == ENOTDIR ? FC_E_USAGE : FC_E_IO, folder, FC_NO_OFFSET,
                              "cannot record into this folder");
    if (access(folder, W_OK | X_OK) != 0)
        return fc_error_errno(err, FC_E_IO, folder, FC_NO_OFFSET, "cannot record into this folder");
    if (flock(r->folder, LOCK_EX | LOCK_NB) != 0)
        return fc_error_set(err, FC_E_BUSY, folder, FC_NO_OFFSET, "another process records into this folder");
    return 0;
}

/* Names in the index are of the folder as it really is. */
static int set_options(struct fc_recorder *r, const char *db_path, const char *folder,
                       const struct fc_recorder_options *options, struct fc_error *err)
{
    struct fc_writing *w = &r->writing;

    r->o = options ? *options : (struct fc_recorder_options){0};
    int rc = check_options(&r->o, err);
    if (rc)
        return rc;
    if (r->o.index)
        r->index = *r->o.index;
    r->index.wait = false;
    r->index.spool = NULL;
    r->index.notice = on_notice;
    r->index.ready = on_ready;
    r->index.notice_ctx = r->index.ready_ctx = r;
    r->o.commit_ns = r->o.commit_ns ? r->o.commit_ns : SECOND;
    w->rights = r->index.rights;
    w->rotate_bytes = r->o.rotate_bytes ? r->o.rotate_bytes : ROTATE_BYTES;
    w->rotate_ns = r->o.rotate_ns;
    w->signal_packets = r->o.commit_packets;
    w->prefix = strdup(r->o.prefix ? r->o.prefix : "flowcarve");
    w->folder = realpath(folder, NULL);
    if (!w->folder && errno != ENOMEM)
        return fc_error_errno(err, FC_E_USAGE, folder, FC_NO_OFFSET, "cannot record into this folder");
    r->db_path = strdup(db_path);
    r->keeping.db_path = r->db_path;
    r->o.index = NULL;
    r->o.prefix = NULL;
    return r->db_path && w->folder && w->prefix ? 0 : fc_recorder_no_memory(err);
}

static void on_retained(void *ctx, const struct fc_retain_result *result)
{
    struct fc_recorder *r = ctx;

    r->oldest_ns = result->oldest_ns;
    if (r->o.retained)
        r->o.retained(r->o.ctx, result);
}

static void on_deleted(void *ctx, const struct fc_retain_deleted *deleted)
{
    struct fc_recorder *r = ctx;

    if (r->o.deleted)
        r->o.deleted(r->o.ctx, deleted);
}

/* A file is as long as it may get, or as long as the clock lets it be written. */
static int open_limits(struct fc_recorder *r, struct fc_error *err)
{
    const char *folder = r->writing.folder;
    struct fc_retain_limits limits;

    r->oldest_ns = INT64_MIN;
    r->limits = (struct fc_limits){.deleted = on_deleted, .retained = on_retained, .word = fc_recorder_word, .ctx = r};
    if (!r->o.retain)
        return 0;
    limits = *r->o.retain;
    r->o.retain = NULL;
    limits.file_bytes = r->writing.rotate_bytes;
    limits.file_ns = r->writing.rotate_ns;
    limits.own = true;
    r->losses_ns = limits.keep_sessions_ns > limits.keep_ns ? limits.keep_sessions_ns : limits.keep_ns;
    return fc_limits_open(&r->limits, r->db_path, &folder, 1, &limits, err);
}

/* A run of nothing tells whether the options fit, and makes the process ready. */
static int run_of_nothing(struct fc_recorder *r, struct fc_error *err)
{
    const struct fc_index_input input = {.watched = true};
    struct fc_index_result result;
    int rc = fc_index_input(r->db_path, &input, &r->index, NULL, NULL, &result, err);

    fc_index_result_fini(&result);
    fc_keeping_see(&r->keeping, rc != 0);
    return rc == FC_E_FORMAT ? 0 : rc;
}

FC_EXPORT int fc_recorder_open(const char *db_path, const char *folder, const struct fc_recorder_options *options,
                               struct fc_recorder **out, struct fc_error *err)
{
    struct fc_recorder *r = calloc(1, sizeof *r);
    struct fc_error local;
    int rc;

    *out = NULL;
    err = err ? err : &local;
    if (!r)
        return fc_recorder_no_memory(err);
    r->lock.fd = r->folder = -1;
    rc = fc_writing_init(&r->writing, options && options->memory_bytes ? options->memory_bytes : MEMORY_BYTES,
                         options && options->wait);
    rc = rc ? fc_recorder_no_memory(err) : set_options(r, db_path, folder, options, err);
    rc = rc ? rc : fc_watch_lock_take(db_path, &r->index.rights, &r->lock, err);
    rc = rc ? rc : lock_folder(r, err);
    rc = rc ? rc : open_limits(r, err);
    rc = rc ? rc : run_of_nothing(r, err);
    r->started_ns = fc_recorder_wall_ns();
    rc = rc ? rc : fc_loss_open(db_path, r->started_ns, &r->loss, err);
    rc = rc ? rc : fc_part_recover(r->writing.folder, r->writing.prefix, fc_recorder_word, r, err);
    rc = rc ? rc : fc_part_list(r->writing.folder, r->writing.prefix, fc_recorder_add_name, r, err);
    rc = rc ? rc : fc_writing_start(&r->writing, err);
    if (rc)
        fc_recorder_close(r);
    else
        *out = r;
    return rc;
}

FC_EXPORT void fc_recorder_close(struct fc_recorder *r)
{
    if (!r)
        return;
    fc_writing_stop(&r->writing);
    for (const struct fc_written *f = r->writing.files; f; f = f->next)
        if (f->complete && f->part.hidden)
            (void)fc_part_finish((struct fc_part *)(uintptr_t)&f->part, r->writing.folder, NULL);
    fc_loss_close(r->loss);
    fc_limits_close(&r->limits);
    fc_keeping_end(&r->keeping);
    fc_watch_lock_release(&r->lock);
    if (r->folder >= 0)
        close(r->folder);
    fc_writing_fini(&r->writing);
    if (r->left.count)
        fc_recorder_drop_names(&r->left, r->left.count);
    free(r->left.paths);
    free(r->db_path);
    free(r);
}

/* ---- what feeds it */

static const char *copy(const char *text, bool *ok)
{
    const char *made = text ? strdup(text) : NULL;

    *ok &= !text || made;
    return made;
}

FC_EXPORT int fc_recorder_add_interface(struct fc_recorder *r, const struct fc_recorder_interface *iface, uint32_t *out,
                                        struct fc_error *err)
{
    struct fc_writing *w = &r->writing;
    struct fc_recorder_interface mine = *iface;
    bool ok = true;
    int rc = 0;

    mine.name = copy(iface->name, &ok);
    mine.description = copy(iface->description, &ok);
    mine.filter = copy(iface->filter, &ok);
    mine.tsresol = iface->tsresol ? iface->tsresol : 9;
    pthread_mutex_lock(&w->lock);
    if (!ok)
        rc = fc_recorder_no_memory(err);
    else if (mine.tsresol != 6 && mine.tsresol != 9)
        rc = fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "times are in µs or ns");
    else if (w->interface_count == FC_INTERFACES_MAX)
        rc = fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET, "no more than %d interfaces", FC_INTERFACES_MAX);
    if (rc == 0) {
        *out = w->interface_count++;
        w->interfaces[*out] = mine;
        w->batches.tsresol[*out] = mine.tsresol;
    }
    pthread_mutex_unlock(&w->lock);
    if (rc) {
        free((char *)(uintptr_t)mine.name);
        free((char *)(uintptr_t)mine.description);
        free((char *)(uintptr_t)mine.filter);
    }
    return rc;
}

FC_EXPORT int fc_recorder_add_input(struct fc_recorder *r, struct fc_recorder_input **out, struct fc_error *err)
{
    return fc_batches_input(&r->writing.batches, out) ? fc_recorder_no_memory(err) : 0;
}

FC_EXPORT void fc_recorder_tell(struct fc_recorder *r, uint32_t interface, uint64_t dropped_kernel,
                                uint64_t dropped_iface)
{
    pthread_mutex_lock(&r->writing.lock);
    if (interface < r->writing.interface_count) {
        r->writing.counts[interface].kernel = dropped_kernel;
        r->writing.counts[interface].iface = dropped_iface;
    }
    pthread_mutex_unlock(&r->writing.lock);
}

FC_EXPORT void fc_recorder_rotate(struct fc_recorder *r)
{
    __atomic_store_n(&r->writing.rotate, true, __ATOMIC_RELAXED);
}

FC_EXPORT void fc_recorder_count(struct fc_recorder *r, const char *name, struct fc_recorder_counts *out)
{
    struct fc_writing *w = &r->writing;
    int64_t now = fc_live_now(), since_ns;

    *out = (struct fc_recorder_counts){0};
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->interface_count; i++) {
        if (name && strcmp(name, fc_recorder_name_of(&w->interfaces[i])) != 0)
            continue;
        fc_writing_sum(w, i, out);
        out->indexed += r->indexed[i].recorded;
    }
    since_ns = r->committing_ns ? r->committing_ns : w->first_ns;
    out->lag_ns = since_ns ? now - since_ns : 0;
    pthread_mutex_unlock(&w->lock);
}

FC_EXPORT void fc_recorder_publish(struct fc_recorder *r, const struct fc_status *status)
{
    fc_watch_lock_tell(&r->lock, status->role, status, sizeof *status);
}

static void keep_limits(struct fc_recorder *r)
{
    if (r->keeping.has_index)
        fc_limits_keep(&r->limits, !r->keeping.failed_ns && !r->left.count);
}

/* What could not be written, as it says. */
static int unwritten(struct fc_recorder *r, struct fc_error *err)
{
    pthread_mutex_lock(&r->writing.lock);
    struct fc_error why = r->writing.why;
    pthread_mutex_unlock(&r->writing.lock);
    if (!why.code)
        return fc_error_set(err, FC_E_IO, r->writing.folder, FC_NO_OFFSET, "the disk has not taken all of it yet");
    *err = why;
    return why.code;
}

FC_EXPORT int fc_recorder_commit(struct fc_recorder *r, struct fc_error *err)
{
    struct fc_error local;
    bool settled;

    err = err ? err : &local;
    int rc = fc_recorder_put(r, NULL, false, &settled, err);
    keep_limits(r);
    return rc == 0 && !settled ? unwritten(r, err) : rc;
}

/* Until it is due, or a moment is over. */
static bool wait_for_due(struct fc_recorder *r)
{
    int64_t now = fc_live_now(), wait = r->keeping.next_ns - now;
    struct fc_writing *w = &r->writing;

    if (wait <= 0)
        return true;
    int64_t until_ns = now + (wait < LOOK_NS ? wait : LOOK_NS);
    const struct timespec until = {until_ns / SECOND, until_ns % SECOND};
    pthread_mutex_lock(&w->lock);
    if (!w->due || r->keeping.failed_ns)
        pthread_cond_timedwait(&w->changed, &w->lock, &until);
    bool due = w->due && !r->keeping.failed_ns;
    pthread_mutex_unlock(&w->lock);
    return due || fc_live_now() >= r->keeping.next_ns;
}

FC_EXPORT int fc_recorder_run(struct fc_recorder *r, const int *stop, struct fc_error *err)
{
    struct fc_error local;
    bool settled;
    int rc = 0;

    err = err ? err : &local;
    while (!(stop && __atomic_load_n(stop, __ATOMIC_RELAXED))) {
        if (r->o.idle)
            r->o.idle(r->o.ctx);
        keep_limits(r);
        if (!wait_for_due(r))
            continue;
        r->keeping.next_ns = fc_live_now() + r->o.commit_ns;
        rc = fc_recorder_put(r, stop, false, &settled, err);
        if (rc == FC_E_INTERRUPTED)
            break;
        if (fc_keeping_for_ever(rc))
            return rc;
        if (rc)
            fc_keeping_fail(&r->keeping, err, fc_recorder_word, r);
        else
            fc_keeping_succeed(&r->keeping, fc_recorder_word, r);
    }
    fc_writing_stop(&r->writing);
    rc = fc_recorder_put(r, NULL, true, &settled, err);
    if (rc == 0 && r->writing.gave_up)
        rc = unwritten(r, err);
    return rc ? rc : fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
}
