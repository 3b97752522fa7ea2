-- time_bucket: every variant, against exact arithmetic and date_trunc where these can say, and by hand where they cannot.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';

-- Origin and default origin: a Monday for days and time, January for months.
SELECT time_bucket('5 minutes', timestamp '2024-02-29 12:34:56.789') AS ts,
       time_bucket('5 minutes', timestamptz '2024-02-29 12:34:56.789+00') AS tstz,
       time_bucket('1 week', date '2024-02-29') AS date,
       to_char(time_bucket('1 week', date '2024-02-29'), 'FMDay') AS weekday;
SELECT time_bucket('300.000s', timestamptz '2024-02-29 12:34:56+00') AS fractional_seconds,
       time_bucket('0.5 s', timestamp '1999-12-31 23:59:59.7') AS half_second,
       time_bucket('7 months', timestamp '1999-12-31 23:59:59') AS months,
       time_bucket('1 century', date '1999-12-31') AS century,
       time_bucket('1 year', timestamptz '0044-03-15 12:00+00 BC') AS year_bc;

-- Fixed widths against exact arithmetic on numeric, before and after the origin, with and without origin and offset.
CREATE TEMP TABLE times AS
    SELECT timestamp '2000-01-01' + i * interval '7 days 11:13:17.123457' AS ts FROM generate_series(-4000, 4000) i;
CREATE TEMP TABLE widths(width interval);
INSERT INTO widths VALUES ('1 microsecond'), ('1 ms'), ('1 s'), ('17 s'), ('5 min'), ('1 hour'), ('7 hours'), ('1 day'), ('1 day 1 hour'), ('10 days'),
    ('999 days 23:59:59.999999');
CREATE FUNCTION pg_temp.expected(width interval, ts timestamp, origin timestamp) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT extract(epoch FROM ts) - mod(mod(extract(epoch FROM ts) - extract(epoch FROM origin), extract(epoch FROM width)) + extract(epoch FROM width),
        extract(epoch FROM width))
$$;
SELECT count(*) AS checked,
       count(*) FILTER (WHERE extract(epoch FROM time_bucket(width, ts)) <> pg_temp.expected(width, ts, '2000-01-03')) AS plain,
       count(*) FILTER (WHERE extract(epoch FROM time_bucket(width, ts AT TIME ZONE 'UTC')) <> pg_temp.expected(width, ts, '2000-01-03')) AS plain_tz,
       count(*) FILTER (WHERE extract(epoch FROM time_bucket(width, ts, timestamp '2011-11-11 11:11:11')) <> pg_temp.expected(width, ts, '2011-11-11 11:11:11')) AS origin,
       count(*) FILTER (WHERE extract(epoch FROM time_bucket(width, ts AT TIME ZONE 'UTC', timestamptz '2011-11-11 11:11:11+00'))
           <> pg_temp.expected(width, ts, '2011-11-11 11:11:11')) AS origin_tz,
       count(*) FILTER (WHERE extract(epoch FROM time_bucket(width, ts, interval '2 days -3:00:01')) <> pg_temp.expected(width, ts, '2000-01-04 20:59:59')) AS "offset",
       count(*) FILTER (WHERE extract(epoch FROM time_bucket(width, ts AT TIME ZONE 'UTC', interval '2 days -3:00:01'))
           <> pg_temp.expected(width, ts, '2000-01-04 20:59:59')) AS offset_tz
FROM times, widths;

-- Months agree with date_trunc, and years counted from an origin with a shift.
SELECT count(*) AS checked,
       count(*) FILTER (WHERE time_bucket('1 month', ts) <> date_trunc('month', ts)) AS month,
       count(*) FILTER (WHERE time_bucket('3 months', ts) <> date_trunc('quarter', ts)) AS quarter,
       count(*) FILTER (WHERE time_bucket('1 year', ts) <> date_trunc('year', ts)) AS year,
       count(*) FILTER (WHERE time_bucket('10 years', ts) <> date_trunc('decade', ts)) AS decade,
       count(*) FILTER (WHERE time_bucket('1 week', ts) <> date_trunc('week', ts)) AS week,
       count(*) FILTER (WHERE time_bucket('1 month', ts::date) <> date_trunc('month', ts)::date) AS date_month,
       count(*) FILTER (WHERE time_bucket('1 week', ts::date) <> date_trunc('week', ts)::date) AS date_week,
       count(*) FILTER (WHERE time_bucket('1 year', ts, timestamp '2020-04-01') <> date_trunc('year', ts - interval '3 months') + interval '3 months') AS origin,
       count(*) FILTER (WHERE time_bucket('1 year', ts, interval '3 months') <> date_trunc('year', ts - interval '3 months') + interval '3 months') AS "offset",
       count(*) FILTER (WHERE time_bucket('1 month', ts, interval '14 days') <> date_trunc('month', ts - interval '14 days') + interval '14 days') AS days_in_month
FROM times;

-- Dates: origin, offset, a width in hours that makes whole days.
SELECT d, time_bucket('10 days', d) AS ten, time_bucket('10 days', d, date '2024-01-05') AS origin,
       time_bucket('10 days', d, interval '1 day') AS "offset", time_bucket('48 hours', d) AS hours, time_bucket('2 months', d, date '2023-12-17') AS months
FROM (VALUES (date '1999-12-31'), ('2000-01-02'), ('2000-01-03'), ('2024-02-29')) v(d);

-- Argument names are part of the interface.
SELECT time_bucket(bucket_width => '1 day', ts => timestamp '2024-02-29 12:00', origin => timestamp '2000-01-01 06:00') AS origin,
       time_bucket(bucket_width => '1 day', ts => timestamp '2024-02-29 12:00', "offset" => interval '5 hours') AS "offset",
       time_bucket(bucket_width => 10, ts => 19, "offset" => 5) AS int_offset,
       time_bucket(bucket_width => '1 day', ts => timestamptz '2024-02-29 12:00+00', timezone => 'Asia/Tokyo', "offset" => interval '5 hours') AS zoned;
SELECT p.oid::regprocedure, prorettype::regtype AS result, provolatile AS volatile, proparallel AS parallel, proisstrict AS strict, proargnames AS names
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' WHERE proname = 'time_bucket' ORDER BY p.oid::regprocedure::text COLLATE "C";

-- Integers: origin 0, floor, offset.
SELECT i, time_bucket(10, i) AS int, time_bucket(10::smallint, i::smallint) AS small, time_bucket(10::bigint, i::bigint) AS big,
       time_bucket(10, i, 3) AS "offset", time_bucket(10::bigint, i::bigint, -17::bigint) AS big_offset
FROM (VALUES (-11), (-10), (-1), (0), (3), (9), (10), (32767)) v(i);
SELECT pg_typeof(time_bucket(10::smallint, 1::smallint)), pg_typeof(time_bucket(10, 1)), pg_typeof(time_bucket(10::bigint, 1::bigint));
SELECT time_bucket(9223372036854775807, -9223372036854775807) AS widest, time_bucket(1::bigint, -9223372036854775808) AS least;
SELECT time_bucket(10::bigint, -9223372036854775808);
SELECT time_bucket(10, -2147483648);
SELECT time_bucket(10::smallint, (-32768)::smallint);
SELECT time_bucket(10::smallint, (-32768)::smallint, 2::smallint) AS fits;

-- NULL and infinity.
SELECT time_bucket(NULL, timestamp '2024-01-01'), time_bucket('1 day', NULL::timestamptz), time_bucket('1 day', NULL::date),
       time_bucket('1 day', timestamp '2024-01-01', NULL::timestamp), time_bucket(1, NULL::int), time_bucket('1 day', NULL::uuid);
SELECT time_bucket('1 day', timestamp 'infinity'), time_bucket('1 month', timestamptz '-infinity'), time_bucket('1 day', date 'infinity'),
       time_bucket('1 day', date '-infinity', interval '1 day'), time_bucket('1 day', timestamptz 'infinity', 'Europe/Berlin');
SELECT time_bucket('1 day', timestamp '2024-01-01', timestamp 'infinity');
SELECT time_bucket('1 day', date '2024-01-01', date '-infinity');

-- The ends of the ranges.
SELECT time_bucket('1 day', timestamp '4714-11-24 BC'), time_bucket('1 day', timestamp '294276-12-31 23:59:59.999999'),
       time_bucket('1 month', timestamp '294276-12-31 23:59:59.999999'), time_bucket('1 day', date '5874897-12-31'), time_bucket('1 year', date '5874897-12-31');
SELECT time_bucket('1 day', timestamp '294276-12-31 23:59:59.999999', interval '-1000 days'), time_bucket('1 day', timestamp '4714-11-24 BC', interval '1000 days');
SELECT time_bucket('1000 days', timestamp '4714-11-24 BC');
SELECT time_bucket('1 month', timestamptz '4714-11-24 00:00+00 BC');
SELECT time_bucket('100 days', date '4714-11-24 BC');
SELECT time_bucket('100000000 years', timestamp '1999-12-31');
SELECT time_bucket('1 day', timestamp '294276-12-31', interval '-1 month');

-- Widths that make no buckets.
SELECT time_bucket('0 s', timestamp '2024-01-01');
DO $$ BEGIN PERFORM time_bucket('-1 day', timestamptz '2024-01-01'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', sqlstate, sqlerrm; END $$;
DO $$ BEGIN PERFORM time_bucket('1000 days', timestamp '4714-11-24 BC'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', sqlstate, sqlerrm; END $$;
SELECT time_bucket('-1 month', timestamp '2024-01-01');
SELECT time_bucket('1 month 1 day', timestamp '2024-01-01');
SELECT time_bucket('1 year 1 s', timestamp '2024-01-01');
SELECT time_bucket('1 month 1 day', timestamptz '2024-01-01', 'Europe/Berlin');
SELECT time_bucket('2000000000 days', timestamp '2024-01-01');
SELECT time_bucket('1 hour', date '2024-01-01');
SELECT time_bucket('1 day', date '2024-01-01', interval '1 hour');
SELECT time_bucket(0, 1);
SELECT time_bucket(-5::bigint, 1::bigint);

-- UUIDs of version 7; others have no time.
SELECT time_bucket('1 hour', uuid '017F22E2-79B0-7CC3-98C4-DC0C0C07398F') AS hour,
       time_bucket('1 day', uuid '017F22E2-79B0-7CC3-98C4-DC0C0C07398F', timestamptz '2000-01-01 05:00+00') AS origin,
       time_bucket('1 day', uuid '017F22E2-79B0-7CC3-98C4-DC0C0C07398F', interval '20 hours') AS "offset",
       time_bucket('1 day', uuid '017F22E2-79B0-7CC3-98C4-DC0C0C07398F', 'Asia/Tokyo') AS zoned,
       time_bucket('1 day', uuid '919108f7-52d1-4320-9bac-f847db4148a8') AS version_4;

-- It can be used in an index and in parallel, and is folded at planning time.
CREATE TEMP TABLE indexed(ts timestamptz);
CREATE INDEX ON indexed (time_bucket('1 day', ts));
EXPLAIN (COSTS OFF) SELECT * FROM times WHERE ts > time_bucket('1 day', timestamp '2024-02-29 12:00');
