/* SPDX-License-Identifier: MIT */
#include "flow/spill.h"
#include "base/error.h"
#include "base/io.h"
#include "base/vector.h"

#include <string.h>
#include <unistd.h>

enum { BUFFER = 64 << 10 };

void fc_spill_file_init(struct fc_spill_file *f, const char *folder)
{
    *f = (struct fc_spill_file){.folder = folder, .fd = -1};
    pthread_mutex_init(&f->lock, NULL);
}

void fc_spill_file_fini(struct fc_spill_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    pthread_mutex_destroy(&f->lock);
}

/* A place for n bytes. */
static int reserve(struct fc_spill_file *f, size_t n, uint64_t *off, struct fc_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&f->lock);
    if (f->fd < 0) {
        int fd = fc_io_temporary(f->folder, err);
        if (fd < 0)
            rc = fd;
        else
            f->fd = fd;
    }
    *off = f->end;
    if (rc == 0)
        f->end += n;
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static int flush(struct fc_spill_file *f, struct fc_spill *log, struct fc_error *err)
{
    uint64_t off;
    int rc;

    if (!log->len)
        return 0;
    if (fc_vector_reserve(&log->pieces, &log->room, log->count + 1, sizeof *log->pieces))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if ((rc = reserve(f, log->len, &off, err)) || (rc = fc_io_write(f->fd, log->buf, log->len, off, f->folder, err)))
        return rc;
    log->pieces[log->count++] = (struct fc_spill_piece){off, log->len};
    log->len = 0;
    return 0;
}

int fc_spill_write(struct fc_spill_file *f, struct fc_spill *log, const void *data, size_t n, struct fc_error *err)
{
    const uint8_t *p = data;

    if (!log->room_bytes)
        log->room_bytes = BUFFER;
    if (!log->buf && !(log->buf = malloc(log->room_bytes)))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    while (n) {
        size_t room = log->room_bytes - log->len, part = room < n ? room : n;
        memcpy(log->buf + log->len, p, part);
        log->len += part;
        p += part;
        n -= part;
        int rc = log->len == log->room_bytes ? flush(f, log, err) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int fc_spill_read(struct fc_spill_file *f, struct fc_spill *log, void *data, size_t n, struct fc_error *err)
{
    uint8_t *p = data;
    int rc;

    /* the first read ends the writing */
    if (!log->next && (rc = flush(f, log, err)))
        return rc;
    while (n) {
        if (log->at == log->len) {
            if (log->next == log->count)
                return 0;
            const struct fc_spill_piece *piece = &log->pieces[log->next++];
            if ((rc = fc_io_read(f->fd, log->buf, piece->len, piece->off, f->folder, err)))
                return rc;
            log->len = piece->len;
            log->at = 0;
        }
        size_t part = log->len - log->at < n ? log->len - log->at : n;
        memcpy(p, log->buf + log->at, part);
        log->at += part;
        p += part;
        n -= part;
    }
    return 1;
}

void fc_spill_fini(struct fc_spill *log)
{
    free(log->buf);
    free(log->pieces);
    *log = (struct fc_spill){0};
}
