# SPDX-License-Identifier: MIT
"""The index of the same captures is the same for any number of threads, chunk size and memory, and it is true."""
import collections, itertools, os, struct, subprocess, unittest

import support, twin
from support import S, T0, LONG, dump, index, sessions, tcp, udp

JOBS = ('1', '2', '8')
CHUNKS = ('64k', '100001', '1M', None)
MEMORY = ('16M', None)
MANY = '9000' if LONG else '3000'
SOME = (('1', None, None), ('1', '64k', '16M'), ('2', '100001', None), ('2', '64k', '16M'), ('8', '64k', None), ('8', '1M', None))
FIELDS = ('proto', 'client_addr', 'client_port', 'server_addr', 'server_port', 'client_packets', 'server_packets',
          'client_bytes', 'server_bytes')


class Compared(support.TestCase):
    """Compares all settings with one another, and the result with the truth."""

    def settings(self):
        for jobs, chunk, memory in itertools.product(JOBS, CHUNKS, MEMORY) if LONG else SOME:
            yield ['--jobs', jobs] + (['--chunk-size', chunk] if chunk else []) + (['--memory', memory] if memory else [])

    def check_settings(self, files, *options):
        """Indexes with all settings; the first database."""
        first = None
        for setting in self.settings():
            self.made = getattr(self, 'made', 0) + 1
            db = self.path('%d.db' % self.made)
            index(db, '-q', *setting, *options, *files)
            text = dump(db)
            if first is None:
                first = db, text
            else:
                self.assert_same_dump(first[1], text, ' '.join(setting))
                os.remove(db)
        return first[0]

    def check_truth(self, db, truth, ends=True):
        """ends: which one is the client counts too (fcgen goes by time, flowcarve by the order in the capture)."""
        want = support.read_truth(truth)
        got = sessions(db)
        self.assertEqual(len(got), len(want))
        rows, exps = [], []  # the order of IDs is the twin's to check
        for g, w in zip(got, want):
            row = [('' if g[k] is None else str(g[k])) for k in FIELDS] + [str(g['start_ns']), str(g['end_ns'])]
            exp = [w[k] if w[k] not in ('-',) else '' for k in FIELDS] + [w['start_ns'], w['end_ns']]
            for r in row, exp:
                if r[0] == 'arp':  # no ports; fcgen writes 0
                    r[2] = r[4] = ''
            if not ends:
                row, exp = ([r[0], *sorted([r[1:3] + r[5:9:2], r[3:5] + r[6:9:2]]), *r[9:]] for r in (row, exp))
            rows.append(row)
            exps.append(exp)
        for row, exp in zip(sorted(rows, key=repr), sorted(exps, key=repr)):
            self.assertEqual(row, exp)

    def check_twin(self, db, files, profile='flowcarve'):
        self.assertEqual([os.fsdecode(p) for _, p in sorted(support.index_files(db).items())],
                         [os.path.realpath(p) for _, p, _ in twin.in_file_order(files)], 'the order of the captures')
        everything = support.all_positions(db)
        want = twin.sessions(files, profile)
        got = sessions(db)
        for g in got:
            g['positions'] = everything[g['id']]
        for n, (g, w) in enumerate(zip(got, want), 1):
            self.assertEqual({k: g[k] for k in w}, w, 'session %d, profile %s' % (n, profile))
        self.assertEqual(len(got), len(want))

    def corpus(self, *options, name='c.pcap', truth=True, ends=True, check_twin=True, index_options=()):
        t = self.path('truth.tsv')
        files = self.fcgen(name, *options, '--truth', t)
        db = self.check_settings(files, *index_options)
        support.check_index(db)
        if truth:
            self.check_truth(db, t, ends)
        if check_twin:
            self.check_twin(db, files)
        support.verify(db)
        self.assert_carves(db, files)
        return db, files

    def slow(self, factor, *options):
        """Files of fcgen in which time passes `factor` times slower."""
        files = self.fcgen('slow.pcap', *options)
        for f in files:
            stretched = [(T0 + (r.ts_ns - T0) * factor, r.data, r.origlen) for r in support.read_capture(f)]
            support.write(f, support.pcap_bytes(stretched))
        return files


class Corpus(Compared):
    """One test a kind of traffic."""

    def test_demo(self):
        self.corpus('--preset', 'demo')

    def test_many_files(self):
        self.corpus('--packets', '6000', '--files', '40', '--sessions', '500')

    def test_overlapping_taps(self):
        self.corpus('--packets', '6000', '--files', '3', '--overlap', '--sessions', '300')

    def test_backward_times(self):
        self.corpus('--packets', MANY, '--backward', '5', '--sessions', '300', ends=False)

    def test_backward_times_in_overlapping_taps_with_port_reuse(self):
        # which packet opens what is a matter of order here, so fcgen's truth is not asked
        self.corpus('--packets', '6000', '--backward', '10', '--sessions', '600', '--files', '4', '--overlap',
                    '--port-reuse', '50', '--clients', '8', '--servers', '8', truth=False)

    def test_port_reuse(self):
        self.corpus('--packets', MANY, '--sessions', '700', '--port-reuse', '60')

    def test_fragments_in_order(self):
        self.corpus('--packets', MANY, '--fragments', '40', '--proto', 'tcp=30,udp=70', '--sessions', '300')

    def test_fragments_in_disorder(self):
        self.corpus('--packets', MANY, '--fragments', '40', '--fragment-disorder', '--proto', 'tcp=20,udp=80',
                    '--sessions', '300', '--files', '5', ends=False)

    def test_fragments_in_disorder_over_taps(self):
        self.corpus('--packets', '6000', '--fragments', '40', '--fragment-disorder', '--proto', 'tcp=20,udp=80',
                    '--sessions', '200', '--files', '3', '--overlap', ends=False)

    def test_pcapng_with_three_interfaces(self):
        self.corpus('--packets', MANY, '--format', 'pcapng', '--interfaces', '3', '--ns', '--sessions', '300',
                    name='c.pcapng')

    def test_big_endian(self):
        self.corpus('--packets', MANY, '--big-endian', '--sessions', '300')

    def test_big_endian_pcapng_over_files(self):
        self.corpus('--packets', MANY, '--big-endian', '--format', 'pcapng', '--interfaces', '2', '--files', '3',
                    '--sessions', '300', name='c.pcapng')

    def test_payload_that_looks_like_a_capture(self):
        self.corpus('--packets', MANY, '--payload', 'capture', '--sizes', 'full', '--sessions', '300')

    def test_cut_packets(self):
        self.corpus('--packets', MANY, '--snaplen', '80', '--sessions', '300')

    def test_more_sessions_than_memory(self):
        """With all fields, flows of these find no room in --memory 16M and are put aside; with the usual ones 60,000 do."""
        n = 200000 if LONG else 30000
        self.corpus('--packets', str(n), '--packets-per-session', '1', '--sizes', 'small', '--concurrent', '9000',
                    check_twin=False, index_options=['--fields', 'all'])

    def test_all_optional_fields(self):
        self.corpus('--packets', MANY, '--sessions', '300', '--vlan', '30', '--files', '2', '--overlap',
                    index_options=['--fields', 'all'])

    def test_key_with_vlan(self):
        db, _ = self.corpus('--packets', '6000', '--sessions', '300', '--vlan', '50', index_options=['--key', 'vlan'],
                            check_twin=False)
        self.assertTrue(support.select(db, 'SELECT 1 FROM session WHERE domain > 0 LIMIT 1'))

    def test_profiles(self):
        """Traffic with silences of many minutes, under every profile, against the twin."""
        files = self.slow(60, '--packets', MANY, '--sessions', '200', '--port-reuse', '30', '--rate', '200',
                          '--clients', '20', '--servers', '5', '--files', '3', '--concurrent', '20')
        counts = {}
        for profile in twin.PROFILES:
            with self.subTest(profile=profile):
                db = self.check_settings(files, '--profile', profile)
                support.check_index(db)
                self.check_twin(db, files, profile)
                counts[profile] = len(sessions(db))
        self.assertGreaterEqual(len(set(counts.values())), 5, 'the profiles hardly differ: %r' % counts)

    def test_timeout_option(self):
        files = self.slow(20, '--packets', '4000', '--sessions', '200', '--rate', '200', '--concurrent', '20')
        db = self.check_settings(files, '--timeout', 'tcp=100,udp=7,icmp=never,tcp-new=3,tcp-closed=1,other=5.5,sctp=2')
        self.check_twin(db, files, (3, 100, 1, 7, 7, twin.NEVER, 2, 5.5, twin.NEVER))

    def test_timeouts_to_the_nanosecond(self):
        """A silence as long as the timeout of the state is none; one nanosecond more begins a session."""

        def cases(client, server):
            a, b = (client, 4000), (server, 80)
            syn, answer, ack = (tcp(*a, *b, 'S', 1), tcp(*b, *a, 'SA', 9, 2), tcp(*a, *b, 'A', 2, 10))
            icmp = support.eth(support.ipv4(client, server, 1, bytes([8, 0]) + bytes(6)))
            sctp = support.eth(support.ipv4(client, server, 132, bytes([0, 1, 0, 2]) + bytes(8)))
            ospf = support.eth(support.ipv4(client, server, 89, bytes(24)))
            return [(0, [syn], syn), (1, [ack], ack), (1, [syn, answer], ack), (1, [ack, tcp(*b, *a, 'A', 10, 2)], ack),
                    (2, [syn, answer, tcp(*a, *b, 'FA', 2, 10), tcp(*b, *a, 'FA', 10, 3)], ack),
                    (1, [syn, answer, tcp(*a, *b, 'FA', 2, 10)], ack), (2, [syn, tcp(*b, *a, 'RA', 0, 2)], ack),
                    (3, [udp(*a, *b)], udp(*a, *b)), (4, [udp(*a, *b), udp(*b, *a)], udp(*a, *b)), (5, [icmp], icmp),
                    (6, [sctp], sctp), (7, [ospf], ospf)]

        for profile, timeouts in twin.PROFILES.items():
            packets, want = [], {}
            for n, more in itertools.product(range(12), (0, 1)):  # each one between two hosts of its own
                slot, first, last = cases('10.0.%d.1' % n, '10.1.%d.%d' % (n, more))[n]
                seconds = timeouts[slot] if timeouts[slot] != twin.NEVER else 10**8
                packets += [(T0, p) for p in first] + [(T0 + seconds * S + more, last)]
                want[n, more] = 1 + (more and timeouts[slot] != twin.NEVER)
            packets.sort(key=lambda p: p[0])
            db = self.path(profile + '.db')
            index(db, '-q', '--profile', profile, self.write('t.pcap', support.pcap_bytes(packets, magic=0xa1b23c4d)))
            got = collections.Counter(tuple(map(int, s['server_addr'].split('.')[2:])) for s in sessions(db))
            with self.subTest(profile=profile):
                self.assertEqual(got, want)

    def test_profiles_over_overlapping_taps(self):
        files = self.slow(60, '--packets', '5000', '--sessions', '200', '--port-reuse', '30', '--rate', '200',
                          '--clients', '20', '--servers', '5', '--files', '3', '--overlap', '--backward', '3',
                          '--concurrent', '20')
        for profile in ('flowcarve', 'zeek', 'yaf', 'arkime'):
            with self.subTest(profile=profile):
                db = self.check_settings(files, '--profile', profile)
                self.check_twin(db, files, profile)


class Disguise(Compared):
    """Records whose bytes are a capture themselves, large enough to fill whole chunks."""

    def chain(self, size, e='<', ng=False):
        """Bytes of a capture without its head: nothing but plausible records."""
        r = support.rng('chain', size, e, ng)
        out, n = [], 0
        while n < size:
            data = support.udp('192.0.2.%d' % r.randrange(256), r.randrange(1024, 65536), '192.0.2.1', 53,
                               r.randbytes(r.randrange(20, 300)))
            ts = T0 + n * 1000
            out.append(support.epb(e, 0, ts // 1000, data) if ng else
                       struct.pack(e + 'IIII', ts // S, ts % S // 1000, len(data), len(data)) + data)
            n += len(out[-1])
        return b''.join(out)

    def packets(self, ng, e):
        out = []
        for i in range(24):
            chain = self.chain(150000 + 4 * i, e, ng)
            data = support.tcp('10.0.0.1', 40000 + i % 3, '10.0.0.2', 80, 'PA', 1 + i * 200000, 1,
                               bytes(i % 4 if ng else i) + chain)
            out.append((T0 + i * S, data))
            out += [(T0 + i * S + k, support.udp('10.0.0.3', 1000 + k, '10.0.0.4', 53, b'x' * k)) for k in range(1, 40)]
        return out

    def check(self, name, data):
        files = [self.write(name, data)]
        db = self.check_settings(files)
        support.check_index(db)
        self.check_twin(db, files)
        self.assertEqual(len(sessions(db)), 3 + 39)

    def test_pcap_records_inside_records(self):
        for e in '<>':
            with self.subTest(order=e):
                self.check('d.pcap', support.pcap_bytes(self.packets(False, e), e=e))

    def test_pcapng_blocks_inside_blocks(self):
        for e in '<>':
            with self.subTest(order=e):
                self.check('d.pcapng', support.pcapng_bytes(self.packets(True, e), e=e))

    def test_whole_pcapng_section_inside_a_block(self):
        """A section header in a payload must not change the byte order for what follows."""
        inner = support.shb('>') + support.idb('>', 101) + self.chain(150000, '>', True)
        packets = [(T0 + i * S, support.tcp('10.0.0.1', 40000, '10.0.0.2', 80, 'PA', 1 + i * 200000, 1,
                                            bytes(2) + inner)) for i in range(8)]
        packets += [(T0 + 9 * S, support.udp('10.0.0.3', 5, '10.0.0.4', 53))]
        files = [self.write('s.pcapng', support.pcapng_bytes(packets))]
        db = self.check_settings(files)
        support.check_index(db)
        self.assertEqual([s['client_packets'] for s in sessions(db)], [8, 1])

    def test_sections_that_change_order_and_interfaces(self):
        """Byte order, interface count and resolution change every few records: no guess of the state holds."""
        r, out, packets = support.rng('sections'), [], []
        for i in range(60):
            e = r.choice('<>')
            digits = r.choice((6, 9))
            out += [support.shb(e)] + [support.idb(e, 1, support.option(e, 9, bytes([digits])))
                                       for _ in range(1 + i % 4)]
            for k in range(r.randrange(0, 30)):
                ts = T0 + i * S + k * 1000
                data = support.udp('10.0.%d.1' % (k % 5), 1000 + k, '10.9.9.9', 53, bytes(r.randrange(900)))
                out.append(support.epb(e, r.randrange(1 + i % 4), ts // 10 ** (9 - digits), data))
        files = [self.write('s.pcapng', b''.join(out))]
        db = self.check_settings(files)
        support.check_index(db)
        self.check_twin(db, files)
        self.assert_carves(db, files)

    def test_records_without_bytes_and_zeros(self):
        """Zeros look like empty records for ever; a record whose header is all zeros is none (docs/architecture-captures.md)."""
        packets = [(S, b'')] * 9000 + [(S, bytes(100000))] * 3 + [(T0, support.udp('10.0.0.3', 5, '10.0.0.4', 53))]
        files = [self.write('z.pcap', support.pcap_bytes(packets))]
        db = self.check_settings(files)
        support.check_index(db)
        self.assert_carves(db, files)


class Threads(support.TestCase):
    def test_small_captures_of_two_chunks_each(self):
        """Small captures are read one behind the other; here each is larger than a chunk, so that several threads are in it."""
        files = self.fcgen('t.pcap', '--packets', '100000', '--files', '12', '--sizes', 'small')
        self.assertTrue(all(512 << 10 < os.path.getsize(f) < 1 << 20 for f in files))
        one = self.path('one.db')
        index(one, '-q', '--jobs', '1', '--memory', '16M', *files)
        for n in range(support.rounds(3, 20)):
            db = self.path('%d.db' % n)
            index(db, '-q', '--jobs', '%d' % (2 + n % 3), '--memory', '16M', *files)
            self.assert_same_dump(dump(one), dump(db))

    @unittest.skipIf(support.sanitized(), 'a sanitizer has threads of its own')
    def test_one_job_is_one_thread(self):
        """--jobs 1: beside the one that reads and writes there is at most the one that frees flows."""
        files = self.fcgen('t.pcap', '--packets', '120000', '--packets-per-session', '1')
        for jobs, most in (('1', 2), ('2', 99)):
            seen, db = 0, self.path(jobs + '.db')
            p = subprocess.Popen([support.FLOWCARVE, 'index', '-q', '-d', db, '--jobs', jobs, *files])
            while p.poll() is None:
                try:
                    seen = max(seen, len(os.listdir('/proc/%d/task' % p.pid)))
                except FileNotFoundError:
                    pass
            self.assertEqual(p.returncode, 0)
            self.assertLessEqual(seen, most, '--jobs ' + jobs)
        self.assertGreater(seen, 2, 'nothing was seen')


if __name__ == '__main__':
    support.main()
