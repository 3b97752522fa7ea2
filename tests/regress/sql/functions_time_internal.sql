-- Times as the catalogs store them: microseconds since 1970 in an integer.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';

SELECT _timescaledb_functions.to_timestamp(0) AS epoch, _timescaledb_functions.to_timestamp(1709210096789012) AS ts,
       _timescaledb_functions.to_timestamp_without_timezone(-1) AS before, _timescaledb_functions.to_date(1709210096789012) AS date, _timescaledb_functions.to_date(-1) AS date_before;
SELECT _timescaledb_functions.to_interval(86400000001) AS "interval", _timescaledb_functions.to_unix_microseconds('2024-02-29 12:34:56.789012+00') AS micros;
SELECT _timescaledb_functions.to_timestamp(9223372036854775807), _timescaledb_functions.to_timestamp(-9223372036854775808),
       _timescaledb_functions.to_date(9223372036854775807), _timescaledb_functions.to_date(-9223372036854775808),
       _timescaledb_functions.to_unix_microseconds('infinity'), _timescaledb_functions.to_unix_microseconds('-infinity');

-- Every type of time.
SELECT _timescaledb_functions.time_to_internal(5::smallint) AS small, _timescaledb_functions.time_to_internal(-5) AS int, _timescaledb_functions.time_to_internal(5::bigint) AS big,
       _timescaledb_functions.time_to_internal(date '1970-01-02') AS date, _timescaledb_functions.time_to_internal(timestamp '1969-12-31 23:59:59') AS ts,
       _timescaledb_functions.time_to_internal(timestamptz '1970-01-01 01:00+01') AS tstz, _timescaledb_functions.time_to_internal(uuid '017F22E2-79B0-7000-8000-000000000000') AS uuid;
SELECT _timescaledb_functions.time_to_internal(date 'infinity'), _timescaledb_functions.time_to_internal(timestamp '-infinity'), _timescaledb_functions.time_to_internal(NULL::date);
CREATE DOMAIN pg_temp.instant AS timestamptz;
SELECT _timescaledb_functions.time_to_internal('1970-01-01 00:00:01+00'::pg_temp.instant) AS domain;
SELECT _timescaledb_functions.time_to_internal('text'::text);
-- There and back.
SELECT count(*) AS checked, count(*) FILTER (WHERE _timescaledb_functions.to_timestamp(_timescaledb_functions.time_to_internal(ts)) <> ts) AS differ,
       count(*) FILTER (WHERE _timescaledb_functions.to_unix_microseconds(ts) <> extract(epoch FROM ts) * 1000000) AS micros
FROM generate_series(timestamptz '1900-01-01 00:00+00', '2100-01-01 00:00+00', '9 days 01:02:03.000004') ts;

-- The ends of the range.
SELECT _timescaledb_functions.to_timestamp(-210866803200000000) AS least, _timescaledb_functions.to_unix_microseconds('294247-01-10 04:00:54.775806+00') AS greatest;
SELECT _timescaledb_functions.to_timestamp(-210866803200000001);
SELECT _timescaledb_functions.to_unix_microseconds('294247-01-10 04:00:54.775807+00');
SELECT _timescaledb_functions.to_unix_microseconds('294276-12-31');
SELECT _timescaledb_functions.time_to_internal(date '5874897-12-31');

-- The hash of the type without its sign.
SELECT count(*) AS checked, count(*) FILTER (WHERE _timescaledb_functions.get_partition_hash(i) <> (hashint4(i) & 2147483647)) AS int,
       count(*) FILTER (WHERE _timescaledb_functions.get_partition_hash(i::text) <> (hashtext(i::text) & 2147483647)) AS text,
       count(*) FILTER (WHERE _timescaledb_functions.get_partition_hash(i::float8) <> (hashfloat8(i) & 2147483647)) AS float,
       min(_timescaledb_functions.get_partition_hash(i)) >= 0 AS not_negative
FROM generate_series(-1000, 1000) i;
SELECT _timescaledb_functions.get_partition_hash(point '(1,2)');
