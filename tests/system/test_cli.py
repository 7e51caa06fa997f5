# SPDX-License-Identifier: MIT
"""The command line as scripts and people know it. `test_cli.py --bless` writes the golden files anew; look at the diff."""
import contextlib, csv, ctypes.util, fcntl, io, json, os, re, sqlite3, struct, subprocess, sys, termios, time, unittest

import support
from support import S, T0, flowcarve, index, select, sessions, tcp, udp

GOLDEN = os.path.join(support.ROOT, 'tests', 'golden')
BLESS = '--bless' in sys.argv
OPTIONAL = ('vlan mpls tunnel client_mac server_mac client_ttl server_ttl client_dscp server_dscp client_tcp_flags '
            'server_tcp_flags client_isn server_isn client_payload server_payload community_id').split()


class Cli(support.TestCase):
    def setUp(self):
        super().setUp()
        self.write('small.pcap', self.small())
        index('small.db', '-q', 'small.pcap', cwd=self.folder)

    def small(self):
        """One of each: TCP with its end, UDP over IPv6, ICMP, ARP, an unknown EtherType, VLAN, a broken packet."""
        c, v = ('10.1.2.3', 40000), ('198.51.100.7', 443)
        t = lambda ms: T0 + ms * 1_000_000
        ip6 = lambda a: bytes.fromhex('20010db8000000000000000000000%03x' % a)
        six = bytes([0x60, 0, 0, 0]) + (12).to_bytes(2, 'big') + bytes([17, 64])
        dns = support.udp_datagram(5353, 53, b'abcd')
        icmp = lambda kind: support.eth(support.ipv4(*(('10.1.2.3', '10.9.9.9') if kind == 8 else
                                                       ('10.9.9.9', '10.1.2.3')), 1, bytes([kind, 0]) + bytes(30)))
        arp = lambda op, a, b: support.eth(bytes([0, 1, 8, 0, 6, 4, 0, op]) + bytes(6) + support.ip4(a) + bytes(6) +
                                           support.ip4(b), 0x806)
        return support.pcap_bytes([
            (t(0), tcp(*c, *v, 'S', 1)), (t(1), tcp(*v, *c, 'SA', 9, 2)), (t(2), tcp(*c, *v, 'A', 2, 10)),
            (t(3), tcp(*c, *v, 'PA', 2, 10, b'GET')), (t(4), tcp(*v, *c, 'FA', 10, 5)), (t(5), tcp(*c, *v, 'FA', 5, 11)),
            (t(6), support.eth(six + ip6(1) + ip6(2) + dns, 0x86dd)), (t(7), support.eth(six + ip6(1) + ip6(2) + dns, 0x86dd)),
            (t(8), icmp(8)), (t(9), icmp(0)), (t(10), arp(1, '10.1.2.3', '10.1.2.1')), (t(11), arp(2, '10.1.2.1', '10.1.2.3')),
            (t(12), support.eth(b'lldp', 0x88cc)), (t(13), udp('10.1.2.3', 1, '10.1.2.4', 2, b'tagged', vlan=42)),
            (t(14), support.eth(b'\x45\0\0')), (t(15), tcp('10.1.2.5', 9, *v, 'R', 7)), (t(16), tcp('10.1.2.6', 9, *v, 'A', 7, 7)),
            (t(17), support.eth(b'own', 0x88b5)), (t(3000), support.eth(support.ipv4('10.1.2.3', '224.0.0.5', 89, bytes(24))))])

    def golden(self, name, *words, ok=0, **kw):
        """Compares exit status, output and messages of a command with a file."""
        r = flowcarve(*words, ok=ok, cwd=self.folder, **kw)
        text = '$ flowcarve %s\nexit %d\n--- stdout\n%s--- stderr\n%s' % (
            ' '.join("'%s'" % w if ' ' in w or '\\' in w or not w else w for w in words), r.rc, r.text, r.err)
        path = os.path.join(GOLDEN, name + '.txt')
        if BLESS:
            os.makedirs(GOLDEN, exist_ok=True)
            support.write(path, text.encode())
        self.assertTrue(os.path.exists(path), 'no golden file %s; --bless makes it' % name)
        self.assertEqual(text, support.read_bytes(path).decode())
        return r

    # ---- help and usage

    def test_help(self):
        self.golden('help', '--help')
        self.golden('help-filter', 'help', 'filter')
        for command in ('index', 'watch', 'capture', 'query', 'top', 'stats', 'packets', 'follow', 'carve', 'verify', 'files', 'forget', 'status', 'cache', 'serve', 'export', 'cluster'):
            self.golden('help-' + command, command, '--help')
            self.assertEqual(flowcarve(command, '-h').out, flowcarve(command, '--help').out)
        self.assertEqual(flowcarve('-h').out, flowcarve('--help').out)
        r = flowcarve(ok=2)
        self.assertEqual((r.out, 'Usage:' in r.err), (b'', True))

    def test_help_fits_a_terminal(self):
        commands = re.findall(r'(?m)^  (\w+) +\w', flowcarve('--help').text.split('Commands:')[1].split('\n\n')[0])
        self.assertEqual(commands, ['index', 'watch', 'capture', 'query', 'top', 'stats', 'packets', 'follow', 'carve', 'verify', 'files', 'forget', 'status', 'cache', 'serve', 'export', 'cluster'])
        for words in [['--help'], *([c, '--help'] for c in commands)]:
            for line in flowcarve(*words).text.splitlines():
                self.assertLessEqual(len(line), 80, line)
                self.assertEqual(line, line.rstrip())
        for command in commands:
            text = flowcarve(command, '--help').text
            self.assertEqual(flowcarve('help', command).text, text)
            for option in ('-q, --quiet', '-v, --verbose'):
                self.assertIn('  %s ' % option, text, command)
        self.assert_says(flowcarve('help', 'quary', ok=2), 'unknown command')

    def test_quiet_and_verbose_queries(self):
        for words, rc, out, err in ((['-q', 'tcp'], 0, '', ''), (['-q', 'sctp'], 1, '', ''), (['-q', '-c', 'tcp'], 0, '', ''),
                                    (['-qv', 'tcp'], 0, '', ''), (['-v', '-c', 'tcp'], 0, '3\n', ''),
                                    (['-v', '-f', 'json', 'sctp'], 1, '', '0 sessions\n')):
            r = flowcarve('query', '-d', 'small.db', *words, cwd=self.folder, ok=rc)
            self.assertEqual((r.text, r.err), (out, err), words)
        self.assertEqual(flowcarve('query', '-v', '-d', 'small.db', 'tcp', cwd=self.folder).err, '3 sessions\n')

    def test_a_missing_capture_is_called_missing(self):
        os.remove(self.path('small.pcap'))
        r = flowcarve('verify', '-d', 'small.db', cwd=self.folder, ok=2)
        self.assertRegex(r.text, r'(?m) missing  .*small\.pcap$')
        self.assertNotIn('DIFFERS', r.text)

    def test_an_index_that_is_being_made_is_said_to_be(self):
        """Who makes it is told to a query, and to a second run; what a killed run has left is not taken for one."""
        words = [support.FLOWCARVE, 'index', '-q', '-d', 'y.db', '--spool', 's.pcap', '-']
        with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder,
                              env=support.environment()) as p:
            while not os.path.exists(self.path('y.db.new')) or not support.has_unnamed(p.pid):
                self.assertIsNone(p.poll())
                time.sleep(.001)
            who = r'process %d, since 20\d\d-\d\d-\d\dT' % p.pid
            self.assertRegex(flowcarve('query', '-d', 'y.db', cwd=self.folder, ok=2).err, r'being made .*%s' % who)
            self.assertRegex(index('y.db', 'small.pcap', cwd=self.folder, ok=2).err, 'another flowcarve .*%s' % who)
            p.kill()
        self.assert_says(flowcarve('query', '-d', 'y.db', cwd=self.folder, ok=2), 'no such index')

    def test_index_waits_for_another_run(self):
        """Two runs at once: the second one is told by which process, waits when asked to, and until a signal comes."""
        other = self.write('other.pcap', support.pcap_bytes([(T0 + S, udp('10.7.7.7', 7, '10.8.8.8', 8))]))
        third = self.write('third.pcap', support.pcap_bytes([(T0 + 2 * S, udp('10.7.7.7', 9, '10.8.8.8', 8))]))
        start = lambda *words: subprocess.Popen([support.FLOWCARVE, 'index', '-q', *words], stdin=subprocess.PIPE,
                                                stderr=subprocess.PIPE, cwd=self.folder, env=support.environment())
        for db in ('y.db', 'small.db'):  # a new index, and one that is there
            spool = 's-%s.pcap' % db
            with start('-d', db, '--spool', spool, '-') as first:
                while not support.has_unnamed(first.pid):
                    self.assertIsNone(first.poll())
                    time.sleep(.001)
                r = index(db, 'third.pcap', cwd=self.folder, ok=2)
                self.assertRegex(r.err, r'process %d, since' % first.pid)
                self.assert_says(r, '--wait')
                with start('-d', db, '--wait', 'third.pcap') as second, start('-d', db, '--wait', 'third.pcap') as stopped:
                    time.sleep(.3)
                    self.assertEqual((second.poll(), stopped.poll()), (None, None))
                    stopped.terminate()
                    _, err = stopped.communicate(timeout=30)
                    self.assertEqual((stopped.returncode, b'interrupted' in err), (-15, True), err)
                    first.communicate(support.read_bytes(other), timeout=30)
                    _, err = second.communicate(timeout=30)
                    self.assertEqual((first.returncode, second.returncode), (0, 0), err)
            self.assertEqual(len(sessions(self.path(db), 'host 10.7.7.7')), 2)

    def test_version(self):
        for word in ('--version', '-V'):
            self.assertRegex(flowcarve(word).text, r'^flowcarve \d+\.\d+\.\d+\n$')

    def test_help_names_every_option_of_the_contract(self):
        for command, options in (('index', '--db --jobs --fields --filter --exclude-net --profile --timeout --chunk-size '
                                           '--memory --quiet --verbose -d -j -q -v'),
                                 ('query', '--db --format --sort --limit --count --tz --filter-file --explain -d -q -v -F'),
                                 ('carve', '--db --write --id --tz --filter-file -w -d -q -v -F'), ('verify', '--db -d -q -v'),
                                 ('packets', '--db --id --read --fields --format --hex --tree --limit --direction --partial --tz '
                                             '--filter-file -d -i -r -f -x -n -F -q -v'),
                                 ('follow', '--db --id --direction --format --write --partial -d -i -f -w -q -v'),
                                 ('forget', '--db --before --gone --keep-sessions -d -q -v')):
            words = flowcarve(command, '--help').text.replace(',', ' ').split()
            for o in options.split():
                self.assertIn(o, words, command)

    def test_manual_page_has_the_options_of_the_help(self):
        """Both name the same options of each command, and the same words of the filter language."""
        page = support.read_bytes(os.path.join(support.ROOT, 'docs', 'flowcarve.1')).decode().replace('\\-', '-')
        sections = dict(part.split('\n', 1) for part in page.split('\n.SH ')[1:])
        option = re.compile(r'(?<![\w-])--?[a-z][a-z-]*')
        of_all = set(option.findall(sections['OPTIONS OF ALL COMMANDS'])) & {'-d', '--db', '-h', '--help'}
        self.assertEqual(len(of_all), 4)
        for command in ('index', 'watch', 'capture', 'query', 'top', 'stats', 'packets', 'follow', 'carve', 'verify', 'files', 'forget', 'status', 'cache', 'serve', 'export', 'cluster'):
            text = flowcarve(command, '--help').text
            shown = {o for left in re.findall(r'^ {2,6}(-.*?)(?:  |$)', text, re.M) for o in option.findall(left)}
            heads = re.findall(r'^\.TP\n(.*)', sections['FLOWCARVE ' + command.upper()], re.M)
            told = {o for head in heads for o in option.findall(head)}
            self.assertEqual(shown, told | (of_all if command not in ('cache', 'cluster') else {'-h', '--help'}), command)
        filters = support.read_bytes(os.path.join(support.ROOT, 'docs', 'flowcarve-filter.7')).decode()
        filters = re.sub(r'\\f\w', '', filters.replace('\\-', '-'))
        words = re.findall(r'^ {2,4}([a-z].*)$', flowcarve('query', '--help').text.split('FILTER is')[1], re.M)
        for word in set(re.findall(r'\b[a-z][a-z0-9-]+\b', ' '.join(words))) - {'each', 'also', 'with', 'in', 'front', 'as', 'unless',
                                                                              'zone', 'is', 'given'}:
            self.assertRegex(filters, r'\b%s\b' % word)

    def test_wrong_usage(self):
        for name, words in (
                ('unknown-command', ['quary']), ('unknown-option', ['query', '--formta', 'json']),
                ('unknown-option-far', ['query', '--xyzzy']), ('unknown-option-filter', ['query', '--id', '3']),
                ('unknown-option-short', ['query', '--xx']), ('unknown-option-other', ['serve', '--port', '80']), ('unknown-option-format', ['query', '--csv']),
                ('unknown-option-carve', ['carve', '--csv']), ('option-in-front', ['-d', 'small.db', 'query']), ('unknown-letter', ['index', '-z']),
                ('option-without-value', ['query', '--format']), ('option-with-value', ['query', '--count=3']),
                ('bad-jobs', ['index', '-j', '0', 'small.pcap']), ('bad-chunk', ['index', '--chunk-size', '1k', 'small.pcap']),
                ('bad-memory', ['index', '--memory', '1M', 'small.pcap']), ('bad-limit', ['query', '--limit', '-1']),
                ('bad-format', ['query', '-d', 'small.db', '--format', 'xml']),
                ('bad-sort', ['query', '-d', 'small.db', '--sort', 'colour']),
                ('bad-sort-order', ['query', '-d', 'small.db', '--sort', 'start:down']),
                ('bad-carve-format', ['carve', '-d', 'small.db', '--format', 'json', '-w', 'o']),
                ('bad-profile', ['index', '-d', 'y.db', '--profile', 'shark', 'small.pcap']),
                ('bad-timeout', ['index', '-d', 'y.db', '--timeout', 'tpc=3', 'small.pcap']),
                ('bad-timeout-value', ['index', '-d', 'y.db', '--timeout', 'tcp=soon', 'small.pcap']),
                ('bad-fields', ['index', '-d', 'y.db', '--fields', 'mac,colour', 'small.pcap']),
                ('bad-key', ['index', '-d', 'y.db', '--key', 'mac', 'small.pcap']),
                ('bad-exclude', ['index', '-d', 'y.db', '--exclude-net', '10.0.0.0/33', 'small.pcap']),
                ('forget-nothing', ['forget', '-d', 'small.db']), ('forget-when', ['forget', '-d', 'small.db', '--before', 'soon']),
                ('forget-what', ['forget', '-d', 'small.db', 'missing.pcap']),
                ('index-nothing', ['index', '-d', 'y.db']), ('verify-words', ['verify', '-d', 'small.db', 'tcp']),
                ('follow-nothing', ['follow', '-d', 'small.db']), ('follow-several', ['follow', '-d', 'small.db', 'udp or tcp']),
                ('packets-fields', ['packets', '-d', 'small.db', '--fields', 'ttl,colour']),
                ('packets-zeek', ['packets', '-d', 'small.db', '-f', 'zeek']),
                ('packets-hex', ['packets', '-d', 'small.db', '-xf', 'csv']),
                ('follow-direction', ['follow', '-d', 'small.db', '1', '--direction', 'up']),
                ('carve-nowhere', ['carve', '-d', 'small.db', 'tcp']), ('no-index', ['query', '-d', 'missing.db']),
                ('no-capture', ['index', '-d', 'y.db', 'missing.pcap']),
                ('empty-index', ['index', '-d', '', 'small.pcap']), ('empty-output', ['carve', '-d', 'small.db', '--write=']),
                ('empty-capture', ['index', '-d', 'y.db', 'small.pcap', '']),
                ('output-twice', ['carve', '-d', 'small.db', '-w', 'x.pcap', '-w', 'y.pcap']),
                ('count-bad-sort', ['query', '-d', 'small.db', '--count', '--sort', 'colour'])):
            with self.subTest(name):
                self.golden('usage-' + name, *words, ok=2)
                self.assertEqual(self.listing(), ['small.db', 'small.pcap'], 'something was made')

    def test_a_filter_that_libpcap_does_not_understand(self):
        """The words are libpcap's, and differ between its versions."""
        r = index('y.db', '--filter', 'tcp prot 3', 'small.pcap', cwd=self.folder, ok=2)
        self.assert_says(r, 'tcp prot 3')
        self.assertEqual(self.listing(), ['small.db', 'small.pcap'])

    def test_without_libpcap(self):
        """It is loaded by what wants it: where it cannot be, that fails with a reason, and nothing else does."""
        name = ctypes.util.find_library('pcap')
        if not name:
            self.skipTest('no libpcap that could be hidden')
        self.write('lib/' + name, b'')
        env = {'LD_LIBRARY_PATH': self.path('lib')}
        self.assert_says(index('y.db', '--filter', 'tcp', 'small.pcap', cwd=self.folder, env=env, ok=2),
                         'libpcap cannot be loaded')
        self.assertEqual(self.listing(), ['lib', 'small.db', 'small.pcap'])
        index('y.db', '-q', 'small.pcap', cwd=self.folder, env=env)
        self.assertEqual(len(sessions(self.path('y.db'), 'tcp', env=env)), len(sessions(self.path('small.db'), 'tcp')))
        flowcarve('carve', '-d', 'y.db', 'udp', '-w', 'udp.pcap', cwd=self.folder, env=env)
        r = flowcarve('verify', '-v', '-d', self.path('y.db'), env=env, ok=2)  # half of what it promises
        self.assertIn('libpcap cannot be loaded', r.text)
        self.assertRegex(r.err, '^flowcarve: libpcap cannot be loaded: .*\n$')
        self.assertIn('19 records = 19 in sessions', r.text)

    def test_filter_errors(self):
        for name, words in (
                ('word', 'tcp and prot 80'), ('value', 'port http80 and tcp'), ('address', 'host 10.0.0.256'),
                ('net', 'net 10.0.0.1/8'), ('range', 'portrange 80-x'), ('missing-value', 'tcp and host'),
                ('missing-operand', 'tcp and'), ('open', '( tcp or udp'), ('close', 'tcp )'), ('empty', '( )'),
                ('arithmetic', 'tcp[13] = 2'), ('port', 'port 65536'), ('state', 'state openn'), ('time', 'after yesterdayy'),
                ('date', 'before 2024-02-30'), ('id', 'id one'), ('wide', 'host 10.0.0.1 or ünïcode'), ('vlan', 'vlan 42'),
                ('community', 'tcp and community-id 1:LQU9qZlK+B5F3KDmev6m5PMibr='), ('sql', "host 1' or 1=1 --"), ('qualifier', 'icmp port 80'),
                ('wireshark', 'ip.addr == 10.0.0.6 and tcp.port == 443'), ('sign', 'state = new'), ('application', 'tcp and dns'),
                ('shell', 'tcp and bytes'), ('unit', 'duration over 5M'), ('payload', 'payload over 1k'), ('list', 'port 80,')):
            with self.subTest(name):
                r = self.golden('filter-' + name, 'query', '-d', 'small.db', '--', words, ok=2)
                self.assertEqual(r.out, b'')
                if name in ('vlan', 'payload'):
                    continue  # nothing wrong with the words: the index was made without the field
                text, caret = r.err.splitlines()[1:3]
                self.assertEqual(text.strip(), words)
                at = caret.index('^')
                self.assertEqual(set(caret), {' ', '^'} | ({'~'} if '~' in caret else set()))
                marked = text[at:at + len(caret) - at]
                self.assertTrue(marked.strip() or at == len(text), 'marks nothing: %r' % marked)
        # the same in carve, where --id adds words of its own
        r = flowcarve('carve', '-d', 'small.db', '-w', '-', 'port', 'http80', cwd=self.folder, ok=2)
        self.assertEqual(r.err.splitlines()[2].index('^'), r.err.splitlines()[1].index('http80'))

    def test_words_and_options_in_any_order(self):
        want = flowcarve('query', '-d', 'small.db', '--format', 'csv', 'tcp and port 443', cwd=self.folder).out
        self.assertTrue(want.count(b'\n') > 1)
        for words in (['tcp', 'and', '-d', 'small.db', 'port', '443', '--format', 'csv'],
                      ['--format=csv', 'tcp and', '-dsmall.db', '--', 'port 443'], ['tcp and port 443', '-fcsv', '--db=small.db'],
                      ['-d', 'small.db', '-f', 'csv', '--', 'tcp', 'and', 'port', '443']):
            self.assertEqual(flowcarve('query', *words, cwd=self.folder).out, want, words)
        flowcarve('query', '-d', 'small.db', '--', '--count', cwd=self.folder, ok=2)  # a word, and no good one

    def test_where_the_index_is(self):
        count = lambda *w, **env: flowcarve('query', '-c', *w, cwd=self.folder, env=env, ok=(0, 2))
        self.assertEqual(count('-d', 'small.db').rc, 0)
        self.assertEqual(count(FLOWCARVE_DB='small.db').rc, 0)
        self.assertEqual(count('-d', 'small.db', FLOWCARVE_DB='missing.db').rc, 0, '-d goes before the environment')
        self.assertEqual(count(FLOWCARVE_DB='missing.db').rc, 2)
        self.assert_says(count(), 'flowcarve.db')
        self.assert_says(count(FLOWCARVE_DB=''), 'flowcarve.db')
        flowcarve('index', '-q', 'small.pcap', cwd=self.folder)
        self.assertEqual(count().rc, 0)
        flowcarve('verify', '-q', cwd=self.folder)
        flowcarve('carve', '-w', 'o.pcap', cwd=self.folder)
        self.assertEqual(self.listing(), ['flowcarve.db', 'o.pcap', 'small.db', 'small.pcap'])

    def test_exit_status(self):
        for words, rc in ((['query', 'tcp'], 0), (['query', 'sctp'], 1), (['query', 'sctp', '--count'], 1),
                          (['query', 'tcp', '--limit', '0'], 1), (['query', 'tpc'], 2), (['carve', 'sctp', '-w', '-'], 1),
                          (['carve', 'tcp', '-w', 'o.pcap'], 0), (['verify'], 0), (['nothing'], 2), (['forget', '--gone'], 1)):
            self.assertEqual(flowcarve(words[0], '-d', 'small.db', *words[1:], cwd=self.folder, ok=None).rc, rc, words)

    def test_quiet_and_verbose(self):
        r = index('q.db', '-q', 'small.pcap', cwd=self.folder)
        self.assertEqual((r.out, r.err), (b'', ''))
        r = index('n.db', 'small.pcap', cwd=self.folder)
        self.assertEqual(r.out, b'', 'standard output is for results')
        self.assert_says(r, '19 records = 19 packets in sessions + 0 ignored')
        r = flowcarve('carve', '-d', 'small.db', '-w', 'o.pcap', '-q', cwd=self.folder)
        self.assertEqual((r.out, r.err), (b'', ''))
        r = flowcarve('verify', '-d', 'small.db', '-q', cwd=self.folder)
        self.assertEqual((r.out, r.err), (b'', ''))

    # ---- results

    def test_formats_are_golden(self):
        for name in ('json', 'csv', 'tsv', 'table'):
            self.golden('query-' + name, 'query', '-d', 'small.db', '--format', name)
        index('all.db', '-q', '--fields', 'all', 'small.pcap', cwd=self.folder)
        for name in ('json', 'csv', 'tsv'):
            self.golden('query-all-' + name, 'query', '-d', 'all.db', '--format', name)
        self.golden('query-community-table', 'query', '-d', 'small.db', '-f', 'table', '--community-id', 'ip')
        # not on a terminal: tsv
        self.assertEqual(flowcarve('query', '-d', 'small.db', cwd=self.folder).out,
                         flowcarve('query', '-d', 'small.db', '-f', 'tsv', cwd=self.folder).out)

    def on_terminal(self, *words, columns=0, ok=0, **env):
        """What a command writes to a terminal of that width that all of its output goes to."""
        ours, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        with subprocess.Popen([support.FLOWCARVE, *words], stdin=subprocess.DEVNULL, stdout=its, stderr=its,
                              cwd=self.folder, env=support.environment(**env)) as p:
            os.close(its)
            out = b''
            with contextlib.suppress(OSError):  # the end of a terminal is an error
                while data := os.read(ours, 65536):
                    out += data
        os.close(ours)
        self.assertEqual(p.returncode, ok, out)
        return out.decode().replace('\r\n', '\n')

    def test_on_a_terminal(self):
        table = flowcarve('query', '-d', 'small.db', '--format', 'table', cwd=self.folder).text
        full = max(map(len, table.splitlines()))
        table += '11 sessions, 945 B\n'  # for people alone
        self.assertEqual(self.on_terminal('query', '-d', 'small.db', columns=full, NO_COLOR='1'), table)
        colored = self.on_terminal('query', '-d', 'small.db', columns=full)
        self.assertTrue(colored.startswith('\033[1m'))
        self.assertEqual(re.sub('\033\\[[0-9]*m', '', colored), table)
        narrow = self.on_terminal('query', '-d', 'small.db', columns=full - 1, NO_COLOR='1')
        self.assertLess(max(map(len, narrow.splitlines())), full)
        self.assertEqual(len(narrow.splitlines()), len(table.splitlines()))
        tsv = flowcarve('query', '-d', 'small.db', '--format', 'tsv', cwd=self.folder).text
        self.assertEqual(flowcarve('query', '-d', 'small.db', cwd=self.folder).text, tsv)  # no terminal
        self.assertEqual(self.on_terminal('query', '-d', 'small.db', '--format', 'tsv'), tsv)
        self.assertIn('terminal', self.on_terminal('carve', '-d', 'small.db', '-w', '-', ok=2))

    def test_the_table_shows_what_is_asked_about(self):
        """A column that the filter or --sort names is there, however narrow the terminal is."""
        index('all.db', '-q', '--fields', 'all', 'small.pcap', cwd=self.folder)
        for words, title in ((['vlan'], 'VLAN'), (['ether', 'host', '02:00:00:00:00:01'], 'MAC'), (['not', 'tunnel'], 'TUNNEL'),
                             (['state', 'new'], 'STATE'), (['packets over 0'], 'PACKETS'), (['bytes over 1'], 'BYTES'),
                             (['duration under 1h'], 'DURATION'), (['--sort', 'client_ttl'], 'TTL'), (['--sort', 'end:desc'], 'END'),
                             (['community-id', '1:DPHASEf6oeJpOcnJgBVZoqs71F4='], 'COMMUNITY-ID')):
            for columns in (20, 80, 100, 200):
                head = self.on_terminal('query', '-d', 'all.db', *words, columns=columns, NO_COLOR='1').split('\n')[0]
                self.assertIn(title, head, words)
        # computed where the index does not hold it
        table = flowcarve('query', '-d', 'small.db', '-f', 'table', 'community-id 1:DPHASEf6oeJpOcnJgBVZoqs71F4=', cwd=self.folder)
        self.assertIn('  1:DPHASEf6oeJpOcnJgBVZoqs71F4=\n', table.text)
        for columns in (80, 100):  # what fits is no wider
            table = self.on_terminal('query', '-d', 'small.db', columns=columns, NO_COLOR='1')
            self.assertLessEqual(max(map(len, table.splitlines())), columns)
            self.assertIn('DURATION', table)
            self.assertRegex(table, r'\b11-14 22:13:20\b')

    def test_progress_is_for_terminals(self):
        self.fcgen('p.pcap', '--packets', '200000', '--sizes', 'small')
        words = ['index', '-d', 'p.db', '--jobs', '1', '--chunk-size', '64k', '--memory', '16M', 'p.pcap']
        os.mkfifo(self.path('fifo'))
        # a stream that waits, so that there is time to draw
        feed = subprocess.Popen('(sleep .7; cat p.pcap) > fifo', shell=True, cwd=self.folder)
        out = self.on_terminal(*words[:-1], '--spool', 's.pcap', 'fifo')
        feed.wait()
        self.assertRegex(out, r'^\r\033\[Klooking\r')
        self.assertRegex(out, r'\r\033\[K17.9 MB and 200,000 packets in .*\n1 file, ')  # it is gone in the end
        os.remove(self.path('p.db'))
        self.assertEqual(self.on_terminal(*words[:1], '-q', *words[1:]), '')
        os.remove(self.path('p.db'))
        self.assertNotIn('\033', flowcarve(*words, cwd=self.folder).err)

    def rows(self, db, form, *words):
        """Rows of a format as the texts of csv; None where there is nothing."""
        out = flowcarve('query', '-d', self.path(db), '--format', form, *words).text
        if form == 'json':
            return [{k: None if v is None else v if isinstance(v, str) else str(v) for k, v in json.loads(
                l, parse_float=str, parse_int=str).items()} for l in out.splitlines()]
        rows = csv.DictReader(io.StringIO(out), dialect='excel' if form == 'csv' else 'excel-tab')
        return [{k: v or None for k, v in r.items()} for r in rows]

    def test_keys_and_values_agree_everywhere(self):
        """JSON, CSV, TSV and `select * from sessions` say the same, with the keys of the contract in their order."""
        f = self.fcgen('c.pcap', '--packets', '3000', '--sessions', '300', '--vlan', '30', '--ipv6', '40')
        far = support.option('<', 14, struct.pack('<q', -2 * 10**9)) + support.option('<', 9, b'\x09')
        self.write('before-1970.pcapng', support.shb() + support.idb(options=far) + b''.join(
            support.epb('<', 0, T0 + ns, udp('10.1.2.3', 1 + i, '10.1.2.4', 2))
            for i, ns in enumerate((0, 1, 999_999_999, 7 * S + 400_000_000))))
        tool = support.shutil.which('sqlite3')
        for fields in ('', 'all', 'vlan', 'mac,ttl', 'isn,tcp-flags,payload', 'mpls,dscp', 'tunnel', 'community-id'):
            with self.subTest(fields=fields):
                db = 'f%s.db' % fields
                index(self.path(db), '-q', *(['--fields', fields] if fields else []), f[0], self.path('small.pcap'),
                      self.path('before-1970.pcapng'))
                rows = self.rows(db, 'json')
                keys = list(rows[0])
                self.assertEqual(keys[:len(support.KEYS)], support.KEYS)
                names = {'mac': ['client_mac', 'server_mac'], 'ttl': ['client_ttl', 'server_ttl'], 'vlan': ['vlan'],
                         'isn': ['client_isn', 'server_isn'], 'tcp-flags': ['client_tcp_flags', 'server_tcp_flags'],
                         'payload': ['client_payload', 'server_payload'], 'mpls': ['mpls'], 'tunnel': ['tunnel'],
                         'dscp': ['client_dscp', 'server_dscp'], 'community-id': ['community_id']}
                chosen = OPTIONAL if fields == 'all' else [k for w in fields.split(',') if w for k in names[w]]
                self.assertEqual(keys[len(support.KEYS):], [k for k in OPTIONAL if k in chosen])
                self.assertEqual(self.rows(db, 'csv'), rows)
                self.assertEqual(self.rows(db, 'tsv'), rows)
                with support.open_db(self.path(db)) as c:
                    c.row_factory = sqlite3.Row
                    view = [dict(r) for r in c.execute('SELECT * FROM sessions ORDER BY id')]
                self.assertEqual(list(view[0]), support.KEYS + OPTIONAL)
                for r in rows:
                    r['duration'] = r['duration'] and float(r['duration'])  # a number in the view, without zeros behind
                self.assertEqual([{k: r[k] if r[k] is None or k == 'duration' else str(r[k]) for k in keys} for r in view],
                                 rows)
                if tool:
                    out = support.run(tool, '-csv', '-header', self.path(db), 'select * from sessions order by id').text
                    got = [{k: r[k] or None for k in keys} for r in csv.DictReader(io.StringIO(out))]
                    for r in got:
                        r['duration'] = r['duration'] and float(r['duration'])
                    self.assertEqual(got, rows)
                long = 'SELECT count(*) FROM sessions WHERE duration > 9'
                self.assertEqual(support.select(self.path(db), long), [(sum((r['duration'] or 0) > 9 for r in rows),)])

    def test_json_is_json(self):
        jq = support.tool('jq')
        out = flowcarve('query', '-d', self.path('small.db'), '--format', 'json').out
        self.write('out.json', out)
        got = support.run(jq, '-r', '.id, .proto, .client_addr, .duration', self.path('out.json')).text
        self.assertEqual(got.count('\n'), 4 * len(sessions(self.path('small.db'))))

    def test_sort_limit_count(self):
        f = self.fcgen('c.pcap', '--packets', '3000', '--sessions', '300')
        db = self.path('x.db')
        index(db, '-q', *f)
        rows = sessions(db)
        self.assertEqual([r['id'] for r in rows], sorted(r['id'] for r in rows), 'by id unless told')
        for key in support.KEYS:
            for order in ('', ':desc', ':asc'):
                r = flowcarve('query', '-d', db, '--format', 'json', '--sort', key + order, ok=(0, 2))
                if r.rc:
                    self.assertEqual(order, ':asc', str(r))
                    continue
                got = [json.loads(l) for l in r.text.splitlines()]
                self.assertEqual(sorted(g['id'] for g in got), [x['id'] for x in rows], key)
                if not key.endswith('addr'):
                    values = [float(g[key]) if key == 'duration' else g[key] for g in got if g[key] is not None]
                    if order == ':desc':
                        values.reverse()
                    if key not in ('proto', 'state'):
                        self.assertEqual(values, sorted(values), key + order)
        self.assertEqual(sessions(db, '--sort', 'bytes:desc', '--limit', '1')[0]['id'],
                         max(rows, key=lambda s: s['client_bytes'] + s['server_bytes'])['id'])
        self.assertEqual(sessions(db, '--limit', '7'), rows[:7])
        for format, lines in (('json', 0), ('csv', 1), ('tsv', 1)):
            r = flowcarve('query', '-d', db, '--format', format, '--limit', '0', ok=1)
            self.assertEqual(len(r.text.splitlines()), lines)
        self.assertEqual(flowcarve('query', '-d', db, '--count', '--limit', '0', ok=1).text, '0\n')
        for words in ([], ['tcp'], ['host 10.0.0.1'], ['not udp']):
            self.assertEqual(int(flowcarve('query', '-d', db, '--count', *words).text), len(sessions(db, *words)))
        self.assertEqual(flowcarve('query', '-d', db, '--count', 'port', '1', ok=1).text, '0\n')

    def test_what_the_balance_says(self):
        """Nothing is dropped in silence: what --filter and --exclude-net leave out is counted, and verify knows."""
        r = index(self.path('x.db'), '--exclude-net', '198.51.100.0/24,2001:db8::/32', self.path('small.pcap'))
        self.assert_says(r, '19 records = 9 packets in sessions + 10 ignored')
        r = flowcarve('verify', '-d', self.path('x.db'))
        self.assertIn('19 records = 9 in sessions + 10 ignored', r.text)
        r = index(self.path('y.db'), '--filter', 'udp', self.path('small.pcap'))
        self.assert_says(r, '19 records = 2 packets in sessions + 17 ignored')
        flowcarve('verify', '-d', self.path('y.db'))

    def test_one_is_not_many(self):
        """Messages count in words that fit: of everything one, and of everything two."""
        for n, file, record, packet, session, extent, known, passed in (
                (1, 'file', 'record', 'packet', 'session', 'range', 'was indexed before and is unchanged',
                 'which is no capture or comes twice (-v names it)'),
                (2, 'files', 'records', 'packets', 'sessions', 'ranges', 'were indexed before and are unchanged',
                 'which are no captures or come twice (-v names them)')):
            folder, db = self.path('of%d' % n), self.path('of%d.db' % n)
            os.mkdir(folder)
            for i in range(n):
                f = self.write('of%d/%d.pcap' % (n, i), support.pcap_bytes(
                    [(T0 + i * S, support.eth(b'\x45\0\0'))]) + b'\xff' * 100)  # a broken packet, and damage behind it
                self.write('of%d/%d.txt' % (n, i), b'no capture')
            r = index(db, '-v', folder)
            self.assertRegex(r.err, r'(?m)^%d %s, \d+ B: %d %s = %d %s in sessions \+ 0 ignored$'
                             % (n, file, n, record, n, packet))
            self.assertRegex(r.err, r'(?m)^%d %s new, 0 continued; %d %s malformed; %d %s damaged, %d %s not read$'
                             % (n, session, n, record, n, file, n, extent))
            self.assertRegex(r.err, r'; 0 chunks read twice, at most %d %s at a time' % (n, 'flows' if n > 1 else 'flow'))
            r = index(db, folder)
            self.assertRegex(r.err, r'(?m)^0 files, 0 B: 0 records = 0 packets in sessions \+ 0 ignored$')
            self.assertRegex(r.err, r'(?m)^%d %s %s$' % (n, file, known))
            self.assertIn('\n%d %s passed over, %s\n' % (n, file, passed), r.err)
            r = flowcarve('verify', '-d', db)
            self.assertRegex(r.text, r'(?m)^%d %s = %d in sessions \+ 0 ignored; %d %s$' % (n, record, n, n, session))
            r = flowcarve('carve', '-d', db, '-w', self.path('o.pcap'))
            self.assertRegex(r.err, r'^%d %s of %d %s carved, ' % (n, packet, n, session))
            os.remove(f)
            r = flowcarve('carve', '--partial', '-d', db, '-w', self.path('o.pcap'), ok=2 if n == 1 else 0)
            self.assertIn('; 1 packet missing\n', r.err)

    def test_lists_may_come_in_several_options(self):
        small, together, apart = self.path('small.pcap'), self.path('t.db'), self.path('a.db')
        index(together, '-q', '--exclude-net', '198.51.100.0/24,2001:db8::/32', '--fields', 'mac,ttl', '--timeout',
              'tcp=5,udp=6', '--key', 'vlan,tunnel', small)
        index(apart, '-q', '--exclude-net', '198.51.100.0/24', '--fields', 'mac', '--exclude-net', '2001:db8::/32',
              '--timeout', 'tcp=5', '--key', 'vlan', '--fields', 'ttl', '--timeout', 'udp=6', '--key', 'tunnel', small)
        dump = "SELECT * FROM sessions"
        self.assertEqual(support.select(apart, dump), support.select(together, dump))
        self.assertGreater(support.select(apart, 'SELECT sum(ignored) FROM files')[0][0], 0)
        self.assert_says(index(self.path('b.db'), '--filter', 'tcp', '--filter', 'udp', small, ok=2), '--filter', 'once')
        a, b = self.path('a.pcap'), self.path('b.pcap')
        flowcarve('carve', '-d', apart, '-i', '1', '--id', '3', '-w', a)
        flowcarve('carve', '-d', apart, '--id', '1,3', '-w', b)
        self.assertEqual(support.read_bytes(a), support.read_bytes(b))

    def test_sessions_that_are_not_there_are_told(self):
        db, out = self.path('x.db'), self.path('o.pcap')
        index(db, '-q', self.path('small.pcap'))
        for ids, missing in (('1,99999', '99999'), ('1,01,2', ''), ('2', ''), ('99999,2,0,88888-99998,1-3', '0, 88888-99998, 99999'),
                             ('1,' + ','.join(map(str, range(100, 113))), ', 109 and 3 more')):
            r = flowcarve('carve', '-d', db, '--id', ids, '-w', out)
            self.assertEqual('not in the index' in r.err, bool(missing), r)
            self.assertTrue(not missing or r.err.endswith(missing + '\n'), r)
            self.assertTrue(not missing or 'warning: not in the index: ' in r.err, r)
        os.remove(out)
        r = flowcarve('carve', '-d', db, '--id', '99998,99999', '-w', out, ok=1)
        self.assertEqual(r.err, 'flowcarve: no session matches; not in the index: 99998, 99999\n')
        r = flowcarve('carve', '-d', db, '--id', '1', 'udp', '-w', out, ok=1)
        self.assertEqual(r.err, 'flowcarve: no session matches\n')
        self.assertFalse(os.path.exists(out))

    def test_a_partial_carve_of_nothing_leaves_no_file(self):
        db, out = self.path('x.db'), self.path('o.pcap')
        index(db, '-q', self.path('small.pcap'))
        os.remove(self.path('small.pcap'))
        r = flowcarve('carve', '-d', db, '--partial', 'tcp', '-w', out, ok=2)
        self.assert_says(r, 'nothing was carved')
        self.assertFalse(os.path.exists(out))
        support.write(out, b'before')
        flowcarve('carve', '-d', db, '--partial', 'tcp', '-w', out, ok=2)
        self.assertEqual(support.read_bytes(out), b'before')

    def test_link_addresses_that_the_index_lacks_are_not_asked_for(self):
        db = self.path('x.db')
        index(db, '-q', self.path('small.pcap'))
        for text in ('ether host 02:00:00:00:00:01', 'not ether src 02:00:00:00:00:01'):
            self.assert_says(flowcarve('query', '-d', db, text, ok=2), '--fields mac')

    def test_filter_of_the_index_against_tcpdump(self):
        tcpdump = support.tool('tcpdump')
        f, = self.fcgen('c.pcap', '--packets', '3000', '--sessions', '300', '--vlan', '0')
        for text in ('tcp', 'host 10.0.0.1 or arp', 'tcp[13] & 2 != 0', 'len > 200 and not ip6', 'vlan', 'greater 1000'):
            db = self.path('x.db')
            index(db, '-q', '--filter', text, f)
            want = support.run(tcpdump, '-n', '-r', f, '-w', '-', text).out
            self.assertEqual([support.key_of(r) for r in self.carved(db, ok=(0, 1))],
                             [support.key_of(r) for r in support.parse_capture(want)], text)
            support.verify(db)
            os.remove(db)


if __name__ == '__main__':
    if BLESS:
        sys.argv.remove('--bless')
    support.main()
