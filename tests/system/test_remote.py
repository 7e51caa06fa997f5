#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures that were moved to an archive, by HTTP and S3: what is carved of them is what was carved before, with few and
small requests, whatever the server does."""
import gzip, json, lzma, os, re, shutil, signal, subprocess, time, urllib.parse

import archive, serving, support
from archive import Archive
from support import T0, flowcarve, index, select, udp

ONE = 'host 10.9.9.9'


class Remote(support.TestCase):
    def setUp(self):
        super().setUp()
        self.db, self.far = self.path('x.db'), self.path('far')
        os.makedirs(self.far)
        if 'without libcurl' in flowcarve('files', 'relocate', '-d', self.db, 'x', 'http://127.0.0.1:1/x', ok=2).err:
            self.skipTest('this flowcarve was built without libcurl')

    def packets(self, count=2000, size=3000, every=500):
        """Traffic of many, that gzip makes no smaller, and a session of one host here and there in it."""
        r = support.rng('remote', count)
        many = [udp('10.0.%d.%d' % (i % 7, i), 1000 + i, '10.1.0.1', 53, r.randbytes(size)) for i in range(100)]
        out = [(T0 + i * 1000, many[i % 100]) for i in range(count)]
        out += [(T0 + i * 1000 + 1, udp('10.9.9.9', 7, '10.1.0.1', 9, r.randbytes(300))) for i in range(every // 2, count, every)]
        return sorted(out)

    def make(self, files, where='day', words=()):
        """Writes and indexes captures {name: bytes}, moves them to the archive's folder; the carve of ONE from before."""
        for name, data in files.items():
            self.write(os.path.join(where, name), data)
        index(self.db, '-q', self.path(where))
        flowcarve('carve', '-q', '-d', self.db, '-w', self.path('near.out'), *words, ONE)
        shutil.move(self.path(where), os.path.join(self.far, where))
        return support.read_bytes(self.path('near.out'))

    def relocate(self, a, to=None, ok=0, old=None, **env):
        return flowcarve('files', 'relocate', '-d', self.db, old or self.path('day'), to or a.url + '/day', ok=ok,
                         env=a.environment(**env))

    def moved(self, a, files=None, words=()):
        near = self.make(files or {'a.pcap': support.pcap_bytes(self.packets())}, words=words)
        self.relocate(a)
        a.forget()
        return near

    def carve(self, a, *words, ok=0, what=ONE, **env):
        r = flowcarve('carve', '-q', '-d', self.db, '-w', self.path('far.out'), *words, what, ok=ok, env=a.environment(**env))
        return support.read_bytes(self.path('far.out')) if ok == 0 else r

    def states(self, a, *words, ok=(0, 1)):
        r = flowcarve('files', *words, '-d', self.db, '-f', 'json', ok=ok, env=a.environment())
        return [json.loads(line)['state'] for line in r.text.splitlines()]


class Reading(Remote):
    def test_every_format(self):
        """Byte by byte what was carved where it was captured; the tools' own files, with and without places to enter."""
        packets = self.packets(600, every=150)
        plain, ng = support.pcap_bytes(packets), support.pcapng_bytes(packets)
        files = {'a.pcap': plain, 'b.pcapng': ng, 'c.pcap.gz': gzip.compress(plain, 1), 'd.pcapng.xz': lzma.compress(ng, preset=0)}
        for tool, name, words in (('zstd', 'e.pcap.zst', ['-q', '-1']), ('lz4', 'f.pcapng.lz4', ['-q', '-1'])):
            source = plain if tool == 'zstd' else ng
            files[name] = subprocess.run([support.tool(tool), *words, '-c'], input=source, capture_output=True, check=True).stdout
        for i, (name, data) in enumerate(files.items()):
            with self.subTest(name):
                self.db, where = self.path('%d.db' % i), 'day%d' % i
                near = self.make({name: data}, where)
                with Archive(self.far) as a:
                    self.relocate(a, a.url + '/' + where, old=self.path(where))
                    self.assertEqual(self.carve(a), near)
                    self.assertEqual([r.status for r in a.requests], [206] * len(a.requests))
                    shown = flowcarve('packets', '-q', '-d', self.db, '-f', 'json', ONE, env=a.environment()).text.splitlines()
                    self.assertEqual(len(shown), 4)
                    told = flowcarve('follow', '-q', '-d', self.db, '-f', 'raw', ONE, env=a.environment()).out
                    want = b''.join(p[42:] for _, p in packets if p[26:30] == bytes([10, 9, 9, 9]))
                    self.assertEqual(told, want)

    def test_no_more_than_is_needed(self):
        """4 packets of a capture of 20 MB: its beginning, and what lies at them."""
        with Archive(self.far) as a:
            near = self.moved(a, {'a.pcap': support.pcap_bytes(self.packets(4000, 5000, 1000))})
            self.assertEqual(self.carve(a), near)
            self.assertEqual(len(a.requests), 5, a.requests)
            self.assertLess(a.sent, 120000)

    def test_neighbours_are_one_request(self):
        """Packets some 100 KB apart, all over the capture: a MB or two at once."""
        with Archive(self.far) as a:
            near = self.moved(a, {'a.pcap': support.pcap_bytes(self.packets(3000, 3000, 40))})
            self.assertEqual(self.carve(a), near)
            self.assertLess(len(a.requests), 10, a.requests)
            self.assertLess(a.sent, 13000000)

    def test_the_end_of_a_pcapng_is_a_request_or_two(self):
        """Statistics of interfaces stand there, one before the other."""
        with Archive(self.far) as a:
            data = support.pcapng_bytes(self.packets()) + b''.join(
                support.block('<', 5, bytes(12) + support.option('<', 4, bytes([n]) * 8) + support.option('<', 0, b'')) for n in range(5))
            near = self.moved(a, {'a.pcapng': data}, ('--format', 'pcapng'))
            self.assertEqual(self.carve(a, '--format', 'pcapng'), near)
            self.assertEqual(near.count(b'\4' * 8), 1)
            self.assertLess(len(a.requests), 8, a.requests)

    def test_compressed_is_entered_near_what_is_wanted(self):
        data = gzip.compress(support.pcap_bytes(self.packets(7000, 3000, 3500)), 1)
        with Archive(self.far) as a:
            near = self.moved(a, {'a.pcap.gz': data})
            self.assertEqual(self.carve(a), near)
            self.assertGreater(len(data), 20000000)
            self.assertLess(a.sent, 3 * 5000000, a.requests)
            self.assertLess(len(a.requests), 9, a.requests)

    def test_split_and_layers_and_the_server(self):
        with Archive(self.far) as a:
            self.moved(a)
            flowcarve('carve', '-q', '-d', self.db, '--split', self.path('out'), ONE, env=a.environment())
            made, = os.listdir(self.path('out'))
            self.assertEqual(len(support.read_capture(self.path('out/' + made))), 4)
            sid = select(self.db, 'SELECT id FROM sessions WHERE client_addr = ?', '10.9.9.9')[0][0]
            with serving.Server(self, self.db, env=a.environment()) as server:
                answer = server.get('/v1/sessions/%d/packets' % sid)
                self.assertEqual(len(answer['packets']), 4)
                self.assertEqual([f['state'] for f in server.get('/v1/files')['files']], ['archived'])
                self.assertEqual([f['state'] for f in server.get('/v1/files', check='true')['files']], ['present'])

    def test_verify_leaves_it_out_unless_asked(self):
        with Archive(self.far) as a:
            self.moved(a)
            r = flowcarve('verify', '-d', self.db, env=a.environment())
            self.assertIn('agree, but for 1 capture in archives, not read', r.text)
            self.assertEqual(a.requests, [])
            r = flowcarve('verify', '--archived', '--json', '-d', self.db, env=a.environment())
            told = json.loads(r.text)
            self.assertEqual((told['agrees'], told['files_archived'], told['records']), (True, 0, 2004))
            size = os.path.getsize(os.path.join(self.far, 'day/a.pcap'))
            self.assertLess(a.sent, size * 1.1)
            self.assertLess(len(a.requests), 15)
            with open(os.path.join(self.far, 'day/a.pcap'), 'r+b') as f:
                f.seek(3000000)
                f.write(bytes(5000))
            self.assert_says(flowcarve('verify', '--archived', '-d', self.db, ok=2, env=a.environment()), 'difference')


class Moving(Remote):
    def test_the_index_says_where_they_are(self):
        with Archive(self.far) as a:
            near = self.moved(a, {'a b#%.pcap': support.pcap_bytes(self.packets()), 'é.pcap': support.pcap_bytes(
                [(T0 + 10**12, udp('10.0.0.1', 1, '10.0.0.2', 2))])})
            self.assertEqual([p for p, in select(self.db, 'SELECT path FROM files ORDER BY id')],
                             [a.url + '/day/a%20b%23%25.pcap', a.url + '/day/%C3%A9.pcap'])
            self.assertEqual(self.carve(a), near)
            a.forget()
            self.assertEqual(self.states(a), ['archived'] * 2)
            self.assertEqual(a.requests, [], 'a list asks nobody')
            self.assertEqual(self.states(a, 'check'), [])
            self.assertEqual(len(a.requests), 2, 'the version tells')
            os.remove(os.path.join(self.far, 'day/é.pcap'))
            self.assertEqual(self.states(a, 'check'), ['missing'])
            # and back
            shutil.move(os.path.join(self.far, 'day'), self.path('home'))
            r = flowcarve('files', 'relocate', '-d', self.db, a.url + '/day', self.path('home'), ok=0)
            self.assert_says(r, '1 found', '1 left')
            self.assertEqual(self.carve(a, what=ONE), near)
            self.assertEqual(select(self.db, 'SELECT path, relative FROM files WHERE id = 1'), [('home/a b#%.pcap', 1)])

    def test_what_is_not_there_keeps_its_name(self):
        with Archive(self.far) as a:
            self.make({'a.pcap': support.pcap_bytes(self.packets()), 'b.pcap': support.pcap_bytes(
                [(T0 + 10**12, udp('10.0.0.1', 1, '10.0.0.2', 2))]), 'c.pcap': support.pcap_bytes(
                [(T0 + 10**13, udp('10.0.0.1', 1, '10.0.0.2', 2))])})
            os.remove(os.path.join(self.far, 'day/b.pcap'))
            support.write(os.path.join(self.far, 'day/c.pcap'), b'something else')
            r = self.relocate(a, ok=2)
            self.assert_says(r, '1 found', '1 missing', '1 changed', 'day/b.pcap: the capture is missing')
            self.assertEqual([p.startswith('http') for p, in select(self.db, 'SELECT path FROM files ORDER BY id')],
                             [True, False, False])

    def test_indexing_does_not_take_it_for_gone(self):
        with Archive(self.far) as a:
            near = self.moved(a)
            self.write('day/z.pcap', support.pcap_bytes([(T0 + 10**12, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
            shutil.copy(os.path.join(self.far, 'day/a.pcap'), self.path('day/a.pcap'))
            for _ in range(2):
                r = index(self.db, self.path('day'))
                self.assert_says(r, 'is a copy of http://')
            self.assertEqual(select(self.db, 'SELECT gone FROM files'), [(0,), (0,)])
            flowcarve('forget', '-q', '-d', self.db, '--gone', ok=(0, 1))
            self.assertEqual(a.requests, [])
            self.assertEqual(self.carve(a), near)
            flowcarve('forget', '-q', '-d', self.db, a.url + '/day/a.pcap')
            self.assertEqual(self.states(a), ['forgotten', 'present'])

    def test_retention_leaves_it_alone(self):
        with Archive(self.far) as a:
            near = self.moved(a)
            for k in range(3):
                self.write('day/%d.pcap' % k, support.pcap_bytes([(T0 + 10**12 * (k + 1), udp('10.0.0.1', k, '10.0.0.2', 2))]))
            p = subprocess.Popen([support.FLOWCARVE, 'watch', '-q', '-d', self.db, '--keep', '1d', '--delete-captures', self.path('day')],
                                 env=support.environment(), stderr=subprocess.PIPE)
            try:
                deadline = time.monotonic() + 20
                while os.listdir(self.path('day')) and time.monotonic() < deadline and p.poll() is None:
                    time.sleep(.05)
            finally:
                p.terminate()
                said = p.communicate()[1].decode()
            self.assertEqual(os.listdir(self.path('day')), [], said)
            self.assertEqual(self.states(a)[0], 'archived')
            self.assertEqual(self.carve(a), near)

    def test_urls_that_are_refused(self):
        self.make({'a.pcap': support.pcap_bytes(self.packets(20, every=10))})
        for url, says in (('http://user:hunter2@127.0.0.1/x', 'has a user in it'), ('https://hunter2@host/x', 'has a user'),
                          ('http://host/x?hunter2=1', 'has a query'), ('http://host/x#hunter2', 'has a query'), ('http:///x', 'no name of a host'),
                          ('s3:///x', 'no name of a bucket'), ('http://a b/', 'no name of a host'), ('http://h/\x1b[2J', 'character'),
                          ('http://h\\@x/', 'has a user'), ('http://h/' + 'x' * 5000, 'too long')):
            r = flowcarve('files', 'relocate', '-d', self.db, self.path('day'), url, ok=2)
            self.assert_says(r, says)
            self.assertNotIn('hunter2', r.err)
            self.assertNotIn('\x1b', r.err)
        self.assertNotIn(b'hunter2', support.read_bytes(self.db))


class Failing(Remote):
    def assert_fails(self, a, lie, *says, tries=None, **env):
        a.lie = lie
        a.forget()
        before = time.monotonic()
        r = self.carve(a, ok=2, **env)
        self.assert_says(r, a.url + '/day/a.pcap', *says)
        self.assertFalse(os.path.exists(self.path('far.out')))
        if tries:
            self.assertEqual(a.count, tries, a.requests)
        self.assertLess(time.monotonic() - before, 15)
        return r

    def test_servers_that_lie(self):
        with Archive(self.far) as a:
            near = self.moved(a)
            size = os.path.getsize(os.path.join(self.far, 'day/a.pcap'))
            self.assert_fails(a, 'no ranges', 'all of it or nothing', tries=1)
            self.assert_fails(a, lambda n: 'no ranges' if n == 3 else None, '@', 'all of it or nothing', tries=3)
            self.assert_fails(a, 'other range', 'another part', tries=1)
            self.assert_fails(a, 'no content range', 'another part', tries=1)
            self.assert_fails(a, lambda n: 'other range' if n == 3 else None, '@', tries=3)
            self.assert_fails(a, lambda n: 'long' if n == 2 else None, '@', 'another part')
            self.assert_fails(a, 'short', 'remaining', 'tried 4 times', tries=4)
            self.assert_fails(a, 'trailer', 'the headers of the answer have no end', tries=1)
            self.assert_fails(a, 500, 'answers 500', 'tried 4 times', tries=4)
            self.assert_fails(a, lambda n: 404 if n == 2 else None, 'missing', '404', tries=2)
            self.assert_fails(a, 403, 'answers 403', tries=1)
            self.assert_fails(a, 'to ' + a.url + '/day/a.pcap', 'redirects', tries=6)
            self.assert_fails(a, 'to file:///etc/passwd', 'cannot be read')
            self.assert_fails(a, 'to gopher://127.0.0.1/', 'cannot be read')
            self.assertLess(a.sent, size / 10)
            # what passes is not told
            for lie in (lambda n: 500 if n < 4 else None, lambda n: 'short' if n % 2 else None, lambda n: 429 if n == 2 else None,
                        lambda n: 'to ' + a.url + '/day/a.pcap' if n % 4 else None):
                a.lie = lie
                a.forget()
                self.assertEqual(self.carve(a), near)

    def test_nobody_answers(self):
        with Archive(self.far) as a:
            self.moved(a)
            self.assert_fails(a, 'hang', 'cannot be read', FLOWCARVE_ARCHIVE_TIMEOUT='1')
        r = flowcarve('carve', '-q', '-d', self.db, '-w', self.path('o'), ONE, ok=2, env={'no_proxy': '*'})
        self.assert_says(r, a.url, 'tried 4 times')

    def test_a_signal_ends_waiting(self):
        with Archive(self.far) as a:
            self.moved(a)
            a.lie = 'hang'
            p = subprocess.Popen([support.FLOWCARVE, 'carve', '-q', '-d', self.db, '-w', self.path('o'), ONE],
                                 env=support.environment(**a.environment()), stderr=subprocess.PIPE)
            while not a.count:
                time.sleep(.01)
            before = time.monotonic()
            p.send_signal(signal.SIGINT)
            said = p.communicate(timeout=30)[1].decode()
            self.assertLess(time.monotonic() - before, 5)
            self.assertIn('interrupted', said)
            self.assertFalse(os.path.exists(self.path('o')))

    def test_another_object_has_the_name(self):
        """Replaced before, and midway: by servers that compare what they are told, and those that do not."""
        with Archive(self.far) as a:
            near = self.moved(a)

            def change(n):
                if n == 3:
                    a.salt += b'x'
            for blind in (False, True):
                a.blind, a.lie, a.salt = blind, change, b''
                a.forget()
                r = self.carve(a, ok=2)
                self.assert_says(r, a.url + '/day/a.pcap@', 'changed while it was read')
                self.assertEqual(len(a.requests), 3, 'it is not asked again for each packet')
                a.salt = b''
                a.forget()
                r = flowcarve('carve', '-d', self.db, '--partial', '-w', self.path('p.out'), ONE, env=a.environment())
                self.assert_says(r, 'changed while it was read', 'missing')
                self.assertEqual(len(a.requests), 3)
            # only its name for the version has: the content tells
            a.lie = None
            a.salt = b'another'
            self.assertEqual(self.carve(a), near)
            path = os.path.join(self.far, 'day/a.pcap')
            data = support.read_bytes(path)
            support.write(path, data[:5000] + bytes(2000) + data[7000:])
            self.assert_says(self.carve(a, ok=2), a.url, 'changed since it was indexed')
            support.write(path, data[:-1])
            self.assert_says(self.carve(a, ok=2), a.url, 'changed since it was indexed')
            support.write(path, data + b'more')
            self.assertEqual(self.carve(a), near)
            self.assertEqual(self.states(a, 'check'), [])
            self.assertEqual(self.states(a), ['archived'])

    def test_without_tags(self):
        with Archive(self.far) as a:
            a.tagless = True
            near = self.moved(a)
            self.assertEqual(self.carve(a), near)
            self.assertIn('If-Unmodified-Since', a.requests[-1].headers)

    def test_relocating_to_nobody_fails_at_once(self):
        self.make({'%d.pcap' % k: support.pcap_bytes([(T0 + 10**12 * k, udp('10.0.0.1', k, '10.0.0.2', 2))]) for k in range(9)} | {'one.pcap': support.pcap_bytes(self.packets(20, every=10))})
        before = time.monotonic()
        r = flowcarve('files', 'relocate', '-d', self.db, self.path('day'), 'http://127.0.0.1:1/day', ok=2, env={'no_proxy': '*'})
        self.assertLess(time.monotonic() - before, 6)
        self.assertEqual(len(r.err.splitlines()), 1, r)


class Tls(Remote):
    def certificate(self):
        openssl = support.tool('openssl')
        support.run(openssl, 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
                    '/CN=archive', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', self.path('key.pem'), '-out', self.path('cert.pem'))
        return self.path('cert.pem'), self.path('key.pem')

    def test_certificates_are_checked(self):
        cert, key = self.certificate()
        with Archive(self.far, tls=(cert, key)) as a:
            near = self.make({'a.pcap': support.pcap_bytes(self.packets())})
            self.assert_says(self.relocate(a, ok=2), a.url, 'certificate')
            self.assertEqual(a.requests, [])
            self.relocate(a, CURL_CA_BUNDLE=cert)
            self.assertEqual(self.carve(a, SSL_CERT_FILE=cert), near)
            a.lie = 'to http' + a.url[5:] + '/day/a.pcap'
            self.assert_says(self.carve(a, ok=2, SSL_CERT_FILE=cert), 'cannot be read')


class S3(Remote):
    def test_signatures(self):
        """As Python makes them of what AWS says: keys with all kinds of characters, with and without a session's token."""
        with Archive(self.far, s3=True) as a:
            near = self.make({'a b+c=é$(1)/x&y~;,!.pcap': support.pcap_bytes(self.packets())})
            shutil.move(os.path.join(self.far, 'day'), os.path.join(self.far, 'bucket.of-mine/day'))
            self.relocate(a, 's3://bucket.of-mine/day/')
            self.assertEqual(select(self.db, 'SELECT path FROM files'), [('s3://bucket.of-mine/day/a b+c=é$(1)/x&y~;,!.pcap',)])
            self.assertEqual(self.carve(a), near)
            a.token = archive.TOKEN
            self.assertEqual(self.carve(a), near)
            self.assertEqual({r.status for r in a.requests}, {206})
            # to HTTP and back, as names there are written
            with Archive(self.far) as b:
                flowcarve('files', 'relocate', '-q', '-d', self.db, 's3://bucket.of-mine/day', b.url + '/bucket.of-mine/day',
                          env=b.environment())
                self.assertEqual(self.carve(b), near)
            flowcarve('files', 'relocate', '-q', '-d', self.db, b.url + '/bucket.of-mine', 's3://bucket.of-mine', env=a.environment())
            self.assertEqual(select(self.db, 'SELECT path FROM files'), [('s3://bucket.of-mine/day/a b+c=é$(1)/x&y~;,!.pcap',)])
            self.assertEqual(self.carve(a), near)
            held = b''.join(support.read_bytes(os.path.join(self.folder, n)) for n in os.listdir(self.folder) if n.startswith('x.db'))
            for secret in (archive.KEY, archive.SECRET, archive.TOKEN):
                self.assertNotIn(secret.encode(), held)

    def test_keys_that_are_no_text(self):
        with Archive(self.far, s3=True) as a:
            near = self.make({'a\udcff.pcap': support.pcap_bytes(self.packets(20, every=10))})
            shutil.move(os.path.join(self.far, 'day'), os.path.join(self.far, 'b/day'))
            self.relocate(a, 's3://b/day')
            self.assertEqual(select(self.db, 'SELECT path FROM files'), [(b's3://b/day/a\xff.pcap',)])
            self.assertEqual(self.carve(a), near)

    def test_keys_that_are_wrong(self):
        with Archive(self.far, s3=True) as a:
            self.make({'a.pcap': support.pcap_bytes(self.packets(20, every=10))})
            shutil.move(os.path.join(self.far, 'day'), os.path.join(self.far, 'b/day'))
            for env, says in (({'AWS_SECRET_ACCESS_KEY': 'wrong'}, '403 (SignatureDoesNotMatch)'),
                              ({'AWS_SECRET_ACCESS_KEY': ''}, 'only one is set'), ({'AWS_REGION': 'us-east-1'}, '403'),
                              ({'AWS_ACCESS_KEY_ID': '', 'AWS_SECRET_ACCESS_KEY': ''}, '403 (AccessDenied)'),
                              ({'AWS_ENDPOINT_URL': 'http://u:' + archive.SECRET + '@127.0.0.1'}, 'AWS_ENDPOINT_URL')):
                r = self.relocate(a, 's3://b/day', ok=2, **env)
                self.assert_says(r, says)
                self.assertNotIn(archive.SECRET, r.err)
            a.lie = 'to ' + a.url + '/b/day/a.pcap'
            self.assert_says(self.relocate(a, 's3://b/day', ok=2), '302')
            self.assertEqual(a.count, len(a.requests))
            a.lie = None
            self.relocate(a, 's3://b/day')
            os.remove(os.path.join(self.far, 'b/day/a.pcap'))
            self.assert_says(self.carve(a, ok=2, what='udp'), 's3://b/day/a.pcap: the capture is missing', '404 (NoSuchKey)')


if __name__ == '__main__':
    support.main()
