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
