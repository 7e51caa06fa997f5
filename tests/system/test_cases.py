# SPDX-License-Identifier: MIT
"""Faults that users of peers have met, each with the value that is right. The captures come from generators beside the folder of
real captures; a checkout without them leaves these tests out."""
import json, os, shutil, subprocess, sys, unittest

import support
from support import flowcarve, index, select

CAPTURES = os.environ.get('FLOWCARVE_CAPTURES', '')
CASES = os.path.join(os.path.dirname(os.path.abspath(CAPTURES)), 'cases') if CAPTURES else ''


@unittest.skipUnless(os.path.isdir(CASES), 'no generators beside the folder of real captures')
class Cases(support.TestCase):
    def make(self, name):
        """Runs a generator; the path of what it has made, by name."""
        folder = self.path(name)
        os.makedirs(folder, exist_ok=True)
        subprocess.run([sys.executable, '-B', os.path.join(CASES, name + '.py'), folder], check=True,
                       env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'})
        return lambda part: os.path.join(folder, part)

    def index(self, capture, *words, ok=0):
        """An index of its own."""
        db = capture + '.db'
        index(db, '-q', *words, capture, ok=ok)
        return db

    def carve(self, db, out, *words):
        flowcarve('carve', '-q', '-d', db, '-w', out, *words)
        return support.read_bytes(out)

    def relative(self, path):
        """As an index in the folder of the test has it."""
        return os.path.relpath(path, self.folder)

    def tshark(self, path, *fields):
        words = [w for f in fields for w in ('-e', f)]
        return support.run(support.tool('tshark'), '-r', path, '-T', 'fields', *words).text.split()

    def test_rotated_and_archived(self):
        at = self.make('archived_or_rotated_counts_twice')
        db, folder = self.path('rotated.db'), at('rot')
        index(db, '-q', folder)
        os.rename(at('rot/cap.pcap'), at('rot/cap.pcap.1'))
        shutil.copy(at('other.pcap'), at('rot/cap.pcap'))
        index(db, '-q', folder)
        self.assertEqual(select(db, 'SELECT path, records FROM files ORDER BY id'),
                         [(self.relative(at('rot/cap.pcap.1')), 13), (self.relative(at('rot/cap.pcap')), 5)])
        self.assertEqual(select(db, 'SELECT count(*), max(client_packets + server_packets) FROM session'), [(18, 1)])

        db, folder = self.path('archived.db'), at('arc')
        index(db, '-q', folder)
        plain = support.read_bytes(at('arc/cap.pcap'))
        subprocess.run(['gzip', at('arc/cap.pcap')], check=True)
        index(db, '-q', folder)
        self.assertEqual(select(db, 'SELECT path, records FROM files'), [(self.relative(at('arc/cap.pcap.gz')), 13)])
        self.assertEqual(select(db, 'SELECT count(*), max(client_packets + server_packets) FROM session'), [(13, 1)])
        self.assertEqual(self.carve(db, self.path('one.pcap'), '-i', 1), plain[:24 + 16 + 54])

    def test_headers_in_the_order_of_the_capturing_host(self):
        at = self.make('carve_big_endian_pseudo_header')
        for name in ('usb.pcap', 'nflog.pcap'):
            self.assertEqual(self.carve(self.index(at(name)), at(name + '.out')), support.read_bytes(at(name)))
            self.carve(at(name) + '.db', at(name + '.ng'), '-f', 'pcapng')
        for out in ('usb.pcap.out', 'usb.pcap.ng'):
            self.assertEqual(self.tshark(at(out), 'usb.urb_id', 'usb.bus_id'), ['0x1122334455667788', '513'])

    def test_length_of_the_fcs(self):
        f = self.make('carve_drops_fcs_bits')('fcs.pcap')
        self.assertEqual(self.carve(self.index(f), f + '.out'), support.read_bytes(f))

    def test_an_interface_that_is_not_carved(self):
        f = self.make('carve_pcap_refused_for_unused_interface')('two.pcapng')
        db = self.index(f)
        for words in (('-f', 'pcap'), ()):
            out = self.carve(db, f + '.out', '-i', 1, *words)
            self.assertEqual((out[:4].hex(), out[20]), ('d4c3b2a1', 1))

    def test_filter_on_loopback_of_other_systems(self):
        at = self.make('filter_loopback_families')
        for name in ('mac', 'fbsd', 'obsd', 'loop', 'enc'):
            with self.subTest(name):
                db = self.index(at(name + '.pcap'), '--filter', 'tcp')
                self.assertEqual(select(db, 'SELECT records, ignored FROM files'), [(2, 0)])

    def test_a_link_type_that_the_filter_cannot_work_on(self):
        at = self.make('filter_one_link_type_stops_all')
        r = index(self.path('day.db'), '-q', '--filter', 'tcp', at('day'), ok=(0, 2))
        self.assertEqual(select(self.path('day.db'), "SELECT sum(records) - sum(ignored) FROM files WHERE path LIKE '%a.pcap'"), [(1,)])
        self.assertIn('nl.pcap', r.err)

    def test_payload_is_bounded_by_what_carries_it(self):
        at = self.make('payload_not_bounded_by_what_carries_it')
        for name, want in (('short.pcap', 0), ('vxfrag.pcap', 100)):
            db = self.index(at(name), '--fields', 'payload')
            rows = [json.loads(line) for line in flowcarve('query', '-d', db, '-f', 'json').text.splitlines()]
            self.assertEqual(sum(r['client_payload'] for r in rows), want)

    def test_variants_under_the_same_magic(self):
        f = self.make('pcap_variants_same_magic')('nokia.pcap')
        r = index(f + '.db', '-q', f, ok=(0, 2))
        if r.rc == 0:
            self.assertEqual(select(f + '.db', 'SELECT records, lost_bytes FROM files'), [(4, 0)])
        else:
            self.assertIn('variant', r.err)
            self.assertFalse(os.path.exists(f + '.db'))

    def test_pktap_under_the_number_of_a_user(self):
        f = self.make('pktap_as_user2')('user2.pcap')
        db = self.index(f)
        self.assertEqual(flowcarve('query', '-c', '-d', db, 'tcp and host 10.0.0.1 and port 1000 and host 10.0.0.2 and port 80').text, '1\n')

    def test_tcp_seen_from_one_side(self):
        at = self.make('profile_zeek_one_sided_midstream')
        for name, words, most in (('zp.pcap', ('--profile', 'zeek'), 1), ('zs.pcap', ('--profile', 'zeek'), 2), ('gap.pcap', (), 1)):
            with self.subTest(name):
                db = self.index(at(name), *words)
                self.assertLessEqual(int(flowcarve('query', '-c', '-d', db).text), most)

    def test_captures_of_others(self):
        """Odd, and whole: each record is there, as tshark has it."""
        for name in ('caplen-over-origlen-alternating.pcap', 'gre-3gpp2-a10.pcap', 'sll-801-ethertype.pcap', 'wild-seconds.pcap'):
            with self.subTest(name):
                f = self.path(name)
                shutil.copy(os.path.join(CASES, name), f)
                db = self.index(f)
                frames = self.tshark(f, 'frame.number')
                self.assertEqual(select(db, 'SELECT records, lost_bytes FROM files'), [(len(frames), 0)])
        db = self.path('sll-801-ethertype.pcap.db')
        self.assertEqual(flowcarve('query', '-c', '-d', db, 'ip or ip6').text, flowcarve('query', '-c', '-d', db).text)


if __name__ == '__main__':
    support.main()
