-- Chunks. Names, arguments and defaults are TimescaleDB's.
CREATE FUNCTION show_chunks(
    relation regclass,
    older_than "any" = NULL,
    newer_than "any" = NULL,
    created_before "any" = NULL,
    created_after "any" = NULL)
    RETURNS SETOF regclass AS 'MODULE_PATHNAME', 'tsc_show_chunks' LANGUAGE c STABLE;

CREATE FUNCTION drop_chunks(
    relation regclass,
    older_than "any" = NULL,
    newer_than "any" = NULL,
    verbose boolean = FALSE,
    created_before "any" = NULL,
    created_after "any" = NULL)
    RETURNS SETOF text AS 'MODULE_PATHNAME', 'tsc_drop_chunks' LANGUAGE c VOLATILE;

CREATE FUNCTION _timescaledb_functions.drop_chunk(chunk regclass)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_drop_chunk' LANGUAGE c VOLATILE;

-- The leaf partitions of a hypertable with the range of time (in microseconds since 1970, or integers) and the hash parts that they
-- hold. Takes no lock on them, and returns nothing for a table that is no hypertable: the views are made of this.
CREATE FUNCTION _timescaledb_functions.hypertable_chunks(
    hypertable regclass,
    OUT chunk regclass,
    OUT slice regclass,
    OUT range_start bigint,
    OUT range_end bigint,
    OUT time_start timestamptz,
    OUT time_end timestamptz,
    OUT moduli int[],
    OUT remainders int[])
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'tsc_hypertable_chunks' LANGUAGE c STABLE ROWS 100;

CREATE FUNCTION move_chunk(
    chunk regclass,
    destination_tablespace name,
    index_destination_tablespace name = NULL,
    reorder_index regclass = NULL,
    verbose boolean = FALSE)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_move_chunk' LANGUAGE c VOLATILE;

CREATE FUNCTION reorder_chunk(chunk regclass, index regclass = NULL, verbose boolean = FALSE)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_reorder_chunk' LANGUAGE c VOLATILE;

CREATE PROCEDURE merge_chunks(chunk1 regclass, chunk2 regclass, concurrently boolean = FALSE)
    AS 'MODULE_PATHNAME', 'tsc_merge_two_chunks' LANGUAGE c;

CREATE PROCEDURE merge_chunks(chunks regclass[])
    AS 'MODULE_PATHNAME', 'tsc_merge_chunks' LANGUAGE c;

CREATE PROCEDURE merge_chunks_concurrently(chunks regclass[])
    AS 'MODULE_PATHNAME', 'tsc_merge_chunks_concurrently' LANGUAGE c;

CREATE PROCEDURE split_chunk(chunk regclass, split_at "any" = NULL)
    AS 'MODULE_PATHNAME', 'tsc_split_chunk' LANGUAGE c;

CREATE PROCEDURE attach_chunk(hypertable regclass, chunk regclass, slices jsonb)
    AS 'MODULE_PATHNAME', 'tsc_attach_chunk' LANGUAGE c;

CREATE PROCEDURE detach_chunk(chunk regclass)
    AS 'MODULE_PATHNAME', 'tsc_detach_chunk' LANGUAGE c;

-- Slices are given as {"column": [start, end]}; numbers are microseconds since 1970 or integers, strings are values of the column.
CREATE FUNCTION _timescaledb_functions.create_chunk(hypertable regclass, slices jsonb)
    RETURNS TABLE (chunk_id int, hypertable_id int, schema_name name, table_name name, relkind "char", slices jsonb, created boolean)
    AS 'MODULE_PATHNAME', 'tsc_create_chunk' LANGUAGE c VOLATILE ROWS 1;

CREATE FUNCTION _timescaledb_functions.show_chunk(chunk regclass)
    RETURNS TABLE (chunk_id int, hypertable_id int, schema_name name, table_name name, relkind "char", slices jsonb)
    AS 'MODULE_PATHNAME', 'tsc_show_chunk' LANGUAGE c STABLE ROWS 1;

CREATE FUNCTION _timescaledb_functions.chunk_status(chunk regclass)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_chunk_status' LANGUAGE c STABLE;

CREATE FUNCTION _timescaledb_functions.chunk_status_text(status int) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ARRAY(
        SELECT b.name FROM (VALUES (1, 'COMPRESSED'), (2, 'UNORDERED'), (4, 'FROZEN'), (8, 'PARTIAL')) AS b (bit, name)
        WHERE status & b.bit <> 0 ORDER BY b.bit);

CREATE FUNCTION _timescaledb_functions.chunk_status_text(chunk regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT
    RETURN _timescaledb_functions.chunk_status_text(_timescaledb_functions.chunk_status(chunk));

CREATE FUNCTION _timescaledb_functions.freeze_chunk(chunk regclass)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_freeze_chunk' LANGUAGE c VOLATILE;
