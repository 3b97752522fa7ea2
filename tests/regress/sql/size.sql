-- Sizes are sums of PostgreSQL's own; row counts those of its statistics.
CREATE EXTENSION timescale_compat;
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

CREATE TABLE m (time timestamptz NOT NULL, dev int, note text, PRIMARY KEY (time, dev));
SELECT created FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
SELECT hypertable_size('m'), hypertable_approximate_size('m'), approximate_row_count('m');
SELECT * FROM hypertable_detailed_size('m');
INSERT INTO m SELECT t, d, CASE WHEN d = 1 THEN (SELECT string_agg(md5(n::text || t), '') FROM generate_series(1, 300) n) END
    FROM generate_series('2024-01-01'::timestamptz, '2024-01-03 23:00', '1 hour') t, generate_series(1, 5) d;
VACUUM ANALYZE m;

CREATE VIEW expected AS
SELECT n.nspname AS chunk_schema, c.relname AS chunk_name,
    pg_total_relation_size(c.oid) - pg_indexes_size(c.oid) - pg_total_relation_size(c.reltoastrelid) AS table_bytes,
    pg_indexes_size(c.oid) AS index_bytes, pg_total_relation_size(c.reltoastrelid) AS toast_bytes, pg_total_relation_size(c.oid) AS total_bytes,
    NULL::name AS node_name
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = 'm'::regclass;
SELECT chunk_schema, chunk_name, table_bytes > 0 AS has_table, index_bytes > 0 AS has_index, toast_bytes > 8192 AS has_toast, node_name
    FROM chunks_detailed_size('m');
(SELECT * FROM chunks_detailed_size('m') EXCEPT TABLE expected) UNION ALL (TABLE expected EXCEPT SELECT * FROM chunks_detailed_size('m'));
SELECT table_bytes + index_bytes + toast_bytes = total_bytes AS adds_up, d.total_bytes = (SELECT sum(total_bytes) FROM expected) AS same,
    d.toast_bytes = (SELECT sum(toast_bytes) FROM expected) AS same_toast, d.index_bytes = (SELECT sum(index_bytes) FROM expected) AS same_index, node_name
    FROM hypertable_detailed_size('m') d;
SELECT hypertable_size('m') = (SELECT sum(total_bytes) FROM expected) AS same;
SELECT hypertable_approximate_size('m') = hypertable_size('m') AS same;
SELECT a = (SELECT ROW(table_bytes, index_bytes, toast_bytes, total_bytes) FROM hypertable_detailed_size('m')) AS same
    FROM hypertable_approximate_detailed_size('m') a;
SELECT hypertable_index_size('m_pkey') + hypertable_index_size('m_time_idx') = (SELECT sum(index_bytes) FROM expected) AS same;
SELECT approximate_row_count('m'), approximate_row_count('_timescaledb_internal._hyper_1_1_chunk');

-- Plain, inherited and partitioned tables have row counts too.
CREATE TABLE plain (i int);
SELECT approximate_row_count('plain');
INSERT INTO plain SELECT generate_series(1, 100);
CREATE TABLE inheriting () INHERITS (plain);
INSERT INTO inheriting SELECT generate_series(1, 50);
ANALYZE plain, inheriting;
SELECT approximate_row_count('plain');
CREATE TABLE h (t int NOT NULL, dev int);
SELECT created FROM create_hypertable('h', 't', 'dev', 3, chunk_time_interval => 10);
INSERT INTO h SELECT g, g FROM generate_series(0, 39) g;
ANALYZE h;
SELECT approximate_row_count('h'), count(*) FROM chunks_detailed_size('h');
SELECT hypertable_size('h') = sum(pg_total_relation_size(c)) AS same FROM show_chunks('h') c;
SELECT hypertable_index_size('h_t_idx') > 0 AS has_index;

-- Nothing for nothing, errors for other tables; sizes are nobody's secret.
SELECT hypertable_size(NULL), hypertable_size(0), hypertable_index_size(NULL), hypertable_index_size(0), approximate_row_count(NULL), approximate_row_count(0);
SELECT * FROM hypertable_detailed_size(NULL);
SELECT * FROM chunks_detailed_size(0);
SELECT err($$SELECT hypertable_size('plain')$$);
SELECT err($$SELECT hypertable_detailed_size('plain')$$);
SELECT err($$SELECT chunks_detailed_size('_timescaledb_internal._hyper_1_1_chunk')$$);
SELECT err($$SELECT hypertable_index_size('_timescaledb_internal._hyper_1_1_chunk_pkey')$$);
SELECT err($$SELECT hypertable_index_size('plain')$$);
SELECT err($$SELECT hypertable_size('missing')$$);
CREATE ROLE size_reader;
SET ROLE size_reader;
SELECT hypertable_size('m') > 0 AS visible, (SELECT count(*) FROM chunks_detailed_size('m')), approximate_row_count('m');
RESET ROLE;
DROP ROLE size_reader;
