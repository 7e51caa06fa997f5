# SPDX-License-Identifier: MIT
"""Commands that parse captures have given up what they do not need by then; and work as well. (What is refused to them is
tried in tests/race/sandbox_refused.c.)"""
import os, socket, subprocess, time, unittest

import support
from support import flowcarve, index


@unittest.skipIf(support.sanitized(), 'sanitizers need what the sandbox gives up')
class Sandbox(support.TestCase):
    def setUp(self):
        super().setUp()
        self.files = self.fcgen('c.pcap', '--packets', '40000', '--sizes', 'small')
        if 'Seccomp:' not in support.read_bytes('/proc/self/status').decode():
            self.skipTest('this kernel has no seccomp')

    def waiting(self, *words, env=None, **kw):
        """Starts a command that will wait for us; the threads' states when it does."""
        p = subprocess.Popen([support.FLOWCARVE, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, cwd=self.folder, env=support.environment(**(env or {})), **kw)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        for stream in (p.stdin, p.stdout):
            self.addCleanup(stream.close)
        return p

    def spooling(self, **env):
        p = self.waiting('index', '-q', '-d', 'y.db', '--spool', 's.pcap', '-', env=env)
        while not support.has_unnamed(p.pid):
            self.assertIsNone(p.poll())
            time.sleep(.001)
        found = support.sandbox_of(p.pid)
        p.kill()
        p.wait()
        return found

    def test_it_is_in_force_where_captures_are_parsed(self):
        self.assertEqual(set(self.spooling()), {(2, 1)})
        index(self.path('x.db'), '-q', *self.files)
        p = self.waiting('carve', '-q', '-d', 'x.db', '-w', '-')
        p.stdout.read(1)
        self.assertEqual(set(support.sandbox_of(p.pid)), {(2, 1)})

    def test_tools_that_work_inside_may_be_let_in(self):
        self.assertEqual(set(self.spooling(FLOWCARVE_SANDBOX='off')), {(0, 0)})
        self.assertEqual(set(self.spooling(FLOWCARVE_SANDBOX='')), {(2, 1)})

    def test_hosts_of_a_filter_are_looked_up(self):
        try:
            address = socket.gethostbyname('localhost')
        except OSError:
            self.skipTest('localhost is not known here')
        f = self.write('l.pcap', support.pcap_bytes([(support.T0, support.udp(address, 1, address, 2)),
                                                     (support.T0, support.udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        more = self.write('m.pcap', support.pcap_bytes([(support.T0 + 1, support.udp(address, 1, address, 2))]))
        r = index(self.path('x.db'), '--filter', 'host localhost', f)
        self.assert_says(r, '= 1 packet in sessions + 1 ignored')
        self.assert_says(index(self.path('x.db'), more), '= 1 packet in sessions + 0 ignored')  # the filter is the index's
        support.verify(self.path('x.db'))

    def test_folders_apart(self):
        """The index, the spool and the carve each in a folder of its own, by way of links and of relative names."""
        for name in ('a', 'b', 'c'):
            os.mkdir(self.path(name))
        os.symlink('../a/x.db', self.path('c/link.db'))
        self.write('a/x.db', b'')
        with open(self.files[0], 'rb') as stream:
            index('link.db', '-q', '--spool', '../b/s.pcap', '-', stdin=stream, cwd=self.path('c'))
        new = self.fcgen('d.pcap', '--packets', '20000', '--start', '1800000000')
        index('link.db', '-q', *new, cwd=self.path('c'))
        self.write('b/o.pcap', b'old')
        os.symlink('../b/o.pcap', self.path('a/o.pcap'))
        flowcarve('carve', '-q', '-d', '../c/link.db', '-w', 'o.pcap', cwd=self.path('a'))
        self.assertEqual(len(support.read_capture(self.path('b/o.pcap'))), 60000)
        self.assertEqual([self.listing(n) for n in 'abc'], [['o.pcap', 'x.db'], ['o.pcap', 's.pcap'], ['link.db']])
        support.verify(self.path('c/link.db'))


if __name__ == '__main__':
    support.main()
