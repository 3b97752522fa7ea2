-- Defining jobs: arguments, defaults, checks, rights. Nothing here waits for a background worker.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE TABLE ran (job_id int, config jsonb, role name, search_path text);
CREATE FUNCTION note(job_id int, config jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN INSERT INTO ran VALUES (job_id, config, current_user, current_setting('search_path')); END $$;
CREATE PROCEDURE note_twice(job_id int, config jsonb) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ran VALUES (job_id, config || '{"part": 1}', current_user);
    COMMIT;
    INSERT INTO ran VALUES (job_id, config || '{"part": 2}', current_user);
    ROLLBACK;
    INSERT INTO ran VALUES (job_id, config || '{"part": 3}', current_user);
END $$;
CREATE FUNCTION must_have_a(config jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN IF config -> 'a' IS NULL THEN RAISE EXCEPTION 'config must have a' USING ERRCODE = '22023'; END IF; END $$;

-- The built-in job.
SELECT job_id, application_name, schedule_interval, max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, scheduled,
    fixed_schedule, config, next_start > now(), hypertable_schema, hypertable_name, check_schema, check_name FROM timescaledb_information.jobs;

-- Defaults, and all arguments.
SELECT add_job('note', '1 hour') AS plain \gset
SELECT add_job('public.note_twice', interval '1 day', '{"a": 12345678901234567890123.5}', '2030-01-01 03:00+00', false, 'must_have_a', false, 'Europe/Berlin', 'nightly') AS full \gset
SELECT add_job('note', '1 hour', initial_start => '2000-01-01 00:30+00', fixed_schedule => true) AS past \gset
SELECT :plain, :full, :past;
SELECT * FROM (SELECT job_id, application_name, schedule_interval, max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, scheduled,
    fixed_schedule, config, CASE WHEN job_id <> 1000 THEN next_start END AS next_start, CASE WHEN job_id <> 1000 THEN initial_start END AS initial_start,
    check_schema, check_name FROM timescaledb_information.jobs) AS j WHERE job_id >= 1000 ORDER BY 1;
SELECT job_id, last_run_started_at, last_successful_finish, last_run_status, job_status, last_run_duration, total_runs, total_successes, total_failures
FROM timescaledb_information.job_stats WHERE job_id >= 1000 ORDER BY 1;
SELECT count(*) FROM _timescaledb_catalog.bgw_job;

-- Running one in the session; procedures may commit.
CALL run_job(:plain);
CALL run_job(:full);
SELECT * FROM ran;
BEGIN;
CALL run_job(:plain);
CALL run_job(:full);
ROLLBACK;
SELECT count(*) FROM ran;
CALL run_job(999);
CALL run_job(NULL);

-- What is refused.
\set SHOW_CONTEXT never
SELECT add_job(NULL, '1 hour');
SELECT add_job('note', NULL);
SELECT add_job('note', '0');
SELECT add_job('note', '-1 hour');
SELECT add_job('note', '1 month -1 day');
SELECT add_job('lower(text)'::regprocedure::oid, '1 hour');
SELECT add_job('note', '1 hour', check_config => 'note');
SELECT add_job('note', '1 hour', '{}', check_config => 'must_have_a');
SELECT add_job('note', '1 hour', timezone => 'Nowhere/AtAll');
SELECT add_job('note', '1 hour', job_name => repeat('x', 60));
SELECT add_job('note', '1 hour', initial_start => '-infinity');
SELECT add_job(123456789, '1 hour');
SELECT add_job('pg_catalog.sum(int)'::regprocedure::oid, '1 hour');
SELECT alter_job(999);
SELECT alter_job(NULL);
SELECT alter_job(:plain, max_runtime => '-1');
SELECT alter_job(:plain, retry_period => '-1');
SELECT alter_job(:plain, max_retries => -2);
SELECT alter_job(:plain, schedule_interval => '0');
SELECT alter_job(:full, config => '{"b": 1}');
SELECT delete_job(999);
BEGIN READ ONLY;
SELECT add_job('note', '1 hour');
ROLLBACK;
\set VERBOSITY sqlstate
SELECT add_job('note', '0');
SELECT alter_job(999);
SELECT add_job('note', '1 hour', check_config => 'note');
\set VERBOSITY default

-- Altering.
SELECT alter_job(999, if_exists => true);
SELECT * FROM alter_job(:full, schedule_interval => '2 days', max_runtime => '1 minute', max_retries => 3, retry_period => '10 s', scheduled => true,
    config => '{"a": 2}', next_start => '2031-02-03 04:05+00', fixed_schedule => true, initial_start => '2029-01-01+00', timezone => 'UTC', job_name => 'other') \gx
-- What is not said stays.
SELECT * FROM alter_job(:full) \gx
SELECT check_config FROM alter_job(:full, check_config => '-');
SELECT config FROM alter_job(:full, config => '{"b": 1}');
SELECT check_config, config FROM alter_job(:full, config => '{"a": 1}', check_config => 'must_have_a');
-- A new schedule, a new start: slots that have not passed.
SELECT next_start FROM alter_job(:full, initial_start => '2040-01-01+00');
SELECT next_start FROM alter_job(:past, initial_start => 'infinity');
-- Paused.
SELECT scheduled FROM alter_job(:plain, scheduled => false);
SELECT job_status, next_start FROM timescaledb_information.job_stats WHERE job_id = :plain;

-- Rights.
CREATE ROLE job_owner LOGIN;
CREATE ROLE job_stranger LOGIN;
CREATE ROLE job_nologin;
GRANT INSERT ON ran TO job_owner;
GRANT CREATE ON SCHEMA public TO job_owner;
REVOKE EXECUTE ON FUNCTION note(int, jsonb) FROM PUBLIC;
SET ROLE job_stranger;
SELECT add_job('note', '1 hour');
SELECT delete_job(:plain);
SELECT alter_job(:plain, scheduled => true);
CALL run_job(:plain);
SELECT _timescaledb_functions.stop_background_workers();
SELECT _timescaledb_functions.start_background_workers();
SELECT * FROM _timescaledb_config.bgw_job_stat_history;
SELECT * FROM timescaledb_information.job_history;
RESET ROLE;
GRANT EXECUTE ON FUNCTION note(int, jsonb) TO job_owner, job_nologin;
SET ROLE job_nologin;
SELECT add_job('note', '1 hour');
SET ROLE job_owner;
SELECT add_job('note', '1 hour', job_name => 'owned') AS owned \gset
CALL run_job(:owned);
RESET ROLE;
SELECT job_id = :owned, role FROM ran WHERE role = 'job_owner';
SELECT owner FROM timescaledb_information.jobs WHERE job_id = :owned;

-- A role that owns jobs stays, until they are given away or dropped.
DROP ROLE job_owner;
REVOKE ALL ON ran FROM job_owner;
REVOKE ALL ON FUNCTION note(int, jsonb) FROM job_owner;
REVOKE CREATE ON SCHEMA public FROM job_owner;
DROP ROLE job_owner;
REASSIGN OWNED BY job_owner TO job_nologin;
REASSIGN OWNED BY job_owner TO job_stranger;
SELECT owner FROM timescaledb_information.jobs WHERE job_id = :owned;
DROP ROLE job_owner;
SELECT job_id FROM timescaledb_information.job_stats WHERE job_id = :owned;
DROP ROLE job_stranger;
DROP OWNED BY job_stranger;
SELECT count(*) FROM timescaledb_information.jobs WHERE job_id = :owned;
REVOKE EXECUTE ON FUNCTION note(int, jsonb) FROM job_nologin;
DROP ROLE job_stranger, job_nologin;

-- A job goes with its hypertable, and its statistics with the job.
CREATE TABLE metrics (time timestamptz NOT NULL);
SELECT hypertable_id FROM create_hypertable('metrics', by_range('time')) \gset
INSERT INTO _timescaledb_config.bgw_job (application_name, schedule_interval, max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, hypertable_id)
VALUES ('by hand', '1 hour', '0', -1, '1 min', 'public', 'note', current_user::regrole, :hypertable_id);
SELECT hypertable_schema, hypertable_name, next_start > now() + interval '10 minutes' FROM timescaledb_information.jobs WHERE application_name = 'by hand';
SELECT hypertable_schema, hypertable_name FROM timescaledb_information.job_stats WHERE hypertable_name IS NOT NULL;
DROP TABLE metrics;
SELECT count(*) FROM timescaledb_information.jobs WHERE application_name = 'by hand';
SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE id >= 1000;
SELECT job_id FROM _timescaledb_config.bgw_job_stat;
DELETE FROM _timescaledb_config.bgw_job;
SELECT job_id FROM _timescaledb_config.bgw_job_stat;

-- Rolled back, nothing has happened.
SELECT add_job('note', '1 hour') AS kept \gset
BEGIN;
SAVEPOINT one;
SELECT add_job('note', '1 hour');
ROLLBACK TO one;
SELECT delete_job(:kept);
ROLLBACK;
SELECT count(*) FROM timescaledb_information.jobs WHERE job_id = :kept;

-- A history kept short.
INSERT INTO _timescaledb_config.bgw_job_stat_history (job_id, owner, proc_schema, proc_name, execution_start, execution_finish, succeeded)
SELECT j, current_user::regrole, 'public', 'note', now() - g * interval '1 day', now() - g * interval '1 day', g % 2 = 0
FROM generate_series(1, 40) AS g, generate_series(1, 2) AS j;
SELECT _timescaledb_functions.policy_job_stat_history_retention(3, '{"drop_after": "30 days", "max_successes_per_job": 3, "max_failures_per_job": 2}');
SELECT job_id, succeeded, count(*), min(now() - start_time) < interval '3 days' AS newest FROM timescaledb_information.job_history GROUP BY 1, 2 ORDER BY 1, 2;
SELECT job_id, count(*) FROM timescaledb_information.job_errors GROUP BY 1 ORDER BY 1;
SELECT _timescaledb_functions.policy_job_stat_history_retention_check('{}');
SELECT timescaledb_pre_restore(), timescaledb_post_restore();
