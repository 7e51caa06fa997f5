# SPDX-License-Identifier: MIT
"""What a person sees: screens of a terminal (tmux) of 80 and of 200 columns, when the command has ended."""
import json, os, re, shlex, time

import support
from support import flowcarve, index


class Terminal(support.TestCase):
    def setUp(self):
        super().setUp()
        self.tmux = [support.tool('tmux'), '-S', self.path('.tmux'), '-f', '/dev/null']
        support.run(*self.tmux, 'new-session', '-d', 'exec sleep 1000')  # the server ends with its last one
        self.db = self.path('day.db')
        self.captures = self.fcgen('day.pcap', '--packets', '6000', '--ipv6', '30', '--files', '2')
        index(self.db, '-q', *self.captures)

    def tearDown(self):
        support.run(*self.tmux, 'kill-server', ok=(0, 1))
        super().tearDown()

    def screen(self, columns, *words, rows=60):
        """The lines that the terminal shows, without blanks at their ends."""
        done, command = self.path('done'), ' '.join(shlex.quote(str(w)) for w in (support.FLOWCARVE, *words))
        if os.path.exists(done):
            os.remove(done)
        env = ['-e', 'FLOWCARVE_DB=' + self.db, '-e', 'LC_ALL=C.UTF-8', '-e', 'XDG_CACHE_HOME=' + self.path('cache')]
        support.run(*self.tmux, '-u', 'new-session', '-d', '-s', 's', '-x', columns, '-y', rows, *env,
                    '%s; echo "exit $?"; : > %s; exec sleep 100' % (command, shlex.quote(done)))
        end = time.monotonic() + 60
        while not os.path.exists(done) and time.monotonic() < end:
            time.sleep(.02)
        while True:  # what was written may still be on its way to the screen
            text = support.run(*self.tmux, 'capture-pane', '-p', '-t', 's').text
            if re.search(r'(?m)^exit \d+$', text) or time.monotonic() > end:
                break
        support.run(*self.tmux, 'kill-session', '-t', 's')
        lines = [line.rstrip() for line in text.split('\n')]
        self.assertIn('exit 0', lines, text)
        return lines[:lines.index('exit 0')]

    def test_a_table_of_sessions(self):
        rows = [json.loads(l) for l in flowcarve('query', '-d', self.db, '-f', 'json', '-n', '20', '-s', 'bytes:desc').text.splitlines()]
        for columns, each in ((80, 2), (200, 1)):  # both ends, with IPv6 among them, take two lines of a narrow one
            lines = self.screen(columns, 'query', '--limit', '20', '--sort', 'bytes:desc')
            self.assertEqual(len(lines), 2 + 20 * each, lines)  # head, sessions, totals: none is broken
            for word in ('ID', 'START', 'UTC', 'CLIENT', 'SERVER', 'BYTES'):
                self.assertIn(word, lines[0])
            for n, row in enumerate(rows):
                first, last = lines[1 + n * each], lines[n * each + each]
                self.assertEqual(first.split()[0], str(row['id']))
                self.assertIn(row['client_addr'], first)
                self.assertIn(row['server_addr'], last)
            self.assertRegex(lines[-1], r'^20 of \d+ sessions, ')
        self.assertIn('STATE', lines[0])

    def test_sums_and_a_histogram(self):
        for columns in (80, 200):
            lines = self.screen(columns, 'top', '--by', 'host', '-n', '5')
            self.assertTrue(6 <= len(lines) <= 8, lines)
            self.assertLessEqual(max(map(len, lines)), columns)
            lines = self.screen(columns, 'top', '--by', 'time')
            bars = [len(re.findall('[▏▎▍▌▋▊▉█]', line)) for line in lines]
            self.assertGreater(max(bars), 5, lines)
            self.assertGreater(sum(b > 0 for b in bars), 3, lines)
            self.assertLessEqual(max(map(len, lines)), columns)
        self.assertGreater(max(map(len, lines)), 80)  # a wide one is made use of

    def test_packets_and_a_tree(self):
        sid = json.loads(flowcarve('query', '-d', self.db, '-f', 'json', '-n', '1', '-s', 'bytes:desc', 'tcp').text)['id']
        for columns in (80, 200):
            lines = self.screen(columns, 'packets', '-i', sid, '--limit', '12')
            self.assertIn(len(lines), (13, 14), lines)
            lines = self.screen(columns, 'packets', '-i', sid, '--limit', '1', '--tree')
            text = '\n'.join(lines)
            for layer in ('Ethernet', 'IP', 'TCP'):
                self.assertRegex(text, r'(?mi)^\s*%s' % layer)
            self.assertLessEqual(max(map(len, lines)), columns)

    def test_a_line_of_progress_leaves_nothing_behind(self):
        for columns in (80, 200):
            db = self.path('%d.db' % columns)
            lines = self.screen(columns, 'index', '-d', db, *self.captures)
            self.assertEqual(len(lines), 4, lines)
            self.assertRegex(lines[0], r'^4.0 MB and 6,000 packets in ')
            self.assertRegex(lines[1], r'^2 files, .* 6,000 records = ')
            lines = self.screen(columns, 'follow', '-d', db, '--to', self.path('to%d' % columns), 'tcp')
            self.assertRegex(lines[-1], r'^\d+ files? of \d+ sessions written')
            self.assertEqual([l for l in lines if '%' in l or '\x1b' in l], [])

    def test_help_fits(self):
        for words in (['help'], ['query', '--help'], ['help', 'filter'], ['carve', '--help']):
            lines = self.screen(80, *words, rows=400)
            printed = flowcarve(*words).text.splitlines()
            self.assertEqual([l.rstrip() for l in printed], lines)  # no line of it is longer than the screen


if __name__ == '__main__':
    support.main()
