# SPDX-License-Identifier: MIT
"""`top` and `stats`: against sums of our own over the view `sessions`, read by plain SQLite, and against tshark's."""
import collections, csv, datetime, io, json, math, os, re, signal, sqlite3, struct, subprocess, time, unittest

import support
from support import T0, flowcarve, index, select, tcp, udp

PORTS = {'tcp', 'udp', 'sctp', 'dccp', 'udplite'}
MINUTE = 60 * 10**9


def rows_of(db):
    with support.open_db(db) as c:
        c.row_factory = sqlite3.Row
        return [dict(r) for r in c.execute('select * from sessions')]


class Sum:
    """What a group has, the slow way."""

    def __init__(self):
        self.sessions, self.peers, self.ports, self.times, self.starts = 0, set(), set(), [], []
        self.packets = self.sent = self.received = 0

    def add(self, s, sent='client', peers=(), packets=None):
        other = 'server' if sent == 'client' else 'client'
        self.sessions += 1
        self.packets += s['client_packets'] + s['server_packets'] if packets is None else packets
        self.sent += s[sent + '_bytes']
        self.received += s[other + '_bytes']
        self.peers |= set(peers) - {None}
        if s['server_port'] is not None and s['proto'] in PORTS:
            self.ports.add(s['server_port'])
        if s['start_ns'] is not None:
            self.times.append((s['start_ns'], s['end_ns'], s['start'], s['end']))

    def row(self, *, one_end, file=False):
        out = {'sessions': self.sessions, 'peers' if one_end else 'hosts': len(self.peers), 'ports': len(self.ports),
               'packets': self.packets}
        if not file:
            out.update({'bytes': self.sent + self.received, 'sent_bytes' if one_end else 'client_bytes': self.sent,
                        'received_bytes' if one_end else 'server_bytes': self.received})
        out['first'] = min(self.times)[2] if self.times else None
        out['last'] = max(self.times, key=lambda t: t[1])[3] if self.times else None
        return out

    def interval(self):
        starts = sorted(t[0] for t in self.times)
        gaps = [b - a for a, b in zip(starts, starts[1:])]
        if not gaps:
            return None, None
        mean = sum(gaps) / len(gaps)
        return mean / 1e9, math.sqrt(sum((g - mean)**2 for g in gaps) / len(gaps)) / 1e9


def naive(db, by, bucket=MINUTE, rows=None):
    """{group: Sum}, of all sessions or of these."""
    groups = collections.defaultdict(Sum)
    files = support.all_positions(db) if by == 'file' else {}
    for s in rows_of(db) if rows is None else rows:
        c, v = s['client_addr'], s['server_addr']
        if by in ('client', 'host'):
            groups[c].add(s, peers=[v])
        if by == 'server' or (by == 'host' and v != c):
            groups[v].add(s, 'server', [c])
        if by == 'file':
            for file, packets in collections.Counter(f for f, _ in files[s['id']]).items():
                groups[file].add(s, peers=[c, v], packets=packets)
        if by not in ('client', 'server', 'host', 'file'):
            port = s['server_port'] if s['proto'] in PORTS else None
            start = s['start_ns']
            key = {'pair': (c, v), 'port': (port, s['proto']), 'protocol': s['proto'], 'state': s['state'], 'vlan': s['vlan'],
                   'tunnel': s['tunnel'], 'time': None if start is None else start // bucket * bucket, None: None}[by]
            groups[key].add(s, peers=[c, v])
    return groups


def top(db, *words, ok=0, **kw):
    r = flowcarve('top', '-d', db, '--format', 'json', *words, ok=ok, **kw)
    return [json.loads(line) for line in r.text.splitlines()]


KEYS = {'client': ['client'], 'server': ['server'], 'host': ['host'], 'pair': ['client', 'server'], 'port': ['port', 'proto'],
        'protocol': ['proto'], 'state': ['state'], 'file': ['file'], 'vlan': ['vlan'], 'tunnel': ['tunnel']}


class Top(support.TestCase):
    def make(self, name='all.db', packets=3000):
        """All kinds of sessions, over two captures that many of them are in both of."""
        a = self.fcgen('a.pcap', '--packets', packets, '--packets-per-session', 6, '--ipv6', 25, '--vlan', 20, '--files', 2, '--clients', 40,
                       '--servers', 30)
        t = lambda n: T0 + n * 10**9
        self.write('beacon.pcap', support.pcap_bytes(
            [(t(60 * n + n % 3), udp('10.77.0.1', 4000 + n, '10.77.0.2', 123, b'beacon')) for n in range(12)] +
            [(t(800), tcp('10.77.0.3', 5, '10.77.0.3', 6, 'S')), (t(801), support.eth(bytes(40), 0x88b5)),
             (t(802), support.eth(b'\x45\0\0'))]))
        index(self.path(name), '-q', '--fields', 'vlan,tunnel', *a, self.path('beacon.pcap'))
        return self.path(name)

    def assert_sums(self, db, by, got, groups):
        one_end = by in ('client', 'server', 'host')
        want = {}
        for key, s in groups.items():
            want[key if isinstance(key, tuple) else (key,)] = s.row(one_end=one_end, file=by == 'file')
        self.assertEqual(len(got), len(want), by)
        for row in got:
            key = tuple(row[k] for k in KEYS[by])
            for name, value in row.items():
                if name not in KEYS[by] and name != 'path':
                    self.assertEqual(value, want[key][name], (by, key, name))

    def test_sums_are_those_of_plain_sql(self):
        db = self.make()
        for by in KEYS:
            groups = naive(db, by)
            got = top(db, '--by', by)
            self.assert_sums(db, by, got, groups)
            key = 'packets' if by == 'file' else 'bytes'
            self.assertEqual([r[key] for r in got], sorted((r[key] for r in got), reverse=True), by)
            # a filter makes SQLite give the sessions, and not the pages of the file
            self.assertEqual(top(db, '--by', by, 'id 1 or not id 1'), got, by)
        files = {f: os.fsdecode(p) for f, p in support.index_files(db).items()}
        for row in top(db, '--by', 'file'):
            self.assertEqual(row['path'], files[row['file']])

    def test_a_filter_leaves_the_others_out(self):
        db = self.make()
        want = collections.Counter()
        for s in rows_of(db):
            if s['proto'] == 'tcp':
                want[s['client_addr']] += s['client_bytes'] + s['server_bytes']
        self.assertEqual({r['client']: r['bytes'] for r in top(db, '--by', 'client', 'tcp')}, want)
        r = flowcarve('top', '-d', db, 'host', '1.2.3.4', ok=1)
        self.assertEqual(len(r.text.splitlines()), 1)

    def test_totals(self):
        db = self.make()
        r = json.loads(flowcarve('stats', '-d', db, '--format', 'json').text)
        self.assertEqual(r, naive(db, None)[None].row(one_end=False))
        lines = dict(line.split(None, 1) for line in flowcarve('stats', '-d', db, '--format', 'table').text.splitlines())
        self.assertEqual(lines['sessions'], format(r['sessions'], ','))
        self.assertEqual(lines['bytes'].split()[0], format(r['bytes'], ','))
        self.assertEqual(list(lines), list(r))
        flowcarve('stats', '-d', db, 'port', '64999', ok=1)

    def test_time_has_a_row_for_each_bucket(self):
        db = self.make()
        for bucket, ns in (('1m', MINUTE), ('7s', 7 * 10**9), ('1h', 60 * MINUTE)):
            groups = naive(db, 'time', ns)
            with support.open_db(db) as c:
                text = lambda k: c.execute("select strftime('%Y-%m-%dT%H:%M:%S', ?, 'unixepoch')", (k // 10**9,)).fetchone()[0]
                want = [text(k) + '.000000000Z' for k in range(min(groups), max(groups) + 1, ns)]
            got = top(db, '--by', 'time', '--bucket', bucket)
            self.assertEqual([r['time'] for r in got], want)
            for r, k in zip(got, range(min(groups), max(groups) + 1, ns)):
                s = groups.get(k, Sum())
                self.assertEqual((r['sessions'], r['packets'], r['bytes']), (s.sessions, s.packets, s.sent + s.received))
        chosen = top(db, '--by', 'time')
        self.assertTrue(1 < len(chosen) <= 61, len(chosen))
        self.assertEqual(sum(r['bytes'] for r in chosen), sum(r['bytes'] for r in got))
        best = top(db, '--by', 'time', '--sort', 'sessions', '-n', '3')
        self.assertEqual([r['sessions'] for r in best], sorted((r['sessions'] for r in chosen), reverse=True)[:3])

    def test_by_time_too(self):
        """Each group's sums in each bucket, also of sessions without a time; in the order of the group, then of time."""
        db = self.make()
        packet = udp('10.78.0.1', 9, '10.77.0.1', 53, b'no time at all')
        self.write('timeless.pcapng', support.shb() + support.idb() + support.block('<', 3, struct.pack('<I', len(packet)) + packet))
        index(db, '-q', '--fields', 'vlan,tunnel', self.path('timeless.pcapng'))
        parts = collections.defaultdict(list)
        for s in rows_of(db):
            parts[None if s['start_ns'] is None else s['start_ns'] // MINUTE * MINUTE].append(s)
        self.assertIn(None, parts)
        for by in KEYS:
            want = {}
            for bucket, rows in parts.items():
                for key, group in naive(db, by, rows=rows).items():
                    time = None if bucket is None else datetime.datetime.fromtimestamp(bucket // 10**9, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.000000000Z')
                    want[(key if isinstance(key, tuple) else (key,)) + (time,)] = group.row(one_end=by in ('client', 'server', 'host'), file=by == 'file')
            name = ['--sort', by]
            got = top(db, '--by', by, '--by', 'time', '--bucket', '1m', *name)
            self.assertEqual(top(db, '--by', 'time', '--bucket', '1m', '--by', by, *name, 'id 1 or not id 1'), got, by)
            self.assertEqual(top(db, '--by', by, '--by', 'time', '--bucket', '1m', *name[:1], by + ':desc'), got[::-1], by)
            keys = [tuple(row[k] for k in KEYS[by] + ['time']) for row in got]
            self.assertEqual(sorted(keys, key=repr), sorted(want, key=repr), by)
            for row, key in zip(got, keys):
                self.assertEqual({k: v for k, v in row.items() if k not in KEYS[by] + ['time', 'path']}, {k: want[key][k] for k in row if k in want[key]}, (by, key))
            for one, next in zip(keys, keys[1:]):
                if one[:-1] == next[:-1] and next[-1]:
                    self.assertLess(one[-1], next[-1], by)
        best = top(db, '--by', 'host', '--by', 'time', '-n', '7')
        self.assertEqual([r['bytes'] for r in best], sorted((r['bytes'] for r in top(db, '--by', 'host', '--by', 'time')), reverse=True)[:7])
        self.assertEqual(top(db, '--by', 'time', '--by', 'time'), top(db, '--by', 'time'))
        self.assert_says(flowcarve('top', '-d', db, '--by', 'host', '--by', 'port', ok=2), 'one of two is time')

    def test_intervals_of_a_beacon(self):
        db = self.make()
        groups = naive(db, 'pair')
        for r in top(db, '--by', 'pair', '--columns', 'sessions,interval'):
            mean, deviation = groups[r['client'], r['server']].interval()
            if mean is None:
                self.assertIsNone(r['interval_mean'])
            else:
                self.assertAlmostEqual(r['interval_mean'], mean, places=6)
                self.assertAlmostEqual(r['interval_deviation'], deviation, places=6)
        beacon = [r for r in top(db, '--by', 'pair', '--columns', 'interval', '--sort', 'interval')
                  if r['client'] == '10.77.0.1'][0]
        self.assertAlmostEqual(beacon['interval_mean'], (60 * 11 + 2) / 11, places=6)
        # a capture that is older is added later: starts are not in the order of IDs then
        self.write('older.pcap', support.pcap_bytes(
            [(T0 - n * 61 * 10**9, udp('10.77.0.1', 3000 + n, '10.77.0.2', 123, b'beacon')) for n in range(5, 0, -1)]))
        index(db, '-q', self.path('older.pcap'))
        mean, deviation = naive(db, 'pair')['10.77.0.1', '10.77.0.2'].interval()
        r = top(db, '--by', 'pair', '--columns', 'interval', 'host 10.77.0.1')[0]
        self.assertAlmostEqual(r['interval_mean'], mean, places=6)
        self.assertAlmostEqual(r['interval_deviation'], deviation, places=6)

    def test_order_limit_and_columns(self):
        db = self.make()
        all_rows = top(db, '--by', 'host')
        for sort, key, reverse in (('sessions', 'sessions', True), ('peers:asc', 'peers', False), ('ports', 'ports', True), ('first', 'first', False),
                                   ('last', 'last', True), ('sent_bytes', 'sent_bytes', True), ('received-bytes:asc', 'received_bytes', False)):
            got = top(db, '--by', 'host', '--sort', sort, '-n', '7')
            values = [r[key] for r in all_rows if r[key] is not None]
            self.assertEqual([r[key] for r in got], sorted(values, reverse=reverse)[:7], sort)
        r = flowcarve('top', '-d', db, '--by', 'pair', '--columns', 'bytes,sessions', '--format', 'csv')
        self.assertEqual(next(csv.reader(io.StringIO(r.text))), ['client', 'server', 'bytes', 'sessions'])
        tsv = flowcarve('top', '-d', db, '--by', 'pair', '--columns', 'bytes,sessions').text.splitlines()
        self.assertEqual([l.split('\t') for l in tsv], list(csv.reader(io.StringIO(r.text))))

    def test_what_cannot_be_asked(self):
        db = self.make(packets=200)
        index(self.path('plain.db'), '-q', self.path('beacon.pcap'))
        for words, says in ((['--by', 'colour'], "cannot group by 'colour'"), (['--columns', 'ttl'], "no column 'ttl'"),
                            (['--sort', 'ttl'], "cannot sort by 'ttl'"), (['--sort', 'bytes:up'], "cannot sort by 'bytes:up'"),
                            (['--bucket', '5m'], '--bucket goes with --by time'), (['--by', 'time', '--bucket', '5x'], "not '5x'"),
                            (['--by', 'time', '--bucket', '10us'], 'more than 1000000 buckets'), (['-n', '0'], 'from 1 on'),
                            (['--by', 'vlan', '-d', self.path('plain.db')], 'index with --fields vlan'),
                            (['--format', 'xml'], "unknown format 'xml'"), (['port'], 'filter:')):
            r = flowcarve('top', '-d', db, *words, ok=2)
            self.assertIn(says, r.err)
            self.assertEqual(r.out, b'')
        self.assertEqual(flowcarve('top', '-q', '-d', db).out, b'')

    def test_what_is_in_the_wal_counts(self):
        """An index in WAL mode has pages beside it; a reader of the file alone would miss them."""
        db = self.make(packets=300)
        before = sum(r['bytes'] for r in top(db, '--by', 'protocol'))
        c = sqlite3.connect(db)
        self.assertEqual(c.execute('pragma journal_mode=wal').fetchone()[0], 'wal')
        c.execute('update session set client_bytes = client_bytes + 1000000')
        c.commit()
        n = c.execute('select count(*) from session').fetchone()[0]
        self.assertEqual(sum(r['bytes'] for r in top(db, '--by', 'protocol')), before + n * 1000000)
        c.close()

    def test_a_damaged_index_is_an_error_or_an_answer(self):
        db = self.make(packets=600)
        whole, rng = support.read_bytes(db), support.rng('top damage')
        bad = self.path('bad.db')
        for _ in range(support.rounds(40, 2000)):
            data = bytearray(whole)
            for _ in range(rng.choice((1, 3, 30))):
                at = rng.randrange(100, len(data))
                data[at] = rng.choice((0, 255, rng.randrange(256)))
            if rng.random() < .2:
                del data[rng.randrange(100, len(data)):]
            support.write(bad, bytes(data))
            r = flowcarve('top', '-d', bad, '--by', 'protocol', '--format', 'json', ok=(0, 1, 2))
            self.assertEqual(r.rc == 2, bool(r.err), r)

    def test_many_sessions_come_from_another_thread(self):
        db = self.path('many.db')
        index(db, '-q', *self.fcgen('many.pcap', '--packets', '150000', '--packets-per-session', '1', '--sizes', 'small'))
        sql = sqlite3.connect(db)
        self.assertGreater(sql.execute('SELECT count(*) FROM session').fetchone()[0], 100000)
        want = sql.execute('SELECT (SELECT server_addr FROM sessions WHERE id = one), n, packets, bytes, peers FROM (SELECT min(id) AS one,'
                           ' count(*) AS n, sum(client_packets + server_packets) AS packets, sum(client_bytes + server_bytes) AS bytes,'
                           ' count(DISTINCT client_addr) AS peers FROM session GROUP BY kind, server_addr ORDER BY 4 DESC LIMIT 500)').fetchall()
        rows = list(csv.reader(io.StringIO(flowcarve('top', '-d', db, '--by', 'server', '-f', 'csv', '-n', '500', '--columns',
                                                     'sessions,packets,bytes,peers').text)))[1:]
        self.assertEqual(sorted((r[0], *map(int, r[1:])) for r in rows if int(r[3]) > want[-1][3]),
                         sorted(w for w in want if w[3] > want[-1][3]))
        self.assertGreater(len(rows), 400)
        p = subprocess.Popen([support.FLOWCARVE, 'top', '-d', db, '--by', 'pair', '-f', 'csv'], stdout=subprocess.DEVNULL)
        p.send_signal(signal.SIGINT)  # before, while or behind: it ends
        self.assertIn(p.wait(30), (0, -signal.SIGINT))
        root = sql.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'session'").fetchone()[0]
        size = sql.execute('PRAGMA page_size').fetchone()[0]
        sql.close()
        with open(db, 'r+b') as f:  # the child that comes in the middle of the root leads nowhere
            f.seek((root - 1) * size)
            page = f.read(size)
            self.assertEqual(page[0], 5)
            cells = struct.unpack_from('>H', page, 3)[0]
            at = struct.unpack_from('>H', page, 12 + 2 * (cells // 2))[0]
            f.seek((root - 1) * size + at)
            f.write(b'\x7f\xff\xff\xff')
        self.assert_says(flowcarve('top', '-d', db, '--by', 'server', '-f', 'csv', ok=2), 'many.db')

    def test_a_page_that_leads_back(self):
        db = self.make(packets=3000)
        data = bytearray(support.read_bytes(db))
        with support.open_db(db) as c:
            root = c.execute("select rootpage from sqlite_schema where name = 'session'").fetchone()[0]
        page = (root - 1) * 4096
        self.assertEqual(data[page], 5)
        data[page + 8:page + 12] = root.to_bytes(4, 'big')
        support.write(self.path('loop.db'), bytes(data))
        r = flowcarve('top', '-d', self.path('loop.db'), ok=2)
        self.assertIn('damaged', r.err)


class Terminal(support.TestCase):
    """What is drawn, in a real terminal."""

    def screen(self, width, *words, locale='C.UTF-8'):
        tmux, self.screens = support.tool('tmux'), getattr(self, 'screens', 0) + 1
        command = ' '.join("'%s'" % w for w in (support.FLOWCARVE, *words))
        socket = self.path('tmux-%d' % self.screens)  # a server that ends keeps its socket for a moment
        run = lambda *w: subprocess.run([tmux, '-S', socket, *w], capture_output=True, text=True,
                                        env=support.environment(TERM='screen'))
        done = self.path('done')
        run('-f', '/dev/null', '-u', 'new-session', '-d', '-x', str(width), '-y', '70',
            'LC_ALL=%s NO_COLOR=1 %s; touch %s; sleep 60' % (locale, command, done))
        try:
            deadline = time.monotonic() + 20
            while not os.path.exists(done) and time.monotonic() < deadline:
                time.sleep(.02)
            time.sleep(.05)
            text = run('capture-pane', '-p').stdout
        finally:
            run('kill-server')
        os.remove(done)
        return text.rstrip('\n').split('\n')

    def test_tables_fit(self):
        db = Top.make(self)
        hosts = len(top(db, '--by', 'host'))
        lines = self.screen(80, 'top', '-d', db)
        self.assertEqual(len(lines), 22, lines)
        self.assertEqual(lines[0].split()[:3], ['HOST', 'SESSIONS', 'PEERS'])
        self.assertEqual(lines[-1], '20 of %s hosts' % format(hosts, ','))
        self.assertNotIn('FIRST', lines[0])
        wide = self.screen(200, 'top', '-d', db, '--by', 'pair')
        self.assertRegex(wide[0], r'^CLIENT +SERVER +SESSIONS +PORTS +PACKETS +BYTES +BY-CLIENT +BY-SERVER +FIRST \(UTC\) +LAST \(UTC\)$')
        # an address is never cut, and what is sorted by stays
        narrow = self.screen(80, 'top', '-d', db, '--by', 'pair', '--sort', 'last', 'ip6')
        want = top(db, '--by', 'pair', '--sort', 'last', 'ip6', '-n', '20')
        text = '\n'.join(narrow)
        self.assertIn('LAST', text)
        for r in want:
            self.assertIn(r['client'], text)
            self.assertIn(r['server'], text)

    def test_bars(self):
        db = Top.make(self)
        rows = top(db, '--by', 'time', '--bucket', '1m')
        most = max(r['bytes'] for r in rows)
        for width in (80, 200):
            lines = self.screen(width, 'top', '-d', db, '--by', 'time', '--bucket', '1m')[1:]
            self.assertEqual(len(lines), len(rows))
            bars = [re.search(r'[█▏▎▍▌▋▊▉]*$', line).group() for line in lines]
            longest = max(map(len, bars))
            self.assertTrue(10 <= longest <= 60)
            for row, bar, line in zip(rows, bars, lines):
                self.assertLessEqual(len(line), width)
                self.assertEqual(bool(bar), row['bytes'] > 0)
                self.assertLessEqual(abs(len(bar) - longest * row['bytes'] / most), 1)
        self.assertIn('##', '\n'.join(self.screen(80, 'top', '-d', db, '--by', 'time', locale='C')))


@unittest.skipUnless(support.CAPTURES, 'FLOWCARVE_CAPTURES is not set: no real captures')
class Captures(support.TestCase):
    def db(self, *names):
        index(self.path('c.db'), '-q', os.path.join(support.CAPTURES, *names))
        return self.path('c.db')

    def test_hosts_and_pairs_are_those_of_tshark(self):
        names = 'seladb+PcapPlusPlus', 'example.pcap'
        db = self.db(*names)
        first = top(db, '--by', 'host', '-n', '1')[0]
        self.assertEqual([first[k] for k in ('host', 'bytes', 'sent_bytes', 'received_bytes')],
                         ['10.0.0.6', 3734748, 332292, 3402456])
        tshark = support.tool('tshark')
        text = support.run(tshark, '-nqr', os.path.join(support.CAPTURES, *names), '-z', 'endpoints,ip').text
        want = {m[0]: tuple(map(int, m[1:])) for m in re.findall(
            r'(?m)^([\d.]+) +(\d+) +(\d+) +\d+ +(\d+) +\d+ +(\d+)', text)}
        self.assertGreater(len(want), 20)
        got = {r['host']: (r['packets'], r['bytes'], r['sent_bytes'], r['received_bytes']) for r in top(db)}
        self.assertEqual(got, want)

    def test_a_scan(self):
        db = self.db('ntop+nDPI', 'synscan.pcap')
        figures = lambda *w: [[r[k] for k in ('client', 'sessions', 'peers', 'ports')] for r in top(db, '--by', 'client', *w)]
        self.assertEqual(figures('tcp and state new'), [['172.16.0.8', 1986, 1, 993]])
        self.assertEqual(figures(), [['172.16.0.8', 1994, 1, 1000]])


if __name__ == '__main__':
    support.main()
