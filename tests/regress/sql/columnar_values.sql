-- Values that come back from batches as they were, and conditions that find them.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';

-- Values out of line in both parts: the row part's go with its heap.
CREATE TABLE long (time timestamptz NOT NULL, n int, t text);
ALTER TABLE long ALTER t SET STORAGE EXTERNAL;
SELECT create_hypertable('long', 'time');
INSERT INTO long SELECT '2026-01-01'::timestamptz + n * interval '1 s', n, repeat(md5(n::text), 200) FROM generate_series(1, 50) n;
ALTER TABLE long SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'time');
SELECT count(compress_chunk(c)) FROM show_chunks('long') c;
INSERT INTO long SELECT '2026-01-01'::timestamptz + n * interval '1 s', n, repeat(md5(n::text), 200) FROM generate_series(51, 60) n;
ALTER TABLE long ADD more text DEFAULT 'more';
SELECT count(decompress_chunk(c)) FROM show_chunks('long') c;
SELECT count(*), bool_and(t = repeat(md5(n::text), 200)) AS same, min(more), max(more) FROM long;

-- Values that are kept as text don't depend on the settings of who wrote or reads them.
CREATE TYPE part AS (d date, f float8, i interval, s text[], x xml, m money);
CREATE TABLE texts (time timestamptz NOT NULL, p part);
SELECT create_hypertable('texts', 'time');
ALTER TABLE texts SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'time');
SET datestyle TO 'SQL, DMY';
SET extra_float_digits TO 0;
SET intervalstyle TO 'sql_standard';
INSERT INTO texts VALUES ('2026-01-01 00:00:00+00', ROW('2026-02-03', 0.1::float8 + 0.2::float8, '-1 mon 2 days -03:00', '{a,NULL}', 'a<b/>', 12.34::numeric));
SELECT count(compress_chunk(c)) FROM show_chunks('texts') c;
RESET datestyle;
RESET extra_float_digits;
SET array_nulls TO off;
SET xmloption TO document;
SELECT (p).d, (p).f, (p).f = 0.1::float8 + 0.2::float8 AS exact, (p).i, (p).s[2] IS NULL AS null, (p).x, (p).m FROM texts;
SELECT count(decompress_chunk(c)) FROM show_chunks('texts') c;
SELECT (p).d, (p).f, (p).f = 0.1::float8 + 0.2::float8 AS exact, (p).i, (p).s[2] IS NULL AS null, (p).x, (p).m FROM texts;
RESET array_nulls;
RESET xmloption;
RESET intervalstyle;

-- Functions may leave bits in a Datum that are not the value's.
SELECT bool_and(hashtext(n::text) < 0) AS negative FROM generate_series(1, 3) n;
CREATE TABLE hashes (time timestamptz NOT NULL, h int NOT NULL, n int, UNIQUE (h, time));
SELECT create_hypertable('hashes', 'time');
INSERT INTO hashes SELECT '2026-01-01'::timestamptz + n * interval '1 s', hashtext(n::text), n FROM generate_series(1, 3000) n;
ALTER TABLE hashes SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'h, time');
SELECT count(compress_chunk(c)) FROM show_chunks('hashes') c;
SELECT n FROM hashes WHERE h = hashtext('1');
SELECT n FROM generate_series(1, 3) n WHERE EXISTS (SELECT FROM hashes x WHERE x.h = hashtext(n::text) AND x.n = n) ORDER BY n;
SELECT n FROM hashes WHERE h IN (hashtext('1'), hashtext('2')) ORDER BY n;
SELECT count(*) = (SELECT count(*) FROM generate_series(1, 3000) n WHERE hashtext(n::text) < hashtext('3')) AS same FROM hashes WHERE h < hashtext('3');
INSERT INTO hashes VALUES ('2026-01-01 00:00:01+00', hashtext('1'), 1);

-- A condition is not evaluated on a row that an earlier one hides, nor on a NULL that is not there.
CREATE TABLE kinds (time timestamptz NOT NULL, kind text, v text, w text);
SELECT create_hypertable('kinds', 'time');
INSERT INTO kinds SELECT '2026-01-01'::timestamptz + n * interval '1 s', CASE WHEN n % 2 = 0 THEN 'number' ELSE 'text' END,
    CASE WHEN n % 2 = 0 THEN n::text ELSE 'x' || n END, CASE WHEN n % 2 = 0 THEN (n % 4)::text ELSE 'none' END FROM generate_series(1, 3000) n;
CREATE FUNCTION not_null(t text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF t IS NULL THEN RAISE 'null'; END IF; RETURN true; END $$;
ALTER TABLE kinds SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'time');
SELECT count(compress_chunk(c)) FROM show_chunks('kinds') c;
SELECT count(*) FROM kinds WHERE kind = 'number' AND v::int > 5;
SELECT count(*) FROM kinds WHERE kind = 'number' AND w::int > 1;
SELECT count(*) FROM kinds WHERE kind = 'text' OR w::int > 1;
SELECT count(*) FROM kinds WHERE NOT (kind = 'text' OR NOT (w::int > 1 AND v::int < 1000));
SELECT count(*) FROM kinds WHERE not_null(v);

-- Batches of large values are cut by their size.
CREATE TABLE large (time timestamptz NOT NULL, n int, t text);
SELECT create_hypertable('large', 'time');
INSERT INTO large SELECT '2026-01-01'::timestamptz + n * interval '1 s', n, repeat(md5(n::text), 12500) FROM generate_series(1, 200) n;
ALTER TABLE large SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'time');
SELECT count(compress_chunk(c)) FROM show_chunks('large') c;
SELECT format('SELECT count(*) > 1 AS several, sum(_ts_meta_count) FROM %s', batches::regclass) FROM _timescaledb_config.columnar_chunk
WHERE relid IN (SELECT show_chunks('large')) \gexec
SELECT count(*), bool_and(t = repeat(md5(n::text), 12500)) AS same FROM large;

-- Keys that are long together are not kept.
CREATE TABLE keys (time timestamptz NOT NULL, a text, b text, c text, d text, e text, f text, g text, h text, n int);
SELECT create_hypertable('keys', 'time');
INSERT INTO keys SELECT '2026-01-01'::timestamptz + n * interval '1 s', x, x, x, x, x, x, x, x, n
FROM generate_series(1, 3000) n, LATERAL (SELECT md5(n::text) || md5(n::text || 'x') || md5(n::text || 'y') || md5(n::text || 'z') || md5(n::text || 'a') || md5(n::text || 'b') AS x) y;
ALTER TABLE keys SET (timescaledb.compress, timescaledb.compress_segmentby = 'a, b, c, d, e, f, g, h', timescaledb.compress_orderby = 'time');
SELECT count(compress_chunk(c)) FROM show_chunks('keys') c;
SELECT count(*), sum(n) FROM keys;
SELECT n FROM keys WHERE a LIKE md5('7') || '%' AND b = a;
SELECT k.n FROM keys k JOIN keys l USING (a) WHERE l.n = 8;
