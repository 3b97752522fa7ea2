-- merge_chunks and split_chunk: no row is lost or changed, and what hangs on the chunks goes on working.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
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

CREATE TABLE ref (dev int PRIMARY KEY);
INSERT INTO ref SELECT generate_series(0, 9);
CREATE TABLE m (gone int, time timestamptz NOT NULL, dev int REFERENCES ref, v float, note text, PRIMARY KEY (time, dev), CHECK (v >= 0));
SELECT created FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
INSERT INTO m (time, dev, v) SELECT t, 0, 0 FROM generate_series('2024-01-01'::timestamptz, '2024-01-01 23:00', '1 hour') t;
-- The later chunks have other columns than the first, physically.
ALTER TABLE m DROP COLUMN gone;
ALTER TABLE m ADD COLUMN late int DEFAULT 7;
INSERT INTO m (time, dev, v, note)
    SELECT t, d, d, CASE WHEN d = 1 THEN (SELECT string_agg(md5(n::text || t), '') FROM generate_series(1, 400) n) END
    FROM generate_series('2024-01-02'::timestamptz, '2024-01-05 23:00', '1 hour') t, generate_series(1, 3) d;
UPDATE m SET v = v + 1 WHERE dev = 2;
DELETE FROM m WHERE dev = 3 AND extract(hour FROM time) > 12;
CREATE TABLE child (time timestamptz, dev int, FOREIGN KEY (time, dev) REFERENCES m);
INSERT INTO child VALUES ('2024-01-02 05:00', 1), ('2024-01-03 05:00', 2);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '% in %', TG_NAME, TG_TABLE_NAME; RETURN NEW; END$$;
CREATE TRIGGER told BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION tell();
ALTER TABLE _timescaledb_internal._hyper_1_2_chunk SET (fillfactor = 70);
GRANT SELECT ON _timescaledb_internal._hyper_1_2_chunk TO PUBLIC;
COMMENT ON TABLE _timescaledb_internal._hyper_1_2_chunk IS 'kept';
CREATE TABLE before AS SELECT * FROM m;
CREATE VIEW difference AS SELECT count(*) FROM ((TABLE m EXCEPT ALL TABLE before) UNION ALL (TABLE before EXCEPT ALL TABLE m)) d;
CREATE VIEW chunks AS SELECT chunk_name, range_start, range_end FROM timescaledb_information.chunks
    WHERE hypertable_name = 'm' ORDER BY range_start;
TABLE chunks;

CALL merge_chunks('_timescaledb_internal._hyper_1_2_chunk', '_timescaledb_internal._hyper_1_3_chunk');
TABLE chunks;
TABLE difference;
SELECT tableoid::regclass, count(*) FROM m GROUP BY 1 ORDER BY 1;
\d _timescaledb_internal._hyper_1_2_chunk
SELECT reloptions, relacl IS NOT NULL AS granted, obj_description(oid) FROM pg_class WHERE relname = '_hyper_1_2_chunk';
SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confrelid::regclass::text ~ '_hyper_1_(2|3)_';
-- Foreign keys both ways, uniqueness, checks and triggers hold for moved rows and new ones.
SELECT err($$DELETE FROM m WHERE time = '2024-01-03 05:00' AND dev = 2$$);
SELECT err($$INSERT INTO m (time, dev, v) VALUES ('2024-01-03 05:00', 2, 0)$$);
SELECT err($$INSERT INTO m (time, dev, v) VALUES ('2024-01-03 05:01', 99, 0)$$);
SELECT err($$INSERT INTO m (time, dev, v) VALUES ('2024-01-03 05:01', 4, -1)$$);
SELECT err($$INSERT INTO child VALUES ('2024-01-03 06:00', 9)$$);
INSERT INTO child VALUES ('2024-01-03 06:00', 2);
-- By the index as well.
SET enable_seqscan = off;
SELECT tableoid::regclass, v, length(note) FROM m WHERE time = '2024-01-03 06:00' AND dev = 1;
RESET enable_seqscan;

-- Chunks whose columns lie in another order; named in any order.
CALL merge_chunks(ARRAY['_timescaledb_internal._hyper_1_2_chunk', '_timescaledb_internal._hyper_1_4_chunk', '_timescaledb_internal._hyper_1_1_chunk']::regclass[]);
TABLE chunks;
TABLE difference;

-- In the middle, and at a point.
CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk');
TABLE chunks;
TABLE difference;
CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk', '2024-01-01 05:30');
CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk', timestamptz '2024-01-01 04:00');
TABLE chunks;
TABLE difference;
SELECT tableoid::regclass, count(*) FROM m GROUP BY 1 ORDER BY 1;
\d _timescaledb_internal._hyper_1_6_chunk
SELECT reloptions FROM pg_class WHERE relname = '_hyper_1_6_chunk';
SELECT err($$DELETE FROM m WHERE time = '2024-01-03 05:00' AND dev = 2$$);
SELECT err($$INSERT INTO m (time, dev, v) VALUES ('2024-01-03 05:00', 2, 0)$$);
SELECT err($$INSERT INTO m (time, dev, v) VALUES ('2024-01-03 05:01', 99, 0)$$);
INSERT INTO m (time, dev, v) VALUES ('2024-01-01 05:29:59.999999', 5, 0), ('2024-01-01 05:30', 5, 0) RETURNING tableoid::regclass, time;
DELETE FROM m WHERE dev = 5;

-- An error or a rollback leaves everything as it was.
BEGIN;
CALL merge_chunks('_timescaledb_internal._hyper_1_2_chunk', '_timescaledb_internal._hyper_1_8_chunk');
CALL split_chunk('_timescaledb_internal._hyper_1_5_chunk');
INSERT INTO m (time, dev, v) VALUES ('2024-01-01 05:30', 5, 0);
ROLLBACK;
TABLE chunks;
TABLE difference;
BEGIN;
CALL split_chunk('_timescaledb_internal._hyper_1_5_chunk');
SAVEPOINT before;
CALL split_chunk('_timescaledb_internal._hyper_1_5_chunk');
ROLLBACK TO before;
INSERT INTO m (time, dev, v) VALUES ('2024-01-05 05:30', 5, 0);
UPDATE m SET v = v WHERE dev = 1;
COMMIT;
DELETE FROM m WHERE dev = 5;
TABLE chunks;
TABLE difference;

-- Integers, open ends, dates.
CREATE TABLE i (t smallint NOT NULL, v int);
SELECT created FROM create_hypertable('i', 't', chunk_time_interval => 30000);
INSERT INTO i SELECT g, g FROM generate_series(-32768, 32767, 1000) g;
SELECT chunk_name, range_start_integer, range_end_integer FROM timescaledb_information.chunks WHERE hypertable_name = 'i' ORDER BY 2;
SELECT err($$CALL split_chunk('_timescaledb_internal._hyper_2_12_chunk')$$);
CALL split_chunk('_timescaledb_internal._hyper_2_12_chunk', -31000);
CALL merge_chunks(ARRAY['_timescaledb_internal._hyper_2_14_chunk', '_timescaledb_internal._hyper_2_13_chunk', '_timescaledb_internal._hyper_2_15_chunk']::regclass[]);
SELECT chunk_name, range_start_integer, range_end_integer FROM timescaledb_information.chunks WHERE hypertable_name = 'i' ORDER BY 2;
SELECT tableoid::regclass, count(*), min(t), max(t) FROM i GROUP BY 1 ORDER BY 3;
CREATE TABLE d (day date NOT NULL);
SELECT created FROM create_hypertable('d', 'day', chunk_time_interval => interval '1 day');
INSERT INTO d VALUES ('2024-01-01'), ('2024-01-02');
SELECT err(format('CALL split_chunk(%L)', (SELECT c::text FROM show_chunks('d') c LIMIT 1)));

-- Divided by hash: the parts of a time range go together.
CREATE TABLE h (t int NOT NULL, dev int, PRIMARY KEY (t, dev));
SELECT created FROM create_hypertable('h', 't', 'dev', 2, chunk_time_interval => 10);
INSERT INTO h SELECT g, g FROM generate_series(0, 29) g;
CREATE TABLE h_before AS TABLE h;
CREATE VIEW h_chunks AS SELECT chunk_name, range_start_integer, range_end_integer, count(*), min(t), max(t)
    FROM timescaledb_information.chunks c
    JOIN h ON h.tableoid = format('%I.%I', chunk_schema, chunk_name)::regclass
    WHERE hypertable_name = 'h' GROUP BY 1, 2, 3 ORDER BY 2, 1;
TABLE h_chunks;
CALL merge_chunks('_timescaledb_internal._hyper_4_19_chunk', '_timescaledb_internal._hyper_4_21_chunk');
TABLE h_chunks;
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_4_19_chunk', '_timescaledb_internal._hyper_4_20_chunk')$$);
CALL split_chunk('_timescaledb_internal._hyper_4_20_chunk', 5);
TABLE h_chunks;
TABLE h EXCEPT TABLE h_before;
SELECT set_number_partitions('h', 3);
SELECT err($$CALL split_chunk('_timescaledb_internal._hyper_4_20_chunk', 2)$$);
INSERT INTO h SELECT g, g FROM generate_series(30, 39) g;
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_4_23_chunk', '_timescaledb_internal._hyper_4_30_chunk')$$);

-- Misuse.
CREATE TABLE plain (t int);
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_1_2_chunk', '_timescaledb_internal._hyper_1_5_chunk')$$);
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_1_2_chunk', '_timescaledb_internal._hyper_1_2_chunk')$$);
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_1_2_chunk', '_timescaledb_internal._hyper_2_12_chunk')$$);
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_1_2_chunk', NULL)$$);
SELECT err($$CALL merge_chunks(NULL::regclass[])$$);
SELECT err($$CALL merge_chunks('{}'::regclass[])$$);
SELECT err($$CALL merge_chunks(ARRAY['_timescaledb_internal._hyper_1_2_chunk']::regclass[])$$);
SELECT err($$CALL merge_chunks('plain', 'm')$$);
SELECT err($$CALL split_chunk('m')$$);
SELECT err($$CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk', '2024-01-01'::date)$$);
SELECT err($$CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk', '2025-01-01'::date)$$);
SELECT err($$CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk', 5)$$);
BEGIN;
DECLARE open_cursor CURSOR FOR SELECT * FROM m;
FETCH FROM open_cursor \gset
CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk');
ROLLBACK;
CREATE ROLE chunk_stranger;
SET ROLE chunk_stranger;
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_1_2_chunk', '_timescaledb_internal._hyper_1_8_chunk')$$);
SELECT err($$CALL split_chunk('_timescaledb_internal._hyper_1_2_chunk')$$);
RESET ROLE;
DROP ROLE chunk_stranger;
