# SPDX-License-Identifier: MIT
"""Carving over sensors: three of them on loopback, some behind TLS, some that die, hang or lie, and what becomes of the capture."""
import http.server, json, os, random, shutil, signal, socket, sqlite3, ssl, struct, subprocess, threading, time, unittest

import engines, serving, support
from serving import METADATA, TOKEN, Server
from support import index, sessions

GATHER = os.path.abspath(os.environ.get('GATHER') or os.path.join(support.ROOT, 'build/dev/tests/gather'))
CA = os.path.join(support.ROOT, 'docs', 'flowcarve-ca')
UUID = ['%032x' % (0x1000 + i) for i in range(3)]
NAMES = ['nyc1', 'lon.2', 'fra_3']


def here():
    """A name of this machine that has to be looked up, which needs more of a process than an address does."""
    with open('/etc/hosts') as f:
        for line in f:
            words = line.split('#')[0].split()
            if words[:1] == ['127.0.0.1']:
                return words[-1]
    return 'localhost'


def read(path):
    return support.parse_capture(support.uncompressed(support.read_bytes(path)))


def set_uuid(db, text):
    with sqlite3.connect(db) as c:
        c.execute("INSERT OR REPLACE INTO meta VALUES ('generation', ?)", (text,))
    c.close()


def raw_ip(records):
    """The same packets without their Ethernet headers, where nothing stands between: another link type."""
    return [(r.ts_ns, r.data[14:], r.origlen - 14) for r in records if r.data[12:14] in (b'\x08\x00', b'\x86\xdd') and len(r.data) > 34]


def interfaces(data):
    """Comments of the interface descriptions of a pcapng."""
    found, o, e = [], 0, '<'
    while o < len(data):
        if data[o:o + 4] == b'\x0a\x0d\x0d\x0a':
            e = '>' if data[o + 8:o + 12] == b'\x1a\x2b\x3c\x4d' else '<'
        kind, size = struct.unpack_from(e + 'II', data, o)
        if kind == 1:
            p, comment = o + 16, None
            while p + 4 <= o + size - 4:
                code, n = struct.unpack_from(e + 'HH', data, p)
                if code == 0:
                    break
                if code == 1 and comment is None:
                    comment = data[p + 4:p + 4 + n].decode()
                p += 4 + (n + 3) // 4 * 4
            found.append(comment)
        o += size
    return found


class Engine(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # an answer goes out in pieces
    """What a ClickHouse answers that has these sessions: {sensor: (uuid, number of sessions)}, whatever the filter is."""
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self):
        sql = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        text = lambda name: bytes([len(name)]) + name.encode()
        rows = []
        if 'version()' in self.path:
            rows = [b'23.8.1.1\n']
        for name, (uuid, count) in sorted(self.server.sessions.items()):
            if sql.startswith('SELECT sensor, generation FROM '):
                rows.append(text(name) + bytes.fromhex(uuid))
            elif sql.startswith('SELECT sensor, generation, run, fields, clock_ns, told_ns FROM progress'):
                rows.append(text(name) + bytes.fromhex(uuid) + struct.pack('<QIqq', 1, 0, 0, 0))
            elif sql.startswith('SELECT sensor, id, timed, start_ns'):
                rows += [text(name) + struct.pack('<qBq', n, 1, n) for n in range(1, count + 1)]
        data = b''.join(rows)
        self.send_response(200)
        lines = self.server.trailer
        self.send_header(*(('Transfer-Encoding', 'chunked') if lines else ('Content-Length', str(len(data)))))
        self.end_headers()
        try:
            self.wfile.write(b'%x\r\n%s\r\n0\r\n%s\r\n' % (len(data), data, lines) if lines else data)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = answer


class Case(support.TestCase):
    """Three sensors with captures that differ in all that a capture says, without TLS."""
    packets = 3000

    def make(self):
        self.fcgen('0.pcap', '--packets', str(self.packets), '--sessions', '150', '--seed', '1', '--vlan', '10')
        self.fcgen('1.pcapng', '--packets', str(self.packets), '--sessions', '120', '--seed', '2', '--ns', '--format', 'pcapng', '--interfaces', '3', '--big-endian')
        self.fcgen('x.pcap', '--packets', str(self.packets), '--sessions', '90', '--seed', '3', '--vlan', '0', '--proto', 'tcp=60,udp=40')
        made = raw_ip(support.read_capture(self.path('x.pcap')))
        self.write('2.pcap', support.pcap_bytes(made, linktype=101, magic=0xa1b23c4d))
        os.remove(self.path('x.pcap'))
        support.run('gzip', self.path('2.pcap'))
        self.captures = [self.path(n) for n in ('0.pcap', '1.pcapng', '2.pcap.gz')]

    def setUp(self):
        super().setUp()
        self.make()
        self.dbs = [self.path('%d.db' % i) for i in range(3)]
        self.servers, self.counts = [], []
        for i, db in enumerate(self.dbs):
            index(db, '-q', self.captures[i])
            set_uuid(db, UUID[i])
            self.counts.append(len(sessions(db)))
        self.write('token', TOKEN.encode())
        os.chmod(self.path('token'), 0o600)
        self.engine = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Engine)
        self.engine.sessions = {NAMES[i]: (UUID[i], self.counts[i]) for i in range(3)}
        self.engine.trailer = b''
        threading.Thread(target=self.engine.serve_forever, args=(.02,), daemon=True).start()
        self.addCleanup(self.engine.server_close)
        self.addCleanup(self.engine.shutdown)

    def serve(self, i, *words, **options):
        os.makedirs(self.path('s%d' % i), exist_ok=True)
        server = Server(self, self.dbs[i], '--sensor', NAMES[i], '--audit', self.path('audit%d' % i), *words, **options)
        self.addCleanup(server.stop, None)
        return server

    def cluster(self, urls, common='token-file = token', own=None, engine=None):
        text = '[engine]\nurl = %s/flowcarve\n[sensors]\n%s\n' % (engine or 'http://127.0.0.1:%d' % self.engine.server_address[1], common)
        for i, url in enumerate(urls):
            text += '[sensor %s]\nurl = %s\n%s\n' % (NAMES[i] if i < 3 else 'more%d' % i, url, (own or {}).get(i, ''))
        return self.write('c.ini', text.encode())

    def start(self, *words):
        self.servers = [self.serve(i, '--host', here(), *words) for i in range(3)]
        self.cluster(['http://127.0.0.1:%d' % s.port for s in self.servers])

    def carve(self, *words, ok=0, output='all.pcapng', **options):
        return support.flowcarve('carve', '--cluster', self.path('c.ini'), '-w', self.path(output) if output else '-', *words, ok=ok, **options)

    def part(self, i, ids=None, uuid=None):
        return '%s/%s/%s' % (NAMES[i], uuid or UUID[i], ids or '1-%d' % self.counts[i])

    def gather(self, *words, output='out', ok=0, seconds=60):
        """(numbers, what is missing by sensor, error line, capture)"""
        out = self.path(output)
        r = support.run(GATHER, self.path('c.ini'), out, *words, ok=(0, 1), seconds=seconds)
        lines = r.text.splitlines()
        missing = {}
        for line in lines[1:]:
            if line.startswith('missing '):
                missing.setdefault(line.split()[1], []).append(line)
        error = [line for line in lines if line.startswith('error ')]
        self.assertEqual(r.rc, ok, str(r))
        self.assertEqual(bool(error), ok != 0, r.text)
        return [int(n) for n in lines[0].split()], missing, error[0] if error else '', support.read_bytes(out)

    def everything(self, chosen=(0, 1, 2)):
        return [r for i in chosen for r in read(self.captures[i])]

    def assert_is(self, data, records):
        got = support.parse_capture(data)
        self.assertEqual(support.multiset(got), support.multiset(records))
        times = [r.ts_ns for r in got]
        self.assertEqual(times, sorted(times))


class Merges(Case):
    """All in one, since sensors take longer to start than to answer."""

    def runTest(self):
        self.start()
        for name in sorted(dir(self)):
            if name.startswith('check_'):
                with self.subTest(name[6:]):
                    getattr(self, name)()

    def check_all_of_three(self):
        numbers, missing, _, data = self.gather(*(self.part(i) for i in range(3)))
        whole = self.everything()
        self.assert_is(data, whole)
        self.assertEqual((numbers[:4], missing), ([3, sum(self.counts), len(whole), 0], {}))
        # as one index over all of it has them; and others can read it
        index(self.path('all.db'), '-q', *self.captures)
        self.assertEqual(support.multiset(self.carved(self.path('all.db'))), support.multiset(whole))
        said = interfaces(data)
        self.assertEqual({c for c in said}, {'sensor ' + n for n in NAMES})
        if shutil.which('tshark'):
            rows = support.run('tshark', '-r', self.path('out'), '-T', 'fields', '-e', 'frame.time_epoch', '-e', 'frame.len', '-e', 'frame.encap_type').text.split('\n')[:-1]
            want = [(r.ts_ns, r.origlen) for r in support.parse_capture(data)]
            self.assertEqual([(int(t.replace('.', '')), int(n)) for t, n, _ in (row.split('\t') for row in rows)], want)
            self.assertEqual(len({row.split('\t')[2] for row in rows}), 2)

    def check_some_sessions(self):
        _, missing, _, data = self.gather(self.part(1, '1-3,7'), self.part(0, '5,100-102'))
        self.assert_is(data, self.carved(self.dbs[0], '-i', '5,100-102') + self.carved(self.dbs[1], '-i', '1-3,7'))
        numbers, _, _, data = self.gather(self.part(0), self.part(2), 'first=1', 'server=1')
        self.assert_is(data, self.carved(self.dbs[0], '--first-packets', '1', '--direction', 'server') +
                       self.carved(self.dbs[2], '--first-packets', '1', '--direction', 'server'))
        numbers, _, _, data = self.gather(self.part(0, '4'), self.part(1, '4'), 'comments=1')
        self.assertIn(b'session 4, %s, record ' % self.captures[0].encode(), data)
        numbers, _, _, data = self.gather()
        self.assertEqual((numbers[:5], data), ([0] * 5, b''))

    def check_pcap(self):
        _, _, _, data = self.gather(self.part(0), self.part(1), 'format=pcap')
        self.assertEqual(data[:4], struct.pack('<I', 0xa1b23c4d) if data[:1] == b'\x4d' else struct.pack('>I', 0xa1b23c4d))
        self.assert_is(data, self.everything((0, 1)))
        _, _, error, _ = self.gather(self.part(0), self.part(2), 'format=pcap', ok=1)
        self.assertIn('several link types; use pcapng', error)

    def check_another_index(self):
        numbers, missing, error, _ = self.gather(self.part(0, uuid='f' * 32), self.part(1), self.part(2, uuid='e' * 32), ok=1)
        self.assertEqual(set(missing), {NAMES[0], NAMES[2]})  # both, not the first alone
        self.assertIn('it answers 409: this is the index %s' % UUID[0], missing[NAMES[0]][0])
        self.assertIn('%d 0 [1-%d]' % (self.counts[0], self.counts[0]), missing[NAMES[0]][0])
        numbers, missing, _, data = self.gather(self.part(0, uuid='f' * 32), self.part(1), 'partial=1')
        self.assert_is(data, self.everything((1,)))
        self.assertEqual((set(missing), numbers[:3]), ({NAMES[0]}, [1, self.counts[1], self.packets]))

    def check_sessions_that_are_not_there(self):
        _, missing, _, _ = self.gather(self.part(0, '1-3,5000-5001'), self.part(1), ok=1)
        self.assertIn('there is no session 5000-5001', missing[NAMES[0]][0])
        _, missing, _, data = self.gather(self.part(0, '1-3,5000-5001'), self.part(1), 'partial=1')
        self.assert_is(data, self.carved(self.dbs[0], '-i', '1-3') + self.everything((1,)))
        self.assertIn('2 0 [5000-5001]', missing[NAMES[0]][0])

    def check_a_capture_that_is_gone(self):
        os.rename(self.captures[2], self.path('away'))
        try:
            _, missing, error, data = self.gather(self.part(0), self.part(1), self.part(2), ok=1)
            self.assertEqual((set(missing), data), ({NAMES[2]}, b''))
            self.assertIn(self.captures[2], missing[NAMES[2]][0])
            self.assertIn('it answers 409', missing[NAMES[2]][0])
            numbers, missing, _, data = self.gather(self.part(0), self.part(1), self.part(2), 'partial=1')
            self.assert_is(data, self.everything((0, 1)))
            self.assertIn(' 0 %d [] ' % len(read(self.path('away'))), missing[NAMES[2]][0])
        finally:
            os.rename(self.path('away'), self.captures[2])

    def check_a_sensor_that_nobody_names(self):
        _, missing, error, _ = self.gather(self.part(0), 'tok9/%s/1-5' % UUID[0], ok=1)
        self.assertIn('c.ini does not name it', missing['tok9'][0])

    def check_who_may_not(self):
        for token, said in ((METADATA, '403'), ('x' * 40, '401')):
            self.write('other', token.encode())
            os.chmod(self.path('other'), 0o600)
            text = support.read_bytes(self.path('c.ini'))
            self.cluster(['http://127.0.0.1:%d' % s.port for s in self.servers], own={1: 'token-file = other'})
            _, missing, _, data = self.gather(self.part(0), self.part(1), ok=1)
            self.write('c.ini', text)
            self.assertIn('it answers ' + said, missing[NAMES[1]][0])
            self.assertEqual((set(missing), data), ({NAMES[1]}, b''))

    def check_too_many(self):
        r = support.run('bash', '-c', 'ulimit -n 34; exec "$@"', '-', GATHER, self.path('c.ini'), self.path('out'), *(self.part(i) for i in range(3)), ok=1)
        self.assertIn('3 sensors are asked at once', r.text)

    def check_status(self):
        rows = [line.split('|') for line in support.run(GATHER, self.path('c.ini'), 'status').text.splitlines()]
        self.assertEqual([r[:2] + r[3:6] for r in rows], [[NAMES[i], '1', NAMES[i], UUID[i], str(self.counts[i])] for i in range(3)])
        for i, r in enumerate(rows):
            self.assertEqual(int(r[6]), max(x['end_ns'] for x in sessions(self.dbs[i])))
            self.assertTrue(r[7] == '1' and abs(int(r[8])) < 2 * 10**9, r)
        self.cluster(['http://127.0.0.1:%d' % self.servers[1].port, 'http://127.0.0.1:1', 'http://127.0.0.1:%d' % self.servers[2].port])
        rows = [line.split('|') for line in support.run(GATHER, self.path('c.ini'), 'status').text.splitlines()]
        self.cluster(['http://127.0.0.1:%d' % s.port for s in self.servers])
        self.assertEqual([r[1] for r in rows], ['1', '0', '1'])
        self.assertIn("it calls itself 'lon.2'", rows[0][9])
        self.assertIn('connect', rows[1][9])


class Commands(Case):
    packets = 500

    def runTest(self):
        self.start()
        out = self.path('all.pcapng')
        r = self.carve('tcp', '--mode', '640')
        self.assert_is(support.read_bytes(out), self.everything())
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o640)
        self.assertRegex(r.err, r'^[\d,]+ packets of %d sessions of 3 sensors carved, [\d.]+ kB\n$' % sum(self.counts))
        self.assert_is(self.carve('-q', output=None).out, self.everything())
        r = self.carve('--json', '--first-packets', '2', '-v')
        told = json.loads(r.text)
        self.assertEqual((told['sensors'], told['sessions'], told['missing'], told['packets']),
                         (3, sum(self.counts), 0, len(support.read_capture(out))))
        self.carve('--compress', 'gzip', output='all.gz')
        self.assert_is(support.uncompressed(support.read_bytes(self.path('all.gz'))), self.everything())

        # a sensor that is down: nothing, and what was there stays
        port, kept = self.servers[1].port, self.write('all.pcapng', b'kept')
        self.servers[1].stop()
        for words in ((), ('--json',)):
            r = self.carve(*words, ok=2)
            self.assertEqual((support.read_bytes(kept), r.out), (b'kept', b''))
            self.assertRegex(r.err, r'sensor lon\.2: .*[Cc]onnect.*; %d sessions missing: 1-%d\n' % (self.counts[1], self.counts[1]))
            self.assert_says(r, 'nothing was carved; --partial carves what can be had')
        self.assertEqual(self.carve(ok=2, output=None).out, b'')
        self.carve(ok=2, output='new.pcapng')
        self.assertNotIn('new.pcapng', self.listing())
        r = self.carve('--partial', '-q')
        self.assert_is(support.read_bytes(out), self.everything((0, 2)))
        self.assertRegex(r.err, r'^flowcarve: warning: sensor lon\.2: .*; %d sessions left out: 1-%d\n$' % (self.counts[1], self.counts[1]))
        self.assertEqual(json.loads(self.carve('--partial', '--json').text)['missing'], 1)
        # all of them, and who is not to be asked
        self.cluster(['http://127.0.0.1:%d' % port] * 3)
        self.write('all.pcapng', b'kept')
        for words in ((), ('--partial',)):
            r = self.carve(*words, ok=2)
            self.assertEqual((support.read_bytes(kept), r.err.count('sensor ')), (b'kept', 3))
            self.assert_says(r, 'nothing was carved')
        self.cluster(['http://%s:%d' % (here(), self.servers[0].port)])
        r = self.carve(ok=2)
        self.assertEqual(sum('does not name it' in line for line in r.err.splitlines()), 2, r.err)
        self.engine.sessions = {NAMES[0]: (UUID[0], self.counts[0])}
        self.carve()
        self.assert_is(support.read_bytes(out), self.everything((0,)))  # by the name of a host as well
        # nothing to carve
        self.engine.sessions[NAMES[0]] = (UUID[0], 0)
        r = self.carve(ok=1, output='none.pcapng')
        self.assert_says(r, 'no session matches')
        self.assertNotIn('none.pcapng', self.listing())
        self.refused()

    def refused(self):
        for words, said in ((('-d', 'x.db'), '--db is about an index'), (('-i', '5'), '--id is about'), (('-r', 'a.pcap'), '--read is about'),
                            (('--with-peers', '1s,1s'), '--with-peers is about'), (('--silence', 'x'), '--silence takes a time'),
                            (('--format', 'pcap', '--comments'), '--comments are those of one pcapng'), (('hsot',), 'hsot')):
            self.assert_says(self.carve(*words, ok=2), said)
        for words, said in ((('--silence', '5s'), '--silence goes with --cluster'),):
            self.assert_says(support.flowcarve('carve', '-w', self.path('out'), '-d', self.dbs[0], *words, ok=2), said)
        self.assert_says(support.flowcarve('carve', '--cluster', self.path('none.ini'), '-w', self.path('out'), ok=2), 'none.ini')
        self.engine.trailer = b'X: %s\r\n' % (b'x' * 100) * 20000
        self.assert_says(self.carve(ok=2), 'headers have no end')


class Liar(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # an answer goes out in pieces
    """A sensor that sends what it is told to: (status, pieces of a body, what stands behind the last chunk, what else)."""
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        status, pieces, behind, then = self.server.plan
        self.send_response(status)
        self.send_header('Transfer-Encoding', 'chunked')
        if then == 'header':
            self.send_header('X', 'x' * 300000)
        try:
            self.end_headers()
            for piece in pieces:
                self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
            if then == 'hang':
                self.wfile.flush()
                self.server.hung.wait(30)
            if then != 'break':
                self.wfile.write(b'0\r\n' + b''.join(b'%s: %s\r\n' % line for line in behind.items()) + b'\r\n')
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.close_connection = True


class Lies(Case):
    packets = 800

    def runTest(self):
        self.start()
        liar = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Liar)
        liar.hung = threading.Event()
        threading.Thread(target=liar.serve_forever, args=(.02,), daemon=True).start()
        self.addCleanup(liar.server_close)
        self.addCleanup(liar.shutdown)
        self.addCleanup(liar.hung.set)
        body = self.servers[1].raw('/v1/carve', format='pcapng')
        n = len(support.parse_capture(body))
        self.cluster(['http://127.0.0.1:%d' % p for p in (self.servers[0].port, liar.server_address[1], self.servers[2].port)])
        good = {b'Flowcarve-Packets': b'%d' % n, b'Flowcarve-Sessions': b'%d' % self.counts[1], b'Flowcarve-Missing': b'0', b'Flowcarve-Forgotten': b'0'}
        pieces = [body[i:i + 5000] for i in range(0, len(body), 5000)]
        middle, edge = len(body) // 2, 0
        while edge < middle:  # where a block begins
            edge += struct.unpack_from('>I', body, edge + 4)[0] if body[8:12] == b'\x1a\x2b\x3c\x4d' else struct.unpack_from('<I', body, edge + 4)[0]
        parts = [self.part(i) for i in range(3)]

        liar.plan = (200, pieces, good, '')
        self.assert_is(self.gather(*parts)[3], self.everything())
        liar.plan = (200, [bytes([b]) for b in body[:3000]] + [body[3000:]], good, '')
        self.assert_is(self.gather(*parts)[3], self.everything())

        without = lambda key: {k: v for k, v in good.items() if k != key}
        for name, plan, said in (
                ('no trailer', (200, pieces, {}, ''), 'without telling what it has sent'),
                ('half a trailer', (200, pieces, without(b'Flowcarve-Missing'), ''), 'without telling what it has sent'),
                ('no number', (200, pieces, {**good, b'Flowcarve-Packets': b'many'}, ''), 'without telling what it has sent'),
                ('one more', (200, pieces, {**good, b'Flowcarve-Packets': b'%d' % (n + 1)}, ''), 'it tells of %d packets, and has sent %d' % (n + 1, n)),
                ('one less', (200, pieces, {**good, b'Flowcarve-Packets': b'%d' % (n - 1)}, ''), 'it tells of %d packets' % (n - 1)),
                ('a session less', (200, pieces, {**good, b'Flowcarve-Sessions': b'%d' % (self.counts[1] - 1)}, ''), 'sessions'),
                ('a session more', (200, pieces, {**good, b'Flowcarve-Sessions': b'%d' % (self.counts[1] + 1)}, ''), 'sessions'),
                ('something missing', (200, pieces, {**good, b'Flowcarve-Missing': b'7'}, ''), '7 packets missing'),
                ('broken off', (200, [body[:middle]], {}, 'break'), 'broken off'),
                ('broken off at once', (200, [], {}, 'break'), ''),
                ('cut', (200, [body[:middle]], good, ''), ''),
                ('nothing', (200, [], good, ''), 'what it sends is no capture'),
                ('no capture', (200, [b'<html>' * 100], good, ''), 'what it sends is no capture'),
                ('pcap', (200, [support.read_bytes(self.captures[0])], good, ''), 'what it sends is no capture'),
                ('damage', (200, [body[:edge] + bytes(40) + body[edge + 40:]], good, ''), 'what it sends is no capture'),
                ('a block of 4 GB', (200, [body[:28] + b'\x0b\xad\0\0\xff\xff\xff\xfc' + body[28:]], good, ''), 'what it sends is no capture'),
                ('a page', (502, [b'<html>bad gateway</html>'], {}, ''), 'it answers 502: it does not say why'),
                ('busy', (503, [b'{"error":{"code":"busy","message":"too \\"much\\" \\u001b[31m"}}'], {}, ''), 'it answers 503: too "much" ')):
            with self.subTest(name):
                liar.plan = plan
                begun = time.monotonic()
                numbers, missing, error, data = self.gather(*parts, ok=1)
                self.assertLess(time.monotonic() - begun, 10)
                self.assertEqual(list(missing), [NAMES[1]], missing)
                self.assertIn(said, missing[NAMES[1]][0])
                self.assertIn('[1-%d]' % self.counts[1], missing[NAMES[1]][0])
                self.assertNotIn('\x1b', missing[NAMES[1]][0])
                numbers, missing, _, data = self.gather(*parts, 'partial=1')
                got = support.multiset(support.parse_capture(data))
                others = support.multiset(self.everything((0, 2)))
                self.assertFalse(others - got)  # what others have is there, and nothing of which there is none
                if name != 'damage':
                    self.assertFalse(got - others - support.multiset(self.everything((1,))))
                self.assertTrue(missing, name)

        self.check_what_has_no_end(liar, good, body, parts)
        for pieces in ([], [body[:1000]], [body[:middle]]):
            with self.subTest('hangs behind %d' % sum(map(len, pieces))):
                liar.plan = (200, pieces, good, 'hang')
                begun = time.monotonic()
                _, missing, _, _ = self.gather(*parts, 'silence=400', ok=1)
                self.assertTrue(0.3 < time.monotonic() - begun < 5)
                self.assertIn('nothing has come for 0.4 s', missing[NAMES[1]][0])
        self.check_interrupt(liar, good, body[:middle], parts)

    def check_what_has_no_end(self, liar, good, body, parts):
        """What a sensor sends of that packets do not need is bounded, and one that sends too much is left out alone."""
        order = '>' if body[8:12] == b'\x1a\x2b\x3c\x4d' else '<'
        block = lambda kind, data: struct.pack(order + 'II', kind, len(data) + 12) + data + struct.pack(order + 'I', len(data) + 12)
        interface = block(1, struct.pack(order + 'HHI', 1, 0, 0))
        option = lambda n, text: struct.pack(order + 'HH', n, len(text)) + text
        packet = lambda number: block(6, struct.pack(order + 'IIIII', number, 0, number, 4, 4) + b'abcd')
        many = interface * 1000
        large = [block(1, struct.pack(order + 'HHI', 1, 0, 0) + option(2, b'%04d' % n) + option(1, bytes(60000)) * 10) + packet(n) for n in range(120)]
        header = body[:struct.unpack_from(order + 'I', body, 4)[0]]
        lines = {b'Flowcarve-%d' % n: b'x' * 50 for n in range(2000)}
        for name, plan, said in (('interfaces without packets', (200, [header] + [many] * 120, good, ''), 'more than 100000 interfaces'),
                                 ('interfaces of a section', (200, [header] + [(interface * 100 + packet(0)) * 10] * 120, good, ''), 'more than 100000 interfaces'),
                                 ('blocks without packets', (200, [header] + [block(0xbad, bytes(1 << 20))] * 200, good, ''), 'cannot be held'),
                                 ('descriptions', (200, [header] + large, good, ''), 'it describes too many interfaces'),
                                 ('a trailer', (200, [body], {**lines, **good}, ''), 'its trailer has no end'),
                                 ('a line of a header', (200, [body], good, 'header'), 'a header of it has no end')):
            with self.subTest(name):
                liar.plan = plan
                _, missing, _, _ = self.gather(*parts, 'partial=1')
                self.assertEqual(list(missing), [NAMES[1]])
                self.assertIn(said, missing[NAMES[1]][0])

    def check_interrupt(self, liar, good, body, parts):
        liar.plan = (200, [body], good, 'hang')
        p = subprocess.Popen([GATHER, self.path('c.ini'), self.path('out'), *parts], stdout=subprocess.PIPE)
        time.sleep(0.5)
        begun = time.monotonic()
        p.terminate()
        out = p.communicate(timeout=10)[0].decode()
        self.assertLess(time.monotonic() - begun, 1.5)  # 0.1 s, on a machine that has nothing else to do
        self.assertIn('interrupted', out)


class Large(Case):
    packets = 32000

    def make(self):
        """The first two have the same times, and other bytes."""
        for i, more in enumerate((('--seed', '5'), ('--seed', '5', '--payload', 'zero'), ('--seed', '9', '--start', '1800000000'))):
            self.fcgen('%d.pcap' % i, '--packets', str(self.packets), '--sessions', '900', *more)
        self.captures = [self.path('%d.pcap' % i) for i in range(3)]

    def measure(self, ids):
        """KiB that carving these sessions of each sensor has taken."""
        numbers = self.gather(*(self.part(i, ids) for i in range(3)))[0]
        self.assertEqual(numbers[0], 3)
        return numbers[5]

    def test_memory_and_order(self):
        """One sensor's packets come behind those of the others: it is not listened to meanwhile, and nothing is kept whole."""
        self.start()
        total = sum(os.path.getsize(p) for p in self.captures)
        self.assertGreater(total, 60 << 20)
        little, all_of_it = self.measure('1'), self.measure(None)
        if not support.sanitized():
            self.assertLess(all_of_it - little, 6 << 10)
            self.assertLess(all_of_it, 40 << 10)
        data = support.read_bytes(self.path('out'))
        self.assert_is(data, self.everything())
        # packets of one time are in the order of the parts, and then in that of the stream
        self.assertTrue([r.data for r in support.parse_capture(data)] == [r.data for r in sorted(self.everything(), key=lambda r: r.ts_ns)])

    def test_a_sensor_is_killed(self):
        self.start()
        random = support.rng('kill')
        broken = 0
        for turn in range(support.rounds(40, 60)):
            if broken and turn >= support.rounds(5, 60):
                break
            which = random.randrange(3)
            p = subprocess.Popen([support.FLOWCARVE, 'carve', '--cluster', self.path('c.ini'), '-w', self.path('out')], stderr=subprocess.PIPE)
            time.sleep(random.random() * (0.2 if turn % 2 else 0.8))
            self.servers[which].process.kill()
            self.servers[which].process.wait()
            said = p.communicate(timeout=60)[1].decode()
            self.assertIn(p.returncode, (0, 2), said)
            if p.returncode == 0:
                self.assert_is(support.read_bytes(self.path('out')), self.everything())
                os.remove(self.path('out'))
            else:
                broken += 1
                self.assertEqual([line.split(': ')[1] for line in said.splitlines() if ': sensor ' in line], ['sensor ' + NAMES[which]], said)
                self.assertFalse(os.path.exists(self.path('out')))
            self.servers[which].stop(None)
            self.servers[which] = self.serve(which)
            self.cluster(['http://127.0.0.1:%d' % s.port for s in self.servers])
        self.assertGreater(broken, 0)

    def test_limit_of_bytes(self):
        self.servers = [self.serve(i, *(['--carve-limit', '1m'] if i == 1 else [])) for i in range(3)]
        self.cluster(['http://127.0.0.1:%d' % s.port for s in self.servers])
        _, missing, _, data = self.gather(*(self.part(i) for i in range(3)), ok=1)
        self.assertIn('it answers 413: %d sessions have ' % self.counts[1], missing[NAMES[1]][0])
        self.assertEqual(data, b'')
        _, missing, _, data = self.gather(*(self.part(i) for i in range(3)), 'server=1', ok=1)
        self.assertIn('it has broken off behind 1', missing[NAMES[1]][0])

    def test_what_an_interrupt_stops(self):
        self.start()
        p = subprocess.Popen([GATHER, self.path('c.ini'), self.path('out'), *(self.part(i) for i in range(3))], stdout=subprocess.PIPE)
        time.sleep(0.3)
        p.terminate()
        p.communicate(timeout=10)
        events = lambda i: [json.loads(line)['event'] for line in support.read_bytes(self.path('audit%d' % i)).splitlines()]
        until = time.monotonic() + 5
        while time.monotonic() < until and any(len(events(i)) % 2 for i in range(3)):
            time.sleep(0.05)
        for i in range(3):
            self.assertIn(events(i), ([], ['begin', 'end']))


@unittest.skipUnless(shutil.which('openssl'), 'openssl is not there')
class Certificates(Case):
    packets = 300

    def ca(self, folder, *words, **env):
        return support.run(CA, *words, env=support.environment(FLOWCARVE_CA=self.path(folder), **env))

    def runTest(self):
        for folder in ('ca', 'other'):
            self.ca(folder, 'init')
            for name in NAMES:
                self.ca(folder, 'sensor', name, '127.0.0.1', 'localhost')
            self.ca(folder, 'analyst', 'ann')
        self.ca('ca', 'analyst', 'late', DAYS='0')
        self.ca('ca', 'sensor', 'elsewhere', 'elsewhere.example')
        self.ca('ca', 'sensor', 'old', '127.0.0.1', DAYS='0')
        for name in ('ca.key', 'ann.key', NAMES[0] + '.key'):
            self.assertEqual(os.stat(self.path('ca', name)).st_mode & 0o777, 0o600)
        again = support.run(CA, 'sensor', NAMES[0], env=support.environment(FLOWCARVE_CA=self.path('ca')), ok=2)
        self.assert_says(again, 'is there already')

        def tls(i, folder='ca', name=None):
            cert = self.path(folder, name or NAMES[i])
            return self.serve(i, '--tls-cert', cert + '.pem', '--tls-key', cert + '.key', '--client-ca', self.path('ca', 'ca.pem'))

        urls = lambda servers: ['https://127.0.0.1:%d' % s.port for s in servers]
        mine = 'ca = ca/ca.pem\ncert = ca/%s.pem\nkey = ca/%s.key'
        parts = [self.part(i) for i in range(3)]
        servers = [tls(0), tls(1), tls(2)]
        self.cluster(urls(servers), mine % ('ann', 'ann'))
        self.assert_is(self.gather(*parts)[3], self.everything())
        who = json.loads(support.read_bytes(self.path('audit1')).splitlines()[-1])
        self.assertEqual((who['who'], who['ids'], who['how']), ('certificate CN=ann', self.counts[1], 'complete'))
        time.sleep(1.1)  # what held for no day is over
        # who asks: of a foreign CA, too late, another sensor, nobody, a token in place of a certificate
        for common, said in ((mine.replace('cert = ca', 'cert = other').replace('key = ca', 'key = other') % ('ann', 'ann'), '401'), (mine % ('late', 'late'), '401'),
                             (mine % (NAMES[0], NAMES[0]), '401'), ('ca = ca/ca.pem', '401')):
            self.cluster(urls(servers), common)
            _, missing, _, data = self.gather(*parts, ok=1)
            self.assertEqual((set(missing), data), (set(NAMES), b''), common)
            for lines in missing.values():
                self.assertIn('it answers ' + said, lines[0], common)
        self.cluster(urls(servers), 'ca = ca/ca.pem\ntoken-file = token')
        self.assert_is(self.gather(*parts)[3], self.everything())
        # who answers
        for i, (folder, name) in enumerate((('other', None), ('ca', 'elsewhere'), ('ca', 'old'))):
            bad = tls(i, folder, name)
            self.cluster([u if k != i else urls([bad])[0] for k, u in enumerate(urls(servers))], mine % ('ann', 'ann'))
            _, missing, _, data = self.gather(*parts, ok=1)
            self.assertEqual((set(missing), data), ({NAMES[i]}, b''))
            self.assertRegex(missing[NAMES[i]][0].lower(), 'certificate')
        # plain HTTP to TLS, and the other way round
        self.cluster(['http' + urls(servers)[0][5:], urls(servers)[1], 'https://127.0.0.1:%d' % self.serve(2).port], mine % ('ann', 'ann'))
        _, missing, _, data = self.gather(*parts, ok=1)
        self.assertEqual((set(missing), data), ({NAMES[0], NAMES[2]}, b''))


@unittest.skipUnless(engines.has_server(), 'clickhouse-server is not there')
class Engines(Case):
    """From captures to a capture: exported, asked for, carved."""
    packets = 1500

    def runTest(self):
        server = engines.Server()
        self.addCleanup(server.close)
        self.start()
        for i, db in enumerate(self.dbs):
            with sqlite3.connect(db) as c:
                c.execute("DELETE FROM meta WHERE name = 'generation'")
            c.close()
            support.flowcarve('export', '-d', db, '--sensor', NAMES[i], '--to', server.url + '/flowcarve')
        self.cluster(['http://127.0.0.1:%d' % s.port for s in self.servers], engine=server.url)
        index(self.path('all.db'), '-q', *self.captures)
        for words in ((), ('tcp',), ('udp and packets > 3',), ('port 443 or port 53',), ('client net 10.0.0.0/8',)):
            self.carve('-q', *words)
            each = [r for db in self.dbs for r in self.carved(db, *words)]
            self.assert_is(support.read_bytes(self.path('all.pcapng')), each)
            self.assertEqual(support.multiset(each), support.multiset(self.carved(self.path('all.db'), *words)), words)
        self.carve('-q', 'sensor %s and tcp' % NAMES[2])
        self.assert_is(support.read_bytes(self.path('all.pcapng')), self.carved(self.dbs[2], 'tcp'))
        self.assert_says(self.carve('host 203.0.113.77', ok=1), 'no session matches')
        # an index that is made anew is another one until it was exported
        os.remove(self.dbs[1])
        index(self.dbs[1], '-q', self.captures[1])
        self.assertRegex(self.carve(ok=2).err, r'sensor lon\.2: it answers 409: .*; %d sessions missing' % self.counts[1])
        support.flowcarve('export', '-d', self.dbs[1], '--sensor', NAMES[1], '--to', server.url + '/flowcarve')
        self.carve('-q')
        self.assert_is(support.read_bytes(self.path('all.pcapng')), self.everything())
        # an engine that is down is no empty answer
        server.kill()
        self.carve('-q', ok=2, output='none.pcapng')
        self.assertNotIn('none.pcapng', self.listing())


if __name__ == '__main__':
    if not os.access(GATHER, os.X_OK):
        raise SystemExit(support.SKIPPED)
    support.main()
