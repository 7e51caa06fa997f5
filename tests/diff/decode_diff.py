#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""decode_diff.py - flowcarve's session keys against the oracle's, packet by packet.

  decode_diff.py DUMP ORACLE_DIR CAPTURES_DIR [-v]

DUMP is the decode_dump binary, ORACLE_DIR holds decode.py and offsets.py, CAPTURES_DIR is searched for captures.
Compared are key, direction and fragment state, of the outermost IP layer and of the innermost; ICMP ports are left out (the oracle has none).
Packets of link types without a decoder are counted, not compared. If CAPTURES_DIR has a community-id-expected.tsv, the
Community IDs made from flowcarve's keys are compared with it too, ICMP included.

Each difference is put into a category; those in EXPLAINED are known to be right as they are. Exit status 1 when any
other is found. -v prints the first few of each category.
"""
import base64, collections, csv, hashlib, ipaddress, os, struct, subprocess, sys

EXPLAINED = {
    'tunnel': 'FabricPath, Cisco MetaData, EoIP, AYIYA, VXLAN-GPE and CAPWAP, which the oracle does not read (tshark '
              'does, see tshark_diff.py)',
    'cooked': 'cooked records of ARPHRD kinds or protocol numbers that are not EtherTypes',
    'pppoe-code': 'PPPoE session frame whose code is not 0',
    'ext-behind-ah': 'IPv6 extension header behind AH: followed here, the oracle stops',
    'bridge-log': 'NFLOG of a bridge, which the oracle does not read (tshark does, see tshark_diff.py)',
    'version': 'IPv6 under the EtherType of IPv4, which the oracle does not read (tshark does)',
    'tag': 'switch tags and IPNET, which the oracle does not read',
    'depth': 'an extension header chain longer than FC_DEPTH_MAX: the key keeps the number reached',
}
EXTENSIONS = ('0', '43', '44', '51', '60')
TAGS = (226, 281, 282, 284, 285)
TUNNELS = {'eoip', 'ayiya', 'vxlan-gpe', 'capwap'}
ETHERTYPES = (b'\x89\x03', b'\x89\x09')  # FabricPath, Cisco MetaData


def community_id(f):
    ver, proto, a, pa, b, pb = f.split('|')
    h = hashlib.sha1(b'\0\0' + ipaddress.ip_address(a).packed + ipaddress.ip_address(b).packed + bytes([int(proto), 0]))
    if int(proto) in (1, 6, 17, 58, 132):
        h.update(struct.pack('>HH', int(pa), int(pb)))
    return '1:' + base64.b64encode(h.digest()).decode()


def portless(key):
    f = key.split('|')
    if f[1] in ('1', '58'):
        f[3] = f[5] = '0'
    return '|'.join(f)


def sort_icmp(key, way):
    """An ICMP key without counterpart is not sorted: put it in the oracle's order."""
    f = key.split('|')
    if f[1] not in ('1', '58'):
        return key, way
    a, b = (ipaddress.ip_address(f[2]).packed, ipaddress.ip_address(f[4]).packed)
    if a > b:
        f[2], f[4], way = f[4], f[2], '<' if way == '>' else '>'
    elif a == b:
        way = '>'
    return portless('|'.join(f)), way


def category(ours, theirs, data, linktype, tags):
    kind, key = ours[0], ours[1]
    if kind == 'link' and theirs[0] != '-':
        if int(key, 16) == 0x18864:
            return 'pppoe-code'
        if linktype in (113, 276):
            return 'cooked'
        return 'not-ip-here'
    if kind == 'malformed' and theirs[0] != '-':
        return 'malformed-here'
    if kind == 'ip' and (TUNNELS & {t.split(':')[0] for t in ours[5].split('/')} or data[12:14] in ETHERTYPES or
                         'gre' in ours[5] and ETHERTYPES[1] in data[36:46]):
        return 'tunnel'
    if kind == 'ip' and theirs[0] == '-':
        if ours[1][0] == '6' and b'\x08\0\x60' in data[:18]:
            return 'version'
        return 'bridge-log' if linktype == 239 and data[:1] == b'\7' else 'tag' if linktype in TAGS else 'ip-only-here'
    if kind == 'ip' and ours[2] != theirs[1]:
        return 'direction'
    if kind == 'ip' and ours[3] != theirs[2]:
        return 'fragment'
    f, g = key.split('|'), theirs[0].split('|')
    if f[:1] == g[:1] == ['6'] and g[1] in EXTENSIONS and f[2::2] == g[2::2]:
        return 'ext-behind-ah'
    if f[:1] == g[:1] == ['6'] and f[1] in EXTENSIONS and f[2::2] == g[2::2]:
        return 'depth'
    return 'key'


def packets(offsets, path):
    _, data = offsets.load(path)
    if not data:
        return
    info = offsets.Info()
    for _, data_off, caplen, origlen, _, linktype, _, _ in offsets.packets(data, info):
        yield linktype, origlen, data[data_off:data_off + caplen]


LAYERS = ('outer', 'inner')  # as decode_dump takes them


def run(dump, records, layer):
    text = ''.join('%d %d %s\n' % (lt, ol & 0xffffffff, b.hex() or '-') for lt, ol, b in records)
    out = subprocess.run([dump, layer], input=text, capture_output=True, text=True)
    lines = out.stdout.splitlines()
    if out.returncode or len(lines) != len(records):
        sys.exit('decode_diff: %s failed: %s' % (dump, out.stderr))
    return [l.split('\t') for l in lines]


def decoded(oracle, linktype, data):
    try:
        return oracle.decode(linktype, data)
    except IndexError:  # the oracle trips over some cut headers
        return None


def theirs_of(oracle, d, layer):
    if not d:
        return ('-', '-', '-'), []
    if not d.ls:
        return ('-', '-', '-'), d.tags
    ip = d.ls[0 if layer == 'outer' else -1]
    key, way = oracle.key(ip)
    frag = {'M': 'L', 'A': '-'}.get(ip.frag, ip.frag)
    if frag == '-' and layer == 'inner' and any(i.frag == 'F' for i in d.ls):
        frag = 'F'  # a whole packet in the first fragment of the one around it
    return (key, way, frag), d.tags


def compare(oracle, name, records, answers, result, layer, count, samples):
    for n, ((linktype, _, data), answer, ours) in enumerate(zip(records, answers, result), 1):
        count['packets'] += 1
        if ours[0] == 'unknown':
            count['no decoder'] += 1
            continue
        theirs, tags = theirs_of(oracle, answer, layer)
        count['compared'] += 1
        if ours[0] == 'ip':
            ours[1], ours[2] = sort_icmp(ours[1], ours[2])
            if tuple(ours[1:4]) == theirs:
                count['equal'] += 1
                continue
        elif theirs[0] == '-':
            count['no IP in both: ' + ours[0]] += 1
            continue
        kind = category(ours, theirs, data, linktype, tags)
        count['DIFF ' + kind] += 1
        samples[kind].append((layer, name, n, linktype, ours, theirs, data[:48].hex()))


def check_community(name, expected, result, count, samples):
    for frame, cid in expected:
        ours = result[frame - 1]
        made = community_id(ours[1]) if ours[0] == 'ip' else '-'
        ok = made == cid
        count['community id equal' if ok else 'DIFF community-id'] += 1
        if not ok:
            samples['community-id'].append((name, frame, ours, made, cid))


def main(args):
    verbose = '-v' in args
    args = [a for a in args if a != '-v']
    if len(args) != 3:
        print(__doc__)
        return 2
    dump, oracle_dir, root = args
    sys.path.insert(0, oracle_dir)
    import decode as oracle, offsets
    cids = collections.defaultdict(list)
    tsv = os.path.join(root, 'community-id-expected.tsv')
    if os.path.exists(tsv):
        for r in csv.DictReader(open(tsv), delimiter='\t'):
            cids[r['file']].append((int(r['frame']), r['community_id_v1_seed0']))
    count, samples = collections.Counter(), collections.defaultdict(list)
    for folder, _, files in sorted(os.walk(root)):
        for f in sorted(files):
            name = os.path.relpath(os.path.join(folder, f), root)
            if name in ('MANIFEST.tsv', 'README.md', 'community-id-expected.tsv'):
                continue
            records = list(packets(offsets, os.path.join(folder, f)))
            if not records:
                count['files without packets'] += 1
                continue
            count['files'] += 1
            answers = [decoded(oracle, linktype, data) for linktype, _, data in records]
            for layer in LAYERS:
                result = run(dump, records, layer)
                check_community(name, cids.get(f, cids.get(name, [])), result, count, samples)
                compare(oracle, name, records, answers, result, layer, count, samples)
    bad = 0
    for k, v in sorted(count.items()):
        print('%8d  %s' % (v, k))
    for kind, rows in sorted(samples.items()):
        known = EXPLAINED.get(kind)
        bad += 0 if known else len(rows)
        print('%s: %d, %s' % (kind, len(rows), known or 'UNEXPLAINED'))
        for row in rows[:12 if verbose else 0]:
            print('   ', *row)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
