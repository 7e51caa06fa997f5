# SPDX-License-Identifier: MIT
"""What a process that never ends tells of itself, and what an index has of losses."""
import json, os, re, shutil, socket, subprocess, time, unittest, unittest.mock

import support
from support import S, T0, flowcarve, index, udp, verify
from test_watch import Watching

LOSS = os.path.join(support.ROOT, 'schema', 'loss.sql')


class Loss(support.TestCase):
    """Table loss beside the captures."""

    def setUp(self):
        super().setUp()
        self.db = self.path('x.db')
        self.files = self.fcgen('c.pcap', '--packets', '300', '--sessions', '20', '--files', '2')
        index(self.db, '-q', *self.files)
        with support.open_db(self.db, True) as c:
            c.executescript(support.read_bytes(LOSS).decode())
            for row in ((T0, 'eth0', T0, T0 + S, 110, 100, 10, 0, 0, 5), (T0, 'eth0', T0 + S, T0 + 9 * S, 150, 150, 0, 0, 0, 0),
                        (T0, 'eth1', T0, T0 + S, 54, 50, 0, 3, 1, 0)):
                c.execute('INSERT INTO loss VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 2)', row)

    def planted(self, sql, *says):
        db = self.path('y.db')
        shutil.copy(self.db, db)
        with support.open_db(db, True) as c:
            self.assertGreater(c.execute(sql).rowcount, 0)
        self.assert_says(verify(db, ok=2), *says)

    def test_verify_sees_what_does_not_add_up(self):
        verify(self.db)
        self.planted('UPDATE loss SET dropped_queue = 2 WHERE id = 3', 'loss 3: 54 packets received are not 50 recorded and 3 dropped')
        self.planted('UPDATE loss SET received = 1 + received, recorded = recorded + 1 WHERE id = 1', '301 packets were recorded', 'have 300')
        self.planted('UPDATE loss SET last_file = 1', '300 packets were recorded', 'captures 1 to 1')
        self.planted('UPDATE loss SET end_ns = 0 WHERE id = 2', 'loss 2: its numbers cannot be')
        self.planted('UPDATE loss SET recorded = -1, received = 9 WHERE id = 2', 'loss 2: its numbers cannot be')

    def test_more_is_added_to_an_index_that_has_the_table_as_it_is_to_be(self):
        more = self.fcgen('d.pcap', '--packets', '100', '--start', '1800000000')
        index(self.db, '-q', *more)
        self.assertEqual(len(support.select(self.db, 'SELECT * FROM loss')), 3)
        verify(self.db)
        with support.open_db(self.db, True) as c:
            c.execute('ALTER TABLE loss ADD COLUMN x')
        more = self.fcgen('e.pcap', '--packets', '100', '--start', '1900000000')
        self.assert_says(index(self.db, '-q', *more, ok=2), 'table loss as flowcarve does not make it')


class Watched(Watching):
    """A watch, and what it tells."""

    def status(self, *words, ok=(0, 1)):
        r = flowcarve('status', '-d', self.db, *words, ok=ok)
        if r.rc < 2:
            self.assertEqual(flowcarve('status', '-q', '-d', self.db, ok=(0, 1)).out, b'')
        return r

    def facts_now(self):
        r = self.status('--json')
        now = json.loads(r.text)
        self.assertEqual(r.rc, now['state'] != 'running')
        return now

    def until_status(self, watch, **wanted):
        def holds():
            self.now = self.facts_now()
            return all(self.now[k] == v for k, v in wanted.items())
        self.until(holds, lambda: 'the status is %r' % self.now, watch)
        return self.now

    def some(self, name, n, at=T0):
        return self.write(name, support.pcap_bytes([(at + i * S, udp('10.0.0.1', 1 + i, '10.0.0.2', 2)) for i in range(n)]))


class Status(Watched):
    def test_what_is_told_while_it_runs_and_behind_its_end(self):
        self.assert_says(self.status(ok=2), 'no such index')
        w = self.watch()
        now = self.until_status(w, command='watch')
        self.assertEqual((now['state'], now['pid'], now['what'], now['captures']), ('running', w.p.pid, self.caps, None))
        self.assertIn('no capture has come', self.status().text)
        data = self.some('caps/1.pcap', 30)
        self.some('caps/2.pcap', 12, T0 + 100 * S)
        now = self.until_status(w, packets=42, waiting=0)
        size = sum(os.path.getsize(self.path('caps', f)) for f in self.listing('caps'))
        self.assertEqual([now[k] for k in ('captures', 'captures_bytes', 'index_packets', 'last_session', 'bytes', 'captures_added', 'lag')],
                         [2, size, 42, 30, size, 2, 0])
        self.assertEqual((now['first_ns'], now['last_ns']), (T0, T0 + 111 * S))
        self.assertGreater(now['packets_per_s_10s'], 0)
        disk = os.statvfs(self.folder)
        self.assertAlmostEqual(now['free_bytes'], disk.f_bavail * disk.f_frsize, delta=1 << 30)
        text = self.status().text
        self.assertRegex(text, r'watch is running, process %d' % w.p.pid)
        self.assertRegex(text, r'42 packets')
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

        w.p.kill()
        w.wait()
        now = self.facts_now()
        self.assertEqual((now['state'], now['pid'], now['packets']), ('killed', w.p.pid, 42))
        self.assertRegex(self.status().text, r'not running: watch, process %d, was killed' % w.p.pid)
        os.remove(data)
        w = self.watch()  # what the other one has told is not in its way
        self.until_status(w, state='running', pid=w.p.pid)
        w.end()
        now = self.facts_now()
        self.assertEqual((now['state'], now['command'], now['pid'], now['packets'], now['captures']), ('stopped', None, None, None, 2))
        self.assertIn('not running: nothing keeps', self.status().text)
        self.assertEqual(self.listing(), ['caps', 'x.db'])
        with support.open_db(self.db, True) as c:
            c.executescript(support.read_bytes(LOSS).decode())
            c.execute("INSERT INTO loss VALUES (NULL, 1, 'eth0', 1, 2, 1000, 958, 40, 2, 0, 7, 1, 2)")
        self.assertIn('42 of 1,000 packets lost while captured', self.status().text)
        self.assertEqual(self.facts_now()['loss_dropped_kernel'], 40)

    def test_what_went_wrong_is_told_and_how_far_it_is_behind(self):
        self.some('caps/1.pcap', 1)
        w = self.watch()
        self.until_status(w, packets=1)
        with support.open_db(self.db, write=True) as c:
            c.execute('BEGIN IMMEDIATE')
            self.some('caps/2.pcap', 5, T0 + 9 * S)
            self.until(lambda: 'tried again' in w.said, 'it is not told', w)
            now = self.until_status(w, errors=1)
            self.assertRegex(now['error'], r'x\.db: is being written: process %d' % os.getpid())
            self.until(lambda: self.facts_now()['lag'] > .5, 'it is not behind', w)
            self.assertEqual(self.facts_now()['waiting'], 1)
            self.assertRegex(self.status().text, r'behind +\d+\.\d+s: 1 file not in the index yet')
            c.execute('ROLLBACK')
        self.until_status(w, packets=6, waiting=0, lag=0)
        w.end()

    def test_nobody_is_disturbed_by_a_file_that_is_no_note(self):
        self.some('caps/1.pcap', 1)
        index(self.db, '-q', self.caps)
        for data in (b'', b'x', b'fcwatch1', b'fcwatch1' + bytes(5000), os.urandom(7000)):
            self.write('x.db.watch', data)
            self.assertEqual(self.facts_now()['state'], 'stopped')
        self.assert_says(flowcarve('watch', '-d', self.db, self.caps, ok=2), 'x.db.watch: is in the way')
        os.remove(self.path('x.db.watch'))
        os.mkfifo(self.path('x.db.watch'))
        self.assertEqual(self.facts_now()['state'], 'stopped')

    @unittest.skipIf(os.getuid() != 0, 'another user is needed, which takes root')
    def test_who_may_read_the_index_may_read_its_status(self):
        program = shutil.copy(support.FLOWCARVE, self.path('flowcarve'))
        for path in (self.folder, program):
            os.chmod(path, 0o755)
        ask = lambda ok: support.run(program, 'status', '-d', self.db, user=65534, group=65534, extra_groups=[], ok=ok)
        self.some('caps/1.pcap', 1)
        for mode, ok in (('600', 2), ('644', 0)):
            w = self.watch('--mode', mode, self.caps)
            self.until_packets(1, w)
            self.until_status(w, state='running', pid=w.p.pid)
            r = ask(ok)
            self.assertEqual('is running' in r.text, ok == 0)
            w.end()
            os.remove(self.db)


class Metrics(Watched):
    LINE = re.compile(r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\{(?P<labels>[^}]*(?:"[^"]*"[^}]*)*)\} (?P<value>[0-9.e+-]+|NaN|[+-]Inf)$')
    LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')

    def parse(self, data):
        """The text format of Prometheus, strictly: {(name, labels): value}."""
        text, types, helps, found, last = data.decode('utf-8'), {}, set(), {}, None
        self.assertTrue(text.endswith('\n'))
        for line in text[:-1].split('\n'):
            if line.startswith('# HELP '):
                name = line.split(' ', 3)[2]
                self.assertNotIn(name, helps)
                helps.add(name)
                continue
            if line.startswith('# TYPE '):
                _, _, name, kind = line.split(' ')
                self.assertIn(kind, ('counter', 'gauge'))
                self.assertNotIn(name, types)
                self.assertIn(name, helps)
                self.assertEqual(name.endswith('_total'), kind == 'counter', name)
                types[name], last = kind, name
                continue
            m = self.LINE.match(line)
            self.assertTrue(m, line)
            self.assertEqual(m.group('name'), last, 'samples of a metric stand together behind its type')
            labels, at = {}, 0
            while at < len(m.group('labels')):
                label = self.LABEL.match(m.group('labels'), at)
                self.assertTrue(label, line)
                self.assertNotIn(label.group(1), labels)
                labels[label.group(1)] = re.sub(r'\\(.)', lambda e: '\n' if e.group(1) == 'n' else e.group(1), label.group(2))
                at = label.end()
            key = m.group('name'), tuple(sorted(labels.items()))
            self.assertNotIn(key, found)
            found[key] = float(m.group('value'))
        return found

    def test_numbers_are_written_for_prometheus(self):
        os.mkdir(self.path('m'))
        self.db = self.path('a"b\\c\nd\x1b.db')
        self.some('caps/1.pcap', 40)
        w = self.watch('--metrics', self.path('m', 'f.prom'), self.caps)
        found = {}

        def indexed():
            found.update(self.parse(support.read_bytes(self.path('m', 'f.prom'))))
            return sum(v for (n, _), v in found.items() if n == 'flowcarve_packets_indexed_total') == 40
        self.until(indexed, 'it is not written', w)
        self.assertEqual({dict(labels)['index'] for _, labels in found}, {self.path('a"b\\c\\nd\\x1b.db')})
        values = {n: v for (n, _), v in found.items()}
        self.assertEqual(values['flowcarve_captures_total'], 1)
        self.assertGreater(values['flowcarve_index_bytes'], 10000)
        self.assertGreater(values['flowcarve_filesystem_free_bytes'], 0)
        self.assertAlmostEqual(values['flowcarve_start_time_seconds'], time.time(), delta=600)
        self.assertEqual(os.stat(self.path('m', 'f.prom')).st_mode & 0o777, 0o644)
        seen, files = 0, set()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:  # whoever reads has all of it
            self.parse(support.read_bytes(self.path('m', 'f.prom')))
            files.add(os.stat(self.path('m', 'f.prom')).st_ino)
            seen += 1
        self.assertGreater(seen, 20)
        self.assertIn(len(files), (1, 2, 3))
        w.end()
        self.assertEqual(self.listing('m'), [])  # numbers that are true no more

    def test_a_file_that_cannot_be_written_is_told_at_once(self):
        r = flowcarve('watch', '-d', self.db, '--metrics', self.path('nowhere', 'f.prom'), self.caps, ok=2)
        self.assertRegex(r.err, r'nowhere/f\.prom: cannot make the file: No such file')
        self.assertEqual(self.listing(), ['caps'])


class Service(Watched):
    """What a manager of services is told."""

    def start(self, name=None, preload=None, **env):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind('\0' + name[1:] if name and name[0] == '@' else self.path('notify'))
        self.socket.settimeout(support.SECONDS / 4)
        env.update(NOTIFY_SOCKET=name or self.path('notify'))
        with unittest.mock.patch.dict(support.base_environment(), env):
            return self.watch()

    def heard(self):
        return self.socket.recv(4096).decode()

    def until_heard(self, wanted):
        told = [self.heard()]
        while not re.match(wanted, told[-1]):
            told.append(self.heard())
        return told

    def test_it_is_ready_when_it_works_and_says_that_it_stops(self):
        for name in (None, '@flowcarve-test-%d' % os.getpid()):
            self.some('caps/1.pcap', 1)
            w = self.start(name)
            self.assertEqual(self.heard(), 'READY=1')
            self.until_heard(r'STATUS=[\d,]+ packets? a second, \d+\.\d s behind$')
            w.end()
            self.assertEqual(self.until_heard('STOPPING=1')[-1], 'STOPPING=1')
            if not name:
                os.remove(self.path('notify'))

    def test_a_watch_that_fails_at_its_start_was_never_ready(self):
        index(self.db, '-q', self.some('caps/1.pcap', 1))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(self.path('notify'))
        self.socket.setblocking(False)
        flowcarve('watch', '-d', self.db, '--profile', 'zeek', self.caps, ok=2, env={'NOTIFY_SOCKET': self.path('notify')})
        self.assertEqual(self.heard(), 'STOPPING=1')

    @unittest.skipIf(support.sanitized(), 'is preloaded')
    def test_signs_of_life_end_when_the_loop_hangs(self):
        """The disk hangs: no call to sync returns any more. Other threads still run, and give no sign for it."""
        self.some('caps/1.pcap', 1)
        w = self.start(WATCHDOG_USEC='200000', LD_PRELOAD=os.environ.get('FAILING') or os.path.join(os.path.dirname(support.FLOWCARVE), 'tests/libfailing.so'),
                       FAILING_HANG=self.path('hang'))
        start = time.monotonic()
        for _ in range(10):
            self.until_heard('WATCHDOG=1')
        self.assertGreater(time.monotonic() - start, .8)  # one each 100 ms, and no more
        self.until_packets(1, w)
        self.write('hang', b'')
        self.some('caps/2.pcap', 1, T0 + S)
        self.until(lambda: os.path.exists(self.path('hang.reached')), 'it does not hang', w)
        self.socket.settimeout(1.5)
        with self.assertRaises(TimeoutError):
            for _ in range(40):  # what was sent before
                self.until_heard('WATCHDOG=1')
        self.assertEqual(self.facts_now()['state'], 'running')
        self.assertGreater(self.facts_now()['lag'], 1)  # which is told meanwhile
        os.remove(self.path('hang'))
        self.socket.settimeout(support.SECONDS / 4)
        self.until_heard('WATCHDOG=1')
        self.until_packets(2, w)
        w.end()

    def test_lines_have_levels_in_the_journal(self):
        read, write = os.pipe()
        st = os.fstat(write)
        self.write('caps/bad.pcap', support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]) + b'\xff' * 400 +
                   support.pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))] * 5)[24:])
        for stream, heads in (('%d:%d' % (st.st_dev, st.st_ino), {'<6>', '<4>'}), ('1:1', {'flo'})):
            p = subprocess.Popen([support.FLOWCARVE, 'watch', '-d', self.db, self.caps], stderr=write,
                                 env=support.environment(JOURNAL_STREAM=stream))
            said = b''
            while said.count(b'\n') < 3:
                said += os.read(read, 65536)
            p.terminate()
            self.assertEqual(p.wait(30), 0)
            self.assertEqual({line[:3] for line in said.decode().splitlines()}, heads, said)
            os.remove(self.db)
        os.close(read)
        os.close(write)

class Units(support.TestCase):
    def test_systemd_has_no_complaint(self):
        """Of the units as they are installed, but for the names of a program, a user and a page that are not here."""
        for name, instance in (('watch', 'var-captures'), ('capture', 'eth1')):
            text = support.read_bytes(os.path.join(os.path.dirname(support.FLOWCARVE), 'flowcarve-%s@.service' % name)).decode()
            text = re.sub(r'(?m)^(ExecStart=)\S+/flowcarve ', lambda m: m.group(1) + support.FLOWCARVE + ' ', text)
            text = re.sub(r'(?m)^Documentation=.*\n', '', re.sub(r'(?m)^(User|Group)=.*', r'\1=root', text))
            unit = self.write('flowcarve-%s@%s.service' % (name, instance), text.encode())
            r = support.run(support.tool('systemd-analyze'), 'verify', unit, ok=None)
            self.assertEqual((r.rc, r.text + r.err), (0, ''))


if __name__ == '__main__':
    support.main()
