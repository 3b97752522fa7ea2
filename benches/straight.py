"""COPY straight into columns, and series with so few rows that many share a batch."""

import time
from collections.abc import Iterator

import psycopg

import data
from bench import Bench
from compression import CHECKSUM, LEGS, chunks, each_chunk, enable, megabytes
from datasets import NO_SLOWER
from ingest import SPAN, processor_seconds
from legs import COLUMNAR, CPU, EPOCH, PLAIN, Leg, Shape, Span
from measure import Goal, Measurement, attempt, finished, rotated
from scale import CHUNK
from sql import scalar

SETTING = "timescaledb.enable_direct_compress_copy"
COPY_GOAL, COPY_HOPE = 500, "1000 k rows/s"
ROUNDS = 3
POINTS = 20
SHAPE = Shape("time timestamptz NOT NULL, series integer, value double precision, quality smallint", "series")
SERIES_SIZE = Goal(1 / 8, PLAIN, "1/8 of plain")
SERIES_TIME = Goal(1.5, None)


def copy(bench: Bench) -> Iterator[Measurement]:
    hosts = bench.scale.direct_hosts
    rows = data.rows(hosts)
    goal = Goal.rows_per_second(rows, COPY_GOAL)
    measured = bench.measurement("COPY straight into columns", "k rows/s", LEGS, goal, rows)
    processor = bench.measurement("COPY straight into columns, by time of the processor", "k rows/s", LEGS, goal, rows)
    measured.later = processor.later = COPY_HOPE
    cpu: dict[Leg, list[float]] = {leg: [] for leg in LEGS}
    left = bench.measurement("rows in 1000 that it put elsewhere", "rows", (COLUMNAR,))
    outside: list[float] = []
    with bench.connect() as conn:
        if not scalar(conn, "SELECT count(*) FROM pg_settings WHERE name = %s", SETTING):
            measured.failures[COLUMNAR] = f"there is no {SETTING}"
        for number in range(min(bench.scale.rounds, ROUNDS)):
            for leg in rotated(LEGS, number):
                attempt(measured, leg, copy_once, bench, conn, leg, hosts, cpu, outside)
    for measurement in (processor, left):
        measurement.failures |= measured.failures
    processor.samples = {leg: samples for leg, samples in cpu.items() if samples}
    attempt(left, COLUMNAR, lambda: max(outside) * 1000 / rows)
    yield from finished(measured, processor, left)


def copy_once(bench: Bench, conn: psycopg.Connection, leg: Leg, hosts: int, cpu: dict[Leg, list[float]], outside: list[float]) -> float:
    table = f"straight_{leg.kind}"
    bench.tables.create(conn, leg, table, SPAN)
    if leg == COLUMNAR:
        enable(conn, table, CPU.series)
        conn.execute(f"SET {SETTING} = on")
    conn.execute("CHECKPOINT")
    path = data.csv(hosts)
    before, start = processor_seconds(conn), time.perf_counter()
    conn.execute(f"COPY {table} FROM '{path}' (FORMAT csv)")
    seconds = time.perf_counter() - start
    cpu[leg].append(processor_seconds(conn) - before)
    found = scalar(conn, f"SELECT count(*) FROM {table}")
    if leg == COLUMNAR:
        outside.append(sum(scalar(conn, f"SELECT count(*) FROM ONLY {name}") for name in chunks(conn, table)))
    conn.execute(f"DROP TABLE {table}")
    if found != data.rows(hosts):
        raise RuntimeError(f"{found} rows where {data.rows(hosts)} were loaded")
    return seconds


def many_series(bench: Bench) -> Iterator[Measurement]:
    """All in one chunk."""
    series = bench.scale.series
    name = f"{series} series of {POINTS} rows"
    size = bench.measurement(f"{name}: size, indexes included", "MB", LEGS, SERIES_SIZE)
    processor = bench.measurement(f"{name}: compressing, a row, by time of the processor", "µs", (COLUMNAR,), SERIES_TIME)
    took = bench.measurement(f"{name}: compressing, a row", "µs", (COLUMNAR,), SERIES_TIME)
    same = bench.measurement(f"{name}: all rows (a checksum)", "ms", LEGS, NO_SLOWER)
    with bench.connect() as conn:
        for leg in LEGS:
            attempt(size, leg, fill_series, bench, conn, leg, series)
        for measurement in (took, same):
            measurement.failures |= size.failures
        seconds: list[float] = []
        attempt(took, COLUMNAR, compress_series, conn, series, seconds)
        processor.failures |= took.failures
        attempt(processor, COLUMNAR, lambda: seconds[0] * 1e6 / series / POINTS)
        size.samples[COLUMNAR] = []
        size.failures |= took.failures
        attempt(size, COLUMNAR, megabytes, conn, f"series_{COLUMNAR.kind}")
        sums: list[object] = []
        for leg in LEGS:
            attempt(same, leg, checksum, conn, leg, sums)
        for leg in LEGS:
            conn.execute(f"DROP TABLE IF EXISTS series_{leg.kind}")
    yield from finished(size, took, processor, same)


def fill_series(bench: Bench, conn: psycopg.Connection, leg: Leg, series: int) -> float:
    table = f"series_{leg.kind}"
    bench.tables.create(conn, leg, table, Span(EPOCH, 1, CHUNK), SHAPE)
    # A level for each series, some noise, and now and then a bad quality; a row a minute.
    conn.execute(
        f"INSERT INTO {table} SELECT '{EPOCH}'::timestamptz + p * interval '1 minute' + s % 60 * interval '1 second', s,"
        " (s % 997 + (hashint4(s * 31 + p) & 63)) / 10.0, CASE WHEN hashint4(p * 7919 + s) & 63 = 0 THEN 1 ELSE 0 END"
        f" FROM generate_series(0, {POINTS - 1}) p, generate_series(1, {series}) s"
    )
    conn.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
    return megabytes(conn, table)


def compress_series(conn: psycopg.Connection, series: int, processor: list[float]) -> float:
    table = f"series_{COLUMNAR.kind}"
    enable(conn, table, SHAPE.series)
    conn.execute("CHECKPOINT")
    names = chunks(conn, table)
    if len(names) != 1:
        raise RuntimeError(f"{len(names)} chunks")
    seconds, cpu = each_chunk(conn, "compress_chunk", names)
    processor.append(cpu)
    return seconds * 1e6 / series / POINTS


def checksum(conn: psycopg.Connection, leg: Leg, sums: list[object]) -> float:
    start = time.perf_counter()
    sums.append(conn.execute(CHECKSUM.format(table=f"series_{leg.kind}")).fetchone())
    if sums[-1] != sums[0]:
        raise RuntimeError(f"WRONG ROWS: {sums}")
    return (time.perf_counter() - start) * 1000
