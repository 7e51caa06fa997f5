# SPDX-License-Identifier: MIT
"""Queries: sessions as rows, arrays, data frames and streams of Arrow."""
import collections
import itertools

from ._cells import Field, Layout, Row, base_of, give_attributes, names_of, numpy, read_all, rows_behind
from ._errors import check, encoded, new_error, text_of, usage
from ._flowcarve import ffi, lib
from ._handles import Filter

SessionFile = collections.namedtuple("SessionFile", "id path packets")
SessionFile.__doc__ = "A capture that holds packets of a session: its ID in the index, where it is, and how many."

ROOM, ROOM_FIRST, ROOM_ARRAY = 512, 16, 65536


def _read_columns():
    columns, needs = {}, {}
    for number in itertools.count():
        info = lib.fc_column_info(number)
        if info == ffi.NULL:
            return columns, needs
        name = ffi.string(info.name).decode()
        columns[name] = Field(number, name, info.cell, info.size, info.field)
        needs[name] = info.field
    return columns, needs


COLUMNS, _NEEDS = _read_columns()
KIND = COLUMNS["kind"]
_INDEX_FIELDS = {"client_mac": "mac", "server_mac": "mac", "client_ttl": "ttl", "server_ttl": "ttl", "client_dscp": "dscp",
                 "server_dscp": "dscp", "client_tcp_flags": "tcp-flags", "server_tcp_flags": "tcp-flags", "client_isn": "isn",
                 "server_isn": "isn", "client_payload": "payload", "server_payload": "payload", "community_id": "community-id"}


class Session(Row):
    """A session of an index.

    id; start_ns, end_ns (ns since 1970), duration_ns; proto ("tcp"); client_addr, server_addr (text; as bytes client_raw, server_raw; as
    ipaddress client_ip, server_ip); client_port, server_port; client_packets, server_packets; client_bytes, server_bytes (on the wire);
    packets_count, bytes_count (of both ends); state ("established"). None: it has none. What the index holds besides: vlan, mpls, tunnel, client_mac,
    server_mac, client_ttl, ... community_id.
    """

    __slots__ = ()
    _values = b""

    @property
    def packets_count(self):
        return self.client_packets + self.server_packets

    @property
    def bytes_count(self):
        return self.client_bytes + self.server_bytes

    @property
    def _index(self):
        return self._owner

    def __copy__(self):
        return self  # it does not change

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return "<flowcarve.Session %d %s %s:%s %s:%s>" % (self.id, self.proto, self.client_addr, self.client_port, self.server_addr,
                                                       self.server_port)

    @property
    def files(self):
        """The captures that hold its packets, as a list of SessionFile."""
        return session_files(self._index, self.id)

    def packets(self, want=None, *, partial=False, numbers=False):
        """Its packets in the order of time, as a Packets: see there."""
        from ._index import Packets
        from ._packets import DEFAULT
        return Packets(self._index, Filter(None, self.id), DEFAULT if want is None else want, partial, numbers)

    def follow(self, *, partial=False, gaps="raise"):
        """What its two ends have sent, as a Follow."""
        from ._follow import Follow
        return Follow(self._index, self, partial=partial, gaps=gaps)

    def carve(self, path, **options):
        """Writes its packets to a new capture, which appears at `path` when it is whole. Gives a Carved.

        format: "pcap", "pcapng", None: pcapng when the path ends so, else pcap where that can hold them. compression: "gzip",
        "zstd", "lz4", "xz", "none", None: what the suffix says. A device or pipe is written to; what is there keeps its rights. direction: "client" or "server" alone; first_packets, first_bytes: of each session so many at the most; comments;
        partial; replace: False keeps a file that is there; mode: of the file, 0o600; progress: called with a Progress.
        """
        from ._carve import carve
        return carve(self._index, Filter(None, self.id), path, **options)

    def scapy(self, **options):
        """Its packets as scapy's, one by one."""
        with self.packets(0, **options) as packets:
            for packet in packets:
                yield packet.scapy()

    def dpkt(self, **options):
        """Its packets as (ts_ns, dpkt's object), one by one."""
        with self.packets(0, **options) as packets:
            for packet in packets:
                yield packet.ts_ns, packet.dpkt()


def _missing(index, name):
    name = name[:-len("_raw")] if name.endswith("_raw") else name
    if name in COLUMNS:
        field = _INDEX_FIELDS.get(name, name)
        return "this index was made without '%s': index(..., fields=\"%s\") makes one that has it" % (field, field)
    return "sessions have no '%s'" % name


give_attributes(Session, COLUMNS, _missing)


class _Columns:
    """A query of the library's that is open; closed by its index at the latest."""

    def __init__(self, query):
        self.index = index = query._index
        self.filter = Filter(query.filter)
        self.sort = ffi.new("char[]", encoded(query.sort, "sort")) if query.sort else ffi.NULL
        out = ffi.new("struct fc_columns **")
        options = query._options(self.sort)
        with index._lock:
            index._call(lib.fc_columns_open, self.filter.pointer, options, out)
            self.pointer = out[0]
            self.fields = lib.fc_columns_fields(self.pointer)
            index._open.add(self)

    def next(self, cells, count, room, base):
        err = new_error()
        with self.index._lock:
            if self.pointer is None:
                raise usage("the index is closed")
            return check(lib.fcpy_columns_next(self.pointer, cells, count, room, base, err), err)

    def close(self):
        with self.index._lock:
            if self.pointer is not None:
                lib.fc_columns_close(self.pointer)
                self.pointer = None

    def __del__(self):
        if hasattr(self, "pointer"):
            self.index._retire(self.close)


class Query:
    """Sessions that match a filter. Each loop over it asks anew, and reads as it goes; leaving a loop early is fine."""

    def __init__(self, index, filter=None, sort=None, limit=0, community_id=False):
        self._index, self.filter, self.sort, self.limit, self._community_id = index, filter, sort, limit, community_id
        Filter(filter)  # what is wrong with it is told at once

    def _options(self, sort):
        return ffi.new("struct fc_query_options *", {"sort": sort, "limit": self.limit, "community_id": self._community_id})

    def __iter__(self):
        columns = _Columns(self)
        try:
            fields = [c for c in COLUMNS.values() if not _NEEDS[c.name] & ~columns.fields]
            room, batch, rows = ROOM_FIRST, None, Session
            while True:
                layout = Layout(fields, room)
                block, base = layout.new_block()
                n = columns.next(layout.cells, len(fields), room, base)
                if not n:
                    return
                room, rows = ROOM, rows_behind(batch, rows)
                batch = layout.batch(rows, block, n, self._index)
                yield from batch
        finally:
            columns.close()

    def __repr__(self):
        return "<flowcarve.Query %r of %r>" % (self.filter or "", self._index.path)

    def count(self):
        """How many sessions match, whatever the limit."""
        return self._index.count(self.filter)

    def _chosen(self, names, fields):
        """Columns by their names; None: all that the index has."""
        if names is None:
            return [c for c in COLUMNS.values() if not _NEEDS[c.name] & ~fields]
        for name in names_of(names):
            if name not in COLUMNS:
                raise usage("there is no column '%s'; columns are %s" % (name, " ".join(COLUMNS)))
            if _NEEDS[name] & ~fields:
                raise usage(_missing(None, name))
        return [COLUMNS[n] for n in names_of(names)]

    def batches(self, columns=None, batch=65536):
        """Structured arrays of numpy's, `batch` sessions each at the most: an iterator. See to_numpy()."""
        if not 1 <= batch <= 1 << 24:
            raise usage("batch is 1 to 16777216 sessions, not %r" % (batch,))
        reader = _Columns(self)
        try:
            fields = self._chosen(columns, reader.fields)
            dtype = numpy().dtype([(f.name, f.dtype) for f in fields])
            cells = Layout(fields, 1).as_rows(dtype)
            while True:
                array = numpy().empty(batch, dtype)
                n = reader.next(cells, len(fields), batch, base_of(array))
                if not n:
                    return
                yield array[:n]
        finally:
            reader.close()

    def to_numpy(self, columns=None):
        """All sessions as one structured array of shape (sessions,).

        columns: "id start_ns client_addr" or a list; None: all that the index has. Times are int64 ns, INT64_MIN (NaT) where there is none;
        duration_ns and other numbers int64, ports int32, -1: none; proto uint32 and state int8 as numbers (proto_name(), STATES);
        addresses 16 bytes, IPv4 as ::ffff:0:0/96 (addresses() makes texts), kind says which: 4, 6, 1: link address, 0: none.
        """
        reader = _Columns(self)
        try:
            fields = self._chosen(columns, reader.fields)
            dtype = numpy().dtype([(f.name, f.dtype) for f in fields])
            cells = Layout(fields, 1).as_rows(dtype)
            return read_all(dtype, lambda base, room: reader.next(cells, len(fields), room, base))
        finally:
            reader.close()

    def to_pandas(self, columns=None):
        """All sessions as a data frame of pandas: times as datetime64[ns, UTC], addresses, protocols and states as text."""
        from ._frames import sessions_frame
        return sessions_frame(self, columns)

    def arrow(self, columns=None):
        """What has __arrow_c_stream__(), of some columns alone."""
        return ArrowSessions(self, columns)

    def __arrow_c_stream__(self, requested_schema=None):
        """A capsule with an ArrowArrayStream of all columns. It has a handle of the index of its own."""
        return ArrowSessions(self, None).__arrow_c_stream__(requested_schema)

    def packets(self, want=None, **options):
        """The packets of all these sessions in the order of time, whatever sort and limit: a Packets."""
        from ._packets import DEFAULT
        return self._index.packets(self.filter, DEFAULT if want is None else want, **options)

    def streams(self, **options):
        """A Follow for each of these sessions, one after the other."""
        for session in self:
            with session.follow(**options) as stream:
                yield stream

    def carve(self, path, **options):
        """Writes the packets of all these sessions, whatever sort and limit, to a new capture: see Session.carve()."""
        return self._index.carve(path, self.filter, **options)


class ArrowSessions:
    """Sessions as a stream of Arrow: times are timestamp[ns, UTC], addresses, protocols and states utf8."""

    def __init__(self, query, columns):
        self._query, self._columns = query, columns

    def __arrow_c_stream__(self, requested_schema=None):
        from ._arrow import cells_and_names, make_capsule, room_for
        query = self._query
        filter, sort = Filter(query.filter), ffi.new("char[]", encoded(query.sort, "sort")) if query.sort else ffi.NULL
        probe = _Columns(query)
        try:
            fields = query._chosen(self._columns, probe.fields)
        finally:
            probe.close()
        out, err = ffi.new("struct fc_db **"), new_error()
        check(lib.fc_db_open(query._index._name, out, err), err)
        cells, names, kept = cells_and_names(fields, [f.name for f in fields], KIND)

        def fill(stream):
            rc = lib.fcpy_arrow_sessions(out[0], filter.pointer, query._options(sort), cells, names, len(fields),
                                         room_for(fields, ROOM_ARRAY), stream, err)
            if rc == 0:
                filter.hand_over()
            else:
                lib.fc_db_close(out[0])
            check(rc, err)
        capsule = make_capsule(fill)
        del kept
        return capsule


def session_files(index, id):
    out, listed, count = ffi.new("struct fc_session_files **"), ffi.new("struct fc_session_file **"), ffi.new("size_t *")
    with index._lock:
        err = new_error()
        check(lib.fc_session_files_open(index._handle(), out, err), err)
        try:
            check(lib.fc_session_files(out[0], id, listed, count, err), err)
            return [SessionFile(f.file, text_of(f.path), f.packets) for f in (listed[0][i] for i in range(count[0]))]
        finally:
            lib.fc_session_files_close(out[0])
