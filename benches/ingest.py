"""Throughput of COPY from a file and from a client, INSERT of 1000 rows a statement, INSERT .. SELECT; one and two sessions."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg

import data
from bench import Bench
from legs import COLUMNS, EPOCH, LOADED_LEGS, Leg, Span
from measure import Goal, Measurement, interleave
from scale import CHUNK, HOURS
from sql import scalar, send

SPAN = Span(EPOCH, HOURS * 3600 // int(CHUNK.total_seconds()), CHUNK)
GOAL = Goal(1.03)
BLOCK = 1 << 18

# What a session does, given its connection and the share of the rows that is its own.
Load = Callable[[psycopg.Connection, int, int], None]


def run(bench: Bench) -> Iterator[Measurement]:
    hosts, few = bench.scale.copy_hosts, bench.scale.insert_hosts
    prepare_files(hosts, few)
    kinds: list[tuple[str, int, Load]] = [
        ("COPY from a file", hosts, copy_file(hosts)),
        ("COPY from the client", hosts, copy_client(hosts)),
        (f"INSERT of {data.ROWS_PER_STATEMENT} rows", few, insert_rows(few)),
        ("INSERT .. SELECT", hosts, insert_select),
    ]
    for sessions in (1, 2):
        with bench.connect() as conn:
            make_sources(conn, hosts, sessions)
        for name, of, load in kinds:
            name = f"{name}, {sessions} session{'s' if sessions > 1 else ''}"
            measurement = bench.measurement(name, "k rows/s", LOADED_LEGS, GOAL, data.rows(of))
            sample = partial(load_once, bench, measurement, load, sessions)
            yield from interleave(measurement, bench.scale.rounds, sample)
    with bench.connect() as conn:
        conn.execute("DROP TABLE IF EXISTS src_0, src_1")


def load_once(bench: Bench, measurement: Measurement, load: Load, sessions: int, leg: Leg) -> float:
    """Loads a new table and returns the seconds from the start of all sessions to the end of the last."""
    with bench.connect() as conn:
        bench.tables.create(conn, leg, "cpu", SPAN)
        try:
            conn.execute("CHECKPOINT")
            seconds, cpu = run_sessions(bench, load, sessions)
            found = scalar(conn, "SELECT count(*) FROM cpu")
            if found != measurement.rows:
                raise RuntimeError(f"{found} rows where {measurement.rows} were loaded")
            measurement.cpu.setdefault(leg, []).append(cpu)
            return seconds
        finally:
            conn.execute("DROP TABLE cpu")


def run_sessions(bench: Bench, load: Load, sessions: int) -> tuple[float, float]:
    """Seconds on the clock, and of the processors in the servers of the sessions."""
    barrier = threading.Barrier(sessions + 1)
    errors: list[BaseException] = []
    used: list[float] = []

    def session(part: int) -> None:
        try:
            with bench.connect() as conn:
                conn.execute("SELECT 1")
                before = processor_seconds(conn)
                barrier.wait()
                load(conn, part, sessions)
                used.append(processor_seconds(conn) - before)
        except BaseException as error:  # raised again by the main thread
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=session, args=(part,)) for part in range(sessions)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if errors:
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return seconds, sum(used)


def processor_seconds(conn: psycopg.Connection) -> float:
    return int(Path(f"/proc/{conn.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def copy_file(hosts: int) -> Load:
    def load(conn: psycopg.Connection, part: int, parts: int) -> None:
        conn.execute(f"COPY cpu FROM '{data.csv(hosts, part, parts)}' (FORMAT csv)")

    return load


def copy_client(hosts: int) -> Load:
    def load(conn: psycopg.Connection, part: int, parts: int) -> None:
        with open(data.csv(hosts, part, parts), "rb") as rows, conn.cursor() as cursor:
            with cursor.copy("COPY cpu FROM STDIN (FORMAT csv)") as copy:
                while block := rows.read(BLOCK):
                    copy.write(block)

    return load


def insert_rows(hosts: int) -> Load:
    def load(conn: psycopg.Connection, part: int, parts: int) -> None:
        with open(data.statements(hosts, part, parts), "rb") as statements:
            for statement in statements:
                send(conn, statement)

    return load


def insert_select(conn: psycopg.Connection, part: int, _parts: int) -> None:
    conn.execute(f"INSERT INTO cpu SELECT * FROM src_{part}")


def prepare_files(hosts: int, few: int) -> None:
    for parts in (1, 2):
        for part in range(parts):
            data.csv(hosts, part, parts)
            data.statements(few, part, parts)


def make_sources(conn: psycopg.Connection, hosts: int, sessions: int) -> None:
    """Tables to select from, one for each session."""
    conn.execute("DROP TABLE IF EXISTS src_0, src_1")
    for part in range(sessions):
        conn.execute(f"CREATE UNLOGGED TABLE src_{part} ({COLUMNS})")
        conn.execute(f"COPY src_{part} FROM '{data.csv(hosts, part, sessions)}' (FORMAT csv)")
        conn.execute(f"VACUUM (FREEZE, ANALYZE) src_{part}")

