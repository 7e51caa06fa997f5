# SPDX-License-Identifier: MIT
"""Other tools that read whole captures, each run once where it is installed. One that fails is a note, no end."""
import os
import re

from .capture import remove
from .process import Run, have, named_version

PEER_LIMIT_S = 3600
SLOW_BYTES = 200e6  # up to here also those that take minutes run


def tcpdump(*words):
    """tcpdump that stays who it is: as root it would become another user, who may not read or write here."""
    return ["tcpdump", *(["-Z", "root"] if os.getuid() == 0 else []), *words]


def nfpcapd(pcap, out):
    os.mkdir(out)
    r = Run(["nfpcapd", "-r", pcap, "-w", out], limit_s=PEER_LIMIT_S)
    if r.status != 0:  # 1.6 has another option for it
        r = Run(["nfpcapd", "-r", pcap, "-l", out], limit_s=PEER_LIMIT_S)
    m = re.search(r"Processed: (\d+), skipped: (\d+)", r.text)
    return r, "%s packets, %s of them skipped" % m.groups() if m else ""


def yaf(pcap, out):
    os.mkdir(out)
    r = Run(["yaf", "--in", pcap, "--out", os.path.join(out, "flows.yaf"), "--pcap-meta-file", os.path.join(out, "meta"),
             "--index-pcap"], limit_s=PEER_LIMIT_S)
    size = sum(os.path.getsize(os.path.join(out, f)) for f in os.listdir(out))
    return r, "%.0f MB written" % (size / 1e6)


def pcap_splitter(pcap, out):
    os.mkdir(out)
    r = Run(["PcapSplitter", "-f", pcap, "-o", out, "-m", "connection"], limit_s=PEER_LIMIT_S)
    return r, "%d files written" % len(os.listdir(out))


def tshark(pcap, out):
    return Run(["tshark", "-n", "-q", "-r", pcap, "-z", "conv,ip"], limit_s=PEER_LIMIT_S), ""


PEERS = (  # tool, option for its version, what it is called in the table, function, takes minutes on a large capture
    ("nfpcapd", "-V", "nfpcapd (flows, no index of packets)", nfpcapd, False),
    ("yaf", "--version", "yaf --index-pcap", yaf, False),
    ("PcapSplitter", "-v", "PcapSplitter -m connection", pcap_splitter, False),
    ("tshark", "--version", "tshark -z conv,ip", tshark, True),
)


def run_all(bench, workload, capture, ours):
    """Rows of those that are there, against our time for the same capture."""
    for tool, version, name, call, slow in PEERS:
        if not have(tool):
            bench.report.note("%s is not installed" % tool)
            continue
        if slow and capture.bytes > SLOW_BYTES and not bench.args.slow:
            bench.report.note("%s runs on captures over %.0f MB only with --slow" % (tool, SLOW_BYTES / 1e6))
            continue
        out = bench.scratch("peer")
        remove(out)
        bench.say("%s: %s" % (workload, name))
        try:
            r, note = call(capture.path, out)
        except OSError as e:
            bench.report.note("%s: %s: %s" % (workload, tool, e))
            continue
        finally:
            remove(out)
        if r.status != 0:
            bench.report.note("%s: %s ended with %d: %s" % (workload, tool, r.status, r.text.strip()[-200:].replace("\n", " ")))
            continue
        bench.report.note(named_version(tool, version))
        bench.report.run(workload, tool, 0, r)
        bench.report.row(workload, "index, 2 threads", ours, "s", name, r.wall, note="one run" + (", " + note if note else ""))
