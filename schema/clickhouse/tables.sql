-- SPDX-License-Identifier: MIT
-- What a ClickHouse engine knows of the sessions of many sensors. Plain SQL that releases from 18.16 on understand: one
-- statement each, with a line that is ';' alone behind it. Three words are put in: @LOCAL@ is '' on one server, and '_local'
-- where Distributed tables (distributed.sql) stand in front; @ENGINE(v)@ is ReplacingMergeTree(v), or its replicated kind;
-- and so is @ENGINE()@, without a version.
--
-- Every table replaces rows that have the same key: whatever is sent twice, in whatever pieces, is there once in the end.
-- Numbers and bytes alone; text comes from captures (vlan, mpls, tunnel, community_id) and of a sensor's name.

-- A row a session and revision. `revision` is 2 * run + 1, `run` being the last run of the index that the row takes into account.
-- A session whose place in the key a later run has changed gets a row under the old key as well, with `deleted` 1 and revision
-- 2 * run: a selection by conditions on the key, proto and kind alone has the latest of what it finds under an ID. Conditions on
-- what else there is come behind that, or a revision that is out of date would match.
-- Provisional sessions have IDs below 0, and are there only while `revision` is the latest of their index (table progress: 2 * run + 1).
CREATE TABLE IF NOT EXISTS session@LOCAL@ (
    sensor           String,
    generation       FixedString(16),  -- random, of an index: IDs mean something in it alone
    id               Int64,
    revision         UInt64,
    deleted          UInt8,
    day              Date,             -- of the start, UTC, 1970-01-01 to 2105-12-31, as times outside are put there; without a time the first
    slot             Int64,            -- 5 minutes since 1970 of the start, rounded down; without a time -2^63
    timed            UInt8,            -- 0: no packet has a time; the times below are 0 then
    start_ns         Int64,            -- ns since 1970
    end_ns           Int64,
    proto            UInt32,           -- as table protocols of an index has them
    kind             UInt8,            -- of addresses: 4 IPv4, 6 IPv6, 1 link addresses, 0 none
    client           FixedString(16),  -- IPv4 as ::ffff:a.b.c.d; of link addresses the first 6 bytes
    server           FixedString(16),
    client_port      Int32,            -- -1: none
    server_port      Int32,
    client_packets   UInt64,
    server_packets   UInt64,
    client_bytes     UInt64,
    server_bytes     UInt64,
    state            UInt8,            -- 0 new, 1 established, 2 closed, 3 reset, 4 midstream
    flags            UInt16,           -- as session.flags of an index, without 8
    vlan             Nullable(String), -- fields, as table session_fields of an index has them; what it does not hold is NULL
    mpls             Nullable(String),
    tunnel           Nullable(String),
    client_mac       Nullable(FixedString(6)),
    server_mac       Nullable(FixedString(6)),
    client_ttl       Nullable(UInt8),
    server_ttl       Nullable(UInt8),
    client_dscp      Nullable(UInt8),
    server_dscp      Nullable(UInt8),
    client_tcp_flags Nullable(UInt16),
    server_tcp_flags Nullable(UInt16),
    client_isn       Nullable(UInt32),
    server_isn       Nullable(UInt32),
    client_payload   Nullable(UInt64),
    server_payload   Nullable(UInt64),
    community_id     Nullable(String)  -- of all IP sessions, also where the index does not hold it
) ENGINE = @ENGINE(revision)@ PARTITION BY day ORDER BY (slot, sensor, generation, client, server, client_port, server_port, id) SETTINGS index_granularity = 8192
;

-- Where a host's sessions are: two rows a session, one when both addresses are the same. It names keys of `session` (but for the ports), also of
-- rows that are out of date.
CREATE TABLE IF NOT EXISTS host@LOCAL@ (
    addr       FixedString(16),
    slot       Int64,
    client     FixedString(16),
    server     FixedString(16),
    sensor     String,
    generation FixedString(16),
    id         Int64,
    day        Date
) ENGINE = @ENGINE()@ PARTITION BY day ORDER BY (addr, slot, client, server, sensor, generation, id) SETTINGS index_granularity = 8192
;
CREATE MATERIALIZED VIEW IF NOT EXISTS to_host@LOCAL@ TO host@LOCAL@ AS
SELECT arrayJoin(arrayDistinct([client, server])) AS addr, slot, client, server, sensor, generation, id, day FROM session@LOCAL@
;

-- On which days sessions end that start on a day: `after` is about the end, and partitions are about the start.
CREATE TABLE IF NOT EXISTS span@LOCAL@ (
    sensor     String,
    generation FixedString(16),
    day        Date,
    last_day   Date
) ENGINE = @ENGINE()@ ORDER BY (sensor, generation, day, last_day) SETTINGS index_granularity = 8192
;
CREATE MATERIALIZED VIEW IF NOT EXISTS to_span@LOCAL@ TO span@LOCAL@ AS
SELECT sensor, generation, day, toDate(least(greatest(intDiv(end_ns, 86400000000000), 0), 49672)) AS last_day
FROM session@LOCAL@ GROUP BY sensor, generation, day, last_day
;

-- Sums of 5 minutes, a row each with a list of groups, so that a slot that is added up anew replaces the one before. Provisional sessions are
-- not in them.
CREATE TABLE IF NOT EXISTS rollup@LOCAL@ (
    sensor     String,
    generation FixedString(16),
    slot       Int64,
    revision   UInt64,
    day        Date,
    proto      Array(UInt32),
    state      Array(UInt8),
    sessions   Array(UInt64),
    packets    Array(UInt64),
    bytes      Array(UInt64)
) ENGINE = @ENGINE(revision)@ PARTITION BY day ORDER BY (slot, sensor, generation) SETTINGS index_granularity = 8192
;

-- How far each index has been sent: everything up to `run`; of what comes then, up to `until`, `batches` pieces are there.
CREATE TABLE IF NOT EXISTS progress@LOCAL@ (
    sensor     String,
    generation FixedString(16),
    step       UInt64,             -- counts what is noted here
    run        UInt64,
    until      UInt64,
    batches    UInt64,
    fields     UInt32,             -- FC_FIELD_* bits that the index holds
    clock_ns   Int64,              -- latest time of a packet in the index; -2^63: none
    told_ns    Int64               -- when this was noted, by the sensor's clock
) ENGINE = @ENGINE(step)@ ORDER BY (sensor, generation) SETTINGS index_granularity = 8192
;

-- Which index of a sensor is asked: the row with the highest `since`. It is written when all of an index is there.
CREATE TABLE IF NOT EXISTS sensor@LOCAL@ (
    sensor     String,
    since      UInt64,             -- ns since 1970
    generation FixedString(16)
) ENGINE = @ENGINE(since)@ ORDER BY (sensor) SETTINGS index_granularity = 8192
;
