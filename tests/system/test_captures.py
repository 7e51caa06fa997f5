# SPDX-License-Identifier: MIT
"""Real captures: every one is indexed, balances, comes back byte for byte, and has the sessions that tshark sees.

The second opinions are offsets.py (records) and the stored answers of tshark (streams) of FLOWCARVE_ORACLE. What is
known to differ stands in exceptions.tsv, each with its reason; an exception that is not needed any more is a failure.
"""
import csv, importlib.util, io, os, sys, tarfile, unittest

import support
from support import flowcarve, index, select

EXCEPTIONS = {}
with open(os.path.join(support.HERE, 'exceptions.tsv'), newline='') as _f:
    for _row in csv.DictReader(_f, delimiter='\t'):
        EXCEPTIONS[_row['file'], _row['what']] = _row['reason']
LINK, MALFORMED = 0x30000, 0x50000


def oracle_reader():
    spec = importlib.util.spec_from_file_location('offsets', os.path.join(support.ORACLE, 'offsets.py'))
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


class Captures(support.TestCase):
    @classmethod
    def setUpClass(cls):
        if not support.CAPTURES or not support.ORACLE:
            raise unittest.SkipTest('FLOWCARVE_CAPTURES and FLOWCARVE_ORACLE are not both set')
        cls.manifest = support.read_truth(os.path.join(support.CAPTURES, 'MANIFEST.tsv'))
        cls.offsets = oracle_reader()
        cls.expected = {}
        with tarfile.open(os.path.join(support.ORACLE, 'expected.tar.xz')) as tar:
            for member in tar:
                if member.name.endswith('.pkt'):
                    cls.expected[os.path.basename(member.name)[:-4]] = tar.extractfile(member).read().decode(
                        'utf-8', 'replace')

    def read(self, path):
        """Records by the oracle, those in front of damage."""
        data, info = support.uncompressed(support.read_bytes(path)), self.offsets.Info()
        return [support.Record(ro, ts, cl, ol, data[do:do + cl], lt)
                for ro, do, cl, ol, ts, lt, _, _ in self.offsets.packets(data, info)]

    def excused(self, row, what, problem):
        """Reports a problem unless it is a known one; what is excused must be a problem still."""
        reason = EXCEPTIONS.get((row['path'], what))
        if problem and not reason:
            self.fail('%s: %s: %s' % (row['path'], what, problem))
        if reason and not problem:
            self.fail('%s: %s: the exception is not needed any more (%s)' % (row['path'], what, reason))

    def each(self, check):
        """Calls check(row, path, database) for every capture; the sum of what it returns."""
        total = 0
        for n, row in enumerate(self.manifest):
            with self.subTest(row['path']):
                total += check(row, os.path.join(support.CAPTURES, row['path']), self.path('%d.db' % n))
        return total

    def indexed(self, row, path, db, *options):
        """Indexes one; False when it is refused and should be."""
        r = index(db, '--jobs', '2', '--chunk-size', '64k', *options, path, ok=(0, 2))
        if 'f:notpcap' in row['features']:
            self.assertEqual(r.rc, 2, 'should be refused')
            self.assert_says(r, os.path.basename(path))
            self.assertFalse(os.path.exists(db))
            return False
        if r.rc == 2 and row['status'] in ('bad-linktype', 'bad-version') and row['packets'] == '0':
            self.assert_says(r, os.path.basename(path), 'not a capture')  # a head that promises something else
            return False
        self.assertEqual(r.rc, 0, str(r))
        return True

    def test_records_balance_and_come_back(self):
        self.assertGreater(self.each(self.check_records), len(self.manifest) // 2)

    def check_records(self, row, path, db):
        if not self.indexed(row, path, db, '--fields', 'all'):
            return 0
        (records, size, parts, damaged), = select(  # a cut end is pending: more of it may come
            db, 'SELECT records, stream_size, header_bytes + record_bytes + other_bytes + lost_bytes + pending_bytes,'
                ' damaged OR pending_bytes FROM files')
        self.assertEqual(size, parts)
        self.excused(row, 'damage', self.problem(self.assertEqual, damaged != 0, row['status'] != 'ok', row['status']))
        self.excused(row, 'verify', self.problem(support.verify, db))
        if damaged:  # where others stop
            self.excused(row, 'records', self.problem(self.assertGreaterEqual, records, int(row['packets'])))
            return 1
        self.assertEqual(records, int(row['packets']))
        self.excused(row, 'index', self.problem(support.check_index, db, read=self.read, ordered_ids=False))
        if self.read(path):
            self.excused(row, 'carve', self.problem(self.assert_carves, db, [path], read=self.read, ordered=False))
        return 1

    def problem(self, call, *args, **kw):
        try:
            call(*args, **kw)
        except AssertionError as e:
            return str(e)

    def test_sessions_are_the_streams_of_tshark(self):
        self.assertGreater(self.each(self.check_streams), 10000, 'packets compared')

    def check_streams(self, row, path, db):
        if not self.indexed(row, path, db, '-q', '--profile', 'wireshark'):
            return 0
        rows = list(csv.DictReader(io.StringIO(self.expected[row['path'].replace('/', '__')]), delimiter='\t',
                                   quoting=csv.QUOTE_NONE))
        offs = [r.off for r in self.read(path)]
        if len(rows) > len(offs):
            self.excused(row, 'frames', '%d frames, %d records' % (len(rows), len(offs)))
            return 0
        protos = dict(select(db, 'SELECT id, proto FROM session'))
        session = {off: (sid, protos[sid]) for sid, p in support.all_positions(db).items() for _, off in p}
        problem, n = self.partition(rows, offs, session, bool(select(
            db, 'SELECT 1 FROM files WHERE damaged OR pending_bytes')))
        self.excused(row, 'streams', problem)
        return n

    def partition(self, rows, offs, session, hurt):
        """The packets that tshark puts into one stream are those of one session, and the other way round."""
        of_stream, of_session, n = {}, {}, 0
        for row, off in zip(rows, offs):
            if hurt and off not in session:
                continue  # its bytes were found to be those of other records
            sid, proto = session[off]
            if LINK <= proto < LINK + 0x10000:
                continue  # no decoder for this link type
            if row['depth'] != '1' or row['outer_frag'] not in '-A':
                continue  # tunnels are not decoded yet; fragments are no part of a stream for tshark
            if 'badip' in row['notes']:
                continue  # tshark found no IP header where the layer below says one is, and looked elsewhere
            stream = 'tcp ' + row['tcp_stream'] if row['tcp_stream'] != '-' else 'udp ' + row['udp_stream']
            if stream == 'udp -':
                continue
            n += 1
            if of_stream.setdefault(stream, sid) != sid:
                return 'frame %s: %s is in session %d, and before in %d' % (row['frame'], stream, sid, of_stream[stream]), n
            if of_session.setdefault(sid, stream) != stream:
                return 'frame %s: session %d has %s, and before %s' % (row['frame'], sid, stream, of_session[sid]), n
            want = 6 if stream[0] == 't' else 17
            if proto != want and (proto, want) != (136, 17):
                return 'frame %s: proto %d, tshark says %s' % (row['frame'], proto, stream), n
        return None, n

    def test_all_captures_in_one_index(self):
        """Hundreds of captures of all formats, link types and defects in one run, and again with other settings."""
        first = None
        for jobs, chunk in (('1', '16M'), ('2', '64k'), ('8', '100001')):
            db = self.path(jobs + '.db')
            index(db, '-q', '--jobs', jobs, '--chunk-size', chunk, support.CAPTURES)
            text = support.dump(db)
            first = first or text
            self.assert_same_dump(first, text, jobs)
        counted = {os.path.basename(support.index_files(db)[fid]): n for fid, n, damaged in select(
            db, 'SELECT id, records, damaged FROM files') if not damaged}
        for r in self.manifest:
            name = os.path.basename(os.fsencode(r['path']))
            if name in counted and sum(os.path.basename(o['path']) == os.path.basename(r['path']) for o in self.manifest) == 1:
                self.assertEqual(counted[name], int(r['packets']), name)
        (want, size, parts), = select(db, 'SELECT sum(records), sum(stream_size), sum(header_bytes + record_bytes + '
                                          'other_bytes + lost_bytes + pending_bytes) FROM files')
        self.assertEqual(size, parts)
        support.verify(db)
        flowcarve('carve', '-d', db, '-q', '-w', self.path('all.pcapng'))
        got = support.read_capture(self.path('all.pcapng'))
        self.assertEqual(len(got), want)


if __name__ == '__main__':
    support.main(needs_captures=True)
