# SPDX-License-Identifier: MIT
"""`flowcarve serve`: each answer is the one that the command line gives, or that of a naive reading of its rows."""
import base64, collections, ctypes, gzip, json, os, shutil, struct, subprocess, time, unittest

import serving, support
from serving import METADATA, PACKETS, TOKEN, Server, target
from support import flowcarve, index, sessions

def lines(r):
    return [json.loads(line) for line in r.text.splitlines()]


class Case(support.TestCase):
    """One index and one server for all tests of a class."""
    words = ()

    @classmethod
    def make(cls, case):
        """Captures in the case's folder."""
        case.fcgen('a.pcap', '--packets', '6000', '--sessions', '400', '--vlan', '20', '--fragments', '5', '--proto',
                   'tcp=60,udp=25,icmp=10,arp=4,sctp=1')
        index(case.path('x.db'), '-q', '--fields', 'vlan,tcp-flags,ttl,mac', case.path('a.pcap'))

    def setUp(self):
        super().setUp()
        self.make(self)
        self.db = self.path('x.db')
        self.server = Server(self, self.db, *self.words)
        self.addCleanup(self.server.stop)
        self.get = self.server.get


class Answers(Case):
    """All in one index, since a server and an index a test would take a minute."""

    def runTest(self):
        self.rows = sessions(self.db)
        for name in sorted(dir(self)):
            if name.startswith('check_'):
                with self.subTest(name[6:]):
                    getattr(self, name)()

    def check_sessions(self):
        for words, params in ((['--limit', '50'], {'limit': 50}), (['tcp'], {'filter': 'tcp', 'limit': 10000}),
                              (['--sort', 'bytes:desc', '--limit', '30'], {'sort': 'bytes:desc', 'limit': 30}),
                              (['--sort', 'client_port', '--limit', '99', 'udp'],
                               {'sort': 'client_port', 'limit': 99, 'filter': 'udp'})):
            self.assertEqual(self.get('/v1/sessions', **params)['sessions'], sessions(self.db, *words), params)
        middle = self.rows[len(self.rows) // 2]
        wanted = [r['id'] for r in self.rows if r['end_ns'] >= middle['start_ns'] and r['start_ns'] <= middle['end_ns']]
        found = self.get('/v1/sessions', limit=10000, **{'from': middle['start'], 'until': middle['end']})
        self.assertEqual([r['id'] for r in found['sessions']], wanted)
        self.assertEqual(self.get('/v1/sessions', limit=10000, until=middle['start'])['sessions'],
                         [r for r in self.rows if r['start_ns'] <= middle['start_ns']])
        columns = 'server_addr,id,bytes,packets,community_id,files'
        self.assertEqual(self.get('/v1/sessions', limit=20, columns=columns)['sessions'],
                         [{k: row[k] for k in columns.split(',')} for row in
                          lines(flowcarve('query', '-d', self.db, '-f', 'json', '--columns', columns, '--limit', '20'))])
        self.assertEqual(list(self.get('/v1/sessions', limit=1)['sessions'][0]), list(self.rows[0]))

    def check_pages(self):
        for sort in ('id', 'id:desc', 'bytes', 'bytes:desc', 'client_port', 'client_port:desc', 'client_addr', 'server_addr:desc',
                     'vlan', 'vlan:desc', 'client_mac', 'state', 'duration:desc', 'start', 'end:desc'):
            for filter in ('', 'not tcp', 'port 443'):
                whole = [r['id'] for r in sessions(self.db, '--sort', sort, *filter.split())]
                found, cursor = [], {}
                while True:
                    page = self.get('/v1/sessions', sort=sort, filter=filter, limit=83, columns='id', **cursor)
                    found += [r['id'] for r in page['sessions']]
                    self.assertEqual(page['more'], page['cursor'] is not None)
                    if not page['more']:
                        break
                    self.assertEqual(len(page['sessions']), 83)
                    cursor = {'cursor': page['cursor']}
                self.assertEqual(found, whole, (sort, filter))
                self.assertEqual([r['id'] for r in self.get('/v1/sessions', sort=sort, filter=filter, offset=7, limit=9,
                                                            columns='id')['sessions']], whole[7:16], (sort, filter))
        page = self.get('/v1/sessions', limit=5, filter='tcp')
        e = self.server.error('/v1/sessions', 400, 'parameter', cursor=page['cursor'], limit=5, filter='udp')
        self.assertEqual(e['parameter'], 'cursor')
        front = page['cursor'].rsplit('.', 1)[0]
        for forged in ('', 'n', 'n:1', 'n:x:1', 'n:1:1 or 1=1', "b:zz':1", 'b:1:1', 't:00', '0:1:1', 'n:1:99999999999999999999',
                       'x:1:1', 'n:1);--:1', 't:' + '00' * 5000 + ':1'):
            self.server.error('/v1/sessions', 400, 'parameter', cursor=front + '.' + forged, limit=5, filter='tcp')

    def check_count(self):
        for filter in ('', 'udp', 'net 10.0.0.0/8 and port 53', 'id 999999'):
            rows = sessions(self.db, *filter.split())
            r = self.get('/v1/count', filter=filter)
            self.assertEqual((r['sessions'], r['packets'], r['bytes']),
                             (len(rows), sum(x['client_packets'] + x['server_packets'] for x in rows),
                              sum(x['client_bytes'] + x['server_bytes'] for x in rows)), filter)
            self.assertEqual((r['start'], r['end_ns']), (min(x['start'] for x in rows), max(x['end_ns'] for x in rows))
                             if rows else (None, None))

        times = sorted(r[k] for r in self.rows for k in ('start_ns', 'end_ns'))
        for i, j in ((0, -1), (3, -3), (100, 101), (200, 200), (len(times) // 2, -1), (0, 9)):
            low, high = times[i], times[j]
            rows = [r for r in self.rows if r['end_ns'] >= low and r['start_ns'] <= high]
            text = ['%d.%09d' % divmod(t, 10**9) for t in (low, high)]
            for filter in ('', 'not id 999999'):  # by the pages of the table, and not
                r = self.get('/v1/count', filter=filter, **{'from': text[0], 'until': text[1]})
                self.assertEqual((r['sessions'], r['packets']),
                                 (len(rows), sum(x['client_packets'] + x['server_packets'] for x in rows)), (i, j, filter))

    def check_cost(self):
        whole, one = self.get('/v1/cost'), self.get('/v1/cost', filter='id 3')
        self.assertEqual((whole['sessions'], whole['reads'], whole['scan']), (len(self.rows), len(self.rows), True))
        self.assertFalse(one['scan'])
        self.assertLess(one['reads'], 10)

    def check_histogram(self):
        for by in ('none', 'proto', 'state'):
            for buckets, filter, since in ((200, '', None), (7, 'tcp or arp', None), (50, '', self.rows[100]['start']), (2, '', None)):
                params = {'by': by, 'buckets': buckets, 'filter': filter, **({'from': since} if since else {})}
                h = self.get('/v1/histogram', **params)
                rows = self.get('/v1/sessions', limit=10000, filter=filter, **({'from': since} if since else {}))['sessions']
                since_ns = self.rows[100]['start_ns'] if since else 0
                wanted, earlier = collections.defaultdict(collections.Counter), collections.Counter()
                for r in rows:
                    one = {'sessions': 1, 'packets': r['client_packets'] + r['server_packets'],
                           'bytes': r['client_bytes'] + r['server_bytes']}
                    if r['start_ns'] < since_ns:
                        earlier.update(one)
                        continue
                    place = (r['start_ns'] - h['start_ns']) // h['bucket_ns']
                    wanted[{'none': 'all', 'proto': r['proto'], 'state': r['state']}[by], place].update(one)
                found = {(g['name'], i): collections.Counter({k: g[k][i] for k in one})
                         for g in h['groups'] for i in range(h['count']) if g['sessions'][i]}
                self.assertEqual(found, dict(wanted), params)
                self.assertEqual(h['earlier'], {k: earlier[k] for k in ('sessions', 'packets', 'bytes')})
                total = self.get('/v1/count', filter=filter, **({'from': since} if since else {}))
                self.assertEqual(h['total'], {k: v for k, v in total.items() if k != 'cost'})
                self.assertTrue(h['exact'] and h['start_ns'] % h['bucket_ns'] == 0 and h['count'] <= buckets)
                self.assertGreater(h['count'] * 5, min(buckets, 10), params)
                sums = [sum(g['bytes']) for g in h['groups']]
                self.assertEqual(sums, sorted(sums, reverse=True))
        empty = self.get('/v1/histogram', filter='id 999999')
        self.assertEqual((empty['count'], empty['groups'], empty['start'], empty['start_ns'], empty['total']['end']), (0, [], None, None, None))

    def check_top(self):
        names = {'proto': 'protocol'}
        for by, keys in (('client', ['client']), ('server', ['server']), ('host', ['host']), ('pair', ['client', 'server']),
                         ('port', ['port', 'proto']), ('proto', ['proto']), ('state', ['state']), ('vlan', ['vlan'])):
            r = self.get('/v1/top', by=by, limit=25, peers='true')
            wanted = lines(flowcarve('top', '-d', self.db, '--by', names.get(by, by), '-f', 'json', '-n', '25'))
            self.assertEqual([[x[k] for k in keys + ['sessions', 'packets', 'bytes']] for x in r['rows']],
                             [[x[k] for k in keys + ['sessions', 'packets', 'bytes']] for x in wanted], by)
            for row in r['rows'][:4]:
                if row['filter'] is not None:
                    count = self.get('/v1/count', filter=row['filter'])['sessions']
                    (self.assertGreaterEqual if by == 'vlan' else self.assertEqual)(count, row['sessions'], row)
            self.assertEqual(sum(row['filter'] is None for row in r['rows']),
                             sum(row[keys[0]] is None or by == 'vlan' and ',' in str(row['vlan']) for row in r['rows']) if by != 'port' else 0, by)
        total = self.get('/v1/top')['rows']
        self.assertEqual([r['sessions'] for r in total], [len(self.rows)])
        self.assertEqual(self.get('/v1/top', by='file')['rows'][0]['path'], os.path.realpath(self.path('a.pcap')))

    def check_complete(self):
        def texts(filter, **more):
            return [i['text'] for i in self.get('/v1/complete', filter=filter, **more)['items']]
        self.assertEqual(texts('po')[:2], ['port', 'portrange'])
        self.assertEqual(texts('tcp '), ['and', 'or'])
        self.assertEqual(texts('(tcp '), ['and', 'or'])
        self.assertIn('host', texts('tcp and '))
        self.assertEqual(texts('state '), ['new', 'established', 'closed', 'reset', 'midstream', 'rejected'])
        self.assertEqual(texts('tcp and port htt'), ['http', 'https'])
        self.assertEqual(texts('port 80,htt'), ['http', 'https'])
        self.assertEqual(texts('reset by '), ['client', 'server'])
        self.assertEqual(texts('file '), ['a.pcap'])
        self.assertIn('tcp', texts('proto '))
        r = self.get('/v1/complete', filter='file "ü𝄞" or sta and tcp', at=17)
        self.assertEqual((r['start'], r['end'], r['items'][0]['text']), (14, 17, 'state'))
        for text in ('tcp and po', 'state es', 'flags sy', 'tunnel vx', 'after to', 'bytes ov'):
            r = self.get('/v1/complete', filter=text)
            self.assertTrue(r['items'], text)
            self.assertTrue(all(i['text'].startswith(text[r['start']:]) or text[r['start']:] in i['text'] for i in r['items']), r)

    def check_filter(self):
        r = self.get('/v1/filter', filter='port 443', **{'from': self.rows[9]['start'], 'until': self.rows[200]['end']})
        self.assertEqual(len(sessions(self.db, '--', r['filter'])), self.get(
            '/v1/count', filter='port 443', **{'from': self.rows[9]['start'], 'until': self.rows[200]['end']})['sessions'])
        r = self.get('/v1/filter', filter='tcp and port 443')
        self.assertEqual((r['wireshark'] is not None, r['bpf_lacks']), (True, None))
        self.assertEqual(self.get('/v1/filter', filter='vlan 3')['fields'], ['vlan'])

    def check_one_session(self):
        for row in lines(flowcarve('query', '-d', self.db, '-f', 'json', '--files', '--community-id', '--limit', '40')):
            r = self.get('/v1/sessions/%d' % row['id'])
            files = row.pop('files')
            self.assertEqual({k: r['session'][k] for k in row}, row)
            self.assertEqual([(f['path'], f['packets'], f['state'], f['carvable']) for f in r['files']],
                             [(f['path'], f['packets'], 'present', True) for f in files])
            self.assertEqual((r['positions'], r['forgotten'], r['carvable']),
                             (row['client_packets'] + row['server_packets'], 0, True))
        self.server.error('/v1/sessions/999999', 404, 'not_found')

    def check_packets(self):
        keys = {'all': None}
        for row in self.rows[:60:6]:
            wanted = lines(flowcarve('packets', '-d', self.db, '-i', row['id'], '-f', 'json', '--fields', 'all'))
            r = self.get('/v1/sessions/%d/packets' % row['id'], columns='all')
            self.assertEqual((r['total'], r['more'], r['missing']), (len(wanted), False, 0))
            for n, (mine, theirs) in enumerate(zip(r['packets'], wanted), 1):
                self.assertEqual(mine.pop('n'), n)
                self.assertEqual(mine, {k: theirs[k] for k in mine})
                keys['all'] = set(mine)
            self.assertTrue({'time', 'src_mac', 'vlan', 'tunnel', 'path', 'seq_raw', 'ack_raw'} <= keys['all'])
            part = self.get('/v1/sessions/%d/packets' % row['id'], first=2, limit=3, columns='offset,number,direction')
            self.assertEqual([(p['n'], p['offset'], p['number'], p['direction']) for p in part['packets']],
                             [(n, w['offset'], w['number'], w['direction']) for n, w in enumerate(wanted, 1)][1:4])
            self.assertEqual(part['more'], len(wanted) > 4)
            client = self.get('/v1/sessions/%d/packets' % row['id'], direction='client', limit=2)
            self.assertEqual([p['offset'] for p in client['packets']],
                             [w['offset'] for w in wanted if w['direction'] != 'server'][:2])
        self.server.error('/v1/sessions/999999/packets', 404, 'not_found')

    def check_bytes_of_a_packet(self):
        records = {r.off: r for r in support.read_capture(self.path('a.pcap'))}
        for row in self.rows[::45]:
            path = '/v1/sessions/%d/' % row['id']
            for p in self.get(path + 'packets', limit=3)['packets']:
                r = self.get(path + 'packet', file=p['file'], offset=p['offset'])
                data = base64.b64decode(r['data'])
                self.assertEqual((data, r['time_ns'], r['caplen'], r['origlen'], r['direction']),
                                 (records[p['offset']].data, records[p['offset']].ts_ns, p['caplen'], p['origlen'], p['direction']))
                self.assertEqual(self.server.raw(path + 'packet', file=p['file'], offset=p['offset'], format='raw'), data)
                self.hold_layers(r['layers'], data)
            self.server.error(path + 'packet', 404, 'not_found', file=1, offset=25)
            self.server.error(path + 'packet', 404, 'not_found', file=9, offset=24)
        e = self.server.error('/v1/sessions/1/packet', 400, 'parameter', file=1)
        self.assertEqual(e['parameter'], 'offset')
        other = self.get('/v1/sessions/2/packets', limit=1)['packets'][0]
        self.server.error('/v1/sessions/1/packet', 404, 'not_found', file=other['file'], offset=other['offset'])

    def hold_layers(self, layers, data):
        """Layers lie side by side, and fields are made of the bytes that they name."""
        end = 0
        for layer in layers:
            self.assertEqual(layer['off'], end)
            end += layer['len']
            for f in layer['fields']:
                there = data[f['off']:f['off'] + f['len']]
                self.assertTrue(layer['off'] <= f['off'] and f['off'] + f['len'] <= layer['off'] + layer['len'], (layer, f))
                if layer['name'] == 'ipv4' and f['name'] in ('src', 'dst'):
                    self.assertEqual(f['value'], '.'.join(map(str, there)))
                if layer['name'] == 'ethernet' and f['name'] in ('src', 'dst'):
                    self.assertEqual(f['value'], ':'.join('%02x' % b for b in there))
                if (layer['name'], f['name']) in (('tcp', 'seq'), ('tcp', 'src'), ('udp', 'dst'), ('ipv4', 'ttl'), ('ipv4', 'id')):
                    self.assertEqual(int(f['value']), int.from_bytes(there, 'big'))
                if f['value'].startswith('0x') and layer['name'] not in ('ipv6', 'vlan'):
                    self.assertEqual(int(f['value'], 16), int.from_bytes(there, 'big'))
        self.assertEqual(end, len(data))

    def check_follow(self):
        for row in [r for r in self.rows if r['proto'] in ('tcp', 'udp')][::20]:
            for direction in ('both', 'client', 'server'):
                wanted = flowcarve('follow', '-d', self.db, '-f', 'json', '--direction', direction, row['id'], ok=(0, 1))
                data = self.server.raw('/v1/sessions/%d/follow' % row['id'], direction=direction)
                *pieces, last = map(json.loads, data.splitlines())
                self.assertEqual(pieces, lines(wanted), row)
                self.assertEqual((last['end'], last['complete'], last['missing']), (True, True, 0))
                raw = flowcarve('follow', '-d', self.db, '-f', 'raw', '--direction', direction, row['id'], ok=(0, 1))
                self.assertEqual(self.server.raw('/v1/sessions/%d/follow' % row['id'], direction=direction, format='raw'), raw.out)
        first = self.server.raw('/v1/sessions/%d/follow' % max(self.rows, key=lambda r: r['client_bytes'])['id'], max_bytes=1)
        *pieces, last = map(json.loads, first.splitlines())
        self.assertEqual((sum(p['kind'] == 'data' and p['bytes'] > 0 for p in pieces), last['complete']), (1, False))

    def check_carve(self):
        for words, params in (([], {}), (['tcp', 'and', 'port', '443'], {'filter': 'tcp and port 443'}),
                              (['-i', '3,7-9'], {'ids': '3,7-9'}), (['-i', '1-50', 'udp'], {'ids': '1-50', 'filter': 'udp'}),
                              (['-f', 'pcapng', '-i', '5'], {'ids': '5', 'format': 'pcapng'}),
                              (['--comments', '-i', '5-6'], {'ids': '5-6', 'comments': 'true'}),
                              (['--direction', 'server', '-i', '1-30'], {'ids': '1-30', 'direction': 'server'}),
                              (['--first-packets', '2', '-i', '1-30'], {'ids': '1-30', 'first_packets': 2}),
                              (['--compress', 'gzip', '-i', '1-30'], {'ids': '1-30', 'compress': 'gzip'})):
            wanted = flowcarve('carve', '-q', '-d', self.db, '-w', '-', *words).out
            self.assertGreater(self.get('/v1/carve/check', **params)['sessions'], 0)
            status, headers, data = self.server.ask(target('/v1/carve', **params))
            self.assertEqual(status, 200)
            self.assertEqual(data == wanted, True, params)
            suffix = {'format': 'pcapng', 'comments': 'pcapng', 'compress': 'pcap.gz'}.get(list(params)[-1] if params else '', 'pcap')
            self.assertTrue(headers['Content-Disposition'].endswith('.%s"' % suffix), headers['Content-Disposition'])
            self.assertEqual((headers['Cache-Control'], headers['X-Content-Type-Options']), ('no-store', 'nosniff'))
        for ids in ('', '1,', 'x', '5-3', '-', '1--2', '1 2', '1,,2'):
            for path in ('/v1/carve', '/v1/carve/check'):
                self.server.error(path, 400, 'parameter', ids=ids)
        self.server.error('/v1/carve', 404, 'not_found', ids='999999')
        self.server.error('/v1/carve/check', 404, 'not_found', ids='999999')

    def check_files(self):
        r = self.get('/v1/files')
        wanted = lines(flowcarve('files', '-q', '-d', self.db, '-f', 'json'))
        self.assertEqual([{k: f[k] for k in w} for f, w in zip(r['files'], wanted)], wanted)
        self.assertEqual(r['sums'], {'files': 1, 'size': os.path.getsize(self.path('a.pcap')), 'records': 6000, 'present': 1})
        self.assertEqual(self.get('/v1/files', check='true')['sums'], r['sums'])
        self.assertEqual(self.get('/v1/damage'), {'damage': [], 'more': False})
        self.server.error('/v1/damage', 404, 'not_found', file=7)

    def check_status(self):
        r = self.get('/v1/status')
        self.assertEqual((r['api'], r['who'], r['scopes'], r['index']['path']), (1, 'token all', ['metadata', 'packets'], self.db))
        i = r['index']
        self.assertEqual((i['sessions'], i['packets'], i['files'], i['fields']), (len(self.rows), 6000, 1, ['mac', 'vlan', 'ttl', 'tcp-flags']))
        self.assertEqual((i['start_ns'], i['end_ns']), (min(x['start_ns'] for x in self.rows), max(x['end_ns'] for x in self.rows)))

    def check_errors(self):
        where = self.server.error('/v1/count', 400, 'filter', filter='tcp and hsot 10.0.0.5')['where']
        self.assertEqual((where['off'], where['len'], where['start'], where['end'], where['caret'], where['parameter']),
                         (8, 4, 8, 12, '        ^~~~', 'filter'))
        text = 'file "ü𝄞" and prot 80'  # as JavaScript counts
        where = self.server.error('/v1/sessions', 400, 'filter', filter=text)['where']
        self.assertEqual(text.encode()[where['off']:where['off'] + where['len']], b'prot')
        self.assertEqual(text.encode('utf-16-le')[2 * where['start']:2 * where['end']].decode('utf-16-le'), 'prot')
        self.assertEqual(self.server.error('/v1/count', 400, 'filter', until='whenever')['where']['parameter'], 'until')
        self.assertEqual(self.server.error('/v1/count', 400, 'filter', filter='tcp', **{'from': 'port'})['where']['parameter'], 'from')
        e = self.server.error('/v1/count', 400, 'parameter', **{'from': '2024-01-02', 'until': '2024-01-01'})
        self.assertEqual(e['parameter'], 'until')
        self.assertEqual(self.server.error('/v1/count', 400, 'parameter', filtre='tcp')['parameter'], 'filtre')
        for path, params in (('/v1/sessions', {'limit': 0}), ('/v1/sessions', {'limit': 10001}), ('/v1/sessions', {'limit': 'x'}),
                             ('/v1/sessions', {'sort': 'colour'}), ('/v1/sessions', {'columns': 'id,id'}),
                             ('/v1/sessions', {'columns': 'mpls'}), ('/v1/sessions', {'columns': ''}), ('/v1/histogram', {'buckets': 1}),
                             ('/v1/histogram', {'by': 'colour'}), ('/v1/top', {'by': 'colour'}), ('/v1/top', {'sort': 'colour'}),
                             ('/v1/complete', {'filter': 'ab', 'at': 3}), ('/v1/sessions/1/packets', {'columns': 'x'}),
                             ('/v1/sessions/1/follow', {'format': 'x'}), ('/v1/carve', {'format': 'x'}), ('/v1/files', {'check': '1'})):
            self.server.error(path, 400, 'parameter', **params)
        self.server.error('/v1/count', 400, 'filter', filter='mpls 16')  # a field that the index was made without
        self.assertEqual(self.server.ask('/v1/count?filter=tcp&filter=udp')[0], 400)
        self.assertEqual(self.server.ask('/v1/count?filter=%ff')[0], 400)
        self.assertEqual(self.server.ask('/v1/count?filter=a%00b')[0], 400)
        self.assertEqual(self.server.ask('/v1/count?filter=%4')[0], 400)

    def check_openapi(self):
        """What is written there is what is: parameters, and the members of answers."""
        doc = json.loads(support.read_bytes(os.path.join(support.ROOT, 'docs', 'openapi.json')))
        packet = self.get('/v1/sessions/1/packets', limit=1)['packets'][0]
        needed = {'/v1/sessions/{id}/packet': {'file': packet['file'], 'offset': packet['offset']}}
        schemas = doc['components']['schemas']

        def hold(value, schema, where):
            if '$ref' in schema:
                schema = schemas[schema['$ref'].rsplit('/', 1)[1]]
            if value is None:
                self.assertTrue(schema.get('nullable'), where)
                return
            kinds = {'object': dict, 'array': list, 'string': str, 'integer': int, 'number': (int, float), 'boolean': bool}
            self.assertIsInstance(value, kinds[schema['type']], where)
            for name in schema.get('required', ()):
                self.assertIn(name, value, where)
            for name, item in value.items() if isinstance(value, dict) else ():
                known = schema.get('properties', {}).get(name)
                self.assertTrue(known or schema.get('additionalProperties'), '%s: %s is not documented' % (where, name))
                if known:
                    hold(item, known, '%s.%s' % (where, name))
            for i, item in enumerate(value[:20] if isinstance(value, list) else ()):
                hold(item, schema['items'], '%s[%d]' % (where, i))

        for path, item in doc['paths'].items():
            if 'get' not in item or item['get'].get('x-cluster'):
                continue
            real, get = path.replace('{id}', '1'), item['get']
            content = get['responses']['200']['content']
            if 'application/json' in content:
                hold(self.get(real, **needed.get(path, {})), content['application/json']['schema'], path)
            for scope, token in (('metadata', METADATA), ('packets', PACKETS)):
                status = self.server.ask(target(real, **needed.get(path, {})), token=token)[0]
                self.assertEqual(status, 200 if get['x-scope'] == scope else 403, (path, scope))
            names = {p['name'] for p in get['parameters'] if p['in'] == 'query'}
            for name in names | {'colour'}:
                e = json.loads(self.server.ask(target(real, **{**needed.get(path, {}), name: '\u2603'}))[2] or b'null')
                unknown = isinstance(e, dict) and 'there is no parameter' in e.get('error', {}).get('message', '')
                self.assertEqual(unknown, name == 'colour', (path, name, e))
            for p in get['parameters']:
                for value in set(p['schema'].get('enum', ())) - {'tunnel'}:  # which this index was made without
                    self.assertNotEqual(self.server.ask(target(real, **{**needed.get(path, {}), p['name']: value}))[0], 400, (path, p, value))

    def check_page(self):
        status, headers, data = self.server.ask('/', token=None)
        self.assertEqual((status, headers['Content-Type']), (200, 'text/html; charset=utf-8'))
        web, total = os.path.join(support.ROOT, 'src', 'serve', 'web'), 0
        self.assertEqual(data, support.read_bytes(os.path.join(web, 'index.html')))
        for folder, _, names in os.walk(web):
            for name in (n for n in names if not n.endswith('.md')):
                path = os.path.relpath(os.path.join(folder, name), web)
                status, headers, data = self.server.ask('/' + path, token=None)
                self.assertEqual((status, data), (200, support.read_bytes(os.path.join(folder, name))), path)
                again = self.server.ask('/' + path, token=None, headers={'If-None-Match': headers['ETag']})
                self.assertEqual((again[0], again[2], headers['Cache-Control']), (304, b'', 'no-cache'))
                status, small, packed = self.server.ask('/' + path, token=None, headers={'Accept-Encoding': 'br, gzip'})
                self.assertEqual((status, small['Content-Encoding'], small['Vary']), (200, 'gzip', 'Accept-Encoding'))
                self.assertEqual(gzip.decompress(packed), data, path)
                again = self.server.ask('/' + path, token=None, headers={'Accept-Encoding': 'gzip', 'If-None-Match': small['ETag']})
                self.assertEqual((again[0], again[2]), (304, b''))
                total += len(packed)
        self.assertLess(total, 120000) # the whole page

    def check_head(self):
        status, headers, data = self.server.ask('/v1/count', method='HEAD')
        self.assertEqual((status, data, int(headers['Content-Length']) > 20), (200, b'', True))
        self.assertEqual(self.server.ask('/v1/carve', method='HEAD')[0], 405)

    def check_one_connection_does_for_many(self):
        c = self.server.connect()
        c.connect()
        c.auto_open = False
        self.addCleanup(c.close)
        for i in range(1, 30):
            self.assertEqual(self.get('/v1/sessions/%d' % i, connection=c)['session']['id'], i)
            self.assertEqual(self.server.ask('/v1/carve?ids=%d' % i, connection=c)[0], 200)
            for path, status in (('/', 200), ('/v1/sessions?limit=x', 400), ('/v1/nothing', 404), ('/v1/login', 405)):
                self.assertEqual(self.server.ask(path, connection=c)[0], status)
            self.assertEqual(self.server.ask('/v1/login', 'POST', body='{"token": "%s"}' % TOKEN, headers={'Content-Type': 'application/json'},
                                             connection=c)[0], 200)


class Growing(support.TestCase):
    def test_cursors_hold_while_the_index_grows(self):
        for i in range(3):
            self.fcgen('%d.pcap' % i, '--packets', '1500', '--sessions', '150', '--seed', str(i), '--start', str(1700000000 + i * 10000))
        index(self.path('x.db'), '-q', self.path('0.pcap'))
        before = {r['id']: r for r in sessions(self.path('x.db'))}
        with Server(self, self.path('x.db')) as server:
            generation = server.get('/v1/status')['index']['generation']
            pages = {}
            for sort in ('id', 'id:desc', 'bytes:desc', 'client_addr', 'start'):
                pages[sort] = [server.get('/v1/sessions', sort=sort, limit=40)]
            for i in (1, 2):
                index(self.path('x.db'), '-q', self.path('%d.pcap' % i))
                for sort, got in pages.items():
                    got.append(server.get('/v1/sessions', sort=sort, limit=40, cursor=got[-1]['cursor']))
            self.assertNotEqual(server.get('/v1/status')['index']['generation'], generation)
            after = {r['id']: r for r in sessions(self.path('x.db'))}
            for sort, got in pages.items():
                while got[-1]['more']:
                    got.append(server.get('/v1/sessions', sort=sort, limit=40, cursor=got[-1]['cursor']))
                ids = [r['id'] for page in got for r in page['sessions']]
                unchanged = [i for i in before if before[i] == after.get(i)]
                self.assertGreater(len(unchanged), 100)
                for i in unchanged:
                    self.assertEqual(ids.count(i), 1, (sort, i))
                self.assertFalse(os.path.exists(self.path('x.db-wal')), 'the server keeps nothing open for long')

    def test_beside_a_watch(self):
        """Sessions that are open and grow, of an index that is kept in WAL mode."""
        os.mkdir(self.path('in'))
        packets = [(support.T0 + i * 1000000, support.udp('10.0.0.1', 1000 + i % 3, '10.0.0.2', 53, b'%03d' % i)) for i in range(90)]
        whole = support.pcap_bytes(packets)
        one = (len(whole) - 24) // 90
        support.write(self.path('in/a.pcap'), whole[:24 + 30 * one])
        watch = subprocess.Popen([support.FLOWCARVE, 'watch', '-q', '-d', self.path('x.db'), '--commit', '50ms', self.path('in')], env=support.environment())
        self.addCleanup(watch.wait)
        self.addCleanup(watch.terminate)
        self.wait_for(lambda: os.path.exists(self.path('x.db')))
        with Server(self, self.path('x.db')) as server:
            for so_far in (30, 60, 90):
                with open(self.path('in/a.pcap'), 'ab') as f:
                    f.write(whole[f.tell():24 + so_far * one])
                self.wait_for(lambda: server.get('/v1/status')['index']['packets'] == so_far)
                self.assertEqual([r['client_packets'] for r in server.get('/v1/sessions')['sessions']], [so_far // 3] * 3)
                self.assertEqual(len(support.parse_capture(server.raw('/v1/carve'))), so_far)

    def wait_for(self, condition):
        begun = time.monotonic()
        while not condition():
            self.assertLess(time.monotonic() - begun, 30)
            time.sleep(.02)

    def test_another_index_of_that_name(self):
        self.fcgen('0.pcap', '--packets', '500', '--sessions', '20')
        self.fcgen('1.pcap', '--packets', '900', '--sessions', '50')
        index(self.path('x.db'), '-q', self.path('0.pcap'))
        with Server(self, self.path('x.db')) as server:
            self.assertEqual(server.get('/v1/count')['packets'], 500)
            index(self.path('y.db'), '-q', self.path('1.pcap'))
            os.rename(self.path('y.db'), self.path('x.db'))
            self.assertEqual(server.get('/v1/count')['packets'], 900)
            os.remove(self.path('x.db'))
            self.assertEqual(server.error('/v1/count', 500, 'internal')['file'], self.path('x.db'))


class Times(support.TestCase):
    def test_histograms_of_10_ns_and_of_500_years(self):
        option, block = support.option, support.block
        nanoseconds = option('<', 9, bytes([9]))
        for name, offsets in (('narrow', [(0, support.T0 + i) for i in range(0, 30, 3)]),
                              ('wide', [(-6_000_000_000, 0), (-1, 0), (0, 0), (0, 1), (0, support.T0), (6_000_000_000, 5), (0, 2**63 - 1), (-9_000_000_000, 0)]),
                              ('one', [(0, 5)]), ('none', [])):
            parts, times = [support.shb()], []
            for i, (offset, ns) in enumerate(offsets):
                parts.append(support.idb('<', 1, nanoseconds + option('<', 14, offset.to_bytes(8, 'little', signed=True))))
                data = support.udp('10.0.0.1', 1000 + i, '10.0.0.2', 53, b'x')
                parts.append(support.epb('<', i, ns, data))
                times.append(offset * 10**9 + ns)
            if not times:  # a packet without a time
                parts.append(support.idb('<', 1))
                data = support.udp('10.0.0.1', 1, '10.0.0.2', 53, b'x')
                parts.append(block('<', 3, len(data).to_bytes(4, 'little') + data))
            support.write(self.path(name + '.pcapng'), b''.join(parts))
            index(self.path(name + '.db'), '-q', self.path(name + '.pcapng'))
            with Server(self, self.path(name + '.db')) as server:
                for buckets in (2, 3, 10, 200, 2000):
                    h = server.get('/v1/histogram', buckets=buckets)
                    self.assertEqual(h['timeless']['sessions'], 0 if times else 1)
                    if not times:
                        self.assertEqual((h['count'], h['groups']), (0, []))
                        continue
                    self.assertLessEqual(h['count'], buckets)
                    wanted = collections.Counter((max(-2**63 + 1, min(t, 2**63 - 1)) - h['start_ns']) // h['bucket_ns'] for t in times)
                    found = {i: n for i, n in enumerate(h['groups'][0]['sessions']) if n}
                    self.assertEqual(sum(found.values()), len(times))
                    if h['bucket_ns'] < 2**62:
                        self.assertEqual(found, dict(wanted), (name, buckets))
                    # the least length that will do
                    self.assertTrue(h['bucket_ns'] == 1 or h['count'] * 5 > buckets or buckets < 10, (name, buckets, h['count'], h['bucket_ns']))


class Groups(support.TestCase):
    def test_their_filters_find_them(self):
        """Those of encapsulations with an id, too; none where a filter knows no ports of that protocol."""
        inner = support.udp('10.1.0.1', 1, '10.1.0.2', 53, b'x')
        vxlan = [support.udp('10.0.0.1', 9, '10.0.0.2', 4789, struct.pack('>II', 0x08000000, vni << 8) + inner)
                 for vni in (42, 43)]
        lite = support.eth(support.ipv4('10.0.0.1', '10.0.0.2', 136, struct.pack('>HHHH', 1000, 2000, 8, 0) + b'x'))
        support.write(self.path('a.pcap'), support.pcap_bytes([(support.T0 + i, d) for i, d in enumerate(
            [vxlan[0], vxlan[1], lite, support.udp('10.0.0.1', 1, '10.0.0.3', 53), support.tcp('10.0.0.1', 1, '10.0.0.3', 80, 'S')])]))
        index(self.path('x.db'), '-q', '--fields', 'tunnel', '--key', 'tunnel', self.path('a.pcap'))
        with Server(self, self.path('x.db')) as server:
            filters = {row['tunnel']: row['filter'] for row in server.get('/v1/top', by='tunnel')['rows']}
            self.assertEqual(filters, {None: None, 'vxlan:42': 'tunnel vxlan:42', 'vxlan:43': 'tunnel vxlan:43'})
            ports = {(row['proto'], row['port']): row['filter'] for row in server.get('/v1/top', by='port')['rows']}
            self.assertIsNone(ports.pop(('udplite', 2000)))
            for f in [*ports.values(), *(f for f in filters.values() if f)]:
                self.assertGreater(server.get('/v1/count', filter=f)['sessions'], 0, f)


class Captures(support.TestCase):
    def test_captures_that_are_missing_or_changed(self):
        packets = [(support.T0 + i * 1000000, support.udp('10.0.0.1', 1000 + i, '10.0.0.2', 53, b'%03d' % i)) for i in range(20)]
        support.write(self.path('a.pcap'), support.pcap_bytes(packets[:10]))
        support.write(self.path('b.pcap'), support.pcap_bytes(packets[10:]))
        index(self.path('x.db'), '-q', self.path('a.pcap'), self.path('b.pcap'))
        os.remove(self.path('b.pcap'))
        with Server(self, self.path('x.db')) as server:
            one = server.get('/v1/sessions/11')
            self.assertEqual((one['files'][0]['state'], one['files'][0]['carvable'], one['carvable']), ('missing', False, False))
            for path in ('/v1/carve', '/v1/carve/check'):
                self.assertEqual(server.error(path, 409, 'missing')['file'], self.path('b.pcap'))
            self.assertEqual(len(support.parse_capture(server.raw('/v1/carve', partial=True))), 10)
            self.assertEqual(server.error('/v1/sessions/11/packets', 409, 'missing')['file'], self.path('b.pcap'))
            part = server.get('/v1/sessions/11/packets', partial=True)
            self.assertEqual((part['packets'], part['missing'], len(part['warnings'])), ([], 1, 1))
            server.error('/v1/sessions/11/follow', 409, 'missing')
            self.assertEqual(server.get('/v1/files')['sums']['missing'], 1)
            support.write(self.path('b.pcap'), support.pcap_bytes(packets[:10]))
            server.error('/v1/carve', 409, 'changed', ids='11')

    def test_names_and_damage_that_somebody_made(self):
        name = 'evil\x1b[31m"<script>\u202e\xff.pcap'
        path = os.fsencode(self.folder) + b'/' + name.encode('utf-8', 'surrogateescape').replace(b'\xc3\xbf', b'\xff')
        packets = [(support.T0, support.udp('10.0.0.1', 1, '10.0.0.2', 53, b'x'))] * 30
        data = bytearray(support.pcap_bytes(packets))
        data[24 + 10 * 59 + 8:24 + 10 * 59 + 12] = b'\xff\xff\xff\x7f'
        with open(path, 'wb') as f:
            f.write(data)
        index(self.path('x.db'), '-q', path, ok=(0, 1))
        with Server(self, self.path('x.db'), '-v') as server:
            raw = server.raw('/v1/files')
            self.assertNotIn(b'\x1b', raw)
            self.assertNotIn(b'\xff', raw)
            self.assertIn('\ufffd', json.loads(raw)['files'][0]['path'])
            damage = server.get('/v1/damage', file=1)['damage']
            with support.open_db(self.path('x.db')) as db:
                rows = db.execute('SELECT file, off, length, cause FROM damage').fetchall()
            self.assertEqual([(d['file'], d['off'], d['length'], d['cause']) for d in damage], rows)
            self.assertEqual(len(rows), 1)
            server.ask('/v1/complete?filter=%1b%5b31m')
            self.assertNotIn('\x1b', server.said())


@unittest.skipIf(support.sanitized(), 'the library with a sanitizer cannot be loaded into Python')
class Sums(support.TestCase):
    """The histogram of everything, from the sums of 4096 sessions: a server takes it where sessions are many."""

    class Sum(ctypes.Structure):
        _fields_ = [('sessions', ctypes.c_uint64), ('packets', ctypes.c_uint64), ('bytes', ctypes.c_uint64)]

    def test_the_sums_add_up_and_lie_where_the_sessions_do(self):
        library = os.path.join(os.path.dirname(support.FLOWCARVE), 'libflowcarve.so')
        if not os.path.exists(library):
            self.skipTest('no shared library')
        sum_type = self.Sum

        class Group(ctypes.Structure):
            _fields_ = [('key', ctypes.c_int64), ('total', sum_type), ('bucket', ctypes.POINTER(sum_type))]

        class Histogram(ctypes.Structure):
            _fields_ = [('bucket_ns', ctypes.c_int64), ('start_ns', ctypes.c_int64), ('count', ctypes.c_size_t),
                        ('group', ctypes.POINTER(Group)), ('groups', ctypes.c_size_t), ('earlier', sum_type),
                        ('timeless', sum_type), ('exact', ctypes.c_bool), ('total', sum_type), ('has_time', ctypes.c_bool),
                        ('first_ns', ctypes.c_int64), ('last_ns', ctypes.c_int64)]

        class Options(ctypes.Structure):
            _fields_ = [('by', ctypes.c_int), ('buckets', ctypes.c_uint), ('has_from', ctypes.c_bool),
                        ('from_ns', ctypes.c_int64), ('sums', ctypes.c_bool)]

        self.fcgen('a.pcap', '--packets', '60000', '--sessions', '30000', '--sizes', 'small', '--rate', '3000')
        index(self.path('x.db'), '-q', self.path('a.pcap'))
        lib = ctypes.CDLL(library)
        db = ctypes.c_void_p()
        self.assertEqual(lib.fc_db_open(self.path('x.db').encode(), ctypes.byref(db), None), 0)
        found = {}
        for sums in (False, True):
            h = Histogram()
            options = Options(0, 20, False, 0, sums)
            self.assertEqual(lib.fc_histogram_make(db, None, ctypes.byref(options), ctypes.byref(h), None), 0)
            self.assertEqual((h.exact, h.groups), (not sums, 1))
            group = h.group[0]
            totals = (group.total.sessions, group.total.packets, group.total.bytes)
            buckets = [(group.bucket[i].sessions, group.bucket[i].packets, group.bucket[i].bytes) for i in range(h.count)]
            self.assertEqual(tuple(map(sum, zip(*buckets))), totals)
            found[sums] = h.start_ns, h.bucket_ns, totals, buckets
            lib.fc_histogram_fini(ctypes.byref(h))
        lib.fc_db_close(db)
        self.assertEqual(found[True][:3], found[False][:3])
        for exact, drawn in zip(found[False][3][:-1], found[True][3][:-1]):
            self.assertLess(abs(exact[1] - drawn[1]), .25 * found[False][2][1] / len(found[False][3]) + 4096, (exact, drawn))


if __name__ == '__main__':
    support.main()
