-- Sizes, row counts and states of chunks that are compressed.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
\pset format unaligned
CREATE TABLE m (time timestamptz NOT NULL, dev int, v float8, note text);
SELECT created FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT t, d, d, repeat('x', d) FROM generate_series('2024-01-01'::timestamptz, '2024-01-03 23:59', '1 minute') t, generate_series(1, 4) d;
SELECT * FROM chunk_compression_stats('m');
SELECT * FROM hypertable_compression_stats('m');
ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'dev', timescaledb.index = 'bloom(note)');
SELECT * FROM chunk_compression_stats('m');
SELECT * FROM hypertable_compression_stats('m');
CREATE TABLE empty (time timestamptz NOT NULL) WITH (tsdb.hypertable, tsdb.partition_column = 'time');
SELECT * FROM hypertable_columnstore_stats('empty');
CREATE TABLE plain (time timestamptz);
\set VERBOSITY sqlstate
SELECT * FROM chunk_columnstore_stats('plain');
SELECT * FROM hypertable_columnstore_stats('plain');
SELECT * FROM _timescaledb_functions.get_segmentby_defaults('plain');
\set VERBOSITY default
SELECT * FROM chunk_columnstore_stats(NULL);

VACUUM ANALYZE m;
CREATE TABLE before AS SELECT * FROM chunks_detailed_size('m');
SELECT approximate_row_count('m');
SELECT compress_chunk(c) FROM show_chunks('m', older_than => '2024-01-03'::timestamptz) c;
-- Parts of one chunk.
CREATE VIEW parts AS SELECT c.relname AS chunk, x.oid AS part, p.row_count, p.batch_count
    FROM _timescaledb_config.columnar_chunk p JOIN pg_class c ON c.oid = p.relid JOIN pg_class x ON x.oid IN (p.relid, p.batches);
SELECT s.chunk_schema, s.chunk_name, s.compression_status,
    ROW(s.before_compression_table_bytes, s.before_compression_index_bytes, s.before_compression_toast_bytes, s.before_compression_total_bytes)
        = ROW(b.table_bytes, b.index_bytes, b.toast_bytes, b.total_bytes) AS before_is_right,
    s.after_compression_total_bytes = (SELECT sum(pg_total_relation_size(part)) FROM parts p WHERE p.chunk = s.chunk_name) AS after_is_right,
    s.after_compression_total_bytes = d.total_bytes AS sizes_agree,
    s.after_compression_table_bytes + s.after_compression_index_bytes + s.after_compression_toast_bytes = s.after_compression_total_bytes AS adds_up,
    s.node_name
FROM chunk_columnstore_stats('m') s JOIN before b USING (chunk_name) JOIN chunks_detailed_size('m') d USING (chunk_name) ORDER BY 2;
SELECT h.total_chunks, h.number_compressed_chunks, h.before_compression_total_bytes = c.before AS same_before, h.after_compression_total_bytes = c.after AS same_after,
    h.after_compression_total_bytes < h.before_compression_total_bytes AS smaller, h.node_name
FROM hypertable_columnstore_stats('m') h, LATERAL (SELECT sum(before_compression_total_bytes) AS before, sum(after_compression_total_bytes) AS after FROM chunk_compression_stats('m')) c;
SELECT * FROM hypertable_compression_stats('m') EXCEPT SELECT * FROM hypertable_columnstore_stats('m');
SELECT hypertable_size('m') = (SELECT sum(total_bytes) FROM chunks_detailed_size('m')) AS same;
SELECT approximate_row_count('m'), approximate_row_count('_timescaledb_internal._hyper_1_1_chunk');

-- States.
CREATE VIEW states AS SELECT chunk_name, is_compressed, k.compressed_chunk_id, k.status, _timescaledb_functions.chunk_status_text(k.status)
    FROM timescaledb_information.chunks JOIN _timescaledb_catalog.chunk k ON k.table_name = chunk_name ORDER BY chunk_name;
TABLE states;
TABLE timescaledb_information.chunk_compression_settings ORDER BY chunk;
INSERT INTO m VALUES ('2024-01-01 00:00:30', 1);
TABLE states;
SELECT approximate_row_count('m');
ANALYZE m;
SELECT approximate_row_count('m');
SELECT compress_chunk('_timescaledb_internal._hyper_1_1_chunk', recompress => true);
TABLE states;
SELECT approximate_row_count('m');
SELECT decompress_chunk('_timescaledb_internal._hyper_1_1_chunk');
TABLE states;
SELECT chunk_name, compression_status FROM chunk_columnstore_stats('m') ORDER BY 1;
SELECT decompress_chunk('_timescaledb_internal._hyper_1_2_chunk');
SELECT approximate_row_count('m') > 0 AS some, count(*) FROM m;
TABLE _timescaledb_config.columnar_chunk;
