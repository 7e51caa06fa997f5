/* SPDX-License-Identifier: MIT */
/* Names of protocols; those of link types are in link_types.c. */
#include <flowcarve/decode.h>
#include <stddef.h>
#include <string.h>

#include "base/export.h"
#include "decode/link.h"

enum { ETHER = FC_PROTO_ETHERTYPE, LLC = FC_PROTO_LLC, PPP = FC_PROTO_PPP };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct proto_name {
    uint32_t proto;
    const char *name;
};

/* A name stands here once: what several classes have is told apart by where it runs ("ipx", "ipx-llc", "ppp-ipx"). */
/* clang-format off */
static const struct proto_name protos[] = {
    /* IP protocols (IANA) */
    {0, "hopopt"}, {1, "icmp"}, {2, "igmp"}, {3, "ggp"}, {4, "ipip"}, {5, "st"}, {6, "tcp"}, {7, "cbt"}, {8, "egp"},
    {9, "igp"}, {12, "pup"}, {16, "chaos"}, {17, "udp"}, {20, "hmp"}, {22, "xns-idp"}, {27, "rdp"},
    {28, "irtp"}, {29, "iso-tp4"}, {33, "dccp"}, {36, "xtp"}, {41, "ipv6"}, {42, "sdrp"}, {43, "ipv6-route"},
    {44, "ipv6-frag"}, {45, "idrp"}, {46, "rsvp"}, {47, "gre"}, {48, "dsr"}, {50, "esp"}, {51, "ah"},
    {53, "swipe"}, {54, "narp"}, {55, "mobile"}, {57, "skip"}, {58, "icmp6"}, {59, "ipv6-nonxt"},
    {60, "ipv6-opts"}, {80, "iso-ip"}, {81, "vmtp"}, {88, "eigrp"}, {89, "ospf"}, {92, "mtp"}, {93, "ax25"},
    {94, "os-ipip"}, {97, "etherip"}, {98, "encap"}, {103, "pim"}, {105, "scps"}, {108, "ipcomp"},
    {112, "vrrp"}, {113, "pgm"}, {115, "l2tp"}, {118, "stp-ip"}, {121, "smp"}, {124, "isis-ip"}, {127, "crudp"},
    {131, "pipe"}, {132, "sctp"}, {133, "fc"}, {134, "rsvp-e2e-ignore"}, {135, "mobility"}, {136, "udplite"},
    {137, "mpls-in-ip"}, {138, "manet"}, {139, "hip"}, {140, "shim6"}, {141, "wesp"}, {142, "rohc"},
    {143, "eth-in-ip"}, {144, "aggfrag"}, {145, "nsh-in-ip"}, {255, "ip-reserved"},
    /* EtherTypes (IEEE) */
    {ETHER | 0x0200, "pup-ether"}, {ETHER | 0x0800, "ipv4"}, {ETHER | 0x0805, "x25"}, {ETHER | 0x0806, "arp"},
    {ETHER | 0x0842, "wol"}, {ETHER | 0x2000, "cdp-hdlc"}, {ETHER | 0x22e7, "cn-tag"}, {ETHER | 0x22ea, "srp"},
    {ETHER | 0x22f0, "avtp"}, {ETHER | 0x22f3, "trill"}, {ETHER | 0x6001, "dec-mop-dl"},
    {ETHER | 0x6002, "dec-mop-rc"}, {ETHER | 0x6003, "decnet"}, {ETHER | 0x6004, "dec-lat"},
    {ETHER | 0x6558, "teb"}, {ETHER | 0x8035, "rarp"}, {ETHER | 0x809b, "atalk"}, {ETHER | 0x80f3, "aarp"},
    {ETHER | 0x8100, "vlan"}, {ETHER | 0x8102, "slpp"}, {ETHER | 0x8137, "ipx"}, {ETHER | 0x8204, "qnx"},
    {ETHER | 0x86dd, "ipv6-ether"}, {ETHER | 0x8808, "flowctl"}, {ETHER | 0x8809, "slow"},
    {ETHER | 0x880b, "ppp"}, {ETHER | 0x8847, "mpls"}, {ETHER | 0x8848, "mpls-mcast"},
    {ETHER | 0x8863, "pppoe-disc"}, {ETHER | 0x8864, "pppoe"}, {ETHER | 0x886d, "intel-ans"},
    {ETHER | 0x8870, "jumbo"}, {ETHER | 0x887b, "homeplug-mme"}, {ETHER | 0x888e, "eapol"},
    {ETHER | 0x8892, "profinet"}, {ETHER | 0x8899, "rrcp"}, {ETHER | 0x889a, "hyperscsi"},
    {ETHER | 0x88a2, "aoe"}, {ETHER | 0x88a4, "ethercat"}, {ETHER | 0x88a8, "qinq"},
    {ETHER | 0x88ab, "powerlink"}, {ETHER | 0x88b5, "local-exp1"}, {ETHER | 0x88b6, "local-exp2"},
    {ETHER | 0x88b7, "oui-ext"}, {ETHER | 0x88b8, "goose"}, {ETHER | 0x88b9, "gse-mgmt"},
    {ETHER | 0x88ba, "sv"}, {ETHER | 0x88bb, "lwapp"}, {ETHER | 0x88ca, "tipc"}, {ETHER | 0x88cc, "lldp"},
    {ETHER | 0x88cd, "sercos"}, {ETHER | 0x88d9, "lltd"}, {ETHER | 0x88dc, "wsmp"},
    {ETHER | 0x88e1, "homeplug"}, {ETHER | 0x88e3, "mrp"}, {ETHER | 0x88e5, "macsec"}, {ETHER | 0x88e7, "pbb"},
    {ETHER | 0x88f5, "mvrp"}, {ETHER | 0x88f6, "mmrp"}, {ETHER | 0x88f7, "ptp"}, {ETHER | 0x88f8, "ncsi"},
    {ETHER | 0x88fb, "prp"}, {ETHER | 0x8902, "cfm"}, {ETHER | 0x8906, "fcoe"}, {ETHER | 0x890d, "tdls"},
    {ETHER | 0x8914, "fip"}, {ETHER | 0x8915, "roce"}, {ETHER | 0x8917, "mih"}, {ETHER | 0x8926, "vntag"},
    {ETHER | 0x892f, "hsr"}, {ETHER | 0x893a, "ieee1905"}, {ETHER | 0x893f, "etag"}, {ETHER | 0x8940, "ecp"},
    {ETHER | 0x8942, "l2-is-is"}, {ETHER | 0x8946, "trill-rbridge"}, {ETHER | 0x894f, "nsh"},
    {ETHER | 0x9000, "loop"}, {ETHER | 0x9100, "vlan-9100"}, {ETHER | 0x9200, "vlan-9200"},
    {ETHER | 0x9300, "vlan-9300"}, {ETHER | 0x99fe, "realtek"},
    /* LLC: DSAP, SSAP */
    {LLC | 0x0000, "llc-null"}, {LLC | 0x0404, "sna"}, {LLC | 0x0606, "ip-llc"}, {LLC | 0x1818, "texas"},
    {LLC | 0x4242, "stp"}, {LLC | 0x7e7e, "x25-llc"}, {LLC | 0x8080, "xns"}, {LLC | 0xaaaa, "snap"},
    {LLC | 0xbcbc, "vines"}, {LLC | 0xe0e0, "ipx-llc"}, {LLC | 0xf0f0, "netbeui"}, {LLC | 0xf4f4, "lan-mgmt"},
    {LLC | 0xf8f8, "rpl"}, {LLC | 0xfefe, "isis"}, {LLC | 0xffff, "ipx-raw"},
    /* PPP protocols (IANA) */
    {PPP | 0x0021, "ppp-ipv4"}, {PPP | 0x0023, "ppp-osi"}, {PPP | 0x0025, "ppp-idp"}, {PPP | 0x0027, "ppp-decnet"},
    {PPP | 0x0029, "ppp-atalk"}, {PPP | 0x002b, "ppp-ipx"}, {PPP | 0x002d, "vjc-comp"},
    {PPP | 0x002f, "vjc-uncomp"}, {PPP | 0x0031, "ppp-bridge"}, {PPP | 0x003d, "mlppp"},
    {PPP | 0x0053, "ppp-encrypt"}, {PPP | 0x0057, "ppp-ipv6"}, {PPP | 0x00fb, "ppp-comp-link"},
    {PPP | 0x00fd, "ppp-comp"}, {PPP | 0x0201, "ppp-stp"}, {PPP | 0x0207, "ppp-cdp"},
    {PPP | 0x0281, "ppp-mpls"}, {PPP | 0x0283, "ppp-mpls-mcast"}, {PPP | 0x8021, "ipcp"},
    {PPP | 0x8023, "osicp"}, {PPP | 0x8025, "idpcp"}, {PPP | 0x8027, "dncp"}, {PPP | 0x8029, "atcp"},
    {PPP | 0x802b, "ipxcp"}, {PPP | 0x8031, "bcp"}, {PPP | 0x803f, "nbfcp"}, {PPP | 0x8053, "ecp-ppp"},
    {PPP | 0x8057, "ipv6cp"}, {PPP | 0x80fb, "ilccp"}, {PPP | 0x80fd, "ccp"}, {PPP | 0x8207, "cdpcp"},
    {PPP | 0x8281, "mplscp"}, {PPP | 0xc021, "lcp"}, {PPP | 0xc023, "pap"}, {PPP | 0xc025, "lqr"},
    {PPP | 0xc029, "cbcp"}, {PPP | 0xc02b, "bacp"}, {PPP | 0xc02d, "bap"}, {PPP | 0xc223, "chap"},
    {PPP | 0xc227, "eap-ppp"},
    /* none of these */
    {FC_PROTO_MALFORMED, "malformed"},
};
/* clang-format on */

FC_EXPORT const char *fc_proto_name(uint32_t proto)
{
    if (proto >> 16 == FC_PROTO_LINK >> 16)
        return fc_link_type_proto(proto & 0xffff);
    for (size_t i = 0; i < COUNT(protos); i++)
        if (protos[i].proto == proto)
            return protos[i].name;
    return NULL;
}

FC_EXPORT int64_t fc_proto_number(const char *name)
{
    for (size_t i = 0; i < COUNT(protos); i++)
        if (strcmp(protos[i].name, name) == 0)
            return protos[i].proto;
    for (uint32_t type = 0; type < fc_link_type_end(); type++) {
        const char *proto = fc_link_type_proto(type);
        if (proto && strcmp(proto, name) == 0)
            return FC_PROTO_LINK | type;
    }
    return -1;
}

FC_EXPORT int64_t fc_proto_at(unsigned i, const char **name)
{
    if (i < COUNT(protos)) {
        *name = protos[i].name;
        return protos[i].proto;
    }
    i -= COUNT(protos);
    for (uint32_t type = 0; type < fc_link_type_end(); type++) {
        const char *proto = fc_link_type_proto(type);
        if (proto && i-- == 0) {
            *name = proto;
            return FC_PROTO_LINK | type;
        }
    }
    return -1;
}

FC_EXPORT bool fc_proto_has_ports(uint32_t proto)
{
    switch (proto) {
    case 1:   /* ICMP */
    case 6:   /* TCP */
    case 17:  /* UDP */
    case 33:  /* DCCP */
    case 58:  /* ICMPv6 */
    case 132: /* SCTP */
    case 136: /* UDP-Lite */
        return true;
    default:
        return false;
    }
}
