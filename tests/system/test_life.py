# SPDX-License-Identifier: MIT
"""The life of an index: captures are added, grow, are renamed, compressed, forgotten, and come again, in any order."""
import gzip, os, unittest

import support
from support import S, T0, flowcarve, index, select, udp, verify


class Life(support.TestCase):
    def check(self, what):
        """What holds of any index at any time. Returns {session: (key, positions)}."""
        db = self.db
        with support.open_db(db) as c:
            self.assertEqual(c.execute('PRAGMA integrity_check').fetchall(), [('ok',)], what)
            self.assertEqual(c.execute('PRAGMA foreign_key_check').fetchall(), [], what)
            rows = c.execute('SELECT id, client_packets + server_packets, client_bytes + server_bytes, proto, kind, domain,'
                             ' min(client_addr, server_addr), client_port + server_port, start_ns, duration_ns FROM session'
                             ' GROUP BY id').fetchall()
            forgotten = dict(c.execute('SELECT id, packets FROM session_forgotten').fetchall())
            files = c.execute('SELECT id, records - ignored, forgotten FROM files').fetchall()
            ports = set(c.execute('SELECT epoch, port, block FROM session_port').fetchall())
            need = {(e, p, b) for cp, sp, e, b in c.execute(
                'SELECT client_port, server_port, (id - 1) >> 18, (id - 1) >> 6 & 4095 FROM session'
                ' WHERE client_port IS NOT NULL').fetchall() for p in (cp, sp)}
            spans = {r[0]: r[1:] for r in c.execute('SELECT * FROM session_span').fetchall()}
        self.assertLessEqual(need, ports, what)
        where, of_file, seen, sums = support.all_positions(db), {}, set(), {}
        for sid, packets, size, *key in rows:
            self.assertEqual(len(where[sid]) + forgotten.pop(sid, 0), packets, '%s: packets of session %d' % (what, sid))
            for p in where[sid]:
                self.assertNotIn(p, seen, '%s: in two sessions' % what)
                seen.add(p)
                of_file[p[0]] = of_file.get(p[0], 0) + 1
            first = (sid - 1) // 4096 * 4096 + 1
            had = sums.get(first, (0, 0))
            sums[first] = had[0] + packets, had[1] + size
            if key[5] is not None:
                self.assertTrue(spans[first][0] <= key[5] and key[5] + key[6] <= spans[first][1], what)
        self.assertEqual(forgotten, {}, '%s: packets of no session are forgotten' % what)
        self.assertEqual(sums, {i: s[2:] for i, s in spans.items()}, '%s: sums of spans' % what)
        for fid, packets, gone in files:
            self.assertEqual(of_file.get(fid, 0) + gone, packets, '%s: packets of file %d' % (what, fid))
        r = verify(db, ok=(0, 1, 2))
        self.assertEqual(r.rc, 0, '%s: %s %s' % (what, r, r.text))
        return {r[0]: (tuple(r[3:8]), set(where[r[0]])) for r in rows}

    def live(self, seed):
        r = support.rng('life', seed)
        self.db = self.path('x.db')
        n = r.randrange(2, 5)
        kind = r.choice(('pcap', 'pcap', 'pcapng'))
        files = self.fcgen('c.' + kind, '--format', kind, '--packets', str(r.choice((300, 900, 8000))), '--sizes', 'small', '--files', str(n),
                           '--packets-per-session', str(r.choice((3, 10))), '--clients', '30', '--servers', '20', '--port-reuse', '30', '--fragments', '30', '--fragment-disorder',
                           '--backward', str(r.choice((0, 2))), '--seed', str(seed + 1), *r.choice(((), ('--overlap',))),
                           '--rate', str(r.choice((20, 5000))), '--concurrent', '20')
        data = {f: support.read_bytes(f) for f in files}
        for f in files:
            os.remove(f)
        options = r.choice(((), ('--fields', 'all'), ('--timeout', 'udp=2,tcp=3,udp-new=1')))
        have, names, forgotten, told = {}, {f: f for f in files}, set(), []
        before, started = {}, False
        for step in range(r.randrange(5, 20)):
            f = r.choice(files)
            op = r.choice(('feed', 'feed', 'feed', 'feed', 'feed', 'all', 'rename', 'gzip', 'forget', 'forget', 'before', 'again'))
            if op != 'feed' and not started:
                continue
            dropped = set()
            if op == 'feed':
                for g in r.sample(files, r.randrange(1, n + 1)):
                    if names[g].endswith('.gz'):
                        continue
                    at = have.get(g, 0)
                    upto = len(data[g]) if r.random() < .2 else r.randrange(at, at + (len(data[g]) - at) // 2 + 1)
                    upto = max(upto, min(400, len(data[g])))
                    with open(names[g], 'ab') as out:
                        out.write(data[g][at:upto])
                    have[g] = upto
                words = ['index', '-q', '-d', self.db, *(() if started else options), *[names[g] for g in have]]
            elif op in ('all', 'again'):
                words = ['index', '-q', '-d', self.db, *[names[g] for g in r.sample(sorted(have), len(have))]]
            elif op in ('rename', 'gzip'):
                f = r.choice(sorted(have))
                if names[f].endswith('.gz'):
                    continue
                to = names[f] + ('.gz' if op == 'gzip' else '.%d' % step)
                if op == 'gzip':
                    support.write(to, gzip.compress(support.read_bytes(names[f]), mtime=0))
                    os.remove(names[f])
                else:
                    os.rename(names[f], to)
                names[f] = to
                words = ['index', '-q', '-d', self.db, to]
            elif op == 'forget':
                f = r.choice(sorted(have))
                words = ['forget', '-q', '-d', self.db, *(['--keep-sessions'] if r.random() < .4 else []), names[f]]
            else:
                last = r.choice(select(self.db, 'SELECT last_ns FROM files'))[0]
                words = ['forget', '-q', '-d', self.db, '--before', '@%d.%09d' % divmod(last + r.randrange(2), 10 ** 9)]
            told.append(' '.join(w.replace(self.folder + '/', '') for w in words))
            what = 'seed %d: %s' % (seed, '; '.join(told))
            p = flowcarve(*words, ok=(0, 1, 2))
            self.assertTrue(p.rc == 0 or words[0] == 'forget' and (p.rc == 1 or 'is not in the index' in p.err), '%s: %s' % (what, p))
            now, started = self.check(what), True
            gone = {fid for fid, n in select(self.db, 'SELECT id, forgotten FROM files') if n}
            for sid, (key, pos) in before.items():
                left = {p for p in pos if p[0] not in gone}
                if sid < 0:
                    continue
                if left:
                    self.assertIn(sid, now, '%s: session %d is gone' % (what, sid))
                if sid in now:
                    self.assertEqual(now[sid][0], key, '%s: session %d is another one' % (what, sid))
                    self.assertLessEqual(left, now[sid][1], '%s: session %d lost packets' % (what, sid))
            before = now
        for name in self.listing():
            os.remove(self.path(name))

    def test_forgetting_what_came_in_pieces(self):
        """A session may have several rows of positions in a capture, with those of others between."""
        self.db = self.path('x.db')
        files = [self.write('%d.pcap' % k, support.pcap_bytes([
            (T0 + (k * 30 + i) * S, udp('10.0.0.%d' % (i % 3 + 1), 1, '10.0.1.1', 2)) for i in range(30)])) for k in range(2)]
        for f in files:
            index(self.db, '-q', f)
        with support.open_db(self.db, write=True) as c:  # as a capture that grows leaves them once they are long
            rows = c.execute('SELECT id, session, file, positions FROM session_positions').fetchall()
            self.assertEqual(len(rows), 3)
            for row, session, file, blob in rows:
                offs = [off for _, off in support.positions(blob)]
                c.execute('UPDATE session_positions SET positions = ? WHERE id = ?', (self.segment(file, offs[:4]), row))
                c.execute('INSERT INTO session_positions VALUES (NULL, ?, ?, ?)', (session, file, self.segment(file, offs[4:])))
        self.check('in pieces')
        for k, f in enumerate(files):
            flowcarve('forget', '-q', '-d', self.db, f)
            self.assertEqual(len(self.check('forgotten: %d' % k)), 3 - 3 * k)

    def segment(self, file, offs):
        out = bytearray()
        for n in (file, len(offs), offs[0], *(b - a for a, b in zip(offs, offs[1:]))):
            while n > 127:
                out.append(n & 127 | 128)
                n >>= 7
            out.append(n)
        return bytes(out)

    def test_any_order(self):
        first = int(os.environ.get('LIFE_FIRST', 0))
        for seed in range(first, first + support.rounds(8, 300)):
            self.live(support.SEED * 1000 + seed)


if __name__ == '__main__':
    support.main()
