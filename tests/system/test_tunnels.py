# SPDX-License-Identifier: MIT
"""Tunnels and fragments: keys, directions and stacks are right, and the same for any number of threads and chunks."""
import collections, os, struct

import support
from support import S, T0, dump, eth, flowcarve, index, ip4, ipv4, sessions, udp_datagram

MS = 10**6


def vxlan(packet, vni=42):
    return 17, udp_datagram(50000, 4789, struct.pack('>II', 0x08000000, vni << 8) + eth(packet))


def geneve(packet):
    return 17, udp_datagram(50001, 6081, struct.pack('>HHI', 0, 0x6558, 7 << 8) + eth(packet))


def gtpu(packet):
    return 17, udp_datagram(2152, 2152, struct.pack('>BBHI', 0x30, 255, len(packet), 99) + packet)


def gre(packet):
    return 47, struct.pack('>HHI', 0x2000, 0x0800, 5) + packet


def ipip(packet):
    return 4, packet


TUNNELS = {'vxlan:42': vxlan, 'geneve:7': geneve, 'gtpu:99': gtpu, 'gre:5': gre, 'ipip': ipip}


TTL = 64, 32  # of all layers, by the end that sent them


def cut(src, dst, proto, payload, ident, pieces, way=0):
    """IPv4 packets that are the datagram in up to `pieces` fragments; the first one has all headers of two tunnels."""
    size = max(136, -(-len(payload) // pieces) + 7 & ~7)
    if pieces == 1:
        size = len(payload)
    packets = [ipv4(src, dst, proto, payload[at:at + size], ident, at, at + size < len(payload))
               for at in range(0, len(payload), size)]
    return [p[:8] + bytes([TTL[way]]) + p[9:] for p in packets]


class Traffic:
    """
    Records of flows in tunnels, with datagrams fragmented inside, outside and both. Each record knows its flow and its
    sender: (time, bytes, flow, 0 from the client or 1). A flow is (client, port, server, port, stack).
    """

    def __init__(self, r, flows=24, datagrams=600, spread_ms=40, tunnels=tuple(TUNNELS)):
        self.r, self.ident, self.records = r, 0, []
        self.flows = []
        for n in range(flows):
            ends = ['10.%d.%d.%d' % (r.randrange(1, 200), r.randrange(200), r.randrange(1, 250)) for _ in range(2)]
            outer = ['192.0.2.%d' % r.randrange(1, 120), '192.0.2.%d' % r.randrange(120, 250)]
            r.shuffle(outer)
            stack = [r.choice(tunnels) for _ in range(r.choice((0, 1, 1, 1, 2)))]
            self.flows.append(((ends[0], 1024 + n, ends[1], 53), stack, outer))
        at = T0
        for n in range(datagrams):
            at += r.randrange(1, 3 * MS)
            # the client is the sender of the first packet, so each flow begins with a whole one of its
            begin = n < flows
            flow, stack, outer = self.flows[n] if begin else r.choice(self.flows)
            self.datagram(at, flow, stack, outer, 0 if begin else r.randrange(2), 0 if begin else spread_ms)
        self.records.sort(key=lambda rec: rec[0])

    def number(self):
        self.ident += 1
        return self.ident & 0xffff

    def datagram(self, at, flow, stack, outer, way, spread_ms):
        r = self.r
        src, sport, dst, dport = flow if way == 0 else flow[2:] + flow[:2]
        body = udp_datagram(sport, dport, bytes(r.randrange(8, 900)))
        packets = cut(src, dst, 17, body, self.number(), r.choice((1, 1, 2, 3)) if spread_ms else 1, way)
        for depth, name in enumerate(reversed(stack)):
            a, b = outer[way], outer[1 - way]
            if depth + 1 < len(stack):
                a, b = '172.16' + a[5:], '172.16' + b[5:]
            packets = [p for packet in packets for p in
                       cut(a, b, *TUNNELS[name](packet), self.number(), r.choice((1, 2, 3)) if spread_ms else 1, way)]
        for packet in packets:
            when = at + (r.randrange(spread_ms * MS) if spread_ms else 0)
            self.records.append((when, eth(packet), flow + ('/'.join(stack),), way))


class Tunnels(support.TestCase):
    def settings(self):
        for jobs in '1', '2', '8':
            for chunk in '64k', None:
                yield ['--jobs', jobs] + (['--chunk-size', chunk] if chunk else [])
        yield ['--jobs', '2', '--chunk-size', '64k', '--memory', '16M']

    def same_index(self, files, *options):
        """Indexes with all settings; the first database."""
        for n, setting in enumerate(self.settings()):
            db = self.path('same%d.db' % n)
            index(db, '-q', *setting, *options, *files)
            if n == 0:
                first = dump(db)
            else:
                self.assert_same_dump(first, dump(db), ' '.join(setting))
                os.remove(db)
        return self.path('same0.db')

    def save(self, traffic, files):
        """Records to captures: `files(n)` says into which the n-th goes. {(path, offset): (flow, way)}"""
        out, truth = collections.defaultdict(list), {}
        for n, rec in enumerate(traffic):
            out[files(n)].append(rec)
        paths = []
        for f, recs in sorted(out.items()):
            path = os.path.realpath(self.write('%d.pcap' % f, support.pcap_bytes([rec[:2] for rec in recs],
                                                                                magic=0xa1b23c4d)))
            at = 24
            for rec in recs:
                truth[path, at] = rec[2:]
                at += 16 + len(rec[1])
            paths.append(path)
        return paths, truth

    def check_truth(self, db, truth):
        """Each record in a session of its flow, counted for the end that sent it, and the stack of the session."""
        paths = {fid: os.path.realpath(os.fsdecode(p)) for fid, p in support.index_files(db).items()}
        everything = support.all_positions(db)
        found = 0
        for s in sessions(db):
            mine = [truth[paths[f], off] for f, off in everything[s['id']]]
            found += len(mine)
            flows = {flow for flow, _ in mine}
            self.assertEqual(len(flows), 1, 'session %d: %r' % (s['id'], flows))
            flow = flows.pop()
            ends = [(s['client_addr'], s['client_port']), (s['server_addr'], s['server_port'])]
            self.assertEqual(sorted(ends), sorted([flow[:2], flow[2:4]]))
            turned = ends[0] != flow[:2]
            ways = collections.Counter(way ^ turned for _, way in mine)
            self.assertEqual((s['client_packets'], s['server_packets']), (ways[0], ways[1]), 'session %d' % s['id'])
            if 'client_ttl' in s:
                ttl = [TTL[way ^ turned] if ways[way] else None for way in (0, 1)]
                self.assertEqual([s['client_ttl'], s['server_ttl']], ttl, 'session %d' % s['id'])
            if 'tunnel' in s:
                self.assertEqual(s['tunnel'], flow[4] or None, 'session %d' % s['id'])
        self.assertEqual(found, len(truth))

    def check(self, files, truth, *options):
        db = self.same_index(files, *options)
        support.check_index(db)
        self.check_truth(db, truth)
        support.verify(db)
        self.assert_carves(db, files)
        return db

    def test_one_capture(self):
        t = Traffic(support.rng('tunnels', 1), datagrams=1500)
        files, truth = self.save(t.records, lambda n: 0)
        db = self.check(files, truth, '--fields', 'all')
        for s in sessions(db)[::5]:
            got = self.carved(db, 'id', str(s['id']))
            self.assertEqual(len(got), s['client_packets'] + s['server_packets'])

    def test_captures_that_overlap_in_time(self):
        r = support.rng('tunnels', 2)
        t = Traffic(r, datagrams=1200)
        files, truth = self.save(t.records, lambda n: r.randrange(3))
        self.check(files, truth, '--fields', 'all')

    def test_captures_one_behind_the_other(self):
        """Also one by one into the same index. A fragment whose first one comes later is another matter: see incremental."""
        r = support.rng('tunnels', 3)
        t = Traffic(r, datagrams=900)
        files, truth = self.save(t.records, lambda n: n * 4 // len(t.records))
        self.check(files, truth, '--fields', 'all', '--key', 'vlan')

    def test_additions(self):
        """Two captures whose border no later fragment crosses backwards: one by one is as both at once."""
        r = support.rng('tunnels', 4)
        t = Traffic(r, datagrams=900, spread_ms=0)
        for n, (_, stack, outer) in enumerate(t.flows):
            for way in 0, 1:
                at = t.records[-1][0] + n * MS
                packets = Traffic.__new__(Traffic)
                packets.r, packets.ident, packets.records = r, 40000 + 40 * n + 20 * way, []
                packets.datagram(at, t.flows[n][0], stack, outer, way, 1)
                # in order: the first fragments of all layers come first
                t.records += [(at + i, rec[1], rec[2], rec[3]) for i, rec in enumerate(packets.records)]
        t.records.sort(key=lambda rec: rec[0])
        for border in len(t.records) // 2, len(t.records) - 40, len(t.records) - 11:
            with self.subTest(border=border):
                files, truth = self.save(t.records, lambda n: n >= border)
                both, after = self.path('both.db'), self.path('after.db')
                for db in both, after:
                    if os.path.exists(db):
                        os.remove(db)
                index(both, '-q', '--fields', 'all', *files)
                index(after, '-q', '--fields', 'all', files[0])
                index(after, '-q', files[1])
                private = ('open_batch', 'open_session', 'open_fragment', 'session_positions', 'run')
                self.assert_same_dump(dump(both, private), dump(after, private))
                self.check_truth(after, truth)
                support.verify(after)
                self.assert_carves(after, files)

    def test_the_outermost_layer(self):
        t = Traffic(support.rng('tunnels', 5), datagrams=700)
        files, _ = self.save(t.records, lambda n: 0)
        for options in ['--key', 'vlan,tunnel'], []:  # the second one's index is looked at below
            db = self.same_index(files, '--outer', '--fields', 'tunnel', *options)
            support.check_index(db)
            support.verify(db)
            self.assert_carves(db, files)
            os.rename(db, self.path('outer.db'))
        db = self.path('outer.db')
        want = set()
        for flow, stack, outer in t.flows:
            want.add(frozenset((flow[0], flow[2])) if not stack else frozenset(outer))
        self.assertEqual({frozenset((s['client_addr'], s['server_addr'])) for s in sessions(db)}, want)

    def test_tunnels_are_part_of_the_key(self):
        """The same inner addresses in two VXLAN networks and bare: one session, or three with --key tunnel."""
        def packets(i):
            inner = ipv4('10.0.0.1', '10.0.0.2', 17, udp_datagram(1000, 53, b'x' * 900))
            for pieces in 1, 3:
                for vni in 7, 8:
                    yield from cut('192.0.2.9', '192.0.2.2', *vxlan(inner, vni), i * 10 + vni, pieces)
            yield inner
        records = [(T0 + n * MS, eth(p)) for n, p in enumerate(p for i in range(5) for p in packets(i + 1))]
        f = self.write('v.pcap', support.pcap_bytes(records))
        one, three = self.path('one.db'), self.path('three.db')
        index(one, '-q', f)
        index(three, '-q', '--key', 'tunnel', '--fields', 'tunnel', f)
        self.assertEqual([s['client_packets'] for s in sessions(one)], [45])
        self.assertEqual({s['tunnel']: s['client_packets'] for s in sessions(three)}, {'vxlan:7': 20, 'vxlan:8': 20, None: 5})
        for db in one, three:
            support.verify(db)
            self.assert_carves(db, [f])
        self.assertEqual(flowcarve('index', '-d', three, '-q', '--key', 'vlan', f, ok=2).rc, 2)

    def test_a_changed_fragment(self):
        """A later fragment that has become one of other hosts: refused in a session that is in no tunnel, or with --outer."""
        inner = ipv4('10.0.0.1', '10.0.0.2', 17, udp_datagram(1000, 53, b'x' * 900))
        whole = cut('10.0.0.1', '10.0.0.2', 17, udp_datagram(1000, 53, b'x' * 900), 7, 2)
        for n, (packets, outer, refused) in enumerate((([inner] + whole, False, True), ([inner] + whole, True, True),
                                                       (cut('192.0.2.9', '192.0.2.2', *vxlan(inner), 7, 2), True, True),
                                                       (cut('192.0.2.9', '192.0.2.2', *vxlan(inner), 7, 2), False, False))):
            with self.subTest(n):
                f, db, other = self.path('f.pcap'), self.path('f%d.db' % n), self.path('g%d.db' % n)
                records, options = [eth(p) for p in packets], ['--outer'] if outer else []
                support.write(f, support.pcap_bytes([(T0 + n * MS, d) for n, d in enumerate(records)]))
                index(db, '-q', *options, f)
                self.assertEqual(len(self.carved(db)), len(records))
                changed = bytearray(records[-1])
                changed[29] ^= 1  # last byte of the sender
                records[-1] = bytes(changed)
                support.write(f, support.pcap_bytes([(T0 + n * MS, d) for n, d in enumerate(records)]))
                index(other, '-q', *options, f)
                with support.open_db(db, write=True) as c:  # as if the capture were the one that was indexed
                    c.execute('UPDATE files SET mtime_ns = ?, fingerprint = ?, stored_fingerprint = ?',
                              support.select(other, 'SELECT mtime_ns, fingerprint, stored_fingerprint FROM files')[0])
                r = flowcarve('carve', '-d', db, '-w', self.path('o.pcap'), ok=2 if refused else 0)
                if refused:
                    self.assertIn('changed' if not outer and len(packets) == 3 else 'not the one', r.err)
                support.verify(db, ok=2 if refused else 0)

    def test_esp(self):
        """Fragments of ESP: the SPI, which is part of the key, stands in the first one only."""
        packets = [p for spi in (7, 8) for n in range(3)
                   for p in cut('192.0.2.1', '192.0.2.2', 50, struct.pack('>I', spi) + bytes(400), 10 * spi + n, 3)]
        f, r = self.path('esp.pcap'), support.rng('esp')
        support.write(f, support.pcap_bytes([(T0 + n * MS, eth(p)) for n, p in enumerate(r.sample(packets, len(packets)))]))
        for options in [], ['--outer'], ['--key', 'tunnel']:
            with self.subTest(options):
                db = self.same_index([f], *options)
                self.assertEqual([s['client_packets'] for s in sessions(db)], [9, 9])
                support.verify(db)
                self.assert_carves(db, [f])
                os.remove(db)

    def test_filter(self):
        t = Traffic(support.rng('tunnels', 6), flows=40, datagrams=200)
        files, _ = self.save(t.records, lambda n: 0)
        db = self.path('f.db')
        index(db, '-q', '--fields', 'tunnel', *files)
        stacks = ['/'.join(stack) for _, stack, _ in t.flows]
        for words, fits in ((['tunnel'], bool), (['tunnel', 'vxlan'], lambda s: 'vxlan' in s),
                            (['tunnel', 'vxlan:42'], lambda s: 'vxlan' in s), (['tunnel', 'vxlan:0x2a'], lambda s: 'vxlan' in s),
                            (['tunnel', 'vxlan:4'], lambda s: False), (['tunnel', 'gre:5'], lambda s: 'gre' in s),
                            (['tunnel', 'ipip'], lambda s: 'ipip' in s), (['not', 'tunnel', 'gtpu'], lambda s: 'gtpu' not in s)):
            with self.subTest(' '.join(words)):
                got = flowcarve('query', '-d', db, '--count', *words, ok=(0, 1)).text.strip()
                self.assertEqual(int(got), sum(bool(fits(s)) for s in stacks))
        self.assertEqual(flowcarve('query', '-d', db, 'tunnel', 'nonsense', ok=2).rc, 2)
        index(self.path('g.db'), '-q', *files)
        self.assert_says(flowcarve('query', '-d', self.path('g.db'), 'tunnel', ok=2), '--fields tunnel')


if __name__ == '__main__':
    support.main()
