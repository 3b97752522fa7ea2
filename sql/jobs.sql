-- Jobs: what is to run when, how the last runs went, and their history. Other than relations, functions are kept by name, so that a
-- function may be replaced, and roles as regrole, of which pg_dump writes names.
CREATE SEQUENCE _timescaledb_config.bgw_job_id_seq AS int MINVALUE 1000;
CREATE TABLE _timescaledb_config.bgw_job (
    id int PRIMARY KEY DEFAULT nextval('_timescaledb_config.bgw_job_id_seq'),
    application_name name NOT NULL,
    schedule_interval interval NOT NULL,
    -- zero: no limit
    max_runtime interval NOT NULL,
    -- -1: no limit
    max_retries int NOT NULL,
    retry_period interval NOT NULL,
    proc_schema name NOT NULL,
    proc_name name NOT NULL,
    owner regrole NOT NULL,
    scheduled bool NOT NULL DEFAULT true,
    fixed_schedule bool NOT NULL DEFAULT true,
    -- the first start, from which the slots of a fixed schedule are counted
    initial_start timestamptz,
    hypertable_id int,
    config jsonb,
    check_schema name,
    check_name name,
    -- the zone on whose clocks days and months are counted; NULL: UTC
    timezone text
);
CREATE INDEX bgw_job_hypertable_id_idx ON _timescaledb_config.bgw_job (hypertable_id);
ALTER SEQUENCE _timescaledb_config.bgw_job_id_seq OWNED BY _timescaledb_config.bgw_job.id;

-- How runs went on this server, so no part of a dump. A run that has started and not finished is running, or its server crashed.
CREATE TABLE _timescaledb_config.bgw_job_stat (
    job_id int PRIMARY KEY,
    next_start timestamptz NOT NULL,
    last_start timestamptz,
    -- NULL while the job runs
    last_finish timestamptz,
    last_successful_finish timestamptz,
    last_run_success bool,
    total_runs bigint NOT NULL DEFAULT 0,
    total_successes bigint NOT NULL DEFAULT 0,
    total_failures bigint NOT NULL DEFAULT 0,
    total_crashes bigint NOT NULL DEFAULT 0,
    total_duration interval NOT NULL DEFAULT '0',
    consecutive_failures int NOT NULL DEFAULT 0,
    consecutive_crashes int NOT NULL DEFAULT 0
);

CREATE SEQUENCE _timescaledb_config.bgw_job_stat_history_id_seq;
CREATE TABLE _timescaledb_config.bgw_job_stat_history (
    id bigint PRIMARY KEY DEFAULT nextval('_timescaledb_config.bgw_job_stat_history_id_seq'),
    job_id int NOT NULL,
    -- of the run: the job itself may be gone or changed since
    owner oid NOT NULL,
    proc_schema name NOT NULL,
    proc_name name NOT NULL,
    config jsonb,
    pid int,
    execution_start timestamptz NOT NULL,
    execution_finish timestamptz NOT NULL,
    succeeded bool NOT NULL,
    sqlerrcode text,
    err_message text,
    err_detail text,
    err_hint text,
    err_context text
);
CREATE INDEX bgw_job_stat_history_job_id_idx ON _timescaledb_config.bgw_job_stat_history (job_id, execution_finish);
CREATE INDEX bgw_job_stat_history_finish_idx ON _timescaledb_config.bgw_job_stat_history (execution_finish);
ALTER SEQUENCE _timescaledb_config.bgw_job_stat_history_id_seq OWNED BY _timescaledb_config.bgw_job_stat_history.id;

-- A restore, or a superuser, fills the table by plain SQL.
CREATE FUNCTION _timescaledb_functions.jobs_changed() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_jobs_changed' LANGUAGE c;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.jobs_changed() FROM PUBLIC;
CREATE TRIGGER jobs_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _timescaledb_config.bgw_job
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.jobs_changed();

SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.bgw_job', 'WHERE id >= 1000');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.bgw_job_id_seq', '');

GRANT SELECT ON _timescaledb_config.bgw_job, _timescaledb_config.bgw_job_stat TO PUBLIC;

-- Keeps the history of each job short. A job of its own calls it.
CREATE FUNCTION _timescaledb_functions.policy_job_stat_history_retention(job_id int, config jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest timestamptz := now() - (config ->> 'drop_after')::interval;
    most_successes int := (config ->> 'max_successes_per_job')::int;
    most_failures int := (config ->> 'max_failures_per_job')::int;
BEGIN
    DELETE FROM _timescaledb_config.bgw_job_stat_history h WHERE h.execution_finish < oldest;
    DELETE FROM _timescaledb_config.bgw_job_stat_history h
    USING (SELECT n.id, n.succeeded, row_number() OVER (PARTITION BY n.job_id, n.succeeded ORDER BY n.execution_finish DESC, n.id DESC) AS place
        FROM _timescaledb_config.bgw_job_stat_history n) AS s
    WHERE h.id = s.id AND s.place > CASE WHEN s.succeeded THEN most_successes ELSE most_failures END;
END $$;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.policy_job_stat_history_retention(int, jsonb) FROM PUBLIC;

CREATE FUNCTION _timescaledb_functions.policy_job_stat_history_retention_check(config jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF config ->> 'drop_after' IS NULL AND config ->> 'max_successes_per_job' IS NULL AND config ->> 'max_failures_per_job' IS NULL THEN
        RAISE EXCEPTION 'config must have drop_after, max_successes_per_job or max_failures_per_job' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF (config ->> 'drop_after')::interval < interval '0' OR (config ->> 'max_successes_per_job')::int < 0
        OR (config ->> 'max_failures_per_job')::int < 0 THEN
        RAISE EXCEPTION 'drop_after, max_successes_per_job and max_failures_per_job must not be negative' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.policy_job_stat_history_retention_check(jsonb) FROM PUBLIC;

INSERT INTO _timescaledb_config.bgw_job (id, application_name, schedule_interval, max_runtime, max_retries, retry_period, proc_schema,
    proc_name, owner, config, check_schema, check_name, initial_start)
VALUES (3, 'Job History Log Retention Policy [3]', '6 hours', '1 hour', -1, '1 hour', '_timescaledb_functions',
    'policy_job_stat_history_retention', pg_catalog.quote_ident(current_user)::regrole,
    '{"drop_after": "1 month", "max_successes_per_job": 1000, "max_failures_per_job": 1000}',
    '_timescaledb_functions', 'policy_job_stat_history_retention_check', pg_catalog.now() + interval '6 hours');
