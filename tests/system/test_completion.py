# SPDX-License-Identifier: MIT
"""What shells complete: typed into each of them, on a terminal of its own. fish answers without one."""
import os, pty, re, select, shlex, signal, subprocess, time, unittest

import support
from support import flowcarve

SECONDS = 20
# options whose argument has a name of somebody else's
FREE = {'group', 'sensor', 'user', 'on'}


def commands():
    return re.findall(r'(?m)^  (\w+) +\S', flowcarve('--help').text.split('Commands:')[1].split('\n\n')[0])


def options(command):
    """[(long name, letter or '', argument or '')]"""
    text = flowcarve(command, '--help').text
    return [(name, letter, arg) for letter, name, arg in
            re.findall(r'(?m)^  (?:-(\w), |    )--([a-z-]+)(?: (\S+))?', text) if name != 'help']


class Terminal:
    """An interactive shell that completes."""

    def __init__(self, argv, folder, setup):
        env = support.environment(TERM='dumb', HOME=folder, PS1='$ ', INPUTRC='/dev/null',
                                  PATH=os.path.dirname(support.FLOWCARVE) + ':' + os.environ['PATH'])
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(argv[0], argv, env)
        self.tell('stty -echo; ' + setup)

    def tell(self, line):
        """Types a line, and returns what it prints."""
        os.write(self.fd, line.encode() + b'; echo "en""d"\n')
        got, until = b'', time.monotonic() + SECONDS
        while not re.search(rb'end\r?\n', got):
            if not select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
                raise AssertionError('the shell does not answer: %r' % got)
            got += os.read(self.fd, 65536)
        return got.decode()

    def complete(self, text):
        """The words of the line that a tab makes of this one: it is moved behind a printf, and run."""
        got = self.tell(text + '\t\x01printf "<%s>" "" \x05')
        return re.findall(r'<([^>]*)>', re.findall(r'<>(<flowcarve>.*)', got)[-1])

    def close(self):
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Completion(support.TestCase):
    def setUp(self):
        super().setUp()
        self.write('some capture.pcap', b'')
        os.mkdir(self.path('folder'))
        for shell in ('bash', 'zsh', 'fish'):
            self.write('completion.' + shell, flowcarve('completion', shell).out)

    def assert_completes(self, shell, *pairs):
        for typed, line in pairs:
            self.assertEqual(shell.complete('flowcarve ' + typed), shlex.split('flowcarve ' + line), typed)

    def common(self, shell):
        self.assert_completes(
            shell, ('qu', 'query'), ('query --forma', 'query --format'), ('query --format js', 'query --format json'),
            ('query -f js', 'query -f json'), ('query --format=js', 'query --format=json'),
            ('top --by prot', 'top --by protocol'), ('top --by sen', 'top --by sensor'),
            ('query -C id,sens', 'query -C id,sensor'), ('query -s sens', 'query -s sensor'), ('index --fields vlan,mp', 'index --fields vlan,mpls'),
            ('index --profile zee', 'index --profile zeek'), ('query tcp and portr', 'query tcp and portrange'),
            ('query state establ', 'query state established'), ('files reloc', 'files relocate'),
            ('help follo', 'help follow'), ('completion fis', 'completion fish'),
            ('index some', "index some\\ capture.pcap"), ('query -d some', "query -d some\\ capture.pcap"),
            ('index --limit xyz', 'index --limit xyz'))

    def test_bash(self):
        shell = Terminal([support.tool('bash'), '--norc', '--noprofile', '-i'], self.folder, 'source completion.bash')
        self.addCleanup(shell.close)
        self.common(shell)

    def test_zsh(self):
        shell = Terminal([support.tool('zsh'), '-f', '-i'], self.folder,
                         'unsetopt zle_bracketed_paste prompt_cr; autoload -U compinit; compinit -u -D; source ./completion.zsh')
        self.addCleanup(shell.close)
        self.common(shell)

    def test_zsh_finds_the_installed_file(self):
        self.write('functions/_flowcarve', support.read_bytes(self.path('completion.zsh')))
        shell = Terminal([support.tool('zsh'), '-f', '-i'], self.folder,
                         'unsetopt zle_bracketed_paste prompt_cr; fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D')
        self.addCleanup(shell.close)
        self.assert_completes(shell, ('qu', 'query'), ('query --format js', 'query --format json'))

    def fish(self, text):
        """{word: help}"""
        r = support.run(support.tool('fish'), '--no-config', '-c', 'source completion.fish; complete -C $argv[1]', 'flowcarve ' + text,
                        cwd=self.folder, env={'HOME': self.folder})
        self.assertEqual(r.err, '')
        return dict((line + '\t').split('\t')[:2] for line in r.text.splitlines())

    def test_fish(self):
        self.assertEqual(set(self.fish('')) - {'folder/', 'some capture.pcap'}, set(commands()) | {'help', 'completion'})
        self.assertEqual(set(self.fish('query --format ')), set('table json csv tsv zeek'.split()))
        self.assertEqual(set(self.fish('query --format=js')), {'--format=json'})
        self.assertIn('vlan,mpls', self.fish('index --fields vlan,'))
        self.assertIn('portrange', self.fish('query tcp and p'))
        self.assertEqual(set(self.fish('query state ')), set('new established closed reset rejected midstream'.split()))
        self.assertEqual(set(self.fish('files rel')), {'relocate'})
        self.assertIn('some capture.pcap', self.fish('index so'))
        self.assertNotIn('some capture.pcap', self.fish('query so'))
        self.assertEqual(self.fish('query --expl')['--explain'][:16], 'list no sessions')

    def test_every_option_of_the_help_is_there(self):
        bash, zsh, fish = (support.read_bytes(self.path('completion.' + s)).decode() for s in ('bash', 'zsh', 'fish'))
        self.assertGreater(len(commands()), 8)
        for command in commands():
            words = set(re.search(r"(?m)^    %s\)\n        options='(.*)'" % command, bash).group(1).split())
            part = re.search(r'(?ms)^    %s\)\n        _arguments.*?;;' % command, zsh).group()
            self.assertEqual(words - {'--help'}, {'--' + name for name, _, _ in options(command)}, command)
            for name, letter, arg in options(command):
                self.assertRegex(part, r'--%s[=\[}]' % name)
                self.assertRegex(fish, r"(?m)_is %s' -l %s%s " % (command, name, ' -s ' + letter if letter else ''))
                if arg == 'NAME' and name not in FREE:
                    self.assertTrue(re.search(r"'%s --%s'.*_flowcarve_\w+ '" % (command, name), bash),
                                    '%s --%s: say in .values of the command which names it takes' % (command, name))

    def test_words_that_are_offered_are_taken(self):
        """By the program itself, which has its own lists."""
        db = self.path('i.db')
        support.index(db, '-q', '--fields', 'all', *self.fcgen('t', '--packets', '300', '--sessions', '20'))
        script = support.read_bytes(self.path('completion.bash')).decode()
        # what another run would need besides; of top some columns are those of one grouping alone
        rest = {'carve': [('-w', self.path('out'))], 'follow': [('1',)], 'index': [(self.path('none.pcap'),)],
                'top': [('--by', 'host'), ('--by', 'pair'), ('--by', 'port'), ()]}
        for command, option, words in re.findall(r"'(\w+) --([a-z-]+)'.*?_flowcarve_\w+ '(.*?)'", script):
            # have those of index out of the same table, and do not end by themselves; or need an engine
            if command in ('watch', 'capture', 'cluster'):
                continue
            for word in words.split():
                word += '60' if word.endswith('=') else ''
                of = {'index': ('-d', self.path('new.db')), 'cache': ()}.get(command, ('-d', db))
                for more in rest.get(command, [()]):
                    r = flowcarve(command, *of, *more, '--' + option, word, ok=None)
                    if r.rc != 2 or 'none.pcap: cannot open' in r.err or 'to a terminal' in r.err:
                        break
                    # of one index there is none
                    if word == 'sensor' and re.search('goes with --cluster|one sensor|cannot sort by .sensor', r.err):
                        break
                else:
                    self.fail('%s --%s %s: %s' % (command, option, word, r.err))

    def test_words_of_filters_are_those_of_the_reference(self):
        zsh = support.read_bytes(self.path('completion.zsh')).decode()
        offered = set(re.search(r'\*\) compadd (.*) ;;', zsh).group(1).split())
        reference = flowcarve('help', 'filter').text.split('Examples')[0]
        self.assertEqual(set(), {w for w in offered if not re.search(r'(?<![\w-])%s(?![\w-])' % w, reference)})
        first = set(re.findall(r'(?m)^  ([a-z][a-z-]*)', reference))
        self.assertEqual(set(), first - offered)

    def test_wrong_usage(self):
        for words in ((), ('tcsh',), ('bash', 'zsh')):
            self.assert_says(flowcarve('completion', *words, ok=2), 'bash, zsh or fish')
        self.assertIn('source <(flowcarve completion bash)', flowcarve('help', 'completion').text)


if __name__ == '__main__':
    support.main()
