/* SPDX-License-Identifier: MIT */
/*
 * What a process has given up is refused to it, and to the threads that it starts: as if a capture had taken it over.
 * What parsing needs is not. Each attempt is made by a process of its own, before and behind the door: one that is
 * refused without the sandbox proves nothing.
 */
#include "cli/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A local socket that a process outside of it has, with a name of the kernel's choice. */
static struct sockaddr_un other_end = {.sun_family = AF_UNIX};
static socklen_t other_size = sizeof other_end;
static char folder[] = "/tmp/flowcarve-sandbox-XXXXXX", inside[80], outside[80];

/* 0: it was done. */
static int try_exec(void)
{
    char *const words[] = {(char *)"true", NULL}, *const nothing[] = {NULL};

    return execve("/bin/true", words, nothing); /* its exit status is 0 */
}

static int try_fork(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return child < 0 || waitpid(child, NULL, 0) != child;
}

static int try_inet(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0) < 0;
}

static int try_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static int try_packets(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0) < 0;
}

/* What a socket of packets, once opened, is read by. */
static int try_ring(void)
{
    struct sockaddr_ll nowhere = {.sll_family = AF_PACKET};
    const struct tpacket_req ring = {1 << 16, 4, 1 << 11, 128};
    int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V2;

    return fd < 0 || bind(fd, (struct sockaddr *)&nowhere, sizeof nowhere) ||
           setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) ||
           setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) ||
           mmap(NULL, 4 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED;
}

/* A local socket may be had to ask drivers, but it leads nowhere. */
static int try_connecting(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    return fd < 0 || connect(fd, (const struct sockaddr *)&other_end, other_size);
}

static int try_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int try_making_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(p, 4096, PROT_READ | PROT_EXEC) != 0;
}

static int try_looking_into_others(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {folder, 1};

    return process_vm_readv(getppid(), &here, 1, &there, 1, 0) != 1;
}

static int try_ptrace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0;
}

static int try_signal(void)
{
    return kill(getppid(), SIGURG) != 0;
}

static int made(const char *name, int flags)
{
    return open(name, flags, 0600) < 0;
}

static int try_new_file(void)
{
    char name[120];

    snprintf(name, sizeof name, "%s/new.%d", outside, (int)getpid());
    return made(name, O_WRONLY | O_CREAT | O_EXCL) || unlink(name);
}

static int try_old_file(void)
{
    char name[120];

    snprintf(name, sizeof name, "%s/old", outside);
    return made(name, O_RDWR);
}

static int try_removing(void)
{
    char name[120];

    snprintf(name, sizeof name, "%s/prey%d", outside, getpid() & 1);
    close(open(name, O_WRONLY | O_CREAT, 0600));
    return unlink(name);
}

static int try_folder(void)
{
    char name[120];

    snprintf(name, sizeof name, "%s/folder.%d", outside, (int)getpid());
    return mkdir(name, 0700) || rmdir(name);
}

static int try_moving_out(void)
{
    char from[120], to[120];

    snprintf(from, sizeof from, "%s/move.%d", inside, (int)getpid());
    snprintf(to, sizeof to, "%s/move.%d", outside, (int)getpid());
    return made(from, O_WRONLY | O_CREAT) || rename(from, to) || unlink(to);
}

static int try_symlink(void)
{
    char name[120];

    snprintf(name, sizeof name, "%s/link.%d", inside, (int)getpid());
    return symlink("/etc/passwd", name) || unlink(name);
}

/* --- What stays. --- */

static int try_reading(void)
{
    char name[120], byte;

    snprintf(name, sizeof name, "%s/old", outside);
    int fd = open(name, O_RDONLY);
    return fd < 0 || read(fd, &byte, 1) != 1;
}

/* As an output is made: without a name, then linked, renamed over another one, synced with its folder. */
static int try_output(void)
{
    char link[40], a[120], b[120];
    int fd = open(inside, O_TMPFILE | O_RDWR, 0600), dir = open(inside, O_RDONLY | O_DIRECTORY);

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    snprintf(a, sizeof a, "%s/a.%d", inside, (int)getpid());
    snprintf(b, sizeof b, "%s/b", inside);
    return fd < 0 || pwrite(fd, "x", 1, 0) != 1 || fsync(fd) ||
           linkat(AT_FDCWD, link, AT_FDCWD, a, AT_SYMLINK_FOLLOW) || rename(a, b) || fsync(dir) ||
           made(b, O_WRONLY | O_TRUNC) || unlink(b);
}

static void *nothing(void *arg)
{
    return arg;
}

static int try_thread(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL);
}

static int try_dying(void)
{
    raise(SIGTERM); /* 0 is made of it below */
    return 1;
}

static const struct attempt {
    const char *what;
    int (*make)(void);
    unsigned by;    /* FC_SANDBOX_* of which one refuses it, or 0 */
    unsigned needs; /* FC_NEED_* of which one lets it be done all the same */
} attempts[] = {
    {"start a program", try_exec, FC_SANDBOX_CALLS | FC_SANDBOX_FILES, 0},
    {"become two processes", try_fork, FC_SANDBOX_CALLS, 0},
    {"open a socket", try_inet, FC_SANDBOX_CALLS, FC_NEED_NAMES},
    {"open a local socket", try_unix, FC_SANDBOX_CALLS, FC_NEED_NAMES | FC_NEED_PACKETS},
    {"connect to another process", try_connecting, FC_SANDBOX_CALLS, FC_NEED_NAMES},
    {"open a socket of packets", try_packets, FC_SANDBOX_CALLS, FC_NEED_NAMES | FC_NEED_PACKETS},
    {"listen to an interface", try_ring, FC_SANDBOX_CALLS, FC_NEED_NAMES | FC_NEED_PACKETS},
    {"make code", try_code, FC_SANDBOX_CALLS, FC_NEED_NAMES},
    {"make data code", try_making_code, FC_SANDBOX_CALLS, FC_NEED_NAMES},
    {"look into another process", try_looking_into_others, FC_SANDBOX_CALLS, 0},
    {"be traced", try_ptrace, FC_SANDBOX_CALLS, 0},
    {"signal another process", try_signal, FC_SANDBOX_CALLS, 0},
    {"make a file elsewhere", try_new_file, FC_SANDBOX_FILES, 0},
    {"write a file elsewhere", try_old_file, FC_SANDBOX_FILES, 0},
    {"remove a file elsewhere", try_removing, FC_SANDBOX_FILES, 0},
    {"make a folder", try_folder, FC_SANDBOX_FILES | FC_SANDBOX_CALLS, 0},
    {"move a file out", try_moving_out, FC_SANDBOX_FILES, 0},
    {"make a link", try_symlink, FC_SANDBOX_FILES | FC_SANDBOX_CALLS, 0},
    {"read a file", try_reading, 0, 0},
    {"make an output", try_output, 0, 0},
    {"start a thread", try_thread, 0, 0},
    {"die of a signal", try_dying, 0, 0},
};

enum where { FREE, CONFINED, IN_A_THREAD, AS_SERVER, WITH_NAMES, WITH_PACKETS };

static const unsigned needs[] = {[WITH_NAMES] = FC_NEED_NAMES, [WITH_PACKETS] = FC_NEED_PACKETS};

static void *in_thread(void *arg)
{
    const struct attempt *a = arg;

    _exit(a->make() != 0);
    return NULL;
}

/* Whether it was done. *force: what was in force. */
static bool done(const struct attempt *a, enum where where, unsigned *force)
{
    int status, pipes[2];
    pid_t child;

    if (pipe(pipes) || (child = fork()) < 0)
        abort();
    if (child == 0) {
        char index[96];
        snprintf(index, sizeof index, "%s/x.db", inside);
        *force = where == FREE        ? 0
                 : where == AS_SERVER ? fc_sandbox_enter_server(index, 0)
                                      : fc_sandbox_enter((const char *const[]){NULL, inside}, 2, needs[where]);
        if (write(pipes[1], force, sizeof *force) != sizeof *force)
            abort();
        pthread_t thread;
        if (where == IN_A_THREAD && pthread_create(&thread, NULL, in_thread, (void *)a) == 0)
            pthread_join(thread, NULL);
        _exit(a->make() != 0);
    }
    if (read(pipes[0], force, sizeof *force) != sizeof *force || waitpid(child, &status, 0) != child)
        abort();
    close(pipes[0]);
    close(pipes[1]);
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 0;
}

static int prepare(void)
{
    char name[120];

    setenv("SQLITE_TMPDIR", inside, 1); /* /tmp itself would be open */
    if (!mkdtemp(folder))
        return -1;
    snprintf(inside, sizeof inside, "%s/inside", folder);
    snprintf(outside, sizeof outside, "%s/outside", folder);
    snprintf(name, sizeof name, "%s/old", outside);
    if (mkdir(inside, 0700) || mkdir(outside, 0700))
        return -1;
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    setenv("SQLITE_TMPDIR", inside, 1);
    return write(fd, "old", 3) == 3 ? close(fd) : -1;
}

int main(void)
{
    static const char *const names[] = {"without the sandbox", "in it",
                                        "in a thread of it",   "in that of a server",
                                        "in it, with names",   "in it, with packets"};
    int failures = 0, refused = 0;
    char command[120];
    unsigned force;

#ifdef FC_SANITIZED
    puts("built with sanitizers: there is no sandbox");
    return 77;
#endif
    const bool may_capture = try_packets() == 0;
    const int listener = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (bind(listener, (const struct sockaddr *)&other_end, sizeof other_end.sun_family) ||
        getsockname(listener, (struct sockaddr *)&other_end, &other_size))
        return 1;
    signal(SIGURG, SIG_IGN);
    if (prepare())
        return 1;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
        for (enum where where = FREE; where <= WITH_PACKETS; where++) {
            const struct attempt *a = &attempts[i];
            if ((a->make == try_packets || a->make == try_ring) && !may_capture)
                continue;
            bool was = done(a, where, &force), may = !(a->by & force) || a->needs & needs[where];
            refused += !was;
            if (was != may)
                failures += fprintf(stderr, "to %s was %s %s (in force: %u)\n", a->what, was ? "possible" : "refused",
                                    names[where], force) > 0;
        }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        failures++;
    if (!refused && !failures)
        puts("this kernel, or this build, has no sandbox: nothing was tried");
    return failures ? 1 : refused ? 0 : 77;
}
