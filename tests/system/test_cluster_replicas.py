# SPDX-License-Identifier: MIT
"""Two servers that keep copies of each other's rows by ZooKeeper: what one has missed comes to it, and while it lacks that it gives no answers."""
import contextlib, json, signal, time, unittest

import engines
import support
from support import flowcarve
from test_cluster_export import Engine, index, of_index

TABLES = ('session', 'host', 'span', 'rollup', 'progress', 'sensor')


@unittest.skipUnless(engines.has_server() and engines.has_zookeeper(), 'clickhouse-server and zookeeper are not installed: no copies were kept')
class Copies(Engine):
    def setUp(self):
        super().setUp()
        self.zookeeper = engines.ZooKeeper()
        self.addCleanup(self.zookeeper.close)
        self.servers = engines.servers(1, copies=2, zookeeper=self.zookeeper.port)
        for s in self.servers:
            self.addCleanup(s.close)
        self.zookeeper.wait()

    def counted(self, server, ok=(0, 1)):
        config = self.write('c.ini', b'[engine]\nurl = %s\n' % self.url(server).encode())
        return flowcarve('query', '--cluster', config, '--count', ok=ok)

    def content(self, server):
        """What each table of one server comes to."""
        return [server.ask('SELECT * FROM %s_local FINAL ORDER BY %s FORMAT RowBinary' % (table, order), database=self.base)
                for table, order in zip(TABLES, ('slot, sensor, generation, client, server, client_port, server_port, id',
                                                 'addr, slot, client, server, sensor, generation, id', 'sensor, day, last_day', 'slot, sensor', 'sensor', 'sensor'))]

    def assert_equal_copies(self):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(RuntimeError):
                one, other = map(self.content, self.servers)
                if one == other and all(one):
                    return
            time.sleep(0.05)
        self.fail('the copies do not come to be equal')

    def answers(self, server):
        """Waits until one that was started has what it has missed."""
        until = time.monotonic() + 30
        while self.counted(server, ok=(0, 1, 2)).rc == 2:
            self.assertLess(time.monotonic(), until, 'it does not answer')
            time.sleep(0.1)
        return self.counted(server).text

    def test_one_is_away(self):
        one, other = self.servers
        self.assert_says(flowcarve('cluster', 'init', '--to', self.url(one), '--replicated', ok=2), '--on')
        for s in self.servers:
            flowcarve('cluster', 'init', '-q', '--to', self.url(s), '--on', 'flowcarve', '--replicated')
            self.assertEqual(self.ask('SELECT count() FROM system.replicas WHERE database = currentDatabase()', s), [(6,)])
        files = self.fcgen('c.pcap', '--packets', '4000', '--sessions', '300', '--files', '4', '--fragments', '20')
        db, late = self.path('x.db'), self.path('y.db')

        def grow(n, server):
            index(db, '-q', *(() if n else ('--fields', 'all')), files[n])
            self.assertGreater(json.loads(self.export(db, '--json', server=server).text)['sessions'], 0)
        grow(0, one)
        self.assert_equals_index(db, server=one)
        self.assert_equal_copies()
        self.assertEqual({self.counted(s).text for s in self.servers}, {'%d\n' % len(of_index(db))})

        # the second is away: the first takes and gives all
        other.kill(signal.SIGTERM)
        grow(1, one)
        self.assert_equals_index(db, server=one)
        count = '%d\n' % len(of_index(db))
        self.assertEqual(self.counted(one).text, count)

        # it comes back, and the first is away: what it has missed cannot come to it, and no answer is without that
        time.sleep(1)
        one.kill(signal.SIGTERM)
        other.start()
        for _ in range(5):
            said = self.counted(other, ok=2)
            self.assertEqual(said.text, '', said)
        one.start(wait=False)
        self.assertEqual(self.answers(other), count)
        one.wait()
        for table in TABLES:  # or it would look again in 10 s
            other.ask('SYSTEM RESTART REPLICA %s.%s_local' % (self.base, table))
        self.assert_equal_copies()
        self.assert_equals_index(db, server=other)

        # the first is away, what comes meanwhile is another sensor's and more of the same
        one.kill(signal.SIGTERM)
        grow(2, other)
        index(late, '-q', files[0])
        self.export(late, sensor='ams2', server=other)
        one.start()
        self.assertEqual(self.answers(one), '%d\n' % (len(of_index(db)) + len(of_index(late))))
        self.assert_equal_copies()
        for s in self.servers:
            self.assert_equals_index(db, server=s)
            self.assert_equals_index(late, 'ams2', server=s)

        # without ZooKeeper nothing is taken
        self.zookeeper.process.kill()
        index(db, '-q', files[3])
        self.assert_says(self.export(db, server=one, ok=2), 'engine answers')


if __name__ == '__main__':
    support.main()
