# SPDX-License-Identifier: MIT
"""A naive twin of the session rules: every packet by itself, in order, with the rules of docs/architecture.md in the
plainest form. Slow, for Ethernet with IPv4, IPv6, ARP, TCP, UDP, SCTP and ICMP only; flowcarve must agree with it.
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
WINDOW = 60 * S


class Packet:
    __slots__ = 'file off ts len proto src dst sport dport flags seq ack frag ident'.split()


def decode(rec):
    d, p = rec.data, Packet()
    p.ts, p.len, p.off = rec.ts_ns, rec.origlen, rec.off
    p.sport = p.dport = 0
    p.flags = None
    p.frag = ''
    p.ident = None
    at, kind = 14, d[12] << 8 | d[13]
    while kind in (0x8100, 0x88a8):
        kind, at = d[at + 2] << 8 | d[at + 3], at + 4
    if kind == 0x0806:
        p.proto, p.src, p.dst = 'arp', d[at + 14:at + 18], d[at + 24:at + 28]
        return p
    if kind == 0x0800:
        p.proto, p.src, p.dst = d[at + 9], d[at + 12:at + 16], d[at + 16:at + 20]
        word = d[at + 6] << 8 | d[at + 7]
        p.frag = 'later' if word & 0x1fff else 'first' if word & 0x2000 else ''
        p.ident = d[at + 4] << 8 | d[at + 5]
        at += (d[at] & 15) * 4
    elif kind == 0x86dd:
        p.proto, p.src, p.dst = d[at + 6], d[at + 8:at + 24], d[at + 24:at + 40]
        at += 40
        if p.proto == 44:
            word = d[at + 2] << 8 | d[at + 3]
            p.frag = 'later' if word & 0xfff8 else 'first' if word & 1 else ''
            p.ident = struct.unpack_from('>I', d, at + 4)[0]
            p.proto = d[at]
            at += 8
    else:
        raise ValueError('the twin does not know EtherType %04x' % kind)
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


def key(p):
    ends = [(p.src, p.sport), (p.dst, p.dport)]
    one_way = p.proto in (1, 58) and p.frag != 'later' and (
        (ICMP if p.proto == 1 else ICMP6).get(p.sport) != p.dport)
    return (p.proto, len(p.src), *(ends if one_way else sorted(ends)), one_way)


class Session:
    def __init__(self, p, k):
        self.key, self.packets, self.base, self.synack_first = k, [], [None, None], False
        self.min = self.max = p.ts
        self.flags = [0, 0]
        self.count = [0, 0]

    def state(self):
        both = self.count[0] and self.count[1]
        if self.key[0] == 6:
            if (self.flags[0] | self.flags[1]) & RST:
                return 'reset'
            if self.flags[0] & self.flags[1] & FIN:
                return 'closed'
            if not (self.flags[0] | self.flags[1]) & SYN:
                return 'midstream'
        return 'established' if both else 'new'

    def timeout(self, t):
        both = self.count[0] and self.count[1]
        proto = self.key[0]
        if proto == 6:
            return t[2] if self.state() in ('reset', 'closed') else t[1] if both else t[0]
        if proto == 17:
            return t[4] if both else t[3]
        return t[5] if proto in (1, 58) else t[6] if proto == 132 else t[7]

    def ends_before(self, p, d, t):
        if opens(p) and self.base[d] is not None and self.base[d] != p.seq:
            return True
        return p.ts > self.max and p.ts - self.max > self.timeout(t) * S or (
            t[8] != NEVER and p.ts - self.min > t[8] * S)

    def add(self, p, d):
        self.packets.append((p, d))
        self.count[d] += 1
        self.min, self.max = min(self.min, p.ts), max(self.max, p.ts)
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

    def row(self):
        p, d = self.packets[0]
        if p.flags is not None and p.flags & (SYN | ACK) == SYN | ACK:
            d = 1 - d
        (ca, cp), (sa, sp) = self.key[2 + d], self.key[3 - d]
        ports = self.key[0] in (6, 17, 132, 1, 58)
        size = [sum(q.len for q, e in self.packets if e == x) for x in (d, 1 - d)]
        return dict(start_ns=self.min, end_ns=self.max, proto=NAMES.get(self.key[0], str(self.key[0])),
                    client_addr=str(ipaddress.ip_address(ca)), client_port=cp if ports else None,
                    server_addr=str(ipaddress.ip_address(sa)), server_port=sp if ports else None,
                    client_packets=self.count[d], server_packets=self.count[1 - d],
                    client_bytes=size[0], server_bytes=size[1], state=self.state(),
                    positions=sorted((q.file, q.off) for q, _ in self.packets))


def opens(p):
    return p.flags is not None and not p.frag and p.flags & (SYN | ACK) == SYN


def resolve_fragments(packets):
    """Later fragments get the ports of their first one."""
    firsts = {}
    for n, p in enumerate(packets):
        if p.frag == 'first':
            firsts.setdefault((p.src, p.dst, p.proto, p.ident), []).append((n, p))
    for n, p in enumerate(packets):
        if p.frag != 'later':
            continue
        near = [(m, q) for m, q in firsts.get((p.src, p.dst, p.proto, p.ident), []) if abs(q.ts - p.ts) <= WINDOW]
        here = [(m, q) for m, q in near if q.file == p.file]
        before, behind = [x for x in here if x[0] < n], [x for x in here if x[0] > n]
        if before:
            p.sport, p.dport = before[-1][1].sport, before[-1][1].dport
        elif behind:
            p.sport, p.dport = behind[0][1].sport, behind[0][1].dport
        elif near:
            q = min((q for _, q in near), key=lambda q: (abs(q.ts - p.ts), q.ts, q.file))
            p.sport, p.dport = q.sport, q.dport


def in_order(packets):
    """Packets of one flow: file order, interleaved by time, where no packet counts as earlier than the one before."""
    placed, last = [], {}
    for p in packets:
        t = last[p.file] = max(p.ts, last.get(p.file, p.ts))
        placed.append((t, p.file, p.off, p))
    placed.sort(key=lambda x: x[:3])
    return [x[3] for x in placed]


def in_file_order(files):
    """(time of the first record, path, records): the order in which captures get their numbers."""
    out = []
    for path in files:
        records = read_capture(path)
        out.append((records[0].ts_ns if records else -1, path, records))
    return sorted(out, key=lambda f: f[:2])


def sessions(files, profile='flowcarve'):
    """Rows as `query --format json` would give them, with `positions`, in the order of their first packets."""
    timeouts = PROFILES[profile] if isinstance(profile, str) else profile
    packets, flows = [], {}
    for number, (_, path, records) in enumerate(in_file_order(files), 1):
        for rec in records:
            p = decode(rec)
            p.file = number
            packets.append(p)
    resolve_fragments(packets)
    for p in packets:
        flows.setdefault(key(p), []).append(p)
    out = []
    for k, list_ in flows.items():
        s = None
        for p in in_order(list_):
            d = 0 if (p.src, p.sport) == k[2] else 1
            if s is None or s.ends_before(p, d, timeouts):
                s = Session(p, k)
                out.append(s)
            s.add(p, d)
    rows = [s.row() for s in out]
    rows.sort(key=lambda r: (r['start_ns'], r['positions'][0]))
    return rows
