# SPDX-License-Identifier: MIT
"""`index --filter` on link types other than Ethernet: what tcpdump -r takes, and no capture that keeps others waiting."""
import os, socket, struct

import support
from support import T0, index

TCP = bytes.fromhex('03e80050') + bytes(8) + b'\x50\x02' + bytes(6)
V4 = support.ipv4('10.0.0.1', '10.0.0.2', 6, TCP)
V6 = struct.pack('>IHBB', 6 << 28, len(TCP), 6, 64) + 2 * socket.inet_pton(socket.AF_INET6, '::1') + TCP
UDP = support.ipv4('10.0.0.1', '10.0.0.2', 17, bytes(8))

NULL, LOOP, ENC, NETLINK, NFLOG, RAW = 0, 108, 109, 253, 239, 101


def with_families(link_type, e, v6_family):
    """TCP in IPv4 and IPv6, and one that is neither."""
    head = {NULL: lambda f: struct.pack(e + 'I', f), LOOP: lambda f: struct.pack('>I', f),
            ENC: lambda f: struct.pack(e + 'III', f, 1, 0)}[link_type]
    return [(T0 + i, head(family) + ip) for i, (family, ip) in enumerate(((2, V4), (v6_family, V6), (2, UDP)))]


class IndexFilter(support.TestCase):
    def kept(self, capture, text):
        """The records that are in sessions, by verify's own count of the capture."""
        db = self.path('x.db')
        if os.path.exists(db):
            os.remove(db)
        index(db, '-q', '--filter', text, capture)
        support.verify(db)
        return [r.data for r in self.carved(db, ok=(0, 1))]

    def test_families_of_all_systems_in_both_byte_orders(self):
        """AF_INET6 is another number on each system, and is in the order of the host that captured."""
        tcpdump = support.tool('tcpdump')
        for link_type in (NULL, LOOP, ENC):
            for e in '<>':
                for family in (24, 28, 30):
                    f = self.write('c.pcap', support.pcap_bytes(with_families(link_type, e, family), link_type, e))
                    for text, count in (('tcp', 2), ('ip6', 1), ('host ::1', 1), ('port 80', 2), ('not tcp', 1)):
                        with self.subTest(link_type=link_type, order=e, family=family, filter=text):
                            want = support.parse_capture(support.run(tcpdump, '-nr', f, '-w', '-', text).out)
                            self.assertEqual(len(want), count)
                            self.assertEqual(self.kept(f, text), [r.data for r in want])

    def test_the_order_of_a_record_is_its_own(self):
        """Captures of two hosts, merged by a tool that leaves the link headers as they were."""
        both = with_families(NULL, '<', 30) + with_families(NULL, '>', 28)
        f = self.write('c.pcap', support.pcap_bytes([(T0 + i, p[1]) for i, p in enumerate(both)], NULL))
        self.assertEqual(len(self.kept(f, 'tcp')), 4)
        self.assertEqual(len(self.kept(f, 'udp')), 2)

    def test_words_that_only_a_kernel_could_answer(self):
        """They are no reason to take or leave a record of a capture by chance."""
        f = self.write('c.pcap', support.pcap_bytes([(T0, support.eth(V4))]))
        r = index(self.path('x.db'), '--filter', 'not inbound', f)
        self.assert_says(r, 'link type 1 (ETHERNET)', '1 record = 0 packets in sessions + 1 ignored')

    def test_a_link_type_that_the_filter_does_not_work_on(self):
        """Its records do not match, which is said once a capture; the others are indexed."""
        ethernet = self.write('day/a.pcap', support.pcap_bytes([(T0, support.eth(V4)), (T0 + 9, support.eth(UDP))]))
        self.write('day/nl.pcap', support.pcap_bytes([(T0 + 1, bytes(40)), (T0 + 2, bytes(40))], NETLINK))
        self.write('day/both.pcapng', support.shb() + support.idb() + support.idb(linktype=NFLOG) +
                   support.idb(linktype=NFLOG) + support.epb('<', 1, T0 // 1000, bytes(40)) +
                   support.epb('<', 2, T0 // 1000, bytes(40)) + support.epb('<', 0, T0 // 1000, support.eth(V4)))
        db = self.path('x.db')
        for words in ([], ['-j', '1', '-q']):
            r = index(db, '--filter', 'tcp', *words, self.path('day'))
            self.assertEqual(r.err.count('253 (NETLINK)'), 1)
            self.assertEqual(r.err.count('239 (NFLOG)'), 1)
            self.assert_says(r, 'warning: ' + self.path('day/nl.pcap') + ': ', self.path('day/both.pcapng') + ': ')
            if not words:
                self.assert_says(r, '7 records = 2 packets in sessions + 5 ignored')
            support.verify(db)
            os.remove(db)
        index(db, '-q', '--filter', 'tcp', ethernet)  # a capture added later, too
        self.assert_says(index(db, self.path('day')), '253 (NETLINK)', '1 packet in sessions + 4 ignored')
        support.verify(db)

    def test_a_word_that_raw_ip_does_not_know(self):
        self.write('day/a.pcap', support.pcap_bytes([(T0, support.eth(V4, vlan=5))]))
        self.write('day/raw.pcap', support.pcap_bytes([(T0 + 1, V4)], RAW))
        r = index(self.path('x.db'), '--filter', 'vlan 5', self.path('day'))
        self.assert_says(r, '101 (RAW)', '2 records = 1 packet in sessions + 1 ignored')

    def test_a_filter_of_no_link_type(self):
        """Nothing is made of it, and nothing is read before."""
        self.write('day/nl.pcap', support.pcap_bytes([(T0 + 1, bytes(40))], NETLINK))
        for text in ('tcp prot 3', 'port', '(tcp', 'host 10.0.0.256'):
            r = index(self.path('x.db'), '--filter', text, self.path('day'), ok=2)
            self.assert_says(r, "filter '%s': " % text)
            self.assertEqual(self.listing(), ['day'])
        for text in ('wlan host 02:00:00:00:00:01', 'subtype beacon', 'vpi 1', 'ifname em0', 'opc 1', 'inbound'):
            index(self.path('x.db'), '-q', '--filter', text, self.path('day'))
            os.remove(self.path('x.db'))

    def test_numbers_of_link_types_that_libpcap_changes(self):
        for link_type in (100, 106):
            f = self.write('c.pcap', support.pcap_bytes([(T0, b'\xaa\xaa\3\0\0\0\x08\0' + V4)], link_type))
            self.assertEqual(len(self.kept(f, 'tcp')), 1)


if __name__ == '__main__':
    support.main()
