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
