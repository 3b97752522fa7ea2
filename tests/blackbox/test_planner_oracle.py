"""Random queries of the shapes that the planner rewrites, on hypertables and on plain copies: the same rows.

A failure prints the queries; with the set-up below they reproduce it.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETUP = """
SET TIME ZONE 'Europe/Berlin';
SET client_min_messages = warning;
CREATE TABLE p (time timestamptz NOT NULL, device int, value int);
INSERT INTO p SELECT '2024-03-28 00:00+00'::timestamptz + i * interval '37 minutes', i % 4, i FROM generate_series(0, 400) i;
CREATE TABLE p2 AS SELECT time, device + 1 AS device, value * 2 AS value FROM p WHERE value % 3 <> 0;
CREATE TABLE pi (at int NOT NULL, v int);
INSERT INTO pi SELECT i * 3, i FROM generate_series(-100, 100) i;
CREATE TABLE pd (at date NOT NULL, v int);
INSERT INTO pd SELECT '2024-01-15'::date + i, i FROM generate_series(0, 120) i;
CREATE TABLE pl (at timestamp NOT NULL, v int);
INSERT INTO pl SELECT time AT TIME ZONE 'UTC', value FROM p;
CREATE TABLE h AS TABLE p; CREATE TABLE h2 AS TABLE p2; CREATE TABLE hi AS TABLE pi; CREATE TABLE hd AS TABLE pd; CREATE TABLE hl AS TABLE pl;
SELECT create_hypertable('h', 'time', chunk_time_interval => interval '1 day', migrate_data => true);
SELECT create_hypertable('h2', 'time', chunk_time_interval => interval '5 hours', migrate_data => true);
SELECT create_hypertable('hi', 'at', chunk_time_interval => 40, migrate_data => true);
SELECT create_hypertable('hd', 'at', chunk_time_interval => interval '10 days', migrate_data => true);
SELECT create_hypertable('hl', 'at', chunk_time_interval => interval '1 day', migrate_data => true);
ANALYZE;
"""

OPERATORS = st.sampled_from(["<", "<=", "=", ">=", ">"])
WIDTHS = st.sampled_from(["1 day", "5 hours", "37 minutes", "2 days", "1 month", "3 months", "1 week", "00:00:01"])
FIXED = st.sampled_from(["1 hour", "-5 hours", "1 day", "3 days 2 hours", "-1 second"])
ZONES = st.sampled_from(["Europe/Berlin", "UTC", "America/St_Johns", "Pacific/Kiritimati"])


@st.composite
def instants(draw):
    """Around the data and the change of clocks on 2024-03-31, often on a boundary."""
    day, hour = draw(st.integers(26, 39)), draw(st.integers(0, 23))
    minute = draw(st.sampled_from([0, 0, 30, 37, 59]))
    month, day = (3, day) if day <= 31 else (4, day - 31)
    return f"2024-{month:02}-{day:02} {hour:02}:{minute:02}"


@st.composite
def buckets(draw, column="time"):
    width = draw(WIDTHS)
    third = draw(st.sampled_from(["", "", "origin", "offset", "months", "zone"]))
    return {
        "": f"time_bucket('{width}', {column})",
        "origin": f"time_bucket('{width}', {column}, timestamptz '{draw(instants())}+00')",
        "offset": f"time_bucket('{width}', {column}, interval '{draw(FIXED)}')",
        "months": f"time_bucket('{width}', {column}, interval '1 month')",
        "zone": f"time_bucket('{width}', {column}, '{draw(ZONES)}')",
    }[third]


@st.composite
def conditions(draw, column="time", depth=2):
    kind = draw(st.sampled_from(["bucket", "bucket", "commuted", "between", "plain", "now", "junction", "not", "in"]))
    value = f"timestamptz '{draw(instants())}+00'"
    if kind == "bucket":
        return f"{draw(buckets(column))} {draw(OPERATORS)} {value}"
    if kind == "commuted":
        return f"{value} {draw(OPERATORS)} {draw(buckets(column))}"
    if kind == "between":
        return f"{draw(buckets(column))} BETWEEN {value} AND timestamptz '{draw(instants())}+00'"
    if kind == "plain":
        return f"{column} {draw(OPERATORS)} {value}"
    if kind == "now":
        return f"{column} {draw(OPERATORS)} now() - (now() - {value})"
    if kind == "in":
        return f"{draw(buckets(column))} IN ({value}, timestamptz '{draw(instants())}+00')"
    if depth == 0:
        return "true"
    inner = draw(conditions(column, depth - 1))
    if kind == "not":
        return f"NOT ({inner})"
    return f"({inner} {draw(st.sampled_from(['AND', 'OR']))} {draw(conditions(column, depth - 1))})"


@st.composite
def queries(draw):
    """Queries on {h}, {h2} with one answer: ordered, or of a set that is sorted by the caller."""
    kind = draw(st.sampled_from(["scan", "group", "order", "join", "outer", "first", "lateral", "in", "change"]))
    where = draw(conditions(draw(st.just("a.time"))))
    bucket = draw(buckets("a.time"))
    direction = draw(st.sampled_from(["ASC", "DESC"]))
    limit = draw(st.sampled_from(["", " LIMIT 3", " LIMIT 20"]))
    if kind == "scan":
        return f"SELECT a.* FROM {{h}} a WHERE {where}"
    if kind == "group":
        key = draw(st.sampled_from(["1", "1, 2", "2, 1"]))
        order = ", ".join(f"{k} {direction}" for k in key.split(", "))
        extra = "a.device" if "2" in key else "0"
        keys = key if "2" in key else "1"
        return f"SELECT {bucket}, {extra}, count(*), sum(a.value), first(a.value, a.time) FROM {{h}} a WHERE {where} GROUP BY {keys} ORDER BY {order}{limit}"
    if kind == "order":
        return f"SELECT {bucket}, a.value FROM {{h}} a WHERE {where} ORDER BY 1 {direction}, a.time {direction}{limit}"
    if kind == "join":
        more = draw(conditions("b.time"))
        return f"SELECT a.value, b.value FROM {{h}} a JOIN {{h2}} b ON a.time = b.time WHERE {where} AND {more}"
    if kind == "outer":
        side = draw(st.sampled_from(["LEFT", "RIGHT", "FULL"]))
        on = "" if side == "FULL" else f" AND {draw(conditions(draw(st.sampled_from(['a.time', 'b.time']))))}"
        return f"SELECT a.value, b.value FROM {{h}} a {side} JOIN {{h2}} b ON a.time = b.time{on} WHERE {where}"
    if kind == "first":
        return f"SELECT first(a.value, a.time), last(a.value, a.time) FILTER (WHERE a.device > 1) FROM {{h}} a WHERE {where} AND a.device < 3"
    if kind == "lateral":
        return f"SELECT b.value, l FROM {{h2}} b, LATERAL (SELECT last(a.value, a.time) l FROM {{h}} a WHERE a.time < b.time AND {where}) x WHERE b.value % 7 = 0"
    if kind == "in":
        return f"SELECT a.value FROM {{h}} a WHERE a.time IN (SELECT b.time FROM {{h2}} b WHERE {draw(conditions('b.time'))}) AND {where}"
    return f"WITH d AS (DELETE FROM {{h}} a WHERE {where} RETURNING *) SELECT count(*), sum(value) FROM d"


@st.composite
def other_types(draw):
    """The same for integers, dates and timestamps without zone."""
    table = draw(st.sampled_from(["i", "d", "l"]))
    if table == "i":
        bucket = f"time_bucket({draw(st.sampled_from([1, 7, 40, 300]))}, at{draw(st.sampled_from(['', ', 5', ', -3']))})"
        value = str(draw(st.integers(-350, 350)))
    elif table == "d":
        bucket = f"time_bucket('{draw(st.sampled_from(['1 day', '10 days', '1 month', '2 months']))}', at{draw(st.sampled_from(['', ', date $$2024-02-03$$', ', interval $$2 days$$']))})"
        value = f"date '2024-01-01' + {draw(st.integers(0, 150))}"
    else:
        bucket = f"time_bucket('{draw(WIDTHS)}', at{draw(st.sampled_from(['', ', timestamp $$2024-02-03 01:00$$', ', interval $$2 hours$$']))})"
        value = f"timestamp '{draw(instants())}'"
    return f"SELECT {bucket} b, count(*), sum(v) FROM {{h{table}}} WHERE {bucket} {draw(OPERATORS)} {value} GROUP BY 1 ORDER BY 1 {draw(st.sampled_from(['ASC LIMIT 3', 'DESC']))}"


@pytest.fixture
def tables(db):
    db.execute(SETUP)
    return db


def answer(db, query, hypertable, optimize=True):
    prefix = "h" if hypertable else "p"
    names = {name: prefix + name[1:] for name in ["h", "h2", "hi", "hd", "hl"]}
    with db.transaction(force_rollback=True):
        db.execute(f"SET LOCAL timescaledb.enable_optimizations = {'on' if optimize else 'off'}")
        rows = db.execute(query.format(**names)).fetchall()
    # Those that sort do so by unique keys.
    return rows if "ORDER BY" in query else sorted(rows, key=repr)


def check(db, query):
    expected = answer(db, query, hypertable=False)
    for optimize in [True, False]:
        found = answer(db, query, hypertable=True, optimize=optimize)
        assert found == expected, f"optimizations {'on' if optimize else 'off'}, after the set-up of this file:\n{query.format(h='h', h2='h2', hi='hi', hd='hd', hl='hl')};"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=400)
@given(query=queries())
def test_queries_on_hypertables_answer_as_on_plain_tables(tables, query):
    check(tables, query)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
@given(query=other_types())
def test_buckets_of_other_types_answer_as_on_plain_tables(tables, query):
    check(tables, query)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
@given(bucket=buckets(), operator=OPERATORS, values=st.lists(instants(), min_size=2, max_size=4))
def test_generic_plans_answer_as_on_plain_tables(tables, bucket, operator, values):
    tables.prepare_threshold = None
    tables.execute("DEALLOCATE ALL")
    tables.execute("SET plan_cache_mode = force_generic_plan")
    for name in ["h", "p"]:
        tables.execute(f"PREPARE {name}(timestamptz) AS SELECT count(*), sum(value), first(value, time) FROM {name} WHERE {bucket} {operator} $1")
    for value in values:
        found, expected = (tables.execute(f"EXECUTE {name}('{value}+00')").fetchall() for name in ["h", "p"])
        assert found == expected, f"{bucket} {operator} '{value}+00'"
