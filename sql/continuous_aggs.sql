-- What PostgreSQL's catalogs can't say of a continuous aggregate. Its definition is the query of its direct view, so it follows renames
-- and travels with a dump; what it holds is in its materialization hypertable.
CREATE TABLE _timescaledb_config.continuous_agg (
    -- the id of the materialization hypertable
    id int PRIMARY KEY,
    -- the materialization hypertable
    storage regclass NOT NULL UNIQUE,
    -- the hypertable whose changes concern it: the raw one, or the storage of the continuous aggregate that it is defined over
    source regclass NOT NULL,
    -- the user's view
    user_view regclass NOT NULL UNIQUE,
    -- all groups of the aggregate with the hidden parts: from storage where that is valid, computed from the source where not
    partial_view regclass NOT NULL UNIQUE,
    -- the defining query as it was given
    direct_view regclass NOT NULL UNIQUE,
    materialized_only bool NOT NULL,
    -- what the ends of all its buckets are multiples of, in positions of the source's time dimension: changes are logged in such units
    grain bigint NOT NULL CHECK (grain > 0),
    -- the OID of storage where this row was made. Another one says that it was restored and nothing has been done with it since: what
    -- COPY loads into new chunks is what the ranges below know already
    made_as oid NOT NULL DEFAULT 0
);
CREATE INDEX continuous_agg_source_idx ON _timescaledb_config.continuous_agg (source);

-- What is known of the buckets of a continuous aggregate. Positions are those of the time dimension (microseconds since 2000-01-01, days
-- for dates, integers as they are), both ends included; the ends of bigint stand for no bound.
CREATE TABLE _timescaledb_config.continuous_agg_range (
    storage regclass NOT NULL,
    -- m: has been materialized, so changes to it are logged; what no m covers is read from the source
    -- i: has been invalidated: storage may differ from the source
    -- k: kept: chunks of the source or of the storage were dropped. The view shows what storage holds, a refresh leaves it alone unless
    --    forced, and queries of the source are never answered from it
    kind "char" NOT NULL CHECK (kind IN ('m', 'i', 'k')),
    low bigint NOT NULL,
    high bigint NOT NULL,
    CHECK (low <= high)
);
CREATE INDEX continuous_agg_range_storage_idx ON _timescaledb_config.continuous_agg_range (storage);

-- Which times the transactions changed that have committed since the log was last read: a refresh moves its rows to the ranges of
-- all continuous aggregates over the hypertable. A row is visible to whoever sees the changes, which is what keeps readers exact.
CREATE TABLE _timescaledb_config.hypertable_change (
    hypertable regclass NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    CHECK (low <= high)
);

CREATE TRIGGER catalog_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON _timescaledb_config.continuous_agg
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.catalog_changed();

-- A restore, or whoever else adds to this by plain SQL: no transaction may go on relying on what it knew of it. Less is no matter.
CREATE FUNCTION _timescaledb_functions.ranges_changed() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_ranges_changed' LANGUAGE c;
REVOKE EXECUTE ON FUNCTION _timescaledb_functions.ranges_changed() FROM PUBLIC;
CREATE TRIGGER ranges_changed AFTER INSERT OR UPDATE ON _timescaledb_config.continuous_agg_range
    FOR EACH STATEMENT EXECUTE FUNCTION _timescaledb_functions.ranges_changed();

SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.continuous_agg', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.continuous_agg_range', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_config.hypertable_change', '');

GRANT SELECT ON _timescaledb_config.continuous_agg, _timescaledb_config.continuous_agg_range,
    _timescaledb_config.hypertable_change TO PUBLIC;
