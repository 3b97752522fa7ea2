-- The next slot of a fixed schedule is what PostgreSQL's own arithmetic says, in whatever zone and over whatever changes of its clocks.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SELECT _timescaledb_functions.stop_background_workers();
RESET client_min_messages;
CREATE FUNCTION nothing(job_id int, config jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
SELECT add_job('nothing', '1 hour', initial_start => '2000-01-01+00') AS job \gset
-- Slots are counted anew once the job has run.
UPDATE _timescaledb_config.bgw_job_stat SET last_start = now(), last_finish = now() WHERE job_id = :job;

CREATE FUNCTION next_slot(first timestamptz, step interval, zone text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE n int := 0;
BEGIN
    PERFORM set_config('timezone', zone, true);
    WHILE first + n * step <= now() LOOP n := n + 1; END LOOP;
    RETURN first + n * step;
END $$;

SELECT count(*), count(*) FILTER (WHERE alter.next_start = next_slot(first, step, zone)) AS same
FROM unnest(ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Pacific/Apia', 'Africa/Casablanca']) AS zone,
    unnest(ARRAY['2011-12-29 01:30+00', '2020-03-29 01:30+00', '2015-01-31 23:59:59.5+00']::timestamptz[]) AS first,
    unnest(ARRAY['1 day', '1 month', '36 hours', '1 month 2 days 3 hours', '7 hours', '1 year', '1 week']::interval[]) AS step,
    LATERAL alter_job(:job, schedule_interval => step, initial_start => first, timezone => zone) AS alter;

-- A drifting schedule counts from the end of the last run.
SELECT alter.next_start = s.last_finish + interval '1 month 1 day' AS same
FROM _timescaledb_config.bgw_job_stat AS s, LATERAL alter_job(:job, fixed_schedule => false, schedule_interval => '1 month 1 day', timezone => 'UTC') AS alter
WHERE s.job_id = :job;
-- A first start that is still to come is the first slot; beyond the end of time there is none.
SELECT next_start FROM alter_job(:job, fixed_schedule => true, initial_start => '2200-01-01 00:00+00');
SELECT next_start FROM alter_job(:job, schedule_interval => '293000 years', initial_start => '2020-01-01 00:00+00');
