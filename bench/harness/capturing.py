# SPDX-License-Identifier: MIT
"""Packets of an interface: what it costs to capture them, and how many are lost, beside tools that capture."""
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from . import peers
from .additions import verified
from .capture import Index, Wrong
from .process import have

PACKETS = 200000
STEADY_PPS = 50000
BEGIN_S, END_S = 30, 30


class Wires:
    """A pair of virtual interfaces, tx0 and rx0, in a network namespace of its own."""

    def __init__(self):
        self.name = "flowcarve-bench-%d" % os.getpid()
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        try:
            for kind in "default", "all":  # nothing but what is sent
                self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/%s/disable_ipv6" % kind)
            for words in (["add", "tx0", "type", "veth", "peer", "name", "rx0"], ["set", "tx0", "up"], ["set", "rx0", "up"]):
                subprocess.run(["ip", "-n", self.name, "link", *words], check=True)
        except BaseException:
            self.remove()
            raise

    def inside(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words):
        return subprocess.run(self.inside(*words), check=True, capture_output=True, text=True).stdout

    def count(self):
        """Packets that have come to rx0."""
        return int(self.run("cat", "/sys/class/net/rx0/statistics/rx_packets"))

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def number_in(text, pattern):
    """The last number of its kind that a tool has told, in the end; 0: it has told none."""
    found = re.findall(pattern, text)
    return int(found[-1].replace(",", "")) if found else 0


def tools(bench, folder):
    """Name, command, what it says when it has begun, what it says it has dropped; of ours that is checked."""
    db, one = os.path.join(folder, "x.db"), os.path.join(folder, "one")
    ours = [bench.flowcarve, "capture", "-d", db, "-w", folder, "-i", "rx0"]
    yield "flowcarve", ours, "capturing", None
    yield "flowcarve, 2 threads", [*ours, "--threads", "2"], "capturing", None
    if have("tcpdump"):
        yield ("tcpdump -w", peers.tcpdump("-i", "rx0", "-B", "32768", "-w", one), "listening on", r"(\d+) packets? dropped by kernel")
    if have("dumpcap"):
        yield "dumpcap -w", ["dumpcap", "-q", "-i", "rx0", "-B", "32", "-w", one], "File:", r"received/dropped on interface .*?: \d+/(\d+)"
    if have("nfpcapd"):
        yield "nfpcapd (flows alone)", ["nfpcapd", "-i", "rx0", "-w", folder], "", r"dropped by OS/Buffer: (\d+)"


class Listening:
    """A tool that captures."""

    def __init__(self, bench, wires, words, begins):
        self.errors = tempfile.TemporaryFile()
        self.p = subprocess.Popen(wires.inside(*words), stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        end = time.monotonic() + BEGIN_S
        while begins not in self.said():
            if time.monotonic() > end or self.p.poll() is not None:
                raise Wrong("%s does not begin: %s" % (words[0], self.said()))
            time.sleep(.01)
        time.sleep(.5)  # some say it before they do it

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def end(self):
        """Its CPU seconds and what it has said."""
        time.sleep(1)  # for what is on its way; those but ours leave it behind
        self.p.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(self.p.pid, 0)
        self.p.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime, self.said()


def one_run(bench, wires, c, speed, tool):
    name, words, begins, drops = tool
    folder = bench.scratch("captured")
    shutil.rmtree(folder, True)
    os.mkdir(folder)
    before = wires.count()
    listening = Listening(bench, wires, words, begins)
    wires.run("tcpreplay", "-q", "-K", "-i", "tx0", *speed, c.path)
    cpu, text = listening.end()
    sent = wires.count() - before
    if drops:
        dropped = number_in(text, drops)
    else:
        dropped = sent - number_in(text, r"([\d,]+) recorded")
        index = Index(os.path.join(folder, "x.db"))
        there = index.one("SELECT sum(records) FROM files")[0]
        index.close()
        if number_in(text, r"([\d,]+) packets received") != sent or there != sent - dropped:
            raise Wrong("capture: %d packets sent, %d in the index; %s" % (sent, there, text))
        verified(bench, "capture", os.path.join(folder, "x.db"))
    return cpu / (sent - dropped) * 1e6, 100 * dropped / sent


def capture(bench, name):
    """Steady traffic that nobody loses any of: the processor that a packet takes; and as much as comes: what is lost."""
    if os.getuid() != 0 or not have("ip") or not have("tcpreplay"):
        bench.report.note("capture takes root, ip(8) and tcpreplay")
        return
    wires = Wires()
    try:
        for preset in "mix", "small":
            c = bench.capture(preset, 1, "capture-" + preset, ["--bytes", "0", "--packets", str(PACKETS), "--sessions", str(PACKETS // 22)])
            for what, speed in ("%d packets/s" % STEADY_PPS, ["--pps", str(STEADY_PPS)]), ("top speed", ["--topspeed"]):
                found = {}
                bench.say("%s: %s, %s" % (name, preset, what))
                for _ in range(bench.args.runs):
                    for tool in tools(bench, bench.scratch("captured")):
                        found.setdefault(tool[0], []).append(one_run(bench, wires, c, speed, tool))
                tell(bench, name, "%s, %s" % (preset, what), found)
    finally:
        wires.remove()


def tell(bench, name, what, found):
    cpu = {tool: statistics.median(r[0] for r in runs) for tool, runs in found.items()}
    lost = {tool: statistics.median(r[1] for r in runs) for tool, runs in found.items()}
    for tool in found:
        if tool.startswith("flowcarve"):
            continue
        bench.report.row(name, "%s: CPU a packet" % what, cpu["flowcarve"], "us", tool, cpu[tool],
                         note="lost: %.2f %%, with 2 threads (%.2f us) %.2f %%; by the peer %.2f %%"
                         % (lost["flowcarve"], cpu["flowcarve, 2 threads"], lost["flowcarve, 2 threads"], lost[tool]))
    for tool in found:
        bench.report.value(name, "%s, %s: CPU a packet" % (what, tool), cpu[tool], "us")
        bench.report.value(name, "%s, %s: lost" % (what, tool), lost[tool], "%")
