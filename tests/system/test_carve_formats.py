# SPDX-License-Identifier: MIT
"""Carving: what captures say of their packets beside the bytes comes along, as far as the output can hold it."""
import os, struct, unittest

import support
from support import S, T0, block, epb, flowcarve, idb, index, option, pcap_bytes, read_bytes, shb, tcp, udp

US = T0 // 1000
PCAP_LE, PCAP_BE, PCAPNG = b'\xd4\xc3\xb2\xa1', b'\xa1\xb2\xc3\xd4', b'\x0a\x0d\x0d\x0a'
FCS_4 = 0x24000000  # in the link type field: there is one, of two words


def usb(e, bus=513, urb=0x1122334455667788):
    return struct.pack(e + 'QBBBBHBBqiiII', urb, ord('S'), 2, 0x81, 3, bus, 0, 60, T0 // S, 5, -115, 18, 4) + bytes(8) + b'DATA'


def nflog(e, port=1000):
    tlv = lambda t, v: struct.pack(e + 'HH', 4 + len(v), t) + v + bytes(-len(v) % 4)
    return struct.pack('>BBH', 2, 0, 5) + tlv(1, struct.pack('>HBB', 0x800, 0, 0)) + tlv(10, b'pfx\0') + tlv(
        9, udp('10.0.0.1', port, '10.0.0.2', 53)[14:])


def can(e, ident=0x123):
    return struct.pack('>HHHQH', 1, 280, 0, 0, 0x0c) + struct.pack(e + 'I', ident) + b'\4\0\0\0' + b'abcd' + bytes(4)


def spb(e, data):
    return block(e, 3, struct.pack(e + 'I', len(data)) + data)


def isb(e, iface, dropped):
    """Statistics of an interface, with the packets that it dropped."""
    return block(e, ISB, struct.pack(e + 'III', iface, US >> 32, US & 0xffffffff) + option(
        e, 5, struct.pack(e + 'Q', dropped)) + option(e, 0, b''))


def blocks(d):
    """[(byte order, type, block)]"""
    out, o, e = [], 0, '<'
    while o < len(d):
        if d[o:o + 4] == PCAPNG:
            e = '>' if d[o + 8:o + 12] == b'\x1a\x2b\x3c\x4d' else '<'
        t, n = struct.unpack_from(e + 'II', d, o)
        out.append((e, t, d[o:o + n]))
        o += n
    return out


def types(d):
    return [t for _, t, _ in blocks(d)]


SHB, IDB, SPB, NRB, ISB, EPB, DSB = 0x0a0d0d0a, 1, 3, 4, 5, 6, 10


class CarveFormats(support.TestCase):
    def carve(self, files, *words, ok=0):
        """What carving from an index of `files` writes."""
        db = self.path('x.db')
        if os.path.exists(db):
            os.remove(db)
        index(db, '-q', *files)
        self.out = self.path('out.cap')
        if os.path.exists(self.out):
            os.remove(self.out)
        self.said = flowcarve('carve', '-d', db, '-q', '-w', self.out, *words, ok=ok)
        return read_bytes(self.out) if ok == 0 else None

    def fields(self, path, *names):
        """What tshark sees."""
        words = [w for n in names for w in ('-e', n)]
        return support.run(support.tool('tshark'), '-n', '-r', path, '-T', 'fields', *words).text.splitlines()

    # ---- byte order

    def test_headers_in_the_order_of_the_capturing_host(self):
        """USB, NFLOG, NULL and CAN: a reader swaps them by the order of the file."""
        null = lambda e: struct.pack(e + 'I', 2) + udp('10.0.0.1', 1, '10.0.0.2', 2)[14:]
        for name, link, make in (('usb', 189, usb), ('mmapped', 220, lambda e: usb(e) + bytes(16)), ('nflog', 239, nflog),
                                 ('null', 0, null), ('can', 113, can)):
            for e in '<>':
                with self.subTest(name, order=e):
                    f = self.write('%s.pcap' % name, pcap_bytes([(T0, make(e)), (T0 + S, make(e))], link, e))
                    self.assertEqual(self.carve([f]), read_bytes(f))
                    out = self.carve([f], '-f', 'pcapng')
                    self.assertEqual([e] * len(blocks(out)), [b[0] for b in blocks(out)])
                    g = self.write('%s.pcapng' % name, support.pcapng_bytes([(T0, make(e)), (T0 + S, make(e))], link, e))
                    self.assertEqual(self.carve([g], '-f', 'pcapng'), read_bytes(g))
                    self.assertEqual(self.carve([g])[24:], read_bytes(f)[24:])

    def test_other_programs_see_these_headers_as_in_the_source(self):
        f = self.write('usb.pcap', pcap_bytes([(T0, usb('>'))], 189, '>'))
        for words in ((), ('-f', 'pcapng')):
            self.carve([f], *words)
            self.assertEqual(self.fields(self.out, 'usb.urb_id', 'usb.bus_id'), ['0x1122334455667788\t513'])
        tcpdump = support.tool('tcpdump')
        for e in '<>':
            f = self.write('nflog.pcap', pcap_bytes([(T0, nflog(e))], 239, e))
            want = support.run(tcpdump, '-nr', f).text
            self.assertIn('10.0.0.1.1000 > 10.0.0.2.53', want)
            for words in ((), ('-f', 'pcapng')):
                self.carve([f], *words)
                self.assertEqual(support.run(tcpdump, '-nr', self.out).text, want)

    def test_both_orders_together(self):
        files = [self.write('%d.pcap' % i, pcap_bytes([(T0 + (2 * k + i) * S, usb(e, bus=2 * k + i)) for k in range(3)], 189, e))
                 for i, e in enumerate('<>')]
        out = self.carve(files)
        self.assertEqual(out[:4], PCAPNG)
        self.assertEqual(types(out).count(SHB), 6, 'a section for each change of order')
        self.assertEqual(self.fields(self.out, 'usb.bus_id'), list('012345'))
        self.carve(files, '-f', 'pcap', ok=2)
        self.assert_says(self.said, 'byte order', '189', 'pcapng')
        self.assertNotIn('out.cap', self.listing())

    def test_the_order_of_other_link_types_changes_nothing(self):
        a = self.write('a.pcap', pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2))]))
        b = self.write('b.pcap', pcap_bytes([(T0 + S, udp('10.0.0.1', 1, '10.0.0.2', 2))], e='>'))
        self.assertEqual(self.carve([b]), read_bytes(b))
        self.assertEqual(self.carve([a, b])[:4], PCAP_LE)
        self.assertEqual(types(self.carve([a, b], '-f', 'pcapng')), [SHB, IDB, EPB, IDB, EPB])
        # one of a link type of which the order matters decides; so do blocks of a pcapng, whose options have numbers
        c = self.write('c.pcap', pcap_bytes([(T0, usb('>'))], 189, '>'))
        self.assertEqual([e for e, t, _ in blocks(self.carve([c, b])) if t == EPB], ['>', '>'])
        d = self.write('d.pcapng', support.pcapng_bytes([(T0 + 2 * S, tcp('10.0.0.1', 1, '10.0.0.2', 2, 'S'))], e='>'))
        self.assertEqual([e for e, t, _ in blocks(self.carve([a, d], '-f', 'pcapng')) if t == EPB], ['<', '>'])

    # ---- frame check sequences

    def test_length_of_the_frame_check_sequence(self):
        data = tcp('10.0.0.1', 1000, '10.0.0.2', 80, 'S') + b'\xde\xad\xbe\xef'
        f = self.write('f.pcap', pcap_bytes([(T0, data)], 1 | FCS_4))
        self.assertEqual(self.carve([f]), read_bytes(f))
        self.carve([f], '-f', 'pcapng')
        self.assertEqual(self.fields(self.out, 'eth.fcs'), ['0xdeadbeef'])
        for said in (4, 32):  # bytes, as some write, or bits
            g = self.write('g.pcapng', shb() + idb(options=option('<', 13, bytes([said]))) + epb('<', 0, US, data))
            self.assertEqual(self.fields(g, 'eth.fcs'), ['0xdeadbeef'])
            self.assertEqual(self.carve([g]), pcap_bytes([(T0, data)], 1 | FCS_4))

    def test_captures_that_differ_in_the_frame_check_sequence(self):
        files = [self.write('%d.pcap' % i, pcap_bytes([(T0 + i * S, tcp('10.0.0.1', i, '10.0.0.2', 80, 'S') + more)], link))
                 for i, (link, more) in enumerate(((1, b''), (1 | FCS_4, b'\xde\xad\xbe\xef')))]
        self.assertEqual(self.carve(files)[:4], PCAPNG)
        self.assertEqual(self.fields(self.out, 'eth.fcs'), ['', '0xdeadbeef'])
        self.assertEqual(struct.unpack_from('<I', self.carve(files, '-f', 'pcap'), 20), (1,))
        self.assertEqual(struct.unpack_from('<I', self.carve(files, '-i', '2'), 20), (1 | FCS_4,))

    # ---- the format follows the packets that are carved

    def test_interfaces_that_no_carved_packet_uses(self):
        used = idb()
        for what, other in (('link type', idb(linktype=101)), ('nanoseconds', idb(options=option('<', 9, b'\x09'))),
                            ('snaplen', idb(snaplen=500000)), ('frame check sequence', idb(options=option('<', 13, b'\x20')))):
            for late in (False, True):
                with self.subTest(what, late=late):
                    packets = epb('<', 0, US, udp('10.0.0.1', 1, '10.0.0.2', 2, b'x')), epb('<', 1, T0 + 1 if what == 'nanoseconds' else US + 1, udp(
                        '10.0.0.1', 3, '10.0.0.2', 4, b'y')[14 if what == 'link type' else 0:])
                    f = self.write('two.pcapng', shb() + (used + packets[0] + other + packets[1] if late else
                                                          used + other + b''.join(packets)))
                    want = pcap_bytes([(T0, udp('10.0.0.1', 1, '10.0.0.2', 2, b'x'))])
                    for words in ((), ('-f', 'pcap')):
                        self.assertEqual(self.carve([f], '-i', '1', *words), want)
                    out = self.carve([f])
                    if what == 'nanoseconds':
                        self.assertEqual(out[:4], b'\x4d\x3c\xb2\xa1')
                    elif what == 'snaplen':
                        self.assertEqual(out[:4], PCAP_LE)
                    else:
                        self.assertEqual(out[:4], PCAPNG)
                    if what == 'link type':
                        self.carve([f], '-f', 'pcap', ok=2)
                        self.assert_says(self.said, 'link types', 'pcapng')

    def test_sections_that_no_carved_packet_is_in(self):
        a, b = udp('10.0.0.1', 1, '10.0.0.2', 2, b'x'), udp('10.0.0.1', 3, '10.0.0.2', 4, b'y')
        f = self.write('s.pcapng', support.pcapng_bytes([(T0, a)]) + support.pcapng_bytes([(T0 + S, b[14:])], 101, '>'))
        self.assertEqual(self.carve([f], '-i', '1'), pcap_bytes([(T0, a)]))
        self.assertEqual(self.carve([f])[:4], PCAPNG)
        g = self.write('c.pcap', pcap_bytes([(T0, a)], 1 | FCS_4) + pcap_bytes([(T0 + S, b[14:])], 101))
        self.assertEqual(self.carve([g], '-i', '1'), pcap_bytes([(T0, a)], 1 | FCS_4))

    # ---- pcapng

    def full(self, e, comment=b'of the section'):
        """A capture with all that may be said in one."""
        text = lambda code, value: option(e, code, value)
        end = text(0, b'')
        shb_ = block(e, SHB, struct.pack(e + 'IHHq', 0x1a2b3c4d, 1, 0, -1) + text(1, comment) + text(2, b'x86') + text(
            3, b'Linux 6.1') + text(4, b'dumpcap') + end)
        eth0 = idb(e, 1, text(2, b'eth0') + text(3, b'uplink') + text(9, b'\x09') + text(11, b'\0tcp port 80') + text(
            13, b'\x20') + text(14, struct.pack(e + 'q', 1000)), 96)
        eth1 = idb(e, 1, text(2, b'eth1') + text(9, b'\x8a'), 65535)
        nrb = block(e, NRB, struct.pack(e + 'HH', 1, 13) + support.ip4('10.0.0.1') + b'client.x\0' + bytes(3) + bytes(4))
        dsb = block(e, DSB, struct.pack(e + 'II', 0x544c534b, 4) + b'KEYS')
        data = [tcp('10.0.0.1', 1000, '10.0.0.2', 80, f, data=b'abc') for f in ('S', 'PA', 'FA')]
        return shb_ + dsb + eth0 + eth1 + nrb + spb(e, data[0]) + epb(e, 0, T0, data[0], options=text(
            1, b'of a packet') + text(2, struct.pack(e + 'I', 2)) + text(4, struct.pack(e + 'Q', 77)) + end) + epb(
            e, 1, (T0 // S + 1000 << 10) + 1, data[1], 2000, options=text(1, b'first') + text(1, b'second') + text(5, bytes(8)) + end) + epb(
            e, 0, T0 + S, data[2]) + isb(e, 0, 4711) + isb(e, 1, 0)

    def test_comments_on_first_packets(self):
        """tshark finds them; without them the packets are what they are without the option."""
        other = [tcp('10.0.0.9', 1000, '10.0.0.2', 80, f, data=b'xyz') for f in ('S', 'PA')]
        for e in '<>':
            f = self.write('full.pcapng', self.full(e))
            g = self.write('plain.pcap', pcap_bytes([(T0 + (n - 1) * S // 2, p) for n, p in enumerate(other)], e=e))
            obsolete = self.write('old.pcapng', shb(e) + idb(e, 1) + block(e, 2, struct.pack(
                e + 'HHIIII', 0, 3, T0 // 1000 >> 32, T0 // 1000 & 0xffffffff, 60, 60) + udp('10.0.0.7', 5, '10.0.0.8', 6, b'q' * 18)))
            self.carve([f, g, obsolete], '-f', 'pcapng')
            names = ('frame.time_epoch', 'frame.interface_name', 'frame.cap_len', 'frame.len', 'ip.src', 'tcp.flags', 'frame.comment')
            want, before = zip(*(line.rsplit('\t', 1) for line in self.fields(self.out, *names)))
            self.carve([f, g, obsolete], '--comments')
            self.assertEqual(read_bytes(self.out)[:4], PCAPNG)
            rest, found = zip(*(line.rsplit('\t', 1) for line in self.fields(self.out, *names)))
            self.assertEqual(rest, want)
            told = [c for c in found if 'session' in c]
            self.assertEqual(len(told), 3)
            for path, sources, number in ((g, '10.0.0.9', 1), (obsolete, '10.0.0.7', 1), (f, '10.0.0.1', 2)):
                at = [n for n, c in enumerate(found) if '%s, record %d' % (path, number) in c]
                self.assertEqual(len(at), 1, (path, found))
                self.assertIn(sources, rest[at[0]].split('\t')[4])
            self.assertEqual(sum('of a packet' in c for c in before), 1)
            self.assertIn('of a packet', [c for c in found if f in c][0])
        for words in (('--split', 'x'), ('-f', 'pcap', '-w', 'y')):
            self.assert_says(flowcarve('carve', '--comments', *words, ok=2), '--comments are those of one pcapng')

    def test_all_that_a_pcapng_says(self):
        for e in '<>':
            with self.subTest(e):
                f = self.write('full.pcapng', self.full(e))
                self.carve([f], '-f', 'pcapng')
                order = lambda d: sorted(b for _, t, b in blocks(d))  # interfaces may be described later, before their first packet
                self.assertEqual(order(read_bytes(self.out)), order(read_bytes(f)))
                names = ('frame.time_epoch', 'frame.interface_name', 'frame.interface_description', 'frame.comment',
                         'frame.packet_flags_direction', 'frame.cap_len', 'frame.len', 'ip.src')
                self.assertEqual(self.fields(self.out, *names), self.fields(f, *names))
                self.assertIn('of a packet', ''.join(self.fields(self.out, 'frame.comment')))
                said = support.run(support.tool('capinfos'), '-I', self.out).text
                for words in ('eth0', 'uplink', 'tcp port 80'):
                    self.assertIn(words, said)

    def test_a_compressed_pcapng_says_the_same(self):
        f = self.write('full.pcapng', self.full('<'))
        want = self.carve([f], '-f', 'pcapng')
        support.run(support.tool('gzip'), f)
        self.assertEqual(blocks(self.carve([f + '.gz'], '-f', 'pcapng')), [b for b in blocks(want) if b[1] != ISB])

    def test_statistics_of_interfaces(self):
        packet = lambda i: epb('<', i, US + i, udp('10.0.0.1', i, '10.0.0.2', 2))
        eth = [idb(options=option('<', 2, b'eth%d' % i)) for i in range(2)]
        head = shb() + eth[0] + eth[1]
        tail = isb('<', 0, 17) + isb('<', 1, 18) + isb('<', 7, 19)
        f = self.write('a.pcapng', head + packet(0) + packet(1) + tail + head + packet(1) + tail)
        first = shb() + eth[0] + packet(0) + eth[1]
        self.assertEqual(self.carve([f], '-f', 'pcapng'), first + packet(1) * 2 + (isb('<', 0, 17) + isb('<', 1, 18)) * 2)
        self.assertEqual(self.carve([f], '-i', '2', '-f', 'pcapng'), shb() + eth[1] + (epb(
            '<', 0, US + 1, udp('10.0.0.1', 1, '10.0.0.2', 2))) * 2 + isb('<', 0, 18) * 2)
        for i, cut in enumerate((tail[:-1], tail + b'\xff' * 30, tail[:-4] + struct.pack('<I', 1 << 31))):
            g = self.write('%d.pcapng' % i, head + packet(0) + cut)
            self.assertIn(packet(0), self.carve([g], '-f', 'pcapng'), 'what stands there is none')

    def test_heads_of_sections_of_both_orders(self):
        """Their packets are put in order of time before the first one is written."""
        later = self.full('>').replace(b'KEYS', b'KEY2').replace(b'client.x', b'client.y')
        f = self.write('both.pcapng', later + self.full('<'))
        out = self.carve([f], '-f', 'pcapng')
        for e, key in (('<', b'KEYS'), ('>', b'KEY2')):
            self.assertIn((e, DSB, block(e, DSB, struct.pack(e + 'II', 0x544c534b, 4) + key)), blocks(out))
        self.assertEqual(support.multiset(support.parse_capture(out)), support.multiset(support.read_capture(f)))

    def test_captures_of_one_interface_are_of_one_interface(self):
        packet = lambda i: epb('<', 0, US + i, udp('10.0.0.1', 1, '10.0.0.2', 2))
        eth0, eth1 = (idb(options=option('<', 2, n)) for n in (b'eth0', b'eth1'))
        head = lambda text: block('<', SHB, struct.pack('<IHHq', 0x1a2b3c4d, 1, 0, -1) + option('<', 1, text) + option(
            '<', 3, b'Linux') + option('<', 0, b''))
        files = [self.write('%d.pcapng' % i, head(text) + iface + packet(2 * i) + packet(2 * i + 3))
                 for i, (text, iface) in enumerate(((b'one', eth0), (b'two', eth0), (b'two', eth1)))]
        out = self.carve(files, '-f', 'pcapng')
        self.assertEqual(types(out), [SHB, IDB, EPB, EPB, EPB, IDB, EPB, EPB, EPB])
        self.assertEqual(self.fields(self.out, 'frame.interface_name'), ['eth0'] * 3 + ['eth1', 'eth0', 'eth1'])
        self.assertEqual(blocks(out)[0][2], block('<', SHB, struct.pack('<IHHq', 0x1a2b3c4d, 1, 0, -1) + option(
            '<', 1, b'one') + option('<', 1, b'two') + option('<', 3, b'Linux') + option('<', 0, b'')))
        # what the packets were captured with is said when it holds for all
        other = self.write('3.pcapng', shb() + eth0 + packet(9))
        self.assertNotIn(b'Linux', self.carve([files[0], other], '-f', 'pcapng'))

    def test_times_that_nanoseconds_do_not_hold(self):
        d = [udp('10.0.0.1', 1, '10.0.0.2', 2, bytes(i)) for i in range(3)]
        for resol, ticks in ((12, (10**18 + 1, 10**18 + 2, 10**18 + 999)), (6, (US, 2**64 - 2, 2**64 - 1)), (0xc0, (1, 2, 3))):
            with self.subTest(resol):
                f = self.write('t.pcapng', shb() + idb(options=option('<', 9, bytes([resol]))) + b''.join(
                    epb('<', 0, t, x) for t, x in zip(ticks, d)))
                self.assertEqual(self.carve([f], '-f', 'pcapng'), read_bytes(f))
                if resol == 6:
                    self.assertEqual(self.carve([f]), read_bytes(f), 'a pcap cannot hold these')
                r = index(self.path('told.db'), f)
                self.assertEqual('t.pcapng: has times outside of 1677 to 2262' in r.err, resol == 6, r)
                os.remove(self.path('told.db'))

    def test_packets_without_a_time(self):
        d = [udp('10.0.0.1', i, '10.0.0.2', 2, bytes(i)) for i in range(4)]
        f = self.write('n.pcapng', shb() + idb() + spb('<', d[0]) + spb('<', d[1]))
        self.assertEqual(self.carve([f]), read_bytes(f))
        self.assertEqual(self.fields(self.out, 'frame.time_epoch'), self.fields(f, 'frame.time_epoch'))
        self.assertEqual(self.carve([f], '-f', 'pcap'), pcap_bytes([(0, d[0]), (0, d[1])]), 'there is no other way')
        # they are of the first interface: where another one is, a section begins
        g = self.write('g.pcapng', shb() + idb() + idb(linktype=101) + epb('<', 1, US, d[2][14:]) + spb('<', d[3]) + epb(
            '<', 1, US + 1, d[2][14:]) + spb('<', d[3]))
        out = self.carve([g])
        got = support.parse_capture(out)
        self.assertEqual(support.multiset(got), support.multiset(support.read_capture(g)))
        self.assertEqual(types(out).count(SHB), 2)

    def test_obsolete_packet_blocks(self):
        data = udp('10.0.0.1', 1, '10.0.0.2', 2, b'abc')
        pb = lambda e, drops, options=b'': block(e, 2, struct.pack(e + 'HHIIII', 0, drops, US >> 32, US & 0xffffffff, len(
            data), 99) + data + bytes(-len(data) % 4) + options)
        for e in '<>':
            count = option(e, 4, struct.pack(e + 'Q', 513))
            flags = option(e, 2, struct.pack(e + 'I', 1)) + option(e, 0, b'')
            f = self.write('p.pcapng', shb(e) + idb(e) + pb(e, 513) + pb(e, 0xffff) + pb(e, 0) + pb(e, 513, flags))
            self.assertEqual(self.carve([f], '-f', 'pcapng'), shb(e) + idb(e) + b''.join(
                epb(e, 0, US, data, 99, options=o) for o in (count + option(e, 0, b''), b'', b'', count + flags)))

    def test_a_description_that_has_changed(self):
        """The fingerprint does not see it: between its samples."""
        data = [udp('10.0.0.1', i, '10.0.0.2', 2, bytes(1000)) for i in range(20)]
        eth0 = idb(options=option('<', 2, b'eth0'))
        first = support.pcapng_bytes([(T0 + i, d) for i, d in enumerate(data)])
        f = self.write('c.pcapng', first + shb() + eth0 + b''.join(epb('<', 0, US + i, d) for i, d in enumerate(data)))
        ok = self.write('ok.pcap', pcap_bytes([(T0, data[0])]))
        db = self.path('y.db')
        index(db, '-q', f, ok)
        with open(f, 'r+b') as o:
            o.seek(len(first) + len(shb()))
            o.write(b'\x05')
        out = self.path('o.pcap')
        r = flowcarve('carve', '-d', db, '-w', out, ok=2)
        self.assert_says(r, 'c.pcapng@%d' % (len(first) + len(shb())), 'has changed', 'interface')
        self.assertFalse(os.path.exists(out))
        flowcarve('carve', '-d', db, '-w', out, '--partial')
        self.assertEqual(read_bytes(out), read_bytes(ok))


if __name__ == '__main__':
    support.main()
