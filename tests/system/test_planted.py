# SPDX-License-Identifier: MIT
"""Planted faults: every yardstick of this suite must see them, and `flowcarve verify` those that are in an index."""
import os, shutil, unittest

import support, twin
from support import S, T0, flowcarve, index, positions, select, sessions


def encode(pos):
    """The plain blob of [(file, offset)], by schema/flowcarve.sql."""
    def varint(n):
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        return bytes(out + bytes([n]))
    out = b''
    for f in sorted({f for f, _ in pos}):
        offs = sorted(o for g, o in pos if g == f)
        out += varint(f) + varint(len(offs)) + varint(offs[0])
        out += b''.join(varint(b - a) for a, b in zip(offs, offs[1:]))
    return out


class PlantedInTheIndex(support.TestCase):
    def setUp(self):
        super().setUp()
        self.files = self.fcgen('c.pcap', '--packets', '2000', '--sessions', '80', '--files', '2')
        self.good = self.path('good.db')
        index(self.good, '-q', *self.files)
        support.check_index(self.good)
        support.verify(self.good)
        self.blobs = {i: positions(b) for i, b in select(self.good, 'SELECT id, positions FROM session')}

    def planted(self, *statements, verify=True):
        db = self.path('x.db')
        shutil.copy(self.good, db)
        with support.open_db(db, True) as c:
            for sql, *values in statements:
                self.assertGreater(c.execute(sql, values).rowcount, 0, 'nothing planted: ' + sql)
        with self.assertRaises(AssertionError, msg='check_index does not see it'):
            support.check_index(db)
        if verify:
            r = support.verify(db, ok=2)
            self.assertTrue(r.err.strip(), 'verify says nothing')

    def positions_of(self, sid, pos):
        return 'UPDATE session SET positions = ? WHERE id = ?', encode(pos), sid

    def test_encoder(self):
        for pos in self.blobs.values():
            self.assertEqual(positions(encode(pos)), pos)

    def test_lost_packet(self):
        sid = next(i for i, p in self.blobs.items() if len(p) > 5)
        self.planted(self.positions_of(sid, self.blobs[sid][:-1]))

    def test_lost_packet_that_is_not_counted_either(self):
        sid, = select(self.good, 'SELECT id FROM session WHERE client_packets > 3 LIMIT 1')[0]
        self.planted(self.positions_of(sid, self.blobs[sid][1:]),
                     ('UPDATE session SET client_packets = client_packets - 1 WHERE id = ?', sid))

    def test_lost_session(self):
        self.planted(('DELETE FROM session WHERE id = (SELECT max(id) FROM session)',))

    def test_lost_port(self):
        self.planted(('DELETE FROM session_port WHERE (port, block) = (SELECT client_port, (id - 1) / 64 FROM session'
                      ' WHERE id = 70)',))
        for number in -2**63, 2**63 - 1:
            self.planted(('UPDATE session SET id = ? WHERE id = (SELECT min(id) FROM session WHERE client_port IS NOT NULL)', number))
        for order in 'port, block', 'port DESC, block DESC':
            self.planted(('DELETE FROM session_port WHERE (port, block) = (SELECT port, block FROM session_port ORDER BY %s LIMIT 1)'
                          % order,))

    def test_lost_span(self):
        self.planted(('DELETE FROM session_span',))
        self.planted(('UPDATE session_span SET end_ns = end_ns - 1000000000',))
        self.planted(('UPDATE session_span SET end_ns = NULL, start_ns = NULL',))

    def test_wrong_sum_of_a_span(self):
        self.planted(('UPDATE session_span SET packets = packets + 1',))
        self.planted(('UPDATE session_span SET bytes = 0',))

    def test_wrong_community_id(self):
        db = self.path('community.db')
        index(db, '-q', '--fields', 'community-id', *self.files)
        support.verify(db)
        for change in ("UPDATE session_fields SET community_id = '1:wCb3OG7yAFWelaUydu0D+125CLM=' WHERE id = 5",
                       'DELETE FROM session_fields WHERE id = 5'):
            bad = self.path('x.db')
            shutil.copy(db, bad)
            with support.open_db(bad, True) as c:
                self.assertEqual(c.execute(change).rowcount, 1)
            self.assertIn('session 5: Community ID', support.verify(bad, ok=2).err)

    def test_damaged_index(self):
        """An entry that SQLite does not find any more: its page of the address index is overwritten by another's."""
        bad = self.path('x.db')
        shutil.copy(self.good, bad)
        with support.open_db(bad) as c:
            root = dict(c.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'index'"))
            size, = c.execute('PRAGMA page_size').fetchone()
        with open(bad, 'r+b') as f:
            f.seek((root['session_server'] - 1) * size)
            page = f.read(size)
            f.seek((root['session_client'] - 1) * size)
            f.write(page)
        self.assertIn('session_client', support.verify(bad, ok=2).err)

    def test_packet_in_two_sessions(self):
        a, b = [i for i, p in self.blobs.items() if len(p) > 5][:2]
        self.planted(self.positions_of(b, self.blobs[b][:-1] + self.blobs[a][-1:]))

    def test_packets_exchanged(self):
        a, b = [i for i, p in self.blobs.items() if len(p) > 5][:2]
        self.planted(self.positions_of(a, self.blobs[b]), self.positions_of(b, self.blobs[a]))

    def test_offset_between_records(self):
        sid = next(i for i, p in self.blobs.items() if len(p) > 5)
        self.planted(self.positions_of(sid, [(self.blobs[sid][0][0], self.blobs[sid][0][1] + 1)] + self.blobs[sid][1:]))

    def test_wrong_sums(self):
        for change in ('client_bytes = client_bytes + 1', 'client_packets = client_packets + 1', 'start_ns = start_ns + 1',
                       'duration_ns = duration_ns + 1'):
            self.planted(('UPDATE session SET %s WHERE id = 3' % change,))

    def test_wrong_records_of_a_file(self):
        self.planted(('UPDATE files SET records = records + 1 WHERE id = 1',))
        self.planted(('UPDATE files SET last_ns = last_ns + 1 WHERE id = 1',), verify=False)

    def test_ids_exchanged(self):
        self.planted(('UPDATE session SET id = 9999 WHERE id = 2',), ('UPDATE session SET id = 2 WHERE id = 7',),
                     ('UPDATE session SET id = 7 WHERE id = 9999',), verify=False)

    def test_another_address(self):
        """check_index does not decode; that the record fits its session is for verify, carve and the twin to see."""
        db = self.path('x.db')
        shutil.copy(self.good, db)
        with support.open_db(db, True) as c:
            sid, = c.execute('SELECT id FROM session WHERE kind = 4').fetchone()
            c.execute('UPDATE session SET client_addr = client_addr + 1 WHERE id = ?', (sid,))
        support.verify(db, ok=2)
        flowcarve('carve', '-d', db, '--id', str(sid), '-w', self.path('o.pcap'), ok=2)
        self.assertNotEqual([s['client_addr'] for s in sessions(db)],
                            [s['client_addr'] for s in twin.sessions(self.files)])


class PlantedInTheTwin(support.TestCase):
    """The traffic of the suite must tell a twin with one rule wrong from the right one."""

    def rows(self, files, **changed):
        kept = {k: getattr(twin, k) for k in changed}
        try:
            for k, v in changed.items():
                setattr(twin, k, v)
            return twin.sessions(files)
        finally:
            for k, v in kept.items():
                setattr(twin, k, v)

    def check(self, files, **changed):
        db = self.path('x.db')
        if os.path.exists(db):
            os.remove(db)
        index(db, '-q', *files)
        got = sessions(db)
        strip = lambda rows: [{k: r[k] for k in r if k not in ('positions', 'id', 'start', 'end', 'duration')} for r in rows]
        self.assertEqual(strip(got), strip(self.rows(files)))
        for name, value in changed.items():
            self.assertNotEqual(strip(got), strip(self.rows(files, **{name: value})), name + ' makes no difference')

    def test_rules_of_tcp(self):
        files = self.fcgen('c.pcap', '--packets', '3000', '--sessions', '300', '--port-reuse', '60')
        self.check(files, opens=lambda p: False)

    def test_fragments(self):
        files = self.fcgen('c.pcap', '--packets', '3000', '--sessions', '100', '--fragments', '30', '--fragment-disorder')
        self.check(files, settle_fragments=lambda packets: (packets, []))

    def test_icmp(self):
        files = self.fcgen('c.pcap', '--packets', '2000', '--sessions', '100', '--proto', 'icmp=100', '--ipv6', '50')
        self.check(files, ICMP={}, ICMP6={})

    def test_timeouts(self):
        files = self.fcgen('c.pcap', '--packets', '6000', '--sessions', '300', '--rate', '200', '--concurrent', '20',
                           '--proto', 'tcp=40,udp=40,icmp=20')
        for f in files:
            support.write(f, support.pcap_bytes([(T0 + (p.ts_ns - T0) * 300, p.data, p.origlen)
                                                 for p in support.read_capture(f)]))
        right = twin.PROFILES['flowcarve']
        for i in (2, 4, 5):  # those that this traffic reaches
            self.check(files, PROFILES={'flowcarve': right[:i] + (right[i] + right[i] // 2,) + right[i + 1:]})

    def test_order(self):
        files = self.fcgen('c.pcap', '--packets', '3000', '--sessions', '300', '--files', '3', '--overlap')
        self.check(files, in_order=lambda packets: packets)


class PlantedInTheOutput(support.TestCase):
    def test_carve(self):
        files = self.fcgen('c.pcap', '--packets', '300')
        db = self.path('x.db')
        index(db, '-q', *files)
        right = self.carved(db)
        self.assert_carves(db, files)
        change = lambda i, **kw: right[:i] + [right[i]._replace(**kw)] + right[i + 1:]
        for wrong in (right[:-1], right + right[-1:], right[:9] + right[10:12] + right[9:10] + right[12:],
                      change(5, ts_ns=right[5].ts_ns + 1), change(5, origlen=9), change(5, linktype=101),
                      change(5, data=right[5].data[:-1] + bytes([right[5].data[-1] ^ 1]))):
            self.carved = lambda db, *words: wrong
            with self.assertRaises(AssertionError):
                self.assert_carves(db, files)

    def test_dump(self):
        f, = self.fcgen('c.pcap', '--packets', '300')
        db = self.path('x.db')
        index(db, '-q', f)
        text = support.dump(db)
        with support.open_db(db, True) as c:
            c.execute('UPDATE session SET client_bytes = client_bytes + 1 WHERE id = 3')
        with self.assertRaises(AssertionError):
            self.assert_same_dump(text, support.dump(db))

    def test_streams(self):
        from test_captures import Captures
        row = lambda n, stream: dict(frame=str(n), depth='1', outer_frag='-', tcp_stream=stream, udp_stream='-', notes='-')
        rows = [row(1, '0'), row(2, '0'), row(3, '1')]
        check = lambda *ids: Captures.partition(None, rows, [1, 2, 3], {i + 1: (s, 6) for i, s in enumerate(ids)}, False)[0]
        self.assertIsNone(check(1, 1, 2))
        self.assertIsNotNone(check(1, 2, 2))
        self.assertIsNotNone(check(1, 1, 1))

    def test_crashes(self):
        for command in ('kill -SEGV $$', 'echo "x.c:3: runtime error: y" >&2', 'exit 99', 'exit 3',
                        'echo "==1==ERROR: AddressSanitizer: z" >&2; exit 1'):
            with self.assertRaises(AssertionError):
                support.run('sh', '-c', command, ok=(0, 1, 2))


if __name__ == '__main__':
    support.main()
