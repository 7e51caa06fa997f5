# SPDX-License-Identifier: MIT
"""Workloads of an index that is there already: what is added to it, what grows, what is forgotten, what it knows."""
import os
import shutil
import time

from .capture import PCAP_HEADER, Index, Wrong
from .process import Run, Times, warm

PIECE = 20000         # packets of a capture that is added
SMALL = 20000000      # packets of `small`
ONE_BY_ONE = 1000     # captures
KNOWN = 10000
SETTLED_S = 2.5       # older than that, the times of a file tell whether it is the same


def number(n):
    return "{:,}".format(n)


def verified(bench, name, db):
    r = Run([bench.flowcarve, "verify", "-q", "-d", db])
    if r.status != 0:
        raise Wrong("%s: verify ended with %d: %s" % (name, r.status, r.text[-500:]))


def checked(bench, name, db, capture):
    """Packets, bytes and sessions are those that the generator has made, wherever they have been added. What the index holds."""
    index = Index(db)
    held = index.check(capture)
    index.close()
    verified(bench, name, db)
    return held


def both(report, name, what, ours, peer_name, peer, note=""):
    """Two rows: wall time, and that of the processors, which other load changes less."""
    report.row(name, what, ours.wall, "s", peer_name, peer and peer.wall, ours.fsync, note)
    report.row(name, what + ": CPU", ours.cpu, "s", peer_name, peer and peer.cpu)


def adding(bench, name):
    """The last of the ten captures that make small, added to an index of the other nine, against indexing all ten anew; and one of
    the ten forgotten."""
    c = bench.capture("small", name=name, options=["--files", "10"])
    warm(c.files)
    most, db, whole, less = (bench.scratch(n + ".db") for n in ("most", "adding", "whole", "less"))
    bench.say("%s: index" % name)
    bench.index(most, c.files[:-1], "-j2")()

    def before(command):
        if command == "index the last":
            shutil.copyfile(most, db)
        elif command == "forget the first":
            shutil.copyfile(whole, less)
    t = bench.times(name, {"index the last": bench.index(db, c.files[-1:], "-j2", keep=True),
                           "index all": bench.index(whole, c.files, "-j2"),
                           "forget the first": lambda: Run([bench.flowcarve, "forget", "-q", "-d", less, c.files[0]])}, before=before)
    held = checked(bench, name, db, c)
    index, old = Index(db), Index(most)
    index.same_as(whole, added=True)
    had = old.one("SELECT count(*) FROM session")[0]
    index.close()
    old.close()
    last, every = t["index the last"], t["index all"]
    both(bench.report, name, "index the last of ten captures, 2 threads", last, "index all ten", every,
         "%s sessions new, added to %s" % (number(held["sessions"] - had), number(had)))
    bench.report.row(name, "the same: peak memory", last.rss, "MB", "index all ten", every.rss)
    index = Index(less)
    forgotten, records, rest = (index.one("SELECT %s FROM files WHERE id %s 1" % (what, how))[0]
                                for what, how in (("sum(forgotten)", "="), ("sum(records)", "="), ("sum(forgotten)", ">")))
    sessions = index.one("SELECT count(*) FROM session")[0]
    index.close()
    if forgotten != records or rest:
        raise Wrong("%s: %d packets of %d forgotten, and %d of other captures" % (name, forgotten, records, rest))
    verified(bench, name, less)
    both(bench.report, name, "forget the first of ten captures", t["forget the first"], "index all ten", every,
         "%s of %s sessions go" % (number(held["sessions"] - sessions), number(held["sessions"])))


def piece(bench, name):
    """20,000 packets that come last, when all sessions of small are open: as a capture of their own, and at the end of one that grows."""
    files = max(2, int(SMALL * bench.args.scale) // PIECE)
    c = bench.capture("small", name=name, options=["--files", str(files)])
    warm(c.files)
    most, db, grown = bench.scratch("most.db"), bench.scratch("piece.db"), bench.scratch("grown.pcap")
    bench.say("%s: index" % name)
    bench.index(most, c.files[:-1], "-j2")()
    old = Index(most)
    had, size = old.one("SELECT count(*) FROM session")[0], os.path.getsize(most)
    is_open = old.one("SELECT sum(entries) FROM open_batch")[0]
    old.close()
    bench.report.row(name, "fresh index: bytes a session, all in all", size / had, "B",
                     note="%s sessions, %s of them open" % (number(had), number(is_open)))
    t = bench.times(name, {"index 20,000 packets": bench.index(db, c.files[-1:], "-j2", keep=True)},
                    before=lambda _: shutil.copyfile(most, db))
    held = checked(bench, name, db, c)
    both(bench.report, name, "index a capture of %s packets, 2 threads" % number(c.packets // files), t["index 20,000 packets"], "", None,
         "%s sessions new, added to %s" % (number(held["sessions"] - had), number(had)))

    with open(grown, "wb") as out:
        for i, path in enumerate(c.files[:-1]):
            with open(path, "rb") as f:
                f.seek(PCAP_HEADER if i else 0)
                shutil.copyfileobj(f, out, 1 << 20)
    end = os.path.getsize(grown)
    with open(c.files[-1], "rb") as f:
        f.seek(PCAP_HEADER)
        rest = f.read()
    bench.index(most, [grown], "-j2")()

    def grow(_):
        shutil.copyfile(most, db)
        with open(grown, "r+b") as f:
            f.truncate(end)
            f.seek(end)
            f.write(rest)
    t = bench.times(name, {"index what has grown": bench.index(db, [grown], "-j2", keep=True)}, before=grow)
    index = Index(db)
    got = index.one("SELECT count(*), sum(client_packets + server_packets), (SELECT count(*) FROM files) FROM session")
    index.close()
    if got != (c.sessions, c.packets, 1):
        raise Wrong("%s: sessions, packets and files are %s, and must be %s" % (name, got, (c.sessions, c.packets, 1)))
    verified(bench, name, db)
    both(bench.report, name, "index a capture that has grown by as many", t["index what has grown"], "", None, "%.0f MB so far" % (end / 1e6))


def onebyone(bench, name):
    """1,000 captures of 20,000 packets, each indexed when it comes: the last hundred against the first."""
    files = max(20, int(ONE_BY_ONE * bench.args.scale))
    some = max(1, files // 10)
    c = bench.capture("mix", 1, "%s-%d" % (name, files),
                      ["--bytes", "0", "--packets", str(PIECE * files), "--sessions", "0", "--packets-per-session", "22",
                       "--sizes", "small", "--files", str(files)])
    warm(c.files)
    db = bench.scratch("onebyone.db")
    bench.say("%s: index" % name)
    runs = []
    for i, path in enumerate(c.files):
        r = bench.index(db, [path], "-j2", keep=True)()
        if r.status != 0:
            raise Wrong("%s: capture %d: %s" % (name, i, r.text[-500:]))
        bench.report.run(name, "index one more", i, r)
        runs.append(r)
    held = checked(bench, name, db, c)
    # the very first one makes the index
    both(bench.report, name, "index one more capture: the last %d, median" % some, Times(runs[-some:]), "the first %d behind the first" % some,
         Times(runs[1:some + 1]), "%d captures of %s packets, %s sessions in the end" % (files, number(PIECE), number(held["sessions"])))


def known(bench, name):
    """A run over 10,000 captures that the index knows."""
    files = max(100, int(KNOWN * bench.args.scale))
    c = bench.capture("small", 1, "%s-%d" % (name, files),
                      ["--packets", str(100 * files), "--sessions", str(25 * files), "--files", str(files)])
    time.sleep(SETTLED_S)
    db = bench.scratch("known.db")
    bench.say("%s: index" % name)
    bench.index(db, [c.path], "-j2")()
    t = bench.times(name, {"index what is known": bench.index(db, [c.path], "-j2", keep=True)})
    checked(bench, name, db, c)
    index = Index(db)
    writes = index.one("SELECT count(*) FROM run")[0]
    index.close()
    if writes != 1:
        raise Wrong("%s: %d runs have written, and must be 1" % (name, writes))
    both(bench.report, name, "index %s captures that are known" % number(files), t["index what is known"], "", None, "nothing is written")
