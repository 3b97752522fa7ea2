-- What PostgreSQL's own catalogs can't say of a hypertable. Everything else (names, owners, bounds, which partitions there are) is
-- read from pg_class, pg_inherits and pg_partitioned_table, so it can't go stale. Relations are kept as regclass: pg_dump writes
-- their names, and a rename needs no work.
CREATE SEQUENCE _timescaledb_config.hypertable_id_seq AS int;
CREATE TABLE _timescaledb_config.hypertable (
    id int PRIMARY KEY DEFAULT nextval('_timescaledb_config.hypertable_id_seq'),
    relid regclass NOT NULL UNIQUE,
    associated_schema name NOT NULL,
    associated_prefix name NOT NULL,
    -- storage parameters of new chunks: a partitioned table has none of its own
    chunk_options text[]
);
ALTER SEQUENCE _timescaledb_config.hypertable_id_seq OWNED BY _timescaledb_config.hypertable.id;

CREATE SEQUENCE _timescaledb_config.dimension_id_seq AS int;
CREATE TABLE _timescaledb_config.dimension (
    id int PRIMARY KEY DEFAULT nextval('_timescaledb_config.dimension_id_seq'),
    hypertable_id int NOT NULL,
    -- 1 is the range dimension; further ones divide each of its slices by hash
    ordinal int NOT NULL CHECK (ordinal > 0),
    column_name name NOT NULL,
    -- of a range dimension: microseconds, or units of an integer column; NULL for hash
    interval_length bigint CHECK (interval_length > 0),
    -- of a hash dimension: NULL for range
    num_slices int CHECK (num_slices BETWEEN 1 AND 32767),
    partitioning_func_schema name,
    partitioning_func name,
    integer_now_func_schema name,
    integer_now_func name,
    UNIQUE (hypertable_id, ordinal),
    CHECK ((interval_length IS NULL) <> (num_slices IS NULL))
);
ALTER SEQUENCE _timescaledb_config.dimension_id_seq OWNED BY _timescaledb_config.dimension.id;

CREATE SEQUENCE _timescaledb_config.chunk_id_seq AS int;
CREATE TABLE _timescaledb_config.chunk (
    id int PRIMARY KEY DEFAULT nextval('_timescaledb_config.chunk_id_seq'),
    hypertable_id int NOT NULL,
    relid regclass NOT NULL UNIQUE,
    creation_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX chunk_hypertable_id_idx ON _timescaledb_config.chunk (hypertable_id);
ALTER SEQUENCE _timescaledb_config.chunk_id_seq OWNED BY _timescaledb_config.chunk.id;

CREATE TABLE _timescaledb_config.tablespace (
    hypertable_id int NOT NULL,
    tablespace_name name NOT NULL,
    -- the order of attachment: chunks take the tablespaces in turn
    ordinal int NOT NULL,
    PRIMARY KEY (hypertable_id, tablespace_name)
);

-- A restore fills these tables row by row; sessions that cached their contents must learn of it.
CREATE FUNCTION _timescaledb_functions.catalog_changed() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_catalog_changed' LANGUAGE c;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.catalog_changed() FROM PUBLIC;
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _timescaledb_config.hypertable
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _timescaledb_config.dimension
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.catalog_changed();

SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.hypertable', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.hypertable_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.dimension', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.dimension_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.chunk', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.chunk_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.tablespace', '');

GRANT SELECT ON ALL TABLES IN SCHEMA _timescaledb_config TO PUBLIC;
