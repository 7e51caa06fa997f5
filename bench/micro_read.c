/* SPDX-License-Identifier: MIT */
/*
 * What it costs to walk the records of a capture from the page cache, by way of reading: the floor under an index run.
 * Each way looks at every record header of a little-endian pcap and counts records and captured bytes, which must come
 * out the same. Threads take stretches of 16 MiB whose first records were looked up before the clock runs. The rows
 * below the line read with the reader that `index` has, and decode, hash, note, and write what an index of this capture
 * takes.
 */
#include "base/bytes.h"
#include "base/hash.h"
#include "base/io.h"
#include "capture/reader.h"
#include "flow/table.h"
#include "micro.h"

#include <flowcarve/decode.h>

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#define STRETCH ((uint64_t)16 << 20)
enum { HEADER = 16, THREADS_MAX = 2, URING_BYTES = 128 << 10, URING_DEPTH = 8, WRITE_BYTES = 256 << 10 };

struct sums {
    uint64_t records, bytes;
};

/* A thread's own. */
struct scratch {
    uint8_t *memory;
    struct fc_shelf shelf; /* of use when noting */
};

struct walk {
    struct fc_file file;
    uint64_t *starts; /* of the stretches; one more: the end */
    size_t stretches;
    size_t buffer;
    int (*stretch)(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums);
    atomic_size_t next;
    atomic_bool failed;
    uint8_t *map;
    uint64_t seed;
    struct fc_rules rules;
    struct fc_table *table; /* its memory of notes */
};

struct worker {
    struct walk *walk;
    pthread_t thread;
    struct sums sums;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct walk *walk = w->walk;
    struct scratch scratch = {malloc(walk->buffer), {0}};
    bool ready = scratch.memory;
    size_t i;

    fc_shelf_init(&scratch.shelf, fc_table_stock(walk->table));
    while (ready && (i = atomic_fetch_add(&walk->next, 1)) < walk->stretches)
        if (walk->stretch(walk, walk->starts[i], walk->starts[i + 1], &scratch, &w->sums))
            atomic_store(&walk->failed, true);
    if (!ready)
        atomic_store(&walk->failed, true);
    fc_shelf_fini(&scratch.shelf);
    free(scratch.memory);
    return NULL;
}

/* Seconds; negative when something failed. */
static double walk_once(struct walk *walk, unsigned threads, struct sums *sums)
{
    struct worker workers[THREADS_MAX] = {{0}};
    double start = micro_now();

    atomic_store(&walk->next, 0);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].walk = walk;
        if (i && pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            return -1;
    }
    work(&workers[0]);
    *sums = workers[0].sums;
    for (unsigned i = 1; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        sums->records += workers[i].sums.records;
        sums->bytes += workers[i].sums.bytes;
    }
    return atomic_load(&walk->failed) ? -1 : micro_now() - start;
}

static int by_pread(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums)
{
    uint8_t *buf = scratch->memory;
    uint64_t at = from, have = from, end = from; /* buf holds [have, end) */

    while (at < to) {
        if (at + HEADER > end || at < have) {
            ssize_t n = pread(walk->file.fd, buf, walk->buffer, (off_t)at);
            if (n < HEADER)
                return -1;
            have = at;
            end = at + (uint64_t)n;
        }
        uint32_t caplen = fc_load32(buf + (at - have) + 8, false);
        sums->records++;
        sums->bytes += caplen;
        at += HEADER + caplen;
    }
    return 0;
}

static int by_map(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums)
{
    (void)scratch;
    for (uint64_t at = from; at < to;) {
        uint32_t caplen = fc_load32(walk->map + at + 8, false);
        sums->records++;
        sums->bytes += caplen;
        at += HEADER + caplen;
    }
    return 0;
}

static int by_populated_map(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums)
{
    uint64_t page = from & ~(uint64_t)4095;

    if (madvise(walk->map + page, to - page, MADV_POPULATE_READ))
        return -1;
    return by_map(walk, from, to, scratch, sums);
}

#ifdef HAVE_LIBURING
/* A ring a stretch, URING_DEPTH reads under way; a record that reaches over two buffers is put together by pread(). */
static int by_uring(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums)
{
    uint8_t *memory = scratch->memory;
    uint64_t parts = (to - from + URING_BYTES - 1) / URING_BYTES, asked = 0, at = from;
    struct io_uring ring;
    int got[URING_DEPTH], rc = 0;

    if (io_uring_queue_init(URING_DEPTH, &ring, 0))
        return -1;
    memset(got, 0xff, sizeof got);
    for (uint64_t part = 0; part < parts && rc == 0; part++) {
        unsigned asked_now = 0;
        for (; asked < parts && asked < part + URING_DEPTH; asked++, asked_now++) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
            uint64_t slot = asked % URING_DEPTH;
            io_uring_prep_read(sqe, walk->file.fd, memory + slot * URING_BYTES, URING_BYTES,
                               from + asked * URING_BYTES);
            io_uring_sqe_set_data64(sqe, slot);
        }
        if (asked_now && io_uring_submit(&ring) < 0)
            rc = -1;
        while (rc == 0 && got[part % URING_DEPTH] < 0) {
            struct io_uring_cqe *cqe;
            if (io_uring_wait_cqe(&ring, &cqe) || cqe->res < 0) {
                rc = -1;
                break;
            }
            got[io_uring_cqe_get_data64(cqe)] = cqe->res;
            io_uring_cqe_seen(&ring, cqe);
        }
        const uint8_t *buf = memory + part % URING_DEPTH * URING_BYTES;
        uint64_t have = from + part * URING_BYTES, end = have + (uint64_t)(rc ? 0 : got[part % URING_DEPTH]);
        while (rc == 0 && at < to && at < end) {
            uint8_t header[HEADER];
            const uint8_t *p = buf + (at - have);
            if (at + HEADER > end) {
                if (pread(walk->file.fd, header, HEADER, (off_t)at) != HEADER)
                    rc = -1;
                p = header;
            }
            uint32_t caplen = fc_load32(p + 8, false);
            sums->records++;
            sums->bytes += caplen;
            at += HEADER + caplen;
        }
        got[part % URING_DEPTH] = -1;
    }
    io_uring_queue_exit(&ring);
    return rc;
}
#endif

enum task { WALK, DECODE, NOTE };

/* With the reader that `index` has: nothing more, decoding and hashing, or that and a unit of notes. */
static int by_reader(struct walk *walk, uint64_t from, uint64_t to, struct fc_shelf *shelf, enum task task,
                     struct sums *sums)
{
    struct fc_unit *unit = fc_unit_new(fc_table_stock(walk->table));
    struct fc_reader reader;
    struct fc_packet packet;
    struct fc_record rec;
    volatile uint64_t sink = 0;
    int rc = fc_reader_init(&reader, FC_READER_BUFFER);

    if (rc == 0)
        rc = unit ? fc_unit_begin(unit, 1, from) : FC_E_NOMEM;
    if (rc == 0)
        rc = fc_reader_start(&reader, &walk->file, from, to, NULL);
    while (rc == 0 && (rc = fc_reader_walk(&reader, &rec, to)) == 1) {
        sums->records++;
        sums->bytes += rec.caplen;
        if (task != WALK)
            fc_decode(rec.link_type, rec.data, rec.caplen, rec.origlen, FC_WANT_SESSION, &packet);
        if (task == DECODE)
            sink = sink ^ fc_hash48(&packet.key, walk->seed);
        rc = task == NOTE ? fc_unit_add(unit, shelf, &packet, rec.off, rec.ts_ns, rec.origlen, walk->seed, false) : 0;
    }
    fc_reader_fini(&reader);
    fc_unit_free(unit, shelf);
    return rc;
}

static int by_plain_reader(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums)
{
    return by_reader(walk, from, to, &scratch->shelf, WALK, sums);
}

static int by_decoder(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums)
{
    return by_reader(walk, from, to, &scratch->shelf, DECODE, sums);
}

static int by_noting(struct walk *walk, uint64_t from, uint64_t to, struct scratch *scratch, struct sums *sums)
{
    return by_reader(walk, from, to, &scratch->shelf, NOTE, sums);
}

/* As cat: one thread, one buffer. */
static double by_cat(const struct walk *walk)
{
    uint8_t *buf = malloc(URING_BYTES);
    double start = micro_now();
    uint64_t at = 0;
    ssize_t n = 1;

    while (buf && at < walk->file.size && (n = pread(walk->file.fd, buf, URING_BYTES, (off_t)at)) > 0)
        at += (uint64_t)n;
    free(buf);
    return at == walk->file.size ? micro_now() - start : -1;
}

/* So many bytes into a new file beside the capture, by one thread, without waiting for the disk. */
static double by_writing(const char *folder, uint64_t bytes)
{
    uint8_t *buf = calloc(1, WRITE_BYTES);
    int fd = buf ? fc_io_temporary(folder, NULL) : -1, rc = fd < 0;
    double start = micro_now();

    for (uint64_t at = 0; at < bytes && rc == 0; at += WRITE_BYTES)
        rc = fc_io_write(fd, buf, WRITE_BYTES, at, folder, NULL);
    start = micro_now() - start;
    if (fd >= 0)
        close(fd);
    free(buf);
    return rc ? -1 : start;
}

/* First record of each stretch. */
static int find_starts(struct walk *walk, struct sums *sums)
{
    size_t most = (size_t)(walk->file.size / STRETCH) + 2;
    struct fc_reader reader;
    struct fc_record rec;
    int rc;

    if (!(walk->starts = malloc(most * sizeof *walk->starts)) || fc_reader_init(&reader, FC_READER_BUFFER))
        return -1;
    rc = fc_reader_start(&reader, &walk->file, 0, UINT64_MAX, NULL);
    while (rc == 0 && (rc = fc_reader_next(&reader, &rec)) == 1) {
        if (walk->stretches == 0 || rec.off / STRETCH != walk->starts[walk->stretches - 1] / STRETCH)
            walk->starts[walk->stretches++] = rec.off;
        sums->records++;
        sums->bytes += rec.caplen;
        rc = 0;
    }
    walk->starts[walk->stretches] = reader.pos;
    fc_reader_fini(&reader);
    return rc || !walk->stretches || walk->starts[walk->stretches] != walk->file.size ? -1 : 0;
}

static const struct way {
    const char *name;
    int (*stretch)(struct walk *, uint64_t, uint64_t, struct scratch *, struct sums *);
    size_t buffer;
    unsigned threads;
} ways[] = {
    {"headers, pread 64 KiB, 2 threads", by_pread, 64 << 10, 2},
    {"headers, pread 128 KiB, 2 threads", by_pread, 128 << 10, 2},
    {"headers, pread 256 KiB, 2 threads", by_pread, 256 << 10, 2},
    {"headers, pread 1 MiB, 2 threads", by_pread, 1 << 20, 2},
    {"headers, pread 128 KiB, 1 thread", by_pread, 128 << 10, 1},
    {"headers, mmap, 2 threads", by_map, 1, 2},
    {"headers, mmap and MADV_POPULATE_READ, 2 threads", by_populated_map, 1, 2},
#ifdef HAVE_LIBURING
    {"headers, io_uring, 8 reads of 128 KiB, 2 threads", by_uring, (size_t)URING_DEPTH *URING_BYTES, 2},
#endif
    {"records, the reader of `index`, 2 threads", by_plain_reader, 1, 2},
    {"records, decoded and hashed, 2 threads", by_decoder, 1, 2},
    {"records, decoded and hashed, 1 thread", by_decoder, 1, 1},
    {"records, decoded and noted, 2 threads", by_noting, 1, 2},
    {"records, decoded and noted, 1 thread", by_noting, 1, 1},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* All ways in turn, MICRO_ROUNDS times, so that a machine that drifts hits all. */
static int measure(struct walk *walk, const struct sums *want, const char *folder, uint64_t written)
{
    double times[WAYS + 2][MICRO_ROUNDS];
    char note[96];

    for (unsigned round = 0; round < MICRO_ROUNDS; round++) {
        for (unsigned i = 0; i < WAYS; i++) {
            struct sums sums = {0};
            walk->stretch = ways[i].stretch;
            walk->buffer = ways[i].buffer;
            /* a new map each time: its page tables are part of the cost */
            walk->map = mmap(NULL, walk->file.size, PROT_READ, MAP_PRIVATE, walk->file.fd, 0);
            if (walk->map == MAP_FAILED)
                return micro_fail("read", "mmap");
            double start = micro_now();
            if (walk_once(walk, ways[i].threads, &sums) < 0 || sums.records != want->records ||
                sums.bytes != want->bytes)
                return micro_fail("read", ways[i].name);
            munmap(walk->map, walk->file.size);
            times[i][round] = micro_now() - start;
        }
        times[WAYS][round] = by_cat(walk);
        times[WAYS + 1][round] = by_writing(folder, written);
        if (times[WAYS][round] < 0 || times[WAYS + 1][round] < 0)
            return micro_fail("read", "reading or writing");
    }
    snprintf(note, sizeof note, "%llu records, checked", (unsigned long long)want->records);
    for (unsigned i = 0; i < WAYS; i++)
        micro_row("read", ways[i].name, micro_median(times[i], MICRO_ROUNDS) * 1e3, "ms", note);
    micro_row("read", "all bytes, pread 128 KiB, 1 thread (cat)", micro_median(times[WAYS], MICRO_ROUNDS) * 1e3, "ms",
              "");
    if (written) {
        snprintf(note, sizeof note, "%.1f MB", (double)written / 1e6);
        micro_row("read", "bytes of the index written to the page cache, 1 thread",
                  micro_median(times[WAYS + 1], MICRO_ROUNDS) * 1e3, "ms", note);
    }
    return 0;
}

int micro_read(int argc, char **argv)
{
    struct walk walk = {.seed = fc_hash_secret()};
    struct sums want = {0};
    struct fc_error err;
    uint64_t written = 0;
    char folder[4096], *slash;
    int c, rc;

    while ((c = getopt(argc, argv, "w:")) != -1) {
        if (c != 'w')
            return 2;
        written = strtoull(optarg, NULL, 10);
    }
    if (optind + 1 != argc || strlen(argv[optind]) >= sizeof folder)
        return 2;
    strcpy(folder, argv[optind]);
    slash = strrchr(folder, '/');
    strcpy(slash ? slash + 1 : folder, ".");
    if (fc_file_open(argv[optind], &walk.file, &err))
        return micro_fail("read", "no capture");
    if (fc_rules_profile(&walk.rules, "flowcarve") || !(walk.table = fc_table_new(&walk.rules, false, "/tmp"))) {
        fc_file_close(&walk.file);
        return micro_fail("read", "out of memory");
    }
    if (walk.file.format == FC_FORMAT_PCAPNG || walk.file.compression != FC_COMPRESSION_NONE ||
        find_starts(&walk, &want))
        rc = micro_fail("read", "not a plain pcap without damage");
    else
        rc = measure(&walk, &want, folder, written);
    free(walk.starts);
    fc_table_free(walk.table);
    fc_file_close(&walk.file);
    return rc;
}
