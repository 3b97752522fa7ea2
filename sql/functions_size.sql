-- Sizes in bytes and numbers of rows. Names, arguments and columns are TimescaleDB's; node_name is always NULL.
CREATE FUNCTION hypertable_size(hypertable regclass)
    RETURNS bigint AS 'MODULE_PATHNAME', 'tsc_hypertable_size' LANGUAGE c VOLATILE;

CREATE FUNCTION hypertable_detailed_size(hypertable regclass)
    RETURNS TABLE (table_bytes bigint, index_bytes bigint, toast_bytes bigint, total_bytes bigint, node_name name)
    AS 'MODULE_PATHNAME', 'tsc_hypertable_detailed_size' LANGUAGE c VOLATILE ROWS 1;

-- Approximate in name only: PostgreSQL says exact sizes fast enough.
CREATE FUNCTION hypertable_approximate_size(relation regclass)
    RETURNS bigint AS 'MODULE_PATHNAME', 'tsc_hypertable_size' LANGUAGE c VOLATILE;

CREATE FUNCTION hypertable_approximate_detailed_size(relation regclass)
    RETURNS TABLE (table_bytes bigint, index_bytes bigint, toast_bytes bigint, total_bytes bigint)
    AS 'MODULE_PATHNAME', 'tsc_hypertable_approximate_detailed_size' LANGUAGE c VOLATILE ROWS 1;

CREATE FUNCTION chunks_detailed_size(hypertable regclass)
    RETURNS TABLE (chunk_schema name, chunk_name name, table_bytes bigint, index_bytes bigint, toast_bytes bigint, total_bytes bigint,
        node_name name)
    AS 'MODULE_PATHNAME', 'tsc_chunks_detailed_size' LANGUAGE c VOLATILE ROWS 100;

CREATE FUNCTION hypertable_index_size(index_name regclass)
    RETURNS bigint AS 'MODULE_PATHNAME', 'tsc_hypertable_index_size' LANGUAGE c VOLATILE;

-- Of any table: what VACUUM and ANALYZE counted last, partitions and inheriting tables included.
CREATE FUNCTION approximate_row_count(relation regclass)
    RETURNS bigint AS 'MODULE_PATHNAME', 'tsc_approximate_row_count' LANGUAGE c VOLATILE;
