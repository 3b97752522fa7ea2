-- UUIDs of version 7: see src/functions/uuid.rs.
CREATE FUNCTION generate_uuidv7() RETURNS uuid
    AS 'MODULE_PATHNAME', 'tsc_generate_uuidv7' LANGUAGE C VOLATILE PARALLEL SAFE STRICT;
CREATE FUNCTION to_uuidv7(ts timestamptz) RETURNS uuid
    AS 'MODULE_PATHNAME', 'tsc_to_uuidv7' LANGUAGE C VOLATILE PARALLEL SAFE STRICT;
CREATE FUNCTION to_uuidv7_boundary(ts timestamptz) RETURNS uuid
    AS 'MODULE_PATHNAME', 'tsc_to_uuidv7_boundary' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION uuid_timestamp(uuid uuid) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_uuid_timestamp' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION uuid_timestamp_micros(uuid uuid) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'tsc_uuid_timestamp_micros' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION uuid_version(uuid uuid) RETURNS integer
    AS 'MODULE_PATHNAME', 'tsc_uuid_version' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
