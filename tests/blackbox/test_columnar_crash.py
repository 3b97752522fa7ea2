"""kill -9 while chunks change their form and rows of compressed chunks change: all that was committed is there, once."""

import contextlib
import os
import random
import threading
import time

import changes
import psycopg
import pytest
from invariants import assert_not_corrupt, assert_nothing_half_made
from server import Server

SOAK = bool(os.environ.get("TSC_SOAK"))
ROUNDS = int(os.environ.get("TSC_CRASH_ROUNDS", 120 if SOAK else 8))
SESSIONS = 3


class Session(threading.Thread):
    """Changes both tables in one transaction after another, or the form of a chunk, until the server dies."""

    def __init__(self, server, number, seed):
        super().__init__()
        self.server, self.number, self.chance = server, number, random.Random(f"{seed} {number}")
        self.acknowledged = 0
        self.failure = None
        self.first = seed * 10_000

    def run(self):
        with contextlib.suppress(psycopg.OperationalError):
            with self.server.connect() as connection:
                connection.execute("SET client_min_messages = error; SET lock_timeout = '2s'; SET deadlock_timeout = '100ms'")
                for number in range(self.first + 1, self.first + 10_000):
                    self.step(connection, number)
                    self.acknowledged = number

    def step(self, connection, number):
        try:
            with connection.transaction():
                if self.number == 0 or self.chance.random() < 0.3:
                    changes.change_form(connection, self.chance)
                else:
                    statement = changes.change(self.chance, self.number, number)
                    for table in ("m", "twin"):
                        connection.execute(statement.format(table=table))
                connection.execute("INSERT INTO done VALUES (%s, %s)", (self.number, number))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.ObjectInUse):
            with connection.transaction():
                connection.execute("INSERT INTO done VALUES (%s, %s)", (self.number, number))
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            self.failure = error
            raise psycopg.OperationalError from error


@pytest.mark.timeout(0 if SOAK else 300)
def test_a_columnstore_survives_kill_9():
    chance = random.Random(None if SOAK else 5)
    with Server("columnar-crash", {"checkpoint_timeout": "30s"}) as server:
        server.psql("CREATE EXTENSION timescale_compat")
        changes.fill(server)
        for number in range(ROUNDS):
            sessions = [Session(server, session, number) for session in range(SESSIONS)]
            for session in sessions:
                session.start()
            time.sleep(chance.uniform(0.2, 1.2))
            server.kill9()
            for session in sessions:
                session.join(30)
            server.start()
            assert [str(session.failure) for session in sessions if session.failure] == [], f"round {number}"
            for session in sessions:
                last = int(server.psql(f"SELECT coalesce(max(no), {session.first}) FROM done WHERE session = {session.number} AND no > {session.first}"))
                assert last in (session.acknowledged or session.first, (session.acknowledged or session.first) + 1), f"round {number}: session {session.number}"
            changes.assert_alike(server)
            assert_nothing_half_made(server, "postgres")
        steps = int(server.psql("SELECT count(*) FROM done"))
        print(f"{ROUNDS} rounds, {steps} steps")
        assert steps > ROUNDS
        assert_not_corrupt(server, "postgres")
        server.psql("SELECT compress_chunk(c, recompress => true) FROM show_chunks('m') AS c")
        changes.assert_alike(server)
        server.psql("SELECT decompress_chunk(c) FROM show_chunks('m') AS c")
        changes.assert_alike(server)


def test_a_prepared_transaction_survives_kill_9():
    """Two-phase commit of a change of form and of rows; each is committed or rolled back after the crash."""
    with Server("columnar-prepared") as server:
        server.psql("CREATE EXTENSION timescale_compat")
        changes.fill(server)
        for end in ("COMMIT", "ROLLBACK"):
            for form in ("compress_chunk(c, recompress => true)", "decompress_chunk(c, true)"):
                server.psql(f"BEGIN; SELECT {form} FROM show_chunks('m') AS c; UPDATE m SET v = v + 1 WHERE dev = 1; UPDATE twin SET v = v + 1 WHERE dev = 1; PREPARE TRANSACTION 'p'")
                server.kill9()
                server.start()
                server.psql(f"{end} PREPARED 'p'")
                changes.assert_alike(server)
                assert_nothing_half_made(server, "postgres")
