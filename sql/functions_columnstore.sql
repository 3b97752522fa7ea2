-- Chunks between row form and columns. Names, arguments and defaults are TimescaleDB's.
CREATE FUNCTION compress_chunk(uncompressed_chunk regclass, if_not_compressed boolean = true, recompress boolean = false)
    RETURNS regclass AS 'MODULE_PATHNAME', 'tsc_compress_chunk' LANGUAGE c STRICT VOLATILE;

CREATE FUNCTION decompress_chunk(uncompressed_chunk regclass, if_compressed boolean = true)
    RETURNS regclass AS 'MODULE_PATHNAME', 'tsc_decompress_chunk' LANGUAGE c STRICT VOLATILE;

CREATE PROCEDURE convert_to_columnstore(chunk regclass, if_not_columnstore boolean = true, recompress boolean = false)
    AS 'MODULE_PATHNAME', 'tsc_compress_chunk' LANGUAGE c;

CREATE PROCEDURE convert_to_rowstore(chunk regclass, if_columnstore boolean = true)
    AS 'MODULE_PATHNAME', 'tsc_decompress_chunk' LANGUAGE c;

CREATE PROCEDURE recompress_chunk(chunk regclass, if_not_compressed boolean = true)
    AS 'MODULE_PATHNAME', 'tsc_recompress_chunk' LANGUAGE c;

-- After a restore, dropping a chunk must drop its batch table again.
CREATE FUNCTION _timescaledb_functions.columnar_chunk_restored() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_columnar_chunk_restored' LANGUAGE c;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.columnar_chunk_restored() FROM PUBLIC;
CREATE TRIGGER columnar_chunk_restored AFTER INSERT ON _timescaledb_config.columnar_chunk
    FOR EACH ROW EXECUTE FUNCTION _timescaledb_functions.columnar_chunk_restored();

-- On chunks with a columnar part and unique keys: has PostgreSQL see the keys that are in columns.
CREATE FUNCTION _timescaledb_functions.unique_guard() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_unique_guard' LANGUAGE c;

-- What sessions are doing, of all databases, as pg_stat_progress_vacuum and its like.
CREATE FUNCTION _timescaledb_functions.columnstore_progress()
    RETURNS TABLE (pid int, datid oid, relid oid, command text, phase text, rows_done bigint, rows_total bigint)
    AS 'MODULE_PATHNAME', 'tsc_columnstore_progress' LANGUAGE c STABLE ROWS 10;

CREATE VIEW timescaledb_information.columnstore_progress AS
SELECT p.pid, d.datname, hn.nspname AS hypertable_schema, hc.relname AS hypertable_name, n.nspname AS chunk_schema, c.relname AS chunk_name,
    p.command, p.phase, p.rows_done, p.rows_total
FROM _timescaledb_functions.columnstore_progress() AS p
JOIN pg_catalog.pg_database AS d ON d.oid = p.datid
JOIN pg_catalog.pg_class AS c ON c.oid = p.relid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS hc ON hc.oid = pg_catalog.pg_partition_root(p.relid)
JOIN pg_catalog.pg_namespace AS hn ON hn.oid = hc.relnamespace
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database();
