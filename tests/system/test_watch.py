# SPDX-License-Identifier: MIT
"""
`watch` beside those that write captures: what it has indexed in the end is what indexing the captures at once gives, whatever
way they came. Nothing waits for a time: what is waited for is told by the index, by /proc, or by what the watch says.
"""
import os, re, resource, shutil, signal, socket, sqlite3, subprocess, threading, time, unittest

import support
from support import LONG, S, T0, flowcarve, index, select, udp, verify


class Watch:
    """A watch that is running, and what it has said so far."""

    def __init__(self, words, cwd):
        self.p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, cwd=cwd, env=support.environment())
        self.said = ''
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.p.stderr:
            self.said += line.decode('utf-8', 'backslashreplace')

    def wait(self, seconds=support.SECONDS):
        self.p.wait(seconds)
        self.reader.join()
        self.p.stderr.close()
        return support.Result(self.p.args, self.p.returncode, b'', self.said.encode())

    def end(self, number=signal.SIGTERM, ok=0):
        """Ends it; how long that took."""
        start = time.monotonic()
        self.p.send_signal(number)
        self.p.wait(support.SECONDS)
        took = time.monotonic() - start
        support.judge(self.wait(), ok)
        return took

    def holds(self, path):
        """Has it this file open, also when its name is gone?"""
        for fd in os.listdir('/proc/%d/fd' % self.p.pid):
            try:
                if os.readlink('/proc/%d/fd/%s' % (self.p.pid, fd)) in (path, path + ' (deleted)'):
                    return True
            except OSError:
                pass
        return False


class Watching(support.TestCase):
    def setUp(self):
        super().setUp()
        self.caps, self.db = self.path('caps'), self.path('x.db')
        os.mkdir(self.caps)
        self.watches = []
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for w in self.watches:
            if w.p.poll() is None:
                w.p.kill()
            if not w.p.stderr.closed:
                w.wait()

    def watch(self, *words, options=('--commit', '20ms')):
        w = Watch([support.FLOWCARVE, 'watch', '-d', self.db, *options, *(words or (self.caps,))], cwd=self.folder)
        self.watches.append(w)
        self.until(lambda: 'watching' in w.said or w.p.poll() is not None, 'it does not begin', w)
        return w

    def until(self, condition, what, watch=None):
        end = time.monotonic() + support.SECONDS / 2
        while not condition():
            if time.monotonic() > end:
                self.fail('%s: %s' % (what() if callable(what) else what, watch and watch.said))
            time.sleep(.002)

    def ask(self, sql, nothing=((None,),)):
        try:
            return select(self.db, sql)
        except sqlite3.OperationalError:  # there is none yet
            return list(nothing)

    def packets(self):
        return self.ask('SELECT sum(packets) FROM session_span')[0][0] or 0

    def until_packets(self, n, watch):
        self.until(lambda: self.packets() >= n or watch.p.poll() is not None, lambda: '%d packets, not %d' % (self.packets(), n), watch)
        self.assertEqual(self.packets(), n, watch.said)

    def captures(self, files, *options):
        """Captures, in the order of time, of which sessions cross the ends; and how many packets each has."""
        packets = []
        os.mkdir(self.path('made'))
        for f in self.fcgen('made/c.pcap', *options):
            packets.extend(support.as_packets(support.read_capture(f)))
        at = [len(packets) * i // files for i in range(files + 1)]
        return [support.pcap_bytes(packets[a:b]) for a, b in zip(at, at[1:])], [b - a for a, b in zip(at, at[1:])]

    def facts(self, db, ids=True):
        """Each session as it is shown, with the places of its packets; files of which nothing is left are not there."""
        names = {f: os.fsdecode(p) for f, p in support.index_files(db).items()}
        where = {s: sorted((names[f], off) for f, off in places) for s, places in support.all_positions(db).items()}
        rows = [(row[0] if ids else 0, row[1:], tuple(where[row[0]])) for row in select(db, 'SELECT * FROM sessions')]
        return sorted(rows, key=repr)

    def assert_as_at_once(self, *folders, ids=True):
        once = self.path('once.db')
        index(once, '-q', *(folders or (self.caps,)))
        self.assertEqual(self.facts(self.db, ids), self.facts(once, ids))
        verify(self.db)
        support.check_index(self.db, lambda p: support.parse_capture(support.uncompressed(support.read_bytes(p))), ids, not ids)
        os.remove(once)


class Comes(Watching):
    def test_captures_come_in_all_ways(self):
        datas, counts = self.captures(8, '--packets', '4000', '--sessions', '150', '--sizes', 'small')
        r, total = support.rng('ways'), 0
        self.write('caps/0.pcap', datas[0])  # is there already
        w = self.watch(options=('--commit', '20ms', '-j2'))
        self.until_packets(counts[0], w)
        total += counts[0]

        with open(self.path('caps', '1.pcap'), 'wb', 0) as f:  # in slices; what is whole is there while it is written
            cuts = sorted(r.randrange(len(datas[1])) for _ in range(40)) + [len(datas[1])]
            for a, b in zip([0] + cuts, cuts):
                f.write(datas[1][a:b])
            total += counts[1]
            self.until_packets(total, w)
        self.write('caps/.2.tmp', datas[2][:1000])  # renamed when it is whole
        with open(self.path('caps', '.2.tmp'), 'ab') as f:
            f.write(datas[2][1000:])
        os.rename(self.path('caps', '.2.tmp'), self.path('caps', '2.pcap'))
        total += counts[2]
        self.until_packets(total, w)
        self.write('caps/new/deep/3.pcap', datas[3])  # folders with what is in them at once
        total += counts[3]
        self.until_packets(total, w)
        self.write('other/more/4.pcap', datas[4])  # moved here as a whole
        os.rename(self.path('other'), self.path('caps', 'moved'))
        total += counts[4]
        self.until_packets(total, w)
        self.write('caps/moved/more/5.pcap', datas[5])
        total += counts[5]
        self.until_packets(total, w)
        os.rename(self.path('caps', 'moved'), self.path('caps', 'again'))  # inside: what comes there is seen
        self.write('caps/again/more/6.pcap', datas[6])
        total += counts[6]
        self.until_packets(total, w)
        os.link(self.write('linked.pcap', datas[7]), self.path('caps', '7.pcap'))
        total += counts[7]
        self.until_packets(total, w)
        self.until(lambda: ('caps/again/more/5.pcap',) in self.ask('SELECT path FROM files'), 'the new name is not known', w)
        self.assertLess(w.end(), 1 if not support.sanitized() else 10)
        self.assert_as_at_once()
        self.assertEqual(self.listing(), ['caps', 'linked.pcap', 'made', 'other', 'x.db'] if os.path.exists(self.path('other'))
                         else ['caps', 'linked.pcap', 'made', 'x.db'])

    def test_what_is_compressed_after_rotation_is_no_other_capture(self):
        """gzip writes for a while, beside what it reads, and deletes that then: at no time are packets counted twice."""
        datas, counts = self.captures(2, '--packets', '2000', '--sessions', '80')
        w, total, looks = self.watch(), 0, 0

        def look():
            """Something else comes, so that there is a run; with it all is there that should be, and no more."""
            nonlocal total, looks
            looks, total = looks + 1, total + 1
            self.write('caps/look%d.pcap' % looks, support.pcap_bytes([(T0 - 10**6 * S + looks, udp('10.9.9.9', looks, '10.9.9.8', 2))]))
            self.until_packets(total, w)
        for i, (data, n) in enumerate(zip(datas, counts)):
            name = self.write('caps/%d.pcap' % i, data)
            total += n
            self.until_packets(total, w)
            blob = subprocess.run([support.tool('gzip'), '-c', name], stdout=subprocess.PIPE, check=True).stdout
            with open(name + '.gz', 'wb', 0) as f:
                for at in range(0, len(blob), 1 + len(blob) // 3):
                    f.write(blob[at:at + 1 + len(blob) // 3])
                    look()
            look()  # it is a copy now
            os.remove(name)
            self.until(lambda: ('caps/%d.pcap.gz' % i,) in self.ask('SELECT path FROM files WHERE gone = 0'), 'it is not known', w)
            self.assertEqual(self.packets(), total)
        w.end()
        self.assert_as_at_once(ids=False)

    def test_empty_captures_are_normal(self):
        w = self.watch()
        self.write('caps/nothing', b'')
        self.write('caps/header.pcap', support.pcap_bytes([]))
        self.write('caps/text', b'no capture at all\n')
        self.write('caps/half.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(60)))])[:70])
        self.write('caps/one.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        self.until_packets(1, w)
        self.write('caps/text', b'no capture either\n')
        self.write('caps/last', b'')
        os.remove(self.path('caps', 'text'))
        self.write('caps/one.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        w.end()
        self.assertEqual([line for line in w.said.splitlines() if not re.search(r'watching|new, |grown: ', line)], [])
        self.assertEqual(select(self.db, 'SELECT sum(packets) FROM session_span'), [(1,)])

    def test_nothing_is_written_when_nothing_has_come(self):
        self.write('caps/a.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        w = self.watch('-v', self.caps)
        self.until_packets(1, w)
        self.until(lambda: 'x.db-wal' in self.listing() and not w.holds(self.path('caps', 'a.pcap')), 'the run does not end')
        state = lambda: [(support.read_bytes(self.db + end), os.stat(self.db + end).st_mtime_ns) for end in ('', '-wal')]
        before = state()
        self.write('caps/text', b'no capture\n')
        self.until(lambda: re.search(r'skipped: \S*text', w.said), 'it is not looked at', w)
        self.assertEqual(state(), before)
        w.end()

    def test_a_bad_capture_holds_nothing_up_and_is_told_once(self):
        w = self.watch()
        good = support.pcap_bytes([(T0 + i, udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(60))) for i in range(20)])
        bad = good[:24 + 76 * 3] + os.urandom(200) + good[24 + 76 * 3 + 200:]
        self.write('caps/bad.pcap', bad)
        for i in range(5):
            self.write('caps/%d.pcap' % i, support.pcap_bytes([(T0 + (i + 1) * S, udp('10.0.0.%d' % i, 1, '10.0.0.9', 2))]))
            self.until(lambda: self.ask("SELECT count(*) FROM files WHERE path LIKE '%%/%d.pcap'" % i) == [(1,)], 'not there', w)
        w.end()
        self.assertEqual(len(re.findall(r'warning: \S*bad\.pcap', w.said)), 1, w.said)
        verify(self.db)

    def test_polling(self):
        datas, counts = self.captures(4, '--packets', '1000', '--sessions', '50', '--sizes', 'small')
        self.write('caps/0.pcap', datas[0])
        w = self.watch(options=('--commit', '20ms', '--poll', '30ms'))
        self.until_packets(counts[0], w)
        self.assertIn('looked through every 0.03 s', w.said)
        self.assertFalse(any('inotify' in os.readlink('/proc/%d/fd/%s' % (w.p.pid, fd)) for fd in os.listdir('/proc/%d/fd' % w.p.pid)
                             if os.path.lexists('/proc/%d/fd/%s' % (w.p.pid, fd))))
        with open(self.path('caps', '1.pcap'), 'wb', 0) as f:
            f.write(datas[1][:len(datas[1]) // 2])
            self.until(lambda: self.packets() > counts[0], 'half of it is not seen', w)
            f.write(datas[1][len(datas[1]) // 2:])
        self.until_packets(sum(counts[:2]), w)
        self.write('caps/a/b/2.pcap', datas[2])
        self.until_packets(sum(counts[:3]), w)
        os.rename(self.path('caps', 'a'), self.path('caps', 'c'))
        self.write('caps/3.pcap', datas[3])
        self.until_packets(sum(counts), w)
        self.until(lambda: ('caps/c/b/2.pcap',) in self.ask('SELECT path FROM files'), 'the new name is not known', w)
        w.end()
        self.assert_as_at_once()


class Rings(Watching):
    def test_tcpdump_writes_a_ring(self):
        """Names are used again: each capture but the last ones is gone in the end, and none was missed."""
        packets = support.read_capture(self.fcgen('made.pcap', '--packets', '6000', '--sessions', '200', '--sizes', '900-1400')[0])
        packets = support.as_packets(packets)
        w = self.watch()
        words = [support.tool('tcpdump'), '-r', '-', '-w', self.path('caps', 'ring'), '-C', '1', '-W', '3', '-U']
        words += ['-Z', 'root'] if os.getuid() == 0 else []
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as p:
            p.stdin.write(support.pcap_bytes([]))
            for at in range(0, len(packets), 500):
                p.stdin.write(support.pcap_bytes(packets[at:at + 500])[24:])
                p.stdin.flush()
                # it reads by blocks, so that some are still on their way
                self.until(lambda: self.packets() >= at + 400, lambda: '%d of %d' % (self.packets(), at), w)
            p.stdin.close()
            self.assertEqual(p.wait(30), 0, p.stderr.read())
        self.until_packets(len(packets), w)
        w.end()
        self.assertGreater(select(self.db, 'SELECT count(*) FROM files WHERE gone')[0][0], 2)
        self.assertEqual(self.listing('caps'), ['ring0', 'ring1', 'ring2'])
        left = [r for name in self.listing('caps') for r in support.read_capture(self.path('caps', name))]
        self.assertEqual(select(self.db, 'SELECT sum(records) FROM files WHERE NOT gone'), [(len(left),)])
        verify(self.db)

    def ring(self, w, datas, keep, between=lambda: None):
        """As dumpcap does: the oldest goes the moment that the next one is opened. Each was open to the watch by then."""
        names = []
        for i, data in enumerate(datas):
            names.append(self.path('caps', 'ring_%05d_20240501120000.pcapng' % i))
            with open(names[-1], 'wb', 0) as f:
                if len(names) > keep:
                    old = names.pop(0)
                    self.until(lambda: w.holds(old) or self.known(old), 'it was not seen', w)
                    os.remove(old)
                for at in range(0, len(data), 4096):
                    f.write(data[at:at + 4096])
            between()

    def known(self, path):
        return self.ask("SELECT records FROM files WHERE path = '%s'" % os.path.relpath(path, self.folder), ()) != []

    def test_what_a_ring_deletes_before_its_turn_is_read_all_the_same(self):
        datas, counts = self.captures(20, '--packets', '4000', '--sessions', '100', '--sizes', 'small')
        w = self.watch(options=('--commit', '1s'))
        self.write('caps/first.pcap', support.pcap_bytes([(T0 - 10**6 * S, udp('10.9.9.9', 1, '10.9.9.8', 2))]))
        self.until_packets(1, w)
        self.ring(w, datas, 2)  # all of it while the next run is not due
        self.until_packets(1 + sum(counts), w)
        w.end()
        once = self.path('once.db')
        for i, data in enumerate(datas):
            self.write('all/%02d.pcap' % i, data)
        index(once, '-q', self.path('caps', 'first.pcap'), self.path('all'))
        columns = [r[1] for r in select(once, 'PRAGMA table_info(sessions)')]
        shown = 'SELECT %s FROM sessions ORDER BY id' % ', '.join('"%s"' % c for c in columns)
        self.assertEqual(select(self.db, shown), select(once, shown))
        r = verify(self.db, ok=2)
        self.assertEqual(len(re.findall(r'(?m) missing  ', r.text)), len(datas) - 2, r.text)

    def test_dumpcap_writes_a_ring(self):
        """The true one, on the loopback interface, where that is allowed."""
        dumpcap = support.tool('dumpcap')
        w = self.watch()
        p = subprocess.Popen([dumpcap, '-q', '-i', 'lo', '-f', 'udp port 40123', '-b', 'packets:50', '-b', 'files:3', '-w',
                              self.path('caps', 'ring.pcapng')], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.until(lambda: self.listing('caps') or p.poll() is not None, 'dumpcap does not begin')
        if p.poll() is not None:
            self.skipTest('dumpcap may not capture here: %r' % p.stderr.read()[-200:])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for i in range(400):
                s.sendto(b'%d' % i, ('127.0.0.1', 40123))
                if i % 25 == 24:  # that is how it is asked to give them out
                    self.until(lambda: self.packets() >= i - 60, lambda: '%d packets of %d' % (self.packets(), i), w)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(30), 0)
        err = p.stderr.read().decode()
        seen = int(re.search(r"Packets captured: (\d+)", err).group(1))
        self.until_packets(seen, w)
        w.end()
        self.assertEqual(len(self.listing('caps')), 3)


class Goes(Watching):
    def tiny(self, name, n, packets=1):
        return self.write('caps/' + name, support.pcap_bytes([(T0 + n * S + i, udp('10.0.%d.%d' % (n >> 8, n & 255), 1000, '10.1.0.1', 53))
                                                              for i in range(packets)]))

    def test_what_the_kernel_has_dropped_is_looked_for(self):
        """More events than its queue holds, while the watch is stopped; the last of them are of captures."""
        most = int(support.read_bytes('/proc/sys/fs/inotify/max_queued_events'))
        if most > 100000:
            self.skipTest('its queue holds %d events' % most)
        os.mkdir(self.path('caps', 'old'))
        w = self.watch()
        self.tiny('a.pcap', 0)
        self.until_packets(1, w)
        w.p.send_signal(signal.SIGSTOP)
        with open(self.path('caps', 'x'), 'wb', 0) as x, open(self.path('caps', 'y'), 'wb', 0) as y:
            for _ in range(most // 2 + 10):  # of one file alone they would be one
                x.write(b'.')
                y.write(b'.')
        self.tiny('b.pcap', 1)
        self.tiny('new/deep/c.pcap', 2)
        os.rmdir(self.path('caps', 'old'))
        w.p.send_signal(signal.SIGCONT)
        self.until_packets(3, w)
        self.tiny('new/deep/d.pcap', 3)  # the new folders are watched by now
        self.until_packets(4, w)
        w.end()
        self.assert_as_at_once()

    @unittest.skipUnless(LONG, '20,000 files: FLOWCARVE_TEST_LONG=1')
    def test_very_many_files_at_once(self):
        w = self.watch()
        for i in range(20000):
            self.tiny('%d/%d.pcap' % (i % 50, i), i)
        self.until_packets(20000, w)
        w.end()
        self.assert_as_at_once(ids=False)

    def test_folders_that_go_and_come_again(self):
        os.mkdir(self.path('caps', 'sub'))
        self.tiny('a.pcap', 0)
        w = self.watch()
        self.until_packets(1, w)
        self.tiny('sub/b.pcap', 1)
        self.until_packets(2, w)
        shutil.rmtree(self.path('caps', 'sub'))
        self.tiny('sub/c.pcap', 2)
        self.until_packets(3, w)
        os.rename(self.caps, self.path('away'))  # the one that was named
        self.until(lambda: 'is not there any more' in w.said, 'it is not told', w)
        os.mkdir(self.caps)
        self.tiny('d.pcap', 3)
        self.until_packets(4, w)
        self.assertIn('is there again', w.said)
        self.tiny('new/e.pcap', 4)
        self.until_packets(5, w)
        w.end()

    def test_deleted_while_they_are_read(self):
        """Captures come and go at random; nothing fails, and what is left is in the index."""
        r, w, left = support.rng('deleted'), self.watch(options=('--commit', '1ms')), {}
        for i in range(support.rounds(60, 2000)):
            name = '%d.pcap' % r.randrange(8)
            kind = r.randrange(4)
            if kind == 0 and name in left:
                os.remove(self.path('caps', name))
                del left[name]
            elif kind == 1 and name in left:
                os.rename(self.path('caps', name), self.path('caps', 'r' + name))
                left['r' + name] = left.pop(name)
            else:
                left[name] = r.randrange(1, 30)
                self.tiny(name, i, left[name])
        paths = lambda: dict(self.ask('SELECT path, records FROM files WHERE NOT gone', ()))
        want = {'caps/' + name: n for name, n in left.items()}
        self.until(lambda: {p: n for p, n in paths().items() if p in want} == want,
                   lambda: '%s, and want %s' % (paths(), want), w)
        w.end()
        self.assertNotIn('tried again', w.said)
        verify(self.db, ok=(0, 2))

    def test_killed_it_goes_on(self):
        datas, counts = self.captures(6, '--packets', '6000', '--sessions', '200', '--sizes', 'small')
        r = support.rng('killed')
        stop = threading.Event()
        pieces = []
        for i, data in enumerate(datas):
            cuts = sorted(r.randrange(len(data)) for _ in range(20)) + [len(data)]
            pieces += [(i, data[a:b]) for a, b in zip([0] + cuts, cuts)]

        def write():
            for i, piece in pieces:
                with open(self.path('caps', '%d.pcap' % i), 'ab', 0) as f:
                    f.write(piece)
                stop.wait(.005)
        writer = threading.Thread(target=write)
        writer.start()
        kills = 0
        while writer.is_alive() or kills < support.rounds(3, 100):
            w = self.watch(options=('--commit', '1ms'))
            stop.wait(r.uniform(.001, .2))
            w.end(signal.SIGKILL, -9)
            kills += 1
        writer.join()
        w = self.watch()
        self.until_packets(sum(counts), w)
        w.end()
        self.assert_as_at_once()
        self.assertEqual(self.listing(), ['caps', 'made', 'x.db'])


class Beside(Watching):
    def one(self, n):
        return self.write('caps/%d.pcap' % n, support.pcap_bytes([(T0 + n * S, udp('10.0.0.1', 1000 + n, '10.1.0.1', 53))]))

    def test_one_process_an_index(self):
        self.one(0)
        other = self.write('other/o.pcap', support.pcap_bytes([(T0 + S, udp('10.7.7.7', 7, '10.8.8.8', 8))]))
        w = self.watch()
        self.until_packets(1, w)
        who = r'flowcarve watch \(process %d, since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\)' % w.p.pid
        for words in (['watch', self.path('other')], ['index', other]):
            r = flowcarve(words[0], '-d', self.db, *words[1:], ok=2)
            self.assertRegex(r.err, r'x\.db: is kept up to date by ' + who)
        p = subprocess.Popen([support.FLOWCARVE, 'index', '-q', '-d', self.db, '--wait', other], env=support.environment())
        self.assertEqual(flowcarve('forget', '-q', '-d', self.db, self.path('caps', '0.pcap')).rc, 0)  # takes turns
        self.one(1)
        self.until(lambda: self.packets() == 1 and not self.ask('SELECT 1 FROM files WHERE path LIKE "%/0.pcap" AND NOT forgotten', ()),
                   'it does not go on', w)
        self.assertIsNone(p.poll())
        self.assertIn('x.db.watch', self.listing())
        self.assertLess(w.end(), 1 if not support.sanitized() else 10)
        self.assertEqual(p.wait(30), 0)
        self.assertEqual(self.listing(), ['caps', 'other', 'x.db'])
        self.assertEqual(self.packets(), 2)

    def test_signals_and_faults_at_the_start(self):
        w = self.watch()
        self.until(lambda: 'no capture has come' in flowcarve('query', '-d', self.db, ok=2).err, 'it is not told', w)
        w.end(signal.SIGINT, -signal.SIGINT)
        self.assertIn('no such index', flowcarve('query', '-d', self.db, ok=2).err)
        self.assertEqual(self.listing(), ['caps'])
        self.assertRegex(flowcarve('watch', '-d', self.db, self.path('none'), ok=2).err, r'none: cannot be watched: No such file')
        self.assertRegex(flowcarve('watch', '-d', self.db, self.one(0), ok=2).err, r'0\.pcap: is no folder')
        self.assertIn('no folder given', flowcarve('watch', '-d', self.db, ok=2).err)
        self.assertIn("--commit takes a time", flowcarve('watch', '--commit', '3', self.caps, ok=2).err)
        index(self.db, '-q', self.path('caps', '0.pcap'))
        self.assertIn('--profile', flowcarve('watch', '-d', self.db, '--profile', 'zeek', self.caps, ok=2).err)
        self.assertIn('not a flowcarve index', flowcarve('watch', '-d', self.write('text', b'text'), self.caps, ok=2).err)
        self.assertEqual(self.listing(), ['caps', 'text', 'x.db'])

    def test_an_index_in_the_folder_that_is_watched(self):
        """Its own files are nothing to it; another index there, and what is like its name, are not taken for one."""
        self.db = self.path('caps', 'x.db')
        w = self.watch()
        for n in range(4):
            self.one(n)
            self.until_packets(n + 1, w)
        self.write('caps/x.db.pcap', support.pcap_bytes([(T0 + 9 * S, udp('10.0.0.1', 1, '10.1.0.1', 53))]))
        self.until_packets(5, w)
        runs = self.ask('SELECT count(*) FROM run')
        self.until(lambda: not any(w.holds(self.path('caps', n)) for n in self.listing('caps') if n.endswith('pcap')), 'it does not rest', w)
        w.end()
        self.assertEqual(select(self.db, 'SELECT count(*) FROM run'), runs)
        self.assert_as_at_once()

    def test_an_index_that_is_removed_is_made_anew(self):
        for options in (['--commit', '20ms'], ['--commit', '20ms', '--poll', '30ms']):
            for n in range(3):
                self.one(n)
            w = self.watch(options=options)
            self.until_packets(3, w)
            os.remove(self.db)
            self.one(3)
            self.until_packets(4, w)
            self.assertIn('x.db: is not the one that it was', w.said)
            w.end()
            self.assert_as_at_once(ids=False)
            os.remove(self.db)
            os.remove(self.path('caps', '3.pcap'))

    def test_an_index_that_is_locked(self):
        self.one(0)
        w = self.watch()
        self.until_packets(1, w)
        with support.open_db(self.db, write=True) as c:
            c.execute('BEGIN IMMEDIATE')
            self.one(1)
            self.until(lambda: 'tried again' in w.said, 'it is not told', w)
            c.execute('ROLLBACK')
        self.until_packets(2, w)
        self.until(lambda: 'is up to date again' in w.said, 'it is not told', w)
        self.assertRegex(w.said, r'x\.db: is being written: process %d.*; it is tried again' % os.getpid())
        self.assertEqual(len(re.findall('tried again', w.said)), 1)
        w.end()

    @unittest.skipIf(os.getuid() != 0, 'another user is needed, which takes root')
    def test_who_may_read_alone_does_so_between_runs(self):
        """In a folder that they cannot write to, while there is a -wal, and when it is one file again."""
        program = shutil.copy(support.FLOWCARVE, self.path('flowcarve'))
        for path, mode in ((self.folder, 0o755), (program, 0o755)):
            os.chmod(path, mode)
        count = lambda: support.run(program, 'query', '-c', '-d', self.db, user=65534, group=65534, extra_groups=[]).text.strip()
        w = self.watch('--mode', '644', self.caps)
        for n in range(4):
            self.one(n)
            self.until_packets(n + 1, w)
            self.assertEqual(count(), str(n + 1))
        self.assertIn('x.db-wal', self.listing())
        w.end()
        self.assertEqual(count(), '4')
        self.assertEqual(self.listing(), ['caps', 'flowcarve', 'x.db'])

    def test_a_full_disk(self):
        """Files that may not grow are like one: it is told once, and goes on when there is room."""
        self.one(0)
        w = self.watch()
        self.until_packets(1, w)
        resource.prlimit(w.p.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        self.one(1)
        self.until(lambda: 'tried again' in w.said, 'it is not told', w)
        self.assertEqual(self.packets(), 1)
        resource.prlimit(w.p.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.until_packets(2, w)
        self.until(lambda: 'is up to date again' in w.said, 'it is not told', w)
        w.end()
        self.assert_as_at_once()

    def test_who_reads_never_fails(self):
        datas, counts = self.captures(support.rounds(6, 60), '--packets', '3000', '--sessions', '150', '--sizes', 'small')
        total = 0
        self.write('caps/0.pcap', datas[0])
        w = self.watch(options=('--commit', '1ms', '-j2'))
        self.until_packets(counts[0], w)
        done, failed, asked = threading.Event(), [], []

        def read(words):
            while not done.is_set():
                try:
                    flowcarve(*words, '-d', self.db)
                    asked.append(words[0])
                except AssertionError as e:
                    failed.append(e)
                    return
        commands = [['query', '-c'], ['query', '-q', 'tcp'], ['query', '-f', 'json', '-n', '50'], ['top', 'tcp'],
                    ['carve', '-q', '--id', '1', '-w', '-'], ['stats'], ['query', '-s', 'bytes:desc', '-n', '5'], ['packets', '-i', '1']]
        readers = [threading.Thread(target=read, args=(c,)) for c in commands]
        for t in readers:
            t.start()
        try:
            for i, data in enumerate(datas):
                total += counts[i]
                with open(self.path('caps', '%d.pcap' % i), 'r+b' if i == 0 else 'wb', 0) as f:
                    for at in range(0, len(data), 1 + len(data) // 4):
                        f.seek(at)
                        f.write(data[at:at + 1 + len(data) // 4])
                self.until_packets(total, w)
        finally:
            done.set()
            for t in readers:
                t.join()
        self.assertEqual(failed, [])
        self.assertGreater(len(set(asked)), 4)
        w.end()
        self.assertNotIn('tried again', w.said)
        self.assert_as_at_once()

    def test_folders_are_walked_where_there_are_no_more_watches(self):
        os.makedirs(self.path('caps', 'a', 'b'))
        self.one(0)
        for limit, n, why in (('watches', 2, 'max_user_watches is reached'), ('instances', 0, 'inotify cannot be had')):
            script = 'echo %d > /proc/sys/user/max_inotify_%s && exec "$@"' % (n, limit)
            words = ['unshare', '-Ur', 'sh', '-c', script, 'sh', support.FLOWCARVE, 'watch', '-d', self.db, self.caps]
            if subprocess.run([*words[:5], ':'], stderr=subprocess.DEVNULL, check=False).returncode:
                self.skipTest('no user namespace with limits of its own can be had')
            w = Watch(words=words, cwd=self.folder)
            self.watches.append(w)
            self.until(lambda: why in w.said or w.p.poll() is not None, 'it is not told', w)
            self.until_packets(1, w)
            w.end()
            self.assertIn('all folders are looked through every 5 s', w.said)
            os.remove(self.db)

    @unittest.skipIf(support.sanitized(), 'sanitizers need what the sandbox gives up')
    def test_it_is_in_the_sandbox_with_all_threads(self):
        self.one(0)
        w = self.watch()
        self.until_packets(1, w)
        found = support.sandbox_of(w.p.pid)
        self.assertGreater(len(found), 1)
        self.assertEqual(set(found), {(2, 1)})
        self.write('caps/new/2.pcap', support.read_bytes(self.one(2))[:-1])  # watches can be added, too
        self.until(lambda: self.packets() >= 2, 'it does not go on', w)
        w.end()


if __name__ == '__main__':
    support.main()
