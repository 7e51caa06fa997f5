/* SPDX-License-Identifier: MIT */
/* The sequential handle: from a path, a descriptor or memory, and back to records that it has given. */
#include <criterion/criterion.h>

#include "capture_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* The record that comes next is the i-th of those that were walked. */
static void expect_next(struct fc_capture *capture, const struct walked *w, size_t i)
{
    struct fc_record rec;
    struct fc_error err;

    cr_assert_eq(fc_capture_next(capture, &rec, &err), 1, "%s", err.cause);
    const struct fc_record *want = &w->records[i];
    cr_assert_eq(rec.off, want->off);
    cr_assert_eq(rec.next_off, want->next_off);
    cr_assert_eq(rec.ts_ns, want->ts_ns);
    cr_assert_eq(rec.caplen, want->caplen);
    cr_assert_eq(rec.link_type, want->link_type);
    cr_assert_eq(rec.section, want->section);
    cr_assert_eq(rec.iface, want->iface);
    cr_assert_eq(memcmp(rec.data, w->data[i], rec.caplen), 0);
}

static void expect_interfaces(struct fc_capture *capture, const struct walked *w)
{
    size_t count;
    const struct fc_interface *ifaces = fc_capture_interfaces(capture, &count);

    if (fc_capture_format(capture) != FC_FORMAT_PCAPNG) {
        cr_assert_eq(count, 1);
        return;
    }
    cr_assert_eq(count, w->iface_count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(ifaces[i].off, w->ifaces[i].off);
}

/* All of it, then some of it again from anywhere. */
static void wander(struct fc_capture *capture, const struct walked *w, struct rng *rng)
{
    struct fc_record rec;
    struct fc_error err;

    for (size_t i = 0; i < w->count; i++) {
        if (i + 1 < w->count)
            cr_assert_eq(fc_capture_seek(capture, w->records[i + 1].off, &err), FC_E_USAGE);
        expect_next(capture, w, i);
    }
    cr_assert_eq(fc_capture_next(capture, &rec, &err), 0);
    expect_interfaces(capture, w);
    for (int turn = 0; turn < 40 && w->count; turn++) {
        size_t i = (size_t)rng_below(rng, w->count);
        cr_assert_eq(fc_capture_seek(capture, i ? w->records[i].off : 0, &err), 0, "%s", err.cause);
        for (size_t n = 1 + (size_t)rng_below(rng, 5); n && i < w->count; n--)
            expect_next(capture, w, i++);
        expect_interfaces(capture, w);
    }
    cr_assert_eq(fc_capture_seek(capture, w->count ? w->records[w->count - 1].off : 0, &err), 0);
    if (w->count)
        expect_next(capture, w, w->count - 1);
    cr_assert_eq(fc_capture_next(capture, &rec, &err), 0);
}

static size_t gzip(const struct maker *m, uint8_t *out, size_t room)
{
    z_stream z = {.next_in = m->at, .avail_in = (unsigned)m->len, .next_out = out, .avail_out = (unsigned)room};

    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t len = room - z.avail_out;
    deflateEnd(&z);
    return len;
}

Test(open, from_a_path_a_descriptor_and_memory_and_back)
{
    struct rng rng = {test_seed("open, seek")};

    for (unsigned kind = 0; kind < KINDS * 3; kind++) {
        struct maker m = {0};
        struct fc_capture *capture;
        struct fc_error err;
        random_capture(&m, &rng, kind % KINDS, 60, 300);
        struct walked w = walk(&m, m.len);
        char *path = make_file(&m, m.len);
        cr_assert_eq(fc_capture_open(path, &capture, &err), 0);
        wander(capture, &w, &rng);
        fc_capture_close(capture);

        int fd = open(path, O_RDONLY);
        cr_assert_eq(lseek(fd, 5, SEEK_SET), 5);
        cr_assert_eq(fc_capture_open_fd(fd, "it", &capture, &err), 0);
        cr_assert_eq(lseek(fd, 0, SEEK_CUR), 5);
        close(fd);
        wander(capture, &w, &rng);
        fc_capture_close(capture);

        uint8_t *packed = malloc(m.len + 1000);
        size_t len = gzip(&m, packed, m.len + 1000);
        cr_assert_eq(fc_capture_open_memory(packed, len, "it", &capture, &err), 0);
        memset(packed, 0, len); /* it has a copy */
        cr_assert_eq(fc_capture_compression(capture), FC_COMPRESSION_GZIP);
        wander(capture, &w, &rng);
        fc_capture_close(capture);
        free(packed);
        make_close(path);
        walked_free(&w);
        make_fini(&m);
    }
}

Test(open, what_is_none)
{
    struct fc_capture *capture;
    struct fc_error err;
    int ends[2];

    cr_assert_eq(fc_capture_open_memory("GET / HTTP/1.1\r\n\r\n and more of it", 34, "the answer", &capture, &err),
                 FC_E_FORMAT);
    cr_assert_str_eq(err.file, "the answer");
    cr_assert_null(capture);
    cr_assert_eq(fc_capture_open_fd(-1, "none", &capture, &err), FC_E_IO);
    cr_assert_str_eq(err.file, "none");
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(fc_capture_open_fd(ends[0], "a pipe", &capture, &err), FC_E_IO);
    cr_assert_not_null(strstr(err.cause, "regular file"));
    cr_assert_eq(close(ends[0]), 0); /* still the caller's */
    close(ends[1]);
    cr_assert_eq(fc_capture_open_memory(NULL, 0, "nothing", &capture, &err), 0);
    cr_assert_eq(fc_capture_format(capture), FC_FORMAT_EMPTY);
    fc_capture_close(capture);
}
