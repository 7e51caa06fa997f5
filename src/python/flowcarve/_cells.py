# SPDX-License-Identifier: MIT
"""Columns of values, as C writes them, and what becomes of them in Python: numbers, texts, addresses; numpy's types."""
import functools
import ipaddress
import itertools

from ._errors import UsageError, usage
from ._flowcarve import ffi, lib

TIME_NONE = -2 ** 63
SMALL, U32, BYTE, FROM, BYTES = (lib.FCPY_CELL_SMALL, lib.FCPY_CELL_U32, lib.FCPY_CELL_BYTE, lib.FCPY_CELL_FROM,
                                 lib.FCPY_CELL_BYTES)

# what a cell is in C, and in numpy
_TYPES = {
    lib.FC_CELL_ID: ("int64_t *", "i8"), lib.FC_CELL_TIME: ("int64_t *", "i8"), lib.FC_CELL_COUNT: ("uint64_t *", "u8"),
    lib.FC_CELL_NUMBER: ("int64_t *", "i8"), lib.FC_CELL_PORT: ("int32_t *", "i4"), lib.FC_CELL_PROTO: ("uint32_t *", "u4"),
    lib.FC_CELL_KIND: ("uint8_t *", "u1"), lib.FC_CELL_STATE: ("int8_t *", "i1"), lib.FC_CELL_ADDR: (None, "V16"),
    lib.FC_CELL_MAC: (None, "V6"), lib.FC_CELL_TEXT: (None, "S%d"), U32: ("uint32_t *", "u4"), SMALL: ("int16_t *", "i2"),
    BYTE: ("uint8_t *", "u1"), FROM: ("uint8_t *", "u1"), BYTES: (None, "V%d"),
}
_NULLABLE = {lib.FC_CELL_NUMBER, lib.FC_CELL_PORT, SMALL}
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
        kind = _TYPES[self.cell][1]
        return kind % self.size if "%d" in kind else kind


class Layout:
    """Where the values of fields go: each field a column of its own, or rows of all."""

    def __init__(self, fields, room, names=None):
        """Columns one behind the other, room values each."""
        self.fields, self.room = list(fields), room
        self.names = list(names or (f.name for f in fields))
        self.cells = ffi.new("struct fcpy_cell[]", len(self.fields))
        self.place, off = {}, 0
        for cell, field, name in zip(self.cells, self.fields, self.names):
            cell.field, cell.cell, cell.size, cell.stride, cell.off = field.number, field.cell, field.size, field.size, off
            self.place[name] = (field, off)
            off += (field.size * room + 7) // 8 * 8
        self.size = off

    def as_rows(self, dtype):
        """The cells of a structured array of numpy's."""
        cells = ffi.new("struct fcpy_cell[]", max(1, len(self.fields)))
        for cell, field, name in zip(cells, self.fields, self.names):
            cell.field, cell.cell, cell.size = field.number, field.cell, field.size
            cell.stride, cell.off = dtype.itemsize, dtype.fields[name][1]
        return cells


class Batch:
    """Some rows as C has written them. Columns become lists when they are asked for."""

    __slots__ = ("block", "base", "n", "layout", "lists", "owner", "view", "__weakref__")

    def __init__(self, layout, owner):
        self.block = new_uncleared("uint8_t[]", max(1, layout.size))
        self.base = ffi.cast("uint8_t *", self.block)
        self.n, self.layout, self.owner, self.lists, self.view = 0, layout, owner, {}, None

    def column(self, name):
        """The values of a column as a list; KeyError: there is none of this name."""
        values = self.lists.get(name)
        if values is None:
            base, _, form = name.rpartition("_")
            derived = form in _DERIVED and name not in self.layout.place
            values = getattr(self, form)(base) if derived else self._read(name)
            self.lists[name] = values
        return values

    def _read(self, name):
        field, off = self.layout.place[name]
        at, n, cell = self.base + off, self.n, field.cell
        if cell == lib.FC_CELL_ADDR:
            kind = self.base + self.layout.place["kind"][1]
            out, index = new_uncleared("char[]", n * lib.FCPY_TEXT + 1), new_uncleared("uint16_t[]", n)
            texts = _split(out, lib.fcpy_distinct_addr_texts(at, 16, kind, 1, n, index, out))
            return list(map(texts.__getitem__, ffi.unpack(index, n)))
        if cell == lib.FC_CELL_MAC:
            out = new_uncleared("char[]", n * lib.FCPY_TEXT + 1)
            return _split(out, lib.fcpy_mac_texts(at, 6, n, out))
        if cell == lib.FC_CELL_TEXT:
            out = new_uncleared("char[]", n * (field.size + 1) + 1)
            return _split(out, lib.fcpy_texts(at, field.size, field.size, n, out))
        values = ffi.unpack(ffi.cast(_TYPES[cell][0], at), n)
        if cell in _NULLABLE:
            return [None if v < 0 else v for v in values] if lib.fcpy_has_none(at, cell, n) else values
        if cell == lib.FC_CELL_TIME:
            return [None if v == TIME_NONE else v for v in values] if lib.fcpy_has_none(at, cell, n) else values
        if cell == lib.FC_CELL_PROTO:
            return list(map(_PROTOCOLS.__getitem__, values))
        if cell == lib.FC_CELL_STATE:
            return [STATES.get(v) for v in values]
        if cell == FROM:
            return [DIRECTIONS[v] for v in values]
        return values

    def raw(self, name):
        """Addresses or link addresses as bytes, 4, 16 or 6 each; None: there is none."""
        field, off = self.layout.place[name]
        data = ffi.buffer(self.base + off, self.n * field.size)
        if field.cell == lib.FC_CELL_MAC:
            return [None if v == b"\0" * 6 else v for v in (data[i:i + 6] for i in range(0, self.n * 6, 6))]
        kinds = ffi.unpack(self.base + self.layout.place["kind"][1], self.n)
        return [_ADDRESS[kind](data, 16 * i) for i, kind in enumerate(kinds)]

    def ip(self, name):
        """Addresses as ipaddress.IPv4Address or IPv6Address; None: it is no IP."""
        return [ipaddress.ip_address(v) if v is not None and len(v) != 6 else None for v in self.raw(name)]

    def number(self, name):
        """The number behind a name, as of protocols."""
        field, off = self.layout.place[name]
        return ffi.unpack(ffi.cast(_TYPES[field.cell][0], self.base + off), self.n)


_DERIVED = ("raw", "ip", "number")  # methods of a batch
_ADDRESS = {
    lib.FC_ADDR_NONE: lambda data, at: None,
    lib.FC_ADDR_IPV4: lambda data, at: data[at + 12:at + 16],
    lib.FC_ADDR_IPV6: lambda data, at: data[at:at + 16],
    lib.FC_ADDR_MAC: lambda data, at: data[at:at + 6],
}


def _split(out, length):
    data = ffi.buffer(out, length)[:]
    texts = data.decode(errors="replace").split("\n")
    texts.pop()
    return [t or None for t in texts] if data.startswith(b"\n") or b"\n\n" in data else texts


@functools.lru_cache(256)
def _with_values(base, names):
    """A subclass whose rows have values of some columns of their own: reading one of these is a tenth of a property's call."""
    code = "def __init__(self, batch, at, %s):\n    self._batch, self._at = batch, at\n" % ", ".join("v_" + n for n in names)
    code += "".join("    self.%s = v_%s\n" % (n, n) for n in names)
    made = {}
    exec(code, made)
    return type(base.__name__, (base,), {"__slots__": names, "__init__": made["__init__"], "__module__": base.__module__,
                                         "__doc__": base.__doc__})


def rows_of(base, batch, left, like):
    """An iterator of objects for the rows that `left` numbers. like: the batch before: what was asked of that, these have at hand."""
    names = tuple(sorted(n for n in like.lists if n in base._plain)) if like else ()
    if not names:
        return map(base, itertools.repeat(batch), left)
    return map(_with_values(base, names), itertools.repeat(batch), left, *map(batch.column, names))


class _Protocols(dict):
    def __missing__(self, number):
        name = proto_name(number)
        if len(self) < 4096:  # what is in captures is anybody's
            self[number] = name
        return name


def proto_name(number):
    """The name of a protocol as sessions have it ("tcp", "0x88cc"), by its number."""
    buffer = ffi.new("char[]", lib.FC_TEXT_MAX)
    end = lib.fc_text_proto(buffer, number)
    return ffi.buffer(buffer, end - buffer)[:].decode()


_PROTOCOLS = _Protocols()


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


def base_of(array):
    """Where the values of an array begin; the array must stay meanwhile."""
    return ffi.cast("uint8_t *", array.__array_interface__["data"][0])


def names_of(text):
    """The names in "a b,c" or in a list."""
    names = text.replace(",", " ").split() if isinstance(text, str) else list(text)
    if len(set(names)) != len(names):
        raise usage("a field is named twice: %s" % " ".join(names))
    return names
