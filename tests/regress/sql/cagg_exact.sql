-- A refreshed continuous aggregate is what its definition says, whatever changed the rows.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
\pset tuples_only on
\pset format unaligned
CREATE FUNCTION int_now() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1000';
CREATE FUNCTION make(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (time int NOT NULL, id int, v int)', name);
    PERFORM create_hypertable(name::regclass, by_range('time', 100));
    PERFORM set_integer_now_func(name::regclass, 'int_now');
    EXECUTE format('INSERT INTO %I SELECT g * 6, g, 1 FROM generate_series(0, 150) g', name);
END $$;
CREATE FUNCTION define(name text, source text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
        SELECT time_bucket(10, time) AS b, sum(v) AS s, count(*) AS n FROM %I GROUP BY 1', name, source);
END $$;
-- How many buckets are not what they should be.
CREATE FUNCTION wrong(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    direct regclass := (SELECT direct_view FROM _timescaledb_config.continuous_agg WHERE user_view = name::regclass);
    found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM ((TABLE %1$s EXCEPT ALL TABLE %2$s) UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s)) x', name::regclass, direct) INTO found;
    RETURN found;
END $$;
SELECT make('e'), define('ec', 'e');
SELECT count(*), wrong('ec') FROM ec;

\echo === a unique index of a chunk's own, without the time
SELECT tableoid::regclass AS ch FROM e WHERE id = 10 \gset
CREATE UNIQUE INDEX ON :ch (id);
INSERT INTO :ch SELECT time + 20, id, 0 FROM :ch WHERE id = 10 ON CONFLICT (id) DO UPDATE SET v = 99;
SELECT wrong('ec');
CALL refresh_continuous_aggregate('ec', NULL, NULL);
SELECT wrong('ec'), s FROM ec WHERE b = 60;

\echo === a trigger of one chunk alone moves rows to another
CREATE FUNCTION far() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.time := NEW.time + 300; RETURN NEW; END';
SELECT tableoid::regclass AS ch FROM e WHERE id = 20 \gset
CREATE TRIGGER far BEFORE UPDATE ON :ch FOR EACH ROW EXECUTE FUNCTION far();
UPDATE e SET v = 77 WHERE time = 120;
SELECT time, v FROM e WHERE id = 20;
SELECT wrong('ec');
CALL refresh_continuous_aggregate('ec', NULL, NULL);
SELECT wrong('ec');
DROP TRIGGER far ON :ch;

\echo === made within a statement on the hypertable
SELECT make('o');
CREATE FUNCTION defined() RETURNS int LANGUAGE plpgsql AS $$BEGIN PERFORM define('oc', 'o'); RETURN 5; END$$;
INSERT INTO o SELECT 200, 1, defined() FROM generate_series(1, 3);
SELECT define('oc', 'o');
INSERT INTO o SELECT 200, 1, 5 FROM generate_series(1, 3);
SELECT wrong('oc');
CALL refresh_continuous_aggregate('oc', NULL, NULL);
SELECT wrong('oc');

\echo === what is changed again and again, and not refreshed, is known by one row
SELECT define('od', 'o');
DO $$ BEGIN FOR i IN 1..20 LOOP
    INSERT INTO o VALUES (105, i, i), (505, i, i);
    COMMIT;
    CALL refresh_continuous_aggregate('oc', 0, 1000);
    COMMIT;
END LOOP; END $$;
SELECT low, high, count(*) FROM _timescaledb_config.continuous_agg_range JOIN _timescaledb_config.continuous_agg USING (storage)
    WHERE user_view = 'od'::regclass AND kind = 'i' GROUP BY 1, 2 ORDER BY 1;
SELECT wrong('oc'), wrong('od');
CALL refresh_continuous_aggregate('od', NULL, NULL);
SELECT wrong('od');

\echo === the isolation of what a procedure does after a refresh is its own
RESET client_min_messages;
CREATE PROCEDURE refreshing() LANGUAGE plpgsql AS $$
BEGIN
    COMMIT;
    CALL refresh_continuous_aggregate('oc', NULL, NULL);
    RAISE NOTICE '%', current_setting('transaction_isolation');
    INSERT INTO o VALUES (7, 7, 7);
    COMMIT;
    CALL refresh_continuous_aggregate('oc', NULL, NULL);
    RAISE NOTICE '% %', current_setting('transaction_isolation'), wrong('oc');
END $$;
SET default_transaction_isolation = 'serializable';
CALL refreshing();
RESET default_transaction_isolation;

\echo === what was computed from a view that showed more
SET client_min_messages = warning;
SELECT make('r');
CREATE MATERIALIZED VIEW rc WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(10, time) AS b, sum(v) AS s, count(*) AS n FROM r GROUP BY 1 WITH NO DATA;
CALL refresh_continuous_aggregate('rc', 0, 200);
CREATE MATERIALIZED VIEW rd WITH (timescaledb.continuous) AS SELECT time_bucket(100, b) AS b, sum(s) AS s FROM rc GROUP BY 1;
SELECT count(*), sum(s) FROM rd;
ALTER MATERIALIZED VIEW rc SET (timescaledb.materialized_only = true);
CALL refresh_continuous_aggregate('rd', NULL, NULL);
SELECT count(*), sum(s) FROM rd;
SELECT sum(s) FROM rc;
ALTER MATERIALIZED VIEW rc SET (timescaledb.materialized_only = false);
CALL refresh_continuous_aggregate('rd', NULL, NULL);
SELECT count(*), sum(s) FROM rd;

DROP TABLE e, o, r CASCADE;
DROP EXTENSION timescale_compat CASCADE;
