-- Adding and removing policies: arguments, defaults, checks, rights.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE VIEW policy AS
SELECT job_id, application_name, schedule_interval AS every, max_runtime, max_retries AS retries, retry_period AS retry, proc_name, owner, fixed_schedule AS fixed,
    config, initial_start, hypertable_name, check_name
FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY job_id;
GRANT SELECT ON policy TO PUBLIC;

CREATE TABLE metrics (time timestamptz NOT NULL, device text, value float8);
SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE metrics SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');

-- Defaults. Interval styles make no difference to what is kept.
SET intervalstyle = postgres_verbose;
SELECT add_compression_policy('metrics', INTERVAL '7 days 1 hour') AS compression \gset
RESET intervalstyle;
SELECT add_retention_policy('metrics', INTERVAL '1 month');
SELECT add_reorder_policy('metrics', 'metrics_time_idx');
SELECT * FROM policy;
SELECT next_start - now() < '1 minute' AS due_now FROM timescaledb_information.jobs WHERE job_id = :compression;
SELECT extract(epoch FROM (config::json->>'compress_after')::interval) FROM timescaledb_information.jobs
WHERE application_name LIKE 'Columnstore Policy%' AND hypertable_schema = 'public';

-- Again.
SELECT add_compression_policy('metrics', INTERVAL '169 hours');
SELECT add_compression_policy('metrics', INTERVAL '7 days 1 hour', if_not_exists => true);
SELECT add_compression_policy('metrics', INTERVAL '8 days', if_not_exists => true);
CALL add_columnstore_policy('metrics', after => INTERVAL '7 days 1 hour', if_not_exists => true);
SELECT add_retention_policy('metrics', INTERVAL '1 month', if_not_exists => true);
SELECT add_retention_policy('metrics', drop_created_before => INTERVAL '1 month', if_not_exists => true);
SELECT add_reorder_policy('metrics', 'metrics_time_idx', if_not_exists => true);
SELECT add_reorder_policy('metrics', 'metrics_time_idx');

-- Removal.
SELECT remove_compression_policy('metrics');
SELECT remove_compression_policy('metrics', if_exists => true);
SELECT remove_compression_policy('metrics');
CALL remove_columnstore_policy('metrics', if_exists => true);
CALL remove_columnstore_policy('metrics');
SELECT remove_retention_policy('metrics');
SELECT remove_retention_policy('metrics', if_exists => true);
SELECT remove_reorder_policy('metrics');
SELECT remove_reorder_policy('metrics', true);
SELECT count(*) FROM policy;

-- All arguments.
CALL add_columnstore_policy('metrics', created_before => INTERVAL '2 hours', schedule_interval => '1 day', initial_start => '2030-01-01 03:00+00', timezone => 'Europe/Berlin');
SELECT add_retention_policy('metrics', drop_created_before => INTERVAL '90 days', schedule_interval => '2 days', initial_start => '2030-01-01 04:00+00', timezone => 'Europe/Berlin') > 0;
SELECT add_reorder_policy('metrics', 'metrics_time_idx', initial_start => '2030-01-01 05:00+00', timezone => 'Europe/Berlin') > 0;
SELECT * FROM policy;
SELECT job_id, next_start FROM timescaledb_information.jobs WHERE hypertable_name = 'metrics' ORDER BY 1;
SELECT remove_compression_policy('metrics'), remove_retention_policy('metrics'), remove_reorder_policy('metrics');

-- What is refused.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE TABLE plain (time timestamptz);
SELECT add_compression_policy('plain', INTERVAL '1 day');
SELECT add_retention_policy('plain', INTERVAL '1 day');
SELECT add_reorder_policy('plain', 'i');
SELECT remove_compression_policy('plain');
SELECT remove_retention_policy('plain', true);
SELECT add_retention_policy(NULL, INTERVAL '1 day');
SELECT add_compression_policy('metrics');
SELECT add_retention_policy('metrics');
SELECT add_compression_policy('metrics', INTERVAL '1 day', compress_created_before => INTERVAL '1 day');
SELECT add_retention_policy('metrics', INTERVAL '1 day', drop_created_before => INTERVAL '1 day');
SELECT add_compression_policy('metrics', 7);
SELECT add_retention_policy('metrics', 7::smallint);
SELECT add_retention_policy('metrics', now());
SELECT add_retention_policy('metrics', INTERVAL '-1 day');
SELECT add_compression_policy('metrics', compress_created_before => INTERVAL '-1 day');
SELECT add_retention_policy('metrics', INTERVAL '9999999 years');
SELECT add_retention_policy('metrics', INTERVAL '1 day', schedule_interval => '0');
SELECT add_retention_policy('metrics', INTERVAL '1 day', timezone => 'Nowhere/AtAll');
SELECT add_reorder_policy('metrics', 'nothing');
SELECT add_reorder_policy('metrics', 'plain');
SELECT add_reorder_policy('metrics', NULL);
ALTER TABLE metrics SET (timescaledb.compress = false);
SELECT add_compression_policy('metrics', INTERVAL '1 day');
ALTER TABLE metrics SET (timescaledb.compress, timescaledb.compress_segmentby = 'device');
-- Retention before compression is pointless.
SELECT add_compression_policy('metrics', INTERVAL '7 days') AS compression \gset
SELECT add_retention_policy('metrics', INTERVAL '6 days');
SELECT add_retention_policy('metrics', INTERVAL '7 days') > 0;
SELECT remove_compression_policy('metrics');
SELECT add_compression_policy('metrics', INTERVAL '8 days');
SELECT remove_retention_policy('metrics');
\set VERBOSITY default

-- Texts are read as what is wanted.
SELECT add_retention_policy('metrics', '5 days') > 0;
SELECT config ->> 'drop_after' FROM policy;
SELECT remove_retention_policy('metrics');

-- Configs may be changed, if they make sense.
SELECT add_compression_policy('metrics', INTERVAL '7 days') AS compression \gset
SELECT config FROM alter_job(:compression, config => (SELECT config || '{"maxchunks_to_compress": 5, "verbose_log": true, "recompress": false}' FROM policy));
\set VERBOSITY verbose

SELECT alter_job(:compression, config => '[]');
SELECT alter_job(:compression, config => '{"compress_after": "1 day"}');
SELECT alter_job(:compression, config => '{"hypertable_id": 99, "compress_after": "1 day"}');
SELECT alter_job(:compression, config => '{"hypertable_id": 1}');
SELECT alter_job(:compression, config => '{"hypertable_id": 1, "compress_after": 5}');
SELECT alter_job(:compression, config => '{"hypertable_id": 1, "compress_after": "soon"}');
SELECT alter_job(:compression, config => '{"hypertable_id": 1, "compress_after": "-1 day"}');
SELECT alter_job(:compression, config => '{"hypertable_id": 1, "compress_after": "1 day", "maxchunks_to_compress": -1}');
SELECT alter_job(:compression, config => '{"hypertable_id": 1, "compress_after": "1 day", "recompress": 1}');
\set VERBOSITY default

-- Integers.
CREATE TABLE counts (n int NOT NULL, value int);
SELECT create_hypertable('counts', 'n', chunk_time_interval => 100);
ALTER TABLE counts SET (timescaledb.enable_columnstore);
\set VERBOSITY verbose
SELECT add_compression_policy('counts', 1000);
CALL add_columnstore_policy('counts', 1000);
CREATE SCHEMA clock;
CREATE FUNCTION clock.n_now() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1000';
SELECT set_integer_now_func('counts', 'clock.n_now');
SELECT add_compression_policy('counts', INTERVAL '1 day');
SELECT add_retention_policy('counts', -5);
SELECT add_retention_policy('counts', '5 days');
\set VERBOSITY default
SELECT add_compression_policy('counts', 300) > 0, add_retention_policy('counts', 900::bigint) > 0;
SELECT application_name LIKE 'Columnstore Policy%', every, config FROM policy WHERE hypertable_name = 'counts';

-- By plain CREATE TABLE.
CREATE TABLE born (time timestamptz NOT NULL, device text) WITH (tsdb.hypertable, tsdb.chunk_interval = '36 hours');
SELECT application_name LIKE 'Columnstore Policy [%]' AS named, every, retry, fixed, config - 'hypertable_id' AS config, check_name,
    initial_start BETWEEN now() + '23 hours' AND now() + '25 hours' AS tomorrow
FROM policy WHERE hypertable_name = 'born';
-- Its retention may be shorter: nobody asked for the columnstore.
SELECT add_retention_policy('born', INTERVAL '1 day') > 0;
ALTER TABLE born SET (timescaledb.columnstore = false);
SELECT config - 'hypertable_id' AS config FROM policy WHERE hypertable_name = 'born';
CREATE TABLE born_rows (time timestamptz NOT NULL) WITH (tsdb.hypertable, tsdb.columnstore = false);
CREATE TABLE born_counts (n bigint NOT NULL) WITH (tsdb.hypertable, tsdb.partition_column = 'n', tsdb.chunk_interval = 10);
SELECT count(*) FROM policy WHERE hypertable_name LIKE 'born\__%';

-- Several at once.
CREATE TABLE many (time timestamptz NOT NULL, v int);
SELECT create_hypertable('many', 'time');
ALTER TABLE many SET (timescaledb.compress);
SELECT timescaledb_experimental.add_policies('many', compress_after => INTERVAL '7 days', drop_after => INTERVAL '30 days');
SELECT timescaledb_experimental.add_policies('many', if_not_exists => true, compress_after => INTERVAL '7 days');
SELECT timescaledb_experimental.show_policies('many');
SELECT relation_name, relation_schema, schedule_interval, proc_schema, proc_name, config - 'hypertable_id' AS config FROM timescaledb_experimental.policies
WHERE hypertable_name = 'many' ORDER BY proc_name;
SELECT timescaledb_experimental.alter_policies('many', compress_after => INTERVAL '40 days', drop_after => INTERVAL '50 days');
SELECT timescaledb_experimental.show_policies('many');
\set VERBOSITY verbose
SELECT timescaledb_experimental.alter_policies('many', compress_after => INTERVAL '60 days');
SELECT timescaledb_experimental.add_policies('many', refresh_start_offset => INTERVAL '1 day', refresh_end_offset => INTERVAL '1 hour');
SELECT timescaledb_experimental.add_policies('many');
SELECT timescaledb_experimental.add_policies('many', drop_after => INTERVAL '1 day');
SELECT timescaledb_experimental.remove_policies('many', false, 'policy_refresh_continuous_aggregate');
SELECT timescaledb_experimental.remove_policies('many', false, 'policy');
SELECT timescaledb_experimental.remove_policies('many');
\set VERBOSITY default
SELECT timescaledb_experimental.remove_policies('many', false, 'policy_compression');
SELECT timescaledb_experimental.remove_policies('many', true, 'policy_compression', 'policy_refresh_continuous_aggregate', 'policy_retention');
SELECT timescaledb_experimental.alter_policies('many', true, drop_after => INTERVAL '50 days');
SELECT timescaledb_experimental.remove_all_policies('many');
SELECT timescaledb_experimental.remove_all_policies('many', if_exists => true);
SELECT timescaledb_experimental.add_policies('many', drop_after => INTERVAL '1 day'), timescaledb_experimental.remove_all_policies('many');

-- In a transaction that is rolled back.
BEGIN;
SELECT add_retention_policy('many', INTERVAL '1 day') > 0;
SAVEPOINT s;
SELECT remove_retention_policy('many');
ROLLBACK TO s;
SELECT count(*) FROM policy WHERE hypertable_name = 'many';
ROLLBACK;
SELECT count(*) FROM policy WHERE hypertable_name = 'many';
BEGIN READ ONLY;
SELECT add_retention_policy('many', INTERVAL '1 day');
ROLLBACK;

-- Policies go with the table, whatever drops it.
SELECT add_retention_policy('many', INTERVAL '1 day') > 0;
DROP TABLE many;
CREATE SCHEMA going;
CREATE TABLE going.t (time timestamptz NOT NULL) WITH (tsdb.hypertable);
DROP SCHEMA going CASCADE;
SELECT hypertable_name, count(*) FROM policy GROUP BY 1 ORDER BY 1;

-- Rights, and owners.
CREATE ROLE regress_policies_a LOGIN;
CREATE ROLE regress_policies_b LOGIN;
CREATE ROLE regress_policies_group;
GRANT regress_policies_group TO regress_policies_a;
GRANT CREATE ON SCHEMA public TO regress_policies_a;
SET ROLE regress_policies_a;
CREATE TABLE owned (time timestamptz NOT NULL, v int);
SELECT create_hypertable('owned', 'time');
SELECT add_retention_policy('owned', INTERVAL '1 day') AS owned \gset
SELECT owner FROM policy WHERE hypertable_name = 'owned';
INSERT INTO owned VALUES (now() - interval '30 days', 1), (now(), 2);
CALL run_job(:owned);
SELECT v FROM owned;
\set VERBOSITY verbose
SELECT add_retention_policy('metrics', INTERVAL '1 day');
SELECT remove_compression_policy('metrics');
SELECT timescaledb_experimental.remove_all_policies('metrics');
SELECT alter_job(:owned, config => '{"hypertable_id": 1, "drop_after": "1 day"}');
SET ROLE regress_policies_b;
SELECT remove_retention_policy('owned');
CALL run_job(:owned);
RESET ROLE;
\set VERBOSITY default
-- Who adds a policy for another one's table does not come to own it.
SELECT remove_retention_policy('owned'), add_retention_policy('owned', INTERVAL '2 days') > 0;
SELECT owner FROM policy WHERE hypertable_name = 'owned';
ALTER TABLE owned OWNER TO regress_policies_b;
SELECT owner FROM policy WHERE hypertable_name = 'owned';
DROP ROLE regress_policies_b;
ALTER TABLE owned OWNER TO regress_policies_group;
SELECT owner FROM policy WHERE hypertable_name = 'owned';
REASSIGN OWNED BY regress_policies_group TO regress_policies_a;
SELECT owner FROM policy WHERE hypertable_name = 'owned';
SET ROLE regress_policies_group;
CREATE TABLE born_of_group (time timestamptz NOT NULL) WITH (tsdb.hypertable);
RESET ROLE;
GRANT CREATE ON SCHEMA public TO regress_policies_group;
SET ROLE regress_policies_group;
CREATE TABLE born_of_group (time timestamptz NOT NULL) WITH (tsdb.hypertable);
RESET ROLE;
DROP TABLE owned, born_of_group;
DROP OWNED BY regress_policies_a, regress_policies_group;
DROP ROLE regress_policies_a, regress_policies_b, regress_policies_group;
