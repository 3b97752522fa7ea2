-- What clients read of continuous aggregates. timescaledb_information has TimescaleDB's columns; _timescaledb_catalog shows this
-- extension's catalog as TimescaleDB keeps its own.
CREATE FUNCTION _timescaledb_functions.cagg_get_bucket_function_info(mat_hypertable_id int,
        OUT bucket_func regprocedure, OUT bucket_width text, OUT bucket_origin text, OUT bucket_offset text, OUT bucket_timezone text,
        OUT bucket_fixed_width boolean)
    RETURNS record AS 'MODULE_PATHNAME', 'tsc_cagg_bucket_function' LANGUAGE c STABLE STRICT;
CREATE FUNCTION _timescaledb_functions.cagg_get_grouping_columns(cagg regclass) RETURNS name[]
    AS 'MODULE_PATHNAME', 'tsc_cagg_grouping_columns' LANGUAGE c STABLE STRICT;
CREATE FUNCTION _timescaledb_functions.cagg_validate_query(query text,
        OUT is_valid boolean, OUT error_level text, OUT error_code text, OUT error_message text, OUT error_detail text, OUT error_hint text)
    RETURNS record AS 'MODULE_PATHNAME', 'tsc_cagg_validate_query' LANGUAGE c VOLATILE STRICT;

-- After a restore the parts of a continuous aggregate must go together again.
CREATE FUNCTION _timescaledb_functions.continuous_agg_restored() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_continuous_agg_restored' LANGUAGE c;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.continuous_agg_restored() FROM PUBLIC;
CREATE TRIGGER continuous_agg_restored AFTER INSERT ON _timescaledb_config.continuous_agg
    FOR EACH ROW EXECUTE FUNCTION _timescaledb_functions.continuous_agg_restored();

CREATE VIEW timescaledb_information.continuous_aggregates AS
SELECT hn.nspname AS hypertable_schema,
    hc.relname AS hypertable_name,
    vn.nspname AS view_schema,
    vc.relname AS view_name,
    pg_catalog.pg_get_userbyid(vc.relowner) AS view_owner,
    a.materialized_only,
    EXISTS (SELECT FROM _timescaledb_config.columnstore s WHERE s.hypertable_id = a.id) AS compression_enabled,
    sn.nspname AS materialization_hypertable_schema,
    sc.relname AS materialization_hypertable_name,
    pg_catalog.pg_get_viewdef(a.direct_view::pg_catalog.oid) AS view_definition
FROM _timescaledb_config.continuous_agg a
JOIN pg_catalog.pg_class hc ON hc.oid = a.source
JOIN pg_catalog.pg_namespace hn ON hn.oid = hc.relnamespace
JOIN pg_catalog.pg_class vc ON vc.oid = a.user_view
JOIN pg_catalog.pg_namespace vn ON vn.oid = vc.relnamespace
JOIN pg_catalog.pg_class sc ON sc.oid = a.storage
JOIN pg_catalog.pg_namespace sn ON sn.oid = sc.relnamespace;

CREATE VIEW _timescaledb_catalog.continuous_agg AS
SELECT a.id AS mat_hypertable_id,
    h.id AS raw_hypertable_id,
    p.id AS parent_mat_hypertable_id,
    un.nspname AS user_view_schema,
    uc.relname AS user_view_name,
    pn.nspname AS partial_view_schema,
    pc.relname AS partial_view_name,
    dn.nspname AS direct_view_schema,
    dc.relname AS direct_view_name,
    a.materialized_only,
    true AS finalized
FROM _timescaledb_config.continuous_agg a
JOIN _timescaledb_config.hypertable h ON h.relid = a.source
LEFT JOIN _timescaledb_config.continuous_agg p ON p.storage = a.source
JOIN pg_catalog.pg_class uc ON uc.oid = a.user_view
JOIN pg_catalog.pg_namespace un ON un.oid = uc.relnamespace
JOIN pg_catalog.pg_class pc ON pc.oid = a.partial_view
JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
JOIN pg_catalog.pg_class dc ON dc.oid = a.direct_view
JOIN pg_catalog.pg_namespace dn ON dn.oid = dc.relnamespace;

CREATE VIEW _timescaledb_catalog.continuous_aggs_bucket_function AS
SELECT a.id AS mat_hypertable_id,
    b.bucket_func::text AS bucket_func,
    b.bucket_width,
    b.bucket_origin,
    b.bucket_offset,
    b.bucket_timezone,
    b.bucket_fixed_width
FROM _timescaledb_config.continuous_agg a
CROSS JOIN LATERAL _timescaledb_functions.cagg_get_bucket_function_info(a.id) b;

CREATE VIEW _timescaledb_catalog.continuous_aggs_watermark AS
SELECT a.id AS mat_hypertable_id, _timescaledb_functions.cagg_watermark(a.id) AS watermark
FROM _timescaledb_config.continuous_agg a;

-- Changes are looked at up to where the furthest of a hypertable's continuous aggregates is materialized.
CREATE VIEW _timescaledb_catalog.continuous_aggs_invalidation_threshold AS
SELECT h.id AS hypertable_id, max(_timescaledb_functions.cagg_watermark(a.id)) AS watermark
FROM _timescaledb_config.continuous_agg a
JOIN _timescaledb_config.hypertable h ON h.relid = a.source
GROUP BY h.id;

-- A position of a time dimension as TimescaleDB says it: microseconds since 1970, the ends of bigint for no bound.
CREATE FUNCTION _timescaledb_functions.position_to_internal("position" bigint, key_type pg_catalog.oid) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE
        WHEN "position" IN (-9223372036854775808, 9223372036854775807) THEN "position"
        WHEN key_type IN (1114, 1184) THEN "position" + 946684800000000
        WHEN key_type = 1082 AND abs("position") < 106700000 THEN ("position" + 10957) * 86400000000
        WHEN key_type = 1082 THEN CASE WHEN "position" < 0 THEN -9223372036854775808 ELSE 9223372036854775807 END
        ELSE "position"
    END;

CREATE VIEW _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log AS
SELECT h.id AS hypertable_id,
    _timescaledb_functions.position_to_internal(c.low, d.key_type) AS lowest_modified_value,
    _timescaledb_functions.position_to_internal(c.high, d.key_type) AS greatest_modified_value
FROM _timescaledb_config.hypertable_change c
JOIN _timescaledb_config.hypertable h ON h.relid = c.hypertable
JOIN _timescaledb_config.hypertable_dimension d ON d.hypertable_id = h.id AND d.ordinal = 1;

CREATE VIEW _timescaledb_catalog.continuous_aggs_materialization_invalidation_log AS
SELECT a.id AS materialization_id,
    _timescaledb_functions.position_to_internal(r.low, d.key_type) AS lowest_modified_value,
    _timescaledb_functions.position_to_internal(r.high, d.key_type) AS greatest_modified_value
FROM _timescaledb_config.continuous_agg_range r
JOIN _timescaledb_config.continuous_agg a ON a.storage = r.storage
JOIN _timescaledb_config.hypertable_dimension d ON d.hypertable_id = a.id AND d.ordinal = 1
WHERE r.kind = 'i';

GRANT SELECT ON timescaledb_information.continuous_aggregates, _timescaledb_catalog.continuous_agg,
    _timescaledb_catalog.continuous_aggs_bucket_function, _timescaledb_catalog.continuous_aggs_watermark,
    _timescaledb_catalog.continuous_aggs_invalidation_threshold, _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log,
    _timescaledb_catalog.continuous_aggs_materialization_invalidation_log TO PUBLIC;
