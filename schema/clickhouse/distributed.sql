-- SPDX-License-Identifier: MIT
-- Where several servers share the work: made on each of them, behind tables.sql. All rows of a sensor are on one shard, so that what belongs together
-- is replaced and looked up there. @CLUSTER@ is the name of the cluster in the servers' configuration. @DATABASE@ is written out, as 18.16 would keep
-- currentDatabase() as it stands, and have none when it starts again.
CREATE TABLE IF NOT EXISTS session AS session_local ENGINE = Distributed(@CLUSTER@, @DATABASE@, session_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS host AS host_local ENGINE = Distributed(@CLUSTER@, @DATABASE@, host_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS span AS span_local ENGINE = Distributed(@CLUSTER@, @DATABASE@, span_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS rollup AS rollup_local ENGINE = Distributed(@CLUSTER@, @DATABASE@, rollup_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS progress AS progress_local ENGINE = Distributed(@CLUSTER@, @DATABASE@, progress_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS sensor AS sensor_local ENGINE = Distributed(@CLUSTER@, @DATABASE@, sensor_local, cityHash64(sensor))
;
