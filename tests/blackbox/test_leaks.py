"""What a session holds after much work: memory and references."""

import pathlib
import re

import pytest
from server import Server

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def quiet():
    """A server of its own, with little shared memory, so that a backend's resident size shows what is its own."""
    with Server("leaks", {"shared_buffers": "16MB", "max_locks_per_transaction": 1000}) as server:
        server.psql("CREATE EXTENSION timescale_compat")
        yield server
        assert server.crashes() == []


@pytest.fixture
def session(quiet):
    with quiet.connect() as connection:
        connection.prepare_threshold = 0
        connection.execute("CREATE TABLE t (time timestamptz NOT NULL, id int, v float8, PRIMARY KEY (id, time))")
        connection.execute("SELECT create_hypertable('t', 'time', chunk_time_interval => interval '1 day')")
        yield connection
        connection.execute("DROP TABLE t")


def own_memory(connection):
    """Bytes of anonymous memory of the session's process, and bytes in its memory contexts."""
    pid = connection.info.backend_pid
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    anonymous = int(re.search(r"^Anonymous: +(\d+) kB", rollup, re.MULTILINE)[1]) * 1024
    contexts = connection.execute("SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts").fetchone()[0]
    return anonymous, contexts


def test_a_statement_of_a_million_rows_needs_no_more_than_one_of_ten_thousand(session):
    """The statement's own state is freed at its end; catalogs' caches grow with the chunks, some 20 kB each, of which there are few."""
    insert = "INSERT INTO t SELECT timestamptz '2024-01-01+00' + g * interval '2 seconds', g, g FROM generate_series({}, {}) AS g"
    session.execute(insert.format(1, 10_000))
    before = own_memory(session)
    session.execute(insert.format(10_001, 1_010_000))
    after = own_memory(session)
    assert session.execute("SELECT count(*) FROM t").fetchone() == (1_010_000,)
    assert after[1] - before[1] < 8 * MEGABYTE, (before, after)
    assert after[0] - before[0] < 48 * MEGABYTE, (before, after)


def test_a_hundred_thousand_prepared_inserts_leave_nothing(session):
    """After the first thousand nothing is new: no chunk, no plan. What grows from there is a leak: 10 bytes a row would be 1 MB."""
    session.execute("PREPARE put (int) AS INSERT INTO t VALUES (timestamptz '2024-01-01+00' + $1 % 10 * interval '1 day', $1, 1)")
    with session.pipeline():
        for number in range(1, 2000):
            session.execute(f"EXECUTE put({number})", prepare=False)
    before = own_memory(session)
    with session.pipeline():
        for number in range(2000, 102_000):
            session.execute(f"EXECUTE put({number})", prepare=False)
    after = own_memory(session)
    assert session.execute("SELECT count(*) FROM t").fetchone() == (101_999,)
    assert after[1] - before[1] < MEGABYTE, (before, after)
    assert after[0] - before[0] < 8 * MEGABYTE, (before, after)


def test_statements_that_create_chunks_and_fail_leave_nothing(session):
    """A relcache entry of a chunk that was rolled back is gone with it."""
    def fail(number):
        session.execute("BEGIN")
        session.execute("SAVEPOINT s")
        session.execute(f"INSERT INTO t SELECT timestamptz '2030-01-01+00' + g * interval '1 day', g, 1 FROM generate_series(1, 5) AS g -- {number}", prepare=False)
        session.execute("ROLLBACK TO s")
        session.execute("ROLLBACK")

    for number in range(40):
        fail(number)
    before = own_memory(session)
    for number in range(200):
        fail(number)
    after = own_memory(session)
    assert after[1] - before[1] < 2 * MEGABYTE, (before, after)
    assert session.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 't'::regclass").fetchone() == (0,)


def test_thousands_of_chunks_of_one_statement(session):
    """One statement that makes 400 chunks in random order holds their result relations; at its end they are closed."""
    session.execute("INSERT INTO t SELECT timestamptz '2024-01-01+00' + (g * 7919 % 400) * interval '1 day', g, 1 FROM generate_series(1, 20000) AS g")
    assert session.execute("SELECT count(DISTINCT tableoid) FROM t").fetchone() == (400,)
    assert session.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation > 16384").fetchone()[0] < 5
