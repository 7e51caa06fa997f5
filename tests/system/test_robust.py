# SPDX-License-Identifier: MIT
"""Killed, interrupted, out of space, out of descriptors, odd names, damaged indexes: nothing is lost, nothing crashes."""
import contextlib, functools, glob, gzip, json, os, re, resource, shutil, signal, sqlite3, subprocess, sys, time, unittest

import support
from support import S, T0, flowcarve, index, select, sessions, udp

NOBODY = 65534


def spawn(*args, **kw):
    return subprocess.Popen([support.FLOWCARVE, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            env=support.environment(), **kw)


def ended(p, seconds=support.SECONDS):
    _, err = p.communicate(timeout=seconds)
    return support.Result(p.args, p.returncode, b'', err)


class Killed(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = support.tempfile.mkdtemp(prefix='fc-', dir=support.scratch())
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        made = support.fcgen(os.path.join(cls.shared, 'c.pcap'), '--packets', '60000', '--sizes', 'small',
                             '--packets-per-session', '4', '--files', '6')
        # how long a run takes here, so that kills fall into it
        db, start = os.path.join(cls.shared, 'whole.db'), time.monotonic()
        index(db, '-q', *made)
        cls.seconds = time.monotonic() - start
        cls.want = select(db, 'SELECT count(*), sum(client_packets + server_packets) FROM session')
        cls.made = made

    def setUp(self):
        super().setUp()
        os.mkdir(self.path('caps'))
        self.files = [self.path('caps', os.path.basename(f)) for f in self.made]
        for f, name in zip(self.made, self.files):
            os.link(f, name)
        self.db = self.path('x.db')
        self.r = support.rng('kill', self.id())

    def kill_at_random(self, number, words):
        p = spawn('index', '-q', '-d', self.db, '--jobs', '2', '--chunk-size', '64k', '--memory', '16M', *words)
        time.sleep(self.r.uniform(0, self.seconds * 1.1))
        p.send_signal(number)
        return ended(p)

    def totals(self):
        return select(self.db, 'SELECT count(*), sum(client_packets + server_packets) FROM session')

    def test_kill_while_making_an_index(self):
        killed = 0
        for _ in range(support.rounds(6, 200)):
            r = self.kill_at_random(signal.SIGKILL, self.files)
            if r.rc == 0:
                self.assertEqual(self.totals(), self.want)
                os.remove(self.db)
                continue
            killed += 1
            self.assertFalse(os.path.exists(self.db) and self.totals() != self.want, 'half an index under its name')
            r = flowcarve('query', '-d', self.db, '--count', ok=(0, 2))
            if os.path.exists(self.db):
                os.remove(self.db)
        self.assertGreater(killed, 0, 'no run was killed')
        index(self.db, '-q', *self.files)
        self.assertEqual(self.totals(), self.want)
        self.assertEqual(self.listing(), ['caps', 'x.db'], 'leftovers of the killed runs')
        support.verify(self.db)

    def test_kill_while_adding(self):
        half = self.path('half.db')
        index(half, '-q', *self.files[:3])
        text, killed = support.dump(half), 0
        for _ in range(support.rounds(6, 200)):
            for name in self.listing():
                if name.startswith('x.db'):
                    os.remove(self.path(name))
            shutil.copy(half, self.db)
            r = self.kill_at_random(signal.SIGKILL, self.files[3:])
            if r.rc == 0:
                self.assertEqual(self.totals(), self.want)
                continue
            killed += 1
            # flowcarve first: it must cope with what the other left, before SQLite tools have tidied up
            n = int(flowcarve('query', '-d', self.db, '--count').text)
            self.assertEqual(select(self.db, 'PRAGMA integrity_check'), [('ok',)])
            if self.totals() != self.want:
                self.assert_same_dump(text, support.dump(self.db), 'after the kill')
                self.assertEqual(n, select(half, 'SELECT count(*) FROM session')[0][0])
            index(self.db, '-q', *self.files)
            self.assertEqual(self.totals(), self.want)
        self.assertGreater(killed, 0, 'no run was killed')
        self.assertEqual(self.listing(), ['caps', 'half.db', 'x.db'], 'leftovers of the killed runs')
        support.check_index(self.db)

    def test_kill_beside_readers(self):
        """Who reads meanwhile sees one state all the time; who asks behind the kill that from before, or the whole."""
        half = self.path('half.db')
        index(half, '-q', *self.files[:3])
        before, killed = select(half, 'SELECT count(*) FROM session')[0][0], 0
        for i in range(support.rounds(4, 200)):
            for name in self.listing():
                if name.startswith('x.db'):
                    os.remove(self.path(name))
            shutil.copy(half, self.db)
            with support.open_db(self.db) as reader:
                reader.execute('BEGIN')
                count = lambda: reader.execute('SELECT count(*) FROM session').fetchone()[0]
                self.assertEqual(count(), before)
                r = self.kill_at_random(signal.SIGKILL, self.files[3:])
                killed += r.rc != 0
                self.assertEqual(count(), before, 'a reader sees a change')
                if i % 2:
                    self.assertIn(int(flowcarve('query', '-d', self.db, '--count').text), (before, self.want[0][0]))
            self.assertIn(int(flowcarve('query', '-d', self.db, '--count').text), (before,) if r.rc else (self.want[0][0],))
            self.assertEqual(select(self.db, 'PRAGMA integrity_check'), [('ok',)])
            index(self.db, '-q', *self.files)
            self.assertEqual(self.totals(), self.want)
        self.assertGreater(killed, 0, 'no run was killed')

    def test_kill_while_reading_on(self):
        """Captures that have grown: what is added to them is there once, or not yet."""
        grown, half, killed = self.path('caps', 'g.pcap'), self.path('half.db'), 0
        data = support.read_bytes(self.files[0])
        whole = [grown, *self.files[1:4]]
        support.write(grown, data[:len(data) // 3])
        index(half, '-q', *whole)
        with open(grown, 'ab') as f:
            f.write(data[len(data) // 3:])
        text = support.dump(half)
        shutil.copy(half, self.path('whole.db'))
        index(self.path('whole.db'), '-q', *whole)
        want = select(self.path('whole.db'), 'SELECT count(*), sum(client_packets + server_packets) FROM session')
        for _ in range(support.rounds(4, 150)):
            for name in self.listing():
                if name.startswith('x.db'):
                    os.remove(self.path(name))
            shutil.copy(half, self.db)
            r = self.kill_at_random(signal.SIGKILL, whole)
            killed += r.rc != 0
            flowcarve('query', '-d', self.db, '--count')
            if self.totals() != want:
                self.assertNotEqual(r.rc, 0)
                self.assert_same_dump(text, support.dump(self.db), 'after the kill')
            index(self.db, '-q', *whole)
            self.assertEqual(self.totals(), want)
        self.assertGreater(killed, 0, 'no run was killed')

    def test_journal_of_a_killed_run(self):
        """A large addition is on disk in part when it is killed; SQLite's journal then holds the state from before.
        Questions must bring it back (or wait for nobody), not fail until somebody adds again."""
        index(self.db, '-q', *self.files[:3])
        before = sessions(self.db)
        killed = subprocess.run([sys.executable, '-c', """if 1:
            import os, sqlite3, sys
            c = sqlite3.connect(sys.argv[1], isolation_level=None)
            c.execute('PRAGMA cache_size = 1')
            c.execute('BEGIN IMMEDIATE')
            c.execute('UPDATE session SET client_bytes = client_bytes + 7, start_ns = 0')
            os.kill(os.getpid(), 9)
            """, self.db])
        self.assertEqual(killed.returncode, -signal.SIGKILL)
        self.assertGreater(os.path.getsize(self.db + '-journal'), 512, 'no journal: the test itself is at fault')
        kept = {n: support.read_bytes(self.path(n)) for n in ('x.db', 'x.db-journal')}
        for words in (['query', '--format', 'json'], ['carve', '-w', '-'], ['verify']):
            with self.subTest(words=words[0]):
                for name, data in kept.items():
                    self.write(name, data)
                r = flowcarve(words[0], '-d', self.db, *words[1:])
                if words[0] == 'query':
                    self.assertTrue([json.loads(l) for l in r.text.splitlines()] == before, 'not the state from before')
        for name, data in kept.items():
            self.write(name, data)
        index(self.db, '-q', *self.files)
        self.assertEqual(self.totals(), self.want)
        support.check_index(self.db)

    def test_interrupt_leaves_nothing(self):
        stopped = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            for _ in range(support.rounds(6, 100)):
                r = self.kill_at_random(number, self.files)
                support.judge(r, (0, -number))
                if r.rc:
                    stopped += 'interrupted' in r.err  # else before the handler was there: nothing had begun
                    self.assertEqual(self.listing(), ['caps'], 'left by an interrupted run')
                else:
                    os.remove(self.db)
        self.assertGreater(stopped, 0, 'hardly a run was interrupted')

    def test_interrupt_while_adding(self):
        half = self.path('half.db')
        index(half, '-q', *self.files[:3])
        before, stopped = support.pages(half), 0
        for _ in range(support.rounds(10, 100)):
            shutil.copy(half, self.db)
            r = self.kill_at_random(signal.SIGINT, self.files[3:])
            if r.rc == 0:
                continue
            self.assertEqual(r.rc, -signal.SIGINT, str(r))
            stopped += 'interrupted' in r.err
            self.assertEqual(self.listing(), ['caps', 'half.db', 'x.db'])
            self.assertEqual(support.pages(self.db), before, 'an interrupted run changed the index')
        self.assertGreater(stopped, 0, 'hardly a run was interrupted')

    def test_two_runs_at_once(self):
        """Both end; at least one succeeds; the other either waited or says who is in its way."""
        for existing in (False, True):
            for _ in range(support.rounds(4, 50)):
                if os.path.exists(self.db):
                    os.remove(self.db)
                words = self.files
                if existing:
                    index(self.db, '-q', *self.files[:3])
                    words = self.files[3:]
                runs = [spawn('index', '-q', '-d', self.db, *words) for _ in range(3)]
                results = [support.judge(ended(p), (0, 2)) for p in runs]
                self.assertIn(0, [r.rc for r in results])
                for r in results:
                    if r.rc:
                        self.assert_says(r, 'another')
                self.assertEqual(self.totals(), self.want)
                self.assertEqual(select(self.db, 'SELECT count(*) FROM files'), [(6,)])
                index(self.db, '-q', *words)  # two that end at once may leave a -wal; the next run puts all into the file
                self.assertEqual(self.listing(), ['caps', 'x.db'])
        support.check_index(self.db)

    def test_questions_while_adding(self):
        """Who asks during a run gets the state before or the state after, never a failure."""
        index(self.db, '-q', *self.files[:3])
        before = self.totals()[0][0]
        p = spawn('index', '-q', '-d', self.db, *self.files[3:])
        seen = set()
        while p.poll() is None:
            seen.add(int(flowcarve('query', '-d', self.db, '--count').text))
        support.judge(ended(p), 0)
        self.assertLessEqual(seen, {before, self.want[0][0]})


class Space(support.TestCase):
    def limited(self, size, *args, ok=2):
        """Runs with a limit on the size of files, which makes write() fail like a full disk does."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return flowcarve(*args, ok=ok, preexec_fn=limit, restore_signals=False)

    def setUp(self):
        super().setUp()
        os.mkdir(self.path('caps'))
        self.files = self.fcgen('caps/c.pcap', '--packets', '30000', '--sizes', 'small', '--packets-per-session', '3',
                                '--files', '2')
        self.db = self.path('x.db')

    def test_no_space_for_a_fresh_index(self):
        index(self.path('whole.db'), '-q', *self.files)
        size = os.path.getsize(self.path('whole.db'))
        os.remove(self.path('whole.db'))
        for share in (0, .001, .1, .5, .9, .999):
            r = self.limited(int(size * share), 'index', '-q', '-d', self.db, *self.files)
            self.assertRegex(r.err, 'flowcarve: .*(write|full|large|space|disk)', str(r))
            self.assertEqual(self.listing(), ['caps'], 'left behind at %g of the size' % share)
        self.limited(int(size * 2), 'index', '-q', '-d', self.db, *self.files, ok=0)

    def test_no_space_for_adding(self):
        index(self.db, '-q', self.files[0])
        text, size = support.dump(self.db), os.path.getsize(self.db)
        for limit in (4096, size // 2, size * 3 // 4, size, size + 8192, int(size * 1.5)):
            r = self.limited(limit, 'index', '-q', '-d', self.db, self.files[1], ok=(0, 2))
            flowcarve('query', '-d', self.db, '--count')
            if r.rc == 0:  # all of it found room in the -wal, and only the way into the index did not
                self.assertGreaterEqual(limit, size)
                break
            self.assertRegex(r.err, 'flowcarve: .*(write|full|large|space|disk|I/O)', str(r))
            self.assert_same_dump(text, support.dump(self.db), 'after a failed write')
            self.assertEqual(self.listing(), ['caps', 'x.db'])
        index(self.db, '-q', self.files[1])
        support.check_index(self.db)

    def test_no_space_for_a_carve(self):
        index(self.db, '-q', *self.files)
        for limit in (0, 10, 4096, 1 << 20):
            r = self.limited(limit, 'carve', '-d', self.db, '-w', self.path('o.pcap'))
            self.assert_says(r, 'too large')
            self.assertEqual(self.listing(), ['caps', 'x.db'])

    def test_spools_do_not_fit(self):
        """Little memory makes flowcarve put sessions aside on disk; that must fail as clearly."""
        r = self.limited(100000, 'index', '-q', '-d', self.db, '--memory', '16M', *self.files)
        self.assertEqual(self.listing(), ['caps'])

    def test_a_disk_that_is_really_full(self):
        folder = self.path('tiny')
        os.mkdir(folder)
        if os.geteuid() != 0 or not shutil.which('mount') or subprocess.run(
                ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], stderr=subprocess.DEVNULL).returncode:
            self.skipTest('cannot mount a tmpfs here; the file size limits above stand for it')
        self.addCleanup(subprocess.run, ['umount', '-l', folder])
        db = os.path.join(folder, 'x.db')
        r = index(db, '-q', *self.files, ok=2)
        self.assertRegex(r.err, 'full|No space')
        self.assertEqual(os.listdir(folder), [])
        small = self.fcgen('caps/s.pcap', '--packets', '300', '--start', '1600000000')
        index(db, '-q', *small)
        text = support.dump(db)
        self.assertRegex(index(db, '-q', *self.files, ok=2).err, 'full|No space')
        self.assertEqual(os.listdir(folder), ['x.db'])
        self.assert_same_dump(text, support.dump(db))
        index(self.db, '-q', *self.files)
        r = flowcarve('carve', '-d', self.db, '-w', os.path.join(folder, 'o.pcap'), ok=2)
        self.assert_says(r, 'space')
        self.assertEqual(os.listdir(folder), ['x.db'])

    def test_a_disk_that_is_nearly_full(self):
        """What is needed to read an index must fit wherever it stood before an addition that failed."""
        folder = self.path('tiny')
        os.mkdir(folder)
        if os.geteuid() != 0 or not shutil.which('mount') or subprocess.run(
                ['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder], stderr=subprocess.DEVNULL).returncode:
            self.skipTest('cannot mount a tmpfs here')
        self.addCleanup(subprocess.run, ['umount', '-l', folder])
        small = self.fcgen('caps/s.pcap', '--packets', '300', '--start', '1600000000', '--files', '2')
        db, ballast, failed = os.path.join(folder, 'x.db'), os.path.join(folder, 'ballast'), 0
        index(self.db, '-q', small[0])
        text = support.dump(self.db)
        for words in (['index', '-q', '-d', db, small[1]], ['forget', '-q', '-d', db, '--before', '@1900000000']):
            for free in range(0, 40, 3):  # pages
                shutil.copy(self.db, db)
                with contextlib.suppress(OSError), open(ballast, 'wb', 0) as f:
                    while f.write(bytes(4096)) == 4096:
                        pass
                os.truncate(ballast, os.path.getsize(ballast) // 4096 * 4096 - free * 4096)
                r = flowcarve(*words, ok=(0, 2))
                failed += r.rc == 2
                what = '%s with %d pages: %s' % (words[0], free, r)
                if r.rc:
                    self.assertRegex(r.err, 'full|No space|I/O', what)
                flowcarve('query', '-d', db, '--count', ok=(0, 1))
                self.assertEqual(sorted(os.listdir(folder)), ['ballast', 'x.db'], what)
                self.assertEqual(select(db, 'PRAGMA integrity_check'), [('ok',)], what)
                if r.rc and words[0] == 'index':
                    self.assert_same_dump(text, support.dump(db), what)
                os.remove(ballast)
                os.remove(db)
        self.assertGreater(failed, 3)

    def test_output_to_a_full_device(self):
        index(self.db, '-q', *self.files)
        self.assert_says(flowcarve('carve', '-d', self.db, '-w', '/dev/full', ok=2), '/dev/full', 'space')
        for words in (['--help'], ['--version'], ['index', '--help']):
            with self.subTest(words=words), open('/dev/full', 'wb') as full:
                p = subprocess.run([support.FLOWCARVE, *words], stdout=full, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(p.returncode, 2)
                self.assertIn(b'space', p.stderr)
        for words in (['query'], ['query', '--count'], ['query', '--format', 'json'], ['query', '--format', 'table'],
                      ['carve', '-w', '-'], ['verify'], ['verify', '-q']):
            with self.subTest(words=words), open('/dev/full', 'wb') as full:
                p = subprocess.run([support.FLOWCARVE, words[0], '-d', self.db, *words[1:]], stdout=full,
                                   stderr=subprocess.PIPE, env=support.environment(), timeout=60)
                quiet = words == ['verify', '-q']
                support.judge(support.Result(words, p.returncode, b'', p.stderr), 0 if quiet else 2)


class Rights(support.TestCase):
    """As somebody who may not write. Root may always, so it becomes nobody."""

    def setUp(self):
        super().setUp()
        self.user = {}
        if os.geteuid() == 0:
            self.user = dict(user=NOBODY, group=NOBODY, extra_groups=[])
            probe = subprocess.run([support.FLOWCARVE, '--version'], capture_output=True, env=support.environment(),
                                   **self.user) if self.reachable(support.FLOWCARVE) else None
            if probe is None or probe.returncode:
                self.skipTest('nobody may not run ' + support.FLOWCARVE)
        os.chmod(self.folder, 0o755)
        self.files = self.fcgen('c.pcap', '--packets', '500')
        self.db = self.path('x.db')
        index(self.db, '-q', '--mode', '644', *self.files)
        self.addCleanup(os.chmod, self.folder, 0o755)

    def reachable(self, path):
        while path != '/':
            if not os.stat(path).st_mode & 0o001:
                return False
            path = os.path.dirname(path)
        return True

    def test_an_index_in_a_folder_for_reading_only(self):
        os.chmod(self.db, 0o444)
        os.chmod(self.folder, 0o555)
        before = self.listing()
        flowcarve('query', '-d', self.db, **self.user)
        flowcarve('verify', '-d', self.db, **self.user)
        r = flowcarve('carve', '-d', self.db, '-w', '-', **self.user)
        self.assertEqual(len(support.parse_capture(r.out)), 500)
        r = flowcarve('carve', '-d', self.db, '-w', self.path('o.pcap'), ok=2, **self.user)
        self.assert_says(r, 'o.pcap', 'permission')
        r = index(self.path('y.db'), *self.files, ok=2, **self.user)
        self.assert_says(r, 'y.db', 'permission')
        os.chmod(self.folder, 0o755)
        new = self.fcgen('d.pcap', '--packets', '10', '--start', '1800000000')
        os.chmod(self.folder, 0o555)
        r = index(self.db, *new, ok=2, **self.user)
        self.assert_says(r, 'x.db')
        self.assertEqual(self.listing(), sorted(before + ['d.pcap']))

    def test_folders_that_may_not_be_entered(self):
        """What they hold may be captures: told, counted, and no success; the rest is indexed."""
        for name, mode in (('day/list', 0o644), ('day/enter', 0o311), ('day/open', 0o755)):
            os.makedirs(self.path(name))
            for i in range(25):
                shutil.copy(self.files[0], self.path(name, '%02d.pcap' % i))
            os.chmod(self.path(name), mode)
            self.addCleanup(os.chmod, self.path(name), 0o755)
        os.symlink(self.path('day/enter/01.pcap'), self.path('day/through.pcap'))
        os.symlink(self.path('day/list/01.pcap'), self.path('day/astray.pcap'))
        os.chmod(self.folder, 0o777)
        r = index(self.path('y.db'), '--keep-copies', self.path('day'), ok=2, **self.user)
        self.assertEqual(select(self.path('y.db'), 'SELECT count(*) FROM files'), [(26,)], r)
        self.assertEqual(len(re.findall(r'(?m)^flowcarve: .*/day/list/\d\d\.pcap: cannot be looked at: Permission', r.err)), 18, r)
        self.assertRegex(r.err, r'(?m)^flowcarve: .*/day/enter: cannot read the folder: Permission')
        self.assertRegex(r.err, r'(?m)^flowcarve: .*/day/astray.pcap: cannot follow the symbolic link: Permission')
        self.assertIn('and 7 more refused (-v shows all)\n', r.err)
        r = index(self.path('y.db'), '-v', self.path('day'), ok=2, **self.user)
        self.assertEqual(r.err.count('cannot be looked at'), 25)

    def test_a_killed_addition_in_a_folder_for_reading_only(self):
        """What it has changed is to be taken back, which takes rights: the message says so, and who has them does it."""
        self.add_and_die('PRAGMA cache_size = 1; PRAGMA journal_mode = DELETE')
        self.assertGreater(os.path.getsize(self.db + '-journal'), 512)
        os.chmod(self.db + '-journal', 0o444)
        os.chmod(self.folder, 0o555)
        for words in (['query'], ['verify'], ['carve', '-w', '-']):
            r = flowcarve(*words, '-d', self.db, ok=2, **self.user)
            self.assert_says(r, 'x.db', 'killed', 'x.db-journal', 'may write')
        os.chmod(self.folder, 0o755)
        self.assertEqual(flowcarve('query', '-d', self.db, '--count').text, '%d\n' % self.count)
        os.chmod(self.folder, 0o555)
        flowcarve('query', '--count', '-d', self.db, **self.user)

    def add_and_die(self, pragma):
        """Changes much in a transaction and is killed, before it ends or, in WAL mode, behind that."""
        index(self.db, '-q', *self.fcgen('d.pcap', '--packets', '20000', '--sizes', 'small', '--packets-per-session', '3'))
        self.count = select(self.db, 'SELECT count(*) FROM session')[0][0]
        killed = subprocess.run([sys.executable, '-c', """if 1:
            import os, sqlite3, sys
            c = sqlite3.connect(sys.argv[1], isolation_level=None)
            for statement in sys.argv[2].split(';'):
                c.execute(statement).fetchall()
            c.execute('BEGIN IMMEDIATE')
            c.execute('UPDATE session SET client_bytes = client_bytes + 7, start_ns = 0')
            if 'WAL' in sys.argv[2]:
                c.execute('COMMIT')
            os.kill(os.getpid(), 9)
            """, self.db, pragma])
        self.assertEqual(killed.returncode, -signal.SIGKILL)

    def test_a_wal_in_a_folder_for_reading_only(self):
        """It is read by way of a file for locks, which nobody may make here."""
        self.add_and_die('PRAGMA journal_mode = WAL')
        os.chmod(self.db + '-wal', 0o444)
        os.remove(self.db + '-shm')
        os.chmod(self.folder, 0o555)
        r = flowcarve('query', '-d', self.db, ok=2, **self.user)
        self.assert_says(r, 'x.db', 'x.db-wal', 'may write')
        os.chmod(self.folder, 0o755)
        self.assertEqual(flowcarve('query', '-d', self.db, '--count').text, '%d\n' % self.count)

    def test_captures_that_may_not_be_read(self):
        os.chmod(self.files[0], 0)
        os.chmod(self.folder, 0o777)
        r = index(self.path('y.db'), self.files[0], ok=2, **self.user)
        self.assert_says(r, 'c.pcap', 'permission')
        r = flowcarve('carve', '-d', self.db, '-w', '-', ok=2, **self.user)
        self.assert_says(r, 'c.pcap', 'permission')


class Libpcap(support.TestCase):
    def test_it_is_failed_by_the_system(self):
        """verify promises two readers: where one cannot read for reasons of the machine's, that is no success."""
        if support.sanitized():
            self.skipTest('LeakSanitizer does not work under ptrace')
        strace, db = support.tool('strace'), self.path('x.db')
        plain, = self.fcgen('c.pcap', '--packets', '2000')
        packed = self.write('d.pcap.gz', gzip.compress(support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))] * 9)))
        index(db, '-q', plain, packed)
        for f in plain, packed:
            r = support.run(strace, '-f', '-P', f, '-e', 'trace=pread64', '-o', self.path('trace'), support.FLOWCARVE,
                            'verify', '-d', db, ok=None)
            reads = len(support.read_bytes(self.path('trace')).splitlines())
            if r.rc or not reads:
                self.skipTest('no ptrace here')
            # those of flowcarve, and those that it makes for libpcap
            for when in {1, *range(2, reads, 1 if support.LONG else max(reads // 6, 1)), max(reads - 1, 1)}:
                r = support.run(strace, '-f', '-P', f, '-e', 'inject=pread64:error=EIO:when=%d' % when, '-o', '/dev/null',
                                support.FLOWCARVE, 'verify', '-d', db, ok=None)
                self.assertEqual(r.rc, 2, r)
                self.assert_says(r, os.path.basename(f))

    def test_what_it_does_not_understand_is_told(self):
        """A capture that libpcap does not read, but flowcarve does: no failure, and said without being asked."""
        f = self.write('two.pcapng', support.shb() + support.idb(linktype=1) + support.epb('<', 0, T0, udp('10.0.0.1', 1, '10.0.0.2', 2)) +
                       support.idb(linktype=113) + support.epb('<', 1, T0, b'\0' * 14 + b'\x08\x06' + b'\0' * 28))
        index(self.path('x.db'), '-q', f)
        r = flowcarve('verify', '-d', self.path('x.db'))
        self.assertIn('libpcap does not read 1 capture to its end', r.text)
        self.assertIn('the index and its captures agree', r.text)
        self.assertNotIn('does not read', flowcarve('verify', '-q', '-d', self.path('x.db')).text)


class Names(support.TestCase):
    def tiny(self, name, n=0, host=1):
        data = support.pcap_bytes([(T0 + n * S, udp('10.0.0.%d' % host, 1000 + n % 50000, '10.0.1.1', 53))])
        name = os.fsencode(name)
        path = os.path.join(os.fsencode(self.folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def test_more_captures_than_descriptors(self):
        """3,000 captures with 64 descriptors: indexed, carved, verified; --jobs 8 each with files of its own."""
        n = 3000
        for i in range(n):
            self.tiny('caps/%04d/c.pcap' % i if i % 100 == 0 else 'caps/%04d.pcap' % i, i)

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        db = self.path('x.db')
        for jobs in ('8', '1'):
            if os.path.exists(db):
                os.remove(db)
            index(db, '-q', '--jobs', jobs, self.path('caps'), preexec_fn=limit)
            self.assertEqual(select(db, 'SELECT count(*), sum(records) FROM files'), [(n, n)])
        r = flowcarve('carve', '-d', db, '-w', '-', preexec_fn=limit)
        got = support.parse_capture(r.out)
        self.assertEqual([g.ts_ns for g in got], [T0 + i * S for i in range(n)])
        support.verify(db, preexec_fn=limit)

    def test_more_captures_at_a_time_than_descriptors(self):
        """Taps of the same time: the soft limit does not count; at the hard one nothing comes out, nor is it called damage."""
        n = 100
        for i in range(n):
            self.write('caps/%d.pcap.gz' % i, gzip.compress(support.pcap_bytes(
                [(T0 + i * 1000, udp('10.0.0.1', 1, '10.0.0.2', 2)), (T0 + S + i * 1000, udp('10.0.0.1', 1, '10.0.0.2', 2))])))
        db = self.path('x.db')

        def limit(soft, hard):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        index(db, '-q', self.path('caps'), preexec_fn=limit(40, 40))
        r = flowcarve('carve', '-d', db, '-w', '-', preexec_fn=limit(40, 400))
        self.assertEqual(len(support.parse_capture(r.out)), 2 * n)
        for words in ([], ['--partial']):
            r = flowcarve('carve', '-d', db, '-w', self.path('o.pcap'), *words, ok=2, preexec_fn=limit(40, 40))
            self.assert_says(r, 'too many open files')
        os.remove(db)
        for few in range(4, 12):
            r = index(db, '-q', '--jobs', '2', self.path('caps'), ok=(0, 2), preexec_fn=limit(few, few))
            self.assertNotIn('warning', r.err)
            if r.rc:
                self.assertRegex(r.err, 'Too many open files|unable to open', str(r))
                self.assertFalse(os.path.exists(db))
            else:
                self.assertEqual(select(db, 'SELECT sum(records) FROM files'), [(2 * n,)])
                os.remove(db)

    def test_a_stream_goes_to_a_file(self):
        f, = self.fcgen('c.pcap', '--packets', '300')
        data, db, spool = support.read_bytes(f), self.path('x.db'), self.path('spool file.pcap')
        self.assert_says(index(db, '-', ok=2), '--spool')
        with open(f, 'rb') as stream:
            index(db, '-q', '--spool', spool, '-', stdin=stream)
        self.assertEqual(support.read_bytes(spool), data)
        self.assert_carves(db, [spool])
        self.assert_says(index(db, '--spool', spool, '-', ok=2), 'exists')
        self.assertEqual(support.read_bytes(spool), data)
        os.mkfifo(self.path('fifo'))
        writer = subprocess.Popen(['cp', f, self.path('fifo')])
        index(self.path('y.db'), '-q', '--spool', self.path('second.pcap'), self.path('fifo'))
        self.assertEqual(writer.wait(), 0)
        self.assertEqual(support.read_bytes(self.path('second.pcap')), data)
        self.assert_says(index(db, '--spool', self.path('none'), f, ok=2), 'no stream')

    def test_odd_names(self):
        names = ['plain', 'with space', 'new\nline', 'tab\there', 'quote\'"', 'ünïcode-日本', '-dash', '--help', '%s%n',
                 '?mode=memory', 'back\\slash', '$(id)', 'a' * 200, b'not-utf8-\xff\xfe\x80', b'\xe2\x28\xa1', ' ',
                 '.hidden', '*.pcap', 'semi;colon']
        paths = [self.tiny(b'caps/' + os.fsencode(n), i) for i, n in enumerate(names)]
        db = self.path('x.db')
        index(db, '-q', '--', *paths)
        self.assertEqual(select(db, 'SELECT sum(records) FROM files'), [(len(names),)])
        self.assertEqual(set(support.index_files(db).values()), {os.path.realpath(p) for p in paths})
        self.assertEqual(len(self.carved(db)), len(names))
        support.verify(db)
        self.assert_says(index(db, self.path('caps')), '%d files were indexed before' % len(names))
        # each one by itself, relative, from inside its folder
        for i, n in enumerate(names):
            single = self.path('single.db')
            index(single, '-q', '--', os.fsencode(n), cwd=self.path('caps'))
            self.assertEqual(len(self.carved(single)), 1, n)
            os.remove(paths[i])
            r = flowcarve('carve', '-d', single, '-w', '-', ok=2)
            self.assertNotIn(b'\n\n', r.err_bytes)
            os.remove(single)

    def test_odd_names_of_databases_and_outputs(self):
        f = self.tiny('c.pcap')
        for name in ('with space', 'new\nline', '?mode=memory', '%20', '#hash', 'file:x', b'\xff\xfe', ':memory:', 'x',
                     "quote'"):
            with self.subTest(name=name):
                folder = os.path.join(os.fsencode(self.folder), b'sub')
                shutil.rmtree(folder, True)
                os.mkdir(folder)
                db, out = os.fsencode(name) + b'.db', os.fsencode(name) + b'.pcap'
                if name == ':memory:':
                    db = b':memory:'
                index(db, '-q', f, cwd=folder)
                self.assertEqual(os.listdir(folder), [db])
                flowcarve('carve', '-d', db, '-w', out, cwd=folder)
                self.assertEqual(sorted(os.listdir(folder)), sorted([db, out]))
                support.verify(db, cwd=folder)
                index(db, '-q', self.tiny('later.pcap', 7), cwd=folder)
                self.assertEqual(flowcarve('query', '-d', db, '--count', cwd=folder).text, '2\n')
                self.assertEqual(sorted(os.listdir(folder)), sorted([db, out]))

    def test_names_longer_than_a_path_may_be(self):
        """A tree deeper than PATH_MAX, as others can leave it: what lies too deep is told, and is no success."""
        part, depth = 'd' * 200, 0
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        self.addCleanup(support.run, 'rm', '-rf', self.path('caps'))
        data = support.read_bytes(self.tiny('caps/a.pcap'))
        os.chdir(self.path('caps'))
        while depth < 25:
            os.mkdir(part)
            os.chdir(part)
            depth += 1
            with open('c' * 150, 'wb') as f:
                f.write(data)
        os.chdir(here)
        r = index(self.path('x.db'), '--keep-copies', self.path('caps'), ok=2)
        self.assertRegex(r.err, r'(?m)^flowcarve: .*: cannot [a-z ]*: File name too long$')
        count = select(self.path('x.db'), 'SELECT count(*) FROM files')[0][0]
        self.assertTrue(15 < count < 21, count)
        self.assertIn('%d files, ' % count, r.err)

    def test_links_to_folders_are_not_followed(self):
        """They are told of, but for those that lead where the walk has been anyway."""
        self.tiny('caps/a.pcap')
        self.tiny('other/b.pcap', 1)
        os.makedirs(self.path('caps/day'))
        os.symlink('../other', self.path('caps/link'))
        os.symlink('day', self.path('caps/today'))
        os.symlink('..', self.path('caps/day/up'))
        os.symlink('nowhere', self.path('caps/dangling'))
        os.mkfifo(self.path('caps/fifo'))
        r = index(self.path('x.db'), self.path('caps'))
        self.assertRegex(r.err, r'(?m)^flowcarve: warning: .*/caps/link: is a symbolic link to a folder, which is not followed; ')
        self.assertNotIn('today', r.err)
        self.assertIn('\n4 files passed over, ', r.err)
        r = index(self.path('x.db'), '-v', self.path('caps'))
        for name, what in (('today', 'a symbolic link to a folder that is searched'), ('day/up', 'a symbolic link to a folder'),
                           ('dangling', 'a symbolic link to nothing'), ('fifo', 'no regular file')):
            self.assertRegex(r.err, r'(?m)^flowcarve: skipped: .*/caps/%s: is %s' % (name, what))
        self.assertNotIn('link', index(self.path('x.db'), '-q', self.path('caps')).err)
        r = index(self.path('x.db'), self.path('caps'), self.path('other'))
        self.assertNotIn('warning', r.err)
        self.assertEqual(select(self.path('x.db'), 'SELECT count(*) FROM files'), [(2,)])
        for i in range(25):
            os.symlink('../other', self.path('caps/link%d' % i))
        r = index(self.path('x.db'), self.path('caps'))
        self.assertIn('and 6 more of links to folders (-v shows all)\n', r.err)
        self.assertEqual(r.err.count('not followed'), 20)

    def test_the_same_file_more_than_once(self):
        f = os.fsdecode(self.tiny('caps/a.pcap'))
        os.symlink('a.pcap', self.path('caps/link.pcap'))
        os.link(f, self.path('caps/hard.pcap'))
        os.symlink('.', self.path('caps/loop'))
        os.symlink('nowhere', self.path('caps/dangling.pcap'))
        os.symlink('caps', self.path('folder'))
        db = self.path('x.db')
        for words in ([f, f], [f, self.path('caps')], [self.path('caps'), self.path('caps')],
                      [self.path('caps/link.pcap'), f], [self.path('caps/./a.pcap'), f, self.path('folder')],
                      [self.path('caps/loop/loop/a.pcap'), f], [self.path('folder')]):
            with self.subTest(words=words):
                index(db, '-q', *words)
                self.assertEqual(select(db, 'SELECT count(*), sum(records) FROM files'), [(1, 1)])
                support.check_index(db)
                os.remove(db)
        self.assert_says(index(db, self.path('caps/dangling.pcap'), ok=2), 'dangling.pcap')

    def test_what_is_no_regular_file(self):
        os.mkfifo(self.path('fifo'))
        os.mkdir(self.path('empty'))
        self.tiny('caps/c.pcap')
        os.mkfifo(self.path('caps/fifo'))
        for name, word in ((self.path('fifo'), 'fifo'), ('/dev/null', '/dev/null'), ('/dev/zero', '/dev/zero'),
                           (self.path('missing'), 'missing'), ('', 'flowcarve'), (self.path('empty'), 'no capture')):
            r = index(self.path('x.db'), name, ok=2, seconds=20)
            self.assert_says(r, word)
            self.assertFalse(os.path.exists(self.path('x.db')))
        index(self.path('x.db'), '-q', self.path('caps'), seconds=20)  # a FIFO in a folder does not block either
        self.assertEqual(select(self.path('x.db'), 'SELECT count(*) FROM files'), [(1,)])
        for command in (['query'], ['verify'], ['carve', '-w', '-']):
            for db in (self.path('fifo'), self.path('empty'), '/dev/null', self.path('missing')):
                r = flowcarve(command[0], '-d', db, *command[1:], ok=2, seconds=20)
                self.assertTrue(r.err.startswith('flowcarve: '), str(r))
        for db in (self.path('fifo'), self.path('empty'), '/dev/null', self.path('no/such/folder.db')):
            index(db, self.path('caps'), ok=2, seconds=20)

    def test_somebody_elses_database_is_not_touched(self):
        db = self.path('other.db')
        with contextlib.closing(sqlite3.connect(db)) as c:
            c.execute('CREATE TABLE session (id INTEGER PRIMARY KEY, precious)')
            c.execute('INSERT INTO session VALUES (1, 2)')
            c.commit()
        before = support.read_bytes(db)
        for command in (['index', self.tiny('c.pcap')], ['query'], ['verify'], ['carve', '-w', '-']):
            r = flowcarve(command[0], '-d', db, *command[1:], ok=2)
            self.assert_says(r, 'other.db')
        self.assertEqual(support.read_bytes(db), before)

    def test_why_the_index_cannot_be_read(self):
        db = self.path('x.db')
        index(db, '-q', self.tiny('c.pcap'))
        os.mkdir(db + '-journal')
        self.assert_says(flowcarve('query', '-d', db, ok=2), db, 'is a directory')

    def test_an_index_that_another_program_keeps_locked(self):
        db = self.path('x.db')
        index(db, '-q', self.tiny('c.pcap'))
        with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as c:
            c.execute('BEGIN EXCLUSIVE')
            start = time.monotonic()
            self.assert_says(flowcarve('query', '-d', db, ok=2), db, 'locked')
            self.assertLess(time.monotonic() - start, 9, 'waited more than once')
        flowcarve('query', '-d', db)

    def test_an_index_of_another_version_is_not_touched(self):
        db, f = self.path('x.db'), self.tiny('c.pcap')
        index(db, '-q', f)
        for version in 4, 99:
            with support.open_db(db, True) as c:
                c.execute('PRAGMA user_version = %d' % version)
            before = support.read_bytes(db)
            for command in (['index', self.tiny('d.pcap', 3)], ['query'], ['verify'], ['carve', '-w', '-'], ['forget', '--gone']):
                self.assert_says(flowcarve(command[0], '-d', db, *command[1:], ok=2), 'version %d' % version,
                                 'make it anew: flowcarve index -d NEW.db CAPTURES')
            self.assertEqual(support.read_bytes(db), before)


class Damaged(support.TestCase):
    """An index with anything in it: questions may fail, with a message; they do not crash, hang or eat all memory."""

    @classmethod
    def setUpClass(cls):
        cls.shared = support.tempfile.mkdtemp(prefix='fc-', dir=support.scratch())
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        path = functools.partial(os.path.join, cls.shared)
        cls.files = support.fcgen(path('c.pcap'), '--packets', '1500', '--sessions', '60', '--files', '2')
        cls.files += support.fcgen(path('d.pcapng'), '--packets', '300', '--format', 'pcapng', '--interfaces', '2', '--seed', '2')
        cls.good = path('good.db')
        # rows in all tables: sessions that go on, fragments that wait, a capture in the middle of growing, one forgotten
        cls.grows = support.write(path('g.pcap'), support.pcap_bytes([
            (T0 + i * S, udp('10.0.0.%d' % (i % 5 + 1), 1000, '10.1.0.1', 53, bytes(i % 40))) for i in range(200)]))
        late = support.udp_fragments('10.0.0.1', 9, '10.1.0.2', 9, 77)[1:]
        zipped = support.write(path('z.pcap.gz'), gzip.compress(support.pcap_bytes(
            [(T0 + 300 * S + i, p) for i, p in enumerate(late)])))
        old = support.write(path('old.pcap'), support.pcap_bytes([
            (T0 + i * S, udp('10.0.0.%d' % (i % 3 + 1), 1000, '10.1.0.1', 53)) for i in range(20)]))
        others = [cls.grows, zipped, old]
        index(cls.good, '-q', '--fields', 'all', old)
        index(cls.good, '-q', *cls.files)
        index(cls.good, '-q', cls.grows, zipped)
        with open(cls.grows, 'ab') as f:
            f.write(support.pcap_bytes([(T0 + (200 + i) * S, udp('10.0.0.%d' % (i % 5 + 1), 1000, '10.1.0.1', 53))
                                        for i in range(20)])[24:])
        flowcarve('forget', '-q', '-d', cls.good, '--keep-sessions', old)
        cls.known = {support.key_of(r)[1:4] for f in cls.files + others
                     for r in support.parse_capture(support.uncompressed(support.read_bytes(f)))}
        ids = flowcarve('query', '-d', cls.good, '-f', 'tsv', '-C', 'community-id', '--community-id').text.splitlines()
        cls.log = support.write(path('ids.txt'), '\n'.join(ids[1:30]).encode())
        cls.cache = path('cache')
        flowcarve('query', '-c', '-r', cls.files[0], env={'XDG_CACHE_HOME': cls.cache})
        cls.kept, = glob.glob(os.path.join(cls.cache, 'flowcarve', '*.db'))
        if not support.sanitized():  # no command takes more than 2 GB of address space
            before = resource.getrlimit(resource.RLIMIT_AS)
            cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_AS, before)
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, before[1]))

    def setUp(self):
        super().setUp()
        self.db = self.path('x.db')
        self.r = support.rng('damaged', self.id())

    def ask(self, what):
        out = self.path('o.cap')
        for words in self.questions(out):
            db = ['-d', self.db] if '-r' not in words and words[0] != 'cache' else []
            if not db:
                shutil.copy(self.db, self.kept)
            try:
                r = flowcarve(words[0], *db, *words[1:], ok=(0, 1, 2), seconds=60, env={'XDG_CACHE_HOME': self.cache})
            except AssertionError as e:
                kept = os.path.join(support.scratch(), 'fc-damaged-%s.db' % self.r.randrange(10**6))
                shutil.copy(self.db, kept)
                raise AssertionError('%s; the index is kept as %s: %s' % (what, kept, e)) from None
            if r.rc == 2:
                self.assertIn('flowcarve: ', r.err, '%s: says nothing: %s' % (what, r))
            if os.path.exists(out):
                for name in [out] if os.path.isfile(out) else [os.path.join(out, n) for n in os.listdir(out)] if '--split' in words else []:
                    self.check_output(name, what)
                shutil.rmtree(out) if os.path.isdir(out) else os.remove(out)
        self.tally(what)
        self.assertEqual([n for n in self.listing() if n.startswith('o.cap')], [])

    def questions(self, out):
        """Every command; some of them in the short form. Those that change the index are the last ones."""
        some = [['query', '--format', self.r.choice(('json', 'csv', 'tsv', 'table', 'zeek'))], ['carve', '-w', out],
                ['query', '--count', self.r.choice(('tcp', 'host 10.0.0.1', 'port 443', 'net 10.0.0.0/8'))],
                ['query', '--sort', self.r.choice(support.KEYS) + ':desc', '--limit', '5'], ['carve', '--partial', '-w', out], ['verify'],
                ['query', '--files', '--community-id', '-f', 'json'], ['query', '--explain', 'host 10.0.0.1 and not port 53'],
                ['query', '--from', self.log, '-f', 'tsv'], ['top', '--by', self.r.choice(('host', 'pair', 'port', 'file', 'time', 'state', 'vlan'))],
                ['stats'], ['packets', '--fields', 'all', '-f', 'json'], ['packets', '--tree', '-x', '-f', 'table', '--partial'],
                ['follow', '-i', str(self.r.randrange(1, 40))], ['follow', '--to', out, 'tcp'], ['carve', '--split', out],
                ['carve', '--from', self.log, '-w', out], ['carve', '--list'], ['carve', '--with-peers', '1m,1m', '-i', '2', '-w', out],
                ['files'], ['files', 'check'], ['cache'], ['query', '-c', '-r', self.files[0]], ['packets', '-r', self.files[0]]]
        if not support.LONG:
            return [some[i] for i in sorted(self.r.sample(range(len(some)), 4))]
        return some + [['files', 'relocate', self.grows, out], ['forget', '--gone'], ['index', '-q', self.grows], ['forget', self.files[0]]]

    asked = 0

    def tally(self, what):
        Damaged.asked += 1
        if support.LONG and Damaged.asked % 100 == 0:
            print('%d hostile databases asked, the last one: %s' % (Damaged.asked, what), flush=True)

    def check_output(self, out, what):
        """What a carve put under its name is a capture of records that exist."""
        for rec in support.read_capture(out):  # times hang on the interfaces that the index tells of
            self.assertTrue(support.key_of(rec)[1:4] in self.known, what + ': carved what is in no capture')

    def test_flipped_bytes(self):
        data = support.read_bytes(self.good)
        for i in range(support.rounds(30, 400)):
            d = bytearray(data)
            for _ in range(self.r.choice((1, 1, 3, 20, 200))):
                d[self.r.randrange(100 if self.r.random() < .1 else len(d))] = self.r.randrange(256)
            support.write(self.db, d)
            self.ask('round %d' % i)

    def test_cut(self):
        data = support.read_bytes(self.good)
        for n in [0, 1, 15, 16, 99, 100, 512, 4095, 4096, 4097] + [
                self.r.randrange(len(data)) for _ in range(support.rounds(8, 100))]:
            support.write(self.db, data[:n])
            self.ask('%d bytes' % n)

    def test_pages_of_noise(self):
        data = support.read_bytes(self.good)
        for i in range(support.rounds(10, 150)):
            d = bytearray(data)
            at = self.r.randrange(1, len(d) // 4096) * 4096
            d[at:at + 4096] = self.r.choice((bytes(4096), self.r.randbytes(4096), b'\xff' * 4096))
            support.write(self.db, d)
            self.ask('page at %d' % at)

    def changed(self, *statements):
        """A copy of the index, changed by SQL with all constraints off."""
        shutil.copy(self.good, self.db)
        with support.open_db(self.db, True) as c:
            c.execute('PRAGMA writable_schema = ON')
            c.execute("UPDATE sqlite_schema SET sql = replace(replace(sql, 'NOT NULL', ''), ') STRICT', ')')"
                      " WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID%'")
            c.execute('PRAGMA writable_schema = RESET')
        with support.open_db(self.db, True) as c:
            for s in statements:
                c.execute(*([s] if isinstance(s, str) else s))

    VALUES = (None, -1, 0, 1, 255, 65536, 2**31, 2**32, 2**63 - 1, -2**63, 1.5, -1e300, float('inf'), '', 'text',
              'x' * 5000, b'', b'\0', b'\xff' * 16, b'\x01' * 4000)

    def test_any_value_in_any_column(self):
        columns = {t: [r[1] for r in select(self.good, 'PRAGMA table_info(%s)' % t)] for t in (
            'session', 'session_fields', 'files', 'protocols', 'damage', 'open_session', 'open_batch', 'interfaces', 'meta', 'run',
            'session_positions', 'session_forgotten', 'session_span', 'session_port', 'seek_points', 'open_fragment')}
        cases = [(t, c, v) for t in columns for c in columns[t] for v in self.VALUES
                 if not (c in ('id', 'proto') and t != 'session')]
        for table, column, value in self.r.sample(cases, support.rounds(36, 400)):
            what = '%s.%s = %r' % (table, column, value if not isinstance(value, (str, bytes)) else value[:20])
            one = self.r.random() < .5
            try:
                self.changed(('UPDATE OR IGNORE %s SET %s = ?%s' % (
                    table, column, ' WHERE rowid = 2' if one and table not in ('interfaces', 'meta', 'damage', 'session_port') else ''),
                    (value,)))
            except sqlite3.IntegrityError:
                continue  # what SQLite itself does not let happen
            self.ask(what)

    def test_numbers_behind_which_there_are_none(self):
        """What is added has the next numbers: where these cannot be, nothing is added, nor anything changed."""
        new = self.fcgen('new.pcap', '--packets', '20', '--start', '1900000000')
        for sql in ('UPDATE run SET last_session = %d' % (2**63 - 1), 'UPDATE run SET last_session = %d' % (2**63 - 3),
                    'UPDATE session SET id = %d WHERE id = (SELECT max(id) FROM session)' % (2**63 - 1),
                    'UPDATE files SET id = %d WHERE id = (SELECT max(id) FROM files)' % (2**32 - 1)):
            with self.subTest(sql=sql):
                shutil.copy(self.good, self.db)
                with support.open_db(self.db, True) as c:
                    c.execute(sql)
                before = support.dump(self.db)
                for words in (['index', *new], ['forget', '--before', '2040-01-01']):
                    r = flowcarve(words[0], '-d', self.db, *words[1:], ok=2)
                    self.assert_says(r, 'damaged', 'behind which there are no numbers')
                self.assert_same_dump(before, support.dump(self.db))
                for words in (['query', '--sort', 'bytes'], ['query', 'port', '443'], ['carve', '-w', '-'], ['verify']):
                    flowcarve(words[0], '-d', self.db, *words[1:], ok=(0, 1, 2))

    def test_positions_of_all_kinds(self):
        v = self.varint
        huge = (2**32, 2**63, 2**64 - 1)
        blobs = [b'\0', b'\1', b'\2', b'\x80', b'\xff' * 9 + b'\1', b'\xff' * 30,
                 v(1) + v(0) + v(24), v(0) + v(1) + v(24), v(99) + v(1) + v(24),
                 v(1) + v(2) + v(24) + v(0), v(1) + v(2) + v(24), v(2) + v(1) + v(24) + v(1) + v(1) + v(24)]
        for h in huge:
            blobs += [v(1) + v(h) + v(24) + v(1) * 20, v(1) + v(1) + v(h), v(h) + v(1) + v(24),
                      v(1) + v(2) + v(24) + v(h), b'\0' + v(h) + b'\x10a', b'\0' + v(h)]
        blobs += [b'\0' + v(100) + b'\xff' * 30, b'\0' + v(100) + b'\x1fa\0\0' + b'\xff' * 5, b'\0' + v(5) + b'\x14a\x09\0',
                  b'\0' + v(1 << 30) + b'\x1fa\1\0' + b'\xff' * 4000 + b'\0', b'\0' + v(0), b'\0' + v(3) + b'\x30\1\1']
        blobs += [self.r.randbytes(self.r.randrange(1, 60)) for _ in range(support.rounds(8, 100))]
        blobs += [b'\0' + v(self.r.randrange(300)) + self.r.randbytes(self.r.randrange(1, 60))
                  for _ in range(support.rounds(8, 100))]
        for blob in blobs:
            self.changed(('UPDATE session SET positions = ? WHERE id = 5', (blob,)))
            self.ask('positions %s' % blob[:40].hex())
            if not support.LONG:  # else some of what was asked has changed it
                flowcarve('verify', '-d', self.db, ok=2)

    def varint(self, n):
        out = bytearray()
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        return bytes(out + bytes([n]))

    def test_rows_missing_and_too_many(self):
        for statements in (['DELETE FROM files'], ['DELETE FROM files WHERE id = 2'], ['DELETE FROM interfaces'],
                           ['DELETE FROM session'], ['DELETE FROM protocols'], ['DELETE FROM session_fields'],
                           ['DELETE FROM meta'], ['DROP TABLE files'], ['DROP TABLE session'], ['DROP TABLE session_port'], ['DROP VIEW sessions'],
                           ['DROP TABLE meta'], ['DROP TABLE interfaces'], ['DROP INDEX session_client'],
                           ['UPDATE files SET path = path || char(0) || 1'],
                           ['UPDATE files SET path = ?', ('/' + 'x' * 9000,)],
                           ['UPDATE files SET path = (SELECT path FROM files WHERE id = 1)'],
                           ['UPDATE interfaces SET link_type = 101, big_endian = 1']):
            self.changed(tuple(statements) if len(statements) == 2 else statements[0])
            self.ask(statements[0])

    def test_open_sessions_that_are_not_there(self):
        """IDs in `open_session` at the ends of what a number can be, and batches that are broken: an error that names them."""
        self.write('a.pcap', support.pcap_bytes([(T0 + i, udp('10.0.0.1', i, '10.0.0.2', 9, b'x')) for i in range(1, 50)]))
        self.write('b.pcap', support.pcap_bytes([(T0 + S, udp('10.0.0.1', 1, '10.0.0.2', 9, b'x'))]))
        self.write('older.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 9, b'x'))]))
        db = self.path('x.db')

        def entry(i):
            out, v = [4], i % 2 ** 64
            while v > 127:
                out.append(v & 127 | 128)
                v >>= 7
            return bytes(out + [v, 0x80, 0x80, 0x80, 0x80, 0x40])  # it never expires

        for state, says in [(entry(i), 'session %d is damaged' % i) for i in (2 ** 63 - 1, -2 ** 63, 50, 0)] + [
                (b'', 'batch 1 of open sessions'), (b'\4', 'batch 1 of open sessions'), (b'\3\0\0', 'batch 1 of open sessions'),
                (entry(1)[:-1] + b'\x80', 'batch 1 of open sessions'), (entry(1)[:3], 'batch 1 of open sessions')]:
            for added in 'b.pcap', 'older.pcap':
                if len(state) == 1 and added == 'older.pcap':
                    continue  # no entries: nothing is missed
                with self.subTest(state=state, added=added):
                    index(db, '-q', self.path('a.pcap'))
                    with support.open_db(db, True) as c:
                        c.execute('DELETE FROM open_session')
                        c.execute('UPDATE open_batch SET entries = 1, tags = substr(tags, 1, 3)')
                        c.execute('INSERT INTO open_session VALUES (262144, ?)', (state,))
                    before = support.dump(db)
                    # an entry of a session that is not there may be of one that was forgotten
                    r = index(db, '-q', self.path(added), ok=(0, 2) if says.startswith('session') else 2)
                    if r.rc:
                        self.assert_says(r, says)
                        self.assert_same_dump(before, support.dump(db))
                    else:
                        support.verify(db)
                    os.remove(db)

    def test_adding_to_a_damaged_index(self):
        """A run that adds either works or leaves the file as it was; it does not crash."""
        new = self.fcgen('e.pcap', '--packets', '200', '--start', '1700000001', '--seed', '9')
        data = support.read_bytes(self.good)
        for i in range(support.rounds(25, 1000)):
            if i % 2:
                d = bytearray(data)
                for _ in range(self.r.choice((1, 3, 20))):
                    d[self.r.randrange(len(d))] = self.r.randrange(256)
                support.write(self.db, d)
            else:
                table, column = self.r.choice((('open_session', 'state'), ('open_batch', 'tags'), ('open_batch', 'entries'),
                                               ('open_batch', 'expiry_ns'), ('open_fragment', 'state'), ('session', 'positions'),
                                               ('session', 'client_addr'), ('meta', 'value'), ('files', 'last_ns'),
                                               ('session', 'duration_ns'), ('session', 'kind')))
                self.changed(('UPDATE %s SET %s = ?' % (table, column), (self.r.choice(self.VALUES[table == 'meta':]),)))
            before = support.pages(self.db)
            r = index(self.db, '-q', *new, ok=(0, 2), seconds=60)
            if r.rc == 2:
                self.assertIn('flowcarve: ', r.err)
                self.assertTrue(support.pages(self.db) == before, 'a failed run changed the index: %s' % r)
                self.assertEqual([n for n in self.listing() if n.startswith('x.db')], ['x.db'])

    def test_growing_and_forgetting_in_a_damaged_index(self):
        """Captures that grow are read on by what the index says of their ends; forgetting reads all positions."""
        columns = ['files.' + c for c in 'resume gone forgotten end_off stream_size size records ignored lost_bytes damaged'
                   ' pending_bytes fingerprint stored_fingerprint device inode format compression path relative last_ns'.split()]
        columns += ['session_positions.' + c for c in ('session', 'file', 'positions')]
        columns += ['session_forgotten.packets', 'session.positions', 'session.flags', 'open_batch.tags', 'open_batch.entries',
                    'open_session.state', 'open_fragment.state', 'run.first_file', 'run.last_file', 'run.first_session',
                    'run.last_session', 'run.changed', 'interfaces.off', 'interfaces.section', 'session_span.packets',
                    'session_span.first_id', 'session_port.block', 'seek_points.state', 'seek_points.off', 'damage.length']
        data = support.read_bytes(self.good)
        for i in range(support.rounds(60, 2000)):
            if i % 4 == 0:
                d, what = bytearray(data), 'bytes'
                for _ in range(self.r.choice((1, 3, 20))):
                    d[self.r.randrange(len(d))] = self.r.randrange(256)
                support.write(self.db, d)
            else:
                table, column = what = self.r.choice(columns).split('.')
                value = self.r.choice(self.VALUES + ('flip', 'flip', 'flip'))
                with contextlib.suppress(sqlite3.IntegrityError):
                    if value != 'flip':
                        self.changed(('UPDATE OR IGNORE %s SET %s = ?' % (table, column), (value,)))
                    else:  # a value that is nearly right
                        self.changed()
                        with support.open_db(self.db, True) as c:
                            key = 'rowid' if table not in ('interfaces', 'damage', 'session_port', 'session_span') else column
                            rows = c.execute('SELECT %s, %s FROM %s' % (key, column, table)).fetchall()
                            for k, v in self.r.sample(rows, min(len(rows), 3)):
                                if isinstance(v, bytes) and v:
                                    v = bytearray(v)
                                    v[self.r.randrange(len(v))] = self.r.randrange(256)
                                elif isinstance(v, int):
                                    v += self.r.choice((1, -1, 1 << 20))
                                c.execute('UPDATE OR IGNORE %s SET %s = ? WHERE %s = ?' % (table, column, key), (v, k))
            for words in self.r.choice(([['index', '-q', self.grows]], [['forget', self.files[0]], ['index', '-q', self.grows]],
                                        [['forget', '--keep-sessions', self.grows]], [['forget', '--before', '@1900000000']],
                                        [['forget', '--gone']])):
                r = flowcarve(words[0], '-d', self.db, *words[1:], ok=(0, 1, 2), seconds=60)
                if r.rc == 2:
                    self.assertIn('flowcarve: ', r.err, (what, words, str(r)))
                self.assertEqual([n for n in self.listing() if n.startswith('x.db')], ['x.db'], (what, words, str(r)))
            flowcarve('verify', '-d', self.db, ok=(0, 1, 2), seconds=60)


if __name__ == '__main__':
    support.main()
