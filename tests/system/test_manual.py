# SPDX-License-Identifier: MIT
"""The manual pages: without a fault that a formatter sees, no wider than a terminal, and true to what they are made of."""
import glob, os, re, unittest

import support

PAGES = sorted(glob.glob(os.path.join(support.ROOT, 'docs', 'flowcarve*.[157]')))


class Manual(support.TestCase):
    def test_there_are_three(self):
        self.assertEqual([os.path.basename(p) for p in PAGES], ['flowcarve-db.5', 'flowcarve-filter.7', 'flowcarve.1'])
        lists = support.read_bytes(os.path.join(support.ROOT, 'CMakeLists.txt')).decode()
        for page in PAGES:
            self.assertRegex(lists, r'foreach\(page .*\b%s' % re.escape(os.path.basename(page)))

    def test_lint(self):
        for page in PAGES:
            r = support.run(support.tool('mandoc'), '-T', 'lint', '-W', 'warning', page, ok=None)
            said = [line for line in (r.text + r.err).splitlines() if 'missing date' not in line]
            self.assertEqual(said, [])

    def test_groff_has_no_complaint(self):
        for page in PAGES:
            r = support.run(support.tool('groff'), '-ww', '-man', '-Tutf8', page)
            self.assertEqual(r.err, '', page)

    def test_no_line_is_wider_than_a_terminal(self):
        for page in PAGES:
            shown = support.run(support.tool('mandoc'), '-T', 'utf8', '-O', 'width=78', page).text
            shown = re.sub('.\b', '', shown)
            self.assertEqual([line for line in shown.splitlines() if len(line) > 80], [], page)

    def test_the_page_of_the_database_is_made_of_the_schema(self):
        made = support.run('python3', os.path.join(support.ROOT, 'schema', 'page.py')).out
        self.assertEqual(made.decode(), support.read_bytes(os.path.join(support.ROOT, 'docs', 'flowcarve-db.5')).decode(),
                         'python3 schema/page.py > docs/flowcarve-db.5')
        sql = support.read_bytes(os.path.join(support.ROOT, 'schema', 'flowcarve.sql')).decode()
        db = support.sqlite3.connect(':memory:')
        db.executescript(sql)
        text = made.decode()
        for table, kind in db.execute("SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'"):
            part = text.split('.SS %s\n' % table)[1].split('\n.S')[0]
            for column in db.execute('SELECT name FROM pragma_table_info(?)', (table,)) if kind == 'table' else ():
                self.assertRegex(part, r'(?m)^\.BR %s "' % column[0], table)

    def test_pages_lead_to_pages(self):
        names = {re.sub(r'\.(\d)$', r'(\1)', os.path.basename(p)) for p in PAGES}
        for page in PAGES:
            text = support.read_bytes(page).decode().replace('\\-', '-')
            for name, section in re.findall(r'\.BR (flowcarve[\w-]*) \((\d)\)', text):
                self.assertIn('%s(%s)' % (name, section), names, page)


if __name__ == '__main__':
    support.main()
