# SPDX-License-Identifier: MIT
"""Open sessions over many additions: step by step is the same as at once, and an addition costs what it brings."""
import os

import support
from support import S, T0, dump, index, select, sessions, tcp, udp

PRIVATE = ('open_batch', 'open_session', 'open_fragment', 'session_positions', 'run')
C, V = ('10.0.0.1', 4000), ('10.0.0.2', 80)


class Open(support.TestCase):
    def capture(self, name, packets):
        return self.write(name + '.pcap', support.pcap_bytes(packets))

    def compare(self, steps, *options, each=lambda db: None):
        """steps: lists of packets, a capture each; indexed at once, and one by one."""
        files = [self.capture('s%04d' % i, packets) for i, packets in enumerate(steps)]
        once, db = self.path('once.db'), self.path('steps.db')
        for name in (once, db):
            if os.path.exists(name):
                os.remove(name)
        index(once, '-q', *options, *files)
        for i, f in enumerate(files):
            index(db, '-q', '-j', str(1 + i % 3), *options, f)
            each(db)
        self.assert_same_dump(dump(once, PRIVATE), dump(db, PRIVATE), 'step by step')
        support.check_index(db)
        return db

    def test_a_session_over_fifty_runs_is_closed_and_begun_again(self):
        steps, isn = [], 100
        for i in range(50):
            at = T0 + i * 50 * S
            step = [(at, udp('10.0.0.3', 5, '10.0.0.4', 53, b'x'))] if i % 5 == 0 else []
            if i in (0, 20, 40):  # the second one comes while the first is open, the third when the second has been reset
                isn += 1000
                step.append((at + 1, tcp(*C, *V, 'S', isn)))
            step.append((at + 2, tcp(*V, *C, 'A', 7, isn + 1)))
            if i == 30:
                step.append((at + 3, tcp(*V, *C, 'R', 8)))
            steps.append(step)
        db = self.compare(steps)
        # after the reset 50 s between packets are within its 60 s
        self.assertEqual([(r['id'], r['client_packets'] + r['server_packets']) for r in sessions(db, 'tcp')],
                         [(2, 21), (select(db, 'SELECT id FROM session WHERE proto = 6')[1][0], 22),
                          (select(db, 'SELECT id FROM session WHERE proto = 6')[2][0], 11)])

    def test_one_that_was_followed_by_another_does_not_come_back(self):
        """The first is open for an hour still when the second, which took its place, has been closed for a minute."""
        a = [(T0, tcp(*C, *V, 'S', 100)), (T0 + 1, tcp(*V, *C, 'SA', 7, 101))]
        b = [(T0 + S, tcp(*C, *V, 'S', 5000)), (T0 + S + 1, tcp(*V, *C, 'R', 8))]
        quiet = [(T0 + 100 * S, udp('10.0.0.3', 5, '10.0.0.4', 53))]
        late = [(T0 + 101 * S, tcp(*C, *V, 'A', 101, 8))]
        for steps in ([a, b, quiet, late], [a, b + quiet, late], [a, b, quiet + late], [a + b, quiet, late]):
            db = self.compare(steps)
            self.assertEqual(len(sessions(db, 'tcp')), 3)

    def test_one_that_left_in_a_run_is_not_fetched_again(self):
        """Closed in the run and gone; in the index it is open for an hour."""
        a = [(T0, tcp(*C, *V, 'S', 100)), (T0 + 1, tcp(*V, *C, 'SA', 7, 101))]
        b = [(T0 + S, tcp(*V, *C, 'R', 8))]
        b += [(T0 + 2 * S + i * S // 60, udp('10.0.0.%d' % (i % 200), 7, '10.0.0.4', 53)) for i in range(35000)]
        b += [(T0 + 600 * S, tcp(*C, *V, 'A', 101, 8))]
        db = self.compare([a, b, [(T0 + 601 * S, tcp(*C, *V, 'A', 101, 8))]], '--chunk-size', '64k', '--memory', '16M')
        self.assertEqual(len(sessions(db, 'tcp')), 2)

    def random_steps(self, r, count, keys):
        """Few flows, whose sessions end in all the ways there are."""
        at, steps = T0, []
        for _ in range(count):
            packets = []
            for _ in range(r.randrange(1, 12)):
                at += r.choice((0, 1, S, 20 * S, 70 * S, 200 * S)) if r.random() < 0.5 else 1000
                k = r.randrange(keys)
                ends = [('10.0.0.%d' % (1 + k), 1000), ('10.0.1.1', 80)]
                if r.random() < 0.5:
                    ends.reverse()
                if k % 3 == 0:
                    packets.append((at, udp(*ends[0], *ends[1], b'x')))
                    continue
                flags = r.choice(('S', 'S', 'SA', 'A', 'A', 'A', 'FA', 'R'))
                packets.append((at, tcp(*ends[0], *ends[1], flags, r.choice((1, 100, 200, 300)), r.choice((1, 101, 201)))))
            steps.append(packets)
        return steps

    def test_sessions_that_end_in_all_ways_over_many_runs(self):
        r = support.rng('open')
        for _ in range(support.rounds(6, 60)):
            steps = self.random_steps(r, 25, r.choice((2, 6, 20)))
            profile = r.choice(('flowcarve', 'zeek', 'suricata', 'yaf', 'wireshark'))
            with self.subTest(profile=profile):
                self.compare(steps, '--profile', profile)

    def test_a_run_leaves_alone_what_it_does_not_touch(self):
        a = self.fcgen('a.pcap', '--packets', '20000', '--sessions', '4000', '--concurrent', '4000', '--burst', '1')
        db = self.path('x.db')
        index(db, '-q', *a)
        rows = 'SELECT id, state FROM open_session ORDER BY id'
        before, batches = select(db, rows), select(db, 'SELECT * FROM open_batch')
        self.assertGreater(batches[0][1], 3000)
        end = select(db, "SELECT value FROM meta WHERE name = 'clock_ns'")[0][0]
        first, last = select(db, 'SELECT min(id), max(id) FROM session')[0]
        index(db, '-q', self.capture('b', [(int(end) + S, udp(*C, *V)), (int(end) + S, udp(*V, *C))]))
        self.assertEqual(select(db, rows)[:len(before)], before)
        self.assertEqual(select(db, 'SELECT * FROM open_batch WHERE batch = 1'), batches)
        self.assertEqual(select(db, 'SELECT batch, entries FROM open_batch WHERE batch > 1'), [(2, 1)])
        self.assertEqual(select(db, 'SELECT min(id), max(id) FROM session'), [(first, last + 1)])

    def test_many_additions_leave_few_batches(self):
        most = 0

        def each(db):
            nonlocal most
            most = max(most, select(db, 'SELECT count(*) FROM open_batch')[0][0])
        steps = [[(T0 + i * S, udp('10.0.%d.%d' % (i // 200, 1 + i % 200), 9, '10.1.0.1', 53))]
                 for i in range(support.rounds(60, 300))]
        db = self.compare(steps, '--timeout', 'udp=never', each=each)
        self.assertLess(most, 10)
        self.assertEqual(select(db, 'SELECT sum(entries) FROM open_batch'), [(len(steps),)])

    def test_what_has_expired_is_forgotten(self):
        db = self.path('x.db')
        for i in range(8):
            f = self.capture('c%d' % i, [(T0 + i * 2000 * S + k, udp('10.0.%d.%d' % (i, k), 9, '10.1.0.1', 53))
                                         for k in range(200)])
            index(db, '-q', f)
            self.assertLess(select(db, 'SELECT sum(entries) FROM open_batch')[0][0], 401)


if __name__ == '__main__':
    support.main()
