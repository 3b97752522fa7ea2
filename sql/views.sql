-- What clients read. timescaledb_information has TimescaleDB's columns; _timescaledb_catalog shows this extension's catalog as
-- TimescaleDB 2.28 keeps its own, for clients that read that. Which chunks there are comes from PostgreSQL's catalogs.
-- The dimensions of all hypertables with what pg_attribute and pg_proc say of them; key_type is what is divided: the column's
-- type, or the result type of the partitioning function.
CREATE VIEW _timescaledb_config.hypertable_dimension AS
SELECT d.*, h.relid, a.atttypid AS column_type,
    CASE WHEN d.partitioning_func IS NULL THEN a.atttypid ELSE (
        SELECT p.prorettype FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = n.oid AND p.proname = d.partitioning_func AND p.pronargs = 1
            AND p.proargtypes[0] IN (a.atttypid, 'anyelement'::regtype)
        ORDER BY p.proargtypes[0] <> a.atttypid LIMIT 1)
    END AS key_type
FROM _timescaledb_config.dimension d
JOIN _timescaledb_config.hypertable h ON h.id = d.hypertable_id
JOIN pg_catalog.pg_attribute a ON a.attrelid = h.relid AND a.attname = d.column_name AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = d.partitioning_func_schema;

CREATE VIEW timescaledb_information.hypertables AS
SELECT n.nspname AS hypertable_schema,
    c.relname AS hypertable_name,
    pg_catalog.pg_get_userbyid(c.relowner) AS owner,
    (SELECT count(*) FROM _timescaledb_config.dimension d WHERE d.hypertable_id = h.id)::smallint AS num_dimensions,
    (SELECT count(*) FROM _timescaledb_functions.hypertable_chunks(h.relid)) AS num_chunks,
    EXISTS (SELECT FROM _timescaledb_config.columnstore s WHERE s.hypertable_id = h.id) AS compression_enabled,
    (SELECT pg_catalog.array_agg(t.tablespace_name ORDER BY t.ordinal) FROM _timescaledb_config.tablespace t
        WHERE t.hypertable_id = h.id) AS tablespaces,
    d.column_name AS primary_dimension,
    d.key_type::regtype AS primary_dimension_type
FROM _timescaledb_config.hypertable h
JOIN pg_catalog.pg_class c ON c.oid = h.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN _timescaledb_config.hypertable_dimension d ON d.hypertable_id = h.id AND d.ordinal = 1
WHERE NOT EXISTS (SELECT FROM _timescaledb_config.continuous_agg a WHERE a.id = h.id);

CREATE VIEW timescaledb_information.dimensions AS
SELECT n.nspname AS hypertable_schema,
    c.relname AS hypertable_name,
    d.ordinal::bigint AS dimension_number,
    d.column_name,
    d.column_type::regtype AS column_type,
    CASE WHEN d.interval_length IS NULL THEN 'Space' ELSE 'Time' END AS dimension_type,
    CASE WHEN d.key_type NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
        THEN pg_catalog.make_interval(days => (d.interval_length / 86400000000)::int,
            secs => (d.interval_length % 86400000000)::double precision / 1000000) END AS time_interval,
    CASE WHEN d.key_type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN d.interval_length END AS integer_interval,
    d.integer_now_func,
    d.num_slices::smallint AS num_partitions
FROM _timescaledb_config.hypertable_dimension d
JOIN pg_catalog.pg_class c ON c.oid = d.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;

CREATE VIEW timescaledb_information.chunks AS
SELECT hn.nspname AS hypertable_schema,
    hc.relname AS hypertable_name,
    cn.nspname AS chunk_schema,
    cc.relname AS chunk_name,
    d.column_name AS primary_dimension,
    d.key_type::regtype AS primary_dimension_type,
    s.time_start AS range_start,
    s.time_end AS range_end,
    CASE WHEN s.time_start IS NULL THEN s.range_start END AS range_start_integer,
    CASE WHEN s.time_start IS NULL THEN s.range_end END AS range_end_integer,
    EXISTS (SELECT FROM _timescaledb_config.columnar_chunk p WHERE p.relid = s.chunk AND p.compressed) AS is_compressed,
    t.spcname AS chunk_tablespace,
    k.creation_time AS chunk_creation_time
FROM _timescaledb_config.hypertable h
JOIN pg_catalog.pg_class hc ON hc.oid = h.relid
JOIN pg_catalog.pg_namespace hn ON hn.oid = hc.relnamespace
JOIN _timescaledb_config.hypertable_dimension d ON d.hypertable_id = h.id AND d.ordinal = 1
CROSS JOIN LATERAL _timescaledb_functions.hypertable_chunks(h.relid) s
JOIN pg_catalog.pg_class cc ON cc.oid = s.chunk
JOIN pg_catalog.pg_namespace cn ON cn.oid = cc.relnamespace
LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = cc.reltablespace
LEFT JOIN _timescaledb_config.chunk k ON k.relid = s.chunk;

-- A list of columns and their order as the option takes it.
CREATE FUNCTION _timescaledb_functions.order_text(columns name[], descending bool[], nulls_first bool[]) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT pg_catalog.string_agg(
            pg_catalog.quote_ident(u.name)
                || CASE WHEN u.descending THEN ' DESC' ELSE '' END
                || CASE WHEN u.nulls_first = u.descending THEN '' WHEN u.descending THEN ' NULLS LAST' ELSE ' NULLS FIRST' END,
            ', ' ORDER BY u.ordinality)
        FROM ROWS FROM (pg_catalog.unnest(columns), pg_catalog.unnest(descending), pg_catalog.unnest(nulls_first))
            WITH ORDINALITY AS u (name, descending, nulls_first, ordinality));

-- Settings that nobody gave are chosen when a chunk is compressed: they are NULL here, and said of the chunk below.
CREATE VIEW timescaledb_information.hypertable_columnstore_settings AS
SELECT h.relid AS hypertable,
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(u.name), ', ' ORDER BY u.ordinality)
        FROM pg_catalog.unnest(s.segmentby) WITH ORDINALITY AS u (name, ordinality)) AS segmentby,
    _timescaledb_functions.order_text(s.orderby, s.orderby_desc, s.orderby_nulls_first) AS orderby,
    CASE WHEN d.key_type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN s.compress_interval::text
        ELSE pg_catalog.make_interval(days => (s.compress_interval / 86400000000)::int,
            secs => (s.compress_interval % 86400000000)::double precision / 1000000)::text END AS compress_interval_length,
    _timescaledb_functions.sparse_index_json(s.sparse_index) AS index
FROM _timescaledb_config.columnstore s
JOIN _timescaledb_config.hypertable h ON h.id = s.hypertable_id
JOIN _timescaledb_config.hypertable_dimension d ON d.hypertable_id = h.id AND d.ordinal = 1;

CREATE VIEW timescaledb_information.hypertable_compression_settings AS
SELECT * FROM timescaledb_information.hypertable_columnstore_settings;

CREATE VIEW timescaledb_information.chunk_columnstore_settings AS
SELECT h.relid AS hypertable,
    p.relid AS chunk,
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(p.columns[u.position]), ', ' ORDER BY u.ordinality)
        FROM pg_catalog.unnest(p.segmentby) WITH ORDINALITY AS u (position, ordinality)) AS segmentby,
    _timescaledb_functions.order_text(
        ARRAY(SELECT p.columns[u.position] FROM pg_catalog.unnest(p.orderby) WITH ORDINALITY AS u (position, ordinality) ORDER BY u.ordinality),
        p.orderby_desc, p.orderby_nulls_first) AS orderby,
    -- the filters that there are, whether they were asked for or come of an index
    _timescaledb_functions.sparse_index_json((
        SELECT pg_catalog.string_agg(pg_catalog.format('bloom(%I)', p.columns[u.position]), ', ' ORDER BY u.position)
        FROM pg_catalog.unnest(p.blooms) AS u (position) WHERE p.columns[u.position] OPERATOR(pg_catalog.<>) '')) AS index
FROM _timescaledb_config.columnar_chunk p
JOIN _timescaledb_config.chunk k ON k.relid = p.relid
JOIN _timescaledb_config.hypertable h ON h.id = k.hypertable_id
WHERE p.compressed;

CREATE VIEW timescaledb_information.chunk_compression_settings AS
SELECT * FROM timescaledb_information.chunk_columnstore_settings;

-- One row per column that rows are kept apart or ordered by.
CREATE VIEW timescaledb_information.compression_settings AS
SELECT n.nspname AS hypertable_schema,
    c.relname AS hypertable_name,
    u.name AS attname,
    CASE WHEN u.segment THEN u.ordinality::smallint END AS segmentby_column_index,
    CASE WHEN NOT u.segment THEN u.ordinality::smallint END AS orderby_column_index,
    NOT u.descending AS orderby_asc,
    u.nulls_first AS orderby_nullsfirst
FROM _timescaledb_config.columnstore s
JOIN _timescaledb_config.hypertable h ON h.id = s.hypertable_id
JOIN pg_catalog.pg_class c ON c.oid = h.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT true AS segment, g.name, NULL::bool AS descending, NULL::bool AS nulls_first, g.ordinality
    FROM pg_catalog.unnest(s.segmentby) WITH ORDINALITY AS g (name, ordinality)
    UNION ALL
    SELECT false, o.name, o.descending, o.nulls_first, o.ordinality
    FROM ROWS FROM (pg_catalog.unnest(s.orderby), pg_catalog.unnest(s.orderby_desc), pg_catalog.unnest(s.orderby_nulls_first))
        WITH ORDINALITY AS o (name, descending, nulls_first, ordinality)) u;

CREATE VIEW _timescaledb_catalog.hypertable AS
SELECT h.id,
    n.nspname AS schema_name,
    c.relname AS table_name,
    h.associated_schema AS associated_schema_name,
    h.associated_prefix AS associated_table_prefix,
    (SELECT count(*) FROM _timescaledb_config.dimension d WHERE d.hypertable_id = h.id)::smallint AS num_dimensions,
    '_timescaledb_functions'::name AS chunk_sizing_func_schema,
    'calculate_chunk_interval'::name AS chunk_sizing_func_name,
    0::bigint AS chunk_target_size,
    (s.hypertable_id IS NOT NULL)::int::smallint AS compression_state,
    -- There is no such hypertable; clients ask whether this is NULL.
    -s.hypertable_id AS compressed_hypertable_id,
    0 AS status
FROM _timescaledb_config.hypertable h
JOIN pg_catalog.pg_class c ON c.oid = h.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN _timescaledb_config.columnstore s ON s.hypertable_id = h.id;

CREATE VIEW _timescaledb_catalog.dimension AS
SELECT d.id,
    d.hypertable_id,
    d.column_name,
    d.column_type::regtype AS column_type,
    d.interval_length IS NOT NULL AS aligned,
    d.num_slices::smallint AS num_slices,
    CASE WHEN d.num_slices IS NULL THEN d.partitioning_func_schema
        ELSE coalesce(d.partitioning_func_schema, '_timescaledb_functions') END AS partitioning_func_schema,
    CASE WHEN d.num_slices IS NULL THEN d.partitioning_func
        ELSE coalesce(d.partitioning_func, 'get_partition_hash') END AS partitioning_func,
    d.interval_length,
    CASE WHEN d.ordinal = 1 THEN (SELECT s.compress_interval FROM _timescaledb_config.columnstore s
        WHERE s.hypertable_id = d.hypertable_id) END AS compress_interval_length,
    d.integer_now_func_schema,
    d.integer_now_func
FROM _timescaledb_config.hypertable_dimension d;

-- Each chunk with its slice of each dimension. The id of a time slice is that of its first chunk; a hash slice, of which every chunk
-- has its own, is numbered downwards from -1, so that no two slices share an id.
CREATE VIEW _timescaledb_config.chunk_slice AS
SELECT k.id AS chunk_id,
    d.id AS dimension_id,
    CASE WHEN d.ordinal = 1 THEN min(k.id) OVER (PARTITION BY d.id, s.slice)
        ELSE -((k.id - 1) * 8 + d.ordinal) END AS slice_id,
    CASE WHEN d.ordinal = 1 THEN s.range_start
        WHEN coalesce(s.remainders[d.ordinal - 1], 0) = 0 THEN -9223372036854775808
        ELSE s.remainders[d.ordinal - 1] * (2147483647 / s.moduli[d.ordinal - 1])::bigint END AS range_start,
    CASE WHEN d.ordinal = 1 THEN s.range_end
        WHEN coalesce(s.remainders[d.ordinal - 1] + 1 = s.moduli[d.ordinal - 1], true) THEN 9223372036854775807
        ELSE (s.remainders[d.ordinal - 1] + 1) * (2147483647 / s.moduli[d.ordinal - 1])::bigint END AS range_end
FROM _timescaledb_config.hypertable h
JOIN _timescaledb_config.dimension d ON d.hypertable_id = h.id
CROSS JOIN LATERAL _timescaledb_functions.hypertable_chunks(h.relid) s
JOIN _timescaledb_config.chunk k ON k.relid = s.chunk;

CREATE VIEW _timescaledb_catalog.dimension_slice AS
SELECT DISTINCT slice_id AS id, dimension_id, range_start, range_end FROM _timescaledb_config.chunk_slice;

CREATE VIEW _timescaledb_catalog.chunk_constraint AS
SELECT chunk_id, slice_id AS dimension_slice_id, ('constraint_' || slice_id)::name AS constraint_name, NULL::name AS hypertable_constraint_name
FROM _timescaledb_config.chunk_slice;

CREATE VIEW _timescaledb_catalog.chunk AS
SELECT k.id,
    k.hypertable_id,
    n.nspname AS schema_name,
    c.relname AS table_name,
    -- As for hypertables: batches are in no chunk of their own.
    CASE WHEN p.compressed THEN -k.id END AS compressed_chunk_id,
    false AS dropped,
    CASE WHEN p.compressed THEN _timescaledb_functions.chunk_status(k.relid) ELSE 0 END AS status,
    false AS osm_chunk,
    k.creation_time
FROM _timescaledb_config.chunk k
JOIN pg_catalog.pg_class c ON c.oid = k.relid AND c.relispartition
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN _timescaledb_config.columnar_chunk p ON p.relid = k.relid;

CREATE VIEW _timescaledb_catalog.tablespace AS
SELECT (pg_catalog.row_number() OVER (ORDER BY hypertable_id, ordinal))::int AS id, hypertable_id, tablespace_name
FROM _timescaledb_config.tablespace;

CREATE VIEW _timescaledb_catalog.metadata AS
SELECT NULL::name AS key, NULL::text AS value, NULL::boolean AS include_in_telemetry WHERE false;

-- The views run their functions as whoever reads them; the internal ones hold nothing that pg_class does not show.
GRANT SELECT ON ALL TABLES IN SCHEMA timescaledb_information, _timescaledb_catalog TO PUBLIC;
GRANT SELECT ON _timescaledb_config.hypertable_dimension, _timescaledb_config.chunk_slice TO PUBLIC;
