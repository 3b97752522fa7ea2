-- Queries of a hypertable that are answered from its continuous aggregates: which, and that the rows are the same.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SET client_min_messages = notice;
SET timezone = 'UTC';
SET datestyle = 'ISO';

\getenv abs_srcdir PG_ABS_SRCDIR
\set answer :abs_srcdir '/answer.sql'
\set ECHO none
\i :answer
\set ECHO all

CREATE TABLE m (time timestamptz NOT NULL, host text NOT NULL, region int, v float8, n numeric, i int, code numeric);
SELECT create_hypertable('m', by_range('time', INTERVAL '2 days'));
INSERT INTO m
SELECT t, 'h' || h, h % 3, sin(extract(epoch FROM t) / 1000 + h) * 10, round((cos(extract(epoch FROM t) / 777 + h) * 10)::numeric, h % 4),
       CASE WHEN h <> 3 THEN (extract(epoch FROM t)::bigint / 60 + h) % 1000 END, (ARRAY[1.0, 1.00, 2.5])[h % 3 + 1]
  FROM generate_series(TIMESTAMPTZ '2026-01-01', '2026-01-12 13:17', INTERVAL '7 minutes') t, generate_series(1, 4) h;

CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', time) AS bucket, host, count(*), avg(v) AS a, sum(i) AS si, min(v), max(n), stddev(n) AS sn, var_pop(v) AS vv,
       first(v, time) AS fv, last(n, time) AS ln, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS median
  FROM m GROUP BY 1, 2 WITH NO DATA;
CALL refresh_continuous_aggregate('hourly', NULL, '2026-01-11');
ANALYZE;

-- What a plan looks like: storage where it is valid, the hypertable for the rest, both within the bounds.
SET timescaledb.enable_cagg_rewrites = on;
EXPLAIN (COSTS OFF)
SELECT time_bucket('1 day', time) AS day, avg(v) FROM m
 WHERE time >= '2026-01-03 05:10' AND time < '2026-01-04 20:00' AND host = 'h1' GROUP BY day ORDER BY day;
SET timescaledb.enable_cagg_rewrites = off;

-- The same groups: any aggregate, expressions over them, HAVING, windows, DISTINCT, LIMIT.
SELECT answer($$SELECT time_bucket('1 hour', time) b, host, avg(v), count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY v) p FROM m GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, host, avg(v) * 2 + count(*) x FROM m
                WHERE time > '2026-01-05 03:33' AND time <= '2026-01-11 04:44' AND host IN ('h1', 'h3')
                GROUP BY b, host HAVING count(*) > 3 AND host <> 'h3' ORDER BY b DESC, host LIMIT 17$$);
SELECT answer($$SELECT host, time_bucket('1 hour', time) b, rank() OVER (PARTITION BY host ORDER BY avg(v)) FROM m GROUP BY 1, 2$$);
SELECT answer($$SELECT DISTINCT count(*) FROM m GROUP BY time_bucket('1 hour', time), host$$);
SELECT answer($$SELECT date_trunc('hour', time) b, upper(host) u, count(*), stddev(n), var_pop(v) FROM m GROUP BY b, host, u$$);
SELECT answer($$SELECT count(time) ct, count(host) ch FROM m GROUP BY time_bucket('1 hour', time), host$$);

-- Coarser buckets, fewer groups, none at all.
SELECT answer($$SELECT time_bucket('1 day', time) b, host, avg(v), count(*), sum(i), stddev(n), variance(n), var_pop(v), stddev(v) sv, first(v, time), last(n, time), min(v), max(n) FROM m GROUP BY 1, 2$$);
SELECT answer($$SELECT date_trunc('month', time) b, avg(v), count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT date_trunc('week', time) b, avg(v), count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 month', time) b, avg(v), count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('6 hours', time, TIMESTAMPTZ '2026-01-01 03:00') b, avg(v) FROM m GROUP BY 1 HAVING avg(v) > 0 ORDER BY 2 LIMIT 5$$);
SELECT answer($$SELECT time_bucket('6 hours', ts => time, "offset" => INTERVAL '1 hour') b, avg(v) FROM m GROUP BY 1$$);
SELECT answer($$SELECT host, avg(v), sum(i) FROM m WHERE time >= '2026-01-02 00:30' GROUP BY host$$);
SELECT answer($$SELECT count(*), avg(v), sum(i) FROM m WHERE time < '2026-01-07 12:12'$$);
SELECT answer($$SELECT extract(hour FROM time_bucket('1 hour', time)) h, count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT host, time_bucket('1 day', time) d, count(*), grouping(host) FROM m GROUP BY GROUPING SETS ((host), (2), ())$$);
SELECT answer($$SELECT count(*) FILTER (WHERE host = 'h1') c, avg(v) FILTER (WHERE host > 'h2') a FROM m$$);
SELECT answer($$SELECT count(DISTINCT host), max(host), min(time_bucket('1 hour', time)) FROM m$$);
-- Nothing is there: no row, or one that says so.
SELECT answer($$SELECT count(*), avg(v), sum(i) FROM m WHERE host = 'none'$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE host = 'none' GROUP BY 1$$);

-- Bounds on time, of the column's type and of others.
SELECT answer($$SELECT host, count(*) FROM m WHERE time BETWEEN '2026-01-05' AND '2026-01-06' GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time >= date '2026-01-05' AND timestamp '2026-01-09' > time GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time >= '2026-01-03' AND time > '2026-01-03' AND time <= '2026-01-05 23:59:59.999999' GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time_bucket('1 day', time) = '2026-01-05' GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time > NULL GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time > '2026-01-05' AND time < '2026-01-04' GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time > '2026-01-10 12:00' GROUP BY host$$);

-- Time zones: offsets that are multiples of the bucket, others, and the session's.
SELECT answer($$SELECT time_bucket('1 day', time, 'Europe/Berlin') b, avg(v), count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT date_trunc('day', time, 'America/New_York') b, avg(v), count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT date_trunc('day', time, 'Asia/Kolkata') b, avg(v), count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT date_trunc('day', time, 'Europe/Berlin') b, date_trunc('day', time, 'Asia/Tokyo') t, count(*) FROM m GROUP BY 1, 2$$);
SET timezone = 'Europe/Berlin';
SELECT answer($$SELECT date_trunc('day', time) b, avg(v), count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time >= date '2026-01-05' GROUP BY host$$);
SET timezone = 'UTC';

-- Joins, subqueries, CTEs, views, INSERT.
CREATE TABLE hosts (host text, team text, w float8);
INSERT INTO hosts VALUES ('h1', 't1', 1), ('h2', 't0', 2), ('h3', 't1', 3), ('h1', 't9', 4);
SELECT answer($$SELECT team, time_bucket('1 day', time) b, count(*), sum(v), stddev(n) FROM m JOIN hosts USING (host) GROUP BY 1, 2$$);
SELECT answer($$SELECT team, count(*) c, count(m.host) ch, max(w) FROM hosts h JOIN m ON m.host = h.host AND m.time > '2026-01-03 03:03' GROUP BY 1$$);
SELECT answer($$SELECT team, h.host, count(*) FROM hosts h, m WHERE m.host = h.host AND m.host <> 'h2' GROUP BY 1, 2$$);
SELECT answer($$SELECT team, count(*), stddev(n) FROM m LEFT JOIN hosts USING (host) WHERE time > '2026-01-04 04:04' GROUP BY 1$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE EXISTS (SELECT FROM hosts h WHERE h.host = m.host AND team = 't1') GROUP BY 1$$);
SELECT answer($$SELECT m.host, x.c, count(*) FROM m, LATERAL (SELECT count(*) c FROM hosts h WHERE h.host = m.host) x GROUP BY 1, 2$$);
SELECT answer($$WITH d AS (SELECT time_bucket('1 day', time) b, host, avg(v) a FROM m GROUP BY 1, 2) SELECT b, max(a) FROM d GROUP BY b$$);
SELECT answer($$SELECT h.host, (SELECT count(*) FROM m WHERE m.host = h.host) FROM hosts h$$);
SELECT answer($$SELECT a.b, a.c, b.c d FROM (SELECT time_bucket('1 day', time) b, count(*) c FROM m GROUP BY 1) a
                JOIN (SELECT date_trunc('day', time) b, count(*) c FROM m WHERE host = 'h2' GROUP BY 1) b USING (b)$$);
SELECT answer($$SELECT count(*) FROM m UNION ALL SELECT count(*) FROM m WHERE host = 'h1'$$);
CREATE VIEW daily_of_h1 AS SELECT time_bucket('1 day', time) AS day, count(*), avg(v) FROM m WHERE host = 'h1' GROUP BY 1;
CREATE VIEW without_h4 AS SELECT * FROM m WHERE host <> 'h4';
SELECT answer($$SELECT * FROM daily_of_h1 WHERE day > '2026-01-04'$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, sum(i) FROM without_h4 GROUP BY 1$$);
CREATE VIEW renamed AS SELECT host AS machine, time AS at, v AS value, upper(host) AS big FROM without_h4;
SELECT answer($$SELECT machine, big, avg(value) FROM renamed WHERE at >= '2026-01-03 03:03' GROUP BY 1, 2$$);
SELECT answer($$SELECT team, count(*) FROM (SELECT * FROM m WHERE time > '2026-01-03 03:03') s LEFT JOIN hosts h USING (host) GROUP BY 1$$);
SELECT answer($$SELECT h.host, (SELECT count(*) FROM renamed r WHERE machine = h.host) FROM hosts h$$);
SELECT answer($$SELECT count(r) FROM renamed r$$);
SELECT answer($$SELECT count(*) FROM (SELECT * FROM m LIMIT 10) s$$);
BEGIN;
SET LOCAL timescaledb.enable_cagg_rewrites = on;
CREATE TEMP TABLE taken (b timestamptz, c bigint);
INSERT INTO taken SELECT time_bucket('1 day', time), count(*) FROM m GROUP BY 1;
SELECT count(*), sum(c) FROM taken;
ROLLBACK;

-- What is not: what groups don't have, what can't be merged, what is not the same for all rows of a group.
SELECT answer($$SELECT host, avg(v) FROM m WHERE region = 1 GROUP BY host$$);
SELECT answer($$SELECT region, avg(v) FROM m GROUP BY region$$);
SELECT answer($$SELECT host, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM m GROUP BY host$$);
SELECT answer($$SELECT host, avg(v + 1) FROM m GROUP BY host$$);
SELECT answer($$SELECT host, sum(DISTINCT i) FROM m GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FILTER (WHERE v > 0) FROM m GROUP BY host$$);
SELECT answer($$SELECT time_bucket('30 minutes', time) b, count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('90 minutes', time) b, count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time, TIMESTAMPTZ '2026-01-01 00:10') b, count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE time >= '2026-01-05' OR host = 'h1' GROUP BY host$$);
SELECT answer($$SELECT host, count(*) FROM m WHERE random() < 2 GROUP BY host$$);
SELECT answer($$SELECT team, count(*) FROM hosts LEFT JOIN m USING (host) GROUP BY 1$$);
SELECT answer($$SELECT team, sum(w) FROM hosts JOIN m USING (host) GROUP BY 1$$);
SELECT answer($$SELECT h.host, (SELECT count(*) FROM m WHERE m.time > h.w * INTERVAL '1 day' + TIMESTAMPTZ '2026-01-01') FROM hosts h$$);
SELECT answer($$SELECT tableoid::regclass t, count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT count(*) FROM m TABLESAMPLE SYSTEM (100)$$);

-- A condition of the continuous aggregate's own must be the query's, too. Numbers that are equal may look different.
CREATE MATERIALIZED VIEW of_codes WITH (timescaledb.continuous) AS
SELECT time_bucket('1 day', time) AS bucket, code, sum(region) AS s FROM m WHERE i > 10 GROUP BY 1, 2 WITH NO DATA;
CALL refresh_continuous_aggregate('of_codes', NULL, NULL);
SELECT answer($$SELECT sum(region) FROM m WHERE i > 10$$);
SELECT answer($$SELECT sum(region) FROM m WHERE i > 11$$);
SELECT answer($$SELECT sum(region) FROM m$$);
SELECT answer($$SELECT sum(region) FROM m WHERE i > 10 AND code = 1$$);
SELECT answer($$SELECT sum(region) FROM m WHERE i > 10 AND code IN (1, 2.5)$$);
SELECT answer($$SELECT sum(region) FROM m WHERE i > 10 AND code::text = '1.00'$$);
DROP MATERIALIZED VIEW of_codes;

-- The cheapest of several: the coarsest that fits.
CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
SELECT time_bucket('1 day', time) AS bucket, host, count(*), avg(v) AS a FROM m GROUP BY 1, 2 WITH NO DATA;
CALL refresh_continuous_aggregate('daily', NULL, '2026-01-11');
SELECT answer($$SELECT date_trunc('week', time) b, count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('2 hours', time) b, count(*) FROM m GROUP BY 1$$);
SELECT answer($$SELECT count(*) FROM m WHERE time >= '2026-01-03 10:00' AND time < '2026-01-05 10:00'$$);
-- A refresh is answered from a finer one, and gives what the raw rows give.
SELECT count(*), sum(count) FROM daily;
SELECT bucket, host, count, round(a::numeric, 9) FROM daily WHERE bucket < '2026-01-11'
EXCEPT SELECT time_bucket('1 day', time), host, count(*), round(avg(v)::numeric, 9) FROM m GROUP BY 1, 2;

-- What is changed is read from the hypertable: by this transaction, by committed ones, until it is refreshed.
BEGIN;
UPDATE m SET v = 1000 WHERE host = 'h1' AND time = '2026-01-04 00:00';
DELETE FROM m WHERE host = 'h2' AND time < '2026-01-02';
SELECT answer($$SELECT time_bucket('1 day', time) b, host, avg(v), count(*) FROM m GROUP BY 1, 2$$);
SAVEPOINT s;
INSERT INTO m VALUES ('2026-01-06 06:00', 'h9', 1, 1, 1, 1, 1);
SELECT answer($$SELECT host, count(*) FROM m GROUP BY 1$$);
ROLLBACK TO s;
SELECT answer($$SELECT host, count(*) FROM m GROUP BY 1$$);
COMMIT;
SELECT answer($$SELECT time_bucket('1 day', time) b, host, avg(v), count(*) FROM m GROUP BY 1, 2$$);
CALL refresh_continuous_aggregate('daily', NULL, '2026-01-11');
SELECT answer($$SELECT time_bucket('1 day', time) b, host, avg(v), count(*) FROM m GROUP BY 1, 2$$);
-- Dropped chunks are gone for queries of the hypertable, though the continuous aggregate keeps their groups.
SELECT count(*) FROM drop_chunks('m', older_than => TIMESTAMPTZ '2026-01-03');
SELECT answer($$SELECT time_bucket('1 day', time) b, host, avg(v), count(*) FROM m GROUP BY 1, 2$$);
SELECT min(bucket) FROM daily;
TRUNCATE m;
SELECT answer($$SELECT time_bucket('1 day', time) b, host, avg(v), count(*) FROM m GROUP BY 1, 2$$);
INSERT INTO m SELECT t, 'h' || h, 1, h, h, h, h FROM generate_series(TIMESTAMPTZ '2026-02-01', '2026-02-08', INTERVAL '10 minutes') t, generate_series(1, 3) h;
CALL refresh_continuous_aggregate('hourly', NULL, NULL);
CALL refresh_continuous_aggregate('daily', NULL, NULL);
SELECT answer($$SELECT time_bucket('1 day', time) b, host, avg(v), count(*) FROM m GROUP BY 1, 2$$);

-- Prepared statements: what is valid is found out when they run, and they notice when a continuous aggregate comes or goes.
SET timescaledb.enable_cagg_rewrites = on;
SET plan_cache_mode = force_generic_plan;
PREPARE days(timestamptz) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM m WHERE time >= $1 GROUP BY 1 ORDER BY 1 LIMIT 2;
EXECUTE days('2026-02-03 12:00');
INSERT INTO m VALUES ('2026-02-03 13:00', 'h1', 1, 1, 1, 1, 1);
EXECUTE days('2026-02-03 12:00');
EXECUTE days('2026-02-04');
EXECUTE days(NULL);
ALTER MATERIALIZED VIEW daily RENAME TO per_day;
EXPLAIN (COSTS OFF) EXECUTE days('2026-02-07');
DROP MATERIALIZED VIEW per_day;
EXECUTE days('2026-02-03 12:00');
DROP MATERIALIZED VIEW hourly;
EXPLAIN (COSTS OFF) EXECUTE days('2026-02-08');
EXECUTE days('2026-02-03 12:00');
DEALLOCATE days;
RESET plan_cache_mode;
SET timescaledb.enable_cagg_rewrites = off;

-- Rights are those on the hypertable, by columns too, and of a view's owner.
CREATE MATERIALIZED VIEW daily WITH (timescaledb.continuous) AS
SELECT time_bucket('1 day', time) AS bucket, host, count(*), avg(v) AS a, sum(i) AS s FROM m GROUP BY 1, 2;
CREATE ROLE regress_routing_reader;
CREATE ROLE regress_routing_none;
GRANT SELECT (time, host, v) ON m TO regress_routing_reader;
CREATE VIEW of_owner AS SELECT time_bucket('1 day', time) AS day, sum(i) AS s FROM m GROUP BY 1;
GRANT SELECT ON of_owner TO regress_routing_none;
SET timescaledb.cagg_rewrites_debug_info = on;
SET timescaledb.enable_cagg_rewrites = on;
SET ROLE regress_routing_reader;
SELECT time_bucket('1 day', time) AS day, count(*), avg(v) FROM m GROUP BY 1 ORDER BY 1 LIMIT 1;
SELECT time_bucket('1 day', time) AS day, sum(i) FROM m GROUP BY 1 ORDER BY 1 LIMIT 1;
SELECT count(*) FROM daily;
SET ROLE regress_routing_none;
SELECT count(*) FROM m;
SELECT day, s FROM of_owner ORDER BY 1 LIMIT 1;
RESET ROLE;
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
-- Should it come about all the same.
UPDATE pg_class SET relrowsecurity = true WHERE oid = 'm'::regclass;
CREATE POLICY p ON m FOR SELECT TO regress_routing_reader USING (host = 'h1');
SET ROLE regress_routing_reader;
SELECT host, count(*) FROM m GROUP BY 1;
RESET ROLE;
SELECT count(*) FROM m;
ALTER TABLE m DISABLE ROW LEVEL SECURITY;
DROP VIEW of_owner;
REVOKE ALL ON m FROM regress_routing_reader;
DROP POLICY p ON m;
DROP ROLE regress_routing_reader, regress_routing_none;
RESET timescaledb.cagg_rewrites_debug_info;
SET timescaledb.enable_cagg_rewrites = off;

-- Columns of other types: integers, dates, timestamps without zone, months, zones.
CREATE TABLE ints (t int NOT NULL, k int NOT NULL, v int);
SELECT create_hypertable('ints', by_range('t', 1000));
CREATE FUNCTION ints_now() RETURNS int LANGUAGE sql STABLE AS 'SELECT 5000';
SELECT set_integer_now_func('ints', 'ints_now');
INSERT INTO ints SELECT t, t % 7, t % 13 FROM generate_series(-3000, 4999) t;
CREATE MATERIALIZED VIEW tens WITH (timescaledb.continuous) AS SELECT time_bucket(10, t) AS b, k, sum(v), count(*) FROM ints GROUP BY 1, 2 WITH NO DATA;
CALL refresh_continuous_aggregate('tens', NULL, 4800);
SELECT answer($$SELECT time_bucket(10, t) b, k, sum(v) FROM ints WHERE t >= -155 AND t < 4906 GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket(100, t) b, sum(v), count(*) FROM ints WHERE t >= 155::smallint GROUP BY 1$$);
SELECT answer($$SELECT time_bucket(100, t, 5) b, sum(v) FROM ints GROUP BY 1$$);
SELECT answer($$SELECT time_bucket(100, t, 30) b, sum(v) FROM ints GROUP BY 1$$);
SELECT answer($$SELECT k, sum(v) FROM ints WHERE t > 5::bigint GROUP BY 1$$);
SELECT answer($$SELECT k, sum(v) FROM ints WHERE t = 3 GROUP BY 1$$);

CREATE TABLE days (d date NOT NULL, k int, v int);
SELECT create_hypertable('days', by_range('d', INTERVAL '30 days'));
INSERT INTO days SELECT date '2025-01-01' + g / 3, g % 3, g FROM generate_series(0, 1500) g;
CREATE MATERIALIZED VIEW by_day WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', d) AS b, k, sum(v) FROM days GROUP BY 1, 2;
CREATE MATERIALIZED VIEW by_month WITH (timescaledb.continuous) AS SELECT time_bucket('1 month', d) AS b, sum(v) FROM days GROUP BY 1;
SELECT answer($$SELECT time_bucket('1 month', d) b, sum(v) FROM days GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('3 months', d) b, sum(v) FROM days WHERE d >= '2025-02-03' GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 month', d) b, k, sum(v) FROM days GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 week', d) b, sum(v) FROM days GROUP BY 1$$);
SELECT answer($$SELECT sum(v) FROM days WHERE d < timestamp '2025-06-01 05:00'$$);

CREATE TABLE zoned (time timestamptz NOT NULL, v int);
SELECT create_hypertable('zoned', by_range('time', INTERVAL '30 days'));
INSERT INTO zoned SELECT t, 1 FROM generate_series(TIMESTAMPTZ '2025-01-01', '2025-12-31', INTERVAL '3 hours') t;
CREATE MATERIALIZED VIEW in_berlin WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time, 'Europe/Berlin') AS b, sum(v) FROM zoned GROUP BY 1;
SELECT answer($$SELECT time_bucket('1 day', time, 'Europe/Berlin') b, sum(v) FROM zoned GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 month', time, 'Europe/Berlin') b, sum(v) FROM zoned GROUP BY 1$$);
SELECT answer($$SELECT date_trunc('month', time, 'Europe/Berlin') b, sum(v) FROM zoned WHERE time > '2025-02-02 02:00' GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 month', time) b, sum(v) FROM zoned GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 month', time, 'Asia/Tokyo') b, sum(v) FROM zoned GROUP BY 1$$);
SELECT answer($$SELECT sum(v) FROM zoned WHERE time > '2025-02-02 02:00'$$);

-- Bounds that are no constants are computed once, and a filter holds for the ones that it is called with.
CREATE TABLE recent (time timestamptz NOT NULL, k int, v int);
SELECT create_hypertable('recent', by_range('time', INTERVAL '7 days'));
INSERT INTO recent SELECT t, extract(hour FROM t), 1 FROM generate_series(TIMESTAMPTZ '2026-01-01', '2026-01-31 23:00', INTERVAL '1 hour') t;
CREATE MATERIALIZED VIEW by_hour WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', time) AS b, k, sum(v), count(*) FROM recent GROUP BY 1, 2;
SELECT answer($$SELECT k, sum(v) FROM recent WHERE time >= timestamptz '2026-01-03 00:30' + INTERVAL '1 day' AND time < date '2026-01-20' GROUP BY 1$$);
SELECT answer($$SELECT x, (SELECT sum(v) FROM recent WHERE time < now() AND k = x) FROM generate_series(0, 5) x$$);
SELECT answer($$SELECT x, s FROM generate_series(0, 5) x, LATERAL (SELECT sum(v) AS s FROM recent WHERE time < now() AND k = x OFFSET 0) y$$);
SELECT answer($$SELECT k, sum(v) FROM recent WHERE time >= (NULL::timestamptz + INTERVAL '1 day') GROUP BY 1$$);
SELECT b, bound, _timescaledb_functions.cagg_valid(storage, b, true, NULL, operator, ARRAY[bound])
FROM (SELECT storage::regclass FROM _timescaledb_config.continuous_agg WHERE user_view = 'by_hour'::regclass) s,
     (SELECT timestamptz '2026-01-05') bucket(b),
     (VALUES ('<', timestamptz '2026-01-06'), ('<', '2026-01-04'), ('<', '2026-01-06'), ('>', '2026-01-06'), ('>', '2026-01-04'), ('>', NULL), ('>', '2026-01-04')) v(operator, bound);
