-- The schemas that clients know, but for _timescaledb_internal: it holds chunks, so it must outlive the extension and travel with a
-- dump to servers that lack the extension. The first hypertable makes it. The extension's own functions live in the schema chosen at CREATE EXTENSION.
CREATE SCHEMA _timescaledb_catalog;
CREATE SCHEMA _timescaledb_config;
CREATE SCHEMA _timescaledb_functions;
CREATE SCHEMA _timescaledb_cache;
CREATE SCHEMA timescaledb_information;
CREATE SCHEMA timescaledb_experimental;

GRANT USAGE ON SCHEMA _timescaledb_catalog, _timescaledb_config, _timescaledb_functions, _timescaledb_cache,
    timescaledb_information, timescaledb_experimental TO PUBLIC;
