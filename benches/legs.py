"""The tables that are compared: with the same columns, rows and indexes, and the same name, one after the other."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import psycopg

from sql import scalar

EPOCH = datetime(2016, 1, 1, tzinfo=timezone.utc)
METRICS = tuple(
    f"usage_{name}"
    for name in ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
)
COLUMNS = "time timestamptz NOT NULL, tags_id integer, hostname text, " + ", ".join(f"{m} double precision" for m in METRICS)


@dataclass(frozen=True)
class Shape:
    """What all tables that are compared have in common."""

    columns: str
    # One index is on this column and the time, the other on the time.
    series: str


CPU = Shape(COLUMNS, "hostname")


@dataclass(frozen=True)
class Leg:
    title: str
    kind: str
    # Whether the chunks or partitions exist before the measurement.
    premade: bool = True


PLAIN = Leg("plain", "plain")
NATIVE = Leg("native", "native")
HYPER = Leg("hypertable", "hypertable")
HYPER_NEW = Leg("hypertable, new chunks", "hypertable", premade=False)
COLUMNAR = Leg("compressed", "hypertable", premade=False)
# Hypertables without and with continuous aggregates.
BARE = Leg("hypertable alone", "hypertable", premade=False)
WATCHED = Leg("with continuous aggregates", "hypertable", premade=False)
HYPER_LEGS = (HYPER, HYPER_NEW)
ALL_LEGS = (PLAIN, NATIVE, HYPER)
LOADED_LEGS = (PLAIN, NATIVE, HYPER, HYPER_NEW)


@dataclass(frozen=True)
class Span:
    """The time that the partitions cover, and how it is cut."""

    start: datetime
    chunks: int
    chunk: timedelta

    def bounds(self, number: int) -> tuple[datetime, datetime]:
        return self.start + number * self.chunk, self.start + (number + 1) * self.chunk

    @property
    def end(self) -> datetime:
        return self.start + self.chunks * self.chunk


class Tables:
    """Makes the tables. `self_check` puts native tables in the place of hypertables, to see how much is noise."""

    def __init__(self, self_check: bool = False):
        self.self_check = self_check

    def create(self, conn: psycopg.Connection, leg: Leg, table: str, span: Span, shape: Shape = CPU) -> None:
        kind = "native" if self.self_check and leg.kind == "hypertable" else leg.kind
        partitioning = " PARTITION BY RANGE (time)" if kind == "native" else ""
        # A measurement that failed may have left it.
        conn.execute(f"DROP TABLE IF EXISTS {table}")
        conn.execute(f"CREATE TABLE {table} ({shape.columns}){partitioning}")
        if kind == "native":
            make_partitions(conn, table, span, 0, span.chunks)
        elif kind == "hypertable":
            make_hypertable(conn, table, span.chunk)
            if leg.premade:
                make_chunks(conn, table, span)
        conn.execute(f"CREATE INDEX ON {table} ({shape.series}, time DESC)")
        conn.execute(f"CREATE INDEX ON {table} (time DESC)")
        if kind != "plain" and leg.premade:
            found = count_chunks(conn, table)
            if found != span.chunks:
                raise RuntimeError(f"{leg.title}: {found} chunks where {span.chunks} were wanted")


def make_hypertable(conn: psycopg.Connection, table: str, chunk: timedelta) -> None:
    conn.execute(
        f"SELECT create_hypertable('{table}', 'time', chunk_time_interval => interval '{chunk.total_seconds()} seconds',"
        " create_default_indexes => false)"
    )


def make_partitions(conn: psycopg.Connection, table: str, span: Span, first: int, end: int) -> None:
    """Partitions number `first` to `end` of a native table, in transactions that do not exhaust the lock table."""
    for batch in range(first, end, 200):
        conn.execute("; ".join(partition_ddl(table, span, n) for n in range(batch, min(batch + 200, end))))


def partition_ddl(table: str, span: Span, number: int) -> str:
    low, high = span.bounds(number)
    return f"CREATE TABLE {table}_p{number} PARTITION OF {table} FOR VALUES FROM ('{low}') TO ('{high}')"


def make_chunks(conn: psycopg.Connection, table: str, span: Span) -> None:
    """Chunks appear by insertion only, so put a row into each and take it out again, for good."""
    fill(conn, table, span, 0, span.chunks)
    conn.execute(f"DELETE FROM {table}")
    conn.execute(f"VACUUM {table}")


def fill(conn: psycopg.Connection, table: str, span: Span, first: int, end: int) -> None:
    """Puts a row into each of the chunks number `first` to `end`, a few hundred a statement: what a statement over thousands of chunks
    needs is measured where memory is."""
    for batch in range(first, end, 500):
        conn.execute(one_row_each(table, span, batch, min(batch + 500, end)))


def one_row_each(table: str, span: Span, first: int, end: int) -> str:
    """A statement that inserts a row into each of the chunks number `first` to `end`."""
    return (
        f"INSERT INTO {table} (time, tags_id, hostname) SELECT '{span.start}'::timestamptz + n * interval"
        f" '{span.chunk.total_seconds()} seconds', 1, 'host_0' FROM generate_series({first}, {end - 1}) n"
    )


def count_chunks(conn: psycopg.Connection, table: str) -> int:
    query = "SELECT count(*) FROM pg_partition_tree(%s::regclass) WHERE isleaf AND level > 0"
    return scalar(conn, query, table)
