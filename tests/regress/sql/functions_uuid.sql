-- UUIDs of version 7.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';

-- The example of RFC 9562, appendix A.6: 2022-02-22 14:22:22.00 -05:00.
SELECT uuid_version('017F22E2-79B0-7CC3-98C4-DC0C0C07398F'), uuid_timestamp('017F22E2-79B0-7CC3-98C4-DC0C0C07398F'),
       uuid_timestamp_micros('017F22E2-79B0-7000-8000-000000000000') AS no_fraction;
SELECT to_uuidv7_boundary('2022-02-22 19:22:22+00') AS whole, to_uuidv7_boundary('2022-02-22 19:22:22.0005+00') AS half_a_ms;
-- Every microsecond comes back; the UUIDs order as the times do.
SELECT count(*) FILTER (WHERE uuid_timestamp_micros(to_uuidv7(ts)) <> ts) AS micros, count(*) FILTER (WHERE uuid_timestamp(to_uuidv7(ts)) <> date_trunc('milliseconds', ts)) AS millis,
       count(*) FILTER (WHERE to_uuidv7(ts) < to_uuidv7_boundary(ts)) AS below, count(*) FILTER (WHERE to_uuidv7(ts) >= to_uuidv7_boundary(ts + interval '1 microsecond')) AS above,
       count(*) FILTER (WHERE uuid_version(to_uuidv7(ts)) <> 7) AS version, count(DISTINCT to_uuidv7('2024-01-01')) AS different
FROM generate_series(timestamptz '2024-02-29 12:00:00+00', '2024-02-29 12:00:00.003+00', '1 microsecond') ts;

-- Others have a version, but no time.
SELECT u, uuid_version(u), uuid_timestamp(u), uuid_timestamp_micros(u)
FROM (VALUES (uuid '919108f7-52d1-4320-9bac-f847db4148a8'), ('c232ab00-9414-11ec-b3c8-9f6bdeced846'), ('00000000-0000-0000-0000-000000000000'),
             ('ffffffff-ffff-ffff-ffff-ffffffffffff'), ('017f22e2-79b0-7cc3-18c4-dc0c0c07398f')) v(u);
SELECT uuid_timestamp(NULL), to_uuidv7(NULL), to_uuidv7_boundary(NULL), uuid_version(NULL);

-- The range: 48 bits of milliseconds since 1970.
SELECT to_uuidv7_boundary('1970-01-01 00:00+00') AS first, to_uuidv7_boundary('10889-08-02 05:31:50.655999+00') AS last, uuid_timestamp_micros('ffffffff-ffff-7fff-bfff-ffffffffffff');
SELECT to_uuidv7_boundary('1969-12-31 23:59:59.999999+00');
SELECT to_uuidv7('10889-08-02 05:31:50.656+00');
SELECT to_uuidv7('infinity');

-- New ones are of now and ascend.
SELECT count(DISTINCT u) AS different, count(*) FILTER (WHERE u <= before) AS not_above, bool_and(uuid_version(u) = 7) AS version_7,
       bool_and(uuid_timestamp(u) BETWEEN now() - interval '1 min' AND now() + interval '1 min') AS of_now
FROM (SELECT u, lag(u) OVER (ORDER BY i) AS before FROM (SELECT i, generate_uuidv7() AS u FROM generate_series(1, 10000) i) made) pairs;
SELECT count(DISTINCT right(u::text, 16)) > 9900 AS random FROM (SELECT generate_uuidv7() AS u FROM generate_series(1, 10000)) made;
SELECT proname, provolatile AS volatile, proparallel AS parallel, proisstrict AS strict, proargnames AS names, prorettype::regtype AS result
FROM pg_proc WHERE proname ~ 'uuidv7|^uuid_(version|timestamp)' ORDER BY proname COLLATE "C";
