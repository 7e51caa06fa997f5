/* SPDX-License-Identifier: MIT */
/*
 * Feeds a recorder from memory, as fast as it takes packets: what the way from an interface's buffer to a committed
 * index can do, without the interface. Prints a line: packets, bytes, seconds until all was committed, seconds of CPU,
 * packets dropped, commits, ms of the longest one.
 */
#include <flowcarve/flowcarve.h>

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MOST_THREADS = 16, UNTIL = 2000, PAUSE_EVERY = 50 };

struct packet {
    struct fc_recorder_packet packet;
    unsigned thread;
};

struct run {
    struct packet *packets;
    size_t count;
    struct fc_recorder *recorder;
    struct fc_recorder_input *inputs[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    uint64_t commits;
    int64_t longest_ns;
    int stop, left;
    int pause_ms, commit_ms; /* 0: none; a second */
};

struct feeder {
    struct run *run;
    unsigned number;
};

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int fail(const char *what, const struct fc_error *err)
{
    fprintf(stderr, "fcfeed: %s: %s %s\n", what, err->file, err->cause);
    return 1;
}

/* All of it into memory; both directions of a flow are of one thread, as PACKET_FANOUT_HASH has it. */
static int load(struct run *run, const char *path, unsigned threads)
{
    struct fc_capture *capture;
    struct fc_record record;
    struct fc_packet packet;
    struct fc_error err = {0};
    size_t room = 0;
    int rc;

    if (fc_capture_open(path, &capture, &err))
        return fail("cannot open", &err);
    while ((rc = fc_capture_next(capture, &record, &err)) == 1) {
        if (run->count == room) {
            room = room ? room * 2 : 1 << 20;
            run->packets = realloc(run->packets, room * sizeof *run->packets);
        }
        uint8_t *copy = malloc(record.caplen + 1);
        if (!run->packets || !copy)
            return fail("out of memory", &err);
        memcpy(copy, record.data, record.caplen);
        fc_decode(record.link_type, copy, record.caplen, record.origlen, FC_WANT_KEY, &packet);
        uint32_t sum = 0;
        for (size_t i = 0; i < sizeof packet.key; i++)
            sum = sum * 31 + ((const uint8_t *)&packet.key)[i];
        run->packets[run->count++] =
            (struct packet){{record.ts_ns, 0, record.caplen, record.origlen, copy}, (sum >> 7) % threads};
    }
    fc_capture_close(capture);
    return rc ? fail("cannot read", &err) : 0;
}

static void *feed(void *arg)
{
    const struct feeder *f = arg;
    struct run *run = f->run;
    struct fc_recorder_input *input = run->inputs[f->number];

    for (size_t i = 0; i < run->count; i++) {
        if (i % UNTIL == 0 || (run->pause_ms && i % PAUSE_EVERY == 0)) {
            const struct timespec pause = {run->pause_ms / 1000, run->pause_ms % 1000 * 1000000L};
            fc_recorder_until(input, run->packets[i].packet.time_ns);
            nanosleep(&pause, NULL);
        }
        if (run->packets[i].thread == f->number)
            (void)fc_recorder_add(input, &run->packets[i].packet);
    }
    fc_recorder_until(input, INT64_MAX);
    if (__atomic_sub_fetch(&run->left, 1, __ATOMIC_ACQ_REL) == 0)
        __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void committed(void *ctx, const struct fc_recorder_commit *commit)
{
    struct run *run = ctx;

    run->commits++;
    run->longest_ns = commit->took_ns > run->longest_ns ? commit->took_ns : run->longest_ns;
}

static void word(void *ctx, const struct fc_error *what)
{
    (void)ctx;
    (void)fail("while it runs", what);
}

static double cpu(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static int record(struct run *run, const char *db, const char *folder, unsigned threads, bool wait)
{
    const struct fc_recorder_options o = {.wait = wait,
                                          .commit_ns = (int64_t)run->commit_ms * 1000000,
                                          .rotate_bytes = 1 << (run->pause_ms && run->commit_ms ? 20 : 30),
                                          .committed = committed,
                                          .word = word,
                                          .ctx = run};
    const struct fc_recorder_interface iface = {.name = "memory", .link_type = 1};
    struct feeder feeders[MOST_THREADS];
    struct fc_recorder_counts counts;
    struct fc_error err = {0};
    uint32_t number;

    if (fc_recorder_open(db, folder, &o, &run->recorder, &err) ||
        fc_recorder_add_interface(run->recorder, &iface, &number, &err))
        return fail("cannot record", &err);
    double start = now(), before = cpu();
    run->left = (int)threads;
    for (unsigned i = 0; i < threads; i++)
        if (fc_recorder_add_input(run->recorder, &run->inputs[i], &err))
            return fail("cannot record", &err);
    for (unsigned i = 0; i < threads; i++) {
        feeders[i] = (struct feeder){run, i};
        if (pthread_create(&run->threads[i], NULL, feed, &feeders[i]) != 0)
            return fail("no thread", &err);
    }
    int rc = fc_recorder_run(run->recorder, &run->stop, &err);
    double end = now(), after = cpu();
    for (unsigned i = 0; i < threads; i++)
        pthread_join(run->threads[i], NULL);
    fc_recorder_count(run->recorder, NULL, &counts);
    fc_recorder_close(run->recorder);
    if (rc != FC_E_INTERRUPTED)
        return fail("cannot record", &err);
    printf("%zu %llu %.3f %.3f %llu %llu %.0f\n", run->count, (unsigned long long)counts.recorded_bytes, end - start,
           after - before, (unsigned long long)(counts.dropped_queue + counts.dropped_disk),
           (unsigned long long)run->commits, (double)run->longest_ns / 1e6);
    return counts.indexed + counts.dropped_queue + counts.dropped_disk != run->count;
}

int main(int argc, char **argv)
{
    const char *db = NULL, *folder = NULL;
    struct run run = {.left = 0};
    unsigned threads = 1;
    bool wait = true;
    int c;

    while ((c = getopt(argc, argv, "d:w:t:lp:c:")) != -1)
        if (c == 'd')
            db = optarg;
        else if (c == 'w')
            folder = optarg;
        else if (c == 't')
            threads = (unsigned)atoi(optarg);
        else if (c == 'l')
            wait = false;
        else if (c == 'p')
            run.pause_ms = atoi(optarg);
        else if (c == 'c')
            run.commit_ms = atoi(optarg);
        else
            return 2;
    if (!db || !folder || optind + 1 != argc || threads < 1 || threads > MOST_THREADS) {
        fputs("usage: fcfeed -d DB -w FOLDER [-t THREADS] [-l] [-p MS] [-c MS] CAPTURE\n"
              "-l: loses what there is no room for; -p: pauses after each 50 packets; -c: commits that often\n",
              stderr);
        return 2;
    }
    return load(&run, argv[optind], threads) || record(&run, db, folder, threads, wait);
}
