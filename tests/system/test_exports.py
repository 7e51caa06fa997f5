# SPDX-License-Identifier: MIT
"""What programs can link to: the functions that include/flowcarve declares, and nothing else."""
import glob, os, re, unittest

import support

LIBRARY = os.path.join(os.path.dirname(support.FLOWCARVE), 'libflowcarve.so')


def declared():
    """{function: header}"""
    names = {}
    for header in sorted(glob.glob(os.path.join(support.ROOT, 'include', 'flowcarve', '*.h'))):
        text = support.read_bytes(header).decode()
        for noise in (r'(?s)/\*.*?\*/', r'(?ms)^#ifdef __cplusplus.*?^#endif', r'(?m)^ *#(?:.*\\\n)*.*$'):
            text = re.sub(noise, ' ', text)
        before = None
        while text != before:  # what structs and enums hold, the innermost first
            before, text = text, re.sub(r'\{[^{}]*\}', '', text)
        for statement in text.split(';'):
            m = re.match(r'(?!typedef|static|_Static_assert)[\w\s*]*\b(\w+)\s*\(', statement.strip())
            if m:
                names[m.group(1)] = os.path.basename(header)
    return names


@unittest.skipIf(support.sanitized(), 'sanitizers add symbols of their own')
class Exports(support.TestCase):
    def test_the_library_exports_what_the_headers_declare(self):
        lines = support.run(support.tool('nm'), '-D', '--defined-only', LIBRARY).text.splitlines()
        exported = {name: kind for _, kind, name in (line.split() for line in lines)}
        names = declared()
        self.assertIn('fc_decode', names)
        self.assertEqual([], sorted('%s: %s' % (names[n], n) for n in set(names) - set(exported)), 'declared, not exported')
        self.assertEqual([], sorted(set(exported) - set(names)), 'exported, declared nowhere')
        self.assertEqual([], sorted(n for n in exported if not n.startswith('fc_')), 'without the prefix')
        self.assertEqual({'T'}, set(exported.values()), 'functions alone: data would tie programs to its size')

    def test_the_header_of_all_includes_each(self):
        every = support.read_bytes(os.path.join(support.ROOT, 'include', 'flowcarve', 'flowcarve.h')).decode()
        here = {os.path.basename(p) for p in glob.glob(os.path.join(support.ROOT, 'include', 'flowcarve', '*.h'))}
        self.assertEqual(here - {'flowcarve.h'}, set(re.findall(r'#include <flowcarve/(\w+\.h)>', every)))


if __name__ == '__main__':
    support.main()
