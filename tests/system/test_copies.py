#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures that come several times in one run count once, plain or compressed; what only looks alike counts."""
import gzip, lzma, os, shutil, subprocess, time

import support
from support import S, T0, index, select, udp, verify


class Copies(support.TestCase):
    TRACED = {'ASAN_OPTIONS': 'exitcode=%d:detect_leaks=0' % support.SANITIZER_EXIT}  # which ptrace keeps from working

    def capture(self, name='day/a.pcap', packets=3000):
        """Payloads make it longer than all that is read of a capture in front."""
        os.makedirs(self.path('day'), exist_ok=True)
        f, = self.fcgen(name, '--packets', str(packets), '--sizes', '900-1400')
        return f

    def figures(self, db):
        return select(db, 'SELECT count(*), sum(records) FROM files') + select(
            db, 'SELECT count(*), sum(client_packets + server_packets) FROM session')

    def test_of_all_kinds(self):
        f = self.capture()
        once, db = self.path('once.db'), self.path('x.db')
        index(once, '-q', f)
        data = support.read_bytes(f)
        self.write('day/a (copy).pcap', data)
        self.write('day/a.pcap.gz', gzip.compress(data, 1))
        self.write('day/b.pcap.gz', gzip.compress(data, 6))
        self.write('day/c.pcap.xz', lzma.compress(data, preset=0))
        for tool, suffix in ('zstd', '.zst'), ('lz4', '.lz4'):
            if shutil.which(tool):
                self.write('day/d' + suffix, subprocess.run([tool, '-qc', f], stdout=subprocess.PIPE, check=True).stdout)
        copies = len(os.listdir(self.path('day'))) - 1
        os.link(f, self.path('day/hard.pcap'))
        os.symlink('a.pcap', self.path('day/sym.pcap'))
        r = index(db, self.path('day'))
        self.assertEqual(self.figures(db), self.figures(once))
        for name in 'a.pcap', 'a.pcap.gz', 'b.pcap.gz', 'c.pcap.xz':
            self.assert_says(r, 'warning: %s: is a copy of %s' % (self.path('day', name), self.path('day/a (copy).pcap')))
        self.assert_says(r, '\n%d files are copies of others and left out (--keep-copies indexes them)\n' % copies)
        verify(db)
        # whatever the number of threads
        for jobs in '1', '4':
            index(self.path(jobs + '.db'), '-q', '-j', jobs, self.path('day'))
        self.assert_same_dump(support.dump(self.path('1.db')), support.dump(self.path('4.db')))
        # they stay copies: those that have the name of no capture of the index, too
        r = index(db, self.path('day'))
        self.assert_says(r, '1 file was indexed before', 'copies of others')
        self.assertEqual(self.figures(db), self.figures(once))
        # and the one that is left takes its place
        for name in os.listdir(self.path('day')):
            if name != 'b.pcap.gz':
                os.remove(self.path('day', name))
        self.assert_says(index(db, self.path('day')), '1 of them has a new name')
        self.assertEqual(self.figures(db), self.figures(once))
        verify(db)

    def test_kept_on_wish(self):
        f = self.capture()
        shutil.copy(f, self.path('day/b.pcap'))
        self.write('day/c.pcap.gz', gzip.compress(support.read_bytes(f), 1))
        os.link(f, self.path('day/hard.pcap'))
        db = self.path('x.db')
        r = index(db, '--keep-copies', self.path('day'))
        self.assertNotIn('cop', r.err)
        self.assertEqual(self.figures(db)[0], (3, 9000))
        self.assertEqual(self.figures(db)[1][1], 9000)
        verify(db)
        # what is indexed stays so without the option; and one that comes later may be kept, too
        self.assert_says(index(db, self.path('day')), 'files were indexed before')
        shutil.copy(f, self.path('day/later.pcap'))
        self.assert_says(index(db, self.path('day')), '\n1 file is a copy of another one and left out')
        index(db, '-q', '--keep-copies', self.path('day'))
        self.assertEqual(self.figures(db)[0], (4, 12000))

    def test_the_first_one_stays(self):
        """In the order of the command line, in folders of names."""
        f = self.capture()
        for name in 'day/0.pcap', 'late/b.pcap', 'late/a.pcap':
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            shutil.copy(f, self.path(name))
        for words, stays in ((('late', 'day'), 'late/a.pcap'), (('day', 'late'), 'day/0.pcap'),
                             (('late/b.pcap', 'late', 'day'), 'late/b.pcap')):
            db = self.path(stays.replace('/', '-') + '.db')
            index(db, '-q', *map(self.path, words))
            self.assertEqual(select(db, 'SELECT path FROM files'), [(stays,)])

    def test_what_looks_alike(self):
        """The same first megabyte and size and time, and a byte between the samples of a fingerprint; cut, damaged, longer."""
        f = self.capture(packets=6000)
        data = support.read_bytes(f)
        self.assertGreater(len(data), 3 << 20)
        packets = support.as_packets(support.read_capture(f))
        last = bytearray(data)
        last[(2 << 20) + 5000] ^= 1
        self.write('day/b.pcap', bytes(last))
        self.write('day/c.pcap.gz', gzip.compress(bytes(last), 1))  # a copy of that one
        self.write('day/d.pcap.gz', gzip.compress(data, 1)[:-2000])
        broken = bytearray(gzip.compress(data, 1))
        broken[-8] ^= 1
        self.write('day/e.pcap.gz', bytes(broken))
        self.write('day/f.pcap', support.pcap_bytes(packets[:4000]))
        self.write('day/g.pcap.gz', gzip.compress(support.pcap_bytes(packets + packets[:1])))
        db = self.path('x.db')
        r = index(db, self.path('day'))
        self.assert_says(r, 'c.pcap.gz: is a copy of %s' % self.path('day/b.pcap'), '\n1 file is a copy')
        self.assertEqual(sorted(os.path.basename(p) for p, in select(db, 'SELECT path FROM files')),
                         ['a.pcap', 'b.pcap', 'd.pcap.gz', 'e.pcap.gz', 'f.pcap', 'g.pcap.gz'])

    def test_captures_without_records(self):
        for name in 'a', 'b':
            self.write(name + '.pcap', support.pcap_bytes([]))
        one = [(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]
        self.write('c.pcap', support.pcap_bytes(one))
        self.write('d.pcap', support.pcap_bytes(one))
        self.write('e.pcap', support.pcapng_bytes(one))
        db = self.path('x.db')
        self.assert_says(index(db, self.folder), 'd.pcap: is a copy of', '1 file is a copy')
        self.assertEqual(self.figures(db)[0], (4, 2))

    def test_a_copy_is_read_once_more_and_then_known(self):
        """By its times, as long as the capture is where it was."""
        strace = support.tool('strace')
        f = self.capture()
        self.write('day/b.gz', gzip.compress(support.read_bytes(f), 1))
        db, log = self.path('x.db'), self.path('log')
        index(db, '-q', self.path('day'))
        while time.time() - os.stat(self.path('day/b.gz')).st_ctime < 2.2:
            time.sleep(.1)

        def opened():
            r = support.run(strace, '-f', '-qq', '-e', 'trace=openat', '-o', log, support.FLOWCARVE, 'index', '-d', db,
                            self.path('day'), env=self.TRACED)
            self.assert_says(r, 'b.gz: is a copy of', '\n1 file is a copy')
            self.assertEqual(self.figures(db)[0], (1, 3000))
            return 'b.gz' in support.read_bytes(log).decode()
        self.assertTrue(opened())
        self.assertFalse(opened())
        os.utime(self.path('day/b.gz'))
        self.assertTrue(opened())
        self.assertNotIn('cop', index(db, '--keep-copies', self.path('day')).err)
        self.assertEqual(self.figures(db)[0], (2, 6000))

    def test_nothing_is_read_twice_without_a_reason(self):
        """Many captures of one size that begin alike but for their first time; and one that has a copy."""
        strace = support.tool('strace')
        body = [(T0 + i * S, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(1000))) for i in range(1000)]
        for k in range(20):
            self.write('day/%02d.pcap' % k, support.pcap_bytes([(t + k * 5000 * S, d) for t, d in body]))
        log = self.path('log')

        def read():
            support.run(strace, '-f', '-qq', '-e', 'trace=read,pread64', '-o', log, support.FLOWCARVE, 'index', '-q', '-d',
                        self.path('x.db'), self.path('day'), env=self.TRACED)
            os.remove(self.path('x.db'))
            with open(log) as f:
                return sum(int(line.rsplit('=', 1)[1]) for line in f if line.rstrip()[-1].isdigit() and '<unf' not in line)
        all_bytes = sum(os.path.getsize(self.path('day', n)) for n in os.listdir(self.path('day')))
        alone = read()
        self.assertLess(alone, all_bytes * 1.25)
        shutil.copy(self.path('day/03.pcap'), self.path('day/copy.pcap'))
        self.assertLess(read(), alone + 3 * os.path.getsize(self.path('day/03.pcap')))


if __name__ == '__main__':
    support.main()
