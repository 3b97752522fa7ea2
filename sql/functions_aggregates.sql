-- first, last: see src/functions/first_last.rs.
CREATE FUNCTION _timescaledb_functions.first_sfunc(internal, anyelement, "any") RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_first_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.last_sfunc(internal, anyelement, "any") RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_last_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.first_combinefunc(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_first_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.last_combinefunc(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_last_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.bookend_serializefunc(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'tsc_first_last_serialize' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.bookend_deserializefunc(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_first_last_deserialize' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.bookend_finalfunc(internal, anyelement, "any") RETURNS anyelement
    AS 'MODULE_PATHNAME', 'tsc_first_last_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE first(anyelement, "any") (
    SFUNC = _timescaledb_functions.first_sfunc,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = _timescaledb_functions.first_combinefunc,
    SERIALFUNC = _timescaledb_functions.bookend_serializefunc,
    DESERIALFUNC = _timescaledb_functions.bookend_deserializefunc,
    FINALFUNC = _timescaledb_functions.bookend_finalfunc,
    FINALFUNC_EXTRA,
    PARALLEL = SAFE
);

CREATE AGGREGATE last(anyelement, "any") (
    SFUNC = _timescaledb_functions.last_sfunc,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = _timescaledb_functions.last_combinefunc,
    SERIALFUNC = _timescaledb_functions.bookend_serializefunc,
    DESERIALFUNC = _timescaledb_functions.bookend_deserializefunc,
    FINALFUNC = _timescaledb_functions.bookend_finalfunc,
    FINALFUNC_EXTRA,
    PARALLEL = SAFE
);

-- histogram: see src/functions/histogram.rs.
CREATE FUNCTION _timescaledb_functions.hist_sfunc(state internal, val double precision, min double precision, max double precision,
    nbuckets integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_histogram_transition' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.hist_combinefunc(state1 internal, state2 internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_histogram_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.hist_serializefunc(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'tsc_histogram_serialize' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.hist_deserializefunc(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_histogram_deserialize' LANGUAGE C IMMUTABLE PARALLEL SAFE STRICT;
CREATE FUNCTION _timescaledb_functions.hist_finalfunc(state internal, val double precision, min double precision,
    max double precision, nbuckets integer) RETURNS integer[]
    AS 'MODULE_PATHNAME', 'tsc_histogram_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE histogram(value double precision, min double precision, max double precision, nbuckets integer) (
    SFUNC = _timescaledb_functions.hist_sfunc,
    STYPE = internal,
    COMBINEFUNC = _timescaledb_functions.hist_combinefunc,
    SERIALFUNC = _timescaledb_functions.hist_serializefunc,
    DESERIALFUNC = _timescaledb_functions.hist_deserializefunc,
    FINALFUNC = _timescaledb_functions.hist_finalfunc,
    FINALFUNC_EXTRA,
    PARALLEL = SAFE
);

-- What continuous aggregates keep and merge variances with: see src/functions/deviation.rs. The state of floats is that of PostgreSQL's
-- own aggregates: count, sum, sum of squared deviations from the mean.
CREATE FUNCTION _timescaledb_functions.squared_deviations_finalfunc(double precision[]) RETURNS double precision
    AS 'MODULE_PATHNAME', 'tsc_squared_deviations_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.deviation_merge_sfunc(state double precision[], count bigint, sum double precision,
    squared_deviations double precision) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'tsc_deviation_merge' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.numeric_deviation(count numeric, sum numeric, sum_of_squares numeric, sample boolean,
    root boolean) RETURNS numeric
    AS 'MODULE_PATHNAME', 'tsc_numeric_deviation' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION _timescaledb_functions.numeric_moments_finalfunc(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'tsc_numeric_moments_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _timescaledb_functions.numeric_moments_sfunc(state internal, moments bytea) RETURNS internal
    AS 'MODULE_PATHNAME', 'tsc_numeric_moments_merge' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE _timescaledb_functions.squared_deviations(double precision) (
    SFUNC = pg_catalog.float8_accum,
    STYPE = double precision[],
    COMBINEFUNC = pg_catalog.float8_combine,
    FINALFUNC = _timescaledb_functions.squared_deviations_finalfunc,
    INITCOND = '{0,0,0}',
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_stddev_samp(count bigint, sum double precision, squared_deviations double precision) (
    SFUNC = _timescaledb_functions.deviation_merge_sfunc,
    STYPE = double precision[],
    COMBINEFUNC = pg_catalog.float8_combine,
    FINALFUNC = pg_catalog.float8_stddev_samp,
    INITCOND = '{0,0,0}',
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_stddev_pop(count bigint, sum double precision, squared_deviations double precision) (
    SFUNC = _timescaledb_functions.deviation_merge_sfunc,
    STYPE = double precision[],
    COMBINEFUNC = pg_catalog.float8_combine,
    FINALFUNC = pg_catalog.float8_stddev_pop,
    INITCOND = '{0,0,0}',
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_var_samp(count bigint, sum double precision, squared_deviations double precision) (
    SFUNC = _timescaledb_functions.deviation_merge_sfunc,
    STYPE = double precision[],
    COMBINEFUNC = pg_catalog.float8_combine,
    FINALFUNC = pg_catalog.float8_var_samp,
    INITCOND = '{0,0,0}',
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_var_pop(count bigint, sum double precision, squared_deviations double precision) (
    SFUNC = _timescaledb_functions.deviation_merge_sfunc,
    STYPE = double precision[],
    COMBINEFUNC = pg_catalog.float8_combine,
    FINALFUNC = pg_catalog.float8_var_pop,
    INITCOND = '{0,0,0}',
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_squared_deviations(count bigint, sum double precision, squared_deviations double precision) (
    SFUNC = _timescaledb_functions.deviation_merge_sfunc,
    STYPE = double precision[],
    COMBINEFUNC = pg_catalog.float8_combine,
    FINALFUNC = _timescaledb_functions.squared_deviations_finalfunc,
    INITCOND = '{0,0,0}',
    PARALLEL = SAFE
);

-- Of numeric all that its variances are computed from is kept in one value: the sums may be greater than any numeric.
CREATE AGGREGATE _timescaledb_functions.numeric_moments(numeric) (
    SFUNC = pg_catalog.numeric_accum,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = pg_catalog.numeric_combine,
    SERIALFUNC = pg_catalog.numeric_serialize,
    DESERIALFUNC = pg_catalog.numeric_deserialize,
    FINALFUNC = _timescaledb_functions.numeric_moments_finalfunc,
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_numeric_moments(moments bytea) (
    SFUNC = _timescaledb_functions.numeric_moments_sfunc,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = pg_catalog.numeric_combine,
    SERIALFUNC = pg_catalog.numeric_serialize,
    DESERIALFUNC = pg_catalog.numeric_deserialize,
    FINALFUNC = _timescaledb_functions.numeric_moments_finalfunc,
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_numeric_stddev_samp(moments bytea) (
    SFUNC = _timescaledb_functions.numeric_moments_sfunc,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = pg_catalog.numeric_combine,
    SERIALFUNC = pg_catalog.numeric_serialize,
    DESERIALFUNC = pg_catalog.numeric_deserialize,
    FINALFUNC = pg_catalog.numeric_stddev_samp,
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_numeric_stddev_pop(moments bytea) (
    SFUNC = _timescaledb_functions.numeric_moments_sfunc,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = pg_catalog.numeric_combine,
    SERIALFUNC = pg_catalog.numeric_serialize,
    DESERIALFUNC = pg_catalog.numeric_deserialize,
    FINALFUNC = pg_catalog.numeric_stddev_pop,
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_numeric_var_samp(moments bytea) (
    SFUNC = _timescaledb_functions.numeric_moments_sfunc,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = pg_catalog.numeric_combine,
    SERIALFUNC = pg_catalog.numeric_serialize,
    DESERIALFUNC = pg_catalog.numeric_deserialize,
    FINALFUNC = pg_catalog.numeric_var_samp,
    PARALLEL = SAFE
);

CREATE AGGREGATE _timescaledb_functions.merged_numeric_var_pop(moments bytea) (
    SFUNC = _timescaledb_functions.numeric_moments_sfunc,
    STYPE = internal,
    SSPACE = 128,
    COMBINEFUNC = pg_catalog.numeric_combine,
    SERIALFUNC = pg_catalog.numeric_serialize,
    DESERIALFUNC = pg_catalog.numeric_deserialize,
    FINALFUNC = pg_catalog.numeric_var_pop,
    PARALLEL = SAFE
);
