/* SPDX-License-Identifier: MIT */
#include "live/part.h"
#include "base/error.h"
#include "base/io.h"
#include "capture/file.h"
#include "live/blocks.h"
#include "live/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".pcapng"
#define PART SUFFIX ".part"

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

/* Names sort by time; two of a millisecond are not given. */
static int name_part(const char *folder, const char *prefix, struct fc_part *part)
{
    char when[32] = "";
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm))
        strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm);
    if (asprintf(&part->path, "%s/%s-%s.%03dZ" SUFFIX, folder, prefix, when, (int)(now.tv_nsec / 1000000)) < 0)
        part->path = NULL;
    part->hidden = part->path ? fc_file_part(part->path) : NULL;
    return part->hidden ? 0 : FC_E_NOMEM;
}

static int give_rights(int fd, const struct fc_rights *rights)
{
    if (rights->has_group && fchown(fd, (uid_t)-1, rights->group) != 0)
        return -1;
    return rights->mode ? fchmod(fd, rights->mode) : 0;
}

int fc_part_create(const char *folder, const char *prefix, const struct fc_rights *rights, struct fc_part *part,
                   struct fc_error *err)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (;; nanosleep(&moment, NULL)) {
        *part = (struct fc_part){.fd = -1};
        if (name_part(folder, prefix, part)) {
            fc_part_fini(part);
            return no_memory(err);
        }
        if (access(part->path, F_OK) != 0) {
            part->fd = open(part->hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            if (part->fd >= 0 || errno != EEXIST)
                break;
        }
        fc_part_fini(part);
    }
    if (part->fd >= 0 && give_rights(part->fd, rights) == 0)
        return 0;
    fc_error_errno(err, FC_E_IO, part->hidden, FC_NO_OFFSET,
                   part->fd < 0 ? "cannot create" : "cannot give it the rights that were asked for");
    if (part->fd >= 0)
        unlink(part->hidden);
    fc_part_fini(part);
    return FC_E_IO;
}

/* Nobody else makes such names; should one be taken all the same, neither file is lost. */
static int rename_to_free(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? rename(from, to) : -1; /* a file system without that */
}

/* Somebody else has given it its name. Keeps errno. */
static bool has_name(const struct fc_part *part)
{
    struct stat named, open;
    int why = errno;
    bool has = stat(part->path, &named) == 0 && fstat(part->fd, &open) == 0 && named.st_dev == open.st_dev &&
               named.st_ino == open.st_ino;

    errno = why;
    return has;
}

int fc_part_finish(struct fc_part *part, const char *folder, struct fc_error *err)
{
    if (!part->hidden)
        return 0;
    if (fc_io_sync(part->fd) != 0)
        return fc_error_errno(err, FC_E_IO, part->hidden, FC_NO_OFFSET, "cannot write to disk");
    if (rename_to_free(part->hidden, part->path) != 0 && !has_name(part))
        return fc_error_errno(err, errno == ENOENT ? FC_E_MISSING : FC_E_IO, part->hidden, FC_NO_OFFSET,
                              errno == ENOENT ? "was removed while it was written" : "cannot get its name");
    free(part->hidden);
    part->hidden = NULL;
    if (fc_io_sync_folder(folder) != 0)
        return fc_error_errno(err, FC_E_IO, folder, FC_NO_OFFSET, "cannot write the folder to disk");
    return 0;
}

void fc_part_fini(struct fc_part *part)
{
    if (part->fd >= 0)
        close(part->fd);
    free(part->path);
    free(part->hidden);
    *part = (struct fc_part){.fd = -1};
}

/* ---- what was left */

/* Where its whole blocks end. */
static int find_end(int fd, const char *name, uint64_t *end, uint64_t *packets, struct fc_error *err)
{
    enum { WINDOW = 1 << 20 };
    uint8_t *window = malloc(WINDOW);
    ssize_t n = 0;
    size_t whole = 1;

    *end = *packets = 0;
    if (!window)
        return no_memory(err);
    while (whole && (n = pread(fd, window, WINDOW, (off_t)*end)) > 0)
        *end += whole = fc_block_whole(window, (size_t)n, packets);
    free(window);
    return n < 0 ? fc_error_errno(err, FC_E_IO, name, *end, "cannot read") : 0;
}

/*
 * Is what lies behind the whole blocks no more than one that was being written, or what a power loss leaves of pages
 * that were never written? Else it is damage, behind which there may be more, and readers know their way over it.
 */
static bool is_torn(int fd, uint64_t end)
{
    enum { LARGEST = 262144 + FC_BLOCK_HEAD_MAX, PIECE = 64 << 10 };
    uint8_t piece[PIECE];
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size - end <= LARGEST)
        return true;
    while ((n = pread(fd, piece, sizeof piece, (off_t)end)) > 0)
        for (end += (uint64_t)n; n > 0;)
            if (piece[--n])
                return false;
    return n == 0;
}

static int mend(struct fc_part *part, const char *folder, struct fc_error *err)
{
    uint64_t end, packets;

    if ((part->fd = open(part->hidden, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) < 0)
        return fc_error_errno(err, FC_E_IO, part->hidden, FC_NO_OFFSET, "cannot open what was left");
    int rc = find_end(part->fd, part->hidden, &end, &packets, err);
    bool torn = rc == 0 && is_torn(part->fd, end);
    if (rc == 0 && torn && !packets)
        rc = unlink(part->hidden) ? fc_error_errno(err, FC_E_IO, part->hidden, FC_NO_OFFSET, "cannot delete") : 0;
    else if (torn && ftruncate(part->fd, (off_t)end) != 0)
        rc = fc_error_errno(err, FC_E_IO, part->hidden, end, "cannot cut what was left");
    else if (rc == 0)
        rc = fc_part_finish(part, folder, err);
    return rc;
}

static bool is_ours(const char *name, const char *prefix, const char *suffix)
{
    size_t len = strlen(name), head = strlen(prefix), tail = strlen(suffix);

    return len > head + 1 + tail && strncmp(name, prefix, head) == 0 && name[head] == '-' &&
           strcmp(name + len - tail, suffix) == 0;
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

/* Calls `visit` for each file that is called so, behind `skip` characters of its name. */
static int each(const char *folder, const char *prefix, const char *suffix, size_t skip,
                int (*visit)(void *ctx, const char *name), void *ctx, struct fc_error *err)
{
    struct dirent **entries;
    int rc = 0, n = scandir(folder, &entries, not_dots, alphasort);

    if (n < 0)
        return fc_error_errno(err, FC_E_IO, folder, FC_NO_OFFSET, "cannot read the folder");
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (rc == 0 && strlen(name) > skip && (!skip || name[0] == '.') && is_ours(name + skip, prefix, suffix))
            rc = visit(ctx, name + skip);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

struct recovery {
    const char *folder;
    int (*found)(void *ctx, const char *path);
    void (*tell)(void *ctx, const struct fc_error *what);
    void *ctx;
};

static int mend_one(void *ctx, const char *name)
{
    const struct recovery *r = ctx;
    struct fc_part part = {.fd = -1};
    struct fc_error why;
    size_t len = strlen(name) - strlen(".part");
    int rc = 0;

    if (asprintf(&part.path, "%s/%.*s", r->folder, (int)len, name) < 0)
        part.path = NULL;
    if (!part.path || !(part.hidden = fc_file_part(part.path)))
        rc = no_memory(&why);
    else if (access(part.path, F_OK) == 0)
        rc = fc_error_set(&why, FC_E_IO, part.hidden, FC_NO_OFFSET, "cannot get its name, which another file has");
    else
        rc = mend(&part, r->folder, &why);
    fc_part_fini(&part);
    if (rc)
        r->tell(r->ctx, &why);
    return rc == FC_E_NOMEM ? rc : 0;
}

static int give(void *ctx, const char *name)
{
    const struct recovery *r = ctx;
    char *path = fc_tree_join(r->folder, name);
    int rc = path ? r->found(r->ctx, path) : FC_E_NOMEM;

    free(path);
    return rc;
}

int fc_part_list(const char *folder, const char *prefix, int (*found)(void *ctx, const char *path), void *ctx,
                 struct fc_error *err)
{
    struct recovery r = {.folder = folder, .found = found, .ctx = ctx};
    int rc = each(folder, prefix, SUFFIX, 0, give, &r, err);

    return rc == FC_E_NOMEM ? no_memory(err) : rc;
}

int fc_part_recover(const char *folder, const char *prefix, void (*tell)(void *ctx, const struct fc_error *what),
                    void *ctx, struct fc_error *err)
{
    struct recovery r = {.folder = folder, .tell = tell, .ctx = ctx};
    int rc = each(folder, prefix, PART, 1, mend_one, &r, err);

    return rc == FC_E_NOMEM ? no_memory(err) : rc;
}
