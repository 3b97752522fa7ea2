-- Foreign keys between hypertables, while chunks of either are merged, split and dropped.
CREATE EXTENSION timescale_compat;
\pset format unaligned
CREATE TABLE p(t int not null, primary key(t));
SELECT created FROM create_hypertable('p','t',chunk_time_interval=>10);
CREATE TABLE c(t int not null, pt int references p, x int);
SELECT created FROM create_hypertable('c','t','x',2,chunk_time_interval=>10);
INSERT INTO p SELECT generate_series(0,39);
INSERT INTO c SELECT g, g, g FROM generate_series(0,39) g;
CALL merge_chunks('_timescaledb_internal._hyper_1_1_chunk', '_timescaledb_internal._hyper_1_2_chunk');
CALL split_chunk('_timescaledb_internal._hyper_1_1_chunk', 4);
CALL merge_chunks('_timescaledb_internal._hyper_2_5_chunk', '_timescaledb_internal._hyper_2_7_chunk');
CALL split_chunk('_timescaledb_internal._hyper_2_5_chunk', 4);
INSERT INTO c VALUES (5, 999, 1);
INSERT INTO c VALUES (35, 3, 1), (3,36,2), (13, 15, 1);
DELETE FROM p WHERE t = 3;
DELETE FROM p WHERE t = 15;
DELETE FROM p WHERE t = 36;
SELECT drop_chunks('p', 4);
SELECT count(*) FROM drop_chunks('c', 100);
SELECT count(*) FROM drop_chunks('p', 100);
SELECT count(*) FROM pg_constraint WHERE conrelid::regclass::text ~ '_hyper_';
SELECT conname, conrelid::regclass, confrelid::regclass FROM pg_constraint WHERE contype = 'f';
INSERT INTO p VALUES (1);INSERT INTO c VALUES (1,1,1); INSERT INTO c VALUES (1,2,1);
-- Nothing is left behind.
DROP TABLE p, c;
SELECT count(*) FROM pg_class WHERE relname ~ '_hyper_';
