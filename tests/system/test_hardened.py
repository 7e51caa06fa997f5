# SPDX-License-Identifier: MIT
"""What the compiler and the linker have put into the program, as readelf, nm and objdump see it."""
import platform, re, unittest

import support


@unittest.skipIf(support.sanitized(), 'sanitizers do not go with it, and find more')
class Hardened(support.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dynamic = support.run(support.tool('readelf'), '-dW', support.FLOWCARVE).text
        cls.segments = support.run(support.tool('readelf'), '-lW', support.FLOWCARVE).text
        cls.imports = set(re.findall(r'(?m)^ +U ([\w]+)', support.run(support.tool('nm'), '-D', support.FLOWCARVE).text))

    def test_it_lies_anywhere(self):
        self.assertRegex(self.segments, r'Elf file type is DYN')
        self.assertRegex(self.dynamic, r'FLAGS_1\).* PIE')

    def test_the_stack_is_no_code(self):
        self.assertRegex(self.segments, r'(?m)^ +GNU_STACK +(0x\w+ +){5}RW ')
        for line in re.findall(r'(?m)^ +LOAD .*', self.segments):
            self.assertNotRegex(line, r' [R ]WE ')

    def test_tables_of_functions_are_written_before_main(self):
        self.assertIn('GNU_RELRO', self.segments)
        self.assertIn('BIND_NOW', self.dynamic)

    def test_the_c_library_checks_lengths(self):
        """Without it there is none of these; buffers of unknown size are no business of it."""
        self.assertLess({'__memcpy_chk', '__snprintf_chk', '__vsnprintf_chk'}, self.imports)

    def test_functions_guard_their_frames(self):
        code = support.run(support.tool('objdump'), '-d', '--no-show-raw-insn', support.FLOWCARVE).text
        ours = {m.group(1): m.group(2) for m in re.finditer(r'(?ms)^[0-9a-f]+ <(fc_[\w.]+)>:\n(.*?)(?=\n\n|\Z)', code)}
        if not ours:
            self.skipTest('the program has no symbols')
        self.assertGreater(sum('__stack_chk_fail' in body for body in ours.values()), len(ours) // 10)
        self.assertIn('__stack_chk_fail', ours['fc_error_text'])
        if platform.machine() == 'x86_64':
            # each page of a large frame is touched; each function that may be jumped to says so
            self.assertRegex(code, r'or[ql] +\$0x0,\(%rsp\)')
            marked = sum('endbr64' in body.split('\n', 1)[0] for body in ours.values())
            self.assertGreater(marked, len(ours) * 9 // 10)


if __name__ == '__main__':
    support.main()
