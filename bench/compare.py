#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Indexing by two builds of flowcarve, in turn: what a change to the core costs or saves.

  bench/compare.py [--runs N] [--jobs 1,2] [--results DIR] OLD NEW CAPTURE|FOLDER...

OLD and NEW are programs. Prints, for each capture and number of threads, the medians of wall time, without the last fsync where the
program tells it, of processor time and of peak memory, and writes them to compare.md, every run to compare.csv. The captures are those
that `bench/run.py --keep` leaves, or any others. Both indexes must have as many sessions and packets.
"""
import argparse
import csv
import os
import re
import sqlite3
import sys
import tempfile

sys.dont_write_bytecode = True
from harness.capture import remove  # noqa: E402
from harness.process import Run, Times, machine, warm  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def files_of(path):
    return [path] if os.path.isfile(path) else sorted(os.path.join(d, f) for d, _, names in os.walk(path) for f in names)


def index(program, jobs, path, db):
    remove(db)
    r = Run([program, "index", "-v", "-j%d" % jobs, "-d", db, path])
    m = re.search(r"fsync ([0-9.]+) s", r.text)
    r.fsync = float(m.group(1)) if m else 0.0
    r.wall -= r.fsync
    if r.status:
        sys.exit("%s ended with %d: %s" % (program, r.status, r.text[-400:]))
    return r


def totals(db):
    sql = sqlite3.connect(db)
    try:
        return sql.execute("SELECT count(*), sum(client_packets + server_packets) FROM session").fetchone()
    finally:
        sql.close()


def compare(args, path, jobs, raw):
    runs = {program: [] for program in args.programs}
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        db = os.path.join(folder, "x.db")
        for i in range(-1, args.runs):  # the first time does not count
            seen = set()
            for program in args.programs:
                r = index(program, jobs, path, db)
                if i >= 0:
                    runs[program].append(r)
                    raw.append([os.path.basename(path.rstrip("/")), jobs, args.names.split(",")[args.programs.index(program)], i, "%.4f" % r.wall, "%.3f" % r.cpu, "%.1f" % r.rss, "%.4f" % r.fsync])
                else:
                    seen.add(totals(db))
            if len(seen) > 1:
                sys.exit("%s: sessions and packets differ: %s" % (path, seen))
    return [Times(runs[program]) for program in args.programs]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("programs", nargs=2, metavar="PROGRAM")
    p.add_argument("captures", nargs="+", metavar="CAPTURE")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--jobs", default="2,1")
    p.add_argument("--dir", default=os.environ.get("TMPDIR", "/tmp"), help="for the indexes [%(default)s]")
    p.add_argument("--names", default="old,new", help="what the table calls them [%(default)s]")
    p.add_argument("--results", default=os.path.join(HERE, "results"))
    args = p.parse_args()
    old, new = args.names.split(",")
    lines = ["# Two builds of flowcarve, run in turn", "", machine(args.programs[1]), "",
             "Indexing, median of %d runs, page cache warm, without the last fsync: `bench/compare.py`." % args.runs, "",
             "| capture | threads | %s | %s | %s / %s | processor time | peak memory |" % (old, new, old, new),
             "|---|---|---|---|---|---|---|"]
    raw = [["capture", "threads", "program", "run", "wall s", "cpu s", "rss MB", "fsync s"]]
    for path in args.captures:
        warm(files_of(path))
        for jobs in map(int, args.jobs.split(",")):
            a, b = compare(args, path, jobs, raw)
            lines.append("| %s | %d | %.3f s | %.3f s | %.2f | %.2f, %.2f s | %.0f, %.0f MB |" % (
                os.path.basename(path.rstrip("/")), jobs, a.wall, b.wall, a.wall / b.wall, a.cpu, b.cpu, a.rss, b.rss))
            print(lines[-1], flush=True)
            with open(os.path.join(args.results, "compare.md"), "w") as f:
                f.write("\n".join(lines) + "\n")
            with open(os.path.join(args.results, "compare.csv"), "w", newline="") as f:
                csv.writer(f).writerows(raw)


if __name__ == "__main__":
    main()
