-- What the columnstore saves. Names, arguments and columns are TimescaleDB's; node_name is always NULL. Sizes after compression include
-- rows that came later and are not in a batch yet.
CREATE FUNCTION chunk_columnstore_stats(hypertable regclass)
    RETURNS TABLE (
        chunk_schema name,
        chunk_name name,
        compression_status text,
        before_compression_table_bytes bigint,
        before_compression_index_bytes bigint,
        before_compression_toast_bytes bigint,
        before_compression_total_bytes bigint,
        after_compression_table_bytes bigint,
        after_compression_index_bytes bigint,
        after_compression_toast_bytes bigint,
        after_compression_total_bytes bigint,
        node_name name)
    AS 'MODULE_PATHNAME', 'tsc_chunk_columnstore_stats' LANGUAGE c STRICT STABLE ROWS 100;

CREATE FUNCTION chunk_compression_stats(hypertable regclass)
    RETURNS TABLE (
        chunk_schema name,
        chunk_name name,
        compression_status text,
        before_compression_table_bytes bigint,
        before_compression_index_bytes bigint,
        before_compression_toast_bytes bigint,
        before_compression_total_bytes bigint,
        after_compression_table_bytes bigint,
        after_compression_index_bytes bigint,
        after_compression_toast_bytes bigint,
        after_compression_total_bytes bigint,
        node_name name)
    AS 'MODULE_PATHNAME', 'tsc_chunk_columnstore_stats' LANGUAGE c STRICT STABLE ROWS 100;

CREATE FUNCTION hypertable_columnstore_stats(hypertable regclass)
    RETURNS TABLE (
        total_chunks bigint,
        number_compressed_chunks bigint,
        before_compression_table_bytes bigint,
        before_compression_index_bytes bigint,
        before_compression_toast_bytes bigint,
        before_compression_total_bytes bigint,
        after_compression_table_bytes bigint,
        after_compression_index_bytes bigint,
        after_compression_toast_bytes bigint,
        after_compression_total_bytes bigint,
        node_name name)
    LANGUAGE sql STRICT STABLE ROWS 1
    BEGIN ATOMIC
        SELECT count(*), count(*) FILTER (WHERE s.compression_status = 'Compressed'),
            sum(s.before_compression_table_bytes)::bigint,
            sum(s.before_compression_index_bytes)::bigint,
            sum(s.before_compression_toast_bytes)::bigint,
            sum(s.before_compression_total_bytes)::bigint,
            sum(s.after_compression_table_bytes)::bigint,
            sum(s.after_compression_index_bytes)::bigint,
            sum(s.after_compression_toast_bytes)::bigint,
            sum(s.after_compression_total_bytes)::bigint,
            s.node_name
        FROM chunk_columnstore_stats($1) s GROUP BY s.node_name;
    END;

CREATE FUNCTION hypertable_compression_stats(hypertable regclass)
    RETURNS TABLE (
        total_chunks bigint,
        number_compressed_chunks bigint,
        before_compression_table_bytes bigint,
        before_compression_index_bytes bigint,
        before_compression_toast_bytes bigint,
        before_compression_total_bytes bigint,
        after_compression_table_bytes bigint,
        after_compression_index_bytes bigint,
        after_compression_toast_bytes bigint,
        after_compression_total_bytes bigint,
        node_name name)
    LANGUAGE sql STRICT STABLE ROWS 1
    BEGIN ATOMIC
        SELECT s.* FROM hypertable_columnstore_stats($1) s;
    END;

-- What would be chosen for a hypertable without settings: {"columns": [..]} and {"clauses": [..]}, with a confidence from 0 to 10.
CREATE FUNCTION _timescaledb_functions.get_segmentby_defaults(relation regclass)
    RETURNS jsonb AS 'MODULE_PATHNAME', 'tsc_get_segmentby_defaults' LANGUAGE c STRICT VOLATILE;

CREATE FUNCTION _timescaledb_functions.get_orderby_defaults(relation regclass, segment_by_cols text[])
    RETURNS jsonb AS 'MODULE_PATHNAME', 'tsc_get_orderby_defaults' LANGUAGE c VOLATILE;

-- The option timescaledb.index as the views show it.
CREATE FUNCTION _timescaledb_functions.sparse_index_json(sparse_index text)
    RETURNS jsonb AS 'MODULE_PATHNAME', 'tsc_sparse_index_json' LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE;
