"""What is logged for continuous aggregates where no statement of this server changes rows."""

import time

from server import Server

TABLE = "CREATE TABLE m (time int NOT NULL, id int, v int, PRIMARY KEY (time, id));"
# The ranges are written by hand: buckets of 10, all materialized.
AGGREGATE = """
CREATE TABLE storage (bucket int NOT NULL, n int);
SELECT create_hypertable('storage', by_range('bucket', 1000));
CREATE VIEW the_view AS SELECT 1 AS x;
CREATE VIEW the_partial_view AS SELECT 1 AS x;
CREATE VIEW the_direct_view AS SELECT 1 AS x;
INSERT INTO _timescaledb_config.continuous_agg VALUES (1000, 'storage', 'm', 'the_view', 'the_partial_view', 'the_direct_view', true, 10);
INSERT INTO _timescaledb_config.continuous_agg_range VALUES ('storage', 'm', -9223372036854775808, 9223372036854775807);
"""
ALL = "[-9223372036854775808,9223372036854775807]"
LOGGED = "SELECT string_agg(format('[%s,%s]', low, high), ' ' ORDER BY low) FROM (SELECT DISTINCT low, high FROM _timescaledb_config.hypertable_change) c"
TAKE = "UPDATE _timescaledb_config.continuous_agg_range SET low = low; DELETE FROM _timescaledb_config.hypertable_change"


def wait_for(server, query, answer, seconds=30):
    deadline = time.monotonic() + seconds
    while (found := server.psql(query)) != answer:
        assert time.monotonic() < deadline, f"{query} gave {found}, not {answer}:\n{server.log()[-2000:]}"
        time.sleep(0.1)


def test_what_a_subscription_brings_is_logged():
    """Its workers change rows without a planner or an executor: those copied at first, then each INSERT, UPDATE, DELETE and TRUNCATE, also
    in chunks that were there before and in chunks that are made on the way."""
    with Server("publisher") as publisher, Server("subscriber") as subscriber:
        publisher.psql(TABLE + "ALTER TABLE m REPLICA IDENTITY FULL; INSERT INTO m VALUES (5, 1, 0), (3005, 1, 0); CREATE PUBLICATION p FOR TABLE m")
        subscriber.psql("CREATE EXTENSION timescale_compat;" + TABLE + "SELECT create_hypertable('m', by_range('time', 100));"
                        "INSERT INTO m VALUES (6, 9, 0), (7, 9, 0); ALTER TABLE m REPLICA IDENTITY FULL;" + AGGREGATE)
        subscriber.psql(f"CREATE SUBSCRIPTION s CONNECTION '{publisher.dsn()}' PUBLICATION p")
        wait_for(subscriber, LOGGED, "[0,9] [3000,3009]")
        wait_for(subscriber, "SELECT string_agg(srsubstate::text, '') FROM pg_subscription_rel", "r")
        for statement, logged in (
            ("INSERT INTO m VALUES (11, 1, 0), (155, 1, 0), (-25, 1, 0)", "[-30,-21] [10,19] [150,159]"),
            ("UPDATE m SET v = 1 WHERE time = 155", "[150,159]"),
            ("UPDATE m SET time = 33 WHERE time = 11", "[10,19] [30,39]"),
            ("UPDATE m SET time = 266 WHERE time = 33", "[30,39] [260,269]"),
            ("DELETE FROM m WHERE time > 200", "[260,269] [3000,3009]"),
            ("TRUNCATE m", ALL),
        ):
            subscriber.psql(TAKE)
            publisher.psql(statement)
            wait_for(subscriber, LOGGED, logged)
        # Statements of the subscriber's own don't meet the triggers.
        subscriber.psql(TAKE)
        subscriber.psql("INSERT INTO m VALUES (44, 1, 0)")
        assert subscriber.psql(LOGGED) == "[40,49]"
        subscriber.psql("DROP SUBSCRIPTION s")


def test_batches_that_a_delete_takes_whole_are_logged():
    """The statement sees no row of them."""
    with Server("whole", {"wal_level": "replica", "max_wal_senders": 0}) as server:
        server.psql("CREATE EXTENSION timescale_compat; CREATE TABLE m (time int NOT NULL, id int, v int); SELECT create_hypertable('m', by_range('time', 1000));"
                    "ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = 'id');"
                    "INSERT INTO m SELECT t, id, 0 FROM generate_series(105, 895) t, generate_series(1, 5) id, generate_series(1, 3);"
                    "SELECT compress_chunk(c) FROM show_chunks('m') c;" + AGGREGATE)
        plan = server.psql("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) DELETE FROM m WHERE id = 2 AND time < 900")
        assert "Custom Scan (ChangeRecorder) (actual rows=0 loops=1)" in plan
        assert server.psql("SELECT count(*), count(*) FILTER (WHERE id = 2) FROM m") == "9492|0"
        assert server.psql(LOGGED) == "[100,899]"
