# SPDX-License-Identifier: MIT
"""Rows of an index as an engine is to have them (schema/clickhouse/tables.sql), read by plain SQLite and written as text: what the exporter does,
done by somebody else."""
import base64
import datetime
import hashlib
import os
import re
import sqlite3
import struct

import support

SCHEMA = os.path.join(support.ROOT, 'schema/clickhouse')
SLOT, DAY, LAST_DAY = 300 * 10**9, 86400 * 10**9, 49672
TIMELESS = -2**63
FIELD_BITS = {'mac': 0, 'vlan': 1, 'mpls': 2, 'tunnel': 9, 'ttl': 3, 'dscp': 4, 'tcp-flags': 5, 'isn': 6, 'payload': 7, 'community-id': 8}
COLUMNS = ('sensor generation id revision deleted day slot timed start_ns end_ns proto kind client server client_port server_port client_packets '
           'server_packets client_bytes server_bytes state flags vlan mpls tunnel client_mac server_mac client_ttl server_ttl client_dscp '
           'server_dscp client_tcp_flags server_tcp_flags client_isn server_isn client_payload server_payload community_id').split()


def make_tables(engine, cluster=None):
    """In database `flowcarve`; where there is a cluster, Distributed tables in front of `_local` ones."""
    engine.ask('CREATE DATABASE IF NOT EXISTS flowcarve')
    for name in ('tables.sql', 'distributed.sql') if cluster else ('tables.sql',):
        with open(os.path.join(SCHEMA, name)) as f:
            text = ''.join(line for line in f if not line.startswith('--'))
        text = re.sub(r'@ENGINE\((\w*)\)@', r'ReplacingMergeTree(\1)', text)
        text = text.replace('@LOCAL@', '_local' if cluster else '').replace('@CLUSTER@', cluster or '').replace('@DATABASE@', 'flowcarve')
        for statement in text.split('\n;\n'):
            if statement.strip():
                engine.ask(statement, database='flowcarve')


def literal(value):
    """A value of TSV, whose bytes may be any."""
    if value is None:
        return b'\\N'
    if isinstance(value, int):
        return b'%d' % value
    data = value.encode() if isinstance(value, str) else value
    return b''.join({9: b'\\t', 10: b'\\n', 92: b'\\\\', 0: b'\\0'}.get(c, bytes([c])) for c in data)


def insert(engine, table, columns, rows):
    data = b''.join(b'\t'.join(literal(row[c]) for c in columns) + b'\n' for row in rows)
    more = {} if engine.is_old else {'max_partitions_per_insert_block': '0'}
    if data:
        engine.ask('INSERT INTO %s (%s) FORMAT TabSeparated' % (table, ', '.join(columns)), data, database='flowcarve', insert_distributed_sync='1', **more)


def address(kind, value):
    if kind == 4:
        return bytes(10) + b'\xff\xff' + struct.pack('>I', value)
    return (value or b'').ljust(16, b'\0')


def community_id(proto, kind, client, client_port, server, server_port, one_way):
    """After the specification of Community ID v1, seed 0; None for what is not IP."""
    if kind not in (4, 6) or proto > 255:
        return None
    a, b = ((client[12:], server[12:]) if kind == 4 else (client, server))
    ports = b''
    if client_port is not None:
        ports = struct.pack('>HH', client_port, server_port)
        if not one_way and (a, client_port) > (b, server_port):
            a, b, ports = b, a, struct.pack('>HH', server_port, client_port)
    elif a > b:
        a, b = b, a
    digest = hashlib.sha1(b'\0\0' + a + b + bytes([proto, 0]) + ports).digest()
    return '1:' + base64.b64encode(digest).decode()


def rows_of(db, sensor, generation, revision):
    with support.open_db(db) as c:
        c.row_factory = sqlite3.Row
        for s in c.execute('SELECT s.*, f.* FROM session s LEFT JOIN session_fields f ON f.id = s.id'):
            s = {k: s[k] for k in s.keys() if k != 'id'} | {'id': s[0]}
            timed = s['start_ns'] is not None
            start, end = (s['start_ns'], s['start_ns'] + s['duration_ns']) if timed else (0, 0)
            row = {k: s.get(k) for k in COLUMNS}
            row.update(sensor=sensor, generation=generation, revision=revision, deleted=0, timed=int(timed), start_ns=start, end_ns=end,
                       slot=start // SLOT if timed else TIMELESS, day=min(max(start // DAY, 0), LAST_DAY),
                       client=address(s['kind'], s['client_addr']), server=address(s['kind'], s['server_addr']),
                       client_port=-1 if s['client_port'] is None else s['client_port'],
                       server_port=-1 if s['server_port'] is None else s['server_port'])
            if row['community_id'] is None:
                row['community_id'] = community_id(row['proto'], row['kind'], row['client'], s['client_port'], row['server'], s['server_port'],
                                                   s['flags'] & 1)
            yield row


def date(day):
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def insert_sessions(engine, rows):
    insert(engine, 'session', COLUMNS, [dict(row, day=date(row['day'])) for row in rows])


def rollup_of(rows, sensor, generation, revision):
    """Sums of 5 minutes."""
    slots = {}
    for r in rows:
        group = slots.setdefault(r['slot'], {}).setdefault((r['proto'], r['state']), [0, 0, 0])
        for i, n in enumerate((1, r['client_packets'] + r['server_packets'], r['client_bytes'] + r['server_bytes'])):
            group[i] += n
    for slot, groups in slots.items():
        keys = sorted(groups)
        lists = [[k[0] for k in keys], [k[1] for k in keys]] + [[groups[k][i] for k in keys] for i in range(3)]
        row = dict(zip(('proto', 'state', 'sessions', 'packets', 'bytes'), ('[%s]' % ','.join(map(str, x)) for x in lists)))
        day = 0 if slot == TIMELESS else min(max(slot // 288, 0), LAST_DAY)
        yield dict(row, sensor=sensor, generation=generation, slot=slot, revision=revision, day=date(day))


def fields_of(db):
    names = support.select(db, "SELECT value FROM meta WHERE name = 'fields'")
    return sum(1 << FIELD_BITS[n] for n in names[0][0].split(',') if n) if names else 0


def load(engine, db, sensor, generation, since=1):
    """All of an index, as of its last run. Returns its rows."""
    run = support.select(db, 'SELECT max(id) FROM run')[0][0]
    revision = 2 * run + 1
    rows = list(rows_of(db, sensor, generation, revision))
    insert_sessions(engine, rows)
    insert(engine, 'rollup', 'sensor generation slot revision day proto state sessions packets bytes'.split(),
           list(rollup_of(rows, sensor, generation, revision)))
    clock = support.select(db, "SELECT value FROM meta WHERE name = 'clock_ns'")
    insert(engine, 'progress', 'sensor generation step run until batches fields clock_ns told_ns'.split(),
           [dict(sensor=sensor, generation=generation, step=1, run=run, until=run, batches=0, fields=fields_of(db),
                 clock_ns=int(clock[0][0]) if clock and clock[0][0] not in (None, '') else TIMELESS, told_ns=1)])
    insert(engine, 'sensor', ('sensor', 'since', 'generation'), [dict(sensor=sensor, since=since, generation=generation)])
    return rows
