-- SPDX-License-Identifier: MIT
-- Indexes of the session table, one column each; store/session_index.h knows them. An address narrows so far that the
-- port of the same end need not be in its index.
CREATE INDEX session_client ON session (client_addr);
CREATE INDEX session_server ON session (server_addr);
CREATE INDEX session_client_port ON session (client_port);
CREATE INDEX session_server_port ON session (server_port);

-- Times: IDs rise with them, so this is enough. A row for each 4096 consecutive IDs, from first_id on, among which there
-- is a session with times: the earliest start and the latest end of these.
CREATE TABLE session_span (
    first_id INTEGER PRIMARY KEY,
    start_ns INTEGER NOT NULL,
    end_ns   INTEGER NOT NULL
);
INSERT INTO session_span
SELECT (id - 1) / 4096 * 4096 + 1, min(start_ns), max(start_ns + duration_ns)
FROM session WHERE start_ns IS NOT NULL GROUP BY 1;
