-- Every way to read a hypertable whose chunks are compressed, partly compressed, or not, against a plain table with the same rows.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE plain (
    time timestamptz NOT NULL, host text, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, num numeric, u uuid, js jsonb,
    arr int[], m mood, d date, ts timestamp, iv interval, bt bytea, ip inet, c char(5), v varchar(20), r int4range);
INSERT INTO plain SELECT
    t, CASE WHEN h = 5 THEN NULL ELSE 'host_' || h END, n % 3 = 0, n % 100, n, n * 1000000007::bigint, n / 8.0, CASE n % 11 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' ELSE n / 10.0 END,
    CASE WHEN n % 7 = 0 THEN NULL ELSE n * 1.25 END, md5(n::text)::uuid, CASE WHEN n % 13 = 0 THEN NULL ELSE jsonb_build_object('n', n % 4) END,
    ARRAY[n % 3, n % 5, NULL], (ARRAY['sad', 'ok', 'happy'])[n % 3 + 1]::mood, t::date, t::timestamp, make_interval(secs => n % 60),
    decode(md5(n::text), 'hex'), ('10.0.0.' || n % 256)::inet, 'c' || n % 10, CASE WHEN n % 5 = 0 THEN NULL ELSE repeat('v', n % 20) END, int4range(n, n + 3)
FROM generate_series('2026-01-01'::timestamptz, '2026-01-04 23:50', '10 min') WITH ORDINALITY AS t (t, o), generate_series(1, 6) h,
    LATERAL (SELECT (o * 6 + h)::int AS n) x;
CREATE TABLE ht (LIKE plain);
SELECT create_hypertable('ht', 'time', chunk_time_interval => interval '1 day');
CREATE INDEX ON ht (host, time DESC);
INSERT INTO ht SELECT * FROM plain;
ALTER TABLE ht SET (timescaledb.compress, timescaledb.compress_segmentby = 'host', timescaledb.compress_orderby = 'time DESC');
SELECT count(compress_chunk(c)) FROM show_chunks('ht', older_than => '2026-01-04'::timestamptz) c;
-- The second chunk gets rows besides.
INSERT INTO plain SELECT time + interval '3 min', host, b, i2, i4 + 1, i8, f4, f8, num, u, js, arr, m, d, ts, iv, bt, ip, c, v, r FROM plain
WHERE time >= '2026-01-02' AND time < '2026-01-02 02:00';
INSERT INTO ht SELECT * FROM plain WHERE time >= '2026-01-02' AND time < '2026-01-02 03:00' AND extract(minute FROM time)::int % 10 = 3;
VACUUM ANALYZE ht;
ANALYZE plain;

-- check(query): the rows of a query on `ht` and on `plain`; `%t` stands for the table.
CREATE FUNCTION same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE one bigint; other bigint; missing bigint;
BEGIN
    EXECUTE format('CREATE TEMP TABLE got AS SELECT x::text AS x FROM (%s) x', replace(query, '%t', 'ht'));
    EXECUTE format('CREATE TEMP TABLE wanted AS SELECT x::text AS x FROM (%s) x', replace(query, '%t', 'plain'));
    SELECT count(*) INTO one FROM got;
    SELECT count(*) INTO other FROM wanted;
    SELECT count(*) INTO missing FROM ((TABLE got EXCEPT ALL TABLE wanted) UNION ALL (TABLE wanted EXCEPT ALL TABLE got)) x;
    DROP TABLE got, wanted;
    RETURN CASE WHEN missing = 0 THEN 'same ' || one ELSE format('DIFFERENT: %s and %s, %s differ', one, other, missing) END;
END $$;
CREATE TABLE queries (n serial, q text);
INSERT INTO queries (q) VALUES
    ('SELECT * FROM %t'),
    ('SELECT host, f8, num FROM %t'),
    ('SELECT count(*) FROM %t'),
    ('SELECT count(*), count(host), count(num), sum(i8), min(u::text), max(v) FROM %t'),
    ('SELECT t FROM %t t'),
    ('SELECT t.* FROM %t t WHERE t IS NOT NULL'),
    ('SELECT i4 FROM %t WHERE host = ''host_3'''),
    ('SELECT i4 FROM %t WHERE host IS NULL'),
    ('SELECT i4 FROM %t WHERE host = ''host_3'' AND time > ''2026-01-02 12:00'''),
    ('SELECT i4 FROM %t WHERE time BETWEEN ''2026-01-01 23:00'' AND ''2026-01-02 01:00'''),
    ('SELECT i4 FROM %t WHERE host IN (''host_1'', ''host_2'', NULL)'),
    ('SELECT i4 FROM %t WHERE host NOT IN (''host_1'', ''host_2'')'),
    ('SELECT i4 FROM %t WHERE f8 = ''NaN'''),
    ('SELECT i4 FROM %t WHERE f8 < 10 OR f4 > 400'),
    ('SELECT i4 FROM %t WHERE NOT (f8 < 10 OR i2 = 3)'),
    ('SELECT i4 FROM %t WHERE num > 100.5 AND b'),
    ('SELECT i4 FROM %t WHERE NOT b'),
    ('SELECT i4 FROM %t WHERE num IS NULL AND js IS NOT NULL'),
    ('SELECT i4 FROM %t WHERE v LIKE ''vvv%'''),
    ('SELECT i4 FROM %t WHERE m = ''ok'' AND d = ''2026-01-02'''),
    ('SELECT i4 FROM %t WHERE js->>''n'' = ''2'''),
    ('SELECT i4 FROM %t WHERE arr @> ARRAY[1] AND ip << ''10.0.0.0/28'''),
    ('SELECT i4 FROM %t WHERE c = ''c3'' AND r @> 100'),
    ('SELECT i4 FROM %t WHERE i4 + i2 > 1000 AND length(host) = 6'),
    ('SELECT i4 FROM %t WHERE iv > interval ''30 s'' AND extract(hour FROM time) = 3'),
    ('SELECT i4 FROM %t WHERE i4 = ANY (SELECT i4 FROM %t WHERE i2 = 7)'),
    ('SELECT i4 FROM %t a WHERE EXISTS (SELECT FROM %t b WHERE b.i4 = a.i4 + 5 AND b.host = ''host_2'')'),
    ('SELECT a.i4, b.i4 FROM %t a JOIN %t b USING (time, host) WHERE a.i2 < 10'),
    ('SELECT a.i4, b.i4 FROM %t a LEFT JOIN %t b ON b.time = a.time + interval ''1 day'' AND a.host = b.host WHERE a.i2 < 10'),
    ('SELECT a.i4, b.i4 FROM %t a FULL JOIN (SELECT * FROM %t WHERE b) b ON a.i4 = b.i4'),
    ('SELECT x.h, y.* FROM (VALUES (''host_1''), (''host_6''), (''none'')) x (h), LATERAL (SELECT i4 FROM %t WHERE host = x.h ORDER BY time DESC LIMIT 3) y'),
    ('SELECT h, (SELECT max(time) FROM %t WHERE host = h) FROM (SELECT ''host_'' || n AS h FROM generate_series(1, 7) n) x'),
    ('SELECT host, max(time), min(i8), avg(i4) FROM %t GROUP BY host'),
    ('SELECT time_bucket(''6 hours'', time) AS bucket, host, sum(i4) FROM %t GROUP BY 1, 2 HAVING sum(i4) > 100'),
    ('SELECT min(time), max(time) FROM %t'),
    ('SELECT min(time), max(time) FROM %t WHERE host = ''host_4'''),
    ('SELECT first(i4, time), last(i4, time) FROM %t WHERE host = ''host_4'''),
    ('SELECT DISTINCT host, m FROM %t'),
    ('SELECT DISTINCT ON (host) host, time, i4 FROM %t ORDER BY host, time DESC'),
    ('SELECT time, i4 FROM %t ORDER BY time DESC, i4 DESC LIMIT 20'),
    ('SELECT time, host FROM %t ORDER BY time, host OFFSET 400 LIMIT 20'),
    ('SELECT i4, row_number() OVER (PARTITION BY host ORDER BY time) FROM %t WHERE i2 < 20'),
    ('SELECT i4 FROM %t WHERE time > (SELECT min(time) + interval ''2 days'' FROM %t)'),
    ('SELECT i4 FROM %t WHERE false'),
    ('SELECT i4 FROM %t WHERE i4 < 0 UNION ALL SELECT i4 FROM %t WHERE i4 < 30'),
    ('WITH w AS MATERIALIZED (SELECT * FROM %t WHERE b) SELECT count(*), sum(i4) FROM w'),
    ('WITH RECURSIVE w AS (SELECT i4 FROM %t WHERE i4 = 10 UNION ALL SELECT a.i4 FROM %t a JOIN w ON a.i4 = w.i4 + 1 WHERE a.i4 < 20) TABLE w'),
    ('SELECT 1 FROM %t WHERE host = ''host_2'' AND time < ''2026-01-01 01:00'''),
    ('SELECT x.h, y.z FROM (VALUES (''host_1''), (''host_6'')) x (h), LATERAL (SELECT i4 + length(x.h) AS z FROM %t WHERE host = x.h OR i4 < length(x.h)) y'),
    ('SELECT x.h, y.z FROM (VALUES (''host_1''), (''host_6'')) x (h) LEFT JOIN LATERAL (SELECT coalesce(host, x.h) AS z FROM %t WHERE i4 < 40) y ON y.z <> x.h'),
    ('SELECT i4 FROM %t a WHERE host = (SELECT min(host) FROM %t b WHERE b.i4 = a.i4) AND i4 < 50'),
    ('SELECT DISTINCT ON (host, m) host, m, time FROM %t ORDER BY host, m, time DESC'),
    ('SELECT DISTINCT ON (host) host, time FROM (SELECT host, time FROM %t UNION ALL SELECT host, time + ''1 s'' FROM %t) u ORDER BY host, time DESC'),
    ('SELECT host, time FROM (SELECT DISTINCT ON (host) host, time FROM %t ORDER BY host, time) a UNION ALL SELECT host, time FROM (SELECT DISTINCT ON (host) host, time FROM %t WHERE time < ''2026-01-03'' ORDER BY host, time) b'),
    ('SELECT count(*) FROM %t WHERE current_setting(''timezone'') = ''UTC'''),
    ('SELECT count(*) FROM %t WHERE current_setting(''timezone'') <> ''UTC'''),
    ('SELECT 1 AS one'),
    ('SELECT xmin IS NOT NULL AND ctid IS NOT NULL AS ok, cmin IS NOT NULL AS c, i4 FROM %t WHERE i2 = 5');
-- The settings that choose plans: none may change a result.
SELECT n, same(q) FROM queries ORDER BY n;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;
SELECT n, same(q) FROM queries WHERE same(q) NOT LIKE 'same%' ORDER BY n;
RESET ALL; SET timezone TO 'UTC';
SET timescaledb.enable_columnar_scan_filter_pushdown = off;
SELECT n, same(q) FROM queries WHERE same(q) NOT LIKE 'same%' ORDER BY n;
RESET ALL; SET timezone TO 'UTC';
SET timescaledb.enable_columnarscan = off; SET enable_hashagg = off; SET enable_hashjoin = off;
SELECT n, same(q) FROM queries WHERE same(q) NOT LIKE 'same%' ORDER BY n;
RESET ALL; SET timezone TO 'UTC';
SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on; SET enable_nestloop = off;
SELECT n, same(q) FROM queries WHERE same(q) NOT LIKE 'same%' ORDER BY n;
RESET ALL; SET timezone TO 'UTC';
SET timescaledb.enable_optimizations = off;
SELECT n, same(q) FROM queries WHERE same(q) NOT LIKE 'same%' ORDER BY n;
RESET ALL; SET timezone TO 'UTC';
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT n, same(q) FROM queries WHERE same(q) NOT LIKE 'same%' ORDER BY n;
RESET ALL; SET timezone TO 'UTC';

-- Plans.
EXPLAIN (COSTS OFF) SELECT host, i4 FROM ht WHERE host = 'host_1' AND time < '2026-01-03' AND i4 + i2 > 10;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT host, i4 FROM ht WHERE host = 'host_1' AND time < '2026-01-02';
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*) FROM ht WHERE time < '2026-01-02';

-- Prepared: run with other parameters, and after the chunks have changed their state.
SET plan_cache_mode = force_generic_plan;
PREPARE q (text, timestamptz) AS SELECT count(*), sum(i4) FROM ht WHERE host = $1 AND time >= $2;
PREPARE p (text, timestamptz) AS SELECT count(*), sum(i4) FROM plain WHERE host = $1 AND time >= $2;
EXECUTE q ('host_1', '2026-01-01'); EXECUTE p ('host_1', '2026-01-01');
EXECUTE q ('host_2', '2026-01-02 05:00'); EXECUTE p ('host_2', '2026-01-02 05:00');
EXECUTE q (NULL, '2026-01-02 05:00');
SELECT count(compress_chunk(c)) FROM show_chunks('ht', newer_than => '2026-01-04'::timestamptz) c;
EXECUTE q ('host_2', '2026-01-01'); EXECUTE p ('host_2', '2026-01-01');
SELECT count(decompress_chunk(c)) FROM show_chunks('ht', older_than => '2026-01-02'::timestamptz) c;
EXECUTE q ('host_2', '2026-01-01'); EXECUTE p ('host_2', '2026-01-01');
INSERT INTO ht (time, host, i4) VALUES ('2026-01-03 00:00:01', 'host_2', 1000000);
EXECUTE q ('host_2', '2026-01-01');
DELETE FROM ht WHERE i4 = 1000000;
SELECT count(compress_chunk(c)) FROM show_chunks('ht', older_than => '2026-01-02'::timestamptz) c;
RESET plan_cache_mode;

-- ONLY means the row part, at any level.
SELECT chunk_schema || '.' || chunk_name AS chunk FROM timescaledb_information.chunks WHERE hypertable_name = 'ht' ORDER BY range_start OFFSET 1 LIMIT 1 \gset
SELECT count(*) FROM ONLY :chunk;
SELECT count(*) FROM :chunk;
SELECT (SELECT count(*) FROM ONLY :chunk), a.n, b.n FROM (SELECT count(*) n FROM ONLY :chunk) a, (SELECT count(*) n FROM :chunk) b;
WITH w AS (SELECT * FROM ONLY :chunk) SELECT count(*) FROM w;

-- Cursors.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT time, i4 FROM ht WHERE host = 'host_1' ORDER BY time;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH LAST FROM c;
CLOSE c;
DECLARE c SCROLL CURSOR FOR SELECT host FROM ht WHERE host = 'host_1' AND time < '2026-01-02';
MOVE 3 FROM c;
FETCH BACKWARD 2 FROM c;
CLOSE c;
DECLARE c CURSOR WITH HOLD FOR SELECT i4 FROM ht WHERE host = 'host_1' AND time < '2026-01-02';
COMMIT;
MOVE 143 FROM c;
FETCH 2 FROM c;
CLOSE c;

-- Row security: a function that tells of rows sees none that the policy hides.
CREATE FUNCTION tell(t text) RETURNS bool LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$ BEGIN RAISE NOTICE 'saw %', t; RETURN true; END $$;
CREATE ROLE reader;
GRANT SELECT ON ht TO reader;
ALTER TABLE ht ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON ht USING (host = 'host_1' AND i4 < 30);
SET ROLE reader;
SELECT count(*) FROM ht WHERE tell(host) AND time < '2026-01-03';
RESET ROLE;
DROP POLICY few ON ht;
ALTER TABLE ht DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON ht FROM reader;
DROP ROLE reader;

-- Columns that come and go.
ALTER TABLE ht ADD COLUMN extra int;
SELECT count(*), count(extra) FROM ht;
ALTER TABLE ht DROP COLUMN i2;
SELECT count(*), sum(i4) FROM ht;
SELECT count(ht) FROM ht WHERE i4 < 100;

-- Samples: of both parts, the same with the same seed.
SELECT count(*) FROM ht TABLESAMPLE bernoulli (100);
SELECT count(*) FROM ht TABLESAMPLE system (100) WHERE host = 'host_1';
SELECT count(*) FROM ht TABLESAMPLE bernoulli (0);
SELECT count(*) BETWEEN 1000 AND 2500 AS some FROM ht TABLESAMPLE bernoulli (50);
SELECT count(DISTINCT s) FROM (SELECT (SELECT sum(i4) FROM ht TABLESAMPLE bernoulli (30) REPEATABLE (7)) AS s FROM generate_series(1, 3)) x;
SELECT count(*) BETWEEN 1 AND 2000 AS some, count(DISTINCT s) FROM (SELECT i4, x.s FROM (VALUES (10), (20)) x (s), LATERAL (SELECT i4 FROM ht TABLESAMPLE bernoulli (x.s)) y) z;
EXPLAIN (COSTS OFF) SELECT i4 FROM ht TABLESAMPLE bernoulli (50) REPEATABLE (1) WHERE host = 'host_1' AND time < '2026-01-02';
SELECT count(*) FROM ht TABLESAMPLE system (101);
SELECT count(*) FROM ht TABLESAMPLE system (NULL);
