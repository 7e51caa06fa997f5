# SPDX-License-Identifier: MIT
"""An index that lies beside its captures, several runs on it at once, and names that lead to it by way of others."""
import os, unittest

import support
from support import T0, flowcarve, index, select, udp
from test_robust import ended, spawn


class Beside(support.TestCase):
    def tiny(self, name, n=0, packets=3):
        return self.write(name, support.pcap_bytes([(T0 + n * 10**12 + i, udp('10.0.0.%d' % (n + 1), 1000, '10.1.0.1', 53))
                                                    for i in range(packets)]))

    def names(self, db):
        return [n for n, in select(db, 'SELECT path FROM files ORDER BY path')]

    def test_the_index_is_none_of_the_captures_of_its_folder(self):
        os.mkdir(self.path('day'))
        self.tiny('day/a.pcap')
        r = index('flowcarve.db', '.', cwd=self.path('day'))
        self.assertNotIn('warning', r.err)
        self.assertIn('1 file, ', r.err)
        db = self.path('day', 'flowcarve.db')
        self.assertEqual(self.names(db), ['a.pcap'])
        support.verify(db)
        self.tiny('day/b.pcap', 1)
        os.link(db, self.path('day', 'link.pcap'))
        r = index('flowcarve.db', '.', cwd=self.path('day'))
        self.assertNotIn('passed over', r.err)
        self.assertEqual(self.names(db), ['a.pcap', 'b.pcap'])
        self.assert_says(index(db, db, ok=2), 'is the index itself')
        support.check_index(db)

    def test_runs_at_once_in_the_folder_of_the_index(self):
        """Looking through that folder must not give up the lock that keeps the others out."""
        os.mkdir(self.path('day'))
        db = self.path('day', 'x.db')
        index(db, '-q', self.tiny('day/c.pcap'))
        for k in range(support.rounds(3, 20)):
            more = [self.path('more%d%d' % (k, i)) for i in range(5)]
            for i, folder in enumerate(more):
                os.mkdir(folder)
                self.tiny('%s/c.pcap' % os.path.basename(folder), 1 + k * 5 + i, 3000)
            runs = [spawn('index', '-q', '-d', db, self.path('day'), folder) for folder in more]
            for p, folder in zip(runs, more):
                r = support.judge(ended(p), (0, 2))
                if r.rc:
                    self.assert_says(r, 'locked')
                else:
                    self.assertIn(folder + '/c.pcap', self.names(db))
        support.check_index(db, ordered_ids=False)
        support.verify(db)

    def test_what_succeeded_is_in_the_index(self):
        """A fresh index is not made over one that another run has just put there."""
        files = [self.tiny('c%d.pcap' % i, i) for i in range(6)]
        for _ in range(support.rounds(15, 300)):
            db = self.path('x.db')
            runs = [spawn('index', '-q', '-d', db, f) for f in files for _ in range(2)]
            done = {f for p, f in zip(runs, (f for f in files for _ in range(2))) if support.judge(ended(p), (0, 2)).rc == 0}
            self.assertEqual({self.path(n) for n in self.names(db)}, done)
            index(db, '-q', min(done))  # two that end at once may leave a -wal; the next run puts all into the file
            self.assertEqual(self.listing(), ['c%d.pcap' % i for i in range(6)] + ['x.db'])
            os.remove(db)

    def test_a_stream_is_not_written_to_where_the_index_comes(self):
        f = self.tiny('c.pcap')
        os.symlink('made.db', self.path('link.db'))
        for db, spool in (('x.db', 'x.db'), ('x.db', './x.db'), ('x.db', 'x.db.new'), ('link.db', 'made.db')):
            with self.subTest(db=db, spool=spool), open(f, 'rb') as stream:
                self.assert_says(index(db, '--spool', spool, '-', ok=2, stdin=stream, cwd=self.folder), spool)
                self.assertEqual(self.listing(), ['c.pcap', 'link.db'])

    def test_a_link_to_the_index(self):
        """Captures are remembered relative to the folder that the index lies in, whatever leads there."""
        os.mkdir(self.path('day'))
        os.mkdir(self.path('empty'))
        self.tiny('day/a.pcap')
        self.tiny('day/b.pcap', 1)
        self.tiny('c.pcap', 2)
        db, link = self.path('day', 'x.db'), self.path('link.db')
        index(db, '-q', self.path('day', 'a.pcap'))
        os.symlink('day/x.db', link)
        index(link, '-q', self.path('day'), self.path('c.pcap'))
        self.assertEqual(self.names(db), [self.path('c.pcap'), 'a.pcap', 'b.pcap'])
        for name in (db, link):
            support.verify(name)
            self.assertEqual(len(self.carved(name)), 9)
        # of an empty file, too
        self.write('empty/x.db', b'')
        os.symlink('empty/x.db', self.path('other.db'))
        index(self.path('other.db'), '-q', self.path('c.pcap'))
        self.assertTrue(os.path.islink(self.path('other.db')))
        self.assertEqual(self.names(self.path('empty', 'x.db')), [self.path('c.pcap')])
        self.assertEqual(self.listing('empty'), ['x.db'])


if __name__ == '__main__':
    support.main()
