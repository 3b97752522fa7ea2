-- An owner who is no superuser, and may not create in the schema of the chunks.
\set VERBOSITY default
SET client_min_messages TO warning;
CREATE EXTENSION timescale_compat;
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
CREATE SCHEMA own AUTHORIZATION regress_owner;
CREATE TABLE seen (n serial, tag text, identity text);
GRANT INSERT ON seen TO PUBLIC;
GRANT USAGE ON SEQUENCE seen_n_seq TO PUBLIC;
CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO public.seen (tag, identity) SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands() WHERE schema_name = 'own'; END$$;
CREATE EVENT TRIGGER see ON ddl_command_end EXECUTE FUNCTION see();

SET ROLE regress_owner;
CREATE TABLE own.t (time timestamptz NOT NULL, host text, n int);
SELECT create_hypertable('own.t', 'time', create_default_indexes => false);
INSERT INTO own.t SELECT '2026-01-01'::timestamptz + n * interval '4 days', 'h' || n % 2, n FROM generate_series(1, 10) n;
ALTER TABLE own.t SET (timescaledb.compress, timescaledb.compress_segmentby = 'host');
SELECT compress_chunk(c) IS NOT NULL AS done FROM show_chunks('own.t') c LIMIT 1;
SELECT has_schema_privilege('_timescaledb_internal', 'CREATE');
CREATE INDEX ON own.t (host, time DESC);
CREATE UNIQUE INDEX IF NOT EXISTS t_key ON own.t (n, time) INCLUDE (host);
CREATE UNIQUE INDEX IF NOT EXISTS t_key ON own.t (n, time);
CREATE INDEX ON own.t ((n + 1)) WHERE n > 3;
ALTER TABLE own.t ADD PRIMARY KEY (host, time);
ALTER TABLE own.t ADD CONSTRAINT t_unique UNIQUE (time, n);
\d own.t
SELECT count(*) AS chunks, sum((SELECT count(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE i.indrelid = c AND i.indisvalid)) AS parts,
    bool_and((SELECT attnotnull FROM pg_attribute a WHERE a.attrelid = c AND attname = 'host')) AS not_null FROM show_chunks('own.t') c;
RESET ROLE;
SELECT tag, identity FROM seen ORDER BY n;
SET ROLE regress_owner;
-- They hold, for rows in batches, too, and new chunks get them.
INSERT INTO own.t SELECT * FROM own.t ORDER BY time LIMIT 1;
INSERT INTO own.t VALUES ('2027-01-01', 'h9', 9), ('2027-01-01', 'h9', 9);
INSERT INTO own.t VALUES ('2027-01-01', 'h9', 9);
CREATE UNIQUE INDEX ON own.t (host);
CREATE INDEX CONCURRENTLY ON own.t (n);
BEGIN READ ONLY;
CREATE INDEX ON own.t (n);
ROLLBACK;
BEGIN;
SAVEPOINT s;
ALTER TABLE own.t DROP CONSTRAINT t_unique;
ALTER TABLE own.t ADD CONSTRAINT t_unique UNIQUE (time, m), ADD COLUMN m int DEFAULT 5;
SELECT conname, count(*) FROM pg_constraint WHERE conname LIKE '%m_key' OR conname = 't_unique' GROUP BY 1;
INSERT INTO own.t VALUES ('2027-01-01', 'h10', 9, 5);
ROLLBACK TO s;
DROP INDEX own.t_key;
CREATE UNIQUE INDEX t_key ON own.t (n, time);
COMMIT;

-- Who doesn't own it, or may not create beside it, may not.
SET ROLE regress_other;
CREATE INDEX ON own.t (n);
RESET ROLE;
GRANT USAGE ON SCHEMA own TO regress_other;
SET ROLE regress_other;
CREATE INDEX ON own.t (n);
ALTER TABLE own.t ADD UNIQUE (time, host, n);
RESET ROLE;
ALTER SCHEMA own OWNER TO regress_other;
GRANT USAGE ON SCHEMA own TO regress_owner;
SET ROLE regress_owner;
CREATE INDEX ON own.t (n);
ALTER TABLE own.t ADD UNIQUE (time, host, n);
RESET ROLE;
DROP EVENT TRIGGER see;
DROP SCHEMA own CASCADE;
DROP OWNED BY regress_owner, regress_other;
DROP ROLE regress_owner, regress_other;
