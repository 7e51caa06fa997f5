# SPDX-License-Identifier: MIT
"""The filter language against rows of the view `sessions`, filtered by Python."""
import datetime, gzip, os, re, shlex, sqlite3, time, zoneinfo

import support
from support import S, T0, flowcarve, index, tcp, udp


def rows_of(db):
    """Rows of the view as dictionaries, as any other program reads them."""
    with support.open_db(db) as c:
        c.row_factory = sqlite3.Row
        return [dict(r) for r in c.execute('SELECT * FROM sessions ORDER BY id')]


def either(row, name, test):
    """Of one of the ends."""
    return any(row[end + name] is not None and test(row[end + name]) for end in ('client_', 'server_'))


def both(row, name):
    """What both directions come to; None where neither has it."""
    known = [row[end + name] for end in ('client_', 'server_') if row[end + name] is not None]
    return sum(known) if known else None


def than(number, test):
    return number is not None and test(number)


FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def seen(row, flags):
    """All of the flags, in whichever direction."""
    return ((row['client_tcp_flags'] or 0) | (row['server_tcp_flags'] or 0)) & flags == flags


def rejected(row):
    """Zeek's REJ: a SYN that was answered by RST."""
    client, server = row['client_tcp_flags'] or 0, row['server_tcp_flags'] or 0
    return bool(client & SYN and not client & ACK and server & RST and not server & SYN)


PREDICATES = (
    ('packets over 3', lambda r: both(r, 'packets') > 3),
    ('packets under 3', lambda r: both(r, 'packets') < 3),
    ('packets at least 3', lambda r: both(r, 'packets') >= 3),
    ('packets at most 3', lambda r: both(r, 'packets') <= 3),
    ('packets = 2', lambda r: both(r, 'packets') == 2),
    ('packets > 3 and packets <= 7', lambda r: 3 < both(r, 'packets') <= 7),
    ('packets between 3 and 7', lambda r: 3 <= both(r, 'packets') <= 7),
    ('client packets over 2', lambda r: r['client_packets'] > 2),
    ('server packets = 0', lambda r: r['server_packets'] == 0),
    ('bytes over 1k', lambda r: both(r, 'bytes') > 1000),
    ('bytes < 1Ki', lambda r: both(r, 'bytes') < 1024),
    ('client bytes >= 0.5k', lambda r: r['client_bytes'] >= 500),
    ('dst bytes under 200', lambda r: r['server_bytes'] < 200),
    ('duration over 100ms', lambda r: than(r['duration'], lambda d: d > .1)),
    ('duration at most 2.5s', lambda r: than(r['duration'], lambda d: d <= 2.5)),
    ('not duration under 1', lambda r: not than(r['duration'], lambda d: d < 1)),
    ('payload over 0', lambda r: than(both(r, 'payload'), lambda n: n > 0)),
    ('payload = 0', lambda r: both(r, 'payload') == 0),
    ('client payload over 100', lambda r: than(r['client_payload'], lambda n: n > 100)),
    ('ttl 64', lambda r: either(r, 'ttl', lambda t: t == 64)),
    ('client ttl 64', lambda r: r['client_ttl'] == 64),
    ('ttl under 64', lambda r: either(r, 'ttl', lambda t: t < 64)),
    ('server ttl over 64', lambda r: than(r['server_ttl'], lambda t: t > 64)),
    ('ttl 64,128', lambda r: either(r, 'ttl', lambda t: t in (64, 128))),
    ('flags syn,ack', lambda r: seen(r, SYN | ACK)),
    ('flags fin', lambda r: seen(r, FIN)),
    ('client flags psh,ack', lambda r: ((r['client_tcp_flags'] or 0) & (PSH | ACK)) == PSH | ACK),
    ('server flags rst', lambda r: bool((r['server_tcp_flags'] or 0) & RST)),
    ('not flags syn and tcp', lambda r: not seen(r, SYN) and r['proto'] == 'tcp'),
    ('reset by client', lambda r: bool((r['client_tcp_flags'] or 0) & RST)),
    ('reset by server', lambda r: bool((r['server_tcp_flags'] or 0) & RST)),
    ('state reset and not reset by server', lambda r: r['state'] == 'reset' and not (r['server_tcp_flags'] or 0) & RST),
    ('state rejected', lambda r: rejected(r)),
    ('state rejected,new and tcp', lambda r: r['proto'] == 'tcp' and (rejected(r) or r['state'] == 'new')),
    ('port 80,443', lambda r: r['proto'] in ('tcp', 'udp', 'sctp') and either(r, 'port', lambda p: p in (80, 443))),
    ('server port 53,80,443', lambda r: r['proto'] in ('tcp', 'udp', 'sctp') and r['server_port'] in (53, 80, 443)),
    ('id 1,3,5-9', lambda r: r['id'] in (1, 3, 5, 6, 7, 8, 9)),
    ('proto tcp,icmp', lambda r: r['proto'] in ('tcp', 'icmp')),
)


def active(row, start, end):
    """Was something of the session at or behind start, and in front of end (ns)?"""
    return row['start_ns'] is not None and row['end_ns'] >= start and row['start_ns'] < end


D = 86400 * S
MIDNIGHT = T0 // D * D  # 2023-11-14
TIMES = (  # the captures begin at 2023-11-14T22:13:20 and last some seconds
    ('after 2023-11-14T22:13:21', lambda r: active(r, T0 + S, 1 << 63)),
    ('before 1700000001', lambda r: active(r, 0, T0 + S)),
    ('before 1700000000500', lambda r: active(r, 0, T0 + S // 2)),
    ('after 1700000000.75', lambda r: active(r, T0 + 3 * S // 4, 1 << 63)),
    ('after 20231114 22:13:21', lambda r: active(r, T0 + S, 1 << 63)),
    ('at 1700000001', lambda r: active(r, T0 + S, T0 + S + 1)),
    ('at 2023-11-14 22:13:20', lambda r: active(r, T0, T0 + 1)),
    ('between 1700000000.5 and 1700000001.5', lambda r: active(r, T0 + S // 2, T0 + 3 * S // 2 + 1)),
    ('between 2023-11-14 22:13:21 and 22:13:22', lambda r: active(r, T0 + S, T0 + 2 * S + 1)),
    ('during 2023-11-14T22:13:21', lambda r: active(r, T0 + S, T0 + 2 * S)),
    ('not during 2023-11-14 22:13', lambda r: not active(r, T0 - 20 * S, T0 + 40 * S)),
    ('on 2023-11-14', lambda r: active(r, MIDNIGHT, MIDNIGHT + D)),
    ('on 2023-11-15 or tcp', lambda r: active(r, MIDNIGHT + D, MIDNIGHT + 2 * D) or r['proto'] == 'tcp'),
)


class Filter(support.TestCase):
    def small(self, broken=True):
        """Sessions with many numbers: of TTL, packets, payload; refused, reset by either side, half open."""
        packets, at = [], [T0]

        def add(data, ms=5):
            packets.append((at[0], data))
            at[0] += ms * 1_000_000

        def ttl(data, value):
            return data[:22] + bytes([value]) + data[23:]
        for i in range(12):
            c, v = ('10.0.%d.%d' % (i % 3, i), 40000 + i), ('192.0.2.%d' % (i % 4), (80, 443, 53, 8080)[i % 4])
            add(ttl(tcp(*c, *v, 'S', 1), (64, 128, 63)[i % 3]))
            add(ttl(tcp(*v, *c, 'SA', 9, 2), (64, 57, 255)[i % 3]))
            add(ttl(tcp(*c, *v, 'A', 2, 10), 64), 40 * i)
            for k in range(i):
                add(ttl(tcp(*c, *v, 'PA', 2 + 100 * k, 10, bytes(100)), 64), 30 * i)
            if i % 4 == 1:
                add(tcp(*c, *v, 'FA', 5, 10))
                add(tcp(*v, *c, 'FA', 10, 6))
            if i % 4 == 2:
                add(tcp(*v, *c, 'RA', 10, 6))
            if i % 4 == 3:
                add(tcp(*c, *v, 'R', 6))
        for i in range(6):
            c, v = ('10.1.0.%d' % i, 50000 + i), ('192.0.2.9', 23)
            for _ in range(1 + i % 2):
                add(tcp(*c, *v, 'S', 7 + i))
            if i < 4:
                add(tcp(*v, *c, 'RA', 0, 8 + i))
        for i in range(8):
            for k in range(i):
                add(udp('10.2.0.%d' % i, 6000, '192.0.2.53', 53, bytes(30 * i)), 700)
            add(udp('192.0.2.53', 53, '10.2.0.%d' % i, 6000, bytes(60)), 700)
        add(support.eth(bytes([0, 1, 8, 0, 6, 4, 0, 1]) + bytes(20), 0x806))
        if broken:
            add(support.eth(b'\x45\0\0'))
        return support.pcap_bytes(packets)

    def indexes(self):
        """(path, rows) of an index with all fields of each capture."""
        files = [self.write('small.pcap', self.small()), self.fcgen('c.pcap', '--packets', '4000', '--sessions', '300')[0]]
        real = os.path.join(support.CAPTURES or '', 'seladb+PcapPlusPlus', 'example.pcap')
        files += [real] if support.CAPTURES and os.path.exists(real) else []
        for f in files:
            db = self.path(os.path.basename(f) + '.db')
            index(db, '-q', '--fields', 'all', f)
            yield db, rows_of(db)

    def ids(self, db, *words):
        r = flowcarve('query', '-d', db, '--format', 'tsv', *words, ok=(0, 1))
        return [int(line.split('\t')[0]) for line in r.text.splitlines()[1:]]

    def test_every_predicate(self):
        found = {}
        for db, rows in self.indexes():
            for text, test in PREDICATES:
                want = [r['id'] for r in rows if test(r)]
                self.assertEqual(self.ids(db, text), want, text)
                found[text] = found.get(text) or 0 < len(want) < len(rows)
        self.assertEqual([text for text, some in found.items() if not some], [], 'these tell nothing apart')

    def test_what_is_rejected(self):
        """By the packets, one after the other, and also where they are in captures that are indexed one by one."""
        C, V = ('10.0.0.1',), ('192.0.2.1', 80)
        dialogs = {  # port of the client: its packets, those of the server in lower case
            1: ('S', 'ra'), 2: ('S', 'S', 'ra', 'ra'), 3: ('S', 'sa', 'A', 'ra'), 4: ('S', 'sa', 'ra'), 5: ('S', 'R'), 6: ('A', 'r'),
            7: ('S',), 8: ('r', 'S'), 9: ('S', 'r', 'R'), 10: ('S', 'a', 'R'), 11: ('S', 'A', 'ra'), 12: ('sa', 'S', 'ra'),
            13: ('S', 'sa', 'R')}
        want = {1, 2, 9}
        packets = []
        for port, flags in dialogs.items():
            for i, f in enumerate(flags):
                a, b = (C + (port,), V) if f.isupper() else (V, C + (port,))
                packets.append((T0 + port * 100_000 + i * S, tcp(*a, *b, f.upper(), 7 if f.isupper() else 9, 8)))
        packets.sort(key=lambda p: p[0])
        half = [self.write('%d.pcap' % i, support.pcap_bytes([p for p in packets if (p[0] - T0) // S in when])) for i, when in
                enumerate(((0,), (1, 2, 3)))]
        dbs = [self.path(name + '.db') for name in ('once', 'apart', 'older')]
        index(dbs[0], '-q', *half)
        for f in half:
            index(dbs[1], '-q', f)
        for f in half[::-1]:
            index(dbs[2], '-q', f)
        for db in dbs[:2]:
            # 8: the RST came first, so that its sender is the client
            self.assertEqual({r['client_port'] for r in support.sessions(db, 'state rejected')}, want)
            self.assertEqual(support.select(db, 'SELECT count(*) FROM session WHERE flags & 16')[0][0], len(want))
        self.assertEqual(support.select(dbs[0], 'SELECT client_port, flags & ~8 FROM session ORDER BY 1, 2'),
                         support.select(dbs[1], 'SELECT client_port, flags & ~8 FROM session ORDER BY 1, 2'))
        # where the older half comes later, 12 is not put together: its SYN has an answer of its own
        self.assertLessEqual({1, 2}, found := {r['client_port'] for r in support.sessions(dbs[2], 'state rejected')})
        self.assertLessEqual(found, {1, 2, 12})

    def test_sessions_of_a_capture(self):
        """By names in all forms, against the positions as the schema describes them."""
        folder = self.path('day')
        os.makedirs(os.path.join(folder, 'am'))
        rng, ports = support.rng('file'), range(1, 40)
        names = ['am/one.pcap', 'am/two (copy), x.pcap', 'one.pcap', 'three.pcap.gz', 'new.pcapng', 'b[1].pcap', 'caf\u00e9.pcap']
        for i, name in enumerate(names):
            packets = [(T0 + i * 10 * S + k * S // 100, udp('10.0.0.1', rng.choice(ports), '192.0.2.1', 53, bytes(rng.randrange(9))))
                       for k in range(60)]
            data = support.pcapng_bytes(packets) if name.endswith('ng') else support.pcap_bytes(packets)
            support.write(os.path.join(folder, name), gzip.compress(data) if name.endswith('gz') else data)
        db = os.path.join(folder, 'f.db')
        index(db, '-q', folder)
        where = support.all_positions(db)
        paths = {os.fsdecode(p): fid for fid, p in support.index_files(db).items()}
        self.assertEqual(set(paths), {os.path.join(folder, n) for n in names})
        for text, found in (('one.pcap', ['am/one.pcap', 'one.pcap']), ('am/one.pcap', ['am/one.pcap']), ('new.pcapng', ['new.pcapng']),
                            ('day/one.pcap', ['one.pcap']), (os.path.join(folder, 'one.pcap'), ['one.pcap']),
                            ('../day/am/../one.pcap', ['one.pcap']), ('"two (copy), x.pcap"', ['am/two (copy), x.pcap']),
                            ("'b[[]1].pcap'", ['b[1].pcap']), ('b[1].pcap', ['b[1].pcap']), ('*.gz', ['three.pcap.gz']), ('am/*', names[:2]),
                            ('*', names), ('three.pcap.gz,new.pcapng', names[3:5]), ('caf\u00e9.pcap', names[6:]),
                            ('o?e.pcap and port 1,2,3', ['am/one.pcap', 'one.pcap'])):
            ids = {paths[os.path.join(folder, n)] for n in found}
            want = sorted(s for s, at in where.items() if ids & {f for f, _ in at})
            if 'port' in text:
                want = [s for s in want if support.select(db, 'SELECT client_port FROM session WHERE id = ?', s)[0][0] < 4]
            r = flowcarve('query', '-d', db, '-f', 'tsv', 'file ' + text, cwd=folder)
            self.assertEqual([int(line.split('\t')[0]) for line in r.text.splitlines()[1:]], want, text)
        self.assertEqual(flowcarve('query', '-c', '-d', db, 'not file *', ok=1).text, '0\n')
        for text in ('two.pcap', 'am/two.pcap', 'no*', '/one.pcap', 'ne.pcap', '"b[2].pcap"'):
            self.assert_says(flowcarve('query', '-d', db, 'tcp or file ' + text, ok=2), 'no capture in this index is called')
        out = self.path('o.pcap')
        flowcarve('carve', '-d', db, 'file three.pcap.gz', '-w', out)
        carved = {support.key_of(r) for r in support.read_capture(out)}
        self.assertTrue({support.key_of(r) for r in support.parse_capture(support.uncompressed(
            support.read_bytes(os.path.join(folder, 'three.pcap.gz'))))} <= carved)

    def test_equals_for_packets(self):
        """What --explain gives for tcpdump and Wireshark is true of the packets that carve gives, and of no others."""
        tcpdump, tshark = support.tool('tcpdump'), support.tool('tshark')
        f = self.write('small.pcap', self.small(broken=False))
        db, a, b = self.path('s.db'), self.path('a.pcap'), self.path('b.pcap')
        index(db, '-q', '--fields', 'all', f)
        displays = []
        for text in ('tcp', 'host 10.0.0.0', 'not host 192.0.2.0,192.0.2.1', 'net 10.1.0.0/16 or udp', 'port 53,80 and not udp',
                     'udp port 53', 'portrange 40001-40003', '10.0.1.1:40001', '10.0.1.1:40001,10.2.0.3:6000', 'arp or icmp',
                     'ip and not (tcp or port 53)', 'src or dst port 443', 'src and dst net 0.0.0.0/0',
                     'src and dst net 10.0.0.0/16,10.1.0.0/16,192.0.2.0/24', 'tcp and src and dst portrange 1-1000,40000-41000', 'not src and dst port 53,80', 'proto 17', 'port ssh,domain',
                     'src host 10.0.1.1 or dst host 10.0.1.1', 'ip host 10.0.1.1', 'host 0.0.0.0', 'ip proto 6 or ip6 proto 6', 'ip6'):
            r = flowcarve('query', '-d', db, '--explain', text).text
            bpf, display = (re.search(r'(?m)^%s +(.*)$' % name, r).group(1) for name in ('tcpdump', 'Wireshark'))
            found = flowcarve('carve', '-q', '-d', db, text, '-w', a, ok=(0, 1)).rc == 0
            want = sorted(support.key_of(r) for r in support.read_capture(a)) if found else []
            support.run(tcpdump, '-n', '-r', f, '-w', b, bpf)
            self.assertEqual(sorted(support.key_of(r) for r in support.read_capture(b)), want, (text, bpf))
            displays.append((display, len(want), sum(r.origlen for r in support.read_capture(a)) if found else 0))
        # frames and bytes of all filters by one run
        r = support.run(tshark, '-q', '-n', '-r', f, '-z', 'io,stat,0,' + ','.join(d for d, _, _ in displays)).text
        line, = (line for line in r.splitlines() if '<>' in line)
        numbers = [int(n) for n in line.split('|')[2:-1]]
        self.assertEqual(list(zip(numbers[::2], numbers[1::2], strict=True)), [(n, size) for _, n, size in displays], displays)
        for text, lacks in (('tcp and client 10.0.0.1', 'src host 10.0.0.1'), ('bytes over 1k', 'bytes at least 1001'),
                            ('udp or not after 1700000000', 'after 2023-11-14T22:13:20Z'), ('state rejected', 'state rejected'),
                            ('src 10.0.0.1 or dst 10.0.0.2', 'src host 10.0.0.1'), ('id 5-9', 'id 5-9')):
            r = flowcarve('query', '-d', db, '--explain', text).text
            self.assertEqual(r.count("none, as '%s' is not about a packet" % lacks), 2, r)

    def test_a_capture_where_a_filter_belongs(self):
        db, capture = self.path('x.db'), self.write('a.pcap', b'')
        index(db, '-q', *self.fcgen('c.pcap', '--packets', '50'))
        r = flowcarve('query', '-d', db, capture, ok=2)
        self.assert_says(r, 'unknown word', '%s is a file' % capture, '-r in front')
        self.assert_says(flowcarve('top', '-d', db, os.path.dirname(capture), ok=2), 'is a folder', '-r in front')
        self.assertNotIn('-r in front', flowcarve('query', '-d', db, capture + 'x', ok=2).err)

    def test_what_is_explained(self):
        """The tree means the filter, the SQL finds what it finds, and the plan is SQLite's of that."""
        (db, rows), = list(self.indexes())[:1]
        for text in ('host 10.0.1.1 and bytes over 1k', 'tcp', 'port 80,443 or not udp', 'flags syn and ttl 64', 'state rejected,new',
                     'during 2023-11-14 22:13:21', 'duration at least 10ms and payload between 10 and 300'):
            r = flowcarve('query', '-d', db, '--explain', text).text
            tree, sql, plan = (re.search(r'(?s)(?:^|\n)%s\n(.*?)\n\n' % title, r).group(1) for title in ('Filter', 'SQL', 'Plan of SQLite'))
            with support.open_db(db) as c:
                self.assertEqual([i for i, in c.execute(sql)], self.ids(db, text), text)
            self.assertRegex(plan, r'\A *(SCAN p\n *SEARCH s USING INTEGER PRIMARY KEY|(SCAN|SEARCH) s\b)')  # of a time: span by span
            leaves = [line.strip() for line in tree.split('\n')]
            if leaves[0] in ('and', 'or') and not {'not', 'and', 'or'} & set(leaves[1:]):
                self.assertEqual(self.ids(db, (' %s ' % leaves[0]).join(leaves[1:])), self.ids(db, text), tree)
        r = flowcarve('query', '-d', db, '--explain', 'host 10.0.1.1 and bytes over 1k and state reset and duration over 0').text
        self.assertIn('COVERING INDEX session_client', r)
        self.assertNotIn('SCAN s\n', r)
        self.assertIn('every session', flowcarve('query', '-d', db, '--explain').text)

    def test_a_filter_in_a_file(self):
        (db, _), = list(self.indexes())[:1]
        name, count = self.path('f.txt'), lambda *words, **kw: flowcarve('query', '-c', '-d', db, *words, ok=(0, 1), **kw).text
        hosts = '\n  or '.join('host 10.0.%d.%d' % (i % 3, i) for i in range(5))
        support.write(name, ('# hosts of interest\n' + hosts + '\n   # and no more\n').encode())
        self.assertEqual(count('-F', name), count(hosts))
        self.assertEqual(count('-F', name, 'server', 'port', '80'), count('( %s ) and server port 80' % hosts))
        with open(name, 'rb') as f:
            self.assertEqual(count('--filter-file', '-', stdin=f), count(hosts))
        support.write(name, b'\xef\xbb\xbfudp # or tcp\nand port 53,80\t# "and so on\r\n')
        self.assertEqual(count('-F', name), count('udp and port 53,80'))
        support.write(name, b"file 'a # b', 'c #d' # x")
        self.assertIn("called 'a # b'", flowcarve('query', '-d', db, '-F', name, ok=2).err)
        support.write(name, b'udp#or tcp')
        flowcarve('query', '-d', db, '-F', name, ok=2)
        support.write(name, b'\n# nothing\n\n')
        self.assertEqual(count('-F', name), count())
        self.assertEqual(count('-F', name, 'udp'), count('udp'))
        out, same = self.path('o.pcap'), self.path('p.pcap')
        support.write(name, b'udp')
        flowcarve('carve', '-d', db, '-F', name, '-w', out)
        flowcarve('carve', '-d', db, 'udp', '-w', same)
        self.assertEqual(support.read_bytes(out), support.read_bytes(same))
        for data, words, line, shown in ((b'# x\ntcp\n  and port foo\n# y', [], 3, '  and port foo'), (b'tcp and\nport 80,\n', ['udp'], 2, 'port 80,'),
                                         (b'tcp\nand (\n', [], 2, 'and ('), (b'tcp\r\nor\tbytes\r\n', [], 2, 'or\\tbytes')):
            support.write(name, data)
            for command in (['query'], ['carve', '-w', out]):
                r = flowcarve(*command, '-d', db, '-F', name, *words, ok=2)
                self.assertIn('flowcarve: filter, line %d: ' % line, r.err)
                self.assertIn('  %s' % shown, r.err.splitlines()[1])
        r = flowcarve('query', '-d', db, '-F', name.replace('f.txt', 'none'), ok=2)
        self.assert_says(r, 'cannot read the filter')
        for data, says in ((b'tcp\0', 'no text'), (b'x' * (3 << 20), 'too large'), (b'tcp\n' * (1 << 19), 'more than 1048576 bytes')):
            support.write(name, data)
            self.assert_says(flowcarve('query', '-d', db, '-F', name, ok=2), says)
        self.assert_says(flowcarve('query', '-d', db, '-F', self.folder, ok=2), 'cannot read the filter')

    def test_examples_of_the_reference(self):
        """Each word of `help filter` is in the manual, each example can be asked, and all fits a terminal."""
        text = flowcarve('help', 'filter').text
        self.assertEqual([line for line in text.splitlines() if len(line) > 80 or line != line.rstrip()], [])
        (db, _), = list(self.indexes())[:1]
        support.write(self.path('hosts.txt'), b'host 10.0.0.5')
        examples = [shlex.split(line)[1:] for line in text.split('Examples\n')[1].splitlines()]
        self.assertGreater(len(examples), 6)
        for words in examples:
            if '--tz' in words and not os.path.exists('/usr/share/zoneinfo/' + words[words.index('--tz') + 1]):
                continue
            words = [w.replace('monday*', 'small*') for w in words]
            flowcarve(words[0], '-d', db, *words[1:], cwd=self.folder, ok=(0, 1))
        page = support.read_bytes(os.path.join(support.ROOT, 'docs', 'flowcarve-filter.7')).decode()
        page = re.sub(r'\\f\w', '', page.replace('\\-', '-'))
        filters = page.split('.SH DESCRIPTION')[1].split('.SH')[0]
        for word in re.findall(r'(?m)^  ([a-z-]+)', text.split('Examples')[0]):
            self.assertRegex(filters, r'\b%s\b' % word)
        of_page = re.findall(r'(?m)^(flowcarve .*)', page.split('.SH EXAMPLES')[1])
        self.assertGreater(len(of_page), 6)
        self.assertLessEqual(set(of_page), set(re.findall(r'(?m)^  (flowcarve .*)', text)))

    def test_every_time(self):
        db, rows = next(self.indexes())
        for text, test in TIMES:
            want = [r['id'] for r in rows if test(r)]
            self.assertEqual(self.ids(db, text), want, text)
            self.assertTrue(want or text.startswith('not'), text)

    def test_words_that_count_from_now(self):
        now, day = int(time.time()), 86400
        packets = [((now - ago) * S, udp('10.0.0.%d' % i, 1, '192.0.2.1', 2))
                   for i, ago in enumerate((90 * day, 2 * day + now % day, day, 3 * 3600, 600))]
        index(self.path('n.db'), '-q', self.write('n.pcap', support.pcap_bytes(packets)))
        rows = rows_of(self.path('n.db'))
        midnight = now // day * day * S
        for text, start, end in (('after 1h ago', (now - 3600) * S, 1 << 63), ('after today', midnight, 1 << 63),
                                 ('on yesterday', midnight - D, midnight), ('before yesterday', 0, midnight - D),
                                 ('after 00:00', midnight, 1 << 63), ('between yesterday 0:00 and now', midnight - D, 1 << 63),
                                 ('on today', midnight, midnight + D)):
            self.assertEqual(self.ids(self.path('n.db'), text), [r['id'] for r in rows if active(r, start, end)], text)

    def test_zones(self):
        """Of output and input alike; what Python knows of zones is the second opinion."""
        db, rows = next(self.indexes())
        for zone in ('Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu', '+02:00', '-0330', '+9', 'UTC'):
            if '/' in zone:
                if not os.path.exists('/usr/share/zoneinfo/' + zone):
                    continue
                there = zoneinfo.ZoneInfo(zone)
            else:
                minutes = {'+02:00': 120, '-0330': -210, '+9': 540, 'UTC': 0}[zone]
                there = datetime.timezone(datetime.timedelta(minutes=minutes))
            clock = lambda ns: datetime.datetime.fromtimestamp(ns // S, there)
            shown = support.sessions(db, '--tz', zone)
            for r, s in zip(rows, shown, strict=True):
                self.assertEqual((s['start_ns'], s['end_ns']), (r['start_ns'], r['end_ns']))
                for key in ('start', 'end'):
                    want = '%s.%09d%s' % (clock(r[key + '_ns']).strftime('%Y-%m-%dT%H:%M:%S'), r[key + '_ns'] % S,
                                          'Z' if zone == 'UTC' else re.sub(r'(\d\d)$', r':\1', clock(T0).strftime('%z')))
                    self.assertEqual(s[key], want, zone)
            for text, start, end in (('after %Y-%m-%dT%H:%M:%S', T0 + S, 1 << 63), ('at %Y%m%d %H:%M:%S', T0 + S, T0 + S + 1),
                                     ('during %Y-%m-%d %H:%M:%S', T0 + S, T0 + 2 * S)):
                text = clock(T0 + S).strftime(text)
                self.assertEqual(self.ids(db, '--tz', zone, text), [r['id'] for r in rows if active(r, start, end)], text)
            head = flowcarve('query', '-d', db, '-f', 'table', '--tz', zone, '-n', '1').text.split('\n')[0]
            self.assertIn('START %s ' % zone, head)
        # what is printed can be asked for
        self.assertIn(shown[5]['id'], self.ids(db, '--tz', '+02:00', 'at ' + shown[5]['start']))

    def test_zones_that_are_none(self):
        db, _ = next(self.indexes())
        for zone in ('Europe/Atlantis', 'Mars', '../../etc/passwd', '/etc/localtime', '', '+25', '+1:99', '+01:00x', 'CEST', '+',
                     '+-1', 'a' * 5000):
            for words in (['query', '-d', db], ['carve', '-d', db, '-w', self.path('o.pcap')], ['forget', '-d', db, '--gone']):
                r = flowcarve(*words, '--tz', zone, ok=2)
                self.assert_says(r, 'unknown zone')
        r = flowcarve('query', '-d', db, '--tz', 'local', env={'TZ': 'Europe/Atlantis'}, ok=2)
        self.assert_says(r, 'TZ', 'Europe/Atlantis')
        self.assertFalse(os.path.exists(self.path('o.pcap')))

    def test_the_local_zone(self):
        db, rows = next(self.indexes())
        env = {'TZ': 'CET-1CEST,M3.5.0,M10.5.0/3'}
        first = support.sessions(db, '--tz', 'local', '-n', '1', env=env)[0]
        self.assertEqual(first['start'], '2023-11-14T23:13:20.000000000+01:00')
        self.assertEqual(support.sessions(db, '-n', '1', env=env)[0]['start'], '2023-11-14T22:13:20.000000000Z', 'UTC unless asked')
        self.assertEqual(len(support.sessions(db, '--tz', 'local', 'on 2023-11-14 and after 23:00', env=env, ok=(0, 1))), 0)
        count = lambda *words: int(flowcarve('query', '-c', '-d', db, *words, env=env).text)
        self.assertEqual(count('--tz', 'local', 'before 2023-11-14 23:13:21'), count('before 2023-11-14 22:13:21'))

    def test_other_commands_have_zones(self):
        db, rows = next(self.indexes())
        a, b = self.path('a.pcap'), self.path('b.pcap')
        flowcarve('carve', '-d', db, 'during 2023-11-15 00:13:21', '--tz', '+02:00', '-w', a)
        flowcarve('carve', '-d', db, 'during 2023-11-14 22:13:21', '-w', b)
        self.assertEqual(support.read_bytes(a), support.read_bytes(b))
        self.assertLess(os.path.getsize(a), os.path.getsize(self.path('small.pcap')))
        flowcarve('forget', '-q', '-d', db, '--before', '2023-11-15T00:10', '--tz', '+02:00', ok=1)
        flowcarve('forget', '-q', '-d', db, '--before', '2023-11-15T01:13', ok=0)


if __name__ == '__main__':
    support.main()
