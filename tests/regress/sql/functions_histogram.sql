-- histogram: against width_bucket.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescale_compat;
RESET client_min_messages;

-- Below, five bins of two, above; a bin holds its lower bound.
SELECT histogram(v, 0, 10, 5) FROM (VALUES (-0.1::float8), (0), (1.9), (2), (9.9), (10), (1e300), ('-infinity'), ('infinity'), (NULL)) t(v);
SELECT histogram(v, -5, 5, 2) FROM generate_series(-10, 10) v;
SELECT histogram(v, 0, 10, 5) FROM (VALUES (1.0)) t(v) WHERE false;
SELECT histogram(NULL, 0, 10, 5);
SELECT pg_typeof(histogram(1, 0, 10, 5)), array_length(histogram(1, 0, 10, 5), 1) AS length;

CREATE TEMP TABLE numbers AS SELECT i % 13 AS grp, sin(i) * 100 + i / 1000.0 AS v FROM generate_series(1, 20000) i;
SELECT count(*) AS groups, count(*) FILTER (WHERE h IS DISTINCT FROM expected) AS differ
FROM (SELECT grp, histogram(v, -90, 95.5, 17) AS h FROM numbers GROUP BY grp) found
JOIN (SELECT grp, array_agg(n ORDER BY bin) AS expected
      FROM (SELECT g.grp, bin, (SELECT count(*)::int FROM numbers n WHERE n.grp = g.grp AND width_bucket(v, -90, 95.5, 17) = bin) AS n
            FROM (SELECT DISTINCT grp FROM numbers) g, generate_series(0, 18) bin) bins GROUP BY grp) reference USING (grp);
SELECT i, histogram(i, 0, 4, 2) OVER (ORDER BY i) AS running, histogram(i, 0, 4, 2) OVER (ORDER BY i ROWS 1 PRECEDING) AS moving FROM generate_series(0, 4) i;

-- Bounds that make no histogram, or change, and values that are none.
SELECT histogram(1, 5, 5, 10);
SELECT histogram(1, 6, 5, 10);
SELECT histogram(1, 0, 5, 1);
SELECT histogram(1, 0, 5, 0);
SELECT histogram(1, 0, 5, -3);
SELECT histogram(1, 0, 5, 2147483647);
SELECT histogram(1, 'NaN', 5, 10);
SELECT histogram(1, 0, 'infinity', 10);
SELECT histogram(1, -1.79769e+308, 1.79769e+308, 10);
SELECT histogram('NaN', 0, 5, 10);
SELECT histogram(1, NULL, 5, 10);
SELECT histogram(1, 0, NULL, 10);
SELECT histogram(1, 0, 5, NULL);
SELECT histogram(i, 0, 5 + i, 10) FROM generate_series(1, 2) i;
SELECT histogram(i, 0, 5, 10 + i) FROM generate_series(1, 2) i;
