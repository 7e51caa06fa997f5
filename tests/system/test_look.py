# SPDX-License-Identifier: MIT
"""Packets and payload of an interface as they come. tcpdump beside it is the second opinion."""
import base64, json, os, signal, socket, subprocess, threading, time, unittest

import support
from support import FLOWCARVE


def may_capture():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        return True
    except (OSError, AttributeError):
        return False


@unittest.skipUnless(may_capture(), 'this user may not capture')
class Look(support.TestCase):
    def start(self, *words):
        """A program that listens; behind its first line it does."""
        out, err = self.path('out%d' % len(os.listdir(self.folder))), self.path('err%d' % len(os.listdir(self.folder)))
        with open(out, 'wb') as o, open(err, 'wb') as e:
            p = subprocess.Popen(words, stdout=o, stderr=e, env=support.environment())
        self.addCleanup(lambda: p.poll() is None and p.kill())
        p.out, p.err = out, err
        self.wait(lambda: b'istening on' in support.read_bytes(err) or p.poll() is not None)
        self.assertIsNone(p.poll(), support.read_bytes(err))
        return p

    def wait(self, true):
        end = time.monotonic() + 30
        while not true():
            self.assertLess(time.monotonic(), end)
            time.sleep(.01)

    def stop(self, p, status=0):
        start = time.monotonic()
        p.send_signal(signal.SIGINT)
        p.wait(30)
        self.assertEqual(p.returncode, status, support.read_bytes(p.err))
        self.assertLess(time.monotonic() - start, 2)
        return support.read_bytes(p.out).decode(), support.read_bytes(p.err).decode()

    def ends(self):
        """Two sockets that know each other."""
        a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for s in (a, b):
            s.bind(('127.0.0.1', 0))
            self.addCleanup(s.close)
        a.connect(b.getsockname())
        b.connect(a.getsockname())
        return a, b, a.getsockname()[1], b.getsockname()[1]

    def test_packets_as_tcpdump_has_them(self):
        a, b, client, server = self.ends()
        pcap = self.path('beside.pcap')
        beside = self.start(support.tool('tcpdump'), '-i', 'lo', '-U', '-Z', 'root', '--nano', '-w', pcap, 'udp port %d' % client)
        p = self.start(FLOWCARVE, 'packets', '-i', 'lo', '-f', 'json', '--hex', 'udp', 'port', str(client))
        n = 300
        for i in range(n):
            (b if i % 3 == 1 else a).send(b'%d' % i + b'x' * (i % 50))
        self.wait(lambda: support.read_bytes(p.out).count(b'\n') >= n)
        self.wait(lambda: os.path.getsize(pcap) > 24 + n * 16 + sum(42 + len(b'%d' % i) + i % 50 for i in range(n)) - 1)
        out, err = self.stop(p)
        self.stop(beside)
        rows = [json.loads(line) for line in out.splitlines()]
        theirs = support.parse_capture(support.read_bytes(pcap))
        self.assertEqual([(r['time_ns'], base64.b64decode(r['data'])) for r in rows], [(t.ts_ns, t.data) for t in theirs])
        for i, r in enumerate(rows):
            from_server = i % 3 == 1
            self.assertEqual((r['session'], r['direction'], r['src_port'], r['dst_port'], r['payload']),
                             (1, 'server' if from_server else 'client', *((server, client) if from_server else (client, server)),
                              len(b'%d' % i) + i % 50))
        self.assertIn('%d packets, ' % n, err)
        self.assertIn(' 0 dropped by the kernel', err)

    def test_a_table_at_once_and_an_end(self):
        a, b, client, server = self.ends()
        p = self.start(FLOWCARVE, 'packets', '-i', 'lo', '-f', 'table', '-n', '4', 'udp port %d' % client)
        a.send(b'one')
        self.wait(lambda: b'client' in support.read_bytes(p.out))  # not only when there are many, or at the end
        b.send(b'two')
        self.wait(lambda: b'server' in support.read_bytes(p.out))
        a.send(b'three'), a.send(b'four'), a.send(b'five')
        self.assertEqual(p.wait(30), 0)
        self.assertEqual(len(support.read_bytes(p.out).splitlines()), 5)

    def test_payload(self):
        listener = socket.create_server(('127.0.0.1', 0))
        port = listener.getsockname()[1]
        self.addCleanup(listener.close)
        for format in ('ascii', 'json'):
            p = self.start(FLOWCARVE, 'follow', '-i', 'lo', '-f', format, 'tcp', 'port', str(port))
            with socket.create_connection(('127.0.0.1', port)) as c, listener.accept()[0] as s:
                c.send(b'GET /\n')
                self.assertEqual(s.recv(100), b'GET /\n')
                s.send(b'first ')
                self.assertEqual(c.recv(100), b'first ')
                s.send(b'and second\x00')
                self.assertEqual(c.recv(100), b'and second\x00')
                mine = c.getsockname()[1]
            self.wait(lambda: support.read_bytes(p.out).count(b'\n') >= (6 if format == 'ascii' else 3))
            out, err = self.stop(p)
            if format == 'ascii':
                lines = out.splitlines()
                self.assertEqual([l.split(' 20')[0] for l in lines],
                                 ['--> client 127.0.0.1:%d' % mine, 'GET /', '<-- server 127.0.0.1:%d' % port, 'first ',
                                  '<-- server 127.0.0.1:%d' % port, 'and second.'])
            else:
                rows = [json.loads(l) for l in out.splitlines()]
                self.assertEqual([(r['from'], r['at'], base64.b64decode(r['data'])) for r in rows],
                                 [('client', 0, b'GET /\n'), ('server', 0, b'first '), ('server', 6, b'and second\x00')])

    def test_what_is_refused(self):
        for words, says in ((('packets', '-i', 'nosuch'), 'nosuch: cannot capture'), (('packets', '-i', 'lo', 'tcp prt 80'), 'pcap-filter'),
                            (('packets', '-i', 'lo', '-d', 'x.db'), 'without an index'), (('packets', '-i', 'lo', '-i', '3'), 'without an index'),
                            (('follow', '-i', 'lo', '-f', 'raw'), 'as ascii, hex or json'), (('follow', '-i', 'lo', '--grep', 'x'), "not 'lo' with"),
                            (('packets', '-i', 'lo', '-i', 'eth0'), 'one interface')):
            self.assert_says(support.flowcarve(*words, ok=2), says)


if __name__ == '__main__':
    support.main()
