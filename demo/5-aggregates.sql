\echo
\echo '════ 5. Continuous aggregates: groups that are kept, and never out of date'
\echo
\echo 'The delays of each airport by day. Only days whose flights change are computed again.'
\echo
SET timezone = 'America/New_York';
\timing on
CREATE MATERIALIZED VIEW daily_delays
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 day', time, 'America/New_York') AS day, origin, count(*) AS flights, avg(dep_delay) AS avg_delay, max(dep_delay) AS worst
FROM flights GROUP BY day, origin;
SELECT day::date, origin, flights, round(avg_delay::numeric, 1) AS avg_delay_min FROM daily_delays ORDER BY avg_delay DESC LIMIT 3;
\timing off

\echo
\echo 'A flight of that day is corrected. The view knows at once.'
\echo
UPDATE flights SET dep_delay = 2000 WHERE origin = 'LGA' AND time >= '2013-03-08' AND time < '2013-03-09' AND dep_delay > 400;
SELECT day::date, origin, flights, round(avg_delay::numeric, 1) AS avg_delay_min, worst FROM daily_delays WHERE day = '2013-03-08' ORDER BY origin;

\echo
\echo 'Queries of the table itself are answered from it, too: the plan reads days that are up to date, and flights of the one that is not.'
\echo
SELECT time_bucket('1 month', time, 'America/New_York')::date AS month, count(*) AS flights, max(dep_delay) AS worst FROM flights GROUP BY month ORDER BY worst DESC LIMIT 3;
SET timescaledb.enable_cagg_rewrites = on;
SELECT time_bucket('1 month', time, 'America/New_York')::date AS month, count(*) AS flights, max(dep_delay) AS worst FROM flights GROUP BY month ORDER BY worst DESC LIMIT 3;
