/* SPDX-License-Identifier: MIT */
#include "capture/unpacked.h"
#include "base/error.h"
#include "capture/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fc_unpacked {
    struct fc_stream stream;
    struct fc_stream_watch watch;
    const char *path;
    struct fc_error *err;
    int rc; /* why it cannot be read on */
    size_t at, len;
    uint8_t piece[FC_STREAM_PIECE];
};

static int note_damage(void *ctx, uint64_t off, const char *cause)
{
    struct fc_unpacked *u = ctx;

    return u->rc = fc_error_set(u->err, FC_E_FORMAT, u->path, off, "%s", cause);
}

static ssize_t unpack(void *ctx, char *buf, size_t size)
{
    struct fc_unpacked *u = ctx;

    if (u->at == u->len) {
        int64_t n = fc_stream_read(&u->stream, u->piece);
        u->at = 0;
        u->len = n > 0 ? (size_t)n : 0;
        if (n < 0 && !u->rc && !(u->rc = fc_stream_unreadable(&u->stream, u->path, u->err)))
            u->rc = fc_error_set(u->err, (int)n, u->path, u->stream.off, "out of memory");
        if (n == 0 && u->stream.cut)
            (void)note_damage(u, u->stream.why.off, u->stream.why.cause);
        if (u->rc)
            return -1;
    }
    size = size < u->len - u->at ? size : u->len - u->at;
    memcpy(buf, u->piece + u->at, size);
    u->at += size;
    return (ssize_t)size;
}

static int end(void *ctx)
{
    struct fc_unpacked *u = ctx;

    fc_stream_fini(&u->stream);
    free(u);
    return 0;
}

static FILE *open_plain(int fd, const char *path, struct fc_error *err)
{
    int copy = dup(fd);
    FILE *f = copy >= 0 ? fdopen(copy, "r") : NULL;

    if (!f) {
        fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot read");
        if (copy >= 0)
            close(copy);
    }
    return f;
}

FILE *fc_unpacked_open(int fd, const char *path, struct fc_unpacked **packed, struct fc_error *err)
{
    const cookie_io_functions_t calls = {.read = unpack, .close = end};
    struct fc_bytes from = {.fd = fd};
    struct fc_unpacked *u;
    struct stat st;
    int kind = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fc_stream_detect(from) : FC_COMPRESSION_NONE;
    FILE *f;

    *packed = NULL;
    if (kind <= FC_COMPRESSION_NONE)
        return open_plain(fd, path, err);
    if ((u = calloc(1, sizeof *u))) {
        u->watch = (struct fc_stream_watch){.damage = note_damage, .ctx = u};
        u->path = path;
        u->err = err;
        if (fc_stream_init(&u->stream, (enum fc_compression)kind, from, (uint64_t)st.st_size, &u->watch) == 0 &&
            (f = fopencookie(u, "r", calls))) {
            *packed = u;
            return f;
        }
        end(u);
    }
    fc_error_set(err, FC_E_NOMEM, path, FC_NO_OFFSET, "out of memory");
    return NULL;
}

int fc_unpacked_failed(const struct fc_unpacked *u)
{
    return u ? u->rc : 0;
}
