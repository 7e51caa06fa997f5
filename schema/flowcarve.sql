-- SPDX-License-Identifier: MIT
-- The index of flowcarve: an ordinary SQLite database. PRAGMA user_version is the version of this schema.
-- application_id is "fcrv" in ASCII, so that file(1) and flowcarve know the file.
PRAGMA application_id = 0x66637276;
PRAGMA user_version = 5;

-- How this index was made; the same settings hold for every capture added later.
--   profile, timeouts, fields, filter, exclude_net, key: the options of `flowcarve index`, '' when not given
-- And clock_ns: latest counted time (docs/sessions.md) of any record of any capture, ns since 1970; not there when no record
-- has a time. Sessions and fragments are open, or are not, as of then. And generation: 32 hex digits at random; there once
-- sessions of this index are known elsewhere (`flowcarve export`).
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The journal: a row for each time that something was written, in that order. Where captures are deleted by limits (`flowcarve
-- watch --keep`), rows of which no capture is left go, but for the last 4096. What it made: files and sessions with
-- these IDs (first behind last: none; so of a run that has forgotten captures), which do not come again when they are
-- forgotten. `changed`: the sessions of runs before that it changed, ascending, as varints: the distance from each to the one
-- before it, the first from 0. Provisional sessions are not noted: each run makes them anew.
CREATE TABLE run (
    id            INTEGER PRIMARY KEY,
    first_file    INTEGER NOT NULL,
    last_file     INTEGER NOT NULL,
    first_session INTEGER NOT NULL,
    last_session  INTEGER NOT NULL,
    changed       BLOB NOT NULL
);

-- Names of protocol numbers. 0-255: IP protocols; 65536 + EtherType; 131072 + DSAP*256 + SSAP (LLC);
-- 196608 + link type (nothing readable); 262144 + PPP protocol; 327680: records that cannot be decoded.
CREATE TABLE protocols (
    proto INTEGER PRIMARY KEY,
    name  TEXT NOT NULL
);

-- One row a capture, in the order in which they take part in the index. Every offset in this database is one in the
-- capture's own bytes: of a compressed file, in the stream that it holds. A capture in an archive has its URL as path, 2^63 - 1 as
-- device, and a hash of its ETag (or Last-Modified) as inode, 0: none. Of a capture that is forgotten (its `forgotten` is
-- records - ignored) this row is all that is left, and `resume` tells when that was: byte 0: 2; byte 1: 1 the capture was
-- deleted by limits, 2 it was not there any more: this row may go, too; else 0; 8 bytes little-endian: ns since 1970. (Forgotten by earlier versions, it is as below.)
CREATE TABLE files (
    id          INTEGER PRIMARY KEY,
    path        NOT NULL,            -- TEXT, or BLOB when the name is not UTF-8
    relative    INTEGER NOT NULL,    -- 1: path is relative to the folder of this database
    size        INTEGER NOT NULL,    -- bytes of the file
    stream_size INTEGER NOT NULL,    -- bytes of the capture: the same, or uncompressed
    compression TEXT NOT NULL,       -- none, gzip, zstd, lz4, xz
    mtime_ns    INTEGER NOT NULL,    -- modification time when indexed
    ctime_ns    INTEGER,             -- time of the last change of the file, its names and rights included; NULL: that was so
                                     -- short before that it tells nothing, and content is looked at
    device      INTEGER NOT NULL,    -- what the file is by, on the system that has indexed it: st_dev and st_ino
    inode       INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,    -- of the capture, uncompressed: 64-bit hash of its size and of samples, 4096 bytes at 0
                                     -- and 512 at each 2^n and 3 * 2^(n-1) from 4096 on
    stored_fingerprint INTEGER NOT NULL, -- of the file: the same, and its last 4096 bytes
    begin       INTEGER NOT NULL,    -- hash of the capture's first 4096 bytes and the time of its first record: which
                                     -- compressed ones may be copies of it
    format      TEXT NOT NULL,       -- pcap, pcap-ns, pcap-modified, pcapng
    byte_order  TEXT NOT NULL,       -- little, big, mixed
    link_types  TEXT NOT NULL,       -- comma-separated numbers, ascending
    records     INTEGER NOT NULL,    -- records read
    ignored     INTEGER NOT NULL,    -- of these, left out on the user's wish (--filter, --exclude-net)
    malformed   INTEGER NOT NULL,    -- of these, in the file's malformed session
    first_ns    INTEGER,             -- earliest and latest time of a record, ns since 1970; NULL: none has a time
    last_ns     INTEGER,
    backward    INTEGER NOT NULL,    -- records whose time is before that of the record in front of them
    end_off     INTEGER NOT NULL,    -- offset up to which the file was read; what lies behind is pending or lost, and is read
                                     -- again when the file has grown
    -- the balance of bytes: header + record + other + lost + pending = stream_size
    header_bytes INTEGER NOT NULL,   -- file headers; in pcapng section headers and interface descriptions
    record_bytes INTEGER NOT NULL,   -- record headers and packets; in pcapng packet blocks
    other_bytes INTEGER NOT NULL,    -- blocks of pcapng that hold no packet
    lost_bytes  INTEGER NOT NULL,    -- of which nothing could be made, see damage
    damaged     INTEGER NOT NULL,    -- ranges of lost bytes, and places of damage to compressed data
    pending_bytes INTEGER NOT NULL,  -- at the end: a record of which the file had only the beginning
    gone        INTEGER NOT NULL,    -- 1: the file is no longer there, another one has got its name
    forgotten   INTEGER NOT NULL,    -- of the packets in sessions, those whose positions are not in the index any more
    resume      BLOB NOT NULL        -- what reading on at end_off needs. Byte 0: version, 1; byte 1: bit 0: section is
                                     -- big-endian, bit 1: of an unknown version; then 8 bytes each, little-endian: section:
                                     -- offset, number; docs/sessions.md: C, S, B; time of the last record that has one (as C,
                                     -- -2^63: none); hash of the samples before the last MiB that is whole at end_off
);

CREATE INDEX files_path ON files (path);
CREATE INDEX files_inode ON files (device, inode);
CREATE INDEX files_fingerprint ON files (fingerprint);
CREATE INDEX files_stored ON files (stored_fingerprint);
CREATE INDEX files_begin ON files (begin);

-- Files that are copies of a capture, and not indexed: by what they are known again without being read. As in files.
CREATE TABLE copies (
    device   INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    file     INTEGER NOT NULL REFERENCES files(id),
    PRIMARY KEY (device, inode)
) WITHOUT ROWID;

-- Interfaces of each capture. A pcap file has one, and one more for each file header found inside of it (captures written
-- one behind the other): that is a section, and section_off and off say where that header is.
CREATE TABLE interfaces (
    file       INTEGER NOT NULL REFERENCES files(id),
    section    INTEGER NOT NULL,     -- section, from 0
    section_off INTEGER NOT NULL,    -- offset of the section header
    number     INTEGER NOT NULL,     -- interface number inside its section
    off        INTEGER NOT NULL,     -- offset of the description block; 0 in pcap
    big_endian INTEGER NOT NULL,
    link_type  INTEGER NOT NULL,
    snaplen    INTEGER NOT NULL,
    tsresol    INTEGER NOT NULL,     -- if_tsresol as stored: bit 7 set: power of 2, else of 10
    tsoffset   INTEGER NOT NULL,     -- seconds added to every time
    PRIMARY KEY (file, section, number)
) WITHOUT ROWID;

-- Where decompression of a capture may start: its byte `off` comes from the file's byte `stored_off` on. It may always
-- start at 0, and where a file has no row there is no other place. `state`, by files.compression:
--   gzip     byte 0 = 0: the header of a member is at stored_off, and that is all of state
--            byte 0 = 1: a block of deflate data is; byte 1: so many high bits of the byte before, 0 to 7, belong to it;
--            then the window, the up to 32768 bytes before off
--   zstd     empty: a frame is at stored_off
--   lz4      byte 0 = 0: a frame is at stored_off, and that is all of state
--            byte 0 = 1: a block is; bytes 1 and 2: FLG and BD of its frame; then the window, the up to 65536 bytes of the
--            frame before off, none where blocks are independent
--   xz       byte 0: the check ID of the stream, whose block is at stored_off
--   window   4 bytes CRC-32 (as in gzip) of what it holds, 4 bytes its length, both little-endian; unless that is 0, one LZ4
--            block that holds it
CREATE TABLE seek_points (
    file       INTEGER NOT NULL REFERENCES files(id),
    off        INTEGER NOT NULL,
    stored_off INTEGER NOT NULL,
    state      BLOB NOT NULL,
    PRIMARY KEY (file, off)
);

-- What could not be read, byte range by byte range; the first 65536 of a capture.
CREATE TABLE damage (
    file   INTEGER NOT NULL REFERENCES files(id),
    off    INTEGER NOT NULL,
    length INTEGER NOT NULL,         -- bytes not read; 0: damage to compressed data, what it cost cannot be told
    cause  TEXT NOT NULL,
    PRIMARY KEY (file, off)
) WITHOUT ROWID;

-- One row a session. Addresses: INTEGER for IPv4 (host order), 16-byte BLOB for IPv6, 6-byte BLOB for link addresses,
-- NULL for none; they sort and range-scan within their kind.
CREATE TABLE session (
    id             INTEGER PRIMARY KEY,  -- 1, 2, 3... in the order of the places of the first packets
                                         -- (docs/sessions.md); what is added later gets the next ones. An ID stays.
                                         -- Negative: provisional, fragments whose first one may still come; the next
                                         -- run replaces all of these, so that their IDs name nothing for longer
    start_ns       INTEGER,              -- time of the earliest packet, ns since 1970; NULL: no packet has a time
    duration_ns    INTEGER,              -- time from the earliest to the latest packet
    proto          INTEGER NOT NULL,     -- see protocols
    kind           INTEGER NOT NULL,     -- addresses: 4 IPv4, 6 IPv6, 1 link addresses, 0 none
    client_addr,                         -- sender of the first packet (receiver when that is a SYN-ACK)
    client_port    INTEGER,              -- NULL for protocols without ports
    server_addr,
    server_port    INTEGER,
    client_packets INTEGER NOT NULL,
    server_packets INTEGER NOT NULL,
    client_bytes   INTEGER NOT NULL,     -- original lengths on the wire
    server_bytes   INTEGER NOT NULL,
    state          INTEGER NOT NULL,     -- 0 new, 1 established, 2 closed, 3 reset, 4 midstream
    flags          INTEGER NOT NULL,     -- 1: ICMP message without counterpart, its answer is another session;
                                         -- 2, 4: a RST came from the client, from the server; 8: there are more
                                         -- positions in session_positions; 16: the client's SYN was answered by RST
                                         -- (no SYN of the server, no ACK of the client)
    domain         INTEGER NOT NULL,     -- what else is in the key: VLAN ids with --key vlan, encapsulations with
                                         -- --key tunnel, the SPI of ESP; of records that cannot be decoded the file;
                                         -- 0: nothing. See below
    positions      BLOB NOT NULL         -- see below
);

-- More positions of a session: what runs after that which made its row have added, and those of many packets, so that
-- counts can change without a long row being written again. As session.positions, of one file each.
CREATE TABLE session_positions (
    id        INTEGER PRIMARY KEY,
    session   INTEGER NOT NULL REFERENCES session(id),
    file      INTEGER NOT NULL REFERENCES files(id),
    positions BLOB NOT NULL
);
CREATE INDEX session_positions_session ON session_positions (session, file);
CREATE INDEX session_positions_file ON session_positions (file);

-- Optional fields, for the sessions of an index made with --fields; what was not selected is NULL.
CREATE TABLE session_fields (
    id               INTEGER PRIMARY KEY REFERENCES session(id),
    vlan             TEXT,               -- ids of the first tagged packet, outermost first: '10' or '10,20'
    mpls             TEXT,               -- labels of the first labelled packet, top first: '16' or '16,17'
    tunnel           TEXT,               -- encapsulations around the first encapsulated packet, outermost first:
                                         -- 'vxlan:42/gre'; names and ids are listed in docs/formats.md
    client_mac       BLOB,
    server_mac       BLOB,
    client_ttl       INTEGER,            -- of the first packet in that direction; so dscp
    server_ttl       INTEGER,
    client_dscp      INTEGER,
    server_dscp      INTEGER,
    client_tcp_flags INTEGER,            -- all flags seen in that direction, or-ed
    server_tcp_flags INTEGER,
    client_isn       INTEGER,            -- initial sequence number: of the SYN or SYN-ACK
    server_isn       INTEGER,
    client_payload   INTEGER,            -- bytes above layer 4
    server_payload   INTEGER,
    community_id     TEXT                -- Community ID v1, seed 0; NULL also for what is not IP
);

-- Packets of a session whose positions are not in the index any more; the counts in its row stay. Of a session without any
-- position there is no row at all, here or in session, unless `forget --keep-sessions` has left it.
CREATE TABLE session_forgotten (
    id      INTEGER PRIMARY KEY REFERENCES session(id),
    packets INTEGER NOT NULL
);

-- What a later capture needs to continue a session (in any byte order): batches of entries, as src/store/open_pack.h says.
-- A run adds one, of the sessions that it made and that are open as of meta.clock_ns, and of those of the index that it has
-- touched; a session's entry is that of the latest batch that has one. Batches are merged and go as they expire. Written and
-- read by flowcarve only.
CREATE TABLE open_batch (
    batch     INTEGER PRIMARY KEY,   -- 1, 2, 3... with gaps
    entries   INTEGER NOT NULL,      -- at most 262144
    expiry_ns INTEGER,               -- by this clock all have expired but those that never do; NULL: all never do
    tags      BLOB NOT NULL          -- of each entry 3 bytes of a hash of its session's key
);
CREATE TABLE open_session (
    id    INTEGER PRIMARY KEY,       -- batch * 262144 + entries of the batch in front of this row
    state BLOB NOT NULL              -- some hundred entries in the order of IDs
);
-- What a later capture needs to continue a fragmented datagram, as of meta.clock_ns. Each run writes it anew. Written and read by flowcarve only.
CREATE TABLE open_fragment (
    seq   INTEGER PRIMARY KEY,
    state BLOB NOT NULL                                -- of the last minutes: where the name of a datagram leads to, or a
                                                       -- later fragment that waits for its first; those that wait
                                                       -- under one name are one provisional session
);

-- session.positions: where the packets of a session are, byte by byte; where flags has 8, so is session_positions, and
-- this may have no byte at all.
--   varint   unsigned LEB128: 7 bits a byte, low bits first, bit 7 set on all but the last byte
--   blob     segments up to its end; or, compressed: byte 0; of each segment varint file id, varint n, and byte 0 behind
--            the last one; varint: size of the segments in bytes, then one LZ4 block that holds them. No segment begins
--            with byte 0, as file ids count from 1.
--   segment  varint file id, varint n >= 1, varint offset of the first record, then n-1 varints: distance from
--            each record to the next. Offsets are those of record headers (pcap) or blocks (pcapng), counted from the
--            start of the file, and rise within a segment. A file has at most one segment in a blob;
--            segments are in ascending order of the file id.
--
-- session.domain: 64 bits, as a signed number.
--   bit 63 clear  bits 0-12: outermost VLAN id + 1, bits 13-25: second VLAN id + 1, bits 26-30: kind of the
--                 encapsulation (enum fc_tunnel_kind), bits 31-62: its id; what is 0 is not there
--   bit 63 set    more than two VLAN ids or than one encapsulation: a hash of them
CREATE VIEW sessions AS
WITH
    named AS (
        SELECT s.*, start_ns + duration_ns AS end_ns, p.name AS proto_name, lower(hex(client_addr)) AS ch, lower(hex(server_addr)) AS sh
        FROM session s LEFT JOIN protocols p ON p.proto = s.proto
    ),
    -- IPv6 as ':g:g:g:g:g:g:g:g:' in lower case without leading zeros, of which a group has at most three
    groups AS (
        SELECT *,
            CASE WHEN kind = 6 THEN replace(replace(replace(':' || substr(ch, 1, 4) || ':' || substr(ch, 5, 4) || ':' || substr(ch, 9, 4) || ':' || substr(ch, 13, 4)
                || ':' || substr(ch, 17, 4) || ':' || substr(ch, 21, 4) || ':' || substr(ch, 25, 4) || ':' || substr(ch, 29, 4) || ':',
                ':0', ':'), ':0', ':'), ':0', ':') END AS cg,
            CASE WHEN kind = 6 THEN replace(replace(replace(':' || substr(sh, 1, 4) || ':' || substr(sh, 5, 4) || ':' || substr(sh, 9, 4) || ':' || substr(sh, 13, 4)
                || ':' || substr(sh, 17, 4) || ':' || substr(sh, 21, 4) || ':' || substr(sh, 25, 4) || ':' || substr(sh, 29, 4) || ':',
                ':0', ':'), ':0', ':'), ':0', ':') END AS sg
        FROM named
    ),
    -- the longest run of zero groups, the first of equal ones (RFC 5952)
    runs AS (
        SELECT *,
            CASE WHEN instr(cg, ':0:0:0:0:0:0:0:0:') THEN ':0:0:0:0:0:0:0:0:'
                 WHEN instr(cg, ':0:0:0:0:0:0:0:') THEN ':0:0:0:0:0:0:0:'
                 WHEN instr(cg, ':0:0:0:0:0:0:') THEN ':0:0:0:0:0:0:'
                 WHEN instr(cg, ':0:0:0:0:0:') THEN ':0:0:0:0:0:'
                 WHEN instr(cg, ':0:0:0:0:') THEN ':0:0:0:0:'
                 WHEN instr(cg, ':0:0:0:') THEN ':0:0:0:'
                 WHEN instr(cg, ':0:0:') THEN ':0:0:' END AS cz,
            CASE WHEN instr(sg, ':0:0:0:0:0:0:0:0:') THEN ':0:0:0:0:0:0:0:0:'
                 WHEN instr(sg, ':0:0:0:0:0:0:0:') THEN ':0:0:0:0:0:0:0:'
                 WHEN instr(sg, ':0:0:0:0:0:0:') THEN ':0:0:0:0:0:0:'
                 WHEN instr(sg, ':0:0:0:0:0:') THEN ':0:0:0:0:0:'
                 WHEN instr(sg, ':0:0:0:0:') THEN ':0:0:0:0:'
                 WHEN instr(sg, ':0:0:0:') THEN ':0:0:0:'
                 WHEN instr(sg, ':0:0:') THEN ':0:0:' END AS sz
        FROM groups
    )
SELECT
    r.id AS id,
    -- division cuts towards zero; before 1970 the second must be the one below
    strftime('%Y-%m-%dT%H:%M:%S', start_ns / 1000000000 - (start_ns % 1000000000 < 0), 'unixepoch')
        || printf('.%09dZ', (start_ns % 1000000000 + 1000000000) % 1000000000) AS start,
    strftime('%Y-%m-%dT%H:%M:%S', end_ns / 1000000000 - (end_ns % 1000000000 < 0), 'unixepoch')
        || printf('.%09dZ', (end_ns % 1000000000 + 1000000000) % 1000000000) AS "end",
    start_ns,
    end_ns,
    duration_ns / 1e9 AS duration, -- a number, so that it compares and sorts as one; to the nanosecond: end_ns - start_ns
    coalesce(proto_name, CASE
        WHEN proto < 65536 THEN cast(proto AS TEXT)
        WHEN proto < 131072 THEN printf('0x%04x', proto - 65536)
        WHEN proto < 196608 THEN printf('llc:0x%04x', proto - 131072)
        WHEN proto < 262144 THEN printf('link:%d', proto - 196608)
        ELSE printf('ppp:0x%04x', proto - 262144) END) AS proto,
    CASE kind
        WHEN 4 THEN printf('%d.%d.%d.%d', client_addr >> 24, client_addr >> 16 & 255, client_addr >> 8 & 255, client_addr & 255)
        WHEN 6 THEN CASE WHEN cz IS NULL THEN trim(cg, ':')
            ELSE ltrim(substr(cg, 1, instr(cg, cz) - 1), ':') || '::' || rtrim(substr(cg, instr(cg, cz) + length(cz)), ':') END
        WHEN 1 THEN substr(ch, 1, 2) || ':' || substr(ch, 3, 2) || ':' || substr(ch, 5, 2)
            || ':' || substr(ch, 7, 2) || ':' || substr(ch, 9, 2) || ':' || substr(ch, 11, 2)
        END AS client_addr,
    client_port,
    CASE kind
        WHEN 4 THEN printf('%d.%d.%d.%d', server_addr >> 24, server_addr >> 16 & 255, server_addr >> 8 & 255, server_addr & 255)
        WHEN 6 THEN CASE WHEN sz IS NULL THEN trim(sg, ':')
            ELSE ltrim(substr(sg, 1, instr(sg, sz) - 1), ':') || '::' || rtrim(substr(sg, instr(sg, sz) + length(sz)), ':') END
        WHEN 1 THEN substr(sh, 1, 2) || ':' || substr(sh, 3, 2) || ':' || substr(sh, 5, 2)
            || ':' || substr(sh, 7, 2) || ':' || substr(sh, 9, 2) || ':' || substr(sh, 11, 2)
        END AS server_addr,
    server_port,
    client_packets, server_packets, client_bytes, server_bytes,
    CASE state WHEN 0 THEN 'new' WHEN 1 THEN 'established' WHEN 2 THEN 'closed' WHEN 3 THEN 'reset' WHEN 4 THEN 'midstream' END AS state,
    f.vlan, f.mpls, f.tunnel,
    CASE WHEN f.client_mac IS NOT NULL THEN lower(substr(hex(f.client_mac), 1, 2) || ':' || substr(hex(f.client_mac), 3, 2) || ':' || substr(hex(f.client_mac), 5, 2)
        || ':' || substr(hex(f.client_mac), 7, 2) || ':' || substr(hex(f.client_mac), 9, 2) || ':' || substr(hex(f.client_mac), 11, 2)) END AS client_mac,
    CASE WHEN f.server_mac IS NOT NULL THEN lower(substr(hex(f.server_mac), 1, 2) || ':' || substr(hex(f.server_mac), 3, 2) || ':' || substr(hex(f.server_mac), 5, 2)
        || ':' || substr(hex(f.server_mac), 7, 2) || ':' || substr(hex(f.server_mac), 9, 2) || ':' || substr(hex(f.server_mac), 11, 2)) END AS server_mac,
    f.client_ttl, f.server_ttl, f.client_dscp, f.server_dscp, f.client_tcp_flags, f.server_tcp_flags,
    f.client_isn, f.server_isn, f.client_payload, f.server_payload, f.community_id
FROM runs r LEFT JOIN session_fields f ON f.id = r.id;

-- Which captures hold the packets of a session, and how many; those that are forgotten are not counted. Ask for some sessions:
--   SELECT * FROM session_files WHERE session = 42;
-- The sum over all of them takes some 50 us a session. The numbers are read out of the blobs byte by byte.
CREATE VIEW session_files AS
SELECT s.id AS session, f.id AS file, f.path AS path, found.value AS packets
FROM session s, json_each((
    WITH RECURSIVE
    blobs(blob, packed) AS (
        SELECT b, substr(b, 1, 1) = x'00'
        FROM (SELECT s.positions AS b UNION ALL SELECT substr(positions, 1, 24) FROM session_positions WHERE session = s.id)
    ),
    -- rest: of the blob, in hex; byte: the one before that; reads: it belongs to 0 a file id, 1 its count, 2 one of `skip`
    -- numbers that are passed over; low, unit: what the number has so far, and the weight of its next 7 bits
    walk(rest, byte, packed, reads, low, unit, file, packets, skip) AS (
        SELECT hex(substr(blob, 1 + packed)), NULL, packed, 0, 0, 1, NULL, NULL, 0 FROM blobs
        UNION ALL
        SELECT substr(rest, 3),
            instr('123456789ABCDEF', nullif(substr(rest, 1, 1), '')) << 4 | instr('123456789ABCDEF', substr(rest, 2, 1)),
            packed,
            CASE WHEN byte > 127 OR byte IS NULL THEN reads WHEN reads = 0 THEN 1 WHEN reads = 1 THEN 2 * NOT packed ELSE 2 * (skip > 1) END,
            CASE WHEN byte > 127 THEN low + unit * (byte & 127) ELSE 0 END,
            CASE WHEN byte > 127 THEN unit << 7 ELSE 1 END,
            CASE WHEN byte < 128 AND reads = 0 THEN low + unit * byte ELSE file END,
            CASE WHEN byte < 128 AND reads = 1 THEN low + unit * byte END,
            CASE WHEN byte < 128 THEN CASE reads WHEN 1 THEN low + unit * byte ELSE skip - 1 END ELSE skip END
        FROM walk WHERE (byte IS NOT NULL OR rest <> '') AND file IS NOT 0
    )
    SELECT json_group_object(file, n) FROM (SELECT file, sum(packets) AS n FROM walk WHERE packets IS NOT NULL GROUP BY file)
)) found JOIN files f ON f.id = found.key + 0;
