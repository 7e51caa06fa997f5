# SPDX-License-Identifier: MIT
"""All of a datagram is in one session: however it is cut, in whatever order it comes, and where captures are cut."""
import os, struct

import support
from support import S, T0, dump, eth, index, ipv4, sessions, udp_datagram

MS = 10**6
A6, B6 = (bytes.fromhex('20010db8' + '00' * 11 + n) for n in ('01', '02'))


def v4(part, ident, at, more):
    return eth(ipv4('10.0.0.1', '10.0.0.2', 17, part, ident, at, more))


def v6(part, ident, at, more):
    body = struct.pack('>BBHI', 17, 0, at | more, ident) + part
    return eth(struct.pack('>IHBB', 6 << 28, len(body), 44, 64) + A6 + B6 + body, 0x86dd)


def pieces(size, mtu):
    """[(offset, length, more)] of a datagram's fragments."""
    return [(at, min(mtu, size - at), at + mtu < size) for at in range(0, size, mtu)]


def shuffled(r, items):
    items = list(items)
    r.shuffle(items)
    return items


# what is made of the pieces of one datagram; the last has no first fragment
SHAPES = {
    'in order': lambda r, p: p,
    'last first': lambda r, p: p[::-1],
    'shuffled': lambda r, p: shuffled(r, p),
    'twice': lambda r, p: shuffled(r, p + p),
    'first one twice, at the end': lambda r, p: p[1:] + p[:1] * 2,
    # teardrop: the second lies inside of the first; one that covers all; one that reaches behind the end
    'overlapping': lambda r, p: p[:1] + [(8, 16, True), (0, p[0][1], True), (8, p[0][1], True)] + p[1:] + [(p[-1][0], 1400, False)],
    'no first one': lambda r, p: shuffled(r, p[1:]),
}


class Fragments(support.TestCase):
    def datagrams(self, r):
        """[(shape, port, records)]: one flow a datagram, so that a session is a datagram."""
        out = []
        for size in 1500, 4000, 60000:
            for shape, make in SHAPES.items():
                for wrap in v4, v6:
                    port = 1000 + len(out)
                    body = udp_datagram(port, 53, bytes(size - 8)) + bytes(3000)
                    # one flow has one pair of addresses and the IP identification: the port tells the flows apart
                    records = [wrap(body[at:at + n], port, at, more)
                               for at, n, more in make(r, pieces(size, 1448 if size > 1500 else 744))]
                    out.append((shape, wrap, port, records))
        return out

    def check(self, db, files, datagrams):
        support.check_index(db)
        support.verify(db)
        self.assert_carves(db, files)
        by_port = {s['client_port']: s for s in sessions(db) if s['client_port']}
        for shape, wrap, port, records in datagrams:
            with self.subTest(shape=shape, port=port, wrap=wrap.__name__):
                if shape == 'no first one':
                    self.assertNotIn(port, by_port)
                else:
                    s = by_port[port]
                    self.assertEqual((s['client_packets'], s['server_packets']), (len(records), 0))
                    self.assertEqual(len(self.carved(db, 'port', str(port))), len(records))
        lost = [s for s in sessions(db) if not s['client_port']]
        self.assertEqual(sum(s['client_packets'] + s['server_packets'] for s in lost),
                         sum(len(d[3]) for d in datagrams if d[0] == 'no first one'))
        self.assertEqual({s['proto'] for s in lost}, {'udp'})

    def spread(self, r, datagrams, together):
        """Records with times; the datagrams one behind the other, or all mixed."""
        out, at = [], T0
        for _, _, _, records in datagrams:
            for n, data in enumerate(records):
                at += MS
                out.append((T0 + n * 40 * MS + r.randrange(30 * MS) if together else at, data))
        return sorted(out, key=lambda rec: rec[0]) if together else out

    def all_settings(self, files, datagrams):
        first = None
        for jobs in '1', '2', '8':
            for chunk in '64k', None:
                self.made = getattr(self, 'made', 0) + 1
                db = self.path('%d.db' % self.made)
                index(db, '-q', '--fields', 'all', '--jobs', jobs, *(['--chunk-size', chunk] if chunk else []), *files)
                if first is None:
                    first = dump(db)
                    self.check(db, files, datagrams)
                self.assert_same_dump(first, dump(db), '%s jobs, chunks of %s' % (jobs, chunk))

    def test_one_capture(self):
        for together in False, True:
            with self.subTest(together=together):
                r = support.rng('fragments', together)
                datagrams = self.datagrams(r)
                f = self.write('%d.pcap' % together, support.pcap_bytes(self.spread(r, datagrams, together), magic=0xa1b23c4d))
                self.all_settings([f], datagrams)

    def test_over_captures(self):
        """One behind the other, and overlapping in time."""
        for overlap in False, True:
            with self.subTest(overlap=overlap):
                r = support.rng('fragments', 'files', overlap)
                datagrams = self.datagrams(r)
                records, parts = self.spread(r, datagrams, True), [[], [], []]
                for n, rec in enumerate(records):
                    parts[r.randrange(3) if overlap else n * 3 // len(records)].append(rec)
                files = [self.write('%d-%d.pcap' % (overlap, n), support.pcap_bytes(part, magic=0xa1b23c4d))
                         for n, part in enumerate(parts)]
                self.all_settings(files, datagrams)

    def test_the_window(self):
        """An identification that comes again: within 60 s of its first fragment, and behind them."""
        records = [(T0, v4(udp_datagram(1, 53, bytes(600)), 7, 0, True)), (T0 + 60 * S, v4(bytes(100), 7, 608, False)),
                   (T0 + 121 * S, v4(bytes(100), 7, 608, False)),
                   (T0 + 130 * S, v4(udp_datagram(2, 53, bytes(600)), 7, 0, True)), (T0 + 131 * S, v4(bytes(100), 7, 608, False))]
        f, db = self.write('w.pcap', support.pcap_bytes(records)), self.path('w.db')
        index(db, '-q', f)
        # the one between is nearer to the second first fragment, which stands behind it
        self.assertEqual({s['client_port']: s['client_packets'] for s in sessions(db)}, {1: 2, 2: 3})

    def test_given_up(self):
        """First fragments out of the window between: time has passed the one in front; but not when a single one has a wrong time."""
        def first(port, ident):
            return v4(udp_datagram(port, 53, bytes(24)), ident, 0, True)
        for others, found in (1, True), (4096, False):
            records = [(T0, first(1, 7)), *[(T0 + 100 * S, first(2, 100 + n)) for n in range(others)],
                       (T0 + 10 * S, v4(bytes(40), 7, 32, False))]
            f = self.write('%d.pcap' % others, support.pcap_bytes(records))
            for chunk in '64k', '16M':
                with self.subTest(others=others, chunk=chunk):
                    db = self.path('%d-%s.db' % (others, chunk))
                    index(db, '-q', '--chunk-size', chunk, f)
                    self.assertEqual(sorted((s['client_port'], s['client_packets']) for s in sessions(db)),
                                     [(1, 2), (2, others)] if found else [(0, 1), (1, 1), (2, others)])

    def test_atomic_fragments(self):
        """IPv6, offset 0 and no more: a whole datagram, whose identification means nothing."""
        records = [(T0 + n * MS, v6(udp_datagram(1 + n % 3, 53, bytes(20)), 7, 0, False)) for n in range(9)]
        records.append((T0 + S, v6(bytes(64), 7, 64, False)))
        f, db = self.write('a.pcap', support.pcap_bytes(records)), self.path('a.db')
        index(db, '-q', f)
        self.assertEqual(sorted((s['client_port'], s['client_packets']) for s in sessions(db)),
                         [(0, 1), (1, 3), (2, 3), (3, 3)])
        support.verify(db)
        self.assert_carves(db, [f])


if __name__ == '__main__':
    support.main()
