/* SPDX-License-Identifier: MIT */
/* Link types of serial lines and carriers: PPP, HDLC, Frame Relay, ATM, SLIP. */
#include "decode/link.h"

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
        return FC_STEP_IPV4;
    case NLPID_IPV6:
        return FC_STEP_IPV6;
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
