# SPDX-License-Identifier: MIT
"""One way of reading a capture, or an index, from Python: readers.py WAY FILE [PACKETS]

Prints seconds and CPU seconds of a round, without the start of the interpreter and what is imported, and what was read: packets, and
the sum of lengths and ports. Each way takes of a packet its time, both addresses, both ports and its length. What takes less than a
second is done again until that is over.
"""
import json
import sys
import time

WAY, PATH, MOST = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1 << 60


def records():
    """dpkt's reader, whose times are floats: here as integers of microseconds, as the capture has them."""
    import dpkt
    with open(PATH, "rb") as f:
        for n, (ts, data) in enumerate(dpkt.pcap.Reader(f)):
            if n == MOST:
                return
            yield int(ts * 10 ** 6 + 0.5), data


def by_dpkt():
    import dpkt
    n = total = 0
    ethernet, ip4, ip6, ported = dpkt.ethernet.Ethernet, dpkt.ip.IP, dpkt.ip6.IP6, (dpkt.tcp.TCP, dpkt.udp.UDP, dpkt.sctp.SCTP)
    for ts, data in records():
        ip = ethernet(data).data
        n += 1
        total += len(data)
        if isinstance(ip, (ip4, ip6)):
            ip.src, ip.dst
            if isinstance(ip.data, ported):
                total += ip.data.sport + ip.data.dport
    return n, total


def by_scapy():
    from scapy.all import IP, SCTP, TCP, UDP, IPv6, IPv6ExtHdrFragment, PcapReader
    n = total = 0
    with PcapReader(PATH) as reader:
        for packet in reader:
            if n == MOST:
                break
            n += 1
            packet.time
            total += packet.wirelen
            ip = packet.getlayer(IP) or packet.getlayer(IPv6)
            if ip:
                ip.src, ip.dst
                above = ip.payload.payload if isinstance(ip.payload, IPv6ExtHdrFragment) else ip.payload
                if isinstance(above, (TCP, UDP, SCTP)):
                    total += above.sport + above.dport
    return n, total


def one_by_one():
    import flowcarve as fc
    n = total = 0
    for p in fc.Capture(PATH, want=fc.KEY):
        if n == MOST:
            break
        n += 1
        p.ts_ns, p.src, p.dst
        total += p.len
        if p.proto in ("tcp", "udp", "sctp") and p.sport is not None:
            total += p.sport + p.dport
    return n, total


def in_batches():
    import flowcarve as fc
    import numpy as np
    n = total = 0
    for a in fc.Capture(PATH).fields("ts_ns src dst sport dport proto len"):
        ported = np.isin(a["proto"], (6, 17, 132)) & (a["sport"] >= 0)
        n += len(a)
        total += int(a["len"].sum()) + int(a["sport"][ported].sum()) + int(a["dport"][ported].sum())
    return n, total


def batches_alone(**size):
    """The same columns, with nothing made of them: what reading costs."""
    import flowcarve as fc
    return sum(len(a) for a in fc.Capture(PATH).fields("ts_ns src dst sport dport proto len", **size)), 0


def columns(names):
    import flowcarve as fc
    with fc.open(PATH) as index:
        array = index.query().to_numpy(names)
    return len(array), int(array["client_bytes"].sum())


def by_sqlite():
    """The same five columns by Python's own module."""
    import sqlite3
    import numpy as np
    rows = sqlite3.connect(PATH).execute("SELECT id, start_ns, client_packets, server_bytes, client_bytes FROM session").fetchall()
    array = np.array(rows, dtype="i8")
    return len(array), int(array[:, 4].sum())


WAYS = {"dpkt": by_dpkt, "scapy": by_scapy, "one": one_by_one, "batches": in_batches, "batches alone": batches_alone,
        "large batches": lambda: batches_alone(batch=65536),
        "five": lambda: columns("id start_ns client_addr server_addr client_bytes"), "all": lambda: columns(None), "sqlite3": by_sqlite}
MODULES = {"dpkt": "dpkt", "scapy": "scapy.all", "sqlite3": "numpy"}


def main():
    __import__(MODULES.get(WAY, "flowcarve"))
    if WAY not in MODULES and WAY != "one":
        import numpy  # noqa: F401
    start, cpu, rounds = time.perf_counter(), time.process_time(), 0
    while not rounds or time.perf_counter() - start < 1:
        n, total = WAYS[WAY]()
        rounds += 1
    print(json.dumps({"seconds": (time.perf_counter() - start) / rounds, "cpu": (time.process_time() - cpu) / rounds, "packets": n,
                      "total": total}))


main()
