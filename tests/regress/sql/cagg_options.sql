-- Options of continuous aggregates.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE TABLE metrics (time timestamptz NOT NULL, device int, value float8);
SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day');
INSERT INTO metrics SELECT timestamptz '2024-01-01' + i * interval '1 h', i % 4, i FROM generate_series(0, 99) i;
\set as 'AS SELECT time_bucket(\'1 day\', time) AS bucket, device, sum(value) FROM metrics GROUP BY 1, 2 WITH NO DATA'

-- Refused.
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, timescaledb.finalized) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, timescaledb.nonsense = 1) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, tsdb.continuous) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous = 'maybe') :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.materialized_only) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, fillfactor = 50) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, timescaledb.compress) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, tsdb.columnstore = true) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, tsdb.segmentby = 'device') :as;
CREATE MATERIALIZED VIEW v USING heap WITH (timescaledb.continuous) :as;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, tsdb.chunk_interval = 'nonsense') :as;
-- PostgreSQL's own.
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous = false) :as;
DROP MATERIALIZED VIEW v;

CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous, timescaledb.create_group_indexes = false, tsdb.chunk_interval = '3 days',
    tsdb.columnstore = false) :as;
SELECT tablename, indexname FROM pg_indexes WHERE tablename = '_materialized_hypertable_3';
SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = '_materialized_hypertable_3';
CALL refresh_continuous_aggregate('v', NULL, NULL);

-- Real time or not.
INSERT INTO metrics VALUES ('2024-02-01', 1, 1), ('2024-01-01', 1, 1000);
SELECT count(*), sum(sum) FROM v;
ALTER MATERIALIZED VIEW v SET (timescaledb.materialized_only = false);
SELECT materialized_only FROM timescaledb_information.continuous_aggregates;
SELECT count(*), sum(sum) FROM v;
PREPARE p AS SELECT count(*) FROM v;
EXECUTE p;
ALTER VIEW v SET (tsdb.materialized_only);
EXECUTE p;
ALTER MATERIALIZED VIEW v SET (tsdb.materialized_only);

-- What goes to storage.
ALTER MATERIALIZED VIEW v SET (timescaledb.create_group_indexes = true);
ALTER MATERIALIZED VIEW v SET (timescaledb.continuous = false);
ALTER MATERIALIZED VIEW v SET (timescaledb.nonsense);
ALTER MATERIALIZED VIEW v SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
SELECT compression_enabled FROM timescaledb_information.continuous_aggregates;
SELECT hypertable_name, attname, segmentby_column_index, orderby_column_index FROM timescaledb_information.compression_settings;
SELECT count(compress_chunk(c)) FROM show_chunks('v') c;
SELECT count(*), sum(sum) FROM v;
CALL refresh_continuous_aggregate('v', NULL, NULL);
SELECT count(*), sum(sum) FROM v;
SELECT number_compressed_chunks > 0 AS compressed FROM hypertable_columnstore_stats('v');
ALTER MATERIALIZED VIEW v SET (fillfactor = 80, tsdb.chunk_interval = '5 days');
SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = '_materialized_hypertable_3';
SELECT reloptions FROM pg_class WHERE oid = (SELECT c FROM show_chunks('v') c LIMIT 1);
ALTER MATERIALIZED VIEW v RESET (fillfactor);
ALTER MATERIALIZED VIEW v ALTER COLUMN sum SET STATISTICS 10;
SELECT set_chunk_time_interval('v', interval '2 days');
SELECT hypertable_size('v') > 0 AS size, approximate_row_count('v') >= 0 AS rows;
SELECT count(*) FROM drop_chunks('v', older_than => timestamptz '2024-01-15');
SELECT count(*) FROM v;
