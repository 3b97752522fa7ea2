-- Policies that refresh continuous aggregates.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE VIEW policy AS
SELECT job_id, application_name, schedule_interval AS every, max_runtime, max_retries AS retries, retry_period AS retry, proc_name, fixed_schedule AS fixed,
    config, initial_start, hypertable_schema, hypertable_name, check_name
FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY job_id;

CREATE TABLE m (t timestamptz NOT NULL, v int);
SELECT create_hypertable('m', 't', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT now() - i * interval '1 hour', i FROM generate_series(1, 24 * 10) i;
CREATE MATERIALIZED VIEW h WITH (timescaledb.continuous) AS SELECT time_bucket('1 hour', t) AS b, count(*) AS n FROM m GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW mo WITH (timescaledb.continuous) AS SELECT time_bucket('1 month', t) AS b, count(*) AS n FROM m GROUP BY 1 WITH NO DATA;

-- what is refused
SELECT add_continuous_aggregate_policy('m', interval '1 day', interval '1 hour', interval '1 hour');
SELECT add_continuous_aggregate_policy('h', interval '1 day', interval '1 hour', NULL);
SELECT add_continuous_aggregate_policy('h', interval '2 hours', interval '1 hour', interval '1 hour');
SELECT add_continuous_aggregate_policy('h', interval '1 hour', interval '1 day', interval '1 hour');
SELECT add_continuous_aggregate_policy('h', 5, 1, interval '1 hour');
SELECT add_continuous_aggregate_policy('h', '1 day'::interval, NULL, interval '1 hour', buckets_per_batch => -1);
SELECT add_continuous_aggregate_policy('mo', interval '1 month', interval '1 day', interval '1 hour');

-- what is kept
SELECT add_continuous_aggregate_policy('h', interval '3 days', '1 hour', interval '1 hour') AS id \gset
SELECT add_continuous_aggregate_policy('h', start_offset => NULL, end_offset => interval '3 days', schedule_interval => interval '1 day',
    initial_start => '2026-01-01', timezone => 'Europe/Berlin', include_tiered_data => false, buckets_per_batch => 24, max_batches_per_execution => 3,
    refresh_newest_first => true) AS other \gset
SELECT add_continuous_aggregate_policy('mo', interval '3 months', NULL, interval '1 day') AS month \gset
SELECT * FROM policy;
SELECT * FROM timescaledb_experimental.policies;
SELECT timescaledb_experimental.show_policies('h');
SELECT add_continuous_aggregate_policy('h', interval '3 days', interval '1 hour', interval '1 hour', if_not_exists => true);
SELECT add_continuous_aggregate_policy('h', interval '4 days', interval '1 hour', interval '1 hour', if_not_exists => true);
SELECT add_continuous_aggregate_policy('h', interval '4 days', interval '1 hour', interval '1 hour');
SELECT config FROM alter_job(:id, config => (SELECT jsonb_set(config, '{start_offset}', '"10 days"') FROM timescaledb_information.jobs WHERE job_id = :id));
SELECT config FROM alter_job(:id, config => '{"start_offset": "2 days"}');
SELECT config FROM alter_job(:id, config => (SELECT jsonb_set(config, '{buckets_per_batch}', '5') FROM timescaledb_information.jobs WHERE job_id = :id));

-- runs
CALL run_job(:id);
SELECT count(*) BETWEEN 70 AND 72 AS recent FROM h;
CALL run_job(:other);
-- three batches, of which the last one may be short
SELECT count(*) BETWEEN 115 AND 144 AS more FROM h;
CALL run_job(:other);
CALL run_job(:other);
-- all but the bucket in which one window ends and the other begins
SELECT (SELECT count(*) FROM m WHERE t < date_trunc('hour', now() - interval '1 hour')) - count(*) BETWEEN 0 AND 1 AS all FROM h;
BEGIN;
CALL run_job(:id);
ROLLBACK;
-- a run by hand
INSERT INTO m SELECT now() - i * interval '1 hour', 0 FROM generate_series(2, 24 * 2) i;
CALL _timescaledb_functions.policy_refresh_continuous_aggregate(NULL, '{"mat_hypertable_id": 2, "start_offset": null, "end_offset": null}');
SELECT sum(n) = (SELECT count(*) FROM m) AS all FROM h;
CALL _timescaledb_functions.policy_refresh_continuous_aggregate(NULL, '{"mat_hypertable_id": 1}');
CALL _timescaledb_functions.policy_refresh_continuous_aggregate(NULL, NULL);

-- other policies of a continuous aggregate
ALTER MATERIALIZED VIEW h SET (timescaledb.compress);
SELECT add_retention_policy('h', interval '1 year') AS retention \gset
SELECT add_compression_policy('h', interval '1 month') AS compression \gset
SELECT job_id, application_name, hypertable_name FROM policy;
SELECT remove_retention_policy('h');
SELECT remove_retention_policy('h');
SELECT remove_continuous_aggregate_policy('h');
SELECT remove_continuous_aggregate_policy('h');
SELECT remove_continuous_aggregate_policy('h', if_exists => true);
SELECT remove_continuous_aggregate_policy('h', if_not_exists => true);
SELECT job_id, application_name, hypertable_name FROM policy;
SELECT timescaledb_experimental.remove_all_policies('h');
SELECT timescaledb_experimental.add_policies('h', refresh_start_offset => interval '10 days', refresh_end_offset => interval '1 hour', drop_after => interval '1 year');
SELECT timescaledb_experimental.alter_policies('h', refresh_start_offset => interval '11 days');
SELECT timescaledb_experimental.show_policies('h');
SELECT timescaledb_experimental.add_policies('m', refresh_start_offset => interval '10 days');
SELECT timescaledb_experimental.remove_policies('h', false, 'policy_refresh_continuous_aggregate', 'policy_retention');
SELECT count(*) FROM policy WHERE hypertable_name = 'h';

-- integers
CREATE TABLE i (t int NOT NULL, v int);
SELECT create_hypertable('i', 't', chunk_time_interval => 100);
INSERT INTO i SELECT i, i FROM generate_series(0, 999) i;
CREATE FUNCTION now_i() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1000';
SELECT set_integer_now_func('i', 'now_i');
CREATE MATERIALIZED VIEW ih WITH (timescaledb.continuous) AS SELECT time_bucket(10, t) AS b, count(*) AS n FROM i GROUP BY 1 WITH NO DATA;
SELECT add_continuous_aggregate_policy('ih', interval '1 day', 10, interval '1 hour');
SELECT add_continuous_aggregate_policy('ih', 19, 0, interval '1 hour');
SELECT add_continuous_aggregate_policy('ih', 500, 100::bigint, interval '1 hour') AS ints \gset
CALL run_job(:ints);
SELECT count(*), min(b), max(b) FROM ih;
SELECT add_retention_policy('ih', 700);

-- gone with the continuous aggregate
SELECT count(*) FROM policy WHERE hypertable_name = 'ih';
DROP MATERIALIZED VIEW ih;
SELECT count(*) FROM policy WHERE application_name NOT LIKE '%Policy%' OR hypertable_name IS NULL;
