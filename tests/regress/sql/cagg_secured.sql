-- Row-level security of tables that a definition reads through views, and of tables whose owner has nothing to do with the definition.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SELECT _timescaledb_functions.stop_background_workers();
DROP ROLE IF EXISTS secured_ada, secured_ben;
CREATE ROLE secured_ada;
CREATE ROLE secured_ben;
GRANT CREATE ON SCHEMA public TO secured_ada, secured_ben;
SET ROLE secured_ada;
CREATE TABLE secrets (d int, t text);
CREATE VIEW of_secrets AS SELECT * FROM secrets;
CREATE VIEW above AS SELECT d, t FROM of_secrets;
CREATE TABLE plain (d int, t text);
GRANT SELECT ON secrets, of_secrets, above, plain TO secured_ben;
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (t = current_user);
SET ROLE secured_ben;
CREATE TABLE m (time timestamptz NOT NULL, d int);
SELECT create_hypertable('m', 'time') IS NOT NULL AS made;
INSERT INTO m VALUES ('2024-01-01', 1);
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, t, count(*) FROM m JOIN above USING (d) GROUP BY 1, 2;
-- Who may read a table does not keep its owner from securing it.
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, t, count(*) FROM m JOIN plain USING (d) GROUP BY 1, 2;
SET ROLE secured_ada;
ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
SELECT relrowsecurity FROM pg_class WHERE oid = 'plain'::regclass;
ALTER TABLE plain DISABLE ROW LEVEL SECURITY;
-- Nor through a view, but for who owns the definition.
RESET ROLE;
DROP MATERIALIZED VIEW v;
ALTER TABLE secrets DISABLE ROW LEVEL SECURITY;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, t, count(*) FROM m JOIN above USING (d) GROUP BY 1, 2;
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
DROP OWNED BY secured_ada, secured_ben CASCADE;
DROP ROLE secured_ada, secured_ben;
DROP EXTENSION timescale_compat CASCADE;
