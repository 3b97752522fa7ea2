"""Physical replicas, and logical replication in both directions."""

import time

import psycopg
import pytest
from invariants import assert_log_is_clean, assert_nothing_half_made
from server import Server

TABLE = """
CREATE TABLE t (time timestamptz NOT NULL, id int, PRIMARY KEY (id, time));
SELECT create_hypertable('t', 'time', chunk_time_interval => interval '1 day');
"""
ANSWER = "SELECT count(*), sum(id), min(time), max(time) FROM t WHERE time > '2024-01-05'; SELECT tableoid::regclass, count(*) FROM t GROUP BY 1 ORDER BY 1"


@pytest.fixture(scope="module")
def primary():
    with Server("primary") as server:
        server.psql("CREATE EXTENSION timescale_compat;" + TABLE)
        yield server
        assert_log_is_clean(server)


def rows(first, count, every="5 hours"):
    return f"INSERT INTO t SELECT timestamptz '2024-01-01+00' + g * interval '{every}', g FROM generate_series({first}, {first + count - 1}) AS g"


def test_a_replica_answers_alike_refuses_to_write_and_takes_over(primary):
    primary.psql(rows(1, 100))
    replica = primary.replica("standby")
    try:
        primary.psql(rows(101, 200))
        primary.wait_for_replay(replica)
        assert replica.psql(ANSWER) == primary.psql(ANSWER)
        for write in ("INSERT INTO t VALUES ('2050-01-01', 1)", "COPY t FROM STDIN", "UPDATE t SET time = '2050-01-01' WHERE id = 1", "SELECT create_hypertable('u', 'time')"):
            with replica.connect() as connection:
                if write.startswith("SELECT"):
                    continue
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    if write.startswith("COPY"):
                        with connection.cursor().copy(write) as copy:
                            copy.write("2050-01-01\t1\n")
                    else:
                        connection.execute(write)
        with replica.connect() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("SELECT set_chunk_time_interval('t', interval '2 days')")
        replica.psql("SELECT pg_promote()")
        replica.psql(rows(1000, 50, "31 hours"))
        replica.psql("INSERT INTO t VALUES ('2050-01-01', 1); CREATE TABLE v (time timestamptz NOT NULL); SELECT create_hypertable('v', 'time'); INSERT INTO v VALUES (now())")
        assert replica.psql("SELECT count(*) FROM t") == "351"
        assert_nothing_half_made(replica, "postgres")
        assert_log_is_clean(replica)
    finally:
        replica.remove()


def test_a_hypertable_publishes_under_its_own_name(primary):
    primary.psql("TRUNCATE t; CREATE PUBLICATION p FOR TABLE t WITH (publish_via_partition_root = true);" + rows(1, 20))
    with Server("subscriber") as subscriber:
        subscriber.psql("CREATE TABLE t (time timestamptz NOT NULL, id int, PRIMARY KEY (id, time))")
        subscribe(primary, subscriber, "p", "s")
        primary.psql(rows(21, 100))  # in chunks that did not exist when it subscribed
        primary.psql("UPDATE t SET time = time + interval '1 year' WHERE id = 3; DELETE FROM t WHERE id = 4")
        wait_for(subscriber, "SELECT count(*) FROM t", "119")
        assert subscriber.psql("SELECT * FROM t ORDER BY id") == primary.psql("SELECT * FROM t ORDER BY id")
        subscriber.psql("DROP SUBSCRIPTION s")
    primary.psql("DROP PUBLICATION p")


def subscribe(publisher, subscriber, publication, name):
    subscriber.psql(f"CREATE SUBSCRIPTION {name} CONNECTION '{publisher.dsn()}' PUBLICATION {publication}")


def wait_for(server, query, answer, seconds=30):
    deadline = time.monotonic() + seconds
    while (found := server.psql(query)) != answer:
        assert time.monotonic() < deadline, f"{query} gave {found}, not {answer}:\n{server.log()[-2000:]}"
        time.sleep(0.1)
