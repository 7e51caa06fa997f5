# SPDX-License-Identifier: MIT
"""Payload as it was sent: in order, once, and with every gap told. tshark's follow is the second opinion."""
import base64, collections, contextlib, hashlib, ipaddress, json, os, re, struct, subprocess, unittest

import support
from support import S, T0, eth, flowcarve, index, ipv4, tcp, udp, udp_datagram

MS = 10**6
C, V = ('10.0.0.1', 4000), ('10.0.0.2', 80)
ISN, VISN = 1000, 9000

# Streams that tshark shows otherwise, by capture and stream, and why.
DIFFERENT = {
    'arkime+arkime/arkime_synthetic.pcap udp 91': 'a datagram whose UDP length is 0: IP\'s counts here, it shows none',
    'ntop+nDPI/1kxun.pcap tcp 84': 'nothing is acknowledged: it shows nothing behind the gap, here it comes at the end',
    'ntop+nDPI/ossfuzz_seed_fake_traces_1.pcapng tcp 4': 'the times run backwards: it goes by place',
    'the-tcpdump-group+tcpdump/l2tp-avp-overflow.pcap udp 1': 'the times run backwards: it goes by place',
}


def client(flags, at=0, data=b'', ack=0, isn=ISN):
    """A segment whose first byte is `at` bytes behind the SYN."""
    return tcp(*C, *V, flags, isn + at + ('S' not in flags), VISN + 1 + ack, data)


def server(flags, at=0, data=b'', ack=0, isn=ISN):
    return tcp(*V, *C, flags, VISN + at + ('S' not in flags), isn + 1 + ack, data)


def pieces(db, *words):
    r = flowcarve('follow', '-d', db, '-q', '--format', 'json', *words)
    return [json.loads(line) for line in r.text.splitlines()]


def flow(found, of):
    """What one end has sent: bytes, and (kind, length) for a gap; neighbours of a kind are one."""
    out, at = [], 0
    for p in found:
        if p['from'] != of:
            continue
        assert p['at'] == at, (p, at)
        at += p['bytes']
        data = base64.b64decode(p['data']) if p['kind'] == 'data' else (p['kind'], p['bytes'])
        assert p['kind'] != 'data' or len(data) == p['bytes'], p
        if out and type(out[-1]) == type(data) == bytes:
            out[-1] += data
        elif out and type(data) == tuple and type(out[-1]) == tuple and out[-1][0] == data[0]:
            out[-1] = (data[0], out[-1][1] + data[1])
        else:
            out.append(data)
    return [p for p in out if p != b'']


class Flow(support.TestCase):
    def follow(self, packets, *words):
        """Indexes packets, a millisecond apart, and follows what is in them."""
        f = self.write('made.pcap', support.pcap_bytes([(T0 + n * MS, *(p if isinstance(p, tuple) else (p,)))
                                                        for n, p in enumerate(packets)]))
        db = self.path('made.db')
        if os.path.exists(db):
            os.remove(db)
        index(db, '-q', f)
        return pieces(db, *(words or ('ip',)))

    hello = [client('S'), server('SA'), client('A')]


class Made(Flow):
    def assert_flow(self, packets, want, of='client'):
        self.assertEqual(flow(self.follow(packets), of), want)

    def test_in_order_and_back(self):
        found = self.follow(self.hello + [client('PA', 0, b'question'), server('PA', 0, b'answer', 8), client('PA', 8, b'!', 6)])
        self.assertEqual([(p['from'], base64.b64decode(p['data'])) for p in found],
                         [('client', b'question'), ('server', b'answer'), ('client', b'!')])
        self.assertEqual([p['time_ns'] for p in found], [T0 + 3 * MS, T0 + 4 * MS, T0 + 5 * MS])

    def test_out_of_order(self):
        self.assert_flow(self.hello + [client('A', 6, b'ghi'), client('A', 3, b'def'), client('A', 9, b'jkl'),
                                       client('A', 0, b'abc')], [b'abcdefghijkl'])

    def test_what_came_first_counts(self):
        """Also where it had to wait, in the middle, and around what waited."""
        self.assert_flow(self.hello + [client('A', 0, b'first'), client('A', 0, b'OTHER'), client('A', 5, b'.')], [b'first.'])
        self.assert_flow(self.hello + [client('A', 0, b'abc'), client('A', 1, b'XXde'), client('A', 4, b'Xf')], [b'abcdef'])
        self.assert_flow(self.hello + [client('A', 3, b'def'), client('A', 0, b'abcXXXghi')], [b'abcdefghi'])
        self.assert_flow(self.hello + [client('A', 3, b'd'), client('A', 6, b'g'), client('A', 2, b'cXefXh'),
                                       client('A', 0, b'ab')], [b'abcdefgh'])

    def test_gaps(self):
        with self.subTest('to the end'):
            self.assert_flow(self.hello + [client('A', 0, b'abc'), client('A', 10, b'xyz'), client('A', 13, b'!')],
                             [b'abc', ('missing', 7), b'xyz!'])
        with self.subTest('given up where the other end has it; what comes late is left out'):
            self.assert_flow(self.hello + [client('A', 0, b'abc'), client('A', 10, b'xyz'), server('A', 0, b'', 13),
                                           client('A', 3, b'defghij'), client('A', 13, b'!')],
                             [b'abc', ('missing', 7), b'xyz!'])
        with self.subTest('acknowledged is what is in front of it'):
            self.assert_flow(self.hello + [client('A', 0, b'abc'), client('A', 10, b'xyz'), server('A', 0, b'', 10),
                                           client('A', 3, b'defghij')], [b'abcdefghijxyz'])
        with self.subTest('at the start, and in front of the FIN'):
            self.assert_flow(self.hello + [client('A', 5, b'fgh'), client('FA', 20)], [('missing', 5), b'fgh', ('missing', 12)])

    def test_gaps_are_told(self):
        self.follow(self.hello + [client('A', 0, b'abc'), client('A', 10, b'x\x1b\xe4\ty\r\nz')])
        words = 'follow', '-d', self.path('made.db'), '1', '--direction', 'client'
        self.assertEqual(flowcarve(*words).text, 'abc\n[7 bytes missing]\nx..\ty\nz\n')
        self.assertIn('[7 bytes missing]\n> 0000000a  78 1b', flowcarve(*words, '-f', 'hex').text)
        r = flowcarve(*words, '-f', 'raw')
        self.assertEqual(r.out, b'abcx\x1b\xe4\ty\r\nz')
        self.assert_says(r, 'client: 7 bytes missing behind 3 bytes')

    def test_at_random(self):
        """Segments with bytes of their own, anywhere around the wrap; the naive one keeps the first byte of each place."""
        packets, want, r = [], {}, support.rng('follow', 'segments')
        for port in range(1000, 1000 + support.rounds(30, 1000)):
            isn, first = 2**32 - r.randrange(400), {}
            send = lambda flags, at, data: packets.append(tcp(C[0], port, *V, flags, isn + at + ('S' not in flags), 0, data))
            send('S', 0, b'')
            for _ in range(r.randrange(1, 40)):
                at, data = r.randrange(300), r.randbytes(r.randrange(1, r.choice((3, 60))))
                send('A', at, data)
                for n, c in enumerate(data):
                    first.setdefault(at + n, c)
            out = []
            for at in range(max(first) + 1):
                if at in first:
                    out[-1:] = [out[-1] + bytes([first[at]])] if out and type(out[-1]) == bytes else out[-1:] + [bytes([first[at]])]
                else:
                    out[-1:] = [('missing', out[-1][1] + 1)] if out and type(out[-1]) == tuple else out[-1:] + [('missing', 1)]
            want[port] = out
        self.follow(packets, 'port', '1000')
        for port in want:
            self.assertEqual(flow(pieces(self.path('made.db'), 'port', str(port)), 'client'), want[port], port)

    def test_sequence_numbers_wrap(self):
        isn, data = 2**32 - 6, bytes(range(40))
        parts = [client('A', at, data[at:at + 8], isn=isn) for at in (8, 0, 24, 16, 32)]
        self.assert_flow([client('S', isn=isn), server('SA', isn=isn)] + parts, [data])
        self.assert_flow([client('S', isn=isn)] + parts[:2] + [client('A', 32, b'x', isn=isn)], [data[:16], ('missing', 16), b'x'])

    def test_far_away_does_no_harm(self):
        """A stray segment, and a RST with a number of its own."""
        self.assert_flow([server('R', 5 * 10**8)] + self.hello +
                         [client('A', 0, b'ab'), client('A', 2**31, b'junk'), client('R', 10**9),
                          server('A', 0, b'', 2), client('A', 2, b'cd')],
                         [b'abcd', ('missing', 2**31 - 4), b'junk'], of='server')  # who sent first is the client

    def test_numbers_of_syn_and_fin(self):
        self.assert_flow([client('S', 0, b'early'), server('SA'), client('A', 5, b' and late'), client('FA', 14), client('A', 15)],
                         [b'early and late'])
        self.assert_flow([client('S'), client('FA', 0, b'abc'), client('A', 4, b'behind the end')], [b'abcbehind the end'])

    def test_what_waits_is_bounded(self):
        n = 65537
        segments = [client('A', 1 + at, b'%d' % (at % 10)) for at in range(n)]
        self.assert_flow(self.hello + segments[:-1] + [client('A', 0, b'!')], [b'!' + b'0123456789' * (n // 10) + b'012345'])
        self.assert_flow(self.hello + segments + [client('A', 0, b'!')], [('missing', 1), b'0123456789' * (n // 10) + b'0123456'])

    def test_keep_alives(self):
        self.assert_flow(self.hello + [client('A', 0, b'abc'), client('A', 2, b'\0'), client('A', 2),
                                       client('A', 3, b'd')], [b'abcd'])

    def test_picked_up_in_the_middle(self):
        self.assert_flow([client('A', 500, b'abc'), server('A', 700, b'xyz'), client('A', 503, b'def')], [b'abcdef'])

    def test_cut_by_the_snaplen(self):
        whole = client('A', 3, b'defghij')
        self.assert_flow(self.hello + [client('A', 0, b'abc'), (whole[:-4], len(whole)), client('A', 10, b'k')],
                         [b'abcdef'[:6], ('cut', 4), b'k'])
        self.assert_flow(self.hello + [client('A', 0, b'abc'), client('A', 10, b'k'), (whole[:-4], len(whole))],
                         [b'abcdef', ('cut', 4), b'k'])
        d = udp(*C, *V, b'datagram')
        self.assert_flow([(d[:-3], len(d)), udp(*C, *V, b'next')], [b'datag', ('cut', 3), b'next'])

    def test_datagrams(self):
        padded = eth(ipv4(C[0], V[0], 17, udp_datagram(C[1], V[1], b'three') + b'padding'))
        found = self.follow([udp(*C, *V, b'one'), udp(*V, *C, b'two'), udp(*C, *V, b''), padded])
        self.assertEqual([(p['from'], base64.b64decode(p['data'])) for p in found],
                         [('client', b'one'), ('server', b'two'), ('client', b''), ('client', b'three')])

    def fragments(self, whole, proto, sizes, ident=7):
        out, at = [], 0
        for n in sizes:
            out.append(eth(ipv4(C[0], V[0], proto, whole[at:at + n], ident, at, at + n < len(whole))))
            at += n
        return out

    def test_fragments(self):
        data = bytes(range(200))
        whole = udp_datagram(C[1], V[1], data)
        a, b, c = self.fragments(whole, 17, (64, 64, 80))
        with self.subTest('in any order, and twice'):
            self.assert_flow([a, b, c], [data])
            self.assert_flow([a, c, b, b, a, c], [data])
        with self.subTest('what came first counts'):
            other = self.fragments(whole[:64] + b'x' * 100 + whole[164:], 17, (64, 100, 44))[1]
            self.assert_flow([a, other, b, c], [data[:56] + b'x' * 100 + data[156:]])
            self.assert_flow([c, other, b, a], [data[:56] + b'x' * 64 + data[120:]])
        with self.subTest('incomplete'):
            self.assert_flow([a, c], [data[:56], ('fragments', 144)])
            self.assert_flow([a, b], [data[:120], ('fragments', 80)])
            others = [f for n in range(64) for f in self.fragments(udp_datagram(C[1], V[1], b'whole' * 20), 17, (8, 100), 100 + n)]
            self.assert_flow([a, c] + others, [b'whole' * 20 * 63 + data[:56], ('fragments', 144), b'whole' * 20])
        with self.subTest('the identification comes again'):
            other = self.fragments(udp_datagram(C[1], V[1], data[::-1]), 17, (64, 64, 80))
            self.assert_flow([a, b, c] + other, [data + data[::-1]])
        with self.subTest('of TCP'):
            segment = client('A', 0, data)[34:]
            self.assert_flow(self.hello + self.fragments(segment, 6, (40, 104, 76)) + [client('A', 200, b'!')], [data + b'!'])
        with self.subTest('IPv6'):
            v6 = lambda part, at, more: eth(
                struct.pack('>IHBB', 6 << 28, len(part) + 8, 44, 64) + bytes(15) + b'\1' + bytes(15) + b'\2' +
                struct.pack('>BBHI', 17, 0, at | more, 9) + part, 0x86dd)
            found = self.follow([v6(whole[:64], 0, 1), v6(whole[64:], 64, 0)], 'ip6')
            self.assertEqual(flow(found, 'client'), [data])

    def test_which_session(self):
        self.follow(self.hello + [client('A', 0, b'abc'), udp(*C, *V, b'u')], '1')
        db = self.path('made.db')
        self.assertEqual(flowcarve('follow', '-d', db, '-f', 'raw', '-i', '2').out, b'u')
        self.assert_says(flowcarve('follow', '-d', db, 'host', C[0], ok=2), '2 sessions match', '--id')
        self.assert_says(flowcarve('follow', '-d', db, '3', ok=1), 'no session matches')
        self.assert_says(flowcarve('follow', '-d', db, 'tcp', '--direction', 'server'), 'no payload in this direction')
        self.assertEqual(flowcarve('follow', '-d', db, 'tcp', '-w', self.path('out')).out, b'')
        self.assertTrue(support.read_bytes(self.path('out')).endswith(b'abc\n'))


class ToFiles(support.TestCase):
    """A file for each end of each session has what `follow` shows of it alone."""

    def test_each_end_of_each_session(self):
        db, out = self.path('x.db'), self.path('out')
        index(db, '-q', *self.fcgen('c.pcap', '--packets', '700', '--sessions', '90', '--ipv6', '30', '--fragments', '5'))
        r = flowcarve('follow', '-d', db, '--to', out)
        rows = [json.loads(line) for line in flowcarve('query', '-d', db, '-f', 'json').text.splitlines()]
        self.assert_says(r, '%d files of %d sessions written' % (len(os.listdir(out)), len(rows)))
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o700)
        found = collections.Counter()
        for row in rows:
            for end, other in (('client', 'server'), ('server', 'client')):
                want = flowcarve('follow', '-q', '-d', db, '-f', 'raw', '--direction', end, row['id']).out
                name = lambda e: '.'.join(('%03d' % int(p) for p in row[e + '_addr'].split('.')) if '.' in row[e + '_addr'] else
                                          re.findall('....', ipaddress.ip_address(row[e + '_addr']).exploded.replace(':', ''))
                                          ) + ('.%05d' % row[e + '_port'] if row[e + '_port'] is not None else '')
                if ':' in row['client_addr'] and row['proto'] == 'arp' or row['proto'].startswith('link'):
                    continue
                path = os.path.join(out, '%s-%sc%d' % (name(end), name(other), row['id']))
                found[os.path.exists(path)] += 1
                self.assertEqual(support.read_bytes(path) if os.path.exists(path) else b'', want, path)
        self.assertGreater(found[True], 30)
        before = {n: os.stat(os.path.join(out, n)).st_mtime_ns for n in os.listdir(out)}
        lost = sorted(before)[::3]
        for n in lost:
            os.remove(os.path.join(out, n))
        r = flowcarve('follow', '-d', db, '--to', out)  # goes on where it was stopped
        self.assert_says(r, '%d files of' % len(lost), '%d files there before' % (len(before) - len(lost)))
        self.assertEqual(sorted(os.listdir(out)), sorted(before))
        self.assertEqual([n for n in before if n not in lost and os.stat(os.path.join(out, n)).st_mtime_ns != before[n]], [])

    def test_gaps_and_what_is_refused(self):
        f = self.write('a.pcap', support.pcap_bytes([(T0 + n * MS, p) for n, p in enumerate(
            [client('S'), server('SA'), client('A'), client('A', 0, b'abc'), client('A', 10, b'xyz'), server('A', 0, b'back', 13)])]))
        db = self.path('x.db')
        index(db, '-q', f)
        r = flowcarve('follow', '-d', db, '--to', self.path('out'), '--direction', 'client', '--mode', '640', 'tcp')
        self.assertEqual([support.read_bytes(self.path('out', n)) for n in os.listdir(self.path('out'))], [b'abcxyz'])
        self.assert_says(r, '7 bytes missing behind 3 bytes', '1 gap, 7 bytes, left out')
        self.assertEqual(flowcarve('follow', '-q', '-d', db, '--to', self.path('none'), 'udp', ok=1).out, b'')
        for words in (('-w', 'x'), ('-f', 'json')):
            self.assert_says(flowcarve('follow', '-d', db, '--to', self.path('no'), *words, 'tcp', ok=2), '--to')
        os.remove(f)
        r = flowcarve('follow', '-d', db, '--to', self.path('gone'), 'tcp', ok=2)
        self.assert_says(r, 'a.pcap', '--partial')
        self.assertEqual(os.listdir(self.path('gone')), [])


class Grep(Flow):
    """Lines that match, whatever they came in; Python's re over the raw bytes of each end is the second opinion."""

    def lines(self, regex, *words, ok=0):
        r = flowcarve('follow', '-d', self.path('made.db'), '--grep', regex, *words, ok=ok)
        return [tuple(line.split('\t', 3)) for line in r.text.splitlines()]

    def test_lines(self):
        self.follow(self.hello + [client('A', 0, b'GET /a HT'), client('A', 9, b'TP\r\nHost: x\nno\tend'), server('PA', 0, b'HTTP/1.1 200'),
                                  server('A', 12, b'\r\n\r\nb\x00\xe4"\\y'), udp(*C, *V, b'one GET'), udp(*C, *V, b' two')], '1')
        self.assertEqual(self.lines('HTTP$'), [('1', 'client', '7', 'GET /a HTTP')])
        self.assertEqual(self.lines('(?i)^host: .$'), [('1', 'client', '13', 'Host: x')])
        self.assertEqual(self.lines('^no.end$'), [('1', 'client', '21', 'no.end')])
        self.assertEqual(self.lines('HTTP|GET'), [('2', 'client', '4', 'one GET'), ('1', 'client', '0', 'GET /a HTTP'),
                                                  ('1', 'server', '0', 'HTTP/1.1 200')][1:] + [('2', 'client', '4', 'one GET')])
        self.assertEqual(self.lines(r'\x00\xe4'), [('1', 'server', '17', 'b.."\\y')])
        self.assertEqual(self.lines('HTTP', '--direction', 'server'), [('1', 'server', '0', 'HTTP/1.1 200')])
        self.assertEqual(self.lines('GET', 'udp'), [('2', 'client', '4', 'one GET')])
        self.assertEqual(self.lines('GET two', ok=1), [])
        found = [json.loads(line) for line in flowcarve('follow', '-d', self.path('made.db'), '--grep', r'\x00.*y', '-f', 'json').text.splitlines()]
        self.assertEqual([(p['session'], p['from'], p['at'], p['bytes'], p['line'], base64.b64decode(p['data']), p['time_ns'])
                          for p in found], [(1, 'server', 17, 5, 'b.."\\y', b'\x00\xe4"\\y', T0 + 6 * MS)])
        self.assertEqual(self.lines('GET', '-w', self.path('out')), [])
        self.assertEqual(support.read_bytes(self.path('out')).count(b'\n'), 2)

    def test_gaps_end_a_line(self):
        self.follow(self.hello + [client('A', 0, b'abc'), client('A', 10, b'xyz')])
        self.assertEqual(self.lines('abc$'), [('1', 'client', '0', 'abc')])
        self.assertEqual(self.lines('^x'), [('1', 'client', '10', 'xyz')])
        r = flowcarve('follow', '-d', self.path('made.db'), '--grep', 'abc.*xyz', ok=1)
        self.assert_says(r, '1 gap, 7 bytes, not searched', 'no lines in 1 session match')

    def test_long_lines(self):
        """Parts that overlap: a match is told once, where it is, and only its surroundings are shown."""
        n = 1400
        data = b'first ' + b'.' * 65524 + b'needle' + b'.' * 70000 + b'later needle' + b'.' * 5000 + b'\nshort needle\n' + b'-' * 140000 + b'last'
        self.follow(self.hello + [client('A', at, data[at:at + n]) for at in range(0, len(data), n)])
        found = self.lines('needle')
        self.assertEqual([int(l[2]) for l in found], [data.index(b'needle'), data.index(b'short needle') + 6])
        self.assertTrue(found[0][3].startswith('...') and found[0][3].endswith('...') and len(found[0][3]) == 1006, found[0])
        self.assertEqual([int(l[2]) for l in self.lines('^(first|[.]+needle)')], [0])
        self.assertEqual([int(l[2]) for l in self.lines('last$')], [len(data) - 4])
        self.assertEqual(self.lines('[-]$', ok=1), [])

    def test_what_is_refused(self):
        self.follow(self.hello + [client('A', 0, b'a' * 5000)])
        words = 'follow', '-d', self.path('made.db'), '--grep'
        self.assert_says(flowcarve(*words, 'a(b', ok=2), "--grep: missing closing parenthesis, behind 'a(b'")
        for more in (('--to', self.path('x')), ('-f', 'hex'), ('-f', 'raw')):
            self.assert_says(flowcarve(*words, 'a', *more, ok=2), '--grep prints lines')
        r = flowcarve(*words, '(*LIMIT_MATCH=100)(a+)+[xy]', ok=2)
        self.assert_says(r, '1 line not searched to the end')

    def test_at_random(self):
        """All lines of all sessions, against raw bytes; several batches of sessions."""
        db = self.path('made.db')
        index(db, '-q', *self.fcgen('c.pcap', '--packets', str(support.rounds(3000, 60000)),
                                      '--sessions', str(support.rounds(120, 12000))))
        found = collections.Counter((int(s), f) for s, f, _, _ in self.lines('[A-Z][a-z]\\d'))
        want = collections.Counter()
        for row in support.sessions(db):
            for end in ('client', 'server'):
                pieces_of = pieces(db, '-i', row['id'], '--direction', end)
                parts, last = [], b''
                for p in pieces_of:
                    last += base64.b64decode(p['data']) if p['kind'] == 'data' else b''
                    if p['kind'] != 'data' or row['proto'] != 'tcp':
                        parts.append(last)
                        last = b''
                for line in (line for part in parts + [last] for line in part.split(b'\n')):
                    want[row['id'], end] += bool(re.search(rb'[A-Z][a-z]\d', line))
        self.assertEqual(found, +want)


@unittest.skipUnless(support.CAPTURES, 'FLOWCARVE_CAPTURES is not set')
class Real(support.TestCase):
    def test_the_pinned_session(self):
        db = self.path('db')
        index(db, '-q', os.path.join(support.CAPTURES, 'seladb+PcapPlusPlus/example.pcap'))
        for direction, size, start in ('client', 14610, '3f6cef50d4d93a00'), ('server', 445411, 'd1a3430cec3c9da7'):
            out = flowcarve('follow', '-d', db, '--format', 'raw', '--direction', direction, 'port', '44150').out
            self.assertEqual((len(out), hashlib.sha256(out).hexdigest()[:16]), (size, start))

    def tshark_streams(self, path):
        """[{(proto, stream)}] of each frame."""
        out = subprocess.run([support.tool('tshark'), '-n', '-r', path, '-T', 'fields', '-e', 'tcp.stream', '-e', 'udp.stream'],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        return [{(p, int(n)) for p, v in zip(('tcp', 'udp'), line.split('\t')) if v for n in v.split(',')}
                for line in out.split('\n')[:-1]]

    def tshark_follow(self, path, streams):
        """{(proto, stream): ((node, node), [(which, bytes)])}"""
        words = [w for p, n in streams for w in ('-z', 'follow,%s,raw,%d' % (p, n))]
        text = subprocess.run([support.tool('tshark'), '-n', '-q', '-r', path, *words],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        out = {}
        form = r'(?s)={67}\nFollow: (\w+),raw\nFilter: \w+\.stream eq (\d+)\nNode 0: (.*?)\nNode 1: (.*?)\n(.*?)(?=={67})'
        for part in re.findall(form, text):
            lines = [(int(l.startswith('\t')), bytes.fromhex(l)) for l in part[4].split('\n') if l.strip()]
            out[part[0], int(part[1])] = (part[2:4], lines)
        return out

    def assert_as_tshark(self, what, found, nodes, lines):
        if self.ends['client'] == self.ends['server']:
            del self.ends['server']
        broken = {p['offset'] for p in found if p['kind'] == 'fragments'}  # it shows nothing of such a datagram
        for of, end in self.ends.items():
            mine, theirs = flow(found, of) if not broken else [b''.join(base64.b64decode(
                p['data']) for p in found if p['from'] == of and p['offset'] not in broken)], []
            for which, data in lines:
                if nodes[which] != end:
                    continue
                gap = re.fullmatch(rb'\[(\d+) bytes missing in capture file\]\0?', data)
                if gap:
                    theirs.append(('missing', int(gap.group(1))))
                elif theirs and type(theirs[-1]) == bytes:
                    theirs[-1] += data
                else:
                    theirs.append(data)
            mine, theirs = [p for p in mine if p], [p for p in theirs if p]
            if mine and mine[-1][0] == 'missing' and theirs[-1:] != mine[-1:]:
                mine.pop()  # in front of a FIN, of which it says nothing
            if any(type(p) == tuple and p[0] != 'missing' for p in mine):  # cut: it closes that up
                mine, theirs = ([b''.join(p for p in l if type(p) == bytes)] for l in (mine, theirs))
            self.assertEqual(mine, theirs, '%s, %s' % (what, of))

    def compare(self, row, limit):
        path, db = os.path.join(support.CAPTURES, row['path']), self.path('%s.db' % hashlib.sha1(row['path'].encode()).hexdigest())
        index(db, '-q', '--profile', 'wireshark', path)
        try:
            numbers = {r.off: n for n, r in enumerate(support.parse_capture(support.uncompressed(support.read_bytes(path))))}
        except (ValueError, IndexError, struct.error):
            return 0
        frames = self.tshark_streams(path)
        all_of = collections.Counter(s for f in frames for s in f)
        same = {}
        for sid, places in support.all_positions(db).items():
            mine = collections.Counter(s for _, off in places for s in (frames[numbers[off]] if numbers[off] < len(frames) else ()))
            if len(mine) == 1 and all_of[next(iter(mine))] == mine.total():
                same[next(iter(mine))] = sid
        chosen = sorted(same)[:limit]
        rows = {s['id']: s for s in support.sessions(db)}
        for stream, (nodes, lines) in self.tshark_follow(path, chosen).items():
            s = rows[same[stream]]
            if s['client_port'] is None:
                continue  # fragments without a first one, which it finds in a packet that an ICMP message quotes
            self.ends = {e: ('[%s]:%d' if ':' in s[e + '_addr'] else '%s:%d') % (s[e + '_addr'], s[e + '_port'])
                         for e in ('client', 'server')}
            if set(self.ends.values()) != set(nodes):
                continue  # of what a tunnel carries that is not IP, it names the link addresses
            what = '%s %s %d' % (row['path'], *stream)
            with self.subTest(what):
                with self.assertRaises(AssertionError) if what in DIFFERENT else contextlib.nullcontext():
                    self.assert_as_tshark(what, pieces(db, '-i', same[stream]), nodes, lines)
        os.remove(db)
        return len(chosen)

    def test_as_tshark(self):
        """All streams of all captures in the long form."""
        support.tool('tshark')
        rows = [row for row in support.read_truth(os.path.join(support.CAPTURES, 'MANIFEST.tsv'))
                if row['status'] == 'ok' and re.search(r'p:(tcp|udp)', row['features'])]
        if support.LONG:
            self.assertGreater(sum(self.compare(row, 10**9) for row in rows), 6000)
            return
        some = [row for row in rows if int(row['packets']) < 5000 and int(row['ip_flows']) > 10]
        self.assertGreater(sum(self.compare(row, 8) for row in support.rng('follow').sample(some, 4)), 4)


if __name__ == '__main__':
    support.main()
