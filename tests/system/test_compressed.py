# SPDX-License-Identifier: MIT
"""Captures compressed with gzip, zstd, lz4 and xz, in every shape their tools make: the index is that of the plain capture,
carving gives it back, damage costs what lies behind it and no more.

The second opinion on what a compressed file holds: Python's zlib and lzma, and the command-line tools."""
import gzip, lzma, os, re, shutil, sqlite3, struct, subprocess, unittest, zlib

import support
from support import dump, index, read_bytes, select, sessions

OF_THE_FILE = ('files.path', 'files.size', 'files.compression', 'files.mtime_ns', 'files.device', 'files.inode',
               'files.stored_fingerprint', 'files.resume', 'seek_points')
# where damage ends a stream, what goes before is lost, which else is pending
OF_THE_END = ('files.stream_size', 'files.damaged', 'files.lost_bytes', 'files.pending_bytes', 'damage')
SETTINGS = (('1', '64k'), ('3', '100001'), ('2', '16M'))


def pipe(data, *command):
    """What a tool makes of data; whatever came out before it complained counts."""
    support.tool(command[0])
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def split(data, parts):
    """In pieces of different sizes, an empty one among them."""
    ends = sorted(int(len(data) * f) for f in (0.13, 0.13, 0.5, 0.71)[:parts - 1])
    return [data[a:b] for a, b in zip([0] + ends, ends + [len(data)])]


def gzip_member(data, extra=None, name=None, comment=None, crc=False):
    """A member with every optional field of RFC 1952."""
    flags = 2 * crc + 4 * (extra is not None) + 8 * (name is not None) + 16 * (comment is not None)
    head = b'\x1f\x8b\x08' + bytes([flags]) + bytes(4) + b'\x00\x03'
    head += struct.pack('<H', len(extra)) + extra if extra is not None else b''
    head += (name + b'\0' if name is not None else b'') + (comment + b'\0' if comment is not None else b'')
    head += struct.pack('<H', zlib.crc32(head) & 0xffff) if crc else b''
    c = zlib.compressobj(6, zlib.DEFLATED, -15)
    return head + c.compress(data) + c.flush() + struct.pack('<II', zlib.crc32(data), len(data) & 0xffffffff)


def bgzf(data):
    """Blocks of at most 64 KiB, each a member, as bgzip makes them."""
    return b''.join(gzip_member(data[i:i + 65280], extra=b'BC\x02\x00\x00\x00') for i in range(0, len(data), 65280)) + \
        gzip_member(b'', extra=b'BC\x02\x00\x00\x00')


def skippable(n, number=0):
    return struct.pack('<II', 0x184d2a50 + number, n) + bytes(n)


def frames(data, *command):
    return [pipe(p, *command) for p in split(data, 5)]


def flushed(data):
    c = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b''.join(c.compress(p) + c.flush(zlib.Z_FULL_FLUSH) for p in split(data, 5)) + c.flush()


def lz4_frames(data):
    first, *rest = frames(data, 'lz4', '-q', '-c', '-B4', '-BD')
    return skippable(7) + first + skippable(70) + b''.join(rest)


# every shape by its name; made when it is asked for
SHAPES = {
    'python.gz': gzip.compress,
    'fast.gz': lambda d: pipe(d, 'gzip', '-1'),
    'best.gz': lambda d: pipe(d, 'gzip', '-9'),
    'members.gz': lambda d: b''.join(gzip.compress(p, 1) for p in split(d, 5)),
    'padded.gz': lambda d: gzip.compress(d) + bytes(3000),
    'fields.gz': lambda d: gzip_member(d, b'x' * 3000, b'a name', b'a comment' * 500, True),
    'bgzf.gz': bgzf,
    'flushed.gz': flushed,
    'stored.gz': lambda d: gzip.compress(d, 0),
    'one.zst': lambda d: pipe(d, 'zstd', '-q', '-3'),
    'long.zst': lambda d: pipe(d, 'zstd', '-q', '-9', '--long=27', '--no-check'),
    'small.zst': lambda d: pipe(d, 'zstd', '-q', '-1', '--zstd=wlog=10'),
    'frames.zst': lambda d: b''.join(frames(d, 'zstd', '-q', '-1')),
    'seekable.zst': lambda d: b''.join(frames(d, 'zstd', '-q', '-1')) + skippable(49, 14),
    'skippable-first.zst': lambda d: skippable(4) + skippable(0, 15) + skippable(300000, 3) + b''.join(frames(d, 'zstd', '-q', '-1')),
    'parallel.zst': lambda d: pipe(d, 'pzstd', '-q', '-p', '2', '-c'),
    **{'independent-%s.lz4' % n: lambda d, n=n: pipe(d, 'lz4', '-q', '-c', '-B' + n, '-BI') for n in '457'},
    **{'linked-%s.lz4' % n: lambda d, n=n: pipe(d, 'lz4', '-q', '-c', '-B' + n, '-BD') for n in '457'},
    'sums.lz4': lambda d: pipe(d, 'lz4', '-q', '-c', '-9', '-B4', '-BD', '-BX', '--content-size'),
    'bare.lz4': lambda d: pipe(d, 'lz4', '-q', '-c', '--no-frame-crc'),
    'frames.lz4': lz4_frames,
    'one.xz': lambda d: pipe(d, 'xz', '-0'),
    'blocks.xz': lambda d: pipe(d, 'xz', '-0', '--block-size=100000'),
    'threads.xz': lambda d: pipe(d, 'xz', '-1', '-T2', '--block-size=300000'),
    **{check + '.xz': lambda d, check=check: pipe(d, 'xz', '-0', '-C', check) for check in ('none', 'crc32', 'sha256')},
    'x86.xz': lambda d: pipe(d, 'xz', '--x86', '--lzma2=preset=0'),
    'streams.xz': lambda d: bytes(8).join(lzma.compress(p, preset=0) for p in split(d, 5)) + bytes(4),
}


def variants(data, names=SHAPES):
    for name in names:
        yield name, SHAPES[name](data)


def plain_of(name, blob):
    """What other tools get out of it, up to damage."""
    if name.endswith('.gz'):
        out = bytearray()
        while blob[:2] == b'\x1f\x8b':
            d = zlib.decompressobj(31)
            try:
                i, step = 0, 4096
                while i < len(blob) and not d.eof:
                    before = d.copy()
                    try:
                        out += d.decompress(blob[i:i + step])
                        i += step
                    except zlib.error:  # takes the whole step with it
                        if step == 16:
                            raise
                        d, step = before, 16
            except zlib.error:
                return bytes(out)
            if not d.eof:
                return bytes(out)
            blob = d.unused_data + blob[i:]
        return bytes(out)
    return pipe(blob, *{'.zst': ('zstd', '-q', '-dc', '--long=30'), '.lz4': ('lz4', '-q', '-dc'),
                        '.xz': ('xz', '-q', '-dc')}[os.path.splitext(name)[1]])


class Compressed(support.TestCase):

    def plain(self, name, *options):
        f = self.fcgen(name, *options)
        self.assertEqual(len(f), 1)
        return f[0]

    def facts(self, db, *more):
        return dump(db, OF_THE_FILE + more)

    def made(self, name, data):
        """A database of a plain capture with these bytes, as facts; None when it is none."""
        f, db = self.write(name, data), self.path('made.db')
        r = index(db, '-q', f, ok=(0, 2))
        text = self.facts(db, *OF_THE_END) if r.rc == 0 else None
        if r.rc == 0:
            os.remove(db)
        os.remove(f)
        return text

    def check_variant(self, name, blob, data, facts, settings=SETTINGS):
        f = self.write(name, blob)
        for jobs, chunk in settings:
            db = self.path('x.db')
            index(db, '-q', '--jobs', jobs, '--chunk-size', chunk, f)
            self.assert_same_dump(facts, self.facts(db), '%s %s %s' % (name, jobs, chunk))
            points = select(db, 'SELECT off, stored_off, state FROM seek_points')
            self.points = getattr(self, 'points', points)
            if self.points_of != name:
                self.points_of, self.points = name, points
            self.assertEqual(points, self.points, 'seek points of ' + name)
            last = db, points
            if (jobs, chunk) != settings[-1]:
                os.remove(db)
        want = {'.gz': 'gzip', '.zst': 'zstd', '.lz4': 'lz4', '.xz': 'xz'}[os.path.splitext(name)[1]]
        self.assertEqual(select(db, 'SELECT compression, size, stream_size FROM files'), [(want, len(blob), len(data))])
        self.assertEqual(support.flowcarve('carve', '-q', '-d', db, '-w', '-', ok=(0, 1)).out, self.whole)
        support.verify(db)
        return last

    points_of = None

    def check_all(self, data, name, settings=SETTINGS, only=SHAPES):
        plain, db = self.write(name, data), self.path('plain.db')
        index(db, '-q', plain)
        facts = self.facts(db)
        self.whole = support.flowcarve('carve', '-q', '-d', db, '-w', '-', ok=(0, 1)).out
        os.remove(plain)
        for n, (variant, blob) in enumerate(variants(data, only)):
            some = settings if support.LONG else [settings[n % len(settings)]]  # in turn
            with self.subTest(name, variant=variant):
                self.assertEqual(plain_of(variant, blob), data, 'the tools disagree')
                db, _ = self.check_variant(variant, blob, data, facts, some)
                os.remove(db)
                os.remove(self.path(variant))
        os.remove(self.path('plain.db'))

    # ---- the same index, and the same bytes carved

    def test_pcap(self):
        f = self.plain('c.pcap', '--packets', '1500', '--fragments', '10')
        self.check_all(read_bytes(f), 'c.pcap')

    def test_pcapng(self):
        f = self.plain('c.pcapng', '--packets', '1500', '--format', 'pcapng', '--interfaces', '3', '--ns', '--big-endian')
        self.check_all(read_bytes(f), 'c.pcapng', SETTINGS[:2], SHAPES if support.LONG else (
            'fast.gz', 'members.gz', 'bgzf.gz', 'one.zst', 'seekable.zst', 'linked-4.lz4', 'frames.lz4', 'blocks.xz', 'streams.xz'))

    def test_times_that_run_backwards(self):
        """Carving jumps about in the stream then."""
        f = self.plain('c.pcap', '--packets', '3000', '--backward', '20')
        self.check_all(read_bytes(f), 'c.pcap', SETTINGS[:1],
                       ('fast.gz', 'frames.zst', 'linked-4.lz4', 'blocks.xz'))

    def test_out_of_order_is_decompressed_once(self):
        """A file whose order is not that of time, as appended captures are: read through once, sorted, and the same bytes."""
        data = read_bytes(self.plain('c.pcap', '--packets', '3000'))
        data += data[24:] * 3
        plain, db = self.write('four.pcap', data), self.path('x.db')
        index(db, '-q', plain)
        want = support.flowcarve('carve', '-q', '-d', db, '-w', '-').out
        for suffix, words in (('xz', ('xz', '-0')), ('gz', ('gzip', '-1'))):
            os.path.exists(db) and os.remove(db)
            index(db, '-q', self.write('four.pcap.' + suffix, pipe(data, *words)))
            r = support.flowcarve('carve', '-v', '-d', db, '-w', '-')
            self.assertEqual(r.out, want)
            self.assertLess(float(re.search(r'([\d.]+) MB decompressed', r.err)[1]) * 1e6, 1.1 * len(data) + 1e5)

    def test_real_captures(self):
        if not support.CAPTURES:
            self.skipTest('FLOWCARVE_CAPTURES is not set')
        rows = [l.split('\t') for l in read_bytes(os.path.join(support.CAPTURES, 'MANIFEST.tsv')).decode().splitlines()]
        rows = [dict(zip(rows[0], r)) for r in rows[1:]]
        r = support.rng('compressed')
        rows = [x for x in rows if 0 < int(x['size']) < (20 << 20 if support.LONG else 1 << 20)]
        for x in r.sample(rows, min(len(rows), support.rounds(4, len(rows)))):
            data = read_bytes(os.path.join(support.CAPTURES, x['path']))
            data = gzip.decompress(data) if data[:2] == b'\x1f\x8b' else data
            chosen = {r.choice(['python.gz', 'members.gz', 'bgzf.gz']), r.choice(['one.zst', 'frames.zst']),
                      r.choice(['linked-4.lz4', 'independent-4.lz4']), r.choice(['one.xz', 'blocks.xz'])}
            self.check_all(data, os.path.basename(x['path']), SETTINGS[:1], [name for name in SHAPES if name in chosen])

    def test_the_name_tells_nothing(self):
        data = read_bytes(self.plain('c.pcap', '--packets', '300'))
        for i, (_, blob) in enumerate([('', data), *variants(data, ('fast.gz', 'one.zst', 'bare.lz4', 'one.xz'))]):
            db = self.path('%d.db' % i)
            index(db, '-q', self.write('%d.gz' % i, blob))
            self.assertEqual(select(db, 'SELECT records FROM files'), [(300,)])

    def test_several_files_at_once(self):
        """Sessions that cross plain and compressed files, little memory, and files whose sessions interleave."""
        r = support.rng('several')
        for options in (('--files', '6'), ('--files', '4', '--overlap')):
            folder = self.path('in' + options[-1].strip('-'))
            os.mkdir(folder)
            files = self.fcgen(os.path.join(folder, 'c.pcap'), '--packets', '20000' if support.LONG else '8000', *options)
            db = self.path('p.db')
            index(db, '-q', folder)
            want = self.facts(db)
            carved = support.flowcarve('carve', '-q', '-d', db, '-w', '-').out
            os.remove(db)
            for k, f in enumerate(files):
                data = read_bytes(f)
                ending = ('.gz', '.zst', '.lz4', '.xz')[k % 4]
                support.write(f, SHAPES[r.choice(sorted(name for name in SHAPES if name.endswith(ending)))](data))
            for jobs, chunk, memory in (('1', '64k', '16M'), ('4', '64k', '512M'), ('3', '1M', '16M')):
                index(db, '-q', '--jobs', jobs, '--chunk-size', chunk, '--memory', memory, folder)
                self.assert_same_dump(want, self.facts(db), '%s %s %s' % (options, jobs, chunk))
                self.assertEqual(support.flowcarve('carve', '-q', '-d', db, '-w', '-').out, carved)
                support.verify(db)
                os.remove(db)

    def test_added_later(self):
        files = self.fcgen('c.pcap', '--packets', '3000', '--files', '2')
        index(self.path('p.db'), '-q', *files)
        again = read_bytes(files[1])
        for f, kind in zip(files, ('gzip', 'xz')):
            support.write(f, pipe(read_bytes(f), kind, '-1'))
        db = self.path('x.db')
        for f in files:
            index(db, '-q', f)
        self.assert_says(index(db, *files), 'unchanged')
        support.verify(db)
        keys = 'start_ns', 'client_addr', 'client_port', 'server_addr', 'client_packets', 'server_bytes', 'state'
        self.assertEqual([[s[k] for k in keys] for s in sessions(db)],
                         [[s[k] for k in keys] for s in sessions(self.path('p.db'))])
        # another content under the name is seen
        support.write(files[0], gzip.compress(again))
        self.assert_says(support.flowcarve('carve', '-d', db, '-w', self.path('o.pcap'), ok=2), 'changed')
        self.assert_says(index(db, files[0]), '1 capture gone')
        self.assert_says(support.flowcarve('carve', '-d', db, '-w', self.path('o.pcap'), ok=2), 'gone')

    # ---- what is no capture

    def test_what_holds_no_capture(self):
        good = support.pcap_bytes([(support.T0, bytes(60))])
        for name, blob, says in (('text.gz', gzip.compress(b'hello world' * 99), ('gzip-compressed', 'not a capture')),
                                 ('twice.gz', gzip.compress(gzip.compress(good)), ('gzip-compressed data',)),
                                 ('zip.xz', lzma.compress(b'PK\3\4' + bytes(99)), ('xz-compressed', 'zip')),
                                 ('broken.gz', b'\x1f\x8b\x08\0' + b'\xff' * 99, ('not a capture', 'gzip')),
                                 ('empty.gz', gzip.compress(b''), ()),
                                 ('frame.lz4', b'\x04\x22\x4d\x18\xff\xff\xff' + bytes(99), ('lz4', 'unknown kind'))):
            with self.subTest(name):
                r = index(self.path('x.db'), self.write(name, blob), ok=(0, 2) if not says else 2)
                self.assert_says(r, name, *says)

    # ---- damage

    def check_damaged(self, name, blob, data, settings=SETTINGS[:2], says=(), cut=False):
        """The index is that of the bytes that come out; the damage is told with its place. Gives that row, of a cut file none."""
        want = plain_of(name, blob)
        f, db, first = self.write(name, blob), self.path('x.db'), None
        for jobs, chunk in settings:
            r = index(db, '--jobs', jobs, '--chunk-size', chunk, f, ok=(0, 2))
            if r.rc == 2:
                self.assertLess(len(want), 24, r)
                return None
            first = first or dump(db)
            self.assert_same_dump(first, dump(db), name)
            facts, size = self.facts(db, *OF_THE_END), select(db, 'SELECT stream_size FROM files')[0][0]
            rows = [x for x in select(db, 'SELECT off, length, cause FROM damage') if re.search(r'(gzip|zstd|lz4|xz): ', x[2])]
            support.verify(db)
            support.flowcarve('carve', '-q', '-d', db, '-w', '-', ok=(0, 1))
            os.remove(db)
        os.remove(f)
        if rows and 'does not fit its content' in rows[0][2] and size > len(want):
            # tools give up where a member or frame ends whose checksum is wrong; those behind it are none the worse
            self.assertLess(len(data) - size if size < len(data) else size - len(data), 1 << 10, name)
            self.assertLess(len(want) - (1 << 17), rows[0][0])
            return rows[0]
        if name.endswith('.zst') and size > len(want):  # zstd keeps what it has not yet written to itself
            want += data[len(want):size]
        self.assertEqual(size, len(want), name)
        self.assert_same_dump(self.made('made.pcap', want), facts, name)
        if cut or (not rows and 'the file ends inside' in r.err):  # no damage: more may follow
            self.assertEqual(rows, [])
            self.assert_says(r, *says, 'the file ends inside')
            return None
        self.assertEqual(len(rows), 1, rows)
        self.assertEqual(rows[0][0] + rows[0][1], len(want))
        self.assert_says(r, *says, rows[0][2])
        return rows[0]

    def samples(self):
        """One of each kind that differs in its structure."""
        data = read_bytes(self.plain('c.pcap', '--packets', '700'))
        chosen = ('fast.gz', 'members.gz', 'bgzf.gz', 'one.zst', 'frames.zst', 'independent-4.lz4', 'linked-5.lz4', 'sums.lz4',
                  'one.xz', 'blocks.xz', 'streams.xz')
        return data, list(variants(data, chosen))

    def test_cut(self):
        data, samples = self.samples()
        r = support.rng('cut')
        for name, blob in samples:
            for n in [20, len(blob) - 1] + [r.randrange(1, len(blob)) for _ in range(support.rounds(1, 40))]:
                with self.subTest(name, n=n):
                    want = plain_of(name, blob[:n])
                    if len(want) == len(data) and n < len(blob) - 1:
                        continue  # what is missing may be an index or padding
                    self.assertEqual(want, data[:len(want)])
                    self.check_damaged(name, blob[:n], data, SETTINGS[:1], cut=True)

    def test_corrupted(self):
        data, samples = self.samples()
        r = support.rng('corrupted')
        for name, blob in samples:
            for _ in range(support.rounds(2, 40)):
                at = r.randrange(30, len(blob))
                bad = bytearray(blob)
                bad[at] ^= 1 << r.randrange(8)
                with self.subTest(name, at=at):
                    try:
                        self.check_damaged(name, bytes(bad), data)
                    except AssertionError:
                        # a tool may see no harm, where the flip hit padding or a header field of no consequence
                        if plain_of(name, bytes(bad)) != plain_of(name, blob):
                            raise

    def test_what_follows(self):
        data, samples = self.samples()
        for name, blob in samples:
            with self.subTest(name):
                row = self.check_damaged(name, blob + b'something else', data, says=('something else follows',))
                self.assertEqual(row[:2], (len(data), 0))

    def test_checksum_of_a_member(self):
        """The content is there, and the members behind it too."""
        data = read_bytes(self.plain('c.pcap', '--packets', '600'))
        parts = split(data, 4)
        members = [gzip.compress(p) for p in parts]
        bad = members[0][:-8] + bytes(8)
        f, db = self.write('c.gz', bad + b''.join(members[1:])), self.path('x.db')
        self.assert_says(index(db, f), 'checksum of a member')
        self.assertEqual(select(db, 'SELECT off, length FROM damage'), [(len(parts[0]), 0)])
        self.assertEqual(select(db, 'SELECT records, stream_size FROM files'), [(600, len(data))])

    def test_bombs(self):
        """Little memory is enough for streams that are a thousand times larger than their file."""
        data = large(96)
        limit = None if support.sanitized() else limit_memory  # the stream itself does not fit
        for name, blob in (('b.gz', gzip.compress(data, 1)), ('b.zst', pipe(data, 'zstd', '-q', '-1')),
                           ('b.xz', pipe(data, 'xz', '-0'))):
            with self.subTest(name):
                db = self.path(name + '.db')
                index(db, '-q', '--jobs', '2', '--memory', '16M', self.write(name, blob), preexec_fn=limit)
                self.assertEqual(select(db, 'SELECT stream_size, records FROM files'), [(len(data), 4 * 96)])

    def test_a_dictionary_too_large(self):
        data = read_bytes(self.plain('c.pcap', '--packets', '300'))
        blob = bytearray(lzma.compress(data, preset=0))
        at = blob.index(b'\x21\x01', 12) + 2
        blob[at] = 40  # 4 GiB - 1
        head = (blob[12] + 1) * 4
        blob[12 + head - 4:12 + head] = struct.pack('<I', zlib.crc32(blob[12:12 + head - 4]))
        self.assert_says(index(self.path('x.db'), self.write('c.xz', bytes(blob)), ok=2), '512 MiB')

    # ---- carving from the middle

    def carve_one(self, db, sid):
        """(bytes carved, read, decompressed)"""
        r = support.flowcarve('carve', '-v', '-d', db, '--id', sid, '-w', '-')
        m = re.search(r'; ([\d.,]+) (\w+) read from captures, ([\d.,]+) (\w+) decompressed', r.err)
        self.assertTrue(m, r.err)
        unit = {'B': 1, 'kB': 10**3, 'MB': 10**6, 'GB': 10**9}
        return r.out, *(float(m[i].replace(',', '')) * unit[m[i + 1]] for i in (1, 3))

    def test_carving_a_session_reads_little(self):
        """Twice as large a capture does not make it read twice as much."""
        f = self.plain('c.pcap', '--packets', 1500000 if support.LONG else 40000)
        size = os.path.getsize(f)
        index(self.path('p.db'), '-q', f)
        rows = select(self.path('p.db'), 'SELECT id, positions FROM session WHERE client_packets + server_packets = 3')
        sid = next(i for i, p in rows[len(rows) // 2:] if support.positions(p)[-1][1] - support.positions(p)[0][1] < 2 << 20)
        want = support.flowcarve('carve', '-q', '-d', self.path('p.db'), '--id', sid, '-w', '-').out
        share = 0.05 if support.LONG else 0.5
        for name, command in (('c.gz', ('gzip', '-1')), ('c.zst', ('pzstd', '-q', '-p', '2', '-c', '-1')),
                              ('c4.lz4', ('lz4', '-q', '-c', '-B4', '-BD')), ('c.lz4', ('lz4', '-q', '-c')),
                              ('c.xz', ('xz', '-0', '-T2', '--block-size=4MiB'))):
            with self.subTest(name):
                support.tool(command[0])
                db, g = self.path('x.db'), self.path(name)
                with open(f, 'rb') as src, open(g, 'wb') as dst:
                    subprocess.run(command, stdin=src, stdout=dst, check=True)
                index(db, '-q', g)
                out, read, decoded = self.carve_one(db, sid)
                self.assertEqual(out, want)
                self.assertLess(decoded, share * size)
                self.assertLess(read, share * os.path.getsize(g) + (512 << 10))
                if support.LONG:
                    print('%s: %d bytes, carving one session read %d of %d and decompressed %d' %
                          (name, size, read, os.path.getsize(g), decoded))
                os.remove(db)
                os.remove(g)

    def test_one_piece_is_said(self):
        data = large(66)  # what is 64 MiB wide is worth a word
        for name, command, said in (('c.zst', ('zstd', '-q', '-1'), True), ('c.xz', ('xz', '-0', '-T1'), True),
                                    ('c.gz', ('gzip', '-1'), False), ('c.lz4', ('lz4', '-q', '-c'), False)):
            r = index(self.path(name + '.db'), self.write(name, pipe(data, *command)))
            self.assertEqual('offers no place to start' in r.err, said, r)

    # ---- a database that somebody has changed

    def test_hostile_seek_points(self):
        """Whatever the points say: what is carved is right, or nothing is."""
        data = read_bytes(self.plain('c.pcap', '--packets', '5600', '--sizes', 'full'))
        r = support.rng('hostile')
        for name, blob in variants(data, ('fast.gz', 'bgzf.gz', 'frames.zst', 'linked-4.lz4', 'independent-5.lz4', 'blocks.xz')):
            self.write(name, blob)
            good = self.path('good.db')
            index(good, '-q', self.path(name))
            sid = select(good, 'SELECT id FROM session WHERE client_packets + server_packets < 9 ORDER BY id DESC')[0][0]
            want = {a: support.flowcarve('carve', '-q', '-d', good, '-w', '-', *a).out for a in ((), ('--id', str(sid)))}
            points = select(good, 'SELECT rowid, off, stored_off, state FROM seek_points')
            self.assertTrue(points, name)
            for _ in range(support.rounds(2, 150)):
                db = shutil.copy(good, self.path('bad.db'))
                with support.open_db(db, True) as c:
                    for rowid, off, stored, state in points:
                        c.execute('UPDATE OR REPLACE seek_points SET off=?, stored_off=?, state=? WHERE rowid=?',
                                  (*self.spoilt(r, off, stored, state), rowid))
                for a, bytes_ in want.items():
                    x = support.flowcarve('carve', '-d', db, '-w', '-', *a, ok=(0, 2))
                    if x.rc == 0:
                        self.assertEqual(x.out, bytes_, x)
                    else:
                        self.assertIn('flowcarve: ', x.err)
                support.verify(db)
            os.remove(good)

    def spoilt(self, r, off, stored, state):
        kind = r.randrange(9)
        far = r.choice([-1, 0, 1, 7, 2**31, 2**62, 2**63 - 1, -2**63, r.randrange(2**40)])
        if kind == 0:
            off = far
        elif kind == 1:
            off += r.randrange(-5, 6)
        elif kind == 2:
            stored = far
        elif kind == 3:
            stored += r.randrange(-5, 6)
        elif kind == 4:
            state = r.choice([b'', b'\0', b'\1', b'\xff', 'text', 5, state[:-1], state + b'\0', state[:9], bytes(99999)])
        elif kind == 5 and state:
            i = r.randrange(len(state))
            state = state[:i] + bytes([state[i] ^ 1 << r.randrange(8)]) + state[i + 1:]
        elif kind == 6:
            state = r.randbytes(r.randrange(300))
        elif kind == 7 and len(state) > 11:
            state = state[:2] + r.randbytes(8) + state[10:]
        return off, stored, state


def large(mebibytes):
    """A capture of a few large packets, which compress well."""
    record = struct.pack('<IIII', support.T0 // support.S, 0, (256 << 10) - 16, (256 << 10) - 16) + bytes((256 << 10) - 16)
    return support.pcap_bytes([]) + record * (4 * mebibytes)


def limit_memory():
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (88 << 20, 88 << 20))


if __name__ == '__main__':
    support.main()
