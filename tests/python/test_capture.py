# SPDX-License-Identifier: MIT
"""Captures: whatever they come from, the packets are those that a reader of our own finds."""
import bz2
import gzip
import io
import ipaddress
import lzma
import os
import struct
import subprocess
import threading

import flowcarve as fc
import pytest
import support as s

PACKETS = [(s.T0 + i * 1000, s.udp("10.0.0.%d" % (i % 250), 1000 + i, "2.3.4.5", 53, b"x" * (i % 90))) for i in range(1500)]
PCAP = s.pcap_bytes(PACKETS)


def records(capture):
    return [(p.ts_ns, p.offset, p.len, bytes(p.data), p.link_type) for p in capture]


def expected(data):
    return [(r.ts_ns, r.off, r.origlen, r.data, r.linktype) for r in s.parse_capture(data)]


class Stream:
    """A file object that is no file: gives a few bytes at a time."""

    def __init__(self, data):
        self.file = io.BytesIO(data)

    def read(self, n=-1):
        return self.file.read(min(n, 1000) if n > 0 else 1000)


def test_from_whatever_it_comes(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(PCAP)
    want = expected(PCAP)
    assert records(fc.Capture(path)) == records(fc.Capture(str(path))) == want
    assert records(fc.Capture(PCAP)) == records(fc.Capture(bytearray(PCAP))) == records(fc.Capture(memoryview(PCAP))) == want
    assert records(fc.Capture(io.BytesIO(PCAP))) == records(fc.Capture(Stream(PCAP))) == want
    with open(path, "rb") as f:
        assert records(fc.Capture(f)) == want
        assert f.tell() == 0
    with open(path, "rb", buffering=0) as f:
        assert records(fc.Capture(f)) == want
    with bz2.open(io.BytesIO(bz2.compress(PCAP))) as f:  # what the library cannot read by itself
        assert records(fc.Capture(f)) == want
    read, write = os.pipe()
    thread = threading.Thread(target=lambda: [os.write(write, PCAP[i:i + 4096]) for i in range(0, len(PCAP), 4096)] and os.close(write))
    thread.start()
    with os.fdopen(read, "rb") as f:
        assert records(fc.Capture(f)) == want
    thread.join()


def test_a_file_object_is_read_from_its_place(tmp_path):
    path = tmp_path / "behind.bin"
    path.write_bytes(b"head" + PCAP)
    with open(path, "rb") as f:
        f.read(4)
        assert records(fc.Capture(f)) == expected(PCAP)
    with open(path, "r", encoding="latin-1") as f, pytest.raises(TypeError):
        f.read(4)
        fc.Capture(f)


@pytest.mark.parametrize("kind", ["big", "ns", "modified", "gzip", "xz", "zstd", "pcapng"])
def test_formats(kind, tmp_path):
    data = {"big": lambda: s.pcap_bytes(PACKETS, e=">"), "ns": lambda: s.pcap_bytes(PACKETS, magic=0xa1b23c4d),
            "modified": lambda: s.pcap_bytes(PACKETS, magic=0xa1b2cd34), "pcapng": lambda: s.pcapng_bytes(PACKETS)}.get(
                kind, lambda: PCAP)()
    packed = {"gzip": gzip.compress, "xz": lzma.compress,
              "zstd": lambda d: subprocess.run([s.tool("zstd"), "-qc"], input=d, stdout=subprocess.PIPE, check=True).stdout}.get(
                  kind, lambda d: d)(data)
    capture = fc.Capture(packed)
    assert records(capture) == expected(data)
    assert (capture.format, capture.compression) == ({"ns": "pcap-ns", "modified": "pcap-modified", "pcapng": "pcapng"}.get(kind, "pcap"),
                                                     kind if kind in ("gzip", "xz", "zstd") else "none")
    assert capture.size == len(packed)
    assert [i.link_name for i in capture.interfaces] == ["ETHERNET"]


def test_attributes():
    syn = s.tcp("10.0.0.1", 4000, "10.0.0.2", 443, "S", 7, 0, b"hello")
    p = next(iter(fc.Capture(s.pcap_bytes([(s.T0 + 123000, syn, 900)]), want=fc.ALL)))
    assert (p.ts_ns, p.number, p.offset, p.caplen, p.len) == (s.T0 + 123000, 1, 24, len(syn), 900)
    assert (p.src, p.dst, p.sport, p.dport, p.proto, p.proto_number) == ("10.0.0.1", "10.0.0.2", 4000, 443, "tcp", 6)
    assert (p.src_raw, p.src_ip, p.kind) == (b"\x0a\0\0\1", ipaddress.ip_address("10.0.0.1"), 4)
    assert (p.tcp_flags, p.tcp_seq, p.ttl is not None, p.malformed, p.fragment) == (2, 7, True, False, 0)
    assert bytes(p.payload) == b"hello" and p.payload_len == 5 and bytes(p.data) == syn
    assert p.data.readonly and isinstance(p.data, memoryview)
    assert (p.vlan, p.mpls, p.tunnel, p.link_name) == (None, None, None, "ETHERNET")
    assert p.src_mac.count(":") == 5 and len(p.src_mac_raw) == 6


def test_what_was_not_asked_for_says_how_to_ask():
    p = next(iter(fc.Capture(PCAP, want=fc.KEY)))
    for name, want in (("ttl", "TTL"), ("tcp_flags", "TCP"), ("payload", "PAYLOAD"), ("src_mac", "MAC"), ("src_mac_raw", "MAC")):
        with pytest.raises(AttributeError, match=r"want=flowcarve\.%s\b" % want):
            getattr(p, name)
    with pytest.raises(AttributeError):
        p.session
    with pytest.raises(AttributeError):
        p.colour
    bare = next(iter(fc.Capture(PCAP, want=0)))
    with pytest.raises(AttributeError, match="want=flowcarve.KEY"):
        bare.src
    assert "ts_ns" in repr(bare)
    with pytest.raises(fc.UsageError):
        fc.Capture(PCAP, want=1 << 30)


def test_what_a_packet_does_not_have_is_none():
    arp = b"\xff" * 6 + b"\2" * 6 + b"\x08\x06" + bytes.fromhex("0001080006040001") + b"\2" * 6 + b"\x0a\0\0\1" + b"\0" * 6 + b"\x0a\0\0\2"
    p = next(iter(fc.Capture(s.pcap_bytes([(s.T0, arp)]), want=fc.ALL)))
    assert (p.proto, p.src, p.sport, p.tcp_flags, p.ttl, p.tcp_seq) == ("arp", "10.0.0.1", None, None, None, None)
    broken = next(iter(fc.Capture(s.pcap_bytes([(s.T0, b"abc")]), want=fc.ALL)))
    assert (broken.malformed, broken.src, broken.src_raw, broken.src_ip, bytes(broken.payload)) == (True, None, None, None, b"")


def test_leaving_a_loop_loses_nothing():
    capture = fc.Capture(PCAP)
    seen = []
    while True:
        for n, p in enumerate(capture):
            seen.append(p.number)
            if n == 99:
                break
        else:
            break
    assert seen == list(range(1, 1501))
    capture.rewind()
    assert len(list(capture)) == 1500 and list(capture) == []
    assert capture.balance[:3] == (len(PCAP), 1500, len(PCAP) - 24)


def test_packets_outlive_the_capture():
    with fc.Capture(PCAP) as capture:
        kept = list(capture)[::100]
    del capture
    assert [bytes(p.data) for p in kept] == [PACKETS[i][1] for i in range(0, 1500, 100)]


def test_a_closed_capture():
    capture = fc.Capture(PCAP)
    loop = iter(capture)
    next(loop)
    capture.close()
    capture.close()
    for call in (lambda: list(capture), capture.rewind, lambda: list(capture.fields("len"))):
        with pytest.raises(fc.UsageError, match="closed"):
            call()


def test_damage_is_passed_over_and_told():
    bad = bytearray(PCAP)
    at = expected(PCAP)[700][1]
    bad[at + 8:at + 12] = struct.pack("<I", 0x7fffffff)
    capture = fc.Capture(bytes(bad))
    got = records(capture)
    assert got[:700] == expected(PCAP)[:700] and len(got) == 1499
    (damage,) = capture.damage
    assert damage.offset == at and damage.cause and capture.balance.damages == 1
    assert capture.balance.record_bytes + capture.balance.lost_bytes + 24 == len(bad)
    strict, seen = fc.Capture(bytes(bad), strict=True, name="the bad one"), []
    with pytest.raises(fc.DamagedError) as error:
        for p in strict:
            seen.append(p.number)
    assert len(seen) == 700 and (error.value.file, error.value.offset) == ("the bad one", at)
    assert str(error.value).startswith("the bad one@%d: " % at)


def test_a_capture_that_is_cut_at_any_place():
    for size in [0] + list(range(4, 200)) + [len(PCAP) - 1]:
        capture = fc.Capture(PCAP[:size])
        got = records(capture)
        assert got == expected(PCAP)[:len(got)]
        assert sum(d.length for d in capture.damage) + capture.balance.record_bytes + 24 == max(size, 24) or size < 24


def test_what_is_no_capture(tmp_path):
    with pytest.raises(fc.FormatError):
        fc.Capture(b"no capture at all, but long enough to be looked at")
    with pytest.raises(fc.InputError, match="nowhere"):
        fc.Capture(tmp_path / "nowhere")
    with pytest.raises(fc.InputError):
        fc.Capture(tmp_path)
    with pytest.raises(fc.UsageError):
        fc.Capture("a\0b")
    with pytest.raises(TypeError):
        fc.Capture(17)


def test_a_record_larger_than_a_batch():
    large = [(s.T0, bytes([i]) * 200000) for i in range(5)] + PACKETS[:3] + [(s.T0, b"z" * 262144)]
    assert [bytes(p.data) for p in fc.Capture(s.pcap_bytes(large))] == [d for _, d in large]


def test_interfaces_in_the_middle_lose_nothing():
    capture = fc.Capture(s.pcapng_bytes(PACKETS))
    seen = []
    for p in capture:
        seen.append(bytes(p.data))
        assert len(capture.interfaces) == 1
    assert seen == [d for _, d in PACKETS]


def test_real_captures_are_read_as_by_our_own_reader():
    from conftest import ZEROS, manifest
    known = [(p, r) for p, r in manifest(status="ok") if os.path.basename(p) not in ZEROS]
    if not known:
        pytest.skip("no captures")
    compared = 0
    for path, row in known:
        try:
            want = expected(s.uncompressed(s.read_bytes(path)))
        except ValueError:
            continue
        got = [(p.ts_ns, p.offset, p.len, bytes(p.data)) for p in fc.Capture(path, want=0)]
        clamped = [(w[0] if w[0] is None else max(-2 ** 63 + 1, min(w[0], 2 ** 63 - 1)), *w[1:4]) for w in want]
        assert got == clamped, path
        compared += len(got)
    assert compared > 10000
