#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Damage inside of captures: what is whole is found, what is found is true, every byte is accounted for.

Good captures are changed in known ways, so that the truth is known: a record whose bytes are all untouched is *whole*, one
of which some byte was changed is *hurt*. Found where no record of either kind starts, it is *false*.
FLOWCARVE_TEST_LONG=1 does 50,000 changes, and asks more of the indexes.
"""
import collections, gzip, itertools, lzma, os, struct, subprocess, unittest
import support
from support import S, T0, flowcarve, index, select, udp, verify
from test_compressed import OF_THE_FILE, pipe

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
        for f, off in itertools.chain(*support.all_positions(db).values()):
            out[f].add(off)
        return out

    def judge(self, db, truths, tally):
        found = self.found(db)
        rows = select(db, 'SELECT id, path, size, header_bytes + record_bytes + other_bytes + lost_bytes + pending_bytes, damaged, lost_bytes FROM files')
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
        left, batch = support.rounds(320, 50000), 40
        while left > 0:
            truths, db = [], self.path('x.db')
            folder = self.path('d')
            os.mkdir(folder)
            for i in range(min(left, batch)):
                if i % 8 == 0:
                    p = Pieces(make(r, r.choice(('pcap', 'pcap', 'pcapng'))))
                truths.append(mutate(r, p))
                support.write(os.path.join(folder, '%d.cap' % i), truths[-1].data)
            index(db, '-q', '--keep-copies', '--jobs', '2', folder)
            self.judge(db, truths, tally)
            verify(db, ok=0)
            if support.LONG:
                flowcarve('carve', '-q', '-d', db, '-w', '-')
                flowcarve('packets', '-q', '-d', db, *r.choice((('--fields', 'all', '-f', 'json'), ('--tree', '-x', '-f', 'table'))))
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

    # ---- damage inside of compressed captures

    def large(self, r, kind):
        """Some 2 MB, so that damage spans chunks of 64 KiB and blocks of 1 MiB."""
        if kind == 'parts':  # pcap file headers inside: what lies behind them must not be read again to know them
            return b''.join(support.pcap_bytes([(T0 + (100 * n + i) * S, udp('10.0.0.%d' % (i % 9), i, '10.0.1.1', n, (r.randbytes(90) * 15)[:1300]))
                                                for i in range(360)], e=e, magic=m)
                            for n, (e, m) in enumerate((('<', 0xa1b2c3d4), ('>', 0xa1b23c4d), ('<', 0xa1b2cd34), ('>', 0xa1b2c3d4))))
        packets = [(T0 + i * S, udp('10.0.0.%d' % (i % 9), i, '10.0.1.1', 53, (r.randbytes(90) * 34)[:r.choice((20, 1000, 3000))])) for i in range(1500)]
        return support.pcapng_bytes(packets) if kind == 'pcapng' else support.pcap_bytes(packets)

    def hurt(self, r, data):
        """(name, the bytes with damage of every size)"""
        size = len(data)
        at = lambda: r.randrange(size // 20, size // 3)
        a, b, c = sorted(at() for _ in range(3))
        yield 'whole', data
        yield 'zeros', data[:a] + bytes(1200_000) + data[a + 1200_000:]
        yield 'zeros to the end', data[:a] + bytes(size - a)
        yield 'noise', data[:a] + r.randbytes(200_000) + data[a:]
        yield 'inserted', data[:a] + b'x' + data[a:b] + bytes(70_000) + data[b:c] + r.randbytes(77) + data[c:]
        yield 'missing', data[:a] + data[a + 9:b] + data[b + 100_000:c] + data[max(c, b + 100_000) + 1:]
        yield 'cut', data[:a]
        yield 'cut to a chunk', data[:a & ~0xffff]
        yield 'cut in damage', data[:a] + bytes((-a & 0xffff) + 0x10000)
        yield 'cut in the last header', data[:size - 3]
        yield 'cut in the first header', data[:21]

    def test_damage_inside_of_a_compressed_capture(self):
        """The index is that of the plain file, damage and bytes too, for any threads and chunks."""
        r = support.rng('packed')
        kinds = {'gz': lambda d: gzip.compress(d, 1), 'xz': lambda d: lzma.compress(d, preset=0),
                 'zst': lambda d: pipe(d, 'zstd', '-q', '-1'), 'lz4': lambda d: pipe(d, 'lz4', '-q', '-c', '-B4', '-BD')}
        for n, kind in enumerate(('pcap', 'pcapng', 'parts')):
            for i, (name, data) in enumerate(self.hurt(r, self.large(r, kind))):
                first = None
                for j, ending in enumerate(('plain', *kinds)):
                    if j and not support.LONG and (i + n + j) % (9 if support.sanitized() else 6):
                        continue  # each shape in each format, but not of each kind
                    f, db = self.path('c.' + ending), self.path('x.db')
                    support.write(f, kinds[ending](data) if j else data)
                    for jobs, chunk in ((('1', '64k'), ('2', '64k'), ('8', '64k')) if j else (('1', '16M'), ('8', '64k'))):
                        with self.subTest(kind, damage=name, format=ending, jobs=jobs, chunk=chunk):
                            index(db, '-q', '--jobs', jobs, '--chunk-size', chunk, '--memory', '16M', f)
                            facts = support.dump(db, OF_THE_FILE)
                            first = first or facts
                            self.assert_same_dump(first, facts, name)
                            self.assertEqual(select(db, 'SELECT header_bytes + record_bytes + other_bytes + lost_bytes + pending_bytes FROM files'),
                                             [(len(data),)])
                            if jobs == '8':
                                verify(db)
                        os.path.exists(db) and os.remove(db)
                    os.remove(f)

    def index_of_pieces(self, name, *pieces):
        """Index of a large capture that compresses well, with little memory; how much was taken is looked at."""
        f, db = self.path(name), self.path('x.db')
        with gzip.open(f, 'wb', 1) as out:  # the memory of this process counts as that of its child
            for piece in pieces:
                out.write(piece)
        p = subprocess.Popen([support.FLOWCARVE, 'index', '-q', '-d', db, '--jobs', '2', '--chunk-size', '1M', '--memory', '16M', f],
                             stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(p.returncode, 0)
        if not support.sanitized():
            self.assertLess(usage.ru_maxrss, 64 << 10)
        return db

    def offsets(self, name, data):
        f, db = self.write(name, data), self.path(name + '.db')
        index(db, '-q', '--chunk-size', '64k', f)
        verify(db)
        return {off for p in support.all_positions(db).values() for _, off in p}

    def test_records_read_four_bytes_late_confirm_nothing(self):
        # (fraction, length, length, bytes of the packet) has lengths that lead on to the end of the capture; these have times, too
        cases = {'from-zero.pcap': (0xa1b2c3d4, lambda i: i * S // 10 + i * 1000, 1000, 200),
                 'ns.pcap': (0xa1b23c4d, lambda i: T0 + i * 100000, 10000, 6500),
                 'learned-from.pcap': (0xa1b2c3d4, lambda i: T0 + i * S // 10 + i * 1000, 1000, 20)}
        for name, (magic, time, n, hit) in cases.items():
            d = bytearray(support.pcap_bytes(
                [(time(i), udp('10.0.0.1', 1000 + i % 50, '10.0.1.1', 53, bytes([i & 255]) * (8 * (i % 50)))) for i in range(n)],
                magic=magic))
            offs = [r.off for r in support.parse_capture(bytes(d))]
            d[offs[hit] + 8] ^= 4
            with self.subTest(name):
                self.assertEqual(self.offsets(name, bytes(d)) - {offs[hit]}, set(offs) - {offs[hit]})

    def test_odd_records_beside_damage_are_kept_for_any_chunks(self):
        """Stretches of wild times, of every second length too large, of fractions above a second, and a tail of all of these."""
        r = support.rng('odd beside damage')
        d, want, junk, n = bytearray(support.pcap_bytes([])), set(), [], 6000
        for i in range(n):
            data = udp('10.0.0.%d' % (i % 9 + 1), 1000 + i % 50, '10.0.1.1', 53, r.randbytes(r.choice((20, 300, 900))))
            sec, frac, origlen = T0 // S + i, i, len(data)
            if 600 < i < 1500:
                sec = r.randrange(1 << 32)
            elif 2100 < i < 2700:
                origlen -= i % 2
            elif 3300 < i < 3600 and i % 3 == 0:
                frac = 999999999
            elif i > n - 200:
                sec, frac, origlen = r.randrange(600000000), 2000000, 1
            want.add(len(d))
            d += struct.pack('<IIII', sec, frac, len(data), origlen) + data
            if i in (1800, 3000, 3900):
                junk.append((len(d), 777))
                d += r.randbytes(777)
        plain, packed = self.write('odd.pcap', bytes(d)), self.write('odd.pcap.gz', gzip.compress(bytes(d), 1))
        for f, chunk, jobs in ((plain, '16M', '1'), (plain, '64k', '2'), (packed, '64k', '4'), (packed, '1M', '1')):
            db = self.path('x.db')
            with self.subTest(f, chunk=chunk):
                index(db, '-q', '--jobs', jobs, '--chunk-size', chunk, '--memory', '16M', f)
                self.assertEqual(select(db, 'SELECT off, length FROM damage ORDER BY off'), junk)
                self.assertEqual(self.found(db)[1], want)
                verify(db)
            os.path.exists(db) and os.remove(db)

    def test_a_long_chain_up_to_the_next_damage_is_believed(self):
        r = support.rng('long chain')
        d = bytearray(support.pcap_bytes(
            [(T0 + i * S // 50, udp('10.0.0.1', 1000 + i % 50, '10.0.1.1', 53, r.randbytes(100 + i % 400))) for i in range(2000)]))
        offs = [rec.off for rec in support.parse_capture(bytes(d))]
        struct.pack_into('<II', d, offs[1500] + 8, 1400, 1400)
        d[offs[100]:offs[100]] = bytes(20)
        want = set(offs[:100]) | {off + 20 for off in offs[100:]}
        hurt = {offs[1500] + 20}
        self.assertEqual(self.offsets('long.pcap', bytes(d)) - hurt, want - hurt)

    def test_a_search_holds_no_more_than_reading_does(self):
        """150 MB of zeros in a few hundred KB: what is searched is given back chunk by chunk."""
        r = support.rng('zeros')
        good = support.pcap_bytes([(T0 + i * S, udp('10.0.0.1', i, '10.0.1.1', 53, r.randbytes(500))) for i in range(99)])
        db = self.index_of_pieces('z.gz', good, *[bytes(1_000_000)] * 150, good[24:])
        self.assertEqual(select(db, 'SELECT records, lost_bytes, damaged FROM files'), [(198, 150_000_000, 1)])

    def test_a_guess_waits_for_nothing_far_ahead(self):
        """Payloads full of what looks like the heads of blocks of 250 MB, where a chunk's start is guessed."""
        fakes = struct.pack('<II', 5, 250 << 20) * 180
        packets = [support.epb('<', 0, T0 // 1000, udp('10.0.0.1', 5, '10.0.1.1', 53, b'xx' + fakes))] * 700
        db = self.index_of_pieces('f.gz', support.shb('<') + support.idb('<'), *[b''.join(packets)] * 150)
        self.assertEqual(select(db, 'SELECT records, damaged FROM files'), [(105_000, 0)])


if __name__ == '__main__':
    support.main()
