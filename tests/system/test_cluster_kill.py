# SPDX-License-Identifier: MIT
"""Everything that takes part is killed (SIGKILL) and started again at random, in one run: exporters, sensors and both servers of the engine, while
indexes grow, are exported, asked and carved. What is answered in between is whole or an error; what there is in the end is what one index over all
captures has."""
import collections, json, os, signal, subprocess, threading, time, unittest

import engines, serving, support
from support import S, T0, flowcarve
from test_cluster_export import Engine, index

NAMES = ('nyc1', 'lon.2', 'fra_3')
FILES = 3  # that come to each of them on the way


def without(row):
    return tuple((k, v) for k, v in row.items() if k not in ('sensor', 'id'))


class Sensor:
    """A place: its captures, its index, what serves it, and what exports it."""

    def __init__(self, case, number):
        self.case, self.name, self.db = case, NAMES[number], case.path('%d.db' % number)
        # days apart, so that no session is one of two places
        start = ('--start', str(T0 // S - (number + 1) * 86400)), ('--start', str(T0 // S + number * 86400))
        self.early = case.fcgen('e%d.pcap' % number, '--packets', '2500', '--sessions', '150', '--seed', str(number), *start[0])
        self.late = case.fcgen('l%d.pcap' % number, '--packets', '6000', '--sessions', '300', '--seed', str(50 + number), '--files', str(FILES), *start[1])
        self.captures, self.coming = self.early + self.late, list(self.late)
        index(self.db, '-q', *self.early)
        self.port, self.server, self.exporter = engines.free_port(), None, None
        self.serve()

    def serve(self):
        self.server = serving.Server(self.case, self.db, '--sensor', self.name, listen='127.0.0.1:%d' % self.port)

    def follow(self, url):
        self.exporter = subprocess.Popen([support.FLOWCARVE, 'export', '-q', '-d', self.db, '--sensor', self.name, '--to', url, '--follow'],
                                         stderr=subprocess.DEVNULL, env=support.environment(), preexec_fn=engines.end_with_parent)

    def kill_server(self):
        self.server.process.kill()
        self.server.process.wait()
        self.server.stop(None)

    def kill_exporter(self):
        self.exporter.kill()
        self.exporter.wait()

    def close(self):
        self.kill_server()
        if self.exporter:
            self.kill_exporter()


@unittest.skipUnless(engines.has_server(), 'clickhouse-server is not installed: nothing was killed')
class Killed(Engine):
    def setUp(self):
        super().setUp()
        self.rng = support.rng('killed')
        self.servers = engines.servers(2)
        for s in self.servers:
            self.addCleanup(s.close)
            flowcarve('cluster', 'init', '-q', '--to', self.url(s), '--on', 'flowcarve')
        self.sensors = []
        for number in range(len(NAMES)):
            self.sensors.append(Sensor(self, number))
            self.addCleanup(self.sensors[-1].close)
        self.write('token', serving.TOKEN.encode())
        os.chmod(self.path('token'), 0o600)
        self.config = [self.write('%d.ini' % i, ('[engine]\nurl = %s\n[sensors]\ntoken-file = token\n' % self.url(s) + ''.join(
            '[sensor %s]\nurl = http://127.0.0.1:%d\n' % (x.name, x.port) for x in self.sensors)).encode()) for i, s in enumerate(self.servers)]
        for number, x in enumerate(self.sensors):
            self.export(x.db, sensor=x.name, server=self.servers[number % 2])
            x.follow(self.url(self.servers[number % 2]))
        index(self.path('early.db'), '-q', *(c for x in self.sensors for c in x.early))
        self.early = collections.Counter(map(without, support.sessions(self.path('early.db'))))
        self.early_packets = self.packets([c for x in self.sensors for c in x.early])
        self.all_packets = self.packets([c for x in self.sensors for c in x.captures])
        self.last = 'before %d' % (T0 // S)  # of the captures that were there from the beginning
        self.seen, self.carved, self.counts = set(), collections.Counter(), collections.Counter()

    @staticmethod
    def packets(captures):
        return collections.Counter(support.multiset([r for c in captures for r in support.read_capture(c)]))

    # ---- who is killed, and what comes

    def events(self):
        """Everybody at least once, growth between."""
        victims = [(kind, n) for kind, count in (('engine', 2), ('sensor', 3), ('exporter', 3)) for n in range(count)]
        some = victims + [self.rng.choice(victims) for _ in range(support.rounds(4, 150))]
        self.rng.shuffle(some)
        grown = [('grow', n) for n in range(len(NAMES)) for _ in range(FILES)]
        self.rng.shuffle(grown)
        for at, event in enumerate(grown):
            some.insert(len(some) * (at + 1) // (len(grown) + 1), event)
        return some

    def happen(self, kind, n):
        pause = self.rng.random() * 0.7
        if kind == 'grow':
            index(self.sensors[n].db, '-q', self.sensors[n].coming.pop(0))
        elif kind == 'engine':
            self.servers[n].kill()
            time.sleep(pause)
            self.servers[n].start()
        elif kind == 'sensor':
            self.sensors[n].kill_server()
            time.sleep(pause)
            self.sensors[n].serve()
        else:
            self.sensors[n].kill_exporter()
            time.sleep(pause / 3)
            self.sensors[n].follow(self.url(self.servers[self.rng.randrange(2)]))

    # ---- who asks meanwhile

    def asked(self, command, *words, ok=(0, 2)):
        r = flowcarve(command, '--cluster', self.asking.choice(self.config), *words, ok=ok)
        self.counts[command, r.rc] += 1
        return r if r.rc == 0 else None

    def rows(self, *words, **kw):
        r = self.asked('query', '--format', 'json', *words, **kw)
        return r and [json.loads(line) for line in r.text.splitlines()]

    def check_early_rows(self, **kw):
        rows = self.rows(self.last, **kw)
        self.assertIn(rows and collections.Counter(map(without, rows)), (None, self.early))

    def check_rows(self, **kw):
        """What was there once is there."""
        rows = self.rows(**kw)
        if rows:
            now = {(r['sensor'], r['id']) for r in rows}
            self.assertEqual(self.seen - now, set())
            self.assertGreaterEqual(sum(r['end_ns'] < T0 for r in rows), sum(self.early.values()))
            self.seen = now

    def check_count(self, **kw):
        r = self.asked('query', '--count', **kw)
        self.assertGreaterEqual(int(r.text) if r else len(self.seen), len(self.seen))

    def check_top(self, **kw):
        r = self.asked('top', '--by', 'sensor', '--format', 'json', self.last, **kw)
        if r:
            self.assertEqual(sum(json.loads(line)['sessions'] for line in r.text.splitlines()), sum(self.early.values()))

    def check_carve(self, **kw):
        """Packets of all that was there from the beginning, and of what was carved before."""
        out = self.path('out.pcapng')
        if self.asked('carve', '-q', '-w', out, **kw):
            records = support.parse_capture(support.read_bytes(out))
            times = [r.ts_ns for r in records]
            self.assertEqual(times, sorted(times))
            now = collections.Counter(support.multiset(records))
            for have, want in ((now, self.early_packets), (now, self.carved), (self.all_packets, now)):
                self.assertFalse(want - have)
            self.carved = now
            os.remove(out)
        self.assertFalse(os.path.exists(out))

    def ask_on(self, checks, over):
        try:
            while not over.is_set():
                self.asking.choice(checks)()
        except BaseException as error:  # told where the test is
            self.failed = error

    def test_everything_is_killed(self):
        self.asking, self.failed, over = support.rng('asking'), None, threading.Event()
        checks = [getattr(self, name) for name in sorted(dir(self)) if name.startswith('check_')]
        # what is started ends with the thread that has started it, which therefore is this one
        asking = threading.Thread(target=self.ask_on, args=(checks, over))
        asking.start()
        try:
            for event in self.events():
                time.sleep(self.rng.random() * 0.4)
                self.happen(*event)
                if self.failed:
                    break
        finally:
            over.set()
            asking.join()
        if self.failed:
            raise self.failed
        whole, failed = (sum(n for (_, rc), n in self.counts.items() if rc == status) for status in (0, 2))
        self.assertTrue(whole > 5 and failed > 2, self.counts)
        for x in self.sensors:
            x.exporter.send_signal(signal.SIGTERM)
            self.assertEqual(x.exporter.wait(60), 0)
            self.export(x.db, sensor=x.name, server=self.servers[0])
        self.assert_whole()

    def assert_whole(self):
        db = self.path('all.db')
        index(db, '-q', *(c for x in self.sensors for c in x.captures))
        for x, s in zip(self.sensors, self.servers + self.servers):
            self.assert_equals_index(x.db, x.name, s)
        want = collections.Counter(map(without, support.sessions(db, '--community-id')))
        for i in range(2):
            self.asking = support.rng(i)
            self.assertEqual(collections.Counter(map(without, self.rows('--community-id', ok=0))), want)
            for check in (self.check_early_rows, self.check_rows, self.check_count, self.check_top, self.check_carve):
                check(ok=0)
        self.assertEqual(self.carved, self.all_packets)
        self.assertEqual(len(self.seen), sum(want.values()))


if __name__ == '__main__':
    support.main()
