"""Readers of all isolation levels beside sessions that change rows and the form of chunks: not one wrong answer.

Money moves between accounts, so that the sum stays nothing and the number of accounts stays what it was. Rows of times from
FAR on come and go in pairs that cancel out, with their chunks.
"""

import collections
import os
import random
import threading
import time

import psycopg
import pytest
from invariants import assert_not_corrupt, assert_nothing_half_made

SOAK = bool(os.environ.get("TSC_SOAK"))
SECONDS = float(os.environ.get("TSC_STRESS_SECONDS", 300 if SOAK else 15))
ACCOUNTS, CHUNKS, DEVICES, FAR = 600, 4, 3, 1000

# Serialization failures, deadlocks, locks not had in time.
LOST = {"40001", "40P01", "55P03"}
# What a session that changes forms may meet, too: a chunk that was just dropped, or whose rows an older snapshot needs.
GONE = {"42P01", "55006", "TS001", "TS003"}

TABLE = f"""
CREATE TABLE m (t int NOT NULL, dev int NOT NULL, id int NOT NULL, v bigint, filler text{{extra}});
SELECT create_hypertable('m', 't', chunk_time_interval => 100);
ALTER TABLE m SET (timescaledb.compress, timescaledb.compress_segmentby = '{{segment}}', timescaledb.compress_orderby = '{{order}}');
INSERT INTO m SELECT g * {CHUNKS * 100} / {ACCOUNTS}, g % {DEVICES}, g, 0, 'f' || g % 10 FROM generate_series(0, {ACCOUNTS - 1}) AS g;
CREATE TABLE book (id int PRIMARY KEY, v bigint);
INSERT INTO book SELECT id, v FROM m;
"""

# Each must give 0 and, where there are two columns, the number of accounts.
SUMS = [
    "SELECT sum(v)::bigint, count(*) FILTER (WHERE t < 1000) FROM m",
    "SELECT sum(s)::bigint, sum(c)::bigint FROM (SELECT dev, sum(v) AS s, count(*) FILTER (WHERE t < 1000) AS c FROM m GROUP BY dev) AS x",
    "SELECT sum(v)::bigint, count(DISTINCT id) FROM (SELECT * FROM m WHERE t < 1000 ORDER BY t, id) AS x",
    "SELECT sum(v)::bigint, count(*) FROM m WHERE t < 1000 AND dev IN (0, 1, 2)",
    "SELECT (SELECT sum(v) FROM m WHERE t < 200)::bigint + (SELECT sum(v) FROM m WHERE t >= 200)::bigint, count(*) FROM m WHERE id < 1000",
    "SELECT sum(a.v)::bigint, count(*) FROM generate_series(0, 2) AS d, LATERAL (SELECT * FROM m WHERE dev = d AND t < 1000) AS a",
    "SELECT sum(x.v - b.v)::bigint, count(*) FROM (SELECT id, v FROM m WHERE t < 1000) AS x JOIN book AS b USING (id)",
]


class Bank:
    """The sessions' common state: when to stop, what went wrong, what was done."""

    def __init__(self, server, database, seconds):
        self.server, self.database = server, database
        self.deadline = time.monotonic() + seconds
        self.wrong = []
        self.done = collections.Counter()

    def running(self):
        return time.monotonic() < self.deadline and not self.wrong

    def session(self, work, number):
        chance = random.Random(f"{work.__name__} {number} {os.urandom(4) if SOAK else ''}")
        try:
            with self.server.connect(self.database) as connection:
                connection.prepare_threshold = 3
                connection.execute("SET client_min_messages = error; SET lock_timeout = '3s'; SET deadlock_timeout = '100ms'; SET statement_timeout = '60s'")
                while self.running():
                    try:
                        work(self, connection, chance)
                    except psycopg.Error as error:
                        allowed = LOST | GONE if work in (move, drop) else LOST
                        if error.sqlstate not in allowed:
                            self.wrong.append(f"{work.__name__}: {error.sqlstate} {error}")
                        self.done[f"{work.__name__} {error.sqlstate}"] += 1
                    self.done[work.__name__] += 1
        except Exception as error:
            self.wrong.append(f"{work.__name__} ended: {error!r}")


def read(bank, connection, chance):
    level = chance.choice([psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
    connection.isolation_level = level
    connection.execute(f"SET plan_cache_mode = {chance.choice(['auto', 'force_generic_plan'])}")
    with connection.transaction():
        for _ in range(chance.choice([1, 3, 6])):
            query = chance.choice(SUMS)
            found = connection.execute(query, prepare=chance.random() < 0.7).fetchone()
            if found != (0, ACCOUNTS):
                bank.wrong.append(f"{level.name}: {found} from {query}")
                return
            if chance.random() < 0.3:
                time.sleep(chance.random() / 20)


def read_by_cursor(bank, connection, chance):
    connection.isolation_level = chance.choice([psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ])
    total, count, ids = 0, 0, set()
    with connection.transaction(), connection.cursor("c") as cursor:
        cursor.execute("SELECT id, v FROM m WHERE t < 1000")
        while rows := cursor.fetchmany(100):
            total, count = total + sum(row[1] for row in rows), count + len(rows)
            ids |= {row[0] for row in rows}
            time.sleep(chance.random() / 50)
    if (total, count, len(ids)) != (0, ACCOUNTS, ACCOUNTS):
        bank.wrong.append(f"cursor: {total}, {count} rows, {len(ids)} accounts")


def transfer(bank, connection, chance):
    a, b = sorted(chance.sample(range(ACCOUNTS), 2))
    amount = chance.randint(1, 100)
    connection.isolation_level = chance.choice([psycopg.IsolationLevel.READ_COMMITTED] * 2 + [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
    with connection.transaction():
        if chance.random() < 0.5:
            changed = connection.execute("UPDATE m SET v = v + CASE WHEN id = %s THEN %s ELSE %s END WHERE id IN (%s, %s)", (a, amount, -amount, a, b)).rowcount
        else:
            changed = sum(connection.execute("UPDATE m SET v = v + %s WHERE id = %s AND t < 1000", change, prepare=True).rowcount for change in ((amount, a), (-amount, b)))
        # READ COMMITTED may miss a row that was deleted and inserted again while it was waited for.
        if changed != 2 and connection.isolation_level == psycopg.IsolationLevel.READ_COMMITTED:
            raise psycopg.Rollback
        if changed != 2:
            bank.wrong.append(f"{changed} rows changed of the accounts {a} and {b}")
        connection.execute("UPDATE book SET v = v + CASE WHEN id = %s THEN %s ELSE %s END WHERE id IN (%s, %s)", (a, amount, -amount, a, b))


def replace(bank, connection, chance):
    """Rows are deleted and inserted again, one or a device's part of a chunk."""
    connection.isolation_level = chance.choice([psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ])
    start = chance.randrange(CHUNKS) * 100
    where = chance.choice([f"id = {chance.randrange(ACCOUNTS)}", f"dev = {chance.randrange(DEVICES)} AND t BETWEEN {start} AND {start + 99}", f"t = {chance.randrange(CHUNKS * 100)}"])
    with connection.transaction():
        gone = connection.execute(f"DELETE FROM m WHERE t < 1000 AND {where} RETURNING t, dev, id, v, filler").fetchall()
        connection.cursor().executemany("INSERT INTO m (t, dev, id, v, filler) VALUES (%s, %s, %s, %s, %s)", gone)
        if chance.random() < 0.3:
            raise psycopg.Rollback


def move_in_time(bank, connection, chance):
    """To another chunk and, mostly, to another device."""
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    with connection.transaction():
        connection.execute("UPDATE m SET t = %s, dev = %s WHERE id = %s AND t < 1000", (chance.randrange(CHUNKS * 100), chance.randrange(DEVICES), chance.randrange(ACCOUNTS)))


def lock_rows(bank, connection, chance):
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with connection.transaction():
        number = chance.randrange(ACCOUNTS)
        rows = connection.execute(f"SELECT v FROM m WHERE id = {number} AND t < 1000 FOR {chance.choice(['UPDATE', 'SHARE'])}{chance.choice(['', ' NOWAIT'])}").fetchall()
        again = connection.execute(f"SELECT v FROM m WHERE id = {number} AND t < 1000").fetchall()
        if len(rows) != 1 or rows != again:
            bank.wrong.append(f"locked {rows}, then {again}")


def move(bank, connection, chance):
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    chunks = connection.execute("SELECT c::text FROM show_chunks('m') AS c").fetchall()
    if not chunks:
        return
    chunk = chance.choice(chunks)[0]
    call = chance.choice(["compress_chunk('{}')", "compress_chunk('{}', recompress => true)", "compress_chunk('{}')", "decompress_chunk('{}', true)"])
    with connection.transaction():
        connection.execute("SELECT " + call.format(chunk))
        if chance.random() < 0.1:
            raise psycopg.Rollback
    bank.done["forms changed"] += 1


def drop(bank, connection, chance):
    """A chunk of the far future comes, is compressed, and goes."""
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    start = FAR + chance.randrange(2) * 100
    connection.execute("INSERT INTO m SELECT %s + g, g %% 3, %s + g, CASE WHEN g %% 2 = 0 THEN 5 ELSE -5 END, 'far' FROM generate_series(0, 39) AS g", (start, 100_000 + chance.randrange(10_000_000) * 100))
    if chance.random() < 0.7:
        connection.execute(f"SELECT compress_chunk(c) FROM show_chunks('m', newer_than => {FAR}) AS c")
    if chance.random() < 0.7:
        connection.execute(f"SELECT drop_chunks('m', newer_than => {FAR})")


@pytest.mark.timeout(0 if SOAK else 300)
@pytest.mark.parametrize("segment, order, extra", [("dev", "t", ""), ("", "t DESC, id", ", UNIQUE (id, t)")], ids=["segments", "unique"])
def test_no_snapshot_sees_a_row_twice_or_loses_one(server, database, segment, order, extra):
    server.psql(TABLE.format(segment=segment, order=order, extra=extra), database)
    bank = Bank(server, database, SECONDS / 2)
    # With a unique key a row that moves in time may meet another version of itself only in its own transaction.
    crew = [read, read, read, read_by_cursor, transfer, transfer, replace, move_in_time, lock_rows, move, move, drop]
    threads = [threading.Thread(target=bank.session, args=(work, number)) for number, work in enumerate(crew)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(dict(bank.done))
    assert bank.wrong == []
    for query in SUMS:
        assert server.psql(query, database) == f"0|{ACCOUNTS}", query
    server.psql("SELECT compress_chunk(c) FROM show_chunks('m') AS c", database)
    for query in SUMS:
        assert server.psql(query, database) == f"0|{ACCOUNTS}", query
    server.psql("SELECT decompress_chunk(c) FROM show_chunks('m') AS c", database)
    assert server.psql("SELECT count(*), sum(v) FROM m WHERE t < 1000", database) == f"{ACCOUNTS}|0"
    assert_nothing_half_made(server, database)
    assert_not_corrupt(server, database)
