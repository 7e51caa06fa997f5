# SPDX-License-Identifier: MIT
"""`flowcarve serve --cluster`: what it answers is what the sensors' own servers say, and no sensor can make more of it than data."""
import http.client, http.server, json, os, shutil, socketserver, ssl, subprocess, threading, time, unittest, urllib.parse

import engines, support
from serving import METADATA, TOKEN, Server, target
from support import flowcarve

MARKUP = '<img src=x onerror=alert(1)>'
PAGE = os.path.join(support.ROOT, 'tests/web/many.mjs')
MODULES = os.path.join(os.environ.get('FLOWCARVE_WEB_TOOLS') or os.path.join(support.ROOT, 'build/web'), 'node_modules/playwright-core')


class Liar:
    """A sensor that is none: it answers by what the session's ID says."""

    def __init__(self):
        liar = self
        self.asked, self.ended = [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            disable_nagle_algorithm = True  # an answer goes out in pieces
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass

            def whole(self, status, data, kind='text/html'):
                self.send_response(status)
                self.send_header('Content-Type', kind)
                self.send_header('Set-Cookie', 'flowcarve_1=x')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def endless(self, piece, pause=0.0):
                self.send_response(200)
                self.send_header('Transfer-Encoding', 'chunked')
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
                        time.sleep(pause)
                except OSError:
                    liar.ended.set()

            def do_GET(self):
                liar.asked.append((self.path, self.headers.get('Authorization')))
                which = int(self.path.split('/')[3].split('?')[0])
                self.close_connection = True
                if which == 1:
                    self.whole(200, ('{"session": %s' % MARKUP).encode())
                elif which == 2:
                    self.whole(404, json.dumps({'error': {'code': 'not_found', 'message': MARKUP + '\n\x1b[31m' + 'x' * 9000}}).encode())
                elif which == 3:
                    self.whole(401, b'{"error": {"code": "unauthorized", "message": "no"}}')
                elif which == 4:
                    self.endless(b'0' * 65536)
                elif which == 5:
                    self.endless(b'{}\n', 0.02)
                elif which == 6:
                    time.sleep(6)
                elif which == 7:
                    self.whole(302, b'')
                elif which == 10:
                    session = {k: MARKUP for k in ('proto', 'client_addr', 'server_addr', 'state', 'vlan', 'community_id')}
                    self.whole(200, json.dumps({'session': session | {'id': 10, 'packets': MARKUP}, 'files': [
                        {'path': MARKUP, 'state': MARKUP, 'packets': 1, 'carvable': True}], 'carvable': True}).encode())
                elif which == 11:
                    self.whole(200, b'{"session": 7, "files": 5}')
                elif which == 8:
                    self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort')
                else:
                    self.wfile.write(b'no HTTP at all')

        self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@unittest.skipUnless(engines.has_server(), 'no clickhouse-server')
class ManySensors(support.TestCase):
    """All in one, since an engine and sensors take longer to start than to answer."""

    def setUp(self):
        super().setUp()
        self.engine = engines.Server()
        self.addCleanup(self.engine.close)
        self.write('token', TOKEN.encode())
        os.chmod(self.path('token'), 0o600)
        self.captures = {n: self.fcgen(n + '.pcap', '--packets', '2500', '--sessions', '130', '--seed', str(i), '--vlan', '%d' % (10 * i))[0]
                         for i, n in enumerate('abc')}
        for name, capture in self.captures.items():
            support.index(self.path(name + '.db'), '-q', '--fields', 'vlan' if name == 'a' else 'vlan,ttl', capture)
        # `down`, `anew` and `liar` have sent c.db, which lies elsewhere now, is another index, or is asked of somebody else
        for name, db in (('a', 'a'), ('b', 'b'), ('anew', 'c'), ('down', 'c'), ('liar', 'c')):
            flowcarve('export', '-q', '-d', self.path(db + '.db'), '--sensor', name, '--to', self.engine.url + '/flowcarve')
        tls, context = self.certificates()
        self.sensors = {n: Server(self, self.path(n + '.db'), '--sensor', n, '--audit', self.path(n + '.audit'), *(tls if n == 'b' else ()),
                                  tls=context if n == 'b' else None) for n in 'ab'}
        for sensor in self.sensors.values():
            self.addCleanup(sensor.stop, None)
        self.liar = Liar()
        self.addCleanup(self.liar.close)
        ports = {n: s.port for n, s in self.sensors.items()} | {'anew': self.sensors['a'].port, 'down': engines.free_port(), 'liar': self.liar.port,
                                                                 'silent': self.sensors['b'].port}
        urls = {n: 'http://127.0.0.1:%d' % port for n, port in ports.items()}
        urls['b'] = '%s://localhost:%d\n%s' % (('https', ports['b'], 'ca = ca.pem\ncert = me.pem\nkey = me.key\n') if tls else ('http', ports['b'], ''))
        text = '[engine]\nurl = %s/flowcarve\n[sensors]\ntoken-file = token\n' % self.engine.url
        self.write('c.ini', (text + ''.join('[sensor %s]\nurl = %s\n' % p for p in urls.items())).encode())
        self.server = self.serve('--audit', self.path('audit'))

    def certificates(self):
        """Of sensor b, which looks at that of who asks; and of us. Nothing without openssl."""
        if not shutil.which('openssl'):
            return (), None
        for words in (('init',), ('sensor', 'b', 'localhost', '127.0.0.1'), ('analyst', 'me')):
            support.run(os.path.join(support.ROOT, 'docs/flowcarve-ca'), *words, env=support.environment(FLOWCARVE_CA=self.folder))
        context = ssl.create_default_context(cafile=self.path('ca.pem'))
        context.load_cert_chain(self.path('me.pem'), self.path('me.key'))
        return ('--tls-cert', self.path('b.pem'), '--tls-key', self.path('b.key'), '--client-ca', self.path('ca.pem')), context

    def serve(self, *words):
        server = Server(self, None, '--cluster', self.path('c.ini'), *words)
        self.addCleanup(server.stop, None)
        return server

    def runTest(self):
        for name in sorted(dir(self)):
            if name.startswith('check_'):
                with self.subTest(name[6:]):
                    getattr(self, name)()
        for server in (self.server, *self.sensors.values()):
            server.stop()

    def union(self, path, **params):
        return {n: s.get(path, **params) for n, s in self.sensors.items()}

    def rows(self, **params):
        """Of both sensors as one: by start, sensor, ID."""
        answers = self.union('/v1/sessions', limit=10000, columns='id,start,start_ns,end,duration,proto,client_addr,client_port,server_addr,'
                             'server_port,client_packets,server_packets,client_bytes,server_bytes,state,vlan,community_id', **params)
        rows = [dict(row, sensor=n) for n, answer in answers.items() for row in answer['sessions']]
        return sorted(rows, key=lambda r: (r['start_ns'], r['sensor'], r['id']))

    # ---- what the engine answers

    def check_sessions(self):
        want = self.rows()
        columns = 'sensor,' + ','.join(k for k in want[0] if k != 'sensor')
        got, cursor, rounds = [], {}, 0
        while True:
            answer = self.server.get('/v1/sessions', filter='sensor a,b', limit=97, columns=columns, **cursor)
            got += answer['sessions']
            rounds += 1
            if not answer['more']:
                break
            cursor = {'cursor': answer['cursor']}
        self.assertIsNone(answer['cursor'])
        self.assertEqual(rounds, -(-len(want) // 97))
        self.assertEqual(got, want)
        first = self.server.get('/v1/sessions', limit=1)['sessions'][0]
        self.assertEqual(list(first)[:2], ['sensor', 'id'])
        self.assertIn('client_ttl', first)  # b has them; of a they are null
        some = self.server.get('/v1/sessions', filter='udp and sensor b', sort='bytes:desc', offset=3, limit=5, columns='bytes,id')
        want = self.sensors['b'].get('/v1/sessions', filter='udp', sort='bytes:desc', offset=3, limit=5, columns='bytes,id')
        self.assertEqual([s['bytes'] for s in some['sessions']], [s['bytes'] for s in want['sessions']])
        for bad in ({'columns': 'files'}, {'sort': 'nothing'}, {'cursor': 'k1.0000000000000000.5'}, {'cursor': 'x'}):
            self.server.error('/v1/sessions', 400, 'parameter', **bad)
        self.server.error('/v1/sessions', 400, 'filter', filter='file "a.pcap"')
        self.server.error('/v1/sessions', 400, 'filter', filter='sensor nobody')
        self.server.error('/v1/sessions', 400, 'filter', filter='ttl 64')  # a does not hold it

    def check_sums(self):
        count = self.server.get('/v1/count', filter='tcp and sensor a,b')
        want = self.union('/v1/count', filter='tcp')
        for key in ('sessions', 'packets', 'bytes'):
            self.assertEqual(count[key], sum(w[key] for w in want.values()), key)
        self.assertEqual(count['start'], min(w['start'] for w in want.values()))
        self.assertEqual(count['end'], max(w['end'] for w in want.values()))
        for by in ('none', 'proto', 'state'):
            h = self.server.get('/v1/histogram', filter='sensor a,b', by=by, buckets=50)
            sums = {}
            for row in self.rows():
                group = {'none': 'all', 'proto': row['proto'], 'state': row['state']}[by]
                key = (group, (row['start_ns'] - h['start_ns']) // h['bucket_ns'])
                one = sums.setdefault(key, [0, 0, 0])
                for i, n in enumerate((1, row['client_packets'] + row['server_packets'], row['client_bytes'] + row['server_bytes'])):
                    one[i] += n
            got = {(g['name'], i): [g[k][i] for k in ('sessions', 'packets', 'bytes')] for g in h['groups'] for i in range(h['count']) if g['sessions'][i]}
            self.assertEqual(got, sums)
            self.assertEqual(h['total']['bytes'], sum(s[2] for s in sums.values()))
            self.assertEqual(h['total']['end'], max(r['end'] for r in self.rows()))
        top = self.server.get('/v1/top', by='server', filter='sensor a,b', limit=1000, sort='bytes')
        hosts = {}
        for row in self.rows():
            hosts[row['server_addr']] = hosts.get(row['server_addr'], 0) + row['client_bytes'] + row['server_bytes']
        self.assertEqual({r['server']: r['bytes'] for r in top['rows']}, hosts)
        top = self.server.get('/v1/top', by='sensor')
        sessions = {n: s.get('/v1/count')['sessions'] for n, s in self.sensors.items()}
        self.assertEqual({r['sensor']: r['sessions'] for r in top['rows'] if r['sensor'] in 'ab'}, sessions)
        self.assertEqual({r['filter'] for r in top['rows']}, {'sensor ' + n for n in ('a', 'b', 'anew', 'down', 'liar')})
        self.server.error('/v1/top', 400, 'parameter', by='file')
        self.sensors['a'].error('/v1/top', 400, 'parameter', by='sensor')

    def check_status_and_words(self):
        status = self.server.get('/v1/status')
        self.assertTrue(status['cluster'])
        self.assertEqual(status['index']['fields'], ['vlan', 'ttl'])
        self.assertEqual(status['index']['end'], max(s['clock'] for s in status['sensors'] if s['clock']))
        sensors = {s['name']: s for s in self.server.get('/v1/sensors')['sensors']}
        schema = json.loads(support.read_bytes(os.path.join(support.ROOT, 'docs/openapi.json')))['paths']['/v1/sensors']['get']['responses']['200']
        known = schema['content']['application/json']['schema']['properties']['sensors']['items']['properties']
        self.assertEqual([list(s) for s in sensors.values()], [list(known)] * len(sensors))
        self.assertEqual([n for n, s in sensors.items() if not s['in_engine']], ['silent'])
        for name, sensor in self.sensors.items():
            index = sensor.get('/v1/status')['index']
            self.assertEqual((sensors[name]['generation'], sensors[name]['clock']), (index['uuid'], index['end']))
            self.assertTrue(-5 < sensors[name]['lag'] < 120)
        text = 'tcp and sensor a'
        got = self.server.get('/v1/complete', filter=text)
        self.assertEqual(([i['text'] for i in got['items']], got['start']), (['a', 'anew'], len(text) - 1))
        self.assertEqual(self.sensors['a'].get('/v1/complete', filter=text)['items'], [])
        self.assertIn('sensor', self.server.get('/v1/filter', filter='sensor a and tcp')['tree'])
        self.assertIsNone(self.server.get('/v1/cost')['reads'])
        for path in ('/v1/files', '/v1/damage'):
            self.server.error(path, 404, 'not_found')
        self.server.get('/v1/status', ok=401, token='')

    # ---- what sensors answer

    def check_passed_on(self):
        for name, sensor in self.sensors.items():
            for s in sensor.get('/v1/sessions', filter='tcp', limit=3, sort='bytes:desc')['sessions']:
                at = '/v1/sessions/%d' % s['id']
                self.assertEqual(self.server.get(at, sensor=name), sensor.get(at))
                packets = sensor.get(at + '/packets', columns='all')
                self.assertEqual(self.server.get(at + '/packets', columns='all', sensor=name), packets)
                one = {k: packets['packets'][-1][k] for k in ('file', 'offset')}
                self.assertEqual(self.server.get(at + '/packet', sensor=name, **one), sensor.get(at + '/packet', **one))
                for more in ({}, {'format': 'raw'}, {'direction': 'server', 'max_bytes': 10}):
                    self.assertEqual(self.server.raw(at + '/follow', sensor=name, **more), sensor.raw(at + '/follow', **more))
        at = '/v1/sessions/1'
        uuid = self.sensors['a'].get('/v1/status')['index']['uuid']
        self.sensors['a'].get(at, uuid=uuid)
        for tail in ('', '/packets', '/packet', '/follow'):
            self.sensors['a'].error(at + tail, 409, 'generation', uuid=uuid[:-1] + ('0' if uuid[-1] != '0' else '1'))
        status, headers, _ = self.server.ask(target(at + '/packet', sensor='a', format='raw', **{
            k: self.sensors['a'].get(at + '/packets')['packets'][0][k] for k in ('file', 'offset')}))
        self.assertEqual((status, headers['Content-Type']), (200, 'application/octet-stream'))
        # errors as they are, with who has said so
        for path, params, status, code in (('999999', {}, 404, 'not_found'), ('1/packets', {'limit': 'x'}, 400, 'parameter'),
                                           ('1', {'no': 'such & thing'}, 400, 'parameter')):
            e = self.server.error('/v1/sessions/' + path, status, code, sensor='b', **params)
            self.assertTrue(e['message'].startswith('sensor b: '), e)
        self.assertIn('such', self.server.get(at, ok=400, sensor='b', **{'such & thing': '1'})['error']['message'])
        for params in ({}, {'sensor': 'nobody'}, {'sensor': '../a'}):
            self.server.error(at, 400, 'parameter', **params)
        self.server.error(at, 404, 'not_found', sensor='silent')
        # who may see no packets here does not by way of a sensor
        self.server.get(at, token=METADATA, sensor='a')
        for tail in ('/packets', '/packet', '/follow'):
            self.server.get(at + tail, ok=403, token=METADATA, sensor='a')
        said = [json.loads(line) for line in support.read_bytes(self.path('audit')).splitlines()]
        self.assertTrue(any('sensor=a' in line['target'] and '/follow' in line['target'] for line in said))

    def check_sensors_that_cannot(self):
        e = self.server.error('/v1/sessions/1', 502, 'sensor', sensor='down')
        self.assertIn('sensor down: ', e['message'])
        for tail in ('', '/packets', '/follow'):
            e = self.server.error('/v1/sessions/1' + tail, 409, 'generation', sensor='anew')
            self.assertIn('sensor anew: ', e['message'])

    def check_liars(self):
        ask = lambda which, tail='', server=self.server: server.ask(target('/v1/sessions/%d%s' % (which, tail), sensor='liar'))
        status, headers, data = ask(1)  # what it says is of the type that was asked for, and gets no headers of its own
        self.assertEqual((status, data), (200, ('{"session": %s' % MARKUP).encode()))
        self.assertTrue(headers['Content-Type'].startswith('application/json'))
        self.assertEqual((headers['X-Content-Type-Options'], headers['Set-Cookie']), ('nosniff', None))
        self.assertIn("default-src 'none'", headers['Content-Security-Policy'])
        status, headers, data = ask(2)
        self.assertEqual(status, 404)
        self.assertLess(len(data), 4000)
        self.assertNotIn(b'\x1b', data)
        self.assertTrue(json.loads(data)['error']['message'].startswith('sensor liar: ' + MARKUP))
        for which in (3, 7, 8, 9):  # 401 here would be about the token of who asks
            if which == 8:  # it breaks off behind its first bytes: so does this
                c = self.server.connect()
                c.request('GET', target('/v1/sessions/8', sensor='liar'), headers={'Authorization': 'Bearer ' + TOKEN})
                with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                    c.getresponse().read()
                c.close()
                continue
            status, _, data = ask(which)
            self.assertEqual((status, json.loads(data)['error']['code']), (502, 'sensor'), which)
        got = 0
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            c = self.server.connect()
            c.request('GET', target('/v1/sessions/4', sensor='liar'), headers={'Authorization': 'Bearer ' + TOKEN})
            r = c.getresponse()
            while True:
                part = r.read(1 << 20)
                if not part:
                    raise http.client.IncompleteRead(b'')
                got += len(part)
        c.close()
        self.assertLessEqual(got, 64 << 20)
        with self.serve('--deadline', '1s') as server:
            begun = time.monotonic()
            status, _, data = ask(6, server=server)
            self.assertIn((status, json.loads(data)['error']['code']), ((502, 'sensor'), (504, 'deadline')))
            self.assertLess(time.monotonic() - begun, 4)
        # the token of the cluster's file, and not that of who asks
        self.assertEqual({a for _, a in self.liar.asked}, {'Bearer ' + TOKEN})
        self.assertTrue(all(urllib.parse.urlsplit(p).query.startswith('uuid=') and 'sensor' not in p for p, _ in self.liar.asked))

    def check_who_leaves(self):
        def begin(server):
            self.liar.ended.clear()
            s = server.socket()
            s.sendall(('GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n'
                       % (target('/v1/sessions/5/follow', sensor='liar'), server.port, TOKEN)).encode())
            self.assertIn(b'200 OK', s.recv(4096))
            self.assertFalse(self.liar.ended.is_set())
            return s

        begin(self.server).close()
        self.assertTrue(self.liar.ended.wait(5), 'the sensor is still asked')
        begun = time.monotonic()
        with self.serve() as server:  # a signal ends it, whatever is under way
            s = begin(server)
        s.close()
        self.assertLess(time.monotonic() - begun, 5)

    # ---- captures

    def check_carve(self):
        data = self.server.raw('/v1/carve', filter='sensor a,b')
        records = support.parse_capture(data)
        want = [r for n in 'ab' for r in support.read_capture(self.captures[n])]
        self.assertEqual(support.multiset(records), support.multiset(want))
        self.assertEqual([r.ts_ns for r in records], sorted(r.ts_ns for r in records))
        data = self.server.raw('/v1/carve', ids='1,3-4', sensor='b')
        self.assertEqual(support.multiset(support.parse_capture(data)),
                         support.multiset(support.parse_capture(self.sensors['b'].raw('/v1/carve', ids='1,3-4'))))
        self.server.get('/v1/carve/check', filter='sensor a,b')
        self.server.error('/v1/carve', 400, 'parameter', ids='1')
        self.server.error('/v1/carve', 404, 'not_found', filter='port 1 and port 2 and sensor a')
        for path in ('/v1/carve', '/v1/carve/check'):
            e = self.server.error(path, 502, 'sensor', filter='sensor a,down')
            self.assertIn('sensor down', e['message'])
        self.server.error('/v1/carve', 409, 'changed', filter='sensor anew')
        data = self.server.raw('/v1/carve', filter='sensor a,down', partial=True)
        self.assertEqual(support.multiset(support.parse_capture(data)), support.multiset(support.read_capture(self.captures['a'])))

    def check_page(self):
        self.look(*(self.server.get('/v1/count', filter=f)['sessions'] for f in ('', 'sensor a')))

    def look(self, *words):
        node, browser = support.tool('node'), shutil.which('chromium') or support.tool('chromium-browser')
        if not node or not browser or not os.path.isdir(MODULES):
            print('the page is not looked at: no node, no chromium, or no playwright-core in %s' % MODULES)
            return
        env = support.environment(PLAYWRIGHT=MODULES, CHROMIUM=browser, SCREENSHOTS=os.environ.get('FLOWCARVE_SCREENSHOTS', ''))
        p = subprocess.run([node, PAGE, 'http://127.0.0.1:%d' % self.server.port, TOKEN, *map(str, words)], capture_output=True, text=True,
                           timeout=120, env=env)
        self.assertEqual(p.returncode, 0, p.stderr[-3000:])

    def check_zz_engine_down(self):
        self.engine.kill()
        self.assertTrue(self.server.error('/v1/sessions', 502, 'engine')['message'].startswith('the engine: '))
        self.look('down')


class Starting(support.TestCase):
    def test_what_does_not_go_together(self):
        self.write('c.ini', b'[engine]\nurl = http://127.0.0.1:1/flowcarve\n')
        self.write('bad.ini', b'[engine]\nurl = ftp://x\n')
        for words, says in ((('--cluster', 'c.ini', '-d', 'x.db'), '--cluster'), (('--max-rows', '5'), '--cluster'),
                            (('--cluster', 'none.ini'), 'none.ini'), (('--cluster', 'bad.ini'), 'line 2')):
            r = support.run(support.FLOWCARVE, 'serve', *words, ok=2, cwd=self.folder)
            self.assert_says(r, says)


if __name__ == '__main__':
    support.main()
