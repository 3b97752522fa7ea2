\echo
\echo '════ 2. Questions that people ask of such data'
\echo
\echo 'How did the year go? time_bucket cuts time into buckets: here months as New York sees them.'
\echo
\timing on
SELECT time_bucket('1 month', time, 'America/New_York')::date AS month, count(*) AS flights,
       round(avg(dep_delay)::numeric, 1) AS avg_delay_min,
       round(100.0 * count(*) FILTER (WHERE dep_delay > 30) / count(*), 1) AS pct_over_30_min,
       count(*) FILTER (WHERE dep_delay IS NULL) AS cancelled
FROM flights GROUP BY month ORDER BY month;

\echo
\echo 'The worst days of the year, and the weather that may explain them.'
\echo
WITH days AS (
    SELECT time_bucket('1 day', time, 'America/New_York') AS day, avg(dep_delay) AS delay,
           count(*) FILTER (WHERE dep_delay IS NULL) AS cancelled
    FROM flights GROUP BY day ORDER BY delay DESC LIMIT 5
)
SELECT day::date, round(delay::numeric) AS avg_delay_min, cancelled, round(sum(precip)::numeric / 3, 2) AS rain_inches,
       round(max(wind_speed)) AS max_wind_mph, min(visib) AS min_visibility_miles
FROM days JOIN weather w ON w.time >= day AND w.time < day + INTERVAL '1 day'
GROUP BY day, delay, cancelled ORDER BY delay DESC;

\echo
\echo 'The first and the last departure on the fourth of July: first and last pick the value that belongs to the earliest'
\echo 'and to the latest time.'
\echo
SELECT origin, first(carrier || ' ' || flight || ' to ' || dest, time) AS first_departure, min(time)::time AS at,
       last(carrier || ' ' || flight || ' to ' || dest, time) AS last_departure, max(time)::time AS at
FROM flights WHERE time >= '2013-07-04' AND time < '2013-07-05' GROUP BY origin ORDER BY origin;

\echo
\echo 'The latest reading of each weather station.'
\echo
SELECT DISTINCT ON (origin) origin, time, temp, humid, wind_speed, pressure FROM weather ORDER BY origin, time DESC;

\echo
\echo 'Who is late most often? The three worst airlines of each airport, among those with a thousand flights there or more.'
\echo
SELECT origin, name, flights, late AS pct_late FROM (
    SELECT origin, name, count(*) AS flights, round(100.0 * count(*) FILTER (WHERE arr_delay > 15) / count(*), 1) AS late,
           row_number() OVER (PARTITION BY origin ORDER BY avg((arr_delay > 15)::int) DESC) AS place
    FROM flights JOIN airlines USING (carrier) GROUP BY origin, name HAVING count(*) >= 1000
) ranked WHERE place <= 3 ORDER BY origin, place;

\echo
\echo 'How delays are spread: histogram counts in six equal steps from 0 to 180 minutes, with what lies below and above.'
\echo
SELECT origin, histogram(dep_delay, 0, 180, 6) FROM flights WHERE dep_delay IS NOT NULL GROUP BY origin ORDER BY origin;
\timing off
