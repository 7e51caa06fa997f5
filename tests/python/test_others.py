# SPDX-License-Identifier: MIT
"""What dpkt and scapy make of the same packets. Where they differ there is a reason in a table; any other difference fails."""
import collections
import io
import socket
import warnings

import flowcarve as fc
import pytest
import support as s
from conftest import ZEROS, manifest

WANT = fc.KEY | fc.TCP | fc.TTL | fc.DSCP | fc.OUTER

# Of frames in which dpkt finds no IP: what it makes of them, and why flowcarve may find more.
DPKT_STOPS = {
    "bytes": "an EtherType that dpkt does not know, or a header that is broken",
    "PPPoE": "dpkt does not look into PPPoE",
    "ARP": "ARP has protocol addresses, which dpkt keeps elsewhere",
    "LLC": "802.3 without IP",
    "Ethernet": "a frame inside of a tag that dpkt does not know",
    "raised": "dpkt raises: the frame is cut inside of its header",
}


def by_dpkt(frame):
    import dpkt
    try:
        ethernet = dpkt.ethernet.Ethernet(frame)
    except (dpkt.UnpackError, IndexError):
        return "raised", {}
    ip = ethernet.data
    if not isinstance(ip, (dpkt.ip.IP, dpkt.ip6.IP6)):
        return type(ip).__name__, {}
    got = {"src_raw": ip.src, "dst_raw": ip.dst, "ttl": getattr(ip, "hlim", None) if ip.v == 6 else ip.ttl,
           "dscp": (ip.fc if ip.v == 6 else ip.tos) >> 2}
    above = ip.data
    if isinstance(above, (dpkt.tcp.TCP, dpkt.udp.UDP, dpkt.sctp.SCTP)):
        got.update(sport=above.sport, dport=above.dport)
    if isinstance(above, dpkt.tcp.TCP):
        got.update(tcp_flags=above.flags, tcp_seq=above.seq, tcp_ack=above.ack)
    return "ip", got


def compare_with_dpkt(path):
    import dpkt
    with open(path, "rb") as f:
        try:
            theirs = list(dpkt.pcap.UniversalReader(f))
        except (ValueError, dpkt.UnpackError):
            return 0  # a variant that dpkt does not read
    ours = list(fc.Capture(path, want=WANT))
    if path.rpartition("/")[2] in ZEROS:
        return 0
    assert len(ours) == len(theirs), path
    compared = 0
    for (ts, frame), p in zip(theirs, ours):
        assert bytes(p.data) == frame, p
        # dpkt's times are floats; those of a pcapng are in microseconds to it, whatever the interface says
        assert p.ts_ns is None or min(abs(float(ts) - p.ts_ns / 1e9), abs(float(ts) - p.ts_ns / 1e6)) < 1e-6, p
        kind, fields = by_dpkt(frame)
        assert kind == "ip" or kind in DPKT_STOPS, (path, p.number, kind)
        for name, value in fields.items():
            assert getattr(p, name) == value, (path, p, name)
        compared += kind == "ip"
    return compared


def test_fields_are_those_of_dpkt(made):
    pytest.importorskip("dpkt")
    assert sum(map(compare_with_dpkt, made)) > 19000


def test_fields_are_those_of_dpkt_in_real_captures():
    pytest.importorskip("dpkt")
    known = manifest(status="ok", linktypes="1:ETHERNET")
    if not known:
        pytest.skip("no captures")
    assert sum(compare_with_dpkt(path) for path, _ in known) > 25000


@pytest.fixture(scope="module")
def scapy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        all = pytest.importorskip("scapy.all")
    import logging
    logging.getLogger("scapy").setLevel(logging.ERROR)
    return all


OPAQUE = {195: "IEEE 802.15.4 has no decoder here"}


def by_scapy(scapy, packet):
    """Of the outermost IP layer."""
    layer = packet
    while layer and not isinstance(layer, (scapy.IP, scapy.IPv6)):
        layer = layer.payload
    if not layer:
        return {}
    family = socket.AF_INET if isinstance(layer, scapy.IP) else socket.AF_INET6
    got = {name: socket.inet_pton(family, getattr(layer, of)) for name, of in (("src_raw", "src"), ("dst_raw", "dst"))}
    got["ttl"] = layer.ttl if family == socket.AF_INET else layer.hlim
    above = layer.payload
    if isinstance(above, (scapy.TCP, scapy.UDP)):
        got.update(sport=above.sport, dport=above.dport)
    if isinstance(above, scapy.TCP):
        got.update(tcp_flags=int(above.flags) & 255, tcp_seq=above.seq, tcp_ack=above.ack)
    return got


def compare_with_scapy(scapy, path, most):
    try:
        reader = scapy.PcapReader(path)
    except Exception:
        return 0  # a variant that scapy does not read
    compared = 0
    with reader, fc.Capture(path, want=WANT) as capture:
        for _, p in zip(range(most), capture):
            try:
                theirs = reader.read_packet()
            except Exception:
                break  # one of these, in the middle: what scapy makes of it is not the question
            assert bytes(p.data)[:20] == bytes(theirs.original)[:20]
            assert p.ts_ns is None or abs(int(theirs.time * 10 ** 9) - p.ts_ns) < 2, (path, p)
            ours = p.scapy()
            # the reader makes Raw of link types with the bits of a frame check sequence, and of what a layer raises at
            assert type(ours) is type(theirs) or type(theirs) is scapy.conf.raw_layer, (path, p)
            if p.malformed or p.link_type in OPAQUE:
                continue
            fields = by_scapy(scapy, theirs)
            for name, value in fields.items():
                if p.fragment == 1 and name.startswith("tcp") and p.tcp_flags is None:
                    continue  # a first fragment that ends inside the TCP header
                assert getattr(p, name) == value, (path, p, name)
            compared += bool(fields)
    return compared


def test_fields_are_those_of_scapy(scapy, made):
    assert compare_with_scapy(scapy, made[0], 300) > 280


def test_fields_are_those_of_scapy_in_real_captures(scapy):
    known = manifest(status="ok")
    if not known:
        pytest.skip("no captures")
    assert sum(compare_with_scapy(scapy, path, 12) for path, _ in known) > 600


def test_packets_as_those_of_others(scapy):
    dpkt = pytest.importorskip("dpkt")
    frame = s.tcp("10.0.0.1", 4000, "10.0.0.2", 443, "S", 7, 0, b"hello")
    p = next(iter(fc.Capture(s.pcap_bytes([(s.T0 + 1, frame)], magic=0xa1b23c4d))))
    assert isinstance(p.dpkt(), dpkt.ethernet.Ethernet) and p.dpkt().data.data.dport == 443
    assert p.scapy()[scapy.TCP].sport == 4000 and int(p.scapy().time * 10 ** 9) == s.T0 + 1 and bytes(p.scapy()) == frame
    raw = next(iter(fc.Capture(s.pcap_bytes([(s.T0, frame[14:])], linktype=101))))
    assert isinstance(raw.dpkt(), dpkt.ip.IP) and isinstance(raw.scapy(), scapy.IP)
    odd = next(iter(fc.Capture(s.pcap_bytes([(s.T0, b"abc")], linktype=189))))
    assert odd.dpkt() == b"abc" and bytes(odd.scapy()) == b"abc"
    cut = next(iter(fc.Capture(s.pcap_bytes([(s.T0, b"abc")]))))
    assert cut.dpkt() == b"abc"
