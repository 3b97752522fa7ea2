-- What policies do, run by hand.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
CREATE FUNCTION n_now() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1000';
CREATE VIEW state AS
SELECT k.hypertable_name, k.range_start_integer AS start, k.range_end_integer AS end, k.is_compressed AS compressed,
    CASE WHEN k.is_compressed THEN _timescaledb_functions.chunk_status_text(format('%I.%I', k.chunk_schema, k.chunk_name)::regclass) END AS status
FROM timescaledb_information.chunks k ORDER BY 1, 2;

CREATE TABLE counts (n int NOT NULL, device text, value float8);
SELECT create_hypertable('counts', 'n', chunk_time_interval => 100);
SELECT set_integer_now_func('counts', 'n_now');
ALTER TABLE counts SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
INSERT INTO counts SELECT n, 'd' || n % 3, n FROM generate_series(0, 999) AS n;
SELECT count(*), sum(value) FROM counts;

-- Compression: what is old enough, the oldest first; a limit; rows that came later.
SELECT add_compression_policy('counts', 500) AS compression \gset
SELECT (alter_job(:compression, config => config || '{"maxchunks_to_compress": 2}')).scheduled FROM timescaledb_information.jobs WHERE job_id = :compression;
CALL run_job(:compression);
SELECT * FROM state;
SELECT (alter_job(:compression, config => config - 'maxchunks_to_compress')).scheduled FROM timescaledb_information.jobs WHERE job_id = :compression;
CALL run_job(:compression);
INSERT INTO counts VALUES (5, 'd1', 0.5), (405, 'd2', 0.25), (995, 'd2', 0);
SELECT * FROM state;
SELECT (alter_job(:compression, config => config || '{"recompress": false}')).scheduled FROM timescaledb_information.jobs WHERE job_id = :compression;
CALL run_job(:compression);
SELECT * FROM state WHERE 'PARTIAL' = ANY (status);
SELECT (alter_job(:compression, config => config - 'recompress')).scheduled FROM timescaledb_information.jobs WHERE job_id = :compression;
CALL run_job(:compression);
SELECT * FROM state;
SELECT count(*), sum(value) FROM counts;

INSERT INTO counts SELECT n, 'd' || n % 3, 0 FROM generate_series(0, 399, 50) AS n;
-- No transaction block.
BEGIN;
CALL run_job(:compression);
ROLLBACK;
CALL run_job(:compression);
SELECT * FROM state WHERE compressed;
SELECT count(*), sum(value) FROM counts;

-- Retention.
SELECT add_retention_policy('counts', 700) AS retention \gset
CALL run_job(:retention);
SELECT min(n), max(n), count(*) FROM counts;
CALL run_job(:retention);
SELECT min(n), max(n), count(*) FROM counts;
SELECT remove_retention_policy('counts');
SELECT add_retention_policy('counts', drop_created_before => INTERVAL '1 hour') AS retention \gset
CALL run_job(:retention);
SELECT min(n), max(n), count(*) FROM counts;
SELECT remove_retention_policy('counts');
-- A referenced row keeps its chunk, and no other one.
CREATE UNIQUE INDEX ON counts (n, device, value);
CREATE TABLE refers (n int, device text, value float8, FOREIGN KEY (n, device, value) REFERENCES counts (n, device, value));
INSERT INTO refers VALUES (450, 'd0', 450);
SELECT remove_compression_policy('counts');
SELECT add_retention_policy('counts', 300) AS retention \gset
\set VERBOSITY default
\set SHOW_CONTEXT never
CALL run_job(:retention);
\set VERBOSITY default
SELECT * FROM state WHERE hypertable_name = 'counts';
DROP TABLE refers;
CALL run_job(:retention);
SELECT min(n), max(n), count(*) FROM counts;
SELECT remove_retention_policy('counts');

-- Slices that are divided by hash go as a whole.
CREATE TABLE hashed (n int NOT NULL, device text, value float8);
SELECT create_hypertable('hashed', 'n', 'device', 2, chunk_time_interval => 100);
SELECT set_integer_now_func('hashed', 'n_now');
ALTER TABLE hashed SET (timescaledb.compress);
INSERT INTO hashed SELECT n, 'd' || n % 5, n FROM generate_series(0, 999) AS n;
SELECT add_compression_policy('hashed', 300) AS compression, add_retention_policy('hashed', 700) AS retention \gset
CALL run_job(:compression);
SELECT "end", bool_and(compressed), count(*) FROM state WHERE hypertable_name = 'hashed' GROUP BY 1 ORDER BY 1;
CALL run_job(:retention);
SELECT "end", bool_and(compressed), count(*) FROM state WHERE hypertable_name = 'hashed' GROUP BY 1 ORDER BY 1;

-- Reordering: all but the last three slices, once, and not what is in columns.
CREATE TABLE shuffled (n int NOT NULL, device text);
SELECT create_hypertable('shuffled', 'n', chunk_time_interval => 100);
SELECT set_integer_now_func('shuffled', 'n_now');
ALTER TABLE shuffled SET (timescaledb.compress);
CREATE INDEX shuffled_device_idx ON shuffled (device, n);
INSERT INTO shuffled SELECT (n * 7919) % 600, 'd' || n % 3 FROM generate_series(0, 1199) AS n;
SELECT compress_chunk(chunk) IS NOT NULL FROM show_chunks('shuffled', older_than => 100) AS chunk;
SELECT add_reorder_policy('shuffled', 'shuffled_device_idx') AS reorder \gset
CALL run_job(:reorder);
CREATE VIEW ordered AS SELECT chunk_end, bool_and(in_order) AS in_order FROM (
    SELECT n / 100 * 100 + 100 AS chunk_end, (device, n) >= lag((device, n)) OVER (PARTITION BY n / 100 ORDER BY ctid) AS in_order FROM shuffled) AS s
GROUP BY 1 ORDER BY 1;
SELECT * FROM ordered WHERE chunk_end > 100;
SELECT relfilenode AS before FROM pg_class WHERE oid = (SELECT chunk FROM show_chunks('shuffled') AS chunk OFFSET 1 LIMIT 1) \gset
CALL run_job(:reorder);
SELECT relfilenode = :before AS left_alone FROM pg_class WHERE oid = (SELECT chunk FROM show_chunks('shuffled') AS chunk OFFSET 1 LIMIT 1);
DROP INDEX shuffled_device_idx;
CALL run_job(:reorder);
SELECT count(*) FROM shuffled;

-- Chunks that are moved to the columnstore are merged, if the table wants that; and those that could not be then are merged later.
CREATE TABLE merged (n int NOT NULL, device text);
SELECT create_hypertable('merged', 'n', chunk_time_interval => 100);
SELECT set_integer_now_func('merged', 'n_now');
ALTER TABLE merged SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'n');
INSERT INTO merged SELECT n, 'd' || n % 3 FROM generate_series(0, 999) AS n;
SELECT count(compress_chunk(chunk)) FROM show_chunks('merged', older_than => 200) AS chunk;
ALTER TABLE merged SET (timescaledb.compress_chunk_interval = '300');
SELECT add_compression_policy('merged', 300) AS compression \gset
CALL run_job(:compression);
SELECT start, "end", status FROM state WHERE hypertable_name = 'merged';
SELECT count(*), sum(n) FROM merged;

-- One row per hypertable for who looks after them.
SELECT (alter_job(:compression, scheduled => false)).scheduled;
INSERT INTO merged VALUES (150, 'late');
SELECT hypertable_name, owner, num_chunks, compressed_chunks, partial_chunks, total_bytes = hypertable_size(hypertable_name::regclass) AS bytes,
    before_compression_bytes > 0 AS before, after_compression_bytes > 0 AS after, compression_ratio > 0 AS ratio,
    jsonb_path_query_array(policies, '$[*].name') AS policies, problems
FROM timescaledb_information.hypertable_health ORDER BY 1;

-- The config of a hypertable that is gone, or of somebody else's.
SELECT add_job('_timescaledb_functions.policy_retention', '1 day', config => '{"hypertable_id": 1, "drop_after": 900}') AS mine \gset
DROP TABLE counts;
CALL run_job(:mine);
