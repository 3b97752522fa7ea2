"""What chunks cost: memory of a statement that writes to many, and the time to make one more."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg

from bench import Bench
from legs import EPOCH, HYPER, HYPER_NEW, NATIVE, Leg, Span, fill, make_partitions, one_row_each, partition_ddl
from measure import Goal, Measurement, attempt, finished, interleave, rotated
from planning import HOUR

MEMORY_LEGS = (NATIVE, HYPER, HYPER_NEW)
MEMORY_ROUNDS = 3
MEMORY_GOAL = Goal(1.25)
CREATION_LEGS = (NATIVE, HYPER_NEW)
CREATION_GOAL = Goal(1.0)
MB = 1 << 20


def memory(bench: Bench) -> Iterator[Measurement]:
    chunks = bench.scale.memory_chunks
    name = f"one INSERT into {chunks} chunks"
    resident, contexts = (bench.measurement(f"{name}, {what}", "MB", MEMORY_LEGS, MEMORY_GOAL)
                          for what in ("peak private memory", "memory contexts at its end"))
    span = Span(EPOCH, chunks, HOUR)
    for number in range(MEMORY_ROUNDS):
        for leg in rotated(MEMORY_LEGS, number):
            seen: list[float] = []
            attempt(resident, leg, memory_of_insert, bench, leg, span, seen)
            if seen:
                attempt(contexts, leg, seen.pop)
    contexts.failures = resident.failures
    yield from finished(resident, contexts)


def memory_of_insert(bench: Bench, leg: Leg, span: Span, contexts: list[float]) -> float:
    """Returns the peak of the session's own memory; the sum of its contexts is taken within the statement, after the last row."""
    with bench.connect() as conn:
        bench.tables.create(conn, leg, "cpu", span)
    try:
        with bench.connect() as conn:
            before = private_peak(conn)
            insert = one_row_each("cpu", span, 0, span.chunks)
            query = (
                f"WITH inserted AS ({insert} RETURNING 1), done AS (SELECT count(*) AS rows FROM inserted)"
                " SELECT rows, (SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE rows > 0) FROM done"
            )
            rows, total = conn.execute(query).fetchall()[0]
            if rows != span.chunks:
                raise RuntimeError(f"{rows} rows where {span.chunks} were inserted")
            contexts.append(float(total) / MB)
            return private_peak(conn) - before
    finally:
        with bench.connect() as conn:
            conn.execute("DROP TABLE cpu")


def private_peak(conn: psycopg.Connection) -> float:
    """Peak resident memory less what is shared with others now: buffers touched and the program itself."""
    lines = Path(f"/proc/{conn.info.backend_pid}/status").read_text().splitlines()
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest}
    return (kilobytes["VmHWM"] - kilobytes["RssFile"] - kilobytes["RssShmem"]) / 1024


def creation(bench: Bench) -> Iterator[Measurement]:
    """The native table's partition is made by DDL and then inserted into, the hypertable's by the insertion."""
    end = max(bench.scale.creation_at) + bench.scale.creations
    span = Span(EPOCH, end, HOUR)
    grown = bench.measurement("growing", "ms", CREATION_LEGS)
    with bench.connect() as conn:
        for leg in CREATION_LEGS:
            attempt(grown, leg, start_growing, bench, conn, leg, span)
        have = 0
        for at in bench.scale.creation_at:
            for leg in CREATION_LEGS:
                attempt(grown, leg, grow, bench, conn, leg, span, have, at)
            one = bench.measurement(f"making a chunk beside {at} others", "ms", CREATION_LEGS, CREATION_GOAL)
            one.failures |= grown.failures
            next_number = {leg: iter(range(at, end)) for leg in CREATION_LEGS}
            yield from interleave(one, bench.scale.creations, partial(create_one, bench, conn, span, next_number))
            grown.failures |= one.failures
            have = at + bench.scale.creations
        for leg in CREATION_LEGS:
            conn.execute(f"DROP TABLE IF EXISTS {table(leg)}")


def table(leg: Leg) -> str:
    return f"growing_{leg.kind}"


def by_ddl(bench: Bench, leg: Leg) -> bool:
    return leg.kind == "native" or bench.tables.self_check


def start_growing(bench: Bench, conn: psycopg.Connection, leg: Leg, span: Span) -> float:
    bench.tables.create(conn, Leg(leg.title, leg.kind, premade=False), table(leg), Span(span.start, 0, span.chunk))
    return 0.0


def grow(bench: Bench, conn: psycopg.Connection, leg: Leg, span: Span, have: int, to: int) -> float:
    if by_ddl(bench, leg):
        make_partitions(conn, table(leg), span, have, to)
    fill(conn, table(leg), span, have, to)
    return 0.0


def create_one(bench: Bench, conn: psycopg.Connection, span: Span, next_number: dict[Leg, Iterator[int]], leg: Leg) -> float:
    number = next(next_number[leg])
    statements = [partition_ddl(table(leg), span, number)] if by_ddl(bench, leg) else []
    statements.append(one_row_each(table(leg), span, number, number + 1))
    start = time.perf_counter()
    for statement in statements:
        conn.execute(statement)
    return (time.perf_counter() - start) * 1000
