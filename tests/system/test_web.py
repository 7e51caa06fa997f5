# SPDX-License-Identifier: MIT
"""The page of `flowcarve serve` in a real browser: tests/web/page.mjs drives Debian's chromium by playwright-core.

Environment: FLOWCARVE_WEB_TOOLS (default: build/web of this checkout), where `./dev` puts npm's packages;
FLOWCARVE_SCREENSHOTS (default: screenshots beside them), where pictures of all screens go.
"""
import hashlib, json, os, re, shutil, subprocess, sys, tempfile, unittest
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import support as s

TOOLS = os.environ.get('FLOWCARVE_WEB_TOOLS') or os.path.join(s.ROOT, 'build/web')
MODULES = os.path.join(TOOLS, 'node_modules')
SCREENSHOTS = os.environ.get('FLOWCARVE_SCREENSHOTS') or os.path.join(TOOLS, 'screenshots')
PAGE = os.path.join(s.ROOT, 'tests/web/page.mjs')
WEB = os.path.join(s.ROOT, 'src/serve/web')
MARKUP = '<img src=x onerror=window.hacked=1>'


def hostile():
    """A connection whose payload is markup, text of turned direction and no text at all, and of which 1000 bytes are missing."""
    c, v = ('10.9.9.1', 40000), ('10.9.9.2', 80)
    ask = b'GET /<script>window.hacked=1</script> HTTP/1.1\r\nX: \xff\xfe\x00\x1b[31m\r\n\r\n'
    answer = ('HTTP/1.1 200 OK\r\n\r\n%s abc\u202ecba' % MARKUP).encode()
    steps = [(c, v, 'S', 99, 0, b''), (v, c, 'SA', 199, 100, b''), (c, v, 'A', 100, 200, b''), (c, v, 'PA', 100, 200, ask),
             (v, c, 'PA', 200, 100 + len(ask), answer), (v, c, 'PA', 1200 + len(answer), 100 + len(ask), b'behind the gap'),
             (c, v, 'A', 100 + len(ask), 1214 + len(answer), b'')]
    return [(s.T0 + i * s.S // 10, s.tcp(*a, *b, flags, seq, ack, data)) for i, (a, b, flags, seq, ack, data) in enumerate(steps)]


def spread(step):
    """11 sessions, `step` ns apart."""
    return s.pcap_bytes([(s.T0 + i * step, s.udp('10.1.0.%d' % i, 1000, '10.2.0.1', 53, b'?')) for i in range(11)], magic=0xa1b23c4d)


class Vendored(unittest.TestCase):
    """What the page takes from others is what npm has, and what its README says of it."""

    def test_files_are_those_of_npm(self):
        text = s.read_bytes(os.path.join(WEB, 'vendor/README.md')).decode()
        rows = re.findall(r'^(\S+\.(?:js|css)) +(\S+) +(\S+) +(\S+) .*([0-9a-f]{64})$', text, re.M)
        self.assertEqual(sorted(r[0] for r in rows), sorted(f for f in os.listdir(os.path.join(WEB, 'vendor')) if not f.endswith('.md')))
        compared = 0
        for name, package, version, path, sha in rows:
            data = s.read_bytes(os.path.join(WEB, 'vendor', name))
            self.assertEqual(hashlib.sha256(data).hexdigest(), sha, name)
            folder = os.path.join(MODULES, package)
            if os.path.isdir(folder):
                self.assertEqual(json.loads(s.read_bytes(os.path.join(folder, 'package.json')))['version'], version)
                self.assertEqual(data, s.read_bytes(os.path.join(folder, path)), name)
                compared += 1
        if not compared:
            self.skipTest('no packages of npm in %s: hashes alone were compared' % MODULES)

    def test_nothing_makes_markup_of_text(self):
        for name in os.listdir(WEB):
            if name.endswith('.js'):
                text = s.read_bytes(os.path.join(WEB, name)).decode()
                for word in ('innerHTML', 'outerHTML', 'insertAdjacentHTML', 'document.write', 'eval(', 'new Function', 'style="'):
                    self.assertNotIn(word, text, name)


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        node, browser = s.tool('node'), shutil.which('chromium') or s.tool('chromium-browser')
        if not os.path.isdir(os.path.join(MODULES, 'playwright-core')):
            raise unittest.SkipTest('no playwright-core in %s: ./dev test web puts it there' % MODULES)
        if s.run(s.FLOWCARVE, 'serve', '--help', ok=None).rc:
            raise unittest.SkipTest('built without serve')
        cls.folder = tempfile.mkdtemp(prefix='fc-web-', dir=s.scratch())
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        at = lambda *names: os.path.join(cls.folder, *names)
        for name in ('day', 'hostile', 'spans'):
            os.mkdir(at(name))
        s.run(s.FCGEN, '--preset', 'demo', '-q', '-w', at('day', 'sample'))
        s.index(at('day.db'), '--fields', 'all', at('day'))
        s.write(at('hostile', MARKUP + '.pcap'), s.pcap_bytes(hostile()))
        s.index(at('hostile.db'), at('hostile'))
        first, second = sorted(os.listdir(at('day')))
        s.index(at('grows.db'), at('day', first))
        for name, step in (('narrow', s.S // 1000), ('wide', 365 * 86400 * s.S)):
            s.index(at(name + '.db'), s.write(at('spans', name + '.pcap'), spread(step)))
        with open(os.open(at('tokens'), os.O_WRONLY | os.O_CREAT, 0o600), 'w') as f:
            f.write('test metadata,packets %s\n' % os.urandom(16).hex())
        os.makedirs(SCREENSHOTS, exist_ok=True)
        env = s.environment(FLOWCARVE=s.FLOWCARVE, PLAYWRIGHT=os.path.join(MODULES, 'playwright-core'), CHROMIUM=browser,
                            SCREENSHOTS=SCREENSHOTS)
        p = subprocess.run([node, PAGE, cls.folder], capture_output=True, text=True, timeout=800, env=env)
        cls.results = {}
        for line in p.stdout.splitlines():
            result = json.loads(line)
            cls.results[result['name']] = result['error']
            print('%-55s %5d ms' % (result['name'], result['ms']))
        cls.err = p.stderr


def case(name):
    def test(self):
        self.assertIn(name, self.results, 'not run: ' + self.err)
        self.assertIsNone(self.results[name], self.results[name])
    return test


for name in re.findall(r'^    async (\w+)\(', s.read_bytes(PAGE).decode(), re.M):
    setattr(Page, 'test_' + name, case(name))

if __name__ == '__main__':
    s.main()
