# SPDX-License-Identifier: MIT
"""An index that is kept up to date while captures come: how long until one is visible, and what that costs."""
import concurrent.futures
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import time

from . import peers
from .additions import number, verified
from .capture import Index, Wrong
from .process import Run, have, warm

FILES = 100
PACKETS = 200        # of each
SETTLE_S = 30        # for what is to happen within a second
IDLE_S = 5


class Watch:
    """A watch that is running for an index."""

    def __init__(self, bench, db, folder, *options):
        self.log = open(bench.scratch("watch.log"), "wb")
        self.p = subprocess.Popen([bench.flowcarve, "watch", "-q", "-j2", "-d", db, *options, folder], stdin=subprocess.DEVNULL,
                                  stdout=self.log, stderr=self.log)
        self.db = db
        self.sql = None

    def cpu(self):
        with open("/proc/%d/stat" % self.p.pid, "rb") as f:
            return sum(map(int, f.read().rsplit(b")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def files(self):
        """How many captures somebody sees who asks now."""
        try:
            if not self.sql:
                self.sql = sqlite3.connect("file:%s?mode=ro" % self.db, uri=True, isolation_level=None)
            return self.sql.execute("SELECT count(*) FROM files").fetchone()[0]
        except sqlite3.OperationalError:  # there is none yet
            self.sql = None
            return 0

    def until(self, count):
        end = time.monotonic() + SETTLE_S
        while self.files() < count:
            if time.monotonic() > end or self.p.poll() is not None:
                raise Wrong("watch: %d captures are visible, and must be %d" % (self.files(), count))
            time.sleep(.001)

    def end(self):
        self.p.send_signal(signal.SIGTERM)
        start = time.monotonic()
        status = self.p.wait()
        if self.sql:
            self.sql.close()
        self.log.close()
        if status != 0:
            raise Wrong("watch: ended with %d" % status)
        return time.monotonic() - start


def come(bench, name, c, what, options, pause_s):
    """Each capture is written and closed; the next one comes when it is visible, and some time has passed."""
    folder, db = bench.scratch("folder"), bench.scratch("watch.db")
    for path in folder, db:
        shutil.rmtree(path, True) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
    os.mkdir(folder)
    shutil.copy(c.files[0], folder)
    w = Watch(bench, db, folder, *options)
    try:
        w.until(1)
        time.sleep(2)
        before, waits = w.cpu(), []
        for i, path in enumerate(c.files[1:], 2):
            with open(path, "rb") as f:
                data = f.read()
            with open(os.path.join(folder, os.path.basename(path)), "wb") as f:
                f.write(data)
            closed = time.monotonic()
            w.until(i)
            waits.append(time.monotonic() - closed)
            bench.report.value(name, "%s: visible after" % what, waits[-1] * 1000, "ms")
            time.sleep(pause_s(i))
        cpu = (w.cpu() - before) / len(waits)
        before = w.cpu()
        time.sleep(IDLE_S)
        idle = (w.cpu() - before) / IDLE_S
    finally:
        ended = w.end()
    index = Index(db)
    index.check(c)
    index.close()
    verified(bench, name, db)
    row = bench.report.row
    row(name, "%s: visible after, median" % what, statistics.median(waits), "s",
        note="%d captures of %d packets; the longest %.3f s" % (len(waits), PACKETS, max(waits)))
    row(name, "%s: CPU a capture" % what, cpu, "s", note="idle: %.2f %% of a CPU; SIGTERM to the end: %.3f s" % (100 * idle, ended))


def watch(bench, name):
    """100 small captures that come one by one: when nothing has come for a while, and while others come."""
    c = bench.capture("mix", 1, name, ["--bytes", "0", "--packets", str(PACKETS * FILES), "--sessions", str(10 * FILES), "--files",
                                       str(FILES)])
    bench.say("%s: %s captures" % (name, number(len(c.files))))
    come(bench, name, c, "a capture after a pause", ["--commit", "100ms"], lambda i: .2)
    # by the default of a second each waits for its turn: at all times of that second
    come(bench, name, c, "captures at any time, a commit a second", [], lambda i: (i * 37 % 100) / 100)


def feed(bench, c, folder, threads):
    def call():
        shutil.rmtree(folder, True)
        os.mkdir(folder)
        r = Run([bench.fcfeed, "-d", os.path.join(folder, "x.db"), "-w", folder, "-t", str(threads), c.path],
                stdout=bench.scratch("fed"))
        if r.status == 0:  # what it says is from when all was in memory
            with open(bench.scratch("fed"), encoding="ascii") as f:
                packets, _, wall, r.cpu, dropped, r.commits, r.longest = map(float, f.read().split())
            r.wall = wall
            if packets != c.packets or dropped:
                raise Wrong("record: %d packets, %d dropped, and must be %d" % (packets, dropped, c.packets))
        return r
    return call


def record(bench, name):
    """Packets out of memory into files and a committed index, with as many as there is room for, and none dropped."""
    for preset in "mix", "small":
        c = bench.capture(preset, bench.args.scale * .2)
        warm(c.files)
        folder, db = bench.scratch("recorded"), bench.scratch("peer.db")
        bench.say("%s: %s" % (name, preset))
        commands = {"1 thread": feed(bench, c, folder, 1), "2 threads": feed(bench, c, folder, 2),
                    "index of the file": bench.index(db, [c.path], "-j2")}
        if have("tcpdump"):
            commands["tcpdump"] = lambda: Run(peers.tcpdump("-r", c.path, "-w", bench.scratch("copy.pcap")))
        t = bench.times("%s %s" % (name, preset), commands)
        index = Index(os.path.join(folder, "x.db"))
        got = index.one("SELECT (SELECT sum(records) FROM files), (SELECT count(*) FROM session)")
        index.close()
        if got != (c.packets, c.sessions):
            raise Wrong("record: %d packets of %d sessions, and must be %d of %d" % (*got, c.packets, c.sessions))
        verified(bench, name, os.path.join(folder, "x.db"))
        for what in "1 thread", "2 threads":
            last = t[what].runs[-1]
            bench.report.row(name, "%s, %s that feeds" % (preset, what) if what[0] == "1" else "%s, %s that feed" % (preset, what),
                             t[what].wall, "s", "tcpdump -r FILE -w COPY" if "tcpdump" in t else "",
                             t["tcpdump"].wall if "tcpdump" in t else None,
                             note="%.2f M packets/s; CPU a packet %.2f us; %d commits, the longest %.2f s; index of the file, 2 threads: %.2f s"
                             % (c.packets / t[what].wall / 1e6, last.cpu / c.packets * 1e6, last.commits, last.longest / 1e3,
                                t["index of the file"].wall))


READERS, BESIDE_S = 8, 60
QUESTIONS = {"query a host": ["query", "--limit", "20", "host 10.0.0.5"], "count a port": ["query", "-c", "port 443"],
             "top": ["top", "--by", "port", "--limit", "5"], "carve a session": ["carve", "-q", "-w", os.devnull, "--id", "7"],
             "follow a session": ["follow", "7"]}


def ask(bench, db, until, feeder, times, n):
    """Asks one thing after the other until the time is over."""
    names = sorted(QUESTIONS)
    while time.monotonic() < until and feeder.poll() is None:
        n += 1
        what = names[n * 7 % len(names)]
        command, *words = QUESTIONS[what]
        r = Run([bench.flowcarve, command, "-d", db, *words])
        if r.status not in (0, 1):
            raise Wrong("beside: %s: %s" % (what, r.text[-300:]))
        times.append((what, r.wall))


def beside(bench, name):
    """Eight readers in a loop for a minute, while packets are recorded and committed each second."""
    c = bench.capture("mix", .6 * bench.args.scale)
    folder = bench.scratch("recorded")
    os.mkdir(folder)
    db, times = os.path.join(folder, "x.db"), []
    bench.say("%s: %d readers" % (name, READERS))
    feeder = subprocess.Popen([bench.fcfeed, "-d", db, "-w", folder, "-p", "1", c.path], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(db):
            time.sleep(.05)
        until = time.monotonic() + BESIDE_S
        with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
            for reader in [pool.submit(ask, bench, db, until, feeder, times, n) for n in range(READERS)]:
                reader.result()
    finally:
        feeder.kill()
        feeder.wait()
    packets = Index(db).one("SELECT sum(records) FROM files")[0]
    for what in sorted(QUESTIONS):
        walls = sorted(w for q, w in times if q == what)
        bench.report.row(name, "%s, median" % what, statistics.median(walls), "s",
                         note="%d times; 99 of 100 within %.3f s, the longest %.3f s" % (len(walls), walls[len(walls) * 99 // 100], walls[-1]))
    bench.report.note("beside: %s packets were recorded and indexed meanwhile; no question failed" % number(packets))
