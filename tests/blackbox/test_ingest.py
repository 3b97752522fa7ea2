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


@pytest.mark.parametrize("spaces", [1, 2])
def test_a_dropped_chunk_of_a_divided_slice_comes_back(db, spaces):
    db.execute("CREATE TABLE h (time timestamptz NOT NULL, dev int, place text)")
    db.execute("SELECT create_hypertable('h', 'time', 'dev', 3, chunk_time_interval => interval '1 day')")
    if spaces == 2:
        db.execute("SELECT add_dimension('h', 'place', number_partitions => 2)")
    rows = "INSERT INTO h SELECT timestamptz '2024-01-01+00' + g % 2 * interval '1 day', g, 'p' || g FROM generate_series(1, 60) AS g"
    drop = "DO $$ BEGIN EXECUTE (SELECT 'DROP TABLE ' || tableoid::regclass FROM h LIMIT 1); END $$"
    db.execute(rows)
    for _ in range(3):
        db.execute(drop)
        left = db.execute("SELECT count(*) FROM h").fetchone()[0]
        assert left < 60
        db.execute(rows)
        assert db.execute("SELECT count(*) FROM h").fetchone() == (left + 60,)
        db.execute("DELETE FROM h")
        db.execute(rows)
    db.execute(drop)
    with db.cursor() as cursor, cursor.copy("COPY h (time, dev, place) FROM STDIN") as copy:
        for number in range(60):
            copy.write(f"2024-01-0{1 + number % 2} 00:00+00\t{number}\tp{number}\n")
    db.execute("UPDATE h SET time = time + interval '1 day' WHERE dev < 30")
    assert db.execute("SELECT count(*) FROM _timescaledb_config.chunk").fetchone() == db.execute("SELECT count(*) FROM pg_partition_tree('h') WHERE isleaf").fetchone()


def test_parallel_workers_read_for_serializable_transactions(points):
    points.execute(f"INSERT INTO t {series(1, 200)}")
    points.execute("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET force_parallel_mode = on")
    with points.transaction():
        points.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        assert points.execute("SELECT count(*), count(DISTINCT id) FROM t WHERE dev = 1").fetchone() == (200, 200)
