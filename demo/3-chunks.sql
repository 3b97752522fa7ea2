\echo
\echo '════ 3. What lies beneath: chunks'
\echo
SELECT chunk_name, range_start::date, range_end::date, is_compressed FROM timescaledb_information.chunks
WHERE hypertable_name = 'flights' ORDER BY range_start LIMIT 4;

\echo
\echo 'A query that names a week reads only the chunks of that week: the plan has no others.'
\echo
EXPLAIN (COSTS OFF) SELECT avg(dep_delay) FROM flights WHERE time >= '2013-03-04' AND time < '2013-03-11';

\echo
\echo 'Old data go away as whole chunks, at once and without a scan. These are older than February:'
\echo
SELECT show_chunks('flights', older_than => TIMESTAMPTZ '2013-02-01');
SELECT drop_chunks('flights', older_than => TIMESTAMPTZ '2013-02-01');
SELECT min(time) AS oldest_flight, count(*) AS flights, pg_size_pretty(hypertable_size('flights')) AS size FROM flights;
