-- COPY into compressed chunks with unique keys: rows wait for each other in buffers, and are compared with batches before they do.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
CREATE TABLE m (time timestamptz NOT NULL, dev int NOT NULL, v float8, note text, UNIQUE (dev, time));
SELECT FROM create_hypertable('m', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE m SET (timescaledb.compress, timescaledb.segmentby = 'dev');
INSERT INTO m SELECT '2026-01-01'::timestamptz + i * interval '2 s', i % 3, i, 'note ' || i % 5 FROM generate_series(0, 20000) i;
SELECT count(compress_chunk(c)) FROM show_chunks('m') c;
-- How many rows are in the heaps of chunks and in batches.
CREATE FUNCTION parts(OUT heap bigint, OUT columnar bigint, OUT seen bigint) LANGUAGE plpgsql AS $$
DECLARE chunk regclass; batches regclass; rows bigint;
BEGIN
    SELECT 0, 0 INTO heap, columnar;
    FOR chunk, batches IN SELECT c, p.batches FROM show_chunks('m') c LEFT JOIN _timescaledb_config.columnar_chunk p ON p.relid = c LOOP
        EXECUTE format('SELECT count(*) FROM ONLY %s', chunk) INTO rows;
        heap := heap + rows;
        IF batches IS NOT NULL THEN
            EXECUTE format('SELECT coalesce(sum(_ts_meta_count), 0) FROM %s', batches) INTO rows;
            columnar := columnar + rows;
        END IF;
    END LOOP;
    SELECT count(*) INTO seen FROM m;
END $$;
SELECT * FROM parts();

-- Rows between those of batches: nothing is moved.
COPY (SELECT '2026-01-01 00:00:01'::timestamptz + i * interval '2 s', i % 3, i, 'new' FROM generate_series(0, 4999) i) TO PROGRAM 'cat > columnar_copy_unique.tsv';
COPY m FROM 'columnar_copy_unique.tsv';
SELECT * FROM parts();
-- The same again: they wait for each other, and the first conflicts with what is there.
COPY m FROM 'columnar_copy_unique.tsv';
SELECT * FROM parts();
-- The last of many rows conflicts with a batch: none of them comes in, and no batch is moved for good.
COPY (SELECT * FROM (SELECT '2026-01-01 00:00:01.5'::timestamptz + i * interval '2 s', i % 3, i, 'x' FROM generate_series(0, 2999) i
    UNION ALL SELECT '2026-01-01 00:00:06', 0, -1, 'in a batch') x) TO PROGRAM 'cat > columnar_copy_unique.tsv';
COPY m FROM 'columnar_copy_unique.tsv';
SELECT * FROM parts();
-- Two rows of one COPY conflict with each other while they wait.
COPY m FROM STDIN;
2026-01-01 00:00:01.25	5	1	a
2026-01-01 00:00:03.25	5	2	b
2026-01-01 00:00:01.25	5	3	c
\.
SELECT * FROM parts();
-- A batch that was moved, by a transaction that was rolled back, is found again; so is a row that the same transaction moved.
BEGIN;
SAVEPOINT s;
UPDATE m SET v = -1 WHERE dev = 0 AND time = '2026-01-01 00:00:06';
COPY m FROM STDIN;
2026-01-01 00:00:06	0	1	moved
\.
ROLLBACK TO s;
SELECT * FROM parts();
COPY m FROM STDIN;
2026-01-01 00:00:06.75	0	1	no conflict
\.
SAVEPOINT t;
COPY m FROM STDIN;
2026-01-01 00:00:06	0	1	in a batch again
\.
ROLLBACK TO t;
-- The key is free when its row has been deleted.
DELETE FROM m WHERE dev = 0 AND time = '2026-01-01 00:00:06';
COPY m FROM STDIN;
2026-01-01 00:00:06	0	1	new
\.
SELECT * FROM m WHERE dev = 0 AND time >= '2026-01-01 00:00:06' AND time < '2026-01-01 00:00:07' ORDER BY time;
COMMIT;
-- Keys in generated columns, with NULLs, behind a trigger that changes them, and in several chunks.
TRUNCATE m;
ALTER TABLE m ADD g int GENERATED ALWAYS AS (dev / 10) STORED, ALTER dev DROP NOT NULL;
CREATE UNIQUE INDEX m_g ON m (g, note, time);
INSERT INTO m SELECT '2026-01-01'::timestamptz + i * interval '10 min', i % 30, i, 'n' FROM generate_series(0, 600) i;
SELECT count(compress_chunk(c)) FROM show_chunks('m') c;
COPY m (time, dev, v, note) FROM STDIN;
2026-01-01 00:10	\N	1	n
2026-01-01 00:10	\N	2	n
2026-01-03 00:10	22	1	n
2026-01-01 00:10	22	1	n
\.
COPY m (time, dev, v, note) FROM STDIN;
2026-01-03 00:10	22	1	n
2026-01-01 00:10	2	1	n
\.
CREATE FUNCTION shift() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.dev := new.dev - 1000; RETURN new; END $$;
CREATE TRIGGER shift BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION shift();
COPY m (time, dev, v, note) FROM STDIN;
2026-01-01 00:10	1022	1	fine
2026-01-01 00:10	1001	1	conflict
\.
SELECT count(*), count(*) FILTER (WHERE dev IS NULL) FROM m;
DROP TABLE m;
