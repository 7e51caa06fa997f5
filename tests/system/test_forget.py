# SPDX-License-Identifier: MIT
"""Captures that are forgotten: their positions leave the index and nothing else does, and what is counted stays true."""
import gzip, os, shutil, signal, subprocess, threading, time, unittest

import support
from support import S, T0, all_positions, check_index, eth, flowcarve, index, ipv4, select, sessions, tcp, udp, udp_fragments

DAY = 86400 * S


def forget(db, *words, **kw):
    return flowcarve('forget', '-d', db, *words, **kw)


class Base(support.TestCase):
    def setUp(self):
        super().setUp()
        self.db = self.path('x.db')

    def capture(self, name, packets, **kw):
        return self.write(name, support.pcap_bytes(packets, **kw))

    def days(self, n=3, flows=3, **kw):
        """A capture a day; the flows of a day end with it."""
        return [self.capture('day%d.pcap' % d, [(T0 + d * DAY + i * S, udp('10.0.%d.%d' % (d, i % flows + 1), 1000, '10.9.9.9', 53))
                                                for i in range(flows * 4)], **kw) for d in range(n)]

    def files(self):
        return select(self.db, 'SELECT records, ignored, forgotten FROM files ORDER BY id')

    def check(self, verified=True, **kw):
        check_index(self.db, ordered_ids=False, gaps=True, **kw)
        if verified:
            return support.verify(self.db)

    def count(self, *words):
        return len(sessions(self.db, *words))


class Forget(Base):
    def test_by_name(self):
        files = self.days()
        index(self.db, '-q', '--fields', 'all', *files)
        before = support.dump(self.db)
        rows = sessions(self.db)
        r = forget(self.db, files[1])
        self.assert_says(r, '1 capture forgotten', '12 packets', '3 sessions gone')
        self.assertEqual(r.out, b'')
        self.assertEqual(self.files(), [(12, 0, 0), (12, 0, 12), (12, 0, 0)])
        self.assertEqual(sessions(self.db), [s for s in rows if not s['client_addr'].startswith('10.0.1.')])
        self.assertEqual(select(self.db, 'SELECT id FROM session_fields'), select(self.db, 'SELECT id FROM session'))
        r = self.check()
        self.assertRegex(r.text, r'forgotten  .*day1\.pcap')
        self.assertIn('but for 1 capture that is forgotten', r.text)
        self.assertTrue(os.path.exists(files[1]))
        # all that is told of the two others is as it was
        self.assertEqual([l for l in before.split('\n') if 'day0' in l or 'day2' in l],
                         [l for l in support.dump(self.db).split('\n') if 'day0' in l or 'day2' in l])
        self.assert_carves(self.db, [files[0], files[2]])

    def test_by_time(self):
        files = self.days(4)
        index(self.db, '-q', *files)
        self.assertEqual(forget(self.db, '--before', '@%d' % (T0 // S), ok=1).rc, 1)
        # the last packet of the second day is not before that time
        forget(self.db, '-q', '--before', '@%d' % ((T0 + DAY) // S + 11))
        self.assertEqual([f[2] for f in self.files()], [12, 0, 0, 0])
        self.check()
        forget(self.db, '-q', '--before', '@%d' % ((T0 + 2 * DAY) // S + 12))
        self.assertEqual([f[2] for f in self.files()], [12, 12, 12, 0])
        self.check()
        self.assert_carves(self.db, files[3:])
        self.assert_says(forget(self.db, '--before', 'some day', ok=2), '--before', 'some day')
        forget(self.db, '-q', '--before', '1d ago')
        self.assertEqual(self.count(), 0)
        self.assertEqual(forget(self.db, '-q', '--before', 'now', ok=1).err, '')
        self.check()

    def test_gone(self):
        files = self.days(4)
        os.mkdir(self.path('disk'))
        self.write('disk/far.pcap', support.pcap_bytes([(T0, udp('10.7.7.7', 1, '10.9.9.9', 53))]))
        index(self.db, '-q', *files, self.path('disk'))
        self.assertEqual(forget(self.db, '--gone', ok=1).rc, 1)
        os.rename(self.path('disk'), self.path('unplugged'))  # its folder is not there either: nobody knows
        os.remove(files[1])
        self.assertEqual(forget(self.db, '--gone', '-q').err, '')
        self.assertEqual(self.count('host 10.7.7.7'), 1)
        self.assertEqual(self.count('net 10.0.1.0/24'), 0)
        os.rename(self.path('unplugged'), self.path('disk'))
        self.check()
        # a ring: the name of the oldest is used again
        self.capture('day0.pcap', [(T0 + 9 * DAY, udp('10.0.9.1', 1, '10.9.9.9', 53))])
        self.assert_says(index(self.db, files[0]), 'gone')
        self.assertEqual(self.count('net 10.0.0.0/24'), 3)
        self.assert_says(forget(self.db, '--gone'), '1 capture forgotten', '12 packets', '3 sessions')
        self.assertEqual(self.count('net 10.0.0.0/24'), 0)
        self.assertEqual(self.count('net 10.0.9.0/24'), 1)
        self.check()
        self.assert_carves(self.db, [files[0], files[2], files[3], self.path('disk', 'far.pcap')])

    def test_a_name_is_that_of_the_capture_that_has_it(self):
        files = self.days(2)
        index(self.db, '-q', *files)
        self.capture('day0.pcap', [(T0 + 9 * DAY, udp('10.0.9.1', 1, '10.9.9.9', 53))])
        index(self.db, '-q', files[0])
        forget(self.db, '-q', files[0])
        self.assertEqual([f[2] for f in self.files()], [0, 0, 1])
        self.assertEqual(forget(self.db, files[0], ok=1).rc, 1)
        forget(self.db, '-q', '--gone')
        self.assertEqual([f[2] for f in self.files()], [12, 0, 1])
        self.check()

    def test_several_at_once_and_names_as_they_come(self):
        files = self.days(4)
        index(self.db, '-q', *files)
        os.remove(files[3])
        os.symlink('day1.pcap', self.path('link.pcap'))
        r = flowcarve('forget', '-d', 'x.db', './day0.pcap', self.path('link.pcap'), 'day3.pcap', '--before', '@1', cwd=self.folder)
        self.assert_says(r, '3 captures forgotten: 36 packets, 9 sessions gone')
        self.assertEqual([f[2] for f in self.files()], [12, 12, 0, 12])
        self.check()

    def test_wrong_words(self):
        files = self.days(2)
        index(self.db, '-q', *files)
        before = support.pages(self.db)
        other = self.capture('other.pcap', [(T0, udp('10.7.7.7', 1, '10.9.9.9', 53))])
        self.assert_says(forget(self.db, files[0], other, ok=2), 'other.pcap', 'is not in the index')
        self.assert_says(forget(self.db, self.path('nowhere', 'x.pcap'), ok=2), 'is not in the index')
        self.assert_says(forget(self.db, ok=2), 'which captures')
        self.assert_says(forget(self.path('none.db'), '--gone', ok=2), 'no such index')
        self.assert_says(forget(files[0], '--gone', ok=2), 'not a flowcarve index')
        self.assertEqual(support.pages(self.db), before)
        self.assertEqual(self.listing(), ['day0.pcap', 'day1.pcap', 'other.pcap', 'x.db'])

    def test_twice_changes_nothing(self):
        files = self.days()
        index(self.db, '-q', *files)
        forget(self.db, '-q', *files[:2])
        before = support.read_bytes(self.db)
        for words in (files[:1], files[:2], ['--before', '@%d' % ((T0 + 2 * DAY) // S)]):
            self.assert_says(forget(self.db, *words, ok=1), '0 captures forgotten')
        self.assertEqual(support.read_bytes(self.db), before)

    def session_of_three(self, *options):
        """One session of 3 + 4 + 5 packets in three captures, indexed at once or one by one; and one of each alone."""
        sizes, files, t = (3, 4, 5), [], T0
        for k, n in enumerate(sizes):
            packets = []
            for i in range(n):
                packets.append((t, udp('10.0.0.1', 1000, '10.9.9.9', 53, bytes(i)) if i % 2 else
                                udp('10.9.9.9', 53, '10.0.0.1', 1000, bytes(9))))
                packets.append((t + 1000, udp('10.0.1.%d' % k, 1000, '10.9.9.9', 53)))
                t += S
            files.append(self.capture('part%d.pcap' % k, packets))
        return files

    def test_a_session_over_several_captures(self):
        for one_by_one in False, True:
            files = self.session_of_three()
            for batch in ([[f] for f in files] if one_by_one else [files]):
                index(self.db, '-q', *batch)
            rows = sessions(self.db, 'host 10.0.0.1')
            spans = select(self.db, 'SELECT sum(packets), sum(bytes) FROM session_span')
            left = {1, 2, 3}
            for k, n in ((1, 4), (0, 3)):
                with self.subTest(one_by_one=one_by_one, part=k):
                    r = forget(self.db, files[k])
                    self.assert_says(r, '%d packets, 1 session gone' % (2 * n))
                    left.remove(k + 1)
                    self.assertEqual(sessions(self.db, 'host 10.0.0.1'), rows)
                    sid = rows[0]['id']
                    self.assertEqual({f for f, _ in all_positions(self.db)[sid]}, left)
                    lost = sum((3, 4, 5)[f] for f in range(3) if f + 1 not in left)
                    self.assertEqual(select(self.db, 'SELECT * FROM session_forgotten'), [(sid, lost)])
                    self.check()
                    r = flowcarve('carve', '-d', self.db, '-i', sid, '-w', self.path('o.pcap'))
                    self.assert_says(r, '%d packets of 1 session carved' % (12 - lost), '%d packets forgotten' % lost)
                    want = [x for p in left for x in support.read_capture(files[p - 1])]
                    self.assertEqual([x.data for x in support.read_capture(self.path('o.pcap'))], [x.data for x in want[::2]])
                    # also of all sessions, and besides it is quiet
                    r = flowcarve('carve', '-d', self.db, '-w', self.path('o.pcap'))
                    self.assert_says(r, '%d packets forgotten' % lost)
                    self.assertEqual(len(support.read_capture(self.path('o.pcap'))), len(want))
            self.assert_says(forget(self.db, files[2]), '10 packets, 2 sessions gone')
            self.assertEqual(self.count(), 0)
            self.assertNotEqual(spans, [(None, None)])
            for table in ('session_fields', 'session_forgotten', 'session_positions', 'session_span', 'session_port', 'interfaces'):
                self.assertEqual(select(self.db, 'SELECT count(*) FROM ' + table), [(0,)], table)
            self.check()
            os.remove(self.db)

    def test_keep_sessions(self):
        files = self.session_of_three()
        for f in files:
            index(self.db, '-q', '--fields', 'all', f)
        rows = sessions(self.db)
        spans = select(self.db, 'SELECT * FROM session_span')
        self.assert_says(forget(self.db, '--keep-sessions', *files[:2]), '2 captures forgotten: 14 packets, 0 sessions gone')
        self.assertEqual(sessions(self.db), rows)
        self.assertEqual(select(self.db, 'SELECT * FROM session_span'), spans)
        self.check()
        gone = [s['id'] for s in rows if s['client_addr'] in ('10.0.1.0', '10.0.1.1')]
        for words in (['-i', ','.join(map(str, gone))], ['host', '10.0.1.0']):
            r = flowcarve('carve', '-d', self.db, '-w', self.path('o.pcap'), *words, ok=1)
            self.assert_says(r, 'nothing to carve', 'forgotten')
            self.assertFalse(os.path.exists(self.path('o.pcap')))
            self.assertEqual(self.carved(self.db, *words, ok=1), [])
        self.assert_says(flowcarve('carve', '-d', self.db, '-w', self.path('o.pcap')), '10 packets', '14 packets forgotten')
        # what stayed once stays; it has nothing that could be forgotten
        forget(self.db, '-q', files[2])
        self.assertEqual([s['id'] for s in sessions(self.db)], gone)
        self.check()
        self.assertEqual(forget(self.db, '--before', 'now', ok=1).rc, 1)

    def test_ids_never_come_again(self):
        files = self.days(4)
        index(self.db, '-q', *files[1:3])
        last = max(s['id'] for s in sessions(self.db))
        forget(self.db, '-q', *files[1:3])
        self.assertEqual(self.count(), 0)
        for f in files[3], files[0]:  # the latter is older than what sessions are open as of
            index(self.db, '-q', f)
            ids = [s['id'] for s in sessions(self.db)]
            self.assertEqual(ids[-3:], [last + 1, last + 2, last + 3])
            last = ids[-1]
            self.check()
        forget(self.db, '-q', '--before', 'now')
        many = self.fcgen('many.pcap', '--packets', '6000', '--sizes', 'small', '--packets-per-session', '2')[0]  # in bulk
        index(self.db, '-q', many)
        ids = [s['id'] for s in sessions(self.db)]
        self.assertEqual((ids[0], ids[-1]), (last + 1, last + len(ids)))
        self.check()

    def test_older_captures_when_the_latest_sessions_are_forgotten(self):
        """Open sessions that went are still among those that might be continued."""
        packets = lambda t, net: [(t + i, udp('%s.%d' % (net, i % 5 + 1), 1000, '10.9.9.9', 53)) for i in range(20)]
        old, new, older = (self.capture(n, packets(t, net)) for n, t, net in (
            ('old.pcap', T0, '10.0.0'), ('new.pcap', T0 + 60 * S, '10.0.1'), ('older.pcap', T0 + 30 * S, '10.0.1')))
        index(self.db, '-q', old)
        index(self.db, '-q', new)
        forget(self.db, '-q', new)
        index(self.db, '-q', older)
        self.assertEqual(self.count('net 10.0.1.0/24'), 5)
        self.check()
        forget(self.db, '-q', older, old)
        self.capture('new.pcap', packets(T0 + 90 * S, '10.0.0'))
        index(self.db, '-q', new)
        self.assertEqual(self.count(), 5)
        self.check()

    def test_what_is_forgotten_is_known(self):
        files = self.days(2)
        index(self.db, '-q', *files)
        forget(self.db, '-q', files[0])
        self.assert_says(index(self.db, *files), '2 files were indexed before')
        with open(files[0], 'ab') as f:  # what comes behind would be half a capture
            f.write(support.pcap_bytes([(T0 + DAY, udp('10.6.6.6', 1, '10.9.9.9', 53))])[24:])
        before = sessions(self.db)
        self.assert_says(index(self.db, *files), '2 files were indexed before')
        os.rename(files[0], self.path('elsewhere.pcap'))
        self.assert_says(index(self.db, self.path('elsewhere.pcap')), 'indexed before')
        shutil.copy(self.path('elsewhere.pcap'), files[0])
        index(self.db, files[0])
        self.assertEqual(sessions(self.db), before)
        self.check()

    def test_a_capture_that_was_read_on(self):
        """Sessions that began in what came later were made by a later run."""
        for n in (3, 3000):  # by INSERT and in bulk
            packets = [(T0 + i * S // 1000, udp('10.%d.%d.%d' % (i % 3, i // 250, i % 250), 1000, '10.9.9.9', 53)) for i in range(3 * n)]
            data = support.pcap_bytes(packets)
            at = [r.off for r in support.parse_capture(data)] + [len(data)]
            f = self.write('grows.pcap', data[:at[n]])
            index(self.db, '-q', f)
            other = self.capture('other.pcap', [(T0 + 60 * S, udp('10.7.7.7', 1, '10.9.9.9', 53))])
            for cut in 2 * n, 3 * n:
                self.write('grows.pcap', data[:at[cut]])
                index(self.db, '-q', f, other)
            self.check()
            self.assert_says(forget(self.db, f), '%s packets' % '{:,}'.format(3 * n))
            self.check()
            self.assertEqual(self.count(), 1)
            os.remove(self.db)

    def test_what_is_added_to_a_forgotten_capture(self):
        """It is not indexed, as it would be half a capture; and that is told, each time."""
        data = support.read_bytes(self.days(1)[0])
        at = [r.off for r in support.parse_capture(data)]
        f = self.write('grows.pcap', data[:at[6]])
        index(self.db, '-q', f)
        forget(self.db, '-q', f)
        self.assertNotIn('is forgotten', index(self.db, f).err)
        with open(f, 'ab') as out:
            out.write(data[at[6]:])
        for _ in range(2):
            self.assert_says(index(self.db, '-q', f), 'grows.pcap: is forgotten: what was added to it since is not indexed')
        self.assertEqual(self.files(), [(6, 0, 6)])

    def test_an_open_session_goes_on(self):
        """Where its row is gone it is a new one; where packets of it are left, or the row is kept, it is continued."""
        flow = lambda t, n=3: [(T0 + t * S + i, tcp('10.0.0.1', 1000, '10.9.9.9', 80, 'A', 5, 5)) for i in range(n)]
        for options, count, packets in ((), 1, 3), (('--keep-sessions',), 1, 6):
            one, two = self.capture('1.pcap', flow(0)), self.capture('2.pcap', flow(60))
            index(self.db, '-q', one)
            forget(self.db, '-q', *options, one)
            index(self.db, '-q', two)
            rows = sessions(self.db)
            self.assertEqual([s['client_packets'] for s in rows], [packets], options)
            self.assertEqual(rows[0]['id'], 1 if options else 2)
            self.check()
            self.assertEqual(len(self.carved(self.db)), 3)
            os.remove(self.db)
        # some are left: of the first, and of two captures
        files = [self.capture('%d.pcap' % i, flow(60 * i)) for i in range(4)]
        for f in files[:3]:
            index(self.db, '-q', f)
        forget(self.db, '-q', files[1])
        index(self.db, '-q', files[3])
        self.assertEqual([s['client_packets'] for s in sessions(self.db)], [12])
        self.check()
        forget(self.db, '-q', files[0], files[3])
        self.assertEqual([s['client_packets'] for s in sessions(self.db)], [12])
        self.check()
        self.assert_carves(self.db, files[2:3])

    def test_fragments_that_wait(self):
        first, *later = udp_fragments('10.0.0.1', 1000, '10.9.9.9', 53, 7)
        other, *others = udp_fragments('10.0.0.2', 1000, '10.9.9.9', 53, 8)
        wait = self.capture('wait.pcap', [(T0 + i, p) for i, p in enumerate(later)])
        more = self.capture('more.pcap', [(T0 + S + i, p) for i, p in enumerate(others)] + [(T0 + S + 9, udp('10.7.7.7', 1, '10.9.9.9', 53))])
        come = self.capture('come.pcap', [(T0 + 2 * S, first), (T0 + 2 * S + 1, other)])
        index(self.db, '-q', wait)
        index(self.db, '-q', more)
        self.assertEqual([s['id'] < 0 for s in sessions(self.db)], [True, True, False])
        self.assert_says(forget(self.db, wait), '%d packets, 1 session gone' % len(later))
        self.check()
        index(self.db, '-q', come)
        self.assertEqual(sorted(s['client_packets'] for s in sessions(self.db, 'port 53')), [1, 1, 1 + len(others)])
        self.check()
        # fragments have waited in a capture that is older than the session that has got them
        forget(self.db, '-q', more)
        self.assertEqual(sorted(s['client_packets'] for s in sessions(self.db, 'port 53')), [1, 1 + len(others)])
        self.check()
        forget(self.db, '-q', come)
        self.assertEqual(self.count(), 0)
        self.check()

    def test_waiting_fragments_that_a_later_run_has_placed(self):
        """A session of the later run has their positions in its own row."""
        first, *later = udp_fragments('10.0.0.1', 1000, '10.9.9.9', 53, 7)
        wait = self.capture('wait.pcap', [(T0 + i, p) for i, p in enumerate(later)])
        come = self.capture('come.pcap', [(T0 + S, first)] + [(T0 + S + i + 1, udp('10.7.%d.%d' % (i // 200, i % 200), 1, '10.9.9.9', 53))
                                                             for i in range(2000)])
        gone = self.capture('late.pcap', [(T0 + 900 * S, udp('10.8.8.8', 1, '10.9.9.9', 53))])
        for last in come, gone:  # with their first one, and given up
            index(self.db, '-q', wait)
            index(self.db, '-q', last)
            forget(self.db, '-q', wait)
            self.assertEqual(self.files()[0], (len(later), 0, len(later)))
            self.check()
            os.remove(self.db)

    def test_no_times(self):
        """Simple packet blocks: sessions that are of no time."""
        simple = lambda data: support.block('<', 3, len(data).to_bytes(4, 'little') + data)
        plain = self.days(1)
        f = self.write('simple.pcapng', support.shb() + support.idb() + b''.join(
            simple(udp('10.5.%d.%d' % (i // 200, i % 200), 1, '10.9.9.9', 53)) for i in range(1500)))
        mixed = self.write('mixed.pcapng', support.shb() + support.idb() + b''.join(
            simple(udp('10.4.0.%d' % (i % 9), 1, '10.9.9.9', 53)) + support.epb('<', 0, (T0 + i) // 1000, udp(
                '10.3.0.%d' % (i % 9), 1, '10.9.9.9', 53)) for i in range(90)))
        index(self.db, '-q', *plain, mixed)
        index(self.db, '-q', f)
        self.check()
        self.assertEqual(forget(self.db, '--before', '2001-01-01', ok=1).rc, 1)
        self.assert_says(forget(self.db, f), '1,500 packets, 1,500 sessions gone')
        self.check()
        self.assert_says(forget(self.db, mixed), '180 packets')
        self.check()
        self.assertEqual(self.count(), 3)

    def test_ignored_records_and_damage(self):
        files = self.days(2)
        with open(files[0], 'ab') as f:
            f.write(b'\xff' * 1000)
        packed = self.write('p.pcap.gz', gzip.compress(support.pcap_bytes(
            [(T0 + i, udp('10.2.0.1', 1, '10.9.9.9', 53, os.urandom(9))) for i in range(9)])))
        index(self.db, '--exclude-net', '10.0.0.1', *files, packed)
        self.assertGreater(select(self.db, 'SELECT count(*) FROM damage')[0][0], 0)
        forget(self.db, '-q', files[0], packed)
        self.assertEqual(self.files()[0], (12, 4, 8))
        self.assertEqual(select(self.db, 'SELECT count(*) FROM damage'), [(0,)])
        self.check()

    def test_long_sessions_and_positions_of_many_kinds(self):
        """Positions in rows, beside them, compressed; sessions of one capture and of all."""
        r = support.rng('forget')
        for k in range(support.rounds(3, 30)):
            files = self.fcgen('c.pcap', '--packets', '6000', '--sizes', 'small', '--seed', str(k + 1), '--packets-per-session',
                               r.choice(('3', '40', '2000')), '--files', '4', '--fragments', '10', *r.choice((['--overlap'], [])))
            step = r.choice((1, 2, 4))
            for i in range(0, 4, step):
                index(self.db, '-q', '--fields', 'all', *files[i:i + step])
            order = r.sample(files, 4)
            for i, f in enumerate(order):
                rows = {s['id']: s for s in sessions(self.db)}
                keep = r.choice(([], [], ['--keep-sessions']))
                forget(self.db, '-q', *keep, f)
                self.check()
                if i < 3:
                    self.assert_carves(self.db, order[i + 1:], ordered=False)
                left = {s['id']: s for s in sessions(self.db)}
                self.assertFalse([s for s in left if left[s] != rows[s]], 'counts have changed')
                if keep:
                    self.assertEqual(left, rows)
            os.remove(self.db)
            for f in files:
                os.remove(f)

    def test_it_fails_when_something_is_wrong(self):
        """What the checks above would say to positions that are left, or taken from others."""
        files = self.session_of_three()
        for f in files:
            index(self.db, '-q', f)
        forget(self.db, '-q', files[0])
        good = support.read_bytes(self.db)
        for sql in ('UPDATE session_forgotten SET packets = packets + 1', 'DELETE FROM session_forgotten',
                    'UPDATE files SET forgotten = forgotten - 1 WHERE id = 1', 'UPDATE files SET forgotten = 1 WHERE id = 2',
                    'DELETE FROM session_positions WHERE file = 3'):
            with self.subTest(sql):
                self.write('x.db', good)
                with support.open_db(self.db, write=True) as c:
                    c.execute(sql)
                support.verify(self.db, ok=2)
                with self.assertRaises((AssertionError, ValueError)):
                    check_index(self.db, ordered_ids=False)


class Beside(Base):
    def make(self):
        files = self.fcgen('c.pcap', '--packets', '40000', '--sizes', 'small', '--packets-per-session', '3', '--files', '3')
        index(self.db, '-q', *files)
        return files

    def test_who_reads_meanwhile(self):
        files = self.make()
        stop, bad, done = threading.Event(), [], [0]

        def read():
            while not stop.is_set():
                r = flowcarve('query', '-d', self.db, '-c', 'port 53 or udp', ok=None)
                done[0] += 1
                if r.rc not in (0, 1) or r.err:
                    bad.append(str(r))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for f in files:
                forget(self.db, '-q', f)
        finally:
            stop.set()
            reader.join()
        self.assertEqual(bad, [])
        self.assertGreater(done[0], 2)
        self.assertEqual(self.count(), 0)
        self.check()

    def test_interrupted_and_killed(self):
        """Whatever is done by then is whole; the next one finishes, and what it leaves is what one that was not stopped does."""
        files = self.make()
        start, whole = self.path('start.db'), self.path('whole.db')
        shutil.copy(self.db, start)
        shutil.copy(self.db, whole)
        begin = time.monotonic()
        flowcarve('forget', '-d', whole, '-q', *files[:2])
        seconds = time.monotonic() - begin
        # but for the journal, which notes the runs that ended, and when it was
        want = support.dump(whole, ('run', 'session_port', 'files.resume'))
        total = sum(f[0] for f in self.files()[:2])
        r, stopped, between = support.rng('forget-int'), 0, 0
        for k in range(200 if support.LONG else 8):
            number = (signal.SIGINT, signal.SIGKILL)[k % 2]
            for name in self.listing():
                if name.startswith('x.db'):
                    os.remove(self.path(name))
            shutil.copy(start, self.db)
            p = subprocess.Popen([support.FLOWCARVE, 'forget', '-d', self.db, *files[:2]], stderr=subprocess.PIPE, env=support.environment())
            time.sleep(r.uniform(0, seconds * 1.1))
            p.send_signal(number)
            _, err = p.communicate(timeout=support.SECONDS)
            if number == signal.SIGINT:
                self.assertIn(p.returncode, (0, -signal.SIGINT), err)
                self.assertFalse(p.returncode == 0 and b'interrupted' in err)
            stopped += p.returncode != 0
            done = sum(f[2] for f in self.files())
            between += 0 < done < total
            if k % 4 < 2:
                self.check()
            forget(self.db, '-q', *files[:2], ok=(0, 1))
            self.assertEqual(select(self.db, 'PRAGMA integrity_check'), [('ok',)])
            self.assert_same_dump(want, support.dump(self.db, ('run', 'session_port', 'files.resume')))
        self.assertGreater(stopped, 2)
        self.assertGreater(between, 1, 'none was stopped in the middle')
        self.check()


class Month(Base):
    ROUNDS, STEADY, KEEP, PACKETS = (300, 60, 20, 2000) if support.LONG else (60, 40, 20, 600)

    def test_size_stays(self):
        """Captures come, an hour apart, and are forgotten at one rate: the index does not grow."""
        seed, = self.fcgen('seed.pcap', '--packets', str(self.PACKETS), '--sizes', 'small', '--packets-per-session', '4')
        recs = support.read_capture(seed)
        sizes, names = [], []
        for k in range(self.ROUNDS):
            later = k * 4000 * S
            # other clients each hour, and a packet that cannot be decoded
            packets = [(r.ts_ns + later, r.data[:26] + bytes([10, k >> 8, k & 255]) + r.data[29:] if r.data[12:14] == b'\x08\0' else
                        r.data, r.origlen) for r in recs] + [(recs[-1].ts_ns + later + 1, eth(b'\x45\0\0'))]
            names.append(self.capture('m%04d.pcap' % k, packets))
            index(self.db, '-q', names[-1])
            if k >= self.KEEP:
                old = names[k - self.KEEP]
                os.remove(old)
                forget(self.db, '-q', *([old] if k % 2 else ['--gone']))
            sizes.append(os.path.getsize(self.db))
        self.assertLess(max(sizes[self.STEADY:]), sizes[self.STEADY] * 1.2, sizes)
        check_index(self.db, ordered_ids=False)
        support.verify(self.db)
        # the rows that stay for ever: one a capture and one a run, and none of anything else
        rows = {t: select(self.db, 'SELECT count(*) FROM ' + t)[0][0] for (t,) in select(
            self.db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")}
        self.assertEqual((rows['files'], rows['run']), (self.ROUNDS, 2 * self.ROUNDS - self.KEEP))
        self.assertLess(rows['open_batch'], 10)
        self.assertLess(sum(r[0] for r in select(self.db, 'SELECT entries FROM open_batch')), 5 * self.PACKETS)
        self.assertLess(sum(r[0] for r in select(self.db, 'SELECT length(positions) FROM session')), self.KEEP * self.PACKETS * 30)
        for t in ('interfaces', 'seek_points', 'session_forgotten'):
            self.assertLessEqual(rows[t], self.KEEP + 1, t)

    def test_ports_of_sessions_that_went(self):
        """Also where a session that came before them all stays."""
        keep = self.capture('keep.pcap', [(T0, udp('10.7.7.7', 1, '10.9.9.9', 53))])
        many = self.capture('many.pcap', [(T0 + S + i * 1000, udp('10.%d.%d.1' % (i // 200, i % 200), i % 9000 + 1000, '10.9.9.9', 53))
                                          for i in range(12000)])
        index(self.db, '-q', keep)
        index(self.db, '-q', many)
        ports = select(self.db, 'SELECT count(*) FROM session_port')[0][0]
        forget(self.db, '-q', many)
        self.check()
        left = select(self.db, 'SELECT count(*) FROM session_port')[0][0]
        self.assertLess(left, ports / 2)  # those of the first 4096 IDs
        self.assertEqual(select(self.db, 'SELECT first_id, packets FROM session_span'), [(1, 1)])
        self.assertEqual(self.count('port 1'), 1)
        self.assertEqual(self.count('port 1500'), 0)


if __name__ == '__main__':
    support.main()
