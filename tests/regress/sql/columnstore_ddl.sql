-- What happens to a chunk's batches when something happens to the chunk.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
\pset format unaligned
CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;
CREATE TABLE m (time timestamptz NOT NULL, dev int, v int, w text);
SELECT created FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'dev');
CREATE PROCEDURE fill() LANGUAGE sql AS $$
    INSERT INTO m SELECT t, d, d * 10, 'w' || d FROM generate_series('2024-01-01'::timestamptz, '2024-01-04 23:00', '1 hour') t, generate_series(1, 3) d;
    SELECT compress_chunk(c) FROM show_chunks('m') c; $$;
CALL fill();
-- Batch tables, whether the catalog knows them or not.
CREATE VIEW batches AS SELECT count(*) AS tables, (SELECT count(*) FROM _timescaledb_config.columnar_chunk) AS rows, count(DISTINCT relowner) AS owners,
    count(*) FILTER (WHERE relpersistence = 'u') AS unlogged FROM pg_class WHERE relname ~ '^compress_hyper_.*_chunk$' AND relkind = 'r';
TABLE batches;

-- Names of columns.
ALTER TABLE m RENAME dev TO device;
ALTER TABLE m RENAME v TO value;
SELECT DISTINCT segmentby, orderby FROM timescaledb_information.chunk_columnstore_settings;
SELECT DISTINCT columns FROM _timescaledb_config.columnar_chunk;
SELECT device, count(*), min(value), max(w) FROM m WHERE value > 10 GROUP BY 1 ORDER BY 1;
-- A column that goes, and another that takes its name.
SELECT err('ALTER TABLE m DROP device');
ALTER TABLE m SET (timescaledb.segmentby = '');
SELECT err('ALTER TABLE m DROP device');
ALTER TABLE m SET (timescaledb.segmentby = 'device');
ALTER TABLE m DROP w;
ALTER TABLE m ADD w text;
SELECT DISTINCT columns FROM _timescaledb_config.columnar_chunk;
SELECT device, count(*), count(w) FROM m GROUP BY 1 ORDER BY 1;
CREATE DOMAIN name_of_value AS int;
ALTER TABLE m ADD d name_of_value;
INSERT INTO m VALUES ('2024-01-01 00:30', 1, 1, 'w', 1);
SELECT compress_chunk('_timescaledb_internal._hyper_1_1_chunk', recompress => true);
DROP DOMAIN name_of_value CASCADE;
SELECT columns FROM _timescaledb_config.columnar_chunk ORDER BY relid;
SELECT decompress_chunk('_timescaledb_internal._hyper_1_1_chunk');
SELECT device, count(*), min(value), max(value), count(w) FROM ONLY _timescaledb_internal._hyper_1_1_chunk GROUP BY 1 ORDER BY 1;
SELECT compress_chunk('_timescaledb_internal._hyper_1_1_chunk');
SELECT err('ALTER TABLE m SET (timescaledb.compress = false)');

-- What needs rows.
SELECT err($$CALL merge_chunks('_timescaledb_internal._hyper_1_1_chunk', '_timescaledb_internal._hyper_1_2_chunk')$$);
SELECT err($$CALL split_chunk('_timescaledb_internal._hyper_1_1_chunk')$$);
SELECT err($$CALL detach_chunk('_timescaledb_internal._hyper_1_1_chunk')$$);
SELECT err($$ALTER TABLE m DETACH PARTITION _timescaledb_internal._hyper_1_1_chunk$$);
SELECT err($$SELECT reorder_chunk('_timescaledb_internal._hyper_1_1_chunk', 'm_time_idx')$$);
SELECT err($$SELECT move_chunk('_timescaledb_internal._hyper_1_1_chunk', 'pg_default', reorder_index => 'm_time_idx')$$);
ALTER TABLE m DETACH PARTITION _timescaledb_internal._hyper_1_1_chunk CONCURRENTLY;
SELECT decompress_chunk('_timescaledb_internal._hyper_1_1_chunk');
CALL split_chunk('_timescaledb_internal._hyper_1_1_chunk');
SELECT format('CALL merge_chunks(%L, %L)', (array_agg(c ORDER BY c))[1], (array_agg(c ORDER BY c))[2]) FROM show_chunks('m', older_than => '2024-01-02'::timestamptz) c \gexec
SELECT count(*) FROM ONLY _timescaledb_internal._hyper_1_1_chunk;
SELECT compress_chunk('_timescaledb_internal._hyper_1_1_chunk');
TABLE batches;

-- Where the rows are, and whose.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE columnstore_a LOCATION '';
CREATE TABLESPACE columnstore_b LOCATION '';
CREATE VIEW places AS SELECT CASE WHEN i.indexrelid IS NOT NULL THEN 'index' WHEN c.oid = p.relid THEN 'rows' ELSE 'batches' END AS part, coalesce(t.spcname, '-') AS tablespace,
    pg_get_userbyid(c.relowner) = current_user AS mine, c.relpersistence AS kind
    FROM _timescaledb_config.columnar_chunk p JOIN pg_class c ON c.oid IN (p.relid, p.batches) OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = p.batches)
    LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE p.relid::text ~ '_hyper_1_1_chunk' ORDER BY 1;
SELECT move_chunk('_timescaledb_internal._hyper_1_1_chunk', 'columnstore_a', 'columnstore_b');
TABLE places;
ALTER TABLE m SET TABLESPACE pg_default;
TABLE places;
ALTER TABLE _timescaledb_internal._hyper_1_1_chunk SET TABLESPACE columnstore_b;
TABLE places;
ALTER TABLE m SET UNLOGGED;
TABLE places;
ALTER TABLE m SET LOGGED;
CREATE ROLE columnstore_owner;
ALTER TABLE m OWNER TO columnstore_owner;
TABLE places;
TABLE batches;
ALTER TABLE m OWNER TO CURRENT_USER;
SELECT move_chunk('_timescaledb_internal._hyper_1_1_chunk', 'pg_default');
DROP TABLESPACE columnstore_a;
DROP TABLESPACE columnstore_b;
DROP ROLE columnstore_owner;
SELECT decompress_chunk('_timescaledb_internal._hyper_1_1_chunk');
SELECT count(*), sum(value) FROM ONLY _timescaledb_internal._hyper_1_1_chunk;

-- TRUNCATE, by whatever way.
SELECT compress_chunk('_timescaledb_internal._hyper_1_1_chunk');
BEGIN;
TRUNCATE _timescaledb_internal._hyper_1_1_chunk;
TABLE batches;
ROLLBACK;
TABLE batches;
BEGIN;
SAVEPOINT s;
TRUNCATE m;
ROLLBACK TO s;
TABLE batches;
TRUNCATE _timescaledb_internal._hyper_1_1_chunk;
COMMIT;
TABLE batches;
SELECT count(value) FROM m;
SELECT count(value) FROM _timescaledb_internal._hyper_1_1_chunk;
SELECT is_compressed FROM timescaledb_information.chunks ORDER BY chunk_name;
CREATE TABLE kinds (kind int PRIMARY KEY);
INSERT INTO kinds VALUES (10), (20), (30);
SELECT decompress_chunk(c, true) IS NULL FROM show_chunks('m') c;
ALTER TABLE m ADD FOREIGN KEY (value) REFERENCES kinds;
SELECT compress_chunk(c) IS NULL FROM show_chunks('m') c;
TABLE batches;
SELECT err('TRUNCATE kinds');
-- A trigger that truncates another hypertable meanwhile.
CREATE TABLE other (LIKE m);
SELECT created FROM create_hypertable('other', 'time');
INSERT INTO other VALUES ('2024-01-01');
ALTER TABLE other SET (timescaledb.compress);
SELECT compress_chunk(c) IS NULL FROM show_chunks('other') c;
CREATE FUNCTION truncate_other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN TRUNCATE other; RETURN NULL; END $$;
CREATE TRIGGER t BEFORE TRUNCATE ON kinds EXECUTE FUNCTION truncate_other();
TRUNCATE kinds CASCADE;
TABLE batches;
SELECT count(value) FROM m;
SELECT count(*) FROM show_chunks('m');
ALTER TABLE m DROP CONSTRAINT m_value_fkey;

-- DROP, by whatever way.
ALTER TABLE m DROP w;
ALTER TABLE m ADD w text;
CALL fill();
TABLE batches;
SELECT count(*) FROM drop_chunks('m', older_than => '2024-01-02'::timestamptz);
TABLE batches;
DROP TABLE _timescaledb_internal._hyper_1_2_chunk;
TABLE batches;
-- Not alone, and the extension only with them.
CREATE FUNCTION nameless(message text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(message, '(compress_hyper_|table )[^ ]*_chunk', '\1N_chunk', 'g') $$;
SELECT nameless(err('DROP TABLE ' || batches)) FROM _timescaledb_config.columnar_chunk LIMIT 1;
SELECT nameless(err('DROP TABLE ' || batches || ' CASCADE')) FROM _timescaledb_config.columnar_chunk LIMIT 1;
SELECT split_part(err('DROP EXTENSION timescale_compat'), E'\n', 1);
TABLE batches;
SELECT chunk_name, is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'm' ORDER BY 1;
DROP TABLE m, other;
TABLE batches;
TABLE _timescaledb_config.columnstore;
