# SPDX-License-Identifier: MIT
"""Community IDs against Python's own SHA-1 and base64, and against the baselines of the specification."""
import base64, csv, hashlib, os, socket, struct, unittest

import support
from support import T0, flowcarve, index, select, sessions, tcp

V4, V6 = (8, 0, 13, 14, 15, 16, 10, 9, 17, 18), (128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145)


def community_id(proto, src, dst, sport=None, dport=None):
    """From the text of the specification: ICMP has its type as source port, the answering type or the code as the other."""
    two_way = True
    if proto in (1, 58):
        pairs = V4 if proto == 1 else V6
        two_way = sport in pairs
        if two_way:
            dport = pairs[pairs.index(sport) ^ 1]
    pack = lambda a: socket.inet_pton(socket.AF_INET6 if ':' in a else socket.AF_INET, a)
    a, b = (pack(src), sport or 0), (pack(dst), dport or 0)
    if two_way and a > b:
        a, b = b, a
    ports = struct.pack('>HH', a[1], b[1]) if proto in (1, 6, 17, 58, 132) else b''
    digest = hashlib.sha1(b'\0\0' + a[0] + b[0] + bytes([proto, 0]) + ports).digest()
    return '1:' + base64.b64encode(digest).decode()


def ip6(src, dst, proto, payload):
    pack = lambda a: socket.inet_pton(socket.AF_INET6, a)
    return support.eth(struct.pack('>IHBB', 6 << 28, len(payload), proto, 64) + pack(src) + pack(dst) + payload, 0x86dd)


def ip4(src, dst, proto, payload):
    return support.eth(support.ipv4(src, dst, proto, payload))


class Community(support.TestCase):
    def make(self):
        """[(packet, its ID)]: every protocol that has a rule of its own, and both directions."""
        out = []
        for a, b, wrap, icmp in (('10.0.0.1', '10.0.0.2', ip4, 1), ('192.168.0.9', '10.0.0.2', ip4, 1),
                                 ('2001:db8::1', 'fe80::9', ip6, 58), ('fe80::9', '::1', ip6, 58)):
            ports = struct.pack('>HH', 4000, 53)
            for src, dst, p in ((a, b, ports), (b, a, ports[2:] + ports[:2])):
                sport, dport = struct.unpack('>HH', p)
                for proto, rest in ((6, bytes(8) + b'\x50\x10' + bytes(6)), (17, b'\0\x08\0\0'), (132, bytes(8))):
                    out.append((wrap(src, dst, proto, p + rest), community_id(proto, src, dst, sport, dport)))
                for proto, rest in ((33, p + bytes(12)), (47, b'\0\0\x88\x0b'), (46, bytes(20)), (50, bytes(8))):
                    out.append((wrap(src, dst, proto, rest), community_id(proto, src, dst)))
                for kind in range(0, 256, 1 if icmp == 58 else 3):
                    out.append((wrap(src, dst, icmp, bytes([kind, kind % 5]) + bytes(6)),
                                community_id(icmp, src, dst, kind, kind % 5)))
        out.append((support.eth(bytes([0, 1, 8, 0, 6, 4, 0, 1]) + bytes(20), 0x806), None))
        out.append((support.eth(b'lldp', 0x88cc), None))
        return out

    def ids_by_record(self, db, path):
        """{record number: session's id, its Community ID by `query`}"""
        rows = {s['id']: s['community_id'] for s in sessions(db, '--community-id')}
        offs = {r.off: n for n, r in enumerate(support.read_capture(path))}
        return {offs[off]: rows[sid] for sid, p in support.all_positions(db).items() for _, off in p}

    def test_public_vectors(self):
        """Published with the specification and its Python package."""
        self.assertEqual(community_id(6, '128.232.110.120', '66.35.250.204', 34855, 80), '1:LQU9qZlK+B5F3KDmev6m5PMibrg=')
        self.assertEqual(community_id(6, '10.0.0.1', '10.0.0.2', 10, 20), '1:9j2Dzwrw7T9E+IZi4b4IVT66HBI=')
        self.write('c.pcap', support.pcap_bytes([(T0, tcp('66.35.250.204', 80, '128.232.110.120', 34855, 'A', 1, 1)),
                                                 (T0 + 1000, tcp('10.0.0.1', 10, '10.0.0.2', 20, 'S', 1))]))
        index(self.path('c.db'), '-q', self.path('c.pcap'))
        self.assertEqual([s['community_id'] for s in sessions(self.path('c.db'), '--community-id')],
                         ['1:LQU9qZlK+B5F3KDmev6m5PMibrg=', '1:9j2Dzwrw7T9E+IZi4b4IVT66HBI='])

    def test_every_protocol(self):
        packets = self.make()
        path = self.write('c.pcap', support.pcap_bytes([(T0 + i * 1000, p) for i, (p, _) in enumerate(packets)]))
        for fields in ('', 'community-id', 'all'):
            with self.subTest(fields=fields):
                db = self.path('f%s.db' % fields)
                index(db, '-q', *(['--fields', fields] if fields else []), path)
                got = self.ids_by_record(db, path)
                self.assertEqual([got[n] for n in range(len(packets))], [cid for _, cid in packets])
                if fields:
                    stored = dict(select(db, 'SELECT id, community_id FROM sessions'))
                    self.assertEqual(stored, {s['id']: s['community_id'] for s in sessions(db)})
                else:
                    self.assertNotIn('community_id', sessions(db)[0], 'only where it is held or asked for')
                self.check_search(db, 53)
        both = [i for i in got.values() if i][:6:5]
        r = flowcarve('carve', '-d', db, 'community-id %s or %s' % tuple(both), '-w', '-')
        self.assertEqual(len(support.parse_capture(r.out)), sum(cid in both for cid in got.values()))

    def check_search(self, db, step):
        rows = sessions(db, '--community-id')
        ids = [s['community_id'] for s in rows]
        for cid in ids[::step]:
            if cid is None:
                continue
            want = [s['id'] for s in rows if s['community_id'] == cid]
            self.assertEqual([s['id'] for s in sessions(db, 'community-id', cid)], want)
            self.assertEqual([s['id'] for s in sessions(db, 'community-id %s and ip' % cid[:-1])],
                             [s['id'] for s in sessions(db, 'ip') if s['id'] in want])
            self.assertEqual(int(flowcarve('query', '-c', '-d', db, 'not community-id', cid, ok=(0, 1)).text),
                             len(rows) - len(want))

    def test_added_captures_and_the_index_of_one_run(self):
        """By INSERT what the first run writes as finished b-trees; a continued session keeps its ID."""
        files = self.fcgen('c.pcap', '--packets', '6000', '--sessions', '900', '--files', '3', '--ipv6', '40')
        one, more = self.path('one.db'), self.path('more.db')
        index(one, '-q', '--fields', 'ttl,community-id', *files)
        for f in files:
            index(more, '-q', '--fields', 'ttl,community-id', f)
        for db in (one, more):
            support.check_index(db)
            held = sessions(db)
            for s in held:
                proto = {'tcp': 6, 'udp': 17, 'icmp': 1, 'icmp6': 58, 'sctp': 132}.get(s['proto'])
                want = proto and community_id(proto, s['client_addr'], s['server_addr'], s['client_port'], s['server_port'])
                self.assertEqual(s['community_id'], want, s)
        self.assertEqual(sessions(one), sessions(more))

    def test_the_baselines_of_the_specification(self):
        if not support.CAPTURES:
            raise unittest.SkipTest('FLOWCARVE_CAPTURES is not set: the baselines were left out')
        want = {}
        with open(os.path.join(support.CAPTURES, 'community-id-expected.tsv')) as f:
            for r in csv.DictReader(f, dialect='excel-tab'):
                cid = r['community_id_v1_seed0']
                want.setdefault(r['file'], {})[int(r['frame']) - 1] = None if cid == '-' else cid
        for name, ids in sorted(want.items()):
            with self.subTest(name):
                path = os.path.join(support.CAPTURES, 'corelight+community-id-spec', name)
                if name.endswith('.gz'):
                    import gzip
                    path = self.write(name[:-3], gzip.open(path).read())
                for fields in ('ttl', 'community-id'):
                    db = self.path('%s-%s.db' % (name, fields))
                    index(db, '-q', '--fields', fields, path)
                    self.assertEqual(self.ids_by_record(db, path), ids)
                    self.check_search(db, 3)


if __name__ == '__main__':
    support.main()
