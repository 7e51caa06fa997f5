-- SPDX-License-Identifier: MIT
-- Indexes of the session table; store/session_index.h knows them. An address narrows so far that the port of the same
-- end need not be in its index.
CREATE INDEX session_client ON session (client_addr);
CREATE INDEX session_server ON session (server_addr);
CREATE INDEX session_community ON session_fields (community_id) WHERE community_id IS NOT NULL;

-- Ports, of either end: block b has the port when one of the sessions b * 64 + 1 to b * 64 + 64 has it. Half the size of
-- an index of each column, since a few ports are everywhere. By hand:
--   SELECT s.* FROM session_port p JOIN sessions s ON s.id BETWEEN p.block * 64 + 1 AND p.block * 64 + 64
--   WHERE p.port = 8080 AND 8080 IN (s.client_port, s.server_port)
CREATE TABLE session_port (
    port  INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (port, block)
) WITHOUT ROWID;
INSERT INTO session_port
SELECT client_port, (id - 1) >> 6 FROM session WHERE client_port IS NOT NULL
UNION SELECT server_port, (id - 1) >> 6 FROM session WHERE server_port IS NOT NULL;

-- Times: IDs rise with them, so this is enough. A row for each 4096 consecutive IDs, from first_id on, among which there
-- is a session with times: the earliest start and the latest end of these.
CREATE TABLE session_span (
    first_id INTEGER PRIMARY KEY,
    start_ns INTEGER NOT NULL,
    end_ns   INTEGER NOT NULL
);
INSERT INTO session_span
SELECT ((id - 1) >> 12) * 4096 + 1, min(start_ns), max(start_ns + duration_ns)
FROM session WHERE start_ns IS NOT NULL GROUP BY 1;
