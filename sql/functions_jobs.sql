-- Jobs. Names, arguments and defaults are TimescaleDB's.
CREATE FUNCTION add_job(
    proc regproc,
    schedule_interval interval,
    config jsonb = NULL,
    initial_start timestamptz = NULL,
    scheduled boolean = TRUE,
    check_config regproc = NULL,
    fixed_schedule boolean = TRUE,
    timezone text = NULL,
    job_name text = NULL)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_add_job' LANGUAGE c VOLATILE;

CREATE FUNCTION alter_job(
    job_id int,
    schedule_interval interval = NULL,
    max_runtime interval = NULL,
    max_retries int = NULL,
    retry_period interval = NULL,
    scheduled boolean = NULL,
    config jsonb = NULL,
    next_start timestamptz = NULL,
    if_exists boolean = FALSE,
    check_config regproc = NULL,
    fixed_schedule boolean = NULL,
    initial_start timestamptz = NULL,
    timezone text = NULL,
    job_name text = NULL)
    RETURNS TABLE (job_id int, schedule_interval interval, max_runtime interval, max_retries int, retry_period interval, scheduled boolean,
        config jsonb, next_start timestamptz, check_config text, fixed_schedule boolean, initial_start timestamptz, timezone text,
        application_name name)
    AS 'MODULE_PATHNAME', 'tsc_alter_job' LANGUAGE c VOLATILE ROWS 1;

CREATE FUNCTION delete_job(job_id int)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_delete_job' LANGUAGE c VOLATILE STRICT;

CREATE PROCEDURE run_job(job_id int)
    AS 'MODULE_PATHNAME', 'tsc_run_job' LANGUAGE c;

-- The runs that are under way in this database, by whatever process.
CREATE FUNCTION _timescaledb_functions.running_jobs(OUT job_id int, OUT pid int, OUT started timestamptz)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'tsc_running_jobs' LANGUAGE c VOLATILE ROWS 4;
