-- time_bucket on the clocks of a time zone.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';

-- Days of 23 and 25 hours: the starts of days and months are those of date_trunc, also in a session of another zone.
CREATE TEMP TABLE times AS SELECT t FROM generate_series(timestamptz '2023-12-15 00:00+00', '2025-01-15 00:00+00', '17 min') t;
SELECT zone, count(*) AS checked,
       count(*) FILTER (WHERE time_bucket('1 day', t, zone) <> date_trunc('day', t, zone)) AS day,
       count(*) FILTER (WHERE time_bucket('1 week', t, zone) <> date_trunc('week', t, zone)) AS week,
       count(*) FILTER (WHERE time_bucket('1 month', t, zone) <> date_trunc('month', t, zone)) AS month,
       count(*) FILTER (WHERE time_bucket('1 year', t, zone) <> date_trunc('year', t, zone)) AS year,
       count(*) FILTER (WHERE time_bucket('1 hour', t, zone) <> date_trunc('hour', t, zone)) AS hour
FROM times, (VALUES ('UTC'), ('Europe/Berlin'), ('America/New_York'), ('Asia/Kolkata'), ('Pacific/Apia')) z(zone)
GROUP BY zone ORDER BY zone COLLATE "C";
SELECT start, lead(start) OVER (ORDER BY start) - start AS length
FROM (SELECT DISTINCT time_bucket('1 day', t, 'Europe/Berlin') AS start FROM times) days
WHERE start BETWEEN '2024-03-29' AND '2024-04-01' OR start BETWEEN '2024-10-25' AND '2024-10-28' ORDER BY start;
SET TIME ZONE 'Pacific/Apia';
SELECT count(*) FILTER (WHERE time_bucket('1 day', t, 'Europe/Berlin') <> date_trunc('day', t, 'Europe/Berlin')) AS differ FROM times;
SET TIME ZONE 'UTC';

-- The hour that is shown twice: hours and half hours stay apart, no start is after its time.
SELECT t AT TIME ZONE 'America/New_York' AS shown, t, time_bucket('30 min', t, 'America/New_York') AS half, time_bucket('1 hour', t, 'America/New_York') AS hour,
       time_bucket('2 hours', t, 'America/New_York') AS two
FROM generate_series(timestamptz '2024-11-03 04:15+00', '2024-11-03 07:45+00', '30 min') t;
-- The hour that is skipped: a bucket whose start is not shown begins when the clocks jump.
SELECT t AT TIME ZONE 'America/New_York' AS shown, t, time_bucket('30 min', t, 'America/New_York', "offset" => '15 min') AS half, time_bucket('1 hour', t, 'America/New_York') AS hour
FROM generate_series(timestamptz '2024-03-10 06:05+00', '2024-03-10 08:05+00', '20 min') t;

-- Midnight that is shown twice (Havana, until 2012 at 01:00) and midnight that is skipped (Sao Paulo, at 00:00).
SELECT time_bucket('1 day', t, 'America/Havana') AS day, min(t), max(t), count(*) AS minutes
FROM generate_series(timestamptz '2012-11-04 00:00+00', '2012-11-06 00:00+00', '1 min') t GROUP BY 1 ORDER BY 1;
SELECT time_bucket('1 day', t, 'America/Sao_Paulo') AS day, min(t), max(t), count(*) AS minutes
FROM generate_series(timestamptz '2018-11-03 00:00+00', '2018-11-05 12:00+00', '1 min') t GROUP BY 1 ORDER BY 1;
-- The day that Samoa skipped.
SELECT time_bucket('1 day', t, 'Pacific/Apia') AS day, count(*) AS hours
FROM generate_series(timestamptz '2011-12-29 00:00+00', '2012-01-01 00:00+00', '1 hour') t GROUP BY 1 ORDER BY 1;

-- Origin and offset are on the same clocks.
SELECT time_bucket('1 day', timestamptz '2024-07-01 12:00+00', 'Europe/Berlin', timestamptz '2024-01-01 05:00+00') AS origin,
       time_bucket('1 day', timestamptz '2024-07-01 12:00+00', 'Europe/Berlin', NULL, interval '6 hours') AS "offset",
       time_bucket('1 month', timestamptz '2024-07-01 12:00+00', 'Europe/Berlin', "offset" => '5 days') AS month_offset,
       time_bucket('1 day', timestamptz '2024-07-01 12:00+00', 'Europe/Berlin', NULL, NULL) AS nulls;

-- NULL, abbreviations, offsets, names that are none.
SELECT time_bucket(NULL, timestamptz '2024-07-01', 'UTC'), time_bucket('1 day', NULL::timestamptz, 'UTC'), time_bucket('1 day', timestamptz '2024-07-01', NULL::text);
SELECT time_bucket('1 day', timestamptz '2024-07-01 12:00+00', 'EST') AS abbreviation, time_bucket('1 day', timestamptz '2024-07-01 12:00+00', '+03') AS posix;
SELECT time_bucket('1 day', timestamptz '2024-07-01 12:00+00', 'Nowhere/Land');
SELECT time_bucket('0 days', timestamptz '2024-07-01 12:00+00', 'UTC');
SELECT time_bucket('1 day', timestamptz '2024-07-01 12:00+00', 'UTC', timestamptz '-infinity');
SELECT time_bucket('1 day', timestamptz '294276-12-31 23:30:00+00', 'Europe/Berlin');
SELECT time_bucket('1 day', timestamptz '4714-11-24 00:00:00+00 BC', 'Asia/Tokyo');
