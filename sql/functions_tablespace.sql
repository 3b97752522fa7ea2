-- The tablespaces of new chunks. Names, arguments and defaults are TimescaleDB's.
CREATE FUNCTION attach_tablespace(tablespace name, hypertable regclass, if_not_attached boolean = FALSE)
    RETURNS void AS 'MODULE_PATHNAME', 'tsc_attach_tablespace' LANGUAGE c VOLATILE;

CREATE FUNCTION detach_tablespace(tablespace name, hypertable regclass = NULL, if_attached boolean = FALSE)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_detach_tablespace' LANGUAGE c VOLATILE;

CREATE FUNCTION detach_tablespaces(hypertable regclass)
    RETURNS int AS 'MODULE_PATHNAME', 'tsc_detach_tablespaces' LANGUAGE c VOLATILE;

CREATE FUNCTION show_tablespaces(hypertable regclass)
    RETURNS SETOF name AS 'MODULE_PATHNAME', 'tsc_show_tablespaces' LANGUAGE c STABLE;
