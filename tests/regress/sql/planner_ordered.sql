-- Grouping and sorting by buckets in the order of time, lone first and last, and aggregation chunk by chunk.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
SET max_parallel_workers_per_gather = 0;

CREATE TABLE m (time timestamptz NOT NULL, device int, value int);
INSERT INTO m SELECT '2024-01-01'::timestamptz + i * interval '10 minutes', i % 3, i FROM generate_series(0, 719) i;
SELECT table_name FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day', migrate_data => true);
CREATE INDEX ON m (device, time DESC);
CREATE TABLE plain AS TABLE m;
ANALYZE m;

-- The last buckets come from the last chunk.
SET timescaledb.enable_chunkwise_aggregation = off;
EXPLAIN (COSTS OFF) SELECT time_bucket('1 hour', time) AS b, sum(value) FROM m GROUP BY 1 ORDER BY 1 DESC LIMIT 2;
EXPLAIN (COSTS OFF) SELECT time_bucket('1 hour', time) AS b, sum(value) FROM m GROUP BY 1 ORDER BY 1 LIMIT 2;
EXPLAIN (COSTS OFF) SELECT time_bucket('1 hour', time) AS b, device, sum(value) FROM m GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 2;
EXPLAIN (COSTS OFF) SELECT * FROM m ORDER BY time_bucket('1 hour', time) DESC LIMIT 2;
EXPLAIN (COSTS OFF) SELECT time_bucket('5 hours', time) AS b, count(*) FROM m WHERE time > '2024-01-04' GROUP BY 1 ORDER BY 1 LIMIT 2;
-- Not monotone, or no order of time.
EXPLAIN (COSTS OFF) SELECT time_bucket('1 day', time, 'Europe/Berlin') AS b, count(*) FROM m WHERE time < '2024-01-02' GROUP BY 1 ORDER BY 1 LIMIT 2;
RESET timescaledb.enable_chunkwise_aggregation;
SELECT time_bucket('1 hour', time) AS b, sum(value) FROM m GROUP BY 1 ORDER BY 1 DESC LIMIT 2;
SELECT time_bucket('5 hours', time) AS b, device, sum(value) FROM m GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT 4;
-- A bucket in two chunks is one group.
SELECT count(*) FROM ((SELECT time_bucket('7 hours', time) AS b, count(*), sum(value) FROM m GROUP BY 1 ORDER BY 1 LIMIT 100)
    EXCEPT ALL SELECT time_bucket('7 hours', time) AS b, count(*), sum(value) FROM plain GROUP BY 1) x;

-- first and last.
EXPLAIN (COSTS OFF) SELECT first(value, time), last(value, time) FROM m;
SELECT first(value, time), last(value, time) + 1 AS next FROM m;
EXPLAIN (COSTS OFF) SELECT last(value, time) FROM m WHERE device = 1;
SELECT last(value, time), first(value, time) FILTER (WHERE value > 100) FROM m WHERE device = 1;
SELECT last(value, time) FROM m WHERE time < '2000-01-01';
SELECT (SELECT last(value, time) FROM m WHERE m.device = p.device AND m.time <= p.time) = p.value FROM plain p WHERE value = 77;
SELECT last(value, time) AS l FROM m WHERE EXISTS (SELECT FROM plain p WHERE p.value = m.value) ORDER BY 1 LIMIT 1;
-- These stay aggregates.
EXPLAIN (COSTS OFF) SELECT last(value, time), count(*) FROM m WHERE time < '2024-01-02';
EXPLAIN (COSTS OFF) SELECT last(value, value) FROM m WHERE time < '2024-01-02';
EXPLAIN (COSTS OFF) SELECT last(value, time) FROM m WHERE time < '2024-01-02' GROUP BY device;
EXPLAIN (COSTS OFF) SELECT last(value, time) FROM m WHERE time < '2024-01-02' HAVING count(*) > 1;
-- A user without rights reads nothing by it; row security holds.
CREATE ROLE planner_reader;
SET ROLE planner_reader;
SELECT last(value, time) FROM m;
RESET ROLE;
GRANT SELECT ON m TO planner_reader;
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON m USING (device = 0);
SET ROLE planner_reader;
SELECT last(value, time) FROM m;
RESET ROLE;
DROP OWNED BY planner_reader;
DROP ROLE planner_reader;

-- Chunk by chunk; the user's own setting comes back, also after an error.
EXPLAIN (COSTS OFF) SELECT device, count(*) FROM m WHERE time < '2024-01-03' GROUP BY 1;
SHOW enable_partitionwise_aggregate;
SELECT device, 1 / (count(*) - count(*)) FROM m GROUP BY 1;
SHOW enable_partitionwise_aggregate;
