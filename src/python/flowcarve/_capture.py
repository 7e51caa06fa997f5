# SPDX-License-Identifier: MIT
"""Captures: their packets, and what is to be known of them."""
import collections
import io
import os
import stat
import tempfile

from ._errors import check, encoded, new_error, usage
from ._flowcarve import ffi, lib
from ._packets import DEFAULT, Fields, Source, check_want

Damage = collections.namedtuple("Damage", "offset length cause")
Damage.__doc__ = "Bytes [offset, offset + length) of a capture of which nothing could be made, and why."
Interface = collections.namedtuple("Interface", "section number link_type link_name snaplen tsresol offset")
Interface.__doc__ = "An interface of a capture; tsresol: seconds a tick of its clock, as a fraction's (base, exponent)."
Balance = collections.namedtuple("Balance", "size records record_bytes damages lost_bytes")
Balance.__doc__ = """What was read so far: bytes of the file, records, their bytes with their heads, ranges of damage, their bytes."""


def _is_plain(file):
    """Whether the library may read a file object's file by itself, from its beginning."""
    raw = getattr(file, "raw", file)
    if not isinstance(raw, io.FileIO) or not isinstance(file, (io.FileIO, io.BufferedReader, io.BufferedRandom)):
        return False
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.tell() == 0


def _spooled(file):
    """What a file object has left, in a file that has no name."""
    spool = tempfile.TemporaryFile(buffering=0)
    try:
        while True:
            data = file.read(1 << 20)
            if not data:
                return spool
            if isinstance(data, str):
                raise TypeError("the file is open as text, and must be open as binary ('rb')")
            view = memoryview(data)
            while view:
                view = view[spool.write(view):]
    except BaseException:
        spool.close()
        raise


class Capture:
    """The packets of a capture: pcap or pcapng, plain or compressed with gzip, zstd, lz4 or xz.

        for packet in flowcarve.Capture("day.pcap.gz", want=flowcarve.KEY | flowcarve.TTL):
            print(packet.ts_ns, packet.src, packet.ttl)

    source: a path, the bytes of a capture, or a binary file object. Of one that is a plain file at its beginning the library
    reads the file; of any other one what is left is put into a file without a name first, so nothing needs memory.
    want: what is parsed (KEY, TCP, MAC, VLAN, MPLS, TTL, DSCP, PAYLOAD, TUNNEL, ALL, OUTER); name: what errors call it.
    strict: damage raises DamagedError; else it is passed over and is in `damage`.

    Iterating goes on where the last loop has stopped; rewind() goes to the beginning. Threads may share one: each packet is given
    to one of them.
    """

    def __init__(self, source, want=DEFAULT, *, name=None, strict=False):
        self._want = check_want(want)
        out, err = ffi.new("struct fc_capture **"), new_error()
        if isinstance(source, (bytes, bytearray, memoryview)):
            label = name or "bytes"
            data = ffi.from_buffer(memoryview(source).cast("B") if isinstance(source, memoryview) else source)
            check(lib.fc_capture_open_memory(data, len(data), encoded(label, "the name"), out, err), err)
        elif hasattr(source, "read"):
            label = name or getattr(source, "name", None) or "stream"
            label = label if isinstance(label, (str, bytes)) else "stream"
            spool = None if _is_plain(source) else _spooled(source)
            try:
                fd = (spool or source).fileno()
                check(lib.fc_capture_open_fd(fd, encoded(label, "the name"), out, err), err)
            finally:
                if spool:
                    spool.close()
        else:
            label = os.fspath(source)
            check(lib.fc_capture_open(encoded(label, "the path"), out, err), err)
        capture = out[0]
        #: "pcap", "pcap-ns", "pcap-modified", "pcapng", "empty"
        self.format = ffi.string(lib.fc_format_name(lib.fc_capture_format(capture))).decode()
        #: "none", "gzip", "zstd", "lz4", "xz"
        self.compression = ffi.string(lib.fc_compression_name(lib.fc_capture_compression(capture))).decode()
        #: bytes of the file, as it is stored
        self.size = lib.fc_capture_size(capture)
        self.name = name or os.fsdecode(label)
        pointer = lib.fcpy_source_capture(capture, strict)
        if pointer == ffi.NULL:
            lib.fc_capture_close(capture)
            raise MemoryError
        self._source = Source(pointer, self._want, lib.FCPY_OF_CAPTURE, "Capture")

    def __iter__(self):
        return self._source.packets()

    def fields(self, names, batch=4096):
        """Fields of packets as structured arrays of numpy's, or a stream of Arrow: see Fields.

        names: "ts_ns src dst sport dport tcp_flags len", in this order; "data:64", "payload:64" are the first 64 bytes.
        batch: packets an array, less where they would take more than a GiB. Gives an iterator of arrays of shape (n,).
        """
        if self._source.untaken():
            raise usage("a loop has left packets behind: rewind() first")
        return Fields(self._source, names, batch, self._want)

    def rewind(self):
        """To the beginning."""
        err = new_error()
        check(lib.fcpy_source_rewind(self._source._pointer, err), err)
        self._source._begun = []

    @property
    def balance(self):
        """What was read so far, as a Balance."""
        told = ffi.new("struct fcpy_told *")
        lib.fcpy_source_told(self._source._pointer, told)
        return Balance(self.size, told.records, told.record_bytes, told.damages, told.lost_bytes)

    @property
    def damage(self):
        """Ranges met so far of which nothing could be made, as a list of Damage; the first 65,536. Also a record that is cut."""
        return [Damage(d.off, d.length, ffi.string(d.cause).decode(errors="replace"))
                for d in self._listed(lib.fcpy_source_damage, "struct fc_damage[]")]

    @property
    def interfaces(self):
        """Interfaces met so far, as a list of Interface; a pcap has one."""
        return [Interface(i.section, i.number, i.link_type, _link_name(i.link_type), i.snaplen,
                          (2, -(i.tsresol & 127)) if i.tsresol & 128 else (10, -i.tsresol), i.off)
                for i in self._listed(lib.fcpy_source_interfaces, "struct fc_interface[]")]

    def _listed(self, call, kind):
        room, first = ffi.new(kind, 64), 0
        while True:
            n = call(self._source._pointer, first, room, 64)
            yield from room[0:n]
            if n < 64:
                return
            first += n

    def close(self):
        """Closes the file; packets that were given stay."""
        self._source.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __repr__(self):
        return "<flowcarve.Capture %r %s>" % (self.name, self.format)


def _link_name(number):
    name = lib.fc_link_type_name(number)
    return None if name == ffi.NULL else ffi.string(name).decode()
