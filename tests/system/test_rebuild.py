# SPDX-License-Identifier: MIT
"""Where much is added to an index it is built anew and renamed into place; the same index as by INSERT, and nobody notices."""
import os, shutil, signal, sqlite3, subprocess, threading, time, unittest

import support
from support import dump, flowcarve, index, select, udp

NOTE = 'CREATE TABLE note (text)'  # with a table of somebody else an index is not built anew: the twin


def inode(path):
    return os.stat(path).st_ino


class Rebuild(support.TestCase):
    def captures(self, *options, files=3):
        return self.fcgen('c.pcap', '--packets', '30000', '--sizes', 'small', '--packets-per-session', '5', '--files', str(files),
                          *options)

    def note(self, db, sql=NOTE):
        with support.open_db(db, write=True) as c:
            c.execute(sql)

    def compare(self, steps, *options):
        """Indexes the steps one after the other, with and without building anew; returns both databases."""
        anew, twin = self.path('anew.db'), self.path('twin.db')
        for db in (anew, twin):
            if os.path.exists(db):
                os.remove(db)
            index(db, '-q', *options, steps[0])
        self.note(twin)
        before = inode(anew), inode(twin)
        for f in steps[1:]:
            index(anew, '-q', f)
            index(twin, '-q', f)
        self.assertEqual((inode(anew) == before[0], inode(twin) == before[1]), (False, True))
        self.note(twin, 'DROP TABLE note')
        self.assert_same_dump(dump(twin, ['sqlite_stat1']), dump(anew, ['sqlite_stat1']), ' '.join(options))
        self.assertEqual(select(anew, 'PRAGMA integrity_check'), [('ok',)])
        self.assertEqual(self.listing(), sorted(['anew.db', 'twin.db'] + [os.path.basename(f) for f in steps]))
        return anew

    def test_the_same_as_by_insert(self):
        files = self.captures()
        db = self.compare(files)
        support.check_index(db)
        support.verify(db)
        self.assert_carves(db, files)
        # sqlite_stat1 has what ANALYZE would put there
        stat = select(db, 'SELECT * FROM sqlite_stat1 ORDER BY idx')
        with support.open_db(db, write=True) as c:
            c.execute('ANALYZE')
        for row in stat:
            self.assertIn(row, select(db, 'SELECT * FROM sqlite_stat1'))

    def test_all_fields(self):
        files = self.captures('--vlan', '30', '--ipv6', '30')
        support.verify(self.compare(files, '--fields', 'all', '--key', 'vlan'))

    def test_fragments_port_reuse_and_overlap(self):
        for seed in range(support.rounds(2, 30)):
            files = self.captures('--seed', str(seed + 1), '--fragments', '20', '--port-reuse', '50', '--clients', '50',
                                  *(['--overlap'] if seed % 2 else []))
            support.verify(self.compare(files, '--fields', 'isn,payload,community-id'))
            for f in files:
                os.remove(f)

    def test_any_number_of_threads_and_any_memory(self):
        """With little memory, sessions of the index are evicted while they are still being loaded."""
        files = self.captures('--packets', '300000', '--packets-per-session', '2', '--port-reuse', '30', files=3)
        texts = []
        for options in (('--jobs', '1'), ('--jobs', '2', '--chunk-size', '1M', '--memory', '16M')):
            db = self.path('x%d.db' % len(texts))
            for f in files:
                index(db, '-q', *options, f)
            texts.append(dump(db))
            self.assert_same_dump(texts[0], texts[-1], ' '.join(options))

    def test_a_few_are_inserted(self):
        files = self.captures(files=2)
        db = self.path('x.db')
        index(db, '-q', *files)
        before = inode(db)
        self.write('few.pcap', support.pcap_bytes([(support.T0 + i, udp('10.9.9.9', i, '10.9.9.8', 9, b'x'))
                                                   for i in range(1, 300)]))
        index(db, '-q', self.path('few.pcap'))
        self.assertEqual(inode(db), before)
        support.verify(db)

    def test_what_is_not_flowcarves_stays(self):
        """Additions to an index that somebody has changed, or set up otherwise, change nothing of that."""
        files = self.captures()
        db, plain = self.path('x.db'), self.path('plain.db')
        index(plain, '-q', '--fields', 'community-id', files[0])
        for sql, kept in ((NOTE, "SELECT count(*) FROM sqlite_schema WHERE name = 'note'"),
                          ('CREATE INDEX mine ON session (server_port)', "SELECT count(*) FROM sqlite_schema WHERE name = 'mine'"),
                          ('CREATE VIEW v AS SELECT 1', 'SELECT * FROM v'),
                          ('PRAGMA journal_mode = WAL', "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"),
                          ("UPDATE session_fields SET community_id = '1:~~~~~~~~~~~~~~~~~~~~~~~~~~~=' WHERE id = 7",
                           "SELECT count(*) FROM session_fields WHERE community_id LIKE '1:~%'"),
                          ('UPDATE session SET client_bytes = 1.5 WHERE id = 7',
                           'SELECT client_bytes = 1.5 FROM session WHERE id = 7')):
            with self.subTest(sql=sql):
                shutil.copy(plain, db)
                self.note(db, sql)
                before = inode(db)
                index(db, '-q', *files[1:])
                self.assertEqual((inode(db), select(db, kept)), (before, [(1,)]))
                self.assertEqual(select(db, 'PRAGMA integrity_check'), [('ok',)])
                self.assertEqual(select(db, 'SELECT sum(client_packets + server_packets) FROM session'), [(30000,)])
                for name in self.listing():
                    if name.startswith('x.db'):
                        os.remove(self.path(name))

    def test_names_and_modes_stay(self):
        files = self.captures(files=4)
        db, link, other = self.path('x.db'), self.path('link.db'), self.path('other.db')
        index(db, '-q', files[0])
        os.chmod(db, 0o640)
        if os.geteuid() == 0:
            os.chown(db, 1234, 4321)
        before = os.stat(db)
        index(db, '-q', files[1])
        after = os.stat(db)
        self.assertNotEqual(before.st_ino, after.st_ino)
        self.assertEqual((before.st_mode, before.st_uid, before.st_gid), (after.st_mode, after.st_uid, after.st_gid))
        os.symlink('x.db', link)
        index(link, '-q', files[2])
        self.assertTrue(os.path.islink(link))
        self.assertNotEqual(inode(db), after.st_ino)
        os.link(db, other)
        index(db, '-q', files[3])
        self.assertEqual(inode(db), inode(other))
        self.assertEqual(select(other, 'SELECT count(*) FROM files'), [(4,)])

    def test_a_file_in_the_way_stays(self):
        files = self.captures(files=2)
        db = self.path('x.db')
        index(db, '-q', files[0])
        self.write('x.db.new', b'my notes\n')
        index(db, '-q', files[1])
        self.assertEqual(support.read_bytes(self.path('x.db.new')), b'my notes\n')
        support.verify(db)
        r = index(self.path('x.db.new.db'), '-q', files[0])
        os.remove(db)
        r = index(db, '-q', files[0], ok=2)
        self.assert_says(r, 'x.db.new', 'in the way')
        self.assertEqual(support.read_bytes(self.path('x.db.new')), b'my notes\n')

    def test_who_waits_for_the_lock_adds_to_the_new_file(self):
        """While somebody holds the lock, the file is replaced: what comes behind must not be written to the one that is gone."""
        files = self.captures(files=2)
        db = self.path('x.db')
        index(db, '-q', files[0])
        holder = sqlite3.connect(db, isolation_level=None)
        holder.execute('BEGIN IMMEDIATE')
        p = subprocess.Popen([support.FLOWCARVE, 'index', '-q', '-d', db, files[1]], stderr=subprocess.PIPE,
                             env=support.environment())
        # it waits, at most two seconds, once it has the database open a second time
        for _ in range(200):
            try:
                fds = [os.readlink('/proc/%d/fd/%s' % (p.pid, f)) for f in os.listdir('/proc/%d/fd' % p.pid)]
            except OSError:
                fds = []
            if db in fds:
                break
            time.sleep(0.01)
        time.sleep(0.1)
        shutil.copy(db, self.path('copy'))
        os.rename(self.path('copy'), db)
        holder.execute('ROLLBACK')
        holder.close()
        _, err = p.communicate(timeout=support.SECONDS)
        self.assertEqual(p.returncode, 0, err)
        self.assertEqual(select(db, 'SELECT sum(client_packets + server_packets) FROM session'), [(30000,)])
        support.verify(db)

    def test_readers_meanwhile_see_one_state_or_the_other(self):
        files = self.captures(files=4)
        db, stop, bad = self.path('x.db'), threading.Event(), []
        index(db, '-q', files[0])
        counts = {7500 * i for i in range(1, 5)}

        def read():
            while not stop.is_set():
                try:
                    n = select(db, 'SELECT sum(client_packets + server_packets) FROM session')[0][0]
                except sqlite3.OperationalError as e:
                    n = e if 'locked' not in str(e) else 7500
                if n not in counts:
                    bad.append(n)

        thread = threading.Thread(target=read)
        thread.start()
        for f in files[1:]:
            index(db, '-q', f)
        stop.set()
        thread.join()
        self.assertEqual(bad, [])


if __name__ == '__main__':
    support.main()
