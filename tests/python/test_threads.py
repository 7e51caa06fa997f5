# SPDX-License-Identifier: MIT
"""Threads on one handle, what is left behind, and loops that are left early."""
import collections
import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc

import flowcarve as fc
import pytest
import support as s
from conftest import descriptors


def in_threads(many, work):
    failed = []

    def call(n):
        try:
            work(n)
        except BaseException as e:
            failed.append(e)
    threads = [threading.Thread(target=call, args=(n,)) for n in range(many)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def test_a_capture_is_shared(made):
    """Each packet goes to one thread."""
    capture, seen = fc.Capture(made[0]), [[] for _ in range(6)]

    def take(n):
        while True:  # leave loops as well
            for i, p in enumerate(capture):
                seen[n].append((p.offset, p.src, len(p.data)))
                if i == 700:
                    break
            else:
                return
    in_threads(6, take)
    want = [(p.offset, p.src, len(p.data)) for p in fc.Capture(made[0])]
    assert sorted(x for part in seen for x in part) == sorted(want)


def test_fields_are_shared(made):
    fields, seen = fc.Capture(made[0]).fields("offset", batch=100), collections.Counter()
    in_threads(4, lambda n: consume(fields, seen))
    assert set(seen.values()) == {1} and len(seen) == sum(1 for _ in fc.Capture(made[0]))


def consume(fields, seen):
    lists = [a["offset"].tolist() for a in fields]
    for values in lists:
        seen.update(values)


def test_an_index_is_shared(index):
    want = [x.id for x in index.query()]
    packets = sum(1 for _ in index.packets("tcp"))

    def ask(n):
        assert [x.id for x in index.query()] == want
        assert index.count() == len(want) == len(index.query().to_numpy("id"))
        assert sum(1 for _ in index.packets("tcp")) == packets
        for stream in index.streams("id 7", gaps="skip"):
            stream.client.read()
        assert index.top("client")[0].sessions > 0
    in_threads(4, ask)


def test_closing_under_others(db, made):
    """Whoever reads gets an error, nothing worse."""
    for _ in range(10):
        index, capture = fc.open(db), fc.Capture(made[0])

        def read(n):
            try:
                while True:
                    for x in index.query():
                        x.id
                    for p in index.packets("tcp"):
                        p.data
                    for p in capture:
                        p.data
                    capture.rewind()
            except fc.UsageError as e:
                assert "closed" in str(e)
        threads = [threading.Thread(target=read, args=(n,)) for n in range(3)]
        for t in threads:
            t.start()
        time.sleep(0.02)
        index.close()
        capture.close()
        for t in threads:
            t.join()


def test_the_lock_of_the_interpreter_is_released(tmp_path, made):
    """While C works other threads run: one counts on."""
    counted, end = [0], threading.Event()

    def count():
        while not end.is_set():
            counted[0] += 1
    thread = threading.Thread(target=count)
    thread.start()
    try:
        before, start = counted[0], time.monotonic()
        with fc.open(tmp_path / "x.db") as index:
            index.index(made)
        assert counted[0] - before > 100 * (time.monotonic() - start)
    finally:
        end.set()
        thread.join()


def leave_early(db, made):
    """All that can be left in the middle, and what fails."""
    with fc.open(db) as index:
        for session in index.query():
            for p in session.packets():
                break
            for piece in session.follow():
                break
            session.follow(gaps="skip").client.read(1)
            break
        for stream in index.streams("tcp"):
            break
        for row in index.query("tcp", sort="bytes"):
            break
        next(index.query().batches("id"))
        index.query().to_numpy("id")
        index.packets("tcp")
    fc.open(db).count()
    iter(fc.open(db).query()).__next__()
    for p in fc.Capture(made[0]):
        break
    with open(made[0], "rb") as f:
        next(iter(fc.Capture(f)))
        next(fc.Capture(f.read()).fields("len"))
    for wrong in (lambda: fc.Capture(__file__), lambda: fc.open(__file__).count(), lambda: fc.open(db).query("colour"),
                  lambda: fc.open(db).index(__file__), lambda: fc.open(db).carve("/nowhere/x.pcap")):
        with pytest.raises(fc.Error):
            wrong()


def test_nothing_stays_open(db, made):
    leave_early(db, made)
    gc.collect()
    before = descriptors()
    for _ in range(5):
        leave_early(db, made)
    gc.collect()
    assert descriptors() == before
    assert [t.name for t in threading.enumerate() if t.name == "flowcarve"] == []


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_no_memory_stays(db, made):
    for _ in range(5):
        leave_early(db, made)
    gc.collect()
    tracemalloc.start()
    try:
        first, rss = tracemalloc.take_snapshot(), resident()
        for _ in range(10):
            leave_early(db, made)
        gc.collect()
        ours = [d for d in tracemalloc.take_snapshot().compare_to(first, "filename") if "/flowcarve/" in d.traceback[0].filename]
    finally:
        tracemalloc.stop()
    assert sum(d.size_diff for d in ours) < 20000, ours
    if "FLOWCARVE_SANITIZE" not in os.environ:  # AddressSanitizer keeps what is freed for a while
        assert resident() - rss < 8 << 20  # of C's


@pytest.mark.skipif("FLOWCARVE_SANITIZE" in os.environ, reason="AddressSanitizer keeps what is freed for a while")
def test_a_large_capture_takes_little_memory(tmp_path):
    """Nothing loads a whole file, in whatever way it is read."""
    path = tmp_path / "large.pcap"
    packet = s.udp("1.1.1.1", 7, "2.2.2.2", 53, b"x" * 1400)
    path.write_bytes(s.pcap_bytes([(s.T0 + i, packet) for i in range(50000)]))  # 73 MB
    code = """if True:
        import re, sys
        import flowcarve as fc
        for p in fc.Capture(sys.argv[1]): pass
        class F:
            def __init__(self, f): self.f = f
            def read(self, n=-1): return self.f.read(n)
        n = sum(1 for p in fc.Capture(F(open(sys.argv[1], "rb"))))
        for a in fc.Capture(sys.argv[1]).fields("ts_ns src len", batch=1000): n += len(a)
        print(n, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
    """
    n, kib = map(int, subprocess.run([sys.executable, "-B", "-c", code, str(path)], capture_output=True, check=True).stdout.split())
    assert n == 100000 and kib < 60000


def test_ctrl_c_ends_a_long_call(db):
    """As the main thread alone is told of it, and would be in C."""
    code = """if True:
        import os, signal, sys, threading, time
        import flowcarve as fc
        from flowcarve import _handles
        stop = _handles.Stop()
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        def wait():
            while not stop.pointer[0]: time.sleep(0.01)
        try:
            _handles.run(wait, stop)
        except KeyboardInterrupt:
            print("interrupted")
    """
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, timeout=20)
    assert done.stdout == b"interrupted\n", done.stderr


def test_a_callback_that_collects_garbage_does_not_wait_for_itself(db, tmp_path):
    """What is collected in a callback belongs to an index whose lock the call has that tells: it is closed later."""
    index = fc.open(db)
    loop = [iter(index.query())]
    next(loop[0])

    def progress(now):
        loop.clear()
        gc.collect()
    done = []
    thread = threading.Thread(target=lambda: done.append(index.carve(tmp_path / "x.pcap", progress=progress)), daemon=True)
    thread.start()
    thread.join(30)
    assert done and done[0].packets == 20000
    index.close()


def test_a_process_that_ends_in_the_middle(db, made):
    """Whatever is open at the end of an interpreter, it ends without a word."""
    code = """if True:
        import sys
        import flowcarve as fc
        index = fc.open(sys.argv[1])
        rows, packets, capture = iter(index.query()), iter(index.packets()), iter(fc.Capture(sys.argv[2]))
        kept = [next(rows), next(packets), next(capture), next(iter(index.streams("tcp")))]
    """
    done = subprocess.run([sys.executable, "-B", "-c", code, db, made[0]], capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
