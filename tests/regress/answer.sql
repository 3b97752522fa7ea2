-- Runs a query with rewriting off and on. Says which continuous aggregates it was answered from, whether the rows are the same, floats
-- within rounding, and how many they are.
CREATE FUNCTION answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    used text[] := '{}';
    columns text;
    lost text;
    added text;
BEGIN
    SET LOCAL timescaledb.enable_cagg_rewrites = on;
    SET LOCAL timescaledb.cagg_rewrites_debug_info = on;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Function Scan on cagg_live' THEN
            used := used || regexp_replace(line, '.*cagg_live "?(\w+?)(_\d+)?"?$', '\1');
        END IF;
    END LOOP;
    SET LOCAL timescaledb.cagg_rewrites_debug_info = off;
    EXECUTE 'CREATE TEMP TABLE with_caggs ON COMMIT DROP AS ' || query;
    SET LOCAL timescaledb.enable_cagg_rewrites = off;
    EXECUTE 'CREATE TEMP TABLE without ON COMMIT DROP AS ' || query;
    SELECT string_agg(CASE WHEN atttypid IN ('float8'::regtype, 'float4'::regtype) THEN format('to_char(%I, ''9.99999EEEE'')', attname)
                           ELSE quote_ident(attname) END, ', ')
      INTO columns FROM pg_attribute WHERE attrelid = 'without'::regclass AND attnum > 0;
    EXECUTE format('SELECT string_agg(r::text, '' '') FROM (SELECT %1$s FROM without EXCEPT ALL SELECT %1$s FROM with_caggs LIMIT 3) r',
        columns) INTO lost;
    EXECUTE format('SELECT string_agg(r::text, '' '') FROM (SELECT %1$s FROM with_caggs EXCEPT ALL SELECT %1$s FROM without LIMIT 3) r',
        columns) INTO added;
    EXECUTE 'SELECT count(*)::text FROM without' INTO line;
    DROP TABLE without, with_caggs;
    RETURN CASE WHEN used = '{}' THEN 'raw' ELSE array_to_string(used, ', ') END || ': '
        || CASE WHEN lost IS NULL AND added IS NULL THEN line || ' rows' ELSE format('DIFFERENT: lost %s, added %s', lost, added) END;
END $$;
