# SPDX-License-Identifier: MIT
"""Columns of values, as C writes them, and what becomes of them in Python: rows as objects, numpy's types."""
import functools
import importlib.machinery
import importlib.util
import ipaddress

from . import _flowcarve
from ._errors import UsageError, usage
from ._flowcarve import ffi, lib


def _rows_module():
    """The module _rows, which is in the library of _flowcarve."""
    loader = importlib.machinery.ExtensionFileLoader("flowcarve._rows", _flowcarve.__file__)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


_rows = _rows_module()
Batch, Row = _rows.Batch, _rows.Row
_attributes = []  # names, by number


def attribute(rows, name, form, missing, column, beside, off):
    """Gives a class of rows an attribute. missing(owner, name): what an AttributeError says where there is no such column."""
    number = _rows.attribute(rows, name, form, missing, column, beside, off)
    _attributes[number:] = [name]


@functools.lru_cache(256)
def _with_values(base, numbers):
    """A subclass whose rows have values of some attributes in slots, which C fills in the order that these have, that of names."""
    numbers = bytes(sorted(numbers, key=_attributes.__getitem__))
    return type(base.__name__, (base,), {"__slots__": tuple(map(_attributes.__getitem__, numbers)), "_values": numbers,
                                         "__module__": base.__module__, "__doc__": base.__doc__})


def rows_behind(batch, rows):
    """The class of the rows behind a batch: what half of that were asked for, these have at hand."""
    asked = batch.asked() if batch else b""
    return _with_values(rows.__base__ if rows._values else rows, frozenset(rows._values + asked)) if asked else rows


TIME_NONE = -2 ** 63
SMALL, U32, BYTE, FROM, BYTES = (lib.FCPY_CELL_SMALL, lib.FCPY_CELL_U32, lib.FCPY_CELL_BYTE, lib.FCPY_CELL_FROM,
                                 lib.FCPY_CELL_BYTES)

# what a cell is in numpy
_TYPES = {
    lib.FC_CELL_ID: "i8", lib.FC_CELL_TIME: "i8", lib.FC_CELL_COUNT: "u8", lib.FC_CELL_NUMBER: "i8", lib.FC_CELL_PORT: "i4",
    lib.FC_CELL_PROTO: "u4", lib.FC_CELL_KIND: "u1", lib.FC_CELL_STATE: "i1", lib.FC_CELL_ADDR: "V16", lib.FC_CELL_MAC: "V6",
    lib.FC_CELL_TEXT: "S%d", U32: "u4", SMALL: "i2", BYTE: "u1", FROM: "u1", BYTES: "V%d",
}
DIRECTIONS = ("client", "server", "unknown")
STATES = {n: ffi.string(lib.fc_state_name(n)).decode() for n in range(5)}

new_uncleared = ffi.new_allocator(should_clear_after_alloc=False)


class Field:
    """A field of packets or a column of sessions."""

    __slots__ = ("number", "name", "cell", "size", "want")

    def __init__(self, number, name, cell, size, want):
        self.number, self.name, self.cell, self.size, self.want = number, name, cell, size, want

    @property
    def dtype(self):
        kind = _TYPES[self.cell]
        return kind % self.size if "%d" in kind else kind


class Layout:
    """Where the values of fields go: each field a column of its own, or rows of all."""

    def __init__(self, fields, room, names=None):
        """Columns one behind the other, room values each."""
        self.fields, self.room = list(fields), room
        self.names = list(names or (f.name for f in fields))
        self.cells = ffi.new("struct fcpy_cell[]", len(self.fields))
        off = 0
        for cell, field, name in zip(self.cells, self.fields, self.names):
            cell.field, cell.cell, cell.size, cell.stride, cell.off = field.number, field.cell, field.size, field.size, off
            off += (field.size * room + 7) // 8 * 8
        self.size = off

    def new_block(self):
        """Memory for these, and where it begins."""
        block = new_uncleared("uint8_t[]", max(1, self.size))
        return block, ffi.cast("uint8_t *", block)

    def batch(self, rows, block, n, owner, view=None):
        """An iterator of n rows, of the class `rows`, that C has written to a block."""
        return Batch(rows, address_of(self.cells), len(self.fields), address_of(block), n, owner, (self, block), view)

    def as_rows(self, dtype):
        """The cells of a structured array of numpy's."""
        cells = ffi.new("struct fcpy_cell[]", max(1, len(self.fields)))
        for cell, field, name in zip(cells, self.fields, self.names):
            cell.field, cell.cell, cell.size = field.number, field.cell, field.size
            cell.stride, cell.off = dtype.itemsize, dtype.fields[name][1]
        return cells


_AS = {"raw": lib.FCPY_AS_RAW, "number": lib.FCPY_AS_NUMBER}


def give_attributes(rows, fields, missing):
    """Gives a class of rows an attribute a field; of addresses also as bytes, of names also the number."""
    kind = fields["kind"].number
    for name, field in fields.items():
        forms = {lib.FC_CELL_ADDR: ["raw"], lib.FC_CELL_MAC: ["raw"], lib.FC_CELL_PROTO: ["number"], lib.FC_CELL_STATE: ["number"]}
        if field.cell != BYTES:
            attribute(rows, name, lib.FCPY_AS_TEXT, missing, field.number, kind, 0)
        for form in forms.get(field.cell, []):
            base = name[:-len("_addr")] if name.endswith("_addr") else name
            attribute(rows, base + "_" + form, _AS[form], missing, field.number, kind, 0)
            if field.cell == lib.FC_CELL_ADDR:
                setattr(rows, base + "_ip", _ip(base + "_raw"))


def _ip(name):
    def get(self):
        raw = getattr(self, name)
        return None if raw is None or len(raw) == 6 else ipaddress.ip_address(raw)
    return property(get)


def proto_name(number):
    """The name of a protocol as sessions have it ("tcp", "0x88cc"), by its number."""
    buffer = ffi.new("char[]", lib.FC_TEXT_MAX)
    end = lib.fc_text_proto(buffer, number)
    return ffi.buffer(buffer, end - buffer)[:].decode()


def numpy():
    try:
        import numpy
    except ImportError as e:
        raise ImportError("this takes numpy, which is not installed (python3-numpy, or pip install numpy); rows one by one and"
                          " __arrow_c_stream__() do without it") from e
    return numpy


def addresses(column):
    """The addresses of a column of a structured array as text.

    column: array of shape (n,) of 16 bytes each, as fields() and to_numpy() have them: IPv6, and IPv4 as ::ffff:0:0/96.
    Gives an array of shape (n,) of str. Link addresses, of rows whose `kind` is 1, are not told from IPv6.
    """
    np = numpy()
    column = np.asarray(column)
    if column.dtype.itemsize != 16 or column.ndim != 1:
        raise UsageError("addresses() takes a column of 16 bytes each")
    column = np.ascontiguousarray(column)
    out = new_uncleared("char[]", len(column) * lib.FCPY_TEXT + 1)
    length = lib.fcpy_addr_texts(base_of(column), 16, ffi.NULL, 0, len(column), out)
    return np.array(ffi.buffer(out, length)[:].decode().split("\n")[:-1], dtype=object)


def read_all(dtype, read):
    """An array of all rows; read(base, room) writes up to so many behind a pointer and gives their number, 0 at the end."""
    array, used = numpy().empty(max(1, min(65536, (16 << 20) // dtype.itemsize)), dtype), 0
    while True:
        if used == len(array):
            array.resize(2 * used, refcheck=False)  # by realloc(), which moves no bytes of large ones
        n = read(base_of(array) + used * dtype.itemsize, len(array) - used)
        if not n:
            array.resize(used, refcheck=False)
            return array
        used += n


def address_of(pointer):
    return int(ffi.cast("uintptr_t", pointer))


def base_of(array):
    """Where the values of an array begin; the array must stay meanwhile."""
    return ffi.cast("uint8_t *", array.__array_interface__["data"][0])


def names_of(text):
    """The names in "a b,c" or in a list."""
    names = text.replace(",", " ").split() if isinstance(text, str) else list(text)
    if len(set(names)) != len(names):
        raise usage("a field is named twice: %s" % " ".join(names))
    return names
