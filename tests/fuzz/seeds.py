#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seeds.py FOLDER: a corpus for the fuzz targets, from our own generator; one folder a target."""
import os, random, struct, sys, tempfile, unittest
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'system'))
import support, test_compressed, test_tunnels
from support import S, T0, block, epb, idb, option, shb

out = sys.argv[1]
count = {}


def seed(target, data):
    folder = os.path.join(out, target)
    os.makedirs(folder, exist_ok=True)
    count[target] = count.get(target, 0) + 1
    support.write(os.path.join(folder, '%04d' % count[target]), bytes(data))


def captures():
    """Small captures of every shape, and damaged ones."""
    r = random.Random(1)
    packets = [(T0 + i * S, support.udp('10.0.0.%d' % i, 5, '10.0.0.9', 53, b'x' * i)) for i in range(6)]
    for e in '<>':
        for magic in (0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34):
            yield 'fuzz_pcap', support.pcap_bytes(packets, e=e, magic=magic)
        one = support.pcap_bytes(packets, e=e)
        yield 'fuzz_pcap', one + support.pcap_bytes(packets, e='>', linktype=101)
        yield 'fuzz_pcap', one[:100] + b'\xff' * 20 + one[24:]
        yield 'fuzz_pcap', one[:100] + bytes(40) + one[24:]
        yield 'fuzz_pcap', support.pcap_bytes([(0, d, 1) for _, d in packets], e=e, snaplen=20)
        yield 'fuzz_pcap', support.pcap_bytes([(T0, support.udp('10.0.0.1', 5, '10.0.0.9', 53, one))] * 3, e=e)
        ng = shb(e) + idb(e) + b''.join(epb(e, 0, t // 1000, d) for t, d in packets)
        yield 'fuzz_pcapng', ng
        yield 'fuzz_pcapng', ng + b'\xff' * 21 + ng + ng[:50]
        yield 'fuzz_pcapng', shb(e) + idb(e, 1, option(e, 9, b'\x89') + option(e, 14, bytes(8)), 20) + block(
            e, 3, struct.pack(e + 'I', 60) + bytes(20)) + block(e, 2, struct.pack(e + 'HHIIII', 0, 0, 1, 1, 4, 4) + b'abcd')
        yield 'fuzz_pcapng', ng[:60] + ng[70:]


def packets():
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, 'c.pcap')
        for options in ((), ('--vlan', '50'), ('--mpls', '50'), ('--ipv6', '50'), ('--fragments', '30'), ('--mix', 'lan')):
            r = support.run(support.FCGEN, '-q', '-w', name, '--packets', '60', *options, ok=None)
            if r.rc == 0:
                for rec in support.read_capture(name)[:40]:
                    yield rec.linktype, rec.data[:200]
    for record in test_tunnels.Traffic(random.Random(2), datagrams=40).records[:60]:
        yield 1, record[1][:200]


def tunnels():
    """A packet in each encapsulation that the traffic above has not, and that no mutator finds: they go by ports and lengths."""
    udp = support.udp_datagram(1024, 53, b'question')
    inner4 = support.ipv4('192.0.2.1', '192.0.2.2', 17, udp)
    inner6 = struct.pack('>IHBB', 6 << 28, len(udp), 17, 64) + bytes.fromhex('20010000' + '00' * 11 + '01' + '20010db8' + '00' * 11 + '02') + udp
    frame = support.eth(inner4)
    label = bytes.fromhex('000640ff 000641ff')
    for port, data in ((3544, inner6), (3544, bytes.fromhex('0001 0000') + bytes(9) + bytes.fromhex('0000 1234 c0000201') + inner6),
                       (5072, bytes.fromhex('41510129 00000000') + bytes(36) + inner6), (5072, bytes.fromhex('00000104 00000000 00') + inner4),
                       (6635, label + inner4), (6635, label + frame), (6635, label + bytes(4) + frame), (4341, bytes(8) + inner4),
                       (4754, bytes.fromhex('00000800') + inner4), (4790, bytes.fromhex('0c000001 00002a00') + inner4),
                       (37008, bytes.fromhex('01000001 01') + frame), (37008, bytes.fromhex('01000007 00 01') + inner4),
                       (5247, bytes.fromhex('00100000 00000000') + frame), (5247, bytes.fromhex('00100300 00000000') + bytes(24) + inner4),
                       (1701, bytes.fromhex('0002 0001 0002 ff03 0021') + inner4), (1701, bytes(4) + bytes.fromhex('00000009') + frame)):
        yield 1, support.udp('10.0.0.1', 4000, '10.0.0.2', port, data)
    for head, data in (('3001 880b 0022 0009 00000001 0021', inner4), ('3081 880b 0024 0009 00000001 00000001 ff03 0057', inner6),
                       ('2001 6400 002e 0900', frame), ('0000 883e', inner4), ('0000 883e 00000000', inner4), ('2000 6558 00002a00', frame),
                       ('1000 88be 00000001 1001 0002 00000000', frame), ('1000 22eb 00000001 2001 0002' + '00' * 8, frame),
                       ('0000 8909 01010000 0001 0800', inner4), ('b000 0800 00000000 00000001 00000002', inner4)):
        yield 1, support.eth(support.ipv4('10.0.0.1', '10.0.0.2', 47, bytes.fromhex(head) + data))
    for proto, data in ((4, inner4), (41, inner6), (97, b'\x30\0' + frame), (115, bytes.fromhex('00000009') + frame), (137, label + inner4),
                        (143, frame), (51, bytes.fromhex('1104 0000 00000001 00000001') + bytes(12) + udp), (50, bytes(40)),
                        (103, bytes.fromhex('2100 dead 00000000') + inner4)):
        yield 1, support.eth(support.ipv4('10.0.0.1', '10.0.0.2', proto, data))


def compressed():
    """A small capture in every shape that the tools at hand make; and with a block of deflate data of each kind, and damaged."""
    r = random.Random(2)
    data = support.pcap_bytes([(T0 + i * S, support.udp('10.0.0.1', i, '10.0.0.9', 53, r.choice((b'text ' * 20, r.randbytes(70)))))
                               for i in range(30)])
    targets = {'gz': 'fuzz_gzip', 'zst': 'fuzz_zstd', 'lz4': 'fuzz_lz4', 'xz': 'fuzz_xz'}
    for name, shape in test_compressed.SHAPES.items():
        target = targets[name.rsplit('.', 1)[1]]
        for of in (data, data * 40) if target == 'fuzz_lz4' else (data,):  # more than one block of lz4 needs 64 KiB
            try:
                blob = shape(of)
            except unittest.SkipTest:
                continue  # without the tool fewer shapes
            blob = blob if len(blob) < 1 << 16 else blob[:5000]
            at = r.randrange(len(blob))
            yield target, blob
            yield target, blob[:at]
            yield target, blob[:at] + bytes([blob[at] ^ 1 << r.randrange(8)]) + blob[at + 1:]


def main():
    for target, data in captures():
        seed(target, data + b'\x40\1')
    for i, (target, data) in enumerate(compressed()):
        seed(target, data + bytes([i * 37 & 255, i & 255]))
    frames = list(packets()) + list(tunnels())
    links = (0, 1, 6, 7, 9, 10, 12, 14, 50, 51, 99, 100, 101, 104, 105, 107, 108, 109, 113, 114, 117, 119, 122, 127, 129, 141,
             163, 169, 192, 224, 226, 228, 229, 239, 253, 276, 288)
    for i, (link, data) in enumerate(frames):
        seed('fuzz_decode', struct.pack('>HH', link, 0) + data)
        other = links[i % len(links)]
        seed('fuzz_decode', struct.pack('>HH', other, i & 1) + (data[14:] if other in (12, 14, 101, 228, 229) else data))
    for text in ('host 10.0.0.1', 'tcp and port 443', 'src net 10.0.0.0/8 or dst host 2001:db8::1', 'not (udp or icmp)',
                 'portrange 1-1024', 'bytes > 1M', 'packets >= 3 and duration < 2.5', 'state established', 'id 1,2,5-9', 'vlan 10',
                 'mpls 16', 'after 2023-11-14T22:13:20', 'before 1 hour ago', 'ether host 02:00:00:00:00:01', 'proto 17',
                 'ip6 and udp port 53', 'client bytes over 1.5Mi and server packets at least 3', 'port 80,443', 'ttl 64,128',
                 'duration between 2 and 5m', 'payload = 0', 'state rejected,new or reset by client,server', 'client flags syn,ack and not flags fin',
                 'file a.pcap,"b (c).pcap"', 'at 2023-11-14 22:13 or on 20131021', 'between 2013-5-2 22:20 and 22:30', 'during yesterday 8:05',
                 'after 1700000000.5 and before 1700000000123', '10.0.0.1:53,[2001:db8::1]:53', 'client host 10.0.0.1 or server 10.0.0.2', 'greater 100 and less 2000', '((((tcp))))', 'tcp[13] & 2 != 0', "host '10.0.0.1"):
        seed('fuzz_filter', text.encode())
    for target in ('sessions?filter=tcp+and+port+443&sort=bytes:desc&limit=3&columns=id,bytes,files', 'sessions?from=2023-11-14&until=2h+ago&offset=1',
                   'sessions?cursor=k1.0123456789abcdef.n:80:1&sort=server_port', 'count?filter=udp', 'cost?filter=host+10.0.0.1', 'status',
                   'histogram?by=proto&buckets=7&exact=true', 'top?by=pair&peers=true&limit=2&sort=peers', 'complete?filter=tcp+and+po&at=9&limit=3',
                   'complete?filter=port+80,ht', 'filter?filter=port+53&from=2014-01-01', 'sessions/1', 'sessions/1/packets?first=1&limit=2&columns=all&direction=client',
                   'sessions/1/packet?file=1&offset=24', 'sessions/2/packet?file=1&offset=82&format=raw', 'sessions/1/follow?format=json&max_bytes=9',
                   'sessions/-1/follow?direction=server&format=raw&partial=true', 'carve?ids=1,2-3&format=pcapng&comments=true', 'carve/check?ids=1,2-3', 'carve?compress=gzip&first_packets=1',
                   'files?check=true', 'damage?file=1&limit=5', 'count?filter=%F0%9D%84%9E+hsot'):
        seed('fuzz_request', b'/v1/' + target.encode())
    for body in ('{"ids":"1-2"}', '{"ids":"1,2,7-9","uuid":null,"format":"pcapng","partial":true}', '{"ids":"\\u0031-\\ud83d\\ude00"}',
                 ' { "ids" : 1 , "first_packets" : 3 , "direction" : "client" } ', '{"ids":"-5-9223372036854775807","partial":true}'):
        seed('fuzz_request', body.encode())
    v = lambda n: bytes([n]) if n < 128 else bytes([n & 127 | 128]) + v(n >> 7)
    for segments in ([(1, [24])], [(1, [24, 100, 5000]), (2, [24])], [(3, list(range(24, 9000, 60)))]):
        plain = b''.join(v(f) + v(len(o)) + v(o[0]) + b''.join(v(b - a) for a, b in zip(o, o[1:])) for f, o in segments)
        seed('fuzz_positions', plain)
        seed('fuzz_positions', b'\0\1\5\0' + v(len(plain)) + bytes([0xf0, len(plain) - 15]) + plain if 15 <= len(plain) < 270
             else b'\0' + v(20) + b'\x1f\1\1\0\0')
    seed('fuzz_open', b'\4' + b'\1\x80\x08' + b'\2\x4c\2\3' + b'\1\x20' + b'\7\xf0\1\x12\x10' + b'abcdefgh')
    seed('fuzz_open', b'\4' + b'\xff\1\x33\x13\2' + b'abcd' + b'\1\0')


main()
