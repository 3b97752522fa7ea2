\echo
\echo '════ 4. Compressed: the same table, stored by column'
\echo
\echo 'A question about every flight, and the size of the table, before.'
\echo
SELECT pg_size_pretty(hypertable_size('flights')) AS size_of_flights;
\timing on
SELECT carrier, count(*) AS flights, round(avg(arr_delay)::numeric, 1) AS avg_delay_min, round(avg(distance)) AS avg_miles
FROM flights GROUP BY carrier ORDER BY flights DESC LIMIT 3;
\timing off

\echo
\echo 'One option says that chunks may be compressed, another one that the flights of a carrier are to be kept together (else that is chosen'
\echo 'by indexes and contents). Then chunks are compressed, here all of them; usually only those that are old.'
\echo
ALTER TABLE flights SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'carrier');
\timing on
SELECT count(compress_chunk(chunk)) AS compressed_chunks FROM show_chunks('flights') AS chunk;
\timing off
SELECT pg_size_pretty(before_compression_total_bytes) AS before, pg_size_pretty(after_compression_total_bytes) AS after,
       round(before_compression_total_bytes::numeric / after_compression_total_bytes, 1) AS ratio
FROM hypertable_columnstore_stats('flights');

\echo
\echo 'The same question again, with the same answer.'
\echo
\timing on
SELECT carrier, count(*) AS flights, round(avg(arr_delay)::numeric, 1) AS avg_delay_min, round(avg(distance)) AS avg_miles
FROM flights GROUP BY carrier ORDER BY flights DESC LIMIT 3;
\timing off

\echo
\echo 'Of a batch, as many rows of a chunk as are stored together, only the columns that are asked for are read, and only if it can hold'
\echo 'what is looked for.'
\echo
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
SELECT max(dep_delay) FROM flights WHERE carrier = 'HA' AND time >= '2013-03-10' AND time < '2013-03-20';

\echo
\echo 'A compressed table is changed like any other. The rows that are stored with the one that changes go back into row form, until the'
\echo 'chunk is compressed again.'
\echo
\set QUIET off
UPDATE flights SET dep_delay = 5 WHERE carrier = 'HA' AND flight = 51 AND time >= '2013-03-04' AND time < '2013-03-05';
\set QUIET on
SELECT time, carrier, flight, dest, dep_delay FROM flights WHERE carrier = 'HA' AND time >= '2013-03-03' AND time < '2013-03-06' ORDER BY time;
SELECT count(compress_chunk(chunk)) AS compressed_chunks FROM show_chunks('flights') AS chunk;
SELECT pg_size_pretty(hypertable_size('flights')) AS size_of_flights;
