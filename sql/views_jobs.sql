-- Jobs as clients read them.
CREATE VIEW timescaledb_information.jobs AS
SELECT j.id AS job_id,
    j.application_name,
    j.schedule_interval,
    j.max_runtime,
    j.max_retries,
    j.retry_period,
    j.proc_schema,
    j.proc_name,
    j.owner,
    j.scheduled,
    j.fixed_schedule,
    j.config,
    s.next_start,
    j.initial_start,
    n.nspname AS hypertable_schema,
    c.relname AS hypertable_name,
    j.check_schema,
    j.check_name
FROM _timescaledb_config.bgw_job j
LEFT JOIN _timescaledb_config.bgw_job_stat s ON s.job_id = j.id
LEFT JOIN _timescaledb_config.hypertable h ON h.id = j.hypertable_id
LEFT JOIN _timescaledb_config.continuous_agg a ON a.storage = h.relid
LEFT JOIN pg_catalog.pg_class c ON c.oid = COALESCE(a.user_view, h.relid)
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;

CREATE VIEW timescaledb_information.job_stats AS
SELECT n.nspname AS hypertable_schema,
    c.relname AS hypertable_name,
    j.id AS job_id,
    s.last_start AS last_run_started_at,
    s.last_successful_finish,
    CASE WHEN s.last_finish IS NULL THEN NULL WHEN s.last_run_success THEN 'Success' ELSE 'Failed' END AS last_run_status,
    CASE WHEN EXISTS (SELECT FROM _timescaledb_functions.running_jobs() r WHERE r.job_id = j.id) THEN 'Running'
        WHEN NOT j.scheduled THEN 'Paused'
        ELSE 'Scheduled' END AS job_status,
    s.last_finish - s.last_start AS last_run_duration,
    CASE WHEN j.scheduled THEN s.next_start END AS next_start,
    s.total_runs,
    s.total_successes,
    s.total_failures
FROM _timescaledb_config.bgw_job j
JOIN _timescaledb_config.bgw_job_stat s ON s.job_id = j.id
LEFT JOIN _timescaledb_config.hypertable h ON h.id = j.hypertable_id
LEFT JOIN pg_catalog.pg_class c ON c.oid = h.relid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;

-- Whether the reader may know of runs of a role's jobs: the database's owner may, and who has the role's privileges.
CREATE FUNCTION _timescaledb_functions.may_see_runs_of(role oid) RETURNS boolean LANGUAGE sql STABLE
    RETURN pg_catalog.pg_has_role(current_user, (SELECT d.datdba FROM pg_catalog.pg_database d
            WHERE d.datname = pg_catalog.current_database()), 'MEMBER')
        OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = role AND pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER'));

CREATE VIEW timescaledb_information.job_history WITH (security_barrier = true) AS
SELECT h.id,
    h.job_id,
    h.succeeded,
    h.proc_schema,
    h.proc_name,
    h.pid,
    h.execution_start AS start_time,
    h.execution_finish AS finish_time,
    h.config,
    h.sqlerrcode,
    h.err_message
FROM _timescaledb_config.bgw_job_stat_history h
WHERE _timescaledb_functions.may_see_runs_of(h.owner);

CREATE VIEW timescaledb_information.job_errors WITH (security_barrier = true) AS
SELECT h.job_id,
    h.proc_schema,
    h.proc_name,
    h.pid,
    h.execution_start AS start_time,
    h.execution_finish AS finish_time,
    h.sqlerrcode,
    h.err_message
FROM _timescaledb_config.bgw_job_stat_history h
WHERE NOT h.succeeded AND _timescaledb_functions.may_see_runs_of(h.owner);

CREATE VIEW _timescaledb_catalog.bgw_job AS SELECT * FROM _timescaledb_config.bgw_job;

GRANT SELECT ON timescaledb_information.jobs, timescaledb_information.job_stats, timescaledb_information.job_history,
    timescaledb_information.job_errors, _timescaledb_catalog.bgw_job TO PUBLIC;
