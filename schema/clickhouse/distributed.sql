-- SPDX-License-Identifier: MIT
-- Where several servers share the work: made on each of them, behind tables.sql. All rows of a sensor are on one shard, so that what belongs together
-- is replaced and looked up there. @CLUSTER@ is the name of the cluster in the servers' configuration.
CREATE TABLE IF NOT EXISTS session AS session_local ENGINE = Distributed(@CLUSTER@, currentDatabase(), session_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS host AS host_local ENGINE = Distributed(@CLUSTER@, currentDatabase(), host_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS span AS span_local ENGINE = Distributed(@CLUSTER@, currentDatabase(), span_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS rollup AS rollup_local ENGINE = Distributed(@CLUSTER@, currentDatabase(), rollup_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS progress AS progress_local ENGINE = Distributed(@CLUSTER@, currentDatabase(), progress_local, cityHash64(sensor))
;
CREATE TABLE IF NOT EXISTS sensor AS sensor_local ENGINE = Distributed(@CLUSTER@, currentDatabase(), sensor_local, cityHash64(sensor))
;
