# SPDX-License-Identifier: MIT
"""The same packets in any container give the same sessions; broken containers give what is in front of the damage."""
import gzip, os, re, shutil, struct, subprocess, sys, unittest, zlib

import support
from support import S, T0, block, epb, flowcarve, idb, index, option, select, sessions, shb, udp, verify


def us(ts):
    return ts // 1000


def good(packets):
    """{name: bytes}: `packets` in every container that flowcarve reads."""
    out = {}
    for e, n in (('<', 'le'), ('>', 'be')):
        plain = support.pcap_bytes(packets, e=e)
        out['us-%s.pcap' % n] = plain
        out['ns-%s.pcap' % n] = support.pcap_bytes(packets, e=e, magic=0xa1b23c4d)
        out['modified-%s.pcap' % n] = support.pcap_bytes(packets, e=e, magic=0xa1b2cd34)
        out['snaplen-0-%s.pcap' % n] = support.pcap_bytes(packets, e=e, snaplen=0)
        out['snaplen-tiny-%s.pcap' % n] = support.pcap_bytes(packets, e=e, snaplen=1)
        out['snaplen-max-%s.pcap' % n] = support.pcap_bytes(packets, e=e, snaplen=0xffffffff)
        out['fcs-%s.pcap' % n] = plain[:20] + struct.pack(e + 'I', 1 | 0x54000000) + plain[24:]
        blocks = lambda i=0, unit=us, opts=b'': [epb(e, i, unit(p[0]), p[1], p[2] if len(p) > 2 else None, opts)
                                                 for p in packets]
        out['us-%s.pcapng' % n] = shb(e) + idb(e) + b''.join(blocks())
        out['ns-%s.pcapng' % n] = shb(e) + idb(e, 1, option(e, 9, b'\x09')) + b''.join(blocks(unit=lambda t: t))
        out['2pow30-%s.pcapng' % n] = shb(e) + idb(e, 1, option(e, 9, b'\x9e')) + b''.join(
            blocks(unit=lambda t: -(-t * 2**30 // S)))
        out['offset-%s.pcapng' % n] = shb(e) + idb(e, 1, option(e, 14, struct.pack(e + 'q', 10**6))) + b''.join(
            blocks(unit=lambda t: us(t) - 10**12))
        out['negative-offset-%s.pcapng' % n] = shb(e) + idb(e, 1, option(e, 14, struct.pack(e + 'q', -10**6))) + \
            b''.join(blocks(unit=lambda t: us(t) + 10**12))
        out['comments-%s.pcapng' % n] = shb(e) + idb(e, 1, option(e, 2, b'eth0') + option(e, 1, b'x' * 333)) + b''.join(
            blocks(opts=option(e, 1, b'a comment') + option(e, 2, bytes(4)) + option(e, 0, b'')))
        noise = block(e, 4, bytes(4)) + block(e, 5, bytes(12)) + block(e, 0xbad, bytes(12)) + block(e, 10, bytes(9)) + \
            block(e, 0x7fff0001, b'unknown')
        out['noise-%s.pcapng' % n] = shb(e) + noise + idb(e) + noise.join(blocks()) + noise
        out['third-interface-%s.pcapng' % n] = shb(e) + idb(e, 101) + idb(e, 113) + idb(e) + b''.join(blocks(2))
        out['sections-%s.pcapng' % n] = b''.join(shb(e) + idb(e) + b for b in blocks())
        out['late-interface-%s.pcapng' % n] = shb(e) + idb(e) + b''.join(blocks()[:9]) + idb(e) + b''.join(blocks(1)[9:])
    out['sections-of-both-orders.pcapng'] = b''.join(
        shb(e) + idb(e) + epb(e, 0, us(p[0]), p[1], p[2] if len(p) > 2 else None)
        for e, p in zip('<>>' * len(packets), packets))
    return out


# of these the end is the beginning of a record, as far as anybody can tell
PENDING = ('cut-in-header.pcap', 'cut-in-data.pcap', 'zeros-behind.pcap', 'cut-in-block.pcapng', 'cut-in-block-header.pcapng')


def broken(packets):
    """{name: (bytes, records found, [(offset, length)] of the damage)}"""
    n, out = len(packets), {}
    pcap = support.pcap_bytes(packets)
    last = 16 + len(packets[-1][1])
    head = len(pcap) - last
    out['cut-in-header.pcap'] = pcap[:head + 9], n - 1, head
    out['cut-in-data.pcap'] = pcap[:-1], n - 1, head
    out['no-packets.pcap'] = pcap[:24], 0, None
    out['huge-caplen.pcap'] = pcap + struct.pack('<IIII', 1, 1, 0x7fffffff, 60) + b'\xaa' * 60, n, len(pcap)
    out['caplen-all-ones.pcap'] = pcap + b'\xff' * 40, n, len(pcap)
    out['zeros-behind.pcap'] = pcap + bytes(7), n, len(pcap)
    middle = support.pcap_bytes(packets[:n // 2])
    out['garbage-in-the-middle.pcap'] = middle + b'\xff' * 99 + pcap[24:], n // 2 + n, [(len(middle), 99)]
    out['zeros-in-the-middle.pcap'] = middle + bytes(4096) + pcap[24:], n // 2 + n, [(len(middle), 4096)]
    out['two-captures.pcap'] = pcap + pcap, 2 * n, []
    out['two-byte-orders.pcap'] = pcap + support.pcap_bytes(packets, e='>'), 2 * n, []
    out['all-variants.pcap'] = b''.join(support.pcap_bytes(packets, e=e, magic=m) for e in '<>' for m in (
        0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34)), 6 * n, []
    out['a-header-behind-garbage.pcap'] = pcap + b'\xff' * 33 + support.pcap_bytes(packets, e='>'), 2 * n, [(len(pcap), 33)]
    out['a-header-of-the-same-order-behind-garbage.pcap'] = pcap + b'\xff' * 33 + pcap, 2 * n, [(len(pcap), 33)]
    out['empty-captures.pcap'] = pcap[:24] * 5 + pcap + pcap[:24], n, []
    ng = shb() + idb() + b''.join(epb('<', 0, us(p[0]), p[1]) for p in packets)
    at = len(ng) - len(epb('<', 0, 0, packets[-1][1]))
    patch = lambda off, word: ng[:off] + struct.pack('<I', word) + ng[off + 4:]
    out['cut-in-block.pcapng'] = ng[:-5], n - 1, at
    out['cut-in-block-header.pcapng'] = ng[:at + 6], n - 1, at
    out['trailer-differs.pcapng'] = patch(len(ng) - 4, 12345), n, []
    out['trailer-differs-and-garbage.pcapng'] = patch(len(ng) - 4, 12345) + b'\xff' * 40, n - 1, at
    out['garbage-in-the-middle.pcapng'] = ng + b'\xff' * 99 + ng[len(shb() + idb()):], 2 * n, [(len(ng), 99)]
    out['a-section-of-the-other-order-behind-garbage.pcapng'] = ng + b'\xff' * 100 + shb('>') + idb('>') + b''.join(
        epb('>', 0, us(p[0]), p[1]) for p in packets), 2 * n, [(len(ng), 100)]
    out['one-unknown-interface.pcapng'] = patch(len(shb() + idb()) + 8, 7), n - 1, [
        (len(shb() + idb()), len(epb('<', 0, 0, packets[0][1])))]
    late = shb()[:12] + b'\2\0' + shb()[14:]
    out['unknown-version.pcapng'] = ng + late + ng[28:] + ng, 2 * n, [(len(ng), len(ng))]
    out['packets-before-the-section.pcapng'] = b'\x0a\x0d\x0d\x0a' + ng[28:] + ng, n, [(0, len(ng) - 24)]
    out['block-length-0.pcapng'] = patch(at + 4, 0), n - 1, at
    out['block-length-8.pcapng'] = patch(at + 4, 8), n - 1, at
    out['block-length-max.pcapng'] = patch(at + 4, 0xfffffffc), n - 1, at
    out['unknown-interface.pcapng'] = patch(at + 8, 7), n - 1, at
    out['interface-max.pcapng'] = patch(at + 8, 0xffffffff), n - 1, at
    out['caplen-beyond-block.pcapng'] = patch(at + 20, 60000), n - 1, at
    out['caplen-max.pcapng'] = patch(at + 20, 0xfffffff0), n - 1, at
    out['no-interface.pcapng'] = shb() + epb('<', 0, us(T0), packets[0][1]), 0, len(shb())
    out['bad-order-mark.pcapng'] = ng + shb()[:8] + b'\1\2\3\4' + shb()[12:], n, []
    out['bad-order-mark-and-length.pcapng'] = ng + shb()[:8] + b'\1\2\3\4' + shb()[12:24] + b'\1\2\3\4', n, len(ng)
    return {name: (data, count, [] if off is None else off if isinstance(off, list) else [(off, len(data) - off)])
            for name, (data, count, off) in out.items()}


class Formats(support.TestCase):
    def packets(self):
        r = support.rng('formats')
        f, = self.fcgen('seed.pcap', '--packets', '200', '--sessions', '20', '--vlan', '20')
        out = [(p.ts_ns, p.data, p.origlen) for p in support.read_capture(f)]
        os.remove(f)
        out[7] = (out[7][0], out[7][1][:60], out[7][2])  # a cut one
        self.assertFalse([p for p in out if p[0] % 1000])
        return out

    def test_good_containers(self):
        packets = self.packets()
        want = None
        for name, data in good(packets).items():
            with self.subTest(name):
                f, db = self.write(name, data), self.path(name + '.db')
                index(db, '-q', f, '--jobs', '2', '--chunk-size', '64k')
                got = sessions(db)
                want = want or got
                self.assertEqual(got, want)
                support.check_index(db)
                support.verify(db)
                self.assert_carves(db, [f])
                self.assertEqual(select(db, 'SELECT count(*) FROM damage'), [(0,)])
                e = 'big' if '-be.' in name else 'mixed' if 'both' in name else 'little'
                kind = 'pcapng' if name.endswith('pcapng') else 'pcap-modified' if 'modified' in name else \
                    'pcap-ns' if name.startswith('ns') else 'pcap'
                self.assertEqual(select(db, 'SELECT format, byte_order, records FROM files'), [(kind, e, len(packets))])
        self.assertEqual(sum(s['client_packets'] + s['server_packets'] for s in want), len(packets))

    def test_variants_with_longer_record_headers(self):
        """Behind magic numbers that promise shorter ones: only the records tell."""
        packets = [p[:2] for p in self.packets()]
        for name, magic, extra in (('ipso', 0xa1b2c3d4, 4), ('redhat-6.1', 0xa1b2c3d4, 8), ('suse-6.3', 0xa1b2cd34, 12)):
            for e in '<>':
                plain = support.pcap_bytes(packets, e=e)
                data = bytearray(struct.pack(e + 'I', magic) + plain[4:24])
                for r in support.parse_capture(plain):
                    data += plain[r.off:r.off + 16] + (struct.pack(e + 'IHBB', 2, 8, 0, 0) + bytes(4))[:extra] + r.data
                with self.subTest(name, order=e):
                    f, p, db = self.write('v.pcap', bytes(data)), self.write('plain.pcap', plain), self.path('%s%s.db' % (name, ord(e)))
                    index(db, '-q', '--strict', '--chunk-size', '64k', f)
                    support.verify(db)
                    self.assert_carves(db, [p])
                    # damage in front of a record that is whole is no reason to think so
                    broken = bytearray(plain)
                    second = support.parse_capture(plain)[1].off
                    broken[second:second + 16] = b'\xff' * 16
                    db = self.path('broken-%s%s.db' % (name, ord(e)))
                    index(db, '-q', self.write('broken.pcap', bytes(broken)))
                    self.assertEqual(select(db, 'SELECT records, damaged FROM files'), [(len(packets) - 1, 1)])

    def test_no_chunk_is_read_twice(self):
        # where records begin in the middle of a file is guessed; a wrong guess costs time, much of it
        f, = self.fcgen('seed.pcap', '--packets', '4000', '--sessions', '100')
        packets = [(p.ts_ns, p.data, p.origlen) for p in support.read_capture(f)]
        os.remove(f)
        captures = {name: data for name, data in good(packets).items() if 'sections' not in name and 'late' not in name}
        late = 3600 * 24 * 1000 * S
        captures['no-origlen.pcap'] = support.pcap_bytes([(t, d, 0) for t, d, _ in packets])
        captures['no-times.pcap'] = support.pcap_bytes([(0, d, n) for _, d, n in packets])
        captures['clock-set-late.pcap'] = support.pcap_bytes(
            [(t + late if i > 100 else t, d, n) for i, (t, d, n) in enumerate(packets)])
        captures['odd-fractions.pcap'] = captures['ns-le.pcap'][:24].replace(
            struct.pack('<I', 0xa1b23c4d), struct.pack('<I', 0xa1b2c3d4)) + captures['ns-le.pcap'][24:]
        captures['some-empty.pcap'] = support.pcap_bytes(
            [q for i, p in enumerate(packets) for q in (([(p[0], b'', 60)] if i % 30 == 7 else []) + [p])])
        captures['snaplen-passed-at-times.pcap'] = support.pcap_bytes(packets, snaplen=max(len(p[1]) for p in packets) - 1)
        captures['us-le.pcapng.gz'] = gzip.compress(captures['us-le.pcapng'], 1)
        for name, data in captures.items():
            with self.subTest(name):
                self.assertGreater(len(data), 20 << 16 if not name.endswith('gz') else 0)
                self.assertEqual(self.read_twice(self.write(name, data)), 0)
        # some of these go on with a record of the capture itself: nothing tells them from it
        f, = self.fcgen('payload.pcap', '--packets', '40000', '--sessions', '100', '--payload', 'capture')
        self.assertLess(self.read_twice(f), os.path.getsize(f) // 65536 // 8)

    def read_twice(self, capture):
        told = index(capture + '.db', '-v', capture, '--jobs', '4', '--chunk-size', '64k')
        return int(re.search(r'; (\d+) chunks? read twice,', told.text + told.err)[1])

    def test_broken_containers(self):
        for name, (data, count, lost) in broken([p[:2] for p in self.packets()]).items():
            with self.subTest(name):
                f, db = self.write(name, data), self.path(name + '.db')
                r = index(db, f)
                self.assertEqual(select(db, 'SELECT sum(records) FROM files'), [(count,)])
                self.assertEqual(sum(s['client_packets'] + s['server_packets'] for s in sessions(db)), count)
                damage = select(db, 'SELECT off, length, cause FROM damage')
                if name in PENDING:
                    self.assert_says(r, ' + %d pending' % lost[0][1], 'no whole record yet')
                    self.assertEqual(select(db, 'SELECT end_off, pending_bytes FROM files'), lost)
                    lost = []
                self.assertEqual([d[:2] for d in damage], lost)
                for off, _, cause in damage:
                    self.assert_says(r, '%s@%d: ' % (name, off), cause)
                self.assert_says(r, '%d bytes = ' % len(data), '%d skipped' % sum(n for _, n in lost))
                support.verify(db)
                if count:
                    self.assertEqual(len(self.carved(db)), count)
                # a second run does not take it for a new or a changed capture
                self.assert_says(index(db, f), 'unchanged')

    def test_damage_is_the_same_for_all_settings(self):
        """Garbage in the middle of a capture that many threads read: all go on at the same place."""
        files = self.fcgen('c.pcap', '--packets', '6000')
        data = support.read_bytes(files[0])
        records = support.read_capture(files[0])
        r = support.rng('damage')
        for _ in range(support.rounds(6, 60)):
            k = r.randrange(1, len(records))
            off = records[k].off
            f = self.write('d.pcap', data[:off + 8] + b'\xff\xff\xff\x7f' + data[off + 12:])
            first = None
            for jobs in ('1', '2', '8'):
                for chunk in ('64k', '100001', '16M'):
                    db = self.path('x.db')
                    index(db, '-q', '--jobs', jobs, '--chunk-size', chunk, f)
                    text = support.dump(db)
                    first = first or text
                    self.assert_same_dump(first, text, '%s %s' % (jobs, chunk))
                    end = (records[k + 1].off if k + 1 < len(records) else len(data))
                    self.assertEqual(select(db, 'SELECT records FROM files'), [(len(records) - 1,)])
                    self.assertEqual(select(db, 'SELECT off, length FROM damage'), [(off, end - off)])
                    os.remove(db)

    def test_strict(self):
        packets = [p[:2] for p in self.packets()]
        good, bad = support.pcap_bytes(packets), support.pcap_bytes(packets) + b'x'
        self.write('good.pcap', good)
        self.write('bad.pcap', bad)
        for name, rc in (('good.pcap', 0), ('bad.pcap', 2)):
            db = self.path(name + '.db')
            index(db, '--strict', self.path(name), ok=rc)
            verify(db)  # it is an index all the same
            self.assertEqual(select(db, 'SELECT records FROM files'), [(len(packets),)])

    def test_odd_records_are_kept(self):
        """What looks odd but can be read is read, as tcpdump and Wireshark do: libpcap must count the same."""
        packets = [p[:2] for p in self.packets()][:60]
        def odd(which, at, word, magic=0xa1b2c3d4, snaplen=262144):
            d = bytearray(support.pcap_bytes(packets, magic=magic, snaplen=snaplen))
            for r in support.parse_capture(bytes(d)):
                if which(r):
                    struct.pack_into('<I', d, r.off + at, word(r))
            return bytes(d)
        offs = [r.off for r in support.parse_capture(support.pcap_bytes(packets))]
        one, every = (lambda r: r.off == offs[30]), (lambda r: True)
        cases = {
            'longer-than-original': odd(one, 12, lambda r: r.caplen // 2), 'all-longer': odd(every, 12, lambda r: 1),
            'no-original': odd(one, 12, lambda r: 0), 'all-no-original': odd(every, 12, lambda r: 0),
            'above-snaplen': odd(lambda r: False, 0, None, snaplen=20),
            'above-snaplen-later': support.pcap_bytes(
                [(t, d if i < 40 else d + bytes(16384)) for i, (t, d) in enumerate(packets)], snaplen=2000),
            'huge-original': odd(one, 12, lambda r: 0xffffffff),
            'fraction': odd(one, 4, lambda r: 999999999), 'all-fractions': odd(every, 4, lambda r: 999999999),
            'time-zero': odd(one, 0, lambda r: 0), 'all-times-zero': odd(every, 0, lambda r: 0),
            'time-max': odd(one, 0, lambda r: 0xffffffff),
            'half-times-zero': odd(lambda r: r.off < offs[30], 0, lambda r: 7),
            'later-times-zero': odd(lambda r: r.off >= offs[30], 0, lambda r: 7),
            'no-bytes': support.pcap_bytes([(t, b'' if i % 7 == 3 else d, 60) for i, (t, d) in enumerate(packets)]),
            'all-no-bytes': support.pcap_bytes([(t, b'', 60) for t, d in packets]),
        }
        # habits that show, or change, behind what is learned from, or that less than half of the records have
        packets = [(T0 + i * S, udp('10.0.0.1', 1000 + i % 9, '10.0.0.2', 53, bytes(i % 50))) for i in range(300)]
        at = {r.off: i for i, r in enumerate(support.parse_capture(support.pcap_bytes(packets)))}
        wild = lambda r: zlib.crc32(b'%d' % r.off) % 631152000  # before 1990, years apart
        cases.update({
            'wild-times-at-the-end': odd(lambda r: at[r.off] >= 288, 0, wild),
            'wild-times-inside': odd(lambda r: 100 <= at[r.off] < 200, 0, wild),
            'every-second-longer': odd(lambda r: at[r.off] % 2 and at[r.off] > 1, 12, lambda r: r.caplen - 1),
            'every-second-longer-later': odd(lambda r: at[r.off] % 2 and at[r.off] > 70, 12, lambda r: r.caplen - 1),
            'longer-at-the-end': odd(lambda r: at[r.off] >= 280, 12, lambda r: r.caplen - 1),
            'many-ways-at-the-end': odd(lambda r: at[r.off] >= 280, 4, lambda r: 999999999, snaplen=20),
            'time-and-length-of-the-last': odd(lambda r: at[r.off] == 299, 0, lambda r: 7)[:-len(packets[-1][1]) - 4] +
                bytes(4) + packets[-1][1],
        })
        for name, data in cases.items():
            with self.subTest(name):
                f, db = self.write(name + '.pcap', data), self.path(name + '.db')
                index(db, '-q', '--strict', '--chunk-size', '64k', f)
                self.assertEqual(select(db, 'SELECT records, damaged FROM files'),
                                 [(len(support.parse_capture(data)), 0)])
                verify(db)
                self.assert_carves(db, [f], ordered=False)

    def test_every_length_of_a_cut_capture(self):
        """A capture that is still being written, or a full disk: any length must do."""
        packets = [(T0 + i * S, udp('10.0.0.%d' % i, 5, '10.0.0.9', 53, b'xyz'[:i])) for i in range(3)]
        for name, data in (('c.pcap', support.pcap_bytes(packets)), ('c.pcapng', support.pcapng_bytes(packets))):
            whole = [r.off for r in support.read_capture(self.write(name, data))] + [len(data)]
            for n in range(0, len(data), 1 if support.LONG else 5):
                f, db = self.write(name, data[:n]), self.path('x.db')
                r = index(db, '-q', f, ok=(0, 2))
                want = sum(e <= n for e in whole[1:])
                if r.rc == 2:
                    self.assertLess(n, 32, 'refused')
                    self.assertEqual(want, 0)
                    self.assertNotIn('x.db', self.listing())
                    self.assertIn(name, r.err)
                    continue
                self.assertEqual(select(db, 'SELECT sum(records) FROM files'), [(want,)], '%s of %d bytes' % (name, n))
                support.verify(db)
                os.remove(db)

    def test_variants_of_the_oracle(self):
        if not support.ORACLE:
            self.skipTest('FLOWCARVE_ORACLE is not set')
        seeds = [self.fcgen('seed.pcap', '--packets', '300', '--vlan', '20', '--fragments', '10')[0]]
        if support.CAPTURES:
            seeds += self.real_seeds()
        for n, seed in enumerate(seeds):
            out = self.path('v%d' % n)
            subprocess.run([sys.executable, os.path.join(support.ORACLE, 'variants.py'), seed, out], check=True,
                           env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1'))
            expect = dict(l.split('\t') for l in support.read_bytes(os.path.join(out, 'EXPECT.tsv')).decode().splitlines()[1:])
            want = None
            for name, count in expect.items():
                with self.subTest(seed=os.path.basename(seed), name=name):
                    f, db = os.path.join(out, name), os.path.join(out, 'x.db')
                    if os.path.exists(db):
                        os.remove(db)
                    r = index(db, f, ok=(0, 2))
                    if r.rc == 2:  # nothing in it and nothing to tell a format from
                        self.assertEqual((int(count), os.path.basename(name)), (0, 'zero-bytes.pcap'), r)
                        continue
                    # the oracle takes a block whose last length is wrong for lost; its first one leads to the next
                    count = int(count) + (name == 'broken/ng-trailer-differs.pcapng')
                    self.assertEqual(select(db, 'SELECT coalesce(sum(records), 0) FROM files'), [(count,)])
                    support.verify(db)
                    if name.startswith('good/'):
                        got = sessions(db)
                        want = want or got
                        self.assertEqual(got, want)

    def real_seeds(self):
        rows = support.read_truth(os.path.join(support.CAPTURES, 'MANIFEST.tsv'))
        rows = [r for r in rows if r['status'] == 'ok' and 'z:' not in r['features'] and ',' not in r['linktypes'] and
                20 < int(r['packets']) < 2000 and r['linktypes'].split(':')[0] in ('1', '113', '276', '101', '0')]
        r = support.rng('variants')
        return [os.path.join(support.CAPTURES, x['path']) for x in r.sample(rows, min(len(rows), support.rounds(1, 30)))]

    # ---- what is no capture

    def refused(self, name, data, *says):
        f, db = self.write(name, data), self.path('x.db')
        r = index(db, f, ok=2)
        self.assert_says(r, name, *says)
        self.assertEqual(self.listing(), sorted([name]), 'something was left')
        return r

    def test_not_a_capture(self):
        r = support.rng('noise')
        for name, data in (('a.txt', b'hello world\n' * 99), ('a.bin', r.randbytes(5000)), ('zeros', bytes(5000)),
                           ('a.pcap', b'\xd4\xc3\xb2\xa0' + bytes(400)), ('x.snoop', b'snoop\0\0\0' + bytes(99))):
            with self.subTest(name):
                self.setUp()
                self.refused(name, data, 'not a capture')

    def test_captures_of_other_formats_are_named_with_the_way_out(self):
        erf = lambda sec, data: struct.pack('<II', 0, sec) + struct.pack('>BBHHH', 2, 4, 18 + len(data), 0, len(data)) + b'\0\0' + data
        i4b = lambda e, sec: struct.pack(e + '8I', 40, 0, 1, 1, 0, 1, sec, 5) + bytes(8)
        frame = udp('10.0.0.1', 5, '10.0.0.2', 53, b'x')
        foreign = {
            'ERF': b''.join(erf(1700000000 + i, frame) for i in range(5)), 'ERF capture': erf(1700000000, frame),
            'btsnoop': b'btsnoop\0' + struct.pack('>II', 1, 1002) + bytes(50), 'isdn4bsd': i4b('<', 900000000) + i4b('<', 900000001),
            'isdn4bsd trace': i4b('>', 900000000), 'snoop': b'snoop\0\0\0' + bytes(99),
            'PEAK': b';##########\r\n;$FILEVERSION=1.1\r\n;$STARTTIME=37704.5\r\n',
            'Ascend': b'> pridisp\nPRI-XMIT-27: (task "l1Task" at 0x10216fe0, time: 560194.01) 4 octets @ 0x1027c5b0\n',
        }
        for i, (name, data) in enumerate(foreign.items()):
            with self.subTest(name):
                self.setUp()
                self.refused('%d.trace' % i, data, name, 'convert it with editcap')

    def test_what_editcap_writes_is_read_or_named(self):
        if not shutil.which('editcap'):
            self.skipTest('needs editcap')
        plain = self.write('plain.pcap', support.pcap_bytes([p[:2] for p in self.packets()]))
        index(self.path('plain.db'), '-q', plain)
        want = sessions(self.path('plain.db'))
        for kind in ('btsnoop erf 5views k12text lanalyzer netmon1 netmon2 nettl ngsniffer ngwsniffer_2_0 observer snoop visual '
                     'nokiapcap modpcap rh6_1pcap suse6_3pcap nsecpcap').split():
            f, db = self.path(kind), self.path(kind + '.db')
            p = subprocess.run(['editcap', '-F', kind, plain, f], stderr=subprocess.DEVNULL)
            if p.returncode or not os.path.getsize(f):
                continue  # it cannot hold Ethernet
            with self.subTest(kind):
                if 'pcap' in kind:
                    index(db, '-q', '--strict', f)
                    self.assertEqual(sessions(db), want)
                    continue
                self.assert_says(index(db, f, ok=2), 'convert it with editcap')

    def test_a_database_is_no_capture(self):
        f = self.write('c.pcap', support.pcap_bytes(self.packets()))
        index(self.path('x.db'), '-q', f)
        r = index(self.path('y.db'), self.path('x.db'), ok=2)
        self.assert_says(r, 'not a capture')
        # and a capture is no database
        before = support.read_bytes(f)
        for command in (['index', f], ['query'], ['carve', '-w', '-'], ['verify']):
            r = flowcarve(*command[:1], '-d', f, *command[1:], ok=2)
            self.assert_says(r, 'c.pcap')
            self.assertEqual(support.read_bytes(f), before)

    def test_a_bad_one_beside_good_ones(self):
        """What can be indexed is, what cannot is named, and the status says that not all is well."""
        g = self.write('good.pcap', support.pcap_bytes(self.packets()))
        b = self.write('bad.pcap', b'nothing of the kind, but long enough')
        r = index(self.path('x.db'), g, b, self.path('missing.pcap'), ok=2)
        self.assert_says(r, 'bad.pcap', 'not a capture', 'missing.pcap', '200 records')
        self.assertEqual(select(self.path('x.db'), 'SELECT sum(records) FROM files'), [(200,)])
        # found in a folder, it is passed over
        r = index(self.path('y.db'), self.folder, '-v')
        self.assert_says(r, 'bad.pcap')
        self.assertEqual(select(self.path('y.db'), 'SELECT sum(records) FROM files'), [(200,)])

    def test_zero_length_file(self):
        """No bytes: an empty capture or a refusal, but told, and never in the way of others."""
        z = self.write('zero.pcap', b'')
        r = index(self.path('x.db'), z, ok=(0, 2))
        if r.rc == 0:
            self.assertEqual(sessions(self.path('x.db')), [])
        self.assertIn('zero.pcap', r.err)
        g = self.write('good.pcap', support.pcap_bytes(self.packets()))
        index(self.path('y.db'), z, g, ok=(0, 2))
        self.assertEqual(select(self.path('y.db'), 'SELECT sum(records) FROM files'), [(200,)])
        support.verify(self.path('y.db'))


if __name__ == '__main__':
    support.main()
