/* SPDX-License-Identifier: MIT */
/*
 * Several threads listen to an interface that goes down, away, and comes again, while others ask what was counted and
 * one commits. In a network namespace of its own, which takes root.
 */
#include <flowcarve/tap.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 4, FRAMES = 300, SKIPPED = 77, TYPE = 0x88b5 /* for experiments */ };

static struct fc_recorder *recorder;
static int stop, ended, up; /* atomic; up: so often the interface was told to be back */

static void pause_ms(int ms)
{
    const struct timespec ts = {0, ms * 1000000L};

    nanosleep(&ts, NULL);
}

static void word(void *ctx, const struct fc_error *what)
{
    (void)ctx;
    __atomic_add_fetch(&up, what->code == FC_OK, __ATOMIC_RELAXED);
}

static uint64_t received(void)
{
    struct fc_recorder_counts counts;

    fc_recorder_count(recorder, NULL, &counts);
    return counts.received;
}

static void *commit(void *arg)
{
    struct fc_error err;

    *(int *)arg = fc_recorder_run(recorder, &ended, &err);
    if (*(int *)arg != FC_E_INTERRUPTED)
        fprintf(stderr, "%s\n", err.cause);
    return NULL;
}

static int run(const char *command)
{
    if (system(command) == 0)
        return 0;
    fprintf(stderr, "failed: %s\n", command);
    return -1;
}

static int make_interfaces(void)
{
    return run("ip link add tx0 type veth peer name rx0 && ip link set tx0 up && ip link set rx0 up");
}

/* Frames of several flows, the first ones again and again until one arrives: the kernel may let none out yet. */
static int send_frames(uint64_t *sent)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("tx0")};
    uint8_t frame[60] = {[12] = TYPE >> 8, TYPE & 0xff};
    int fd = socket(AF_PACKET, SOCK_RAW, 0), rc = bind(fd, (struct sockaddr *)&to, sizeof to);
    uint64_t before = received();

    for (int i = 0; i < FRAMES && rc == 0; *sent += 1) {
        frame[5] = (uint8_t)i;
        rc = send(fd, frame, sizeof frame, 0) != sizeof frame;
        if (i || received() > before)
            i++;
        else
            pause_ms(20);
    }
    close(fd);
    return rc;
}

static int use(uint64_t *sent)
{
    for (int i = 0; i < ROUNDS; i++) {
        int was = __atomic_load_n(&up, __ATOMIC_RELAXED);
        if (send_frames(sent))
            return -1;
        if (i % 2 == 0 ? run("ip link set rx0 down") : run("ip link del rx0"))
            return -1;
        pause_ms(400);
        if (i % 2 == 0 ? run("ip link set rx0 up") : make_interfaces())
            return -1;
        while (__atomic_load_n(&up, __ATOMIC_RELAXED) == was)
            pause_ms(20);
    }
    return send_frames(sent);
}

static int check(uint64_t sent)
{
    struct fc_recorder_counts c;

    fc_recorder_count(recorder, NULL, &c);
    if (c.received == c.recorded && c.indexed == c.recorded && c.received <= sent && c.received >= ROUNDS * FRAMES)
        return 0;
    fprintf(stderr, "%llu sent, %llu received, %llu recorded, %llu indexed\n", (unsigned long long)sent,
            (unsigned long long)c.received, (unsigned long long)c.recorded, (unsigned long long)c.indexed);
    return 1;
}

static int try_all(const char *folder)
{
    const struct fc_tap_options options = {
        .filter = "ether proto 0x88b5", .threads = 3, .buffer = 2 << 20, .stop = &stop, .ended = &ended, .word = word};
    const struct fc_recorder_options how = {.commit_ns = 20000000};
    const char *const names[] = {"rx0"};
    struct fc_tap *tap = NULL;
    struct fc_error err = {0};
    pthread_t committer;
    char db[80];
    uint64_t sent = 0;
    int rc = 0;

    snprintf(db, sizeof db, "%s/x.db", folder);
    if (fc_tap_open(names, 1, &options, &tap, &err) || fc_recorder_open(db, folder, &how, &recorder, &err) ||
        fc_tap_start(tap, recorder, &err)) {
        fprintf(stderr, "%s\n", err.cause);
        return 1;
    }
    pthread_create(&committer, NULL, commit, &rc);
    int failed = use(&sent);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(committer, NULL);
    fc_tap_close(tap);
    failed = failed || rc != FC_E_INTERRUPTED || check(sent);
    fc_recorder_close(recorder);
    return failed;
}

int main(void)
{
    char folder[] = "/tmp/flowcarve-tap-XXXXXX", command[80];

    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0 || make_interfaces()) {
        puts("no network namespace can be had: nothing was tried");
        return SKIPPED;
    }
    if (!mkdtemp(folder))
        return 1;
    int failed = try_all(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    failed |= run(command) != 0;
    puts(failed ? "tap_race: failed" : "tap_race: ok");
    return failed;
}
