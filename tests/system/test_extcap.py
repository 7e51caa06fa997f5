# SPDX-License-Identifier: MIT
"""The program that Wireshark calls, as Wireshark calls it. That Wireshark finds it is tested with the package."""
import os, re, subprocess, threading

import support
from support import flowcarve, index

EXTCAP = os.path.join(os.path.dirname(support.FLOWCARVE), 'flowcarve-extcap')


class Extcap(support.TestCase):
    def setUp(self):
        super().setUp()
        self.db = self.path('x.db')
        index(self.db, '-q', *self.fcgen('c.pcap', '--packets', '3000'))

    def call(self, *words, ok=0, **more):
        env = support.environment(PATH=os.path.dirname(support.FLOWCARVE) + ':' + os.environ['PATH'], **more)
        return support.run(EXTCAP, *words, ok=ok, env=env, cwd=self.folder)

    def capture(self, *words, ok=0, **more):
        """What comes out of the pipe."""
        got = []
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        reader = threading.Thread(target=lambda: got.append(support.read_bytes(fifo)))
        reader.start()
        try:
            r = self.call('--capture', '--extcap-interface', 'flowcarve', '--fifo', fifo, *words, ok=ok, **more)
        finally:
            if r.rc and not got:  # it has perhaps never opened the pipe
                os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
            reader.join(support.SECONDS)
            os.remove(fifo)
        return r, got[0]

    def test_is_offered(self):
        text = self.call('--extcap-interfaces', '--extcap-version=4.0').text
        self.assertRegex(text, r'(?m)^extcap \{version=[\d.]+\}')
        self.assertRegex(text, r'(?m)^interface \{value=flowcarve\}\{display=[^{}]+\}$')
        self.assertRegex(self.call('--extcap-interface', 'flowcarve', '--extcap-dlts').text, r'^dlt \{number=\d+\}\{name=\w+\}')
        calls = re.findall(r'(?m)^arg \{number=\d\}\{call=(--\w+)\}', self.call('--extcap-interface=flowcarve', '--extcap-config').text)
        self.assertEqual(calls, ['--db', '--filter'])

    def test_gives_what_carve_gives(self):
        for words, filter, env in ((('--db', self.db, '--filter', 'tcp and port 443'), 'tcp and port 443', {}),
                                   (('--db=' + self.db, '--extcap-capture-filter', 'udp'), 'udp', {}),
                                   (('--filter=tcp or udp', '--extcap-capture-filter=port 443'), '(tcp or udp) and port 443',
                                    {'FLOWCARVE_DB': self.db}),
                                   (('--db', self.db), 'ip or ip6 or arp', {})):
            with self.subTest(filter):
                r, got = self.capture(*words, **env)
                self.assertEqual(got, flowcarve('carve', '-q', '-d', self.db, '-f', 'pcapng', '-w', '-', filter).out)

    def test_filters_are_judged(self):
        judge = lambda text: self.call('--extcap-interface', 'flowcarve', '--extcap-capture-filter', text).text
        self.assertEqual(judge('host 10.0.0.1 and bytes over 10M'), '')
        self.assertIn('port', judge('tcp and port'))

    def test_errors(self):
        r = self.call('--capture', '--extcap-interface', 'flowcarve', '--db', self.db, ok=1)
        self.assert_says(r, '--fifo')
        self.assert_says(self.call('--capture', '--extcap-interface', 'flowcarve', '--fifo', self.path('f'), ok=1), 'no index')
        self.assert_says(self.call('--capture', '--extcap-interface', 'eth0', '--fifo', self.path('f'), ok=1), 'eth0')
        self.assert_says(self.call(ok=1), 'Wireshark')
        r, got = self.capture('--db', self.path('nope.db'), ok=2)
        self.assertEqual(got, b'')
        self.assert_says(r, 'nope.db')


if __name__ == '__main__':
    support.main()
