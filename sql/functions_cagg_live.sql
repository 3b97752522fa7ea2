-- What the views of continuous aggregates ask, and queries of raw hypertables that are answered from them.

-- Whether a bucket is to be taken from storage. It is asked before all other conditions, which may fail for rows that hold no more.
CREATE FUNCTION _timescaledb_functions.cagg_valid_support(internal)
    RETURNS internal AS 'MODULE_PATHNAME', 'tsc_cagg_valid_support' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.cagg_valid(
    storage regclass, bucket anyelement, routing boolean, zone text, operators text, bounds anyarray)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_cagg_valid' LANGUAGE c STABLE PARALLEL RESTRICTED COST 0.01
    SUPPORT _timescaledb_functions.cagg_valid_support;

-- What is to be computed from the source: ranges that include both ends. sample says which type the ends have, and nothing else.
CREATE FUNCTION _timescaledb_functions.cagg_live(
    storage regclass, sample anyelement, routing boolean, zone text, operators text, bounds anyarray)
    RETURNS TABLE (low anyelement, high anyelement) AS 'MODULE_PATHNAME', 'tsc_cagg_live' LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 2;
