/* SPDX-License-Identifier: MIT */
/* Names of link types and protocols. */
#include <flowcarve/decode.h>
#include <stddef.h>
#include <string.h>

#include "base/export.h"

enum { ETHER = FC_PROTO_ETHERTYPE, LLC = FC_PROTO_LLC, PPP = FC_PROTO_PPP };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* tcpdump.org's list. 12 and 14 are no LINKTYPE_ of it: DLT_RAW of some systems, written into files all the same. */
/* clang-format off */
static const char *const link_names[] = {
    [0] = "NULL", [1] = "ETHERNET", [2] = "EXP_ETHERNET", [3] = "AX25", [4] = "PRONET", [5] = "CHAOS",
    [6] = "IEEE802_5", [7] = "ARCNET_BSD", [8] = "SLIP", [9] = "PPP", [10] = "FDDI", [12] = "RAW", [14] = "RAW",
    [50] = "PPP_HDLC", [51] = "PPP_ETHER", [99] = "SYMANTEC_FIREWALL", [100] = "ATM_RFC1483", [101] = "RAW",
    [102] = "SLIP_BSDOS", [103] = "PPP_BSDOS", [104] = "C_HDLC", [105] = "IEEE802_11", [106] = "ATM_CLIP",
    [107] = "FRELAY", [108] = "LOOP", [109] = "ENC", [112] = "HDLC", [113] = "LINUX_SLL", [114] = "LTALK",
    [115] = "ECONET", [116] = "IPFILTER", [117] = "PFLOG", [118] = "CISCO_IOS", [119] = "IEEE802_11_PRISM",
    [120] = "IEEE802_11_AIRONET", [121] = "HHDLC", [122] = "IP_OVER_FC", [123] = "SUNATM", [124] = "RIO",
    [125] = "PCI_EXP", [126] = "AURORA", [127] = "IEEE802_11_RADIOTAP", [128] = "TZSP", [129] = "ARCNET_LINUX",
    [130] = "JUNIPER_MLPPP", [131] = "JUNIPER_MLFR", [132] = "JUNIPER_ES", [133] = "JUNIPER_GGSN",
    [134] = "JUNIPER_MFR", [135] = "JUNIPER_ATM2", [136] = "JUNIPER_SERVICES", [137] = "JUNIPER_ATM1",
    [138] = "APPLE_IP_OVER_IEEE1394", [139] = "MTP2_WITH_PHDR", [140] = "MTP2", [141] = "MTP3", [142] = "SCCP",
    [143] = "DOCSIS", [144] = "LINUX_IRDA", [145] = "IBM_SP", [146] = "IBM_SN", [147] = "USER0",
    [148] = "USER1", [149] = "USER2", [150] = "USER3", [151] = "USER4", [152] = "USER5", [153] = "USER6",
    [154] = "USER7", [155] = "USER8", [156] = "USER9", [157] = "USER10", [158] = "USER11", [159] = "USER12",
    [160] = "USER13", [161] = "USER14", [162] = "USER15", [163] = "IEEE802_11_AVS", [164] = "JUNIPER_MONITOR",
    [165] = "BACNET_MS_TP", [166] = "PPP_PPPD", [167] = "JUNIPER_PPPOE", [168] = "JUNIPER_PPPOE_ATM",
    [169] = "GPRS_LLC", [170] = "GPF_T", [171] = "GPF_F", [172] = "GCOM_T1E1", [173] = "GCOM_SERIAL",
    [174] = "JUNIPER_PIC_PEER", [175] = "ERF_ETH", [176] = "ERF_POS", [177] = "LINUX_LAPD",
    [178] = "JUNIPER_ETHER", [179] = "JUNIPER_PPP", [180] = "JUNIPER_FRELAY", [181] = "JUNIPER_CHDLC",
    [182] = "MFR", [183] = "JUNIPER_VP", [184] = "A429", [185] = "A653_ICM", [186] = "USB_FREEBSD",
    [187] = "BLUETOOTH_HCI_H4", [188] = "IEEE802_16_MAC_CPS", [189] = "USB_LINUX", [190] = "CAN20B",
    [191] = "IEEE802_15_4_LINUX", [192] = "PPI", [193] = "IEEE802_16_MAC_CPS_RADIO", [194] = "JUNIPER_ISM",
    [195] = "IEEE802_15_4_WITHFCS", [196] = "SITA", [197] = "ERF", [198] = "RAIF1", [199] = "IPMB_KONTRON",
    [200] = "JUNIPER_ST", [201] = "BLUETOOTH_HCI_H4_WITH_PHDR", [202] = "AX25_KISS", [203] = "LAPD",
    [204] = "PPP_WITH_DIR", [205] = "C_HDLC_WITH_DIR", [206] = "FRELAY_WITH_DIR", [207] = "LAPB_WITH_DIR",
    [209] = "IPMB_LINUX", [210] = "FLEXRAY", [211] = "MOST", [212] = "LIN", [213] = "X2E_SERIAL",
    [214] = "X2E_XORAYA", [215] = "IEEE802_15_4_NONASK_PHY", [216] = "LINUX_EVDEV", [217] = "GSMTAP_UM",
    [218] = "GSMTAP_ABIS", [219] = "MPLS", [220] = "USB_LINUX_MMAPPED", [221] = "DECT", [222] = "AOS",
    [223] = "WIHART", [224] = "FC_2", [225] = "FC_2_WITH_FRAME_DELIMS", [226] = "IPNET",
    [227] = "CAN_SOCKETCAN", [228] = "IPV4", [229] = "IPV6", [230] = "IEEE802_15_4_NOFCS", [231] = "DBUS",
    [232] = "JUNIPER_VS", [233] = "JUNIPER_SRX_E2E", [234] = "JUNIPER_FIBRECHANNEL", [235] = "DVB_CI",
    [236] = "MUX27010", [237] = "STANAG_5066_D_PDU", [238] = "JUNIPER_ATM_CEMIC", [239] = "NFLOG",
    [240] = "NETANALYZER", [241] = "NETANALYZER_TRANSPARENT", [242] = "IPOIB", [243] = "MPEG_2_TS",
    [244] = "NG40", [245] = "NFC_LLCP", [246] = "PFSYNC", [247] = "INFINIBAND", [248] = "SCTP",
    [249] = "USBPCAP", [250] = "RTAC_SERIAL", [251] = "BLUETOOTH_LE_LL", [252] = "WIRESHARK_UPPER_PDU",
    [253] = "NETLINK", [254] = "BLUETOOTH_LINUX_MONITOR", [255] = "BLUETOOTH_BREDR_BB",
    [256] = "BLUETOOTH_LE_LL_WITH_PHDR", [257] = "PROFIBUS_DL", [258] = "PKTAP", [259] = "EPON",
    [260] = "IPMI_HPM_2", [261] = "ZWAVE_R1_R2", [262] = "ZWAVE_R3", [263] = "WATTSTOPPER_DLM",
    [264] = "ISO_14443", [265] = "RDS", [266] = "USB_DARWIN", [267] = "OPENFLOW", [268] = "SDLC",
    [269] = "TI_LLN_SNIFFER", [270] = "LORATAP", [271] = "VSOCK", [272] = "NORDIC_BLE",
    [273] = "DOCSIS31_XRA31", [274] = "ETHERNET_MPACKET", [275] = "DISPLAYPORT_AUX", [276] = "LINUX_SLL2",
    [277] = "SERCOS_MONITOR", [278] = "OPENVIZSLA", [279] = "EBHSCR", [280] = "VPP_DISPATCH",
    [281] = "DSA_TAG_BRCM", [282] = "DSA_TAG_BRCM_PREPEND", [283] = "IEEE802_15_4_TAP", [284] = "DSA_TAG_DSA",
    [285] = "DSA_TAG_EDSA", [286] = "ELEE", [287] = "Z_WAVE_SERIAL", [288] = "USB_2_0", [289] = "ATSC_ALP",
    [290] = "ETW", [291] = "NETANALYZER_NG", [292] = "ZBOSS_NCP", [293] = "USB_2_0_LOW_SPEED",
    [294] = "USB_2_0_FULL_SPEED", [295] = "USB_2_0_HIGH_SPEED", [296] = "AUERSWALD_LOG", [297] = "ZWAVE_TAP",
    [298] = "SILABS_DEBUG_CHANNEL", [299] = "FIRA_UCI",
};
/* clang-format on */

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

FC_EXPORT const char *fc_link_type_name(uint32_t link_type)
{
    return link_type < COUNT(link_names) ? link_names[link_type] : NULL;
}

FC_EXPORT const char *fc_proto_name(uint32_t proto)
{
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
    return -1;
}

FC_EXPORT int64_t fc_proto_at(unsigned i, const char **name)
{
    if (i >= COUNT(protos))
        return -1;
    *name = protos[i].name;
    return protos[i].proto;
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
