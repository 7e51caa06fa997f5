#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes docs/flowcarve-db.5 of flowcarve.sql, loss.sql and moved.sql, whose comments are the description: python3 schema/page.py > docs/flowcarve-db.5"""
import os, re, sqlite3, sys

HEAD = r'''.\" SPDX-License-Identifier: MIT
.\" made by schema/page.py of schema/flowcarve.sql, schema/loss.sql and schema/moved.sql
.TH FLOWCARVE-DB 5 "" "flowcarve" "File Formats"
.SH NAME
flowcarve\-db \- the index of flowcarve, an SQLite database
.SH DESCRIPTION
What
.BR flowcarve (1)
writes is an ordinary SQLite database, which any program may read while others read it or add to it.
The views
.BR sessions " and " session_files
are meant for people and scripts; the tables below them have what they are made of. Addresses are numbers and blobs there.
.PP
.RS 4
.EX
sqlite3 flowcarve.db 'SELECT * FROM sessions LIMIT 5'
sqlite3 flowcarve.db "SELECT server_addr, sum(server_bytes)
  FROM sessions GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
sqlite3 flowcarve.db 'SELECT path, packets FROM session_files
  WHERE session = 42'
.EE
.RE
.PP
Who writes to a database that flowcarve is to use on is on their own: it checks what it reads, and takes no harm of what is wrong, but
knows no other rules than these.
'''
SESSIONS = r'''A row a session, with addresses, protocols and states as text, times as text (UTC) and as numbers
.RB ( start_ns ", " end_ns :
ns since 1970;
.BR duration :
seconds). Columns:
.PP
%s .
.PP
Those from
.B vlan
on are of
.BR session_fields .'''
TAIL = r'''.SH SEE ALSO
.BR flowcarve (1),
.BR flowcarve\-filter (7),
.BR sqlite3 (1)
'''


def roff(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return re.sub(r"(?m)^([.'])", r'\\&\1', text)


def paragraphs(lines):
    """Comment lines: what is indented stays as it is, all else is filled."""
    out, filled = [], True
    for line in joined(lines):
        keep = line.startswith('  ')
        if keep != (not filled):
            out.append('.PP\n.nf' if keep else '.fi\n.PP')
        filled = not keep
        if line:
            out.append('\n'.join(roff(part) for part in (fold(line) if keep else [line])))
    return '\n'.join(out + ([] if filled else ['.fi']))


def joined(lines):
    """What goes on in a line further in is put behind the line that it belongs to."""
    out = []
    for line in lines:
        if re.match(r' {6,}(?!byte )', line):
            out[-1] += ' ' + line.strip()
        else:
            out.append(line)
    return out


def fold(line, width=72):
    """No wider than a terminal: the rest below, at the column where descriptions begin."""
    at = re.match(r'  \S+(?: \S+)* {2,}|  \S[^:]{1,14}: +| +', line).end()
    rows = ['']
    for word in line[at:].split():
        if rows[-1] and at + len(rows[-1]) + 1 + len(word) > width:
            rows.append('')
        rows[-1] += (' ' if rows[-1] else '') + word
    return [line[:at] + rows[0]] + [' ' * at + row for row in rows[1:]]


def columns(body):
    """[(name, type, lines of the comment)] of a table, and comments between them as (None, '', lines)."""
    found = []
    for line in body:
        code, _, comment = (part.strip() for part in line.partition('--'))
        m = re.match(r'"?(\w+)"?\s*(.*?),?$', code)
        if m and m.group(1) != 'PRIMARY':
            found.append((m.group(1), m.group(2), [comment] if comment else []))
        elif not code and comment:
            if found and not re.match(r'    --', line):
                found[-1][2].append(comment)
            else:
                found.append((None, '', [comment]))
    return found


def view_columns(sql):
    """As SQLite has them."""
    db = sqlite3.connect(':memory:')
    db.executescript(sql)
    names = [d[0] for d in db.execute('SELECT * FROM sessions').description]
    return ' ,\n'.join('.BR ' + name for name in names)


def page(sql):
    out, comment, lines = [HEAD.rstrip()], [], iter(sql.splitlines())
    out.append('.SH TABLES')
    for line in lines:
        table = re.match(r'CREATE TABLE (\w+) \($', line)
        view = re.match(r'CREATE VIEW (\w+) AS', line)
        if line.startswith('--'):
            comment.append(line[2:].removeprefix(' '))
        elif not line or line.startswith(('PRAGMA', 'CREATE INDEX')):
            if comment and not line and not out[-1].startswith('.SH TABLES'):
                out.append('.PP\n' + paragraphs(comment))
            comment = comment if out[-1].startswith('.SH TABLES') and 'SPDX' not in ''.join(comment) else []
        elif table:
            body = []
            for line in lines:
                if line.startswith(')'):
                    break
                body.append(line)
            out.append('.SS %s' % table.group(1))
            out.append(paragraphs(comment))
            for name, kind, words in columns(body):
                if name:
                    out.append('.TP\n.BR %s " %s"' % (name, roff(kind)))
                    out.append(roff('\n'.join(words)) if words else r'\&')
                else:
                    out.append('.PP\n' + roff('\n'.join(words)))
            comment = []
        elif view:
            if view.group(1) == 'sessions':
                out += ['.SH BLOBS AND NUMBERS', paragraphs(comment), '.SH VIEWS', '.SS sessions', SESSIONS % view_columns(sql)]
            else:
                out += ['.SS ' + view.group(1), paragraphs(comment)]
            comment = []
            for line in lines:
                if line.endswith(';'):
                    break
    return '\n'.join(out) + '\n' + TAIL


if __name__ == '__main__':
    here = os.path.dirname(os.path.abspath(__file__))
    parts = []
    for name in ('flowcarve', 'loss', 'moved'):
        with open(os.path.join(here, name + '.sql'), encoding='utf-8') as f:
            parts.append(f.read())
    tables, views = parts[0].split('\n-- session.positions: ', 1)
    more = ''.join('\n\n' + part.partition('\n')[2] for part in parts[1:])
    sys.stdout.write(page(tables + more + '\n-- session.positions: ' + views))
