-- SPDX-License-Identifier: MIT
-- Indexes of the session table; store/session_index.h knows them. An address narrows so far that the port of the same
-- end need not be in its index.
--
-- Each begins with the epoch of an ID, (id - 1) >> 18: as IDs only rise, what is added goes to the end of the index
-- however large it is. SQLite takes an index over an expression for this very expression only. By hand, it finds an
-- address in all epochs without being told of them:
--   SELECT * FROM session WHERE client_addr = 167772161
CREATE INDEX session_client ON session ((id - 1) >> 18, client_addr);
CREATE INDEX session_server ON session ((id - 1) >> 18, server_addr);
CREATE INDEX session_community ON session_fields ((id - 1) >> 18, community_id) WHERE community_id IS NOT NULL;

-- Ports, of either end: block b of epoch e has the port when one of the 64 sessions from e * 262144 + b * 64 + 1 on has
-- it. Half the size of an index of each column, since a few ports are everywhere. By hand:
--   SELECT s.* FROM session_port p
--   JOIN session s ON s.id BETWEEN p.epoch * 262144 + p.block * 64 + 1 AND p.epoch * 262144 + p.block * 64 + 64
--   WHERE p.port = 8080 AND 8080 IN (s.client_port, s.server_port)
-- Rows may stay of sessions that are forgotten, as long as a session of their session_span is left.
CREATE TABLE session_port (
    epoch INTEGER NOT NULL,
    port  INTEGER NOT NULL,
    block INTEGER NOT NULL,          -- of the epoch, from 0
    PRIMARY KEY (epoch, port, block)
) WITHOUT ROWID;
INSERT INTO session_port
SELECT (id - 1) >> 18, client_port, (id - 1) >> 6 & 4095 FROM session WHERE client_port IS NOT NULL
UNION SELECT (id - 1) >> 18, server_port, (id - 1) >> 6 & 4095 FROM session WHERE server_port IS NOT NULL;

-- A row for each 4096 consecutive IDs, from first_id on, among which there is a session. Times: IDs rise with them, so
-- this is enough. The earliest start and the latest end of the sessions that have times, NULL when none has; and what
-- all of them have, for sums over time without reading sessions.
CREATE TABLE session_span (
    first_id INTEGER PRIMARY KEY,
    start_ns INTEGER,
    end_ns   INTEGER,
    packets  INTEGER NOT NULL,
    bytes    INTEGER NOT NULL
);
INSERT INTO session_span
SELECT ((id - 1) >> 12) * 4096 + 1, min(start_ns), max(start_ns + duration_ns),
    sum(client_packets + server_packets), sum(client_bytes + server_bytes)
FROM session GROUP BY 1;
