# SPDX-License-Identifier: MIT
"""Capsules with streams of Arrow (the Arrow PyCapsule interface)."""
import ctypes

from ._cells import Layout, address_of
from ._errors import check, new_error
from ._flowcarve import ffi, lib

_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def make_capsule(fill):
    """The capsule of a stream that fill(stream) has made."""
    stream = lib.fcpy_arrow_new()
    if stream == ffi.NULL:
        raise MemoryError
    try:
        fill(stream)
        return _new(address_of(stream), address_of(ffi.addressof(lib, "fcpy_capsule_name")),
                    address_of(ffi.addressof(lib, "fcpy_capsule_end")))
    except BaseException:
        lib.fcpy_arrow_drop(stream)
        raise


def cells_and_names(fields, names, kind):
    """What a stream is of: cells, with the kind of addresses behind them, and their names. Keep what the third one is."""
    layout = Layout(list(fields) + [kind], 1, [str(i) for i in range(len(fields) + 1)])
    texts = [ffi.new("char[]", n.encode()) for n in names]
    return layout.cells, ffi.new("char *[]", texts), (layout, texts)


def room_for(fields, room):
    """Rows of a batch that take no more than some 64 MiB a column: offsets of Arrow's texts are 31 bits."""
    return max(1, min([room] + [(1 << 26) // max(64, f.size) for f in fields]))


def packets_capsule(reader):
    from ._packets import KIND
    cells, names, kept = cells_and_names(reader._fields, reader._names, KIND)
    room = room_for(reader._fields, reader._room)
    want = reader._want | lib.FC_WANT_KEY

    def fill(stream):
        check(lib.fcpy_arrow_packets(reader._source._pointer, want, cells, names, len(reader._fields), room, stream), new_error())
    capsule = make_capsule(fill)
    del kept
    return capsule
