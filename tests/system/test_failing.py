# SPDX-License-Identifier: MIT
"""
What a command asks of the system and of memory fails: each kind of call once, and from then on; what is read and written comes
short. Then the command does without, and has the same result; or it says why, exit 2, and nothing has changed, nor is
anything half made. FLOWCARVE_TEST_LONG=1 fails every call of every command, and prints how many there were.

The program is run with failing.c preloaded.
"""
import collections, errno, gzip, lzma, os, re, shutil, tempfile, time, unittest

import support
from support import flowcarve, index

FAILING = os.path.abspath(os.environ.get('FAILING') or os.path.join(support.ROOT, 'build/dev/tests/libfailing.so'))
SHORT = 0
WAYS = {'memory': (errno.ENOMEM,), 'open': (errno.EIO, errno.EMFILE), 'read': (errno.EIO, SHORT), 'write': (errno.ENOSPC, errno.EIO, SHORT),
        'sync': (errno.EIO,), 'size': (errno.ENOSPC,), 'name': (errno.EIO,), 'look': (errno.EIO,), 'map': (errno.ENOMEM,),
        'close': (errno.EIO,), 'thread': (errno.EAGAIN,)}
FOREVER = 1 << 60

# name: (words; what it makes: changes of the index, a file, files in a folder, or nothing)
COMMANDS = {
    'index': (['index', '-d', 'new.db', '--fields', 'all', 'a.pcap', 'b.pcapng', 'c.pcap.xz'], 'index'),
    'index a folder': (['index', '-d', 'new.db', '--filter', 'tcp or udp', 'caps'], 'index'),
    'add': (['index', '-d', 'x.db', 'c.pcap.xz', 'd.pcap'], 'index'),
    'forget': (['forget', '-d', 'x.db', 'a.pcap'], 'steps'),
    'relocate': (['files', '-d', 'x.db', 'relocate', 'e.pcap', 'f.pcap'], 'index'),
    'query': (['query', '-d', 'x.db', '-f', 'json', '--files', 'tcp or host 10.0.0.1'], None),
    'query --sort': (['query', '-d', 'x.db', '-f', 'csv', '--sort', 'bytes:desc'], None),
    'query --explain': (['query', '-d', 'x.db', '--explain', 'port 53 or net 10.0.0.0/8'], None),
    'query --from': (['query', '-d', 'x.db', '-f', 'csv', '--from', 'ids.txt'], None),
    'query -r': (['query', '-r', 'd.pcap', '-f', 'tsv'], 'cache'),
    'query --no-keep': (['query', '-r', 'd.pcap', '--no-keep', '-c'], None),
    'top': (['top', '-d', 'x.db', '--by', 'pair', '-f', 'json'], None),
    'stats': (['stats', '-d', 'x.db', '-f', 'json'], None),
    'packets': (['packets', '-d', 'x.db', '--fields', 'all', '-f', 'json'], None),
    'packets --tree': (['packets', '-d', 'x.db', '-f', 'table', '--tree', '-x', 'udp'], None),
    'follow': (['follow', '-d', 'x.db', '-i', '1', '-f', 'json'], None),
    'follow -w': (['follow', '-d', 'x.db', '-i', '1', '-f', 'raw', '-w', 'out.raw'], 'file'),
    'follow --to': (['follow', '-d', 'x.db', '--to', 'out', 'tcp'], 'files'),
    'carve': (['carve', '-d', 'x.db', '-w', 'out.pcap'], 'file'),
    'carve packed': (['carve', '-d', 'x.db', '--direction', 'client', '-w', 'out.pcapng.zst'], 'file'),
    'carve --from': (['carve', '-d', 'x.db', '--from', 'ids.txt', '-w', 'out.pcap'], 'file'),
    'carve --split': (['carve', '-d', 'x.db', '--split', 'out', 'udp'], 'files'),
    'carve --list': (['carve', '-d', 'x.db', '--list'], None),
    'verify': (['verify', '-d', 'x.db'], None),
    'files': (['files', '-d', 'x.db', '-f', 'json'], None),
    'files check': (['files', '-d', 'x.db', 'check'], None),
    'cache': (['cache', '-f', 'json'], None),
    'cache clear': (['cache', 'clear'], 'steps'),
}
COUNTED = '.counts'


@unittest.skipIf(support.sanitized(), 'a sanitizer wants to be loaded first, and has allocators of its own')
@unittest.skipUnless(os.path.exists(FAILING), 'FAILING is not built')
class Failing(support.TestCase):
    @classmethod
    def setUpClass(cls):
        """A folder as it is before each command."""
        super().setUpClass()
        cls.start = os.path.join(tempfile.mkdtemp(prefix='fc-failing-', dir=support.scratch()), 'start')
        cls.addClassCleanup(shutil.rmtree, os.path.dirname(cls.start), True)
        os.makedirs(os.path.join(cls.start, 'caps', 'day'))
        os.mkdir(os.path.join(cls.start, 'out'))
        at = lambda name: os.path.join(cls.start, name)
        support.fcgen(at('a.pcap'), '--packets', '120', '--packets-per-session', '6')
        support.fcgen(at('b.pcapng'), '--packets', '60', '--format', 'pcapng', '--interfaces', '2', '--fragments', '30', '--seed', '2')
        support.fcgen(at('d.pcap'), '--packets', '40', '--seed', '3')
        support.fcgen(at('e.pcap'), '--packets', '20', '--seed', '5')
        support.fcgen(at('caps/day/1.pcap'), '--packets', '30', '--seed', '4')
        packed, = support.fcgen(at('c.pcap'), '--packets', '90', '--seed', '6', '--start', '1800000000')
        support.write(packed + '.xz', lzma.compress(support.read_bytes(packed)))
        os.rename(packed, at('caps/2.pcap'))

    def setUp(self):
        super().setUp()
        self.random, self.tally = support.rng('failing', self.id()), collections.Counter()
        self.work = self.path('w')
        self.env = {'XDG_CACHE_HOME': self.path('w', 'cache'), 'TMPDIR': self.path('w'), 'SQLITE_TMPDIR': self.path('w')}
        shutil.copytree(self.start, self.work)  # indexes know captures by their inodes, so these stay
        index('x.db', '-q', '--fields', 'all', 'a.pcap', 'b.pcapng', 'e.pcap', cwd=self.work)
        rows = flowcarve('query', '-d', 'x.db', '-f', 'tsv', '-C', 'community-id', '--community-id', cwd=self.work).text.splitlines()
        self.write('w/ids.txt', '\n'.join(rows[1:9]).encode())
        flowcarve('query', '-c', '-r', 'a.pcap', cwd=self.work, env=self.env)
        self.before = {n: support.read_bytes(self.path('w', n)) for n in self.names()}
        self.unlike = ()
        self.old = support.dump(self.path('w', 'x.db'))

    def names(self):
        out = []
        for folder, _, files in os.walk(self.work):
            out += [os.path.relpath(os.path.join(folder, f), self.work) for f in files]
        return sorted(out)

    def restore(self):
        """All but what is as it was; captures are not touched."""
        for name in self.names():
            path = self.path('w', name)
            if name not in self.before:
                os.remove(path)
            elif name.endswith('.db'):
                support.write(path, self.before[name])
        for name in self.before:
            if not os.path.exists(self.path('w', name)):
                self.write('w/' + name, self.before[name])
            if name.startswith('cache/'):
                os.utime(self.path('w', name), (1_700_000_000, 1_700_000_000))  # is listed

    def ask(self, words, kind='', first=0, last=0, how=0):
        env = dict(self.env, LD_PRELOAD=FAILING, FAILING_COUNTS=self.path('counts'))
        if kind:
            env.update(FAILING_CALL=kind, FAILING_FROM=str(first), FAILING_TO=str(last), FAILING_HOW=str(how))
        return support.run(support.FLOWCARVE, *words, cwd=self.work, env=env, ok=None, seconds=60)

    def state(self, words, made):
        """What there is behind the command, as far as it is of its making."""
        out = {}
        for name in self.names():
            if name in ('x.db', 'new.db') or name.startswith('cache/') and name.endswith('.db') and name not in self.before:
                out[name] = support.dump(self.path('w', name), ('run',) if made == 'cache' else self.unlike)
            elif name not in self.before:
                out[name] = support.read_bytes(self.path('w', name))
        return out

    def judge(self, name, r, want, told):
        words, made = COMMANDS[name]
        if r.rc == 2:
            self.assertRegex(r.err, r'(?m)^flowcarve: .*\w', told)
        elif 'unreadable' not in r.err:
            self.assertEqual(r.rc, want[0].rc, '%s: %s' % (told, r))
        # a journal that tells nothing, or a -wal that is whole, where what failed was tidying up: the next one does
        beside = lambda n: re.search(r'\.db-(wal|shm|journal)$', n)
        for n in {n.rsplit('-', 1)[0] for n in self.names() if beside(n)}:
            self.tally['journals left'] += 1
            flowcarve('query', '-c', '-d', n, cwd=self.work, ok=(0, 1))
        # a building site that could not be looked at is not known for one's own, nor can it go where none can
        what = told.split(', ')[1].split()[0]
        site = lambda n: n.endswith('.db.new') and what in ('look', 'name') or n.startswith('flowcarve-') and what == 'name'
        now = {n: s for n, s in self.state(words, made).items() if not beside(n) and not site(n)}
        # a capture that cannot be read is told of, and of another state than it was
        partly = r.rc == 2 and 'x.db' in now and made == 'index' and now['x.db'] != self.old
        if partly or made == 'index' and 'new.db' in now and r.rc == 2:
            self.assertRegex(r.err, r'(?m)^flowcarve: .*(pcap|caps)[^:]*: ', told)
            flowcarve('verify', '-d', words[2], cwd=self.work)
        elif name in ('files', 'files check') and 'unreadable' in r.err:
            return
        elif r.rc != 2 and made != 'cache':
            self.assertEqual(sorted(now), sorted(want[1]), told)
            for n in now:
                self.assertTrue(now[n] == want[1][n], '%s: %s is another one' % (told, n))
        elif made == 'index':
            self.assertEqual([n for n in now if n != 'x.db'], [], '%s: half made' % told)
            self.assertTrue(now['x.db'] == self.old, '%s: the index has changed' % told)
            flowcarve(*words, cwd=self.work, ok=(0, 1))
            now = self.state(words, made)
            self.assertEqual(sorted(now), sorted(want[1]), '%s: the next run' % told)
            for n in now:
                self.assertTrue(now[n] == want[1][n], '%s: the next run has another %s' % (told, n))
        elif made == 'files':
            for n in now:
                self.assertTrue(n == 'x.db' or now[n] == want[1].get(n), '%s: %s is half made' % (told, n))
        elif made in ('file', None):
            self.assertEqual(sorted(now), ['x.db'], '%s: half made' % told)
        elif made == 'cache':
            for n in now:
                self.assertTrue(n == 'x.db' or n.startswith('cache/') and now[n] in (self.old, *want[1].values()), '%s: %s' % (told, n))
        if r.rc != 2:
            self.assertEqual(r.text, want[0].text, told)

    def sweep(self, name):
        words, made = COMMANDS[name]
        if name == 'forget':  # when it was is noted
            self.unlike = ('files.resume',)
            self.old = support.dump(self.path('w', 'x.db'), self.unlike)
        if name == 'relocate':
            os.rename(self.path('w', 'e.pcap'), self.path('w', 'f.pcap'))
            self.before['f.pcap'] = self.before.pop('e.pcap')
        self.restore()
        good = self.ask(words)
        self.assertIn(good.rc, (0, 1), good)
        counts = {k: int(n) for k, n in (line.split() for line in support.read_bytes(self.path('counts')).decode().splitlines())}
        want = good, self.state(words, made)
        begin, failed = time.monotonic(), 0
        for kind, ways in WAYS.items():
            for how in ways:
                calls = range(counts[kind]) if support.LONG else [self.random.randrange(counts[kind])] if counts[kind] else []
                for k in calls:
                    for last in (k + 1, FOREVER) if support.LONG else [self.random.choice((k + 1, FOREVER))]:
                        self.restore()
                        told = '%s, %s %d to %d: %s' % (name, kind, k, last, os.strerror(how) if how else 'short')
                        r = self.ask(words, kind, k, last, how)
                        self.judge(name, r, want, '%s: %s' % (told, r))
                        self.tally['runs'] += 1
                        failed += r.rc == 2
                        if how == SHORT:
                            self.assertEqual(r.rc, good.rc, '%s: %s' % (told, r))
        self.restore()
        if support.LONG:
            print('%-16s %s; %d runs, %d ended with 2, %.0f s' % (name, ', '.join('%s %d' % c for c in counts.items()), self.tally['runs'],
                                                              failed, time.monotonic() - begin), flush=True)

    def test_each_thread_that_cannot_be_started(self):
        """One that other threads of a user take away at that moment: work is done without, and no library ends the process."""
        self.fcgen('w/g.pcap', '--packets', '60000', '--packets-per-session', '4')
        words = ['index', '-q', '-d', 'new.db', '--jobs', '3', 'g.pcap']
        self.assertEqual(self.ask(words).rc, 0)
        want = support.dump(self.path('w', 'new.db'))
        counts = dict(line.split() for line in support.read_bytes(self.path('counts')).decode().splitlines())
        self.assertGreater(int(counts['thread']), 3)
        for k in range(int(counts['thread'])):
            for last in (k + 1, FOREVER):
                os.remove(self.path('w', 'new.db'))
                r = self.ask(words, 'thread', k, last, errno.EAGAIN)
                self.assertEqual(r.rc, 0, r)
                self.assertTrue(support.dump(self.path('w', 'new.db')) == want, 'thread %d' % k)

    def test_a_journal_that_stays_is_told_of(self):
        """Behind the commit the index goes back to a rollback journal, by one that is then removed, or takes that back."""
        words = COMMANDS['add'][0]
        self.restore()
        self.assertEqual(self.ask(words).rc, 0)
        want = support.dump(self.path('w', 'x.db'))
        counts = dict(line.split() for line in support.read_bytes(self.path('counts')).decode().splitlines())
        left = 0
        for k in range(int(counts['name'])):
            for last in (k + 1, FOREVER):
                self.restore()
                told = 'name %d to %d' % (k, last)
                r = self.ask(words, 'name', k, last, errno.EIO)
                beside = [n for n in self.names() if n in ('x.db-wal', 'x.db-journal') and os.path.getsize(self.path('w', n))]
                if r.rc == 0 and beside:
                    self.assertEqual(last, FOREVER, '%s: once more would have done: %s' % (told, beside))
                    self.assertIn(' or -journal file beside it', r.err, told)
                    left += 1
                    flowcarve('query', '-c', '-d', 'x.db', cwd=self.work)  # takes back what it tells
                if r.rc == 0:
                    self.assertTrue(support.dump(self.path('w', 'x.db')) == want, told)
        self.assertGreater(left, 0, 'nothing stayed')

    def some(self, count):
        """Every fourth of so many calls, or all."""
        return range(count) if support.LONG else range(self.random.randrange(4), count, 4)

    def test_a_read_that_fails_is_not_called_damage(self):
        """SQLite's code for a page that the disk does not give is that of a damaged one."""
        for name in ('index', 'add', 'query', 'top', 'verify'):
            words = COMMANDS[name][0]
            self.restore()
            self.ask(words)
            counts = dict(line.split() for line in support.read_bytes(self.path('counts')).decode().splitlines())
            for k in self.some(int(counts['read'])):
                self.restore()
                r = self.ask(words, 'read', k, k + 1, errno.EIO)
                self.assertNotRegex(r.err, 'malformed|damaged', '%s, read %d' % (name, k))

    def test_a_compressed_capture_that_cannot_be_read_is_no_damaged_one(self):
        """It would be known from then on, and what it holds never be indexed."""
        f, = self.fcgen('w/g.pcap', '--packets', '1000', '--sizes', 'small')
        for name, packed in (('g.pcap.gz', gzip.compress), ('g.pcap.xz', lzma.compress)):
            support.write(self.path('w', name), packed(support.read_bytes(f)))
            words = ['index', '-q', '-d', 'new.db', name]
            self.assertEqual(self.ask(words).rc, 0)
            want = support.dump(self.path('w', 'new.db'))
            counts = dict(line.split() for line in support.read_bytes(self.path('counts')).decode().splitlines())
            for k in self.some(int(counts['read'])):
                os.remove(self.path('w', 'new.db'))
                r = self.ask(words, 'read', k, k + 1, errno.EIO)
                if r.rc:
                    self.assert_says(r, 'Input/output error')
                    self.assertFalse(os.path.exists(self.path('w', 'new.db')))
                    index('new.db', '-q', name, cwd=self.work)
                self.assertTrue(support.dump(self.path('w', 'new.db')) == want, '%s, read %d: %s' % (name, k, r))
            os.remove(self.path('w', 'new.db'))

    def test_the_first_bytes_that_are_not_to_be_had_are_told(self):
        for name in ('query', 'carve', 'index', 'verify', 'top'):
            for k in range(3):
                self.restore()
                r = self.ask(COMMANDS[name][0], 'memory', k, k + 1, errno.ENOMEM)
                if r.rc:
                    self.assertRegex(r.err, '(?m)^flowcarve: .*memory', '%s, %d' % (name, k))


for command in COMMANDS:
    setattr(Failing, 'test_' + command.replace(' ', '_').replace('-', ''), lambda self, name=command: self.sweep(name))


if __name__ == '__main__':
    support.main()
