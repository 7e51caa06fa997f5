#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which captures hold a session, and the captures of an index: what the library says, and what plain SQLite does."""
import collections, json, os, shutil

import support
from support import S, T0, flowcarve, index, select, sessions, tcp, udp


class WhichFiles(support.TestCase):
    def truth(self, db):
        """{session: {path: packets}}, by our own decoder of the blobs."""
        files = {fid: os.fsdecode(path) for fid, path in support.index_files(db).items()}
        return {sid: {files[f]: n for f, n in collections.Counter(f for f, _ in where).items()}
                for sid, where in support.all_positions(db).items() if where}

    def assert_told(self, db):
        want = self.truth(db)
        folder = os.path.dirname(os.path.realpath(db))
        told, by_sql = collections.defaultdict(dict), collections.defaultdict(dict)
        for row in sessions(db, '--files'):
            told[row['id']] = {f['path']: f['packets'] for f in row['files']}
        for sid, file, path, packets in select(db, 'SELECT * FROM session_files'):
            by_sql[sid][os.path.join(folder, path)] = packets
        self.assertEqual(dict(told), want)
        self.assertEqual(dict(by_sql), want)

    def test_of_all_sizes(self):
        """Short ones, some in all files, long ones that are compressed, and those that lie in rows of their own."""
        r = support.rng('files')

        def packets(k):
            out = [(T0 + (k * 6000 + i) * 10**6, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(r.randrange(900)))) for i in range(6000)]
            out += [(T0 + (k * 6000 + i) * 10**6 + 1, udp('10.0.0.1', 3, '10.0.0.2', 4, bytes(10))) for i in range(0, 6000, 40)]
            out += [(T0 + (k * 6000 + i) * 10**6 + 2, udp('10.0.0.3', 5 + i, '10.0.0.2', 4)) for i in range(100)]
            out += [(T0 + (k * 6000 + i) * 10**6 + 3, udp('10.0.0.9', 7, '10.0.0.2', 4)) for i in range(70)]
            out += [(T0 + (k + 1) * 6000 * 10**6 - 1, udp('10.0.0.8', 7, '10.0.0.2', 4))] * 200
            return sorted(out)
        for k in range(3):
            self.write('day/%d.pcap' % k, support.pcap_bytes(packets(k)))
        db = self.path('x.db')
        index(db, '-q', self.path('day'))
        self.assertEqual({len(f) for f in self.truth(db).values()}, {3})
        kinds = select(db, "SELECT sum(substr(positions, 1, 1) = x'00'), sum(positions = x''), count(*) FROM session")[0]
        self.assertGreaterEqual(kinds[0], 1, kinds)
        self.assertGreaterEqual(kinds[1], 1, kinds)
        self.assert_told(db)
        # added later, and read on; and forgotten
        self.write('day/3.pcap', support.pcap_bytes(packets(3)))
        with open(self.path('day/2.pcap'), 'ab') as f:
            f.write(support.pcap_bytes(packets(4))[24:])
        index(db, '-q', self.path('day'))
        self.assertEqual({len(f) for f in self.truth(db).values()}, {4})
        self.assert_told(db)
        flowcarve('forget', '-q', '-d', db, self.path('day/1.pcap'))
        self.assertEqual({len(f) for f in self.truth(db).values()}, {3})
        self.assert_told(db)

    def test_of_generated_traffic(self):
        db = self.path('x.db')
        index(db, '-q', *self.fcgen('c.pcap', '--packets', '30000', '--files', '7', '--overlap'))
        self.assert_told(db)

    def test_one_session_is_found_by_its_row(self):
        """Asked for one, SQLite reads no other."""
        db = self.path('x.db')
        index(db, '-q', *self.fcgen('c.pcap', '--packets', '1000'))
        plan = ' '.join(r[3] for r in select(db, 'EXPLAIN QUERY PLAN SELECT * FROM session_files WHERE session = 7'))
        self.assertRegex(plan, r'SEARCH s(ession)?( AS s)? USING INTEGER PRIMARY KEY')
        self.assertNotIn('SCAN session', plan)

    def test_names_that_are_no_text(self):
        name = os.fsencode(self.path('a')) + b'\xff"\n.pcap'
        support.write(name, support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        db = self.path('x.db')
        index(db, '-q', name)
        row, = sessions(db, '--files')
        self.assertEqual([f['packets'] for f in row['files']], [1])
        self.assertEqual(select(db, 'SELECT path FROM session_files')[0][0], os.path.basename(name))

    def test_only_for_json(self):
        db = self.path('x.db')
        index(db, '-q', self.write('a.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))])))
        self.assert_says(flowcarve('query', '-d', db, '--files', '--format', 'csv', ok=2), '--format json')


class Captures(support.TestCase):
    """`files`, and what it says of captures that were moved, cut, replaced, lost."""

    def setUp(self):
        super().setUp()
        os.makedirs(self.path('day'))
        self.files = self.fcgen('day/c.pcap', '--packets', '3000', '--files', '4')
        self.db = self.path('x.db')
        index(self.db, '-q', self.path('day'))

    def listed(self, *words):
        r = flowcarve('files', '-d', self.db, '-f', 'json', *words, ok=(0, 1))
        return [json.loads(line) for line in r.text.splitlines()]

    def states(self):
        return {os.path.basename(f['path']): f['state'] for f in self.listed()}

    def test_list(self):
        """Against the captures themselves."""
        listed = self.listed()
        self.assertEqual([f['id'] for f in listed], [1, 2, 3, 4])
        for f in listed:
            records = support.read_capture(f['path'])
            times = [r.ts_ns for r in records]
            self.assertEqual((f['records'], f['first_ns'], f['last_ns'], f['size']),
                             (len(records), min(times), max(times), os.path.getsize(f['path'])))
            self.assertEqual((f['state'], f['format'], f['compression'], f['damaged']), ('present', 'pcap', 'none', 0))
        rows = flowcarve('files', '-d', self.db, '-f', 'csv').text.split('\r\n')
        self.assertEqual(rows[0], ','.join(listed[0]))
        self.assertEqual(rows[1].split(','), [str(v) for v in listed[0].values()])
        self.assertEqual(flowcarve('files', '-d', self.db).text.replace('\t', ','), '\n'.join(rows).replace('\r', ''))

    def test_states(self):
        a, b, c, d = self.files
        os.remove(a)
        with open(b, 'ab') as f:
            f.write(bytes(16))
        with open(c, 'r+b') as f:
            f.seek(100)
            f.write(b'other content')
        names = [os.path.basename(f) for f in self.files]
        self.assertEqual(self.states(), dict(zip(names, ('missing', 'grown', 'changed', 'present'))))
        r = flowcarve('files', '-d', self.db, 'check', '-f', 'json', ok=1)
        self.assertEqual(sorted(json.loads(line)['path'] for line in r.text.splitlines()), sorted((a, c)))
        self.assert_says(r, '4 captures', '1 present', '1 grown', '1 changed', '1 missing')
        self.assertEqual(flowcarve('files', '-d', self.db, '-q', 'check', ok=1).text, '')
        flowcarve('forget', '-q', '-d', self.db, a)
        support.write(c, support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]) + b'\0\0')
        index(self.db, '-q', self.path('day'))
        self.assertEqual(sorted(f['state'] for f in self.listed()), ['forgotten', 'gone', 'pending', 'present', 'present'])

    def test_check_sees_what_times_hide(self):
        f = self.files[0]
        flowcarve('files', '-d', self.db, 'check')
        st = os.stat(f)
        with open(f, 'r+b') as out:
            out.seek(50)
            out.write(b'\xff')
        os.utime(f, ns=(st.st_atime_ns, st.st_mtime_ns))
        with support.open_db(self.db, write=True) as c:  # as if the clock had not moved since it was indexed
            c.execute('UPDATE files SET ctime_ns = ? WHERE path LIKE ?', (os.stat(f).st_ctime_ns, '%' + os.path.basename(f)))
        self.assertEqual(self.states()[os.path.basename(f)], 'present')
        flowcarve('files', '-d', self.db, 'check', ok=1)

    def test_relocate(self):
        before = select(self.db, 'SELECT * FROM session ORDER BY id')
        want = self.carved(self.db)
        os.rename(self.path('day'), self.path('archive'))
        self.assertEqual(set(self.states().values()), {'missing'})
        r = flowcarve('files', '-d', self.db, 'relocate', 'day/', './archive', cwd=self.folder)
        self.assert_says(r, '4 captures under the old name: 4 found', '0 missing, 0 changed')
        self.assertEqual(set(self.states().values()), {'present'})
        self.assertEqual(select(self.db, 'SELECT * FROM session ORDER BY id'), before)
        self.assertEqual(self.carved(self.db), want)
        support.verify(self.db)
        self.assert_says(index(self.db, self.path('archive')), '4 files were indexed before')
        flowcarve('files', '-d', self.db, 'relocate', self.path('day'), self.path('archive'), ok=1)

    def test_relocate_takes_nothing_for_another(self):
        """Some moved, some stay, one is missing, and one of the same name has another content; the names of others only begin alike."""
        a, b, c, d = [os.path.basename(f) for f in self.files]
        os.makedirs(self.path('day2'))
        other = self.write('day2/o.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        index(self.db, '-q', other)
        os.makedirs(self.path('new'))
        os.rename(self.path('day', a), self.path('new', a))
        os.remove(self.path('day', c))
        shutil.copy(other, self.path('new', c))
        os.remove(self.path('day', d))
        r = flowcarve('files', '-d', self.db, 'relocate', self.path('day'), self.path('new'), ok=2)
        self.assert_says(r, '4 captures under the old name: 1 found under the new one, 1 missing, 1 changed, 1 left as it was',
                         '%s: the capture is missing' % self.path('new', d), '%s: the capture has changed' % self.path('new', c))
        self.assertEqual({os.fsdecode(p) for p in support.index_files(self.db).values()},
                         {self.path('new', a), self.path('day', b), self.path('day', c), self.path('day', d), other})
        before = support.dump(self.db)
        self.assert_says(flowcarve('files', '-d', self.db, 'relocate', self.path('day'), self.path('nowhere'), ok=2), 'nowhere')
        self.assertEqual(support.dump(self.db), before)

    def test_words(self):
        for words in (['chek'], ['relocate', 'a'], ['relocate', 'a', ''], ['check', 'a'], ['-f', 'xml']):
            self.assertEqual(flowcarve('files', '-d', self.db, *words, ok=2).text, '')


if __name__ == '__main__':
    support.main()
