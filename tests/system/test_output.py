# SPDX-License-Identifier: MIT
"""What `query` writes besides all columns: chosen ones, a conn.log, and for people how much there was."""
import csv, fcntl, io, json, os, pty, re, struct, subprocess, termios

import support
from support import T0, flowcarve, index, select, tcp, udp

ALL = ('id start end start_ns end_ns duration proto client_addr client_port server_addr server_port client_packets '
       'server_packets client_bytes server_bytes state vlan mpls tunnel client_mac server_mac client_ttl server_ttl '
       'client_dscp server_dscp client_tcp_flags server_tcp_flags client_isn server_isn client_payload server_payload '
       'community_id').split()
STATES = {'S0': 'S', 'RSTOS0': 'S R', 'SH': 'S F', 'REJ': 'S r', 'S1': 'S s A', 'S2': 'S s A F', 'S3': 'S s A f', 'SF': 'S s A F f',
          'RSTO': 'S s A R', 'RSTR': 'S s A r', 'RSTRH': 's r', 'SHR': 's f', 'OTH': 'A a'}


def terminal(width, *words):
    """What a terminal of that width gets."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 50, width, 0, 0))
    p = subprocess.Popen([support.FLOWCARVE, *words], stdout=slave, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                         env=support.environment(NO_COLOR='1'))
    os.close(slave)
    out = b''
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    os.close(master)
    err = p.communicate()[1].decode()
    return p.returncode, out.decode().replace('\r\n', '\n').splitlines(), err


class Output(support.TestCase):
    def make(self, fields='all'):
        files = self.fcgen('a.pcap', '--packets', 1500, '--packets-per-session', 8, '--ipv6', 25, '--vlan', 20)
        index(self.path('a.db'), '-q', *(['--fields', fields] if fields else []), *files)
        return self.path('a.db')

    def test_columns_are_those_of_the_whole_output(self):
        db = self.make()
        for format in ('csv', 'tsv', 'json'):
            whole = flowcarve('query', '-d', db, '--format', format)
            self.assertEqual(flowcarve('query', '-d', db, '--format', format, '--columns', ','.join(ALL)).out, whole.out)
        some = flowcarve('query', '-d', db, '-f', 'csv', '-C', 'state,id,server-addr').text
        rows = list(csv.DictReader(io.StringIO(flowcarve('query', '-d', db, '-f', 'csv').text)))
        self.assertEqual(list(csv.reader(io.StringIO(some))),
                         [['state', 'id', 'server_addr']] + [[r['state'], r['id'], r['server_addr']] for r in rows])

    def test_titles_of_times_say_the_zone(self):
        db = self.make()
        title = lambda *words: re.split('  +', flowcarve('query', '-d', db, '-f', 'table', '-n', '1', '-C', 'end,id,start', *words).text.splitlines()[0].strip())
        self.assertEqual(title(), ['END UTC', 'ID', 'START UTC'])
        self.assertEqual(title('--tz', 'Europe/Berlin'), ['END Europe/Berlin', 'ID', 'START Europe/Berlin'])
        self.assertEqual(title('--tz', '+05:30'), ['END +05:30', 'ID', 'START +05:30'])

    def test_columns_that_are_made(self):
        db = self.make(fields=None)
        got = [json.loads(l) for l in flowcarve('query', '-d', db, '-f', 'json', '-C', 'ts,packets,bytes,community-id').text.splitlines()]
        ids = [json.loads(l)['community_id'] for l in flowcarve('query', '-d', db, '-f', 'json', '--community-id').text.splitlines()]
        self.assertEqual([(r['packets'], r['bytes']) for r in got],
                         select(db, 'select client_packets + server_packets, client_bytes + server_bytes from sessions order by id'))
        self.assertEqual([r['community_id'] for r in got], ids)
        for r, (ns,) in zip(got, select(db, 'select start_ns from sessions order by id')):
            self.assertAlmostEqual(r['ts'], ns / 1e9, places=6)

    def test_the_captures_are_a_column(self):
        db = self.make()
        want = [json.loads(l)['files'] for l in flowcarve('query', '-d', db, '-f', 'json', '--files').text.splitlines()]
        got = [json.loads(l) for l in flowcarve('query', '-d', db, '-f', 'json', '-C', 'files,id').text.splitlines()]
        self.assertEqual([r['files'] for r in got], want)
        self.assertEqual([list(r) for r in got[:1]], [['files', 'id']])
        rows = list(csv.DictReader(io.StringIO(flowcarve('query', '-d', db, '-f', 'csv', '-C', 'id,files').text)))
        self.assertEqual([r['files'].split(',') for r in rows], [[f['path'] for f in w] for w in want])
        self.assertIn(want[0][0]['path'], terminal(80, 'query', '-d', db, '-C', 'id,files', '-n', '1')[1][1])

    def test_what_cannot_be_a_column(self):
        db = self.make(fields=None)
        for words, says in ((['-C', 'colour'], "no column 'colour'"), (['-C', ''], "no column ''"), (['-C', 'id,'], "no column ''"),
                            (['-C', 'id,state,id'], "'id' comes twice"), (['-C', 'client-ttl'], 'index with --fields ttl'),
                            (['-C', 'id', '-f', 'zeek'], 'are Zeek'), (['-C', 'id', '-f', 'json', '--files'], 'without --columns')):
            r = flowcarve('query', '-d', db, *words, ok=2)
            self.assertIn(says, r.err)
            self.assertEqual(r.out, b'')

    def test_a_table_ends_with_what_there_was(self):
        db = self.make()
        count, total = select(db, 'select count(*), sum(client_bytes + server_bytes) from sessions')[0]
        rc, lines, err = terminal(120, 'query', '-d', db, '-n', '5')
        self.assertEqual((rc, len(lines), err), (0, 7, ''))
        self.assertRegex(lines[-1], r'^5 of %s sessions, \d+(\.\d)? [kM]?B$' % format(count, ','))
        shown = float(lines[-1].split()[-2]) * {'B': 1, 'kB': 1e3, 'MB': 1e6}[lines[-1].split()[-1]]
        self.assertLess(abs(shown - total), total * .06)
        rc, lines, err = terminal(120, 'query', '-d', db)
        self.assertEqual(lines[-1], lines[-1].split(' of ')[-1])
        self.assertTrue(lines[-1].startswith('%s sessions, ' % format(count, ',')))
        tcp_count = select(db, "select count(*) from sessions where proto = 'tcp'")[0][0]
        self.assertTrue(terminal(120, 'query', '-d', db, '-n', '1', 'tcp')[1][-1].startswith('1 of %d sessions, ' % tcp_count))
        rc, lines, err = terminal(80, 'query', '-d', db, '-C', 'id,client_addr,start', '-n', '3')
        self.assertEqual(lines[0].split(), ['ID', 'CLIENT', 'START', 'UTC'])
        self.assertEqual(len(lines), 5)
        self.assertEqual(terminal(80, 'query', '-d', db, 'port 64999')[:2], (1, []))
        self.assertNotIn(' of ', flowcarve('query', '-d', db, '-f', 'table', '-n', '2').text)  # in a pipe there are sessions alone


def zeek_cut(text, *fields):
    """As zeek-cut reads a log."""
    names, rows = None, []
    for line in text.splitlines():
        if line.startswith('#fields\t'):
            names = line.split('\t')[1:]
        elif line.startswith('#types\t'):
            assert len(line.split('\t')[1:]) == len(names), line
        elif not line.startswith('#'):
            values = line.split('\t')
            assert len(values) == len(names), line
            rows.append([values[names.index(f)] for f in fields])
    return rows


class Zeek(support.TestCase):
    def make(self, *options):
        """A session a state: capital letters are flags of the client's packets."""
        packets = []
        for n, (state, script) in enumerate(STATES.items()):
            c, v = ('10.1.0.%d' % n, 1000 + n), ('10.2.0.1', 80)
            for i, flags in enumerate(script.split()):
                mine = flags.isupper()
                flags = flags.upper() + ('A' if flags == 's' else '')
                packets.append((T0 + n * 10**9 + i * 10**6, tcp(*(c + v if mine else v + c), flags, 5 if mine else 9, 1)))
        t = T0 + 10**12
        packets += [(t, udp('10.1.0.9', 5, '10.2.0.1', 53, b'question')), (t + 1500000, udp('10.2.0.1', 53, '10.1.0.9', 5, b'answer')),
                    (t + 2000000, udp('10.1.0.9', 6, '10.2.0.1', 53, b'nobody')),
                    (t + 3000000, support.eth(bytes([0, 1, 8, 0, 6, 4, 0, 1]) + bytes(20), 0x806)),
                    (t + 4000000, support.eth(support.ipv4('10.1.0.9', '10.2.0.1', 1, bytes([8, 0]) + bytes(30)))),
                    (t + 5000000, support.eth(support.ipv4('10.1.0.9', '10.2.0.1', 1, bytes([3, 1]) + bytes(30)))),
                    (t + 6000000, support.eth(support.ipv4('10.1.0.9', '224.0.0.5', 89, bytes(24))))]
        self.write('z.pcap', support.pcap_bytes(packets))
        index(self.path('z.db'), '-q', *options, self.path('z.pcap'))
        return self.path('z.db')

    def log(self, db, *words):
        return flowcarve('query', '-d', db, '--format', 'zeek', *words).text

    def test_states(self):
        db = self.make('--fields', 'tcp-flags,payload')
        got = dict(zip(STATES, (r[0] for r in zeek_cut(self.log(db, 'tcp'), 'conn_state'))))
        self.assertEqual(got, {s: s for s in STATES})

    def test_states_without_flags(self):
        db = self.make()
        want = {'new': 'S0', 'established': 'S1', 'closed': 'SF', 'reset': '-', 'midstream': 'OTH'}
        for state, conn_state in want.items():
            for row in zeek_cut(self.log(db, 'tcp and state', state), 'conn_state', 'orig_bytes'):
                self.assertEqual(row, [conn_state, '-'])

    def test_fields(self):
        db = self.make('--fields', 'payload')
        text = self.log(db, 'not tcp')
        fields = 'ts id.orig_h id.orig_p id.resp_h id.resp_p proto duration orig_bytes resp_bytes conn_state orig_pkts resp_pkts'
        second = str(T0 // 10**9 + 1000)
        self.assertEqual(zeek_cut(text, *fields.split()), [
            [second + '.000000', '10.1.0.9', '5', '10.2.0.1', '53', 'udp', '0.001500', '8', '6', 'SF', '1', '1'],
            [second + '.002000', '10.1.0.9', '6', '10.2.0.1', '53', 'udp', '-', '6', '0', 'S0', '1', '0'],
            [second + '.004000', '10.1.0.9', '8', '10.2.0.1', '0', 'icmp', '-', '24', '0', 'OTH', '1', '0'],
            [second + '.005000', '10.1.0.9', '3', '10.2.0.1', '1', 'icmp', '-', '24', '0', 'OTH', '1', '0'],
            [second + '.006000', '10.1.0.9', '0', '224.0.0.5', '0', 'unknown_transport', '-', '24', '0', 'OTH', '1', '0']])
        self.assertRegex(text, r'^#separator \\x09\n#set_separator\t,\n#empty_field\t\(empty\)\n#unset_field\t-\n#path\tconn\n#open\t')
        self.assertRegex(text, r'\n#close\t[\d-]+\n$')
        ids = zeek_cut(self.log(db, '--community-id'), 'uid', 'community_id')
        want = [json.loads(l) for l in flowcarve('query', '-d', db, '-f', 'json', '--community-id').text.splitlines()]
        self.assertEqual(ids, [[str(s['id']), s['community_id']] for s in want if s['proto'] != 'arp'])

    def test_the_page_has_the_states(self):
        page = support.read_bytes(os.path.join(support.ROOT, 'docs', 'zeek.md')).decode()
        self.assertEqual(set(STATES), set(re.findall(r'\| `([A-Z][A-Z0-9]+)` \|', page)))


class Results(support.TestCase):
    """--json of the commands that end with figures: one object, on standard output, with the figures that plain SQL finds."""

    def figures(self, *words, ok=0, where='out'):
        r = flowcarve(*words, ok=ok)
        text = r.text if where == 'out' else r.err
        self.assertEqual(text.count('\n'), 1, text)
        return json.loads(text)

    def test_index_verify_forget(self):
        a = self.fcgen('a.pcap', '--packets', 900, '--files', 3, '--packets-per-session', 6)
        with open(a[1], 'ab') as f:
            f.write(b'\xff' * 200)
        db = self.path('a.db')
        r = self.figures('index', '--json', '-d', db, '--filter', 'not udp', *a)
        self.assertEqual((r['files'], r['sessions'], r['packets'], r['damages'], r['damaged_files']),
                         (3,) + select(db, 'select count(*), sum(client_packets + server_packets) from session')[0] +
                         select(db, 'select count(*), count(distinct file) from damage')[0])
        sums = select(db, 'select sum(records), sum(ignored), sum(stream_size), sum(header_bytes), sum(record_bytes), sum(lost_bytes) from files')[0]
        self.assertEqual(tuple(r[k] for k in 'records ignored bytes header_bytes record_bytes skipped_bytes'.split()), sums)
        self.assertGreater(r['ignored'] * r['skipped_bytes'], 0)
        again = self.figures('index', '--json', '-d', db, *a)
        self.assertEqual((again['files'], again['files_known'], again['records']), (0, 3, 0))
        v = self.figures('verify', '--json', '-d', db)
        self.assertIs(v['agrees'], True)
        for key in set(v) & set(r):
            self.assertEqual(v[key], r[key], key)
        with support.open_db(db, write=True) as c:
            c.execute('update session set client_bytes = client_bytes + 1 where id = 3')
            c.commit()
        v = flowcarve('verify', '--json', '-d', db, ok=2)
        self.assertEqual([json.loads(v.text)[k] for k in ('agrees', 'files')], [False, 3])
        f = self.figures('forget', '--json', '-d', db, a[0])
        self.assertEqual((f['files'], f['packets'], f['size_after']),
                         (1, select(db, 'select forgotten from files where path like ?', '%' + os.path.basename(a[0]))[0][0], os.path.getsize(db)))
        self.assertEqual(self.figures('forget', '--json', '-d', db, a[0], ok=1)['files'], 0)

    def test_carve(self):
        a = self.fcgen('a.pcap', '--packets', 900, '--packets-per-session', 6)
        db, out = self.path('a.db'), self.path('out.pcap')
        index(db, '-q', *a)
        sums = select(db, 'select count(*), sum(client_packets + server_packets) from sessions where proto = ?', 'tcp')[0]
        r = self.figures('carve', '--json', '-d', db, '-w', out, 'tcp')
        self.assertEqual((r['sessions'], r['packets'], r['packets_missing']), sums + (0,))
        self.assertEqual((r['bytes_written'], r['packets']), (os.path.getsize(out), len(support.read_capture(out))))
        self.assertEqual(self.figures('carve', '--json', '-d', db, '-w', '-', 'tcp', where='err'), r)
        r = flowcarve('carve', '--json', '-d', db, '-w', out, 'port 64999', ok=1)
        self.assertEqual(json.loads(r.text)['sessions'], 0)


if __name__ == '__main__':
    support.main()
