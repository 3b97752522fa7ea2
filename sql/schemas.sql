-- The schemas that clients know. The extension's own functions live in the schema chosen at CREATE EXTENSION.
CREATE SCHEMA _timescaledb_catalog;
CREATE SCHEMA _timescaledb_config;
CREATE SCHEMA _timescaledb_functions;
CREATE SCHEMA _timescaledb_cache;
CREATE SCHEMA timescaledb_information;
CREATE SCHEMA timescaledb_experimental;

GRANT USAGE ON SCHEMA _timescaledb_catalog, _timescaledb_config, _timescaledb_functions, _timescaledb_cache,
    timescaledb_information, timescaledb_experimental TO PUBLIC;

-- Chunks live here. DROP EXTENSION leaves the schema behind if it holds any, and tables with their rows; then it is there already
-- when the extension comes back.
DO $$
DECLARE
    schema_owner oid := (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = '_timescaledb_internal');
BEGIN
    IF schema_owner IS NULL THEN
        CREATE SCHEMA _timescaledb_internal;
    ELSIF schema_owner <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'schema "_timescaledb_internal" exists and belongs to another role'
            USING ERRCODE = 'duplicate_schema',
                  HINT = 'The extension keeps chunks there. Drop the schema, or give it to the role that creates the extension.';
    ELSE
        ALTER EXTENSION timescale_compat ADD SCHEMA _timescaledb_internal;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA _timescaledb_internal TO PUBLIC;
