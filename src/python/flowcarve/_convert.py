# SPDX-License-Identifier: MIT
"""Packets as those of scapy and dpkt, which are imported when they are asked for."""
ETHERNET, RAW, IPV4, IPV6 = 1, (12, 14, 101), 228, 229


def to_scapy(packet):
    from scapy.all import conf
    from scapy.utils import EDecimal
    layer, data = conf.l2types.get(packet.link_type, conf.raw_layer), bytes(packet.data)
    try:
        made = layer(data)
    except Exception:
        if conf.debug_dissector:
            raise
        made = conf.raw_layer(data)
    if packet.ts_ns is not None:
        made.time = EDecimal(packet.ts_ns) / EDecimal(10 ** 9)
    made.wirelen = packet.len
    return made


def _dpkt_class(link_type, data):
    import dpkt
    if link_type in RAW:
        link_type = IPV6 if data and data[0] >> 4 == 6 else IPV4
    return {ETHERNET: dpkt.ethernet.Ethernet, 0: dpkt.loopback.Loopback, 108: dpkt.loopback.Loopback, 9: dpkt.ppp.PPP,
            105: dpkt.ieee80211.IEEE80211, 113: dpkt.sll.SLL, 127: dpkt.radiotap.Radiotap, 276: dpkt.sll2.SLL2,
            IPV4: dpkt.ip.IP, IPV6: dpkt.ip6.IP6}.get(link_type)


def to_dpkt(packet):
    import dpkt
    data = bytes(packet.data)
    kind = _dpkt_class(packet.link_type, data)
    if kind is None:
        return data
    try:
        return kind(data)
    except (dpkt.UnpackError, IndexError):  # cut or broken: what dpkt's own reader leaves to its user
        return data
