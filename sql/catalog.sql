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

-- What ALTER TABLE ... SET (timescaledb.columnstore, ...) said. A hypertable with a row here may be compressed.
CREATE TABLE _timescaledb_config.columnstore (
    hypertable_id int PRIMARY KEY,
    -- NULL: chosen when a chunk is compressed; an empty array: none
    segmentby name[],
    -- NULL: chosen when a chunk is compressed
    orderby name[],
    orderby_desc bool[],
    orderby_nulls_first bool[],
    -- sparse indexes asked for, in the grammar of the option; NULL: chosen from the indexes
    sparse_index text,
    -- chunks are merged up to this length when they are compressed: microseconds, or units of an integer column
    compress_interval bigint CHECK (compress_interval > 0),
    -- COPY and large INSERT statements write straight into columns, whatever the session's settings
    direct_compress bool NOT NULL DEFAULT false,
    CHECK ((orderby IS NULL) = (orderby_desc IS NULL) AND (orderby IS NULL) = (orderby_nulls_first IS NULL))
);

-- The columnar parts of chunks. Blocks are columns c1, c2, .. of the batch table; `columns` says which column of the chunk each one
-- holds, by name, so that a dump, which renumbers columns, stays right.
CREATE TABLE _timescaledb_config.columnar_chunk (
    relid regclass PRIMARY KEY,
    batches regclass NOT NULL UNIQUE,
    -- false: the chunk was decompressed, but older snapshots may still read the batches
    compressed bool NOT NULL,
    -- an empty name: the column was dropped
    columns name[] NOT NULL,
    -- positions in `columns`, from 1
    segmentby int2[] NOT NULL,
    orderby int2[] NOT NULL,
    orderby_desc bool[] NOT NULL,
    orderby_nulls_first bool[] NOT NULL,
    -- columns with a bloom filter: positions in `columns`, from 1
    blooms int2[] NOT NULL,
    -- when it was last compressed as a whole: rows and batches then
    row_count bigint NOT NULL,
    batch_count bigint NOT NULL,
    before_table_bytes bigint NOT NULL,
    before_index_bytes bigint NOT NULL,
    before_toast_bytes bigint NOT NULL
);

-- A restore fills these tables row by row; sessions that cached their contents must learn of it.
CREATE FUNCTION _timescaledb_functions.catalog_changed() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_catalog_changed' LANGUAGE c;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.catalog_changed() FROM PUBLIC;
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _timescaledb_config.hypertable
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _timescaledb_config.dimension
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.catalog_changed();
CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _timescaledb_config.columnar_chunk
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.catalog_changed();

SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.hypertable', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.hypertable_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.dimension', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.dimension_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.chunk', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.chunk_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.tablespace', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.columnstore', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.columnar_chunk', '');

GRANT SELECT ON ALL TABLES IN SCHEMA _timescaledb_config TO PUBLIC;
