-- What may not become of the tables that continuous aggregates read.
SET client_min_messages = warning;
CREATE EXTENSION timescale_compat;
SELECT _timescaledb_functions.stop_background_workers();
SET timezone = 'UTC';
CREATE TABLE m (time timestamptz NOT NULL, name int, v float8);
SELECT create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
INSERT INTO m SELECT timestamptz '2024-01-01' + i * interval '1 h', i % 3, i FROM generate_series(0, 47) i;
CREATE TABLE names (id int, name text);
INSERT INTO names VALUES (0, 'a'), (1, 'b');
CREATE TABLE sites (id int, site text);
CREATE UNLOGGED TABLE cached (id int, site text);
CREATE TEMP TABLE scratch (id int, site text);

-- A crash would empty it.
ALTER TABLE m SET UNLOGGED;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM m GROUP BY 1;
ALTER TABLE m SET LOGGED;
ALTER TABLE _timescaledb_internal._hyper_1_2_chunk SET UNLOGGED;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM m GROUP BY 1;
ALTER TABLE _timescaledb_internal._hyper_1_2_chunk SET LOGGED;
CREATE UNLOGGED MATERIALIZED VIEW v WITH (tsdb.continuous) AS SELECT time_bucket('1 day', time) AS day, count(*) FROM m GROUP BY 1;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, count(*) FROM m JOIN scratch ON id = name GROUP BY 1;
CREATE MATERIALIZED VIEW v WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, names.name, count(*) FROM m JOIN names ON names.id = m.name LEFT JOIN cached ON cached.id = m.name,
    LATERAL (SELECT count(*) FROM sites WHERE sites.id = m.name) s GROUP BY 1, 2;
CREATE MATERIALIZED VIEW w WITH (tsdb.continuous) AS SELECT time_bucket('1 week', day) AS week, sum(count) FROM v GROUP BY 1;
ALTER TABLE m SET UNLOGGED;
ALTER TABLE _timescaledb_internal._hyper_1_2_chunk SET UNLOGGED;
SELECT DISTINCT relpersistence FROM pg_class WHERE relname ~ '^_hyper_1|^m$';
ALTER TABLE _timescaledb_internal._materialized_hypertable_2 SET UNLOGGED;
ALTER TABLE _timescaledb_internal._materialized_hypertable_3 SET UNLOGGED;
SELECT format('ALTER TABLE %s SET UNLOGGED', chunk) FROM show_chunks('v') chunk LIMIT 1 \gexec
ALTER MATERIALIZED VIEW v SET UNLOGGED;
ALTER MATERIALIZED VIEW v SET LOGGED;
CREATE UNLOGGED TABLE part PARTITION OF m FOR VALUES FROM ('2025-01-01') TO ('2025-01-02');
CREATE UNLOGGED TABLE part (LIKE m);
ALTER TABLE m ATTACH PARTITION part FOR VALUES FROM ('2025-01-01') TO ('2025-01-02');
CALL attach_chunk('m', 'part', '{"time": ["2025-01-01", "2025-01-02"]}');
ALTER TABLE part SET LOGGED;
ALTER TABLE m ATTACH PARTITION part FOR VALUES FROM ('2025-01-01') TO ('2025-01-02');
ALTER TABLE part SET UNLOGGED;
ALTER TABLE names SET UNLOGGED;
CREATE TABLE n (time timestamptz NOT NULL);
SELECT create_hypertable('n', 'time');
INSERT INTO n VALUES ('2024-01-01');
ALTER TABLE n SET UNLOGGED;
SELECT DISTINCT relpersistence FROM pg_class WHERE relname ~ '^_hyper_4|^n$';

-- Who reads would see other rows than who has computed.
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
ALTER TABLE names ENABLE ROW LEVEL SECURITY;
ALTER TABLE sites ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE n ENABLE ROW LEVEL SECURITY;
ALTER TABLE _timescaledb_internal._materialized_hypertable_2 ENABLE ROW LEVEL SECURITY;
ALTER MATERIALIZED VIEW v ENABLE ROW LEVEL SECURITY;
SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY 1;
ALTER TABLE sites DISABLE ROW LEVEL SECURITY;
CREATE TABLE secured (id int);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE MATERIALIZED VIEW x WITH (tsdb.continuous) AS
SELECT time_bucket('1 day', time) AS day, count(*) FROM m, LATERAL (SELECT * FROM secured WHERE id = m.name) s GROUP BY 1;
DROP MATERIALIZED VIEW w, v;
ALTER TABLE m SET UNLOGGED;
ALTER TABLE m ENABLE ROW LEVEL SECURITY;
ALTER TABLE names ENABLE ROW LEVEL SECURITY;
SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY 1;
