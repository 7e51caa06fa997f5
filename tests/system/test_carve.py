# SPDX-License-Identifier: MIT
"""Carving: what comes out is exactly what went in, or there is an error and no file."""
import collections, gzip, ipaddress, os, signal, struct, subprocess, time, unittest

import support
from support import S, T0, flowcarve, index, parse_capture, read_capture, sessions, tcp, udp


class FilterMaker:
    """Random filters that mean the same to tcpdump (about packets) and to flowcarve (about sessions): nothing in them
    tells the two packets' directions apart, nor one packet of a session from another."""

    def __init__(self, rng, records):
        self.r = rng
        self.hosts, self.ports = set(), set()
        for s in records:
            self.hosts |= {s['client_addr'], s['server_addr']}
            if s['proto'] in ('tcp', 'udp', 'sctp'):
                self.ports |= {s['client_port'], s['server_port']}
        self.hosts, self.ports = sorted(self.hosts), sorted(self.ports)

    def net(self):
        r, host = self.r, self.r.choice(self.hosts)
        if ':' in host:
            return 'net %s' % ipaddress.ip_network((host, r.choice((16, 32, 48, 64, 100, 118, 127, 128))), strict=False)
        parts = host.split('.')
        kind = r.randrange(4)
        if kind == 0:
            n = r.randrange(1, 4)
            return 'net ' + '.'.join(parts[:n])
        if kind == 1:
            return 'net %s mask 255.255.0.0' % '.'.join(parts[:2] + ['0', '0'])
        bits = r.choice((0, 1, 5, 8, 12, 17, 20, 24, 27, 30, 31, 32))
        word = struct.unpack('>I', support.ip4(host))[0] & (0xffffffff << 32 - bits & 0xffffffff)
        return 'net %s/%d' % ('.'.join(map(str, struct.pack('>I', word))), bits)

    def leaf(self):
        r = self.r
        port = lambda: str(r.choice(self.ports))
        kind = r.randrange(12)
        if kind < 3:
            return 'host ' + r.choice(self.hosts) + r.choice(('', '', ' or ' + r.choice(self.hosts)))
        if kind < 5:
            return self.net()
        if kind < 7:
            return r.choice(('', '', 'tcp ', 'udp ', 'sctp ')) + 'port ' + port() + r.choice(('', ' or ' + port()))
        if kind == 7:
            a, b = int(port()), int(port())  # in any order
            return r.choice(('', 'tcp ', 'udp ')) + 'portrange %d-%d' % (a, b)
        if kind == 8:
            return 'ip host ' + r.choice([h for h in self.hosts if ':' not in h])
        if kind == 9:
            return r.choice(('ip proto 6', 'ip6 proto 17', 'ip proto \\icmp', 'ip proto 132'))
        return r.choice(('tcp', 'udp', 'icmp', 'icmp6', 'arp', 'sctp', 'ip', 'ip6'))

    def filter(self, depth=3):
        r, kind = self.r, self.r.randrange(6)
        if depth == 0 or kind == 0:
            return self.leaf()
        if kind == 1:
            return r.choice(('not ', '! ')) + '( ' + self.filter(depth - 1) + ' )'
        if kind == 2:
            return 'not ' + self.leaf().split(' or ')[0]
        inner = [self.filter(depth - 1) for _ in range(r.randrange(2, 4))]
        out = inner[0]
        for f in inner[1:]:  # equal precedence, from left to right, is part of what is compared
            out += r.choice((' and ', ' or ', ' && ', ' || ')) + (f if r.random() < .5 else '( %s )' % f)
        return out if r.random() < .5 else '( %s )' % out


class Carve(support.TestCase):
    def made(self, *options, name='c.pcap'):
        """An index self.db of self.files."""
        self.files = self.fcgen(name, *options)
        self.db = self.path('x.db')
        index(self.db, '-q', *self.files)
        self.originals = {f: support.multiset(read_capture(f)) for f in self.files}
        return self.db

    def keys(self, records):
        return [support.key_of(r) for r in records]

    # ---- content

    def test_filters_against_tcpdump(self):
        tcpdump = support.tool('tcpdump')
        db = self.made('--packets', '3000', '--sessions', '500', '--vlan', '0', '--ipv6', '25', '--clients', '40',
                       '--servers', '40', '--proto', 'tcp=55,udp=25,icmp=10,arp=5,sctp=5')
        self.compare_filters(tcpdump, db, support.rounds(50, 1500))

    def compare_filters(self, tcpdump, db, rounds):
        make = FilterMaker(support.rng('filters'), sessions(db))
        some = 0
        for _ in range(rounds):
            f = make.filter()
            want = subprocess.run([tcpdump, '-n', '-r', self.files[0], '-w', '-', f], capture_output=True)
            if want.returncode and b'rejects all packets' in want.stderr:
                want = []
            elif want.returncode:
                self.fail('tcpdump does not understand %r: %s' % (f, want.stderr.decode()))
            else:
                want = parse_capture(want.stdout)
            got = self.carved(db, *f.split(), ok=0 if want else 1)
            if self.keys(got) != self.keys(want):
                self.fail('%r: tcpdump gives %d packets, flowcarve %d' % (f, len(want), len(got)))
            r = flowcarve('query', '-d', db, '--count', f, ok=(0, 1))  # as one word
            self.assertEqual(r.rc, 0 if want else 1)
            some += bool(want) and len(want) < 3000
        self.assertGreater(some, rounds // 4, 'the filters choose all or nothing')

    def test_one_capture_event_in_two_files(self):
        """The users' story: a session starts in file A and ends in file B."""
        truth = self.path('packets.tsv')
        files = self.fcgen('c.pcap', '--packets', '6000', '--sessions', '60', '--files', '2', '--truth-packets', truth)
        db = self.path('x.db')
        index(db, '-q', *files)
        rows = support.read_truth(truth)
        by_session, crossing = {}, 0
        for row in rows:
            by_session.setdefault(int(row['session']), []).append(row)
        data = {(n, r.off): r for n, f in enumerate(files, 1) for r in read_capture(f)}
        for sid, packets in by_session.items():
            crossing += len({p['file'] for p in packets}) == 2
            want = [data[int(p['file']), int(p['offset'])] for p in packets]
            self.assertEqual(self.keys(self.carved(db, '--id', str(sid))), self.keys(want), 'session %d' % sid)
        self.assertGreater(crossing, 5)

    def test_ids(self):
        db = self.made('--packets', '2000', '--sessions', '50')
        count = len(sessions(db))
        rows = {s['id']: s['client_packets'] + s['server_packets'] for s in sessions(db)}
        for ids in ((1,), (7, 3), (count, 1, 1, 2)):
            text = ','.join(map(str, ids))
            for words in (['--id', text], ['-i', text], ['--id=' + text], ['or'.join(' id %d ' % i for i in ids)]):
                self.assertEqual(len(self.carved(db, *words)), sum(rows[i] for i in set(ids)), words)
        tcp_ids = [s['id'] for s in sessions(db, 'tcp')]
        got = self.carved(db, '--id', ','.join(map(str, range(1, count + 1))), 'tcp')
        self.assertEqual(len(got), sum(rows[i] for i in tcp_ids))
        for bad in ('', 'x', '1,x', '3--3', '1;2', '1) or (id 2', '99999999999999999999'):
            r = flowcarve('carve', '-d', db, '--id', bad, '-w', self.path('o.pcap'), ok=2)
            self.assertTrue(r.err.strip(), bad)
        for none in str(count + 1), '-3':
            flowcarve('carve', '-d', db, '--id', none, '-w', self.path('o.pcap'), ok=1)
        self.assertNotIn('o.pcap', self.listing())

    def test_src_and_dst_are_client_and_server(self):
        db = self.made('--packets', '3000', '--sessions', '200')
        rows = sessions(db)
        r = support.rng('ends')
        for s in r.sample([s for s in rows if s['proto'] == 'tcp'], 10):
            for words, end in (('src host %s', 'client_addr'), ('dst host %s', 'server_addr'),
                               ('src port %s', 'client_port'), ('tcp dst port %s', 'server_port')):
                want = [q['id'] for q in rows if q[end] == s[end] and (
                    'port' not in words or q['proto'] in (('tcp',) if 'tcp' in words else ('tcp', 'udp', 'sctp')))]
                self.assertEqual([q['id'] for q in sessions(db, *(words % s[end]).split())], want, words % s[end])

    def test_time_filters(self):
        db = self.made('--packets', '3000', '--sessions', '200')
        rows = sessions(db)
        mid = sorted(s['start_ns'] for s in rows)[100]
        at = '@%d.%09d' % (mid // S, mid % S)
        self.assertEqual([s['id'] for s in sessions(db, 'after', at)], [s['id'] for s in rows if s['end_ns'] >= mid])
        self.assertEqual([s['id'] for s in sessions(db, 'before', at)], [s['id'] for s in rows if s['start_ns'] < mid])
        iso = rows[100]['start'].rstrip('Z')
        self.assertEqual(sessions(db, 'after', iso), [s for s in rows if s['end_ns'] >= rows[100]['start_ns']])

    def test_order_of_overlapping_captures(self):
        for options in ((), ('--backward', '10')):
            with self.subTest(options=options):
                self.setUp()
                db = self.made('--packets', '5000', '--files', '4', '--overlap', *options)
                self.assert_carves(db, self.files)

    # ---- formats

    def test_nanoseconds_are_kept(self):
        self.assert_carves(self.made('--packets', '2000', '--ns'), self.files)
        out = flowcarve('carve', '-d', self.db, '-w', '-').out
        self.assertEqual(out[:4], b'\x4d\x3c\xb2\xa1', 'not a nanosecond capture')

    def test_microseconds_stay_microseconds(self):
        self.assert_carves(self.made('--packets', '2000'), self.files)
        self.assertEqual(flowcarve('carve', '-d', self.db, '-w', '-').out[:4], b'\xd4\xc3\xb2\xa1')

    def test_micro_and_nanoseconds_together(self):
        a = self.fcgen('a.pcap', '--packets', '500')
        b = self.fcgen('b.pcap', '--packets', '500', '--ns', '--seed', '2')
        index(self.path('x.db'), '-q', *a, *b)
        self.assert_carves(self.path('x.db'), a + b)

    def test_link_types_together(self):
        e = self.fcgen('a.pcap', '--packets', '500', '--vlan', '0', '--proto', 'tcp=50,udp=50')
        raw = [(r.ts_ns + 500, r.data[14:], r.origlen - 14) for r in read_capture(e[0])]
        other = self.write('raw.pcap', support.pcap_bytes(raw, 101, magic=0xa1b23c4d))
        db = self.path('x.db')
        index(db, '-q', e[0], other)
        self.assert_carves(db, [e[0], other])
        out = flowcarve('carve', '-d', db, '-w', '-').out
        self.assertEqual(out[:4], b'\x0a\x0d\x0d\x0a')
        self.assertEqual(len(sessions(db)), len({s['id'] for s in sessions(db)}))
        self.assertEqual({s['client_packets'] % 2 for s in sessions(db)}, {0}, 'the same session in two link types')
        r = flowcarve('carve', '-d', db, '--format', 'pcap', '-w', self.path('o.pcap'), ok=2)
        self.assert_says(r, 'link type')
        self.assertNotIn('o.pcap', self.listing())

    def test_format_pcapng(self):
        db = self.made('--packets', '1000', '--ns')
        got = parse_capture(flowcarve('carve', '-d', db, '--format', 'pcapng', '-w', '-').out)
        self.assertEqual(self.keys(got), self.keys(read_capture(self.files[0])))

    def test_a_name_of_a_pcapng(self):
        db = self.made('--packets', '100')
        for name, magic in ('o.pcapng', b'\n\r\r\n'), ('o.PCAPNG', b'\n\r\r\n'), ('o.pcap', b'\xd4\xc3\xb2\xa1'), ('pcapng', b'\xd4\xc3\xb2\xa1'):
            flowcarve('carve', '-d', db, '-q', '-w', self.path(name))
            self.assertEqual(support.read_bytes(self.path(name))[:4], magic, name)
        flowcarve('carve', '-d', db, '-q', '-w', self.path('z.pcapng.gz'))
        self.assertEqual(gzip.decompress(support.read_bytes(self.path('z.pcapng.gz')))[:4], b'\n\r\r\n')
        flowcarve('carve', '-d', db, '-q', '-w', self.path('o.pcapng'), '--format', 'pcap')
        self.assertEqual(support.read_bytes(self.path('o.pcapng'))[:4], b'\xd4\xc3\xb2\xa1')

    def test_binary_fractions_of_a_second(self):
        """if_tsresol may be a power of two: 1/128 s and finer are no whole microseconds."""
        for bits in (0, 1, 6, 7, 8, 16, 19, 20, 30):
            with self.subTest(resolution='2^-%d' % bits):
                self.setUp()
                packets = [udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(i)) for i in range(50)]
                f = self.write('b.pcapng', support.shb() + support.idb(
                    options=support.option('<', 9, bytes([0x80 | bits]))) + b''.join(
                    support.epb('<', 0, T0 // S * 2**bits + k, d) for k, d in enumerate(packets)))
                index(self.path('x.db'), '-q', f)
                self.assert_carves(self.path('x.db'), [f])

    def test_records_without_time_and_without_bytes(self):
        spb = lambda d: support.block('<', 3, struct.pack('<I', len(d)) + d)
        data = udp('10.0.0.1', 1, '10.0.0.2', 2)
        f = self.write('n.pcapng', support.shb() + support.idb() + spb(data) + support.epb('<', 0, T0 // 1000, data) +
                       spb(data) + support.epb('<', 0, T0 // 1000, b'', 100))
        index(self.path('x.db'), '-q', f)
        support.check_index(self.path('x.db'), ordered_ids=False)
        self.assert_carves(self.path('x.db'), [f], ordered=False)
        support.verify(self.path('x.db'))

    def test_odd_lengths(self):
        """caplen above origlen, below it, zero, beyond the snaplen of the header."""
        d = udp('10.0.0.1', 1, '10.0.0.2', 2, b'abc')
        packets = [(T0, d, 10), (T0 + 1000, d, 60000), (T0 + 2000, b'', 77), (T0 + 3000, b'', 0),
                   (T0 + 4000, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(3000)))]
        f = self.write('o.pcap', support.pcap_bytes(packets, snaplen=96))
        index(self.path('x.db'), '-q', f)
        support.check_index(self.path('x.db'))
        self.assert_carves(self.path('x.db'), [f])

    def test_the_snaplen_is_that_of_the_captures_or_the_largest_there_is(self):
        """libpcap cuts what is longer than the file header says: of USB there are records of megabytes."""
        long = bytes(300000)
        for link, snaplen, want in ((1, 96, 96), (1, 0, 262144), (1, 0xffffffff, 262144), (249, 65535, 65535),
                                    (249, 0, 128 << 20), (249, 128 << 20, 128 << 20)):
            with self.subTest(link=link, snaplen=snaplen):
                self.setUp()
                f = self.write('c.pcap', support.pcap_bytes([(T0, long if link == 249 else b'', 300000)], link, snaplen=snaplen))
                index(self.path('x.db'), '-q', f)
                out = flowcarve('carve', '-d', self.path('x.db'), '-w', '-').out
                self.assertEqual(struct.unpack_from('=I', out, 16), (want,))
                self.assert_carves(self.path('x.db'), [f])
                if link == 1:  # the largest of several, in any order
                    for i, other in enumerate((96, 0, 96)):
                        index(self.path('x.db'), '-q', self.write('%d.pcap' % i, support.pcap_bytes(
                            [(T0 + i + 1, bytes(60))], snaplen=other)))
                        out = flowcarve('carve', '-d', self.path('x.db'), '-w', '-').out
                        self.assertEqual(struct.unpack_from('=I', out, 16), (262144 if i else want,))

    def test_times_far_away(self):
        d = udp('10.0.0.1', 1, '10.0.0.2', 2)
        for name, times in (('zero', (0, 0, 0)), ('32 bit', (0, 4294967295 * S, 4294967295 * S + 999999000))):
            with self.subTest(name):
                self.setUp()
                f = self.write('t.pcap', support.pcap_bytes([(t, d) for t in times]))
                index(self.path('x.db'), '-q', f)
                support.check_index(self.path('x.db'))
                self.assert_carves(self.path('x.db'), [f])

    def test_times_before_1970(self):
        """Times of pcapng are unsigned: these need an offset of the interface."""
        d = [udp('10.0.0.%d' % i, 1, '10.0.0.9', 2) for i in range(4)]
        far = support.idb(options=support.option('<', 14, struct.pack('<q', -10**9)))
        f = self.write('t.pcapng', support.shb() + far + b''.join(
            support.epb('<', 0, t, x) for t, x in zip((1, 1500000, 10**15 - 1, 10**15 + 1), d)))
        index(self.path('x.db'), '-q', f)
        self.assert_carves(self.path('x.db'), [f])
        g = self.write('a-later-one.pcap', support.pcap_bytes([(T0, d[0])]))
        index(self.path('x.db'), '-q', g)
        self.assert_carves(self.path('x.db'), [f, g])

    def test_other_programs_read_the_output(self):
        e = self.fcgen('a.pcap', '--packets', '500', '--vlan', '0', '--proto', 'tcp=50,udp=50')
        raw = self.write('raw.pcap', support.pcap_bytes([(r.ts_ns, r.data[14:]) for r in read_capture(e[0])], 101))
        db = self.path('x.db')
        index(db, '-q', e[0], raw)
        for name in ('capinfos', 'tshark'):
            program = support.tool(name)
            for words, count in ((['--format', 'pcapng'], 1000), (['ip'], None), (['id', '1'], None)):
                out = self.path('o.cap')
                flowcarve('carve', '-d', db, '-q', '-w', out, *words)
                count = count or len(read_capture(out))
                if name == 'capinfos':
                    r = support.run(program, '-c', '-M', '-T', '-r', out)
                    self.assertEqual(int(r.text.split('\t')[1]), count)
                else:
                    r = support.run(program, '-n', '-r', out, '-T', 'fields', '-e', 'frame.number')
                    self.assertEqual(len(r.text.split()), count)

    def test_a_carve_can_be_indexed_and_carved_again(self):
        db = self.made('--packets', '3000', '--sessions', '100')
        out = self.path('half.pcap')
        flowcarve('carve', '-d', db, 'tcp', '-w', out)
        index(self.path('y.db'), '-q', out)
        drop = lambda s: {k: v for k, v in s.items() if k != 'id'}
        self.assertEqual([drop(s) for s in sessions(self.path('y.db'))], [drop(s) for s in sessions(db, 'tcp')])

    # ---- outputs

    def test_nothing_matches(self):
        db = self.made('--packets', '100')
        r = flowcarve('carve', '-d', db, 'host', '203.0.113.77', '-w', self.path('o.pcap'), ok=1)
        self.assertNotIn('o.pcap', self.listing())
        self.assertEqual(flowcarve('carve', '-d', db, 'host', '203.0.113.77', '-w', '-', ok=1).out, b'')

    def test_closed_pipe(self):
        db = self.made('--packets', '20000')
        for command in (['carve', '-w', '-'], ['query', '--format', 'json'], ['query']):
            p = subprocess.Popen([support.FLOWCARVE, command[0], '-d', db, *command[1:]], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=support.environment())
            p.stdout.read(10)
            p.stdout.close()
            err = p.stderr.read()
            p.stderr.close()
            support.judge(support.Result(command, p.wait(60), b'', err), 0)
            self.assertEqual(err, b'', 'a closed pipe is nothing to talk about')

    def test_the_old_output_stays_until_the_new_one_is_complete(self):
        db = self.made('--packets', '1000')
        out = self.write('o.pcap', b'precious')
        os.chmod(out, 0o640)
        flowcarve('carve', '-d', db, 'host', '203.0.113.77', '-w', out, ok=1)
        self.assertEqual(support.read_bytes(out), b'precious')
        os.rename(self.files[0], self.path('away'))
        flowcarve('carve', '-d', db, '-w', out, ok=2)
        self.assertEqual(support.read_bytes(out), b'precious')
        os.rename(self.path('away'), self.files[0])
        flowcarve('carve', '-d', db, '-w', out)
        self.assertEqual(len(read_capture(out)), 1000)
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o640)

    def test_output_through_a_link(self):
        db = self.made('--packets', '1000')
        out, link = self.write('o.pcap', b''), self.path('link.pcap')
        os.symlink('o.pcap', link)
        flowcarve('carve', '-d', db, '-w', link)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(len(read_capture(out)), 1000)

    def test_output_larger_than_the_limit_leaves_no_trace(self):
        db = self.made('--packets', '1000')
        before = self.listing()
        r = support.run('sh', '-c', 'ulimit -f 8; exec "$0" carve -d "$1" -w "$2"', support.FLOWCARVE, db,
                        self.path('o.pcap'), ok=2)
        self.assert_says(r, 'o.pcap')
        self.assertEqual(self.listing(), before)

    def test_output_onto_an_indexed_capture(self):
        """`carve -w` with the name of a capture of the index, or of the index itself, must not destroy it."""
        for out in ('c.pcap', 'x.db', 'link.pcap', 'hard.pcap'):
            with self.subTest(out=out):
                self.setUp()
                db = self.made('--packets', '1000')
                before = {f: support.read_bytes(f) for f in (self.files[0], db)}
                os.symlink('c.pcap', self.path('link.pcap'))
                os.link(self.files[0], self.path('hard.pcap'))
                flowcarve('carve', '-d', db, 'tcp', '-w', self.path(out), ok=(0, 2))
                for f, data in before.items():
                    self.assertTrue(support.read_bytes(f) == data, os.path.basename(f) + ' was destroyed by the carve')

    def test_output_that_cannot_be_made(self):
        db = self.made('--packets', '1000')
        for out in (self.path('no', 'such', 'o.pcap'), self.folder, '/dev/full', ''):
            before = self.listing()
            r = flowcarve('carve', '-d', db, '-w', out, ok=2)
            self.assertTrue(r.err.startswith('flowcarve: '), r)
            self.assertEqual(self.listing(), before)
        flowcarve('carve', '-d', db, ok=2)  # no -w at all

    def test_output_to_a_fifo_and_a_device(self):
        db = self.made('--packets', '1000')
        os.mkfifo(self.path('fifo'))
        with open(self.path('copy'), 'wb') as copy:
            reader = subprocess.Popen(['cat', self.path('fifo')], stdout=copy)
        flowcarve('carve', '-d', db, '-w', self.path('fifo'))
        self.assertEqual(reader.wait(60), 0)
        self.assertEqual(len(read_capture(self.path('copy'))), 1000)
        flowcarve('carve', '-d', db, '-w', '/dev/null')
        self.assertTrue(os.path.exists('/dev/null') and not os.path.isfile('/dev/null'))

    def test_interrupted_while_nobody_reads(self):
        db = self.made('--packets', '20000')
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([support.FLOWCARVE, 'carve', '-d', db, '-w', '-'], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=support.environment()) as p:
                p.stdout.read(10)  # it is writing now, and will wait for us to read on
                p.send_signal(number)
                try:
                    p.wait(10)
                except subprocess.TimeoutExpired:
                    p.kill()
                    self.fail('does not end on signal %d while its output waits' % number)
                self.assertEqual(p.returncode, -number)
                self.assertIn(b'interrupted', p.stderr.read().lower())

    def test_asked_twice_at_once_to_end(self):
        """timeout(1) sends its signal to the process and to its group; a terminal that goes away sends a hangup."""
        db = self.made('--packets', '20000')
        before = self.listing()
        for i, number in enumerate([signal.SIGTERM, signal.SIGINT, signal.SIGHUP] * support.rounds(8, 50)):
            with subprocess.Popen([support.FLOWCARVE, 'index', '-d', self.path('y.db'), '--spool', self.path('s.pcap'), '-'],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment()) as p:
                while not support.has_unnamed(p.pid):
                    time.sleep(.001)
                p.send_signal(number)
                time.sleep(i % 4 * .0001)  # so that it often comes apart from the first, but before the end
                p.send_signal(number)
                self.assertEqual(p.wait(10), -number)
                self.assertIn(b'interrupted', p.stderr.read().lower())
            self.assertEqual(self.listing(), before)

    def test_a_loop_of_a_shell_ends_with_what_was_stopped(self):
        """The shell sees 128 and the signal's number, and bash gives up the loop of which a command died of SIGINT."""
        db = self.made('--packets', '20000')
        os.mkfifo(self.path('fifo'))
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen(['sh', '-c', '"$@"; echo $?', 'sh', support.FLOWCARVE, 'carve', '-q', '-d', db, '-w', self.path('fifo')],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=support.environment()) as p:
                with open(self.path('fifo'), 'rb') as fifo:
                    fifo.read(10)
                    child, = support.read_bytes('/proc/%d/task/%d/children' % (p.pid, p.pid)).split()
                    os.kill(int(child), number)
                    self.assertEqual(p.stdout.read(), b'%d\n' % (128 + number))

    def test_closed_streams_are_no_place_for_files(self):
        """What is opened must not get the number of a standard stream that is closed, and be read or written in its place."""
        db = self.made('--packets', '2000')
        sh = lambda words, ok: support.run('sh', '-c', words, support.FLOWCARVE, db, self.folder, ok=ok)
        r = sh('cd "$2" && exec "$0" index -d y.db --spool s.pcap - <&-', 2)
        self.assert_says(r, 'cannot read', 'standard input')
        self.assertFalse(os.path.exists(self.path('y.db')))
        sh('cd "$2" && exec "$0" carve -v -d "$1" -w o.pcap 2>&-', 0)
        self.assertEqual(len(support.read_capture(self.path('o.pcap'))), 2000)
        sh('cd "$2" && exec "$0" query -d "$1" >&-', 2)
        sh('cd "$2" && exec "$0" carve -q -d "$1" -w - >&-', 2)
        support.verify(db)

    def test_signals_that_are_ignored_stay_so(self):
        db = self.made('--packets', '20000')
        with subprocess.Popen([support.FLOWCARVE, 'carve', '-d', db, '-w', '-'], stdout=subprocess.PIPE,
                              env=support.environment(), restore_signals=False,
                              preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as p:
            out = p.stdout.read(10)
            p.send_signal(signal.SIGHUP)
            out += p.stdout.read()
            self.assertEqual(p.wait(10), 0)
            self.assertEqual(len(support.parse_capture(out)), 20000)

    # ---- captures that are not what they were

    def refused(self, words, *says):
        before = self.listing()
        out = self.path('o.pcap')
        r = flowcarve('carve', '-d', self.db, '-w', out, *words, ok=2)
        self.assert_says(r, *says)
        self.assertEqual(self.listing(), before, 'something was left')
        self.assertEqual(flowcarve('carve', '-d', self.db, '-w', '-', *words, ok=2).rc, 2)

    def partial(self, keep):
        """--partial carves the records of the files `keep`, and none that was in no capture when it was indexed."""
        out = self.path('p.pcap')
        r = flowcarve('carve', '-d', self.db, '--partial', '-w', out)
        got = support.multiset(read_capture(out))
        for f in keep:
            self.assertFalse(self.originals[f] - got, 'a record of an unchanged capture is missing')
        self.assertFalse(got - sum(self.originals.values(), collections.Counter()), 'a record of none of the captures')
        self.assert_says(r, 'left out')
        os.remove(out)

    def test_missing_capture(self):
        self.made('--packets', '3000', '--files', '3')
        os.rename(self.files[1], self.path('away'))
        self.refused([], os.path.basename(self.files[1]))
        self.partial([self.files[0], self.files[2]])
        os.rename(self.path('away'), self.files[1])
        self.assert_carves(self.db, self.files)

    def test_missing_capture_does_not_matter_where_it_is_not_needed(self):
        a = self.fcgen('a.pcap', '--packets', '500')
        b = self.fcgen('b.pcap', '--packets', '500', '--start', '1800000000')
        index(self.path('x.db'), '-q', *a, *b)
        os.remove(b[0])
        got = self.carved(self.path('x.db'), 'before', '@1750000000')
        self.assertEqual(len(got), 500)

    def test_unreadable_capture_is_a_folder_now(self):
        self.made('--packets', '3000', '--files', '3')
        os.remove(self.files[2])
        os.mkdir(self.files[2])
        self.refused([], os.path.basename(self.files[2]))
        self.partial(self.files[:2])

    def test_changed_addresses(self):
        """A record that belongs to somebody else now: an error, never a wrong packet."""
        r = support.rng('changed')
        self.made('--packets', '3000', '--files', '3', '--vlan', '0', '--proto', 'tcp=50,udp=50', '--ipv6', '0')
        data = support.read_bytes(self.files[1])
        records = read_capture(self.files[1])
        for _ in range(support.rounds(12, 200)):
            rec = r.choice(records)
            d = bytearray(data)
            d[rec.off + 16 + r.choice(list(range(26, 38)) + [23])] ^= 1 << r.randrange(8)
            support.write(self.files[1], d)
            self.refused([], os.path.basename(self.files[1]))
            self.partial([self.files[0], self.files[2]])
            v = support.verify(self.db, ok=2)
            self.assert_says(v, os.path.basename(self.files[1]))

    def test_changed_framing(self):
        r = support.rng('framing')
        self.made('--packets', '3000', '--files', '3')
        data = support.read_bytes(self.files[1])
        records = read_capture(self.files[1])
        changes = [('cut', data[:len(data) // 2]), ('cut by one', data[:-1]), ('empty', b''), ('text', b'hello' * 999),
                   ('shifted', data[:24] + b'\0' + data[24:]), ('other format', support.pcapng_bytes(
                       support.as_packets(records))), ('swapped', support.pcap_bytes(support.as_packets(records), e='>')),
                   ('noise', r.randbytes(len(data)))]
        for what, d in changes:
            with self.subTest(what):
                support.write(self.files[1], d)
                self.refused([], os.path.basename(self.files[1]))
                self.partial([self.files[0], self.files[2]])
                support.verify(self.db, ok=2)

    def test_longer_capture_is_read_as_far_as_it_was_indexed(self):
        self.made('--packets', '1000')
        with open(self.files[0], 'ab') as f:
            f.write(support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))])[24:])
        support.verify(self.db)
        self.assertEqual(len(self.carved(self.db)), 1000)


if __name__ == '__main__':
    support.main()
