-- Attaching, detaching, creating, moving and ordering chunks.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
SET datestyle = 'ISO';
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

CREATE TABLE m (time timestamptz NOT NULL, dev int, v float);
SELECT created FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT t, 1, 1 FROM generate_series('2024-01-01'::timestamptz, '2024-01-03 23:00', '1 hour') t;

-- Detached and attached again, with its rows.
CALL detach_chunk('_timescaledb_internal._hyper_1_2_chunk');
SELECT show_chunks('m');
SELECT count(*) FROM m;
SELECT count(*) FROM _timescaledb_internal._hyper_1_2_chunk;
CALL attach_chunk('m', '_timescaledb_internal._hyper_1_2_chunk', '{"time": ["2024-01-02", "2024-01-03"]}');
SELECT show_chunks('m');
SELECT count(*) FROM m;
SELECT count(*) FROM _timescaledb_catalog.chunk;
-- A table of another origin, with numbers for the ends.
CREATE TABLE other (time timestamptz NOT NULL, dev int, v float);
INSERT INTO other VALUES ('2024-02-01 12:00', 2, 2);
CALL attach_chunk('m', 'other', jsonb_build_object('time', jsonb_build_array(
    _timescaledb_functions.to_unix_microseconds('2024-02-01'), _timescaledb_functions.to_unix_microseconds('2024-02-03'))));
\d other
SELECT chunk_schema, chunk_name, range_start, range_end FROM timescaledb_information.chunks ORDER BY range_start;
SELECT count(*) FROM m WHERE dev = 2;
INSERT INTO m VALUES ('2024-02-02', 2, 3), ('2024-02-03', 2, 3) RETURNING tableoid::regclass;
SELECT drop_chunks('m', newer_than => '2024-02-01');

-- By hand.
SELECT relkind, slices, created FROM _timescaledb_functions.create_chunk('m', '{"time": ["2024-03-01", "2024-03-05"]}');
SELECT relkind, slices, created FROM _timescaledb_functions.create_chunk('m', '{"time": ["2024-03-01", "2024-03-05"]}');
SELECT err($$SELECT _timescaledb_functions.create_chunk('m', '{"time": ["2024-03-04", "2024-03-06"]}')$$);
SELECT s.* FROM show_chunks('m', newer_than => '2024-03-01') c, _timescaledb_functions.show_chunk(c) s;
INSERT INTO m VALUES ('2024-03-04 23:59', 1, 1);
SELECT _timescaledb_functions.drop_chunk(c) FROM show_chunks('m', newer_than => '2024-03-01') c;
SELECT show_chunks('m');
SELECT _timescaledb_functions.chunk_status(c), _timescaledb_functions.chunk_status_text(c) FROM show_chunks('m', '2024-01-02') c;
SELECT _timescaledb_functions.chunk_status_text(9);
SELECT err($$SELECT _timescaledb_functions.freeze_chunk('_timescaledb_internal._hyper_1_1_chunk')$$);

-- The order of an index: the chunk's own or the hypertable's, remembered.
CREATE INDEX m_dev ON m (dev, time);
INSERT INTO m VALUES ('2024-01-01', 0, 0);
SELECT reorder_chunk('_timescaledb_internal._hyper_1_1_chunk', 'm_dev');
SELECT time, dev FROM _timescaledb_internal._hyper_1_1_chunk LIMIT 2;
SELECT indexrelid::regclass FROM pg_index WHERE indisclustered;
INSERT INTO m VALUES ('2024-01-01', -1, 0);
SELECT reorder_chunk('_timescaledb_internal._hyper_1_1_chunk');
SELECT time, dev FROM _timescaledb_internal._hyper_1_1_chunk LIMIT 2;
SELECT reorder_chunk('_timescaledb_internal._hyper_1_1_chunk', '_timescaledb_internal._hyper_1_1_chunk_time_idx');
SELECT time, dev FROM _timescaledb_internal._hyper_1_1_chunk LIMIT 2;
SELECT err($$SELECT reorder_chunk('_timescaledb_internal._hyper_1_3_chunk')$$);
SELECT err($$SELECT reorder_chunk('_timescaledb_internal._hyper_1_3_chunk', '_timescaledb_internal._hyper_1_1_chunk_time_idx')$$);
SELECT err($$SELECT reorder_chunk('m', 'm_dev')$$);

-- To other tablespaces.
SET allow_in_place_tablespaces = true;
CREATE TABLESPACE chunk_space LOCATION '';
CREATE TABLESPACE chunk_index_space LOCATION '';
SELECT move_chunk('_timescaledb_internal._hyper_1_1_chunk', 'chunk_space', 'chunk_index_space', reorder_index => 'm_dev');
SELECT c.relname, t.spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE relname ~ '_hyper_1_1_chunk' ORDER BY 1;
SELECT time, dev FROM _timescaledb_internal._hyper_1_1_chunk LIMIT 2;
SELECT chunk_name, chunk_tablespace FROM timescaledb_information.chunks WHERE chunk_tablespace IS NOT NULL;
SELECT move_chunk('_timescaledb_internal._hyper_1_2_chunk', 'chunk_space');
SELECT count(*) FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE relname ~ '_hyper_1_2_chunk' AND spcname = 'chunk_space';
-- Merged and split chunks stay where they are.
CALL merge_chunks('_timescaledb_internal._hyper_1_1_chunk', '_timescaledb_internal._hyper_1_2_chunk');
CALL split_chunk('_timescaledb_internal._hyper_1_1_chunk');
SELECT chunk_tablespace, range_start FROM timescaledb_information.chunks WHERE chunk_tablespace IS NOT NULL ORDER BY 2;
SELECT count(*) FROM m;
SELECT move_chunk(c, 'pg_default') FROM show_chunks('m') c;
DROP TABLESPACE chunk_space;
DROP TABLESPACE chunk_index_space;

-- Misuse.
CREATE TABLE plain (time timestamptz NOT NULL, dev int, v float);
INSERT INTO plain VALUES ('2025-01-01', 1, 1);
SELECT err($$CALL detach_chunk('plain')$$);
SELECT err($$CALL detach_chunk('m')$$);
SELECT err($$CALL attach_chunk('plain', 'm', '{}')$$);
SELECT err($$CALL attach_chunk('m', 'plain', '{}')$$);
SELECT err($$CALL attach_chunk('m', 'plain', '{"time": [1]}')$$);
SELECT err($$CALL attach_chunk('m', 'plain', '{"time": [true, false]}')$$);
SELECT err($$CALL attach_chunk('m', 'plain', '{"time": ["2025-01-02", "2025-01-01"]}')$$);
SELECT err($$CALL attach_chunk('m', 'plain', '{"time": ["2025-01-02", "2025-01-03"]}')$$);
SELECT err($$CALL attach_chunk('m', 'plain', '{"time": ["2024-01-01", "2026-01-03"]}')$$);
SELECT err($$CALL attach_chunk('m', '_timescaledb_internal._hyper_1_3_chunk', '{"time": ["2025-01-02", "2025-01-03"]}')$$);
SELECT err($$SELECT move_chunk('_timescaledb_internal._hyper_1_3_chunk', 'nowhere')$$);
SELECT err($$SELECT move_chunk('plain', 'pg_default')$$);
CREATE TABLE h (t int NOT NULL, dev int);
SELECT created FROM create_hypertable('h', 't', 'dev', 2, chunk_time_interval => 10);
INSERT INTO h VALUES (1, 1);
SELECT err(format('CALL detach_chunk(%L)', c)) FROM show_chunks('h') c LIMIT 1;
SELECT err($$CALL attach_chunk('h', 'plain', '{"t": [10, 20]}')$$);
SELECT relkind, slices, created FROM _timescaledb_functions.create_chunk('h', '{"t": [10, 20]}');
SELECT count(*) FROM show_chunks('h');
CREATE ROLE chunk_stranger;
SET ROLE chunk_stranger;
SELECT err($$CALL detach_chunk('_timescaledb_internal._hyper_1_3_chunk')$$);
SELECT err($$CALL attach_chunk('m', 'plain', '{"time": ["2025-01-01", "2025-01-03"]}')$$);
SELECT err($$SELECT reorder_chunk('_timescaledb_internal._hyper_1_3_chunk', 'm_dev')$$);
SELECT err($$SELECT move_chunk('_timescaledb_internal._hyper_1_3_chunk', 'pg_default')$$);
SELECT err($$SELECT _timescaledb_functions.drop_chunk('_timescaledb_internal._hyper_1_3_chunk')$$);
SELECT err($$SELECT _timescaledb_functions.create_chunk('m', '{"time": ["2025-01-01", "2025-01-03"]}')$$);
RESET ROLE;
DROP ROLE chunk_stranger;
