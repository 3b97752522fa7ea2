-- Jobs that are not as they should be, and jobs in the hands of others.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE FUNCTION note(job_id int, config jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE ROLE trust_owner LOGIN;

-- A time zone that is not there any more: rows can be restored, and the job can be paused.
\copy _timescaledb_config.bgw_job (id, application_name, schedule_interval, max_runtime, max_retries, retry_period, proc_schema, proc_name, owner, fixed_schedule, initial_start, timezone) from stdin
5000	lost	1 day	0	-1	1 min	public	note	trust_owner	t	2020-01-01 04:30:00+00	Nowhere/AtAll
5001	found	1 day	0	-1	1 min	public	note	trust_owner	t	2020-01-01 04:30:00+00	Europe/Berlin
\.
SELECT job_id, extract(hour FROM next_start) = 4 AS as_in_utc FROM _timescaledb_config.bgw_job_stat WHERE job_id = 5000;
SELECT job_id, next_start > now() AS later FROM _timescaledb_config.bgw_job_stat WHERE job_id >= 5000 ORDER BY 1;
SELECT scheduled FROM alter_job(5000, scheduled => false);
SELECT timezone, timezone = 'Nowhere/AtAll' FROM alter_job(5000, max_retries => 3);
SELECT max_retries FROM alter_job(5000, timezone => 'Nowhere/Else');
SELECT timezone FROM alter_job(5000, timezone => 'Europe/Berlin');

-- An owner who may not log in any more: the job can be paused, and not be scheduled again.
ALTER ROLE trust_owner NOLOGIN;
SELECT scheduled FROM alter_job(5001, scheduled => false);
SELECT scheduled FROM alter_job(5001, scheduled => true);
ALTER ROLE trust_owner LOGIN;
-- Scheduled again, it has all its retries.
UPDATE _timescaledb_config.bgw_job_stat SET consecutive_failures = 7, consecutive_crashes = 1 WHERE job_id = 5001;
SELECT max_retries FROM alter_job(5001, max_retries => 7);
SELECT consecutive_failures, consecutive_crashes FROM _timescaledb_config.bgw_job_stat WHERE job_id = 5001;
SELECT scheduled FROM alter_job(5001, scheduled => true);
SELECT consecutive_failures, consecutive_crashes FROM _timescaledb_config.bgw_job_stat WHERE job_id = 5001;

-- Who owns restored jobs can't be dropped, until the last of them is gone.
DROP ROLE trust_owner;
SELECT delete_job(5000);
DROP ROLE trust_owner;
BEGIN;
SELECT delete_job(5001);
DROP ROLE trust_owner;
ROLLBACK;

-- Whoever alters somebody's job does not lend that role his privileges.
GRANT CREATE ON SCHEMA public TO trust_owner;
CREATE TABLE seen (role name);
GRANT INSERT ON seen TO trust_owner;
SET ROLE trust_owner;
CREATE FUNCTION peek(config jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen VALUES (current_user);
    SET search_path = nowhere;
    IF config ? 'grab' THEN ALTER ROLE trust_owner SUPERUSER; END IF;
    IF config ? 'reset' THEN RESET ROLE; END IF;
END $$;
\set SHOW_CONTEXT never
SELECT add_job('note', '1 hour', '{}', check_config => 'peek') AS own \gset
RESET ROLE;
RESET search_path;
SELECT config FROM alter_job(:own, config => '{"a": 1}');
SHOW search_path;
SELECT config FROM alter_job(:own, config => '{"grab": 1}');
SELECT config FROM alter_job(:own, config => '{"reset": 1}');
SELECT * FROM seen;
SELECT rolsuper FROM pg_roles WHERE rolname = 'trust_owner';
-- Nor does the function that says what the time is in a table of somebody's.
SET ROLE trust_owner;
CREATE TABLE numbers (time bigint NOT NULL);
CREATE FUNCTION grab() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM set_config('trust.seen', current_user, false);
    IF current_user <> 'trust_owner' THEN RAISE EXCEPTION 'called as another role'; END IF;
    RETURN 100;
END $$;
SELECT count(*) FROM create_hypertable('numbers', by_range('time', 10));
SELECT set_integer_now_func('numbers', 'grab');
RESET ROLE;
SELECT add_retention_policy('numbers', 50) > 0;
SELECT current_setting('trust.seen', true) IS DISTINCT FROM 'trust_owner' AS undone;
SELECT remove_retention_policy('numbers');

DROP TABLE numbers;
SELECT delete_job(id) FROM _timescaledb_config.bgw_job WHERE id >= 1000;
DROP OWNED BY trust_owner;
DROP ROLE trust_owner;
