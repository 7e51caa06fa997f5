/* SPDX-License-Identifier: MIT */
/* What stands between the link header and IP: EtherTypes, tags, labels, PPP, LLC, ARP. */
#include "decode/link.h"
#include "decode/tunnel.h"

enum {
    PPP_IPV4 = 0x0021,
    PPP_BRIDGE = 0x0031,
    PPP_MULTILINK = 0x003d,
    PPP_IPV6 = 0x0057,
    PPP_MPLS = 0x0281,
    PPP_MPLS_MCAST = 0x0283
};

enum {
    OUI_RFC1042 = 0x000000,
    OUI_802_1H = 0x0000f8,
    OUI_802_1 = 0x0080c2, /* RFC 2427, RFC 2684: bridged frames */
    PID_ETHERNET_FCS = 0x0001,
    PID_ETHERNET = 0x0007
};

static enum fc_step vlan(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_VLAN);
    if (w->vlan_count < FC_VLAN_MAX)
        w->vlan[w->vlan_count++] = fc_be16(p) & 0xfff;
    w->next = fc_be16(p + 2);
    w->off += 4;
    return FC_STEP_ETHERTYPE;
}

/* ARP and RARP alike: hardware type and address length do not matter, only where the protocol addresses stand. */
static enum fc_step arp(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 8 || fc_left(w) < 8 + 2u * p[4] + 2u * p[5])
        return FC_STEP_MALFORMED;
    fc_push_layer(w, FC_LAYER_ARP);
    if (!w->ip && fc_be16(p + 2) == FC_ETHERTYPE_IPV4 && p[5] == 4) {
        w->addr_kind = FC_ADDR_IPV4;
        w->addr[0] = p + 8 + p[4];
        w->addr[1] = p + 12 + 2 * p[4];
    }
    return FC_STEP_DONE;
}

enum fc_step fc_step_ethertype(struct fc_walk *w)
{
    fc_link_session(w, FC_PROTO_ETHERTYPE | w->next);
    switch (w->next) {
    case FC_ETHERTYPE_IPV4:
    case FC_ETHERTYPE_IPV6:
        return FC_STEP_IP;
    case FC_ETHERTYPE_VLAN:
    case FC_ETHERTYPE_QINQ:
    case 0x9100: /* QinQ before 802.1ad had a number for it */
    case 0x9200:
    case 0x9300:
        return vlan(w);
    case FC_ETHERTYPE_ARP:
    case FC_ETHERTYPE_RARP:
        return arp(w);
    case FC_ETHERTYPE_MPLS:
    case FC_ETHERTYPE_MPLS_MCAST:
        return FC_STEP_MPLS;
    case FC_ETHERTYPE_PPPOE:
        return FC_STEP_PPPOE;
    case FC_ETHERTYPE_PPP:
        return FC_STEP_PPP;
    case FC_ETHERTYPE_NSH:
        return FC_STEP_NSH;
    case FC_ETHERTYPE_JUMBO_LLC:
        return FC_STEP_LLC;
    case FC_ETHERTYPE_TEB:
    case FC_ETHERTYPE_TRILL:
    case FC_ETHERTYPE_BATMAN:
    case FC_ETHERTYPE_MACSEC:
    case FC_ETHERTYPE_PBB:
    case FC_ETHERTYPE_FABRICPATH:
    case FC_ETHERTYPE_CMD:
    case FC_ETHERTYPE_VNTAG:
    case FC_ETHERTYPE_HSR:
    case FC_ETHERTYPE_ETAG:
    case FC_ETHERTYPE_RTAG:
        return fc_step_shim(w);
    default:
        if (w->next < FC_ETHERTYPE_MIN)
            return FC_STEP_LLC;
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
}

/* ISO protocols by their first byte; RFC 2364, RFC 2684: PPP and IP are among them. */
static enum fc_step iso(struct fc_walk *w)
{
    uint8_t id = fc_left(w) >= 4 ? fc_here(w)[3] : 0;

    if (id != NLPID_IPV4 && id != NLPID_IPV6 && id != NLPID_PPP)
        return FC_STEP_DONE;
    w->off += 4;
    return id == NLPID_PPP ? FC_STEP_PPP : FC_STEP_IP;
}

enum fc_step fc_step_llc(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 3)
        return FC_STEP_MALFORMED;
    uint32_t saps = fc_be16(p);
    if (saps != 0xffff) /* FF FF: IPX straight behind 802.3, no LLC at all */
        saps &= 0xfffe; /* the lowest bit says command or response: both are one session */
    fc_link_session(w, FC_PROTO_LLC | saps);
    fc_push_layer(w, FC_LAYER_LLC);
    if (p[0] == 0x06 && p[1] == 0x06 && p[2] == 0x03) {
        w->off += 3;
        return FC_STEP_IP;
    }
    if (p[0] == 0xaa && p[1] == 0xaa && p[2] == 0x03) {
        w->off += 3;
        return fc_link_snap(w, 2); /* RFC 2684 pads bridged frames behind LLC */
    }
    if (p[0] == 0xfe && p[1] == 0xfe && p[2] == 0x03)
        return iso(w);
    return FC_STEP_DONE;
}

enum fc_step fc_link_snap(struct fc_walk *w, uint32_t bridge_pad)
{
    const uint8_t *p = fc_here(w);

    if (fc_left(w) < 5)
        return FC_STEP_MALFORMED;
    uint32_t oui = fc_be32(p) >> 8, pid = fc_be16(p + 3);
    if (oui == OUI_RFC1042 || oui == OUI_802_1H) {
        w->off += 5;
        w->next = pid;
        return pid >= FC_ETHERTYPE_MIN ? FC_STEP_ETHERTYPE : FC_STEP_DONE;
    }
    if (oui == OUI_802_1 && (pid == PID_ETHERNET_FCS || pid == PID_ETHERNET)) {
        fc_skip(w, 5 + bridge_pad);
        return fc_link_ethernet(w);
    }
    return FC_STEP_DONE;
}

enum fc_step fc_step_mpls(struct fc_walk *w)
{
    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    uint32_t entry = fc_be32(fc_here(w));
    fc_push_layer(w, FC_LAYER_MPLS);
    if (w->mpls_count < FC_MPLS_MAX) {
        if (w->mask & FC_WANT_MPLS)
            w->out->mpls[w->mpls_count] = entry >> 12;
        w->mpls_count++;
    }
    w->off += 4;
    if (!(entry & 0x100)) /* not yet the bottom of the stack */
        return FC_STEP_MPLS;
    return fc_step_mpls_payload(w);
}

enum fc_step fc_step_pppoe(struct fc_walk *w)
{
    if (fc_left(w) < 6)
        return FC_STEP_MALFORMED;
    uint8_t code = fc_here(w)[1];
    uint32_t session = fc_be16(fc_here(w) + 2);
    if (w->off) /* under its own link type it is the link header */
        fc_push_layer(w, FC_LAYER_PPPOE);
    w->off += 6;
    if (code == 0 && fc_enter(w, FC_TUNNEL_PPPOE, session))
        return FC_STEP_PPP;
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}

/*
 * RFC 1990: two bits tell that a packet begins and ends here. What both ends agreed upon elsewhere, whether its number
 * has 12 or 24 bits, shows in where IP stands.
 */
static bool multilink(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), wire = fc_wire_left(w);

    for (uint32_t size = 4; size >= 2; size -= 2) {
        if (left < size + 2 || wire < size + 2 || p[0] >> 6 != 3)
            return false;
        uint32_t at = size + (p[size] & 1 ? 1 : 2), protocol = p[size] & 1 ? p[size] : fc_be16(p + size);
        if ((protocol == PPP_IPV4 || protocol == PPP_IPV6) && fc_ip_at(w, at, wire - at, false)) {
            w->off += size;
            return true;
        }
    }
    return false;
}

enum fc_step fc_step_ppp(struct fc_walk *w)
{
    const uint8_t *p = fc_here(w);
    uint32_t left = fc_left(w), size = left >= 2 && p[0] == 0xff && p[1] == 0x03 ? 2 : 0, protocol;

    if (left > size && p[size] & 1) { /* compressed: the last byte of a protocol number is odd, the first even */
        protocol = p[size];
        size += 1;
    } else if (left >= size + 2) {
        protocol = fc_be16(p + size);
        size += 2;
    } else {
        return FC_STEP_MALFORMED;
    }
    if (w->off) /* else it is the link header, listed as such */
        fc_push_layer(w, FC_LAYER_PPP);
    w->off += size;
    fc_link_session(w, FC_PROTO_PPP | protocol);
    switch (protocol) {
    case PPP_IPV4:
    case PPP_IPV6:
        return FC_STEP_IP;
    case PPP_MPLS:
    case PPP_MPLS_MCAST:
        return FC_STEP_MPLS;
    case PPP_MULTILINK:
        if (multilink(w))
            return FC_STEP_PPP;
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    /* RFC 3518: flags, MAC type; 1 is Ethernet, without a LAN id unless the first bit but one says so */
    case PPP_BRIDGE:
        if (fc_left(w) >= 2 && fc_here(w)[1] == 1 && !(fc_here(w)[0] & 0x40)) {
            fc_skip(w, 2);
            return FC_STEP_ETHERNET;
        }
        /* fall through */
    default:
        fc_push_layer(w, FC_LAYER_PAYLOAD);
        return FC_STEP_DONE;
    }
}

enum fc_step fc_step_chdlc(struct fc_walk *w)
{
    if (fc_left(w) < 4)
        return FC_STEP_MALFORMED;
    w->next = fc_be16(fc_here(w) + 2);
    w->off += 4;
    /* 8035 is SLARP here, not RARP, and there is no 802.3 length */
    if (w->next != FC_ETHERTYPE_RARP && w->next >= FC_ETHERTYPE_MIN)
        return FC_STEP_ETHERTYPE;
    fc_link_session(w, FC_PROTO_ETHERTYPE | w->next);
    fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}
