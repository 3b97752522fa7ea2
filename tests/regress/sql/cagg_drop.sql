-- A continuous aggregate goes as a whole, or not at all, by whatever command.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE VIEW parts AS SELECT relname AS name, relkind AS kind FROM pg_class
WHERE relkind IN ('v', 'p', 'r') AND (relname ~ '^_(materialized|partial|direct)' OR relname ~ '_hyper_[235-9]' OR relname IN ('v', 'w')) ORDER BY 1;
CREATE VIEW left_over AS SELECT (SELECT count(*) FROM parts) AS relations, (SELECT count(*) FROM _timescaledb_config.continuous_agg) AS rows,
(SELECT count(*) FROM _timescaledb_config.continuous_agg_range) AS ranges;
CREATE TABLE m (time timestamptz NOT NULL, v float8);
SELECT create_hypertable('m', 'time');
INSERT INTO m VALUES ('2024-01-01', 1);
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 hour', time) AS h, sum(v) FROM m GROUP BY 1;

-- A DROP that fails has dropped nothing, whatever comes after it.
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM v;
FETCH c;
DROP MATERIALIZED VIEW v;
ROLLBACK;
SELECT * FROM v;
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT * FROM v;
FETCH c;
DROP MATERIALIZED VIEW v;
ROLLBACK TO s;
SELECT * FROM v;
COMMIT;
SELECT * FROM v;
DO $$
DECLARE
    row record;
BEGIN
    FOR row IN SELECT * FROM v LOOP
        BEGIN
            DROP MATERIALIZED VIEW v;
        EXCEPTION WHEN object_in_use THEN
            RAISE WARNING '%', SQLERRM;
        END;
    END LOOP;
END $$;
SELECT * FROM v;
-- An event trigger may refuse it, or drop something itself and fail in that.
CREATE TABLE other (i int);
CREATE FUNCTION at_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('test.refuse', true) = 'on' THEN
        RAISE 'not now';
    ELSIF current_setting('test.refuse', true) = 'slowly' THEN
        PERFORM pg_sleep(60);
    END IF;
    IF tg_tag = 'DROP SCHEMA' THEN
        BEGIN
            DROP TABLE other;
            RAISE 'no longer';
        EXCEPTION WHEN raise_exception THEN
            RAISE WARNING '%', SQLERRM;
        END;
    END IF;
END $$;
CREATE EVENT TRIGGER at_drop ON sql_drop WHEN TAG IN ('DROP SCHEMA', 'DROP VIEW', 'DROP MATERIALIZED VIEW', 'DROP TABLE') EXECUTE FUNCTION at_drop();
CREATE SCHEMA s;
ALTER MATERIALIZED VIEW v SET SCHEMA s;
SET test.refuse = on;
BEGIN;
DROP SCHEMA s CASCADE;
ROLLBACK;
DROP SCHEMA s CASCADE;
SELECT * FROM s.v;
-- Or be what it is cancelled in.
SET test.refuse = slowly;
SET statement_timeout = '300ms';
BEGIN;
SAVEPOINT p;
DROP SCHEMA s CASCADE;
ROLLBACK TO p;
SELECT * FROM s.v;
COMMIT;
RESET statement_timeout;
RESET test.refuse;
BEGIN;
DROP SCHEMA s CASCADE;
TABLE left_over;
ROLLBACK;
DROP EVENT TRIGGER at_drop;
ALTER MATERIALIZED VIEW s.v SET SCHEMA public;
-- Drops of two in one statement, one of them rolled back within it.
CREATE MATERIALIZED VIEW w WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS d, sum(v) FROM m GROUP BY 1;
DO $$
BEGIN
    DROP VIEW w;
    BEGIN
        DROP MATERIALIZED VIEW v;
        RAISE 'no';
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
END $$;
TABLE parts;
SELECT * FROM v;
DROP TABLE m CASCADE;
TABLE left_over;

-- Types that its columns have.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN level AS int CHECK (VALUE >= 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE m (time timestamptz NOT NULL, v float8, mood mood, level level, pair pair);
SELECT create_hypertable('m', 'time');
INSERT INTO m VALUES ('2024-01-01', 1, 'ok', 1, (1, 'x')), ('2024-01-01', 2, 'sad', 2, (2, 'y'));
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket('1 hour', time) AS h, pair, max(mood) AS mood, min(level) AS level, count(*) FROM m GROUP BY 1, level, pair;
CREATE MATERIALIZED VIEW w WITH (tsdb.continuous, tsdb.materialized_only = false) AS
SELECT time_bucket('1 day', h) AS d, max(mood) AS mood, sum(count) FROM v GROUP BY 1, pair;
TABLE parts;
DROP TYPE mood;
BEGIN;
DROP TYPE mood CASCADE;
TABLE left_over;
SELECT count(*) FROM m;
ROLLBACK;
BEGIN;
DROP DOMAIN level CASCADE;
TABLE left_over;
ROLLBACK;
BEGIN;
DROP TYPE pair, level, mood CASCADE;
TABLE left_over;
SELECT count(*) FROM m;
ROLLBACK;
SELECT count(*) FROM w;
-- A schema, or a role, whose types come first.
CREATE SCHEMA kinds;
BEGIN;
ALTER TYPE mood SET SCHEMA kinds;
ALTER TYPE pair SET SCHEMA kinds;
DROP SCHEMA kinds CASCADE;
TABLE left_over;
ROLLBACK;
DROP ROLE IF EXISTS cagg_cid;
CREATE ROLE cagg_cid;
BEGIN;
ALTER TYPE mood OWNER TO cagg_cid;
DROP OWNED BY cagg_cid CASCADE;
TABLE left_over;
ROLLBACK;
BEGIN;
ALTER TYPE mood OWNER TO cagg_cid;
ALTER MATERIALIZED VIEW v OWNER TO cagg_cid;
ALTER MATERIALIZED VIEW w OWNER TO cagg_cid;
ALTER TABLE m OWNER TO cagg_cid;
DROP OWNED BY cagg_cid;
TABLE left_over;
ROLLBACK;
BEGIN;
ALTER MATERIALIZED VIEW v OWNER TO cagg_cid;
DROP OWNED BY cagg_cid CASCADE;
TABLE left_over;
ROLLBACK;
DROP ROLE cagg_cid;

-- Tables, views, schemas, the extension.
DROP TABLE m;
DROP VIEW v;
BEGIN;
DROP TABLE m CASCADE;
TABLE left_over;
ROLLBACK;
BEGIN;
DROP VIEW v CASCADE;
TABLE left_over;
ROLLBACK;
BEGIN;
DROP VIEW w;
DROP MATERIALIZED VIEW v;
TABLE left_over;
ROLLBACK;
BEGIN;
ALTER TABLE m DROP COLUMN level CASCADE;
TABLE left_over;
ROLLBACK;
CREATE VIEW reader AS SELECT * FROM _timescaledb_internal._materialized_hypertable_5;
SELECT count(*) FROM reader;
DROP VIEW w;
DROP MATERIALIZED VIEW v;
BEGIN;
DROP MATERIALIZED VIEW v CASCADE;
TABLE left_over;
SELECT to_regclass('reader');
ROLLBACK;
\set VERBOSITY terse
DROP EXTENSION timescale_compat;
\set VERBOSITY default
BEGIN;
DROP EXTENSION timescale_compat CASCADE;
TABLE parts;
SELECT count(*) FROM m;
ROLLBACK;
SELECT count(*) FROM v;
BEGIN;
DROP SCHEMA public CASCADE;
SELECT relname FROM pg_class WHERE relname ~ '^_(materialized|partial|direct)';
ROLLBACK;
-- A type of an extension.
CREATE EXTENSION citext;
ALTER TABLE m ADD COLUMN name citext;
CREATE MATERIALIZED VIEW w WITH (tsdb.continuous) AS SELECT time_bucket('1 hour', time) AS h, name, count(*) FROM m GROUP BY 1, 2;
TABLE left_over;
DROP EXTENSION citext;
DROP EXTENSION citext CASCADE;
TABLE left_over;
SELECT count(*) FROM v;
DROP MATERIALIZED VIEW v;
DROP VIEW reader;
DROP MATERIALIZED VIEW v;
TABLE left_over;
