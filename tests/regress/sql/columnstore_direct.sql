-- Rows that COPY and INSERT write straight into columns, and those that have to take the usual way, against a plain table.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
SET timescaledb.enable_direct_compress_copy = on;
SET timescaledb.enable_direct_compress_insert = on;

CREATE TABLE plain (time timestamptz NOT NULL, host text, n int, v float8, note text CHECK (note <> 'bad'));
INSERT INTO plain SELECT '2026-01-01'::timestamptz + i * interval '10 min', 'host_' || i % 3, i, CASE WHEN i % 7 > 0 THEN i / 4.0 END, repeat('x', i % 5)
FROM generate_series(0, 143) i;
COPY plain TO PROGRAM 'cat > columnstore_direct.tsv';

-- How many rows a hypertable has in the heaps of its chunks and in batches, by its parts and as queries see them.
CREATE FUNCTION parts(hypertable regclass, OUT chunks bigint, OUT heap bigint, OUT columnar bigint, OUT seen bigint) LANGUAGE plpgsql AS $$
DECLARE chunk regclass; batches regclass; rows bigint;
BEGIN
    SELECT 0, 0, 0 INTO chunks, heap, columnar;
    FOR chunk, batches IN SELECT c, p.batches FROM show_chunks(hypertable) c LEFT JOIN _timescaledb_config.columnar_chunk p ON p.relid = c LOOP
        chunks := chunks + 1;
        EXECUTE format('SELECT count(*) FROM ONLY %s', chunk) INTO rows;
        heap := heap + rows;
        IF batches IS NOT NULL THEN
            EXECUTE format('SELECT coalesce(sum(_ts_meta_count), 0) FROM %s', batches) INTO rows;
            columnar := columnar + rows;
        END IF;
    END LOOP;
    EXECUTE format('SELECT count(*) FROM %s', hypertable) INTO seen;
END $$;
CREATE FUNCTION differences(hypertable regclass, other regclass = 'plain') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((TABLE %1$s EXCEPT ALL TABLE %2$s) UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s)) x', hypertable, other)
    INTO found;
    RETURN found;
END $$;

-- A hypertable that is not to be compressed is not.
CREATE TABLE off (LIKE plain INCLUDING CONSTRAINTS);
SELECT FROM create_hypertable('off', 'time', chunk_time_interval => interval '1 day');
COPY off FROM 'columnstore_direct.tsv';
SELECT * FROM parts('off');

-- New chunks.
CREATE TABLE m (LIKE plain INCLUDING CONSTRAINTS);
SELECT FROM create_hypertable('m', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'host');

\set QUIET off
COPY m FROM 'columnstore_direct.tsv';
\set QUIET on
SELECT * FROM parts('m');
SELECT differences('m');
-- They are compressed chunks like others.
SELECT chunk_name, compression_status, before_compression_total_bytes FROM chunk_columnstore_stats('m') ORDER BY 1 LIMIT 1;
SELECT DISTINCT segmentby, orderby FROM timescaledb_information.chunk_columnstore_settings WHERE hypertable = 'm'::regclass;
UPDATE m SET v = -1 WHERE n = 5;
UPDATE plain SET v = -1 WHERE n = 5;
DELETE FROM m WHERE n = 100;
DELETE FROM plain WHERE n = 100;
SELECT differences('m');

-- Chunks that are compressed already.
\set QUIET off
INSERT INTO m SELECT time + interval '1 min', host, n + 1000, v, note FROM plain;
\set QUIET on
SELECT * FROM parts('m');
INSERT INTO plain SELECT time + interval '1 min', host, n + 1000, v, note FROM plain;
SELECT differences('m');
COPY m (n, host, time) FROM STDIN;
2001	host_1	2026-01-01 00:02
2002	\N	2026-01-01 12:02
2003	host_9	2026-01-01 06:02
\.
INSERT INTO plain VALUES ('2026-01-01 00:02', 'host_1', 2001), ('2026-01-01 12:02', NULL, 2002), ('2026-01-01 06:02', 'host_9', 2003);
SELECT differences('m');
-- A chunk that was compressed and has been decompressed has no place for batches.
SELECT count(decompress_chunk(c)) FROM show_chunks('m', older_than => '2026-01-01 06:00'::timestamptz) c;
-- Some rows go one way and some the other: all count.
\set QUIET off
INSERT INTO m SELECT time, 'again', n FROM plain WHERE time < '2026-01-01 12:00' AND n < 1000;
\set QUIET on
SELECT * FROM parts('m');
INSERT INTO plain SELECT time, 'again', n FROM plain WHERE time < '2026-01-01 12:00' AND n < 1000;
SELECT differences('m');
SELECT count(compress_chunk(c)) FROM show_chunks('m') c;
SELECT * FROM parts('m');
SELECT differences('m');

-- Older chunks in row form stay so.
CREATE TABLE old (LIKE plain INCLUDING CONSTRAINTS);
SELECT FROM create_hypertable('old', 'time', chunk_time_interval => interval '12 hours');
ALTER TABLE old SET (timescaledb.compress, timescaledb.segmentby = 'host');
INSERT INTO old VALUES ('2026-01-01 01:00', 'first', 0);
COPY old FROM 'columnstore_direct.tsv';
SELECT * FROM parts('old');

-- Single rows, and a few, take the usual way.
CREATE TABLE few (LIKE plain);
SELECT FROM create_hypertable('few', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE few SET (timescaledb.compress);
INSERT INTO few VALUES ('2026-01-01', 'a', 1), ('2026-01-01', 'b', 2);
SELECT * FROM parts('few');
INSERT INTO few SELECT '2026-01-02', 'a', i FROM generate_series(1, 20) i;
SELECT * FROM parts('few');
-- Without the settings all do.
SET timescaledb.enable_direct_compress_insert = off;
INSERT INTO few SELECT '2026-01-02', 'a', i FROM generate_series(1, 20) i;
SELECT * FROM parts('few');
SET timescaledb.enable_direct_compress_insert = on;
SET timescaledb.enable_direct_compress_copy = off;
COPY few FROM STDIN;
2026-01-03	a	1	1.5	
\.
SET timescaledb.enable_direct_compress_copy = on;
SELECT * FROM parts('few');

-- More chunks than are written at once: in order of time,
CREATE TABLE many (LIKE plain);
SELECT FROM create_hypertable('many', 'time', chunk_time_interval => interval '2000 s');
ALTER TABLE many SET (timescaledb.compress, timescaledb.segmentby = 'host');
INSERT INTO many SELECT '2026-01-01'::timestamptz + i * interval '1 s', 'host_' || i % 3, i FROM generate_series(0, 29999) i;
SELECT * FROM parts('many');
SELECT count(*), count(DISTINCT n), min(n), max(n), sum(n) FROM many;
-- with few rows each: those of the first chunks only, or each row would be a batch.
CREATE TABLE wide (LIKE plain INCLUDING CONSTRAINTS);
SELECT FROM create_hypertable('wide', 'time', chunk_time_interval => interval '1 hour');
ALTER TABLE wide SET (timescaledb.compress, timescaledb.segmentby = 'host');
COPY wide FROM 'columnstore_direct.tsv';
SELECT * FROM parts('wide');
INSERT INTO wide SELECT time, host, n, v, note FROM off ORDER BY md5(n::text);
SELECT * FROM parts('wide');
CREATE TABLE twice AS SELECT * FROM off UNION ALL SELECT * FROM off;
SELECT differences('wide', 'twice');
SELECT n FROM wide WHERE host = 'host_1' AND time >= '2026-01-01 23:00' ORDER BY time, n;

-- A statement that fails leaves nothing behind.
CREATE TABLE c (LIKE plain INCLUDING CONSTRAINTS);
SELECT FROM create_hypertable('c', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE c SET (timescaledb.compress, timescaledb.segmentby = 'host');
INSERT INTO c SELECT time, host, n, v, CASE WHEN n = 99 THEN 'bad' END FROM off;
\echo :LAST_ERROR_SQLSTATE
COPY c FROM STDIN;
2026-01-01 00:00	a	1	\N	good
2026-01-01 07:00	a	2	\N	bad
\.
COPY c FROM STDIN;
2026-01-01 00:00	a	1	\N	good
\N	a	2	\N	good
\.
INSERT INTO c SELECT CASE WHEN n < 99 THEN time END, host, n FROM off;
INSERT INTO c SELECT time, host, 1 / (99 - n) FROM off;
SELECT * FROM parts('c');
SELECT count(*) FROM _timescaledb_config.columnar_chunk p JOIN show_chunks('c') c ON c = p.relid;

-- Rollback, of transactions and to savepoints.
BEGIN;
COPY c FROM 'columnstore_direct.tsv';
SELECT * FROM parts('c');
ROLLBACK;
SELECT * FROM parts('c');
BEGIN;
INSERT INTO c SELECT * FROM off WHERE n < 20;
SAVEPOINT s;
INSERT INTO c SELECT * FROM off WHERE n >= 20;
SELECT * FROM parts('c');
ROLLBACK TO s;
SELECT * FROM parts('c');
INSERT INTO c SELECT * FROM off WHERE n >= 20;
SELECT * FROM parts('c');
COMMIT;
SELECT differences('c', 'off');
-- The chunk is older than the savepoint, its batches are not.
BEGIN;
INSERT INTO c VALUES ('2026-02-01', 'a', 1);
PREPARE total AS SELECT count(*) FROM c WHERE time >= '2026-02-01';
EXECUTE total;
SAVEPOINT s;
INSERT INTO c SELECT '2026-02-01'::timestamptz + i * interval '1 s', 'a', i FROM generate_series(1, 30) i;
EXECUTE total;
SELECT * FROM parts('c');
ROLLBACK TO s;
EXECUTE total;
INSERT INTO c SELECT '2026-02-01'::timestamptz + i * interval '1 s', 'a', i FROM generate_series(1, 40) i;
EXECUTE total;
SELECT * FROM parts('c');
COMMIT;
EXECUTE total;
DEALLOCATE total;
-- What a statement inserts it does not see.
INSERT INTO c SELECT time + interval '1 year', host, n FROM c WHERE time < '2026-01-02';
SELECT * FROM parts('c');
-- A cursor does not see what came after it.
BEGIN;
DECLARE before CURSOR FOR SELECT count(*) FROM c;
INSERT INTO c SELECT * FROM off;
FETCH before;
SELECT count(*) FROM c;
ROLLBACK;

-- INSERT in other statements.
WITH moved AS (INSERT INTO c SELECT '2028-01-01', 'cte', n FROM off) SELECT 1;
SELECT * FROM parts('c');
CREATE FUNCTION load(day timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE loaded bigint;
BEGIN
    INSERT INTO c SELECT day + n * interval '1 s', 'plpgsql', n FROM off;
    GET DIAGNOSTICS loaded = ROW_COUNT;
    RETURN loaded;
END $$;
SELECT load('2028-02-01'), load('2028-02-02');
PREPARE load_more AS INSERT INTO c SELECT $1::timestamptz + n * interval '1 s', 'prepared', n FROM off;
EXECUTE load_more('2028-03-01');
EXECUTE load_more('2028-03-02');
DEALLOCATE load_more;
SELECT host, count(*) FROM c WHERE time >= '2028-01-01' GROUP BY host ORDER BY host;
SELECT * FROM parts('c');

-- Columns that chunks have in other places, or that were added or dropped since.
CREATE TABLE shaped (gone int, host text, time timestamptz NOT NULL, n int);
SELECT FROM create_hypertable('shaped', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE shaped SET (timescaledb.compress, timescaledb.segmentby = 'host');
INSERT INTO shaped SELECT n, host, time, n FROM off WHERE n < 40;
SELECT * FROM parts('shaped');
ALTER TABLE shaped DROP COLUMN gone, ADD COLUMN v float8 DEFAULT 7, ADD COLUMN note text;
INSERT INTO shaped (time, host, n, v, note) SELECT * FROM off WHERE n >= 30;
SELECT * FROM parts('shaped');
SELECT count(*), count(DISTINCT n), sum(n), sum(v), count(note), count(v) FILTER (WHERE v = 7) FROM shaped;

-- What needs single rows takes the usual way: unique keys
CREATE TABLE u (LIKE plain, UNIQUE (time, n));
SELECT FROM create_hypertable('u', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE u SET (timescaledb.compress, timescaledb.segmentby = 'host');
COPY u FROM 'columnstore_direct.tsv';
SELECT * FROM parts('u');
SELECT count(compress_chunk(c)) FROM show_chunks('u') c;
COPY u FROM 'columnstore_direct.tsv';
INSERT INTO u SELECT * FROM off ON CONFLICT DO NOTHING;
SELECT seen FROM parts('u');
-- triggers of all kinds,
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.note := 'touched';
    RETURN NEW;
END $$;
CREATE TABLE log (what text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log VALUES (TG_WHEN || ' ' || TG_LEVEL);
    RETURN NULL;
END $$;
CREATE FUNCTION count_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log SELECT 'new rows: ' || count(*) FROM fresh;
    RETURN NULL;
END $$;
CREATE TABLE t (LIKE plain);
SELECT FROM create_hypertable('t', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE t SET (timescaledb.compress, timescaledb.segmentby = 'host');
CREATE TRIGGER touch BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO t SELECT * FROM off;
COPY t FROM 'columnstore_direct.tsv';
SELECT * FROM parts('t');
SELECT count(*) FROM t WHERE note = 'touched';
DROP TRIGGER touch ON t;
TRUNCATE t;
CREATE TRIGGER tell AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION tell();
INSERT INTO t SELECT * FROM off WHERE n < 10;
COPY t FROM 'columnstore_direct.tsv';
SELECT * FROM parts('t');
SELECT what, count(*) FROM log GROUP BY what;
DROP TRIGGER tell ON t;
TRUNCATE t, log;
CREATE TRIGGER count_new AFTER INSERT ON t REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION count_new();
INSERT INTO t SELECT * FROM off;
COPY t FROM 'columnstore_direct.tsv';
SELECT * FROM parts('t');
SELECT * FROM log;
DROP TRIGGER count_new ON t;
TRUNCATE t, log;
-- but for those that see no row.
CREATE TRIGGER tell_before BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_after AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION tell();
SELECT count(*) FROM drop_chunks('t', older_than => '2030-01-01'::timestamptz);
INSERT INTO t SELECT * FROM off;
COPY t FROM 'columnstore_direct.tsv';
SELECT * FROM parts('t');
SELECT what, count(*) FROM log GROUP BY what ORDER BY what;
-- Foreign keys,
CREATE TABLE hosts (host text PRIMARY KEY);
INSERT INTO hosts VALUES ('host_0'), ('host_1');
CREATE TABLE f (LIKE plain, FOREIGN KEY (host) REFERENCES hosts);
SELECT FROM create_hypertable('f', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE f SET (timescaledb.compress, timescaledb.segmentby = 'host');
INSERT INTO f SELECT * FROM off;
INSERT INTO f SELECT * FROM off WHERE host <> 'host_2';
SELECT * FROM parts('f');
-- generated columns,
CREATE TABLE g (time timestamptz NOT NULL, host text, n int, twice int GENERATED ALWAYS AS (n * 2) STORED);
SELECT FROM create_hypertable('g', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE g SET (timescaledb.compress, timescaledb.segmentby = 'host');
INSERT INTO g (time, host, n) SELECT time, host, n FROM off;
SELECT * FROM parts('g');
SELECT count(*) FROM g WHERE twice = n * 2;
-- identity and defaults are in the row before it gets there,
CREATE TABLE i (time timestamptz NOT NULL, id int GENERATED ALWAYS AS IDENTITY, n int DEFAULT 7, at timestamptz DEFAULT now());
SELECT FROM create_hypertable('i', 'time', chunk_time_interval => interval '6 hours');
ALTER TABLE i SET (timescaledb.compress, timescaledb.segmentby = '');
INSERT INTO i (time) SELECT time FROM off;
SELECT * FROM parts('i');
SELECT count(DISTINCT id), sum(n), count(at) FROM i;
-- RETURNING,
CREATE TABLE r (LIKE plain);
SELECT FROM create_hypertable('r', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE r SET (timescaledb.compress, timescaledb.segmentby = 'host');
WITH x AS (INSERT INTO r SELECT * FROM off RETURNING *) SELECT count(*), sum(n) FROM x;
SELECT * FROM parts('r');
-- ON CONFLICT,
CREATE TABLE o (LIKE plain);
SELECT FROM create_hypertable('o', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE o SET (timescaledb.compress, timescaledb.segmentby = 'host');
INSERT INTO o SELECT * FROM off ON CONFLICT DO NOTHING;
SELECT * FROM parts('o');
-- row security,
CREATE ROLE regress_direct;
CREATE TABLE s (LIKE plain);
SELECT FROM create_hypertable('s', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE s SET (timescaledb.compress, timescaledb.segmentby = 'host');
ALTER TABLE s ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON s USING (host = 'host_1') WITH CHECK (host = 'host_1');
GRANT ALL ON s TO regress_direct;
GRANT SELECT ON off TO regress_direct;
SET ROLE regress_direct;
INSERT INTO s SELECT * FROM off;
INSERT INTO s SELECT * FROM off WHERE host = 'host_1';
SELECT count(*) FROM s;
RESET ROLE;
SELECT * FROM parts('s');
-- views with a check,
CREATE VIEW checked AS SELECT * FROM r WHERE n < 50 WITH CHECK OPTION;
INSERT INTO checked SELECT * FROM off;
INSERT INTO checked SELECT * FROM off WHERE n < 50;
SELECT * FROM parts('r');
-- and what is published.
CREATE TABLE p (LIKE plain);
SELECT FROM create_hypertable('p', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE p SET (timescaledb.compress, timescaledb.segmentby = 'host');
CREATE PUBLICATION regress_direct FOR TABLE p WITH (publish_via_partition_root = true);
INSERT INTO p SELECT * FROM off;
SELECT * FROM parts('p');
DROP PUBLICATION regress_direct;
INSERT INTO p SELECT time + interval '1 day', host, n FROM off;
SELECT * FROM parts('p');

DROP OWNED BY regress_direct;
DROP ROLE regress_direct;

-- By the table's option, whatever the settings; the planner learns of new chunks, which autovacuum leaves alone.
RESET timescaledb.enable_direct_compress_copy;
RESET timescaledb.enable_direct_compress_insert;
CREATE TABLE opt (time timestamptz NOT NULL, host text, n int, v float8, note text) WITH (tsdb.hypertable, tsdb.partition_column = 'time', tsdb.chunk_interval = '6 hours', tsdb.segmentby = 'host', tsdb.direct_compress);
SELECT direct_compress FROM _timescaledb_config.columnstore WHERE hypertable_id = (SELECT id FROM _timescaledb_config.hypertable WHERE relid = 'opt'::regclass);
COPY opt FROM 'columnstore_direct.tsv';
SELECT * FROM parts('opt');
SELECT attname, n_distinct FROM pg_stats WHERE tablename = (SELECT relname FROM show_chunks('opt') c JOIN pg_class k ON k.oid = c LIMIT 1) AND attname IN ('host', 'note') ORDER BY 1;
SELECT DISTINCT reloptions FROM pg_class WHERE oid IN (SELECT show_chunks('opt'));
INSERT INTO opt SELECT time + interval '3 days', host, n, v, note FROM opt;
SELECT * FROM parts('opt');
-- A row of its own takes the usual way.
INSERT INTO opt VALUES ('2026-01-01', 'host_0', -1);
SELECT * FROM parts('opt');
ALTER TABLE opt RESET (timescaledb.direct_compress);
INSERT INTO opt SELECT time + interval '6 days', host, n, v, note FROM opt;
SELECT * FROM parts('opt');
ALTER TABLE opt SET (timescaledb.direct_compress = true);
ALTER TABLE opt SET (timescaledb.direct_compress = 'off');
ALTER TABLE opt SET (timescaledb.direct_compress = 2);
COPY opt FROM 'columnstore_direct.tsv';
SELECT * FROM parts('opt');
DROP TABLE opt;
COPY (SELECT) TO PROGRAM 'rm columnstore_direct.tsv';
