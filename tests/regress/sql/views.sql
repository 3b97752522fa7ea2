-- The views that clients read.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\pset format unaligned

-- Columns and types are part of the contract.
SELECT table_schema || '.' || table_name AS view, string_agg(column_name || ' ' || coalesce(nullif(data_type, 'ARRAY'), udt_name), ', ' ORDER BY ordinal_position)
FROM information_schema.columns
WHERE table_schema IN ('timescaledb_information', '_timescaledb_catalog')
    AND table_name IN ('hypertables', 'dimensions', 'chunks', 'hypertable', 'dimension', 'dimension_slice', 'chunk', 'chunk_constraint', 'tablespace')
GROUP BY 1 ORDER BY 1;

CREATE ROLE view_reader;
CREATE SCHEMA "Odd schema";
CREATE TABLE "Odd schema"."Odd table" ("The time" timestamptz NOT NULL, dev text);
SELECT created FROM create_hypertable('"Odd schema"."Odd table"', 'The time', chunk_time_interval => interval '12 hours');
INSERT INTO "Odd schema"."Odd table" SELECT t FROM generate_series('2024-01-01'::timestamptz, '2024-01-02', '12 hours') t;
CREATE TABLE i (t bigint NOT NULL, dev int, site int);
SELECT created FROM create_hypertable('i', 't', 'dev', 2, chunk_time_interval => 100);
SELECT created FROM add_dimension('i', by_hash('site', 2));
CREATE FUNCTION now_of_i() RETURNS bigint LANGUAGE sql STABLE RETURN 42::bigint;
SELECT set_integer_now_func('i', 'now_of_i');
INSERT INTO i SELECT g, g, g FROM generate_series(0, 199) g;
CREATE TABLE d (day date NOT NULL);
SELECT created FROM create_hypertable('d', 'day', chunk_time_interval => interval '1 month 12 hours' + interval '12 hours');
INSERT INTO d VALUES ('-infinity'), ('2024-01-01'), ('infinity');
CREATE TABLE ts (t timestamp NOT NULL);
SELECT created FROM create_hypertable('ts', 't');
INSERT INTO ts VALUES ('2024-01-01');
CREATE TABLE f (t int NOT NULL);
SELECT created FROM create_hypertable('f', 't', chunk_time_interval => 5);

SET ROLE view_reader;
SELECT * FROM timescaledb_information.hypertables ORDER BY 1, 2;
SELECT * FROM timescaledb_information.dimensions ORDER BY 1, 2, 3;
SELECT hypertable_schema, hypertable_name, chunk_schema, chunk_name, primary_dimension, primary_dimension_type, range_start, range_end,
    range_start_integer, range_end_integer, is_compressed, chunk_tablespace, chunk_creation_time > now() - interval '1 hour' AS recent
FROM timescaledb_information.chunks ORDER BY hypertable_name, chunk_name COLLATE "C";
SELECT * FROM _timescaledb_catalog.hypertable ORDER BY id;
SELECT * FROM _timescaledb_catalog.dimension ORDER BY id;
-- Every chunk is found through its slices, one for each dimension.
SELECT c.table_name, string_agg(d.column_name || ' ' || s.range_start || ' ' || s.range_end, '; ' ORDER BY d.id) AS slices
FROM _timescaledb_catalog.chunk c
JOIN _timescaledb_catalog.chunk_constraint k ON k.chunk_id = c.id
JOIN _timescaledb_catalog.dimension_slice s ON s.id = k.dimension_slice_id
JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id AND d.hypertable_id = c.hypertable_id
GROUP BY c.id, c.table_name ORDER BY c.id;
SELECT count(*), count(DISTINCT id) FROM _timescaledb_catalog.dimension_slice;
RESET ROLE;

-- They follow what PostgreSQL's own commands do.
ALTER TABLE i RENAME COLUMN t TO clock;
ALTER TABLE i RENAME TO j;
CREATE SCHEMA moved;
ALTER TABLE j SET SCHEMA moved;
SELECT hypertable_schema, hypertable_name, primary_dimension, num_chunks FROM timescaledb_information.hypertables WHERE hypertable_schema = 'moved';
SELECT c.table_name FROM _timescaledb_catalog.chunk c JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
    WHERE h.table_name = 'Odd table' ORDER BY c.id;
ALTER TABLE "Odd schema"."Odd table" DETACH PARTITION _timescaledb_internal._hyper_1_2_chunk;
DROP TABLE _timescaledb_internal._hyper_1_3_chunk;
SELECT num_chunks FROM timescaledb_information.hypertables WHERE hypertable_name = 'Odd table';
SELECT chunk_name FROM timescaledb_information.chunks WHERE hypertable_name = 'Odd table';
SELECT table_name FROM _timescaledb_catalog.chunk c WHERE hypertable_id = 1;
DROP TABLE moved.j;
SELECT count(*) FROM timescaledb_information.dimensions WHERE hypertable_name = 'j';
SELECT count(*) FROM _timescaledb_catalog.chunk WHERE table_name ~ '^_hyper_2_';
DROP ROLE view_reader;

-- Functions for administrators.
SELECT timescaledb_pre_restore(), timescaledb_post_restore(), _timescaledb_functions.tsl_loaded();
SELECT jsonb_object_keys(get_telemetry_report());
SELECT _timescaledb_functions.stop_background_workers();
SELECT * FROM enable_chunk_skipping('d', 'day');
