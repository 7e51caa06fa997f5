# SPDX-License-Identifier: MIT
"""Packets made by hand and the sessions that they become: a case or more for each rule of docs/sessions.md.

A case has captures (a, b, c), each a list of (seconds, frame); None for a record without a time. What is expected is a list of
sessions in the order of their IDs: 'a0 a1 b0' are packets 0 and 1 of capture a and 0 of b; '-a0' is a provisional session.
"""
import collections, os, struct

import support, twin
from support import S, T0, eth, idb, index, ipv4, option, pcap_bytes, sessions, shb, tcp, udp, udp_datagram

A, B = '10.0.0.1', '10.0.0.2'
YEARS = 12 * 365 * 86400  # in the year 2037
NS = 1e-9
Case = collections.namedtuple('Case', 'rule name captures expect options columns twin')


def case(rule, name, captures, expect, timeout='', profile='flowcarve', columns=(), twin=True):
    """columns: {column: value} of each session; twin False: the naive twin does not know these packets."""
    captures = [captures] if isinstance(captures[0], tuple) else captures
    return Case(rule, name, captures, expect.split(' | '), (profile, timeout), columns, twin)


def u(t, n=1, back=False, data=b''):
    """A packet of UDP flow n."""
    return t, udp(B, 53, A, 1000 + n, data) if back else udp(A, 1000 + n, B, 53, data)


def every(times, n=1):
    return [u(t, n) for t in times]


def x(t, flags, seq=0, ack=0, back=False, n=1):
    """A packet of TCP flow n."""
    return t, tcp(B, 80, A, 1000 + n, flags, seq, ack) if back else tcp(A, 1000 + n, B, 80, flags, seq, ack)


def first(t, n=1, ident=1):
    """First fragment of a datagram of UDP flow n."""
    return t, eth(ipv4(A, B, 17, udp_datagram(1000 + n, 53, bytes(16)), ident, 0, True))


def later(t, ident=1):
    return t, eth(ipv4(A, B, 17, bytes(16), ident, 24))


def around(t, inner, outer, proto=17):
    """The first fragment of datagram `outer` of IP, which carries a later one of `inner`."""
    return t, eth(ipv4(A, B, 4, ipv4(A, B, proto, bytes(16), inner, 24), outer, 0, True))


def outer(t, ident):
    """A later fragment of a datagram of IP in IP."""
    return t, eth(ipv4(A, B, 4, bytes(16), ident, 48))


def names(letter, *numbers):
    return ' '.join('%s%d' % (letter, n) for n in numbers)


def set_back(behind, forward):
    """30 s of a flow, `behind` records of a clock an hour behind, `forward` records of the old one."""
    return every(list(range(30)) + [30 + i - 3600 for i in range(behind)] + [30 + behind + i for i in range(forward)])


TIME = [
    case('1.1', 'a record without a time counts as the one in front of it', every([0, 9, None, 18, None, 29]),
         'a0 a1 a2 a3 a4 | a5', 'udp=10'),
    case('1.1', 'no gap is measured from or to a record that no time comes before', every([None, 1000]), 'a0 a1', 'udp=1'),
    case('1.1', 'a record that no time comes before is in front of all', [[u(0, 1)], [u(None, 2), u(100, 3)]], 'b0 | a0 | b1'),
    case('1.3', 'a time of 2037 in the middle splits nothing',
         every([*range(20), YEARS, *range(21, 40)]), names('a', *range(40)), 'udp=5',
         columns=dict(start_ns=[T0], end_ns=[T0 + YEARS * S])),
    case('1.3', 'a time of 1970 in the middle splits nothing',
         every([*range(20), -T0 // S, *range(21, 40)]), names('a', *range(40)), 'udp=5',
         columns=dict(start_ns=[0], end_ns=[T0 + 39 * S])),
    case('1.3', 'a glitch disturbs no other flow and no ID', [u(0, 1), u(1, 2), u(YEARS, 3), u(3, 1), u(4, 2), u(5, 4)],
         'a0 a3 | a1 a4 | a2 | a5', 'udp=5'),
    case('1.3', 'a glitch at the start counts as the earliest of the next ones', [u(YEARS, 1), u(3, 2), u(2, 2), u(4, 1)],
         'a0 a3 | a1 a2', 'udp=5'),
    case('1.3', 'half of the votes are not more than half', every([0, 100, 50, 150]), 'a0 | a1 a2 a3', 'udp=60'),
    case('1.3', 'more than half of the votes', every([0, 100, 50, 51, 150]), 'a0 a1 a2 a3 | a4', 'udp=60'),
    case('1.3', 'the last record of a capture has nobody to vote', every([0, 100]), 'a0 | a1', 'udp=60'),
    case('1.3', 'records without a time do not vote', every([0, 100, None, None, 50, 51, 52]), names('a', *range(7)), 'udp=60'),
    case('1.3', 'eight of sixteen votes', every([0, 100, *[110] * 8, *[50] * 8]), 'a0 | ' + names('a', *range(1, 18)), 'udp=60'),
    case('1.3', 'nine of sixteen votes', every([0, 100, *[110] * 7, *[50] * 9]), names('a', *range(18)), 'udp=60'),
    case('1.3', 'the seventeenth record has no vote', every([0, 100, *[110] * 8, *[50] * 9]),
         'a0 | ' + names('a', *range(1, 19)), 'udp=60'),
    case('1.5', 'records behind count as the latest time', every([0, 50, 30, 31, 32, 55, 106]),
         names('a', 0, 1, 2, 3, 4, 5) + ' | a6', 'udp=50'),
    case('1.5', 'fifteen records behind are no new clock', set_back(15, 30), names('a', *range(75)), 'udp=60'),
    case('1.5', 'sixteen are', set_back(16, 30), names('a', *range(46)) + ' | ' + names('a', *range(46, 76)), 'udp=60'),
    case('1.5', 'a clock set back by an hour keeps differences',
         every([*range(30), *range(-3570, -3540), -3481, -3421 + NS]), names('a', *range(61)) + ' | a61', 'udp=60'),
    case('1.5', 'a record at the latest time begins the count anew',
         every([*range(30), *[-3600] * 15, 21, *[-3600] * 15, *range(30, 60)]), names('a', *range(91)), 'udp=60'),
    case('1.3', 'a glitch leaves it as it is', every([*range(30), *[-3600] * 15, 29, *[-3600] * 15, *range(30, 60)]),
         names('a', *range(61)) + ' | ' + names('a', *range(61, 91)), 'udp=60'),
    case('1', 'each capture has a clock of its own', [every(range(0, 60, 2)), every([1, YEARS, 5, 7, 9])],
         'a0 b0 ' + names('a', *range(1, 30)) + ' b1 b2 b3 b4', 'udp=60'),
]
ORDER = [
    case('2', 'captures are interleaved by time',
         [[x(0, 'S', 1), x(2, 'S', 1)], [x(1, 'S', 2)]], 'a0 | b0 | a1', profile='wireshark'),
    case('2', 'equal times go by file, then offset', [[u(0, 1, True), u(0, 1)], [u(0, 1)]], 'a0 a1 b0',
         columns=dict(client_addr=[B])),
    case('2', 'the first packet of a flow is by time, whatever its capture', [[u(-1, 2), u(5, 1)], [u(0, 1, True)]],
         'a0 | b0 a1', columns=dict(client_addr=[A, B])),
]
FRAGMENTS = [
    case('3.3', 'the latest first fragment in front', [first(0, 1), later(1), first(2, 2), later(3)], 'a0 a1 | a2 a3'),
    case('3.3', 'of another capture', [[first(0, 1), u(9, 2)], [later(5)]], 'a0 b0 | a1'),
    case('3.3', 'not of another name', [first(0, 1, 1), first(1, 2, 2), later(2, 1)], 'a0 a2 | a1'),
    case('3.3', '60 s behind it', [first(0), later(60), u(200, 2)], 'a0 a1 | a2'),
    case('3.3', 'more than 60 s behind it', [first(0), later(60 + NS), u(200, 2)], 'a0 | a1 | a2',
         columns=dict(client_port=[1001, 0, 1002])),
    case('3.3', 'counted time is what counts', [first(0), later(YEARS), u(2, 2), u(3, 2)], 'a0 a1 | a2 a3'),
    case('3.4', 'the next first fragment behind', [later(0), first(1, 1), first(2, 2)], 'a1 a0 | a2'),
    case('3.4', 'of another capture', [[later(0), u(9, 2)], [first(5)]], 'b0 a0 | a1'),
    case('3.4', '60 s in front of it', [later(0), first(60)], 'a1 a0'),
    case('3.4', 'more than 60 s in front of it', [later(0), first(60 + NS)], 'a0 | a1'),
    case('3.4', 'directly behind its first one', [u(0), later(1), first(50), u(55)], 'a0 | a2 a1 a3', 'udp=10',
         columns=dict(start_ns=[T0, T0 + S])),
    case('3.4', 'all that wait', [later(0), later(1), u(2, 2), first(3)], 'a2 | a3 a0 a1'),
    case('3.5', 'an orphan is behind all that is 60 s later', [later(0), (60, udp(B, 0, A, 0)), u(200)], 'a1 a0 | a2', 'udp=65',
         columns=dict(client_addr=[B, A])),
    case('3.5', 'and in front of what is later', [later(0), (60 + NS, udp(B, 0, A, 0)), u(200)], 'a0 a1 | a2', 'udp=1',
         columns=dict(client_addr=[A, A])),
    case('3.5', 'gaps of orphans go by their places', [later(0, 1), later(10, 2), (100, udp(A, 0, B, 0)), u(200)],
         'a0 a1 a2 | a3', 'udp=30'),
    case('3.2', 'a fragment that carries one', [first(0, 1, 1), around(1, 1, 7), outer(2, 7)], 'a0 a1 a2'),
    case('3.4', 'an alias leads those that wait on', [outer(0, 7), around(1, 1, 7), first(2, 1, 1)], 'a2 a0 a1'),
    case('3.4', 'or to what is in front of it', [first(0, 1, 1), outer(1, 7), around(2, 1, 7)], 'a0 a1 a2'),
    case('3.3', 'four aliases', [first(0, 1, 1), around(1, 1, 2), around(2, 2, 3, 4), around(3, 3, 4, 4), around(4, 4, 5, 4),
                                 outer(5, 5)], 'a0 a1 a2 a3 a4 a5'),
    case('3.7', 'what waits at the end is provisional', [later(0, 1), later(1, 2), later(2, 1), u(3)], '-a0 a2 | -a1 | a3'),
    case('3.7', 'unless it is older than a minute', [later(0, 1), later(1, 2), u(60 + NS)], 'a0 | -a1 | a2'),
    case('3.7', 'by the clock of all captures', [[later(0, 1)], [u(60)]], '-a0 | b0'),
    case('3.7', 'behind an alias, under the name that it leads to', [outer(0, 7), around(1, 1, 7), later(2, 1), outer(3, 8)],
         '-a0 a1 a2 | -a3'),
    case('3.5', 'without any time, given up at the end', [later(None), u(1)], 'a1 | a0'),
]
TCP = [
    case('4.1', 'a SYN of another sequence number', [x(0, 'S', 1), x(1, 'S', 1), x(2, 'S', 2)], 'a0 a1 | a2'),
    case('4.1', 'each direction has a base of its own', [x(0, 'S', 1), x(1, 'S', 2, 0, True)], 'a0 a1'),
    case('4.1', 'a SYN-ACK begins nothing', [x(0, 'S', 1), x(1, 'SA', 9, 2, True), x(2, 'SA', 10, 2, True)], 'a0 a1 a2'),
    case('4.1', 'data tell the base', [x(0, 'A', 101), x(1, 'S', 100), x(2, 'S', 101)], 'a0 a1 | a2'),
    case('4.1', 'an ACK tells that of the other side', [x(0, 'A', 1, 501), x(1, 'S', 500, 0, True), x(2, 'S', 501, 0, True)],
         'a0 a1 | a2'),
    case('4.1', 'a SYN-ACK tells it anew', [x(0, 'A', 1, 501), x(1, 'SA', 700, 2, True), x(2, 'S', 700, 0, True),
                                            x(3, 'S', 500, 0, True)], 'a0 a1 a2 | a3'),
    case('4.1', 'an ACK does not', [x(0, 'S', 1), x(1, 'A', 7, 900, True), x(2, 'S', 1), x(3, 'S', 899)], 'a0 a1 a2 | a3'),
    case('4.1', 'numbers wrap', [x(0, 'A', 0), x(1, 'S', 2**32 - 1), x(2, 'S', 0)], 'a0 a1 | a2'),
    case('4.1', 'a fragmented SYN begins nothing',
         [x(0, 'S', 1), (1, eth(ipv4(A, B, 6, tcp(A, 1001, B, 80, 'S', 2)[34:], 3, 0, True)))], 'a0 a1'),
    case('4.2', 'data of one side are answered', [x(10 * i, 'PA', 101 + i, 901 + i) for i in range(12)], names('a', *range(12)),
         profile='zeek', columns=dict(state=['midstream'])),
    case('4.2', 'a SYN and the data of one side', [x(0, 'S', 100)] + [x(1 + 10 * i, 'PA', 101 + i, 901) for i in range(12)],
         names('a', *range(13)), profile='zeek', columns=dict(state=['established'])),
    case('4.2', 'SYNs of one side are not', [x(10 * i, 'S', 100) for i in range(3)], 'a0 | a1 | a2', profile='zeek',
         columns=dict(state=['new'] * 3)),
    case('4.2', 'an ACK of the handshake, and pauses',
         [x(0, 'S', 100), x(.02, 'A', 101, 901), x(90, 'PA', 101, 901), x(180, 'PA', 111, 901)], names('a', *range(4))),
    case('4.3', 'no session lives longer than the active timeout', every(range(0, 50, 5)), 'a0 a1 a2 a3 a4 | a5 a6 a7 a8 a9',
         'active=20'),
    case('4', 'malformed records never time out', [(0, b'short'), (3 * 365 * 86400, b'short')], 'a0 a1', twin=False),
]
CLIENT = [
    case('client', 'the receiver of a SYN-ACK', [x(0, 'SA', 9, 2, True), x(1, 'A', 2, 10)], 'a0 a1',
         columns=dict(client_addr=[A])),
    case('client', 'the sender of anything else', [x(0, 'A', 9, 2, True), x(1, 'S', 1)], 'a0 a1', columns=dict(client_addr=[B])),
    case('5', 'a session is named by when it begins, not by its earliest time',
         [u(10, 1), u(11, 2), u(9, 2), *every(range(12, 20), 3)], 'a0 | a1 a2 | ' + names('a', *range(3, 11)), 'udp=60'),
]

# what a flow has seen, the timeout that holds then, the state
T = dict(zip(('tcp-new', 'tcp', 'tcp-closed', 'udp-new', 'udp', 'icmp', 'sctp', 'other'), (10, 70, 20, 15, 40, 25, 35, 45)))
ICMP = lambda kind, a=A, b=B: (0, eth(ipv4(a, b, 1, struct.pack('>BBHHH', kind, 0, 0, 1, 1))))
SCTP = (0, eth(ipv4(A, B, 132, struct.pack('>HHII', 1, 2, 0, 0) + struct.pack('>BBHI', 0, 3, 16, 0) + bytes(8))))
ARP = (0, eth(struct.pack('>HHBBH', 1, 0x800, 6, 4, 1) + bytes(6) + support.ip4(A) + bytes(6) + support.ip4(B), 0x0806))
STATES = [
    ('a SYN', [x(0, 'S', 1)], 'tcp-new', 'new'),
    ('SYNs of both sides', [x(0, 'S', 1), x(0, 'S', 1, 0, True)], 'tcp', 'established'),
    ('a SYN-ACK alone', [x(0, 'SA', 1, 1)], 'tcp', 'established'),
    ('a SYN and an ACK of one side', [x(0, 'S', 1), x(0, 'A', 2, 1)], 'tcp', 'established'),
    ('data of one side', [x(0, 'PA', 1, 1)], 'tcp', 'midstream'),
    ('no flags, one side', [x(0, '', 1)], 'tcp-new', 'midstream'),
    ('no flags, both sides', [x(0, '', 1), x(0, '', 1, 0, True)], 'tcp', 'midstream'),
    ('a FIN', [x(0, 'S', 0), x(0, 'FA', 1, 1)], 'tcp', 'established'),
    ('FINs of both sides', [x(0, 'S', 0), x(0, 'FA', 1, 1), x(0, 'FA', 1, 2, True)], 'tcp-closed', 'closed'),
    ('a RST', [x(0, 'S', 1), x(0, 'R', 0, 0, True)], 'tcp-closed', 'reset'),
    ('a RST after FINs', [x(0, 'FA', 1, 1), x(0, 'FA', 1, 2, True), x(0, 'R', 2)], 'tcp-closed', 'reset'),
    ('UDP of one side', [u(0), u(0)], 'udp-new', 'new'),
    ('UDP of both sides', [u(0), u(0, 1, True)], 'udp', 'established'),
    ('an echo request', [ICMP(8)], 'icmp', 'new'),
    ('an echo and its reply', [ICMP(8), ICMP(0, B, A)], 'icmp', 'established'),
    ('SCTP', [SCTP], 'sctp', 'new'),
    ('ARP', [ARP], 'other', 'new'),
]


def states():
    """A gap as long as the timeout, and one that is a nanosecond longer; at the end the flow's first packet once more."""
    timeout = ','.join('%s=%d' % (k, v) for k, v in sorted(T.items(), key=lambda i: i[0] != 'udp'))
    for name, packets, slot, state in STATES:
        n, again, all_ = len(packets), packets[0][1], names('a', *range(len(packets)))
        yield case('4.2', name + ': as long as the timeout', packets + [(T[slot], again)], all_ + ' a%d' % n, timeout,
                   columns=dict(state=[state]))
        yield case('4.2', name + ': longer', packets + [(T[slot] + NS, again)], all_ + ' | a%d' % n, timeout)


def capture(packets):
    packets = [(None if t is None else T0 + round(t * S), data) for t, data in packets]
    if all(t is not None for t, _ in packets):
        return pcap_bytes(packets, magic=0xa1b23c4d)
    return shb() + idb('<', options=option('<', 9, b'\x09')) + b''.join(
        support.epb('<', 0, t, data) if t is not None else
        support.block('<', 3, struct.pack('<I', len(data)) + data) for t, data in packets)


class Rules(support.TestCase):
    def labels(self, rows, files):
        """'a0 b1' for each row, packets by their names; '-' in front of a provisional one."""
        name = {}
        for letter, path in zip('abc', files):
            for i, rec in enumerate(support.read_capture(path)):
                name[path, rec.off] = letter + str(i)
        return [('-' if row['id'] < 0 else '') + ' '.join(sorted(name[p] for p in row['packets'])) for row in rows]

    def indexed(self, number, files, options):
        db = self.path('%d.db' % number)
        index(db, '-q', '--profile', options[0], *(['--timeout', options[1]] if options[1] else []), *files)
        everything = support.all_positions(db)
        paths = {i: self.path(os.path.basename(os.fsdecode(p))) for i, p in support.index_files(db).items()}
        return [dict(row, packets=[(paths[f], off) for f, off in everything[row['id']]]) for row in sessions(db)]

    def twins(self, files, options):
        timeouts = list(twin.PROFILES[options[0]])
        slots = 'tcp-new tcp tcp-closed udp-new udp icmp sctp other active'.split()
        for word in options[1].split(',') if options[1] else []:
            word, value = word.split('=')
            timeouts[slots.index(word)] = float(value)
            if word == 'udp':
                timeouts[3] = float(value)
        paths = dict(enumerate((f[1] for f in twin.in_file_order(files)), 1))
        return [dict(row, packets=[(paths[f], off) for f, off in row['positions']])
                for row in twin.sessions(files, tuple(timeouts))]

    def check(self, number, c, rows, files):
        rows.sort(key=lambda row: (row['id'] < 0, abs(row['id'])))
        want = [e[:e[0] == '-'] + ' '.join(sorted(e.strip('-').split())) for e in c.expect]
        stored, provisional = [w for w in want if w[0] != '-'], [w for w in want if w[0] == '-']
        self.assertEqual(self.labels(rows, files), stored + provisional)
        self.assertEqual([row['id'] for row in rows],
                         [n + 1 for n in range(len(stored))] + [-n - 1 for n in range(len(provisional))])
        for column, values in dict(c.columns).items():
            self.assertEqual([row[column] for row in rows], values, column)

    def check_all(self, cases):
        for number, c in enumerate(cases):
            files = [self.write('%s-%d.pcap' % (letter, number), capture(packets)) for letter, packets in zip('abc', c.captures)]
            if c.twin:
                with self.subTest(rule=c.rule, name=c.name, by='twin'):
                    self.check(number, c, self.twins(files, c.options), files)
            with self.subTest(rule=c.rule, name=c.name, by='flowcarve'):
                self.check(number, c, self.indexed(number, files, c.options), files)

    def test_counted_time(self):
        self.check_all(TIME)

    def test_order(self):
        self.check_all(ORDER)

    def test_fragments(self):
        self.check_all(FRAGMENTS)

    def test_tcp(self):
        self.check_all(TCP)

    def test_timeouts_and_states(self):
        self.check_all(states())

    def test_client_and_ids(self):
        self.check_all(CLIENT)

    def added(self, first, second, timeout):
        """The packets of each session after one capture was added to the index of another."""
        db = self.path('i.db')
        for name, packets in ('1.pcap', first), ('2.pcap', second):
            index(db, '-q', '--timeout', timeout, self.write(name, capture(packets)))
        return [row['client_packets'] for row in sessions(db)]

    def test_a_glitch_closes_no_session(self):
        """What is open goes by counted time: a later capture continues it."""
        self.assertEqual(self.added(every([*range(20), YEARS, *range(21, 40)]), every([45]), 'udp=10'), [41])

    def test_an_old_session_is_closed(self):
        self.assertEqual(self.added([u(0, 1), u(100, 2)], [u(101, 1), u(102, 2)], 'udp=50'), [1, 2, 1])


if __name__ == '__main__':
    support.main()
