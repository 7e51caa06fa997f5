# SPDX-License-Identifier: MIT
"""Sessions carved out of captures, into a new one."""
import collections
import os

from ._errors import check, encoded, error_of, new_error
from ._flowcarve import ffi, lib
from ._handles import Stop, Teller, choose, run

Carved = collections.namedtuple("Carved", "sessions packets bytes_written packets_missing packets_forgotten missing")
Carved.__doc__ = """What was carved. sessions 0: nothing matched, and there is no file.

packets_missing: left out by partial, missing: why, an Error a capture; packets_forgotten: that the index has no more.
"""
_FORMATS = (None, "pcap", "pcapng")
_COMPRESSIONS = ("none", "gzip", "zstd", "lz4", "xz")


def carve(index, filter, path, *, format=None, compression=None, direction=None, first_packets=0, first_bytes=0, comments=False,
          partial=False, replace=True, mode=0o600, progress=None):
    """Writes the packets that a filter selects to `path`; see Session.carve()."""
    name = encoded(os.fspath(path), "the path")
    stop = Stop()
    teller = Teller(progress, stop)
    avoid = ffi.new("char[]", name)
    how = lib.fc_compression_by_suffix(name) if compression is None else choose(compression, _COMPRESSIONS, "compression")
    options = ffi.new("struct fc_carve_options *", {
        "format": choose(format, _FORMATS, "format"), "compression": how, "partial": partial, "avoid": avoid,
        "one_direction": direction is not None, "from": choose(direction or "client", ("client", "server"), "direction"),
        "first_packets": first_packets, "first_bytes": first_bytes, "comments": comments,
        "progress": teller.function, "progress_ctx": teller.handle})
    with index._lock:
        db, err = index._handle(), new_error()
        file, result = ffi.new("struct fc_new_file *"), ffi.new("struct fc_carve_result *")
        check(lib.fc_new_file_open(file, name, ffi.new("struct fc_rights *", {"mode": mode}), err), err)
        whole = False
        try:
            rc = run(lambda: lib.fc_carve(db, filter.pointer, options, file.fd, stop.pointer, result, err), stop)
            if teller.raised is not None:
                raise teller.raised
            check(rc, err)
            if result.sessions:
                check(lib.fc_new_file_finish(file, replace, err), err)
                whole = True
            return Carved(result.sessions, result.packets, result.bytes_written, result.packets_missing, result.packets_forgotten,
                          [error_of(ffi.addressof(result.missing, i)) for i in range(result.missing_count)])
        finally:
            lib.fc_carve_result_fini(result)
            if not whole:
                lib.fc_new_file_abandon(file)
