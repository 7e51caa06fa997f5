# SPDX-License-Identifier: MIT
"""The workloads: what is run, and what must come out."""
import ipaddress
import os
import re
import shutil
import subprocess
import tempfile

from . import additions, callgrind, capturing, cluster, inpython, live, peers, serving
from .capture import PCAP_HEADER, PORTS, Index, Wrong, generate, remove, same_records
from .process import Run, Times, cached_share, have, make_cold, named_version, warm

# Two sizes a workload. The flow table is made for the size of the capture, up to half of --memory: with so much of it both
# sizes get the same table, and nobody is evicted.
CALLGRIND_MEMORY = "256M"
CALLGRIND_SCALES = {"mix": (0.02, 0.04), "small": (0.04, 0.06), "elephant": (0.02, 0.04), "many": (0.02, 0.04)}
STARTS = 20
LONG_PACKETS, LONG_SECONDS, LONG_CONCURRENT = 4000000, 8000, 400
CROWD_SESSIONS, CROWD_RATE = 1000000, 600000


class Bench:
    """What all workloads share: programs, folder, report, and what is to be deleted at the end."""

    def __init__(self, args, report, say):
        self.args, self.report, self.say = args, report, say
        self.flowcarve = os.path.join(args.build, "flowcarve")
        self.fcgen = os.path.join(args.build, "bench", "fcgen")
        self.fcfeed = os.path.join(args.build, "bench", "fcfeed")
        self.micro = os.path.join(args.build, "bench", "micro")
        self.made = []  # captures, which --keep keeps
        self.folder = tempfile.mkdtemp(prefix="run-", dir=args.dir)  # of all else
        self.parts = []  # of workloads with many sessions: name, seconds of index, of cat, of reading; sessions

    def scratch(self, name):
        return os.path.join(self.folder, name)

    def clean(self, captures=True):
        """Deletes what this run has made, and nothing else."""
        for name in os.listdir(self.folder):
            remove(self.scratch(name))
        if captures and not self.args.keep:
            for path in self.made:
                remove(path)
            self.made.clear()

    def capture(self, preset, scale=None, name=None, options=()):
        scale = self.args.scale if scale is None else scale
        options = ["--preset", preset, "--scale", "%g" % scale, *options]
        name = (name or preset) + ("" if scale == 1 else "-%g" % scale)
        path = os.path.join(self.args.dir, name + ("/" if preset == "many" or "--files" in options else ".pcap"))
        return generate(self.fcgen, path, options, self.made)

    # ---- commands

    def index(self, db, inputs, *options, keep=False):
        """keep: adds to an index that is there."""
        def call():
            if not keep:
                remove(db)
            r = Run([self.flowcarve, "index", "-v", "-d", db, *options, *inputs])
            m = re.search(r"fsync ([0-9.]+) s", r.text)
            r.fsync = float(m.group(1)) if m else 0.0
            r.wall -= r.fsync  # it measures the disk, and is told apart
            return r
        return call

    def cat(self, capture):
        folder = os.path.dirname(capture.files[0])
        return lambda: Run(["cat", "--", *capture.names], cwd=folder)

    def times(self, workload, commands, runs=None, before=None):
        """{name: Times}. Commands run in turn, so that drift of the machine hits all alike; the first time does not count."""
        got = {name: [] for name in commands}
        for i in range(-1, runs or self.args.runs):
            for name, call in commands.items():
                if before:
                    before(name)
                r = call()
                if r.status != 0:
                    raise Wrong("%s: %s ended with %d: %s" % (workload, name, r.status, r.text[-500:]))
                if i >= 0:
                    got[name].append(r)
                    self.report.run(workload, name, i, r)
        return {name: Times(runs) for name, runs in got.items()}


def rate(capture, wall):
    return "%.2f M packets/s, %.2f GB/s" % (capture.packets / wall / 1e6, capture.bytes / wall / 1e9)


def indexed(bench, name, c):
    """Reads and indexes a capture or a folder; the index and the times, whose rows are added."""
    warm(c.files)
    db, one = bench.scratch(name + ".db"), bench.scratch("one.db")
    bench.say("%s: index and cat" % name)
    t = bench.times(name, {
        "index": bench.index(db, [c.path], "-j2"),
        "cat": bench.cat(c),
        "index -j1": bench.index(one, [c.path], "-j1"),
    })
    add_index_rows(bench, name, c, t, db, one)
    remove(one)
    return db, t


def single(bench, name):
    """One capture: read, indexed, asked, carved."""
    c = bench.capture(name)
    db, t = indexed(bench, name, c)
    floor(bench, name, c, t, os.path.getsize(db))
    if have("tcpdump"):
        bench.say("%s: tcpdump" % name)
        bench.report.note(named_version("tcpdump", "--version"))
        whole = bench.times(name, {"tcpdump -w /dev/null": lambda: Run(peers.tcpdump("-r", c.path, "-w", "/dev/null"))}, runs=1)
        bench.report.row(name, "index, 2 threads", t["index"].wall, "s", "tcpdump -r FILE -w /dev/null",
                         whole["tcpdump -w /dev/null"].wall, note="one run")
    else:
        bench.report.note("tcpdump is not installed: what is carved was not compared with it")
    if not bench.args.no_slow:
        peers.run_all(bench, name, c, t["index"].wall)
    questions(bench, name, c, db)
    without_index(bench, name, c, db)
    sums(bench, name, db)
    half(bench, name, c, db)
    if name == "mix":
        handing_over(bench, name, c, db)  # behind what tells peak memory: a process counts that of the one it was forked from
    instructions(bench, name)


def add_index_rows(bench, name, c, t, db, one):
    report = bench.report
    index = Index(db)
    held = index.check(c)
    index.same_as(one)
    index.close()
    peer = "cat FILE" if len(c.files) == 1 else "cat of all"
    report.row(name, "index, 2 threads", t["index"].wall, "s", peer, t["cat"].wall, t["index"].fsync,
               "%s packets, %s sessions; %s" % (number(c.packets), number(c.sessions), rate(c, t["index"].wall)))
    report.row(name, "index, 1 thread", t["index -j1"].wall, "s", "index, 2 threads", t["index"].wall, t["index -j1"].fsync,
               "all sessions the same")
    report.row(name, "index: peak memory", t["index"].rss, "MB", "1 thread", t["index -j1"].rss)
    report.value(name, "database", held["size"], "bytes")
    report.row(name, "index: size", held["size"] / 1e6, "MB", "capture", c.bytes / 1e6, note="%.2f %%; %.1f bytes a session + %.2f a packet"
               % (100 * held["size"] / c.bytes, (held["size"] - held["blobs"]) / held["sessions"], held["blobs"] / held["packets"]))


def floor(bench, name, c, t, size):
    """What of this cannot be had for less: walking the records, by several ways, and writing as many bytes as the index has."""
    bench.say("%s: ways of reading" % name)
    rows = micro_rows(bench, ["read", "-w", str(size), c.path], "read " + name)
    wall, grouped = t["index"].wall, "records, decoded and noted"
    one, two = rows.get(grouped + ", 1 thread"), rows.get(grouped + ", 2 threads")
    if one and two:
        bench.report.row(name, "1 thread's time by that of 2", t["index -j1"].wall / wall, "times", "of " + grouped, one / two,
                         note="how far a second thread of this machine gets where threads share nothing")
        if c.sessions >= 1000:
            bench.parts.append((name, wall, t["cat"].wall, two / 1e3, c.packets, c.sessions))
    for what in (grouped + ", 2 threads", "bytes of the index written to the page cache, 1 thread"):
        if what in rows:
            bench.report.row(name, "index, 2 threads", wall, "s", what, rows[what] / 1e3, note="a part of it: no index without")


def number(n):
    return "{:,}".format(n)


def questions(bench, name, c, db):
    """The sessions of a host and of a port; one session's packets, against those that tcpdump finds."""
    index = Index(db)
    s = index.session_of(20, c)
    counts = {
        "host": index.one("SELECT count(*) FROM session WHERE kind = 4 AND (client_addr = ?1 OR server_addr = ?1)", s["client_addr"])[0],
        "port": index.one("SELECT count(*) FROM session WHERE (client_port = ?1 OR server_port = ?1) AND " + PORTS,
                          s["client_port"])[0],
    }
    index.close()
    values = {"host": s["client"], "port": str(s["client_port"])}
    out, one, other = bench.scratch("query.tsv"), bench.scratch("one.pcap"), bench.scratch("tcpdump.pcap")
    bench.say("%s: query and carve one" % name)

    def query(word):
        return lambda: Run([bench.flowcarve, "query", "-d", db, "--format", "tsv", word, values[word]], stdout=out)
    for word in values:
        query(word)()
        with open(out, "rb") as f:
            lines = sum(1 for _ in f) - 1  # the first one names the columns
        if lines != counts[word]:
            raise Wrong("%s: query %s: %d sessions, and must be %d" % (name, word, lines, counts[word]))
    commands = {"query " + word: query(word) for word in values}
    commands["carve one"] = lambda: Run([bench.flowcarve, "carve", "-q", "-d", db, "-w", one, "--id", str(s["id"])])
    words = "host %s and host %s and port %d and port %d" % (s["client"], s["server"], s["client_port"], s["server_port"])
    if s["tags"]:
        words = "(%s) or (vlan and %s)" % (words, words)
    t = bench.times(name, commands)
    for word in values:
        bench.report.row(name, "query of one %s, whole process" % word, t["query " + word].wall,
                         note="%s sessions, as SQL counts them" % number(counts[word]))
    what = "carve of one session, %s packets" % number(s["packets"])
    if not have("tcpdump"):
        bench.report.row(name, what, t["carve one"].wall)
        return
    d = bench.times(name, {"tcpdump one": lambda: Run(peers.tcpdump("-r", c.path, "-w", "-", words), stdout=other)},
                    runs=min(bench.args.runs, 3))
    if not same_records(one, other):
        raise Wrong("%s: the carved session is not what tcpdump extracts" % name)
    bench.report.row(name, what, t["carve one"].wall, "s", "tcpdump -r FILE FILTER -w", d["tcpdump one"].wall, note="same bytes")


def without_index(bench, name, c, db):
    """A question about a capture that nobody has indexed, and the same once more; a session followed. Against tcpdump."""
    index = Index(db)
    s = index.session_of(20, c)
    want = index.one("SELECT count(*) FROM session WHERE kind = 4 AND (client_addr = ?1 OR server_addr = ?1)", s["client_addr"])[0]
    index.close()
    cache, out = bench.scratch("cache"), bench.scratch("answer.tsv")
    bench.say("%s: query -r and follow" % name)
    filter = "host " + s["client"]

    def query():
        return Run(["env", "XDG_CACHE_HOME=" + cache, bench.flowcarve, "query", "--format=tsv", "-r", c.path, filter], stdout=out)

    def before(command):
        if command == "query -r, first":
            shutil.rmtree(cache, ignore_errors=True)
    commands = {"query -r, first": query, "query -r, again": query,
                "follow one": lambda: Run([bench.flowcarve, "follow", "-q", "-d", db, "--id", str(s["id"])])}
    if have("tcpdump"):
        commands["tcpdump"] = lambda: Run(peers.tcpdump("-nn", "-r", c.path, filter))
    query()
    with open(out, "rb") as f:
        lines = sum(1 for _ in f) - 1
    if lines != want:
        raise Wrong("%s: query -r: %d sessions, and must be %d" % (name, lines, want))
    t = bench.times(name, commands, before=before)
    peer = ("tcpdump -r FILE FILTER", t["tcpdump"].wall) if "tcpdump" in t else ("", None)
    bench.report.row(name, "query of one host, no index: -r FILE, the first time", t["query -r, first"].wall, "s", *peer)
    bench.report.row(name, "the same again", t["query -r, again"].wall, "s", *peer)
    bench.report.row(name, "follow one session, %s packets" % number(s["packets"]), t["follow one"].wall, "s", *peer)
    shutil.rmtree(cache, ignore_errors=True)


def rows_of_a_log(bench, db, count):
    """A conn.log of `count` sessions from all over the index; its path, and how many packets they have."""
    log = bench.scratch("conn.log")
    Run([bench.flowcarve, "query", "-d", db, "--format", "zeek", "tcp or udp"], stdout=log)
    with open(log) as f:
        lines = f.read().splitlines()
    head = [line for line in lines if line.startswith("#") and not line.startswith("#close")]
    rows = [line for line in lines if not line.startswith("#")]
    names = next(line for line in head if line.startswith("#fields")).split("\t")[1:]
    chosen = rows[::len(rows) // count][:count]
    with open(log, "w") as f:
        f.write("\n".join(head + chosen) + "\n")
    sent, received = names.index("orig_pkts"), names.index("resp_pkts")
    return log, sum(int(r.split("\t")[sent]) + int(r.split("\t")[received]) for r in chosen)


def records_in(path):
    r = subprocess.run(["tcpdump", "-nn", "--count", "-r", path], capture_output=True, text=True)
    return int(r.stdout.split()[0])


def handing_over(bench, name, c, db):
    """Packets and payload of a session, against what others take for the same out of the capture; sessions of a log; a file a session."""
    index = Index(db)
    s = index.session_of(20, c)
    index.close()
    bench.say("%s: packets, follow, carve --from and --split" % name)
    log, packets = rows_of_a_log(bench, db, 1000)
    out, folder, part = bench.scratch("rows.pcap"), bench.scratch("split"), bench.scratch("part.pcap")
    words = "host %s and host %s and port %d and port %d" % (s["client"], s["server"], s["client_port"], s["server_port"])
    ours = {
        "packets": lambda: Run([bench.flowcarve, "packets", "-d", db, "-f", "tsv", "--id", str(s["id"])]),
        "follow": lambda: Run([bench.flowcarve, "follow", "-q", "-d", db, "--id", str(s["id"])]),
        "grep": lambda: Run([bench.flowcarve, "follow", "-q", "-d", db, "--grep", "[a-z]{2}[0-9]{2}", "-w", bench.scratch("grep")]),
        "carve --from": lambda: Run([bench.flowcarve, "carve", "-q", "-d", db, "--from", log, "-w", out]),
        "carve --split": lambda: Run([bench.flowcarve, "carve", "-q", "-d", db, "--split", folder, "-i", "1-10000"]),
    }

    def before(command):
        remove(folder)
    t = bench.times(name, ours, runs=min(bench.args.runs, 3), before=before)
    if len(os.listdir(folder)) != 10000:
        raise Wrong("%s: carve --split: %d files, and must be 10,000" % (name, len(os.listdir(folder))))
    if have("tcpdump") and records_in(out) != packets:
        raise Wrong("%s: carve --from: %d packets, and must be %d" % (name, records_in(out), packets))
    theirs = {}
    if have("tcpdump"):
        theirs["tcpdump"] = Run(peers.tcpdump("-nn", "-r", c.path, words)).wall
    if have("tcpflow"):
        theirs["tcpflow"] = Run(["tcpflow", "-r", c.path, "-o", bench.scratch("tcpflow"), words], limit_s=peers.PEER_LIMIT_S).wall
    if have("tshark"):
        Run([bench.flowcarve, "carve", "-q", "-d", db, "-w", part, "-i", "1-10000,%d" % s["id"]])
        theirs["tshark"] = Run(["tshark", "-n", "-q", "-r", part, "-z", "follow,tcp,raw,%s:%d,%s:%d" % (
            s["client"], s["client_port"], s["server"], s["server_port"])], limit_s=peers.PEER_LIMIT_S).wall
    if have("PcapSplitter"):
        Run([bench.flowcarve, "carve", "-q", "-d", db, "-w", part, "-i", "1-10000,%d" % s["id"]])
        remove(folder)
        os.mkdir(folder)
        theirs["PcapSplitter"] = Run(["PcapSplitter", "-f", part, "-o", folder, "-m", "connection"], limit_s=peers.PEER_LIMIT_S).wall
    size = os.path.getsize(part) / 1e6 if os.path.exists(part) else 0

    def row(what, mine, peer, called, note=""):
        bench.report.row(name, what, t[mine].wall, "s", called if peer in theirs else "", theirs.get(peer), note=note)
    row("packets of one session, %s" % number(s["packets"]), "packets", "tcpdump", "tcpdump -r FILE FILTER", "peer: one run")
    row("follow one session", "follow", "tcpflow", "tcpflow -r FILE FILTER", "peer: one run")
    row("follow one session", "follow", "tshark", "tshark -z follow", "peer: one run, of a part of %.0f MB of the capture" % size)
    row("follow --grep, all sessions", "grep", "", "", "%.2f GB/s" % (c.bytes / t["grep"].wall / 1e9))
    row("carve --from, 1,000 rows of a conn.log", "carve --from", "", "", "%s packets" % number(packets))
    row("carve --split, 10,000 sessions", "carve --split", "PcapSplitter", "PcapSplitter -m connection",
        "peer: one run, of these sessions alone, carved, %.0f MB" % size if "PcapSplitter" in theirs else "")
    for path in (log, out, folder, part, bench.scratch("tcpflow"), bench.scratch("grep")):
        remove(path)


def sums(bench, name, db):
    """All sessions added up by host, without and with distinct peers and ports, by pair and by time; the first host against plain SQL."""
    bench.say("%s: top" % name)
    out = bench.scratch("top.csv")
    words = {
        "sums by host": ["--by", "host", "--columns", "bytes"],
        "by host with distinct peers and ports": ["--by", "host", "--columns", "bytes,peers,ports"],
        "sums by pair": ["--by", "pair", "--columns", "bytes"],
        "sums by time": ["--by", "time", "--columns", "bytes"],
    }
    commands = {what: (lambda w: lambda: Run([bench.flowcarve, "top", "-d", db, "--format", "csv", "-n", "20", *w], stdout=out))(w)
                for what, w in words.items()}
    what = "by host with distinct peers and ports"
    commands[what]()
    with open(out) as f:
        host, size, hosts, ports = f.read().splitlines()[1].split(",")
    ip = ipaddress.ip_address(host)
    index = Index(db)
    sessions = index.one("SELECT count(*) FROM session")[0]
    want = index.one("SELECT sum(client_bytes + server_bytes), count(DISTINCT CASE WHEN client_addr = ?1 THEN server_addr ELSE client_addr"
                     " END), count(DISTINCT CASE WHEN proto IN (6, 17, 132) THEN server_port END) FROM session"
                     " WHERE client_addr = ?1 OR server_addr = ?1", int(ip) if ip.version == 4 else ip.packed)
    index.close()
    if want != (int(size), int(hosts), int(ports)):
        raise Wrong("%s: top %s: %s has %s, and must have %s" % (name, what, host, (size, hosts, ports), want))
    for what, t in bench.times(name, commands, runs=min(bench.args.runs, 3)).items():
        bench.report.row(name, "top, " + what, t.wall, note="%s sessions; %.0f MB peak" % (number(sessions), t.rss))


def half(bench, name, c, db):
    """A filter that matches about half of the bytes, against a copy of all."""
    index = Index(db)
    port, packets, size = index.half()
    sums = index.sums_up_to(port)
    index.close()
    out, copy = bench.scratch("half.pcap"), bench.scratch("copy.pcap")
    words = "src portrange 0-%d" % port
    bench.say("%s: carve half" % name)

    def before(command):
        remove(out if command == "carve half" else copy)
        os.sync()
    t = bench.times(name, {
        "carve half": lambda: Run([bench.flowcarve, "carve", "-q", "-d", db, "-w", out, words]),
        "cp": lambda: Run(["cp", c.path, copy]),
    }, runs=min(bench.args.runs, 3), before=before)
    check_half(bench, name, words, out, PCAP_HEADER + size, sums)
    bench.report.row(name, "carve '%s'" % words, t["carve half"].wall, "s", "cp FILE", t["cp"].wall,
                     note="%.1f %% of the bytes, %s packets; %.0f MB peak" % (100 * size / c.bytes, number(packets), t["carve half"].rss))
    remove(out)
    remove(copy)


def check_half(bench, name, words, out, size, sums):
    """The size is what the sessions' sums make it; and indexed again, the carved packets are the same sessions."""
    if os.path.getsize(out) != size:
        raise Wrong("%s: carve '%s': %d bytes, and must be %d" % (name, words, os.path.getsize(out), size))
    db = bench.scratch("half.db")
    r = bench.index(db, [out], "-j2")()
    index = Index(db)
    again = index.sums()
    index.close()
    if r.status != 0 or again != sums:
        raise Wrong("%s: carve '%s': the carved packets are other sessions: %s, and must be %s" % (name, words, again, sums))


def instructions(bench, name):
    """On small captures of two sizes, the same whatever --scale says."""
    if not have("valgrind"):
        bench.report.note("valgrind is not installed: no instructions a packet")
        return
    bench.say("%s: callgrind" % name)
    try:
        one, two = (bench.capture(name, scale, name + "-callgrind") for scale in CALLGRIND_SCALES[name])
        total, rooms, fixed = callgrind.a_packet(bench.flowcarve, bench.folder, one, two, ["--memory", CALLGRIND_MEMORY])
    except Wrong as e:
        bench.report.note("%s: %s" % (name, e))
        return
    parts = sorted(rooms.items(), key=lambda item: -item[1])
    for room, value in parts:
        bench.report.value(name, "callgrind " + room, value, "instructions a packet")
    bench.report.value(name, "callgrind all", total, "instructions a packet")
    bench.report.value(name, "callgrind run itself", fixed, "million instructions")
    note = ", ".join("%s %.0f" % p for p in parts if p[1] >= 0.5) + "; 1 thread"
    if fixed > 0:  # else costs grow faster than packets, and a line through two points says nothing about none
        note += "; a run itself costs %.0f M" % fixed
    bench.report.row(name, "index: instructions a packet", total, "instr.", note=note)


def cold(bench, _):
    """mix from the disk."""
    c = bench.capture("mix")
    db = bench.scratch("cold.db")
    how = make_cold(c.path)
    if not how:
        share = cached_share(c.path)
        bench.report.note("cold: left out, the page cache cannot be dropped here (%s of the capture stays)"
                          % ("?" if share is None else "%.0f %%" % (100 * share)))
        return

    def before(_):
        make_cold(c.path)
        for words in ([bench.flowcarve, "--version"], ["cat", "--version"]):  # programs and libraries are read again
            subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    bench.say("cold: index and cat")
    t = bench.times("cold", {"index": bench.index(db, [c.path], "-j2"), "cat": bench.cat(c)}, before=before)
    index = Index(db)
    index.check(c)
    index.close()
    bench.report.row("cold", "index, 2 threads", t["index"].wall, "s", "cat FILE", t["cat"].wall, t["index"].fsync,
                     "mix, %s before each run; %s" % (how, rate(c, t["index"].wall)))


def many(bench, name):
    """20,000 captures of 200 kB in a folder."""
    c = bench.capture(name)
    bench.report.value(name, "captures", len(c.files), "files")
    indexed(bench, name, c)
    instructions(bench, name)


def pcapng(bench, name):
    """The packets of mix in ten pcapng files."""
    indexed(bench, name, bench.capture("mix", name=name, options=["--format", "pcapng", "--files", "10"]))


def crowd(bench, name):
    """As many flows at a time as there are sessions, each with a packet here and there: more than --memory holds as single runs."""
    scale = bench.args.scale
    sessions = max(1000, int(CROWD_SESSIONS * scale))
    c = bench.capture("small", 1, name + ("" if scale == 1 else "-%g" % scale),
                      ["--packets", str(20 * sessions), "--sessions", str(sessions), "--concurrent", str(sessions), "--burst", "1",
                       "--rate", str(max(1000, int(CROWD_RATE * scale)))])
    indexed(bench, name, c)


def long(bench, name):
    """Peak memory of a capture and of one that is ten times as long, with the same number of sessions at a time. The short one lasts
    twice the longest timeout, so that both hold as many sessions that have fallen silent, and as many that wait for the next sweep."""
    packets = max(1000, int(LONG_PACKETS * bench.args.scale))
    speed = max(1, packets // LONG_SECONDS)
    captures = []
    for times in (1, 10):
        options = ["--packets", str(packets * times), "--sessions", "0", "--packets-per-session", "22", "--sizes", "small", "--rate",
                   str(speed), "--concurrent", str(max(1, min(LONG_CONCURRENT, speed)))]
        captures.append(bench.capture("mix", name="long%d" % times, options=options))
    bench.say("long: index")
    for label, options in (("", []), (", --memory 64M", ["--memory", "64M"])):
        peaks = []
        for c in captures:
            db = bench.scratch("long.db")
            t = bench.times(name, {"index %d%s" % (c.packets, label): bench.index(db, [c.path], "-j2", *options)})
            index = Index(db)
            index.check(c)
            index.close()
            peaks.append(next(iter(t.values())))
        bench.report.row(name, "index: peak memory of %s packets%s" % (number(captures[1].packets), label), peaks[1].rss, "MB",
                         "of %s packets" % number(captures[0].packets), peaks[0].rss,
                         note="%s and %s sessions, %d at a time; %.3f s and %.3f s" % (
                             number(captures[1].sessions), number(captures[0].sessions), min(LONG_CONCURRENT, speed),
                             peaks[1].wall, peaks[0].wall))


def start(bench, name):
    """The program's own start."""
    bench.say("start-up")
    t = bench.times(name, {"flowcarve --version": lambda: Run([bench.flowcarve, "--version"]), "true": lambda: Run(["true"])}, runs=STARTS)
    bench.report.row(name, "flowcarve --version, whole process", t["flowcarve --version"].wall, "s", "true", t["true"].wall,
                     note="median of %d" % STARTS)


def micro(bench, _):
    """The parts alone; see bench/micro*.c."""
    scale = bench.args.scale
    db = bench.scratch("micro.db")
    sessions = str(max(10000, int(4500000 * scale)))
    few = str(max(10000, int(450000 * scale)))
    commands = [
        ["decode", "-n", str(max(50000, int(1000000 * scale)))],
        ["table", "-n", str(max(20000, int(1000000 * scale)))],
        ["positions", "-n", str(max(100000, int(10000000 * scale)))],
        ["hash"],
        ["btree", "-n", sessions, "--check", db],
        ["btree", "-n", few, "--insert", "--check", db],
    ]
    rows = {}
    for words in commands:
        bench.say("micro %s" % words[0])
        for what, figure in micro_rows(bench, words).items():
            rows.setdefault(what, figure)
    add_sums(bench, rows)


def add_sums(bench, rows):
    """What an index takes if it is no more than its parts, each measured alone: every packet noted and taken into its flow, its
    position encoded by two threads, every session taken out and written once."""
    each = [rows.get(what) for what in ("advance, 2 threads", "encode, 4 runs of 5", "finish, 2 threads", "all, by finished b-trees")]
    if None in each:
        return
    each[1] /= 2
    for name, wall, cat, read, packets, sessions in bench.parts:
        parts = [n * ns * 1e-9 for n, ns in zip((packets, packets, sessions, sessions), each)]
        total = read + sum(parts)
        bench.report.row(name, "index, 2 threads", wall, "s", "its parts alone, added up", total,
                         note="%.2f times cat: %.2f s read, decoded and noted, %.3f s taken into flows, %.3f s positions encoded, %.3f s taken out, "
                              "%.3f s written" % (total / cat, read, *parts))


def micro_rows(bench, words, suite=None):
    """Runs a suite of bench/micro; {what: figure}. suite: its name in the report, when it is another one."""
    out, figures = bench.scratch("micro.tsv"), {}
    r = Run([bench.micro, *words], stdout=out)
    with open(out) as f:
        for line in f:
            own, what, value, unit, note = line.rstrip("\n").split("\t")
            bench.report.micro.append((suite or own, what, float(value), unit, note))
            bench.report.value("micro " + (suite or own), what, float(value), unit)
            figures[what] = float(value)
    if r.status != 0:
        bench.report.note("micro %s failed: %s" % (words[0], r.text.strip()[-300:]))
    return figures


TAP_PACKETS = 3000000


def taps(bench, name):
    """200 captures of the same minutes, each with some of the packets of every session; against the same packets in one capture."""
    packets = max(20000, int(TAP_PACKETS * bench.args.scale))
    options = ["--packets", str(packets), "--sessions", str(packets // 10), "--sizes", "small"]
    c = bench.capture("small", 1, name + "-%d" % packets, options + ["--files", "200", "--overlap"])
    one = bench.capture("small", 1, name + "-one-%d" % packets, options)
    xz = c.path.rstrip("/") + "-xz"
    if not os.path.isdir(xz):
        bench.made.append(xz)
        os.mkdir(xz)
        for path in c.files:
            with open(os.path.join(xz, os.path.basename(path) + ".xz"), "wb") as f:
                subprocess.run(["xz", "-0", "-c", path], stdout=f, check=True)
    warm(c.files + one.files)
    db, other, packed = (bench.scratch(n + ".db") for n in ("taps", "one", "xz"))
    bench.say("%s: index" % name)
    t = bench.times(name, {"200 taps": bench.index(db, [c.path], "-j2"), "one capture": bench.index(other, [one.path], "-j2"),
                           "200 taps, xz": bench.index(packed, [xz], "-j2")})
    # of packets of one time in different captures the generator has another order, so its sessions are not asked
    index, whole = Index(db), Index(other)
    index.same_as(packed)
    whole.check(one)
    got, want = (i.one("SELECT sum(client_packets + server_packets) FROM session")[0] for i in (index, whole))
    index.close()
    whole.close()
    if got != want:
        raise Wrong("%s: %d packets in sessions, and must be %d" % (name, got, want))
    bench.report.row(name, "index 200 captures of the same time, 2 threads", t["200 taps"].wall, "s", "index the same packets in one",
                     t["one capture"].wall, t["200 taps"].fsync, "%s packets" % number(packets))
    bench.report.row(name, "the same: peak memory", t["200 taps"].rss, "MB", "in one", t["one capture"].rss)
    bench.report.row(name, "the same captures, each compressed with xz", t["200 taps, xz"].wall, "s", "not compressed",
                     t["200 taps"].wall, t["200 taps, xz"].fsync)
    bench.report.row(name, "the same: peak memory", t["200 taps, xz"].rss, "MB", "not compressed", t["200 taps"].rss)


def bursts(bench, name):
    """Many flows interleaved, each with a packet or two at a time."""
    for flows in (50000, 200000):
        packets = max(20000, int(10000000 * bench.args.scale))
        concurrent = max(100, int(flows * bench.args.scale))
        c = bench.capture("small", 1, "%s-%d-%d" % (name, concurrent, packets),
                          ["--packets", str(packets), "--sessions", str(packets // 10), "--concurrent", str(concurrent), "--burst", "2",
                           "--rate", str(max(5000, concurrent // 2))])
        indexed(bench, "%s, %d flows" % (name, concurrent), c)


# cold behind mix, whose capture it takes
WORKLOADS = {"start": start, "mix": single, "cold": cold, "small": single, "elephant": single, "pcapng": pcapng, "many": many, "crowd": crowd, "long": long,
             "taps": taps, "bursts": bursts, "adding": additions.adding, "piece": additions.piece,
             "onebyone": additions.onebyone, "known": additions.known, "watch": live.watch, "record": live.record, "beside": live.beside, "capture": capturing.capture,
             "serve": serving.serve, "cluster": cluster.cluster, "python": inpython.read_from_python, "micro": micro}
