/* SPDX-License-Identifier: MIT */
#include "carve/interface.h"
#include "base/error.h"
#include "base/hash.h"
#include "capture/pcapng.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_MAX = 1 << 20,   /* bytes of a description, as the reader takes them */
    COMMENTS_MAX = 1 << 17 /* bytes of comments of sections; readers take headers of a MiB */
};

void fc_carve_ifaces_fini(struct fc_carve_ifaces *all)
{
    for (size_t i = 0; i < all->room; i++)
        if (all->slots[i]) {
            free(all->slots[i]->options);
            free(all->slots[i]);
        }
    free(all->slots);
    fc_buffer_fini(&all->comments);
    fc_buffer_fini(&all->machine);
    memset(all, 0, sizeof *all);
}

static bool same(const struct fc_carve_iface *a, const struct fc_carve_iface *b)
{
    return a->hash == b->hash && a->link_type == b->link_type && a->snaplen == b->snaplen && a->fcs == b->fcs &&
           a->tsresol == b->tsresol && a->big_endian == b->big_endian && a->pcapng == b->pcapng &&
           a->options_len == b->options_len && (!a->options_len || !memcmp(a->options, b->options, a->options_len));
}

static struct fc_carve_iface **find(struct fc_carve_ifaces *all, const struct fc_carve_iface *iface)
{
    size_t i = iface->hash & (all->room - 1);

    while (all->slots[i] && !same(all->slots[i], iface))
        i = (i + 1) & (all->room - 1);
    return &all->slots[i];
}

static int grow(struct fc_carve_ifaces *all)
{
    struct fc_carve_ifaces bigger = {.room = all->room ? all->room * 2 : 16};

    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (!bigger.slots)
        return FC_E_NOMEM;
    for (size_t i = 0; i < all->room; i++)
        if (all->slots[i])
            *find(&bigger, all->slots[i]) = all->slots[i];
    free(all->slots);
    all->slots = bigger.slots;
    all->room = bigger.room;
    return 0;
}

/* The one like `iface`, whose options are taken over or freed; NULL without memory. */
static struct fc_carve_iface *intern(struct fc_carve_ifaces *all, struct fc_carve_iface *iface)
{
    struct fc_carve_iface *copy = NULL;

    iface->hash = fc_hash_bytes(iface->options_len ? iface->options : (const uint8_t *)"", iface->options_len,
                                (uint64_t)iface->link_type << 32 ^ iface->snaplen ^ iface->fcs);
    if (all->count * 2 < all->room || grow(all) == 0) {
        struct fc_carve_iface **slot = find(all, iface);
        if (*slot) {
            free(iface->options);
            return *slot;
        }
        if ((copy = malloc(sizeof *copy))) {
            *copy = *iface;
            *slot = copy;
            all->count++;
        }
    }
    if (!copy)
        free(iface->options);
    return copy;
}

/*
 * if_fcslen as the link type field of a pcap says it. It counts bits; some write bytes, which is plain where it is too
 * little for bits. 0: the field cannot hold it.
 */
static uint32_t fcs_field(uint8_t len)
{
    unsigned bits = len < 8 ? len * 8u : len;

    return bits % 16 || bits / 16 > 15 ? 0 : FC_PCAP_FCS_KNOWN | bits / 16 << FC_PCAP_FCS_SHIFT;
}

static int changed(const struct fc_place_file *f, uint64_t off, struct fc_error *err)
{
    return fc_error_set(err, FC_E_CHANGED, f->stored->path, off,
                        "the capture has changed since it was indexed: no interface is described here");
}

/* A comment in front of the options: of interfaces that are alike but for where they are. */
static int put_origin(struct fc_carve_iface *iface, const char *origin)
{
    uint16_t head[2] = {FC_OPTION_COMMENT, (uint16_t)strlen(origin)};
    uint32_t more = (4 + head[1] + 3u) & ~3u;
    bool end = !iface->options_len; /* a list that was empty needs an end */
    uint8_t *options = calloc(1, more + iface->options_len + 4);

    if (!options)
        return FC_E_NOMEM;
    if (iface->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))
        for (int i = 0; i < 2; i++)
            head[i] = __builtin_bswap16(head[i]);
    memcpy(options, head, sizeof head);
    memcpy(options + 4, origin, strlen(origin));
    if (!end)
        memcpy(options + more, iface->options, iface->options_len);
    free(iface->options);
    iface->options = options;
    iface->options_len += more + (end ? 4 : 0);
    return 0;
}

static int describe_pcapng(struct fc_carve_iface *iface, struct fc_blocks *blocks, struct fc_place_file *f,
                           uint64_t off, struct fc_error *err)
{
    static const uint32_t types[] = {FC_BLOCK_IDB, 0};
    struct fc_pcapng_option o;
    const uint8_t *p;
    uint8_t *block;
    uint32_t size;
    int rc = fc_blocks_load(blocks, f, off, iface->big_endian, BLOCK_MAX, types, &block, &size, err);

    if (rc != 1 || size < 20) {
        if (rc == 1)
            free(block);
        return rc < 0 ? rc : changed(f, off, err);
    }
    iface->options_len = size - 20;
    memmove(block, block + 16, iface->options_len);
    iface->options = block;
    p = iface->options;
    while (fc_pcapng_option(&p, iface->options + iface->options_len, iface->big_endian, &o))
        if (o.code == FC_OPTION_FCSLEN && o.len >= 1)
            iface->fcs = fcs_field(o.value[0]);
    return 0;
}

static int describe_pcap(struct fc_carve_iface *iface, struct fc_blocks *blocks, struct fc_place_file *f, uint64_t off,
                         struct fc_error *err)
{
    uint8_t head[FC_PCAP_HEADER];
    struct fc_pcap pcap = f->file.pcap;
    int64_t n;

    if (off) { /* written behind another capture */
        if ((n = fc_blocks_read(blocks, f, head, sizeof head, off, err)) < 0)
            return (int)n;
        if (n < FC_PCAP_HEADER || fc_pcap_parse(head, off, &pcap, NULL))
            return changed(f, off, err);
    }
    iface->fcs = pcap.fcs;
    return 0;
}

int fc_carve_ifaces_add(struct fc_carve_ifaces *all, struct fc_blocks *blocks, struct fc_place_file *f,
                        const struct fc_interface *stored, struct fc_carve_iface **out, struct fc_error *err)
{
    struct fc_carve_iface iface = {
        .link_type = stored->link_type,
        .snaplen = stored->snaplen,
        .tsresol = stored->tsresol,
        .big_endian = stored->big_endian,
        .pcapng = f->file.format == FC_FORMAT_PCAPNG,
    };
    int rc = iface.pcapng ? describe_pcapng(&iface, blocks, f, stored->off, err)
                          : describe_pcap(&iface, blocks, f, stored->section_off, err);

    if (rc)
        return rc;
    if (all->origin && iface.pcapng && put_origin(&iface, all->origin)) {
        free(iface.options);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    *out = intern(all, &iface);
    return *out ? 0 : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static bool has(const struct fc_buffer *list, const struct fc_pcapng_option *o)
{
    const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    const uint8_t *p = list->data;
    struct fc_pcapng_option seen;

    while (p && fc_pcapng_option(&p, list->data + list->len, big, &seen))
        if (seen.code == o->code && seen.len == o->len && memcmp(seen.value, o->value, o->len) == 0)
            return true;
    return false;
}

static size_t padded(const struct fc_pcapng_option *o)
{
    return 4 + ((o->len + 3u) & ~3u);
}

static int append(struct fc_buffer *list, const struct fc_pcapng_option *o)
{
    int rc = fc_buffer_reserve(list, list->len + padded(o));
    uint8_t *p = list->data + list->len;

    if (rc)
        return rc;
    memset(p, 0, padded(o));
    memcpy(p, &o->code, 2);
    memcpy(p + 2, &o->len, 2);
    memcpy(p + 4, o->value, o->len);
    list->len += padded(o);
    return 0;
}

/* Comments of all sections are kept; what they were captured with, when it is the same for all. */
static int take_options(struct fc_carve_ifaces *all, const uint8_t *p, const uint8_t *end, bool big)
{
    struct fc_pcapng_option o;
    size_t len = 0;
    int rc = 0;

    while (rc == 0 && fc_pcapng_option(&p, end, big, &o)) {
        if (o.code == FC_OPTION_COMMENT) {
            if (all->comments.len < COMMENTS_MAX && !has(&all->comments, &o))
                rc = append(&all->comments, &o);
        } else if (o.code <= FC_OPTION_SHB_USERAPPL) {
            len += padded(&o);
            if (!all->first_seen)
                rc = append(&all->machine, &o);
            else
                all->machines_differ |= !has(&all->machine, &o);
        }
    }
    all->machines_differ |= len != all->machine.len;
    all->first_seen = true;
    return rc;
}

int fc_carve_ifaces_section(struct fc_carve_ifaces *all, struct fc_blocks *blocks, struct fc_place_file *f,
                            const struct fc_interface *iface, struct fc_error *err)
{
    static const uint32_t types[] = {FC_BLOCK_SHB, 0};
    uint8_t *block;
    uint32_t size;
    int rc = fc_blocks_load(blocks, f, iface->section_off, iface->big_endian, BLOCK_MAX, types, &block, &size, err);

    if (rc != 1) /* 0: damaged; the packets are good, what is said of their section is not */
        return rc;
    rc = size < 28 ? 0 : take_options(all, block + 24, block + size - 4, iface->big_endian);
    free(block);
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}
