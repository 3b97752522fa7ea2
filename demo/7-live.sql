\echo
\echo 'Each core, second by second.'
\echo
SELECT time_bucket('1 second', time)::time(0) AS second, core, count(*) AS readings, round(avg(busy_pct)::numeric, 1) AS avg_busy_pct,
       round(max(busy_pct)::numeric, 1) AS max_busy_pct
FROM cpu GROUP BY second, core ORDER BY second, core LIMIT 10;

\echo
\echo 'What the machine did meanwhile: the counters of /proc only grow, so last less first is what happened.'
\echo
SELECT host, count(*) AS readings, round(max(load_1m)::numeric, 2) AS max_load, round(last(memory_mb, time)) AS memory_mb,
       last(read_kb, time) - first(read_kb, time) AS read_kb, last(written_kb, time) - first(written_kb, time) AS written_kb,
       last(network_kb, time) - first(network_kb, time) AS network_kb
FROM machine GROUP BY host;

\echo
\echo 'The same reading twice is no harm: the unique key holds over all chunks.'
\echo
INSERT INTO machine SELECT * FROM machine ORDER BY time DESC LIMIT 5 ON CONFLICT (host, time) DO NOTHING;
SELECT count(*) AS readings, count(DISTINCT time) AS times FROM machine;

\echo
\echo 'The newest reading of each core, and the chunks that appeared.'
\echo
SELECT DISTINCT ON (core) core, time::time(1), busy_pct, io_pct FROM cpu ORDER BY core, time DESC;
SELECT chunk_name, range_start::time, range_end::time FROM timescaledb_information.chunks
WHERE hypertable_name = 'cpu' ORDER BY range_start;

\echo
\echo 'The policy was at work meanwhile: only the last chunks are still in rows.'
\echo
SELECT chunk_name, range_end::time, is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'cpu' ORDER BY range_start;

\echo
\echo 'One view to look at when something seems wrong: every hypertable, its policies, their last runs, and what is amiss.'
\echo
SELECT hypertable_name, num_chunks AS chunks, compressed_chunks AS compressed, compression_ratio AS ratio,
       jsonb_path_query_array(policies, '$[*].last_run_status') AS last_runs, problems
FROM timescaledb_information.hypertable_health ORDER BY hypertable_name;
