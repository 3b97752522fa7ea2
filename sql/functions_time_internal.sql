-- Times as the catalogs store them: see src/functions/time_internal.rs.
CREATE FUNCTION _timescaledb_functions.to_timestamp(unixtime_us bigint) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_to_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.to_timestamp_without_timezone(unixtime_us bigint) RETURNS timestamp
    AS 'MODULE_PATHNAME', 'tsc_to_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.to_date(unixtime_us bigint) RETURNS date
    AS 'MODULE_PATHNAME', 'tsc_to_date' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.to_interval(unixtime_us bigint) RETURNS interval
    AS 'MODULE_PATHNAME', 'tsc_to_interval' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.to_unix_microseconds(ts timestamptz) RETURNS bigint
    AS 'MODULE_PATHNAME', 'tsc_to_unix_microseconds' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.time_to_internal(time_val anyelement) RETURNS bigint
    AS 'MODULE_PATHNAME', 'tsc_time_to_internal' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.get_partition_hash(val anyelement) RETURNS integer
    AS 'MODULE_PATHNAME', 'tsc_get_partition_hash' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
