-- show_chunks and drop_chunks: every form of their arguments, and every misuse.
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

CREATE TABLE tz (time timestamptz NOT NULL, v int);
SELECT created FROM create_hypertable('tz', 'time', chunk_time_interval => interval '1 day');
INSERT INTO tz SELECT t, 1 FROM generate_series('2024-01-01'::timestamptz, '2024-01-06 23:00', '6 hours') t;
SELECT show_chunks('tz');
-- A chunk is in the window as a whole or not at all; the ends are inclusive.
SELECT show_chunks('tz', older_than => '2024-01-03');
SELECT show_chunks('tz', '2024-01-02 23:59'::timestamptz);
SELECT show_chunks('tz', newer_than => date '2024-01-05');
SELECT show_chunks('tz', older_than => timestamp '2024-01-05', newer_than => '2024-01-03'::text);
SELECT count(*) FROM show_chunks('tz', interval '1 month');
SELECT count(*) FROM show_chunks('tz', newer_than => interval '1 month');
SELECT count(*) FROM show_chunks('tz', older_than => 'infinity'::timestamptz);
SELECT count(*) FROM show_chunks('tz', newer_than => '-infinity'::timestamptz);
SELECT count(*) FROM show_chunks('tz', created_before => now() + interval '1 hour');
SELECT count(*) FROM show_chunks('tz', created_after => interval '1 hour');
SELECT count(*) FROM show_chunks('tz', created_before => '2020-01-01');
-- A date begins in the session's time zone.
SET timezone = 'America/New_York';
SELECT count(*) FROM show_chunks('tz', older_than => date '2024-01-03');
SET timezone = 'UTC';
SELECT drop_chunks('tz', older_than => '2024-01-02');
SELECT drop_chunks('tz', older_than => '2024-01-02');
SELECT drop_chunks('tz', newer_than => '2024-01-06', verbose => true);
SELECT drop_chunks('tz', older_than => '2024-01-04', newer_than => '2024-01-03');
SELECT min(time), max(time), count(*) FROM tz;
SELECT count(*) FROM _timescaledb_config.chunk;
-- All or nothing.
BEGIN;
SELECT count(*) FROM drop_chunks('tz', interval '1 day');
SELECT count(*) FROM tz;
ROLLBACK;
SELECT count(*) FROM tz;
SELECT count(*) FROM drop_chunks('tz', created_before => now() + interval '1 hour');
SELECT count(*) FROM tz;
-- What was dropped can be inserted again.
INSERT INTO tz VALUES ('2024-01-01', 1), ('2024-01-09', 1);
SELECT show_chunks('tz');

-- Other types of time.
CREATE TABLE ts (time timestamp NOT NULL);
SELECT created FROM create_hypertable('ts', 'time', chunk_time_interval => interval '1 day');
INSERT INTO ts SELECT t FROM generate_series('2024-01-01'::timestamp, '2024-01-04', '1 day') t;
SET timezone = 'Asia/Tokyo';
SELECT count(*) FROM show_chunks('ts', older_than => timestamptz '2024-01-03 00:00+09');
SELECT count(*) FROM drop_chunks('ts', older_than => '2024-01-03');
SET timezone = 'UTC';
CREATE TABLE d (day date NOT NULL);
SELECT created FROM create_hypertable('d', 'day', chunk_time_interval => interval '1 day');
INSERT INTO d SELECT t FROM generate_series('2024-01-01'::timestamp, '2024-01-04', '1 day') t;
SELECT count(*) FROM show_chunks('d', older_than => timestamp '2024-01-02 12:00');
SELECT count(*) FROM show_chunks('d', newer_than => timestamp '2024-01-02 12:00');
SELECT count(*) FROM drop_chunks('d', older_than => date '2024-01-03');
CREATE TABLE u (id uuid NOT NULL);
SELECT created FROM create_hypertable('u', 'id', chunk_time_interval => interval '1 day');
INSERT INTO u SELECT to_uuidv7(t) FROM generate_series('2024-01-01'::timestamptz, '2024-01-04', '1 day') t;
SELECT count(*) FROM show_chunks('u', older_than => '2024-01-03');
SELECT count(*) FROM show_chunks('u', older_than => to_uuidv7_boundary('2024-01-03'));
SELECT count(*) FROM drop_chunks('u', older_than => timestamptz '2024-01-03');
SELECT err($$SELECT show_chunks('u', older_than => gen_random_uuid())$$);

-- Integers, as Zabbix uses them.
CREATE TABLE i (clock int NOT NULL, v int);
SELECT created FROM create_hypertable('i', 'clock', chunk_time_interval => 86400);
INSERT INTO i SELECT n * 43200, n FROM generate_series(-2, 9) n;
SELECT show_chunks('i', older_than => 86400);
SELECT show_chunks('i', newer_than => 86400 * 4);
SELECT show_chunks('i', older_than => 86400::bigint * 2, newer_than => 0::smallint);
SELECT show_chunks('i', older_than => '0');
SELECT drop_chunks(relation => 'i', older_than => 86400 * 3);
SELECT count(*) FROM drop_chunks(relation => 'i', newer_than => 0);

-- A slice that is divided by hash goes as a whole.
CREATE TABLE h (t bigint NOT NULL, dev text);
SELECT created FROM create_hypertable('h', 't', 'dev', 3, chunk_time_interval => 10);
INSERT INTO h SELECT n, 'dev' || n FROM generate_series(0, 29) n;
SELECT count(*) FROM show_chunks('h');
SELECT count(*) FROM drop_chunks('h', 10);
SELECT count(*), min(t) FROM h;
SELECT count(*) FROM pg_class WHERE relname ~ '^_hyper_6.*slice';
SELECT err(format($$SELECT _timescaledb_functions.drop_chunk(%L)$$, (SELECT c::text FROM show_chunks('h') c LIMIT 1)));
SELECT err($$SELECT drop_chunks('h', older_than => 10, newer_than => 20)$$);

-- Foreign keys that refer to the hypertable.
CREATE TABLE parent (t int PRIMARY KEY);
SELECT created FROM create_hypertable('parent', 't', chunk_time_interval => 10);
CREATE TABLE child (t int REFERENCES parent);
INSERT INTO parent SELECT generate_series(0, 29);
INSERT INTO child VALUES (15);
SELECT err($$SELECT drop_chunks('parent', 20)$$);
SELECT count(*) FROM drop_chunks('parent', 10);
SELECT count(*) FROM parent;
DELETE FROM child;
SELECT count(*) FROM drop_chunks('parent', 20);
INSERT INTO child VALUES (15);
INSERT INTO child VALUES (25);

-- What depends on a chunk keeps it.
DELETE FROM child;
CREATE VIEW on_chunk AS SELECT * FROM _timescaledb_internal._hyper_7_38_chunk;
SELECT err($$SELECT drop_chunks('parent', newer_than => 20)$$);
-- A cursor too.
BEGIN;
DECLARE open_cursor CURSOR FOR SELECT * FROM tz;
FETCH open_cursor;
SELECT drop_chunks('tz', interval '1 day');
ROLLBACK;

-- Misuse.
CREATE TABLE plain (t int);
SELECT err($$SELECT show_chunks('plain')$$);
SELECT err($$SELECT show_chunks(NULL)$$);
SELECT err($$SELECT show_chunks('missing')$$);
SELECT err($$SELECT drop_chunks('plain', 5)$$);
SELECT err(format($$SELECT drop_chunks(%L, now())$$, (SELECT c::text FROM show_chunks('tz') c LIMIT 1)));
SELECT err($$SELECT drop_chunks('tz')$$);
SELECT err($$SELECT drop_chunks('tz', older_than => NULL)$$);
SELECT err($$SELECT drop_chunks('tz', older_than => now(), created_before => now())$$);
SELECT err($$SELECT show_chunks('tz', newer_than => now(), created_after => now())$$);
SELECT err($$SELECT drop_chunks('tz', older_than => '2024-01-01'::date, newer_than => '2024-01-02'::date)$$);
SELECT err($$SELECT drop_chunks('tz', older_than => 5)$$);
SELECT err($$SELECT drop_chunks('tz', older_than => 'yesteryear')$$);
SELECT err($$SELECT drop_chunks('i', older_than => interval '1 day')$$);
SELECT err($$SELECT drop_chunks('i', older_than => now())$$);
SELECT err($$SELECT show_chunks('i', created_before => 5)$$);

-- Only the owner drops; everybody sees what pg_class shows.
CREATE ROLE chunk_reader;
SET ROLE chunk_reader;
SELECT count(*) FROM show_chunks('tz');
SELECT err($$SELECT drop_chunks('tz', interval '1 day')$$);
RESET ROLE;
DROP ROLE chunk_reader;
