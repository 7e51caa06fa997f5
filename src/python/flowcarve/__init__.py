# SPDX-License-Identifier: MIT
"""flowcarve: packet captures, indexed by session, at the speed of C.

    import flowcarve as fc
    for packet in fc.Capture("day.pcap.gz", want=fc.KEY | fc.TTL):
        print(packet.ts_ns, packet.src, packet.ttl)

Times are int, ns since 1970-01-01 UTC; lengths are bytes. docs/python.md has the rest by example.
"""
from ._capture import Balance, Capture, Damage, Interface
from ._carve import Carved
from ._cells import STATES, addresses, proto_name
from ._errors import (BusyError, ChangedError, DamagedError, DatabaseError, Error, FilterError, FormatError, InputError, Interrupted,
                      LimitError, MismatchError, MissingError, OutOfMemory, OutputClosed, SchemaError, UsageError)
from ._follow import Follow, GapError, Piece
from ._handles import Progress
from ._hexdump import hexdump
from ._index import (Bar, Bars, Index, IndexedDamage, IndexedFile, IndexResult, Packets, Summary, TopRow, open)
from ._live import Counts, Live, capture
from ._packets import Fields, Packet, Want
from ._sessions import ArrowSessions, Query, Session, SessionFile

KEY, TCP, MAC, VLAN, MPLS, TTL, DSCP, PAYLOAD, TUNNEL, ALL, OUTER = (
    Want.KEY, Want.TCP, Want.MAC, Want.VLAN, Want.MPLS, Want.TTL, Want.DSCP, Want.PAYLOAD, Want.TUNNEL, Want.ALL, Want.OUTER)

__version__ = "0.1.0"
__all__ = [name for name in dir() if not name.startswith("_")]
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith("flowcarve._"):
        globals()[_name].__module__ = "flowcarve"  # where users find it
