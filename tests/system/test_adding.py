# SPDX-License-Identifier: MIT
"""What is added to an index is added in place: many sessions in bulk, the same as by INSERT; and who reads notices nothing."""
import os, shutil, signal, sqlite3, subprocess, threading, time, unittest

import support
from support import dump, flowcarve, index, select, udp


def inode(path):
    return os.stat(path).st_ino


class Adding(support.TestCase):
    def captures(self, *options, files=3):
        return self.fcgen('c.pcap', '--packets', '30000', '--sizes', 'small', '--packets-per-session', '2', '--files', str(files),
                          *options)

    def compare(self, steps, *options):
        """Indexes the steps one after the other, in bulk and by INSERT; returns the first database."""
        bulk, twin = self.path('bulk.db'), self.path('twin.db')
        for db in (bulk, twin):
            if os.path.exists(db):
                os.remove(db)
            index(db, '-q', *options, steps[0])
        before = inode(bulk), inode(twin)
        self.write('twin.db.new', b'my notes\n')  # without a place for the bulk, sessions are INSERTed
        for f in steps[1:]:
            index(bulk, '-q', f)
            index(twin, '-q', f)
        self.assertEqual((inode(bulk), inode(twin)), before)
        self.assertEqual(support.read_bytes(self.path('twin.db.new')), b'my notes\n')
        os.remove(self.path('twin.db.new'))
        self.assert_same_dump(dump(twin), dump(bulk), ' '.join(options))
        self.assertEqual(select(bulk, 'PRAGMA integrity_check'), [('ok',)])
        self.assertEqual(select(bulk, 'PRAGMA journal_mode'), [('delete',)])
        self.assertEqual(self.listing(), sorted(['bulk.db', 'twin.db'] + [os.path.basename(f) for f in steps]))
        return bulk

    def test_the_same_as_by_insert(self):
        files = self.captures()
        db = self.compare(files)
        support.check_index(db)
        support.verify(db)
        self.assert_carves(db, files)
        # by hand nothing is said of epochs
        plan = select(db, 'EXPLAIN QUERY PLAN SELECT * FROM session WHERE server_addr = 167772161')
        self.assertIn('session_server (ANY(<expr>) AND server_addr=?)', plan[0][-1])

    def test_pages_are_filled(self):
        """What is added between other entries of an index takes the room that it needs, and not a page each."""
        files = self.captures(files=5)
        db, once = self.path('x.db'), self.path('once.db')
        index(once, '-q', '--fields', 'community-id', *files)
        for f in files:
            index(db, '-q', '--fields', 'community-id', f)
        self.assertGreater(select(db, 'SELECT count(*) FROM session')[0][0], 5000)
        self.assertLess(os.path.getsize(db), os.path.getsize(once) * 1.6)

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
        """With little memory, sessions are put aside while those of the index are still being loaded."""
        files = self.captures('--packets', '80000', '--port-reuse', '30', '--packets-per-session', '1', files=2)
        texts = []
        for options in (('--jobs', '1'), ('--jobs', '2', '--chunk-size', '64k', '--memory', '16M')):
            db = self.path('x%d.db' % len(texts))
            index(db, '-q', '--fields', 'all', *options, files[0])
            index(db, '-q', *options, files[1])
            texts.append(dump(db))
            self.assert_same_dump(texts[0], texts[-1], ' '.join(options))

    def test_what_is_not_flowcarves_stays(self):
        """Additions to an index that somebody has added to change nothing of that."""
        files = self.captures()
        db, plain = self.path('x.db'), self.path('plain.db')
        index(plain, '-q', '--fields', 'community-id', files[0])
        for sql, kept in (('CREATE TABLE note (text)', "SELECT count(*) FROM sqlite_schema WHERE name = 'note'"),
                          ('CREATE INDEX mine ON session (server_port)', "SELECT count(*) FROM sqlite_schema WHERE name = 'mine'"),
                          ('CREATE VIEW v AS SELECT 1', 'SELECT * FROM v'),
                          ("UPDATE session_fields SET community_id = '1:~~~~~~~~~~~~~~~~~~~~~~~~~~~=' WHERE id = 7",
                           "SELECT count(*) FROM session_fields WHERE community_id LIKE '1:~%'"),
                          ('UPDATE session SET client_bytes = 1.5 WHERE id = 7',
                           'SELECT client_bytes = 1.5 FROM session WHERE id = 7')):
            with self.subTest(sql=sql):
                shutil.copy(plain, db)
                with support.open_db(db, write=True) as c:
                    c.execute(sql)
                index(db, '-q', *files[1:])
                self.assertEqual(select(db, kept), [(1,)])
                self.assertEqual(select(db, 'PRAGMA integrity_check'), [('ok',)])
                self.assertEqual(select(db, 'SELECT sum(client_packets + server_packets) FROM session'), [(30000,)])

    def test_what_would_run_with_a_writer_is_refused(self):
        files = self.captures(files=2)
        db, plain = self.path('x.db'), self.path('plain.db')
        index(plain, '-q', files[0])
        for sql, name in (('CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM session; END', 'trigger t'),
                          ('CREATE INDEX e ON session (abs(proto))', 'index e'),
                          ('CREATE INDEX p ON session (proto) WHERE state = 3', 'index p'),
                          ('CREATE UNIQUE INDEX u ON files (format)', 'index u'),
                          ('ALTER TABLE session ADD COLUMN note', 'table session'),
                          ('DROP INDEX session_client', 'index session_client, which is missing')):
            with self.subTest(sql=sql):
                shutil.copy(plain, db)
                with support.open_db(db, write=True) as c:
                    c.execute(sql)
                before = dump(db)
                self.assert_says(index(db, '-q', files[1], ok=2), 'x.db', 'not added to', name)
                self.assert_same_dump(before, dump(db), sql)
                self.assertEqual(select(db, 'PRAGMA journal_mode'), [('delete',)])

    def test_names_and_modes_stay(self):
        files = self.captures(files=3)
        db, link, other = self.path('x.db'), self.path('link.db'), self.path('other.db')
        index(db, '-q', files[0])
        os.chmod(db, 0o640)
        os.symlink('x.db', link)
        os.link(db, other)
        before = os.stat(db)
        index(link, '-q', files[1])
        index(db, '-q', files[2])
        after = os.stat(db)
        self.assertTrue(os.path.islink(link))
        self.assertEqual((before.st_mode, before.st_ino), (after.st_mode, after.st_ino))
        self.assertEqual(select(other, 'SELECT count(*) FROM files'), [(3,)])

    def test_a_name_that_is_taken_meanwhile(self):
        """A fresh index takes no name that another file has got by the time that it is complete."""
        files = self.captures(files=2)
        db, other = self.path('x.db'), self.path('other.db')
        index(other, '-q', files[0])
        p = subprocess.Popen([support.FLOWCARVE, 'index', '-q', '-d', db, '--spool', self.path('s.pcap'), '-'],
                             stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment())
        p.stdin.write(support.read_bytes(files[1]))
        p.stdin.flush()
        while p.poll() is None and not support.has_unnamed(p.pid):  # the site has been made before that
            time.sleep(0.01)
        shutil.copy(other, db)
        before = inode(db), dump(db)
        _, err = p.communicate(timeout=support.SECONDS)
        self.assertEqual(p.returncode, 2)
        self.assertIn(b'x.db', err)
        self.assertIn(b'meanwhile', err)
        self.assertEqual((inode(db), dump(db)), before)
        self.assertNotIn('x.db.new', self.listing())

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
                    n = e
                if n not in counts:
                    bad.append(n)
                time.sleep(.002)  # the rest of the machine is for who adds

        readers = [threading.Thread(target=read) for _ in range(8)]
        for thread in readers:
            thread.start()
        try:
            for f in files[1:]:
                index(db, '-q', f)
        finally:
            stop.set()
            for thread in readers:
                thread.join()
        self.assertEqual(bad[:5], [])

    def test_a_reader_that_stays(self):
        """Who holds a reading transaction keeps the -wal; that is told, and the next run puts all into the file."""
        files = self.captures(files=3)
        db = self.path('x.db')
        index(db, '-q', files[0])
        reader = sqlite3.connect(db, isolation_level=None)
        # in WAL mode a reader is in nobody's way; the mode itself can only be had while nobody reads
        with support.open_db(db, write=True) as c:
            c.execute('PRAGMA journal_mode = WAL')
        reader.execute('BEGIN')
        reader.execute('SELECT count(*) FROM session').fetchall()
        self.assert_says(index(db, files[1]), 'being read', '-wal', 'copy both')
        self.assertEqual(reader.execute('SELECT sum(client_packets + server_packets) FROM session').fetchall(), [(10000,)])
        self.assertGreater(os.path.getsize(db + '-wal'), 0)
        self.assertEqual(select(db, 'SELECT sum(client_packets + server_packets) FROM session'), [(20000,)])
        reader.close()
        index(db, '-q', files[2])
        self.assertEqual(select(db, 'PRAGMA journal_mode'), [('delete',)])
        self.assertEqual(self.listing(), sorted(['x.db'] + [os.path.basename(f) for f in files]))
        support.verify(db)

    def test_a_reader_that_stays_before_anything_is_added(self):
        """It keeps the index from WAL mode: after ten seconds the run does without, and only its commit waits."""
        files = self.captures(files=2)
        db = self.path('x.db')
        index(db, '-q', files[0])
        reader = sqlite3.connect(db, isolation_level=None)
        reader.execute('BEGIN')
        reader.execute('SELECT count(*) FROM session').fetchall()
        p = subprocess.Popen([support.FLOWCARVE, 'index', '-q', '-d', db, files[1]], stderr=subprocess.PIPE, env=support.environment())

        def has_read():
            with open('/proc/%d/io' % p.pid) as f:
                return int(f.readline().split()[1]) > os.path.getsize(files[1])
        end = time.monotonic() + 25
        while time.monotonic() < end and not has_read():
            time.sleep(0.1)
        self.assertTrue(has_read(), 'it waits still')
        reader.close()
        _, err = p.communicate(timeout=support.SECONDS)
        self.assertEqual(p.returncode, 0, err)
        self.assertEqual(select(db, 'SELECT sum(client_packets + server_packets) FROM session'), [(30000,)])


if __name__ == '__main__':
    support.main()
