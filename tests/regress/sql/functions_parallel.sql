-- first, last and histogram in parallel and partitionwise: the same as in one process.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';

CREATE TABLE parallel_readings(id int, device int, ts timestamptz, value float8, label text, key text, doc text);
ALTER TABLE parallel_readings ALTER COLUMN doc SET STORAGE EXTERNAL;
INSERT INTO parallel_readings
    SELECT i, i % 7, timestamptz '2024-01-01' + (i::bigint * 7919 % 100003) * interval '1 min', CASE WHEN i % 11 = 0 THEN NULL ELSE i END,
           CASE WHEN i % 13 = 0 THEN NULL ELSE 'reading ' || i END, md5(i::text), CASE WHEN i % 10000 = 0 THEN repeat(md5(i::text), 300) END
    FROM generate_series(1, 100002) i;
ANALYZE parallel_readings;
CREATE VIEW parallel_results AS
    SELECT device, count(*), first(value, ts) AS fv, last(value, ts) AS lv, first(label, ts) AS fl, last(label, ts) AS ll, first(label, key) AS fk, last(label, key) AS lk,
           first(ROW(id, label), ts)::text AS fr, last(ARRAY[id, device], ts) AS la, first(md5(doc), ts) FILTER (WHERE doc IS NOT NULL) AS fd,
           md5(last(doc, ts) FILTER (WHERE doc IS NOT NULL)) AS ld, first(value, NULLIF(ts, ts)) AS none, histogram(value, 0, 100000, 10) AS h
    FROM parallel_readings GROUP BY device;
SET max_parallel_workers_per_gather = 0;
CREATE TEMP TABLE serial AS SELECT * FROM parallel_results;
SELECT device, fv, lv, fl, ll, fk, lk, fr, la, none, h FROM serial ORDER BY device;

SET max_parallel_workers_per_gather = 4;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT device, first(value, ts), histogram(value, 0, 100000, 10) FROM parallel_readings GROUP BY device;
SELECT count(*) AS groups, count(*) FILTER (WHERE s IS DISTINCT FROM p) AS differ FROM serial s FULL JOIN parallel_results p USING (device);
SET force_parallel_mode = regress;
SELECT count(*) AS groups, count(*) FILTER (WHERE s IS DISTINCT FROM p) AS differ FROM serial s FULL JOIN parallel_results p USING (device);
RESET force_parallel_mode;
SELECT first(label, ts), last(label, ts), histogram(value, 0, 100000, 2) FROM parallel_readings;
SET parallel_leader_participation = off;
SELECT first(label, ts), last(label, ts), histogram(value, 0, 100000, 2) FROM parallel_readings;
RESET parallel_leader_participation;
-- Bounds that differ between processes or rows are refused there too.
SELECT histogram(value, 0, 10 + id, 10) FROM parallel_readings;
SELECT count(DISTINCT time_bucket('1 day', ts, 'Europe/Berlin')), count(DISTINCT time_bucket('1 day', ts)) FROM parallel_readings;

-- A spilled hash aggregate.
SET max_parallel_workers_per_gather = 0;
SET work_mem = '64kB';
SELECT count(*) AS groups, count(*) FILTER (WHERE f IS DISTINCT FROM label OR l IS DISTINCT FROM label) AS differ
FROM (SELECT id, label, first(label, ts) AS f, last(label, ts) AS l FROM parallel_readings GROUP BY id, label) g;
RESET work_mem;

-- Partitionwise.
CREATE TABLE parts(device int, ts timestamptz, label text) PARTITION BY RANGE (ts);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2024-01-20');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2024-01-20') TO (MAXVALUE);
INSERT INTO parts SELECT device, ts, label FROM parallel_readings;
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF) SELECT device, first(label, ts), last(label, ts) FROM parts GROUP BY device;
SELECT count(*) AS groups, count(*) FILTER (WHERE (fl, ll) IS DISTINCT FROM (f, l)) AS differ
FROM serial JOIN (SELECT device, first(label, ts) AS f, last(label, ts) AS l FROM parts GROUP BY device) p USING (device);
DROP VIEW parallel_results;
DROP TABLE parallel_readings, parts;
