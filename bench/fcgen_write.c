/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Small enough to stay in the second-level cache between being filled and being handed to the kernel. */
#define BUFFER_BYTES (512u * 1024)
#define RECORD_ROOM (FCGEN_MAX_FRAME + 64u)

enum {
    PCAP_HEADER = 24,
    PCAP_RECORD = 16,
    NG_EPB_HEAD = 28,
    LINK_ETHERNET = 1,
};

struct out_file {
    int fd;
    uint32_t used;
    uint64_t flushed; /* file offset of buf[0] */
    uint8_t *buf;
};

struct fcgen_writer {
    const struct fcgen_options *opt;
    struct fcgen_rng *rng;
    struct out_file *files;
    uint32_t open_count; /* files written at once: more than one with --overlap */
    uint32_t current;
    uint32_t number; /* of the file, or of the last file, opened; from 1 */
    uint32_t digits; /* in a file's number; 0: there is one file, and its name is as given */
    uint64_t packets;
    uint64_t bytes; /* in all files, flushed or not */
    bool failed;
    char stem[4096];
    char name[4200];
};

static inline void put16(const struct fcgen_writer *w, uint8_t *p, uint32_t v)
{
    bool big = w->opt->big_endian;
    p[big ? 1 : 0] = (uint8_t)v;
    p[big ? 0 : 1] = (uint8_t)(v >> 8);
}

static inline void put32(const struct fcgen_writer *w, uint8_t *p, uint32_t v)
{
    if (w->opt->big_endian) {
        p[0] = (uint8_t)(v >> 24);
        p[1] = (uint8_t)(v >> 16);
        p[2] = (uint8_t)(v >> 8);
        p[3] = (uint8_t)v;
    } else {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
        p[2] = (uint8_t)(v >> 16);
        p[3] = (uint8_t)(v >> 24);
    }
}

static int fail(struct fcgen_writer *w, const char *what)
{
    if (!w->failed)
        fprintf(stderr, "fcgen: %s: %s: %s\n", w->name, what, strerror(errno));
    w->failed = true;
    return -1;
}

static int flush(struct fcgen_writer *w, struct out_file *f)
{
    uint32_t done = 0;
    while (done < f->used && !w->failed) {
        ssize_t n = write(f->fd, f->buf + done, f->used - done);
        if (n > 0)
            done += (uint32_t)n;
        else if (n < 0 && errno != EINTR)
            return fail(w, "cannot write");
    }
    f->flushed += f->used;
    f->used = 0;
    return w->failed ? -1 : 0;
}

static void put_pcap_header(struct fcgen_writer *w, struct out_file *f)
{
    uint8_t *p = f->buf;
    put32(w, p, w->opt->nanoseconds ? 0xa1b23c4du : 0xa1b2c3d4u);
    put16(w, p + 4, 2);
    put16(w, p + 6, 4);
    put32(w, p + 8, 0);
    put32(w, p + 12, 0);
    put32(w, p + 16, w->opt->snaplen);
    put32(w, p + 20, LINK_ETHERNET);
    f->used = PCAP_HEADER;
}

/* Interface Description Block with its name and time resolution. */
static uint32_t put_interface(struct fcgen_writer *w, uint8_t *p, uint32_t index)
{
    char name[16] = {0};
    uint32_t name_bytes = (uint32_t)snprintf(name, sizeof name, "eth%u", (unsigned)index);
    uint32_t padded = (name_bytes + 3) & ~3u, total = 16 + 4 + padded + 8 + 4 + 4;
    put32(w, p, 1);
    put32(w, p + 4, total);
    put16(w, p + 8, LINK_ETHERNET);
    put16(w, p + 10, 0);
    put32(w, p + 12, w->opt->snaplen);
    put16(w, p + 16, 2);
    put16(w, p + 18, name_bytes);
    memcpy(p + 20, name, padded);
    uint8_t *q = p + 20 + padded;
    memset(q, 0, 12);
    put16(w, q, 9);
    put16(w, q + 2, 1);
    q[4] = w->opt->nanoseconds ? 9 : 6;
    put32(w, q + 12, total);
    return total;
}

static void put_pcapng_header(struct fcgen_writer *w, struct out_file *f)
{
    uint8_t *p = f->buf;
    put32(w, p, 0x0a0d0d0a);
    put32(w, p + 4, 28);
    put32(w, p + 8, 0x1a2b3c4d);
    put16(w, p + 12, 1);
    put16(w, p + 14, 0);
    put32(w, p + 16, 0xffffffff);
    put32(w, p + 20, 0xffffffff);
    put32(w, p + 24, 28);
    f->used = 28;
    for (uint32_t i = 0; i < w->opt->interfaces; i++)
        f->used += put_interface(w, f->buf + f->used, i);
}

static int open_file(struct fcgen_writer *w, struct out_file *f)
{
    w->number++;
    if (strcmp(w->opt->out, "-") == 0) {
        snprintf(w->name, sizeof w->name, "standard output");
        f->fd = STDOUT_FILENO;
    } else {
        if (w->digits)
            snprintf(w->name, sizeof w->name, "%s-%0*u.%s", w->stem, (int)w->digits, (unsigned)w->number,
                     w->opt->pcapng ? "pcapng" : "pcap");
        else
            snprintf(w->name, sizeof w->name, "%s", w->stem);
        f->fd = open(w->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (f->fd < 0)
            return fail(w, "cannot create");
    }
    f->flushed = 0;
    if (w->opt->pcapng)
        put_pcapng_header(w, f);
    else
        put_pcap_header(w, f);
    w->bytes += f->used;
    return 0;
}

static int close_file(struct fcgen_writer *w, struct out_file *f)
{
    int rc = flush(w, f);
    if (f->fd > STDOUT_FILENO && close(f->fd) != 0)
        rc = fail(w, "cannot close");
    f->fd = -1;
    return rc;
}

/* "x.pcap" split over files is x-0001.pcap...; "dir/" holds dir/cap-0001.pcap... */
static int choose_names(struct fcgen_writer *w)
{
    const struct fcgen_options *opt = w->opt;
    size_t len = strlen(opt->out);
    bool many = opt->files > 1 || opt->file_size != 0;
    struct stat st;
    bool dir = len > 0 && (opt->out[len - 1] == '/' || (stat(opt->out, &st) == 0 && S_ISDIR(st.st_mode)));
    if (len + 16 > sizeof w->stem) {
        fprintf(stderr, "fcgen: the output's name is too long\n");
        return -1;
    }
    snprintf(w->name, sizeof w->name, "%s", opt->out);
    snprintf(w->stem, sizeof w->stem, "%s%s", opt->out, !dir ? "" : opt->out[len - 1] == '/' ? "cap" : "/cap");
    if (dir && mkdir(opt->out, 0777) != 0 && errno != EEXIST)
        return fail(w, "cannot create");
    if (!many && !dir)
        return 0;
    char *dot = strrchr(w->stem, '.');
    if (dot != NULL && (strcmp(dot, ".pcap") == 0 || strcmp(dot, ".pcapng") == 0))
        *dot = '\0';
    w->digits = 4;
    uint64_t expected = opt->files;
    if (opt->file_size)
        expected = (opt->bytes ? opt->bytes : opt->packets * 1000) / opt->file_size + 1;
    for (uint64_t top = 10000; top <= expected; top *= 10)
        w->digits++;
    return 0;
}

struct fcgen_writer *fcgen_writer_open(const struct fcgen_options *opt, struct fcgen_rng *rng)
{
    struct fcgen_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->opt = opt;
    w->rng = rng;
    w->open_count = opt->overlap ? opt->files : 1;
    w->files = calloc(w->open_count, sizeof *w->files);
    if (w->files == NULL || choose_names(w) != 0)
        goto out;
    for (uint32_t i = 0; i < w->open_count; i++)
        w->files[i].fd = -1;
    for (uint32_t i = 0; i < w->open_count; i++) {
        /* Interfaces' descriptions come on top of the records' room. */
        w->files[i].buf = malloc(BUFFER_BYTES + RECORD_ROOM);
        if (w->files[i].buf == NULL || open_file(w, &w->files[i]) != 0)
            goto out;
    }
    return w;
out:
    w->failed = true;
    fcgen_writer_close(w);
    return NULL;
}

static bool file_is_full(const struct fcgen_writer *w, const struct out_file *f)
{
    const struct fcgen_options *opt = w->opt;
    if (opt->overlap)
        return false;
    if (opt->file_size)
        return f->flushed + f->used >= opt->file_size;
    if (w->number >= opt->files)
        return false;
    /* Equal shares of whichever limit ends the capture. */
    return (opt->packets && w->packets >= opt->packets * w->number / opt->files) ||
           (opt->bytes && w->bytes >= opt->bytes / opt->files * w->number);
}

uint8_t *fcgen_writer_begin(struct fcgen_writer *w)
{
    if (w->opt->overlap)
        w->current = fcgen_below(w->rng, w->open_count);
    struct out_file *f = &w->files[w->current];
    if (file_is_full(w, f) && (close_file(w, f) != 0 || open_file(w, f) != 0))
        return NULL;
    if (f->used > BUFFER_BYTES && flush(w, f) != 0)
        return NULL;
    return f->buf + f->used + (w->opt->pcapng ? NG_EPB_HEAD : PCAP_RECORD);
}

static uint32_t put_packet_block(struct fcgen_writer *w, uint8_t *p, uint64_t ts_ns, uint32_t iface, uint32_t caplen,
                                 uint32_t len)
{
    uint64_t ts = w->opt->nanoseconds ? ts_ns : ts_ns / 1000;
    uint32_t padded = (caplen + 3) & ~3u, total = NG_EPB_HEAD + padded + 4;
    put32(w, p, 6);
    put32(w, p + 4, total);
    put32(w, p + 8, iface);
    put32(w, p + 12, (uint32_t)(ts >> 32));
    put32(w, p + 16, (uint32_t)ts);
    put32(w, p + 20, caplen);
    put32(w, p + 24, len);
    memset(p + NG_EPB_HEAD + caplen, 0, padded - caplen);
    put32(w, p + NG_EPB_HEAD + padded, total);
    return total;
}

void fcgen_writer_commit(struct fcgen_writer *w, uint32_t len, uint64_t ts_ns, uint32_t iface,
                         struct fcgen_position *out)
{
    struct out_file *f = &w->files[w->current];
    uint8_t *p = f->buf + f->used;
    uint32_t caplen = len < w->opt->snaplen ? len : w->opt->snaplen;
    if (!w->opt->nanoseconds)
        ts_ns -= ts_ns % 1000;
    *out = (struct fcgen_position){
        .file = w->opt->overlap ? w->current + 1 : w->number,
        .caplen = caplen,
        .offset = f->flushed + f->used,
        .ts_ns = ts_ns,
    };
    w->packets++;
    if (w->opt->pcapng) {
        uint32_t total = put_packet_block(w, p, ts_ns, iface, caplen, len);
        f->used += total;
        w->bytes += total;
        return;
    }
    uint32_t fraction = (uint32_t)(ts_ns % FCGEN_NS);
    put32(w, p, (uint32_t)(ts_ns / FCGEN_NS));
    put32(w, p + 4, w->opt->nanoseconds ? fraction : fraction / 1000);
    put32(w, p + 8, caplen);
    put32(w, p + 12, len);
    f->used += PCAP_RECORD + caplen;
    w->bytes += PCAP_RECORD + caplen;
}

uint64_t fcgen_writer_bytes(const struct fcgen_writer *w)
{
    return w->bytes;
}

uint32_t fcgen_writer_files(const struct fcgen_writer *w)
{
    return w->number;
}

int fcgen_writer_close(struct fcgen_writer *w)
{
    int rc = w->failed ? -1 : 0;
    for (uint32_t i = 0; w->files != NULL && i < w->open_count; i++) {
        struct out_file *f = &w->files[i];
        if (f->buf != NULL && f->fd >= 0 && close_file(w, f) != 0)
            rc = -1;
        free(f->buf);
    }
    free(w->files);
    free(w);
    return rc;
}
