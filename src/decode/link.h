/* SPDX-License-Identifier: MIT */
/*
 * First steps: the headers that a link type puts in front of everything else, and what these share.
 *
 * A first step may run behind another one (802.11 in PPI, Frame Relay in a cooked capture), so it reads from `off` on,
 * not from the record's start. A step that calls another one always moves `off` in between, and only radio and PKTAP
 * headers start another link type, once.
 *
 * Source: tcpdump.org's pages of link types; IEEE 802.11-2020, 9.2 and 9.3; RFC 1051, 1201, 2427, 2625, 2684, 2734,
 * 4391; radiotap.org; CACE PPI 1.0.10.
 */
#ifndef FC_DECODE_LINK_H
#define FC_DECODE_LINK_H

#include "decode/walk.h"

enum {
    FC_LINKTYPE_IEEE802_5 = 6,
    FC_LINKTYPE_ARCNET = 7,
    FC_LINKTYPE_FDDI = 10,
    FC_LINKTYPE_IEEE802_11 = 105,
    FC_LINKTYPE_FRELAY = 107,
    FC_LINKTYPE_SUNATM = 123,
    FC_LINKTYPE_JUNIPER_PPP = 179,
    FC_LINKTYPE_JUNIPER_FRELAY = 180,
    FC_LINKTYPE_JUNIPER_CHDLC = 181
};

/* ISO/IEC TR 9577: what a frame of Frame Relay carries, or LLC of ISO protocols. */
enum { NLPID_SNAP = 0x80, NLPID_IPV6 = 0x8e, NLPID_IPV4 = 0xcc, NLPID_PPP = 0xcf };

/* link_ip.c: IP or an EtherType behind a header of the system's own */
fc_step_fn fc_link_loopback, fc_link_raw, fc_link_mpls, fc_link_enc, fc_link_pflog, fc_link_ipnet, fc_link_nflog,
    fc_link_sll, fc_link_sll2;
/* link_lan.c */
fc_step_fn fc_link_ethernet, fc_link_token_ring, fc_link_fddi, fc_link_arcnet, fc_link_arcnet_linux, fc_link_ieee1394,
    fc_link_ip_over_fc, fc_link_ipoib, fc_link_brcm, fc_link_brcm_prepend, fc_link_dsa, fc_link_edsa;
/* link_wan.c */
fc_step_fn fc_link_slip, fc_link_ppp_pppd, fc_link_hdlc, fc_link_hdlc_with_dir, fc_link_pppoe, fc_link_frelay,
    fc_link_frelay_with_dir, fc_link_llc, fc_link_atm_clip, fc_link_sunatm, fc_link_juniper, fc_link_erf;
/* wlan.c */
fc_step_fn fc_link_wlan, fc_link_wlan_capwap, fc_link_radiotap, fc_link_prism, fc_link_avs, fc_link_ppi, fc_link_pktap,
    fc_link_user2;

/*
 * link.c: SNAP header at `off`: organisation and protocol. bridge_pad: bytes between it and a bridged frame. Without a
 * known organisation the session stays what it was.
 */
enum fc_step fc_link_snap(struct fc_walk *w, uint32_t bridge_pad);

/* link_types.c: name of the sessions that go by this link type, or NULL; and the first number behind the table. */
const char *fc_link_type_proto(uint32_t link_type);
uint32_t fc_link_type_end(void);

/* Lists the link header, unless another one has led here. */
static inline void fc_push_link(struct fc_walk *w)
{
    if (w->off == 0)
        fc_push_layer(w, FC_LAYER_LINK);
}

/* Nothing behind `off` is understood: a session of the link type. */
static inline enum fc_step fc_link_opaque(struct fc_walk *w, uint32_t link_type)
{
    fc_link_session(w, FC_PROTO_LINK | link_type);
    if (w->off)
        fc_push_layer(w, FC_LAYER_PAYLOAD);
    return FC_STEP_DONE;
}

/* Link addresses, sender first. Those of a frame that IP carries are not the record's. */
static inline void fc_link_macs(struct fc_walk *w, const uint8_t *from, const uint8_t *to)
{
    if (w->ip)
        return;
    w->link_kind = FC_ADDR_MAC;
    w->link_addr[0] = from;
    w->link_addr[1] = to;
}

#endif
