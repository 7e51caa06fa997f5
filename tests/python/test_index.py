# SPDX-License-Identifier: MIT
"""An index: what it answers is what the program does, or what Python's sqlite3 finds in it."""
import collections
import contextlib
import ipaddress
import json
import os
import sqlite3
import time

import flowcarve as fc
import pytest
import support as s


def rows_of_program(db, *words):
    return s.sessions(db, *words)


TEXTS = ("proto client_addr client_port server_addr server_port client_packets server_packets client_bytes server_bytes state start_ns end_ns vlan"
         " mpls tunnel client_mac server_mac client_ttl server_ttl client_dscp server_dscp client_tcp_flags server_tcp_flags client_isn server_isn"
         " client_payload server_payload community_id").split()


@pytest.mark.parametrize("words", ["", "tcp and port 443", "net 10.0.0.0/8 and not udp", "arp or icmp6", "vlan"])
def test_rows_are_those_of_the_program(index, db, words):
    want = rows_of_program(db, *words.split())
    got = list(index.query(words))
    assert [g.id for g in got] == [w["id"] for w in want]
    for g, w in zip(got, want):
        for name in TEXTS:
            assert getattr(g, name) == w.get(name), (g, name)
    assert index.count(words) == index.query(words).count() == len(want)


def test_order_and_limit(index, db):
    got = [x.id for x in index.query("tcp", sort="bytes:desc", limit=7)]
    assert got == [w["id"] for w in rows_of_program(db, "--sort", "bytes:desc", "--limit", "7", "tcp")]


def test_addresses_on_demand(index):
    one = next(iter(index.query("ip and tcp")))
    assert one.client_raw == ipaddress.ip_address(one.client_addr).packed and one.server_ip == ipaddress.ip_address(one.server_addr)
    assert one.proto_number == 6 and len(one.client_mac_raw) == 6
    assert one.packets_count == one.client_packets + one.server_packets and one.duration_ns == one.end_ns - one.start_ns


def test_what_the_index_does_not_hold_says_how_to_ask(made, tmp_path):
    with fc.open(tmp_path / "bare.db") as index:
        index.index(made[:1])
        one = next(iter(index.query()))
        with pytest.raises(AttributeError, match='fields="community-id"'):
            one.community_id
        with pytest.raises(AttributeError, match="colour"):
            one.colour
        with pytest.raises(fc.UsageError, match='fields="ttl"'):
            index.query().to_numpy("client_ttl")
        assert next(iter(index.query(community_id=True))).community_id.startswith("1:")
        with pytest.raises(fc.FilterError):
            list(index.query("ttl 7"))


def test_errors_of_filters_have_a_caret(index):
    with pytest.raises(fc.FilterError) as e:
        index.query("port https or colour red")
    assert str(e.value).splitlines()[1:] == ["port https or colour red", "              ^~~~~~"]
    assert (e.value.filter, e.value.offset, e.value.length) == ("port https or colour red", 14, 6)
    with pytest.raises(fc.FilterError) as e:
        index.count("file 'ä\x1b' or port äöü")
    assert e.value.filter[e.value.offset:e.value.offset + e.value.length] == "äöü" and "\x1b" not in str(e.value)
    with pytest.raises(fc.FilterError) as e:
        index.count("port \x1b[31mred \udcff")
    assert "\x1b" not in str(e.value)
    with pytest.raises(fc.UsageError):
        index.query("port 1\0or port 2")
    with pytest.raises(TypeError):
        index.query(443)
    with pytest.raises(fc.UsageError, match="KEY one of"):
        list(index.query(sort="colour"))


def test_errors_of_files(tmp_path, made):
    with fc.open(tmp_path / "none.db") as index, pytest.raises(fc.MissingError, match="none.db"):
        index.count()
    (tmp_path / "no.db").write_bytes(b"no database" * 1000)
    with fc.open(tmp_path / "no.db") as index, pytest.raises(fc.SchemaError):
        list(index.query())
    with fc.open(tmp_path / "x.db") as index:
        with pytest.raises(fc.FormatError) as e:
            index.index([tmp_path / "nowhere.pcap"])
        assert "nowhere.pcap" in e.value.__cause__.file
        with pytest.raises(fc.UsageError):
            index.index(made, fields="colour")
        assert not (tmp_path / "x.db").exists()


def test_the_balance_of_an_index(tmp_path):
    good = s.pcap_bytes([(s.T0 + i, s.udp("1.1.1.1", i + 1, "2.2.2.2", 53)) for i in range(100)])
    (tmp_path / "a.pcap").write_bytes(good + b"\xff" * 1000)
    with fc.open(tmp_path / "a.db") as index:
        r = index.index(tmp_path / "a.pcap")
        assert (r.files, r.records, r.packets, r.ignored, r.sessions, r.damages) == (1, 100, 100, 0, 100, 1)
        assert r.bytes == r.header_bytes + r.record_bytes + r.other_bytes + r.skipped_bytes + r.pending_bytes == len(good) + 1000
        assert [n.offset for n in r.notices] == [len(good)] and isinstance(r.notices[0], fc.Error)
        assert [(d.offset, d.length) for d in index.damage] == [(len(good), 1000)]
        (file,) = index.files
        assert (file.presence, file.records, file.lost_bytes) == ("present", 100, 1000)
        assert index.summary.sessions == 100 and index.summary.packets == 100
        assert index.index([tmp_path / "a.pcap"]).files_known == 1


def test_progress_is_told_and_may_end_it(tmp_path, made):
    told = []
    with fc.open(tmp_path / "a.db") as index:
        index.index(made, progress=told.append)
        assert told[-1].phase == "done" and told[-1].records == 20000 and told[-1].bytes_done == told[-1].bytes_total
        assert index.count() == 400

    def stop(now):
        raise KeyError("enough")
    with fc.open(tmp_path / "b.db") as index:
        with contextlib.suppress(KeyError):  # a run that is over before it is told of ends well
            index.index(made, progress=stop)
    told.clear()
    with fc.open(tmp_path / "a.db") as index:
        index.carve(tmp_path / "all.pcap", progress=told.append)
        assert told[-1].records == 20000


def test_a_callback_that_uses_its_index_is_refused(tmp_path, made):
    """It would wait for the call that waits for it."""
    with fc.open(tmp_path / "a.db") as index, fc.open(tmp_path / "b.db") as other:
        other.index(made)
        for use in (index.count, index.close, lambda: list(index.query())):
            with pytest.raises(fc.UsageError, match="callback"):
                index.index(made, progress=lambda now: (other.count(), use()))
        index.index(made)
        with pytest.raises(fc.UsageError, match="callback"):
            index.carve(tmp_path / "all.pcap", progress=lambda now: index.count())
        assert index.count() == 400


def test_sums(index, db):
    with contextlib.closing(sqlite3.connect(db)) as sql:
        want = sql.execute("SELECT proto, count(*), sum(client_packets + server_packets), sum(client_bytes + server_bytes) FROM session"
                           " GROUP BY 1 ORDER BY 4 DESC").fetchall()
        assert [(fc.proto_name(p), *rest) for p, *rest in want] == [(r.key, r.sessions, r.packets, r.bytes) for r in index.top("protocol")]
        (total,) = index.top()
        assert (total.sessions, total.peers) == (sql.execute("SELECT count(*) FROM session").fetchone()[0], None)
        state, sessions = sql.execute("SELECT state, count(*) FROM session GROUP BY 1 ORDER BY 2 DESC").fetchone()
        (first, *_) = index.top("state", sort="sessions")
        assert (first.key, first.sessions) == (fc.STATES[state], sessions)
    HOUR = 3600 * 10**9
    hours = collections.Counter()
    for s in index.query("tcp"):
        hours[(s.client_addr, s.server_addr), s.start_ns // HOUR * HOUR] += 1
    assert {r.key: r.sessions for r in index.top("pair", "tcp", by_time=True, bucket_ns=HOUR)} == hours
    assert index.top(by_time=True, bucket_ns=HOUR) == index.top("time", bucket_ns=HOUR) == index.top("time", by_time=True, bucket_ns=HOUR)
    top = index.top("client", "tcp", figures="peers,interval", limit=3)
    assert len(top) == 3 and all(t.peers >= 1 and ipaddress.ip_address(t.key) for t in top)
    assert [r.sessions for r in index.top("port", "tcp and server port 443")] == [index.count("tcp and server port 443")]
    bars = index.histogram("protocol", buckets=50)
    assert bars.buckets <= 50 and sum(sum(g.sessions) for g in bars.groups) + bars.timeless == index.count()
    assert sum(index.histogram().groups[0].bytes) == total.bytes
    for wrong in (lambda: index.top("colour"), lambda: index.top(figures="colour"), lambda: index.histogram("colour"),
                  lambda: index.histogram(buckets=1), lambda: index.top(sort="colour")):
        with pytest.raises(fc.UsageError):
            wrong()


def test_packets_of_a_session(index, made):
    every = {(path, p.offset): p for path in made for p in fc.Capture(path)}
    names = {f.id: f.path for f in index.files}
    for session in index.query(limit=30):
        packets = list(session.packets(fc.ALL, numbers=True))
        assert len(packets) == session.packets_count
        for p in packets:
            same = every[names[p.file_id], p.offset]
            assert (bytes(p.data), p.ts_ns, p.number, p.session) == (bytes(same.data), same.ts_ns, same.number, session.id)
            assert p.direction in ("client", "server") and (p.src == session.client_addr) == (p.direction == "client")
        assert [f.packets for f in session.files] and sum(f.packets for f in session.files) == session.packets_count
    assert sum(1 for _ in index.packets()) == len(every)
    with pytest.raises(AttributeError, match="want=flowcarve.TTL"):
        next(iter(session.packets(fc.KEY))).ttl


def test_packets_of_captures_that_are_gone(tmp_path):
    for name in "ab":
        (tmp_path / (name + ".pcap")).write_bytes(s.pcap_bytes([(s.T0 + i, s.udp("1.1.1.1", 7, "2.2.2.2", 53, name.encode())) for i in range(9)]))
    with fc.open(tmp_path / "x.db") as index:
        index.index([tmp_path / "a.pcap", tmp_path / "b.pcap"])
        os.unlink(tmp_path / "a.pcap")
        (session,) = index.query()
        with pytest.raises(fc.MissingError, match="a.pcap"):
            list(session.packets())
        packets = session.packets(partial=True)
        assert [bytes(p.payload) for p in packets] == [b"b"] * 9
        assert packets.packets_missing == 9 and "a.pcap" in str(packets.missing[0])
        with pytest.raises(fc.MissingError):
            session.carve(tmp_path / "one.pcap")
        assert not (tmp_path / "one.pcap").exists()
        carved = session.carve(tmp_path / "one.pcap", partial=True)
        assert (carved.packets, carved.packets_missing) == (9, 9) and "a.pcap" in carved.missing[0].file


def test_what_is_carved(index, tmp_path):
    session = max(index.query("tcp"), key=lambda x: x.packets_count)
    for name in ("one.pcap", "one.pcapng.gz", "one.pcap.zst"):
        done = session.carve(tmp_path / name, format="pcapng" if "ng" in name else None)
        assert done.packets == session.packets_count
        capture = fc.Capture(tmp_path / name)
        assert [(p.ts_ns, bytes(p.data)) for p in capture] == [(p.ts_ns, bytes(p.data)) for p in session.packets()]
        assert capture.format == ("pcapng" if "ng" in name else "pcap")
    assert session.carve(tmp_path / "client.pcap", direction="client").packets == session.client_packets
    assert session.carve(tmp_path / "few.pcap", first_packets=3).packets == 3
    with pytest.raises(fc.InputError):
        session.carve(tmp_path / "few.pcap", replace=False)
    assert index.query("port 1 and port 2").carve(tmp_path / "none.pcap").sessions == 0 and not (tmp_path / "none.pcap").exists()
    assert os.stat(tmp_path / "few.pcap").st_mode & 0o777 == 0o600
    os.chmod(tmp_path / "few.pcap", 0o640)
    os.symlink("few.pcap", tmp_path / "link.pcap")
    session.carve(tmp_path / "link.pcap")
    assert os.path.islink(tmp_path / "link.pcap") and os.stat(tmp_path / "few.pcap").st_mode & 0o777 == 0o640
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    session.carve(tmp_path / "pipe", first_packets=3)
    assert len(list(fc.Capture(os.read(reader, 100000)))) == 3 and os.path.exists(tmp_path / "pipe")
    os.close(reader)
    for bad in (tmp_path, "/dev/full"):
        with pytest.raises(fc.InputError):
            session.carve(bad)
    assert not os.path.isfile("/dev/full")
    with pytest.raises(fc.UsageError):
        session.carve(index.path)
    for wrong in ({"format": "zip"}, {"compression": "rar"}, {"direction": "up"}):
        with pytest.raises(fc.UsageError):
            session.carve(tmp_path / "x.pcap", **wrong)
    with pytest.raises(fc.InputError):
        session.carve(tmp_path / "nowhere" / "x.pcap")


def test_sessions_as_packets_of_others(index):
    pytest.importorskip("dpkt")
    session = next(iter(index.query("ip and tcp")))
    ours, theirs = list(session.packets()), list(session.dpkt())
    assert [p.ts_ns for p in ours] == [ts for ts, _ in theirs]
    assert all(bytes(p.data).startswith(bytes(t)) for p, (_, t) in zip(ours, theirs))  # which leaves padding out


def test_one_session(index):
    assert index.session(7).id == 7
    with pytest.raises(KeyError):
        index.session(10 ** 9)


def test_a_closed_index(db):
    index = fc.open(db)
    query, packets = iter(index.query()), iter(index.packets())
    one = next(query)
    next(packets)
    stream = one.follow()
    stream.client.read(1)
    index.close()
    index.close()
    for call in (index.count, lambda: list(index.query()), lambda: list(query), lambda: list(one.packets()), lambda: one.files,
                 lambda: index.index([]), lambda: list(stream), lambda: list(packets)):
        with pytest.raises(fc.UsageError, match="closed"):
            call()


def test_the_index_grows_while_it_is_read(tmp_path, made):
    with fc.open(tmp_path / "x.db") as index:
        index.index(made[0])
        before = index.count()
        rows = iter(index.query())
        next(rows)
        index.index(made)
        with pytest.raises(fc.UsageError):
            list(rows)  # its own run has closed it
        assert index.count() > before
    with fc.open(tmp_path / "x.db") as index:
        rows, other = iter(index.query()), fc.open(tmp_path / "x.db")
        next(rows)
        more = tmp_path / "more.pcap"
        more.write_bytes(s.pcap_bytes([(s.T0 + 10 ** 14, s.udp("9.9.9.9", 9, "8.8.8.8", 53))]))
        other.index([more])
        other.close()
        assert 1 + sum(1 for _ in rows) == index.count()


def test_json_of_the_program_and_rows_agree_on_none(index):
    arp = next(iter(index.query("arp")))
    assert (arp.client_port, arp.server_port, arp.tunnel) == (None, None, None)
    assert json.dumps(arp.client_addr)


def test_stopping_takes_no_time(db):
    """What Ctrl-C does: a call ends soon when its flag is set."""
    with fc.open(db) as index:
        index._handle()
        index._stop.set()
        start = time.monotonic()
        with pytest.raises(fc.Interrupted):
            index.top("client")
        assert time.monotonic() - start < 2
        assert index.count() == 400
