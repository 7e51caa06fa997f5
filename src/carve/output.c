/* SPDX-License-Identifier: MIT */
#include "carve/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 256 << 10, BLOCK_SHB = 0x0a0d0d0a, BLOCK_IDB = 1, BLOCK_EPB = 6, OPT_TSRESOL = 9, OPT_TSOFFSET = 14 };

static int write_all(struct fc_output *out, const void *data, size_t n)
{
    const uint8_t *p = data;

    while (n) {
        /* a write that a signal cuts short comes back with what it has done */
        if (out->stop && __atomic_load_n(out->stop, __ATOMIC_RELAXED))
            return FC_E_INTERRUPTED;
        ssize_t w = write(out->fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return errno == EPIPE ? FC_E_PIPE : FC_E_IO;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int fc_output_flush(struct fc_output *out)
{
    int rc = write_all(out, out->buf, out->len);

    out->len = 0;
    return rc;
}

static int put(struct fc_output *out, const void *data, size_t n)
{
    int rc;

    out->written += n;
    if (out->len + n > BUFFER && (rc = fc_output_flush(out)))
        return rc;
    if (n > BUFFER)
        return write_all(out, data, n);
    if (n)
        memcpy(out->buf + out->len, data, n);
    out->len += n;
    return 0;
}

/* Both formats are written in the byte order of this machine, which the magic numbers tell. */
static int pcap_header(struct fc_output *out, uint32_t link_type, uint32_t snaplen)
{
    struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, accuracy, snaplen, link_type;
    } h = {out->nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 2, 4, 0, 0, snaplen, link_type};

    return put(out, &h, sizeof h);
}

static int section_header(struct fc_output *out)
{
    struct {
        uint32_t type, size, magic;
        uint16_t major, minor;
        uint32_t length[2], size_again;
    } b = {BLOCK_SHB, 28, 0x1a2b3c4d, 1, 0, {UINT32_MAX, UINT32_MAX}, 28};

    return put(out, &b, sizeof b);
}

static int interface_block(struct fc_output *out, uint32_t link_type)
{
    uint32_t size = out->epoch_s ? 44 : 32;
    struct {
        uint32_t type, size;
        uint16_t link_type, reserved;
        uint32_t snaplen;
        uint16_t code, len;
        uint8_t tsresol, pad[3];
    } b = {BLOCK_IDB, size, (uint16_t)link_type, 0, 0, OPT_TSRESOL, 1, 9, {0}};
    struct {
        uint16_t code, len;
        uint32_t seconds[2];
    } offset = {OPT_TSOFFSET, 8, {0}};
    uint32_t end[2] = {0, size};
    int rc = put(out, &b, sizeof b);

    memcpy(offset.seconds, &out->epoch_s, sizeof offset.seconds);
    if (rc == 0 && out->epoch_s)
        rc = put(out, &offset, sizeof offset);
    return rc ? rc : put(out, end, sizeof end);
}

int fc_output_init(struct fc_output *out, int fd, bool pcapng, bool nanoseconds, uint32_t link_type, uint32_t snaplen,
                   int64_t low_ns, const int *stop)
{
    memset(out, 0, sizeof *out);
    out->fd = fd;
    out->stop = stop;
    out->pcapng = pcapng;
    out->nanoseconds = nanoseconds;
    if (low_ns < 0 && low_ns != FC_TIME_NONE) /* times of pcapng are unsigned */
        out->epoch_s = low_ns / 1000000000 - 1;
    out->buf = malloc(BUFFER);
    if (!out->buf)
        return FC_E_NOMEM;
    return pcapng ? section_header(out) : pcap_header(out, link_type, snaplen);
}

void fc_output_fini(struct fc_output *out)
{
    free(out->buf);
    free(out->link_types);
    memset(out, 0, sizeof *out);
}

/* Number of the interface for a link type; described on its first use. */
static int64_t interface_of(struct fc_output *out, uint32_t link_type)
{
    for (uint32_t i = 0; i < out->iface_count; i++)
        if (out->link_types[i] == link_type)
            return i;
    uint32_t *bigger = realloc(out->link_types, (out->iface_count + 1) * sizeof *bigger);
    if (!bigger)
        return FC_E_NOMEM;
    out->link_types = bigger;
    int rc = interface_block(out, link_type);
    if (rc)
        return rc;
    bigger[out->iface_count] = link_type;
    return out->iface_count++;
}

static int pcapng_record(struct fc_output *out, const struct fc_record *rec)
{
    static const uint8_t zeros[4];
    int64_t iface = interface_of(out, rec->link_type);
    uint64_t ts = (rec->ts_ns == FC_TIME_NONE ? 0 : (uint64_t)rec->ts_ns) - (uint64_t)out->epoch_s * 1000000000;
    uint32_t pad = -rec->caplen & 3, size = 32 + rec->caplen + pad;
    int rc;

    if (iface < 0)
        return (int)iface;
    uint32_t h[7] = {BLOCK_EPB, size, (uint32_t)iface, (uint32_t)(ts >> 32), (uint32_t)ts, rec->caplen, rec->origlen};
    if ((rc = put(out, h, sizeof h)) || (rc = put(out, rec->data, rec->caplen)) || (rc = put(out, zeros, pad)))
        return rc;
    return put(out, &size, sizeof size);
}

int fc_output_record(struct fc_output *out, const struct fc_record *rec)
{
    int64_t ts = rec->ts_ns == FC_TIME_NONE ? 0 : rec->ts_ns;
    uint32_t fraction = (uint32_t)(ts % 1000000000);
    int rc;

    if (out->pcapng)
        return pcapng_record(out, rec);
    uint32_t h[4] = {(uint32_t)(ts / 1000000000), out->nanoseconds ? fraction : fraction / 1000, rec->caplen,
                     rec->origlen};
    if ((rc = put(out, h, sizeof h)))
        return rc;
    return put(out, rec->data, rec->caplen);
}
