#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tshark_diff.py - flowcarve's session keys against tshark's stored answers, packet by packet.

  tshark_diff.py DUMP ORACLE_DIR CAPTURES_DIR [-v]

DUMP is the decode_dump binary, ORACLE_DIR holds offsets.py, decode.py and expected.tar.xz (what tshark said of each
packet). Compared are key, direction and fragment state, of the outermost IP layer and of the innermost. Packets of link types without a decoder must be opaque to tshark too: no IP layer.

Each difference is put into a category; those in EXPLAINED are known to be right as they are. Exit status 1 when any
other is found. -v prints the first few of each category.
"""
import collections, csv, os, sys, tarfile

import decode_diff

EXPLAINED = {
    'badip': 'no IP header where the layer below says that one is: tshark looks elsewhere',
    'fabricpath': 'Cisco FabricPath: tshark takes the last bytes for a frame check sequence, and has no SCTP ports then',
    'ipcomp': 'IPComp: tshark inflates it; without that nothing tells what is inside',
    'depth': 'an extension header chain longer than FC_DEPTH_MAX: the key keeps the number reached',
}


def answers(path):
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith('.pkt'):
                text = tar.extractfile(member).read().decode('utf-8', 'replace').splitlines()
                yield os.path.basename(member.name)[:-4], list(csv.DictReader(text, delimiter='\t',
                                                                              quoting=csv.QUOTE_NONE))


def portless(key):
    """A later fragment has no ports here; the stored answers have those of its first fragment."""
    f = key.split('|')
    a, b = sorted((f[2], f[4]))
    return '%s|%s|%s|%s' % (f[0], f[1], a, b)


def same(ours, row, layer):
    if ours[0] != 'ip' or row['depth'] == '0':
        return (ours[0] == 'ip') == (row['depth'] != '0')
    key, way = decode_diff.sort_icmp(ours[1], ours[2])
    frag = {'M': 'L', 'A': '-'}.get(row[layer + '_frag'], row[layer + '_frag'])
    if frag == '-' and row['outer_frag'] == 'F':
        frag = 'F'  # a whole packet in the first fragment of the one around it
    if frag == 'L':
        return ours[3] == 'L' and portless(key) == portless(row[layer])
    return (key, way, ours[3]) == (row[layer], row[layer + '_dir'], frag)


def category(ours, row):
    if 'badip' in row['notes']:
        return 'badip'
    for name, kind in (('cfp', 'fabricpath'), ('ipcomp', 'ipcomp')):
        if name in row['protocols'].split(':'):
            return kind
    if ours[0] == 'ip' and ours[1].split('|')[1] in decode_diff.EXTENSIONS:
        return 'depth'
    return '%s here, %s there' % (ours[0], 'ip' if row['depth'] != '0' else 'none')


def compare(name, rows, records, result, layer, found):
    found.count['records that tshark does not list'] += max(0, len(records) - len(rows))
    if len(rows) > len(records):
        found.count['files whose frames are not records'] += 1
        return
    for row, (linktype, _, data), ours in zip(rows, records, result):
        if same(ours, row, layer):
            found.by_type[linktype]['equal'] += 1
            what = {'0': 'no IP', '1': 'IP'}.get(row['depth'], layer + ' IP of a tunnel')
            found.count['equal, ' + what] += 1
        else:
            kind = category(ours, row)
            found.by_type[linktype]['different'] += 1
            found.count['DIFF ' + kind] += 1
            found.samples[kind].append((layer, name, row['frame'], linktype, ours, row[layer], row[layer + '_frag'],
                                        row['protocols'], data[:40].hex()))


class Found:
    def __init__(self):
        self.count, self.samples = collections.Counter(), collections.defaultdict(list)
        self.by_type = collections.defaultdict(collections.Counter)

    def report(self, verbose):
        """Prints all; the number of differences without an explanation."""
        bad = 0
        for k, v in sorted(self.count.items()):
            print('%8d  %s' % (v, k))
        for linktype, c in sorted(self.by_type.items()):
            print('link type %4d: %s' % (linktype, ', '.join('%d %s' % (v, k) for k, v in sorted(c.items()))))
        for kind, rows in sorted(self.samples.items()):
            bad += 0 if kind in EXPLAINED else len(rows)
            print('%s: %d, %s' % (kind, len(rows), EXPLAINED.get(kind, 'UNEXPLAINED')))
            for row in rows[:12 if verbose else 0]:
                print('   ', *row)
        return bad


def main(args):
    verbose = '-v' in args
    args = [a for a in args if a != '-v']
    if len(args) != 3:
        print(__doc__)
        return 2
    dump, oracle_dir, root = args
    sys.path.insert(0, oracle_dir)
    import offsets
    expected = dict(answers(os.path.join(oracle_dir, 'expected.tar.xz')))
    found = Found()
    for folder, _, files in sorted(os.walk(root)):
        for f in sorted(files):
            name = os.path.relpath(os.path.join(folder, f), root)
            rows = expected.get(name.replace(os.sep, '__'))
            records = list(decode_diff.packets(offsets, os.path.join(folder, f))) if rows else []
            for layer in decode_diff.LAYERS if records else ():
                compare(name, rows, records, decode_diff.run(dump, records, layer), layer, found)
    return 1 if found.report(verbose) else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
