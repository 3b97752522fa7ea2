-- Conditions on one time are copied to the times that it is joined with.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;
SET TIME ZONE 'UTC';
SET datestyle = 'ISO, YMD';
SET max_parallel_workers_per_gather = 0;

CREATE TABLE a (time timestamptz NOT NULL, v int);
INSERT INTO a SELECT '2024-01-01'::timestamptz + i * interval '6 hours', i FROM generate_series(0, 39) i;
CREATE TABLE b AS TABLE a;
CREATE TABLE c AS TABLE a;
SELECT table_name FROM create_hypertable('a', 'time', chunk_time_interval => interval '1 day', migrate_data => true);
SELECT table_name FROM create_hypertable('b', 'time', chunk_time_interval => interval '1 day', migrate_data => true);
SELECT table_name FROM create_hypertable('c', 'time', chunk_time_interval => interval '1 day', migrate_data => true);

CREATE FUNCTION scans(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; found text[]; removed int := 0;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        found := found || substring(line FROM 'chunk (\w+)');
        found := found || substring(line FROM 'chunk$');
        removed := removed + coalesce(substring(line FROM 'Subplans Removed: (\d+)')::int, 0);
    END LOOP;
    RETURN (SELECT string_agg(n || ' of ' || coalesce(t, '?'), ', ' ORDER BY t)
        FROM (SELECT regexp_replace(f, '_\d+$', '') t, count(*) n FROM unnest(found) f WHERE f IS NOT NULL GROUP BY 1) x)
        || CASE removed WHEN 0 THEN '' ELSE ', removed ' || removed END;
END $$;

SELECT scans($$SELECT * FROM a JOIN b ON a.time = b.time WHERE a.time >= '2024-01-09'$$);
SELECT scans($$SELECT * FROM a, b, c WHERE a.time = b.time AND c.time = b.time AND a.time >= '2024-01-09' AND c.time < '2024-01-10'$$);
SELECT scans($$SELECT * FROM a JOIN b USING (time) WHERE time >= '2024-01-09'$$);
SELECT scans($$SELECT * FROM a JOIN (SELECT * FROM b) s ON a.time = s.time WHERE time_bucket('1 day', a.time) = '2024-01-09'$$);
SELECT scans($$SELECT * FROM a LEFT JOIN b ON a.time = b.time WHERE a.time >= '2024-01-09'$$);
SELECT scans($$SELECT * FROM a RIGHT JOIN b ON a.time = b.time WHERE b.time >= '2024-01-09'$$);
SELECT scans($$SELECT * FROM a LEFT JOIN b ON a.time = b.time AND a.time >= '2024-01-09'$$);
-- No condition on the other side: rows without a partner stay.
SELECT scans($$SELECT * FROM a LEFT JOIN b ON a.time = b.time AND b.time >= '2024-01-09'$$);
SELECT scans($$SELECT * FROM a FULL JOIN b ON a.time = b.time WHERE a.time >= '2024-01-09'$$);
SELECT scans($$SELECT * FROM a JOIN b ON a.time = b.time OR a.v = b.v WHERE a.time >= '2024-01-09'$$);
SELECT count(*), count(b.time) FROM a LEFT JOIN b ON a.time = b.time AND b.time >= '2024-01-09';
SELECT count(*), count(b.time) FROM a LEFT JOIN b ON a.time = b.time AND a.time >= '2024-01-09';
SELECT count(*), count(b.time) FROM a LEFT JOIN (b JOIN c USING (time)) ON a.time = b.time WHERE a.time >= '2024-01-09' AND a.v % 2 = 0;
-- Off.
SET timescaledb.enable_qual_propagation = off;
SELECT scans($$SELECT * FROM a JOIN b ON a.time = b.time WHERE a.time >= '2024-01-09'$$);
