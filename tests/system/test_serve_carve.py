# SPDX-License-Identifier: MIT
"""`flowcarve serve` as a sensor: carves of a list of sessions, what is told behind them, and how much is given at once."""
import json, os, re, sqlite3

import serving, support
from serving import METADATA, PACKETS, TOKEN, Server
from support import index, sessions

UUID = '0123456789abcdef' * 2


def by_hand(data):
    """(body, trailer) of an answer in chunks, read without a library."""
    head, rest = data.split(b'\r\n\r\n', 1)
    assert b'transfer-encoding: chunked' in head.lower(), head
    body = []
    while True:
        size, _, rest = rest.partition(b'\r\n')
        size = int(size, 16)
        if size == 0:
            break
        body.append(rest[:size])
        assert rest[size:size + 2] == b'\r\n'
        rest = rest[size + 2:]
    assert rest.endswith(b'\r\n'), rest
    return b''.join(body), dict(line.split(': ', 1) for line in rest.decode().split('\r\n') if line)


class Case(support.TestCase):
    words = ()

    def setUp(self):
        super().setUp()
        self.fcgen('a.pcap', '--packets', '4000', '--sessions', '300')
        self.db = self.path('x.db')
        index(self.db, '-q', self.path('a.pcap'))
        self.server = Server(self, self.db, '--sensor', 'nyc1', '--audit', self.path('audit'), *self.words)
        self.addCleanup(self.server.stop)

    def post(self, body, token=TOKEN, **headers):
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.server.ask('/v1/carve', 'POST', token=token, body=body, headers={'Content-Type': 'application/json', **headers})

    def raw(self, body):
        """(capture, trailer)"""
        body = json.dumps(body).encode()
        return by_hand(self.server.send(b'POST /v1/carve HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n'
                                        b'Connection: close\r\nContent-Length: %d\r\n\r\n%s' % (self.server.port, TOKEN.encode(), len(body), body), timeout=20))

    def refused(self, status, code, body, **options):
        got, _, data = self.post(body, **options)
        self.assertEqual((got, json.loads(data)['error']['code']), (status, code), data)
        return json.loads(data)['error']['message']

    def audit(self):
        return [json.loads(line) for line in support.read_bytes(self.path('audit')).splitlines()]


class Carves(Case):
    def runTest(self):
        for name in sorted(dir(self)):
            if name.startswith('check_'):
                with self.subTest(name[6:]):
                    getattr(self, name)()

    def set_uuid(self, text):
        with sqlite3.connect(self.db) as c:
            c.execute("DELETE FROM meta WHERE name = 'generation'")
            if text:
                c.execute("INSERT INTO meta VALUES ('generation', ?)", (text,))

    def check_what_is_sent_and_told(self):
        rows = {r['id']: r for r in sessions(self.db)}
        for ids, text in (([1, 2, 3, 4, 5, 9], '9,1-3,2-5'), ([300], '300'), (list(rows), '1-300')):
            body, trailer = self.raw({'ids': text, 'format': 'pcapng'})
            packets = sum(rows[i]['client_packets'] + rows[i]['server_packets'] for i in ids)
            self.assertEqual(len(support.parse_capture(body)), packets)
            self.assertEqual(trailer, {'Flowcarve-Packets': str(packets), 'Flowcarve-Sessions': str(len(ids)), 'Flowcarve-Missing': '0',
                                       'Flowcarve-Forgotten': '0'})
            self.assertEqual(support.multiset(support.parse_capture(body)),
                             support.multiset(self.carved(self.db, '-i', ','.join(map(str, ids)))))
        body, trailer = self.raw({'ids': '1-300', 'first_packets': 1, 'direction': 'client', 'compress': 'none', 'comments': None, 'partial': True})
        self.assertEqual((len(support.parse_capture(body)), trailer['Flowcarve-Packets'], trailer['Flowcarve-Sessions']), (300, '300', '300'))
        lines = [line for line in self.audit() if line['event'] == 'end']
        self.assertEqual({k: lines[-1][k] for k in ('who', 'ids', 'list', 'sessions', 'packets', 'bytes', 'how')},
                         {'who': 'token all', 'ids': 300, 'list': '1-300', 'sessions': 300, 'packets': 300, 'bytes': len(body), 'how': 'complete'})

    def check_what_is_not_there_is_told(self):
        self.assertIn('301-305,307', self.refused(404, 'not_found', {'ids': '7,301-305,307'}))
        body, trailer = self.raw({'ids': '7,301-305,307', 'partial': True})
        self.assertEqual(support.multiset(support.parse_capture(body)), support.multiset(self.carved(self.db, '-i', '7')))
        self.assertEqual((trailer['Flowcarve-Sessions'], trailer['Flowcarve-Unknown']), ('1', '301-305,307'))
        self.refused(404, 'not_found', {'ids': '301', 'partial': True})
        many = ','.join(str(n) for n in range(1000, 200000, 2))
        _, trailer = self.raw({'ids': '1-9223372036854775807', 'partial': True})
        self.assertEqual(trailer['Flowcarve-Unknown'], '301-9223372036854775807')
        _, trailer = self.raw({'ids': '5,' + many, 'partial': True})
        self.assertTrue(trailer['Flowcarve-Unknown'].startswith('1000,1002,') and trailer['Flowcarve-Unknown'].endswith(',...'))
        self.assertLess(len(trailer['Flowcarve-Unknown']), 4096)

    def check_another_index(self):
        self.set_uuid(UUID)
        self.assertEqual(self.server.get('/v1/status')['index']['uuid'], UUID)
        self.assertEqual(self.post({'ids': '1', 'uuid': UUID})[0], 200)
        self.assertIn(UUID, self.refused(409, 'generation', {'ids': '1', 'uuid': 'f' * 32}))
        self.set_uuid(None)
        status = self.server.get('/v1/status')
        self.assertEqual((status['sensor'], status['index']['uuid']), ('nyc1', None))
        self.refused(409, 'generation', {'ids': '1', 'uuid': UUID})

    def check_captures(self):
        os.rename(self.path('a.pcap'), self.path('b.pcap'))
        try:
            self.refused(409, 'missing', {'ids': '1-9'})
            body, trailer = self.raw({'ids': '1-9', 'partial': True, 'format': 'pcapng'})
            self.assertEqual((len(support.parse_capture(body)), trailer['Flowcarve-Packets']), (0, '0'))
            self.assertGreater(int(trailer['Flowcarve-Missing']), 9)
        finally:
            os.rename(self.path('b.pcap'), self.path('a.pcap'))

    def check_bodies(self):
        good = '{"ids": "1"}'
        for body in ('', '{', '[]', '{}x', '"ids"', '{"ids": "1"', '{"ids": "1",}', '{"ids": 1 2}', '{"ids": ["1"]}', '{"ids": {"a": 1}}', '{"ids": "1\n"}',
                     '{"ids": "\\x"}', '{"ids": "\\u00"}', '{"ids": "\\ud800"}', '{"ids": "\\u0000"}', '{"ids": "1", "ids": "2"}', '{ids: "1"}', '{"ids": tru}',
                     '{"ids": "1"} {}', b'{"ids": "\xff"}', b'{"ids": "1"}\0', '{"ids": "1", "x' + '\\', '{' * 5000):
            self.refused(400, 'request', body)
        for body in ('{}', '{"ids": null}', '{"ids": ""}', '{"ids": "1,"}', '{"ids": "5-1"}', '{"ids": "1;2"}', '{"ids": "1", "filter": "tcp"}', '{"ids": "1", "first_packets": 0}',
                     '{"ids": "1", "format": "x"}', '{"ids": "1", "partial": "yes"}', '{"ids": "99999999999999999999"}', '{"ids": true}'):
            self.refused(400, 'parameter', body)
        for body in (good, ' {\t"ids" :\r\n 1 } ', '{"\\u0069ds": "\\u0031", "uuid": null, "partial": false, "first_packets": 3}'):
            self.assertEqual(self.post(body)[0], 200, body)
        self.assertEqual(self.post(good, **{'Content-Type': 'text/plain'})[0], 415)
        self.assertEqual(self.server.ask('/v1/carve?ids=1', 'POST', body=good, headers={'Content-Type': 'application/json'})[0], 400)
        self.assertEqual(self.server.ask('/v1/status', 'POST', body=good, headers={'Content-Type': 'application/json'})[0], 405)

    def check_who_may(self):
        self.refused(401, 'unauthorized', {'ids': '1'}, token='x' * 40)
        self.refused(403, 'forbidden', {'ids': '1'}, token=METADATA)
        self.assertEqual(self.post({'ids': '1'}, token=PACKETS)[0], 200)
        # whoever may not ask is told so, whatever he sends; and nobody sends more than there is room for
        for token, status in (('x' * 40, 401), (TOKEN, 413)):
            c = self.server.connect()
            try:
                self.assertEqual(self.server.ask('/v1/carve', 'POST', token=token, body=b' ' * (9 << 20), headers={'Content-Type': 'application/json'},
                                                 connection=c)[0], status)
            except (ConnectionResetError, BrokenPipeError):
                pass
            finally:
                c.close()
        c = self.server.connect()
        self.addCleanup(c.close)
        for i in range(1, 5):  # one connection does for many
            self.assertEqual(self.server.ask('/v1/carve', 'POST', body='{"ids": "%d"}' % i, headers={'Content-Type': 'application/json'}, connection=c)[0], 200)
            self.assertEqual(self.server.ask('/v1/status', connection=c)[0], 200)


class Limit(Case):
    words = ('--carve-limit', '300k')

    def runTest(self):
        rows = sessions(self.db)
        small = [r['id'] for r in rows if r['client_bytes'] + r['server_bytes'] < 1000][:9]
        self.assertEqual(self.post({'ids': ','.join(map(str, small))})[0], 200)
        total = sum(r['client_bytes'] + r['server_bytes'] + 16 * (r['client_packets'] + r['server_packets']) for r in rows)
        self.assertIn('300 sessions have %d bytes; 307200 ' % total, self.refused(413, 'too_large', {'ids': '1-300'}))
        self.server.error('/v1/carve', 413, 'too_large')
        # what cannot be known before is broken off: no last chunk, no trailer
        data = self.server.send(b'GET /v1/carve?direction=client HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n' % (self.server.port, TOKEN.encode()), timeout=20)
        self.assertTrue(data.startswith(b'HTTP/1.1 200'))
        self.assertNotIn(b'\r\n0\r\n', data[-200:])
        self.assertNotIn(b'Flowcarve-Packets: ', data[-400:])
        self.assertTrue(200000 < len(data) < 310000, len(data))
        ends = [line for line in self.audit() if line['event'] == 'end']
        self.assertEqual([(line['status'], line['how']) for line in ends], [(200, 'complete'), (413, 'refused'), (413, 'refused'), (200, 'limit')])


class Names(support.TestCase):
    def test_a_name_is_one(self):
        self.fcgen('a.pcap', '--packets', '50')
        index(self.path('x.db'), '-q', self.path('a.pcap'))
        for name in ('', '.x', '-', 'a b', 'a/b', 'ü', 'x' * 64):
            r = support.flowcarve('serve', '-d', self.path('x.db'), '-l', '127.0.0.1:0', '--sensor', name, ok=2)
            self.assert_says(r, "a sensor's name")
        r = support.flowcarve('serve', '-d', self.path('x.db'), '--carve-limit', '0', ok=2)
        self.assert_says(r, '--carve-limit takes a size')


if __name__ == '__main__':
    support.main()
