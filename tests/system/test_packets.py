# SPDX-License-Identifier: MIT
"""The packets of sessions, a line each. tshark, packet by packet, is the second opinion."""
import base64, collections, csv, fcntl, hashlib, io, json, os, pty, re, signal, struct, subprocess, termios, time, unittest

import support
from support import S, T0, eth, flowcarve, index, ipv4, tcp, udp

MS = 10**6
C, V = ('10.0.0.1', 4000), ('10.0.0.2', 80)


def client(flags, seq, ack=0, data=b'', **kw):
    return tcp(*C, *V, flags, seq, ack, data, **kw)


def server(flags, seq, ack=0, data=b'', **kw):
    return tcp(*V, *C, flags, seq, ack, data, **kw)


def lines(db, *words, **kw):
    r = flowcarve('packets', '-d', db, '-q', '-f', 'json', *words, **kw)
    return [json.loads(line) for line in r.text.splitlines()]


def on_terminal(columns, *words):
    """What a terminal of so many columns shows."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    with subprocess.Popen([support.FLOWCARVE, *words], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL,
                          env=support.environment(NO_COLOR='1')) as p:
        os.close(slave)
        out = b''
        try:
            while part := os.read(master, 65536):
                out += part
        except OSError:  # it has ended
            pass
    os.close(master)
    return out.decode().replace('\r\n', '\n')


class Made(support.TestCase):
    def index(self, packets, *words, name='made'):
        """Indexes packets, a millisecond apart."""
        f = self.write(name + '.pcap', support.pcap_bytes([(T0 + n * MS, *(p if isinstance(p, tuple) else (p,)))
                                                           for n, p in enumerate(packets)]))
        db = self.path(name + '.db')
        if os.path.exists(db):
            os.remove(db)
        index(db, '-q', f, *words)
        return db

    def numbers(self, packets):
        return [(p['direction'], p['tcp_flags'], p['seq'], p['ack']) for p in lines(self.index(packets))]

    def test_sequence_numbers(self):
        with self.subTest('from the SYN, around the end of numbers'):
            self.assertEqual(self.numbers([client('S', 2**32 - 2), server('SA', 9000, 2**32 - 1), client('A', 2**32 - 1, 9001),
                                           client('PA', 2**32 - 1, 9001, b'abcde'), server('A', 9001, 4), client('FA', 4, 9001)]),
                             [('client', 'S', 0, None), ('server', 'SA', 0, 1), ('client', 'A', 1, 1), ('client', 'PA', 1, 1),
                              ('server', 'A', 1, 6), ('client', 'FA', 6, 1)])
        with self.subTest('in the middle: from the first segment, and what is acknowledged before the other end sends'):
            self.assertEqual(self.numbers([client('A', 500, 700, b'abc'), server('A', 700, 503, b'x'), client('A', 503, 701)]),
                             [('client', 'A', 1, 1), ('server', 'A', 1, 4), ('client', 'A', 4, 2)])
        with self.subTest('refused'):
            self.assertEqual(self.numbers([client('S', 77), server('RA', 0, 78)]),
                             [('client', 'S', 0, None), ('server', 'RA', 1, 1)])
        with self.subTest('another SYN begins anew'):
            self.assertEqual(self.numbers([client('S', 77), client('S', 1000), server('SA', 5, 1001), client('A', 1001, 6)]),
                             [('client', 'S', 0, None), ('client', 'S', 0, None), ('server', 'SA', 0, 1), ('client', 'A', 1, 1)])
        with self.subTest('no flag at all, and all'):
            self.assertEqual([p[1] for p in self.numbers([client('', 5), client('FSRPA', 6)])], ['none', 'FSRPA'])

    def test_raw_sequence_numbers(self):
        db = self.index([client('S', 2**32 - 1), server('SA', 3, 0)])
        self.assertEqual(flowcarve('packets', '-d', db, '--fields', 'seq-raw').text,
                         'seq_raw\tack_raw\n4294967295\t\n3\t0\n')

    def test_several_sessions(self):
        """In the order of time; delta and numbers are those of each session, and the table tells who it is."""
        db = self.index([client('S', 1), udp('10.0.0.3', 5, '10.0.0.4', 53, b'abc'), server('SA', 5, 2),
                         udp('10.0.0.4', 53, '10.0.0.3', 5, b'abcd')])
        found = lines(db)
        self.assertEqual([(p['session'], p['direction'], p['delta'], p['src_addr'], p['dst_port'], p['payload']) for p in found],
                         [(1, 'client', 0, '10.0.0.1', 80, 0), (2, 'client', 0, '10.0.0.3', 53, 3),
                          (1, 'server', .002, '10.0.0.2', 4000, 0), (2, 'server', .002, '10.0.0.4', 5, 4)])
        self.assertEqual([p['time_ns'] for p in found], [T0 + n * MS for n in range(4)])
        table = flowcarve('packets', '-d', db, '-f', 'table').text
        self.assertIn('SOURCE', table)
        self.assertRegex(table, r'10\.0\.0\.3:5 +10\.0\.0\.4:53 ')
        self.assertNotIn('SOURCE', flowcarve('packets', '-d', db, '-f', 'table', 'tcp').text)
        self.assertEqual(lines(db, '-i', '2'), [found[1], found[3]])
        self.assertEqual(lines(db, '-i', '1-2', 'udp'), [found[1], found[3]])

    def test_direction_and_limit(self):
        packets = [client('S', 10), server('SA', 20, 11), client('A', 11, 21), client('PA', 11, 21, b'a'), server('A', 21, 12)]
        db = self.index(packets)
        self.assertEqual([(p['delta'], p['seq'], p['ack']) for p in lines(db, '--direction', 'server')], [(0, 0, 1), (.003, 1, 2)])
        self.assertEqual([p['tcp_flags'] for p in lines(db, '--direction', 'client', '-n', '2')], ['S', 'A'])
        self.assertEqual(lines(db, '--limit', '0', ok=1), [])
        self.assertEqual(len(lines(db, '--limit', '99')), len(packets))
        db = self.index([client('S', 1)])
        r = flowcarve('packets', '-d', db, '--direction', 'server', ok=1)
        self.assert_says(r, 'no packets in this direction')

    def test_what_is_not_tcp(self):
        """Null, not 0: of IPv6, ICMP, a later fragment, ARP, a VLAN, and a packet that cannot be read."""
        six = struct.pack('>IHBB', 6 << 28, 12, 17, 61) + bytes(15) + b'\1' + bytes(15) + b'\2' + support.udp_datagram(7, 8, b'abcd')
        arp = eth(bytes([0, 1, 8, 0, 6, 4, 0, 1]) + bytes(6) + support.ip4(C[0]) + bytes(6) + support.ip4(V[0]), 0x806)
        pieces = support.udp_fragments(*C, *V, 9)
        db = self.index([eth(six, 0x86dd), eth(ipv4(C[0], V[0], 1, bytes([8, 0]) + bytes(30))), *pieces, arp,
                         udp(*C, *V, b'tagged', vlan=42), eth(b'\x45\0\0')])
        found = lines(db)
        self.assertEqual([p['proto'] for p in found], ['udp', 'icmp', 'udp', 'udp', 'udp', 'arp', 'udp', 'malformed'])
        self.assertEqual([p['payload'] for p in found], [4, 24, 56, 64, 20, None, 6, None])
        self.assertEqual([p['ttl'] for p in found], [61, 64, 64, 64, 64, None, 64, None])
        self.assertEqual([p['vlan'] for p in found], [None] * 6 + ['42', None])
        self.assertEqual([p['src_port'] for p in found[:5]], [7, 8, 4000, None, None])
        self.assertEqual({p[k] for p in found for k in ('seq', 'ack', 'tcp_flags')}, {None})
        table = flowcarve('packets', '-d', db, '-f', 'table').text
        self.assertRegex(table, r'\[::1\]:7 +\[::2\]:8 +udp ')
        self.assertNotIn('FLAGS', table)
        self.assertIn('VLAN', table)

    def test_fields(self):
        """The columns in the order given, whatever was indexed; and no others."""
        db = self.index([client('S', 1, vlan=7), server('SA', 5, 2, vlan=7)])
        self.assertEqual(flowcarve('packets', '-d', db, '--fields', 'vlan,ttl,mac,tcp-flags,number').text,
                         'vlan\tttl\tsrc_mac\tdst_mac\ttcp_flags\tnumber\n' + ''.join(
                             '7\t64\t02:00:00:00:00:01\t02:00:00:00:00:02\t%s\t%d\n' % row for row in (('S', 1), ('SA', 2))))
        self.assertEqual(flowcarve('packets', '-d', db, '--fields', 'seq').out, flowcarve('packets', '-d', db, '--fields', 'isn').out)
        everything = lines(db, '--fields', 'all')[0]
        self.assertEqual((everything['path'], everything['file'], everything['offset']), (self.path('made.pcap'), 1, 24))
        usual = list(lines(db)[0])
        self.assertEqual(list(everything)[:len(usual)], usual)
        for words, cause in ((['ttl,color'], "no field 'color'"), ([''], "no field ''"), (['ttl,ttl'], 'twice'), (['seq,isn'], 'twice')):
            self.assert_says(flowcarve('packets', '-d', db, '--fields', *words, ok=2), cause)

    def test_formats(self):
        db = self.index([client('S', 1), udp(*C, *V, b'x', vlan=1), server('SA', 5, 2)])
        found = [{k: '' if v is None else str(v) for k, v in p.items()} for p in lines(db)]
        for p in found:
            p['delta'] = '%.9f' % float(p['delta'])
        for name, dialect in (('csv', 'excel'), ('tsv', 'excel-tab')):
            text = flowcarve('packets', '-d', db, '-f', name).text
            self.assertEqual([dict(row) for row in csv.DictReader(io.StringIO(text, newline=''), dialect=dialect)], found, name)
        self.assertEqual(flowcarve('packets', '-d', db).text, text)

    def test_bytes(self):
        whole = [client('S', 1), client('PA', 2, 0, bytes(range(256)))]
        cut = client('A', 258, 0, b'0123456789')
        db = self.index(whole + [(cut[:-7], len(cut))])
        found = lines(db, '--hex')
        self.assertEqual([base64.b64decode(p['data']) for p in found], whole + [cut[:-7]])
        self.assertEqual((found[2]['caplen'], found[2]['origlen'], found[2]['payload']), (len(cut) - 7, len(cut), 10))
        text = flowcarve('packets', '-d', db, '-x').text
        data = [b'']
        for line in text.splitlines():
            if not line.startswith('  '):
                data.append(b'')
                continue
            row, shown = bytes.fromhex(line[12:60]), line[62:]
            self.assertEqual((int(line[2:10], 16), re.sub(rb'[^ -~]', b'.', row)), (len(data[-1]), shown.encode()))
            data[-1] += row
        self.assertEqual(data[2:], whole + [cut[:-7]])

    def layers(self, text):
        """[(layer, offset, length, {field: value})] of each packet."""
        packets = []
        for line in re.sub(r'\n {24}', ' ', text).splitlines()[1:]:
            if not line.startswith('  '):
                packets.append([])
                continue
            kind, place, said = re.fullmatch(r'  (\S+) +(\d+\+\d+) +(.*)', line).groups()
            packets[-1].append((kind, *map(int, place.split('+')), dict(f.partition(' ')[::2] for f in said.split(', ') if f)))
        return packets

    def test_layers(self):
        """Each header with its fields, one behind the other; what was cut says so."""
        options = bytes([2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 8, 10]) + struct.pack('>II', 11, 22) + bytes([5, 10]) + struct.pack('>II', 1, 9)
        head = struct.pack('>HHIIBBHHH', 4000, 80, 77, 78, (20 + len(options) + 2) // 4 << 4, 0x12, 500, 0xabcd, 0)
        segment = eth(ipv4(C[0], V[0], 6, head + options + bytes(2) + b'data', ident=9), vlan=0x6005)
        vxlan = udp(*C, '10.0.0.9', 4789, b'\x08\0\0\0\0\0\x2a\0' + udp('10.1.0.1', 1, '10.1.0.2', 2, b'inner'))
        broken = eth(ipv4(C[0], V[0], 6, head[:12] + b'\x60' + head[13:] + bytes([2, 99, 0, 0])))
        db = self.index([segment, vxlan, (segment[:45], len(segment)), broken])
        found = self.layers(flowcarve('packets', '-d', db, '--tree').text)
        self.assertEqual([[l[0] for l in p] for p in found], [
            ['ethernet', 'vlan', 'ipv4', 'tcp', 'payload'],
            ['ethernet', 'ipv4', 'udp', 'tunnel', 'ethernet', 'ipv4', 'udp', 'payload'],
            ['ethernet', 'vlan', 'ipv4', 'tcp'], ['ethernet', 'ipv4', 'tcp']])
        for p in found:
            self.assertEqual([at + n for _, at, n, _ in p[:-1]], [at for _, at, _, _ in p[1:]])
        self.assertEqual(found[0][1][3], {'id': '5', 'priority': '3', 'dei': '0', 'type': '0x0800'})
        self.assertEqual({k: found[0][2][3][k] for k in ('src', 'dst', 'proto', 'ttl', 'id')},
                         {'src': C[0], 'dst': V[0], 'proto': 'tcp', 'ttl': '64', 'id': '9'})
        self.assertEqual(found[0][3][3], {
            'src': '4000', 'dst': '80', 'seq': '77', 'ack': '78', 'flags': 'SA', 'window': '500', 'checksum': '0xabcd', 'urgent': '0',
            'mss': '1460', 'window-scale': '7', 'sack-permitted': '', 'timestamps': '11 22', 'sack': '1-9'})
        self.assertEqual(found[0][4][3], {'4': 'bytes'})
        self.assertEqual((found[1][3][3], found[1][5][3]['dst']), ({'vxlan': '', 'VNI': '42'}, '10.1.0.2'))
        self.assertEqual(list(found[2][3][3]), ['src', 'dst', 'cut'])
        self.assertEqual(found[3][2][3]['option'], '2 is broken')
        self.assertEqual(self.layers(flowcarve('packets', '--no-keep', '-r', self.path('made.pcap'), '--tree', '--fields', 'time').text), found)
        index(self.path('outer.db'), '-q', '--outer', self.path('made.pcap'))
        self.assertEqual(self.layers(flowcarve('packets', '-d', self.path('outer.db'), '--tree').text), found)
        both = flowcarve('packets', '-d', db, '--tree', '-x', '-n', '1').text
        self.assertLess(both.index('payload'), both.index('00000000'))
        self.assert_says(flowcarve('packets', '-d', db, '--tree', '-f', 'json', ok=2), '--tree is for table')
        shown = on_terminal(80, 'packets', '-d', db, '--tree')
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        self.assertEqual(self.layers(shown), found)

    def test_many_bytes(self):
        """Rows are kept back to measure the columns, but not without bound; and nothing changes behind."""
        packets = [client('A', 1 + n, 0, b'%1200d' % n) for n in range(1100)]
        db = self.index(packets)
        for words in ([], ['-x']):
            text = flowcarve('packets', '-d', db, '-f', 'table', *words).text
            rows = [line.split() for line in text.splitlines()[1:] if not line.startswith('  ')]
            self.assertEqual([int(r[5]) for r in rows], list(range(1, 1101)))
        self.assertEqual(text.count('\n  00000000 '), 1100)

    def test_times(self):
        """In a zone; a table has the day in its title, and tells another one; times that run backwards; none at all."""
        f = self.write('t.pcap', support.pcap_bytes([(T0, client('S', 1)), (T0 + 86400 * S // 4, server('SA', 5, 2))]))
        index(self.path('t.db'), '-q', f, '--timeout', 'tcp-new=86400')
        words = 'packets', '-d', self.path('t.db'), '-f', 'table', '--fields', 'time,delta'
        self.assertEqual([line.split('  ') for line in re.sub(' {3,}', '  ', flowcarve(*words).text).splitlines()],
                         [['2023-11-14 UTC', 'DELTA'], ['22:13:20.000000', '0.000000'],
                          ['2023-11-15 04:13:20.000000', '21600.000000']])
        self.assertIn('2023-11-15 Berlin', flowcarve(*words, '--tz', 'Europe/Berlin', '--direction', 'server').text)
        self.assertIn('T23:13:20.000000000+01:00', flowcarve('packets', '-d', self.path('t.db'), '--tz', '+01:00').text)
        ng = support.shb() + support.idb() + b''.join(
            support.block('<', 3, struct.pack('<I', len(p)) + p) for p in (client('S', 1), server('SA', 5, 2)))
        index(self.path('n.db'), '-q', self.write('n.pcapng', ng))
        self.assertEqual([(p['time'], p['time_ns'], p['delta'], p['seq']) for p in lines(self.path('n.db'))], [(None, None, None, 0)] * 2)

    def test_missing_captures(self):
        a = self.write('a.pcap', support.pcap_bytes([(T0, client('S', 1))]))
        b = self.write('b.pcap', support.pcap_bytes([(T0 + MS, server('SA', 5, 2))]))
        db = self.path('db')
        index(db, '-q', a, b)
        self.assertEqual(len(lines(db)), 2)
        os.rename(b, b + '~')
        r = flowcarve('packets', '-d', db, ok=2)
        self.assertEqual(r.out, b'')
        self.assert_says(r, 'b.pcap', '--partial')
        r = flowcarve('packets', '-d', db, '--partial', '-f', 'json')
        self.assertEqual([json.loads(line)['tcp_flags'] for line in r.text.splitlines()], ['S'])
        self.assert_says(r, 'b.pcap', 'left out')
        os.rename(b + '~', b)
        self.write('b.pcap', support.pcap_bytes([(T0 + MS, udp(*C, *V, b'x' * 12))]))
        self.assert_says(flowcarve('packets', '-d', db, ok=2), 'b.pcap', '--partial')

    def test_which_sessions(self):
        db = self.index([client('S', 1), udp(*C, *V, b'x')])
        self.assert_says(flowcarve('packets', '-d', db, 'port 9', ok=1), 'no session matches')
        self.assert_says(flowcarve('packets', '-d', db, '-i', '7', ok=1), 'not in the index: 7')
        self.assert_says(flowcarve('packets', '-d', db, '-i', '1,7'), 'not in the index: 7')
        self.assertEqual(flowcarve('packets', '-q', '-d', db, '-i', '1,7').err, '')
        self.assert_says(flowcarve('packets', '-d', db, '-v', 'udp'), '1 packet; 1 session matched')
        self.write('filter', b'# of one\nudp\n')
        self.assertEqual([p['proto'] for p in lines(db, '-F', self.path('filter'))], ['udp'])
        for words, cause in ((['-i', 'x'], '--id takes'), (['-n', '-1'], '--limit takes'), (['--direction', 'up'], 'takes client, server'),
                             (['-f', 'xml'], 'unknown format'), (['-f', 'zeek'], 'conn.log'), (['-x', '-f', 'tsv'], '--hex'),
                             (['--tz', 'Nowhere/City'], 'zone'), (['port', 'x'], 'filter')):
            self.assert_says(flowcarve('packets', '-d', db, *words, ok=2), cause)

    def test_a_reader_that_has_enough_and_one_that_interrupts(self):
        files = self.fcgen('c.pcap', '--packets', '60000', '--sizes', 'small')
        index(self.path('c.db'), '-q', *files)
        words = [support.FLOWCARVE, 'packets', '-d', self.path('c.db'), '-f', 'json']
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment()) as p:
            p.stdout.readline()
            p.stdout.close()
            self.assertEqual((p.wait(timeout=30), p.stderr.read()), (0, b''))
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment()) as p:
            p.stdout.readline()
            p.send_signal(signal.SIGTERM)
            p.stdout.read()
            self.assertEqual((p.wait(timeout=30), b'interrupted' in p.stderr.read()), (-15, True))
        with open('/dev/full', 'wb') as full:
            p = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=support.environment())
        self.assertEqual((p.returncode, b'cannot write' in p.stderr), (2, True))

    def test_on_a_terminal(self):
        """Lines fit where they can; what may go goes first, and what was asked for stays."""
        db = self.index([client('S', 1, vlan=3), server('SA', 5, 2, vlan=3), udp(*C, *V, b'x')])
        for columns in (80, 100, 200):
            for words in ([], ['tcp']):
                text = on_terminal(columns, 'packets', '-d', db, *words)
                self.assertLessEqual(max(map(len, text.splitlines())), columns)
                for word in ['LEN', 'FLAGS'] + (['SOURCE', 'SESSION'] if not words else ['DELTA', 'SEQ', 'ACK', 'TTL']):
                    self.assertIn(word, text, columns)
        self.assertIn('VLAN', text)
        self.assertIn('PATH', on_terminal(80, 'packets', '-d', db, '--fields', 'all'))


@unittest.skipUnless(support.CAPTURES, 'FLOWCARVE_CAPTURES is not set')
class Real(support.TestCase):
    def test_the_pinned_session(self):
        db = self.path('db')
        index(db, '-q', os.path.join(support.CAPTURES, 'seladb+PcapPlusPlus/example.pcap'))
        text = flowcarve('packets', '-d', db, '--limit', '4', '-f', 'table', 'port', '44150').text
        self.assertEqual([line.split()[1:] for line in text.splitlines()[1:]],
                         [['0.000000', '13', 'client', 'S', '0', '-', '0', '64'], ['0.019668', '13', 'server', 'SA', '0', '1', '0', '59'],
                          ['0.019680', '13', 'client', 'A', '1', '1', '0', '64'], ['0.206853', '13', 'client', 'PA', '1', '1', '510', '64']])
        self.assertEqual(len(lines(db, 'port', '44150')), 532)

    def tshark(self, path):
        """{frame number: what it says of TCP}, of frames that have one TCP header behind one of IP."""
        fields = 'frame.number frame.time_epoch tcp.stream tcp.flags tcp.seq tcp.ack tcp.len ip.ttl ipv6.hlim'.split()
        out = subprocess.run([support.tool('tshark'), '-n', '-r', path, '-T', 'fields', *(w for f in fields for w in ('-e', f))],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        rows = [dict(zip(fields, line.split('\t'))) for line in out.split('\n')[:-1]]
        return {int(r['frame.number']): r for r in rows if r['tcp.len'] and ',' not in ''.join(r.values()) and not (r['ip.ttl'] and r['ipv6.hlim'])}

    def test_headers_as_tshark(self):
        path = os.path.join(support.CAPTURES, 'seladb+PcapPlusPlus/example.pcap')
        fields = 'ip.id ip.checksum ip.len tcp.srcport tcp.seq_raw tcp.ack_raw tcp.window_size_value tcp.checksum tcp.options.mss_val'.split()
        out = subprocess.run([support.tool('tshark'), '-n', '-r', path, '-c', '300', '-T', 'fields', *(w for f in fields for w in ('-e', f))],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
        theirs = [dict(zip(fields, line.split('\t'))) for line in out.splitlines()]
        mine = Made.layers(self, flowcarve('packets', '--no-keep', '-r', path, '-n', '300', '--tree', '--fields', 'time').text)
        self.assertEqual(len(mine), len(theirs))
        for n, (p, f) in enumerate(zip(mine, theirs)):
            ip, tcp = (next((l[3] for l in p if l[0] == kind), {}) for kind in ('ipv4', 'tcp'))
            got = [str(int(f['ip.id'] or '0', 16)) if f['ip.id'] else '', *(f[name] for name in fields[1:])]
            self.assertEqual([ip.get('id', ''), ip.get('checksum', ''), ip.get('length', ''), *(
                tcp.get(name, '') for name in ('src', 'seq', 'ack', 'window', 'checksum', 'mss'))], got, 'frame %d' % (n + 1))

    def compare(self, row):
        path, db = os.path.join(support.CAPTURES, row['path']), self.path('%s.db' % hashlib.sha1(row['path'].encode()).hexdigest())
        index(db, '-q', '--profile', 'wireshark', path)
        frames, sessions = self.tshark(path), collections.defaultdict(list)
        for p in lines(db, '--fields', 'all', 'tcp', ok=(0, 1)):
            sessions[p['session']].append(p)
        streams = collections.Counter(f['tcp.stream'] for f in frames.values())
        count = 0
        for packets in sessions.values():
            theirs = [frames.get(p['number']) for p in packets]
            # sessions that are a stream there, and whose packets are taken in the order in which they stand
            if None in theirs or len({f['tcp.stream'] for f in theirs}) > 1 or streams[theirs[0]['tcp.stream']] != len(theirs) or \
                    [p['number'] for p in packets] != sorted(p['number'] for p in packets) or packets[-1]['time_ns'] == 2**63 - 1:
                continue
            for p, f in zip(packets, theirs):
                bits = sum(1 << 'FSRPAUEC'.index(c) for c in p['tcp_flags'] if p['tcp_flags'] != 'none')
                seconds, _, part = f['frame.time_epoch'].partition('.')
                mine = (p['time_ns'], bits, p['seq'], p['ack'], p['payload'], p['ttl'])
                want = (int(seconds) * S + int(part.ljust(9, '0')), int(f['tcp.flags'], 16) & 255, int(f['tcp.seq']),
                        int(f['tcp.ack']) if bits & 16 else None, int(f['tcp.len']), int(f['ip.ttl'] or f['ipv6.hlim']))
                self.assertEqual(mine, want, '%s, frame %s' % (row['path'], f['frame.number']))
                count += 1
        os.remove(db)
        return count

    def test_as_tshark(self):
        """Some captures; all of them in the long form."""
        support.tool('tshark')
        rows = [row for row in support.read_truth(os.path.join(support.CAPTURES, 'MANIFEST.tsv'))
                if row['status'] == 'ok' and 'p:tcp' in row['features']]
        some = rows if support.LONG else support.rng('packets').sample(
            [row for row in rows if 50 < int(row['packets']) < 5000 and int(row['ip_flows']) > 1], 4)
        count = 0
        for row in some:
            with self.subTest(row['path']):
                count += self.compare(row)
        self.assertGreater(count, 50)


BATCHES = r'''
#include <flowcarve/flowcarve.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum(const struct fc_session_packet *p)
{
    uint64_t n = p->off * 31 + (uint64_t)p->session * 7 + p->from + p->file + p->record.caplen + (uint64_t)p->record.ts_ns;
    for (uint32_t i = 0; p->record.data && i < p->record.caplen; i++)
        n = n * 1099511628211u + p->record.data[i];
    return n;
}

/* One by one, in batches, and both in turn: the same packets. */
int main(int argc, char **argv)
{
    struct fc_packets_options options = {.positions = argc > 2};
    struct fc_packets *one, *many, *both;
    struct fc_session_packet *batch = calloc(1000, sizeof *batch);
    const struct fc_session_packet *p;
    struct fc_packets_result r;
    struct fc_error err;
    struct fc_db *db;
    uint64_t packets = 0, batches = 0;
    int64_t n;

    if (fc_db_open(argv[1], &db, &err) || fc_packets_open(db, NULL, &options, &one, &err) ||
        fc_packets_open(db, NULL, &options, &many, &err) || fc_packets_open(db, NULL, &options, &both, &err))
        return 2;
    for (unsigned room = 1; (n = fc_packets_batch(many, batch, room, &err)) > 0; room = room % 1000 + 37 > 1000 ? 1 : room + 37) {
        uint64_t bytes = 0;
        batches++;
        for (int64_t i = 0; i < n; i++, packets++) {
            bytes += batch[i].record.data ? batch[i].record.caplen : 0;
            if (fc_packets_next(one, &p, &err) != 1 || sum(p) != sum(&batch[i]))
                return 3;
        }
        if (bytes > 1 << 20 && n > 1)
            return 4;
        fc_packets_result(many, &r);
        if (r.packets != packets)
            return 5;
    }
    if (n || fc_packets_next(one, &p, &err) != 0)
        return 6;
    fc_packets_close(one);
    if (fc_packets_open(db, NULL, &options, &one, &err))
        return 2;
    for (unsigned turn = 0; (n = turn % 3 ? fc_packets_batch(both, batch, 1000, &err) : fc_packets_next(both, &p, &err)) > 0; turn++)
        for (int64_t i = 0; i < n; i++) {
            const struct fc_session_packet *theirs = turn % 3 ? &batch[i] : p, *mine;
            uint64_t want = sum(theirs);
            if (fc_packets_next(one, &mine, &err) != 1 || sum(mine) != want)
                return 7;
        }
    if (fc_packets_next(one, &p, &err) != 0)
        return 8;
    printf("%" PRIu64 " %" PRIu64 "\n", packets, batches);
    fc_packets_close(one);
    fc_packets_close(many);
    fc_packets_close(both);
    fc_db_close(db);
    free(batch);
    return 0;
}
'''


@unittest.skipIf(support.sanitized(), 'the program is not built with them')
class Batches(support.TestCase):
    """Of the library: packets come in batches as they come one by one."""

    def test_the_same_as_one_by_one(self):
        db, program = self.path('x.db'), self.path('batches')
        index(db, '-q', *self.fcgen('c.pcap', '--packets', '9000'))
        build = os.path.dirname(support.FLOWCARVE)
        with open(self.path('batches.c'), 'w', encoding='utf-8') as f:
            f.write(BATCHES)
        subprocess.run([support.tool('cc'), self.path('batches.c'), '-I', os.path.join(support.ROOT, 'include'), '-L', build,
                        '-Wl,-rpath,' + build, '-lflowcarve', '-o', program], check=True)
        for words in ([], ['positions']):
            out = subprocess.run([program, db, *words], stdout=subprocess.PIPE)
            self.assertEqual(out.returncode, 0, words)
            packets, batches = map(int, out.stdout.split())
            self.assertEqual(packets, 9000)
            self.assertGreater(batches, 9)


if __name__ == '__main__':
    support.main()
