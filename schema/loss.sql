-- SPDX-License-Identifier: MIT
-- What `flowcarve capture` has not recorded, and when. An index has this table once that has run; without it nothing was lost,
-- as far as is known.
-- A row for each second and interface in which packets were dropped; the time between is in rows of up to an hour each. Of
-- each row
--   received = recorded + dropped_kernel + dropped_queue + dropped_disk
-- A packet is counted when it is known what became of it, which may be a second or two after it came. What has been lost in an
-- hour:
--   SELECT interface, sum(dropped_kernel + dropped_queue + dropped_disk) FROM loss
--   WHERE end_ns > 1717142400000000000 AND start_ns < 1717146000000000000 GROUP BY 1
CREATE TABLE loss (
    id             INTEGER PRIMARY KEY,
    capture_ns     INTEGER NOT NULL, -- when the process that tells this began, by which its rows belong together
    interface      TEXT NOT NULL,    -- name
    start_ns       INTEGER NOT NULL, -- by the wall clock, ns since 1970
    end_ns         INTEGER NOT NULL,
    received       INTEGER NOT NULL, -- packets that have passed the filter
    recorded       INTEGER NOT NULL, -- of these, in captures and in this index
    dropped_kernel INTEGER NOT NULL, -- its buffer was full
    dropped_queue  INTEGER NOT NULL, -- no room was left in memory,
    dropped_disk   INTEGER NOT NULL, -- and that as the disk was too slow, or full
    dropped_iface  INTEGER NOT NULL, -- by the interface or its driver; not among those received
    first_file     INTEGER NOT NULL, -- what is recorded by this process until end_ns is in captures with these IDs
    last_file      INTEGER NOT NULL
);
