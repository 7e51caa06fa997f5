/* SPDX-License-Identifier: MIT */
#include "carve/output.h"
#include "base/error.h"
#include "capture/pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 256 << 10 };

static int write_all(void *ctx, const void *data, size_t n)
{
    struct fc_output *out = ctx;
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

static int pass_on(struct fc_output *out, const void *data, size_t n)
{
    return out->pack ? fc_pack_write(out->pack, data, n, false, write_all, out) : write_all(out, data, n);
}

static int flush(struct fc_output *out)
{
    int rc = pass_on(out, out->buf, out->len);

    out->len = 0;
    return rc;
}

/* What the buffer has no room for. */
static int put_slow(struct fc_output *out, const void *data, size_t n)
{
    int rc = flush(out);

    if (rc || n > BUFFER)
        return rc ? rc : pass_on(out, data, n);
    memcpy(out->buf, data, n);
    out->len = n;
    return 0;
}

static inline int put(struct fc_output *out, const void *data, size_t n)
{
    out->written += n;
    if (out->len + n > BUFFER)
        return put_slow(out, data, n);
    if (n)
        memcpy(out->buf + out->len, data, n);
    out->len += n;
    return 0;
}

/* Numbers in the byte order of what is written. */
static uint16_t u16(const struct fc_output *out, uint16_t v)
{
    return out->big_endian == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v : __builtin_bswap16(v);
}

static uint32_t u32(const struct fc_output *out, uint32_t v)
{
    return out->big_endian == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v : __builtin_bswap32(v);
}

static int put32(struct fc_output *out, uint32_t v)
{
    v = u32(out, v);
    return put(out, &v, sizeof v);
}

static int pcap_header(struct fc_output *out)
{
    struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, accuracy, snaplen, link_type;
    } h = {u32(out, out->form.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4),
           u16(out, 2),
           u16(out, 4),
           0,
           0,
           u32(out, out->form.snaplen),
           u32(out, out->form.link_type)};

    return put(out, &h, sizeof h);
}

/* Options that are kept in the byte order of this machine. */
static int put_options(struct fc_output *out, const struct fc_buffer *list)
{
    const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    const uint8_t *p = list->data;
    struct fc_pcapng_option o;
    int rc = 0;

    while (rc == 0 && p && fc_pcapng_option(&p, list->data + list->len, big, &o)) {
        uint16_t head[2] = {u16(out, o.code), u16(out, o.len)};
        if ((rc = put(out, head, sizeof head)) == 0)
            rc = put(out, o.value, (size_t)(p - o.value));
    }
    return rc;
}

/* The first section has what is said of all that are carved from. */
static int start_section(struct fc_output *out, bool big_endian)
{
    static const struct fc_buffer none;
    const struct fc_carve_ifaces *ifaces = out->section ? NULL : out->form.ifaces;
    const struct fc_buffer *comments = ifaces ? &ifaces->comments : &none;
    const struct fc_buffer *machine = ifaces && !ifaces->machines_differ ? &ifaces->machine : &none;
    uint32_t options = (uint32_t)(comments->len + machine->len), size = 28 + (options ? options + 4 : 0);
    int rc;

    out->big_endian = big_endian;
    out->section++;
    out->iface_count = 0;
    struct {
        uint32_t type, size, magic;
        uint16_t major, minor;
        uint32_t length[2];
    } b = {FC_BLOCK_SHB, u32(out, size), u32(out, FC_BYTE_ORDER_MAGIC), u16(out, 1), 0, {UINT32_MAX, UINT32_MAX}};
    if ((rc = put(out, &b, sizeof b)) || (rc = put_options(out, comments)) || (rc = put_options(out, machine)))
        return rc;
    if (options && (rc = put32(out, 0)))
        return rc;
    return put32(out, size);
}

/* What the header of a pcap says, as options. */
static uint32_t pcap_options(const struct fc_output *out, const struct fc_carve_iface *iface, uint8_t *p)
{
    uint8_t len = 0, fcs = (uint8_t)((iface->fcs >> FC_PCAP_FCS_SHIFT) * 16);
    const uint8_t options[2][2] = {{iface->tsresol == 9 ? FC_OPTION_TSRESOL : 0, 9},
                                   {iface->fcs & FC_PCAP_FCS_KNOWN ? FC_OPTION_FCSLEN : 0, fcs}};

    for (int i = 0; i < 2; i++)
        if (options[i][0]) {
            uint16_t head[2] = {u16(out, options[i][0]), u16(out, 1)};
            memcpy(p + len, head, sizeof head);
            memset(p + len + 4, 0, 4);
            p[len + 4] = options[i][1];
            len += 8;
        }
    if (len) /* the end of the options */
        memset(p + len, 0, 4);
    return len ? len + 4 : 0;
}

/* Numbers the interface, in the section that is written. */
static int describe(struct fc_output *out, struct fc_carve_iface *iface)
{
    uint8_t made[20];
    uint32_t len = iface->pcapng ? iface->options_len : pcap_options(out, iface, made);
    struct {
        uint32_t type, size;
        uint16_t link_type, reserved;
        uint32_t snaplen;
    } b = {u32(out, FC_BLOCK_IDB), u32(out, 20 + len), u16(out, (uint16_t)iface->link_type), 0,
           u32(out, iface->snaplen)};
    int rc;

    if ((rc = put(out, &b, sizeof b)) || (rc = put(out, iface->pcapng ? iface->options : made, len)) ||
        (rc = put32(out, 20 + len)))
        return rc;
    iface->section = out->section;
    iface->number = out->iface_count++;
    return 0;
}

bool fc_output_has_order(uint32_t link_type)
{
    switch (link_type) {
    case 0:   /* NULL: the address family */
    case 109: /* ENC: family and flags */
    case 113: /* LINUX_SLL, 276 SLL2: of CAN */
    case 117: /* PFLOG: user and process */
    case 119: /* PRISM: all of the header */
    case 189: /* USB_LINUX and the next, all of the header */
    case 220:
    case 239: /* NFLOG: type and length of each value */
    case 253: /* NETLINK: the messages */
    case 276:
        return true;
    default:
        return false;
    }
}

int fc_output_init(struct fc_output *out, int fd, const struct fc_output_form *form, const int *stop)
{
    memset(out, 0, sizeof *out);
    out->form = *form;
    out->fd = fd;
    out->stop = stop;
    out->big_endian = form->big_endian;
    out->buf = malloc(BUFFER);
    if (!out->buf || (form->compression && !(out->pack = fc_pack_new(form->compression))))
        return FC_E_NOMEM;
    return form->pcapng ? 0 : pcap_header(out); /* a section is started by the first record, which tells its order */
}

void fc_output_fini(struct fc_output *out)
{
    free(out->buf);
    fc_pack_free(out->pack);
    memset(out, 0, sizeof *out);
}

/* Sees to a section for the interface, in which its number is `most` or less. */
static int enter(struct fc_output *out, const struct fc_carve_iface *iface, uint32_t most)
{
    uint32_t number = iface->section == out->section ? iface->number : out->iface_count;
    bool bound = iface->pcapng || fc_output_has_order(iface->link_type);

    if (out->section && number <= most && (!bound || iface->big_endian == out->big_endian))
        return 0;
    return start_section(out, iface->big_endian);
}

int fc_output_blocks(struct fc_output *out, bool big_endian, const uint8_t *blocks, size_t len)
{
    int rc = out->section && out->big_endian == big_endian ? 0 : start_section(out, big_endian);

    return rc ? rc : put(out, blocks, len);
}

/* Bytes of the comment on a packet, which has other options behind it or none. */
static uint32_t comment_size(const struct fc_output *out, bool others)
{
    enum { HEAD = 4, END = 4 };

    return out->comment ? HEAD + (((uint32_t)strlen(out->comment) + 3) & ~3u) + (others ? 0 : END) : 0;
}

static int put_comment(struct fc_output *out, bool others)
{
    static const uint8_t zeros[8];
    size_t len = out->comment ? strlen(out->comment) : 0;
    int rc;

    if (!out->comment)
        return 0;
    uint16_t head[2] = {u16(out, FC_OPTION_COMMENT), u16(out, (uint16_t)len)};
    if ((rc = put(out, head, sizeof head)) || (rc = put(out, out->comment, len)))
        return rc;
    return put(out, zeros, (-len & 3) + (others ? 0 : 4));
}

/* An enhanced packet block in place of an obsolete one, whose drop count becomes an option. */
static int obsolete_block(struct fc_output *out, const struct fc_carve_iface *iface, const uint8_t *block,
                          uint32_t size)
{
    enum { UNKNOWN = 0xffff };
    uint16_t drops = fc_load16(block + 10, iface->big_endian);
    uint32_t data = 28 + ((fc_load32(block + 20, iface->big_endian) + 3) & ~3u), more = 0;
    uint32_t option[4] = {0};
    int rc;

    if (drops && drops != UNKNOWN) {
        uint16_t head[2] = {u16(out, FC_OPTION_DROPCOUNT), u16(out, 8)};
        memcpy(option, head, sizeof head);
        option[out->big_endian ? 2 : 1] = u32(out, drops);
        more = size - 4 > data ? 12 : 16; /* with the end of the options, where there are no others */
    }
    bool others = more || size - 4 > data;
    uint32_t whole = size + more + comment_size(out, others);
    uint32_t h[3] = {u32(out, FC_BLOCK_EPB), u32(out, whole), u32(out, iface->number)};
    if ((rc = put(out, h, sizeof h)) || (rc = put(out, block + 12, data - 12)) || (rc = put_comment(out, others)) ||
        (rc = put(out, option, more)) || (rc = put(out, block + data, size - 4 - data)))
        return rc;
    return put32(out, whole);
}

int fc_output_block(struct fc_output *out, struct fc_carve_iface *iface, const uint8_t *block, uint32_t size)
{
    uint32_t type = fc_load32(block, iface->big_endian);
    uint32_t head = type == FC_BLOCK_SPB ? 8 : 12; /* a simple one is of interface 0, and does not say so */
    int rc = enter(out, iface, type == FC_BLOCK_SPB ? 0 : UINT32_MAX);

    if (rc || (iface->section != out->section && (rc = describe(out, iface))))
        return rc;
    if (type == FC_BLOCK_PB)
        return obsolete_block(out, iface, block, size);
    uint32_t data = size - 4, whole = size; /* where options begin */
    if (type == FC_BLOCK_EPB && out->comment) {
        data = 28 + ((fc_load32(block + 20, iface->big_endian) + 3) & ~3u);
        whole += comment_size(out, size - 4 > data);
    }
    uint32_t h[3] = {u32(out, type), u32(out, whole), u32(out, iface->number)};
    if ((rc = put(out, h, head)) || (rc = put(out, block + head, data - head)))
        return rc;
    if (whole > size && (rc = put_comment(out, size - 4 > data)))
        return rc;
    if ((rc = put(out, block + data, size - 4 - data)))
        return rc;
    return put32(out, whole);
}

static int pcapng_record(struct fc_output *out, struct fc_carve_iface *iface, const struct fc_record *rec)
{
    static const uint8_t zeros[4];
    uint64_t ticks = (uint64_t)rec->ts_ns / (iface->tsresol == 9 ? 1 : 1000); /* of a pcap: never before 1970 */
    uint32_t pad = -rec->caplen & 3, size = 32 + rec->caplen + pad + comment_size(out, false);
    int rc = enter(out, iface, UINT32_MAX);

    if (rc || (iface->section != out->section && (rc = describe(out, iface))))
        return rc;
    uint32_t h[7] = {
        u32(out, FC_BLOCK_EPB),    u32(out, size),        u32(out, iface->number), u32(out, (uint32_t)(ticks >> 32)),
        u32(out, (uint32_t)ticks), u32(out, rec->caplen), u32(out, rec->origlen)};
    if ((rc = put(out, h, sizeof h)) || (rc = put(out, rec->data, rec->caplen)) || (rc = put(out, zeros, pad)) ||
        (rc = put_comment(out, false)))
        return rc;
    return put32(out, size);
}

int fc_output_record(struct fc_output *out, struct fc_carve_iface *iface, const struct fc_record *rec,
                     const uint8_t *block)
{
    int64_t ts = rec->ts_ns == FC_TIME_NONE ? 0 : rec->ts_ns;
    uint32_t fraction = (uint32_t)(ts % 1000000000);
    int rc;

    if (out->form.pcapng)
        return block ? fc_output_block(out, iface, block, (uint32_t)(rec->next_off - rec->off))
                     : pcapng_record(out, iface, rec);
    uint32_t h[4] = {u32(out, (uint32_t)(ts / 1000000000)),
                     u32(out, out->form.nanoseconds ? fraction : fraction / 1000), u32(out, rec->caplen),
                     u32(out, rec->origlen)};
    if ((rc = put(out, h, sizeof h)))
        return rc;
    return put(out, rec->data, rec->caplen);
}

int fc_output_end(struct fc_output *out)
{
    int rc = out->form.pcapng && !out->section ? start_section(out, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) : 0;

    if (rc == 0)
        rc = flush(out);
    return rc == 0 && out->pack ? fc_pack_write(out->pack, NULL, 0, true, write_all, out) : rc;
}

int fc_output_error(int rc, struct fc_error *err)
{
    return rc == FC_E_IO ? fc_error_errno(err, rc, NULL, FC_NO_OFFSET, "cannot write the output")
                         : fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
}
