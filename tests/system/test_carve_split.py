#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Carving many sessions: lists of IDs, and a file a session."""
import gzip, ipaddress, json, os, resource, shutil, signal, struct, subprocess, time

import support
from support import S, T0, flowcarve, index, parse_capture, read_capture, select, sessions


class Made(support.TestCase):
    OPTIONS = ('--packets', '2000', '--sessions', '60')

    def setUp(self):
        super().setUp()
        self.files = self.fcgen('c.pcap', *self.OPTIONS)
        self.db = self.path('x.db')
        index(self.db, '-q', *self.files)

    def packets(self, *ids):
        """Packets of sessions, as plain SQLite has them."""
        return sum(n for n, in select(self.db, 'SELECT client_packets + server_packets FROM sessions WHERE id IN (%s)' %
                                      ','.join(map(str, ids))))


class Ids(Made):
    def test_ranges_files_and_standard_input(self):
        f = self.write('ids', b'1 2,3\n# a comment\n\n5-8 # and one behind\r\n7,\n 60')
        want = self.packets(1, 2, 3, 5, 6, 7, 8, 60)
        for words in ['1-3,5-8,60'], ['3-1,8-5,60,60'], ['@' + f], ['1-3', '-i', '8-5', '--id=60']:
            self.assertEqual(len(self.carved(self.db, '-i', *words)), want, words)
        with open(f) as stdin:
            r = flowcarve('carve', '-d', self.db, '-i', '-', '-w', '-', '-q', stdin=stdin)
        self.assertEqual(len(parse_capture(r.out)), want)
        tcp = [s['id'] for s in sessions(self.db, 'tcp') if s['id'] <= 8]
        self.assertEqual(len(self.carved(self.db, '-i', '1-8', 'tcp', 'or', 'tcp')), self.packets(*tcp))

    def test_bad_lists(self):
        out = self.path('o.pcap')
        for text, line, word in (b'1\n2 x3', 2, 'x3'), (b'1\n\n\n5-', 4, '5-'), (b'99999999999999999999', 1, '9999'), (b'1\0002', 1, '1'), \
                (b'1;2', 1, '1;2'), (b'1--2', 1, '1--2'):
            f = self.write('ids', text)
            r = flowcarve('carve', '-d', self.db, '-i', '@' + f, '-w', out, ok=2)
            self.assert_says(r, f, 'line %d' % line, "'" + word)
        self.assert_says(flowcarve('carve', '-d', self.db, '-i', '@' + self.path('none'), '-w', out, ok=2), 'none', 'no such file')
        self.assert_says(flowcarve('carve', '-d', self.db, '-i', '@' + self.folder, '-w', out, ok=2), 'directory')
        self.assert_says(flowcarve('carve', '-d', self.db, '-i', '-', '-F', '-', '-w', out, ok=2), 'standard input')
        flowcarve('carve', '-d', self.db, '-i', '@' + self.write('ids', b'# nobody'), '-w', out, ok=1)
        self.assertNotIn('o.pcap', self.listing())

    def test_ids_that_are_not_there_are_told(self):
        out = self.path('o.pcap')
        last = max(s['id'] for s in sessions(self.db))
        for text, told in ('1-%d' % (last + 5), None), ('1,%d' % (last + 1), str(last + 1)), \
                ('%d-%d,2' % (last + 7, last + 9), '%d-%d' % (last + 7, last + 9)), \
                ('5,900-999999,3', '900-999999'), ('1-3,2-5', None), ('2,1-%d' % (last + 100), None):
            r = flowcarve('carve', '-d', self.db, '-i', text, '-w', out)
            if told:
                self.assert_says(r, 'warning: not in the index: %s\n' % told)
            else:
                self.assertNotIn('not in the index', r.err, text)
        r = flowcarve('carve', '-d', self.db, '-i', '1,' + ','.join(str(i) for i in range(1000, 1100)), '-w', out)
        self.assert_says(r, '1000, 1001', 'and 90 more')

    def test_many(self):
        """Far more IDs than the index has sessions, than SQLite takes values or joins SELECTs, single and in ranges."""
        for text in '\n'.join(map(str, range(1, 300001))), '\n'.join('%d-%d' % (i, i + 1) for i in range(1, 100000, 3)):
            f = self.write('ids', text.encode())
            want = {i for i in range(1, 100) if '-' not in text or i % 3}
            got = flowcarve('carve', '-d', self.db, '-i', '@' + f, '-w', '-', seconds=30 if support.sanitized() else 8)
            self.assertEqual(len(parse_capture(got.out)), self.packets(*want))
            self.assert_says(got, 'more')
        r = flowcarve('query', '-d', self.db, '-c', '-F', self.write('filter', b'tcp and not id ' + b','.join(
            b'%d-%d' % (i, i + 1) for i in range(1, 90000, 3))))
        tcp = [s['id'] for s in sessions(self.db, 'tcp')]
        self.assertEqual(int(r.out), sum(i % 3 == 0 for i in tcp))


def split(db, folder, *words, ok=0, **kw):
    return flowcarve('carve', '-d', db, '-q', '--split', folder, *words, ok=ok, **kw)


def file_name(s):
    """As the manual says it."""
    ends = ''
    for end in 'client', 'server':
        port = s.get(end + '_port')
        ends += '-%s%s' % (s[end + '_addr'].replace(':', '.'), '' if port is None else '_%d' % port) if s.get(end + '_addr') else ''
    return '%d-%s%s.pcap' % (s['id'], s['proto'], ends)


class Split(support.TestCase):
    def assert_as_alone(self, db, folder, most, *words):
        """Each file is what carving the session alone gives."""
        names = support.rng('split').sample(sorted(os.listdir(folder)), min(most, len(os.listdir(folder))))
        for name in names:
            alone = flowcarve('carve', '-d', db, '-q', '-i', name.split('-')[0], '-w', '-', *words).out
            self.assertTrue(support.read_bytes(os.path.join(folder, name)) == alone, name)

    def test_a_file_a_session(self):
        """Of captures in all forms, whose times overlap and run backwards, and which are compressed."""
        n = 0
        for options in (('--format', 'pcapng', '--interfaces', '3', '--fragments', '20'), ('--files', '3', '--overlap', '--ipv6', '40'),
                        ('--backward', '30', '--vlan', '20'), ('--ns', '--big-endian', '--snaplen', '90')):
            files = self.fcgen('%d.pcap' % n, '--packets', '1500', '--sessions', '80', *options)
            packed = []
            for f in files:
                packed.append(f + '.gz')
                with gzip.open(f + '.gz', 'wb') as out:
                    out.write(support.read_bytes(f))
            for captures in files, packed:
                n += 1
                db, folder = self.path('%d.db' % n), self.path('out%d' % n)
                index(db, '-q', '--keep-copies', *captures)
                split(db, folder)
                rows = sessions(db)
                self.assertEqual({os.path.splitext(f)[0] for f in os.listdir(folder)},
                                 {os.path.splitext(file_name(s))[0] for s in rows})
                self.assert_as_alone(db, folder, 12)
                got = support.multiset(r for f in os.listdir(folder) for r in read_capture(os.path.join(folder, f)))
                self.assertEqual(got, support.multiset(r for f in files for r in read_capture(f)))

    def test_what_sections_say(self):
        """Comments, names, secrets and statistics of a pcapng go where they go when a session is carved alone."""
        a, b = (udp_of(1), udp_of(2)), (udp_of(3), udp_of(1))
        secrets = support.block('<', 10, struct.pack('<II', 0x544c534b, 4) + b'KEYS')
        parts = []
        for i, (x, y) in enumerate((a, b)):
            head = support.block('<', 0x0a0d0d0a, struct.pack('<IHHq', 0x1a2b3c4d, 1, 0, -1) + support.option('<', 1, b'section %d' % i) +
                                 support.option('<', 4, b'program') + support.option('<', 0, b''))
            parts += [head, support.idb(options=support.option('<', 2, b'eth%d' % i) + support.option('<', 0, b'')), secrets,
                      support.epb('<', 0, T0 // 1000 + 10 * i, x), support.epb('<', 0, T0 // 1000 + 10 * i + 1, y),
                      support.block('<', 5, struct.pack('<III', 0, 1, 1))]
        f = self.write('s.pcapng', b''.join(parts))
        with gzip.open(f + '.gz', 'wb') as out:
            out.write(b''.join(parts))
        for capture in f, f + '.gz':
            db, folder = capture + '.db', capture + '.d'
            index(db, '-q', capture)
            split(db, folder, '-f', 'pcapng')
            self.assertEqual(len(os.listdir(folder)), 3)
            self.assert_as_alone(db, folder, 3, '-f', 'pcapng')
            both = support.read_bytes(os.path.join(folder, min(os.listdir(folder))))
            for said in b'section 0', b'section 1', b'eth0', b'eth1', b'KEYS':
                self.assertIn(said, both)

    def test_larger_than_memory(self):
        """A session of more than is kept of all is streamed, and others are taken in several goes."""
        f = self.write('l.pcap', support.pcap_bytes([(T0 + i * 1000, udp_of(1, 60000)) for i in range(1200)] + [
            (T0 + 10**9 + i * 1000, udp_of(2 + i % 3, 60000)) for i in range(1500)]))
        db, folder = self.path('x.db'), self.path('out')
        index(db, '-q', f)
        split(db, folder)
        self.assertEqual(len(os.listdir(folder)), 4)
        self.assert_as_alone(db, folder, 4)

    def test_resumed(self):
        files = self.fcgen('c.pcap', '--packets', '30000', '--sessions', '4000')
        db, folder = self.path('x.db'), self.path('out')
        index(db, '-q', *files)
        few = {'preexec_fn': lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))}
        p = subprocess.Popen([support.FLOWCARVE, 'carve', '-d', db, '--split', folder], stderr=subprocess.DEVNULL, **few)
        while p.poll() is None and (not os.path.isdir(folder) or len(os.listdir(folder)) < 20):
            time.sleep(0.001)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(), -signal.SIGINT)
        done = {f: os.stat(os.path.join(folder, f)).st_mtime_ns for f in os.listdir(folder)}
        self.assertLess(len(done), 4000)
        self.assert_as_alone(db, folder, 10)
        r = flowcarve('carve', '-d', db, '--split', folder, '--json', **few)
        told = json.loads(r.out)
        self.assertEqual((told['sessions'], told['files_skipped'], told['files_written']), (4000, len(done), 4000 - len(done)))
        self.assertEqual(len(os.listdir(folder)), 4000)
        self.assertEqual(done, {f: os.stat(os.path.join(folder, f)).st_mtime_ns for f in done})
        self.assert_as_alone(db, folder, 20)

    def test_mistakes(self):
        files = self.fcgen('c.pcap', '--packets', '500', '--sessions', '20')
        db, folder = self.path('x.db'), self.path('out')
        index(db, '-q', *files)
        self.assert_says(split(db, folder, '-w', self.path('o.pcap'), ok=2), 'not both')
        self.assert_says(split(db, files[0], ok=2), 'c.pcap', 'cannot create the folder')
        self.assert_says(split(db, self.path('no', 'such'), ok=2), 'no such file')
        self.assert_says(flowcarve('carve', '-d', db, '--split', folder, 'port', '1', ok=1), 'no session matches')
        self.assert_says(flowcarve('carve', '-d', db, '--split', folder, '-i', '1,7777'), 'not in the index: 7777')
        os.chmod(folder, 0o500)
        if os.geteuid():
            self.assert_says(split(db, folder, ok=2), folder, 'denied')
        os.chmod(folder, 0o700)
        self.assertEqual([os.stat(os.path.join(folder, f)).st_mode & 0o777 for f in os.listdir(folder)], [0o600])
        split(db, self.path('shared'), '-i', '2', '--mode', '640')
        self.assertEqual(os.stat(self.path('shared')).st_mode & 0o777, 0o750)
        os.rename(files[0], files[0] + '~')
        self.assert_says(split(db, folder, ok=2), 'missing', '--partial')
        self.assert_says(split(db, folder, '-i', '2', '--partial', ok=2), 'missing')
        data = bytearray(support.read_bytes(files[0] + '~'))
        record = 24 + 16
        data[record + 26:record + 34] = b'\0\0\0\0\1\1\1\1'  # of the first packet: its addresses
        data[record + 12:record + 14] = b'\x88\x88'
        st = os.stat(files[0] + '~')
        self.write('c.pcap', data)
        os.utime(files[0], ns=(st.st_atime_ns, st.st_mtime_ns))
        first = select(db, 'SELECT min(id) FROM sessions')[0][0]
        r = split(db, self.path('rest'), '--partial', ok=(0, 2))
        alone = flowcarve('carve', '-d', db, '--partial', '-i', str(first), '-w', self.path('alone.pcap'), ok=(0, 2))
        self.assertEqual(r.rc, alone.rc, (r, alone))


class Parts(Made):
    """A part of each session, against what Python takes of the session carved whole."""
    OPTIONS = ('--packets', '3000', '--sessions', '60', '--vlan', '0', '--proto', 'tcp=60,udp=40', '--files', '2',
               '--overlap', '--fragments', '30')

    def part(self, *words):
        return [r[1:] for r in self.carved(self.db, *words, ok=(0, 1))]  # all but the place in the file

    def test_direction(self):
        for s in support.rng('parts').sample(sessions(self.db), 12):
            packets, halves = self.part('-i', str(s['id'])), 0
            for name in 'client', 'server':
                source = ipaddress.ip_address(s[name + '_addr']).packed
                at = 26 if len(source) == 4 else 22
                want = [p for p in packets if p[3][at:at + len(source)] == source]
                self.assertEqual(self.part('-i', str(s['id']), '--direction', name), want, s)
                self.assertEqual(len(want), s[name + '_packets'])
                halves += len(want)
            self.assertEqual(self.part('-i', str(s['id']), '--direction', 'both'), packets)
            self.assertEqual(len(packets), halves)

    def test_the_first(self):
        for i in (str(s['id']) for s in support.rng('first').sample(sessions(self.db), 5)):
            packets = self.part('-i', i)
            for n in 1, 3, len(packets), 10**6:
                self.assertEqual(self.part('-i', i, '--first-packets', str(n)), packets[:n])
            for size, text in (1, '1'), (5 << 10, '5k'), (10**9, '1000000000'):
                n = total = 0
                while n < len(packets) and total < size:
                    total += packets[n][2]
                    n += 1
                self.assertEqual(self.part('-i', i, '--first-bytes', text), packets[:n])
                self.assertEqual(self.part('-i', i, '--first-bytes', text, '--first-packets', '2'), packets[:min(n, 2)])
        rows = select(self.db, 'SELECT client_packets + server_packets, client_packets FROM sessions')
        clients = sum(min(4, n) for _, n in rows)
        self.assertEqual(len(self.part('--first-packets', '4')), sum(min(4, n) for n, _ in rows))
        self.assertEqual(len(self.part('--first-packets', '4', '--direction', 'client')), clients)
        folder = self.path('out')
        split(self.db, folder, '--first-packets', '4', '--direction', 'client')
        self.assertEqual(sum(len(read_capture(os.path.join(folder, f))) for f in os.listdir(folder)), clients)

    def test_what_is_not_asked_for_is_not_read(self):
        f = self.write('l.pcap', support.pcap_bytes([(T0 + i * 1000, udp_of(1, 60000)) for i in range(200)]))
        index(self.path('l.db'), '-q', f)
        r = flowcarve('carve', '-d', self.path('l.db'), '--first-packets', '2', '--json', '-w', self.path('o.pcap'))
        self.assertEqual(json.loads(r.out)['packets'], 2)
        self.assertLess(json.loads(r.out)['bytes_read'], 1 << 20)

    def test_one_way(self):
        db, out = self.path('w.db'), self.path('o.pcap')
        index(db, '-q', self.write('w.pcap', support.pcap_bytes([(T0, udp_of(1))])))
        r = flowcarve('carve', '-d', db, '--direction', 'server', '-w', out, ok=1)
        self.assert_says(r, 'server has sent nothing')
        self.assertFalse(os.path.exists(out))
        split(db, self.path('out'), '--direction', 'server', ok=1)
        self.assertEqual(os.listdir(self.path('out')), [])

    def test_list(self):
        names = {i: os.fsdecode(f) for i, f in support.index_files(self.db).items()}
        want = {(s, names[f], off) for s, places in support.all_positions(self.db).items() for f, off in places}
        for f in self.files:
            os.rename(f, f + '~')  # no capture is read
        listed = lambda *words: [json.loads(line) for line in flowcarve('carve', '-d', self.db, '--list', *words).out.splitlines()]
        got = listed()
        self.assertEqual({(p['session'], p['file'], p['offset']) for p in got}, want)
        self.assertEqual(len(got), len(want))
        self.assertEqual(listed('-i', '7'), [p for p in got if p['session'] == 7])
        flowcarve('carve', '-d', self.db, '--list', 'port', '1', ok=1)

    def test_bad_values(self):
        for words in ['-w', 'x.pcap'], ['--split', 'x'], ['--first-packets', '1']:
            self.assert_says(flowcarve('carve', '-d', self.db, '--list', *words, ok=2), '--list')
        for words in ('--first-packets', '0'), ('--first-packets', 'x'), ('--first-bytes', '0'), ('--first-bytes', '-1'), ('--direction', 'up'):
            self.assert_says(flowcarve('carve', '-d', self.db, '-w', 'x.pcap', *words, ok=2), words[0])


class Compressed(Made):
    """What is compressed is what is written plain, to those whose format it is, and to flowcarve."""
    PROGRAMS = {'gz': ('gzip', 'gzip'), 'zst': ('zstd', 'zstd'), 'lz4': ('lz4', 'lz4'), 'xz': ('xz', 'xz')}
    OPTIONS = ('--packets', '4000', '--sessions', '60', '--payload', 'zero')

    def test_by_suffix_and_by_name(self):
        plain = flowcarve('carve', '-d', self.db, '-q', '-w', '-').out
        for suffix, (program, name) in self.PROGRAMS.items():
            out = self.path('o.pcap.' + suffix)
            flowcarve('carve', '-d', self.db, '-w', out)
            self.assertTrue(flowcarve('carve', '-d', self.db, '-q', '-w', '-', '--compress', name).out == support.read_bytes(out))
            self.assertLess(os.path.getsize(out), len(plain) // 4)
            if shutil.which(program):
                self.assertTrue(subprocess.run([program, '-dc', out], check=True, capture_output=True).stdout == plain, suffix)
            again = self.path(suffix + '.db')
            index(again, '-q', out)
            self.assertEqual(flowcarve('carve', '-d', again, '-q', '-w', '-').out, plain)
            folder = self.path(suffix)
            split(self.db, folder, '--compress', name, '-i', '1-20')
            self.assertEqual({f.rsplit('.', 2)[1:] == ['pcap', suffix] for f in os.listdir(folder)}, {True})
            self.assertEqual(json.loads(flowcarve('carve', '-d', self.db, '--split', folder, '--compress', name, '-i', '1-21', '--json')
                                        .out)['files_skipped'], 20)
            index(self.path(suffix + '20.db'), '-q', folder)
            self.assertEqual(select(self.path(suffix + '20.db'), 'SELECT sum(records) FROM files')[0][0], self.packets(*range(1, 22)))
        flowcarve('carve', '-d', self.db, '-w', self.path('o.gz'), '--compress', 'none')
        self.assertEqual(support.read_bytes(self.path('o.gz')), plain)
        self.assert_says(flowcarve('carve', '-d', self.db, '-w', self.path('o'), '--compress', 'zip', ok=2), '--compress')
        flowcarve('carve', '-d', self.db, '-w', self.path('none.gz'), 'port', '1', ok=1)
        self.assertFalse(os.path.exists(self.path('none.gz')))


class Peers(Made):
    """--with-peers, against a naive search."""
    OPTIONS = ('--packets', '6000', '--sessions', '900', '--clients', '8', '--servers', '4', '--proto',
               'tcp=50,udp=20,icmp=15,arp=15')

    def test_against_a_naive_search(self):
        rows = sessions(self.db)
        rng = support.rng('peers')
        for text, before, after in ('0,0', 0, 0), ('200ms,50ms', S // 5, S // 20), ('0,1s', 0, S), ('1h,1h', 3600 * S, 3600 * S):
            chosen = {s['id'] for s in rng.sample(rows, 3)}
            want = {r['id'] for r in rows for c in rows if c['id'] in chosen and (r is c or (
                {r['client_addr'], r['server_addr']} == {c['client_addr'], c['server_addr']} and
                r['end_ns'] >= c['start_ns'] - before and r['start_ns'] <= c['end_ns'] + after))}
            listed = flowcarve('carve', '-d', self.db, '--list', '-i', ','.join(map(str, chosen)), '--with-peers', text).out
            self.assertEqual({json.loads(line)['session'] for line in listed.splitlines()}, want, text)
        self.assertEqual(len(self.carved(self.db, '--with-peers', '1s,1s')), 6000)

    def test_bad_values(self):
        for text in '', '1s', '1s,', ',', '1s,1s,1s', '-1s,1s', 'x,1s', '1,1':
            self.assert_says(flowcarve('carve', '-d', self.db, '--with-peers', text, '-w', self.path('o'), ok=2), '--with-peers')


def udp_of(n, size=4):
    return support.udp('10.0.0.%d' % n, 1000 + n, '10.0.1.1', 53, b'x' * size)


if __name__ == '__main__':
    support.main()
