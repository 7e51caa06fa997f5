# SPDX-License-Identifier: MIT
"""What the pages name is there: files, functions, commits."""
import glob, os, re, subprocess, unittest

import support

PAGES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'] + sorted(
    'docs/' + n for n in os.listdir(os.path.join(support.ROOT, 'docs')) if n.endswith('.md'))
SOURCES = 'src/*/*.[ch] include/flowcarve/*.h tests/unit/*/*.[ch] tests/*/*.py'


def read(page):
    return support.read_bytes(os.path.join(support.ROOT, page)).decode()


class Docs(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r'\]\(([^)#]+)', read(page)):
                if '://' not in target:
                    self.assertTrue(os.path.exists(os.path.join(support.ROOT, os.path.dirname(page), target)),
                                    '%s: %s' % (page, target))

    def test_the_guides_name_what_there_is(self):
        text = ''.join(read(os.path.relpath(f, support.ROOT))
                       for pattern in SOURCES.split() for f in glob.glob(os.path.join(support.ROOT, pattern)))
        for page in ('CONTRIBUTING.md', 'SECURITY.md', 'docs/extending.md'):
            code = re.findall(r'`([^`\n]+)`', read(page))
            for path in (w for c in code for w in re.findall(r'(?<![\w/])(?:src|tests|docs|schema|include|bench)/[\w./-]+', c)):
                self.assertTrue(os.path.exists(os.path.join(support.ROOT, path)), '%s: %s' % (page, path))
            for name in (n for c in code for n in re.findall(r'^(\w+)\(.*\)$|^\w+ (fc_\w+)$|^(FC_[A-Z_]+[A-Z])$', c)):
                name = ''.join(name)
                self.assertTrue(re.search(r'\b%s\b' % name, text), '%s: %s' % (page, name))

    def test_the_commits_that_are_followed(self):
        def git(*words):
            return subprocess.run(['git', '-C', support.ROOT, *words], capture_output=True, text=True).stdout.strip()
        if git('rev-parse', '--is-shallow-repository') != 'false':
            self.skipTest('no whole history here')
        for commit, subject in re.findall(r'`([0-9a-f]{7})` (\w+[\w, ]*: .*?)(?: \(|\s*\|)', read('docs/extending.md')):
            self.assertEqual(git('log', '-1', '--format=%s', commit), subject)


if __name__ == '__main__':
    support.main()
