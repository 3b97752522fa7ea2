"""The queries of TSBS devops cpu-only, with windows and hosts drawn from a fixed seed; a full load comes before them."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg

import data
from bench import Bench
from ingest import SPAN
from legs import ALL_LEGS, EPOCH, METRICS, PLAIN, Leg
from measure import Goal, Measurement, attempt, finished, rotated, say
from scale import HOURS
from sql import send

GOAL = Goal(1.05)
Window = tuple[datetime, datetime]


class Draw:
    """The random parts of a query."""

    def __init__(self, hosts: int, bucket: Callable[[str], str]):
        self._random = random.Random(123)
        self.total = hosts
        self.bucket = bucket

    def window(self, hours: int) -> Window:
        start = EPOCH + timedelta(seconds=self._random.randrange((HOURS - hours) * 3600))
        return start, start + timedelta(hours=hours)

    def instant(self) -> datetime:
        """When there are rows."""
        return EPOCH + timedelta(seconds=self._random.randrange(HOURS * 360) * 10)

    def number(self, limit: int) -> int:
        return self._random.randrange(limit)

    def host(self) -> str:
        return f"hostname = 'host_{self.number(self.total)}'"

    def hosts(self, number: int) -> str:
        drawn = self._random.sample(range(self.total), min(number, self.total))
        return "hostname IN (" + ", ".join(f"'host_{host}'" for host in drawn) + ")"


def within(window: Window) -> str:
    return f"time >= '{window[0]}' AND time < '{window[1]}'"


def aggregates(function: str, metrics: int) -> str:
    return ", ".join(f"{function}({metric}) AS {function}_{metric}" for metric in METRICS[:metrics])


def single_groupby(metrics: int, hosts: int, hours: int) -> Callable[[Draw], str]:
    return lambda draw: (
        f"SELECT {draw.bucket('1 minute')} AS minute, {aggregates('max', metrics)} FROM cpu_@"
        f" WHERE {draw.hosts(hosts)} AND {within(draw.window(hours))} GROUP BY minute ORDER BY minute"
    )


def double_groupby(metrics: int) -> Callable[[Draw], str]:
    return lambda draw: (
        f"SELECT {draw.bucket('1 hour')} AS hour, hostname, {aggregates('avg', metrics)} FROM cpu_@"
        f" WHERE {within(draw.window(12))} GROUP BY hour, hostname ORDER BY hour, hostname"
    )


def cpu_max_all(draw: Draw) -> str:
    return (
        f"SELECT {draw.bucket('1 hour')} AS hour, {aggregates('max', len(METRICS))} FROM cpu_@"
        f" WHERE {draw.hosts(8)} AND {within(draw.window(8))} GROUP BY hour ORDER BY hour"
    )


def high_cpu(hosts: int | None) -> Callable[[Draw], str]:
    def query(draw: Draw) -> str:
        among = f" AND {draw.hosts(hosts)}" if hosts else ""
        return f"SELECT * FROM cpu_@ WHERE usage_user > 90.0 AND {within(draw.window(12))}{among}"

    return query


def groupby_orderby_limit(draw: Draw) -> str:
    end = draw.window(1)[1]
    return (
        f"SELECT {draw.bucket('1 minute')} AS minute, max(usage_user) FROM cpu_@"
        f" WHERE time < '{end}' GROUP BY minute ORDER BY minute DESC LIMIT 5"
    )


QUERIES: dict[str, Callable[[Draw], str]] = {
    "single-groupby-1-1-1": single_groupby(1, 1, 1),
    "single-groupby-1-1-12": single_groupby(1, 1, 12),
    "single-groupby-5-8-1": single_groupby(5, 8, 1),
    "double-groupby-1": double_groupby(1),
    "double-groupby-5": double_groupby(5),
    "double-groupby-all": double_groupby(len(METRICS)),
    "cpu-max-all-8": cpu_max_all,
    "high-cpu-1": high_cpu(1),
    "high-cpu-all": high_cpu(None),
    "groupby-orderby-limit": groupby_orderby_limit,
    "lastpoint": lambda _: "SELECT DISTINCT ON (hostname) * FROM cpu_@ ORDER BY hostname, time DESC",
    "count(*)": lambda _: "SELECT count(*) FROM cpu_@",
    "group by region": lambda _: (
        "SELECT region, count(*), avg(usage_user), max(usage_system) FROM cpu_@ JOIN tags ON tags.id = tags_id GROUP BY region"
    ),
}
# Repeats within a sample, for answers so quick that one would be noise; and fewer rounds where they take minutes.
QUICK_MS, REPEATS = 20, 20
SLOW_MS, SLOW_ROUNDS = 2_000, 3
ENDLESS_MS, ENDLESS_ROUNDS = 5_000, 2


def run(bench: Bench) -> Iterator[Measurement]:
    hosts = bench.scale.query_hosts
    load = bench.measurement("full load by COPY from a file", "k rows/s", ALL_LEGS, rows=data.rows(hosts))
    data.csv(hosts)
    with bench.connect() as conn:
        load_tags(conn, hosts)
        for leg in ALL_LEGS:
            attempt(load, leg, full_load, bench, conn, leg, hosts)
        yield from finished(load)
        for name, query in QUERIES.items():
            draw = Draw(hosts, lambda width: bench.bucket(conn, width))
            texts = list(dict.fromkeys(query(draw) for _ in range(bench.scale.query_variants)))
            yield from measure_query(bench, conn, name, texts, load)
        # The others are of use for the columnstore.
        conn.execute("DROP TABLE IF EXISTS cpu_native")


def load_tags(conn: psycopg.Connection, hosts: int) -> None:
    conn.execute("DROP TABLE IF EXISTS tags")
    conn.execute(data.tags_ddl())
    conn.execute(f"COPY tags FROM '{data.tags(hosts)}' (FORMAT csv)")
    conn.execute("VACUUM (FREEZE, ANALYZE) tags")


def full_load(bench: Bench, conn: psycopg.Connection, leg: Leg, hosts: int) -> float:
    table = f"cpu_{leg.kind}"
    bench.tables.create(conn, leg, table, SPAN)
    conn.execute("CHECKPOINT")
    start = time.perf_counter()
    conn.execute(f"COPY {table} FROM '{data.csv(hosts)}' (FORMAT csv)")
    seconds = time.perf_counter() - start
    conn.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
    return seconds


def measure_query(bench: Bench, conn: psycopg.Connection, name: str, texts: list[str], load: Measurement) -> Iterator[Measurement]:
    """A sample is the mean over all variants. The round before the first warms up and compares the answers."""
    measurement = bench.measurement(name, "ms", ALL_LEGS, GOAL)
    measurement.failures |= load.failures
    answers: dict[Leg, list[str]] = {}
    warm = replace(measurement, samples={})
    for leg in ALL_LEGS:
        attempt(warm, leg, answer, conn, leg, texts, answers)
        if leg in answers and answers[leg] != answers.get(PLAIN):
            measurement.failures[leg] = "the answer differs from the plain table's"
            say(f"  WRONG ANSWER: {name}, {leg.title}")
    slowest = max((warm.samples[leg][0] for leg in answers), default=0.0)
    most = ENDLESS_ROUNDS if slowest > ENDLESS_MS else SLOW_ROUNDS if slowest > SLOW_MS else bench.scale.query_rounds
    rounds = min(bench.scale.query_rounds, most)
    repeats = REPEATS if slowest < QUICK_MS else 1
    for number in range(rounds):
        for leg in rotated(ALL_LEGS, number):
            attempt(measurement, leg, sample, conn, leg, texts, repeats)
    yield from finished(measurement)


def answer(conn: psycopg.Connection, leg: Leg, texts: list[str], answers: dict[Leg, list[str]]) -> float:
    """Puts digests of what the queries answer into `answers`; returns the milliseconds that a query took, the digest included."""
    start = time.perf_counter()
    answers[leg] = [digest(conn, text.replace("@", leg.kind)) for text in texts]
    return (time.perf_counter() - start) * 1000 / len(texts)


def sample(conn: psycopg.Connection, leg: Leg, texts: list[str], repeats: int) -> float:
    """Milliseconds until the whole answer is here."""
    queries = [text.replace("@", leg.kind).encode() for text in texts]
    start = time.perf_counter()
    for _ in range(repeats):
        for query in queries:
            send(conn, query)
    return (time.perf_counter() - start) * 1000 / len(queries) / repeats


def digest(conn: psycopg.Connection, query: str) -> str:
    """Of the rows in any order: where the query has none, each table may give its own."""
    rows = sorted(map(repr, conn.execute(query).fetchall()))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
