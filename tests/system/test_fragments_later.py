# SPDX-License-Identifier: MIT
"""Fragments whose first one comes in a capture that is added later: the index becomes what it would be all at once."""
import os, struct

import support
from support import S, T0, eth, index, ipv4, select, sessions, udp, udp_datagram, udp_fragments

A, B, C = '10.0.0.1', '10.0.0.2', '10.0.0.3'


def ipv6_fragments(src, sport, dst, dport, ident, sizes=(64, 64, 20)):
    whole, out, at = udp_datagram(sport, dport, bytes(sum(sizes) - 8)), [], 0
    for i, n in enumerate(sizes):
        head = struct.pack('>BBHI', 17, 0, at | (i + 1 < len(sizes)), ident)
        out.append(eth(struct.pack('>IHBB', 6 << 28, 8 + n, 44, 64) + src + dst + head + whole[at:at + n], 0x86dd))
        at += n
    return out


def gre(inner, ident=1, frag=0, more=False, src='192.0.2.1', dst='192.0.2.9'):
    """An Ethernet frame with IPv4 in it, as GRE."""
    return eth(ipv4(src, dst, 47, struct.pack('>HH', 0, 0x800) + inner[14:], ident, frag, more))


def vxlan(inner, vni=7):
    return udp('192.0.2.1', 50000, '192.0.2.9', 4789, struct.pack('>II', 0x08000000, vni << 8) + inner)


def cut(frame, ident, size):
    """The same datagram in fragments: its IPv4 payload in pieces of `size` bytes."""
    head, payload = frame[:34], frame[34:]
    src, dst = ('.'.join(map(str, head[i:i + 4])) for i in (26, 30))
    return [eth(ipv4(src, dst, head[23], payload[i:i + size], ident, i, i + size < len(payload)))
            for i in range(0, len(payload), size)]


def content(db):
    """All that an index says of its sessions, without their IDs; the captures go by their names."""
    names = {f: os.path.basename(p) for f, p in support.index_files(db).items()}
    with support.open_db(db) as c:
        rows = c.execute('SELECT s.id, s.*, f.* FROM session s LEFT JOIN session_fields f ON f.id = s.id').fetchall()
        ids = [i for i, d in enumerate(c.execute('SELECT s.id, s.*, f.* FROM session s LEFT JOIN session_fields f'
                                                 ' ON f.id = s.id').description) if d[0] in ('id', 'positions', 'flags')]
    everything = support.all_positions(db)
    return sorted((sorted((names[f], off) for f, off in everything[r[0]]),
                   [v for i, v in enumerate(r) if i not in ids]) for r in rows)


class Later(support.TestCase):
    def files_of(self, parts):
        return [self.write('%d.pcap' % i, support.pcap_bytes(p)) for i, p in enumerate(parts)]

    def stepwise(self, parts, *options, count=None, same_ids=False):
        """parts: packets of one capture each. Added one by one, they make the index that they make at once."""
        files, once, db = self.files_of(parts), self.path('once.db'), self.path('x.db')
        for path in (once, db):
            if os.path.exists(path):
                os.remove(path)
        index(once, '-q', *options, *files)
        support.check_index(once)
        given = {}  # packet -> the session that had it
        for f in files:
            index(db, '-q', *options, f)
            support.check_index(db, ordered_ids=False, gaps=True)
            given = self.check_ids(db, given)
        support.verify(db)
        again = self.path('again.db')
        if os.path.exists(again):
            os.remove(again)
        for f in files:
            index(again, '-q', *options, '-j', '1' if '-j' not in options else '2', f)
        self.assert_same_dump(support.dump(db), support.dump(again), 'threads')
        want, got = content(once), content(db)
        self.assertFalse([(s, s in want) for s in got + want if (s in want) != (s in got)],
                         'sessions, and whether they come up at once')
        self.assert_carves(db, files)
        if count is not None:
            self.assertEqual(len(got), count)
        if same_ids:
            private = ('open_batch', 'open_session', 'open_fragment', 'session_positions', 'run')
            self.assert_same_dump(*(support.dump(p, private) for p in (once, db)))
        return db

    def check_ids(self, db, before):
        """A packet keeps its session, unless that was provisional."""
        now = {p: i for i, all_of_it in support.all_positions(db).items() for p in all_of_it}
        for p, i in before.items():
            if i > 0:
                self.assertEqual(now[p], i, 'the record at %r went to another session' % (p,))
        return now

    def test_an_older_capture_behind_one_whose_fragments_wait(self):
        """What waits of a later time keeps nobody waiting: an orphan is given up 60 s after its own place all the same."""
        def piece(src, ident, at, more=True):
            return eth(ipv4(src, B, 99, bytes(16), ident, at, more))

        a = self.write('a.pcap', support.pcap_bytes([(T0 + 10000 * S, piece(C, 1, 16))]))
        b = self.write('b.pcap', support.pcap_bytes([
            (T0, piece(A, 1, 16)), (T0 + 2000 * S, piece(A, 2, 16, False)),
            (T0 + 2001 * S, piece(A, 2, 0))]))
        db = self.path('a.db')
        for f in a, b:
            index(db, '-q', f)
        support.verify(db)
        got = sessions(db, 'host ' + A)
        self.assertEqual(sorted(s['client_packets'] for s in got), [1, 2])
        self.assertTrue(all(s['id'] > 0 for s in got), 'an orphan still waits')
        self.assertEqual(len(sessions(db)), 3)

    def test_an_orphan_that_is_given_up_at_the_end(self):
        """It has its place 60 s behind its own, however far the flows had come by then: in front of the packet 90 s behind it."""
        packets = [(T0 + i, udp(C, 1000 + i, B, 53, b'x' * 20)) for i in range(20000)]
        packets += [(T0 + S, eth(ipv4(A, B, 99, bytes(16), 7, 16))), (T0 + 91 * S, eth(ipv4(B, A, 99, bytes(16))))]
        f, dumps = self.write('o.pcap', support.pcap_bytes(packets, magic=0xa1b23c4d)), []
        for memory in '512M', '16M':
            db = self.path(memory + '.db')
            index(db, '-q', '--memory', memory, '--chunk-size', '64k', f)
            got = sessions(db, 'proto 99')
            self.assertEqual([(s['client_addr'], s['client_packets'], s['server_packets']) for s in got], [(A, 1, 1)], memory)
            dumps.append(support.dump(db))
        self.assert_same_dump(*dumps)

    def test_plain(self):
        f = udp_fragments(A, 4000, B, 53, 77)
        self.stepwise([[(T0, f[2])], [(T0 + 1, f[0]), (T0 + 2, f[1])]], count=1, same_ids=True)
        self.stepwise([[(T0, f[2]), (T0 + 1, f[1])], [(T0 + S, f[0])]], '--fields', 'all', count=1, same_ids=True)

    def test_reversed_over_three_files(self):
        f = udp_fragments(A, 4000, B, 53, 77)
        self.stepwise([[(T0, f[2])], [(T0 + S, f[1])], [(T0 + 2 * S, f[0])]], '--fields', 'all', count=1, same_ids=True)

    def test_ipv6(self):
        a, b = (bytes.fromhex('20010db8' + '0' * 22 + x) for x in ('01', '02'))
        f = ipv6_fragments(b, 4000, a, 53, 0xabcdef)  # sent by the higher address
        self.stepwise([[(T0, f[2])], [(T0 + 1, f[1])], [(T0 + 2, f[0])]], '--fields', 'all', count=1, same_ids=True)

    def test_the_same_address_at_both_ends(self):
        """The key with ports has the ends the other way round than the one without."""
        for sport, dport in ((4000, 53), (53, 4000)):
            f = udp_fragments(A, sport, A, dport, 77)
            self.stepwise([[(T0, f[2])], [(T0 + 1, f[0])], [(T0 + 2, f[1])]], '--fields', 'all', count=1, same_ids=True)

    def test_inside_a_tunnel(self):
        inner = udp_fragments(A, 4000, B, 53, 77)
        for wrap in (gre, vxlan):
            f = [wrap(i) for i in inner]
            with self.subTest(wrap=wrap.__name__):
                for options in ((), ('--key', 'tunnel'), ('--fields', 'all')):
                    self.stepwise([[(T0, f[2])], [(T0 + 1, f[1])], [(T0 + 2, f[0])]], *options, count=1, same_ids=True)

    def test_fragments_of_the_tunnel_and_inside_of_it(self):
        """The tunnel's datagrams are fragments too: pieces of an inner fragment follow the inner first fragment."""
        inner = udp_fragments(A, 4000, B, 53, 77, (512, 512, 256))
        for wrap in (gre, vxlan):
            pieces = [cut(wrap(f), 100 + i, 256) for i, f in enumerate(inner)]
            late, early = pieces[1] + pieces[2], pieces[0]
            with self.subTest(wrap=wrap.__name__):
                self.stepwise([[(T0, p)] for p in late[1:] + late[:1] + early], '--fields', 'all', count=1)
                self.stepwise([[(T0, p)] for p in reversed(late + early)], '--fields', 'all', count=1)
                self.stepwise([[(T0, late[0])], [(T0 + i, p) for i, p in enumerate(late[1:] + early)]], count=1)

    def test_overlapping_and_repeated(self):
        f = udp_fragments(A, 4000, B, 53, 77)
        over = eth(ipv4(A, B, 17, bytes(100), 77, 56, True))
        self.stepwise([[(T0, f[2]), (T0 + 1, f[2]), (T0 + 2, over)], [(T0 + 3, f[2]), (T0 + 4, f[1])],
                       [(T0 + 5, f[0]), (T0 + 6, f[0]), (T0 + 7, over)]], '--fields', 'all', count=1, same_ids=True)

    def test_the_first_one_never_comes(self):
        f, g = udp_fragments(A, 4000, B, 53, 77), udp_fragments(A, 4000, B, 53, 78)
        other = udp(A, 4000, B, 53)
        db = self.stepwise([[(T0, f[2])], [(T0 + S, other)], [(T0 + 2 * S, g[1])], [(T0 + 3 * S, other)]], count=3,
                           same_ids=True)
        self.assertEqual([(s['id'], s['client_port']) for s in sessions(db)], [(-2, 0), (-1, 0), (1, 4000)])
        db = self.stepwise([[(T0, f[2])], [(T0 + S, other)], [(T0 + 60 * S, g[1])], [(T0 + 61 * S, other)]], count=3,
                           same_ids=True)
        self.assertEqual([(s['id'], s['client_port']) for s in sessions(db)], [(-1, 0), (1, 4000), (2, 0)])

    def test_one_of_two_datagrams_is_completed(self):
        """Each is a provisional session, until its first one comes."""
        f, g = udp_fragments(A, 4000, B, 53, 77), udp_fragments(A, 5000, B, 53, 78)
        self.stepwise([[(T0, f[2]), (T0 + 1, g[2])], [(T0 + 2, g[0])]], '--fields', 'all', count=2, same_ids=True)
        db = self.stepwise([[(T0, f[2]), (T0 + 1, g[2])], [(T0 + 2, f[0])]], '--fields', 'all', count=2)
        self.assertEqual([(s['id'], s['client_port']) for s in sessions(db)], [(-1, 0), (1, 4000)])
        db = self.stepwise([[(T0, f[2]), (T0 + 1, g[2])], [(T0 + 2, f[0])], [(T0 + 3, g[0])]], '--fields', 'all', count=2)
        self.assertEqual([(s['id'], s['client_port']) for s in sessions(db)], [(1, 4000), (2, 5000)])

    def test_among_packets_that_stay(self):
        """Fragments that were given up, and real packets with port 0, make up the rest of the session."""
        f, g = udp_fragments(A, 4000, B, 53, 77), udp_fragments(A, 5000, B, 53, 78)
        zero = udp(A, 0, B, 0, b'x' * 9)
        for front, behind, count in (([(T0, zero)], [], 2), ([], [(T0 + 63 * S, zero)], 2), ([(T0, g[1])], [], 2),
                                     ([(T0, g[1])], [(T0 + 63 * S, g[1])], 3)):
            self.stepwise([front + [(T0 + 62 * S, f[2])] + behind, [(T0 + 64 * S, f[0])], [(T0 + 65 * S, f[1])]],
                          '--fields', 'all', count=count)

    def test_older_than_a_minute(self):
        """Limit: who comes more than 60 s later belongs to another datagram of that number."""
        f = udp_fragments(A, 4000, B, 53, 77)
        for gap, count in ((60, 1), (61, 2)):
            self.stepwise([[(T0, f[2])], [(T0 + gap * S, f[0])]], count=count)

    def test_inside_of_a_run(self):
        """A fragment that waited comes behind its first one, and so do its fields."""
        def ttl(frame, n):
            return frame[:22] + bytes([n]) + frame[23:]
        f = [ttl(p, 7) for p in udp_fragments(B, 53, A, 4000, 77)]
        there, back = udp(A, 4000, B, 53), ttl(udp(B, 53, A, 4000), 9)
        db = self.stepwise([[(T0 + 50 * S, udp(B, 0, A, 0)), (T0 + 50 * S, f[2])],
                            [(T0, there), (T0 + 60 * S, back), (T0 + 61 * S, f[0])]], '--fields', 'all', count=2)
        self.assertEqual(select(db, 'SELECT server_ttl FROM session_fields WHERE id = 2'), [(9,)])

    def test_a_provisional_session_goes(self):
        """The fragments go to a session that was there before; nothing is left of their own."""
        f, other = udp_fragments(A, 4000, B, 53, 77), udp(A, 1, C, 2)
        parts = [[(T0, udp(A, 4000, B, 53)), (T0 + 1, f[2])], [(T0 + 2, f[0])], [(T0 + 3, other)]]
        db = self.stepwise(parts, '--fields', 'all', count=2, same_ids=True)
        self.assertEqual([s['id'] for s in sessions(db)], [1, 2])
        support.flowcarve('carve', '-d', db, '--id', '3', '-w', self.path('o.pcap'), ok=1)
        # the ports of a block are those of its sessions, whatever the others were
        self.assertEqual(sessions(db, 'port 0'), [])

    def test_a_provisional_session_is_seen(self):
        """By query, carve and verify."""
        f = udp_fragments(A, 4000, B, 53, 77)
        a, = self.files_of([[(T0, udp(A, 1, C, 2)), (T0 + 1, f[1]), (T0 + 2, f[2])]])
        db = self.path('x.db')
        self.assert_says(index(db, a), '1 session provisional')
        for words in ('host 10.0.0.1 and port 0', 'port 0', 'udp', 'after @%d' % (T0 // S - 1), 'id -1', 'id -1 or id 1'):
            self.assertIn((-1, 2), [(s['id'], s['client_packets']) for s in sessions(db, words)], words)
        out = self.path('o.pcap')
        support.flowcarve('carve', '-d', db, '--id', '-1', '-w', out)
        self.assertEqual([r.data for r in support.read_capture(out)], f[1:])
        support.verify(db)

    def test_optional_fields_of_sessions_that_were_there(self):
        """The first packet that has a field counts; a fragment that has waited comes behind its first one."""
        def ttl(frame, n):
            return frame[:22] + bytes([n]) + frame[23:]
        f = [ttl(p, 9) for p in udp_fragments(A, 4000, B, 53, 77)]
        here, zero = ttl(udp(A, 4000, B, 53, b'x' * 7), 5), ttl(udp(A, 0, B, 0, b'x' * 8), 7)
        db = self.stepwise([[(T0, f[2]), (T0 + 1 * S, here)], [(T0 + 2 * S, f[0])]], '--fields', 'all', count=1)
        self.assertEqual(select(db, 'SELECT client_ttl FROM session_fields'), [(5,)])
        for options in ('--fields', 'all'), ('--fields', 'ttl,payload,community-id'):
            self.stepwise([[(T0, zero)], [(T0 + 1 * S, f[2])], [(T0 + 2 * S, zero)], [(T0 + 3 * S, f[0])]], *options, count=2)
            self.stepwise([[(T0, gre(zero))], [(T0 + 1 * S, vxlan(f[2]))], [(T0 + 2 * S, vxlan(f[0]))]], *options, count=2)

    def test_damaged_notes(self):
        """What the index remembers may be anything: a run that adds works, or fails and changes nothing."""
        f, g = udp_fragments(A, 4000, B, 53, 77), gre(udp_fragments(A, 5000, B, 53, 78)[1])
        files = self.files_of([[(T0, udp(A, 0, B, 0)), (T0, f[2]), (T0 + 1, f[1]), (T0 + 2, g)], [(T0 + 3, f[0])]])
        good, db = self.path('good.db'), self.path('x.db')
        index(good, '-q', '--fields', 'all', files[0])
        data, notes = support.read_bytes(good), select(good, 'SELECT seq, state FROM open_fragment')
        self.assertEqual(len(notes), 3)
        r = support.rng('notes')
        for _ in range(support.rounds(30, 3000)):
            seq, state = r.choice(notes)
            state = bytearray(state)
            for _ in range(r.choice((1, 1, 4))):
                state[r.randrange(len(state))] = r.choice((0, 1, 2, 127, 255, r.randrange(256)))
            state = state[:r.choice((len(state), len(state), r.randrange(len(state)))) or None]
            support.write(db, data)
            with support.open_db(db, write=True) as c:
                c.execute('UPDATE open_fragment SET state = ? WHERE seq = ?', (bytes(state), seq))
            before = support.read_bytes(db)
            if index(db, '-q', files[1], ok=(0, 2)).rc == 2:
                self.assertEqual(support.read_bytes(db), before)
            self.assertEqual(select(db, 'PRAGMA integrity_check'), [('ok',)])

    def test_loose_fragments_take_little_more_than_their_capture(self):
        """Of each a session and a note are kept, also where nobody ever sends the first one."""
        for n, src in ((20000, lambda i: '10.%d.%d.%d' % (i >> 16, i >> 8 & 255, i & 255)), (20000, lambda i: A)):
            f, = self.files_of([[(T0 + i * 1000, eth(ipv4(src(i), B, 17, bytes(8), i & 0xffff, 8))) for i in range(n)]])
            index(self.path('x.db'), '-q', f)
            self.assertEqual(select(self.path('x.db'), 'SELECT count(*) FROM session'), [(n,)])
            self.assertLess(os.path.getsize(self.path('x.db')), 2.8 * os.path.getsize(f))
            os.remove(self.path('x.db'))

    def test_notes_do_not_go_by_memory(self):
        """What is remembered of a session without its loose fragments, whether it left the table whole or in pieces."""
        crowd = [(T0 + 30 * S, udp('10.1.%d.%d' % (i >> 8 & 255, i & 255), 1 + (i >> 16), C, 2)) for i in range(1 << 17)]
        files = self.files_of([[(T0, udp(A, 0, B, 0)), (T0 + 30 * S, udp(A, 0, B, 0))] + crowd,
                               [(T0 + 10 * S, udp(A, 0, B, 0)), (T0 + 40 * S, udp_fragments(A, 4000, B, 53, 77)[2])]])
        notes = []
        for name, memory in ('much.db', '512M'), ('little.db', '16M'):
            index(self.path(name), '-q', '-j', '1', '--memory', memory, *files)
            notes.append(select(self.path(name), 'SELECT state FROM open_fragment'))
        self.assertEqual(notes[0], notes[1])

    def test_any_traffic_cut_anywhere(self):
        for i in range(support.rounds(6, 400)):
            r = support.rng('fragments', i)
            packets, tunnel = [], r.choice((gre, vxlan))
            for ident in range(r.randrange(2, 9)):
                src, dst = r.sample((A, B, C), 2)
                sizes = [r.choice((64, 128, 256)) for _ in range(r.randrange(2, 5))]
                f = udp_fragments(src, r.choice((4000, 5000)), dst, 53, ident, sizes)
                wrap = r.choice((None, tunnel))
                if wrap:
                    f = [wrap(p) for p in f]
                    if r.random() < .4:
                        f = [piece for n, p in enumerate(f) for piece in cut(p, 1000 + 10 * ident + n, 128)]
                if r.random() < .2:
                    f.pop(0)
                packets += f + r.choices(f, k=r.randrange(3))
            packets += [udp(A, r.choice((0, 4000)), B, r.choice((0, 53))) for _ in range(r.randrange(4))]
            if r.random() < .5:
                r.shuffle(packets)
            else:
                packets.reverse()
            at, timed = T0, []
            for p in packets:
                at += r.choice((0, 1, 1000, S))
                timed.append((at, p))
            cuts = sorted(r.sample(range(1, len(timed)), min(len(timed) - 1, r.randrange(1, 6))))
            parts = [timed[a:b] for a, b in zip([0] + cuts, cuts + [len(timed)])]
            with self.subTest(i=i):
                self.stepwise(parts, *r.choice(((), ('--fields', 'all'), ('--key', 'tunnel'), ('--outer',))),
                              '--chunk-size', str(r.choice((65536, 1 << 20))), '-j', str(r.choice((1, 3))))


if __name__ == '__main__':
    support.main()
