-- Which queries can define a continuous aggregate, and why the others can't.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';

CREATE TABLE metrics (time timestamptz NOT NULL, device int, site text COLLATE "C", value float8, price numeric(10, 2));
SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day');
CREATE TABLE devices (id int PRIMARY KEY, name text, site text);
CREATE TABLE owners (device int, owner text);
INSERT INTO owners VALUES (1, 'ada'), (2, 'ben');
INSERT INTO devices SELECT i, 'device ' || i, 'site ' || i % 2 FROM generate_series(0, 3) i;
INSERT INTO metrics SELECT timestamptz '2024-01-01' + i * interval '10 min', i % 4, 's' || i % 2, i % 7, i % 5 FROM generate_series(0, 999) i;

-- What it is made of.
CREATE MATERIALIZED VIEW hourly WITH (timescaledb.continuous) AS
SELECT time_bucket('1 hour', time) AS bucket, device, avg(value), count(*), sum(price) AS total
FROM metrics WHERE value > 0 GROUP BY bucket, device, site HAVING count(*) > 0 ORDER BY 1 WITH NO DATA;
\d _timescaledb_internal._materialized_hypertable_2
\d+ _timescaledb_internal._partial_view_2
\d+ _timescaledb_internal._direct_view_2
\d+ hourly
SELECT id, storage, source, user_view, partial_view, direct_view, materialized_only, grain FROM _timescaledb_config.continuous_agg;
SELECT hypertable_name, view_schema, view_name, materialized_only, compression_enabled, materialization_hypertable_name
FROM timescaledb_information.continuous_aggregates;
SELECT * FROM timescaledb_information.hypertables ORDER BY 2;
SELECT hypertable_name, time_interval FROM timescaledb_information.dimensions ORDER BY 1;
SELECT count(*) FROM hourly;
CALL refresh_continuous_aggregate('hourly', NULL, NULL);
SELECT count(*), sum(count) FROM hourly;
-- The same as its query.
(TABLE hourly EXCEPT ALL TABLE _timescaledb_internal._direct_view_2) UNION ALL (TABLE _timescaledb_internal._direct_view_2 EXCEPT ALL TABLE hourly);

-- Names of columns; IF NOT EXISTS.
CREATE MATERIALIZED VIEW named (b, d) WITH (tsdb.continuous, tsdb.materialized_only = false) AS
SELECT time_bucket('1 day', time), device, max(value) FROM metrics GROUP BY 1, 2;
\d named
CREATE MATERIALIZED VIEW IF NOT EXISTS named WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time), count(*) FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW named WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time), count(*) FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW much (a, b, c) WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time), count(*) FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW twice WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS a, count(*) AS a FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW reserved WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time), count(*) AS _ts_meta_x FROM metrics GROUP BY 1;

-- What queries may be: each is filled and compared with its query.
CREATE PROCEDURE accept(query text, options text = '') LANGUAGE plpgsql AS $$
DECLARE
    direct text;
    rows bigint;
    differences bigint;
BEGIN
    EXECUTE format('CREATE MATERIALIZED VIEW tried WITH (timescaledb.continuous %s) AS %s', options, query);
    SELECT direct_view::text INTO direct FROM _timescaledb_config.continuous_agg WHERE user_view = 'tried'::regclass;
    EXECUTE 'SELECT count(*) FROM tried' INTO rows;
    EXECUTE format('SELECT count(*) FROM ((TABLE tried EXCEPT ALL TABLE %1$s) UNION ALL (TABLE %1$s EXCEPT ALL TABLE tried)) d', direct)
        INTO differences;
    RAISE INFO '% rows, % differences', rows, differences;
    DROP MATERIALIZED VIEW tried;
END $$;
CALL accept('SELECT time_bucket(''1 hour'', time) b, count(*) FILTER (WHERE value > 3) AS many, count(DISTINCT device) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 hour'', time) b, percentile_cont(0.95) WITHIN GROUP (ORDER BY value), mode() WITHIN GROUP (ORDER BY site) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 hour'', time) b, sum(value) / count(*) + 1 AS r, array_agg(device ORDER BY time), first(value, time) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 month'', time) b, device % 2 AS parity, upper(site) s, count(*) FROM metrics GROUP BY 1, 2, 3');
CALL accept('SELECT count(*), min(value) FROM metrics GROUP BY time_bucket(''6 hours'', time), device');
CALL accept('SELECT time_bucket(''1 day'', time) b FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 day'', time, ''2024-01-01 06:00+00''::timestamptz) b, count(*) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 day'', time, "offset" => interval ''90 min'') b, count(*) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 day'', time, ''Europe/Berlin'') b, count(*) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 month'', time, timezone => ''Asia/Kolkata'', "offset" => interval ''2 days'') b, count(*) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 day'', m.time) b, d.name, count(*) FROM metrics m JOIN devices d ON d.id = m.device GROUP BY 1, 2');
CALL accept('SELECT time_bucket(''1 day'', m.time) b, d.name, d.site, count(*) FROM metrics m LEFT JOIN devices d ON d.id = m.device GROUP BY 1, d.id');
CALL accept('SELECT time_bucket(''1 day'', m.time) b, l.name, count(*) FROM metrics m, LATERAL (SELECT name FROM devices WHERE id = m.device) l GROUP BY 1, 2');
CALL accept('SELECT time_bucket(''1 day'', m.time) b, device, count(*) FROM owners JOIN metrics m USING (device) GROUP BY 1, 2');
CALL accept('SELECT time_bucket(''1 day'', time) b, generate_series(1, 2) n, count(*) FROM metrics GROUP BY 1');
CALL accept('SELECT time_bucket(''1 day'', time) b, max(site COLLATE "POSIX") AS s, min(site) FROM metrics GROUP BY 1', ', timescaledb.materialized_only = false');
-- A warning: what it gives may change unnoticed.
CALL accept('SELECT time_bucket(''1 day'', time) b, count(*) FROM metrics WHERE time < now() GROUP BY 1');
CREATE AGGREGATE product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1');
CALL accept('SELECT time_bucket(''1 day'', time) b, product(value) FROM metrics GROUP BY 1');
DROP AGGREGATE product(float8);

-- Integers, dates, timestamps.
CREATE TABLE numbers (n bigint NOT NULL, v int);
SELECT create_hypertable('numbers', 'n', chunk_time_interval => 100);
INSERT INTO numbers SELECT i, i FROM generate_series(-50, 500) i;
CREATE MATERIALIZED VIEW tens WITH (tsdb.continuous) AS SELECT time_bucket(10::bigint, n) AS ten, sum(v) FROM numbers GROUP BY 1;
CREATE FUNCTION number_now() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 500::bigint';
SELECT set_integer_now_func('numbers', 'number_now');
CALL accept('SELECT time_bucket(10::bigint, n, 3::bigint) AS ten, sum(v) FROM numbers GROUP BY 1');
CREATE MATERIALIZED VIEW tens WITH (tsdb.continuous) AS SELECT time_bucket(10::bigint, n) AS ten, sum(v) FROM numbers GROUP BY 1;
SELECT hypertable_name, integer_interval, integer_now_func FROM timescaledb_information.dimensions WHERE integer_interval IS NOT NULL ORDER BY 1;
CREATE TABLE days (d date NOT NULL, v int);
SELECT create_hypertable('days', 'd');
INSERT INTO days SELECT date '2024-01-01' + i, i FROM generate_series(0, 99) i;
CALL accept('SELECT time_bucket(''7 days'', d) w, sum(v) FROM days GROUP BY 1');
CALL accept('SELECT time_bucket(''1 month'', d) m, avg(v) FROM days GROUP BY 1', ', timescaledb.materialized_only = false');
SET client_min_messages = error;
CREATE TABLE walls (t timestamp NOT NULL, v int);
SELECT create_hypertable('walls', 't');
CREATE TABLE identified (id uuid NOT NULL, v int);
SELECT create_hypertable('identified', 'id');
RESET client_min_messages;
INSERT INTO walls SELECT timestamp '2024-01-01' + i * interval '1 h', i FROM generate_series(0, 99) i;
CALL accept('SELECT time_bucket(''1 day'', t) d, stddev(v) FROM walls GROUP BY 1');

-- What they may not be.
CREATE PROCEDURE refuse(query text) LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text; hint text;
BEGIN
    EXECUTE 'CREATE MATERIALIZED VIEW tried WITH (timescaledb.continuous) AS ' || query || ' WITH NO DATA';
    RAISE INFO 'accepted: %', query;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE INFO '% % | % | %', state, message, detail, hint;
END $$;
CALL refuse('SELECT time_bucket(''1 h'', time) b, sum(count(*)) OVER () FROM metrics GROUP BY 1');
CALL refuse('SELECT DISTINCT time_bucket(''1 h'', time) b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT DISTINCT ON (device) time_bucket(''1 h'', time) b, device, count(*) FROM metrics GROUP BY 1, 2');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics GROUP BY 1 LIMIT 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics GROUP BY 1 OFFSET 1');
CALL refuse('WITH w AS (SELECT * FROM metrics) SELECT time_bucket(''1 h'', time) b, count(*) FROM w GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*), (SELECT 1) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics WHERE device IN (SELECT id FROM devices) GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics GROUP BY 1 UNION ALL SELECT now(), 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, device, count(*) FROM metrics GROUP BY GROUPING SETS ((1, 2), (1))');
CALL refuse('SELECT time_bucket(''1 h'', time) b, device, count(*) FROM metrics GROUP BY ROLLUP (1, 2)');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics TABLESAMPLE SYSTEM (10) GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM ONLY metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM (SELECT * FROM metrics) x GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', a.time) b, count(*) FROM metrics a JOIN metrics b USING (time) GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', a.time) b, count(*) FROM metrics a, LATERAL (SELECT * FROM metrics) x GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM devices LEFT JOIN metrics ON id = device GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM devices RIGHT JOIN metrics ON id = device GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics FULL JOIN devices ON id = device GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', now()) b, count(*) FROM devices GROUP BY 1');
CALL refuse('SELECT device, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT count(*) FROM metrics');
CALL refuse('SELECT time_bucket(''1 h'', time), value FROM metrics');
CALL refuse('SELECT date_trunc(''hour'', time) b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, time_bucket(''1 d'', time) c, count(*) FROM metrics GROUP BY 1, 2');
CALL refuse('SELECT time_bucket(''1 h'', time + interval ''1 min'') b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(interval ''1 h'' * device, time) b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time, now()) b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time, current_setting(''timezone'')) b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time, ''UTC'', ''2024-01-01'', interval ''1 min'') b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time, ''Nowhere/Land'') b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''0 h'', time) b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 month 1 day'', time) b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 day'', time, "offset" => interval ''1 month'') b, count(*) FROM metrics GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics GROUP BY 1 FOR UPDATE');
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM _timescaledb_internal._hyper_1_1_chunk GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 d'', bucket) b, count(*) FROM _timescaledb_internal._materialized_hypertable_2 GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 d'', bucket) b, count(*) FROM _timescaledb_internal._partial_view_2 GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 d'', id) b, count(*) FROM identified GROUP BY 1');
CREATE VIEW above AS SELECT * FROM metrics;
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM above GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 h'', metrics.time) b, count(*) FROM metrics JOIN above USING (device) GROUP BY 1');
ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
CALL refuse('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics JOIN devices ON id = device GROUP BY 1');
ALTER TABLE devices DISABLE ROW LEVEL SECURITY;
CREATE MATERIALIZED VIEW pg_temp.tried WITH (tsdb.continuous) AS SELECT time_bucket('1 h', time) b, count(*) FROM metrics GROUP BY 1;
-- Nothing is left of them.
SELECT count(*) FROM _timescaledb_config.continuous_agg;
SELECT * FROM _timescaledb_functions.cagg_validate_query('SELECT time_bucket(''1 h'', time) b, count(*) FROM metrics GROUP BY 1');
SELECT * FROM _timescaledb_functions.cagg_validate_query('SELECT time_bucket(''1 h'', time) b FROM metrics GROUP BY 1 LIMIT 1');
SELECT is_valid, error_code, error_message FROM _timescaledb_functions.cagg_validate_query('DELETE FROM metrics');
SELECT is_valid, error_code, error_message FROM _timescaledb_functions.cagg_validate_query('SELECT nothing');

-- One over another.
CREATE MATERIALIZED VIEW daily WITH (tsdb.continuous) AS SELECT time_bucket('1 day', bucket) AS day, sum(count) AS n FROM hourly GROUP BY 1;
CREATE MATERIALIZED VIEW monthly WITH (tsdb.continuous) AS SELECT time_bucket('1 month', day) AS month, sum(n) AS n FROM daily GROUP BY 1;
SELECT * FROM monthly;
SELECT hypertable_name, view_name FROM timescaledb_information.continuous_aggregates ORDER BY 2;
SELECT * FROM _timescaledb_catalog.continuous_agg ORDER BY 1;
SELECT * FROM _timescaledb_catalog.continuous_aggs_bucket_function ORDER BY 1;
SELECT _timescaledb_functions.cagg_get_grouping_columns('named');
CALL refuse('SELECT time_bucket(''90 min'', bucket) b, count(*) FROM hourly GROUP BY 1');
CALL refuse('SELECT time_bucket(''30 min'', bucket) b, count(*) FROM hourly GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 day'', bucket, ''2020-01-01''::timestamptz) b, count(*) FROM hourly GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 day'', bucket, interval ''1 h'') b, count(*) FROM hourly GROUP BY 1');
CALL refuse('SELECT time_bucket(''30 days'', month) b, count(*) FROM monthly GROUP BY 1');
CREATE MATERIALIZED VIEW weekly WITH (tsdb.continuous) AS SELECT time_bucket('7 days', time) AS b, count(*) AS n FROM metrics GROUP BY 1;
CALL refuse('SELECT time_bucket(''1 month'', b) m, sum(n) FROM weekly GROUP BY 1');
CREATE MATERIALIZED VIEW without WITH (tsdb.continuous) AS SELECT count(*) AS n FROM metrics GROUP BY time_bucket('7 days', time);
CALL refuse('SELECT sum(n) FROM without');
CALL refuse('SELECT time_bucket(7, n) b, sum(n) FROM without GROUP BY 1');

-- Buckets of the one are to lie each in a bucket of the other, on clocks that show the same.
CREATE MATERIALIZED VIEW five WITH (tsdb.continuous) AS SELECT time_bucket('5 days', time) AS b, count(*) AS n FROM metrics GROUP BY 1 WITH NO DATA;
CALL refuse('SELECT time_bucket(''1 month'', b) m, sum(n) FROM five GROUP BY 1');
CREATE MATERIALIZED VIEW hours WITH (tsdb.continuous) AS SELECT time_bucket('1 hour', time) AS b, count(*) AS n FROM metrics GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW midnights WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS b, count(*) AS n FROM metrics GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW noons WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time, origin => '2000-01-01 12:00+00'::timestamptz) AS b, count(*) AS n FROM metrics GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW months WITH (tsdb.continuous) AS SELECT time_bucket('1 month', time, 'Europe/Berlin') AS b, count(*) AS n FROM metrics GROUP BY 1 WITH NO DATA;
CALL refuse('SELECT time_bucket(''1 month'', b, origin => ''2000-01-01 12:00+00''::timestamptz) m, sum(n) FROM noons GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 day'', b, ''Europe/Berlin'') m, sum(n) FROM midnights GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 month'', b, ''Europe/Berlin'') m, sum(n) FROM midnights GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 day'', b, ''Asia/Kolkata'') m, sum(n) FROM hours GROUP BY 1');
-- Until 2016 its clocks were 4 1/2 hours behind.
CALL refuse('SELECT time_bucket(''1 day'', b, ''America/Caracas'') m, sum(n) FROM hours GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 year'', b) m, sum(n) FROM months GROUP BY 1');
CALL refuse('SELECT time_bucket(''1 year'', b, ''Asia/Tokyo'') m, sum(n) FROM months GROUP BY 1');
CREATE MATERIALIZED VIEW berlin WITH (tsdb.continuous) AS SELECT time_bucket('1 day', b, 'Europe/Berlin') AS b, sum(n) AS n FROM hours GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW berlin_months WITH (tsdb.continuous) AS SELECT time_bucket('1 month', b, 'Europe/Berlin') AS b, sum(n) AS n FROM hours GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW berlin_years WITH (tsdb.continuous) AS SELECT time_bucket('1 year', b, 'Europe/Berlin') AS b, sum(n) AS n FROM months GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW quarters WITH (tsdb.continuous) AS SELECT time_bucket('3 months', b) AS b, sum(n) AS n FROM midnights GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW moved WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time, "offset" => interval '3 hours') AS b, count(*) AS n FROM metrics GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW moved_months WITH (tsdb.continuous) AS
SELECT time_bucket('1 month', b, "offset" => interval '3 hours') AS b, sum(n) AS n FROM moved GROUP BY 1 WITH NO DATA;
-- Until 1982 its clocks were 7 1/2 hours ahead.
CREATE MATERIALIZED VIEW singapore WITH (tsdb.continuous) AS SELECT time_bucket('1 day', b, 'Asia/Singapore') AS b, sum(n) AS n FROM hours GROUP BY 1 WITH NO DATA;
