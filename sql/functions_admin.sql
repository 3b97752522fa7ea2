-- What scripts written for TimescaleDB call around a restore. Here a dump restores as any other; but jobs can be kept from running
-- until a long one is done.
CREATE FUNCTION timescaledb_pre_restore() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET timescaledb.restoring = on', current_database());
    RETURN _timescaledb_functions.restart_background_workers();
END $$;
CREATE FUNCTION timescaledb_post_restore() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I RESET timescaledb.restoring', current_database());
    RETURN _timescaledb_functions.restart_background_workers();
END $$;

-- Nothing is collected, and nothing is sent.
CREATE FUNCTION get_telemetry_report() RETURNS jsonb LANGUAGE sql STABLE
    RETURN pg_catalog.jsonb_build_object(
        'telemetry', 'off',
        'note', 'timescale_compat collects nothing and sends nothing',
        'extension', 'timescale_compat',
        'extension_version', (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescale_compat'),
        'postgresql_version', pg_catalog.current_setting('server_version'));

-- The processes that run this database's jobs. Stopped, they stay so until they are started or the server is.
CREATE FUNCTION _timescaledb_functions.start_background_workers()
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_start_background_workers' LANGUAGE c VOLATILE;
CREATE FUNCTION _timescaledb_functions.stop_background_workers()
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_stop_background_workers' LANGUAGE c VOLATILE;
CREATE FUNCTION _timescaledb_functions.restart_background_workers()
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_restart_background_workers' LANGUAGE c VOLATILE;

CREATE FUNCTION _timescaledb_functions.tsl_loaded() RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;

CREATE FUNCTION enable_chunk_skipping(hypertable regclass, column_name name, if_not_exists boolean = FALSE)
    RETURNS TABLE (column_stats_id int, enabled boolean)
    AS 'MODULE_PATHNAME', 'tsc_chunk_skipping' LANGUAGE c VOLATILE ROWS 1;
CREATE FUNCTION disable_chunk_skipping(hypertable regclass, column_name name, if_not_exists boolean = FALSE)
    RETURNS TABLE (hypertable_id int, column_name name, disabled boolean)
    AS 'MODULE_PATHNAME', 'tsc_chunk_skipping' LANGUAGE c VOLATILE ROWS 1;
