-- SPDX-License-Identifier: MIT
-- Where sessions stood before a run changed that: an older capture has given them an earlier start, or made the server the client.
-- Copies of the index elsewhere (`flowcarve export`) find by this what they have of a session. An index has this table once
-- there is something to tell. Rows go with their session.
CREATE TABLE moved (
    session  INTEGER NOT NULL REFERENCES session(id),
    run      INTEGER NOT NULL, -- which has changed it
    start_ns INTEGER,          -- its start_ns before; NULL: no packet had a time
    turned   INTEGER NOT NULL, -- 1: client and server have changed places
    PRIMARY KEY (session, run)
) WITHOUT ROWID;
