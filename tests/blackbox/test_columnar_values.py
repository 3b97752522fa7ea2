"""Random queries over columns of all types: compressed, partly compressed and changed chunks answer as a plain table.

Each script makes a table of some types and a compressed hypertable with the same rows, then asks both. The tables of a
failure can be made again with the script that it prints.
"""

import os
import random

import pools
import psycopg
import pytest
import shapes
from test_columnar_oracle import CORE, NODES, PARALLEL
from twins import Difference, Side, differ

SOAK = bool(os.environ.get("TSC_SOAK"))
SCRIPTS = int(os.environ.get("TSC_ORACLE_VALUES", 3000 if SOAK else 28))
QUERIES = 14
KEYS = list(pools.KINDS)
ORDERED = [key for key in KEYS if key not in pools.UNORDERED]


class Script:
    """Two tables with the same rows, p and h, and what to ask of them."""

    def __init__(self, seed, settings):
        self.chance = random.Random(f"values {seed}")
        self.settings = settings
        self.keys = self.chance.sample(KEYS, self.chance.choice([3, 5, 8]))
        self.types = {pools.KINDS[key][0]: key for key in KEYS}
        self.rows = self.chance.choice([1, 30, 300, 1500, 1500, 9000])
        columns = {"id": "int", "time": "timestamptz", "seg": "int", **{key: pools.KINDS[key][0] for key in self.keys}}
        self.shapes = shapes.Shapes(self.chance, columns, self.literal, keys=("id",), table="@@")

    def literal(self, type):
        if type == "int":
            return str(self.chance.randint(-1, self.rows + 1))
        if type == "timestamptz" and self.chance.random() < 0.6:
            return f"timestamptz '2024-03-01+00' + {self.chance.randint(-1, self.rows + 1)} * interval '1 minute'"
        return pools.random_literal(self.chance, self.types[type])

    def options(self):
        ordered = ["seg", "time", *[key for key in self.keys if key not in pools.UNORDERED]]
        segments = self.chance.sample(ordered, self.chance.choice([0, 0, 1, 1, 2]))
        rest = [key for key in ordered if key not in segments]
        self.chance.shuffle(rest)
        order = [f"{key}{self.chance.choice(['', ' DESC', ' ASC NULLS FIRST', ' DESC NULLS LAST'])}" for key in rest[:self.chance.choice([1, 2, 3])]]
        if not any(part.startswith("time") for part in order) and "time" not in segments:
            order.append("time")
        return f"timescaledb.compress, timescaledb.compress_segmentby = '{', '.join(segments)}', timescaledb.compress_orderby = '{', '.join(order)}'"

    def filling(self, first, last):
        """An INSERT into @@."""
        items, joins = pools.filling(self.keys, self.chance)
        order = self.chance.choice(["", " ORDER BY g", " ORDER BY g % 7, g"])
        return (f"INSERT INTO @@ SELECT g, timestamptz '2024-03-01+00' + g * interval '1 minute', nullif(g / {self.chance.choice([1, 30, 1000])} % 5, 3), {', '.join(items)}"
                f" FROM generate_series({first}, {last}) AS g {' '.join(joins)}{order}")

    def setup(self):
        columns = f"(id int NOT NULL, time timestamptz NOT NULL, seg int{pools.columns(self.keys)})"
        yield "hyper", f"CREATE TABLE h {columns}"
        yield "hyper", f"SELECT create_hypertable('h', 'time', chunk_time_interval => interval '{self.chance.choice(['8 hours', '1 month'])}')"
        yield "hyper", f"CREATE TABLE p {columns}"
        if self.chance.random() < 0.4:
            yield "both", f"CREATE INDEX ON @@ ({self.chance.choice(['id', 'seg, time', 'time'])})"
            indexable = [key for key in self.keys if key not in pools.UNORDERED | {"tv", "te", "by"}]
            if indexable:
                yield "both", f"CREATE INDEX ON @@ ({self.chance.choice(indexable)})"
        yield "hyper", f"ALTER TABLE h SET ({self.options()})"
        yield "both", self.filling(1, self.rows)
        yield "hyper", "SELECT compress_chunk(c) FROM show_chunks('h') AS c"
        if self.chance.random() < 0.5:
            yield "both", self.filling(self.rows + 1, self.rows + self.chance.choice([1, 20, 400]))
        if self.chance.random() < 0.3:
            yield "both", f"UPDATE @@ SET seg = 1 WHERE id % {self.chance.choice([3, 50, 700])} = 1"
        if self.chance.random() < 0.3:
            yield "hyper", "SELECT compress_chunk(c, recompress => true) FROM show_chunks('h') AS c"
        if self.chance.random() < 0.3:
            yield "hyper", "ANALYZE h, p"

    def asks(self):
        """(statement on @@, settings of its own, whether it changes rows)"""
        for _ in range(QUERIES):
            kind = self.chance.random()
            if kind < 0.12:
                yield self.change(), "", True
            elif kind < 0.25:
                yield self.generic(), "", False
            else:
                yield self.shapes.query(), self.node(), False

    def change(self):
        key = self.chance.choice(self.keys)
        value = self.literal(pools.KINDS[key][0])
        condition = self.shapes.condition()
        return self.chance.choice([f"DELETE FROM @@ WHERE {condition} AND id % 3 = 0", f"UPDATE @@ SET {key} = {value} WHERE {condition}", f"DELETE FROM @@ WHERE {condition} RETURNING id",
                                   f"UPDATE @@ SET {key} = NULL, seg = seg + 1 WHERE {condition} AND id < 100 RETURNING id", f"SELECT id FROM @@ WHERE {condition} FOR UPDATE"])

    def generic(self):
        """A generic plan, whose parameter is known when it runs."""
        key = self.chance.choice([key for key in self.keys if key not in pools.UNORDERED] or ["id"])
        type = "int" if key == "id" else pools.KINDS[key][0]
        operator = self.chance.choice([*shapes.ORDERED, "IS DISTINCT FROM"])
        comparison = self.chance.choice([f"{key} {operator} $1", f"$1 {operator} {key}", f"{key} = ANY (ARRAY[$1, {self.literal(type)}])", f"{key} BETWEEN $1 AND {self.literal(type)}"])
        values = [self.literal(type), self.literal(type), f"NULL::{type}"]
        calls = "; ".join(f"EXECUTE ask ({value})" for value in self.chance.sample(values, 2))
        return f"DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; PREPARE ask ({type}) AS SELECT id, {key} FROM @@ WHERE {comparison}; {calls}; RESET plan_cache_mode"

    def node(self):
        if self.chance.random() < 0.5:
            return ""
        name = self.chance.choice([*self.settings, *CORE, "parallel", "parallel"])
        return self.chance.choice([PARALLEL, f"{PARALLEL}; SET force_parallel_mode = on"]) if name == "parallel" else f"SET {name} = off"


@pytest.fixture(scope="module")
def values(server):
    name = server.create_database("values")
    with server.connect(name) as connection:
        for statement in pools.pool():
            connection.execute(statement)
        connection.execute("LOAD 'timescale_compat'")
        settings = [row[0] for row in connection.execute("SELECT name FROM pg_settings WHERE vartype = 'bool' AND context = 'user' ORDER BY 1").fetchall() if NODES.match(row[0])]
    yield name, settings * 4
    server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


def outcomes(side, sql):
    """The outcome of a statement, or of all statements in it whose results count."""
    side.log.append(f"{sql};")
    if "; EXECUTE" not in sql:
        return Side.outcome(side.connection.pgconn, sql, None)
    state, tag, rows = "", "", []
    for part in sql.split("; "):
        one = Side.outcome(side.connection.pgconn, part, None)
        state, tag = state or one[0], f"{tag} {one[1]}"
        rows += one[2]
    return state, tag, rows


def ask(side, statement, settings):
    wanted = outcomes(side, statement.replace("@@", "p"))
    if settings:
        assert not side.run(settings)[0], settings
    found = outcomes(side, statement.replace("@@", "h"))
    if settings:
        side.run("RESET ALL")
        side.run(f"SET search_path = {side.schema}, public; SET statement_timeout = '60s'")
    if "TABLESAMPLE" in statement and found[0] == "0A000":
        return
    differ(type("Asked", (), {"sql": statement, "vague": False}), wanted, found)


@pytest.mark.timeout(0 if SOAK else 300)
@pytest.mark.parametrize("part", range(4))
def test_columns_of_all_types_answer_as_in_a_plain_table(server, values, part):
    database, settings = values
    base = int.from_bytes(os.urandom(4)) if SOAK else int(os.environ.get("TSC_ORACLE_SEED", 0))
    for seed in range(base + part, base + SCRIPTS, 4):
        script = Script(seed, settings)
        side = Side(server, database, f"v{seed}")
        try:
            play(side, script)
        except Difference as difference:
            pytest.fail(f"seed {seed}\n{difference}\n\n" + "\n".join(side.log))
        finally:
            side.close()
            try:
                server.psql(f"DROP SCHEMA IF EXISTS v{seed} CASCADE", database)
            except Exception as error:
                pytest.fail(f"seed {seed}: DROP SCHEMA: {error}")


def play(side, script):
    try:
        for where, sql in script.setup():
            for table in ("p", "h") if where == "both" else ("h",):
                state, message, _ = side.run(sql.replace("@@", table))
                if state:
                    raise Difference(f"the set-up failed: {sql}: {state} {message}")
        for statement, settings, changes in script.asks():
            ask(side, statement, settings)
            if changes:
                ask(side, "SELECT * FROM @@", "")
        ask(side, "SELECT record_send(x) FROM @@ AS x", "")
        side.run("SELECT decompress_chunk(c, true) FROM show_chunks('h') AS c")
        ask(side, "SELECT record_send(x) FROM @@ AS x", "")
    except psycopg.OperationalError as error:
        raise Difference(f"the session ended: {error} {side.server.crashes()[-3:]}") from error
