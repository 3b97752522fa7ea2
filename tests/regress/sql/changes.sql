-- Which times transactions change, as the log of continuous aggregates has them.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
\pset tuples_only on
\pset format unaligned

CREATE TABLE m (time int NOT NULL, device int NOT NULL, v int, UNIQUE (time, device));
SELECT create_hypertable('m', by_range('time', 100)) IS NOT NULL;
INSERT INTO m SELECT t, d, t FROM generate_series(0, 499, 5) t, generate_series(1, 2) d;
SELECT show_chunks('m') AS c0 LIMIT 1 \gset
PREPARE early_insert AS INSERT INTO m VALUES ($1, 9, 0);
PREPARE early_update AS UPDATE m SET v = 0 WHERE time = $1;
PREPARE early_delete AS DELETE FROM m WHERE device = 9;
PREPARE early_chunk AS UPDATE :c0 SET v = 0 WHERE time = $1;
EXECUTE early_update(0);
EXECUTE early_chunk(0);

-- A continuous aggregate as the catalog knows it, with buckets of 10.
CREATE TABLE storage (bucket int NOT NULL, n int);
SELECT create_hypertable('storage', by_range('bucket', 1000)) IS NOT NULL;
CREATE VIEW the_view AS SELECT 1 AS x;
CREATE VIEW the_partial_view AS SELECT 1 AS x;
CREATE VIEW the_direct_view AS SELECT 1 AS x;
INSERT INTO _timescaledb_config.continuous_agg VALUES (1000, 'storage', 'm', 'the_view', 'the_partial_view', 'the_direct_view', true, 10);
INSERT INTO _timescaledb_config.continuous_agg_range VALUES ('storage', 'm', -9223372036854775808, 9223372036854775807);

-- What has been logged since the last call, in order; and no session relies on it any more.
CREATE FUNCTION taken() RETURNS text LANGUAGE sql AS $$
    UPDATE _timescaledb_config.continuous_agg_range SET low = low;
    WITH gone AS (DELETE FROM _timescaledb_config.hypertable_change RETURNING *)
    SELECT coalesce(string_agg(CASE low WHEN -9223372036854775808 THEN '(' ELSE '[' || low END || ', '
        || CASE high WHEN 9223372036854775807 THEN ')' ELSE high || ']' END, ' ' ORDER BY low), 'nothing') FROM gone
$$;
CREATE FUNCTION kept() RETURNS text LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM _timescaledb_config.continuous_agg_range WHERE kind <> 'm' RETURNING *)
    SELECT coalesce(string_agg(kind::text || ' [' || low || ', ' || high || ']', ' ' ORDER BY low), 'nothing') FROM gone
$$;
SELECT taken();

\echo === plans made before
EXECUTE early_insert(7);
SELECT taken();
EXECUTE early_update(105);
SELECT taken();
EXECUTE early_delete;
SELECT taken();
EXECUTE early_chunk(15);
SELECT taken();

\echo === insert
INSERT INTO m VALUES (3, 3, 0);
SELECT taken();
INSERT INTO m VALUES (3, 4, 0), (12, 4, 0), (19, 4, 0), (205, 4, 0), (41, 4, 0);
SELECT taken();
INSERT INTO m VALUES (1234, 1, 0), (-7, 1, 0);
SELECT taken();
INSERT INTO m SELECT 5, 5, 5 WHERE false;
SELECT taken();
WITH new AS (INSERT INTO m VALUES (77, 3, 0) RETURNING time) SELECT * FROM new;
SELECT taken();
COPY m FROM stdin (FORMAT csv);
33,6,1
433,6,1
\.
SELECT taken();
SET timescaledb.enable_optimizations = off;
INSERT INTO m VALUES (63, 3, 0);
UPDATE m SET v = 1 WHERE time = 105;
SELECT taken();
RESET timescaledb.enable_optimizations;

\echo === rollback
BEGIN;
INSERT INTO m VALUES (3, 100, 0);
ROLLBACK;
SELECT taken();
BEGIN;
INSERT INTO m VALUES (13, 100, 0);
SAVEPOINT s;
INSERT INTO m VALUES (103, 100, 0);
ROLLBACK TO s;
INSERT INTO m VALUES (203, 100, 0);
COMMIT;
SELECT taken();
BEGIN;
SAVEPOINT s;
INSERT INTO m VALUES (103, 100, 0);
ROLLBACK TO s;
COMMIT;
SELECT taken();

\echo === conflicts
INSERT INTO m VALUES (5, 1, 0) ON CONFLICT DO NOTHING;
SELECT taken();
INSERT INTO m VALUES (5, 1, 0) ON CONFLICT (time, device) DO UPDATE SET v = 8;
SELECT taken();
INSERT INTO m VALUES (5, 1, 0) ON CONFLICT (time, device) DO UPDATE SET time = m.time + 61;
SELECT taken();

\echo === update
UPDATE m SET v = v + 1 WHERE time BETWEEN 120 AND 130;
SELECT taken();
UPDATE m SET time = time + 201, v = -2 WHERE time = 125 AND device = 1;
SELECT taken();
UPDATE m SET time = 300 + device WHERE time = 135;
SELECT taken();
UPDATE m SET v = 0 WHERE false;
UPDATE m SET v = 0 WHERE time = 126 AND device = 77;
SELECT taken();
CREATE TABLE dim (device int PRIMARY KEY, factor int);
INSERT INTO dim VALUES (1, 10), (2, 20);
UPDATE m SET v = v * factor FROM dim WHERE dim.device = m.device AND dim.factor = 10 AND time IN (140, 240);
SELECT taken();
WITH changed AS (UPDATE m SET v = 1 WHERE time = 145 RETURNING v) DELETE FROM m USING changed WHERE time = 245;
SELECT taken();
UPDATE m SET (v, time) = (SELECT 1, 399) WHERE time = 150 AND device = 1;
SELECT taken();
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM m WHERE time + 0 = 160 FOR UPDATE;
FETCH 1 FROM c;
UPDATE m SET v = 9 WHERE CURRENT OF c;
COMMIT;
SELECT taken();
CREATE VIEW over AS SELECT time AS t, v AS w FROM m;
UPDATE over SET w = 1 WHERE t = 165;
DELETE FROM over WHERE t = 265;
SELECT taken();

\echo === delete
DELETE FROM m WHERE time IN (170, 270);
SELECT taken();
DELETE FROM m USING dim WHERE dim.device = m.device AND factor = 20 AND time = 175;
SELECT taken();
ALTER TABLE m ADD COLUMN ref int REFERENCES dim ON DELETE CASCADE ON UPDATE CASCADE;
INSERT INTO dim VALUES (100, 0), (101, 0);
INSERT INTO m VALUES (180, 9, 0, 100), (380, 9, 0, 101);
SELECT taken();
UPDATE dim SET device = 102 WHERE device = 101;
SELECT taken();
DELETE FROM dim WHERE device = 100;
SELECT taken();
ALTER TABLE m DROP COLUMN ref;

\echo === merge
MERGE INTO m USING (VALUES (185, 1, 5), (1501, 1, 5)) AS s (time, device, v) ON m.time = s.time AND m.device = s.device
    WHEN MATCHED THEN UPDATE SET v = s.v
    WHEN NOT MATCHED THEN INSERT VALUES (s.time, s.device, s.v);
SELECT taken();
MERGE INTO m USING (VALUES (190, 1), (195, 1)) AS s (time, device) ON m.time = s.time AND m.device = s.device
    WHEN MATCHED AND s.time = 190 THEN DELETE
    WHEN MATCHED THEN UPDATE SET time = 395, device = 50;
SELECT taken();

\echo === chunks by themselves
SELECT show_chunks('m', newer_than => 200, older_than => 300) AS c2 \gset
INSERT INTO :c2 VALUES (203, 7, 0), (288, 7, 0);
SELECT taken();
UPDATE :c2 SET v = 1 WHERE time = 203;
SELECT taken();
UPDATE :c2 SET time = 204 WHERE time = 288 AND device = 7;
SELECT taken();
DELETE FROM :c2 WHERE device = 7;
SELECT taken();
COPY :c2 FROM stdin (FORMAT csv);
203,7,1
\.
SELECT taken();
INSERT INTO :c2 VALUES (203, 7, 0) ON CONFLICT (time, device) DO UPDATE SET time = 299;
SELECT taken();
MERGE INTO :c2 m USING (VALUES (200)) AS s (time) ON m.time = s.time WHEN MATCHED THEN UPDATE SET time = 201;
SELECT taken();

\echo === triggers
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.time := NEW.time + 50; RETURN NEW; END $$;
CREATE TRIGGER later BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION later();
INSERT INTO m VALUES (210, 8, 0);
SELECT taken();
COPY m FROM stdin (FORMAT csv);
310,8,1
\.
SELECT taken();
INSERT INTO :c2 VALUES (211, 8, 0);
SELECT taken();
DROP TRIGGER later ON m;
CREATE TRIGGER later BEFORE INSERT ON :c2 FOR EACH ROW EXECUTE FUNCTION later();
INSERT INTO m VALUES (212, 8, 0), (320, 8, 0);
SELECT taken();
UPDATE m SET time = 213 WHERE time = 320 AND device = 8;
SELECT taken();
MERGE INTO m USING (VALUES (214, 8, 5)) AS s (time, device, v) ON m.time = s.time AND m.device = s.device
    WHEN NOT MATCHED THEN INSERT VALUES (s.time, s.device, s.v);
SELECT taken();
DROP TRIGGER later ON :c2;
INSERT INTO m VALUES (288, 3, 0);
SELECT taken();
CREATE TRIGGER later BEFORE UPDATE ON m FOR EACH ROW EXECUTE FUNCTION later();
UPDATE m SET v = 0 WHERE time = 215 AND device = 1;
SELECT taken();
UPDATE m SET v = 0 WHERE time = 288 AND device = 3;
SELECT taken();
DROP TRIGGER later ON m;
CREATE FUNCTION inside() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO m VALUES (1000, 1, 1); RETURN NULL; END $$;
CREATE TRIGGER inside AFTER DELETE ON m FOR EACH STATEMENT EXECUTE FUNCTION inside();
DELETE FROM m WHERE time = 280;
SELECT taken();
DROP TRIGGER inside ON m;

\echo === columns
ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'time');
SELECT show_chunks('m', newer_than => 400, older_than => 500) AS c4 \gset
SELECT count(compress_chunk(:'c4'));
SELECT taken();
UPDATE m SET v = 2 WHERE time = 405 AND device = 1;
SELECT taken();
DELETE FROM m WHERE time BETWEEN 400 AND 499 AND device = 2;
SELECT taken();
DELETE FROM m WHERE device = 1 AND time BETWEEN 490 AND 499;
SELECT taken();
INSERT INTO m VALUES (460, 1, 0) ON CONFLICT (time, device) DO UPDATE SET v = 0;
SELECT taken();
SELECT count(decompress_chunk(:'c4'));
SELECT taken();
SET timescaledb.enable_direct_compress_insert = on;
INSERT INTO m SELECT t, 20, 0 FROM generate_series(600, 699) t;
RESET timescaledb.enable_direct_compress_insert;
SELECT taken();

\echo === tables that come and go
TRUNCATE :c2;
SELECT taken();
SELECT count(*) FROM drop_chunks('m', older_than => 100);
SELECT taken();
SELECT kept();
SELECT show_chunks('m', newer_than => 100, older_than => 200) AS c1 \gset
CALL detach_chunk(:'c1');
SELECT taken();
SELECT kept();
CALL attach_chunk('m', :'c1', '{"time": [100, 200]}');
SELECT taken();
SELECT kept();
ALTER TABLE m DETACH PARTITION :c1 CONCURRENTLY;
SELECT kept();
ALTER TABLE m ATTACH PARTITION :c1 FOR VALUES FROM (100) TO (200);
SELECT taken();
SELECT show_chunks('m', newer_than => 300, older_than => 400) AS c3 \gset
CALL merge_chunks(:'c2', :'c3');
SELECT taken(), kept();
CALL split_chunk(:'c2', 300);
SELECT taken(), kept();
DROP TABLE :c2;
SELECT taken(), kept();
BEGIN;
DROP TABLE :c1;
ROLLBACK;
SELECT taken(), kept();
INSERT INTO storage VALUES (1, 1), (1500, 1);
SELECT count(*) FROM drop_chunks('storage', older_than => 1000);
SELECT taken(), kept();
TRUNCATE storage;
SELECT taken(), kept();
TRUNCATE m;
SELECT taken(), kept();

\echo === many ranges
INSERT INTO m SELECT t * 1000, 1, 1 FROM generate_series(1, 40) t;
SELECT count(*), min(low), max(high) FROM _timescaledb_config.hypertable_change;
SELECT left(taken(), 20);
INSERT INTO m SELECT t * 40, 2, 1 FROM generate_series(1, 2000) t ORDER BY random();
SELECT count(*), min(low), max(high) FROM _timescaledb_config.hypertable_change;
SELECT count(*) FROM m WHERE device = 2 AND NOT EXISTS (SELECT FROM _timescaledb_config.hypertable_change c WHERE m.time BETWEEN low AND high);
SELECT left(taken(), 1);

\echo === what need not be logged
INSERT INTO m VALUES (5, 100, 0);
INSERT INTO m VALUES (6, 101, 0);
SELECT taken();
INSERT INTO m VALUES (5, 103, 0);
BEGIN;
INSERT INTO m VALUES (6, 103, 0), (15, 103, 0);
ROLLBACK;
INSERT INTO m VALUES (16, 104, 0);
SELECT taken();
UPDATE _timescaledb_config.continuous_agg_range SET low = 100, high = 199;
INSERT INTO m VALUES (5, 104, 0), (300, 104, 0);
SELECT taken();
INSERT INTO m VALUES (5, 105, 0), (195, 104, 0), (300, 105, 0);
SELECT taken();
CREATE TABLE other (time timestamptz NOT NULL);
SELECT create_hypertable('other', by_range('time')) IS NOT NULL;
INSERT INTO other VALUES ('2026-01-01');
SELECT taken();

\echo === prepared transactions
UPDATE _timescaledb_config.continuous_agg_range SET low = 1000, high = 2000;
BEGIN;
INSERT INTO m VALUES (7, 200, 0);
PREPARE TRANSACTION 'changes';
SELECT taken();
COMMIT PREPARED 'changes';
SELECT taken();
BEGIN;
UPDATE _timescaledb_config.continuous_agg_range SET low = 1000, high = 2000;
PREPARE TRANSACTION 'changes';

\echo === infinity, and buckets of a day
CREATE TABLE days (time timestamptz, v int);
SELECT create_hypertable('days', by_range('time', interval '7 days')) IS NOT NULL;
UPDATE _timescaledb_config.continuous_agg SET source = 'days', grain = 86400000000;
UPDATE _timescaledb_config.continuous_agg_range SET low = -9223372036854775808, high = 9223372036854775807;
SET timezone = 'UTC';
INSERT INTO days VALUES ('2026-03-04 05:06:07', 1), ('-infinity', 1), ('infinity', 1), ('1970-01-01', 1);
SELECT taken();
DELETE FROM days WHERE time = 'infinity';
SELECT taken();
