# SPDX-License-Identifier: MIT
"""Arrays as data frames of pandas."""
from ._cells import BYTES, DIRECTIONS, FROM, SMALL, STATES, new_uncleared, numpy, proto_name
from ._flowcarve import ffi, lib


def _pandas():
    try:
        import pandas
    except ImportError as e:
        raise ImportError("this takes pandas, which is not installed (python3-pandas, or pip install pandas)") from e
    return pandas


def _pointer(column):
    return ffi.cast("uint8_t *", column.__array_interface__["data"][0])


def _texts(out, length):
    return [t or None for t in ffi.buffer(out, length)[:].decode(errors="replace").split("\n")[:-1]]


def _addresses(column, kinds):
    out = new_uncleared("char[]", len(column) * lib.FCPY_TEXT + 1)
    return _texts(out, lib.fcpy_addr_texts(_pointer(column), column.strides[0], _pointer(kinds), kinds.strides[0], len(column), out))


def _macs(column):
    out = new_uncleared("char[]", len(column) * lib.FCPY_TEXT + 1)
    return _texts(out, lib.fcpy_mac_texts(_pointer(column), column.strides[0], len(column), out))


def _named(column, name_of):
    """A column of few numbers as a categorical one of their names."""
    np, pd = numpy(), _pandas()
    values, codes = np.unique(column, return_inverse=True)
    names = [name_of(int(v)) for v in values]
    known = list(dict.fromkeys(n for n in names if n is not None))
    place = np.array([known.index(n) if n is not None else -1 for n in names], dtype="i4")
    return pd.Categorical.from_codes(place[codes], known)


def _column(array, field, name, kinds):
    np, pd = numpy(), _pandas()
    column, cell = array[name], field.cell
    if cell == lib.FC_CELL_TIME:
        return pd.Series(np.ascontiguousarray(column).view("datetime64[ns]")).dt.tz_localize("UTC")
    if cell in (lib.FC_CELL_NUMBER, lib.FC_CELL_PORT, SMALL):
        column = np.ascontiguousarray(column)
        return pd.arrays.IntegerArray(np.where(column < 0, column.dtype.type(0), column), column < 0)
    if cell == lib.FC_CELL_ADDR:
        return pd.Series(_addresses(column, kinds), dtype=object)
    if cell == lib.FC_CELL_MAC:
        return pd.Series(_macs(column), dtype=object)
    if cell == lib.FC_CELL_PROTO:
        return _named(column, proto_name)
    if cell == lib.FC_CELL_STATE:
        return _named(column, STATES.get)
    if cell == FROM:
        return _named(column, DIRECTIONS.__getitem__)
    if cell == lib.FC_CELL_TEXT:
        return pd.Series([t.decode(errors="replace") or None for t in column.tolist()], dtype=object)
    if cell == BYTES:
        return pd.Series([bytes(v) for v in column], dtype=object)
    return np.ascontiguousarray(column)


def _frame(array, fields, names, kind):
    return _pandas().DataFrame({n: _column(array, f, n, array[kind] if kind else None) for f, n in zip(fields, names)})


def sessions_frame(query, columns):
    from ._sessions import COLUMNS
    _pandas()
    array = query.to_numpy(columns)
    names = list(array.dtype.names)
    if any(COLUMNS[n].cell == lib.FC_CELL_ADDR for n in names) and "kind" not in names:
        array = query.to_numpy(names + ["kind"])
    return _frame(array, [COLUMNS[n] for n in names], names, "kind" if "kind" in array.dtype.names else None)


def packets_frame(reader):
    from ._packets import KIND
    _pandas()
    fields, names = list(reader._fields), list(reader._names)
    wants_kind = any(f.cell == lib.FC_CELL_ADDR for f in fields) and "kind" not in names
    if wants_kind:
        reader._add(KIND)
    array = reader.to_numpy()
    return _frame(array, fields, names, "kind" if "kind" in array.dtype.names else None)
