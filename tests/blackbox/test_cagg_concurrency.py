"""Continuous aggregates beside writers, refreshes, crashes and replicas: in every snapshot all ways to ask give one answer.

The same question is answered from continuous aggregates where that is possible (ROUTED), from the hypertable alone (a condition
on a column that no continuous aggregate has sees to that), and by real-time views. A reader compares them in one statement, or
in the statements of one snapshot.
"""

import collections
import contextlib
import os
import random
import threading
import time

import psycopg
import pytest
from invariants import assert_log_is_clean, assert_not_corrupt, assert_nothing_half_made
from server import Server

SOAK = bool(os.environ.get("TSC_SOAK"))
SECONDS = float(os.environ.get("TSC_STRESS_SECONDS", 300 if SOAK else 12))
ROUNDS = int(os.environ.get("TSC_CRASH_ROUNDS", 60 if SOAK else 5))
SPAN, CHUNK = 1000, 100

SETUP = f"""
CREATE TABLE m (t int NOT NULL, dev int NOT NULL, id bigint NOT NULL, v int);
SELECT create_hypertable('m', 't', chunk_time_interval => {CHUNK});
CREATE INDEX ON m (id);
ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = 'dev', timescaledb.compress_orderby = 't');
CREATE FUNCTION now_m() RETURNS int LANGUAGE sql STABLE AS 'SELECT {SPAN}';
SELECT set_integer_now_func('m', 'now_m');
CREATE SEQUENCE ids;
INSERT INTO m SELECT g % {SPAN}, g % 4, nextval('ids'), g % 100 FROM generate_series(1, 3000) AS g;
SELECT compress_chunk(c) FROM show_chunks('m', older_than => 300) AS c;
CREATE MATERIALIZED VIEW tens WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(10, t) AS b, dev, count(*) AS n, sum(v) AS s, max(v) AS high FROM m GROUP BY 1, 2;
CREATE MATERIALIZED VIEW fifties WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(50, t) AS b, dev, count(*) AS n, sum(v) AS s, max(v) AS high FROM m GROUP BY 1, 2;
CREATE MATERIALIZED VIEW above WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(100, b) AS b, dev, sum(n) AS n, sum(s) AS s, max(high) AS high FROM tens GROUP BY 1, 2 WITH NO DATA;
"""
VIEWS = {"tens": 10, "fifties": 50, "above": 100}
# {w} is a width, {where} a condition on time and device, {own} what keeps continuous aggregates out.
GROUPED = "SELECT time_bucket({w}, t) AS b, dev, count(*)::numeric AS n, sum(v)::numeric AS s, max(v) AS high FROM m WHERE {where}{own} GROUP BY 1, 2"
TOTAL = "SELECT 0 AS b, 0 AS dev, count(*)::numeric AS n, sum(v)::numeric AS s, max(v) AS high FROM m WHERE {where}{own}"
COARSE = "SELECT 0 AS b, dev, count(*)::numeric AS n, sum(v)::numeric AS s, max(v) AS high FROM m WHERE {where}{own} GROUP BY dev"
# What the catalog says of the three.
STATE = """SELECT string_agg(concat_ws(' ', a.user_view, r.kind, r.low, r.high), '; ' ORDER BY a.user_view::text, r.kind, r.low, r.high)
    FROM _timescaledb_config.continuous_agg AS a JOIN _timescaledb_config.continuous_agg_range AS r USING (storage)"""
OWN = " AND (id > 0 OR id IS NULL)"
LOST = {"40001", "40P01", "55P03"}


def unequal(a, b):
    return f"SELECT count(*) FROM ({differences(a, b)}) AS x"


def differences(a, b):
    """The rows that only one of two queries gives, in one snapshot."""
    return f"SELECT 'first' AS only, x.* FROM ({a} EXCEPT ALL {b}) AS x UNION ALL SELECT 'second', x.* FROM ({b} EXCEPT ALL {a}) AS x"


def questions(chance):
    """A question twice, for continuous aggregates and for the hypertable."""
    low = chance.randrange(SPAN)
    where = chance.choice(["true", f"t >= {low}", f"t >= {low} AND t < {low + chance.choice([10, 100, 333])}", f"t < {low} AND dev <> 2"])
    text = chance.choice([GROUPED, GROUPED, TOTAL, COARSE])
    width = chance.choice([10, 10, 20, 50, 100])
    return tuple(text.format(w=width, where=where, own=own) for own in ("", OWN))


def of_view(view):
    width = VIEWS[view]
    return f"SELECT b, dev, n::numeric, s::numeric, high FROM {view}", GROUPED.format(w=width, where="true", own=OWN)


class Crew:
    """Sessions that work until the time is up, or something is wrong, or the server is gone."""

    def __init__(self, server, database, seconds, views=True):
        self.server, self.database, self.views = server, database, views
        self.deadline = time.monotonic() + seconds
        self.wrong, self.done, self.dying = [], collections.Counter(), False

    def running(self):
        return time.monotonic() < self.deadline and not self.wrong

    def start(self, *works):
        self.threads = [threading.Thread(target=self.session, args=(work, number)) for number, work in enumerate(works)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a session does not end"

    def session(self, work, number):
        chance = random.Random(f"{work.__name__} {number} {os.urandom(4) if SOAK else ''}")
        try:
            with self.server.connect(self.database) as connection:
                connection.prepare_threshold = 3
                connection.execute("SET client_min_messages = error; SET lock_timeout = '10s'; SET deadlock_timeout = '200ms'; SET statement_timeout = '60s'; SET timescaledb.enable_cagg_rewrites = on")
                while self.running():
                    try:
                        work(self, connection, chance)
                    except psycopg.OperationalError as error:
                        if error.sqlstate not in LOST:
                            raise
                        self.done[f"{work.__name__} {error.sqlstate}"] += 1
                    except psycopg.Error as error:
                        if error.sqlstate not in LOST:
                            self.wrong.append(f"{work.__name__}: {error.sqlstate} {error}")
                    self.done[work.__name__] += 1
        except Exception as error:
            if not (self.dying and isinstance(error, (psycopg.OperationalError, psycopg.Rollback))):
                self.wrong.append(f"{work.__name__} ended: {error!r}")


def compare(crew, connection, pair, what):
    found = connection.execute(f"SELECT x.*, CASE WHEN row_number() OVER () = 1 THEN ({STATE}) END FROM ({differences(*pair)}) AS x").fetchall()
    if found:
        crew.wrong.append(f"{what}: {len(found)} rows differ of {pair}: {[tuple(map(str, row)) for row in found[:6]]}")


def read_statement(crew, connection, chance):
    """One statement, READ COMMITTED if chunks stay: one that is made or dropped while a statement is planned is seen by others than see its rows."""
    if crew.views:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    else:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    pair = of_view(chance.choice(list(VIEWS))) if crew.views and chance.random() < 0.4 else questions(chance)
    with connection.transaction():
        connection.execute("LOCK TABLE m IN ACCESS SHARE MODE")
        connection.execute(f"SET LOCAL plan_cache_mode = {chance.choice(['auto', 'force_generic_plan'])}")
        compare(crew, connection, pair, "in one statement")


def read_snapshot(crew, connection, chance):
    """One snapshot: with routing, without, through the views, with pauses in which others commit."""
    connection.isolation_level = chance.choice([psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
    routed, _ = questions(chance)
    view, alone = of_view(chance.choice(list(VIEWS)))
    with connection.transaction():
        # That a chunk was dropped is seen by older snapshots, too, so none is dropped between the snapshot and its first query.
        connection.execute("LOCK TABLE m IN ACCESS SHARE MODE")
        answers = []
        settings = chance.sample(["on", "off", "on"], 3)
        for setting in settings:
            connection.execute(f"SET LOCAL timescaledb.enable_cagg_rewrites = {setting}")
            answers.append(sorted(connection.execute(routed).fetchall()))
            time.sleep(chance.random() / 30)
        if answers[0] != answers[1] or answers[1] != answers[2]:
            crew.wrong.append(f"in one snapshot: {routed}: {settings}: {[[row for row in a if row not in answers[0]][:3] for a in answers]}")
        if crew.views and sorted(connection.execute(view).fetchall()) != sorted(connection.execute(alone).fetchall()):
            crew.wrong.append(f"in one snapshot: {view} is not {alone}")


def write(crew, connection, chance):
    """One or several changes, at the head or late, that end in any way."""
    connection.isolation_level = chance.choice([psycopg.IsolationLevel.READ_COMMITTED] * 3 + [psycopg.IsolationLevel.REPEATABLE_READ])
    with connection.transaction():
        for _ in range(chance.choice([1, 1, 2, 5])):
            change(connection, chance)
            if chance.random() < 0.15:
                with contextlib.suppress(psycopg.Rollback), connection.transaction():
                    change(connection, chance)
                    raise psycopg.Rollback
        time.sleep(chance.random() / 100)
        if chance.random() < 0.15:
            raise psycopg.Rollback


def change(connection, chance):
    at = chance.choice([SPAN - 1 - chance.randrange(10), chance.randrange(SPAN)])
    dev = chance.randrange(4)
    kind = chance.random()
    if kind < 0.3:
        connection.execute(f"INSERT INTO m VALUES ({at}, {dev}, nextval('ids'), {chance.randrange(200)})")
    elif kind < 0.4:
        connection.execute(f"INSERT INTO m SELECT (g * 37 + {at}) % {SPAN}, g % 4, nextval('ids'), g FROM generate_series(1, {chance.choice([3, 30])}) AS g")
    elif kind < 0.5:
        with connection.cursor().copy("COPY m FROM STDIN") as copy:
            for number in range(20):
                copy.write_row((at, dev, 10**9 + chance.randrange(10**9), number))
    elif kind < 0.7:
        connection.execute(f"UPDATE m SET v = v + 1 WHERE t = {at} AND dev = {dev}")
    elif kind < 0.8:
        connection.execute(f"UPDATE m SET t = {chance.randrange(SPAN)} WHERE id IN (SELECT id FROM m WHERE t = {at} ORDER BY id LIMIT 2)")
    elif kind < 0.97:
        connection.execute(f"DELETE FROM m WHERE t = {at} AND v % 3 = {chance.randrange(3)}")
    else:
        connection.execute(f"DELETE FROM m WHERE t BETWEEN {at} AND {at + 30} AND dev = {dev}")


def write_prepared(crew, connection, chance):
    """Two-phase commit, with time in between."""
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    name = f"p{chance.randrange(10**9)}"
    connection.execute("BEGIN")
    try:
        change(connection, chance)
        connection.execute(f"PREPARE TRANSACTION '{name}'")
    except psycopg.Error:
        if not connection.broken:
            connection.execute("ROLLBACK")
        raise
    time.sleep(chance.random() / 20)
    connection.execute(f"{chance.choice(['COMMIT', 'COMMIT', 'ROLLBACK'])} PREPARED '{name}'")


def refresh(crew, connection, chance):
    """Everything, a window, in steps of its own or in a transaction that may be rolled back."""
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    view = chance.choice(list(VIEWS))
    low = chance.randrange(0, SPAN, 100)
    window = chance.choice(["NULL, NULL", f"{low}, {low + 200}", f"NULL, {low + 100}", f"{low}, NULL"])
    call = f"CALL refresh_continuous_aggregate('{view}', {window}{chance.choice(['', '', ', force => true'])})"
    if chance.random() < 0.75:
        connection.execute(call)
        return
    with connection.transaction():
        if chance.random() < 0.5:
            change(connection, chance)
        connection.execute(call)
        time.sleep(chance.random() / 20)
        if crew.views:
            compare(crew, connection, of_view(view), "in the transaction of a refresh")
        if chance.random() < 0.4:
            raise psycopg.Rollback


def change_form(crew, connection, chance):
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    try:
        chunks = connection.execute("SELECT c::text FROM show_chunks('m') AS c ORDER BY 1").fetchall()
        if chunks:
            call = chance.choice(["compress_chunk('{}')", "compress_chunk('{}', recompress => true)", "decompress_chunk('{}', true)"])
            connection.execute("SELECT " + call.format(chance.choice(chunks)[0]))
    except psycopg.Error as error:
        # The chunk was dropped, or an older snapshot needs its rows.
        if error.sqlstate not in LOST | {"42P01", "55006", "TS001", "TS003"}:
            raise
    time.sleep(0.05)


def drop(crew, connection, chance):
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.execute(f"SELECT drop_chunks('m', older_than => {chance.choice([100, 200, 300])})")
    time.sleep(chance.random() / 3)
    if chance.random() < 0.3:
        connection.execute("CALL refresh_continuous_aggregate('tens', NULL, 400, force => true)")


def settle(server, database, views=True):
    """Everything is refreshed; then storage, views and the hypertable say the same."""
    for view in VIEWS:
        server.psql(f"CALL refresh_continuous_aggregate('{view}', NULL, NULL)", database)
    assert_alike(server, database, views)
    if views:
        for view in VIEWS:
            storage = server.psql(f"SELECT storage FROM _timescaledb_config.continuous_agg WHERE user_view = '{view}'::regclass", database)
            found, wanted = of_view(view)
            assert server.psql(unequal(found.replace(f"FROM {view}", f"FROM {storage}"), wanted), database) == "0", view


def assert_alike(server, database, views=True):
    chance = random.Random(1)
    pairs = [questions(chance) for _ in range(12)] + ([of_view(view) for view in VIEWS] if views else [])
    for pair in pairs:
        assert server.psql(f"SET timescaledb.enable_cagg_rewrites = on; {unequal(*pair)}", database) == "0", pair


def assert_routed(server, database):
    plan = server.psql(f"SET timescaledb.enable_cagg_rewrites = on; EXPLAIN (COSTS OFF) {GROUPED.format(w=10, where='true', own='')}", database)
    assert "cagg_valid" in plan or "materialized_hypertable" in plan, plan
    plan = server.psql(f"SET timescaledb.enable_cagg_rewrites = on; EXPLAIN (COSTS OFF) {GROUPED.format(w=10, where='true', own=OWN)}", database)
    assert "cagg_valid" not in plan and "materialized_hypertable" not in plan, plan


@pytest.mark.timeout(0 if SOAK else 300)
@pytest.mark.parametrize("views", [True, False], ids=["kept_whole", "chunks_dropped"])
def test_every_snapshot_has_one_answer(server, database, views):
    server.psql(SETUP, database)
    assert_routed(server, database)
    crew = Crew(server, database, SECONDS / 2, views)
    crew.start(read_statement, read_statement, read_snapshot, read_snapshot, write, write, write, write_prepared, refresh, refresh, refresh, change_form, *([] if views else [drop]))
    crew.join()
    print(dict(crew.done))
    assert crew.wrong == []
    assert crew.done["refresh"] > 5 and crew.done["read_snapshot"] > 5 and crew.done["write"] > 20, crew.done
    settle(server, database, views)
    assert_nothing_half_made(server, database)
    assert server.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND NOT granted", database) == "0"


@pytest.mark.timeout(0 if SOAK else 300)
def test_a_crash_leaves_every_answer_right():
    chance = random.Random(None if SOAK else 3)
    with Server("cagg-crash", {"checkpoint_timeout": "30s"}) as server:
        server.psql("CREATE EXTENSION timescale_compat")
        server.psql(SETUP)
        for number in range(ROUNDS):
            crew = Crew(server, "postgres", 60)
            crew.start(write, write, write_prepared, refresh, refresh, read_snapshot)
            time.sleep(chance.uniform(0.2, 1.2))
            crew.dying = True
            server.kill9()
            crew.join()
            assert crew.wrong == [], f"round {number}"
            server.start()
            assert_alike(server, "postgres")
            for name in server.psql("SELECT gid FROM pg_prepared_xacts").split():
                server.psql(f"{chance.choice(['COMMIT', 'ROLLBACK'])} PREPARED '{name}'")
                assert_alike(server, "postgres")
            if number % 2:
                settle(server, "postgres")
        settle(server, "postgres")
        assert_nothing_half_made(server, "postgres")
        assert_not_corrupt(server, "postgres")
        assert_log_is_clean(server)


@pytest.mark.timeout(0 if SOAK else 300)
def test_a_replica_answers_the_same():
    chance = random.Random(4)
    with Server("cagg-primary", {"hot_standby_feedback": "on"}) as primary:
        primary.psql("CREATE EXTENSION timescale_compat")
        primary.psql(SETUP)
        replica = primary.replica("cagg-standby", {"hot_standby_feedback": "on", "max_standby_streaming_delay": "-1"})
        try:
            crew = Crew(primary, "postgres", SECONDS / 3)
            beside = Crew(replica, "postgres", SECONDS / 3)
            crew.start(write, write, write_prepared, refresh, refresh)
            # A standby has no SERIALIZABLE.
            beside.start(read_statement, read_statement)
            crew.join()
            beside.join()
            assert crew.wrong == [] and beside.wrong == []
            assert beside.done["read_statement"] > 5
            for _ in range(3):
                with primary.connect() as connection:
                    change(connection, chance)
                primary.wait_for_replay(replica)
                assert_alike(replica, "postgres")
                primary.psql(f"CALL refresh_continuous_aggregate('{chance.choice(list(VIEWS))}', NULL, NULL)")
                primary.wait_for_replay(replica)
                assert_alike(replica, "postgres")
                assert_routed(replica, "postgres")
                for view in VIEWS:
                    assert replica.psql(f"SELECT * FROM {view} ORDER BY 1, 2") == primary.psql(f"SELECT * FROM {view} ORDER BY 1, 2")
            with replica.connect() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("CALL refresh_continuous_aggregate('tens', NULL, NULL)")
            replica.psql("SELECT pg_promote()")
            replica.psql("INSERT INTO m VALUES (5, 1, 7777777, 1); UPDATE m SET v = v + 1 WHERE t < 50")
            assert_alike(replica, "postgres")
            settle(replica, "postgres")
        finally:
            replica.remove()
