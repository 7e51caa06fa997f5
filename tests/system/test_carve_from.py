#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Carving what the rows of another program's log mean."""
import gzip, json, lzma, os, subprocess

import support
from support import S, T0, flowcarve, index, sessions


def stamp(ns, digits=6):
    return '%d.%0*d' % (ns // S, digits, ns % S // 10**(9 - digits))


class From(support.TestCase):
    def setUp(self):
        super().setUp()
        self.db = self.path('x.db')
        index(self.db, '-q', *self.fcgen('c.pcap', '--packets', '5000', '--sessions', '700', '--clients', '40', '--servers', '20',
                                         '--port-reuse', '20', '--vlan', '0', '--proto', 'tcp=60,udp=30,icmp=5,sctp=5'))
        self.rows = sessions(self.db)

    def found(self, log, *words, ok=0):
        """The sessions that are carved, and what is told."""
        r = flowcarve('carve', '-d', self.db, '--list', '--from', log, *words, ok=ok)
        return {json.loads(line)['session'] for line in r.out.splitlines()}, r.err

    def near(self, s, start, end, slack=S):
        """A naive search."""
        ends = lambda r: frozenset(((r['client_addr'], r.get('client_port') if r['proto'] != 'icmp' else 0),
                                    (r['server_addr'], r.get('server_port') if r['proto'] != 'icmp' else 0)))
        icmp = lambda r: 'icmp' if r['proto'] == 'icmp6' else r['proto']
        return {r['id'] for r in self.rows if icmp(r) == icmp(s) and (r['client_addr'] in (s['client_addr'], s['server_addr'])) and
                ends(r) == ends(s) and r['end_ns'] >= start - slack and r['start_ns'] <= end + slack}

    def test_zeek(self):
        """Our own conn.log names each session; JSON has the same rows."""
        text = flowcarve('query', '-d', self.db, '--format', 'zeek').out.decode()
        log = self.write('conn.log', text.encode())
        ids, told = self.found(log)
        self.assertEqual(ids, {s['id'] for s in self.rows})
        self.assertNotIn('; 0 found', told)
        lines = text.splitlines()
        names = next(line for line in lines if line.startswith('#fields')).split('\t')[1:]
        objects = [dict(zip(names, line.split('\t'))) for line in lines
                   if not line.startswith('#') and 'unknown_transport' not in line]
        some = support.rng('zeek').sample(objects, 40)
        for o in some:
            o.update({'ts': float(o['ts']), 'id.orig_p': int(o['id.orig_p']), 'id.resp_p': int(o['id.resp_p'])})
            o.update({'duration': float(o['duration'])} if o['duration'] != '-' else {})
            o.update({'id.orig_h': o['id.resp_h'], 'id.resp_h': o['id.orig_h'], 'id.orig_p': o['id.resp_p'], 'id.resp_p': o['id.orig_p']}
                     if int(o['uid']) % 2 else {})
        want = set()
        for o in some:
            s = next(s for s in self.rows if s['id'] == int(o['uid']))
            want |= self.near(s, s['start_ns'], s['end_ns'])
        ids, told = self.found(self.write('conn.json', '\n'.join(map(json.dumps, some)).encode()))
        self.assertEqual(ids, want)

    def test_slack_and_what_is_told(self):
        s = next(s for s in self.rows if s['proto'] == 'tcp' and self.near(s, s['start_ns'], s['start_ns'], 400 * S) == {s['id']})
        t = next(s for s in self.rows if s['proto'] == 'tcp' and len(self.near(s, 0, 1 << 62)) > 1)
        row = lambda s, start: '%s,%s,%d,%s,%d,%s' % (s['proto'], s['client_addr'], s['client_port'], s['server_addr'], s['server_port'], start)
        early = s['start_ns'] - 3 * S
        log = self.write('l.csv', '\n'.join(['proto,src,sport,dst,dport,start', row(s, stamp(early)), row(t, ''), '# no more', '',
                                             row(t, '').replace('tcp', 'udp')]).encode())
        ids, told = self.found(log, '--slack', '3001ms')
        self.assertEqual(ids, {s['id']} | self.near(t, 0, 1 << 62))
        for words in 'several sessions, all carved: line 3', 'not found: line 6', '3 rows: 1 found, 1 ambiguous, 1 not found':
            self.assertIn(words, told)
        ids, told = self.found(log, '--slack', '2990ms')
        self.assertEqual(ids, self.near(t, 0, 1 << 62))
        self.assertIn('not found: line 2', told)
        r = flowcarve('carve', '-d', self.db, '--from', log, '--slack', '4s', '--json', '-q', '-w', self.path('o.pcap'), 'host', s['client_addr'],
                      'and', 'port', str(s['client_port']))
        told = json.loads(r.out)
        self.assertEqual((told['rows'], told['rows_found'], told['rows_ambiguous'], r.err), (3, 1, 1, ''))

    def test_other_logs_of_zeek(self):
        """Which do not name the protocol, and have rows without addresses."""
        s, t = (next(s for s in self.rows if s['proto'] == proto and self.near(s, s['start_ns'], s['end_ns']) == {s['id']}) for proto in ('tcp', 'udp'))
        row = lambda s: [stamp(s['start_ns']), 'C%d' % s['id'], s['client_addr'], s['client_port'], s['server_addr'], s['server_port']]
        head = '#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\thost\n'
        text = head + ''.join('\t'.join(map(str, r)) + '\tx\n' for r in (row(s), [stamp(0), '-', '-', '-', '-', '-'], row(t)))
        ids, told = self.found(self.write('http.log', text.encode()))
        self.assertEqual(ids, {s['id'], t['id']})
        self.assertIn('2 rows: 2 found', told)
        names = 'ts uid id.orig_h id.orig_p id.resp_h id.resp_p'.split()
        ids, told = self.found(self.write('http.json', json.dumps(dict(zip(names, row(t)))).encode()))
        self.assertEqual(ids, {t['id']})
        swapped = row(s)[:2] + row(s)[4:] + row(s)[2:4]
        swapped[3] = int(swapped[3]) ^ 1
        ids, told = self.found(self.write('http.log', (head + '\t'.join(map(str, swapped))).encode()), ok=1)
        self.assertEqual(ids, set())

    def test_compressed(self):
        """As Zeek leaves them behind; one that is not whole is an error, and what comes through a pipe is told to be compressed."""
        text = flowcarve('query', '-d', self.db, '--format', 'zeek').out
        packed = {'gz': gzip.compress(text[:3000]) + gzip.compress(text[3000:]), 'xz': lzma.compress(text),
                  **{suffix: subprocess.run([support.tool(tool), '-q', '-c'], input=text, stdout=subprocess.PIPE).stdout
                     for suffix, tool in (('zst', 'zstd'), ('lz4', 'lz4'))}}
        for suffix, blob in packed.items():
            with self.subTest(suffix):
                log = self.write('conn.log.' + suffix, blob)
                self.assertEqual(self.found(log)[0], {s['id'] for s in self.rows})
                with open(log, 'rb') as f:
                    r = flowcarve('query', '-c', '-d', self.db, '--from', '-', stdin=f)
                self.assertEqual(r.text, '%d\n' % len(self.rows))
                log = self.write('cut', blob[:-300])
                self.assert_says(flowcarve('query', '-d', self.db, '--from', log, ok=2), log, 'ends inside')
                log = self.write('hurt', blob[:900] + bytes(99) + blob[999:])
                self.assert_says(flowcarve('query', '-d', self.db, '--from', log, ok=2), log + '@')
        for suffix in 'gz', 'xz', 'zst', 'lz4':
            with subprocess.Popen(['cat', self.path('conn.log.' + suffix)], stdout=subprocess.PIPE) as cat:
                r = flowcarve('query', '-d', self.db, '--from', '-', stdin=cat.stdout, ok=2)
            self.assert_says(r, 'it is compressed')

    def test_a_mark_in_front_and_a_first_row_that_is_wrong(self):
        s = self.rows[0]
        row = '%s,%s,%d,%s,%d' % (s['proto'], s['client_addr'], s['client_port'], s['server_addr'], s['server_port'])
        self.assertIn(s['id'], self.found(self.write('l.csv', b'\xef\xbb\xbf' + row.encode() + b'\r\n'))[0])
        r = flowcarve('carve', '-d', self.db, '--list', '--from', self.write('l.csv', b'x' + row.encode()), ok=2)
        self.assert_says(r, 'line 1: the protocol is not known')

    def test_other_commands(self):
        """query, packets and follow take the sessions that carve takes."""
        lone = [s for s in self.rows if s['proto'] == 'tcp' and self.near(s, s['start_ns'], s['end_ns']) == {s['id']}][:3]
        row = lambda s: 'tcp,%s,%d,%s,%d,%s' % (s['client_addr'], s['client_port'], s['server_addr'], s['server_port'], stamp(s['start_ns'], 9))
        log = self.write('l.csv', '\n'.join(map(row, lone)).encode())
        want = {s['id'] for s in lone}
        self.assertEqual({s['id'] for s in sessions(self.db, '--from', log)}, want)
        r = flowcarve('query', '-c', '-d', self.db, '--from', log)
        self.assertEqual((r.text, r.err), ('3\n', '3 rows: 3 found, 0 ambiguous, 0 not found\n'))
        r = flowcarve('packets', '-q', '-d', self.db, '-f', 'json', '--from', log)
        self.assertEqual({json.loads(line)['session'] for line in r.text.splitlines()}, want)
        one = self.write('one.csv', row(lone[0]).encode())
        self.assertEqual(flowcarve('follow', '-q', '-d', self.db, '-f', 'raw', '--from', one).out,
                         flowcarve('follow', '-q', '-d', self.db, '-f', 'raw', lone[0]['id']).out)
        for command in ('query', 'packets', 'follow'):
            self.assert_says(flowcarve(command, '-d', self.db, '--from', '-', '-F', '-', ok=2), 'standard input')
            self.assert_says(flowcarve(command, '-d', self.db, '--from', self.path('nope'), ok=2), 'nope')
            self.assert_says(flowcarve(command, '-d', self.db, '--slack', 'x', ok=2), '--slack')

    def test_suricata_and_community_ids(self):
        s = next(s for s in self.rows if s['proto'] == 'udp' and len(self.near(s, 0, 1 << 62)) == 1)
        iso = s['start'][:26] + '+0000'
        base = {'flow_id': 17, 'src_ip': s['server_addr'], 'src_port': s['server_port'], 'dest_ip': s['client_addr'],
                'dest_port': s['client_port'], 'proto': 'UDP'}
        events = [{'event_type': 'stats', 'timestamp': iso}, dict(base, event_type='alert', timestamp=iso),
                  dict(base, event_type='flow', timestamp='2030-01-01T00:00:00.000000+0000', flow={'start': iso, 'end': iso})]
        ids, told = self.found(self.write('eve.json', '\n'.join(map(json.dumps, events)).encode()))
        self.assertEqual(ids, {s['id']})
        self.assertIn('1 row: 1 found', told)
        named = sessions(self.db, '--community-id')
        some = support.rng('community').sample(named, 10)
        wanted = {r['community_id'] for r in some}
        ids, told = self.found(self.write('ids', '\n'.join(sorted(wanted) + ['1:LQU9qZlK+B5F3KDmev6m5PMibrg=']).encode()))
        self.assertEqual(ids, {r['id'] for r in named if r['community_id'] in wanted})
        self.assertIn('not found: line %d, 1:LQU' % (len(wanted) + 1), told)

    def test_a_file_a_row(self):
        """As carving the row's sessions alone, under a name that leads nowhere else."""
        s = next(s for s in self.rows if s['proto'] == 'tcp' and len(self.near(s, 0, 1 << 62)) == 1)
        t = next(s for s in self.rows if s['proto'] == 'tcp' and len(self.near(s, 0, 1 << 62)) > 1)
        row = lambda s, uid, **more: json.dumps(dict({
            'uid': uid, 'proto': s['proto'], 'id.orig_h': s['client_addr'], 'id.orig_p': s['client_port'],
            'id.resp_h': s['server_addr'], 'id.resp_p': s['server_port']}, **more))
        lines = [row(s, 'Cone'), row(t, 'Cseveral'), row(s, 'Csame'), row(s, '../../out'), row(dict(s, proto='udp'), 'Cnone'), row(s, ''),
                 row(t, 'Cone')]
        log, folder = self.write('conn.json', '\n'.join(lines).encode()), self.path('d', 'rows')
        os.mkdir(self.path('d'))
        r = flowcarve('carve', '-d', self.db, '--from', log, '--split', folder, '--json')
        several = self.near(t, 0, 1 << 62)
        want = {'Cone': several | {s['id']}, 'Cseveral': several, 'Csame': {s['id']}, '_._.._out': {s['id']}, 'row-6': {s['id']}}
        self.assertEqual(set(self.listing('d')), {'rows'})
        got = {os.path.splitext(f)[0]: f for f in os.listdir(folder)}
        self.assertEqual(len(got), 5, got)
        self.assertEqual(json.loads(r.out)['files_written'], 5)
        for name in 'Cone', 'Cseveral', 'Csame', 'row-6':
            alone = flowcarve('carve', '-d', self.db, '-q', '-i', ','.join(map(str, want[name])), '-w', '-').out
            self.assertEqual(support.read_bytes(os.path.join(folder, got[name])), alone, name)
        r = flowcarve('carve', '-d', self.db, '--from', log, '--split', folder, '--json', '-q')
        self.assertEqual(json.loads(r.out)['files_skipped'], 5)
        text = flowcarve('query', '-d', self.db, '--format', 'zeek', 'tcp or udp').out
        r = flowcarve('carve', '-d', self.db, '--from', self.write('conn.log', text), '--split', self.path('all'), '--slack', '0', '-q',
                      'tcp')
        self.assertEqual({os.path.splitext(f)[0] for f in os.listdir(self.path('all'))},
                         {str(s['id']) for s in self.rows if s['proto'] == 'tcp'})

    def test_mistakes(self):
        for text, line in (b'hello', 1), (b'proto,src,sport,dst,dport\n6,1.1.1.1,x,2.2.2.2,1', 2), (b'6,1.1.1.1,1,2.2.2.2,1,never', 1), \
                (b'{"uid": ', 1), (b'#fields\tts\n1', 2), (b'6,1.1.1.1,1,::1,1', 1), (b'1:x\n\0', 2), \
                (b'{"src_ip":"1.1.1.1","dest_ip":"2.2.2.2","proto":"nonsense"}', 1), (b'{"src_ip":"1.1.1.1","dest_ip":"2.2.2.2"}', 1), \
                (b'\n{"source":{"ip":"1.1.1.1"}}\n{}', 2):
            log = self.write('bad', text)
            r = flowcarve('carve', '-d', self.db, '--list', '--from', log, ok=2)
            self.assert_says(r, log, 'line %d' % line)
        self.assert_says(flowcarve('carve', '-d', self.db, '--list', '--from', self.path('none'), ok=2), 'none', 'no such file')
        self.assert_says(flowcarve('carve', '-d', self.db, '--list', '--from', '-', '-i', '-', ok=2), 'standard input')
        self.assert_says(flowcarve('carve', '-d', self.db, '--list', '--from', log, '--slack', 'x', ok=2), '--slack')
        self.assertEqual(self.found(self.write('empty', b''), ok=1)[0], set())


class Real(support.TestCase):
    def test_a_row_of_a_real_capture(self):
        capture = os.path.join(support.CAPTURES or '', 'seladb+PcapPlusPlus', 'example.pcap')
        if not support.CAPTURES or not os.path.exists(capture):
            self.skipTest('no captures')
        db = self.path('x.db')
        index(db, '-q', capture)
        log = self.write('conn.log', b'#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\n'
                                     b'1367526037.134719\tCx\t10.0.0.6\t44150\t212.199.202.9\t80\ttcp\t-\n')
        r = flowcarve('carve', '-d', db, '--from', log, '--json', '-w', self.path('o.pcap'))
        told = json.loads(r.out)
        self.assertEqual((told['rows_found'], told['sessions'], told['packets']), (1, 1, 532))


if __name__ == '__main__':
    support.main()
