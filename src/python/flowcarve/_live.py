# SPDX-License-Identifier: MIT
"""Packets of an interface as they come."""
import collections
import time

from ._errors import FilterError, check, encoded, new_error, usage
from ._flowcarve import ffi, lib
from ._handles import Stop
from ._packets import DEFAULT, Source, check_want

Counts = collections.namedtuple("Counts", "received dropped dropped_by_interface given")
Counts.__doc__ = """Packets that passed the filter, as the kernel counts them; of these lost, as its buffer was full; by the interface;
given."""
ARENA = 2048


def capture(interface, filter=None, want=DEFAULT, *, count=0, timeout=None, snaplen=0, buffer=0, promiscuous=False):
    """Packets of an interface ("eth0", "any") as they come: a Live. Takes the right to capture (CAP_NET_RAW).

        for packet in flowcarve.capture("eth0", "tcp port 9988"):
            print(packet.ts_ns, packet.src, packet.dst, bytes(packet.payload))

    filter: pcap-filter(7). count: ends behind so many packets, 0: never. timeout: ends behind so many seconds, None: never. snaplen: bytes
    of a packet, 0: all. buffer: bytes of the kernel's, 0: 8 MiB. promiscuous: also what is meant for others.
    Each packet has session, a number of its flow, and direction: the sender of a flow's first packet is its client.
    """
    return Live(interface, filter, want, count, timeout, snaplen, buffer, promiscuous)


class Live:
    """What capture() gives: an iterator, and a context manager. stop() ends it from any thread."""

    def __init__(self, interface, filter, want, count, timeout, snaplen, buffer, promiscuous):
        want = check_want(want) & ~lib.FC_KEY_OUTER
        self.interface, self._stop = interface, Stop()
        self._left = count if count > 0 else None
        self._end = None if timeout is None else time.monotonic() + timeout
        words = ffi.new("char[]", encoded(filter or "", "the filter"))
        options = ffi.new("struct fc_look_options *", {"filter": words, "snaplen": snaplen, "buffer": buffer,
                                                       "promiscuous": promiscuous, "fields": want, "stop": self._stop.pointer})
        out, err = ffi.new("struct fc_look **"), new_error()
        rc = lib.fc_look_open(encoded(interface, "the interface"), options, out, err)
        if rc == lib.FC_E_FILTER:
            raise FilterError(ffi.string(err.cause).decode(errors="replace"), filter)
        check(rc, err)
        pointer = lib.fcpy_source_look(out[0])
        if pointer == ffi.NULL:
            lib.fc_look_close(out[0])
            raise MemoryError
        self._source = Source(pointer, want | lib.FC_WANT_KEY | lib.FC_WANT_TCP, lib.FCPY_OF_SESSION, "capture", 1, ARENA)

    def __iter__(self):
        return self

    def __next__(self):
        while self._left != 0 and (self._end is None or time.monotonic() < self._end):
            batch = self._source.next_batch()
            if batch is None:
                break
            for packet in batch:
                if self._left is not None:
                    self._left -= 1
                return packet
        raise StopIteration

    def stop(self):
        """Ends the iterator, within 0.2 s; from any thread."""
        self._stop.set()

    @property
    def counts(self):
        """What was counted so far, as a Counts."""
        result = ffi.new("struct fc_look_result *")
        if not lib.fcpy_source_look_result(self._source._pointer, result):
            raise usage("it is closed")
        return Counts(result.received, result.dropped, result.dropped_iface, result.given)

    def close(self):
        self._stop.set()
        self._source.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
