-- Real-time continuous aggregates: what they show is what their defining query says, after whatever has changed.
\set ECHO none
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
-- How many rows are in one of a continuous aggregate and its defining query, and not in the other.
CREATE FUNCTION differs(v regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    direct regclass := (SELECT direct_view FROM _timescaledb_config.continuous_agg WHERE user_view = v);
    found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((SELECT * FROM %1$s EXCEPT ALL SELECT * FROM %2$s) UNION ALL (SELECT * FROM %2$s EXCEPT ALL SELECT * FROM %1$s)) d',
        v, direct) INTO found;
    RETURN found;
END $$;
-- How many buckets would be read from storage.
CREATE FUNCTION stored(v regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    s regclass := (SELECT storage FROM _timescaledb_config.continuous_agg WHERE user_view = v);
    b text := (SELECT d.column_name FROM timescaledb_information.dimensions d JOIN _timescaledb_config.continuous_agg a
        ON a.storage = format('%I.%I', d.hypertable_schema, d.hypertable_name)::regclass WHERE a.user_view = v);
    found bigint;
BEGIN
    EXECUTE format('SELECT count(DISTINCT %I) FROM %s WHERE _timescaledb_functions.cagg_valid(%L::regclass, %I, false, NULL, '''', NULL)', b, s, s, b) INTO found;
    RETURN found;
END $$;
\set ECHO all

CREATE TABLE m (t timestamptz NOT NULL, dev int, v float8);
SELECT create_hypertable('m', 't', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT '2026-01-01'::timestamptz + i * interval '10 min', i % 3, i FROM generate_series(0, 144 * 5 - 1) i;
CREATE MATERIALIZED VIEW h WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 hour', t) AS b, dev, count(*) AS n, sum(v) AS s, min(v), max(v), avg(v) FROM m GROUP BY 1, 2 WITH NO DATA;
SELECT differs('h'), stored('h');
CALL refresh_continuous_aggregate('h', '2026-01-02', '2026-01-04');
SELECT differs('h'), stored('h');

-- each kind of change
INSERT INTO m VALUES ('2026-01-02 05:05', 9, 1), ('2026-01-01 05:05', 9, 1);
SELECT differs('h'), stored('h');
UPDATE m SET v = -v WHERE t >= '2026-01-02 07:00' AND t < '2026-01-02 09:00';
SELECT differs('h'), stored('h');
UPDATE m SET t = t + interval '1 day' WHERE t = '2026-01-02 10:00';
SELECT differs('h'), stored('h');
DELETE FROM m WHERE t >= '2026-01-03 20:00' AND t < '2026-01-03 21:00';
SELECT differs('h'), stored('h');
COPY m FROM stdin;
2026-01-02 12:34:00	4	4
\.
SELECT differs('h'), stored('h');
MERGE INTO m USING (VALUES ('2026-01-02 13:00'::timestamptz, 0, 100.0)) x (t, dev, v) ON m.t = x.t
    WHEN MATCHED THEN UPDATE SET v = x.v;
SELECT differs('h'), stored('h');

-- a transaction sees its own changes, and they are gone with it
BEGIN;
INSERT INTO m VALUES ('2026-01-02 15:05', 9, 1);
SELECT differs('h'), stored('h');
SAVEPOINT s;
DELETE FROM m WHERE t < '2026-01-02 18:00';
SELECT differs('h'), stored('h');
ROLLBACK TO s;
SELECT differs('h');
ROLLBACK;
SELECT differs('h'), stored('h');

-- a refresh in a transaction block, taken back, and kept
BEGIN;
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT differs('h'), stored('h');
INSERT INTO m VALUES ('2026-01-02 15:05', 9, 1);
SELECT differs('h'), stored('h');
ROLLBACK;
SELECT differs('h'), stored('h');
BEGIN;
CALL refresh_continuous_aggregate('h', NULL, NULL);
COMMIT;
SELECT differs('h'), stored('h');
-- a fixed snapshot can't
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL refresh_continuous_aggregate('h', NULL, NULL);
ROLLBACK;

-- a command that reads what it changes
INSERT INTO m SELECT b + interval '1 min', dev, n FROM h WHERE b >= '2026-01-03';
SELECT differs('h'), stored('h');

-- what comes after the last bucket, and infinity
INSERT INTO m VALUES ('2026-02-01', 1, 1), ('infinity', 1, 1), ('-infinity', 1, 1);
SELECT differs('h');
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT differs('h'), stored('h');
DELETE FROM m WHERE t >= '2026-01-05' OR t = '-infinity';
SELECT differs('h');
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT differs('h'), stored('h'), (SELECT max(b) FROM h);

-- compressed chunks, of the source and of storage
ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev');
SELECT count(compress_chunk(c)) FROM show_chunks('m') c;
SELECT differs('h'), stored('h');
UPDATE m SET v = 5 WHERE t = '2026-01-02 16:00';
DELETE FROM m WHERE dev = 2 AND t < '2026-01-01 12:00';
SELECT differs('h'), stored('h');
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT differs('h'), stored('h');

-- what was dropped is kept
SELECT count(*) AS before FROM h WHERE b < '2026-01-02';
SELECT count(*) FROM drop_chunks('m', older_than => '2026-01-02'::timestamptz);
SELECT count(*) AS kept FROM h WHERE b < '2026-01-02';
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT count(*) AS kept FROM h WHERE b < '2026-01-02';
INSERT INTO m VALUES ('2026-01-01 00:30', 1, 1);
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT count(*) AS kept FROM h WHERE b < '2026-01-02';
CALL refresh_continuous_aggregate('h', '2026-01-01 00:00', '2026-01-01 06:00', force => true);
SELECT count(*) AS kept FROM h WHERE b < '2026-01-02';
CALL refresh_continuous_aggregate('h', NULL, NULL, force => true);
SELECT differs('h'), (SELECT count(*) FROM h WHERE b < '2026-01-02') AS kept;
TRUNCATE m;
SELECT differs('h'), stored('h');
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT differs('h'), stored('h'), (SELECT count(*) FROM h);

-- hierarchies: the levels above see what this one shows
INSERT INTO m SELECT '2026-01-01'::timestamptz + i * interval '10 min', i % 3, i FROM generate_series(0, 144 * 40 - 1) i;
CREATE MATERIALIZED VIEW d WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 day', b) AS day, dev, sum(n) AS n, max(max) FROM h GROUP BY 1, 2 WITH NO DATA;
CREATE MATERIALIZED VIEW mo WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 month', day) AS month, sum(n) AS n, max(max) FROM d GROUP BY 1 WITH NO DATA;
SELECT differs('d'), differs('mo');
CALL refresh_continuous_aggregate('mo', NULL, NULL);
SELECT differs('d'), differs('mo');
CALL refresh_continuous_aggregate('d', NULL, NULL);
SELECT differs('d'), differs('mo'), stored('d'), stored('mo');
CALL refresh_continuous_aggregate('h', NULL, '2026-02-05');
CALL refresh_continuous_aggregate('d', NULL, NULL);
CALL refresh_continuous_aggregate('mo', NULL, NULL);
SELECT differs('d'), differs('mo'), stored('d'), stored('mo');
UPDATE m SET v = 1e6 WHERE t = '2026-01-15 10:00';
SELECT differs('h'), differs('d'), differs('mo'), stored('h'), stored('d'), stored('mo');
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT differs('h'), differs('d'), differs('mo'), stored('h'), stored('d'), stored('mo');
CALL refresh_continuous_aggregate('d', NULL, NULL);
SELECT differs('h'), differs('d'), differs('mo'), stored('h'), stored('d'), stored('mo');
-- rows that the level below never stored
CREATE MATERIALIZED VIEW h2 WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 hour', t) AS b, count(*) AS n FROM m GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW d2 WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 day', b) AS day, sum(n) AS n FROM h2 GROUP BY 1 WITH NO DATA;
CALL refresh_continuous_aggregate('h2', NULL, NULL);
INSERT INTO m VALUES ('2026-02-20', 1, 1);
CALL refresh_continuous_aggregate('h2', NULL, NULL);
DELETE FROM m WHERE t = '2026-02-20';
CALL refresh_continuous_aggregate('d2', NULL, NULL);
CALL refresh_continuous_aggregate('h2', NULL, NULL);
SELECT differs('h2'), differs('d2'), max(day) FROM d2;

-- dates, integers, months with a zone
CREATE TABLE dates (d date NOT NULL, v int);
SELECT create_hypertable('dates', 'd', chunk_time_interval => interval '7 days');
INSERT INTO dates SELECT '2026-01-01'::date + i, i FROM generate_series(0, 99) i;
CREATE MATERIALIZED VIEW weeks WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('7 days', d) AS w, count(*), sum(v) FROM dates GROUP BY 1 WITH NO DATA;
CALL refresh_continuous_aggregate('weeks', '2026-01-15', '2026-02-20 12:00');
SELECT differs('weeks'), stored('weeks');
INSERT INTO dates VALUES ('2026-02-03', 5), ('infinity', 1);
SELECT differs('weeks'), stored('weeks');
CALL refresh_continuous_aggregate('weeks', NULL, NULL);
SELECT differs('weeks'), stored('weeks');

CREATE TABLE ints (i smallint NOT NULL, v int);
SELECT create_hypertable('ints', 'i', chunk_time_interval => 1000);
CREATE FUNCTION now_i() RETURNS smallint LANGUAGE sql STABLE AS 'SELECT 3000::smallint';
SELECT set_integer_now_func('ints', 'now_i');
INSERT INTO ints SELECT i, i FROM generate_series(-32768, 32767, 7) i;
CREATE MATERIALIZED VIEW tens WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(100::smallint, i) AS b, count(*), sum(v) FROM ints WHERE i > -32700 GROUP BY 1 WITH NO DATA;
CALL refresh_continuous_aggregate('tens', -5000, 5001);
SELECT differs('tens'), stored('tens');
UPDATE ints SET v = 1 WHERE i BETWEEN 100 AND 120;
SELECT differs('tens'), stored('tens');
CALL refresh_continuous_aggregate('tens', NULL, NULL);
SELECT differs('tens'), stored('tens');

CREATE TABLE z (t timestamptz NOT NULL, v int);
SELECT create_hypertable('z', 't', chunk_time_interval => interval '30 days');
INSERT INTO z SELECT '2025-10-01'::timestamptz + i * interval '1 hour', i FROM generate_series(0, 24 * 250) i;
CREATE MATERIALIZED VIEW zm WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 month', t, 'Europe/Berlin') AS b, count(*), sum(v) FROM z GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW zd WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 day', t, 'Europe/Berlin') AS b, count(*), sum(v) FROM z GROUP BY 1 WITH NO DATA;
CALL refresh_continuous_aggregate('zm', '2025-11-15', '2026-05-15');
CALL refresh_continuous_aggregate('zd', '2025-10-20', '2026-04-15');
SELECT differs('zm'), stored('zm'), differs('zd'), stored('zd');
INSERT INTO z VALUES ('2025-10-26 00:30+00', 1), ('2025-12-31 22:59:59+00', 1), ('2026-03-29 01:00+00', 1);
SELECT differs('zm'), stored('zm'), differs('zd'), stored('zd');
CALL refresh_continuous_aggregate('zm', NULL, NULL);
CALL refresh_continuous_aggregate('zd', NULL, NULL);
SELECT differs('zm'), stored('zm'), differs('zd'), stored('zd');
-- whatever the session's zone is
SET timezone = 'Pacific/Auckland';
SELECT differs('zm'), differs('zd'), differs('h');
