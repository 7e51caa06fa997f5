# SPDX-License-Identifier: MIT
"""What `flowcarve serve` does not let pass: who may not ask, pages of others, broken requests, clients that are slow or leave."""
import json, os, re, resource, shutil, socket, ssl, stat, struct, subprocess, time, unittest

import serving, support
from serving import METADATA, PACKETS, TOKEN, Server, receive, target
from support import flowcarve, index


class Case(support.TestCase):
    def setUp(self):
        super().setUp()
        self.fcgen('a.pcap', '--packets', '3000', '--sessions', '150')
        self.db = self.path('x.db')
        index(self.db, '-q', self.path('a.pcap'))

    def serve(self, *words, **kw):
        return Server(self, self.db, *words, **kw)

    def ends(self, count):
        """So many ends of requests in the audit log, which is behind what a client sees."""
        until = time.monotonic() + 30
        while True:
            found = [json.loads(line) for line in support.read_bytes(self.path('audit')).splitlines() if b'"event":"end"' in line]
            if len(found) >= count or time.monotonic() > until:
                return found
            time.sleep(.01)


def cookie_of(headers):
    return headers['Set-Cookie'].split(';')[0]


def login(server, token, **headers):
    return server.ask('/v1/login', 'POST', token=None, body=json.dumps({'token': token}),
                      headers={'Content-Type': 'application/json', **headers})


class Doors(Case):
    def test_who_may_ask(self):
        with self.serve() as server:
            for headers in ({}, {'Authorization': 'Bearer '}, {'Authorization': 'Bearer ' + TOKEN[:-1]}, {'Authorization': 'Bearer ' + TOKEN + 'x'},
                            {'Authorization': 'Basic ' + TOKEN}, {'Authorization': TOKEN}, {'Cookie': 'flowcarve_%d=' % server.port},
                            {'Cookie': 'flowcarve_%d=%s' % (server.port, 'A' * 43)}, {'Cookie': 'flowcarve_%d=%s' % (server.port, server.once)},
                            {'Authorization': 'Bearer ' + server.once}):
                for path in ('/v1/status', '/v1/carve', '/v1/carve/check', '/v1/sessions/1/packets', '/v1/nothing'):
                    status, answer, data = server.ask(path, token=None, headers=headers)
                    self.assertEqual((status, json.loads(data)['error']['code']), (401, 'unauthorized'), (headers, path))
                    self.assertEqual(answer['WWW-Authenticate'], 'Bearer')
            status, headers, data = login(server, server.once)
            self.assertEqual((status, json.loads(data)), (200, {'who': 'browser', 'scopes': ['metadata', 'packets']}))
            parts = headers['Set-Cookie'].split('; ')
            self.assertEqual(parts[1:], ['HttpOnly', 'SameSite=Strict', 'Path=/'])
            self.assertTrue(re.fullmatch(r'flowcarve_%d=[\w-]{43}' % server.port, parts[0]), parts[0])
            cookie = {'Cookie': 'other=1; ' + parts[0] + '; more=2'}
            self.assertEqual(login(server, server.once)[0], 401, 'it works once')
            self.assertEqual(server.ask('/v1/carve', token=None, headers=cookie)[0], 200)
            # a bad token is not made good by a good cookie
            self.assertEqual(server.ask('/v1/count', token='x' * 40, headers=cookie)[0], 401)
            status, mine, _ = login(server, METADATA)
            second = {'Cookie': cookie_of(mine)}
            self.assertEqual(server.ask('/v1/count', token=None, headers=second)[0], 200)
            self.assertEqual(server.ask('/v1/carve', token=None, headers=second)[0], 403)
            status, answer, _ = server.ask('/v1/logout', 'POST', token=None, headers=cookie)
            self.assertEqual((status, 'Max-Age=0' in answer['Set-Cookie']), (200, True))
            self.assertEqual(server.ask('/v1/count', token=None, headers=cookie)[0], 401)
            self.assertEqual(server.ask('/v1/count', token=None, headers=second)[0], 200)
        with self.serve() as server:  # of the server before
            self.assertEqual(server.ask('/v1/count', token=None, headers=second)[0], 401)
            self.assertEqual(server.ask('/v1/count', token=None, headers={
                'Cookie': second['Cookie'].replace(second['Cookie'].split('=')[0], 'flowcarve_%d' % server.port)})[0], 401)

    def test_login_takes_that_body_alone(self):
        with self.serve() as server:
            for body, kind, status in ((b'', 'application/json', 400), (b'{}', 'application/json', 400), (b'{"token":1}', 'application/json', 400),
                                       (b'{"token":"%s"} x' % TOKEN.encode(), 'application/json', 400), (b'token=' + TOKEN.encode(), 'application/x-www-form-urlencoded', 415),
                                       (b'{"token":"%s"}' % TOKEN.encode(), 'text/plain', 415), (b'{"token":"%s"}' % TOKEN.encode(), 'application/jsonx', 415),
                                       (b'{"token":"%s\0"}' % TOKEN.encode(), 'application/json', 400), (b'{"token":"' + b'x' * 5000 + b'"}', 'application/json', 413),
                                       (b'{"token":"\\u006d%s"}' % TOKEN[1:].encode(), 'application/json', 400), (b'{"token":"%s"}' % TOKEN.encode(), 'application/json; charset=utf-8', 200),
                                       (b' { "token" : "%s" } ' % TOKEN.encode(), 'application/json', 200)):
                got = server.ask('/v1/login', 'POST', token=None, body=body, headers={'Content-Type': kind})
                self.assertEqual(got[0], status, (body[:60], kind, got[2]))
            for method, path, status in (('GET', '/v1/login', 405), ('POST', '/v1/count', 405), ('PUT', '/v1/count', 405), ('DELETE', '/v1/carve', 405),
                                         ('OPTIONS', '/v1/count', 405), ('PATCH', '/', 405), ('POST', '/', 404), ('POST', '/v1/login?x=1', 400)):
                got = server.ask(path, method, headers={'Content-Type': 'application/json'})
                self.assertEqual(got[0], status, (method, path))
                self.assertEqual('Allow' in got[1], status == 405)

    def test_pages_of_others(self):
        """DNS rebinding, and requests that another page has made."""
        with self.serve('--host', 'capture.example') as server:
            server.host, own = '127.0.0.1', '127.0.0.1:%d' % server.port
            for host, status in ((own, 200), ('localhost:%d' % server.port, 200), ('LOCALHOST:%d' % server.port, 200), ('[::1]:%d' % server.port, 200),
                                 ('capture.example:%d' % server.port, 200), ('evil.example:%d' % server.port, 421), ('127.0.0.1', 421), ('127.0.0.1:80', 421),
                                 ('evil.example', 421), ('127.0.0.1.evil.example:%d' % server.port, 421), (own + '.evil.example', 421), ('', 421), (own + '@evil', 421),
                                 ('127.1:%d' % server.port, 421), ('capture.example.:%d' % server.port, 421)):
                for path in ('/v1/status', '/'):
                    self.assertEqual(server.ask(path, headers={'Host': host})[0], status, (host, path))
            self.assertEqual(server.send(b'GET /v1/status HTTP/1.1\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n' % TOKEN.encode())[9:12], b'400')
            self.assertEqual(server.send(b'GET /v1/status HTTP/1.1\r\nHost: %s\r\nHost: evil\r\n\r\n' % own.encode())[9:12], b'400')
            for headers, status in (({'Origin': 'http://' + own}, 200), ({'Origin': 'https://' + own}, 403), ({'Origin': 'http://evil.example'}, 403), ({'Origin': 'null'}, 403),
                                    ({'Origin': 'http://localhost:%d' % server.port}, 403), ({'Sec-Fetch-Site': 'same-origin'}, 200), ({'Sec-Fetch-Site': 'none'}, 200),
                                    ({'Sec-Fetch-Site': 'same-site'}, 403), ({'Sec-Fetch-Site': 'cross-site'}, 403), ({'Sec-Fetch-Site': 'x'}, 403)):
                for path in ('/v1/count', '/v1/carve?ids=1', '/index.html'):
                    status_, answer, _ = server.ask(path, headers=headers)
                    self.assertEqual(status_, status, (headers, path))
                    self.assertNotIn('Access-Control-Allow-Origin', answer)
                self.assertEqual(login(server, TOKEN, **headers)[0], status, headers)
            opened = {'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document'}
            self.assertEqual(server.ask('/', token=None, headers=opened)[0], 200)
            self.assertEqual(server.ask('/v1/count', headers=opened)[0], 403)
            self.assertEqual(server.ask('/', token=None, headers={**opened, 'Sec-Fetch-Dest': 'iframe'})[0], 403)

    def test_headers_of_all_answers(self):
        with self.serve() as server:
            for path in ('/', '/v1/count', '/v1/carve?ids=1', '/v1/sessions/1/packets', '/v1/nothing', '/nothing', '/v1/count?x=1'):
                _, h, _ = server.ask(path)
                policy = dict(p.strip().split(' ', 1) for p in h['Content-Security-Policy'].split(';'))
                self.assertEqual(policy, {'default-src': "'none'", 'script-src': "'self'", 'style-src': "'self'", 'connect-src': "'self'", 'img-src': "'self'",
                                          'base-uri': "'none'", 'form-action': "'none'", 'frame-ancestors': "'none'", 'require-trusted-types-for': "'script'"})
                self.assertEqual((h['X-Content-Type-Options'], h['Referrer-Policy'], h['Cross-Origin-Opener-Policy'], h['Cross-Origin-Resource-Policy'], h['Server']),
                                 ('nosniff', 'no-referrer', 'same-origin', 'same-origin', None))
                self.assertEqual(h['Cache-Control'], 'no-cache' if path == '/' else 'no-store', path)

    def test_paths(self):
        secret = support.write(self.path('secret'), b'secret')
        with self.serve() as server:
            for path in ('/../secret', '/..%2fsecret', '/%2e%2e/secret', '//secret', '/./index.html', '/index.html/', '/web/../index.html', '/\\..\\secret', secret, '/index.html%00',
                         '/index.html\x01', '/v1', '/v1/', '/v1//count', '/v1/count/', '/V1/count', '/v1/sessions/', '/v1/sessions/x', '/v1/sessions/1/', '/v1/sessions/+1', '/v1/sessions/ 1',
                         '/v1/sessions/1e3', '/v1/sessions/0x1', '/v1/sessions/%31', '/v1/sessions/9999999999999999999', '/v1/sessions/--1', '/v1/sessions/1/packets/', '/v1/count;x', '/v1/c%6funt'):
                answer = server.send(('GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n' % (path, server.port, TOKEN)).encode())
                self.assertIn(answer[9:12], (b'404', b'400', b''), (path, answer[:300]))
                self.assertNotIn(b'secret\r', answer)
            for path in ('http://127.0.0.1/v1/count', '*', 'v1/count'):
                answer = server.send(('GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n' % (path, server.port)).encode())
                self.assertIn(answer[9:12], (b'400', b''), (path, answer[:300]))


class Starting(Case):
    def refused(self, text, *words, ok=2):
        self.assert_says(flowcarve('serve', '-d', self.db, *words, ok=ok, seconds=20), text)

    def test_it_refuses_what_is_not_safe(self):
        tokens = support.write(self.path('t'), b'a packets ' + b'x' * 40 + b'\n')
        os.chmod(tokens, 0o600)
        cert, key = self.certificate('server')
        self.refused('served by TLS alone', '-l', '0.0.0.0:0')
        self.refused('served by TLS alone', '-l', '[::]:0', '--tokens', tokens)
        self.refused('must show who they are', '-l', '0.0.0.0:0', '--tls-cert', cert, '--tls-key', key)
        self.refused('go together', '--tls-cert', cert)
        self.refused('by TLS alone', '--client-ca', cert)
        self.refused('no PEM file', '-l', '127.0.0.1:0', '--tls-cert', self.db, '--tls-key', key)
        self.refused("cannot be read", '-l', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', self.path('none'))
        self.refused('do not belong together', '-q', '-l', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', self.certificate('other')[1])
        self.refused("is no address", '-l', 'localhost:0')
        self.refused('--listen takes', '-l', '::1:80')
        self.refused('--listen takes', '-l', '127.0.0.1:70000')
        self.refused('no such index', '-d', self.path('none.db'))
        self.refused('not a flowcarve index', '-d', tokens)
        self.refused('is no name of a host', '--host', 'a/b')
        self.refused('takes no words', 'x')
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            self.refused('cannot listen', '-l', '127.0.0.1:%d' % taken.getsockname()[1])

    def test_tokens_are_their_owners_alone(self):
        path = self.path('t')
        for line, said in ((b'', 'there is no token'), (b'# only\n', 'there is no token'), (b'a packets short\n', '32 to 256'), (b'a all ' + b'x' * 40 + b'\n', 'scopes are'),
                           (b'a packets\n', 'NAME SCOPE'), (b'a packets ' + b'x' * 40 + b' y\n', 'NAME SCOPE'), (b'a"b packets ' + b'x' * 40 + b'\n', 'a name has'),
                           (b'a packets ' + b'x' * 300 + b'\n', '32 to 256')):
            support.write(path, line)
            os.chmod(path, 0o600)
            self.refused(said, '-l', '127.0.0.1:0', '--tokens', path)
        support.write(path, b'a packets ' + b'x' * 40 + b'\n')
        for mode in (0o640, 0o604, 0o666):
            os.chmod(path, mode)
            self.refused('chmod 600', '-l', '127.0.0.1:0', '--tokens', path)
        self.refused('cannot read', '-l', '127.0.0.1:0', '--tokens', self.path('none'))
        os.mkfifo(self.path('fifo'), 0o600)
        self.refused('chmod 600', '-l', '127.0.0.1:0', '--tokens', self.path('fifo'))

    def certificate(self, name, ca=None):
        cert, key = self.path(name + '.pem'), self.path(name + '.key')
        if ca:
            subprocess.run([support.tool('openssl'), 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert + '.req', '-subj', '/CN=' + name], check=True, capture_output=True)
            subprocess.run(['openssl', 'x509', '-req', '-in', cert + '.req', '-CA', ca[0], '-CAkey', ca[1], '-CAcreateserial', '-days', '3650', '-out', cert], check=True, capture_output=True)
        else:
            subprocess.run([support.tool('openssl'), 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-days', '3650', '-subj', '/CN=' + name,
                            '-addext', 'subjectAltName=IP:127.0.0.1'], check=True, capture_output=True)
        return cert, key

    def curl(self, server, cert, address, *headers):
        words = [w for h in ('Authorization: Bearer ' + TOKEN, *headers) for w in ('-H', h)]
        return support.run(support.tool('curl'), '-sSik', *words, 'https://%s:%d/v1/count' % (address, server.port)).text

    def test_tls(self):
        cert, key = self.certificate('server')
        ca = self.certificate('ca')
        mine, stranger = self.certificate('alice', ca), self.certificate('mallory', self.certificate('ca2'))
        trust = ssl.create_default_context(cafile=cert)
        with self.serve('--tls-cert', cert, '--tls-key', key, '--client-ca', ca[0], '--audit', self.path('audit'), tls=trust, listen='0.0.0.0:0') as server:
            self.assertTrue(server.url.startswith('https://0.0.0.0:'), server.url)
            self.assertIn('HTTP/1.1 200', self.curl(server, cert, '127.0.0.9'), 'an address at which it came')
            self.assertIn('HTTP/1.1 421', self.curl(server, cert, '127.0.0.9', 'Host: 127.0.0.8:%d' % server.port))
            server.host = '127.0.0.1'
            self.assertEqual(server.get('/v1/count')['packets'], 3000)
            self.assertEqual(server.raw('/v1/carve'), flowcarve('carve', '-q', '-d', self.db, '-w', '-').out)
            self.assertIn('Secure', login(server, TOKEN)[1]['Set-Cookie'])
            self.assertEqual(server.ask('/v1/count', token=None)[0], 401)
            for version, spoken in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1, False)):
                context = ssl.create_default_context(cafile=cert)
                context.set_ciphers('ALL:@SECLEVEL=0')
                context.minimum_version = context.maximum_version = version
                server.tls = context
                if spoken:
                    self.assertEqual(server.ask('/v1/count')[0], 200)
                else:
                    self.assertRaises((ssl.SSLError, ConnectionError), server.ask, '/v1/count')
            for who, status in ((mine, 200), (stranger, 401)):
                context = ssl.create_default_context(cafile=cert)
                context.load_cert_chain(*who)
                server.tls = context
                try:
                    self.assertEqual(server.ask('/v1/carve?ids=1', token=None)[0], status)
                except (ssl.SSLError, ConnectionError):
                    self.assertEqual(status, 401)
            self.assertNotIn(b'200 OK', server.send(b'GET /v1/count HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n' % (server.port, TOKEN.encode())))
        who = {json.loads(line)['who'] for line in support.read_bytes(self.path('audit')).splitlines()}
        self.assertEqual(who, {'token all', 'certificate CN=alice'})


class Audit(Case):
    def test_who_asked_for_which_packets(self):
        path = self.path('audit')
        with self.serve('--audit', path) as server:
            server.get('/v1/sessions')
            server.get('/v1/carve/check', filter='id 3')
            server.raw('/v1/carve', filter='id 3')
            server.get('/v1/sessions/3/packets', limit=2)
            server.ask('/v1/carve?ids=999999', token=PACKETS)
            server.ask('/v1/carve?filter=%22%0a%1b', token=PACKETS)
            server.ask('/v1/carve', token=METADATA)
        lines = sorted((json.loads(line) for line in support.read_bytes(path).splitlines()), key=lambda x: x['request'])
        self.assertEqual([(x['event'], x['who'], x['target']) for x in lines[:4]],
                         [(e, 'token all', t) for t in ('/v1/carve?filter=id+3', '/v1/sessions/3/packets?limit=2') for e in ('begin', 'end')])
        carved = len(flowcarve('carve', '-q', '-d', self.db, '-i', '3', '-w', '-').out)
        self.assertEqual((lines[1]['status'], lines[1]['bytes'], lines[1]['sessions'], lines[1]['how']), (200, carved, 1, 'complete'))
        self.assertEqual([(x['who'], x['status'], x['how']) for x in lines[5::2]], [('token pack', 404, 'refused'), ('token pack', 400, 'refused')])
        self.assertEqual(len(lines), 8, 'without the scope nothing is given')
        self.assertEqual([a['request'] for a in lines[::2]], [a['request'] for a in lines[1::2]])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def test_no_packets_where_it_cannot_be_written(self):
        with self.serve('--audit', '/dev/full') as server:
            server.get('/v1/count')
            for path in ('/v1/carve', '/v1/sessions/1/packets', '/v1/sessions/1/follow'):
                status, headers, data = server.ask(path)
                self.assertEqual((status, headers['Retry-After'], json.loads(data)['error']['code']), (503, '1', 'busy'))


class Requests(Case):
    def test_broken_ones(self):
        with self.serve() as server:
            host = b'Host: 127.0.0.1:%d\r\n' % server.port
            auth = b'Authorization: Bearer ' + TOKEN.encode() + b'\r\n'
            for data, statuses in ((b'GET /v1/count?filter=' + b'a' * 17000 + b' HTTP/1.1\r\n' + host + auth + b'\r\n', (b'414',)),
                                   (b'GET /v1/count?filter=' + b'a' * 200000 + b' HTTP/1.1\r\n' + host + auth + b'\r\n', (b'414', b'431', b'413', b'')),
                                   (b'GET /v1/count HTTP/1.1\r\n' + host + auth + b'X: ' + b'y' * 200000 + b'\r\n\r\n', (b'431', b'413', b'')),
                                   (b'GET /v1/count HTTP/1.1\r\n' + host + b'A: b\r\n' * 50000 + b'\r\n', (b'431', b'413', b'')),
                                   (b'GET /v1/count HTTP/1.1\r\n' + host + auth + b'Content-Length: 5\r\n\r\nhello', (b'400',)),
                                   (b'GET /v1/count HTTP/1.1\r\n' + host + auth + b'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', (b'400',)),
                                   (b'POST /v1/login HTTP/1.1\r\n' + host + b'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', (b'413',)),
                                   (b'POST /v1/login HTTP/1.1\r\n' + host + b'Content-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n', (b'413', b'400', b'')),
                                   (b'POST /v1/login HTTP/1.1\r\n' + host + b'Content-Type: application/json\r\nContent-Length: -5\r\n\r\n', (b'413', b'400', b'')),
                                   (b'GET /v1/carve HTTP/1.0\r\n' + host + auth + b'\r\n', (b'505',)),
                                   (b'GET /v1/count HTTP/1.1\r\n' + host + auth + auth + b'Connection: close\r\n\r\n', (b'400',)),
                                   (b'GET /v1/count?' + b'&'.join(b'a%d=1' % i for i in range(100)) + b' HTTP/1.1\r\n' + host + auth + b'Connection: close\r\n\r\n', (b'400',)),
                                   (b'\r\n\r\n\x16\x03\x01\x02\x00\x01\x00', (b'', b'400')), (b'\0' * 5000, (b'', b'400')), (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', (b'', b'400', b'505'))):
                answer = server.send(data)
                self.assertIn(answer[9:12], statuses, (data[:80], answer[:200]))
            c = server.connect()
            c.request('GET', '/v1/count', headers={'Host': '127.0.0.1:%d' % server.port, 'Authorization': 'Bearer ' + TOKEN})
            self.assertEqual(c.getresponse().status, 200)
            c.close()

    def test_whatever_comes(self):
        """Mutations of requests; whatever happens, the server goes on to answer, and answers are whole."""
        rng = support.rng('requests')
        rounds = support.rounds(250, 20000)
        words = [b'GET', b'POST', b'HEAD', b' ', b'/v1/', b'sessions', b'carve', b'count', b'?', b'filter=', b'&', b'%', b'%00', b'%ff', b'\r\n', b'\n', b'\r', b'\0', b':', b'HTTP/1.1',
                 b'HTTP/1.0', b'Content-Length: 3', b'Transfer-Encoding: chunked', b'Expect: 100-continue', b'Connection: keep-alive', b'Upgrade: h2c', b'Range: bytes=0-', b'Cookie: flowcarve_1=a; =;;',
                 b'\xff\xfe', b'A' * 300, b'limit=', b'sort=bytes', b'cursor=k1.', b'-', b'9' * 30, b'/1/packets', b'/1/follow', b'Host: x', b'{"token":"', b'\t', b'"', b"'", b'0\r\n\r\n', b'Authorization: Bearer x']
        with self.serve('--threads', '4') as server:
            seeds = []
            for path in ('/v1/count?filter=tcp', '/v1/sessions?limit=5&sort=bytes:desc', '/v1/carve?ids=1', '/v1/sessions/1/packets?limit=2', '/v1/complete?filter=po', '/index.html',
                         '/v1/histogram?by=proto', '/v1/top?by=host', '/v1/sessions/2/follow?format=raw', '/v1/files'):
                seeds.append(('GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n' % (path, server.port, TOKEN)).encode())
            seeds.append(('POST /v1/login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{"token":"xxx"}' % server.port).encode())
            for n in range(rounds):
                data = bytearray(rng.choice(seeds))
                for _ in range(rng.randrange(1, 6)):
                    at, what = rng.randrange(len(data) + 1), rng.randrange(5)
                    if what == 0:
                        data[at:at + rng.randrange(1, 9)] = b''
                    elif what == 1:
                        data[at:at] = rng.choice(words)
                    elif what == 2:
                        data[at:at + 1] = bytes([rng.randrange(256)])
                    elif what == 3:
                        data[at:at + len(rng.choice(words))] = rng.choice(words)
                    else:
                        data += rng.choice(seeds)
                self.throw(server, bytes(data), rng)
                if n % 50 == 49:
                    self.assertIsNone(server.process.poll(), data)
                    self.assertEqual(server.get('/v1/count')['packets'], 3000)

    def throw(self, server, data, rng):
        s = server.socket(2)
        try:
            for i in range(0, len(data), size := rng.choice((1 << 20, 1 << 20, 7, 40))):
                s.sendall(data[i:i + size])
            if rng.random() < .5:
                s.shutdown(socket.SHUT_WR)
                s.settimeout(1)
                answer = receive(s)
                if answer:
                    self.assertTrue(answer.startswith(b'HTTP/1.'), answer[:80])
        except OSError:
            pass
        finally:
            s.close()


class Leaving(Case):
    def test_an_abandoned_carve_of_gigabytes_stops(self):
        """2 GB, or 10 GB with FLOWCARVE_TEST_LONG, that lie in less than a megabyte: what is left to do is no matter of disks or memory."""
        data = support.udp('10.0.0.1', 1000, '10.0.0.2', 2000, b'\0' * 65000)
        record = struct.pack('<IIII', 1700000000, 0, len(data), len(data)) + data
        pack = lambda data: subprocess.run([support.tool('zstd'), '-q', '-c'], input=data, stdout=subprocess.PIPE, check=True).stdout
        times = (10 if support.LONG else 2) * 10**9 // (256 * len(record)) + 1
        db = self.path('vast.db')
        index(db, '-q', support.write(self.path('vast.pcap.zst'), pack(support.pcap_bytes([])) + pack(record * 256) * times))
        with Server(self, db, '--audit', self.path('audit')) as server:
            def ticks():
                return sum(map(int, support.read_bytes('/proc/%d/stat' % server.process.pid).rsplit(b')', 1)[1].split()[11:13]))
            self.assertGreater(server.get('/v1/count')['bytes'], 2 * 10**9)
            for i, (query, read) in enumerate((('', 1), ('', 50_000_000), ('?compress=zstd', 1000)), 1):
                s = server.socket()
                s.sendall(('GET /v1/carve%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n' % (query, server.port, TOKEN)).encode())
                got = 0
                while got < read:
                    got += len(s.recv(1 << 20))
                busy, left = ticks(), time.monotonic()
                s.close()
                end = self.ends(i)[-1]
                if not support.sanitized():
                    self.assertLess(time.monotonic() - left, .2)
                self.assertEqual(end['how'], 'abandoned')
                self.assertLess(end['bytes'], 10**9)
                time.sleep(.1)
                busy, idle = ticks() - busy, ticks()
                time.sleep(.1)
                self.assertLessEqual(ticks() - idle, 1, 'nothing goes on behind it')
                if not support.sanitized():
                    self.assertLess(busy / os.sysconf('SC_CLK_TCK'), .2)


class Clients(Case):
    def setUp(self):
        super().setUp()
        self.fcgen('big.pcap', '--bytes', '100M', '--sessions', '2000', '--sizes', 'full')
        self.big = self.path('big.db')
        index(self.big, '-q', self.path('big.pcap'))

    def test_slow_ones_hold_up_nobody(self):
        with Server(self, self.big, '--threads', '2') as server:
            request = ('GET /v1/%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n')
            slow = []
            for i in range(24):  # that take nothing of a stream, or of an answer
                s = server.socket()
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall((request % ('carve' if i % 2 else 'sessions?limit=10000', server.port, TOKEN)).encode())
                slow.append(s)
            for i in range(60):  # that never say what they want
                s = server.socket()
                s.sendall(b'GET /v1/count HTTP/1.1\r\nHo')
                slow.append(s)
            time.sleep(.3)
            begun = time.monotonic()
            for i in range(20):
                server.get('/v1/sessions/%d' % (i + 1))
            self.assertLess(time.monotonic() - begun, 5)
            self.assertEqual(len(server.raw('/v1/carve', ids='1-3')), len(flowcarve('carve', '-q', '-d', self.big, '-i', '1-3', '-w', '-').out))
            # more streams than there may be
            for i in range(40):
                s = server.socket()
                s.sendall((request % ('carve', server.port, TOKEN)).encode())
                slow.append(s)
            time.sleep(.5)
            status, headers, _ = server.ask('/v1/carve')
            self.assertEqual((status, headers['Retry-After']), (503, '1'))
            server.get('/v1/sessions/1')
            resident = int(re.search(r'VmRSS:\s+(\d+)', support.read_bytes('/proc/%d/status' % server.process.pid).decode()).group(1))
            if not support.sanitized():
                self.assertLess(resident, 400000, 'kB')
            for s in slow:
                s.close()

    def test_an_abandoned_carve_stops(self):
        with Server(self, self.big, '--audit', self.path('audit')) as server:
            def threads():
                return len(os.listdir('/proc/%d/task' % server.process.pid))
            server.get('/v1/count')
            idle = threads()
            for read in (1, 100000, 3000000):
                s = server.socket()
                s.sendall(('GET /v1/carve HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n' % (server.port, TOKEN)).encode())
                got = 0
                while got < read:
                    got += len(s.recv(65536))
                self.assertGreater(threads(), idle)
                s.close()
                left = time.monotonic()
                while threads() > idle and time.monotonic() < left + 10:
                    time.sleep(.005)
                if not support.sanitized():
                    self.assertLess(time.monotonic() - left, .2)
            self.assertEqual([e['how'] for e in self.ends(3)], ['abandoned'] * 3)

    def test_a_question_stops_when_nobody_waits_or_its_time_is_over(self):
        self.fcgen('many.pcap', '--preset', 'small', '--scale', '0.04')
        index(self.path('many.db'), '-q', self.path('many.pcap'))
        slow = target('/v1/sessions', sort='server_addr', limit=10000, filter='not net 1.2.3.0/24')
        with Server(self, self.path('many.db'), '--deadline', '10ms') as server:
            status, _, data = server.ask(slow)
            self.assertEqual((status, json.loads(data)['error']['code']), (504, 'deadline'))
            self.assertEqual(server.ask('/v1/sessions/1')[0], 200)
        with Server(self, self.path('many.db'), '--threads', '1', '-v') as server:
            begun = time.monotonic()
            self.assertEqual(server.ask(slow)[0], 200)
            takes = time.monotonic() - begun
            for i in range(20):
                s = server.socket()
                s.sendall(('GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n' % (slow, server.port, TOKEN)).encode())
                s.close()
            begun = time.monotonic()
            server.get('/v1/sessions/1')
            self.assertLess(time.monotonic() - begun, 5 * takes)
            while server.said().count(' abandoned') < 20 and time.monotonic() < begun + 30:
                time.sleep(.01)
            self.assertEqual(server.said().count(' abandoned'), 20)

    def test_a_stream_that_fails_is_not_whole(self):
        with Server(self, self.big, '--audit', self.path('audit')) as server:
            s = server.socket()
            s.sendall(('GET /v1/carve HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n' % (server.port, TOKEN)).encode())
            got = s.recv(1000)
            self.assertTrue(got.startswith(b'HTTP/1.1 200'))
            with open(self.path('big.pcap'), 'r+b') as f:  # what is still to be read changes
                size = os.path.getsize(f.name)
                for at in range(20_000_000, size, 1 << 14):
                    f.seek(at)
                    f.write(b'\xff' * 1600)
            answer = got + receive(s)
            s.close()
            self.assertFalse(answer.endswith(b'0\r\n\r\n'), 'the last chunk')
            self.assertLess(len(answer), size)
            curl = shutil.which('curl')
            if curl:
                r = support.run(curl, '-sS', '--fail', '-o', self.path('o.pcap'), '-H', 'Authorization: Bearer ' + TOKEN,
                                'http://127.0.0.1:%d/v1/carve' % server.port, ok=None)
                self.assertNotEqual(r.rc, 0)
            self.assertEqual(self.ends(1)[0]['how'], 'failed')

    def test_it_ends_while_streams_are_under_way(self):
        for read in (0, 1000):
            with Server(self, self.big) as server:
                s = server.socket()
                s.sendall(('GET /v1/carve HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n' % (server.port, TOKEN)).encode())
                if read:
                    s.recv(read)
                idle = server.socket()
                begun = time.monotonic()
                server.stop()
                self.assertLess(time.monotonic() - begun, 3)
                self.assertFalse(receive(s).endswith(b'0\r\n\r\n'))
                s.close()
                idle.close()

    def test_thousands_of_connections(self):
        wanted = 10000 if support.LONG else 1500
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < wanted + 200:
            self.skipTest('too few descriptors for this')
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with Server(self, self.big) as server:
            many = []
            try:
                for i in range(wanted):
                    s = server.socket()
                    if i % 3:
                        s.sendall(b'GET /v1/count HTTP/1.1\r\n')
                    many.append(s)
                begun = time.monotonic()
                self.assertGreater(server.get('/v1/count')['packets'], 1000)
                self.assertLess(time.monotonic() - begun, 5)
                # without a whole request they are closed
                if support.LONG:
                    deadline = time.monotonic() + 40
                    many[0].settimeout(40)
                    self.assertEqual(receive(many[0]), b'')
                    self.assertLess(time.monotonic(), deadline)
            finally:
                for s in many:
                    s.close()


class Sandbox(Case):
    @unittest.skipIf(support.sanitized(), 'sanitizers need what the sandbox gives up')
    def test_all_threads_are_in_it(self):
        with self.serve() as server:
            server.raw('/v1/carve')
            self.assertEqual(set(support.sandbox_of(server.process.pid)), {(2, 1)})


if __name__ == '__main__':
    support.main()
