-- compress_chunk_interval: chunks are merged into the one before as they are compressed.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
CREATE TABLE plain (time timestamptz NOT NULL, dev int NOT NULL, v float8, note text);
INSERT INTO plain SELECT '2026-01-01'::timestamptz + i * interval '1 min', i % 4, i, repeat('n' || i, i % 3) FROM generate_series(0, 3 * 1440 - 1) i;
CREATE TABLE m (LIKE plain);
SELECT FROM create_hypertable('m', 'time', chunk_time_interval => interval '6 hours');
CREATE UNIQUE INDEX ON m (dev, time);
CREATE INDEX ON m (note);
ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'dev', timescaledb.compress_chunk_time_interval = '1 day');
INSERT INTO m SELECT * FROM plain;
CREATE VIEW differences AS SELECT count(*) AS differences FROM ((TABLE plain EXCEPT ALL TABLE m) UNION ALL (TABLE m EXCEPT ALL TABLE plain)) x;
CREATE VIEW parts AS SELECT chunk_name, range_start, range_end, is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'm' ORDER BY range_start;

-- Not in what is rolled back, nor by an interval that allows nothing.
BEGIN;
SELECT compress_chunk(c) FROM show_chunks('m', older_than => '2026-01-02'::timestamptz) c;
TABLE parts;
TABLE differences;
ROLLBACK;
TABLE differences;
SELECT count(*) FROM parts;
-- One after the other.
SELECT compress_chunk(c) FROM show_chunks('m', older_than => '2026-01-02 12:00'::timestamptz) c;
TABLE parts;
TABLE differences;
SELECT sum(rows) = (SELECT count(*) FROM m WHERE time < '2026-01-02 12:00') AS counted, count(*) AS chunks
FROM (SELECT row_count AS rows FROM _timescaledb_config.columnar_chunk) c;
SELECT chunk_name, before_compression_table_bytes > 0 AS before FROM chunk_compression_stats('m') WHERE compression_status = 'Compressed' ORDER BY 1;
SELECT chunk, segmentby, orderby, index FROM timescaledb_information.chunk_compression_settings ORDER BY chunk::text;
-- Statistics are those of all rows.
SELECT attname, n_distinct FROM pg_stats WHERE tablename = '_hyper_1_1_chunk' AND attname IN ('dev', 'v') ORDER BY 1;
SELECT count(*) AS batch_tables FROM pg_class WHERE relname ~ '^compress_hyper' AND relkind = 'r';
-- A gap, and one that is not compressed, end a merged chunk; so does another layout.
SELECT compress_chunk(c) FROM show_chunks('m', newer_than => '2026-01-02 18:00'::timestamptz, older_than => '2026-01-03 06:00'::timestamptz) c;
ALTER TABLE m SET (timescaledb.segmentby = '');
SELECT compress_chunk(c) FROM show_chunks('m', newer_than => '2026-01-03 06:00'::timestamptz, older_than => '2026-01-03 12:00'::timestamptz) c;
ALTER TABLE m SET (timescaledb.segmentby = 'dev');
TABLE parts;
TABLE differences;
-- With rows in the row part of both, changes, and keys in either half.
UPDATE m SET v = -1 WHERE dev = 1 AND time < '2026-01-01 01:00';
UPDATE plain SET v = -1 WHERE dev = 1 AND time < '2026-01-01 01:00';
INSERT INTO m VALUES ('2026-01-02 13:00:30', 1, 1, 'late');
INSERT INTO plain VALUES ('2026-01-02 13:00:30', 1, 1, 'late');
SELECT compress_chunk(c) FROM show_chunks('m', newer_than => '2026-01-02 12:00'::timestamptz, older_than => '2026-01-02 18:00'::timestamptz) c;
TABLE parts;
TABLE differences;
INSERT INTO m VALUES ('2026-01-02 12:01', 1, 0, '');
INSERT INTO m VALUES ('2026-01-02 12:01', 1, 0, '') ON CONFLICT DO NOTHING;
SELECT * FROM m WHERE dev = 1 AND time BETWEEN '2026-01-01 23:55' AND '2026-01-02 00:05' ORDER BY time;
EXPLAIN (COSTS OFF) SELECT * FROM m WHERE time = '2026-01-02 13:00';
SELECT count(*) FROM m WHERE time >= '2026-01-02' AND time < '2026-01-03' AND note = 'late';
-- Recompressing and decompressing.
SELECT compress_chunk(c, recompress => true) FROM show_chunks('m', older_than => '2026-01-02'::timestamptz) c;
TABLE differences;
SELECT count(decompress_chunk(c)) FROM show_chunks('m') c WHERE EXISTS (SELECT FROM parts WHERE is_compressed AND c::text LIKE '%' || chunk_name);
TABLE differences;
SELECT count(*) FROM parts;
DROP VIEW differences, parts;
DROP TABLE m;

-- While this session reads the hypertable nothing is merged.
CREATE TABLE m (LIKE plain);
SELECT FROM create_hypertable('m', by_range('time', interval '1 day'));
SELECT FROM add_dimension('m', by_hash('dev', 2));
ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'dev', timescaledb.compress_chunk_time_interval = '7 days');
INSERT INTO m SELECT * FROM plain;
SELECT compress_chunk(c) FROM show_chunks('m', older_than => '2026-01-02'::timestamptz) c;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM m WHERE time >= '2026-01-03' ORDER BY time;
FETCH 1 FROM c;
SELECT compress_chunk(c) FROM show_chunks('m', older_than => '2026-01-03'::timestamptz, newer_than => '2026-01-02'::timestamptz) c;
FETCH 1 FROM c;
ROLLBACK;
-- Parts of a hash dimension are merged each into its own, when all of a slice are there.
SELECT compress_chunk(c) FROM show_chunks('m') c;
SELECT count(*) FROM show_chunks('m');
SELECT count(*) FROM ((TABLE plain EXCEPT ALL TABLE m) UNION ALL (TABLE m EXCEPT ALL TABLE plain)) x;
-- Foreign keys both ways.
CREATE TABLE devs (dev int PRIMARY KEY);
INSERT INTO devs SELECT generate_series(0, 9);
CREATE TABLE h (t int NOT NULL, dev int REFERENCES devs, PRIMARY KEY (t));
SELECT FROM create_hypertable('h', 't', chunk_time_interval => 10);
INSERT INTO h SELECT i, i % 10 FROM generate_series(0, 39) i;
CREATE TABLE marks (t int REFERENCES h);
INSERT INTO marks VALUES (5), (15), (39);
ALTER TABLE h SET (timescaledb.compress, timescaledb.compress_chunk_time_interval = '20');
SELECT compress_chunk(c) FROM show_chunks('h') c;
INSERT INTO marks VALUES (16);
INSERT INTO marks VALUES (40);
DELETE FROM h WHERE t = 15;
DELETE FROM devs WHERE dev = 3;
DELETE FROM h WHERE t = 17;
SELECT count(*), sum(t) FROM h;
DROP TABLE marks, h, devs, m, plain;
