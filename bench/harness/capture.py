# SPDX-License-Identifier: MIT
"""Captures from fcgen, with what it says of them; what an index of them says, compared with that."""
import json
import os
import re
import shutil
import sqlite3
import subprocess

PORTS = "proto IN (6, 17, 132)"  # what has ports, as a filter sees it
SUMS = ("count(*), sum(client_packets), sum(server_packets), sum(client_bytes), sum(server_bytes), sum(duration_ns),"
        " sum(start_ns % 1000003)")
SUMMARY = re.compile(r"fcgen: (\d+) packets, (\d+) sessions, (\d+) bytes, (\d+) files")
PCAP_HEADER, PCAP_RECORD = 24, 16


class Wrong(Exception):
    """A result that is not what it must be."""


class Capture:
    """One workload on disk: a file, or a folder of files."""

    def __init__(self, path, options, truth):
        self.path = path
        self.options = options
        self.packets, self.sessions, self.bytes, self.file_count = truth
        if os.path.isdir(path):
            self.names = sorted(os.listdir(path))
            self.files = [os.path.join(path, n) for n in self.names]
        else:
            self.names = [os.path.basename(path)]
            self.files = [path]
        size = sum(os.path.getsize(f) for f in self.files)
        if (size, len(self.files)) != (self.bytes, self.file_count):
            raise Wrong("%s: %d bytes in %d files, but fcgen makes %d in %d of these options; delete it, or choose another --dir"
                        % (path, size, len(self.files), self.bytes, self.file_count))


def generate(fcgen, path, options, made):
    """The capture of these options at path; made anew unless it is there. made: list of what this run is to delete."""
    note = path.rstrip("/") + ".fcgen.json"
    known = None
    if os.path.exists(path) and os.path.exists(note):
        with open(note) as f:
            known = json.load(f)
        if known["options"] != options:
            raise Wrong("%s was made with other options; delete it, or choose another --dir" % path)
    if known is None:
        # of a capture without a note only the figures are wanted: it is generated to nowhere
        target = path
        if os.path.exists(path):
            if os.path.isdir(path):
                raise Wrong("%s: a folder of captures that nothing is known of; delete it, or choose another --dir" % path)
            target = os.devnull
        else:
            made.append(path)
        made.append(note)
        p = subprocess.run([fcgen, *options, "-w", target], capture_output=True, text=True)
        m = SUMMARY.search(p.stderr)
        if p.returncode != 0 or not m:
            raise Wrong("fcgen failed: %s" % p.stderr[-500:])
        known = {"options": options, "truth": [int(g) for g in m.groups()]}
        with open(note, "w") as f:
            json.dump(known, f)
        os.sync()  # so that writing it back does not run beside the first timings
    return Capture(path, options, known["truth"])


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.exists(path):
        os.unlink(path)


class Index:
    """An index, looked at with SQL."""

    def __init__(self, path):
        self.path = path
        self.sql = sqlite3.connect("file:%s?mode=ro" % path, uri=True)

    def one(self, statement, *values):
        return self.sql.execute(statement, values).fetchone()

    def close(self):
        self.sql.close()

    def check(self, capture):
        """Counts against the generator's, and against each other. Returns what the database holds."""
        records, ignored, malformed = self.one("SELECT sum(records), sum(ignored), sum(malformed) FROM files")
        sessions, packets, wire, blobs = self.one(
            "SELECT count(*), sum(client_packets + server_packets), sum(client_bytes + server_bytes), sum(length(positions))"
            " FROM session")
        damage = self.one("SELECT count(*) FROM damage")[0]
        size = wire + PCAP_RECORD * packets + PCAP_HEADER * capture.file_count
        if self.one("SELECT count(*) FROM files WHERE format = 'pcapng'")[0]:  # has padding and blocks without packets
            size = self.one("SELECT sum(header_bytes + record_bytes + other_bytes) FROM files")[0]
        for what, got, wanted in (
                ("records", records, capture.packets),
                ("packets in sessions and ignored ones", packets + ignored, records),
                ("ignored records", ignored, 0),
                ("malformed records", malformed, 0),
                ("sessions", sessions, capture.sessions),
                ("bytes of the capture", size, capture.bytes),
                ("damaged places", damage, 0)):
            if got != wanted:
                raise Wrong("%s: %s: %s, and must be %s" % (self.path, what, got, wanted))
        quick = self.one("PRAGMA quick_check")[0]
        if quick != "ok":
            raise Wrong("%s: %s" % (self.path, quick))
        return {"sessions": sessions, "packets": packets, "blobs": blobs, "size": os.path.getsize(self.path)}

    def same_as(self, other, added=False):
        """All sessions are those of the other index, which other threads have made. added: in several runs, so that positions may
        lie in another table."""
        columns = [row[1] for row in self.sql.execute("PRAGMA table_info(session)")]
        if added:
            columns = [c for c in columns if c not in ("positions", "flags")]
        self.sql.execute("ATTACH ? AS other", ("file:%s?mode=ro" % other,))
        same = self.one("SELECT count(*) FROM main.session a JOIN other.session b USING (id) WHERE "
                        + " AND ".join("a.%s IS b.%s" % (c, c) for c in columns))[0]
        counts = self.one("SELECT (SELECT count(*) FROM main.session), (SELECT count(*) FROM other.session)")
        self.sql.execute("DETACH other")
        if counts != (same, same):
            raise Wrong("%s and %s differ" % (self.path, other))

    # ---- choosing what to ask for

    def session_of(self, packets, capture):
        """A TCP session over IPv4 of about so many packets, alone on its endpoints and, unless `tags` says that it is not known,
        without VLAN tags: so that a filter of tcpdump finds the same packets. A dictionary."""
        rows = self.sql.execute(
            "SELECT id, client_addr, client_port, server_addr, server_port, client_packets + server_packets, positions"
            " FROM session WHERE kind = 4 AND proto = 6 ORDER BY abs(client_packets + server_packets - ?), id LIMIT 200",
            (packets,)).fetchall()
        for number, client, cport, server, sport, count, blob in rows:
            alone = self.one(
                "SELECT count(*) FROM session WHERE kind = 4 AND ((client_addr = ?1 AND client_port = ?2 AND server_addr = ?3 AND"
                " server_port = ?4) OR (client_addr = ?3 AND client_port = ?4 AND server_addr = ?1 AND server_port = ?2))",
                client, cport, server, sport)[0] == 1
            tagged = self._tagged(blob, capture)
            if alone and not tagged:
                return {"id": number, "tags": tagged is None, "client": dotted(client), "client_addr": client, "client_port": cport,
                        "server": dotted(server), "server_port": sport, "packets": count}
        raise Wrong("%s: no session to carve" % self.path)

    def _tagged(self, blob, capture):
        """Whether the session's first packet has a VLAN tag; None when its positions are compressed."""
        if not blob or blob[0] == 0:
            return None
        file, at = varint(blob, 0)
        _, at = varint(blob, at)
        off, at = varint(blob, at)
        path = self.one("SELECT path FROM files WHERE id = ?", file)[0]
        name = os.path.basename(path if isinstance(path, str) else os.fsdecode(path))
        with open(next(f for f in capture.files if os.path.basename(f) == name), "rb") as f:
            f.seek(off + PCAP_RECORD + 12)
            return f.read(2) in (b"\x81\x00", b"\x88\xa8")

    def half(self):
        """(port, packets, bytes): sessions with a client port up to this one hold about half of the capture, namely so much."""
        packets = size = 0
        total = self.one("SELECT sum(client_bytes + server_bytes + ? * (client_packets + server_packets)) FROM session",
                         PCAP_RECORD)[0]
        best = None
        for port, count, length in self.sql.execute(
                "SELECT client_port, sum(client_packets + server_packets), sum(client_bytes + server_bytes) FROM session"
                " WHERE %s GROUP BY client_port ORDER BY client_port" % PORTS):
            packets += count
            size += length + PCAP_RECORD * count
            if best is None or abs(size / total - 0.5) < abs(best[2] / total - 0.5):
                best = (port, packets, size)
        return best

    def sums_up_to(self, port):
        """Counts and sums that tell sessions up to a client port from others."""
        return self.one("SELECT %s FROM session WHERE %s AND client_port <= ?" % (SUMS, PORTS), port)

    def sums(self):
        return self.one("SELECT %s FROM session" % SUMS)


def varint(data, at):
    value = shift = 0
    while True:
        b = data[at]
        at += 1
        value |= (b & 127) << shift
        shift += 7
        if b < 128:
            return value, at


def dotted(address):
    return ".".join(str(address >> s & 255) for s in (24, 16, 8, 0))


def same_records(a, b):
    """Two pcap files hold the same bytes behind their headers."""
    if os.path.getsize(a) != os.path.getsize(b):
        return False
    with open(a, "rb") as x, open(b, "rb") as y:
        x.seek(PCAP_HEADER)
        y.seek(PCAP_HEADER)
        while True:
            p, q = x.read(1 << 20), y.read(1 << 20)
            if p != q:
                return False
            if not p:
                return True
