-- Settings of the columnstore: options, what is wrong with them, and the views that show them.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
\pset format unaligned
CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;
CREATE VIEW settings AS SELECT segmentby, orderby, compress_interval_length, index FROM timescaledb_information.hypertable_columnstore_settings
    WHERE hypertable::text = 'm';

-- Columns and types are part of the contract.
SELECT table_name, string_agg(column_name || ' ' || coalesce(nullif(data_type, 'ARRAY'), udt_name), ', ' ORDER BY ordinal_position)
FROM information_schema.columns WHERE table_schema = 'timescaledb_information' AND table_name ~ '_settings$' GROUP BY 1 ORDER BY 1;

CREATE TABLE m (time timestamptz NOT NULL, device int, "Site, ""A""" text, value float8, j json, x xid, p point, PRIMARY KEY (device, time));
SELECT created FROM create_hypertable('m', 'time');
TABLE settings;
SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables;

-- On and off.
ALTER TABLE m SET (timescaledb.compress);
TABLE settings;
SELECT compression_enabled FROM timescaledb_information.hypertables;
SELECT compression_state, compressed_hypertable_id FROM _timescaledb_catalog.hypertable;
ALTER TABLE m SET (timescaledb.compress = off);
SELECT count(*) FROM settings;
ALTER TABLE m SET (tsdb.enable_columnstore = true, tsdb.segmentby = '"Site, ""A"""', tsdb.orderby = 'DEVICE, value DESC NULLS LAST');
TABLE settings;
TABLE timescaledb_information.hypertable_compression_settings;
TABLE timescaledb_information.compression_settings;
-- Other spellings; what is not mentioned stays.
ALTER TABLE m SET (timescaledb.compress_segmentby = 'device');
ALTER TABLE m SET (timescaledb.compress_orderby = 'time', timescaledb.segment_by = 'device', fillfactor = 90);
TABLE settings;
ALTER TABLE m SET (timescaledb.columnstore, timescaledb.order_by = 'value NULLS FIRST, time DESC');
TABLE settings;
ALTER TABLE m SET (timescaledb.compress_segmentby = '');
SELECT segmentby IS NULL AS none, orderby FROM settings;
SELECT segmentby FROM _timescaledb_config.columnstore;
ALTER TABLE m RESET (timescaledb.orderby, timescaledb.segmentby);
TABLE settings;
SELECT segmentby FROM _timescaledb_config.columnstore;
-- Sparse indexes, and merging.
ALTER TABLE m SET (timescaledb.index = 'Bloom("Site, ""A""", value), minmax(value), compress_bloom(x)', timescaledb.compress_chunk_interval = '28 days');
TABLE settings;
ALTER TABLE m RESET (timescaledb.sparse_index);
ALTER TABLE m SET (timescaledb.compress_chunk_time_interval = '10 days');
SELECT compress_interval_length, index FROM settings;
ALTER TABLE m SET (timescaledb.compress_chunk_time_interval = '0');
SELECT compress_interval_length FROM settings;
-- Without the word the first time.
ALTER TABLE m SET (timescaledb.compress = false);
ALTER TABLE m RESET (timescaledb.segmentby);
ALTER TABLE m SET (timescaledb.segmentby = 'device');
TABLE settings;

-- What is wrong.
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = 'nope')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.orderby = 'tableoid')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = 'device, value, "device"')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.orderby = 'value, value desc')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.orderby = 'device desc')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = 'value', timescaledb.orderby = 'time, value')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = 'j')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.orderby = 'p')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = 'device; DROP TABLE m')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = 'lower(device)')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = '"device')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.orderby = 'value USING <')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.orderby = 'value desc,')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.index = 'brin(value)')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.index = 'minmax(value, x)')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.index = 'minmax(x)')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.index = 'bloom(device)')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.index = 'bloom(value), minmax(value)')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.orderby = 'value', timescaledb.index = 'bloom(value)')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = 'device', timescaledb.compress_segmentby = 'value')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.compress = false, timescaledb.segmentby = 'value')$$);
SELECT err($$ALTER TABLE m SET (timescaledb.compress = maybe)$$);
SELECT err($$ALTER TABLE m SET (timescaledb.compress_chunk_interval = 'soon')$$);
SELECT err($$ALTER TABLE m RESET (timescaledb.compress)$$);
SELECT err($$ALTER TABLE m RESET (timescaledb.compress_chunk_interval)$$);
SELECT err($$ALTER TABLE m SET (timescaledb.segmentbye = 'device')$$);
TABLE settings;
-- A unique column in neither.
ALTER TABLE m SET (timescaledb.segmentby = 'value', timescaledb.orderby = 'time');
ALTER TABLE m SET (timescaledb.segmentby = 'device', timescaledb.orderby = 'time');

-- Only its owner.
CREATE ROLE columnstore_reader;
GRANT ALL ON m, settings TO columnstore_reader;
SET ROLE columnstore_reader;
SELECT err($$ALTER TABLE m SET (timescaledb.segmentby = '')$$);
TABLE settings;
RESET ROLE;

-- Columns that get other names, and columns that go.
ALTER TABLE m SET (timescaledb.segmentby = '"Site, ""A"""', timescaledb.orderby = 'value, time', timescaledb.index = 'bloom(device)');
ALTER TABLE m RENAME "Site, ""A""" TO "the site";
ALTER TABLE m RENAME value TO "Value";
ALTER TABLE m RENAME device TO dev;
ALTER TABLE m RENAME time TO at;
TABLE settings;
SELECT err($$ALTER TABLE m DROP "the site"$$);
SELECT err($$ALTER TABLE m DROP COLUMN "Value"$$);
SELECT err($$ALTER TABLE m RESET (timescaledb.index); ALTER TABLE m DROP at$$);
ALTER TABLE m DROP p;
ALTER TABLE m RESET (timescaledb.orderby);
ALTER TABLE m DROP "Value";
TABLE settings;
SELECT err($$ALTER TABLE m ADD _ts_meta_count int$$);
SELECT err($$ALTER TABLE m RENAME dev TO _ts_meta_min_1$$);
DROP TABLE m;
TABLE _timescaledb_config.columnstore;

-- Reserved names.
CREATE TABLE reserved (time timestamptz NOT NULL, _ts_meta_count int);
SELECT created FROM create_hypertable('reserved', 'time');
SELECT err($$ALTER TABLE reserved SET (timescaledb.compress)$$);
-- CREATE TABLE turns it on, if it can, unless told otherwise.
CREATE TABLE a (time timestamptz NOT NULL, dev int) WITH (tsdb.hypertable, tsdb.partition_column = 'time');
CREATE TABLE b (time timestamptz NOT NULL, dev int) WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.columnstore = false);
CREATE TABLE c (time timestamptz NOT NULL, dev int) WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.segmentby = 'dev', tsdb.orderby = 'time', tsdb.sparse_index = '');
CREATE TABLE d (time timestamptz NOT NULL, _ts_meta_x int) WITH (tsdb.hypertable, tsdb.partition_column = 'time');
SELECT err($$CREATE TABLE e (time timestamptz NOT NULL, _ts_meta_x int) WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.compress)$$);
SELECT err($$CREATE TABLE e (time timestamptz NOT NULL, x int) WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.orderby = 'y')$$);
SELECT err($$CREATE TABLE e (time timestamptz NOT NULL, x int) WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.columnstore = false, tsdb.orderby = 'x')$$);
SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables ORDER BY 1;
TABLE timescaledb_information.hypertable_columnstore_settings ORDER BY 1;
-- An exclusion constraint can be on a single chunk.
CREATE EXTENSION IF NOT EXISTS btree_gist;
INSERT INTO b VALUES ('2024-01-01', 1);
SELECT format('ALTER TABLE %s ADD CONSTRAINT lone EXCLUDE USING gist (dev WITH =)', c) FROM show_chunks('b') c \gexec
SELECT err($$ALTER TABLE b SET (timescaledb.compress)$$);
-- Integers.
CREATE TABLE i (t bigint NOT NULL, v int) WITH (tsdb.hypertable, tsdb.partition_column = 't', tsdb.chunk_interval = 100, tsdb.compress_chunk_interval = '400');
SELECT compress_interval_length FROM timescaledb_information.hypertable_columnstore_settings WHERE hypertable = 'i'::regclass;
SELECT compress_interval_length FROM _timescaledb_catalog.dimension WHERE column_name = 't';
DROP VIEW settings;
DROP ROLE columnstore_reader;
