# SPDX-License-Identifier: MIT
"""Captures and indexes read from Python: ours, dpkt and scapy, each in an interpreter of its own, in turn."""
import json
import os
import subprocess
import tempfile

from .additions import number
from .capture import Wrong
from .process import Run, warm

INTERPRETER = "/usr/bin/python3"
READERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "readers.py")
PACKETS, SCAPY_PACKETS = 100000, 20000


class Reading(Run):
    """A way of reading; wall and cpu are what it takes without the start of the interpreter."""

    def __init__(self, way, path, most, package):
        with tempfile.NamedTemporaryFile() as out:
            words = ["env", "PYTHONPATH=" + package, INTERPRETER, "-B", READERS, way, path] + ([str(most)] if most else [])
            super().__init__(words, stdout=out.name)
            text = out.read()
        self.said = json.loads(text) if self.status == 0 else {"seconds": 0, "cpu": 0, "packets": 0, "total": 0}
        self.wall, self.cpu = self.said["seconds"], self.said["cpu"]


def has(module):
    return subprocess.run([INTERPRETER, "-c", "import " + module], capture_output=True).returncode == 0


def read(bench, name, ways, path):
    """Times of ways; {way: (packets, total)} of the last run."""
    said = {}

    def call(way, most):
        r = Reading(way, path, most, os.path.join(bench.args.build, "python"))
        said[way] = (r.said["packets"], r.said["total"])
        return r
    return bench.times(name, {way: lambda way=way, most=most: call(way, most) for way, most in ways.items()}), said


def captures(bench):
    """Flows of 22 packets and some 400 bytes each; and one in which nearly every packet has addresses of its own."""
    options = ["--packets", str(PACKETS), "--sizes", "60-800"]
    yield "", bench.capture("mix", 1, "python", options + ["--sessions", str(PACKETS // 22)])
    yield ", of a flow each", bench.capture("mix", 1, "python-flows", options)


def packets(bench, name, kind, c):
    warm(c.files)
    ways = {"one": 0, "batches": 0, "batches alone": 0, "large batches": 0}
    ways.update({"dpkt": 0} if has("dpkt") else {})
    ways.update({"scapy": SCAPY_PACKETS} if has("scapy.all") else {})
    bench.say("%s: %s packets, %.0f MB" % (name, number(c.packets), c.bytes / 1e6))
    t, said = read(bench, name + kind, ways, c.path)
    for way in ("batches", "dpkt"):
        if way in said and said[way] != said["one"]:
            raise Wrong("%s: %s has read %s, and one by one it is %s" % (name, way, said[way], said["one"]))
    if "scapy" in said:
        _, few = read(bench, name + kind + ", first packets", {"one": SCAPY_PACKETS}, c.path)
        if few["one"] != said["scapy"]:
            raise Wrong("%s: scapy has read %s, and we %s" % (name, said["scapy"], few["one"]))
    each = {way: t[way].cpu / said[way][0] * 1e9 for way in said}
    for ours, what in (("batches alone", "CPU of a packet%s, in batches into numpy"), ("large batches", "the same%s, batches of 65,536"),
                       ("batches", "the same%s, added up by numpy"), ("one", "CPU of a packet%s, one by one")):
        for peer in ("dpkt", "scapy"):
            if peer in each:
                bench.report.row(name, what % kind, each[ours], "ns", peer, each[peer],
                                 note="%s and %s k packets/s; %.0f MB" % (number(int(1e6 / each[ours])), number(int(1e6 / each[peer])),
                                                                          c.bytes / 1e6))


def sessions(bench, name):
    c = bench.capture("small")
    db = bench.scratch("python.db")
    r = bench.index(db, [c.path], "-j2")()
    if r.status != 0:
        raise Wrong("%s: index ended with %d" % (name, r.status))
    t, said = read(bench, name, {"five": 0, "all": 0, "sqlite3": 0}, db)
    if len(set(said.values())) != 1 or said["five"][0] != c.sessions:
        raise Wrong("%s: %s" % (name, said))
    bench.report.row(name, "CPU of five columns of %s sessions to numpy" % number(c.sessions), t["five"].cpu, "s", "sqlite3, five columns",
                     t["sqlite3"].cpu, note="%.1f and %.1f s of wall time; %.0f and %.0f MB" % (
                         t["five"].wall, t["sqlite3"].wall, t["five"].rss, t["sqlite3"].rss))
    bench.report.row(name, "CPU of all 15 columns to numpy", t["all"].cpu, note="%.1f s of wall time; %.0f MB" % (t["all"].wall, t["all"].rss))


def read_from_python(bench, name):
    if not os.path.exists(os.path.join(bench.args.build, "python", "flowcarve", "_flowcarve.abi3.so")):
        bench.report.note("the Python package is not built: `python` was left out")
        return
    for kind, c in captures(bench):
        packets(bench, name, kind, c)
    sessions(bench, name)
