-- What must not happen to compressed data: to be dropped with the extension, to change in a read-only transaction, to refer to what is renamed.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;
\pset format unaligned
CREATE TABLE m (time timestamptz NOT NULL, dev int, v float8, UNIQUE (dev, time));
SELECT FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'dev');
INSERT INTO m SELECT '2026-01-01'::timestamptz + i * interval '1 hour', i % 3, i FROM generate_series(0, 50) i;
SELECT count(compress_chunk(c)) FROM show_chunks('m') c;

-- The name that clients look for may go.
CREATE EXTENSION timescaledb;
DROP EXTENSION timescaledb;
-- The extension may not, by whatever command.
SET client_min_messages = error;
SELECT err('DROP EXTENSION timescale_compat');
SELECT err('DROP EXTENSION timescale_compat CASCADE');
SELECT err('DROP EXTENSION IF EXISTS plpgsql, timescale_compat CASCADE');
SELECT err('DROP SCHEMA public CASCADE');
SELECT err('DROP SCHEMA _timescaledb_config CASCADE');
CREATE ROLE guards_owner SUPERUSER;
SELECT err('DROP EXTENSION timescale_compat CASCADE; SELECT 1');
BEGIN;
SAVEPOINT s;
DROP EXTENSION timescale_compat CASCADE;
ROLLBACK TO s;
SELECT count(*), sum(v) FROM m;
COMMIT;
-- Whoever may not drop it is told so, and nothing else.
CREATE ROLE guards_nobody;
SET ROLE guards_nobody;
DROP EXTENSION timescale_compat CASCADE;
RESET ROLE;
SELECT count(*), sum(v) FROM m;
-- One chunk is enough.
SELECT count(decompress_chunk(c)) FROM show_chunks('m', newer_than => '2026-01-02'::timestamptz) c;
SELECT err('DROP EXTENSION timescale_compat CASCADE');
-- Not if what is compressed went before, in the same transaction or not; rows in row form stay.
BEGIN;
DROP TABLE m;
DROP EXTENSION timescale_compat;
ROLLBACK;
BEGIN;
SELECT count(decompress_chunk(c)) FROM show_chunks('m', older_than => '2026-01-02'::timestamptz) c;
DROP EXTENSION timescale_compat;
SELECT count(*), sum(v) FROM m;
ROLLBACK;
SELECT count(*), sum(v) FROM m;
-- A table of batches that a rollback, or a decompression under an older snapshot, left empty does not take the chunk's rows with it.
BEGIN;
INSERT INTO m VALUES ('2026-01-01 00:30', 7, 1000);
SELECT count(decompress_chunk(c)) FROM show_chunks('m', older_than => '2026-01-02'::timestamptz) c;
COMMIT;
SELECT count(*), sum(v) FROM m;
SELECT count(compress_chunk(c)) FROM show_chunks('m') c;
SET client_min_messages = notice;

-- A read-only transaction reads, and that is all.
BEGIN READ ONLY;
SELECT count(*), sum(v) FROM m;
SELECT * FROM m WHERE dev = 1 AND time = '2026-01-01 01:00';
SELECT err(format('SELECT compress_chunk(%L)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err(format('SELECT compress_chunk(%L, recompress => true)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err(format('SELECT decompress_chunk(%L)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err(format('CALL convert_to_columnstore(%L)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err(format('CALL convert_to_rowstore(%L)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err(format('CALL recompress_chunk(%L)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err('INSERT INTO m VALUES (now(), 1, 1)');
SELECT err('UPDATE m SET v = 0');
SELECT err('DELETE FROM m');
SELECT err('MERGE INTO m USING (SELECT 1 AS dev) s ON m.dev = s.dev WHEN MATCHED THEN DELETE');
SELECT err('SELECT * FROM m FOR UPDATE');
SELECT err('TRUNCATE m');
SELECT err('ALTER TABLE m SET (timescaledb.direct_compress)');
SELECT err('ALTER TABLE m SET (timescaledb.segmentby = '''')');
COMMIT;
SET default_transaction_read_only = on;
DELETE FROM m WHERE dev = 1;
SELECT compress_chunk(c) FROM show_chunks('m') c;
COPY m FROM '/dev/null';
SET default_transaction_read_only = off;
SELECT count(*), sum(v) FROM m;

-- Roles: who may read does, who may not change is told so before anything of a batch is touched.
GRANT SELECT ON m TO guards_nobody;
SET ROLE guards_nobody;
SELECT count(*), sum(v) FROM m;
SELECT err(format('SELECT compress_chunk(%L)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err('DELETE FROM m WHERE dev = 1');
SELECT err('SELECT * FROM m FOR UPDATE');
RESET ROLE;
SELECT count(*) AS in_row_form FROM ONLY m;

-- Columns whose values refer to objects.
CREATE DOMAIN object AS regclass;
CREATE TYPE pair AS (a int, b object[]);
CREATE TABLE r (time timestamptz NOT NULL, p pair);
SELECT FROM create_hypertable('r', 'time');
SELECT err('ALTER TABLE r SET (timescaledb.compress)');
ALTER TABLE r DROP p;
ALTER TABLE r SET (timescaledb.compress);
SELECT t, err(format('ALTER TABLE r ADD x %s', t)) FROM unnest('{regproc,regrole[],regtype,aclitem,object,pair}'::text[]) t;
ALTER TABLE r ADD x serial, ADD o oid;
-- A type that was given later is found when it matters.
ALTER TABLE r ALTER o TYPE regclass;
INSERT INTO r VALUES ('2026-01-01', 1, 'm');
SELECT err(format('SELECT compress_chunk(%L)', c)) FROM show_chunks('r') c;
ALTER TABLE r SET (timescaledb.direct_compress);
INSERT INTO r SELECT '2027-01-01'::timestamptz + i * interval '1 s', i, 'm' FROM generate_series(1, 100) i;
SELECT count(*), count(DISTINCT o) FROM r;
CREATE TABLE w (time timestamptz NOT NULL, c regclass) WITH (tsdb.hypertable, tsdb.partition_column = 'time');
SELECT hypertable_name, compression_enabled FROM timescaledb_information.hypertables ORDER BY 1;

-- A catalog that is of another version than the library: older, or newer. Nothing is read by the wrong position.
SELECT count(compress_chunk(c)) FROM show_chunks('m') c;
BEGIN;
ALTER TABLE _timescaledb_config.columnar_chunk RENAME TO columnar_chunk_now;
CREATE TABLE _timescaledb_config.columnar_chunk AS SELECT relid, batches, compressed, columns, segmentby, orderby, orderby_desc,
    orderby_nulls_first, row_count, batch_count, before_table_bytes, before_index_bytes, before_toast_bytes FROM _timescaledb_config.columnar_chunk_now;
SELECT err('SELECT count(*) FROM m');
SELECT err(format('SELECT decompress_chunk(%L)', c)) FROM show_chunks('m') c LIMIT 1;
SELECT err('INSERT INTO m VALUES (''2026-01-01'', 1, 1)');
SELECT err('DROP TABLE m');
SELECT count(*) FROM pg_class WHERE relname = 'm';
ROLLBACK;
BEGIN;
ALTER TABLE _timescaledb_config.dimension ADD later int;
SELECT err('INSERT INTO m VALUES (''2026-01-01'', 1, 1)');
SELECT err('CREATE TABLE later (time timestamptz) WITH (tsdb.hypertable)');
ROLLBACK;
SELECT count(*) FROM m;
-- A table of batches is what it was made to be: values are read from it by the place and the type of its columns.
CREATE ROLE guards_ada;
GRANT CREATE ON SCHEMA public TO guards_ada;
SET ROLE guards_ada;
CREATE TABLE b (time timestamptz NOT NULL, v int);
SELECT FROM create_hypertable('b', 'time');
ALTER TABLE b SET (timescaledb.compress);
INSERT INTO b SELECT '2026-01-01'::timestamptz + i * interval '1 min', i FROM generate_series(1, 100) i;
SELECT count(compress_chunk(c)) FROM show_chunks('b') c;
RESET ROLE;
SELECT batches, relid AS chunk FROM _timescaledb_config.columnar_chunk WHERE relid IN (SELECT show_chunks('b')) \gset
SET ROLE guards_ada;
CREATE TABLE other (LIKE :batches);
CREATE TABLE parted (LIKE :batches) PARTITION BY LIST (_ts_meta_count);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
\set VERBOSITY verbose
ALTER TABLE :batches ALTER c2 TYPE int USING 12345;
\set VERBOSITY default
ALTER TABLE :batches DROP COLUMN c2;
ALTER TABLE :batches DROP COLUMN _ts_meta_count, SET (fillfactor = 90);
ALTER TABLE :batches ADD COLUMN c3 int;
ALTER TABLE :batches ALTER c2 SET NOT NULL;
ALTER TABLE :batches ALTER c2 SET DEFAULT '';
ALTER TABLE :batches ADD CHECK (c2 IS NULL);
ALTER TABLE :batches ENABLE ROW LEVEL SECURITY;
ALTER TABLE :batches FORCE ROW LEVEL SECURITY;
ALTER TABLE :batches DISABLE TRIGGER ALL;
ALTER TABLE :batches INHERIT other;
ALTER TABLE other INHERIT :batches;
CREATE TABLE child () INHERITS (:batches);
ALTER TABLE parted ATTACH PARTITION :batches DEFAULT;
ALTER TABLE :batches RENAME COLUMN c2 TO c1;
CREATE RULE r AS ON INSERT TO :batches DO INSTEAD NOTHING;
CREATE TRIGGER t BEFORE INSERT ON :batches FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE INDEX ON :batches (c2);
-- How it is stored may be said, and it follows its chunk.
ALTER TABLE :batches SET (fillfactor = 90), ALTER c2 SET STATISTICS 10, ALTER c1 SET STORAGE external, REPLICA IDENTITY FULL;
ALTER TABLE b ADD COLUMN w varchar(10) DEFAULT 'x', ALTER v SET NOT NULL;
ALTER TABLE b ALTER w TYPE text;
ALTER TABLE b RENAME v TO value;
ALTER TABLE b DROP COLUMN w;
SELECT count(*), sum(value) FROM b;
-- Who owns the extension may. Then nothing is read that is not there.
RESET ROLE;
BEGIN;
ALTER TABLE :batches ALTER c2 TYPE int USING 12345;
SELECT err('SELECT sum(value) FROM b');
SELECT err('DELETE FROM b WHERE value = 7');
SELECT err(format('SELECT decompress_chunk(%L)', :'chunk'));
SELECT err(format('SELECT compress_chunk(%L, recompress => true)', :'chunk'));
ROLLBACK;
BEGIN;
ALTER TABLE :batches DROP COLUMN _ts_meta_count;
SELECT err('SELECT count(*) FROM b');
SELECT err('ANALYZE b');
ROLLBACK;
BEGIN;
ALTER TABLE :batches ALTER _ts_meta_min_1 TYPE text;
SELECT err('SELECT sum(value) FROM b WHERE time > ''2026-01-01 01:00''');
DROP TABLE b;
ROLLBACK;
SELECT count(*), sum(value) FROM b;
DROP TABLE b, other, parted;
DROP FUNCTION nothing;
REVOKE CREATE ON SCHEMA public FROM guards_ada;
DROP ROLE guards_ada;
DROP TABLE m, r, w;
DROP ROLE guards_owner, guards_nobody;
DROP EXTENSION timescale_compat;
