-- What CREATE EXTENSION brings and DROP EXTENSION takes away.
CREATE EXTENSION timescale_compat;

SELECT nspname FROM pg_namespace WHERE nspname ~ 'timescaledb' ORDER BY nspname COLLATE "C";

-- Every role may look into the schemas; what lies in them has rights of its own.
SELECT nspname, has_schema_privilege('public', oid, 'USAGE') AS usage, has_schema_privilege('public', oid, 'CREATE') AS create
FROM pg_namespace WHERE nspname ~ 'timescaledb' ORDER BY nspname COLLATE "C";

-- Once is enough.
CREATE EXTENSION timescale_compat;
CREATE EXTENSION IF NOT EXISTS timescale_compat;

DROP EXTENSION timescale_compat;
SELECT nspname FROM pg_namespace WHERE nspname ~ 'timescaledb';
