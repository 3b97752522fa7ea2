"""Continuous aggregates: what they cost who writes, how fast they are refreshed, what planning pays for them, and what a dashboard gains.

The dashboard asks for 30 days by hour of 400 hosts, with a row every ten seconds, as TSBS has them: 103 million rows. It reads them all,
so neither table has indexes.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg

import data
import ingest
import planning
from bench import Bench
from columnstore import same
from legs import BARE, COLUMNS, EPOCH, PLAIN, WATCHED, Leg, make_hypertable
from measure import Goal, Measurement, attempt, finished, interleave, rotated, say
from scale import CHUNK
from sql import scalar, send

PAIR = (BARE, WATCHED)
CHEAP = Goal(1.03, BARE)
PLANNING_MS = Goal(0.3, None)
HOURLY = """CREATE MATERIALIZED VIEW {view} WITH (timescaledb.continuous) AS
    SELECT time_bucket('1 hour', time) AS hour, hostname, count(*) AS samples, avg(usage_user) AS mean, max(usage_user) AS high FROM {table} GROUP BY 1, 2 WITH NO DATA"""
EVERYTHING = "CALL refresh_continuous_aggregate('{view}', NULL, NULL{more})"
REFRESH_GOAL, REFRESH_HOPED = 700, "2000 k rows/s"
CAGGS = 20
# Pieces of the rows that are copied, and single rows written before the other session's turn.
PIECES, BLOCK = 40, 50


def run(bench: Bench) -> Iterator[Measurement]:
    for late in (False, True):
        yield from write(bench, late)
    yield from plan(bench)
    yield from dashboard(bench)


# --- writing ---


def make(conn: psycopg.Connection, leg: Leg, table: str, late: bool = False) -> None:
    """An empty table, but for the rows at both ends of time that let a refresh cover everything, if what comes is to be late."""
    drop(conn, table)
    conn.execute(f"CREATE TABLE {table} ({COLUMNS})")
    make_hypertable(conn, table, CHUNK)
    conn.execute(f"CREATE INDEX ON {table} (hostname, time DESC)")
    conn.execute(f"CREATE INDEX ON {table} (time DESC)")
    if late:
        span = ingest.SPAN
        conn.execute(f"INSERT INTO {table} (time, hostname) VALUES ('{span.start}', 'first'), ('{span.end - timedelta(seconds=1)}', 'last')")
    if leg == WATCHED:
        conn.execute(HOURLY.format(view=f"{table}_hourly", table=table))
        if late:
            conn.execute(EVERYTHING.format(view=f"{table}_hourly", more=""))


def drop(conn: psycopg.Connection, table: str) -> None:
    conn.execute(f"SET client_min_messages = error; DROP TABLE IF EXISTS {table} CASCADE")


def write(bench: Bench, late: bool) -> Iterator[Measurement]:
    hosts, rows = bench.scale.copy_hosts, bench.scale.transactions // 2
    where = "into what is materialized" if late else "ahead of it"
    copy = bench.measurement(f"COPY, {where}", "k rows/s", PAIR, CHEAP, data.rows(hosts) // PIECES)
    single = bench.measurement(f"INSERT of a row, {where}", "ms", PAIR, CHEAP)
    pieces = data.pieces(hosts, PIECES)
    for measured, unit, statements in (
        (copy, 1, lambda table: [[f"COPY {table} FROM '{piece}' (FORMAT csv)".encode()] for piece in pieces]),
        (single, 1000 / BLOCK, lambda table: in_blocks(single_rows(rows))),
    ):
        for number in range(2 * bench.scale.rounds):
            if not measured.failures:
                by_turns(bench, measured, late, statements, unit, number)
        yield from finished(measured)


def single_rows(number: int) -> list[bytes]:
    """One row a transaction, each a minute after the one before."""
    minutes = int((ingest.SPAN.end - ingest.SPAN.start).total_seconds()) // 60
    return [f"EXECUTE put ('{EPOCH + timedelta(minutes=n % minutes)}', 'host_{n % 10}', {n % 100})".encode() for n in range(number)]


def in_blocks(statements: list[bytes]) -> list[list[bytes]]:
    return [statements[at : at + BLOCK] for at in range(0, len(statements), BLOCK)]


def by_turns(bench: Bench, measured: Measurement, late: bool, statements: Callable[[str], list[list[bytes]]], unit: float, number: int) -> None:
    """Two sessions write the same to two tables, a few thousandths of a second each in turn, so that what else happens on the machine
    meets both: so they share a core, of which others may be slower just then. Each turn is a sample."""
    with bench.connect() as bare, bench.connect() as watched:
        sessions = dict(zip(PAIR, (bare, watched)))
        tables = dict(zip(PAIR, rotated(("cpu_a", "cpu_b"), number)))
        for leg, conn in sessions.items():
            make(conn, leg, tables[leg], late)
            conn.execute(f"PREPARE put (timestamptz, text, float8) AS INSERT INTO {tables[leg]} (time, hostname, usage_user) VALUES ($1, $2, $3)")
        cores = sorted(os.sched_getaffinity(0))
        for conn in sessions.values():
            os.sched_setaffinity(conn.info.backend_pid, {cores[number % len(cores)]})
        bare.execute("CHECKPOINT")

        def sample(leg: Leg, turn: int) -> float:
            before, start = ingest.processor_seconds(sessions[leg]), time.perf_counter()
            for statement in todo[leg][turn]:
                send(sessions[leg], statement)
            seconds = time.perf_counter() - start
            measured.cpu.setdefault(leg, []).append(ingest.processor_seconds(sessions[leg]) - before)
            return seconds * unit

        todo = {leg: statements(tables[leg]) for leg in PAIR}
        for turn in range(len(todo[BARE])):
            for leg in rotated(PAIR, turn + number):
                attempt(measured, leg, sample, leg, turn)
        for leg, conn in sessions.items():
            drop(conn, tables[leg])


# --- planning ---


def plan(bench: Bench) -> Iterator[Measurement]:
    """By how much planning takes longer with routing than without, in one session by turns."""
    with bench.connect() as conn:
        make(conn, BARE, "cpu")
        conn.execute(f"INSERT INTO cpu (time, hostname, usage_user) SELECT '{EPOCH}'::timestamptz + g * interval '1 minute', 'host_' || g % 10, g % 100 FROM generate_series(0, 2879) g")
        for number in range(CAGGS):
            conn.execute(various(number))
        conn.execute("ANALYZE")
        for name, query in PLANNED.items():
            measured = bench.measurement(f"planning with {CAGGS} continuous aggregates takes longer by: {name}", "ms", (WATCHED,), PLANNING_MS)
            attempt(measured, WATCHED, longer, bench, conn, query, "routable" in name)
            yield from finished(measured)
        drop(conn, "cpu")


def various(number: int) -> str:
    width = ("5 minutes", "1 hour", "6 hours", "1 day", "7 days")[number % 5]
    groups = ("", ", hostname", ", tags_id", ", hostname, tags_id")[number // 5]
    aggregates = ", ".join(f"{function}(usage_{metric}) AS {function}_{metric}" for function in ("avg", "max") for metric in ("user", "system"))
    keys = ", ".join(str(n + 1) for n in range(1 + groups.count(",")))
    return (f"CREATE MATERIALIZED VIEW various_{number} WITH (timescaledb.continuous) AS SELECT time_bucket('{width}', time) AS bucket{groups}, count(*) AS samples, {aggregates}"
            f" FROM cpu GROUP BY {keys}")


PLANNED = {
    "routable, by hour and host": "SELECT time_bucket('1 hour', time), hostname, avg(usage_user) FROM cpu WHERE time >= '2016-01-01' AND time < '2016-01-02' GROUP BY 1, 2",
    "routable, whole": "SELECT max(usage_user), count(*) FROM cpu",
    "an aggregate that none has": "SELECT time_bucket('1 hour', time), avg(usage_nice) FROM cpu GROUP BY 1",
    "no aggregate": "SELECT * FROM cpu WHERE hostname = 'host_1' AND time > '2016-01-02' ORDER BY time DESC LIMIT 10",
}


def longer(bench: Bench, conn: psycopg.Connection, query: str, routable: bool) -> float:
    conn.execute("SET timescaledb.enable_cagg_rewrites = on")
    if uses_cagg(conn, query) != routable:
        raise RuntimeError(f"{'not ' if routable else ''}answered from a continuous aggregate: {query}")
    times: dict[str, list[float]] = {"on": [], "off": []}
    end = time.perf_counter() + bench.scale.planning_seconds
    while time.perf_counter() < end or len(times["on"]) < 50:
        for setting, found in times.items():
            conn.execute(f"SET timescaledb.enable_cagg_rewrites = {setting}")
            found.append(planning.planning_time(conn, query))
    on, off = (sorted(found)[len(found) // 2] for found in (times["on"], times["off"]))
    say(f"    {on:.3f} ms with, {off:.3f} ms without")
    return on - off


def uses_cagg(conn: psycopg.Connection, query: str) -> bool:
    plan = "\n".join(row[0] for row in conn.execute(f"EXPLAIN (COSTS OFF) {query}".encode()))
    return "cagg_valid" in plan


# --- refreshing, and the dashboard ---

DASHBOARD = "SELECT time_bucket('1 hour', time) AS hour, hostname, avg(usage_user), max(usage_user) FROM {table} WHERE time >= '{low}' AND time < '{high}' GROUP BY hour, hostname"


def dashboard(bench: Bench) -> Iterator[Measurement]:
    days, hosts = bench.scale.dashboard_days, bench.scale.dashboard_hosts
    with bench.connect() as conn:
        conn.execute("SET max_parallel_workers_per_gather = 0; SET client_min_messages = error")
        rows = fill(conn, days, hosts, bench.scale.dashboard_seconds)
        yield from refresh(bench, conn, rows)
        conn.execute("SET timescaledb.enable_cagg_rewrites = on")
        query = DASHBOARD.format(table="{table}", low=EPOCH, high=EPOCH + timedelta(days=days))
        name = f"dashboard: {days} days by hour, {hosts} hosts"
        yield from ask(bench, conn, f"{name}, all materialized", query, Goal(1 / 50, PLAIN, "1/50 of plain"))
        # An hour in a hundred has a row that came late.
        late = max(1, days * 24 // 100)
        for table in ("dash_plain", "dash"):
            conn.execute(f"INSERT INTO {table} SELECT '{EPOCH}'::timestamptz + (g * {days * 24 // late}) * interval '1 hour' + interval '7 seconds', 'host_0', 50, 50 FROM generate_series(0, {late - 1}) g")
        yield from ask(bench, conn, f"{name}, {late} of {days * 24} hours invalidated", query, Goal(1 / 5, PLAIN, "1/5 of plain"))
        conn.execute("DROP TABLE dash CASCADE; DROP TABLE dash_plain")


def fill(conn: psycopg.Connection, days: int, hosts: int, seconds: int) -> int:
    """A plain table, and a hypertable of compressed chunks, with the same rows."""
    columns = "time timestamptz NOT NULL, hostname text NOT NULL, usage_user float8, usage_system float8"
    conn.execute(f"DROP TABLE IF EXISTS dash CASCADE; DROP TABLE IF EXISTS dash_plain; CREATE TABLE dash_plain ({columns}); CREATE TABLE dash ({columns})")
    conn.execute("SELECT create_hypertable('dash', 'time', chunk_time_interval => interval '1 day', create_default_indexes => false)")
    conn.execute("ALTER TABLE dash SET (timescaledb.compress, timescaledb.compress_segmentby = 'hostname', timescaledb.compress_orderby = 'time')")
    for day in range(days):
        for table in ("dash_plain", "dash"):
            conn.execute(f"INSERT INTO {table} SELECT '{EPOCH}'::timestamptz + interval '{day} days' + g * interval '{seconds} seconds', 'host_' || h, (h * 7 + g) % 101, (h + g * 3) % 97 / 2.0"
                         f" FROM generate_series(0, {86400 // seconds - 1}) g, generate_series(0, {hosts - 1}) h")
        conn.execute("SELECT compress_chunk(c) FROM show_chunks('dash') c ORDER BY c DESC LIMIT 1")
    for table in ("dash_plain", "dash"):
        conn.execute(f"VACUUM (ANALYZE) {table}")
    conn.execute(HOURLY.format(view="dash_hourly", table="dash"))
    return days * (86400 // seconds) * hosts


def refresh(bench: Bench, conn: psycopg.Connection, rows: int) -> Iterator[Measurement]:
    measured = bench.measurement("refresh from compressed chunks", "k rows/s", (WATCHED,), Goal.rows_per_second(rows, REFRESH_GOAL), rows)
    measured.later = REFRESH_HOPED

    def sample(_: Leg) -> float:
        start = time.perf_counter()
        conn.execute(EVERYTHING.format(view="dash_hourly", more=", force => true"))
        return time.perf_counter() - start

    yield from interleave(measured, bench.scale.dashboard_rounds, sample)
    conn.execute(f"VACUUM (ANALYZE) {scalar(conn, 'SELECT storage::text FROM _timescaledb_config.continuous_agg')}")


def ask(bench: Bench, conn: psycopg.Connection, name: str, query: str, goal: Goal) -> Iterator[Measurement]:
    """Before the first round the answers are compared, which warms up."""
    texts = {PLAIN: query.format(table="dash_plain"), WATCHED: query.format(table="dash")}
    measured = bench.measurement(name, "ms", (PLAIN, WATCHED), goal)
    if not uses_cagg(conn, texts[WATCHED]):
        measured.failures[WATCHED] = "not answered from the continuous aggregate"
    answers = [[sorted(conn.execute(text.encode()).fetchall(), key=repr)] for text in texts.values()]
    if not same(*answers):
        measured.failures[WATCHED] = "the answer differs from the plain table's"
    run_one: Callable[[Leg], float] = lambda leg: planning.milliseconds(conn, texts[leg])
    for number in range(bench.scale.dashboard_rounds):
        for leg in rotated(measured.legs, number):
            attempt(measured, leg, run_one, leg)
    yield from finished(measured)
