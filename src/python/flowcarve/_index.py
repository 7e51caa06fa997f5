# SPDX-License-Identifier: MIT
"""An index: made, asked, and its sessions given as rows, arrays, packets, streams and captures."""
import collections
import os
import weakref

from ._carve import carve
from ._cells import STATES, proto_name
from ._errors import Error, check, encoded, error_of, new_error, text_of, usage
from ._flowcarve import ffi, lib
from ._handles import Filter, Lock, Stop, Teller, choose, run
from ._packets import DEFAULT, Source, check_want
from ._sessions import Query

IndexResult = collections.namedtuple("IndexResult", "files files_known files_grown files_moved files_gone files_refused files_copied"
                                     " records ignored malformed packets sessions continued provisional bytes header_bytes record_bytes"
                                     " other_bytes skipped_bytes pending_bytes damages damaged_files notices")
IndexResult.__doc__ = """What index() has done, and the balance of it.

records = packets + ignored; bytes = header_bytes + record_bytes + other_bytes + skipped_bytes + pending_bytes. skipped_bytes are
damage. notices: what is to be known of single captures, as a list of Error, the first 1,000.
"""
Summary = collections.namedtuple("Summary", "sessions files packets bytes size last_id start_ns end_ns fields profile")
Summary.__doc__ = "What an index has: bytes of packets on the wire, size of its file in bytes, times in ns or None."
IndexedFile = collections.namedtuple("IndexedFile", "id path presence format compression size stream_size records ignored forgotten"
                                     " first_ns last_ns damaged lost_bytes pending_bytes")
IndexedFile.__doc__ = """A capture of an index. presence: "present", "pending", "grown", "changed", "missing", "unreadable", "gone"..."""
IndexedDamage = collections.namedtuple("IndexedDamage", "file_id path offset length cause")
IndexedDamage.__doc__ = "Bytes [offset, offset + length) of a capture of which nothing could be made."
TopRow = collections.namedtuple("TopRow", "key sessions packets bytes sent_bytes received_bytes peers ports first_ns last_ns"
                                " interval_mean interval_deviation")
TopRow.__doc__ = """A group of sessions. key: an address, a pair of them, (port, protocol), a name, a path, a time in ns, or None;
by_time: (one of these, a time in ns or None).

bytes on the wire; peers, ports, interval_mean and interval_deviation (seconds) are None unless asked for by `figures`.
"""
Bars = collections.namedtuple("Bars", "start_ns bucket_ns buckets groups timeless exact")
Bars.__doc__ = """Sessions over time: `buckets` buckets of bucket_ns from start_ns on; groups: a list of Bar; timeless: sessions without
a time."""
Bar = collections.namedtuple("Bar", "key sessions packets bytes")
Bar.__doc__ = "A protocol or state, or None for all (\"others\": what is left): three lists, a number a bucket."

_BY = ("total", "client", "server", "host", "pair", "port", "protocol", "state", "file", "vlan", "tunnel", "time")
_FIGURES = {"peers": lib.FC_TOP_PEERS, "ports": lib.FC_TOP_PORTS, "interval": lib.FC_TOP_INTERVAL}
_FIELD_NAMES = ("mac", "vlan", "mpls", "ttl", "dscp", "tcp-flags", "isn", "payload", "community-id", "tunnel")  # by their bit


def open(path):
    """The index at `path`, which need not be there yet: Index.index() makes it."""
    return Index(path)


class Index:
    """An index. Threads may share one: calls wait for one another.

        with flowcarve.open("flowcarve.db") as index:
            index.index(["a.pcap", "b.pcap"])
            for session in index.query("port 443"): ...
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self._name = encoded(self.path, "the path")
        self._lock = Lock()
        self._db = None
        self._closed = False
        self._stop = Stop()  # of what is running
        self._open = weakref.WeakSet()  # queries, packets, streams that use the handle
        self._retired = []  # what closes those that nobody has any more

    # ---- the handle

    def _handle(self):
        """The handle of the library; the lock is held."""
        if self._closed:
            raise usage("the index is closed")
        self._close_retired()
        if self._db is None:
            out, err = ffi.new("struct fc_db **"), new_error()
            check(lib.fc_db_open(self._name, out, err), err)
            self._db = ffi.gc(out[0], lib.fc_db_close)
            lib.fc_db_set_stop(self._db, self._stop.pointer)
        return self._db

    def _call(self, function, *args):
        """function(db, *args, err) of the library; Ctrl-C ends it."""
        with self._lock:
            db, err = self._handle(), new_error()
            try:
                return check(run(lambda: function(db, *args, err), self._stop), err)
            finally:
                self._stop.pointer[0] = 0

    def _retire(self, close):
        """Closes what is collected: later, where another thread has the lock, as that one may wait for this one."""
        if self._lock.acquire(blocking=False):
            try:
                close()
            finally:
                self._lock.release()
        else:
            self._retired.append(close)

    def _close_retired(self):
        while self._retired:
            self._retired.pop()()

    def _let_go(self):
        self._close_retired()
        for user in list(self._open):
            user.close()
        if self._db is not None:
            ffi.release(self._db)
            self._db = None

    def close(self):
        """Closes the index, and all queries, packets and streams of it."""
        with self._lock:
            self._let_go()
            self._closed = True

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        if hasattr(self, "_retired"):
            self._let_go()

    def __repr__(self):
        return "<flowcarve.Index %r>" % self.path

    # ---- making it

    def index(self, paths, *, fields=None, progress=None, filter=None, exclude_net=None, profile=None, timeouts=None, key=None,
              jobs=0, memory=0, wait=False, keep_copies=False):
        """Indexes captures and folders, as `flowcarve index` does; the whole run or nothing. Gives an IndexResult.

        paths: a path or a list of them. fields: "mac,vlan,mpls,tunnel,ttl,dscp,tcp-flags,isn,payload,community-id" or "all".
        progress: called with a Progress some five times a second, from another thread, and must not use this index; an exception in it
        ends the run.
        filter: pcap-filter(7); exclude_net: "10.0.0.0/8,..."; profile, timeouts, key: as the program's options; jobs: threads, 0: one a
        processor; memory: bytes, 0: 512 MiB; wait: until no other process writes the index.
        """
        if isinstance(paths, (str, bytes, os.PathLike)):
            paths = [paths]
        names = [ffi.new("char[]", encoded(os.fspath(p), "a path")) for p in paths]
        if isinstance(fields, (list, tuple)):
            fields = ",".join(fields)
        stop = Stop()
        teller = Teller(progress, stop, self._lock)
        options = ffi.new("struct fc_index_options *", {"jobs": jobs, "memory_bytes": memory, "wait": wait, "keep_copies": keep_copies})
        kept = []
        for name, value in (("fields", fields), ("filter", filter), ("exclude_net", exclude_net), ("profile", profile),
                            ("timeouts", timeouts), ("key", key)):
            if value is not None:
                kept.append(ffi.new("char[]", encoded(value, name)))
                setattr(options, name, kept[-1])
        options.progress, options.progress_ctx = teller.function, teller.handle
        result, err = ffi.new("struct fc_index_result *"), new_error()
        with self._lock:
            if self._closed:
                raise usage("the index is closed")
            self._let_go()  # what reads the index would keep its -wal there
            try:
                rc = run(lambda: lib.fc_index_run(self._name, ffi.new("char *[]", names), len(names), options, ffi.NULL, stop.pointer,
                                                  result, err), stop)
                if teller.raised is not None:
                    raise teller.raised
                notices = [error_of(ffi.addressof(result.notices[i], "what")) for i in range(result.notice_count)]
                try:
                    check(rc, err)
                except Error as e:
                    raise e from (notices[0] if notices else None)  # "no capture to index": of the first one, why
                return IndexResult(*(getattr(result, name) for name in IndexResult._fields[:-1]), notices)
            finally:
                lib.fc_index_result_fini(result)

    # ---- asking

    def query(self, filter=None, *, sort=None, limit=0, community_id=False):
        """Sessions that match a filter in the words of pcap-filter(7) and some more: a Query, which reads nothing yet.

        sort: "bytes:desc", a key of the output; None: by ID. limit: sessions at the most, 0: all.
        """
        return Query(self, filter, sort, limit, community_id)

    def __iter__(self):
        return iter(self.query())

    def session(self, id):
        """The session of an ID; KeyError: there is none."""
        for session in self.query("id %d" % id):
            return session
        raise KeyError(id)

    def count(self, filter=None):
        """How many sessions match."""
        return self._call(lib.fc_query_count, Filter(filter).pointer)

    def top(self, by="total", filter=None, *, figures=(), sort=None, limit=0, bucket_ns=0, by_time=False):
        """Sums over sessions, as a list of TopRow, the largest by bytes first.

        by: "total", "client", "server", "host", "pair", "port", "protocol", "state", "file", "vlan", "tunnel" or "time" (buckets of
        bucket_ns, 0: so that there are 60). by_time: by these besides, so that a key is a pair of what it is and of the bucket's beginning.
        figures: of "peers", "ports", "interval". sort: "sessions", "bytes:asc", "key"...
        """
        number = choose(by, _BY, "by")
        figures = figures.replace(",", " ").split() if isinstance(figures, str) else figures
        asked = 0
        for name in figures:
            asked |= _FIGURES[name] if name in _FIGURES else choose(name, list(_FIGURES), "a figure")
        text = ffi.new("char[]", encoded(sort, "sort")) if sort else ffi.NULL
        options = ffi.new("struct fc_top_options *", {"by": number, "figures": asked, "sort": text, "limit": limit, "bucket_ns": bucket_ns,
                                                            "by_time": bool(by_time)})
        both = by_time and by not in ("total", "time")
        by = "time" if by_time and by == "total" else by
        out = ffi.new("struct fc_top **")
        with self._lock:
            self._call(lib.fc_top_open, Filter(filter).pointer, options, out)
            top, row, rows = ffi.gc(out[0], lib.fc_top_close), ffi.new("struct fc_top_row *"), []
            while lib.fc_top_next(top, row):
                rows.append(_top_row(by, both, row, asked))
            return rows

    def histogram(self, by=None, filter=None, *, buckets=lib.FC_HISTOGRAM_BUCKETS):
        """Sessions over time, by their start, as Bars. by: None, "protocol" or "state"; buckets: 2 to 2000 at the most."""
        options = ffi.new("struct fc_histogram_options *", {"by": choose(by, (None, "protocol", "state"), "by"), "buckets": buckets})
        out = ffi.new("struct fc_histogram *")
        self._call(lib.fc_histogram_make, Filter(filter).pointer, options, out)
        try:
            groups = []
            for group in out.group[0:out.groups]:
                sums = group.bucket[0:out.count] if out.count else []
                groups.append(Bar(_bar_key(by, group.key), [s.sessions for s in sums], [s.packets for s in sums], [s.bytes for s in sums]))
            return Bars(out.start_ns, out.bucket_ns, out.count, groups, out.timeless.sessions, out.exact)
        finally:
            lib.fc_histogram_fini(out)

    @property
    def summary(self):
        """What the index has, as a Summary."""
        s = ffi.new("struct fc_summary *")
        self._call(lib.fc_summary_read, s)
        times = (s.start_ns, s.end_ns) if s.has_time else (None, None)
        return Summary(s.sessions, s.files, s.packets, s.bytes, s.size, s.last_id, *times,
                       [n for bit, n in enumerate(_FIELD_NAMES) if s.fields >> bit & 1], text_of(s.profile) or None)

    @property
    def files(self):
        """The captures of the index, as a list of IndexedFile."""
        out = ffi.new("struct fc_file_list *")
        self._call(lib.fc_files_list, False, self._stop.pointer, out)
        try:
            return [IndexedFile(f.id, text_of(f.path), text_of(lib.fc_presence_name(f.presence)), text_of(f.format),
                                text_of(f.compression), f.size, f.stream_size, f.records, f.ignored, f.forgotten,
                                f.first_ns if f.has_time else None, f.last_ns if f.has_time else None, f.damaged, f.lost_bytes,
                                f.pending_bytes) for f in (out.items[i] for i in range(out.count))]
        finally:
            lib.fc_file_list_fini(out)

    @property
    def damage(self):
        """What could not be read of the captures, as a list of IndexedDamage."""
        rows = []

        def take(d):
            rows.append(IndexedDamage(d.file, text_of(d.path), d.off, d.length, text_of(d.cause)))
        handle = ffi.new_handle(take)
        self._call(lib.fc_damage_list, 0, lib.fcpy_damage, handle)
        return rows

    # ---- packets, streams, captures

    def packets(self, filter=None, want=DEFAULT, *, partial=False, numbers=False):
        """The packets of all sessions that match, in the order of time: a Packets."""
        return Packets(self, Filter(filter), want, partial, numbers)

    def streams(self, filter=None, **options):
        """A Follow for each session that matches, one after the other."""
        for session in self.query(filter):
            with session.follow(**options) as stream:
                yield stream

    def carve(self, path, filter=None, **options):
        """Writes the packets of all sessions that match to a new capture: see Session.carve()."""
        return carve(self, Filter(filter), path, **options)


class Packets:
    """Packets of sessions: an iterator, and a context manager. Each has session, direction and file_id besides.

    partial: captures that are missing and records that have changed are left out, and are in `missing`; numbers: count records, so
    that `number` is known. Errors: MissingError, ChangedError of a capture.
    """

    def __init__(self, index, filter, want=DEFAULT, partial=False, numbers=False):
        self._index, self._numbers = index, numbers
        want = check_want(want) & ~lib.FC_KEY_OUTER
        options = ffi.new("struct fc_packets_options *", {"fields": want, "partial": partial, "numbers": numbers})
        out = ffi.new("struct fc_packets **")
        with index._lock:
            index._call(lib.fc_packets_open, filter.pointer, options, out)
            pointer = lib.fcpy_source_packets(out[0])
            if pointer == ffi.NULL:
                lib.fc_packets_close(out[0])
                raise MemoryError
            self._source = _LockedSource(index, pointer, want | lib.FC_WANT_KEY, lib.FCPY_OF_SESSION, "packets")

    def __iter__(self):
        return self._source.packets()

    @property
    def missing(self):
        """Why packets were left out (partial), an Error a capture, as a list."""
        why, errors = new_error(), []
        while lib.fcpy_source_why(self._source._pointer, len(errors), why):
            errors.append(error_of(why))
        return errors

    def _result(self):
        result = ffi.new("struct fc_packets_result *")
        lib.fcpy_source_packets_result(self._source._pointer, result)
        return result

    @property
    def packets_missing(self):
        """How many packets were left out so far (partial)."""
        return self._result().missing

    @property
    def packets_forgotten(self):
        """How many packets of these sessions the index has no more."""
        return self._result().forgotten

    def close(self):
        self._source.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class _LockedSource(Source):
    """A source that reads by way of an index, which threads share, and which closes it at the latest."""

    def __init__(self, index, *args):
        self._index = index
        super().__init__(*args)
        index._open.add(self)

    def next_batch(self, *rows):
        with self._index._lock:
            return super().next_batch(*rows)

    def close(self):
        with self._index._lock:
            super().close()

    def __del__(self):
        if hasattr(self, "_pointer"):
            self._index._retire(super().close)


def _address(kind, data):
    size = {lib.FC_ADDR_IPV4: 4, lib.FC_ADDR_IPV6: 16, lib.FC_ADDR_MAC: 6}.get(kind)
    if size is None:
        return None
    buffer = ffi.new("char[]", lib.FC_TEXT_MAX)
    end = lib.fc_text_addr(buffer, kind, data)
    return ffi.buffer(buffer, end - buffer)[:].decode()


def _bar_key(by, key):
    if by is None:
        return None
    if key == -2:
        return "others"
    return proto_name(key) if by == "protocol" else STATES.get(key)


_KEYS = {
    "total": lambda r: None,
    "client": lambda r: _address(r.kind, r.addr), "server": lambda r: _address(r.kind, r.addr),
    "host": lambda r: _address(r.kind, r.addr),
    "pair": lambda r: (_address(r.kind, r.addr), _address(r.kind, r.server)),
    "port": lambda r: (None if r.port < 0 else r.port, proto_name(r.proto)),
    "protocol": lambda r: proto_name(r.proto), "state": lambda r: STATES.get(r.state),
    "file": lambda r: text_of(r.text), "vlan": lambda r: text_of(r.text), "tunnel": lambda r: text_of(r.text),
    "time": lambda r: r.bucket_ns if r.has_bucket else None,
}


def _top_row(by, both, r, asked):
    key = (_KEYS[by](r), _KEYS["time"](r)) if both else _KEYS[by](r)
    interval = (r.interval_mean, r.interval_deviation) if asked & lib.FC_TOP_INTERVAL and r.intervals else (None, None)
    sums = (r.bytes, r.sent_bytes, r.received_bytes) if r.has_bytes else (None, None, None)
    return TopRow(key, r.sessions, r.packets, *sums, r.peers if asked & lib.FC_TOP_PEERS else None,
                  r.ports if asked & lib.FC_TOP_PORTS else None, *((r.first_ns, r.last_ns) if r.has_time else (None, None)), *interval)
