\echo
\echo '════ 6. Live: this machine, measured for some seconds'
\echo
\echo 'Chunks of two seconds, so that several appear while you watch. A small program now reads /proc ten times a second'
\echo 'and inserts what it finds in batches.'
\echo

CREATE TABLE cpu (
    time      timestamptz NOT NULL,
    host      text NOT NULL,
    core      int NOT NULL,
    busy_pct  real NOT NULL,
    io_pct    real NOT NULL
);
CREATE TABLE machine (
    time      timestamptz NOT NULL,
    host      text NOT NULL,
    load_1m   real NOT NULL,
    memory_mb real NOT NULL,
    read_kb   bigint NOT NULL,
    written_kb bigint NOT NULL,
    network_kb bigint NOT NULL,
    UNIQUE (host, time)
);
SELECT * FROM create_hypertable('cpu', by_range('time', INTERVAL '2 seconds'));
SELECT * FROM create_hypertable('machine', by_range('time', INTERVAL '2 seconds'));

\echo
\echo 'Policies look after the readings of the cores from now on: chunks go into columns two seconds after they end, and away after an hour. They'
\echo 'run in processes of their own, here each second.'
\echo
ALTER TABLE cpu SET (timescaledb.columnstore, timescaledb.segmentby = 'core');
CALL add_columnstore_policy('cpu', after => INTERVAL '2 seconds', schedule_interval => INTERVAL '1 second');
SELECT add_retention_policy('cpu', drop_after => INTERVAL '1 hour') AS job;
