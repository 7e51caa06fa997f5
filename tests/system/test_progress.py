#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How far a command has come: one line on a terminal that fits it, plain lines elsewhere, nothing where none is wanted."""
import fcntl, os, pty, re, struct, subprocess, termios, threading, time

import support
from support import flowcarve


class Progress(support.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import tempfile
        cls.shared = tempfile.TemporaryDirectory(prefix='fc-', dir=support.scratch())
        cls.addClassCleanup(cls.shared.cleanup)
        cls.capture, = support.fcgen(os.path.join(cls.shared.name, 'c.pcap'), '--packets', '150000', '--sessions', '50000')

    def on_terminal(self, columns, *words, **popen):
        """(what the terminal got, seconds) with standard error on a terminal of so many columns."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        start, out = time.monotonic(), []
        p = subprocess.Popen([support.FLOWCARVE, *words], stderr=slave, stdout=subprocess.PIPE, stdin=subprocess.PIPE,
                             env=support.environment(), **popen)
        os.close(slave)

        def read():
            try:
                while data := os.read(master, 65536):
                    out.append(data)
            except OSError:  # the other end is closed
                pass
        reader = threading.Thread(target=read)
        reader.start()
        p.communicate()
        seconds = time.monotonic() - start
        reader.join()
        os.close(master)
        self.assertEqual(p.returncode, 0, b''.join(out))
        return b''.join(out).decode(), seconds

    def check(self, text, columns, seconds):
        """What was drawn; each line fits, and the last is taken away before something else is said."""
        drawn = re.findall(r'\r\x1b\[K([^\r\n]*?)(?=\r\x1b)', text)
        for line in drawn:
            self.assertLess(len(line), columns, line)
            if line:
                self.assertRegex(line, r'^(looking|finishing|(reading|writing) {1,4}\d{1,3}%(  \[#* *\])?)(  |$)')
        if seconds > .6:
            self.assertTrue(any(drawn), text)
        self.assertNotRegex(re.sub(r'.*\x1b\[K', '', text.split('\n', 1)[0]), 'reading|writing|looking')
        return drawn

    def test_on_terminals(self):
        for columns in 20, 80, 200:
            db = self.path('%d.db' % columns)
            text, seconds = self.on_terminal(columns, 'index', '-j', '1', '-d', db, self.capture)
            self.check(text, columns, seconds)
            self.assertRegex(text, r'\d+ MB and 150,000 packets in [\d.]+ s: +[\d.]+ GB/s  [\d.]+ Mpps\r\n')
            self.assertIn('150,000 records = 150,000 packets in sessions + 0 ignored', text)
        text, seconds = self.on_terminal(80, 'verify', '-d', db)
        drawn = self.check(text, 80, seconds)
        if seconds > .8:
            self.assertTrue(any('GB/s' in line for line in drawn), drawn)
        text, seconds = self.on_terminal(80, 'carve', '-d', db, '-w', self.path('o.pcap'))
        self.check(text, 80, seconds)
        self.assertIn('150,000 packets of', text)

    def test_messages_do_not_get_into_the_line(self):
        """A stream that comes slowly, and a folder with a copy in it."""
        words = ['index', '-d', self.path('x.db'), '--spool', self.path('s.pcap'), '-', self.path('a.pcap'), self.path('b.pcap')]
        one = support.pcap_bytes([(support.T0, support.udp('10.0.0.1', 1, '10.0.0.2', 2))])
        two = support.pcap_bytes([(support.T0 + support.S, support.udp('10.0.0.1', 1, '10.0.0.2', 2))])
        self.write('a.pcap', one)
        self.write('b.pcap', one)
        r, w = os.pipe()
        master, slave = pty.openpty()
        p = subprocess.Popen([support.FLOWCARVE, *words], stdin=r, stderr=slave, env=support.environment())
        os.close(slave)
        os.close(r)
        seen = b''
        while b'looking' not in seen:  # drawn while the stream has not ended
            seen += os.read(master, 4096)
        os.write(w, two)
        os.close(w)
        try:
            while data := os.read(master, 4096):
                seen += data
        except OSError:
            pass
        os.close(master)
        self.assertEqual(p.wait(), 0)
        self.assertRegex(seen.decode(), r'(^|\n|\x1b\[K)flowcarve: warning: \S*b.pcap: is a copy of \S*a.pcap, which is indexed\r\n')

    def test_elsewhere(self):
        for words, drawn in (('-v',), True), ((), False), (('-q', '-v'), False):
            with self.subTest(words):
                r = flowcarve('index', '-j', '1', '-d', self.path('x%d.db' % len(words)), *words, self.capture)
                self.assertNotIn('\r', r.err)
                self.assertNotIn('\x1b', r.err)
                self.assertEqual('150,000 packets in ' in r.err.split('records =')[0], drawn, r.err)


if __name__ == '__main__':
    support.main()
