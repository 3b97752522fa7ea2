-- What policies do. Each chunk is a transaction of its own. The procedures can't have a SET clause, which would forbid COMMIT, so every
-- name in them says its schema and no operator is used: whatever the search path is, nothing of the user's can take a name's place.
CREATE FUNCTION _timescaledb_functions.policy_due(policy text, config jsonb)
    RETURNS oid[] AS 'MODULE_PATHNAME', 'tsc_policy_due' LANGUAGE c VOLATILE;
CREATE FUNCTION _timescaledb_functions.policy_watch(policy text, job_id int)
    RETURNS boolean AS 'MODULE_PATHNAME', 'tsc_policy_watch' LANGUAGE c VOLATILE;
CREATE FUNCTION _timescaledb_functions.policy_step(
    policy text, config jsonb, chunk oid, hurried boolean, job_id int, scheduled boolean, done int)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_policy_step' LANGUAGE c VOLATILE;

CREATE PROCEDURE _timescaledb_functions.policy_run(policy text, job_id int, config jsonb) LANGUAGE plpgsql AS $$
DECLARE
    scheduled pg_catalog.bool := _timescaledb_functions.policy_watch(policy, job_id);
    due pg_catalog.oid[] := _timescaledb_functions.policy_due(policy, config);
    chunk pg_catalog.regclass;
    name pg_catalog.text;
    state pg_catalog.text;
    message pg_catalog.text;
    detail pg_catalog.text;
    first_state pg_catalog.text;
    first_message pg_catalog.text;
    first_name pg_catalog.text;
    failed pg_catalog.int4 := 0;
    hurried pg_catalog.bool := false;
    done pg_catalog.int4 := 0;
BEGIN
    COMMIT;
    FOREACH chunk IN ARRAY due LOOP
        -- While it has a name.
        name := chunk;
        BEGIN
            done := _timescaledb_functions.policy_step(policy, config, chunk, hurried, job_id, scheduled, done);
            hurried := false;
        EXCEPTION
            -- lock_not_available, deadlock_detected, object_in_use, serialization_failure
            WHEN SQLSTATE '55P03' OR SQLSTATE '40P01' OR SQLSTATE '55006' OR SQLSTATE '40001' THEN
                GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
                RAISE WARNING 'skipping chunk "%", which is in use', name
                    USING DETAIL = message, HINT = 'The next run will try again.', ERRCODE = '55P03';
                hurried := true;
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
                RAISE WARNING 'skipping chunk "%": %', name, message
                    USING DETAIL = detail, HINT = 'The next run will try again.', ERRCODE = state;
                failed := pg_catalog.int4pl(failed, 1);
                IF first_state IS NULL THEN
                    first_state := state;
                    first_message := message;
                    first_name := name;
                END IF;
        END;
        COMMIT;
        EXIT WHEN done IS NULL;
    END LOOP;
    IF first_state IS NOT NULL THEN
        RAISE EXCEPTION '% of % chunks failed, the first with: %', failed, pg_catalog.cardinality(due), first_message
            USING ERRCODE = first_state, DETAIL = pg_catalog.format('The first was chunk "%s".', first_name),
                HINT = 'The others are done. The server''s log says what each of them failed with.';
    END IF;
END $$;

CREATE PROCEDURE _timescaledb_functions.policy_compression(job_id int, config jsonb) LANGUAGE plpgsql AS $$
BEGIN CALL _timescaledb_functions.policy_run('policy_compression', job_id, config); END $$;
CREATE PROCEDURE _timescaledb_functions.policy_retention(job_id int, config jsonb) LANGUAGE plpgsql AS $$
BEGIN CALL _timescaledb_functions.policy_run('policy_retention', job_id, config); END $$;
CREATE PROCEDURE _timescaledb_functions.policy_reorder(job_id int, config jsonb) LANGUAGE plpgsql AS $$
BEGIN CALL _timescaledb_functions.policy_run('policy_reorder', job_id, config); END $$;

CREATE FUNCTION _timescaledb_functions.policy_compression_check(config jsonb)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_policy_compression_check' LANGUAGE c VOLATILE;
CREATE FUNCTION _timescaledb_functions.policy_retention_check(config jsonb)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_policy_retention_check' LANGUAGE c VOLATILE;
CREATE FUNCTION _timescaledb_functions.policy_reorder_check(config jsonb)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_policy_reorder_check' LANGUAGE c VOLATILE;

-- Commits after each batch by itself.
CREATE PROCEDURE _timescaledb_functions.policy_refresh_continuous_aggregate(job_id int, config jsonb)
    AS 'MODULE_PATHNAME', 'tsc_policy_refresh_continuous_aggregate' LANGUAGE c;
CREATE FUNCTION _timescaledb_functions.policy_refresh_continuous_aggregate_check(config jsonb)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_policy_refresh_continuous_aggregate_check' LANGUAGE c VOLATILE;
