# SPDX-License-Identifier: MIT
"""A naive twin of the session rules: every packet by itself, in the plainest form, section by section as in docs/sessions.md.
Slow, for Ethernet with IPv4, IPv6 (also inside of one another), ARP, TCP, UDP, SCTP and ICMP only; flowcarve must agree with it.
"""
import ipaddress, struct

from support import S, read_capture

NEVER = float('inf')
#                tcp new, established, closed, udp new, udp, icmp, sctp, other, active
PROFILES = {
    'flowcarve': (60, 3600, 60, 180, 180, 60, 300, 300, NEVER),
    'wireshark': (NEVER,) * 9,
    'zeek': (5, 300, 5, 60, 60, 60, 60, 60, NEVER),
    'suricata': (60, 600, 60, 30, 300, 300, 300, 300, NEVER),
    'arkime': (480, 480, 480, 60, 60, 10, 60, 60, NEVER),
    'yaf': (300, 300, 300, 300, 300, 300, 300, 300, 1800),
}
NAMES = {6: 'tcp', 17: 'udp', 1: 'icmp', 58: 'icmp6', 132: 'sctp', 'arp': 'arp'}
ICMP = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10}
ICMP6 = {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 139: 140, 140: 139, 144: 145,
         145: 144}
FIN, SYN, RST, ACK = 1, 2, 4, 16
VOTERS = BEHIND = 16
WINDOW = 60 * S
FIRSTS = WAITING = 262144
ALIASES = 4
MOST = 2**63 - 1


class Packet:
    # counted, place: of docs/sessions.md, ns or None. names: of the fragmented datagrams, outermost first. flow, dir: the key of
    # its session and the endpoint that sent it. waits: the name under which it waits. late: it was given up.
    __slots__ = 'file off ts counted place len proto src dst sport dport flags seq ack names frag flow dir waits late'.split()


def decode(rec):
    d, p = rec.data, Packet()
    p.ts, p.len, p.off = rec.ts_ns, rec.origlen, rec.off
    p.sport = p.dport = 0
    p.flags = p.waits = None
    p.frag, p.names = '', []
    at, kind = 14, d[12] << 8 | d[13]
    while kind in (0x8100, 0x88a8):
        kind, at = d[at + 2] << 8 | d[at + 3], at + 4
    if kind == 0x0806:
        p.proto, p.src, p.dst = 'arp', d[at + 14:at + 18], d[at + 24:at + 28]
        return p
    if kind not in (0x0800, 0x86dd):
        raise ValueError('the twin does not know EtherType %04x' % kind)
    p.proto = {0x0800: 4, 0x86dd: 41}[kind]
    while p.proto in (4, 41) and p.frag != 'later':
        at = decode_ip(p, d, at)
    if p.frag == 'later':
        return p
    if p.proto in (6, 17, 132):
        p.sport, p.dport = struct.unpack_from('>HH', d, at)
        if p.proto == 6:
            p.seq, p.ack = struct.unpack_from('>II', d, at + 4)
            p.flags = d[at + 13]
    elif p.proto in (1, 58):
        kind, code = d[at], d[at + 1]
        pair = (ICMP if p.proto == 1 else ICMP6).get(kind)
        p.sport, p.dport = (kind, code) if pair is None else (kind, pair)
    return p


def decode_ip(p, d, at):
    """The header of IPv4 (protocol 4) or IPv6 (41) at `at`, and the IPv6 fragment header; where what it carries begins."""
    word = 0
    if p.proto == 4:
        p.proto, p.src, p.dst = d[at + 9], d[at + 12:at + 16], d[at + 16:at + 20]
        word = (d[at + 6] << 8 | d[at + 7]) & 0x3fff
        ident = (p.proto, d[at + 4] << 8 | d[at + 5])
        at += (d[at] & 15) * 4
    else:
        p.proto, p.src, p.dst = d[at + 6], d[at + 8:at + 24], d[at + 24:at + 40]
        at += 40
        if p.proto == 44:
            p.proto, word = d[at], d[at + 2] << 8 | d[at + 3]
            word = word >> 3 | (word & 1) << 13
            ident = struct.unpack_from('>I', d, at + 4)[0]
            at += 8
    if word:
        p.frag = 'later' if word & 0x1fff else 'first'
        p.names.append((p.src, p.dst, ident))
    return at


def key(p):
    ends = [(p.src, p.sport), (p.dst, p.dport)]
    one_way = p.proto in (1, 58) and p.frag != 'later' and (
        (ICMP if p.proto == 1 else ICMP6).get(p.sport) != p.dport)
    return (p.proto, len(p.src), *(ends if one_way else sorted(ends)), one_way)


# ---------------------------------------------------------------- 1. counted time

def count(times):
    """The counted times of a capture whose records have these times."""
    out, counted, shift, behind = [], None, 0, 0
    known = [MOST if t is None else t for t in times]
    for n, t in enumerate(times):
        if t is not None:
            u = min(t + shift, MOST)
            if counted is None or u > counted:
                if min(known[n + 1:n + 1 + VOTERS], default=MOST) + shift >= u:  # nobody votes against it
                    votes = []
                else:
                    votes = [min(v + shift, MOST) for v in times[n + 1:n + 1 + VOTERS] if v is not None]
                if 2 * sum(v < u for v in votes) > len(votes):
                    counted = min(votes) if counted is None else counted
                else:
                    counted, behind = u, 0
            elif u == counted:
                behind = 0
            else:
                behind += 1
                if behind >= BEHIND and counted - u > S:
                    shift, behind = min(shift + counted - u, MOST), 0
        out.append(counted)
    return out


# ---------------------------------------------------------------- 2. order

def own_place(p):
    return (-MOST - 1 if p.counted is None else p.counted, p.file, p.off)


def in_order(packets):
    return sorted(packets, key=own_place)


# ---------------------------------------------------------------- 3. fragments

def near(p, q):
    return p.counted is None or q.counted is None or abs(p.counted - q.counted) <= WINDOW


def follow(firsts, p, name, aliases):
    """(first fragment that p follows, None), or (None, name where it got stuck), from `name`, which so many aliases led to."""
    while True:
        q = firsts.get(name)
        if q is None or not near(p, q):
            return None, name
        if q.frag == 'first':
            return q, None
        if aliases == ALIASES:
            return None, name
        name, aliases = q.names[-1], aliases + 1


def settle_fragments(packets):
    """Packets in the order of 2 -> (packets in their places, fragments that wait at the end)."""
    clock = packets[-1].counted if packets else None
    firsts, waiting, out = {}, [], []  # firsts: by name, oldest first. waiting: in the order of 2

    def join(p, first, place):
        p.flow, p.dir, p.place = first.flow, first.dir, place
        out.append(p)

    def give_up(p):
        waiting.remove(p)
        p.late = True
        p.place = clock if p.counted is None else min(p.counted + WINDOW, MOST)
        out.append(p)

    for p in packets:
        for w in [w for w in waiting if not near(w, p)]:
            give_up(w)
        first = stuck = None
        if p.frag == 'later':
            first, stuck = follow(firsts, p, p.names[-1], 0)
        if first:
            join(p, first, p.counted)
        elif not stuck:
            out.append(p)
        told = p.names if p.frag == 'first' else p.names[:-1]
        for name in told:
            firsts.pop(name, None)
            firsts[name] = p
            if len(firsts) > FIRSTS:
                del firsts[next(iter(firsts))]
        for w in [w for w in waiting if w.waits in told]:
            first, w.waits = (p, None) if p.frag == 'first' else follow(firsts, w, p.names[-1], 1)
            if first:
                waiting.remove(w)
                join(w, first, p.counted)
        if stuck:
            p.waits = stuck
            waiting.append(p)
            if len(waiting) > WAITING:
                give_up(waiting[0])
    for p in [w for w in waiting if w.counted is None]:
        give_up(p)
    return out, waiting


# ---------------------------------------------------------------- 4. sessions of a flow

def opens(p):
    return p.flags is not None and not p.frag and p.flags & (SYN | ACK) == SYN


class Session:
    def __init__(self, p):
        self.key, self.packets, self.base = p.flow, [], [None, None]
        self.first, self.start, self.end = p.place, None, None
        self.flags, self.count, self.bytes = [0, 0], [0, 0], [0, 0]
        self.id, self.open = None, False

    def answered(self):
        return self.key[0] == 6 and (self.flags[0] | self.flags[1]) & ACK or self.count[0] and self.count[1]

    def state(self):
        if self.key[0] == 6:
            if (self.flags[0] | self.flags[1]) & RST:
                return 'reset'
            if self.flags[0] & self.flags[1] & FIN:
                return 'closed'
            if not (self.flags[0] | self.flags[1]) & SYN:
                return 'midstream'
        return 'established' if self.answered() else 'new'

    def timeout(self, t):
        """ns"""
        proto = self.key[0]
        if proto == 6:
            slot = 2 if self.state() in ('reset', 'closed') else 1 if self.answered() else 0
        elif proto in (17, 136):
            slot = 4 if self.answered() else 3
        else:
            slot = 5 if proto in (1, 58) else 6 if proto == 132 else 7
        return NEVER if t[slot] == NEVER else int(t[slot] * S)  # a sum of times and a fraction would not be exact

    def ends_before(self, p, t):
        if opens(p) and self.base[p.dir] is not None and self.base[p.dir] != p.seq:
            return True
        if p.place is not None and self.last is not None and p.place - self.last > self.timeout(t):
            return True
        return p.place is not None and self.first is not None and p.place - self.first > t[8] * S

    def add(self, p):
        d = p.dir
        self.packets.append(p)
        self.last = p.place
        self.count[d] += 1
        self.bytes[d] += p.len
        if p.ts is not None:
            self.start = p.ts if self.start is None else min(self.start, p.ts)
            self.end = p.ts if self.end is None else max(self.end, p.ts)
        if p.flags is None:
            return
        self.flags[d] |= p.flags
        if p.frag:
            return
        if p.flags & (SYN | ACK) == SYN | ACK:
            self.base[d] = p.seq
        elif self.base[d] is None:
            self.base[d] = p.seq if p.flags & SYN else p.seq - 1 & 0xffffffff
        if p.flags & ACK and self.base[1 - d] is None:
            self.base[1 - d] = p.ack - 1 & 0xffffffff

    def client(self):
        p = self.packets[0]
        return 1 - p.dir if p.flags is not None and p.flags & (SYN | ACK) == SYN | ACK else p.dir

    def row(self):
        d = self.client()
        (ca, cp), (sa, sp) = self.key[2 + d], self.key[3 - d]
        ports = self.key[0] in (6, 17, 132, 1, 58)
        return dict(id=self.id, start_ns=self.start, end_ns=self.end, proto=NAMES.get(self.key[0], str(self.key[0])),
                    client_addr=str(ipaddress.ip_address(ca)), client_port=cp if ports else None,
                    server_addr=str(ipaddress.ip_address(sa)), server_port=sp if ports else None,
                    client_packets=self.count[d], server_packets=self.count[1 - d],
                    client_bytes=self.bytes[d], server_bytes=self.bytes[1 - d], state=self.state(),
                    positions=sorted((q.file, q.off) for q in self.packets))


def split(packets, timeouts):
    """The sessions of one flow, whose packets are in their places."""
    out = []
    for p in packets:
        if not out or out[-1].ends_before(p, timeouts):
            out.append(Session(p))
        out[-1].add(p)
    return out


def provisional(waiting):
    """3.7: sessions of the fragments that wait, one a name."""
    out = {}
    for p in waiting:
        p.place = p.counted
        out.setdefault(p.waits, Session(p)).add(p)
    return list(out.values())


# ---------------------------------------------------------------- 5. IDs, clock, open

def in_file_order(files):
    """(first time in it, path, records): the order in which captures get their numbers."""
    out = []
    for path in files:
        records = read_capture(path)
        out.append((next((r.ts_ns for r in records if r.ts_ns is not None), -1), path, records))
    return sorted(out, key=lambda f: f[:2])


def make_sessions(files, profile='flowcarve'):
    """Session objects in the order of their IDs: provisional ones first."""
    timeouts = PROFILES[profile] if isinstance(profile, str) else profile
    packets, flows, out = [], {}, []
    for number, (_, path, records) in enumerate(in_file_order(files), 1):
        for rec, counted in zip(records, count([r.ts_ns for r in records])):
            p = decode(rec)
            p.file, p.counted, p.place, p.flow, p.late = number, counted, counted, key(p), False
            p.dir = 0 if (p.src, p.sport) == p.flow[2] else 1
            packets.append(p)
    clock = max((p.counted for p in packets if p.counted is not None), default=None)
    placed, waiting = settle_fragments(in_order(packets))
    for p in placed:
        flows.setdefault(p.flow, []).append(p)
    for list_ in flows.values():
        some = split(list_, timeouts)
        last = some[-1]
        last.open = last.last is None or last.last + last.timeout(timeouts) >= clock
        out += some
    out.sort(key=lambda s: (-MOST - 1 if s.first is None else s.first, s.packets[0].late, *own_place(s.packets[0])[1:]))
    for n, s in enumerate(out, 1):
        s.id = n
    loose = provisional(waiting)
    for n, s in enumerate(loose, 1):
        s.id = -n
    return loose[::-1] + out


def sessions(files, profile='flowcarve'):
    """Rows as `query --format json` would give them, with `positions`, in the order of their IDs."""
    return [s.row() for s in make_sessions(files, profile)]
