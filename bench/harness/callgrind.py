# SPDX-License-Identifier: MIT
"""Instructions a packet, by room, from callgrind. A count and no time: the same on a busy machine."""
import collections
import os
import re

from .capture import Wrong, remove
from .process import Run

NAME = re.compile(r"\((\d+)\)(?: (.*))?$")
ROOM = re.compile(r"(?:^|/)src/([a-z]+)/[^/]*$|/rooms/[a-z]+/([a-z]+)/[^/]*$")
LIBRARIES = (("libsqlite3", "SQLite"), ("liburcu", "urcu"), ("libc.", "libc"), ("libc-", "libc"), ("libm.", "libc"),
             ("libpthread", "libc"), ("ld-linux", "start-up"), ("ld-", "start-up"))


def room_of(file, binary):
    m = ROOM.search(file)
    if m:
        return m.group(1) or m.group(2)
    base = os.path.basename(binary)
    return next((room for start, room in LIBRARIES if base.startswith(start)), "other")


def parse(path):
    """Instructions by room. What was inlined counts for the file that it was written in."""
    files, objects = {}, {}
    costs = collections.Counter()
    file = binary = ""
    skip = False

    def name(table, text):
        m = NAME.match(text)
        if m.group(2) is not None:
            table[m.group(1)] = m.group(2)
        return table.get(m.group(1), "")

    with open(path, errors="replace") as f:
        for line in f:
            c = line[0]
            if c.isdigit() or c in "+-*":
                if skip:  # what a call has cost, the callee's own lines say
                    skip = False
                else:
                    costs[room_of(file, binary)] += int(line.split()[1])
                continue
            key, _, value = line.rstrip("\n").partition("=")
            if key in ("fl", "fi", "fe"):
                file = name(files, value)
            elif key == "ob":
                binary = name(objects, value)
            elif key in ("cfi", "cfl"):
                name(files, value)
            elif key == "cob":
                name(objects, value)
            elif key == "calls":
                skip = True
    return costs


def count(flowcarve, folder, capture, options):
    """Instructions of one index run, one thread, by room."""
    out, db = os.path.join(folder, "callgrind.out"), os.path.join(folder, "callgrind.db")
    try:
        r = Run(["env", "FLOWCARVE_SANDBOX=off", "valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, flowcarve,
                 "index", "-q", "-j1", "-d", db, *options, capture.path])
        if r.status != 0 or not os.path.exists(out):
            raise Wrong("callgrind: %s" % r.text[-300:])
        return parse(out)
    finally:
        remove(out)
        remove(db)


def a_packet(flowcarve, folder, one, two, options):
    """From a capture and a larger one: (instructions a further packet, the same by room, what a run costs besides, in millions).
    Their difference leaves out what every run costs: starting, the schema, walking through a large and empty table."""
    first = count(flowcarve, folder, one, options)
    second = count(flowcarve, folder, two, options)
    packets = two.packets - one.packets
    rooms = {room: (second[room] - first[room]) / packets for room in second}
    total = sum(rooms.values())
    return total, rooms, (sum(first.values()) - total * one.packets) / 1e6
