"""A physical replica of compressed chunks: each state of the primary is there, and an old snapshot is right or cancelled."""

import psycopg
import pytest
from invariants import assert_log_is_clean, assert_nothing_half_made
from server import Server

TABLE = """
CREATE TABLE c (t int NOT NULL, dev int NOT NULL, v float8, s text, UNIQUE (dev, t));
SELECT create_hypertable('c', 't', chunk_time_interval => 1000);
ALTER TABLE c SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev', timescaledb.compress_orderby = 't');
INSERT INTO c SELECT g, g % 3, g / 4.0, 's' || g % 10 FROM generate_series(0, 3999) AS g;
"""
QUERIES = ["SELECT count(*), sum(v), min(t), max(t), count(s) FROM c", "SELECT dev, count(*), sum(v) FROM c WHERE s = 's3' GROUP BY dev ORDER BY dev",
           "SELECT t, dev, v, s FROM c WHERE dev = 1 AND t BETWEEN 900 AND 1100 ORDER BY t", "SELECT t FROM c ORDER BY t DESC LIMIT 5", "SELECT count(*) FROM c WHERE t % 7 = 0 OR s IS NULL",
           "SELECT md5(string_agg(c::text, ',' ORDER BY t, dev)) FROM c", "SELECT count(*) FILTER (WHERE is_compressed), count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'c'"]
STATES = ["SELECT compress_chunk(c) FROM show_chunks('c') AS c", "UPDATE c SET v = v + 1 WHERE dev = 1 AND t < 500", "DELETE FROM c WHERE t % 13 = 0",
          "INSERT INTO c SELECT g, 7, 1, NULL FROM generate_series(0, 4500, 10) AS g", "SELECT compress_chunk(c, recompress => true) FROM show_chunks('c') AS c",
          "INSERT INTO c SELECT t, dev, -1, 'up' FROM c WHERE t < 50 ON CONFLICT (dev, t) DO UPDATE SET v = excluded.v", "ALTER TABLE c ADD COLUMN extra int DEFAULT 3",
          "SELECT decompress_chunk(c) FROM show_chunks('c', newer_than => 2000) AS c", "BEGIN; UPDATE c SET s = 'x'; SELECT compress_chunk(c, recompress => true) FROM show_chunks('c') AS c; ROLLBACK",
          "ALTER TABLE c RENAME COLUMN s TO s2; ALTER TABLE c RENAME COLUMN s2 TO s", "SELECT drop_chunks('c', 1000)", "VACUUM FULL c", "VACUUM (FREEZE) c", "TRUNCATE c",
          "INSERT INTO c SELECT g, g % 3, g, 'again' FROM generate_series(0, 999) AS g; SELECT compress_chunk(c) FROM show_chunks('c') AS c",
          "SELECT decompress_chunk(c) FROM show_chunks('c') AS c"]


@pytest.fixture(scope="module")
def pair():
    with Server("columnar-primary", {"hot_standby_feedback": "off"}) as primary:
        primary.psql("CREATE EXTENSION timescale_compat")
        # An old snapshot on the replica is cancelled at once, rather than holding replay back.
        replica = primary.replica("columnar-standby", {"hot_standby_feedback": "off", "max_standby_streaming_delay": "0"})
        try:
            yield primary, replica
            assert_log_is_clean(primary)
            assert_log_is_clean(replica)
        finally:
            replica.remove()


@pytest.fixture
def table(pair):
    pair[0].psql(TABLE)
    yield pair
    pair[0].psql("DROP TABLE c")


def test_a_replica_answers_alike_after_each_change(table):
    primary, replica = table
    with replica.connect() as session:  # one session, whose caches must follow
        session.prepare_threshold = 0
        for state in ["", *STATES]:
            for statement in state.split("; ") if state.startswith("VACUUM") else [state]:
                primary.psql(statement)
            primary.wait_for_replay(replica)
            with replica.replay_paused():
                for query in QUERIES:
                    wanted = primary.psql(query)
                    assert replica.psql(query) == wanted, f"after {state}: {query}"
                    found = session.execute(query).fetchall()
                    assert "\n".join("|".join("" if cell is None else "t" if cell is True else "f" if cell is False else str(cell).removesuffix(".0") for cell in row) for row in found) == wanted.replace(".0|", "|"), \
                        f"the old session, after {state}: {query}"


@pytest.mark.parametrize("change", [0, 1, 2, 4, 7, 10, 13])
def test_a_snapshot_of_the_replica_is_right_or_cancelled(table, change):
    """The primary does not know of the replica's snapshots; what they need may go, but then their statement ends with an error."""
    primary, replica = table
    before = STATES[:change]
    for state in before:
        primary.psql(state)
    primary.wait_for_replay(replica)
    query = "SELECT count(*), sum(v), sum(t) FROM c"
    with replica.connect(autocommit=False) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT 1")  # a snapshot without a lock on the table
        wanted = primary.psql(query)
        for state in [*STATES[change:change + 3], "INSERT INTO c SELECT g + 100000, 9, 1, 'late' FROM generate_series(0, 99) AS g",
                      "SELECT compress_chunk(c, recompress => true) FROM show_chunks('c') AS c"]:
            if "drop_chunks" in state or "TRUNCATE" in state or "VACUUM FULL" in state:
                break  # these are no MVCC on any table
            primary.psql(state)
        primary.wait_for_replay(replica)
        try:
            count, total, times = session.execute(query).fetchone()
            assert f"{count}|{total:g}|{times}" == "|".join(f"{float(cell):g}" if number == 1 else cell for number, cell in enumerate(wanted.split("|")))
        except (psycopg.errors.SerializationFailure, psycopg.errors.QueryCanceled, psycopg.OperationalError, psycopg.errors.SnapshotTooOld, psycopg.errors.ObjectNotInPrerequisiteState):
            pass


def test_a_promoted_replica_goes_on(table):
    primary, replica = table
    primary.psql(STATES[0])
    primary.psql(STATES[1])
    primary.wait_for_replay(replica)
    third = primary.replica("columnar-third")
    try:
        wanted = primary.psql(QUERIES[0])
        third.psql("SELECT pg_promote()")
        assert third.psql(QUERIES[0]) == wanted
        third.psql("UPDATE c SET v = v + 1 WHERE dev = 2; SELECT compress_chunk(c, recompress => true) FROM show_chunks('c') AS c; INSERT INTO c VALUES (99999, 1, 1, 'new')")
        primary.psql("UPDATE c SET v = v + 1 WHERE dev = 2; INSERT INTO c VALUES (99999, 1, 1, 'new')")
        assert third.psql(QUERIES[0]) == primary.psql(QUERIES[0])
        assert_nothing_half_made(third, "postgres")
        assert_log_is_clean(third)
    finally:
        third.remove()


def test_a_replica_refuses_what_changes_chunks_and_reads_merged_ones(table):
    """What a read-only server can't do is PostgreSQL's usual error; chunks that were merged answer as before."""
    primary, replica = table
    primary.psql("ALTER TABLE c SET (timescaledb.compress_chunk_interval = '2000'); SELECT compress_chunk(c) FROM show_chunks('c', older_than => 3000) AS c; INSERT INTO c VALUES (5, 99, 1, 'late')")
    primary.wait_for_replay(replica)
    assert primary.psql("SELECT count(*) FROM show_chunks('c')") == "3"
    with replica.replay_paused():
        for query in QUERIES:
            assert replica.psql(query) == primary.psql(query), query
    chunk = primary.psql("SELECT min(c::text) FROM show_chunks('c') AS c")
    statements = [f"SELECT compress_chunk('{chunk}')", f"SELECT decompress_chunk('{chunk}')", f"CALL convert_to_rowstore('{chunk}')", "UPDATE c SET v = 0", "DELETE FROM c WHERE dev = 1",
                  "INSERT INTO c VALUES (1, 1, 1, '')", "SELECT * FROM c FOR UPDATE", "ALTER TABLE c SET (timescaledb.compress_chunk_interval = '0')",
                  "MERGE INTO c USING (VALUES (1)) AS s (dev) ON c.dev = s.dev WHEN MATCHED THEN DELETE", "TRUNCATE c", "DROP EXTENSION timescale_compat CASCADE"]
    with replica.connect() as session:
        for statement in statements:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.execute(statement)
        with replica.replay_paused():
            assert session.execute("SELECT count(*) FROM c").fetchone() == (4001,)


def test_a_replicas_older_snapshot_sees_what_was_merged_or_is_cancelled(table):
    primary, replica = table
    primary.psql("SELECT compress_chunk(c) FROM show_chunks('c', older_than => 1000) AS c")
    primary.wait_for_replay(replica)
    query = "SELECT count(*), sum(v), sum(t) FROM c"
    wanted = primary.psql(query)
    with replica.connect(autocommit=False) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT 1")
        primary.psql("UPDATE c SET v = v + 1 WHERE t < 1500; INSERT INTO c VALUES (1500, 50, 1, 'new')")
        primary.psql("ALTER TABLE c SET (timescaledb.compress_chunk_interval = '4000')")
        primary.psql("SELECT compress_chunk(c) FROM show_chunks('c') AS c")
        assert primary.psql("SELECT count(*) FROM show_chunks('c')") == "1"
        primary.wait_for_replay(replica)
        try:
            found = session.execute(query).fetchone()
        except (psycopg.errors.SerializationFailure, psycopg.OperationalError):
            return
        assert "|".join(str(cell).removesuffix(".0") for cell in found) == wanted
