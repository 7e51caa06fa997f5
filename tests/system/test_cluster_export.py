# SPDX-License-Identifier: MIT
"""What `flowcarve export` brings to an engine is what the index says, whatever ends either of them on the way.

The yardstick is plain sqlite3 reading the index. The engine is ClickHouse 18.16 as Debian has it, and a current release (npm's chdb) where
FLOWCARVE_CLUSTER_TOOLS leads to it."""
import contextlib, http.client, http.server, ipaddress, itertools, json, os, random, re, signal, socketserver, sqlite3, struct, subprocess
import threading, time, unittest

import engines
import serving
import support
from support import S, T0, flowcarve, select, tcp, udp, udp_fragments

NONE, SLOT, DAY = -2**63, 300 * S, 86400 * S
STATES = ('new', 'established', 'closed', 'reset', 'midstream')
NUMBERS = 'client_packets server_packets client_bytes server_bytes'.split()
TEXTS = 'vlan mpls tunnel client_mac server_mac community_id'.split()
FIELDS = ('client_ttl server_ttl client_dscp server_dscp client_tcp_flags server_tcp_flags client_isn server_isn client_payload '
          'server_payload').split()
COLUMNS = ('id day slot timed start_ns end_ns proto kind hex(client) hex(server) client_port server_port'.split() + NUMBERS +
           ['state', 'flags'] + FIELDS + ['hex(%s)' % t for t in TEXTS])
databases = itertools.count(1)


def index(db, *words):
    """With Community IDs, which the engine has of every index."""
    support.index(db, *(() if os.path.exists(db) or '--fields' in words else ('--fields', 'community-id')), *words)


def address(kind, text):
    if kind == 4:
        return b'\0' * 10 + b'\xff\xff' + ipaddress.ip_address(text).packed
    if kind == 6:
        return ipaddress.ip_address(text).packed
    return bytes.fromhex(text.replace(':', '')).ljust(16, b'\0') if text else bytes(16)


def in_hex(text, mac=False):
    if text is None:
        return None
    return (bytes.fromhex(text.replace(':', '')) if mac else text.encode() if isinstance(text, str) else text).hex().upper()


def of_index(db):
    """Rows as the engine is to have them, from view `sessions` and what it leaves out, by ID."""
    rows = {}
    with support.open_db(db) as c:
        c.row_factory = sqlite3.Row
        for r in c.execute('SELECT v.*, s.proto AS number, s.kind AS kind, s.flags & ~8 AS flags FROM sessions v JOIN session s USING (id)'):
            timed = r['start_ns'] is not None
            day = min(max(r['start_ns'] // DAY, 0), 49672) if timed else 0
            ports = [-1 if r[p] is None else r[p] for p in ('client_port', 'server_port')]
            ends = [address(r['kind'], r[a]).hex().upper() for a in ('client_addr', 'server_addr')]
            rows[r['id']] = tuple([r['id'], day, r['start_ns'] // SLOT if timed else NONE, int(timed), r['start_ns'] or 0, r['end_ns'] or 0,
                                   r['number'], r['kind']] + ends + ports + [r[n] for n in NUMBERS] + [STATES.index(r['state']), r['flags']] +
                                  [r[f] for f in FIELDS] + [in_hex(r[t], t.endswith('mac')) for t in TEXTS])
    return rows


def value(text):
    if text == '\\N':
        return None
    return int(text) if text.lstrip('-').isdigit() and len(text) < 400 else text


class Proxy:
    """Between the program and an engine: at some request it fails, in one of the ways in which networks and engines do."""

    def __init__(self, url):
        self.count, self.plan, self.seen, self.at, self.bytes = 0, {}, [], None, 0
        host = url.split('//')[1]
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            disable_nagle_algorithm = True  # an answer goes out in pieces
            protocol_version = 'HTTP/1.1'

            def log_message(self, *_):
                pass

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
                number, proxy.count = proxy.count, proxy.count + 1
                proxy.seen.append((self.path + ' ' + body[:60].decode(errors='replace')))
                proxy.bytes += len(body)
                how = proxy.plan.get(number)
                if proxy.at:
                    proxy.at(number)
                if how == 'not stored':
                    self.close_connection = True
                    return
                c = http.client.HTTPConnection(host, timeout=60)
                passed = ('Content-Type', 'Content-Encoding')
                c.request(self.command, self.path, body, {name: self.headers[name] for name in passed if self.headers[name]})
                answer = c.getresponse()
                text = answer.read()
                c.close()
                if how == 'stored':
                    self.close_connection = True
                    return
                if how == 'stored, and an error':
                    answer.status, text = 500, b'Code: 999, e.displayText() = DB::Exception: as 18.16 does, e.what() = DB::Exception'
                with contextlib.suppress(ConnectionError):  # who was killed does not listen
                    self.send_response(answer.status)
                    for name, content in answer.getheaders():
                        if name.lower().startswith('x-clickhouse'):
                            self.send_header(name, content)
                    self.send_header('Content-Length', str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            do_GET = do_POST = pass_on

        self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = 'http://127.0.0.1:%d' % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(.02,), daemon=True).start()

    def begin(self, plan=None):
        self.count, self.plan, self.seen = 0, plan or {}, []

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Engine(support.TestCase):
    """What all tests of an engine share; `engine` is the class's."""

    def setUp(self):
        super().setUp()
        self.base = 't%d' % next(databases)

    def url(self, server=None):
        return '%s/%s' % ((server or self.engine).url, self.base)

    def export(self, db, *words, sensor='nyc1', server=None, **kw):
        return flowcarve('export', '-d', db, '--sensor', sensor, '--to', self.url(server), *words, **kw)

    def ask(self, sql, server=None):
        """Rows of an answer."""
        text = (server or self.engine).ask(sql + ' FORMAT TabSeparated', database=self.base).decode()
        return [tuple(value(v) for v in line.split('\t')) for line in text.splitlines()]

    def generation(self, sensor='nyc1', server=None):
        found = self.ask("SELECT hex(generation) FROM sensor WHERE sensor = '%s' ORDER BY since DESC LIMIT 1" % sensor, server)
        return str(found[0][0]) if found else None

    def of_sensor(self, sensor='nyc1', server=None):
        return "sensor = '%s' AND hex(generation) = '%s'" % (sensor, self.generation(sensor, server))

    def run_of(self, sensor='nyc1', server=None):
        return self.ask('SELECT run FROM progress WHERE %s ORDER BY step DESC LIMIT 1' % self.of_sensor(sensor, server), server)[0][0]

    def latest(self, sensor='nyc1', server=None, where='1'):
        """A selection of what there is: the latest revision under each ID, of what the conditions on the key find."""
        columns = [c.replace('day', 'toUInt16(day)') if c == 'day' else c for c in COLUMNS]
        rows = self.ask('SELECT %s FROM (SELECT * FROM session WHERE %s AND %s ORDER BY revision DESC LIMIT 1 BY id)'
                        ' WHERE deleted = 0 AND (id > 0 OR revision = %d) ORDER BY id' %
                        (', '.join(columns), self.of_sensor(sensor, server), where, 2 * self.run_of(sensor, server) + 1), server)
        return {row[0]: row for row in rows}

    def assert_equals_index(self, db, sensor='nyc1', server=None):
        want, have = of_index(db), self.latest(sensor, server)
        self.assertEqual(set(want) - set(have), set())
        self.assertEqual(set(have) - set(want), set())
        for i, row in want.items():
            self.assertEqual(dict(zip(COLUMNS, have[i])), dict(zip(COLUMNS, map(self.as_text, row))), 'session %d' % i)
        self.assertEqual(self.run_of(sensor, server), select(db, 'SELECT max(id) FROM run')[0][0])
        self.assert_sums(want, sensor, server)
        self.assert_hosts(want, sensor, server)

    @staticmethod
    def as_text(v):
        return value(v) if isinstance(v, str) else v

    def assert_sums(self, want, sensor, server=None):
        sums = {}
        c = {name: i for i, name in enumerate(COLUMNS)}
        for row in want.values():
            if row[0] > 0:
                s = sums.setdefault((row[c['slot']], row[c['proto']], row[c['state']]), [0, 0, 0])
                s[0] += 1
                s[1] += row[c['client_packets']] + row[c['server_packets']]
                s[2] += row[c['client_bytes']] + row[c['server_bytes']]
        rows = self.ask('SELECT slot, p, s, n, packet, byte FROM (SELECT * FROM rollup WHERE %s ORDER BY revision DESC LIMIT 1 BY slot)'
                        ' ARRAY JOIN proto AS p, state AS s, sessions AS n, packets AS packet, bytes AS byte' % self.of_sensor(sensor, server), server)
        self.assertEqual({row[:3]: list(row[3:]) for row in rows}, sums)

    def assert_hosts(self, want, sensor, server=None):
        """Each session under both of its addresses; and no day on which one ends is missing."""
        have = set(self.ask('SELECT hex(addr), id, slot FROM host WHERE %s' % self.of_sensor(sensor, server), server))
        missing = {(value(row[end]), row[0], row[2]) for row in want.values() for end in (8, 9)} - have
        self.assertEqual(missing, set())
        spans = set(self.ask('SELECT toUInt16(day), toUInt16(last_day) FROM span WHERE %s' % self.of_sensor(sensor, server), server))
        self.assertEqual({(row[1], min(max(row[5] // DAY, 0), 49672)) for row in want.values()} - spans, set())


class Cases:
    def small(self, *options, fields='all', name='a'):
        files = self.fcgen(name + '.pcap', '--packets', '3000', '--sessions', '400', *options)
        db = self.path(name + '.db')
        index(db, '-q', '--fields', fields, *files)
        return db

    def test_all_columns(self):
        db = self.small('--vlan', '30', '--ipv6', '40', '--fragments', '20', '--proto', 'tcp=50,udp=30,icmp=10,arp=5,sctp=5')
        r = self.export(db, '--json')
        said = json.loads(r.text)
        self.assertEqual((said['sessions'], said['run'], said['flipped']), (len(of_index(db)), 1, True))
        self.assert_equals_index(db)
        before = self.ask('SELECT step, told_ns FROM progress')
        self.assertIn('nothing new', self.export(db).err)
        self.assertEqual(self.ask('SELECT step, told_ns FROM progress'), before)  # nobody is told what is known

    def test_compressed(self):
        db, taken = self.small(), []
        with contextlib.closing(Proxy(self.engine.url)) as proxy:
            for sensor, words in (('plain', ()), ('packed', ('--compress',))):
                proxy.bytes = 0
                self.export(db, *words, sensor=sensor, server=proxy)
                taken.append(proxy.bytes)
                self.assert_equals_index(db, sensor)
        self.assertLess(taken[1], taken[0] / 2)

    def test_an_index_is_the_same_behind_it_but_for_its_generation(self):
        db = self.small()
        before = support.dump(db)
        self.export(db)
        generation = select(db, "SELECT value FROM meta WHERE name = 'generation'")
        self.assertRegex(generation[0][0], '^[0-9a-f]{32}$')
        self.assertEqual(self.generation().lower(), generation[0][0])
        with support.open_db(db, write=True) as c:
            c.execute("DELETE FROM meta WHERE name = 'generation'")
            c.commit()
        self.assert_same_dump(before, support.dump(db))

    def test_community_ids_of_an_index_without(self):
        files = self.fcgen('c.pcap', '--packets', '900', '--sessions', '200', '--ipv6', '40', '--proto', 'tcp=50,udp=30,icmp=10,arp=5,sctp=5')
        db, plain = self.path('x.db'), self.path('plain.db')
        index(db, '-q', *files)
        support.index(plain, '-q', *files)
        self.export(plain)
        want = select(db, 'SELECT s.id, x.community_id FROM session s LEFT JOIN session_fields x USING (id) ORDER BY 1')
        self.assertEqual(self.ask('SELECT id, community_id FROM session ORDER BY id'), want)
        self.assertGreater(len({c for _, c in want}), 100)

    def test_what_comes_and_what_changes(self):
        files = self.fcgen('c.pcap', '--packets', '6000', '--sessions', '300', '--files', '6')
        db = self.path('x.db')
        for f in files[:3]:
            index(db, '-q', f)
            self.export(db)
            self.assert_equals_index(db)
        for f in files[3:]:
            index(db, '-q', f)
        changed = json.loads(self.export(db, '--json').text)
        self.assertGreater(len(select(db, 'SELECT 1 FROM run')), 5)
        self.assertGreater(changed['sessions'], 0)
        self.assert_equals_index(db)
        # rows that were replaced are away once the engine has made one part of them
        self.engine.ask('OPTIMIZE TABLE session FINAL', database=self.base)
        self.assert_equals_index(db)

    def moving(self):
        """An index to which an older capture comes; sessions start earlier, some change ends, one is between two ports of one address."""
        a, b, c = ('10.0.0.1', 4000), ('10.0.0.2', 80), ('10.0.0.3', 5353)
        late, early = [], []
        for i in range(40):
            x, y = ('10.0.1.%d' % i, 1000 + i), ('10.0.2.%d' % (i % 7), 53)
            late += [(T0 + 7200 * S + i * S, udp(*x, *y, b'later')), (T0 + 7201 * S + i * S, udp(*y, *x, b'answer'))]
            if i % 2:  # the other end begins, and 5 minutes may lie between
                early.append((T0 + (7190 if i % 4 == 1 else 7100) * S + i * S, udp(*y, *x, b'earlier')))
            elif i % 4 == 0:
                early.append((T0 + 7150 * S + i * S, udp(*x, *y, b'earlier')))
        one = ('10.9.9.9', 7000), ('10.9.9.9', 8000)
        late.append((T0 + 7210 * S, udp(*one[0], *one[1], b'late')))
        early.append((T0 + 7205 * S, udp(*one[1], *one[0], b'early')))
        night = (T0 // DAY + 3) * DAY  # over midnight, into another partition
        late.append((night + 5 * S, tcp(*a, *b, 'A', 5, 5, b'x')))
        early.append((night - 20 * S, tcp(*b, *a, 'A', 5, 5, b'y')))
        late.append((night + 5 * S, udp(*c, *b, b'alone')))
        return [self.write('%s.pcap' % n, support.pcap_bytes(sorted(p, key=lambda x: x[0]))) for n, p in (('late', late), ('early', early))]

    def test_an_older_capture_later(self):
        late, early = self.moving()
        db = self.path('x.db')
        index(db, '-q', late)
        self.assertEqual(select(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'moved'"), [(0,)])
        self.export(db)
        self.assert_equals_index(db)
        before = of_index(db)
        index(db, '-q', early)
        moved = select(db, 'SELECT session, run, start_ns, turned FROM moved ORDER BY 1')
        # by what the index said before, and says now
        now = of_index(db)
        ends = [before[i][4] != now[i][4] or before[i][8:12] != now[i][8:12] for i in before]
        self.assertEqual([i for i, is_moved in zip(before, ends) if is_moved], [m[0] for m in moved])
        self.assertEqual([(before[m[0]][4], int(before[m[0]][8:12] != now[m[0]][8:12])) for m in moved], [m[2:] for m in moved])
        self.assertGreater(sum(m[3] for m in moved), 10)
        said = json.loads(self.export(db, '--json').text)
        self.assertGreater(said['tombstones'], 10)
        self.assert_equals_index(db)
        self.assert_found_by_keys(db)
        self.engine.ask('OPTIMIZE TABLE session FINAL', database=self.base)
        self.assert_equals_index(db)
        self.assert_found_by_keys(db)

    def assert_found_by_keys(self, db):
        """Whatever of the key is asked for, what is found is what the index says: no row is left where a session was before."""
        want = of_index(db)
        c = {name: i for i, name in enumerate(COLUMNS)}
        asked = [('slot = %d' % slot, lambda r, slot=slot: r[c['slot']] == slot) for slot in sorted({r[c['slot']] for r in want.values()})]
        for end in ('client', 'server'):
            for a in random.Random(1).sample(sorted({r[c['hex(%s)' % end]] for r in want.values()}), 4) + [address(4, '10.9.9.9').hex().upper()]:
                asked.append(("hex(%s) = '%s'" % (end, a), lambda r, end=end, a=a: r[c['hex(%s)' % end]] == a))
            for p in (53, 80, 1001, 4000, 7000, 8000):
                asked.append(('%s_port = %d' % (end, p), lambda r, end=end, p=p: r[c[end + '_port']] == p))
        for where, fits in asked:
            self.assertEqual({i: tuple(map(self.as_text, r)) for i, r in want.items() if fits(r)}, self.latest(where=where), where)

    def test_moved_twice_between_two_exports(self):
        x, y = ('10.0.0.1', 1000), ('10.0.0.2', 2000)
        times = ((3000, x, y), (2900, y, x), (2600, x, y), (2300, x, y))
        files = [self.write('%d.pcap' % i, support.pcap_bytes([(T0 + t * S, udp(*a, *b, b'x'))])) for i, (t, a, b) in enumerate(times)]
        for exported in ((0,), (0, 1), (0, 2), (0, 1, 2)):
            db, sensor = self.path('%s.db' % (exported,)), 's%d' % len(os.listdir(self.path('.')))
            for i, f in enumerate(files):
                index(db, '-q', '--timeout', 'udp=3600', f)
                if i in exported:
                    self.export(db, sensor=sensor)
            self.assertEqual(len(of_index(db)), 1)
            self.export(db, sensor=sensor)
            self.assert_equals_index(db, sensor)
            for slot in {(T0 + t * S) // SLOT for t, _, _ in times}:
                self.assertEqual(len(self.latest(sensor, where='slot = %d' % slot)), slot == (T0 + 2300 * S) // SLOT)

    def test_moved_goes_with_its_session(self):
        late, early = self.moving()
        db = self.path('x.db')
        index(db, '-q', late)
        index(db, '-q', early)
        self.assertGreater(select(db, 'SELECT count(*) FROM moved')[0][0], 10)
        flowcarve('forget', '-d', db, '-q', late)
        self.assertEqual(select(db, 'SELECT count(*) FROM moved m WHERE NOT EXISTS (SELECT 1 FROM session WHERE id = m.session)'), [(0,)])
        flowcarve('forget', '-d', db, '-q', early)
        self.assertEqual(select(db, 'SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM moved)'), [(0, 0)])
        support.verify(db)

    def test_provisional_ones(self):
        parts = udp_fragments('10.0.0.1', 1000, '10.0.0.2', 53, 7)
        plain = [(T0, udp('10.0.0.5', 5, '10.0.0.6', 6, b'x'))]
        files = [self.write('%d.pcap' % i, support.pcap_bytes(p)) for i, p in enumerate((
            plain + [(T0 + S, parts[1]), (T0 + 2 * S, parts[2])],
            [(T0 + 3 * S, udp('10.0.0.7', 7, '10.0.0.8', 8, b'x'))],
            [(T0 + 4 * S, parts[0])]))]
        db, provisional = self.path('x.db'), []
        for f in files:
            index(db, '-q', f)
            self.export(db)
            self.assert_equals_index(db)
            provisional.append(select(db, 'SELECT count(*) FROM session WHERE id < 0')[0][0])
        self.assertEqual(provisional, [1, 1, 0])

    def test_times_of_all_kinds(self):
        """Before 1970, behind 2105, none at all, and far apart from one another: each in a partition that there is."""
        count = self.partitions
        packet = [udp('10.0.0.1', 1000 + i, '10.0.0.2', 53, b'x') for i in range(count)]
        silent = support.block('<', 3, struct.pack('<I', len(packet[0])) + packet[0])
        body = support.shb() + support.idb() + silent
        body += b''.join(support.epb('<', 0, t // 1000, p)
                         for t, p in ((T0 + (i * 55000 // count - 15000) * DAY, p) for i, p in enumerate(packet[1:])))
        old = support.shb() + support.idb(options=support.option('<', 14, struct.pack('<q', -2 * 10**9))) + support.epb('<', 0, 5000000, packet[1])
        db = self.path('x.db')
        index(db, '-q', self.write('a.pcapng', body), self.write('b.pcapng', old))
        starts = [s for (s,) in select(db, 'SELECT start_ns FROM session')]
        self.assertIn(None, starts)
        self.assertLess(min(s for s in starts if s is not None), 0)
        self.assertGreater(max(s for s in starts if s is not None), 49673 * DAY)
        self.assertGreater(len({s // DAY for s in starts if s is not None}), count * 3 // 4)
        self.export(db)
        self.assert_equals_index(db)

    def test_what_the_page_says(self):
        """docs/cluster.md: asking by hand, and what is too old goes by days."""
        late, early = self.moving()
        db = self.path('x.db')
        index(db, '-q', late)
        self.export(db)
        index(db, '-q', early)
        self.export(db)
        page = support.read_bytes(os.path.join(support.ROOT, 'docs', 'cluster.md')).decode()
        sql = re.search(r'    SELECT IPv6NumToString.*?LIMIT 10', page, re.S).group()
        days = select(db, 'SELECT DISTINCT start_ns / %d FROM session ORDER BY 1' % DAY)
        day = time.strftime('%Y-%m-%d', time.gmtime(days[0][0] * 86400))
        have = self.ask(sql.replace('2024-05-31', day).replace('LIMIT 10', ''))
        want = select(db, "SELECT '::ffff:' || server_addr, count(*), sum(server_bytes) FROM sessions WHERE start_ns / %d = %d GROUP BY 1"
                      % (DAY, days[0][0]))
        self.assertEqual(sorted(have), sorted(want))
        self.assertEqual([row[2] for row in have], sorted((row[2] for row in want), reverse=True))
        last = time.strftime('%Y-%m-%d', time.gmtime(days[-1][0] * 86400))
        parts = re.search(r'"(SELECT DISTINCT partition.*?)"', page, re.S).group(1).replace('2024-03-01', last)
        for (partition,), table in itertools.product(self.ask(parts), re.search(r'for table in (.*?);', page).group(1).split()):
            self.engine.ask("ALTER TABLE %s DROP PARTITION '%s'" % (table, partition), database=self.base)
        left = {i: row for i, row in of_index(db).items() if row[1] == days[-1][0]}
        self.assertTrue(left)
        self.assertEqual(set(self.latest()), set(left))
        self.assert_sums(left, 'nyc1')
        self.assertEqual(self.ask('SELECT count() FROM host WHERE day < \'%s\'' % last), [(0,)])
        # of an index that is not asked any more
        old = self.generation()
        self.export(db, '--again')
        self.engine.ask(re.search(r'`(ALTER TABLE session DELETE.*?)`', page).group(1).replace('…', old), database=self.base)
        for _ in range(100):
            if not self.ask("SELECT 1 FROM session WHERE hex(generation) = '%s' LIMIT 1" % old):
                break
            time.sleep(0.05)
        else:
            self.fail('it is still there')
        self.assert_equals_index(db)

    def test_hostile_text(self):
        """Values that somebody has written into the index go where they belong, and do nothing else."""
        db = self.small()
        texts = ["'; DROP TABLE session --", 'a\tb\nc\\d', '\0\x01', 'x' * 5000, '\u202e\u65e5', '']
        with support.open_db(db, write=True) as c:
            for i, t in enumerate(texts):
                c.execute('UPDATE session_fields SET vlan = ?, mpls = ?, tunnel = ? WHERE id = ?', (t, t, t, i + 1))
            c.execute('UPDATE session_fields SET vlan = ? WHERE id = 9', (b'\xff\xfe\x00',))
            c.commit()
        self.export(db)
        have = dict(self.ask("SELECT id, concat('=', hex(vlan)) FROM session WHERE id < 10"))
        for i, t in enumerate(texts):
            self.assertEqual(have[i + 1], '=' + t.encode().hex().upper())
        self.assertEqual(have[9], '=FFFE00')

    def test_a_damaged_index(self):
        db = self.small()
        index(db, '-q', self.write('more.pcap', support.pcap_bytes([(T0 + 9000 * S, udp('1.1.1.1', 1, '2.2.2.2', 2))])))
        for sql, says in (("UPDATE session SET client_addr = 'x' WHERE id = 5", 'session 5 is damaged'),
                          ("UPDATE meta SET value = 'x' WHERE name = 'generation'", 'generation is damaged'),
                          ('UPDATE run SET last_session = 9223372036854775807', 'is damaged'),
                          ('UPDATE run SET last_session = -5', 'is damaged'),
                          ("CREATE TABLE moved (x); UPDATE run SET id = id + 5", 'cannot read')):
            copy = self.path('copy.db')
            self.write('copy.db', support.read_bytes(db))
            flowcarve('export', '-d', copy, '--sensor', 'x', '--to', 'http://127.0.0.1:1/b', ok=2)  # gives it a generation
            with support.open_db(copy, write=True) as c:
                c.executescript(sql)
            self.assert_says(self.export(copy, ok=2), 'copy.db', says)
        self.export(db)
        index(db, '-q', self.write('less.pcap', support.pcap_bytes([(T0 + 9001 * S, udp('1.1.1.1', 1, '2.2.2.2', 2))])))
        with support.open_db(db, write=True) as c:
            c.execute("UPDATE run SET changed = x'ffffffffffffffffffffff' WHERE id = 3")
            c.commit()
        self.assert_says(self.export(db, ok=2), 'a.db', 'run 3 has changed is damaged')

    def test_refused(self):
        db = self.small()
        for words, says in (((), '--sensor NAME'), (('--sensor', 'a b', '--to', self.url()), 'letters'),
                            (('--sensor', 'x'), '--to http'), (('--sensor', 'x', '--to', 'ftp://a/b'), 'http://'),
                            (('--sensor', 'x', '--to', self.engine.url), 'database'),
                            (('--sensor', 'x', '--to', 'http://u:p@127.0.0.1:1/b'), 'no password'),
                            (('--sensor', 'x', '--to', self.url(), '--cluster', 'c.ini'), 'which engine'),
                            (('--sensor', 'x', '--to', self.url(), 'word'), 'no words'),
                            (('--sensor', 'x', '--to', 'http://127.0.0.1:%d/b' % engines.free_port()), 'onnect')):
            self.assert_says(flowcarve('export', '-d', db, *words, ok=2), says)
        self.assert_says(flowcarve('export', '-d', self.path('none.db'), '--sensor', 'x', '--to', self.url(), ok=2), 'none.db')
        self.assertEqual(len(select(db, "SELECT 1 FROM meta WHERE name = 'generation'")), 1)

    def test_an_older_copy(self):
        files = self.fcgen('c.pcap', '--packets', '900', '--sessions', '60', '--files', '3')
        db, copy = self.path('x.db'), self.path('copy.db')
        index(db, '-q', files[0])
        self.export(db)
        self.write('copy.db', support.read_bytes(db))
        index(db, '-q', files[1])
        self.export(db)
        self.assert_says(self.export(copy, ok=2), 'older copy', '--again')
        self.assert_equals_index(db)
        # as many runs, and other captures
        index(copy, '-q', self.write('old.pcap', support.pcap_bytes([(T0 - 99999 * S, udp('1.1.1.1', 1, '2.2.2.2', 2))])))
        self.assert_says(self.export(copy, ok=2), 'another way', '--again')
        before = self.generation()
        said = json.loads(self.export(copy, '--again', '--json').text)
        self.assertEqual((said['flipped'], said['sessions']), (True, len(of_index(copy))))
        self.assertNotEqual(self.generation(), before)
        self.assert_equals_index(copy)
        # the one that was there before does not take the name back by itself
        self.assert_says(self.export(db, ok=2), 'another index by now')
        self.assert_equals_index(copy)
        self.export(db, '--again')
        self.assert_equals_index(db)

    def test_a_remade_index(self):
        """It is sent beside the one before; who asks sees one or the other as a whole."""
        db = self.small()
        self.export(db)
        first, want = self.generation(), of_index(db)
        os.remove(db)
        db2 = self.small('--seed', '5')
        proxy = Proxy(self.engine.url)
        with contextlib.closing(proxy):
            self.export(db2, server=proxy)
            stop = next(i for i, text in enumerate(proxy.seen) if 'INSERT INTO sensor' in text)
            self.assertEqual([i for i, text in enumerate(proxy.seen) if 'session%20' in text][-1] < stop, True)
        self.assertNotEqual(self.generation(), first)
        self.assert_equals_index(db2)
        still = self.ask("SELECT count() FROM (SELECT id FROM session WHERE hex(generation) = '%s' GROUP BY id)" % first)
        self.assertEqual(still, [(len(want),)])

    def test_forgotten_before_it_was_sent(self):
        files = self.fcgen('c.pcap', '--packets', '1200', '--sessions', '80', '--files', '3')
        db = self.path('x.db')
        for f in files:
            index(db, '-q', f)
        flowcarve('forget', '-d', db, '-q', files[0])
        gone = select(db, 'SELECT max(last_session) - (SELECT count(*) FROM session WHERE id > 0) FROM run')[0][0]
        self.assertGreater(gone, 5)
        r = self.export(db)
        self.assertIn('%d sessions not sent' % gone, r.err)
        self.assert_equals_index(db)
        # what is forgotten once it was sent stays
        have = set(self.latest())
        flowcarve('forget', '-d', db, '-q', files[1])
        self.export(db)
        self.assertEqual(set(self.latest()), have)

    def test_runs_that_are_gone(self):
        """Of a journal that has gaps all that there is is sent once more, also where sessions were before."""
        late, early = self.moving()
        db = self.path('x.db')
        index(db, '-q', late)
        self.export(db)
        index(db, '-q', early)
        index(db, '-q', self.write('more.pcap', support.pcap_bytes([(T0 + 9000 * S, udp('1.1.1.1', 1, '2.2.2.2', 2))])))
        with support.open_db(db, write=True) as c:
            c.execute('DELETE FROM run WHERE id = 2')
            c.commit()
        r = json.loads(self.export(db, '--json').text)
        self.assertTrue(r['gap'])
        self.assertEqual(r['sessions'], len(of_index(db)))
        self.assert_equals_index(db)
        self.assert_found_by_keys(db)

    def test_every_request_fails_once(self):
        """Not stored, stored without an answer, stored with an error: for each request of an export, and the next export ends it."""
        late, early = self.moving()
        first, both, proxy = self.path('first.db'), self.path('both.db'), Proxy(self.engine.url)
        ways = ('stored', 'not stored', 'stored, and an error')
        index(first, '-q', late)
        with contextlib.closing(proxy):
            self.export(first, sensor='probe', server=proxy)
            proxy.begin()
            self.export(first, '--again', sensor='probe', server=proxy)
            requests = proxy.count
            self.assertGreater(requests, 5)
            self.write('both.db', support.read_bytes(first))
            index(both, '-q', early)
            for n in range(requests):
                sensor = 's%d' % n
                for db in first, both:
                    proxy.begin({n: ways[(n + (db == both)) % 3]})
                    self.export(db, sensor=sensor, server=proxy, ok=(0, 2))
                self.export(both, sensor=sensor)
                self.assert_equals_index(both, sensor)

    def test_status(self):
        db = self.small()
        self.assert_says(flowcarve('cluster', 'status', '--to', self.url(), ok=2), self.base)
        flowcarve('cluster', 'init', '--to', self.url())
        self.assertEqual(flowcarve('cluster', 'status', '--to', self.url(), '-f', 'json', ok=1).text, '')
        self.export(db)
        config = self.write('c.ini', b'[engine]\nurl = %s\n[sensor nyc1]\nurl = http://127.0.0.1:1\n[sensor ams2]\nurl = http://127.0.0.1:1\n'
                            % self.url().encode())
        rows = [json.loads(line) for line in flowcarve('cluster', 'status', config, '-f', 'json').text.splitlines()]
        self.assertEqual([(r['sensor'], r['state'], r['sessions'], r['run']) for r in rows],
                         [('ams2', 'nothing', None, None), ('nyc1', 'there', len([i for i in of_index(db) if i > 0]), 1)])
        self.assertEqual(rows[1]['generation'], select(db, "SELECT value FROM meta WHERE name = 'generation'")[0][0])
        self.assertLess(0, rows[1]['lag_s'] + 1)
        self.assertLess(rows[1]['lag_s'], 60)
        self.assertIn('nyc1', flowcarve('cluster', 'status', config, '-f', 'table').text)
        # and what the sensors say
        self.assertEqual([(r['answers'], r['version'], r['clock_s']) for r in rows], 2 * [('no', None, None)])
        with serving.Server(self, db, '--sensor', 'nyc1') as sensor, serving.Server(self, self.small(name='b'), '--sensor', 'ams2') as other:
            self.write('token', serving.TOKEN.encode())
            os.chmod(self.path('token'), 0o600)
            for ports, said in (((sensor.port, other.port), [('yes', 'yes'), '']), ((other.port, sensor.port), [('another name', 'another index'), "it calls itself"]),
                                ((sensor.port, 1), [('no', 'yes'), 'sensor ams2: '])):
                self.write('c.ini', b'[engine]\nurl = %s\n[sensors]\ntoken-file = token\n[sensor nyc1]\nurl = http://127.0.0.1:%d\n[sensor ams2]\nurl = http://127.0.0.1:%d\n'
                           % (self.url().encode(), *ports))
                r = flowcarve('cluster', 'status', config, '-f', 'json')
                rows = [json.loads(line) for line in r.text.splitlines()]
                self.assertEqual((rows[0]['answers'], rows[1]['answers']), said[0])
                self.assertIn(said[1], r.err)
                self.assertTrue(all(abs(row['clock_s']) < 2 and row['version'] for row in rows if row['answers'] != 'no'))
            self.assertEqual(flowcarve('cluster', 'status', config, '-f', 'json', '-q').err, '')
        # by the file of the cluster as by the address
        self.assertIn('nothing new', flowcarve('export', '-d', db, '--sensor', 'nyc1', '--cluster', config).err)

    def test_schema(self):
        made = flowcarve('cluster', 'schema').text
        self.assertEqual(made.count('CREATE TABLE'), 6)
        self.assertNotIn('@', made)
        many = flowcarve('cluster', 'schema', '--on', 'flowcarve', '--replicated').text
        self.assertIn('Distributed(big, other, session_local', flowcarve('cluster', 'schema', '--on', 'big', '--to', 'http://127.0.0.1:1/other').text)
        self.assertEqual((many.count('Distributed(flowcarve, flowcarve,'), many.count("ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/")), (6, 6))
        self.assert_says(flowcarve('cluster', 'schema', '--on', "x'); DROP", ok=2), 'letters')
        self.assert_says(flowcarve('cluster', 'schema', '--replicated', ok=2), '--on')
        self.assert_says(flowcarve('cluster', ok=2), 'init, status or schema')
        self.assert_says(flowcarve('cluster', 'wipe', ok=2), 'wipe')
        self.assert_says(flowcarve('cluster', 'init', '--to', self.url(), '--on', 'nowhere_else', ok=2), 'nowhere_else')

    def test_runs_in_the_middle_of_an_export(self):
        """Rows may be of a later run than the step that they are sent in; in the end all are as the index has them."""
        late, early = self.moving()
        more = self.write('more.pcap', support.pcap_bytes([(T0 + (7000 + i) * S, udp('10.0.2.%d' % (i % 7), 53, '10.0.1.%d' % i, 1000 + i)) for i in range(40)]))
        proxy = Proxy(self.engine.url)
        self.export(self.small(), sensor='other')
        with contextlib.closing(proxy):
            for n in range(3, 7):
                db, sensor, left = self.path('%d.db' % n), 's%d' % n, [early, more]
                index(db, '-q', late)
                for at in (n, 1):
                    proxy.begin()
                    proxy.at = lambda number, db=db, left=left, at=at: left and number == at and index(db, '-q', left.pop(0))
                    self.export(db, sensor=sensor, server=proxy)
                proxy.at = None
                self.export(db, sensor=sensor)
                self.assertEqual(left, [])
                self.assert_equals_index(db, sensor)

    def test_follow(self):
        files = self.fcgen('c.pcap', '--packets', '1500', '--sessions', '80', '--files', '3')
        db = self.path('x.db')
        index(db, '-q', files[0])
        process = subprocess.Popen([support.FLOWCARVE, 'export', '-d', db, '--sensor', 'nyc1', '--to', self.url(), '--follow', '-v'],
                                   stderr=subprocess.PIPE, env=support.environment())
        try:
            for n, f in enumerate(files[1:] + [None], 1):
                for _ in range(600):
                    time.sleep(0.05)
                    with contextlib.suppress(RuntimeError, IndexError):
                        if self.run_of() == n:
                            break
                self.assert_equals_index(db)
                if f:
                    index(db, '-q', f)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), 0)
        finally:
            process.kill()
            said = process.communicate()[1].decode()
        self.assertIn('run 3', said)


@unittest.skipUnless(engines.has_server(), 'clickhouse-server is not installed: what is exported was not looked at')
class Old(Cases, Engine):
    partitions = 12

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = engines.Server()
        cls.addClassCleanup(cls.engine.close)


    def sums_of_index(self, db):
        return select(db, 'SELECT count(*), sum(id), sum(id * (client_packets + server_packets)), sum(client_bytes), sum(server_bytes),'
                          ' sum(start_ns % 1000003), sum(duration_ns % 1000003) FROM session WHERE id > 0')

    def sums_of_engine(self, sensor='nyc1'):
        return self.ask('SELECT count(), sum(id), sum(id * (client_packets + server_packets)), sum(client_bytes), sum(server_bytes),'
                        ' sum(start_ns % 1000003), sum((end_ns - start_ns) % 1000003) FROM'
                        ' (SELECT * FROM session WHERE ' + self.of_sensor(sensor) + ' ORDER BY revision DESC LIMIT 1 BY id) WHERE deleted = 0')

    def test_killed_between_batches(self):
        """Whatever it was at; and what was noted as sent is not sent again."""
        files = self.fcgen('c.pcap', '--packets', '95000', '--sessions', '90000', '--sizes', 'small')
        db, proxy, rng = self.path('x.db'), Proxy(self.engine.url), support.rng('kill')
        index(db, '-q', *files)
        last = select(db, 'SELECT max(id) FROM session')[0][0]
        self.assertGreater(last, 65536)
        with contextlib.closing(proxy):
            self.export(self.small(), server=proxy, sensor='other')
            words = [support.FLOWCARVE, 'export', '-q', '-d', db, '--sensor', 'nyc1', '--to', self.url(proxy)]
            for _ in range(3):
                process = subprocess.Popen(words, env=support.environment())
                proxy.begin()
                at = rng.randrange(3, 8)
                proxy.at = lambda number, process=process, at=at: number == at and process.kill()
                process.wait()
            proxy.at = None
            while select(db, 'SELECT 1 FROM session LIMIT 1') and not self.noted(1):  # the first batch is there, and noted
                proxy.begin({6: 'not stored'})
                self.export(db, server=proxy, ok=(0, 2))
            proxy.begin()
            self.export(db, server=proxy)
            self.assertLess(len([1 for text in proxy.seen if 'INTO%20session' in text]), (last + 65535) // 65536)
        self.assertEqual(self.sums_of_engine(), self.sums_of_index(db))

    def noted(self, batches):
        return self.ask("SELECT 1 FROM progress WHERE sensor = 'nyc1' AND (batches >= %d OR run > 0) LIMIT 1" % batches)

    def test_two_servers(self):
        """With tables in front that divide sensors between them: all of a sensor is on one, and either of them answers for both."""
        servers = engines.servers(2)
        with contextlib.ExitStack() as stack:
            for s in servers:
                stack.callback(s.close)
            for s in servers:
                self.assertIn('each of them', flowcarve('cluster', 'init', '--to', self.url(s), '--on', 'flowcarve').err)
            self.assert_says(flowcarve('cluster', 'init', '--to', self.url(servers[0]), ok=2), 'of which cluster')
            files = self.fcgen('c.pcap', '--packets', '3000', '--sessions', '200', '--files', '2')
            late, early = self.moving()
            dbs = {}
            for n in range(6):
                dbs['s%d' % n] = db = self.path('%d.db' % n)
                index(db, '-q', *(files[:1] if n % 2 else [late]))
                self.export(db, sensor='s%d' % n, server=servers[n % 2])
                index(db, '-q', *(files[1:] if n % 2 else [early]))
            self.export(dbs['s1'], sensor='s1', server=servers[0])
            for n in range(6):
                self.export(dbs['s%d' % n], sensor='s%d' % n, server=servers[(n + 1) % 2])
                self.assert_equals_index(dbs['s%d' % n], 's%d' % n, servers[n % 2])
            shares = [self.ask('SELECT DISTINCT sensor FROM session_local ORDER BY 1', s) for s in servers]
            self.assertEqual(sorted(shares[0] + shares[1]), [('s%d' % n,) for n in range(6)])
            self.assertTrue(shares[0] and shares[1])
            # one of them down: no half of anything is taken for the whole
            servers[1].kill()
            new = self.path('new.db')
            index(new, '-q', late)
            before = flowcarve('export', '-d', new, '--sensor', shares[1][0][0], '--to', self.url(servers[0]), ok=2).err
            self.assertIn('engine answers', before)
            servers[1].start()
            for s in servers:
                self.assert_equals_index(dbs[shares[1][0][0]], shares[1][0][0], s)
            for sensor in (shares[0][0][0], shares[1][0][0]):  # by way of the one that was away, to each of them
                self.export(dbs[sensor], '--again', sensor=sensor, server=servers[1])
                self.assert_equals_index(dbs[sensor], sensor, servers[1])

    def test_the_server_is_killed(self):
        """At random moments, while an index grows and is exported."""
        rng, server = support.rng('server'), engines.Server()
        with contextlib.ExitStack() as stack:
            stack.callback(server.close)
            files = self.fcgen('c.pcap', '--packets', '8000', '--sessions', '900', '--files', '4')
            db = self.path('x.db')
            for n, f in enumerate(files):
                index(db, '-q', f)
                process = subprocess.Popen([support.FLOWCARVE, 'export', '-q', '-d', db, '--sensor', 'nyc1', '--to', self.url(server)],
                                           stderr=subprocess.DEVNULL, env=support.environment())
                time.sleep(rng.random() * 0.15 + (0.2 if n == 0 else 0))
                server.kill()
                if n % 2:
                    process.kill()
                process.wait(60)
                server.start()
            self.export(db, server=server)
            self.assert_equals_index(db, server=server)

    def test_follow_outlives_the_server(self):
        server = engines.Server()
        with contextlib.ExitStack() as stack:
            stack.callback(server.close)
            db = self.small()
            server.kill()
            process = subprocess.Popen([support.FLOWCARVE, 'export', '-d', db, '--sensor', 'nyc1', '--to', self.url(server), '--follow'],
                                       stderr=subprocess.PIPE, env=support.environment())
            stack.callback(process.kill)
            time.sleep(0.5)
            server.start()
            for _ in range(600):
                time.sleep(0.05)
                with contextlib.suppress(RuntimeError, IndexError):
                    if self.run_of(server=server) == 1:
                        break
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=10)[1].decode()
            self.assertEqual(process.returncode, 0)
            self.assertEqual((said.count('trying again'), said.count('goes on')), (1, 1), said)
            self.assert_equals_index(db, server=server)


@unittest.skipUnless(engines.library(), 'chdb is not there (FLOWCARVE_CLUSTER_TOOLS): a current engine was not asked')
class Current(Cases, Engine):
    partitions = 160  # it takes 100 in one insert, unless told to take more

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = engines.Current()
        cls.addClassCleanup(cls.engine.close)


if __name__ == '__main__':
    support.main()
