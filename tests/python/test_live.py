# SPDX-License-Identifier: MIT
"""Packets of the loopback interface as they come."""
import socket
import threading
import time

import flowcarve as fc
import pytest


def may_capture():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        return True
    except (OSError, AttributeError):
        return False


pytestmark = pytest.mark.skipif(not may_capture(), reason="this user may not capture")


@pytest.fixture
def ends():
    a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for end in (a, b):
        end.bind(("127.0.0.1", 0))
    a.connect(b.getsockname())
    b.connect(a.getsockname())
    yield a, b
    a.close()
    b.close()


def test_packets_and_payload_as_they_come(ends):
    a, b = ends
    port = a.getsockname()[1]
    with fc.capture("lo", "udp port %d" % port, timeout=20) as live:
        a.send(b"hello")
        start = time.monotonic()
        first = next(live)
        assert time.monotonic() - start < 5
        b.send(b"you too" * 1000)
        second = next(live)
        assert (first.src, first.sport, first.dport, bytes(first.payload)) == ("127.0.0.1", port, b.getsockname()[1], b"hello")
        assert abs(first.ts_ns - time.time_ns()) < 60 * 10 ** 9
        assert bytes(second.payload) == b"you too" * 1000
        assert (first.direction, second.direction, first.session, second.session) == ("client", "server", 1, 1)
        assert (live.counts.given, live.counts.dropped) == (2, 0)
    with pytest.raises(fc.UsageError):
        live.counts


def test_it_ends(ends):
    a, _ = ends
    words = "udp port %d" % a.getsockname()[1]
    live = fc.capture("lo", words, count=3)
    for i in range(9):
        a.send(b"%d" % i)
    assert [bytes(p.payload) for p in live] == [b"0", b"1", b"2"]
    start = time.monotonic()
    assert list(fc.capture("lo", words, timeout=0.3)) == []
    assert 0.2 < time.monotonic() - start < 5
    live = fc.capture("lo", words)
    threading.Timer(0.2, live.stop).start()
    assert list(live) == []
    live.close()


def test_what_cannot_be():
    with pytest.raises(fc.FilterError):
        fc.capture("lo", "colour red")
    with pytest.raises(fc.InputError, match="no-such-interface"):
        fc.capture("no-such-interface")
    with pytest.raises(fc.UsageError):
        fc.capture("lo", want=1 << 30)
