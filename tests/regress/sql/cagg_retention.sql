-- Chunks that are dropped while rows still come into a bucket that they have a part of.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE TABLE m (time timestamptz NOT NULL, v int);
SELECT create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
CREATE MATERIALIZED VIEW days WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS b, count(*) AS n FROM m GROUP BY 1;
CREATE MATERIALIZED VIEW months WITH (timescaledb.continuous) AS SELECT time_bucket('1 month', time) AS b, count(*) AS n FROM m GROUP BY 1;
CREATE MATERIALIZED VIEW months_of_days WITH (timescaledb.continuous) AS SELECT time_bucket('1 month', b) AS b, sum(n) AS n FROM days GROUP BY 1;

CREATE PROCEDURE a_day(day timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO m SELECT t, 1 FROM generate_series(day, day + interval '23 h', interval '1 hour') t;
    CALL refresh_continuous_aggregate('days', NULL, NULL);
    CALL refresh_continuous_aggregate('months', NULL, NULL);
    CALL refresh_continuous_aggregate('months_of_days', NULL, NULL);
    PERFORM drop_chunks('m', older_than => day - interval '6 days');
END $$;
SET client_min_messages = warning;
DO $$
DECLARE
    day timestamptz;
BEGIN
    FOR day IN SELECT generate_series(timestamptz '2026-01-01', '2026-02-05', '1 day') LOOP
        CALL a_day(day);
    END LOOP;
END $$;
RESET client_min_messages;
-- What was told of: of the month over the hypertable only what came before is there.
SELECT b::date, n FROM months ORDER BY 1;
SELECT b::date, n FROM months_of_days ORDER BY 1;
SELECT count(*), sum(n) FROM days;
CALL refresh_continuous_aggregate('months', NULL, NULL);
CALL refresh_continuous_aggregate('months', '2026-02-01', NULL);

-- Buckets that go as a whole, or are complete, are no matter.
INSERT INTO m VALUES ('2026-03-02', 1);
CALL refresh_continuous_aggregate('days', NULL, NULL);
CALL refresh_continuous_aggregate('months', NULL, NULL);
SELECT count(*) FROM drop_chunks('m', older_than => '2026-02-20'::timestamptz);

-- A policy that will drop them is told of when it is made.
SELECT add_retention_policy('m', interval '7 days') IS NOT NULL;
SELECT remove_retention_policy('m');
SELECT add_retention_policy('m', interval '1 month') IS NOT NULL;
SELECT remove_retention_policy('m');
SELECT add_retention_policy('days', interval '3 weeks') IS NOT NULL;
SELECT add_retention_policy('m', drop_created_before => interval '1 day') IS NOT NULL;
CREATE TABLE counted (n bigint NOT NULL);
SELECT create_hypertable('counted', 'n', chunk_time_interval => 10);
CREATE FUNCTION now_of_counted() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT coalesce(max(n), 0) FROM counted $$;
SELECT set_integer_now_func('counted', 'now_of_counted');
CREATE MATERIALIZED VIEW hundreds WITH (timescaledb.continuous) AS SELECT time_bucket(100, n) AS b, count(*) AS n FROM counted GROUP BY 1;
SELECT add_retention_policy('counted', 99) AS job \gset
INSERT INTO counted SELECT generate_series(0, 150);
CALL refresh_continuous_aggregate('hundreds', NULL, NULL);
-- Nor is it when the job drops them.
INSERT INTO counted VALUES (195);
SELECT (alter_job(:job, config => jsonb_set(config, '{drop_after}', '60'))).config ->> 'drop_after' AS after FROM timescaledb_information.jobs WHERE job_id = :job;
CALL run_job(:job);
INSERT INTO counted SELECT generate_series(196, 199);
SELECT (alter_job(:job, config => jsonb_set(config, '{drop_after}', '40'))).config ->> 'drop_after' AS after FROM timescaledb_information.jobs WHERE job_id = :job;
CALL run_job(:job);
CALL refresh_continuous_aggregate('hundreds', NULL, NULL);
SELECT * FROM hundreds ORDER BY 1;

-- Where nothing of the bucket was computed yet, because a policy computes whole buckets, it will lack what was dropped.
CREATE TABLE later (time timestamptz NOT NULL);
SELECT create_hypertable('later', 'time', chunk_time_interval => interval '12 hours');
INSERT INTO later SELECT generate_series(timestamptz '2024-04-25', '2024-05-08 23:00', '1 hour');
CREATE MATERIALIZED VIEW later_months WITH (timescaledb.continuous) AS SELECT time_bucket('1 month', time) AS b, count(*) AS n FROM later GROUP BY 1 WITH NO DATA;
CREATE MATERIALIZED VIEW later_days WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS b, count(*) AS n FROM later GROUP BY 1 WITH NO DATA;
CALL refresh_continuous_aggregate('later_months', NULL, '2024-05-08');
SELECT count(*) FROM drop_chunks('later', older_than => timestamptz '2024-05-01');
SELECT count(*) FROM drop_chunks('later', older_than => timestamptz '2024-05-05 12:00');
SELECT count(*) FROM drop_chunks('later', older_than => timestamptz '2024-05-08 12:00');
CALL refresh_continuous_aggregate('later_months', NULL, NULL);
SELECT b::date, n FROM later_months ORDER BY 1;
