-- Retention by size, and by age per value of a column.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
CREATE TABLE clock (n bigint);
INSERT INTO clock VALUES (0);
CREATE FUNCTION n_now() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT n FROM public.clock';

-- By size.
CREATE TABLE large (n bigint NOT NULL, filler text);
SELECT create_hypertable('large', 'n', chunk_time_interval => 100, create_default_indexes => false);
ALTER TABLE large ALTER filler SET STORAGE PLAIN;
INSERT INTO large SELECT n, repeat('x', 5000) FROM generate_series(0, 999) AS n;
SELECT hypertable_size('large') BETWEEN 8000000 AND 12000000 AS about_10_mb;
SELECT add_retention_policy('large', drop_after_size => '5 MB') AS by_size \gset
SELECT config FROM timescaledb_information.jobs WHERE job_id = :by_size;
CALL run_job(:by_size);
SELECT min(n), max(n), hypertable_size('large') BETWEEN 4000000 AND 5 * 1024 * 1024 AS fits FROM large;
CALL run_job(:by_size);
SELECT min(n), max(n) FROM large;
-- The last chunk stays, whatever its size.
SELECT (alter_job(:by_size, config => config || '{"drop_after_size": "1 kB"}')).scheduled FROM timescaledb_information.jobs WHERE job_id = :by_size;
CALL run_job(:by_size);
SELECT min(n), max(n) FROM large;
SELECT remove_retention_policy('large');
-- By size and age: whatever says first that a chunk goes.
INSERT INTO large SELECT n, repeat('x', 5000) FROM generate_series(1000, 1999) AS n;
SELECT set_integer_now_func('large', 'n_now');
SELECT add_retention_policy('large', 1000, drop_after_size => '100 GB') AS by_size \gset
UPDATE clock SET n = 2350;
CALL run_job(:by_size);
SELECT min(n), max(n) FROM large;
-- Compressed chunks take less: fewer go.
SELECT remove_retention_policy('large');
ALTER TABLE large SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'n');
SELECT count(compress_chunk(chunk)) FROM show_chunks('large', older_than => 1900) AS chunk;
SELECT add_retention_policy('large', drop_after_size => '3 MB') AS by_size \gset
CALL run_job(:by_size);
SELECT min(n), max(n) FROM large;
-- Nothing younger than the oldest goes.
SELECT (alter_job(:by_size, config => config || '{"drop_after_size": "500 kB"}')).scheduled FROM timescaledb_information.jobs WHERE job_id = :by_size;
CALL run_job(:by_size);
SELECT min(n), max(n) FROM large;

-- By all kinds of time.
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE PROCEDURE try(type regtype, times text) LANGUAGE plpgsql AS $$
DECLARE job int; kept bool; chunks bool;
BEGIN
    EXECUTE format('CREATE TABLE typed (time %s NOT NULL)', type);
    PERFORM create_hypertable('typed', 'time', chunk_time_interval => interval '1 day');
    EXECUTE format('INSERT INTO typed SELECT %s FROM generate_series(0, 20) AS days', times);
    job := add_retention_policy('typed', INTERVAL '10 days');
    COMMIT;
    CALL run_job(job);
    SELECT count(*) BETWEEN 11 AND 12, (SELECT count(*) BETWEEN 11 AND 12 FROM show_chunks('typed')) INTO kept, chunks FROM typed;
    RAISE WARNING '% % %', type, kept, chunks;
    DROP TABLE typed;
END $$;
CALL try('timestamptz', 'now() - days * interval ''1 day''');
CALL try('timestamp', 'now() - days * interval ''1 day''');
CALL try('date', 'current_date - days');
CALL try('uuid', 'to_uuidv7(now() - days * interval ''1 day'')');
RESET client_min_messages;

-- By value.
CREATE TABLE readings (n bigint NOT NULL, tenant text, value float8);
SELECT create_hypertable('readings', 'n', chunk_time_interval => 100);
SELECT set_integer_now_func('readings', 'n_now');
ALTER TABLE readings SET (timescaledb.compress, timescaledb.compress_segmentby = 'tenant');
INSERT INTO readings SELECT n, CASE n % 4 WHEN 0 THEN 'A' WHEN 1 THEN 'B' WHEN 2 THEN 'it''s' END, n FROM generate_series(0, 1199) AS n;
CREATE VIEW kept AS SELECT tenant, min(n), max(n), count(*), sum(value) FROM readings GROUP BY tenant ORDER BY tenant;
UPDATE clock SET n = 1200;
-- A lives for 1000, B for ever, it's for 100, all others and NULL for 500.
SELECT add_retention_policy('readings', 500, drop_after_by => '{"tenant": {"A": 1000, "B": null, "it''s": 100}}') AS by_value \gset
SELECT config - 'hypertable_id' AS config, max_runtime FROM timescaledb_information.jobs WHERE job_id = :by_value;
SELECT count(compress_chunk(chunk)) FROM (SELECT chunk FROM show_chunks('readings') AS chunk LIMIT 6) AS c;
INSERT INTO readings VALUES (10, 'A', 0), (10, 'B', 0.5), (10, 'C', 0);
BEGIN;
SELECT count(*) FROM readings;
COMMIT;
CALL run_job(:by_value);
SELECT * FROM kept;
CALL run_job(:by_value);
SELECT * FROM kept;
-- When nothing is left of a chunk, it goes: B is not kept any more.
SELECT (alter_job(:by_value, config => config || '{"drop_after_by": {"tenant": {"A": 1000, "it''s": 100}}}')).scheduled FROM timescaledb_information.jobs WHERE job_id = :by_value;
CALL run_job(:by_value);
SELECT * FROM kept;
SELECT count(*) FROM show_chunks('readings');
-- Only some values go; all others live for ever.
SELECT remove_retention_policy('readings');
SELECT add_retention_policy('readings', drop_after_by => '{"tenant": {"A": 100}}') AS by_value \gset
CALL run_job(:by_value);
SELECT * FROM kept;
-- A chunk from which all rows are gone goes.
DELETE FROM readings WHERE n < 500;
CALL run_job(:by_value);
SELECT count(*) FROM show_chunks('readings', older_than => 500);
SELECT * FROM kept;
-- The columnstore keeps rows apart by another column.
SELECT remove_retention_policy('readings');
ALTER TABLE readings SET (timescaledb.segmentby = '');
SELECT add_retention_policy('readings', drop_after_by => '{"tenant": {"A": 100}}') AS by_value \gset
-- A column is followed when it is renamed.
ALTER TABLE readings RENAME tenant TO customer;
SELECT config -> 'drop_after_by' FROM timescaledb_information.jobs WHERE job_id = :by_value;
CALL run_job(:by_value);
-- Batches of which all rows go are deleted as they are: nothing is moved.
CREATE TABLE batched (n bigint NOT NULL, tenant text, value float8);
SELECT create_hypertable('batched', 'n', chunk_time_interval => 10000);
SELECT set_integer_now_func('batched', 'n_now');
ALTER TABLE batched SET (timescaledb.compress, timescaledb.compress_segmentby = 'tenant', timescaledb.compress_orderby = 'n');
INSERT INTO batched SELECT n, CASE n % 3 WHEN 0 THEN 'A' WHEN 1 THEN 'B' END, n FROM generate_series(0, 29999) AS n;
SELECT count(compress_chunk(chunk)) FROM show_chunks('batched', older_than => 20000) AS chunk;
UPDATE clock SET n = 35000;
SELECT add_retention_policy('batched', 20000, drop_after_by => '{"tenant": {"A": 40000}}') AS by_batch \gset
CALL run_job(:by_batch);
SELECT n / 10000 AS chunk, tenant, count(*), sum(value) FROM batched GROUP BY 1, 2 ORDER BY 1, 2;
SELECT _timescaledb_functions.chunk_status_text(chunk) FROM show_chunks('batched') AS chunk;
-- Texts that say the same value: the longer life counts.
CREATE TABLE numbered (n bigint NOT NULL, tenant int);
SELECT create_hypertable('numbered', 'n', chunk_time_interval => 100);
SELECT set_integer_now_func('numbered', 'n_now');
UPDATE clock SET n = 1200;
INSERT INTO numbered SELECT n, n % 3 FROM generate_series(0, 1199) AS n;
SELECT add_retention_policy('numbered', drop_after_by => '{"tenant": {"1": 100, "01": 1000, "2": 300}}') AS by_number \gset
CALL run_job(:by_number);
SELECT tenant, min(n), count(*) FROM numbered GROUP BY 1 ORDER BY 1;
-- Triggers see the session's search path, as with any DELETE.
CREATE TABLE gone (n bigint, tenant int);
CREATE FUNCTION note_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO gone VALUES (OLD.n, OLD.tenant); RETURN OLD; END $$;
CREATE TRIGGER note_gone BEFORE DELETE ON numbered FOR EACH ROW EXECUTE FUNCTION note_gone();
UPDATE clock SET n = 1300;
CALL run_job(:by_number);
SELECT tenant, min(n), max(n), count(*) FROM gone GROUP BY 1 ORDER BY 1;
-- A value is not cut off, and no type of the user's takes the place of PostgreSQL's.
CREATE TABLE padded (n bigint NOT NULL, tenant char(3));
SELECT create_hypertable('padded', 'n', chunk_time_interval => 100);
SELECT set_integer_now_func('padded', 'n_now');
INSERT INTO padded SELECT n, tenant FROM generate_series(0, 99) AS n, unnest('{A, ABC}'::text[]) AS tenant;
SELECT add_retention_policy('padded', drop_after_by => '{"tenant": {"ABC": 100}}') AS by_padded \gset
CREATE DOMAIN bpchar AS text CHECK (value = 'none');
SET search_path = public, pg_catalog;
CALL run_job(:by_padded);
RESET search_path;
DROP DOMAIN public.bpchar;
SELECT tenant, count(*) FROM padded GROUP BY 1 ORDER BY 1;
-- A policy that is altered: it stays with its hypertable, and is compared with the others as when it is added.
SELECT alter_job(:by_padded, config => jsonb_build_object('hypertable_id', id, 'drop_after', 100))
FROM _timescaledb_catalog.hypertable WHERE table_name = 'numbered';
\echo :SQLSTATE
ALTER TABLE padded SET (timescaledb.compress);
SELECT add_compression_policy('padded', 500) AS compression \gset
SELECT alter_job(job_id, config => config || '{"drop_after": 499}') FROM timescaledb_information.jobs WHERE job_id = :by_padded;
\echo :SQLSTATE
SELECT (alter_job(job_id, config => config || '{"drop_after": 500}')).config -> 'drop_after' AS drop_after
FROM timescaledb_information.jobs WHERE job_id = :by_padded;
SELECT alter_job(job_id, config => config || '{"compress_after": 501}') FROM timescaledb_information.jobs WHERE job_id = :compression;
\echo :SQLSTATE
SELECT proc_name, config - 'hypertable_id' AS config FROM timescaledb_information.jobs WHERE job_id IN (:by_padded, :compression) ORDER BY 1;

SELECT remove_retention_policy('numbered');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_size => 'much');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_size => '0');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_size => '-1 GB');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '[]');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"tenant": {}}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"tenant": 5}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"tenant": {"1": 5}, "n": {"1": 5}}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"nobody": {"1": 5}}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"n": {"1": 5}}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"tenant": {"one": 5}}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"tenant": {"1": "5 days"}}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_after_by => '{"tenant": {"1": -5}}');
\echo :SQLSTATE
SELECT add_retention_policy('numbered', drop_created_before => INTERVAL '1 day', drop_after_by => '{"tenant": {"1": 5}}');
\echo :SQLSTATE
