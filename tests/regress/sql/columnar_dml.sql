-- Statements that change or lock rows of compressed chunks do what they do on a plain table.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE TABLE t (time timestamptz NOT NULL, host int NOT NULL, v int, note text, price numeric, twice int GENERATED ALWAYS AS (v * 2) STORED, PRIMARY KEY (host, time));
CREATE TABLE p (LIKE t INCLUDING ALL);
SELECT created FROM create_hypertable('t', 'time', chunk_time_interval => INTERVAL '1 day', create_default_indexes => false);
ALTER TABLE t SET (timescaledb.columnstore, timescaledb.segmentby = 'host', timescaledb.orderby = 'time');
INSERT INTO t (time, host, v, note, price)
    SELECT '2024-01-01'::timestamptz + i * INTERVAL '20 seconds', i % 6, i, CASE WHEN i % 9 > 0 THEN 'note ' || i % 13 END, i / 8.0 FROM generate_series(0, 12959) i;
INSERT INTO p (time, host, v, note, price) SELECT time, host, v, note, price FROM t;
SELECT count(compress_chunk(c)) FROM show_chunks('t') c;
CREATE FUNCTION batches() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    part regclass;
    one bigint;
    n bigint := 0;
BEGIN
    FOR part IN SELECT batches FROM _timescaledb_config.columnar_chunk LOOP
        EXECUTE format('SELECT count(*) FROM %s', part) INTO one;
        n := n + one;
    END LOOP;
    RETURN n;
END $$;
-- Compares what is there once all chunks are decompressed, and takes that back.
CREATE FUNCTION differences() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    PERFORM decompress_chunk(c, true) FROM show_chunks('t') c;
    SELECT count(*) INTO n FROM ((TABLE t EXCEPT ALL TABLE p) UNION ALL (TABLE p EXCEPT ALL TABLE t)) d;
    RAISE EXCEPTION '%', n USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
    RETURN sqlerrm;
END $$;
-- Runs a statement on both tables: how many rows it is about, or how it fails; how many batches it moved.
CREATE FUNCTION run(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    target text;
    outcome text;
    outcomes text[];
    n bigint;
    before bigint := batches();
    rest bigint;
BEGIN
    FOREACH target IN ARRAY ARRAY['t', 'p'] LOOP
        BEGIN
            EXECUTE replace(statement, 'TABLE', target);
            GET DIAGNOSTICS n = ROW_COUNT;
            outcome := n || ' rows';
        EXCEPTION WHEN OTHERS THEN
            outcome := sqlstate;
        END;
        outcomes := outcomes || outcome;
    END LOOP;
    rest := differences();
    RETURN format('%s%s, %s of %s batches gone%s', outcomes[1], CASE WHEN outcomes[1] <> outcomes[2] THEN ' INSTEAD OF ' || outcomes[2] END,
        before - batches(), before, CASE WHEN rest > 0 THEN ', DIFFERENCES: ' || rest END);
END $$;
SELECT batches(), differences();

-- One row costs one batch.
SELECT run($$UPDATE TABLE SET v = -1 WHERE host = 3 AND time = '2024-01-01 00:01:00'$$);
SELECT run($$UPDATE TABLE SET v = -2 WHERE host = 3 AND time = '2024-01-01 00:01:00'$$);
SELECT run($$UPDATE TABLE SET v = v + 1, note = NULL WHERE time < '2024-01-01 00:01:00' AND note = 'note 2'$$);
SELECT run($$DELETE FROM TABLE WHERE v = 12000 AND price > host$$);
SELECT run($$DELETE FROM TABLE WHERE v = 12000 AND price > host$$);
SELECT run($$UPDATE TABLE SET v = 5 WHERE note IS NULL AND v BETWEEN 6000 AND 6010$$);
-- Rows go to another chunk.
SELECT run($$UPDATE TABLE SET time = time + INTERVAL '1 day' WHERE host = 4 AND time = '2024-01-02 00:01:20'$$);
SELECT run($$UPDATE TABLE SET time = time + INTERVAL '10 days' WHERE host = 4 AND time = '2024-01-02 00:03:20'$$);
-- Whole batches go without being moved.
SELECT run($$DELETE FROM TABLE WHERE host = 2$$);
DELETE FROM t WHERE host = 5 AND time < '2024-01-02';
DELETE FROM p WHERE host = 5 AND time < '2024-01-02';
SELECT batches(), differences();
-- Not if somebody may look.
BEGIN;
CREATE TABLE deleted (LIKE p INCLUDING GENERATED);
WITH d AS (DELETE FROM t WHERE host = 1 AND time < '2024-01-02' RETURNING time, host, v, note, price) INSERT INTO deleted SELECT * FROM d;
DELETE FROM p WHERE host = 1 AND time < '2024-01-02';
SELECT count(*), sum(v) FROM deleted;
SELECT batches(), differences();
ROLLBACK;
SELECT batches(), differences();

-- Everything is taken back with its subtransaction.
BEGIN;
SAVEPOINT s;
UPDATE t SET v = 0 WHERE host = 1;
DELETE FROM t WHERE host = 0;
SELECT batches();
ROLLBACK TO s;
SELECT batches(), differences();
ROLLBACK;

-- Joins, subqueries, CTEs.
SELECT run($$UPDATE TABLE SET v = s.v FROM (VALUES (1, '2024-01-03 00:00:20'::timestamptz, 77)) s (h, time, v) WHERE host = s.h AND host < 2 AND TABLE.time = s.time$$);
SELECT run($$DELETE FROM TABLE WHERE host = 0 AND time IN (SELECT time FROM TABLE WHERE host = 0 ORDER BY time LIMIT 3)$$);
SELECT run($$WITH gone AS (DELETE FROM TABLE WHERE host = 1 AND v < 1000 RETURNING *), more AS (UPDATE TABLE SET note = 'more' WHERE host = 1 AND v = 1003 RETURNING v)
    INSERT INTO TABLE (time, host, v) SELECT time, host + 100, v FROM gone UNION ALL SELECT '2024-01-01', 111, v FROM more$$);
SELECT run($$MERGE INTO TABLE USING (VALUES (1, '2024-01-03 00:00:20'::timestamptz, 78), (9, '2024-01-03 00:00:20', 79)) s (h, time, v) ON host = h AND TABLE.time = s.time AND host IN (1, 9)
    WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (time, host, v) VALUES (s.time, h, s.v)$$);

-- What the rest of the statement says of the rows keeps batches where they are.
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
CREATE TABLE s (h int, at timestamptz, x int);
INSERT INTO s VALUES (3, '2024-01-01 00:01:00', 1), (3, '2024-01-01 00:03:00', 2), (NULL, NULL, 3);
ANALYZE s;
SELECT run($$UPDATE TABLE SET v = 100 WHERE host = (SELECT max(h) FROM s) AND time = (SELECT min(at) FROM s)$$);
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
SELECT run($$UPDATE TABLE SET v = x FROM s WHERE host = h AND time = at$$);
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
SET enable_nestloop = off;
SELECT run($$UPDATE TABLE SET v = -x FROM s WHERE host = h AND time = at$$);
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
SET enable_hashjoin = off;
SELECT run($$UPDATE TABLE SET v = 2 * x FROM s WHERE host = h AND time = at$$);
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
SELECT run($$DELETE FROM TABLE WHERE time IN (SELECT at FROM s WHERE x = 2) AND host = 3$$);
RESET enable_nestloop; RESET enable_hashjoin;
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
SELECT run($$MERGE INTO TABLE USING s ON host = h AND time = at WHEN MATCHED THEN UPDATE SET v = 3 * x WHEN NOT MATCHED AND x < 3 THEN INSERT (time, host, v) VALUES (at, h, x)$$);
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
-- These must not rely on it.
SELECT run($$DELETE FROM TABLE WHERE NOT EXISTS (SELECT FROM s WHERE h = host OR host <> 2) AND time < '2024-01-01 00:10'$$);
SELECT run($$UPDATE TABLE SET note = 'not' WHERE host NOT IN (SELECT h FROM s WHERE h IS NOT NULL) AND time < '2024-01-01 00:02'$$);
SELECT run($$UPDATE TABLE SET note = 'left' FROM (SELECT h FROM s LIMIT 1) l WHERE host = h AND time < '2024-01-01 00:02'$$);
SELECT run($$UPDATE TABLE SET note = 'two' WHERE time < '2024-01-01 00:02' AND host = (SELECT h FROM s WHERE h IS NOT NULL)$$);
DROP TABLE s;
-- By ctid.
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
SELECT batches();
SELECT ctid AS one FROM t WHERE host = 3 AND time = '2024-01-01 00:05:00' \gset
SELECT ctid AS two FROM t WHERE host = 3 AND time = '2024-01-01 00:07:00' \gset
UPDATE t SET note = 'ctid' WHERE ctid = :'one' AND time < '2024-01-02' RETURNING host, time;
UPDATE p SET note = 'ctid' WHERE host = 3 AND time = '2024-01-01 00:05:00';
SELECT batches();
DELETE FROM t WHERE ctid = ANY (ARRAY[:'two', '(70000,7)']::tid[]) AND time < '2024-01-02';
SELECT ctid AS two FROM t WHERE host = 3 AND time = '2024-01-01 00:07:00' \gset
DELETE FROM t WHERE ctid = :'two' AND time < '2024-01-02' RETURNING host, time;
DELETE FROM p WHERE host = 3 AND time = '2024-01-01 00:07:00';
SELECT batches(), differences();
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE host = 0 ORDER BY time;
FETCH 1 FROM c;
DELETE FROM t WHERE CURRENT OF c;
ROLLBACK;
-- The same on a row of the row part: not passed over in silence.
BEGIN;
INSERT INTO t (time, host, v) VALUES ('2024-01-01 00:00:07', 77, 0);
DECLARE c CURSOR FOR SELECT * FROM t WHERE host = 77 AND time < '2024-01-02';
FETCH 1 FROM c;
DELETE FROM t WHERE CURRENT OF c;
ROLLBACK;

-- Keys.
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
SELECT batches(), differences();
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-03 00:00:20', 1, 0)$$);
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-03 00:00:21', 1, 0)$$);
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-03 00:00:40', 1, 0) ON CONFLICT DO NOTHING$$);
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-02 00:01:20', 4, -4), ('2024-01-02 00:07:20', 4, -4) ON CONFLICT (host, time) DO UPDATE SET v = excluded.v - TABLE.v$$);
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-02 00:05:20', 4, -4), ('2024-01-02 00:05:20', 4, -4) ON CONFLICT (host, time) DO UPDATE SET v = 0$$);
SELECT run($$INSERT INTO TABLE (time, host, v) SELECT time, 4, v FROM p WHERE host = 3 AND v > 10000 ON CONFLICT (host, time) DO UPDATE SET note = excluded.v$$);
SELECT run($$UPDATE TABLE SET host = 3 WHERE host = 4 AND time = '2024-01-02 00:07:20'$$);
SELECT run($$UPDATE TABLE SET host = 3, time = '2024-01-02 00:07:00' WHERE host = 4 AND time = '2024-01-02 00:07:20'$$);
SELECT run($$UPDATE TABLE SET time = time + INTERVAL '2 minutes' WHERE host = 3 AND time = '2024-01-01 00:01:00'$$);
COPY t (time, host, v) FROM stdin;
2024-01-01 00:00:01+00	3	1
2024-01-01 00:03:00+00	3	1
\.
COPY t (time, host, v) FROM stdin;
2024-01-01 00:00:01+00	3	1
\.
COPY p (time, host, v) FROM stdin;
2024-01-01 00:00:01+00	3	1
\.
SELECT batches(), differences();
-- Partial, expression and NULLS NOT DISTINCT indexes, and one on a generated column; only on the chunk.
SELECT compress_chunk(c) IS NOT NULL FROM show_chunks('t') c LIMIT 3;
BEGIN;
SELECT show_chunks('t') AS chunk LIMIT 1 \gset
SELECT decompress_chunk(:'chunk') IS NOT NULL;
CREATE UNIQUE INDEX ON :chunk (abs(v)) WHERE v > 1100;
CREATE UNIQUE INDEX ON p (abs(v)) WHERE v > 1100 AND time < '2024-01-02';
CREATE UNIQUE INDEX ON :chunk (twice, (v IS NULL), host) NULLS NOT DISTINCT;
CREATE UNIQUE INDEX ON p (twice, (v IS NULL), host) NULLS NOT DISTINCT WHERE time < '2024-01-02';
SELECT compress_chunk(:'chunk') IS NOT NULL;
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-01 00:00:03', 3, 2001)$$);
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-01 00:00:03', 3, -2001)$$);
SELECT run($$INSERT INTO TABLE (time, host, v) VALUES ('2024-01-01 00:00:04', 3, 15)$$);
SELECT run($$INSERT INTO TABLE (time, host) VALUES ('2024-01-01 00:00:05', 3)$$);
SELECT run($$INSERT INTO TABLE (time, host) VALUES ('2024-01-01 00:00:06', 3)$$);
SELECT compress_chunk(:'chunk') IS NOT NULL;
SELECT run($$INSERT INTO TABLE (time, host) VALUES ('2024-01-01 00:00:07', 3)$$);
SELECT run($$UPDATE TABLE SET v = 1203 WHERE v = 1209$$);
SELECT run($$UPDATE TABLE SET v = NULL WHERE v = 1209$$);
ROLLBACK;

-- Locks.
BEGIN;
SELECT v FROM t WHERE host = 1 AND time = '2024-01-03 00:00:20' FOR UPDATE;
SELECT v FROM t WHERE host = 1 AND time = '2024-01-03 00:00:20' FOR KEY SHARE;
DECLARE c CURSOR FOR SELECT v FROM t WHERE host = 4 AND v > 12900 ORDER BY time FOR UPDATE;
FETCH 2 FROM c;
UPDATE t SET v = -5 WHERE CURRENT OF c;
SELECT v FROM ONLY t WHERE host = 4 FOR UPDATE;
SELECT count(*) FROM (SELECT 1 FROM t WHERE host = 4 AND v = -5 FOR UPDATE) l;
ROLLBACK;
BEGIN READ ONLY;
SELECT v FROM t WHERE host = 1 FOR UPDATE;
ROLLBACK;
BEGIN READ ONLY;
DELETE FROM t WHERE host = 1;
ROLLBACK;
SELECT differences();

-- Triggers, rules of sight, and the chunk by its own name.
CREATE TABLE log (op text, old int, new int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (tg_when || ' ' || tg_op, old.v, new.v); RETURN coalesce(new, old); END$$;
CREATE TRIGGER before BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER after AFTER UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
SELECT run($$DELETE FROM TABLE WHERE host = 1 AND v BETWEEN 10000 AND 10005$$);
SELECT run($$UPDATE TABLE SET v = 0 WHERE host = 3 AND v = 9999$$);
TABLE log;
DROP TRIGGER before ON t; DROP TRIGGER after ON t;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$BEGIN RAISE WARNING '%', $1; RETURN true; END$$;
CREATE ROLE columnar_dml_reader;
GRANT SELECT, UPDATE ON t TO columnar_dml_reader;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON t USING (v = 9991) WITH CHECK (true);
SET ROLE columnar_dml_reader;
UPDATE t SET note = 'seen' WHERE leak(note) AND host = 1;
DELETE FROM t WHERE leak(note);
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
DROP POLICY seen ON t;
UPDATE p SET note = 'seen' WHERE host = 1 AND v = 9991;
SELECT differences();
REVOKE UPDATE ON t FROM columnar_dml_reader;
SET ROLE columnar_dml_reader;
UPDATE t SET note = 'seen' WHERE leak(note) AND host = 1;
RESET ROLE;
DROP OWNED BY columnar_dml_reader; DROP ROLE columnar_dml_reader;
SELECT show_chunks('t') AS chunk OFFSET 1 LIMIT 1 \gset
UPDATE :chunk SET v = -9 WHERE host = 0 AND time = '2024-01-02 00:04:00';
DELETE FROM ONLY :chunk WHERE host = 0 AND time = '2024-01-02 00:06:00';
UPDATE p SET v = -9 WHERE host = 0 AND time = '2024-01-02 00:04:00';
DELETE FROM p WHERE host = 0 AND time = '2024-01-02 00:06:00';
SELECT differences();

-- Foreign keys, both ways.
CREATE TABLE hosts (host int PRIMARY KEY);
INSERT INTO hosts SELECT DISTINCT host FROM p;
ALTER TABLE p ADD FOREIGN KEY (host) REFERENCES hosts ON DELETE CASCADE ON UPDATE CASCADE;
SELECT count(decompress_chunk(c, true)) FROM show_chunks('t') c;
ALTER TABLE t ADD FOREIGN KEY (host) REFERENCES hosts ON DELETE CASCADE ON UPDATE CASCADE;
CREATE TABLE alarms_t (host int, time timestamptz, FOREIGN KEY (host, time) REFERENCES t ON DELETE CASCADE);
CREATE TABLE alarms_p (host int, time timestamptz, FOREIGN KEY (host, time) REFERENCES p ON DELETE CASCADE);
SELECT count(compress_chunk(c)) FROM show_chunks('t') c;
SELECT run($$INSERT INTO alarms_TABLE VALUES (1, '2024-01-03 00:02:20')$$), run($$INSERT INTO alarms_TABLE VALUES (1, '2024-01-03 00:02:21')$$);
SELECT count(compress_chunk(c)) FROM show_chunks('t') c;
SELECT run($$INSERT INTO TABLE (time, host) VALUES ('2024-01-03 00:00:22', 77)$$);
SELECT run($$DELETE FROM TABLE WHERE host = 1 AND time = '2024-01-03 00:02:20'$$);
SELECT (SELECT count(*) FROM alarms_t), (SELECT count(*) FROM alarms_p);
UPDATE hosts SET host = 33 WHERE host = 3;
DELETE FROM hosts WHERE host = 4;
SELECT batches(), differences();

-- Prepared statements, EXPLAIN ANALYZE, functions.
PREPARE change(int, timestamptz) AS UPDATE t SET v = v + 1 WHERE host = $1 AND time = $2;
SET plan_cache_mode = force_generic_plan;
EXECUTE change(0, '2024-01-03 00:02:00'); EXECUTE change(0, '2024-01-03 00:02:00');
RESET plan_cache_mode;
EXPLAIN DELETE FROM t WHERE host = 0 \g /dev/null
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) UPDATE t SET v = v + 1 WHERE host = 0 AND time = '2024-01-03 00:02:00';
UPDATE p SET v = v + 3 WHERE host = 0 AND time = '2024-01-03 00:02:00';
SELECT differences();
CREATE FUNCTION erase(h int) RETURNS SETOF int LANGUAGE sql AS $$DELETE FROM t WHERE host = h AND v % 50 = 0 RETURNING v$$;
SELECT count(*) FROM erase(0);
DELETE FROM p WHERE host = 0 AND v % 50 = 0;
SELECT differences();
-- A cursor that was opened before goes on to see what it saw.
BEGIN;
DECLARE old CURSOR FOR SELECT count(*), sum(v) FROM t WHERE host = 33;
UPDATE t SET v = 0 WHERE host = 33;
FETCH old;
SELECT count(*), sum(v) FROM p WHERE host = 33;
ROLLBACK;
SELECT differences();
DELETE FROM t; DELETE FROM p;
SELECT batches(), differences();
