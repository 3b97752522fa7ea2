-- What a continuous aggregate may not be used for by who may not do it otherwise.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
DROP ROLE IF EXISTS cagg_ada;
DROP ROLE IF EXISTS cagg_ben;
DROP TABLESPACE IF EXISTS cagg_space;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE cagg_space LOCATION '';
CREATE ROLE cagg_ada;
CREATE ROLE cagg_ben;
GRANT CREATE, USAGE ON SCHEMA public TO cagg_ada, cagg_ben;
SET ROLE cagg_ada;
CREATE TYPE mood AS ENUM ('sad', 'ok');
REVOKE USAGE ON TYPE mood FROM PUBLIC;
CREATE TABLE metrics (time timestamptz NOT NULL, pub int, priv int, mood mood);
SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day');
INSERT INTO metrics SELECT timestamptz '2024-01-01' + i * interval '1 h', i, i, 'ok' FROM generate_series(0, 47) i;
CREATE TABLE names (pub int, priv text);
INSERT INTO names SELECT i, 'n' || i FROM generate_series(0, 9) i;

-- Writers are kept out for a moment: that takes TRIGGER, as CREATE TRIGGER does.
GRANT SELECT ON metrics TO cagg_ben;
SET ROLE cagg_ben;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1;
SET ROLE cagg_ada;
GRANT TRIGGER ON metrics TO cagg_ben;
SET ROLE cagg_ben;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1;
SELECT * FROM v ORDER BY 1;
GRANT SELECT ON v TO cagg_ada;
SET ROLE cagg_ada;
CREATE MATERIALIZED VIEW w WITH (tsdb.continuous) AS SELECT time_bucket('1 week', day) AS week, sum(count) FROM v GROUP BY 1;
SET ROLE cagg_ben;
GRANT TRIGGER ON v TO cagg_ada;
SET ROLE cagg_ada;
CREATE MATERIALIZED VIEW w WITH (tsdb.continuous) AS SELECT time_bucket('1 week', day) AS week, sum(count) FROM v GROUP BY 1;
SELECT * FROM w;
DROP MATERIALIZED VIEW w;
SET ROLE cagg_ben;
DROP MATERIALIZED VIEW v;

-- A column that the role may not read is not read by a view of its own either; nothing is left behind.
SET ROLE cagg_ada;
REVOKE SELECT ON metrics FROM cagg_ben;
GRANT SELECT (time, pub, mood), TRIGGER ON metrics TO cagg_ben;
GRANT SELECT (pub) ON names TO cagg_ben;
SET ROLE cagg_ben;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(priv) FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics WHERE priv > 0 GROUP BY 1;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics JOIN names ON names.pub = metrics.pub AND names.priv > 'n' GROUP BY 1;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, max(l.priv) FROM metrics, LATERAL (SELECT names.priv FROM names WHERE names.pub = metrics.pub) l GROUP BY 1;
SELECT * FROM _timescaledb_functions.cagg_validate_query('SELECT time_bucket(''1 day'', time) AS day, sum(priv) FROM metrics GROUP BY 1');
SELECT relname FROM pg_class WHERE relname ~ '_materialized|_view_[0-9]' OR relname = 'v';
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, sum(metrics.pub) FROM metrics JOIN names ON names.pub = metrics.pub GROUP BY 1;
ALTER MATERIALIZED VIEW v ADD COLUMN more bigint GENERATED ALWAYS AS (sum(metrics.priv)) STORED;
RESET ROLE;
ALTER MATERIALIZED VIEW v ADD COLUMN more bigint GENERATED ALWAYS AS (sum(metrics.priv)) STORED;
SET ROLE cagg_ben;
ALTER MATERIALIZED VIEW v ADD COLUMN more int GENERATED ALWAYS AS (max(metrics.pub)) STORED;
CALL refresh_continuous_aggregate('v', NULL, NULL);
SELECT * FROM v;
DROP MATERIALIZED VIEW v;

-- Types and tablespaces that the role may not use, though storage is created in a schema in which it may create nothing.
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1, mood;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) TABLESPACE cagg_space AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) TABLESPACE nowhere AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1;
SET default_tablespace = cagg_space;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1;
RESET default_tablespace;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) TABLESPACE pg_default AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1;
DROP MATERIALIZED VIEW v;
RESET ROLE;
GRANT CREATE ON TABLESPACE cagg_space TO cagg_ben;
GRANT USAGE ON TYPE mood TO cagg_ben;
SET ROLE cagg_ben;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) TABLESPACE cagg_space AS SELECT time_bucket('1 day', time) AS day, count(*) FROM metrics GROUP BY 1, mood;
SELECT relname, spcname FROM pg_class JOIN pg_tablespace t ON t.oid = reltablespace WHERE spcname = 'cagg_space' AND relkind IN ('r', 'p') ORDER BY 1;
DROP MATERIALIZED VIEW v;

-- Functions in the arguments of time_bucket() are called by who creates, and by nobody else.
CREATE FUNCTION width() RETURNS interval IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'called by %', current_user;
    RETURN interval '1 day';
END $$;
CREATE DOMAIN span AS interval CHECK (VALUE > width() - interval '1 day');
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket(width(), time) AS day, time_bucket(width(), time) + interval '1 h' AS later, sum(pub) FROM metrics
GROUP BY time_bucket(width(), time) HAVING time_bucket(width(), time) > '-infinity';
CREATE MATERIALIZED VIEW w WITH (tsdb.continuous, tsdb.materialized_only = false) AS
SELECT time_bucket(bucket_width => width() + interval '1 day', ts => time, "offset" => -width() / 2) AS day, sum(pub) FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW x WITH (tsdb.continuous) AS SELECT time_bucket('1 day'::span, time) AS day, sum(pub) FROM metrics GROUP BY 1;
CREATE MATERIALIZED VIEW x WITH (tsdb.continuous) AS
SELECT time_bucket(interval '12 h' * 2, time, 'Europe/Berlin', origin => '2000-01-01'::timestamptz(0)) AS day, sum(pub) FROM metrics GROUP BY 1;
SELECT view_definition FROM timescaledb_information.continuous_aggregates ORDER BY view_name;
GRANT SELECT ON v, w, x TO cagg_ada;
SET ROLE cagg_ada;
SELECT * FROM v ORDER BY 1;
SELECT * FROM w ORDER BY 1;
SELECT * FROM x ORDER BY 1;
SELECT a.user_view, b.* FROM _timescaledb_config.continuous_agg a, _timescaledb_functions.cagg_get_bucket_function_info(a.id) b ORDER BY 1::text;
SET timescaledb.enable_cagg_rewrites = on;
INSERT INTO metrics VALUES ('2024-01-01', 1000, 1000, 'ok');
SELECT time_bucket('1 day', time), sum(pub) FROM metrics GROUP BY 1 ORDER BY 1;
RESET ROLE;
CALL refresh_continuous_aggregate('v', NULL, NULL);
CALL refresh_continuous_aggregate('w', NULL, NULL);
CALL refresh_continuous_aggregate('x', NULL, NULL);
SELECT * FROM v ORDER BY 1;
SELECT * FROM w ORDER BY 1;
DROP OWNED BY cagg_ada, cagg_ben CASCADE;
DROP TABLESPACE cagg_space;
DROP ROLE cagg_ada;
DROP ROLE cagg_ben;
