/* SPDX-License-Identifier: MIT */
#include "capture/file.h"
#include "base/bytes.h"
#include "base/error.h"
#include "capture/foreign.h"
#include "capture/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAGIC_NG = 0x0a0d0d0a };

uint32_t fc_max_caplen(uint32_t link_type)
{
    switch (link_type) {
    case 231: /* DBUS */
    case 249: /* USBPCAP */
    case 189: /* USB_LINUX */
    case 220: /* USB_LINUX_MMAPPED */
        return 128u << 20;
    case 279: /* EBHSCR */
        return 8u << 20;
    default:
        return 262144;
    }
}

int64_t fc_file_stored(const struct fc_file *file, void *buf, size_t n, uint64_t off, struct fc_error *err)
{
    uint64_t left = off < file->stored_size ? file->stored_size - off : 0;
    size_t done = 0;

    n = left < n ? (size_t)left : n;
    if (file->remote)
        return fc_remote_read(file->remote, buf, n, off, err);
    if (file->tail)
        done = fc_tail_read(file->tail, buf, n, file->tail_base + off);
    while (done < n) {
        ssize_t r = pread(file->fd, (char *)buf + done, n - done, (off_t)(off + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return fc_error_errno(err, FC_E_IO, file->path, off + done, "cannot read");
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (int64_t)done;
}

int64_t fc_file_read(const struct fc_file *file, void *buf, size_t n, uint64_t off, struct fc_error *err)
{
    return file->source ? file->source->read(file->source, buf, n, off, err) : fc_file_stored(file, buf, n, off, err);
}

/* The file is no capture: says what it may be instead. */
static int refuse(const struct fc_file *file, struct fc_error *err)
{
    uint8_t start[FC_FOREIGN_BYTES + 1];
    int64_t n = fc_file_read(file, start, sizeof start, 0, err);

    if (n < 0)
        return (int)n;
    bool more = n > FC_FOREIGN_BYTES;
    return fc_error_set(err, FC_E_FORMAT, file->path, 0, "not a capture: %s%s%s",
                        file->source ? fc_compression_name(file->compression) : "", file->source ? "-compressed, " : "",
                        fc_foreign(start, (size_t)n - more, more));
}

static int read_header(struct fc_file *file, struct fc_error *err)
{
    uint8_t h[FC_PCAP_HEADER] = {0};
    int64_t n = fc_file_read(file, h, sizeof h, 0, err);

    if (n < 0)
        return (int)n;
    if ((uint64_t)n < file->size && n < FC_PCAP_HEADER)
        file->size = (uint64_t)n; /* became shorter since fstat(), or is a stream of so many bytes */
    if (n >= 4 && (fc_pcap_magic(h, false) || fc_pcap_magic(h, true))) {
        if (n < FC_PCAP_HEADER) {
            file->format = FC_FORMAT_EMPTY;
            return 0;
        }
        int rc = fc_pcap_read(file, 0, &file->pcap, err);
        file->format = file->pcap.format;
        file->data_off = FC_PCAP_HEADER;
        return rc;
    }
    if (n >= 4 && fc_load32(h, true) == MAGIC_NG) {
        file->format = FC_FORMAT_PCAPNG;
        return 0;
    }
    if (n == 0 && file->source && file->source->why)
        return fc_error_set(err, FC_E_FORMAT, file->path, 0, "not a capture: %s", file->source->why->cause);
    if (n == 0) {
        file->format = FC_FORMAT_EMPTY;
        return 0;
    }
    return refuse(file, err);
}

static int open_source(struct fc_file *file, struct fc_error *err)
{
    const struct fc_bytes from = {file->fd, file->remote};
    int rc = fc_stream_detect(from);

    if (rc < 0 && file->remote) {
        if (err)
            *err = *fc_remote_why(file->remote);
        return fc_remote_why(file->remote)->code;
    }
    if (rc < 0)
        return fc_error_errno(err, FC_E_IO, file->path, 0, "cannot read");
    file->compression = (enum fc_compression)rc;
    if (file->compression == FC_COMPRESSION_NONE)
        return 0;
    if ((rc = fc_source_open(from, file->path, file->stored_size, file->compression, &file->source)))
        return fc_error_set(err, rc, file->path, FC_NO_OFFSET, "out of memory");
    file->size = FC_SIZE_UNKNOWN;
    return 0;
}

int64_t fc_file_ctime(const struct fc_file *file)
{
    enum { LATELY_NS = 2000000000 };

    return file->ctime_ns < file->seen_ns - LATELY_NS ? file->ctime_ns : FC_TIME_NONE;
}

static int64_t time_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

int fc_file_open(const char *path, struct fc_file *file, struct fc_error *err)
{
    return fc_file_open_first(path, UINT64_MAX, file, err);
}

int fc_file_open_first(const char *path, uint64_t bytes, struct fc_file *file, struct fc_error *err)
{
    return fc_file_open_held(-1, path, bytes, file, err);
}

char *fc_file_part(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *part;

    return asprintf(&part, "%.*s.%s.part", (int)(name - path), path, name) < 0 ? NULL : part;
}

/*
 * What to do by a name, or else by the one that the file has until it is whole. It may get its own name in between, so
 * that is tried once more.
 */
static int by_either(const char *path, int (*call)(void *ctx, const char *path), void *ctx)
{
    int rc = call(ctx, path);

    if (rc >= 0 || errno != ENOENT)
        return rc;
    char *part = fc_file_part(path);
    if (!part) {
        errno = ENOMEM;
        return rc;
    }
    rc = call(ctx, part);
    free(part);
    return rc < 0 && errno == ENOENT ? call(ctx, path) : rc;
}

static int try_stat(void *ctx, const char *path)
{
    return stat(path, ctx);
}

int fc_file_stat(const char *path, struct stat *st)
{
    return by_either(path, try_stat, st);
}

static int try_open(void *ctx, const char *path)
{
    (void)ctx;
    /* O_NONBLOCK: opening a FIFO must not hang; it means nothing for regular files */
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static int open_or_duplicate(int held, const char *path)
{
    return held >= 0 ? fcntl(held, F_DUPFD_CLOEXEC, 0) : by_either(path, try_open, NULL);
}

int fc_file_again(const struct fc_file *file)
{
    return open_or_duplicate(file->held, file->path);
}

int fc_file_open_held(int held, const char *path, uint64_t bytes, struct fc_file *file, struct fc_error *err)
{
    struct timespec now;
    struct stat st;
    int rc;

    memset(file, 0, sizeof *file);
    file->held = held;
    file->fd = open_or_duplicate(held, path);
    if (file->fd < 0)
        return fc_error_errno(err, errno == EMFILE || errno == ENFILE ? FC_E_LIMIT : FC_E_IO, path, FC_NO_OFFSET,
                              "cannot open");
    clock_gettime(CLOCK_REALTIME, &now);
    if (fstat(file->fd, &st) != 0) {
        rc = fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot stat");
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = fc_error_set(err, FC_E_IO, path, FC_NO_OFFSET, "not a regular file");
        goto fail;
    }
    file->path = strdup(path);
    if (!file->path) {
        rc = fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
        goto fail;
    }
    file->size = file->stored_size = (uint64_t)st.st_size < bytes ? (uint64_t)st.st_size : bytes;
    file->mtime_ns = time_ns(&st.st_mtim);
    file->ctime_ns = time_ns(&st.st_ctim);
    file->seen_ns = time_ns(&now);
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    file->nameless = st.st_nlink == 0;
    rc = open_source(file, err);
    if (rc == 0)
        rc = read_header(file, err);
    if (rc == 0)
        return 0;
fail:
    fc_file_close(file);
    return rc;
}

int fc_file_open_remote(struct fc_remote *remote, const char *url, uint64_t bytes, struct fc_file *file,
                        struct fc_error *err)
{
    uint64_t size = fc_remote_size(remote);
    int rc;

    memset(file, 0, sizeof *file);
    file->fd = file->held = -1;
    file->remote = remote;
    file->path = strdup(url);
    file->size = file->stored_size = size < bytes ? size : bytes;
    file->mtime_ns = fc_remote_modified_ns(remote);
    file->dev = FC_REMOTE_DEVICE;
    file->ino = fc_remote_version(remote);
    rc = file->path ? open_source(file, err) : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (rc == 0)
        rc = read_header(file, err);
    if (rc)
        fc_file_close(file);
    return rc;
}

int fc_file_open_source(struct fc_source *source, const char *name, struct fc_file *file, struct fc_error *err)
{
    int rc;

    *file = (struct fc_file){
        .fd = -1, .held = -1, .source = source, .size = FC_SIZE_UNKNOWN, .stored_size = FC_SIZE_UNKNOWN};
    if (!(file->path = strdup(name)))
        return fc_error_set(err, FC_E_NOMEM, name, FC_NO_OFFSET, "out of memory");
    if ((rc = read_header(file, err)) == 0)
        return 0;
    file->source = NULL;
    fc_file_close(file);
    return rc;
}

void fc_file_rest(struct fc_file *file)
{
    if (file->source && file->source->close)
        file->source->close(file->source);
    file->source = NULL;
    if (file->remote)
        fc_remote_rest(file->remote);
    file->remote = NULL;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void fc_file_close(struct fc_file *file)
{
    fc_file_rest(file);
    free(file->path);
    memset(file, 0, sizeof *file);
    file->fd = file->held = -1;
}

static int64_t clamp_time(__int128 ns)
{
    if (ns > INT64_MAX)
        return INT64_MAX;
    return ns <= INT64_MIN ? INT64_MIN + 1 : (int64_t)ns; /* INT64_MIN is FC_TIME_NONE */
}

int64_t fc_interface_time(const struct fc_interface *iface, uint64_t ticks)
{
    unsigned __int128 ns = ticks;
    unsigned e = iface->tsresol & 127u;

    if (iface->tsresol & 128) {
        /* 64 + 30 bits, no overflow */
        ns = ns * 1000000000u >> e;
    } else {
        for (; e < 9; e++)
            ns *= 10;
        for (; e > 9 && ns; e--)
            ns /= 10;
    }
    return clamp_time((__int128)ns + (__int128)iface->tsoffset * 1000000000);
}
