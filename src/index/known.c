/* SPDX-License-Identifier: MIT */
#include "index/known.h"
#include "base/error.h"
#include "base/vector.h"
#include "capture/print.h"
#include "capture/url.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct look {
    struct fc_plan *plan;
    struct fc_writer *writer;
    struct fc_plan_file *f;
    struct fc_index_result *result;
    struct fc_error *err;
};

/* What a file is to a capture of the index. */
enum match { NONE, SAME, GROWN };

/* What stands where the index has a capture. */
enum place { EMPTY, LINK, OTHER, ELSEWHERE /* it cannot be told */ };

static enum place look_at(const struct fc_known_file *k, uint64_t dev, uint64_t ino, struct stat *st)
{
    if (fc_is_url(k->path)) /* which an archive has, as far as the index can tell */
        return ELSEWHERE;
    if (fc_file_stat(k->path, st) != 0)
        return errno == ENOENT || errno == ENOTDIR ? EMPTY : ELSEWHERE;
    return st->st_dev == dev && st->st_ino == ino ? LINK : OTHER;
}

static bool same_times(const struct fc_known_file *k, uint64_t size, int64_t mtime_ns, int64_t ctime_ns)
{
    return k->ctime_ns != FC_TIME_NONE && k->ctime_ns == ctime_ns && k->mtime_ns == mtime_ns && k->size == size;
}

/* Another content stands where this capture was. */
static int give_up(struct fc_plan *plan, struct fc_writer *writer, uint32_t id, struct fc_error *err)
{
    if (fc_vector_reserve(&plan->gone, &plan->gone_room, plan->gone_count + 1, sizeof *plan->gone))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    plan->gone[plan->gone_count++] = id;
    plan->changed = true;
    return fc_writer_gone(writer, id, err);
}

static void find_again(struct fc_plan *plan, uint32_t id)
{
    for (size_t i = 0; i < plan->gone_count; i++)
        if (plan->gone[i] == id)
            plan->gone[i--] = plan->gone[--plan->gone_count];
}

/* A capture of the index is found under this name. */
static int take(struct fc_plan *plan, struct fc_writer *writer, const struct fc_known_file *k, const char *path,
                struct fc_error *err)
{
    if (k->gone)
        find_again(plan, k->id);
    plan->changed = true;
    return fc_writer_move(writer, k->id, path, err);
}

static void tell_copy(struct fc_index_result *result, const char *path, const struct fc_known_file *k)
{
    struct fc_error why;

    fc_error_set(&why, FC_OK, path, FC_NO_OFFSET, "is a copy of %.400s, which is indexed", k->path);
    fc_notice_add(result, FC_NOTICE_COPY, &why);
}

/* 1: it is the copy that it was when it was read, of a capture that is where it was. */
static int copied_by_times(struct fc_plan *plan, struct fc_writer *writer, const struct fc_input *input,
                           struct fc_index_result *result, struct fc_error *err)
{
    struct fc_known_files list = {0};
    struct stat st;
    int rc = plan->keep_copies || !input->ino ? 0
                                              : fc_writer_copied(writer, input->dev, input->ino, input->size,
                                                                 input->mtime_ns, input->ctime_ns, &list, err);

    for (size_t i = 0; i < list.count && rc == 0; i++) {
        const struct fc_known_file *k = &list.items[i];
        if (k->gone || (!fc_is_url(k->path) && look_at(k, k->dev, k->ino, &st) != LINK))
            continue;
        tell_copy(result, input->path, k);
        rc = 1;
    }
    fc_known_files_fini(&list);
    return rc;
}

int fc_known_by_times(struct fc_plan *plan, struct fc_writer *writer, const struct fc_input *input,
                      struct fc_index_result *result, struct fc_error *err)
{
    struct fc_known_files list = {0};
    int rc = input->ino ? fc_writer_by_inode(writer, input->dev, input->ino, &list, err) : 0, found = 0;

    for (size_t i = 0; i < list.count && rc == 0 && !found; i++) {
        const struct fc_known_file *k = &list.items[i];
        struct stat st;
        if (!same_times(k, input->size, input->mtime_ns, input->ctime_ns))
            continue;
        found = 1;
        if (!k->gone && (rc = fc_writer_has_name(writer, k, input->path, err)) != 0) {
            rc = rc < 0 ? rc : 0;
            break;
        }
        enum place place = look_at(k, input->dev, input->ino, &st);
        if (place == LINK || place == ELSEWHERE)
            break;
        rc = take(plan, writer, k, input->path, err); /* a folder above it was renamed */
        result->files_moved++;
    }
    fc_known_files_fini(&list);
    result->files_known += rc == 0 && found;
    if (rc || found)
        return rc ? rc : found;
    return copied_by_times(plan, writer, input, result, err);
}

/* Is the file that capture, or what it has become? */
static int match(struct look *l, const struct fc_known_file *k, enum match *out)
{
    const struct fc_file *file = &l->f->file;
    struct fc_prints prints;
    int rc = 0;

    *out = NONE;
    if (file->stored_size < k->size || (rc = fc_file_prints(file, k->size, &prints, l->err)))
        return rc;
    if (prints.stored == k->stored_fingerprint)
        *out = file->stored_size == k->size ? SAME : GROWN;
    return 0;
}

/* The file is that capture: what it is found by is noted. */
static int is_known(struct look *l, const struct fc_known_file *k, bool moved)
{
    const struct fc_file *file = &l->f->file;
    int rc = 0;

    if (moved && (rc = take(l->plan, l->writer, k, file->path, l->err)))
        return rc;
    if (moved || k->dev != file->dev || k->ino != file->ino || k->mtime_ns != file->mtime_ns ||
        k->ctime_ns != fc_file_ctime(file)) {
        l->plan->changed = true;
        rc = fc_writer_place(l->writer, k->id, file, k->stored_fingerprint, false, l->err);
    }
    l->result->files_known++;
    l->result->files_moved += moved;
    return rc ? rc : 1;
}

/* The file is that capture and more: it is read on. at: its name stays the one that the index has. */
static int has_grown(struct look *l, const struct fc_known_file *k, bool at)
{
    struct fc_plan_file *f = l->f;
    int rc;

    if (k->forgotten) { /* what comes behind would be half a capture */
        struct fc_error why;
        fc_error_set(&why, FC_OK, f->file.path, FC_NO_OFFSET,
                     "is forgotten: what was added to it since is not indexed");
        fc_notice_add(l->result, FC_NOTICE_DAMAGE, &why);
        l->result->files_known++;
        return 1;
    }
    if (at) {
        char *path = strdup(k->path);
        if (!path)
            return fc_error_set(l->err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        free(f->file.path);
        f->file.path = path;
    }
    if (!(f->state = calloc(1, sizeof *f->state)))
        return fc_error_set(l->err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    f->id = k->id;
    find_again(l->plan, k->id);
    rc = fc_writer_file_state(l->writer, k->id, f->state, l->err);
    if (rc == FC_E_CHANGED)
        fc_error_set(l->err, rc, f->file.path, FC_NO_OFFSET, "%s", strdupa(l->err->cause));
    if (rc == 0 && f->state->compression != f->file.compression) { /* its places to enter are of another file */
        free(f->state->point_state);
        f->state->point_state = NULL;
        f->state->point = (struct fc_seek_point){0};
    }
    return rc;
}

/* Does the content of a capture still stand where the index has it? */
static int still_there(struct look *l, const struct fc_known_file *k, const struct stat *st, bool *there)
{
    struct fc_plan_file f = {.id = 0};
    struct look other = *l;
    struct fc_error why;
    enum match m = NONE;

    *there = k->dev == st->st_dev && k->ino == st->st_ino &&
             same_times(k, (uint64_t)st->st_size, (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
                        (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec);
    if (*there || fc_writer_owns(l->writer, st->st_dev, st->st_ino))
        return 0;
    other.f = &f;
    other.err = &why;
    int rc = fc_file_open(k->path, &f.file, &why);
    if (rc == 0) {
        rc = match(&other, k, &m);
        fc_file_close(&f.file);
    }
    *there = m != NONE;
    if (rc == FC_E_NOMEM || rc == FC_E_LIMIT) {
        *l->err = why;
        return rc;
    }
    return 0; /* unreadable: it is not there */
}

/* Says of a copy that it is one, unless it is to be indexed. */
static int is_copy(struct look *l, const struct fc_known_file *k)
{
    if (l->plan->keep_copies)
        return 0;
    tell_copy(l->result, l->f->file.path, k);
    l->plan->changed |= fc_file_ctime(&l->f->file) != FC_TIME_NONE;
    int rc = fc_writer_copy(l->writer, k->id, &l->f->file, l->err);
    return rc ? rc : 1;
}

/*
 * Of captures with this very content, those whose own file is no longer there: *vacant is one, or NULL; *taken is one
 * that is where the index has it. packed: of those that were indexed compressed.
 */
static int sort_out(struct look *l, const struct fc_known_files *list, bool packed, const struct fc_known_file **vacant,
                    const struct fc_known_file **taken)
{
    const struct fc_file *file = &l->f->file;
    int rc = 0;

    *vacant = *taken = NULL;
    for (size_t i = 0; i < list->count && !*vacant && rc == 0; i++) {
        const struct fc_known_file *k = &list->items[i];
        struct stat st;
        if (!k->records || (packed && k->compression == FC_COMPRESSION_NONE)) /* a header says nothing */
            continue;
        enum place place = k->gone ? EMPTY : look_at(k, file->dev, file->ino, &st);
        bool there = place == LINK || place == ELSEWHERE;
        if (place == OTHER)
            rc = still_there(l, k, &st, &there);
        *(there ? taken : vacant) = k;
    }
    return rc;
}

/* The capture that the index has by this name: the usual case. 0: it is none, and *displaced is the one that was. */
static int by_name(struct look *l, uint32_t *displaced)
{
    struct fc_known_files list = {0};
    enum match m;
    int rc = fc_writer_by_name(l->writer, l->f->file.path, false, &list, l->err);

    if (rc == 0 && list.count && (rc = match(l, &list.items[0], &m)) == 0) {
        if (m == SAME)
            rc = is_known(l, &list.items[0], false);
        else if (m == GROWN)
            rc = has_grown(l, &list.items[0], false);
        else
            *displaced = list.items[0].id;
    }
    fc_known_files_fini(&list);
    return rc;
}

/* By its inode: renamed, a link, and perhaps grown. */
static int by_inode(struct look *l)
{
    const struct fc_file *file = &l->f->file;
    struct fc_known_files list = {0};
    int rc = fc_writer_by_inode(l->writer, file->dev, file->ino, &list, l->err);
    enum match m = NONE;

    for (size_t i = 0; i < list.count && rc == 0 && m == NONE; i++) {
        const struct fc_known_file *k = &list.items[i];
        struct stat st;
        if (!k->records || (rc = match(l, k, &m)) || m == NONE)
            continue;
        enum place place = k->gone ? EMPTY : look_at(k, file->dev, file->ino, &st);
        if (m == SAME)
            rc = is_known(l, k, place == EMPTY || place == OTHER);
        else
            rc = has_grown(l, k, place == LINK);
    }
    fc_known_files_fini(&list);
    return rc;
}

/* By its content as it is stored: renamed, rotated, or a copy. */
static int by_stored(struct look *l)
{
    const struct fc_file *file = &l->f->file;
    const struct fc_known_file *vacant, *taken;
    struct fc_known_files list = {0};
    struct fc_prints prints;
    int rc = fc_file_prints(file, file->stored_size, &prints, l->err);

    if (rc)
        return rc;
    rc = fc_writer_by_stored(l->writer, prints.stored, file->stored_size, &list, l->err);
    if (rc == 0 && (rc = sort_out(l, &list, false, &vacant, &taken)) == 0 && (vacant || taken)) {
        struct stat st;
        if (vacant)
            rc = is_known(l, vacant, true);
        else if (look_at(taken, file->dev, file->ino, &st) == LINK)
            rc = is_known(l, taken, false);
        else
            rc = is_copy(l, taken);
    }
    fc_known_files_fini(&list);
    if (rc || file->compression != FC_COMPRESSION_NONE)
        return rc;
    /* what it holds was indexed compressed */
    rc = fc_writer_by_stream(l->writer, prints.samples, file->stored_size, &list, l->err);
    if (rc == 0 && (rc = sort_out(l, &list, true, &vacant, &taken)) == 0 && vacant &&
        (rc = fc_writer_forget_points(l->writer, vacant->id, l->err)) == 0 && (rc = is_known(l, vacant, true)) == 1 &&
        (rc = fc_writer_place(l->writer, vacant->id, file, prints.stored, false, l->err)) == 0)
        rc = 1;
    else if (rc == 0 && taken)
        rc = is_copy(l, taken);
    fc_known_files_fini(&list);
    return rc;
}

/* ---- compressed by somebody since it was indexed */

/* "day/cap.pcap.gz" -> "day/cap.pcap", "day/cap.pcap.1" -> "day/cap.pcap": false when there is nothing to take off. */
static bool take_suffix(char *path, enum fc_compression compression)
{
    static const char *const suffixes[] = {"", ".gz", ".zst", ".lz4", ".xz"};
    const char *suffix = suffixes[compression];
    size_t len = strlen(path), n = strlen(suffix);

    if (n) {
        if (len <= n || strcmp(path + len - n, suffix) != 0)
            return false;
        path[len - n] = '\0';
        return true;
    }
    for (n = len; n && isdigit((unsigned char)path[n - 1]);)
        n--;
    if (n == len || n < 2 || path[n - 1] != '.')
        return false;
    path[n - 1] = '\0';
    return true;
}

static int compare_stream(const void *a, const void *b)
{
    const struct fc_known_file *x = a, *y = b;

    return x->stream_size < y->stream_size ? -1 : x->stream_size > y->stream_size;
}

static int add_point(void *ctx, const struct fc_seek_point *point)
{
    struct look *l = ctx;

    return fc_writer_add_point(l->writer, 0, point, l->err);
}

/*
 * Decompresses the file as far as it can be one of these, by the size of their streams: *found is the longest that it
 * begins with; *whole: it holds no more.
 */
static int unpack(struct look *l, const struct fc_known_files *list, const struct fc_known_file **found, bool *whole)
{
    const struct fc_stream_watch watch = {add_point, NULL, l};
    const struct fc_file *file = &l->f->file;
    uint64_t most = list->items[list->count - 1].stream_size;
    uint8_t *buf = malloc(FC_STREAM_PIECE);
    struct fc_print *print = malloc(sizeof *print);
    struct fc_stream stream = {.state = NULL};
    size_t next = 0;
    int rc = buf && print ? fc_stream_init(&stream, file->compression, (struct fc_bytes){.fd = file->fd},
                                           file->stored_size, &watch)
                          : FC_E_NOMEM;

    *found = NULL;
    if (print)
        fc_print_init(print);
    while (rc == 0 && !stream.ended && stream.off <= most) {
        uint64_t off = stream.off, at = off;
        bool stopped = l->plan->stop && __atomic_load_n(l->plan->stop, __ATOMIC_RELAXED);
        int64_t n = stopped ? FC_E_INTERRUPTED : fc_stream_read(&stream, buf);
        if (n < 0) {
            rc = (int)n;
            break;
        }
        for (; next < list->count && list->items[next].stream_size <= off + (uint64_t)n; next++) {
            const struct fc_known_file *k = &list->items[next];
            if (k->stream_size > at)
                fc_print_take(print, at, buf + (at - off), (size_t)(k->stream_size - at));
            at = k->stream_size > at ? k->stream_size : at;
            if (at == k->stream_size && k->records && fc_print_value(print, at) == k->fingerprint)
                *found = k;
        }
        fc_print_take(print, at, buf + (at - off), (size_t)(off + (uint64_t)n - at));
    }
    *whole = *found && stream.ended && stream.off == (*found)->stream_size && !stream.why.code;
    if (stream.state)
        fc_stream_fini(&stream);
    free(buf);
    free(print);
    if (rc && l->err->code != rc)
        fc_error_set(l->err, rc, file->path, FC_NO_OFFSET, "%s", fc_strerror(rc));
    return rc;
}

static int adopt(struct look *l, const struct fc_known_files *list)
{
    const struct fc_file *file = &l->f->file;
    const struct fc_known_file *found, *vacant, *taken;
    struct fc_prints prints;
    bool whole;
    int rc = unpack(l, list, &found, &whole);

    if (rc == 0 && found) {
        struct fc_known_files one = {(struct fc_known_file *)(uintptr_t)found, 1, 0};
        rc = sort_out(l, &one, false, &vacant, &taken);
        if (rc == 0 && vacant && whole) {
            if ((rc = fc_file_prints(file, file->stored_size, &prints, l->err)) == 0 &&
                (rc = take(l->plan, l->writer, vacant, file->path, l->err)) == 0 &&
                (rc = fc_writer_place(l->writer, vacant->id, file, prints.stored, true, l->err)) == 0)
                rc = 1;
            l->result->files_known++;
            l->result->files_moved++;
        } else if (rc == 0 && vacant) {
            rc = has_grown(l, vacant, false);
        } else if (rc == 0 && taken && whole) {
            rc = is_copy(l, taken);
        }
    }
    int forgot = rc >= 0 ? fc_writer_forget_points(l->writer, 0, l->err) : 0; /* of what it has turned out not to be */
    return forgot ? forgot : rc;
}

/* A compressed file is decompressed to be known only where there is a reason to think that it was indexed. */
static int adopt_one_of(struct look *l, struct fc_known_files *list)
{
    if (!list->count)
        return 0;
    qsort(list->items, list->count, sizeof *list->items, compare_stream);
    return adopt(l, list);
}

/* A capture of its name without the suffix was indexed; so is one that was given a number before. */
static int by_suffix(struct look *l)
{
    const struct fc_file *file = &l->f->file;
    struct fc_known_files list = {0};
    char *name = strdup(file->path);
    int rc = name ? 0 : fc_error_set(l->err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");

    if (rc == 0 && take_suffix(name, file->compression) &&
        (rc = fc_writer_by_name(l->writer, name, true, &list, l->err)) == 0 && !list.count &&
        take_suffix(name, FC_COMPRESSION_NONE))
        rc = fc_writer_by_name(l->writer, name, true, &list, l->err);
    free(name);
    if (rc == 0)
        rc = adopt_one_of(l, &list);
    fc_known_files_fini(&list);
    return rc;
}

/* A capture was indexed that begins with the same bytes, at the same time. */
static int by_begin(struct look *l)
{
    struct fc_known_files list = {0};
    int rc = l->f->has_records ? fc_writer_by_begin(l->writer, l->f->begin, &list, l->err) : 0;

    if (rc == 0)
        rc = adopt_one_of(l, &list);
    fc_known_files_fini(&list);
    return rc;
}

int fc_known_by_content(struct fc_plan *plan, struct fc_writer *writer, struct fc_plan_file *f,
                        struct fc_index_result *result, struct fc_error *err)
{
    struct look l = {plan, writer, f, result, err};
    uint32_t displaced = 0;
    int rc = by_name(&l, &displaced);

    if (rc == 0 && !f->state)
        rc = by_inode(&l);
    if (rc == 0 && !f->state)
        rc = by_stored(&l);
    if (rc == 0 && !f->state && f->file.compression != FC_COMPRESSION_NONE)
        rc = by_suffix(&l);
    if (rc == 0 && !f->state && f->file.compression != FC_COMPRESSION_NONE)
        rc = by_begin(&l);
    if (rc >= 0 && displaced) {
        int failed = give_up(plan, writer, displaced, err);
        rc = failed ? failed : rc;
    }
    return rc;
}

int fc_known_replaced(struct fc_plan *plan, struct fc_writer *writer, const char *path, struct fc_error *err)
{
    struct fc_known_files list = {0};
    int rc = fc_writer_by_name(writer, path, false, &list, err);

    for (size_t i = 0; i < list.count && rc == 0; i++)
        rc = give_up(plan, writer, list.items[i].id, err);
    fc_known_files_fini(&list);
    return rc;
}
