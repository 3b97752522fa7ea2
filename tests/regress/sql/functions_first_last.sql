-- first and last: against ORDER BY key LIMIT 1.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';

-- NULL keys do not count, NULL values do; no rows and no keys give NULL; of equal keys the first seen is kept.
SELECT first(v, k), last(v, k) FROM (VALUES ('a', 2), ('b', 1), ('c', NULL), ('d', 3)) t(v, k);
SELECT first(v, k) IS NULL AS first_null, last(v, k) IS NULL AS last_null FROM (VALUES ('a', 2), (NULL, 1), (NULL, 3)) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES ('a', NULL::int), ('b', NULL)) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES ('a', 1)) t(v, k) WHERE false;
SELECT first(v, k), last(v, k) FROM (SELECT i AS v, 7 AS k FROM generate_series(1, 10) i) t;
SELECT first(v, k ORDER BY v DESC), last(v, k ORDER BY v DESC), first(v, k) FILTER (WHERE v > 5) FROM (SELECT i AS v, 7 AS k FROM generate_series(1, 10) i) t;

-- Keys of any ordered type, compared as that type does.
SELECT first(v, k), last(v, k) FROM (VALUES (1, timestamptz '-infinity'), (2, 'infinity'), (3, '2024-01-01')) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, date '2024-01-01'), (2, '0001-01-01 BC'), (3, '5000-01-01')) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, 'NaN'::float8), (2, '-infinity'), (3, 0), (4, 'infinity')) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, 2::numeric), (2, -1e100), (3, 'NaN')) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, (-5)::smallint), (2, 4::smallint), (3, (-9)::smallint)) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, (-5)::int), (2, 4), (3, -2147483648)) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, ARRAY[2, 1]), (2, ARRAY[1, 9]), (3, ARRAY[2, 2])) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, ROW(1, 'b'::text)), (2, ROW(1, 'a'::text)), (3, ROW(2, NULL::text))) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, uuid '00000000-0000-0000-0000-000000000002'), (2, '00000000-0000-0000-0000-000000000001')) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, interval '30 days'), (2, '1 month 1 s'), (3, '29 days 23:00')) t(v, k);
SELECT first(v, k COLLATE "C") AS c, last(v, k COLLATE "C") AS c_last FROM (VALUES (1, 'a'), (2, 'B'), (3, 'b')) t(v, k);
SELECT first(v, k), last(v, k) FROM (VALUES (1, 'b'::name), (2, 'a'), (3, 'c')) t(v, k);
CREATE DOMAIN pg_temp.ticks AS bigint;
SELECT first(v, k), last(v, k) FROM (VALUES (1, 5::pg_temp.ticks), (2, 3::pg_temp.ticks)) t(v, k);
CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok', 'happy');
SELECT first(v, k), last(v, k) FROM (VALUES (1, 'ok'::pg_temp.mood), (2, 'sad'), (3, 'happy')) t(v, k);
SELECT first(v, k) FROM (VALUES (1, point '(1,2)')) t(v, k);
SELECT first(v, k) FROM (VALUES (1, '{}'::json)) t(v, k);
SELECT first(v, k) FROM (VALUES (1, ARRAY[point '(1,2)'])) t(v, k);

-- Values of any type.
SELECT last(v, k), pg_typeof(last(v, k)) FROM (VALUES (ROW(1, 'x'), 1), (ROW(2, 'y'), 2)) t(v, k);
SELECT last(v, k) FROM (VALUES (ARRAY[1, 2], 1), (ARRAY[3, 4], 2)) t(v, k);
SELECT last(v, k), first(v, k) FROM (VALUES (1.5::float4, 1), (2.5, 2)) t(v, k);
SELECT last(v, k), first(v, k) FROM (VALUES (true, 1), (false, 2)) t(v, k);
SELECT last(v, k), first(v, k) FROM (VALUES ('{"a": 1}'::jsonb, 1), ('{"a": 2}', 2)) t(v, k);
SELECT last(v::cstring, k), pg_typeof(last(v::cstring, k)) FROM (VALUES ('abc', 1), ('defg', 2)) t(v, k);
-- An expanded value and an expanded key, as plpgsql makes them.
CREATE FUNCTION pg_temp.expanded(i int) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE a int[] := ARRAY[0]; BEGIN a[1] := i; a[2] := i * i; RETURN a; END $$;
SELECT first(pg_temp.expanded(i), pg_temp.expanded(-i)), last(pg_temp.expanded(i), pg_temp.expanded(-i)) FROM generate_series(1, 50) i;

-- Toasted values and keys.
CREATE TEMP TABLE toasted(id int, short text, long text, outside text);
ALTER TABLE toasted ALTER COLUMN outside SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT i, 'k' || i, repeat(i::text || '-', 3000), repeat(chr(97 + i) || 'x', 5000) FROM generate_series(1, 20) i;
SELECT left(first(outside, id), 4) AS first, left(last(outside, id), 4) AS last, length(last(outside, id)) FROM toasted;
SELECT first(id, outside), last(id, outside), first(id, long COLLATE "C"), last(id, long COLLATE "C") FROM toasted;
SELECT md5(last(outside, outside)) = (SELECT md5(outside) FROM toasted WHERE id = 20) AS same FROM toasted;

-- Groups, windows, moving frames.
CREATE TEMP TABLE readings AS
    SELECT i AS id, i % 7 AS device, timestamptz '2024-01-01' + (i * 7919 % 10007) * interval '1 min' AS ts, CASE WHEN i % 11 = 0 THEN NULL ELSE i::float8 END AS value,
           'reading ' || i AS label
    FROM generate_series(1, 10006) i;
WITH found AS (SELECT device, first(value, ts) AS f, last(value, ts) AS l, first(label, ts) AS fl, last(label, ts) AS ll FROM readings GROUP BY device),
expected AS (
    SELECT d.device, f.value AS f, l.value AS l, f.label AS fl, l.label AS ll FROM (SELECT DISTINCT device FROM readings) d,
        LATERAL (SELECT * FROM readings r WHERE r.device = d.device ORDER BY ts LIMIT 1) f,
        LATERAL (SELECT * FROM readings r WHERE r.device = d.device ORDER BY ts DESC LIMIT 1) l)
SELECT count(*), count(*) FILTER (WHERE found IS DISTINCT FROM expected) AS differ FROM found FULL JOIN expected USING (device);
SELECT count(*) AS rows,
       count(*) FILTER (WHERE running IS DISTINCT FROM (SELECT label FROM readings s WHERE s.id <= r.id ORDER BY ts DESC LIMIT 1)) AS running,
       count(*) FILTER (WHERE moving IS DISTINCT FROM (SELECT label FROM readings s WHERE s.id BETWEEN r.id - 5 AND r.id + 2 AND s.id <= 500 ORDER BY ts LIMIT 1)) AS moving
FROM (SELECT *, last(label, ts) OVER (ORDER BY id) AS running, first(label, ts) OVER (ORDER BY id ROWS BETWEEN 5 PRECEDING AND 2 FOLLOWING) AS moving
      FROM readings WHERE id <= 500) r;
SELECT device, first(value, ts), last(label, ts) FROM readings GROUP BY ROLLUP (device) ORDER BY device;
SET enable_hashagg = off;
SELECT device, first(value, ts), last(label, ts) FROM readings GROUP BY device ORDER BY device;
RESET enable_hashagg;

