/* SPDX-License-Identifier: MIT */
#include "store/lock_holder.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

/* proc_locks(5): "1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF"; who waits has "->" behind the number. */
bool fc_lock_holder(const char *path, pid_t *pid)
{
    FILE *locks = fopen("/proc/locks", "re");
    unsigned major, minor;
    unsigned long long inode;
    char line[256], mode[8];
    struct stat st;
    bool held = false;
    int holder;

    *pid = 0;
    if (locks && stat(path, &st) == 0)
        while (!held && fgets(line, sizeof line, locks))
            held = !strstr(line, "->") &&
                   sscanf(line, "%*s %*s %*s %7s %d %x:%x:%llu", mode, &holder, &major, &minor, &inode) == 5 &&
                   strcmp(mode, "WRITE") == 0 && inode == st.st_ino && major == major(st.st_dev) &&
                   minor == minor(st.st_dev);
    if (held)
        *pid = holder > 0 ? holder : 0;
    if (locks)
        fclose(locks);
    return held;
}

const char *fc_lock_holder_text(const char *path, char *buf, size_t size)
{
    char name[32], since[32] = "";
    struct stat st;
    struct tm tm;
    pid_t pid;

    snprintf(buf, size, "another process");
    if (!fc_lock_holder(path, &pid) || !pid)
        return buf;
    snprintf(name, sizeof name, "/proc/%d", (int)pid);
    /* the folder of a process has the time of its start */
    if (stat(name, &st) == 0 && gmtime_r(&st.st_mtim.tv_sec, &tm))
        strftime(since, sizeof since, ", since %Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(buf, size, "process %d%s", (int)pid, since);
    return buf;
}
