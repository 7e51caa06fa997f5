# SPDX-License-Identifier: MIT
"""What is sent to an engine that many sensors share: how fast, what it takes there, and how it is asked."""
import os
import sys

from . import asking
from .additions import number
from .capture import Wrong
from .process import Run, warm

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "system"))
import engines  # noqa: E402

SIZES = (("1 M", 0.222, 3), ("10 M", 2.22, 1))  # sessions, the scale of `small` that has them, runs


def sizes(server, base):
    """Bytes on the disk and rows, by table."""
    rows = server.ask("SELECT table, sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active AND database = '%s' GROUP BY table FORMAT TSV" % base)
    return {t: (int(b), int(n)) for t, b, n in (line.split("\t") for line in rows.decode().splitlines())}


def check(server, base, c):
    found = server.ask("SELECT count(), sum(client_packets + server_packets) FROM session FORMAT TSV", database=base).split()
    summed = server.ask("SELECT sum(arraySum(sessions)), sum(arraySum(packets)) FROM rollup FORMAT TSV", database=base).split()
    for what in (found, summed):
        if tuple(map(int, what)) != (c.sessions, c.packets):
            raise Wrong("cluster: the engine has %s sessions and packets, not %s" % (what, (c.sessions, c.packets)))


def exported(bench, name, what, scale, runs):
    c = bench.capture("small", scale=scale * bench.args.scale)
    db = bench.scratch("cluster.db")
    warm(c.files)
    r = bench.index(db, [c.path], "-j2")()
    if r.status != 0:
        raise Wrong("cluster: index ended with %d" % r.status)
    server = engines.Server(folder=bench.scratch("engine-" + what.replace(" ", "")))
    try:
        bench.report.note("ClickHouse %s" % server.ask("SELECT version()").decode().strip())
        times, again = [], []
        for i in range(runs):
            base = "b%d" % i
            words = [bench.flowcarve, "export", "-q", "-d", db, "--sensor", "bench", "--to", "%s/%s" % (server.url, base)]
            for list_, kind in ((times, "export"), (again, "export, nothing new")):
                r = Run(words)
                if r.status != 0:
                    raise Wrong("cluster: export ended with %d: %s" % (r.status, r.text[-500:]))
                bench.report.run(name, "%s, %s sessions" % (kind, what), i, r)
                list_.append(r)
            check(server, base, c)
        size = sizes(server, "b0")
        wall, cpu = (sorted(getattr(r, k) for r in times)[len(times) // 2] for k in ("wall", "cpu"))
        bench.report.row(name, "export, %s sessions" % what, wall, "s", note="%s sessions, %s a second; CPU of the exporter %.2f s, peak %.0f MB"
                         % (number(c.sessions), number(round(c.sessions / wall)), cpu, max(r.rss for r in times)))
        bench.report.row(name, "export, %s sessions: nothing new" % what, sorted(r.wall for r in again)[len(again) // 2], "s")
        host, rows = size["host"]
        bench.report.row(name, "engine, %s sessions: a session" % what, sum(b for b, _ in size.values()) / c.sessions, "B", "index",
                         os.path.getsize(db) / c.sessions,
                         note="table session %.1f, table host %.1f a row, %.2f rows a session; all else %.2f"
                         % (size["session"][0] / c.sessions, host / rows, rows / c.sessions,
                            sum(b for t, (b, _) in size.items() if t not in ("session", "host")) / c.sessions))
        asking.asked(bench, name, what, server.url + "/b0", db)
    finally:
        server.close()


def cluster(bench, name):
    if not engines.has_server():
        bench.report.note("clickhouse-server is not installed: `cluster` was left out")
        return
    for what, scale, runs in SIZES:
        bench.say("%s: %s sessions" % (name, what))
        exported(bench, name, what, scale, min(runs, bench.args.runs))
        bench.clean()
