-- What is chosen for who sets nothing.
CREATE EXTENSION timescale_compat;
SET timezone = 'UTC';
\pset format unaligned
\pset tuples_only
CREATE FUNCTION chosen(hypertable regclass) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(E'\n', s - 'message', s ->> 'message', o - 'message', o ->> 'message')
    FROM (SELECT _timescaledb_functions.get_segmentby_defaults(hypertable) AS s) s, LATERAL (SELECT
        _timescaledb_functions.get_orderby_defaults(hypertable, ARRAY(SELECT jsonb_array_elements_text(s -> 'columns'))) AS o) o $$;

-- Metrics of hosts, with an index on host and time.
CREATE TABLE cpu (time timestamptz NOT NULL, hostname text, region text, usage_user float8, usage_system float8, n int);
SELECT FROM create_hypertable('cpu', 'time');
SELECT chosen('cpu');
CREATE INDEX ON cpu (region, time DESC);
CREATE INDEX ON cpu (hostname, time DESC);
INSERT INTO cpu SELECT t, 'host_' || h, 'region_' || h % 3, h, h, h FROM generate_series('2024-01-01'::timestamptz, '2024-01-01 05:00', '1 minute') t, generate_series(1, 20) h;
SELECT chosen('cpu');
ANALYZE cpu;
SELECT chosen('cpu');

-- Sensors by primary key, either way round; a second unique column.
CREATE TABLE sensors (sensor_id int, time timestamptz NOT NULL, value float8, PRIMARY KEY (sensor_id, time));
SELECT FROM create_hypertable('sensors', 'time');
SELECT chosen('sensors');
INSERT INTO sensors SELECT s, t, 1 FROM generate_series(1, 1000) s, generate_series('2024-01-01'::timestamptz, '2024-01-01 01:00', '10 minutes') t;
SELECT chosen('sensors');
CREATE TABLE turned (time timestamptz NOT NULL, sensor_id uuid, kind text, value float8, UNIQUE (time, sensor_id, kind));
SELECT FROM create_hypertable('turned', 'time');
SELECT chosen('turned');
-- Numbers that say nothing of series.
CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY, u uuid DEFAULT gen_random_uuid(), s bigserial, time timestamptz NOT NULL, v int, PRIMARY KEY (id, time), UNIQUE (u, time), UNIQUE (s, time));
SELECT FROM create_hypertable('numbered', 'time');
SELECT chosen('numbered');
CREATE TABLE loose (id bigint, time timestamptz NOT NULL, PRIMARY KEY (id, time));
SELECT FROM create_hypertable('loose', 'time');
INSERT INTO loose SELECT g, '2024-01-01'::timestamptz + g * interval '1 second' FROM generate_series(1, 2000) g;
SELECT chosen('loose');

-- Events without an index.
CREATE TABLE events (time timestamptz NOT NULL, kind text, user_id int, country text, amount int, price numeric, seen date, note text, data jsonb);
SELECT FROM create_hypertable('events', 'time', create_default_indexes => false);
SELECT chosen('events');
INSERT INTO events SELECT '2024-01-01'::timestamptz + g * interval '1 second', 'kind ' || g % 2, g % 30, 'country ' || g % 30 / 3, g % 50, g % 40, '2024-01-01', md5(g::text), '{}'
    FROM generate_series(1, 20000) g;
SELECT chosen('events');
ANALYZE events;
SELECT chosen('events');
-- Two labels that are independent of each other.
CREATE TABLE points (time timestamptz NOT NULL, device text, metric text, device_model text, value float8);
SELECT FROM create_hypertable('points', 'time', create_default_indexes => false);
INSERT INTO points SELECT t, 'd' || d, 'm' || m, 'x' || d % 5, 1 FROM generate_series('2024-01-01'::timestamptz, '2024-01-01 04:00', '1 minute') t, generate_series(1, 10) d, generate_series(1, 4) m;
SELECT chosen('points');

-- One series.
CREATE TABLE single (time timestamptz NOT NULL, value float8, state int);
SELECT FROM create_hypertable('single', 'time');
INSERT INTO single SELECT t, 1, 2 FROM generate_series('2024-01-01'::timestamptz, '2024-01-02', '1 minute') t;
SELECT chosen('single');

-- Zabbix.
CREATE TABLE history (itemid bigint NOT NULL, clock integer DEFAULT '0' NOT NULL, value double precision DEFAULT '0.0000' NOT NULL, ns integer DEFAULT '0' NOT NULL, PRIMARY KEY (itemid, clock, ns));
SELECT FROM create_hypertable('history', 'clock', chunk_time_interval => 86400);
INSERT INTO history SELECT i, 1700000000 + c * 60, 1, i * c FROM generate_series(1, 100) i, generate_series(1, 60) c;
SELECT chosen('history');

-- An index without time, and a hash dimension.
CREATE TABLE tagged (time timestamptz NOT NULL, tag text, other text);
SELECT FROM create_hypertable('tagged', 'time');
CREATE INDEX ON tagged (other);
CREATE INDEX ON tagged (tag, other);
INSERT INTO tagged SELECT '2024-01-01'::timestamptz + g * interval '1 second', g % 50, g % 7 FROM generate_series(1, 5000) g;
SELECT chosen('tagged');
SELECT FROM add_dimension('tagged', by_hash('other', 2));
SELECT chosen('tagged');

-- What chunks are compressed with: said and chosen settings together.
CREATE FUNCTION used(hypertable regclass) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' | ', coalesce(segmentby, '-'), orderby) FROM timescaledb_information.chunk_columnstore_settings c WHERE c.hypertable = $1 ORDER BY chunk $$;
CREATE PROCEDURE press(hypertable regclass) LANGUAGE sql AS $$ SELECT compress_chunk(c, recompress => true) FROM show_chunks(hypertable) c; $$;
ALTER TABLE cpu SET (timescaledb.compress);
CALL press('cpu');
SELECT used('cpu');
-- Once chosen, the choice stays, whatever the rows that come later suggest.
INSERT INTO cpu SELECT '2024-01-01 12:00', 'other ' || g, 'r', 1, 1, 1 FROM generate_series(1, 3) g;
CALL press('cpu');
SELECT used('cpu');
SELECT decompress_chunk(c) IS NULL FROM show_chunks('cpu') c;
ALTER TABLE cpu SET (timescaledb.orderby = 'time');
CALL press('cpu');
SELECT used('cpu');
ALTER TABLE cpu SET (timescaledb.orderby = 'region, time');
CALL press('cpu');
SELECT used('cpu');
ALTER TABLE cpu SET (timescaledb.segmentby = '');
ALTER TABLE cpu RESET (timescaledb.orderby);
CALL press('cpu');
SELECT used('cpu');
ALTER TABLE cpu SET (timescaledb.segmentby = 'region, n', timescaledb.orderby = 'usage_user');
CALL press('cpu');
SELECT used('cpu');
