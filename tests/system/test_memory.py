# SPDX-License-Identifier: MIT
"""Memory: what the headers promise of it is measured, on captures of many packets and on ones of many sessions."""
import sys

import support
from support import index, select

FIXED = 12 << 20  # libraries, windows, SQLite's pages


class Memory(support.TestCase):
    def setUp(self):
        if support.sanitized():
            self.skipTest('sanitizers take memory of their own')
        super().setUp()

    def peak(self, *args):
        """Bytes. Asked for by a small process: what forks counts for what it becomes, and this one is large."""
        r = support.run(sys.executable, '-c', 'import resource, subprocess, sys\n'
                        'subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n'
                        'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)', support.FLOWCARVE, *args)
        return int(r.text) * 1024

    def check(self, options, carve, verify):
        """Bytes a packet; a session has 56 and 128."""
        packets = 1000000
        files = self.fcgen('c.pcap', '--packets', str(packets), '--sizes', '60-64', *options)
        db = self.path('x.db')
        index(db, '-q', *files)
        (sessions,), = select(db, 'SELECT count(*) FROM session')
        for command, each, more in ((('carve', '-d', db, '-q', '-w', '-'), carve, 56), (('verify', '-d', db, '-q'), verify, 128)):
            peak = self.peak(*command)
            self.assertLessEqual(peak, packets * each + sessions * more + FIXED, '%s: %.1f bytes a packet' % (
                command[0], (peak - FIXED - sessions * more) / packets))
            self.assertGreater(peak, packets * 16, 'nothing was measured')

    def test_many_packets(self):
        self.check(('--sessions', '200'), 32, 32)

    def test_many_sessions(self):
        self.check(('--sessions', '150000'), 32, 32)

    def test_times_that_run_backwards(self):
        self.check(('--sessions', '200', '--backward', '5'), 48, 32)

    def test_captures_are_put_in_order_one_at_a_time(self):
        self.check(('--sessions', '200', '--files', '10'), 18, 18)


if __name__ == '__main__':
    support.main()
