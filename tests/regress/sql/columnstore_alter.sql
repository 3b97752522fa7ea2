-- DDL on hypertables with compressed chunks gives what it gives on a plain table.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN small AS int;
CREATE TABLE m (time timestamptz NOT NULL, host text, a int, b float8, md mood, s small, v varchar(10));
SELECT create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE m SET (timescaledb.columnstore, timescaledb.segmentby = 'host');
CREATE TABLE plain (LIKE m);
INSERT INTO m SELECT timestamptz '2024-01-01' + g * interval '1 minute', 'h' || g % 5, g, g / 10.0, (ARRAY['good', 'bad'])[g % 2 + 1]::mood, g, 'v' || g % 7
FROM generate_series(0, 2879) AS g;
INSERT INTO plain SELECT * FROM m;
SELECT count(compress_chunk(c)) FROM show_chunks('m') AS c;
INSERT INTO m VALUES ('2024-01-01 00:00:30', 'hx', -1, 0, 'good', 1, 'x');
INSERT INTO plain VALUES ('2024-01-01 00:00:30', 'hx', -1, 0, 'good', 1, 'x');
CREATE FUNCTION on_both(command text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format(command, 'm'); EXECUTE format(command, 'plain'); END $$;
CREATE FUNCTION difference(OUT rows bigint, OUT more bigint, OUT less bigint) LANGUAGE plpgsql AS $$ BEGIN
    SELECT count(*) INTO rows FROM m;
    SELECT count(*) INTO more FROM (SELECT m::text FROM m EXCEPT ALL SELECT p::text FROM plain AS p) AS x;
    SELECT count(*) INTO less FROM (SELECT p::text FROM plain AS p EXCEPT ALL SELECT m::text FROM m) AS x;
END $$;

-- columns
SELECT on_both('ALTER TABLE %I ADD COLUMN n1 int');
SELECT on_both('ALTER TABLE %I ADD COLUMN n2 text DEFAULT ''abc''');
SELECT on_both('ALTER TABLE %I ADD COLUMN n3 int DEFAULT 5, ADD COLUMN n4 numeric DEFAULT 1.5 NOT NULL');
SELECT on_both('ALTER TABLE %I ADD COLUMN twice int GENERATED ALWAYS AS (a * 2) STORED');
SELECT on_both('ALTER TABLE %I ADD COLUMN d small DEFAULT 3, ADD COLUMN md2 mood DEFAULT ''bad''');
SELECT on_both('ALTER TABLE %I ADD COLUMN IF NOT EXISTS n1 int');
SELECT * FROM difference();
SELECT on_both('ALTER TABLE %I DROP COLUMN b');
SELECT on_both('ALTER TABLE %I ADD COLUMN b text DEFAULT ''again''');
SELECT on_both('ALTER TABLE %I DROP COLUMN n1, ADD COLUMN n1 boolean DEFAULT true');
SELECT on_both('ALTER TABLE %I RENAME COLUMN n2 TO renamed');
SELECT * FROM difference();
SELECT count(*) FROM m WHERE renamed = 'abc' AND n3 = 5 AND n4 = 1.5 AND twice = a * 2 AND b = 'again';
ALTER TABLE m ADD COLUMN id serial, ADD COLUMN r float8 DEFAULT random();
SELECT count(*), count(DISTINCT id), min(id), max(id), count(DISTINCT r) > 2000 FROM m;
ALTER TABLE m ADD COLUMN z int, ALTER COLUMN z SET DEFAULT 4;
ALTER TABLE m DROP COLUMN id, DROP COLUMN r;
SELECT * FROM difference();
SELECT DISTINCT columns FROM _timescaledb_config.columnar_chunk;
ALTER TABLE m DROP COLUMN host;

-- types
SELECT on_both('ALTER TABLE %I ALTER COLUMN v TYPE varchar(20)');
SELECT on_both('ALTER TABLE %I ALTER COLUMN v TYPE text');
SELECT on_both('ALTER TABLE %I ALTER COLUMN host TYPE varchar');
SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = (SELECT batches FROM _timescaledb_config.columnar_chunk LIMIT 1) AND attname = '_ts_meta_min_1';
ALTER TABLE m ALTER COLUMN md TYPE text;
ALTER TABLE m ALTER COLUMN v TYPE varchar(3);
ALTER TABLE m ALTER COLUMN v TYPE text COLLATE "C";
ALTER TABLE m ALTER COLUMN n3 TYPE bigint;
ALTER TYPE mood RENAME VALUE 'good' TO 'fine';
ALTER TYPE mood ADD VALUE 'ugly';
SELECT * FROM difference();

-- constraints
ALTER TABLE m ADD COLUMN hole int;
ALTER TABLE m ALTER COLUMN hole SET NOT NULL;
ALTER TABLE m ALTER COLUMN a SET NOT NULL, ALTER COLUMN renamed SET NOT NULL;
ALTER TABLE m ADD CHECK (a < 100);
ALTER TABLE m ADD CONSTRAINT later CHECK (a < 100) NOT VALID;
ALTER TABLE m VALIDATE CONSTRAINT later;
ALTER TABLE m DROP CONSTRAINT later;
ALTER TABLE m ADD CONSTRAINT fits CHECK (a < 100000 AND s >= 0), ADD COLUMN checked int CHECK (checked IS NULL);
ALTER TABLE m ADD COLUMN bad int DEFAULT 1 CHECK (bad > 1);
ALTER DOMAIN small ADD CHECK (value < 100);
DROP TABLE plain;
ALTER DOMAIN small ADD CHECK (value < 100);
ALTER DOMAIN small ADD CHECK (value < 100000);
ALTER DOMAIN small ADD CONSTRAINT domain_later CHECK (value > 10) NOT VALID;
ALTER DOMAIN small VALIDATE CONSTRAINT domain_later;
ALTER DOMAIN small ADD CHECK (value <> 77777);
ALTER DOMAIN small DROP CONSTRAINT domain_later;
ALTER DOMAIN small SET NOT NULL;
ALTER DOMAIN small DROP NOT NULL;
CREATE TABLE hosts (host varchar PRIMARY KEY);
INSERT INTO hosts SELECT DISTINCT host FROM m WHERE host <> 'h3';
ALTER TABLE m ADD CONSTRAINT fk FOREIGN KEY (host) REFERENCES hosts;
INSERT INTO hosts VALUES ('h3');
ALTER TABLE m ADD CONSTRAINT fk FOREIGN KEY (host) REFERENCES hosts;
ALTER TABLE m DROP CONSTRAINT fk;
SELECT format('ALTER TABLE %s ADD EXCLUDE USING btree (a WITH =)', c) FROM show_chunks('m') AS c ORDER BY 1 LIMIT 1 \gexec
SELECT format('ALTER TABLE m DETACH PARTITION %s', c) FROM show_chunks('m') AS c ORDER BY 1 LIMIT 1 \gexec

-- unique keys: among batches, and between batches and rows
INSERT INTO m (time, host, a, s) VALUES ('2024-01-01 00:07', 'h0', 99, 5);
CREATE UNIQUE INDEX one ON m (time);
CREATE UNIQUE INDEX one ON m (time, host);
CREATE UNIQUE INDEX two ON m (time, (a / 100000));
CREATE UNIQUE INDEX two ON m (time, (a / 100000)) WHERE a <> 99;
DROP INDEX two;
ALTER TABLE m ADD CONSTRAINT pk PRIMARY KEY (time, n3);
ALTER TABLE m DROP COLUMN hole, DROP COLUMN checked;
INSERT INTO m (time, host, a, s) VALUES ('2024-01-01 00:08', 'h9', 100, 5);
CREATE UNIQUE INDEX nulls ON m (time, n3) NULLS NOT DISTINCT WHERE a IN (8, 100);
DROP INDEX one;

-- an index makes blooms
CREATE INDEX ON m (a);
SELECT count(*) FROM m WHERE a = 1000;
SELECT count(*) FROM m WHERE a = 999999;

-- storage
ALTER TABLE m SET UNLOGGED;
SELECT DISTINCT relpersistence FROM pg_class WHERE relname ~ '^(compress)?_hyper_1_';
ALTER TABLE m SET LOGGED;
SELECT DISTINCT relpersistence FROM pg_class WHERE relname ~ '^(compress)?_hyper_1_';
VACUUM FULL m;
CLUSTER m USING m_time_idx;
REINDEX TABLE m;
SELECT count(*), sum(a), count(DISTINCT renamed) FROM m;

-- ONLY means the heap
SELECT c AS chunk FROM show_chunks('m') AS c ORDER BY c::text LIMIT 1 \gset
TRUNCATE ONLY :chunk;
SELECT count(*) FROM ONLY :chunk;
SELECT count(*) FROM :chunk;

-- composite types
CREATE TYPE pair AS (x int, y int);
CREATE TABLE row_type (x int);
CREATE TABLE composite (time timestamptz NOT NULL, p pair, t row_type);
SELECT create_hypertable('composite', 'time');
ALTER TABLE composite SET (timescaledb.columnstore);
INSERT INTO composite VALUES ('2024-01-01', (1, 2), ROW(3));
SELECT count(compress_chunk(c)) FROM show_chunks('composite') AS c;
ALTER TYPE pair ADD ATTRIBUTE z int;
ALTER TYPE pair DROP ATTRIBUTE y;
ALTER TABLE row_type ADD COLUMN y int;
ALTER TABLE row_type DROP COLUMN x;
SELECT count(decompress_chunk(c)) FROM show_chunks('composite') AS c;
ALTER TYPE pair ADD ATTRIBUTE z int;
SELECT * FROM composite;
SELECT count(compress_chunk(c)) FROM show_chunks('composite') AS c;
SELECT * FROM composite;
DROP TYPE pair CASCADE;
SELECT * FROM composite;
ALTER TABLE composite ADD COLUMN p text DEFAULT 'new';
SELECT * FROM composite;

-- text of values does not depend on settings
CREATE TYPE precise AS (d date, f float8, i interval);
CREATE TABLE texts (time timestamptz NOT NULL, p precise);
SELECT create_hypertable('texts', 'time');
ALTER TABLE texts SET (timescaledb.columnstore);
INSERT INTO texts VALUES ('2024-01-01', ('2024-03-04', 0.1::float8 + 0.2::float8, '-1 mon 2 days -03:04:05'));
SET datestyle = 'SQL, DMY'; SET extra_float_digits = -15; SET intervalstyle = 'sql_standard';
SELECT count(compress_chunk(c)) FROM show_chunks('texts') AS c;
RESET datestyle; RESET extra_float_digits; SET intervalstyle = 'iso_8601';
SELECT p, (p).f = 0.1::float8 + 0.2::float8 FROM texts;
RESET intervalstyle;
ALTER TABLE texts ADD COLUMN q precise DEFAULT (current_date, random(), NULL)::precise;
DROP TABLE texts;

-- statistics are those of all rows
ANALYZE m;
SELECT tablename, attname, inherited, n_distinct FROM pg_stats WHERE tablename ~ '^(_hyper_1_|m$)' AND attname IN ('host', 'a') ORDER BY 1, 2;
SELECT c.relname, c.reltuples FROM pg_class AS c JOIN _timescaledb_config.columnar_chunk ON relid = c.oid ORDER BY 1;

-- A unique key that comes when rows are in batches holds for rows that come later.
CREATE TABLE keyed (time timestamptz NOT NULL, host text, v int);
SELECT create_hypertable('keyed', 'time');
INSERT INTO keyed SELECT '2026-01-01'::timestamptz + n * interval '1 min', 'h' || n % 3, n FROM generate_series(1, 300) n;
ALTER TABLE keyed SET (timescaledb.compress, timescaledb.compress_segmentby = 'host');
SELECT count(compress_chunk(c)) FROM show_chunks('keyed') c;
ALTER TABLE keyed ADD CONSTRAINT u UNIQUE (host, time);
INSERT INTO keyed VALUES ('2026-01-01 00:05', 'h2', 1);
INSERT INTO keyed VALUES ('2026-01-01 00:05', 'h2', 1) ON CONFLICT DO NOTHING;
ALTER TABLE keyed DROP CONSTRAINT u;
CREATE UNIQUE INDEX ON keyed (time, host);
INSERT INTO keyed VALUES ('2026-01-01 00:05', 'h2', 1);
SELECT count(*), count(DISTINCT (host, time)) FROM keyed;
