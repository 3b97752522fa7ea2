"""What a session holds after much work on compressed chunks: memory, references, locks."""

import os

import pytest
from test_leaks import MEGABYTE, own_memory, quiet

SOAK = bool(os.environ.get("TSC_SOAK"))
MANY = 1_000_000 if SOAK else 200_000

assert quiet  # the fixture: a server with little shared memory


@pytest.fixture
def session(quiet):
    with quiet.connect() as connection:
        connection.prepare_threshold = None
        connection.execute("SET client_min_messages = error")
        connection.execute("CREATE TABLE t (time timestamptz NOT NULL, dev int, v float8, s text, n numeric)")
        connection.execute("SELECT create_hypertable('t', 'time', chunk_time_interval => interval '1 day')")
        connection.execute("ALTER TABLE t SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev', timescaledb.compress_orderby = 'time')")
        yield connection
        connection.execute("DROP TABLE t")


def fill(session, rows, days=5):
    session.execute("INSERT INTO t SELECT timestamptz '2024-01-01+00' + g * (interval '1 day' * %s / %s), g %% 7, g / 3.0, 'some text of row ' || g, g / 7.0"
                    " FROM generate_series(0, %s - 1) AS g", (days, rows, rows))
    session.execute("SELECT compress_chunk(c) FROM show_chunks('t') AS c")


def flat(session, work, warm, rounds, contexts=1, anonymous=8):
    """WORK does not grow the process after the first WARM rounds."""
    rounds *= 10 if SOAK else 1
    for number in range(warm):
        work(number)
    before = own_memory(session)
    for number in range(rounds):
        work(number)
    after = own_memory(session)
    assert after[1] - before[1] < contexts * MEGABYTE, (before, after)
    assert after[0] - before[0] < anonymous * MEGABYTE, (before, after)
    assert session.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation > 16384").fetchone() == (0,)


def test_repeated_scans_of_many_rows(session):
    fill(session, MANY)
    queries = ["SELECT count(*), sum(v), max(s), sum(n) FROM t", "SELECT count(*) FROM t WHERE v > 1000 AND s LIKE '%7' AND n < 100000",
               "SELECT * FROM t ORDER BY time DESC LIMIT 10", "SELECT dev, count(DISTINCT s) FROM t WHERE dev = 3 GROUP BY dev"]
    flat(session, lambda number: session.execute(queries[number % 4]), 8, 8, anonymous=16)


def test_one_scan_of_many_rows_needs_no_more_than_one_of_a_hundredth(session):
    """A batch is decoded at a time; texts and numerics are not kept for longer than their batch."""
    fill(session, MANY, days=1)
    query = "SELECT max(length(s)), max(v), max(n), count(*) FROM t WHERE time < timestamptz '2024-01-01+00' + interval '{} seconds'"
    session.execute(query.format(864))
    before = own_memory(session)
    session.execute(query.format(100_000))
    after = own_memory(session)
    assert after[0] - before[0] < 24 * MEGABYTE, (before, after)


def test_compressing_and_decompressing_again_and_again(session):
    fill(session, 20_000)

    def work(number):
        session.execute("SELECT decompress_chunk(c) FROM show_chunks('t') AS c")
        session.execute("SELECT compress_chunk(c) FROM show_chunks('t') AS c")

    flat(session, work, 8, 10, anonymous=16)


def test_compressing_many_rows_of_one_chunk(session):
    """Within the limit of maintenance_work_mem for the sort, and a batch or two."""
    session.execute("SET maintenance_work_mem = '16MB'")
    fill(session, 10_000, days=1)
    before = own_memory(session)
    session.execute("INSERT INTO t SELECT timestamptz '2024-02-01+00' + g * interval '80 milliseconds', g % 7, g / 3.0, 'some text of row ' || g, g / 7.0"
                    f" FROM generate_series(1, {MANY}) AS g")
    session.execute("SELECT compress_chunk(c) FROM show_chunks('t', newer_than => timestamptz '2024-01-20') AS c")
    after = own_memory(session)
    assert after[0] - before[0] < 64 * MEGABYTE, (before, after)


def test_changes_that_move_batches(session):
    fill(session, 30_000)

    def work(number):
        session.execute("UPDATE t SET v = v + 1 WHERE dev = %s AND time < '2024-01-02+00'", (number % 7,))
        session.execute("DELETE FROM t WHERE dev = %s AND time = '2024-01-03 00:00+00'", (number % 7,))
        session.execute("SELECT count(*) FROM (SELECT FROM t WHERE dev = %s AND time > '2024-01-05 12:00+00' FOR UPDATE) AS x", (number % 7,))
        session.execute("SELECT compress_chunk(c, recompress => true) FROM show_chunks('t') AS c")

    flat(session, work, 7, 14, anonymous=16)


def test_errors_in_the_middle(session):
    fill(session, 4_000)

    def work(number):
        for statement in ("SELECT 1 / (dev - 3) FROM t", "UPDATE t SET dev = 1 / (dev - 3)", "SELECT count(*) FROM t WHERE 10 / (dev - 3) > 0"):
            with pytest.raises(Exception, match="division by zero"):
                session.execute(statement)

    flat(session, work, 10, 30)


def test_many_upserts_into_a_compressed_chunk(session):
    session.execute("ALTER TABLE t ADD UNIQUE (dev, time)")
    fill(session, 30_000, days=1)
    session.execute("PREPARE put (int) AS INSERT INTO t VALUES (timestamptz '2024-01-01+00' + $1 * interval '2.88 seconds', $1 % 7, 1) ON CONFLICT (dev, time) DO UPDATE SET v = excluded.v")

    def work(number):
        with session.pipeline():
            for row in range(300):
                session.execute(f"EXECUTE put ({(number * 300 + row) % 30000})")

    flat(session, work, 6, 10, anonymous=12)
