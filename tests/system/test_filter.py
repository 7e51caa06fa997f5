# SPDX-License-Identifier: MIT
"""The filter language against rows of the view `sessions`, filtered by Python."""
import os, sqlite3

import support
from support import S, T0, flowcarve, index, tcp, udp


def rows_of(db):
    """Rows of the view as dictionaries, as any other program reads them."""
    with support.open_db(db) as c:
        c.row_factory = sqlite3.Row
        return [dict(r) for r in c.execute('SELECT * FROM sessions ORDER BY id')]


def either(row, name, test):
    """Of one of the ends."""
    return any(row[end + name] is not None and test(row[end + name]) for end in ('client_', 'server_'))


def both(row, name):
    """What both directions come to; None where neither has it."""
    known = [row[end + name] for end in ('client_', 'server_') if row[end + name] is not None]
    return sum(known) if known else None


def than(number, test):
    return number is not None and test(number)


PREDICATES = (
    ('packets over 3', lambda r: both(r, 'packets') > 3),
    ('packets under 3', lambda r: both(r, 'packets') < 3),
    ('packets at least 3', lambda r: both(r, 'packets') >= 3),
    ('packets at most 3', lambda r: both(r, 'packets') <= 3),
    ('packets = 2', lambda r: both(r, 'packets') == 2),
    ('packets > 3 and packets <= 7', lambda r: 3 < both(r, 'packets') <= 7),
    ('packets between 3 and 7', lambda r: 3 <= both(r, 'packets') <= 7),
    ('client packets over 2', lambda r: r['client_packets'] > 2),
    ('server packets = 0', lambda r: r['server_packets'] == 0),
    ('bytes over 1k', lambda r: both(r, 'bytes') > 1000),
    ('bytes < 1Ki', lambda r: both(r, 'bytes') < 1024),
    ('client bytes >= 0.5k', lambda r: r['client_bytes'] >= 500),
    ('dst bytes under 200', lambda r: r['server_bytes'] < 200),
    ('duration over 100ms', lambda r: than(r['duration'], lambda d: d > .1)),
    ('duration at most 2.5s', lambda r: than(r['duration'], lambda d: d <= 2.5)),
    ('not duration under 1', lambda r: not than(r['duration'], lambda d: d < 1)),
    ('payload over 0', lambda r: than(both(r, 'payload'), lambda n: n > 0)),
    ('payload = 0', lambda r: both(r, 'payload') == 0),
    ('client payload over 100', lambda r: than(r['client_payload'], lambda n: n > 100)),
    ('ttl 64', lambda r: either(r, 'ttl', lambda t: t == 64)),
    ('client ttl 64', lambda r: r['client_ttl'] == 64),
    ('ttl under 64', lambda r: either(r, 'ttl', lambda t: t < 64)),
    ('server ttl over 64', lambda r: than(r['server_ttl'], lambda t: t > 64)),
    ('ttl 64,128', lambda r: either(r, 'ttl', lambda t: t in (64, 128))),
    ('port 80,443', lambda r: r['proto'] in ('tcp', 'udp', 'sctp') and either(r, 'port', lambda p: p in (80, 443))),
    ('server port 53,80,443', lambda r: r['proto'] in ('tcp', 'udp', 'sctp') and r['server_port'] in (53, 80, 443)),
    ('id 1,3,5-9', lambda r: r['id'] in (1, 3, 5, 6, 7, 8, 9)),
    ('proto tcp,icmp', lambda r: r['proto'] in ('tcp', 'icmp')),
)


class Filter(support.TestCase):
    def small(self):
        """Sessions with many numbers: of TTL, packets, payload; refused, reset by either side, half open."""
        packets, at = [], [T0]

        def add(data, ms=5):
            packets.append((at[0], data))
            at[0] += ms * 1_000_000

        def ttl(data, value):
            return data[:22] + bytes([value]) + data[23:]
        for i in range(12):
            c, v = ('10.0.%d.%d' % (i % 3, i), 40000 + i), ('192.0.2.%d' % (i % 4), (80, 443, 53, 8080)[i % 4])
            add(ttl(tcp(*c, *v, 'S', 1), (64, 128, 63)[i % 3]))
            add(ttl(tcp(*v, *c, 'SA', 9, 2), (64, 57)[i % 2]))
            add(ttl(tcp(*c, *v, 'A', 2, 10), 64), 40 * i)
            for k in range(i):
                add(ttl(tcp(*c, *v, 'PA', 2 + 100 * k, 10, bytes(100)), 64), 30 * i)
            if i % 4 == 1:
                add(tcp(*c, *v, 'FA', 5, 10))
                add(tcp(*v, *c, 'FA', 10, 6))
            if i % 4 == 2:
                add(tcp(*v, *c, 'RA', 10, 6))
            if i % 4 == 3:
                add(tcp(*c, *v, 'R', 6))
        for i in range(6):
            c, v = ('10.1.0.%d' % i, 50000 + i), ('192.0.2.9', 23)
            for _ in range(1 + i % 2):
                add(tcp(*c, *v, 'S', 7 + i))
            if i < 4:
                add(tcp(*v, *c, 'RA', 0, 8 + i))
        for i in range(8):
            for k in range(i):
                add(udp('10.2.0.%d' % i, 6000, '192.0.2.53', 53, bytes(30 * i)), 700)
            add(udp('192.0.2.53', 53, '10.2.0.%d' % i, 6000, bytes(60)), 700)
        add(support.eth(bytes([0, 1, 8, 0, 6, 4, 0, 1]) + bytes(20), 0x806))
        add(support.eth(b'\x45\0\0'))
        return support.pcap_bytes(packets)

    def indexes(self):
        """(path, rows) of an index with all fields of each capture."""
        files = [self.write('small.pcap', self.small()), self.fcgen('c.pcap', '--packets', '4000', '--sessions', '300')[0]]
        real = os.path.join(support.CAPTURES or '', 'seladb+PcapPlusPlus', 'example.pcap')
        files += [real] if support.CAPTURES and os.path.exists(real) else []
        for f in files:
            db = self.path(os.path.basename(f) + '.db')
            index(db, '-q', '--fields', 'all', f)
            yield db, rows_of(db)

    def ids(self, db, *words):
        r = flowcarve('query', '-d', db, '--format', 'tsv', *words, ok=(0, 1))
        return [int(line.split('\t')[0]) for line in r.text.splitlines()[1:]]

    def test_every_predicate(self):
        found = {}
        for db, rows in self.indexes():
            for text, test in PREDICATES:
                want = [r['id'] for r in rows if test(r)]
                self.assertEqual(self.ids(db, text), want, text)
                found[text] = found.get(text) or 0 < len(want) < len(rows)
        self.assertEqual([text for text, some in found.items() if not some], [], 'these tell nothing apart')


if __name__ == '__main__':
    support.main()
