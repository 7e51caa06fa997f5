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


if __name__ == '__main__':
    support.main()
