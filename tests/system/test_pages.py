# SPDX-License-Identifier: MIT
"""
The pages to be followed at a keyboard: each command that they show is run, in order, in one folder, and prints what is shown.
`test_pages.py --bless` writes the output anew; look at the diff.

A block of code that begins with "$ " is a session in a shell: what stands behind a command, up to the next one, is its output,
on a terminal of 120 columns; a line "..." stands for any number of lines. A block of C that begins with a comment that
names a file is that file.
"""
import fcntl, os, pty, re, shutil, struct, subprocess, sys, termios, threading, unittest

import support

BLESS = '--bless' in sys.argv
COLUMNS = 120


def page_path(name):
    return os.path.join(support.ROOT, 'docs', name)


def read_page(name):
    return support.read_bytes(page_path(name)).decode()


def blocks(text):
    """(first line, lines) of each indented or fenced block of code."""
    lines, at = text.split('\n'), 0
    while at < len(lines):
        if lines[at].startswith('```'):
            end = lines.index('```', at + 1)
            yield at + 1, lines[at + 1:end], ''
            at = end + 1
        elif lines[at].startswith('    ') and not lines[at - 1].strip():
            end = at
            while end < len(lines) and (lines[end].startswith('    ') or not lines[end]):
                end += 1
            while not lines[end - 1]:
                end -= 1
            yield at, [line[4:] for line in lines[at:end]], '    '
            at = end
        else:
            at += 1


def is_like(shown, printed):
    """Line by line; '...' stands for any number of them."""
    parts = re.split(r'(?m)^\.\.\.(?:\n|\Z)', '\n'.join(shown) + ('\n' if shown else ''))
    return re.fullmatch('.*'.join(map(re.escape, parts)), '\n'.join(printed) + ('\n' if printed else ''), re.S) is not None


class Pages(support.TestCase):
    def setUp(self):
        super().setUp()
        self.bin = self.path('.bin')
        os.mkdir(self.bin)
        os.mkdir(self.path('work'))
        for name, program in (('flowcarve', support.FLOWCARVE), ('fcgen', support.FCGEN)):
            os.symlink(program, os.path.join(self.bin, name))
        build = os.path.dirname(support.FLOWCARVE)
        with open(os.path.join(self.bin, 'pkg-config'), 'w', encoding='utf-8') as f:  # as if that build were installed
            f.write('#!/bin/sh\necho -Wall -Wextra -Werror -I%s/include -L%s -Wl,-rpath,%s -lflowcarve\n' % (support.ROOT, build, build))
        os.chmod(os.path.join(self.bin, 'pkg-config'), 0o755)

    def run_line(self, command):
        """What it prints: to a terminal, and behind it what it complains of or reports."""
        main, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack('HHHH', 50, COLUMNS, 0, 0))
        attributes = termios.tcgetattr(end)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(end, termios.TCSANOW, attributes)
        env = support.environment(PATH=self.bin + ':' + os.environ['PATH'], HOME=self.folder, NO_COLOR='1', TERM='dumb')
        with open(self.path('.err'), 'w+b') as err:
            p = subprocess.Popen(['bash', '-c', command], cwd=self.path('work'), env=env, stdin=subprocess.DEVNULL, stdout=end, stderr=err)
            os.close(end)
            timer = threading.Timer(60, p.kill)
            timer.start()
            out = b''
            try:
                while data := os.read(main, 65536):
                    out += data
            except OSError:
                pass  # nobody has the terminal's other end any more
            os.close(main)
            self.assertIn(p.wait(), (0, 1, 2), command)
            timer.cancel()
            err.seek(0)
            out += err.read()
        plain = re.sub(r'\x1b\[[0-9;]*m', '', out.decode())  # jq has colours on a terminal
        return [line.rstrip() for line in plain.replace(self.path('work'), '~').splitlines()]

    def follow(self, name):
        text = read_page(name)
        lines, edits, commands = text.split('\n'), [], 0
        for at, block, indent in blocks(text):
            named = re.match(r"/\* (\w+\.c)", block[0])
            if named:
                self.write('work/' + named.group(1), '\n'.join(block + ['']).encode())
            if not block[0].startswith('$ '):
                continue
            starts = [i for i, line in enumerate(block) if line.startswith('$ ')] + [len(block)]
            for i, j in zip(starts, starts[1:]):
                end = i + 1
                command = block[i][2:]
                while command.endswith('\\'):
                    command = command[:-1] + block[end].strip()
                    end += 1
                for tool in re.findall(r'(?:^|\| )(\w+)', command):
                    if not shutil.which(tool, path=self.bin + ':' + os.environ['PATH']):
                        support.tool(tool)
                printed, shown = self.run_line(command), [line.rstrip() for line in block[end:j]]
                commands += 1
                if BLESS and not is_like(shown, printed):
                    edits.append((at + end, at + j, [(indent + line).rstrip() for line in printed]))
                elif not is_like(shown, printed):
                    self.fail('%s: $ %s\n%s\n--- is shown, but it prints\n%s' % (name, command, '\n'.join(shown), '\n'.join(printed)))
        for start, end, printed in reversed(edits):
            lines[start:end] = printed
        if edits:
            support.write(page_path(name), '\n'.join(lines).encode())
        return commands

    def test_tutorial(self):
        self.assertGreater(self.follow('tutorial.md'), 15)

    def test_recipes(self):
        self.assertGreater(self.follow('recipes.md'), 8)

    @unittest.skipIf(support.sanitized(), 'programs would have to be built as the library is')
    def test_library(self):
        self.assertGreater(self.follow('api.md'), 5)

    def test_what_is_like(self):
        for shown, printed, like in ((['a'], ['a'], True), (['a'], ['b'], False), (['a', '...', 'c'], ['a', 'x', 'y', 'c'], True),
                                     (['...'], [], True), (['a', '...'], ['a'], True), (['a', '...'], ['b'], False), ([], ['a'], False),
                                     (['a', '...', 'c'], ['a', 'x'], False)):
            self.assertEqual(is_like(shown, printed), like, (shown, printed))


if __name__ == '__main__':
    if BLESS:
        sys.argv.remove('--bless')
    support.main()
