-- time_bucket: see src/functions/time_bucket.rs. The argument names are part of the interface.
CREATE FUNCTION time_bucket(bucket_width interval, ts timestamp) RETURNS timestamp
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts timestamptz) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts date) RETURNS date
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_date' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts uuid) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_uuid' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;

CREATE FUNCTION time_bucket(bucket_width interval, ts timestamp, origin timestamp) RETURNS timestamp
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts timestamptz, origin timestamptz) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts date, origin date) RETURNS date
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_date' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts uuid, origin timestamptz) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_uuid' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;

CREATE FUNCTION time_bucket(bucket_width interval, ts timestamp, "offset" interval) RETURNS timestamp
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_timestamp_offset' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts timestamptz, "offset" interval) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_timestamp_offset' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts date, "offset" interval) RETURNS date
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_date_offset' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width interval, ts uuid, "offset" interval) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_uuid_offset' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;

-- On the clocks of a time zone. Not strict: origin and offset may be NULL. Immutable as long as the rules of the zone are.
CREATE FUNCTION time_bucket(bucket_width interval, ts timestamptz, timezone text, origin timestamptz DEFAULT NULL,
    "offset" interval DEFAULT NULL) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_zone' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION time_bucket(bucket_width interval, ts uuid, timezone text, origin timestamptz DEFAULT NULL,
    "offset" interval DEFAULT NULL) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_uuid_zone' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION time_bucket(bucket_width smallint, ts smallint) RETURNS smallint
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_int2' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width int, ts int) RETURNS int
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_int4' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width bigint, ts bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_int8' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width smallint, ts smallint, "offset" smallint) RETURNS smallint
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_int2' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width int, ts int, "offset" int) RETURNS int
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_int4' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION time_bucket(bucket_width bigint, ts bigint, "offset" bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'tsc_time_bucket_int8' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
