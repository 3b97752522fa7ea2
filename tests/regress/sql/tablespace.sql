-- Tablespaces that new chunks take in turn.
CREATE EXTENSION timescale_compat;
CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, 'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END $$;
\pset format unaligned
SET allow_in_place_tablespaces = true;
CREATE TABLESPACE space_one LOCATION '';
CREATE TABLESPACE space_two LOCATION '';
CREATE TABLE m (t int NOT NULL, dev int);
SELECT created FROM create_hypertable('m', 't', chunk_time_interval => 10);
CREATE TABLE h (t int NOT NULL, dev int);
SELECT created FROM create_hypertable('h', 't', 'dev', 2, chunk_time_interval => 10);

SELECT attach_tablespace('space_one', 'm');
SELECT attach_tablespace('space_two', 'm');
SELECT attach_tablespace('space_two', 'h');
SELECT attach_tablespace('space_one', 'h');
SELECT show_tablespaces('m');
SELECT show_tablespaces('h');
SELECT hypertable_name, tablespaces FROM timescaledb_information.hypertables ORDER BY 1;
TABLE _timescaledb_catalog.tablespace;
INSERT INTO m SELECT generate_series(0, 39);
INSERT INTO h SELECT g, g FROM generate_series(0, 19) g;
SELECT chunk_name, chunk_tablespace FROM timescaledb_information.chunks WHERE hypertable_name = 'm' ORDER BY range_start_integer;
SELECT chunk_name, chunk_tablespace FROM timescaledb_information.chunks WHERE hypertable_name = 'h' ORDER BY chunk_name COLLATE "C";
SELECT count(*), count(reltablespace = 0 OR NULL) FROM pg_class WHERE relname ~ '_hyper_1_.*idx';

-- Twice is an error or a notice.
SELECT err($$SELECT attach_tablespace('space_one', 'm')$$);
SELECT attach_tablespace('space_one', 'm', if_not_attached => true);
-- An attached tablespace is not dropped.
SELECT err($$SELECT attach_tablespace('nowhere', 'm')$$);
DROP TABLESPACE space_two;
SELECT detach_tablespace('space_one', 'm');
SELECT err($$SELECT detach_tablespace('space_one', 'm')$$);
SELECT detach_tablespace('space_one', 'm', if_attached => true);
INSERT INTO m VALUES (50), (60);
SELECT chunk_name, chunk_tablespace FROM timescaledb_information.chunks WHERE range_start_integer >= 50 ORDER BY range_start_integer;
SELECT detach_tablespaces('m');
SELECT detach_tablespaces('m');
SELECT detach_tablespace('space_two');
SELECT show_tablespaces('m');
SELECT show_tablespaces('h');
INSERT INTO m VALUES (70);
SELECT chunk_tablespace FROM timescaledb_information.chunks WHERE range_start_integer >= 70;

-- Misuse.
CREATE TABLE plain (t int);
SELECT err($$SELECT attach_tablespace('space_one', 'plain')$$);
SELECT err($$SELECT attach_tablespace(NULL, 'm')$$);
SELECT err($$SELECT attach_tablespace('space_one', NULL)$$);
SELECT err($$SELECT attach_tablespace('pg_global', 'm')$$);
SELECT err($$SELECT detach_tablespace(NULL)$$);
SELECT err($$SELECT detach_tablespace('nowhere')$$);
SELECT err($$SELECT detach_tablespace('nowhere', 'm')$$);
SELECT err($$SELECT detach_tablespaces('plain')$$);
SELECT err($$SELECT show_tablespaces('plain')$$);

-- The owner attaches, and must be able to create there.
CREATE ROLE space_owner;
CREATE TABLE owned (t int NOT NULL);
ALTER TABLE owned OWNER TO space_owner;
SELECT created FROM create_hypertable('owned', 't', chunk_time_interval => 10);
SET ROLE space_owner;
SELECT err($$SELECT attach_tablespace('space_one', 'm')$$);
SELECT err($$SELECT detach_tablespaces('m')$$);
SELECT err($$SELECT attach_tablespace('space_one', 'owned')$$);
RESET ROLE;
SELECT err($$SELECT attach_tablespace('space_one', 'owned')$$);
GRANT CREATE ON TABLESPACE space_one TO space_owner;
SET ROLE space_owner;
SELECT attach_tablespace('space_one', 'owned');
SELECT detach_tablespace('space_one');
RESET ROLE;
SELECT show_tablespaces('h'), show_tablespaces('owned');

DROP TABLE m, h, owned;
TABLE _timescaledb_config.tablespace;
DROP TABLESPACE space_one;
DROP TABLESPACE space_two;
DROP ROLE space_owner;
