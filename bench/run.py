#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times flowcarve against its peers and against the machine.

Makes the workloads with fcgen from fixed seeds, runs every command in turn (ours, peer, ours, peer ...), checks each result,
and prints one table of medians with ratios. Raw figures go to bench/results/*.csv with the machine beside them.

  bench/run.py [--build DIR] [--dir DIR] [--runs N] [--scale F] [--only WORKLOAD,...] [--keep]
"""
import argparse
import csv
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Run:
    """One command as a whole process: wall seconds, user and system seconds, peak memory in MB."""

    def __init__(self, words, stdout=None, stdin=None):
        out = open(stdout or os.devnull, "wb")
        start = time.perf_counter()
        p = subprocess.Popen(words, stdout=out, stderr=subprocess.PIPE, stdin=stdin or subprocess.DEVNULL)
        self.text = p.stderr.read().decode(errors="replace")
        p.stderr.close()
        _, status, usage = os.wait4(p.pid, 0)
        self.wall = time.perf_counter() - start
        p.returncode = os.waitstatus_to_exitcode(status)
        out.close()
        self.status = p.returncode
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss = usage.ru_maxrss / 1024


class Bench:
    def __init__(self, args):
        self.args = args
        self.flowcarve = os.path.join(args.build, "flowcarve")
        self.fcgen = os.path.join(args.build, "bench", "fcgen")
        self.rows = []      # table
        self.raw = []       # every single run

    def path(self, name):
        return os.path.join(self.args.dir, name)

    def capture(self, preset, *options):
        path = self.path(preset + ".pcap")
        if not os.path.exists(path):
            words = [self.fcgen, "--preset", preset, "-q", "-w", path, "--scale", str(self.args.scale), *options]
            subprocess.run(words, check=True)
            os.sync()  # so that writing it back does not run beside the first timings
        return path

    def times(self, workload, commands, runs=None):
        """commands: {name: callable -> Run}; run in turn, so that drift of the machine hits all alike."""
        got = {name: [] for name in commands}
        for name, call in commands.items():  # warm-up, and proof that it works
            r = call()
            if r.status != 0:
                sys.exit("%s: %s failed (%d): %s" % (workload, name, r.status, r.text[-500:]))
        for i in range(runs or self.args.runs):
            for name, call in commands.items():
                r = call()
                got[name].append(r)
                self.raw.append([workload, name, i, "%.6f" % r.wall, "%.3f" % r.cpu, "%.1f" % r.rss])
        return {name: (statistics.median(r.wall for r in rs), max(r.rss for r in rs)) for name, rs in got.items()}

    def row(self, workload, what, ours, peer_name, peer, note=""):
        self.rows.append((workload, what, ours, peer_name, peer, note))

    # ---- commands
    def index(self, db, inputs, *options):
        def call():
            if os.path.exists(db):
                os.unlink(db)
            r = Run([self.flowcarve, "index", "-v", "-d", db, *options, *inputs])
            m = re.search(r"fsync ([0-9.]+) s", r.text)
            r.wall -= float(m.group(1)) if m else 0  # the disk is told apart
            return r
        return call

    def have(self, tool):
        return shutil.which(tool) is not None

    def workload(self, name, slow_peers):
        pcap = self.capture(name)
        db, size = self.path(name + ".db"), os.path.getsize(pcap)
        commands = {
            "index": self.index(db, [pcap], "-j2"),
            "cat": lambda: Run(["cat", pcap]),
            "index -j1": self.index(self.path("one.db"), [pcap], "-j1"),
        }
        t = self.times(name, commands)
        info = json.loads(subprocess.run(["sqlite3", "-json", db, "SELECT count(*) AS n, sum(client_packets + server_packets) AS p"
                                          " FROM session"], capture_output=True, text=True).stdout or "[{}]")[0] \
            if self.have("sqlite3") else {}
        note = "%.0f MB peak, db %.2f %% of the capture" % (t["index"][1], 100 * os.path.getsize(db) / size)
        if info:
            note += ", %d sessions, %d packets" % (info["n"], info["p"])
        self.row(name, "index, 2 threads", t["index"][0], "cat", t["cat"][0], note)
        self.row(name, "index, 1 thread", t["index -j1"][0], "index, 2 threads", t["index"][0])
        if slow_peers:
            self.slow_peers(name, pcap, t["index"][0])
        self.questions(name, pcap, db)
        os.unlink(self.path("one.db"))

    def slow_peers(self, name, pcap, ours):
        """Peers that take minutes run once."""
        if self.have("nfpcapd"):
            out = self.path("nf")
            def nfpcapd():
                shutil.rmtree(out, ignore_errors=True)
                os.mkdir(out)
                return Run(["nfpcapd", "-r", pcap, "-l", out])
            r = nfpcapd()
            if r.status == 0:
                self.raw.append([name, "nfpcapd", 0, "%.6f" % r.wall, "%.3f" % r.cpu, "%.1f" % r.rss])
                self.row(name, "index, 2 threads", ours, "nfpcapd (no packet index)", r.wall)
            shutil.rmtree(out, ignore_errors=True)
        if self.have("tshark") and self.args.tshark:
            r = Run(["tshark", "-q", "-r", pcap, "-z", "conv,ip"])
            self.raw.append([name, "tshark conv,ip", 0, "%.6f" % r.wall, "%.3f" % r.cpu, "%.1f" % r.rss])
            self.row(name, "index, 2 threads", ours, "tshark -z conv,ip", r.wall)

    def questions(self, name, pcap, db):
        """One session of about 20 packets, found and carved; compared with what tcpdump extracts."""
        line = subprocess.run([self.flowcarve, "query", "-d", db, "--format", "json", "--sort", "packets:desc", "--limit", "1",
                               "tcp and state closed and host 10.0.0.1"], capture_output=True, text=True).stdout
        if not line:
            line = subprocess.run([self.flowcarve, "query", "-d", db, "--format", "json", "--limit", "1", "tcp"],
                                  capture_output=True, text=True).stdout
        s = json.loads(line)
        words = ["host", s["client_addr"], "and", "host", s["server_addr"], "and", "port", str(s["client_port"]), "and", "port",
                 str(s["server_port"])]
        one, other = self.path("one.pcap"), self.path("tcpdump.pcap")
        t = self.times(name, {
            "query host": lambda: Run([self.flowcarve, "query", "-d", db, "host", s["server_addr"], "--limit", "100"]),
            "carve one": lambda: Run([self.flowcarve, "carve", "-q", "-d", db, "-w", one, "--id", str(s["id"])]),
            "tcpdump one": lambda: Run(["tcpdump", "-r", pcap, "-w", other, " ".join(words)]),
        }, runs=min(self.args.runs, 5))
        count = s["client_packets"] + s["server_packets"]
        a, b = open(one, "rb").read(), open(other, "rb").read()
        if a[24:] != b[24:]:
            sys.exit("%s: the carved session is not what tcpdump extracts" % name)
        self.row(name, "query one host, 100 rows", t["query host"][0], "", None)
        self.row(name, "carve one session (%d packets)" % count, t["carve one"][0], "tcpdump -r FILE FILTER -w",
                 t["tcpdump one"][0], "same bytes")
        half, copy = self.path("half.pcap"), self.path("copy.pcap")
        t = self.times(name, {
            "carve half": lambda: Run([self.flowcarve, "carve", "-q", "-d", db, "-w", half, "portrange 0-39000"]),
            "cp": lambda: Run(["cp", pcap, copy]),
        }, runs=min(self.args.runs, 3))
        self.row(name, "carve 'portrange 0-39000' (%.0f %% of the bytes)" % (100 * os.path.getsize(half) / os.path.getsize(pcap)),
                 t["carve half"][0], "cp FILE", t["cp"][0])
        for f in (one, other, half, copy):
            os.unlink(f)

    def machine(self):
        model = "?"
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
        version = subprocess.run([self.flowcarve, "--version"], capture_output=True, text=True).stdout.strip()
        return "%s, %d processors, Linux %s, %s" % (model, os.cpu_count(), platform.release(), version)

    def report(self):
        print("\n%s; median of %d runs, page cache warm, fsync not counted, scale %g\n" %
              (self.machine(), self.args.runs, self.args.scale))
        print("| workload | what | flowcarve | peer | time | ours / peer | |")
        print("|---|---|---|---|---|---|---|")
        for workload, what, ours, peer_name, peer, note in self.rows:
            ratio = "" if peer is None else "%.2f" % (ours / peer) if ours / peer >= 0.01 else "1/%.0f" % (peer / ours)
            print("| %s | %s | %.3f s | %s | %s | %s | %s |" %
                  (workload, what, ours, peer_name, "" if peer is None else "%.3f s" % peer, ratio, note))
        results = os.path.join(HERE, "results")
        os.makedirs(results, exist_ok=True)
        path = os.path.join(results, "latest.csv")
        with open(path, "w", newline="") as f:
            f.write("# %s; scale %g\n" % (self.machine(), self.args.scale))
            w = csv.writer(f)
            w.writerow(["workload", "command", "run", "wall_s", "cpu_s", "peak_mb"])
            w.writerows(self.raw)
        print("\nraw figures: %s" % os.path.relpath(path), file=sys.stderr)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build/release")
    p.add_argument("--dir", default=os.path.join(os.environ.get("TMPDIR", "/tmp"), "flowcarve-bench"))
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--scale", type=float, default=1)
    p.add_argument("--only", default="mix,small,elephant")
    p.add_argument("--no-slow", action="store_true", help="leave out peers that take minutes")
    p.add_argument("--tshark", action="store_true", help="also tshark, which takes very long")
    p.add_argument("--keep", action="store_true", help="keep the workloads for the next time")
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    os.makedirs(args.dir, exist_ok=True)
    bench = Bench(args)
    for name in args.only.split(","):
        print("running %s" % name, file=sys.stderr)
        bench.workload(name, not args.no_slow)
        if not args.keep:
            for f in os.listdir(args.dir):
                os.unlink(os.path.join(args.dir, f))
    bench.report()


if __name__ == "__main__":
    main()
