"""Compressed chunks: cancelled while they change, on a standby, under autovacuum."""

import threading

import psycopg
import pytest
from invariants import assert_log_is_clean
from server import Server

TABLE = """
CREATE TABLE t (time timestamptz NOT NULL, host text, v float8, note text);
SELECT create_hypertable('t', 'time', chunk_time_interval => interval '1 day');
ALTER TABLE t SET (timescaledb.columnstore, timescaledb.segmentby = 'host');
INSERT INTO t SELECT timestamptz '2024-01-01+00' + g * interval '0.5 seconds', 'h' || g % 10, g, md5(g::text) FROM generate_series(0, 172799) AS g;
"""
ANSWER = "SELECT count(*), sum(v), count(DISTINCT note), min(time), max(time) FROM t"
COMPRESS = "SELECT compress_chunk(c) FROM show_chunks('t') AS c"
DECOMPRESS = "SELECT decompress_chunk(c) FROM show_chunks('t') AS c"


@pytest.mark.parametrize("command", [COMPRESS, DECOMPRESS])
def test_nothing_is_lost_by_a_cancel(server, database, command):
    server.psql(TABLE, database)
    if command == DECOMPRESS:
        server.psql(COMPRESS, database)
    expected = server.psql(ANSWER, database)
    with server.connect(database) as worker, server.connect(database) as other:
        pid = worker.info.backend_pid
        cancelled = 0
        for delay in (0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8):
            timer = threading.Timer(delay, lambda: other.execute("SELECT pg_cancel_backend(%s)", (pid,)))
            timer.start()
            try:
                worker.execute(command)
            except psycopg.errors.QueryCanceled:
                cancelled += 1
            else:  # It was done before the signal came, or the signal came before it began.
                server.psql(DECOMPRESS if command == COMPRESS else COMPRESS, database)
            timer.join()
            assert server.psql(ANSWER, database) == expected
            orphans = "SELECT count(*) FROM pg_class WHERE relname LIKE 'compress_hyper%' AND relkind = 'r' AND oid NOT IN (SELECT batches FROM _timescaledb_config.columnar_chunk)"
            assert server.psql(orphans, database) == "0"
        assert cancelled > 0
    server.psql(command, database)
    assert server.psql(ANSWER, database) == expected


def test_progress_is_shown(server, database):
    server.psql(TABLE + "INSERT INTO t SELECT time + interval '0.1 seconds', host, v, note FROM t;", database)
    seen = set()
    with server.connect(database) as worker, server.connect(database) as other:
        thread = threading.Thread(target=lambda: worker.execute(COMPRESS))
        thread.start()
        while thread.is_alive():
            row = other.execute("SELECT pid, hypertable_name, chunk_name, command, phase, rows_done <= rows_total OR rows_total = 0 FROM timescaledb_information.columnstore_progress").fetchone()
            if row:
                assert row[0] == worker.info.backend_pid
                assert (row[1], row[3], row[5]) == ("t", "compress", True)
                seen.add(row[4])
        thread.join()
        assert other.execute("SELECT count(*) FROM timescaledb_information.columnstore_progress").fetchone() == (0,)
    assert "reading rows" in seen


def test_a_standby_does_not_show_later_rows_to_an_old_snapshot():
    with Server("primary", {"max_standby_streaming_delay": "0"}) as primary:
        primary.psql("CREATE EXTENSION timescale_compat;" + TABLE)
        standby = primary.replica("standby")
        try:
            primary.wait_for_replay(standby)
            with standby.connect(autocommit=False, options="-c default_transaction_isolation=repeatable\\ read") as old:
                before = old.execute(ANSWER).fetchone()
                # The old snapshot has no lock on the chunk.
                chunk = primary.psql("SELECT c FROM show_chunks('t') AS c LIMIT 1")
                old.rollback()
                old.execute("SELECT 1 FROM pg_class LIMIT 1").fetchone()
                primary.psql("INSERT INTO t SELECT time + interval '0.25 seconds', host, v, note FROM t WHERE v < 1000")
                primary.psql("SELECT txid_current()")
                primary.psql(f"SELECT compress_chunk('{chunk}')")
                primary.wait_for_replay(standby)
                with pytest.raises(psycopg.Error) as caught:
                    assert old.execute(ANSWER).fetchone() == before, "rows that were written later are visible"
                    pytest.fail("the old snapshot should have been cancelled")
                assert caught.value.sqlstate in ("40001", None) or "conflict" in str(caught.value)
            assert standby.psql(ANSWER) == primary.psql(ANSWER)
            assert_log_is_clean(standby)
        finally:
            standby.remove()


def test_autovacuum_keeps_its_hands_off_the_statistics(server, database):
    server.psql(TABLE + COMPRESS, database)
    statistics = "SELECT tablename, attname, n_distinct FROM pg_stats WHERE tablename LIKE '\\_hyper%' ORDER BY 1, 2"
    expected = server.psql(statistics, database)
    assert expected.count("host|10") >= 1
    options = server.psql("SELECT DISTINCT reloptions FROM pg_class JOIN _timescaledb_config.columnar_chunk ON relid = oid", database)
    assert options == "{autovacuum_analyze_threshold=2147483647}"
    server.psql(DECOMPRESS, database)
    assert server.psql("SELECT count(*) FROM pg_class WHERE relname LIKE '\\_hyper%chunk' AND reloptions IS NOT NULL", database) == "0"
    assert server.psql(statistics, database) == expected


def test_a_batch_table_can_not_be_dropped_by_mistake(server, database):
    server.psql(TABLE + COMPRESS, database)
    batches = server.psql("SELECT batches FROM _timescaledb_config.columnar_chunk LIMIT 1", database)
    with server.connect(database) as connection:
        with pytest.raises(psycopg.errors.DependentObjectsStillExist):
            connection.execute(f"DROP TABLE {batches}")
    server.psql("DROP TABLE t", database)
    assert server.psql("SELECT count(*) FROM pg_class WHERE relname LIKE 'compress_hyper%'", database) == "0"
