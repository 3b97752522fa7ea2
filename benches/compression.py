"""Moving rows into columns and back: speed, size, and whether they are still the same rows."""

import time
from collections.abc import Iterator

import psycopg

from bench import Bench
from datasets import NO_SLOWER, Dataset
from ingest import processor_seconds
from legs import COLUMNAR, PLAIN, Leg
from measure import Goal, Measurement, attempt, finished
from sql import scalar

LEGS = (PLAIN, COLUMNAR)
COMPRESSION_GOAL = 1_000
COMPRESSION_HOPE = "1500 k rows/s"
# Chunks that are decompressed, too; the first ones.
DECOMPRESSED = 2
MB = 1_000_000
# All columns of all rows, whatever their order.
CHECKSUM = "SELECT count(*), sum(hash_record_extended(t, 0)) FROM {table} t"


def load(bench: Bench, conn: psycopg.Connection, dataset: Dataset) -> Measurement:
    """Loads what an earlier section has not left behind."""
    loaded = bench.measurement(f"{dataset.name}: COPY into rows", "k rows/s", LEGS)
    for leg in LEGS:
        attempt(loaded, leg, load_table, bench, conn, dataset, leg)
    if all(loaded.cost(leg) is not None for leg in LEGS):
        loaded.rows = scalar(conn, f"SELECT count(*) FROM {dataset.table(PLAIN)}")
    return loaded


def is_loaded(conn: psycopg.Connection, dataset: Dataset, rows: int) -> bool:
    tables = [name for name in dataset.tables if scalar(conn, "SELECT to_regclass(%s)", name)]
    return len(tables) == 2 and all(scalar(conn, f"SELECT count(*) FROM {table}") == rows for table in tables)


def load_table(bench: Bench, conn: psycopg.Connection, dataset: Dataset, leg: Leg) -> float:
    path, table = dataset.csv(), dataset.table(leg)
    bench.tables.create(conn, leg, table, dataset.span, dataset.shape)
    conn.execute("CHECKPOINT")
    start = time.perf_counter()
    conn.execute(f"COPY {table} FROM '{path}' (FORMAT csv)")
    seconds = time.perf_counter() - start
    conn.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
    return seconds


def enable(conn: psycopg.Connection, table: str, series: str) -> None:
    conn.execute(
        f"ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = '{series}',"
        " timescaledb.compress_orderby = 'time DESC')"
    )


def chunks(conn: psycopg.Connection, table: str) -> list[str]:
    return [name for (name,) in conn.execute(f"SELECT c::text FROM show_chunks('{table}') c ORDER BY c::oid")]


def each_chunk(conn: psycopg.Connection, function: str, names: list[str]) -> tuple[float, float]:
    """Calls a function for each chunk, in a transaction of its own; returns seconds on the clock and of the processor."""
    cpu, start = processor_seconds(conn), time.perf_counter()
    for name in names:
        conn.execute(f"SELECT {function}('{name}')")
    return time.perf_counter() - start, processor_seconds(conn) - cpu


def compress(bench: Bench, conn: psycopg.Connection, dataset: Dataset, loaded: Measurement) -> Iterator[Measurement]:
    """What it costs to compress all chunks, how small they get, and whether the rows are still the same."""
    name, table, rows = dataset.name, dataset.table(COLUMNAR), loaded.rows or 0
    goal = Goal.rows_per_second(rows, COMPRESSION_GOAL)
    speed = bench.measurement(f"{name}: compressing", "k rows/s", (COLUMNAR,), goal, rows)
    processor = bench.measurement(f"{name}: compressing, by time of the processor", "k rows/s", (COLUMNAR,), goal, rows)
    speed.later = processor.later = COMPRESSION_HOPE
    wal = bench.measurement(f"{name}: WAL written by it", "MB", (COLUMNAR,))
    speed.failures |= loaded.failures
    more: list[float] = []

    def run() -> float:
        enable(conn, table, dataset.shape.series)
        names = chunks(conn, table)
        conn.execute("CHECKPOINT")
        before = scalar(conn, "SELECT pg_current_wal_insert_lsn()")
        seconds, cpu = each_chunk(conn, "compress_chunk", names)
        written = scalar(conn, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", before)
        more.extend((float(written) / MB, cpu))
        return seconds

    attempt(speed, COLUMNAR, run)
    for measurement in (processor, wal):
        measurement.failures |= speed.failures
        attempt(measurement, COLUMNAR, more.pop)
    yield from finished(speed, processor, wal)
    loaded.failures |= speed.failures
    yield from size(bench, conn, dataset, loaded)
    yield from checksum(bench, conn, dataset, loaded)


def size(bench: Bench, conn: psycopg.Connection, dataset: Dataset, loaded: Measurement) -> Iterator[Measurement]:
    measured = bench.measurement(f"{dataset.name}: size, indexes included", "MB", LEGS, dataset.size_goal)
    measured.failures |= loaded.failures
    for leg in LEGS:
        attempt(measured, leg, megabytes, conn, dataset.table(leg))
    yield from finished(measured)


def megabytes(conn: psycopg.Connection, table: str) -> float:
    """Of a table or hypertable: all files of its chunks and of their columnar parts."""
    query = """
        WITH parts AS (SELECT relid::oid FROM pg_partition_tree(%(t)s::regclass) UNION SELECT %(t)s::regclass::oid)
        SELECT sum(pg_total_relation_size(relid)) + coalesce((
            SELECT sum(pg_total_relation_size(c.batches)) FROM _timescaledb_config.columnar_chunk c JOIN parts USING (relid)), 0)
        FROM parts"""
    row = conn.execute(query, {"t": table}).fetchone()
    assert row is not None
    return float(row[0]) / MB


def checksum(bench: Bench, conn: psycopg.Connection, dataset: Dataset, loaded: Measurement) -> Iterator[Measurement]:
    """Reads every column of every row, and fails if the tables do not hold the same."""
    measured = bench.measurement(f"{dataset.name}: all columns of all rows (a checksum)", "ms", LEGS, NO_SLOWER)
    measured.failures |= loaded.failures
    sums: dict[Leg, object] = {}

    def run(leg: Leg) -> float:
        start = time.perf_counter()
        sums[leg] = conn.execute(CHECKSUM.format(table=dataset.table(leg))).fetchone()
        if leg == COLUMNAR and sums[leg] != sums.get(PLAIN):
            raise RuntimeError(f"WRONG ROWS: {sums[leg]} where the plain table has {sums.get(PLAIN)}")
        return (time.perf_counter() - start) * 1000

    for leg in LEGS:
        attempt(measured, leg, run, leg)
    yield from finished(measured)


def decompress(bench: Bench, conn: psycopg.Connection, dataset: Dataset, loaded: Measurement) -> Iterator[Measurement]:
    """Of the first chunks; the indexes of rows are made anew, too."""
    table = dataset.table(COLUMNAR)
    measured = bench.measurement(f"{dataset.name}: decompressing", "k rows/s", (COLUMNAR,))
    measured.failures |= loaded.failures

    def run() -> float:
        names = chunks(conn, table)[:DECOMPRESSED]
        conn.execute("CHECKPOINT")
        seconds = each_chunk(conn, "decompress_chunk", names)[0]
        measured.rows = sum(scalar(conn, f"SELECT count(*) FROM {name}") for name in names)
        total = scalar(conn, f"SELECT count(*) FROM {table}")
        if total != loaded.rows:
            raise RuntimeError(f"WRONG ROWS: {total} where there were {loaded.rows}")
        return seconds

    attempt(measured, COLUMNAR, run)
    yield from finished(measured)
