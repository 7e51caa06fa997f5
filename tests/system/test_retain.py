# SPDX-License-Identifier: MIT
"""
Limits of what is kept: which captures go, that no other file does, and that the index stays true and does not grow. Time is made
up: of packets and files by their stamps, of the wall clock by retain_step, which takes single steps.
"""
import fcntl, os, re, shutil, sqlite3, subprocess, sys, time, unittest

import support
from support import LONG, S, T0, check_index, flowcarve, index, select, udp, verify
from test_watch import Watching

STEP = os.path.abspath(os.environ.get('RETAIN_STEP') or os.path.join(support.ROOT, 'build/dev/tests/retain_step'))
DAY = 86400 * S
LATER = T0 + 99 * DAY  # nothing is new then
FOREVER = 2**63 - 1


class Step:
    def __init__(self, words):
        self.code, self.deleted, self.words, self.whys = None, [], [], []
        for line in words:
            kind, _, rest = line.partition(' ')
            if kind == 'deleted':
                why, size, name = rest.split()
                self.deleted.append(os.fsdecode(bytes.fromhex(name)))
                self.whys.append(why)
            elif kind == 'word':
                self.words.append(rest)
            else:
                (self.code, self.count, self.bytes, self.forgotten, self.packets, self.sessions, self.more, self.captures,
                 self.capture_bytes, self.index_bytes, self.oldest) = map(int, rest.split())


class Keeper:
    """A process that keeps limits, and takes a step when it is told to."""

    def __init__(self, db, folders, keep=0, age=0, free=0, part=0.0, sessions=0, file_bytes=0, file_ns=0, gone=1, prefix=()):
        words = [*prefix, STEP, db, *map(str, (keep, age, free, part, sessions, file_bytes, file_ns, gone)), *folders]
        self.p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors='surrogateescape')

    def step(self, now, settled=True, budget=0, dies=False):
        said = []
        self.p.stdin.write('%d %d %d %d\n' % (now, settled, budget, dies))
        self.p.stdin.flush()
        for line in self.p.stdout:
            said.append(line.rstrip('\n'))
            if said[-1].startswith('result '):
                break
        return Step(said)

    def end(self):
        said = self.p.communicate()[0]
        self.said = said
        return self.p.returncode


@unittest.skipUnless(os.access(STEP, os.X_OK), 'retain_step is not built')
class Base(support.TestCase):
    def setUp(self):
        super().setUp()
        self.caps, self.db = self.path('caps'), self.path('x.db')
        os.mkdir(self.caps)
        self.keepers = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for k in self.keepers:
            if k.p.returncode is None:
                k.end()

    def old(self, name, packets, seconds=T0 // S):
        """A capture that nobody has written for long."""
        path = self.write(os.path.join('caps', name), support.pcap_bytes(packets))
        os.utime(path, (seconds, seconds))
        return path

    def make(self, days=5, n=4, names='day%d.pcap'):
        """A capture a day, of a session of its own for each packet."""
        files = [self.old(names % k, [(T0 + k * DAY + i * S, udp('10.0.%d.%d' % (k, i + 1), 1000, '10.9.9.9', 53, b'x' * 200)) for i in range(n)])
                 for k in range(days)]
        index(self.db, '-q', self.caps)
        return files

    def keeper(self, *folders, **limits):
        k = Keeper(self.db, folders or (self.caps,), **limits)
        self.keepers.append(k)
        return k

    def there(self, files):
        return [os.path.exists(f) for f in files]

    def check(self):
        check_index(self.db, ordered_ids=False, gaps=True)
        verify(self.db)

    def taken(self, files):
        return sum(os.path.getsize(f) for f in files if os.path.exists(f))

    def taken_by_index(self):
        return sum(os.path.getsize(self.db + e) for e in ('', '-wal') if os.path.exists(self.db + e))

    def count(self, table='session'):
        return select(self.db, 'SELECT count(*) FROM ' + table)[0][0]


class Limits(Base):
    def test_bytes(self):
        """The index counts; what was deleted is what has to go, and no more."""
        files = self.make(6)
        k = self.keeper(keep=self.taken(files) + self.taken_by_index() - 1)
        s = k.step(LATER)
        self.assertEqual((s.deleted, s.whys, s.code), (files[:1], ['bytes'], 0))
        self.assertEqual((s.forgotten, s.packets, s.sessions), (1, 4, 4))
        k.end()
        k = self.keeper(keep=self.taken(files) + self.taken_by_index())
        self.assertEqual(k.step(LATER).deleted, [])
        k.end()
        k = self.keeper(keep=self.taken(files[3:]) + self.taken_by_index())
        s = k.step(LATER)
        self.assertEqual(s.deleted, files[1:3])
        self.assertEqual((s.captures, s.capture_bytes), (3, self.taken(files)))
        self.assertEqual(s.oldest, T0 + 3 * DAY + 3 * S)
        k.end()
        self.assertEqual(self.there(files), [False] * 3 + [True] * 3)
        self.assertEqual(self.count(), 12)
        self.check()
        self.assertEqual(select(self.db, 'SELECT id FROM files ORDER BY id'), [(4,), (5,), (6,)])

    def test_age_is_that_of_the_last_packet(self):
        """Not that of the file, nor the order of names; of one without times that of the file."""
        a = self.old('z.pcap', [(T0 + 5 * DAY, udp('10.0.0.1', 1, '10.0.0.2', 2))])
        b = self.old('a.pcap', [(T0, udp('10.0.0.3', 1, '10.0.0.2', 2)), (T0 + 6 * DAY, udp('10.0.0.3', 1, '10.0.0.2', 2))])
        c = self.old('m.pcap', [(T0 + 4 * DAY, udp('10.0.0.4', 1, '10.0.0.2', 2))], seconds=(T0 + 9 * DAY) // S)
        d = self.old('empty.pcap', [], seconds=(T0 + DAY) // S)
        index(self.db, '-q', self.caps)
        k = self.keeper(age=DAY)
        self.assertEqual(k.step(T0 + 2 * DAY).deleted, [])
        self.assertEqual(k.step(T0 + 2 * DAY + 1).deleted, [d])
        self.assertEqual(k.step(T0 + 5 * DAY + 1).deleted, [c])
        s = k.step(T0 + 7 * DAY + 1)
        self.assertEqual((s.deleted, s.whys), ([a, b], ['age'] * 2))
        self.assertEqual(k.end(), 0)
        self.assertEqual(self.count(), 0)
        self.assertEqual(self.count('files'), 1)  # whose ID tells the next one
        self.check()

    def test_the_disk_is_everybodys(self):
        if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'x', self.caps], check=False, stderr=subprocess.DEVNULL).returncode:
            self.skipTest('nothing can be mounted')
        self.addCleanup(subprocess.run, ['umount', self.caps], check=True)
        files = [self.old('%d.pcap' % k, [(T0 + k * DAY + i, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(1400))) for i in range(50)]) for k in range(6)]
        index(self.db, '-q', self.caps)
        k = self.keeper(part=.25)
        self.assertEqual(k.step(T0 + 9 * DAY).deleted, [])
        with open(self.path('caps', 'filler'), 'wb') as f:
            f.write(bytes(450000))
        s = k.step(T0 + 9 * DAY)
        self.assertEqual((s.deleted, set(s.whys)), (files[:2], {'free'}))
        disk = os.statvfs(self.caps)
        self.assertGreaterEqual(disk.f_bavail, disk.f_blocks * .25)
        with open(self.path('caps', 'filler'), 'ab') as f:
            f.write(bytes(100000))
        self.assertEqual(k.step(T0 + 9 * DAY).deleted, files[2:3])
        k.end()
        self.assertTrue(os.path.exists(self.path('caps', 'filler')))
        self.check()
        k = self.keeper(free=2 << 20)
        self.assertEqual(k.end(), 2)
        self.assertRegex(k.said, r'2097152 bytes of the disk are to be free, which has 1048576')

    def test_limits_that_cannot_be(self):
        for limits, words in (({}, 'no limit'), ({'keep': 999, 'file_bytes': 1000}, '999 bytes are to be kept, and a single capture takes up to 1000'),
                              ({'age': 59 * S, 'file_ns': 60 * S}, 'a single capture takes up to 60 s'), ({'part': 1}, 'out of its range'),
                              ({'part': .99999, 'file_bytes': 1 << 60}, 'there is no room for a capture'), ({'age': -1}, 'out of its range')):
            k = self.keeper(**limits)
            self.assertEqual(k.end(), 2)
            self.assertIn(words, k.said)
        k = self.keeper(self.path('nowhere'), keep=1)
        self.assertEqual((k.end(), 'nowhere: no folder' in k.said), (2, True))
        k = self.keeper(keep=1)  # no index yet
        self.assertEqual(k.step(T0).code, 0)

    def test_what_cannot_be_kept_is_told_once(self):
        files = self.make(2)
        k = self.keeper(keep=self.taken_by_index() + 1)
        s = k.step(T0)
        self.assertEqual((s.deleted, len(s.words)), ([], 1))  # as if they were written now
        self.assertRegex(s.words[0], 'no capture that may be deleted: captures take [0-9]+ bytes, the index [0-9]+')
        self.assertEqual(k.step(T0).words, [])
        self.assertEqual(k.end(), 0)
        k = self.keeper(keep=self.taken_by_index())
        self.assertEqual((k.end(), self.there(files)), (2, [True] * 2))
        self.assertRegex(k.said, 'x.db: takes [0-9]+ bytes by itself')

    def test_a_step_ends_in_time(self):
        """And goes on with the next: also in the middle of forgetting a capture."""
        self.old('big.pcap', [(T0 + i * 1000, udp('10.%d.%d.1' % (i // 250, i % 250), 1000, '10.9.9.9', 53)) for i in range(9000)])
        self.old('last.pcap', [(T0 + DAY, udp('10.0.0.1', 1, '10.0.0.2', 2))])
        index(self.db, '-q', self.caps)
        k = self.keeper(age=DAY)
        s = k.step(T0 + DAY + S, budget=1)
        self.assertEqual((len(s.deleted), s.forgotten, s.more), (1, 0, 1))
        self.assertEqual(s.packets, 2000)
        verify(self.db, ok=None)
        for _ in range(9):
            s = k.step(T0 + DAY + S, budget=1)
        self.assertEqual((self.count(), s.more), (1, 0))
        self.check()


class Files(Base):
    def test_exact_names(self):
        """Nothing is made of a name: no pattern, no option, no line."""
        names = ['*', '?.pcap', '-rf', '--', 'a\nb.pcap', '[ab].pcap', '$(touch x)', "it's", 'sub/*', os.fsdecode(b'\xff\xfe'), '\\', ' ']
        files = [self.old(n, [(T0 + i * DAY, udp('10.0.0.%d' % i, 1, '10.0.0.200', 2))]) for i, n in enumerate(names)]
        stay = [self.old(n, [(LATER, udp('10.0.1.1', 1, '10.0.0.200', i))]) for i, n in enumerate(('a.pcap', 'x.pcap', 'b', 'a', 'sub/y'))]
        index(self.db, '-q', self.caps)
        k = self.keeper(age=50 * DAY)
        s = k.step(LATER)
        self.assertEqual((s.deleted, s.words), (files, []))
        self.assertEqual((any(self.there(files)), all(self.there(stay))), (False, True))
        k.end()
        self.check()

    def test_only_what_the_index_has_in_these_folders(self):
        files = self.make(2)
        other = self.write('other/o.pcap', support.pcap_bytes([(T0, udp('10.5.0.1', 1, '10.0.0.2', 2))]))
        near = self.write('caps2/o.pcap', support.pcap_bytes([(T0, udp('10.6.0.1', 1, '10.0.0.2', 2))]))
        below = self.old('a/b/o.pcap', [(T0, udp('10.7.0.1', 1, '10.0.0.2', 2))])
        index(self.db, '-q', other, near, below)
        forgotten = files.pop(0)
        flowcarve('forget', '-q', '-d', self.db, forgotten)
        unknown = self.old('unknown.pcap', [(T0, udp('10.8.0.1', 1, '10.0.0.2', 2))])
        k = self.keeper(age=1)
        s = k.step(LATER)
        self.assertEqual((sorted(s.deleted), s.words), (sorted(files + [below]), []))
        self.assertTrue(all(self.there([other, near, unknown, forgotten])))
        k.end()
        self.check()

    def test_what_was_replaced_stays(self):
        files = self.make(7)
        keep = {}

        def put(f, data, rename):
            keep[f] = data
            if rename:
                support.write(f + '.new', data)
                os.rename(f + '.new', f)
            else:
                with open(f, 'r+b') as out:
                    out.truncate(0)
                    out.write(data)
            os.utime(f, (T0 // S, T0 // S))
        data = support.read_bytes(files[0])
        put(files[0], b'notes of somebody', True)
        put(files[1], b'notes' * 100, False)
        put(files[2], support.read_bytes(files[2])[:-1] + b'!', False)  # as long, with the same times
        os.utime(files[2], ns=(T0, T0 + 1))
        put(files[3], support.read_bytes(files[3]) + data[24:], False)  # longer: the capture goes on
        del keep[files[3]]
        for f, make in ((files[4], lambda: os.symlink('/etc/passwd', files[4])), (files[5], lambda: os.mkdir(files[5]))):
            os.remove(f)
            make()
        k = self.keeper(age=1)
        s = k.step(LATER)
        self.assertEqual(s.deleted, [files[3], files[6]])
        self.assertTrue(os.path.islink(files[4]) and os.path.exists('/etc/passwd') and os.path.isdir(files[5]))
        for f, content in keep.items():
            self.assertEqual(support.read_bytes(f), content)
        self.assertEqual(len(s.words), 2, s.words)  # of those that have the capture's inode or were looked into
        again = k.step(LATER)
        self.assertEqual((again.deleted, again.words), ([], []))

    def test_what_is_written_stays(self):
        files = self.make(4)
        with open(files[1], 'ab'):
            os.utime(files[2])
            k = self.keeper(age=1)
            now = os.stat(files[2]).st_mtime_ns
            s = k.step(now)
            self.assertEqual(s.deleted, [files[0], files[3]])
            self.assertEqual(s.words, [])
        k.end()
        k = self.keeper(age=1)
        self.assertEqual(k.step(now + 11 * S).deleted, files[1:3])

    def test_a_file_with_its_hidden_name(self):
        """As a recorder writes: it counts, and is neither deleted nor gone."""
        files = self.make(3)
        hidden = self.path('caps', '.day0.pcap.part')
        os.rename(files[0], hidden)
        k = self.keeper(age=1)
        s = k.step(LATER)
        self.assertEqual((s.deleted, s.captures), (files[1:], 1))
        s = k.step(LATER)
        self.assertEqual((s.captures, s.capture_bytes, s.forgotten), (1, os.path.getsize(hidden), 0))
        os.rename(hidden, files[0])
        self.assertEqual(k.step(LATER).deleted, files[:1])

    def test_a_folder_that_may_not_be_written(self):
        files = self.make(2)
        k = self.keeper(age=1, prefix=() if os.geteuid() else ('setpriv', '--bounding-set=-all', '--inh-caps=-all', '--reuid', '65534', '--clear-groups'))
        if os.geteuid() == 0:
            os.chmod(self.folder, 0o755)
            for f in (self.db, self.folder):
                os.chown(f, 65534, -1)
        os.chmod(self.caps, 0o555)
        self.addCleanup(os.chmod, self.caps, 0o755)
        s = k.step(LATER)
        self.assertEqual((s.deleted, len(s.words)), ([], 1), s.words)  # the other one may be written, as far as it may know
        self.assertIn('cannot be deleted: Permission denied', s.words[0])
        self.assertEqual(k.step(T0).words, [])
        self.assertEqual(k.end(), 0)
        k = self.keeper(keep=self.taken_by_index())
        self.assertEqual((k.end(), self.there(files)), (2, [True] * 2))
        self.assertRegex(k.said, 'x.db: takes [0-9]+ bytes by itself')
        self.assertTrue(all(self.there(files)))


class Crashes(Base):
    def test_between_deleting_and_forgetting(self):
        files = self.make(3)
        k = self.keeper(age=2 * DAY)
        s = k.step(T0 + 2 * DAY + 4 * S, dies=True)
        self.assertEqual((s.deleted, k.end()), (files[:1], 9))
        self.assertEqual(self.count(), 12)
        k = self.keeper(age=2 * DAY, gone=S // 5)
        now = T0 + 2 * DAY + 4 * S
        self.assertEqual(k.step(now).forgotten, 0)  # it might come back
        self.assertEqual(k.step(now, settled=False).forgotten, 0)
        self.until(lambda: k.step(now, settled=False).forgotten == 0 and k.step(now).forgotten == 1)
        k.end()
        self.assertEqual(self.count(), 8)
        self.check()

    def until(self, done):
        for _ in range(200):
            if done():
                return
            time.sleep(.01)
        self.fail('it does not come')

    def test_a_disk_that_is_not_there(self):
        """An empty mount point tells nothing of the captures on the disk."""
        if os.geteuid():
            self.skipTest('nothing can be mounted')
        self.make(3)
        if subprocess.run(['mount', '-t', 'tmpfs', 'x', self.caps], check=False, stderr=subprocess.DEVNULL).returncode:
            self.skipTest('nothing can be mounted')
        try:
            k = self.keeper(age=1)
            for _ in range(3):
                s = k.step(LATER)
                self.assertEqual((s.forgotten, s.captures, s.words), (0, 0, []))
            k.end()
        finally:
            subprocess.run(['umount', self.caps], check=True)
        self.assertEqual(self.count(), 12)
        self.check()

    def test_a_folder_that_was_removed(self):
        self.make(2, names='a/b/%d.pcap')
        shutil.rmtree(self.path('caps', 'a'))
        k = self.keeper(age=99 * DAY)
        k.step(T0)
        self.assertEqual(k.step(T0).forgotten, 2)
        self.assertEqual(self.count(), 0)

    def test_what_was_away_and_comes_back(self):
        """It was forgotten, and is not deleted for that: it takes room as others do."""
        files = self.make(3)
        os.rename(files[0], self.path('away'))
        k = self.keeper(age=50 * DAY, sessions=FOREVER)
        k.step(T0)
        self.assertEqual(k.step(T0).forgotten, 1)
        os.rename(self.path('away'), files[0])
        s = k.step(T0)
        s = k.step(T0)
        self.assertEqual((s.deleted, s.captures, s.capture_bytes), ([], 3, self.taken(files)))
        self.assertEqual(k.step(T0 + 50 * DAY + 4 * S).deleted, files[:1])
        self.assertEqual((self.count(), self.count('files')), (12, 3))
        self.check()

    def test_while_another_process_writes(self):
        """What is deleted is forgotten later; the disk does not wait for that."""
        files = self.make(3)
        k = self.keeper(age=DAY)
        with support.open_db(self.db, True) as c:
            c.execute('BEGIN IMMEDIATE')
            s = k.step(T0 + DAY + 4 * S)
            self.assertEqual((s.deleted, s.forgotten, s.code), (files[:1], 0, -15))
            self.assertIn('is being written', s.words[0])
            c.execute('ROLLBACK')
        s = k.step(T0 + DAY + 4 * S)
        self.assertEqual((s.deleted, s.forgotten, s.sessions, s.code), ([], 1, 4, 0))
        self.check()

    def test_nothing_is_written_for_nothing(self):
        files = self.make(3)
        k = self.keeper(age=DAY, sessions=FOREVER)
        self.assertEqual(k.step(T0 + DAY + 4 * S).forgotten, 1)
        k.end()
        before = hash(support.read_bytes(self.db)), self.taken_by_index()
        for _ in range(3):
            k = self.keeper(age=DAY, sessions=10 * DAY)
            self.assertEqual(k.step(T0 + DAY + 4 * S).deleted, [])
            k.end()
        self.assertEqual((hash(support.read_bytes(self.db)), self.taken_by_index()), before)
        self.assertEqual(self.there(files), [False, True, True])

    def test_a_deletion_that_the_disk_has_lost(self):
        """What was deleted is there again, as it was: by a power loss, here by another link."""
        files = self.make(3)
        os.link(files[0], self.path('saved'))
        os.link(files[2], self.path('saved2'))
        k = self.keeper(age=2 * DAY, sessions=FOREVER)
        self.assertEqual(k.step(T0 + 2 * DAY + 4 * S).deleted, files[:1])
        k.end()
        os.rename(self.path('saved'), files[0])
        k = self.keeper(age=2 * DAY, sessions=FOREVER)
        k.step(T0 + 2 * DAY + 4 * S)
        self.assertEqual(self.there(files), [False, True, True])


class Sessions(Base):
    def test_they_outlive_their_packets(self):
        files = self.make(4)
        # one session in all captures
        for k in range(4):
            self.old('all%d.pcap' % k, [(T0 + k * DAY + 5 * S, udp('10.5.5.5', 5, '10.9.9.9', 5, b'hello'))])
        os.remove(self.db)
        index(self.db, '-q', '--timeout', 'udp=never,udp-new=never', self.caps)
        k = self.keeper(age=2 * DAY, sessions=30 * DAY)
        s = k.step(T0 + 3 * DAY + 6 * S)
        self.assertEqual(len(s.deleted), 4)
        self.assertEqual((s.forgotten, s.packets, s.sessions), (4, 10, 0))
        self.assertEqual(self.count(), 17)
        since = r'packets gone since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC'
        r = flowcarve('carve', '-d', self.db, 'host 10.0.0.1', '-w', self.path('out.pcap'), ok=1)
        self.assertRegex(r.err, 'nothing to carve: 1 packet of what matches, all forgotten: ' + since)
        self.assertFalse(os.path.exists(self.path('out.pcap')))
        self.assertIn('10.0.0.1', flowcarve('query', '-d', self.db, 'host 10.0.0.1').text)
        r = flowcarve('carve', '-d', self.db, 'host 10.5.5.5', '-w', self.path('out.pcap'))
        self.assertRegex(r.err, '2 packets of 1 session carved, .*; 2 packets forgotten: ' + since)
        self.assertEqual(len(support.read_capture(self.path('out.pcap'))), 2)
        r = flowcarve('packets', '-d', self.db, 'host 10.0.1.2', ok=1)
        self.assertRegex(r.err, 'warning: 1 packet of what matches forgotten: ' + since)
        r = flowcarve('follow', '-d', self.db, '-i', str(select(self.db, 'SELECT id FROM sessions WHERE client_addr = ?', '10.5.5.5')[0][0]))
        self.assertRegex(r.err, 'warning: 2 packets of the session forgotten: ' + since)
        r = flowcarve('carve', '-d', self.db, 'host 10.0.3.1', '-w', self.path('out2.pcap'))
        self.assertNotIn('gone', r.err)
        self.check()
        # the metadata goes when the last session of all that lie side by side is old
        s = k.step(T0 + 33 * DAY)
        self.assertEqual((len(s.deleted), s.sessions, self.count()), (4, 4, 13))  # two days are old enough
        k.end()
        self.check()
        k = self.keeper(age=2 * DAY, sessions=30 * DAY)
        s = k.step(T0 + 33 * DAY + 6 * S)
        self.assertEqual((s.sessions, self.count(), self.count('session_span'), self.count('session_port')), (13, 0, 0, 0))
        k.step(T0 + 33 * DAY + 6 * S)
        self.assertEqual(self.count('files'), 1)
        self.check()

    def test_captures_of_which_losses_are_told(self):
        """Their sums are compared as long as their rows are there."""
        self.make(4)
        with support.open_db(self.db, True) as c:
            c.executescript(support.read_bytes(os.path.join(support.ROOT, 'schema', 'loss.sql')).decode())
            c.execute('INSERT INTO loss VALUES (NULL, 1, ?, ?, ?, 16, 16, 0, 0, 0, 0, 1, 4)', ('a', T0, T0 + 4 * DAY))
            c.commit()
        verify(self.db)
        k = self.keeper(age=2 * DAY)
        self.assertEqual(k.step(T0 + 3 * DAY + 2 * S).forgotten, 1)
        k.end()
        self.assertEqual((self.count('files'), self.count('loss')), (3, 1))
        verify(self.db)

    def test_the_journal_does_not_grow(self):
        files = self.make(3)
        with support.open_db(self.db, True) as c:
            c.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
                      " INSERT INTO run SELECT NULL, 4, 3, 13, 12, x'' FROM n")
            c.commit()
        k = self.keeper(age=99 * DAY)
        for _ in range(5):
            k.step(T0)
        k.end()
        self.assertLess(self.count('run'), 4200)
        self.assertEqual(select(self.db, 'SELECT id FROM run ORDER BY id LIMIT 1'), [(1,)])  # its captures are there
        more = self.old('more.pcap', [(T0 + 9 * DAY, udp('10.0.0.1', 1, '10.0.0.2', 2))])
        index(self.db, '-q', more)
        self.assertEqual(select(self.db, 'SELECT max(id) FROM session'), [(13,)])
        k = self.keeper(age=1)
        self.assertEqual(k.step(LATER).deleted, files + [more])
        self.check()


class Watched(Watching):
    def put(self, name, data):
        """As a writer does that renames when it is done: and that was long ago."""
        path = self.write('tmp', data)
        os.utime(path, (T0 // S, T0 // S))
        os.rename(path, self.path('caps', name))
        return self.path('caps', name)

    def test_options(self):
        def says(words, *options):
            r = flowcarve('watch', '-d', self.db, *options, self.caps, ok=2)
            self.assertIn(words, r.err)
        d = '--delete-captures'
        for option in (('--keep', '1G'), ('--min-free', '10%'), ('--keep-sessions', '1y')):
            says('watch: --keep, --min-free and --keep-sessions delete captures of others: only with --delete-captures', *option)
        says('--delete-captures needs a limit', d)
        says('needs a limit', d, '--keep-sessions', '1y')
        for bad in ('0', '0G', '0d', '5', '1.5T', '-1G', 'x', '', '1G,', ',1d', '1G 1d', '1Gx', '99999999T', '99999y', '300y'):
            says("--keep takes bytes, such as 500G or 2T, a time, such as 12h, 30d or 1y, or both with a comma", d, '--keep', bad)
        says("not '5' without a unit", d, '--keep', '5')
        says('--keep has two limits of bytes', d, '--keep', '1G,2T')
        says('--keep has two limits of time', d, '--keep', '1d', '--keep', '2d')
        for bad in ('0%', '100%', '10', '-5%', '5%%', '%', '0G', 'nan%', 'x'):
            says('--min-free takes a part of the disk, such as 10%, or bytes, such as 50G', d, '--min-free', bad)
        says('--keep-sessions takes a time, such as 90d or 1y', d, '--keep', '1G', '--keep-sessions', '5G')
        says('bytes of the disk are to be free', d, '--min-free', '999999T')
        self.assertEqual(os.listdir(self.caps), [])

    def test_they_go_when_they_are_indexed(self):
        datas, counts = self.captures(6, '--packets', '3000', '--sessions', '300', '--sizes', 'small')
        w = self.watch(options=('--commit', '20ms', '--delete-captures', '--keep', '1d,1G', '--keep-sessions', 'forever', '-v'))
        other = self.write('caps/notes', b'of somebody')
        written = self.path('caps', 'written.pcap')
        with open(written, 'wb', 0) as f:
            f.write(datas[5])
            os.utime(written, (T0 // S, T0 // S))
            files = [self.put('%02d.pcap' % i, data) for i, data in enumerate(datas[:5])]
            self.until_packets(3000, w)
            self.until(lambda: not any(map(os.path.exists, files)), 'they are not deleted', w)
            self.until(lambda: self.ask('SELECT count(*) FROM files WHERE forgotten = records') == [(5,)], 'they are not forgotten', w)
            f.write(datas[0][24:])
            self.until_packets(3500, w)
        w.end()
        self.assertTrue(os.path.exists(other) and os.path.exists(written))
        self.assertEqual(sorted(re.findall('deleted %s/(.*) \\(--keep, age\\): ' % re.escape(self.caps), w.said)), ['%02d.pcap' % i for i in range(5)])
        self.assertIn('with packets up to 2023-11-14 22:13:2', w.said)
        self.assertNotIn('tried again', w.said)
        check_index(self.db, ordered_ids=False, gaps=True)
        verify(self.db)

    @unittest.skipIf(support.sanitized(), 'sanitizers need what the sandbox gives up')
    def test_without_the_option_it_could_not(self):
        """The sandbox lets a watch remove files in the folders when it is to, and make none there."""
        data = support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))])
        self.put('0.pcap', data)
        outside = self.path('index')
        os.mkdir(outside)
        self.db = os.path.join(outside, 'x.db')
        for options, word in (((), 'w'), (('--delete-captures', '--keep', '1s'), 'd')):
            w = self.watch(options=('--commit', '20ms', *options))
            if word == 'd':
                self.until(lambda: not os.path.exists(self.path('caps', '0.pcap')), 'it is not deleted', w)
            else:
                self.until_packets(1, w)
            self.assertEqual(set(support.sandbox_of(w.p.pid)), {(2, 1)})
            w.end()

    def test_a_month(self):
        """Feeding and deleting at one rate: nothing grows. A day is twelve captures here."""
        rounds, each = (1000, 6) if LONG else (40, 6)
        data = support.read_bytes(self.fcgen('seed.pcap', '--packets', '600', '--sessions', '120', '--sizes', 'small', '--concurrent', '20')[0])
        packets = support.as_packets(support.parse_capture(data))
        w = self.watch(options=('--commit', '10ms', '--delete-captures', '--keep', '8M'))
        sizes, rss, captures, seconds = [], [], [], []
        for k in range(rounds):
            for i in range(k * each, (k + 1) * each):  # other clients in each
                later, net = i * 7200 * S, bytes([10, i >> 8 & 255, i & 255])
                self.put('%05d.pcap' % i, support.pcap_bytes([(t + later, d[:26] + net + d[29:] if d[12:14] == b'\x08\0' else d, n)
                                                              for t, d, n in packets]))
            start = time.monotonic()
            self.until(lambda: self.ask('SELECT max(id) FROM files')[0][0] == (k + 1) * each, 'round %d does not come' % k, w)
            seconds.append(time.monotonic() - start)
            if k >= rounds // 2:
                with open('/proc/%d/status' % w.p.pid, encoding='ascii') as f:
                    rss.append(int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)))
                sizes.append(os.path.getsize(self.db))
                captures.append(len(os.listdir(self.caps)) * len(data))
        w.end()
        self.assertNotIn('tried again', w.said)
        some = len(seconds) // 4
        print('month: index %d to %d kB, captures %d to %d kB, RSS %d to %d kB, a round %.0f ms, in the end %.0f ms' % (
            sizes[0] >> 10, sizes[-1] >> 10, captures[0] >> 10, captures[-1] >> 10, rss[0], rss[-1],
            1000 * sum(seconds[2 * some:3 * some]) / some, 1000 * sum(seconds[-some:]) / some), file=sys.stderr)
        self.assertLess(max(sizes), min(sizes) * 1.2, sizes)
        third = len(captures) // 3  # they make room for the -wal, which grows by leaps
        self.assertLess(sum(captures[-third:]), sum(captures[:third]) * 1.2, captures)
        # how far deleting is behind goes by the machine
        self.assertGreater(sum(captures[-third:]), sum(captures[:third]) / 2, captures)
        if not support.sanitized():  # which keeps what is freed for some time
            middle = lambda part: sorted(part)[len(part) // 2]  # what is given back now and then does not count
            self.assertLess(middle(rss[-third:]), middle(rss[:third]) * 1.1, rss)
        left = len(os.listdir(self.caps))
        self.assertLess(left, rounds * each // 2)
        self.assertLessEqual(self.ask('SELECT count(*) FROM files')[0][0], left + 1)
        check_index(self.db, ordered_ids=False, gaps=True)
        verify(self.db)


if __name__ == '__main__':
    support.main()
