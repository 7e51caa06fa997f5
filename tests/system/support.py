# SPDX-License-Identifier: MIT
"""What all modules of the system suite share: running the programs, reading and writing captures, reading an index.

Nothing here uses flowcarve's code or its output as a yardstick: captures are read by a reader of our own, the blobs of
an index by a decoder written from schema/flowcarve.sql.

Environment:
  FLOWCARVE, FCGEN      the binaries (default: build/dev of this checkout)
  FLOWCARVE_CAPTURES    folder of real captures with MANIFEST.tsv; optional
  FLOWCARVE_ORACLE      folder of the oracle scripts; optional
  FLOWCARVE_TEST_LONG   1: more rounds everywhere
  FLOWCARVE_TEST_SEED   seed of everything random (printed when a test fails)
"""
import collections, contextlib, functools, glob, gzip, hashlib, json, os, random, re, shutil, signal, sqlite3, struct
import subprocess, sys, tempfile, unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FLOWCARVE = os.path.abspath(os.environ.get('FLOWCARVE') or os.path.join(ROOT, 'build/dev/flowcarve'))
FCFEED = os.path.abspath(os.environ.get('FCFEED') or os.path.join(ROOT, 'build/dev/bench/fcfeed'))
FCGEN = os.path.abspath(os.environ.get('FCGEN') or os.path.join(ROOT, 'build/dev/bench/fcgen'))
CAPTURES = os.environ.get('FLOWCARVE_CAPTURES') or None
ORACLE = os.environ.get('FLOWCARVE_ORACLE') or None
LONG = os.environ.get('FLOWCARVE_TEST_LONG', '') not in ('', '0')
SEED = int(os.environ.get('FLOWCARVE_TEST_SEED') or 20240531)
SKIPPED = 77
SANITIZER_EXIT = 99
SECONDS = 120  # no command of the suite takes nearly as long

KEYS = ('id start end start_ns end_ns duration proto client_addr client_port server_addr server_port '
        'client_packets server_packets client_bytes server_bytes state').split()


def rng(*words):
    return random.Random('%d %s' % (SEED, ' '.join(map(str, words))))


def rounds(short, long):
    """How many rounds of something random: `short` in every run (a third where a sanitizer makes each of them slow)."""
    if LONG:
        return long
    return max(1, short // 3) if isinstance(short, int) and sanitized() else short


def tool(name):
    """A program that a user's machine may lack."""
    path = shutil.which(name)
    if not path:
        raise unittest.SkipTest(name + ' is not installed: this comparison was left out')
    return path


# ---------------------------------------------------------------- programs

@functools.lru_cache(None)
def sanitized():
    """Is the binary built with a sanitizer? Those need terabytes of address space."""
    data = read_bytes(FLOWCARVE)
    return any(name in data for name in (b'__asan_init', b'__tsan_init', b'__ubsan_handle'))


@functools.lru_cache(None)
def base_environment():
    env = {k: v for k, v in os.environ.items() if not k.startswith('FLOWCARVE')}
    env.update(LC_ALL='C.UTF-8', TZ='UTC',
               ASAN_OPTIONS='exitcode=%d:detect_leaks=1:allocator_may_return_null=1' % SANITIZER_EXIT,
               LSAN_OPTIONS='exitcode=%d' % SANITIZER_EXIT,
               UBSAN_OPTIONS='halt_on_error=1:print_stacktrace=1:exitcode=%d' % SANITIZER_EXIT,
               TSAN_OPTIONS='exitcode=%d' % SANITIZER_EXIT)
    return env


def environment(**more):
    return dict(base_environment(), **more)


def has_unnamed(pid):
    """Has the process a file open that has no name (O_TMPFILE)? So is what it writes, until it is whole."""
    for fd in glob.glob('/proc/%d/fd/*' % pid):
        with contextlib.suppress(OSError):
            if os.readlink(fd).endswith(' (deleted)'):
                return True
    return False


def sandbox_of(pid):
    """(Seccomp, NoNewPrivs) of each thread that has not ended meanwhile."""
    found = []
    for task in os.listdir('/proc/%d/task' % pid):
        try:
            text = read_bytes('/proc/%d/task/%s/status' % (pid, task)).decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(tuple(int(re.search(r'(?m)^%s:\s+(\d+)' % name, text).group(1)) for name in ('Seccomp', 'NoNewPrivs')))
    return found


class Result:
    def __init__(self, args, rc, out, err):
        self.args, self.rc, self.out, self.err_bytes = args, rc, out, err
        self.err = err.decode('utf-8', 'backslashreplace')

    @property
    def text(self):
        return self.out.decode('utf-8', 'surrogateescape')

    def __str__(self):
        return '%s\n  exit %s\n  stderr: %s' % (' '.join(map(repr, self.args)), self.rc, self.err[-3000:])


def judge(result, ok):
    """
    Whatever a command is asked, it never dies of a sanitizer, nor of a signal but of one that `ok` has (-15: SIGTERM);
    and its status is what was said.
    """
    if result.rc < 0 and result.rc not in ((ok,) if isinstance(ok, int) else ok or ()):
        raise AssertionError('killed by %s: %s' % (signal.Signals(-result.rc).name, result))
    if result.rc == SANITIZER_EXIT or 'Sanitizer' in result.err or 'runtime error:' in result.err:
        raise AssertionError('sanitizer: %s' % result)
    if ok is not None and result.rc not in ((ok,) if isinstance(ok, int) else ok):
        raise AssertionError('exit %d, not %s: %s' % (result.rc, ok, result))
    return result


def run(*args, ok=0, cwd=None, env=None, stdin=subprocess.DEVNULL, seconds=SECONDS, **popen):
    args = [os.fsencode(a) if isinstance(a, (str, bytes)) else str(a).encode() for a in args]
    try:
        p = subprocess.run(args, cwd=cwd, env=environment(**(env or {})), stdin=stdin, capture_output=True,
                           timeout=seconds, **popen)
    except subprocess.TimeoutExpired as e:
        raise AssertionError('still running after %d s: %s' % (seconds, args)) from e
    return judge(Result(args, p.returncode, p.stdout, p.stderr), ok)


def flowcarve(*args, **kw):
    return run(FLOWCARVE, *args, **kw)


def index(db, *words, **kw):
    return flowcarve('index', '-d', db, *words, **kw)


def verify(db, **kw):
    return flowcarve('verify', '-d', db, **kw)


def sessions(db, *words, ok=(0, 1), **kw):
    """Sessions as dictionaries, by `query --format json`."""
    r = flowcarve('query', '-d', db, '--format', 'json', *words, ok=ok, **kw)
    return [json.loads(line) for line in r.text.splitlines()]


def fcgen(name, *options, **kw):
    """Runs fcgen; the files it wrote, in order."""
    run(FCGEN, '-q', '-w', name, *options, **kw)
    if os.path.exists(name):
        return [name]
    stem, ext = os.path.splitext(name)
    folder = os.path.dirname(name) or '.'
    return sorted(os.path.join(folder, f) for f in os.listdir(folder)
                  if f.startswith(os.path.basename(stem) + '-') and f.endswith(ext or 'pcap'))


def read_truth(path):
    rows = [line.split('\t') for line in read_bytes(path).decode().splitlines()]
    return [dict(zip((h.lstrip('#') for h in rows[0]), r)) for r in rows[1:]]


# ---------------------------------------------------------------- captures

def uncompressed(data):
    """What a compressed file holds, by Python's gzip or the zstd tool; other data as they are."""
    if data[:2] == b'\x1f\x8b':
        return gzip.decompress(data)
    if data[:4] == b'\x28\xb5\x2f\xfd':
        return subprocess.run([tool('zstd'), '-q', '-dc'], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


Record = collections.namedtuple('Record', 'off ts_ns caplen origlen data linktype')
PCAP_MAGIC = {b'\xa1\xb2\xc3\xd4': ('>', 1000, 16), b'\xd4\xc3\xb2\xa1': ('<', 1000, 16),
              b'\xa1\xb2\x3c\x4d': ('>', 1, 16), b'\x4d\x3c\xb2\xa1': ('<', 1, 16),
              b'\xa1\xb2\xcd\x34': ('>', 1000, 24), b'\x34\xcd\xb2\xa1': ('<', 1000, 24)}


def read_bytes(path):
    with open(path, 'rb') as f:
        return f.read()


def read_capture(path):
    """All records of an undamaged pcap or pcapng. Raises ValueError where it is none."""
    return parse_capture(read_bytes(path))


def parse_capture(d):
    return list(_parse(d) if len(d) < 4 << 20 else _parse.__wrapped__(d))


@functools.lru_cache(64)
def _parse(d):
    """By what the bytes are: one test asks for the same capture again and again."""
    if d[:4] in PCAP_MAGIC:
        return list(_read_pcap(d))
    if d[:4] == b'\x0a\x0d\x0d\x0a':
        return list(_read_pcapng(d))
    raise ValueError('not a capture: %r' % d[:16])


def _read_pcap(d):
    e, unit, head = PCAP_MAGIC[d[:4]]
    lt = struct.unpack_from(e + 'I', d, 20)[0] & 0xffff
    o = 24
    while o < len(d):
        s, f, cl, ol = struct.unpack_from(e + 'IIII', d, o)
        if o + head + cl > len(d):
            raise ValueError('cut at %d' % o)
        yield Record(o, s * 10**9 + f * unit, cl, ol, d[o + head:o + head + cl], lt)
        o += head + cl


def _read_pcapng(d):
    o, e, ifs = 0, '<', []
    while o < len(d):
        if d[o:o + 4] == b'\x0a\x0d\x0d\x0a':
            e = '>' if d[o + 8:o + 12] == b'\x1a\x2b\x3c\x4d' else '<'
            ifs = []
        t, n = struct.unpack_from(e + 'II', d, o)
        if n < 12 or n % 4 or o + n > len(d) or struct.unpack_from(e + 'I', d, o + n - 4)[0] != n:
            raise ValueError('bad block at %d' % o)
        if t == 1:
            lt, _, snap = struct.unpack_from(e + 'HHI', d, o + 8)
            per, shift, p = 10**6, 0, o + 16
            while p + 4 <= o + n - 4:
                c, l = struct.unpack_from(e + 'HH', d, p)
                if c == 0:
                    break
                if c == 9:
                    per = 2 ** (d[p + 4] & 127) if d[p + 4] & 128 else 10 ** d[p + 4]
                if c == 14:
                    shift = struct.unpack_from(e + 'q', d, p + 4)[0]
                p += 4 + (l + 3 & ~3)
            ifs.append((lt, snap, per, shift))
        elif t == 6:
            i, hi, lo, cl, ol = struct.unpack_from(e + 'IIIII', d, o + 8)
            lt, _, per, shift = ifs[i]
            yield Record(o, (hi << 32 | lo) * 10**9 // per + shift * 10**9, cl, ol, d[o + 28:o + 28 + cl], lt)
        elif t == 3:
            ol = struct.unpack_from(e + 'I', d, o + 8)[0]
            lt, snap, _, _ = ifs[0]
            cl = min(ol, n - 16, snap or ol)
            yield Record(o, None, cl, ol, d[o + 12:o + 12 + cl], lt)
        o += n


def pcap_bytes(packets, linktype=1, e='<', magic=0xa1b2c3d4, snaplen=262144):
    """packets: (ts_ns, data) or (ts_ns, data, origlen)."""
    unit = 1 if magic == 0xa1b23c4d else 1000
    out = [struct.pack(e + 'IHHiIII', magic, 2, 4, 0, 0, snaplen, linktype)]
    for p in packets:
        ts, data = p[0], p[1]
        out.append(struct.pack(e + 'IIII', ts // 10**9, ts % 10**9 // unit, len(data), p[2] if len(p) > 2 else len(data)))
        if magic == 0xa1b2cd34:
            out.append(struct.pack(e + 'IHBB', 2, 0x800, 0, 0))
        out.append(data)
    return b''.join(out)


def block(e, kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack(e + 'II', kind, len(body) + 12) + body + struct.pack(e + 'I', len(body) + 12)


def option(e, code, value):
    return struct.pack(e + 'HH', code, len(value)) + value + bytes(-len(value) % 4)


def shb(e='<'):
    return block(e, 0x0a0d0d0a, struct.pack(e + 'IHHq', 0x1a2b3c4d, 1, 0, -1))


def idb(e='<', linktype=1, options=b'', snaplen=0):
    return block(e, 1, struct.pack(e + 'HHI', linktype, 0, snaplen) + (options + option(e, 0, b'') if options else b''))


def epb(e, iface, ticks, data, origlen=None, options=b''):
    head = struct.pack(e + 'IIIII', iface, ticks >> 32, ticks & 0xffffffff, len(data),
                       len(data) if origlen is None else origlen)
    return block(e, 6, head + data + bytes(-len(data) % 4) + options)


def pcapng_bytes(packets, linktype=1, e='<'):
    return shb(e) + idb(e, linktype) + b''.join(
        epb(e, 0, p[0] // 1000, p[1], p[2] if len(p) > 2 else None) for p in packets)


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)
    return path


def as_packets(records):
    return [(r.ts_ns, r.data, r.origlen) for r in records]


# packets of our own; S is one second, T0 a time to start from
S = 10**9
T0 = 1_700_000_000 * S


def ip4(text):
    return bytes(map(int, text.split('.')))


def eth(payload, ethertype=0x0800, src=b'\x02\0\0\0\0\1', dst=b'\x02\0\0\0\0\2', vlan=None):
    tag = struct.pack('>HH', 0x8100, vlan) if vlan is not None else b''
    return dst + src + tag + struct.pack('>H', ethertype) + payload


def ipv4(src, dst, proto, payload, ident=0, frag=0, more=False):
    return struct.pack('>BBHHHBBH', 0x45, 0, min(20 + len(payload), 65535), ident, frag // 8 | (0x2000 if more else 0), 64, proto,
                       0) + ip4(src) + ip4(dst) + payload


def tcp(src, sport, dst, dport, flags, seq=0, ack=0, data=b'', vlan=None):
    bits = sum({'F': 1, 'S': 2, 'R': 4, 'P': 8, 'A': 16}[f] for f in flags)
    return eth(ipv4(src, dst, 6, struct.pack('>HHIIBBHHH', sport, dport, seq & 0xffffffff, ack & 0xffffffff, 0x50, bits,
                                             8192, 0, 0) + data), vlan=vlan)


def udp_datagram(sport, dport, data):
    return struct.pack('>HHHH', sport, dport, 8 + len(data), 0) + data


def udp(src, sport, dst, dport, data=b'', vlan=None):
    return eth(ipv4(src, dst, 17, udp_datagram(sport, dport, data)), vlan=vlan)


def udp_fragments(src, sport, dst, dport, ident, sizes=(64, 64, 20)):
    """A datagram in fragments of `sizes` bytes of IP payload."""
    whole = udp_datagram(sport, dport, bytes(sum(sizes) - 8))
    out, at = [], 0
    for i, n in enumerate(sizes):
        out.append(eth(ipv4(src, dst, 17, whole[at:at + n], ident, at, i + 1 < len(sizes))))
        at += n
    return out


# ---------------------------------------------------------------- the index, seen with SQLite and our own decoder

def open_db(path, write=False):
    return contextlib.closing(sqlite3.connect(
        'file:%s?mode=%s' % (path.replace('%', '%25').replace('?', '%3f').replace('#', '%23'), 'rw' if write else 'ro'),
        uri=True, isolation_level=None))


def select(db, sql, *values):
    with open_db(db) as c:
        return c.execute(sql, values).fetchall()


def dump(db, leave_out=()):
    """
    All that is in the index, as text: its schema and a line for each row. Columns `table.column` in leave_out are set aside
    first, tables by their name; of session_positions only the division, not the positions. files.ctime_ns always: whether it
    is there depends on how long ago the captures were written.
    """
    key = _content(db), tuple(leave_out)
    text = _dumps.get(key) or _dump(db, leave_out)
    if len(_dumps) > 60:
        _dumps.clear()
    if key[0] and key[0] == _content(db):
        _dumps[key] = text
    return text


_dumps = {}  # texts by the bytes of an index: runs that fail leave the same again and again


def _content(db):
    """What the bytes of an index are; None where some of it may lie beside."""
    if any(os.path.exists(db + end) for end in ('-wal', '-journal')):
        return None
    return hashlib.sha256(read_bytes(db)).digest()


def _dump(db, leave_out):
    with open_db(db) as disk, contextlib.closing(sqlite3.connect(':memory:', isolation_level=None)) as c:
        disk.backup(c)
        if 'session_positions' in leave_out:
            c.executemany('UPDATE session SET flags = flags & ~8, positions = ? WHERE id = ?',
                          [(repr(p), sid) for sid, p in all_positions(db).items()])
        if 'run' in leave_out:  # what runs have done with sessions of those before
            c.execute('DROP TABLE IF EXISTS moved')
        for item in ('files.ctime_ns',) + tuple(leave_out):
            table, _, column = item.partition('.')
            c.execute('DELETE FROM %s' % table if not column else 'UPDATE %s SET %s = 0' % (table, column))
        lines = [sql for (sql,) in c.execute('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name')]
        for (table,) in c.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall():
            lines.append(table)
            lines += map(repr, c.execute('SELECT * FROM "%s"' % table))
        return '\n'.join(lines)


def pages(db):
    """The bytes of a database, but for what changes whenever a writer begins and ends: the kind of journal and two counters."""
    b = bytearray(read_bytes(db))
    for at, n in (18, 2), (24, 4), (92, 4):
        b[at:at + n] = bytes(n)
    return bytes(b)


def first_difference(a, b):
    for x, y in zip(a.split('\n'), b.split('\n')):
        if x != y:
            return '\n- %s\n+ %s' % (x[:400], y[:400])
    return ' (one is longer)'


def lz4_block(src, size):
    out, i = bytearray(), 0
    while i < len(src):
        token = src[i]
        i += 1
        n = token >> 4
        if n == 15:
            while True:
                n += src[i]
                i += 1
                if src[i - 1] != 255:
                    break
        out += src[i:i + n]
        i += n
        if i >= len(src):
            break
        at = len(out) - (src[i] | src[i + 1] << 8)
        i += 2
        n = token & 15
        if n == 15:
            while True:
                n += src[i]
                i += 1
                if src[i - 1] != 255:
                    break
        if not 0 <= at < len(out):
            raise ValueError('LZ4 match outside')
        for k in range(n + 4):
            out.append(out[at + k])
    if len(out) != size:
        raise ValueError('LZ4 block of %d bytes, not %d' % (len(out), size))
    return bytes(out)


def varint(d, i):
    n = shift = 0
    while True:
        n |= (d[i] & 127) << shift
        shift += 7
        i += 1
        if d[i - 1] < 128:
            return n, i


def positions(blob):
    """[(file id, offset)] of a positions blob; checks what the schema promises of it."""
    d, i = blob, 0
    heads = None
    if blob[0] == 0:
        file, i = varint(blob, 1)
        heads = []
        while file:
            n, i = varint(blob, i)
            heads.append((file, n))
            file, i = varint(blob, i)
        size, i = varint(blob, i)
        d, i = lz4_block(blob[i:], size), 0
    out, last = [], 0
    while i < len(d):
        file, i = varint(d, i)
        n, i = varint(d, i)
        if file <= last or n < 1:
            raise ValueError('segment of file %d behind that of %d, %d records' % (file, last, n))
        last = file
        off, i = varint(d, i)
        out.append((file, off))
        for _ in range(n - 1):
            step, i = varint(d, i)
            if step < 1:
                raise ValueError('offsets do not rise')
            off += step
            out.append((file, off))
    if heads not in (None, sorted(collections.Counter(f for f, _ in out).items())):
        raise ValueError('a compressed blob has %r in front, and something else inside' % heads)
    return out


def all_positions(db):
    """{session: [(file id, offset)]}: those in its row, and those that lie beside, whatever way they are divided."""
    with open_db(db) as c:
        rows = c.execute('SELECT id, flags, positions FROM session').fetchall()
        more = {}
        for sid, file, blob in c.execute('SELECT session, file, positions FROM session_positions ORDER BY id'):
            piece = positions(blob)
            if {f for f, _ in piece} != {file}:
                raise ValueError('positions of session %d in file %d are of others' % (sid, file))
            more.setdefault(sid, []).extend(piece)
    out = {}
    for sid, flags, blob in rows:
        if bool(flags & 8) != (sid in more):
            raise ValueError('session %d: flags %d, and its positions in session_positions' % (sid, flags))
        out[sid] = sorted((positions(blob) if blob else []) + more.pop(sid, []))
    if more:
        raise ValueError('positions of no session: %r' % more)
    return out


def index_files(db):
    """{file id: absolute path as bytes}"""
    folder = os.fsencode(os.path.dirname(os.path.realpath(db)))
    out = {}
    for fid, path, relative in select(db, 'SELECT id, path, relative FROM files'):
        path = path if isinstance(path, bytes) else os.fsencode(path)
        out[fid] = os.path.join(folder, path) if relative else path
    return out


def check_index(db, read=read_capture, ordered_ids=True, gaps=False):
    """
    Is everything that the index says of its captures true? Every record in exactly one session; packets, bytes, times
    of a session are those of its records; IDs in the order of first packets by counted time, and without gaps unless additions may
    have left some (gaps); those of provisional sessions are negative. Of captures that are forgotten the counts, which add up with
    the positions that are left; they are not read. Raises AssertionError.
    """
    import twin

    def fail(text, *values):
        raise AssertionError('index %s: %s' % (db, text % values))

    with open_db(db) as c:
        bad = c.execute('PRAGMA integrity_check').fetchall()
        if bad != [('ok',)]:
            fail('integrity_check: %r', bad[:5])
        bad = c.execute('PRAGMA foreign_key_check').fetchall()
        if bad:
            fail('foreign_key_check: %r', bad[:5])
        rows = c.execute('SELECT id, start_ns, duration_ns, client_packets, server_packets, client_bytes, server_bytes,'
                         ' id FROM session ORDER BY id').fetchall()
        ports = c.execute('SELECT epoch, port, block FROM session_port').fetchall()
        pairs = c.execute('SELECT client_port, server_port, (id - 1) >> 18, (id - 1) >> 6 & 4095 FROM session'
                          ' WHERE client_port IS NOT NULL')
        forgotten = dict(c.execute('SELECT id, forgotten FROM files WHERE forgotten > 0'))
        lost = dict(c.execute('SELECT id, packets FROM session_forgotten'))
        spans = {r[0]: r[1:] for r in c.execute('SELECT * FROM session_span')}
        sums = {}
        for sid, start, duration, cp, sp, cb, sb, _ in rows:
            first = (sid - 1) // 4096 * 4096 + 1
            span = spans.get(first, (None, None))
            if start is not None and not (span[0] is not None and span[0] <= start <= start + duration <= span[1]):
                fail('session %d: its times are not within those of session_span', sid)
            had = sums.get(first, (0, 0))
            sums[first] = had[0] + cp + sp, had[1] + cb + sb
        left = {r[0] for r in c.execute('SELECT id FROM files WHERE forgotten BETWEEN 1 AND records - ignored - 1')}
        for first in [first for first, span in spans.items() if left and span[2:] == (0, 0)]:
            spans[first] = None, None, *sums.setdefault(first, (0, 0))  # goes when that has been finished
        if sums != {first: span[2:] for first, span in spans.items()}:
            fail('session_span does not have the sums of the sessions')
        # of sessions that went, ports stay until all of their span have gone
        pairs = {(r[2], port, r[3]) for r in pairs for port in r[:2]}
        more = {p for p in set(ports) - pairs if not (forgotten or gaps) or (p[0] << 18) + (p[2] >> 6 << 12) + 1 not in spans}
        if pairs - set(ports) or more:
            fail('session_port does not have the ports of the sessions: %r', sorted(more)[:5])
        stats = {r[0]: r[1:] for r in c.execute('SELECT id, records, ignored, first_ns, last_ns FROM files')}
    records, counted = {}, {}
    for fid, path in index_files(db).items():
        if forgotten.get(fid) == stats[fid][0] - stats[fid][1] and fid in forgotten:
            records[fid] = {}
            continue
        recs = read(path)
        records[fid] = {r.off: r for r in recs}
        for r, ns in zip(recs, twin.count([r.ts_ns for r in recs])):
            counted[fid, r.off] = -2 ** 63 if ns is None else ns
        times = [r.ts_ns for r in recs if r.ts_ns is not None]
        want = (len(recs), min(times, default=None), max(times, default=None))
        if (stats[fid][0], stats[fid][2], stats[fid][3]) != want:
            fail('file %d has records, first, last %r, and the index says %r', fid, want, stats[fid])
    seen, before = {}, None
    provisional = sum(r[0] < 0 for r in rows)
    gaps = gaps or bool(forgotten)
    if not forgotten and [r[0] for r in rows[:provisional]] != list(range(-provisional, 0)):
        fail('ids of provisional sessions are not -1..-%d', provisional)
    if not gaps and [r[0] for r in rows[provisional:]] != list(range(1, len(rows) - provisional + 1)):
        fail('ids are not 1..%d', len(rows) - provisional)
    everything = all_positions(db)
    for sid, start, duration, cp, sp, cb, sb, _ in rows:
        pos = everything[sid]
        if len(pos) + lost.get(sid, 0) != cp + sp:
            fail('session %d has %d positions and %d packets, %d are forgotten', sid, len(pos), cp + sp, lost.get(sid, 0))
        mine = []
        for p in pos:
            if p in seen:
                fail('record %r is in sessions %d and %d', p, seen[p], sid)
            seen[p] = sid
            if p[1] not in records.get(p[0], {}):
                fail('session %d: no record starts at %r', sid, p)
            mine.append(records[p[0]][p[1]])
        if lost.pop(sid, 0):
            times = [r.ts_ns for r in mine if r.ts_ns is not None]
            if sum(r.origlen for r in mine) > cb + sb or times and not start <= min(times) <= max(times) <= start + duration:
                fail('session %d: what is left of it does not fit', sid)
            continue
        if sum(r.origlen for r in mine) != cb + sb:
            fail('session %d: bytes %d, records have %d', sid, cb + sb, sum(r.origlen for r in mine))
        times = [r.ts_ns for r in mine if r.ts_ns is not None]
        want = (min(times), max(times) - min(times)) if times else (None, None)
        if (start, duration) != want:
            fail('session %d: start, duration %r; records have %r', sid, (start, duration), want)
        if ordered_ids and sid > 0:
            # the first packet is not the earliest where fragments have waited for it, or were given up 60 s later
            first = min((counted[p], p) for p in pos)
            if before and first < before:
                first = min((f for p in pos for f in ((counted[p], p), (counted[p] + 60 * S, p)) if f >= before), default=None)
            if not first:
                fail('session %d starts before the one in front of it (%r)', sid, before)
            before = first
    if lost:
        fail('session_forgotten has sessions that there are not: %r', sorted(lost)[:5])
    left = collections.Counter(f for f, _ in seen)
    for fid, s in stats.items():
        if left[fid] + s[1] + forgotten.get(fid, 0) != s[0]:
            fail('file %d: %d records, %d in sessions, %d ignored, %d forgotten', fid, s[0], left[fid], s[1], forgotten.get(fid, 0))
    with open_db(db) as c:
        for table in ('interfaces', 'seek_points', 'damage'):
            for (fid,) in c.execute('SELECT DISTINCT file FROM %s' % table):
                if fid in stats and not records[fid] and fid in forgotten:
                    fail('%s of file %d, which is forgotten', table, fid)


def key_of(record):
    return (record.ts_ns or 0, record.caplen, record.origlen, record.data, record.linktype)


def multiset(records):
    return collections.Counter(map(key_of, records))


# ---------------------------------------------------------------- tests

def scratch():
    """Where the tests' files go: TMPDIR, else memory, where fsync() costs nothing, else the usual place."""
    if 'TMPDIR' not in os.environ and os.access('/dev/shm', os.W_OK) and shutil.disk_usage('/dev/shm').free > 1 << 30:
        return '/dev/shm'
    return tempfile.gettempdir()


class TestCase(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='fc-', dir=scratch())
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        return write(self.path(name), data)

    def fcgen(self, name, *options):
        """Captures in the order of time; their names are in another order, and so tell nothing."""
        files = fcgen(self.path(name), *options)
        if len(files) == 1:
            return files
        names = files[:]
        rng('names', name, *options).shuffle(names)
        for f, n in zip(files, names):
            os.rename(f, n + '~')
        for n in names:
            os.rename(n + '~', n)
        return names

    def assert_same_dump(self, a, b, what=''):
        if a != b:
            self.fail('%s: the indexes differ:%s' % (what, first_difference(a, b)))

    def assert_says(self, result, *words):
        for w in words:
            self.assertIn(w.lower(), result.err.lower(), str(result))

    def carved(self, db, *words, ok=0):
        r = flowcarve('carve', '-d', db, '-q', '-w', '-', *words, ok=ok)
        return parse_capture(r.out) if r.out else []

    def assert_carves(self, db, inputs, read=read_capture, ordered=True):
        """Carving everything gives back every record of `inputs`, in time order."""
        want = [r for p in inputs for r in read(p)]
        got = self.carved(db)
        missing, extra = multiset(want) - multiset(got), multiset(got) - multiset(want)
        self.assertFalse(missing or extra, '%d records missing, %d of none of the captures: %r %r' % (
            missing.total(), extra.total(), list(missing)[:2], list(extra)[:2]))
        if ordered:
            for a, b in zip(got, got[1:]):
                self.assertLessEqual(a.ts_ns, b.ts_ns, 'the carve is not in time order')

    def listing(self, *names):
        return sorted(os.listdir(self.path(*names)))


def main(needs_captures=False):
    """Runs the module; exit status 77 when there was nothing it could do."""
    for path in (FLOWCARVE, FCGEN):
        if not os.access(path, os.X_OK):
            print('%s is missing; set FLOWCARVE and FCGEN' % path)
            sys.exit(SKIPPED)
    if needs_captures and not CAPTURES:
        print('FLOWCARVE_CAPTURES is not set')
        sys.exit(SKIPPED)
    program = unittest.main(exit=False)
    r = program.result
    if not r.wasSuccessful():
        print('FLOWCARVE_TEST_SEED=%d' % SEED, file=sys.stderr)
        sys.exit(1)
    sys.exit(SKIPPED if r.testsRun and len(r.skipped) == r.testsRun else 0)
