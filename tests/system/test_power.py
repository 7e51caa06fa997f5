# SPDX-License-Identifier: MIT
"""
The power goes: all that a command writes is logged (failing.c), and at a moment of the log the disk has what was synced, and of the
rest any part: writes that are there or not, each by sectors, and of changes to a folder those up to somewhere. Then an index, a
spool, a capture carved is there whole, or is not; and the next run makes it whole. What was told to be done is so for an index and
a spool; the name of a capture carved may be gone, as with other tools.

FLOWCARVE_TEST_LONG=1 takes many moments.
"""
import collections, os, shutil, unittest

import support
from support import flowcarve, index, select
from test_failing import FAILING

SECTOR = 512
Change = collections.namedtuple('Change', 'kind inode off data')


def read_log(path):
    data, at, out = support.read_bytes(path), 0, []
    while at < len(data):
        end = data.index(b'\n', at)
        kind, inode, off, n = data[at:end].decode().split()
        at = end + 1 + int(n)
        out.append(Change(kind, int(inode), int(off), data[end + 1:at]))
    return out


class Disk:
    """What there may be of the files of a folder when the power goes behind some of the changes."""

    def __init__(self, folder, names, contents):
        self.folder, self.first, self.contents = folder, names, contents

    def path(self, name):
        return os.path.normpath(os.path.join(self.folder, os.fsdecode(name)))

    def after(self, log, folders, random):
        """{path: bytes}. folders: {inode: path}. random None: the power did not go."""
        data, names = collections.defaultdict(list), []
        for i, c in enumerate(log):
            if c.kind in 'wt':
                data[c.inode].append((i, c))
            elif c.kind in 'crlu':
                names.append((i, c))
        synced, of_all = {}, -1
        for i, c in enumerate(log):
            if c.kind == 's':
                synced[c.inode] = i
            if c.kind == 'S':
                of_all = i
        chance = random and random.choice((0, .1, .5, .9, 1))
        files = {}
        for inode in {*data, *self.contents}:
            b = bytearray(self.contents.get(inode, b''))
            for i, c in data[inode]:
                safe = random is None or i <= max(synced.get(inode, -1), of_all)
                if c.kind == 't':
                    if safe or random.random() < chance:
                        b[:] = b[:c.off] + bytes(max(c.off - len(b), 0))
                    continue
                for at in range(0, len(c.data), len(c.data) if safe else SECTOR - c.off % SECTOR if len(c.data) < SECTOR else SECTOR):
                    piece = c.data[at:] if safe else c.data[at:at + SECTOR]
                    if safe or random.random() < chance:
                        b[:] = b + bytes(max(c.off + at - len(b), 0))
                        b[c.off + at:c.off + at + len(piece)] = piece
            files[inode] = bytes(b)
        by_path = {path: i for i, path in folders.items()}
        here, lost = dict(self.first), set()
        for i, c in names:
            old, _, new = c.data.partition(b'\0')
            place = os.path.dirname(self.path(new or old))
            if random is not None and i > max(synced.get(by_path[place], -1), of_all) and (place in lost or random.random() < .3):
                lost.add(place)  # nor what comes behind it
                continue
            if c.kind in 'cl':
                here[self.path(new if c.kind == 'l' else old)] = c.inode
            elif c.kind == 'r':
                here.pop(self.path(old), None)
                here[self.path(new)] = c.inode
            else:
                here.pop(self.path(old), None)
        return {path: files.get(inode, b'') for path, inode in here.items()}


@unittest.skipIf(support.sanitized(), 'a sanitizer wants to be loaded first')
@unittest.skipUnless(os.path.exists(FAILING), 'FAILING is not built')
class Power(support.TestCase):
    unlike = ('run',)

    def setUp(self):
        super().setUp()
        self.random = support.rng('power', self.id())
        self.work = self.path('w')
        os.makedirs(self.path('w', 'out'))
        self.a, = self.fcgen('a.pcap', '--packets', '400', '--sizes', 'small', '--packets-per-session', '4')
        self.b, = self.fcgen('b.pcap', '--packets', '400', '--sizes', 'small', '--packets-per-session', '4', '--seed', '2')

    def listing_of_work(self):
        return {os.path.join(folder, f): os.stat(os.path.join(folder, f)).st_ino
                for folder, _, files in os.walk(self.work) for f in files}

    def crash(self, words, check, stdin=None, program=support.FLOWCARVE):
        """check(path -> bytes, done): what is looked at on each disk."""
        first = self.listing_of_work()
        contents = {inode: support.read_bytes(path) for path, inode in first.items()}
        folders = {os.stat(f).st_ino: f for f in (self.work, self.path('w', 'out'))}
        log = self.path('log')
        if os.path.exists(log):
            os.remove(log)
        env = {'LD_PRELOAD': FAILING, 'FAILING_LOG': log, 'FAILING_FOLDER': self.work, 'TMPDIR': self.folder}
        with open(stdin or os.devnull, 'rb') as stream:
            support.run(program, *words, cwd=self.work, env=env, stdin=stream)
        self.changes = changes = read_log(log)
        disk = Disk(self.work, first, contents)
        made = {p: support.read_bytes(p) for p in self.listing_of_work()}
        self.assertEqual(sorted(disk.after(changes, folders, None)), sorted(made), 'the log is not all that was done')
        for path, data in disk.after(changes, folders, None).items():
            if not path.endswith('-shm'):
                self.assertTrue(data == made[path], 'the log does not tell all that was written to ' + path)
        rounds = support.rounds(8, 1000)
        for i in range(rounds):
            k = len(changes) if i == 0 else self.random.randrange(len(changes) + 1)
            for folder, _, files in os.walk(self.work):
                for f in files:
                    os.remove(os.path.join(folder, f))
            there = disk.after(changes[:k], folders, self.random)
            for path, data in there.items():
                support.write(path, data)
            try:
                check({os.path.relpath(p, self.work): d for p, d in there.items()}, k == len(changes))
            except AssertionError as e:
                raise AssertionError('behind %d of %d changes, round %d: %s' % (k, len(changes), i, e)) from None
        if support.LONG:
            print('%-40s %5d changes, %4d power losses' % (' '.join(words)[:40], len(changes), rounds), flush=True)

    def sound(self, db):
        self.assertEqual(select(db, 'PRAGMA integrity_check'), [('ok',)])
        return support.dump(db, self.unlike)

    def indexing(self, start, *words):
        """Nothing or the index from before, or the new one; the next run makes it, and tidies up."""
        db, old = self.path('w', 'x.db'), None
        if start:
            shutil.copy(start, db)
            old = self.sound(db)
        seen = set()

        def check(there, done):
            if os.path.exists(db):
                flowcarve('query', '-c', '-d', db, ok=(0, 1))
                now = self.sound(db)
                self.assertTrue(now in (old, self.new), 'another index')
                self.assertTrue(now == self.new or not done, 'what was told to be done is not')
            else:
                self.assertFalse(start or done, 'the index is gone')
                now = None
            seen.add(now == self.new)
            flowcarve(*words, cwd=self.work, ok=(0, 1))
            self.assertTrue(self.sound(db) == self.new)
            # nothing to write: nobody tidies up, nor takes a journal away that has nothing to bring back
            self.assertLessEqual(set(self.names()), {'x.db', 'x.db-wal', 'x.db-shm', 'x.db-journal'})
        flowcarve(*words, cwd=self.work)
        self.new = self.sound(db)
        os.remove(db)
        if start:
            shutil.copy(start, db)
        self.crash(words, check)
        self.assertEqual(seen, {False, True})

    def names(self):
        return sorted(os.path.relpath(p, self.work) for p in self.listing_of_work())

    def of_a(self):
        """An index in a folder as deep as that where it is to be: names of captures are relative."""
        os.mkdir(self.path('start'))
        index(self.path('start', 'x.db'), '-q', self.a)
        return self.path('start', 'x.db')

    def test_a_fresh_index(self):
        self.indexing(None, 'index', '-q', '-d', 'x.db', self.a, self.b)

    def test_an_addition(self):
        self.indexing(self.of_a(), 'index', '-q', '-d', 'x.db', self.b)

    def test_an_addition_in_bulk(self):
        big, = self.fcgen('c.pcap', '--packets', '20000', '--sizes', 'small', '--packets-per-session', '3', '--start', '1900000000')
        self.indexing(self.of_a(), 'index', '-q', '-d', 'x.db', big)

    def test_forgetting(self):
        self.unlike = ('run', 'files.resume')  # when it was is noted
        self.indexing(self.of_a(), 'forget', '-q', '-d', 'x.db', self.a)

    def test_a_stream_and_its_index(self):
        data = support.read_bytes(self.a)

        def check(there, done):
            self.assertIn(there.get('s.pcap'), (None, data))
            if os.path.exists(self.path('w', 'x.db')):
                self.assertEqual(there.get('s.pcap'), data, 'an index of a stream that is not there')
                support.verify(self.path('w', 'x.db'))
            else:
                self.assertFalse(done)
        self.crash(['index', '-q', '-d', 'x.db', '--spool', 's.pcap', '-'], check, stdin=self.a)
        self.assertNotIn(b's.pcap', [c.data for c in self.changes if c.kind == 'c'], 'has its name before it is whole')

    def test_recording(self):
        """What the index has of a capture that is being written is in it; the next recorder goes on with all that."""
        feed = lambda ms, *a: ['-d', 'x.db', '-w', '.', '-c', str(ms), *a]  # noqa: E731
        seen = set()

        def check(there, done):
            db, held = self.path('w', 'x.db'), 0
            if os.path.exists(db):
                self.assertEqual(select(db, 'PRAGMA integrity_check'), [('ok',)])
                held, = select(db, 'SELECT ifnull(sum(records), 0) FROM files')[0]
                if held:
                    support.verify(db)
            self.assertEqual(held, 400 if done else held)
            seen.add(held)
            support.run(support.FCFEED, *feed(1000, self.b), cwd=self.work)
            now, = select(db, 'SELECT sum(records) FROM files')[0]
            self.assertGreaterEqual(now, held + 400)
            self.assertLessEqual(now, 800)
            support.verify(db)
            self.assertEqual([n for n in self.names() if n.endswith('.part')], [])
        self.crash(feed(40, '-p', '30', self.a), check, program=support.FCFEED)
        self.assertGreater(len(seen), 2)

    def test_a_carve(self):
        index(self.path('x.db'), '-q', self.a)
        flowcarve('carve', '-q', '-d', self.path('x.db'), '-w', self.path('whole'))
        whole = support.read_bytes(self.path('whole'))
        for old in None, b'old':
            for n in self.names():
                os.remove(self.path('w', n))
            if old:
                self.write('w/o.pcap', old)

            def check(there, done):
                self.assertIn(there.get('o.pcap'), (old, whole))
            self.crash(['carve', '-q', '-d', self.path('x.db'), '-w', 'o.pcap'], check)

    def test_files_of_sessions(self):
        index(self.path('x.db'), '-q', self.a)
        for words in (['carve', '-q', '-d', self.path('x.db'), '--split', 'out'], ['follow', '-q', '-d', self.path('x.db'), '--to', 'out', 'tcp']):
            flowcarve(*words, cwd=self.work)
            want = {n: support.read_bytes(self.path('w', n)) for n in self.names()}
            for n in want:
                os.remove(self.path('w', n))

            def check(there, done):
                for name, data in there.items():
                    self.assertEqual(data, want.get(name), name + ' is not whole')
                flowcarve(*words, cwd=self.work, ok=(0, 1))
                self.assertEqual(self.names(), sorted(want))
            self.crash(words, check)
            for n in self.names():
                os.remove(self.path('w', n))


if __name__ == '__main__':
    support.main()
