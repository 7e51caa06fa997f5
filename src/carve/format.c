/* SPDX-License-Identifier: MIT */
#include "carve/format.h"
#include "base/error.h"
#include "capture/section.h"

#include <string.h>

enum { LITTLE = 1, BIG = 2 };

/* What the header of a pcap says of all records. */
struct traits {
    bool any;
    uint32_t link_type, snaplen, fcs;
    bool several; /* link types */
    bool fcs_differs;
    bool nanoseconds;
    unsigned orders;        /* LITTLE, BIG: of all */
    unsigned header_orders; /* of those with headers in the order of their host */
    uint32_t header_type;   /* link type of one of these */
};

/* Are there times of parts of a microsecond? */
static bool is_fine(const struct fc_carve_iface *iface)
{
    /* 2^-6 is 15625 microseconds, the smallest power of two that is a whole number of them */
    return iface->tsresol & 128 ? (iface->tsresol & 127) > 6 : iface->tsresol > 6;
}

static void see(struct traits *t, const struct fc_carve_iface *iface)
{
    unsigned order = iface->big_endian ? BIG : LITTLE;
    uint32_t snaplen = iface->snaplen ? iface->snaplen : UINT32_MAX; /* 0: no limit */

    t->several |= t->any && t->link_type != iface->link_type;
    t->fcs_differs |= t->any && t->fcs != iface->fcs;
    t->link_type = iface->link_type;
    t->fcs = iface->fcs;
    t->snaplen = snaplen > t->snaplen ? snaplen : t->snaplen;
    t->nanoseconds |= is_fine(iface);
    t->orders |= order;
    if (fc_output_has_order(iface->link_type)) {
        t->header_orders |= order;
        t->header_type = iface->link_type;
    }
    t->any = true;
}

static bool alike(const struct fc_carve_iface *a, const struct fc_carve_iface *b)
{
    return a == b || (a->link_type == b->link_type && a->snaplen == b->snaplen && a->fcs == b->fcs &&
                      is_fine(a) == is_fine(b) && a->big_endian == b->big_endian);
}

/* Interfaces no two of which are alike, as far as there is room. */
struct kinds {
    const struct fc_carve_iface *items[16];
    size_t count;
};

static void add_kind(struct kinds *kinds, const struct fc_carve_iface *iface)
{
    size_t i = 0;

    while (i < kinds->count && !alike(kinds->items[i], iface))
        i++;
    if (i == kinds->count && i < sizeof kinds->items / sizeof kinds->items[0])
        kinds->items[kinds->count++] = iface;
}

/* Of a section whose interfaces differ: looks which ones are used by positions [i, end), until all kinds are. */
static int see_records(struct traits *t, struct fc_record_source *s, struct fc_carve_iface *const *ifaces, size_t i,
                       size_t end, const struct kinds *all, struct fc_error *err)
{
    bool full = all->count == sizeof all->items / sizeof all->items[0];
    struct kinds seen = {.count = 0};

    for (; i < end && (full || seen.count < all->count); i++) {
        struct fc_error why;
        int rc = fc_record_source_read(s, i, &why);
        if (rc == FC_E_CHANGED && s->places->partial)
            continue; /* left out when its turn comes */
        if (rc != 1) {
            *err = why;
            return rc;
        }
        add_kind(&seen, ifaces[s->iface]);
        see(t, ifaces[s->iface]);
    }
    return 0;
}

static int see_file(struct traits *t, struct fc_places *places, struct fc_place_file *f,
                    struct fc_carve_iface *const *ifaces, struct fc_error *err)
{
    const struct fc_stored_file *stored = f->stored;
    struct fc_record_source s = {0};
    size_t first, last, next;
    uint64_t end;
    int rc = 0;

    for (size_t i = 0; i < f->count && rc == 0; i = next) {
        if (!fc_section_range(stored->ifaces, stored->iface_count, f->pos[i].off, &first, &last, &end))
            return fc_error_set(err, FC_E_CHANGED, stored->path, f->pos[i].off, "no interface holds here");
        next = fc_places_behind(f, i, end);
        struct kinds all = {.count = 0};
        for (size_t k = first; k < last; k++)
            add_kind(&all, ifaces[k]);
        if (all.count == 1)
            see(t, ifaces[first]);
        else if (s.f || (rc = fc_record_source_open(&s, places, f, err)) == 0)
            rc = see_records(t, &s, ifaces, i, next, &all, err);
    }
    if (s.f)
        fc_record_source_fini(&s);
    return rc;
}

int fc_carve_choose(struct fc_places *places, const struct fc_carve_files *files, enum fc_carve_format format,
                    struct fc_output_form *form, struct fc_error *err)
{
    /* pcap counts seconds from 1970 in 32 bits */
    bool odd_times =
        places->low_ns != FC_TIME_NONE && (places->low_ns < 0 || places->high_ns / 1000000000 > (int64_t)UINT32_MAX);
    struct traits t = {.any = false};
    int rc = 0;

    *form = (struct fc_output_form){.pcapng = true, .ifaces = &files->ifaces};
    if (format == FC_CARVE_PCAPNG)
        return 0;
    for (size_t i = 0; i < places->stored.count && rc == 0; i++)
        if (places->files[i].count)
            rc = see_file(&t, places, &places->files[i], files->items[i].ifaces, err);
    if (rc)
        return rc;
    bool both_orders = t.header_orders == (LITTLE | BIG);
    if (format == FC_CARVE_AUTO && (t.several || odd_times || both_orders || t.fcs_differs || places->timeless))
        return 0;
    if (t.several || odd_times)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "a pcap file cannot hold %s; use pcapng",
                            t.several ? "several link types" : "these times");
    if (both_orders)
        return fc_error_set(
            err, FC_E_USAGE, NULL, FC_NO_OFFSET,
            "a pcap file cannot hold link type %u, whose headers are in the byte order of the capturing host, of "
            "both orders; use pcapng",
            t.header_type);
    unsigned orders = t.header_orders ? t.header_orders : t.orders;
    /* libpcap cuts what is longer, so that no limit means the largest there is */
    uint32_t most = fc_max_caplen(t.link_type);
    *form = (struct fc_output_form){
        .nanoseconds = t.nanoseconds,
        .big_endian = orders == BIG || (orders != LITTLE && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__),
        .link_type = t.link_type | (t.fcs_differs ? 0 : t.fcs),
        .snaplen = t.any && t.snaplen < most ? t.snaplen : most,
    };
    return 0;
}
