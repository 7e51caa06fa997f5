# SPDX-License-Identifier: MIT
"""Sessions carved out of captures, into a new one."""
import collections
import os
import stat

from ._errors import InputError, check, encoded, error_of, new_error
from ._flowcarve import ffi, lib
from ._handles import Stop, Teller, choose, run

Carved = collections.namedtuple("Carved", "sessions packets bytes_written packets_missing packets_forgotten missing")
Carved.__doc__ = """What was carved. sessions 0: nothing matched, and there is no file.

packets_missing: left out by partial, missing: why, an Error a capture; packets_forgotten: that the index has no more.
"""
_FORMATS = (None, "pcap", "pcapng")
_COMPRESSIONS = ("none", "gzip", "zstd", "lz4", "xz")


class _Target:
    """Where a carve goes: a new file, which appears when it is whole, in place of what is there; or a device, a pipe, an open file."""

    def __init__(self, path, mode, replace):
        self.file, self.fd, self.replace = None, -1, replace
        try:
            there = os.stat(path)
        except FileNotFoundError:
            there = None
        if there and not stat.S_ISREG(there.st_mode):
            try:
                self.fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            except OSError as e:
                raise InputError("cannot open for writing: %s" % e.strerror, os.fsdecode(path)) from e
            return
        if there and not os.access(path, os.W_OK):
            raise InputError("cannot open for writing: it is protected", os.fsdecode(path))
        place = os.path.realpath(path) if there else path
        rights = ffi.new("struct fc_rights *", {"mode": there.st_mode & 0o777 if there else mode})
        file, err = ffi.new("struct fc_new_file *"), new_error()
        check(lib.fc_new_file_open(file, encoded(place, "the path"), rights, err), err)
        self.file, self.fd = file, file.fd

    def finish(self):
        if self.file:
            err = new_error()
            check(lib.fc_new_file_finish(self.file, self.replace, err), err)
            self.file, self.fd = None, -1

    def close(self):
        if self.file:
            lib.fc_new_file_abandon(self.file)
        elif self.fd >= 0:
            os.close(self.fd)


def carve(index, filter, path, *, format=None, compression=None, direction=None, first_packets=0, first_bytes=0, comments=False,
          partial=False, replace=True, mode=0o600, progress=None):
    """Writes the packets that a filter selects to `path`; see Session.carve()."""
    name = encoded(os.fspath(path), "the path")
    stop = Stop()
    teller = Teller(progress, stop, index._lock)
    avoid = ffi.new("char[]", name)
    how = lib.fc_compression_by_suffix(name) if compression is None else choose(compression, _COMPRESSIONS, "compression")
    kind = lib.fc_carve_format_by_suffix(name) if format is None else choose(format, _FORMATS, "format")
    options = ffi.new("struct fc_carve_options *", {
        "format": kind, "compression": how, "partial": partial, "avoid": avoid,
        "one_direction": direction is not None, "from": choose(direction or "client", ("client", "server"), "direction"),
        "first_packets": first_packets, "first_bytes": first_bytes, "comments": comments,
        "progress": teller.function, "progress_ctx": teller.handle})
    with index._lock:
        db, err, result = index._handle(), new_error(), ffi.new("struct fc_carve_result *")
        target = _Target(os.fspath(path), mode, replace)
        try:
            rc = run(lambda: lib.fc_carve(db, filter.pointer, options, target.fd, stop.pointer, result, err), stop)
            if teller.raised is not None:
                raise teller.raised
            check(rc, err)
            if result.sessions:
                target.finish()
            return Carved(result.sessions, result.packets, result.bytes_written, result.packets_missing, result.packets_forgotten,
                          [error_of(ffi.addressof(result.missing, i)) for i in range(result.missing_count)])
        finally:
            lib.fc_carve_result_fini(result)
            target.close()
