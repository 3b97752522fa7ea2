-- Clients of TimescaleDB create the extension by its name and read its version.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescaledb CASCADE;
SELECT extname, extversion FROM pg_extension WHERE extname LIKE 'timescale%' ORDER BY extname;
CREATE TABLE conditions (time timestamptz NOT NULL, temperature double precision);
SELECT create_hypertable('conditions', 'time', if_not_exists => TRUE);
DROP EXTENSION timescaledb;
SELECT count(*) FROM timescaledb_information.hypertables;
