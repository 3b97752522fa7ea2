-- Whose continuous aggregates answer queries of a hypertable, and whose functions are called for that.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
DROP ROLE IF EXISTS trust_ada, trust_member, trust_ben, trust_reader;
RESET client_min_messages;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE ROLE trust_ada;
CREATE ROLE trust_member IN ROLE trust_ada;
CREATE ROLE trust_ben;
CREATE ROLE trust_reader;
GRANT CREATE, USAGE ON SCHEMA public TO trust_ada, trust_member, trust_ben;
SET ROLE trust_ada;
CREATE TABLE metrics (time timestamptz NOT NULL, device int, value int);
SELECT create_hypertable('metrics', 'time', chunk_time_interval => interval '1 day');
INSERT INTO metrics SELECT timestamptz '2024-01-01' + i * interval '1 h', i % 4, i FROM generate_series(0, 99) i;
GRANT SELECT, TRIGGER ON metrics TO trust_ben, trust_reader;

-- Who may read the hypertable defines one; its expressions are called by whoever computes it.
SET ROLE trust_ben;
CREATE FUNCTION evil(device int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user <> 'trust_ben' THEN
        RAISE EXCEPTION 'he is %', current_user;
    END IF;
    RETURN device;
END $$;
-- What might fail for a row answers less.
RESET ROLE;
ALTER FUNCTION evil LEAKPROOF;
SET ROLE trust_ben;
CREATE MATERIALIZED VIEW of_ben WITH (tsdb.continuous) AS
SELECT time_bucket('1 hour', time) AS hour, evil(device) AS device, sum(value), count(*) FROM metrics GROUP BY 1, 2;
-- A bucket that is computed live.
SET ROLE trust_ada;
INSERT INTO metrics VALUES ('2024-01-02', 1, 0);
RESET ROLE;
SET timescaledb.enable_cagg_rewrites = on;
SET timescaledb.cagg_rewrites_debug_info = on;
SELECT sum(value), count(*) FROM metrics;
SET ROLE trust_ada;
SELECT sum(value), count(*) FROM metrics;
SET ROLE trust_reader;
SELECT sum(value), count(*) FROM metrics;
-- Nor does a refresh read it.
SET ROLE trust_ada;
SET timescaledb.cagg_rewrites_debug_info = off;
CREATE MATERIALIZED VIEW of_ada WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, sum(value), count(*) FROM metrics GROUP BY 1;
RESET ROLE;
CREATE MATERIALIZED VIEW of_super WITH (tsdb.continuous) AS
SELECT time_bucket('2 days', time) AS days, sum(value), count(*) FROM metrics GROUP BY 1;
SET timescaledb.cagg_rewrites_debug_info = on;
SELECT sum(sum), sum(count) FROM of_ada;
SELECT sum(sum), sum(count) FROM of_super;

-- He is answered from his own, also with a plan from when he was another one; others are not.
SET ROLE trust_ben;
DROP MATERIALIZED VIEW of_ben;
SET timescaledb.cagg_rewrites_debug_info = off;
CREATE MATERIALIZED VIEW of_ben WITH (tsdb.continuous) AS
SELECT time_bucket('1 hour', time) AS hour, evil(device) AS device, max(value), count(*) FROM metrics GROUP BY 1, 2;
SET timescaledb.cagg_rewrites_debug_info = on;
RESET ROLE;
SET plan_cache_mode = force_generic_plan;
SET ROLE trust_ben;
PREPARE greatest_value AS SELECT max(value), count(*) FROM metrics;
EXECUTE greatest_value;
EXECUTE greatest_value;
SET ROLE trust_reader;
EXECUTE greatest_value;
RESET ROLE;
EXECUTE greatest_value;
-- A view's owner counts as the one who asks.
SET ROLE trust_ben;
CREATE VIEW peak AS SELECT max(value), count(*) FROM metrics;
GRANT SELECT ON peak TO trust_reader;
SET ROLE trust_reader;
SELECT * FROM peak;
RESET ROLE;

-- Members of the hypertable's owner are as good as that, until they are no more.
SET ROLE trust_member;
SET timescaledb.cagg_rewrites_debug_info = off;
CREATE MATERIALIZED VIEW of_member WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, min(value), count(*) FROM metrics GROUP BY 1;
SET timescaledb.cagg_rewrites_debug_info = on;
SET ROLE trust_reader;
PREPARE least_value AS SELECT min(value), count(*) FROM metrics;
EXECUTE least_value;
EXECUTE least_value;
RESET ROLE;
REVOKE trust_ada FROM trust_member;
SET ROLE trust_reader;
EXECUTE least_value;
RESET ROLE;
GRANT trust_ada TO trust_member;
SET ROLE trust_reader;
EXECUTE least_value;
-- A superuser is, until he is no more.
RESET ROLE;
REVOKE trust_ada FROM trust_member;
ALTER ROLE trust_member SUPERUSER;
SET ROLE trust_reader;
EXECUTE least_value;
EXECUTE least_value;
RESET ROLE;
ALTER ROLE trust_member NOSUPERUSER;
SET ROLE trust_reader;
EXECUTE least_value;
-- New owners.
RESET ROLE;
ALTER MATERIALIZED VIEW of_member OWNER TO trust_ada;
SET ROLE trust_reader;
DEALLOCATE least_value;
PREPARE least_value AS SELECT min(value), count(*) FROM metrics;
EXECUTE least_value;
EXECUTE least_value;
RESET ROLE;
ALTER MATERIALIZED VIEW of_member OWNER TO trust_ben;
SET ROLE trust_reader;
EXECUTE least_value;
RESET ROLE;
ALTER MATERIALIZED VIEW of_member OWNER TO trust_ada;
SET ROLE trust_reader;
DEALLOCATE least_value;
PREPARE least_value AS SELECT min(value), count(*) FROM metrics;
EXECUTE least_value;
RESET ROLE;
REASSIGN OWNED BY trust_ada TO trust_ben;
ALTER TABLE metrics OWNER TO trust_ada;
SET ROLE trust_reader;
EXECUTE least_value;
RESET ROLE;
DROP MATERIALIZED VIEW of_member;
DROP MATERIALIZED VIEW of_ada;
DROP MATERIALIZED VIEW of_super;
DROP MATERIALIZED VIEW of_ben CASCADE;

-- The owner of the hypertable decides what is in it, but not what others call.
GRANT trust_ada TO trust_member;
SET ROLE trust_ada;
CREATE FUNCTION halved(device int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN device / 2; END $$;
RESET ROLE;
ALTER FUNCTION halved LEAKPROOF;
SET ROLE trust_ada;
CREATE DOMAIN public.small AS int CHECK (VALUE < 10);
CREATE MATERIALIZED VIEW calls WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, halved(device) AS half, sum(value) FROM metrics GROUP BY 1, 2;
SELECT sum(value) FROM metrics;
SET ROLE trust_member;
SELECT sum(value) FROM metrics;
SET ROLE trust_reader;
SELECT sum(value) FROM metrics;
-- But for what they call themselves.
SELECT halved(device), sum(value) FROM metrics GROUP BY 1 ORDER BY 1;
RESET ROLE;
SELECT sum(value) FROM metrics;
ALTER FUNCTION halved OWNER TO CURRENT_USER;
SELECT sum(value) FROM metrics;
SET ROLE trust_reader;
SELECT sum(value) FROM metrics;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION halved FROM PUBLIC;
SET ROLE trust_reader;
SELECT sum(value) FROM metrics;
RESET ROLE;
DROP MATERIALIZED VIEW calls;
GRANT EXECUTE ON FUNCTION halved TO PUBLIC;
SET ROLE trust_ada;
SET search_path = '';
CREATE MATERIALIZED VIEW public.converts WITH (tsdb.continuous) AS
SELECT public.time_bucket('1 day', time) AS day, device::public.small AS device, sum(value) FROM public.metrics GROUP BY 1, 2;
SET search_path = public;
SELECT sum(value) FROM metrics;
SET ROLE trust_reader;
SELECT sum(value) FROM metrics;
SET ROLE trust_ada;
DROP MATERIALIZED VIEW converts;
-- What depends on the session is not asked of others.
SET client_min_messages = error;
CREATE MATERIALIZED VIEW of_session WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, to_char(time, 'HH') AS hour, sum(value) FROM metrics GROUP BY 1, 2;
RESET client_min_messages;
SELECT sum(value) FROM metrics;
DROP MATERIALIZED VIEW of_session;
RESET ROLE;

-- What takes a hypertable's place is not checked for rights: a partial view that is not as it was made does not.
SET ROLE trust_ada;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, sum(value) FROM metrics GROUP BY 1;
RESET ROLE;
CREATE TABLE secrets AS SELECT timestamptz '2024-01-01' AS day, 42 AS secret;
CREATE FUNCTION answer(old text, new text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    partial regclass;
    found text;
BEGIN
    SELECT partial_view INTO partial FROM _timescaledb_config.continuous_agg WHERE user_view = 'v'::regclass;
    IF strpos(pg_get_viewdef(partial), old) = 0 THEN
        RETURN 'there is no such thing';
    END IF;
    EXECUTE 'CREATE VIEW other AS ' || replace(pg_get_viewdef(partial), old, new);
    UPDATE pg_rewrite SET ev_action = (SELECT ev_action FROM pg_rewrite WHERE ev_class = 'other'::regclass) WHERE ev_class = partial;
    UPDATE pg_class SET relname = relname WHERE oid = partial;
    EXECUTE 'SELECT ''sum '' || sum(value) FROM metrics' INTO found;
    RAISE EXCEPTION USING MESSAGE = found;
EXCEPTION WHEN raise_exception THEN
    RETURN SQLERRM;
END $$;
SELECT answer('UNION ALL', 'UNION ALL');
SELECT answer('WHERE _timescaledb_functions.', 'WHERE s.sum > 0 AND _timescaledb_functions.');
SELECT answer('FROM _timescaledb_internal.', 'FROM secrets, _timescaledb_internal.');
SELECT answer(' LATERAL', ' secrets, LATERAL');
SELECT answer('FROM metrics', 'FROM secrets, metrics');
SELECT answer('UNION ALL', 'UNION');
SELECT sum(value) FROM metrics;
DROP TABLE secrets;
DROP OWNED BY trust_ada, trust_ben, trust_member, trust_reader CASCADE;
DROP ROLE trust_ada, trust_member, trust_ben, trust_reader;
