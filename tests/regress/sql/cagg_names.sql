-- What messages call a continuous aggregate: by its view, and in hints so that they can be followed from any search_path.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
DROP ROLE IF EXISTS cagg_ada;
DROP ROLE IF EXISTS cagg_ben;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE ROLE cagg_ada LOGIN;
CREATE ROLE cagg_ben;
CREATE SCHEMA "of Ada" AUTHORIZATION cagg_ada;
GRANT USAGE ON SCHEMA "of Ada" TO cagg_ben;
SET ROLE cagg_ada;
CREATE TABLE "of Ada".m (time timestamptz NOT NULL, device int, v float8);
SELECT create_hypertable('"of Ada".m', 'time', chunk_time_interval => interval '1 day');
INSERT INTO "of Ada".m SELECT timestamptz '2024-01-01' + i * interval '1 h', i % 3, i FROM generate_series(0, 99) i;
CREATE MATERIALIZED VIEW "of Ada"."Daily" WITH (timescaledb.continuous) AS
SELECT time_bucket('1 day', time) AS day, device, sum(v) FROM "of Ada".m GROUP BY 1, 2;

SELECT add_compression_policy('"of Ada"."Daily"', interval '100 days');
SELECT timescaledb_experimental.add_policies('"of Ada"."Daily"', compress_after => interval '100 days');
SELECT count(compress_chunk(c)) FROM show_chunks('"of Ada"."Daily"') c;
ALTER TABLE "of Ada".m SET (timescaledb.columnstore = false);
SELECT add_compression_policy('"of Ada".m', interval '100 days');
SELECT count(compress_chunk(c)) FROM show_chunks('"of Ada".m') c;
ALTER MATERIALIZED VIEW "of Ada"."Daily" SET (timescaledb.compress, timescaledb.compress_segmentby = 'nope');
ALTER TABLE "of Ada".m SET (timescaledb.compress, timescaledb.compress_segmentby = 'nope');
-- As the hint says.
ALTER MATERIALIZED VIEW "of Ada"."Daily" SET (timescaledb.enable_columnstore);
ALTER MATERIALIZED VIEW "of Ada"."Daily" SET (timescaledb.compress_segmentby = 'device');
SELECT count(compress_chunk(c)) FROM show_chunks('"of Ada"."Daily"') c;
ALTER MATERIALIZED VIEW "of Ada"."Daily" SET (timescaledb.compress = false);
SELECT count(decompress_chunk(c)) FROM show_chunks('"of Ada"."Daily"') c;
ALTER MATERIALIZED VIEW "of Ada"."Daily" SET (timescaledb.compress = false);
ALTER TABLE "of Ada".m SET (timescaledb.compress);
SELECT count(compress_chunk(c)) FROM show_chunks('"of Ada".m') c;
ALTER TABLE "of Ada".m SET (timescaledb.compress = false);
REFRESH MATERIALIZED VIEW "of Ada"."Daily";
SELECT add_retention_policy('"of Ada"."Daily"', interval '1 year') > 0;
-- The policies' new owner has no LOGIN.
RESET ROLE;
GRANT CREATE ON SCHEMA "of Ada" TO cagg_ben;
ALTER MATERIALIZED VIEW "of Ada"."Daily" OWNER TO cagg_ben;
ALTER MATERIALIZED VIEW "of Ada"."Daily" OWNER TO cagg_ada;

-- Who is not the owner.
SELECT c AS chunk FROM show_chunks('"of Ada"."Daily"') c LIMIT 1 \gset
SET ROLE cagg_ben;
SELECT add_continuous_aggregate_policy('"of Ada"."Daily"', NULL, NULL, interval '1 day');
SELECT remove_continuous_aggregate_policy('"of Ada"."Daily"');
SELECT timescaledb_experimental.add_policies('"of Ada"."Daily"', drop_after => interval '1 year');
SELECT timescaledb_experimental.remove_all_policies('"of Ada"."Daily"');
SELECT add_compression_policy('"of Ada"."Daily"', interval '100 days');
SELECT add_retention_policy('"of Ada"."Daily"', interval '100 days');
SELECT compress_chunk(:'chunk');
SELECT drop_chunks('"of Ada"."Daily"', older_than => interval '1 day');
SELECT _timescaledb_functions.drop_chunk(:'chunk');
SELECT set_chunk_time_interval('"of Ada"."Daily"', interval '1 day');
CALL refresh_continuous_aggregate('"of Ada"."Daily"', NULL, NULL);
ALTER MATERIALIZED VIEW "of Ada"."Daily" SET (timescaledb.materialized_only = false);
CREATE INDEX ON "of Ada"."Daily" (sum);
DROP MATERIALIZED VIEW "of Ada"."Daily";
SELECT set_chunk_time_interval('"of Ada".m', interval '1 day');
RESET ROLE;

-- What stays when it can't be filled.
CREATE TABLE few (time timestamptz NOT NULL, v int);
SELECT create_hypertable('few', 'time', chunk_time_interval => interval '1 day');
INSERT INTO few SELECT timestamptz '2024-01-01' + i * interval '1 day', 3 - i FROM generate_series(0, 3) i;
CREATE MATERIALIZED VIEW "of Ada"."Half" WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(6 / v) FROM few GROUP BY 1;
SELECT view_name FROM timescaledb_information.continuous_aggregates WHERE view_name = 'Half';
-- In a block nothing does, and before the definition is committed there is nothing.
BEGIN;
CREATE MATERIALIZED VIEW w WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(6 / v) FROM few GROUP BY 1;
ROLLBACK;
CREATE MATERIALIZED VIEW w WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(nope) FROM few GROUP BY 1;
-- As the hint says: goes on, or is removed.
DELETE FROM few WHERE v = 0;
CALL refresh_continuous_aggregate('"of Ada"."Half"', NULL, NULL);
SELECT * FROM "of Ada"."Half" ORDER BY 1;
DROP MATERIALIZED VIEW "of Ada"."Half";

-- A cancelled statement says so as well; client_min_messages as frameworks set it.
SET client_min_messages = warning;
CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(60); RETURN $1; END $$;
SET statement_timeout = '3s';
CREATE MATERIALIZED VIEW half WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(slow(v)) FROM few GROUP BY 1;
RESET statement_timeout;
SELECT view_name FROM timescaledb_information.continuous_aggregates WHERE view_name = 'half';
DROP MATERIALIZED VIEW public.half;

-- Names that are taken, by what a restore without data leaves, are passed over.
SELECT last_value AS id FROM _timescaledb_config.hypertable_id_seq \gset
SELECT format('CREATE %s _timescaledb_internal._%s_%s %s', kind, name, :id + n, rest)
FROM (VALUES (1, 'TABLE', 'materialized_hypertable', '()'), (2, 'VIEW', 'direct_view', 'AS SELECT'), (3, 'VIEW', 'partial_view', 'AS SELECT')) AS x (n, kind, name, rest) \gexec
CREATE MATERIALIZED VIEW w WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(v) FROM few GROUP BY 1;
SELECT id - :id AS skipped_and_taken FROM _timescaledb_config.continuous_agg WHERE user_view = 'w'::regclass;
SELECT * FROM w ORDER BY 1;

DROP SCHEMA "of Ada" CASCADE;
DROP MATERIALIZED VIEW w;
DROP ROLE cagg_ada, cagg_ben;
