"""Crashes in the middle of ingest: all that was acknowledged is there exactly once, and nothing is half made."""

import contextlib
import os
import random
import signal
import threading
import time

import psycopg
import pytest
from invariants import assert_not_corrupt, assert_nothing_half_made
from server import Server

WRITERS = 4
ROUNDS = 12 if os.environ.get("TSC_SOAK") else 3
TABLE = """
CREATE TABLE t (time timestamptz NOT NULL, writer int NOT NULL, no int NOT NULL, filler text);
SELECT create_hypertable('t', 'time', chunk_time_interval => interval '1 hour');
CREATE UNIQUE INDEX ON t (writer, no, time);
CREATE TABLE d (time timestamptz NOT NULL, writer int NOT NULL, no int NOT NULL, filler text);
SELECT create_hypertable('d', 'time', 'writer', 3, chunk_time_interval => interval '1 hour');
"""


class Writer(threading.Thread):
    """Inserts batches, by INSERT and by COPY in turn, until its session ends; remembers what was acknowledged."""

    def __init__(self, server, number, first):
        super().__init__()
        self.server, self.number, self.first = server, number, first
        self.acknowledged = first - 1
        self.stop = False
        self.failure = None

    def run(self):
        with contextlib.suppress(psycopg.OperationalError):
            with self.server.connect() as connection:
                self.write(connection)

    def write(self, connection):
        no = self.first
        while not self.stop:
            rows = [(f"2024-01-01 00:00+00::{(no + i) * 7}", self.number, no + i, "x" * 50) for i in range(20)]
            try:
                with connection.transaction():
                    for table in ("t", "d"):
                        self.batch(connection, table, no, rows)
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                self.failure = error
                return
            no += len(rows)
            self.acknowledged = no - 1

    def batch(self, connection, table, no, rows):
        at = "timestamptz '2024-01-01+00' + %s * interval '7 minutes'"
        if no % 40 == 1:
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {table} VALUES ({at}, %s, %s, %s)", [(row[2], *row[1:]) for row in rows])
        else:
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    minutes = row[2] * 7
                    day, minute = divmod(minutes, 1440)
                    copy.write(f"{2024 + day // 336}-{day % 336 // 28 + 1:02}-{day % 28 + 1:02} {minute // 60:02}:{minute % 60:02}+00\t{row[1]}\t{row[2]}\t{row[3]}\n")


def kill_backend(server, chance):
    pids = [int(pid) for pid in server.psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()").split()]
    if pids:
        os.kill(chance.choice(pids), signal.SIGKILL)


@pytest.mark.timeout(0 if os.environ.get("TSC_SOAK") else 300)
@pytest.mark.parametrize("victim", ["server", "backend"])
def test_ingest_survives_kill_9(victim):
    chance = random.Random(victim if not os.environ.get("TSC_SOAK") else None)
    with Server(f"crash-{victim}", {"restart_after_crash": "on"}) as server:
        server.psql("CREATE EXTENSION timescale_compat;" + TABLE)
        last = [0] * WRITERS
        for _ in range(ROUNDS):
            writers = [Writer(server, number, last[number] + 1) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.3, 1.5))
            if victim == "server":
                server.kill9()
            else:
                kill_backend(server, chance)
            for writer in writers:
                writer.join(30)
                writer.stop = True
            if victim == "server":
                server.start()
            else:
                wait_until_it_answers(server)
            assert [writer.failure for writer in writers if writer.failure] == []
            for number, writer in enumerate(writers):
                last[number] = check_rows(server, number, writer.acknowledged)
            assert_nothing_half_made(server, "postgres")
        assert sum(last) > 0
        assert_not_corrupt(server, "postgres")


def check_rows(server, number, acknowledged):
    """All acknowledged rows are there once; of the batch whose outcome the writer never learned, all or nothing."""
    counts = set()
    for table in ("t", "d"):
        count, distinct, last = server.psql(f"SELECT count(*) || ' ' || count(DISTINCT no) || ' ' || coalesce(max(no), 0) FROM {table} WHERE writer = {number}").split()
        assert count == distinct == last, f"writer {number} of {table}: {count} rows, {distinct} numbers, last {last}"
        counts.add(int(count))
    assert len(counts) == 1
    found = counts.pop()
    assert found in (acknowledged, acknowledged + 20), f"writer {number}: {found} rows, {acknowledged} acknowledged"
    return found


def wait_until_it_answers(server):
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(psycopg.OperationalError), server.connect() as connection:
            connection.execute("SELECT 1")
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)
