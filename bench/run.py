#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times flowcarve against its peers and against the machine.

  bench/run.py [--build DIR] [--dir DIR] [--runs N] [--scale F] [--only WORKLOAD,...] [--keep] [--slow | --no-slow]

Workloads, made by fcgen from fixed seeds:
  start     flowcarve --version
  mix       5 M packets of all sizes, 3.9 GB, 230,000 sessions: index, query, top, carve
  cold      mix, read from the disk
  small     20 M packets of 60 to 90 bytes, 1.7 GB, 4.5 M sessions: the same
  elephant  4 GB of full-size packets, 10 sessions: the same
  pcapng    the packets of mix in ten pcapng files
  many      20,000 captures of 200 kB in a folder
  crowd     20 M packets of 1,000,000 sessions, all at a time
  long      peak memory of a capture and of one ten times as long
  taps      200 captures of the same time, plain and compressed with xz, against the same packets in one
  bursts    50,000 and 200,000 flows interleaved, a packet or two of each at a time
  adding    the last of ten captures, added to an index of the others; one of the ten forgotten
  piece     20,000 packets more, when all sessions of small are open: as a capture, and in one that grows
  onebyone  1,000 captures of 20,000 packets, indexed one by one
  known     a run over 10,000 captures that the index knows
  watch     100 small captures that come while their folder is watched: how long until each is visible
  record    packets out of memory into files and a committed index, as by capture
  serve     small, asked over HTTP by 1, 8 and 64 clients at a time
  cluster   1 and 10 M sessions, exported to a ClickHouse and asked there, against the index and PostgreSQL
  python    packets of a capture and columns of an index from Python, against dpkt, scapy and sqlite3
  beside    eight readers in a loop for a minute, while packets are recorded
  capture   packets of a virtual interface: what a packet costs, and how many are lost; as root alone
  micro     rooms alone: decode, flow table, positions, hash, b-tree writer

Commands run in turn, ours and the peer's, and every result is checked: exit status, packets and sessions against the generator's
own count, one thread's sessions against two threads', what is carved against tcpdump. A wrong result ends its workload and makes
the exit status 1; a peer that fails is a note.

The table and the raw figures are written to bench/results/latest.md and latest.csv after every workload, so that a run that is cut
short keeps what it has. docs/bench.md explains them. Needs about 14 GB of disk at scale 1.
"""
import argparse
import os
import signal
import sys

sys.dont_write_bytecode = True
from harness import process, report, workloads  # noqa: E402
from harness.capture import Wrong  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def parse_args():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build/release", help="where flowcarve has been built [%(default)s]")
    p.add_argument("--dir", default=os.path.join(os.environ.get("TMPDIR", "/tmp"), "flowcarve-bench"),
                   help="folder for captures and indexes [%(default)s]; captures that are there already are used and stay")
    p.add_argument("--runs", type=int, default=5, help="runs of each command, of which the median counts [%(default)s]")
    p.add_argument("--scale", type=float, default=1, help="size of the workloads [%(default)s]")
    p.add_argument("--only", default=",".join(workloads.WORKLOADS), help="workloads [all: %(default)s]")
    p.add_argument("--results", default=os.path.join(HERE, "results"), help="folder for the results [bench/results]")
    slow = p.add_mutually_exclusive_group()
    slow.add_argument("--slow", action="store_true", help="also peers that take many minutes (tshark)")
    slow.add_argument("--no-slow", action="store_true", help="leave out nfpcapd, yaf, PcapSplitter and tshark")
    p.add_argument("--keep", action="store_true", help="keep the captures for the next time")
    args = p.parse_args()
    args.build, args.dir, args.only = os.path.abspath(args.build), os.path.abspath(args.dir), args.only.split(",")
    unknown = [name for name in args.only if name not in workloads.WORKLOADS]
    if unknown:
        p.error("unknown workload: %s" % ", ".join(unknown))
    if args.runs < 1 or not 0 < args.scale <= 1000:
        p.error("--runs is 1 or more, --scale above 0 and at most 1000")
    return args


def main():
    args = parse_args()
    os.makedirs(args.dir, exist_ok=True)
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    r = report.Report(args.results, process.machine(os.path.join(args.build, "flowcarve")), args)
    bench = workloads.Bench(args, r, say)
    wrong = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for i, name in enumerate(args.only):
        try:
            workloads.WORKLOADS[name](bench, name)
        except (Wrong, OSError) as e:
            wrong += 1
            say("WRONG: %s" % e)
            r.note("WRONG: %s: %s" % (name, e))
        except KeyboardInterrupt:
            wrong += 1
            r.note("%s: interrupted; what stands behind it was not run" % name)
            break
        finally:
            bench.clean(captures=not (name == "mix" and "cold" in args.only[i:]))
            r.write()
    bench.clean()
    os.rmdir(bench.folder)
    print(r.text())
    say("raw figures: %s" % os.path.relpath(os.path.join(args.results, "latest.csv")))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
