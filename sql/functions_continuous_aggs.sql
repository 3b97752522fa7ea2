-- Refreshing continuous aggregates. Names, arguments and defaults are TimescaleDB's.
CREATE PROCEDURE refresh_continuous_aggregate(
    continuous_aggregate regclass,
    window_start "any",
    window_end "any",
    force boolean = FALSE,
    options jsonb = NULL)
    AS 'MODULE_PATHNAME', 'tsc_refresh_continuous_aggregate' LANGUAGE c;

-- Where what is materialized ends, in microseconds since 1970 or as the integer that it is.
CREATE FUNCTION _timescaledb_functions.cagg_watermark(hypertable_id int)
    RETURNS bigint AS 'MODULE_PATHNAME', 'tsc_cagg_watermark' LANGUAGE c STABLE STRICT PARALLEL RESTRICTED;
CREATE FUNCTION _timescaledb_functions.cagg_watermark_materialized(hypertable_id int)
    RETURNS bigint AS 'MODULE_PATHNAME', 'tsc_cagg_watermark' LANGUAGE c STABLE STRICT PARALLEL RESTRICTED;
