# SPDX-License-Identifier: MIT
"""
Whatever a command is doing when SIGINT or SIGTERM comes, it ends soon, dies of the signal, and leaves nothing that is half made.

FLOWCARVE_TEST_LONG=1 takes larger captures and many moments, and prints how long each command took to end.
"""
import glob, lzma, os, select, shutil, signal, statistics, subprocess, tempfile, time

import support
from support import flowcarve, index

# Seconds: of the clock, where others want the processors, too; and of the processors. 0.2 is what is promised of either on a
# machine that does nothing else.
LIMIT, CPU_LIMIT = (30, 10) if support.sanitized() else (5, .4)
PACKETS = 600_000 if support.LONG else 40_000
FEW = ['port', '53']  # of the sessions that get a file each


class Stop(support.TestCase):
    @classmethod
    def setUpClass(cls):
        """Captures and indexes that all of the commands use: a large one, compressed, and in pieces that overlap."""
        super().setUpClass()
        cls.common = tempfile.mkdtemp(prefix='fc-stop-', dir=support.scratch())
        cls.addClassCleanup(shutil.rmtree, cls.common, True)
        at = lambda name: os.path.join(cls.common, name)
        options = ('--sizes', 'small', '--packets-per-session', '5', '--packets', str(PACKETS))
        cls.big, = support.fcgen(at('big.pcap'), *options)
        cls.taps = support.fcgen(at('tap.pcap'), *options, '--files', '3', '--overlap', '--seed', '7')
        cls.long, = support.fcgen(at('long.pcap'), '--packets', str(PACKETS // 4), '--sizes', 'full', '--sessions', '1')
        cls.packed, cls.order = at('big.pcap.xz'), at('order.pcap.xz')
        data = support.read_bytes(cls.big)
        with lzma.open(cls.packed, 'wb', preset=0) as f:
            f.write(data)
        with lzma.open(cls.order, 'wb', preset=0) as f:  # not in the order of time
            f.write(data + support.read_bytes(cls.taps[1])[24:] + support.read_bytes(cls.taps[0])[24:])
        cls.holes = at('holes.pcap')  # zeros, behind which a search finds nothing
        support.write(cls.holes, data[:100_000])
        os.truncate(cls.holes, support.rounds(100 << 20, 3 << 30))
        os.mkdir(at('db'))
        cls.db, cls.packed_db, cls.order_db, cls.half_db, cls.long_db, cls.holes_db = (at('db/%s.db' % n) for n in 'xpohlz')
        index(cls.db, '-q', '--fields', 'all', cls.big, *cls.taps)
        index(cls.packed_db, '-q', cls.packed)
        index(cls.order_db, '-q', cls.order)
        index(cls.half_db, '-q', cls.taps[0])
        index(cls.long_db, '-q', cls.long)
        index(cls.holes_db, '-q', cls.holes)
        cls.log = at('ids.txt')
        rows = flowcarve('query', '-d', cls.db, '-f', 'tsv', '-C', 'community-id', '--community-id', '-n', '20000').text.splitlines()
        support.write(cls.log, '\n'.join(rows[1:]).encode())

    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(dir=self.common)  # as deep as the indexes, which have relative names
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.random = support.rng(self.id())

    def stop(self, words, number, moment, env):
        """(seconds from the signal to the end, of the processors meanwhile) or None: it had ended before; did it die of the signal?"""
        with subprocess.Popen([support.FLOWCARVE, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.folder,
                              env=support.environment(**env)) as p:
            descriptor = os.pidfd_open(p.pid)
            try:
                end = select.poll()
                end.register(descriptor, select.POLLIN)
                took = None
                if not end.poll(moment * 1000):
                    ticks = support.read_bytes('/proc/%d/stat' % p.pid).rpartition(b')')[2].split()[11:13]
                    start = time.monotonic()
                    os.kill(p.pid, number)  # send_signal() would look whether it has ended, and take its status
                    if not end.poll(60_000):
                        p.kill()
                        self.fail('%s does not end' % words)
                    took = time.monotonic() - start, -sum(map(int, ticks)) / os.sysconf('SC_CLK_TCK')
            finally:
                os.close(descriptor)
            err = p.stderr.read()
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            r = support.Result(words, p.returncode, b'', err)
        support.judge(r, (0, 1) if took is None else (0, 1, -number))
        return took and (took[0], max(took[1] + usage.ru_utime + usage.ru_stime, 0)), r.rc == -number

    def sweep(self, *words, before=None, after=None, env={}):
        """Stops the command at random moments; before() makes what it changes, after() looks at what it has left."""
        took, tries, span = [], support.rounds(2, 12), .25
        if support.LONG:
            before and before()
            begin = time.monotonic()
            flowcarve(*words, ok=(0, 1), cwd=self.folder, env=env)
            span = time.monotonic() - begin
            after and after(False)
        for i in range(tries):
            before and before()
            there = self.listing()
            number = (signal.SIGINT, signal.SIGTERM)[i % 2]
            end, died = self.stop([str(w) for w in words], number, self.random.uniform(0, span), env)
            took += [end] if end else []
            if not after:
                self.assertEqual(self.listing(), there, words)
            after and after(died)
        clock, cpu = zip(*took) if took else ((0,), (0,))
        if support.LONG:
            print('%-8s %-48.48s %6.2f s, stopped %2d: median %4.0f ms, most %4.0f ms; of the processors %4.0f, %4.0f' % (
                words[0], ' '.join(str(w).replace(self.common, '').replace(self.folder, '') for w in words[1:]), span, len(took),
                *(f(t) * 1000 for t in (clock, cpu) for f in (statistics.median, max))), flush=True)
        self.assertLess(max(clock), LIMIT, words)
        self.assertLess(max(cpu), CPU_LIMIT, words)

    # ---- what makes or changes an index

    def fresh(self, *words):
        """No index yet, nor when it is stopped."""
        def after(died):
            self.assertEqual(self.listing(), [] if died else ['y.db'])
            if not died:
                os.remove(self.path('y.db'))
        self.sweep('index', '-q', '-d', 'y.db', *words, after=after)

    def test_index(self):
        self.fresh(self.big)

    def test_index_of_many_fields(self):
        self.fresh('--fields', 'all', '--memory', '16M', *self.taps)

    def test_index_of_damage(self):
        self.fresh(self.holes)

    def test_index_of_xz(self):
        self.fresh(self.packed)

    def test_index_of_copies(self):
        """Plain and compressed: both are decompressed and compared."""
        self.fresh(self.big, self.packed)

    def changing(self, start, *words):
        """What is stopped leaves the index as it was, or, of what goes step by step, true: which a look at its sums shows."""
        old = support.pages(start)

        def before():
            shutil.copy(start, self.path('y.db'))

        def after(died):
            self.assertEqual([n for n in self.listing() if not n.startswith('y.db')], [])
            if died and words[0] == 'index':
                self.assertEqual(self.listing(), ['y.db'])
                self.assertTrue(support.pages(self.path('y.db')) == old, 'an interrupted run changed the index')
            if died and words[0] == 'forget':
                self.assertEqual(support.select(
                    self.path('y.db'), 'SELECT (SELECT sum(client_packets + server_packets) FROM session) - '
                    '(SELECT coalesce(sum(packets), 0) FROM session_forgotten) - (SELECT sum(records - ignored - forgotten) FROM files)'), [(0,)])
            for name in self.listing():
                os.remove(self.path(name))
        self.sweep(words[0], '-q', '-d', 'y.db', *words[1:], before=before, after=after)

    def test_addition_in_bulk(self):
        self.changing(self.half_db, 'index', self.long, self.taps[1])

    def test_addition_of_older_packets(self):
        self.changing(self.db, 'index', self.packed, '--keep-copies')

    def test_index_of_what_was_archived(self):
        """It is decompressed to see that it is a capture of the index."""
        self.changing(self.db, 'index', self.packed)

    def test_forget(self):
        self.changing(self.db, 'forget', self.taps[0], self.big)

    # ---- what reads one

    def test_query(self):
        self.sweep('query', '-d', self.db, '--sort', 'bytes:desc')
        self.sweep('query', '-d', self.db, '-f', 'json')
        self.sweep('query', '-d', self.db, '--from', self.log)

    def test_top(self):
        self.sweep('top', '-d', self.db, '--by', 'pair', '-C', 'sessions,ports,interval')
        self.sweep('stats', '-d', self.db)

    def test_packets(self):
        self.sweep('packets', '-d', self.db, '--fields', 'all', '-f', 'json')
        self.sweep('packets', '-d', self.order_db)
        self.sweep('packets', '-d', self.db, '--from', self.log)

    def test_follow(self):
        self.sweep('follow', '-d', self.long_db, '1', '-f', 'hex')

    def test_verify(self):
        self.sweep('verify', '-q', '-d', self.db)
        self.sweep('verify', '-q', '-d', self.packed_db)
        self.sweep('verify', '-q', '-d', self.holes_db)

    def test_files(self):
        self.sweep('files', '-d', self.order_db, 'check')

    # ---- what makes other files

    def carving(self, *words):
        def after(died):
            self.assertEqual(self.listing(), [] if died else ['out.pcap'])
            if not died:
                os.remove(self.path('out.pcap'))
        self.sweep('carve', '-q', *words, '-w', 'out.pcap', after=after)

    def test_carve(self):
        self.carving('-d', self.db)
        self.carving('-d', self.db, '--compress', 'xz')
        self.carving('-d', self.db, '--from', self.log)
        self.carving('-d', self.db, '--with-peers', '1m,1m', 'port 53')

    def test_carve_of_compressed(self):
        self.carving('-d', self.packed_db, 'port 53')
        self.carving('-d', self.order_db)

    def in_folder(self, *words):
        """Of files of which each is whole; nothing else is left."""
        def after(died):
            self.assertLessEqual(set(self.listing()), {'out'})
            if not os.path.isdir(self.path('out')):
                return
            self.assertEqual([n for n in self.listing('out') if n.startswith('.') or '~' in n or 'tmp' in n.lower()], [])
            for name in self.listing('out')[-3:] if words[0] == 'carve' else []:
                self.assertGreater(len(support.read_capture(self.path('out', name))), 0)
            shutil.rmtree(self.path('out'))
        self.sweep(*words, after=after)

    def test_carve_split(self):
        self.in_folder('carve', '-q', '-d', self.db, '--split', 'out', *FEW)
        self.in_folder('carve', '-q', '-d', self.order_db, '--split', 'out', *FEW)

    def test_follow_to(self):
        self.in_folder('follow', '-q', '-d', self.db, '--to', 'out', 'tcp', 'and', *FEW)

    def test_without_an_index(self):
        for more in ([], ['--no-keep']):
            def after(died):
                self.assertLessEqual(set(self.listing()), {'cache'})
                self.assertEqual([n for n in glob.glob(self.path('cache', 'flowcarve', '*')) if not n.endswith('.db')], [])
                self.assertEqual(glob.glob(self.path('cache', 'flowcarve', '*')) if died and more else [], [])
                shutil.rmtree(self.path('cache'), True)
                os.mkdir(self.path('cache'))
            os.makedirs(self.path('cache'), exist_ok=True)
            self.sweep('query', '-r', self.packed if more else self.big, *more, '-c', after=after,
                       env={'XDG_CACHE_HOME': self.path('cache'), 'TMPDIR': self.path('cache')})


if __name__ == '__main__':
    support.main()
