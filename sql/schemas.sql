-- The schemas that clients know. The extension's own functions live in the schema chosen at CREATE EXTENSION.
CREATE SCHEMA _timescaledb_catalog;
CREATE SCHEMA _timescaledb_config;
CREATE SCHEMA _timescaledb_internal;
CREATE SCHEMA _timescaledb_functions;
CREATE SCHEMA _timescaledb_cache;
CREATE SCHEMA timescaledb_information;
CREATE SCHEMA timescaledb_experimental;

GRANT USAGE ON SCHEMA _timescaledb_catalog, _timescaledb_config, _timescaledb_internal, _timescaledb_functions, _timescaledb_cache,
    timescaledb_information, timescaledb_experimental TO PUBLIC;
