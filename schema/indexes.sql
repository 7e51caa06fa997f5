-- SPDX-License-Identifier: MIT
-- Indexes of the session table, made after its rows. An address leads, its port follows, so that both
-- `host` and `host and port` are one range; a port alone has an index of its own per end.
CREATE INDEX session_client ON session (client_addr, client_port);
CREATE INDEX session_server ON session (server_addr, server_port);
CREATE INDEX session_client_port ON session (client_port);
CREATE INDEX session_server_port ON session (server_port);
CREATE INDEX session_start ON session (start_ns);
