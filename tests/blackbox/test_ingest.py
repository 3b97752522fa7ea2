"""Statements that create chunks while they run, in the ways that clients write them."""

import psycopg
import pytest


@pytest.fixture
def points(db):
    db.execute("CREATE TABLE t (time timestamptz NOT NULL, id int, dev int DEFAULT 1)")
    db.execute("SELECT create_hypertable('t', 'time', chunk_time_interval => interval '1 day')")
    return db


def series(first, count, shift=0):
    return f"SELECT timestamptz '2024-01-01+00' + (g + {shift}) * interval '5 hours', g FROM generate_series({first}, {first + count - 1}) AS g"


def test_several_inserts_of_one_statement_share_the_chunks_that_either_makes(points):
    points.execute(f"""WITH a AS (INSERT INTO t {series(1, 60)} RETURNING id), b AS (INSERT INTO t {series(61, 60, -60)} RETURNING id)
                       INSERT INTO t {series(121, 60, -90)}""")
    assert points.execute("SELECT count(*), count(DISTINCT id) FROM t").fetchone() == (180, 180)


def test_a_chunk_may_hold_a_row_that_the_same_statement_moved_there(points):
    points.execute(f"INSERT INTO t {series(1, 20)}")
    points.execute(f"""WITH moved AS (UPDATE t SET time = time + interval '60 days' WHERE id <= 10 RETURNING id)
                       INSERT INTO t SELECT timestamptz '2024-03-01+00' + (g * 5) * interval '1 hour', 100 + g FROM generate_series(0, 40) AS g""")
    assert points.execute("SELECT count(*) FROM t WHERE time > '2024-02-20'").fetchone() == (51,)


@pytest.mark.parametrize("when", ["infinity", "-infinity", "294276-12-31 23:59:59.999999+00", "4713-01-01 00:00:00+00 BC"])
def test_the_ends_of_time_have_chunks(points, when):
    points.execute("INSERT INTO t VALUES (%s, 1), (now(), 2)", (when,))
    points.execute("INSERT INTO t VALUES (%s, 3)", (when,))
    assert points.execute("SELECT count(*) FROM t WHERE time = %s", (when,)).fetchone() == (2,)


def test_a_row_without_a_time_is_refused(points):
    with pytest.raises(psycopg.errors.NotNullViolation):
        points.execute("INSERT INTO t VALUES (NULL, 1)")
    assert points.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 't'::regclass").fetchone() == (0,)


def test_the_session_that_used_the_indexes_of_a_converted_table_may_drop_it(db):
    for _ in range(20):
        db.execute("CREATE TABLE used (time timestamptz NOT NULL, id int, PRIMARY KEY (id, time))")
        db.execute("CREATE INDEX ON used (id) WHERE id > 2")
        db.execute(f"INSERT INTO used {series(1, 30)}")
        db.execute("SET enable_seqscan = off")
        db.execute("SELECT * FROM used WHERE id = 3")
        db.execute("SELECT create_hypertable('used', 'time', migrate_data => true)")
        db.execute("SELECT * FROM used WHERE id = 3")
        db.execute("DROP TABLE used")
    assert db.execute("SELECT 1").fetchone() == (1,)
