/* SPDX-License-Identifier: MIT */
/*
 * Link types of serial lines and carriers: PPP, HDLC, Frame Relay, ATM, SLIP; of a vendor's routers and capture cards.
 */
#include "decode/link.h"
#include "decode/tunnel.h"

enum {
    CHDLC_UNICAST = 0x0f,
    CHDLC_MULTICAST = 0x8f,
    Q922_LAST = 1, /* lowest bit of the last address byte */
    UI = 3,        /* HDLC control: unnumbered information */
    SUNATM_LANE = 1,
    SUNATM_LLC = 2,
    LANE_CONTROL = 0xff00 /* in place of a client's number */
};

/* Goes behind a header of `size` bytes that says nothing of what follows; false when it was cut. */
static bool pseudo_header(struct fc_walk *w, uint32_t size)
{
    if (fc_left(w) < size)
        return false;
    fc_push_link(w);
    w->off += size;
    return true;
}

/* Direction, 15 bytes of compressed header that the system has undone already. */
enum fc_step fc_link_slip(struct fc_walk *w)
{
    return pseudo_header(w, 16) ? FC_STEP_IP : FC_STEP_MALFORMED;
}

/* A direction takes the place of the HDLC address; control follows. */
enum fc_step fc_link_ppp_pppd(struct fc_walk *w)
{
    return pseudo_header(w, 2) ? FC_STEP_PPP : FC_STEP_MALFORMED;
}

/* PPP, or Cisco HDLC: its address bytes would be compressed protocol numbers that nobody has. */
enum fc_step fc_link_hdlc(struct fc_walk *w)
{
    if (fc_left(w) < 1)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    uint8_t address = *fc_here(w);
    return address == CHDLC_UNICAST || address == CHDLC_MULTICAST ? FC_STEP_CHDLC : FC_STEP_PPP;
}

enum fc_step fc_link_hdlc_with_dir(struct fc_walk *w)
{
    return pseudo_header(w, 1) ? fc_link_hdlc(w) : FC_STEP_MALFORMED;
}

enum fc_step fc_link_pppoe(struct fc_walk *w)
{
    fc_push_link(w);
    w->proto = FC_PROTO_ETHERTYPE | FC_ETHERTYPE_PPPOE;
    return FC_STEP_PPPOE;
}

/* Bytes of the Q.922 address, or 0 where there is none; *dlci is zero for the signalling channel only. */
static uint32_t q922_size(const struct fc_walk *w, uint32_t *dlci)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), size = 2;

    if (left < 2 || p[0] & Q922_LAST)
        return 0;
    *dlci = (p[0] & 0xfc) | (p[1] & 0xf0);
    while (!(p[size - 1] & Q922_LAST)) {
        if (size == 4 || size == left)
            return 0;
        *dlci |= p[size] & 0xfc;
        size++;
    }
    return size;
}

static enum fc_step nlpid(struct fc_walk *w)
{
    if (fc_left(w) && *fc_here(w) == 0) /* padding */
        w->off++;
    if (!fc_left(w))
        return FC_STEP_MALFORMED;
    uint8_t id = *fc_here(w);
    w->off++;
    fc_link_session(w, FC_PROTO_LINK | FC_LINKTYPE_FRELAY);
    switch (id) {
    case NLPID_IPV4:
    case NLPID_IPV6:
        return FC_STEP_IP;
    case NLPID_PPP:
        return FC_STEP_PPP;
    case NLPID_SNAP:
        return fc_link_snap(w, 0);
    default:
        return fc_link_opaque(w, FC_LINKTYPE_FRELAY);
    }
}

/* RFC 2427: Q.922 address, control, NLPID; or Cisco's: Q.922 address, EtherType. */
enum fc_step fc_link_frelay(struct fc_walk *w)
{
    uint32_t dlci = 0, size = q922_size(w, &dlci);

    if (!size || fc_left(w) < size + 2)
        return FC_STEP_MALFORMED;
    fc_push_link(w);
    w->off += size;
    if (*fc_here(w) == UI) {
        w->off++;
        return nlpid(w);
    }
    w->next = fc_be16(fc_here(w));
    if (!dlci || w->next < FC_ETHERTYPE_MIN)
        return fc_link_opaque(w, FC_LINKTYPE_FRELAY);
    w->off += 2;
    return FC_STEP_ETHERTYPE;
}

enum fc_step fc_link_frelay_with_dir(struct fc_walk *w)
{
    return pseudo_header(w, 1) ? fc_link_frelay(w) : FC_STEP_MALFORMED;
}

enum fc_step fc_link_llc(struct fc_walk *w)
{
    (void)w;
    return FC_STEP_LLC;
}

/* LLC/SNAP for RFC 1042's organisation, or none at all: then it is IP. */
enum fc_step fc_link_atm_clip(struct fc_walk *w)
{
    static const uint8_t llc_snap[] = {0xaa, 0xaa, 0x03, 0, 0, 0};

    if (fc_left(w) >= sizeof llc_snap && memcmp(fc_here(w), llc_snap, sizeof llc_snap) == 0)
        return FC_STEP_LLC;
    return FC_STEP_IP;
}

/* Direction and kind, VPI, VCI (2). A LANE frame starts with the sender's client number (2). */
enum fc_step fc_link_sunatm(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (!pseudo_header(w, 4))
        return FC_STEP_MALFORMED;
    switch (p[0] & 15) {
    case SUNATM_LLC:
        return FC_STEP_LLC;
    case SUNATM_LANE:
        if (fc_left(w) < 2)
            return FC_STEP_MALFORMED;
        if (fc_be16(p + 4) == LANE_CONTROL)
            return fc_link_opaque(w, FC_LINKTYPE_SUNATM);
        w->off += 2;
        return fc_link_ethernet(w);
    default:
        return fc_link_opaque(w, FC_LINKTYPE_SUNATM);
    }
}

/*
 * A magic number, flags, perhaps a length and extensions of that length; where a flag says that there is no link
 * header, 4 bytes in place of it. Source: tcpdump's print-juniper.c.
 */
enum fc_step fc_link_juniper(struct fc_walk *w)
{
    enum { NO_LINK = 0x02, EXTENDED = 0x80 };
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 6)
        return FC_STEP_MALFORMED;
    if (fc_be32(p) >> 8 != 0x4d4743)
        return fc_link_opaque(w, w->link_type);
    if (!pseudo_header(w, (p[3] & EXTENDED ? 6u + fc_be16(p + 4) : 4) + (p[3] & NO_LINK ? 4 : 0)))
        return FC_STEP_MALFORMED;
    if (p[3] & NO_LINK)
        return fc_ip_at(w, 0, fc_wire_left(w), false) ? FC_STEP_IP : fc_link_opaque(w, w->link_type);
    switch (w->link_type) {
    case FC_LINKTYPE_JUNIPER_PPP:
        return FC_STEP_PPP;
    case FC_LINKTYPE_JUNIPER_FRELAY:
        return fc_link_frelay(w);
    case FC_LINKTYPE_JUNIPER_CHDLC:
        return FC_STEP_CHDLC;
    default:
        return fc_link_ethernet(w);
    }
}

/*
 * Time (8), type, flags, length, lost, original length (2 each); extension headers of 8 bytes, as long as the first bit
 * of a type says that one follows; then what the type says, Ethernet behind 2 bytes. Source: Endace's ERF Types
 * Reference Guide.
 */
enum fc_step fc_link_erf(struct fc_walk *w)
{
    enum { MORE = 0x80 };
    const uint8_t *p = fc_here(w);

    if (!pseudo_header(w, 16))
        return FC_STEP_MALFORMED;
    for (uint8_t type = p[8]; type & MORE; w->off += 8) {
        if (fc_left(w) < 8)
            return FC_STEP_MALFORMED;
        type = *fc_here(w);
    }
    switch (p[8] & ~MORE) {
    case 1: /* a packet of HDLC; with a color; of a coprocessor */
    case 10:
    case 15:
        return fc_link_hdlc(w);
    case 2: /* a frame of Ethernet; with a color; of a coprocessor; with a hash */
    case 11:
    case 16:
    case 20:
        if (fc_left(w) < 2)
            return FC_STEP_MALFORMED;
        w->off += 2;
        return fc_link_ethernet(w);
    case 22:
    case 23:
        return FC_STEP_IP;
    default:
        return fc_link_opaque(w, w->link_type);
    }
}
