-- Conditions on now() leave out old chunks when a query is planned, and stay right in a plan that is used again.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET max_parallel_workers_per_gather = 0;

CREATE TABLE m (time timestamptz NOT NULL, local timestamp NOT NULL, value int);
INSERT INTO m SELECT now() - i * interval '10 days', now() - i * interval '10 days', i FROM generate_series(0, 99) i;
SELECT hypertable_id FROM create_hypertable('m', 'time', chunk_time_interval => interval '10 days', migrate_data => true);
CREATE TABLE l (time timestamp NOT NULL, value int);
INSERT INTO l SELECT local, value FROM m;
SELECT hypertable_id FROM create_hypertable('l', 'time', chunk_time_interval => interval '10 days', migrate_data => true);
CREATE TABLE d (time date NOT NULL, value int);
INSERT INTO d SELECT local, value FROM m;
SELECT hypertable_id FROM create_hypertable('d', 'time', chunk_time_interval => interval '10 days', migrate_data => true);

-- Whether a plan was left with few chunks before it ran. How many depends on when the test runs.
CREATE FUNCTION few(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE line text; chunks int := 0;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        chunks := chunks + (line ~ 'Scan .*chunk')::int + coalesce(substring(line FROM 'Subplans Removed: (\d+)')::int, 0);
    END LOOP;
    RETURN chunks BETWEEN 1 AND 8;
END $$;

SELECT condition, few('SELECT * FROM m WHERE ' || condition) FROM unnest(ARRAY[
    'time > now()', 'time >= now() - interval ''5 days''', 'now() - interval ''1 month'' < time', 'time > CURRENT_TIMESTAMP - interval ''12 hours''',
    'time > now() - interval ''1 month 2 days'' + interval ''1 hour''', 'time > transaction_timestamp()', 'time > statement_timestamp()',
    'time >= CURRENT_DATE', 'time >= CURRENT_DATE - 7', 'time > date_trunc(''day'', now())', 'time > date_trunc(''month'', now() - interval ''1 day'')',
    'time > now()::date', 'time > LOCALTIMESTAMP', 'time BETWEEN now() - interval ''1 day'' AND now()', 'time_bucket(''1 day'', time) > now() - interval ''1 day''']) condition;
-- These are left alone: what falls below the condition later, or may differ at any time.
SELECT condition, few('SELECT * FROM m WHERE ' || condition) FROM unnest(ARRAY[
    'time < now() + interval ''1 day''', 'time > clock_timestamp()', 'NOT time > now()', 'time > now() - value * interval ''1 day''']) condition;
SELECT few('SELECT * FROM l WHERE time > now() - interval ''1 day'''), few('SELECT * FROM l WHERE time > LOCALTIMESTAMP - interval ''1 day'''),
    few('SELECT * FROM d WHERE time > now() - interval ''1 day'''), few('SELECT * FROM d WHERE time >= CURRENT_DATE - 1'),
    few('SELECT * FROM d WHERE time > (now() - interval ''1 day'')::date');

SET timescaledb.enable_now_constify = off;
SELECT few('SELECT * FROM m WHERE time > now()');
RESET timescaledb.enable_now_constify;

-- The answers.
SELECT count(*) FROM m WHERE time > now() - interval '15 days';
SELECT count(*) FROM m WHERE time > now() - interval '1 year' AND time <= now();
SELECT count(*) FROM l WHERE time > now() - interval '15 days';
SELECT count(*) FROM d WHERE time > CURRENT_DATE - 15;
SET TIME ZONE 'Pacific/Kiritimati';
SELECT count(*) FROM m WHERE time > LOCALTIMESTAMP - interval '15 days';
SET TIME ZONE 'UTC';

-- A plan that is kept sees what came since.
SET plan_cache_mode = force_generic_plan;
PREPARE p AS SELECT count(*) FROM m WHERE time > now() - interval '15 days';
EXECUTE p;
INSERT INTO m VALUES (now(), now(), -1);
EXECUTE p;
