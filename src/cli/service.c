/* SPDX-License-Identifier: MIT */
#include "cli/service.h"
#include "cli/cli.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int connect_to(const char *name)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(name);

    if ((*name != '/' && *name != '@') || len < 2 || len >= sizeof to.sun_path)
        return -1;
    memcpy(to.sun_path, name, len);
    if (*name == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 &&
        connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Whether the manager expects signs of life of this very process. */
static int64_t watchdog(void)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    const int64_t most_us = INT64_MAX / 1000;
    int64_t n, own;

    if (!us || !fc_number_option(us, 1, most_us, &n))
        return 0;
    return !pid || (fc_number_option(pid, 1, INT32_MAX, &own) && own == getpid()) ? n * 1000 : 0;
}

void fc_service_open(struct fc_service *s)
{
    const char *name = getenv("NOTIFY_SOCKET");

    *s = (struct fc_service){.fd = name ? connect_to(name) : -1};
    s->watchdog_ns = s->fd >= 0 ? watchdog() : 0;
}

void fc_service_close(struct fc_service *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void fc_service_tell(const struct fc_service *s, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (s->fd < 0)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ssize_t sent = write(s->fd, text, strlen(text)); /* of the calls for sockets the sandbox leaves this one */
    (void)sent;
}

void fc_service_alive(struct fc_service *s)
{
    if (!s->watchdog_ns)
        return;
    int64_t now = now_ns();
    if (s->last_sign_ns && now - s->last_sign_ns < s->watchdog_ns / 2)
        return;
    s->last_sign_ns = now;
    fc_service_tell(s, "WATCHDOG=1");
}
