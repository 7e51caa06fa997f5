# SPDX-License-Identifier: MIT
"""Indexing A and then B is the same as A and B at once; what was given out stays; changed captures are refused."""
import os, shutil, struct, subprocess, time, unittest

import support
from support import S, T0, dump, index, select, sessions, tcp, udp

# these are flowcarve's own notes; the steps behind them show whether they are right
PRIVATE = ('open_batch', 'open_session', 'open_fragment', 'session_positions', 'run')


class Incremental(support.TestCase):
    checked = None

    def compare(self, steps, *options):
        """steps: lists of files, indexed one after the other; returns the database."""
        once, stepwise = self.path('once.db'), self.path('steps.db')
        for db in (once, stepwise):
            if os.path.exists(db):
                os.remove(db)
        index(once, '-q', *options, *[f for s in steps for f in s])
        for s in steps:
            index(stepwise, '-q', *options, *s)
        if self.checked != (options, {f for s in steps for f in s}):  # else it is the same one again
            support.check_index(once)
            self.checked = options, {f for s in steps for f in s}
        support.check_index(stepwise)
        self.assert_same_dump(dump(once, PRIVATE), dump(stepwise, PRIVATE),
                              ' | '.join(' '.join(map(os.path.basename, s)) for s in steps))
        support.verify(stepwise)
        return stepwise

    def splits(self, files, rounds, *options):
        r = support.rng('splits', *options)
        self.compare([[f] for f in files], *options)
        for _ in range(rounds):
            cuts = sorted(r.sample(range(1, len(files)), r.randrange(1, min(4, len(files)))))
            steps = [files[a:b] for a, b in zip([0] + cuts, cuts + [len(files)])]
            for s in steps:
                r.shuffle(s)  # the order on the command line means nothing
            db = self.compare(steps, *options)
        return db

    def test_query_that_nobody_reads(self):
        """A pager holds up no run that adds: what it has not shown yet is of the index as it is then."""
        files = self.fcgen('p.pcap', '--packets', '20000', '--sessions', '8000', '--files', '2')
        db = self.path('p.db')
        for words in (), ('-s', 'bytes:desc'), ('net 0.0.0.0/0 or port 53',), ('src net 10.0.0.0/8 and not port 443',):
            if os.path.exists(db):
                os.remove(db)
            index(db, '-q', files[0])
            before = support.flowcarve('query', '-d', db, '-f', 'csv', *words).out.decode().splitlines()
            query = subprocess.Popen([support.FLOWCARVE, 'query', '-d', db, '-f', 'csv', *words],
                                     stdout=subprocess.PIPE, env=support.environment())
            try:
                first = query.stdout.read(1)  # it has begun, and the pipe fills up
                time.sleep(0.5)
                begin = time.monotonic()
                index(db, '-q', files[1])
                self.assertLess(time.monotonic() - begin, 20)
                self.assertIsNone(query.poll(), 'all of it fitted into the pipe')
                text = (first + query.stdout.read()).decode()
            finally:
                query.kill()
                query.stdout.close()
                query.wait()
            rows = text.splitlines()
            after = support.flowcarve('query', '-d', db, '-f', 'csv', *words).out.decode().splitlines()
            ids = [int(r.split(',')[0]) for r in rows[1:]]
            self.assertEqual(len(ids), len(set(ids)))
            self.assertLessEqual({r.split(',')[0] for r in before}, {r.split(',')[0] for r in rows})
            self.assertLessEqual(set(rows), set(before) | set(after))
        support.check_index(db)

    def test_sessions_cross_files(self):
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '100', '--files', '8')
        db = self.splits(files, support.rounds(5, 40))
        spread = support.all_positions(db).values()
        self.assertGreater(max(len({f for f, _ in p}) for p in spread), 3, 'no session crosses')
        self.assert_carves(db, files)

    def test_optional_fields_over_files(self):
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '80', '--files', '6', '--vlan', '30')
        self.splits(files, support.rounds(2, 20), '--fields', 'all')

    def test_fields_and_key(self):
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '80', '--files', '6', '--vlan', '50')
        self.splits(files, support.rounds(2, 20), '--key', 'vlan', '--fields', 'vlan,isn')

    def test_port_reuse_over_files(self):
        files = self.fcgen('c.pcap', '--packets', '3500', '--sessions', '350', '--files', '8', '--port-reuse', '70',
                           '--clients', '10', '--servers', '5')
        self.splits(files, support.rounds(5, 40))

    def test_fragments_in_order_over_files(self):
        files = self.fcgen('c.pcap', '--packets', '3500', '--sessions', '100', '--files', '12', '--fragments', '60',
                           '--proto', 'udp=100')
        self.splits(files, support.rounds(4, 30))

    def test_filter_and_exclusion_hold_for_what_is_added(self):
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '100', '--files', '4')
        db = self.compare([files[:2], files[2:]], '--filter', 'tcp or arp', '--exclude-net', '10.0.0.0/29')
        self.assertGreater(select(db, 'SELECT sum(ignored) FROM files')[0][0], 100)
        index(self.path('kept.db'), '-q', '--filter', 'tcp or arp', '--exclude-net', '10.0.0.0/29', *files[:2])
        index(self.path('kept.db'), '-q', *files[2:])  # the settings are remembered
        self.assert_same_dump(dump(db, PRIVATE), dump(self.path('kept.db'), PRIVATE))
        r = index(self.path('kept.db'), '--filter', 'udp', *files, ok=2)
        self.assert_says(r, 'filter')

    def test_long_silences_over_files(self):
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '150', '--files', '6', '--rate', '200',
                           '--concurrent', '20', '--port-reuse', '30', '--clients', '20', '--servers', '5')
        for f in files:
            support.write(f, support.pcap_bytes([(T0 + (p.ts_ns - T0) * 60, p.data, p.origlen)
                                                 for p in support.read_capture(f)]))
        for profile in ('flowcarve', 'wireshark', 'zeek', 'yaf'):
            with self.subTest(profile=profile):
                self.splits(files, support.rounds(1, 10), '--profile', profile)

    def test_backward_times_inside_files(self):
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '100', '--files', '5', '--backward', '5')
        # only where B is not older than A
        starts = [min(r.ts_ns for r in support.read_capture(f)) for f in files]
        ends = [max(r.ts_ns for r in support.read_capture(f)) for f in files]
        for k in range(1, len(files)):
            if min(starts[k:]) >= max(ends[:k]):
                self.compare([files[:k], files[k:]])

    # what crosses from A to B, one case each: (packets of A, packets of B, number of sessions)
    C, V = ('10.0.0.1', 4000), ('10.0.0.2', 80)

    def crossing(self, a, b, count, *options):
        files = [self.write('a.pcap', support.pcap_bytes(a)), self.write('b.pcap', support.pcap_bytes(b))]
        db = self.compare([[files[0]], [files[1]]], *options)
        self.assertEqual(len(sessions(db)), count)
        return db

    def handshake(self, at=0, isn=100):
        c, v = self.C, self.V
        return [(T0 + at * S, tcp(*c, *v, 'S', isn)), (T0 + at * S + 1000, tcp(*v, *c, 'SA', 900 + isn, isn + 1)),
                (T0 + at * S + 2000, tcp(*c, *v, 'A', isn + 1, 901 + isn))]

    def test_records_without_time_are_counted_in_the_next_file_too(self):
        """A session of nothing but records without a time has a place all the same, and its timeout runs from there."""
        c, v = self.C, self.V
        first = tcp('10.0.0.9', 1, '10.0.0.8', 2, 'A')
        silent = tcp(*c, *v, 'A', 5, 7)
        spb = support.block('<', 3, struct.pack('<I', len(silent)) + silent)
        a = self.write('a.pcapng', support.shb() + support.idb() + support.epb('<', 0, T0 // 1000, first) + spb)
        for gap, count in ((3000, 2), (4000, 3)):
            b = self.write('b.pcapng', support.pcapng_bytes([(T0 + gap * S, silent)]))
            db = self.compare([[a], [b]])
            self.assertEqual(len(sessions(db)), count)

    def test_syn_retransmitted_into_the_next_file(self):
        c, v = self.C, self.V
        a = [(T0, tcp(*c, *v, 'S', 100))]
        b = [(T0 + 3 * S, tcp(*c, *v, 'S', 100)), (T0 + 3 * S + 5000, tcp(*v, *c, 'SA', 7, 101))]
        db = self.crossing(a, b, 1)
        self.assertEqual(sessions(db)[0]['state'], 'established')

    def test_another_syn_in_the_next_file(self):
        a = self.handshake()
        b = [(T0 + 3 * S, tcp(*self.C, *self.V, 'S', 5000)), (T0 + 4 * S, tcp(*self.V, *self.C, 'SA', 7, 5001))]
        self.crossing(a, b, 2)

    def test_syn_ack_begins_and_the_syn_follows_in_the_next_file(self):
        a = [(T0, tcp(*self.V, *self.C, 'SA', 7, 101))]
        b = [(T0 + S, tcp(*self.C, *self.V, 'S', 100))]
        db = self.crossing(a, b, 1)
        self.assertEqual(sessions(db)[0]['client_addr'], '10.0.0.1')

    def test_timeout_between_the_files(self):
        c, v = self.C, self.V
        for gap, flags, count in ((59, 'A', 1), (3599, 'A', 1), (3601, 'A', 2)):
            with self.subTest(gap=gap):
                self.crossing(self.handshake(), [(T0 + gap * S, tcp(*c, *v, flags, 101, 1001))], count)
        closed = self.handshake() + [(T0 + S, tcp(*c, *v, 'FA', 101, 1001)), (T0 + S, tcp(*v, *c, 'FA', 1001, 102))]
        for gap, count in ((59, 1), (62, 2)):
            with self.subTest(closed=gap):
                self.crossing(closed, [(T0 + gap * S, tcp(*c, *v, 'A', 102, 1002))], count)
        for gap, count in ((60, 1), (61, 2)):
            with self.subTest(unanswered=gap):
                self.crossing([(T0, tcp(*c, *v, 'S', 100))], [(T0 + gap * S, tcp(*c, *v, 'S', 100))], count)
        for gap, count in ((180, 1), (181, 2)):
            with self.subTest(udp=gap):
                self.crossing([(T0, udp(*c, *v))], [(T0 + gap * S, udp(*v, *c))], count)

    def test_the_second_file_starts_at_the_very_time_the_first_ends(self):
        self.crossing([(T0, udp(*self.C, *self.V))], [(T0, udp(*self.V, *self.C))], 1)

    def test_fragments_follow_in_the_next_file(self):
        whole = support.udp_fragments('10.0.0.1', 4000, '10.0.0.2', 53, 77)
        for cut in (1, 2):
            with self.subTest(cut=cut):
                self.crossing([(T0 + i, f) for i, f in enumerate(whole[:cut])],
                              [(T0 + S + i, f) for i, f in enumerate(whole[cut:])], 1)

    def test_the_first_fragment_comes_in_the_next_file(self):
        """Last fragment in A, the others in B: at once it is one session of three packets (design.md)."""
        whole = support.udp_fragments('10.0.0.1', 4000, '10.0.0.2', 53, 77)
        a = self.write('a.pcap', support.pcap_bytes([(T0, whole[2])]))
        b = self.write('b.pcap', support.pcap_bytes([(T0 + S, whole[0]), (T0 + S, whole[1])]))
        index(self.path('once.db'), '-q', a, b)
        self.assertEqual([s['client_packets'] for s in sessions(self.path('once.db'))], [3])

    def test_the_first_fragment_comes_in_a_file_added_later(self):
        whole = support.udp_fragments('10.0.0.1', 4000, '10.0.0.2', 53, 77)
        self.crossing([(T0, whole[2])], [(T0 + S, whole[0]), (T0 + S, whole[1])], 1)

    def test_taps_added_one_after_the_other_lose_nothing(self):
        """Overlapping captures in two runs: B is older than A's end, so sessions may differ, but nothing is lost."""
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '100', '--files', '3', '--overlap',
                           '--fragments', '20')
        db = self.path('x.db')
        for f in files:
            index(db, '-q', f)
            support.check_index(db, ordered_ids=False, gaps=True)
            support.verify(db)
        self.assert_carves(db, files)

    def test_again_changes_nothing(self):
        files = self.fcgen('c.pcap', '--packets', '2000', '--files', '3')
        db = self.path('x.db')
        index(db, '-q', *files)
        before = support.dump(db)
        for words in (files, [self.folder], files[1:2]):
            r = index(db, *words)
            self.assert_says(r, 'unchanged')
            self.assertEqual(support.dump(db), before, 'indexing again changed the index')
        os.utime(files[0], ns=(1, 1))  # touched, not changed
        index(db, *files)
        left_out = ('files.mtime_ns', 'run')
        index(self.path('once.db'), '-q', *files)
        self.assert_same_dump(support.dump(db, left_out), support.dump(self.path('once.db'), left_out))

    def test_older_file_added_later(self):
        r = support.rng('older')
        files = self.fcgen('c.pcap', '--packets', '6000', '--sessions', '200', '--files', '6')
        for _ in range(support.rounds(4, 25)):
            late = r.choice(files[:-1])
            db = self.path('x.db')
            if os.path.exists(db):
                os.remove(db)
            index(db, '-q', *[f for f in files if f != late])
            before = {s['id']: s for s in sessions(db)}
            blobs, grown = support.all_positions(db), None
            result = index(db, late)
            self.assert_says(result, 'ids stay')
            support.check_index(db, ordered_ids=False)
            support.verify(db)
            after = {s['id']: s for s in sessions(db)}
            joined = 0
            for i, old in before.items():
                new = after[i]
                ends = {(old['client_addr'], old['client_port']), (old['server_addr'], old['server_port'])}
                self.assertEqual({(new['client_addr'], new['client_port']), (new['server_addr'], new['server_port'])},
                                 ends, 'session %d became another one' % i)
                grown = grown or support.all_positions(db)
                a, b = set(blobs[i]), set(grown[i])
                self.assertTrue(a <= b, 'session %d lost packets' % i)
                joined += a < b
            self.assertGreater(joined, 0, 'nothing of the older file touched a session')
            self.assert_carves(db, files)

    def test_a_capture_without_records_is_older_than_nothing(self):
        """As one that was just begun: what comes beside it is joined by the rules, as when all is indexed at once."""
        c, v = self.C, self.V
        a = self.write('a.pcap', support.pcap_bytes([(T0, tcp(*c, *v, 'P')), (T0 + 200 * S, udp('10.0.0.9', 1, '10.0.0.8', 2))]))
        more = support.pcap_bytes([(T0 + 300 * S, tcp(*c, *v, 'P'))])
        for name, data in (('empty', more[:24]), ('cut', more[:60])):
            db = self.path(name + '.db')
            b, e = self.write(name + '-b.pcap', more), self.write(name + '-e.pcap', data)
            index(db, '-q', a)
            index(db, '-q', b, e)
            self.assertEqual(select(db, 'SELECT count(*) FROM session'), [(3,)], name)
            support.verify(db)

    def test_older_file_joins_what_touches(self):
        c, v = self.C, self.V
        b = self.write('b.pcap', support.pcap_bytes([(T0 + 10 * S, tcp(*v, *c, 'A', 1001, 101))]))
        a = self.write('a.pcap', support.pcap_bytes(self.handshake()))
        db = self.path('x.db')
        index(db, '-q', b)
        index(db, '-q', a)
        row, = sessions(db)
        self.assertEqual((row['client_addr'], row['client_packets'], row['server_packets'], row['start_ns'],
                          row['state']), ('10.0.0.1', 2, 2, T0, 'established'))
        support.check_index(db)

    def test_older_file_turns_the_ends_fields_too(self):
        c, v = self.C, self.V
        b = self.write('b.pcap', support.pcap_bytes([(T0 + 10 * S, tcp(*v, *c, 'AP', 1001, 101, b'seven b')),
                                                     (T0 + 11 * S, tcp(*c, *v, 'A', 101, 1008, b'3 b'))]))
        a = self.write('a.pcap', support.pcap_bytes(self.handshake()))
        ends = ('SELECT client_payload, server_payload, client_isn, server_isn, client_tcp_flags, server_tcp_flags'
                ' FROM session_fields')
        db, once = self.path('x.db'), self.path('once.db')
        index(db, '-q', '--fields', 'all', b)
        self.assertEqual(select(db, ends)[0][:2], (7, 3))
        index(db, '-q', a)
        index(once, '-q', '--fields', 'all', a, b)
        self.assertEqual(select(db, ends), select(once, ends))
        self.assertEqual(select(db, ends)[0][:2], (3, 7))

    def changed(self, change, big=False):
        """Another content of that name is another capture, and the one before is gone."""
        files = self.fcgen('c.pcap', '--packets', '20000' if big else '300', '--files', '2')
        db = self.path('x.db')
        index(db, '-q', *files)
        before = select(db, 'SELECT * FROM sessions')
        change(files[0])
        r = index(db, *files)
        self.assert_says(r, '1 file was indexed before', '1 capture gone')
        self.assertEqual(select(db, 'SELECT id, path, gone FROM files ORDER BY id'),
                         [(i + 1, os.path.basename(f), i == 0) for i, f in enumerate(files + files[:1])])
        self.assertEqual(select(db, 'SELECT id FROM sessions WHERE id > 0 LIMIT ?', len(before)), [(i + 1,) for i in range(len(before))])
        self.assert_says(index(db, *files), '2 files were indexed before')
        self.assertIn('gone', support.verify(db).text)

    def test_cut_file_is_another_one(self):
        self.changed(lambda path: os.truncate(path, os.path.getsize(path) - 1))

    def test_file_with_a_changed_byte_is_another_one(self):
        """Near the front or the end; of what lies between, the fingerprint has samples only (schema)."""
        for where in (60, 3000, -1, -3000):
            def change(path):
                d = bytearray(support.read_bytes(path))
                d[where] ^= 1
                support.write(path, d)
            with self.subTest(where=where):
                self.setUp()
                self.changed(change)

    def test_replaced_file_is_another_one(self):
        def change(path):
            data = support.read_bytes(path)
            r = support.rng('replaced')
            os.remove(path)
            support.write(path, data[:24] + r.randbytes(len(data) - 24))
        self.changed(change, big=True)

    def test_overlapping_captures_added_one_by_one_do_not_go_by_chunks(self):
        """Sessions of the index lie inside of runs of the capture that is added; ports are used again."""
        files = self.fcgen('c.pcap', '--packets', '60000', '--sizes', 'small', '--concurrent', '300', '--rate', '200',
                           '--packets-per-session', '8', '--burst', '4', '--files', '2', '--overlap', '--port-reuse', '20')
        dumps = []
        for options in (['-j', '1'], ['-j', '2', '--chunk-size', '64k'], ['-j', '3', '--chunk-size', '256k', '--memory', '16M']):
            db = self.path('x%d.db' % len(dumps))
            for f in files:
                index(db, '-q', *options, f)
            dumps.append([select(db, 'SELECT * FROM %s ORDER BY 1' % t) for t in ('session', 'open_batch', 'open_session')])
        self.assertEqual(dumps[1], dumps[0])
        self.assertEqual(dumps[2], dumps[0])

    def test_packets_of_one_time_tell_in_their_order_wherever_chunks_are_cut(self):
        """Inside of a session of the index the first one tells the sequence number by which a later SYN is judged."""
        c, v = self.C, self.V
        a = self.write('a.pcap', support.pcap_bytes([(T0, tcp(*c, *v, 'A', 150)), (T0 + 9 * S // 10, tcp(*c, *v, 'A', 150)),
                                                     (T0 + 100 * S, udp('10.0.0.8', 1, '10.0.0.9', 2))]))
        fill = [(T0 + S // 2, udp('10.0.0.8', 1, '10.0.0.9', 2, bytes(30000)))] * 4
        b = self.write('b.pcap', support.pcap_bytes(
            [(T0 + S // 2, tcp(*v, *c, 'SA', 1000, 101)), (T0 + S // 2, tcp(*c, *v, 'A', 201))] + fill +
            [(T0 + 6 * S // 10, tcp(*c, *v, 'A', 201)), (T0 + 12 * S // 10, tcp(*c, *v, 'S', 100))]))
        for options in ([], ['--chunk-size', '64k']):
            db = self.path('x%d.db' % len(options))
            for f in a, b:
                index(db, '-q', '--timeout', 'tcp=1,tcp-new=1', *options, f)
            self.assertEqual(select(db, 'SELECT client_packets, server_packets FROM session WHERE proto = 6'), [(5, 1)])

    def test_renamed_capture_is_known_again(self):
        os.makedirs(self.path('day'))
        files = self.fcgen('day/c.pcap', '--packets', '2000', '--files', '3')
        db = self.path('x.db')
        index(db, '-q', *files)
        want = select(db, 'SELECT * FROM sessions')
        packets = [support.key_of(r) for r in self.carved(db)]
        names = [self.path('day/zz.pcap'), self.path('day/sub/a.pcap')]
        os.makedirs(self.path('day/sub'))
        os.rename(files[0], names[0])
        os.rename(files[2], names[1])
        r = index(db, self.path('day'))
        self.assert_says(r, '3 files were indexed before', '2 of them have new names')
        self.assertEqual(select(db, 'SELECT * FROM sessions'), want)
        self.assertEqual([support.key_of(r) for r in self.carved(db)], packets)
        support.verify(db)
        self.assert_says(index(db, self.path('day')), '3 files were indexed before')
        # together with new ones; and a copy beside the original is none
        os.rename(names[0], files[0])
        extra = self.write('day/new.pcap', support.pcap_bytes([(T0 + 9999 * S, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        r = index(db, self.path('day'))
        self.assert_says(r, '3 files were indexed before', '1 of them has a new name', '1 packet in sessions')
        support.verify(db)
        shutil.copy(extra, self.path('day/copy.pcap'))
        self.assert_says(index(db, self.path('day')), '4 files were indexed before', 'copy.pcap: is a copy of')
        self.assertEqual(select(db, 'SELECT count(*) FROM files'), [(4,)])

    def test_folder_may_move_as_a_whole(self):
        os.makedirs(self.path('day/caps'))
        inside = self.fcgen('day/caps/c.pcap', '--packets', '2000', '--files', '2')
        os.makedirs(self.path('elsewhere'))
        outside = self.fcgen('elsewhere/o.pcap', '--packets', '500', '--start', '1800000000')
        db = self.path('day/x.db')
        index(db, '-q', *inside, *outside)
        want = [support.key_of(r) for r in self.carved(db)]
        self.assertEqual(select(db, 'SELECT relative FROM files ORDER BY id'), [(1,), (1,), (0,)])
        os.rename(self.path('day'), self.path('moved'))
        os.makedirs(self.path('cwd'))
        db = self.path('moved/x.db')
        self.assertEqual([support.key_of(r) for r in self.carved(db)], want)
        support.verify(db)
        r = index(db, self.path('moved'), self.path('elsewhere'))
        self.assert_says(r, '3 files were indexed before')
        # seen from another working folder, by a relative name
        r = support.flowcarve('verify', '-d', '../moved/x.db', cwd=self.path('cwd'))
        r = support.index('x.db', '-q', 'caps', cwd=self.path('moved'))
        # and with the database alone in another place, what is inside is missing, what is outside is found
        shutil.copy(db, self.path('cwd/x.db'))
        r = support.flowcarve('carve', '-d', self.path('cwd/x.db'), '-w', '-', ok=2)
        self.assert_says(r, 'missing')
        r = support.flowcarve('carve', '-d', self.path('cwd/x.db'), '-w', '-', 'after @1800000000')
        self.assertEqual(len(support.parse_capture(r.out)), 500)

    def test_names_inside_and_outside_of_the_folder(self):
        """The same capture reached by ./, .. and symbolic links of folders is the same file."""
        os.makedirs(self.path('day'))
        os.symlink('day', self.path('link'))
        f, = self.fcgen('day/c.pcap', '--packets', '100')
        db = self.path('day/x.db')
        index(db, '-q', f)
        before = support.dump(db)
        for name in ('day/./c.pcap', 'day/../day/c.pcap', 'link/c.pcap', 'link'):
            index(db, self.path(name))
            self.assertEqual(support.dump(db), before, name)

    def test_the_same_capture_under_another_name_later(self):
        """A hard or symbolic link to what is indexed must not count its packets twice."""
        f, = self.fcgen('c.pcap', '--packets', '100')
        os.symlink('c.pcap', self.path('latest.pcap'))
        os.link(f, self.path('hard.pcap'))
        db = self.path('x.db')
        index(db, '-q', f)
        for name in ('latest.pcap', 'hard.pcap'):
            index(db, '-q', self.path(name))
            self.assertEqual(select(db, 'SELECT count(*), sum(records) FROM files'), [(1, 100)], name)


if __name__ == '__main__':
    support.main()
