-- Queries that come close to what a continuous aggregate's groups can answer, and must have the hypertable's answer all the same.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
SET datestyle = 'ISO';

\getenv abs_srcdir PG_ABS_SRCDIR
\set answer :abs_srcdir '/answer.sql'
\set ECHO none
\i :answer
\set ECHO all

-- Buckets of a time zone, in times when its clocks are not whole buckets ahead of UTC: Caracas was 4 1/2 hours behind until 2016-05-01.
CREATE TABLE a1 (time timestamptz NOT NULL, d int, v int);
SELECT create_hypertable('a1', 'time');
INSERT INTO a1 SELECT TIMESTAMPTZ '2016-04-25' + g * INTERVAL '10 min', g % 2, g FROM generate_series(0, 1999) g;
CREATE MATERIALIZED VIEW a1c WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', time) b, d, count(*), sum(v) FROM a1 GROUP BY 1, 2;
SELECT answer($$SELECT time_bucket('1 day', time, 'America/Caracas') b, count(*) FROM a1 GROUP BY 1$$);
SELECT answer($$SELECT date_trunc('day', time, 'America/Caracas') b, d, sum(v) FROM a1 WHERE d = 1 GROUP BY 1, 2$$);
SELECT answer($$SELECT date_trunc('day', time, 'America/Caracas') b, date_trunc('month', time, 'America/Caracas') m, time_bucket('6 hours', time) h, count(*) FROM a1 GROUP BY 1, 2, 3$$);
SELECT answer($$SELECT d, count(*), count(*) FILTER (WHERE date_trunc('day', time, 'America/Caracas') = '2016-04-28 04:30+00') one FROM a1 GROUP BY 1$$);
SELECT answer($$SELECT d, count(*) FROM a1 WHERE date_trunc('day', time, 'America/Caracas') >= '2016-04-27 04:30+00' GROUP BY 1$$);
-- Groups that would be the same, but for what a condition asks of the zone's buckets.
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) FROM a1 WHERE date_trunc('hour', time, 'America/Caracas') >= '2016-04-27 04:30+00' GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 hour', time, 'America/Caracas') b, d, count(*) FROM a1 GROUP BY 1, 2$$);
-- An hour of clocks that is there twice is one bucket.
SELECT answer($$SELECT time_bucket('1 hour', time, 'Europe/Berlin') b, d, count(*) FROM a1 GROUP BY 1, 2$$);
SELECT answer($$SELECT s.b, s.n, e.n AS e FROM (SELECT time_bucket('1 day', time, 'America/Caracas') b, count(*) n FROM a1 GROUP BY 1) s
                LEFT JOIN LATERAL (SELECT count(*) n FROM a1 WHERE time < s.b) e ON true$$);
SET timezone = 'America/Caracas';
SELECT answer($$SELECT date_trunc('day', time) b, count(*) FROM a1 GROUP BY 1$$);
SET timezone = 'UTC';
-- What a refresh computes from the finer one is stored.
CREATE MATERIALIZED VIEW a1z WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time, 'America/Caracas') b, count(*) FROM a1 GROUP BY 1;
SELECT count(*) FROM (SELECT * FROM a1z EXCEPT ALL SELECT time_bucket('1 day', time, 'America/Caracas'), count(*) FROM a1 GROUP BY 1) x;
DROP MATERIALIZED VIEW a1z;
-- A plan that was made for another zone.
SET timescaledb.enable_cagg_rewrites = on;
SET plan_cache_mode = force_generic_plan;
PREPARE days AS SELECT date_trunc('day', time) b, count(*) FROM a1 GROUP BY 1;
CREATE TEMP TABLE of_utc AS EXECUTE days;
SET timezone = 'Asia/Kolkata';
CREATE TEMP TABLE kept_plan AS EXECUTE days;
SET timescaledb.enable_cagg_rewrites = off;
SELECT count(*) FROM (SELECT * FROM kept_plan EXCEPT ALL SELECT date_trunc('day', time), count(*) FROM a1 GROUP BY 1) x;
SET timezone = 'UTC';
DEALLOCATE days;
RESET plan_cache_mode;
DROP TABLE a1 CASCADE;

-- Texts that a collation finds equal: another one may not.
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE c (time timestamptz NOT NULL, t text COLLATE no_case NOT NULL, u text NOT NULL, w text COLLATE "C" NOT NULL);
SELECT create_hypertable('c', 'time');
INSERT INTO c SELECT TIMESTAMPTZ '2026-01-01' + g * INTERVAL '10 min', (ARRAY['a', 'A', 'b'])[g % 3 + 1], (ARRAY['a', 'A', 'b'])[g % 3 + 1], 'a' FROM generate_series(0, 499) g;
CREATE MATERIALIZED VIEW cc WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', time) b, t, u, w, count(*) FROM c GROUP BY 1, 2, 3, 4;
CREATE MATERIALIZED VIEW ct WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', time) b, t, count(*) FROM c GROUP BY 1, 2;
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE t = 'a' GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE t IN ('a', 'x') AND t >= 'A' GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE t = 'a' COLLATE "C" GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, t, count(*) FROM c WHERE t = 'a' COLLATE "C" GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE t IN ('a' COLLATE "C", 'x') GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE t > 'A' COLLATE "C" GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FILTER (WHERE t = 'a' COLLATE "C") FROM c GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c JOIN (VALUES ('a'), ('b')) x(x) ON x.x COLLATE "C" = t GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE EXISTS (SELECT FROM (VALUES ('a'), ('b')) x(x) WHERE x.x COLLATE "C" = t) GROUP BY 1$$);
-- Equal by one that tells all bytes apart are the same bytes, for every other one.
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE u = 'a' COLLATE "C" AND w >= 'A' COLLATE no_case AND u >= 'a' COLLATE "POSIX" GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, count(*) FROM c WHERE u = 'A' COLLATE no_case GROUP BY 1$$);
DROP TABLE c CASCADE;

-- HAVING is asked of groups that WHERE let pass.
CREATE TABLE h (time timestamptz NOT NULL, d int, v int);
SELECT create_hypertable('h', 'time');
INSERT INTO h SELECT TIMESTAMPTZ '2026-01-01' + g * INTERVAL '10 min', g % 3, g FROM generate_series(0, 499) g;
CREATE TABLE dim (id int);
INSERT INTO dim VALUES (1), (2);
CREATE MATERIALIZED VIEW h1 WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', time) b, d, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM h GROUP BY 1, 2;
INSERT INTO h SELECT TIMESTAMPTZ '2026-01-02' + g * INTERVAL '10 min', g % 3, g FROM generate_series(0, 9) g;
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) FROM h WHERE d::text <> '0' GROUP BY 1, 2 HAVING count(*) / d > 0$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) FROM h WHERE d::text <> '0' AND time >= '2026-01-01 12:10' GROUP BY 1, 2 HAVING count(*) / d > 0$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) FROM h WHERE EXISTS (SELECT FROM dim WHERE id = d) GROUP BY 1, 2 HAVING count(*) / d > 0$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) FROM h WHERE d IN (SELECT id FROM dim) GROUP BY 1, 2 HAVING count(*) / d > 0$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, percentile_cont(0.5) WITHIN GROUP (ORDER BY v) p FROM h WHERE d::text <> '0' GROUP BY 1, 2 HAVING count(*) / d > 0 AND d > 1$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) / d x FROM h WHERE d::text <> '0' GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) / d x FROM h WHERE EXISTS (SELECT FROM dim WHERE id = d) GROUP BY 1, 2$$);
CREATE MATERIALIZED VIEW h2 WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', time) b, d, count(*) FROM h WHERE d::text <> '0' GROUP BY 1, 2 HAVING count(*) / d > 0;
DROP MATERIALIZED VIEW h2;

-- Rows are multiplied before they are grouped, or after.
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, unnest(ARRAY[1, 1]) u, count(*) FROM h GROUP BY 1, 2, 3$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, generate_series(1, d) u, count(*) FROM h GROUP BY 1, 2, 3$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, count(*) FROM h GROUP BY 1, 2, unnest(ARRAY[1, 1])$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, unnest(ARRAY[1, 1]) u, count(*) FROM h GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 hour', time) b, d, generate_series(1, count(*)) u FROM h GROUP BY 1, 2 HAVING count(*) > 1$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, unnest(ARRAY[1, 1]) u, count(*) FROM h GROUP BY 1$$);

-- Subqueries below grouping sets: a set puts NULL in place of what it does not group by, expressions and constants too.
SELECT answer($$SELECT k, count(*), coalesce(k, 'total') FROM (SELECT d, 'x'::text k FROM h) x GROUP BY ROLLUP (d, k)$$);
SELECT answer($$SELECT d, e, count(*), coalesce(e, -1) FROM (SELECT d, d + 1 AS e, time FROM h) x GROUP BY CUBE (d, e)$$);
SELECT answer($$SELECT b, count(*), coalesce(b::text, 'total') FROM (SELECT d, time_bucket('1 day', time) b FROM h) x GROUP BY ROLLUP (d, b)$$);
SELECT answer($$SELECT d, count(*), coalesce(d, -1) FROM (SELECT d, 'x'::text k, time FROM h WHERE d > 0) x GROUP BY ROLLUP (d, time_bucket('1 day', time))$$);
SELECT answer($$SELECT x.d, count(*) FROM (SELECT d, 'x'::text k FROM h) x GROUP BY x.d, x.k$$);
SELECT answer($$SELECT k, count(*), coalesce(k, 'total') FROM dim JOIN (SELECT d, 'x'::text k FROM h) x ON id = d GROUP BY ROLLUP (d, k)$$);
SELECT answer($$SELECT id, count(k) c, count(*) FROM dim LEFT JOIN (SELECT d, 'x'::text k FROM h) x ON id = d + 1 GROUP BY 1$$);
-- Two names of one bucket are two things to grouping sets.
CREATE TABLE g (time timestamp NOT NULL, d int);
SELECT create_hypertable('g', 'time');
INSERT INTO g SELECT TIMESTAMP '2026-01-01' + g * INTERVAL '10 min', g % 3 FROM generate_series(0, 499) g;
CREATE MATERIALIZED VIEW g1 WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', time) b, d, count(*) FROM g GROUP BY 1, 2;
SELECT answer($$SELECT count(*), coalesce(time_bucket('1 hour', time)::text, 'total') p, coalesce(date_trunc('hour', time)::text, 'total') q
                FROM g GROUP BY CUBE (time_bucket('1 hour', time), date_trunc('hour', time))$$);
SELECT answer($$SELECT count(*), coalesce(time_bucket('1 hour', time)::text, 'total') p, coalesce(date_trunc('day', time)::text, 'total') q
                FROM g GROUP BY CUBE (time_bucket('1 hour', time), date_trunc('day', time))$$);

-- Dates and times that the time's type does not have compare with it all the same.
SELECT answer($$SELECT d, count(*) FROM h WHERE time < date '5000000-01-01' GROUP BY 1$$);
SELECT answer($$SELECT d, count(*) FROM g WHERE time <= date '5000000-01-01' AND time > date '-infinity' GROUP BY 1$$);
SELECT answer($$SELECT d, count(*) FROM h WHERE time > date '5000000-01-01' GROUP BY 1$$);
SELECT answer($$SELECT d, count(*) FROM h WHERE time = date '5000000-01-01' GROUP BY 1$$);
SELECT answer($$SELECT d, count(*) FROM h WHERE time >= date '2026-01-02' AND time < timestamp '2026-01-03 02:34' GROUP BY 1$$);
SET timezone = 'Asia/Kolkata';
SELECT answer($$SELECT d, count(*) FROM h WHERE time >= date '4714-11-24 BC' AND time > timestamp '4714-11-24 00:00 BC' GROUP BY 1$$);
SELECT answer($$SELECT d, count(*) FROM h WHERE time <= date '4714-11-24 BC' GROUP BY 1$$);
SET timezone = 'America/Caracas';
SELECT answer($$SELECT d, count(*) FROM h WHERE time < timestamp '294276-12-31 23:59' GROUP BY 1$$);
SELECT answer($$SELECT b, n FROM (SELECT time_bucket('1 day', time) b, count(*) n FROM h GROUP BY 1) x WHERE b < date '5000000-01-01' AND b >= date '4714-11-24 BC'$$);
SET timezone = 'UTC';
-- Of parameters it is found out when the query runs.
SET plan_cache_mode = force_generic_plan;
SET timescaledb.enable_cagg_rewrites = on;
PREPARE upto(date) AS SELECT count(*) FROM h WHERE time < $1;
PREPARE since(timestamp) AS SELECT count(*) FROM h WHERE time >= $1;
EXECUTE upto('2026-01-02');
EXECUTE upto('5000000-01-01');
EXECUTE upto('infinity');
EXECUTE upto('-infinity');
EXECUTE upto(NULL);
EXECUTE since('2026-01-02 01:01');
EXECUTE since('-infinity');
SET timezone = 'Asia/Kolkata';
EXECUTE since('4714-11-24 00:00 BC');
SET timezone = 'UTC';
SET timescaledb.enable_cagg_rewrites = off;
DEALLOCATE ALL;
RESET plan_cache_mode;

-- Variances of numeric: their sums of squares may be greater, and finer, than any numeric, the variances themselves not.
CREATE TABLE nv (time timestamptz NOT NULL, d int, n numeric);
SELECT create_hypertable('nv', 'time');
INSERT INTO nv SELECT TIMESTAMPTZ '2026-01-01' + g * INTERVAL '10 min', d,
       CASE d WHEN 0 THEN g % 7 WHEN 1 THEN 1e70000 + g WHEN 2 THEN 1 + 1e-9000 * g WHEN 3 THEN nullif(g % 3, 1) * 1.50
              WHEN 4 THEN CASE WHEN g = 77 THEN numeric 'NaN' ELSE -g END WHEN 5 THEN CASE WHEN g = 77 THEN numeric '-Infinity' ELSE g / 8.0 END END
  FROM generate_series(0, 299) g, generate_series(0, 6) d;
CREATE MATERIALIZED VIEW nv1 WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', time) b, d, variance(n), stddev_pop(n), stddev(n) FILTER (WHERE n < 100) AS few FROM nv GROUP BY 1, 2;
SELECT d, count(*), left(max(variance)::text, 20) v, left(max(stddev_pop)::text, 20) s, max(few)::text f FROM nv1 WHERE d <> 2 GROUP BY 1 ORDER BY 1;
SELECT answer($$SELECT time_bucket('1 day', time) b, d, variance(n)::text v, var_samp(n)::text, var_pop(n)::text vp, stddev(n)::text s, stddev_pop(n)::text sp FROM nv GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 day', time) b, stddev(n) FILTER (WHERE n < 100)::text f FROM nv GROUP BY 1$$);
SELECT answer($$SELECT variance(n)::text FROM nv WHERE d = 1 AND time < '2026-01-02 13:30'$$);
SELECT answer($$SELECT variance(n)::text FROM nv WHERE time > '2030-01-01'$$);
SET force_parallel_mode = on;
SELECT answer($$SELECT time_bucket('1 day', time) b, d, variance(n)::text v FROM nv GROUP BY 1, 2$$);
RESET force_parallel_mode;
-- Coarser ones are computed from finer ones, and give the same once more.
CREATE MATERIALIZED VIEW nv2 WITH (timescaledb.continuous) AS SELECT time_bucket('4 hours', time) b, d, var_pop(n) FROM nv GROUP BY 1, 2;
SELECT count(*) FROM (SELECT b, d, var_pop::text FROM nv2 EXCEPT ALL SELECT time_bucket('4 hours', time), d, var_pop(n)::text FROM nv GROUP BY 1, 2) x;
DROP MATERIALIZED VIEW nv1;
SELECT answer($$SELECT time_bucket('1 day', time) b, d, variance(n)::text v, stddev(n)::text s FROM nv GROUP BY 1, 2$$);
-- Bytes that are no such state are refused.
SELECT _timescaledb_functions.merged_numeric_var_samp(x) FROM (VALUES (NULL::bytea)) v(x);
SELECT _timescaledb_functions.merged_numeric_var_samp(x) FROM (VALUES ('\x01'::bytea)) v(x);
SELECT _timescaledb_functions.merged_numeric_var_samp(overlay(m PLACING '\x7f' FROM 10)) FROM (SELECT _timescaledb_functions.numeric_moments(7) m) x;
SELECT _timescaledb_functions.merged_numeric_var_samp(overlay(m PLACING '\x0000ffff' FROM 10)
           || decode(repeat('0001', 65535), 'hex')) FROM (SELECT _timescaledb_functions.numeric_moments(7) m) x;

-- What a continuous aggregate groups by may fail for a row; that concerns only queries that group by it, too, and no other refresh.
CREATE TABLE fg (t timestamptz NOT NULL, s text, i int, v float8);
SELECT create_hypertable('fg', 't');
INSERT INTO fg SELECT TIMESTAMPTZ '2026-01-01' + g * INTERVAL '10 min', (g % 5)::text, CASE WHEN g < 250 THEN g % 3 + 1 ELSE g % 4 END, g
  FROM generate_series(0, 299) g;
CREATE MATERIALIZED VIEW fg_hour WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', t) b, s::int k, count(*) c, sum(v) FROM fg GROUP BY 1, 2;
CREATE MATERIALIZED VIEW fg_day WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', t) b, count(*) c FROM fg GROUP BY 1;
SELECT answer($$SELECT s::int, count(*) FROM fg GROUP BY 1$$);
INSERT INTO fg VALUES ('2026-01-03 01:00', 'n/a', 1, 1);
CALL refresh_continuous_aggregate('fg_day', NULL, NULL);
SELECT count(*), sum(c) FROM fg_day;
DROP MATERIALIZED VIEW fg_day;
SELECT answer($$SELECT time_bucket('1 day', t) b, count(*) FROM fg GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, s, sum(v) FROM fg GROUP BY 1, 2$$);
SELECT answer($$SELECT s::int, count(*) FROM fg WHERE t < '2026-01-03' GROUP BY 1$$);
SELECT answer($$SELECT s::int, count(*) FROM fg WHERE t IN (SELECT '2026-01-01'::timestamptz) GROUP BY 1$$);
DROP MATERIALIZED VIEW fg_hour;
-- What can't fail is no hindrance.
CREATE MATERIALIZED VIEW fg_hour WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', t) b, i IS NULL AS k, i = 3 AS l, s::varchar, count(*) c FROM fg GROUP BY 1, 2, 3, 4;
SELECT answer($$SELECT time_bucket('1 day', t) b, count(*) FROM fg GROUP BY 1$$);
DROP MATERIALIZED VIEW fg_hour;
CREATE MATERIALIZED VIEW fg_hour WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', t) b, lower(s) k, coalesce(i, 0) % 10 l, i / 2 m, left(s, 2) j, v::numeric > 7 n, sum(abs(v)), count(*) c
  FROM fg GROUP BY 1, 2, 3, 4, 5, 6;
SELECT answer($$SELECT time_bucket('1 day', t) b, count(*) FROM fg GROUP BY 1$$);
SELECT answer($$SELECT i / 2, sum(abs(v)) FROM fg WHERE i / 2 IN (SELECT 1) GROUP BY 1$$);
DROP MATERIALIZED VIEW fg_hour;
-- The least integer can't be divided by -1.
CREATE MATERIALIZED VIEW fg_hour WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', t) b, i / -1 k, count(*) c FROM fg GROUP BY 1, 2;
SELECT answer($$SELECT time_bucket('1 day', t) b, count(*) FROM fg GROUP BY 1$$);
DROP MATERIALIZED VIEW fg_hour;

-- An argument that fails, for rows that FILTER, a condition, a join or a subquery leaves out. What isn't asked for isn't computed.
CREATE TABLE fk (i int, name text);
INSERT INTO fk SELECT i, 'name ' || i FROM generate_series(1, 3) i;
CREATE MATERIALIZED VIEW fg_part WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', t) b, i, sum(100 / i), max(100 / i) FILTER (WHERE i <> 0) AS most, count(*) c, sum(v) AS v,
       100 / nullif(sum(v), 6) AS quotient
  FROM fg WHERE i >= 0 GROUP BY 1, 2 WITH NO DATA;
-- Its rows of i = 0 have not been computed, and could not be.
CALL refresh_continuous_aggregate('fg_part', NULL, '2026-01-02 16:00');
SELECT answer($$SELECT time_bucket('1 day', t) b, sum(100 / i) FILTER (WHERE i <> 0) FROM fg WHERE i >= 0 GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 hour', t) b, i, sum(100 / i) FILTER (WHERE i <> 0) FROM fg WHERE i >= 0 GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, max(100 / i) FILTER (WHERE i <> 0) FROM fg WHERE i >= 0 GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, sum(v) FILTER (WHERE i <> 0) FROM fg WHERE i >= 0 GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, sum(100 / i) FROM fg WHERE i >= 0 AND i <> 0 GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 hour', t) b, i, sum(100 / i), max(100 / i) FILTER (WHERE i <> 0) FROM fg WHERE i >= 0 AND i <> 0 GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, sum(100 / i) FROM fg WHERE i >= 0 AND i IN (SELECT k.i FROM fk k) GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 hour', t) b, i, sum(100 / i) FROM fg WHERE i >= 0 AND i IN (SELECT k.i FROM fk k) GROUP BY 1, 2$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, sum(100 / g.i) FROM fg g JOIN fk k ON k.i = g.i WHERE g.i >= 0 GROUP BY 1$$);
SELECT answer($$SELECT name, sum(v), count(*) FROM fg g JOIN fk k ON k.i = g.i WHERE g.i >= 0 GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, sum(v), count(*) FROM fg WHERE i >= 0 AND i IN (SELECT k.i FROM fk k) GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 day', t) b, sum(v), count(*) FROM fg WHERE i >= 0 GROUP BY 1$$);
SELECT answer($$SELECT time_bucket('1 hour', t) b, i, count(*) FROM fg WHERE i >= 0 GROUP BY 1, 2$$);
SELECT answer($$SELECT max(i), count(DISTINCT i) FROM fg WHERE i >= 0$$);
SELECT answer($$SELECT 1 AS one FROM fg WHERE i >= 0 GROUP BY i$$);
SELECT answer($$SELECT 1 AS one FROM fg WHERE i >= 0 HAVING true$$);
