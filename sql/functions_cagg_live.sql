-- What the partial view of a continuous aggregate asks: which buckets are valid in storage, and which ranges of the source to compute.
CREATE FUNCTION _timescaledb_functions.cagg_valid(
        storage regclass, bucket anyelement, routing boolean, zone text, operators text, bounds anyarray) RETURNS boolean
    AS 'MODULE_PATHNAME', 'tsc_cagg_valid' LANGUAGE c STABLE PARALLEL RESTRICTED;
CREATE FUNCTION _timescaledb_functions.cagg_live(
        storage regclass, sample anyelement, routing boolean, zone text, operators text, bounds anyarray,
        OUT low anyelement, OUT high anyelement) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'tsc_cagg_live' LANGUAGE c STABLE PARALLEL RESTRICTED;
