-- Policies. Names, arguments and defaults are TimescaleDB's; drop_after_size and drop_after_by are this extension's.
CREATE FUNCTION add_compression_policy(
    hypertable regclass,
    compress_after "any" = NULL,
    if_not_exists boolean = FALSE,
    schedule_interval interval = NULL,
    initial_start timestamptz = NULL,
    timezone text = NULL,
    compress_created_before interval = NULL)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_add_compression_policy' LANGUAGE c VOLATILE;

CREATE PROCEDURE add_columnstore_policy(
    hypertable regclass,
    after "any" = NULL,
    if_not_exists boolean = FALSE,
    schedule_interval interval = NULL,
    initial_start timestamptz = NULL,
    timezone text = NULL,
    created_before interval = NULL)
    AS 'MODULE_PATHNAME', 'tsc_add_compression_policy' LANGUAGE c;

CREATE FUNCTION remove_compression_policy(hypertable regclass, if_exists boolean = FALSE)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_remove_compression_policy' LANGUAGE c VOLATILE;

CREATE PROCEDURE remove_columnstore_policy(hypertable regclass, if_exists boolean = FALSE)
    AS 'MODULE_PATHNAME', 'tsc_remove_compression_policy' LANGUAGE c;

CREATE FUNCTION add_retention_policy(
    relation regclass,
    drop_after "any" = NULL,
    if_not_exists boolean = FALSE,
    schedule_interval interval = NULL,
    initial_start timestamptz = NULL,
    timezone text = NULL,
    drop_created_before interval = NULL,
    drop_after_size text = NULL,
    drop_after_by jsonb = NULL)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_add_retention_policy' LANGUAGE c VOLATILE;

CREATE FUNCTION remove_retention_policy(relation regclass, if_exists boolean = FALSE)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_remove_retention_policy' LANGUAGE c VOLATILE;

CREATE FUNCTION add_reorder_policy(
    hypertable regclass,
    index_name name,
    if_not_exists boolean = FALSE,
    initial_start timestamptz = NULL,
    timezone text = NULL)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_add_reorder_policy' LANGUAGE c VOLATILE;

CREATE FUNCTION remove_reorder_policy(hypertable regclass, if_exists boolean = FALSE)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_remove_reorder_policy' LANGUAGE c VOLATILE;

CREATE FUNCTION add_continuous_aggregate_policy(
    continuous_aggregate regclass,
    start_offset "any",
    end_offset "any",
    schedule_interval interval,
    if_not_exists boolean = FALSE,
    initial_start timestamptz = NULL,
    timezone text = NULL,
    include_tiered_data boolean = NULL,
    buckets_per_batch int = NULL,
    max_batches_per_execution int = NULL,
    refresh_newest_first boolean = NULL)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_add_continuous_aggregate_policy' LANGUAGE c VOLATILE;

CREATE FUNCTION remove_continuous_aggregate_policy(
    continuous_aggregate regclass, if_not_exists boolean = FALSE, if_exists boolean = NULL)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_remove_continuous_aggregate_policy' LANGUAGE c VOLATILE;

-- Several at once.
CREATE FUNCTION timescaledb_experimental.add_policies(
    relation regclass,
    if_not_exists boolean = FALSE,
    refresh_start_offset "any" = NULL,
    refresh_end_offset "any" = NULL,
    compress_after "any" = NULL,
    drop_after "any" = NULL)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_add_policies' LANGUAGE c VOLATILE;

CREATE FUNCTION timescaledb_experimental.alter_policies(
    relation regclass,
    if_exists boolean = FALSE,
    refresh_start_offset "any" = NULL,
    refresh_end_offset "any" = NULL,
    compress_after "any" = NULL,
    drop_after "any" = NULL)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_alter_policies' LANGUAGE c VOLATILE;

CREATE FUNCTION timescaledb_experimental.remove_policies(relation regclass, if_exists boolean = FALSE, VARIADIC policy_names text[] = NULL)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_remove_policies' LANGUAGE c VOLATILE;

CREATE FUNCTION timescaledb_experimental.remove_all_policies(relation regclass, if_exists boolean = FALSE)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_remove_all_policies' LANGUAGE c VOLATILE;

CREATE FUNCTION timescaledb_experimental.show_policies(relation regclass)
    RETURNS SETOF jsonb AS 'MODULE_PATHNAME', 'tsc_show_policies' LANGUAGE c STABLE ROWS 3;

CREATE VIEW timescaledb_experimental.policies AS
SELECT r.relname AS relation_name,
    s.nspname AS relation_schema,
    j.schedule_interval,
    j.proc_schema,
    j.proc_name,
    j.config,
    n.nspname AS hypertable_schema,
    c.relname AS hypertable_name
FROM _timescaledb_config.bgw_job j
JOIN _timescaledb_config.hypertable h ON h.id = j.hypertable_id
JOIN pg_catalog.pg_class c ON c.oid = h.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN _timescaledb_config.continuous_agg a ON a.storage = h.relid
JOIN pg_catalog.pg_class r ON r.oid = COALESCE(a.user_view, h.relid)
JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace
WHERE j.proc_schema = '_timescaledb_functions' AND j.proc_name IN ('policy_compression', 'policy_retention', 'policy_reorder',
    'policy_refresh_continuous_aggregate');

GRANT SELECT ON timescaledb_experimental.policies TO PUBLIC;
