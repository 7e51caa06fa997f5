# SPDX-License-Identifier: MIT
"""Long calls that Ctrl-C ends, filters, and what is told of progress."""
import collections
import os
import threading
import time

from ._errors import FilterError, check, encoded, new_error, usage
from ._flowcarve import ffi, lib

Progress = collections.namedtuple("Progress", "phase bytes_done bytes_total files_done files_total records sessions")
Progress.__doc__ = """How far a call is; 0 is what is not known. phase: "planning", "reading", "joining", "writing", "done"."""
PHASES = ("planning", "reading", "joining", "writing", "done")


class Stop:
    """A flag that ends what looks at it."""

    def __init__(self):
        self.pointer = ffi.new("int *")

    def set(self):
        self.pointer[0] = 1


class Lock:
    """The lock of an index. A callback of the call that has it is refused: it would wait for itself."""

    def __init__(self):
        self._lock = threading.RLock()
        self.teller = None  # the thread that is in a callback

    def acquire(self, blocking=True):
        if blocking and self.teller == threading.get_ident():
            raise usage("a callback must not use the index of the call that it is told of")
        return self._lock.acquire(blocking)

    def release(self):
        self._lock.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *exception):
        self.release()


class Teller:
    """Calls a callback with Progress; what that raises ends the call that tells, and comes out of it. lock: of its index."""

    def __init__(self, callback, stop, lock):
        self.callback, self.stop, self.lock, self.raised = callback, stop, lock, None
        self.handle = ffi.new_handle(self)
        self.function = lib.fcpy_progress if callback else ffi.NULL

    def tell(self, now):
        if self.raised is not None:
            return
        self.lock.teller = threading.get_ident()
        try:
            self.callback(Progress(PHASES[min(now.phase, 4)], now.bytes_done, now.bytes_total, now.files_done, now.files_total,
                                   now.records, now.sessions))
        except BaseException as e:
            self.raised = e
            self.stop.set()
        finally:
            self.lock.teller = None


@ffi.def_extern()
def fcpy_progress(handle, now):
    ffi.from_handle(handle).tell(now)


@ffi.def_extern()
def fcpy_damage(handle, damage):
    ffi.from_handle(handle)(damage)
    return 0


def run(call, stop):
    """call() in a thread of its own where this is the main one, which alone gets Ctrl-C: that stops it, and is raised when it has."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    result = []

    def work():
        try:
            result.append(call())
        except BaseException as e:
            result.append(e)
    worker = threading.Thread(target=work, name="flowcarve", daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(0.2)
    except BaseException:
        stop.set()
        worker.join()
        raise
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


class Filter:
    """A filter of the library's: words, and perhaps one session's ID."""

    def __init__(self, text, session=None):
        if text is not None and not isinstance(text, str):
            raise TypeError("a filter is a str, not %s" % type(text).__name__)
        self.text = text
        data = encoded(text or "", "the filter")
        out, where = ffi.new("struct fc_filter **"), ffi.new("struct fc_filter_error *")
        options = ffi.new("struct fc_time_options *", {"now_ns": time.time_ns()})
        rc = lib.fc_filter_parse_with(data, options, out, where)
        if rc == lib.FC_E_FILTER:
            before, wrong = data[:where.off], data[where.off:where.off + where.len]
            raise FilterError(ffi.string(where.cause).decode(errors="replace"), text, len(os.fsdecode(before)), len(os.fsdecode(wrong)))
        check(rc, new_error())
        self.pointer = ffi.gc(out[0], lib.fc_filter_free)
        if session is not None:
            check(lib.fc_filter_narrow(self.pointer, ffi.new("struct fc_id_range *", (session, session)), 1), new_error())

    def hand_over(self):
        """The pointer, which is the taker's to free."""
        pointer = ffi.gc(self.pointer, None)
        self.pointer = None
        return pointer


def choose(value, names, what):
    """The number of a name."""
    if value not in names:
        raise usage("%s is one of %s, not %r" % (what, ", ".join(n for n in names if n), value))
    return names.index(value)
