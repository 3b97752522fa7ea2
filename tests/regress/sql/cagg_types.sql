-- Types that only the search path finds: of enums, domains, composites, arrays and extensions.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE SCHEMA "Kinds";
SET search_path = "Kinds", public;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN level AS int CHECK (VALUE >= 0);
CREATE DOMAIN price AS numeric(6, 2);
CREATE TYPE "Pair" AS (a int, b text);
CREATE EXTENSION citext SCHEMA public;
CREATE TABLE m (time timestamptz NOT NULL, mood mood, level level, pair "Pair", name citext, price price, amount numeric(10, 3), code char(3), moods mood[]);
SELECT create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT timestamptz '2024-01-01' + i * interval '1 h', (enum_range(NULL::mood))[i % 3 + 1], i % 2, (i % 2, 'x')::"Pair", CASE i % 2 WHEN 0 THEN 'a' ELSE 'A' END,
    i * 1.25, i * 0.125, 'c' || i % 2, ARRAY['ok'::mood] FROM generate_series(0, 47) i;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, level, pair, name, max(mood) AS best, min(level) AS least, avg(price) AS price, first(pair, time) AS first, max(amount) AS amount, moods
FROM m GROUP BY 1, level, pair, name, code, moods;
SELECT * FROM v ORDER BY day, level;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '_timescaledb_internal._materialized_hypertable_2'::regclass AND attnum > 0 ORDER BY attnum;
ALTER MATERIALIZED VIEW v ADD COLUMN worst mood GENERATED ALWAYS AS (min(mood)) STORED;
ALTER MATERIALIZED VIEW v ADD COLUMN last "Pair" GENERATED ALWAYS AS (last(pair, time)) STORED;
ALTER MATERIALIZED VIEW v ADD COLUMN greatest level GENERATED ALWAYS AS (max(level)) STORED;
ALTER MATERIALIZED VIEW v ADD COLUMN longest citext GENERATED ALWAYS AS (max(name)) STORED;
CALL refresh_continuous_aggregate('v', NULL, NULL);
SELECT day, worst, last, greatest, longest FROM v ORDER BY day, level;
INSERT INTO m VALUES ('2024-01-01', 'happy', 7, (7, 'y'), 'b', 1, 1, 'z', NULL);
ALTER MATERIALIZED VIEW v SET (tsdb.materialized_only = false);
SELECT * FROM v WHERE level = 7;
-- Whatever the path of who reads and refreshes.
SET search_path = pg_catalog;
CALL public.refresh_continuous_aggregate('"Kinds".v', NULL, NULL);
SELECT * FROM "Kinds".v WHERE level OPERATOR(pg_catalog.=) 7;
SET timescaledb.enable_cagg_rewrites = on;
SELECT public.time_bucket('1 day', time), max(mood), min(mood) FROM "Kinds".m GROUP BY 1 ORDER BY 1;
SET search_path = public;
SELECT view_definition FROM timescaledb_information.continuous_aggregates;
