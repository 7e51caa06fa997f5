#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures that grow, move or come again: what was indexed in pieces is what is indexed at once, and each byte once."""
import gzip, os, shutil, struct, subprocess, time, zlib

import support
from support import S, T0, epb, idb, index, option, positions, select, shb, udp, verify

# what a file is found by, and how it is stored
PLACE = ('ctime_ns', 'mtime_ns', 'device', 'inode')


def old(path):
    """Its times are trusted: it was not written just now."""
    while time.time() - os.stat(path).st_ctime < 2.2:
        time.sleep(0.1)


class Growing(support.TestCase):
    def packets(self, n=300, *options):
        f, = self.fcgen('seed.pcap', '--packets', str(n), '--sessions', '30', *options)
        out = [(r.ts_ns, r.data, r.origlen) for r in support.read_capture(f)]
        os.remove(f)
        return out

    def facts(self, db):
        """All that is told of captures and sessions; positions decoded, as there are many ways to write them."""
        with support.open_db(db) as c:
            names = [r[1] for r in c.execute('PRAGMA table_info(files)') if r[1] not in PLACE]
            files = c.execute('SELECT %s FROM files ORDER BY id' % ', '.join(names)).fetchall()
            tables = [c.execute('SELECT * FROM %s' % t).fetchall() for t in ('interfaces', 'damage', 'seek_points', 'sessions')]
            where = support.all_positions(db)
            meta = c.execute('SELECT * FROM meta').fetchall()
        return [dict(zip(names, f)) for f in files], tables, where, meta

    def assert_same(self, a, b, what=''):
        for x, y in zip(self.facts(a), self.facts(b)):
            self.assertEqual(x, y, what)

    def feed(self, name, data, cuts, *options):
        """Indexes the file after each piece of it, and once at the end."""
        path, db, once = self.path(name), self.path(name + '.db'), self.path(name + '.once.db')
        seen = False
        for k in range(len(cuts)):
            with open(path, 'ab') as f:
                f.write(data[cuts[k - 1] if k else 0:cuts[k]])
            r = index(db, path, *options, ok=(0, 2))
            if r.rc: # of a stream of blocks nothing has come yet
                self.assert_says(r, 'not a capture', 'the file ends inside')
                self.assertFalse(os.path.exists(db))
            elif seen:
                self.assert_says(r, 'grown since it was indexed')
            seen = seen or not r.rc
        index(once, '-q', path, *options)
        self.assert_same(db, once, '%s cut at %s' % (name, cuts))
        verify(db)
        self.assert_says(index(db, path), '1 file was indexed before and is unchanged')
        return db

    def slices(self, r, size, n):
        return sorted({r.randrange(1, size) for _ in range(n)}) + [size]

    def containers(self, packets):
        pcap = support.pcap_bytes(packets)
        half = len(packets) // 2
        sections = b''.join(
            shb(e) + idb(e, 1, option(e, 2, b'if')) + b''.join(epb(e, 0, t // 1000, d, o) for t, d, o in p) +
            idb(e, 1) + block + b''.join(epb(e, 1, t // 1000, d, o) for t, d, o in q)
            for e, block, p, q in (('<', support.block('<', 5, bytes(12)), packets[:90], packets[90:half]),
                                   ('>', support.block('>', 4, bytes(4)), packets[half:half + 50], packets[half + 50:])))
        members, whole, at, r = b'', zlib.compressobj(6, zlib.DEFLATED, 31), 0, support.rng('members')
        while at < len(pcap):
            n = r.randrange(1, 20000)
            members += gzip.compress(pcap[at:at + n], mtime=0)
            at += n
        yield 'plain.pcap', pcap
        yield 'ns.pcap', support.pcap_bytes(packets, magic=0xa1b23c4d, e='>')
        yield 'two.pcap', support.pcap_bytes(packets[:half]) + support.pcap_bytes(packets[half:], e='>')
        yield 'one.pcapng', support.pcapng_bytes(packets)
        yield 'sections.pcapng', sections
        yield 'members.pcap.gz', members
        yield 'whole.pcap.gz', whole.compress(pcap) + whole.flush()
        for tool, *words in (('zstd', '-q'), ('lz4', '-q'), ('xz',)):
            if shutil.which(tool):
                yield 'whole.' + tool, subprocess.run([tool, '-c', *words], input=pcap, stdout=subprocess.PIPE, check=True).stdout

    def test_random_slices(self):
        packets = self.packets()
        for round in range(support.rounds(1, 20)):
            for name, data in self.containers(packets):
                r = support.rng('slices', name, round)
                with self.subTest(name, round=round):
                    self.feed('%d-%s' % (round, name), data, self.slices(r, len(data), r.randrange(1, 12)))

    def test_a_clock_that_is_set_back(self):
        """What it has counted goes on: cut while it is behind, before that is taken for a new time."""
        packets = [(T0 + i * S - (1000 * S if i >= 150 else 0), udp('10.0.0.%d' % (i % 3), 1, '10.0.1.1', 2)) for i in range(300)]
        packets[250] = (packets[250][0] - 2 * S,) + packets[250][1:]
        data = support.pcap_bytes(packets)
        offs = [r.off for r in support.parse_capture(data)]
        db = self.feed('back.pcap', data, [offs[100], offs[160], offs[163] + 5, offs[200], offs[250], len(data)])
        self.assertEqual(select(db, 'SELECT backward FROM files'), [(2,)])

    def test_a_byte_at_a_time(self):
        """Wherever a header may be cut."""
        packets = [(T0 + i * S, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(i))) for i in range(3)]
        for name, data in (('a.pcap', support.pcap_bytes(packets)), ('a.pcapng', support.pcapng_bytes(packets))):
            cuts = list(range(8, 150, 5)) + list(range(150, len(data), 1 if support.LONG else 17)) + [len(data)]
            self.feed(name, data, cuts)

    def test_many_chunks_and_seek_points(self):
        packets = self.packets(16000, '--sizes', '1100-1400')
        data = support.pcap_bytes(packets)
        self.assertGreater(len(data), 16 << 20)
        r = support.rng('large')
        self.feed('large.pcap', data, self.slices(r, len(data), 3), '--chunk-size', '64k')
        z = zlib.compressobj(1, zlib.DEFLATED, 31)
        blob = z.compress(data) + z.flush()
        db = self.feed('large.pcap.gz', blob, self.slices(r, len(blob), 4), '--chunk-size', '100001')
        self.assertGreater(select(db, 'SELECT count(*) FROM seek_points')[0][0], 2)
        self.assert_carves(db, [self.path('large.pcap')])

    def test_pending_bytes(self):
        packets = [(T0 + i * S, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(100))) for i in range(5)]
        for name, data in (('p.pcap', support.pcap_bytes(packets)), ('p.pcapng', support.pcapng_bytes(packets))):
            f, db = self.write(name, data[:-10]), self.path(name + '.db')
            last = [r.off for r in support.parse_capture(data)][-1]
            n = len(data) - 10 - last
            r = index(db, f)
            self.assert_says(r, 'its last %d bytes are no whole record yet' % n, ' + %d pending' % n)
            self.assertEqual(select(db, 'SELECT records, end_off, lost_bytes, damaged, pending_bytes, gone FROM files'),
                             [(4, last, 0, 0, n, 0)])
            self.assertEqual(select(db, 'SELECT count(*) FROM damage'), [(0,)])
            self.assert_says(verify(db), '')
            self.assertIn(' + %d pending' % n, verify(db).text)
            self.assert_says(index(db, f), 'is unchanged')
            self.write(name, data)  # in place
            r = index(db, f)
            self.assert_says(r, '1 packet in sessions', '1 file grown since it was indexed')
            self.assertNotIn('pending', r.err)
            self.assertEqual(select(db, 'SELECT records, end_off, pending_bytes FROM files'), [(5, len(data), 0)])
            verify(db)
            index(self.path(name + '.strict.db'), '--strict', '-q', self.write('cut-' + name, data[:-10]), ok=2)

    def test_compressed_data_that_end_early_at_a_record(self):
        packets = self.packets(50)[:50]
        data = support.pcap_bytes(packets)
        z = zlib.compressobj(6, zlib.DEFLATED, 31)
        at = support.parse_capture(data)[20].off
        head = z.compress(data[:at]) + z.flush(zlib.Z_SYNC_FLUSH)
        f, db = self.write('c.pcap.gz', head), self.path('x.db')
        self.assert_says(index(db, f), 'compressed data are not complete yet', 'ends inside')
        self.assertEqual(select(db, 'SELECT records, pending_bytes, damaged FROM files'), [(20, 0, 0)])
        verify(db)
        index(self.path('strict.db'), '--strict', '-q', f, ok=2)
        with open(f, 'ab') as out:
            out.write(z.compress(data[at:]) + z.flush())
        self.assert_says(index(db, f), '%d packets in sessions' % (len(packets) - 20))
        verify(db)
        self.feed('again.pcap.gz', support.read_bytes(f), [len(head), os.path.getsize(f)])

    def test_damage_at_the_end_then_growth(self):
        """It is read again; what is lost in the end is what is lost when all is read at once."""
        packets = self.packets(100)
        data = support.pcap_bytes(packets[:60])
        for name, rubbish in (('ff', b'\xff' * 77), ('zeros', bytes(4096)), ('text', b'no record, but words ' * 30)):
            self.feed(name + '.pcap', data + rubbish + support.pcap_bytes(packets[60:])[24:],
                      [len(data) + len(rubbish) // 2, len(data) + len(rubbish), len(data) + len(rubbish) + 6000,
                       len(data) + len(rubbish) + len(support.pcap_bytes(packets[60:])[24:])])
            self.assertEqual(select(self.path(name + '.pcap.db'), 'SELECT off, length FROM damage'), [(len(data), len(rubbish))])

    def test_damaged_compressed_data_then_growth(self):
        """Nothing can follow it, and it is told of once."""
        packets = self.packets(200)
        data = gzip.compress(support.pcap_bytes(packets[:190]), mtime=0)
        bad = bytearray(data)
        bad[len(bad) // 2] ^= 0xff
        self.feed('bad.pcap.gz', bytes(bad), [len(bad) // 3, len(bad) - 100, len(bad)])
        sums = data[:-8] + struct.pack('<I', 1) + data[-4:]
        self.feed('sums.pcap.gz', sums + gzip.compress(support.pcap_bytes(packets[190:])[24:], mtime=0), [len(sums) - 4, len(sums), len(sums) + 99])

    def test_grown_while_others_are_added(self):
        """Two captures that grow side by side, and one that does not."""
        files = self.fcgen('c.pcap', '--packets', '900', '--files', '3')
        data = [support.read_bytes(f) for f in files]
        for f, d in zip(files[1:], data[1:]):
            support.write(f, d[:len(d) // 2])
        db = self.path('x.db')
        index(db, '-q', *files[:2])
        index(db, '-q', *files)
        for f, d in zip(files[1:], data[1:]):
            support.write(f, d)
        self.assert_says(index(db, *files), '2 files grown since', '1 file was indexed before')
        support.check_index(db, ordered_ids=False)
        verify(db)
        self.assert_carves(db, files)

    def test_malformed_session_goes_on(self):
        bad = support.eth(b'\x46\0\0', 0x0800)
        packets = [(T0 + i * S, bad if i % 2 else udp('10.0.0.1', 1, '10.0.0.2', 2)) for i in range(8)]
        data = support.pcap_bytes(packets)
        offs = [r.off for r in support.parse_capture(data)]
        db = self.feed('m.pcap', data, [offs[3], offs[5] + 3, len(data)])
        self.assertEqual(select(db, 'SELECT malformed FROM files'), [(4,)])
        self.assertEqual(len(select(db, 'SELECT id FROM session WHERE proto >= 327680')), 1)

    def test_carving_while_it_grows(self):
        packets = self.packets()
        for name, data in (('c.pcap', support.pcap_bytes(packets)), ('c.pcapng', support.pcapng_bytes(packets)),
                           ('c.pcap.gz', gzip.compress(support.pcap_bytes(packets)))):
            cut = len(data) * 2 // 3
            f, db = self.write(name, data[:cut]), self.path(name + '.db')
            index(db, '-q', f)
            before = [support.key_of(r) for r in self.carved(db)]
            self.assertGreater(len(before), 50)
            self.write(name, data)
            self.assertEqual([support.key_of(r) for r in self.carved(db)], before)
            verify(db)  # what was indexed is as it was

    # ---- the same capture in another place

    def two(self):
        files = self.fcgen('day/c.pcap', '--packets', '400', '--files', '2')
        db = self.path('x.db')
        index(db, '-q', *files)
        return db, files, select(db, 'SELECT * FROM sessions')

    def test_rotated(self):
        os.makedirs(self.path('day'))
        db, files, before = self.two()
        f = files[0]
        grown = support.read_bytes(f) + support.pcap_bytes([(T0 + 5000 * S, udp('10.0.0.7', 1, '10.0.0.8', 2))])[24:]
        os.rename(f, f + '.1')
        data = support.pcap_bytes([(T0 + 9000 * S, udp('10.0.0.5', 1, '10.0.0.6', 2))])
        support.write(f, data)
        r = index(db, self.path('day'))
        self.assert_says(r, '2 files were indexed before', '1 of them has a new name', '1 packet in sessions')
        self.assertNotIn('gone', r.err)
        self.assertEqual(select(db, 'SELECT * FROM sessions WHERE id <= ?', len(before)), before)
        name = os.path.join('day', os.path.basename(f))
        self.assertEqual(select(db, 'SELECT path FROM files WHERE id IN (1, 3) ORDER BY id'), [(name + '.1',), (name,)])
        self.assertEqual(select(db, 'SELECT count(*), sum(gone) FROM files'), [(3, 0)])
        self.assert_carves(db, [f, f + '.1', files[1]])
        # once more, and the old one has grown since it was indexed
        os.rename(f, f + '.2')
        support.write(f + '.2', data + support.pcap_bytes([(T0 + 9500 * S, udp('10.0.0.5', 1, '10.0.0.6', 2))])[24:])
        support.write(f, grown)
        r = index(db, self.path('day'))
        self.assert_says(r, '1 file grown since')
        verify(db)
        self.assertEqual(select(db, 'SELECT records FROM files WHERE path LIKE ?', '%.2'), [(2,)])

    def test_archived(self):
        for suffix, tool in (('.gz', 'gzip'), ('.zst', 'zstd'), ('.xz', 'xz'), ('.lz4', 'lz4')):
            if not shutil.which(tool):
                continue
            with self.subTest(tool):
                shutil.rmtree(self.path('day'), True)
                os.makedirs(self.path('day'))
                if os.path.exists(self.path('x.db')):
                    os.remove(self.path('x.db'))
                db, files, before = self.two()
                want = [support.key_of(r) for r in self.carved(db)]
                plain = support.read_bytes(files[0])
                packed = files[0] + suffix
                support.write(packed, subprocess.run([tool, '-c', files[0]], stdout=subprocess.PIPE, check=True).stdout)
                # beside what it was made of it is a copy
                self.assert_says(index(db, self.path('day')), '2 files were indexed before', 'is a copy of')
                os.remove(files[0])
                r = index(db, self.path('day'))
                self.assert_says(r, '2 files were indexed before', '1 of them has a new name')
                self.assertEqual(select(db, 'SELECT * FROM sessions'), before)
                self.assertEqual(select(db, 'SELECT count(*) FROM files WHERE compression = ?', tool), [(1,)])
                self.assertEqual([support.key_of(r) for r in self.carved(db)], want)
                verify(db)
                self.assert_says(index(db, self.path('day')), '2 files were indexed before')
                # and back
                os.remove(packed)
                support.write(files[0], plain)
                self.assert_says(index(db, self.path('day')), '2 files were indexed before', '1 of them has a new name')
                self.assertEqual(select(db, "SELECT count(*) FROM files WHERE compression = 'none'"), [(2,)])
                self.assertEqual([support.key_of(r) for r in self.carved(db)], want)
                verify(db)

    def test_archived_when_it_had_grown_and_with_another_of_its_name(self):
        os.makedirs(self.path('day'))
        db, files, before = self.two()
        f = files[0]
        more = support.pcap_bytes([(T0 + 5000 * S, udp('10.0.0.7', 1, '10.0.0.8', 2))])[24:]
        support.write(f + '.1.gz', gzip.compress(support.read_bytes(f) + more))
        support.write(f, support.pcap_bytes([(T0 + 9000 * S, udp('10.0.0.5', 1, '10.0.0.6', 2))]))
        r = index(db, self.path('day'))
        self.assert_says(r, '2 packets in sessions', '1 file grown since')
        self.assertNotIn('gone', r.err)
        self.assertEqual(select(db, 'SELECT count(*), sum(gone), sum(records) FROM files'), [(3, 0, 402)])
        verify(db)
        self.assertEqual(len(self.carved(db)), 402)
        self.assert_says(index(db, self.path('day')), '3 files were indexed before')

    def test_large_archived_has_seek_points(self):
        f, = self.fcgen('c.pcap', '--packets', '12000', '--sizes', '1100-1400')
        db, once = self.path('x.db'), self.path('once.db')
        index(db, '-q', f)
        want = [support.key_of(r) for r in self.carved(db)]
        subprocess.run(['gzip', '-1', f], check=True)
        self.assert_says(index(db, f + '.gz'), '1 of them has a new name')
        index(once, '-q', f + '.gz')
        points = 'SELECT * FROM seek_points'
        self.assertEqual(select(db, points), select(once, points))
        self.assertGreater(len(select(db, points)), 1)
        self.assertEqual([support.key_of(r) for r in self.carved(db)], want)

    def test_copy(self):
        os.makedirs(self.path('day'))
        db, files, before = self.two()
        shutil.copy(files[0], self.path('day/zz.pcap'))
        self.assert_says(index(db, self.path('day')), '2 files were indexed before', 'zz.pcap: is a copy of')
        self.assertEqual(select(db, 'SELECT * FROM sessions'), before)

    def test_replaced_in_place(self):
        """With the same size and time; and what a session has lost by that is told."""
        os.makedirs(self.path('day'))
        db, files, before = self.two()
        st = os.stat(files[0])
        n = len(support.read_capture(files[0]))
        data = bytearray(support.read_bytes(files[0]))
        data[60] ^= 1
        with open(files[0], 'r+b') as f:
            f.write(data)
        os.utime(files[0], ns=(st.st_atime_ns, st.st_mtime_ns))
        r = index(db, self.path('day'))
        self.assert_says(r, '%d packets in sessions' % n, '1 file was indexed before', '1 capture gone')
        self.assertEqual(select(db, 'SELECT id, gone FROM files ORDER BY id'), [(1, 1), (2, 0), (3, 0)])
        r = verify(db)
        self.assertIn('gone', r.text)
        r = support.flowcarve('carve', '-d', db, '-w', '-', '-q', ok=2)
        self.assert_says(r, os.path.basename(files[0]), 'gone')
        r = support.flowcarve('carve', '-d', db, '-w', '-', '-q', '--partial')
        self.assertEqual(len(support.parse_capture(r.out)), select(db, 'SELECT sum(records) FROM files WHERE gone = 0')[0][0])
        # it comes back
        os.rename(files[0], self.path('day/other.pcap'))
        data[60] ^= 1
        support.write(self.path('day/back.pcap'), data)
        self.assert_says(index(db, self.path('day')), '3 files were indexed before', '2 of them have new names')
        self.assertEqual(select(db, 'SELECT sum(gone) FROM files'), [(0,)])
        verify(db)

    def test_no_capture_any_more(self):
        os.makedirs(self.path('day'))
        db, files, before = self.two()
        support.write(files[0], b'words\n')
        index(db, self.path('day'))
        self.assertEqual(select(db, 'SELECT id, gone FROM files ORDER BY id'), [(1, 1), (2, 0)])
        verify(db)

    def test_missing_is_not_gone(self):
        os.makedirs(self.path('day'))
        db, files, before = self.two()
        os.rename(files[0], self.path('away'))
        index(db, self.path('day'))
        self.assertEqual(select(db, 'SELECT sum(gone) FROM files'), [(0,)])
        self.assert_says(support.flowcarve('carve', '-d', db, '-w', '-', ok=2), 'missing')
        os.rename(self.path('away'), files[0])
        self.assert_carves(db, files)

    def test_ring(self):
        """Five names written round and round; the index is run now and then. Each record that it could see is there once."""
        r = support.rng('ring')
        db, seen, names = self.path('x.db'), {}, ['ring%d.pcap' % i for i in range(5)]
        os.makedirs(self.path('ring'))
        number, at = 0, T0
        for turn in range(support.rounds(50, 200)):
            path = self.path('ring', names[turn % 5])
            data = support.pcap_bytes([])
            for part in range(r.randrange(1, 4)):
                for _ in range(r.randrange(1, 5)):
                    number += 1
                    at += S // 10
                    data += support.pcap_bytes([(at, udp('10.0.0.1', number % 7 + 1, '10.0.0.2', 2, struct.pack('>I', number)))])[24:]
                cut = r.choice((0, 0, 5)) if part else 0
                support.write(path, data[:len(data) - cut])
                if r.randrange(3):
                    index(db, '-q', self.path('ring'))
                    for name in os.listdir(self.path('ring')):
                        seen.update((x.data[-4:], (turn, name)) for x in support.parse_capture(
                            self.whole(support.read_bytes(self.path('ring', name)))))
        index(db, '-q', self.path('ring'))
        for name in os.listdir(self.path('ring')):
            seen.update((x.data[-4:], 0) for x in support.parse_capture(self.whole(support.read_bytes(self.path('ring', name)))))
        self.assertEqual(select(db, 'SELECT sum(records), sum(gone = 0) FROM files')[0], (len(seen), 5))
        self.assertEqual(sum(s['client_packets'] + s['server_packets'] for s in support.sessions(db)), len(seen))
        verify(db)
        got = support.flowcarve('carve', '-d', db, '-w', '-', '-q', '--partial')
        self.assertEqual(sorted(x.data for x in support.parse_capture(got.out)),
                         sorted(x.data for n in names for x in support.parse_capture(
                             self.whole(support.read_bytes(self.path('ring', n))))))

    def whole(self, data):
        """Without the record that is cut."""
        at = 24
        while at + 16 <= len(data) and at + 16 + struct.unpack_from('<I', data, at + 8)[0] <= len(data):
            at += 16 + struct.unpack_from('<I', data, at + 8)[0]
        return data[:at]

    # ---- known ones are not opened

    def opened(self, *words):
        """The captures that a run opens, by a library that is loaded before the others."""
        source = self.write('spy.c', br"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
static int note(const char *name, const char *path, int flags, int mode) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    if (strstr(path, ".pcap")) fprintf(stderr, "opened %s\n", path);
    return real(path, flags, mode);
}
int open(const char *path, int flags, ...) { va_list a; va_start(a, flags); int m = va_arg(a, int); va_end(a); return note("open", path, flags, m); }
int open64(const char *path, int flags, ...) { va_list a; va_start(a, flags); int m = va_arg(a, int); va_end(a); return note("open64", path, flags, m); }
""")
        library = self.path('spy.so')
        if not os.path.exists(library):
            subprocess.run([support.tool('cc'), '-shared', '-fPIC', '-o', library, source, '-ldl'], check=True)
        r = index(*words, env={'LD_PRELOAD': library})
        return r, [line for line in r.err.split('\n') if line.startswith('opened ')]

    def test_known_captures_are_not_opened(self):
        if support.sanitized():
            self.skipTest('the sanitizer wants to be the first library')
        os.makedirs(self.path('day'))
        for i in range(200):
            self.write('day/%03d.pcap' % i, support.pcap_bytes([(T0 + i * S, udp('10.0.0.1', i, '10.0.0.2', 2))]))
        db, day = self.path('x.db'), self.path('day')
        r, opened = self.opened(db, day)
        self.assertEqual(len(set(opened)), 200)
        old(self.path('day/199.pcap'))
        index(db, day)  # the times are trusted from now on
        self.assertEqual(select(db, 'SELECT count(ctime_ns) FROM files'), [(200,)])
        r, opened = self.opened(db, day)
        self.assertEqual(opened, [])
        self.assert_says(r, '200 files were indexed before')
        # a folder above them has another name: not even then
        os.rename(day, self.path('night'))
        r, opened = self.opened(db, self.path('night'))
        self.assertEqual(opened, [])
        self.assert_says(r, '200 of them have new names')
        # touched, renamed, and grown: these alone
        night = lambda i: self.path('night/%03d.pcap' % i)
        os.utime(night(7))
        os.rename(night(8), self.path('night/x.pcap'))
        with open(night(9), 'ab') as f:
            f.write(support.pcap_bytes([(T0 + 999 * S, udp('10.0.0.1', 1, '10.0.0.2', 2))])[24:])
        r, opened = self.opened(db, self.path('night'))
        self.assertEqual({os.path.basename(o) for o in opened}, {'007.pcap', 'x.pcap', '009.pcap'})
        self.assert_says(r, '199 files were indexed before', '1 of them has a new name', '1 file grown since')
        verify(db)


if __name__ == '__main__':
    support.main()
