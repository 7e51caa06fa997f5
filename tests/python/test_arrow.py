# SPDX-License-Identifier: MIT
"""Streams of Arrow as another implementation reads them: DuckDB's library, by its C interface."""
import contextlib
import ctypes
import glob
import os
import threading

import flowcarve as fc
import pytest
import support as s
from conftest import ROOT

_get = ctypes.pythonapi.PyCapsule_GetPointer
_get.restype, _get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


class Result(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in ("a", "b", "c", "d", "e", "f")]


class DuckDB:
    def __init__(self, path):
        self.lib = lib = ctypes.CDLL(path)
        for name in ("duckdb_value_varchar", "duckdb_result_error"):
            getattr(lib, name).restype = ctypes.c_void_p if name.endswith("varchar") else ctypes.c_char_p
        lib.duckdb_row_count.restype = lib.duckdb_column_count.restype = ctypes.c_uint64
        lib.duckdb_value_varchar.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64)
        self.db, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        assert lib.duckdb_open(None, ctypes.byref(self.db)) == 0
        assert lib.duckdb_connect(self.db, ctypes.byref(self.connection)) == 0

    def load(self, name, capsule):
        """A table of a stream. Of DuckDB's views of streams one is to be read once, and whole."""
        stream = ctypes.c_void_p(_get(capsule, b"arrow_array_stream"))
        assert self.lib.duckdb_arrow_scan(self.connection, b"stream_" + name.encode(), stream) == 0
        self.ask("CREATE TABLE %s AS SELECT * FROM stream_%s" % (name, name))

    def ask(self, sql):
        """Rows as text; None: NULL."""
        result = Result()
        state = self.lib.duckdb_query(self.connection, sql.encode(), ctypes.byref(result))
        try:
            if state:
                raise AssertionError(self.lib.duckdb_result_error(ctypes.byref(result)).decode())
            rows = []
            for r in range(self.lib.duckdb_row_count(ctypes.byref(result))):
                row = []
                for c in range(self.lib.duckdb_column_count(ctypes.byref(result))):
                    text = self.lib.duckdb_value_varchar(ctypes.addressof(result), c, r)
                    row.append(ctypes.string_at(text).decode() if text else None)
                    self.lib.duckdb_free(ctypes.c_void_p(text))
                rows.append(tuple(row))
            return rows
        finally:
            self.lib.duckdb_destroy_result(ctypes.byref(result))

    def close(self):
        self.lib.duckdb_disconnect(ctypes.byref(self.connection))
        self.lib.duckdb_close(ctypes.byref(self.db))


@pytest.fixture
def duck():
    found = glob.glob(os.path.join(ROOT, "build/duckdb/node_modules/@duckdb/*/libduckdb.so"))
    if not found:
        pytest.skip("no libduckdb.so in build/duckdb: ./dev test python puts it there")
    db = DuckDB(found[0])
    yield db
    db.close()


def text(value):
    return None if value is None else str(value)


def test_sessions(duck, index):
    names = ("id proto client_addr client_port server_addr server_port client_bytes state vlan tunnel client_mac client_ttl server_isn"
             " community_id duration_ns").split()
    duck.load("sessions", index.query().__arrow_c_stream__())
    got = duck.ask("SELECT %s FROM sessions ORDER BY id" % ", ".join(names))
    assert got == [tuple(text(getattr(x, n)) for n in names) for x in index.query()]


def test_times(duck, index):
    duck.load("sessions", index.query("tcp").arrow("id start_ns").__arrow_c_stream__())
    got = duck.ask("SELECT id, epoch_ns(start_ns) FROM sessions ORDER BY id")
    assert got == [(str(x.id), str(x.start_ns)) for x in index.query("tcp")]
    assert duck.ask("SELECT typeof(start_ns) FROM sessions LIMIT 1") in ([("TIMESTAMP WITH TIME ZONE",)], [("TIMESTAMP_NS",)], [])


def test_packets(duck, made):
    duck.load("packets", fc.Capture(made[0]).fields("ts_ns src dst sport dport proto tcp_flags len data:4 ttl src_mac", batch=999).__arrow_c_stream__())
    got = duck.ask("SELECT src, dst, sport, dport, proto, tcp_flags, len, ttl, src_mac, hex(data) FROM packets")
    want = [tuple(text(v) for v in (p.src, p.dst, p.sport, p.dport, p.proto, p.tcp_flags, p.len, p.ttl, p.src_mac,
                                    bytes(p.data)[:4].hex().upper())) for p in fc.Capture(made[0], want=fc.ALL)]
    assert sorted(got, key=str) == sorted(want, key=str)


def test_a_join_of_both(duck, index, made):
    duck.load("s", index.query("tcp").__arrow_c_stream__())
    duck.load("p", fc.Capture(made[0]).fields("src len").__arrow_c_stream__())
    ((n,),) = duck.ask("SELECT count(*) FROM p WHERE src IN (SELECT client_addr FROM s)")
    clients = {x.client_addr for x in index.query("tcp")}
    assert int(n) == sum(p.src in clients for p in fc.Capture(made[0]))


def test_errors_come_out_of_a_stream(duck, tmp_path):
    data = bytearray(s.pcap_bytes([(s.T0 + i, s.udp("1.1.1.1", 7, "2.2.2.2", 53)) for i in range(9)]))
    data[24 + 58 + 8:24 + 58 + 12] = b"\xff\xff\xff\x7f"
    with pytest.raises(AssertionError, match="the bad one@"):
        duck.load("bad", fc.Capture(bytes(data), strict=True, name="the bad one").fields("len", batch=1).__arrow_c_stream__())


def test_a_stream_outlives_what_it_is_of(duck, db, made):
    with fc.open(db) as index:
        sessions, many = index.query().__arrow_c_stream__(), index.count()
    packets = fc.Capture(made[0]).fields("len").__arrow_c_stream__()
    duck.load("s", sessions)
    duck.load("p", packets)
    assert duck.ask("SELECT count(*) FROM s") == [(str(many),)]
    assert duck.ask("SELECT count(*) FROM p") == [(str(sum(1 for _ in fc.Capture(made[0]))),)]


def test_streams_that_nobody_reads(index):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        index.query().__arrow_c_stream__()
        fc.Capture(s.pcap_bytes([])).fields("len src").__arrow_c_stream__()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    with contextlib.suppress(fc.UsageError):
        index.query().arrow("colour").__arrow_c_stream__()
    with pytest.raises(fc.FilterError):
        index.query("ttl 1 or not a filter")


def test_a_stream_beside_other_threads(duck, index):
    """A stream of sessions has a handle of its own, so that its reader need not wait for others."""
    stop, seen = threading.Event(), []

    def ask():
        while not stop.is_set():
            seen.append(index.count())
    thread = threading.Thread(target=ask)
    thread.start()
    duck.load("s", index.query().__arrow_c_stream__())
    got = duck.ask("SELECT count(*), count(DISTINCT id) FROM s")
    stop.set()
    thread.join()
    assert got == [(str(index.count()),) * 2] and set(seen) == {index.count()}
