/* SPDX-License-Identifier: MIT */
#include "live/tap_socket.h"
#include "base/error.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 4096 };

void fc_tap_socket_shut(struct fc_tap_socket *s)
{
    /* Not by libpcap, which would throw away what is there, too. A failure leaves packets in that go unread then. */
    struct sock_filter nothing = {BPF_RET | BPF_K, 0, 0, 0};
    const struct sock_fprog program = {1, &nothing};

    (void)setsockopt(s->iface.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/*
 * No PACKET_FANOUT_FLAG_DEFRAG: what the kernel hands over then is a packet that it has made of the fragments. All of a
 * datagram come to one socket without it, as only addresses and protocol count for a fragment.
 */
static int join(const struct fc_tap_socket *s, int *group)
{
    socklen_t size = sizeof *group;
    int word =
        *group >= 0 ? *group | PACKET_FANOUT_HASH << 16 : (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID) << 16;

    if (setsockopt(s->iface.fd, SOL_PACKET, PACKET_FANOUT, &word, sizeof word))
        return -1;
    if (*group < 0 && getsockopt(s->iface.fd, SOL_PACKET, PACKET_FANOUT, group, &size) == 0)
        *group &= UINT16_MAX;
    return *group < 0 ? -1 : 0;
}

static void pass_over(u_char *ctx, const struct pcap_pkthdr *header, const u_char *data)
{
    (void)ctx;
    (void)header;
    (void)data;
}

int fc_tap_socket_join(struct fc_tap_socket *sockets, unsigned count, const char *name, struct fc_error *err)
{
    const struct timespec settled = {.tv_nsec = FC_TAP_SETTLED_MS * 1000000L};
    uint64_t none[2];
    int group = -1;

    for (unsigned i = 0; i < count; i++) {
        fc_tap_socket_shut(&sockets[i]);
        if (join(&sockets[i], &group))
            return fc_error_errno(err, FC_E_IO, name, FC_NO_OFFSET, "cannot be shared by threads");
    }
    nanosleep(&settled, NULL);
    for (unsigned i = 0; i < count; i++) {
        while (fc_tap_socket_read(&sockets[i], BATCH, pass_over, NULL) == BATCH)
            ;
        fc_tap_socket_count(&sockets[i], &none[0], &none[1]);
    }
    return 0;
}

int fc_tap_socket_read(struct fc_tap_socket *s, int most, pcap_handler call, void *ctx)
{
    return s->iface.lib->dispatch(s->iface.pcap, most, call, ctx);
}

void fc_tap_socket_wait(const struct fc_tap_socket *s)
{
    const struct timespec pause = {.tv_nsec = FC_IFACE_WAIT_MS * 1000000L};
    struct pollfd wait = {.fd = s->iface.fd, .events = POLLIN};

    /* of a failed socket this comes back at once */
    if (poll(&wait, 1, FC_IFACE_WAIT_MS) > 0 && !(wait.revents & POLLIN))
        nanosleep(&pause, NULL);
}

/* What a count has grown by. One of the driver's may be set back, when it is loaded anew. */
static uint32_t grown(uint32_t *last, uint32_t now)
{
    uint32_t by = now - *last;

    *last = now;
    return by > INT32_MAX ? 0 : by;
}

void fc_tap_socket_count(struct fc_tap_socket *s, uint64_t *kernel, uint64_t *driver)
{
    struct pcap_stat stat;

    if (s->iface.lib->stats(s->iface.pcap, &stat) != 0)
        return;
    *kernel += grown(&s->kernel, stat.ps_drop);
    *driver += grown(&s->driver, stat.ps_ifdrop);
}

enum fc_tap_state fc_tap_socket_state(const struct fc_tap_socket *s, const char *name)
{
    struct sockaddr_ll bound = {0};
    socklen_t size = sizeof bound;
    struct ifreq request = {0};

    if (getsockname(s->iface.fd, (struct sockaddr *)&bound, &size) || bound.sll_ifindex < 0)
        return FC_TAP_GONE;
    if (bound.sll_ifindex == 0) /* all interfaces */
        return FC_TAP_UP;
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    if (ioctl(s->iface.fd, SIOCGIFFLAGS, &request)) /* renamed, perhaps */
        return errno == ENODEV ? FC_TAP_UP : FC_TAP_DOWN;
    return request.ifr_flags & IFF_UP ? FC_TAP_UP : FC_TAP_DOWN;
}
