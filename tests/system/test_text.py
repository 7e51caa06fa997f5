# SPDX-License-Identifier: MIT
"""Text that others wrote (names, captures, databases) reaches no terminal and no table as it is."""
import csv, io, json, os, re, shutil, sqlite3, unicodedata

import support
from support import T0, flowcarve, index

# a title for the terminal, a line of its own, CSI as one character, DEL, text turned around, no UTF-8, a bare C1, a backslash
HOSTILE = b'a\x1b]0;owned\x07\nflowcarve: all is well\r\t\xc2\x9b31m\x7f\xe2\x80\xaeb\xff\x9b\\n\xe2\x82\xac"c,d\''
STEERING = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]')


def unescaped(text):
    """What a field of csv or tsv stands for."""
    def one(m):
        s = m.group()
        if s[1] in 'nrt\\':
            return {'n': b'\n', 'r': b'\r', 't': b'\t', '\\': b'\\'}[s[1]]
        return bytes([int(s[2:], 16)]) if s[1] == 'x' else chr(int(s[2:], 16)).encode()
    return b''.join(one(re.match('.*', p)) if p[0] == '\\' else p.encode()
                    for p in re.findall(r'\\(?:[nrt\\]|x..|u....)|[^\\]+', text))


class Text(support.TestCase):
    def assert_fit(self, *results):
        for r in results:
            for stream in (r.out, r.err_bytes):
                text = stream.decode()  # it is UTF-8
                self.assertIsNone(STEERING.search(text), ascii(text))
            for line in r.err.splitlines() + r.text.splitlines():
                self.assertFalse(line.startswith('flowcarve: all is well'), r)
                self.assertFalse(re.search('[\r\t]', line), r)

    def hostile_name(self, name, data):
        path = os.path.join(os.fsencode(self.folder), name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def test_names_of_files(self):
        packet = support.tcp('10.0.0.1', 1, '10.0.0.2', 2, 'S')
        good = self.hostile_name(HOSTILE, support.pcap_bytes([(T0, packet)]))
        netlink = self.hostile_name(HOSTILE + b'2', support.pcap_bytes([(T0, bytes(20))], 253))
        damaged = self.hostile_name(HOSTILE + b'3', support.pcap_bytes([(T0 + 1, packet)]) + b'\xff' * 99)
        self.hostile_name(HOSTILE + b'4', b'no capture\x1b[2J' + HOSTILE)
        self.hostile_name(HOSTILE + b'5', b'\x1f\x8b\x08' + HOSTILE)
        db = os.path.join(os.fsencode(self.folder), HOSTILE + b'.db')
        r = index(db, '-v', '--filter', 'tcp', self.folder)
        self.assert_fit(r)
        self.assert_says(r, '3 files', '1 file damaged', r'\x1b]0;owned\x07\nflowcarve: all is well', r'\u009b31m\x7f\u202eb\xff\x9b')
        # everything is named: damage, the link type, what is no capture (both, and the index)
        self.assertGreaterEqual(r.err.count(r'a\x1b]0;owned\x07\nflowcarve'), 4)
        self.assert_fit(index(db, HOSTILE + b'6', good, cwd=self.folder, ok=2))
        r = flowcarve('verify', '-v', '-d', db)
        self.assert_fit(r)
        self.assertEqual(len(r.out.splitlines()), 1 + 3 + 3 + (r.out.count(b'libpcap: ')))
        with open(good, 'ab') as f:
            f.write(b'more')
        os.remove(damaged)
        self.assert_fit(index(db, good), flowcarve('verify', '-d', db, ok=2),
                        flowcarve('carve', '-d', db, '-w', HOSTILE + b'.out', cwd=self.folder, ok=2),
                        flowcarve('carve', '-d', db, '--partial', '-w', HOSTILE + b'/out', cwd=self.folder, ok=2),
                        flowcarve('carve', '-d', db, '--partial', '-w', os.path.join(os.fsencode(self.folder), b'o'), ok=(0, 2)),
                        flowcarve('query', '-d', db + b'x', ok=2), index(good, netlink, ok=2))

    def test_words_of_the_command_line(self):
        for words in ([HOSTILE], ['query', b'--' + HOSTILE], ['query', b'--sort=' + HOSTILE], ['query', '-f', HOSTILE],
                      ['query', HOSTILE], ['query', b'host ' + HOSTILE], ['query', b'tcp and ' + 30 * HOSTILE],
                      ['query', b'\x80' * 300], ['query', b'tcp ' + b'\x80' * 300], ['verify', HOSTILE],
                      ['carve', '-i', HOSTILE], ['index', '--fields', HOSTILE, 'x'], ['index', '--filter', HOSTILE, 'x'],
                      ['index', '--timeout', HOSTILE, 'x'], ['index', '--key', HOSTILE, 'x'],
                      ['index', '--exclude-net', HOSTILE, 'x'], ['index', '--profile', HOSTILE, 'x'],
                      ['index', '--spool', HOSTILE, 'x'], ['index', '-j', HOSTILE, 'x'], ['index', b'x' * 300 + HOSTILE * 20]):
            with self.subTest(words):
                self.assert_fit(flowcarve(*words, cwd=self.folder, ok=2))

    def test_values_of_a_database(self):
        """An index may come from somebody else."""
        db = self.path('x.db')
        text = HOSTILE.replace(b'\xff', b'').replace(b'\x9b\\', b'\\')
        index(db, '-q', '--fields', 'all', '--filter', 'tcp',
              self.write('c.pcap', support.pcap_bytes([(T0, support.tcp('10.0.0.1', 1, '10.0.0.2', 2, 'S'))])))
        for value in (HOSTILE, text):
            with sqlite3.connect(db) as sql:
                sql.execute('UPDATE session_fields SET vlan = CAST(?1 AS TEXT), mpls = CAST(?1 AS TEXT), '
                            'tunnel = CAST(?1 AS TEXT), community_id = CAST(?2 AS TEXT)', (value, value[:30]))
            sql.close()
            rows = {f: flowcarve('query', '-d', db, '-f', f, *more) for f, *more in (
                ('json',), ('csv',), ('tsv',), ('table', '--community-id'))}
            self.assert_fit(rows['json'], rows['table'])
            fields, want = ('vlan', 'mpls', 'tunnel', 'community_id'), 3 * [value] + [value[:30]]
            row = json.loads(rows['json'].text)
            self.assertEqual([row[f].encode() for f in fields], [v.decode('utf-8', 'replace').encode() for v in want])
            self.assertEqual(len(rows['table'].text.splitlines()), 2)
            for form, delimiter, dialect in (('csv', ',', {}), ('tsv', '\t', {'quoting': csv.QUOTE_NONE})):
                self.assertIsNone(STEERING.search(rows[form].out.decode()))
                self.assertEqual(rows[form].out.count(b'\n'), 2)
                head, cells = csv.reader(io.StringIO(rows[form].text, newline=''), delimiter=delimiter, **dialect)
                row = dict(zip(head, cells, strict=True))
                self.assertEqual([unescaped(row[f]) for f in fields], want, form)

    def test_settings_and_names_in_a_database(self):
        small = self.write('c.pcap', support.pcap_bytes([(T0, support.tcp('10.0.0.1', 1, '10.0.0.2', 2, 'S'))]))
        good = self.path('good.db')
        index(good, '-q', small)
        for statement in ('UPDATE files SET path = CAST(?1 AS TEXT)', "UPDATE meta SET value = CAST(?1 AS TEXT) WHERE name = 'filter'",
                          "UPDATE meta SET value = CAST(?1 AS TEXT) WHERE name = 'profile'",
                          "UPDATE meta SET value = CAST(?1 AS TEXT) WHERE name = 'fields'",
                          "UPDATE meta SET value = CAST(?1 AS TEXT) WHERE name = 'key'", 'UPDATE meta SET value = CAST(?1 AS TEXT)',
                          'INSERT INTO damage SELECT id, 3, 4, CAST(?1 AS TEXT) FROM files'):
            db = self.path('x.db')
            shutil.copy(good, db)
            with sqlite3.connect(db) as sql:
                sql.execute(statement, (HOSTILE,))
            sql.close()
            other = self.write('other.pcap', support.pcap_bytes([(T0, support.tcp('10.0.0.3', 1, '10.0.0.2', 2, 'S'))]))
            with self.subTest(statement):
                self.assert_fit(flowcarve('verify', '-v', '-d', db, ok=(0, 2)),
                                flowcarve('query', '-d', db, '-f', 'json', ok=(0, 2)),
                                flowcarve('carve', '-d', db, '-w', self.path('o'), ok=(0, 2)),
                                index(db, other, ok=(0, 2)), index(db, '--profile', 'zeek', '--filter', 'tcp', other, ok=(0, 2)))


if __name__ == '__main__':
    support.main()
