-- create_hypertable in both forms, on every type of time column.
SET client_min_messages = notice;
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';

-- The old form, with its row.
CREATE TABLE conditions (time timestamptz, device text, temperature float8 DEFAULT 20, id serial, doubled float8 GENERATED ALWAYS AS (temperature * 2) STORED);
SELECT 'conditions'::regclass::oid AS before \gset
SELECT * FROM create_hypertable('conditions', 'time', chunk_time_interval => INTERVAL '1 day');
SELECT :before = 'conditions'::regclass::oid AS same_oid, relkind FROM pg_class WHERE oid = 'conditions'::regclass;
\d conditions
SELECT * FROM create_hypertable('conditions', 'time', if_not_exists => true);
-- The new form.
CREATE TABLE readings (time timestamptz NOT NULL, device int, value float8);
SELECT * FROM create_hypertable('readings', by_range('time', INTERVAL '1 month'));
SELECT * FROM add_dimension('readings', by_hash('device', 2));
INSERT INTO readings SELECT t, d, 1 FROM generate_series('2024-01-01'::timestamptz, '2024-03-01', '1 day') t, generate_series(1, 10) d;
SELECT i.inhparent::regclass AS parent, count(*), min(pg_get_expr(c.relpartbound, c.oid)) AS first_bound
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE c.relkind IN ('r', 'p') AND i.inhparent = 'readings'::regclass GROUP BY 1 ORDER BY 1;
SELECT count(*), count(DISTINCT tableoid) FROM readings;

-- Slices are aligned to the Unix epoch: weeks start on Thursdays.
CREATE TABLE t_tstz (t timestamptz NOT NULL);
CREATE TABLE t_ts (t timestamp NOT NULL);
CREATE TABLE t_date (t date NOT NULL);
CREATE TABLE t_int2 (t smallint NOT NULL);
CREATE TABLE t_int4 (t int NOT NULL);
CREATE TABLE t_int8 (t bigint NOT NULL);
CREATE TABLE t_uuid (t uuid NOT NULL);
SELECT create_hypertable(r, 't') FROM unnest('{t_tstz,t_ts,t_date,t_int2,t_int4,t_int8,t_uuid}'::regclass[]) r;
INSERT INTO t_tstz VALUES ('2024-01-03 12:00+00'), ('1969-12-31 23:00+00'), ('infinity'), ('-infinity');
INSERT INTO t_ts VALUES ('2024-01-03 12:00'), ('infinity'), ('-infinity');
INSERT INTO t_date VALUES ('2024-01-03'), ('1970-01-01'), ('1969-12-31'), ('infinity'), ('-infinity'), ('5874897-12-31'), ('4713-01-01 BC');
INSERT INTO t_int2 VALUES (0), (-1), (32767), (-32768), (9999), (10000);
INSERT INTO t_int4 VALUES (0), (-1), (2147483647), (-2147483648);
INSERT INTO t_int8 VALUES (0), (-1), (9223372036854775807), (-9223372036854775808);
INSERT INTO t_uuid VALUES (to_uuidv7('2024-01-03 12:00+00')), (to_uuidv7_boundary('2024-01-04 00:00+00')), (to_uuidv7('1970-01-01 00:00+00'));
SELECT i.inhparent::regclass AS hypertable, pg_get_expr(c.relpartbound, c.oid) AS bound
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent::regclass::text LIKE 't\_%' AND c.relkind = 'r' ORDER BY i.inhparent, c.oid;

-- Rows that are there already are moved.
CREATE TABLE old (time timestamptz, gone int, device int, note text, PRIMARY KEY (time, device)) WITH (fillfactor = 80);
ALTER TABLE old DROP COLUMN gone;
ALTER TABLE old ADD COLUMN added int DEFAULT 42;
INSERT INTO old SELECT t, d, repeat('x', d * 1000) FROM generate_series('2024-01-01'::timestamptz, '2024-01-31', '6 hours') t, generate_series(1, 5) d;
CREATE TABLE copy_of_old AS SELECT * FROM old;
CREATE VIEW over_old AS SELECT device, count(*) FROM old GROUP BY device;
SELECT * FROM create_hypertable('old', 'time', 'device', 3, chunk_time_interval => INTERVAL '1 week', migrate_data => true);
SELECT count(*), count(DISTINCT tableoid) FROM old;
SELECT count(*) FROM (TABLE old EXCEPT ALL TABLE copy_of_old) x;
SELECT count(*) FROM (TABLE copy_of_old EXCEPT ALL TABLE old) x;
SELECT * FROM over_old ORDER BY 1 LIMIT 2;
SELECT DISTINCT reloptions FROM pg_class WHERE relname ~ '^_hyper_.*chunk$' AND reloptions IS NOT NULL;
INSERT INTO old VALUES ('2024-01-01', 1, 'again') ON CONFLICT DO NOTHING;
INSERT INTO old VALUES ('2024-01-01', 1, 'again') ON CONFLICT (time, device) DO UPDATE SET note = excluded.note RETURNING device, note;

-- A time partitioning function.
CREATE FUNCTION unix_to_time(bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS 'SELECT to_timestamp($1)';
CREATE TABLE events (at bigint NOT NULL, what text);
SELECT created FROM create_hypertable('events', 'at', chunk_time_interval => INTERVAL '1 day', time_partitioning_func => 'unix_to_time');
INSERT INTO events VALUES (0, 'epoch'), (86399, 'same day'), (86400, 'next day');
COPY events FROM STDIN (FORMAT csv);
172800,third day
\.
SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'events'::regclass ORDER BY c.oid;

-- Other schema and prefix, no default indexes.
CREATE SCHEMA elsewhere;
CREATE TABLE named (time timestamptz NOT NULL);
SELECT created FROM create_hypertable('named', 'time', associated_schema_name => 'elsewhere', associated_table_prefix => 'piece', create_default_indexes => false);
INSERT INTO named VALUES ('2024-01-01');
SELECT tableoid::regclass::text ~ '^elsewhere.piece_[0-9]+_chunk$' AS named FROM named;
\d named

-- Adopting a partitioned table: its partitions are chunks, new ones fit between them.
CREATE TABLE parted (time timestamptz, v int) PARTITION BY RANGE (time);
CREATE TABLE parted_jan PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE parted_mar PARTITION OF parted FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
INSERT INTO parted VALUES ('2024-01-10', 1), ('2024-03-10', 3);
SELECT created FROM create_hypertable('parted', 'time', chunk_time_interval => INTERVAL '60 days');
INSERT INTO parted VALUES ('2024-02-10', 2), ('2024-01-11', 1), ('2024-05-10', 5);
SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'parted'::regclass AND c.relkind = 'r' ORDER BY 1;
SELECT v, count(*) FROM parted GROUP BY v ORDER BY v;

-- Dimensions change for new slices only.
SELECT set_chunk_time_interval('conditions', INTERVAL '2 days');
INSERT INTO conditions (time) VALUES ('2024-01-01'), ('2024-01-02');
SELECT set_chunk_time_interval('conditions', 3600000000);
INSERT INTO conditions (time) VALUES ('2024-01-03 23:30'), ('2024-01-04 00:30');
SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'conditions'::regclass AND c.relkind = 'r' ORDER BY c.oid;
CREATE FUNCTION now_int() RETURNS int LANGUAGE sql STABLE AS 'SELECT 100';
SELECT set_integer_now_func('t_int4', 'now_int');
SELECT set_integer_now_func('t_int4', 'now_int', replace_if_exists => true);
SELECT column_name, integer_interval, integer_now_func FROM timescaledb_information.dimensions WHERE hypertable_name = 't_int4';
-- The setting for new hypertables.
CREATE TABLE by_setting (time timestamptz NOT NULL);
SET timescaledb.default_chunk_time_interval = '3 days';
SELECT created FROM create_hypertable('by_setting', 'time');
SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = 'by_setting';
CREATE TABLE by_nonsense (time timestamptz NOT NULL);
SET timescaledb.default_chunk_time_interval = '-1 day';
SELECT create_hypertable('by_nonsense', 'time');
SET timescaledb.default_chunk_time_interval = '200000000 years';
SELECT create_hypertable('by_nonsense', 'time');
