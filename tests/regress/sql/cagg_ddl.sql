-- A continuous aggregate is one object, whatever is done to it.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE TABLE metrics (time timestamptz NOT NULL, device int, value float8);
SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day');
INSERT INTO metrics SELECT timestamptz '2024-01-01' + i * interval '1 h', i % 4, i FROM generate_series(0, 99) i;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous) AS
SELECT time_bucket('1 day', time) AS bucket, device, avg(value) AS average FROM metrics GROUP BY 1, 2;
-- What there is of continuous aggregates.
CREATE VIEW parts AS SELECT relnamespace::regnamespace AS schema, relname AS name, relkind AS kind FROM pg_class
WHERE relkind IN ('v', 'p', 'r') AND (relname ~ '^_(materialized|partial|direct)' OR relname ~ '_hyper_[2-9]') ORDER BY 2;
TABLE parts;

-- Names.
ALTER MATERIALIZED VIEW v RENAME COLUMN average TO mean;
ALTER VIEW v RENAME COLUMN bucket TO day;
ALTER MATERIALIZED VIEW v RENAME COLUMN mean TO _ts_meta_mean;
ALTER MATERIALIZED VIEW v RENAME COLUMN nothing TO something;
ALTER MATERIALIZED VIEW v RENAME TO daily;
CREATE SCHEMA other;
ALTER MATERIALIZED VIEW daily SET SCHEMA other;
SELECT view_schema, view_name FROM timescaledb_information.continuous_aggregates;
SELECT view_definition FROM timescaledb_information.continuous_aggregates;
\d+ other.daily
INSERT INTO metrics VALUES ('2024-01-01', 0, 1000);
CALL refresh_continuous_aggregate('other.daily', NULL, NULL);
SELECT * FROM other.daily ORDER BY day, device LIMIT 2;
-- Of what it is over.
ALTER TABLE metrics RENAME COLUMN value TO measured;
ALTER TABLE metrics RENAME COLUMN time TO at;
ALTER TABLE metrics RENAME TO measurements;
INSERT INTO measurements VALUES ('2024-01-01', 0, 2000);
CALL refresh_continuous_aggregate('other.daily', NULL, NULL);
SELECT * FROM other.daily ORDER BY day, device LIMIT 2;
SELECT view_definition FROM timescaledb_information.continuous_aggregates;

-- Columns.
ALTER MATERIALIZED VIEW other.daily ADD COLUMN greatest float8 GENERATED ALWAYS AS (max(measured)) STORED;
SELECT * FROM other.daily ORDER BY day, device LIMIT 2;
CALL refresh_continuous_aggregate('other.daily', NULL, NULL);
SELECT * FROM other.daily ORDER BY day, device LIMIT 2;
ALTER MATERIALIZED VIEW other.daily ADD COLUMN IF NOT EXISTS greatest float8 GENERATED ALWAYS AS (max(measured)) STORED;
ALTER MATERIALIZED VIEW other.daily ADD COLUMN greatest float8 GENERATED ALWAYS AS (max(measured)) STORED;
ALTER MATERIALIZED VIEW other.daily ADD COLUMN plain float8;
ALTER MATERIALIZED VIEW other.daily ADD COLUMN ungrouped float8 GENERATED ALWAYS AS (measured) STORED;
ALTER MATERIALIZED VIEW other.daily ADD COLUMN spread numeric GENERATED ALWAYS AS (stddev(measured::int)) STORED;
CALL refresh_continuous_aggregate('other.daily', NULL, NULL);
SELECT * FROM other.daily ORDER BY day, device LIMIT 2;
ALTER MATERIALIZED VIEW other.daily SET (tsdb.materialized_only = false);
SELECT * FROM other.daily ORDER BY day, device LIMIT 2;
ALTER MATERIALIZED VIEW other.daily DROP COLUMN mean;
ALTER MATERIALIZED VIEW other.daily ALTER COLUMN mean TYPE int;

-- Indexes and comments.
CREATE INDEX by_mean ON other.daily (mean);
CREATE INDEX ON other.daily (device, greatest) WHERE device > 0;
CREATE UNIQUE INDEX ON other.daily (day, device);
SELECT indexname FROM pg_indexes WHERE tablename LIKE '\_materialized%' ORDER BY 1;
COMMENT ON MATERIALIZED VIEW other.daily IS 'every day';
COMMENT ON COLUMN other.daily.mean IS 'the mean';
SELECT obj_description('other.daily'::regclass);
COMMENT ON MATERIALIZED VIEW measurements IS 'none';

-- What is not done to it.
INSERT INTO other.daily VALUES (now(), 1, 1);
DELETE FROM other.daily;
TRUNCATE other.daily;
REFRESH MATERIALIZED VIEW other.daily;
COPY other.daily FROM '/dev/null';
CREATE OR REPLACE VIEW other.daily AS SELECT 1;

-- Its parts stay together.
DROP VIEW _timescaledb_internal._partial_view_2;
DROP VIEW _timescaledb_internal._direct_view_2 CASCADE;
DROP TABLE _timescaledb_internal._materialized_hypertable_2 CASCADE;
ALTER TABLE _timescaledb_internal._materialized_hypertable_2 RENAME TO x;
ALTER TABLE _timescaledb_internal._materialized_hypertable_2 RENAME COLUMN mean TO x;
ALTER TABLE _timescaledb_internal._materialized_hypertable_2 DROP COLUMN mean;
ALTER TABLE _timescaledb_internal._materialized_hypertable_2 SET SCHEMA public;
ALTER TABLE _timescaledb_internal._materialized_hypertable_2 OWNER TO CURRENT_USER;
ALTER VIEW _timescaledb_internal._partial_view_2 SET (security_barrier);
CREATE OR REPLACE VIEW _timescaledb_internal._partial_view_2 AS SELECT 1;
ALTER TABLE measurements DROP COLUMN measured;

-- Dropping.
CREATE MATERIALIZED VIEW monthly WITH (tsdb.continuous) AS SELECT time_bucket('1 month', day) AS month, sum(greatest) FROM other.daily GROUP BY 1;
DROP MATERIALIZED VIEW other.daily;
DROP TABLE measurements;
DROP TABLE other.daily;
BEGIN;
DROP MATERIALIZED VIEW other.daily, monthly;
TABLE parts;
SELECT count(*) FROM _timescaledb_config.continuous_agg_range;
ROLLBACK;
BEGIN;
DROP MATERIALIZED VIEW other.daily CASCADE;
TABLE parts;
ROLLBACK;
BEGIN;
DROP SCHEMA other CASCADE;
TABLE parts;
ROLLBACK;
BEGIN;
SAVEPOINT s;
DROP SCHEMA other CASCADE;
ROLLBACK TO s;
SELECT 1;
SELECT count(*) FROM other.daily;
DROP TABLE measurements CASCADE;
TABLE parts;
SELECT count(*) FROM _timescaledb_config.continuous_agg;
ROLLBACK;
DROP VIEW monthly;
DROP MATERIALIZED VIEW IF EXISTS other.daily, nothing;
DROP MATERIALIZED VIEW IF EXISTS other.daily;
TABLE parts;
SELECT count(*) FROM _timescaledb_config.continuous_agg;
SELECT count(*) FROM _timescaledb_config.hypertable;

-- In a transaction block, with data; rolled back.
BEGIN;
CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', at) AS bucket, count(*) FROM measurements GROUP BY 1;
SELECT sum(count) FROM v;
ROLLBACK;
TABLE parts;
DO $$ BEGIN
    CREATE MATERIALIZED VIEW v WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', at) AS bucket, count(*) FROM measurements GROUP BY 1;
END $$;
SELECT sum(count) FROM v;

-- Event triggers hear of it.
CREATE FUNCTION hear() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    object record;
BEGIN
    RAISE NOTICE '%: %', tg_event, tg_tag;
    IF tg_event = 'ddl_command_end' THEN
        FOR object IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
            RAISE NOTICE 'made: % % by %', object.object_type, object.object_identity, object.command_tag;
        END LOOP;
    ELSIF tg_event = 'sql_drop' THEN
        FOR object IN SELECT * FROM pg_event_trigger_dropped_objects() WHERE object_type = 'view' AND original LOOP
            RAISE NOTICE 'dropped: %', regexp_replace(object.object_identity, '\d+$', 'N');
        END LOOP;
    END IF;
END $$;
CREATE EVENT TRIGGER hear_start ON ddl_command_start EXECUTE FUNCTION hear();
CREATE EVENT TRIGGER hear_end ON ddl_command_end EXECUTE FUNCTION hear();
CREATE EVENT TRIGGER hear_drop ON sql_drop EXECUTE FUNCTION hear();
CREATE MATERIALIZED VIEW heard WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', at) AS bucket, count(*) FROM measurements GROUP BY 1;
CREATE MATERIALIZED VIEW IF NOT EXISTS heard WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', at) AS bucket, count(*) FROM measurements GROUP BY 1;
CREATE MATERIALIZED VIEW heard WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', at) AS bucket, count(*) FROM measurements GROUP BY 1;
CREATE VIEW reader AS SELECT * FROM heard;
DROP VIEW heard, nothing;
DROP VIEW heard;
DROP VIEW heard, reader;
SELECT count(*) FROM parts WHERE name ~ 'heard';
DROP EVENT TRIGGER hear_start;
DROP EVENT TRIGGER hear_end;
DROP EVENT TRIGGER hear_drop;
