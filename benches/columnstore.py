"""Chunks in columns next to a plain table: size, speed of compression, of queries and of planning, and the same answers."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg

import compression
import data
import datasets
import estimates
import planning
import straight
from bench import Bench
from compression import LEGS
from datasets import Dataset, Query
from legs import COLUMNAR, CPU, EPOCH, PLAIN, Leg, Span, fill
from measure import Goal, Measurement, attempt, finished, rotated, say
from queries import ENDLESS_MS, QUICK_MS, REPEATS, Draw, load_tags, sample
from sql import scalar

# Rounds of queries that take longer: they are many, and after the round that warms up they differ little.
SLOW_MS, SLOW_ROUNDS = 500, 2
ENDLESS_ROUNDS = 1
MOST_OFF = 2.0
ONE_CHUNK_MS = Goal(1.0, None)


def run(bench: Bench) -> Iterator[Measurement]:
    for dataset in (datasets.cpu(bench), datasets.sensor(bench)):
        with bench.connect() as conn:
            yield from measure_dataset(bench, conn, dataset)
            for table in dataset.tables:
                conn.execute(f"DROP TABLE IF EXISTS {table}")
    yield from straight.copy(bench)
    yield from straight.many_series(bench)
    for chunks in bench.scale.columnar_chunks:
        yield from plan(bench, chunks)


def measure_dataset(bench: Bench, conn: psycopg.Connection, dataset: Dataset) -> Iterator[Measurement]:
    if dataset.name == "cpu" and compression.is_loaded(conn, dataset, data.rows(dataset.hosts)):
        # By the section of the queries.
        loaded = bench.measurement("", "", LEGS, rows=data.rows(dataset.hosts))
    else:
        if dataset.name == "cpu":
            load_tags(conn, dataset.hosts)
        loaded = compression.load(bench, conn, dataset)
        yield from finished(loaded)
    yield from compression.compress(bench, conn, dataset, loaded)
    texts = {query: variants(bench, conn, dataset, query) for query in dataset.queries}
    for query in dataset.queries:
        yield from measure_query(bench, conn, dataset, query, texts[query], loaded)
    yield from measure_estimates(bench, conn, dataset, texts, loaded)
    yield from compression.decompress(bench, conn, dataset, loaded)


def variants(bench: Bench, conn: psycopg.Connection, dataset: Dataset, query: Query) -> list[str]:
    draw = Draw(dataset.hosts, lambda width: bench.bucket(conn, width))
    return list(dict.fromkeys(query.make(draw) for _ in range(bench.scale.query_variants)))


def measure_query(
    bench: Bench, conn: psycopg.Connection, dataset: Dataset, query: Query, texts: list[str], loaded: Measurement
) -> Iterator[Measurement]:
    """The round before the first warms up and compares the answers."""
    measured = bench.measurement(f"{dataset.name}: {query.name}", "ms", LEGS, query.goal)
    measured.later = query.hoped_for
    measured.failures |= loaded.failures
    answers: dict[Leg, list[list[tuple[object, ...]]]] = {}
    warm = replace(measured, samples={})
    for leg in LEGS:
        attempt(warm, leg, answer, conn, leg, texts, answers)
    if COLUMNAR in answers and not same(answers[COLUMNAR], answers.get(PLAIN, [])):
        measured.failures[COLUMNAR] = "the answer differs from the plain table's"
        say(f"  WRONG ANSWER: {measured.name}")
    slowest = max((warm.samples[leg][0] for leg in answers), default=0.0)
    answers.clear()
    rounds = ENDLESS_ROUNDS if slowest > ENDLESS_MS else SLOW_ROUNDS if slowest > SLOW_MS else bench.scale.query_rounds
    repeats = REPEATS if slowest < QUICK_MS else 1
    for number in range(rounds):
        for leg in rotated(LEGS, number):
            attempt(measured, leg, sample, conn, leg, texts, repeats)
    yield from finished(measured)


def answer(conn: psycopg.Connection, leg: Leg, texts: list[str], answers: dict[Leg, list[list[tuple[object, ...]]]]) -> float:
    """Puts the rows, sorted, into `answers`; returns the milliseconds that a query took."""
    start = time.perf_counter()
    answers[leg] = [sorted(conn.execute(text.replace("@", leg.kind).encode()).fetchall(), key=repr) for text in texts]
    return (time.perf_counter() - start) * 1000 / len(texts)


def same(answers: list[list[tuple[object, ...]]], others: list[list[tuple[object, ...]]]) -> bool:
    """Whether the answers are equal, but for the last digits of floats, which depend on the order in which rows were added up."""
    if answers == others:
        return True
    pairs = list(zip(answers, others, strict=False))
    if len(answers) != len(others) or any(len(a) != len(b) for a, b in pairs):
        return False
    return all(close(a, b) for rows, other_rows in pairs for row, other in zip(rows, other_rows) for a, b in zip(row, other))


def close(a: object, b: object) -> bool:
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-9))


def measure_estimates(
    bench: Bench, conn: psycopg.Connection, dataset: Dataset, texts: dict[Query, list[str]], loaded: Measurement
) -> Iterator[Measurement]:
    """How many queries have scans of which the planner expects twice as many rows as there are, or half: as compressed, and analyzed."""
    name = f"{dataset.name}: of {len(texts)} queries, scans estimated wrong by more than {MOST_OFF:g}"
    for when in ("", " after ANALYZE"):
        measured = bench.measurement(name + when, "queries", LEGS if not when else (COLUMNAR,), Goal(0, None))
        measured.failures |= loaded.failures
        if when:
            attempt(replace(measured, samples={}), COLUMNAR, analyze, conn, dataset.table(COLUMNAR))
        for leg in measured.legs:
            attempt(measured, leg, count_off, conn, leg, texts)
        yield from finished(measured)


def analyze(conn: psycopg.Connection, table: str) -> float:
    conn.execute(f"ANALYZE {table}")
    return 0.0


def count_off(conn: psycopg.Connection, leg: Leg, texts: dict[Query, list[str]]) -> float:
    off = 0
    for query, variants in texts.items():
        # It sorts the whole plain table, which takes long and says nothing.
        if leg == PLAIN and query.name == "lastpoint":
            continue
        by, what = estimates.worst(conn, variants[0].replace("@", leg.kind))
        if by > MOST_OFF:
            off += 1
            say(f"  {leg.title}, {query.name}: off by {by:.1f}: {what}")
    return off


def plan(bench: Bench, number: int) -> Iterator[Measurement]:
    """Queries over many compressed chunks of a few rows each."""
    span = Span(EPOCH, number, planning.HOUR)
    made = bench.measurement(f"compressing {number} chunks of a few rows", "ms/chunk", (COLUMNAR,))
    with bench.connect() as conn:
        attempt(made, COLUMNAR, make_chunks, bench, conn, span)
        yield from finished(made)
        for name, text in planning.queries(span, bench.bucket(conn, "1 hour")).items():
            if "now()" in name:
                continue
            goal = ONE_CHUNK_MS if name.startswith("one ") else None
            yield from plan_query(bench, conn, f"{name}, {number} compressed chunks", text.format(table="many_columnar"), goal, made)
        conn.execute("DROP TABLE IF EXISTS many_columnar")


def plan_query(
    bench: Bench, conn: psycopg.Connection, name: str, query: str, goal: Goal | None, made: Measurement
) -> Iterator[Measurement]:
    planned = bench.measurement(f"plan: {name}", "ms", (COLUMNAR,), goal)
    ran = bench.measurement(f"run: {name}", "ms", (COLUMNAR,))
    for measurement in (planned, ran):
        measurement.failures |= made.failures
    warm = replace(planned, samples={})
    attempt(warm, COLUMNAR, planning.milliseconds, conn, query)
    end = time.perf_counter() + bench.scale.planning_seconds / 4
    for rounds in range(50):
        attempt(planned, COLUMNAR, planning.planning_time, conn, query)
        attempt(ran, COLUMNAR, planning.milliseconds, conn, query)
        if rounds >= 2 and time.perf_counter() > end:
            break
    yield from finished(planned, ran)


def make_chunks(bench: Bench, conn: psycopg.Connection, span: Span) -> float:
    bench.tables.create(conn, COLUMNAR, "many_columnar", Span(span.start, 0, span.chunk), CPU)
    fill(conn, "many_columnar", span, 0, span.chunks)
    compression.enable(conn, "many_columnar", CPU.series)
    names = compression.chunks(conn, "many_columnar")
    if len(names) != span.chunks:
        raise RuntimeError(f"{len(names)} chunks where {span.chunks} were wanted")
    conn.execute("ANALYZE many_columnar")
    seconds = compression.each_chunk(conn, "compress_chunk", names)[0]
    if scalar(conn, "SELECT count(*) FROM many_columnar") != span.chunks:
        raise RuntimeError("WRONG ROWS: some are missing")
    return seconds * 1000 / span.chunks
