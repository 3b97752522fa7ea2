-- Who may create, read, change and drop a continuous aggregate.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
DROP ROLE IF EXISTS cagg_ada;
DROP ROLE IF EXISTS cagg_ben;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE ROLE cagg_ada;
CREATE ROLE cagg_ben;
GRANT CREATE, USAGE ON SCHEMA public TO cagg_ada, cagg_ben;
SET ROLE cagg_ada;
CREATE TABLE metrics (time timestamptz NOT NULL, device int, value float8);
SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day');
INSERT INTO metrics SELECT timestamptz '2024-01-01' + i * interval '1 h', i % 4, i FROM generate_series(0, 99) i;

SET ROLE cagg_ben;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS bucket, count(*) FROM metrics GROUP BY 1;
SET ROLE cagg_ada;
GRANT SELECT, TRIGGER ON metrics TO cagg_ben;
SET ROLE cagg_ben;
-- In the schema of chunks nobody may create anything, but this.
CREATE TABLE _timescaledb_internal.t (a int);
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous, tsdb.materialized_only = false) AS
SELECT time_bucket('1 day', time) AS bucket, device, count(*) FROM metrics GROUP BY 1, 2;
SELECT sum(count) FROM v;
SELECT relname, relowner::regrole FROM pg_class WHERE relname ~ '_2$|^v$|_hyper_2' AND relkind IN ('v', 'p', 'r') ORDER BY 1;
CREATE INDEX ON v (count);
ALTER MATERIALIZED VIEW v SET (tsdb.columnstore);
SELECT count(compress_chunk(c)) FROM show_chunks('v') c;
ALTER MATERIALIZED VIEW v ADD COLUMN total float8 GENERATED ALWAYS AS (sum(value)) STORED;
ALTER MATERIALIZED VIEW v RENAME COLUMN total TO whole;

-- Others.
SET ROLE cagg_ada;
SELECT count(*) FROM v;
ALTER MATERIALIZED VIEW v SET (tsdb.materialized_only);
ALTER MATERIALIZED VIEW v RENAME COLUMN whole TO total;
ALTER MATERIALIZED VIEW v RENAME TO w;
ALTER MATERIALIZED VIEW v ADD COLUMN m float8 GENERATED ALWAYS AS (max(value)) STORED;
CREATE INDEX ON v (device);
DROP MATERIALIZED VIEW v;
CALL refresh_continuous_aggregate('v', NULL, NULL);
SET ROLE cagg_ben;
GRANT SELECT ON v TO cagg_ada;
SET ROLE cagg_ada;
SELECT sum(count) FROM v;
-- What the owner may not read any more, the view does not show.
REVOKE SELECT ON metrics FROM cagg_ben;
SELECT sum(count) FROM v;
SET ROLE cagg_ben;
CALL refresh_continuous_aggregate('v', NULL, NULL, force => true);
ALTER MATERIALIZED VIEW v SET (tsdb.materialized_only);
SELECT sum(count) FROM v;

-- A new owner.
ALTER MATERIALIZED VIEW v OWNER TO cagg_ada;
RESET ROLE;
ALTER MATERIALIZED VIEW v OWNER TO cagg_ada, SET (tsdb.materialized_only);
ALTER MATERIALIZED VIEW v OWNER TO cagg_ada;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname ~ '_2$|^v$|_hyper_2|compress_hyper' AND relkind IN ('v', 'p', 'r') ORDER BY 1;
SELECT view_owner FROM timescaledb_information.continuous_aggregates;
SET ROLE cagg_ada;
CALL refresh_continuous_aggregate('v', NULL, NULL, force => true);
SELECT sum(count) FROM v;
RESET ROLE;
REASSIGN OWNED BY cagg_ada TO cagg_ben;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname ~ '_2$|^v$|_hyper_2|compress_hyper' AND relkind IN ('v', 'p', 'r') ORDER BY 1;
DROP OWNED BY cagg_ben CASCADE;
SELECT count(*) FROM _timescaledb_config.continuous_agg;
SELECT relname FROM pg_class WHERE relname ~ '_2$|^v$|_hyper_2|compress_hyper' AND relkind IN ('v', 'p', 'r') ORDER BY 1;
DROP OWNED BY cagg_ada, cagg_ben CASCADE;
DROP ROLE cagg_ada;
DROP ROLE cagg_ben;
