-- Conditions on time leave out chunks: when a query is planned, and when it runs.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET max_parallel_workers_per_gather = 0;

CREATE TABLE m (time timestamptz NOT NULL, device int, value float8);
INSERT INTO m SELECT '2024-01-01'::timestamptz + i * interval '1 hour', i % 3, i FROM generate_series(0, 239) i;
SELECT hypertable_id FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day', migrate_data => true);
CREATE TABLE plain AS TABLE m;
ANALYZE m;

-- Which chunks a plan reads, how many it leaves out when it runs, and its conditions on time.
CREATE FUNCTION chunks(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text; chunk text; read text := ''; idle int := 0; removed text := ''; conditions text[] := '{}';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
        chunk := substring(line FROM '_hyper_\d+_(\d+)_chunk( |$)');
        removed := coalesce(substring(line FROM 'Subplans Removed: \d+'), removed);
        IF chunk IS NOT NULL AND line ~ 'never executed' THEN
            idle := idle + 1;
        ELSIF chunk IS NOT NULL THEN
            read := read || ' ' || chunk;
        ELSIF line ~ 'Cond:|Filter:' AND line ~ 'time|at|\$' AND NOT trim(line) = ANY (conditions) THEN
            conditions := conditions || trim(line);
        END IF;
    END LOOP;
    RETURN NEXT 'reads:' || read;
    IF idle > 0 THEN
        RETURN NEXT 'never executed: ' || idle;
    END IF;
    IF removed > '' THEN
        RETURN NEXT removed;
    END IF;
    RETURN QUERY SELECT unnest(conditions);
END $$;

-- Constants.
SELECT * FROM chunks($$SELECT * FROM m WHERE time >= '2024-01-03' AND time < '2024-01-04'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time IN ('2024-01-03 01:00', '2024-01-07 05:00')$$);

-- time_bucket: exact conditions take its place.
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time) = '2024-01-03'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time) > '2024-01-08'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time) <= '2024-01-01 12:00'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE '2024-01-09 12:00' < time_bucket('6 hours', time)$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('2 days', time) BETWEEN '2024-01-03' AND '2024-01-04'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 month', time) >= '2024-01-02'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time, interval '6 hours') = '2024-01-03 06:00'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time, timestamptz '2024-01-01 18:00') < '2024-01-02'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time) = '2024-01-03' OR time_bucket('1 day', time) = '2024-01-06'$$);
-- A bucket that does not exist.
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time) = '2024-01-03 01:00'$$);
-- Zones and offsets in months: conditions are added, not replaced.
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time, 'Europe/Berlin') >= '2024-01-08 23:00'$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time, 'Europe/Berlin') < '2024-01-02 23:00'$$);
SELECT * FROM chunks($$SELECT count(*) FROM m WHERE time_bucket('1 day', time, interval '1 month') < '2024-01-02 23:00'$$);
-- Through views and subqueries.
CREATE VIEW v AS SELECT time AS at, value FROM m;
SELECT * FROM chunks($$SELECT * FROM v WHERE time_bucket('1 day', at) = '2024-01-03'$$);
SELECT * FROM chunks($$SELECT * FROM (SELECT * FROM m OFFSET 0) s WHERE time_bucket('1 day', time) = '2024-01-03'$$);
-- Not a condition on time, or not one that may be changed.
SELECT * FROM chunks($$SELECT count(*) FROM m WHERE NOT time_bucket('1 day', time) < '2024-01-10'$$);
SELECT count(*) FROM m WHERE time_bucket('1 day', time) < 'infinity';
SELECT count(*) FROM m WHERE time_bucket('1 day', time) > '294276-12-30';

-- Run time: parameters, stable functions, subqueries.
SET plan_cache_mode = force_generic_plan;
PREPARE p(timestamptz, timestamptz) AS SELECT * FROM m WHERE time >= $1 AND time < $2;
SELECT * FROM chunks($$EXECUTE p('2024-01-03', '2024-01-04')$$);
PREPARE b(timestamptz) AS SELECT * FROM m WHERE time_bucket('1 day', time) >= $1;
SELECT * FROM chunks($$EXECUTE b('2024-01-10')$$);
PREPARE i(timestamptz[]) AS SELECT * FROM m WHERE time = ANY ($1);
SELECT * FROM chunks($$EXECUTE i('{2024-01-03 01:00}')$$);
RESET plan_cache_mode;
PREPARE c(timestamptz) AS SELECT * FROM m WHERE time_bucket('1 day', time) = $1;
SELECT * FROM chunks($$EXECUTE c('2024-01-10')$$);
SELECT * FROM chunks($$SELECT count(*) FROM m WHERE time >= (SELECT '2024-01-10'::timestamptz)$$);
SELECT * FROM chunks($$SELECT count(m.*) FROM (VALUES ('2024-01-03 05:00'::timestamptz), ('2024-01-06 05:00')) t(t), LATERAL (SELECT * FROM m WHERE m.time = t.t) m$$);

-- ORDER BY time LIMIT reads the newest chunks only.
SELECT * FROM chunks($$SELECT * FROM m ORDER BY time DESC LIMIT 2$$);
SELECT * FROM chunks($$SELECT * FROM m WHERE time < '2024-01-02 00:30' ORDER BY time LIMIT 2$$);

-- Changes prune as well.
BEGIN;
SELECT * FROM chunks($$UPDATE m SET value = 0 WHERE time_bucket('1 day', time) = '2024-01-03'$$);
SELECT * FROM chunks($$DELETE FROM m WHERE time_bucket('1 day', time) = '2024-01-03'$$);
SELECT * FROM chunks($$WITH d AS (DELETE FROM m WHERE time_bucket('1 day', time) = '2024-01-04' RETURNING *) INSERT INTO plain SELECT * FROM d$$);
ROLLBACK;

-- Buckets that a subquery groups by, also through further subqueries, views and UNION ALL.
CREATE VIEW daily AS SELECT time_bucket('1 day', time) AS day, avg(value) AS value FROM m GROUP BY 1;
SELECT * FROM chunks($$SELECT * FROM daily WHERE day >= '2024-01-09'$$);
SELECT * FROM chunks($$SELECT * FROM daily JOIN plain ON true WHERE day = '2024-01-03'$$);
SELECT * FROM chunks($$SELECT * FROM (SELECT day AS d FROM daily UNION ALL SELECT day FROM daily WHERE day < '2024-01-03') u WHERE d <= '2024-01-03'$$);
SELECT * FROM chunks($$SELECT p.time, (SELECT max(value) FROM daily WHERE day = time_bucket('1 day', p.time)) FROM plain p$$);
SELECT count(*) FROM (SELECT time_bucket('1 day', m.time) AS day FROM plain LEFT JOIN m ON m.time = plain.time GROUP BY 1) s WHERE day > '2024-01-05';
-- Not where rows that are left out would let others in.
SELECT * FROM chunks($$SELECT * FROM (SELECT * FROM daily ORDER BY day LIMIT 5) s WHERE day >= '2024-01-09'$$);
SELECT * FROM chunks($$SELECT * FROM (SELECT day, row_number() OVER () FROM daily) s WHERE day >= '2024-01-09'$$);
SELECT * FROM chunks($$SELECT * FROM (SELECT time_bucket('1 day', max(time)) AS day FROM m) s WHERE day >= '2024-01-09'$$);

-- Off: plans are PostgreSQL's own.
SET timescaledb.enable_optimizations = off;
SELECT * FROM chunks($$SELECT * FROM m WHERE time_bucket('1 day', time) = '2024-01-03'$$);
RESET timescaledb.enable_optimizations;

-- Integers and dates.
CREATE TABLE n (at bigint NOT NULL, v int);
INSERT INTO n SELECT i, i FROM generate_series(-50, 49) i;
SELECT hypertable_id FROM create_hypertable('n', 'at', chunk_time_interval => 20, migrate_data => true);
SELECT * FROM chunks($$SELECT count(*) FROM n WHERE time_bucket(10, at) = -10$$);
SELECT * FROM chunks($$SELECT count(*) FROM n WHERE time_bucket(10, at, 5) < -35$$);
SELECT count(*) FROM n WHERE time_bucket(10, at) <= 9223372036854775807;
CREATE TABLE d (at date NOT NULL, v int);
INSERT INTO d SELECT '2024-01-01'::date + i, i FROM generate_series(0, 89) i;
SELECT hypertable_id FROM create_hypertable('d', 'at', chunk_time_interval => interval '30 days', migrate_data => true);
SELECT * FROM chunks($$SELECT count(*) FROM d WHERE time_bucket('1 month', at) = '2024-01-01'$$);
SELECT * FROM chunks($$SELECT count(*) FROM d WHERE time_bucket('7 days', at) > '2024-03-10'$$);
