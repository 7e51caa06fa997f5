/* SPDX-License-Identifier: MIT */
/*
 * IEEE 802.11, the headers that radios put in front of it, and two headers that name another link type.
 *
 * A frame that carries no readable packet (management, control, no data, protected, a later piece of a split one) is a
 * link-layer session of 802.11 between its sender and receiver, whatever header came before. In an A-MSDU the first
 * packet decides.
 */
#include "decode/link.h"

enum {
    /* first byte of frame control */
    VERSION = 0x03,
    TYPE = 0x0c,
    TYPE_CONTROL = 0x04,
    TYPE_DATA = 0x08,
    TYPE_EXTENSION = 0x0c,
    SUBTYPE_NO_DATA = 0x40, /* of data frames */
    SUBTYPE_QOS = 0x80,
    /* second byte */
    TO_DS = 0x01,
    FROM_DS = 0x02,
    PROTECTED = 0x40,
    ORDER = 0x80, /* with QoS: HT control follows */
    /* QoS control */
    QOS_AMSDU = 0x80,
    QOS_MESH = 0x01, /* second byte */
    HEADER = 24,
    /* subtypes of control frames that name their sender: not clear to send, acknowledgement, wrapper */
    CONTROL_SENDER = 1 << 2 | 1 << 4 | 1 << 5 | 0xf << 8 | 3 << 14
};

enum {
    RADIOTAP_TSFT = 1 << 0,
    RADIOTAP_FLAGS = 1 << 1,
    RADIOTAP_MORE = 1U << 31, /* another word of these follows */
    RADIOTAP_PADDED = 0x20,   /* flag: the 802.11 header is padded to 32 bits */
    PRISM_SIZE = 144,
    PKTAP_PACKET = 1,
    PKTAP_SIZE = 108
};

static const uint32_t avs_magic = 0x80211000; /* but for the lowest 12 bits, a version */

/* Control frames have a receiver, and some a sender. */
static enum fc_step control(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    bool sender = CONTROL_SENDER >> (p[0] >> 4) & 1;

    if (fc_left(w) < (sender ? 16 : 10))
        return FC_STEP_MALFORMED;
    fc_link_macs(w, sender ? p + 10 : fc_no_addr, p + 4);
    w->off += sender ? 16 : 10;
    return fc_link_opaque(w, FC_LINKTYPE_IEEE802_11);
}

/*
 * Receiver and sender of a management or data frame; where the fourth address stands is checked. swap: 1 where fields
 * of two bytes stand the other way round, else 0.
 */
static void addresses(struct fc_walk *w, const uint8_t *p, unsigned swap)
{
    const uint8_t *to = p + 4, *from = p + 10;

    if ((p[swap] & TYPE) == TYPE_DATA) {
        uint8_t flags = p[!swap];
        if (flags & TO_DS)
            to = p + 16;
        if (flags & FROM_DS)
            from = flags & TO_DS ? p + HEADER : p + 16;
    }
    fc_link_macs(w, from, to);
}

/* Mesh control in front of the packet: flags, TTL, sequence (4), further addresses. False when it was cut. */
static bool mesh(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 6)
        return false;
    uint32_t size = 6 + (p[0] & 3u) * 6;
    if (fc_left(w) < size)
        return false;
    if ((p[0] & 3) == 2) /* both ends are outside the mesh */
        fc_link_macs(w, p + 12, p + 6);
    else if ((p[0] & 3) == 1) /* to a group; the sender is outside */
        fc_link_macs(w, p + 6, w->link_addr[1]);
    w->off += size;
    return true;
}

/* First packet of an A-MSDU: receiver, sender, length, LLC. */
static enum fc_step amsdu(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 14)
        return FC_STEP_MALFORMED;
    fc_link_macs(w, p + 6, p);
    w->off += 14;
    uint32_t size = fc_be16(p + 12);
    if (size < fc_left(w))
        w->end = w->off + size;
    return FC_STEP_LLC;
}

/*
 * Mesh control has reserved bits, which tell it from LLC; to one station such a frame has four addresses, to a group
 * three.
 */
static bool has_mesh(const struct fc_walk *w, uint8_t flags, uint8_t qos)
{
    return flags & FROM_DS && qos & QOS_MESH && (!fc_left(w) || *fc_here(w) < 3);
}

/*
 * Drafts of 802.11s had no bit for it, and frames without QoS have none: there LLC tells, where a mesh control would
 * end.
 */
static bool has_draft_mesh(const struct fc_walk *w, uint8_t flags)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), size = left ? 6 + p[0] * 6u : 0;

    return flags & FROM_DS && left >= size + 3 && p[0] < 3 && p[size] == 0xaa && p[size + 1] == 0xaa &&
           p[size + 2] == 0x03;
}

static enum fc_step data(struct fc_walk *w, bool padded, unsigned swap)
{
    const uint8_t *p = fc_here(w);
    uint8_t subtype = p[swap], flags = p[!swap];
    bool four = (flags & (TO_DS | FROM_DS)) == (TO_DS | FROM_DS), qos = subtype & SUBTYPE_QOS;
    uint32_t qos_at = four ? HEADER + 6 : HEADER;
    uint32_t size = qos_at + (qos ? flags & ORDER ? 6 : 2 : 0);

    if (padded)
        size = (size + 3) & ~3u;
    if (fc_left(w) < size)
        return FC_STEP_MALFORMED;
    addresses(w, p, swap);
    w->off += size;
    if (subtype & SUBTYPE_NO_DATA || flags & PROTECTED || p[22 + swap] & 15) /* the last is the number of a piece */
        return fc_link_opaque(w, FC_LINKTYPE_IEEE802_11);
    if (qos && p[qos_at + swap] & QOS_AMSDU)
        return amsdu(w);
    if (((qos && has_mesh(w, flags, p[qos_at + !swap])) || has_draft_mesh(w, flags)) && !mesh(w))
        return FC_STEP_MALFORMED;
    return FC_STEP_LLC;
}

static enum fc_step frame(struct fc_walk *w, bool padded)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 10)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    if (p[0] & VERSION || (p[0] & TYPE) == TYPE_EXTENSION)
        return fc_link_opaque(w, FC_LINKTYPE_IEEE802_11);
    if ((p[0] & TYPE) == TYPE_CONTROL)
        return control(w);
    if (fc_left(w) < HEADER)
        return FC_STEP_MALFORMED;
    if ((p[0] & TYPE) == TYPE_DATA)
        return data(w, padded, 0);
    addresses(w, p, 0);
    w->off += HEADER;
    return fc_link_opaque(w, FC_LINKTYPE_IEEE802_11);
}

enum fc_step fc_link_wlan(struct fc_walk *w)
{
    return frame(w, false);
}

/*
 * Some access points write the header's fields of two bytes in network byte order. Between them and their controller
 * data has one of the DS flags, and there is no version but 0, so that the byte which has both tells the two apart.
 */
enum fc_step fc_link_wlan_capwap(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < HEADER || !(p[0] & VERSION) || (p[1] & (VERSION | TYPE)) != TYPE_DATA)
        return frame(w, false);
    return data(w, false, 1);
}

/* Goes behind a radio header that claims `size` bytes, of which it needs `min`. */
static bool radio_header(struct fc_walk *w, uint32_t size, uint32_t min)
{
    if (size < min || fc_left(w) < size)
        return false;
    fc_push_link(w);
    w->off += size;
    return true;
}

/* The flags of a radiotap header of `size` bytes, 0 where it has none. */
static uint8_t radiotap_flags(const uint8_t *p, uint32_t size)
{
    uint32_t present = fc_load32(p + 4, false), word = present, off = 8;

    while (word & RADIOTAP_MORE && off + 4 <= size) {
        word = fc_load32(p + off, false);
        off += 4;
    }
    if (present & RADIOTAP_TSFT)
        off = ((off + 7) & ~7u) + 8;
    return present & RADIOTAP_FLAGS && off < size ? p[off] : 0;
}

/* Version, padding, length (2, little endian), presence words, fields. */
enum fc_step fc_link_radiotap(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8)
        return FC_STEP_MALFORMED;
    uint32_t size = fc_load16(p + 2, false);
    if (!radio_header(w, size, 8))
        return FC_STEP_MALFORMED;
    return frame(w, radiotap_flags(p, size) & RADIOTAP_PADDED);
}

/* Magic and version, length. */
enum fc_step fc_link_avs(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8 || !radio_header(w, fc_be32(p + 4), 8))
        return FC_STEP_MALFORMED;
    return frame(w, false);
}

enum fc_step fc_link_prism(struct fc_walk *w)
{
    if (fc_left(w) >= 4 && (fc_be32(fc_here(w)) & ~0xfffu) == avs_magic)
        return fc_link_avs(w);
    return radio_header(w, PRISM_SIZE, PRISM_SIZE) ? frame(w, false) : FC_STEP_MALFORMED;
}

/* Goes on with another link type; not with one that leads to another again. */
static enum fc_step enter(struct fc_walk *w, uint32_t link_type)
{
    fc_step_fn *first = fc_link_step(link_type);

    w->link_type = link_type & 0xffff;
    if (!first || first == fc_link_ppi || first == fc_link_pktap || first == fc_link_user2)
        return fc_link_opaque(w, w->link_type);
    return first(w);
}

/* Version, flags, length (2), link type (4), fields; little endian. */
enum fc_step fc_link_ppi(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8 || !radio_header(w, fc_load16(p + 2, false), 8))
        return FC_STEP_MALFORMED;
    return enter(w, fc_load32(p + 4, false));
}

/* Length, record type, link type (4 each), interface, process ...; little endian. */
enum fc_step fc_link_pktap(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 12 || !radio_header(w, fc_load32(p, false), 12))
        return FC_STEP_MALFORMED;
    if (fc_load32(p + 4, false) != PKTAP_PACKET)
        return fc_link_opaque(w, w->link_type);
    return enter(w, fc_load32(p + 8, false));
}

/*
 * The link type is anybody's, and once was what OS X writes PKTAP as. An interface's name of up to 24 bytes behind the
 * fields that are read, and a size that is PKTAP's at the least, tell.
 */
enum fc_step fc_link_user2(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t size = fc_left(w) >= PKTAP_SIZE ? fc_load32(p, false) : 0, i = 12;

    while (size && i < 36 && p[i] > ' ' && p[i] < 0x7f)
        i++;
    if (size < PKTAP_SIZE || size > fc_left(w) || i == 12 || i == 36 || p[i] ||
        fc_load32(p + 4, false) != PKTAP_PACKET || !fc_link_type_name(fc_load32(p + 8, false)))
        return fc_link_opaque(w, w->link_type);
    return fc_link_pktap(w);
}
