# SPDX-License-Identifier: MIT
"""
`capture` on pairs of virtual interfaces in network namespaces of the tests' own, beside what tcpdump writes there. Nothing
waits for a time: what is waited for is told by the index, by the kernel, or by what the capture says.
"""
import contextlib, ctypes, glob, itertools, json, os, pwd, re, shutil, signal, socket, sqlite3, struct, subprocess, time, unittest

import support
from support import FLOWCARVE, S, T0, flowcarve, index, select, sessions, udp, udp_fragments, verify
from test_watch import Watch

CLONE_NEWNET = 0x40000000
NOT_HERE = None if os.geteuid() == 0 and shutil.which('ip') else 'network namespaces take root and ip(8)'
numbers = itertools.count()


class Wires:
    """A network namespace with nothing in it but pairs of interfaces, tx0 to rx0, tx1 to rx1..."""

    def __init__(self, pairs):
        self.name = 'flowcarve-%d-%d' % (os.getpid(), next(numbers))
        self.ip('netns', 'add', self.name)
        try:
            for kind in ('default', 'all'):  # what comes is what a test sends
                self.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/%s/disable_ipv6' % kind)
            for i in range(pairs):
                self.add(i)
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def tidy_up():
        """Those of runs that were killed."""
        for name in os.listdir('/run/netns') if os.path.isdir('/run/netns') else ():
            m = re.fullmatch(r'flowcarve-(\d+)-\d+', name)
            if m and not os.path.exists('/proc/' + m.group(1)):
                subprocess.run(['ip', 'netns', 'del', name], stderr=subprocess.DEVNULL)

    @staticmethod
    def ip(*words):
        p = subprocess.run(['ip', *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if p.returncode:
            raise OSError(p.stdout.decode())

    def link(self, *words):
        self.ip('-n', self.name, 'link', *words)

    def add(self, i, up=True):
        self.link('add', 'tx%d' % i, 'type', 'veth', 'peer', 'name', 'rx%d' % i)
        for name in ('tx%d' % i, 'rx%d' % i) if up else ():
            self.link('set', name, 'up')

    def ready(self):
        """Do all carry packets? One of which the other end was down does so only some time after that is up again."""
        said = subprocess.run(['ip', '-j', '-n', self.name, 'link', 'show', 'type', 'veth'], check=True, stdout=subprocess.PIPE).stdout
        return {link['operstate'] for link in json.loads(said)} == {'UP'}

    def inside(self, *words):
        return ['ip', 'netns', 'exec', self.name, *words]

    def run(self, *words):
        return subprocess.run(self.inside(*words), check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()

    def socket(self, interface='tx0'):
        """By which frames are sent. A socket stays in the namespace that it was made in."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open('/proc/thread-self/ns/net') as mine, open('/run/netns/' + self.name) as there:
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'setns')
            try:
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                s.bind((interface, 0))
            finally:
                libc.setns(mine.fileno(), CLONE_NEWNET)
        return s

    def remove(self):
        subprocess.run(['ip', 'netns', 'del', self.name], stderr=subprocess.DEVNULL)


def blocks_of_statistics(path):
    """(received, dropped by the kernel) of each block of interface statistics, in the order of the file."""
    d, o, found = support.read_bytes(path), 0, []
    while o < len(d):
        kind, n = struct.unpack_from('<II', d, o)
        if kind == 5:
            values, p = {}, o + 20
            while p < o + n - 4:
                code, length = struct.unpack_from('<HH', d, p)
                if length == 8:
                    values[code] = struct.unpack_from('<Q', d, p + 4)[0]
                p += 4 + (length + 3 & ~3)
            found.append((values.get(4, 0), values.get(7, 0)))
        o += n
    return found


@unittest.skipIf(NOT_HERE, NOT_HERE)
class Capture(support.TestCase):
    pairs = 1

    def setUp(self):
        super().setUp()
        try:
            self.wires = Wires(self.pairs)
        except OSError as e:
            self.skipTest('no network namespace can be had: %s' % e)
        self.addCleanup(self.wires.remove)
        self.until(self.wires.ready, 'the interfaces do not come up')
        self.caps, self.db = self.path('caps'), self.path('x.db')
        os.mkdir(self.caps)
        self.running = []
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for w in self.running:
            if w.p.poll() is None:
                w.p.kill()
            if not w.p.stderr.closed:
                w.wait()

    def until(self, condition, what, watch=None):
        end = time.monotonic() + support.SECONDS / 2
        while not condition():
            if time.monotonic() > end:
                self.fail('%s: %s' % (what, watch and watch.said))
            time.sleep(.005)

    def start(self, *words, begins):
        w = Watch(self.wires.inside(*words), self.folder)  # becomes the program, so that its process is the program's
        self.running.append(w)
        self.until(lambda: begins in w.said or w.p.poll() is not None, 'it does not begin', w)
        self.assertIsNone(w.p.poll(), w.said)
        return w

    def capture(self, *words, commit='50ms', interfaces=('rx0',), by=()):
        return self.start(*by, FLOWCARVE, 'capture', '-d', self.db, '-w', self.caps, '--commit', commit,
                          *[w for i in interfaces for w in ('-i', i)], *words, begins='capturing')

    def tcpdump(self, *words):
        w = self.start(support.tool('tcpdump'), '-U', '-Z', 'root', '--nano', '-B', '65536', '-i', 'rx0', '-w',
                       self.path('beside.pcap'), *words, begins='listening on')
        w.wrote = lambda: os.path.getsize(self.path('beside.pcap'))
        return w

    def replay(self, path, *options, to='tx0'):
        """How many packets were sent."""
        said = self.wires.run(support.tool('tcpreplay'), '-i', to, *(options or ('--mbps', '300')), path)
        self.assertRegex(said, r'Failed packets: +0\n')
        return int(re.search(r'Successful packets: +(\d+)', said).group(1))

    def play(self, path, *options, to='tx0'):
        """The same beside the test, and until it ends at the most."""
        p = subprocess.Popen(self.wires.inside(support.tool('tcpreplay'), '-i', to, *options, path), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        return p

    def end(self, w, number=signal.SIGTERM, ok=0):
        """How long that took."""
        took = w.end(number, ok)
        self.assertLess(took, 10)
        return took

    def recorded(self):
        """All records in the order of the files, which are whole and none of them empty."""
        names = os.listdir(self.caps)
        self.assertEqual([n for n in names if n.startswith('.')], [])
        return [r for f in sorted((support.read_capture(self.path('caps', n)) for n in names), key=lambda f: f[0].ts_ns) for r in f]

    def facts(self, records):
        return [(r.ts_ns, r.data, r.origlen) for r in records]

    def counts(self, w):
        """What it tells in the end: received, recorded, dropped by the kernel."""
        last = w.said.splitlines()[-1]
        said = re.search(r'([\d,]+) packets? received, ([\d,]+) recorded .*dropped: (none|([\d,]+) by the kernel)$', last)
        self.assertTrue(said, w.said)
        return tuple(int((said.group(i) or '0').replace(',', '')) for i in (1, 2, 4))

    def packets(self):
        try:
            return select(self.db, 'SELECT sum(packets) FROM session_span')[0][0] or 0
        except sqlite3.OperationalError:
            return 0

    def send(self, n, port, to='tx0', ident=itertools.count()):
        """n packets of one flow, each of them another one."""
        with self.wires.socket(to) as s:
            for _ in range(n):
                s.send(udp('10.0.0.1', port, '10.0.0.2', 53, b'%d' % next(ident)))

    def of_port(self, n):
        """How many packets of send() each session in the index has."""
        try:
            return [s['client_packets'] for s in sessions(self.db, 'udp and host 10.0.0.1 and port %d' % n)]
        except AssertionError:  # there is no index yet
            return []

    # ---- beside tcpdump

    def compare(self, *options):
        made, = self.fcgen('made.pcap', '--packets', '6000', '--sessions', '300', '--fragments', '10', '--vlan', '10', '--sizes', '60-600')
        w, beside = self.capture('--rotate', '1M', *options), self.tcpdump()
        sent = self.replay(made)
        self.end(w)
        ours = self.recorded()
        self.until(lambda: beside.wrote() >= 24 + sum(16 + r.caplen for r in ours), 'tcpdump has less', beside)
        beside.end(signal.SIGTERM)
        self.assertEqual((len(ours), *self.counts(w)), (sent, sent, sent, 0))
        self.assertEqual(self.facts(ours), self.facts(support.read_capture(self.path('beside.pcap'))))
        self.assertGreater(len(os.listdir(self.caps)), 1)
        verify(self.db)
        index(self.path('beside.db'), '-q', self.path('beside.pcap'))
        keys = [k for k in support.KEYS if k != 'id']
        both = [sorted([[s[k] for k in keys] for s in sessions(db)], key=repr) for db in (self.db, self.path('beside.db'))]
        self.assertEqual(*both)

    def test_order_bytes_and_times_are_those_of_tcpdump(self):
        self.compare()

    def test_several_threads_take_every_packet_once(self):
        """Also fragments, which come as they were sent, and in the session of the packet that they are of."""
        self.compare('--threads', '2')

    def test_fragments_with_their_flow(self):
        w = self.capture('--threads', '4')
        frames = [f for i in range(40) for f in udp_fragments('10.0.0.%d' % i, 1000 + i, '10.0.1.1', 53, i)]
        with self.wires.socket() as s:
            for f in frames:
                s.send(f)
        self.end(w)
        self.assertEqual([r.data for r in self.recorded()], frames)
        self.assertEqual(sorted((s['client_port'], s['client_packets'] + s['server_packets']) for s in sessions(self.db)),
                         [(1000 + i, 3) for i in range(40)])

    def test_filter_and_snaplen(self):
        made, = self.fcgen('made.pcap', '--packets', '3000', '--sizes', '60-600')
        words = ('-s', '70', 'udp or port 443')
        w, beside = self.capture(*words), self.tcpdump(*words)
        sent = self.replay(made)
        self.end(w)
        ours = self.recorded()
        self.until(lambda: beside.wrote() >= 24 + sum(16 + r.caplen for r in ours), 'tcpdump has less', beside)
        beside.end(signal.SIGTERM)
        self.assertEqual(self.facts(ours), self.facts(support.read_capture(self.path('beside.pcap'))))
        self.assertTrue(0 < len(ours) < sent)
        self.assertEqual(max(r.caplen for r in ours), 70)
        verify(self.db)

    def test_what_comes_while_it_begins_comes_once(self):
        """Before a socket shares the packets with others it gets all of them."""
        made, = self.fcgen('made.pcap', '--packets', '4000', '--sizes', 'small')
        self.play(made, '--pps', '50000', '-l', '0')
        w = self.capture('--threads', '8', '-B', '2M')
        self.until(lambda: self.packets() > 1000, 'nothing comes', w)
        if not support.sanitized():
            self.assertEqual(set(support.sandbox_of(w.p.pid)), {(2, 1)})
        self.end(w)  # and while it ends
        ours, (received, recorded, dropped) = self.facts(self.recorded()), self.counts(w)
        self.assertEqual((len(set(ours)), recorded + dropped, recorded), (len(ours), received, len(ours)))
        verify(self.db)

    # ---- what is lost

    def slow(self, *options):
        made, = self.fcgen('made.pcap', '--packets', '12000', '--sizes', '400-1400')
        w = self.capture('-B', '2M', *options)
        w.p.send_signal(signal.SIGSTOP)
        sent = self.replay(made)
        w.p.send_signal(signal.SIGCONT)
        self.end(w)
        received, recorded, dropped = self.counts(w)
        self.assertEqual((received, recorded + dropped, recorded), (sent, sent, len(self.recorded())))
        self.assertGreater(dropped, 0)
        self.assertIn('dropped: ', w.said)
        told = [b for n in sorted(os.listdir(self.caps)) for b in blocks_of_statistics(self.path('caps', n))]
        self.assertEqual((sum(t[0] for t in told), sum(t[1] for t in told)), (sent, dropped))
        verify(self.db)

    def test_what_a_slow_reader_loses_is_counted_to_the_packet(self):
        self.slow()

    def test_and_what_several_threads_lose(self):
        self.slow('--threads', '2')

    # ---- interfaces

    def away(self, *options):
        w = self.capture(*options)
        self.send(100, 1)
        for i in range(2):
            self.wires.link('set', 'rx0', 'down')
            self.until(lambda: w.said.count('the interface is down') > i, 'it does not see it', w)
            self.wires.link('set', 'rx0', 'up')
            self.until(lambda: w.said.count('is up again') > i and self.wires.ready(), 'it does not see it', w)
            self.send(100, 2 + i)
        for i in range(2):
            self.send(50, 4 + i)  # what is in the kernel when it goes is not lost
            self.wires.link('del', 'rx0')
            if i == 0:
                self.until(lambda: 'the interface is gone' in w.said, 'it does not see it', w)
            self.wires.add(0)
            self.until(lambda: w.said.count('the interface is back') > i and self.wires.ready(), 'it does not see it', w)
            self.send(100, 6 + i)
        self.end(w)
        self.assertEqual(sorted((s['client_port'], s['client_packets']) for s in sessions(self.db)),
                         [(1, 100), (2, 100), (3, 100), (4, 50), (5, 50), (6, 100), (7, 100)], w.said)
        self.assertEqual(self.counts(w), (600, 600, 0), w.said)
        verify(self.db)
        return w

    def test_an_interface_that_goes_and_comes(self):
        self.away()

    def test_and_with_several_threads(self):
        self.away('--threads', '2')

    def test_as_another_user(self):
        """Who has no right but to capture; also to open an interface again."""
        os.chmod(self.folder, 0o755)
        user = pwd.getpwnam('nobody')
        os.mkdir(self.path('of'))
        self.db = self.path('of', 'x.db')
        for name in (self.caps, self.path('of')):
            os.chown(name, user.pw_uid, -1)
        seen = []
        until = self.until

        def look(condition, what, watch=None):
            until(condition, what, watch)
            if watch and watch.p.poll() is None:
                status = support.read_bytes('/proc/%d/status' % watch.p.pid).decode()
                seen.append(dict(re.findall(r'(?m)^(\w+):\s+(.*)$', status)))
        self.until = look
        self.away('-Z', 'nobody')
        for name in [*glob.glob(self.path('caps', '*')), self.db]:
            self.assertEqual((os.stat(name).st_uid, os.stat(name).st_gid), (user.pw_uid, user.pw_gid), name)
        self.assertEqual(set(seen[-1]['Uid'].split()), {str(user.pw_uid)})
        self.assertEqual({int(seen[-1][k], 16) for k in ('CapPrm', 'CapEff')}, {1 << 13})
        self.assertEqual((seen[-1]['NoNewPrivs'], int(seen[-1]['CapAmb'], 16)), ('1', 0))

    def test_with_the_right_to_capture_alone(self):
        """As of a program that setcap(8) has given it, or of a service that has no other."""
        setpriv = support.tool('setpriv')
        os.chmod(self.folder, 0o777)
        os.chmod(self.caps, 0o777)
        w = self.capture(by=(setpriv, '--reuid', 'nobody', '--clear-groups', '--inh-caps', '+net_raw', '--ambient-caps', '+net_raw'))
        self.send(100, 1)
        self.end(w)
        self.assertEqual((self.counts(w), self.of_port(1)), ((100, 100, 0), [100]))
        self.assertEqual({os.stat(f).st_uid for f in glob.glob(self.path('caps', '*'))}, {pwd.getpwnam('nobody').pw_uid})

    def test_all_interfaces(self):
        w = self.capture(interfaces=('any',))
        self.send(100, 1)
        self.end(w)
        ours = self.recorded()
        self.assertEqual((len(ours), {r.linktype for r in ours}), (200, {113}))  # each leaves one of them and comes to the other
        self.assertEqual(self.of_port(1), [200])
        verify(self.db)

    def test_what_is_refused(self):
        mine = ('capture', '-d', self.db)
        here = self.wires.inside(FLOWCARVE, *mine)
        os.mkdir(self.path('locked'), 0o700)
        os.chmod(self.folder, 0o755)
        for words, says in ((('-w', self.caps), 'no interface'), (('-i', 'rx0'), 'no folder'),
                            (('-i', 'rx0', '-w', self.path('none')), 'none'), (('-i', 'rx7', '-w', self.caps), 'rx7: cannot capture'),
                            (('-i', 'rx0', '-i', 'rx0', '-w', self.caps), 'twice'),
                            (('-i', 'rx0', '-w', self.caps, 'tcp prt 80'), 'pcap-filter'),
                            (('-i', 'rx0', '-w', self.caps, '-Z', 'no such user'), 'no such user'),
                            (('-i', 'rx0', '-w', self.path('locked'), '-Z', 'nobody'), 'locked: cannot write in this folder'),
                            (('-i', 'rx0', '-w', self.caps, '--rotate', '5m'), 'may be either'),
                            (('-i', 'rx0', '-w', self.caps, '--rotate', '1G,1k'), '--rotate'),
                            (('-i', 'rx0', '-w', self.caps, '-B', '4096'), '1M to 2046M'),
                            (('-i', 'rx0', '-w', self.caps, '--threads', '0'), '1 to 64')):
            self.assert_says(support.run(*here, *words, ok=2), says)
        if shutil.which('setpriv'):
            self.assert_says(support.run(*self.wires.inside('setpriv', '--reuid', 'nobody', '--clear-groups'), FLOWCARVE, *mine,
                                         '-i', 'rx0', '-w', self.caps, ok=2), 'CAP_NET_RAW')
        self.assertEqual((self.listing(), os.listdir(self.caps)), (['caps', 'locked'], []))
        w = self.capture()
        self.assert_says(support.run(*here, '-i', 'rx0', '-w', self.caps, ok=2), str(w.p.pid))
        self.end(w)

    # ---- files, signals, crashes

    def test_a_hangup_begins_a_new_file(self):
        w = self.capture('--mode', '640')
        for i in range(3):
            self.send(100, 1 + i)
            self.until(lambda: len(glob.glob(self.path('caps', '.*.part'))) == 1, 'it has no file', w)
            w.p.send_signal(signal.SIGHUP)
            self.until(lambda: len(glob.glob(self.path('caps', 'flow*'))) == i + 1, 'it has no new file', w)
        self.end(w)
        self.assertEqual([len(support.read_capture(self.path('caps', n))) for n in sorted(os.listdir(self.caps))], [100] * 3)
        self.assertEqual({os.stat(self.path('caps', n)).st_mode & 0o777 for n in os.listdir(self.caps)}, {0o640})
        self.assertEqual(self.packets(), 300)
        verify(self.db)

    def test_the_end_comes_within_a_second(self):
        """Of three, as the machine may have other things to do; and what came until then is there."""
        made, = self.fcgen('made.pcap', '--packets', '3000', '--sizes', 'small')
        took = []
        for i in range(3):
            w = self.capture(commit='1s')
            self.replay(made, '--pps', '10000')
            took.append(self.end(w))
            self.assertEqual((self.packets(), self.counts(w)), (3000 * (i + 1), (3000, 3000, 0)))
        self.assertLess(min(took), 1 if not support.sanitized() else 10)

    def test_killed_and_begun_again(self):
        """No packet twice, none lost that was in the index; a session that goes on is one."""
        made, = self.fcgen('made.pcap', '--packets', '20000', '--sizes', 'small', '--port-reuse', '0')
        seen = 0
        for i in range(3):
            w = self.capture('--rotate', '1M')
            beside = self.play(made, '--pps', '20000')
            self.send(10, 7)
            self.until(lambda: self.packets() >= seen + 2000 * (i + 1) and self.of_port(7) == [10 * (i + 1)],
                       'nothing is committed', w)
            w.p.kill()
            w.p.wait()
            w.wait()
            beside.kill()
            beside.wait()
            seen = self.packets()
        self.end(self.capture())
        ours = self.recorded()
        self.assertEqual(len(set(self.facts(ours))), len(ours))
        self.assertGreaterEqual(len(ours), seen)
        self.assertEqual(self.packets(), len(ours))
        verify(self.db)
        support.check_index(self.db, gaps=True)
        self.assertEqual(self.of_port(7), [30])


class Two(Capture):
    pairs = 2

    def test_two_interfaces_into_one_index(self):
        made, = self.fcgen('made.pcap', '--packets', '3000', '--sizes', 'small')
        w = self.capture('--threads', '2', interfaces=('rx0', 'rx1'))
        other = self.play(made, '--pps', '10000', to='tx1')
        self.replay(made, '--pps', '10000')
        self.assertEqual(other.wait(), 0)
        self.end(w)
        ours = self.recorded()
        self.assertEqual(self.counts(w), (6000, 6000, 0))
        self.assertEqual([r.ts_ns for r in ours], sorted(r.ts_ns for r in ours))
        verify(self.db)
        name, = glob.glob(self.path('caps', '*'))
        said = support.run(support.tool('tshark'), '-r', name, '-T', 'fields', '-e', 'frame.interface_name').text.split()
        self.assertEqual((said.count('rx0'), said.count('rx1')), (3000, 3000))


def load_tests(loader, tests, pattern):
    """Those of one pair once."""
    once = unittest.TestSuite(loader.loadTestsFromTestCase(Capture))
    once.addTest(Two('test_two_interfaces_into_one_index'))
    return once


if __name__ == '__main__':
    Wires.tidy_up()
    support.main()
