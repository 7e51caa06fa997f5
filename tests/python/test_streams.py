# SPDX-License-Identifier: MIT
"""Payload of sessions: as the ends have sent it, with gaps told."""
import subprocess

import flowcarve as fc
import pytest
import support as s

C, V = ("10.9.9.1", 40000), ("10.9.9.2", 80)


def make(tmp_path, steps, name="x"):
    packets = [(s.T0 + i * 1000, s.tcp(*a, *b, flags, seq, ack, data)) for i, (a, b, flags, seq, ack, data) in enumerate(steps)]
    (tmp_path / (name + ".pcap")).write_bytes(s.pcap_bytes(packets))
    index = fc.open(tmp_path / (name + ".db"))
    index.index(tmp_path / (name + ".pcap"))
    return index


HELLO = [(C, V, "S", 99, 0, b""), (V, C, "SA", 199, 100, b""), (C, V, "A", 100, 200, b""), (C, V, "PA", 103, 200, b"def"),
         (C, V, "PA", 100, 200, b"abc"), (V, C, "PA", 200, 106, b"one"), (C, V, "PA", 100, 200, b"abc")]


def test_in_order(tmp_path):
    with make(tmp_path, HELLO) as index:
        (one,) = index.query()
        with one.follow() as stream:
            assert (stream.client.read(), stream.server.read()) == (b"abcdef", b"one")
            assert [(p.direction, p.data, p.gap) for p in stream] == [("client", b"abc", 0), ("client", b"def", 0), ("server", b"one", 0)]
            assert [p.ts_ns for p in stream] == [s.T0 + 4000, s.T0 + 3000, s.T0 + 5000]
            assert list(stream) == list(stream)
        follow = one.follow()
        assert (follow.client.read(2), follow.client.read(2), follow.client.read(), follow.client.read()) == (b"ab", b"cd", b"ef", b"")


def test_gaps(tmp_path):
    steps = HELLO[:3] + [(C, V, "PA", 100, 200, b"abc"), (C, V, "PA", 113, 200, b"xyz"), (V, C, "A", 200, 116, b"")]
    with make(tmp_path, steps) as index:
        (one,) = index.query()
        assert [(p.direction, p.data, p.gap) for p in one.follow()] == [("client", b"abc", 0), ("client", b"", 10), ("client", b"xyz", 0)]
        assert one.follow(gaps="skip").client.read() == b"abcxyz"
        assert one.follow(gaps="zero").client.read() == b"abc" + bytes(10) + b"xyz"
        stream = one.follow()
        assert stream.client.read1(3) == b"abc"
        with pytest.raises(fc.GapError) as e:
            stream.client.read()
        assert (e.value.direction, e.value.position, e.value.length) == ("client", 3, 10)
        with pytest.raises(fc.UsageError):
            one.follow(gaps="mend")


def test_lines(tmp_path):
    with make(tmp_path, HELLO[:3] + [(C, V, "PA", 100, 200, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")]) as index:
        assert list(next(iter(index.query())).follow().client) == [b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n"]


def test_all_streams_are_those_of_the_program(index, db):
    many = 0
    for stream in index.streams("tcp and bytes over 10k", gaps="skip"):
        one = stream.session
        for side, file in (("client", stream.client), ("server", stream.server)):
            want = s.flowcarve("follow", "-q", "-d", db, "--id", str(one.id), "--direction", side, "-f", "raw", ok=(0, 1)).out
            assert file.read() == want, one
        many += 1
        if many == 6:
            break
    assert many == 6


def test_udp_is_datagram_by_datagram(tmp_path):
    sent = [b"a", b"", b"bb"]
    (tmp_path / "u.pcap").write_bytes(s.pcap_bytes([(s.T0 + i, s.udp("1.1.1.1", 7, "2.2.2.2", 53, d)) for i, d in enumerate(sent)]))
    with fc.open(tmp_path / "u.db") as index:
        index.index(tmp_path / "u.pcap")
        assert [p.data for p in next(iter(index.query())).follow()] == sent


def test_of_many_bytes(tmp_path):
    """More than any buffer has."""
    data = bytes(range(256)) * 4000
    steps = HELLO[:3] + [(C, V, "A", 100 + i, 200, data[i:i + 1400]) for i in range(0, len(data), 1400)]
    with make(tmp_path, steps) as index:
        (one,) = index.query()
        assert one.follow().client.read() == data
        assert b"".join(iter(lambda f=one.follow().client: f.read(999), b"")) == data


def test_hexdump():
    data = bytes(range(40))
    want = subprocess.run(["hexdump", "-C"], input=data, capture_output=True).stdout.decode().splitlines() if s.shutil.which("hexdump") else None
    lines = fc.hexdump(data).splitlines()
    assert lines[0].startswith("00000000  00 01 02 03 04 05 06 07  08 09") and lines[0].endswith("|................|")
    assert want is None or [" ".join(x.split()) for x in lines] == [" ".join(x.split()) for x in want[:-1]]
    with pytest.raises(TypeError):
        fc.hexdump(5)
    assert fc.hexdump(b"") == "" and fc.hexdump(memoryview(b"GET")) .endswith("|GET|")
