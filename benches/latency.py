"""Time of a single-row prepared INSERT as pgbench sees it: median and 99th percentile, one and two sessions."""

import shutil
import statistics
from collections.abc import Iterator

from bench import Bench
from cluster import STATE
from ingest import SPAN
from legs import EPOCH, LOADED_LEGS, METRICS, Leg
from measure import Goal, Measurement, attempt, finished, rotated
from sql import scalar

GOAL = Goal(1.10)


def run(bench: Bench) -> Iterator[Measurement]:
    script = write_script()
    for sessions in (1, 2):
        name = f"single-row INSERT, {sessions} session{'s' if sessions > 1 else ''}"
        median, tail = (bench.measurement(f"{name}, {what}", "µs", LOADED_LEGS, GOAL) for what in ("median", "p99"))
        for number in range(bench.scale.rounds):
            for leg in rotated(LOADED_LEGS, number):
                latencies: list[float] = []
                attempt(median, leg, one_round, bench, leg, script, sessions, latencies)
                if latencies:
                    attempt(tail, leg, percentile_99, latencies)
        tail.failures = median.failures
        yield from finished(median, tail)


def one_round(bench: Bench, leg: Leg, script: str, sessions: int, latencies: list[float]) -> float:
    """Fills `latencies` and returns their median."""
    logs = STATE / "pgbench"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    with bench.connect() as conn:
        bench.tables.create(conn, leg, "cpu", SPAN)
        try:
            conn.execute("CHECKPOINT")
            options = ("-n", "-M", "prepared", "-f", script, "-t", bench.scale.transactions, "-c", sessions, "-j", sessions)
            bench.cluster.pgbench(*options, "-D", "t=0", "-l", "--log-prefix", logs / "log")
            for log in logs.iterdir():
                latencies += [float(line.split()[2]) for line in log.read_text().splitlines()]
            found = scalar(conn, "SELECT count(*) FROM cpu")
            if not found == len(latencies) == sessions * bench.scale.transactions:
                raise RuntimeError(f"{found} rows from {len(latencies)} transactions")
            return statistics.median(latencies)
        finally:
            conn.execute("DROP TABLE cpu")


def percentile_99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98]


def write_script() -> str:
    """Time goes on by 10 s with each row, so that one in 4,320 rows is the first of a chunk."""
    lines = [r"\set t :t + 10", r"\set host random(0, 399)"]
    lines += [rf"\set v{n} random(0, 100)" for n in range(len(METRICS))]
    values = ", ".join(f":v{n}" for n in range(len(METRICS)))
    lines.append(f"INSERT INTO cpu VALUES (timestamptz '{EPOCH}' + :t * interval '1 second', :host, 'host_0', {values});")
    path = STATE / "insert.pgbench"
    path.write_text("\n".join(lines) + "\n")
    return str(path)
