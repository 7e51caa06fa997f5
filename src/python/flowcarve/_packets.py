# SPDX-License-Identifier: MIT
"""Packets: what is asked of each, and the objects that have it."""
import enum
import itertools
import operator
import re
import threading

from ._cells import (BYTES, Field, Layout, Row, attribute, base_of, give_attributes, names_of, new_uncleared, numpy, read_all,
                     rows_behind)
from ._errors import UsageError, check, new_error
from ._flowcarve import ffi, lib


class Want(enum.IntFlag):
    """What is parsed of a packet; what is not asked for takes no time."""

    KEY = lib.FC_WANT_KEY          #: proto, src, dst, sport, dport, fragment, malformed
    TCP = lib.FC_WANT_TCP          #: tcp_flags, tcp_seq, tcp_ack
    MAC = lib.FC_WANT_MAC          #: src_mac, dst_mac
    VLAN = lib.FC_WANT_VLAN        #: vlan
    MPLS = lib.FC_WANT_MPLS        #: mpls
    TTL = lib.FC_WANT_TTL          #: ttl
    DSCP = lib.FC_WANT_DSCP        #: dscp
    PAYLOAD = lib.FC_WANT_PAYLOAD  #: payload, payload_len
    TUNNEL = lib.FC_WANT_TUNNEL    #: tunnel
    ALL = lib.FC_WANT_ALL
    OUTER = lib.FC_KEY_OUTER       #: addresses are those of the outermost IP layer, not of the innermost


DEFAULT = Want.KEY | Want.TCP | Want.PAYLOAD


def _read_fields():
    fields, of = {}, {}
    for number in itertools.count():
        info = lib.fcpy_field(number)
        if info == ffi.NULL:
            return fields, of
        name = ffi.string(info.name).decode()
        fields[name] = Field(number, name, info.cell, info.size, info.want)
        of[name] = info.of


FIELDS, _OF = _read_fields()
KIND = FIELDS["kind"]
ROOM, ARENA = 512, 120 << 10  # of a batch of packets: what the C library gives again and again without the kernel


def check_want(want):
    want = int(want)
    if want & ~(lib.FC_WANT_ALL | lib.FC_KEY_OUTER):
        raise UsageError("want is made of flowcarve.KEY, TCP, MAC, VLAN, MPLS, TTL, DSCP, PAYLOAD, TUNNEL, ALL and OUTER")
    return want | lib.FC_WANT_KEY if want & lib.FC_KEY_OUTER else want


def packet_layout(want, of, room):
    """What a batch of packets has. of: FCPY_OF_*, what they come from."""
    fields = [f for f in FIELDS.values() if f.cell != BYTES and not f.want & ~want and _OF[f.name] in (lib.FCPY_OF_ALL, of)]
    return Layout(fields, room)


class Packet(Row):
    """A packet. What was not asked for with `want=` is an AttributeError that says how to ask.

    Numbers are int, None where a packet has none: ts_ns (ns since 1970), number (of the record, from 1), offset (bytes, of the record
    in the capture), len and caplen (bytes, on the wire and captured), link_type, section, interface, sport, dport, tcp_flags,
    tcp_seq, tcp_ack, ttl, dscp, payload_len (bytes on the wire).
    Texts: proto, src, dst, src_mac, dst_mac, vlan and mpls ("10,20", outermost first), tunnel ("vxlan:42/gre"). Addresses also as
    src_raw, dst_raw (bytes) and src_ip, dst_ip (ipaddress). proto_number is the number.
    data and payload: memoryviews of what was captured; they keep some 200 KiB in memory, bytes(packet.data) does not.
    Of sessions and live: session (ID), direction ("client", "server", "unknown": who sent it), file_id.
    """

    __slots__ = ()
    _values = b""

    @property
    def link_name(self):
        name = lib.fc_link_type_name(self.link_type)
        return None if name == ffi.NULL else ffi.string(name).decode()

    def __copy__(self):
        return self  # it does not change

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        known = [n for n in ("ts_ns", "proto", "src", "sport", "dst", "dport", "len") if hasattr(self, n)]
        return "<flowcarve.Packet %s>" % " ".join("%s=%s" % (n, getattr(self, n)) for n in known)

    def scapy(self):
        """As scapy's packet, with its time."""
        from ._convert import to_scapy
        return to_scapy(self)

    def dpkt(self):
        """As dpkt's, by the link type."""
        from ._convert import to_dpkt
        return to_dpkt(self)


def _missing(owner, name):
    field = FIELDS.get(name) or FIELDS.get(name.rpartition("_")[0])
    want = Want(field.want).name if field and field.want else None
    if want:
        return "'%s' was not parsed: ask for it, %s(..., want=flowcarve.%s)" % (name, owner, want)
    return "packets of %s have no '%s'" % (owner, name)


def _give_packets_attributes():
    inner = ("data_at", "payload_caplen", "malformed")
    give_attributes(Packet, {n: f for n, f in FIELDS.items() if n not in inner}, _missing)
    numbers = {n: f.number for n, f in FIELDS.items()}
    attribute(Packet, "malformed", lib.FCPY_AS_TRUTH, _missing, numbers["malformed"], 0, 0)
    for name, size, off in (("data", "caplen", None), ("payload", "payload_caplen", "payload_off")):
        attribute(Packet, name, lib.FCPY_AS_BYTES, _missing, numbers[size], numbers["data_at"], numbers.get(off, lib.FCPY_NO_COLUMN))


_give_packets_attributes()


class Source:
    """A handle of C's that gives packets; each is given once, however many threads and loops take from it."""

    def __init__(self, pointer, want, of, owner, room=ROOM, arena=ARENA):
        self._pointer = ffi.gc(pointer, lib.fcpy_source_free)
        self._want, self._owner, self._arena = want, owner, arena
        self._layout = packet_layout(want, of, room)
        self._guard = threading.Lock()
        self._begun = []  # batches of which packets are left, perhaps

    def close(self):
        lib.fcpy_source_close(self._pointer)
        self._begun = []

    def next_batch(self, rows=Packet):
        """A batch of packets, or None at the end. A live source: also one without packets."""
        size = self._arena
        while True:
            (block, base), arena = self._layout.new_block(), new_uncleared("uint8_t[]", size)
            need, err = ffi.new("uint64_t *"), new_error()
            n = lib.fcpy_source_next(self._pointer, self._want, self._layout.cells, len(self._layout.fields), self._layout.room, base,
                                     arena, size, need, err)
            quiet = n == lib.FCPY_QUIET
            if not quiet:
                check(n, err)
            if n > 0 or quiet:
                view = memoryview(ffi.buffer(arena)).toreadonly()
                return self._layout.batch(rows, block, max(0, n), self._owner, view)
            if not need[0]:
                return None
            size = need[0]

    def packets(self):
        """An iterator of packets. What a loop has left behind goes to the next one."""
        return itertools.chain.from_iterable(self._batches())

    def _batches(self):
        yield from list(self._begun)
        batch, rows = None, Packet
        while True:
            rows = rows_behind(batch, rows)
            batch = self.next_batch(rows)
            if batch is None:
                return
            with self._guard:
                self._begun = [b for b in self._begun if operator.length_hint(b)] + [batch]
            yield batch

    def untaken(self):
        """How many packets were read and are in nobody's hands."""
        return sum(map(operator.length_hint, self._begun))


class Fields:
    """Fields of packets as structured arrays of numpy's, a batch at a time: an iterator, and a stream of Arrow.

    dtype: that of the arrays. Times are int64 ns, INT64_MIN (NaT) where there is none; numbers that a packet does not have are -1;
    addresses 16 bytes, IPv4 as ::ffff:0:0/96 (see addresses()); texts bytes, b"" where there is none.
    """

    def __init__(self, source, names, batch, want):
        if not 1 <= batch <= 1 << 24:
            raise UsageError("batch is 1 to 16777216 packets, not %r" % (batch,))
        self._source, self._room = source, batch
        self._fields, self._names = [], []
        for name in names_of(names):
            self._fields.append(_named(name))
            self._names.append(name.partition(":")[0])
        if not self._fields:
            raise UsageError("no field is named")
        row = sum(f.size for f in self._fields)
        self._room = max(1, min(batch, (1 << 30) // row))
        self._want = want & lib.FC_KEY_OUTER
        for field in self._fields:
            self._want |= field.want
        self._dtype = self._cells = None

    def _add(self, field):
        """One more, behind the others."""
        self._fields.append(field)
        self._names.append(field.name)
        self._want |= field.want
        self._dtype = self._cells = None

    @property
    def dtype(self):
        if self._dtype is None:
            self._dtype = numpy().dtype([(n, f.dtype) for n, f in zip(self._names, self._fields)])
            self._cells = Layout(self._fields, 1, self._names).as_rows(self._dtype)
        return self._dtype

    def __iter__(self):
        return self

    def __next__(self):
        array = numpy().empty(self._room, self.dtype)
        n = self._read(base_of(array), self._room)
        if not n:
            raise StopIteration
        return array[:n]

    def _read(self, base, room):
        need, err = ffi.new("uint64_t *"), new_error()
        return check(lib.fcpy_source_next(self._source._pointer, self._want, self._cells, len(self._fields), room, base, ffi.NULL, 0,
                                          need, err), err)

    def to_numpy(self):
        """All that is left as one array of shape (packets,)."""
        return read_all(self.dtype, self._read)

    def to_pandas(self):
        """All that is left as a data frame, addresses and protocols as text."""
        from ._frames import packets_frame
        return packets_frame(self)

    def __arrow_c_stream__(self, requested_schema=None):
        """A capsule with an ArrowArrayStream of all that is left. Addresses, protocols and texts are utf8, times timestamp[ns, UTC]."""
        from ._arrow import packets_capsule
        return packets_capsule(self)


def _named(name):
    """The field of a name; "data:64", "payload:64": so many bytes of it."""
    word, colon, size = name.partition(":")
    field = FIELDS.get(word)
    if field is None or _OF[word] == lib.FCPY_OF_SESSION or word == "data_at":
        raise UsageError("there is no field '%s'; fields are %s" % (name, " ".join(
            n + (":N" if f.cell == BYTES else "") for n, f in FIELDS.items() if _OF[n] != lib.FCPY_OF_SESSION and n != "data_at")))
    if field.cell != BYTES:
        if colon:
            raise UsageError("'%s' takes no size" % word)
        return field
    if not re.fullmatch("[1-9][0-9]{0,5}", size) or int(size) > 262144:
        raise UsageError("'%s' is named with a number of bytes from 1 to 262144, as %s:64" % (word, word))
    return Field(field.number, word, field.cell, int(size), field.want)
