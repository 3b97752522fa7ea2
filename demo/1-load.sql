\echo
\echo '════ 1. Two hypertables, loaded by COPY'
\echo
\echo 'Every flight that left New York in 2013, and what the weather stations of its three airports measured each hour.'
\echo 'An ordinary table becomes a hypertable: it is cut into chunks of about a month, which appear as the rows come in.'
\echo

CREATE EXTENSION timescale_compat;

CREATE TABLE flights (
    time      timestamptz NOT NULL,
    carrier   text NOT NULL,
    flight    int NOT NULL,
    tailnum   text,
    origin    text NOT NULL,
    dest      text NOT NULL,
    dep_delay real,
    arr_delay real,
    air_time  real,
    distance  real
);

SELECT * FROM create_hypertable('flights', by_range('time', INTERVAL '1 month'));

CREATE TABLE weather (
    time       timestamptz NOT NULL,
    origin     text NOT NULL,
    temp       real,
    humid      real,
    wind_speed real,
    precip     real,
    pressure   real,
    visib      real
);

SELECT * FROM create_hypertable('weather', by_range('time', INTERVAL '1 month'));
CREATE INDEX ON weather (origin, time DESC);

CREATE TABLE airlines (carrier text PRIMARY KEY, name text NOT NULL);
CREATE TABLE airports (faa text PRIMARY KEY, name text, lat real, lon real, alt real, tz real, dst text, tzone text);

\timing on
\echo '\\copy flights FROM flights.csv CSV HEADER NULL ''NA'''
\copy flights FROM 'flights.csv' CSV HEADER NULL 'NA'
\echo '\\copy weather FROM weather.csv CSV HEADER NULL ''NA'''
\copy weather FROM 'weather.csv' CSV HEADER NULL 'NA'
\timing off
\copy airlines FROM 'airlines.csv' CSV HEADER
\copy airports FROM 'airports.csv' CSV HEADER NULL 'NA'
ANALYZE;

\echo
SELECT (SELECT count(*) FROM flights) AS flights, (SELECT count(*) FROM weather) AS weather,
       (SELECT count(*) FROM show_chunks('flights')) AS chunks_of_flights,
       pg_size_pretty(hypertable_size('flights')) AS size_of_flights;
