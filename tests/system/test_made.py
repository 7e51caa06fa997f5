# SPDX-License-Identifier: MIT
"""Files that are made: under their name when they are whole, for their owner alone unless others are let in."""
import grp, os, shutil, signal, subprocess, time

import support
from support import flowcarve, index


def rights(path):
    return os.stat(path).st_mode & 0o7777


class Whole(support.TestCase):
    """A killed process leaves nothing that looks like an output, nor anything else; what was there is there."""

    def start(self, *words, **kw):
        return subprocess.Popen([support.FLOWCARVE, *words], stderr=subprocess.PIPE, cwd=self.folder,
                                env=support.environment(), **kw)

    def test_a_carve_that_is_killed(self):
        files, kills, db = self.fcgen('c.pcap', '--packets', '60000', '--sizes', 'small'), 0, self.path('x.db')
        index(db, '-q', *files)
        flowcarve('carve', '-q', '-d', db, '-w', self.path('whole'))
        whole = support.read_bytes(self.path('whole'))
        before = self.listing()
        for i in range(support.rounds(20, 150)):
            old = i % 2 and self.write('o.pcap', b'old')
            with self.start('carve', '-q', '-d', db, '-w', 'o.pcap') as p:
                while p.poll() is None and not support.has_unnamed(p.pid):
                    pass
                time.sleep(i % 10 * .002)
                p.kill()
                p.wait()
            kills += p.returncode != 0
            there = os.path.exists(self.path('o.pcap')) and support.read_bytes(self.path('o.pcap'))
            self.assertIn(there, (b'old', whole) if old else (False, whole))
            if there is not False:
                os.remove(self.path('o.pcap'))
            self.assertEqual(self.listing(), before)
        self.assertGreater(kills, 5)

    def killed(self, p, seconds):
        """Kills it within so many seconds of its first file; False: it had ended."""
        while p.poll() is None and not support.has_unnamed(p.pid) and not self.listing('out'):
            pass
        time.sleep(self.random.uniform(0, seconds))
        p.kill()
        p.communicate()
        return p.returncode != 0

    def test_files_of_sessions_that_are_killed(self):
        """Each file is whole; the same command makes the others."""
        self.random, db, kills = support.rng('killed files'), self.path('x.db'), 0
        index(db, '-q', *self.fcgen('c.pcap', '--packets', '20000', '--sizes', 'small', '--sessions', '800'))
        os.mkdir(self.path('out'))
        for words in (['carve', '-q', '-d', db, '--split', 'out'], ['follow', '-q', '-d', db, '--to', 'out', 'tcp']):
            flowcarve(*words, cwd=self.folder)
            whole = {n: support.read_bytes(self.path('out', n)) for n in self.listing('out')}
            for i in range(support.rounds(4, 100)):
                for n in self.listing('out'):
                    os.remove(self.path('out', n))
                with self.start(*words) as p:
                    kills += self.killed(p, .1)
                there = self.listing('out')
                for n in there:
                    self.assertTrue(support.read_bytes(self.path('out', n)) == whole.get(n), n)
                flowcarve(*words, cwd=self.folder, ok=(0, 1))
                self.assertEqual(self.listing('out'), sorted(whole))
            for n in self.listing('out'):
                os.remove(self.path('out', n))
        self.assertGreater(kills, 1)

    def test_streams_and_indexes_on_the_way_that_are_killed(self):
        f, = self.fcgen('c.pcap', '--packets', '60000', '--sizes', 'small')
        self.random, kills, data, env = support.rng('killed streams'), 0, support.read_bytes(f), {'XDG_CACHE_HOME': self.path('cache')}
        os.mkdir(self.path('out'))
        count = flowcarve('query', '-c', '-r', f, env=env).text
        for i in range(support.rounds(6, 200)):
            shutil.rmtree(self.path('cache'), True)
            for n in self.listing('out'):
                os.remove(self.path('out', n))
            if i % 2:
                with open(f, 'rb') as stream, self.start('index', '-q', '-d', 'out/x.db', '--spool', 'out/s.pcap', '-', stdin=stream) as p:
                    kills += self.killed(p, .2)
                there = self.listing('out')
                self.assertLessEqual(set(there), {'s.pcap', 'x.db', 'x.db.new'})
                if 's.pcap' in there:
                    self.assertTrue(support.read_bytes(self.path('out', 's.pcap')) == data)
                if 'x.db' in there:
                    self.assertEqual(flowcarve('query', '-c', '-d', self.path('out', 'x.db')).text, count)
                    self.assertIn('s.pcap', there)
            else:
                with subprocess.Popen([support.FLOWCARVE, 'query', '-c', '-r', f], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=support.environment(**env)) as p:
                    time.sleep(self.random.uniform(0, .2))
                    p.kill()
                    p.communicate()
                    kills += p.returncode != 0
            self.assertEqual(flowcarve('query', '-c', '-r', f, env=env).text, count)
        self.assertGreater(kills, 1)

    def test_a_stream_that_ends_early(self):
        """By SIGKILL there is no spool; by a signal that asks there is what has come, which does not come again."""
        f, = self.fcgen('c.pcap', '--packets', '3000')
        data = support.read_bytes(f)
        for number, kept in ((signal.SIGKILL, False), (signal.SIGINT, True)):
            with self.start('index', '-q', '-d', 'x.db', '--spool', 's.pcap', '-', stdin=subprocess.PIPE) as p:
                p.stdin.write(data[:100000])
                p.stdin.flush()
                while not support.has_unnamed(p.pid):
                    self.assertIsNone(p.poll())
                time.sleep(.2)
                self.assertNotIn('s.pcap', self.listing())
                p.send_signal(number)
                _, err = p.communicate(timeout=support.SECONDS)
            self.assertEqual(p.returncode, -number)
            self.assertEqual('s.pcap' in self.listing(), kept)
            if kept:
                self.assertIn(b'kept in s.pcap', err)
                self.assertTrue(support.read_bytes(self.path('s.pcap')) == data[:100000])
        index(self.path('x.db'), '-q', self.path('s.pcap'))
        self.assertEqual(self.listing(), ['c.pcap', 's.pcap', 'x.db'])

    def test_the_stream_is_on_the_disk_before_its_index(self):
        strace, f = support.tool('strace'), self.fcgen('c.pcap', '--packets', '100')[0]
        if support.sanitized():
            self.skipTest('LeakSanitizer does not work under ptrace')
        with open(f, 'rb') as stream:
            r = support.run(strace, '-f', '-y', '-e', 'trace=fsync,linkat,renameat2,rename', '-o', self.path('trace'),
                            support.FLOWCARVE, 'index', '-q', '-d', 'x.db', '--spool', 's.pcap', '-', stdin=stream,
                            cwd=self.folder, ok=None)
        if r.rc and 'ptrace' in r.err:
            self.skipTest('no ptrace here')
        self.assertEqual(r.rc, 0, r)
        calls = [line.split(None, 1)[1] for line in support.read_bytes(self.path('trace')).decode().splitlines()]
        at = lambda *words: next(i for i, c in enumerate(calls) if all(w in c for w in words))
        self.assertLess(at('fsync', '(deleted)'), at('linkat', 's.pcap'))
        self.assertLess(at('linkat', 's.pcap'), at('fsync', os.path.basename(self.folder) + '>'))
        self.assertLess(at('fsync', os.path.basename(self.folder) + '>'), at('rename', 'x.db.new'))


class Rights(support.TestCase):
    def make_all(self, *words, umask=0):
        f, = self.fcgen('c.pcap', '--packets', '100')
        with open(f, 'rb') as stream:
            index(self.path('x.db'), '-q', '--spool', self.path('s.pcap'), *words, '-', stdin=stream, umask=umask)
        flowcarve('carve', '-q', '-d', self.path('x.db'), *words, '-w', self.path('o.pcap'), umask=umask)
        return [self.path(n) for n in ('x.db', 's.pcap', 'o.pcap')]

    def test_for_the_owner_alone(self):
        for path in self.make_all():
            self.assertEqual(rights(path), 0o600, path)

    def test_others_who_are_let_in(self):
        group = os.getgroups()[-1] if os.geteuid() else 65534
        name = str(group)
        for path in self.make_all('--mode', '640', '--group', name, umask=0o77):
            self.assertEqual((rights(path), os.stat(path).st_gid), (0o640, group), path)
        try:
            name = grp.getgrgid(group).gr_name
        except KeyError:
            return
        flowcarve('carve', '-q', '-d', self.path('x.db'), '--group', name, '-w', self.path('p.pcap'))
        self.assertEqual(os.stat(self.path('p.pcap')).st_gid, group)

    def test_files_that_are_there_keep_theirs(self):
        new, = self.fcgen('d.pcap', '--packets', '100', '--start', '1800000000')
        for path in self.make_all():
            os.chmod(path, 0o664)
        index(self.path('x.db'), '-q', '--mode', '600', new)
        flowcarve('carve', '-q', '-d', self.path('x.db'), '--mode', '600', '-w', self.path('o.pcap'))
        for name in ('x.db', 'o.pcap'):
            self.assertEqual(rights(self.path(name)), 0o664)
        self.write('empty.db', b'')
        os.chmod(self.path('empty.db'), 0o660)
        index(self.path('empty.db'), '-q', '--mode', '600', new)
        self.assertEqual(rights(self.path('empty.db')), 0o660)

    def test_rights_that_are_none(self):
        f, = self.fcgen('c.pcap', '--packets', '10')
        for words in (['--mode', '400'], ['--mode', '0x1ff'], ['--mode', '1777'], ['--mode', 'u+r'], ['--mode', ''],
                      ['--group', 'no-such-group'], ['--group', '-1'], ['--group', '4294967295']):
            r = index(self.path('x.db'), *words, f, ok=2)
            self.assert_says(r, words[0], words[1])
            r = flowcarve('carve', '-d', self.path('x.db'), *words, '-w', self.path('o.pcap'), ok=2)
            self.assert_says(r, words[0], words[1])
        self.assertEqual(self.listing(), ['c.pcap'])


if __name__ == '__main__':
    support.main()
