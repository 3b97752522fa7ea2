"""Statements on the columnstore that are cancelled at any moment: nothing is lost, and the session goes on."""

import os
import random
import threading
import time

import changes
import psycopg
import pytest
from invariants import assert_nothing_half_made

SOAK = bool(os.environ.get("TSC_SOAK"))
ROUNDS = 3000 if SOAK else 120
CANCELLED = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.ObjectInUse)


@pytest.mark.timeout(0 if SOAK else 300)
def test_a_timeout_at_any_moment_changes_nothing(server, database):
    chance = random.Random(None if SOAK else 3)
    changes.fill(server, database, rows=3000)
    cancelled = 0
    with server.connect(database) as connection:
        connection.execute("SET client_min_messages = error")
        for number in range(ROUNDS):
            timeout = chance.choice([1, 2, 3, 5, 8, 12, 20, 30])
            device = chance.randrange(4)
            statement = changes.change(chance, device, number)
            try:
                with connection.transaction():
                    connection.execute(f"SET LOCAL statement_timeout = '{timeout}ms'")
                    if chance.random() < 0.5:
                        changes.change_form(connection, chance)
                    connection.execute(statement.format(table="m"))
                    connection.execute("SET LOCAL statement_timeout = 0")
                    connection.execute(statement.format(table="twin"))
            except CANCELLED:
                cancelled += 1
            if number % 10 == 0:
                assert connection.execute(changes.DIFFERENT).fetchone() == ("0 0 true",), f"round {number}"
        locks = connection.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384").fetchone()
        assert locks == (0,)
    print(f"{cancelled} of {ROUNDS} cancelled")
    assert cancelled > ROUNDS / 20
    changes.assert_alike(server, database)
    assert_nothing_half_made(server, database)


@pytest.mark.timeout(0 if SOAK else 300)
@pytest.mark.parametrize("call", ["pg_cancel_backend", "pg_terminate_backend"])
def test_cancelled_and_ended_from_outside(server, database, call):
    chance = random.Random(None if SOAK else call)
    changes.fill(server, database, rows=2000)
    deadline = time.monotonic() + (120 if SOAK else 4)
    failures = []

    def work(device):
        mine = random.Random(f"{call} {device}")
        number = 0
        while time.monotonic() < deadline:
            try:
                with server.connect(database) as connection:
                    connection.execute("SET client_min_messages = error; SET lock_timeout = '2s'")
                    while time.monotonic() < deadline:
                        number += 1
                        statement = changes.change(mine, device, number)
                        try:
                            with connection.transaction():
                                if mine.random() < 0.5:
                                    changes.change_form(connection, mine)
                                for table in ("m", "twin"):
                                    connection.execute(statement.format(table=table))
                        except CANCELLED:
                            pass
            except psycopg.OperationalError:
                continue
            except psycopg.Error as error:
                failures.append(f"{error.sqlstate} {error}")
                return

    threads = [threading.Thread(target=work, args=(device,)) for device in range(3)]
    for thread in threads:
        thread.start()
    with server.connect(database) as killer:
        while time.monotonic() < deadline:
            time.sleep(chance.uniform(0.001, 0.06))
            killer.execute(f"SELECT {call}(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                           " ORDER BY random() LIMIT 1")
    for thread in threads:
        thread.join()
    assert failures == []
    changes.assert_alike(server, database)
    assert_nothing_half_made(server, database)
