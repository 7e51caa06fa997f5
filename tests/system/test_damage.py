#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Damage inside of captures: what is whole is found, what is found is true, every byte is accounted for.

Good captures are changed in known ways, so that the truth is known: a record whose bytes are all untouched is *whole*, one
of which some byte was changed is *hurt*. Found where no record of either kind starts, it is *false*.
FLOWCARVE_TEST_LONG=1 does 10,000 changes.
"""
import collections, os, struct, unittest
import support
from support import S, T0, flowcarve, index, select, udp, verify

Truth = collections.namedtuple('Truth', 'data whole hurt kind')


class Pieces:
    """A capture cut into pieces: (bytes, start of a record or None, touched)."""

    def __init__(self, data):
        records = support.parse_capture(data)
        self.ng = data[:4] == b'\x0a\x0d\x0d\x0a'
        self.data = bytearray(data)
        self.starts = [r.off for r in records]
        self.lengths = {r.off: self.length(r) for r in records}
        self.head = records[0].off

    def length(self, r):
        if self.ng:
            e = '<' if self.data[8] == 0x4d else '>'
            return struct.unpack_from(e + 'I', self.data, r.off + 4)[0]
        return (24 if bytes(self.data[:4]) in (b'\xa1\xb2\xcd\x34', b'\x34\xcd\xb2\xa1') else 16) + r.caplen

    def change(self, at, n, new, kind):
        """Bytes [at, at + n) become `new`."""
        data = bytes(self.data[:at]) + new + bytes(self.data[at + n:])
        shift = len(new) - n
        whole, hurt = set(), set()
        same = n == len(new)
        old = self.data[at:at + n]
        for s in self.starts:
            e = s + self.lengths[s]
            if e <= at and not (e == at and not n and not new):
                whole.add(s)
            elif s >= at + n:
                whole.add(s + shift)
            elif same and not any(old[i - at] != new[i - at] for i in range(max(s, at), min(e, at + n))):
                whole.add(s)
            elif s < at or (same and s < at + n):
                hurt.add(s)  # its header is where it was, or what is left of it is moved
                hurt.update(range(s + shift, s + shift + 4) if s + 24 > at else ())
        return Truth(data, whole, hurt, kind)


def payload(r, inner):
    """Data of the kinds that fool a search: zeros, small numbers, text, noise, and captures."""
    n = r.choice((0, 1, 20, 100, 400, 1400))
    kind = r.randrange(7)
    if kind == 0:
        return bytes(n)
    if kind == 1:
        return b''.join(struct.pack('<I', r.choice((0, 0, 1, 2, 64, 100, 1500))) for _ in range(n // 4))
    if kind == 2:
        return b'GET /index.html HTTP/1.1\r\nHost: example\r\n'[:n]
    if kind == 3:
        at = r.randrange(max(len(inner) - n, 1))
        return inner[at:at + n]
    if kind == 4:
        return inner[:n]
    return r.randbytes(n)


def make(r, kind):
    packets, t = [], T0
    inner = support.pcap_bytes([(T0 + i * S // 7, udp('192.168.0.1', 9, '192.168.0.2', i + 1, b'inner' * (i % 5)))
                                for i in range(60)])
    for i in range(r.choice((60, 150))):
        t += r.choice((1000, 1000_000, S, 60 * S))
        packets.append((t, udp('10.0.0.%d' % r.randrange(1, 9), 1000 + i, '10.0.1.1', 53, payload(r, inner))))
    if kind == 'pcapng':
        return support.pcapng_bytes(packets, e=r.choice('<>'))
    return support.pcap_bytes(packets, e=r.choice('<>'), magic=r.choice((0xa1b2c3d4, 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34)))


def mutate(r, p):
    """One change behind the first header of the capture."""
    size, first = len(p.data), p.head
    at = r.randrange(first, size)
    if r.random() < .3:  # headers are where it hurts most
        at = min(r.choice(p.starts) + r.randrange(16), size - 1)
    n = min(r.choice((1, 2, 3, 7, 16, 60, 300, 3000)), size - at)
    kind = r.randrange(8)
    if kind == 0:
        return p.change(at, 1, bytes([p.data[at] ^ 1 << r.randrange(8)]), 'bit flip')
    if kind == 1:
        return p.change(at, n, bytes(n), 'zeroed')
    if kind == 2:
        return p.change(at, n, r.randbytes(n), 'noise')
    if kind == 3:
        return p.change(at, n, b'', 'missing')
    if kind == 4:
        return p.change(at, 0, r.randbytes(n), 'inserted noise')
    if kind == 5:
        return p.change(at, 0, bytes(n), 'inserted zeros')
    if kind == 6:
        return p.change(at, size - at, b'', 'cut')
    return p.change(at, n, b'\xff' * n, 'ones')


class Damage(support.TestCase):
    def found(self, db):
        """{file id: set of offsets}"""
        out = collections.defaultdict(set)
        for blob, in select(db, 'SELECT positions FROM session'):
            for f, off in support.positions(blob):
                out[f].add(off)
        return out

    def judge(self, db, truths, tally):
        found = self.found(db)
        rows = select(db, 'SELECT id, path, size, header_bytes + record_bytes + other_bytes + lost_bytes, damaged, lost_bytes FROM files')
        self.assertEqual(len(rows), len(truths))
        for fid, path, size, accounted, damaged, lost in rows:
            t = truths[int(os.path.basename(path).split('.')[0])]
            self.assertEqual(size, accounted, path)
            ranges = select(db, 'SELECT off, length FROM damage WHERE file = ? ORDER BY off', fid)
            self.assertEqual((len(ranges), sum(n for _, n in ranges)), (damaged, lost))
            got = found[fid]
            missed, false = t.whole - got, got - t.whole - t.hurt
            c = tally[t.kind]
            c['captures'] += 1
            c['whole'] += len(t.whole)
            c['missed'] += len(missed)
            c['false'] += len(false)
            c['with false'] += bool(false)
            c['with missed'] += bool(missed)
            if os.environ.get('FLOWCARVE_TEST_KEEP') and (false or len(missed) > 2):
                name = '%s-%s-%d-%d' % (os.environ['FLOWCARVE_TEST_KEEP'], t.kind.replace(' ', '_'), len(false), len(missed))
                support.write(name + '.cap', t.data)
                support.write(name + '.txt', repr((sorted(false), sorted(missed), ranges)).encode())

    def test_what_is_whole_is_found_and_what_is_found_is_true(self):
        r = support.rng('damage')
        tally = collections.defaultdict(collections.Counter)
        left, batch = support.rounds(320, 10000), 40
        while left > 0:
            truths, db = [], self.path('x.db')
            folder = self.path('d')
            os.mkdir(folder)
            for i in range(min(left, batch)):
                if i % 8 == 0:
                    p = Pieces(make(r, r.choice(('pcap', 'pcap', 'pcapng'))))
                truths.append(mutate(r, p))
                support.write(os.path.join(folder, '%d.cap' % i), truths[-1].data)
            index(db, '-q', '--jobs', '2', folder)
            self.judge(db, truths, tally)
            verify(db, ok=0)
            self.clean(folder, db)
            left -= batch
        total = sum(tally.values(), collections.Counter())
        if support.LONG:
            for kind, c in sorted(tally.items()):
                print('%-16s %s' % (kind, dict(c)))
        self.assertLess(total['missed'], total['whole'] // 1000, tally)
        self.assertLess(total['with false'], total['captures'] // 100 + 1, tally)

    def clean(self, folder, db):
        for n in os.listdir(folder):
            os.remove(os.path.join(folder, n))
        os.rmdir(folder)
        os.remove(db)


if __name__ == '__main__':
    support.main()
