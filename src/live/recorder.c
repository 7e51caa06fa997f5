/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/io.h"
#include "base/vector.h"
#include "index/run.h"
#include "live/changes.h"
#include "live/keeping.h"
#include "live/limits.h"
#include "live/told.h"
#include "live/tree.h"
#include "live/writing.h"
#include "store/watch_lock.h"

#include <flowcarve/loss.h>
#include <flowcarve/status.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define LOOK_NS (100 * MS) /* at `stop`, and whether a callback is due */
#define FORGET_NS (3600 * SECOND)
#define FLUSH_MOST_NS SECOND /* so long a commit waits for what a disk does not take */
#define ROTATE_BYTES ((uint64_t)1 << 30)
#define MEMORY_BYTES ((uint64_t)64 << 20)
enum { LEAST_FILE = 1 << 20, LEAST_MEMORY = 4 << 20, OPEN_MOST = 64, FAILED_MOST = 256, LEFT_AT_ONCE = 16 };

/* Files of this folder that are to be looked at besides, by their names. */
struct named {
    char **paths;
    size_t count, room;
};

struct fc_recorder {
    char *db_path;
    struct fc_recorder_options o;
    struct fc_index_options index;
    struct fc_watch_lock lock;
    int folder; /* its descriptor, locked: one recorder a folder */
    struct fc_told told;
    struct fc_keeping keeping;
    struct fc_limits limits;
    int64_t losses_ns; /* so old may rows of table `loss` get; 0: as the oldest capture. By the wall clock, as these: */
    int64_t oldest_ns; /* of the last packet of that, INT64_MIN: not known */
    int64_t forgot_ns; /* when the rows were looked at last */
    struct fc_writing writing;
    struct named left; /* by a recorder before this one; or files that could not be kept open */
    struct fc_interface_counts indexed[FC_INTERFACES_MAX];
    int64_t committing_ns; /* guarded by the lock of `writing`: as its first_ns, of what is being committed */
    struct fc_loss_log *loss;
    int64_t started_ns;  /* by the wall clock */
    uint32_t loss_begun; /* so many interfaces are in that */
    bool loss_failed;
    uint64_t files; /* complete since the last call of `committed` */
    bool readied;
    struct fc_error unsynced; /* the last file that could not be synced, as it was told */
    int failing;              /* code of what the thread that writes cannot do, as it was told; 0: nothing */
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

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

static void word(void *ctx, const struct fc_error *what)
{
    const struct fc_recorder *r = ctx;

    if (r->o.word)
        r->o.word(r->o.ctx, what);
}

static int64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static int add_name(void *ctx, const char *path)
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
static void drop_names(struct named *n, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(n->paths[i]);
    memmove(n->paths, n->paths + count, (n->count - count) * sizeof *n->paths);
    n->count -= count;
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
    return r->db_path && w->folder && w->prefix ? 0 : no_memory(err);
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
    r->limits = (struct fc_limits){.deleted = on_deleted, .retained = on_retained, .word = word, .ctx = r};
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
        return no_memory(err);
    r->lock.fd = r->folder = -1;
    rc = fc_writing_init(&r->writing, options && options->memory_bytes ? options->memory_bytes : MEMORY_BYTES,
                         options && options->wait);
    rc = rc ? no_memory(err) : set_options(r, db_path, folder, options, err);
    rc = rc ? rc : fc_watch_lock_take(db_path, &r->index.rights, &r->lock, err);
    rc = rc ? rc : lock_folder(r, err);
    rc = rc ? rc : open_limits(r, err);
    rc = rc ? rc : run_of_nothing(r, err);
    r->started_ns = wall_ns();
    rc = rc ? rc : fc_loss_open(db_path, r->started_ns, &r->loss, err);
    rc = rc ? rc : fc_part_recover(r->writing.folder, r->writing.prefix, word, r, err);
    rc = rc ? rc : fc_part_list(r->writing.folder, r->writing.prefix, add_name, r, err);
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
        drop_names(&r->left, r->left.count);
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
        rc = no_memory(err);
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
    return fc_batches_input(&r->writing.batches, out) ? no_memory(err) : 0;
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

static const char *name_of(const struct fc_recorder_interface *iface)
{
    return iface->name ? iface->name : "";
}

FC_EXPORT void fc_recorder_count(struct fc_recorder *r, const char *name, struct fc_recorder_counts *out)
{
    struct fc_writing *w = &r->writing;
    int64_t now = fc_live_now(), since_ns;

    *out = (struct fc_recorder_counts){0};
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->interface_count; i++) {
        if (name && strcmp(name, name_of(&w->interfaces[i])) != 0)
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

/* ---- commits */

/* What a commit is of: bytes of files, and what was counted when these were there. */
struct snapshot {
    struct fc_offered *offered;
    struct of_file {
        struct fc_written *file; /* of offered[i] */
        bool complete;
    } * files;
    size_t count, named; /* the last `named` are by name alone */
    struct fc_interface_counts counts[FC_INTERFACES_MAX];
    int64_t first_ns;
};

/* Is all that had come by now written? It is waited for that long. */
static bool settle(struct fc_writing *w)
{
    int64_t until_ns = fc_live_now() + FLUSH_MOST_NS;
    const struct timespec until = {until_ns / SECOND, until_ns % SECOND};

    pthread_mutex_lock(&w->lock);
    uint64_t mine = ++w->flush_wanted;
    pthread_mutex_unlock(&w->lock);
    fc_batches_wake(&w->batches);
    pthread_mutex_lock(&w->lock);
    while (w->started && w->flush_done < mine && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0) {
    }
    bool settled = !w->started || w->flush_done >= mine;
    pthread_mutex_unlock(&w->lock);
    return settled;
}

static size_t count_files(const struct fc_writing *w)
{
    size_t n = 0;

    for (const struct fc_written *f = w->files; f; f = f->next)
        n++;
    return n;
}

/* With the lock of the writing held. last: of what is written here alone. */
static int take_snapshot(struct fc_recorder *r, bool settled, bool last, struct snapshot *s)
{
    struct fc_writing *w = &r->writing;
    size_t n = count_files(w) + LEFT_AT_ONCE;

    *s = (struct snapshot){0};
    s->offered = malloc((n + 1) * sizeof *s->offered);
    s->files = malloc((n + 1) * sizeof *s->files);
    if (!s->offered || !s->files)
        return FC_E_NOMEM;
    for (struct fc_written *f = w->files; f; f = f->next) {
        if (f->bad || (f->size == f->committed && !(f->complete && f->part.hidden)))
            continue;
        s->files[s->count] = (struct of_file){f, f->complete};
        s->offered[s->count++] = (struct fc_offered){f->part.path, f->part.fd, f->size, &w->tail, f->base};
    }
    for (; !last && s->named < r->left.count && s->named < LEFT_AT_ONCE; s->named++)
        s->offered[s->count++] = (struct fc_offered){.path = r->left.paths[s->named], .held = -1};
    memcpy(s->counts, w->counts, sizeof s->counts);
    s->first_ns = r->committing_ns = w->first_ns;
    w->first_ns = settled ? 0 : w->first_ns;
    w->due = false;
    return 0;
}

/*
 * A disk that has failed to take pages tells it once, and has them for written then: they are written again from
 * memory.
 */
static int write_again(struct fc_writing *w, struct fc_written *f, uint64_t end, struct fc_error *err)
{
    enum { PIECE = 1 << 20 };
    uint8_t *piece = malloc(PIECE);
    int rc = piece ? 0 : no_memory(err);

    for (uint64_t off = f->synced; rc == 0 && off < end;) {
        size_t n = fc_tail_read(&w->tail, piece, end - off < PIECE ? (size_t)(end - off) : PIECE, f->base + off);
        if (!n) {
            f->bad = true;
            rc = fc_error_set(
                err, FC_E_IO, f->part.path, off,
                "the disk has failed to take this, and it is not in memory any more: what is behind is not "
                "indexed");
        } else {
            rc = fc_io_write(f->part.fd, piece, n, off, f->part.path, err);
        }
        off += n;
    }
    free(piece);
    return rc;
}

/* What the index is to have is on the disk before: a file's bytes, and its name. */
static int sync_file(struct fc_recorder *r, const struct of_file *of, uint64_t bytes, struct fc_error *err)
{
    struct fc_written *f = of->file;
    int rc = f->unsynced ? write_again(&r->writing, f, bytes, err) : 0;

    if (rc == 0 && of->complete)
        rc = fc_part_finish(&f->part, r->writing.folder, err);
    else if (rc == 0 && fdatasync(f->part.fd) != 0)
        rc = fc_error_errno(err, FC_E_IO, f->part.path, FC_NO_OFFSET, "cannot write to disk");
    f->unsynced = rc != 0;
    f->synced = rc ? f->synced : bytes;
    f->bad |= rc == FC_E_MISSING;
    if (rc == 0 && !f->begun && fc_io_sync_folder(r->writing.folder) != 0)
        rc = fc_error_errno(err, FC_E_IO, r->writing.folder, FC_NO_OFFSET, "cannot write the folder to disk");
    f->begun |= rc == 0;
    if (f->bad)
        fc_recorder_rotate(r); /* if it is the one that is being written */
    return rc;
}

/* A file that cannot be synced is left out, and told of; the others go on. An error: none is left. */
static int sync_files(struct fc_recorder *r, struct snapshot *s, struct fc_error *err)
{
    size_t kept = 0, files = s->count - s->named;
    struct fc_error why = {0};

    for (size_t i = 0; i < files; i++) {
        if (sync_file(r, &s->files[i], s->offered[i].bytes, &why))
            continue;
        s->files[kept] = s->files[i];
        s->offered[kept++] = s->offered[i];
    }
    memmove(&s->offered[kept], &s->offered[files], s->named * sizeof *s->offered);
    s->count = kept + s->named;
    if (why.code && !s->count) {
        *err = why;
        return why.code == FC_E_MISSING ? FC_E_IO : why.code;
    }
    if (why.code && strcmp(why.cause, r->unsynced.cause) != 0)
        word(r, &why);
    r->unsynced = why;
    return 0;
}

/*
 * With the lock of the writing held: those that are done with go; too many that are not are known by name alone, or by
 * the hidden one to the next recorder.
 */
static int drop_files(struct fc_recorder *r)
{
    struct fc_writing *w = &r->writing;
    struct fc_written **at = &w->files;
    size_t open = count_files(w);
    int rc = 0;

    while (*at && rc == 0) {
        struct fc_written *f = *at;
        bool done = f->bad || (!f->part.hidden && f->committed == f->size);
        bool goes = f->complete && (done || open > (f->part.hidden ? FAILED_MOST : OPEN_MOST));
        if (!goes) {
            at = &f->next;
            continue;
        }
        if (!done && !f->part.hidden && (rc = add_name(r, f->part.path)))
            break;
        if (!(*at = f->next))
            w->last = at;
        r->files += !f->part.hidden;
        open--;
        fc_part_fini(&f->part);
        free(f);
    }
    return rc;
}

/* refused: a file could not be read for the moment, and nobody says which. */
static void end_snapshot(struct fc_recorder *r, struct snapshot *s, bool committed, bool refused)
{
    struct fc_writing *w = &r->writing;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; committed && !refused && i < s->count - s->named; i++)
        s->files[i].file->committed = s->offered[i].bytes;
    if (committed && !refused)
        memcpy(r->indexed, s->counts, sizeof r->indexed);
    else if (s->first_ns && (!w->first_ns || s->first_ns < w->first_ns))
        w->first_ns = s->first_ns;
    r->committing_ns = 0;
    if (committed && s->named)
        drop_names(&r->left, s->named);
    (void)drop_files(r); /* without memory they stay */
    pthread_mutex_unlock(&w->lock);
    free(s->offered);
    free(s->files);
}

static void tell_commit(struct fc_recorder *r, const struct fc_index_result *result, int64_t since_ns, int64_t start_ns)
{
    int64_t now = fc_live_now();
    const struct fc_recorder_commit commit = {result, since_ns ? now - since_ns : 0, now - start_ns, r->files};

    r->files = 0;
    if (r->o.committed)
        r->o.committed(r->o.ctx, &commit);
}

/* The first of its name, whose row of table `loss` has the sums of all. */
static bool is_first_of_name(const struct fc_writing *w, uint32_t interface)
{
    for (uint32_t i = 0; i < interface; i++)
        if (strcmp(name_of(&w->interfaces[i]), name_of(&w->interfaces[interface])) == 0)
            return false;
    return true;
}

/* Rows go with the sessions of their time. */
static int forget_losses(struct fc_recorder *r, int64_t now_ns, struct fc_error *err)
{
    int64_t before_ns = r->losses_ns ? now_ns - r->losses_ns : r->oldest_ns;

    if (!r->limits.retain || r->losses_ns == INT64_MAX || before_ns == INT64_MIN || now_ns - r->forgot_ns < FORGET_NS)
        return 0;
    int rc = fc_loss_forget(r->db_path, before_ns, NULL, err);
    r->forgot_ns = now_ns;
    return rc == FC_E_MISSING || rc == FC_E_BUSY ? 0 : rc;
}

static int note_losses(struct fc_recorder *r, bool write, bool last, struct fc_error *err)
{
    struct fc_writing *w = &r->writing;
    struct fc_recorder_counts counts;
    struct fc_loss_counts loss;
    int64_t now_ns = wall_ns();
    int rc = 0;

    pthread_mutex_lock(&w->lock);
    uint32_t count = w->interface_count; /* those that are there do not change */
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        const char *name = name_of(&w->interfaces[i]);
        if (!is_first_of_name(w, i))
            continue;
        if (i >= r->loss_begun)
            rc = fc_loss_add(r->loss, name, r->started_ns, &(struct fc_loss_counts){0}, err);
        fc_recorder_count(r, name, &counts);
        fc_status_recorded(&counts, &loss);
        rc = rc ? rc : fc_loss_add(r->loss, name, now_ns, &loss, err);
        r->loss_begun = i >= r->loss_begun && rc == 0 ? i + 1 : r->loss_begun;
    }
    if (rc || !write)
        return rc;
    rc = fc_loss_write(r->loss, last, err);
    return rc ? rc : forget_losses(r, now_ns, err);
}

/* That they cannot be written is told once. */
static void tell_losses(struct fc_recorder *r, bool write, bool last)
{
    struct fc_error why;
    bool failed = note_losses(r, write, last, &why) != 0;

    if (failed && !r->loss_failed)
        word(r, &why);
    r->loss_failed = failed;
}

/* What the thread that writes cannot do is told here, when it begins and when it ends. */
static void pass_words_on(struct fc_recorder *r)
{
    struct fc_error why;

    pthread_mutex_lock(&r->writing.lock);
    why = r->writing.why;
    pthread_mutex_unlock(&r->writing.lock);
    if (why.code && why.code != r->failing)
        word(r, &why);
    if (!why.code && r->failing) {
        fc_error_set(&why, FC_OK, r->writing.folder, FC_NO_OFFSET, "can be written to again");
        word(r, &why);
    }
    r->failing = why.code;
}

/* The index is another one: what is here is new to it. */
static int begin_again(struct fc_recorder *r, struct fc_error *err)
{
    pthread_mutex_lock(&r->writing.lock);
    for (struct fc_written *f = r->writing.files; f; f = f->next)
        f->committed = 0;
    pthread_mutex_unlock(&r->writing.lock);
    return fc_part_list(r->writing.folder, r->writing.prefix, add_name, r, err);
}

static int run_index(struct fc_recorder *r, const struct snapshot *s, const int *stop, struct fc_index_result *result,
                     struct fc_error *err)
{
    const struct fc_index_input input = {.offered = s->offered, .offered_count = s->count, .watched = true};
    int rc = fc_index_input(r->db_path, &input, &r->index, NULL, stop, result, err);

    fc_keeping_see(&r->keeping, rc != 0);
    return rc == FC_E_FORMAT ? 0 : rc; /* an index of nothing is not made */
}

/* *settled: all that had come is in it. last: nothing comes any more. */
static int commit(struct fc_recorder *r, const int *stop, bool last, bool *settled, struct fc_error *err)
{
    struct fc_index_result result = {0};
    struct snapshot s = {0};
    int64_t start_ns = fc_live_now();
    int rc = 0;

    *settled = settle(&r->writing);
    pass_words_on(r);
    if (fc_keeping_lost(&r->keeping, word, r) && (rc = begin_again(r, err)))
        return rc;
    pthread_mutex_lock(&r->writing.lock);
    rc = take_snapshot(r, *settled, last, &s);
    pthread_mutex_unlock(&r->writing.lock);
    rc = rc ? no_memory(err) : sync_files(r, &s, err);
    if (rc == 0 && s.count)
        rc = run_index(r, &s, stop, &result, err);
    end_snapshot(r, &s, rc == 0, result.files_refused != 0);
    tell_losses(r, rc == 0 || last, last);
    if (rc == 0) {
        fc_limits_soon(&r->limits);
        tell_commit(r, &result, s.first_ns, start_ns);
    }
    fc_index_result_fini(&result);
    return rc;
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
    int rc = commit(r, NULL, false, &settled, err);
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
        rc = commit(r, stop, false, &settled, err);
        if (rc == FC_E_INTERRUPTED)
            break;
        if (fc_keeping_for_ever(rc))
            return rc;
        if (rc)
            fc_keeping_fail(&r->keeping, err, word, r);
        else
            fc_keeping_succeed(&r->keeping, word, r);
    }
    fc_writing_stop(&r->writing);
    rc = commit(r, NULL, true, &settled, err);
    if (rc == 0 && r->writing.gave_up)
        rc = unwritten(r, err);
    return rc ? rc : fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
}
