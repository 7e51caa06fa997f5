# SPDX-License-Identifier: MIT
"""Commands that are given captures in place of an index: `-r` says what an index of them would, now, and keeps one."""
import json, os, shutil, signal, subprocess, time, unittest

import support
from support import S, T0, flowcarve, index, tcp, udp


class Reading(support.TestCase):
    def setUp(self):
        super().setUp()
        self.cache = self.path('cache', 'flowcarve')
        self.env = support.environment(XDG_CACHE_HOME=self.path('cache'), TMPDIR=self.folder)

    def run_it(self, *words, ok=0):
        return flowcarve(*words, ok=ok, env=self.env, cwd=self.folder)

    def kept(self):
        return sorted(os.listdir(self.cache)) if os.path.isdir(self.cache) else []

    def capture(self, name, *ports):
        return self.write(name, support.pcap_bytes([(T0 + p * S, udp('10.0.0.1', p, '10.0.0.2', 53, b'x')) for p in ports]))

    def test_as_by_an_index(self):
        files = self.fcgen('c.pcap', '--packets', '20000')
        db = self.path('x.db')
        index(db, '-q', *files)
        for words in (('query', '-f', 'json', 'tcp and port 443'), ('top', '--by', 'pair', '-f', 'csv'), ('stats',),
                      ('carve', '-q', '-w', '-', 'udp'), ('packets', '-n', '50', 'udp'), ('follow', 'id 9')):
            with self.subTest(words[0]):
                want = flowcarve(words[0], '-d', db, *words[1:], cwd=self.folder)
                for _ in range(2):
                    r = self.run_it(words[0], *(w for f in files for w in ('-r', f)), *words[1:])
                    self.assertEqual(r.out, want.out)
        self.assertEqual(len(self.kept()), 1)
        self.assertEqual(os.stat(self.cache).st_mode & 0o777, 0o700)

    def test_told_once(self):
        f = self.capture('a.pcap', 1, 2)
        r = self.run_it('query', '-c', '-r', f)
        self.assertEqual(r.text, '2\n')
        self.assert_says(r, 'indexed 1 capture', '2 packets', self.cache)
        self.assertEqual(len(r.err.splitlines()), 1, r.err)
        self.assertEqual(self.run_it('query', '-c', '-r', f).err, '')
        self.assertEqual(self.run_it('query', '-c', '-q', '-r', self.capture('b.pcap', 1)).err, '')

    def test_what_has_changed(self):
        """Grown, moved, replaced, gone: never a session that is not in the captures of now."""
        os.mkdir(self.path('day'))
        ports = lambda: sorted(json.loads(line)['client_port'] for line in
                               self.run_it('query', '-r', self.path('day'), '-f', 'json', ok=(0, 1)).text.splitlines())
        self.capture('day/a.pcap', 1, 2)
        self.assertEqual(ports(), [1, 2])
        self.capture('day/b.pcap', 3)
        self.assertEqual(ports(), [1, 2, 3])
        self.capture('day/b.pcap', 3, 4)
        self.assertEqual(ports(), [1, 2, 3, 4])
        os.rename(self.path('day/a.pcap'), self.path('day/c.pcap'))
        self.assertEqual(ports(), [1, 2, 3, 4])
        self.capture('day/c.pcap', 5, 6)
        self.assertEqual(ports(), [3, 4, 5, 6])
        os.remove(self.path('day/b.pcap'))
        self.assertEqual(ports(), [5, 6])
        self.assertEqual(len(self.kept()), 1)

    def test_fields_come_when_they_are_named(self):
        f = self.capture('a.pcap', 1, 2)
        self.run_it('query', '-c', '-r', f)
        self.assertFalse(self.kept()[0].endswith('-all.db'))
        self.assertEqual(self.run_it('query', '-c', '-r', f, 'ttl at least 1').text, '2\n')
        self.assertEqual([n[-7:] for n in self.kept()], ['-all.db'])
        self.assertEqual(self.run_it('query', '-r', f, '-C', 'client_ttl').err, '')
        self.assertEqual(self.run_it('query', '-c', '-r', f).err, '')
        self.run_it('cache', 'clear')
        self.run_it('query', '-r', f, '-C', 'client_ttl')
        self.assertEqual([n[-7:] for n in self.kept()], ['-all.db'])

    def test_fields_come_when_the_output_needs_them(self):
        f = self.capture('a.pcap', 2, 1)
        self.assertEqual(self.run_it('query', '-r', f, '-s', 'client_ttl:desc', '-C', 'id').text, 'id\n1\n2\n')
        self.assertEqual([n[-7:] for n in self.kept()], ['-all.db'])
        self.run_it('cache', 'clear')
        lines = self.run_it('query', '-r', f, '-f', 'zeek').text.splitlines()
        names = next(l for l in lines if l.startswith('#fields')).split('\t')[1:]
        row = dict(zip(names, next(l for l in lines if l[0] != '#').split('\t')))
        self.assertNotEqual(row['orig_bytes'], '-')
        self.run_it('query', '-r', f, '-s', 'colour', ok=2)

    def test_not_kept(self):
        f = self.capture('a.pcap', 1, 2)
        before = self.listing()
        for words in (('query',), ('follow', 'port', '1'), ('carve', '-w', '-')):
            r = self.run_it(words[0], '-r', f, '--no-keep', *words[1:])
            self.assert_says(r, 'indexed 1 capture', 'not kept')
        self.assertEqual(self.listing(), before)
        env = {**self.env, 'XDG_CACHE_HOME': '', 'HOME': ''}
        self.assertEqual(flowcarve('query', '-c', '-r', f, '--no-keep', env=env).text, '2\n')
        self.assert_says(flowcarve('query', '-c', '-r', f, env=env, ok=2), '--no-keep')
        self.assertEqual(self.listing(), before)

    def test_an_index_that_is_none(self):
        """What lies there and cannot be used is made again."""
        f = self.capture('a.pcap', 1, 2)
        self.run_it('query', '-c', '-r', f)
        support.write(os.path.join(self.cache, self.kept()[0]), b'no database at all, whatever it is called\n' * 100)
        self.assertEqual(self.run_it('query', '-c', '-r', f).text, '2\n')

    def test_errors(self):
        f = self.capture('a.pcap', 1)
        self.assert_says(self.run_it('query', '-r', f, 'port', ok=2), 'port')
        self.assertEqual(self.kept(), [])
        self.assert_says(self.run_it('query', '-r', 'nope.pcap', ok=2), 'nope.pcap', 'No such file')
        self.assert_says(self.run_it('query', '-r', '-', ok=2), '--spool')
        self.assert_says(self.run_it('query', '-r', f, '-d', 'x.db', ok=2), '-d')
        self.assert_says(self.run_it('query', '--no-keep', ok=2), '-r')
        self.assert_says(self.run_it('query', '-r', self.write('text', b'hello'), ok=2), 'text')
        self.assertEqual(self.kept(), [])

    @unittest.skipIf(os.geteuid() == 0 and not shutil.which('setpriv'), 'root may read all')
    def test_a_stream(self):
        os.mkfifo(self.path('fifo'))
        for name in '-', self.path('fifo'):
            self.assert_says(self.run_it('query', '-r', name, ok=2), "of a stream 'flowcarve index --spool'")
        self.assertNotIn('stream', self.run_it('query', '-r', '/dev/null', ok=2).err)

    def test_a_capture_that_cannot_be_read(self):
        """Nothing found is no answer then."""
        os.mkdir(self.path('day'))
        self.capture('day/a.pcap', 1)
        os.symlink(self.path('nowhere'), self.path('day/b.pcap'))
        r = self.run_it('query', '-c', '-r', self.path('day'), ok=(0, 2))
        self.assertEqual(self.run_it('query', '-q', '-r', self.path('day'), 'port 7', ok=(1, 2)).rc, 1 if r.rc == 0 and 'b.pcap' not in r.err else 2)

    def test_ended_by_a_signal(self):
        """While it indexes: dies of it, and leaves neither process nor file."""
        f, = self.fcgen('big.pcap', '--packets', '300000')
        before = self.listing()
        for number, words in ((signal.SIGINT, ()), (signal.SIGTERM, ('--no-keep',)), (signal.SIGKILL, ())):
            p = subprocess.Popen([support.FLOWCARVE, 'query', '-c', '-r', f, *words], env=self.env, cwd=self.folder,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(.03)
            p.send_signal(number)
            p.communicate(timeout=support.SECONDS)
            self.assertIn(p.returncode, (-number, 0))
            until = time.monotonic() + support.SECONDS
            while self.children_of(f) and time.monotonic() < until:
                time.sleep(.01)
            self.assertEqual(self.children_of(f), [])
            self.assertEqual([n for n in self.listing() if n != 'cache'], before)
            self.assertEqual([n for n in self.kept() if not n.endswith('.db')], [])
        self.assertEqual(self.run_it('query', '-c', '-r', f).rc, 0)

    def children_of(self, f):
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                if f.encode() in support.read_bytes('/proc/%s/cmdline' % pid) and int(pid) != os.getpid():
                    found.append(pid)
            except OSError:
                pass
        return found

    def test_list_and_clear(self):
        self.assertEqual(self.run_it('cache', '-f', 'json').out, b'')
        for name in 'ab':
            self.run_it('query', '-c', '-r', self.capture(name + '.pcap', 1, ord(name)))
        rows = [json.loads(line) for line in self.run_it('cache', '-f', 'json').text.splitlines()]
        self.assertEqual(sorted((r['captures'], r['records'], os.path.basename(r['first_capture'])) for r in rows),
                         [(1, 2, 'a.pcap'), (1, 2, 'b.pcap')])
        self.assertEqual(sorted(os.path.basename(r['index']) for r in rows), self.kept())
        support.write(os.path.join(self.cache, 'mine.txt'), b'stays')
        self.assert_says(self.run_it('cache', 'clear'), '2 indexes removed')
        self.assertEqual(self.kept(), ['mine.txt'])
        self.assertEqual(self.run_it('cache', 'nonsense', ok=2).rc, 2)


if __name__ == '__main__':
    support.main()
