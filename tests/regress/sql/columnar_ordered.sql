-- Compressed chunks read in order: the same rows in the same order as from a plain table, whatever the order and the batches are like.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
SET datestyle TO 'ISO';
CREATE TABLE plain (time timestamptz NOT NULL, seq float8, host text, site int, v int, note text);
-- Many small segments, so that batches hold several, and a few large ones, so that a segment has several batches; NULLs in all keys.
INSERT INTO plain SELECT '2026-01-01'::timestamptz + n % 1440 * interval '1 min' + CASE WHEN n % 7 = 0 THEN interval '1 day' ELSE '0' END,
    CASE WHEN n % 17 = 0 THEN NULL WHEN n % 19 = 0 THEN 'NaN'::float8 ELSE n % 50 END,
    CASE WHEN n % 40 = 0 THEN NULL WHEN n % 3 = 0 THEN 'small_' || n % 200 WHEN n % 5 = 1 THEN 'large_2' ELSE 'large_1' END, n % 3, n,
    CASE WHEN n % 4 = 0 THEN NULL ELSE 'note ' || n END
FROM generate_series(1, 21000) n;
CREATE TABLE one (LIKE plain);
CREATE TABLE two (LIKE plain);
CREATE TABLE three (LIKE plain);
SELECT create_hypertable('one', 'time', chunk_time_interval => interval '1 day'), create_hypertable('two', 'time', chunk_time_interval => interval '1 day'),
    create_hypertable('three', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE one SET (timescaledb.compress, timescaledb.compress_segmentby = 'host', timescaledb.compress_orderby = 'time DESC');
ALTER TABLE two SET (timescaledb.compress, timescaledb.compress_segmentby = 'host, site', timescaledb.compress_orderby = 'seq DESC NULLS LAST, time');
ALTER TABLE three SET (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'time, seq');
INSERT INTO one SELECT * FROM plain;
INSERT INTO two SELECT * FROM plain;
INSERT INTO three SELECT * FROM plain;
SELECT count(compress_chunk(c)) FROM unnest(ARRAY['one', 'two', 'three']) h, show_chunks(h::regclass) c;
-- Rows besides, in the first chunk.
INSERT INTO plain SELECT time, seq + 0.5, host, site, v + 100000, note FROM plain WHERE time < '2026-01-01 01:00' AND v % 5 = 0;
INSERT INTO one SELECT * FROM plain WHERE v > 100000;
INSERT INTO two SELECT * FROM plain WHERE v > 100000;
INSERT INTO three SELECT * FROM plain WHERE v > 100000;
ANALYZE;

-- Compares, in order, what a query says of each hypertable with what it says of the plain table. Every query ends its ORDER BY by v, or
-- gives nothing but the columns of its ORDER BY.
CREATE FUNCTION differences(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE wanted text[]; got text[]; ht text; result text := '';
BEGIN
    EXECUTE format('SELECT array_agg(x::text) FROM (%s) x', replace(query, '%t', 'plain')) INTO wanted;
    FOREACH ht IN ARRAY ARRAY['one', 'two', 'three'] LOOP
        EXECUTE format('SELECT array_agg(x::text) FROM (%s) x', replace(query, '%t', ht)) INTO got;
        IF got IS DISTINCT FROM wanted THEN
            result := result || format(' %s gives %s rows instead of %s;', ht, cardinality(got), cardinality(wanted));
        END IF;
    END LOOP;
    RETURN nullif(result, '');
END $$;
CREATE TABLE orders (o text);
INSERT INTO orders VALUES ('time'), ('time DESC'), ('time NULLS FIRST'), ('host'), ('host DESC'), ('host NULLS FIRST'), ('host, time'), ('host, time DESC'),
    ('host DESC, time'), ('time, host'), ('time DESC, host DESC'), ('seq'), ('seq DESC'), ('seq DESC NULLS LAST'), ('seq NULLS FIRST'), ('seq DESC NULLS LAST, time'),
    ('seq NULLS FIRST, time DESC'), ('host, site, seq DESC NULLS LAST, time'), ('site, host, time'), ('host, site, seq'), ('time, seq'), ('time DESC, seq DESC'),
    ('time, seq DESC'), ('time DESC, seq DESC NULLS LAST'), ('site DESC, seq');
CREATE VIEW queries AS
    SELECT replace(replace(q, '{o}', o), '{c}', regexp_replace(o, ' (DESC|NULLS FIRST|NULLS LAST)', '', 'g')) AS q FROM orders, (VALUES
        ('SELECT {c} FROM %t ORDER BY {o}'), ('SELECT * FROM %t ORDER BY {o}, v'), ('SELECT * FROM %t ORDER BY {o}, v LIMIT 13'),
        ('SELECT * FROM %t WHERE site = 1 ORDER BY {o}, v LIMIT 13 OFFSET 50'), ('SELECT * FROM %t WHERE host = ''large_1'' ORDER BY {o}, v LIMIT 20'),
        ('SELECT * FROM %t WHERE host LIKE ''small_1%'' AND v % 7 = 1 AND note IS NOT NULL ORDER BY {o}, v'),
        ('SELECT * FROM %t WHERE host IS NULL AND random() >= 0 ORDER BY {o}, v')) x (q);
SELECT count(*) FROM queries;
SELECT q, differences(q) FROM queries WHERE differences(q) IS NOT NULL;
-- Plans that must use the order, with too little memory for all batches that are open at once.
SET enable_sort = off; SET work_mem = '64kB'; SET hash_mem_multiplier = 1;
SELECT q, differences(q) FROM queries WHERE differences(q) IS NOT NULL;
RESET enable_sort; RESET work_mem; RESET hash_mem_multiplier;
SET timescaledb.enable_decompression_sorted_merge = off;
SELECT q, differences(q) FROM queries WHERE q LIKE '%LIMIT 20' AND differences(q) IS NOT NULL;
RESET timescaledb.enable_decompression_sorted_merge;

-- The first row of each.
CREATE VIEW firsts AS SELECT q FROM (VALUES
    ('SELECT DISTINCT ON (host) host, time FROM %t ORDER BY host, time DESC'),
    ('SELECT DISTINCT ON (host) host, time FROM %t ORDER BY host, time'),
    ('SELECT DISTINCT ON (host) host, time, site FROM %t ORDER BY host, time, site'),
    ('SELECT DISTINCT ON (host) host, time, v FROM %t ORDER BY host, time DESC, v'),
    ('SELECT DISTINCT ON (host, site) host, site, seq, time FROM %t ORDER BY host, site, seq DESC NULLS LAST, time'),
    ('SELECT DISTINCT ON (host) host, time FROM %t WHERE v % 10 = 3 ORDER BY host, time DESC'),
    ('SELECT DISTINCT ON (host) host, time FROM %t WHERE v + site > 15000 ORDER BY host, time DESC'),
    ('SELECT DISTINCT ON (host) host, time FROM %t WHERE time < ''2026-01-02 12:00'' ORDER BY host, time DESC LIMIT 5'),
    ('SELECT DISTINCT ON (time) time, host FROM %t ORDER BY time, host'),
    ('SELECT DISTINCT ON (host) time, host FROM %t WHERE host = ''large_1'' ORDER BY host, time DESC'),
    ('SELECT DISTINCT host FROM %t ORDER BY host'),
    ('SELECT DISTINCT host, site FROM %t ORDER BY host, site'),
    ('SELECT DISTINCT time FROM %t ORDER BY time DESC'),
    ('SELECT host, count(*) FROM %t GROUP BY host ORDER BY host'),
    ('SELECT time_bucket(''1 hour'', time) AS b, count(*) FROM %t GROUP BY b ORDER BY b LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time) AS b, count(*) FROM %t GROUP BY b ORDER BY b DESC LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time) AS b, v FROM %t ORDER BY b, v LIMIT 30'),
    ('SELECT max(time), min(time), max(host), min(host), max(seq), min(seq) FROM %t'),
    ('SELECT a.v, b.v AS w FROM %t a JOIN %t b USING (time, host, site) WHERE a.v < 300 ORDER BY 1, 2')) x (q);
SELECT q, differences(q) FROM firsts;
SET enable_sort = off; SET enable_hashagg = off; SET enable_hashjoin = off; SET enable_nestloop = off;
SELECT q, differences(q) FROM firsts WHERE differences(q) IS NOT NULL;
SET work_mem = '64kB'; SET hash_mem_multiplier = 1;
SELECT q, differences(q) FROM firsts WHERE differences(q) IS NOT NULL;
RESET ALL; SET timezone TO 'UTC'; SET datestyle TO 'ISO';

-- Few batches are opened.
CREATE FUNCTION read(query text) RETURNS TABLE (line text) LANGUAGE plpgsql AS $$
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Columnar|Batches Read|Sort|Append|Unique' THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
SELECT read('SELECT * FROM three ORDER BY time DESC LIMIT 10');
SELECT read('SELECT * FROM one WHERE host = ''large_1'' ORDER BY time LIMIT 10');
SELECT read('SELECT DISTINCT ON (host) * FROM one WHERE host LIKE ''large%'' ORDER BY host, time DESC');
SELECT read('SELECT max(time) FROM three');

-- Rescans, and a cursor that stops.
SELECT x.h, y.* FROM (VALUES ('large_1'), ('large_2'), ('small_3')) x (h), LATERAL (SELECT time, v FROM one WHERE host = x.h ORDER BY time DESC, v LIMIT 2) y;
BEGIN;
DECLARE c CURSOR FOR SELECT time, v FROM one WHERE host = 'large_1' ORDER BY time, v;
FETCH 2 FROM c;
CLOSE c;
COMMIT;
