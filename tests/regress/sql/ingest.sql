-- Chunks appear by themselves, whatever the statement.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE TABLE m (time timestamptz NOT NULL, device int, v float8 DEFAULT 1, PRIMARY KEY (time, device));
SELECT created FROM create_hypertable('m', 'time', chunk_time_interval => INTERVAL '1 day');
CREATE FUNCTION chunks() RETURNS bigint LANGUAGE sql AS $$SELECT count(*) FROM show_chunks('m')$$;

EXPLAIN (COSTS OFF) INSERT INTO m VALUES ('2024-01-01', 1);
EXPLAIN (VERBOSE, COSTS OFF) INSERT INTO m (time, device) VALUES ('2024-01-01', 1), ('2024-01-02', 1);
SELECT chunks();
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO m (time, device) VALUES ('2024-01-01', 1), ('2024-01-02', 1);
INSERT INTO m SELECT t, 2 FROM generate_series('2024-01-03'::timestamptz, '2024-01-10', '12 hours') t;
-- From itself, the statement reading what it writes.
INSERT INTO m SELECT time + INTERVAL '1 month', device FROM m;
SELECT chunks(), count(*) FROM m;
PREPARE ins(timestamptz, int) AS INSERT INTO m VALUES ($1, $2) RETURNING tableoid::regclass = (SELECT max(c) FROM show_chunks('m') c) AS newest, time;
SET plan_cache_mode = force_generic_plan;
EXECUTE ins('2024-06-01', 1); EXECUTE ins('2024-06-02', 1); EXECUTE ins('2024-06-01 01:00', 1);
INSERT INTO m VALUES ('2024-06-01', 1) ON CONFLICT DO NOTHING;
INSERT INTO m VALUES ('2024-06-01', 1, 5), ('2024-06-03', 1, 5) ON CONFLICT (time, device) DO UPDATE SET v = excluded.v RETURNING *;
WITH moved AS (DELETE FROM m WHERE time >= '2024-06-01' RETURNING *) INSERT INTO m SELECT time + INTERVAL '1 month', device, v FROM moved;
WITH a AS (INSERT INTO m VALUES ('2024-09-01', 1) RETURNING time), b AS (INSERT INTO m VALUES ('2024-09-02', 1) RETURNING time)
    INSERT INTO m SELECT time + INTERVAL '10 days', 1 FROM a UNION ALL SELECT time + INTERVAL '10 days', 1 FROM b;
SELECT time FROM m WHERE time > '2024-08-01' ORDER BY 1;
-- UPDATE and MERGE move and make rows where no chunk is.
UPDATE m SET time = time + INTERVAL '1 year' WHERE time > '2024-08-01';
SELECT time FROM m WHERE time > '2024-08-01' ORDER BY 1;
MERGE INTO m USING (VALUES ('2026-01-01'::timestamptz, 1), ('2025-09-01', 1), ('2026-01-02', 2)) s(t, d) ON m.time = s.t AND m.device = s.d
    WHEN MATCHED THEN UPDATE SET time = m.time + INTERVAL '3 years'
    WHEN NOT MATCHED AND s.d = 1 THEN INSERT (time, device) VALUES (s.t + INTERVAL '1 day', s.d)
    WHEN NOT MATCHED THEN DO NOTHING;
SELECT time FROM m WHERE time > '2025-09-02' ORDER BY 1;
-- A rolled back savepoint takes its chunks with it.
SELECT chunks() AS before \gset
BEGIN;
SAVEPOINT s; INSERT INTO m VALUES ('2030-01-01', 1); SELECT chunks() - :before AS more; ROLLBACK TO s;
SELECT chunks() - :before AS more;
INSERT INTO m VALUES ('2030-01-01', 2);
SAVEPOINT s; INSERT INTO m VALUES ('2030-01-02', 1); RELEASE s;
COMMIT;
SELECT chunks() - :before AS more;
DO $$
DECLARE r record;
BEGIN
    -- a cursor over the table that is written
    FOR r IN SELECT * FROM m WHERE time < '2024-01-05' ORDER BY time, device LOOP
        INSERT INTO m VALUES (r.time - INTERVAL '10 years', r.device);
        BEGIN
            INSERT INTO m VALUES (r.time - INTERVAL '20 years', r.device);
            RAISE EXCEPTION 'undo';
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
    END LOOP;
END $$;
SELECT count(*), count(DISTINCT tableoid) FROM m WHERE time < '2020-01-01';
-- Triggers that insert into the same table, rows and constraints reach new chunks.
CREATE TABLE log (op text, t timestamptz);
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log VALUES (TG_WHEN || ' ' || TG_OP, NEW.time);
    IF NEW.device < 100 THEN INSERT INTO m VALUES (NEW.time + INTERVAL '5 years', NEW.device + 100); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER before_row BEFORE INSERT ON m FOR EACH ROW WHEN (NEW.device = 50) EXECUTE FUNCTION echo();
CREATE TRIGGER after_row AFTER INSERT ON m FOR EACH ROW WHEN (NEW.device = 51) EXECUTE FUNCTION echo();
ALTER TABLE m ADD CONSTRAINT sane CHECK (v < 1000);
INSERT INTO m VALUES ('2040-01-01', 50), ('2041-01-01', 51);
COPY m FROM STDIN (FORMAT csv);
2042-01-01,50,1
2043-01-01,51,1
2042-01-01,1,1
\.
SELECT * FROM log ORDER BY t;
SELECT time, device FROM m WHERE time > '2039-01-01' ORDER BY 1, 2;
INSERT INTO m VALUES ('2050-01-01', 1, 5000);
DROP TRIGGER before_row ON m; DROP TRIGGER after_row ON m;

-- COPY: formats, columns, WHERE, errors with their line.
COPY m (device, time) FROM STDIN;
7	2060-01-01
7	2060-01-03
\.
COPY m FROM STDIN (FORMAT csv, HEADER) WHERE device = 8;
time,device,v
2060-01-01,8,1
2060-01-05,9,1
2060-01-06,8,1
\.
COPY m FROM STDIN (FORMAT csv);
2061-01-01,1,1
2061-01-02,1,5000
\.
COPY m FROM STDIN (FORMAT csv);
2061-01-01,1,1
2061-01-02,1,x
\.
COPY m FROM STDIN (FORMAT csv);
2060-01-01,7,1
\.
COPY m FROM STDIN (FORMAT csv, NULL '');
,7,1
\.
COPY m FROM STDIN (FORMAT csv, FREEZE);
\.
SELECT chunks() - (SELECT chunks()) AS unchanged, time, device FROM m WHERE time >= '2060-01-01' ORDER BY 2, 3;
COPY (SELECT * FROM m WHERE time >= '2060-01-01' ORDER BY time, device) TO STDOUT (FORMAT csv);
CREATE TABLE one (time timestamptz NOT NULL, "odd name" int, g int GENERATED ALWAYS AS ("odd name" * 2) STORED);
SELECT created FROM create_hypertable('one', 'time');
INSERT INTO one VALUES ('2024-01-01', 1), ('2025-01-01', 2);
COPY one TO STDOUT;
COPY one ("odd name") TO STDOUT;
TRUNCATE m;
SELECT count(*) FROM m;
-- The same through updatable views and rules of views.
CREATE VIEW recent AS SELECT * FROM m WHERE device > 0 WITH CHECK OPTION;
INSERT INTO recent VALUES ('2070-01-01', 1);
INSERT INTO recent VALUES ('2070-02-01', -1);
SELECT * FROM recent;
-- Foreign keys both ways reach chunks that are made later.
CREATE TABLE devices (id int PRIMARY KEY);
INSERT INTO devices VALUES (1), (2);
ALTER TABLE m ADD FOREIGN KEY (device) REFERENCES devices ON DELETE CASCADE;
CREATE TABLE notes (time timestamptz, device int, note text, FOREIGN KEY (time, device) REFERENCES m);
INSERT INTO m VALUES ('2080-01-01', 1), ('2081-01-01', 2);
INSERT INTO m VALUES ('2082-01-01', 3);
INSERT INTO notes VALUES ('2080-01-01', 1, 'fine');
INSERT INTO notes VALUES ('2090-01-01', 1, 'no such row');
DELETE FROM m WHERE time = '2080-01-01';
DELETE FROM devices WHERE id = 2;
SELECT time, device FROM m ORDER BY 1;
