# SPDX-License-Identifier: MIT
"""What the ends of a session have sent, in order."""
import collections
import io

from ._cells import DIRECTIONS, TIME_NONE
from ._errors import Error, check, new_error, usage
from ._flowcarve import ffi, lib
from ._handles import Filter

Piece = collections.namedtuple("Piece", "direction ts_ns data gap")
Piece.__doc__ = """Some payload, or a gap in it.

direction: "client", "server", "unknown": who sent it; ts_ns: of the packet that has it, or that stands behind the gap, None: it has no
time; data: bytes; gap: 0 where there is data, else how many bytes are missing, -1: nobody knows how many. One piece of UDP is a datagram.
"""
_CAUSES = (None, "in no capture", "cut by the snaplen", "in fragments that are missing")


class GapError(Error):
    """Bytes of a stream are missing. direction, position (bytes in front of them) and length (-1: not known)."""

    def __init__(self, direction, position, length, kind):
        many = "%d bytes" % length if length >= 0 else "some bytes"
        super().__init__("%s of what the %s has sent are missing at byte %d (%s); follow(gaps=\"skip\") leaves them out, gaps=\"zero\""
                         " puts zeros there" % (many, direction, position, _CAUSES[kind]))
        self.direction, self.position, self.length = direction, position, length


class _Handle:
    """A stream of the library's; closed by its index at the latest."""

    def __init__(self, index, session, partial):
        self.index = index
        filter = Filter(None, session)
        options = ffi.new("struct fc_follow_options *", {"partial": partial})
        self.out, self.piece = ffi.new("struct fc_follow **"), ffi.new("struct fc_piece **")
        with index._lock:
            index._call(lib.fc_follow_open, filter.pointer, options, self.out)
            self.pointer = self.out[0]
            index._open.add(self)

    def next(self):
        """(kind, from, at, len, data, ts_ns), or None at the end."""
        err = new_error()
        with self.index._lock:
            if self.pointer is None:
                raise usage("the stream is closed")
            if not check(lib.fc_follow_next(self.pointer, self.piece, err), err):
                return None
            p = self.piece[0]
            data = ffi.buffer(p.data, p.len)[:] if p.kind == 0 and p.len else b""
            return p.kind, getattr(p, "from"), p.at, p.len, data, None if p.ts_ns == TIME_NONE else p.ts_ns

    def close(self):
        with self.index._lock:
            if self.pointer is not None:
                lib.fc_follow_close(self.pointer)
                self.pointer = None

    def __del__(self):
        if hasattr(self, "pointer"):
            self.index._retire(self.close)


class _Side(io.RawIOBase):
    """The bytes of one direction, read as they are asked for."""

    def __init__(self, follow, side):
        self._handle = _Handle(follow._index, follow.session_id, follow._partial)
        self._side, self._gaps = side, follow._gaps
        self._left, self._zeros = memoryview(b""), 0

    def readable(self):
        return True

    def readinto(self, buffer):
        room = memoryview(buffer).cast("B")
        while not self._left and not self._zeros:
            if not self._take():
                return 0
        if self._zeros:
            n = min(len(room), self._zeros)
            room[:n] = bytes(n)
            self._zeros -= n
            return n
        n = min(len(room), len(self._left))
        room[:n] = self._left[:n]
        self._left = self._left[n:]
        return n

    def _take(self):
        """Another piece; False at the end."""
        piece = self._handle.next()
        if piece is None:
            return False
        kind, sender, at, length, data, _ = piece
        if sender != self._side:
            return True
        if kind == 0:
            self._left = memoryview(data)
        elif self._gaps == "raise":
            raise GapError(DIRECTIONS[sender], at, length or -1, kind)
        elif self._gaps == "zero":
            self._zeros = length
        return True

    def close(self):
        if not self.closed:
            self._handle.close()
        super().close()


class Follow:
    """What the two ends of a session have sent: TCP in the order of its sequence numbers, of others datagram by datagram.

        for direction, ts_ns, data, gap in session.follow(): ...
        session.follow().client.read()

    Each loop begins anew. client, server: binary files (io.BufferedReader) of what that end has sent; gaps: "raise" a GapError in these
    where bytes are missing, "skip" them, or put "zero" bytes there. partial: what captures do not have any more is missing.
    """

    def __init__(self, index, session, *, partial=False, gaps="raise"):
        if gaps not in ("raise", "skip", "zero"):
            raise usage("gaps is one of raise, skip, zero, not %r" % (gaps,))
        self._index, self._partial, self._gaps = index, partial, gaps
        self.session, self.session_id = session, session.id
        self._files = {}

    def _file(self, side):
        if side not in self._files:
            self._files[side] = io.BufferedReader(_Side(self, side), 65536)
        return self._files[side]

    @property
    def client(self):
        """What the client has sent, as a binary file."""
        return self._file(0)

    @property
    def server(self):
        """What the server has sent, as a binary file."""
        return self._file(1)

    def __iter__(self):
        handle = _Handle(self._index, self.session_id, self._partial)
        try:
            while True:
                piece = handle.next()
                if piece is None:
                    return
                kind, sender, _, length, data, ts_ns = piece
                yield Piece(DIRECTIONS[sender], ts_ns, data, 0 if kind == 0 else length or -1)
        finally:
            handle.close()

    def close(self):
        """Closes client and server."""
        for file in self._files.values():
            file.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
