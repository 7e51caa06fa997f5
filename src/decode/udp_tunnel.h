/* SPDX-License-Identifier: MIT */
/*
 * Tunnels over UDP. The port is a hint: a tunnel is believed only when its own header's fixed fields, lengths and
 * reserved bits are right.
 */
#ifndef FC_DECODE_UDP_TUNNEL_H
#define FC_DECODE_UDP_TUNNEL_H

#include "decode/walk.h"

enum {
    FC_PORT_L2TP = 1701,
    FC_PORT_GTPU = 2152,
    FC_PORT_TEREDO = 3544,
    FC_PORT_LISP = 4341,
    FC_PORT_GRE = 4754,
    FC_PORT_VXLAN = 4789,
    FC_PORT_VXLAN_GPE = 4790,
    FC_PORT_AYIYA = 5072,
    FC_PORT_CAPWAP = 5247,
    FC_PORT_GENEVE = 6081,
    FC_PORT_MPLS = 6635,
    FC_PORT_VXLAN_LINUX = 8472,
    FC_PORT_TZSP = 37008
};

/* Where a port stands in fc_udp_tunnel_ports: the multiplier gives each of them a place of its own. */
static inline unsigned fc_port_slot(uint16_t port)
{
    return (uint16_t)(port * 0x1ab9u) >> 12;
}

extern const uint16_t fc_udp_tunnel_ports[16];

/* True when one of the ports is that of a tunnel. For every UDP packet: a multiplication, a load, a comparison each. */
static inline bool fc_tunnel_ports(uint16_t sport, uint16_t dport)
{
    return (int)(fc_udp_tunnel_ports[fc_port_slot(sport)] == sport) |
           (int)(fc_udp_tunnel_ports[fc_port_slot(dport)] == dport);
}

/*
 * UDP payload at `off`, `wire` bytes long on the wire, with the ports noted. True when it is a tunnel's, with the next
 * step; false leaves `off` where it was.
 */
bool fc_udp_tunnel(struct fc_walk *w, uint32_t wire, enum fc_step *step);

#endif
