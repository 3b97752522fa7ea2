-- Rows are put in order in memory, or on disk beyond maintenance_work_mem: either way batches hold them sorted by (segmentby, orderby),
-- and they are the rows that were there, whatever their types, NULLs, ties and order of arrival.
CREATE EXTENSION timescale_compat;
SET timezone TO 'UTC';
SET max_parallel_workers_per_gather = 0;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE plain (gone int, time timestamptz NOT NULL, host text, site int2, flag bool, seq float8, low real, note text COLLATE "C", num numeric,
    id uuid, span interval, label name, feeling mood, two pair, list int[], doc jsonb, doubled float8 GENERATED ALWAYS AS (seq * 2) STORED, v bigint);
ALTER TABLE plain DROP COLUMN gone;
-- Texts of every length: short ones, compressed ones, and those that are kept out of line.
INSERT INTO plain (time, host, site, flag, seq, low, note, num, id, span, label, feeling, two, list, doc, v)
SELECT '2026-01-01'::timestamptz + (n * 7919 % 2000) * interval '1 s',
    CASE WHEN n % 40 = 0 THEN NULL WHEN n % 3 = 0 THEN 'small_' || n % 700 ELSE 'large_' || n % 2 END,
    CASE WHEN n % 11 = 0 THEN NULL ELSE n % 5 - 2 END, CASE WHEN n % 13 = 0 THEN NULL ELSE n % 2 = 0 END,
    CASE WHEN n % 17 = 0 THEN NULL WHEN n % 19 = 0 THEN 'NaN'::float8 WHEN n % 23 = 0 THEN '-0' WHEN n % 29 = 0 THEN '-inf' ELSE n % 50 - 20 END,
    CASE WHEN n % 17 = 1 THEN NULL WHEN n % 19 = 1 THEN 'NaN'::real ELSE (n % 70 - 30) / 4.0 END,
    CASE WHEN n % 4 = 0 THEN NULL WHEN n % 500 = 1 THEN repeat(md5(n::text), 300) WHEN n % 100 = 2 THEN repeat('x', 5000) || n % 10 ELSE 'note ' || n % 90 END,
    CASE WHEN n % 31 = 0 THEN NULL WHEN n % 37 = 0 THEN 'NaN'::numeric ELSE (n % 1000 - 500) / 100.0 END, md5((n % 300)::text)::uuid, n % 77 * interval '1 hour',
    'label ' || n % 9, (ARRAY['sad', 'ok', 'happy', NULL])[n % 4 + 1]::mood, CASE WHEN n % 6 = 0 THEN NULL ELSE (n, 'b' || n)::pair END,
    ARRAY[n, NULL, n + 1], jsonb_build_object('n', n, 's', repeat('y', n % 50)), n
FROM generate_series(1, 6000) n;

CREATE PROCEDURE check_order(segmentby text, orderby text) LANGUAGE plpgsql AS $$
DECLARE
    memory text;
    part regclass;
    keys text := concat_ws(', ', nullif(segmentby, ''), orderby);
    names text := regexp_replace(keys, ' (ASC|DESC|NULLS FIRST|NULLS LAST)', '', 'g');
    other bigint; lost bigint; found bigint; round int;
BEGIN
    FOREACH memory IN ARRAY ARRAY['64MB', '1MB'] LOOP
        PERFORM set_config('maintenance_work_mem', memory, false);
        CREATE TABLE hyper (LIKE plain INCLUDING GENERATED);
        ALTER TABLE hyper ADD COLUMN late int DEFAULT 5;
        PERFORM create_hypertable('hyper', 'time', chunk_time_interval => interval '1 day');
        EXECUTE format('ALTER TABLE hyper SET (timescaledb.compress, timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L)', segmentby, orderby);
        ALTER TABLE hyper ADD COLUMN dropped text DEFAULT 'gone';
        INSERT INTO hyper (time, host, site, flag, seq, low, note, num, id, span, label, feeling, two, list, doc, v)
            SELECT time, host, site, flag, seq, low, note, num, id, span, label, feeling, two, list, doc, v FROM plain;
        ALTER TABLE hyper DROP COLUMN dropped;
        SELECT show_chunks('hyper') INTO part;
        COMMIT;
        -- From the heap; then from batches and the heap; then with rows of this transaction, into the old table, in which there is room
        -- between batches.
        FOR round IN 1..3 LOOP
            IF round > 1 THEN
                INSERT INTO hyper (time, host, site, flag, seq, low, note, num, id, span, label, feeling, two, list, doc, v)
                    SELECT time, host, site, flag, seq, low, note, num, id, span, label, feeling, two, list, doc, v FROM plain WHERE v % 2 = 0;
                IF round = 2 THEN
                    COMMIT;
                END IF;
                PERFORM compress_chunk(part, recompress => true);
            ELSE
                PERFORM compress_chunk(part);
            END IF;
            EXECUTE format($q$
                WITH stored AS (SELECT row_number() OVER () AS place, * FROM %1$s), sorted AS (SELECT row_number() OVER (ORDER BY %2$s) AS place, * FROM %1$s)
                SELECT count(*) FROM (SELECT place, %3$s FROM stored EXCEPT SELECT place, %3$s FROM sorted) d $q$, part, keys, names) INTO other;
            SELECT count(*) INTO found FROM hyper;
            SELECT count(*) INTO lost FROM (
                SELECT time, host, site, flag, seq, low, note, num, id, span, label, feeling, two::text, list, doc, doubled, v, 5 FROM plain
                EXCEPT SELECT time, host, site, flag, seq, low, note, num, id, span, label, feeling, two::text, list, doc, doubled, v, late FROM hyper) d;
            RAISE NOTICE '% | % | round %: % rows, % out of order, % lost', keys, memory, round, found, CASE WHEN round < 3 THEN other END, lost;
        END LOOP;
        DROP TABLE hyper;
    END LOOP;
END $$;
CALL check_order('host, site', 'seq DESC NULLS LAST, time');
CALL check_order('host', 'seq, v DESC');
CALL check_order('', 'time DESC');
CALL check_order('', 'note NULLS FIRST, time');
CALL check_order('feeling, flag', 'num DESC NULLS FIRST, span, v');
CALL check_order('id', 'low DESC, label, v');
CALL check_order('label', 'flag NULLS FIRST, feeling DESC, v');
CALL check_order('note', 'id DESC, site');
-- As many segments as rows.
CALL check_order('v', 'time');
