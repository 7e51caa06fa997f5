# SPDX-License-Identifier: MIT
"""Packets and sessions as objects: the same whether their values are made when asked for or were put into slots, and nothing is left."""
import copy
import gc
import itertools
import sys
import weakref

import flowcarve as fc
import pytest

PLAIN = [n for n, d in vars(fc.Packet).items() if type(d).__name__ == "getset_descriptor"]


def values(row, names):
    return [bytes(v) if isinstance(v, memoryview) else v for v in (getattr(row, n) for n in names)]


@pytest.mark.parametrize("names", [["src"], ["dst", "src", "ts_ns"], ["payload", "data", "len", "proto", "sport"], None])
def test_what_most_packets_were_asked_for_is_the_same(made, names):
    has = next(iter(fc.Capture(made[0], want=fc.ALL)))
    names = names or [n for n in PLAIN if hasattr(has, n)]
    capture = fc.Capture(made[0], want=fc.ALL)
    asked = [(type(p), *values(p, names)) for p in capture]
    kept = list(fc.Capture(made[0], want=fc.ALL))
    assert all(type(p) is fc.Packet for p in kept)
    assert [a[1:] for a in asked] == [tuple(values(p, names)) for p in kept]
    behind = asked[-1][0]
    assert behind is not fc.Packet and issubclass(behind, fc.Packet) and set(behind.__slots__) == set(names)
    assert len({a[0] for a in asked}) == 2  # from the second batch on


def test_what_few_packets_were_asked_for_takes_no_slots(made):
    kinds = {type(p) for p in fc.Capture(made[0]) if p.number % 10 or p.src}
    assert {k.__slots__ for k in kinds} == {(), ("number",)}


def test_asking_for_what_is_not_there_ends_no_loop(made):
    assert sum(1 for p in fc.Capture(made[0], want=fc.KEY) if hasattr(p, "ttl") or p.src) == 10000


def test_sessions_have_slots_too(index):
    asked = [(s.id, s.client_addr, s.state, s.duration_ns, type(s)) for s in index.query()]
    kept = list(index.query())
    assert [a[:4] for a in asked] == [(s.id, s.client_addr, s.state, s.duration_ns) for s in kept]
    assert "client_addr" in asked[-1][4].__slots__ and isinstance(kept[-1], fc.Session)


def test_rows_are_made_by_what_gives_them():
    for kind in (fc.Packet, fc.Session):
        with pytest.raises(TypeError):
            kind()
    with pytest.raises(TypeError):
        fc.Packet.src.__get__(object())


def test_no_reference_stays(made, index):
    def use():
        for p in itertools.islice(fc.Capture(made[0], want=fc.ALL), 2000):
            values(p, [n for n in PLAIN if hasattr(p, n)])
        for s in index.query():
            s.client_addr, s.client_raw, s.state, s.vlan, s.client_mac
    use()
    use()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(3):
        use()
    gc.collect()
    assert sys.getallocatedblocks() - before < 1000  # one a packet would be 6,000


def test_a_ring_is_collected(db):
    """An index that has a session of its own, as a user may put one there."""
    index = fc.open(db)
    index.first = next(iter(index.query()))
    gone = weakref.ref(index)
    del index
    gc.collect()
    assert gone() is None


def test_a_copy_is_the_same(made):
    packets = list(itertools.islice(fc.Capture(made[0]), 3))
    assert copy.copy(packets[0]) is packets[0]
    assert copy.deepcopy(packets) == packets
