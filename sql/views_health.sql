-- What to look at first when something is wrong: each hypertable in one row, its policies with their last and next runs, and in words
-- what needs somebody's attention. Errors are shown to who may see the job's history.
CREATE FUNCTION _timescaledb_functions.hypertable_health(hypertable regclass,
    OUT chunks bigint, OUT compressed_chunks bigint, OUT partial_chunks bigint, OUT total_bytes bigint, OUT before_bytes bigint, OUT after_bytes bigint)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'tsc_hypertable_health' LANGUAGE c VOLATILE ROWS 1;

CREATE VIEW timescaledb_information.hypertable_health AS
SELECT n.nspname AS hypertable_schema,
    c.relname AS hypertable_name,
    pg_catalog.pg_get_userbyid(c.relowner) AS owner,
    s.chunks AS num_chunks,
    s.compressed_chunks,
    s.partial_chunks,
    s.total_bytes,
    s.before_bytes AS before_compression_bytes,
    s.after_bytes AS after_compression_bytes,
    pg_catalog.round(s.before_bytes::numeric / NULLIF(s.after_bytes, 0), 1) AS compression_ratio,
    p.policies,
    p.last_run,
    p.next_run,
    p.problems
FROM _timescaledb_config.hypertable h
JOIN pg_catalog.pg_class c ON c.oid = h.relid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL _timescaledb_functions.hypertable_health(h.relid) s
LEFT JOIN LATERAL (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
                'job_id', j.id,
                'name', j.application_name,
                'status', j.status,
                'last_run', j.last_start,
                'last_run_status', j.last_run_status,
                'next_run', j.next_start,
                'failures_in_a_row', NULLIF(j.consecutive_failures, 0),
                'last_error', j.last_error)) ORDER BY j.id) AS policies,
        pg_catalog.max(j.last_start) AS last_run,
        pg_catalog.min(j.next_start) AS next_run,
        pg_catalog.array_agg(j.problem ORDER BY j.id) FILTER (WHERE j.problem IS NOT NULL) AS problems
    FROM (
        SELECT i.*,
            CASE
                WHEN i.consecutive_failures > 0 THEN pg_catalog.format('%s failed %s times in a row%s%s', i.application_name,
                    i.consecutive_failures, CASE WHEN i.scheduled THEN '' ELSE ' and is not scheduled any more' END, ': ' || i.last_error)
                WHEN NOT i.scheduled THEN i.application_name || ' is paused'
                WHEN i.status = 'Scheduled' AND i.next_start < pg_catalog.now() - interval '10 minutes'
                    THEN pg_catalog.format('%s should have run at %s', i.application_name, i.next_start)
            END AS problem
        FROM (
            SELECT b.id, b.application_name, b.scheduled, t.last_start, t.consecutive_failures,
                CASE WHEN b.scheduled THEN t.next_start END AS next_start,
                CASE WHEN r.job_id IS NOT NULL THEN 'Running' WHEN b.scheduled THEN 'Scheduled' ELSE 'Paused' END AS status,
                CASE WHEN t.last_finish IS NULL THEN NULL WHEN t.last_run_success THEN 'Success' ELSE 'Failed' END AS last_run_status,
                CASE WHEN t.consecutive_failures > 0 THEN (
                    SELECT e.err_message FROM _timescaledb_config.bgw_job_stat_history e
                    WHERE e.job_id = b.id AND NOT e.succeeded AND _timescaledb_functions.may_see_runs_of(e.owner)
                    ORDER BY e.execution_finish DESC LIMIT 1) END AS last_error
            FROM _timescaledb_config.bgw_job b
            JOIN _timescaledb_config.bgw_job_stat t ON t.job_id = b.id
            LEFT JOIN _timescaledb_functions.running_jobs() r ON r.job_id = b.id
            WHERE b.hypertable_id = h.id
        ) i
    ) j
) p ON true;

GRANT SELECT ON timescaledb_information.hypertable_health TO PUBLIC;
