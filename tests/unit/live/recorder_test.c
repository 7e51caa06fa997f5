/* SPDX-License-Identifier: MIT */
/* Packets that are given to a recorder: in files, in the index, and there again after a kill. */
#include <criterion/criterion.h>
#include <flowcarve/flowcarve.h>

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRAME = 60 };

struct place {
    char folder[32], db[48];
    struct fc_recorder *recorder;
    struct fc_recorder_input *input;
    uint32_t interface;
    int64_t now_ns;
};

static struct place make_place(void)
{
    struct place p = {.folder = "/tmp/fc-recorder-XXXXXX", .now_ns = INT64_C(1700000000000000000)};

    cr_assert_not_null(mkdtemp(p.folder));
    snprintf(p.db, sizeof p.db, "%s/index.db", p.folder);
    return p;
}

static void start(struct place *p, const struct fc_recorder_options *options)
{
    const struct fc_recorder_interface iface = {.name = "eth\x1b", .filter = "udp", .link_type = 1, .snaplen = 96};
    struct fc_error err = {0};

    cr_assert_eq(fc_recorder_open(p->db, p->folder, options, &p->recorder, &err), 0, "%s %s", err.file, err.cause);
    cr_assert_eq(fc_recorder_add_interface(p->recorder, &iface, &p->interface, &err), 0);
    cr_assert_eq(fc_recorder_add_input(p->recorder, &p->input, &err), 0);
}

/* One flow, a packet each ms. Returns how many were not taken. */
static uint64_t add(struct place *p, int count, uint32_t origlen)
{
    static const uint8_t frame[FRAME] = {2,    0, 0,  0,          0, 1, 2, 0, 0,  0,  0, 2,         8,  0,
                                         0x45, 0, 0,  FRAME - 14, 0, 0, 0, 0, 64, 17, 0, 0,         10, 0,
                                         0,    1, 10, 0,          0, 2, 4, 1, 0,  53, 0, FRAME - 34};
    uint64_t refused = 0;

    for (int i = 0; i < count; i++, p->now_ns += 1000000) {
        const struct fc_recorder_packet packet = {p->now_ns, p->interface, FRAME, origlen, frame};
        int rc = fc_recorder_add(p->input, &packet);
        cr_assert(rc == 0 || rc == FC_E_LIMIT);
        refused += rc != 0;
    }
    fc_recorder_until(p->input, p->now_ns);
    return refused;
}

static void commit(struct place *p)
{
    struct fc_error err = {0};

    cr_assert_eq(fc_recorder_commit(p->recorder, &err), 0, "%s %s", err.file, err.cause);
}

static int64_t ask(const struct place *p, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int64_t n = -1;

    if (sqlite3_open_v2(p->db, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

/* Files of the folder whose names begin and end so. */
static int files(const struct place *p, const char *begin, const char *end, char *last, size_t size)
{
    DIR *d = opendir(p->folder);
    int n = 0;

    for (struct dirent *e; (e = readdir(d));) {
        size_t len = strlen(e->d_name), tail = strlen(end);
        if (strncmp(e->d_name, begin, strlen(begin)) != 0 || len < tail || strcmp(e->d_name + len - tail, end) != 0)
            continue;
        n++;
        if (last)
            snprintf(last, size, "%s/%s", p->folder, e->d_name);
    }
    closedir(d);
    return n;
}

static int hidden(const struct place *p)
{
    return files(p, ".flowcarve-", ".pcapng.part", NULL, 0);
}

static int whole(const struct place *p)
{
    return files(p, "flowcarve-", ".pcapng", NULL, 0);
}

static uint64_t carve_all(const struct place *p)
{
    struct fc_carve_result result = {0};
    struct fc_error err = {0};
    struct fc_db *db;
    int fd = open("/dev/null", O_WRONLY);

    cr_assert_eq(fc_db_open(p->db, &db, &err), 0, "%s", err.cause);
    int rc = fc_carve(db, NULL, NULL, fd, NULL, &result, &err);
    cr_assert_eq(rc, 0, "%s %s", err.file, err.cause);
    uint64_t packets = result.packets;
    fc_carve_result_fini(&result);
    fc_db_close(db);
    close(fd);
    return packets;
}

static void clean(struct place *p)
{
    char command[64];

    fc_recorder_close(p->recorder);
    snprintf(command, sizeof command, "rm -rf %s", p->folder);
    cr_assert_eq(system(command), 0);
}

Test(recorder, is_seen_while_it_is_written_and_when_it_is_whole)
{
    struct place p = make_place();
    struct fc_recorder_counts counts;

    start(&p, NULL);
    commit(&p);
    cr_assert_eq(hidden(&p) + whole(&p), 0, "a file of nothing");
    for (int round = 1; round <= 3; round++) {
        add(&p, 100, FRAME);
        commit(&p);
        cr_assert_eq(ask(&p, "SELECT client_packets FROM session"), 100 * round);
        cr_assert_eq(carve_all(&p), 100 * round);
        cr_assert(hidden(&p) == 1 && whole(&p) == 0);
    }
    fc_recorder_rotate(p.recorder);
    commit(&p);
    cr_assert(hidden(&p) == 0 && whole(&p) == 1);
    cr_assert_eq(carve_all(&p), 300);
    add(&p, 5, FRAME);
    commit(&p);
    cr_assert(hidden(&p) == 1 && whole(&p) == 1);
    cr_assert_eq(carve_all(&p), 305);
    fc_recorder_count(p.recorder, NULL, &counts);
    cr_assert(counts.received == 305 && counts.recorded == 305 && counts.indexed == 305 && counts.waiting == 0);
    fc_recorder_close(p.recorder);
    p.recorder = NULL;
    cr_assert(hidden(&p) == 0 && whole(&p) == 2);
    cr_assert_eq(carve_all(&p), 305);
    cr_assert_eq(ask(&p, "SELECT count(*) FROM session"), 1);
    cr_assert_eq(ask(&p, "SELECT sum(backward) + sum(damaged) + sum(pending_bytes) FROM files"), 0);
    clean(&p);
}

Test(recorder, says_in_the_file_what_it_knows)
{
    struct place p = make_place();
    char name[320] = "", command[1200];

    start(&p, NULL);
    add(&p, 7, FRAME);
    fc_recorder_tell(p.recorder, p.interface, 11, 5);
    commit(&p);
    fc_recorder_close(p.recorder);
    p.recorder = NULL;
    cr_assert_eq(files(&p, "flowcarve-", ".pcapng", name, sizeof name), 1);
    if (system("command -v capinfos >/dev/null") == 0) {
        snprintf(command, sizeof command,
                 "capinfos %s | grep -q 'Number of packets: *7' && capinfos %s | grep -q 'Filter string = udp' && "
                 "capinfos %s | grep -q 'Capture length = 96'",
                 name, name, name);
        cr_assert_eq(system(command), 0);
    }
    struct fc_capture *capture;
    struct fc_record record;
    cr_assert_eq(fc_capture_open(name, &capture, NULL), 0);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(fc_capture_next(capture, &record, NULL), 1);
        cr_assert_eq(record.ts_ns, INT64_C(1700000000000000000) + i * 1000000);
        cr_assert(record.caplen == FRAME && record.origlen == FRAME && record.link_type == 1);
    }
    cr_assert_eq(fc_capture_next(capture, &record, NULL), 0);
    fc_capture_close(capture);
    clean(&p);
}

static uint64_t size_of_captures(const struct place *p)
{
    char command[200];
    uint64_t sum = 0;

    snprintf(command, sizeof command, "cat %s/flowcarve-*.pcapng %s/.flowcarve-*.part 2>/dev/null | wc -c", p->folder,
             p->folder);
    FILE *f = popen(command, "r");
    cr_assert(f && fscanf(f, "%" SCNu64, &sum) == 1 && pclose(f) == 0);
    return sum;
}

/* In another process, which kills itself. */
static void record_and_die(struct place *p, int committed, int more)
{
    pid_t child = fork();
    int status;

    cr_assert_geq(child, 0);
    if (child == 0) {
        start(p, NULL);
        add(p, committed, FRAME);
        commit(p);
        add(p, more, FRAME);
        usleep(100000); /* some of them may be in the file by now */
        kill(getpid(), SIGKILL);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    p->now_ns += (int64_t)(committed + more) * 1000000;
}

Test(recorder, goes_on_after_a_kill)
{
    struct place p = make_place();
    char name[320];

    record_and_die(&p, 200, 50000);
    cr_assert_eq(hidden(&p), 1);
    cr_assert_eq(ask(&p, "SELECT sum(records) FROM files"), 200);
    cr_assert_eq(carve_all(&p), 200);
    files(&p, ".flowcarve-", ".part", name, sizeof name);
    FILE *f = fopen(name, "ab"); /* torn by a power loss */
    cr_assert(f && fwrite("\6\0\0\0\x80\0\0\0some", 1, 12, f) == 12 && fclose(f) == 0);
    start(&p, NULL);
    commit(&p);
    cr_assert(hidden(&p) == 0 && whole(&p) == 1);
    int64_t there = ask(&p, "SELECT sum(records) FROM files");
    cr_assert_geq(there, 200);
    add(&p, 10, FRAME);
    commit(&p);
    cr_assert_eq(ask(&p, "SELECT sum(records) FROM files"), there + 10);
    cr_assert_eq(ask(&p, "SELECT count(*) FROM session"), 1, "the session goes on");
    cr_assert_eq(ask(&p, "SELECT sum(damaged) + sum(pending_bytes) FROM files"), 0);
    cr_assert_eq(carve_all(&p), there + 10);
    clean(&p);
}

Test(recorder, goes_on_when_its_index_is_taken_away)
{
    struct place p = make_place();

    start(&p, NULL);
    add(&p, 100, FRAME);
    commit(&p);
    fc_recorder_rotate(p.recorder);
    add(&p, 50, FRAME);
    commit(&p);
    cr_assert(hidden(&p) == 1 && whole(&p) == 1);
    char command[100];
    snprintf(command, sizeof command, "rm -f %s/index.db*", p.folder);
    cr_assert_eq(system(command), 0);
    add(&p, 7, FRAME);
    commit(&p);
    commit(&p);
    cr_assert_eq(ask(&p, "SELECT sum(records) FROM files"), 157);
    cr_assert_eq(hidden(&p), 1, "the file that is being written is left alone");
    add(&p, 3, FRAME);
    commit(&p);
    fc_recorder_rotate(p.recorder);
    commit(&p);
    commit(&p);
    cr_assert_eq(ask(&p, "SELECT sum(records) FROM files"), 160);
    cr_assert_eq(carve_all(&p), 160);
    cr_assert_eq(hidden(&p), 0);
    clean(&p);
}

Test(recorder, goes_on_when_a_file_of_it_is_deleted)
{
    struct place p = make_place();
    char name[320];

    start(&p, NULL);
    add(&p, 100, FRAME);
    commit(&p);
    cr_assert_eq(files(&p, ".flowcarve-", ".part", name, sizeof name), 1);
    cr_assert_eq(unlink(name), 0);
    fc_recorder_rotate(p.recorder);
    (void)fc_recorder_commit(p.recorder, NULL); /* says that it has gone */
    add(&p, 20, FRAME);
    commit(&p);
    fc_recorder_rotate(p.recorder);
    commit(&p);
    commit(&p);
    cr_assert(hidden(&p) == 0 && whole(&p) == 1);
    cr_assert_eq(ask(&p, "SELECT sum(records) FROM files"), 120);
    clean(&p);
}

Test(recorder, does_not_cut_what_is_damaged_in_the_middle)
{
    struct place p = make_place();
    char name[320];

    record_and_die(&p, 20000, 0);
    files(&p, ".flowcarve-", ".part", name, sizeof name);
    int fd = open(name, O_WRONLY);
    cr_assert(fd >= 0 && pwrite(fd, "damage damage", 13, 100000) == 13 && close(fd) == 0);
    start(&p, NULL);
    commit(&p);
    cr_assert(hidden(&p) == 0 && whole(&p) == 1);
    cr_assert_gt(size_of_captures(&p), 1500000);
    clean(&p);
}

Test(recorder, tells_what_it_could_not_write_in_the_end)
{
    struct place p = make_place();
    struct fc_recorder_counts counts;
    struct fc_error err = {0};
    struct rlimit limit, small;
    const int stop = 1;

    signal(SIGXFSZ, SIG_IGN);
    start(&p, NULL);
    add(&p, 10, FRAME);
    commit(&p);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 200000;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    add(&p, 5000, FRAME);
    cr_assert_eq(fc_recorder_run(p.recorder, &stop, &err), FC_E_IO);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    fc_recorder_count(p.recorder, NULL, &counts);
    cr_assert_eq(counts.received, 5010);
    cr_assert_eq(counts.received, counts.recorded + counts.dropped_disk);
    cr_assert_eq((int64_t)counts.recorded, ask(&p, "SELECT sum(records) FROM files"));
    clean(&p);
}

Test(recorder, takes_up_what_the_index_has_not_seen)
{
    struct place p = make_place();

    start(&p, NULL);
    add(&p, 20, FRAME);
    fc_recorder_close(p.recorder); /* without a commit */
    cr_assert_eq(whole(&p), 1);
    start(&p, NULL);
    commit(&p);
    cr_assert_eq(ask(&p, "SELECT sum(records) FROM files"), 20);
    clean(&p);
}

Test(recorder, loses_nothing_to_a_clock_that_is_set_back)
{
    struct place p = make_place();

    start(&p, NULL);
    for (int round = 1; round <= 4; round++) { /* in the middle of a file, and between two */
        add(&p, 500, FRAME);
        commit(&p);
        p.now_ns -= INT64_C(3600) * 1000000000;
        add(&p, 500, FRAME);
        if (round % 2)
            fc_recorder_rotate(p.recorder);
        commit(&p);
        cr_assert_eq(ask(&p, "SELECT sum(client_packets) FROM session"), 1000 * round);
        cr_assert_eq(carve_all(&p), 1000 * round);
        p.now_ns += INT64_C(3601) * 1000000000;
    }
    clean(&p);
}

Test(recorder, waits_for_a_disk_that_takes_nothing_and_drops_what_it_must)
{
    const struct fc_recorder_options o = {.memory_bytes = 4 << 20};
    struct place p = make_place();
    struct fc_recorder_counts counts;
    struct rlimit limit, small;
    uint64_t refused = 0;

    signal(SIGXFSZ, SIG_IGN);
    start(&p, &o);
    add(&p, 10, FRAME);
    commit(&p);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 1 << 20;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 5000; i++, usleep(1000)) {
        refused += add(&p, 1000, FRAME);
        fc_recorder_count(p.recorder, NULL, &counts);
        if (counts.dropped_disk)
            break;
    }
    cr_assert_eq(counts.received, counts.recorded + counts.waiting + refused);
    cr_assert_eq(counts.dropped_disk + counts.dropped_queue, refused);
    cr_assert_gt(counts.dropped_disk, 0);
    cr_assert_eq(fc_recorder_commit(p.recorder, NULL), FC_E_IO); /* without what is not in the file */
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    refused += add(&p, 10, FRAME);
    for (int i = 0; i < 50 && counts.waiting; i++, usleep(100000)) {
        commit(&p);
        fc_recorder_count(p.recorder, NULL, &counts);
    }
    cr_assert(counts.waiting == 0 && counts.indexed == counts.recorded);
    cr_assert_eq(counts.received, counts.recorded + refused);
    cr_assert_eq(ask(&p, "SELECT sum(records) FROM files"), (int64_t)counts.recorded);
    cr_assert_eq(carve_all(&p), counts.recorded);
    clean(&p);
}

Test(recorder, keeps_limits_and_what_was_found)
{
    const struct fc_retain_limits limits = {.keep_bytes = 4 << 20, .keep_sessions_ns = INT64_MAX};
    const struct fc_recorder_options o = {.rotate_bytes = 1 << 20, .wait = true, .retain = &limits};
    struct place p = make_place();
    struct fc_recorder_counts counts;

    start(&p, &o);
    for (int i = 0; i < 12; i++) {
        add(&p, 10000, FRAME);
        commit(&p);
        usleep(110000); /* limits are looked at ten times a second at most */
        commit(&p);
        cr_assert_lt(size_of_captures(&p), (4 << 20) + 200000);
    }
    fc_recorder_count(p.recorder, NULL, &counts);
    cr_assert_eq(counts.indexed, 120000);
    cr_assert_eq(ask(&p, "SELECT client_packets FROM session"), 120000, "what was found stays");
    cr_assert_gt(ask(&p, "SELECT sum(forgotten) FROM files"), 0);
    uint64_t left = carve_all(&p);
    cr_assert_eq((int64_t)left, 120000 - ask(&p, "SELECT sum(forgotten) FROM files"));
    clean(&p);
}

Test(recorder, refuses_what_cannot_be)
{
    const struct fc_recorder_options none = {.index = NULL}, tiny = {.rotate_bytes = 1000}, path = {.prefix = "a/b"};
    const uint8_t data[4] = {0};
    struct place p = make_place(), q = p;
    struct fc_error err;

    start(&p, &none);
    snprintf(q.db, sizeof q.db, "%s/other.db", p.folder);
    cr_assert_eq(fc_recorder_open(q.db, q.folder, NULL, &q.recorder, &err), FC_E_BUSY);
    cr_assert_eq(fc_recorder_open(p.db, "/tmp", NULL, &q.recorder, &err), FC_E_BUSY);
    cr_assert_eq(fc_recorder_open(q.db, "/tmp/none/such", NULL, &q.recorder, &err), FC_E_USAGE);
    cr_assert_eq(fc_recorder_open(q.db, q.folder, &tiny, &q.recorder, &err), FC_E_USAGE);
    cr_assert_eq(fc_recorder_open(q.db, q.folder, &path, &q.recorder, &err), FC_E_USAGE);
    const struct fc_recorder_packet before = {-1, p.interface, 4, 4, data}, longer = {0, p.interface, 4, 3, data},
                                    other = {0, p.interface + 1, 4, 4, data},
                                    huge = {0, p.interface, 262145, 262145, data};
    cr_assert_eq(fc_recorder_add(p.input, &before), FC_E_USAGE);
    cr_assert_eq(fc_recorder_add(p.input, &longer), FC_E_USAGE);
    cr_assert_eq(fc_recorder_add(p.input, &other), FC_E_USAGE);
    cr_assert_eq(fc_recorder_add(p.input, &huge), FC_E_USAGE);
    clean(&p);
}
