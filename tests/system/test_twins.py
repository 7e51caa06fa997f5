# SPDX-License-Identifier: MIT
"""The two naive twins of the session rules, that of this suite and the C one of the property tests, say the same."""
import os, struct, unittest

import support, twin
from support import S, T0, eth, idb, ipv4, option, pcap_bytes, run, shb, tcp, udp_datagram

TWIN_DUMP = os.path.abspath(os.environ.get('TWIN_DUMP') or os.path.join(support.ROOT, 'build/dev/tests/twin_dump'))
TIMEOUTS = 'tcp-new tcp tcp-closed udp-new udp icmp sctp other active'.split()
SHORT = (2, 5, 1, 1, 3, 1, twin.NEVER, 2.5, 7)
HOSTS = ('10.0.0.1', '10.0.0.2')
YEAR = 365 * 86400 * S


def v6(src, dst, payload, ident, frag, more):
    ends = b''.join(bytes.fromhex('20010db8' + '00' * 11) + bytes([int(h[-1])]) for h in (src, dst))
    body = struct.pack('>BBHI', 17, 0, frag | more, ident) + payload
    return eth(struct.pack('>IHBB', 6 << 28, len(body), 44, 64) + ends + body, 0x86dd)


def frame(r):
    a, b = r.sample(HOSTS, 2)
    port = r.randint(1, 2), r.randint(1, 2)
    kind = r.choice(('tcp', 'tcp', 'tcp', 'udp', 'icmp', 'arp', 'first', 'first', 'later', 'later', 'later', 'alias', 'alias'))
    ident, more = r.randint(0, 5), r.random() < .5
    if kind == 'tcp':
        flags = r.choice(('S', 'S', 'SA', 'A', 'A', 'PA', 'FA', 'R', 'F', ''))
        return tcp(a, port[0], b, port[1], flags, r.choice((0, 1, 1000, 2**32 - 1)), r.choice((0, 1, 1001)))
    if kind == 'arp':
        return eth(struct.pack('>HHBBH', 1, 0x800, 6, 4, 1) + bytes(6) + support.ip4(a) + bytes(6) + support.ip4(b), 0x0806)
    if kind == 'icmp':
        return eth(ipv4(a, b, 1, bytes([r.choice((0, 8, 3)), 0]) + bytes(6)))
    if kind == 'udp':
        return support.udp(a, port[0], b, port[1], bytes(r.randint(0, 9)))
    datagram = udp_datagram(*port, bytes(16))
    if kind == 'alias':  # a fragment of one datagram that carries a later one of another, perhaps of the same name
        return eth(ipv4(a, b, 4, ipv4(a, b, 4, bytes(16), r.randint(0, 5), 8, more), ident, 0, True))
    if kind == 'later':
        return r.choice((lambda: eth(ipv4(a, b, r.choice((4, 6, 17)), bytes(16), ident, 16, more)),
                         lambda: v6(a, b, bytes(16), ident, 16, more)))()
    return r.choice((
        lambda: eth(ipv4(a, b, 17, datagram, ident, 0, True)),
        lambda: eth(ipv4(a, b, 4, ipv4(a, b, 17, datagram), ident, 0, True)),
        lambda: eth(ipv4(a, b, 4, ipv4(a, b, 17, datagram, r.randint(0, 5), 0, True), ident, 0, True)),
        lambda: eth(ipv4(a, b, 6, struct.pack('>HHIIBBHHH', *port, 1, 1, 0x50, r.choice((2, 16, 18)), 0, 0, 0), ident, 0, True)),
        lambda: v6(a, b, datagram, ident, 0, True)))()


def times(r, n, start, timeouts):
    """n times of a clock that sometimes jumps."""
    out, t = [], start
    marks = [s for s in (*timeouts, 60) if s != twin.NEVER]
    jumpy = r.choice((0, .03, .1, .3))
    for _ in range(n):
        t += r.choice((0, 0, 1, 1000, S // 10, S, 2 * S)) if r.random() < .8 else int(r.choice(marks) * S) + r.randint(-1, 1)
        now, x = t, r.random() / jumpy if jumpy else 9
        if x < .3:
            now = t + r.choice((1, S, 100 * S, 12 * YEAR))  # a glitch
        elif x < .6:
            now = t - r.choice((1, S, 61 * S, 12 * YEAR))   # a record behind
        elif x < .8:
            now = t = t - r.choice((1, S, 3600 * S))        # set back
        elif x < 1:
            now = t = t + r.choice((3600 * S, YEAR))        # set forward
        out.append(min(max(now, 0), 2**32 * S - 1))
    return out


def capture(r, n, start, timeouts):
    packets = [(t, frame(r)) for t in times(r, n, start, timeouts)]
    if r.random() < .6:
        return pcap_bytes(packets, magic=0xa1b23c4d)
    out, untimed = shb() + idb('<', options=option('<', 9, b'\x09')), r.choice((0, .1, .5))
    if r.random() < .1:
        untimed = 1
    for t, data in packets:
        out += (support.block('<', 3, struct.pack('<I', len(data)) + data) if r.random() < untimed else
                support.epb('<', 0, t, data))
    return out


def line(s):
    """A session as twin_dump prints it."""
    text = lambda v: '-' if v is None else str(v)
    out = [s.id, 0x10806 if s.key[0] == 'arp' else s.key[0], *('%s:%d' % (a.hex(), port) for a, port in s.key[2:4]),
           s.client(), s.state(), int(s.open), text(s.first), text(s.last), text(s.start), text(s.end)]
    for d in 0, 1:
        out += [s.count[d], s.bytes[d], s.flags[d], text(s.base[d])]
    return '\t'.join(map(str, out + [' '.join('%d:%d' % (p.file, p.off) for p in s.packets)]))


@unittest.skipUnless(os.access(TWIN_DUMP, os.X_OK), 'twin_dump is not built')
class Twins(support.TestCase):
    def both(self, seed, **python):
        """(lines of the C twin, lines of the Python twin with these rules changed) for random captures."""
        r = support.rng('twins', seed)
        profile = r.choice((*twin.PROFILES, SHORT, SHORT))
        timeouts = twin.PROFILES.get(profile, profile)
        limits = r.choice(((twin.FIRSTS, twin.WAITING), (r.randint(1, 4), r.randint(1, 4))))
        many = r.choice((6, 20, 60))
        files = [self.write('%d.pcap' % i, capture(r, r.randint(1, many), T0 + r.choice((0, 1, S, 50 * S)) * r.randint(0, 3),
                                                   timeouts)) for i in range(r.randint(1, 3))]
        files = [f[1] for f in twin.in_file_order(files)]
        seconds = ['%s=%s' % (n, 'never' if s == twin.NEVER else s) for n, s in zip(TIMEOUTS, timeouts)]
        seconds.insert(0, seconds.pop(TIMEOUTS.index('udp')))  # "udp" sets "udp-new" too
        c = run(TWIN_DUMP, 'flowcarve', ','.join(seconds), *limits, *files).text.splitlines()
        python = dict(dict(zip(('FIRSTS', 'WAITING'), limits)), **python)
        kept = {k: getattr(twin, k) for k in python}
        try:
            for k, v in python.items():
                setattr(twin, k, v)
            made = twin.make_sessions(files, timeouts)
        finally:
            for k, v in kept.items():
                setattr(twin, k, v)
        return c, [line(s) for s in sorted(made, key=lambda s: (s.id < 0, abs(s.id)))]

    def test_same(self):
        for seed in range(support.rounds(300, 5000)):
            c, python = self.both(seed)
            self.assertEqual(c, python, 'round %d' % seed)

    def test_the_traffic_reaches_the_rules(self):
        for name, value in dict(VOTERS=17, BEHIND=15, WINDOW=60 * S - 1, ALIASES=3, FIRSTS=5, WAITING=5, ACK=0,
                                opens=lambda p: False).items():
            self.assertTrue(any(c != python for c, python in (self.both(seed, **{name: value}) for seed in range(300))),
                            name + ' makes no difference')


if __name__ == '__main__':
    support.main()
