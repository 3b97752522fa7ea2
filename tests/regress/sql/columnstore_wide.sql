-- A batch is a row: how many columns it can have, and what happens beyond.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;
CREATE FUNCTION add_columns(wide regclass, count int, type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s %s', wide, (SELECT string_agg(format('ADD c%s %s', i, type), ', ') FROM generate_series(1, count) i));
END $$;
\pset format unaligned

-- Values that take room in each column: refused beyond what a row can point to, and nothing is lost.
CREATE TABLE w (time timestamptz NOT NULL);
SELECT FROM create_hypertable('w', 'time', create_default_indexes => false);
SELECT add_columns('w', 500, 'float8');
ALTER TABLE w SET (timescaledb.compress, timescaledb.segmentby = '', timescaledb.orderby = 'time');
SELECT format('INSERT INTO w SELECT ''2026-01-01''::timestamptz + i * interval ''1 s'', %s FROM generate_series(1, 200) i',
    (SELECT string_agg(format('i * 0.37 + sqrt(i + %s)', c), ', ') FROM generate_series(1, 500) c)) AS statement \gset
:statement;
SELECT err(format('SELECT compress_chunk(%L)', c)) FROM show_chunks('w') c;
SELECT count(*), sum(c1)::numeric(12, 4), sum(c500)::numeric(12, 4) FROM w;
-- Straight into columns: such rows take the usual way.
ALTER TABLE w SET (timescaledb.direct_compress);
SET timescaledb.enable_direct_compress_insert = on;
SELECT replace(:'statement', '2026-01-01', '2028-01-01') AS statement \gset
:statement;
SELECT count(*), sum(c1)::numeric(12, 4), sum(c500)::numeric(12, 4) FROM w;
SELECT count(*) AS compressed FROM timescaledb_information.chunks WHERE is_compressed;
-- Columns of one value, or of none, need less.
UPDATE w SET (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10) = (SELECT 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
SELECT format('UPDATE w SET %s', string_agg(format('c%s = NULL', c), ', ')) FROM generate_series(100, 200) c \gexec
SELECT count(compress_chunk(c)) FROM show_chunks('w') c;
SELECT count(*), sum(c1), sum(c99)::numeric(12, 4), sum(c100), sum(c500)::numeric(12, 4) FROM w;
-- Within a row's reach, they go straight into columns.
CREATE TABLE n (time timestamptz NOT NULL);
SELECT FROM create_hypertable('n', 'time', create_default_indexes => false);
SELECT add_columns('n', 300, 'float8 DEFAULT random()');
ALTER TABLE n SET (timescaledb.compress, timescaledb.segmentby = '', timescaledb.orderby = 'time', timescaledb.direct_compress);
INSERT INTO n SELECT '2026-01-01'::timestamptz + i * interval '1 s' FROM generate_series(1, 2000) i;
SELECT count(*), count(c300) FROM n;
SELECT count(*) AS compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'n' AND is_compressed;
-- More columns than a table of batches can have.
CREATE TABLE x (time timestamptz NOT NULL);
SELECT FROM create_hypertable('x', 'time', create_default_indexes => false);
SELECT add_columns('x', 1599, 'bool');
ALTER TABLE x SET (timescaledb.compress, timescaledb.segmentby = '', timescaledb.orderby = 'time');
INSERT INTO x (time, c1599) VALUES ('2026-01-01', true);
SELECT regexp_replace(err(format('SELECT compress_chunk(%L)', c)), 'chunk "\w+"', 'chunk') FROM show_chunks('x') c;
ALTER TABLE x DROP c1, DROP c2, DROP c3, DROP c4, DROP c5;
SELECT count(compress_chunk(c)) FROM show_chunks('x') c;
SELECT time, c1599 FROM x;
DROP TABLE w, n, x;
DROP EXTENSION timescale_compat;
