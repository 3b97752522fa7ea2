-- Logical replication into hypertables: rows of ranges that have no chunk yet (docs/replication.md).
CREATE FUNCTION _timescaledb_functions.intake() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_intake' LANGUAGE c;

-- Subscriptions call this by themselves when they are created or altered.
CREATE FUNCTION _timescaledb_functions.create_intake(hypertable regclass) RETURNS regclass
    AS 'MODULE_PATHNAME', 'tsc_create_intake' LANGUAGE c VOLATILE;

-- Triggers on subscribed hypertables with continuous aggregates call it: which times logical replication changes.
CREATE FUNCTION _timescaledb_functions.record_change() RETURNS trigger
    AS 'MODULE_PATHNAME', 'tsc_record_change' LANGUAGE c;

-- Heap, for tables that store nothing.
CREATE FUNCTION _timescaledb_functions.intake_am(internal) RETURNS table_am_handler
    AS 'MODULE_PATHNAME', 'tsc_intake_am' LANGUAGE c;
CREATE ACCESS METHOD timescaledb_intake TYPE TABLE HANDLER _timescaledb_functions.intake_am;
