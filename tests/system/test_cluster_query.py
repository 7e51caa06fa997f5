# SPDX-License-Identifier: MIT
"""Sessions of many sensors, asked of an engine: against one index over all their captures, and against each sensor's own."""
import collections, http.server, json, os, re, signal, socketserver, struct, tempfile, threading, time, unittest, urllib.error, urllib.request

import engine_rows
import engines
import support
from support import S, T0, eth, flowcarve, ipv4, tcp, udp

CLUSTER_ASK = os.environ.get('CLUSTER_ASK') or os.path.join(support.ROOT, 'build/dev/tests/cluster_ask')
DAY = 86400 * S
NAMES = ('nyc1', 'lon.2', '3-sgp')
HOSTILE = ('sensor x\'y', "sensor a'); DROP TABLE session; --", 'sensor "x" or 1=1', 'sensor \\', 'sensor é', "file \"'; DROP TABLE session\"",
           "file 'a\\'b'", 'community-id 1:\'AAAAAAAAAAAAAAAAAAAAAAAAAAA=', "host 10.0.0.5' or '1'='1", 'sensor a\nb', 'sensor unhex(00)',
           'tunnel \'x\'', "state 'new'", 'sensor ' + 'x' * 64)


def made(broken):
    """What generated traffic lacks: tunnels, labels, link addresses, fragments that wait, RSTs, sessions without a time."""
    packets, at = [], [T0 + 3 * DAY]

    def add(data, ms=7):
        packets.append((at[0], data))
        at[0] += ms * 1000000
    for i in range(12):
        c, v = ('10.9.%d.%d' % (i % 3, i), 40000 + i), ('192.0.2.%d' % (i % 4), (80, 443, 53, 8080)[i % 4])
        add(tcp(*c, *v, 'S', 1))
        add(tcp(*v, *c, 'SA', 9, 2))
        for k in range(i):
            add(tcp(*c, *v, 'PA', 2 + 100 * k, 10, bytes(100)), 30 * i)
        if i % 4 == 1:
            add(tcp(*c, *v, 'FA', 5, 10))
            add(tcp(*v, *c, 'FA', 10, 6))
        if i % 4 > 1:
            add(tcp(*v, *c, 'RA', 10, 6) if i % 4 == 2 else tcp(*c, *v, 'R', 6))
    for i in range(4):
        add(tcp('10.9.8.%d' % i, 50000, '192.0.2.9', 23, 'S', 7))
        add(tcp('192.0.2.9', 23, '10.9.8.%d' % i, 50000, 'RA', 0, 8))
    for vni in (5, 42, 425):
        inner = udp('10.8.0.%d' % (vni % 200), 1000 + vni, '10.8.1.1', 53, bytes(20))
        add(udp('198.51.100.1', 7000 + vni, '198.51.100.2', 4789, struct.pack('>II', 0x08000000, vni << 8) + inner))
    inner = udp('10.8.2.1', 99, '10.8.2.2', 100, b'x')[14:]
    add(eth(ipv4('198.51.100.3', '198.51.100.4', 47, struct.pack('>HH', 0, 0x800) + inner)))
    add(eth(struct.pack('>I', 16 << 12 | 0x140) + inner.replace(b'\x0a\x08\x02\x01', b'\x0a\x08\x02\x03'), 0x8847))
    add(eth(struct.pack('>II', 16 << 12 | 0x40, 1600 << 12 | 0x140) + inner.replace(b'\x0a\x08\x02\x01', b'\x0a\x08\x02\x04'), 0x8847))
    for tag in (5, 15, 51):
        add(udp('10.8.3.%d' % tag, 1, '10.8.3.1', 2, b'y', vlan=tag))
    for i in range(3):
        add(eth(bytes(40), 0x88b5, src=bytes([2, 0, 0, 0, 1, i]), dst=bytes([2, 0, 0, 0, 2, 0])))
    add(eth(bytes([0, 1, 8, 0, 6, 4, 0, 1]) + bytes(6) + bytes([10, 9, 0, 1]) + bytes(6) + bytes([10, 9, 0, 2]), 0x806))
    if broken:
        add(eth(b'\x45\0\0'))
        add(support.udp_fragments('10.7.0.1', 5, '10.7.0.2', 6, 77)[1])
    return packets


def timeless():
    """A pcapng whose simple packets have no time."""
    body = b''
    for i in range(5):
        data = udp('10.6.0.%d' % i, 1000, '10.6.1.1', 53, bytes(i))
        body += support.block('<', 3, struct.pack('<I', len(data)) + data + bytes(-len(data) % 4))
    return support.shb() + support.idb() + body


# ---------------------------------------------------------------- filters

class Filters:
    """Conditions of every kind, with values of sessions that there are, and trees of them."""

    def __init__(self, rows, words):
        self.rows, self.r = rows, support.rng(words)

    def row(self, *needs):
        fit = [r for r in self.rows if all(r[n] is not None for n in needs)]
        return self.r.choice(fit)

    def ends(self):
        return self.r.choice(('', 'src ', 'dst ', 'client ', 'server ', 'src and dst '))

    def addr(self):
        while True:
            r = self.row('client_addr')
            a = r[self.r.choice(('client_addr', 'server_addr'))]
            if a and not re.match('(..:){5}', a):
                return a

    def network(self):
        a = self.addr()
        if ':' in a:
            return '%s/%d' % (a, 128)
        bits = self.r.choice((8, 12, 16, 20, 24, 31, 32))
        number = int.from_bytes(bytes(map(int, a.split('.'))), 'big') >> (32 - bits) << (32 - bits)
        return '%s/%d' % ('.'.join(str(b) for b in number.to_bytes(4, 'big')), bits)

    def time(self):
        r = self.row('start_ns')
        ns = r[self.r.choice(('start_ns', 'end_ns'))] + self.r.choice((-1, 0, 0, 1, S, -S, DAY))
        return '%d.%09d' % (ns // S, ns % S)

    def compare(self, number):
        n = max(number + self.r.choice((-1, 0, 0, 1)), 0)
        return self.r.choice(('over %d', 'under %d', 'at least %d', 'at most %d', '= %d', 'between %d and 99999999')) % n

    def leaf(self):
        r = self.r
        kinds = ('host', 'list', 'net', 'mask', 'mac', 'port', 'ports', 'portrange', 'proto', 'family', 'arp', 'vlan', 'mpls', 'tunnel', 'state', 'mark',
                 'flags', 'packets', 'bytes', 'duration', 'payload', 'ttl', 'time', 'times', 'community', 'end')
        kind = r.choice(kinds)
        if kind == 'host':
            return '%shost %s' % (self.ends(), self.addr())
        if kind == 'list':
            return 'host %s' % ','.join(self.addr() for _ in range(4))
        if kind == 'net':
            return '%snet %s' % (self.ends(), self.network())
        if kind == 'mask':
            return '%snet 10.0.0.0 mask 255.0.%d.0' % (self.ends(), r.choice((1, 64, 0)))
        if kind == 'mac':
            s = self.row('client_mac')
            return 'ether %shost %s' % (self.ends(), r.choice((s['client_mac'], s['client_mac'], '02:00:00:00:01:01', '02:00:00:00:02:00')))
        if kind == 'port':
            return '%s%sport %d' % (r.choice(('', 'tcp ', 'udp ')), self.ends(), self.row('server_port')['server_port'])
        if kind == 'ports':
            return 'port %d,%d,53' % tuple(self.row('client_port')[r.choice(('client_port', 'server_port'))] for _ in range(2))
        if kind == 'portrange':
            return '%sportrange %d-%d' % (self.ends(), *sorted((r.randrange(65536), r.randrange(2000))))
        if kind == 'proto':
            return r.choice(('tcp', 'udp', 'icmp', 'icmp6', 'sctp', 'proto tcp,17', 'proto 1', 'ip proto 6', 'ip6 proto 17', 'proto 0x88b5', 'proto gre'))
        if kind == 'family':
            return r.choice(('ip', 'ip6'))
        if kind == 'arp':
            return r.choice(('arp', 'arp host 10.9.0.1', 'ip host %s' % self.row('client_addr')['client_addr'] if False else 'rarp'))
        if kind in ('vlan', 'mpls'):
            return r.choice((kind, '%s %d' % (kind, r.choice((5, 15, 16, 160, 1600, 100, 200, 1)))))
        if kind == 'tunnel':
            return r.choice(('tunnel', 'tunnel vxlan', 'tunnel vxlan:42', 'tunnel vxlan:5', 'tunnel gre', 'tunnel vxlan:425'))
        if kind == 'state':
            return 'state ' + r.choice(('new', 'established', 'closed', 'reset', 'midstream', 'new,closed'))
        if kind == 'mark':
            return r.choice(('state rejected', 'reset by client', 'reset by server', 'reset by client,server'))
        if kind == 'flags':
            return '%sflags %s' % (r.choice(('', 'src ', 'dst ', 'client ', 'src and dst ')), r.choice(('syn', 'syn,ack', 'fin', 'rst', 'psh,ack')))
        if kind in ('packets', 'bytes', 'payload'):
            side = r.choice(('client', 'server'))
            number = self.row('%s_%s' % (side, kind))['%s_%s' % (side, kind)]
            return '%s %s %s' % (r.choice(('', side)), kind, self.compare(number))
        if kind == 'ttl':
            return '%sttl %s' % (self.ends(), self.compare(r.choice((64, 57, 63, 255, 0))))
        if kind == 'duration':
            s = self.row('start_ns')
            ns = s['end_ns'] - s['start_ns']
            return 'duration %s %d.%09d' % (r.choice(('over', 'under', 'at least', 'at most', '=')), ns // S, ns % S)
        if kind == 'time':
            return '%s %s' % (r.choice(('after', 'before', 'at')), self.time())
        if kind == 'times':
            a, b = sorted((self.time(), self.time()), key=float)
            return 'between %s and %s' % (a, b)
        if kind == 'community':
            return 'community-id %s' % self.row('community_id')['community_id']
        s = self.row('client_port')
        return '[%s]:%d' % (s['client_addr'], s['client_port']) if ':' in s['client_addr'] else '%s:%d' % (s['client_addr'], s['client_port'])

    def tree(self, depth):
        if depth == 0 or self.r.random() < .25:
            return self.leaf()
        if self.r.random() < .25:
            return 'not (%s)' % self.tree(depth - 1)
        op = self.r.choice((' and ', ' or '))
        return '(%s)' % op.join(self.tree(depth - 1) for _ in range(self.r.choice((2, 2, 3))))


EVERY = ('', 'tcp', 'not tcp', 'host 10.9.0.3', 'src host 10.9.0.3', 'net 10.9.0.0/16', 'net 10.0.0.0/8 and port 443', 'not port 443', 'vlan', 'not vlan', 'vlan 5', 'vlan 51',
         'mpls 16', 'mpls 160', 'mpls 1600', 'tunnel', 'tunnel vxlan:42', 'tunnel vxlan:4', 'tunnel gre', 'arp', 'arp host 10.9.0.1', 'proto 0x88b5',
         'ether host 02:00:00:00:01:01', 'ether src and dst host 02:00:00:00:01:01', 'state rejected', 'reset by client', 'reset by server', 'flags rst',
         'not flags syn', 'payload = 0', 'not payload = 0', 'ttl 64', 'src and dst ttl 64', 'duration under 0', 'bytes under 0', 'packets over 4611686018427387903 or bytes over 4611686018427387903',
         'after 1677-09-22', 'before 2262-04-10', 'not after 1677-09-22', 'not before 2262-04-10', 'before 1970-01-01', 'after 2106-01-01', 'on 2023-11-17', 'on 2023-11-14',
         'not on 2023-11-14', 'before 2023-11-15 and after 2023-11-14', 'after 2023-11-15 or host 10.9.0.1', '(after 2023-11-16 or tcp) and before 2023-11-20',
         'host 10.9.0.3 or host 10.9.0.4 and not tcp', '(host 10.9.0.3 and port 80) or (host 10.9.0.4)', 'net 10.0.0.0 mask 255.0.255.0', 'host 10.9.0.3,10.9.1.4,10.6.0.1', 'portrange 0-65535',
         'not portrange 0-65535', 'icmp', 'icmp6', 'ip6', 'ip6 or arp', 'state new,reset', 'not (state new or tcp)')


def without(row):
    return tuple((k, v) for k, v in row.items() if k not in ('sensor', 'id'))


# ---------------------------------------------------------------- somebody between

class _Between(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # an answer goes out in pieces
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_POST(self):
        between = self.server.between
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        between.asked.append(body.decode())
        own = between.answer(body.decode()) if between.answer else None
        if own is None:
            try:
                with urllib.request.urlopen(urllib.request.Request(between.url + between.path(self.path), body or None)) as answer:
                    own = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                own = error.code, error.read()
        self.send_response(own[0])
        self.send_header('Content-Length', str(len(own[1])))
        self.end_headers()
        try:
            self.wfile.write(own[1])
        except OSError:
            pass  # who has asked waits no longer

    do_GET = do_POST


class Between:
    """Stands before an engine, writes down what it is asked, and may answer in its place."""

    def __init__(self, url):
        self.url, self.asked, self.answer, self.path = url, [], None, str
        self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), _Between)
        self.server.daemon_threads = True
        self.server.between = self
        self.here = 'http://127.0.0.1:%d' % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# ---------------------------------------------------------------- the tests

class Cluster:
    """What both engines are held to."""

    @classmethod
    def setUpClass(cls):
        cls.start()
        cls.addClassCleanup(lambda: [e.close() for e in cls.engines])
        cls.dir = tempfile.TemporaryDirectory(prefix='fc-', dir=support.scratch())
        cls.addClassCleanup(cls.dir.cleanup)
        cls.dbs = []
        captures = (support.fcgen(cls.file('a.pcap'), '--packets', '2500', '--ipv6', '25', '--vlan', '10', '--seed', '5', '--proto', 'tcp=60,udp=28,icmp=8,arp=2,sctp=2'),
                    [support.write(cls.file('b.pcap'), support.pcap_bytes(made(True))), support.write(cls.file('t.pcapng'), timeless())],
                    support.fcgen(cls.file('c.pcap'), '--packets', '1500', '--start', str(T0 // S + 40 * 86400 - 1), '--seed', '6', '--rate', '700'))
        support.index(cls.file('all.db'), '-q', '--fields', 'all', *(c for some in captures for c in some))
        for number, (name, some) in enumerate(zip(NAMES, captures)):
            cls.dbs.append(cls.file(name + '.db'))
            support.index(cls.dbs[-1], '-q', '--fields', 'all', *some)
            rows = engine_rows.load(cls.engines[0], cls.dbs[-1], name, bytes([number + 1]) * 16)
            if number < 2:  # days of the third one have nothing that is replaced, so that they are added up as they lie
                cls.be_out_of_date(cls.engines[0], name, rows)
            cls.last_rows = rows
        cls.write_file(NAMES)
        cls.rows = support.sessions(cls.file('all.db'))
        cls.by_id = {str(r['id']): without(r) for r in cls.rows}
        cls.by_sensor = {'%s:%d' % (name, r['id']): without(r) for name, db in zip(NAMES, cls.dbs) for r in support.sessions(db)}

    @classmethod
    def file(cls, name):
        return cls.dir.name + '/' + name

    @classmethod
    def write_file(cls, names, url=None, to='c.ini'):
        text = '[engine]\nurl = %s/flowcarve\n' % (url or cls.engines[0].url) + ''.join('[sensor %s]\nurl = http://127.0.0.1:1\n' % n for n in names)
        support.write(cls.file(to), text.encode())

    @classmethod
    def be_out_of_date(cls, engine, name, rows):
        """Earlier revisions of sessions, tombstones, another index, fragments that wait no longer: nobody may see any of it."""
        old = []
        for n, r in enumerate(rows):
            before = dict(r, revision=r['revision'] - 2)
            if n % 3 == 0:    # has grown since
                old.append(dict(before, state=(r['state'] + 1) % 5, client_packets=1, server_packets=0, client_bytes=60, server_bytes=0, flags=16, end_ns=r['start_ns'],
                                client_ttl=9, vlan='7', tunnel='gre', client_payload=77, server_payload=None, community_id=None))
            if n % 5 == 1 and r['timed']:    # began later, on another day
                moved = dict(before, slot=r['slot'] + 300, day=(r['slot'] + 300) // 288, start_ns=r['start_ns'] + 90000 * S, end_ns=r['end_ns'] + 90000 * S)
                old += [moved, dict(moved, revision=r['revision'] - 1, deleted=1)]
            if n % 5 == 2:    # the ends were the other way round
                turned = dict(before, client=r['server'], server=r['client'], client_port=r['server_port'], server_port=r['client_port'])
                old += [turned, dict(turned, revision=r['revision'] - 1, deleted=1)]
            if n % 7 == 3 and r['client_port'] >= 0:    # had another port
                old += [dict(before, server_port=443), dict(before, server_port=443, revision=r['revision'] - 1, deleted=1)]
        gone = dict(rows[0], id=1 << 40)
        old += [gone, dict(gone, revision=gone['revision'] + 1, deleted=1)]
        old += [dict(rows[0], id=-9 - i, revision=rows[0]['revision'] - 2) for i in range(3)]
        old += [dict(r, generation=b'\xff' * 16, id=1 << 41) for r in rows[:20]]
        engine_rows.insert_sessions(engine, old)

    def cluster(self, command, *words, ok=(0, 1), file='c.ini'):
        return flowcarve(command, '--cluster', self.file(file), *words, ok=ok)

    def asked(self, *words, **kw):
        return [json.loads(line) for line in self.cluster('query', '--format', 'json', *words, **kw).text.splitlines()]

    def same(self, filters, file='c.ini'):
        """Both are asked for each of them. How many sessions each one has."""
        support.write(self.file('filters'), '\n'.join(filters).encode() + b'\n')
        with open(self.file('filters'), 'rb') as f:
            lines = support.run(CLUSTER_ASK, self.file(file), self.file('all.db'), stdin=f).text.split('\n')
        self.assertEqual(len(lines), 2 * len(filters) + 1)
        for text, own, many in zip(filters, lines[::2], lines[1::2]):
            self.assertFalse(own.startswith('E') or 'E' in many.split()[:1], (text, own[:300], many[:300]))
            a, b = collections.Counter(self.by_id.get(i, i) for i in own.split()), collections.Counter(self.by_sensor.get(i, i) for i in many.split())
            if a != b:
                self.fail('%r: %d sessions, not %d; missing %s; too many %s' % (text, len(many.split()), len(own.split()), list(a - b)[:2], list(b - a)[:2]))
        return [len(own.split()) for own in lines[::2]]

    def test_all(self):
        rows = self.asked()
        self.assertEqual(collections.Counter(map(without, self.rows)), collections.Counter(map(without, rows)))
        self.assertEqual(list(rows[0])[:2], ['sensor', 'id'])
        for name, db in zip(NAMES, self.dbs):
            ids = [r['id'] for r in rows if r['sensor'] == name]
            self.assertEqual(sorted(ids), sorted(r['id'] for r in support.sessions(db)), name)
        starts = [(r['start_ns'] is not None, r['start_ns'] or 0, r['sensor'], r['id']) for r in rows]
        self.assertEqual(starts, sorted(starts))
        self.assertEqual(self.cluster('query', '--count').text, '%d\n' % len(rows))
        self.assertTrue(any(r['id'] < 0 for r in rows) and any(r['start_ns'] is None for r in rows))

    def test_every_kind_of_condition(self):
        found = self.same(EVERY[:: 1 if self.thorough else 2])
        self.assertGreater(sum(n > 0 for n in found), len(found) * .6)

    def test_random_filters(self):
        filters = Filters(self.rows, self.__class__.__name__)
        found = self.same([filters.leaf() for _ in range(70 if self.thorough else 15)] + [filters.tree(4) for _ in range(80 if self.thorough else 20)])
        self.assertGreater(sum(0 < n < len(self.rows) for n in found), len(found) / 3)

    def test_sensors_and_ids(self):
        """What means something of one sensor alone."""
        own = {name: support.sessions(db) for name, db in zip(NAMES, self.dbs)}

        def pick(test):
            return sorted((name, r['id']) for name, rows in own.items() for r in rows if test(name, r))
        some = pick(lambda n, r: True)[-1]
        for text, test in (('sensor nyc1', lambda n, r: n == 'nyc1'), ('not sensor nyc1', lambda n, r: n != 'nyc1'),
                           ('sensor nyc1,3-sgp and udp', lambda n, r: n in ('nyc1', '3-sgp') and r['proto'] == 'udp'),
                           ('sensor lon.2 or tcp', lambda n, r: n == 'lon.2' or r['proto'] == 'tcp'),
                           ('not (sensor lon.2 and tcp)', lambda n, r: not (n == 'lon.2' and r['proto'] == 'tcp')),
                           ('sensor lon.2 and sensor nyc1', lambda n, r: False),
                           ('id 3', lambda n, r: r['id'] == 3), ('id 3,5,9-12', lambda n, r: r['id'] in (3, 5, 9, 10, 11, 12)),
                           ('not id 3-999999', lambda n, r: not 3 <= r['id'] <= 999999),
                           ('sensor %s and id %d' % some if some[1] > 0 else 'id 1', lambda n, r: (n, r['id']) == some if some[1] > 0 else r['id'] == 1)):
            self.assertEqual(pick(test), sorted((r['sensor'], r['id']) for r in self.asked(text)), text)
        self.assert_says(self.cluster('query', 'sensor nowhere', ok=2), 'no sensor', 'nyc1')
        self.assert_says(self.cluster('query', 'file a.pcap', ok=2), "'file'")
        self.assert_says(flowcarve('query', '-d', self.dbs[0], 'sensor nyc1', ok=2), '--cluster')

    def test_sort_limit_and_formats(self):
        for key in ('start', 'end:desc', 'duration', 'client_addr', 'server_port:desc', 'bytes:desc', 'packets', 'vlan', 'vlan:desc', 'client_mac', 'server_ttl:desc', 'state',
                    'tunnel', 'server_payload', 'proto')[:: 1 if self.thorough else 4]:
            name = key.split(':')[0]
            name = {'bytes': 'client_bytes', 'packets': 'client_packets'}.get(name, name)
            want, got = ([(r[name], r['server_bytes'] if 'bytes' in key else r['server_packets'] if 'packets' in key else 0) for r in rows]
                         for rows in (support.sessions(self.file('all.db'), '-s', key), self.asked('-s', key)))
            if 'bytes' in key or 'packets' in key:
                want, got = [a + b for a, b in want], [a + b for a, b in got]
            self.assertEqual(want, got, key)
        rows = self.asked('-s', 'bytes:desc')
        self.assertEqual(rows[:7], self.asked('-s', 'bytes:desc', '-n', '7'))
        self.assertEqual([], self.asked('-n', '0'))
        self.assertEqual(self.cluster('query', '-n', '3', '--count').text, '3\n')
        self.assertEqual(sorted(r['sensor'] for r in rows), [r['sensor'] for r in self.asked('-s', 'sensor')])
        self.assert_says(self.cluster('query', '-s', 'nothing', ok=2), 'cannot sort', 'sensor')
        if not self.thorough:
            return
        head = self.cluster('query', '-n', '2').text.split('\n')[:2]
        self.assertEqual((head[0].split('\t')[:2], len(head[1].split('\t'))), (['sensor', 'id'], len(head[0].split('\t'))))
        self.assertTrue(self.cluster('query', '-n', '1', '--format', 'csv').text.startswith('sensor,id,start'))
        self.assertRegex(self.cluster('query', '-n', '1', '--format', 'table').text, r'^SENSOR +ID +START')
        self.assertRegex(self.cluster('query', '-n', '1', '--format', 'zeek', 'tcp').text, r'(?s)#fields\tsensor\tts\t.*\n#types\tstring\ttime.*\n(nyc1|3-sgp|lon.2)\t\d+\.\d+\t')
        self.assertEqual(self.cluster('query', '-C', 'id,sensor', 'sensor nyc1 and id 1').text, 'id\tsensor\n1\tnyc1\n')
        self.assert_says(flowcarve('query', '-d', self.dbs[0], '-C', 'sensor', ok=2), '--cluster')
        self.assertEqual(self.cluster('query', 'host 203.0.113.99').rc, 1)
        self.assertEqual((self.cluster('query', '-q', 'tcp').rc, self.cluster('query', '-q', 'host 203.0.113.99').rc), (0, 1))

    def test_top(self):
        cases = [('--by', by) for by in ('client', 'server', 'host', 'pair', 'port', 'protocol', 'state', 'vlan', 'tunnel', 'time')]
        cases += [('--by', 'client', '-C', 'sessions,peers,ports,interval,first,last', '-n', '9', '-s', s) for s in ('peers', 'sessions', 'ports:asc', 'interval', 'first', 'last:asc')]
        cases += [('--by', 'host', '-n', '5', '-s', s) for s in ('bytes', 'packets:asc', 'sent_bytes', 'received_bytes', 'host')] + [('--by', 'time', '--bucket', '7s', '-n', '9')]
        cases += [('--by', 'vlan', '-n', '2', '-s', 'vlan:desc'), ('--by', 'tunnel', '-n', '3', '-s', 'tunnel'), ('--by', 'pair', '-n', '4', '-s', 'client_bytes')]
        cases += [('--by', by, '--by', 'time', '--bucket', '1h', *more) for by, more in (('pair', ()), ('vlan', ('-n', '5', '-s', 'vlan:desc')), ('port', ('-n', '7', '-s', 'port')), ('host', ('-n', '9')))]
        for number, words in enumerate(cases if self.thorough else cases[::3]):
            for text in ('not udp and after 2023-11-14' if number % 2 else '',):
                if words[:2] == ('--by', 'time') and not text:
                    text = 'on 2023-11-14 or on 2023-11-17' if '--bucket' not in words else 'on 2023-11-14'
                want, got = ([json.loads(x) for x in r.text.splitlines()] for r in (flowcarve('top', '-d', self.file('all.db'), *words, '--format', 'json', text, ok=(0, 1)),
                                                                                     self.cluster('top', *words, '--format', 'json', text)))
                self.assertEqual(len(want), len(got), (words, text))
                for a, b in zip(want, got):
                    for k in ('interval_mean', 'interval_deviation'):
                        x, y = a.pop(k, None), b.pop(k, None)
                        self.assertTrue(x is y is None or abs(x - y) < 1e-6, (words, text, k, x, y))
                    self.assertEqual(a, b, (words, text))
        self.assertEqual(flowcarve('stats', '-d', self.file('all.db')).text, self.cluster('stats').text)
        own = {r['sensor']: r['sessions'] for r in map(json.loads, self.cluster('top', '--by', 'sensor', '--format', 'json').text.splitlines())}
        self.assertEqual(own, {n: len(support.sessions(db)) for n, db in zip(NAMES, self.dbs)})
        self.assert_says(self.cluster('top', '--by', 'file', ok=2), 'captures')
        self.assert_says(flowcarve('top', '-d', self.dbs[0], '--by', 'sensor', ok=2), 'one sensor')

    def test_over_time(self):
        filters = ['', 'not udp', 'on 2023-11-14', 'on 2023-11-14 and tcp', 'host 10.9.0.3', 'net 10.6.0.0/16', 'host 203.0.113.9']
        support.write(self.file('filters'), '\n'.join(filters).encode() + b'\n')
        with open(self.file('filters'), 'rb') as f:
            lines = support.run(CLUSTER_ASK, self.file('c.ini'), self.file('all.db'), 'over-time', stdin=f).text.split('\n')
        self.assertEqual(lines[-1], '')
        for text, own, many in zip(filters, lines[::2], lines[1::2]):
            self.assertNotIn('E ', own)
            self.assertEqual(own, many, text)

    def test_long_filters(self):
        hosts = ','.join('10.%d.%d.1' % (i >> 8, i & 255) for i in range(400))
        deep = 'tcp'
        for i in range(60):
            deep = '(%s) %s packets over %d' % (deep, ('and not', 'or')[i % 2], i)
        self.same(['host %s,10.9.0.3' % hosts, deep])
        self.assert_says(self.cluster('query', 'host ' + ','.join('10.%d.%d.2' % (i >> 8, i & 255) for i in range(10001)), ok=2), '10000')
        self.assert_says(self.cluster('query', ' or '.join('net 10.%d.%d.0/24' % (i >> 8, i & 255) for i in range(1001)), ok=2), '1000')


@unittest.skipUnless(engines.has_server(), 'clickhouse-server is not installed: nothing was asked of an engine')
class Servers(Cluster, support.TestCase):
    """Two servers of Debian's release, and Distributed tables."""
    thorough = True

    @classmethod
    def start(cls):
        cls.engines = engines.servers(2)
        for e in cls.engines:
            e.is_old = True
            engine_rows.make_tables(e, 'flowcarve')

    def test_nothing_of_a_user_reaches_the_engine(self):
        between = Between(self.engines[0].url)
        self.addCleanup(between.close)
        self.write_file(NAMES, between.here, 'between.ini')
        filters = Filters(self.rows, 'between')
        for text in list(HOSTILE) + [filters.tree(3) for _ in range(10)] + ['sensor lon.2 and community-id ' + self.rows[3]['community_id'], 'tunnel vxlan:42 and vlan 5']:
            self.cluster('query', '--count', text, ok=(0, 1, 2), file='between.ini')
        for words in (('top', '--by', 'port', 'sensor nyc1'), ('query', '-n', '1', '-s', 'vlan', 'udp')):
            self.cluster(*words, file='between.ini')
        asked = [q for q in between.asked if q]
        self.assertGreater(len(asked), 40)
        for sql in asked:
            for text in re.findall("'([^']*)'", sql):
                self.assertRegex(text, '^([0-9a-f]{2})*$', sql)
            bare = re.sub("'[^']*'", "''", sql)
            self.assertRegex(bare, r"^[][A-Za-z0-9_ (),.'=<>!+*-]*$")
            for word in ('lon', 'nyc', 'DROP', '1:'):
                self.assertNotIn(word, bare)

    def test_conditions_that_are_not_narrow(self):
        """What finds more sessions than are looked up one by one: none of these has as many, so the engine is told another number."""
        between = Between(self.engines[0].url)
        self.addCleanup(between.close)
        between.path = lambda path: re.sub('max_rows_in_set=[0-9]+', 'max_rows_in_set=9', path)
        self.write_file(NAMES, between.here, 'between.ini')
        self.same(EVERY[::4], 'between.ini')
        for text in ('', 'tcp', 'sensor 3-sgp and tcp'):
            for words in (('--by', 'pair', '-n', '5'), ('--by', 'state')):
                self.assertEqual(self.cluster('top', *words, text, file='between.ini').text, self.cluster('top', *words, text).text)
        said = ''.join(between.asked)
        for source in ('id IN (SELECT id', 'FROM session FINAL WHERE', 'FROM session WHERE deleted', 'UNION ALL SELECT * FROM session FINAL WHERE day IN'):
            self.assertIn(source, said)

    def test_rows_that_come_while_sums_are_asked_for(self):
        """One that replaces another, on a day of which rows are added up as they lie: seen behind the sums, which are asked for again."""
        for words, begin in ((('query', '--count'), 'SELECT count() FROM (SELECT * FROM session WHERE day NOT IN'),
                             (('top', '--by', 'protocol'), 'SELECT proto, n, ')):
            want = self.cluster(*words).text
            between, left = Between(self.engines[0].url), [self.last_rows.pop()]
            self.addCleanup(between.close)
            self.write_file(NAMES, between.here, 'between.ini')

            def answer(sql, begin=begin, left=left):
                if sql.startswith(begin) and left:
                    engine_rows.insert_sessions(self.engines[0], [left.pop()] * 3)
            between.answer = answer
            self.assertEqual(self.cluster(*words, file='between.ini').text, want)
            self.assertEqual(left, [])
            self.assertEqual(sum(sql.startswith(begin.split(' FROM')[0]) for sql in between.asked), 2)
            for e in self.engines:
                e.ask("OPTIMIZE TABLE flowcarve.session_local PARTITION '%s' FINAL" % engine_rows.date(self.last_rows[0]['day']))

    def test_what_is_no_answer(self):
        between = Between(self.engines[0].url)
        self.addCleanup(between.close)
        self.write_file(NAMES, between.here, 'between.ini')
        rows = []

        def answer(change):
            def one(sql):
                if 'FROM session' not in sql:
                    return None
                data = urllib.request.urlopen(urllib.request.Request(self.engines[0].url + '/?database=flowcarve&distributed_product_mode=local', sql.encode())).read()
                rows.append(len(data))
                return change(data)
            return one
        for change, words in ((lambda d: (200, d[:-1]), ('not what was asked', 'row')), (lambda d: (200, d[:1]), ('row 1',)),
                              (lambda d: (200, b'\x04nope' + d[5:]), ('row 1',)), (lambda d: (200, d + d), ('row',)),
                              (lambda d: (200, b'\xff' * 200), ('row 1',)), (lambda d: (500, b'Code: 159, e.displayText() = DB::Exception: Timeout exceeded'), ('30 s', '--deadline')),
                              (lambda d: (500, b'Code: 241, e.displayText() = DB::Exception: Memory limit'), ('memory limit',)), (lambda d: (302, b''), ('302',))):
            between.answer = answer(change)
            r = self.cluster('query', '-n', '5', ok=2, file='between.ini')
            self.assert_says(r, *words)
        between.answer = answer(lambda d: (time.sleep(3), (200, d))[1])
        began = time.time()
        self.assert_says(self.cluster('query', '--count', '--deadline', '200ms', ok=2, file='between.ini'), 'http://')
        self.assertLess(time.time() - began, 4)

    def test_too_much(self):
        r = self.cluster('query', '--max-rows', '20', ok=2)
        self.assert_says(r, 'more than 20 rows', '%d sessions' % len(self.rows), '--max-rows')
        self.assertEqual(r.text.count('\n'), 1 if r.text else 0)
        self.assert_says(self.cluster('top', '--max-rows', '20', 'not tcp', ok=2), 'more than 20 rows')
        self.assert_says(self.cluster('query', '--max-rows', 'x', ok=2), '--max-rows')
        self.assert_says(self.cluster('query', '--deadline', 'soon', ok=2), '--deadline')
        self.assert_says(flowcarve('query', '-d', self.dbs[0], '--max-rows', '5', ok=2), '--cluster')
        for words in (('-d', 'x.db'), ('-r', 'x.pcap'), ('--files', '--format', 'json'), ('--from', 'x')):
            self.assert_says(self.cluster('query', *words, ok=2), words[0].replace('-d', '--db').replace('-r', '--read') if words[0] in ('-d', '-r') else words[0])

    def test_sensors_that_one_of_both_does_not_know(self):
        self.write_file(('nyc1', 'ams9', 'lon.2'), to='other.ini')
        r = self.cluster('query', '--count', file='other.ini')
        self.assertEqual(r.text, '%d\n' % len(self.rows))
        self.assert_says(r, 'sensor ams9 is not asked', 'sensor 3-sgp is in the engine, but not in the file')
        self.assertEqual(self.cluster('query', '--count', 'sensor ams9', file='other.ini').text, '0\n')
        self.assertEqual(self.cluster('query', '-q', 'tcp', file='other.ini').err, '')
        self.write_file(NAMES, url=self.engines[0].url, to='empty.ini')
        text = support.read_bytes(self.file('empty.ini')).replace(b'/flowcarve', b'/nothing')
        support.write(self.file('empty.ini'), text)
        self.assert_says(self.cluster('query', ok=2, file='empty.ini'), 'nothing', 'exported')

    def test_fields_that_a_sensor_does_not_hold(self):
        """Made for this test alone: the last generation of a sensor is the one that is asked."""
        db = self.file('bare.db')
        support.index(db, '-q', '--fields', 'vlan', self.file('b.pcap'))
        engine_rows.load(self.engines[0], db, 'bare', b'\x09' * 16)
        try:
            self.assert_says(self.cluster('query', 'tunnel gre', ok=2), 'sensor bare holds no tunnel', 'not sensor bare')
            self.assertEqual(len(self.asked('tunnel gre and not sensor bare')), 1)
            mine = support.sessions(db, '--community-id', 'tcp')
            self.assertEqual(collections.Counter(map(without, mine)), collections.Counter(map(without, self.asked('--community-id', 'sensor bare and tcp'))))
            self.assertEqual(len(self.asked('sensor bare and community-id ' + mine[0]['community_id'])), 1)
            again = self.file('again.db')
            support.index(again, '-q', '--fields', 'all', self.file('t.pcapng'))
            engine_rows.load(self.engines[0], again, 'bare', b'\x0a' * 16, since=2)
            self.assertEqual(len(self.asked('sensor bare')), 5)
        finally:
            for e in self.engines:
                e.ask("ALTER TABLE flowcarve.sensor_local DELETE WHERE sensor = 'bare'")
                while e.ask("SELECT count() FROM flowcarve.sensor_local WHERE sensor = 'bare'") != b'0\n':
                    time.sleep(.02)

    def test_zz_a_shard_that_is_down(self):
        self.engines[1].kill(signal.SIGKILL)
        for words in (('query',), ('query', '--count'), ('top',), ('stats',), ('query', 'sensor nyc1')):
            r = self.cluster(*words, ok=2)
            self.assertEqual((r.rc, r.text), (2, ''), str(r))
        self.engines[1].start()
        self.assertEqual(self.cluster('query', '--count').text, '%d\n' % len(self.rows))
        self.engines[0].kill(signal.SIGKILL)
        self.assert_says(self.cluster('query', ok=2), 'http://127.0.0.1')
        self.engines[0].start()


@unittest.skipUnless(engines.library(), 'FLOWCARVE_CLUSTER_TOOLS has no chdb: nothing was asked of a current engine')
class Current(Cluster, support.TestCase):
    """A current release, one server."""
    thorough = False

    @classmethod
    def start(cls):
        cls.engines = [engines.Current()]
        cls.engines[0].is_old = False
        engine_rows.make_tables(cls.engines[0])


if __name__ == '__main__':
    support.main()
