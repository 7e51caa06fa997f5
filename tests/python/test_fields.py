# SPDX-License-Identifier: MIT
"""Fields in batches, against the same packets one by one."""
import flowcarve as fc
import numpy as np
import pytest
import support as s
from test_capture import PACKETS, PCAP

NAMES = ("ts_ns number offset len caplen link_type section interface proto kind src dst sport dport fragment malformed tcp_flags tcp_seq tcp_ack"
         " ttl dscp payload_len payload_off src_mac dst_mac vlan mpls tunnel data:20 payload:9")


def one_by_one(p, name):
    """What a packet has, as the arrays have it."""
    if name in ("src", "dst"):
        raw = getattr(p, name + "_raw") or b""
        return (b"\0" * 10 + b"\xff\xff" + raw if len(raw) == 4 else raw).ljust(16, b"\0")
    if name.endswith("_mac"):
        return getattr(p, name + "_raw") or bytes(6)
    if name in ("data:20", "payload:9"):
        word, _, size = name.partition(":")
        return bytes(getattr(p, word))[:int(size)].ljust(int(size), b"\0")
    if name in ("vlan", "mpls", "tunnel"):
        return (getattr(p, name) or "").encode()
    value = getattr(p, "proto_number" if name == "proto" else name)
    return (-2 ** 63 if name == "ts_ns" else -1) if value is None else value


def check(capture, fields, batch, names=NAMES):
    arrays = list(fc.Capture(capture).fields(names, batch=batch))
    assert all(len(a) <= batch for a in arrays)
    rows = [row for a in arrays for row in a.tolist()]
    packets = list(fc.Capture(capture, want=fields))
    assert len(rows) == len(packets)
    for row, p in zip(rows, packets):
        for name, value in zip(names.split(), row):
            assert (bytes(value) if isinstance(value, (bytes, np.void)) else value) == one_by_one(p, name), (p, name)


@pytest.mark.parametrize("batch", [1, 7, 65536])
def test_the_same_as_one_by_one(batch):
    check(s.pcap_bytes(PACKETS[:300]), fc.ALL, batch)


def test_real_captures():
    from conftest import manifest
    known = [p for p, r in manifest(status="ok") if int(r["packets"]) < 300]
    if not known:
        pytest.skip("no captures")
    for path in known:
        check(path, fc.ALL, 64)


def test_shapes_and_types():
    fields = fc.Capture(PCAP).fields("ts_ns src sport tcp_flags data:64", batch=1000)
    assert fields.dtype == np.dtype([("ts_ns", "i8"), ("src", "V16"), ("sport", "i4"), ("tcp_flags", "i2"), ("data", "V64")])
    first = next(fields)
    assert first.shape == (1000,) and next(fields).shape == (500,) and list(fields) == []
    assert first["ts_ns"].view("M8[ns]")[0] == np.datetime64(s.T0, "ns")
    assert fc.addresses(first["src"]).tolist()[:3] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
    assert fc.Capture(PCAP).fields(["len"]).to_numpy()["len"].tolist() == [len(d) for _, d in PACKETS]
    assert fc.Capture(s.pcap_bytes([])).fields("len").to_numpy().shape == (0,)
    assert fc.addresses(fc.Capture(s.pcap_bytes([])).fields("src").to_numpy()["src"]).shape == (0,)


def test_only_what_is_asked_for_is_parsed():
    """What a header would give beside is not there, whatever `want` the capture has."""
    fields = fc.Capture(PCAP, want=fc.ALL).fields("len ttl")
    assert fields._want == fc.TTL


def test_of_large_fields():
    whole = fc.Capture(s.pcap_bytes(PACKETS[:150])).fields("data:262144").to_numpy()
    assert whole.shape == (150,) and bytes(whole["data"][7]).rstrip(b"\0") == PACKETS[7][1].rstrip(b"\0")


@pytest.mark.parametrize("names", ["", "colour", "data", "data:0", "len:4", "data:999999", "len len", "session", "data:x"])
def test_names_that_are_none(names):
    with pytest.raises(fc.UsageError):
        fc.Capture(PCAP).fields(names)


def test_a_batch_out_of_range():
    for batch in (0, -1, 1 << 30):
        with pytest.raises(fc.UsageError):
            fc.Capture(PCAP).fields("len", batch=batch)


def test_behind_a_loop_that_was_left():
    capture = fc.Capture(PCAP)
    for _ in capture:
        break
    with pytest.raises(fc.UsageError, match="rewind"):
        capture.fields("len")
    capture.rewind()
    assert len(capture.fields("len").to_numpy()) == 1500


def test_a_data_frame():
    pd = pytest.importorskip("pandas")
    frame = fc.Capture(PCAP).fields("ts_ns proto src dport tcp_flags").to_pandas()
    assert list(frame.columns) == ["ts_ns", "proto", "src", "dport", "tcp_flags"] and len(frame) == 1500
    assert frame.ts_ns[0] == pd.Timestamp(s.T0, unit="ns", tz="UTC") and frame.src[1] == "10.0.0.1" and frame.dport[0] == 53
    assert frame.proto.tolist()[:2] == ["udp", "udp"] and frame.tcp_flags.isna().all()
