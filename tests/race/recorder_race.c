/* SPDX-License-Identifier: MIT */
/*
 * A recorder that two threads feed as fast as they can, while a third one rotates and asks for counts, and commits go
 * on. In the end each packet is in the index, or counted as dropped; files are in the order of time.
 */
#include <flowcarve/db.h>
#include <flowcarve/recorder.h>
#include <flowcarve/verify.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FEEDERS = 2, PACKETS = 60000, FRAME = 90, FLOWS = 50 };

struct feeder {
    struct fc_recorder *recorder;
    struct fc_recorder_input *input;
    uint32_t interface;
    int number;
    int64_t start_ns;
    uint64_t refused;
    pthread_t thread;
};

static int stop;

static void make_frame(uint8_t *frame, int feeder, int n)
{
    static const uint8_t head[] = {2, 0, 0,    0, 0, 1,          2, 0, 0, 0, 0,  2,
                                   8, 0, 0x45, 0, 0, FRAME - 14, 0, 0, 0, 0, 64, 17};

    memset(frame, 0, FRAME);
    memcpy(frame, head, sizeof head);
    memcpy(frame + 26, (const uint8_t[]){10, 0, (uint8_t)feeder, 1, 10, 0, (uint8_t)feeder, 2}, 8);
    frame[34] = 4;
    frame[35] = (uint8_t)(n % FLOWS);
    frame[37] = 53;
    frame[39] = FRAME - 34;
}

static void *feed(void *arg)
{
    struct feeder *f = arg;
    uint8_t frame[FRAME];

    for (int n = 0; n < PACKETS; n++) {
        int64_t now = f->start_ns + (int64_t)n * 10000 + f->number;
        const struct fc_recorder_packet packet = {now, f->interface, FRAME, FRAME + 10, frame};
        make_frame(frame, f->number, n);
        if (n % 500 == 0)
            fc_recorder_until(f->input, now);
        int rc = fc_recorder_add(f->input, &packet);
        f->refused += rc == FC_E_LIMIT;
    }
    fc_recorder_tell(f->recorder, f->interface, 7, 3);
    fc_recorder_until(f->input, INT64_MAX);
    return NULL;
}

static void *disturb(void *arg)
{
    struct fc_recorder *recorder = arg;
    struct fc_recorder_counts counts;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        const struct timespec pause = {0, 20000000};
        nanosleep(&pause, NULL);
        fc_recorder_rotate(recorder);
        fc_recorder_count(recorder, NULL, &counts);
    }
    return NULL;
}

static int64_t number_of(const char *db_path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int64_t n = -1;

    if (sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

static int failed;

static void expect(bool ok, const char *what, int64_t got)
{
    if (!ok) {
        fprintf(stderr, "recorder_race: %s: %lld\n", what, (long long)got);
        failed = 1;
    }
}

static bool is_sound(const char *db_path)
{
    struct fc_verify_result result;
    struct fc_error err = {0};
    struct fc_db *db;

    if (fc_db_open(db_path, &db, &err))
        return false;
    int rc = fc_verify(db, NULL, NULL, &result, &err);
    if (rc)
        fprintf(stderr, "recorder_race: verify: %s\n", result.problem_count ? result.problems[0].cause : err.cause);
    fc_verify_result_fini(&result);
    fc_db_close(db);
    return rc == 0;
}

static void *run(void *arg)
{
    struct fc_error err = {0};
    int rc = fc_recorder_run(arg, &stop, &err);

    expect(rc == FC_E_INTERRUPTED, err.cause, rc);
    return NULL;
}

static void try_with(const char *folder, const char *db_path, uint64_t memory, bool wait)
{
    const struct fc_recorder_options o = {
        .commit_ns = 30000000, .rotate_bytes = 1 << 20, .memory_bytes = memory, .wait = wait};
    struct fc_recorder *recorder;
    struct feeder feeders[FEEDERS] = {0};
    struct fc_recorder_counts counts;
    struct fc_error err = {0};
    pthread_t disturber, runner;
    uint64_t refused = 0;

    stop = 0;
    if (fc_recorder_open(db_path, folder, &o, &recorder, &err)) {
        expect(false, err.cause, err.code);
        return;
    }
    for (int i = 0; i < FEEDERS; i++) {
        struct fc_recorder_interface iface = {.name = i ? "two" : "one", .link_type = 1, .tsresol = i ? 6 : 9};
        struct feeder *f = &feeders[i];
        *f = (struct feeder){.recorder = recorder, .number = i, .start_ns = (int64_t)time(NULL) * 1000000000};
        expect(fc_recorder_add_interface(recorder, &iface, &f->interface, &err) == 0, "interface", i);
        expect(fc_recorder_add_input(recorder, &f->input, &err) == 0, "input", i);
    }
    for (int i = 0; i < FEEDERS; i++)
        pthread_create(&feeders[i].thread, NULL, feed, &feeders[i]);
    pthread_create(&disturber, NULL, disturb, recorder);
    pthread_create(&runner, NULL, run, recorder);
    for (int i = 0; i < FEEDERS; i++) {
        pthread_join(feeders[i].thread, NULL);
        refused += feeders[i].refused;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(runner, NULL);
    pthread_join(disturber, NULL);
    fc_recorder_count(recorder, NULL, &counts);
    fc_recorder_close(recorder);
    expect(counts.dropped_queue + counts.dropped_disk == refused, "dropped", (int64_t)refused);
    expect(!wait || !refused, "dropped while it waits", (int64_t)refused);
    expect(counts.recorded + refused == FEEDERS * PACKETS, "recorded", (int64_t)counts.recorded);
    expect(counts.indexed == counts.recorded && !counts.waiting, "indexed", (int64_t)counts.indexed);
    expect(counts.received == FEEDERS * (PACKETS + 7), "received", (int64_t)counts.received);
    expect(counts.recorded_bytes == counts.recorded * FRAME, "bytes", (int64_t)counts.recorded_bytes);
    expect(number_of(db_path, "SELECT sum(records) FROM files") == (int64_t)counts.recorded, "records in the index",
           number_of(db_path, "SELECT sum(records) FROM files"));
    expect(number_of(db_path, "SELECT sum(client_packets + server_packets) FROM session") == (int64_t)counts.recorded,
           "packets of sessions", number_of(db_path, "SELECT sum(client_packets + server_packets) FROM session"));
    int64_t backward = number_of(db_path, "SELECT sum(backward) FROM files");
    expect(!wait || backward == 0, "times that go back", backward);
    expect(is_sound(db_path), "verify", 0);
}

int main(void)
{
    char folder[] = "/tmp/fc-recorder-XXXXXX", db[64], command[64];

    if (!mkdtemp(folder))
        return 1;
    snprintf(db, sizeof db, "%s/index.db", folder);
    try_with(folder, db, 0, true);
    snprintf(db, sizeof db, "%s/second.db", folder);
    snprintf(command, sizeof command, "rm -f %s/*.pcapng", folder);
    failed |= system(command) != 0;
    try_with(folder, db, 4 << 20, false);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    failed |= system(command) != 0;
    if (!failed)
        puts("recorder_race: ok");
    return failed;
}
