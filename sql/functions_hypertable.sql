-- Hypertables and their dimensions. Names, arguments and defaults are TimescaleDB's.
CREATE TYPE _timescaledb_functions.dimension_info AS (
    column_name name,
    dimension_type text,
    number_partitions int,
    interval_type regtype,
    interval_value text,
    partitioning_func regproc
);

CREATE FUNCTION by_range(column_name name, partition_interval anyelement = NULL::bigint, partition_func regproc = NULL)
    RETURNS _timescaledb_functions.dimension_info
    AS 'MODULE_PATHNAME', 'tsc_by_range' LANGUAGE c IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION by_hash(column_name name, number_partitions int, partition_func regproc = NULL)
    RETURNS _timescaledb_functions.dimension_info
    AS 'MODULE_PATHNAME', 'tsc_by_hash' LANGUAGE c IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION create_hypertable(
    relation regclass,
    time_column_name name,
    partitioning_column name = NULL,
    number_partitions int = NULL,
    associated_schema_name name = NULL,
    associated_table_prefix name = NULL,
    chunk_time_interval anyelement = NULL::bigint,
    create_default_indexes boolean = TRUE,
    if_not_exists boolean = FALSE,
    partitioning_func regproc = NULL,
    migrate_data boolean = FALSE,
    time_partitioning_func regproc = NULL)
    RETURNS TABLE (hypertable_id int, schema_name name, table_name name, created boolean)
    AS 'MODULE_PATHNAME', 'tsc_create_hypertable' LANGUAGE c VOLATILE ROWS 1;

CREATE FUNCTION create_hypertable(
    relation regclass,
    dimension _timescaledb_functions.dimension_info,
    create_default_indexes boolean = TRUE,
    if_not_exists boolean = FALSE,
    migrate_data boolean = FALSE)
    RETURNS TABLE (hypertable_id int, created boolean)
    AS 'MODULE_PATHNAME', 'tsc_create_hypertable_dimension' LANGUAGE c VOLATILE ROWS 1;

CREATE FUNCTION add_dimension(
    hypertable regclass,
    column_name name,
    number_partitions int = NULL,
    chunk_time_interval anyelement = NULL::bigint,
    partitioning_func regproc = NULL,
    if_not_exists boolean = FALSE)
    RETURNS TABLE (dimension_id int, schema_name name, table_name name, column_name name, created boolean)
    AS 'MODULE_PATHNAME', 'tsc_add_dimension' LANGUAGE c VOLATILE ROWS 1;

CREATE FUNCTION add_dimension(
    hypertable regclass,
    dimension _timescaledb_functions.dimension_info,
    if_not_exists boolean = FALSE)
    RETURNS TABLE (dimension_id int, created boolean)
    AS 'MODULE_PATHNAME', 'tsc_add_dimension_info' LANGUAGE c VOLATILE ROWS 1;

CREATE FUNCTION set_chunk_time_interval(hypertable regclass, chunk_time_interval anyelement, dimension_name name = NULL)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_set_chunk_time_interval' LANGUAGE c VOLATILE;

CREATE FUNCTION set_partitioning_interval(hypertable regclass, partition_interval anyelement, dimension_name name = NULL)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_set_chunk_time_interval' LANGUAGE c VOLATILE;

CREATE FUNCTION set_number_partitions(hypertable regclass, number_partitions int, dimension_name name = NULL)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_set_number_partitions' LANGUAGE c VOLATILE;

CREATE FUNCTION set_integer_now_func(hypertable regclass, integer_now_func regproc, replace_if_exists boolean = FALSE)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_set_integer_now_func' LANGUAGE c VOLATILE;
