"""Planning time, and time from sending a query to its (almost empty) answer, with more and more chunks of an hour each.

Both are needed: a plan that finds its chunks when it starts moves the cost from the first to the second.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import psycopg

from bench import Bench
from legs import HYPER, NATIVE, Leg, Span, fill, make_partitions
from measure import Goal, Measurement, attempt, finished, rotated
from sql import scalar, send

LEGS = (NATIVE, HYPER)
HOUR = timedelta(hours=1)
AS_NATIVE = Goal(1.10)
ONE_CHUNK_MS = Goal(2.0, partner=None)
COLD_ROUNDS = 5
# The warm measurements are spread over so many sessions.
SESSIONS = 3


def queries(span: Span, bucket: str) -> dict[str, str]:
    low, high = span.bounds(span.chunks // 2)
    one_host = "SELECT avg(usage_user) FROM {table} WHERE hostname = 'host_0' AND "
    return {
        "one chunk by constants": one_host + f"time >= '{low}' AND time < '{high}'",
        "last half hour by now()": one_host + "time > now() - interval '30 minutes'",
        "one bucket": one_host + f"{bucket} = '{low}'",
        "GROUP BY over all": "SELECT hostname, count(*), max(usage_user) FROM {table} GROUP BY hostname",
        "ORDER BY time DESC LIMIT 1": "SELECT * FROM {table} ORDER BY time DESC LIMIT 1",
    }


def run(bench: Bench) -> Iterator[Measurement]:
    for chunks in bench.scale.planning_chunks:
        now = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
        # Ends an hour after the present one, lest it runs out of chunks while it is measured.
        span = Span(now - (chunks - 2) * HOUR, chunks, HOUR)
        with bench.connect() as conn:
            bucket = bench.bucket(conn, "1 hour")
        setup = bench.measurement(f"making {chunks} chunks with a row each", "ms/chunk", LEGS)
        for leg in LEGS:
            attempt(setup, leg, make, bench, leg, span)
        yield from finished(setup)
        largest = chunks == max(bench.scale.planning_chunks)
        for name, query in queries(span, bucket).items():
            goal = ONE_CHUNK_MS if largest and name == "one chunk by constants" else AS_NATIVE
            yield from measure_query(bench, f"{name}, {chunks} chunks", query, goal, setup)
        with bench.connect() as conn:
            for leg in LEGS:
                conn.execute(f"DROP TABLE IF EXISTS {table(leg)}")


def table(leg: Leg) -> str:
    return f"many_{leg.kind}"


def make(bench: Bench, leg: Leg, span: Span) -> float:
    """Puts a row into each chunk; what the hypertable does as it inserts, the native table needs DDL for."""
    with bench.connect() as conn:
        on_the_fly = leg.kind == "hypertable" and not bench.tables.self_check
        bench.tables.create(conn, Leg(leg.title, leg.kind, premade=False), table(leg), Span(span.start, 0, span.chunk))
        start = time.perf_counter()
        if not on_the_fly:
            make_partitions(conn, table(leg), span, 0, span.chunks)
        fill(conn, table(leg), span, 0, span.chunks)
        seconds = time.perf_counter() - start
        conn.execute(f"ANALYZE {table(leg)}")
        return seconds * 1000 / span.chunks


def measure_query(bench: Bench, name: str, query: str, goal: Goal, setup: Measurement) -> Iterator[Measurement]:
    """Alternates between the tables in one warm session, lest the cores that sessions happen to be on make a difference."""
    planned = bench.measurement(f"plan: {name}", "ms", LEGS, goal)
    ran = bench.measurement(f"run: {name}", "ms", LEGS, AS_NATIVE)
    cold = bench.measurement(f"first in a session: {name}", "ms", LEGS)
    for measurement in (planned, ran, cold):
        measurement.failures |= setup.failures
    for number in range(COLD_ROUNDS):
        for leg in rotated(LEGS, number):
            attempt(cold, leg, first_in_session, bench, query.format(table=table(leg)))
    for _ in range(SESSIONS):
        with bench.connect() as conn:
            alternate(planned, ran, conn, query, bench.scale.planning_seconds / SESSIONS)
    yield from finished(planned, ran, cold)


def alternate(planned: Measurement, ran: Measurement, conn: psycopg.Connection, query: str, seconds: float) -> None:
    warming = replace(ran, samples={})
    for leg in LEGS * 3:
        attempt(warming, leg, milliseconds, conn, query.format(table=table(leg)))
    end = time.perf_counter() + seconds
    for number in range(100):
        for leg in rotated(LEGS, number):
            attempt(planned, leg, planning_time, conn, query.format(table=table(leg)))
            attempt(ran, leg, milliseconds, conn, query.format(table=table(leg)))
        if number >= 4 and time.perf_counter() > end:
            break


def planning_time(conn: psycopg.Connection, query: str) -> float:
    return scalar(conn, f"EXPLAIN (SUMMARY, FORMAT JSON) {query}")[0]["Planning Time"]


def milliseconds(conn: psycopg.Connection, query: str) -> float:
    start = time.perf_counter()
    send(conn, query.encode())
    return (time.perf_counter() - start) * 1000


def first_in_session(bench: Bench, query: str) -> float:
    with bench.connect() as conn:
        return milliseconds(conn, query)
