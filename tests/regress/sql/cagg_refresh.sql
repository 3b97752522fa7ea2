-- refresh_continuous_aggregate: arguments, windows, batches, rights, and which buckets are computed.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SET timezone = 'UTC';
CREATE TABLE m (t timestamptz NOT NULL, dev int, v float8);
SELECT create_hypertable('m', 't', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT '2026-01-01'::timestamptz + i * interval '10 min', i % 3, i FROM generate_series(0, 144 * 5 - 1) i;
CREATE MATERIALIZED VIEW h WITH (timescaledb.continuous) AS
    SELECT time_bucket('1 hour', t) AS b, dev, count(*) AS n, sum(v) AS s FROM m GROUP BY 1, 2 WITH NO DATA;
SELECT storage, id, user_view FROM _timescaledb_config.continuous_agg \gset

-- what is asked for must make sense
CALL refresh_continuous_aggregate('m', NULL, NULL);
CALL refresh_continuous_aggregate(NULL, NULL, NULL);
CALL refresh_continuous_aggregate('nowhere', NULL, NULL);
CALL refresh_continuous_aggregate('h', '2026-01-01', '2026-01-01 00:59:59');
CALL refresh_continuous_aggregate('h', '2026-01-01 00:01', '2026-01-01 01:59');
CALL refresh_continuous_aggregate('h', '2026-01-02', '2026-01-01');
CALL refresh_continuous_aggregate('h', 1, 2);
CALL refresh_continuous_aggregate('h', interval '1 day', NULL);
CALL refresh_continuous_aggregate('h', 'yesterday noon or so', NULL);
CALL refresh_continuous_aggregate('h', NULL, NULL, options => '[]');
CALL refresh_continuous_aggregate('h', NULL, NULL, options => '{"buckets_per_batch": "many"}');
CALL refresh_continuous_aggregate('h', NULL, NULL, options => '{"refresh_newest_first": 1}');
CALL refresh_continuous_aggregate('h', NULL, NULL, options => '{"batch": 1}');
SELECT * FROM h;
SELECT _timescaledb_functions.cagg_watermark(:id) = -9223372036854775808 AS nothing, _timescaledb_functions.cagg_watermark(4711);

-- whole buckets only
CALL refresh_continuous_aggregate('h', '2026-01-02 00:30', '2026-01-02 03:30');
SELECT b, sum(n) FROM h GROUP BY 1 ORDER BY 1;
SELECT kind, low, high FROM _timescaledb_config.continuous_agg_range ORDER BY 1, 2;
SELECT to_timestamp(_timescaledb_functions.cagg_watermark(:id) / 1e6), _timescaledb_functions.cagg_watermark_materialized(:id) = _timescaledb_functions.cagg_watermark(:id) AS same;
CALL refresh_continuous_aggregate('h', '2026-01-02 00:30', '2026-01-02 03:30');
-- to the last bucket with data, and no further
CALL refresh_continuous_aggregate('h', '2026-01-02', '2030-01-01');
SELECT to_timestamp(_timescaledb_functions.cagg_watermark(:id) / 1e6);
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT count(*), sum(n) FROM h;
SELECT kind, low, high FROM _timescaledb_config.continuous_agg_range ORDER BY 1, 2;

-- only what changed is computed: the rows of other buckets stay the same rows
CREATE TABLE seen AS SELECT xmin::text AS x, ctid AS c, tableoid AS o, b FROM :storage;
CREATE VIEW recomputed AS SELECT DISTINCT b FROM :storage s WHERE NOT EXISTS (SELECT FROM seen WHERE x = s.xmin::text AND c = s.ctid AND o = s.tableoid) ORDER BY b;
SELECT * FROM recomputed;
INSERT INTO m VALUES ('2026-01-02 05:05', 9, 1), ('2026-01-04 07:05', 9, 1);
UPDATE m SET v = 0 WHERE t = '2026-01-03 10:10';
DELETE FROM m WHERE t = '2026-01-03 23:50';
CALL refresh_continuous_aggregate('h', '2026-01-03', '2026-01-04');
SELECT * FROM recomputed;
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT * FROM recomputed;
CALL refresh_continuous_aggregate('h', NULL, NULL);
CALL refresh_continuous_aggregate('h', '2026-01-01 03:00', '2026-01-01 05:00', force => true);
SELECT * FROM recomputed;

-- batches: what is not reached is left for the next time
UPDATE m SET v = v + 1 WHERE t >= '2026-01-01' AND t < '2026-01-01 06:00';
CALL refresh_continuous_aggregate('h', NULL, NULL, options => '{"buckets_per_batch": 2, "max_batches_per_execution": 1}');
SELECT kind, low, high FROM _timescaledb_config.continuous_agg_range WHERE kind = 'i' ORDER BY 1, 2;
CALL refresh_continuous_aggregate('h', NULL, NULL, options => '{"buckets_per_batch": 2, "max_batches_per_execution": 1, "refresh_newest_first": false}');
SELECT kind, low, high FROM _timescaledb_config.continuous_agg_range WHERE kind = 'i' ORDER BY 1, 2;
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT kind, low, high FROM _timescaledb_config.continuous_agg_range WHERE kind = 'i' ORDER BY 1, 2;

-- where procedures end transactions, and where they must not
CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO m VALUES ('2026-01-02 06:06', 1, 1);
    CALL refresh_continuous_aggregate('h', NULL, NULL);
    BEGIN
        INSERT INTO m VALUES ('2026-01-02 07:07', 1, 1);
        CALL refresh_continuous_aggregate('h', NULL, NULL);
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
END $$;
CALL twice();
SELECT sum(n) = (SELECT count(*) FROM m) AS all FROM h;
BEGIN;
INSERT INTO m VALUES ('2026-01-02 08:08', 1, 1);
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT sum(n) FROM h;
ROLLBACK;
SELECT sum(n) = (SELECT count(*) FROM m) AS all FROM h;
CALL refresh_continuous_aggregate('h', NULL, NULL);
SET default_transaction_isolation = 'serializable';
INSERT INTO m VALUES ('2026-01-02 08:08', 1, 1);
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT sum(n) = (SELECT count(*) FROM m) AS all FROM h;
RESET default_transaction_isolation;
BEGIN READ ONLY;
CALL refresh_continuous_aggregate('h', NULL, NULL);
ROLLBACK;

-- whoever refreshes, the owner's rights and nobody's search path count
CREATE SCHEMA evil;
CREATE FUNCTION evil.bad(int8, int8) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
CREATE OPERATOR evil.<= (LEFTARG = int8, RIGHTARG = int8, FUNCTION = evil.bad);
CREATE FUNCTION evil.bad(timestamptz, timestamptz) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
CREATE OPERATOR evil.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.bad);
CREATE FUNCTION evil.count() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
CREATE TABLE evil.m (LIKE m);
SET search_path = evil, pg_catalog, public;
SET datestyle = 'German, DMY';
INSERT INTO public.m VALUES ('2026-01-02 09:09', 1, 1);
CALL public.refresh_continuous_aggregate('public.h', '2026-01-02 00:00', NULL);
RESET search_path;
RESET datestyle;
SELECT sum(n) = (SELECT count(*) FROM m) AS all FROM h;
CREATE ROLE cagg_reader;
GRANT SELECT ON m, h TO cagg_reader;
SET ROLE cagg_reader;
CALL refresh_continuous_aggregate('h', NULL, NULL);
SELECT count(*) > 0 AS read FROM h;
RESET ROLE;
DROP OWNED BY cagg_reader;
DROP ROLE cagg_reader;

-- an empty hypertable
CREATE TABLE e (t timestamptz NOT NULL);
SELECT create_hypertable('e', 't');
CREATE MATERIALIZED VIEW eh WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', t) AS b, count(*) FROM e GROUP BY 1 WITH NO DATA;
CALL refresh_continuous_aggregate('eh', NULL, NULL);
INSERT INTO e VALUES ('2026-01-01');
CALL refresh_continuous_aggregate('eh', NULL, NULL);
SELECT * FROM eh;
DELETE FROM e;
CALL refresh_continuous_aggregate('eh', NULL, NULL);
SELECT * FROM eh;
