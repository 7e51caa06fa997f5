/* SPDX-License-Identifier: MIT */
/* The table of link types: what a number is called, and what reads it. docs/formats.md is checked against it. */
#include <stddef.h>

#include "base/export.h"
#include "decode/link.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct link_type {
    const char *name;  /* as tcpdump.org writes it, without LINKTYPE_ */
    const char *proto; /* of sessions that go by the link type */
    const char *about; /* what is read; NULL when records are opaque */
    fc_step_fn *first;
};

/*
 * tcpdump.org's list. 11, 12, 14 and 19 are no LINKTYPE_ of it: DLT_ of some systems, written into files all the same.
 */
/* clang-format off */
static const struct link_type link_types[] = {
    [0] = {"NULL", "link-null", "address family of 4 bytes, or EtherType, in either byte order; or PPP; IP", fc_link_loopback},
    [1] = {"ETHERNET", "link-ethernet", "Ethernet, VLAN tags, MPLS, PPPoE, ARP, LLC/SNAP; IP", fc_link_ethernet},
    [2] = {"EXP_ETHERNET", "link-exp-ethernet", NULL, NULL},
    [3] = {"AX25", "link-ax25", NULL, NULL},
    [4] = {"PRONET", "link-pronet", NULL, NULL},
    [5] = {"CHAOS", "link-chaos", NULL, NULL},
    [6] = {"IEEE802_5", "link-ieee802-5", "Token Ring with its routing field, LLC/SNAP", fc_link_token_ring},
    [7] = {"ARCNET_BSD", "link-arcnet-bsd", "ARCNET, RFC 1051 and RFC 1201; IP and ARP in first fragments",
        fc_link_arcnet},
    [8] = {"SLIP", "link-slip", "SLIP, 16 bytes of pseudo-header; IP", fc_link_slip},
    [9] = {"PPP", "link-ppp", "PPP with or without address, control and compressed protocol; or Cisco HDLC, by the address byte",
        fc_link_hdlc},
    [10] = {"FDDI", "link-fddi", "FDDI, LLC/SNAP", fc_link_fddi},
    [11] = {"ATM_RFC1483", NULL, "RFC 2684 (1483) LLC/SNAP and NLPID, routed and bridged Ethernet", fc_link_llc},
    [12] = {"RAW", NULL, "IPv4 or IPv6 by its first nibble", fc_link_raw},
    [14] = {"RAW", NULL, "IPv4 or IPv6 by its first nibble", fc_link_raw},
    [19] = {"ATM_CLIP", NULL, "Classical IP over ATM, with or without LLC/SNAP", fc_link_atm_clip},
    [50] = {"PPP_HDLC", "link-ppp-hdlc", "PPP in HDLC framing, or Cisco HDLC, by the address byte", fc_link_hdlc},
    [51] = {"PPP_ETHER", "link-ppp-ether", "PPPoE without Ethernet", fc_link_pppoe},
    [99] = {"SYMANTEC_FIREWALL", "link-symantec-firewall", NULL, NULL},
    [100] = {"ATM_RFC1483", "link-atm-rfc1483", "RFC 2684 (1483) LLC/SNAP and NLPID, routed and bridged Ethernet",
        fc_link_llc},
    [101] = {"RAW", "link-raw", "IPv4 or IPv6 by its first nibble", fc_link_raw},
    [102] = {"SLIP_BSDOS", "link-slip-bsdos", NULL, NULL},
    [103] = {"PPP_BSDOS", "link-ppp-bsdos", NULL, NULL},
    [104] = {"C_HDLC", "link-c-hdlc", "Cisco HDLC, or PPP in HDLC framing, by the address byte", fc_link_hdlc},
    [105] = {"IEEE802_11", "link-ieee802-11",
        "802.11: data frames with LLC/SNAP, also QoS, 4 addresses, mesh, A-MSDU (first part)", fc_link_wlan},
    [106] = {"ATM_CLIP", "link-atm-clip", "Classical IP over ATM, with or without LLC/SNAP", fc_link_atm_clip},
    [107] = {"FRELAY", "link-frelay", "Frame Relay: Q.922, NLPID, SNAP, Cisco's EtherType", fc_link_frelay},
    [108] = {"LOOP", "link-loop", "address family of 4 bytes, or EtherType, in either byte order; or PPP; IP", fc_link_loopback},
    [109] = {"ENC", "link-enc", "OpenBSD encapsulating interface; IP", fc_link_enc},
    [112] = {"HDLC", "link-hdlc", NULL, NULL},
    [113] = {"LINUX_SLL", "link-linux-sll", "Linux cooked, by ARPHRD type: EtherType, Ethernet, LLC, PPP, 802.11, Frame Relay",
        fc_link_sll},
    [114] = {"LTALK", "link-ltalk", NULL, NULL},
    [115] = {"ECONET", "link-econet", NULL, NULL},
    [116] = {"IPFILTER", "link-ipfilter", NULL, NULL},
    [117] = {"PFLOG", "link-pflog", "pf log; IP", fc_link_pflog},
    [118] = {"CISCO_IOS", "link-cisco-ios", NULL, NULL},
    [119] = {"IEEE802_11_PRISM", "link-ieee802-11-prism", "Prism or AVS header, then 802.11", fc_link_prism},
    [120] = {"IEEE802_11_AIRONET", "link-ieee802-11-aironet", NULL, NULL},
    [121] = {"HHDLC", "link-hhdlc", NULL, NULL},
    [122] = {"IP_OVER_FC", "link-ip-over-fc", "RFC 2625 network header, LLC/SNAP", fc_link_ip_over_fc},
    [123] = {"SUNATM", "link-sunatm", "SunATM: LLC/SNAP and LANE Ethernet", fc_link_sunatm},
    [124] = {"RIO", "link-rio", NULL, NULL},
    [125] = {"PCI_EXP", "link-pci-exp", NULL, NULL},
    [126] = {"AURORA", "link-aurora", NULL, NULL},
    [127] = {"IEEE802_11_RADIOTAP", "link-ieee802-11-radiotap", "radiotap, then 802.11", fc_link_radiotap},
    [128] = {"TZSP", "link-tzsp", NULL, NULL},
    [129] = {"ARCNET_LINUX", "link-arcnet-linux", "ARCNET as Linux reassembles it; IP and ARP",
        fc_link_arcnet_linux},
    [130] = {"JUNIPER_MLPPP", "link-juniper-mlppp", NULL, NULL},
    [131] = {"JUNIPER_MLFR", "link-juniper-mlfr", NULL, NULL},
    [132] = {"JUNIPER_ES", "link-juniper-es", NULL, NULL},
    [133] = {"JUNIPER_GGSN", "link-juniper-ggsn", NULL, NULL},
    [134] = {"JUNIPER_MFR", "link-juniper-mfr", NULL, NULL},
    [135] = {"JUNIPER_ATM2", "link-juniper-atm2", NULL, NULL},
    [136] = {"JUNIPER_SERVICES", "link-juniper-services", NULL, NULL},
    [137] = {"JUNIPER_ATM1", "link-juniper-atm1", NULL, NULL},
    [138] = {"APPLE_IP_OVER_IEEE1394", "link-apple-ip-over-ieee1394", "IP over IEEE 1394: EtherType",
        fc_link_ieee1394},
    [139] = {"MTP2_WITH_PHDR", "link-mtp2-with-phdr", NULL, NULL},
    [140] = {"MTP2", "link-mtp2", NULL, NULL},
    [141] = {"MTP3", "link-mtp3", NULL, NULL},
    [142] = {"SCCP", "link-sccp", NULL, NULL},
    [143] = {"DOCSIS", "link-docsis", NULL, NULL},
    [144] = {"LINUX_IRDA", "link-linux-irda", NULL, NULL},
    [145] = {"IBM_SP", "link-ibm-sp", NULL, NULL},
    [146] = {"IBM_SN", "link-ibm-sn", NULL, NULL},
    [147] = {"USER0", "link-user0", NULL, NULL},
    [148] = {"USER1", "link-user1", NULL, NULL},
    [149] = {"USER2", "link-user2", "PKTAP header, where there is one, then the link type that it names; else opaque",
        fc_link_user2},
    [150] = {"USER3", "link-user3", NULL, NULL},
    [151] = {"USER4", "link-user4", NULL, NULL},
    [152] = {"USER5", "link-user5", NULL, NULL},
    [153] = {"USER6", "link-user6", NULL, NULL},
    [154] = {"USER7", "link-user7", NULL, NULL},
    [155] = {"USER8", "link-user8", NULL, NULL},
    [156] = {"USER9", "link-user9", NULL, NULL},
    [157] = {"USER10", "link-user10", NULL, NULL},
    [158] = {"USER11", "link-user11", NULL, NULL},
    [159] = {"USER12", "link-user12", NULL, NULL},
    [160] = {"USER13", "link-user13", NULL, NULL},
    [161] = {"USER14", "link-user14", NULL, NULL},
    [162] = {"USER15", "link-user15", NULL, NULL},
    [163] = {"IEEE802_11_AVS", "link-ieee802-11-avs", "AVS header, then 802.11", fc_link_avs},
    [164] = {"JUNIPER_MONITOR", "link-juniper-monitor", NULL, NULL},
    [165] = {"BACNET_MS_TP", "link-bacnet-ms-tp", NULL, NULL},
    [166] = {"PPP_PPPD", "link-ppp-pppd", "PPP behind direction and control byte", fc_link_ppp_pppd},
    [167] = {"JUNIPER_PPPOE", "link-juniper-pppoe", "Juniper header, then Ethernet with PPPoE; or IP", fc_link_juniper},
    [168] = {"JUNIPER_PPPOE_ATM", "link-juniper-pppoe-atm", NULL, NULL},
    [169] = {"GPRS_LLC", "link-gprs-llc", NULL, NULL},
    [170] = {"GPF_T", "link-gpf-t", NULL, NULL},
    [171] = {"GPF_F", "link-gpf-f", NULL, NULL},
    [172] = {"GCOM_T1E1", "link-gcom-t1e1", NULL, NULL},
    [173] = {"GCOM_SERIAL", "link-gcom-serial", NULL, NULL},
    [174] = {"JUNIPER_PIC_PEER", "link-juniper-pic-peer", NULL, NULL},
    [175] = {"ERF_ETH", "link-erf-eth", NULL, NULL},
    [176] = {"ERF_POS", "link-erf-pos", NULL, NULL},
    [177] = {"LINUX_LAPD", "link-linux-lapd", NULL, NULL},
    [178] = {"JUNIPER_ETHER", "link-juniper-ether", "Juniper header, then Ethernet; or IP", fc_link_juniper},
    [179] = {"JUNIPER_PPP", "link-juniper-ppp", "Juniper header, then PPP; or IP", fc_link_juniper},
    [180] = {"JUNIPER_FRELAY", "link-juniper-frelay", "Juniper header, then Frame Relay; or IP", fc_link_juniper},
    [181] = {"JUNIPER_CHDLC", "link-juniper-chdlc", "Juniper header, then Cisco HDLC; or IP", fc_link_juniper},
    [182] = {"MFR", "link-mfr", NULL, NULL},
    [183] = {"JUNIPER_VP", "link-juniper-vp", NULL, NULL},
    [184] = {"A429", "link-a429", NULL, NULL},
    [185] = {"A653_ICM", "link-a653-icm", NULL, NULL},
    [186] = {"USB_FREEBSD", "link-usb-freebsd", NULL, NULL},
    [187] = {"BLUETOOTH_HCI_H4", "link-bluetooth-hci-h4", NULL, NULL},
    [188] = {"IEEE802_16_MAC_CPS", "link-ieee802-16-mac-cps", NULL, NULL},
    [189] = {"USB_LINUX", "link-usb-linux", NULL, NULL},
    [190] = {"CAN20B", "link-can20b", NULL, NULL},
    [191] = {"IEEE802_15_4_LINUX", "link-ieee802-15-4-linux", NULL, NULL},
    [192] = {"PPI", "link-ppi", "PPI header, then the link type that it names", fc_link_ppi},
    [193] = {"IEEE802_16_MAC_CPS_RADIO", "link-ieee802-16-mac-cps-radio", NULL, NULL},
    [194] = {"JUNIPER_ISM", "link-juniper-ism", NULL, NULL},
    [195] = {"IEEE802_15_4_WITHFCS", "link-ieee802-15-4-withfcs", NULL, NULL},
    [196] = {"SITA", "link-sita", NULL, NULL},
    [197] = {"ERF", "link-erf", "Endace record header, then Ethernet, PPP or Cisco HDLC, IPv4 or IPv6", fc_link_erf},
    [198] = {"RAIF1", "link-raif1", NULL, NULL},
    [199] = {"IPMB_KONTRON", "link-ipmb-kontron", NULL, NULL},
    [200] = {"JUNIPER_ST", "link-juniper-st", NULL, NULL},
    [201] = {"BLUETOOTH_HCI_H4_WITH_PHDR", "link-bluetooth-hci-h4-with-phdr", NULL, NULL},
    [202] = {"AX25_KISS", "link-ax25-kiss", NULL, NULL},
    [203] = {"LAPD", "link-lapd", NULL, NULL},
    [204] = {"PPP_WITH_DIR", "link-ppp-with-dir", "direction byte, then PPP or Cisco HDLC", fc_link_hdlc_with_dir},
    [205] = {"C_HDLC_WITH_DIR", "link-c-hdlc-with-dir", "direction byte, then Cisco HDLC or PPP", fc_link_hdlc_with_dir},
    [206] = {"FRELAY_WITH_DIR", "link-frelay-with-dir", "direction byte, then Frame Relay",
        fc_link_frelay_with_dir},
    [207] = {"LAPB_WITH_DIR", "link-lapb-with-dir", NULL, NULL},
    [209] = {"IPMB_LINUX", "link-ipmb-linux", NULL, NULL},
    [210] = {"FLEXRAY", "link-flexray", NULL, NULL},
    [211] = {"MOST", "link-most", NULL, NULL},
    [212] = {"LIN", "link-lin", NULL, NULL},
    [213] = {"X2E_SERIAL", "link-x2e-serial", NULL, NULL},
    [214] = {"X2E_XORAYA", "link-x2e-xoraya", NULL, NULL},
    [215] = {"IEEE802_15_4_NONASK_PHY", "link-ieee802-15-4-nonask-phy", NULL, NULL},
    [216] = {"LINUX_EVDEV", "link-linux-evdev", NULL, NULL},
    [217] = {"GSMTAP_UM", "link-gsmtap-um", NULL, NULL},
    [218] = {"GSMTAP_ABIS", "link-gsmtap-abis", NULL, NULL},
    [219] = {"MPLS", "link-mpls", "MPLS label stack", fc_link_mpls},
    [220] = {"USB_LINUX_MMAPPED", "link-usb-linux-mmapped", NULL, NULL},
    [221] = {"DECT", "link-dect", NULL, NULL},
    [222] = {"AOS", "link-aos", NULL, NULL},
    [223] = {"WIHART", "link-wihart", NULL, NULL},
    [224] = {"FC_2", "link-fc-2", NULL, NULL},
    [225] = {"FC_2_WITH_FRAME_DELIMS", "link-fc-2-with-frame-delims", NULL, NULL},
    [226] = {"IPNET", "link-ipnet", "Solaris IP network header; IP", fc_link_ipnet},
    [227] = {"CAN_SOCKETCAN", "link-can-socketcan", NULL, NULL},
    [228] = {"IPV4", "link-ipv4", "IPv4 or IPv6 by its first nibble", fc_link_raw},
    [229] = {"IPV6", "link-ipv6", "IPv4 or IPv6 by its first nibble", fc_link_raw},
    [230] = {"IEEE802_15_4_NOFCS", "link-ieee802-15-4-nofcs", NULL, NULL},
    [231] = {"DBUS", "link-dbus", NULL, NULL},
    [232] = {"JUNIPER_VS", "link-juniper-vs", NULL, NULL},
    [233] = {"JUNIPER_SRX_E2E", "link-juniper-srx-e2e", NULL, NULL},
    [234] = {"JUNIPER_FIBRECHANNEL", "link-juniper-fibrechannel", NULL, NULL},
    [235] = {"DVB_CI", "link-dvb-ci", NULL, NULL},
    [236] = {"MUX27010", "link-mux27010", NULL, NULL},
    [237] = {"STANAG_5066_D_PDU", "link-stanag-5066-d-pdu", NULL, NULL},
    [238] = {"JUNIPER_ATM_CEMIC", "link-juniper-atm-cemic", NULL, NULL},
    [239] = {"NFLOG", "link-nflog", "Linux netfilter log: IP, or the EtherType that it names", fc_link_nflog},
    [240] = {"NETANALYZER", "link-netanalyzer", NULL, NULL},
    [241] = {"NETANALYZER_TRANSPARENT", "link-netanalyzer-transparent", NULL, NULL},
    [242] = {"IPOIB", "link-ipoib", "IP over InfiniBand: EtherType behind the global routing header",
        fc_link_ipoib},
    [243] = {"MPEG_2_TS", "link-mpeg-2-ts", NULL, NULL},
    [244] = {"NG40", "link-ng40", NULL, NULL},
    [245] = {"NFC_LLCP", "link-nfc-llcp", NULL, NULL},
    [246] = {"PFSYNC", "link-pfsync", NULL, NULL},
    [247] = {"INFINIBAND", "link-infiniband", NULL, NULL},
    [248] = {"SCTP", "link-sctp", NULL, NULL},
    [249] = {"USBPCAP", "link-usbpcap", NULL, NULL},
    [250] = {"RTAC_SERIAL", "link-rtac-serial", NULL, NULL},
    [251] = {"BLUETOOTH_LE_LL", "link-bluetooth-le-ll", NULL, NULL},
    [252] = {"WIRESHARK_UPPER_PDU", "link-wireshark-upper-pdu", NULL, NULL},
    [253] = {"NETLINK", "link-netlink", NULL, NULL},
    [254] = {"BLUETOOTH_LINUX_MONITOR", "link-bluetooth-linux-monitor", NULL, NULL},
    [255] = {"BLUETOOTH_BREDR_BB", "link-bluetooth-bredr-bb", NULL, NULL},
    [256] = {"BLUETOOTH_LE_LL_WITH_PHDR", "link-bluetooth-le-ll-with-phdr", NULL, NULL},
    [257] = {"PROFIBUS_DL", "link-profibus-dl", NULL, NULL},
    [258] = {"PKTAP", "link-pktap", "PKTAP header, then the link type that it names", fc_link_pktap},
    [259] = {"EPON", "link-epon", NULL, NULL},
    [260] = {"IPMI_HPM_2", "link-ipmi-hpm-2", NULL, NULL},
    [261] = {"ZWAVE_R1_R2", "link-zwave-r1-r2", NULL, NULL},
    [262] = {"ZWAVE_R3", "link-zwave-r3", NULL, NULL},
    [263] = {"WATTSTOPPER_DLM", "link-wattstopper-dlm", NULL, NULL},
    [264] = {"ISO_14443", "link-iso-14443", NULL, NULL},
    [265] = {"RDS", "link-rds", NULL, NULL},
    [266] = {"USB_DARWIN", "link-usb-darwin", NULL, NULL},
    [267] = {"OPENFLOW", "link-openflow", NULL, NULL},
    [268] = {"SDLC", "link-sdlc", NULL, NULL},
    [269] = {"TI_LLN_SNIFFER", "link-ti-lln-sniffer", NULL, NULL},
    [270] = {"LORATAP", "link-loratap", NULL, NULL},
    [271] = {"VSOCK", "link-vsock", NULL, NULL},
    [272] = {"NORDIC_BLE", "link-nordic-ble", NULL, NULL},
    [273] = {"DOCSIS31_XRA31", "link-docsis31-xra31", NULL, NULL},
    [274] = {"ETHERNET_MPACKET", "link-ethernet-mpacket", NULL, NULL},
    [275] = {"DISPLAYPORT_AUX", "link-displayport-aux", NULL, NULL},
    [276] = {"LINUX_SLL2", "link-linux-sll2", "Linux cooked v2, by ARPHRD type: EtherType, Ethernet, LLC, PPP, 802.11, Frame Relay",
        fc_link_sll2},
    [277] = {"SERCOS_MONITOR", "link-sercos-monitor", NULL, NULL},
    [278] = {"OPENVIZSLA", "link-openvizsla", NULL, NULL},
    [279] = {"EBHSCR", "link-ebhscr", NULL, NULL},
    [280] = {"VPP_DISPATCH", "link-vpp-dispatch", NULL, NULL},
    [281] = {"DSA_TAG_BRCM", "link-dsa-tag-brcm", "Ethernet with a Broadcom tag behind the addresses",
        fc_link_brcm},
    [282] = {"DSA_TAG_BRCM_PREPEND", "link-dsa-tag-brcm-prepend", "Broadcom tag, then Ethernet",
        fc_link_brcm_prepend},
    [283] = {"IEEE802_15_4_TAP", "link-ieee802-15-4-tap", NULL, NULL},
    [284] = {"DSA_TAG_DSA", "link-dsa-tag-dsa", "Ethernet with a Marvell DSA tag; its VLAN when the frame was tagged",
        fc_link_dsa},
    [285] = {"DSA_TAG_EDSA", "link-dsa-tag-edsa",
        "Ethernet with a Marvell EtherType DSA tag; its VLAN when the frame was tagged", fc_link_edsa},
    [286] = {"ELEE", "link-elee", NULL, NULL},
    [287] = {"Z_WAVE_SERIAL", "link-z-wave-serial", NULL, NULL},
    [288] = {"USB_2_0", "link-usb-2-0", NULL, NULL},
    [289] = {"ATSC_ALP", "link-atsc-alp", NULL, NULL},
    [290] = {"ETW", "link-etw", NULL, NULL},
    [291] = {"NETANALYZER_NG", "link-netanalyzer-ng", NULL, NULL},
    [292] = {"ZBOSS_NCP", "link-zboss-ncp", NULL, NULL},
    [293] = {"USB_2_0_LOW_SPEED", "link-usb-2-0-low-speed", NULL, NULL},
    [294] = {"USB_2_0_FULL_SPEED", "link-usb-2-0-full-speed", NULL, NULL},
    [295] = {"USB_2_0_HIGH_SPEED", "link-usb-2-0-high-speed", NULL, NULL},
    [296] = {"AUERSWALD_LOG", "link-auerswald-log", NULL, NULL},
    [297] = {"ZWAVE_TAP", "link-zwave-tap", NULL, NULL},
    [298] = {"SILABS_DEBUG_CHANNEL", "link-silabs-debug-channel", NULL, NULL},
    [299] = {"FIRA_UCI", "link-fira-uci", NULL, NULL},
};
/* clang-format on */

static const struct link_type *find(uint32_t link_type)
{
    return link_type < COUNT(link_types) ? &link_types[link_type] : NULL;
}

fc_step_fn *fc_link_step(uint32_t link_type)
{
    const struct link_type *t = find(link_type);
    return t ? t->first : NULL;
}

FC_EXPORT bool fc_link_type_known(uint32_t link_type)
{
    return fc_link_step(link_type) != NULL;
}

FC_EXPORT const char *fc_link_type_name(uint32_t link_type)
{
    const struct link_type *t = find(link_type);
    return t ? t->name : NULL;
}

FC_EXPORT const char *fc_link_type_about(uint32_t link_type)
{
    const struct link_type *t = find(link_type);
    return t ? t->about : NULL;
}

const char *fc_link_type_proto(uint32_t link_type)
{
    const struct link_type *t = find(link_type);
    return t ? t->proto : NULL;
}

uint32_t fc_link_type_end(void)
{
    return COUNT(link_types);
}
