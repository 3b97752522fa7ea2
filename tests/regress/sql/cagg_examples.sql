-- Continuous aggregates as their users write them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
SET timezone = 'UTC';

-- The temperature of buildings by hour with the 95th percentile, by day on top of it, and retention at both levels.
CREATE TABLE conditions (
    time        TIMESTAMPTZ NOT NULL,
    building_id INTEGER NOT NULL,
    temperature DOUBLE PRECISION
);
SELECT create_hypertable('conditions', by_range('time', INTERVAL '1 day'));
INSERT INTO conditions
SELECT time, building_id, 20 + building_id + 5 * sin(extract(epoch FROM time) / 14000)
FROM generate_series(date_trunc('day', now()) - INTERVAL '41 days', date_trunc('day', now()) - INTERVAL '1 day 1 second', INTERVAL '10 minutes') AS time,
     generate_series(1, 3) AS building_id;

CREATE MATERIALIZED VIEW building_hourly
WITH (timescaledb.continuous, timescaledb.chunk_interval = '1 day') AS
SELECT time_bucket('1 hour', time) AS bucket,
       building_id,
       avg(temperature) AS avg_temp,
       min(temperature) AS min_temp,
       max(temperature) AS max_temp,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature) AS p95_temp
FROM conditions
GROUP BY bucket, building_id
WITH NO DATA;

CREATE MATERIALIZED VIEW building_daily
WITH (timescaledb.continuous) AS
SELECT time_bucket('1 day', bucket) AS day,
       building_id,
       min(min_temp) AS min_temp,
       max(max_temp) AS max_temp,
       max(p95_temp) AS worst_p95
FROM building_hourly
GROUP BY day, building_id
WITH NO DATA;

SELECT add_continuous_aggregate_policy('building_hourly', start_offset => NULL, end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '1 hour') AS hourly \gset
SELECT add_continuous_aggregate_policy('building_daily', start_offset => NULL, end_offset => INTERVAL '1 day', schedule_interval => INTERVAL '1 day') AS daily \gset
CALL run_job(:hourly);
CALL run_job(:daily);
SELECT count(*), count(DISTINCT building_id) FROM building_hourly;
SELECT count(*) FROM building_daily;

-- Each is what its definition says.
SELECT count(*) FROM (
    SELECT bucket, building_id, p95_temp FROM building_hourly
    EXCEPT
    SELECT time_bucket('1 hour', time), building_id, percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature) FROM conditions GROUP BY 1, 2) AS wrong;
SELECT count(*) FROM (
    SELECT day, building_id, min_temp, max_temp, worst_p95 FROM building_daily
    EXCEPT
    SELECT time_bucket('1 day', bucket), building_id, min(min_temp), max(max_temp), max(p95_temp) FROM building_hourly GROUP BY 1, 2) AS wrong;

-- Raw rows go after a week, hourly ones after a month, daily ones never.
SELECT add_retention_policy('conditions', INTERVAL '7 days') AS raw_retention \gset
SELECT add_retention_policy('building_hourly', INTERVAL '30 days') AS hourly_retention \gset
CALL run_job(:raw_retention);
CALL run_job(:hourly_retention);
SELECT count(*) / 3 / 144 AS days_of_rows FROM conditions;
SELECT count(*) / 3 / 24 AS days_by_hour FROM building_hourly;
SELECT count(*) / 3 AS days FROM building_daily;

-- Refreshing again takes nothing away; a measurement that comes late is taken in.
INSERT INTO conditions VALUES (date_trunc('day', now()) - INTERVAL '44 hours', 1, 99);
CALL refresh_continuous_aggregate('building_hourly', NULL, NULL);
CALL refresh_continuous_aggregate('building_daily', NULL, NULL);
SELECT count(*) / 3 / 24 AS days_by_hour, max(max_temp) FROM building_hourly;
SELECT count(*) / 3 AS days, max(max_temp) FROM building_daily;

SELECT view_name, materialized_only, compression_enabled FROM timescaledb_information.continuous_aggregates ORDER BY 1;
SELECT proc_name, schedule_interval, config - 'mat_hypertable_id' - 'hypertable_id' AS config FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY job_id;

-- The CPU of hosts by hour, with its policy, real-time.
CREATE TABLE cpu (
    time       TIMESTAMPTZ NOT NULL,
    hostname   TEXT NOT NULL,
    usage_user DOUBLE PRECISION
);
SELECT create_hypertable('cpu', 'time');
INSERT INTO cpu
SELECT time, 'host_' || host, (extract(minute FROM time) + host)::int % 100
FROM generate_series(date_trunc('hour', now()) - INTERVAL '3 days', date_trunc('hour', now()) - INTERVAL '1 second', INTERVAL '1 minute') AS time, generate_series(0, 4) AS host;

CREATE MATERIALIZED VIEW cpu_hourly_avg
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 hour', time) AS hour, hostname, avg(usage_user) AS avg_usage
FROM cpu
GROUP BY hour, hostname;

SELECT add_continuous_aggregate_policy('cpu_hourly_avg',
    start_offset => INTERVAL '1 month',
    end_offset => INTERVAL '1 hour',
    schedule_interval => INTERVAL '30 minutes') > 0 AS added;
SELECT add_continuous_aggregate_policy('cpu_hourly_avg', INTERVAL '1 month', INTERVAL '1 hour', INTERVAL '30 minutes', if_not_exists => true);
SELECT hostname, count(*), avg(avg_usage) FROM cpu_hourly_avg GROUP BY hostname ORDER BY hostname;

-- What has just come is there at once, and so is what is corrected.
INSERT INTO cpu VALUES (date_trunc('hour', now()), 'host_0', 100);
UPDATE cpu SET usage_user = 1000 WHERE hostname = 'host_1' AND time = date_trunc('hour', now()) - INTERVAL '2 days';
SELECT hostname, count(*), max(avg_usage) > 45 AS corrected FROM cpu_hourly_avg GROUP BY hostname ORDER BY hostname;
SELECT remove_continuous_aggregate_policy('cpu_hourly_avg');

-- A dashboard's last 24 hours: a query of the hypertable, which knows nothing of continuous aggregates.
CALL refresh_continuous_aggregate('cpu_hourly_avg', NULL, NULL);
SET timescaledb.enable_cagg_rewrites = on;
PREPARE dashboard AS
    SELECT time_bucket('1 hour', time) AS hour, hostname, avg(usage_user)
    FROM cpu
    WHERE time > now() - INTERVAL '24 hours'
    GROUP BY hour, hostname
    ORDER BY hour, hostname;
CREATE FUNCTION uses(query text, what text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF position(what IN line) > 0 THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
-- now() stands still in a transaction.
BEGIN;
SELECT uses('EXECUTE dashboard', 'cagg_valid');
CREATE TEMPORARY TABLE with_rewrites AS EXECUTE dashboard;
SET timescaledb.enable_cagg_rewrites = off;
DEALLOCATE dashboard;
PREPARE dashboard AS
    SELECT time_bucket('1 hour', time) AS hour, hostname, avg(usage_user)
    FROM cpu
    WHERE time > now() - INTERVAL '24 hours'
    GROUP BY hour, hostname
    ORDER BY hour, hostname;
SELECT uses('EXECUTE dashboard', 'cagg_valid');
CREATE TEMPORARY TABLE without_rewrites AS EXECUTE dashboard;
COMMIT;
SELECT count(*) BETWEEN 115 AND 130 FROM with_rewrites;
SELECT count(*) FROM (TABLE with_rewrites EXCEPT ALL TABLE without_rewrites) AS wrong;
SELECT count(*) FROM (TABLE without_rewrites EXCEPT ALL TABLE with_rewrites) AS wrong;

DROP MATERIALIZED VIEW building_daily;
DROP MATERIALIZED VIEW building_hourly;
DROP MATERIALIZED VIEW cpu_hourly_avg;
SELECT count(*) FROM timescaledb_information.continuous_aggregates;
DROP TABLE conditions, cpu;
