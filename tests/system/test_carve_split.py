#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Carving many sessions: lists of IDs, and a file a session."""
import os, unittest

import support
from support import flowcarve, index, parse_capture, select, sessions


class Made(support.TestCase):
    OPTIONS = ('--packets', '2000', '--sessions', '60')

    def setUp(self):
        super().setUp()
        self.files = self.fcgen('c.pcap', *self.OPTIONS)
        self.db = self.path('x.db')
        index(self.db, '-q', *self.files)

    def packets(self, *ids):
        """Packets of sessions, as plain SQLite has them."""
        return sum(n for n, in select(self.db, 'SELECT client_packets + server_packets FROM sessions WHERE id IN (%s)' %
                                      ','.join(map(str, ids))))


class Ids(Made):
    def test_ranges_files_and_standard_input(self):
        f = self.write('ids', b'1 2,3\n# a comment\n\n5-8 # and one behind\r\n7,\n 60')
        want = self.packets(1, 2, 3, 5, 6, 7, 8, 60)
        for words in ['1-3,5-8,60'], ['3-1,8-5,60,60'], ['@' + f], ['1-3', '-i', '8-5', '--id=60']:
            self.assertEqual(len(self.carved(self.db, '-i', *words)), want, words)
        with open(f) as stdin:
            r = flowcarve('carve', '-d', self.db, '-i', '-', '-w', '-', '-q', stdin=stdin)
        self.assertEqual(len(parse_capture(r.out)), want)
        tcp = [s['id'] for s in sessions(self.db, 'tcp') if s['id'] <= 8]
        self.assertEqual(len(self.carved(self.db, '-i', '1-8', 'tcp', 'or', 'tcp')), self.packets(*tcp))

    def test_bad_lists(self):
        out = self.path('o.pcap')
        for text, line, word in (b'1\n2 x3', 2, 'x3'), (b'1\n\n\n5-', 4, '5-'), (b'99999999999999999999', 1, '9999'), (b'1\0002', 1, '1'), \
                (b'1;2', 1, '1;2'), (b'1--2', 1, '1--2'):
            f = self.write('ids', text)
            r = flowcarve('carve', '-d', self.db, '-i', '@' + f, '-w', out, ok=2)
            self.assert_says(r, f, 'line %d' % line, "'" + word)
        self.assert_says(flowcarve('carve', '-d', self.db, '-i', '@' + self.path('none'), '-w', out, ok=2), 'none', 'no such file')
        self.assert_says(flowcarve('carve', '-d', self.db, '-i', '@' + self.folder, '-w', out, ok=2), 'directory')
        self.assert_says(flowcarve('carve', '-d', self.db, '-i', '-', '-F', '-', '-w', out, ok=2), 'standard input')
        flowcarve('carve', '-d', self.db, '-i', '@' + self.write('ids', b'# nobody'), '-w', out, ok=1)
        self.assertNotIn('o.pcap', self.listing())

    def test_ids_that_are_not_there_are_told(self):
        out = self.path('o.pcap')
        last = max(s['id'] for s in sessions(self.db))
        for text, told in ('1-%d' % (last + 5), None), ('1,%d' % (last + 1), str(last + 1)), \
                ('%d-%d,2' % (last + 7, last + 9), '%d-%d' % (last + 7, last + 9)), \
                ('5,900-999999,3', '900-999999'), ('1-3,2-5', None), ('2,1-%d' % (last + 100), None):
            r = flowcarve('carve', '-d', self.db, '-i', text, '-w', out)
            if told:
                self.assert_says(r, 'warning: not in the index: %s\n' % told)
            else:
                self.assertNotIn('not in the index', r.err, text)
        r = flowcarve('carve', '-d', self.db, '-i', '1,' + ','.join(str(i) for i in range(1000, 1100)), '-w', out)
        self.assert_says(r, '1000, 1001', 'and 90 more')

    def test_many(self):
        """Far more IDs than the index has sessions, than SQLite takes values or joins SELECTs, single and in ranges."""
        for text in '\n'.join(map(str, range(1, 300001))), '\n'.join('%d-%d' % (i, i + 1) for i in range(1, 100000, 3)):
            f = self.write('ids', text.encode())
            want = {i for i in range(1, 100) if '-' not in text or i % 3}
            got = flowcarve('carve', '-d', self.db, '-i', '@' + f, '-w', '-', seconds=30 if support.sanitized() else 8)
            self.assertEqual(len(parse_capture(got.out)), self.packets(*want))
            self.assert_says(got, 'more')
        r = flowcarve('query', '-d', self.db, '-c', '-F', self.write('filter', b'tcp and not id ' + b','.join(
            b'%d-%d' % (i, i + 1) for i in range(1, 90000, 3))))
        tcp = [s['id'] for s in sessions(self.db, 'tcp')]
        self.assertEqual(int(r.out), sum(i % 3 == 0 for i in tcp))


if __name__ == '__main__':
    support.main()
