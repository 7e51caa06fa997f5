# SPDX-License-Identifier: MIT
"""An index that is kept up to date while captures come: how long until one is visible, and what that costs."""
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import time

from .additions import number, verified
from .capture import Index, Wrong

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
