"""The data that the columnstore is measured with, and what is asked of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import data
import queries
from bench import Bench
from ingest import SPAN
from legs import COLUMNAR, CPU, EPOCH, PLAIN, Leg, Shape, Span
from measure import Goal
from queries import Draw
from scale import CHUNK, SENSOR_HOURS

# No query may be slower than on the plain table by more than this.
NO_SLOWER = Goal(1.2, PLAIN)
SHORT_MS = 1.0


@dataclass(frozen=True)
class Query:
    name: str
    # The text, with @ for the kind of table.
    make: Callable[[Draw], str]
    # Milliseconds that a plain table took where the goals were set, those wanted next to it, and those hoped for later.
    plain: float | None = None
    wanted: float | None = None
    later: float | None = None

    @property
    def goal(self) -> Goal:
        if self.plain is None or self.wanted is None:
            return NO_SLOWER
        # So short a time is mostly that of the client and the network, not the table's.
        enough = self.wanted if self.plain < SHORT_MS else None
        return Goal(self.wanted / self.plain, PLAIN, by_plain(self.plain, self.wanted, "ms"), enough)

    @property
    def hoped_for(self) -> str:
        return by_plain(self.plain, self.later, "ms") if self.plain and self.later else ""


@dataclass(frozen=True)
class Dataset:
    name: str
    shape: Shape
    span: Span
    csv: Callable[[], Path]
    hosts: int
    # Megabytes of the plain table with its indexes where the goals were set, and those wanted next to it.
    size: tuple[float, float]
    queries: tuple[Query, ...]

    def table(self, leg: Leg) -> str:
        return f"{self.name}_{leg.kind}"

    @property
    def size_goal(self) -> Goal:
        plain, wanted = self.size
        return Goal(wanted / plain, PLAIN, by_plain(plain, wanted, "MB"))

    @property
    def tables(self) -> tuple[str, str]:
        return self.table(PLAIN), self.table(COLUMNAR)


def by_plain(plain: float, wanted: float, unit: str) -> str:
    return f"{wanted / plain:.2g} of plain ({wanted:g} by {plain:g} {unit})"


def cpu(bench: Bench) -> Dataset:
    hosts = bench.scale.query_hosts
    return Dataset("cpu", CPU, SPAN, lambda: data.csv(hosts), hosts, (2284, 42), CPU_QUERIES)


def sensor(bench: Bench) -> Dataset:
    number = bench.scale.sensors
    span = Span(EPOCH, SENSOR_HOURS * 3600 // int(CHUNK.total_seconds()), CHUNK)
    shape = Shape(data.sensor_columns(), "sensor_id")
    return Dataset("sensor", shape, span, lambda: data.sensors(number), number, (807, 30), SENSOR_QUERIES)


def aggregates(*columns: str) -> str:
    return ", ".join(f"{function}({column})" for column in columns for function in ("avg", "min", "max", "count"))


def same(text: str) -> Callable[[Draw], str]:
    return lambda _: text


def one_row(draw: Draw) -> str:
    return f"SELECT * FROM cpu_@ WHERE {draw.host()} AND time = '{draw.instant()}'"


def last_rows(draw: Draw) -> str:
    return f"SELECT * FROM cpu_@ WHERE {draw.host()} ORDER BY time DESC LIMIT 100"


def tsbs(name: str, plain: float | None = None, wanted: float | None = None, later: float | None = None) -> Query:
    return Query(name, queries.QUERIES[name], plain, wanted, later)


BY_DAY = "SELECT hostname, date_trunc('day', time) AS day, avg(usage_user), stddev(usage_user) FROM cpu_@ GROUP BY hostname, day"

CPU_QUERIES = (
    tsbs("count(*)", 273, later=2),
    Query("avg, min, max, count of 3 columns", same(f"SELECT {aggregates(*queries.METRICS[:3])} FROM cpu_@"), 643, later=5),
    Query("sum where 2 filters", same("SELECT sum(usage_idle) FROM cpu_@ WHERE usage_user > 90 AND usage_system < 50"), 479, later=25),
    tsbs("group by region", 1014, later=40),
    Query("group by host, day with stddev", same(BY_DAY), 1390, later=80),
    tsbs("double-groupby-1", 428, later=30),
    tsbs("double-groupby-5", 596, later=45),
    tsbs("double-groupby-all", 795, later=65),
    tsbs("groupby-orderby-limit", 901, later=5),
    tsbs("lastpoint", 8586, 50, 10),
    tsbs("single-groupby-1-1-1", 0.5, 0.5),
    tsbs("single-groupby-1-1-12", 4.3, 1.0),
    tsbs("single-groupby-5-8-1", 2.5, 1.2),
    tsbs("cpu-max-all-8", 26, 2.5),
    tsbs("high-cpu-1"),
    tsbs("high-cpu-all", 579, 300),
    Query("one row by host and time", one_row, 0.16, 0.25),
    Query("last 100 rows of a host", last_rows, 0.41, 0.4),
)


def of_sensor(draw: Draw) -> str:
    return f"sensor_id = {draw.number(draw.total) + 1}"


def sensor_hours(draw: Draw) -> str:
    start = draw.number(SENSOR_HOURS - 6)
    return f"time >= timestamptz '{EPOCH}' + interval '{start} hours' AND time < timestamptz '{EPOCH}' + interval '{start + 6} hours'"


SENSOR_QUERIES = (
    Query("count(*)", same("SELECT count(*) FROM sensor_@")),
    Query("sums of decimals and counts of NULLs", same(
        "SELECT sum(voltage), avg(temperature), max(counter), count(humidity), count(*) FILTER (WHERE tariff) FROM sensor_@")),
    Query("group by state", same("SELECT state, count(*), avg(temperature), min(humidity), max(voltage) FROM sensor_@ GROUP BY state")),
    Query("faults while it is hot", same("SELECT * FROM sensor_@ WHERE state = 'fault' AND temperature > 34 AND status <> 0")),
    Query("without humidity, one in ten", same("SELECT count(signal) FROM sensor_@ WHERE humidity IS NULL")),
    Query("one sensor by minute, 6 h", lambda draw: (
        f"SELECT {draw.bucket('1 minute')} AS minute, avg(temperature), max(counter) - min(counter) FROM sensor_@"
        f" WHERE {of_sensor(draw)} AND {sensor_hours(draw)} GROUP BY minute")),
    Query("last 100 rows of a sensor", lambda draw: f"SELECT * FROM sensor_@ WHERE {of_sensor(draw)} ORDER BY time DESC LIMIT 100", 0.41, 0.4),
    Query("last row of each sensor", same("SELECT DISTINCT ON (sensor_id) * FROM sensor_@ ORDER BY sensor_id, time DESC")),
)
