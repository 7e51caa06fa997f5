# SPDX-License-Identifier: MIT
"""Sessions as arrays and data frames, against the same sessions as rows."""
import flowcarve as fc
import numpy as np
import pytest

NAMES = "id start_ns end_ns duration_ns proto kind client_addr client_port server_packets client_bytes state vlan client_mac client_ttl community_id"


def cell(session, name):
    """What a row has, as arrays have it."""
    if name.endswith("_addr"):
        raw = getattr(session, name[:-5] + "_raw") or b""
        return (b"\0" * 10 + b"\xff\xff" + raw if len(raw) == 4 else raw).ljust(16, b"\0")
    if name.endswith("_mac"):
        return getattr(session, name + "_raw") or bytes(6)
    if name in ("vlan", "community_id"):
        return (getattr(session, name) or "").encode()
    value = getattr(session, name + "_number" if name in ("proto", "state") else name)
    return (-2 ** 63 if name.endswith("_ns") and name != "duration_ns" else -1) if value is None else value


@pytest.mark.parametrize("words", ["", "tcp", "arp or icmp"])
def test_arrays_are_the_rows(index, words):
    array = index.query(words).to_numpy(NAMES)
    rows = list(index.query(words))
    assert array.shape == (len(rows),) and array.dtype.names == tuple(NAMES.split())
    for got, session in zip(array.tolist(), rows):
        for name, value in zip(NAMES.split(), got):
            assert (bytes(value) if isinstance(value, (bytes, np.void)) else value) == cell(session, name), (session, name)


def test_all_columns(index):
    array = index.query().to_numpy()
    assert len(array.dtype.names) == 31 and array["id"].tolist() == [x.id for x in index.query()]
    assert fc.addresses(index.query("ip").to_numpy()["client_addr"]).tolist() == [x.client_addr for x in index.query("ip")]


def test_batches_and_none(index):
    parts = list(index.query().batches("id", batch=37))
    assert all(1 <= len(p) <= 37 for p in parts) and np.concatenate(parts)["id"].tolist() == [x.id for x in index.query()]
    empty = index.query("port 1 and port 2").to_numpy("id client_addr")
    assert empty.shape == (0,) and empty.dtype.names == ("id", "client_addr")
    assert list(index.query("port 1 and port 2")) == []
    assert len(index.query(limit=5).to_numpy("id")) == 5


@pytest.mark.parametrize("names", ["colour", "id id"])
def test_names_that_are_none(index, names):
    with pytest.raises(fc.UsageError):
        index.query().to_numpy(names)


def test_data_frames(index):
    pd = pytest.importorskip("pandas")
    frame, rows = index.query().to_pandas(), list(index.query())
    assert len(frame) == len(rows)
    for name in ("id", "client_addr", "proto", "state", "client_bytes", "vlan", "client_mac"):
        assert [None if v is pd.NA or v != v else v for v in frame[name].tolist()] == [getattr(x, name) for x in rows], name
    assert [None if v is pd.NA else v for v in frame.client_port.tolist()] == [x.client_port for x in rows]
    assert frame.start_ns[0] == pd.Timestamp(rows[0].start_ns, unit="ns", tz="UTC")
    few = index.query("tcp").to_pandas("server_addr client_bytes")
    assert list(few.columns) == ["server_addr", "client_bytes"]
    assert few.groupby("server_addr").client_bytes.sum().max() == max(t.received_bytes for t in index.top("server", "tcp"))
    assert len(index.query("port 1 and port 2").to_pandas()) == 0
